//! The effective sample size: how many independent values say as much as these.
//!
//! Values that follow each other may be alike: of a thousand latencies of a queue that filled
//! up and emptied ten times, no more than some tens are news. The means of parts of the window
//! tell. If values are independent, a part mean of m of them varies with s²/m; where it varies
//! k times as much, n values are worth n/k (batch means; Schmeiser 1982, "Batch Size Effects in
//! the Analysis of Simulation Output"). Parts hold different numbers of events, so the variance
//! is that between groups in an analysis of variance.
//!
//! The formula n(1 − ρ)/(1 + ρ), with the correlation ρ of neighbours, is for memory that fades
//! step by step. It is wrong for polls: events that wait for the same beat have latencies that
//! fall evenly, so neighbours are alike and ρ is close to one, but the next beat starts anew and
//! the whole tooth is always there. Their parts of whole beats vary as independent values do.
//!
//! What is averaged is not the latency but its rank, as is usual for heavy tails (Vehtari et al.
//! 2021, "Rank-Normalization, Folding, and Localization"): one stall in a thousand deliveries
//! must not pass for correlation of all of them.

/// Values of which ranks are made; so many are as good as all.
const SAMPLED: usize = 256;

/// The share of the values that is independent, from parts of the window: at most one; `None`
/// where all values are equal, or where there are no parts.
pub(crate) fn effective(parts: &[&[u64]]) -> Option<f64> {
    let count: usize = parts.iter().map(|part| part.len()).sum();
    let ranks = Ranks::of(parts.iter().copied().flatten().copied(), count);
    let mut total = Moments::default();
    let sums: Vec<Moments> = parts.iter().map(|part| Moments::of(part, &ranks)).collect();
    for part in &sums {
        total.count += part.count;
        total.sum += part.sum;
        total.squares += part.squares;
    }
    let held: Vec<&Moments> = sums.iter().filter(|part| part.count > 0.0).collect();
    let (values, groups) = (total.count, held.len() as f64);
    if groups < 2.0 {
        return None;
    }
    let about_mean = total.sum * total.sum / values;
    let variance = (total.squares - about_mean) / (values - 1.0);
    let within: f64 = held.iter().map(|part| part.sum * part.sum / part.count).sum();
    let between = (within - about_mean) / (groups - 1.0);
    // Ranks are whole numbers, so nothing but equal ones has a smaller variance.
    if variance < 1e-6 {
        return None;
    }
    Some((variance / between.max(f64::MIN_POSITIVE)).min(1.0))
}

/// Sums over the ranks of one part.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn of(values: &[u64], ranks: &Ranks) -> Moments {
        values.iter().fold(Moments::default(), |moments, value| {
            let rank = ranks.of_value(*value);
            Moments {
                count: moments.count + 1.0,
                sum: moments.sum + rank,
                squares: moments.squares + rank * rank,
            }
        })
    }
}

/// Some of the values, sorted.
struct Ranks(Vec<u64>);

impl Ranks {
    fn of(values: impl Iterator<Item = u64>, count: usize) -> Ranks {
        let step = (count / SAMPLED).max(1);
        let mut sampled: Vec<u64> = values.step_by(step).collect();
        sampled.sort_unstable();
        Ranks(sampled)
    }

    /// Twice the rank among the sampled values, in the middle of equal ones.
    fn of_value(&self, value: u64) -> f64 {
        let below = self.0.partition_point(|other| *other < value);
        let equal = self.0[below..].partition_point(|other| *other == value);
        (2 * below + equal) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::effective;
    use crate::schedule::random_stream;
    use proptest::prelude::*;
    use rand::RngExt;

    fn parts_of(values: &[u64], parts: usize) -> Vec<&[u64]> {
        values.chunks(values.len().div_ceil(parts)).collect()
    }

    /// An autoregressive series with the correlation `rho` of neighbours, of 8,000 values.
    fn autoregressive(rho: f64, seed: u64) -> Vec<u64> {
        let mut random = random_stream(seed, 0);
        let mut state = 0.0;
        let mut next = || {
            // The sum of twelve uniform variables is close enough to a normal one.
            let noise: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            state = rho * state + (1.0 - rho * rho).sqrt() * noise;
            1_000_000.0 + 100_000.0 * state
        };
        (0..8_000).map(|_| super::super::series::whole(next())).collect()
    }

    #[test]
    fn independent_values_count_in_full() {
        let shares: Vec<f64> = (0..40)
            .map(|seed| effective(&parts_of(&autoregressive(0.0, seed), 40)).expect("judged"))
            .collect();
        let mean = shares.iter().sum::<f64>() / 40.0;
        assert!(mean > 0.85, "{mean}");
        // Four times the variance, by chance: far less than one in a million.
        assert!(shares.iter().all(|share| *share > 0.4), "{shares:?}");
    }

    #[test]
    fn an_autoregressive_series_counts_as_its_closed_form_says() {
        for rho in [0.5_f64, 0.9, 0.95] {
            let expected = (1.0 - rho) / (1.0 + rho);
            let shares = (0..40)
                .map(|seed| effective(&parts_of(&autoregressive(rho, seed), 40)).expect("judged"));
            let mean_of_inverse = shares.map(|share| 1.0 / share).sum::<f64>() / 40.0;
            let found = 1.0 / mean_of_inverse;
            assert!((found / expected - 1.0).abs() < 0.2, "{rho}: {found} for {expected}");
        }
    }

    #[test]
    fn the_saw_tooth_of_a_poll_is_independent_though_neighbours_are_alike() {
        let mut random = random_stream(11, 0);
        // Forty beats of about 500 events.
        let beats: Vec<Vec<u64>> = (0..40)
            .map(|_| {
                let count = 450 + random.random_range(0..100);
                let mut waits: Vec<u64> =
                    (0..count).map(|_| random.random_range(0..250_000_000)).collect();
                waits.sort_unstable_by_key(|wait| std::cmp::Reverse(*wait));
                waits
            })
            .collect();
        let parts: Vec<&[u64]> = beats.iter().map(Vec::as_slice).collect();
        let share = effective(&parts).expect("judged");
        assert!(share > 0.5, "{share}");
        // The formula for fading memory would leave a hundredth.
        let all = beats.concat();
        let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
        let about = |value: &u64| *value as f64 - mean;
        let products: f64 = all.windows(2).map(|pair| about(&pair[0]) * about(&pair[1])).sum();
        let rho = products / all.iter().map(|value| about(value).powi(2)).sum::<f64>();
        assert!((1.0 - rho) / (1.0 + rho) < 0.02, "{rho}");
    }

    #[test]
    fn one_stall_is_no_correlation() {
        let mut values = autoregressive(0.0, 3);
        for (late, value) in values[3_000..3_020].iter_mut().enumerate() {
            *value += 200_000_000 - 10_000_000 * late as u64;
        }
        assert!(effective(&parts_of(&values, 40)).expect("judged") > 0.5);
    }

    #[test]
    fn equal_values_and_single_parts_say_nothing() {
        assert_eq!(effective(&parts_of(&[7; 400], 40)), None);
        assert_eq!(effective(&[&[1, 2, 3]]), None);
        assert_eq!(effective(&[&[1, 2, 3], &[]]), None);
        assert_eq!(effective(&[]), None);
    }

    proptest! {
        #[test]
        fn it_is_a_share(values in prop::collection::vec(0_u64..1_000, 2..400)) {
            if let Some(share) = effective(&parts_of(&values, 10)) {
                prop_assert!(share > 0.0 && share <= 1.0);
            }
        }
    }
}
