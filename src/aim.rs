//! What is wanted of strategies: requirements, an objective, thresholds, and prices.
//!
//! All of it is text that a person wrote, read and checked; whether it holds is for the analysis
//! to find.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::measure::{Kind, Measure};
use crate::spelling::{listed, nearest};

/// What cannot be wanted, in words that name the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct AimError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl AimError {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> AimError {
        AimError { message: message.into(), remedy: remedy.into() }
    }
}

/// Whether something that is required or expected holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// It holds, wherever in its interval the true figure lies.
    Met,
    /// The interval reaches to both sides of the limit.
    Undecided,
    /// There is no figure to judge: it was withheld, or nothing was measured.
    NotMeasured,
    /// It does not hold, wherever in its interval the true figure lies.
    Missed,
}

/// How a figure has to stand to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Below it.
    Below,
    /// At most so much.
    AtMost,
    /// Above it.
    Above,
    /// At least so much.
    AtLeast,
    /// Exactly so much; only of what is counted.
    Equal,
}

/// Relations by how they are written; those of two characters first.
const RELATIONS: [(&str, Relation); 7] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("≤", Relation::AtMost),
    ("≥", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];

/// A limit for a measure, such as `latency.p99 < 1s`.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// What is limited.
    pub measure: Measure,
    /// How it has to stand to the limit.
    pub relation: Relation,
    /// The limit, in the unit of the measure.
    pub limit: f64,
    /// As it is written.
    text: String,
}

impl Requirement {
    /// Whether it holds for a figure that lies between two values.
    #[must_use]
    pub fn judge(&self, low: f64, high: f64) -> Judgement {
        let (always, never) = match self.relation {
            Relation::Below => (high < self.limit, low >= self.limit),
            Relation::AtMost => (high <= self.limit, low > self.limit),
            Relation::Above => (low > self.limit, high <= self.limit),
            Relation::AtLeast => (low >= self.limit, high < self.limit),
            Relation::Equal => {
                let inside = low <= self.limit && self.limit <= high;
                (inside && low >= high, !inside)
            }
        };
        match (always, never) {
            (true, _) => Judgement::Met,
            (_, true) => Judgement::Missed,
            _ => Judgement::Undecided,
        }
    }

    /// Reads a requirement whose relation is at that place of the text.
    fn at(text: &str, place: usize, sign: &str, relation: Relation) -> Result<Self, AimError> {
        let (name, limit) = (text[..place].trim(), text[place + sign.len()..].trim());
        let measure: Measure =
            name.parse().map_err(|unknown: crate::measure::UnknownMeasure| {
                AimError::new(format!("no measure is called `{name}`"), unknown.remedy)
            })?;
        if relation == Relation::Equal && measure.kind() == Kind::Sampled {
            let message = format!("`{measure}` is an estimate and never exactly so much");
            return Err(AimError::new(message, "write `<` or `>` instead of `=`"));
        }
        let limit_value = measure.unit().parse(limit).map_err(|reason| {
            AimError::new(format!("`{text}` has no limit for `{measure}`"), reason)
        })?;
        let text = format!("{measure} {sign} {limit}");
        Ok(Requirement { measure, relation, limit: limit_value, text })
    }
}

/// The first relation in a text outside quotes: its place, its sign, and what it is.
fn relation(text: &str) -> Option<(usize, &'static str, Relation)> {
    let found = RELATIONS.iter().filter_map(|(sign, relation)| {
        outside_quotes(text, sign).map(|place| (place, *sign, *relation))
    });
    found.min_by_key(|(place, sign, _)| (*place, std::cmp::Reverse(sign.len())))
}

/// The first place of a pattern that is not between quotes.
fn outside_quotes(text: &str, pattern: &str) -> Option<usize> {
    let mut quote = None;
    for (place, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, _) if text[place..].starts_with(pattern) => return Some(place),
            _ => {}
        }
    }
    None
}

const REQUIREMENT: &str =
    "write a measure, a relation and a limit, such as `latency.p99 < 1s` or `loss = 0`";

impl FromStr for Requirement {
    type Err = AimError;

    fn from_str(text: &str) -> Result<Requirement, AimError> {
        let text = text.trim();
        let (place, sign, relation) = relation(text)
            .ok_or_else(|| AimError::new(format!("`{text}` is not a requirement"), REQUIREMENT))?;
        Requirement::at(text, place, sign, relation)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A requirement of one strategy, such as `webhook: latency.p99 < 50ms at events.rate=20/s`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The strategy's name.
    pub strategy: String,
    /// What is required of it.
    pub requirement: Requirement,
    /// The swept parameters of the points it is about; without any, it is about all points.
    pub at: BTreeMap<String, String>,
    /// As it is written.
    text: String,
}

const EXPECTATION: &str = "write a strategy, a colon and a requirement, such as `webhook: latency.p99 < 50ms`; a name \
     with a colon in it goes in quotes";

impl Expectation {
    /// Whether it is about a point with these parameters.
    #[must_use]
    pub fn covers(&self, parameters: &BTreeMap<String, String>) -> bool {
        self.at.iter().all(|(path, value)| parameters.get(path) == Some(value))
    }

    /// Checks that there is such a strategy and such a point.
    ///
    /// # Errors
    ///
    /// When there is not, with the nearest that there is.
    pub fn check<'a>(
        &self,
        strategies: &[&str],
        mut points: impl Iterator<Item = &'a BTreeMap<String, String>> + Clone,
    ) -> Result<(), AimError> {
        if !strategies.contains(&self.strategy.as_str()) {
            let message = format!("no strategy is called `{}`", self.strategy);
            let remedy = match nearest(&self.strategy, strategies.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the strategies are {}", listed(strategies)),
            };
            return Err(AimError::new(message, remedy));
        }
        let swept: Vec<&str> =
            points.clone().next().into_iter().flatten().map(|(path, _)| path.as_str()).collect();
        if let Some(path) = self.at.keys().find(|path| !swept.contains(&path.as_str())) {
            let message = format!("`{path}` is not swept, so no point is told by it");
            let remedy = match swept[..] {
                [] => "leave out what follows `at`: there is only one point".to_owned(),
                _ => format!("swept are {}", listed(&swept)),
            };
            return Err(AimError::new(message, remedy));
        }
        if !points.any(|point| self.covers(point)) {
            let message = format!("no point of the sweep is meant by `{}`", self.text);
            return Err(AimError::new(message, "write values as the sweep does, such as `20/s`"));
        }
        Ok(())
    }
}

impl FromStr for Expectation {
    type Err = AimError;

    fn from_str(text: &str) -> Result<Expectation, AimError> {
        let text = text.trim();
        let no_expectation =
            || AimError::new(format!("`{text}` is not an expectation"), EXPECTATION);
        let (place, sign, relation) = relation(text).ok_or_else(no_expectation)?;
        let (subject, rest) = text.split_at(place);
        // A name may have colons in it, a measure has none.
        let colon = subject.rfind(':').ok_or_else(no_expectation)?;
        let strategy = unquoted(subject[..colon].trim());
        if strategy.is_empty() {
            return Err(no_expectation());
        }
        let (limit, selector) = match rest.split_once(" at ") {
            Some((limit, selector)) => (limit, Some(selector)),
            None => (rest, None),
        };
        let required = format!("{}{limit}", &subject[colon + 1..]);
        let requirement = Requirement::at(&required, subject.len() - colon - 1, sign, relation)?;
        let at = selector.map_or(Ok(BTreeMap::new()), parameters)?;
        let text = text.to_owned();
        Ok(Expectation { strategy: strategy.to_owned(), requirement, at, text })
    }
}

/// Swept parameters, such as `events.rate=20/s, network.rtt=40ms`.
///
/// # Errors
///
/// When the text is anything else.
pub fn parameters(text: &str) -> Result<BTreeMap<String, String>, AimError> {
    let mut parameters = BTreeMap::new();
    let mut rest = text;
    loop {
        let end = outside_quotes(rest, ",").unwrap_or(rest.len());
        let pair = rest[..end].trim();
        let equals = outside_quotes(pair, "=").ok_or_else(|| {
            let message = format!("`{pair}` is not a swept parameter and its value");
            AimError::new(message, "write `path=value`, such as `events.rate=20/s`")
        })?;
        let (path, value) = (pair[..equals].trim(), unquoted(pair[equals + 1..].trim()));
        parameters.insert(path.to_owned(), value.to_owned());
        match rest.get(end + 1..) {
            Some(more) => rest = more,
            None => return Ok(parameters),
        }
    }
}

/// A text without the quotes around it.
fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Makes a type that is written as text read and written as text everywhere.
macro_rules! as_text {
    ($type:ident, $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
                output.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<$type, D::Error> {
                String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}

as_text!(
    Requirement,
    "A limit for a measure: `latency.p99 < 1s`, `loss = 0`, `requests.per_event <= 0.5`."
);
as_text!(
    Expectation,
    "A requirement of one strategy: `webhook: latency.p99 < 50ms`, in a sweep also of some points: \
     `webhook: latency.p99 < 50ms at events.rate=20/s`."
);

/// What makes one strategy better than another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Objective {
    /// What a strategy must keep to be chosen, such as `["latency.p99 < 1s", "loss = 0"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Requirement>,
    /// Of the strategies that keep it, the one with the least of this measure is chosen, such as
    /// `requests.per_event`, `cpu.per_event` or `cost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Measure")]
    pub minimise: Option<Measure>,
    /// A swept setting along which the change of the strategy with the least of that measure is
    /// searched for: of its values only those are measured that the search needs, such as
    /// `events.rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub search: Option<String>,
}

impl Objective {
    /// Every measure it names.
    pub fn measures(&self) -> impl Iterator<Item = Measure> {
        self.require.iter().map(|requirement| requirement.measure).chain(self.minimise)
    }

    /// Checks that a search leaves out no point that an expectation is about.
    ///
    /// # Errors
    ///
    /// When it may, with what to do about it.
    pub fn reaches(&self, expectation: &Expectation) -> Result<(), AimError> {
        match &self.search {
            Some(path) if expectation.at.contains_key(path) => Err(AimError::new(
                format!("the search along `{path}` may leave that point out"),
                "expect it at all points, or leave out `search`",
            )),
            _ => Ok(()),
        }
    }
}

/// What a side pays for; `None` is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SidePrices {
    /// For a million exchanges, whoever starts them.
    pub million_requests: Option<f64>,
    /// For 10⁹ bytes that the side sends.
    pub gigabyte: Option<f64>,
    /// For an hour of CPU time.
    pub vcpu_hour: Option<f64>,
}

/// Prices, to say what a strategy costs in a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prices {
    /// What amounts are called in: one short word, such as `USD`.
    #[schemars(length(min = 1, max = 12))]
    pub currency: String,
    /// What the source pays for a million exchanges, whoever starts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub source_per_million_requests: Option<f64>,
    /// What the source pays for 10⁹ bytes that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub source_per_gb: Option<f64>,
    /// What the source pays for an hour of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub source_per_vcpu_hour: Option<f64>,
    /// What the subscribers pay for a million exchanges, whoever starts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub subscriber_per_million_requests: Option<f64>,
    /// What the subscribers pay for 10⁹ bytes that they send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub subscriber_per_gb: Option<f64>,
    /// What the subscribers pay for an hour of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.0))]
    pub subscriber_per_vcpu_hour: Option<f64>,
    /// Numbers of subscribers that costs are also extrapolated to, such as `[1000, 1000000]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscribers: Vec<u64>,
}

impl Prices {
    /// What the source pays.
    #[must_use]
    pub fn source(&self) -> SidePrices {
        SidePrices {
            million_requests: self.source_per_million_requests,
            gigabyte: self.source_per_gb,
            vcpu_hour: self.source_per_vcpu_hour,
        }
    }

    /// What the subscribers pay.
    #[must_use]
    pub fn subscriber(&self) -> SidePrices {
        SidePrices {
            million_requests: self.subscriber_per_million_requests,
            gigabyte: self.subscriber_per_gb,
            vcpu_hour: self.subscriber_per_vcpu_hour,
        }
    }

    /// Every price with its key.
    #[must_use]
    pub fn listed(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("source-per-million-requests", self.source_per_million_requests),
            ("source-per-gb", self.source_per_gb),
            ("source-per-vcpu-hour", self.source_per_vcpu_hour),
            ("subscriber-per-million-requests", self.subscriber_per_million_requests),
            ("subscriber-per-gb", self.subscriber_per_gb),
            ("subscriber-per-vcpu-hour", self.subscriber_per_vcpu_hour),
        ]
    }
}

/// Everything that a scenario wants of its strategies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Aims {
    /// What makes one strategy better than another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// What things cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// What single strategies are held to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Expectation>,
}

impl Aims {
    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Aims::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectation, Judgement, Relation, Requirement};
    use crate::measure::Measure;
    use std::collections::BTreeMap;

    fn requirement(text: &str) -> Requirement {
        text.parse().expect(text)
    }

    #[test]
    fn requirements_read_as_they_are_written() {
        for (text, measure, relation, limit) in [
            ("latency.p99 < 1s", Measure::LatencyP99, Relation::Below, 1e9),
            ("latency.max<=250ms", Measure::LatencyMax, Relation::AtMost, 250e6),
            ("loss = 0", Measure::Loss, Relation::Equal, 0.0),
            ("loss ≤ 0.1%", Measure::Loss, Relation::AtMost, 0.001),
            ("cost < 12.5", Measure::CostMonth, Relation::Below, 12.5),
            ("requests.per_event >= 0.5", Measure::RequestsPerEvent, Relation::AtLeast, 0.5),
        ] {
            let read = requirement(text);
            assert_eq!((read.measure, read.relation), (measure, relation), "{text}");
            assert!((read.limit - limit).abs() < 1e-9, "{text}");
            let again: Requirement =
                serde_json::from_value(serde_json::to_value(&read).expect("text")).expect("text");
            assert_eq!(again, read);
        }
    }

    #[test]
    fn what_cannot_be_required_names_the_remedy() {
        for (text, told) in [
            ("latency.p99", "is not a requirement; write a measure"),
            ("latncy.p99 < 1s", "no measure is called `latncy.p99`; did you mean `latency.p99`?"),
            ("latency.p99 = 1s", "never exactly so much; write `<` or `>`"),
            ("latency.p99 < 5", "is not a duration"),
            ("loss < 5ms", "is not a share"),
            ("< 5ms", "no measure is called ``"),
        ] {
            let error = text.parse::<Requirement>().expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn an_interval_that_reaches_to_both_sides_is_undecided() {
        for (text, low, high, expected) in [
            ("loss < 5%", 0.01, 0.049, Judgement::Met),
            ("loss < 5%", 0.01, 0.05, Judgement::Undecided),
            ("loss < 5%", 0.05, 0.06, Judgement::Missed),
            ("loss <= 5%", 0.01, 0.05, Judgement::Met),
            ("loss <= 5%", 0.05, 0.06, Judgement::Undecided),
            ("loss > 5%", 0.05, 0.06, Judgement::Undecided),
            ("loss > 5%", 0.051, 0.06, Judgement::Met),
            ("loss > 5%", 0.01, 0.05, Judgement::Missed),
            ("loss >= 5%", 0.05, 0.06, Judgement::Met),
            ("loss = 0", 0.0, 0.0, Judgement::Met),
            ("loss = 0", 0.0, 0.1, Judgement::Undecided),
            ("loss = 0", 0.001, 0.001, Judgement::Missed),
        ] {
            assert_eq!(requirement(text).judge(low, high), expected, "{text} {low} {high}");
        }
    }

    #[test]
    fn expectations_name_a_strategy_and_may_name_points() {
        let read: Expectation =
            "webhook: latency.p99 < 50ms at events.rate=20/s, strategy.\"a, b\".every = 1s"
                .parse()
                .expect("an expectation");
        assert_eq!(read.strategy, "webhook");
        assert_eq!(read.requirement, requirement("latency.p99 < 50ms"));
        let at = [("events.rate", "20/s"), ("strategy.\"a, b\".every", "1s")];
        let at: BTreeMap<String, String> =
            at.map(|(path, value)| (path.to_owned(), value.to_owned())).into();
        assert_eq!(read.at, at);
        for (text, strategy) in [
            ("\"poll: slow\": loss = 0", "poll: slow"),
            ("poll: slow: loss = 0", "poll: slow"),
            ("'a < b': loss = 0", "a < b"),
            ("poll every 100 ms: requests.per_event > 1", "poll every 100 ms"),
        ] {
            assert_eq!(text.parse::<Expectation>().expect(text).strategy, strategy);
        }
        for text in ["latency.p99 < 1s", ": loss = 0", "webhook", "webhook: loss = 0 at rate"] {
            assert!(text.parse::<Expectation>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_expectation_is_of_a_strategy_and_a_point_that_exist() {
        let point = |rate: &str| BTreeMap::from([("events.rate".to_owned(), rate.to_owned())]);
        let points = [point("1/s"), point("20/s")];
        let told = |text: &str| {
            let expectation: Expectation = text.parse().expect(text);
            expectation.check(&["poll", "webhook"], points.iter()).err().map(|e| e.to_string())
        };
        assert_eq!(told("webhook: loss = 0 at events.rate=20/s"), None);
        assert_eq!(told("webhook: loss = 0"), None);
        let near = told("webhok: loss = 0").expect("refused");
        assert_eq!(near, "no strategy is called `webhok`; did you mean `webhook`?");
        assert!(told("push: loss = 0").expect("refused").contains("`poll`, `webhook`"));
        assert!(told("poll: loss = 0 at rate=1/s").expect("refused").contains("is not swept"));
        assert!(told("poll: loss = 0 at events.rate=2/s").expect("refused").contains("no point"));
    }
}
