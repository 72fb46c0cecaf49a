//! What a scenario says about retries: the name of a preset, or the waits themselves.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StrDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::{DurationText, format_duration, parse_duration};
use crate::wire::retry::{Preset, Schedule};

/// The most retries that can be listed.
pub const MOST_RETRIES: usize = 100;

/// How failed deliveries are retried: `"svix"`, or `["0s", "5s", "5m"]`.
///
/// A list holds the wait before each retry, from the preceding failure; the first attempt is
/// made at once and is not in it. An empty list is no retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryPolicy {
    /// As a provider publishes it.
    Preset(Preset),
    /// The wait before each retry.
    Waits(Vec<Duration>),
}

impl RetryPolicy {
    /// The schedule in real time.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        match self {
            RetryPolicy::Preset(preset) => preset.schedule(),
            RetryPolicy::Waits(waits) => Schedule::of(waits.clone()),
        }
    }
}

impl Default for RetryPolicy {
    /// No retries.
    fn default() -> RetryPolicy {
        RetryPolicy::Preset(Preset::None)
    }
}

impl Serialize for RetryPolicy {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            RetryPolicy::Preset(preset) => preset.serialize(output),
            RetryPolicy::Waits(waits) => {
                output.collect_seq(waits.iter().map(|wait| format_duration(*wait)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for RetryPolicy {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<RetryPolicy, D::Error> {
        input.deserialize_any(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = RetryPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a preset such as \"svix\", or a list of waits such as [\"5s\", \"5m\"]")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<RetryPolicy, E> {
        Preset::deserialize(StrDeserializer::new(name)).map(RetryPolicy::Preset)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RetryPolicy, A::Error> {
        let mut waits = Vec::new();
        while let Some(wait) = list.next_element::<Cow<'de, str>>()? {
            if waits.len() == MOST_RETRIES {
                let message = format!("too many retries; list at most {MOST_RETRIES} waits");
                return Err(A::Error::custom(message));
            }
            waits.push(parse_duration(&wait).map_err(A::Error::custom)?);
        }
        Ok(RetryPolicy::Waits(waits))
    }
}

impl JsonSchema for RetryPolicy {
    fn schema_name() -> Cow<'static, str> {
        "RetryPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How failed deliveries are retried: the name of a preset, or the wait \
                            before each retry, from the preceding failure.",
            "anyOf": [
                generator.subschema_for::<Preset>(),
                {
                    "type": "array",
                    "items": generator.subschema_for::<DurationText>(),
                    "maxItems": MOST_RETRIES,
                },
            ],
        })
    }
}
