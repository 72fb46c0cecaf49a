//! What surrounds the figures of a written report: workload, machine, method, limits, and how to
//! cite and repeat the run.

use crate::analysis::Analysis;
use crate::analysis::provenance::{Environment, PlannedWorkload, Provenance};
use crate::analysis::summary::{Summary, VerdictStatus};
use crate::units::format_duration;

use super::cite::{Citation, Style, write};
use super::wording;
use crate::quantity::{bytes, count};

/// What was offered at a point, in one sentence.
pub(super) fn workload(workload: &PlannedWorkload) -> String {
    let PlannedWorkload { rate, arrivals, payload, warm_up, window, rtt, network, .. } = workload;
    let path = match (network, rtt) {
        (Some(network), _) => format!("path: {network}"),
        (None, Some(rtt)) => format!("an injected round trip of {}", format_duration(*rtt)),
        (None, None) => "no injected distance".to_owned(),
    };
    format!(
        "{rate} events ({arrivals}) of {payload}, measured for {} after a warm-up of {}; {path}.",
        format_duration(*window),
        format_duration(*warm_up)
    )
}

/// When and how the run was made, each fact with its name.
pub(super) fn run(summary: &Summary, provenance: &Provenance) -> Vec<(&'static str, String)> {
    let tool = &summary.tool;
    let mut facts = vec![
        ("Started", provenance.started.to_string()),
        (
            "Ended",
            match provenance.finished {
                Some(finished) => finished.to_string(),
                None => "never: the run was killed".to_owned(),
            },
        ),
        ("Tool", format!("pollpush {} ({})", tool.version, tool.commit)),
        ("Arrangement", provenance.arrangement.clone()),
        ("Blocks at each point, at most", count(provenance.blocks.into())),
        ("Seed", provenance.seed.to_string()),
    ];
    if !provenance.overrides.is_empty() {
        facts.push(("Given beside the file", provenance.overrides.join(", ")));
    }
    facts.push(("Scenario SHA-256", summary.scenario.sha256.clone()));
    facts.push(("Run id", summary.run_id.clone()));
    facts
}

/// The machine, as far as it told.
pub(super) fn machine(environment: &Environment) -> Vec<(&'static str, String)> {
    let yes_no = |truth: bool| if truth { "yes" } else { "no" }.to_owned();
    let text = |text: &Option<String>| text.clone();
    let facts = [
        ("CPU", text(&environment.cpu_model)),
        ("CPUs it may run on", environment.cpu_logical.map(|cpus| cpus.to_string())),
        ("Two logical CPUs share a core", environment.cpu_smt.map(yes_no)),
        ("Frequency governor", text(&environment.cpu_governor)),
        ("Virtual machine", environment.hypervisor.map(yes_no)),
        ("Container", environment.container.map(yes_no)),
        ("Memory", environment.memory_total.map(|total| bytes(total as f64))),
        ("Memory limit of the control group", text(&environment.cgroup_memory)),
        ("CPU limit of the control group", text(&environment.cgroup_cpu)),
        ("System", Some(format!("{}, {}", environment.os, environment.architecture))),
        ("Kernel", text(&environment.kernel_release)),
        ("Clock source", text(&environment.clocksource)),
        ("Congestion control", text(&environment.congestion_control)),
        (
            "Load averages at the start",
            environment
                .load_average
                .map(|[one, five, fifteen]| format!("{one:.2}, {five:.2}, {fifteen:.2}")),
        ),
        ("Build", Some(environment.build_profile.clone())),
    ];
    facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).collect()
}

/// How numbers are made, for readers who meet only this report.
pub(super) const METHOD: &[&str] = &[
    "Every strategy is offered the same events at the same planned moments.",
    "Latency runs from the moment an event was due to the moment the subscriber could use it: \
     verified, parsed and deduplicated. The harness’s own lateness (lag: emitted − due) is inside \
     it, and shown apart.",
    "Requests and bytes are counted at the source’s sockets, inside the measured window only.",
    "CPU time is read from the system for each side inside the window; the pacer, which emits the \
     events, is excluded.",
    "Quantiles are the median over blocks of each block’s own quantile, and withheld where a block \
     holds fewer than ten events beyond them. “Effective” is how many independent events say as \
     much as those that were delivered. “Per event” divides by delivered events.",
    "Intervals are of order statistics over blocks, of at least 95 %. A difference is claimed only \
     if a sign test over blocks, corrected for the number of strategies compared, says so and it \
     exceeds what two identical strategies show on this machine.",
];

/// What the run does not show, in sentences.
pub(super) fn limits(summary: &Summary) -> Vec<&'static str> {
    let mut sentences = vec![
        "Loopback only: source and subscribers ran on one machine, so the numbers contain neither \
         network distance (unless it was injected) nor packet loss. Compare strategies with each \
         other, not with a service across a network.",
        "The source is a mock: what a real provider’s API or dispatcher adds is not in the numbers.",
        "Lost events have no latency; they are counted and are in no percentile.",
        "An event counts once for each subscriber it is owed to.",
        "Other rates, payloads, numbers of subscribers and machines may give other answers.",
        "“—” stands for a figure that was withheld because too few events support it, or that \
         cannot exist.",
    ];
    if wording::shares_memory(&summary.points) {
        sentences.push(
            "Memory marked * is that of a source process that served several strategies at once, \
             so it belongs to none of them alone.",
        );
    }
    sentences
}

/// The citation of the run in plain text; `None` if it is invalid and not to be cited.
pub(super) fn citation(analysis: &Analysis) -> Option<String> {
    let citable = analysis.summary.verdict.status != VerdictStatus::Invalid;
    let written = citable.then(|| write(&Citation::of(analysis, &[], None), Style::Text));
    written.map(|text| wording::one_line(text.trim_end()))
}

/// What stands in the place of the citation of an invalid run.
pub(super) const NOT_CITABLE: &str = "This run is invalid, and not to be cited.";

/// What the program itself does with the folder of a run.
pub(super) const TOOLS: &str = "With the run’s folder: `pollpush cite` gives further forms, `pollpush verify` checks every \
     byte, and `pollpush reproduce` runs it again and says what came out again";

/// The command that makes the run again from its scenario.
pub(super) fn command(provenance: &Provenance) -> String {
    let mut command = "pollpush run scenario.toml".to_owned();
    for given in &provenance.overrides {
        command.push_str(" --set ");
        command.push_str(&quoted(given));
    }
    command
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{citation, command, machine, workload};
    use crate::analysis::summary::VerdictStatus;
    use crate::report::sample;

    #[test]
    fn a_workload_is_told_in_one_sentence() {
        let analysis = sample::analysis();
        assert_eq!(
            workload(&analysis.provenance.workloads[0]),
            "20/s events (poisson) of 1 KiB, measured for 8s after a warm-up of 1s; no injected \
             distance."
        );
    }

    #[test]
    fn what_the_machine_did_not_tell_is_left_out() {
        let facts = machine(&sample::analysis().provenance.environment);
        assert!(facts.iter().any(|(name, fact)| *name == "CPU" && fact == "Example 9"));
        assert!(!facts.iter().any(|(name, _)| *name == "Frequency governor"), "{facts:?}");
    }

    #[test]
    fn only_what_may_be_used_is_cited() {
        let mut analysis = sample::analysis();
        let citation = citation(&analysis).expect("it has caveats only");
        for part in ["Order status", "caveats", "Example 9", &analysis.summary.run_id] {
            assert!(citation.contains(part), "{part}: {citation}");
        }
        analysis.summary.verdict.status = VerdictStatus::Invalid;
        assert_eq!(super::citation(&analysis), None);
    }

    #[test]
    fn values_beside_the_file_survive_a_shell() {
        let mut provenance = sample::analysis().provenance;
        provenance.overrides = vec!["run.repeats=3".to_owned(), "title='a' b".to_owned()];
        assert_eq!(
            command(&provenance),
            r"pollpush run scenario.toml --set run.repeats=3 --set 'title='\''a'\'' b'"
        );
    }
}
