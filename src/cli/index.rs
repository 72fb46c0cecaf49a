//! What `report` does with a folder of runs: one page that lists them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::analysis::{Analysis, analyse};
use crate::cli::conclusion::derive;
use crate::cli::expected::ExpectOptions;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::record::derived::publish;
use crate::record::folder::MANIFEST_FILE;
use crate::record::manifest::ToolRecord;
use crate::record::run::Run;
use crate::report::files::REPORT_FILE;
use crate::report::index::{Listed, page};

/// The page.
const INDEX_FILE: &str = "index.html";

/// The run folders in a folder that is no run itself; empty if there are none.
pub(crate) fn runs_in(folder: &Path) -> Vec<PathBuf> {
    if folder.join(MANIFEST_FILE).exists() {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_run = |path: &PathBuf| path.join(MANIFEST_FILE).is_file();
    entries.map(|entry| entry.path()).filter(is_run).collect()
}

/// Writes the page of some runs into the folder that holds them. A run without a report gets one.
///
/// # Errors
///
/// When the page cannot be written. A run that cannot be read is listed with the reason.
pub(crate) fn index(
    folder: &Path,
    runs: &[PathBuf],
    terminal: &mut Terminal,
) -> anyhow::Result<Outcome> {
    let mut listed: Vec<Listed> = runs.iter().map(|run| looked_at(run, terminal)).collect();
    // The newest first; what cannot be read is last.
    listed.sort_by(|one, other| {
        let started = |run: &Listed| run.analysis.as_ref().ok().map(|run| run.provenance.started);
        started(other).cmp(&started(one)).then_with(|| other.folder.cmp(&one.folder))
    });
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let title = name.map_or("runs".to_owned(), |name| name.to_string_lossy().into_owned());
    let tool = ToolRecord::this();
    let path = folder.join(INDEX_FILE);
    publish(&path, page(&title, &listed, &tool.version, &tool.commit).as_bytes())?;
    terminal.result(&format!("{}\n", path.display()))?;
    Ok(Outcome::Done)
}

fn looked_at(run: &Path, terminal: &mut Terminal) -> Listed {
    let folder = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
    terminal.note(&format!("reading   {folder}"));
    let analysis = analysed(run, terminal).map_err(|error| format!("It cannot be read: {error:#}"));
    let report = run.join(REPORT_FILE).is_file().then_some(REPORT_FILE);
    Listed { folder, report, analysis }
}

fn analysed(run: &Path, terminal: &mut Terminal) -> anyhow::Result<Analysis> {
    if run.join(REPORT_FILE).is_file() {
        return Ok(analyse(&Run::open(run)?)?);
    }
    derive(run, &ExpectOptions::default(), terminal).context("it has no report")
}
