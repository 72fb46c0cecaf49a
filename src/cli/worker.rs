//! `pollpush worker`: one process of a trial. Started by `run`, not by people.

use std::net::SocketAddr;

use clap::Args;

use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::trial::worker::work;

/// Be one process of a trial; `run` starts it.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Where the coordinator listens.
    #[arg(long, value_name = "ADDRESS")]
    connect: SocketAddr,

    /// Which worker of the trial to be.
    #[arg(long)]
    index: u32,
}

impl Worker {
    pub(crate) fn run(self, _terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        work(self.connect, self.index)?;
        Ok(Outcome::Done)
    }
}
