//! What theory says a strategy must do: closed forms to print beside every measurement.
//!
//! A mechanism declares which form describes it, with the settings the form needs; the form is
//! evaluated when a run is planned and when it is read. Latency is from an event's existence
//! to the moment the subscriber holds it. `d` is one way of the network; G is the time from
//! one read of the source to the next.

pub mod adaptive_poll;
pub mod batched_webhook;
pub mod bounded_poll;
pub mod broken_poll;
pub mod broken_stream;
mod cycle;
pub mod hand_over;
pub mod hybrid;
pub mod interval_poll;
pub mod latency;
pub mod long_poll;
pub mod prediction;
mod queue;
pub mod reads;
pub mod reconciled_webhook;
pub mod retries;
#[cfg(test)]
mod simulation;
pub mod snapshot_poll;
pub mod staleness;
pub mod stream;
pub mod webhook;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::prediction::Prediction;
use crate::schedule::Arrivals;
use crate::units::Rate;

/// What timers and scheduling may add to a latency or a gap.
pub const SLACK: Duration = Duration::from_millis(1);

/// The same as a share of a latency, where that is more.
pub const SLACK_SHARE: f64 = 0.02;

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

/// A closed form: what the settings of a strategy make it do.
pub trait Form {
    /// Evaluates the form.
    fn predict(&self, conditions: &Conditions) -> Prediction;

    /// The longest the settings let an event wait before it travels, while everything works.
    fn longest_wait(&self) -> Duration {
        Duration::ZERO
    }

    /// The period of a steady beat, onto which evenly spaced events can lock.
    fn period(&self) -> Option<Duration> {
        None
    }

    /// Whether exchanges stay open while nothing happens: the time they took then says nothing
    /// of the network, and the form does not look at it.
    fn holds(&self) -> bool {
        false
    }

    /// The latency that a control was made to have, none at all included: all that is measured
    /// beyond it is the harness's own. `None` of every real delivery.
    fn injected(&self) -> Option<Duration> {
        None
    }
}

/// Makes the list of forms: each is named for its type and found in the file of that name.
macro_rules! forms {
    ($($(#[$words:meta])* $form:ident in $file:ident,)+) => {
        /// The closed form that describes a strategy, with the settings it needs.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Theory {
            $($(#[$words])* $form($file::$form),)+
        }

        impl Theory {
            /// The form itself.
            #[must_use]
            pub fn form(&self) -> &dyn Form {
                match self {
                    $(Theory::$form(form) => form,)+
                }
            }
        }

        $(impl From<$file::$form> for Theory {
            fn from(form: $file::$form) -> Theory {
                Theory::$form(form)
            }
        })+
    };
}

forms! {
    /// Polling a feed at intervals.
    IntervalPoll in interval_poll,
    /// Polling a resource that shows its newest state only.
    SnapshotPoll in snapshot_poll,
    /// Polling a feed that keeps its newest events only.
    BoundedPoll in bounded_poll,
    /// Polling less often while nothing happens.
    AdaptivePoll in adaptive_poll,
    /// Requests that the source answers when something happens.
    LongPoll in long_poll,
    /// One request to the subscriber for each event.
    Webhook in webhook,
    /// One request to the subscriber for several events.
    BatchedWebhook in batched_webhook,
    /// A hint to the subscriber, who then reads the source.
    Hybrid in hybrid,
    /// Server-Sent Events or a WebSocket.
    Stream in stream,
    /// Polling a feed at intervals, through an outage.
    BrokenPoll in broken_poll,
    /// Server-Sent Events or a WebSocket that breaks in an outage.
    BrokenStream in broken_stream,
    /// A webhook, and a poll that finds what it missed.
    ReconciledWebhook in reconciled_webhook,
    /// A delivery inside one process.
    HandOver in hand_over,
}

/// What a closed form needs to know besides the strategy's own settings.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Events per second.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// Time before the measured window, in which events flow.
    pub warm_up: Duration,
    /// Length of the measured window.
    pub window: Duration,
    /// How long after the window events are waited for, at most.
    pub drain: Duration,
    /// Simulated subscribers.
    pub subscribers: u32,
    /// Mean time of one exchange, request to complete response, set-up of its connection
    /// included.
    pub exchange: Duration,
    /// The network's configured round trip; `None` is loopback, where the program itself
    /// takes most of the time and forms without a wait claim bounds only.
    pub rtt: Option<Duration>,
    /// The part of an exchange that the source takes to answer; not part of any way.
    pub server: Duration,
    /// Round trips that set a connection up before each exchange: 0 if connections are kept.
    pub set_up: u32,
    /// From sending a request to its arrival, set-up of its connection included, where that was
    /// measured by itself; otherwise all ways of an exchange are taken to be equally long.
    pub request_way: Option<Duration>,
    /// Round trips that set a connection up where one is opened.
    pub dialling: u32,
}

impl Conditions {
    /// Events per second, as a number to calculate with.
    pub(crate) fn events_per_second(&self) -> f64 {
        self.rate.events_per_second()
    }

    /// Deliveries expected of one window, all subscribers together.
    #[must_use]
    pub fn deliveries(&self) -> f64 {
        f64::from(self.subscribers) * self.rate.events_in(self.window)
    }

    /// One way of the network: half a round trip, of which an exchange is one and one more for
    /// each that sets its connection up.
    pub(crate) fn one_way(&self, server: Duration) -> Duration {
        let travelling = self.exchange.saturating_sub(server);
        if let Some(there) = self.request_way {
            return travelling.saturating_sub(there);
        }
        let trips = self.set_up.saturating_add(1).saturating_mul(2);
        travelling / trips
    }

    /// From a read of the source to its answer's arrival, the smallest latency of a poller: the
    /// source's time and one way.
    pub(crate) fn after_read(&self) -> Duration {
        self.server + self.one_way(self.server)
    }

    /// From sending a request to its arrival: set-up and one way.
    pub(crate) fn there(&self, server: Duration) -> Duration {
        let ways = self.set_up.saturating_mul(2).saturating_add(1);
        self.request_way.unwrap_or_else(|| self.one_way(server).saturating_mul(ways))
    }

    /// The same with exchanges that take longer by what timers and scheduling may add.
    pub(crate) fn slower(&self) -> Conditions {
        Conditions { exchange: self.exchange + SLACK, ..self.clone() }
    }

    pub(crate) fn is_poisson(&self) -> bool {
        matches!(self.arrivals, Arrivals::Poisson)
    }

    pub(crate) fn is_constant(&self) -> bool {
        matches!(self.arrivals, Arrivals::Constant)
    }
}

#[cfg(test)]
impl Conditions {
    /// Poisson arrivals to two subscribers, for a thousand seconds, over no distance.
    fn poisson(rate: f64) -> Conditions {
        Conditions {
            rate: Rate::per_second(rate).expect("a rate"),
            arrivals: Arrivals::Poisson,
            warm_up: Duration::ZERO,
            window: Duration::from_secs(1_000),
            drain: Duration::from_secs(1_000),
            subscribers: 2,
            exchange: Duration::ZERO,
            rtt: None,
            server: Duration::ZERO,
            set_up: 0,
            request_way: None,
            dialling: 1,
        }
    }
}
