//! Which pages of a browser a request comes from.

use http::header::{HeaderMap, HeaderValue, ORIGIN};
use http::uri::Uri;

/// What such a page is told that asks for a change.
pub const FOREIGN: &str = "a web page of another machine may not ask for this";

/// Whether a request was made by a web page that is not of this machine.
///
/// A browser lets any page post to any address, this machine's own included, and only hides the
/// answer from it (Fetch, "simple requests"); it names the page's origin (RFC 6454), and other
/// clients name none. A `Host` that agrees proves nothing: a name can be made to lead here once the
/// page is loaded (DNS rebinding).
#[must_use]
pub fn is_foreign(headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().any(|origin| !is_local(origin))
}

fn is_local(origin: &HeaderValue) -> bool {
    let Some(uri) = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else {
        return false;
    };
    // An origin has a scheme, or is the word `null`, which would read as a host.
    let Some(host) = uri.scheme().and(uri.host()) else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_foreign;
    use http::header::{HeaderMap, HeaderValue, ORIGIN};

    #[test]
    fn only_pages_of_this_machine_and_those_who_are_none_are_at_home() {
        assert!(!is_foreign(&HeaderMap::new()));
        for (origin, foreign) in [
            ("http://localhost:3000", false),
            ("https://LOCALHOST", false),
            ("http://127.0.0.1:8080", false),
            ("http://127.8.9.1", false),
            ("http://[::1]:8080", false),
            ("https://example.com", true),
            ("http://localhost.example.com", true),
            ("http://127.0.0.1.example.com", true),
            ("http://[::2]", true),
            ("null", true),
            ("localhost", true),
            ("", true),
            ("file://", true),
        ] {
            let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
            assert_eq!(is_foreign(&headers), foreign, "{origin}");
        }
        let both = [(ORIGIN, "http://localhost"), (ORIGIN, "https://example.com")];
        let mut headers = HeaderMap::new();
        for (name, value) in both {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert!(is_foreign(&headers));
    }
}
