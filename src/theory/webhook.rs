//! One request to the subscriber for each event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::queue::{one_server, several_servers};
use super::retries::{Attempt, Outcome, Retries};
use super::staleness::Staleness;
use super::{Conditions, Form, SLACK};
use crate::schedule::{Arrivals, Batch};
use crate::units::duration_text;

/// The share of time for which connections may be busy with batches that do not meet.
const SELDOM: f64 = 0.02;

/// Rounds of a batch from which on its waits count as uniform.
const MANY: u32 = 100;

/// A request for each event, sent as it happens over one of `concurrency` connections.
///
/// Latency is at least set-up, one way and the time the subscriber takes to handle it. On
/// loopback the rest is the implementation's. On a network, or with a subscriber that takes its
/// time, an event also waits for a free connection, or for a free worker where those are fewer.
/// One of them with Poisson arrivals is an M/D/1 queue: mean wait ρS/(2(1 − ρ)), S being what
/// occupies it and ρ = λS. With more, the claim is no wait where the Erlang C formula leaves next
/// to none, and a bound otherwise. Of a batch of B events at the same moment, c are on their way at
/// once and the others queue: the last arrives (⌈B/c⌉ − 1)·S after the first. That is claimed if
/// batches seldom meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Webhook {
    /// Requests under way at the same time, to one subscriber.
    pub concurrency: u32,
    /// Requests the subscriber handles at the same time, if those are fewer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workers: Option<u32>,
    /// Time the subscriber takes before the event is usable and it answers.
    #[serde(with = "duration_text")]
    pub handle: Duration,
    /// What makes attempts fail and what happens then; absent if nothing does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retries: Option<Retries>,
}

impl Webhook {
    /// A webhook without retries whose subscriber answers at once, over kept connections.
    #[must_use]
    pub fn plain(concurrency: u32) -> Webhook {
        Webhook { concurrency, workers: None, handle: Duration::ZERO, retries: None }
    }

    /// An exchange without the handling. Where requests wait for a worker, that is part of the
    /// exchanges that were timed: then it is what the network was told to be.
    fn exchange(&self, conditions: &Conditions) -> Duration {
        let trips = conditions.set_up.saturating_add(1);
        let network = conditions.rtt.unwrap_or_default().saturating_mul(trips);
        match self.workers {
            Some(_) => network,
            None => conditions.exchange.saturating_sub(self.handle).max(network),
        }
    }

    /// Set-up and one way.
    fn there(&self, conditions: &Conditions) -> Duration {
        let exchange = self.exchange(conditions);
        Conditions { exchange, ..conditions.clone() }.there(Duration::ZERO)
    }

    /// The latency of an event that waits for nothing.
    fn least(&self, conditions: &Conditions) -> Duration {
        self.there(conditions) + self.handle
    }

    /// How many events can be on their way at once, and for how long each is, in seconds.
    fn servers(&self, conditions: &Conditions) -> (u32, f64) {
        match self.workers {
            Some(workers) => (workers, self.handle.as_secs_f64()),
            None => (self.concurrency, (self.exchange(conditions) + self.handle).as_secs_f64()),
        }
    }

    /// What becomes of events whose attempts may fail.
    pub(crate) fn outcome(&self, conditions: &Conditions) -> Option<Outcome> {
        let retries = self.retries.as_ref()?;
        let attempt = Attempt {
            there: self.there(conditions).as_secs_f64(),
            whole: self.exchange(conditions).as_secs_f64(),
            handle: self.handle.as_secs_f64(),
        };
        Some(retries.outcome(conditions, attempt))
    }

    /// Latency where attempts may fail: no claim is made of how long connections are waited for.
    fn repeated(
        &self,
        retries: &Retries,
        outcome: &Outcome,
        conditions: &Conditions,
        known: bool,
    ) -> Latency {
        let least = self.least(conditions);
        let (servers, service) = self.servers(conditions);
        let attempts = conditions.events_per_second() * retries.attempts_per_event();
        let wait = several_servers(attempts, service, servers);
        let at_once = wait.is_some_and(|wait| wait < SLACK.as_secs_f64() / 2.0);
        if at_once && known { outcome.latency(least) } else { Latency::AtLeast(least) }
    }

    /// Events of a batch queue for what carries them; `None` if batches often meet, or if a batch
    /// need not queue.
    fn in_batches(&self, conditions: &Conditions) -> Option<Latency> {
        let Arrivals::Batch(Batch { batch_size }) = conditions.arrivals else { return None };
        let (servers, service) = self.servers(conditions);
        let busy = conditions.events_per_second() * service / f64::from(servers.max(1));
        let rounds = batch_size.div_ceil(servers.max(1));
        if rounds < 2 || busy > SELDOM {
            return None;
        }
        let at = |round: u32| {
            self.least(conditions) + Duration::from_secs_f64(service * f64::from(round))
        };
        if rounds > MANY {
            return Some(Latency::uniform(at(0), at(rounds - 1)));
        }
        let share = |round: u32| {
            let left = batch_size - round * servers;
            Share { weight: f64::from(left.min(servers)), from: at(round), to: at(round) }
        };
        Some(Latency::Mixture((0..rounds).map(share).collect()))
    }

    fn latency(&self, conditions: &Conditions) -> Latency {
        let least = self.least(conditions);
        if let Some(latency) = self.in_batches(conditions) {
            return latency;
        }
        let program_matters = conditions.rtt.is_none() && self.handle.is_zero();
        if program_matters || !(conditions.is_poisson() || conditions.is_constant()) {
            return Latency::AtLeast(least);
        }
        let rate = conditions.events_per_second();
        let (servers, service) = self.servers(conditions);
        if conditions.is_constant() {
            let keeps_up = rate * service < f64::from(servers);
            return if keeps_up { Latency::always(least) } else { Latency::AtLeast(least) };
        }
        let queued = if servers == 1 {
            one_server(rate, service).map(|(wait, deviation)| Latency::Mean {
                least,
                mean: least + Duration::from_secs_f64(wait),
                deviation: Duration::from_secs_f64(deviation),
            })
        } else {
            several_servers(rate, service, servers)
                .filter(|wait| *wait < SLACK.as_secs_f64() / 2.0)
                .map(|_| Latency::always(least))
        };
        queued.unwrap_or(Latency::AtLeast(least))
    }

    fn words(&self) -> &'static str {
        match (&self.retries, self.concurrency) {
            (Some(Retries { outage: Some(_), .. }), _) => {
                "webhook to an endpoint that is out of order for a while: events arrive with the \
                 first attempt after it and are lost if there is none; latency at least one way, \
                 half an exchange"
            }
            (Some(_), _) => {
                "webhook with retries: one attempt per event as it happens, and more where one \
                 fails; latency at least one way, half an exchange"
            }
            (None, 1) => {
                "webhook, one request at a time: latency is one way, half an exchange, what the \
                 subscriber takes to handle it, and the wait for the requests before"
            }
            (None, _) => {
                "webhook: one request per event as it happens, latency at least one way, half an \
                 exchange, and what the subscriber takes to handle it"
            }
        }
    }
}

impl Form for Webhook {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let none = Count::certain(0.0);
        let Some((retries, outcome)) = self.retries.as_ref().zip(self.outcome(conditions)) else {
            return Prediction::new(self.words(), self.latency(conditions))
                .each_for_itself()
                .with_staleness(conditions)
                .with(Quantity::Requests, Count::per_delivery(1.0, conditions))
                .with(Quantity::Empty, none);
        };
        // An outage falls on some events and not on others: how many, depends on the arrivals.
        let evenly = conditions.is_poisson() || conditions.is_constant();
        let known = retries.outage.is_none() || evenly;
        let latency = self.repeated(retries, &outcome, conditions, known);
        let stale = Staleness::of(conditions, &latency, outcome.arrived(), Duration::ZERO);
        let waits = latency.max().is_some_and(|longest| longest > latency.min());
        let least = self.least(conditions);
        let prediction = Prediction {
            alike: retries.fail_together(),
            staleness: stale,
            // On loopback all that is known of events that do not wait is a bound.
            latency: if waits || conditions.rtt.is_some() {
                latency
            } else {
                Latency::AtLeast(least)
            },
            ..Prediction::new(self.words(), Latency::AtLeast(least)).each_for_itself()
        };
        let prediction = if known { outcome.counts(prediction, conditions) } else { prediction };
        prediction.with(Quantity::Empty, none)
    }
}

#[cfg(test)]
mod tests {
    use super::Webhook;
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::retries::Retries;
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
            let retries =
                Retries { waits: vec![0; 60], failing, unanswered: 0.2, ..Retries::default() };
            let conditions = Conditions::poisson(20.0);
            let form = Webhook { retries: Some(retries), ..Webhook::plain(4) };
            let predicted = form.predict(&conditions);
            let copies = predicted.count(Quantity::Duplicated).expect("claimed").expected;
            assert!((copies / conditions.deliveries() - 0.25).abs() < 1e-6, "{copies}");
        }
        let clean = Retries { waits: vec![1; 3], ..Retries::default() };
        let form = Webhook { retries: Some(clean), ..Webhook::plain(4) };
        let predicted = form.predict(&Conditions::poisson(20.0));
        for quantity in [Quantity::Duplicated, Quantity::Lost] {
            let none = predicted.count(quantity).expect("claimed");
            assert!(none.expected.abs() < 1e-9 && none.deviation.abs() < 1e-9, "{quantity:?}");
        }
    }
}
