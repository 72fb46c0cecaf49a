//! A poll in an outage.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::reads::Reads;
use super::retries::Outage;
use super::staleness::Staleness;
use super::{Beat, Conditions, Form};

/// By how much of a gap an outage may differ from whole gaps.
const WHOLE: f64 = 0.01;

/// Polls at a fixed rate that fail while an outage lasts, and lose nothing by it.
///
/// With G from one read to the next, D/G reads fall into an outage that lasts D and fail. From the
/// last read before it to the first behind it is a gap of O = D + G, wherever the beat is, so the
/// share O/W of the events of a window W waits uniformly on \[d, O + d\], and all others on
/// \[d, G + d\]. If D is no multiple of G, the beat decides whether one more read fails, and only
/// counts are claimed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BrokenPoll {
    /// When the feed is read.
    pub reads: Reads,
    /// Events a page holds; every full page costs a request more.
    pub limit: u32,
    /// When nothing gets through.
    pub outage: Outage,
}

impl BrokenPoll {
    /// The form, of polls whose beat an outage does not change.
    #[must_use]
    pub fn new(reads: Reads, limit: u32, outage: Outage) -> Option<BrokenPoll> {
        let steady = reads.beat == Beat::FixedRate && reads.period().is_some();
        (steady && !reads.conditional).then_some(BrokenPoll { reads, limit, outage })
    }
}

impl Form for BrokenPoll {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "polling in an outage: events between the last read before it and the first \
                     one behind it wait for that, all others for the next read";
        let begins = Duration::from_nanos(self.outage.at);
        let lasts = Duration::from_nanos(self.outage.lasts);
        let gaps = self.reads.gaps(conditions.exchange);
        let gap: Duration = gaps.iter().map(|gap| gap.length).sum();
        let missing = lasts + gap;
        let inside = begins >= conditions.warm_up + gap
            && begins + missing <= conditions.warm_up + conditions.window;
        let least = conditions.after_read();
        if !inside {
            // Which part of it is in the window is nobody's to say beforehand.
            return Prediction::new(words, Latency::AtLeast(least));
        }
        let failing = lasts.as_secs_f64() / gap.as_secs_f64();
        let away = missing.as_secs_f64() / conditions.window.as_secs_f64();
        let subscribers = f64::from(conditions.subscribers);
        let polls = self.reads.polls(conditions);
        // All that was missed comes in full pages, and any page may be full.
        let pages = conditions.deliveries() / f64::from(self.limit.max(1));
        let requests = polls.or(polls.expected - subscribers * failing.ceil());
        let requests = requests.or(polls.expected + pages);
        let prediction = Prediction::new(words, Latency::AtLeast(least))
            .with(Quantity::Requests, requests)
            .with(Quantity::Lost, Count::exactly(0.0));
        if (failing - failing.round()).abs() > WHOLE {
            return prediction;
        }
        let waiting = Share { weight: away, from: least, to: least + missing };
        let usual = Share { weight: 1.0 - away, from: least, to: least + gap };
        let latency = Latency::Mixture(vec![usual, waiting]);
        let staleness = Staleness::of(conditions, &latency, 1.0, gap);
        Prediction {
            latency,
            staleness: staleness.map(|stale| stale.beginning_with_an_event(conditions)),
            rounds: Some(1.0),
            alike: true,
            ..prediction
        }
    }

    fn longest_wait(&self) -> Duration {
        self.reads.longest()
    }

    fn period(&self) -> Option<Duration> {
        self.reads.period()
    }
}

#[cfg(test)]
mod tests {
    use super::BrokenPoll;
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::reads::Reads;
    use crate::theory::retries::Outage;
    use crate::theory::{Beat, Conditions, Form};
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn broken(lasts: u64) -> BrokenPoll {
        let reads = Reads::every(Duration::from_secs(1), Beat::FixedRate);
        BrokenPoll::new(reads, 1_000, Outage { at: 100 * SECOND, lasts }).expect("a steady beat")
    }

    /// The mean wait of events a millisecond apart for a thousand seconds, by a beat that begins
    /// `phase` thousandths of a second on.
    fn simulated(lasts: u64, phase: u64) -> f64 {
        let outage = 100_000..100_000 + lasts / 1_000_000;
        let reads: Vec<u64> = (0..1_100)
            .map(|beat| beat * 1_000 + phase)
            .filter(|read| !outage.contains(read))
            .collect();
        let wait = |due: u64| {
            let next = reads.partition_point(|read| *read < due);
            reads[next] - due
        };
        (0..1_000_000).map(|due| wait(due) as f64).sum::<f64>() / 1e6 / 1e3
    }

    #[test]
    fn what_is_due_in_an_outage_waits_for_the_first_read_behind_it() {
        for lasts in [SECOND, 30 * SECOND] {
            let predicted = broken(lasts).predict(&Conditions::poisson(20.0));
            let mean = predicted.latency.mean().expect("claimed").as_secs_f64();
            for phase in [0, 1, 250, 999] {
                let simulated = simulated(lasts, phase);
                assert!((mean - simulated).abs() < 0.002, "{phase}: {mean} {simulated}");
            }
        }
        let predicted = broken(30 * SECOND).predict(&Conditions::poisson(20.0));
        assert_eq!(predicted.latency.max(), Some(Duration::from_secs(31)));
        let requests = predicted.count(Quantity::Requests).expect("claimed");
        assert!((requests.expected - 2_000.0).abs() < 1e-9, "{requests:?}");
        assert!((requests.least - 1_940.0).abs() < 1e-9, "those that fail may not count");
    }

    #[test]
    fn where_the_beat_decides_only_counts_are_claimed() {
        let predicted = broken(SECOND / 2).predict(&Conditions::poisson(20.0));
        assert!(matches!(predicted.latency, Latency::AtLeast(_)));
        assert!(predicted.count(Quantity::Lost).is_some());
        let fixed_delay = Reads::every(Duration::from_secs(1), Beat::FixedDelay);
        let outage = Outage { at: 100 * SECOND, lasts: SECOND };
        assert_eq!(BrokenPoll::new(fixed_delay, 1_000, outage), None);
    }
}
