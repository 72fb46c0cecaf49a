//! How to cite a run: one file a form.
//!
//! Every form carries what a reader needs to weigh the number and to find the run again: title,
//! question, answer with its interval, verdict, machine, date, version, and the run id, which
//! covers every byte of evidence.

mod bibtex;
mod cff;
mod csl_json;
mod markdown;
mod text;

use jiff::Timestamp;

use crate::analysis::Analysis;
use crate::analysis::summary::{Summary, VerdictStatus};

use super::answer::answer;
use super::machine;
use super::wording::one_line;
use crate::quantity::counted;

/// A form of citation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One paragraph of plain text.
    Text,
    /// A Markdown footnote.
    Markdown,
    /// An entry for BibTeX and biblatex.
    Bibtex,
    /// A CSL-JSON array of one item.
    CslJson,
    /// A file in the Citation File Format 1.2.0.
    Cff,
}

impl Style {
    /// All of them.
    pub const ALL: [Style; 5] =
        [Style::Text, Style::Markdown, Style::Bibtex, Style::CslJson, Style::Cff];
}

/// What a citation says. Its texts stand on one line each.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    title: String,
    question: Option<String>,
    /// The answer with its interval.
    answer: String,
    /// What the verdict asks of the reader: nothing where it is valid.
    verdict: String,
    /// Strategies, blocks and arrangement.
    extent: String,
    machine: String,
    /// When the run ended.
    made: Timestamp,
    version: String,
    commit: String,
    run_id: String,
    authors: Vec<String>,
    url: Option<String>,
}

/// Letters of a run id that stand for it in a name.
const SHORT_ID: usize = 12;

impl Citation {
    /// The citation of a run that may be cited, by these authors, to be had there.
    #[must_use]
    pub fn of(analysis: &Analysis, authors: &[String], url: Option<&str>) -> Citation {
        let (summary, provenance) = (&analysis.summary, &analysis.provenance);
        Citation {
            title: one_line(&summary.scenario.title),
            question: summary.scenario.question.as_deref().map(one_line),
            answer: answer(summary),
            verdict: verdict(summary),
            extent: extent(summary, &provenance.arrangement),
            machine: machine::in_words(&provenance.environment),
            made: provenance.finished.unwrap_or(provenance.started),
            version: one_line(&summary.tool.version),
            commit: one_line(&summary.tool.commit),
            run_id: one_line(&summary.run_id),
            authors: authors.iter().map(|author| one_line(author)).collect(),
            url: url.map(one_line),
        }
    }

    /// The day the run ended, in UTC: `2026-11-23`.
    fn day(&self) -> String {
        self.made.strftime("%Y-%m-%d").to_string()
    }

    /// The start of the run id.
    fn short_id(&self) -> String {
        self.run_id.chars().take(SHORT_ID).collect()
    }

    /// The program and its revision.
    fn tool(&self) -> String {
        format!("pollpush {} ({})", self.version, self.commit)
    }

    /// How it was measured, in one sentence.
    fn method(&self) -> String {
        format!("Measured with {} on {}; {}.", self.tool(), self.machine, self.extent)
    }

    /// Everything but title, authors and date, in sentences.
    fn contents(&self) -> String {
        let question = self.question.as_ref().map(|question| format!("{question} "));
        let (answer, verdict) = (&self.answer, &self.verdict);
        format!("{}{answer} {verdict} {}", question.unwrap_or_default(), self.method())
    }
}

fn verdict(summary: &Summary) -> String {
    let status = summary.verdict.status;
    let word = super::wording::verdict_word(status);
    match status {
        VerdictStatus::Valid => format!("Verdict: {word}."),
        VerdictStatus::Caveats | VerdictStatus::Invalid => {
            let found = super::wording::checks_by_outcome(summary);
            format!("Verdict: {word} ({found}).")
        }
    }
}

fn extent(summary: &Summary, arrangement: &str) -> String {
    let points = summary.points.len() as u64;
    let strategies = || summary.points.iter().flat_map(|point| &point.strategies);
    let names: std::collections::BTreeSet<&str> =
        strategies().map(|strategy| strategy.name.as_str()).collect();
    let fewest = strategies().map(|strategy| strategy.blocks).min().unwrap_or(0);
    let points = if points > 1 { format!(" at {points} points") } else { String::new() };
    let strategies = match names.len() {
        1 => "1 strategy".to_owned(),
        many => format!("{many} strategies"),
    };
    format!(
        "{strategies}{points}, {} each, {arrangement}, on one host over loopback",
        counted(fewest.into(), "block")
    )
}

/// Writes a citation, ending with a newline.
#[must_use]
pub fn write(citation: &Citation, style: Style) -> String {
    match style {
        Style::Text => text::write(citation),
        Style::Markdown => markdown::write(citation),
        Style::Bibtex => bibtex::write(citation),
        Style::CslJson => csl_json::write(citation),
        Style::Cff => cff::write(citation),
    }
}

#[cfg(test)]
mod tests {
    use super::{Citation, Style, write};
    use jiff::Timestamp;

    fn citation() -> Citation {
        Citation {
            title: "Order status".to_owned(),
            question: Some("Poll every second, or subscribe?".to_owned()),
            answer: "“webhook” beside “poll”: 417 times as fast (379 to 463).".to_owned(),
            verdict: "Verdict: valid.".to_owned(),
            extent: "2 strategies, 10 blocks each, solo, on one host over loopback".to_owned(),
            machine: "Example 9, 2 logical CPUs, linux 6.1.0 (x86_64)".to_owned(),
            made: "2026-11-23T10:45:12Z".parse::<Timestamp>().expect("a time"),
            version: "0.1.0".to_owned(),
            commit: "0123456789ab".to_owned(),
            run_id: "3f9a1c20".repeat(8),
            authors: Vec::new(),
            url: None,
        }
    }

    /// Every sign that means something in one of the forms.
    fn hostile() -> Citation {
        Citation {
            title: "50 % of {x} & \\y_z# ~^ \"q\" <b> [^1]: | `c` $m$ é \u{ffff}".to_owned(),
            question: None,
            authors: vec!["Doe, Jane {and} Co: #1".to_owned(), "Ann and Bob".to_owned()],
            url: Some("https://example.org/a_b?c=%20&d#e{f}".to_owned()),
            ..citation()
        }
    }

    #[test]
    fn a_run_is_cited_in_every_form() {
        let all = Style::ALL.map(|style| write(&citation(), style)).join("\n");
        insta::assert_snapshot!(all);
    }

    #[test]
    fn what_a_form_gives_a_meaning_is_escaped() {
        let all = Style::ALL.map(|style| write(&hostile(), style)).join("\n");
        insta::assert_snapshot!(all);
    }

    #[test]
    fn every_form_has_the_answer_the_machine_the_day_the_version_and_the_whole_id() {
        let citation = citation();
        for style in Style::ALL {
            let text = write(&citation, style);
            for part in ["417 times as fast (379 to 463)", "Example 9, 2 logical CPUs", "0.1.0"] {
                assert!(text.contains(part), "{style:?} has no {part}: {text}");
            }
            assert!(text.contains(&citation.run_id), "{style:?}: {text}");
            assert!(text.contains("2026"), "{style:?}: {text}");
            assert!(text.ends_with('\n'), "{style:?}");
        }
    }
}
