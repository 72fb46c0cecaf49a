//! Which handler answers which request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::wire::reply::Reply;

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>, Tail) -> Answer + Send + Sync>;

/// What followed the route's path: an id, or nothing.
pub type Tail = String;

/// A table of routes; unknown paths and methods are answered with problem documents.
#[derive(Clone, Default)]
pub struct Routes {
    entries: Vec<(Method, &'static str, Handler)>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|(method, path, _)| (method, path))).finish()
    }
}

impl Routes {
    /// An empty table.
    #[must_use]
    pub fn new() -> Routes {
        Routes::default()
    }

    /// Adds a route. A path that ends in `/` takes one more segment, its tail; a path without a
    /// tail that covers the same request goes first, whichever was added first.
    #[must_use]
    pub fn on<F, A>(mut self, method: Method, path: &'static str, handler: F) -> Routes
    where
        F: Fn(Request<Incoming>, Tail) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(move |request, tail| Box::pin(handler(request, tail)) as Answer);
        self.entries.push((method, path, handler));
        self.entries.sort_by_key(|(_, path, _)| path.ends_with('/'));
        self
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Reply {
        let mut allowed = Vec::new();
        for (method, path, handler) in &self.entries {
            let Some(tail) = tail_of(request.uri().path(), path) else { continue };
            if method == request.method() {
                let tail = tail.to_owned();
                return handler(request, tail).await;
            }
            // Several mechanisms may offer the same, and the first of them answers.
            if !allowed.contains(&method.as_str()) {
                allowed.push(method.as_str());
            }
        }
        if allowed.is_empty() {
            return Reply::problem(StatusCode::NOT_FOUND, "there is nothing at this path");
        }
        let mut reply = Reply::problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not take this method; see the Allow header",
        );
        if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
            reply.response.headers_mut().insert(ALLOW, allowed);
        }
        reply
    }
}

/// What follows `route` in `path`, if the route covers the path.
fn tail_of<'a>(path: &'a str, route: &str) -> Option<&'a str> {
    let tail = path.strip_prefix(route)?;
    let covered = if route.ends_with('/') {
        !tail.is_empty() && !tail.contains('/')
    } else {
        tail.is_empty()
    };
    covered.then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::tail_of;

    #[test]
    fn only_routes_that_end_in_a_slash_take_a_tail() {
        assert_eq!(tail_of("/v1/events", "/v1/events"), Some(""));
        assert_eq!(tail_of("/v1/events/7", "/v1/events"), None);
        assert_eq!(tail_of("/v1/subscriptions/7", "/v1/subscriptions/"), Some("7"));
        assert_eq!(tail_of("/v1/subscriptions/", "/v1/subscriptions/"), None);
        assert_eq!(tail_of("/v1/subscriptions/7/8", "/v1/subscriptions/"), None);
    }
}
