//! `pollpush reproduce`: run the scenario of a run again, and say what came out again.

use std::path::PathBuf;

use clap::Args;

use crate::analysis::compare::{ComparedRun, Receipt, ReceiptOutcome, Tolerance, compare};
use crate::cli::citable::refuse;
use crate::cli::compare::Form;
use crate::cli::conclusion::{derive, room};
use crate::cli::expected::ExpectOptions;
use crate::cli::interrupt::Interrupt;
use crate::cli::outcome::Outcome;
use crate::cli::run::{Recorded, record};
use crate::cli::terminal::Terminal;
use crate::plan::expand;
use crate::record::folder::SCENARIO_FILE;
use crate::record::manifest::RunStatus;
use crate::record::run::Run;
use crate::report::two_runs::{receipt_json, receipt_markdown, receipt_table};
use crate::scenario::{Override, load};

/// Run a run's scenario again and print a receipt of what came out again.
///
/// Scenario, changes and seed are those in the run's folder. A headline is within the tolerance if the whole interval of its ratio is. It ends with 0 if no
/// headline is outside and at least one within, with 3 if one is outside, with 1 if every one is
/// too noisy to tell, and with 4 if either run is invalid.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// The run's folder.
    run: PathBuf,

    /// How far a headline may be from the original.
    #[arg(long, value_name = "PERCENT", default_value_t)]
    tolerance: Tolerance,

    /// Where the new run's folder is made.
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,

    /// How to write the receipt to stdout.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

impl Reproduce {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let interrupt = Interrupt::listen()?;
        let original = Run::open(&self.run)?;
        let first = ComparedRun::of(&original)?;
        if let Some(outcome) = refuse(&original, first.complete, &first.verdict, terminal) {
            return Ok(outcome);
        }
        let overrides = original.manifest.overrides.iter();
        let overrides: Vec<Override> =
            overrides.map(|text| Override { origin: "--set", text: text.clone() }).collect();
        let plan = expand(&load(&self.run.join(SCENARIO_FILE), &overrides)?);
        let Recorded { path, status, .. } = record(plan, &self.out, &interrupt, terminal)?;
        derive(&path, &ExpectOptions::default(), terminal)?;
        if status == RunStatus::Interrupted {
            return Ok(Outcome::Interrupted);
        }
        let again = Run::open(&path)?;
        let second = ComparedRun::of(&again)?;
        if let Some(outcome) = refuse(&again, second.complete, &second.verdict, terminal) {
            return Ok(outcome);
        }
        // Another version may give the scenario other defaults, which the receipt then tells.
        let receipt = Receipt::of(compare(&first, &second, true)?, self.tolerance);
        terminal.result(&match self.format {
            Form::Table => receipt_table(&receipt, room()),
            Form::Json => receipt_json(&receipt),
            Form::Markdown => receipt_markdown(&receipt),
        })?;
        terminal.note(&format!("new run   {}", path.display()));
        Ok(match receipt.outcome {
            ReceiptOutcome::Reproduced => Outcome::Done,
            ReceiptOutcome::NotReproduced => Outcome::Unmet,
            ReceiptOutcome::CannotTell => Outcome::Failed,
        })
    }
}
