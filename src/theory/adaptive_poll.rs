//! Polling less often while nothing happens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cycle::Cycle;
use super::latency::{Latency, Share};
use super::prediction::{Prediction, Quantity};
use super::{Conditions, Form};
use crate::units::duration_text;

/// The most levels an interval grows through; fifty doublings are longer than any interval.
const MOST_LEVELS: usize = 200;

/// Polls whose interval grows by a factor on an empty answer and starts again on news.
///
/// After k empty answers the interval is Tk, and a read follows the last after Gk = Tk +
/// exchange. Poisson arrivals leave that gap empty with ek = e^(−λGk), so a gap is of level k
/// with a frequency πk proportional to e0·…·e(k−1), the last level's divided by 1 − ek. Reads are
/// 1/E\[G\] a second, Σ πk·ek of them empty; latency has the mean E\[G²\]/(2·E\[G\]) + d.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AdaptivePoll {
    /// The interval after news.
    #[serde(with = "duration_text")]
    pub fastest: Duration,
    /// The longest interval.
    #[serde(with = "duration_text")]
    pub slowest: Duration,
    /// What an interval is multiplied by when a poll finds nothing.
    pub factor: f64,
}

impl AdaptivePoll {
    /// The gap of each level in seconds, the longest last.
    fn gaps(&self, exchange: Duration) -> Vec<f64> {
        let exchange = exchange.max(Duration::from_nanos(1)).as_secs_f64();
        let (mut interval, slowest) = (self.fastest.as_secs_f64(), self.slowest.as_secs_f64());
        let mut gaps = Vec::new();
        while interval < slowest && gaps.len() < MOST_LEVELS {
            gaps.push(interval + exchange);
            interval = (interval * self.factor).max(self.fastest.as_secs_f64());
        }
        gaps.push(slowest + exchange);
        gaps
    }

    /// The frequency of each level, up to a factor.
    fn frequencies(gaps: &[f64], rate: f64) -> Vec<f64> {
        let mut reached = 1.0;
        let mut frequencies = Vec::new();
        for gap in gaps {
            frequencies.push(reached);
            reached *= (-rate * gap).exp();
        }
        if let (Some(last), Some(gap)) = (frequencies.last_mut(), gaps.last()) {
            *last /= -(-rate * gap).exp_m1();
        }
        frequencies
    }

    /// One cycle from news to news, in which `number` of k polls count.
    fn cycle(gaps: &[f64], rate: f64, number: fn(f64) -> f64) -> Cycle {
        let (last, levels) = gaps.split_last().expect("there is a longest gap");
        let mut cycle = Cycle::default();
        let (mut reached, mut length, mut polls) = (1.0, 0.0, 0.0);
        for gap in levels {
            let empty = (-rate * gap).exp();
            (length, polls) = (length + gap, polls + 1.0);
            let counted = number(polls);
            cycle.add(reached * (1.0 - empty), length, counted, counted * counted);
            reached *= empty;
        }
        // On the last level the polls until news are J, geometrically distributed.
        let news = -(-rate * last).exp_m1();
        let (mean, square) = (1.0 / news, (2.0 - news) / (news * news));
        let before = number(polls + 1.0) - 1.0;
        cycle.length += reached * (length + last * mean);
        cycle.length_squared +=
            reached * (length * length + 2.0 * length * last * mean + last * last * square);
        cycle.number += reached * (before + mean);
        cycle.number_squared += reached * (before * before + 2.0 * before * mean + square);
        cycle.product +=
            reached * (length * before + (length + last * before) * mean + last * square);
        cycle
    }
}

impl Form for AdaptivePoll {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "adaptive polling: latency is uniform on [d, G + d] within each gap G from one \
                     read of the source to the next, d being half an exchange; gaps grow while \
                     nothing happens";
        let least = conditions.after_read();
        if !conditions.is_poisson() {
            return Prediction::new(words, Latency::AtLeast(least));
        }
        let rate = conditions.events_per_second();
        let gaps = self.gaps(conditions.exchange);
        let slower = self.gaps(conditions.slower().exchange);
        let count = |number| {
            let at = |gaps: &[f64]| AdaptivePoll::cycle(gaps, rate, number).count(conditions);
            at(&gaps).or(at(&slower).expected)
        };
        let share = |(gap, frequency): (&f64, f64)| Share {
            weight: frequency * gap,
            from: least,
            to: least + Duration::from_secs_f64(*gap),
        };
        let frequencies = AdaptivePoll::frequencies(&gaps, rate);
        Prediction::new(words, Latency::Mixture(gaps.iter().zip(frequencies).map(share).collect()))
            .with_staleness(conditions)
            .with(Quantity::Requests, count(|polls| polls))
            .with(Quantity::Empty, count(|polls| polls - 1.0))
    }

    fn longest_wait(&self) -> Duration {
        self.slowest
    }
}

#[cfg(test)]
mod tests {
    use super::AdaptivePoll;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    fn alone(rate: f64) -> Conditions {
        Conditions { subscribers: 1, ..Conditions::poisson(rate) }
    }

    #[test]
    fn polls_are_never_further_apart_than_the_slowest_nor_closer_than_the_fastest() {
        let poll = AdaptivePoll {
            fastest: Duration::from_millis(100),
            slowest: Duration::from_secs(1),
            factor: 2.0,
        };
        let polls = |rate| {
            let predicted = poll.predict(&alone(rate));
            predicted.count(Quantity::Requests).expect("claimed").expected
        };
        assert!((polls(1e-6) - 1_000.0).abs() < 0.01, "{}", polls(1e-6));
        assert!((polls(1_000.0) - 10_000.0).abs() < 0.01, "{}", polls(1_000.0));
    }

    #[test]
    fn an_interval_that_does_not_grow_is_an_interval() {
        let every = Duration::from_millis(200);
        let poll = AdaptivePoll { fastest: every, slowest: every, factor: 1.0 };
        let latency = poll.predict(&alone(5.0)).latency;
        let micros = |time: Option<Duration>| time.map(|time| time.as_micros());
        assert_eq!(micros(latency.mean()), Some(100_000));
        assert_eq!(micros(latency.max()), Some(200_000));
    }
}
