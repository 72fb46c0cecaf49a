//! `POST /v1/subscriptions`: where receivers register their webhooks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::source::log::LogReader;
use crate::wire::body;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::signature::SigningKey;
use crate::wire::tally::Outcome;

/// Where webhooks are registered.
pub const SUBSCRIPTIONS_PATH: &str = "/v1/subscriptions";

/// The longest registration accepted, in bytes.
const REGISTRATION_LIMIT: usize = 16 * 1024;

/// The most webhooks one lane holds.
const SUBSCRIPTION_LIMIT: usize = 20_000;

/// What a receiver asks for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Where events are to be posted: `http://IP:PORT/path`, on loopback.
    pub url: String,
    /// The secret to sign with; absent for unsigned webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl std::fmt::Debug for Registration {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A registered webhook.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its id.
    pub id: u64,
    /// The receiver's address.
    pub peer: SocketAddr,
    /// The path to post to.
    pub path: PathAndQuery,
    /// The key to sign with, if deliveries are to be signed.
    pub key: Option<SigningKey>,
    /// Where the log ended when the webhook was registered: it gets every event from there on,
    /// also those that are emitted before the dispatcher hears of it.
    pub from: u64,
}

/// What happened to the list of webhooks.
#[derive(Debug)]
pub enum Change {
    /// One was registered.
    Added(Box<Subscription>),
    /// One was removed.
    Removed(u64),
}

#[derive(Debug, Default)]
struct Registry {
    last_id: u64,
    entries: BTreeMap<u64, SocketAddr>,
}

/// Adds the registration of webhooks to a lane's routes, whose URLs have the scheme of its link; changes go to the dispatcher.
#[must_use]
pub fn with_subscriptions(
    routes: Routes,
    scheme: &'static str,
    log: LogReader,
    changes: mpsc::UnboundedSender<Change>,
) -> Routes {
    let registry = Arc::new(Mutex::new(Registry::default()));
    let (adding, removing) = (Arc::clone(&registry), registry);
    let added = changes.clone();
    routes
        .on(Method::POST, SUBSCRIPTIONS_PATH, move |request, _| {
            add(request, scheme, log.clone(), Arc::clone(&adding), added.clone())
        })
        .on(Method::DELETE, "/v1/subscriptions/", move |_request, id| {
            std::future::ready(remove(&id, &removing, &changes))
        })
}

async fn add(
    request: Request<Incoming>,
    scheme: &'static str,
    log: LogReader,
    registry: Arc<Mutex<Registry>>,
    changes: mpsc::UnboundedSender<Change>,
) -> Reply {
    let body = match body::receive(request.into_body(), REGISTRATION_LIMIT).await {
        Ok(body) => body.bytes,
        Err(error) => return Reply::unreadable(&error),
    };
    let registration: Registration = match serde_json::from_slice(&body) {
        Ok(registration) => registration,
        Err(error) => return Reply::problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let unusable = |detail: &str| Reply::problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let Some((peer, path)) = target(&registration.url, scheme) else {
        let must = "ADDRESS:PORT/PATH with a loopback address";
        return unusable(&format!("`url` must be {scheme}://{must}"));
    };
    let Ok(key) = registration.secret.as_deref().map(SigningKey::from_secret).transpose() else {
        return unusable("`secret` must be `whsec_` and base64");
    };
    let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
    if registry.entries.len() >= SUBSCRIPTION_LIMIT {
        return Reply::problem(StatusCode::INSUFFICIENT_STORAGE, "too many subscriptions");
    }
    registry.last_id += 1;
    let id = registry.last_id;
    registry.entries.insert(id, peer);
    let subscription = Subscription { id, peer, path, key, from: log.len() };
    if changes.send(Change::Added(Box::new(subscription))).is_err() {
        return Reply::problem(StatusCode::SERVICE_UNAVAILABLE, "the source is stopping");
    }
    let body = format!("{{\"id\":\"{id}\"}}").into();
    Reply::with_body(StatusCode::CREATED, "application/json", body, Outcome::Overhead)
}

fn remove(id: &str, registry: &Mutex<Registry>, changes: &mpsc::UnboundedSender<Change>) -> Reply {
    let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
    match id.parse().ok().filter(|id| registry.entries.remove(id).is_some()) {
        Some(id) => {
            // A dispatcher that has stopped posts nothing any more anyway.
            let _ = changes.send(Change::Removed(id));
            Reply::no_content(Outcome::Overhead)
        }
        None => Reply::problem(StatusCode::NOT_FOUND, "there is no such subscription"),
    }
}

/// Where a URL points, if it is one a webhook may be posted to.
///
/// Only loopback addresses, written as addresses: no name is resolved, so none can be
/// resolved to another address later.
fn target(url: &str, scheme: &str) -> Option<(SocketAddr, PathAndQuery)> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let peer: SocketAddr = authority.as_str().parse().ok()?;
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    (uri.scheme_str() == Some(scheme) && peer.ip().is_loopback()).then_some((peer, path))
}

#[cfg(test)]
mod tests {
    use super::{Registration, target};

    #[test]
    fn only_loopback_addresses_are_targets() {
        let (peer, path) = target("http://127.0.0.1:8080/hooks/3?x=1", "http").expect("a target");
        assert_eq!((peer.to_string().as_str(), path.as_str()), ("127.0.0.1:8080", "/hooks/3?x=1"));
        assert!(target("http://[::1]:8080/", "http").is_some());
        for refused in [
            "http://192.168.1.1:80/",
            "http://169.254.169.254:80/latest",
            "http://localhost:80/",
            "https://127.0.0.1:80/",
            "http://127.0.0.1/",
            "http://user@127.0.0.1:80/",
            "http://0.0.0.0:80/",
            "ftp://127.0.0.1:21/",
            "127.0.0.1:80",
            "",
        ] {
            assert_eq!(target(refused, "http"), None, "{refused}");
        }
    }

    #[test]
    fn a_registration_does_not_show_its_secret() {
        let shown = format!(
            "{:?}",
            Registration {
                url: "http://127.0.0.1:1/".into(),
                secret: Some("whsec_c2VjcmV0".into())
            }
        );
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }
}
