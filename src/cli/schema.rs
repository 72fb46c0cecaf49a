//! `pollpush schema`: the JSON Schema of a file that is written or read.

use clap::{Args, ValueEnum};

use crate::analysis::summary::Summary;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;

/// Print the JSON Schema of scenario files or of `summary.json`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The kind of file.
    #[arg(default_value = "scenario")]
    of: File,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum File {
    /// Scenario files, as `pollpush run` reads them.
    Scenario,
    /// `summary.json`, as `pollpush run` writes it.
    Summary,
}

impl Schema {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let schema = match self.of {
            File::Scenario => crate::scenario::schema(),
            File::Summary => schemars::schema_for!(Summary),
        };
        terminal.result(&(serde_json::to_string_pretty(&schema)? + "\n"))?;
        Ok(Outcome::Done)
    }
}
