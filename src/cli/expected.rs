//! What is expected of strategies beside the scenario, and how it is told to those who wait.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::aim::{AimError, Aims, Expectation};
use crate::analysis::summary::{Judgement, Summary};
use crate::cli::outcome::UsageError;
use crate::cli::terminal::Terminal;
use crate::measure::Measure;
use crate::report::junit;

/// What is expected, and where that is written to.
#[derive(Debug, Default, Args)]
pub(crate) struct ExpectOptions {
    /// Expect something of a strategy, such as "webhook: latency.p99 < 50ms", in a sweep also "… at
    /// events.rate=20/s"; exit with 3 unless it is certain to hold.
    #[arg(long, value_name = "EXPECTATION")]
    pub(crate) expect: Vec<Expectation>,

    /// Write every threshold into a file of `JUnit` results.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

impl ExpectOptions {
    /// Checks that there are such strategies and points, before anything is done.
    ///
    /// # Errors
    ///
    /// With the nearest that there is.
    pub(crate) fn check<'a>(
        &self,
        strategies: &[&str],
        points: &(impl Iterator<Item = &'a BTreeMap<String, String>> + Clone),
        aims: &Aims,
    ) -> Result<(), UsageError> {
        for expectation in &self.expect {
            let refused = |message: String, hint: String| UsageError {
                message: format!("--expect \"{expectation}\": {message}"),
                hint,
            };
            expectation
                .check(strategies, points.clone())
                .map_err(|AimError { message, remedy }| refused(message, remedy))?;
            if expectation.requirement.measure == Measure::CostMonth && aims.prices.is_none() {
                let hint = "add `[prices]` to the scenario".to_owned();
                return Err(refused("without prices nothing has a cost".to_owned(), hint));
            }
        }
        Ok(())
    }
}

/// Writes the `JUnit` file that was asked for, and annotations where GitHub Actions reads them.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn tell(
    summary: &Summary,
    options: &ExpectOptions,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    if let Some(file) = &options.junit {
        std::fs::write(file, junit::thresholds(summary))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|set| set == "true") {
        for annotation in annotations(summary) {
            terminal.say(&annotation);
        }
    }
    Ok(())
}

/// A workflow command for each threshold that is not met.
fn annotations(summary: &Summary) -> Vec<String> {
    let unmet = summary.thresholds.iter().filter(|result| !result.passed);
    unmet
        .map(|result| {
            let level = if result.status == Judgement::Missed { "error" } else { "warning" };
            let place: Vec<String> =
                result.parameters.iter().map(|(path, value)| format!("{path} = {value}")).collect();
            let place =
                if place.is_empty() { String::new() } else { format!(" at {}", place.join(", ")) };
            let said = format!("{}{place} — {}", result.expect, result.sentence);
            format!("::{level} title=pollpush threshold::{}", escaped(&said))
        })
        .collect()
}

/// Data of a workflow command: one line.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::{ExpectOptions, escaped};
    use crate::aim::Aims;
    use std::collections::BTreeMap;

    #[test]
    fn what_does_not_exist_is_refused_with_the_nearest() {
        let refused = |text: &str| {
            let expect = vec![text.parse().expect(text)];
            let options = ExpectOptions { expect, junit: None };
            let point = BTreeMap::new();
            options.check(&["webhook"], &std::iter::once(&point), &Aims::default()).err()
        };
        assert!(refused("webhook: loss = 0").is_none());
        let error = refused("webhok: loss = 0").expect("refused");
        assert_eq!(error.hint, "did you mean `webhook`?");
        assert!(error.message.contains("no strategy is called `webhok`"), "{}", error.message);
        assert!(refused("webhook: cost < 5").expect("refused").hint.contains("[prices]"));
    }

    #[test]
    fn an_annotation_is_one_line() {
        assert_eq!(escaped("5 %\r\nnext"), "5 %25%0D%0Anext");
    }
}
