//! Negative controls: one strategy against itself, and what a run makes of what they found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pollpush::analysis::summary::{Difference, Summary, VerdictStatus};
use pollpush::clock;
use pollpush::record::environment::Environment;
use pollpush::record::noise_floor::{Machine, NoiseFloor, keep, kept};
use pollpush::record::run::Run;

use crate::program::{Ended, Place, Program, STATE, pollpush};

/// Two controls in six short blocks, the fewest for an interval; `DELAY` is the second's.
const SCENARIO: &str = r#"
title = "Controls"
[events]
rate = "100/s"
arrivals = "constant"
[run]
warm-up = "100ms"
duration = "400ms"
repeats = 6
[[strategy]]
name = "one"
mechanism = "null"
delay = "0ms"
[[strategy]]
name = "other"
mechanism = "null"
delay = "DELAY"
"#;

fn file(place: &Place) -> std::path::PathBuf {
    place.path("state").join("noise-floor.json")
}

/// Runs the scenario with what is known about the machine in the place itself.
fn run(place: &Place, more: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.args(place.run_arguments()).args(more).env(STATE, place.path("state"));
    Program::launch(command).wait()
}

fn summary(run: &Path) -> Summary {
    serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap()
}

fn here() -> Machine {
    Machine::here(&Environment::capture()).unwrap()
}

/// A machine on which identical strategies differ wildly.
fn wild() -> NoiseFloor {
    NoiseFloor {
        run_id: "0123456789abcdef".repeat(4),
        measured: clock::wall(),
        arrangement: "side-by-side".to_owned(),
        mechanism: "webhook".to_owned(),
        blocks: 10,
        factors: BTreeMap::from([("latency.p50".to_owned(), 1e9)]),
    }
}

#[test]
fn a_difference_within_the_noise_of_the_machine_is_called_noise_for_good() {
    let place = Place::with(&SCENARIO.replace("DELAY", "200ms"));
    keep(&file(&place), here(), wild()).unwrap();
    run(&place, &[]).expect_code(&[0, 4]);
    let folder = place.only_run();
    assert_eq!(Run::open(&folder).unwrap().manifest.noise_floor, Some(wild_of(&place)));

    let before = summary(&folder);
    let comparison = |summary: &Summary, measure: &str| {
        let all = &summary.points[0].comparisons;
        all.iter().find(|comparison| comparison.measure == measure).unwrap().clone()
    };
    let p50 = comparison(&before, "latency.p50");
    assert_eq!((p50.difference, p50.noise), (Difference::Noise, Some(1e9)), "{p50:?}");
    let mean = comparison(&before, "latency.mean");
    assert_eq!((mean.difference, mean.noise), (Difference::Larger, None), "{mean:?}");

    // The report of a run depends on nothing but its folder.
    fs::remove_dir_all(place.path("state")).unwrap();
    pollpush(["report".as_ref(), folder.as_os_str()]).expect_code(&[0, 4]);
    assert_eq!(summary(&folder), before);
}

/// The floor as it was kept: its time stamp is of the moment it was made.
fn wild_of(place: &Place) -> NoiseFloor {
    kept(&file(place), &here(), "side-by-side").unwrap().unwrap()
}

#[test]
fn one_strategy_against_itself_leaves_the_noise_floor_of_its_arrangement() {
    let place = Place::with(&SCENARIO.replace("DELAY", "0ms"));
    run(&place, &["--set", "run.layout=solo"]).expect_code(&[0, 4]);
    let folder = place.only_run();
    if summary(&folder).verdict.status == VerdictStatus::Invalid {
        // A machine in such a state has no noise floor.
        assert!(!file(&place).exists());
        return;
    }
    let kept = |arrangement| kept(&file(&place), &here(), arrangement).unwrap();
    assert_eq!(kept("side-by-side"), None);
    let floor = kept("solo").expect("kept");
    assert_eq!(floor.run_id, Run::open(&folder).unwrap().manifest.run_id);
    assert_eq!((floor.mechanism.as_str(), floor.blocks), ("null", 6));
    let p50 = floor.factors["latency.p50"];
    let own = summary(&folder).points[0].comparisons.clone();
    let own = own.iter().find(|comparison| comparison.measure == "latency.p50").unwrap();
    let interval = own.interval.unwrap();
    assert!((p50 - interval.high.max(1.0 / interval.low).max(1.0)).abs() < 1e-9, "{own:?}");
    assert_eq!(own.noise, Some(p50));
}

#[test]
fn a_file_that_is_not_ours_is_told_and_left_alone() {
    let place = Place::with(&SCENARIO.replace("DELAY", "0ms"));
    fs::create_dir(place.path("state")).unwrap();
    fs::write(file(&place), "somebody else's").unwrap();
    let ended = run(&place, &[]);
    ended.expect_code(&[0, 4]);
    assert!(ended.stderr.contains("no noise floor is known"), "{}", ended.stderr);
    assert_eq!(Run::open(&place.only_run()).unwrap().manifest.noise_floor, None);
    assert_eq!(fs::read_to_string(file(&place)).unwrap(), "somebody else's");
}
