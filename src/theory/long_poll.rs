//! Requests that the source answers when something happens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cycle::Cycle;
use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::{Conditions, Form, SLACK};
use crate::units::duration_text;

/// Requests held until an event happens, at most for a time H, then sent anew.
///
/// From an answer to the moment the next request is held, G = rearm + round trip, events wait;
/// at any other time they travel at once. With Poisson arrivals one request takes
/// C = G + e^(−λG)·(1 − e^(−λH))/λ, so requests are 1/(λC) an event, e^(−λ(G + H)) of them
/// empty; a share G/C of the events waits uniformly on \[0, G\], so the mean latency is
/// d + (G/2)·(G/C), between d for rare and d + G/2 for frequent events. Evenly spaced events
/// further apart than G never wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LongPoll {
    /// The longest a request is held, H.
    #[serde(with = "duration_text")]
    pub hold: Duration,
    /// From an answer to the next request.
    #[serde(with = "duration_text")]
    pub rearm: Duration,
}

impl LongPoll {
    /// The time without a held request, in seconds, if timers and scheduling add `slack` to it.
    ///
    /// An exchange that is held tells how long nothing happened, not how far away the source
    /// is: that is what the network was told to be.
    fn gap(&self, conditions: &Conditions, slack: Duration) -> f64 {
        let trips =
            conditions.rtt.unwrap_or_default().saturating_mul(conditions.set_up.saturating_add(1));
        let gap = conditions.server + trips + self.rearm + slack;
        gap.max(Duration::from_nanos(1)).as_secs_f64()
    }

    /// The share of Poisson requests that end empty.
    fn empty(&self, gap: f64, rate: f64) -> f64 {
        (-rate * (gap + self.hold.as_secs_f64())).exp()
    }

    /// One request with Poisson arrivals; `counted` counts only the empty ones.
    fn cycle(&self, gap: f64, rate: f64, empty_only: bool) -> Cycle {
        let hold = self.hold.as_secs_f64();
        let none = (-rate * gap).exp();
        // The time a request is held is exponential, cut off at H.
        let mean = -(-rate * hold).exp_m1() / rate;
        let square = 2.0 / (rate * rate)
            * (-(-rate * hold).exp_m1() - rate * hold * (-rate * hold).exp()).max(0.0);
        let length = gap + none * mean;
        let number = if empty_only { self.empty(gap, rate) } else { 1.0 };
        Cycle {
            length,
            length_squared: gap * gap + none * (2.0 * gap * mean + square),
            number,
            number_squared: number,
            product: if empty_only { number * (gap + hold) } else { length },
        }
    }

    fn poisson(&self, prediction: Prediction, conditions: &Conditions) -> Prediction {
        let rate = conditions.events_per_second();
        let count = |empty_only| {
            let at =
                |slack| self.cycle(self.gap(conditions, slack), rate, empty_only).count(conditions);
            at(Duration::ZERO).or(at(SLACK).expected)
        };
        prediction.with(Quantity::Requests, count(false)).with(Quantity::Empty, count(true))
    }

    /// Evenly spaced events, if each answers one request or all requests find one.
    fn constant(&self, prediction: Prediction, conditions: &Conditions) -> Prediction {
        let gap = self.gap(conditions, Duration::ZERO);
        let between = 1.0 / conditions.events_per_second();
        let requests = if gap > between {
            let polls = |gap: f64| {
                f64::from(conditions.subscribers) * conditions.window.as_secs_f64() / gap
            };
            Count::certain(polls(gap)).or(polls(self.gap(conditions, SLACK)))
        } else if gap + self.hold.as_secs_f64() > between {
            Count::per_delivery(1.0, conditions)
        } else {
            return prediction;
        };
        prediction.with(Quantity::Requests, requests).with(Quantity::Empty, Count::certain(0.0))
    }

    fn latency(&self, conditions: &Conditions, least: Duration) -> Latency {
        let rate = conditions.events_per_second();
        let gap = self.gap(conditions, Duration::ZERO);
        let waiting = if conditions.is_poisson() {
            gap / self.cycle(gap, rate, false).length
        } else if conditions.is_constant() {
            f64::from(u8::from(gap * rate > 1.0))
        } else {
            return Latency::AtLeast(least);
        };
        if conditions.rtt.is_none() && self.rearm.is_zero() {
            return Latency::AtLeast(least);
        }
        let longest = least + Duration::from_secs_f64(gap);
        let mut shares = vec![
            Share { weight: 1.0 - waiting, from: least, to: least },
            Share { weight: waiting, from: least, to: longest },
        ];
        shares.retain(|share| share.weight > 0.0);
        Latency::Mixture(shares)
    }
}

impl Form for LongPoll {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "long polling: latency is d, half the configured round trip, and for events \
                     in the gap G from an answer to the next held request uniform on [d, G + d]";
        let least = conditions.server + conditions.rtt.unwrap_or_default() / 2;
        let prediction =
            Prediction::new(words, self.latency(conditions, least)).with_staleness(conditions);
        if conditions.is_poisson() {
            self.poisson(prediction, conditions)
        } else if conditions.is_constant() {
            self.constant(prediction, conditions)
        } else {
            prediction
        }
    }

    fn longest_wait(&self) -> Duration {
        self.rearm
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::LongPoll;
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    fn conditions(rate: f64, rtt: Option<Duration>) -> Conditions {
        let exchange = rtt.unwrap_or_default();
        Conditions { exchange, rtt, ..Conditions::poisson(rate) }
    }

    fn long_poll(hold: u64) -> LongPoll {
        LongPoll { hold: Duration::from_secs(hold), rearm: Duration::ZERO }
    }

    #[test]
    fn latency_is_one_way_for_rare_and_two_for_frequent_events() {
        let ways = |rate| {
            let rtt = Duration::from_millis(100);
            let latency = long_poll(30).predict(&conditions(rate, Some(rtt))).latency;
            latency.mean().expect("claimed").as_secs_f64() / 0.05
        };
        for (rate, expected) in [(0.1, 1.01), (20.0, 1.94)] {
            assert!((ways(rate) - expected).abs() < 5e-3, "{}", ways(rate));
        }
    }

    #[test]
    fn rare_events_need_far_fewer_requests_than_polls() {
        // λT = 0.1 with T = 10 s: polls are 10 requests an event; held for 5 s, 20.
        let per_event = |hold| {
            let conditions = conditions(0.01, Some(Duration::from_millis(50)));
            let predicted = long_poll(hold).predict(&conditions);
            let requests = predicted.count(Quantity::Requests).expect("claimed").expected;
            requests / conditions.deliveries()
        };
        for (hold, expected) in [(30, 3.86), (5, 20.3)] {
            assert!((per_event(hold) / expected - 1.0).abs() < 0.01, "{}", per_event(hold));
        }
    }

    #[test]
    fn on_loopback_only_a_bound_is_claimed() {
        let predicted = long_poll(30).predict(&conditions(20.0, None));
        assert_eq!(predicted.latency, Latency::AtLeast(Duration::ZERO));
        let requests = predicted.count(Quantity::Requests).expect("claimed");
        // The gap is not known to a millisecond: between one request an event and 2 % fewer.
        assert!((requests.most - 40_000.0).abs() < 1.0, "{requests:?}");
        assert!(requests.least < 0.9999 * requests.most && requests.least > 39_000.0);
    }
}
