//! How many times the values of one sample are those of another, where nothing pairs them.
//!
//! Two runs have their blocks at different times, so no block of one belongs to a block of the
//! other. Every value of the second divided by every value of the first is one ratio; their median
//! is the estimate of Hodges and Lehmann (1963), and two of them, counted from the ends, are an
//! interval by the distribution of the Mann–Whitney statistic (Hollander & Wolfe, *Nonparametric
//! Statistical Methods*, section 4.3). It holds whatever the distribution, provided that both have
//! one shape up to a factor. Ties count against every claim.

use std::collections::BTreeMap;

use super::probability::two_sided;

/// Pairs of values up to which the distribution is counted exactly.
const COUNTED_EXACTLY: usize = 2_500;

/// The distribution of the Mann–Whitney statistic where both samples have one distribution.
#[derive(Debug)]
enum Null {
    /// The chance of at most so much, for each value.
    Exact(Vec<f64>),
    /// Normal with this mean and deviation, which is right to a thousandth from fifty values on.
    Normal(f64, f64),
}

impl Null {
    fn of(first: usize, second: usize) -> Null {
        let pairs = first * second;
        if pairs <= COUNTED_EXACTLY {
            return Null::Exact(cumulative(first, second));
        }
        let pairs = pairs as f64;
        let deviation = (pairs * (first + second + 1) as f64 / 12.0).sqrt();
        Null::Normal(pairs / 2.0, deviation)
    }

    /// The chance of at most so much.
    fn at_most(&self, value: usize) -> f64 {
        match self {
            Null::Exact(chances) => chances.get(value).copied().unwrap_or(1.0),
            Null::Normal(mean, deviation) => {
                let z = (value as f64 + 0.5 - mean) / deviation;
                let tail = two_sided(z) / 2.0;
                if z < 0.0 { tail } else { 1.0 - tail }
            }
        }
    }
}

/// The chances of at most 0, 1, 2, … pairs in which the second sample's value is the greater.
///
/// The greatest of all values is of the second sample in so many cases of so many, and then beats
/// every value of the first (Mann & Whitney 1947, equation 4).
fn cumulative(first: usize, second: usize) -> Vec<f64> {
    // `row[b]` is the distribution for `a` values of the first sample and `b` of the second.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; second + 1];
    for a in 1..=first {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for b in 1..=second {
            let share = b as f64 / (a + b) as f64;
            let (of_second, of_first) = (&next[b - 1], &row[b]);
            let chance = |value: usize| {
                let beaten = value.checked_sub(a).and_then(|rest| of_second.get(rest));
                let other = of_first.get(value);
                share * beaten.copied().unwrap_or(0.0)
                    + (1.0 - share) * other.copied().unwrap_or(0.0)
            };
            let distribution = (0..=a * b).map(chance).collect();
            next.push(distribution);
        }
        row = next;
    }
    let mut sum = 0.0;
    row[second]
        .iter()
        .map(|chance| {
            sum += chance;
            sum
        })
        .collect()
}

/// Distributions that were counted, by the sizes of the samples.
#[derive(Debug, Default)]
pub(crate) struct Nulls(BTreeMap<(usize, usize), Null>);

/// How many times the second sample's values are the first's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// The median of all ratios of a value of the second to one of the first.
    pub(crate) median: f64,
    /// The chance of samples as one-sided as these, or more, if neither were larger.
    pub(crate) p_value: f64,
    /// The least chance that samples of these sizes can have.
    pub(crate) least_p_value: f64,
    /// All ratios, in rising order.
    sorted: Vec<f64>,
    sizes: (usize, usize),
}

impl Nulls {
    /// Compares two samples; `None` if one is empty or has values that are not above zero, of which
    /// there is no ratio.
    pub(crate) fn ratio(&mut self, first: &[f64], second: &[f64]) -> Option<Ratio> {
        let all = || first.iter().chain(second);
        if first.is_empty() || second.is_empty() || !all().all(|value| *value > 0.0) {
            return None;
        }
        let mut sorted: Vec<f64> =
            second.iter().flat_map(|above| first.iter().map(move |below| above / below)).collect();
        sorted.sort_by(f64::total_cmp);
        let (greater, less) = (
            sorted.iter().filter(|ratio| **ratio > 1.0).count(),
            sorted.iter().filter(|ratio| **ratio < 1.0).count(),
        );
        let null = self.null(first.len(), second.len());
        let (middle, odd) = (sorted.len() / 2, sorted.len() % 2 == 1);
        // The middle of two ratios is where their logarithms have it.
        let median =
            if odd { sorted[middle] } else { (sorted[middle - 1] * sorted[middle]).sqrt() };
        let most = greater.max(less);
        Some(Ratio {
            median,
            p_value: (2.0 * null.at_most(sorted.len() - most)).min(1.0),
            least_p_value: (2.0 * null.at_most(0)).min(1.0),
            sizes: (first.len(), second.len()),
            sorted,
        })
    }

    /// The narrowest interval of the ratio that is at least so sure: least, greatest, and how sure
    /// it is. `None` if the samples are too small for any.
    pub(crate) fn interval(&mut self, of: &Ratio, confidence: f64) -> Option<(f64, f64, f64)> {
        let null = self.null(of.sizes.0, of.sizes.1);
        let missed = (1.0 - confidence) / 2.0;
        // How many ratios at either end lie beyond the interval.
        let beyond = (0..of.sorted.len() / 2).take_while(|k| null.at_most(*k) <= missed).last()?;
        let sure = 1.0 - 2.0 * null.at_most(beyond);
        Some((of.sorted[beyond], of.sorted[of.sorted.len() - 1 - beyond], sure))
    }

    fn null(&mut self, first: usize, second: usize) -> &Null {
        self.0.entry((first, second)).or_insert_with(|| Null::of(first, second))
    }
}

#[cfg(test)]
mod tests {
    use super::{Null, Nulls, cumulative};

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-4
    }

    #[test]
    fn the_distribution_is_that_of_published_tables() {
        // Mann & Whitney 1947, table I: P(U ≤ u) for samples of 3 and 4, and of 5 and 5.
        let found = cumulative(3, 4);
        for (value, chance) in [(0, 0.028_57), (1, 0.057_14), (2, 0.114_29), (5, 0.428_57)] {
            assert!(close(found[value], chance), "{value}: {}", found[value]);
        }
        let found = cumulative(5, 5);
        for (value, chance) in [(0, 0.003_97), (2, 0.015_87), (4, 0.047_62)] {
            assert!(close(found[value], chance), "{value}: {}", found[value]);
        }
        assert!(close(*found.last().expect("some"), 1.0));
        assert_eq!(cumulative(4, 3), cumulative(4, 3));
    }

    #[test]
    fn many_values_are_as_good_as_normal() {
        let exact = cumulative(50, 50);
        let (mean, deviation) = (1_250.0, (2_500.0_f64 * 101.0 / 12.0).sqrt());
        let normal = Null::Normal(mean, deviation);
        for value in [800, 950, 1_000, 1_100, 1_250, 1_500] {
            let found = normal.at_most(value);
            assert!((found - exact[value]).abs() < 1e-3, "{value}: {found} {}", exact[value]);
        }
    }

    #[test]
    fn two_samples_are_compared_as_in_the_textbook() {
        // Hollander & Wolfe, table 4.1: permeability of the amnion at term and earlier. The shift
        // is estimated as 0.305, with a 96 % interval from −0.15 to 0.76; the values are taken as
        // logarithms here, so that differences become ratios.
        let term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46].map(f64::exp);
        let early = [1.15, 0.88, 0.90, 0.74, 1.21].map(f64::exp);
        let mut nulls = Nulls::default();
        let found = nulls.ratio(&early, &term).expect("positive");
        assert!(close(found.median.ln(), 0.305), "{}", found.median.ln());
        let (low, high, sure) = nulls.interval(&found, 0.95).expect("enough");
        assert!(close(low.ln(), -0.15) && close(high.ln(), 0.76), "{} {}", low.ln(), high.ln());
        assert!(close(sure, 0.9600), "{sure}");
    }

    #[test]
    fn four_blocks_each_are_the_fewest_for_an_interval() {
        let mut nulls = Nulls::default();
        let few = nulls.ratio(&[1.0, 1.1, 1.2], &[2.0, 2.1, 2.2]).expect("positive");
        assert_eq!(nulls.interval(&few, 0.95), None);
        assert!(close(few.least_p_value, 0.1));
        let found = nulls.ratio(&[1.0, 1.1, 1.2, 1.3], &[2.0, 2.2, 2.4, 2.6]).expect("positive");
        let (low, high, sure) = nulls.interval(&found, 0.95).expect("four each");
        assert!(close(low, 2.0 / 1.3) && close(high, 2.6) && sure > 0.95, "{low} {high} {sure}");
        assert!(close(found.p_value, 2.0 / 70.0), "{}", found.p_value);
        assert_eq!(nulls.interval(&found, 0.99), None);
    }

    #[test]
    fn an_interval_holds_one_exactly_where_the_test_finds_nothing() {
        let mut nulls = Nulls::default();
        let first: Vec<f64> = (0..8).map(|k| 1.0 + 0.07 * f64::from(k)).collect();
        for step in 0..60 {
            let factor = 0.6 + 0.02 * f64::from(step);
            let second: Vec<f64> = first.iter().map(|value| value * factor).collect();
            let found = nulls.ratio(&first, &second).expect("positive");
            let (low, high, sure) = nulls.interval(&found, 0.95).expect("eight");
            let holds = low <= 1.0 && 1.0 <= high;
            assert_eq!(holds, found.p_value > 1.0 - sure + 1e-12, "{factor}");
            assert!(low <= found.median && found.median <= high);
        }
    }

    #[test]
    fn what_is_always_the_same_does_not_differ() {
        let mut nulls = Nulls::default();
        let found = nulls.ratio(&[1.0; 6], &[1.0; 6]).expect("positive");
        assert!(close(found.p_value, 1.0) && close(found.median, 1.0));
        let (low, high, _) = nulls.interval(&found, 0.95).expect("six");
        assert!(close(low, 1.0) && close(high, 1.0));
        assert_eq!(nulls.ratio(&[0.0; 6], &[1.0; 6]), None, "nothing is no base");
        assert_eq!(nulls.ratio(&[], &[1.0]), None);
    }
}
