//! What theory says a strategy must do: closed forms to print beside every measurement.
//!
//! A mechanism declares which form describes it; the form itself is evaluated here, when a
//! run is read. Latency is from an event's existence to the moment it is usable; `d` is one
//! way of the network, half of the measured exchange.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schedule::Arrivals;
use crate::units::{Rate, duration_text};

/// How the next poll is timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Beat {
    /// Polls at phase + k·interval, whatever a poll takes. A beat missed because a poll was
    /// still under way is skipped, never made up for by a burst.
    #[default]
    FixedRate,
    /// Polls one interval after the previous response was complete.
    FixedDelay,
}

/// The closed form that describes a strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theory {
    /// Polling at intervals.
    ///
    /// With G the time from one read of the source to the next, an event that happens
    /// independently of the beat waits W ~ U\[0, G\] and then travels one way:
    /// mean G/2 + d, p-quantile pG + d. Fixed rate: G = T, or the next multiple of T that an
    /// exchange fits into. Fixed delay: G = T + exchange. The request's own way adds nothing:
    /// events that happen while it travels are seen.
    IntervalPoll {
        /// The configured interval T.
        #[serde(with = "duration_text")]
        every: Duration,
        /// Fixed rate or fixed delay.
        beat: Beat,
        /// Events a page holds; every full page costs a request more.
        limit: u32,
    },
    /// One request per event, sent as it happens: latency d while the sender keeps up.
    Push,
}

/// What a closed form needs to know besides the strategy's own settings.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Events per second.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// Length of the measured window.
    pub window: Duration,
    /// Simulated subscribers.
    pub subscribers: u32,
    /// Measured mean time of one exchange, request to complete response.
    pub exchange: Duration,
}

impl Conditions {
    /// The sum over all gaps of a window, of all subscribers, of something that depends on the
    /// number of events in a gap.
    ///
    /// Subscribers see the same events, so they deviate together. Gaps of Poisson arrivals
    /// deviate independently; evenly spaced events can be locked to the gaps, and then all
    /// gaps deviate together. `None` where nothing is known of the number of events in a gap.
    fn over_gaps(&self, gap: Duration, of: impl Fn(u64) -> f64) -> Option<Count> {
        let subscribers = f64::from(self.subscribers);
        let gaps = self.window.as_secs_f64() / gap.as_secs_f64();
        let mean = self.arrivals.expectation(self.rate, gap, &of)?;
        let variance =
            self.arrivals.expectation(self.rate, gap, |events| (of(events) - mean).powi(2))?;
        let together = if self.arrivals.has_independent_gaps() { gaps.sqrt() } else { gaps };
        Some(Count {
            expected: subscribers * gaps * mean,
            deviation: subscribers * together * variance.sqrt(),
        })
    }

    /// Pages read in a window: one a gap, and more where a gap holds more events than a page.
    ///
    /// Where nothing is known of the number of events in a gap, they are at most one more for
    /// each page that all events together fill.
    fn pages(&self, gap: Duration, limit: u32) -> Count {
        let limit = u64::from(limit).max(1);
        let known = self.over_gaps(gap, |events| events.div_ceil(limit).max(1) as f64);
        known.unwrap_or_else(|| {
            let subscribers = f64::from(self.subscribers);
            let gaps = self.window.as_secs_f64() / gap.as_secs_f64();
            let more = self.rate.events_in(self.window) / limit as f64;
            // A bound adds up over blocks as deviations do not: three of these cover it for as
            // many as a thousand blocks.
            let deviation = subscribers * more * 1_000.0_f64.sqrt() / 3.0;
            Count { expected: subscribers * gaps, deviation }
        })
    }
}

/// What a closed form expects to be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The distribution of latency.
    pub latency: Latency,
    /// Exchanges inside the window, all subscribers together.
    pub requests: Count,
    /// Those of them that carry no event; `None` where the arrivals have no closed form.
    pub empty: Option<Count>,
}

/// A predicted count: what is expected of one window, and how far chance may take it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// The expected value.
    pub expected: f64,
    /// The standard deviation.
    pub deviation: f64,
}

impl Count {
    /// A count that chance has no part in.
    #[must_use]
    pub fn certain(expected: f64) -> Count {
        Count { expected, deviation: 0.0 }
    }
}

/// A predicted distribution of latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Uniform between two bounds.
    Uniform {
        /// Smallest latency.
        from: Duration,
        /// Largest latency.
        to: Duration,
    },
    /// At least one way; what is above it is the implementation's, so no figure is claimed.
    AtLeast(Duration),
}

impl Latency {
    /// The mean, if the form claims one.
    #[must_use]
    pub fn mean(self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// The latency that a share `p` of events does not exceed, if the form claims one.
    #[must_use]
    pub fn quantile(self, p: f64) -> Option<Duration> {
        match self {
            Latency::Uniform { from, to } => {
                Some(from + to.saturating_sub(from).mul_f64(p.clamp(0.0, 1.0)))
            }
            Latency::AtLeast(_) => None,
        }
    }
}

impl Theory {
    /// Evaluates the closed form.
    #[must_use]
    pub fn predict(&self, conditions: &Conditions) -> Prediction {
        let one_way = conditions.exchange / 2;
        match *self {
            Theory::IntervalPoll { every, beat, limit } => {
                let gap = read_gap(every, beat, conditions.exchange);
                let none = |events: u64| if events == 0 { 1.0 } else { 0.0 };
                Prediction {
                    latency: Latency::Uniform { from: one_way, to: gap + one_way },
                    requests: conditions.pages(gap, limit),
                    empty: conditions.over_gaps(gap, none),
                }
            }
            Theory::Push => Prediction {
                latency: Latency::AtLeast(one_way),
                requests: Count::certain(
                    f64::from(conditions.subscribers)
                        * conditions.rate.events_in(conditions.window),
                ),
                empty: Some(Count::default()),
            },
        }
    }
}

/// The time from one read of the source to the next.
fn read_gap(every: Duration, beat: Beat, exchange: Duration) -> Duration {
    // An exchange takes some time even where the clock saw none; the gap is a divisor.
    let exchange = exchange.max(Duration::from_nanos(1));
    match beat {
        Beat::FixedDelay => every + exchange,
        Beat::FixedRate if every.is_zero() => exchange,
        Beat::FixedRate => {
            let beats = exchange.as_nanos().div_ceil(every.as_nanos());
            every.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Beat, Conditions, Latency, Theory};
    use crate::schedule::Arrivals;
    use crate::units::Rate;
    use std::time::Duration;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn poll(every: Duration, beat: Beat) -> Theory {
        Theory::IntervalPoll { every, beat, limit: 1_000 }
    }

    fn conditions(exchange: Duration) -> Conditions {
        Conditions {
            rate: Rate::per_second(20.0).expect("a rate"),
            arrivals: Arrivals::Poisson,
            window: Duration::from_mins(1),
            subscribers: 1,
            exchange,
        }
    }

    #[test]
    fn a_fixed_rate_poll_waits_half_an_interval_and_travels_one_way() {
        let predicted = poll(ms(250), Beat::FixedRate).predict(&conditions(ms(10)));
        assert_eq!(predicted.latency.mean(), Some(ms(130)));
        assert_eq!(predicted.latency.quantile(0.99), Some(Duration::from_micros(252_500)));
        assert!((predicted.requests.expected - 240.0).abs() < 1e-9);
        assert!(
            (predicted.empty.expect("Poisson").expected - 240.0 * (-5.0_f64).exp()).abs() < 1e-9
        );
    }

    #[test]
    fn a_fixed_delay_poll_adds_the_exchange_to_the_gap() {
        let predicted = poll(ms(250), Beat::FixedDelay).predict(&conditions(ms(50)));
        assert_eq!(predicted.latency, Latency::Uniform { from: ms(25), to: ms(325) });
        assert!((predicted.requests.expected - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_slow_exchange_skips_beats() {
        let predicted = poll(ms(100), Beat::FixedRate).predict(&conditions(ms(150)));
        assert!((predicted.requests.expected - 300.0).abs() < 1e-9);
    }

    #[test]
    fn back_to_back_polls_are_an_exchange_apart() {
        for beat in [Beat::FixedRate, Beat::FixedDelay] {
            let predicted = poll(ms(0), beat).predict(&conditions(ms(1)));
            assert!((predicted.requests.expected - 60_000.0).abs() < 1e-6);
        }
    }

    #[test]
    fn full_pages_cost_requests_more() {
        let every_second = |limit, arrivals| {
            let poll = Theory::IntervalPoll { every: ms(1_000), beat: Beat::FixedRate, limit };
            poll.predict(&Conditions { arrivals, ..conditions(ms(1)) }).requests.expected
        };
        // Twenty events a poll, exactly: a page of twenty takes them all.
        assert!((every_second(20, Arrivals::Constant) - 60.0).abs() < 1e-9);
        assert!((every_second(19, Arrivals::Constant) - 120.0).abs() < 1e-9);
        // P(N > 20) = 0.4409 for a Poisson distributed N of mean 20; more than 40 are rare.
        assert!((every_second(20, Arrivals::Poisson) - 60.0 * 1.4409).abs() < 0.01);
    }

    #[test]
    fn arrivals_without_a_closed_form_leave_latency_and_the_beat() {
        let arrivals = Arrivals::named("pareto").expect("a process");
        let pareto = Conditions { arrivals, ..conditions(ms(10)) };
        let (poll, poisson) = (poll(ms(250), Beat::FixedRate), conditions(ms(10)));
        let predicted = poll.predict(&pareto);
        assert_eq!(predicted.latency, poll.predict(&poisson).latency);
        assert!((predicted.requests.expected - 240.0).abs() < 1e-9);
        assert_eq!(predicted.empty, None);
    }

    #[test]
    fn batches_leave_more_polls_empty() {
        let arrivals = Arrivals::named("batch").expect("a process");
        let batches = Conditions { arrivals, ..conditions(ms(10)) };
        let empty = poll(ms(250), Beat::FixedRate).predict(&batches).empty.expect("a form");
        // Half a batch of ten a gap.
        assert!((empty.expected - 240.0 * (-0.5_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn push_sends_one_request_per_event_and_subscriber() {
        let many = Conditions { subscribers: 3, ..conditions(ms(1)) };
        let predicted = Theory::Push.predict(&many);
        assert!((predicted.requests.expected - 3_600.0).abs() < 1e-9);
        assert_eq!(predicted.latency.mean(), None);
    }
}
