//! Checks of what the sample is large enough to say.

use super::limits::{CORRELATION, EFFECTIVE, EFFECTIVE_ENOUGH, WIDTH_P50, WIDTH_P99};
use super::{CheckStatus, Finding, place, strategies, worst};
use crate::analysis::evidence::{Block, Evidence, StrategyEvidence};
use crate::analysis::latency::Quantile;
use crate::analysis::words;
use crate::schedule::Arrivals;

/// Quantiles of the summary, with their names.
const QUANTILES: [(&str, Quantile); 5] = [
    ("p50", Quantile::P50),
    ("p90", Quantile::P90),
    ("p95", Quantile::P95),
    ("p99", Quantile::P99),
    ("p99.9", Quantile::P999),
];

/// A quantile needs ten events beyond it in every block, and ten independent ones in all blocks
/// together; says which are withheld, and how many events more would do.
pub(super) fn enough_samples(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).map(|(point, strategy)| {
        let worth = strategy.blocks.iter().map(Block::worth).sum();
        let least = strategy.blocks.iter().min_by_key(|block| block.events);
        let support = least.map_or(0, |block| block.events.min(worth));
        let withheld = QUANTILES.iter().filter(|(_, quantile)| !quantile.is_supported_by(support));
        let needs: Vec<String> = withheld
            .map(|(name, quantile)| match least {
                Some(block) if support > 0 => {
                    format!("{name} needs {}", more(block, support, *quantile))
                }
                _ => (*name).to_owned(),
            })
            .collect();
        if needs.is_empty() {
            return Finding::pass("");
        }
        let message = format!(
            "{}: too few events in a block, since a percentile needs ten beyond it: {}",
            place(point, strategy),
            needs.join(", ")
        );
        Finding::new(CheckStatus::Info, message)
    });
    worst(findings, "every percentile has at least ten events beyond it in every block")
}

/// How many events more a block needs for a quantile where its own support less, and how long
/// they take to come.
fn more(block: &Block, support: u64, quantile: Quantile) -> String {
    // Events that follow each other count as fewer.
    let worth = block.events as f64 / support as f64;
    let more = (quantile.least_support() - support) as f64 * worth;
    let time = more / block.workload.rate.events_per_second() * 1e9;
    format!("{more:.0} more (about {} at this rate)", words::time(time))
}

/// Events should tell of the strategy each for itself. Where they are worth less than a quarter
/// of their number, one episode made many of them late together.
///
/// Arrivals that come together are late together by design, and so is what a fault of the scenario
/// held up; that is told and no mistake.
pub(super) fn independent(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).filter(|(_, strategy)| !strategy.blocks.is_empty()).map(
        |(point, strategy)| {
            let place = place(point, strategy);
            let judged = || strategy.blocks.iter().filter(|block| block.effective().is_some());
            let events: u64 = judged().map(|block| block.events).sum();
            let effective: u64 = judged().filter_map(Block::effective).sum();
            if events == 0 {
                let why = "not judged: too few events or beats in the window, or no ledger or \
                           closed form of it";
                return Finding::unavailable(format!("{place}: {why}"));
            }
            let worth = events as f64 / effective.max(1) as f64;
            let message = || {
                format!(
                    "{place}: latencies follow each other: {events} events say as much as \
                     {effective} independent ones"
                )
            };
            let found = Finding::by(CORRELATION, worth, message);
            if found.status == CheckStatus::Pass {
                found
            } else if come_together(strategy) || !strategy.incidents.is_empty() {
                Finding { status: CheckStatus::Info, ..found }
            } else {
                let few = Finding::by(EFFECTIVE, EFFECTIVE_ENOUGH - effective as f64, message);
                if few.status == CheckStatus::Fail { few } else { found }
            }
        },
    );
    worst(findings, "events are independent enough to be counted each for itself")
}

fn come_together(strategy: &StrategyEvidence) -> bool {
    strategy.blocks.iter().any(|block| {
        let arrivals = &block.workload.arrivals;
        !matches!(arrivals, Arrivals::Poisson | Arrivals::Constant | Arrivals::Lognormal(_))
    })
}

/// Blocks must pin a quantile down; says to what, and how many more would do better.
pub(super) fn precise(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).flat_map(|(point, strategy)| {
        let latency = &strategy.summary.latency;
        let blocks = strategy.summary.blocks;
        let place = place(point, strategy);
        let quantiles = [
            ("p50", latency.p50, latency.ci95.p50, WIDTH_P50),
            ("p99", latency.p99, latency.ci95.p99, WIDTH_P99),
        ];
        quantiles.into_iter().filter_map(move |(name, value, interval, limit)| {
            let (middle, [low, high]) = (value? as f64, interval?);
            let width = (high - low) as f64 / 2.0 / middle.max(1.0);
            // An interval narrows with the square root of the blocks.
            let needed = (f64::from(blocks) * (width / limit.tell).powi(2)).ceil();
            Some(Finding::by(limit, width, || {
                format!(
                    "{place}: {blocks} blocks pin {name} only to ±{:.0} %; about {needed:.0} \
                     blocks would give ±{:.0} %",
                    width * 100.0,
                    limit.tell * 100.0
                )
            }))
        })
    });
    let findings: Vec<Finding> = findings.collect();
    if findings.is_empty() {
        return Finding::unavailable("not judged: fewer than six blocks give no interval");
    }
    worst(findings, "intervals over blocks are as narrow as 5 % of p50 and 10 % of p99")
}

#[cfg(test)]
mod tests {
    use super::{enough_samples, independent, precise};
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::summary::CheckStatus;
    use crate::schedule::{Arrivals, Batch};

    #[test]
    fn withheld_percentiles_are_named_with_what_they_need() {
        let finding = enough_samples(&evidence());
        assert_eq!(finding.status, CheckStatus::Info);
        // 141 events in the smaller block, at 20/s.
        let said = "p99 needs 859 more (about 43.0 s at this rate), p99.9 needs 9859 more";
        assert!(finding.message.contains(said), "{}", finding.message);
        assert!(!finding.message.contains("p90"), "{}", finding.message);
        let mut many = evidence();
        let blocks = many.points[0].strategies.iter_mut().flat_map(|one| &mut one.blocks);
        blocks.for_each(|block| (block.events, block.course.effective) = (10_000, None));
        assert_eq!(enough_samples(&many).status, CheckStatus::Pass);
    }

    #[test]
    fn correlated_events_need_as_many_more_as_they_count_less() {
        let mut evidence = evidence();
        evidence.points[0].strategies.truncate(1);
        let blocks = &mut evidence.points[0].strategies[0].blocks;
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            (block.events, block.course.effective) = (10_000, Some(250));
        }
        let finding = enough_samples(&evidence);
        // 500 independent ones more in both together, each worth 40.
        assert!(finding.message.contains("p99 needs 10000 more"), "{}", finding.message);
        for block in &mut evidence.points[0].strategies[0].blocks {
            block.course.effective = Some(500);
        }
        let finding = enough_samples(&evidence);
        assert!(!finding.message.contains("p99 "), "{}", finding.message);
        assert!(finding.message.contains("p99.9 needs 90000 more"), "{}", finding.message);
    }

    /// Of one strategy, 2,000 events that are worth so many.
    fn worth(effective: Option<u64>, arrivals: &Arrivals) -> Evidence {
        let mut evidence = evidence();
        for block in &mut evidence.points[0].strategies[0].blocks {
            block.workload.arrivals = arrivals.clone();
            (block.events, block.course.effective) = (1_000, effective);
        }
        evidence
    }

    #[test]
    fn events_that_follow_each_other_warn_and_a_handful_fails() {
        let bursts = Arrivals::Batch(Batch::default());
        for (effective, arrivals, expected) in [
            (Some(900), &Arrivals::Poisson, CheckStatus::Pass),
            (Some(250), &Arrivals::Poisson, CheckStatus::Pass),
            (Some(249), &Arrivals::Poisson, CheckStatus::Warn),
            (Some(50), &Arrivals::Poisson, CheckStatus::Warn),
            (Some(49), &Arrivals::Poisson, CheckStatus::Fail),
            (Some(49), &bursts, CheckStatus::Info),
            (None, &Arrivals::Poisson, CheckStatus::Unavailable),
        ] {
            let finding = independent(&worth(effective, arrivals));
            assert_eq!(finding.status, expected, "{effective:?}: {}", finding.message);
        }
        let said = independent(&worth(Some(100), &Arrivals::Poisson)).message;
        assert!(said.contains("2000 events say as much as 200"), "{said}");
    }

    #[test]
    fn the_same_event_at_many_subscribers_counts_once() {
        let many = worth(Some(7_000), &Arrivals::Poisson);
        assert_eq!(many.points[0].strategies[0].blocks[0].effective(), Some(1_000));
        assert_eq!(independent(&many).status, CheckStatus::Pass);
    }

    #[test]
    fn wide_intervals_are_told_with_the_blocks_that_would_narrow_them() {
        assert_eq!(precise(&evidence()).status, CheckStatus::Unavailable);
        for (p50, p99, expected) in [
            ([97, 103], [95, 105], CheckStatus::Pass),
            ([94, 106], [95, 105], CheckStatus::Info),
            ([97, 103], [89, 111], CheckStatus::Info),
            ([97, 103], [75, 125], CheckStatus::Warn),
        ] {
            let mut evidence = evidence();
            let summary = &mut evidence.points[0].strategies[1].summary;
            summary.blocks = 10;
            (summary.latency.p50, summary.latency.p99) = (Some(100), Some(100));
            (summary.latency.ci95.p50, summary.latency.ci95.p99) = (Some(p50), Some(p99));
            let finding = precise(&evidence);
            assert_eq!(finding.status, expected, "{p50:?} {p99:?}: {}", finding.message);
            if expected == CheckStatus::Warn {
                let said = "10 blocks pin p99 only to ±25 %; about 63 blocks would give ±10 %";
                assert!(finding.message.contains(said), "{}", finding.message);
            }
        }
    }
}
