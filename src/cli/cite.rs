//! `pollpush cite`: how to cite a run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::analysis::analyse;
use crate::cli::citable::refuse;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::record::run::Run;
use crate::report::cite::{Citation, Style, write};

/// Print how to cite a run, as text, Markdown, BibTeX, CSL-JSON or CFF.
///
/// Title, question, answer, machine, date, version and run id are in every form. Everything is derived from the run's records anew. A run that is incomplete or invalid is
/// refused.
#[derive(Debug, Args)]
pub(crate) struct Cite {
    /// The run's folder.
    run: PathBuf,

    /// The form of the citation.
    #[arg(long, value_enum, default_value_t)]
    style: Named,

    /// Who made the run, as it should be cited (repeatable); without it, the program.
    #[arg(long, value_name = "NAME")]
    author: Vec<String>,

    /// Where the run's folder can be had.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// The forms by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Named {
    /// One paragraph.
    #[default]
    Text,
    /// A footnote for a Markdown document.
    Markdown,
    /// An entry for BibTeX and biblatex.
    Bibtex,
    /// A CSL-JSON array of one item, for reference managers.
    CslJson,
    /// A CITATION.cff of the data.
    Cff,
    /// All of them, one after the other.
    All,
}

impl Cite {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let run = Run::open(&self.run)?;
        let analysis = analyse(&run)?;
        let (complete, verdict) = (analysis.summary.complete, &analysis.summary.verdict);
        if let Some(outcome) = refuse(&run, complete, verdict, terminal) {
            return Ok(outcome);
        }
        let citation = Citation::of(&analysis, &self.author, self.url.as_deref());
        let text = match self.style {
            Named::Text => write(&citation, Style::Text),
            Named::Markdown => write(&citation, Style::Markdown),
            Named::Bibtex => write(&citation, Style::Bibtex),
            Named::CslJson => write(&citation, Style::CslJson),
            Named::Cff => write(&citation, Style::Cff),
            Named::All => Style::ALL.map(|style| write(&citation, style)).join("\n"),
        };
        terminal.result(&text)?;
        Ok(Outcome::Done)
    }
}
