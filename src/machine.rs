//! What the whole machine does while a trial is measured, from the kernel's own counters.
//!
//! Readings are taken at the edges of a window; differences are what happened inside it. A
//! counter that this kernel does not keep is absent, never zero.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;

use procfs::CurrentSI;

use crate::clock;

/// Running totals of the machine.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Ticks of all CPUs: taken by the hypervisor, and altogether.
    pub cpu_ticks: Option<(u64, u64)>,
    /// Time in which some task waited for a CPU, in nanoseconds (`/proc/pressure/cpu`).
    pub pressure_ns: Option<u64>,
    /// Time the control group was throttled, in nanoseconds.
    pub throttled_ns: Option<u64>,
    /// Connections dialled by anybody in the network namespaces.
    pub connections_dialled: Option<u64>,
    /// TCP segments sent again.
    pub retransmitted: Option<u64>,
    /// Connections that a full listener or SYN cookies turned away.
    pub overflows: Option<u64>,
    /// Bytes and packets that the devices received, which is all that crosses them one way.
    pub received: Option<(u64, u64)>,
    /// Pages read from swap.
    pub swapped_in: Option<u64>,
    /// Processes ended for want of memory.
    pub out_of_memory: Option<u64>,
    /// Wall clock minus monotonic clock, in nanoseconds.
    pub wall_offset_ns: i128,
}

/// The network namespaces whose counters are read.
#[derive(Debug)]
pub struct Namespaces {
    /// The kernel's counters of each.
    places: Vec<Counters>,
    /// The device that everything measured crosses.
    device: &'static str,
}

impl Namespaces {
    /// The one of this process, where everything crosses loopback.
    #[must_use]
    pub fn own() -> Namespaces {
        Namespaces { places: vec![Counters::of(Path::new("/proc/net"))], device: "lo" }
    }

    /// Those of these processes, each in one of its own, where everything crosses this device.
    #[must_use]
    pub fn of(processes: &[u32], device: &'static str) -> Namespaces {
        let place = |process| Counters::of(Path::new(&format!("/proc/{process}/net")));
        Namespaces { places: processes.iter().map(place).collect(), device }
    }

    /// The sum over all of them of what a file says.
    fn sum(&self, file: &str, counter: impl Fn(&str) -> Option<u64>) -> Option<u64> {
        self.places.iter().map(|place| counter(&place.read(file)?)).sum()
    }
}

/// The files of the kernel's counters of one namespace, those that there are.
///
/// They stay open, and keep the namespace: a process may be killed and started again meanwhile.
#[derive(Debug)]
struct Counters(Vec<(&'static str, File)>);

impl Counters {
    fn of(folder: &Path) -> Counters {
        let opened = |name| Some((name, File::open(folder.join(name)).ok()?));
        Counters(["snmp", "netstat", "dev"].into_iter().filter_map(opened).collect())
    }

    fn read(&self, name: &str) -> Option<String> {
        let mut file = self.0.iter().find_map(|(known, file)| (*known == name).then_some(file))?;
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

impl Reading {
    /// Reads every counter.
    #[must_use]
    pub fn now(namespaces: &Namespaces) -> Reading {
        let protocol = |file: &str, protocol: &str, name: &str| {
            namespaces.sum(file, |text| protocol_counter(text, protocol, name))
        };
        let received =
            |place| namespaces.sum("dev", |text| received(text, namespaces.device, place));
        let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        let overflows = [("TcpExt", "ListenOverflows"), ("TcpExt", "SyncookiesSent")];
        Reading {
            cpu_ticks: cpu_ticks(),
            pressure_ns: pressure(&fs::read_to_string("/proc/pressure/cpu").unwrap_or_default()),
            throttled_ns: throttled(),
            connections_dialled: protocol("snmp", "Tcp", "ActiveOpens"),
            retransmitted: protocol("snmp", "Tcp", "RetransSegs"),
            overflows: overflows.into_iter().map(|(of, name)| protocol("netstat", of, name)).sum(),
            received: received(0).zip(received(1)),
            swapped_in: counter(&vmstat, "pswpin"),
            out_of_memory: counter(&vmstat, "oom_kill"),
            wall_offset_ns: clock::wall_offset(),
        }
    }
}

/// Ticks of all CPUs since the start: taken by the hypervisor, and altogether.
#[must_use]
pub fn cpu_ticks() -> Option<(u64, u64)> {
    let total = procfs::KernelStats::current().ok()?.total;
    let stolen = total.steal?;
    let parts = [total.user, total.nice, total.system, total.idle];
    let more = [total.iowait, total.irq, total.softirq].into_iter().flatten();
    Some((stolen, parts.into_iter().chain(more).sum::<u64>() + stolen))
}

/// Time in which some task waited for a CPU so far.
fn pressure(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let microseconds = some.split("total=").nth(1)?.trim().parse::<u64>().ok()?;
    microseconds.checked_mul(1_000)
}

/// Time that the control group of this process was throttled so far, in nanoseconds; of
/// version 2 or 1, or of the group it sees as root.
#[must_use]
pub fn throttled() -> Option<u64> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = membership.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let version_2 = [format!("/sys/fs/cgroup{own}/cpu.stat"), "/sys/fs/cgroup/cpu.stat".to_owned()];
    let found = version_2.iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        counter(&text, "throttled_usec")?.checked_mul(1_000)
    });
    // Version 1 counts in nanoseconds.
    let version_1 = || {
        let text = fs::read_to_string("/sys/fs/cgroup/cpu/cpu.stat").ok()?;
        counter(&text, "throttled_time")
    };
    found.or_else(version_1)
}

/// A counter of `/proc/net/snmp` or `/proc/net/netstat`: a line of names, then one of values.
fn protocol_counter(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let prefix = format!("{protocol}:");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|found| found == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

/// A counter of a file with a name and a value on each line.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse().ok())?
    })
}

/// What a device has received, of `/proc/net/dev`: bytes first, then packets.
fn received(text: &str, device: &str, place: usize) -> Option<u64> {
    let of_device = text.lines().filter_map(|line| {
        // One device, or several that are told apart by a number.
        let (name, counters) = line.trim_start().split_once(':')?;
        let number = name.strip_prefix(device)?;
        number.chars().all(|digit| digit.is_ascii_digit()).then_some(counters)
    });
    let counters = of_device.map(|counters| counters.split_whitespace().nth(place)?.parse().ok());
    let counters: Vec<u64> = counters.collect::<Option<_>>()?;
    (!counters.is_empty()).then(|| counters.iter().sum())
}

/// Rounds of the fixed piece of work.
const WORK_ROUNDS: u64 = 1_500_000;

/// How often the piece of work is timed; the quickest counts, since interruptions only slow it.
const WORK_TIMES: usize = 7;

/// CPU time of a fixed piece of work, in nanoseconds: how fast the CPU is just now.
///
/// Where the kernel tells no frequencies, as in most virtual machines, this is what shows that
/// the CPU's speed changed.
#[must_use]
pub fn fixed_work(rounds_more: u64) -> u64 {
    let time = || {
        let before = clock::thread_cpu();
        let mut state = std::hint::black_box(0x9e37_79b9_7f4a_7c15_u64);
        for _ in 0..WORK_ROUNDS * (1 + rounds_more) {
            // The next state depends on the last one, so that nothing can be skipped.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        std::hint::black_box(state);
        clock::thread_cpu() - before
    };
    (0..WORK_TIMES).map(|_| time()).min().unwrap_or_default()
}

/// Settings of the kernel that change what is measured.
const SETTINGS: &[&str] = &[
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/net/ipv4/tcp_autocorking",
    "/proc/sys/net/ipv4/tcp_congestion_control",
    "/proc/sys/net/ipv4/tcp_slow_start_after_idle",
    "/proc/sys/net/ipv4/tcp_timestamps",
    "/proc/sys/net/ipv4/tcp_tw_reuse",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpu/smt/active",
];

/// What must be the same for every trial of a run: kernel, settings, allowed CPUs, program.
#[must_use]
pub fn conditions(program: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let kernel = rustix::system::uname();
    found.insert("kernel".to_owned(), kernel.release().to_string_lossy().into_owned());
    for path in SETTINGS {
        if let Ok(text) = fs::read_to_string(path) {
            let name = path.rsplit('/').next().unwrap_or(path);
            found.insert(name.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(allowed) = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")) {
        found.insert("cpus_allowed".to_owned(), allowed.trim().to_owned());
    }
    if let Ok(program) = fs::metadata(program) {
        use std::os::unix::fs::MetadataExt;
        let identity = format!("inode {} size {}", program.ino(), program.size());
        found.insert("program".to_owned(), identity);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{
        Namespaces, Reading, conditions, counter, fixed_work, pressure, protocol_counter, received,
    };
    use std::path::Path;

    #[test]
    fn the_kernel_s_files_are_read_as_they_are_written() {
        let snmp = "Ip: A B\nIp: 1 2\nTcp: ActiveOpens RetransSegs\nTcp: 14 3\n";
        assert_eq!(protocol_counter(snmp, "Tcp", "RetransSegs"), Some(3));
        assert_eq!(protocol_counter(snmp, "Tcp", "Absent"), None);
        assert_eq!(protocol_counter("", "Tcp", "ActiveOpens"), None);
        assert_eq!(counter("pswpin 7\noom_kill 1\n", "oom_kill"), Some(1));
        let device = "Inter-|  R\n face |b\n    lo:    3193      29    0\n  eth0: 1 2 3\n";
        assert_eq!(received(device, "lo", 0), Some(3193));
        assert_eq!(received(device, "lo", 1), Some(29));
        assert_eq!(received(device, "path", 0), None);
        let several = "  lo: 5 1\n path0: 30 2\n path1: 12 1\npathway: 7 7\n";
        assert_eq!(received(several, "path", 0), Some(42));
        let stalls = "some avg10=0.27 avg60=1.85 avg300=2.57 total=16042830\nfull total=1\n";
        assert_eq!(pressure(stalls), Some(16_042_830_000));
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn totals_do_not_fall() {
        let own = Namespaces::own();
        let (before, after) = (Reading::now(&own), Reading::now(&own));
        assert!(before.connections_dialled <= after.connections_dialled);
        assert!(before.received <= after.received);
        assert!(before.received.is_some());
        // A process in the same namespace counts the same.
        let same = Reading::now(&Namespaces::of(&[std::process::id()], "lo"));
        assert!(after.received <= same.received);
        assert!(after.connections_dialled <= same.connections_dialled);
    }

    #[test]
    fn twice_the_work_takes_longer() {
        assert!(fixed_work(2) > fixed_work(0));
    }

    #[test]
    fn conditions_do_not_change_from_one_look_to_the_next() {
        let look = || conditions(Path::new("/proc/self/exe"));
        assert_eq!(look(), look());
        assert!(look().contains_key("kernel"));
        assert!(look().contains_key("cpus_allowed"));
    }
}
