//! Checks of how events were spaced when they were emitted.

use super::limits::{HALVED, HALVED_FEW, SPACING};
use super::{Finding, blocks, worst};
use crate::analysis::evidence::Evidence;
use crate::analysis::words;

/// Events must be emitted as far apart as planned. A source that stalls and then catches up
/// emits a bunch, which loads every strategy in a way that nobody asked for.
pub(super) fn no_bursts(evidence: &Evidence) -> Finding {
    let judged = blocks(evidence).filter_map(|(place, _, block)| Some((place, block.gaps?)));
    let findings: Vec<Finding> = judged
        .map(|(place, gaps)| {
            let share = if gaps.halved > HALVED_FEW {
                gaps.halved as f64 / gaps.judged as f64
            } else {
                0.0
            };
            let bunched = Finding::by(HALVED, share, || {
                format!(
                    "{place}: the source bunched events after a stall: {} of {} gaps were less \
                     than half as long as planned",
                    gaps.halved, gaps.judged
                )
            });
            let spaced = Finding::by(SPACING, gaps.distance, || {
                format!(
                    "{place}: gaps between events are not those of the schedule: {} of them are \
                     shorter or longer, by more than a timer explains",
                    words::percent(gaps.distance)
                )
            });
            if spaced.status > bunched.status { spaced } else { bunched }
        })
        .collect();
    if findings.is_empty() {
        return Finding::unavailable("not judged: too few events of any block are in a ledger");
    }
    worst(findings, "events were emitted as far apart as planned")
}

#[cfg(test)]
mod tests {
    use super::no_bursts;
    use crate::analysis::evidence::tests::{evidence, evidence_of};
    use crate::analysis::gaps::GapFit;
    use crate::analysis::summary::CheckStatus;
    use crate::record::sample::Sample;

    #[test]
    fn gaps_that_were_cut_warn_and_many_fail() {
        assert_eq!(no_bursts(&evidence()).status, CheckStatus::Pass);
        for (halved, judged, distance, expected) in [
            (1, 100, 0.0, CheckStatus::Pass),
            (2, 200, 0.0, CheckStatus::Pass),
            (3, 3_000, 0.0, CheckStatus::Pass),
            (3, 2_999, 0.0, CheckStatus::Warn),
            (3, 299, 0.0, CheckStatus::Fail),
            (0, 299, 0.02, CheckStatus::Warn),
        ] {
            let mut evidence = evidence();
            evidence.points[0].strategies[0].blocks[0].gaps =
                Some(GapFit { judged, halved, distance });
            let finding = no_bursts(&evidence);
            assert_eq!(finding.status, expected, "{halved} of {judged}: {}", finding.message);
        }
    }

    #[test]
    fn without_ledgers_gaps_are_not_judged() {
        let evidence = evidence_of(&Sample::default(), |run| {
            for record in &mut run.records {
                record.measured.as_mut().expect("measured").ledger = None;
            }
        });
        assert_eq!(no_bursts(&evidence).status, CheckStatus::Unavailable);
    }
}
