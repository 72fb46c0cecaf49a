//! How many times one strategy is another: paired, block by block.
//!
//! In a block every strategy replays the same events, so what a block's luck does to all of
//! them cancels in the ratio of two. Each block gives one ratio. Its median over blocks has an
//! interval of order statistics, and the sign test that belongs to that interval says whether
//! the ratio can be told from one; where several strategies are compared with the same
//! baseline, Holm's procedure keeps the chance of any false difference below 5 %
//! (Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure").

use super::blocks::{Middle, middle};
use super::evidence::{Block, StrategyEvidence};
use super::measure::of_block;
use super::summary::{Comparison, Difference, RatioInterval};
use crate::measure::Measure;
use crate::stopping::FEWEST_BLOCKS;

/// The chance of a false difference that is accepted.
const SIGNIFICANCE: f64 = 0.05;

/// Compares every strategy of a point with the first one, measure by measure.
pub(crate) fn comparisons(strategies: &[StrategyEvidence]) -> Vec<Comparison> {
    let Some((baseline, others)) = strategies.split_first() else { return Vec::new() };
    let mut comparisons = Vec::new();
    for measure in Measure::COMPARED {
        let mut family: Vec<Comparison> =
            others.iter().filter_map(|other| compare(measure, baseline, other)).collect();
        adjust(&mut family);
        comparisons.extend(family);
    }
    comparisons
}

/// The ratios of all blocks that both strategies were measured in; `None` without any.
fn compare(
    measure: Measure,
    baseline: &StrategyEvidence,
    other: &StrategyEvidence,
) -> Option<Comparison> {
    let ratio = |block: &Block| {
        let pair = baseline.blocks.iter().find(|pair| pair.number == block.number)?;
        let (below, above) = (of_block(measure, pair, None)?, of_block(measure, block, None)?);
        (below > 0.0).then(|| above / below)
    };
    let ratios: Vec<f64> = other.blocks.iter().filter_map(ratio).collect();
    let Middle { median, interval } = middle(&ratios)?;
    let interval = interval.map(|(low, high, confidence)| RatioInterval { low, high, confidence });
    let p_value = sign_test(&ratios);
    Some(Comparison {
        strategy: other.summary.name.clone(),
        baseline: baseline.summary.name.clone(),
        measure: measure.name().to_owned(),
        blocks: u32::try_from(ratios.len()).unwrap_or(u32::MAX),
        ratio: median,
        interval,
        p_value,
        noise: None,
        difference: Difference::Unknown,
    })
}

/// Holm's procedure over the comparisons of one measure, and what may be said of each.
fn adjust(family: &mut [Comparison]) {
    let compared = family.len();
    let mut p_values: Vec<f64> = family.iter().map(|comparison| comparison.p_value).collect();
    holm(&mut p_values);
    for (comparison, p_value) in family.iter_mut().zip(p_values) {
        comparison.p_value = p_value;
        let larger = comparison.ratio > 1.0;
        comparison.difference = difference(p_value, comparison.blocks, compared, larger);
    }
}

/// Adjusts the p-values of comparisons that are made together (Holm 1979).
pub(crate) fn holm(p_values: &mut [f64]) {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    // No comparison may come out surer than one with a smaller p-value.
    let mut least = 0.0_f64;
    for (place, remaining) in order.into_iter().zip((1..=p_values.len()).rev()) {
        least = least.max((p_values[place] * remaining as f64).min(1.0));
        p_values[place] = least;
    }
}

/// What an adjusted p-value over so many blocks says, of as many compared together.
pub(crate) fn difference(p_value: f64, blocks: u32, compared: usize, larger: bool) -> Difference {
    let surest = 2.0 * 0.5_f64.powi(i32::try_from(blocks).unwrap_or(i32::MAX));
    // However one-sided too few blocks were, they could not show a difference.
    if blocks < FEWEST_BLOCKS || surest * compared as f64 >= SIGNIFICANCE {
        Difference::Unknown
    } else if p_value >= SIGNIFICANCE {
        Difference::None
    } else if larger {
        Difference::Larger
    } else {
        Difference::Smaller
    }
}

/// The chance that ratios as one-sided as these come from equals: a fair coin decides in each
/// block which of the two is larger. Blocks in which they tie decide nothing.
fn sign_test(ratios: &[f64]) -> f64 {
    signs_test(ratios.iter().map(|ratio| ratio - 1.0))
}

/// The same of differences.
pub(crate) fn signs_test(differences: impl Iterator<Item = f64> + Clone) -> f64 {
    let above = differences.clone().filter(|difference| *difference > 0.0).count();
    let below = differences.filter(|difference| *difference < 0.0).count();
    let rarer = above.min(below);
    (2.0 * at_most(rarer, above + below)).min(1.0)
}

/// The chance of at most `heads` heads in so many tosses.
fn at_most(heads: usize, tosses: usize) -> f64 {
    // In logarithms, because ½ to the number of tosses may be too small for a number.
    let n = tosses as f64;
    let mut log_probability = -n * 2.0_f64.ln();
    let mut sum = 0.0;
    for k in 0..=heads {
        sum += log_probability.exp();
        log_probability += ((n - k as f64) / (k as f64 + 1.0)).ln();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::{adjust, at_most, comparisons, sign_test};
    use crate::analysis::evidence::tests::evidence_of;
    use crate::analysis::summary::{Comparison, Difference, RatioInterval};
    use crate::record::sample::Sample;
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn the_sign_test_is_the_binomial_one() {
        for (heads, tosses) in [(0, 1), (0, 6), (2, 10), (7, 30), (200, 500)] {
            let coin = Binomial::new(0.5, tosses as u64).expect("a coin");
            let exact = coin.cdf(heads as u64);
            let ours = at_most(heads, tosses);
            assert!((ours / exact - 1.0).abs() < 1e-9, "{heads} of {tosses}: {ours}, {exact}");
        }
        assert!((sign_test(&[0.5; 6]) - 2.0 / 64.0).abs() < 1e-12);
        assert!((sign_test(&[1.0; 6]) - 1.0).abs() < 1e-12, "ties decide nothing");
        assert!((sign_test(&[2.0, 0.5]) - 1.0).abs() < 1e-12);
    }

    fn pair(p_value: f64, ratio: f64) -> Comparison {
        Comparison {
            strategy: "b".to_owned(),
            baseline: "a".to_owned(),
            measure: "latency.p50".to_owned(),
            blocks: 10,
            ratio,
            interval: Some(RatioInterval { low: ratio, high: ratio, confidence: 0.98 }),
            p_value,
            noise: None,
            difference: Difference::Unknown,
        }
    }

    #[test]
    fn holm_multiplies_by_what_is_left_and_never_falls() {
        let mut family = vec![pair(0.03, 2.0), pair(0.01, 0.5), pair(0.04, 1.1)];
        adjust(&mut family);
        let adjusted: Vec<f64> = family.iter().map(|pair| pair.p_value).collect();
        let expected = [0.06, 0.03, 0.06];
        assert!(adjusted.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{adjusted:?}");
        let differences: Vec<Difference> = family.iter().map(|pair| pair.difference).collect();
        assert_eq!(differences, [Difference::None, Difference::Smaller, Difference::None]);
    }

    #[test]
    fn a_webhook_is_compared_with_the_poll_block_by_block() {
        let sample = Sample { blocks: 6, ..Sample::default() };
        let found = comparisons(&evidence_of(&sample, |_| ()).points[0].strategies);
        let of = |measure: &str| {
            found.iter().find(|pair| pair.measure == measure).expect("compared").clone()
        };
        let latency = of("latency.p50");
        assert_eq!((latency.blocks, latency.difference), (6, Difference::Smaller));
        assert!(latency.ratio < 0.01, "{latency:?}");
        assert_eq!(of("requests.per_event").difference, Difference::Larger);
    }

    #[test]
    fn few_blocks_give_a_ratio_and_no_claim() {
        let found = comparisons(&evidence_of(&Sample::default(), |_| ()).points[0].strategies);
        assert!(!found.is_empty());
        for pair in found {
            assert_eq!((pair.interval, pair.difference), (None, Difference::Unknown), "{pair:?}");
        }
    }

    #[test]
    fn too_few_blocks_for_several_comparisons_leave_it_open() {
        let six = |p_value| Comparison { blocks: 6, ..pair(p_value, 2.0) };
        let mut one = vec![six(2.0 / 64.0)];
        adjust(&mut one);
        assert_eq!(one[0].difference, Difference::Larger);
        let mut two = vec![six(2.0 / 64.0), six(2.0 / 64.0)];
        adjust(&mut two);
        assert!(two.iter().all(|pair| pair.difference == Difference::Unknown), "{two:?}");
    }

    #[test]
    fn one_strategy_is_compared_with_nothing() {
        assert_eq!(comparisons(&[]), []);
        let mut evidence = evidence_of(&Sample::default(), |_| ());
        evidence.points[0].strategies.truncate(1);
        assert_eq!(comparisons(&evidence.points[0].strategies), []);
    }
}
