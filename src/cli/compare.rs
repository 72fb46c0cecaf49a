//! `pollpush compare`: two runs of the same scenario beside each other.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::analysis::compare::{CompareError, ComparedRun, Gate, GateOutcome, compare};
use crate::cli::citable::refuse;
use crate::cli::conclusion::room;
use crate::cli::outcome::{Outcome, UsageError};
use crate::cli::terminal::Terminal;
use crate::record::run::Run;
use crate::report::two_runs::{comparison_json, comparison_markdown, comparison_table};

/// Compare two runs of a scenario, such as by two versions or on two machines.
///
/// For every strategy and measure: how many times the second run is the first, with an interval, and
/// whether the difference is significant. Runs that measured different things are refused.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The folder of the run that is divided by.
    first: PathBuf,

    /// The folder of the run that is divided.
    second: PathBuf,

    /// Compare although the runs measured different things, or must not be used; the result says so.
    #[arg(long)]
    force: bool,

    /// End with 3 if this happened, such as `webhook: latency.p99 > +10%`; `*` is every strategy
    /// (repeatable). It fails only where the whole interval is beyond the limit.
    #[arg(long, value_name = "CHANGE", allow_hyphen_values = true)]
    fail_on: Vec<String>,

    /// How to write the result to stdout.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

/// The forms of a result about two runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Aligned columns for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// A Markdown table.
    Markdown,
}

impl Compare {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let gates: Vec<Gate> = self
            .fail_on
            .iter()
            .map(|text| text.parse::<Gate>())
            .collect::<Result<_, _>>()
            .map_err(|error| {
                usage(&error, "`--fail-on` names a strategy, a measure and a change")
            })?;
        let mut runs = Vec::new();
        for folder in [&self.first, &self.second] {
            let run = Run::open(folder)?;
            let compared = ComparedRun::of(&run)?;
            if !self.force
                && let Some(outcome) = refuse(&run, compared.complete, &compared.verdict, terminal)
            {
                return Ok(outcome);
            }
            runs.push(compared);
        }
        let comparison = compare(&runs[0], &runs[1], self.force).map_err(|error| match error {
            CompareError::Incomparable(_) => {
                usage(&error, "run the same scenario twice, or compare all the same with `--force`")
            }
            CompareError::NothingInCommon(_) => usage(&error, "choose runs of the same scenario"),
        })?;
        let results = comparison
            .judge(&gates)
            .map_err(|error| usage(&error, "give a strategy as the scenario names it, or `*`"))?;
        terminal.result(&match self.format {
            Form::Table => comparison_table(&comparison, &results, room()),
            Form::Json => comparison_json(&comparison, &results),
            Form::Markdown => comparison_markdown(&comparison, &results),
        })?;
        for result in results.iter().filter(|one| one.outcome == GateOutcome::CannotTell) {
            terminal.warning(
                &format!("cannot tell whether `{}` happened", result.gate),
                "more blocks make the interval narrower; a gate that cannot be told does not fail",
            );
        }
        let failed = results.iter().any(|result| result.outcome == GateOutcome::Failed);
        Ok(if failed { Outcome::Unmet } else { Outcome::Done })
    }
}

fn usage(error: &impl ToString, hint: &str) -> anyhow::Error {
    UsageError { message: error.to_string(), hint: hint.to_owned() }.into()
}
