//! What the machine says of itself, as far as it can spoil a measurement.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use procfs::Current;

use crate::clock;
use crate::machine;
use crate::meter;
use crate::network::tier::Offer;
use crate::record::environment::Environment;
use crate::units::nanoseconds;

/// Sleeps that are timed.
const SLEEPS: usize = 200;

/// Length of each.
const SLEEP: Duration = Duration::from_millis(2);

/// Everything that is looked at; absent where the machine does not tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    pub(super) environment: Environment,
    /// How late a sleeping thread wakes, in nanoseconds: median and 99th percentile.
    pub(super) overshoot: Option<(u64, u64)>,
    /// The share of the time that the sleeping thread stood ready without a CPU.
    pub(super) run_queue: Option<f64>,
    /// Runnable tasks of the machine at the moment, this one excluded.
    pub(super) runnable: Option<u32>,
    /// The share of CPU time that the hypervisor took while the sleeps were timed.
    pub(super) steal: Option<f64>,
    /// The most files this process may open, once it has raised its limit.
    pub(super) files: Option<u64>,
    /// Ports for outgoing connections.
    pub(super) ports: Option<u32>,
    /// Names of the environment's proxy variables that are set; never their values.
    pub(super) proxies: Vec<&'static str>,
    /// Free bytes where results are written.
    pub(super) disk: Option<u64>,
    /// Time that the control group was throttled so far, in nanoseconds.
    pub(super) throttled: Option<u64>,
    /// What `[network]` can make a path of.
    pub(super) paths: Option<Offer>,
}

/// Variables that make HTTP clients use a proxy.
const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

impl Machine {
    /// Looks at the machine for about half a second.
    pub(super) fn examine(results: &Path) -> Machine {
        let before = machine::cpu_ticks();
        let timed = std::thread::spawn(time_sleeps).join().ok();
        let after = machine::cpu_ticks();
        let (overshoot, run_queue) = timed.unzip();
        Machine {
            environment: Environment::capture(),
            overshoot,
            run_queue: run_queue.flatten(),
            runnable: runnable(),
            steal: before.zip(after).and_then(|(before, after)| share_stolen(before, after)),
            files: meter::raise_file_limit().ok(),
            ports: fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
                .ok()
                .and_then(|range| ports(&range)),
            proxies: PROXY_VARIABLES
                .into_iter()
                .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
                .collect(),
            disk: free_bytes(results).ok(),
            throttled: machine::throttled(),
            paths: Some(Offer::of_this_machine()),
        }
    }
}

/// Sleeps to absolute deadlines as the pacer does, and says how late it woke.
fn time_sleeps() -> ((u64, u64), Option<f64>) {
    clock::sharpen_timers();
    let thread = rustix::thread::gettid();
    let waited = || meter::scheduled_thread(thread).ok().map(|thread| thread.run_queue_ns);
    let (began, queued) = (clock::now(), waited());
    let mut late: Vec<u64> = Vec::with_capacity(SLEEPS);
    let mut due = began;
    for _ in 0..SLEEPS {
        due = due.after(SLEEP);
        clock::sleep_until(due);
        late.push(nanoseconds(clock::now().since(due)));
    }
    late.sort_unstable();
    let wall = nanoseconds(clock::now().since(began)) as f64;
    let queue = queued.zip(waited()).map(|(before, after)| (after - before) as f64 / wall);
    ((late[SLEEPS / 2], late[SLEEPS * 99 / 100]), queue)
}

fn share_stolen(before: (u64, u64), after: (u64, u64)) -> Option<f64> {
    let all = after.1.checked_sub(before.1).filter(|all| *all > 0)?;
    Some(after.0.saturating_sub(before.0) as f64 / all as f64)
}

fn runnable() -> Option<u32> {
    procfs::LoadAverage::current().ok().map(|load| load.cur.saturating_sub(1))
}

/// The size of a range written as `first last`.
fn ports(range: &str) -> Option<u32> {
    let mut ends = range.split_whitespace().map_while(|end| end.parse::<u32>().ok());
    let (first, last) = (ends.next()?, ends.next()?);
    (last >= first).then(|| last - first + 1)
}

/// Free bytes of the file system that holds a folder, or would hold it.
fn free_bytes(folder: &Path) -> io::Result<u64> {
    let folder = std::path::absolute(folder)?;
    let existing = folder.ancestors().find(|place| place.exists());
    let status = rustix::fs::statvfs(existing.unwrap_or(Path::new("/")))?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::{Machine, ports, share_stolen};
    use std::path::Path;

    #[test]
    fn a_machine_can_be_examined() {
        let machine = Machine::examine(Path::new("no/such/folder"));
        let (median, high) = machine.overshoot.expect("sleeps were timed");
        assert!(median <= high);
        assert!(machine.disk.is_some_and(|bytes| bytes > 0));
        assert!(machine.files.is_some_and(|files| files > 0));
    }

    #[test]
    fn the_kernel_s_files_are_read_as_they_are_written() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!(ports("1"), None);
        assert_eq!(share_stolen((5, 100), (15, 200)), Some(0.1));
        assert_eq!(share_stolen((5, 100), (5, 100)), None);
    }
}
