//! Checks of the machine and the meters: do independent readings agree, was there CPU enough?

use super::{CheckStatus, Finding, blocks, worst};
use crate::analysis::evidence::{Block, Evidence};
use crate::analysis::words;
use crate::record::trial::ProcessUse;
use crate::units::nanoseconds;

/// CPU readings may differ by this share.
const CPU_SHARE: f64 = 0.02;

/// CPU readings may differ by this many nanoseconds however short the process: they are taken
/// at different moments, and threads end in between.
const CPU_SLACK: f64 = 20e6;

/// Waiting for a CPU, as a share of time, that wake-ups on an idle machine do not reach.
const STARVED_TELL: f64 = 0.002;

/// Waiting for a CPU, as a share of time, that shows in the tail of latencies.
const STARVED_WARN: f64 = 0.01;

/// Both sides must have counted the same exchanges over the whole trial. A client may resend
/// what nobody asked it to, and a connection may die before the other side sees a request.
pub(super) fn counts_agree(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let source = block.measured.source.whole.exchanges();
        let subscriber = block.measured.subscriber.whole.exchanges();
        if source == subscriber {
            return Finding::pass("").judging(0.0, 0.0);
        }
        let message = format!(
            "{place}: the source counted {source} exchanges, the subscribers {subscriber}; the \
             source's figure is reported"
        );
        Finding::new(CheckStatus::Warn, message).judging(source.abs_diff(subscriber) as f64, 0.0)
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
            let allowed = CPU_SLACK.max(CPU_SHARE * outside as f64);
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

/// Processes should not wait for a CPU: the time their threads stood ready, summed, against
/// the length of warm-up and window. Warns above 1 %, tells above 0.2 %.
pub(super) fn cpu_starved(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).flat_map(|(place, _, block)| {
        let life = nanoseconds(block.workload.warm_up + block.workload.window) as f64;
        processes(block).map(|(side, process)| {
            let share = process.run_queue_ns as f64 / life.max(1.0);
            let (status, limit) = match share {
                share if share > STARVED_WARN => (CheckStatus::Warn, STARVED_WARN),
                share if share > STARVED_TELL => (CheckStatus::Info, STARVED_TELL),
                _ => (CheckStatus::Pass, STARVED_TELL),
            };
            let message = format!(
                "{place}: threads of the {side} stood ready without a CPU for {} of the time; \
                 the run's other processes or other work delayed them, which lengthens the tail",
                words::percent(share)
            );
            Finding::new(status, message).judging(share, limit)
        })
    });
    worst(findings, "no process waited noticeably for a CPU")
}

#[cfg(test)]
mod tests {
    use super::{counts_agree, cpu_agrees, cpu_starved};
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::evidence::{Block, Evidence};
    use crate::analysis::summary::CheckStatus;

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
        // Warm-up and window are 9 s.
        for (waited, expected) in [
            (18_000_000, CheckStatus::Pass),
            (19_000_000, CheckStatus::Info),
            (91_000_000, CheckStatus::Warn),
        ] {
            let evidence = changed(|block| block.measured.subscriber.process.run_queue_ns = waited);
            assert_eq!(cpu_starved(&evidence).status, expected, "{waited}");
        }
    }
}
