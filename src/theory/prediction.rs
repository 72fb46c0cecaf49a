//! What closed forms expect to be measured.

use std::time::Duration;

use super::Conditions;
use super::latency::Latency;
use super::staleness::Staleness;

/// What a closed form expects of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The form in words.
    pub words: &'static str,
    /// The distribution of latency.
    pub latency: Latency,
    /// Counts that have a closed form under these conditions.
    pub counts: Vec<(Quantity, Count)>,
    /// How long the state is out of date, where that has a closed form.
    pub staleness: Option<Staleness>,
    /// How often what events wait for comes round in the window, without end if they wait for
    /// nothing that others wait for; `None` if that follows from the longest wait.
    pub rounds: Option<f64>,
    /// Whether an event waits alike at every subscriber, so that it counts once.
    pub alike: bool,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Exchanges inside the window.
    Requests,
    /// Exchanges that carry no event.
    Empty,
    /// Exchanges answered 304.
    NotModified,
    /// Frames on streams.
    Messages,
    /// Deliveries of which a copy arrives: of a snapshot, the distinct states seen.
    Delivered,
    /// Copies beyond the first.
    Duplicated,
    /// Deliveries of which no copy arrives.
    Lost,
}

impl Prediction {
    /// A prediction without counts.
    pub(crate) fn new(words: &'static str, latency: Latency) -> Prediction {
        Prediction {
            words,
            latency,
            counts: Vec::new(),
            staleness: None,
            rounds: None,
            alike: false,
        }
    }

    /// The same, where no event waits for what others wait for.
    #[must_use]
    pub(crate) fn each_for_itself(self) -> Prediction {
        Prediction { rounds: Some(f64::INFINITY), ..self }
    }

    /// The same with the staleness that follows if every event has the predicted latency.
    #[must_use]
    pub(crate) fn with_staleness(self, conditions: &Conditions) -> Prediction {
        let shared = self.rounds.is_none().then(|| self.longest_wait()).flatten();
        let gap = shared.unwrap_or_default();
        Prediction { staleness: Staleness::of(conditions, &self.latency, 1.0, gap), ..self }
    }

    /// By how much latencies differ, if they do and the form claims how much.
    #[must_use]
    pub fn longest_wait(&self) -> Option<Duration> {
        let (least, longest) = (self.latency.min(), self.latency.max()?);
        (longest > least).then(|| longest.saturating_sub(least))
    }

    /// Adds a count where it has a closed form.
    #[must_use]
    pub(crate) fn with(
        mut self,
        quantity: Quantity,
        count: impl Into<Option<Count>>,
    ) -> Prediction {
        self.counts.extend(count.into().map(|count| (quantity, count)));
        self
    }

    /// The count of a quantity, if the form claims one.
    #[must_use]
    pub fn count(&self, quantity: Quantity) -> Option<&Count> {
        self.counts.iter().find(|(counted, _)| *counted == quantity).map(|(_, count)| count)
    }
}

/// A predicted count of one window, all subscribers together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// The expected value.
    pub expected: f64,
    /// The least that is expected if timers and scheduling slow the strategy down.
    pub least: f64,
    /// The most that is expected if they do, or where the form gives a bound only.
    pub most: f64,
    /// The standard deviation: how far chance may take it.
    pub deviation: f64,
    /// What each delivery more than expected adds: counts that follow the events are judged by
    /// the deliveries there were.
    pub per_delivery: f64,
    /// What may fall to either side of the window's edges, of each subscriber.
    pub edge: f64,
}

impl Count {
    /// A count that chance has no part in.
    #[must_use]
    pub fn certain(expected: f64) -> Count {
        Count { edge: 1.0, ..Count::exactly(expected) }
    }

    /// A count that neither chance nor the window's edges have a part in.
    #[must_use]
    pub fn exactly(expected: f64) -> Count {
        Count { expected, least: expected, most: expected, ..Count::default() }
    }

    /// A count of `each` for every delivery.
    #[must_use]
    pub fn per_delivery(each: f64, conditions: &Conditions) -> Count {
        Count { per_delivery: each, ..Count::certain(each * conditions.deliveries()) }
    }

    /// The same, with a part in chance.
    #[must_use]
    pub fn deviating(self, deviation: f64) -> Count {
        Count { deviation, ..self }
    }

    /// The same, which may also be as little or as much as another expectation.
    #[must_use]
    pub fn or(self, other: f64) -> Count {
        Count { least: self.least.min(other), most: self.most.max(other), ..self }
    }

    /// A share of it.
    #[must_use]
    pub(crate) fn scaled(self, share: f64) -> Count {
        Count {
            expected: share * self.expected,
            least: share * self.least,
            most: share * self.most,
            deviation: share * self.deviation,
            per_delivery: share * self.per_delivery,
            edge: self.edge,
        }
    }

    /// Two counts together, independent of each other.
    #[must_use]
    pub fn and(self, other: Count) -> Count {
        Count {
            expected: self.expected + other.expected,
            least: self.least + other.least,
            most: self.most + other.most,
            deviation: self.deviation.hypot(other.deviation),
            per_delivery: self.per_delivery + other.per_delivery,
            edge: self.edge + other.edge,
        }
    }
}
