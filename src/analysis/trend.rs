//! Whether latency rose or fell in the course of the window.
//!
//! Mann and Kendall count in how many pairs of part medians the later one is greater (Mann 1945,
//! "Nonparametric Tests Against Trend"). The counts of all blocks are added up, and their
//! variances with them, as for the seasons of a year (Hirsch, Slack and Smith 1982, "Techniques
//! of Trend Analysis for Monthly Water Quality Data"): a rival that made one block restless says
//! nothing of the others, and the worst of many blocks always looks bad. How much latency
//! drifted is the median of all slopes within blocks (Theil 1950; Sen 1968).
//!
//! The variance supposes that medians of neighbouring parts are independent. On a machine whose
//! speed wanders they are not, so from [`BLOCKS_ENOUGH`] blocks on the counts must also be
//! significant by their own variance over the blocks, which supposes nothing of the kind.

use super::probability::{normal_of_t, two_sided};

/// Blocks from which on their own variance is used, as for every statement over blocks.
pub(crate) const BLOCKS_ENOUGH: usize = 6;

/// A rise or fall of the latency over the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trend {
    /// From the window's first part to its last, as a share of the median part.
    pub(crate) drift: f64,
    /// The median part, in nanoseconds.
    pub(crate) level: f64,
    /// The chance of so many rises or falls without a trend.
    pub(crate) p_value: f64,
}

/// The trend that several blocks have in common; each is the medians of its parts, in order.
/// `None` where there are not two parts to compare, or no latency above zero.
pub(crate) fn trend(blocks: &[&[Option<u64>]]) -> Option<Trend> {
    let (mut scores, mut variance) = (Vec::new(), 0.0);
    let (mut slopes, mut levels) = (Vec::new(), Vec::new());
    let mut parts = 0;
    for block in blocks {
        let medians: Vec<(f64, f64)> = block
            .iter()
            .zip(0_u32..)
            .filter_map(|(median, part)| Some((f64::from(part), (*median)? as f64)))
            .collect();
        let (mut score, mut count) = (0.0, 0);
        for (later, (at, value)) in medians.iter().enumerate() {
            for (before, earlier) in &medians[..later] {
                let rise = value - earlier;
                score += if rise == 0.0 { 0.0 } else { rise.signum() };
                slopes.push(rise / (at - before));
                count += 1;
            }
        }
        if count > 0 {
            scores.push(score);
            variance += kendall_variance(&medians);
            levels.extend(medians.iter().map(|(_, value)| *value));
            parts = parts.max(block.len());
        }
    }
    let level = middle(&mut levels).filter(|level| *level > 0.0)?;
    let slope = middle(&mut slopes)?;
    let span = (parts - 1) as f64;
    Some(Trend { drift: slope * span / level, level, p_value: chance(&scores, variance) })
}

/// The variance of the score of one block without a trend; equal medians lower it.
fn kendall_variance(medians: &[(f64, f64)]) -> f64 {
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut values: Vec<f64> = medians.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let ties = values.chunk_by(|a, b| a.total_cmp(b).is_eq()).map(|equal| term(equal.len() as f64));
    (term(values.len() as f64) - ties.sum::<f64>()) / 18.0
}

/// The chance that scores add up to as much if none of the blocks has a trend.
fn chance(scores: &[f64], variance: f64) -> f64 {
    let sum: f64 = scores.iter().sum();
    if variance <= 0.0 {
        return 1.0;
    }
    // One less, because scores are whole numbers.
    let size = (sum.abs() - 1.0).max(0.0);
    let by_theory = two_sided(size / variance.sqrt());
    if scores.len() < BLOCKS_ENOUGH {
        return by_theory;
    }
    let count = scores.len() as f64;
    let about_mean = |score: &f64| (score - sum / count).powi(2);
    let own = count * scores.iter().map(about_mean).sum::<f64>() / (count - 1.0);
    if own <= 0.0 {
        return by_theory;
    }
    by_theory.max(two_sided(normal_of_t(size / own.sqrt(), count - 1.0)))
}

fn middle(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::trend;
    use crate::schedule::random_stream;
    use proptest::prelude::*;
    use rand::RngExt;

    type Medians = Vec<Option<u64>>;

    fn trend_of(blocks: &[Medians]) -> Option<super::Trend> {
        let blocks: Vec<&[Option<u64>]> = blocks.iter().map(Vec::as_slice).collect();
        trend(&blocks)
    }

    /// Blocks of 40 parts about 1,000,000, uniformly ± `noise`, rising by `rise` over the window.
    fn blocks(count: u64, noise: f64, rise: f64, seed: u64) -> Vec<Medians> {
        (0..count)
            .map(|block| {
                let mut random = random_stream(seed, block);
                let part = |part: u32| {
                    let drift = rise * f64::from(part) / 39.0;
                    let share = 1.0 + drift + noise * (2.0 * random.random::<f64>() - 1.0);
                    Some(super::super::series::whole(1e6 * share))
                };
                (0..40).map(part).collect()
            })
            .collect()
    }

    #[test]
    fn a_short_series_has_the_score_counted_by_hand() {
        let series = [10, 15, 14, 20, 18, 25].map(Some).to_vec();
        // Of 15 pairs 13 rise and 2 fall: S = 11, variance 6·5·17/18 = 28.33, z = 10/5.323.
        let found = trend_of(&[series]).expect("judged");
        assert!((found.p_value - 0.0603).abs() < 2e-4, "{found:?}");
        // The median of the 15 slopes is 5/2; over five steps, against the lower middle of 15.
        assert!((found.drift - 5.0 * 2.5 / 15.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_drift_common_to_all_blocks_is_found_and_measured() {
        for count in [1, 3, 10] {
            let found = trend_of(&blocks(count, 0.05, 0.10, 5)).expect("judged");
            assert!(found.p_value < 1e-4, "{count}: {found:?}");
            assert!((found.drift - 0.10).abs() < 0.03, "{count}: {found:?}");
        }
        let falling = trend_of(&blocks(3, 0.05, -0.3, 5)).expect("judged");
        assert!(falling.drift < -0.2 && falling.p_value < 1e-6, "{falling:?}");
    }

    #[test]
    fn one_restless_block_among_ten_is_no_trend() {
        let mut ten = blocks(9, 0.05, 0.0, 7);
        ten.extend(blocks(1, 0.05, 2.0, 8));
        let found = trend_of(&ten).expect("judged");
        assert!(found.p_value > 0.01, "{found:?}");
    }

    /// How often, in 300 runs without a trend, chance makes one below one in a hundred.
    fn false_alarms(make: impl Fn(u64) -> Vec<Medians>) -> usize {
        let found = |seed| trend_of(&make(seed)).expect("judged").p_value < 0.01;
        (0..300).filter(|seed| found(*seed)).count()
    }

    #[test]
    fn chance_makes_a_trend_as_seldom_as_it_says() {
        for count in [1, 3, 10] {
            let alarms = false_alarms(|seed| blocks(count, 0.5, 0.0, seed));
            // Three are expected, with a deviation of less than two.
            assert!(alarms <= 9, "{count} blocks: {alarms}");
        }
    }

    #[test]
    fn a_speed_that_wanders_is_no_trend_over_many_blocks() {
        let wandering = |seed: u64| -> Vec<Medians> {
            blocks(10, 0.2, 0.0, seed)
                .into_iter()
                .map(|block| {
                    // Each part shares half of what it is with the one before.
                    let mut state = 1e6;
                    let mut next = |value: Option<u64>| {
                        state = 0.5 * state + 0.5 * value.expect("a part") as f64;
                        Some(super::super::series::whole(state))
                    };
                    block.into_iter().map(&mut next).collect()
                })
                .collect()
        };
        let alarms = false_alarms(wandering);
        assert!(alarms <= 9, "{alarms}");
    }

    #[test]
    fn missing_parts_and_equal_ones_are_no_trend() {
        assert_eq!(trend_of(&[]), None);
        assert_eq!(trend_of(&[vec![None, Some(5), None]]), None);
        assert_eq!(trend_of(&[vec![Some(0), Some(0)]]), None);
        let equal = trend_of(&[vec![Some(5); 40]]).expect("judged");
        assert_eq!((equal.drift, equal.p_value), (0.0, 1.0));
        let two = trend_of(&[vec![None, Some(5), None, Some(6)]]).expect("judged");
        assert!((two.drift - 0.3).abs() < 1e-9, "{two:?}");
    }

    proptest! {
        #[test]
        fn turning_time_round_turns_the_trend_round(
            medians in prop::collection::vec(prop::option::of(1_u64..1_000), 2..40)
        ) {
            let forwards = trend_of(std::slice::from_ref(&medians));
            let backwards = trend_of(&[medians.into_iter().rev().collect()]);
            prop_assert_eq!(forwards.is_some(), backwards.is_some());
            if let Some((forwards, backwards)) = forwards.zip(backwards) {
                prop_assert!((forwards.p_value - backwards.p_value).abs() < 1e-9);
                prop_assert!((0.0..=1.0).contains(&forwards.p_value));
            }
        }
    }
}
