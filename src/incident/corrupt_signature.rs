//! `corrupt-signature`: signatures of webhooks are wrong, as after a change of keys gone wrong.

use super::{Effect, Impossible, Target, Who};

pub(super) struct CorruptSignature;

impl Effect for CorruptSignature {
    fn words(&self) -> String {
        "webhooks are signed wrongly".to_owned()
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        (who != Who::Source).then(|| Impossible {
            key: "what",
            message: "it is the source that signs".to_owned(),
            remedy: "write `who = \"source\"`".to_owned(),
        })
    }

    fn hits(&self, _who: Who, target: Target) -> bool {
        target.signed
    }

    fn forges(&self) -> bool {
        true
    }
}
