//! `summary.json`: the result of a run. All times are integer nanoseconds, all sizes bytes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::tier::Tier;

pub use crate::aim::Judgement;
pub use crate::stopping::StopReason;
use crate::units::ParameterUnit;

/// The version of [`Summary`].
pub const SUMMARY_SCHEMA: &str = "pollpush/summary/1";

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Always `pollpush/summary/1`.
    pub schema: String,
    /// Identifies the run.
    pub run_id: String,
    /// The program that made the run.
    pub tool: Tool,
    /// The scenario that was run.
    pub scenario: ScenarioSummary,
    /// Whether the run reached its planned end.
    pub complete: bool,
    /// May the result be used?
    pub verdict: Verdict,
    /// One entry for each combination of swept parameters.
    pub points: Vec<PointSummary>,
    /// What the scenario's objective comes to; `null` if it has none.
    #[serde(default)]
    pub decision: Option<Decision>,
    /// What was expected of strategies, and whether it holds: one entry for each expectation and
    /// point that it is about.
    #[serde(default)]
    pub thresholds: Vec<ThresholdResult>,
    /// What strategies cost in a month; `null` without prices.
    #[serde(default)]
    pub costs: Option<Costs>,
}

/// The program that made a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Release version.
    pub version: String,
    /// Source revision, or `unknown`.
    pub commit: String,
}

/// The scenario that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSummary {
    /// The scenario's title.
    pub title: String,
    /// The question it answers.
    pub question: Option<String>,
    /// SHA-256 of the scenario file.
    pub sha256: String,
}

/// May the result be used?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The worst of the checks.
    pub status: VerdictStatus,
    /// Every check, in order.
    pub checks: Vec<Check>,
}

/// A verdict in one word.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictStatus {
    /// Every check passed.
    Valid,
    /// At least one check warns.
    Caveats,
    /// At least one check failed: do not use the numbers.
    Invalid,
}

/// One check of the run's own soundness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The family of checks it belongs to, such as `V05`.
    pub code: String,
    /// A stable name.
    pub id: String,
    /// The outcome.
    pub status: CheckStatus,
    /// What was found, in words for the user.
    pub message: String,
    /// The figure that was judged.
    pub value: Option<f64>,
    /// What it was judged against.
    pub limit: Option<f64>,
}

/// The outcome of a check.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// Nothing to report.
    Pass,
    /// This machine or this run does not tell; not a pass.
    Unavailable,
    /// Something to know.
    Info,
    /// Something to doubt.
    Warn,
    /// The numbers cannot be used.
    Fail,
}

/// The results at one combination of swept parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointSummary {
    /// The swept parameters, as written in the scenario; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// One entry a strategy, in the scenario's order.
    pub strategies: Vec<StrategySummary>,
    /// Every strategy beside the first, measure by measure.
    pub comparisons: Vec<Comparison>,
    /// Every strategy beside the first, event by event; empty unless they ran side by side.
    pub paired: Vec<Paired>,
    /// How a stopping rule ended the point; `null` if the number of blocks was fixed, or if no
    /// rule has ended it.
    pub stopping: Option<Stopping>,
    /// What the harness itself did.
    pub conditions: Conditions,
}

/// What the harness itself did at a point, in nanoseconds; part of no strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The CPU that the source process was pinned to; `null` without pinning.
    pub source_cpu: Option<u32>,
    /// The CPU that each strategy's subscribers were pinned to, in order; empty without pinning.
    pub subscriber_cpus: Vec<u32>,
    /// How long before each event the pacer spun instead of sleeping; zero if it did not.
    pub spin: u64,
    /// CPU time of the pacer inside the windows of all blocks, spinning included.
    pub pacer_cpu: u64,
    /// The part of it that the pacer spun for.
    pub pacer_spin: u64,
    /// The path between source and subscribers; `null` on bare loopback.
    pub path: Option<PathSummary>,
}

/// The path between source and subscribers, and what crossed it in all blocks and for all
/// strategies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathSummary {
    /// What was asked for, in words, and the tier it was made with.
    pub asked: String,
    /// How it was made: "netem", "router" or "sockets".
    pub tier: Tier,
    /// Packets that entered it; zero where it carries no packets, as in all that follows.
    pub packets: u64,
    /// Packets that were lost on the way.
    pub lost: u64,
    /// Packets that found the buffer before it full.
    pub dropped: u64,
    /// CPU time inside the windows of what carried them, in nanoseconds.
    pub cpu: u64,
}

/// How a stopping rule ended a point.
///
/// Every look is a chance to stop because the blocks so far happen to agree, so intervals are
/// slightly narrower than their confidence says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stopping {
    /// What was looked at: a path below a strategy in this summary, such as `latency.p50`.
    pub measure: String,
    /// How far from its median an interval might reach, as a share of the median.
    pub precision: f64,
    /// Blocks that were run.
    pub blocks: u32,
    /// Blocks after which the point would have ended in any case.
    pub most_blocks: u32,
    /// How often the blocks so far were looked at: after each from the sixth on.
    pub looks: u32,
    /// Why the point was measured no further.
    pub reason: StopReason,
    /// How far the widest interval of any strategy reaches from its median, as a share of the
    /// median; `null` if one of them has no interval.
    pub within: Option<f64>,
}

/// How many times one strategy is another, paired block by block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The strategy.
    pub strategy: String,
    /// What it is compared with: the scenario's first strategy.
    pub baseline: String,
    /// What is compared: a path below the strategy in this summary, such as `latency.p99`.
    pub measure: String,
    /// Blocks in which both have the measure.
    pub blocks: u32,
    /// The median over blocks of strategy divided by baseline.
    pub ratio: f64,
    /// An interval of order statistics; `null` with fewer than six blocks.
    pub interval: Option<RatioInterval>,
    /// The chance of ratios as one-sided as these if neither were larger: the sign test over
    /// blocks, adjusted by Holm's procedure for all strategies compared in this measure.
    pub p_value: f64,
    /// How many times one of two identical strategies came to be the other on this machine: the
    /// noise floor of the measure, from an A/A control in this run or not long before it;
    /// `null` if that is not known.
    pub noise: Option<f64>,
    /// What may be said.
    pub difference: Difference,
}

/// An interval that holds the true median ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioInterval {
    /// Its least ratio.
    pub low: f64,
    /// Its greatest ratio.
    pub high: f64,
    /// How sure it is: at least 0.95.
    pub confidence: f64,
}

/// What one strategy took of each event beside another that was offered it at the same moment:
/// arms that ran at once, a cross-check of the ratios over blocks. Times are nanoseconds.
///
/// An event's latency is the mean over its subscribers; only events that every subscriber of
/// both strategies got are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    /// The strategy.
    pub strategy: String,
    /// What it is paired with: the scenario's first strategy.
    pub baseline: String,
    /// Blocks that both were measured in, in the same trial.
    pub blocks: u32,
    /// Events compared, over all blocks.
    pub events: u64,
    /// The median over blocks of each block's median difference: strategy less baseline.
    pub difference: i64,
    /// An interval of order statistics; `null` with fewer than six blocks.
    pub interval: Option<DifferenceInterval>,
    /// The share of the events that the strategy brought sooner.
    pub sooner: f64,
    /// Set where it contradicts the ratio of the medians over blocks.
    pub note: Option<String>,
}

/// An interval that holds the true median difference, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceInterval {
    /// Its least difference.
    pub low: i64,
    /// Its greatest difference.
    pub high: i64,
    /// How sure it is: at least 0.95.
    pub confidence: f64,
}

/// What may be said of two strategies in one measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The strategy has more of it than the baseline, at 5 % significance.
    Larger,
    /// The strategy has less of it than the baseline, at 5 % significance.
    Smaller,
    /// A difference no larger than that of two identical strategies on this machine.
    Noise,
    /// No difference can be told from chance.
    None,
    /// There are too few blocks to say, for so many strategies compared.
    Unknown,
}

/// What was measured of one strategy at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrategySummary {
    /// The name the scenario gives it.
    pub name: String,
    /// The mechanism.
    pub mechanism: String,
    /// Simulated subscribers.
    pub subscribers: u32,
    /// Settings, defaults included.
    pub settings: serde_json::Value,
    /// Blocks that were measured.
    pub blocks: u32,
    /// Blocks that were planned; with a stopping rule, those until it ended the point, or the
    /// most if it has not.
    pub blocks_planned: u32,
    /// What became of the events.
    pub events: Events,
    /// Usable minus due.
    pub latency: LatencySummary,
    /// How long subscribers' states were out of date; `null` if a block has no ledger.
    pub staleness: Option<StalenessSummary>,
    /// Emitted minus due: the harness's own lateness, part of every latency.
    pub lag: Lag,
    /// Exchanges, counted at the source's sockets inside the window.
    pub requests: Requests,
    /// Frames on a stream.
    pub messages: Messages,
    /// Connections.
    pub connections: Connections,
    /// Bytes on the source's sockets inside the window.
    pub bytes: WireBytes,
    /// CPU time inside the window; the pacer's is excluded.
    pub cpu: Cpu,
    /// Resident memory.
    pub memory: Memory,
    /// What theory expects.
    pub model: Option<Model>,
    /// What raw sockets allow, measured in the same processes and blocks; `null` if they were not.
    pub limit: Option<Limit>,
    /// What each fault of the scenario that befell it came to; absent if none did, or if a block
    /// has no ledger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<Recovery>,
}

/// What a fault came to, every time it happened in any block together. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// What went wrong, in words.
    pub fault: String,
    /// When it first began, after the trial's epoch.
    pub at: u64,
    /// How long it lasted each time.
    pub lasts: u64,
    /// How often it happened, all blocks together.
    pub times: u64,
    /// Deliveries due while it lasted.
    pub due: u64,
    /// Those of them of which no copy arrived, nor a later event that replaces them, where no more
    /// than the newest is promised.
    pub lost: u64,
    /// Deliveries lost likewise that were due behind its end, before the first that arrived again
    /// and before the next fault.
    #[serde(default)]
    pub lost_after: u64,
    /// Copies of them beyond the first.
    pub duplicated: u64,
    /// Those of them whose first copy came after a later event.
    pub reordered: u64,
    /// Those of them whose delivery the source gave up; what still waits for a retry in the end
    /// is lost and not given up. `null` if the source did not count it for each fault.
    #[serde(default)]
    pub dead_lettered: Option<u64>,
    /// From its end until everything due before that was usable, what was lost left out: the
    /// median time.
    pub consistent_after_p50: u64,
    /// The longest such time.
    pub consistent_after_max: u64,
    /// Mean age of the newest event that was known, from the beginning until then, and until an
    /// event due behind the end was usable.
    pub age_mean: u64,
    /// The greatest age.
    pub age_max: u64,
    /// The most deliveries that were due and not usable at once.
    pub missing_max: u64,
    /// Exchanges a second before the first fault; `null` if it began with the schedule.
    pub requests_before: Option<f64>,
    /// The most exchanges in any second of the ten behind its end, before the next fault; `null` if
    /// they were not counted over time, or the next begins within a second.
    pub requests_peak: Option<f64>,
}

/// What became of the deliveries due inside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Deliveries owed: events due in the window times subscribers.
    pub emitted: u64,
    /// Delivered at least once.
    pub delivered: u64,
    /// Never delivered, but replaced by a later event that was, where no more is promised.
    /// Coalesced events have no latency and are in no percentile.
    pub coalesced: u64,
    /// Never delivered otherwise. Lost events have no latency and are in no percentile.
    pub lost: u64,
    /// Copies beyond the first.
    pub duplicated: u64,
    /// First copies that arrived after a later event.
    pub reordered: u64,
}

/// A distribution of latency, in nanoseconds.
///
/// Quantiles are the median over blocks of each block's own quantile; a quantile is `null`
/// where a block holds fewer than ten events beyond it, or all blocks together fewer than ten
/// independent ones where events follow each other closely. The p-quantile of n values is the
/// least value that at least p·n of them do not exceed (nearest rank). Mean, least and greatest
/// are over all delivered events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencySummary {
    /// Delivered events.
    pub count: u64,
    /// How many independent events say as much, by the variance of the means of parts of each
    /// window, summed over the blocks; at most as many as there are distinct events. `null` where
    /// a block is too short to tell.
    pub effective: Option<u64>,
    /// Arithmetic mean.
    pub mean: Option<u64>,
    /// Least.
    pub min: Option<u64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90 % are at most this.
    pub p90: Option<u64>,
    /// 95 % are at most this.
    pub p95: Option<u64>,
    /// 99 % are at most this.
    pub p99: Option<u64>,
    /// 99.9 % are at most this.
    pub p999: Option<u64>,
    /// Greatest.
    pub max: Option<u64>,
    /// Confidence intervals over blocks.
    pub ci95: LatencyIntervals,
}

/// Confidence intervals of at least 95 % from order statistics over blocks; `null` with fewer
/// than six blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyIntervals {
    /// Of the median block's mean.
    pub mean: Option<[u64; 2]>,
    /// Of the median block's p50.
    pub p50: Option<[u64; 2]>,
    /// Of the median block's p99.
    pub p99: Option<[u64; 2]>,
}

/// How long subscribers' states were out of date inside the window, the mean over subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StalenessSummary {
    /// The share of the window in which an event was due that was not usable yet, nor a later
    /// one: the median over blocks.
    pub share: f64,
    /// A confidence interval over blocks of at least 95 %; `null` with fewer than six.
    pub ci95: Option<[f64; 2]>,
    /// Mean of now − due of the newest usable event, in nanoseconds, over all blocks; `null` if
    /// none was usable.
    pub age_mean: Option<u64>,
    /// The greatest such age.
    pub age_max: Option<u64>,
}

/// The harness's own lateness, in nanoseconds, each event counted once, all blocks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lag {
    /// Median.
    pub p50: Option<u64>,
    /// 99 % are at most this.
    pub p99: Option<u64>,
    /// Greatest.
    pub max: Option<u64>,
}

/// Exchanges inside the window by outcome, summed over the blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// All of them.
    pub total: u64,
    /// Carried at least one event.
    pub useful: u64,
    /// Carried no event.
    pub empty: u64,
    /// Answered 304.
    pub not_modified: u64,
    /// Answered 429.
    pub rate_limited: u64,
    /// From a trial's start to its first answer of 429, the least of all blocks, in nanoseconds.
    pub first_rate_limited: Option<u64>,
    /// Requests that were not refused, as a share of those that the rate limit allows in the
    /// windows; the burst can take it above 1. `null` without a limit.
    pub quota_used: Option<f64>,
    /// Opened a stream of events.
    pub streams: u64,
    /// Carry no event by their nature, such as registering a webhook or fetching a token.
    pub overhead: u64,
    /// Failed otherwise.
    pub failed: u64,
    /// Of the failed, those refused for want of right credentials, by either side.
    pub denied: u64,
    /// Of the total, repeats of an earlier attempt.
    pub retried: u64,
    /// Polls that were due and never sent, because the one before was still under way; not
    /// part of the total.
    pub beats_missed: u64,
    /// Deliveries to webhooks that were given up, each event of each subscriber; not part of the
    /// total.
    pub dead_lettered: u64,
    /// Total divided by delivered events.
    pub per_event: Option<f64>,
}

/// Frames on streams inside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// All of them.
    pub total: u64,
}

/// Connections of the strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Opened over the whole of every trial, set-up included.
    pub opened: u64,
    /// TLS handshakes the source finished, resumed ones included.
    pub handshakes: u64,
    /// TLS handshakes that resumed an earlier session.
    pub resumed: u64,
    /// What the first handshake agreed on: version, cipher suite and key exchange.
    pub tls: Option<String>,
}

/// Bytes on the source's sockets inside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WireBytes {
    /// Towards the source.
    pub to_source: u64,
    /// From the source.
    pub from_source: u64,
    /// Both directions divided by delivered events.
    pub per_event: Option<f64>,
}

/// CPU time in nanoseconds inside the window, summed over the blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// The strategy's lane of the source.
    pub source: u64,
    /// The subscribers' process; `null` if it was killed, as its count ended with it.
    pub subscriber: Option<u64>,
    /// Both divided by delivered events, rounded.
    pub per_event: Option<u64>,
    /// What the lane would have used over the windows had there been nothing to do: what it used
    /// in a quiet span before each trial's schedule, made as long as the window. `null` where
    /// there was no such span.
    pub idle_source: Option<u64>,
    /// The same of the subscribers' process.
    pub idle_subscriber: Option<u64>,
    /// Both sides above their idle baselines, divided by delivered events, rounded.
    pub per_event_above_idle: Option<u64>,
}

/// Largest resident memory of any block, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The source process, which holds every lane.
    pub source_peak: u64,
    /// The subscribers' process.
    pub subscriber_peak: u64,
    /// Lanes that shared the source process; above one, `source_peak` is not this strategy's alone.
    pub source_lanes: u32,
}

/// What theory expects under the measured conditions; `null` where it claims nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Mean latency.
    pub latency_mean: Option<u64>,
    /// Median latency.
    pub latency_p50: Option<u64>,
    /// 99th percentile of latency.
    pub latency_p99: Option<u64>,
    /// Exchanges inside the windows of all blocks.
    pub requests: Option<f64>,
    /// Exchanges that carry no event.
    pub empty: Option<f64>,
    /// Every figure the form claims, beside the measured one.
    pub claims: Vec<ModelClaim>,
    /// Whether the measurement agrees; `null` where the sample is too small to say.
    pub agrees: Option<bool>,
    /// What the form is and where the measurement stands.
    pub note: String,
}

/// One figure that a closed form claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelClaim {
    /// What is claimed: a path below the strategy in this summary, such as `latency.p99`.
    /// Latencies are nanoseconds; counts are those of all blocks.
    pub quantity: String,
    /// What theory expects.
    pub expected: f64,
    /// What was measured; `null` if the sample is too small to state it.
    pub measured: Option<f64>,
    /// Where an expectation agrees with what was measured, given chance, timers and scheduling;
    /// `null` where the sample is too small to say.
    pub interval: Option<[f64; 2]>,
    /// Whether it does.
    pub agrees: Option<bool>,
}

/// The physical limit: what raw TCP sockets took between the processes of the same trials, and
/// what the strategy took beyond it. All times are nanoseconds.
///
/// Medians are medians over blocks of each block's own; intervals are of at least 95 %, from order
/// statistics over blocks, and `null` with fewer than six of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Blocks in which raw sockets were measured.
    pub blocks: u32,
    /// One way on a connection that is kept, from the start of the write to the end of the read.
    pub one_way_p50: u64,
    /// The same until a short answer has been read.
    pub round_trip_p50: u64,
    /// One way on a connection of its own, from the start of the connect.
    pub new_connection_p50: u64,
    /// The median that the mechanism would have if its exchanges were raw ones, injected distance
    /// included; `null` without a closed form.
    pub latency_p50: Option<u64>,
    /// The strategy's own median, usable minus emitted: latency without the harness's lag; `null`
    /// where it is not known.
    pub delivery_p50: Option<u64>,
    /// `delivery_p50` less `latency_p50`, taken block by block.
    pub overhead_p50: Option<i64>,
    /// The interval of `overhead_p50`.
    pub overhead_ci95: Option<[i64; 2]>,
    /// `delivery_p50` over `latency_p50`, taken block by block.
    pub ratio: Option<f64>,
    /// The interval of `ratio`.
    pub ratio_ci95: Option<[f64; 2]>,
    /// What chance alone may add to the median of so many waits: an overhead that is smaller, to
    /// either side, is none. Zero where no event waits by design.
    pub noise: Option<u64>,
    /// A median below this is impossible: the quickest raw transfer of all blocks, and what chance
    /// may take off waits.
    pub floor: Option<u64>,
}

/// What the objective of a scenario comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What a strategy must keep to be chosen, as written, such as `latency.p99 < 1s`.
    pub require: Vec<String>,
    /// The measure of which the least is wanted; `null` if only requirements were given.
    pub minimise: Option<String>,
    /// One entry for each of the summary's points, in their order.
    pub points: Vec<PointDecision>,
    /// Where, along a swept parameter, the strategy with the least of `minimise` changes.
    pub crossovers: Vec<Crossover>,
    /// How it was searched for; `null` if every point of the sweep was to be measured.
    pub searched: Option<Searched>,
    /// What came out of all points, in one sentence.
    pub sentence: String,
}

/// A search along a swept parameter, of whose values only those were measured that it needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Searched {
    /// The parameter.
    pub parameter: String,
    /// Points of the sweep.
    pub points: u32,
    /// Points that lay between two at which the same strategy had the least of `minimise`, and
    /// were left out.
    pub left_out: u32,
}

/// What the objective comes to at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointDecision {
    /// The swept parameters of the point.
    pub parameters: BTreeMap<String, String>,
    /// How each strategy stands, in the scenario's order.
    pub strategies: Vec<Standing>,
    /// Which strategy is chosen.
    pub choice: Choice,
}

/// How one strategy stands to the objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The strategy.
    pub strategy: String,
    /// Whether it keeps every requirement: `missed` if one is missed, else `not-measured` or
    /// `undecided` if one is, else `met`.
    pub status: Judgement,
    /// Every requirement, in order.
    pub requirements: Vec<RequirementResult>,
    /// What it has of the measure that is minimised; `null` if it was not measured, or nothing is
    /// minimised.
    pub minimised: Option<Estimate>,
}

/// Whether a strategy keeps one requirement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementResult {
    /// The requirement as written.
    pub requirement: String,
    /// The measure it is about, such as `latency.p99`.
    pub measure: String,
    /// Whether it is kept.
    pub status: Judgement,
    /// The figure that was judged; `null` if it was not measured.
    pub measured: Option<Estimate>,
    /// What else is to be known, if anything.
    pub note: Option<String>,
}

/// A figure with how surely it is known. Times are nanoseconds, sizes bytes, shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The median over blocks, or what was counted in all of them.
    pub value: f64,
    /// An interval of order statistics over blocks; with fewer than six of them from the least to
    /// the greatest. `null` of what was counted and is no estimate.
    pub interval: Option<[f64; 2]>,
    /// How sure the interval is: at least 0.95 from six blocks on, less with fewer, 0 with one.
    pub confidence: Option<f64>,
    /// Blocks that have the figure.
    pub blocks: u32,
}

/// Which strategy is chosen at a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What kind of answer this is.
    pub status: ChoiceStatus,
    /// The strategy with the least of what is minimised among those that keep every requirement;
    /// `null` if there is none.
    pub strategy: Option<String>,
    /// Others that keep every requirement and cannot be told from it in what is minimised.
    pub cannot_be_told_from: Vec<String>,
    /// Others of which it is open whether they keep every requirement, and that are not measurably
    /// worse than it in what is minimised.
    pub may_be_better: Vec<String>,
    /// By how much it is better than each of the others that keep, or may keep, every requirement.
    pub advantages: Vec<Advantage>,
    /// The answer in one sentence.
    pub sentence: String,
}

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChoiceStatus {
    /// One strategy keeps every requirement, and is better than all others that do or may.
    Chosen,
    /// Several keep every requirement and cannot be told apart.
    Tied,
    /// It is open: too few blocks, or a strategy that may keep every requirement may be better.
    Undecided,
    /// Every strategy misses a requirement.
    NoneMeets,
    /// The run is invalid, and nothing is decided by it.
    Withheld,
}

/// By how much the chosen strategy is better than another, in what is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Advantage {
    /// The other strategy.
    pub over: String,
    /// Blocks in which both have the figure.
    pub blocks: u32,
    /// The median over blocks of the other's figure less the chosen one's.
    pub saving: f64,
    /// Its interval over blocks, of at least 95 %; `null` with fewer than six blocks.
    pub saving_ci95: Option<[f64; 2]>,
    /// The median over blocks of the chosen strategy's figure divided by the other's; `null` if
    /// the other has none of it in some block.
    pub ratio: Option<f64>,
    /// Its interval over blocks, of at least 95 %; `null` with fewer than six blocks.
    pub ratio_ci95: Option<[f64; 2]>,
    /// The chance of differences as one-sided as these if neither were better: the sign test over
    /// blocks, adjusted by Holm's procedure for all strategies the chosen one is compared with.
    pub p_value: f64,
    /// What may be said of the other strategy beside the chosen one.
    pub difference: Difference,
}

/// Where the strategy with the least of a measure changes, along one swept parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crossover {
    /// The swept parameter, such as `events.rate`.
    pub parameter: String,
    /// What its values are counted in: `per-second`, `nanoseconds`, `bytes` or `number`.
    pub unit: ParameterUnit,
    /// The other swept parameters, which are the same along the line.
    pub held: BTreeMap<String, String>,
    /// The measure in which the two are equal at the crossover.
    pub measure: String,
    /// The strategy that has less of it at smaller values of the parameter.
    pub below: String,
    /// The strategy that has less of it at larger values.
    pub above: String,
    /// The two neighbouring values that were measured, between which the medians over blocks
    /// cross.
    pub between: [f64; 2],
    /// The median over blocks of each block's own crossover, by interpolation on logarithmic
    /// scales. Along `events.rate` a block is put at the rate that it really had.
    pub value: f64,
    /// Its interval of order statistics over blocks; `null` with fewer than six blocks, or where
    /// it reaches beyond the values that were measured.
    pub interval: Option<[f64; 2]>,
    /// How sure the interval is: at least 0.95.
    pub confidence: Option<f64>,
    /// Blocks that were interpolated.
    pub blocks: u32,
    /// Blocks that do not cross anywhere along the line.
    pub blocks_without: u32,
    /// What closed forms say of the same two strategies; `null` where they say nothing.
    pub break_even: Option<BreakEven>,
    /// Events that were due between two polls at the crossover, λT; `null` unless one of the two
    /// polls at fixed intervals.
    pub load: Option<Load>,
    /// What else is to be known, if anything.
    pub note: Option<String>,
    /// All of it in one sentence.
    pub sentence: String,
}

/// Events that were due between two polls, from the numbers that chance gave to each block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The median over blocks.
    pub value: f64,
    /// From the least to the greatest value that is not ruled out; `null` without six blocks.
    pub interval: Option<[f64; 2]>,
}

/// Where closed forms put a crossover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakEven {
    /// The value of the parameter.
    pub value: f64,
    /// Whether it lies in the interval of the measured one; `null` without an interval.
    pub agrees: Option<bool>,
    /// How it follows, in words.
    pub words: String,
}

/// Whether an expectation holds at a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdResult {
    /// What was expected, as written.
    pub expect: String,
    /// The swept parameters of the point.
    pub parameters: BTreeMap<String, String>,
    /// The strategy.
    pub strategy: String,
    /// The measure, such as `latency.p99`.
    pub measure: String,
    /// Whether it is certain to hold: whether `status` is `met`.
    pub passed: bool,
    /// Whether it holds.
    pub status: Judgement,
    /// The figure that was judged; `null` if it was not measured.
    pub measured: Option<Estimate>,
    /// The outcome in one sentence.
    pub sentence: String,
}

/// What strategies cost in a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// What amounts are in, as the scenario calls it.
    pub currency: String,
    /// Hours of a month.
    pub hours: f64,
    /// One entry for each of the summary's points, in their order.
    pub points: Vec<PointCosts>,
    /// What the figures rest on, in sentences.
    pub assumptions: Vec<String>,
}

/// What strategies cost at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointCosts {
    /// The swept parameters of the point.
    pub parameters: BTreeMap<String, String>,
    /// Every strategy, in the scenario's order.
    pub strategies: Vec<StrategyCosts>,
}

/// What one strategy costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrategyCosts {
    /// The strategy.
    pub strategy: String,
    /// As it was measured, by its closed form where there is one, and extrapolated to each number
    /// of subscribers that the scenario asks for. Empty if nothing was measured.
    pub bills: Vec<Bill>,
}

/// What a strategy costs in a month with so many subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bill {
    /// Where the figures come from.
    pub basis: Basis,
    /// Subscribers.
    pub subscribers: u64,
    /// What the source pays.
    pub source: SideBill,
    /// What all subscribers pay together.
    pub subscriber: SideBill,
    /// Both sides.
    pub total: f64,
    /// The interval of the total over blocks; with fewer than six of them from the least to the
    /// greatest. `null` of what was not measured.
    pub interval: Option<[f64; 2]>,
    /// How sure the interval is.
    pub confidence: Option<f64>,
}

/// What one side pays in a month; `null` without a price, or where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideBill {
    /// For exchanges.
    pub requests: Option<f64>,
    /// For bytes that it sends.
    pub bytes: Option<f64>,
    /// For CPU time.
    pub cpu: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Measured: what each second of the window took.
    Measured,
    /// By a closed form.
    Modelled,
    /// Measured figures carried beyond what was measured.
    Extrapolated,
}
