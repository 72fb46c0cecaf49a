//! `lose-ack`: a share of requests is handled, but its answer never arrives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::nobody_answers;
use super::{Effect, Impossible, Request, Share, Target, Who};

/// The share of requests whose answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct LoseAck(Share);

impl Effect for LoseAck {
    fn words(&self) -> String {
        format!("requests are handled, but {} of the answers are lost", self.0)
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        nobody_answers(who)
    }

    fn hits(&self, who: Who, target: Target) -> bool {
        target.apart && target.answers(who)
    }

    fn request(&self, draw: f64) -> Option<Request> {
        (draw < self.0.of_one()).then_some(Request::Unanswered)
    }
}
