//! Every arrival process from the scenario to the record, and traces that stay with their run.

use std::fs;
use std::path::PathBuf;

use pollpush::digest::sha256;
use pollpush::record::run::Run;
use pollpush::record::trial::Outcome;
use pollpush::schedule::Arrivals;

use crate::program::{Ended, Place, pollpush};

/// A scenario of half a second with these lines about its events.
fn scenario(events: &str) -> String {
    format!(
        r#"
title = "Arrivals"

[events]
{events}

[run]
warm-up  = "100ms"
duration = "400ms"

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "50ms"
"#
    )
}

/// Runs the scenario, whose events must have come exactly when they were due.
fn run(place: &Place) -> (Ended, Run) {
    let ended = pollpush(place.run_arguments());
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    assert!(run.records.iter().all(|record| record.outcome == Outcome::Completed));
    let summary = fs::read_to_string(run.path().join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let checks = summary["verdict"]["checks"].as_array().unwrap();
    let kept = checks.iter().find(|check| check["id"] == "rate-achieved").unwrap();
    assert_eq!(kept["status"], "pass", "{kept}");
    (ended, run)
}

#[test]
fn every_process_runs_and_its_schedule_is_computed_again() {
    for name in Arrivals::NAMES {
        let place = Place::with(&scenario(&format!("rate = \"200/s\"\narrivals = \"{name}\"")));
        let (_, run) = run(&place);
        assert_eq!(run.manifest.points[0].workload.arrivals, Arrivals::named(name).unwrap());
    }
}

/// Fifty events in ten seconds, replayed ten times as fast.
const REPLAY: &str = "arrivals = \"trace\"\nfile = \"traces/a.csv\"\ntime-scale = 10";

fn trace() -> String {
    let line = |event: u32| format!("{event},{}.{}\n", event / 5, event % 5 * 2);
    std::iter::once("id,time\n".to_owned()).chain((0..50).map(line)).collect()
}

fn place_with_trace() -> (Place, PathBuf) {
    let place = Place::with(&scenario(REPLAY));
    fs::create_dir(place.path("traces")).unwrap();
    let file = place.path("traces/a.csv");
    fs::write(&file, trace()).unwrap();
    (place, file)
}

#[test]
fn a_replayed_trace_is_part_of_the_evidence() {
    let (place, file) = place_with_trace();
    let (_, run) = run(&place);
    let copy = run.path().join("traces/a.csv");
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&file).unwrap());
    let digest = sha256(trace().as_bytes());
    assert_eq!(run.manifest.files["traces/a.csv"], digest);
    let Arrivals::Trace(replay) = &run.records[0].workload.arrivals else { panic!("a trace") };
    assert_eq!((replay.file.as_str(), replay.events), ("traces/a.csv", 50));
    assert_eq!(replay.sha256, digest);
    let ledger = run.ledger(&run.records[0]).unwrap().unwrap();
    // Every 20 ms, the first at once.
    let due: Vec<u64> = (0..25).map(|event| event * 20_000_000).collect();
    assert_eq!(ledger.due, due);

    // The folder is enough to read the run and to do it again, without the original.
    fs::remove_file(file).unwrap();
    pollpush(["report".as_ref(), run.path().as_os_str()]).expect_code(&[0, 4]);
    let again = place.path("again");
    let scenario = run.path().join("scenario.toml");
    pollpush(["run".as_ref(), scenario.as_os_str(), "--out".as_ref(), again.as_os_str()])
        .expect_code(&[0, 4]);

    fs::write(&copy, trace().replace("1,0.2", "1,0.3")).unwrap();
    let ended = pollpush(["report".as_ref(), run.path().as_os_str()]);
    ended.expect_code(&[1]);
    assert!(ended.stderr.contains("it is not the file that was recorded"), "{}", ended.stderr);
}

#[test]
fn a_check_of_a_trace_counts_its_events() {
    let (place, file) = place_with_trace();
    let check = || pollpush(["check".as_ref(), place.scenario().as_os_str()]);
    let checked = check();
    checked.expect_code(&[0]);
    // Due from 100 ms on and before 500 ms.
    assert!(checked.stdout.contains("expected  20 events"), "{}", checked.stdout);
    fs::write(&file, "id,time\n1,2\n2,1\n").unwrap();
    let refused = check();
    refused.expect_code(&[2]);
    assert!(refused.stderr.contains("line 3: `1` is earlier"), "{}", refused.stderr);
}
