//! When a point has been measured often enough: what is looked at, and how sure it must be.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Precision;

/// The fewest blocks whose least and greatest value hold the true median with 95 % confidence.
pub const FEWEST_BLOCKS: u32 = 6;

/// A figure that every block gives of every strategy.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Measure {
    /// Arithmetic mean of latency.
    #[serde(rename = "latency.mean")]
    LatencyMean,
    /// Median latency.
    #[default]
    #[serde(rename = "latency.p50")]
    LatencyP50,
    /// The 99th percentile of latency.
    #[serde(rename = "latency.p99")]
    LatencyP99,
    /// Exchanges inside the window for each delivered event.
    #[serde(rename = "requests.per_event")]
    RequestsPerEvent,
    /// Bytes on the source's sockets for each delivered event.
    #[serde(rename = "bytes.per_event")]
    BytesPerEvent,
    /// CPU time of both sides for each delivered event.
    #[serde(rename = "cpu.per_event")]
    CpuPerEvent,
}

impl Measure {
    /// All of them, in the order of a summary.
    pub const ALL: [Measure; 6] = [
        Measure::LatencyMean,
        Measure::LatencyP50,
        Measure::LatencyP99,
        Measure::RequestsPerEvent,
        Measure::BytesPerEvent,
        Measure::CpuPerEvent,
    ];

    /// What scenarios and results call it: a path below a strategy of the summary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Measure::LatencyMean => "latency.mean",
            Measure::LatencyP50 => "latency.p50",
            Measure::LatencyP99 => "latency.p99",
            Measure::RequestsPerEvent => "requests.per_event",
            Measure::BytesPerEvent => "bytes.per_event",
            Measure::CpuPerEvent => "cpu.per_event",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Stop when the interval over blocks of a measure is this narrow for every strategy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppingRule {
    /// What is looked at.
    pub measure: Measure,
    /// How far the interval may reach from its median.
    pub precision: Precision,
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

#[cfg(test)]
mod tests {
    use super::Measure;

    #[test]
    fn a_measure_is_read_by_its_name() {
        for measure in Measure::ALL {
            let read: Measure = serde_json::from_value(measure.name().into()).expect("its name");
            assert_eq!(read, measure);
        }
        assert!(serde_json::from_value::<Measure>("latency.p95".into()).is_err());
    }
}
