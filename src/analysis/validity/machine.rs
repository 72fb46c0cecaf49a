//! Checks of the machine and the meters: do independent readings agree, was there CPU enough?

use std::collections::BTreeMap;

use super::limits::{
    CPU_READINGS, CPU_SLACK, CPU_SPEED, MEMORY_PRESSURE, MIGRATIONS, NETWORK_TROUBLE, PRESSURE,
    RECEIVER_BUSY, ROLE_CPU, RUN_QUEUE, STOLEN, THROTTLED,
};
use super::meters::{where_known, windows};
use super::paths::sends_again;
use super::{CheckStatus, Finding, blocks, unless_planned, worst};
use crate::analysis::evidence::{Block, Evidence};
use crate::analysis::words;
use crate::record::trial::{MachineUse, ProcessUse};
use crate::units::nanoseconds;

/// Both sides must have counted the same exchanges over the whole trial. A client may resend
/// what nobody asked it to, and a connection may die before the other side sees a request.
pub(super) fn counts_agree(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, strategy, block)| {
        let source = block.measured.source.whole.exchanges();
        let subscriber = block.measured.subscriber.whole.exchanges();
        if source == subscriber {
            return Finding::pass("").judging(0.0, 0.0);
        }
        let message = format!(
            "{place}: the source counted {source} exchanges, the subscribers {subscriber}; the \
             source's figure is reported"
        );
        let found = Finding::new(CheckStatus::Warn, message);
        let found = found.judging(source.abs_diff(subscriber) as f64, 0.0);
        // Who is refused at the door is seen by nobody else, and who is killed forgets.
        unless_planned(!strategy.incidents.is_empty(), found)
    });
    worst(findings, "source and subscribers counted the same exchanges")
}

/// The two processes of a trial, named.
fn processes(block: &Block) -> [(&'static str, &ProcessUse); 2] {
    [
        ("source", &block.measured.source.process),
        ("subscribers", &block.measured.subscriber.process),
    ]
}

/// CPU time read from inside and from outside a process must agree to 2 % or 20 ms.
pub(super) fn cpu_agrees(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).flat_map(|(place, _, block)| {
        processes(block).map(|(side, process)| {
            let (inside, outside) = (process.cpu_ns_inside, process.cpu_ns_outside);
            let difference = inside.abs_diff(outside) as f64;
            let allowed = CPU_SLACK.max(CPU_READINGS.warn * outside as f64);
            let status = if difference <= allowed { CheckStatus::Pass } else { CheckStatus::Warn };
            let message = format!(
                "{place}: the {side} read {} of CPU time of itself, {} were read from outside",
                words::time(inside as f64),
                words::time(outside as f64)
            );
            Finding::new(status, message).judging(difference, allowed)
        })
    });
    worst(findings, "CPU time read inside and outside of each process agrees")
}

/// Processes should not wait for a CPU: the time their threads stood ready inside the window,
/// each time that they had something to do.
pub(super) fn cpu_starved(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).flat_map(|(place, _, block)| {
        let window = nanoseconds(block.workload.window) as f64;
        let judged = windows(block).map(|(side, used)| {
            let waited = used.run_queue_ns as f64;
            let each = waited / (used.slices? as f64).max(1.0);
            Some(Finding::by(RUN_QUEUE, each, || {
                format!(
                    "{place}: threads of the {side} stood ready without a CPU for {} each time \
                     they had something to do, and for {} of the time in all; other work or the \
                     run's other processes delayed them, which lengthens the tail",
                    words::time(each),
                    words::percent(waited / window.max(1.0))
                )
            }))
        });
        judged.collect::<Vec<_>>()
    });
    let unknown = "no process counted how often it waited for a CPU";
    where_known(findings, unknown, "no process waited noticeably for a CPU")
}

/// What the machine did in every block, where it was watched.
fn machines(evidence: &Evidence) -> impl Iterator<Item = (String, &Block, Option<&MachineUse>)> {
    blocks(evidence).map(|(place, _, block)| (place, block, block.measured.machine.as_ref()))
}

/// The hypervisor must not take the CPU away.
pub(super) fn stolen(evidence: &Evidence) -> Finding {
    let findings = machines(evidence).map(|(place, _, machine)| {
        let share = machine?.stolen?;
        Some(Finding::by(STOLEN, share, || {
            format!(
                "{place}: the hypervisor took {} of the CPU time; the tail is partly its own",
                words::percent(share)
            )
        }))
    });
    let unknown = "the kernel does not tell what a hypervisor takes";
    where_known(findings, unknown, "no hypervisor took CPU time")
}

/// The control group's quota must not stop the processes.
pub(super) fn throttled(evidence: &Evidence) -> Finding {
    let findings = machines(evidence).map(|(place, _, machine)| {
        let time = machine?.throttled_ns? as f64;
        Some(Finding::by(THROTTLED, time, || {
            format!(
                "{place}: the control group's CPU quota stopped all processes for {}",
                words::time(time)
            )
        }))
    });
    let unknown = "no control group tells whether it was throttled";
    where_known(findings, unknown, "no CPU quota stopped the processes")
}

/// Nobody should wait for a CPU on this machine, whoever it is.
pub(super) fn pressure(evidence: &Evidence) -> Finding {
    let findings = machines(evidence).map(|(place, _, machine)| {
        let share = machine?.pressure?;
        Some(Finding::by(PRESSURE, share, || {
            format!(
                "{place}: some task of this machine waited for a CPU {} of the time",
                words::percent(share)
            )
        }))
    });
    let unknown = "the kernel keeps no account of who waits for a CPU (PSI)";
    where_known(findings, unknown, "hardly any task of this machine waited for a CPU")
}

/// The CPU must be as fast after a trial as before it.
pub(super) fn cpu_speed(evidence: &Evidence) -> Finding {
    let findings = machines(evidence).map(|(place, _, machine)| {
        let [before, after] = machine?.fixed_work_ns.map(|time| time as f64);
        let change = (after - before).abs() / before.min(after).max(1.0);
        Some(Finding::by(CPU_SPEED, change, || {
            format!(
                "{place}: the same piece of work took {} before the trial and {} after it; the \
                 CPU's speed changed, and CPU figures with it",
                words::time(before),
                words::time(after)
            )
        }))
    });
    where_known(findings, "the CPU's speed was not measured", "the CPU was equally fast throughout")
}

/// Every trial must run under the same kernel, settings, CPUs and program.
pub(super) fn environment(evidence: &Evidence) -> Finding {
    let mut first = None;
    let findings: Vec<Option<Finding>> = machines(evidence)
        .map(|(place, _, machine)| {
            let conditions = &machine?.conditions;
            let first: &BTreeMap<String, String> = first.get_or_insert(conditions);
            let none = "none".to_owned();
            let changed = first
                .keys()
                .chain(conditions.keys())
                .find(|key| first.get(*key) != conditions.get(*key));
            Some(match changed {
                None => Finding::pass(""),
                Some(key) => {
                    let [before, after] =
                        [first, conditions].map(|known| known.get(key).unwrap_or(&none));
                    let message = format!(
                        "{place}: `{key}` is {after}, and was {before} in the first trial; trials \
                         of one run must have the same conditions"
                    );
                    Finding::new(CheckStatus::Fail, message)
                }
            })
        })
        .collect();
    let unknown = "the conditions of the trials were not recorded";
    where_known(findings, unknown, "all trials ran under the same conditions")
}

/// No process may have waited for memory.
pub(super) fn memory(evidence: &Evidence) -> Finding {
    let findings = machines(evidence).map(|(place, block, machine)| {
        let machine = machine?;
        let faults: u64 = windows(block).map(|(_, window)| window.major_faults).sum();
        let (swapped, killed) = (machine.swapped_in?, machine.out_of_memory.unwrap_or(0));
        // One process ended for want of memory is as bad as it gets.
        let trouble = faults as f64 + swapped as f64 + 1e6 * killed as f64;
        Some(Finding::by(MEMORY_PRESSURE, trouble, || {
            format!(
                "{place}: {faults} page faults waited for a disk, {swapped} pages came from swap, \
                 {killed} processes were ended for want of memory"
            )
        }))
    });
    let unknown = "the kernel does not tell what came from swap";
    where_known(findings, unknown, "no process waited for memory")
}

/// No retransmissions and no full listeners, unless the scenario asks for them.
pub(super) fn network_trouble(evidence: &Evidence) -> Finding {
    let findings = machines(evidence).map(|(place, block, machine)| {
        let machine = machine?;
        // Over a path that loses packets, or has a full buffer, TCP sends again as it should.
        let again =
            machine.retransmitted.map(|again| if sends_again(block) { 0 } else { again })?;
        let full = machine.overflows.unwrap_or(0);
        Some(Finding::by(NETWORK_TROUBLE, (again + full) as f64, || {
            format!(
                "{place}: {again} TCP segments were sent again and {full} connections turned away \
                 on this machine; the tail may hold time-outs of 200 ms"
            )
        }))
    });
    let unknown = "the kernel does not count retransmissions";
    where_known(findings, unknown, "nothing was sent twice or turned away")
}

/// No role may be near the limit of its one thread.
pub(super) fn saturated(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).flat_map(|(place, strategy, block)| {
        let window = (nanoseconds(block.workload.window) as f64).max(1.0);
        let warm_up = nanoseconds(block.workload.warm_up) as f64;
        let roles = [
            ("source's lane", block.measured.source.cpu_ns),
            ("subscribers", block.measured.subscriber.cpu_ns),
        ];
        let cpu = roles.map(|(role, cpu)| {
            let share = cpu as f64 / window;
            Finding::by(ROLE_CPU, share, || {
                format!(
                    "{place}: the {role} used {} of a CPU; latencies include its own queueing",
                    words::percent(share)
                )
            })
        });
        let handles = strategy.summary.settings.pointer("/receiver/handle").is_some();
        // Whoever is asked to take time is not near a limit of its own.
        let busy = block.busy_ns.filter(|_| !handles).map(|busy| {
            let share = busy as f64 / (warm_up + window);
            Finding::by(RECEIVER_BUSY, share, || {
                format!(
                    "{place}: the subscribers had something in hand {} of the time; latencies \
                     include their own queueing",
                    words::percent(share)
                )
            })
        });
        cpu.into_iter().chain(busy).collect::<Vec<_>>()
    });
    worst(findings, "no role was near the limit of its thread")
}

/// Where processes are pinned they must not move; elsewhere, how often they did.
pub(super) fn pinning(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).flat_map(|(place, _, block)| {
        let judged = windows(block).map(|(side, window)| {
            let moves = window.migrations? as f64;
            if block.pinned {
                return Some(Finding::by(MIGRATIONS, moves, || {
                    format!("{place}: the {side} were pinned and changed their CPU {moves} times")
                }));
            }
            let message = format!(
                "{place}: nothing is pinned; threads of the {side} changed their CPU {moves} times, \
                 and where they sit moves a loopback round trip between 14 and 60 µs (`pin = true`)"
            );
            Some(Finding::new(CheckStatus::Info, message).judging(moves, 0.0))
        });
        judged.collect::<Vec<_>>()
    });
    let unknown = "the kernel does not count moves between CPUs";
    where_known(findings, unknown, "pinned processes stayed on their CPUs")
}

#[cfg(test)]
mod tests {
    use super::{counts_agree, cpu_agrees, cpu_starved};
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::evidence::{Block, Evidence};
    use crate::analysis::summary::CheckStatus;
    use crate::record::trial::MachineUse;

    fn changed(change: impl FnOnce(&mut Block)) -> Evidence {
        let mut evidence = evidence();
        change(&mut evidence.points[0].strategies[0].blocks[1]);
        evidence
    }

    #[test]
    fn an_exchange_only_one_side_saw_warns_with_both_figures() {
        assert_eq!(counts_agree(&evidence()).status, CheckStatus::Pass);
        let finding = counts_agree(&changed(|block| {
            block.measured.source.whole.useful = 100;
            block.measured.source.whole.empty = 0;
            block.measured.subscriber.whole.useful = 99;
            block.measured.subscriber.whole.empty = 0;
        }));
        assert_eq!(finding.status, CheckStatus::Warn);
        assert!(finding.message.contains("100") && finding.message.contains("99"));
    }

    #[test]
    fn the_same_exchanges_under_other_outcomes_agree() {
        let other = changed(|block| {
            block.measured.source.whole.empty -= 1;
            block.measured.source.whole.failed += 1;
        });
        assert_eq!(counts_agree(&other).status, CheckStatus::Pass);
    }

    #[test]
    fn cpu_readings_may_differ_by_two_percent_or_twenty_milliseconds() {
        for (inside, outside, expected) in [
            (0, 20_000_000, CheckStatus::Pass),
            (0, 20_000_001, CheckStatus::Warn),
            (9_800_000_000, 10_000_000_000, CheckStatus::Pass),
            (9_799_000_000, 10_000_000_000, CheckStatus::Warn),
        ] {
            let evidence = changed(|block| {
                block.measured.source.process.cpu_ns_inside = inside;
                block.measured.source.process.cpu_ns_outside = outside;
            });
            assert_eq!(cpu_agrees(&evidence).status, expected, "{inside} {outside}");
        }
    }

    #[test]
    fn waiting_for_a_cpu_warns() {
        for (waited, slices, expected) in [
            (100_000_000, Some(1_000), CheckStatus::Pass),
            (101_000_000, Some(1_000), CheckStatus::Info),
            (201_000_000, Some(1_000), CheckStatus::Warn),
            (201_000_000, Some(100_000), CheckStatus::Pass),
            (201_000_000, None, CheckStatus::Unavailable),
        ] {
            let mut evidence = evidence();
            let strategies = evidence.points[0].strategies.iter_mut();
            for block in strategies.flat_map(|strategy| &mut strategy.blocks) {
                let measured = &mut block.measured;
                for process in [&mut measured.subscriber.process, &mut measured.source.process] {
                    let window = process.window.as_mut().expect("readings");
                    (window.run_queue_ns, window.slices) = (waited, slices);
                }
            }
            assert_eq!(cpu_starved(&evidence).status, expected, "{waited} {slices:?}");
        }
    }

    type Change = fn(&mut Block);
    type Judge = fn(&Evidence) -> super::Finding;

    /// Each check passes on a sound run and is tripped by one change.
    #[test]
    fn what_the_machine_did_trips_the_check_that_is_for_it() {
        let machine = |change: fn(&mut MachineUse)| {
            changed(|block| change(block.measured.machine.as_mut().expect("watched")))
        };
        let cases: [(Judge, Evidence, CheckStatus); 7] = [
            (super::stolen, machine(|one| one.stolen = Some(0.05)), CheckStatus::Warn),
            (super::throttled, machine(|one| one.throttled_ns = Some(1)), CheckStatus::Warn),
            (super::pressure, machine(|one| one.pressure = Some(0.5)), CheckStatus::Warn),
            (super::cpu_speed, machine(|one| one.fixed_work_ns[1] *= 2), CheckStatus::Warn),
            (super::memory, machine(|one| one.out_of_memory = Some(1)), CheckStatus::Fail),
            (super::network_trouble, machine(|one| one.overflows = Some(1)), CheckStatus::Warn),
            (
                super::environment,
                machine(|one| {
                    one.conditions.insert("kernel".into(), "6.0.1".into());
                }),
                CheckStatus::Fail,
            ),
        ];
        for (check, harmed, expected) in cases {
            assert_eq!(check(&evidence()).status, CheckStatus::Pass);
            let finding = check(&harmed);
            assert_eq!(finding.status, expected, "{}", finding.message);
        }
    }

    #[test]
    fn what_a_machine_does_not_tell_is_no_pass() {
        let mut silent = evidence();
        for block in silent.points.iter_mut().flat_map(|point| &mut point.strategies) {
            for block in &mut block.blocks {
                block.measured.machine = None;
            }
        }
        let checks: [Judge; 7] = [
            super::stolen,
            super::throttled,
            super::pressure,
            super::cpu_speed,
            super::memory,
            super::network_trouble,
            super::environment,
        ];
        for check in checks {
            assert_eq!(check(&silent).status, CheckStatus::Unavailable);
        }
    }

    #[test]
    fn a_role_near_its_limit_is_noticed() {
        assert_eq!(super::saturated(&evidence()).status, CheckStatus::Pass);
        let cases: [(Change, CheckStatus); 4] = [
            (|block| block.measured.source.cpu_ns = 5_000_000_000, CheckStatus::Warn),
            (|block| block.measured.subscriber.cpu_ns = 7_500_000_000, CheckStatus::Fail),
            (|block| block.busy_ns = Some(5_000_000_000), CheckStatus::Warn),
            (|block| block.busy_ns = Some(8_900_000_000), CheckStatus::Fail),
        ];
        for (change, expected) in cases {
            let finding = super::saturated(&changed(change));
            assert_eq!(finding.status, expected, "{}", finding.message);
        }
        let mut asked = changed(|block| block.busy_ns = Some(8_900_000_000));
        for strategy in &mut asked.points[0].strategies {
            strategy.summary.settings = serde_json::json!({ "receiver": { "handle": "20ms" } });
        }
        assert_eq!(super::saturated(&asked).status, CheckStatus::Pass);
    }

    #[test]
    fn moves_of_unpinned_processes_are_told() {
        let finding = super::pinning(&evidence());
        assert_eq!(finding.status, CheckStatus::Info);
        assert!(
            finding.message.contains("not pinned") || finding.message.contains("nothing is pinned")
        );
    }
}
