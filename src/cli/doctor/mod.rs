//! `pollpush doctor`: what about this machine could spoil a measurement, and what to change.

mod findings;
mod machine;

use std::path::PathBuf;

use clap::Args;

use crate::cli::grid::Grid;
use crate::cli::options::Format;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;

use findings::{Finding, Severity, findings};
use machine::Machine;

/// Say what about this machine could spoil a measurement, and what to change.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Where results would be written.
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,

    /// How to write the findings.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Doctor {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let findings = findings(&Machine::examine(&self.out));
        terminal.result(&match self.format {
            Format::Table => told(&findings),
            Format::Csv => grid(&findings).csv(),
            Format::Markdown => grid(&findings).markdown(),
            Format::Json => serde_json::to_string_pretty(&findings)? + "\n",
        })?;
        Ok(Outcome::Done)
    }
}

fn grid(findings: &[Finding]) -> Grid {
    let mut grid = Grid::new(["looked at", "severity", "found", "what it spoils", "what to do"]);
    for finding in findings {
        grid.row(vec![
            finding.id.to_owned(),
            finding.severity.word().to_owned(),
            finding.found.clone(),
            finding.spoils.to_owned(),
            finding.remedy.to_owned(),
        ]);
    }
    grid
}

/// A line for everything looked at, and below those that are not well, why and what to do.
fn told(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.id.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in findings {
        let (id, word) = (finding.id, finding.severity.word());
        lines.push(format!("{word:7}  {id:width$}  {}", finding.found));
        if finding.severity >= Severity::Mind {
            let margin = " ".repeat(7 + 2 + width + 2);
            lines.push(format!("{margin}spoils: {}", finding.spoils));
            lines.push(format!("{margin}remedy: {}", finding.remedy));
        }
    }
    let minded = findings.iter().filter(|finding| finding.severity >= Severity::Mind).count();
    let unknown = findings.iter().filter(|finding| finding.severity == Severity::Unknown).count();
    lines.push(match (minded, unknown) {
        (0, 0) => "Nothing here would spoil a measurement.".to_owned(),
        (minded, 0) => format!("{minded} of {} could spoil a measurement.", findings.len()),
        (minded, unknown) => format!(
            "{minded} of {} could spoil a measurement; {unknown} cannot be told here.",
            findings.len()
        ),
    });
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::findings::findings;
    use super::machine::Machine;
    use super::{grid, told};

    #[test]
    fn every_finding_is_told_with_its_remedy() {
        let findings = findings(&Machine::default());
        let text = told(&findings);
        assert!(findings.iter().all(|finding| text.contains(finding.id)));
        assert_eq!(grid(&findings).csv().lines().count(), findings.len() + 1);
    }
}
