//! What a process uses: CPU time and memory, from the scheduler's precise accounting.
//!
//! Only totals: the split into user and system time is sampled at the tick and can be wrong
//! by far, and so is `/proc/stat` (`Documentation/admin-guide/cpu-load.rst` of Linux).

use std::io::{self, Write};

use procfs::process::{Process, Task};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::Pid;

/// What the scheduler's statistics say of all threads of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    /// Time on a CPU, in nanoseconds.
    pub cpu_ns: u64,
    /// Time ready but without a CPU, in nanoseconds.
    pub run_queue_ns: u64,
    /// Times it was given a CPU.
    pub slices: u64,
}

/// Reads `/proc/PID/task/*/schedstat`; threads that have ended are in it no more.
///
/// # Errors
///
/// When the process is gone or the kernel keeps no such statistics.
pub fn scheduled(pid: u32) -> io::Result<Scheduled> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    let process = Process::new(pid).map_err(io::Error::other)?;
    let mut total = Scheduled::default();
    for task in process.tasks().map_err(io::Error::other)?.flatten() {
        let thread = of_task(&task)?;
        total.cpu_ns += thread.cpu_ns;
        total.run_queue_ns += thread.run_queue_ns;
        total.slices += thread.slices;
    }
    Ok(total)
}

/// What a process has suffered so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suffered {
    /// Time that threads stood ready but without a CPU, in nanoseconds.
    pub run_queue_ns: u64,
    /// Times that a thread was given a CPU.
    pub slices: u64,
    /// Page faults that had to wait for a disk.
    pub major_faults: u64,
    /// Times that a thread was moved to another CPU; absent where the kernel does not say.
    pub migrations: Option<u64>,
}

/// What this process has suffered so far, all its threads together.
///
/// # Errors
///
/// When the kernel keeps no such statistics.
pub fn suffered() -> io::Result<Suffered> {
    let me = Process::myself().map_err(io::Error::other)?;
    let mut total = Suffered { migrations: Some(0), ..Suffered::default() };
    for task in me.tasks().map_err(io::Error::other)?.flatten() {
        let thread = of_task(&task)?;
        total.run_queue_ns += thread.run_queue_ns;
        total.slices += thread.slices;
        total.migrations = total.migrations.zip(migrations(&task)).map(|(sum, more)| sum + more);
    }
    total.major_faults = me.stat().map_err(io::Error::other)?.majflt;
    Ok(total)
}

/// How often a thread was moved to another CPU (`/proc/PID/task/TID/sched`).
fn migrations(task: &Task) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{}/sched", task.tid)).ok()?;
    let line = text.lines().find(|line| line.starts_with("se.nr_migrations"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// Reads the statistics of one thread of this process.
///
/// # Errors
///
/// When the thread is gone or the kernel keeps no such statistics.
pub fn scheduled_thread(thread: Pid) -> io::Result<Scheduled> {
    let process = Process::myself().map_err(io::Error::other)?;
    let task = process.task_from_tid(thread.as_raw_pid()).map_err(io::Error::other)?;
    of_task(&task)
}

fn of_task(task: &Task) -> io::Result<Scheduled> {
    let statistics = task.schedstat().map_err(io::Error::other)?;
    Ok(Scheduled {
        cpu_ns: statistics.sum_exec_runtime,
        run_queue_ns: statistics.run_delay,
        slices: statistics.pcount,
    })
}

/// Forgets the process's largest resident set so far, so that the next reading of
/// [`memory_peak`] speaks of what came after (`man 5 proc`, `clear_refs`).
///
/// # Errors
///
/// When the kernel does not offer it.
pub fn forget_memory_peak() -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open("/proc/self/clear_refs")?.write_all(b"5")
}

/// The process's largest resident set, in bytes (`VmHWM`). Page cache is not part of it.
///
/// # Errors
///
/// When the kernel does not say.
pub fn memory_peak() -> io::Result<u64> {
    let status =
        Process::myself().and_then(|process| process.status()).map_err(io::Error::other)?;
    let kibibytes = status.vmhwm.ok_or_else(|| io::Error::other("the kernel gives no VmHWM"))?;
    Ok(kibibytes * 1024)
}

/// Raises the process's limit of open files as far as it may and returns it.
///
/// # Errors
///
/// When the system refuses to raise it to what it says is allowed.
pub fn raise_file_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Identifies the process's time namespace; clocks of two namespaces cannot be compared.
#[must_use]
pub fn time_namespace() -> Option<String> {
    let link = std::fs::read_link("/proc/self/ns/time").ok()?;
    Some(link.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::{forget_memory_peak, memory_peak, scheduled, scheduled_thread};
    use crate::clock;

    #[test]
    fn the_schedulers_statistics_agree_with_the_clock() {
        let me = rustix::thread::gettid();
        let before = (scheduled_thread(me).expect("statistics").cpu_ns, clock::thread_cpu());
        let work = (0..60_000_000_u64).fold(0, |sum, n| sum ^ n.wrapping_mul(n));
        assert_ne!(work, 1);
        let after = (scheduled_thread(me).expect("statistics").cpu_ns, clock::thread_cpu());
        let (outside, inside) = (after.0 - before.0, after.1 - before.1);
        // The statistics of a running thread are as old as the last tick: 10 ms at most.
        assert!(outside.abs_diff(inside) < 10_000_000, "{outside} against {inside}");
    }

    #[test]
    fn a_process_is_at_least_its_thread() {
        let thread = scheduled_thread(rustix::thread::gettid()).expect("statistics");
        assert!(scheduled(std::process::id()).expect("statistics").cpu_ns >= thread.cpu_ns);
    }

    #[test]
    fn what_a_process_suffers_only_grows() {
        let before = super::suffered().expect("statistics");
        let after = super::suffered().expect("statistics");
        assert!(before.run_queue_ns <= after.run_queue_ns);
        assert!(before.major_faults <= after.major_faults);
    }

    #[test]
    fn the_memory_peak_can_be_forgotten() {
        let block = vec![1_u8; 64 << 20];
        assert!(block.iter().all(|byte| *byte == 1));
        let high = memory_peak().expect("a peak");
        drop(block);
        forget_memory_peak().expect("a kernel that forgets");
        assert!(memory_peak().expect("a peak") + (32 << 20) < high);
    }
}
