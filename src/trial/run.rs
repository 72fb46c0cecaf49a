//! A run: all trials of a plan, one after the other, each recorded as it ends.

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::network::asked::Network;
use crate::plan::{Layout, Plan, Point, Trial};
use crate::record::environment::Environment;
use crate::record::error::RecordError;
use crate::record::folder::RunFolder;
use crate::record::ledger::{LEDGER_ROW_BYTES, LEDGER_ROW_LIMIT, Ledger};
use crate::record::manifest::{
    Manifest, PlannedPoint, PlannedWorkload, RunStatus, StoppedPoint, ToolRecord,
};
use crate::record::run::Run;
use crate::record::trial::{Outcome, TrialRecord};
use crate::trial::coordinator::{self, Phase, strategy_record};
use crate::trial::crew::Launcher;

/// Bytes a run writes besides its ledgers: histograms, charts, reports.
const BYTES_BESIDE_LEDGERS: u64 = 16 << 20;

/// Hears how a run goes.
pub trait Observer: Send {
    /// A trial begins.
    fn trial_begins(&mut self, plan: &Plan, trial: &Trial);
    /// It does something else now.
    fn phase(&mut self, phase: Phase);
    /// One of its strategies is recorded.
    fn recorded(&mut self, record: &TrialRecord);
    /// A trial is not run again, since it ended before the run was interrupted.
    fn kept(&mut self, record: &TrialRecord);
}

/// Decides when a point has blocks enough, and which points are not needed.
pub trait Stop: Send {
    /// One of a block's strategies is recorded; a measured one comes with its ledger.
    fn recorded(&mut self, record: &TrialRecord, ledger: Option<&Ledger>);
    /// That many blocks of a point have ended; says how the point ends if they are enough.
    fn look(&mut self, point: u32, blocks: u32) -> Option<StoppedPoint>;
    /// A point has ended; says which others are ruled out by it.
    fn point_ended(&mut self, point: u32) -> Vec<u32>;
}

/// What the manifest of a run of this plan says before anything is measured.
#[must_use]
pub fn manifest(plan: &Plan) -> Manifest {
    Manifest {
        tool: ToolRecord::this(),
        started: clock::wall(),
        title: plan.title.clone(),
        question: plan.question.clone(),
        overrides: plan.overrides.clone(),
        injected: plan.fault,
        seed: plan.seed,
        layout: match plan.layout {
            Layout::SideBySide => "side-by-side".to_owned(),
            Layout::Solo => "solo".to_owned(),
        },
        blocks: plan.blocks,
        stopping: plan.stopping,
        aims: plan.aims.clone(),
        points: plan.points.iter().map(planned_point).collect(),
        trials: u32::try_from(plan.trials.len()).expect("a plan has few trials"),
        environment: Environment::capture(),
        ..Manifest::default()
    }
}

/// The path of a point as records keep it.
pub(crate) fn network_record(point: &Point) -> Option<Network> {
    Some(point.network.clone()).filter(Network::is_distant)
}

fn planned_point(point: &Point) -> PlannedPoint {
    PlannedPoint {
        parameters: point.parameters.clone(),
        workload: PlannedWorkload {
            rate: point.rate,
            arrivals: point.arrivals.clone(),
            payload: point.payload,
            warm_up: point.warm_up,
            window: point.window,
            drain: point.drain,
            rtt: point.network.round_trip(),
            network: network_record(point),
        },
        strategies: point
            .strategies
            .iter()
            .map(|strategy| strategy_record(strategy, &point.network))
            .collect(),
        placement: point.placement.clone(),
        spin: Some(point.spin).filter(|spin| !spin.is_zero()),
    }
}

/// An estimate of the bytes a run of this plan writes.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; a plan's deliveries are capped far below 2^63 bytes"
)]
pub fn bytes_needed(plan: &Plan) -> u64 {
    let deliveries: f64 = plan
        .points
        .iter()
        .map(|point| {
            let emitting = (point.warm_up + point.window).as_secs_f64();
            let events = point.events * emitting / point.window.as_secs_f64();
            let subscribers: f64 =
                point.strategies.iter().map(|strategy| f64::from(strategy.subscribers)).sum();
            let rows = events * subscribers;
            // A trial of more rows keeps its histograms only.
            if rows > 2.0 * LEDGER_ROW_LIMIT as f64 { 0.0 } else { rows * f64::from(plan.blocks) }
        })
        .sum();
    BYTES_BESIDE_LEDGERS + deliveries as u64 * LEDGER_ROW_BYTES
}

/// Puts the plan's traces into the folder, runs every trial that has not ended `before` and
/// records each as it ends, until interrupted.
///
/// A spoilt trial is recorded and the run goes on. After each block `stop` is asked whether its
/// point has enough; the point's other trials are then not run. After each point it is asked which
/// others are not needed.
///
/// # Errors
///
/// When a trial cannot be recorded, or one from before cannot be read; those recorded are
/// unharmed.
pub async fn run(
    plan: &Plan,
    folder: &mut RunFolder,
    before: Option<&Run>,
    launcher: &Launcher,
    interrupt: &CancellationToken,
    observer: &mut dyn Observer,
    mut stop: Option<&mut dyn Stop>,
) -> Result<RunStatus, RecordError> {
    for trace in plan.points.iter().filter_map(|point| point.trace.as_ref()) {
        folder.write(&trace.path, &trace.bytes)?;
    }
    // Workers are given absolute paths, wherever they are started.
    let root = std::path::absolute(folder.path()).map_err(RecordError::reading(folder.path()))?;
    for (place, trial) in plan.trials.iter().enumerate() {
        let point = u32::try_from(trial.point).expect("a plan has few points");
        let measured = folder.manifest();
        if measured.stopped_at(point).is_some() || measured.ruled_out.contains(&point) {
            continue;
        }
        if interrupt.is_cancelled() {
            return Ok(RunStatus::Interrupted);
        }
        if let Some((earlier, records)) = before.and_then(|run| ended(run, trial)) {
            for record in records {
                observer.kept(record);
                if let Some(stop) = &mut stop {
                    stop.recorded(record, earlier.ledger(record)?.as_ref());
                }
            }
            look(plan, place, folder, &mut stop)?;
            continue;
        }
        observer.trial_begins(plan, trial);
        let mut watch = |phase| observer.phase(phase);
        let results = coordinator::run(plan, trial, &root, launcher, interrupt, &mut watch).await;
        for result in results {
            let record = folder.append(result.record, result.ledger.as_ref())?;
            observer.recorded(&record);
            if let Some(stop) = &mut stop {
                stop.recorded(&record, result.ledger.as_ref());
            }
        }
        if !interrupt.is_cancelled() {
            look(plan, place, folder, &mut stop)?;
        }
    }
    let status =
        if interrupt.is_cancelled() { RunStatus::Interrupted } else { RunStatus::Complete };
    Ok(status)
}

/// What a run holds of a trial, if every strategy of it came to an end.
fn ended<'r>(run: &'r Run, trial: &Trial) -> Option<(&'r Run, Vec<&'r TrialRecord>)> {
    let of_trial = run.records.iter().filter(|record| record.trial == trial.index);
    let ended = of_trial.filter(|record| record.outcome != Outcome::Interrupted);
    let records: Vec<&TrialRecord> = ended.collect();
    (records.len() == trial.strategies.len()).then_some((run, records))
}

/// After the last trial of a block: asks whether its point has enough, and what else is not needed.
fn look(
    plan: &Plan,
    place: usize,
    folder: &mut RunFolder,
    stop: &mut Option<&mut dyn Stop>,
) -> Result<(), RecordError> {
    let trial = &plan.trials[place];
    let goes_on = |next: &Trial| (next.point, next.block) == (trial.point, trial.block);
    let block_ended = !plan.trials.get(place + 1).is_some_and(goes_on);
    let point = u32::try_from(trial.point).expect("a plan has few points");
    let Some(stop) = stop.as_mut().filter(|_| block_ended) else { return Ok(()) };
    let enough = stop.look(point, trial.block + 1);
    let point_ended = enough.is_some() || trial.block + 1 == plan.blocks;
    if let Some(stopped) = enough.filter(|_| folder.manifest().stopped_at(point).is_none()) {
        folder.stop_point(stopped)?;
    }
    if point_ended {
        // A run that goes on may have ruled some out before it was interrupted.
        let known = &folder.manifest().ruled_out;
        let new: Vec<u32> =
            stop.point_ended(point).into_iter().filter(|out| !known.contains(out)).collect();
        if !new.is_empty() {
            folder.rule_out(&new)?;
        }
    }
    Ok(())
}
