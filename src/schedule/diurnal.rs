//! Days and nights.

use std::f64::consts::TAU;
use std::time::Duration;

use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Impossible, long_enough, rounded, within};
use crate::units::{DurationText, duration_text, nanoseconds};

/// A Poisson process whose rate follows the time of day: λ(t) = λ·(1 + A·sin 2π(t/day + φ)).
///
/// A non-homogeneous Poisson process, made by thinning one of the rate λ·(1 + A) (Lewis and
/// Shedler 1979). The time of day φ at which a trial begins is random, from the seed, so that
/// the mean rate is λ in a window of any length. Counts over whole days are those of a Poisson
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Diurnal {
    /// How far the rate swings, as a share of its mean: 0 is no swing, 1 a silent night.
    #[serde(default = "usual_amplitude")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub amplitude: f64,
    /// Length of a day, at least "10ms"; a short one, such as "10min", fits into a window.
    #[serde(default = "usual_day", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub day: Duration,
}

fn usual_amplitude() -> f64 {
    0.5
}

/// A day compressed to what a measurement lasts.
fn usual_day() -> Duration {
    Duration::from_mins(10)
}

impl Default for Diurnal {
    fn default() -> Diurnal {
        Diurnal { amplitude: usual_amplitude(), day: usual_day() }
    }
}

impl Diurnal {
    pub(super) fn check(self) -> Result<(), Impossible> {
        within("amplitude", self.amplitude, 0.0..=1.0)?;
        long_enough("day", self.day, Duration::from_millis(10))
    }

    pub(super) fn due(
        self,
        gap: f64,
        mut random: Pcg64,
    ) -> impl Iterator<Item = u64> + Send + use<> {
        let Diurnal { amplitude, day } = self;
        let day = nanoseconds(day) as f64;
        let peak = 1.0 + amplitude;
        let phase: f64 = random.random();
        let mut now = 0.0;
        std::iter::from_fn(move || {
            loop {
                let waited: f64 = Exp1.sample(&mut random);
                now += waited * gap / peak;
                let rate = 1.0 + amplitude * (TAU * (now / day + phase)).sin();
                if random.random::<f64>() * peak < rate {
                    return Some(rounded(now));
                }
            }
        })
    }
}
