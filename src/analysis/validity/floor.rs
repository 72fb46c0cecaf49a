//! The check against the physical limit: nothing is faster than raw sockets.

use super::{Finding, limits, place, strategies, worst};
use crate::analysis::evidence::{Evidence, PointEvidence, StrategyEvidence};
use crate::analysis::limit::reason_without;
use crate::analysis::words;

/// No strategy's median may lie below what raw sockets allow: then a stamp is wrong, or events
/// did not take the way they claim.
///
/// The median is that of usable minus emitted, since lag is no part of the way. From run to run the
/// scheduler may place a strategy well where it did not place the calibration, which is why the
/// quickest raw transfer is what it is compared with.
pub(super) fn faster_than_limit(evidence: &Evidence) -> Finding {
    // Controls take no socket: there is no such limit to them.
    let findings = strategies(evidence)
        .filter(|(_, strategy)| strategy.injected().is_none())
        .map(|(point, strategy)| judged(point, strategy));
    worst(findings, "no strategy is faster than raw sockets between the same processes")
}

fn judged(point: &PointEvidence, strategy: &StrategyEvidence) -> Finding {
    let place = place(point, strategy);
    let unknown = |why: &str| Finding::unavailable(format!("{place}: no physical limit: {why}"));
    let Some(limit) = &strategy.summary.limit else {
        let reason = strategy.blocks.iter().find_map(reason_without);
        return unknown(reason.unwrap_or("no block was measured"));
    };
    let (delivery, floor) = match (limit.delivery_p50, limit.floor) {
        (_, None) => return unknown("the strategy has no closed form"),
        (None, _) => return unknown("there are too few events for a median, or no ledger"),
        (Some(delivery), Some(floor)) => (delivery as f64, floor as f64),
    };
    Finding::by(limits::FASTER, floor / delivery.max(1.0), || {
        format!(
            "{place}: half of the deliveries took at most {} from emission to use, where raw \
             sockets would allow no less than {}; faster than physics is an error of the harness",
            words::time(delivery),
            words::time(floor)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::faster_than_limit;
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::{evidence, evidence_of};
    use crate::analysis::summary::CheckStatus;
    use crate::record::limit::Calibration;
    use crate::record::run::Run;
    use crate::record::sample::Sample;

    /// The evidence of a sample whose raw transfers are changed.
    fn calibrated(change: impl Fn(&mut Calibration)) -> Evidence {
        evidence_of(&Sample::default(), |run: &mut Run| {
            for record in &mut run.records {
                let measured = record.measured.as_mut().expect("measured");
                change(measured.limit.as_mut().expect("calibrated"));
            }
        })
    }

    fn with_quickest(min: u64) -> Evidence {
        calibrated(|calibration| {
            let Calibration::Measured(limit) = calibration else { panic!("a sample is") };
            limit.one_way.min = min;
            limit.one_way.p50 = limit.one_way.p50.max(min);
        })
    }

    #[test]
    fn a_sound_run_passes_with_its_figures() {
        let finding = faster_than_limit(&evidence());
        assert_eq!(finding.status, CheckStatus::Pass, "{}", finding.message);
        for strategy in &evidence().points[0].strategies {
            let limit = strategy.summary.limit.expect("calibrated");
            assert!(limit.floor <= limit.latency_p50 && limit.latency_p50.is_some());
            assert!(limit.delivery_p50 > limit.floor);
        }
    }

    #[test]
    fn a_push_that_outruns_the_quickest_transfer_fails() {
        // The sample's webhooks take 170 to 220 µs from emission to use.
        assert_eq!(faster_than_limit(&with_quickest(160_000)).status, CheckStatus::Pass);
        let finding = faster_than_limit(&with_quickest(230_000));
        assert_eq!(finding.status, CheckStatus::Fail);
        assert!(finding.message.starts_with("`webhook`: half"), "{}", finding.message);
    }

    #[test]
    fn a_poll_is_too_fast_only_beyond_what_chance_explains() {
        // Some 300 events that wait 125 ms on average: five standard errors are 36 ms.
        for (median, expected) in [
            (110_000_000, CheckStatus::Pass),
            (95_000_000, CheckStatus::Pass),
            (60_000_000, CheckStatus::Fail),
        ] {
            let mut evidence = evidence();
            let summary = &mut evidence.points[0].strategies[0].summary;
            summary.limit.as_mut().expect("calibrated").delivery_p50 = Some(median);
            let finding = faster_than_limit(&evidence);
            assert_eq!(finding.status, expected, "{median}: {}", finding.message);
        }
    }

    #[test]
    fn without_a_limit_it_says_why() {
        let failed = calibrated(|calibration| {
            *calibration = Calibration::Failed("no port was free".to_owned());
        });
        let finding = faster_than_limit(&failed);
        assert_eq!(finding.status, CheckStatus::Unavailable);
        assert!(finding.message.contains("no port was free"), "{}", finding.message);
        let mut without = evidence();
        for strategy in &mut without.points[0].strategies {
            strategy.summary.limit.as_mut().expect("calibrated").floor = None;
        }
        let finding = faster_than_limit(&without);
        assert_eq!(finding.status, CheckStatus::Unavailable);
        assert!(finding.message.contains("no closed form"), "{}", finding.message);
    }
}
