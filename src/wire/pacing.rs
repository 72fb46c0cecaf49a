//! What a server's answer says about when to come again, as a client reads it.
//!
//! | field | meaning | source |
//! | --- | --- | --- |
//! | `Retry-After` | nothing before this | RFC 9110 §10.2.3 |
//! | `RateLimit` | what is left, and when there is more | draft-ietf-httpapi-ratelimit-headers-10 §5 |
//! | `X-RateLimit-Remaining`, `X-RateLimit-Reset` | the same, as many APIs write it | GitHub and others |
//! | `X-Poll-Interval` | poll no more often than this | GitHub's events API |
//!
//! A server may write anything into these. What cannot be understood counts as absent, and no
//! wait is longer than [`LONGEST_WAIT`].

use std::time::{Duration, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::limit::{RATELIMIT, X_RATELIMIT_REMAINING, X_RATELIMIT_RESET};

/// The shortest time between polls that a server asks for, in seconds, as GitHub writes it.
pub const X_POLL_INTERVAL: HeaderName = HeaderName::from_static("x-poll-interval");

/// The longest a server is obeyed at a time.
pub const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// A reset beyond this is a moment in seconds since 1970, below it a span: 2001, or 32 years.
const EPOCH_SECONDS: u64 = 1_000_000_000;

/// Whether a client does what servers ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Obedience {
    /// It waits as it is told.
    #[default]
    Obey,
    /// It comes when it likes.
    Ignore,
}

/// What one answer asks of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// How long to make no request.
    pub pause: Option<Duration>,
    /// The shortest time from one poll to the next.
    pub poll_interval: Option<Duration>,
}

impl Advice {
    /// Reads the fields of an answer that came `now` by the wall clock.
    ///
    /// `Retry-After` goes before the rate-limit fields, as their draft demands, and those count
    /// only once nothing is left.
    #[must_use]
    pub fn read(headers: &HeaderMap, now: Timestamp) -> Advice {
        let pause = retry_after(headers, now)
            .or_else(|| exhausted_ratelimit(headers))
            .or_else(|| exhausted_x_ratelimit(headers, now));
        let poll_interval = text(headers, &X_POLL_INTERVAL).and_then(number).map(seconds);
        Advice { pause, poll_interval }
    }

    /// What a client of that disposition takes from it.
    #[must_use]
    pub fn heard(self, obedience: Obedience) -> Advice {
        match obedience {
            Obedience::Obey => self,
            Obedience::Ignore => Advice::default(),
        }
    }
}

/// How long `Retry-After` asks to wait: seconds, or a date in any of HTTP's three forms.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    if let Some(delta) = number(text) {
        return Some(seconds(delta));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(since_1970(now)).min(LONGEST_WAIT))
}

/// The wait if a `RateLimit` item has nothing left; the longest of several.
fn exhausted_ratelimit(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(RATELIMIT).iter().filter_map(|value| value.to_str().ok());
    let items = lines.flat_map(|line| outside_quotes(line, ','));
    let wait = |item: &str| {
        let parameters = outside_quotes(item, ';');
        let parameter = |name: &str| {
            let mut values = parameters.iter().skip(1).filter_map(|text| text.split_once('='));
            values.find(|(key, _)| key.trim() == name).and_then(|(_, value)| number(value.trim()))
        };
        (parameter("r")? == 0).then_some(seconds(parameter("t")?))
    };
    items.filter_map(wait).max()
}

/// The wait if `X-RateLimit-Remaining` is zero.
fn exhausted_x_ratelimit(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if number(text(headers, &X_RATELIMIT_REMAINING)?)? > 0 {
        return None;
    }
    let reset = number(text(headers, &X_RATELIMIT_RESET)?)?;
    if reset < EPOCH_SECONDS {
        return Some(seconds(reset));
    }
    Some(Duration::from_secs(reset).saturating_sub(since_1970(now)).min(LONGEST_WAIT))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A number of digits alone; one that is too large is the largest there is.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number).min(LONGEST_WAIT)
}

fn since_1970(now: Timestamp) -> Duration {
    Duration::try_from(now.as_duration()).unwrap_or_default()
}

/// The parts between separators that are not inside a quoted string (RFC 9651 §3.3.3).
fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let separates = |c: char| {
        let separates = c == separator && !is_quoted;
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        separates
    };
    text.split(separates).collect()
}

#[cfg(test)]
mod tests {
    use super::{Advice, LONGEST_WAIT, Obedience, retry_after};
    use crate::clock::Moment;
    use crate::wire::limit::{Limiter, RateLimit};
    use http::header::{HeaderMap, HeaderName, HeaderValue};
    use jiff::Timestamp;
    use proptest::prelude::{any, prop, prop_assert, proptest};
    use std::time::Duration;

    /// 1994-11-06 08:49:37, the date of RFC 9110's examples.
    const NOW: i64 = 784_111_777;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).expect("a second")
    }

    fn read(fields: &[(&'static str, &str)]) -> Advice {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("text"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        Advice::read(&headers, now())
    }

    fn pause(fields: &[(&'static str, &str)]) -> Option<u64> {
        read(fields).pause.map(|pause| pause.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_in_three_forms() {
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST_WAIT.as_secs())),
            ("99999999999999999999999999", Some(LONGEST_WAIT.as_secs())),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("Sun, 06 Nov 1994 08:50:37 CET", None),
        ] {
            assert_eq!(pause(&[("retry-after", value)]), seconds, "{value}");
        }
    }

    #[test]
    fn an_exhausted_limit_is_waited_for() {
        for (value, seconds) in [
            ("\"default\";r=0;t=30", Some(30)),
            ("\"default\";r=1;t=30", None),
            ("\"a\";r=5;t=1, \"b\";t=7;r=0", Some(7)),
            ("\"a\";r=0;t=9, \"b\";r=0;t=7", Some(9)),
            ("\"a;r=0;t=5\";r=3;t=1", None),
            ("\"a\\\";r=0;t=5,\";r=0;t=2", Some(2)),
            ("default ; r=0 ; t=3", Some(3)),
            ("\"default\";r=0", None),
            ("\"default\";r=-1;t=3", None),
            ("\"default\";r=0;t=99999999999999999999", Some(LONGEST_WAIT.as_secs())),
            ("r=0;t=5", None),
            ("\"", None),
        ] {
            assert_eq!(pause(&[("ratelimit", value)]), seconds, "{value}");
        }
        let lines = [("ratelimit", "\"a\";r=0;t=4"), ("ratelimit", "\"b\";r=0;t=6")];
        assert_eq!(pause(&lines), Some(6));
    }

    #[test]
    fn the_older_fields_give_a_span_or_a_moment() {
        let x = |remaining, reset| {
            pause(&[("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)])
        };
        assert_eq!(x("0", "60"), Some(60));
        assert_eq!(x("1", "60"), None);
        assert_eq!(x("0", "soon"), None);
        assert_eq!(pause(&[("x-ratelimit-remaining", "0")]), None);
        let later = Timestamp::from_second(1_700_000_000).expect("a second");
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining", 0.into());
        for (reset, seconds) in [(1_700_000_042_u64, 42), (1_600_000_000, 0), (u64::MAX, 86_400)] {
            headers.insert("x-ratelimit-reset", reset.into());
            let pause = Advice::read(&headers, later).pause;
            assert_eq!(pause, Some(Duration::from_secs(seconds)), "{reset}");
        }
    }

    #[test]
    fn retry_after_goes_before_the_limits() {
        let fields = [("ratelimit", "\"a\";r=0;t=50"), ("retry-after", "10")];
        assert_eq!(pause(&fields), Some(10));
        let fields = [("ratelimit", "\"a\";r=0;t=50"), ("retry-after", "nonsense")];
        assert_eq!(pause(&fields), Some(50));
    }

    #[test]
    fn poll_intervals_are_no_pauses() {
        let advice = read(&[("x-poll-interval", "60")]);
        let expected = Advice { pause: None, poll_interval: Some(Duration::from_mins(1)) };
        assert_eq!(advice, expected);
        assert_eq!(read(&[("x-poll-interval", "often")]), Advice::default());
        assert_eq!(advice.heard(Obedience::Obey), advice);
        assert_eq!(advice.heard(Obedience::Ignore), Advice::default());
    }

    #[test]
    fn what_our_source_says_is_understood() {
        let rate = "1/min".parse().expect("a rate");
        let limiter = Limiter::new(RateLimit { rate, burst: 1 });
        let _ = limiter.decide("a", Moment::default());
        let refusal = limiter.decide("a", Moment::default()).refusal(now()).response;
        for removed in ["", "retry-after", "ratelimit"] {
            let mut headers = refusal.headers().clone();
            headers.remove(removed);
            let advice = Advice::read(&headers, now());
            assert_eq!(advice.pause, Some(Duration::from_mins(1)), "without `{removed}`");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_server_writes_does_harm(
            name in prop::sample::select(vec![
                "retry-after", "ratelimit", "x-ratelimit-reset", "x-poll-interval",
            ]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            second in -1_000_000_i64..4_000_000_000,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("x-ratelimit-remaining", 0.into());
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert(name, value);
            }
            let now = Timestamp::from_second(second).expect("a second");
            let advice = Advice::read(&headers, now);
            prop_assert!(advice.pause.is_none_or(|pause| pause <= LONGEST_WAIT));
            prop_assert!(advice.poll_interval.is_none_or(|interval| interval <= LONGEST_WAIT));
        }

        #[test]
        fn items_of_any_punctuation_are_read(text in "[\"\\\\;,=rt0-9 a]{0,60}") {
            let advice = read(&[("ratelimit", &text)]);
            prop_assert!(advice.pause.is_none_or(|pause| pause <= LONGEST_WAIT));
        }

        #[test]
        fn every_number_of_seconds_is_that_many(seconds in 0..86_400_u64) {
            let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, seconds.into())]);
            prop_assert!(retry_after(&headers, now()) == Some(Duration::from_secs(seconds)));
        }
    }
}
