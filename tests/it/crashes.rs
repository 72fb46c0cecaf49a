//! A process of a run killed (SIGKILL) at a random moment: every record that was on disk is readable
//! afterwards, and nothing is left of the run but its folder: no process, no network namespace, no
//! temporary file.
//!
//! A dozen kills here; `just crashes` makes a thousand.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use pollpush::clock::{self, Moment};
use pollpush::record::manifest::RunStatus;
use pollpush::record::run::Run;
use pollpush::record::trial::Outcome;
use pollpush::units::nanoseconds;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use crate::network::{ROUTER, is_held, is_privileged, namespaces};
use crate::program::{
    Ended, Place, Program, eventually, files_below, pollpush, side_by_side, unfinished,
};

/// The variable that says how many kills are made, such as `1000`, or which of them, such as
/// `417..418`.
const KILLS: &str = "POLLPUSH_TEST_KILLS";

/// Those that are made without it.
const FEW: Range<usize> = 0..12;

/// Runs at a time: most of a run is waiting, and other tests run beside this one.
const AT_ONCE: usize = 2;

/// Seeds every random moment and victim.
const SEED: u64 = 0x6b69_6c6c;

/// Where there are workers, so many kills are of one of them.
const OF_WORKERS: f64 = 0.6;

/// Of the runs that can go on, so many do.
const GOING_ON: f64 = 0.1;

/// How many runs may come to their end before their moment has come.
const ATTEMPTS: usize = 20;

/// How often a run is looked at until its moment has come.
const GLANCE: Duration = Duration::from_millis(2);

/// How often its namespaces are: looking takes a while.
const LONG_GLANCE: Duration = Duration::from_millis(100);

/// Blocks of every scenario.
const BLOCKS: usize = 2;

/// Strategies of every scenario.
const STRATEGIES: usize = 2;

/// What every scenario begins with.
const BEGINNING: &str = r#"
title = "To be killed"

[events]
rate     = "100/s"
arrivals = "constant"

[run]
warm-up  = "0s"
duration = "300ms"
drain    = "3s"
repeats  = 2
"#;

/// Both ways, side by side.
const SIDE_BY_SIDE: &str = r#"
[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "20ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
"#;

/// Connections that are kept open.
const STREAMS: &str = r#"
[[strategy]]
name      = "sse"
mechanism = "sse"

[[strategy]]
name      = "websocket"
mechanism = "websocket"
"#;

/// Subscribers that are killed by the scenario, too, and go on from their journals.
const DURABLE: &str = r#"
[[fault]]
at   = "60ms"
for  = "60ms"
who  = "subscriber"
what = "crash"

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "20ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
sign      = "standard-webhooks"
retries   = ["50ms", "100ms", "200ms", "400ms", "400ms"]
"#;

/// Packets that cross a path between network namespaces.
const AT_A_DISTANCE: &str = r#"
[network]
rtt  = "4ms"
tier = "router"

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "20ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
"#;

/// A scenario, and what becomes of it when nobody kills anything.
#[derive(Debug)]
struct Shape {
    scenario: String,
    /// How long it takes until its last trial is recorded.
    measuring: Duration,
    /// How long it takes from then on.
    reporting: Duration,
    /// Files of evidence in its folder.
    evidence: usize,
    /// Records, all trials together.
    records: usize,
}

impl Shape {
    /// Runs a scenario to its end.
    fn measured(rest: &str) -> Shape {
        let scenario = format!("{BEGINNING}{rest}");
        let place = Place::with(&scenario);
        let began = clock::now();
        let program = start(&place);
        place.wait_for_records(BLOCKS * STRATEGIES);
        let measured = clock::now();
        program.wait().expect_code(&[0, 4]);
        let run = Run::open(&place.only_run()).unwrap();
        Shape {
            scenario,
            measuring: measured.since(began),
            reporting: clock::now().since(measured),
            evidence: run.manifest.files.len(),
            records: run.records.len(),
        }
    }
}

/// Starts a run with a folder for temporary files of its own.
fn start(place: &Place) -> Program {
    let temporary = place.path("temporary");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.args(place.run_arguments()).env("TMPDIR", temporary);
    Program::launch(command)
}

/// The trial records of the place's run that are whole.
fn whole_lines(place: &Place) -> usize {
    let run = place.runs().into_iter().next();
    let trials = run.and_then(|run| fs::read(run.join("trials.jsonl")).ok()).unwrap_or_default();
    trials.split(|byte| *byte == b'\n').count() - 1
}

/// When a process is killed.
#[derive(Debug)]
enum When {
    /// So long after the start.
    At(Moment),
    /// As soon as the run folder has so many files, which is often while one is written.
    Files(usize),
}

impl When {
    fn random(random: &mut StdRng, shape: &Shape) -> When {
        let now = clock::now();
        match random.random_range(0..10) {
            0 => {
                let into = shape.reporting.mul_f64(random.random());
                When::At(now.after(shape.measuring + into))
            }
            1..4 => When::Files(random.random_range(1..=shape.evidence)),
            _ => When::At(now.after(shape.measuring.mul_f64(random.random()))),
        }
    }

    fn has_come(&self, place: &Place) -> bool {
        match self {
            When::At(moment) => clock::now() >= *moment,
            When::Files(count) => files_below(&place.path("results")).len() >= *count,
        }
    }
}

/// What kills came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    coordinators: usize,
    sources: usize,
    subscribers: usize,
    routers: usize,
    /// Runs of which a trial was spoilt.
    spoilt: usize,
    /// Runs that had no folder yet, or one without a manifest.
    unbegun: usize,
    /// Runs that had come to their end, short of the report.
    unreported: usize,
    went_on: usize,
    /// Records that were whole just before the kill.
    seen: usize,
    /// Records that were readable afterwards.
    readable: usize,
    /// The longest time from a kill of the coordinator until nothing was left of the run.
    longest: Duration,
    /// The longest time from a kill of a worker until its run had come to its end.
    longest_of_worker: Duration,
    /// The longest time until a trial was recorded that the kill of a worker did not spoil: it had
    /// nothing left to say.
    latest: Duration,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.coordinators += other.coordinators;
        self.sources += other.sources;
        self.subscribers += other.subscribers;
        self.routers += other.routers;
        self.spoilt += other.spoilt;
        self.unbegun += other.unbegun;
        self.unreported += other.unreported;
        self.went_on += other.went_on;
        self.seen += other.seen;
        self.readable += other.readable;
        self.longest = self.longest.max(other.longest);
        self.longest_of_worker = self.longest_of_worker.max(other.longest_of_worker);
        self.latest = self.latest.max(other.latest);
    }

    fn kills(&self) -> usize {
        self.coordinators + self.sources + self.subscribers + self.routers
    }
}

/// Kills one process of one run at a random moment and looks at what is left; `None` if the run
/// came to its end before.
fn kill_one(shape: &Shape, random: &mut StdRng) -> Option<Tally> {
    let place = Place::with(&shape.scenario);
    let when = When::random(random, shape);
    let mut program = start(&place);
    let (mut apart, mut looked) = (Vec::new(), clock::now());
    while !when.has_come(&place) {
        if program.has_ended() {
            return None;
        }
        if clock::now() >= looked {
            apart.extend(namespaces(&program));
            looked = clock::now().after(LONG_GLANCE);
        }
        std::thread::sleep(GLANCE);
    }
    apart.extend(namespaces(&program));
    let workers = if random.random_bool(OF_WORKERS) { program.workers() } else { Vec::new() };
    let victim = workers.choose(random);
    let mut tally = Tally { seen: whole_lines(&place), ..Tally::default() };
    let killed = clock::now();
    match victim {
        Some(worker) if !worker.kill_with(Signal::KILL) => return None,
        Some(worker) => match worker.index {
            0 => tally.sources = 1,
            ROUTER => tally.routers = 1,
            _ => tally.subscribers = 1,
        },
        None => {
            program.signal(Signal::KILL);
            tally.coordinators = 1;
        }
    }
    if victim.is_some() {
        eventually("the next record", || {
            (whole_lines(&place) > tally.seen || program.has_ended()).then_some(())
        });
        tally.latest = clock::now().since(killed);
    }
    let ended = program.wait_here();
    if victim.is_none() && ended.code().is_some() {
        return None;
    }
    program.expect_nothing_left();
    eventually("the end of the namespaces", || {
        (apart.is_empty() || !is_held(&program, &apart)).then_some(())
    });
    let took = clock::now().since(killed);
    let temporary = fs::read_dir(place.path("temporary")).unwrap().count();
    assert_eq!(temporary, 0, "something temporary is left");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    if victim.is_none() {
        tally.longest = took;
        after_the_coordinator(&place, random.random_bool(GOING_ON), &mut tally);
    } else {
        tally.longest_of_worker = took;
        after_a_worker(&place, &ended, shape, &mut tally);
    }
    assert!(tally.readable >= tally.seen, "{tally:?}");
    Some(tally)
}

/// Runs a verb on a run; whatever it ends with, it says so in words.
fn verb(name: &str, run: &Path, codes: &[i32]) -> Ended {
    let ended = pollpush([name.as_ref(), run.as_os_str()]);
    ended.expect_code(codes);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

/// Opens a run and reads everything that its records name.
fn read_all(run: &Path) -> Run {
    let run = Run::open(run).unwrap();
    for record in run.records.iter().filter(|record| record.outcome == Outcome::Completed) {
        let events = record.measured.as_ref().unwrap().events;
        let ledger = run.ledger(record).unwrap().unwrap();
        let window = nanoseconds(record.workload.window);
        assert_eq!(ledger.counts(0, window, false), events);
        assert!(run.histogram(record).unwrap().is_some());
    }
    run
}

/// Looks at what a killed coordinator left.
fn after_the_coordinator(place: &Place, goes_on: bool, tally: &mut Tally) {
    let Some(path) = place.runs().into_iter().next() else {
        tally.unbegun = 1;
        return;
    };
    if !path.join("manifest.json").exists() {
        tally.unbegun = 1;
        let ended = verb("report", &path, &[1]);
        let said = ["was killed before anything was measured", "check that it is a run folder"];
        assert!(said.iter().any(|said| ended.stderr.contains(said)), "{}", ended.stderr);
        return;
    }
    let run = read_all(&path);
    tally.readable = run.records.len();
    let verified = verb("verify", &path, &[0, 1]);
    let measured = run.records.iter().any(|record| record.measured.is_some());
    verb("report", &path, if measured { &[0, 4] } else { &[1] });
    assert_eq!(unfinished(&path), Vec::<PathBuf>::new());
    match run.manifest.status {
        RunStatus::Running => {
            assert!(verified.stdout.contains("killed before its end"), "{}", verified.stdout);
            if goes_on {
                go_on(place, &run);
                tally.went_on = 1;
            }
        }
        RunStatus::Complete => {
            tally.unreported = 1;
            let whole = verified.code() == Some(0)
                || verified.stdout.contains("evidence  as it was sealed; `pollpush report ");
            assert!(whole, "{}", verified.stdout);
            assert_eq!(Run::open(&path).unwrap().verify().unwrap(), []);
        }
        RunStatus::Interrupted => panic!("nobody interrupted it"),
    }
}

/// Goes on with a run that was killed, to its end.
fn go_on(place: &Place, before: &Run) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.args(["run", "--resume"]).arg(before.path());
    command.env("TMPDIR", place.path("temporary"));
    Program::launch(command).wait().expect_code(&[0, 4]);
    let run = read_all(before.path());
    assert_eq!(run.manifest.status, RunStatus::Complete);
    verb("verify", run.path(), &[0]);
}

/// Looks at a run that lost a worker and came to its end.
fn after_a_worker(place: &Place, ended: &Ended, shape: &Shape, tally: &mut Tally) {
    let run = read_all(&place.only_run());
    tally.readable = run.records.len();
    assert_eq!(run.manifest.status, RunStatus::Complete);
    assert_eq!(run.records.len(), shape.records);
    let mut spoilt: Vec<u32> = run
        .records
        .iter()
        .filter(|record| matches!(record.outcome, Outcome::Spoilt { .. }))
        .map(|record| record.trial)
        .collect();
    spoilt.dedup();
    // None, if it had said all that it had to say.
    assert!(spoilt.len() <= 1, "one kill spoils one trial: {spoilt:?}");
    tally.spoilt = spoilt.len();
    if tally.spoilt > 0 {
        tally.latest = Duration::ZERO;
    }
    let measured = run.records.iter().any(|record| record.measured.is_some());
    ended.expect_code(if measured { &[0, 4] } else { &[1] });
    assert_eq!(run.verify().unwrap(), []);
}

/// Kills one process, with the moments and victims of this number.
fn kill_numbered(number: usize, shapes: &[Shape]) -> Tally {
    let shape = &shapes[number % shapes.len()];
    let mut random = StdRng::seed_from_u64(SEED + number as u64);
    let mut attempts = std::iter::repeat_with(|| kill_one(shape, &mut random)).take(ATTEMPTS);
    attempts.find_map(|tally| tally).expect("some run is there to be killed")
}

/// The kills that a text asks for.
fn asked_for(text: &str) -> Range<usize> {
    let (first, end) = text.split_once("..").unwrap_or(("0", text));
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
#[expect(clippy::print_stderr, reason = "a series of kills says what it came to")]
fn whatever_is_killed_every_record_is_kept_and_nothing_else_is_left() {
    let numbers: Vec<usize> = std::env::var(KILLS).map_or(FEW, |text| asked_for(&text)).collect();
    let mut scenarios = vec![SIDE_BY_SIDE, DURABLE, STREAMS];
    scenarios.extend(is_privileged().then_some(AT_A_DISTANCE));
    let shapes: Vec<Shape> = std::thread::scope(|scope| {
        let measuring = |rest: &'static str| scope.spawn(|| Shape::measured(rest));
        let measuring: Vec<_> = scenarios.into_iter().map(measuring).collect();
        measuring.into_iter().map(|shape| shape.join().unwrap()).collect()
    });
    let total = Mutex::new(Tally::default());
    let wrong = side_by_side(AT_ONCE, &numbers, |number| {
        let tally = kill_numbered(*number, &shapes);
        total.lock().unwrap().add(tally);
    });
    let total = total.into_inner().unwrap();
    eprintln!(
        "{} of {} kills left readable records and nothing else: {} of the coordinator, {} of \
         sources, {} of subscribers, {} of routers; {} records seen before, {} readable after; \
         {} runs had not begun, {} were short of their report, {} went on; {} kills of workers \
         spoilt their trial, the others were within {:.2?} of its record; nothing was left within \
         {:.2?} of a coordinator, and {:.2?} of a worker",
        total.kills(),
        numbers.len(),
        total.coordinators,
        total.sources,
        total.subscribers,
        total.routers,
        total.seen,
        total.readable,
        total.unbegun,
        total.unreported,
        total.went_on,
        total.spoilt,
        total.latest,
        total.longest,
        total.longest_of_worker,
    );
    assert!(wrong.is_empty(), "{} went wrong\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(total.kills(), numbers.len());
}
