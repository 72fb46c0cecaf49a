//! `pollpush completions`: words for the shell's tab key.

use clap::Args;
use clap_complete::Shell;

use crate::cli::arguments::command;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "pollpush", &mut script);
        terminal.result(&String::from_utf8(script)?)?;
        Ok(Outcome::Done)
    }
}
