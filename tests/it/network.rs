//! Paths of packets between source and subscribers: the kernel's own TCP over a distance, and
//! nothing left of it, however a run ends.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pollpush::analysis::summary::{CheckStatus, StrategySummary, Summary};
use pollpush::network::tier::{Offer, Tier};
use pollpush::record::limit::Calibration;
use pollpush::record::run::Run;
use pollpush::record::trial::{Measured, Outcome};
use pollpush::units::nanoseconds;
use rustix::process::Signal;

use crate::program::{Place, Program, eventually, pollpush};

/// The place among a trial's workers of the one that makes the paths.
pub(crate) const ROUTER: usize = 1_000;

const RTT: Duration = Duration::from_millis(70);

/// A poll, and webhooks on kept and on new connections, over a distance.
const SCENARIO: &str = r#"
title = "At a distance"

[network]
rtt  = "70ms"
tier = "router"

[events]
rate = "20/s"

[run]
warm-up  = "500ms"
duration = "3s"
repeats  = 1
seed     = 3

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "200ms"
client    = "hyper"

[[strategy]]
name        = "kept"
mechanism   = "webhook"
concurrency = 8

[[strategy]]
name        = "new"
mechanism   = "webhook"
concurrency = 8
keep-alive  = false

[[strategy]]
name        = "new, TLS"
mechanism   = "webhook"
concurrency = 8
keep-alive  = false
tls         = true
"#;

/// Whether paths of packets can be made here; says so where they cannot. They always can in
/// `.ci/run`, which runs as root.
#[expect(clippy::print_stderr, reason = "a test that is not made says so")]
pub(crate) fn is_privileged() -> bool {
    let Some(why) = Offer::of_this_machine().router else { return true };
    assert!(std::env::var_os("CI").is_none(), "no router can be made: {why}");
    eprintln!("skipped: no router can be made: {why}");
    false
}

fn summary(run: &Path) -> Summary {
    serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap()
}

fn check(summary: &Summary, id: &str) -> CheckStatus {
    summary.verdict.checks.iter().find(|check| check.id == id).unwrap().status
}

/// The inodes of the network namespaces that workers of a program live in.
pub(crate) fn namespaces(program: &Program) -> Vec<u64> {
    let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
    let of = |pid: i32| Some(fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino());
    let mut found: Vec<u64> = program.worker_pids().into_iter().filter_map(of).collect();
    found.retain(|namespace| *namespace != own);
    found
}

/// Whether any process, descriptor or mount of the machine still holds one of these namespaces of a
/// program: then the kernel keeps it. Those of other programs under test are new ones: the kernel
/// gives numbers again.
pub(crate) fn is_held(program: &Program, namespaces: &[u64]) -> bool {
    let named: Vec<String> = namespaces.iter().map(|inode| format!("net:[{inode}]")).collect();
    let leads_there = |link: &Path| {
        fs::read_link(link).is_ok_and(|to| named.iter().any(|name| to.to_string_lossy() == *name))
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let processes = processes.filter(|process| !program.is_anothers(process));
    named.iter().any(|name| mounts.contains(name.as_str()))
        || processes.into_iter().any(|process| {
            let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
            leads_there(&process.join("ns/net"))
                || descriptors.into_iter().any(|descriptor| leads_there(&descriptor.path()))
        })
}

/// Waits until the trial's workers live in namespaces of their own, and returns those.
fn once_apart(program: &Program) -> Vec<u64> {
    eventually("entering the namespaces", || {
        let found = namespaces(program);
        // The source, and the subscribers of four strategies.
        (found.len() == 5).then_some(found)
    })
}

#[test]
fn a_new_connection_costs_the_round_trips_that_it_should() {
    if !is_privileged() {
        return;
    }
    let place = Place::with(SCENARIO);
    let mut program = place.start();
    let apart = once_apart(&program);
    let ended = program.wait_here();
    ended.expect_code(&[0, 4]);
    assert!(ended.stdout.contains("tier router"), "{}", ended.stdout);
    program.expect_nothing_left();
    eventually("the end of the namespaces", || (!is_held(&program, &apart)).then_some(()));

    let run = Run::open(&place.only_run()).unwrap();
    for record in &run.records {
        assert_eq!(record.outcome, Outcome::Completed);
        let network = record.workload.network.as_ref().unwrap();
        assert_eq!((network.tier, record.workload.rtt), (Some(Tier::Router), Some(RTT)));
        let Measured { network, limit, machine, .. } = record.measured.as_ref().unwrap();
        let traffic = network.unwrap().traffic;
        assert!(traffic.up.packets > 50 && traffic.down.packets > 50, "{traffic:?}");
        assert_eq!((traffic.up.lost, traffic.down.lost), (0, 0));
        assert!(network.unwrap().cpu_ns > 0);
        let raw = limit.as_ref().and_then(Calibration::limit).unwrap();
        // What takes longest on a busy machine is not the quickest of them.
        let about = |found: u64, halves: u64| {
            let half = nanoseconds(RTT / 2);
            (halves * half..(halves + 1) * half).contains(&found)
        };
        assert!(about(raw.round_trip.min, 2), "{raw:?}");
        assert!(about(raw.new_connection.min, 3), "{raw:?}");
        // Two strategies dial for every event; the kernel counts them in their namespaces.
        let dialled = machine.as_ref().unwrap().connections_dialled.unwrap();
        assert!(dialled >= 2 * 20, "{dialled}");
    }
    let summary = summary(run.path());
    assert_eq!(check(&summary, "round-trip"), CheckStatus::Pass);
    assert_eq!(check(&summary, "loss"), CheckStatus::Pass);
    assert_eq!(check(&summary, "path-keeps-up"), CheckStatus::Pass);
    let path = summary.points[0].conditions.path.as_ref().unwrap();
    assert_eq!((path.tier, path.lost), (Tier::Router, 0));
    assert!(path.packets > 0 && path.cpu > 0, "{path:?}");

    let strategy = |name: &str| -> &StrategySummary {
        let mut strategies = summary.points[0].strategies.iter();
        strategies.find(|strategy| strategy.name == name).unwrap()
    };
    let least = |name: &str| strategy(name).latency.min.unwrap();
    // One way; one and a round trip of TCP; one and another of TLS.
    for (name, ways) in [("kept", 1), ("new", 3), ("new, TLS", 5), ("poll", 1)] {
        let half = nanoseconds(RTT / 2);
        assert!((ways * half..(ways + 1) * half).contains(&least(name)), "{name}: {}", least(name));
        assert_eq!(strategy(name).events.lost, 0, "{name}");
    }
    // A stall on a busy machine leaves too few independent events for a median.
    let mean = |name: &str| strategy(name).latency.mean.unwrap();
    assert!(mean("kept") < mean("new") && mean("new") < mean("new, TLS"));
    let opened = |name: &str| strategy(name).connections.opened;
    // One for each courier, and the one of the registration.
    assert!(opened("kept") <= 8 + 1, "{}", opened("kept"));
    assert!(opened("new") >= strategy("new").events.delivered, "one for each");
}

/// Subscribers that are killed while webhooks are on their way to them.
const KILL: &str = r#"
title = "A kill at a distance"

[network]
rtt  = "20ms"
tier = "router"

[events]
rate     = "40/s"
arrivals = "constant"

[run]
warm-up  = "500ms"
duration = "3s"
drain    = "5s"
repeats  = 1

[[fault]]
at   = "1s"
for  = "300ms"
who  = "subscriber"
what = "crash"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
sign      = "standard-webhooks"
retries   = ["100ms", "200ms", "400ms", "800ms", "1600ms"]
"#;

#[test]
fn subscribers_that_are_started_again_are_at_the_same_distance() {
    if !is_privileged() {
        return;
    }
    let place = Place::with(KILL);
    pollpush(place.run_arguments()).expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    let [record] = &run.records[..] else { panic!("{:?}", run.records) };
    let measured = record.measured.as_ref().unwrap_or_else(|| panic!("{:?}", record.outcome));
    assert_eq!(measured.subscriber.lives.len(), 1);
    let machine = measured.machine.as_ref().unwrap();
    assert!(machine.connections_dialled.is_some(), "the counters outlive a process");
    let until = measured.subscriber.lives[0].ready;
    let ledger = run.ledger(record).unwrap().unwrap();
    let way = nanoseconds(Duration::from_millis(10));
    let due_again = ledger.due.iter().filter(|due| **due > until).count();
    assert!(due_again > 0, "events are due in the second life");
    for ((due, emitted), arrived) in ledger.due.iter().zip(&ledger.emitted).zip(&ledger.arrived) {
        assert!(arrived.is_some_and(|arrived| arrived >= emitted + way), "the event due at {due}");
    }
    assert_eq!(measured.events.lost, 0);
}

#[test]
fn nothing_is_left_of_a_path_when_the_coordinator_is_killed() {
    if !is_privileged() {
        return;
    }
    let place = Place::with(SCENARIO);
    let mut program = place.start();
    let apart = once_apart(&program);
    assert!(is_held(&program, &apart));
    program.signal(Signal::KILL);
    program.wait_here();
    program.expect_nothing_left();
    eventually("the end of the namespaces", || (!is_held(&program, &apart)).then_some(()));
}

#[test]
fn a_trial_does_not_outlive_what_makes_its_paths() {
    if !is_privileged() {
        return;
    }
    let place = Place::with(SCENARIO);
    let mut program = place.start();
    let apart = once_apart(&program);
    // Then everybody is ready.
    eventually("the calibration", || program.worker(0).has_thread("calibration").then_some(()));
    program.worker(ROUTER).signal(Signal::KILL);
    program.wait_here().expect_code(&[1]);
    program.expect_nothing_left();
    eventually("the end of the namespaces", || (!is_held(&program, &apart)).then_some(()));
    let run = Run::open(&place.only_run()).unwrap();
    for record in &run.records {
        let Outcome::Spoilt { reason } = &record.outcome else { panic!("{:?}", record.outcome) };
        assert!(reason.starts_with("the network (pid "), "{reason}");
        assert!(reason.contains("was killed by signal 9"), "{reason}");
    }
}

#[test]
fn lost_packets_are_counted_and_tcp_makes_them_good() {
    if !is_privileged() {
        return;
    }
    let place = Place::with(SCENARIO);
    let mut arguments = place.run_arguments();
    for set in ["network.rtt=10ms", "network.loss=5%", "network.jitter=1ms"] {
        arguments.extend(["--set".into(), set.into()]);
    }
    pollpush(arguments).expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    let summary = summary(run.path());
    assert_eq!(check(&summary, "loss"), CheckStatus::Pass);
    assert!(summary.points[0].conditions.path.as_ref().unwrap().lost > 0);
    for strategy in &summary.points[0].strategies {
        assert_eq!(strategy.events.lost, 0, "{}", strategy.name);
        // Closed forms do not know of losses.
        assert!(strategy.model.is_none(), "{}", strategy.name);
    }
    let machine = run.records[0].measured.as_ref().unwrap().machine.as_ref().unwrap();
    assert!(machine.retransmitted.unwrap() > 0);
}

/// A program that may not make namespaces, though it is root.
fn without_privilege(place: &Place, sets: &[&str]) -> Option<Program> {
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-sys_admin,-net_admin").arg("--inh-caps=-all").arg("true");
    if !command.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-sys_admin,-net_admin").arg("--inh-caps=-all");
    command.arg(env!("CARGO_BIN_EXE_pollpush")).args(place.run_arguments());
    for set in sets {
        command.args(["--set", set]);
    }
    Some(Program::launch(command))
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is not made says so")]
fn without_privilege_the_path_is_made_in_the_program_unless_a_tier_is_forced() {
    let place = Place::with(&SCENARIO.replace("tier = \"router\"\n", ""));
    let Some(mut program) = without_privilege(&place, &["run.duration=500ms"]) else {
        eprintln!("skipped: privileges cannot be dropped here");
        return;
    };
    let ended = program.wait_here();
    ended.expect_code(&[0, 4]);
    assert!(ended.stderr.contains("tier `sockets`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("making a network namespace"), "{}", ended.stderr);
    assert!(ended.stdout.contains("tier sockets"), "{}", ended.stdout);
    let run = Run::open(&place.only_run()).unwrap();
    let network = run.records[0].workload.network.as_ref().unwrap();
    assert_eq!(network.tier, Some(Tier::Sockets));
    assert_eq!(check(&summary(run.path()), "raw-round-trip"), CheckStatus::Unavailable);

    for (sets, said) in [
        (&["network.tier=router"][..], "run as root"),
        (&["network.loss=1%"], "cannot lose packets"),
        (&["network.congestion=cubic"], "congestion control"),
    ] {
        let place = Place::with(&SCENARIO.replace("tier = \"router\"\n", ""));
        let ended = without_privilege(&place, sets).unwrap().wait();
        ended.expect_code(&[2]);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!ended.stderr.contains("recording into"), "{}", ended.stderr);
    }
}
