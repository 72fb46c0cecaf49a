//! `pollpush man`: the manual.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::arguments::command;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;

/// Print the manual page, or write one page a verb into a folder.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder, which is made if need be; pages that are there are replaced.
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        if let Some(folder) = self.folder {
            fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(command(), &folder))
                .with_context(|| format!("pages cannot be written into {}", folder.display()))?;
        } else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command()).render(&mut page)?;
            terminal.result(&String::from_utf8(page)?)?;
        }
        Ok(Outcome::Done)
    }
}
