//! How often checks are wrong: false alarms on sound runs, and faults that they miss.
//!
//! ```sh
//! cargo bench --bench checks -- clean 100   # sound runs; what each check said of them
//! cargo bench --bench checks -- faults 5    # every fault, five times; how often it was caught
//! ```
//!
//! Run it on a machine with nothing else to do: a check that notices other work is right.

#![expect(clippy::print_stdout, reason = "a benchmark's result goes to stdout")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use pollpush::analysis::summary::{CheckStatus, Summary};
use pollpush::analysis::validity::{CHECKS, Proof};
use pollpush::fault::Fault;

/// A poll and a webhook as people compare them.
const SCENARIO: &str = r#"
title = "Sound"
[events]
rate = "150/s"
[run]
warm-up = "500ms"
duration = "3s"
drain = "2s"
[[strategy]]
name = "poll"
mechanism = "poll"
every = "100ms"
[[strategy]]
name = "webhook"
mechanism = "webhook"
concurrency = 1
"#;

/// What the control checks need: one strategy twice, or a delay that is known.
fn scenario(check: &str) -> String {
    match check {
        "a-a" => SCENARIO.replace("poll\"\nevery = \"100ms\"", "webhook\"\nconcurrency = 1"),
        "known-delay" => format!(
            "{SCENARIO}[[strategy]]\nname = \"control\"\nmechanism = \"null\"\ndelay = \"50ms\"\n"
        ),
        _ => SCENARIO.to_owned(),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let times = words.get(1).and_then(|word| word.parse().ok());
    match words.first().map(String::as_str) {
        Some("clean") => clean(times.unwrap_or(100)),
        Some("faults") => faults(times.unwrap_or(3)),
        // `cargo bench` without words runs all benches: this one only shows that it works.
        _ => clean(1),
    }
}

/// What the checks say of one run of a scenario.
fn run(text: &str, seed: u64, fault: Option<Fault>, settings: &[&str]) -> Option<Summary> {
    let place = tempfile::tempdir().expect("a folder");
    let scenario = place.path().join("scenario.toml");
    std::fs::write(&scenario, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.args([Path::new("run"), &scenario]);
    command.args(["--format", "json", "--seed", &seed.to_string()]);
    command.arg("--out").arg(place.path().join("results"));
    // Runs are sound or faulty by themselves, whatever is known about the machine.
    command.env("POLLPUSH_STATE_DIR", place.path());
    for setting in settings {
        command.args(["--set", setting]);
    }
    if let Some(fault) = fault {
        command.args(["--inject", fault.name()]);
    }
    let ended = command.stderr(Stdio::null()).output().expect("the program runs");
    serde_json::from_slice(&ended.stdout).ok()
}

/// Runs sound scenarios and counts what each check said.
fn clean(times: u64) {
    let mut said: BTreeMap<String, [u64; 5]> = BTreeMap::new();
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    let mut alarms: Vec<String> = Vec::new();
    for seed in 0..times {
        let Some(summary) = run(SCENARIO, seed, None, &[]) else { continue };
        *verdicts.entry(format!("{:?}", summary.verdict.status)).or_default() += 1;
        for check in summary.verdict.checks {
            if check.status >= CheckStatus::Warn {
                alarms.push(format!("seed {seed}: {} {}", check.id, check.message));
            }
            said.entry(check.id).or_default()[place(check.status)] += 1;
        }
    }
    println!("| check | pass | not available | info | warn | fail | alarms |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for check in CHECKS {
        let [pass, unavailable, info, warn, fail] = said.remove(check.id).unwrap_or_default();
        let runs = (pass + unavailable + info + warn + fail).max(1);
        let alarms = 100.0 * (warn + fail) as f64 / runs as f64;
        println!(
            "| {} `{}` | {pass} | {unavailable} | {info} | {warn} | {fail} | {alarms:.0} % |",
            check.code, check.id
        );
    }
    println!("\nverdicts of {times} runs: {verdicts:?}");
    for alarm in &alarms {
        println!("{alarm}");
    }
}

fn place(status: CheckStatus) -> usize {
    match status {
        CheckStatus::Pass => 0,
        CheckStatus::Unavailable => 1,
        CheckStatus::Info => 2,
        CheckStatus::Warn => 3,
        CheckStatus::Fail => 4,
    }
}

/// Plants every fault and counts how often its check noticed.
fn faults(times: u64) {
    println!("| check | fault | caught |");
    println!("| --- | --- | ---: |");
    for check in CHECKS {
        let Proof::Fault { fault, with } = check.proof else {
            println!("| {} `{}` | not by a fault | |", check.code, check.id);
            continue;
        };
        let caught = (0..times).filter(|seed| {
            let summary = run(&scenario(check.id), *seed, Some(fault), with);
            summary.is_some_and(|summary| {
                let found = summary.verdict.checks.iter().find(|one| one.id == check.id);
                found.is_some_and(|one| one.status >= CheckStatus::Warn)
            })
        });
        let caught = caught.count();
        println!("| {} `{}` | `{fault}` | {caught} of {times} |", check.code, check.id);
    }
}
