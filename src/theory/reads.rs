//! Reads of the source at intervals: what all pollers with a beat have in common.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cycle::Cycle;
use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::staleness::Staleness;
use super::{Beat, Conditions};
use crate::units::duration_text;

/// Steps between the shortest and the longest gap that a jittered interval is made of.
const JITTERED: u32 = 64;

/// When a poller reads the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reads {
    /// The configured interval T.
    #[serde(with = "duration_text")]
    pub every: Duration,
    /// Fixed rate or fixed delay.
    pub beat: Beat,
    /// The share j of T by which each interval is longer or shorter: uniform on T·(1 ± j).
    pub jitter: f64,
    /// Whether an unchanged source is answered 304.
    pub conditional: bool,
}

/// A time from one read to the next, and the share of gaps that are so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) share: f64,
    pub(crate) length: Duration,
}

impl Reads {
    /// Reads at plain intervals over connections that are kept.
    #[must_use]
    pub fn every(every: Duration, beat: Beat) -> Reads {
        Reads { every, beat, jitter: 0.0, conditional: false }
    }

    /// The longest an interval can be.
    #[must_use]
    pub fn longest(&self) -> Duration {
        scaled(self.every, 1.0 + self.jitter)
    }

    /// The period of a steady beat.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        (self.jitter == 0.0 && !self.every.is_zero()).then_some(self.every)
    }

    /// The times from one read to the next.
    ///
    /// Fixed rate: G = T, or the next multiple of T that an exchange fits into. Fixed delay:
    /// G = T + exchange.
    pub(crate) fn gaps(&self, exchange: Duration) -> Vec<Gap> {
        if self.jitter == 0.0 {
            return vec![Gap { share: 1.0, length: gap(self.every, self.beat, exchange) }];
        }
        // The trapezoidal rule: the shortest and the longest are half as frequent.
        let gap_of = |part: u32| {
            let place = f64::from(part) / f64::from(JITTERED);
            let every = scaled(self.every, 1.0 + self.jitter * (2.0 * place - 1.0));
            let outermost = part == 0 || part == JITTERED;
            let share = if outermost { 0.5 } else { 1.0 } / f64::from(JITTERED);
            Gap { share, length: gap(every, self.beat, exchange) }
        };
        (0..=JITTERED).map(gap_of).collect()
    }

    /// The wait of an event that happens independently of the beat, and is read at the next.
    ///
    /// It meets a gap with a frequency proportional to its length, and is anywhere in it:
    /// W ~ U\[0, G\] in each, with the mean E\[G²\]/(2·E\[G\]). Then it travels. The request's
    /// own way adds nothing: events that happen while it travels are seen.
    pub(crate) fn latency(&self, conditions: &Conditions) -> Latency {
        let least = conditions.after_read();
        let share = |gap: Gap| Share {
            weight: gap.share * gap.length.as_secs_f64(),
            from: least,
            to: least + gap.length,
        };
        Latency::Mixture(self.gaps(conditions.exchange).into_iter().map(share).collect())
    }

    /// How long the state is out of date: a read brings the newest event, whatever became of
    /// those before it.
    pub(crate) fn staleness(&self, conditions: &Conditions) -> Option<Staleness> {
        Prediction::new("", self.latency(conditions)).with_staleness(conditions).staleness
    }

    /// The wait of those events of which a gap holds no more than `keeps` newer ones.
    ///
    /// Of the captured events of a gap, min(N(x), keeps) are at most x old, N(x) being the
    /// events of its last part of length x.
    pub(crate) fn latency_of_newest(&self, conditions: &Conditions, keeps: u64) -> Latency {
        let least = conditions.after_read();
        let gaps = self.gaps(conditions.exchange);
        let newest = |wait| {
            let kept = |events: u64| events.min(keeps) as f64;
            conditions.arrivals.expectation(conditions.rate, wait, kept)
        };
        let in_gaps: Option<Vec<f64>> = gaps.iter().map(|gap| newest(gap.length)).collect();
        let Some(in_gaps) = in_gaps else { return Latency::AtLeast(least) };
        let captured = |wait: Duration| {
            let newest = newest(wait)?;
            let of = |(gap, all): (&Gap, &f64)| {
                gap.share * if wait < gap.length { newest } else { *all }
            };
            Some(gaps.iter().zip(&in_gaps).map(of).sum::<f64>())
        };
        let longest = gaps.iter().map(|gap| gap.length).max().unwrap_or_default();
        // Weights need not add up to one.
        Latency::of_waits(least, longest, captured).unwrap_or(Latency::AtLeast(least))
    }

    /// The sum over all gaps of a window, of all subscribers, of something that depends on the
    /// number of events in a gap; `None` if the arrivals have no closed form.
    pub(crate) fn over_gaps(
        &self,
        conditions: &Conditions,
        of: impl Fn(u64) -> f64,
    ) -> Option<Count> {
        self.sum(conditions, |gap| {
            let mean = conditions.arrivals.expectation(conditions.rate, gap, &of)?;
            let square = |events| of(events).powi(2);
            Some((mean, conditions.arrivals.expectation(conditions.rate, gap, square)?))
        })
    }

    /// The reads of a window, of all subscribers.
    pub(crate) fn polls(&self, conditions: &Conditions) -> Count {
        self.sum(conditions, |_| Some((1.0, 1.0))).expect("one read a gap, whatever the events")
    }

    /// Reads that find nothing.
    pub(crate) fn fruitless(&self, conditions: &Conditions) -> Option<Count> {
        self.over_gaps(conditions, |events| if events == 0 { 1.0 } else { 0.0 })
    }

    /// Reads of a feed that find nothing: they are empty, or answered 304.
    ///
    /// News moves the cursor, which is part of what is asked for. So a conditional read is
    /// answered 304 only if the read before it found nothing either. Of n reads of which a share
    /// p finds nothing, independently of each other, n·p² are answered 304, with the variance
    /// n·(p² + 2p³ − 3p⁴), and n·p·(1 − p) are empty, with the variance n·(r − 3r²), r = p·(1 − p).
    pub(crate) fn with_empty(&self, prediction: Prediction, conditions: &Conditions) -> Prediction {
        let none = self.fruitless(conditions);
        if !self.conditional {
            return prediction.with(Quantity::Empty, none);
        }
        // Only then are the events of one gap independent of those of the next.
        let independent = conditions.arrivals.has_independent_gaps();
        let Some(none) = none.filter(|_| independent) else { return prediction };
        let subscribers = f64::from(conditions.subscribers);
        let reads = self.polls(conditions).expected / subscribers;
        let p = none.expected / subscribers / reads;
        let r = p * (1.0 - p);
        let share = |of: f64, variance: f64| Count {
            deviation: subscribers * (reads * variance).max(0.0).sqrt(),
            ..none.scaled(of)
        };
        prediction
            .with(Quantity::Empty, share(1.0 - p, r - 3.0 * r * r))
            .with(Quantity::NotModified, share(p, p.powi(2) + 2.0 * p.powi(3) - 3.0 * p.powi(4)))
    }

    /// Sums what a gap holds, given its first two moments.
    ///
    /// Exchanges that take longer make fixed-delay gaps longer; back to back, whatever is done
    /// between two exchanges makes them fewer.
    fn sum(
        &self,
        conditions: &Conditions,
        moments: impl Fn(Duration) -> Option<(f64, f64)>,
    ) -> Option<Count> {
        let at = |conditions: &Conditions| {
            let mut cycle = Cycle::default();
            for gap in self.gaps(conditions.exchange) {
                let (mean, square) = moments(gap.length)?;
                cycle.add(gap.share, gap.length.as_secs_f64(), mean, square);
            }
            Some(cycle.count(conditions))
        };
        let count = at(conditions)?;
        Some(match self.beat {
            _ if self.every.is_zero() => count.or(0.0),
            Beat::FixedRate => count,
            Beat::FixedDelay => count.or(at(&conditions.slower())?.expected),
        })
    }
}

/// The time from one read of the source to the next.
fn gap(every: Duration, beat: Beat, exchange: Duration) -> Duration {
    // An exchange takes some time even where the clock saw none; the gap is a divisor.
    let exchange = exchange.max(Duration::from_nanos(1));
    match beat {
        Beat::FixedDelay => every + exchange,
        Beat::FixedRate if every.is_zero() => exchange,
        Beat::FixedRate => {
            let beats = exchange.as_nanos().div_ceil(every.as_nanos());
            every.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
        }
    }
}

fn scaled(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or_default()
}
