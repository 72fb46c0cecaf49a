//! The `Prefer` header's `wait`: how long a client would have the server think (RFC 7240, 4.3).

use std::time::Duration;

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};

/// What a client would like (RFC 7240, 2).
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Which of it was done (RFC 7240, 3).
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The `wait` of a request's preferences, in whole seconds; the first one counts, and an
/// unreadable one is none.
#[must_use]
pub fn wait(request: &HeaderMap) -> Option<Duration> {
    let lines = request.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let value = lines.flat_map(preferences).find_map(|preference| {
        // Parameters may follow behind a semicolon; `wait` has none.
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    })?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let digits = quoted.unwrap_or(value);
    let seconds = digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(digits)?;
    // More seconds than a number holds are as good as any that the server would cut off.
    (!seconds.is_empty()).then(|| Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)))
}

/// The preference to be kept waiting for `hold`, of which whole seconds count; it also says
/// which wait was applied.
#[must_use]
pub fn waiting(hold: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("wait={}", hold.as_secs())).expect("a number is plain text")
}

/// The members of a list, split at the commas outside quotes.
fn preferences(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::{PREFER, wait, waiting};
    use http::header::HeaderMap;
    use std::time::Duration;

    fn read(lines: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, line.parse().expect("a header's value"));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_found_among_preferences() {
        for (lines, seconds) in [
            (&["wait=30"][..], 30),
            (&["respond-async, WAIT = 5"], 5),
            (&["handling=lenient; x=1, wait=\"7\"; y"], 7),
            (&["a=\"b, wait=1\", wait=2"], 2),
            (&["return=minimal", "wait=0"], 0),
            (&["wait=3, wait=4"], 3),
            (&["wait=99999999999999999999999"], u64::MAX),
        ] {
            assert_eq!(read(lines), Some(seconds), "{lines:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(PREFER, waiting(Duration::from_secs(30)));
        assert_eq!(wait(&headers), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_no_wait_is_none() {
        for lines in
            [&[][..], &[""], &["wait"], &["wait="], &["wait=-1"], &["wait=1.5"], &["waiting=3"]]
        {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}
