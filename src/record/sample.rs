//! A small run folder made of simulated trials, for tests and for trying out reports.
//!
//! A poll and a webhook receive the same events under ideal conditions: exchanges take
//! 300 µs, and nothing is lost. The same sample always has the same bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;

use super::environment::Environment;
use super::error::RecordError;
use super::folder::RunFolder;
use super::join::{Arrival, Emission};
use super::ledger::Ledger;
use super::limit::{Calibration, Limit, Transfers};
use super::manifest::{Manifest, PlannedPoint, PlannedWorkload, RunStatus, ToolRecord};
use super::trial::{
    EventCounts, MachineUse, Measured, Outcome, ProcessUse, SourceSide, StrategyRecord,
    SubscriberSide, TRIAL_SCHEMA, TrialRecord, WindowUse, Workload,
};
use crate::counts::Counts;
use crate::event::Sequence;
use crate::promise::Promise;
use crate::schedule::{Arrivals, random_stream};
use crate::theory::Beat;
use crate::theory::interval_poll::IntervalPoll;
use crate::theory::reads::Reads;
use crate::theory::webhook::Webhook;
use crate::units::{Bytes, Rate, nanoseconds};

const WARM_UP: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(2);
const POLL_EVERY: Duration = Duration::from_millis(250);
/// One exchange; half of it is one way.
const EXCHANGE: u64 = 300_000;
/// From the last byte to a verified event.
const VERIFYING: u64 = 20_000;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Events per second; one point each.
    pub rates: Vec<u32>,
    /// Blocks at each point.
    pub blocks: u32,
    /// Simulated subscribers of every strategy.
    pub subscribers: u32,
    /// The mechanisms compared, of `poll` and `webhook`; one that is named again is a strategy of
    /// its own.
    pub mechanisms: Vec<&'static str>,
    /// Length of the measured window.
    pub window: Duration,
}

impl Default for Sample {
    /// Twenty events a second for eight seconds, two blocks, both mechanisms, one subscriber.
    fn default() -> Sample {
        Sample {
            rates: vec![20],
            blocks: 2,
            subscribers: 1,
            mechanisms: vec!["poll", "webhook"],
            window: Duration::from_secs(8),
        }
    }
}

impl Sample {
    /// Writes the run into a new folder below `out_dir` and returns the folder.
    ///
    /// # Errors
    ///
    /// When the folder exists or cannot be written.
    pub fn write(&self, out_dir: &Path) -> Result<PathBuf, RecordError> {
        let mut folder = RunFolder::create(out_dir, self.manifest(), SCENARIO, 0)?;
        let points = folder.manifest().points.clone();
        let mut trial = 0;
        for block in 0..self.blocks {
            for (index, point) in (0..).zip(&points) {
                let workload = workload(&point.workload, u64::from(block) + 100);
                let simulated: Vec<(Measured, Ledger)> =
                    point.strategies.iter().map(|one| simulate(one, &workload)).collect();
                let machine = machine(simulated.iter().map(|(measured, _)| measured));
                for (strategy, (measured, ledger)) in point.strategies.iter().zip(simulated) {
                    let measured = Measured { machine: Some(machine.clone()), ..measured };
                    let record = TrialRecord {
                        schema: TRIAL_SCHEMA.to_owned(),
                        trial,
                        point: index,
                        parameters: point.parameters.clone(),
                        block,
                        strategy: strategy.clone(),
                        workload: workload.clone(),
                        started: STARTED.to_string(),
                        outcome: Outcome::Completed,
                        measured: Some(measured),
                    };
                    folder.append(record, Some(&ledger))?;
                }
                trial += 1;
            }
        }
        folder.finish(RunStatus::Complete, STARTED + Duration::from_mins(1))
    }

    /// The manifest of the run.
    fn manifest(&self) -> Manifest {
        let points: Vec<PlannedPoint> = self.rates.iter().map(|rate| point(self, *rate)).collect();
        Manifest {
            tool: ToolRecord { version: "0.1.0".to_owned(), commit: "unknown".to_owned() },
            started: STARTED,
            title: "Order status".to_owned(),
            question: Some("Poll four times a second, or subscribe?".to_owned()),
            seed: 7,
            blocks: self.blocks,
            trials: self.blocks * u32::try_from(points.len()).unwrap_or(u32::MAX),
            points,
            environment: Environment {
                os: "linux".to_owned(),
                architecture: "x86_64".to_owned(),
                cpu_model: Some("Simulated CPU".to_owned()),
                cpu_logical: Some(2),
                build_profile: "release".to_owned(),
                ..Environment::default()
            },
            ..Manifest::default()
        }
    }
}

/// 2026-11-23 10:45:12 UTC.
const STARTED: Timestamp = Timestamp::constant(1_795_430_712, 0);

const SCENARIO: &str = "title = \"Order status\"\n";

/// What is planned at one rate.
fn point(sample: &Sample, rate: u32) -> PlannedPoint {
    let rate = Rate::per_second(f64::from(rate.max(1))).expect("a sample's rate is possible");
    let parameters = if sample.rates.len() > 1 {
        BTreeMap::from([("events.rate".to_owned(), rate.to_string())])
    } else {
        BTreeMap::new()
    };
    let mut point = PlannedPoint {
        parameters,
        workload: PlannedWorkload {
            rate,
            arrivals: Arrivals::Poisson,
            payload: Bytes(1024),
            warm_up: WARM_UP,
            window: sample.window,
            drain: DRAIN,
            rtt: None,
            network: None,
        },
        placement: None,
        spin: None,
        strategies: vec![
            StrategyRecord {
                name: "poll four times a second".to_owned(),
                mechanism: "poll".to_owned(),
                subscribers: sample.subscribers,
                settings: serde_json::json!({ "every": "250ms" }),
                set_up: 0,
                promise: Promise::COMPLETE_AND_ORDERED,
                incidents: Vec::new(),
                theory: Some(
                    IntervalPoll { reads: Reads::every(POLL_EVERY, Beat::FixedRate), limit: 100 }
                        .into(),
                ),
            },
            StrategyRecord {
                name: "webhook".to_owned(),
                mechanism: "webhook".to_owned(),
                subscribers: sample.subscribers,
                settings: serde_json::json!({}),
                set_up: 0,
                promise: Promise::COMPLETE,
                theory: Some(Webhook::plain(4).into()),
                incidents: Vec::new(),
            },
        ],
    };
    let known = std::mem::take(&mut point.strategies);
    for (place, mechanism) in sample.mechanisms.iter().enumerate() {
        let earlier = sample.mechanisms[..place].iter().filter(|one| *one == mechanism).count();
        let mut chosen = known.iter().filter(|one| one.mechanism == *mechanism).cloned();
        point.strategies.extend(chosen.next().map(|mut one| {
            if earlier > 0 {
                one.name = format!("{}, again {earlier}", one.name);
            }
            one
        }));
    }
    point
}

fn workload(planned: &PlannedWorkload, seed: u64) -> Workload {
    Workload {
        rate: planned.rate,
        arrivals: planned.arrivals.clone(),
        payload: planned.payload,
        seed,
        warm_up: planned.warm_up,
        window: planned.window,
        rtt: planned.rtt,
        network: planned.network.clone(),
    }
}

/// One exchange: when its response was complete, and the events it carried.
struct Exchange {
    ended: u64,
    events: Vec<usize>,
}

fn simulate(strategy: &StrategyRecord, workload: &Workload) -> (Measured, Ledger) {
    let emissions = emissions(workload);
    let polls = strategy.mechanism == "poll";
    let (mut arrivals, mut all) = (Vec::new(), Vec::new());
    for subscriber in 0..strategy.subscribers {
        let seed = workload.seed + u64::from(subscriber);
        let exchanges =
            if polls { poll(&emissions, workload, seed) } else { push(&emissions, seed) };
        arrivals.extend(exchanges.iter().flat_map(|exchange| {
            // A webhook's response follows the event's arrival; a poll's response is it.
            let arrived = if polls { exchange.ended } else { exchange.ended - EXCHANGE / 2 };
            exchange.events.iter().map(move |event| Arrival {
                subscriber,
                sequence: Sequence::at_index(*event as u64),
                arrived,
                usable: arrived + VERIFYING,
                copies: 1,
            })
        }));
        all.extend(exchanges);
    }
    all.sort_by_key(|exchange| exchange.ended);
    let ledger = Ledger::join(&emissions, strategy.subscribers, &arrivals)
        .expect("every arrival was emitted");
    let mut measured = measured(&all, workload, polls);
    let rows = arrivals.len() as u64;
    (measured.subscriber.accepted, measured.subscriber.rows) = (rows, rows);
    let emitted = emissions.iter().map(|emission| emission.emitted).collect();
    let usable = arrivals.iter().map(|arrival| arrival.usable).collect();
    measured.source.process.window = Some(witnessed(workload, emitted));
    measured.subscriber.process.window = Some(witnessed(workload, usable));
    (measured, ledger)
}

/// What a process suffers on an idle machine, and how many of its events a witness counts: every
/// 40 ms, but at most four hundred times.
fn witnessed(workload: &Workload, mut events: Vec<u64>) -> WindowUse {
    events.sort_unstable();
    let count = |moment: u64| events.partition_point(|event| *event <= moment);
    let window = window(workload);
    let step = usize::try_from((window.end - window.start) / 400).unwrap_or(usize::MAX);
    let moments = window.step_by(step.max(40_000_000));
    WindowUse {
        run_queue_ns: 2_000_000,
        slices: Some(400),
        major_faults: 0,
        migrations: Some(0),
        idle_cpu_ns: 40_000,
        idle_ns: 200_000_000,
        witness_cpu_ns: 900_000,
        timer_error_p50: 60_000,
        timer_error_p99: 110_000,
        samples: moments.map(|moment| (moment, count(moment) as u64)).collect(),
    }
}

/// An idle machine that sees the bytes and connections of the trial and no others.
fn machine<'a>(measured: impl Iterator<Item = &'a Measured>) -> MachineUse {
    let (mut bytes, mut connections) = (0, 0);
    for one in measured {
        let window = one.source.window;
        bytes += window.bytes_received + window.bytes_sent;
        connections += window.connections;
    }
    MachineUse {
        stolen: Some(0.0),
        pressure: Some(0.001),
        throttled_ns: Some(0),
        connections_dialled: Some(connections),
        retransmitted: Some(0),
        overflows: Some(0),
        loopback_bytes: Some(bytes),
        swapped_in: Some(0),
        out_of_memory: Some(0),
        wall_clock_moved_ns: 12_000,
        fixed_work_ns: [3_000_000, 3_010_000],
        conditions: BTreeMap::from([("kernel".to_owned(), "6.0.0".to_owned())]),
    }
}

fn window(workload: &Workload) -> Range<u64> {
    nanoseconds(workload.warm_up)..nanoseconds(workload.warm_up + workload.window)
}

fn emissions(workload: &Workload) -> Vec<Emission> {
    let mut random = random_stream(workload.seed, 1);
    let until = workload.warm_up + workload.window;
    workload
        .arrivals
        .due_offsets(workload.rate, workload.seed, until, None)
        .expect("a sample replays no trace")
        .map(|due| Emission { due, emitted: due + random.random_range(500..4_000) })
        .collect()
}

/// Polls on a fixed beat with a seeded phase, until the drain has ended.
fn poll(emissions: &[Emission], workload: &Workload, seed: u64) -> Vec<Exchange> {
    let every = nanoseconds(POLL_EVERY);
    let phase = random_stream(seed, 2).random_range(0..every);
    let end = nanoseconds(workload.warm_up + workload.window + DRAIN);
    let mut next = 0;
    let mut exchanges = Vec::new();
    for start in (phase..end).step_by(usize::try_from(every).unwrap_or(usize::MAX)) {
        let read = start + EXCHANGE / 2;
        let ready = emissions[next..].iter().take_while(|event| event.emitted <= read).count();
        exchanges
            .push(Exchange { ended: start + EXCHANGE, events: (next..next + ready).collect() });
        next += ready;
    }
    exchanges
}

/// One request for every event, with a little jitter on its way.
fn push(emissions: &[Emission], seed: u64) -> Vec<Exchange> {
    let mut random = random_stream(seed, 3);
    let mut jitter = || random.random_range(0..50_000);
    let request = |(event, emission): (usize, &Emission)| Exchange {
        ended: emission.emitted + EXCHANGE + jitter(),
        events: vec![event],
    };
    emissions.iter().enumerate().map(request).collect()
}

fn counts(exchanges: &[Exchange], polls: bool, at_source: bool) -> Counts {
    let useful = exchanges.iter().filter(|exchange| !exchange.events.is_empty()).count() as u64;
    let total = exchanges.len() as u64;
    let events: u64 = exchanges.iter().map(|exchange| exchange.events.len() as u64).sum();
    // Events travel in responses to polls and in webhooks' requests: from the source both times.
    let (to_source, from_source) = (total * 180, total * 220 + events * 1_300);
    let started_here = polls != at_source;
    let (bytes_received, bytes_sent) =
        if at_source { (to_source, from_source) } else { (from_source, to_source) };
    Counts {
        useful,
        empty: total - useful,
        bytes_received,
        bytes_sent,
        exchange_ns: if started_here { total * EXCHANGE } else { 0 },
        exchanges_timed: if started_here { total } else { 0 },
        ..Counts::default()
    }
}

fn measured(exchanges: &[Exchange], workload: &Workload, polls: bool) -> Measured {
    let window = window(workload);
    let first = exchanges.partition_point(|exchange| exchange.ended < window.start);
    let last = exchanges.partition_point(|exchange| exchange.ended < window.end);
    let inside = &exchanges[first..last.max(first)];
    let cpu = 60_000 * inside.len() as u64;
    let process = |memory_peak| ProcessUse {
        memory_peak,
        cpu_ns_inside: 90_000_000,
        cpu_ns_outside: 90_400_000,
        cpus: vec![0, 1],
        run_queue_ns: 3_000_000,
        window: None,
    };
    Measured {
        tls: None,
        network: None,
        machine: None,
        // Replaced by what the ledger says when the record is written.
        events: EventCounts::default(),
        source: SourceSide {
            window: counts(inside, polls, true),
            whole: Counts { connections: 1, ..counts(exchanges, polls, true) },
            cpu_ns: cpu,
            idle_cpu_ns: 20_000,
            first_rate_limited: None,
            pacer_cpu_ns: 4_000_000,
            spin_ns: 0,
            process: process(14 << 20),
            lanes: 2,
            over_time: Vec::new(),
            given_up: Vec::new(),
        },
        subscriber: SubscriberSide {
            window: counts(inside, polls, false),
            whole: Counts { connections: 1, ..counts(exchanges, polls, false) },
            cpu_ns: cpu + 1_000_000,
            refused: 0,
            accepted: 0,
            rows: 0,
            process: process(9 << 20),
            lives: Vec::new(),
            over_time: Vec::new(),
        },
        limit: Some(Calibration::Measured(limit())),
        ledger: None,
        histogram: String::new(),
    }
}

/// Raw transfers that take less than half of a way.
fn limit() -> Limit {
    let transfers = |p50| Transfers { count: 20, min: p50 / 2, p50, p99: 2 * p50 };
    Limit {
        rate: Rate::per_second(25.0).expect("a possible rate"),
        arrivals: Arrivals::Poisson,
        message: Bytes(1024),
        one_way: transfers(60_000),
        round_trip: transfers(80_000),
        new_connection: transfers(180_000),
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;
    use crate::record::run::Run;
    use std::time::Duration;

    #[test]
    fn every_subscriber_of_the_chosen_mechanisms_is_owed_every_event() {
        let out = tempfile::tempdir().expect("a folder");
        let window = Duration::from_secs(3);
        let sample =
            Sample { subscribers: 3, mechanisms: vec!["poll"], window, ..Sample::default() };
        let run = Run::open(&sample.write(out.path()).expect("written")).expect("opened");
        assert_eq!(run.records.len(), 2);
        for record in &run.records {
            let ledger = run.ledger(record).expect("read").expect("kept");
            let events = record.measured.as_ref().expect("measured").events;
            assert!(ledger.due.last() > Some(&2_000_000_000), "due until the window's end");
            assert!(ledger.due.last() < Some(&4_000_000_000), "and not after it");
            assert_eq!(ledger.subscriber[..6], [0, 1, 2, 0, 1, 2]);
            assert_eq!((events.emitted % 3, events.delivered), (0, events.emitted));
        }
    }

    #[test]
    fn the_same_sample_has_the_same_bytes() {
        let out = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        let [first, second] =
            out.each_ref().map(|out| Sample::default().write(out.path()).expect("written"));
        assert_eq!(first.file_name(), second.file_name());
        let manifest =
            |path: &std::path::Path| std::fs::read(path.join("manifest.json")).expect("read");
        assert_eq!(manifest(&first), manifest(&second));
    }
}
