//! A share of requests, as scenarios write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A share above nothing, at most everything: "10%".
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    percent: f64,
}

impl Share {
    /// The share as a number up to one.
    #[must_use]
    pub fn of_one(self) -> f64 {
        self.percent / 100.0
    }

    /// As a scenario writes it.
    pub(super) fn written(self) -> String {
        format!("{}%", self.percent)
    }
}

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share of requests; write one above 0% up to 100%, such as \"10%\"")]
pub struct NoShare(String);

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Share, NoShare> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
        percent
            .filter(|percent| 0.0 < *percent && *percent <= 100.0)
            .map(|percent| Share { percent })
            .ok_or_else(|| NoShare(text.to_owned()))
    }
}

impl TryFrom<String> for Share {
    type Error = NoShare;

    fn try_from(text: String) -> Result<Share, NoShare> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> String {
        share.written()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A share of requests, above \"0%\" and at most \"100%\".",
            "pattern": r"^\d+(\.\d+)?%$",
        })
    }
}
