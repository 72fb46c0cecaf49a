//! How an invocation ended, as an exit code.

use std::process::ExitCode;

use crate::cli::terminal::Terminal;
use crate::scenario::ScenarioError;

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked.
    Done,
    /// The run failed.
    Failed,
    /// The arguments or the scenario cannot be used.
    Refused,
    /// What was expected of a strategy, of a comparison or of a reproduction is not certain to hold.
    Unmet,
    /// The verdict is invalid: the numbers must not be used.
    Invalid,
    /// The user stopped it.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Refused => 2,
            Outcome::Unmet => 3,
            Outcome::Invalid => 4,
            Outcome::Interrupted => 130,
        })
    }
}

/// A use of the command line that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UsageError {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do instead.
    pub(crate) hint: String,
}

/// Shows what clap has to say: help and versions on stdout, errors on stderr.
pub(crate) fn of_usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is no reason to fail: whoever reads has read enough.
    let _ = error.print();
    if error.use_stderr() { Outcome::Refused.into() } else { Outcome::Done.into() }
}

/// Shows an error, and says how serious it is.
pub(crate) fn of_error(error: &anyhow::Error, terminal: &mut Terminal) -> ExitCode {
    if let Some(error) = error.downcast_ref::<ScenarioError>() {
        terminal.say(&error.render(true));
        return Outcome::Refused.into();
    }
    let usage = error.downcast_ref::<UsageError>();
    terminal.error(&format!("{error:#}"), usage.map(|usage| usage.hint.as_str()));
    if usage.is_some() { Outcome::Refused.into() } else { Outcome::Failed.into() }
}
