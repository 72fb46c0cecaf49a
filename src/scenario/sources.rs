//! The texts a scenario is read from, addressed as one.
//!
//! A scenario is one file and any number of values given beside it. Every text gets a stretch
//! of one row of offsets, so a value keeps its place wherever it is moved to, and an error
//! about it finds the text it came from.

use std::ops::Range;

/// A place in one of the texts: bytes counted over all of them.
pub(crate) type Span = Range<usize>;

/// The texts, in the order they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<Source>);

/// One text.
#[derive(Clone, Debug)]
struct Source {
    /// What an error calls it: a path, or an option such as `--set`.
    origin: String,
    /// The text itself.
    text: String,
    /// The offset of its first byte.
    start: usize,
}

/// The lines a place lies on.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'s> {
    /// What an error calls their text.
    pub(crate) origin: &'s str,
    /// The lines.
    pub(crate) text: &'s str,
    /// The number of the first, counted from one.
    pub(crate) first: usize,
    /// The place, in bytes of these lines.
    pub(crate) within: Span,
}

impl Sources {
    /// Adds a text and returns the offset of its first byte.
    pub(crate) fn add(&mut self, origin: impl Into<String>, text: impl Into<String>) -> usize {
        // One byte more than the text, so that its end is not the start of the next one.
        let start = self.0.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.0.push(Source { origin: origin.into(), text: text.into(), start });
        start
    }

    /// The text a place lies in, and the place within it, at character boundaries.
    fn locate(&self, span: &Span) -> Option<(&Source, Span)> {
        let source = self.0.iter().rev().find(|source| source.start <= span.start)?;
        let within = |offset: usize| {
            source.text.floor_char_boundary((offset - source.start).min(source.text.len()))
        };
        let start = within(span.start);
        Some((source, start..within(span.end.max(span.start))))
    }

    /// The lines a place lies on.
    pub(crate) fn lines(&self, span: &Span) -> Option<Lines<'_>> {
        let (source, within) = self.locate(span)?;
        let start = source.text[..within.start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = source.text[within.end..].find('\n');
        let end = rest.map_or(source.text.len(), |newline| within.end + newline);
        Some(Lines {
            origin: &source.origin,
            text: &source.text[start..end],
            first: source.text[..start].matches('\n').count() + 1,
            within: within.start - start..within.end - start,
        })
    }

    /// The origin, line and column of a place, both counted from one, in characters.
    pub(crate) fn position(&self, span: &Span) -> Option<(&str, usize, usize)> {
        let lines = self.lines(span)?;
        let column = lines.text[..lines.within.start].chars().count() + 1;
        Some((lines.origin, lines.first, column))
    }
}

#[cfg(test)]
mod tests {
    use super::Sources;

    #[test]
    fn a_place_is_found_in_the_text_it_came_from() {
        let mut sources = Sources::default();
        assert_eq!(sources.add("first.toml", "a = 1\nbé = 2"), 0);
        let second = sources.add("--set", "x=3");
        assert_eq!(sources.position(&(6..8)), Some(("first.toml", 2, 1)));
        assert_eq!(sources.position(&(second + 2..second + 3)), Some(("--set", 1, 3)));
        let end = "a = 1\nbé = 2".len();
        assert_eq!(sources.position(&(end..end)), Some(("first.toml", 2, 7)));
    }

    #[test]
    fn a_place_inside_a_character_or_beyond_the_text_is_moved_to_its_edge() {
        let mut sources = Sources::default();
        sources.add("first.toml", "é");
        let (_, within) = sources.locate(&(1..9)).expect("the only text");
        assert_eq!(within, 0..2);
        assert!(Sources::default().locate(&(0..1)).is_none());
    }
}
