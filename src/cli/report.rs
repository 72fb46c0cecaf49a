//! `pollpush report`: rebuild every table and chart of a run from its records.

use std::path::PathBuf;

use clap::Args;

use crate::cli::conclusion::conclude;
use crate::cli::expected::ExpectOptions;
use crate::cli::options::Format;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;

/// Rebuild every table and chart of a run from its records alone.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The run's folder.
    run: PathBuf,

    #[command(flatten)]
    expected: ExpectOptions,

    /// How to write the result to stdout.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Report {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        Ok(conclude(&self.run, self.format, &self.expected, terminal)?.outcome)
    }
}
