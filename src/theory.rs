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
    },
    /// One request per event, sent as it happens: latency d while the sender keeps up.
    Push,
}

/// What a closed form needs to know besides the strategy's own settings.
#[derive(Clone, Copy, Debug)]
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

/// What a closed form expects to be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The distribution of latency.
    pub latency: Latency,
    /// Exchanges inside the window, all subscribers together.
    pub requests: f64,
    /// The expected share of exchanges that carry no event.
    pub empty_share: f64,
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
            Latency::Uniform { from, to } => Some(from + (to - from).mul_f64(p.clamp(0.0, 1.0))),
            Latency::AtLeast(_) => None,
        }
    }
}

impl Theory {
    /// Evaluates the closed form.
    #[must_use]
    pub fn predict(&self, conditions: &Conditions) -> Prediction {
        let subscribers = f64::from(conditions.subscribers);
        let one_way = conditions.exchange / 2;
        match *self {
            Theory::IntervalPoll { every, beat } => {
                let gap = read_gap(every, beat, conditions.exchange);
                let polls = conditions.window.as_secs_f64() / gap.as_secs_f64();
                Prediction {
                    latency: Latency::Uniform { from: one_way, to: gap + one_way },
                    requests: subscribers * polls,
                    empty_share: conditions.arrivals.empty_share(conditions.rate, gap),
                }
            }
            Theory::Push => Prediction {
                latency: Latency::AtLeast(one_way),
                requests: subscribers * conditions.rate.events_in(conditions.window),
                empty_share: 0.0,
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

    fn conditions(exchange: Duration) -> Conditions {
        Conditions {
            rate: Rate::per_second(20.0).expect("a rate"),
            arrivals: Arrivals::Poisson,
            window: Duration::from_secs(60),
            subscribers: 1,
            exchange,
        }
    }

    #[test]
    fn a_fixed_rate_poll_waits_half_an_interval_and_travels_one_way() {
        let poll = Theory::IntervalPoll { every: ms(250), beat: Beat::FixedRate };
        let predicted = poll.predict(&conditions(ms(10)));
        assert_eq!(predicted.latency.mean(), Some(ms(130)));
        assert_eq!(predicted.latency.quantile(0.99), Some(Duration::from_micros(252_500)));
        assert!((predicted.requests - 240.0).abs() < 1e-9);
        assert!((predicted.empty_share - (-5.0_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn a_fixed_delay_poll_adds_the_exchange_to_the_gap() {
        let poll = Theory::IntervalPoll { every: ms(250), beat: Beat::FixedDelay };
        let predicted = poll.predict(&conditions(ms(50)));
        assert_eq!(predicted.latency, Latency::Uniform { from: ms(25), to: ms(325) });
        assert!((predicted.requests - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_slow_exchange_skips_beats() {
        let poll = Theory::IntervalPoll { every: ms(100), beat: Beat::FixedRate };
        assert!((poll.predict(&conditions(ms(150))).requests - 300.0).abs() < 1e-9);
    }

    #[test]
    fn back_to_back_polls_are_an_exchange_apart() {
        for beat in [Beat::FixedRate, Beat::FixedDelay] {
            let poll = Theory::IntervalPoll { every: ms(0), beat };
            assert!((poll.predict(&conditions(ms(1))).requests - 60_000.0).abs() < 1e-6);
        }
    }

    #[test]
    fn push_sends_one_request_per_event_and_subscriber() {
        let many = Conditions { subscribers: 3, ..conditions(ms(1)) };
        let predicted = Theory::Push.predict(&many);
        assert!((predicted.requests - 3_600.0).abs() < 1e-9);
        assert_eq!(predicted.latency.mean(), None);
    }
}
