//! What is wrong with a scenario, shown in the text that is wrong.

use std::collections::HashSet;
use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::scenario::sources::{Sources, Span};

/// One thing that is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Complaint {
    message: String,
    span: Option<Span>,
    remedy: String,
}

/// The longest message shown; user text inside it may be much longer.
const LONGEST_MESSAGE: usize = 400;

impl Complaint {
    /// A complaint about a place in one of the texts.
    pub(crate) fn at(
        span: Span,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Complaint {
        Complaint {
            message: shortened(message.into()),
            span: Some(span),
            remedy: shortened(visible(&remedy.into())),
        }
    }

    /// A complaint about a text as a whole.
    pub(crate) fn whole(message: impl Into<String>, remedy: impl Into<String>) -> Complaint {
        Complaint {
            message: shortened(message.into()),
            span: None,
            remedy: shortened(visible(&remedy.into())),
        }
    }
}

/// The text with signs for its control characters: a message and the text it points at are shown
/// so by the renderer, a remedy as it is.
fn visible(text: &str) -> String {
    let sign = |c: char| match u32::from(c) {
        0x0a => c,
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f..0xa0 => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    text.chars().map(sign).collect()
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
        text.push('…');
    }
    text
}

/// A scenario that cannot be run, with the reasons that were found.
#[derive(Clone, Debug)]
pub struct ScenarioError {
    sources: Sources,
    complaints: Vec<Complaint>,
    /// How many more there were; the file may hold tens of thousands.
    untold: usize,
}

/// Where a complaint points: both numbers are counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file, or the option a value was given with.
    pub origin: String,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// The most complaints told at once; the rest are usually echoes of these.
const MOST_SHOWN: usize = 10;

impl ScenarioError {
    /// An error of at least one complaint, each told once, in the order of the texts.
    pub(crate) fn new(sources: Sources, mut complaints: Vec<Complaint>) -> ScenarioError {
        complaints.sort_by_key(|complaint| complaint.span.as_ref().map(|span| span.start));
        // Points of a sweep share most of their document, and so most of what is wrong with it.
        let mut told = HashSet::new();
        complaints.retain(|complaint| told.insert(complaint.clone()));
        let untold = complaints.len().saturating_sub(MOST_SHOWN);
        complaints.truncate(MOST_SHOWN);
        ScenarioError { sources, complaints, untold }
    }

    /// Where each complaint points, for those that point anywhere.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        self.complaints
            .iter()
            .filter_map(|complaint| self.sources.position(complaint.span.as_ref()?))
            .map(|(origin, line, column)| Position { origin: origin.to_owned(), line, column })
            .collect()
    }

    /// The complaints in words, without the text they point at.
    #[must_use]
    pub fn messages(&self) -> Vec<&str> {
        self.complaints.iter().map(|complaint| complaint.message.as_str()).collect()
    }

    /// The complaints with the text they point at, as lines for a terminal.
    ///
    /// `styled` adds ANSI colours; without it the text is plain.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut shown: Vec<String> =
            self.complaints.iter().map(|complaint| self.render_one(complaint, &renderer)).collect();
        if self.untold > 0 {
            let title = Level::ERROR.primary_title(format!("{} more like these", self.untold));
            shown.push(renderer.render(&[title.elements(NOTHING)]));
        }
        shown.join("\n\n")
    }

    fn render_one(&self, complaint: &Complaint, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(complaint.message.as_str());
        let help = Level::HELP.message(complaint.remedy.as_str());
        let located = complaint.span.as_ref().and_then(|span| self.sources.lines(span));
        let group = match located {
            Some(lines) => title.element(
                Snippet::source(lines.text)
                    .path(lines.origin)
                    .line_start(lines.first)
                    .annotation(AnnotationKind::Primary.span(lines.within)),
            ),
            None => title.elements(NOTHING),
        };
        renderer.render(&[group.element(help)])
    }
}

/// No lines below a title.
const NOTHING: [annotate_snippets::Message<'static>; 0] = [];

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ScenarioError {}

#[cfg(test)]
mod tests {
    use super::{Complaint, ScenarioError};
    use crate::scenario::sources::Sources;

    #[test]
    fn a_complaint_underlines_its_text_and_names_a_remedy() {
        let mut sources = Sources::default();
        sources.add("a.toml", "rate = 20\n");
        let complaint = Complaint::at(7..9, "not a rate", "write \"20/s\"");
        let error = ScenarioError::new(sources, vec![complaint.clone(), complaint]);
        let expected = "\
error: not a rate
 --> a.toml:1:8
  |
1 | rate = 20
  |        ^^
  |
  = help: write \"20/s\"";
        assert_eq!(error.to_string(), expected);
        assert!(error.render(true).contains("\u{1b}["));
    }

    #[test]
    fn many_complaints_are_counted_not_shown() {
        let complaints = (0..14).map(|n| Complaint::whole(format!("wrong {n}"), "mend it"));
        let error = ScenarioError::new(Sources::default(), complaints.collect());
        let shown = error.to_string();
        assert!(shown.ends_with("error: 4 more like these"), "{shown}");
        assert_eq!(shown.matches("help: mend it").count(), 10);
    }

    #[test]
    fn control_characters_and_long_texts_do_not_reach_the_terminal() {
        let message = format!("`\u{1b}[31m{}` is not a rate", "9".repeat(100_000));
        let error = ScenarioError::new(Sources::default(), vec![Complaint::whole(message, "x")]);
        let shown = error.to_string();
        assert!(!shown.contains('\u{1b}') && shown.len() < 500, "{shown}");
        let remedy = "write `a\u{1b}[31m\0\u{9b}`";
        let error = ScenarioError::new(Sources::default(), vec![Complaint::whole("no", remedy)]);
        assert!(error.to_string().contains("write `a␛[31m␀�`"), "{error}");
    }
}
