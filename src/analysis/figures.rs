//! What charts are drawn from: curves that do not fit into the summary.

use std::collections::BTreeMap;

use crate::measure::Measure;

/// The curves of one point, one entry a strategy, in the order of the summary's strategies.
#[derive(Clone, Debug, PartialEq)]
pub struct PointFigures {
    /// The swept parameters, as written in the scenario; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// Time before the measured window, in nanoseconds. What is due in it is in the timelines
    /// only, and excluded from every other figure.
    pub warm_up: u64,
    /// Warm-up and window together, in nanoseconds.
    pub end: u64,
    /// The strategies' curves.
    pub strategies: Vec<StrategyFigures>,
}

/// The curves of one strategy. Latencies are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StrategyFigures {
    /// The name the scenario gives it.
    pub name: String,
    /// Points (latency, share of emitted events that are usable by then) in rising order, at
    /// most a few hundred, pooled over the blocks. Lost events keep it below one.
    pub ecdf: Vec<(u64, f64)>,
    /// The closed form's curve (latency, share of delivered events), if the form claims one.
    pub ecdf_model: Option<Vec<(u64, f64)>>,
    /// The share of emitted events that the closed form expects to be delivered.
    pub delivered_model: f64,
    /// Points (quantile below one, latency) in rising order, as far as the sample supports.
    /// Defined as in the summary: the median over blocks of each block's own quantile.
    pub percentiles: Vec<(f64, u64)>,
    /// Latency over the time at which events were due, warm-up included, pooled over the blocks.
    pub timeline: Vec<TimelineBin>,
    /// Where latency changed although the warm-up was over, if it did, in nanoseconds after the
    /// trial's epoch. What came before is *not* excluded: the check `warm-up` warns of it.
    pub unsettled: Option<u64>,
    /// When something went wrong for it, as the scenario has it, in nanoseconds after the trial's
    /// epoch: the first moment, and the first one after it.
    pub incidents: Vec<[u64; 2]>,
    /// What its subscribers knew and missed over time; empty unless something went wrong for it
    /// and every event was kept.
    pub course: CourseOfTime,
    /// Latency less that of the first strategy, event by event: (share of events, difference)
    /// in rising order, each the median over blocks of the block's own quantile, as far as every
    /// block supports it. Empty for the first strategy, and unless they ran side by side.
    pub differences: Vec<(f64, i64)>,
    /// Measures over the blocks, as far as they are known.
    pub over_blocks: Vec<OverBlocks>,
}

/// A measure of a strategy over the blocks of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverBlocks {
    /// What is measured. Times are nanoseconds, sizes bytes.
    pub measure: Measure,
    /// The median block's value.
    pub median: f64,
    /// A confidence interval of the median of at least 95 %; `None` with fewer than six blocks.
    pub interval: Option<[f64; 2]>,
}

/// The latencies of events due in one stretch of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineBin {
    /// Middle of the stretch, in nanoseconds after the trial's epoch. Stretches in which
    /// nothing was due are left out.
    pub at: u64,
    /// Median latency, to three significant digits.
    pub p50: u64,
    /// Greatest latency.
    pub max: u64,
}

/// How old what subscribers knew was, what they missed and what was asked of the network, over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CourseOfTime {
    /// Points of time, in nanoseconds after the trial's epoch.
    pub at: Vec<u64>,
    /// The age of the newest usable event, in nanoseconds, a point of time each, the mean over
    /// subscribers; before the first one, the time since the epoch.
    pub age: Vec<f64>,
    /// Events that were due and not usable, a point of time each, the mean over subscribers: those
    /// that are late, and those that will never come.
    pub missing: Vec<f64>,
    /// Exchanges a second, failed ones and retries included, of all subscribers together: those of
    /// the second before each point of time, or of all time since the last one where that is longer.
    /// As far as they were counted over time, which may be not at all.
    pub requests: Vec<f64>,
}
