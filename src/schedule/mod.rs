//! When events are due: a pure function of arrival process, rate and seed.
//!
//! Every strategy of a block replays the same schedule, and a schedule can be computed
//! again years later from the three values in the record, and from the trace beside it if it
//! replays one. Each file holds one process, or a family of them, with its formula and source.

mod batch;
mod diurnal;
mod gap;
mod on_off;
mod pareto;
mod renewal;
#[cfg(test)]
mod statistics;
mod trace;

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::units::{Rate, format_duration, nanoseconds};

pub use crate::schedule::batch::Batch;
pub use crate::schedule::diurnal::Diurnal;
pub use crate::schedule::on_off::OnOff;
pub use crate::schedule::pareto::Pareto;
pub use crate::schedule::renewal::Lognormal;
pub use crate::schedule::trace::{LARGEST_TRACE, Replay, Trace, TraceError};

/// How events are spaced.
///
/// The mean rate of each is the rate it is given, but for a trace, which has its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Several events at once.
    Batch(Batch),
    /// Busy spells and silences.
    OnOff(OnOff),
    /// Days and nights.
    Diurnal(Diurnal),
    /// Bursts at every time scale.
    Pareto(Pareto),
    /// Independent gaps of any coefficient of variation.
    Lognormal(Lognormal),
    /// Recorded moments.
    Trace(Replay),
}

/// A parameter that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// Its key in the scenario.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// Refuses a parameter outside a range; what is no number is outside every range.
fn within<T: PartialOrd + Display + Copy>(
    key: &'static str,
    value: T,
    possible: RangeInclusive<T>,
) -> Result<(), Impossible> {
    if possible.contains(&value) {
        return Ok(());
    }
    let message = format!("{key} = {value} is not possible");
    let remedy = format!("write a number from {} to {}", possible.start(), possible.end());
    Err(Impossible { key, message, remedy })
}

/// Refuses a span that is too short.
fn long_enough(key: &'static str, span: Duration, least: Duration) -> Result<(), Impossible> {
    if span >= least {
        return Ok(());
    }
    let message = format!("{key} = {} is not possible", format_duration(span));
    let remedy = format!("write at least {}", format_duration(least));
    Err(Impossible { key, message, remedy })
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

impl Display for Arrivals {
    /// The name, and the parameters as a scenario writes them: `batch, batch-size=10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Arrivals::Trace(Replay { file, time_scale, events, .. }) = self {
            return write!(f, "trace, file={file}, time-scale={time_scale}, {events} events");
        }
        match serde_json::to_value(self) {
            // Without parameters a process is its name.
            Ok(Value::String(name)) => f.write_str(&name),
            Ok(Value::Object(tagged)) => tagged.iter().try_for_each(|(name, parameters)| {
                f.write_str(name)?;
                parameters.as_object().into_iter().flatten().try_for_each(
                    |(key, value)| match value {
                        Value::String(text) => write!(f, ", {key}={text}"),
                        other => write!(f, ", {key}={other}"),
                    },
                )
            }),
            _ => Err(fmt::Error),
        }
    }
}

impl Arrivals {
    /// The names of the processes that need nothing but a rate.
    pub const NAMES: [&str; 7] =
        ["constant", "poisson", "batch", "on-off", "diurnal", "pareto", "lognormal"];

    /// The process of that name with the usual parameters; none for a trace, which needs a file.
    #[must_use]
    pub fn named(name: &str) -> Option<Arrivals> {
        Some(match name {
            "constant" => Arrivals::Constant,
            "poisson" => Arrivals::Poisson,
            "batch" => Arrivals::Batch(Batch::default()),
            "on-off" => Arrivals::OnOff(OnOff::default()),
            "diurnal" => Arrivals::Diurnal(Diurnal::default()),
            "pareto" => Arrivals::Pareto(Pareto::default()),
            "lognormal" => Arrivals::Lognormal(Lognormal::default()),
            _ => return None,
        })
    }

    /// Refuses parameters that cannot be, at this rate.
    ///
    /// # Errors
    ///
    /// Names the first such parameter.
    pub fn check(&self, rate: Rate) -> Result<(), Impossible> {
        match self {
            Arrivals::Constant | Arrivals::Poisson => {}
            Arrivals::Batch(batch) => batch.check()?,
            Arrivals::OnOff(on_off) => on_off.check()?,
            Arrivals::Diurnal(diurnal) => diurnal.check()?,
            Arrivals::Pareto(pareto) => pareto.check()?,
            Arrivals::Lognormal(lognormal) => lognormal.check()?,
            Arrivals::Trace(replay) => replay.check()?,
        }
        let peak = self.peak(rate);
        if peak <= Rate::MAX_PER_SECOND {
            return Ok(());
        }
        Err(Impossible {
            key: "rate",
            message: format!("a mean rate of {rate} is {peak:.0}/s when these arrivals are busy"),
            remedy: format!("lower it until they have at most {}/s", Rate::MAX_PER_SECOND),
        })
    }

    /// The mean number of events per second at the busiest time.
    #[must_use]
    pub fn peak(&self, rate: Rate) -> f64 {
        let rate = rate.events_per_second();
        match self {
            Arrivals::OnOff(on_off) => rate / on_off.share_on(),
            Arrivals::Pareto(pareto) => rate / pareto.share_on(),
            Arrivals::Diurnal(diurnal) => rate * (1.0 + diurnal.amplitude),
            Arrivals::Constant
            | Arrivals::Poisson
            | Arrivals::Batch(_)
            | Arrivals::Lognormal(_)
            | Arrivals::Trace(_) => rate,
        }
    }

    /// The moments at which events are due between zero and `until`; a replay needs its trace.
    ///
    /// # Errors
    ///
    /// When a replay comes without a trace.
    pub fn due_offsets(
        &self,
        rate: Rate,
        seed: u64,
        until: Duration,
        trace: Option<&Trace>,
    ) -> Result<DueOffsets, TraceError> {
        let random = random_stream(seed, 0);
        let until = nanoseconds(until);
        let gap = 1e9 / rate.events_per_second();
        let due: DueOffsets = match self {
            Arrivals::Constant => Box::new(renewal::constant(gap, random)),
            Arrivals::Poisson => Box::new(renewal::poisson(gap, random)),
            Arrivals::Batch(batch) => Box::new(batch.due(gap, random)),
            Arrivals::OnOff(on_off) => Box::new(on_off.due(gap, until as f64, random)),
            Arrivals::Diurnal(diurnal) => Box::new(diurnal.due(gap, random)),
            Arrivals::Pareto(pareto) => Box::new(pareto.due(gap, until as f64, random)),
            Arrivals::Lognormal(lognormal) => Box::new(lognormal.due(gap, random)),
            Arrivals::Trace(replay) => {
                let absent = || TraceError::Absent(replay.file.clone());
                Box::new(replay.due(trace.ok_or_else(absent)?))
            }
        };
        Ok(Box::new(due.take_while(move |offset| *offset < until)))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "offsets are positive; `as` saturates"
)]
fn rounded(nanoseconds: f64) -> u64 {
    nanoseconds.round() as u64
}
