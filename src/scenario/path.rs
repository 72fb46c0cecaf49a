//! The path of a setting: `events.rate`, `strategy."poll every second".every`.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// The keys that lead to a value, outermost first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    /// Reads keys as TOML writes them: bare, or in quotes, joined by dots.
    ///
    /// `None` when the text is anything else.
    pub(crate) fn parse(text: &str) -> Option<Path> {
        if text.contains(['\n', '#']) && !text.contains(['"', '\'']) {
            return None;
        }
        // TOML's own reader knows every way of writing a key; the value is only there for it.
        let document = format!("{text} = 0");
        let root = DeTable::parse(&document).ok()?;
        let mut table = root.get_ref();
        let mut keys = Vec::new();
        loop {
            let mut entries = table.iter();
            let (key, value) = entries.next()?;
            if entries.next().is_some() {
                return None;
            }
            keys.push(key.get_ref().clone().into_owned());
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                DeValue::Integer(_) => return Some(Path(keys)),
                _ => return None,
            }
        }
    }

    /// The keys, for matching.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

impl fmt::Display for Path {
    /// As it is written in a scenario, keys in quotes where they need them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, key) in self.0.iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            write!(f, "{dot}{}", written(key))?;
        }
        Ok(())
    }
}

/// A key as TOML writes it.
pub(crate) fn written(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        // JSON's escapes are TOML's, but for one character that JSON leaves alone.
        let json = serde_json::Value::from(key).to_string();
        json.replace('\u{7f}', "\\u007F")
    }
}

#[cfg(test)]
mod tests {
    use super::Path;
    use proptest::prelude::{any, proptest};

    #[test]
    fn paths_read_bare_and_quoted_keys() {
        for (text, keys) in [
            ("events.rate", &["events", "rate"][..]),
            (r#"strategy."poll every second".every"#, &["strategy", "poll every second", "every"]),
            ("strategy.'a.b#c'.every", &["strategy", "a.b#c", "every"]),
            (" run . warm-up ", &["run", "warm-up"]),
            ("title", &["title"]),
        ] {
            assert_eq!(
                Path::parse(text).map(|path| path.0),
                Some(keys.iter().map(|k| (*k).to_owned()).collect()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_no_paths() {
        for text in
            ["", ".", "a.", "a b", "a=1\nb", "[a]\nb", "#a", "a = 1 #", "\"a", "a = {} \n b"]
        {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_keys_survive_a_round_trip(keys in proptest::collection::vec(any::<String>(), 1..4)) {
            let path = Path(keys);
            assert_eq!(Path::parse(&path.to_string()), Some(path));
        }
    }
}
