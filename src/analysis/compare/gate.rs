//! Gates: changes that must not be, such as `webhook: latency.p99 > +10%`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CONFIDENCE, Change, RunComparison};
use crate::analysis::summary::RatioInterval;
use crate::analysis::two_samples::Nulls;
use crate::measure::Measure;

/// Stands for every strategy.
const EVERY: &str = "*";

/// A change from the first run to the second that fails a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// As it was written.
    text: String,
    /// The strategy's name, or `*` for all.
    strategy: String,
    measure: Measure,
    /// Whether more is the failure, or less.
    more: bool,
    /// The ratio beyond which it fails.
    limit: f64,
}

/// Why a gate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// It is not written as one.
    #[error(
        "`{text}` is no change to fail on; write `STRATEGY: MEASURE > +PERCENT%`, such as \
         `webhook: latency.p99 > +10%`"
    )]
    Malformed {
        /// As it was written.
        text: String,
    },
    /// There is no such measure.
    #[error("`{measure}` cannot be compared; what can is {}", .known.join(", "))]
    UnknownMeasure {
        /// As it was written.
        measure: String,
        /// The measures there are.
        known: Vec<&'static str>,
    },
    /// Neither run has such a strategy.
    #[error("there is no strategy `{strategy}` in both runs; there are {}", .known.join(", "))]
    UnknownStrategy {
        /// As it was written.
        strategy: String,
        /// The strategies there are, in backticks.
        known: Vec<String>,
    },
}

/// What became of a gate at one point, for one strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateResult {
    /// The gate, as it was written.
    pub gate: String,
    /// The swept parameters of the point; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// The strategy.
    pub strategy: String,
    /// How many times the second run's measure is the first's; `null` if it was not measured.
    pub ratio: Option<f64>,
    /// Its interval, wider the more is asked at once; `null` with too few blocks.
    pub interval: Option<RatioInterval>,
    /// Whether it holds.
    pub outcome: GateOutcome,
}

/// Whether a gate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateOutcome {
    /// The whole interval is on the right side of the limit.
    Passed,
    /// The whole interval is beyond the limit, and the change beyond the machine's noise.
    Failed,
    /// The interval holds the limit, or there is none, or the change is as small as noise.
    CannotTell,
}

impl std::str::FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Gate, GateError> {
        let malformed = || GateError::Malformed { text: text.to_owned() };
        // A strategy's name may hold anything, what follows it may not.
        let (strategy, statement) = text.rsplit_once(':').ok_or_else(malformed)?;
        let sign = statement.find(['>', '<']).ok_or_else(malformed)?;
        let (measure, change) = (statement[..sign].trim(), &statement[sign + 1..]);
        let percent = change.trim().strip_suffix('%').ok_or_else(malformed)?.trim_end();
        let signed = percent.starts_with(['+', '-']);
        let percent: f64 = percent.parse().map_err(|_| malformed())?;
        let limit = 1.0 + percent / 100.0;
        if !signed || !limit.is_finite() || limit <= 0.0 || strategy.trim().is_empty() {
            return Err(malformed());
        }
        let known = Measure::COMPARED.into_iter().find(|known| known.name() == measure);
        let measure = known.ok_or_else(|| GateError::UnknownMeasure {
            measure: measure.to_owned(),
            known: Measure::COMPARED.map(Measure::name).to_vec(),
        })?;
        Ok(Gate {
            text: text.to_owned(),
            strategy: strategy.trim().to_owned(),
            measure,
            more: statement[sign..].starts_with('>'),
            limit,
        })
    }
}

impl Gate {
    fn is_about(&self, change: &Change) -> bool {
        change.measure == self.measure && self.names(&change.strategy)
    }

    fn names(&self, strategy: &str) -> bool {
        self.strategy == EVERY || self.strategy == strategy
    }
}

impl RunComparison {
    /// Judges gates at every point. The chance that any of them fails although nothing changed is
    /// at most 5 %: intervals are the wider the more of them there are.
    ///
    /// # Errors
    ///
    /// When a gate names a strategy that was not compared.
    pub fn judge(&self, gates: &[Gate]) -> Result<Vec<GateResult>, GateError> {
        let strategies = self.strategies();
        if let Some(gate) =
            gates.iter().find(|gate| !strategies.iter().any(|strategy| gate.names(strategy)))
        {
            return Err(GateError::UnknownStrategy {
                strategy: gate.strategy.clone(),
                known: strategies.into_iter().map(|name| format!("`{name}`")).collect(),
            });
        }
        let asked: Vec<(&Gate, &Change)> = gates
            .iter()
            .flat_map(|gate| {
                let about = self.changes.iter().filter(|change| gate.is_about(change));
                about.map(move |change| (gate, change))
            })
            .collect();
        let confidence = 1.0 - (1.0 - CONFIDENCE) / asked.len().max(1) as f64;
        let mut nulls = Nulls::default();
        let mut results: Vec<GateResult> = asked
            .into_iter()
            .map(|(gate, change)| judged(gate, change, confidence, &mut nulls))
            .collect();
        let missing = gates.iter().filter(|gate| !self.changes.iter().any(|c| gate.is_about(c)));
        results.extend(missing.map(|gate| GateResult {
            gate: gate.text.clone(),
            parameters: BTreeMap::new(),
            strategy: gate.strategy.clone(),
            ratio: None,
            interval: None,
            outcome: GateOutcome::CannotTell,
        }));
        Ok(results)
    }
}

fn judged(gate: &Gate, change: &Change, confidence: f64, nulls: &mut Nulls) -> GateResult {
    let interval = nulls.interval(&change.samples, confidence);
    let larger = change.ratio.max(change.ratio.recip());
    let is_noise = change.noise.is_some_and(|noise| larger <= noise);
    let outcome = interval.map_or(GateOutcome::CannotTell, |(low, high, _)| {
        let (beyond, within) = if gate.more {
            (low > gate.limit, high <= gate.limit)
        } else {
            (high < gate.limit, low >= gate.limit)
        };
        match (beyond, within) {
            (true, _) if !is_noise => GateOutcome::Failed,
            (_, true) => GateOutcome::Passed,
            _ => GateOutcome::CannotTell,
        }
    });
    GateResult {
        gate: gate.text.clone(),
        parameters: change.parameters.clone(),
        strategy: change.strategy.clone(),
        ratio: Some(change.ratio),
        interval: interval.map(|(low, high, confidence)| RatioInterval { low, high, confidence }),
        outcome,
    }
}
