//! When each retry is due.

use std::borrow::Cow;
use std::time::Duration;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the waits of a schedule are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Each wait begins when the attempt before has failed.
    PrecedingFailure,
    /// Each wait begins with the first attempt, so slow failures do not delay what follows.
    FirstAttempt,
}

/// How waits are varied, so that messages that failed together do not all return together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Evenly between `1 − share` and `1 + share` times the wait.
    Proportional(f64),
    /// Evenly between nothing and the wait ("full jitter", Brooker, *Exponential Backoff And
    /// Jitter*, AWS Architecture Blog, 2015).
    Full,
}

impl Jitter {
    /// The shortest and the longest that a wait can become.
    #[must_use]
    pub fn bounds(self, wait: Duration) -> (Duration, Duration) {
        match self {
            Jitter::None => (wait, wait),
            Jitter::Proportional(share) => (wait.mul_f64(1.0 - share), wait.mul_f64(1.0 + share)),
            Jitter::Full => (Duration::ZERO, wait),
        }
    }

    fn vary(self, wait: Duration, random: &mut impl Rng) -> Duration {
        let (shortest, longest) = self.bounds(wait);
        if shortest == longest {
            return wait;
        }
        shortest + longest.saturating_sub(shortest).mul_f64(random.random::<f64>())
    }
}

/// When the retries of a message are due.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The wait before each retry; the first attempt is made at once.
    pub waits: Cow<'static, [Duration]>,
    /// What the waits are counted from.
    pub anchor: Anchor,
    /// How the waits are varied.
    pub jitter: Jitter,
    /// How long the provider waits for an answer, where it says so.
    pub timeout: Option<Duration>,
    /// Whether a 4xx status other than 429 ends the retries.
    pub gives_up_on_4xx: bool,
}

impl Schedule {
    /// Waits as they are given, each from the preceding failure, without jitter.
    #[must_use]
    pub fn of(waits: impl Into<Cow<'static, [Duration]>>) -> Schedule {
        let waits = waits.into();
        Schedule {
            waits,
            anchor: Anchor::PrecedingFailure,
            jitter: Jitter::None,
            timeout: None,
            gives_up_on_4xx: false,
        }
    }

    /// The same with every wait shortened; timeouts stay, because answers do not get quicker.
    #[must_use]
    pub fn scaled(mut self, scale: TimeScale) -> Schedule {
        for wait in self.waits.to_mut() {
            *wait = wait.mul_f64(scale.0);
        }
        self
    }

    /// The most attempts a message gets.
    #[must_use]
    pub fn most_attempts(&self) -> usize {
        1 + self.waits.len()
    }

    /// From the first attempt to the last, without jitter and with failures that take no time.
    ///
    /// An outage that is longer than this loses messages.
    #[must_use]
    pub fn span(&self) -> Duration {
        match self.anchor {
            Anchor::PrecedingFailure => self.waits.iter().sum(),
            Anchor::FirstAttempt => self.waits.last().copied().unwrap_or_default(),
        }
    }

    /// The wait from a failure to the retry with this number, counted from zero; `None` after the
    /// last. `elapsed` is the time from the first attempt to the failure.
    #[must_use]
    pub fn wait(&self, retry: usize, elapsed: Duration, random: &mut impl Rng) -> Option<Duration> {
        let wait = self.jitter.vary(*self.waits.get(retry)?, random);
        Some(match self.anchor {
            Anchor::PrecedingFailure => wait,
            Anchor::FirstAttempt => wait.saturating_sub(elapsed),
        })
    }
}

/// A factor that shortens every wait of a schedule, so that three days fit into a trial.
///
/// Above 0 and at most 1: with `0.001` an hour becomes 3.6 seconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
pub struct TimeScale(#[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))] f64);

/// A factor that cannot shorten anything.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a time scale of `{0}` is not possible; write a number above 0 and at most 1")]
pub struct TimeScaleError(f64);

impl TimeScale {
    /// Waits as they are.
    pub const REAL: TimeScale = TimeScale(1.0);
}

impl Default for TimeScale {
    fn default() -> TimeScale {
        TimeScale::REAL
    }
}

impl TryFrom<f64> for TimeScale {
    type Error = TimeScaleError;

    fn try_from(factor: f64) -> Result<TimeScale, TimeScaleError> {
        if 0.0 < factor && factor <= 1.0 {
            Ok(TimeScale(factor))
        } else {
            Err(TimeScaleError(factor))
        }
    }
}

impl From<TimeScale> for f64 {
    fn from(scale: TimeScale) -> f64 {
        scale.0
    }
}
