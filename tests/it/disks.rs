//! Disks that fail: each call that writes below a run's folder fails once. The program ends with an
//! error that names the file and the remedy, what was recorded before is readable, and the run goes
//! on when the disk is well again. A write that takes only a part of its bytes does no harm.
//!
//! `tests/disk/failing.c` is preloaded into the program and makes the calls fail. A few of them do
//! here; `just disks` lets every one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use pollpush::record::manifest::RunStatus;
use pollpush::record::run::Run;
use pollpush::record::sample::Sample;
use pollpush::record::trial::Outcome;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::program::{Ended, Place, Program, STATE, pollpush, side_by_side, unfinished};

/// The variable that lets every call fail, and not only a few.
const EVERY: &str = "POLLPUSH_TEST_EVERY_WRITE";

/// How many calls fail in each way without it.
const FEW: usize = 2;

/// Which ones.
const SEED: u64 = 0x6469_736b;

/// Programs at a time.
const AT_ONCE: usize = 4;

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It is full from a call on (ENOSPC).
    Full,
    /// It is full in the middle of a write.
    Torn,
    /// One call fails (EIO).
    Flawed,
    /// All do from a call on.
    Broken,
    /// One write takes only a part of its bytes.
    Short,
}

impl Failure {
    const ALL: [Failure; 5] =
        [Failure::Full, Failure::Torn, Failure::Flawed, Failure::Broken, Failure::Short];

    /// The number of the error, whether it lasts, and whether a write is cut short first.
    fn settings(self) -> [&'static str; 3] {
        match self {
            Failure::Full => ["28", "1", "0"],
            Failure::Torn => ["28", "1", "1"],
            Failure::Flawed => ["5", "0", "0"],
            Failure::Broken => ["5", "1", "0"],
            Failure::Short => ["0", "0", "1"],
        }
    }

    /// What the system says of it.
    fn said(self) -> &'static str {
        match self {
            Failure::Full | Failure::Torn => "No space left on device",
            Failure::Flawed | Failure::Broken => "Input/output error",
            Failure::Short => unreachable!("it is no error"),
        }
    }

    /// Whether only writes count.
    fn is_of_writes(self) -> bool {
        matches!(self, Failure::Torn | Failure::Short)
    }
}

/// A call that writes, or would.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    path: PathBuf,
}

/// A failure at a call, counted from one among those that count.
#[derive(Clone, Copy, Debug)]
struct Fault {
    failure: Failure,
    at: usize,
}

/// The library that makes calls fail; `None` where there is no C compiler, as there is in `.ci/run`.
#[expect(clippy::print_stderr, reason = "a test that is not made says so")]
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Another test binary may be using the one of the same name.
        let built = folder.join(format!("failing-disk-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/failing.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"]);
        let status = compiler.arg(&built).arg(source).arg("-ldl").status();
        if status.is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no C compiler");
            eprintln!("skipped: there is no C compiler (cc)");
            return None;
        }
        assert!(status.unwrap().success(), "the library is not compiled");
        let library = folder.join("failing-disk.so");
        fs::rename(built, &library).unwrap();
        Some(library)
    });
    built.as_deref()
}

/// Runs the program on a disk that fails below a folder; returns how it ended, and the calls that
/// failed, or without a fault all that could have.
fn on_disk<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    (place, below): (&Place, &Path),
    fault: Option<Fault>,
) -> (Ended, Vec<Call>) {
    let log = place.path("log");
    // A run that was looked at before has one.
    let _ = fs::remove_file(&log);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.args(arguments).env(STATE, place.path("state"));
    command.env("LD_PRELOAD", library().unwrap());
    command.env("DISK_BELOW", below).env("DISK_LOG", &log);
    if let Some(Fault { failure, at }) = fault {
        let [error, lasts, short] = failure.settings();
        command.env("DISK_AT", at.to_string()).env("DISK_ERROR", error);
        command.env("DISK_LASTS", lasts).env("DISK_SHORT", short);
    }
    let mut program = Program::launch(command);
    let ended = program.wait_here();
    program.expect_nothing_left();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let log = fs::read_to_string(log).unwrap_or_default();
    let calls = log.lines().map(|line| {
        let (name, path) = line.split_once(' ').unwrap();
        Call { name: name.to_owned(), path: path.into() }
    });
    (ended, calls.collect())
}

/// The faults to be tried where these calls are made: a few of each failure, or all.
///
/// # Panics
///
/// When there are none: without a call that could fail nothing would be tested, as where the
/// library is not preloaded.
fn faults(calls: &[Call], of_interest: impl Fn(&Call) -> bool) -> Vec<Fault> {
    let mut random = StdRng::seed_from_u64(SEED);
    let of = |failure: Failure| {
        let counted = calls.iter().filter(|call| !failure.is_of_writes() || call.name == "write");
        let numbered = (1..).zip(counted).filter(|(_, call)| of_interest(call));
        numbered.map(|(at, _)| Fault { failure, at }).collect::<Vec<_>>()
    };
    let every = std::env::var_os(EVERY).is_some();
    let faults: Vec<Fault> = Failure::ALL
        .into_iter()
        .flat_map(|failure| {
            let all = of(failure);
            if every { all } else { all.sample(&mut random, FEW).copied().collect() }
        })
        .collect();
    let tried = |failure| faults.iter().any(|fault| fault.failure == failure);
    assert!(Failure::ALL.into_iter().all(tried), "a failure has no call to meet: {calls:?}");
    faults
}

#[test]
#[should_panic(expected = "a failure has no call to meet")]
fn without_a_call_that_could_fail_there_is_no_test() {
    faults(&[], |_| true);
}

/// Asserts that a program that met a fault says what it is, where, and what to do.
fn expect_named(ended: &Ended, fault: Fault, call: &Call) {
    ended.expect_code(&[1]);
    // Of a folder that cannot be made, the one that it should be in will do.
    let path = if call.name == "mkdir" { call.path.parent().unwrap() } else { &call.path };
    let (path, said) = (path.to_string_lossy(), &ended.stderr);
    let named = path.strip_suffix(".unfinished").unwrap_or(&path);
    assert!(said.contains("error: ") && said.contains(named), "{call:?}\n{said}");
    assert!(said.contains(fault.failure.said()), "{call:?}\n{said}");
    let remedies = ["check free space and permissions", "choose a folder you may write to"];
    assert!(remedies.iter().any(|remedy| said.contains(remedy)), "{call:?}\n{said}");
}

/// Runs a verb on a run with a disk that is well.
fn well(verb: &[&str], run: &Path) -> Ended {
    let arguments = verb.iter().map(OsStr::new).chain([run.as_os_str()]);
    let ended = pollpush(arguments);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

/// Opens a run and reads everything that its records name.
fn read_all(run: &Path) -> Run {
    let run = Run::open(run).unwrap();
    for record in run.records.iter().filter(|record| record.outcome == Outcome::Completed) {
        assert!(run.ledger(record).unwrap().is_some());
        assert!(run.histogram(record).unwrap().is_some());
    }
    run
}

/// Two short blocks of two strategies without a process of their own.
const SCENARIO: &str = r#"
title = "On a disk that fails"

[events]
rate     = "100/s"
arrivals = "constant"

[run]
warm-up  = "0s"
duration = "200ms"
repeats  = 2

[[strategy]]
name      = "one"
mechanism = "null"
delay     = "0ms"

[[strategy]]
name      = "other"
mechanism = "null"
delay     = "5ms"
"#;

/// The records of a run of it.
const RECORDS: usize = 4;

/// Whether a call is about what is measured: reports have a test of their own.
fn is_of_the_record(call: &Call) -> bool {
    let path = call.path.to_string_lossy();
    let derived = ["summary.", "report.", "charts"];
    !derived.iter().any(|name| path.contains(name))
}

/// Runs the scenario on a disk that fails, then looks at what it left and goes on.
fn run_with(fault: Fault, healthy: &[Call]) {
    let place = Place::with(SCENARIO);
    let results = place.path("results");
    let (ended, met) = on_disk(place.run_arguments(), (&place, &results), Some(fault));
    let Some(call) = met.first().filter(|_| fault.failure != Failure::Short) else {
        // A write that is cut short is gone on with.
        ended.expect_code(&[0, 4]);
        well(&["verify"], &place.only_run()).expect_code(&[0]);
        return;
    };
    expect_named(&ended, fault, call);
    let Some(path) = place.runs().into_iter().next() else {
        assert!(!ended.stderr.contains("recording into"), "{}", ended.stderr);
        return;
    };
    let run = read_all(&path);
    let counted =
        healthy.iter().filter(|call| !fault.failure.is_of_writes() || call.name == "write");
    let before = counted.take(fault.at - 1);
    // What has been synced is followed by another call; a short write of a line is not synced yet.
    let written = if fault.failure.is_of_writes() { "write" } else { "fdatasync" };
    let recorded =
        before.filter(|call| call.name == written && call.path.ends_with("trials.jsonl"));
    assert!(run.records.len() >= recorded.count(), "{:?}", run.records.len());
    if run.manifest.status == RunStatus::Running {
        assert!(ended.stderr.contains("`pollpush run --resume "), "{}", ended.stderr);
        well(&["run", "--resume"], &path).expect_code(&[0, 4]);
    } else {
        // Its manifest was in place when the sync of its folder failed.
        let last = call.name == "fsync" && call.path == path;
        assert!(last || ended.stderr.contains("`pollpush report "), "{}", ended.stderr);
        well(&["report"], &path).expect_code(&[0, 4]);
    }
    let run = read_all(&path);
    assert_eq!((run.manifest.status, run.records.len()), (RunStatus::Complete, RECORDS));
    assert_eq!(unfinished(&path), Vec::<PathBuf>::new());
    well(&["verify"], &path).expect_code(&[0]);
}

/// What went wrong, if anything did.
#[track_caller]
#[expect(clippy::print_stderr, reason = "a series of faults says what it came to")]
fn expect_none(what: &str, faults: &[Fault], wrong: &[String]) {
    eprintln!(
        "{what}: {} of {} faults as they should be",
        faults.len() - wrong.len(),
        faults.len()
    );
    assert!(wrong.is_empty(), "{} went wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_run_on_a_disk_that_fails_keeps_what_was_recorded_and_goes_on_later() {
    if library().is_none() {
        return;
    }
    let place = Place::with(SCENARIO);
    let results = place.path("results");
    let (ended, healthy) = on_disk(place.run_arguments(), (&place, &results), None);
    ended.expect_code(&[0, 4]);
    let synced = healthy.iter().filter(|call| {
        ["fsync", "fdatasync"].contains(&&*call.name) && call.path.ends_with("trials.jsonl")
    });
    assert!(synced.count() >= RECORDS, "not every record is synced, or not seen: {healthy:?}");
    let faults = faults(&healthy, is_of_the_record);
    let wrong = side_by_side(AT_ONCE, &faults, |fault| run_with(*fault, &healthy));
    expect_none("run", &faults, &wrong);
}

/// A run without a report, below a folder of its own.
fn unreported(place: &Place) -> PathBuf {
    let sample = Sample { blocks: 1, window: Duration::from_secs(2), ..Sample::default() };
    sample.write(&place.path("results")).unwrap()
}

/// Reports a run on a disk that fails, then on one that is well.
fn report_with(fault: Fault) {
    let place = Place::new();
    let run = unreported(&place);
    let arguments = ["report".as_ref(), run.as_os_str()];
    let (ended, met) = on_disk(arguments, (&place, &run), Some(fault));
    match met.first().filter(|_| fault.failure != Failure::Short) {
        Some(call) => {
            expect_named(&ended, fault, call);
            assert_eq!(read_all(&run).verify_evidence().unwrap(), []);
            well(&["report"], &run).expect_code(&[0, 4]);
        }
        None => drop(ended.expect_code(&[0, 4])),
    }
    assert_eq!(unfinished(&run), Vec::<PathBuf>::new());
    well(&["verify"], &run).expect_code(&[0]);
}

#[test]
fn a_report_on_a_disk_that_fails_leaves_the_evidence_and_is_made_later() {
    if library().is_none() {
        return;
    }
    let place = Place::new();
    let run = unreported(&place);
    let (ended, healthy) = on_disk(["report".as_ref(), run.as_os_str()], (&place, &run), None);
    ended.expect_code(&[0, 4]);
    let faults = faults(&healthy, |_| true);
    let wrong = side_by_side(AT_ONCE, &faults, |fault| report_with(*fault));
    expect_none("report", &faults, &wrong);
}

/// Lists runs on a disk that fails, which has a list already.
fn list_with(fault: Fault, place: &Place) {
    let (results, index) = (place.path("results"), place.path("results/index.html"));
    fs::write(&index, "an earlier one").unwrap();
    let arguments = ["report".as_ref(), results.as_os_str()];
    let (ended, met) = on_disk(arguments, (place, &results), Some(fault));
    match met.first().filter(|_| fault.failure != Failure::Short) {
        Some(call) => {
            expect_named(&ended, fault, call);
            let renamed = call.path == results;
            let kept = fs::read_to_string(&index).unwrap() == "an earlier one";
            assert!(kept != renamed, "only the folder's own sync comes behind the renaming");
        }
        None => drop(ended.expect_code(&[0])),
    }
    well(&["report"], &results).expect_code(&[0]);
    assert_eq!(unfinished(&results), Vec::<PathBuf>::new());
}

#[test]
fn a_list_of_runs_on_a_disk_that_fails_is_the_earlier_one_or_the_new_one() {
    if library().is_none() {
        return;
    }
    let place = Place::new();
    well(&["report"], &unreported(&place)).expect_code(&[0, 4]);
    let results = place.path("results");
    let arguments = ["report".as_ref(), results.as_os_str()];
    let (ended, healthy) = on_disk(arguments, (&place, &results), None);
    ended.expect_code(&[0]);
    let faults = faults(&healthy, |_| true);
    // They share the folder.
    let wrong = side_by_side(1, &faults, |fault| list_with(*fault, &place));
    expect_none("list", &faults, &wrong);
}

/// Measures a noise floor, and cannot keep it; whether the fault was met.
fn floor_with(fault: Fault) -> bool {
    // So few events that a stall of a busy machine bunches none of them: such a run has no floor.
    let events = SCENARIO.replace("100/s", "10/s").replace("200ms", "500ms");
    let place = Place::with(&events.replace("5ms", "0ms").replace("repeats  = 2", "repeats  = 6"));
    let state = place.path("state");
    let (ended, met) = on_disk(place.run_arguments(), (&place, &state), Some(fault));
    // The run is whole, whatever became of the noise floor.
    ended.expect_code(&[0, 4]);
    well(&["verify"], &place.only_run()).expect_code(&[0]);
    // A run of a machine in a bad state has none to keep.
    let Some(call) = met.first() else { return false };
    if fault.failure == Failure::Short {
        return true;
    }
    let said = &ended.stderr;
    assert!(said.contains("warning: the noise floor is lost"), "{call:?}\n{said}");
    assert!(said.contains("noise-floor.json") && said.contains(fault.failure.said()), "{said}");
    true
}

#[test]
fn a_noise_floor_that_cannot_be_kept_costs_the_run_nothing() {
    if library().is_none() {
        return;
    }
    // The folder is made; the file is opened, written, synced and renamed, and its folder synced.
    let calls = ["mkdir", "open", "write", "fsync", "rename", "fsync"];
    let calls = calls.map(|name| Call { name: name.to_owned(), path: PathBuf::new() });
    let faults = faults(&calls, |_| true);
    let every = std::env::var_os(EVERY).is_some();
    let faults = if every { &faults[..] } else { &faults[..FEW] };
    let met = AtomicUsize::new(0);
    // A machine that is in a bad state for a while gets another chance; then one run at a time.
    for at_once in [AT_ONCE, 1, 1] {
        let wrong = side_by_side(at_once, faults, |fault| {
            met.fetch_add(usize::from(floor_with(*fault)), Relaxed);
        });
        expect_none("noise floor", faults, &wrong);
        if met.load(Relaxed) > 0 {
            return;
        }
    }
    panic!("no run had a noise floor to keep, so that none of the faults was met");
}
