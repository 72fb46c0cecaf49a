//! Polling a feed at intervals.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prediction::{Prediction, Quantity};
use super::reads::Reads;
use super::{Conditions, Form};

/// Polls that read every event since the one before.
///
/// With G the time from one read to the next, an event that happens independently of the beat
/// waits W ~ U\[0, G\] and then travels one way: mean G/2 + d, p-quantile pG + d, for any
/// arrival process. Poisson arrivals leave e^(−λG) of the polls empty, evenly spaced ones
/// max(0, 1 − λG).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IntervalPoll {
    /// When the feed is read.
    pub reads: Reads,
    /// Events a page holds; every full page costs a request more.
    pub limit: u32,
}

impl Form for IntervalPoll {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = if self.reads.jitter == 0.0 {
            "fixed-interval polling: latency is uniform on [d, G + d], where G is the time from \
             one read of the source to the next and d half an exchange"
        } else {
            "polling at jittered intervals: latency is uniform on [d, G + d] within each gap G \
             from one read of the source to the next, d being half an exchange"
        };
        let limit = u64::from(self.limit).max(1);
        let pages = |events: u64| events.div_ceil(limit).max(1) as f64;
        let requests = self.reads.over_gaps(conditions, pages).unwrap_or_else(|| {
            // However the events are spaced, a page more needs a full one.
            let polls = self.reads.polls(conditions);
            polls.or(polls.most + conditions.deliveries() / limit as f64)
        });
        let prediction = Prediction::new(words, self.reads.latency(conditions))
            .with_staleness(conditions)
            .with(Quantity::Requests, requests);
        self.reads.with_empty(prediction, conditions)
    }

    fn longest_wait(&self) -> Duration {
        self.reads.longest()
    }

    fn period(&self) -> Option<Duration> {
        self.reads.period()
    }
}

#[cfg(test)]
mod tests {
    use super::IntervalPoll;
    use crate::schedule::Arrivals;
    use crate::theory::prediction::{Prediction, Quantity};
    use crate::theory::reads::Reads;
    use crate::theory::{Beat, Conditions, Form};
    use std::time::Duration;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn poll(every: Duration, beat: Beat) -> IntervalPoll {
        IntervalPoll { reads: Reads::every(every, beat), limit: 1_000 }
    }

    fn conditions(exchange: Duration) -> Conditions {
        let window = Duration::from_mins(1);
        Conditions { window, subscribers: 1, exchange, ..Conditions::poisson(20.0) }
    }

    fn expected(prediction: &Prediction, quantity: Quantity) -> f64 {
        prediction.count(quantity).expect("claimed").expected
    }

    #[test]
    fn a_fixed_rate_poll_waits_half_an_interval_and_travels_one_way() {
        let predicted = poll(ms(250), Beat::FixedRate).predict(&conditions(ms(10)));
        assert_eq!(predicted.latency.mean(), Some(ms(130)));
        assert_eq!(predicted.latency.quantile(0.99), Some(Duration::from_micros(252_500)));
        assert!((expected(&predicted, Quantity::Requests) - 240.0).abs() < 1e-9);
        let empty = 240.0 * (-5.0_f64).exp();
        assert!((expected(&predicted, Quantity::Empty) - empty).abs() < 1e-9);
    }

    #[test]
    fn a_fixed_delay_poll_adds_the_exchange_to_the_gap() {
        let predicted = poll(ms(250), Beat::FixedDelay).predict(&conditions(ms(50)));
        assert_eq!((predicted.latency.min(), predicted.latency.max()), (ms(25), Some(ms(325))));
        assert!((expected(&predicted, Quantity::Requests) - 200.0).abs() < 1e-9);
        // 1 ms more between two polls makes 199.3 of them.
        let requests = predicted.count(Quantity::Requests).expect("claimed");
        assert!((requests.least - 60_000.0 / 301.0).abs() < 1e-9);
    }

    #[test]
    fn a_new_connection_takes_a_round_trip_and_is_no_part_of_a_way() {
        let conditions = Conditions { set_up: 1, ..conditions(ms(40)) };
        let latency = poll(ms(250), Beat::FixedRate).predict(&conditions).latency;
        assert_eq!((latency.min(), latency.max()), (ms(10), Some(ms(260))));
    }

    #[test]
    fn a_slow_exchange_skips_beats() {
        let predicted = poll(ms(100), Beat::FixedRate).predict(&conditions(ms(150)));
        assert!((expected(&predicted, Quantity::Requests) - 300.0).abs() < 1e-9);
    }

    #[test]
    fn back_to_back_polls_are_an_exchange_apart() {
        for beat in [Beat::FixedRate, Beat::FixedDelay] {
            let predicted = poll(ms(0), beat).predict(&conditions(ms(1)));
            assert!((expected(&predicted, Quantity::Requests) - 60_000.0).abs() < 1e-6);
        }
    }

    #[test]
    fn full_pages_cost_requests_more() {
        let every_second = |limit, arrivals| {
            let reads = Reads::every(ms(1_000), Beat::FixedRate);
            let poll = IntervalPoll { reads, limit };
            let conditions = Conditions { arrivals, ..conditions(ms(1)) };
            expected(&poll.predict(&conditions), Quantity::Requests)
        };
        // Twenty events a poll, exactly: a page of twenty takes them all.
        assert!((every_second(20, Arrivals::Constant) - 60.0).abs() < 1e-9);
        assert!((every_second(19, Arrivals::Constant) - 120.0).abs() < 1e-9);
        // P(N > 20) = 0.4409 for a Poisson distributed N of mean 20; more than 40 are rare.
        assert!((every_second(20, Arrivals::Poisson) - 60.0 * 1.4409).abs() < 0.01);
    }

    #[test]
    fn one_poll_in_twelve_is_empty_at_two_and_a_half_events_a_gap() {
        let predicted = poll(ms(125), Beat::FixedRate).predict(&conditions(ms(1)));
        let share =
            expected(&predicted, Quantity::Empty) / expected(&predicted, Quantity::Requests);
        assert!((share - 0.082).abs() < 5e-4, "{share}");
    }

    #[test]
    fn polling_sends_fewer_requests_than_events_above_one_event_an_interval() {
        let per_event = |every| {
            let conditions = conditions(ms(1));
            let predicted = poll(every, Beat::FixedRate).predict(&conditions);
            expected(&predicted, Quantity::Requests) / conditions.deliveries()
        };
        assert!((per_event(ms(50)) - 1.0).abs() < 1e-9);
        assert!(per_event(ms(40)) > 1.0 && per_event(ms(60)) < 1.0);
    }

    #[test]
    fn a_conditional_poll_is_told_that_nothing_changed_since_the_last_empty_one() {
        let mut poll = poll(ms(125), Beat::FixedRate);
        let empty = poll.predict(&conditions(ms(1)));
        poll.reads.conditional = true;
        let told = poll.predict(&conditions(ms(1)));
        assert_eq!(empty.count(Quantity::NotModified), None);
        let (p, nothing) = ((-2.5_f64).exp(), expected(&empty, Quantity::Empty));
        let (first, again) =
            (expected(&told, Quantity::Empty), expected(&told, Quantity::NotModified));
        assert!((again - p * nothing).abs() < 1e-9, "{again}");
        assert!((first - (1.0 - p) * nothing).abs() < 1e-9, "{first}");
    }
}
