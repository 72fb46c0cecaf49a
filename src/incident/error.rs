//! `error`: shares of requests are answered with an error status, unread.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Effect, Impossible, Request, Share, Target, Who};

/// Statuses, and the share of requests that each is the answer to; 100 % at most together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Errors(Vec<(u16, Share)>);

impl Errors {
    /// Whether no request gets through, and whoever sends one is to try again: a status of the
    /// client's own fault (4xx) may end more than the attempt.
    #[must_use]
    pub fn are_certain_and_temporary(&self) -> bool {
        self.are_certain() && self.0.iter().all(|(status, _)| *status >= 500)
    }

    /// Whether no request gets through.
    fn are_certain(&self) -> bool {
        self.sum() >= 1.0
    }

    fn sum(&self) -> f64 {
        self.0.iter().map(|(_, share)| share.of_one()).sum()
    }
}

impl Effect for Errors {
    fn words(&self) -> String {
        if let [(status, _)] = self.0[..]
            && self.are_certain()
        {
            return format!("requests are answered {status}");
        }
        let parts: Vec<String> = (0..)
            .zip(&self.0)
            .map(|(place, (status, share))| {
                let of = if place == 0 { " of requests are answered" } else { "" };
                format!("{share}{of} {status}")
            })
            .collect();
        parts.join(", ")
    }

    fn refuse(&self, who: Who) -> Option<Impossible> {
        nobody_answers(who)
    }

    fn hits(&self, who: Who, target: Target) -> bool {
        target.apart && target.answers(who)
    }

    fn request(&self, draw: f64) -> Option<Request> {
        let mut passed = 0.0;
        self.0.iter().find_map(|(status, share)| {
            passed += share.of_one();
            (draw < passed).then_some(Request::Answered(*status))
        })
    }
}

/// Why nothing that is done to requests can befall a network.
pub(super) fn nobody_answers(who: Who) -> Option<Impossible> {
    (who == Who::Network).then(|| Impossible {
        key: "what",
        message: "a network answers no requests".to_owned(),
        remedy: "write `who = \"source\"` or `who = \"subscriber\"`".to_owned(),
    })
}

/// What is wrong with a list of errors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorsError {
    /// A part is no status with a share.
    #[error("`{0}` is no status from 400 to 599 with a share; write \"503:5%, 429:1%\" or \"503\"")]
    NoStatus(String),
    /// The shares are more than everything.
    #[error("the shares add up to more than 100%")]
    TooMany,
}

impl FromStr for Errors {
    type Err = ErrorsError;

    fn from_str(text: &str) -> Result<Errors, ErrorsError> {
        let part = |part: &str| {
            let part = part.trim();
            let (status, share) = part.split_once(':').unwrap_or((part, "100%"));
            let status = status.trim().parse().ok().filter(|status| (400..600).contains(status));
            let share = share.trim().parse::<Share>().ok();
            status.zip(share).ok_or_else(|| ErrorsError::NoStatus(part.to_owned()))
        };
        let errors = Errors(text.split(',').map(part).collect::<Result<_, _>>()?);
        // Shares are decimal fractions, of which sums are not exact.
        if errors.sum() > 1.0 + 1e-9 { Err(ErrorsError::TooMany) } else { Ok(errors) }
    }
}

impl TryFrom<String> for Errors {
    type Error = ErrorsError;

    fn try_from(text: String) -> Result<Errors, ErrorsError> {
        text.parse()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (status, share)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{status}:{}", share.written())?;
        }
        Ok(())
    }
}

impl From<Errors> for String {
    fn from(errors: Errors) -> String {
        errors.to_string()
    }
}

impl JsonSchema for Errors {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Errors".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Statuses and shares of requests, such as \"503:5%, 429:1%\".",
            "pattern": r"^[45]\d\d(:[\d.]+%)?(, *[45]\d\d:[\d.]+%)*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Errors;

    #[test]
    fn a_list_of_errors_is_read_as_it_is_written() {
        for (text, written) in [
            ("503:5%, 429:1%", Some("503:5%, 429:1%")),
            ("503", Some("503:100%")),
            ("500:0.5%", Some("500:0.5%")),
            ("200:5%", None),
            ("503:105%", None),
            ("503:60%, 500:60%", None),
            ("503:0%", None),
            ("often", None),
            ("", None),
        ] {
            let read = text.parse::<Errors>().ok().map(|errors| errors.to_string());
            assert_eq!(read.as_deref(), written, "{text}");
        }
    }
}
