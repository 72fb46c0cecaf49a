//! Every check is alive: the fault that it is for trips it, in a real run.
//!
//! The other side, how often checks are wrong on sound runs, is measured by
//! `cargo bench --bench checks` and published in METHODOLOGY.md.

use std::collections::BTreeMap;
use std::fs;

use pollpush::analysis::summary::{CheckStatus, Summary};
use pollpush::analysis::validity::{CHECKS, CheckEntry, Proof};
use pollpush::fault::Fault;

use crate::network::is_privileged;
use crate::program::{Place, pollpush};

/// A poll and a webhook in their usual state: enough events for every statistic of one block.
const USUAL: &str = r#"
title = "Harmed"
[events]
rate = "150/s"
payload = "256 B"
[run]
warm-up = "300ms"
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

/// The usual scenario as a check needs it.
fn scenario(check: &str) -> String {
    match check {
        "equal-conditions" => format!("{USUAL}tls = true\n"),
        // One connection would spend its time waiting for packets to be sent again.
        "loss" => USUAL.replace("concurrency = 1", "concurrency = 16"),
        "phase-lock" => USUAL.replace("100ms", "1s"),
        "a-a" => USUAL
            .replace(
                "name = \"poll\"\nmechanism = \"poll\"\nevery = \"100ms\"",
                "name = \"one\"\nmechanism = \"webhook\"\nconcurrency = 1",
            )
            .replace("name = \"webhook\"", "name = \"other\""),
        "known-delay" => format!(
            "{USUAL}[[strategy]]\nname = \"control\"\nmechanism = \"null\"\ndelay = \"50ms\"\n"
        ),
        _ => USUAL.to_owned(),
    }
}

/// What every check says of a run of the scenario that a check needs, with a fault in it.
fn statuses(
    check: &str,
    fault: Option<Fault>,
    with: &[&str],
) -> BTreeMap<String, (CheckStatus, String)> {
    let place = Place::with(&scenario(check));
    let mut arguments: Vec<String> =
        place.run_arguments().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    arguments.extend(["--format".to_owned(), "json".to_owned()]);
    for setting in with {
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    arguments
        .extend(fault.into_iter().flat_map(|fault| ["--inject".to_owned(), fault.to_string()]));
    let ended = pollpush(&arguments);
    // A harmed run is invalid; one whose only trial was killed has measured nothing.
    ended.expect_code(if fault.is_some() { &[1, 4] } else { &[0, 4] });
    if check == "sealed" {
        return after_an_edit(&place);
    }
    let summary: Summary = serde_json::from_str(&ended.stdout).unwrap();
    by_check(summary)
}

/// What every check says of a run in which a byte of evidence was changed afterwards.
fn after_an_edit(place: &Place) -> BTreeMap<String, (CheckStatus, String)> {
    let run = place.only_run();
    let ledger = fs::read_dir(run.join("ledger")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&ledger).unwrap();
    let middle = bytes.len() / 2;
    // In the data pages, where the file stays readable or not as chance has it: the digest
    // differs either way.
    bytes[middle] ^= 1;
    fs::write(&ledger, bytes).unwrap();
    let path = run.to_string_lossy().into_owned();
    let ended = pollpush(["report", &path, "--format", "json"]);
    if let Ok(summary) = serde_json::from_str(&ended.stdout) {
        return by_check(summary);
    }
    // An unreadable ledger is named, and nothing is reported of it.
    ended.expect_code(&[1]);
    BTreeMap::from([("sealed".to_owned(), (CheckStatus::Fail, ended.stderr))])
}

fn by_check(summary: Summary) -> BTreeMap<String, (CheckStatus, String)> {
    summary.verdict.checks.into_iter().map(|one| (one.id, (one.status, one.message))).collect()
}

/// The least that a check must say when it is tripped: a few only tell.
fn least(check: &str) -> CheckStatus {
    match check {
        "network-path" | "enough-samples" | "equal-conditions" => CheckStatus::Info,
        _ => CheckStatus::Warn,
    }
}

/// Checks whose proof cannot be had from a short run on any machine.
const BY_UNIT_TEST: &[&str] = &["recorder", "path-keeps-up"];

/// Checks of paths of packets, which not everybody may make.
const BY_PRIVILEGE: &[&str] = &["raw-round-trip", "loss"];

#[test]
fn every_fault_trips_the_check_that_is_for_it() {
    let mut asleep = Vec::new();
    let is_privileged = is_privileged();
    for CheckEntry { id, proof, .. } in CHECKS {
        if !is_privileged && BY_PRIVILEGE.contains(id) {
            continue;
        }
        let (fault, with): (_, &[&str]) = match proof {
            Proof::Fault { fault, with } => (Some(*fault), with),
            Proof::Otherwise(_) if BY_UNIT_TEST.contains(id) => continue,
            Proof::Otherwise(_) if *id == "unharmed" => (Some(Fault::LoseRow), &[]),
            Proof::Otherwise(_) if *id == "phase-lock" => {
                (None, &["events.arrivals=constant", "events.rate=10/s", "run.drain=3s"])
            }
            Proof::Otherwise(_) => (None, &[]),
        };
        // A machine that is busy may hide one fault behind another; three times in a row it does
        // not.
        let tripped = (0..3).find_map(|_| {
            let found = statuses(id, fault, with).remove(*id);
            let (status, message) = found.unwrap_or((CheckStatus::Pass, "no finding".to_owned()));
            if status < least(id) {
                asleep.push(format!("{id}: {status:?}: {message}"));
            }
            (status >= least(id)).then_some(())
        });
        if tripped.is_some() {
            asleep.retain(|said| !said.starts_with(&format!("{id}:")));
        }
    }
    assert!(asleep.is_empty(), "these checks slept through what they are for: {asleep:#?}");
}

/// Deliveries may be harmed in more than one way, and the ledger tells each of them.
#[test]
fn the_ledger_tells_what_was_dropped_doubled_and_swapped() {
    for (fault, said) in [
        (Fault::DuplicateDelivery, "duplicated"),
        (Fault::SwapDeliveries, "out of order"),
        (Fault::DropDelivery, "lost"),
    ] {
        let (status, message) = statuses("ledger", Some(fault), &[]).remove("ledger").unwrap();
        assert!(status >= CheckStatus::Info, "{fault}: {message}");
        assert!(message.contains(said), "{fault}: {message}");
    }
}
