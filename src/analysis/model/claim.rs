//! One figure of a closed form beside the measured one.

use crate::analysis::summary::ModelClaim;
use crate::analysis::words;

/// A figure that a closed form claims.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// A path in the summary.
    pub(super) quantity: &'static str,
    /// What it is called in sentences.
    pub(super) name: String,
    pub(super) unit: Unit,
    pub(super) expected: f64,
    pub(super) measured: Option<f64>,
    /// Where the expectation may lie; `None` if that cannot be said.
    pub(super) interval: Option<[f64; 2]>,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nanoseconds.
    Time,
    Count,
    Share,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Unit::Time => words::time(value),
            Unit::Count => format!("{value:.1}"),
            Unit::Share => words::percent(value),
        }
    }
}

impl Claim {
    /// Whether the expectation lies in its interval.
    pub(super) fn holds(&self) -> Option<bool> {
        self.interval.map(|[low, high]| (low..=high).contains(&self.expected))
    }

    /// What the measurement refutes, in words: by how much, and how much of it could be chance.
    pub(super) fn refutation(&self) -> Option<String> {
        let ([low, high], measured) = self.interval.zip(self.measured)?;
        let Claim { expected, unit, name, .. } = self;
        let (direction, off, explained) = if *expected < low {
            ("above", measured - expected, measured - low)
        } else if *expected > high {
            ("below", expected - measured, high - measured)
        } else {
            return None;
        };
        let [off, measured, expected, explained] =
            [off, measured, *expected, explained.max(0.0)].map(|value| unit.write(value));
        Some(format!(
            "{name} {off} {direction} theory ({measured} against {expected}, where chance and \
             slack explain {explained})"
        ))
    }

    /// As the summary shows it.
    pub(super) fn row(&self) -> ModelClaim {
        ModelClaim {
            quantity: self.quantity.to_owned(),
            expected: self.expected,
            measured: self.measured,
            interval: self.interval,
            agrees: self.holds(),
        }
    }
}

/// The smallest interval that holds both.
pub(super) fn hull(one: [f64; 2], other: Option<[f64; 2]>) -> [f64; 2] {
    other.map_or(one, |other| [one[0].min(other[0]), one[1].max(other[1])])
}

#[cfg(test)]
mod tests {
    use super::{Claim, Unit, hull};

    fn claim(expected: f64, interval: [f64; 2]) -> Claim {
        Claim {
            quantity: "latency.p50",
            name: "p50 latency".to_owned(),
            unit: Unit::Time,
            expected,
            measured: Some(137e6),
            interval: Some(interval),
        }
    }

    #[test]
    fn a_refutation_says_by_how_much_and_in_which_direction() {
        let above = claim(125e6, [128e6, 146e6]);
        assert_eq!(above.holds(), Some(false));
        assert_eq!(
            above.refutation().expect("refuted"),
            "p50 latency 12.0 ms above theory (137 ms against 125 ms, where chance and slack \
             explain 9.00 ms)"
        );
        let below = claim(150e6, [128e6, 146e6]).refutation().expect("refuted");
        assert!(below.starts_with("p50 latency 13.0 ms below theory"), "{below}");
        assert_eq!(claim(130e6, [128e6, 146e6]).refutation(), None);
    }

    #[test]
    fn a_claim_without_an_interval_is_neither_held_nor_refuted() {
        let open = Claim { interval: None, ..claim(1.0, [0.0, 0.0]) };
        assert_eq!((open.holds(), open.refutation()), (None, None));
        assert_eq!(
            hull([2.0, 3.0], Some([1.0, 2.5])).map(f64::to_bits),
            [1.0, 3.0].map(f64::to_bits)
        );
        assert_eq!(hull([2.0, 3.0], None).map(f64::to_bits), [2.0, 3.0].map(f64::to_bits));
    }
}
