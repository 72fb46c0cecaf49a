//! `POST /v1/subscriptions`: where receivers register their webhooks.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::event::Payload;
use crate::source::dispatch::DeadLetter;
use crate::source::log::LogReader;
use crate::wire::body;
use crate::wire::destination::{Destinations, Target};
use crate::wire::link::Line;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::signature::{Scheme, Signer};
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
    /// Where events are to be posted: `http://HOST:PORT/path`, on this machine or where requests
    /// may go.
    pub url: String,
    /// How much of each event is to be posted.
    #[serde(default)]
    pub payload: Payload,
    /// The style to sign in; Standard Webhooks where there is a secret and no style.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<Scheme>,
    /// The secret to sign with; absent for unsigned webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The secret that `secret` replaces: every message is signed with both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret: Option<String>,
}

impl fmt::Debug for Registration {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("url", &self.url)
            .field("payload", &self.payload)
            .field("sign", &self.sign)
            .finish_non_exhaustive()
    }
}

impl Registration {
    /// What signs, if anything is to be signed.
    fn signer(&self) -> Result<Option<Signer>, String> {
        let secrets = [&self.secret, &self.old_secret];
        let secrets: Vec<&str> = secrets.into_iter().flatten().map(String::as_str).collect();
        if secrets.is_empty() && self.sign.is_none() {
            return Ok(None);
        }
        let scheme = self.sign.unwrap_or(Scheme::StandardWebhooks);
        let keys = secrets.into_iter().map(|secret| scheme.key(secret)).collect::<Result<_, _>>();
        keys.and_then(|keys| Signer::new(scheme, keys)).map(Some).map_err(|error| error.to_string())
    }
}

/// A registered webhook.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its id.
    pub id: u64,
    /// Where it is posted to.
    pub target: Target,
    /// How much of each event is posted.
    pub payload: Payload,
    /// What signs, if deliveries are to be signed.
    pub signer: Option<Signer>,
    /// Where the log ended when the webhook was registered: it gets every event from there on,
    /// also those that are emitted before the dispatcher hears of it.
    pub from: u64,
}

/// What the dispatcher has to know.
#[derive(Debug)]
pub enum Change {
    /// A webhook was registered.
    Added(Box<Subscription>),
    /// One was removed.
    Removed(u64),
    /// What was given up is to be delivered once more.
    Replayed(DeadLetter),
}

/// The webhooks of a lane.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    entries: Arc<Mutex<Entries>>,
    /// The scheme that receivers' URLs have.
    scheme: &'static str,
    /// Where they may lead.
    destinations: Arc<Destinations>,
    changes: mpsc::UnboundedSender<Change>,
}

#[derive(Debug, Default)]
struct Entries {
    last_id: u64,
    ids: BTreeSet<u64>,
}

impl Subscriptions {
    /// None yet; changes are told to the dispatcher.
    #[must_use]
    pub fn new(line: &Line, changes: mpsc::UnboundedSender<Change>) -> Subscriptions {
        let destinations = Arc::clone(&line.destinations);
        Subscriptions { entries: Arc::default(), scheme: line.scheme(), destinations, changes }
    }

    /// Whether a webhook is still registered.
    #[must_use]
    pub fn holds(&self, id: u64) -> bool {
        self.entries().ids.contains(&id)
    }

    /// Forgets a webhook; `false` if there is none.
    pub(in crate::source) fn forget(&self, id: u64) -> bool {
        self.entries().ids.remove(&id)
    }

    /// Tells the dispatcher, and answers with `done` unless it has stopped.
    pub(in crate::source) fn tell(&self, change: Change, done: impl FnOnce() -> Reply) -> Reply {
        match self.changes.send(change) {
            Ok(()) => done(),
            Err(_) => Reply::problem(StatusCode::SERVICE_UNAVAILABLE, "the source is stopping"),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn add(&self, registration: &Registration, log: &LogReader) -> Reply {
        let unusable = |detail: &str| Reply::problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let signer = match registration.signer() {
            Ok(signer) => signer,
            Err(detail) => return unusable(&detail),
        };
        let target = match self.destinations.target(&registration.url, self.scheme).await {
            Ok(target) => target,
            Err(refusal) => return unusable(&refusal.to_string()),
        };
        let id = {
            let mut entries = self.entries();
            if entries.ids.len() >= SUBSCRIPTION_LIMIT {
                return Reply::problem(StatusCode::INSUFFICIENT_STORAGE, "too many subscriptions");
            }
            entries.last_id += 1;
            let id = entries.last_id;
            entries.ids.insert(id);
            id
        };
        let (payload, from) = (registration.payload, log.len());
        let subscription = Subscription { id, target, payload, signer, from };
        self.tell(Change::Added(Box::new(subscription)), || {
            let body = format!("{{\"id\":\"{id}\"}}").into();
            Reply::with_body(StatusCode::CREATED, "application/json", body, Outcome::Overhead)
        })
    }

    fn remove(&self, id: &str) -> Reply {
        match id.parse().ok().filter(|id| self.forget(*id)) {
            Some(id) => {
                // A dispatcher that has stopped posts nothing any more anyway.
                let _ = self.changes.send(Change::Removed(id));
                Reply::no_content(Outcome::Overhead)
            }
            None => Reply::problem(StatusCode::NOT_FOUND, "there is no such subscription"),
        }
    }
}

/// Adds the registration of webhooks to a lane's routes.
#[must_use]
pub fn with_subscriptions(routes: Routes, log: LogReader, subscriptions: Subscriptions) -> Routes {
    let removing = subscriptions.clone();
    routes
        .changing(Method::POST, SUBSCRIPTIONS_PATH, move |request, _| {
            register(request, log.clone(), subscriptions.clone())
        })
        .changing(Method::DELETE, "/v1/subscriptions/", move |_request, id| {
            std::future::ready(removing.remove(&id))
        })
}

async fn register(
    request: Request<Incoming>,
    log: LogReader,
    subscriptions: Subscriptions,
) -> Reply {
    let body = match body::receive(request.into_body(), REGISTRATION_LIMIT).await {
        Ok(body) => body.bytes,
        Err(error) => return Reply::unreadable(&error),
    };
    match serde_json::from_slice(&body) {
        Ok(registration) => subscriptions.add(&registration, &log).await,
        Err(error) => Reply::problem(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::Registration;
    use crate::event::Payload;
    use crate::wire::signature::Scheme;

    fn registration(sign: Option<Scheme>, secret: &[&str]) -> Registration {
        let secret = |place: usize| secret.get(place).map(|secret| (*secret).to_owned());
        let url = "http://127.0.0.1:1/".to_owned();
        let payload = Payload::default();
        Registration { url, payload, sign, secret: secret(0), old_secret: secret(1) }
    }

    #[test]
    fn a_registration_does_not_show_its_secrets() {
        let shown = format!("{:?}", registration(None, &["whsec_c2VjcmV0", "whsec_b2xk"]));
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("b2xk"), "{shown}");
    }

    #[test]
    fn a_secret_must_suit_its_style() {
        let (standard, plain) = (Some(Scheme::StandardWebhooks), Some(Scheme::XSignature));
        let (secret, other) = ("whsec_c2VjcmV0", "whsec_b2xk");
        let signs = |sign, secrets: &[&str]| {
            registration(sign, secrets).signer().map(|signer| signer.is_some())
        };
        assert_eq!(signs(None, &[]), Ok(false));
        assert_eq!(signs(None, &[secret]), Ok(true));
        assert_eq!(signs(standard, &[secret, other]), Ok(true));
        assert_eq!(signs(plain, &["hunter2"]), Ok(true));
        for (sign, secrets) in
            [(standard, &[][..]), (standard, &["hunter2"]), (plain, &["a", "b"]), (plain, &[""])]
        {
            assert!(signs(sign, secrets).is_err(), "{sign:?} {secrets:?}");
        }
    }
}
