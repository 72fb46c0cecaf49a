//! `slow-body`: the body of every answer comes so much later than its head.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::slow::Delay;
use super::{Effect, Impossible, Request, Target, Who};
use crate::units::format_duration;

/// How much later bodies come than their heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct SlowBody(Delay);

impl Effect for SlowBody {
    fn words(&self) -> String {
        format!("bodies of answers come {} later than their heads", format_duration(self.0.0))
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        (who != Who::Source).then(|| Impossible {
            key: "what",
            message: "only the source's answers have a body".to_owned(),
            remedy: "write `who = \"source\"`, or `{ slow = \"200ms\" }`".to_owned(),
        })
    }

    fn hits(&self, _who: Who, target: Target) -> bool {
        target.source_answers
    }

    fn request(&self, _draw: f64) -> Option<Request> {
        Some(Request::Trickled(self.0.0))
    }
}
