//! Processes that are kept on CPUs of their own, and a pacer that spins.

use std::path::PathBuf;

use pollpush::affinity;
use pollpush::plan::{Plan, Trial, expand};
use pollpush::record::folder::RunFolder;
use pollpush::record::manifest::RunStatus;
use pollpush::record::run::Run;
use pollpush::record::trial::{Outcome, TrialRecord};
use pollpush::scenario::parse;
use pollpush::trial::coordinator::Phase;
use pollpush::trial::crew::Launcher;
use pollpush::trial::run::{Observer, manifest, run};
use tokio_util::sync::CancellationToken;

use crate::program::{Ended, Place, pollpush};

const SCENARIO: &str = r#"
title = "Each on its own"

[events]
rate = "50/s"

[run]
warm-up  = "0s"
duration = "500ms"
pin      = true

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "100ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
"#;

/// Runs the scenario while only these CPUs may be used.
fn run_on(cpus: Vec<u32>, place: &Place) -> Ended {
    let arguments = place.run_arguments();
    // A thread of its own, since the program inherits the CPUs of whoever starts it.
    let started = std::thread::spawn(move || {
        affinity::restrict(&cpus).unwrap();
        pollpush(arguments)
    });
    started.join().unwrap()
}

#[test]
fn source_and_subscribers_stay_on_the_cpus_that_the_manifest_names() {
    let allowed = affinity::allowed().unwrap();
    let place = Place::with(SCENARIO);
    let ended = run_on(allowed.clone(), &place);
    let [source, others @ ..] = allowed.as_slice() else { panic!("there is a CPU") };
    if others.is_empty() {
        ended.expect_code(&[2]);
        return;
    }
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    let placement = run.manifest.points[0].placement.clone().unwrap();
    assert_eq!(placement.source, *source);
    assert_eq!(placement.subscribers, [others[0], others[1 % others.len()]]);
    for record in &run.records {
        let measured = record.measured.as_ref().unwrap();
        assert_eq!(measured.source.process.cpus, [placement.source]);
        let index = usize::from(record.strategy.name == "webhook");
        assert_eq!(measured.subscriber.process.cpus, [placement.subscribers[index]]);
        assert_eq!(measured.source.spin_ns, 0);
    }
    let said = format!("Pinned: the source on CPU {source}, the subscribers of `poll` on CPU");
    assert!(ended.stdout.contains(&said), "{}", ended.stdout);
}

#[test]
fn one_cpu_is_too_few_to_pin_and_the_error_says_what_to_do() {
    let first = affinity::allowed().unwrap()[0];
    let place = Place::with(SCENARIO);
    let ended = run_on(vec![first], &place);
    ended.expect_code(&[2]);
    assert!(ended.stderr.contains("leave `run.pin` out"), "{}", ended.stderr);
    assert!(place.runs().is_empty(), "nothing was started");
}

/// Watches in silence.
struct Silence;

impl Observer for Silence {
    fn trial_begins(&mut self, _: &Plan, _: &Trial) {}
    fn phase(&mut self, _: Phase) {}
    fn recorded(&mut self, _: &TrialRecord) {}
    fn kept(&mut self, _: &TrialRecord) {}
}

/// Runs a plan in this process and returns its records.
fn records_of(plan: &Plan) -> Vec<TrialRecord> {
    let out = tempfile::tempdir().unwrap();
    let mut folder = RunFolder::create(out.path(), manifest(plan), &plan.scenario, 0).unwrap();
    let path = folder.path().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_pollpush"));
        let launcher = Launcher::new(program).await.unwrap();
        let never = CancellationToken::new();
        run(plan, &mut folder, None, &launcher, &never, &mut Silence, None).await.unwrap()
    });
    assert_eq!(status, RunStatus::Complete);
    Run::open(&path).unwrap().records
}

#[test]
fn a_cpu_that_the_kernel_refuses_spoils_the_trial_and_is_named() {
    let mut plan = expand(&parse("scenario.toml", SCENARIO, &[]).unwrap());
    assert!(plan.place(&[affinity::allowed().unwrap()[0], 1_000]));
    let records = records_of(&plan);
    assert_eq!(records.len(), 2);
    for record in records {
        let Outcome::Spoilt { reason } = record.outcome else { panic!("{:?}", record.outcome) };
        assert!(reason.contains("CPU 1000"), "{reason}");
        assert_eq!(record.measured, None);
    }
}

#[test]
fn a_plan_that_pins_and_was_not_placed_is_not_run_unpinned() {
    let plan = expand(&parse("scenario.toml", SCENARIO, &[]).unwrap());
    for record in records_of(&plan) {
        let Outcome::Spoilt { reason } = record.outcome else { panic!("{:?}", record.outcome) };
        assert!(reason.contains("no CPUs were chosen"), "{reason}");
    }
}

#[test]
fn what_the_pacer_spins_is_part_of_its_own_cpu_time() {
    let place = Place::with(&SCENARIO.replace("pin      = true", "spin     = \"1ms\""));
    let ended = pollpush(place.run_arguments());
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.manifest.points[0].spin.unwrap().as_millis(), 1);
    for record in &run.records {
        let source = &record.measured.as_ref().unwrap().source;
        // The scheduler's account of a thread may be a tick behind.
        let tick = 20_000_000;
        assert!(0 < source.spin_ns && source.spin_ns <= source.pacer_cpu_ns + tick, "{source:?}");
    }
    assert!(ended.stdout.contains("The pacer spun for the last 1.00 ms"), "{}", ended.stdout);
}
