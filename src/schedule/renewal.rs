//! Renewal processes: gaps that know nothing of each other (Cox 1962, "Renewal Theory").

use rand::RngExt;
use rand_distr::{Distribution, Exp1, LogNormal};
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Impossible, rounded, within};

/// One event every `gap`, at a random phase.
pub(super) fn constant(gap: f64, mut random: Pcg64) -> impl Iterator<Item = u64> + Send {
    let phase = random.random::<f64>() * gap;
    // Multiplying, not adding: the millionth event must not carry a million roundings.
    (0_u64..).map(move |event| rounded(phase + event as f64 * gap))
}

/// Independent exponential gaps of mean `gap`.
pub(super) fn poisson(gap: f64, random: Pcg64) -> impl Iterator<Item = u64> + Send {
    Distribution::<f64>::sample_iter(Exp1, random).scan(0.0, move |due, waited| {
        *due += waited * gap;
        Some(rounded(*due))
    })
}

/// Gaps of a lognormal distribution: mostly short ones, and now and then a very long one.
///
/// With the coefficient of variation c the logarithm of a gap is normal with the variance
/// s² = ln(1 + c²) and the mean ln(1/rate) − s²/2, so that the mean gap is 1/rate. Counts over
/// long spans have the index of dispersion c².
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lognormal {
    /// Coefficient of variation of the gaps: their standard deviation over their mean, from 0.1
    /// to 10. Poisson arrivals have 1; more is burstier.
    #[serde(default = "usual_variation")]
    #[schemars(range(min = 0.1, max = 10.0))]
    pub variation: f64,
}

fn usual_variation() -> f64 {
    3.0
}

impl Default for Lognormal {
    fn default() -> Lognormal {
        Lognormal { variation: usual_variation() }
    }
}

impl Lognormal {
    pub(super) fn check(self) -> Result<(), Impossible> {
        within("variation", self.variation, 0.1..=10.0)
    }

    /// The standard deviation of the logarithm of a gap.
    fn spread(self) -> f64 {
        self.variation.powi(2).ln_1p().sqrt()
    }

    pub(super) fn due(
        self,
        gap: f64,
        mut random: Pcg64,
    ) -> impl Iterator<Item = u64> + Send + use<> {
        let spread = self.spread();
        let centre = gap.ln() - spread.powi(2) / 2.0;
        let gaps = LogNormal::new(centre, spread).expect("a checked variation is finite");
        // The trial begins somewhere in a gap, rather in a long one: a gap that covers a moment
        // is length-biased, which for a lognormal is a lognormal of centre + spread².
        let covering = LogNormal::new(centre + spread.powi(2), spread).expect("as above");
        let mut due = random.random::<f64>() * covering.sample(&mut random);
        std::iter::from_fn(move || {
            let now = due;
            due += gaps.sample(&mut random);
            Some(rounded(now))
        })
    }
}
