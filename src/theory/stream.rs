//! Server-Sent Events or a WebSocket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::prediction::{Count, Prediction, Quantity};
use super::{Conditions, Form};

/// A connection that stays open and carries every event in a message of its own.
///
/// Latency is one way: d is half of the configured round trip, since no exchange tells it.
/// No request per event; one message per event, and heartbeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stream {
    /// Time between heartbeats in nanoseconds, while nothing else is sent; absent if there
    /// are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heartbeat: Option<u64>,
}

impl Form for Stream {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "stream: one message per event as it happens and no request, latency at least \
                     one way, half the configured round trip";
        let latency = match conditions.rtt {
            Some(rtt) => Latency::always(conditions.server + rtt / 2),
            None => Latency::AtLeast(conditions.server),
        };
        let heartbeats = self.heartbeat.filter(|every| *every > 0).map_or(0.0, |every| {
            let every = Duration::from_nanos(every).as_secs_f64();
            f64::from(conditions.subscribers) * conditions.window.as_secs_f64() / every
        });
        let messages = Count::per_delivery(1.0, conditions);
        Prediction::new(words, latency)
            .with(Quantity::Requests, Count::certain(0.0))
            .with(Quantity::Empty, Count::certain(0.0))
            .with(Quantity::Messages, messages.or(messages.most + heartbeats))
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    #[test]
    fn events_travel_one_way_and_need_no_request() {
        let far = Conditions { rtt: Some(Duration::from_millis(30)), ..Conditions::poisson(20.0) };
        let predicted = Stream { heartbeat: Some(10_000_000_000) }.predict(&far);
        assert_eq!(predicted.latency, Latency::always(Duration::from_millis(15)));
        assert!(predicted.count(Quantity::Requests).expect("claimed").expected.abs() < 1e-9);
        let messages = predicted.count(Quantity::Messages).expect("claimed");
        assert!((messages.expected - far.deliveries()).abs() < 1e-6);
        // A heartbeat every ten seconds at most, for each of the subscribers.
        assert!((messages.most - messages.expected - 200.0).abs() < 1e-6);
        let near = Stream { heartbeat: None }.predict(&Conditions::poisson(20.0));
        assert_eq!(near.latency, Latency::AtLeast(Duration::ZERO));
    }
}
