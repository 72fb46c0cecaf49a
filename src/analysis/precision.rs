//! How surely a point is known: looks at its blocks, and whether there are enough.

use std::collections::BTreeMap;

use super::blocks::{Middle, middle};
use super::evidence::{self, StrategyEvidence};
use super::measure::{Gathered, of_block};
use super::summary::Stopping;
use crate::record::ledger::Ledger;
use crate::record::manifest::{Manifest, StoppedPoint};
use crate::record::trial::{Outcome, TrialRecord};
use crate::schedule::Trace;
use crate::stopping::{FEWEST_BLOCKS, StopReason, StoppingRule};

/// The blocks of a run as they end.
///
/// Of each block only the one value per strategy that the rule is about is kept.
#[derive(Clone, Debug)]
pub struct Looks {
    rule: StoppingRule,
    /// Blocks after which a point ends in any case.
    most_blocks: u32,
    points: BTreeMap<u32, PointLooks>,
}

#[derive(Clone, Debug, Default)]
struct PointLooks {
    looks: u32,
    /// The values of each strategy's measured blocks; of a strategy that was never measured,
    /// none.
    strategies: BTreeMap<String, Gathered>,
}

impl Looks {
    /// Looks by a rule, with a cap on the blocks of each point.
    #[must_use]
    pub fn new(rule: StoppingRule, most_blocks: u32) -> Looks {
        Looks { rule, most_blocks, points: BTreeMap::new() }
    }

    /// Notes one strategy of a block; a measured one comes with its ledger. `trace` is what the
    /// arrivals of the point replay.
    pub fn note(&mut self, record: &TrialRecord, ledger: Option<&Ledger>, trace: Option<&Trace>) {
        let measure = self.rule.measure;
        let gathered = self.gathered(record.point, &record.strategy.name);
        if let (Outcome::Completed, Some(measured), Some(ledger)) =
            (&record.outcome, &record.measured, ledger)
        {
            gathered.note(measure, &evidence::block(record, measured, ledger, trace), None);
        }
    }

    fn gathered(&mut self, point: u32, strategy: &str) -> &mut Gathered {
        let point = self.points.entry(point).or_default();
        point.strategies.entry(strategy.to_owned()).or_default()
    }

    /// Looks at a point of which `blocks` blocks have ended; says how it ended if it needs no
    /// more.
    pub fn look(&mut self, point: u32, blocks: u32) -> Option<StoppedPoint> {
        let seen = self.points.entry(point).or_default();
        if blocks >= FEWEST_BLOCKS {
            seen.looks += 1;
            let reach = |gathered: &Gathered| reach(gathered.stated(self.rule.measure));
            let within = widest(seen.strategies.values().map(reach));
            if within.is_some_and(|within| within <= self.rule.precision.share()) {
                let reason = StopReason::Narrow;
                return Some(StoppedPoint { point, blocks, looks: seen.looks, reason });
            }
        }
        let reason = StopReason::Cap;
        let stopped = StoppedPoint { point, blocks, looks: seen.looks, reason };
        (blocks >= self.most_blocks).then_some(stopped)
    }
}

/// How far an interval over blocks reaches from its median, as a share of the median; `None` if
/// there is none, or if a block has no such value.
fn reach(values: &[Option<f64>]) -> Option<f64> {
    let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
    let Middle { median, interval } = middle(&values)?;
    let (low, high, _) = interval?;
    let farther = (median - low).max(high - median);
    // Blocks that all have none of something agree on it.
    Some(if farther > 0.0 { farther / median } else { 0.0 })
}

/// The farthest of the strategies; `None` if one of them has no interval.
fn widest(reaches: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let reaches: Vec<f64> = reaches.collect::<Option<_>>()?;
    reaches.into_iter().reduce(f64::max)
}

/// How a stopping rule ended a point, and how surely the measure is known by its evidence;
/// `None` if no rule has ended it.
pub(crate) fn stopping(
    manifest: &Manifest,
    point: u32,
    strategies: &[StrategyEvidence],
) -> Option<Stopping> {
    let (rule, stopped) = (manifest.stopping?, manifest.stopped_at(point)?);
    let reach = |strategy: &StrategyEvidence| {
        let values = strategy.blocks.iter().map(|block| of_block(rule.measure, block, None));
        reach(&values.collect::<Vec<_>>())
    };
    Some(Stopping {
        measure: rule.measure.name().to_owned(),
        precision: rule.precision.share(),
        blocks: stopped.blocks,
        most_blocks: manifest.blocks,
        looks: stopped.looks,
        reason: stopped.reason,
        within: widest(strategies.iter().map(reach)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Looks, reach};
    use crate::analysis::evidence::{self, tests::evidence_of};
    use crate::analysis::summary::CheckStatus;
    use crate::analysis::{Analysis, analyse};
    use crate::measure::Measure;
    use crate::record::manifest::StoppedPoint;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::Outcome;
    use crate::schedule::random_stream;
    use crate::stopping::{FEWEST_BLOCKS, StopReason, StoppingRule};
    use rand_distr::{Distribution, LogNormal};

    fn rule(precision: &str) -> StoppingRule {
        let precision = precision.parse().expect("a precision");
        StoppingRule { measure: Measure::RequestsPerEvent, precision }
    }

    /// Looks after each block at values that were made up, a row a strategy.
    fn looked(precision: &str, cap: u32, strategies: &[&[f64]]) -> StoppedPoint {
        let mut looks = Looks::new(rule(precision), cap);
        for block in 0..cap {
            for (name, values) in ["a", "b", "c"].iter().zip(strategies) {
                let value = values[block as usize];
                looks.gathered(0, name).values.push((!value.is_nan()).then_some(value));
            }
            if let Some(stopped) = looks.look(0, block + 1) {
                return stopped;
            }
        }
        panic!("a point ends with its cap");
    }

    fn stopped(blocks: u32, looks: u32, reason: StopReason) -> StoppedPoint {
        StoppedPoint { point: 0, blocks, looks, reason }
    }

    #[test]
    fn blocks_that_agree_are_enough_after_six() {
        let equal: &[f64] = &[3.0; 60];
        assert_eq!(looked("0.1%", 60, &[equal]), stopped(6, 1, StopReason::Narrow));
        // The interval of six blocks reaches from the least to the greatest: from 96 to 104.
        let spread: &[f64] = &[96.0, 104.0, 100.0, 100.0, 100.0, 100.0];
        assert_eq!(looked("4%", 6, &[spread]), stopped(6, 1, StopReason::Narrow));
        assert_eq!(looked("3.9%", 6, &[spread]), stopped(6, 1, StopReason::Cap));
    }

    #[test]
    fn no_fewer_blocks_have_an_interval() {
        let blocks = |count: u32| vec![Some(1.0); count as usize];
        assert_eq!(reach(&blocks(FEWEST_BLOCKS)), Some(0.0));
        assert_eq!(reach(&blocks(FEWEST_BLOCKS - 1)), None);
    }

    #[test]
    fn the_widest_strategy_decides_and_every_look_is_counted() {
        // Of nine blocks the interval leaves one out on each side, of six to eight none.
        let spread: &[f64] = &[80.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 120.0];
        let equal: &[f64] = &[7.0; 9];
        assert_eq!(looked("5%", 9, &[equal, spread]), stopped(9, 4, StopReason::Narrow));
        assert_eq!(looked("5%", 8, &[equal, spread]), stopped(8, 3, StopReason::Cap));
    }

    #[test]
    fn a_block_without_the_measure_leaves_it_unknown() {
        let mut values = [1.0; 10];
        values[2] = f64::NAN;
        assert_eq!(looked("100%", 10, &[&values]), stopped(10, 5, StopReason::Cap));
        assert_eq!(reach(&[]), None);
        assert_eq!(reach(&[Some(0.0); 6]), Some(0.0));
    }

    #[test]
    fn a_strategy_that_is_never_measured_is_never_known() {
        let mut looks = Looks::new(rule("100%"), 7);
        looks.gathered(0, "spoilt");
        for block in 1..=7 {
            looks.gathered(0, "sound").values.push(Some(1.0));
            let expected = (block == 7).then_some(stopped(7, 2, StopReason::Cap));
            assert_eq!(looks.look(0, block), expected);
        }
        assert!(Looks::new(rule("100%"), 60).look(0, 6).is_none(), "nothing was measured");
    }

    #[test]
    fn each_point_is_looked_at_for_itself() {
        let mut looks = Looks::new(rule("1%"), 60);
        for block in 1..=6 {
            looks.gathered(0, "a").values.push(Some(f64::from(block)));
            looks.gathered(1, "a").values.push(Some(1.0));
        }
        assert_eq!(looks.look(0, 6), None);
        assert_eq!(looks.look(1, 6).map(|stopped| stopped.looks), Some(1));
        looks.gathered(0, "a").values.push(Some(1.0));
        assert_eq!(looks.look(0, 7), None);
        assert_eq!(looks.points[&0].looks, 2);
    }

    #[test]
    fn while_it_is_run_a_block_has_the_figures_of_the_analysis() {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        let run = Run::open(&path).expect("opened");
        let gathered = evidence_of(&Sample::default(), |_| ());
        for strategy in &gathered.points[0].strategies {
            for block in &strategy.blocks {
                let record = run.records.iter().find(|record| {
                    record.strategy.name == strategy.summary.name && record.block == block.number
                });
                let record = record.expect("it was gathered from one");
                let measured = record.measured.as_ref().expect("measured");
                let ledger = run.ledger(record).expect("read").expect("kept");
                let alone = evidence::block(record, measured, &ledger, None);
                for measure in Measure::COMPARED {
                    let values = [block, &alone].map(|block| super::of_block(measure, block, None));
                    assert_eq!(values[0], values[1], "{measure}");
                }
            }
        }
    }

    #[test]
    fn a_spoilt_trial_is_no_value() {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        let run = Run::open(&path).expect("opened");
        let mut looks = Looks::new(rule("100%"), 60);
        let mut spoilt = run.records[0].clone();
        let ledger = run.ledger(&spoilt).expect("read");
        looks.note(&spoilt, ledger.as_ref(), None);
        spoilt.outcome = Outcome::Spoilt { reason: "the source died".into() };
        looks.note(&spoilt, None, None);
        assert_eq!(looks.points[&0].strategies[&spoilt.strategy.name].values.len(), 1);
    }

    fn analysed(reason: StopReason, precision: &str, at: Option<u32>) -> Analysis {
        let sample = Sample { blocks: 8, ..Sample::default() };
        let out = tempfile::tempdir().expect("a folder");
        let mut run = Run::open(&sample.write(out.path()).expect("written")).expect("opened");
        (run.manifest.blocks, run.manifest.stopping) = (60, Some(rule(precision)));
        let stopped = |blocks| StoppedPoint { point: 0, blocks, looks: blocks - 5, reason };
        run.manifest.stopped.extend(at.map(stopped));
        run.manifest.run_id = run.manifest.identity();
        analyse(&run).expect("analysed")
    }

    fn completeness(analysis: &Analysis) -> (CheckStatus, &str) {
        let checks = &analysis.summary.verdict.checks;
        let check = checks.iter().find(|check| check.id == "complete").expect("a check");
        (check.status, &check.message)
    }

    #[test]
    fn blocks_that_were_not_needed_are_not_missed() {
        let done = analysed(StopReason::Narrow, "100%", Some(8));
        assert_eq!(completeness(&done).0, CheckStatus::Pass);
        assert!(done.summary.complete);
        let stopping = done.summary.points[0].stopping.as_ref().expect("stopped");
        assert_eq!((stopping.blocks, stopping.looks, stopping.most_blocks), (8, 3, 60));
        assert!(stopping.within.is_some_and(|within| within > 0.0), "{stopping:?}");
        assert_eq!(done.summary.points[0].strategies[0].blocks_planned, 8);

        let cut_short = analysed(StopReason::Narrow, "100%", None);
        let (status, message) = completeness(&cut_short);
        assert_eq!(status, CheckStatus::Warn);
        assert!(message.contains("8 of at most 60 blocks"), "{message}");
        assert!(!cut_short.summary.complete);
        assert_eq!(cut_short.summary.points[0].stopping, None);
    }

    #[test]
    fn a_manifest_that_claims_more_precision_than_the_blocks_have_fails() {
        let claimed = analysed(StopReason::Narrow, "0.000001%", Some(8));
        let (status, message) = completeness(&claimed);
        assert_eq!(status, CheckStatus::Fail, "{message}");
        let capped = analysed(StopReason::Cap, "0.000001%", Some(8));
        assert_eq!(completeness(&capped).0, CheckStatus::Pass);
    }

    /// What METHODOLOGY.md says of looking again and again: blocks that differ by 10 %, where the
    /// rule is met after some thirty looks, are the worst case.
    #[test]
    fn looking_again_and_again_costs_some_confidence_and_not_much() {
        const RUNS: u64 = 4_000;
        let blocks = LogNormal::new(0.0, 0.1).expect("a distribution");
        let held = (0..RUNS).filter(|run| {
            let mut random = random_stream(11, *run);
            let values: Vec<f64> = (0..60).map(|_| blocks.sample(&mut random)).collect();
            let stopped = looked("5%", 60, &[&values]);
            let middle = super::middle(&values[..stopped.blocks as usize]).expect("values");
            let (low, high, _) = middle.interval.expect("six blocks or more");
            (low..=high).contains(&1.0)
        });
        let share = held.count() as f64 / RUNS as f64;
        assert!((0.91..0.95).contains(&share), "{share}");
    }
}
