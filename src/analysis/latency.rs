//! Distributions of latency: quantiles, means, and what a sample is large enough to say.

use hdrhistogram::Histogram;

use super::blocks::{median, median_interval};
use super::summary::{Lag, LatencyIntervals, LatencySummary};
use crate::record::histogram::Totals;

/// A quantile below one, in parts per million so that ranks are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantile(u32);

const MILLION: u64 = 1_000_000;

/// Values there must be beyond a quantile before it is stated.
const BEYOND: u64 = 10;

impl Quantile {
    pub(crate) const P50: Quantile = Quantile(500_000);
    pub(crate) const P90: Quantile = Quantile(900_000);
    pub(crate) const P95: Quantile = Quantile(950_000);
    pub(crate) const P99: Quantile = Quantile(990_000);
    pub(crate) const P999: Quantile = Quantile(999_000);

    /// Every quantile that is evaluated, in rising order.
    pub(crate) const GRID: [Quantile; 15] = [
        Quantile(0),
        Quantile(100_000),
        Quantile(200_000),
        Quantile(300_000),
        Quantile(400_000),
        Quantile::P50,
        Quantile(600_000),
        Quantile(700_000),
        Quantile(800_000),
        Quantile::P90,
        Quantile::P95,
        Quantile::P99,
        Quantile(995_000),
        Quantile::P999,
        Quantile(999_900),
    ];

    /// The quantile as a number below one.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.0) / MILLION as f64
    }

    /// The rank of the quantile in `count` sorted values, counted from one: the nearest-rank
    /// definition, the least value that at least a share p of all values does not exceed.
    fn rank(self, count: u64) -> u64 {
        let rank = (u128::from(count) * u128::from(self.0)).div_ceil(u128::from(MILLION));
        u64::try_from(rank).expect("a quantile is below one").max(1)
    }

    /// The fewest values of which ten are expected beyond the quantile.
    pub(crate) fn least_support(self) -> u64 {
        (BEYOND * MILLION).div_ceil(MILLION - u64::from(self.0))
    }

    /// Whether at least ten values of `count` are expected beyond the quantile.
    pub(crate) fn is_supported_by(self, count: u64) -> bool {
        let beyond = u128::from(count) * u128::from(MILLION - u64::from(self.0));
        beyond >= u128::from(BEYOND * MILLION)
    }
}

/// Sorted values and their exact totals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distribution {
    values: Values,
    totals: Totals,
    /// Distinct events behind the values.
    events: u64,
}

/// Values in rising order.
#[derive(Clone, Debug)]
enum Values {
    /// Each for itself. Of ten million latencies to the nanosecond hardly two are equal, so that
    /// counts would double the memory.
    Each(Vec<u64>),
    /// Each value that a histogram tells apart, with the number of values up to and including it.
    Counted(Vec<(u64, u64)>),
}

impl Default for Values {
    fn default() -> Values {
        Values::Each(Vec::new())
    }
}

impl Values {
    /// Sorts values that come with how often each occurred.
    fn of_counts(mut counts: Vec<(u64, u64)>) -> Values {
        counts.sort_by_key(|(value, _)| *value);
        counts.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        let mut cumulative = 0;
        for (_, count) in &mut counts {
            cumulative += *count;
            *count = cumulative;
        }
        Values::Counted(counts)
    }

    fn each(&self) -> Option<&[u64]> {
        match self {
            Values::Each(values) => Some(values),
            Values::Counted(_) => None,
        }
    }

    /// Every value with how often it occurred; equal values may follow each other.
    fn counts(&self) -> Vec<(u64, u64)> {
        match self {
            Values::Each(values) => values.iter().map(|value| (*value, 1)).collect(),
            Values::Counted(steps) => {
                let mut before = 0;
                let count = |(value, upto): &(u64, u64)| {
                    let count = upto - before;
                    before = *upto;
                    (*value, count)
                };
                steps.iter().map(count).collect()
            }
        }
    }
}

impl Distribution {
    /// The distribution of some values, exactly.
    pub(crate) fn of_values(mut values: Vec<u64>) -> Distribution {
        let mut totals = Totals::default();
        for value in &values {
            totals.add(0, *value);
        }
        values.sort_unstable();
        Distribution::new(Values::Each(values), totals)
    }

    /// The distribution in a histogram, to its precision; a value stands for the highest it
    /// may have been, as in every `HdrHistogram` tool. Totals are exact.
    pub(crate) fn of_histogram(histogram: &Histogram<u64>, totals: Totals) -> Distribution {
        let value = |value| histogram.highest_equivalent(value).clamp(totals.min, totals.max);
        let counts = histogram
            .iter_recorded()
            .map(|step| (value(step.value_iterated_to()), step.count_at_value()))
            .collect();
        Distribution::new(Values::of_counts(counts), totals)
    }

    /// All values of several distributions together.
    pub(crate) fn pooled(parts: &[Distribution]) -> Distribution {
        let mut totals = Totals::default();
        for part in parts {
            add_totals(&mut totals, &part.totals);
        }
        let exact: Option<Vec<&[u64]>> = parts.iter().map(|part| part.values.each()).collect();
        let values = match exact {
            Some(parts) => {
                let mut values = parts.concat();
                #[expect(
                    clippy::stable_sort_primitive,
                    reason = "the stable sort merges parts that are already sorted"
                )]
                values.sort();
                Values::Each(values)
            }
            None => Values::of_counts(parts.iter().flat_map(|part| part.values.counts()).collect()),
        };
        Distribution::new(values, totals)
    }

    fn new(values: Values, totals: Totals) -> Distribution {
        Distribution { values, totals, events: totals.count }
    }

    /// Says how many distinct events the values are of. Many subscribers are late with the same
    /// event together, so only distinct events support a quantile.
    pub(crate) fn of_events(self, events: u64) -> Distribution {
        Distribution { events: events.min(self.totals.count), ..self }
    }

    /// Distinct events behind the values.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The number of values.
    pub(crate) fn count(&self) -> u64 {
        self.totals.count
    }

    /// The arithmetic mean, rounded to a nanosecond.
    pub(crate) fn mean(&self) -> Option<u64> {
        let count = u128::from(self.totals.count);
        let mean = (self.totals.sum + count / 2).checked_div(count)?;
        Some(u64::try_from(mean).expect("a mean is at most the greatest value"))
    }

    /// The least value.
    pub(crate) fn min(&self) -> Option<u64> {
        (self.totals.count > 0).then_some(self.totals.min)
    }

    /// The greatest value.
    pub(crate) fn max(&self) -> Option<u64> {
        (self.totals.count > 0).then_some(self.totals.max)
    }

    /// The value of a quantile, if the sample supports it.
    pub(crate) fn quantile(&self, quantile: Quantile) -> Option<u64> {
        quantile.is_supported_by(self.events).then(|| self.at(quantile))?
    }

    /// The value of a quantile, however few values are beyond it.
    pub(crate) fn at(&self, quantile: Quantile) -> Option<u64> {
        self.at_rank(quantile.rank(self.count())).map(|(value, _)| value)
    }

    /// How many values are at most as great as a value.
    pub(crate) fn at_most(&self, value: u64) -> u64 {
        match &self.values {
            Values::Each(values) => values.partition_point(|other| *other <= value) as u64,
            Values::Counted(steps) => {
                let above = steps.partition_point(|(step, _)| *step <= value);
                above.checked_sub(1).map_or(0, |last| steps[last].1)
            }
        }
    }

    /// The value at a rank counted from one, and how many values are at most as great.
    pub(crate) fn at_rank(&self, rank: u64) -> Option<(u64, u64)> {
        match &self.values {
            Values::Each(values) => {
                let index = usize::try_from(rank.max(1) - 1).ok()?;
                let value = *values.get(index)?;
                let equal = values[index..].partition_point(|other| *other == value);
                Some((value, (index + equal) as u64))
            }
            Values::Counted(steps) => {
                let step = steps.partition_point(|(_, cumulative)| *cumulative < rank);
                steps.get(step).copied()
            }
        }
    }
}

fn add_totals(sum: &mut Totals, part: &Totals) {
    if part.count > 0 {
        sum.min = if sum.count == 0 { part.min } else { sum.min.min(part.min) };
        sum.max = sum.max.max(part.max);
    }
    sum.count += part.count;
    sum.sum += part.sum;
    sum.clamped += part.clamped;
    sum.backwards += part.backwards;
}

/// The median over blocks of each block's own quantile; `None` unless every block supports it.
pub(crate) fn over_blocks(blocks: &[Distribution], quantile: Quantile) -> Option<u64> {
    median(&of_each(blocks, |block| block.quantile(quantile))?)
}

fn of_each(
    blocks: &[Distribution],
    figure: impl Fn(&Distribution) -> Option<u64>,
) -> Option<Vec<u64>> {
    blocks.iter().map(figure).collect()
}

/// Summarises the latencies of the blocks of a strategy; `pooled` is all of them together.
pub(crate) fn summarise(blocks: &[Distribution], pooled: &Distribution) -> LatencySummary {
    let interval = |figure: &dyn Fn(&Distribution) -> Option<u64>| {
        of_each(blocks, figure).and_then(|figures| median_interval(&figures))
    };
    LatencySummary {
        count: pooled.count(),
        effective: None,
        mean: pooled.mean(),
        min: pooled.min(),
        p50: over_blocks(blocks, Quantile::P50),
        p90: over_blocks(blocks, Quantile::P90),
        p95: over_blocks(blocks, Quantile::P95),
        p99: over_blocks(blocks, Quantile::P99),
        p999: over_blocks(blocks, Quantile::P999),
        max: pooled.max(),
        ci95: LatencyIntervals {
            mean: interval(&Distribution::mean),
            p50: interval(&|block| block.quantile(Quantile::P50)),
            p99: interval(&|block| block.quantile(Quantile::P99)),
        },
    }
}

/// Summarises the lag of all blocks together: it describes the harness, not a strategy.
pub(crate) fn summarise_lag(pooled: &Distribution) -> Lag {
    Lag {
        p50: pooled.quantile(Quantile::P50),
        p99: pooled.quantile(Quantile::P99),
        max: pooled.max(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Distribution, Quantile, over_blocks, summarise};
    use crate::record::histogram::{Totals, empty};
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    fn recorded(values: &[u64]) -> (Histogram<u64>, Totals) {
        let (mut histogram, mut totals) = (empty(), Totals::default());
        for value in values {
            histogram.record(*value).expect("within bounds");
            totals.add(0, *value);
        }
        (histogram, totals)
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let thousand = Distribution::of_values((1..=1_000).rev().collect());
        assert_eq!(thousand.quantile(Quantile::P50), Some(500));
        assert_eq!(thousand.quantile(Quantile::P90), Some(900));
        assert_eq!(thousand.quantile(Quantile::P99), Some(990));
        assert_eq!(thousand.quantile(Quantile::GRID[0]), Some(1));
        assert_eq!(Distribution::of_values((1..=21).collect()).quantile(Quantile::P50), Some(11));
    }

    #[test]
    fn a_quantile_needs_ten_values_beyond_it() {
        for (count, quantile) in [
            (20, Quantile::P50),
            (100, Quantile::P90),
            (1_000, Quantile::P99),
            (10_000, Quantile::P999),
        ] {
            assert!(quantile.is_supported_by(count));
            assert!(!quantile.is_supported_by(count - 1));
            assert_eq!(quantile.least_support(), count);
            let too_few = Distribution::of_values((1..count).collect());
            assert_eq!(too_few.quantile(quantile), None);
        }
        assert_eq!(Distribution::default().quantile(Quantile::P50), None);
    }

    #[test]
    fn the_mean_does_not_overflow() {
        let huge = Distribution::of_values(vec![u64::MAX, u64::MAX, u64::MAX - 3]);
        assert_eq!(huge.mean(), Some(u64::MAX - 1));
        assert_eq!(Distribution::default().mean(), None);
    }

    #[test]
    fn a_histogram_gives_what_the_values_give_to_three_digits() {
        let values: Vec<u64> = (1..=5_000).map(|value| value * value * 37).collect();
        let (histogram, totals) = recorded(&values);
        let exact = Distribution::of_values(values);
        let rounded = Distribution::of_histogram(&histogram, totals);
        for quantile in Quantile::GRID {
            let Some(expected) = exact.quantile(quantile) else { continue };
            let found = rounded.quantile(quantile).expect("as many values");
            let error = found.abs_diff(expected) as f64 / expected as f64;
            assert!(error < 0.001, "{quantile:?}: {found} for {expected}");
            let tool = histogram.value_at_quantile(quantile.share());
            assert_eq!(found, tool.min(totals.max), "{quantile:?}");
        }
        assert_eq!((rounded.mean(), rounded.max()), (exact.mean(), exact.max()));
    }

    #[test]
    fn one_block_too_small_withholds_a_quantile() {
        let blocks = [30, 19].map(|count| Distribution::of_values((1..=count).collect()));
        assert_eq!(over_blocks(&blocks, Quantile::P50), None);
        let blocks = [30, 20].map(|count| Distribution::of_values((1..=count).collect()));
        assert_eq!(over_blocks(&blocks, Quantile::P50), Some(12));
    }

    #[test]
    fn blocks_are_summarised_each_for_itself() {
        let blocks: Vec<Distribution> =
            (1..=6).map(|block| Distribution::of_values(vec![block * 100; 20])).collect();
        let summary = summarise(&blocks, &Distribution::pooled(&blocks));
        assert_eq!((summary.count, summary.mean, summary.p50), (120, Some(350), Some(350)));
        assert_eq!((summary.min, summary.max, summary.p90), (Some(100), Some(600), None));
        assert_eq!(summary.ci95.p50, Some([100, 600]));
        assert_eq!(summary.ci95.mean, Some([100, 600]));
        assert_eq!(summary.ci95.p99, None);
    }

    proptest! {
           #[test]
           fn pooling_is_the_same_as_sorting_everything(
               parts in prop::collection::vec(prop::collection::vec(0_u64..50, 0..60), 0..5),
               histograms in prop::collection::vec(0_usize..5, 0..3),
           ) {
               let mut all: Vec<u64> = parts.concat();
               all.sort_unstable();
               // Values so small are exact in a histogram too; parts may be of either kind.
               let part = |(index, values): (usize, Vec<u64>)| {
                   if histograms.contains(&index) { let (histogram, totals) = recorded(&values);
    Distribution::of_histogram(&histogram, totals) } else { Distribution::of_values(values) }
               };
               let parts: Vec<_> = parts.into_iter().enumerate().map(part).collect();
               let pooled = Distribution::pooled(&parts);
               prop_assert_eq!(pooled.count(), all.len() as u64);
               for (rank, value) in (1..).zip(&all) {
                   let at_most = all.partition_point(|other| other <= value) as u64;
                   prop_assert_eq!(pooled.at_rank(rank), Some((*value, at_most)));
               }
               prop_assert_eq!(pooled.min(), all.first().copied());
               prop_assert_eq!(pooled.max(), all.last().copied());
           }
       }
}
