//! What a run keeps of one strategy in one trial: one line of `trials.jsonl`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::counts::{Counts, TlsSession};
use crate::incident::Incident;
use crate::network::asked::Network;
use crate::network::traffic::Traffic;
use crate::promise::Promise;
use crate::record::limit::Calibration;
use crate::schedule::Arrivals;
use crate::theory::Theory;
use crate::units::{Bytes, Rate, duration_text, some_duration_text};

/// The version of [`TrialRecord`]; a reader refuses any other.
pub const TRIAL_SCHEMA: &str = "pollpush/trial/1";

/// One strategy in one trial: what was asked, and what was measured or went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialRecord {
    /// Always [`TRIAL_SCHEMA`].
    pub schema: String,
    /// The trial's place in the plan, counted from zero. In a side-by-side layout all
    /// strategies of a trial share it.
    pub trial: u32,
    /// The point's place in the plan, counted from zero.
    pub point: u32,
    /// The swept parameters of the point, as written in the scenario.
    pub parameters: BTreeMap<String, String>,
    /// The block, counted from zero.
    pub block: u32,
    /// The strategy that was run.
    pub strategy: StrategyRecord,
    /// The events that were asked for.
    pub workload: Workload,
    /// When the trial began, RFC 3339 in UTC. A label, never a measurement.
    pub started: String,
    /// Whether the trial may be used.
    pub outcome: Outcome,
    /// What was measured; absent unless the outcome is [`Outcome::Completed`].
    pub measured: Option<Measured>,
}

/// A strategy as it was run, every default resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyRecord {
    /// The name the scenario gives it.
    pub name: String,
    /// The mechanism's name.
    pub mechanism: String,
    /// Simulated subscribers.
    pub subscribers: u32,
    /// The mechanism's settings, defaults included.
    pub settings: serde_json::Value,
    /// Round trips that set a connection up before each exchange: 0 if connections are kept.
    pub set_up: u32,
    /// What it promises of its deliveries.
    pub promise: Promise,
    /// The closed form that describes it, if there is one.
    pub theory: Option<Theory>,
    /// What goes wrong for it, as the scenario has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
}

/// The events a trial asked its source for, and the path they took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Mean events per second.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// Size of an event's `data`.
    pub payload: Bytes,
    /// Seed of the schedule.
    pub seed: u64,
    /// Time before the measured window, in which events flow but do not count.
    #[serde(with = "duration_text")]
    pub warm_up: Duration,
    /// Length of the measured window.
    #[serde(with = "duration_text")]
    pub window: Duration,
    /// The round trip of the path; absent when there is none.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    pub rtt: Option<Duration>,
    /// Everything about the path, and the tier it was made with; absent on bare loopback, and in
    /// records from before this was kept, whose paths were delays inside the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// It ran to its end and was measured.
    Completed,
    /// Something went wrong; it is kept to be seen, and never averaged into a result.
    Spoilt {
        /// What went wrong, in words for the user.
        reason: String,
    },
    /// The user stopped the run.
    Interrupted,
}

/// Everything measured in a completed trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What the TLS handshakes agreed on; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSession>,
    /// Counts over all events due inside the window.
    pub events: EventCounts,
    /// The source's side of the strategy.
    pub source: SourceSide,
    /// The subscribers' side.
    pub subscriber: SubscriberSide,
    /// What the machine did meanwhile; the same for all strategies of a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineUse>,
    /// What crossed the strategy's path; absent unless packets did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkUse>,
    /// What raw sockets took between the trial's processes; the same for all its strategies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Calibration>,
    /// Where the per-event ledger is, relative to the run folder; absent when the trial
    /// delivered more rows than are kept.
    pub ledger: Option<String>,
    /// Where the histogram log is, relative to the run folder.
    pub histogram: String,
}

/// What the path of a strategy carried, and what carrying it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkUse {
    /// What crossed it, from the first packet of the trial to the last.
    pub traffic: Traffic,
    /// CPU time inside the window of the process that makes the paths of the trial, in
    /// nanoseconds; part of no strategy.
    pub cpu_ns: u64,
}

/// What became of the events due inside the window, summed over the subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCounts {
    /// Deliveries owed: events due in the window times subscribers.
    pub emitted: u64,
    /// Deliveries of which at least one copy arrived before the drain ended.
    pub delivered: u64,
    /// Deliveries of which no copy arrived, though a later event did, where the strategy
    /// promises no more than the newest.
    pub coalesced: u64,
    /// Deliveries of which no copy arrived otherwise: `emitted - delivered - coalesced`.
    pub lost: u64,
    /// Copies beyond the first.
    pub duplicated: u64,
    /// First copies that arrived after a later event (RFC 4737, Type-P-Reordered).
    pub reordered: u64,
}

/// The source's side of one strategy: its lane, and what all lanes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSide {
    /// Inside the window.
    pub window: Counts,
    /// From the lane's start to its end.
    pub whole: Counts,
    /// CPU time of the lane's thread inside the window, in nanoseconds.
    pub cpu_ns: u64,
    /// CPU time of the lane's thread while nothing was to be done, in nanoseconds; for how long
    /// is [`WindowUse::idle_ns`].
    #[serde(default)]
    pub idle_cpu_ns: u64,
    /// When a request was first answered 429, in nanoseconds after the trial's epoch.
    pub first_rate_limited: Option<u64>,
    /// CPU time of the pacer's thread inside the window, in nanoseconds. Shared by all lanes
    /// and part of none: a real source has no pacer.
    pub pacer_cpu_ns: u64,
    /// The part of it that the pacer spun for, in nanoseconds.
    #[serde(default)]
    pub spin_ns: u64,
    /// The process, shared by all lanes of the trial.
    pub process: ProcessUse,
    /// Lanes the process served: with more than one, memory cannot be told apart.
    pub lanes: u32,
    /// Exchanges of each [`EXCHANGE_BIN`] from the epoch on, where something goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_time: Vec<u32>,
    /// Events due in each incident whose delivery was given up, once for each subscriber, each
    /// time that it happened; in the order of the strategy's incidents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<Vec<u64>>,
}

/// How long the stretches are whose exchanges are counted over time.
pub const EXCHANGE_BIN: Duration = crate::counts::BIN;

/// The subscribers' side of one strategy.
///
/// Where they live in the source's process nothing can be told apart: it is all the lane's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriberSide {
    /// Inside the window.
    pub window: Counts,
    /// From the process's start to its end.
    pub whole: Counts,
    /// CPU time of the process inside the window, in nanoseconds.
    pub cpu_ns: u64,
    /// Deliveries that were not accepted: a wrong signature, a body that is no event of ours.
    pub refused: u64,
    /// First copies that the inbox says it accepted, and rows that came with the report; any
    /// difference was lost on the way to the record.
    #[serde(default)]
    pub accepted: u64,
    /// Rows that came with the report.
    #[serde(default)]
    pub rows: u64,
    /// The process; all zero where the subscribers live in the source's.
    pub process: ProcessUse,
    /// The lives that ended when the process was killed, as the scenario has it. What was counted
    /// and metered in them died with them: all figures above but `accepted` and `rows` are those
    /// of the last life alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<EndedLife>,
    /// As [`SourceSide::over_time`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_time: Vec<u32>,
}

/// A life of a subscribers' process that ended when it was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedLife {
    /// When it was killed, in nanoseconds after the trial's epoch.
    pub killed: u64,
    /// When the next life was ready, in nanoseconds after the trial's epoch.
    pub ready: u64,
    /// CPU time of the whole life, as the coordinator read it a moment before its end, in
    /// nanoseconds; absent where the kernel did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
}

/// What one worker process used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessUse {
    /// Largest resident set inside window and drain, in bytes (`VmHWM`).
    pub memory_peak: u64,
    /// CPU time of the whole life up to the report, as the process read it, in nanoseconds.
    pub cpu_ns_inside: u64,
    /// The same, as the coordinator read it from the scheduler's statistics of every thread.
    pub cpu_ns_outside: u64,
    /// The CPUs that it was allowed to run on; empty in records from before this was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u32>,
    /// Time threads stood ready but had no CPU over the whole life, in nanoseconds.
    pub run_queue_ns: u64,
    /// What the process itself read at the edges of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowUse>,
}

/// What one worker process suffered inside the window, and what its witness saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowUse {
    /// Time threads stood ready but had no CPU, in nanoseconds.
    pub run_queue_ns: u64,
    /// Times a thread was given a CPU; absent in records from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<u64>,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Times a thread was moved to another CPU; absent where the kernel does not say.
    pub migrations: Option<u64>,
    /// CPU time while nothing was to be done, before the schedule began, in nanoseconds: of the
    /// subscribers' process. A lane's own is [`SourceSide::idle_cpu_ns`].
    pub idle_cpu_ns: u64,
    /// How long nothing was to be done, in nanoseconds.
    pub idle_ns: u64,
    /// CPU time of the witness, part of no strategy, in nanoseconds.
    pub witness_cpu_ns: u64,
    /// How late the witness woke: its timer's error, in nanoseconds, median.
    pub timer_error_p50: u64,
    /// The same at the 99th percentile.
    pub timer_error_p99: u64,
    /// What was counted at random moments, as (nanoseconds after the epoch, count): events
    /// emitted, or first copies accepted.
    pub samples: Vec<(u64, u64)>,
}

/// What the machine did while a trial was measured: differences of the kernel's counters at the
/// edges of the window. What this kernel does not count is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineUse {
    /// The hypervisor's share of CPU time.
    pub stolen: Option<f64>,
    /// The share of time in which some task waited for a CPU.
    pub pressure: Option<f64>,
    /// Time the control group was throttled, in nanoseconds.
    pub throttled_ns: Option<u64>,
    /// Connections dialled by anybody in the network namespaces of the trial.
    pub connections_dialled: Option<u64>,
    /// TCP segments sent again.
    pub retransmitted: Option<u64>,
    /// Connections that a full listener or SYN cookies turned away.
    pub overflows: Option<u64>,
    /// Bytes over the loopback interface, or over the devices of the paths, without headers of
    /// TCP and IP.
    pub loopback_bytes: Option<u64>,
    /// Pages read from swap.
    pub swapped_in: Option<u64>,
    /// Processes ended for want of memory.
    pub out_of_memory: Option<u64>,
    /// How far the wall clock moved against the monotonic one, in nanoseconds.
    pub wall_clock_moved_ns: i64,
    /// CPU time of a fixed piece of work before and after the trial, in nanoseconds.
    pub fixed_work_ns: [u64; 2],
    /// What must be the same for every trial: kernel, settings, allowed CPUs, program.
    pub conditions: BTreeMap<String, String>,
}
