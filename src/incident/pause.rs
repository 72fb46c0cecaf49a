//! `pause`: the process stands still, and goes on when it is over.

use super::{Effect, Impossible, Process, Target, Who};

pub(super) struct Pause;

impl Effect for Pause {
    fn words(&self) -> String {
        "the process stands still".to_owned()
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        (who == Who::Network).then(|| Impossible {
            key: "what",
            message: "a network has no process that could stand still".to_owned(),
            remedy: "write `what = \"half-open\"` or `what = \"down\"`".to_owned(),
        })
    }

    /// What stands still in the source keeps subscribers waiting that live in it, too.
    fn hits(&self, who: Who, target: Target) -> bool {
        target.apart || who == Who::Source
    }

    fn process(&self) -> Option<Process> {
        Some(Process::Stopped)
    }
}
