//! Busy spells and silences.

use std::time::Duration;

use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Impossible, long_enough, rounded};
use crate::units::{DurationText, duration_text, nanoseconds};

/// Poisson arrivals that are switched on and off; the spells are exponential, and all events
/// fall into the on spells, at the rate λ·(on + off)/on.
///
/// A Markov-modulated Poisson process of two states, also called an interrupted Poisson process
/// (Kuczura 1973; Fischer and Meier-Hellstern 1993, "The Markov-modulated Poisson process (MMPP)
/// cookbook"). Counts over long spans have the index of dispersion 1 + 2·p·s/(s + r)², where p is
/// the rate when on, s = 1/on and r = 1/off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OnOff {
    /// Mean length of the spells with events, at least "1ms".
    #[serde(default = "usual_on", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub mean_on: Duration,
    /// Mean length of the silences between them, at least "1ms".
    #[serde(default = "usual_off", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub mean_off: Duration,
}

/// Spells shorter than this would cost more to switch than to fill.
const SHORTEST: Duration = Duration::from_millis(1);

fn usual_on() -> Duration {
    Duration::from_secs(1)
}

fn usual_off() -> Duration {
    Duration::from_secs(9)
}

impl Default for OnOff {
    fn default() -> OnOff {
        OnOff { mean_on: usual_on(), mean_off: usual_off() }
    }
}

impl OnOff {
    pub(super) fn check(self) -> Result<(), Impossible> {
        long_enough("mean-on", self.mean_on, SHORTEST)?;
        long_enough("mean-off", self.mean_off, SHORTEST)
    }

    /// The share of time that is on.
    pub(super) fn share_on(self) -> f64 {
        self.mean_on.as_secs_f64() / (self.mean_on + self.mean_off).as_secs_f64()
    }

    pub(super) fn due(
        self,
        gap: f64,
        until: f64,
        mut random: Pcg64,
    ) -> impl Iterator<Item = u64> + Send + use<> {
        let (mean_on, mean_off) =
            (nanoseconds(self.mean_on) as f64, nanoseconds(self.mean_off) as f64);
        let gap = gap * self.share_on();
        let wait = |random: &mut Pcg64, mean: f64| {
            let waited: f64 = Exp1.sample(random);
            waited * mean
        };
        // Exponential spells have no memory: one that is under way lasts as long as a new one.
        let mut on = random.random::<f64>() < self.share_on();
        let mut now = 0.0;
        let mut switch = wait(&mut random, if on { mean_on } else { mean_off });
        std::iter::from_fn(move || {
            while now < until {
                if on {
                    let due = now + wait(&mut random, gap);
                    if due < switch {
                        now = due;
                        return Some(rounded(due));
                    }
                }
                now = switch;
                on = !on;
                switch = now + wait(&mut random, if on { mean_on } else { mean_off });
            }
            None
        })
    }
}
