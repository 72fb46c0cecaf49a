//! The tables of a scenario file, as they are written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aim::{Expectation, Objective, Prices};
use crate::measure::Measure;
use crate::scenario::shelf::TraceFile;
use crate::schedule::Arrivals;
use crate::stopping::StoppingRule;
use crate::units::{
    Bytes, DurationText, Precision, PrecisionText, Rate, RateText, SizeText, duration_text,
    some_duration_text,
};

/// The keys above the first table: what the scenario is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Heading {
    /// What the scenario is called: one line of at most 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub(crate) title: String,
    /// The question a run of it answers: one line of at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 500))]
    pub(crate) question: Option<String>,
}

/// The keys `[events]` has, however events are spaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct EventsHead {
    /// Mean number of events in a span of time, such as "20/s" or "4.5/day".
    // Required of every process but a trace, which has its own.
    #[schemars(with = "RateText")]
    pub(crate) rate: Option<Rate>,
    /// How events are spaced: "constant", "poisson", "batch", "on-off", "diurnal", "pareto",
    /// "lognormal" or "trace". Each has further keys.
    #[serde(default = "default_arrivals")]
    pub(crate) arrivals: String,
    /// Size of an event's data, from "64 B" to "1 MiB".
    #[serde(default = "default_payload")]
    #[schemars(with = "SizeText")]
    pub(crate) payload: Bytes,
}

/// What happens at the source.
#[derive(Clone, Debug)]
pub struct Events {
    /// Mean number of events in a span of time; of a trace, over its whole length.
    pub rate: Rate,
    /// How events are spaced.
    pub arrivals: Arrivals,
    /// The trace that is replayed, if one is.
    pub trace: Option<TraceFile>,
    /// Size of an event's data.
    pub payload: Bytes,
}

impl Events {
    /// The events due between two moments of a trial: those of a trace, or the mean of what
    /// chance gives.
    #[must_use]
    pub fn expected(&self, from: Duration, until: Duration) -> f64 {
        match (&self.arrivals, &self.trace) {
            (Arrivals::Trace(replay), Some(TraceFile { trace, .. })) => {
                let before = |moment| replay.events_before(trace, moment);
                before(until).saturating_sub(before(from)) as f64
            }
            _ => self.rate.events_in(until.saturating_sub(from)),
        }
    }
}

/// The process of a scenario that names none.
pub(crate) fn default_arrivals() -> String {
    "poisson".to_owned()
}

fn default_payload() -> Bytes {
    Bytes(1024)
}

/// How the measurement is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Run {
    /// Time before the measured window, in which events flow but do not count, at most "1h".
    #[serde(default = "default_warm_up", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub(crate) warm_up: Duration,
    /// Length of the measured window of each trial, such as "60s"; above zero, at most "24h".
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub(crate) duration: Duration,
    /// Blocks at each point, a whole number from 1 to 1000; six or more give confidence
    /// intervals. Without it one, or as many as `precision` needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1000))]
    pub(crate) repeats: Option<u32>,
    /// Instead of `repeats`: from the sixth block on, stop when the confidence interval of
    /// `measure` reaches no further than this from its median for every strategy, such as "5%".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PrecisionText")]
    pub(crate) precision: Option<Precision>,
    /// What `precision` is about: a measure of which every block has a value, such as
    /// `latency.mean`, `latency.p99`, `requests.per_event` or `cpu.per_event`. Without it
    /// `latency.p50`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Measure")]
    pub(crate) measure: Option<Measure>,
    /// With `precision`, the most blocks at each point, a whole number from 6 to 1000. Without
    /// it 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 6, max = 1000))]
    pub(crate) max_repeats: Option<u32>,
    /// Whether each process is kept on one CPU: the source on the first one that the program may
    /// use, subscribers on the others in turn.
    #[serde(default)]
    pub(crate) pin: bool,
    /// How long before each event the pacer stops sleeping and spins, so that events are less
    /// late; at most "1ms". "0ms" is not at all.
    #[serde(default, with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub(crate) spin: Duration,
    /// Whether all strategies share a source ("side-by-side") or run one after the other ("solo").
    #[serde(default)]
    pub(crate) layout: Layout,
    /// The whole number everything random derives from; the same seed gives the same schedules.
    #[serde(default = "default_seed")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub(crate) seed: u64,
    /// How long after the window outstanding events are waited for, at most "1h". Without it:
    /// the longest an event of the slowest strategy can be under way, and two seconds.
    #[serde(default, with = "some_duration_text", skip_serializing)]
    #[schemars(with = "DurationText")]
    pub(crate) drain: Option<Duration>,
}

fn default_warm_up() -> Duration {
    Duration::from_secs(1)
}

/// The most blocks of a point with `precision`, unless the scenario says otherwise.
const DEFAULT_MOST_BLOCKS: u32 = 60;

impl Run {
    /// Blocks at each point; with `precision`, the most.
    pub(crate) fn blocks(&self) -> u32 {
        match self.precision {
            Some(_) => self.max_repeats.unwrap_or(DEFAULT_MOST_BLOCKS),
            None => self.repeats.unwrap_or(1),
        }
    }

    /// When a point has blocks enough, unless their number is fixed.
    pub(crate) fn rule(&self) -> Option<StoppingRule> {
        let precision = self.precision?;
        Some(StoppingRule { measure: self.measure.unwrap_or(Measure::LatencyP50), precision })
    }
}

/// One, so that two people who run the same scenario offer the same events.
fn default_seed() -> u64 {
    1
}

/// What the strategies are for, and what they cost; none of it changes what is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The objective, if there is one.
    pub(crate) objective: Option<Objective>,
    /// The prices, if there are any.
    pub(crate) prices: Option<Prices>,
    /// What single strategies are held to.
    pub(crate) thresholds: Vec<Threshold>,
}

/// What one strategy is held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Threshold {
    /// A strategy and what is required of it, such as "webhook: latency.p99 < 50ms", in a sweep
    /// also of some points: "webhook: latency.p99 < 50ms at events.rate=20/s".
    pub(crate) expect: Expectation,
}

/// Whether the strategies of a block share one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// All strategies receive the same events at the same time from one source: paired, quick.
    #[default]
    SideBySide,
    /// Each strategy alone, one after the other in random order: clean CPU and tail.
    Solo,
}

/// The keys every `[[strategy]]` has, whatever its mechanism.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct StrategyHead {
    /// What results call it: unique, one line of at most 80 characters.
    #[schemars(length(min = 1, max = 80))]
    pub(crate) name: String,
    /// The way of delivering; `pollpush mechanisms` lists them.
    pub(crate) mechanism: String,
    /// Simulated subscribers, a whole number from 1 to 10000.
    #[serde(default = "default_subscribers")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) subscribers: u32,
}

fn default_subscribers() -> u32 {
    1
}
