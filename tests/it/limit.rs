//! What raw sockets take between the processes of a trial, and what it is the limit of.

use std::fs;
use std::time::Duration;

use pollpush::analysis::summary::{CheckStatus, Limit, Summary};
use pollpush::record::limit::{Calibration, Limit as RawLimit};
use pollpush::record::run::Run;
use pollpush::units::{Bytes, nanoseconds};

use crate::program::{Place, pollpush};

const SCENARIO: &str = r#"
title = "Limits"

[events]
rate    = "60/s"
payload = "2 KiB"

[run]
warm-up  = "0s"
duration = "1s"
repeats  = 1
seed     = 5

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "200ms"

[[strategy]]
name      = "stream"
mechanism = "sse"

[[strategy]]
name       = "dialled"
mechanism  = "webhook"
keep-alive = false
"#;

/// Runs the scenario; what raw sockets took, and the summary.
fn run_with(set: &[&str]) -> (RawLimit, Summary) {
    let place = Place::with(SCENARIO);
    let mut arguments = place.run_arguments();
    arguments.extend(set.iter().flat_map(|text| ["--set".into(), (*text).into()]));
    pollpush(arguments).expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    let calibrations: Vec<&Calibration> = run
        .records
        .iter()
        .map(|record| record.measured.as_ref().unwrap().limit.as_ref().unwrap())
        .collect();
    assert_eq!(calibrations.len(), 3);
    assert!(calibrations.iter().all(|one| *one == calibrations[0]), "one a trial");
    let text = fs::read_to_string(run.path().join("summary.json")).unwrap();
    (calibrations[0].limit().unwrap().clone(), serde_json::from_str(&text).unwrap())
}

fn limit(summary: &Summary, name: &str) -> Limit {
    let strategies = &summary.points[0].strategies;
    strategies.iter().find(|strategy| strategy.name == name).unwrap().limit.unwrap()
}

#[test]
fn a_trial_measures_raw_sockets_and_every_mechanism_has_its_limit() {
    let (raw, summary) = run_with(&[]);
    assert_eq!((raw.message, raw.rate.to_string().as_str()), (Bytes(2048), "60/s"));
    for transfers in [raw.one_way, raw.round_trip, raw.new_connection] {
        assert!(transfers.count >= 20, "{transfers:?}");
        assert!(0 < transfers.min && transfers.min <= transfers.p50, "{transfers:?}");
        assert!(transfers.p50 <= transfers.p99, "{transfers:?}");
    }
    assert!(raw.one_way.p50 <= raw.round_trip.p50);

    let poll = limit(&summary, "poll");
    // Half a gap of 200 ms, and one way.
    let expected = 100_000_000 + raw.one_way.p50;
    assert!(poll.latency_p50.unwrap().abs_diff(expected) <= 1, "{poll:?}");
    assert!(poll.noise.unwrap() > 1_000_000, "{poll:?}");
    assert_eq!(limit(&summary, "stream").latency_p50, Some(raw.one_way.p50));
    assert_eq!(limit(&summary, "stream").noise, Some(0));
    assert_eq!(limit(&summary, "dialled").latency_p50, Some(raw.new_connection.p50));
    for name in ["poll", "stream", "dialled"] {
        let limit = limit(&summary, name);
        let beyond = limit.delivery_p50.unwrap().abs_diff(limit.latency_p50.unwrap());
        assert_eq!(limit.overhead_p50.unwrap().unsigned_abs(), beyond, "{name}");
    }
    let check = summary.verdict.checks.iter().find(|check| check.id == "faster-than-limit");
    assert_eq!(check.unwrap().status, CheckStatus::Pass, "{check:?}");
}

#[test]
fn injected_distance_is_part_of_the_limit_and_not_of_the_raw_transfer() {
    const RTT: Duration = Duration::from_millis(100);
    let (raw, summary) = run_with(&["network.rtt=100ms", "network.tier=sockets"]);
    // However slow the machine: no raw socket waits for the injected distance.
    assert!(raw.one_way.min < nanoseconds(RTT) / 2, "{raw:?}");
    let expected = raw.one_way.p50 + nanoseconds(RTT) / 2;
    assert_eq!(limit(&summary, "stream").latency_p50, Some(expected));
    // A connection costs a round trip more.
    let expected = raw.new_connection.p50 + nanoseconds(RTT) / 2 * 3;
    assert_eq!(limit(&summary, "dialled").latency_p50, Some(expected));
    let check = summary.verdict.checks.iter().find(|check| check.id == "faster-than-limit");
    assert_eq!(check.unwrap().status, CheckStatus::Pass, "{check:?}");
}
