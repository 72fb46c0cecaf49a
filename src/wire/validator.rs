//! Entity tags and conditional requests (RFC 9110, 8.8.3 and 13.1.2).

use http::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};

/// A strong entity tag: two representations of a resource have the same one if and only if
/// they are the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag(HeaderValue);

impl EntityTag {
    /// The tag with this text between its quotes.
    ///
    /// # Panics
    ///
    /// When the text holds anything but visible ASCII without quotes.
    #[must_use]
    pub fn new(opaque: &str) -> EntityTag {
        let plain = opaque.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        assert!(plain, "an entity tag is visible ASCII without quotes");
        let tag = HeaderValue::try_from(format!("\"{opaque}\""));
        EntityTag(tag.expect("visible ASCII is a header's value"))
    }

    /// As the `ETag` of a response, or the `If-None-Match` of a request.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Whether a request says that its sender holds this representation, which is then answered
    /// 304 (RFC 9110, 13.1.2: a weak comparison, `*` matches any).
    #[must_use]
    pub fn is_held(&self, request: &HeaderMap) -> bool {
        request.get_all(IF_NONE_MATCH).iter().any(|value| names(value.as_bytes(), &self.0))
    }
}

/// Whether a list of entity tags names `tag`; what follows a malformed tag is not read.
fn names(list: &[u8], tag: &HeaderValue) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while !rest.is_empty() {
        let strong = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(end) = strong
            .strip_prefix(b"\"")
            .and_then(|inner| inner.iter().position(|byte| *byte == b'"'))
        else {
            return false;
        };
        // Both quotes, and what is between them.
        let (candidate, behind) = strong.split_at(end + 2);
        if candidate == tag.as_bytes() {
            return true;
        }
        rest = behind.trim_ascii_start();
        match rest.strip_prefix(b",") {
            Some(next) => rest = next.trim_ascii_start(),
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::EntityTag;
    use http::header::{HeaderMap, IF_NONE_MATCH};

    fn is_held(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_NONE_MATCH, line.parse().expect("a header's value"));
        }
        EntityTag::new("a-1").is_held(&headers)
    }

    #[test]
    fn a_tag_in_the_list_is_held() {
        for lines in [
            &["\"a-1\""][..],
            &["W/\"a-1\""],
            &["\"x\", \"a-1\""],
            &["\"x,y\",W/\"z\" ,  \"a-1\"  "],
            &["\"x\"", "\"a-1\""],
            &["*"],
        ] {
            assert!(is_held(lines), "{lines:?}");
        }
    }

    #[test]
    fn other_tags_and_nonsense_are_not_held() {
        for lines in [
            &[][..],
            &[""],
            &["a-1"],
            &["\"a-1"],
            &["\"a-12\""],
            &["\"x\" \"a-1\""],
            &["w/\"a-1\""],
            &["\"\""],
            &["x, \"a-1\""],
            &["\"*\""],
        ] {
            assert!(!is_held(lines), "{lines:?}");
        }
    }

    #[test]
    #[should_panic(expected = "without quotes")]
    fn a_tag_cannot_hold_quotes() {
        let _ = EntityTag::new("a\"b");
    }
}
