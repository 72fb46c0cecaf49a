//! A hint to the subscriber, who then reads the source.

use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::prediction::{Count, Prediction, Quantity};
use super::queue::several_servers;
use super::{Conditions, Form, SLACK};

/// A thin webhook for each event, and a read of the source when it arrives.
///
/// The hint travels one way and the read a round trip: 3·d, and two requests an event. Where
/// one read serves all hints that came while another was under way, requests are between one
/// and two an event, and an event that happens just before such a read travels one way only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hybrid {
    /// Hints under way at the same time, to one subscriber.
    pub concurrency: u32,
    /// Whether one read serves several hints.
    pub coalesce: bool,
}

impl Hybrid {
    /// Set-up and a way for the hint; set-up, the way there, the source's time and the way back.
    fn latency(&self, conditions: &Conditions) -> Latency {
        if self.coalesce {
            return Latency::AtLeast(conditions.after_read());
        }
        let least = 2 * conditions.there(conditions.server) + conditions.after_read();
        let service = conditions.exchange.as_secs_f64();
        let wait = several_servers(conditions.events_per_second(), service, self.concurrency);
        let at_once = wait.is_some_and(|wait| wait < SLACK.as_secs_f64() / 2.0);
        let known = conditions.is_poisson() || conditions.is_constant();
        if known && at_once && conditions.rtt.is_some() {
            Latency::always(least)
        } else {
            Latency::AtLeast(least)
        }
    }

    /// While one read is under way, for a time S, the hints that come share the next: reads of
    /// Poisson arrivals are 1/(λS + e^(−λS)) an event, as if requests were held for ever.
    fn reads_per_event(&self, conditions: &Conditions) -> f64 {
        let load = conditions.rate.events_in(conditions.exchange);
        if self.coalesce { 1.0 / (load + (-load).exp()) } else { 1.0 }
    }
}

impl Form for Hybrid {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = if self.coalesce {
            "webhook and read, reads shared: one hint per event and at most one read, latency at \
             least one way, half an exchange"
        } else {
            "webhook and read: two requests per event, latency at least three ways, each half an \
             exchange"
        };
        let requests = Count::per_delivery(1.0 + self.reads_per_event(conditions), conditions);
        let requests = if self.coalesce {
            requests.or(conditions.deliveries()).or(2.0 * conditions.deliveries())
        } else {
            requests
        };
        Prediction::new(words, self.latency(conditions))
            .each_for_itself()
            .with_staleness(conditions)
            .with(Quantity::Requests, requests)
    }
}

#[cfg(test)]
mod tests {
    use super::Hybrid;
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    #[test]
    fn a_hint_and_a_read_are_two_requests_and_three_ways() {
        let mut form = Hybrid { concurrency: 64, coalesce: false };
        let far = Conditions {
            exchange: Duration::from_millis(40),
            rtt: Some(Duration::from_millis(40)),
            ..Conditions::poisson(20.0)
        };
        let predicted = form.predict(&far);
        assert_eq!(predicted.latency, Latency::always(Duration::from_millis(60)));
        let requests = *predicted.count(Quantity::Requests).expect("claimed");
        assert!((requests.expected - 2.0 * far.deliveries()).abs() < 1e-6);
        form.coalesce = true;
        let shared = *form.predict(&far).count(Quantity::Requests).expect("claimed");
        assert!(shared.expected < requests.expected && shared.expected > far.deliveries());
        assert!((shared.least - far.deliveries()).abs() < 1e-6);
        assert!((shared.most - 2.0 * far.deliveries()).abs() < 1e-6);
    }

    #[test]
    fn hints_that_wait_for_a_connection_make_the_latency_a_bound() {
        let form = Hybrid { concurrency: 1, coalesce: false };
        let far = Conditions {
            exchange: Duration::from_millis(40),
            rtt: Some(Duration::from_millis(40)),
            ..Conditions::poisson(20.0)
        };
        let latency = form.predict(&far).latency;
        assert_eq!(latency, Latency::AtLeast(Duration::from_millis(60)));
    }
}
