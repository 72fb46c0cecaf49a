//! Server-Sent Events or a WebSocket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::staleness::Staleness;
use super::{Conditions, Form, SLACK};

/// A connection that stays open and carries every event in a message of its own.
///
/// Latency is one way: d is half of the configured round trip, since no exchange tells it.
/// No request per event; one message per event, and heartbeats. A stream that the source ends
/// after R is missing for O, until its end has arrived, the subscriber has waited, and the next
/// request is there. The share O/(R + O) of the events waits uniformly on \[d, O + d\], a mean of
/// (O/(R + O))·O/2 more, or is lost if nothing is replayed; a window W has W/(R + O) requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stream {
    /// Time between heartbeats in nanoseconds, while nothing else is sent; absent if there
    /// are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heartbeat: Option<u64>,
    /// How streams end; absent if they do not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ends: Option<Ends>,
}

/// Streams that the source ends, and subscribers open again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ends {
    /// How long a stream is open, R, in nanoseconds.
    pub after: u64,
    /// How long a subscriber waits before it connects again, in nanoseconds.
    pub reconnect: u64,
    /// Whether it is then given what it missed.
    pub replay: bool,
}

impl Ends {
    /// R and O, if timers and scheduling add `slack` to what is missing.
    fn open_and_missing(self, conditions: &Conditions, slack: Duration) -> (Duration, Duration) {
        let trips = conditions.dialling.saturating_add(1);
        let network = conditions.rtt.unwrap_or_default().saturating_mul(trips);
        let missing = network + Duration::from_nanos(self.reconnect) + slack;
        (Duration::from_nanos(self.after), missing.max(Duration::from_nanos(1)))
    }

    /// How often a stream is opened in a window.
    fn openings(self, conditions: &Conditions, slack: Duration) -> f64 {
        let (open, missing) = self.open_and_missing(conditions, slack);
        conditions.window.as_secs_f64() / (open + missing).as_secs_f64()
    }
}

impl Stream {
    /// What is expected of streams that end now and then.
    fn reopened(prediction: Prediction, conditions: &Conditions, ends: Ends) -> Prediction {
        let (open, missing) = ends.open_and_missing(conditions, Duration::ZERO);
        let away = missing.as_secs_f64() / (open + missing).as_secs_f64();
        let least = prediction.latency.min();
        let direct = Share { weight: 1.0 - away, from: least, to: least };
        let waiting = Share { weight: away, from: least, to: least + missing };
        let shares = if ends.replay { vec![direct, waiting] } else { vec![direct] };
        let arriving = shares.iter().map(|share| share.weight).sum();
        let reached = Latency::Mixture(shares);
        let stale = Staleness::of(conditions, &reached, arriving, Duration::ZERO);
        let edge = missing.as_secs_f64() / conditions.window.as_secs_f64();
        let subscribers = f64::from(conditions.subscribers);
        let openings = |slack| subscribers * ends.openings(conditions, slack);
        let prediction = Prediction {
            // On loopback the wait is known, and what is added to it is not.
            latency: if ends.replay { reached } else { prediction.latency },
            staleness: stale.map(|stale| Staleness { edge, ..stale }),
            rounds: Some(ends.openings(conditions, Duration::ZERO)),
            alike: true,
            ..prediction
        };
        // Subscribers miss the same events, and a gap may be on either side of an edge.
        let lost = if ends.replay { 0.0 } else { away };
        let deviation = (conditions.deliveries() * lost * (1.0 - lost) * subscribers).sqrt();
        let lost = Count::per_delivery(lost, conditions).deviating(deviation);
        let edge = if ends.replay { 0.0 } else { conditions.rate.events_in(missing) };
        prediction
            .with(Quantity::Requests, Count::certain(openings(Duration::ZERO)).or(openings(SLACK)))
            .with(Quantity::Lost, Count { edge, ..lost })
    }
}

impl Form for Stream {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = if self.ends.is_some() {
            "stream that ends and is opened again: one message per event, latency at least one \
             way, half the configured round trip, and what is left of the gap for events between \
             two streams"
        } else {
            "stream: one message per event as it happens and no request, latency at least one \
             way, half the configured round trip"
        };
        let latency = match conditions.rtt {
            Some(rtt) => Latency::always(conditions.server + rtt / 2),
            None => Latency::AtLeast(conditions.server),
        };
        let heartbeats = self.heartbeat.filter(|every| *every > 0).map_or(0.0, |every| {
            let every = Duration::from_nanos(every).as_secs_f64();
            f64::from(conditions.subscribers) * conditions.window.as_secs_f64() / every
        });
        let prediction =
            Prediction::new(words, latency).each_for_itself().with_staleness(conditions);
        let prediction = match self.ends {
            Some(ends) => Stream::reopened(prediction, conditions, ends),
            None => prediction.with(Quantity::Requests, Count::certain(0.0)),
        };
        let lost = prediction.count(Quantity::Lost).copied().unwrap_or_default();
        let messages = Count::per_delivery(1.0, conditions).and(lost.scaled(-1.0));
        prediction
            .with(Quantity::Empty, Count::certain(0.0))
            .with(Quantity::Messages, messages.or(messages.most + heartbeats))
    }

    fn longest_wait(&self) -> Duration {
        self.ends.map_or(Duration::ZERO, |ends| Duration::from_nanos(ends.reconnect))
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Ends, Stream};
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    const FAR: Option<Duration> = Some(Duration::from_millis(30));

    #[test]
    fn events_travel_one_way_and_need_no_request() {
        let far = Conditions { rtt: FAR, ..Conditions::poisson(20.0) };
        let form = Stream { heartbeat: Some(10_000_000_000), ends: None };
        let predicted = form.predict(&far);
        assert_eq!(predicted.latency, Latency::always(Duration::from_millis(15)));
        assert!(predicted.count(Quantity::Requests).expect("claimed").expected.abs() < 1e-9);
        let messages = predicted.count(Quantity::Messages).expect("claimed");
        assert!((messages.expected - far.deliveries()).abs() < 1e-6);
        // A heartbeat every ten seconds at most, for each of the subscribers.
        assert!((messages.most - messages.expected - 200.0).abs() < 1e-6);
        let near = Stream { heartbeat: None, ends: None }.predict(&Conditions::poisson(20.0));
        assert_eq!(near.latency, Latency::AtLeast(Duration::ZERO));
    }

    #[test]
    fn streams_that_end_delay_what_happens_in_between_or_lose_it() {
        // Open for 8.94 s and missing for 1 s and two round trips: 10 s.
        let ends = Ends { after: 8_940_000_000, reconnect: 1_000_000_000, replay: true };
        let far = Conditions { rtt: FAR, ..Conditions::poisson(20.0) };
        let predict = |ends| Stream { heartbeat: None, ends: Some(ends) }.predict(&far);
        let predicted = predict(ends);
        // 0.106 of the events wait for 0.53 s on average.
        let mean = predicted.latency.mean().expect("claimed").as_secs_f64();
        assert!((mean - 0.015 - 0.106 * 0.53).abs() < 1e-9, "{mean}");
        assert_eq!(predicted.latency.max(), Some(Duration::from_millis(1_075)));
        let count = |quantity| predicted.count(quantity).expect("claimed").expected;
        assert!((count(Quantity::Requests) - 200.0).abs() < 1e-6);
        assert!(count(Quantity::Lost).abs() < 1e-9);
        let predicted = predict(Ends { replay: false, ..ends });
        assert_eq!(predicted.latency, Latency::always(Duration::from_millis(15)));
        let lost = predicted.count(Quantity::Lost).expect("claimed").expected;
        assert!((lost / far.deliveries() - 0.106).abs() < 1e-9, "{lost}");
        let messages = predicted.count(Quantity::Messages).expect("claimed");
        assert!((messages.expected + lost - far.deliveries()).abs() < 1e-6);
    }
}
