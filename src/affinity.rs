//! Which CPUs a process may run on.

use std::io;

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Where the processes of a trial are pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// The CPU of the source process: its pacer and all its lanes.
    pub source: u32,
    /// The CPU of each strategy's subscriber process, in the scenario's order.
    pub subscribers: Vec<u32>,
    /// The CPUs that are left to the coordinator; none if it shares those of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coordinator: Vec<u32>,
}

impl Placement {
    /// Gives the source the first of the CPUs and deals the others to the subscribers of so many
    /// strategies, of which `at_once` run at the same time; `None` with fewer than two CPUs.
    #[must_use]
    pub fn over(cpus: &[u32], strategies: usize, at_once: usize) -> Option<Placement> {
        let (source, others) = cpus.split_first().filter(|(_, others)| !others.is_empty())?;
        let at_once = at_once.max(1);
        Some(Placement {
            source: *source,
            // Alone, every strategy has the same CPU: two of them need not be equally fast.
            subscribers: (0..strategies).map(|s| others[s % at_once % others.len()]).collect(),
            coordinator: others.iter().skip(at_once).copied().collect(),
        })
    }
}

/// The CPUs that the calling thread may run on, in rising order.
///
/// # Errors
///
/// When the kernel does not say.
pub fn allowed() -> io::Result<Vec<u32>> {
    Ok(listed(&sched_getaffinity(None)?))
}

/// The CPUs that the first thread of a process may run on, and so all it started since that was
/// last changed.
///
/// # Errors
///
/// When the process is gone or belongs to somebody else.
pub fn allowed_to(process: u32) -> io::Result<Vec<u32>> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(listed(&sched_getaffinity(Some(pid))?))
}

/// Keeps the calling thread, and those that it starts from now on, on some CPUs.
///
/// # Errors
///
/// When the kernel refuses: none of them exists, or the process may use none of them.
pub fn restrict(cpus: &[u32]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        let cpu = usize::try_from(*cpu).ok().filter(|cpu| *cpu < CpuSet::MAX_CPU);
        set.set(cpu.ok_or(io::ErrorKind::InvalidInput)?);
    }
    Ok(sched_setaffinity(None, &set)?)
}

fn listed(set: &CpuSet) -> Vec<u32> {
    (0_u32..)
        .zip(0..CpuSet::MAX_CPU)
        .filter(|(_, cpu)| set.is_set(*cpu))
        .map(|(cpu, _)| cpu)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Placement, allowed, allowed_to, restrict};

    #[test]
    fn the_source_is_alone_and_subscribers_are_dealt_round() {
        let over = |cpus: &[u32], strategies, at_once| {
            let placement = Placement::over(cpus, strategies, at_once)?;
            Some((placement.source, placement.subscribers, placement.coordinator))
        };
        assert_eq!(over(&[], 2, 2), None);
        assert_eq!(over(&[3], 2, 2), None);
        assert_eq!(over(&[0, 1], 3, 3), Some((0, vec![1, 1, 1], vec![])));
        assert_eq!(over(&[0, 2, 5], 3, 3), Some((0, vec![2, 5, 2], vec![])));
        assert_eq!(over(&[0, 1, 2, 3], 2, 2), Some((0, vec![1, 2], vec![3])));
        // One after the other, strategies get the same CPU.
        assert_eq!(over(&[0, 1, 2, 3], 3, 1), Some((0, vec![1, 1, 1], vec![2, 3])));
    }

    #[test]
    fn a_thread_can_be_kept_on_one_of_its_cpus_and_its_threads_too() {
        let before = allowed().expect("the kernel says");
        let kept = std::thread::spawn(move || {
            let last = *before.last().expect("there is a CPU");
            restrict(&[last]).expect("it was allowed");
            let child = std::thread::spawn(|| allowed().expect("the kernel says"));
            (last, allowed().expect("the kernel says"), child.join().expect("a list"))
        });
        let (last, own, child) = kept.join().expect("no panic");
        assert_eq!((own, child), (vec![last], vec![last]));
        assert!(!allowed_to(std::process::id()).expect("it lives").is_empty());
    }

    #[test]
    fn cpus_that_do_not_exist_are_refused() {
        for cpus in [&[][..], &[1_000], &[1 << 20]] {
            assert!(std::thread::spawn(move || restrict(cpus)).join().expect("no panic").is_err());
        }
    }
}
