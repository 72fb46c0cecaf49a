//! One request to the subscriber for several events.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::{Conditions, Form};
use crate::units::duration_text;

/// Events that linger for others to join them, and leave in one request.
///
/// A batch leaves a time L after its first event, or when it is full. With Poisson arrivals
/// and no limit it holds 1 + λL events: requests are 1/(1 + λL) an event. The first of a batch
/// waits L, the others uniformly on \[0, L\], so the mean is L(1 + λL/2)/(1 + λL) + d. With a
/// limit B a batch holds min(1 + N, B) events, N of L, and leaves a full one when the B-th is
/// there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BatchedWebhook {
    /// The longest a batch waits, L.
    #[serde(with = "duration_text")]
    pub linger: Duration,
    /// The most events of a batch, B.
    pub most: u32,
}

/// Evenly spaced events of a batch from which on their waits count as uniform.
const MANY: u64 = 1_000;

impl BatchedWebhook {
    /// The events that join a batch at most.
    fn most_joining(&self) -> u64 {
        u64::from(self.most).saturating_sub(1)
    }

    /// The mean size of a batch, and its variance; `None` if the arrivals have no closed form.
    fn size(&self, conditions: &Conditions) -> Option<(f64, f64)> {
        if conditions.is_constant() {
            return Some((self.joining_evenly(conditions) as f64 + 1.0, 0.0));
        }
        if !conditions.is_poisson() {
            return None;
        }
        let most = self.most_joining();
        let expected = |power: i32| {
            conditions.arrivals.expectation(conditions.rate, self.linger, |joining| {
                ((joining.min(most) + 1) as f64).powi(power)
            })
        };
        let mean = expected(1)?;
        Some((mean, (expected(2)? - mean * mean).max(0.0)))
    }

    /// Whether nearly all batches leave by the timer.
    fn seldom_full(&self, conditions: &Conditions) -> bool {
        let most = self.most_joining();
        let full = |joined: u64| if joined >= most { 1.0 } else { 0.0 };
        let full = conditions.arrivals.expectation(conditions.rate, self.linger, full);
        full.is_some_and(|full| full < 1e-3)
    }

    /// Evenly spaced events that join the first.
    fn joining_evenly(&self, conditions: &Conditions) -> u64 {
        let interval = conditions.rate.interval().as_nanos().max(1);
        let joining = self.linger.as_nanos() / interval;
        u64::try_from(joining).unwrap_or(u64::MAX).min(self.most_joining())
    }

    fn constant(&self, conditions: &Conditions, least: Duration) -> Latency {
        let joining = self.joining_evenly(conditions);
        let interval = conditions.rate.interval();
        let times = |events: u64| interval.mul_f64(events as f64);
        let full = joining == self.most_joining();
        let longest = if full { times(joining) } else { self.linger };
        if joining > MANY {
            let last = longest.saturating_sub(times(joining));
            return Latency::uniform(least + last, least + longest);
        }
        let share = |event| {
            let at = least + longest.saturating_sub(times(event));
            Share { weight: 1.0, from: at, to: at }
        };
        Latency::Mixture((0..=joining).map(share).collect())
    }

    /// How many events of a batch wait at most so long, as a mean.
    ///
    /// Given that it leaves by its timer, after L, those that joined are uniform on \[0, L\];
    /// given that the last to join comes at t, the others are uniform on \[0, t\].
    fn poisson(&self, conditions: &Conditions, least: Duration) -> Option<Latency> {
        const PARTS: u32 = 200;
        let most = self.most_joining();
        let expect = |after: Duration, of: &dyn Fn(u64) -> f64| {
            conditions.arrivals.expectation(conditions.rate, after, of)
        };
        let linger = least + self.linger;
        let by_timer = |joined: u64| if joined < most { 1.0 } else { 0.0 };
        let joined = |joined: u64| joined as f64 * by_timer(joined);
        let mut shares = vec![
            Share { weight: expect(self.linger, &by_timer)?, from: linger, to: linger },
            Share { weight: expect(self.linger, &joined)?, from: least, to: linger },
        ];
        if most == 0 {
            shares.push(Share { weight: 1.0, from: least, to: least });
        }
        let others = most.saturating_sub(1) as f64;
        let full = |joined: u64| if joined >= most { 1.0 } else { 0.0 };
        let mut before = 0.0;
        for part in 0..PARTS * u32::from(most > 0) {
            let edge = |part: u32| self.linger.mul_f64(f64::from(part) / f64::from(PARTS));
            let (from, to) = (least + edge(part), least + edge(part + 1));
            let after = expect(edge(part + 1), &full)?;
            let weight = (after - before).max(0.0);
            before = after;
            // The first waits for the last, those between less, the last not at all.
            shares.push(Share { weight, from, to });
            shares.push(Share { weight: weight * others, from: least, to: (from + to) / 2 });
            shares.push(Share { weight, from: least, to: least });
        }
        shares.retain(|share| share.weight > 0.0);
        Some(Latency::Mixture(shares))
    }
}

impl Form for BatchedWebhook {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "batched webhook: a batch leaves a time L after its first event, which waits L, \
                     the others less, or when it is full; then d, half an exchange";
        let least = conditions.there(conditions.server);
        let latency = if conditions.is_constant() {
            Some(self.constant(conditions, least))
        } else if conditions.is_poisson() {
            self.poisson(conditions, least)
        } else {
            None
        };
        let requests = self.size(conditions).map(|(mean, variance)| {
            let batches = conditions.rate.events_in(conditions.window) / mean;
            let deviation = f64::from(conditions.subscribers) * (batches * variance).sqrt() / mean;
            Count::per_delivery(1.0 / mean, conditions).deviating(deviation)
        });
        let prediction = Prediction::new(words, latency.unwrap_or(Latency::AtLeast(least)));
        // What follows an event can end its wait if it makes the batch full.
        let prediction = if self.seldom_full(conditions) {
            prediction.with_staleness(conditions)
        } else {
            prediction
        };
        prediction.with(Quantity::Requests, requests).with(Quantity::Empty, Count::certain(0.0))
    }

    fn longest_wait(&self) -> Duration {
        self.linger
    }
}

#[cfg(test)]
mod tests {
    use super::BatchedWebhook;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    #[test]
    fn a_batch_halves_requests_at_one_event_a_linger() {
        let form = BatchedWebhook { linger: Duration::from_secs(1), most: 1_000 };
        let conditions = Conditions::poisson(1.0);
        let predicted = form.predict(&conditions);
        let requests = predicted.count(Quantity::Requests).expect("claimed").expected;
        assert!((requests / conditions.deliveries() - 0.5).abs() < 1e-9);
        // L(1 + λL/2)/(1 + λL).
        assert_eq!(predicted.latency.mean(), Some(Duration::from_millis(750)));
        assert_eq!(predicted.latency.quantile(0.99), Some(Duration::from_secs(1)));
    }

    #[test]
    fn batches_always_need_fewer_requests_than_polls_of_the_same_greatest_latency() {
        for (rate, expected) in [(10.0, 0.0909), (100.0, 0.0099)] {
            let form = BatchedWebhook { linger: Duration::from_secs(1), most: 10_000 };
            let conditions = Conditions::poisson(rate);
            let predicted = form.predict(&conditions);
            let requests = predicted.count(Quantity::Requests).expect("claimed").expected;
            let each = requests / conditions.deliveries();
            assert!((each - expected).abs() < 5e-5 && each < 1.0 / rate, "{each}");
        }
    }
}
