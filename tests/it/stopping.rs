//! Runs that end when a measure is known well enough, or at their cap.

use std::fs;

use pollpush::analysis::summary::{CheckStatus, StopReason, Summary};
use pollpush::record::run::Run;

use crate::program::{Place, pollpush};

/// Evenly spaced events, so that blocks differ in next to nothing but a poll at an edge.
const SCENARIO: &str = r#"
title = "Until it is known"

[events]
rate     = "40/s"
arrivals = "constant"

[run]
warm-up     = "0s"
duration    = "500ms"
precision   = "100%"
measure     = "requests.per_event"
max-repeats = 7

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "50ms"
"#;

/// Runs the scenario with values beside it and opens what it left.
fn run_with(set: &[&str]) -> (Run, Summary, String) {
    let place = Place::with(SCENARIO);
    let mut arguments = place.run_arguments();
    arguments.extend(set.iter().flat_map(|text| ["--set".into(), (*text).into()]));
    let ended = pollpush(arguments);
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.verify().unwrap(), []);
    let text = fs::read_to_string(run.path().join("summary.json")).unwrap();
    let report = fs::read_to_string(run.path().join("report.md")).unwrap();
    assert!(report.contains("Stopped after "), "{report}");
    (run, serde_json::from_str(&text).unwrap(), ended.stdout)
}

#[test]
fn a_measure_that_blocks_agree_on_is_known_after_six() {
    let (run, summary, stdout) = run_with(&["sweep.\"events.payload\"=[\"64 B\", \"1 KiB\"]"]);
    assert_eq!(run.manifest.blocks, 7);
    for (index, point) in (0_u32..).zip(&summary.points) {
        let stopped = run.manifest.stopped_at(index).unwrap();
        assert_eq!((stopped.blocks, stopped.looks), (6, 1));
        assert_eq!(stopped.reason, StopReason::Narrow);
        let blocks = run.records.iter().filter(|record| record.point == index).count();
        assert_eq!(blocks, 6);
        let stopping = point.stopping.as_ref().unwrap();
        assert!(stopping.within.is_some_and(|within| within <= 1.0), "{stopping:?}");
    }
    assert_eq!(summary.points.len(), 2);
    assert!(summary.complete, "what was not needed is not missed");
    let complete = summary.verdict.checks.iter().find(|check| check.id == "complete").unwrap();
    assert_eq!(complete.status, CheckStatus::Pass, "{}", complete.message);
    assert!(stdout.contains("Stopped after 6 blocks, and 1 look"), "{stdout}");
}

#[test]
fn a_precision_that_cannot_be_had_runs_to_the_cap() {
    // A window of twenty events has no p99.
    let (run, summary, stdout) = run_with(&["run.measure=latency.p99"]);
    let stopped = run.manifest.stopped_at(0).unwrap();
    assert_eq!((stopped.blocks, stopped.looks), (7, 2));
    assert_eq!(stopped.reason, StopReason::Cap);
    assert_eq!(run.records.len(), 7);
    assert!(summary.complete);
    assert_eq!(summary.points[0].stopping.as_ref().unwrap().within, None);
    assert!(stdout.contains("could not be reached"), "{stdout}");
}

#[test]
fn a_search_measures_the_ends_and_what_may_hold_the_change() {
    let place = Place::with(
        r#"
title = "Searched"
[events]
rate     = "40/s"
arrivals = "constant"
[run]
warm-up  = "0s"
duration = "500ms"
[objective]
minimise = "requests.per_event"
search   = "events.rate"
[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "50ms"
[[strategy]]
name      = "webhook"
mechanism = "webhook"
[sweep]
"events.rate" = ["4/s", "8/s", "40/s", "80/s", "160/s"]
"#,
    );
    let ended = pollpush(place.run_arguments());
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.verify().unwrap(), []);
    // Break-even is 20/s: the ends differ, and beyond the middle everything polls.
    assert_eq!(run.manifest.ruled_out, [3]);
    let order: Vec<u32> = run.records.iter().map(|record| record.point).collect();
    assert_eq!(order, [0, 0, 4, 4, 2, 2, 1, 1]);
    let text = fs::read_to_string(run.path().join("summary.json")).unwrap();
    let summary: Summary = serde_json::from_str(&text).unwrap();
    assert!(summary.complete, "what was not needed is not missed");
    assert_eq!(summary.points.len(), 4);
    let searched = summary.decision.unwrap().searched.unwrap();
    assert_eq!((searched.points, searched.left_out), (5, 1));
    assert!(ended.stdout.contains("1 of 5 points were left out"), "{}", ended.stdout);
}
