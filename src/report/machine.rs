//! A machine in one line.

use crate::analysis::provenance::Environment;

use super::wording::one_line;
use crate::quantity::{bytes, count, counted};

/// What a reader must know of the machine to weigh a number: CPU, how many of them, memory,
/// kernel, and whether it is one of its own.
pub(crate) fn in_words(environment: &Environment) -> String {
    let cpu = environment.cpu_model.as_deref().unwrap_or("an unnamed CPU");
    let mut parts = vec![one_line(cpu)];
    parts.extend(environment.cpu_logical.map(|cpus| counted(cpus.into(), "logical CPU")));
    parts.extend(
        environment.memory_total.map(|memory| format!("{} of memory", bytes(memory as f64))),
    );
    let kernel = environment.kernel_release.as_deref().unwrap_or("");
    let system = format!("{} {kernel}", one_line(&environment.os));
    parts.push(format!("{} ({})", system.trim_end(), one_line(&environment.architecture)));
    if environment.hypervisor == Some(true) {
        parts.push("a virtual machine".to_owned());
    }
    if environment.container == Some(true) {
        parts.push("in a container".to_owned());
    }
    if let Some(quota) = environment.cgroup_cpu.as_deref().and_then(quota) {
        parts.push(quota);
    }
    if environment.build_profile != "release" {
        parts.push(format!("a {} build", one_line(&environment.build_profile)));
    }
    parts.join(", ")
}

/// A CPU quota in words: what it is in each period; `None` of none.
fn quota(written: &str) -> Option<String> {
    let (quota, period) = written.split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    Some(format!("limited to {} µs of CPU in each {} µs", count(quota), count(period)))
}

#[cfg(test)]
mod tests {
    use super::in_words;
    use crate::analysis::provenance::Environment;

    #[test]
    fn a_machine_is_told_as_far_as_it_is_known() {
        let bare = Environment {
            os: "linux".to_owned(),
            architecture: "x86_64".to_owned(),
            build_profile: "debug".to_owned(),
            ..Environment::default()
        };
        assert_eq!(in_words(&bare), "an unnamed CPU, linux (x86_64), a debug build");
        let full = Environment {
            kernel_release: Some("6.1.0".to_owned()),
            cpu_model: Some("Example\n9".to_owned()),
            cpu_logical: Some(2),
            memory_total: Some(8_000_000_000),
            cgroup_cpu: Some("50000 100000".to_owned()),
            hypervisor: Some(true),
            container: Some(true),
            build_profile: "release".to_owned(),
            ..bare
        };
        assert_eq!(
            in_words(&full),
            "Example 9, 2 logical CPUs, 8.00 GB of memory, linux 6.1.0 (x86_64), a virtual \
             machine, in a container, limited to 50,000 µs of CPU in each 100,000 µs"
        );
        let free = Environment { cgroup_cpu: Some("max 100000".to_owned()), ..full };
        assert!(!in_words(&free).contains("limited"));
    }
}
