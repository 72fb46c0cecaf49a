//! `crash`: the process is killed, and started again when it is over.

use super::{Effect, Impossible, Process, Target, Who};

pub(super) struct Crash;

impl Effect for Crash {
    fn words(&self) -> String {
        "the process is killed, and started again".to_owned()
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        let message = match who {
            Who::Subscriber => return None,
            Who::Source => "the source keeps its events in memory, and would lose them",
            Who::Network => "a network has no process",
        };
        let remedy = "write `who = \"subscriber\"`, or `what = \"down\"`".to_owned();
        Some(Impossible { key: "what", message: message.to_owned(), remedy })
    }

    fn hits(&self, _who: Who, target: Target) -> bool {
        target.apart
    }

    fn process(&self) -> Option<Process> {
        Some(Process::Killed)
    }
}
