//! How large a number in a record may be.
//!
//! Figures are added, multiplied and drawn once they are read. A file may claim anything; what any
//! trial counts, in bytes or in nanoseconds, is far below the bound, and sums of it fit into 64 bits.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The largest magnitude: up to there every reader of JSON keeps whole numbers exactly. As
/// nanoseconds it is a hundred days.
const LARGEST: u64 = 1 << 53;

/// JSON of any shape, all of whose numbers are within the bound.
#[derive(Debug)]
pub(super) struct Bounded;

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Bounded, D::Error> {
        input.deserialize_any(Walk)
    }
}

struct Walk;

fn within<E: Error>(magnitude: u64, shown: impl fmt::Display) -> Result<Bounded, E> {
    if magnitude <= LARGEST {
        return Ok(Bounded);
    }
    Err(E::custom(format_args!("{shown} is more than any trial counts")))
}

impl<'de> Visitor<'de> for Walk {
    type Value = Bounded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON with numbers of a magnitude up to {LARGEST}")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Bounded, E> {
        Ok(Bounded)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Bounded, E> {
        within(number, number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Bounded, E> {
        within(number.unsigned_abs(), number)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a magnitude is positive; `as` saturates"
    )]
    fn visit_f64<E: Error>(self, number: f64) -> Result<Bounded, E> {
        within(number.abs().ceil() as u64, number)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Bounded, E> {
        Ok(Bounded)
    }

    fn visit_unit<E: Error>(self) -> Result<Bounded, E> {
        Ok(Bounded)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bounded, A::Error> {
        while items.next_element::<Bounded>()?.is_some() {}
        Ok(Bounded)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Bounded, A::Error> {
        while members.next_entry::<IgnoredAny, Bounded>()?.is_some() {}
        Ok(Bounded)
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    #[test]
    fn numbers_up_to_the_bound_are_taken_wherever_they_are() {
        for json in ["9007199254740992", "-9007199254740992", "{\"a\":[1,{\"b\":0.5}]}", "\"1e99\""]
        {
            assert!(serde_json::from_str::<Bounded>(json).is_ok(), "{json}");
        }
        for json in ["9007199254740993", "-9007199254740993", "{\"a\":[1,{\"b\":1e17}]}", "[-1e99]"]
        {
            assert!(serde_json::from_str::<Bounded>(json).is_err(), "{json}");
        }
    }
}
