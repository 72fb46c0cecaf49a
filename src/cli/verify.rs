//! `pollpush verify`: whether a run folder is, to the byte, what was measured.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::analysis::analyse;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::record::derived::read;
use crate::record::manifest::{Manifest, ToolRecord};
use crate::record::run::{Run, manifest_of};
use crate::record::seals::{Difference, differences};
use crate::report::files::{SUMMARY_FILE, files};
use crate::report::json;

/// Check that a run folder is, to the byte, what was measured.
///
/// Every file is held against its SHA-256, and the result against the records it was derived
/// from. Names every file that was changed, removed or added, and every number of `summary.json` that
/// its records do not give. Ends with 1 if anything differs.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The run's folder.
    run: PathBuf,
}

impl Verify {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let manifest = manifest_of(&self.run)?;
        let mut found = differences(&self.run, &manifest)?;
        let mut lines = vec![format!("run       {}", manifest.run_id)];
        let reports = manifest.derived.as_ref().map_or(0, |derived| derived.files.len());
        let sealed = manifest.files.len() + reports + 1;
        if found.is_empty() {
            lines.push(format!("files     {sealed}, all as they were sealed"));
            let (said, wrong) = derived_again(&self.run, &manifest)?;
            lines.push(format!("result    {said}"));
            found = wrong;
        } else {
            lines.push(format!("files     {sealed}, not all as they were sealed"));
            lines.push("result    not derived again, since files differ".to_owned());
        }
        lines.extend(found.iter().map(|difference| format!("DIFFERS   {difference}")));
        if !found.is_empty() && evidence_is_whole(&self.run) {
            let report = format!("`pollpush report {}` makes the reports anew", self.run.display());
            lines.push(format!("evidence  as it was sealed; {report}"));
        }
        lines.push(match found.len() {
            0 => "verified: the folder is what was measured".to_owned(),
            1 => "not verified: 1 difference".to_owned(),
            many => format!("not verified: {many} differences"),
        });
        terminal.result(&(lines.join("\n") + "\n"))?;
        Ok(if found.is_empty() { Outcome::Done } else { Outcome::Failed })
    }
}

/// Whether all that differs is what was derived, as after a report that was killed half-way.
fn evidence_is_whole(folder: &Path) -> bool {
    Run::open(folder).is_ok_and(|run| {
        !run.manifest.files.is_empty() && run.verify_evidence().is_ok_and(|found| found.is_empty())
    })
}

/// Derives every table and chart again from the records alone and compares them with those in the
/// folder: what was done, in words, and every difference.
fn derived_again(folder: &Path, manifest: &Manifest) -> anyhow::Result<(String, Vec<Difference>)> {
    let Some(derived) = &manifest.derived else {
        return Ok(("none was derived yet; `pollpush report` does it".to_owned(), Vec::new()));
    };
    let rebuilt = files(&analyse(&Run::open(folder)?)?);
    let same_program = derived.tool == ToolRecord::this();
    let mut found = Vec::new();
    for (file, bytes) in rebuilt {
        let is_summary = file == SUMMARY_FILE;
        // Another version may word and draw the same numbers in another way.
        if !derived.files.contains_key(&file) || !(is_summary || same_program) {
            continue;
        }
        let kept = read(folder, &file)?;
        let what = if is_summary {
            in_summary(&kept, &bytes)
        } else if kept == bytes {
            Vec::new()
        } else {
            vec!["is not what the records give".to_owned()]
        };
        found.extend(what.into_iter().map(|what| Difference { file: file.clone(), what }));
    }
    let by = &derived.tool;
    let said = if same_program {
        "derived again from the records, reports and charts as well".to_owned()
    } else {
        let (version, commit) = (&by.version, &by.commit);
        format!(
            "`{SUMMARY_FILE}` derived again from the records; it was made by pollpush {version} \
             ({commit}), and only that program makes the same reports and charts"
        )
    };
    Ok((said, found))
}

/// Differences of a summary that are listed.
const LISTED: usize = 20;

fn in_summary(kept: &[u8], derived: &[u8]) -> Vec<String> {
    let (kept, derived) = (String::from_utf8_lossy(kept), String::from_utf8_lossy(derived));
    let mut said = match json::differences(&kept, &derived) {
        Ok(said) => said,
        Err(error) => return vec![format!("is no JSON: {error}")],
    };
    if said.is_empty() && kept != derived {
        said.push("is written otherwise than the program writes it".to_owned());
    }
    let more = said.len().saturating_sub(LISTED);
    said.truncate(LISTED);
    let mut said: Vec<String> = said.into_iter().map(|place| format!("at {place}")).collect();
    if more > 0 {
        said.push(format!("differs at {more} more places"));
    }
    said
}
