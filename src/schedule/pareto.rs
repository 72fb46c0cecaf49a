//! Bursts at every time scale.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Impossible, long_enough, rounded, within};
use crate::units::{DurationText, duration_text, nanoseconds};

/// Many sources that are each on and off for Pareto distributed spells, and emit Poisson events
/// while they are on: self-similar traffic, with bursts at every time scale.
///
/// Superposed on/off sources with heavy tails of index α approach fractional Gaussian noise of
/// the Hurst parameter H = (3 − α)/2 (Willinger, Taqqu, Sherman and Wilson 1997; Crovella and
/// Bestavros 1997): the index of dispersion of counts grows with the span t as t^(2H − 1), where
/// that of Poisson arrivals is 1. Sample means converge as slowly as T^(H − 1), so blocks differ
/// much more from each other than with other processes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pareto {
    /// Independent sources, a whole number from 1 to 1000.
    #[serde(default = "usual_sources")]
    #[schemars(range(min = 1, max = 1_000))]
    pub sources: u32,
    /// Tail index of the spells, from 1.1 to 1.9; the lower, the longer the longest spells.
    #[serde(default = "usual_alpha")]
    #[schemars(range(min = 1.1, max = 1.9))]
    pub alpha: f64,
    /// Mean length of a source's spells with events, at least "100ms".
    #[serde(default = "usual_on", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub mean_on: Duration,
    /// Mean length of a source's silences, at least "100ms".
    #[serde(default = "usual_off", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub mean_off: Duration,
}

/// A thousand sources that switch more often than this would keep a CPU busy.
const SHORTEST: Duration = Duration::from_millis(100);

fn usual_sources() -> u32 {
    20
}

fn usual_alpha() -> f64 {
    1.4
}

fn usual_on() -> Duration {
    Duration::from_secs(1)
}

fn usual_off() -> Duration {
    Duration::from_secs(9)
}

impl Default for Pareto {
    fn default() -> Pareto {
        Pareto {
            sources: usual_sources(),
            alpha: usual_alpha(),
            mean_on: usual_on(),
            mean_off: usual_off(),
        }
    }
}

impl Pareto {
    pub(super) fn check(self) -> Result<(), Impossible> {
        within("sources", self.sources, 1..=1_000)?;
        within("alpha", self.alpha, 1.1..=1.9)?;
        long_enough("mean-on", self.mean_on, SHORTEST)?;
        long_enough("mean-off", self.mean_off, SHORTEST)
    }

    /// The share of time that a source is on.
    pub(super) fn share_on(self) -> f64 {
        self.mean_on.as_secs_f64() / (self.mean_on + self.mean_off).as_secs_f64()
    }

    pub(super) fn due(
        self,
        gap: f64,
        until: f64,
        random: Pcg64,
    ) -> impl Iterator<Item = u64> + Send + use<> {
        // The gap of one source while it is on.
        let gap = gap * f64::from(self.sources) * self.share_on();
        let mut crowd = Crowd::new(self, random);
        std::iter::from_fn(move || crowd.next_event(gap, until))
    }

    /// The mean of a source's on or off spells, in nanoseconds.
    fn mean(self, on: bool) -> f64 {
        nanoseconds(if on { self.mean_on } else { self.mean_off }) as f64
    }

    /// The shortest spell of a Pareto distribution of that mean.
    fn shortest(self, mean: f64) -> f64 {
        mean * (self.alpha - 1.0) / self.alpha
    }

    /// A whole spell: P(longer than x) = (shortest/x)^α.
    fn spell(self, on: bool, random: &mut Pcg64) -> f64 {
        self.shortest(self.mean(on)) * share(random).powf(-self.alpha.recip())
    }

    /// What is left of a spell that is under way: P(longer than x) is the integral of the
    /// above beyond x over the mean, so that no moment is special (Cox 1962, chapter 5).
    fn rest(self, on: bool, random: &mut Pcg64) -> f64 {
        let (share, mean) = (share(random), self.mean(on));
        if share * self.alpha > 1.0 {
            (1.0 - share) * mean
        } else {
            self.shortest(mean) * (share * self.alpha).powf(-(self.alpha - 1.0).recip())
        }
    }
}

/// A random number above zero, at most one.
fn share(random: &mut Pcg64) -> f64 {
    1.0 - random.random::<f64>()
}

/// The sources, as far as they have come.
struct Crowd {
    pareto: Pareto,
    random: Pcg64,
    now: f64,
    /// Who is on.
    on: Vec<bool>,
    sources_on: u32,
    /// When each source switches next, the earliest on top.
    switches: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Crowd {
    fn new(pareto: Pareto, mut random: Pcg64) -> Crowd {
        let on: Vec<bool> =
            (0..pareto.sources).map(|_| random.random::<f64>() < pareto.share_on()).collect();
        let rest = |(source, on): (usize, &bool)| {
            Reverse((rounded(pareto.rest(*on, &mut random)), source))
        };
        let switches = on.iter().enumerate().map(rest).collect();
        let sources_on = on.iter().map(|on| u32::from(*on)).sum();
        Crowd { pareto, random, now: 0.0, on, sources_on, switches }
    }

    /// The next event before `until`; `gap` is the mean gap of one source that is on.
    fn next_event(&mut self, gap: f64, until: f64) -> Option<u64> {
        while self.now < until {
            let switch = self.switches.peek().map_or(until, |Reverse((at, _))| *at as f64);
            if self.sources_on > 0 {
                // Exponential gaps have no memory, so a switch may draw a new one.
                let waited: f64 = Exp1.sample(&mut self.random);
                let due = self.now + waited * gap / f64::from(self.sources_on);
                if due < switch {
                    self.now = due;
                    return Some(rounded(due));
                }
            }
            self.now = switch;
            self.switch();
        }
        None
    }

    /// Lets the source whose turn it is change its state.
    fn switch(&mut self) {
        let Some(Reverse((at, source))) = self.switches.pop() else { return };
        let on = !self.on[source];
        self.on[source] = on;
        self.sources_on = if on { self.sources_on + 1 } else { self.sources_on - 1 };
        let lasts = rounded(self.pareto.spell(on, &mut self.random));
        self.switches.push(Reverse((at.saturating_add(lasts), source)));
    }
}
