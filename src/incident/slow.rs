//! `slow`: every request is taken up so much later.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::error::nobody_answers;
use super::{Effect, Impossible, Request, Target, Who};
use crate::units::{DurationText, duration_text, format_duration};

/// A time by which something is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delay(#[serde(with = "duration_text")] pub Duration);

impl JsonSchema for Delay {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Delay".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        DurationText::json_schema(generator)
    }
}

/// By how much later requests are taken up.
impl Effect for Delay {
    fn words(&self) -> String {
        format!("requests are taken up {} later", format_duration(self.0))
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        nobody_answers(who)
    }

    fn hits(&self, who: Who, target: Target) -> bool {
        target.apart && target.answers(who)
    }

    fn request(&self, _draw: f64) -> Option<Request> {
        Some(Request::Delayed(self.0))
    }
}
