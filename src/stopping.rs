//! When a point has been measured often enough: what is looked at, and how sure it must be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::{Kind, Measure};
use crate::units::Precision;

/// The fewest blocks whose least and greatest value hold the true median with 95 % confidence.
pub const FEWEST_BLOCKS: u32 = 6;

/// Stop when the interval over blocks of a measure is this narrow for every strategy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppingRule {
    /// What is looked at.
    pub measure: Measure,
    /// How far the interval may reach from its median.
    pub precision: Precision,
}

impl StoppingRule {
    /// Whether a rule can look at a measure: every block must give a value of it by itself.
    #[must_use]
    pub fn can_look_at(measure: Measure) -> bool {
        measure.kind() == Kind::Sampled && measure != Measure::CostMonth
    }
}

/// Why a point was measured no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The interval of every strategy was narrow enough.
    Narrow,
    /// As many blocks as were allowed had been run.
    Cap,
}
