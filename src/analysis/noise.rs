//! A/A: one strategy against itself, and what that says of differences between others.
//!
//! Two strategies of a point with the same mechanism, settings and subscribers are one strategy
//! twice. Whatever they differ by is the machine's and the harness's doing, so a difference no
//! larger between two others says nothing of them.

use std::collections::BTreeMap;

use super::evidence::{Evidence, PointEvidence, StrategyEvidence};
use super::ratios::comparisons;
use super::summary::{Comparison, Difference};
use crate::record::manifest::Manifest;
use crate::record::noise_floor::NoiseFloor;

/// A strategy beside itself, measure by measure.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The mechanism of both.
    pub(crate) mechanism: String,
    /// The second beside the first; p-values are of each measure alone.
    pub(crate) comparisons: Vec<Comparison>,
}

/// Every strategy of the run that was measured beside itself.
pub(crate) fn pairs(evidence: &Evidence) -> Vec<Pair> {
    evidence.points.iter().flat_map(pairs_at).collect()
}

fn pairs_at(point: &PointEvidence) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (place, second) in point.strategies.iter().enumerate() {
        let alike = |first: &&StrategyEvidence| is_same(first, second);
        if let Some(first) = point.strategies[..place].iter().find(alike) {
            let comparisons = comparisons(&[first.clone(), second.clone()]);
            pairs.push(Pair { mechanism: second.summary.mechanism.clone(), comparisons });
        }
    }
    pairs
}

fn is_same(first: &StrategyEvidence, second: &StrategyEvidence) -> bool {
    let (first, second) = (&first.summary, &second.summary);
    first.mechanism == second.mechanism
        && first.settings == second.settings
        && first.subscribers == second.subscribers
}

/// How many times one of two identical strategies came to be the other, measure by measure: as
/// far from one as the widest interval reaches. Empty without an interval.
pub(crate) fn factors(pairs: &[Pair]) -> BTreeMap<String, f64> {
    let mut factors = BTreeMap::new();
    for comparison in pairs.iter().flat_map(|pair| &pair.comparisons) {
        let Some(interval) = comparison.interval else { continue };
        let reach = interval.high.max(1.0 / interval.low).max(1.0);
        // A value of nothing at all is no ratio to go by.
        if reach.is_finite() {
            let widest: &mut f64 = factors.entry(comparison.measure.clone()).or_insert(reach);
            *widest = widest.max(reach);
        }
    }
    factors
}

/// The noise floor that the run itself has measured, if it holds an A/A control of blocks enough.
pub(crate) fn measured(manifest: &Manifest, pairs: &[Pair]) -> Option<NoiseFloor> {
    let factors = factors(pairs);
    let mut mechanisms: Vec<&str> = pairs.iter().map(|pair| pair.mechanism.as_str()).collect();
    mechanisms.sort_unstable();
    mechanisms.dedup();
    let blocks = pairs.iter().flat_map(|pair| &pair.comparisons).map(|pair| pair.blocks).min();
    (!factors.is_empty()).then(|| NoiseFloor {
        run_id: manifest.run_id.clone(),
        measured: manifest.finished.unwrap_or(manifest.started),
        arrangement: manifest.arrangement(),
        mechanism: mechanisms.join(", "),
        blocks: blocks.unwrap_or(0),
        factors,
    })
}

/// Calls differences noise that are no larger than those of identical strategies.
pub(crate) fn judge(comparisons: &mut [Comparison], floor: &NoiseFloor) {
    for comparison in comparisons {
        comparison.noise = floor.factors.get(&comparison.measure).copied();
        let larger = comparison.ratio.max(1.0 / comparison.ratio);
        let is_noise = comparison.noise.is_some_and(|noise| larger <= noise);
        let differs = matches!(comparison.difference, Difference::Larger | Difference::Smaller);
        if differs && is_noise {
            comparison.difference = Difference::Noise;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{factors, judge, measured, pairs};
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::evidence_of;
    use crate::analysis::summary::{Comparison, Difference};
    use crate::record::manifest::Manifest;
    use crate::record::sample::Sample;

    /// A run of a webhook and its double, whose latencies are so many thousandths of the first's.
    pub(crate) fn doubled(blocks: u32, thousandths: impl Fn(u32) -> u64) -> Evidence {
        let mut evidence = evidence_of(&Sample { blocks, ..Sample::default() }, |_| ());
        let strategies = &mut evidence.points[0].strategies;
        let mut double = strategies[1].clone();
        double.summary.name = "the same".to_owned();
        for block in &mut double.blocks {
            let scaled = |time: &mut Option<u64>| {
                *time = time.map(|time| time * thousandths(block.number) / 1_000);
            };
            scaled(&mut block.latency.p50);
            scaled(&mut block.latency.mean);
        }
        strategies.push(double);
        evidence
    }

    fn floor_of(evidence: &Evidence) -> Option<crate::record::noise_floor::NoiseFloor> {
        measured(&Manifest::default(), &pairs(evidence))
    }

    #[test]
    fn a_strategy_with_other_settings_or_subscribers_is_another() {
        let mut evidence = doubled(2, |_| 1_000);
        assert_eq!(pairs(&evidence).len(), 1);
        let double = &mut evidence.points[0].strategies[2].summary;
        double.subscribers += 1;
        assert!(pairs(&evidence).is_empty());
        let double = &mut evidence.points[0].strategies[2].summary;
        (double.subscribers, double.settings["sign"]) = (1, "github".into());
        assert!(pairs(&evidence).is_empty());
    }

    #[test]
    fn the_floor_is_as_far_from_one_as_the_interval_reaches() {
        // Six blocks: the interval is from the least to the greatest ratio.
        let ratios = [1_000, 1_020, 980, 1_010, 950, 1_030];
        let evidence = doubled(6, |block| ratios[block as usize]);
        let factors = factors(&pairs(&evidence));
        let p50 = factors["latency.p50"];
        assert!((p50 - 1.0 / 0.95).abs() < 1e-3, "{p50}");
        assert!((factors["requests.per_event"] - 1.0).abs() < 1e-12);
        assert!(!factors.contains_key("latency.p99"), "withheld: {factors:?}");
        let floor = floor_of(&evidence).expect("six blocks");
        assert_eq!((floor.mechanism.as_str(), floor.blocks), ("webhook", 6));
        assert_eq!(floor_of(&doubled(5, |_| 1_000)), None);
    }

    #[test]
    fn smaller_differences_are_noise_and_larger_ones_stay() {
        let floor = floor_of(&doubled(6, |block| if block == 0 { 1_100 } else { 1_000 }));
        let floor = floor.expect("six blocks");
        let said = |ratio: f64, difference| {
            let mut comparison = Comparison {
                strategy: "b".to_owned(),
                baseline: "a".to_owned(),
                measure: "latency.p50".to_owned(),
                blocks: 10,
                ratio,
                interval: None,
                p_value: 0.01,
                noise: None,
                difference,
            };
            judge(std::slice::from_mut(&mut comparison), &floor);
            assert!((comparison.noise.expect("known") - 1.1).abs() < 1e-3);
            comparison.difference
        };
        assert_eq!(said(1.05, Difference::Larger), Difference::Noise);
        assert_eq!(said(1.0 / 1.05, Difference::Smaller), Difference::Noise);
        assert_eq!(said(1.2, Difference::Larger), Difference::Larger);
        assert_eq!(said(1.0 / 1.2, Difference::Smaller), Difference::Smaller);
        assert_eq!(said(1.05, Difference::None), Difference::None);
        assert_eq!(said(1.05, Difference::Unknown), Difference::Unknown);
    }
}
