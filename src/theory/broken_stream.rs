//! A stream that breaks in an outage.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::retries::Outage;
use super::staleness::Staleness;
use super::stream::Stream;
use super::{Conditions, Form};

/// A stream that breaks when an outage begins and is opened again by the first attempt behind it.
///
/// A subscriber tries again every R from the break on, so a stream that breaks at o for D is
/// missing for O = ⌈D/R⌉·R, set-up of the new one included. The share O/W of the events of a window
/// W waits uniformly on \[d, O + d\], or is lost if nothing is replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BrokenStream {
    /// Time between heartbeats in nanoseconds, while nothing else is sent.
    pub heartbeat: u64,
    /// When nothing gets through.
    pub outage: Outage,
    /// How long a subscriber waits before it connects again, in nanoseconds.
    pub reconnect: u64,
    /// Whether it is then given what it missed.
    pub replay: bool,
}

impl BrokenStream {
    /// Attempts to connect again, the last of which succeeds, and O.
    fn missing(&self, conditions: &Conditions) -> (u64, Duration) {
        let trips = conditions.dialling.saturating_add(1);
        let network = conditions.rtt.unwrap_or_default().saturating_mul(trips);
        let attempts = self.outage.lasts.div_ceil(self.reconnect.max(1)).max(1);
        let waited = attempts.saturating_mul(self.reconnect).max(self.outage.lasts);
        (attempts, Duration::from_nanos(waited) + network)
    }
}

impl Form for BrokenStream {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let whole = Stream { heartbeat: Some(self.heartbeat), ends: None }.predict(conditions);
        let (attempts, missing) = self.missing(conditions);
        let window = conditions.window.as_secs_f64();
        let begins = Duration::from_nanos(self.outage.at);
        let inside = begins >= conditions.warm_up
            && begins + missing <= conditions.warm_up + conditions.window;
        let words = "stream that breaks in an outage: events between the break and the first \
                     attempt to connect behind the outage wait for that, or are lost where \
                     nothing is replayed";
        if !inside {
            // Which part of it is in the window is nobody's to say beforehand.
            return Prediction::new(words, whole.latency);
        }
        let away = missing.as_secs_f64() / window;
        let least = whole.latency.min();
        let direct = Share { weight: 1.0 - away, from: least, to: least };
        let waiting = Share { weight: away, from: least, to: least + missing };
        let shares = if self.replay { vec![direct, waiting] } else { vec![direct] };
        let arriving = shares.iter().map(|share| share.weight).sum();
        let reached = Latency::Mixture(shares);
        let stale = Staleness::of(conditions, &reached, arriving, Duration::ZERO);
        let subscribers = f64::from(conditions.subscribers);
        let lost = if self.replay { 0.0 } else { away };
        let deviation = (conditions.deliveries() * lost * (1.0 - lost) * subscribers).sqrt();
        let lost = Count::per_delivery(lost, conditions).deviating(deviation);
        let opened = Count::certain(subscribers).or(subscribers * attempts as f64);
        Prediction {
            latency: if self.replay { reached } else { whole.latency.clone() },
            staleness: stale.map(|stale| stale.beginning_with_an_event(conditions)),
            rounds: Some(1.0),
            alike: true,
            ..Prediction::new(words, Latency::AtLeast(least))
        }
        .with(Quantity::Requests, opened)
        .with(Quantity::Lost, Count { edge: 1.0, ..lost })
    }

    fn longest_wait(&self) -> Duration {
        Duration::from_nanos(self.reconnect)
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::BrokenStream;
    use crate::theory::prediction::Quantity;
    use crate::theory::retries::Outage;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn broken(lasts: u64, replay: bool) -> BrokenStream {
        let outage = Outage { at: 100 * SECOND, lasts };
        BrokenStream { heartbeat: 15 * SECOND, outage, reconnect: 3 * SECOND, replay }
    }

    /// Events of a thousand seconds one by one: due in the outage or between its end and the
    /// first attempt behind it, they arrive with that attempt.
    fn simulated(lasts: u64) -> f64 {
        let reconnect = 3 * SECOND;
        let opened = (1..).map(|n| 100 * SECOND + n * reconnect);
        let opened = opened.clone().find(|at| *at >= 100 * SECOND + lasts).unwrap_or_default();
        let due = (0..1_000_000).map(|event| event * SECOND / 1_000);
        let wait = |due: u64| if due >= 100 * SECOND { opened.saturating_sub(due) } else { 0 };
        due.map(|due| wait(due) as f64).sum::<f64>() / 1e6 / 1e9
    }

    #[test]
    fn what_is_due_while_it_is_broken_waits_for_the_next_attempt() {
        for lasts in [30 * SECOND, 31 * SECOND, SECOND / 2] {
            let predicted = broken(lasts, true).predict(&Conditions::poisson(20.0));
            let mean = predicted.latency.mean().expect("claimed").as_secs_f64();
            assert!((mean - simulated(lasts)).abs() < 0.002, "{mean} {}", simulated(lasts));
            let lost = predicted.count(Quantity::Lost).expect("claimed").expected;
            assert!(lost.abs() < 1e-9);
        }
        let predicted = broken(31 * SECOND, true).predict(&Conditions::poisson(20.0));
        assert_eq!(predicted.latency.max(), Some(Duration::from_secs(33)));
    }

    #[test]
    fn without_replay_it_is_lost() {
        let conditions = Conditions::poisson(20.0);
        let predicted = broken(30 * SECOND, false).predict(&conditions);
        let lost = predicted.count(Quantity::Lost).expect("claimed").expected;
        assert!((lost / conditions.deliveries() - 0.03).abs() < 1e-9, "{lost}");
    }
}
