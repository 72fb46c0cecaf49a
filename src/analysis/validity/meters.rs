//! Checks of the meters: do independent readings of the same thing agree?

use std::collections::BTreeMap;

use super::limits::{
    BYTES, BYTES_SLACK, CONNECTIONS, IN_FLIGHT, LOST_ROWS, TIMER_ERROR, WALL_CLOCK,
};
use super::{CheckStatus, Finding, blocks, unless_planned, worst};
use crate::analysis::evidence::{Block, Evidence, PointEvidence};
use crate::analysis::words;
use crate::counts::Counts;
use crate::record::trial::{MachineUse, WindowUse};

/// The findings of what could be judged; that nothing could be, in words, if nothing was.
pub(super) fn where_known(
    findings: impl IntoIterator<Item = Option<Finding>>,
    unknown: &str,
    fine: &str,
) -> Finding {
    let known: Vec<Finding> = findings.into_iter().flatten().collect();
    if known.is_empty() { Finding::unavailable(unknown) } else { worst(known, fine) }
}

/// What the processes of a block say of their window, named.
pub(super) fn windows(block: &Block) -> impl Iterator<Item = (&'static str, &WindowUse)> {
    let sides = [
        ("source", &block.measured.source.process.window),
        ("subscribers", &block.measured.subscriber.process.window),
    ];
    sides.into_iter().filter_map(|(side, window)| Some((side, window.as_ref()?)))
}

/// A sleeping thread of each process must wake when it asked to.
pub(super) fn timers(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).flat_map(|(place, _, block)| {
        let judged = windows(block).map(|(side, window)| {
            // A witness that was not heard says nothing.
            (!window.samples.is_empty()).then(|| {
                Finding::by(TIMER_ERROR, window.timer_error_p50 as f64, || {
                    format!(
                        "{place}: timers of the {side} fire {} late in the median, {} at p99; \
                         latencies below ten times this are the timer's",
                        words::time(window.timer_error_p50 as f64),
                        words::time(window.timer_error_p99 as f64)
                    )
                })
            })
        });
        judged.collect::<Vec<_>>()
    });
    where_known(findings, "no witness timed itself", "timers fire when they are asked to")
}

/// Deliveries under way: counted by witnesses that know no stamps, and by Little's law from the
/// stamps.
pub(super) fn littles_law(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let found = block.in_flight?;
        let unit = (found.counted.abs() / 20.0).max(0.2) / 0.2;
        let difference = (found.counted - found.stamped).abs() / unit;
        Some(Finding::by(IN_FLIGHT, difference, || {
            format!(
                "{place}: {:.2} deliveries were under way on average, their stamps give {:.2} at \
                 the same moments; throughput × latency is not the work in flight, so a latency \
                 was stamped or added up wrongly",
                found.counted, found.stamped
            )
        }))
    });
    where_known(
        findings,
        "no ledger with witnesses, so work in flight was not counted",
        "throughput × latency is the work in flight that was counted",
    )
}

/// The trials of a point with what the windows of all their strategies counted.
fn trials(point: &PointEvidence) -> impl Iterator<Item = (u32, &MachineUse, Vec<Counts>)> {
    let mut trials: BTreeMap<u32, (Option<&MachineUse>, Vec<Counts>)> = BTreeMap::new();
    for block in point.strategies.iter().flat_map(|strategy| &strategy.blocks) {
        let trial = trials.entry(block.trial).or_default();
        trial.0 = block.measured.machine.as_ref();
        trial.1.push(block.measured.source.window);
    }
    trials.into_iter().filter_map(|(trial, (machine, counts))| Some((trial, machine?, counts)))
}

/// Bytes counted at the sockets must be those that crossed the loopback interface.
pub(super) fn bytes_agree(evidence: &Evidence) -> Finding {
    let findings = evidence.points.iter().flat_map(|point| {
        let judged = trials(point).map(|(trial, machine, counts)| {
            let kernel = machine.loopback_bytes? as f64;
            let counted: u64 =
                counts.iter().map(|counts| counts.bytes_received + counts.bytes_sent).sum();
            let excess = ((kernel - counted as f64).abs() - BYTES_SLACK).max(0.0);
            Some(Finding::by(BYTES, excess / kernel.max(1.0), || {
                format!(
                    "trial {trial}: {counted} bytes were counted in the window, {kernel:.0} crossed \
                     the loopback interface; somebody else used it, or bytes were miscounted"
                )
            }))
        });
        judged.collect::<Vec<_>>()
    });
    where_known(
        findings,
        "the kernel does not tell what crossed the loopback interface",
        "the bytes counted are those that crossed the loopback interface",
    )
}

/// Connections counted in the windows must be those that anybody dialled.
pub(super) fn connections_agree(evidence: &Evidence) -> Finding {
    let findings = evidence.points.iter().flat_map(|point| {
        let disturbed = point.strategies.iter().any(|one| !one.incidents.is_empty());
        let judged = trials(point).map(move |(trial, machine, counts)| {
            let kernel = machine.connections_dialled?;
            let counted: u64 = counts.iter().map(|counts| counts.connections).sum();
            let excess = kernel.abs_diff(counted) as f64 - 0.01 * kernel as f64;
            let found = Finding::by(CONNECTIONS, excess, || {
                format!(
                    "trial {trial}: {counted} connections were counted in the window, {kernel} were \
                     dialled on this machine; the others are another program's, or miscounted"
                )
            });
            // Who is refused at the door has dialled, and was not let in.
            Some(unless_planned(disturbed, found))
        });
        judged.collect::<Vec<_>>()
    });
    where_known(
        findings,
        "the kernel does not count connections",
        "the connections counted are those that were dialled",
    )
}

/// Every first copy that the inbox accepted must have reached the record.
pub(super) fn rows_kept(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let side = &block.measured.subscriber;
        Finding::by(LOST_ROWS, side.accepted.abs_diff(side.rows) as f64, || {
            format!(
                "{place}: the inbox accepted {} first copies, {} were recorded",
                side.accepted, side.rows
            )
        })
    });
    worst(findings, "every accepted delivery was recorded")
}

/// The wall clock must not step: it stamps what is signed, and labels records.
pub(super) fn wall_clock(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let moved = block.measured.machine.as_ref()?.wall_clock_moved_ns;
        Some(Finding::by(WALL_CLOCK, moved.unsigned_abs() as f64, || {
            format!(
                "{place}: the wall clock moved by {} against the monotonic one; latencies do not \
                 use it, but somebody set the time",
                words::time(moved as f64)
            )
        }))
    });
    where_known(findings, "the clocks were not compared", "nobody set the wall clock")
}

/// Strategies of a point should differ in what is compared and not in how they converse.
pub(super) fn equal_conditions(evidence: &Evidence) -> Finding {
    let findings = evidence.points.iter().flat_map(|point| {
        LINK_SETTINGS.iter().filter_map(|key| {
            let of = |settings: &serde_json::Value| {
                settings.get(*key).map_or_else(|| "none".to_owned(), ToString::to_string)
            };
            let values: BTreeMap<&str, String> = point
                .strategies
                .iter()
                .map(|one| (one.summary.name.as_str(), of(&one.summary.settings)))
                .collect();
            let differ = values.values().any(|value| Some(value) != values.values().next());
            differ.then(|| {
                let listed: Vec<String> =
                    values.iter().map(|(name, value)| format!("`{name}` {value}")).collect();
                let message = format!("strategies differ in `{key}`: {}", listed.join(", "));
                Finding::new(CheckStatus::Info, message)
            })
        })
    });
    worst(findings, "all strategies converse in the same way")
}

/// Settings of a link, and of who converses over it.
const LINK_SETTINGS: &[&str] =
    &["auth", "client", "http", "keep-alive", "payload", "rate-limit", "sign", "tls", "tls-resume"];

/// Nobody may stand between source and subscribers.
pub(super) fn no_middleman(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let handled =
            block.measured.source.whole.middlemen + block.measured.subscriber.whole.middlemen;
        Finding::by(super::limits::MIDDLEMEN, handled as f64, || {
            format!(
                "{place}: {handled} requests bear the marks of a proxy, or came in another version \
                 of HTTP than the link speaks"
            )
        })
    });
    worst(findings, "nobody stood between source and subscribers")
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::evidence::{Block, Evidence};
    use crate::analysis::summary::CheckStatus;
    use crate::analysis::tide::InFlight;

    type Judge = fn(&Evidence) -> Finding;
    type Change = fn(&mut Block);

    fn changed(change: impl FnOnce(&mut Block)) -> Evidence {
        let mut evidence = evidence();
        change(&mut evidence.points[0].strategies[1].blocks[0]);
        evidence
    }

    /// Each check passes on a sound run and is tripped by one change.
    #[test]
    fn readings_that_disagree_trip_the_check_that_is_for_them() {
        let cases: [(Judge, Change, CheckStatus); 8] = [
            (
                super::timers,
                |block| {
                    let window = &mut block.measured.source.process.window;
                    window.as_mut().expect("a witness").timer_error_p50 = 2_500_000;
                },
                CheckStatus::Warn,
            ),
            (
                super::littles_law,
                |block| block.in_flight = Some(InFlight { counted: 1.0, stamped: 1.3 }),
                CheckStatus::Fail,
            ),
            (
                super::littles_law,
                |block| block.in_flight = Some(InFlight { counted: 100.0, stamped: 106.0 }),
                CheckStatus::Fail,
            ),
            (
                super::bytes_agree,
                |block| block.measured.source.window.bytes_sent += 200_000,
                CheckStatus::Warn,
            ),
            (
                super::connections_agree,
                |block| block.measured.source.window.connections += 4,
                CheckStatus::Warn,
            ),
            (super::rows_kept, |block| block.measured.subscriber.rows -= 1, CheckStatus::Fail),
            (
                super::wall_clock,
                |block| {
                    let machine = block.measured.machine.as_mut().expect("watched");
                    machine.wall_clock_moved_ns = -1_000_000_000;
                },
                CheckStatus::Warn,
            ),
            (
                super::no_middleman,
                |block| block.measured.source.whole.middlemen = 1,
                CheckStatus::Fail,
            ),
        ];
        for (check, change, expected) in cases {
            let sound = check(&evidence());
            assert_eq!(sound.status, CheckStatus::Pass, "{}", sound.message);
            let finding = check(&changed(change));
            assert_eq!(finding.status, expected, "{}", finding.message);
        }
    }

    #[test]
    fn a_few_deliveries_in_flight_may_differ_by_one_that_is_being_stamped() {
        let flight = |counted, stamped| {
            changed(|block| block.in_flight = Some(InFlight { counted, stamped }))
        };
        assert_eq!(super::littles_law(&flight(0.02, 0.1)).status, CheckStatus::Pass);
        assert_eq!(super::littles_law(&flight(100.0, 104.0)).status, CheckStatus::Pass);
    }

    #[test]
    fn without_witnesses_nothing_is_claimed() {
        let mut silent = evidence();
        for strategy in &mut silent.points[0].strategies {
            for block in &mut strategy.blocks {
                block.in_flight = None;
                block.measured.machine = None;
                block.measured.source.process.window = None;
                block.measured.subscriber.process.window = None;
            }
        }
        let checks: [Judge; 5] = [
            super::timers,
            super::littles_law,
            super::bytes_agree,
            super::connections_agree,
            super::wall_clock,
        ];
        for check in checks {
            assert_eq!(check(&silent).status, CheckStatus::Unavailable);
        }
    }

    #[test]
    fn unequal_links_are_listed() {
        assert_eq!(super::equal_conditions(&evidence()).status, CheckStatus::Pass);
        let mut unequal = evidence();
        unequal.points[0].strategies[1].summary.settings = serde_json::json!({ "tls": true });
        let finding = super::equal_conditions(&unequal);
        assert_eq!(finding.status, CheckStatus::Info);
        assert!(finding.message.contains("`tls`"), "{}", finding.message);
    }
}
