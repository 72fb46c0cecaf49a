//! How many events fall into a gap: what closed forms need to know of an arrival process.

use std::time::Duration;

use super::{Arrivals, rounded};
use crate::units::Rate;

impl Arrivals {
    /// Whether events are independent of each other, so that each is a sample of its own.
    #[must_use]
    pub fn is_poisson(&self) -> bool {
        *self == Arrivals::Poisson
    }

    /// Whether the numbers of events in gaps that do not overlap are independent.
    #[must_use]
    pub fn has_independent_gaps(&self) -> bool {
        matches!(self, Arrivals::Poisson | Arrivals::Batch(_))
    }

    /// Among so many events, the moments that are independent of each other; `None` where what
    /// came before says something of what comes next.
    #[must_use]
    pub fn independent_moments(&self, events: f64) -> Option<f64> {
        match self {
            Arrivals::Poisson => Some(events),
            Arrivals::Batch(batch) => Some(events / f64::from(batch.batch_size)),
            _ => None,
        }
    }

    /// The expected value of a function of the number of events in a gap, for gaps that are
    /// independent of the events; `None` where there is no closed form.
    ///
    /// Poisson: the number is Poisson distributed with mean λG. Batches of b: b times a Poisson
    /// distributed number of mean λG/b. Constant: over a random phase it is ⌊λG⌋ or one more, so
    /// as to have the mean λG.
    #[must_use]
    pub fn expectation(&self, rate: Rate, gap: Duration, of: impl Fn(u64) -> f64) -> Option<f64> {
        let mean = rate.events_in(gap);
        match self {
            Arrivals::Constant => {
                let (few, more) = (mean.floor(), mean.fract());
                Some((1.0 - more) * of(rounded(few)) + more * of(rounded(few + 1.0)))
            }
            Arrivals::Poisson => Some(poisson_expectation(mean, of)),
            Arrivals::Batch(batch) => {
                let size = u64::from(batch.batch_size);
                let batches = mean / f64::from(batch.batch_size);
                Some(poisson_expectation(batches, |number| of(number * size)))
            }
            Arrivals::OnOff(_)
            | Arrivals::Diurnal(_)
            | Arrivals::Pareto(_)
            | Arrivals::Lognormal(_)
            | Arrivals::Trace(_) => None,
        }
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

#[cfg(test)]
mod tests {
    use crate::schedule::{Arrivals, Batch};
    use crate::units::Rate;
    use std::time::Duration;

    #[test]
    fn expectations_over_a_gap_are_exact() {
        let rate = Rate::per_second(20.0).expect("a rate");
        let expect = |arrivals: &Arrivals, milliseconds, of: fn(u64) -> f64| {
            arrivals
                .expectation(rate, Duration::from_millis(milliseconds), of)
                .expect("a closed form")
        };
        let none = |events| f64::from(u8::from(events == 0));
        for (milliseconds, mean) in [(5, 0.1_f64), (250, 5.0), (60_000, 1_200.0)] {
            let (poisson, constant) = (&Arrivals::Poisson, &Arrivals::Constant);
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
    fn batches_are_a_compound_poisson_process() {
        let rate = Rate::per_second(20.0).expect("a rate");
        let batch = Arrivals::Batch(Batch { batch_size: 10 });
        // Five events a gap in batches of ten: half a batch.
        let expect = |of: fn(u64) -> f64| {
            batch.expectation(rate, Duration::from_millis(250), of).expect("a closed form")
        };
        assert!((expect(|events| events as f64) - 5.0).abs() < 1e-9);
        assert!(
            (expect(|events| f64::from(u8::from(events == 0))) - (-0.5_f64).exp()).abs() < 1e-12
        );
        let square = expect(|events| (events as f64).powi(2));
        assert!((square - 25.0 - 5.0 * 10.0).abs() < 1e-9, "{square}");
    }

    #[test]
    fn what_has_no_closed_form_claims_none() {
        let rate = Rate::per_second(20.0).expect("a rate");
        for name in ["on-off", "diurnal", "pareto", "lognormal"] {
            let arrivals = Arrivals::named(name).expect("a process");
            assert_eq!(arrivals.expectation(rate, Duration::from_secs(1), |_| 1.0), None, "{name}");
        }
    }
}
