//! From a run folder to its summary and figures.

use super::conditions::conditions;
use super::costs::costs;
use super::decide::Judge;
use super::evidence::{Evidence, PlannedBlocks, PointEvidence, gather};
use super::figures::PointFigures;
use super::noise;
use super::paired::{Pairing, paired};
use super::precision::stopping;
use super::provenance::Provenance;
use super::ratios::comparisons;
use super::summary::{
    PointSummary, SUMMARY_SCHEMA, ScenarioSummary, Summary, ThresholdResult, Tool, VerdictStatus,
};
use super::thresholds::thresholds;
use super::validity;
use crate::aim::Expectation;
use crate::digest::sha256;
use crate::record::error::RecordError;
use crate::record::manifest::PlannedPoint;
use crate::record::noise_floor::NoiseFloor;
use crate::record::run::Run;
use crate::record::trial::{Outcome, TrialRecord};
use crate::units::nanoseconds;

/// What a run means.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The result, as in `summary.json`.
    pub summary: Summary,
    /// Curves for charts, one entry a point, in the summary's order.
    pub figures: Vec<PointFigures>,
    /// When, on which machine and with what settings it was made.
    pub provenance: Provenance,
    /// How far apart two identical strategies of the run came, if it may be used and holds two.
    pub noise_floor: Option<NoiseFloor>,
    /// What was asked of the run besides, and is no part of it.
    pub asked: Vec<ThresholdResult>,
}

/// Why a run cannot be analysed. A run that went badly can: its verdict then says so.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// A ledger or histogram cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record belongs to nothing the manifest planned.
    #[error(
        "trial {trial} of `{strategy}` was not planned: {why}; the run folder was edited or mixed \
         with another"
    )]
    Unplanned {
        /// The trial.
        trial: u32,
        /// The strategy's name.
        strategy: String,
        /// What does not fit.
        why: &'static str,
    },
    /// Two measured trials claim to be the same block.
    #[error(
        "`{strategy}` has two measured trials of block {block} at the same point; the run folder \
         was edited or mixed with another"
    )]
    Twice {
        /// The strategy's name.
        strategy: String,
        /// The block, counted from one.
        block: u32,
    },
}

/// How a manifest says that strategies shared a source.
const SIDE_BY_SIDE: &str = "side-by-side";

/// Analyses a run: every point, strategy and block it planned, measured or not.
///
/// # Errors
///
/// When files are damaged or records do not belong to the manifest.
pub fn analyse(run: &Run) -> Result<Analysis, AnalysisError> {
    analyse_asked(run, &[])
}

/// The same, with expectations that the run's scenario does not have.
///
/// # Errors
///
/// As [`analyse`].
pub fn analyse_asked(run: &Run, asked: &[Expectation]) -> Result<Analysis, AnalysisError> {
    let (evidence, mut figures) = gather_all(run)?;
    let verdict = validity::judge(&evidence);
    validity::mark_unsettled(&evidence, &mut figures);
    let measured = noise::measured(&run.manifest, &noise::pairs(&evidence));
    // The run's own control is the nearest.
    let floor = measured.as_ref().or(evidence.noise_floor.as_ref());
    let complete = evidence
        .points
        .iter()
        .flat_map(|point| &point.strategies)
        .all(|strategy| strategy.unended == 0);
    let aims = &run.manifest.aims;
    let prices = aims.prices.as_ref();
    let sound = verdict.status != VerdictStatus::Invalid;
    let planned: Vec<&PlannedPoint> =
        run.manifest.searched_points().map(|(_, point)| point).collect();
    let decision = Judge::of(aims, floor, sound)
        .map(|judge| judge.decide(&evidence, &planned, run.manifest.points.len()));
    let costs = prices.map(|prices| costs(&evidence, prices));
    let [expected, asked] = [&aims.thresholds[..], asked]
        .map(|expectations| thresholds(expectations, &evidence, prices));
    let conditions = run.manifest.searched_points().map(|(index, point)| {
        conditions(point, run.records.iter().filter(|record| record.point == index))
    });
    let points = evidence.points.into_iter().zip(conditions).map(|(point, conditions)| {
        let mut comparisons = comparisons(&point.strategies);
        if let Some(floor) = floor {
            noise::judge(&mut comparisons, floor);
        }
        PointSummary {
            parameters: point.parameters,
            paired: paired(&point.strategies, &comparisons),
            comparisons,
            strategies: point.strategies.into_iter().map(|strategy| strategy.summary).collect(),
            stopping: match point.blocks {
                PlannedBlocks::Stopped(stopping) => Some(stopping),
                PlannedBlocks::Fixed | PlannedBlocks::Open => None,
            },
            conditions,
        }
    });
    let manifest = &run.manifest;
    let summary = Summary {
        schema: SUMMARY_SCHEMA.to_owned(),
        run_id: manifest.run_id.clone(),
        tool: Tool { version: manifest.tool.version.clone(), commit: manifest.tool.commit.clone() },
        scenario: ScenarioSummary {
            title: manifest.title.clone(),
            question: manifest.question.clone(),
            sha256: sha256(run.scenario.as_bytes()),
        },
        complete,
        verdict,
        points: points.collect(),
        decision,
        thresholds: expected,
        costs,
    };
    let noise_floor = measured.filter(|_| sound);
    Ok(Analysis { summary, figures, provenance: Provenance::of(run), noise_floor, asked })
}

/// The evidence and figures of every planned point and strategy.
pub(crate) fn gather_all(run: &Run) -> Result<(Evidence, Vec<PointFigures>), AnalysisError> {
    run.records.iter().try_for_each(|record| refuse_unplanned(run, record))?;
    let mut evidence = Evidence {
        points: Vec::new(),
        changed: run.verify_evidence()?.iter().map(ToString::to_string).collect(),
        injected: run.manifest.injected,
        noise_floor: run.manifest.noise_floor.clone(),
    };
    let mut figures = Vec::new();
    for (index, point) in run.manifest.searched_points() {
        let mut strategies = Vec::new();
        let mut drawn = PointFigures {
            parameters: point.parameters.clone(),
            warm_up: nanoseconds(point.workload.warm_up),
            end: nanoseconds(point.workload.warm_up + point.workload.window),
            strategies: Vec::new(),
        };
        let paired = run.manifest.layout == SIDE_BY_SIDE && point.strategies.len() > 1;
        let mut pairing = paired.then(Pairing::default);
        for strategy in &point.strategies {
            let of_strategy = |record: &&TrialRecord| {
                record.point == index && record.strategy.name == strategy.name
            };
            let records: Vec<&TrialRecord> = run.records.iter().filter(of_strategy).collect();
            refuse_twice(&records)?;
            let planned = run.manifest.blocks_of(index);
            let gathered = gather(run, point, strategy, &records, planned, pairing.as_mut())?;
            let (strategy, curves) = gathered;
            strategies.push(strategy);
            drawn.strategies.push(curves);
            pairing.iter_mut().for_each(Pairing::next_strategy);
        }
        let blocks = match stopping(&run.manifest, index, &strategies) {
            Some(stopping) => PlannedBlocks::Stopped(stopping),
            None if run.manifest.stopping.is_some() => PlannedBlocks::Open,
            None => PlannedBlocks::Fixed,
        };
        let parameters = point.parameters.clone();
        evidence.points.push(PointEvidence { parameters, strategies, blocks });
        figures.push(drawn);
    }
    Ok((evidence, figures))
}

/// Refuses a record whose conditions are not those its point and strategy were planned with.
fn refuse_unplanned(run: &Run, record: &TrialRecord) -> Result<(), AnalysisError> {
    let point = usize::try_from(record.point).ok().and_then(|index| run.manifest.points.get(index));
    let fault = match point {
        None => Some("there is no such point"),
        Some(point) => difference(point, record),
    };
    let block_exists = record.block < run.manifest.blocks_of(record.point);
    match fault.or((!block_exists).then_some("there is no such block")) {
        None => Ok(()),
        Some(why) => Err(AnalysisError::Unplanned {
            trial: record.trial,
            strategy: record.strategy.name.clone(),
            why,
        }),
    }
}

fn difference(point: &PlannedPoint, record: &TrialRecord) -> Option<&'static str> {
    let (planned, run) = (&point.workload, &record.workload);
    let same_workload = planned.rate == run.rate
        && planned.arrivals == run.arrivals
        && planned.payload == run.payload
        && planned.warm_up == run.warm_up
        && planned.window == run.window
        && planned.rtt == run.rtt
        && planned.network == run.network;
    if !point.strategies.contains(&record.strategy) {
        Some("the point has no such strategy, or with other settings")
    } else if !same_workload {
        Some("it ran under another workload")
    } else {
        None
    }
}

fn refuse_twice(records: &[&TrialRecord]) -> Result<(), AnalysisError> {
    let mut blocks: Vec<u32> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Completed)
        .map(|record| record.block)
        .collect();
    blocks.sort_unstable();
    match blocks.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(AnalysisError::Twice {
            strategy: records[0].strategy.name.clone(),
            block: pair[0] + 1,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Analysis, AnalysisError, analyse};
    use crate::analysis::summary::VerdictStatus;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::Outcome;

    fn open(sample: &Sample) -> (tempfile::TempDir, Run) {
        let out = tempfile::tempdir().expect("a folder");
        let path = sample.write(out.path()).expect("written");
        let run = Run::open(&path).expect("opened");
        (out, run)
    }

    #[test]
    fn a_sample_is_valid_and_says_what_was_measured() {
        let (_out, run) = open(&Sample::default());
        let Analysis { summary, figures, .. } = analyse(&run).expect("analysed");
        assert_eq!(summary.verdict.status, VerdictStatus::Valid, "{:#?}", summary.verdict);
        assert!(summary.complete);
        assert_eq!(summary.run_id, run.manifest.run_id);
        let [poll, webhook] = &summary.points[0].strategies[..] else { panic!("two strategies") };
        // The webhook's requests travel 150 µs and up to 50 µs more, and take 20 µs to verify.
        let p50 = webhook.latency.p50.expect("enough events");
        assert!((170_000..230_000).contains(&p50), "{p50}");
        assert!(poll.latency.p50.expect("enough events") > 50_000_000);
        assert_eq!(poll.requests.total, 64);
        assert_eq!(poll.events, webhook.events);
        assert_eq!(figures[0].strategies.len(), 2);
    }

    #[test]
    fn the_same_records_give_the_same_bytes() {
        let sample = Sample { rates: vec![5, 50], blocks: 7, ..Sample::default() };
        let text = || {
            let (_out, run) = open(&sample);
            serde_json::to_string(&analyse(&run).expect("analysed").summary).expect("JSON")
        };
        assert_eq!(text(), text());
    }

    #[test]
    fn points_and_blocks_are_told_apart() {
        let (_out, run) = open(&Sample { rates: vec![5, 50], blocks: 7, ..Sample::default() });
        let Analysis { summary, figures, .. } = analyse(&run).expect("analysed");
        assert_eq!((summary.points.len(), figures.len()), (2, 2));
        let emitted = |point: usize| summary.points[point].strategies[0].events.emitted;
        assert!(emitted(1) > 8 * emitted(0));
        let strategy = &summary.points[1].strategies[1];
        assert_eq!((strategy.blocks, strategy.blocks_planned), (7, 7));
        assert!(strategy.latency.ci95.p50.is_some());
    }

    #[test]
    fn the_order_of_records_does_not_matter() {
        let (_out, mut run) = open(&Sample::default());
        let forwards = analyse(&run).expect("analysed");
        run.records.reverse();
        assert_eq!(analyse(&run).expect("analysed"), forwards);
    }

    #[test]
    fn a_run_in_which_nothing_completed_is_invalid_and_has_no_figures() {
        let (_out, mut run) = open(&Sample::default());
        run.records.clear();
        let Analysis { summary, figures, .. } = analyse(&run).expect("analysed");
        assert_eq!(summary.verdict.status, VerdictStatus::Invalid);
        assert!(!summary.complete);
        let strategy = &summary.points[0].strategies[0];
        assert_eq!((strategy.blocks, strategy.latency.mean, strategy.requests.total), (0, None, 0));
        assert_eq!(strategy.model, None);
        assert!(figures[0].strategies[0].ecdf.is_empty());
    }

    #[test]
    fn records_that_were_not_planned_are_refused() {
        type Change = fn(&mut Run);
        let changes: [Change; 4] = [
            |run| run.records[0].point = 1,
            |run| run.records[0].block = 2,
            |run| run.records[0].strategy.subscribers = 9,
            |run| run.records[0].workload.window *= 2,
        ];
        for change in changes {
            let (_out, mut run) = open(&Sample::default());
            change(&mut run);
            assert!(matches!(analyse(&run), Err(AnalysisError::Unplanned { .. })));
        }
    }

    #[test]
    fn a_block_counts_once() {
        let (_out, mut run) = open(&Sample::default());
        let copy = run.records[0].clone();
        run.records.push(copy);
        assert!(matches!(analyse(&run), Err(AnalysisError::Twice { block: 1, .. })));
        // A spoilt attempt beside the measured one is no second measurement.
        run.records.last_mut().expect("a record").outcome =
            Outcome::Spoilt { reason: "first attempt".into() };
        assert!(analyse(&run).is_ok());
    }
}
