//! `half-open`: connections go silent without closing.

use super::{Connections, Effect, Impossible, Target, Who};

pub(super) struct HalfOpen;

impl Effect for HalfOpen {
    fn words(&self) -> String {
        "connections go silent without closing".to_owned()
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        (who != Who::Network).then(|| Impossible {
            key: "what",
            message: "a host that is there answers, if only that it does not know a connection: \
                      it is the network that lets one go silent"
                .to_owned(),
            remedy: "write `who = \"network\"`, or `what = \"pause\"`".to_owned(),
        })
    }

    fn hits(&self, _who: Who, target: Target) -> bool {
        target.apart
    }

    fn connections(&self) -> Option<Connections> {
        Some(Connections::Silent)
    }
}
