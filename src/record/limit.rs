//! The physical limit as a record keeps it: what raw sockets took between the trial's processes.

use serde::{Deserialize, Serialize};

use crate::schedule::Arrivals;
use crate::units::{Bytes, Rate};

/// What became of the calibration of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Raw sockets were measured.
    Measured(Limit),
    /// They were not, for this reason; the trial is as good without.
    Failed(String),
}

impl Calibration {
    /// What was measured.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        match self {
            Calibration::Measured(limit) => Some(limit),
            Calibration::Failed(_) => None,
        }
    }
}

/// What raw TCP sockets took on loopback, before the schedule began, from the source's process to
/// that of the trial's first subscribers. All times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Transfers a second, on average: the scenario's events, or the floor below which a
    /// calibration would take too long.
    pub rate: Rate,
    /// How they were spaced.
    pub arrivals: Arrivals,
    /// Size of a message.
    pub message: Bytes,
    /// On a connection that is kept: from the start of the write to the end of the read.
    pub one_way: Transfers,
    /// The same, until the source had read an answer of a few bytes.
    pub round_trip: Transfers,
    /// On a connection of its own: from the start of the connect to the end of the read.
    pub new_connection: Transfers,
}

/// How long some transfers took, in nanoseconds; quantiles by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfers {
    /// How many there were.
    pub count: u64,
    /// The quickest.
    pub min: u64,
    /// Median.
    pub p50: u64,
    /// 99 % took at most this.
    pub p99: u64,
}

impl Transfers {
    /// Summarises how long each transfer took; `None` of none.
    #[must_use]
    pub fn of(mut times: Vec<u64>) -> Option<Transfers> {
        times.sort_unstable();
        let rank = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
        let min = *times.first()?;
        Some(Transfers { count: times.len() as u64, min, p50: rank(50), p99: rank(99) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Calibration, Transfers};

    #[test]
    fn transfers_are_summarised_by_nearest_rank() {
        let hundred = Transfers::of((1..=100).rev().collect());
        assert_eq!(hundred, Some(Transfers { count: 100, min: 1, p50: 50, p99: 99 }));
        assert_eq!(Transfers::of(vec![7]), Some(Transfers { count: 1, min: 7, p50: 7, p99: 7 }));
        assert_eq!(Transfers::of(Vec::new()), None);
    }

    #[test]
    fn a_failed_calibration_keeps_its_reason_and_has_no_limit() {
        let failed = Calibration::Failed("no port".to_owned());
        assert_eq!(failed.limit(), None);
        let text = serde_json::to_string(&failed).expect("JSON");
        assert_eq!(text, r#"{"failed":"no port"}"#);
        assert_eq!(serde_json::from_str::<Calibration>(&text).expect("read"), failed);
    }
}
