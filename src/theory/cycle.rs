//! Renewal: a window is a row of like cycles.

use super::Conditions;
use super::prediction::Count;

/// The moments of one cycle: how long it lasts, in seconds, and how many of something fall
/// into it.
///
/// Cycles that are independent of each other are a renewal process with rewards (Ross,
/// *Introduction to Probability Models*, section 7.4): in a window W the number expected is
/// W·E\[n\]/E\[l\], and its variance W/E\[l\]·Var(n − l·E\[n\]/E\[l\]).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cycle {
    /// E\[l\].
    pub(crate) length: f64,
    /// E\[l²\].
    pub(crate) length_squared: f64,
    /// E\[n\].
    pub(crate) number: f64,
    /// E\[n²\].
    pub(crate) number_squared: f64,
    /// E\[n·l\].
    pub(crate) product: f64,
}

impl Cycle {
    /// Adds the cycles of a given length, of which there is a share.
    pub(crate) fn add(&mut self, share: f64, length: f64, number: f64, number_squared: f64) {
        self.length += share * length;
        self.length_squared += share * length * length;
        self.number += share * number;
        self.number_squared += share * number_squared;
        self.product += share * number * length;
    }

    /// What is expected of a window.
    ///
    /// Subscribers see the same events, so they deviate together. Cycles of Poisson arrivals
    /// deviate independently; evenly spaced events can be locked to the cycles, and then all
    /// cycles deviate together.
    pub(crate) fn count(&self, conditions: &Conditions) -> Count {
        let subscribers = f64::from(conditions.subscribers);
        let cycles = conditions.window.as_secs_f64() / self.length;
        let rate = self.number / self.length;
        let variance =
            self.number_squared - 2.0 * rate * self.product + rate * rate * self.length_squared;
        let together = if conditions.is_constant() { cycles } else { cycles.sqrt() };
        Count::certain(subscribers * cycles * self.number)
            .deviating(subscribers * together * variance.max(0.0).sqrt())
    }
}
