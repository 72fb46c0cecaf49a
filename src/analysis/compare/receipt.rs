//! The receipt of a reproduction: which headlines came out again.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Change, RunComparison, RunLabel};
use crate::analysis::summary::RatioInterval;
use crate::measure::Measure;

/// The version of [`Receipt`].
pub const RECEIPT_SCHEMA: &str = "pollpush/receipt/1";

/// What a result is cited for.
const HEADLINES: [Measure; 5] = [
    Measure::LatencyP50,
    Measure::LatencyP99,
    Measure::RequestsPerEvent,
    Measure::BytesPerEvent,
    Measure::CpuPerEvent,
];

/// How far a headline may be from the original, as a share of it: `20%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(f64);

impl Default for Tolerance {
    /// A fifth.
    fn default() -> Tolerance {
        Tolerance(0.2)
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Tolerance, String> {
        let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
        let known = percent.filter(|percent| *percent > 0.0 && *percent <= 1_000.0);
        known
            .map(|percent| Tolerance(percent / 100.0))
            .ok_or_else(|| "write a percentage above zero, such as `20%`".to_owned())
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}

/// What came of running a scenario again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Receipt {
    /// Always `pollpush/receipt/1`.
    pub schema: &'static str,
    /// The run that was to be reproduced.
    pub original: RunLabel,
    /// The run that was made for it.
    pub again: RunLabel,
    /// How far a headline may be from the original, as a share of it: between the original
    /// divided by, and times, one more than this.
    pub tolerance: f64,
    /// What the program made of the scenario that it did not make of it then: another version may
    /// have other defaults.
    pub incomparable: Vec<String>,
    /// What else differs: machine, version, blocks.
    pub differences: Vec<String>,
    /// Every headline of every strategy at every point.
    pub headlines: Vec<Headline>,
    /// What may be said of all of them.
    pub outcome: ReceiptOutcome,
}

/// One figure of a strategy, then and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Headline {
    /// The swept parameters of the point; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// The strategy.
    pub strategy: String,
    /// The figure.
    pub measure: Measure,
    /// The median over the blocks of the original. Times are nanoseconds.
    pub original: f64,
    /// The median over the blocks of the new run.
    pub again: f64,
    /// How many times the new one is the original; see [`Change::ratio`].
    pub ratio: f64,
    /// An interval of it of at least 95 %; `null` with too few blocks.
    pub interval: Option<RatioInterval>,
    /// How many times one of two identical strategies came to be the other on one of the machines;
    /// `null` if that is not known.
    pub noise: Option<f64>,
    /// What may be said.
    pub outcome: HeadlineOutcome,
}

/// Whether a headline came out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadlineOutcome {
    /// The whole interval is within the tolerance.
    Within,
    /// The whole interval is outside the tolerance, and outside the machine's noise.
    Outside,
    /// The interval crosses an edge of the tolerance, the difference is as small as the machine's
    /// noise, or there are too few blocks for an interval: it cannot be told.
    Noisy,
}

/// What may be said of all headlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptOutcome {
    /// Every headline that could be judged is within the tolerance.
    Reproduced,
    /// At least one headline is outside the tolerance.
    NotReproduced,
    /// Every headline is noisy.
    CannotTell,
}

impl Receipt {
    /// Judges a comparison of an original, the first run, with a new one, the second.
    #[must_use]
    pub fn of(comparison: RunComparison, tolerance: Tolerance) -> Receipt {
        let is_headline = |change: &&Change| HEADLINES.contains(&change.measure);
        let headlines: Vec<Headline> = comparison
            .changes
            .iter()
            .filter(is_headline)
            .map(|change| headline(change, tolerance))
            .collect();
        let any = |outcome| headlines.iter().any(|headline| headline.outcome == outcome);
        let outcome = if any(HeadlineOutcome::Outside) {
            ReceiptOutcome::NotReproduced
        } else if any(HeadlineOutcome::Within) {
            ReceiptOutcome::Reproduced
        } else {
            ReceiptOutcome::CannotTell
        };
        Receipt {
            schema: RECEIPT_SCHEMA,
            original: comparison.first,
            again: comparison.second,
            tolerance: tolerance.0,
            incomparable: comparison.incomparable,
            differences: comparison.differences,
            headlines,
            outcome,
        }
    }
}

fn headline(change: &Change, tolerance: Tolerance) -> Headline {
    let edge = 1.0 + tolerance.0;
    let farther = edge.max(change.noise.unwrap_or(1.0));
    let outcome = match change.interval {
        Some(interval) if interval.low >= edge.recip() && interval.high <= edge => {
            HeadlineOutcome::Within
        }
        Some(interval) if interval.low > farther || interval.high < farther.recip() => {
            HeadlineOutcome::Outside
        }
        _ => HeadlineOutcome::Noisy,
    };
    Headline {
        parameters: change.parameters.clone(),
        strategy: change.strategy.clone(),
        measure: change.measure,
        original: change.medians[0],
        again: change.medians[1],
        ratio: change.ratio,
        interval: change.interval,
        noise: change.noise,
        outcome,
    }
}
