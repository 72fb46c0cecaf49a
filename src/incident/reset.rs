//! `reset`: connections are reset, those that are open at once, others when a request comes.

use super::{Connections, Effect, Request, Target, Who};

pub(super) struct Reset;

impl Effect for Reset {
    fn words(&self) -> String {
        "connections are reset".to_owned()
    }

    fn hits(&self, who: Who, target: Target) -> bool {
        target.answers(who)
    }

    fn connections(&self) -> Option<Connections> {
        Some(Connections::Reset)
    }

    fn request(&self, _draw: f64) -> Option<Request> {
        Some(Request::Cut)
    }
}
