//! Thresholds: judged by the record, told to people and machines, and in the exit code.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pollpush::analysis::summary::Summary;
use pollpush::record::run::Run;
use pollpush::record::sample::Sample;

use crate::program::{Ended, Place, Program, pollpush};

/// A fixed run of six blocks.
fn sample() -> (Place, PathBuf) {
    let place = Place::new();
    let sample = Sample { blocks: 6, ..Sample::default() };
    let run = sample.write(&place.path("results")).unwrap();
    (place, run)
}

fn report(run: &Path, options: &[&str]) -> Ended {
    let options = options.iter().map(OsStr::new);
    pollpush([OsStr::new("report"), run.as_os_str()].into_iter().chain(options))
}

#[test]
fn the_exit_code_says_whether_all_are_met() {
    let (_place, run) = sample();
    let poll = "poll four times a second: latency.p50";
    for (expectations, code) in [
        (&["webhook: latency.p50 < 50ms", "webhook: loss = 0"][..], 0),
        (&["webhook: latency.p50 < 50ms", &format!("{poll} < 50ms")], 3),
        // A median of about 125 ms whose blocks lie to both sides of it.
        (&[&format!("{poll} < 125ms")], 3),
        // Too few events for such a tail.
        (&["webhook: latency.p999 < 1s"], 3),
        (&["webhok: loss = 0"], 2),
        (&["webhook: lost = 0"], 2),
        (&["webhook: loss = 0 at events.rate=5/s"], 2),
        (&["webhook: cost < 5"], 2),
    ] {
        let options: Vec<&str> = expectations.iter().flat_map(|text| ["--expect", *text]).collect();
        report(&run, &options).expect_code(&[code]);
    }
}

#[test]
fn what_is_asked_of_a_report_is_told_and_changes_nothing_in_the_folder() {
    let (place, run) = sample();
    report(&run, &[]).expect_code(&[0]);
    let summary = fs::read_to_string(run.join("summary.json")).unwrap();
    let junit = place.path("thresholds.xml");
    let junit = junit.to_str().unwrap();
    let expect = "webhook: latency.p50 < 1us";
    let ended = report(&run, &["--expect", expect, "--junit", junit]);
    ended.expect_code(&[3]);
    assert!(ended.stdout.contains("Thresholds\n  FAIL webhook: latency.p50 < 1us — missed: "));
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
    assert!(xml.contains("name=\"webhook: latency.p50 &lt; 1us\"><failure type=\"missed\""));
    assert_eq!(fs::read_to_string(run.join("summary.json")).unwrap(), summary);
    assert!(!run.join("junit.xml").exists());
    assert_eq!(Run::open(&run).unwrap().verify().unwrap(), []);
    let json = report(&run, &["--expect", expect, "--format", "json"]);
    let summary: Summary = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((summary.thresholds.len(), summary.thresholds[0].passed), (1, false));
}

#[test]
fn workflows_are_told_on_stderr_and_results_stay_on_stdout() {
    let (_place, run) = sample();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.env("GITHUB_ACTIONS", "true").arg("report").arg(&run);
    command.args(["--expect", "webhook: latency.p50 < 1us", "--expect", "webhook: loss = 0"]);
    command.args(["--expect", "webhook: latency.p999 < 1s"]);
    let ended = Program::launch(command).wait();
    ended.expect_code(&[3]);
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("::")).collect();
    let [missed, open] = told[..] else { panic!("two annotations: {told:?}") };
    let start = "::error title=pollpush threshold::webhook: latency.p50 < 1us — missed: ";
    assert!(missed.starts_with(start), "{missed}");
    assert!(
        open.starts_with("::warning title=pollpush threshold::webhook: latency.p999"),
        "{open}"
    );
    assert!(!ended.stdout.contains("::error"));
}

#[test]
fn a_run_carries_what_its_scenario_wants_into_its_record() {
    let place = Place::with(
        "title = 'wanted'\n[events]\nrate = '40/s'\n[run]\nwarm-up = '200ms'\nduration = '1s'\n\
         [objective]\nrequire = ['loss = 0']\nminimise = 'cost'\n\
         [prices]\ncurrency = 'EUR'\nsource-per-million-requests = 1\nsubscribers = [1000]\n\
         [[threshold]]\nexpect = 'hook: requests.per_event > 100'\n\
         [[strategy]]\nname = 'hook'\nmechanism = 'webhook'\n\
         [[strategy]]\nname = 'poll'\nmechanism = 'poll'\nevery = '100ms'\n",
    );
    let mut arguments = place.run_arguments();
    arguments.extend(["--expect", "poll: loss = 0"].map(PathBuf::from));
    // A machine that is too busy to be trusted says so instead.
    pollpush(&arguments).expect_code(&[3, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    let aims = &run.manifest.aims;
    let expected: Vec<String> = aims.thresholds.iter().map(ToString::to_string).collect();
    assert_eq!(expected, ["hook: requests.per_event > 100", "poll: loss = 0"]);
    let text = fs::read_to_string(run.path().join("summary.json")).unwrap();
    let summary: Summary = serde_json::from_str(&text).unwrap();
    let decision = summary.decision.expect("an objective");
    assert_eq!(
        (decision.require, decision.minimise),
        (vec!["loss = 0".into()], Some("cost.month".into()))
    );
    // One block decides nothing, whatever the machine was doing.
    assert!(decision.sentence.contains("Undecided") || decision.sentence.contains("invalid"));
    let passed: Vec<bool> = summary.thresholds.iter().map(|result| result.passed).collect();
    assert!(!passed[0], "no webhook makes a hundred requests an event");
    assert_eq!(summary.costs.expect("prices").currency, "EUR");
    let junit = fs::read_to_string(run.path().join("junit.xml")).unwrap();
    assert!(junit.contains("hook: requests.per_event &gt; 100"), "{junit}");
    assert_eq!(run.verify().unwrap(), []);
}
