//! What the command line says, word for word: help, errors, lists, and a report made from a
//! fixed record.

use std::path::Path;

use insta::assert_snapshot;
use pollpush::record::sample::Sample;

use crate::program::{Ended, Place, pollpush};

/// Both streams and the exit code of an invocation.
fn transcript(ended: &Ended) -> String {
    let mut text = format!("exit {}\n", ended.code().unwrap());
    for (name, stream) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        if !stream.is_empty() {
            text = format!("{text}--- {name}\n{stream}");
        }
    }
    text.replace(env!("CARGO_PKG_VERSION"), "[version]")
}

fn said(line: &str) -> String {
    transcript(&pollpush(line.split_whitespace()))
}

/// What is said about a run folder, without the path of the place it is in.
fn said_of(run: &Path, place: &Place, options: &[&str]) -> String {
    let mut arguments = vec!["report".as_ref(), run.as_os_str()];
    arguments.extend(options.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
    let place = place.path("");
    transcript(&pollpush(arguments)).replace(&*place.to_string_lossy(), "[place]/")
}

#[test]
fn help_is_given_for_the_program_and_every_verb() {
    assert_snapshot!("help", said("--help"));
    for verb in [
        "run",
        "check",
        "report",
        "compare",
        "cite",
        "verify",
        "reproduce",
        "project",
        "serve",
        "receive",
        "doctor",
        "scenarios",
        "mechanisms",
        "checks",
        "schema",
        "completions",
        "man",
    ] {
        assert_snapshot!(format!("help_{verb}"), said(&format!("{verb} --help")));
    }
    assert_snapshot!("help_scenarios_export", said("scenarios export --help"));
}

#[test]
fn no_verb_is_missing_from_the_help_tests() {
    let help = pollpush(["--help"]).stdout;
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<&str> = verbs
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected =
        "run check report compare cite verify reproduce project serve receive doctor scenarios \
         mechanisms checks schema completions man help"
            .split_whitespace();
    assert_eq!(verbs, expected.collect::<Vec<_>>());
}

#[test]
fn the_version_is_the_package_s() {
    let version = pollpush(["--version"]);
    version.expect_code(&[0]);
    assert_eq!(version.stdout, format!("pollpush {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn mistakes_are_answered_with_what_to_do_instead() {
    assert_snapshot!("error_no_verb", said(""));
    assert_snapshot!("error_unknown_verb", said("rum quickstart"));
    assert_snapshot!("error_unknown_scenario", said("run quickstrat"));
    assert_snapshot!("error_unknown_path", said("check quickstart --set events.rat=5/s"));
    assert_snapshot!("error_bad_value", said("check quickstart --set events.rate=fast"));
    assert_snapshot!("error_no_value", said("check quickstart --set events.rate"));
    assert_snapshot!("error_bad_duration", said("run quickstart --duration soon"));
    assert_snapshot!("error_negative_seed", said("check quickstart --seed -1"));
    assert_snapshot!("error_unknown_format", said("check quickstart --format xml"));
    assert_snapshot!("error_bad_rate_to_serve", said("serve --rate -5/s"));
    assert_snapshot!("error_no_run", said("report no-such-folder"));
    assert_snapshot!(
        "error_unknown_measure",
        transcript(&pollpush(["run", "quickstart", "--expect", "webhook: latncy.p99 < 1s"]))
    );
    assert_snapshot!(
        "error_unknown_strategy",
        transcript(&pollpush(["run", "quickstart", "--expect", "webhok: loss = 0"]))
    );
}

#[test]
fn lists_and_plans_read_as_they_should() {
    assert_snapshot!("check_quickstart", said("check quickstart -v"));
    assert_snapshot!("check_quickstart_csv", said("check quickstart --format csv"));
    assert_snapshot!("check_rate_sweep_markdown", said("check rate-sweep --format markdown"));
    assert_snapshot!("scenarios", said("scenarios"));
    assert_snapshot!("mechanisms", said("mechanisms"));
}

#[test]
fn a_fixed_record_is_always_projected_in_the_same_words() {
    let place = Place::new();
    let sample = Sample { blocks: 6, ..Sample::default() };
    let run = sample.write(&place.path("results")).unwrap();
    let run = run.to_str().unwrap();
    let arguments = ["project", run, "--subscribers", "1e6", "--rate", "2/s"];
    assert_snapshot!("project_table", transcript(&pollpush(arguments)));
    let few = ["project", run, "--subscribers", "0"];
    pollpush(few).expect_code(&[2]);
}

#[test]
fn a_fixed_record_is_always_reported_in_the_same_words() {
    let place = Place::new();
    let run = Sample::default().write(&place.path("results")).unwrap();
    assert_snapshot!("report_table", said_of(&run, &place, &["--format", "table"]));
    assert_snapshot!("report_markdown", said_of(&run, &place, &["--format", "markdown", "-q"]));
    assert_snapshot!("report_csv", said_of(&run, &place, &["--format", "csv", "--quiet"]));
}
