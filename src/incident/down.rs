//! `down`: no connection is accepted or made, and those that are open are closed.

use super::{Connections, Effect, Target, Who};

pub(super) struct Down;

impl Effect for Down {
    fn words(&self) -> String {
        "no connection is accepted or made".to_owned()
    }

    fn hits(&self, _who: Who, target: Target) -> bool {
        target.apart
    }

    fn connections(&self) -> Option<Connections> {
        Some(Connections::Refused)
    }
}
