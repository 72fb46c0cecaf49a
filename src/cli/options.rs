//! Options that several verbs share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::scenario::{Override, Scenario, ScenarioError, load};

/// Which scenario, and what to change about it.
#[derive(Debug, Args)]
pub(crate) struct ScenarioOptions {
    /// A scenario file, or the name of a built-in scenario.
    scenario: PathBuf,

    #[command(flatten)]
    changes: Changes,
}

impl ScenarioOptions {
    /// The scenario with all changes made.
    ///
    /// # Errors
    ///
    /// When the scenario or a change cannot be used.
    pub(crate) fn load(&self) -> Result<Scenario, ScenarioError> {
        load(&self.scenario, &self.changes.overrides())
    }
}

/// What to change about a scenario.
#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Change one value, such as `events.rate=5/s` or `strategy."poll every second".every=2s`.
    #[arg(long, value_name = "PATH=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,

    /// The seed everything random derives from; short for `--set run.seed=…`.
    #[arg(long, allow_hyphen_values = true)]
    seed: Option<String>,

    /// Blocks at each point, whatever precision the scenario asks for; short for
    /// `--set run.repeats=…`.
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    repeats: Option<String>,

    /// Length of the measured window; short for `--set run.duration=…`.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    duration: Option<String>,
}

impl Changes {
    /// The changes, in the order in which they are made: short options win.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let set = self.set.iter().map(|text| Override { origin: "--set", text: text.clone() });
        let short = [
            ("--seed", "run.seed", &self.seed),
            ("--repeats", "run.repeats", &self.repeats),
            ("--duration", "run.duration", &self.duration),
        ];
        let short = short.into_iter().filter_map(|(origin, path, value)| {
            let value = value.as_deref()?;
            Some(Override { origin, text: format!("{path}={value}") })
        });
        set.chain(short).collect()
    }
}

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// A Markdown table.
    Markdown,
}

#[cfg(test)]
mod tests {
    use super::{Changes, ScenarioOptions};

    #[test]
    fn short_options_are_overrides_too_and_win() {
        let options = ScenarioOptions {
            scenario: "quickstart".into(),
            changes: Changes {
                set: vec!["run.seed=7".into(), "events.rate=5/s".into()],
                seed: Some("8".into()),
                repeats: Some("2".into()),
                duration: Some("3s".into()),
            },
        };
        let scenario = options.load().expect("a scenario");
        assert_eq!((scenario.seed, scenario.repeats), (8, 2));
        assert_eq!(scenario.points[0].window.as_secs(), 3);
        let given =
            ["run.seed=7", "events.rate=5/s", "run.seed=8", "run.repeats=2", "run.duration=3s"];
        assert_eq!(scenario.overrides, given);
    }
}
