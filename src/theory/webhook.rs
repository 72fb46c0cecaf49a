//! One request to the subscriber for each event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::queue::{one_server, several_servers};
use super::{Conditions, Form, SLACK};
use crate::units::duration_text;

/// A request for each event, sent as it happens over one of `concurrency` connections.
///
/// Latency is at least set-up and one way. On loopback the rest is the implementation's. On a
/// network, or with a subscriber that takes its time, an event also waits for a free
/// connection. One connection with Poisson arrivals is an M/D/1 queue: mean wait ρS/(2(1 − ρ)),
/// S being an exchange and ρ = λS. With more, the claim is no wait where the Erlang C formula
/// leaves next to none, and a bound otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Webhook {
    /// Requests under way at the same time, to one subscriber.
    pub concurrency: u32,
    /// Time the subscriber takes before it answers.
    #[serde(with = "duration_text")]
    pub handle: Duration,
    /// What happens when an attempt fails; absent if it is not repeated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retries: Option<Retries>,
}

/// How failed attempts are repeated.
///
/// Attempts fail with p and lose their answer with q. With f = p + (1 − p)q and N attempts:
/// (1 − f^N)/(1 − f) attempts an event, (1 − p)(1 − f^N)/(1 − f) − (1 − p^N) copies beyond the
/// first, and p^N lost. The first copy comes with attempt n with p^(n−1)(1 − p), after the
/// failed attempts and the waits between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Retries {
    /// Waits before the second attempt and all that follow, in nanoseconds.
    pub waits: Vec<u64>,
    /// The share p of attempts that fail before the subscriber has the event.
    pub failing: f64,
    /// The share q of the others whose answer is lost.
    pub unanswered: f64,
}

impl Retries {
    fn attempts(&self) -> i32 {
        i32::try_from(self.waits.len()).unwrap_or(i32::MAX).saturating_add(1)
    }

    /// f: an attempt that is followed by another.
    fn repeated(&self) -> f64 {
        self.failing + (1.0 - self.failing) * self.unanswered
    }

    /// E\[A\] and E\[A²\] of the attempts an event takes: Σ P(A > n) and Σ (2n + 1)·P(A > n).
    fn attempts_per_event(&self) -> (f64, f64) {
        let beyond = |n: i32| self.repeated().powi(n);
        (0..self.attempts()).fold((0.0, 0.0), |(mean, square), n| {
            (mean + beyond(n), square + f64::from(2 * n + 1) * beyond(n))
        })
    }

    fn lost(&self) -> f64 {
        self.failing.powi(self.attempts())
    }

    /// Each repeat that fails costs one exchange `attempt`, and the wait before the next.
    fn latency(&self, least: Duration, attempt: Duration) -> Latency {
        let mut shares = Vec::new();
        let (mut reached, mut latency) = (1.0, least);
        for n in 0..=self.waits.len() {
            shares.push(Share {
                weight: reached * (1.0 - self.failing),
                from: latency,
                to: latency,
            });
            reached *= self.failing;
            let wait = self.waits.get(n).copied().unwrap_or_default();
            latency += attempt + Duration::from_nanos(wait);
        }
        shares.retain(|share| share.weight > 0.0);
        Latency::Mixture(shares)
    }

    /// The counts, each event deviating independently of the others.
    fn counts(&self, prediction: Prediction, conditions: &Conditions) -> Prediction {
        let (mean, square) = self.attempts_per_event();
        let (deliveries, lost) = (conditions.deliveries(), self.lost());
        let copies = (1.0 - self.failing) * mean - (1.0 - lost);
        let chance = |variance: f64| (deliveries * variance.max(0.0)).sqrt();
        let follows = |each: f64, variance: f64| Count {
            edge: 0.0,
            ..Count::per_delivery(each, conditions).deviating(chance(variance))
        };
        let requests = Count { edge: 1.0, ..follows(mean, square - mean * mean) };
        prediction
            .with(Quantity::Requests, requests)
            // Copies are at most the attempts beyond the first, and rarely more than one.
            .with(Quantity::Duplicated, follows(copies, square - 2.0 * mean + 1.0))
            .with(Quantity::Lost, follows(lost, lost * (1.0 - lost)))
    }
}

impl Webhook {
    /// A webhook without retries whose subscriber answers at once, over kept connections.
    #[must_use]
    pub fn plain(concurrency: u32) -> Webhook {
        Webhook { concurrency, handle: Duration::ZERO, retries: None }
    }

    /// Set-up and one way.
    pub(crate) fn least(&self, conditions: &Conditions) -> Duration {
        conditions.there(self.handle)
    }

    fn latency(&self, conditions: &Conditions) -> Latency {
        let least = self.least(conditions);
        if let Some(retries) = self.retries.as_ref().filter(|retries| retries.failing > 0.0) {
            return retries.latency(least, conditions.exchange);
        }
        let program_matters = conditions.rtt.is_none() && self.handle.is_zero();
        if program_matters || !(conditions.is_poisson() || conditions.is_constant()) {
            return Latency::AtLeast(least);
        }
        let (rate, service) = (conditions.events_per_second(), conditions.exchange.as_secs_f64());
        if conditions.is_constant() {
            let keeps_up = rate * service < f64::from(self.concurrency);
            return if keeps_up { Latency::always(least) } else { Latency::AtLeast(least) };
        }
        let queued = if self.concurrency == 1 {
            one_server(rate, service).map(|(wait, deviation)| Latency::Mean {
                least,
                mean: least + Duration::from_secs_f64(wait),
                deviation: Duration::from_secs_f64(deviation),
            })
        } else {
            several_servers(rate, service, self.concurrency)
                .filter(|wait| *wait < SLACK.as_secs_f64() / 2.0)
                .map(|_| Latency::always(least))
        };
        queued.unwrap_or(Latency::AtLeast(least))
    }

    fn words(&self) -> &'static str {
        match (&self.retries, self.concurrency) {
            (Some(_), _) => {
                "webhook with retries: one attempt per event as it happens, and more where one \
                 fails; latency at least one way, half an exchange"
            }
            (None, 1) => {
                "webhook, one request at a time: latency is one way, half an exchange that the \
                 subscriber answers at once, and the wait for the requests before"
            }
            (None, _) => {
                "webhook: one request per event as it happens, latency at least one way, half an \
                 exchange"
            }
        }
    }
}

impl Form for Webhook {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let prediction = Prediction::new(self.words(), self.latency(conditions))
            .with(Quantity::Empty, Count::certain(0.0));
        match &self.retries {
            Some(retries) => retries.counts(prediction, conditions),
            None => prediction.with(Quantity::Requests, Count::per_delivery(1.0, conditions)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Retries, Webhook};
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    #[test]
    fn a_webhook_is_one_request_per_event_and_subscriber() {
        let near = Conditions::poisson(20.0);
        let predicted = Webhook::plain(4).predict(&near);
        let requests = predicted.count(Quantity::Requests).expect("claimed");
        assert!((requests.expected - near.deliveries()).abs() < 1e-6);
        assert_eq!(predicted.latency.mean(), None);
    }

    #[test]
    fn connections_that_are_seldom_all_busy_leave_one_way() {
        let far = Conditions {
            exchange: Duration::from_millis(100),
            rtt: Some(Duration::from_millis(100)),
            ..Conditions::poisson(20.0)
        };
        let latency = |concurrency| Webhook::plain(concurrency).predict(&far).latency;
        assert_eq!(latency(16), Latency::always(Duration::from_millis(50)));
        // Two connections carry twenty events a second of 100 ms each, if none waits.
        assert_eq!(latency(3), Latency::AtLeast(Duration::from_millis(50)));
        assert_eq!(latency(1), Latency::AtLeast(Duration::from_millis(50)));
    }

    #[test]
    fn copies_beyond_the_first_follow_from_lost_answers_alone() {
        // q/(1 − q) for many attempts, whatever p.
        for failing in [0.0, 0.3] {
            let retries = Retries { waits: vec![0; 60], failing, unanswered: 0.2 };
            let conditions = Conditions::poisson(20.0);
            let form = Webhook { retries: Some(retries), ..Webhook::plain(4) };
            let predicted = form.predict(&conditions);
            let copies = predicted.count(Quantity::Duplicated).expect("claimed").expected;
            assert!((copies / conditions.deliveries() - 0.25).abs() < 1e-6, "{copies}");
        }
        let clean = Retries { waits: vec![1; 3], failing: 0.0, unanswered: 0.0 };
        let form = Webhook { retries: Some(clean), ..Webhook::plain(4) };
        let predicted = form.predict(&Conditions::poisson(20.0));
        for quantity in [Quantity::Duplicated, Quantity::Lost] {
            let none = predicted.count(quantity).expect("claimed");
            assert!(none.expected.abs() < 1e-9 && none.deviation.abs() < 1e-9, "{quantity:?}");
        }
    }
}
