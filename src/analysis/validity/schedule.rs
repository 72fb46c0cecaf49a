//! Checks of the schedule: were the events emitted as asked, and does time run forwards?

use std::time::Duration;

use super::limits::{LAG, LAG_FLOOR, MEDIAN_LAG, STALL};
use super::{CheckStatus, Finding, blocks, worst};
use crate::analysis::evidence::{Evidence, PointEvidence, StrategyEvidence};
use crate::analysis::words;

/// The source must keep its schedule: high lag against the fastest median at the same point.
///
/// High lag is the p99, or the highest quantile the sample supports: a single hiccup among a
/// hundred events is not its p99.
pub(super) fn schedule_kept(evidence: &Evidence) -> Finding {
    let findings = evidence.points.iter().filter_map(lag_against_fastest);
    worst(findings, "the source kept its schedule; its lag is small against every median")
}

fn lag_against_fastest(point: &PointEvidence) -> Option<Finding> {
    let strategies = &point.strategies;
    let tail = strategies.iter().filter_map(|one| one.lag_tail).max_by_key(|tail| tail.lag)?;
    // Of a control without a delay the latency is what the harness costs, and most of it lag.
    let is_harness = |one: &&StrategyEvidence| one.injected() == Some(Duration::ZERO);
    let mut judged = strategies.iter().filter(|one| !is_harness(one)).peekable();
    if judged.peek().is_none() {
        let own = "there is nothing but a control whose latency is the harness's own, lag included";
        return Some(Finding::new(CheckStatus::Info, own));
    }
    let fastest = judged
        .filter_map(|one| Some((one.summary.latency.p50?, one.lag_tail?.latency)))
        .min_by_key(|(median, _)| *median);
    let Some((median, latency)) = fastest else {
        let few = "too few events for a median, so lag cannot be judged against one";
        return Some(Finding::new(CheckStatus::Info, few));
    };
    let typical = strategies.iter().filter_map(|one| one.summary.lag.p50).max().unwrap_or(0);
    let of = |lag: u64, latency: u64| lag as f64 / (latency as f64).max(1.0);
    let judged = [
        (MEDIAN_LAG, of(typical, median)),
        (STALL, of(tail.lag, median)),
        (LAG, of(tail.lag, latency)),
    ];
    let (status, value, limit) = judged
        .into_iter()
        .map(|(limit, value)| {
            let (status, crossed) = limit.judge(value);
            (status, value, crossed)
        })
        .max_by_key(|(status, ..)| *status)?;
    let mut message = format!(
        "the source was late: lag has a median of {} and a p{} of {}; of the fastest strategy the \
         median is {} and the same quantile {}; lag is included in every latency",
        words::time(typical as f64),
        tail.share * 100.0,
        words::time(tail.lag as f64),
        words::time(median as f64),
        words::time(latency as f64)
    );
    if status == CheckStatus::Warn && tail.lag <= LAG_FLOOR {
        message += ", and is what a sleeping thread's timer costs on an idle machine";
        return Some(Finding::new(CheckStatus::Info, message).judging(value, limit));
    }
    Some(Finding::new(status, message).judging(value, limit))
}

/// Every event the schedule holds must have been emitted, at the moments it was due; the
/// schedule is computed again from rate, arrivals and seed.
pub(super) fn rate_achieved(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, strategy, block)| {
        let emitted = block.recount.unwrap_or(block.measured.events).emitted;
        let scheduled = block.scheduled;
        let subscribers = strategy.summary.subscribers;
        if emitted != scheduled {
            let message = format!(
                "{place}: {emitted} deliveries were owed, the schedule asks for {scheduled} (to \
                 {subscribers} subscribers)"
            );
            Finding::new(CheckStatus::Fail, message).judging(emitted as f64, scheduled as f64)
        } else if block.recount.is_none() {
            let message =
                format!("{place}: too many rows for a ledger, so due moments are not checked");
            Finding::new(CheckStatus::Info, message)
        } else if !block.on_schedule {
            let message = format!("{place}: events were not due when the schedule says");
            Finding::new(CheckStatus::Fail, message)
        } else {
            Finding::pass("")
        }
    });
    worst(findings, "every event of the schedule was emitted, and no other")
}

/// No moment may lie before the one it follows: due, emitted, arrived, usable.
pub(super) fn time_order(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| match block.backwards {
        0 => Finding::pass(""),
        count => {
            let message = format!(
                "{place}: {count} moments lie before the one they follow; this is an error of the \
                 harness or of the clock"
            );
            Finding::new(CheckStatus::Fail, message).judging(count as f64, 0.0)
        }
    });
    worst(findings, "no moment lies before the one it follows")
}

#[cfg(test)]
mod tests {
    use super::{rate_achieved, schedule_kept, time_order};
    use crate::analysis::evidence::LagTail;
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::summary::CheckStatus;

    #[test]
    fn lag_is_judged_against_the_fastest_strategy() {
        for (typical, lag, median, tail, expected) in [
            (1_000, 19_000, 200_000, 400_000, CheckStatus::Pass),
            // More than half of the tail, and no more than a timer costs.
            (30_000, 100_000, 150_000, 180_000, CheckStatus::Info),
            (30_000, 250_000, 150_000, 400_000, CheckStatus::Warn),
            (30_000, 250_000, 150_000, 600_000, CheckStatus::Pass),
            (30_000, 11_000_000, 100_000_000, 20_000_000, CheckStatus::Warn),
            // A stall: events waited longer to be emitted than ten deliveries take.
            (30_000, 1_600_000, 150_000, 9_000_000, CheckStatus::Fail),
            // More than half of the fastest median is lag.
            (80_000, 100_000, 150_000, 400_000, CheckStatus::Fail),
        ] {
            let mut evidence = evidence();
            for strategy in &mut evidence.points[0].strategies {
                strategy.lag_tail = Some(LagTail { share: 0.99, lag, latency: tail * 5 });
                strategy.summary.lag.p50 = Some(typical);
                strategy.summary.latency.p50 = Some(median * 5);
            }
            let fastest = &mut evidence.points[0].strategies[1];
            fastest.summary.latency.p50 = Some(median);
            fastest.lag_tail = Some(LagTail { share: 0.99, lag, latency: tail });
            let finding = schedule_kept(&evidence);
            assert_eq!(finding.status, expected, "{lag} {median}: {}", finding.message);
        }
    }

    #[test]
    fn without_a_median_lag_is_not_judged() {
        let mut evidence = evidence();
        for strategy in &mut evidence.points[0].strategies {
            strategy.summary.latency.p50 = None;
        }
        assert_eq!(schedule_kept(&evidence).status, CheckStatus::Info);
    }

    #[test]
    fn a_missing_or_misplaced_event_fails() {
        assert_eq!(rate_achieved(&evidence()).status, CheckStatus::Pass);
        let mut missing = evidence();
        missing.points[0].strategies[0].blocks[1].scheduled += 1;
        let finding = rate_achieved(&missing);
        assert_eq!(finding.status, CheckStatus::Fail);
        assert!(finding.message.contains("block 2"), "{}", finding.message);
        let mut misplaced = evidence();
        misplaced.points[0].strategies[0].blocks[0].on_schedule = false;
        assert_eq!(rate_achieved(&misplaced).status, CheckStatus::Fail);
    }

    #[test]
    fn time_running_backwards_fails() {
        assert_eq!(time_order(&evidence()).status, CheckStatus::Pass);
        let mut evidence = evidence();
        evidence.points[0].strategies[1].blocks[0].backwards = 1;
        assert_eq!(time_order(&evidence).status, CheckStatus::Fail);
    }
}
