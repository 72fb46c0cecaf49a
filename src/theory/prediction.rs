//! What closed forms expect to be measured.

use super::Conditions;
use super::latency::Latency;

/// What a closed form expects of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The form in words.
    pub words: &'static str,
    /// The distribution of latency.
    pub latency: Latency,
    /// Counts that have a closed form under these conditions.
    pub counts: Vec<(Quantity, Count)>,
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
        Prediction { words, latency, counts: Vec::new() }
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
