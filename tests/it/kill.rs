//! Whatever is killed, hangs or is interrupted: what was finished is kept, what was not is
//! marked, and no process is left behind.

use std::fs;
use std::path::Path;

use pollpush::plan::expand;
use pollpush::record::manifest::RunStatus;
use pollpush::record::run::Run;
use pollpush::record::trial::{Outcome, TrialRecord};
use rustix::process::Signal;

use crate::program::{Place, Program, pollpush};

/// Two blocks of two strategies side by side; the poll shows when a trial is under way.
const SIDE_BY_SIDE: &str = r#"
title = "Side by side"

[events]
rate = "40/s"

[run]
warm-up  = "0s"
duration = "3s"
repeats  = 2

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "100ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
"#;

/// Two blocks of one strategy alone.
const SOLO: &str = r#"
title = "Alone"

[events]
rate = "40/s"

[run]
warm-up  = "0s"
duration = "3s"
repeats  = 2
layout   = "solo"

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "100ms"
"#;

/// The source's place among the workers of a trial.
const SOURCE: usize = 0;

/// The place of a strategy's subscriber among the workers of the first trial.
fn subscriber(place: &Place, name: &str) -> usize {
    let plan = expand(&pollpush::scenario::load(&place.scenario(), &[]).unwrap());
    let trial = &plan.trials[0];
    let strategies = &plan.points[trial.point].strategies;
    let order = trial.strategies.iter().position(|index| strategies[*index].name == name);
    1 + order.unwrap()
}

fn reason(record: &TrialRecord) -> &str {
    match &record.outcome {
        Outcome::Spoilt { reason } => reason,
        other => panic!("{other:?} is not spoilt"),
    }
}

/// Starts the solo scenario and waits until it is in the middle of its second block.
fn in_second_block(place: &Place) -> Program {
    let program = place.start();
    place.wait_for_records(1);
    program.polling_worker(1);
    program
}

#[test]
fn a_subscriber_that_is_killed_spoils_its_trial_and_no_other() {
    let place = Place::with(SIDE_BY_SIDE);
    let mut program = place.start();
    program.polling_worker(subscriber(&place, "poll"));
    program.worker(subscriber(&place, "webhook")).signal(Signal::KILL);
    let ended = program.wait_here();
    ended.expect_code(&[0, 4]);
    program.expect_nothing_left();

    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.manifest.status, RunStatus::Complete);
    assert_eq!(run.verify().unwrap(), []);
    assert_eq!(run.records.len(), 4);
    for record in &run.records {
        if record.trial == 0 {
            let reason = reason(record);
            assert!(reason.contains("subscriber of `webhook`"), "{reason}");
            assert!(reason.contains("killed by signal 9"), "{reason}");
            assert!(record.measured.is_none());
            assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        } else {
            assert_eq!(record.outcome, Outcome::Completed);
            assert!(run.ledger(record).unwrap().is_some());
        }
    }
}

#[test]
fn a_source_that_is_killed_is_named_and_a_run_of_nothing_else_failed() {
    let place = Place::with(SOLO);
    let mut arguments = place.run_arguments();
    arguments.extend(["--repeats".into(), "1".into()]);
    let mut program = Program::start(arguments);
    program.polling_worker(1);
    program.worker(SOURCE).signal(Signal::KILL);
    let ended = program.wait_here();
    ended.expect_code(&[1]);
    program.expect_nothing_left();
    let run = Run::open(&place.only_run()).unwrap();
    let reason = reason(&run.records[0]);
    assert!(reason.contains("the source"), "{reason}");
    assert!(reason.contains("killed by signal 9"), "{reason}");
    pollpush(["report".as_ref(), run.path().as_os_str()]).expect_code(&[1]);
}

#[test]
fn a_subscriber_that_dies_before_the_scenario_kills_it_spoils_its_trial() {
    let fault = "[[fault]]\nat = '2s'\nfor = '200ms'\nwho = 'subscriber'\nwhat = 'crash'\n";
    let place = Place::with(&format!("{SOLO}\n{fault}"));
    let mut arguments = place.run_arguments();
    arguments.extend(["--repeats".into(), "1".into()]);
    let mut program = Program::start(arguments);
    program.polling_worker(1).signal(Signal::KILL);
    program.wait_here().expect_code(&[1]);
    program.expect_nothing_left();
    let run = Run::open(&place.only_run()).unwrap();
    let reason = reason(&run.records[0]);
    assert!(reason.contains("subscriber of `poll`"), "{reason}");
    assert!(reason.contains("killed by signal 9"), "{reason}");
}

#[test]
fn a_worker_that_hangs_is_ended_by_a_deadline() {
    let place = Place::with(SOLO);
    let mut arguments = place.run_arguments();
    arguments.extend(["--repeats".into(), "1".into(), "--duration".into(), "1s".into()]);
    let mut program = Program::start(arguments);
    program.polling_worker(1).signal(Signal::STOP);
    program.wait_here().expect_code(&[1]);
    program.expect_nothing_left();
    let run = Run::open(&place.only_run()).unwrap();
    let reason = reason(&run.records[0]);
    assert!(reason.contains("subscriber of `poll`"), "{reason}");
    assert!(reason.contains("did not finish its window within"), "{reason}");
}

#[test]
fn workers_do_not_outlive_a_killed_coordinator_and_its_finished_trials_can_be_reported() {
    let place = Place::with(SOLO);
    let mut program = in_second_block(&place);
    program.signal(Signal::KILL);
    assert_eq!(program.wait_here().code(), None);
    program.expect_nothing_left();

    let path = place.only_run();
    let ended =
        pollpush(["report".as_ref(), path.as_os_str(), "--format".as_ref(), "json".as_ref()]);
    ended.expect_code(&[0, 4]);
    let run = Run::open(&path).unwrap();
    assert_eq!(run.manifest.status, RunStatus::Running);
    assert_eq!(run.records.len(), 1);
    assert_eq!(run.records[0].outcome, Outcome::Completed);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["complete"], false);
    assert_eq!(summary["points"][0]["strategies"][0]["blocks"], 1);
    assert_eq!(summary["points"][0]["strategies"][0]["blocks_planned"], 2);
}

/// One signal keeps what is finished and marks what is not.
fn interrupt(signal: Signal) {
    let place = Place::with(SOLO);
    let mut program = in_second_block(&place);
    program.signal_group(signal);
    let ended = program.wait_here();
    ended.expect_code(&[130]);
    program.expect_nothing_left();
    assert!(ended.stderr.contains("was interrupted"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("spoilt"), "{}", ended.stderr);

    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.manifest.status, RunStatus::Interrupted);
    assert_eq!(run.verify().unwrap(), []);
    let outcomes: Vec<&Outcome> = run.records.iter().map(|record| &record.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Completed, &Outcome::Interrupted]);
    let summary = fs::read_to_string(run.path().join("summary.json")).unwrap();
    assert!(summary.contains("\"complete\": false"), "{summary}");
    assert!(run.path().join("report.md").exists());
}

#[test]
fn ctrl_c_keeps_finished_trials_and_marks_the_run() {
    interrupt(Signal::INT);
}

#[test]
fn a_termination_is_an_interrupt() {
    interrupt(Signal::TERM);
}

#[test]
fn ctrl_c_before_anything_is_finished_is_no_failure() {
    let place = Place::with(SOLO);
    let mut program = place.start();
    program.worker(SOURCE);
    program.signal_group(Signal::INT);
    let ended = program.wait_here();
    ended.expect_code(&[130]);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    program.expect_nothing_left();
    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.manifest.status, RunStatus::Interrupted);
    assert_eq!(run.records.len(), 1);
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let place = Place::with(SOLO);
    let mut program = in_second_block(&place);
    // Signals of one kind merge while they wait, so the second is of the other kind; both
    // wait until the program goes on.
    program.signal(Signal::STOP);
    program.signal_group(Signal::INT);
    program.signal_group(Signal::TERM);
    program.signal(Signal::CONT);
    let ended = program.wait_here();
    ended.expect_code(&[130]);
    program.expect_nothing_left();
    assert_eq!(ended.stdout, "", "it does not wait for the result");

    let path = place.only_run();
    assert_ne!(Run::open(&path).unwrap().manifest.status, RunStatus::Complete);
    pollpush(["report".as_ref(), path.as_os_str()]).expect_code(&[0, 4]);
}

/// Goes on with a run and expects it to come to its end.
fn resume(run: &Path) {
    let ended = pollpush(["run".as_ref(), "--resume".as_ref(), run.as_os_str()]);
    ended.expect_code(&[0, 4]);
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_measures_no_trial_twice() {
    let place = Place::with(SOLO);
    let mut program = in_second_block(&place);
    let path = place.only_run();
    let busy = pollpush(["run".as_ref(), "--resume".as_ref(), path.as_os_str()]);
    busy.expect_code(&[1]);
    assert!(busy.stderr.contains("being measured by another process"), "{}", busy.stderr);
    program.signal(Signal::KILL);
    program.wait_here();
    program.expect_nothing_left();
    let before = Run::open(&path).unwrap();

    resume(&path);
    let run = Run::open(&path).unwrap();
    assert_eq!(run.manifest.status, RunStatus::Complete);
    assert_eq!(run.manifest.resumed.len(), 1);
    assert!(run.verify().unwrap().is_empty());
    assert_eq!(run.records.len(), 2);
    assert_eq!(run.records[0], before.records[0]);
    assert_eq!(run.records[1].block, 1);
    let again = pollpush(["run".as_ref(), "--resume".as_ref(), path.as_os_str()]);
    again.expect_code(&[1]);
    assert!(again.stderr.contains("come to its planned end"), "{}", again.stderr);
}

#[test]
fn an_interrupted_trial_is_measured_again() {
    let place = Place::with(SOLO);
    let mut program = in_second_block(&place);
    program.signal_group(Signal::INT);
    let ended = program.wait_here();
    ended.expect_code(&[130]);
    assert!(ended.stderr.contains("pollpush run --resume"), "{}", ended.stderr);

    let path = place.only_run();
    resume(&path);
    let run = Run::open(&path).unwrap();
    let outcomes: Vec<&Outcome> = run.records.iter().map(|record| &record.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Completed, &Outcome::Completed]);
    let summary = fs::read_to_string(path.join("summary.json")).unwrap();
    assert!(summary.contains("\"complete\": true"), "{summary}");
}

#[test]
fn a_run_does_not_go_on_as_another() {
    let place = Place::with(SOLO);
    let mut program = in_second_block(&place);
    program.signal(Signal::KILL);
    program.wait_here();
    let path = place.only_run();
    let scenario = path.join("scenario.toml");
    let text = fs::read_to_string(&scenario).unwrap();
    fs::write(&scenario, text.replace("40/s", "50/s")).unwrap();
    let ended = pollpush(["run".as_ref(), "--resume".as_ref(), path.as_os_str()]);
    ended.expect_code(&[2]);
    assert!(ended.stderr.contains("its `points` is not what it was"), "{}", ended.stderr);
}
