//! What it takes to analyse and chart ten million ledger rows, or many strategies and points:
//! `pollpush report` on made runs.
//!
//! Every shape is written by the record's own writer, then reported on three times by the
//! program itself under GNU time; the slowest run and the greatest memory are printed beside the
//! targets.
//!
//! `cargo bench --bench analysis [-- WORD]` measures the shapes whose names hold the word.

#![expect(clippy::print_stdout, reason = "a benchmark's result goes to stdout")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pollpush::record::run::Run;
use pollpush::record::sample::Sample;

/// Reports on every shape.
const RUNS: u32 = 3;

/// For ten million rows.
const TARGET_SECONDS: f64 = 10.0;
/// For many strategies and points of few rows.
const TARGET_SECONDS_SWEEP: f64 = 5.0;
const TARGET_MIB: f64 = 1024.0;

/// A way to be a lot of work.
struct Shape {
    name: &'static str,
    mechanisms: &'static [&'static str],
    rates: &'static [u32],
    blocks: u32,
    subscribers: u32,
    window: Duration,
    seconds: f64,
}

/// Latencies of a poll spread over its whole interval: hardly two are equal, which costs most.
const POLL: &[&str] = &["poll"];

const SHAPES: &[Shape] = &[
    Shape {
        name: "two strategies, two blocks",
        mechanisms: &["poll", "webhook"],
        rates: &[4_200],
        blocks: 2,
        subscribers: 1,
        window: Duration::from_mins(10),
        seconds: TARGET_SECONDS,
    },
    Shape {
        // As many rows as a trial may have and keep its ledger.
        name: "one strategy, two of the largest ledgers",
        mechanisms: POLL,
        rates: &[8_315],
        blocks: 2,
        subscribers: 1,
        window: Duration::from_mins(10),
        seconds: TARGET_SECONDS,
    },
    Shape {
        name: "one strategy, three blocks",
        mechanisms: POLL,
        rates: &[5_600],
        blocks: 3,
        subscribers: 1,
        window: Duration::from_mins(10),
        seconds: TARGET_SECONDS,
    },
    Shape {
        name: "one strategy, a hundred blocks",
        mechanisms: POLL,
        rates: &[168],
        blocks: 100,
        subscribers: 1,
        window: Duration::from_mins(10),
        seconds: TARGET_SECONDS,
    },
    Shape {
        name: "one strategy, a thousand blocks",
        mechanisms: POLL,
        rates: &[1_260],
        blocks: 1_000,
        subscribers: 1,
        window: Duration::from_secs(8),
        seconds: TARGET_SECONDS,
    },
    Shape {
        name: "one strategy, a thousand subscribers",
        mechanisms: POLL,
        rates: &[6],
        blocks: 3,
        subscribers: 1_000,
        window: Duration::from_mins(10),
        seconds: TARGET_SECONDS,
    },
    Shape {
        // More rows than a ledger may have, and two lines in the log for every second.
        name: "two strategies, histograms of an hour",
        mechanisms: &["poll", "webhook"],
        rates: &[1_410],
        blocks: 1,
        subscribers: 1,
        window: Duration::from_hours(1),
        seconds: TARGET_SECONDS,
    },
    Shape {
        name: "five strategies, nine points",
        mechanisms: &["poll", "webhook", "poll", "webhook", "poll"],
        rates: &[1, 2, 5, 10, 20, 50, 100, 200, 500],
        blocks: 6,
        subscribers: 1,
        window: Duration::from_secs(8),
        seconds: TARGET_SECONDS_SWEEP,
    },
];

fn main() {
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    println!(
        "{:<42} {:>11} {:>9} {:>7} {:>7} {:>9}  reached",
        "shape", "rows", "disk MiB", "s", "CPU s", "peak MiB"
    );
    for shape in SHAPES.iter().filter(|shape| shape.name.contains(&word)) {
        let out = tempfile::tempdir().unwrap();
        let folder = shape.sample().write(out.path()).unwrap();
        let runs: Vec<Cost> = (0..RUNS).map(|_| report(&folder)).collect();
        let greatest = |figure: fn(&Cost) -> f64| runs.iter().map(figure).fold(0.0, f64::max);
        let (elapsed, cpu) = (greatest(|run| run.elapsed), greatest(|run| run.cpu));
        let peak = greatest(|run| run.peak_mib);
        let reached = elapsed <= shape.seconds && peak <= TARGET_MIB;
        println!(
            "{:<42} {:>11} {:>9.0} {elapsed:>7.2} {cpu:>7.2} {peak:>9.0}  {}",
            shape.name,
            rows(&folder),
            mib_below(&folder),
            if reached { "yes" } else { "no" }
        );
    }
    println!(
        "targets: {TARGET_SECONDS} s ({TARGET_SECONDS_SWEEP} s for nine points) and {TARGET_MIB} \
         MiB, the worst of {RUNS} runs"
    );
}

impl Shape {
    fn sample(&self) -> Sample {
        Sample {
            rates: self.rates.to_vec(),
            blocks: self.blocks,
            subscribers: self.subscribers,
            mechanisms: self.mechanisms.to_vec(),
            window: self.window,
        }
    }
}

/// What one report took.
struct Cost {
    /// Seconds from start to end.
    elapsed: f64,
    /// Seconds of CPU time, the kernel's included.
    cpu: f64,
    /// Largest resident memory.
    peak_mib: f64,
}

fn report(folder: &Path) -> Cost {
    let mut program = Command::new("time");
    program.args(["--quiet", "--format", "%e %U %S %M", env!("CARGO_BIN_EXE_pollpush"), "report"]);
    let output = program.arg(folder).stdout(Stdio::null()).output().expect("GNU time is installed");
    let stderr = String::from_utf8(output.stderr).unwrap();
    // A made run need not be a valid one: reading it is the same work.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{stderr}");
    let figures: Vec<f64> =
        stderr.lines().last().unwrap().split(' ').map(|figure| figure.parse().unwrap()).collect();
    let [elapsed, user, system, peak_kib] = figures[..] else { panic!("four figures: {stderr}") };
    Cost { elapsed, cpu: user + system, peak_mib: peak_kib / 1024.0 }
}

/// Deliveries owed in the windows of all trials; their warm-ups come on top.
fn rows(folder: &Path) -> u64 {
    let records = Run::open(folder).unwrap().records;
    records.iter().map(|record| record.measured.as_ref().unwrap().events.emitted).sum()
}

/// The size of what was measured.
fn mib_below(folder: &Path) -> f64 {
    let size = |kind: &str| -> u64 {
        let Ok(files) = folder.join(kind).read_dir() else { return 0 };
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    (size("ledger") + size("histograms")) as f64 / f64::from(1 << 20)
}
