//! `pollpush report`: rebuild every table and chart of a run from its records, or the page of many.

use std::path::PathBuf;

use clap::Args;

use crate::cli::conclusion::conclude;
use crate::cli::expected::ExpectOptions;
use crate::cli::index::{index, runs_in};
use crate::cli::options::Format;
use crate::cli::outcome::{Outcome, UsageError};
use crate::cli::terminal::Terminal;

/// Rebuild every table and chart of a run from its records alone.
///
/// Of a folder that holds runs, such as `results`, it writes `index.html`: every run with its
/// question, answer and verdict, and their curves beside each other.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The run's folder, or one that holds runs.
    run: PathBuf,

    #[command(flatten)]
    expected: ExpectOptions,

    /// How to write the result to stdout.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Report {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let runs = runs_in(&self.run);
        if runs.is_empty() {
            return self.of_a_run(terminal);
        }
        if self.format != Format::Table || self.expected != ExpectOptions::default() {
            return Err(UsageError {
                message: format!("`{}` is no run, but holds runs", self.run.display()),
                hint: "name one run for `--format`, `--expect` and `--junit`".to_owned(),
            }
            .into());
        }
        index(&self.run, &runs, terminal)
    }

    fn of_a_run(&self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        Ok(conclude(&self.run, self.format, &self.expected, terminal)?.outcome)
    }
}
