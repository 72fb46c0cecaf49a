//! Two runs beside each other: the same scenario on two machines, or by two versions.
//!
//! Strategies of a point are compared within a run block by block; blocks of two runs are not
//! paired, so here every block of one run meets every block of the other.

mod alike;
mod gate;
mod receipt;

pub use gate::{Gate, GateError, GateOutcome, GateResult};
pub use receipt::{Headline, HeadlineOutcome, RECEIPT_SCHEMA, Receipt, ReceiptOutcome, Tolerance};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use self::alike::{differences, incomparable};
use super::analyse::{AnalysisError, gather_all};
use super::blocks::middle;
use super::evidence::{Evidence, PointEvidence, StrategyEvidence};
use super::measure::of_block;
use super::noise;
use super::summary::{Difference, RatioInterval, Tool, Verdict, VerdictStatus};
use super::two_samples::{Nulls, Ratio};
use super::validity;
use crate::measure::Measure;
use crate::record::environment::Environment;
use crate::record::manifest::Manifest;
use crate::record::noise_floor::NoiseFloor;
use crate::record::run::Run;

/// The version of [`RunComparison`].
pub const COMPARISON_SCHEMA: &str = "pollpush/comparison/1";

/// How sure an interval must be, and the complement of the chance of a false difference.
const CONFIDENCE: f64 = 0.95;

/// A run as it is compared: all its blocks, and whether it may be used.
#[derive(Clone, Debug)]
pub struct ComparedRun {
    manifest: Manifest,
    evidence: Evidence,
    scenario: String,
    /// May the result be used?
    pub verdict: Verdict,
    /// Whether the run reached its planned end.
    pub complete: bool,
    noise_floor: Option<NoiseFloor>,
}

impl ComparedRun {
    /// Reads all blocks of a run.
    ///
    /// # Errors
    ///
    /// When files are damaged or records do not belong to the manifest.
    pub fn of(run: &Run) -> Result<ComparedRun, AnalysisError> {
        let (evidence, _) = gather_all(run)?;
        let own = noise::measured(&run.manifest, &noise::pairs(&evidence));
        let strategies = || evidence.points.iter().flat_map(|point| &point.strategies);
        Ok(ComparedRun {
            verdict: validity::judge(&evidence),
            complete: strategies().all(|strategy| strategy.unended == 0),
            noise_floor: own.or_else(|| evidence.noise_floor.clone()),
            manifest: run.manifest.clone(),
            scenario: run.scenario.clone(),
            evidence,
        })
    }

    /// A sample of so many blocks at two points, for tests of reports.
    #[cfg(test)]
    pub(crate) fn of_sample(folder: &std::path::Path, blocks: u32) -> ComparedRun {
        use crate::record::sample::Sample;
        let sample = Sample { blocks, rates: vec![20, 40], ..Sample::default() };
        let path = sample.write(folder).expect("written");
        ComparedRun::of(&Run::open(&path).expect("opened")).expect("analysed")
    }

    fn label(&self) -> RunLabel {
        let Manifest { run_id, title, started, seed, tool, environment, .. } = &self.manifest;
        let blocks = self.evidence.points.iter().flat_map(|point| &point.strategies);
        RunLabel {
            run_id: run_id.clone(),
            title: title.clone(),
            started: *started,
            tool: Tool { version: tool.version.clone(), commit: tool.commit.clone() },
            verdict: self.verdict.status,
            blocks: blocks.map(|strategy| strategy.summary.blocks).min().unwrap_or(0),
            seed: *seed,
            environment: environment.clone(),
        }
    }
}

/// Which run it is, and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunLabel {
    /// Identifies the run.
    pub run_id: String,
    /// The scenario's title.
    pub title: String,
    /// When it started.
    pub started: Timestamp,
    /// The program that made it.
    pub tool: Tool,
    /// May it be used?
    pub verdict: VerdictStatus,
    /// The fewest blocks that a strategy was measured in.
    pub blocks: u32,
    /// The seed everything random derives from.
    pub seed: u64,
    /// The machine.
    pub environment: Environment,
}

/// Two runs, measure by measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunComparison {
    /// Always `pollpush/comparison/1`.
    pub schema: &'static str,
    /// The run that is divided by.
    pub first: RunLabel,
    /// The run that is divided.
    pub second: RunLabel,
    /// Why the runs cannot be compared; if there is anything, the comparison was forced, and says
    /// nothing about cause.
    pub incomparable: Vec<String>,
    /// What else differs: machine, version, seed, number of blocks.
    pub differences: Vec<String>,
    /// Every measure of every strategy at every point that both runs have.
    pub changes: Vec<Change>,
}

/// How many times a strategy's measure in the second run is that in the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The swept parameters of the point; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// The strategy.
    pub strategy: String,
    /// What is compared.
    pub measure: Measure,
    /// Blocks of the first and of the second run that have the measure.
    pub blocks: [u32; 2],
    /// Medians over the blocks of the first and of the second run. Times are nanoseconds.
    pub medians: [f64; 2],
    /// The Hodges–Lehmann ratio: the median of all ratios of a block of the second run to a block
    /// of the first.
    pub ratio: f64,
    /// An interval of it of at least 95 %; `null` with too few blocks.
    pub interval: Option<RatioInterval>,
    /// The chance of blocks as one-sided as these if neither run had more: the exact Mann–Whitney
    /// test, adjusted by Holm's procedure for everything that is compared in this measure.
    pub p_value: f64,
    /// How many times one of two identical strategies came to be the other on one of the machines,
    /// the larger of both; `null` if that is not known.
    pub noise: Option<f64>,
    /// What may be said.
    pub difference: Difference,
    /// What the interval was made from.
    #[serde(skip)]
    samples: Ratio,
}

/// Why two runs are not compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// They measured different things, or one of them nothing that may be used.
    #[error("the runs are not comparable: {}", .0.join("; "))]
    Incomparable(Vec<String>),
    /// They have nothing in common, so that there is nothing to force either.
    #[error("the runs have no strategy at any point in common: {}", .0.join("; "))]
    NothingInCommon(Vec<String>),
}

/// Compares two runs: the second divided by the first.
///
/// # Errors
///
/// When they measured different things, unless `force` is set; always when they have nothing in
/// common.
pub fn compare(
    first: &ComparedRun,
    second: &ComparedRun,
    force: bool,
) -> Result<RunComparison, CompareError> {
    let mut incomparable = incomparable(&first.manifest, &second.manifest);
    let runs = [("first", first), ("second", second)];
    incomparable.extend(runs.into_iter().filter_map(|(which, run)| unusable(which, run)));
    if !incomparable.is_empty() && !force {
        return Err(CompareError::Incomparable(incomparable));
    }
    let mut nulls = Nulls::default();
    let mut changes = Vec::new();
    for measure in Measure::COMPARED {
        let mut family = changes_in(measure, first, second, &mut nulls);
        adjust(&mut family);
        changes.extend(family);
    }
    if changes.is_empty() {
        return Err(CompareError::NothingInCommon(incomparable));
    }
    let order = places(first);
    changes.sort_by_key(|change| order.get(&place(&change.parameters, &change.strategy)).copied());
    Ok(RunComparison {
        schema: COMPARISON_SCHEMA,
        first: first.label(),
        second: second.label(),
        incomparable,
        differences: differences(first, second),
        changes,
    })
}

/// Why a run's numbers must not be used at all.
fn unusable(which: &str, run: &ComparedRun) -> Option<String> {
    if run.verdict.status == VerdictStatus::Invalid {
        Some(format!("the {which} run is invalid, and its numbers must not be used"))
    } else {
        (!run.complete).then(|| format!("the {which} run is incomplete"))
    }
}

type Place = (BTreeMap<String, String>, String);

fn place(parameters: &BTreeMap<String, String>, strategy: &str) -> Place {
    (parameters.clone(), strategy.to_owned())
}

/// Where each strategy stands in a run: point by point, in the scenario's order.
fn places(run: &ComparedRun) -> BTreeMap<Place, usize> {
    let all = run.evidence.points.iter().flat_map(|point| {
        point.strategies.iter().map(|one| place(&point.parameters, &one.summary.name))
    });
    all.zip(0..).collect()
}

/// A measure of every strategy that both runs have, at every point that both have.
fn changes_in(
    measure: Measure,
    first: &ComparedRun,
    second: &ComparedRun,
    nulls: &mut Nulls,
) -> Vec<Change> {
    let mut found = Vec::new();
    for point in &first.evidence.points {
        let same = |other: &&PointEvidence| other.parameters == point.parameters;
        let Some(other) = second.evidence.points.iter().find(same) else { continue };
        for strategy in &point.strategies {
            let named = |other: &&StrategyEvidence| other.summary.name == strategy.summary.name;
            let Some(other) = other.strategies.iter().find(named) else { continue };
            let Some(change) = change(measure, point, [strategy, other], nulls) else { continue };
            let floors = [first, second].map(|run| floor(run, measure));
            let noise = floors.into_iter().flatten().max_by(f64::total_cmp);
            found.push(Change { noise, ..change });
        }
    }
    found
}

fn floor(run: &ComparedRun, measure: Measure) -> Option<f64> {
    run.noise_floor.as_ref()?.factors.get(measure.name()).copied()
}

fn change(
    measure: Measure,
    point: &PointEvidence,
    strategies: [&StrategyEvidence; 2],
    nulls: &mut Nulls,
) -> Option<Change> {
    let values = strategies.map(|strategy| {
        strategy
            .blocks
            .iter()
            .filter_map(|block| of_block(measure, block, None))
            .collect::<Vec<f64>>()
    });
    let samples = nulls.ratio(&values[0], &values[1])?;
    let interval = nulls.interval(&samples, CONFIDENCE);
    let medians = [middle(&values[0])?.median, middle(&values[1])?.median];
    Some(Change {
        parameters: point.parameters.clone(),
        strategy: strategies[0].summary.name.clone(),
        measure,
        blocks: values.map(|values| u32::try_from(values.len()).unwrap_or(u32::MAX)),
        medians,
        ratio: samples.median,
        interval: interval.map(|(low, high, confidence)| RatioInterval { low, high, confidence }),
        p_value: samples.p_value,
        noise: None,
        difference: Difference::Unknown,
        samples,
    })
}

/// Holm's procedure over everything that is compared in a measure, and what may be said of it.
fn adjust(family: &mut [Change]) {
    let mut order: Vec<usize> = (0..family.len()).collect();
    order.sort_by(|a, b| family[*a].p_value.total_cmp(&family[*b].p_value));
    let compared = family.len() as f64;
    // No change may come out surer than one with a smaller p-value.
    let mut least = 0.0_f64;
    for (place, remaining) in order.into_iter().zip((1..=family.len()).rev()) {
        let change = &mut family[place];
        least = least.max((change.p_value * remaining as f64).min(1.0));
        change.p_value = least;
        // However one-sided so few blocks were, they could not show a difference.
        let decidable = change.samples.least_p_value * compared < 1.0 - CONFIDENCE;
        let larger = change.ratio.max(change.ratio.recip());
        change.difference = if change.interval.is_none() || !decidable {
            Difference::Unknown
        } else if least >= 1.0 - CONFIDENCE {
            Difference::None
        } else if change.noise.is_some_and(|noise| larger <= noise) {
            Difference::Noise
        } else if change.ratio > 1.0 {
            Difference::Larger
        } else {
            Difference::Smaller
        };
    }
}

impl RunComparison {
    /// Whether it was made although the runs are not comparable.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        !self.incomparable.is_empty()
    }

    /// The strategies that are compared.
    #[must_use]
    pub fn strategies(&self) -> BTreeSet<&str> {
        self.changes.iter().map(|change| change.strategy.as_str()).collect()
    }
}

#[cfg(test)]
mod tests;
