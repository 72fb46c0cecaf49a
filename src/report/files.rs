//! The files of a report, as they lie in a run folder.

use crate::analysis::Analysis;
use crate::report::{csv, html, json, junit, markdown, plot};

/// The result.
pub const SUMMARY_FILE: &str = "summary.json";

/// Every file of a report: its path relative to the run folder, and its contents.
#[must_use]
pub fn files(analysis: &Analysis) -> Vec<(String, Vec<u8>)> {
    let summary = &analysis.summary;
    let mut files = vec![
        (SUMMARY_FILE.to_owned(), json::summary(summary).into_bytes()),
        ("summary.csv".to_owned(), csv::summary(summary).into_bytes()),
        ("report.html".to_owned(), html::report(analysis).into_bytes()),
        ("report.md".to_owned(), markdown::report(analysis).into_bytes()),
    ];
    if !summary.thresholds.is_empty() {
        files.push(("junit.xml".to_owned(), junit::thresholds(summary).into_bytes()));
    }
    let charts = plot::render_all(summary, &analysis.figures);
    files.extend(charts.into_iter().map(|chart| (chart.path, chart.bytes)));
    files
}
