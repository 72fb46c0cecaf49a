//! Values given beside the file, as `path=value`.

use toml::Spanned;
use toml::de::DeValue;

use crate::scenario::complaint::Complaint;
use crate::scenario::document::{Node, parse_value};
use crate::scenario::path::Path;
use crate::scenario::sources::{Sources, Span};

/// A value that takes the place of one in the file, or of a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What an error calls it: the option it was given with, such as `--set`.
    pub origin: &'static str,
    /// The path, an equals sign and the value: TOML where it reads as TOML, text elsewhere.
    pub text: String,
}

/// The longest override, in bytes.
pub(crate) const LONGEST_OVERRIDE: usize = 10_000;

/// An override taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Assignment<'i> {
    /// Where the value belongs.
    pub(crate) path: Path,
    /// The place of the path.
    pub(crate) place: Span,
    /// The value.
    pub(crate) value: Node<'i>,
}

impl Override {
    /// Adds the text to the sources and takes it apart.
    pub(crate) fn read(&self, sources: &mut Sources) -> Result<Assignment<'_>, Complaint> {
        let start = sources.add(self.origin, &*self.text);
        let whole = start..start + self.text.len();
        if self.text.len() > LONGEST_OVERRIDE {
            let message = format!("a value beside the file has at most {LONGEST_OVERRIDE} bytes");
            return Err(Complaint::at(start..start, message, "write it into the scenario file"));
        }
        let Some(equals) = equals_sign(&self.text) else {
            let message = format!("`{}` gives no value", self.text);
            return Err(Complaint::at(
                whole,
                message,
                "write `path=value`, such as `events.rate=5/s`",
            ));
        };
        let place = start..start + equals;
        let path = Path::parse(&self.text[..equals]).ok_or_else(|| {
            let message = format!("`{}` is not the path of a setting", &self.text[..equals]);
            let remedy = "join keys with dots and put names with spaces in double quotes: \
                          `strategy.\"poll every second\".every=2s`";
            Complaint::at(place.clone(), message, remedy)
        })?;
        let value = value(&self.text[equals + 1..], start + equals + 1);
        Ok(Assignment { path, place, value })
    }
}

/// The first equals sign outside quotes.
fn equals_sign(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (place, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '=') => return Some(place),
            _ => {}
        }
    }
    None
}

/// The text as a TOML value if it is one, else as a string.
fn value(text: &str, start: usize) -> Node<'_> {
    let start = start + text.len() - text.trim_start().len();
    let text = text.trim();
    parse_value(text, start)
        .unwrap_or_else(|_| Spanned::new(start..start + text.len(), DeValue::String(text.into())))
}

#[cfg(test)]
mod tests {
    use super::Override;
    use crate::scenario::sources::Sources;

    fn read(text: &str) -> Result<(String, String), String> {
        let mut sources = Sources::default();
        let given = Override { origin: "--set", text: text.to_owned() };
        let assignment = given.read(&mut sources).map_err(|_| text.to_owned())?;
        let value = assignment.value.get_ref();
        let kind = value.type_str();
        let shown = value.as_str().map_or_else(|| kind.to_owned(), |text| format!("{kind} {text}"));
        Ok((assignment.path.to_string(), shown))
    }

    #[test]
    fn values_are_toml_where_they_read_as_toml() {
        for (text, path, value) in [
            ("events.rate=5/s", "events.rate", "string 5/s"),
            ("events.rate = \"5/s\"", "events.rate", "string 5/s"),
            ("run.repeats=3", "run.repeats", "integer"),
            ("strategy.\"a=b\".every=1s", "strategy.\"a=b\".every", "string 1s"),
            ("strategy.poll.keep-alive=false", "strategy.poll.keep-alive", "boolean"),
            ("sweep.\"events.rate\"=[\"1/s\"]", "sweep.\"events.rate\"", "array"),
            ("title=", "title", "string "),
            ("title=a=b", "title", "string a=b"),
            ("run.duration=1\n[events]", "run.duration", "string 1\n[events]"),
        ] {
            assert_eq!(read(text), Ok((path.to_owned(), value.to_owned())), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_assignment_are_refused() {
        let long = format!("title={}", "x".repeat(20_000));
        for text in ["", "events.rate", "=5/s", "a b=1", "\"a=1", "[a]\nb=1", long.as_str()] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
