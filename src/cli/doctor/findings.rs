//! What each observation means for a measurement. Pure: the machine was examined before.

use serde::Serialize;

use super::machine::Machine;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// As it should be.
    Well,
    /// The machine does not tell.
    Unknown,
    /// Some figures suffer.
    Mind,
    /// Do not measure here before this is changed.
    Spoils,
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Severity::Well => "well",
            Severity::Unknown => "unknown",
            Severity::Mind => "mind",
            Severity::Spoils => "spoils",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What was found, in words with its figure.
    pub(super) found: String,
    /// Which figures suffer if it is not as it should be.
    pub(super) spoils: &'static str,
    /// What to change.
    pub(super) remedy: &'static str,
}

/// A thing to look at: what it spoils, what to do, and the judgement.
struct Question {
    id: &'static str,
    spoils: &'static str,
    remedy: &'static str,
    judge: fn(&Machine) -> Option<(Severity, String)>,
}

/// Looks at everything, in the order of the list.
pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let ask = |question: &Question| {
        let judged = (question.judge)(machine);
        let (severity, found) =
            judged.unwrap_or((Severity::Unknown, "not available here".to_owned()));
        let Question { id, spoils, remedy, .. } = *question;
        Finding { id, severity, found, spoils, remedy }
    };
    QUESTIONS.iter().map(ask).collect()
}

const QUESTIONS: &[Question] = &[
    Question {
        id: "build",
        spoils: "CPU time and throughput: checks slow a debug build down many times",
        remedy: "build with `cargo build --release`",
        judge: |machine| match machine.environment.build_profile.as_str() {
            "" => None,
            "release" => Some((Severity::Well, "release".to_owned())),
            profile => Some((Severity::Mind, profile.to_owned())),
        },
    },
    Question {
        id: "timer",
        spoils: "emission lag and the beat of polls: latencies below ten times this are the timer's",
        remedy: "stop other work; look for a low `timer_slack` or an emulated timer",
        judge: timer,
    },
    Question {
        id: "clock-source",
        spoils: "every stamp: a clock that is read through a system call costs and jumps",
        remedy: "boot with `clocksource=tsc` where the CPU's counter is stable",
        judge: clock_source,
    },
    Question {
        id: "cores",
        spoils: "tails and CPU: source and subscribers wait for each other's CPU",
        remedy: "use four CPUs or more, or `layout = \"solo\"`",
        judge: |machine| {
            let cores = machine.environment.cpu_logical?;
            let severity = if cores >= 4 { Severity::Well } else { Severity::Mind };
            Some((severity, format!("{cores} CPUs")))
        },
    },
    Question {
        id: "siblings",
        spoils: "CPU time: two busy siblings of a core each run slower than alone",
        remedy: "switch simultaneous multithreading off, or leave every second CPU idle",
        judge: |machine| {
            let smt = machine.environment.cpu_smt?;
            let found = if smt { "CPUs share cores" } else { "every CPU is a core" };
            Some((if smt { Severity::Mind } else { Severity::Well }, found.to_owned()))
        },
    },
    Question {
        id: "paths",
        spoils: "`[network]`: without packets on the path nothing holds of connections or losses",
        remedy: "run as root",
        judge: paths,
    },
    Question {
        id: "run-queue",
        spoils: "the tail: ready threads wait for a CPU",
        remedy: "stop other work on this machine",
        judge: run_queue,
    },
    Question {
        id: "steal",
        spoils: "the tail and CPU time: the hypervisor runs somebody else",
        remedy: "measure on a machine of its own",
        judge: |machine| {
            let share = machine.steal?;
            let severity = match share {
                share if share > 0.005 => Severity::Spoils,
                share if share > 0.0005 => Severity::Mind,
                _ => Severity::Well,
            };
            Some((severity, format!("{} of CPU time", percent(share))))
        },
    },
    Question {
        id: "throttling",
        spoils: "everything: the control group's quota stops all processes at once",
        remedy: "raise or remove the CPU quota of the container",
        judge: |machine| {
            let time = machine.throttled?;
            let severity = if time > 0 { Severity::Mind } else { Severity::Well };
            Some((severity, format!("throttled for {} ms so far", time.div_ceil(1_000_000))))
        },
    },
    Question {
        id: "governor",
        spoils: "CPU time and low-rate latency: an idle CPU is clocked down",
        remedy: "set the frequency governor to `performance`",
        judge: |machine| {
            let governor = machine.environment.cpu_governor.clone()?;
            let well = governor == "performance";
            Some((if well { Severity::Well } else { Severity::Mind }, governor))
        },
    },
    Question {
        id: "open-files",
        spoils: "many subscribers: every connection is a file on both sides",
        remedy: "raise `ulimit -n` to 65536",
        judge: |machine| {
            let files = machine.files?;
            let severity = if files >= 16_384 { Severity::Well } else { Severity::Mind };
            Some((severity, format!("{files} files a process")))
        },
    },
    Question {
        id: "ports",
        spoils: "new connections: each holds a port for a minute after it closed",
        remedy: "widen `net.ipv4.ip_local_port_range`",
        judge: |machine| {
            let ports = machine.ports?;
            let severity = if ports >= 16_384 { Severity::Well } else { Severity::Mind };
            Some((severity, format!("{ports} ports for outgoing connections")))
        },
    },
    Question {
        id: "congestion-control",
        spoils: "distance: start-up and recovery differ between algorithms",
        remedy: "compare only runs with the same `net.ipv4.tcp_congestion_control`",
        judge: |machine| {
            let algorithm = machine.environment.congestion_control.clone()?;
            let usual = ["cubic", "reno", "bbr"].contains(&algorithm.as_str());
            Some((if usual { Severity::Well } else { Severity::Mind }, algorithm))
        },
    },
    Question {
        id: "proxy",
        spoils: "nothing here, since proxies are ignored; other tools beside this one may use it",
        remedy: "unset the variables for comparisons with other tools",
        judge: |machine| {
            Some(match machine.proxies.as_slice() {
                [] => (Severity::Well, "no proxy variable is set".to_owned()),
                names => (Severity::Mind, format!("{} set, and ignored", names.join(", "))),
            })
        },
    },
    Question {
        id: "disk",
        spoils: "the record: a run that cannot be written ends",
        remedy: "free space where results are written, or give `--out`",
        judge: |machine| {
            let free = machine.disk?;
            let severity = match free >> 20 {
                0..256 => Severity::Spoils,
                256..2048 => Severity::Mind,
                _ => Severity::Well,
            };
            Some((severity, format!("{} GiB free", free >> 30)))
        },
    },
    Question {
        id: "virtual",
        spoils: "absolute figures: another guest's work shows as noise",
        remedy: "quote ratios of one run; for absolute figures use bare metal",
        judge: |machine| {
            let hypervisor = machine.environment.hypervisor?;
            let found = if hypervisor { "a virtual machine" } else { "bare metal" };
            Some((if hypervisor { Severity::Mind } else { Severity::Well }, found.to_owned()))
        },
    },
];

fn timer(machine: &Machine) -> Option<(Severity, String)> {
    let (median, high) = machine.overshoot?;
    let severity = match high {
        0..=200_000 => Severity::Well,
        200_001..=5_000_000 => Severity::Mind,
        _ => Severity::Spoils,
    };
    let microseconds = |time: u64| format!("{} µs", time.div_ceil(1_000));
    let (median, high) = (microseconds(median), microseconds(high));
    Some((severity, format!("wakes {median} late in the median, {high} at p99")))
}

fn clock_source(machine: &Machine) -> Option<(Severity, String)> {
    let source = machine.environment.clocksource.clone()?;
    // These are read without a system call; the others are not.
    let quick = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];
    let well = quick.contains(&source.as_str());
    Some((if well { Severity::Well } else { Severity::Mind }, source))
}

fn paths(machine: &Machine) -> Option<(Severity, String)> {
    let offer = machine.paths.as_ref()?;
    Some(match (&offer.netem, &offer.router) {
        (None, _) => (Severity::Well, "netem and the router".to_owned()),
        (Some(_), None) => (Severity::Well, "the router; the kernel has no netem".to_owned()),
        (Some(_), Some(why)) => (Severity::Mind, format!("sockets only: {why}")),
    })
}

fn run_queue(machine: &Machine) -> Option<(Severity, String)> {
    let share = machine.run_queue?;
    let severity = match share {
        share if share > 0.05 => Severity::Spoils,
        share if share > 0.002 => Severity::Mind,
        _ => Severity::Well,
    };
    let runnable = machine.runnable.map(|tasks| format!(", {tasks} other tasks ready now"));
    let words = format!("ready but without a CPU for {} of the time", percent(share));
    Some((severity, words + &runnable.unwrap_or_default()))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{Machine, QUESTIONS, Severity, findings};
    use crate::network::tier::Offer;
    use std::collections::BTreeSet;

    fn severity(machine: &Machine, id: &str) -> Severity {
        let findings = findings(machine);
        findings.iter().find(|finding| finding.id == id).expect("a finding").severity
    }

    #[test]
    fn what_a_machine_does_not_tell_is_not_called_well() {
        for finding in findings(&Machine::default()) {
            if finding.id != "proxy" {
                assert_eq!(finding.severity, Severity::Unknown, "{}", finding.id);
            }
        }
    }

    #[test]
    fn every_question_is_asked_once() {
        let ids: BTreeSet<_> = QUESTIONS.iter().map(|question| question.id).collect();
        assert_eq!(ids.len(), QUESTIONS.len());
    }

    #[test]
    fn limits_divide_well_from_ill() {
        type Case = (&'static str, fn(&mut Machine), Severity);
        let with = |change: fn(&mut Machine)| {
            let mut machine = Machine::default();
            change(&mut machine);
            machine
        };
        let refused = |machine: &mut Machine| {
            let why = || Some("not permitted".to_owned());
            machine.paths = Some(Offer { netem: why(), router: why() });
        };
        let cases: [Case; 12] = [
            ("paths", |machine| machine.paths = Some(Offer::default()), Severity::Well),
            ("paths", refused, Severity::Mind),
            ("timer", |machine| machine.overshoot = Some((20_000, 90_000)), Severity::Well),
            ("timer", |machine| machine.overshoot = Some((1_000_000, 6_000_000)), Severity::Spoils),
            ("steal", |machine| machine.steal = Some(0.0), Severity::Well),
            ("steal", |machine| machine.steal = Some(0.01), Severity::Spoils),
            ("run-queue", |machine| machine.run_queue = Some(0.01), Severity::Mind),
            ("open-files", |machine| machine.files = Some(1_024), Severity::Mind),
            ("disk", |machine| machine.disk = Some(1 << 20), Severity::Spoils),
            ("disk", |machine| machine.disk = Some(1 << 40), Severity::Well),
            ("throttling", |machine| machine.throttled = Some(1), Severity::Mind),
            ("proxy", |machine| machine.proxies = vec!["HTTP_PROXY"], Severity::Mind),
        ];
        for (id, change, expected) in cases {
            assert_eq!(severity(&with(change), id), expected, "{id}");
        }
    }
}
