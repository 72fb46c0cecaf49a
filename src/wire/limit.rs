//! Rate limits at the source: how many requests each key may make, and what the answers say.
//!
//! The generic cell rate algorithm (ITU-T I.371): a key may spend a burst at once and then one
//! request an interval; it needs one number a key and no timer. It is written here rather than
//! taken from a crate because time comes in as a value, as everywhere in this program, and
//! because a decision must also say what is left.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::units::{Rate, RateText};
use crate::wire::reply::Reply;
use crate::wire::tally::Outcome;

/// The policy in force (draft-ietf-httpapi-ratelimit-headers-10 §4).
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it (draft-ietf-httpapi-ratelimit-headers-10 §5).
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// How many requests may be made at once, as many APIs write it.
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// How many of them are left, as many APIs write it.
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// When there are more again, in seconds since 1970, as GitHub writes it.
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The most keys a limiter tells apart.
const MOST_KEYS: usize = 20_000;

/// The key that all share that there was no room for.
const OVERFLOW: &str = "";

/// How often a key may ask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests in the long run.
    #[schemars(with = "RateText")]
    pub rate: Rate,
    /// Requests that may be made at once after a pause.
    #[schemars(range(min = 1))]
    pub burst: u32,
}

impl RateLimit {
    /// How long it takes until the whole burst is there again.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.rate.interval().saturating_mul(self.burst)
    }
}

/// What a limiter says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How long to wait before the next request, if this one is refused.
    pub refused: Option<Duration>,
    /// How many requests may be made at once after a pause.
    pub limit: u32,
    /// How many more may be made now.
    pub remaining: u32,
    /// How long until one more may be made if none is left, else until all may be.
    pub reset: Duration,
    /// How long that takes from nothing.
    window: Duration,
}

/// Limits how often each key may ask.
#[derive(Debug)]
pub struct Limiter {
    settings: RateLimit,
    /// For each key the moment from which its burst is whole.
    whole: Mutex<HashMap<String, Moment>>,
    most_keys: usize,
}

impl Limiter {
    /// A limiter that has seen no key yet. A burst below one counts as one.
    #[must_use]
    pub fn new(settings: RateLimit) -> Limiter {
        let settings = RateLimit { burst: settings.burst.max(1), ..settings };
        Limiter { settings, whole: Mutex::default(), most_keys: MOST_KEYS }
    }

    /// Decides about a request that a key makes `now`; a refused request costs nothing.
    ///
    /// Keys that have not asked for a while are forgotten, which changes nothing for them. When
    /// there is no room even so, new keys share one limit: neither memory nor the rate of the
    /// crowd grows.
    pub fn decide(&self, key: &str, now: Moment) -> Decision {
        let interval = self.settings.rate.interval();
        let window = self.settings.window();
        let mut keys = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= self.most_keys && !keys.contains_key(key) {
            keys.retain(|_, whole| *whole > now);
        }
        let is_known = keys.contains_key(key) || keys.len() < self.most_keys;
        let key = if is_known { key } else { OVERFLOW };
        let whole = keys.get(key).copied().unwrap_or(now).max(now);
        let after = whole.after(interval).since(now);
        let refused = after.checked_sub(window).filter(|wait| !wait.is_zero());
        let spent = if refused.is_none() {
            keys.insert(key.to_owned(), now.after(after));
            after
        } else {
            whole.since(now)
        };
        let left = window.saturating_sub(spent).as_nanos() / interval.as_nanos();
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        let reset = if remaining == 0 { (spent + interval).saturating_sub(window) } else { spent };
        Decision { refused, limit: self.settings.burst, remaining, reset, window }
    }
}

impl Decision {
    /// Adds the fields that tell a client where it stands, `now` by the wall clock.
    ///
    /// Refusals have `Retry-After` in whole seconds, rounded up (RFC 9110 §10.2.3).
    pub fn describe<B>(&self, response: &mut Response<B>, now: Timestamp) {
        let headers: &mut HeaderMap = response.headers_mut();
        let (limit, remaining) = (self.limit, self.remaining);
        let window = whole_seconds(self.window);
        let until = whole_seconds(self.reset);
        headers.insert(RATELIMIT_POLICY, text(&format!("\"default\";q={limit};w={window}")));
        headers.insert(RATELIMIT, text(&format!("\"default\";r={remaining};t={until}")));
        headers.insert(X_RATELIMIT_LIMIT, limit.into());
        headers.insert(X_RATELIMIT_REMAINING, remaining.into());
        let reset = now.as_second().saturating_add_unsigned(until);
        headers.insert(X_RATELIMIT_RESET, reset.into());
        if let Some(wait) = self.refused {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
    }

    /// The answer to a refused request: 429 (RFC 6585 §4) with the same fields.
    #[must_use]
    pub fn refusal(&self, now: Timestamp) -> Reply {
        let detail = "too many requests; `retry-after` says when to come again";
        let mut reply = Reply::problem(StatusCode::TOO_MANY_REQUESTS, detail);
        self.describe(&mut reply.response, now);
        Reply { outcome: Outcome::RateLimited, ..reply }
    }
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).expect("digits and punctuation")
}

/// Seconds, rounded up: who comes back then is not too early.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::{
        Limiter, RATELIMIT, RATELIMIT_POLICY, RateLimit, X_RATELIMIT_LIMIT, X_RATELIMIT_REMAINING,
        X_RATELIMIT_RESET,
    };
    use crate::clock::Moment;
    use http::StatusCode;
    use http::header::RETRY_AFTER;
    use jiff::Timestamp;
    use proptest::prelude::{prop, prop_assert, proptest};
    use std::time::Duration;

    fn limiter(rate: &str, burst: u32) -> Limiter {
        Limiter::new(RateLimit { rate: rate.parse().expect("a rate"), burst })
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_nanoseconds(1).after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_burst_is_spent_at_once_and_comes_back_one_by_one() {
        let limiter = limiter("2/s", 3);
        let remaining: Vec<u32> = (0..3).map(|_| limiter.decide("a", at(0)).remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = limiter.decide("a", at(0));
        assert_eq!((refused.refused, refused.remaining), (Some(Duration::from_millis(500)), 0));
        assert_eq!(refused.reset, Duration::from_millis(500));
        assert!(limiter.decide("a", at(499)).refused.is_some());
        assert_eq!(limiter.decide("a", at(500)).refused, None, "refusals cost nothing");
        assert!(limiter.decide("a", at(500)).refused.is_some());
        assert_eq!(limiter.decide("a", at(60_000)).remaining, 2, "no more than the burst");
    }

    #[test]
    fn keys_do_not_share_a_limit() {
        let limiter = limiter("1/min", 1);
        assert_eq!(limiter.decide("a", at(0)).refused, None);
        assert!(limiter.decide("a", at(1)).refused.is_some());
        assert_eq!(limiter.decide("b", at(1)).refused, None);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let limiter = Limiter { most_keys: 10, ..limiter("1/s", 1) };
        let admitted = |from: u32, now| {
            let keys = from..from + 100;
            keys.filter(|key| limiter.decide(&key.to_string(), at(now)).refused.is_none()).count()
        };
        // Ten with a limit of their own, and one for all the others.
        assert_eq!(admitted(0, 0), 11);
        assert!(limiter.whole.lock().expect("whole").len() <= 11);
        // Later the first are forgotten, and others have their place.
        assert_eq!(admitted(1000, 5_000), 11);
        assert!(limiter.whole.lock().expect("whole").len() <= 11);
    }

    #[test]
    fn refusals_say_when_to_come_again() {
        let limiter = limiter("2/min", 1);
        let now = Timestamp::from_second(1_000).expect("a second");
        assert_eq!(limiter.decide("a", at(0)).refused, None);
        let refusal = limiter.decide("a", at(1)).refusal(now).response;
        assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
        for (name, value) in [
            // 29.999 s, rounded up.
            (RETRY_AFTER, "30"),
            (RATELIMIT_POLICY, "\"default\";q=1;w=30"),
            (RATELIMIT, "\"default\";r=0;t=30"),
            (X_RATELIMIT_LIMIT, "1"),
            (X_RATELIMIT_REMAINING, "0"),
            (X_RATELIMIT_RESET, "1030"),
        ] {
            assert_eq!(refusal.headers()[&name], value, "{name}");
        }
        let mut answer = http::Response::new(());
        limiter.decide("b", at(1)).describe(&mut answer, now);
        assert!(!answer.headers().contains_key(RETRY_AFTER));
        assert_eq!(answer.headers()[RATELIMIT], "\"default\";r=0;t=30");
    }

    #[test]
    fn settings_are_those_of_scenario_files() {
        let read = |toml| toml::from_str::<RateLimit>(toml);
        let limit = read("rate = \"5000/h\"\nburst = 100").expect("a limit");
        assert_eq!(limit.burst, 100);
        assert!((limit.window().as_secs_f64() - 72.0).abs() < 1e-6);
        for refused in ["rate = \"1/s\"", "rate = \"1/s\"\nburst = 1\nper = 2", "burst = -1"] {
            assert!(read(refused).is_err(), "{refused}");
        }
        assert_eq!(limiter("1/s", 0).decide("a", at(0)).refused, None, "at least one at a time");
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_allow(
            gaps in prop::collection::vec(0..2_000_u64, 1..200),
            burst in 1..20_u32,
        ) {
            let limiter = limiter("4/s", burst);
            let (mut now, mut admitted) = (0, 0_u64);
            for gap in gaps {
                now += gap;
                let decision = limiter.decide("a", at(now));
                admitted += u64::from(decision.refused.is_none());
                prop_assert!(admitted <= u64::from(burst) + now / 250);
                prop_assert!(decision.remaining < burst);
                // Who waits as told is admitted.
                if let Some(wait) = decision.refused {
                    let twin = Limiter::new(limiter.settings);
                    *twin.whole.lock().expect("whole") = limiter.whole.lock().expect("whole").clone();
                    prop_assert!(twin.decide("a", at(now).after(wait)).refused.is_none());
                }
            }
        }
    }
}
