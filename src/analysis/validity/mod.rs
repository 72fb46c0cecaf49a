//! May the numbers be used? Every check looks at the whole run and says what it found.
//!
//! One more check is one function and one line in [`CHECKS`]. A check that fails makes the run
//! invalid, one that warns leaves it with caveats. A threshold is stated where it is judged,
//! with its reason.

mod deliveries;
mod machine;
mod schedule;

use super::evidence::{Block, Evidence, PointEvidence, StrategyEvidence};
use super::summary::{Check, CheckStatus, Verdict, VerdictStatus};

/// A check: what it found in a run.
type CheckFn = fn(&Evidence) -> Finding;

/// Every check with its stable name, in the order of the summary.
const CHECKS: &[(&str, CheckFn)] = &[
    ("sealed", deliveries::sealed),
    ("complete", deliveries::complete),
    ("schedule-kept", schedule::schedule_kept),
    ("rate-achieved", schedule::rate_achieved),
    ("phase-lock", schedule::phase_lock),
    ("time-order", schedule::time_order),
    ("ledger", deliveries::ledger),
    ("caught-up", deliveries::caught_up),
    ("refused", deliveries::refused),
    ("credentials", deliveries::credentials),
    ("recorder", deliveries::recorder),
    ("enough-samples", deliveries::enough_samples),
    ("counts-agree", machine::counts_agree),
    ("cpu-agrees", machine::cpu_agrees),
    ("cpu-starved", machine::cpu_starved),
    ("theory", deliveries::theory),
];

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    status: CheckStatus,
    message: String,
    /// The figure that was judged and what it was judged against.
    judged: Option<(f64, f64)>,
}

impl Finding {
    fn new(status: CheckStatus, message: impl Into<String>) -> Finding {
        Finding { status, message: message.into(), judged: None }
    }

    fn pass(message: impl Into<String>) -> Finding {
        Finding::new(CheckStatus::Pass, message)
    }

    /// The same finding with its figure and limit.
    fn judging(self, value: f64, limit: f64) -> Finding {
        Finding { judged: Some((value, limit)), ..self }
    }
}

/// Runs every check.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let checks: Vec<Check> = CHECKS
        .iter()
        .map(|(id, check)| {
            let Finding { status, message, judged } = check(evidence);
            let (value, limit) = judged.unzip();
            Check { id: (*id).to_owned(), status, message, value, limit }
        })
        .collect();
    let status = match checks.iter().map(|check| check.status).max() {
        Some(CheckStatus::Fail) => VerdictStatus::Invalid,
        Some(CheckStatus::Warn) => VerdictStatus::Caveats,
        Some(CheckStatus::Pass | CheckStatus::Info) | None => VerdictStatus::Valid,
    };
    Verdict { status, checks }
}

/// The worst finding, the first of equals, saying how many more there are; `fine` if all pass.
fn worst(findings: impl IntoIterator<Item = Finding>, fine: &str) -> Finding {
    let findings: Vec<Finding> = findings.into_iter().collect();
    let excess = |finding: &Finding| finding.judged.map_or(0.0, |(value, limit)| value - limit);
    let worst = findings.iter().reduce(|worst, next| {
        let order = next.status.cmp(&worst.status);
        if order.then(excess(next).total_cmp(&excess(worst))).is_gt() { next } else { worst }
    });
    let Some(worst) = worst else { return Finding::pass(fine) };
    if worst.status == CheckStatus::Pass {
        return Finding { message: fine.to_owned(), ..worst.clone() };
    }
    let alike = findings.iter().filter(|finding| finding.status == worst.status).count();
    let more = match alike - 1 {
        0 => String::new(),
        more => format!(" (and {more} more like this)"),
    };
    Finding { message: format!("{}{more}", worst.message), ..worst.clone() }
}

/// Every strategy at every point.
fn strategies(evidence: &Evidence) -> impl Iterator<Item = (&PointEvidence, &StrategyEvidence)> {
    evidence
        .points
        .iter()
        .flat_map(|point| point.strategies.iter().map(move |strategy| (point, strategy)))
}

/// Every measured trial, with words for where it is.
fn blocks(evidence: &Evidence) -> impl Iterator<Item = (String, &StrategyEvidence, &Block)> {
    strategies(evidence).flat_map(|(point, strategy)| {
        strategy.blocks.iter().map(move |block| {
            let place = format!("{}, block {}", place(point, strategy), block.number + 1);
            (place, strategy, block)
        })
    })
}

/// The strategy in words, with its point if there are several.
fn place(point: &PointEvidence, strategy: &StrategyEvidence) -> String {
    let parameters: Vec<String> =
        point.parameters.iter().map(|(path, value)| format!("{path} = {value}")).collect();
    if parameters.is_empty() {
        return format!("`{}`", strategy.summary.name);
    }
    format!("`{}` at {}", strategy.summary.name, parameters.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, CheckStatus, Finding, judge, worst};
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::summary::VerdictStatus;
    use crate::promise::Promise;

    #[test]
    fn every_check_passes_or_informs_on_a_sound_run() {
        let verdict = judge(&evidence());
        for check in &verdict.checks {
            assert!(check.status <= CheckStatus::Info, "{check:?}");
        }
        assert_eq!(verdict.status, VerdictStatus::Valid);
        assert_eq!(verdict.checks.len(), CHECKS.len());
    }

    #[test]
    fn the_verdict_is_that_of_the_worst_check() {
        let mut evidence = evidence();
        evidence.points[0].strategies[0].blocks[0].measured.source.whole.useful += 1;
        assert_eq!(judge(&evidence).status, VerdictStatus::Caveats);
        evidence.points[0].strategies[0].blocks[0].backwards = 1;
        assert_eq!(judge(&evidence).status, VerdictStatus::Invalid);
    }

    /// Also of a strategy that may lose events by design: refusing is no design.
    #[test]
    fn a_run_whose_webhooks_were_all_refused_is_invalid_and_says_so() {
        let mut evidence = evidence();
        let strategy = &mut evidence.points[0].strategies[1];
        strategy.promise = Promise { complete: false, ..Promise::COMPLETE };
        let block = &mut strategy.blocks[0];
        let owed = block.measured.events.emitted;
        (block.measured.events.delivered, block.measured.events.lost) = (0, owed);
        block.recount = Some(block.measured.events);
        block.measured.subscriber.refused = owed;
        let verdict = judge(&evidence);
        assert_eq!(verdict.status, VerdictStatus::Invalid);
        let said = format!("the subscribers refused {owed} deliveries");
        assert!(verdict.checks.iter().any(|check| check.message.contains(&said)), "{verdict:?}");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = CHECKS.iter().map(|(id, _)| *id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn the_worst_finding_speaks_for_those_like_it() {
        let warn = |value| Finding::new(CheckStatus::Warn, format!("{value}")).judging(value, 1.0);
        let findings = [Finding::pass("x"), warn(2.0), warn(3.0)];
        assert_eq!(worst(findings, "fine").message, "3 (and 1 more like this)");
        assert_eq!(worst([Finding::pass("x").judging(1.0, 2.0)], "fine").message, "fine");
        assert_eq!(worst([], "fine"), Finding::pass("fine"));
    }
}
