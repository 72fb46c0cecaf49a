//! Polling a resource that shows its newest state only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prediction::{Count, Prediction, Quantity};
use super::reads::Reads;
use super::{Conditions, Form};

/// Polls that see the newest event; those it replaced are seen by nobody.
///
/// A read that finds news finds one state, so Poisson arrivals show (1 − e^(−λG))/(λG) of
/// their states and evenly spaced ones min(1, 1/(λG)). The state seen is as old as the last
/// part of the gap without an event: of Poisson arrivals exponential, cut off at G.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SnapshotPoll {
    /// When the resource is read.
    pub reads: Reads,
}

impl Form for SnapshotPoll {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "polling a snapshot: each poll sees the newest state only, as old as the time \
                     without a newer one, and then d, half an exchange";
        let seen = self.reads.over_gaps(conditions, |events| events.min(1) as f64);
        // An unchanged state is sent again in full, unless the poll is conditional.
        let unchanged = self.reads.conditional.then(|| self.reads.fruitless(conditions)).flatten();
        let prediction = Prediction::new(words, self.reads.latency_of_newest(conditions, 1));
        Prediction { staleness: self.reads.staleness(conditions), ..prediction }
            .with(Quantity::Requests, self.reads.polls(conditions))
            .with(Quantity::Delivered, seen)
            .with(Quantity::Empty, Count::certain(0.0))
            .with(Quantity::NotModified, unchanged)
    }

    fn longest_wait(&self) -> Duration {
        self.reads.longest()
    }

    fn period(&self) -> Option<Duration> {
        self.reads.period()
    }
}
