//! Polling a feed that keeps its newest events only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prediction::{Count, Prediction, Quantity};
use super::reads::Reads;
use super::{Conditions, Form};

/// Polls of a feed of bounded length: of the N events of a gap the newest w are read, and the
/// others are lost.
///
/// The share captured is E\[min(N, w)\]/(λG), about min(1, w/(λG)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BoundedPoll {
    /// When the feed is read.
    pub reads: Reads,
    /// Events a page holds; every full page costs a request more.
    pub limit: u32,
    /// Events the feed keeps.
    pub keeps: u32,
}

impl Form for BoundedPoll {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "polling a feed that keeps its newest events only: older ones are lost, the \
                     others wait for the next read and then d, half an exchange";
        let (keeps, limit) = (u64::from(self.keeps), u64::from(self.limit).max(1));
        let pages = |events: u64| events.min(keeps).div_ceil(limit).max(1) as f64;
        // The events of a gap on the edge of the window were due on both sides of it.
        let edge = conditions.rate.events_in(self.reads.longest() + conditions.exchange).max(1.0);
        let lost = self
            .reads
            .over_gaps(conditions, |events| events.saturating_sub(keeps) as f64)
            .map(|lost| Count { edge, ..lost });
        let latency = self.reads.latency_of_newest(conditions, keeps);
        let prediction = Prediction::new(words, latency);
        let staleness = self.reads.staleness(conditions);
        let prediction = Prediction { staleness, ..prediction }
            .with(Quantity::Requests, self.reads.over_gaps(conditions, pages))
            .with(Quantity::Lost, lost);
        self.reads.with_empty(prediction, conditions)
    }

    fn longest_wait(&self) -> Duration {
        self.reads.longest()
    }

    fn period(&self) -> Option<Duration> {
        self.reads.period()
    }
}
