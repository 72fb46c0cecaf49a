//! Whether a run may be cited, reproduced or compared: it must have ended, and be sound.

use crate::analysis::summary::{CheckStatus, Verdict, VerdictStatus};
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::record::manifest::RunStatus;
use crate::record::run::Run;

/// Says why a run must not be used, and how the program then ends; `None` if it may.
///
/// `complete` and `verdict` are those of the run as it was analysed now, whatever its folder says.
/// An incomplete run ends with [`Outcome::Failed`], an invalid one with [`Outcome::Invalid`].
pub(crate) fn refuse(
    run: &Run,
    complete: bool,
    verdict: &Verdict,
    terminal: &mut Terminal,
) -> Option<Outcome> {
    let place = run.path().display();
    if run.manifest.status != RunStatus::Complete || !complete {
        let how = match run.manifest.status {
            RunStatus::Running => "it was killed, or is being measured",
            RunStatus::Interrupted => "it was interrupted",
            RunStatus::Complete => "some of its trials did not run to their end",
        };
        let hint = "run the scenario again, to its end";
        terminal.error(&format!("`{place}` is incomplete: {how}; it has no result"), Some(hint));
        return Some(Outcome::Failed);
    }
    if verdict.status != VerdictStatus::Invalid {
        return None;
    }
    let failed = verdict.checks.iter().filter(|check| check.status == CheckStatus::Fail);
    let said: Vec<String> =
        failed.map(|check| format!("{} {}: {}", check.code, check.id, check.message)).collect();
    terminal.error(
        &format!("`{place}` is invalid, and its numbers must not be used: {}", said.join("; ")),
        Some("`pollpush report` on the folder shows every check; mend the cause and run it again"),
    );
    Some(Outcome::Invalid)
}
