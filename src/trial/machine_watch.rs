//! What the machine does while a trial is measured, as its record keeps it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::clock::Moment;
use crate::fault::Fault;
use crate::machine::{self, Namespaces, Reading};
use crate::meter;
use crate::record::trial::MachineUse;
use crate::timer::Timer;

/// Bytes of the headers of IPv4 and TCP, with the time stamps that Linux puts into every segment.
const HEADERS: u64 = 20 + 20 + 12;

/// A trial's machine, looked at before it begins.
#[derive(Debug)]
pub(crate) struct MachineWatch {
    fixed_work_ns: u64,
    conditions: BTreeMap<String, String>,
}

impl MachineWatch {
    /// Looks at the machine; `program` is what workers are.
    pub(crate) fn begin(program: &Path) -> MachineWatch {
        MachineWatch {
            fixed_work_ns: machine::fixed_work(0),
            conditions: machine::conditions(program),
        }
    }

    /// What happened from one reading to the other; called when the trial is over.
    pub(crate) fn end(
        self,
        (before, after): &(Reading, Reading),
        (window_ns, trial): (u64, u32),
        fault: Option<Fault>,
    ) -> MachineUse {
        let slower = u64::from(fault == Some(Fault::SlowCpu));
        let used = MachineUse {
            stolen: difference(before.cpu_ticks.map(|t| t.0), after.cpu_ticks.map(|t| t.0))
                .zip(difference(before.cpu_ticks.map(|t| t.1), after.cpu_ticks.map(|t| t.1)))
                .map(|(stolen, all)| stolen as f64 / (all as f64).max(1.0)),
            pressure: difference(before.pressure_ns, after.pressure_ns)
                .map(|waited| waited as f64 / (window_ns as f64).max(1.0)),
            throttled_ns: difference(before.throttled_ns, after.throttled_ns),
            connections_dialled: difference(before.connections_dialled, after.connections_dialled),
            retransmitted: difference(before.retransmitted, after.retransmitted),
            overflows: difference(before.overflows, after.overflows),
            loopback_bytes: before.received.zip(after.received).map(|(before, after)| {
                let bytes = after.0.saturating_sub(before.0);
                bytes.saturating_sub(HEADERS * after.1.saturating_sub(before.1))
            }),
            swapped_in: difference(before.swapped_in, after.swapped_in),
            out_of_memory: difference(before.out_of_memory, after.out_of_memory),
            wall_clock_moved_ns: i64::try_from(after.wall_offset_ns - before.wall_offset_ns)
                .unwrap_or(i64::MAX),
            fixed_work_ns: [self.fixed_work_ns, machine::fixed_work(slower)],
            conditions: self.conditions,
        };
        harmed(used, fault, trial)
    }
}

fn difference(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    before.zip(after).map(|(before, after)| after.saturating_sub(before))
}

/// The same, made wrong on purpose.
fn harmed(used: MachineUse, fault: Option<Fault>, trial: u32) -> MachineUse {
    match fault {
        Some(Fault::StealTime) => {
            MachineUse { stolen: used.stolen.map(|share| share + 0.05), ..used }
        }
        Some(Fault::ThrottleGroup) => {
            MachineUse { throttled_ns: used.throttled_ns.map(|time| time + 100_000_000), ..used }
        }
        Some(Fault::StepWallClock) => {
            MachineUse { wall_clock_moved_ns: used.wall_clock_moved_ns + 1_000_000_000, ..used }
        }
        Some(Fault::ChangeEnvironment) if trial == 1 => {
            let mut conditions = used.conditions;
            conditions.insert("tcp_congestion_control".to_owned(), "planted".to_owned());
            MachineUse { conditions, ..used }
        }
        _ => used,
    }
}

/// The machine at both edges of a window.
#[derive(Debug)]
pub(crate) struct Edges {
    /// Its counters.
    pub(crate) readings: (Reading, Reading),
    /// CPU time in the window of the process that makes the paths, if there is one.
    pub(crate) network_cpu_ns: Option<u64>,
}

/// Reads the machine's counters at both edges of a window, and what the process that makes the
/// paths has used.
pub(crate) async fn at_edges(
    (from, until): (Moment, Moment),
    namespaces: &Namespaces,
    network: Option<u32>,
) -> io::Result<Edges> {
    let mut timer = Timer::new()?;
    let used = || network.map(meter::scheduled).transpose();
    timer.sleep_until(from).await?;
    let (before, cpu_before) = (Reading::now(namespaces), used()?);
    timer.sleep_until(until).await?;
    let (after, cpu_after) = (Reading::now(namespaces), used()?);
    let network_cpu_ns =
        cpu_before.zip(cpu_after).map(|(before, after)| after.cpu_ns.saturating_sub(before.cpu_ns));
    Ok(Edges { readings: (before, after), network_cpu_ns })
}
