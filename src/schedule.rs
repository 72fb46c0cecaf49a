//! When events are due: a pure function of arrival process, rate and seed.
//!
//! Every strategy of a block replays the same schedule, and a schedule can be computed
//! again years later from the three values in the record.

use std::time::Duration;

use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Rate, nanoseconds};

/// How a scenario spaces its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// One event every 1/rate, starting at a random (seeded) phase.
    ///
    /// Locks phase with any poll interval that is a multiple or a fraction of the gap: prefer
    /// `poisson` unless the source really is a metronome.
    Constant,
    /// Independent exponential gaps of mean 1/rate: many independent users.
    #[default]
    Poisson,
}

/// An independent random stream of a seed.
///
/// Streams are the PCG family's own (O'Neill 2014, "PCG: A Family of Simple Fast
/// Space-Efficient Statistically Good Algorithms", section 4.2), so the same seed
/// can drive schedule, phases and orders without one disturbing another.
#[must_use]
pub fn random_stream(seed: u64, stream: u64) -> Pcg64 {
    // The golden ratio spreads small seeds over the state, as in SplitMix64.
    Pcg64::new(
        u128::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
        stream.into(),
    )
}

/// The due moments of one trial, as nanoseconds after its epoch, in order.
pub type DueOffsets = Box<dyn Iterator<Item = u64> + Send>;

impl Arrivals {
    /// The moments at which events are due between zero and `until`.
    #[must_use]
    pub fn due_offsets(self, rate: Rate, seed: u64, until: Duration) -> DueOffsets {
        let random = random_stream(seed, 0);
        let until = nanoseconds(until);
        let endless: Box<dyn Iterator<Item = u64> + Send> = match self {
            Arrivals::Constant => Box::new(constant(rate, random)),
            Arrivals::Poisson => Box::new(poisson(rate, random)),
        };
        Box::new(endless.take_while(move |offset| *offset < until))
    }

    /// The expected value of a function of the number of events in a gap, for gaps that are
    /// independent of the events.
    ///
    /// Poisson: the number is Poisson distributed with mean λG. Constant: over a random phase
    /// it is ⌊λG⌋ or one more, so as to have the mean λG. `None` for arrivals of which there is
    /// no closed form.
    #[must_use]
    pub fn expectation(self, rate: Rate, gap: Duration, of: impl Fn(u64) -> f64) -> Option<f64> {
        let mean = rate.events_in(gap);
        Some(match self {
            Arrivals::Constant => {
                let (few, more) = (mean.floor(), mean.fract());
                (1.0 - more) * of(rounded(few)) + more * of(rounded(few + 1.0))
            }
            Arrivals::Poisson => poisson_expectation(mean, of),
        })
    }
}

/// The expected value of a function of a Poisson distributed number.
///
/// Weights are built outwards from the mode by the ratio of neighbours, p(n+1)/p(n) = mean/(n+1),
/// and normalised at the end, so that nothing over- or underflows; beyond ten standard
/// deviations there is nothing left to add.
fn poisson_expectation(mean: f64, of: impl Fn(u64) -> f64) -> f64 {
    let mode = mean.floor();
    let reach = 10.0 * mean.sqrt() + 20.0;
    let (first, last) = (rounded((mode - reach).max(0.0)), rounded(mode + reach));
    let (mut weights, mut sum) = (1.0, of(rounded(mode)));
    let mut weight = 1.0;
    for number in rounded(mode) + 1..=last {
        weight *= mean / number as f64;
        weights += weight;
        sum += weight * of(number);
    }
    weight = 1.0;
    for number in (first..rounded(mode)).rev() {
        weight *= (number + 1) as f64 / mean;
        weights += weight;
        sum += weight * of(number);
    }
    sum / weights
}

fn constant(rate: Rate, mut random: Pcg64) -> impl Iterator<Item = u64> + Send {
    let gap = 1e9 / rate.events_per_second();
    let phase = random.random::<f64>() * gap;
    // Multiplying, not adding: the millionth event must not carry a million roundings.
    (0_u64..).map(move |event| rounded(phase + event as f64 * gap))
}

fn poisson(rate: Rate, random: Pcg64) -> impl Iterator<Item = u64> + Send {
    let gap = 1e9 / rate.events_per_second();
    Distribution::<f64>::sample_iter(Exp1, random).scan(0.0, move |due, waited| {
        *due += waited * gap;
        Some(rounded(*due))
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "offsets are positive; `as` saturates"
)]
fn rounded(nanoseconds: f64) -> u64 {
    nanoseconds.round() as u64
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, random_stream};
    use crate::units::Rate;
    use rand::RngExt;
    use std::time::Duration;

    const BOTH: [Arrivals; 2] = [Arrivals::Constant, Arrivals::Poisson];

    fn gaps(arrivals: Arrivals, rate: f64, seconds: u64, seed: u64) -> Vec<f64> {
        let rate = Rate::per_second(rate).expect("a rate");
        let due: Vec<u64> =
            arrivals.due_offsets(rate, seed, Duration::from_secs(seconds)).collect();
        due.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect()
    }

    fn mean_and_cv(gaps: &[f64]) -> (f64, f64) {
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        for arrivals in BOTH {
            assert_eq!(gaps(arrivals, 20.0, 60, 7), gaps(arrivals, 20.0, 60, 7));
            let rate = Rate::per_second(20.0).expect("a rate");
            let first = |seed| arrivals.due_offsets(rate, seed, Duration::from_mins(1)).next();
            assert_ne!(first(7), first(8), "{arrivals:?}");
        }
    }

    #[test]
    fn schedules_reach_their_rate_and_dispersion() {
        // 100,000 gaps: the mean of exponential gaps is within 1 % (3 sigma), their coefficient
        // of variation is 1; constant gaps have none.
        for (arrivals, dispersion) in [(Arrivals::Constant, 0.0), (Arrivals::Poisson, 1.0)] {
            let (mean, cv) = mean_and_cv(&gaps(arrivals, 1_000.0, 100, 11));
            assert!((mean * 1_000.0 - 1.0).abs() < 0.01, "{arrivals:?}: mean gap {mean}");
            assert!((cv - dispersion).abs() < 0.02, "{arrivals:?}: dispersion {cv}");
        }
    }

    #[test]
    fn poisson_counts_have_the_variance_of_their_mean() {
        let rate = Rate::per_second(50.0).expect("a rate");
        let mut counts = vec![0_u32; 2_000];
        for offset in Arrivals::Poisson.due_offsets(rate, 3, Duration::from_secs(2_000)) {
            counts[(offset / 1_000_000_000) as usize] += 1;
        }
        let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        let variance = counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum::<f64>()
            / (counts.len() - 1) as f64;
        // The index of dispersion of 2,000 counts has a standard error of sqrt(2/2000) = 0.032.
        assert!((variance / mean - 1.0).abs() < 0.1, "{}", variance / mean);
    }

    #[test]
    fn offsets_stay_inside_the_trial_and_in_order() {
        for arrivals in BOTH {
            let rate = Rate::per_second(500.0).expect("a rate");
            let due: Vec<u64> = arrivals.due_offsets(rate, 5, Duration::from_secs(2)).collect();
            assert!(due.is_sorted());
            assert!(due.last().is_some_and(|last| *last < 2_000_000_000));
        }
    }

    #[test]
    fn constant_arrivals_start_at_a_random_phase() {
        let rate = Rate::per_second(1.0).expect("a rate");
        let phases: Vec<u64> = (0..200)
            .filter_map(|seed| {
                Arrivals::Constant.due_offsets(rate, seed, Duration::from_secs(2)).next()
            })
            .collect();
        let early = phases.iter().filter(|phase| **phase < 500_000_000).count();
        assert!((60..140).contains(&early), "{early} of 200 phases in the first half");
    }

    #[test]
    fn expectations_over_a_gap_are_exact() {
        let rate = Rate::per_second(20.0).expect("a rate");
        let expect = |arrivals: Arrivals, milliseconds, of: fn(u64) -> f64| {
            let gap = Duration::from_millis(milliseconds);
            arrivals.expectation(rate, gap, of).expect("a closed form")
        };
        let none = |events| f64::from(u8::from(events == 0));
        for (milliseconds, mean) in [(5, 0.1_f64), (250, 5.0), (60_000, 1_200.0)] {
            let (poisson, constant) = (Arrivals::Poisson, Arrivals::Constant);
            assert!(
                (expect(poisson, milliseconds, |events| events as f64) / mean - 1.0).abs() < 1e-9
            );
            assert!(
                (expect(constant, milliseconds, |events| events as f64) / mean - 1.0).abs() < 1e-9
            );
            assert!((expect(poisson, milliseconds, none) - (-mean).exp()).abs() < 1e-12);
            assert!((expect(constant, milliseconds, none) - (1.0 - mean).max(0.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn streams_of_one_seed_are_unlike() {
        let mut first = random_stream(1, 0);
        let mut second = random_stream(1, 1);
        let equal = (0..1_000).filter(|_| first.random::<u8>() == second.random::<u8>()).count();
        assert!(equal < 20, "{equal} of 1000 bytes agree; 4 are expected");
    }
}
