//! Checks of what was delivered.

use super::limits::BACKLOG;
use super::{CheckStatus, Finding, blocks, place, strategies, unless_planned, worst};
use crate::analysis::evidence::{Block, Evidence, PlannedBlocks, PointEvidence, StrategyEvidence};
use crate::analysis::summary::StopReason;
use crate::incident::Incident;

/// What was measured must be as it was when the run ended.
///
/// A run that was killed has no digests to compare with; it passes, and is not complete.
pub(super) fn sealed(evidence: &Evidence) -> Finding {
    let findings = evidence.changed.iter().map(|difference| {
        let message = format!("{difference}; the run was edited after it was measured");
        Finding::new(CheckStatus::Fail, message)
    });
    worst(findings, "the evidence is as it was when the run ended")
}

/// No fault may have been planted: such a run proves its checks and measures nothing.
pub(super) fn unharmed(evidence: &Evidence) -> Finding {
    match &evidence.injected {
        None => Finding::pass("no fault was planted in the run"),
        Some(fault) => {
            let message = format!(
                "the fault `{fault}` was planted in the run on purpose ({}); it shows what the \
                 checks notice, and measures nothing",
                fault.words()
            );
            Finding::new(CheckStatus::Fail, message)
        }
    }
}

/// Every planned trial should have been measured: a strategy without any fails the run.
pub(super) fn complete(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).map(|(point, strategy)| {
        let (measured, planned) = (strategy.summary.blocks, strategy.summary.blocks_planned);
        let status = match measured {
            0 => CheckStatus::Fail,
            some if some < planned => CheckStatus::Warn,
            // An earlier attempt at a block that was then measured.
            _ if !strategy.excluded.is_empty() => CheckStatus::Info,
            _ => CheckStatus::Pass,
        };
        let place = place(point, strategy);
        let planned = match point.blocks {
            PlannedBlocks::Open => format!("at most {planned}"),
            PlannedBlocks::Fixed | PlannedBlocks::Stopped(_) => planned.to_string(),
        };
        let mut parts = vec![format!("{place}: {measured} of {planned} blocks were measured")];
        if !strategy.excluded.is_empty() {
            parts.push(format!("left out: {}", strategy.excluded.join("; ")));
        }
        match (strategy.unended, &point.blocks) {
            (0, _) => {}
            (_, PlannedBlocks::Open) => {
                parts.push("the run ended before the stopping rule did".to_owned());
            }
            (unended, _) => parts.push(format!("{unended} did not run to their end")),
        }
        Finding::new(status, parts.join("; "))
    });
    let findings = findings.chain(evidence.points.iter().filter_map(contradicted));
    let finding = worst(findings, "every planned trial was measured");
    if evidence.points.is_empty() {
        return Finding::new(CheckStatus::Fail, "the run planned nothing");
    }
    finding
}

/// What the three digits of a histogram may move an interval by, as a share of its median: a
/// trial too large for a ledger was looked at exactly while the run went on.
const HISTOGRAM_SLACK: f64 = 0.002;

/// A point that ended because it was known precisely enough must be known so by its blocks.
fn contradicted(point: &PointEvidence) -> Option<Finding> {
    let PlannedBlocks::Stopped(stopping) = &point.blocks else { return None };
    let limit = stopping.precision + HISTOGRAM_SLACK;
    if stopping.reason == StopReason::Cap || stopping.within.is_some_and(|within| within <= limit) {
        return None;
    }
    let message = format!(
        "the manifest says that {} was known well enough after {} blocks; the blocks say that it \
         was not",
        stopping.measure, stopping.blocks
    );
    Some(Finding::new(CheckStatus::Fail, message))
}

/// A strategy must keep up: what is still under way when the window closes was not paid for
/// in it, so a growing backlog makes every figure per event too low.
///
/// Allowed, besides a small share, is what a poller leaves for its next beat, or a batch for its
/// end: the events of the longest wait, and three standard deviations of their number.
pub(super) fn caught_up(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).filter_map(|(place, strategy, block)| {
        let [before, after] = block.under_way?;
        let owed = block.measured.events.emitted as f64;
        let subscribers = f64::from(strategy.summary.subscribers);
        let wait = strategy.theory.as_ref().map(|theory| theory.form().longest_wait());
        let waiting = block.workload.rate.events_in(wait.unwrap_or_default());
        let allowed = BACKLOG.warn * owed + subscribers * (waiting + 3.0 * (waiting + 1.0).sqrt());
        let grown = after as f64 - before as f64;
        if grown <= allowed {
            return Some(Finding::pass("").judging(grown, allowed));
        }
        let message = format!(
            "{place}: the strategy fell behind: {before} deliveries were under way when the window \
             opened and {after} when it closed; its figures per event are too low, since part of \
             the work was done after the window"
        );
        let found = Finding::new(CheckStatus::Warn, message).judging(grown, allowed);
        // What was put off while something was wrong may be under way for long.
        Some(unless_planned(!strategy.incidents.is_empty(), found))
    });
    worst(findings, "every strategy kept up with the events")
}

/// Every delivery owed must arrive, and record and ledger must tell the same story.
///
/// Duplicates and coalesced events are counts to know of, not faults; reordering too, unless the strategy promises
/// order, and losses of a strategy that promises no completeness.
pub(super) fn ledger(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, strategy, block)| {
        let counts = block.recount.unwrap_or(block.measured.events);
        let words = format!(
            "{place}: {} owed = {} delivered + {} coalesced + {} lost; {} duplicated, {} out of \
             order",
            counts.emitted,
            counts.delivered,
            counts.coalesced,
            counts.lost,
            counts.duplicated,
            counts.reordered
        );
        if counts != block.measured.events {
            let message = format!(
                "{place}: ledger and record disagree: {counts:?} and {:?}",
                block.measured.events
            );
            Finding::new(CheckStatus::Fail, message)
        } else if counts.lost > 0 {
            let message = format!("{words}; lost events have no latency and are in no percentile");
            // Where a strategy lets events go by design, that it does is a result.
            let status =
                if strategy.promise.complete { CheckStatus::Fail } else { CheckStatus::Info };
            Finding::new(status, message).judging(counts.lost as f64, 0.0)
        } else if counts.reordered > 0 && strategy.promise.ordered {
            let message = format!("{words}; the strategy promises the order of the log");
            Finding::new(CheckStatus::Fail, message).judging(counts.reordered as f64, 0.0)
        } else if counts.coalesced + counts.duplicated + counts.reordered > 0 {
            Finding::new(CheckStatus::Info, words)
        } else {
            Finding::pass("").judging(0.0, 0.0)
        }
    });
    worst(findings, "every delivery owed arrived once and in order")
}

/// Nothing may arrive that is not ours: a wrong signature, a body that is no event.
pub(super) fn refused(evidence: &Evidence) -> Finding {
    let findings =
        blocks(evidence).map(|(place, strategy, block)| match block.measured.subscriber.refused {
            0 => Finding::pass("").judging(0.0, 0.0),
            count => {
                let message = format!("{place}: the subscribers refused {count} deliveries");
                let found = Finding::new(CheckStatus::Fail, message).judging(count as f64, 0.0);
                unless_planned(forged(strategy, block, count), found)
            }
        });
    worst(findings, "the subscribers accepted every delivery")
}

/// Whether signatures were made wrong, as the scenario has it, and no more was refused than
/// failed.
fn forged(strategy: &StrategyEvidence, block: &Block, refused: u64) -> bool {
    strategy.incidents.iter().any(Incident::forges) && refused <= block.measured.source.whole.failed
}

/// Nobody may be refused for want of right credentials: a refusal is quick, and would make a
/// strategy that cannot get in look fast.
pub(super) fn credentials(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, strategy, block)| {
        let (source, subscriber) =
            (block.measured.source.whole.denied, block.measured.subscriber.whole.denied);
        if source + subscriber == 0 {
            return Finding::pass("").judging(0.0, 0.0);
        }
        let message = format!(
            "{place}: requests were refused with 401 or 403, {source} by the source and \
             {subscriber} by the subscribers; quick refusals must not pass for quick deliveries"
        );
        let found = Finding::new(CheckStatus::Fail, message);
        let found = found.judging((source + subscriber) as f64, 0.0);
        unless_planned(source == 0 && forged(strategy, block, subscriber), found)
    });
    worst(findings, "nobody was refused for want of right credentials")
}

/// No latency may be clamped where a histogram stands in for the ledger.
pub(super) fn recorder(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| match block.clamped {
        0 => Finding::pass("").judging(0.0, 0.0),
        count => {
            let message = format!(
                "{place}: {count} latencies above 10 minutes were clamped; high percentiles are \
                 too low"
            );
            Finding::new(CheckStatus::Fail, message).judging(count as f64, 0.0)
        }
    });
    worst(findings, "no latency was clamped")
}

/// Measurements should agree with the closed forms that describe the strategies.
pub(super) fn theory(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).map(|(point, strategy)| {
        let place = place(point, strategy);
        match &strategy.summary.model {
            None if strategy.theory.is_some() => {
                let nothing = format!("{place}: nothing was measured to compare with theory");
                Finding::new(CheckStatus::Info, nothing)
            }
            None => {
                Finding::new(CheckStatus::Info, format!("{place}: no closed form to compare with"))
            }
            Some(model) => {
                let status = match model.agrees {
                    Some(true) => CheckStatus::Pass,
                    None => CheckStatus::Info,
                    Some(false) => CheckStatus::Warn,
                };
                Finding::new(status, format!("{place}: {}", model.note))
            }
        }
    });
    worst(findings, "every strategy agrees with its closed form")
}

#[cfg(test)]
mod tests {
    use super::{caught_up, complete, credentials, ledger, recorder, refused, sealed, theory};
    use crate::analysis::evidence::tests::{evidence, evidence_of};
    use crate::analysis::evidence::{Block, Evidence};
    use crate::analysis::summary::CheckStatus;
    use crate::promise::Promise;
    use crate::record::sample::Sample;
    use crate::record::trial::Outcome;

    fn changed(change: impl FnOnce(&mut Block)) -> Evidence {
        let mut evidence = evidence();
        change(&mut evidence.points[0].strategies[1].blocks[0]);
        evidence
    }

    #[test]
    fn edited_evidence_fails() {
        assert_eq!(sealed(&evidence()).status, CheckStatus::Pass);
        let edited = evidence_of(&Sample::default(), |run| {
            run.manifest.files.insert("trials.jsonl".to_owned(), "0".repeat(64));
            run.manifest.run_id = run.manifest.identity();
        });
        let finding = sealed(&edited);
        assert_eq!(finding.status, CheckStatus::Fail);
        assert!(finding.message.contains("trials.jsonl"), "{}", finding.message);
    }

    #[test]
    fn a_growing_backlog_warns() {
        assert_eq!(caught_up(&evidence()).status, CheckStatus::Pass);
        // Some 160 deliveries are owed in the block: two of them, and three deviations, may wait.
        let kept_up = changed(|block| block.under_way = Some([40, 44]));
        assert_eq!(caught_up(&kept_up).status, CheckStatus::Pass);
        let behind = changed(|block| block.under_way = Some([0, 40]));
        let finding = caught_up(&behind);
        assert_eq!(finding.status, CheckStatus::Warn, "{}", finding.message);
        assert!(finding.message.contains("fell behind"), "{}", finding.message);
    }

    #[test]
    fn a_missing_block_warns_and_a_missing_strategy_fails() {
        assert_eq!(complete(&evidence()).status, CheckStatus::Pass);
        let spoil = |blocks: u32| {
            evidence_of(&Sample::default(), |run| {
                let records = run
                    .records
                    .iter_mut()
                    .filter(|record| record.strategy.name == "webhook" && record.block < blocks);
                records.for_each(|record| {
                    record.outcome = Outcome::Spoilt { reason: "the source died".into() };
                });
            })
        };
        let finding = complete(&spoil(1));
        assert_eq!(finding.status, CheckStatus::Warn);
        assert!(finding.message.contains("the source died"), "{}", finding.message);
        assert_eq!(complete(&spoil(2)).status, CheckStatus::Fail);
        assert_eq!(complete(&Evidence::default()).status, CheckStatus::Fail);
    }

    #[test]
    fn lost_events_fail() {
        assert_eq!(ledger(&evidence()).status, CheckStatus::Pass);
        let lost = changed(|block| {
            block.measured.events.lost = 1;
            block.measured.events.delivered -= 1;
            block.recount = Some(block.measured.events);
        });
        assert_eq!(ledger(&lost).status, CheckStatus::Fail);
    }

    #[test]
    fn a_record_that_contradicts_its_ledger_fails() {
        let finding = ledger(&changed(|block| block.measured.events.emitted += 1));
        assert_eq!(finding.status, CheckStatus::Fail);
        assert!(finding.message.contains("disagree"));
    }

    #[test]
    fn duplicates_and_reordering_are_told() {
        for change in [
            |block: &mut Block| block.measured.events.duplicated = 2,
            |block: &mut Block| block.measured.events.reordered = 2,
        ] {
            let mut told = changed(|block| {
                change(block);
                block.recount = Some(block.measured.events);
            });
            for strategy in &mut told.points[0].strategies {
                strategy.promise = Promise::COMPLETE;
            }
            assert_eq!(ledger(&told).status, CheckStatus::Info);
        }
    }

    #[test]
    fn coalesced_events_are_told_and_are_no_losses() {
        let coalesced = changed(|block| {
            block.measured.events.coalesced = 3;
            block.measured.events.delivered -= 3;
            block.recount = Some(block.measured.events);
        });
        let finding = ledger(&coalesced);
        assert_eq!(finding.status, CheckStatus::Info);
        assert!(finding.message.contains("3 coalesced + 0 lost"), "{}", finding.message);
    }

    #[test]
    fn a_broken_promise_fails_where_a_property_is_told() {
        let with = |change: fn(&mut Block), promise| {
            let mut evidence = changed(|block| {
                change(block);
                block.recount = Some(block.measured.events);
            });
            for strategy in &mut evidence.points[0].strategies {
                strategy.promise = promise;
            }
            ledger(&evidence).status
        };
        let loses = |block: &mut Block| {
            block.measured.events.lost = 1;
            block.measured.events.delivered -= 1;
        };
        let reorders = |block: &mut Block| block.measured.events.reordered = 2;
        let nothing = Promise { complete: false, ..Promise::COMPLETE };
        assert_eq!(with(loses, nothing), CheckStatus::Info);
        assert_eq!(with(loses, Promise::COMPLETE), CheckStatus::Fail);
        assert_eq!(with(reorders, Promise::COMPLETE), CheckStatus::Info);
        assert_eq!(with(reorders, Promise::COMPLETE_AND_ORDERED), CheckStatus::Fail);
    }

    #[test]
    fn refused_deliveries_fail() {
        assert_eq!(refused(&evidence()).status, CheckStatus::Pass);
        let refusing = changed(|block| block.measured.subscriber.refused = 1);
        assert_eq!(refused(&refusing).status, CheckStatus::Fail);
    }

    #[test]
    fn refused_credentials_fail_on_either_side() {
        assert_eq!(credentials(&evidence()).status, CheckStatus::Pass);
        for side in [
            |block: &mut Block| block.measured.source.whole.denied = 1,
            |block: &mut Block| block.measured.subscriber.whole.denied = 1,
        ] {
            assert_eq!(credentials(&changed(side)).status, CheckStatus::Fail);
        }
    }

    #[test]
    fn clamped_latencies_fail() {
        assert_eq!(recorder(&evidence()).status, CheckStatus::Pass);
        assert_eq!(recorder(&changed(|block| block.clamped = 1)).status, CheckStatus::Fail);
    }

    #[test]
    fn disagreeing_with_theory_warns() {
        assert_eq!(theory(&evidence()).status, CheckStatus::Pass);
        for (agrees, expected) in [(Some(false), CheckStatus::Warn), (None, CheckStatus::Info)] {
            let mut evidence = evidence();
            let model = evidence.points[0].strategies[0].summary.model.as_mut();
            model.expect("a poll has one").agrees = agrees;
            assert_eq!(theory(&evidence).status, expected);
        }
        let mut without = evidence();
        without.points[0].strategies[0].summary.model = None;
        assert_eq!(theory(&without).status, CheckStatus::Info);
    }
}
