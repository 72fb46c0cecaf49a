//! The machine a run was made on, as far as it bears on the numbers.
//!
//! No host name, user name, path or boot parameter is kept: a run folder can be published.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The machine and the build. Whatever a platform does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Instruction set, such as `x86_64`.
    pub architecture: String,
    /// Release of the kernel.
    pub kernel_release: Option<String>,
    /// Build of the kernel.
    pub kernel_version: Option<String>,
    /// Model name of the first CPU.
    pub cpu_model: Option<String>,
    /// CPUs this process may run on.
    pub cpu_logical: Option<u32>,
    /// Whether two logical CPUs share a core.
    pub cpu_smt: Option<bool>,
    /// Frequency governor of the first CPU.
    pub cpu_governor: Option<String>,
    /// The kernel's source of time.
    pub clocksource: Option<String>,
    /// Memory of the machine, in bytes.
    pub memory_total: Option<u64>,
    /// CPU quota and period of the control group in microseconds, or `max`.
    pub cgroup_cpu: Option<String>,
    /// Memory limit of the control group in bytes, or `max`.
    pub cgroup_memory: Option<String>,
    /// Load averages over 1, 5 and 15 minutes at the start of the run.
    pub load_average: Option<[f64; 3]>,
    /// Congestion control of new TCP connections.
    pub congestion_control: Option<String>,
    /// Whether the CPU says it is virtual.
    pub hypervisor: Option<bool>,
    /// Whether there are signs of a container.
    pub container: Option<bool>,
    /// `release`, or `debug` where checks slow the program down.
    pub build_profile: String,
}

impl Environment {
    /// Looks at the machine.
    #[must_use]
    pub fn capture() -> Environment {
        let kernel = rustix::system::uname();
        let text = |text: &std::ffi::CStr| Some(text.to_string_lossy().into_owned());
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Environment {
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            kernel_release: text(kernel.release()),
            kernel_version: text(kernel.version()),
            cpu_model: cpu_field(&cpuinfo, "model name").map(str::to_owned),
            cpu_logical: std::thread::available_parallelism()
                .ok()
                .and_then(|count| u32::try_from(count.get()).ok()),
            cpu_smt: line("/sys/devices/system/cpu/smt/active").map(|active| active == "1"),
            cpu_governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            clocksource: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            memory_total: memory_total(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
            cgroup_cpu: cgroup_limit("cpu.max"),
            cgroup_memory: cgroup_limit("memory.max"),
            load_average: line("/proc/loadavg").as_deref().and_then(load_average),
            congestion_control: line("/proc/sys/net/ipv4/tcp_congestion_control"),
            hypervisor: cpu_field(&cpuinfo, "flags")
                .map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")),
            container: cfg!(target_os = "linux").then(|| {
                ["/.dockerenv", "/run/.containerenv"].iter().any(|sign| Path::new(sign).exists())
            }),
            build_profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }
}

/// The only line of a file, if it can be read and says something.
fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The value of a key of the first CPU in `/proc/cpuinfo`.
fn cpu_field<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB and calls them kB.
fn memory_total(meminfo: &str) -> Option<u64> {
    let kibibytes = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn load_average(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

/// A limit of this process's own control group (version 2), or of the one it sees as root.
fn cgroup_limit(file: &str) -> Option<String> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    line(&format!("/sys/fs/cgroup{own}/{file}")).or_else(|| line(&format!("/sys/fs/cgroup/{file}")))
}

#[cfg(test)]
mod tests {
    use super::{Environment, cpu_field, load_average, memory_total};

    #[test]
    fn the_machine_tells_its_kernel_and_cpus() {
        let environment = Environment::capture();
        assert!(environment.kernel_release.is_some_and(|release| !release.is_empty()));
        assert!(environment.cpu_logical.is_some_and(|count| count > 0));
        assert_eq!(environment.build_profile, "debug");
    }

    #[test]
    fn the_kernel_s_files_are_read_as_they_are_written() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Example 9\nflags\t\t: fpu hypervisor\n";
        assert_eq!(cpu_field(cpuinfo, "model name"), Some("Example 9"));
        assert_eq!(
            memory_total("MemTotal:       24677512 kB\nMemFree: 1 kB\n"),
            Some(25_269_772_288)
        );
        assert_eq!(load_average("0.52 0.41 0.30 1/123 4567"), Some([0.52, 0.41, 0.30]));
        assert_eq!(load_average(""), None);
    }
}
