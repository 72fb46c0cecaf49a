//! What `run` and `report` end with: the report is written and the result shown.

use std::io::IsTerminal;
use std::path::Path;

use crate::analysis::Analysis;
use crate::analysis::analyse::analyse_asked;
use crate::analysis::summary::{Summary, VerdictStatus};
use crate::cli::expected::{ExpectOptions, tell};
use crate::cli::options::Format;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::{self, Terminal};
use crate::record::derived::{DerivedFile, replace};
use crate::record::noise_floor::NoiseFloor;
use crate::record::run::Run;
use crate::report::files::files;
use crate::report::{csv, json, markdown, table};

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// How the program ends.
    pub(crate) outcome: Outcome,
    /// How far apart two identical strategies of the run came, if it holds two.
    pub(crate) noise_floor: Option<NoiseFloor>,
}

/// Derives every table and chart of a run from its records, writes them into its folder, and
/// shows the result. What is expected besides is judged and told, and no part of the folder.
///
/// # Errors
///
/// When the folder is no run, is damaged, or cannot be written.
pub(crate) fn conclude(
    folder: &Path,
    format: Format,
    expected: &ExpectOptions,
    terminal: &mut Terminal,
) -> anyhow::Result<Conclusion> {
    let mut analysis = derive(folder, expected, terminal)?;
    analysis.summary.thresholds.append(&mut analysis.asked);
    terminal.result(&shown(&analysis, format))?;
    tell(&analysis.summary, expected, terminal)?;
    terminal.note(&format!("report    {}", folder.join("report.html").display()));
    terminal.note(&format!("charts    {}", folder.join("charts").display()));
    Ok(Conclusion { outcome: outcome(&analysis.summary), noise_floor: analysis.noise_floor })
}

/// Derives every table and chart of a run from its records and writes them into its folder.
///
/// # Errors
///
/// When the folder is no run, is damaged, or cannot be written.
pub(crate) fn derive(
    folder: &Path,
    expected: &ExpectOptions,
    terminal: &mut Terminal,
) -> anyhow::Result<Analysis> {
    let run = Run::open(folder)?;
    let (manifest, first) = (&run.manifest, run.manifest.points.first());
    let strategies: Vec<&str> =
        first.iter().flat_map(|point| &point.strategies).map(|one| one.name.as_str()).collect();
    let points = manifest.searched_points().map(|(_, point)| &point.parameters);
    expected.check(&strategies, &points, &manifest.aims)?;
    for note in &run.notes {
        terminal.warning(note, "the trials before it are whole and are used");
    }
    let analysis = analyse_asked(&run, &expected.expect)?;
    let derived: Vec<DerivedFile> =
        files(&analysis).into_iter().map(|(path, bytes)| DerivedFile { path, bytes }).collect();
    replace(&run, &derived)?;
    Ok(analysis)
}

fn shown(analysis: &Analysis, format: Format) -> String {
    let summary = &analysis.summary;
    match format {
        Format::Table => table::summary(summary, room()),
        Format::Json => json::summary(summary),
        Format::Csv => csv::summary(summary),
        Format::Markdown => markdown::report(analysis),
    }
}

/// Columns of a result that goes to no terminal.
const WIDTH_ELSEWHERE: u16 = 120;

/// What a table on stdout may take.
pub(crate) fn room() -> table::Terminal {
    table::Terminal { width: width(), colour: terminal::colour() }
}

fn width() -> u16 {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return WIDTH_ELSEWHERE;
    }
    match rustix::termios::tcgetwinsize(&stdout) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => WIDTH_ELSEWHERE,
    }
}

fn outcome(summary: &Summary) -> Outcome {
    let measured = summary
        .points
        .iter()
        .flat_map(|point| &point.strategies)
        .any(|strategy| strategy.blocks > 0);
    match summary.verdict.status {
        _ if !measured => Outcome::Failed,
        VerdictStatus::Invalid => Outcome::Invalid,
        _ if summary.thresholds.iter().any(|result| !result.passed) => Outcome::Unmet,
        VerdictStatus::Valid | VerdictStatus::Caveats => Outcome::Done,
    }
}
