//! What stands before a source's routes: who may come in, and how often.

use std::time::Duration;

use http::header::HeaderMap;
use http::{Method, Request};
use hyper::body::Incoming;

use crate::clock;
use crate::wire::auth::{Auth, Gatekeeper, Keyring, TOKEN_PATH, TokenEndpoint};
use crate::wire::body;
use crate::wire::bounds::TOKEN_REQUEST_LIMIT;
use crate::wire::limit::{Decision, Limiter, RateLimit};
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;

/// The life of a token that a source issues.
///
/// Short, so that a trial of usual length sees tokens renewed.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(30);

/// What answers without credentials and without counting against a limit: where tokens come
/// from, and what a source says of itself.
pub const OPEN_PATHS: [&str; 4] = [TOKEN_PATH, "/healthz", "/metrics", "/openapi.json"];

/// Stands before the routes of a lane.
#[derive(Debug)]
pub struct Guard {
    auth: Auth,
    gatekeeper: Gatekeeper,
    limiter: Option<Limiter>,
    keyring: Keyring,
}

/// A request that may go on, and what is left of its quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted(Option<Decision>);

impl Guard {
    /// A guard for these settings; `None` if everybody may come in at any time.
    #[must_use]
    pub fn new(auth: Auth, limit: Option<RateLimit>, keyring: &Keyring) -> Option<Guard> {
        (auth != Auth::None || limit.is_some()).then(|| Guard {
            auth,
            gatekeeper: Gatekeeper::new(auth, keyring.clone()),
            limiter: limit.map(Limiter::new),
            keyring: keyring.clone(),
        })
    }

    /// Adds the endpoint that issues tokens, if there are tokens.
    pub(crate) fn with_tokens(&self, routes: Routes) -> Routes {
        if self.auth != Auth::OAuth2 {
            return routes;
        }
        let endpoint = TokenEndpoint::new(self.keyring.clone(), TOKEN_LIFETIME);
        routes.on(Method::POST, TOKEN_PATH, move |request: Request<Incoming>, _| {
            let endpoint = endpoint.clone();
            async move {
                let (head, incoming) = request.into_parts();
                match body::receive(incoming, TOKEN_REQUEST_LIMIT).await {
                    Ok(body) => endpoint.answer(&head.headers, &body.bytes, clock::wall()),
                    Err(error) => Reply::unreadable(&error),
                }
            }
        })
    }

    /// Lets a request go on, or answers it.
    pub(crate) fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Admitted, Box<Reply>> {
        if OPEN_PATHS.contains(&path) {
            return Ok(Admitted(None));
        }
        let principal = self
            .gatekeeper
            .admit(headers, clock::wall())
            .map_err(|refusal| Box::new(refusal.reply()))?;
        let Some(limiter) = &self.limiter else { return Ok(Admitted(None)) };
        let decision = limiter.decide(&principal.0, clock::now());
        if decision.refused.is_some() {
            return Err(Box::new(decision.refusal(clock::wall())));
        }
        Ok(Admitted(Some(decision)))
    }
}

impl Admitted {
    /// Tells the client what is left of its quota.
    pub(crate) fn describe(self, mut reply: Reply) -> Reply {
        if let Some(decision) = self.0 {
            decision.describe(&mut reply.response, clock::wall());
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::Guard;
    use crate::units::Rate;
    use crate::wire::auth::{Auth, Keyring, Presenter, Step};
    use crate::wire::limit::RateLimit;
    use crate::wire::tally::Outcome;
    use http::StatusCode;
    use http::header::HeaderMap;

    fn admits(guard: &Guard, path: &str, headers: &HeaderMap) -> Result<(), (StatusCode, Outcome)> {
        guard
            .admit(path, headers)
            .map(|_| ())
            .map_err(|reply| (reply.response.status(), reply.outcome))
    }

    #[test]
    fn only_the_right_key_comes_in() {
        let keyring = Keyring::random("a client");
        let guard = Guard::new(Auth::ApiKey, None, &keyring).expect("a guard");
        let refused = Err((StatusCode::UNAUTHORIZED, Outcome::Failed));
        assert_eq!(admits(&guard, "/v1/events", &HeaderMap::new()), refused);
        assert_eq!(admits(&guard, "/healthz", &HeaderMap::new()), Ok(()));
        for (keyring, expected) in [(keyring, Ok(())), (Keyring::random("a client"), refused)] {
            let presenter = Presenter::new(Auth::ApiKey, keyring);
            let Step::Send(Some((name, value))) = presenter.step(crate::clock::wall()) else {
                panic!("a key is sent at once");
            };
            let headers = HeaderMap::from_iter([(name, value)]);
            assert_eq!(admits(&guard, "/v1/events", &headers), expected);
        }
    }

    #[test]
    fn who_asks_too_often_is_told_so_and_counted_apart() {
        let rate = Rate::per_second(0.001).expect("a rate");
        let limit = Some(RateLimit { rate, burst: 2 });
        let guard = Guard::new(Auth::None, limit, &Keyring::random("anybody")).expect("a guard");
        let ask = || admits(&guard, "/v1/events", &HeaderMap::new());
        assert_eq!((ask(), ask()), (Ok(()), Ok(())));
        assert_eq!(ask(), Err((StatusCode::TOO_MANY_REQUESTS, Outcome::RateLimited)));
    }

    #[test]
    fn an_open_door_needs_no_guard() {
        assert!(Guard::new(Auth::None, None, &Keyring::random("anybody")).is_none());
    }
}
