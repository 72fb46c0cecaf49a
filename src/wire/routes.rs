//! Which handler answers which request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::Either;
use http::header::{ALLOW, HeaderValue, UPGRADE};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::wire::origin::{FOREIGN, is_foreign};
use crate::wire::reply::Reply;
use crate::wire::tally::Outcome;

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>, Tail) -> Answer + Send + Sync>;

/// What followed the route's path: an id, or nothing.
pub type Tail = String;

/// A table of routes; unknown paths and methods are answered with problem documents.
///
/// Whatever has a GET handler answers HEAD as well (RFC 9110, 9.1), and every path answers
/// OPTIONS with the methods it takes.
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

    /// Adds a route. A path that ends in `/` takes one more segment, its tail, and one that ends in
    /// `/*` whatever follows; a path without a tail that covers the same request goes first,
    /// whichever was added first.
    #[must_use]
    pub fn on<F, A>(mut self, method: Method, path: &'static str, handler: F) -> Routes
    where
        F: Fn(Request<Incoming>, Tail) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(move |request, tail| Box::pin(handler(request, tail)) as Answer);
        self.entries.push((method, path, handler));
        self.entries.sort_by_key(|(_, path, _)| path.ends_with(['/', '*']));
        self
    }

    /// Adds a route that changes something, as [`Routes::on`] does, which a web page of another
    /// machine may not ask for.
    #[must_use]
    pub fn changing<F, A>(self, method: Method, path: &'static str, handler: F) -> Routes
    where
        F: Fn(Request<Incoming>, Tail) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        self.on(method, path, move |request, tail| {
            if is_foreign(request.headers()) {
                Either::Left(std::future::ready(Reply::problem(StatusCode::FORBIDDEN, FOREIGN)))
            } else {
                Either::Right(handler(request, tail))
            }
        })
    }

    /// The methods and paths that have handlers, in the order they were added.
    pub fn list(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.entries.iter().map(|(method, path, _)| (method, *path))
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>) -> Reply {
        let (method, path) = (request.method(), request.uri().path());
        let is_head = method == Method::HEAD;
        let wanted = if is_head { &Method::GET } else { method };
        let found = self
            .entries
            .iter()
            .filter(|(method, ..)| method == wanted)
            .find_map(|(_, route, handler)| Some((tail_of(path, route)?.to_owned(), handler)));
        if let Some((tail, handler)) = found {
            if is_head {
                // Only GET can become a WebSocket (RFC 6455, 4.1).
                request.headers_mut().remove(UPGRADE);
                return handler(request, tail).await.without_events();
            }
            return handler(request, tail).await;
        }
        let Some(allowed) = self.allowed(path) else {
            return Reply::problem(StatusCode::NOT_FOUND, "there is nothing at this path");
        };
        let mut reply = if method == Method::OPTIONS {
            Reply::no_content(Outcome::Overhead)
        } else {
            Reply::problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not take this method; see the Allow header",
            )
        };
        reply.response.headers_mut().insert(ALLOW, allowed);
        reply
    }

    /// The methods that a path takes; `None` if there is nothing at the path.
    fn allowed(&self, path: &str) -> Option<HeaderValue> {
        let covering = self.entries.iter().filter(|(_, route, _)| tail_of(path, route).is_some());
        let mut methods: Vec<&str> = Vec::new();
        for (method, ..) in covering {
            if !methods.contains(&method.as_str()) {
                methods.push(method.as_str());
                if method == Method::GET {
                    methods.push("HEAD");
                }
            }
        }
        if methods.is_empty() {
            return None;
        }
        methods.push("OPTIONS");
        Some(HeaderValue::from_str(&methods.join(", ")).expect("methods are tokens"))
    }
}

/// What follows `route` in `path`, if the route covers the path.
fn tail_of<'a>(path: &'a str, route: &str) -> Option<&'a str> {
    if let Some(start) = route.strip_suffix('*') {
        return path.strip_prefix(start);
    }
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
    use super::{Routes, tail_of};
    use crate::wire::reply::Reply;
    use crate::wire::tally::Outcome;
    use http::Method;

    #[test]
    fn a_path_allows_what_is_handled_and_what_follows_from_it() {
        let handler = |_, _| std::future::ready(Reply::no_content(Outcome::Overhead));
        let routes = Routes::new()
            .on(Method::GET, "/a/latest", handler)
            .on(Method::GET, "/a/", handler)
            .on(Method::DELETE, "/a/", handler)
            .on(Method::PUT, "/b", handler);
        let allowed = |path| routes.allowed(path);
        assert_eq!(allowed("/a/latest").expect("a path"), "GET, HEAD, DELETE, OPTIONS");
        assert_eq!(allowed("/b").expect("a path"), "PUT, OPTIONS");
        assert_eq!(allowed("/a"), None);
    }

    #[test]
    fn routes_take_no_tail_or_a_segment_or_everything() {
        for path in ["/", "/a", "/a/b/"] {
            assert_eq!(tail_of(path, "/*"), Some(&path[1..]));
        }
        assert_eq!(tail_of("*", "/*"), None);
        assert_eq!(tail_of("/v1/events", "/v1/events"), Some(""));
        assert_eq!(tail_of("/v1/events/7", "/v1/events"), None);
        assert_eq!(tail_of("/v1/subscriptions/7", "/v1/subscriptions/"), Some("7"));
        assert_eq!(tail_of("/v1/subscriptions/", "/v1/subscriptions/"), None);
        assert_eq!(tail_of("/v1/subscriptions/7/8", "/v1/subscriptions/"), None);
    }
}
