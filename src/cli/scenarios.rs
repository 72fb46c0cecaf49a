//! `pollpush scenarios`: the scenarios that come with the program.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::grid::Grid;
use crate::cli::options::Format;
use crate::cli::outcome::{Outcome, UsageError};
use crate::cli::terminal::Terminal;
use crate::scenario::{BUILT_IN, Scenario, export, parse};

/// List the built-in scenarios, or write them to files.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Scenarios {
    /// How to write the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write every built-in scenario into a folder; nothing is overwritten.
    Export {
        /// The folder, which is made if need be.
        folder: PathBuf,
    },
}

impl Scenarios {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        match self.action {
            Some(Action::Export { folder }) => export_to(&folder, terminal),
            None => list(self.format, terminal),
        }
    }
}

fn list(format: Format, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
    let scenarios: Vec<(&str, Scenario)> = BUILT_IN
        .iter()
        .map(|built_in| Ok((built_in.name, parse(built_in.name, built_in.text, &[])?)))
        .collect::<anyhow::Result<_>>()?;
    let mut grid = Grid::new(["name", "question"]);
    for (name, scenario) in &scenarios {
        grid.row(vec![(*name).to_owned(), scenario.question.clone().unwrap_or_default()]);
    }
    terminal.result(&match format {
        Format::Table => grid.table(),
        Format::Markdown => grid.markdown(),
        Format::Csv => grid.csv(),
        Format::Json => {
            let entry = |(name, scenario): &(&str, Scenario)| {
                json!({ "name": name, "title": scenario.title, "question": scenario.question })
            };
            let entries: Vec<_> = scenarios.iter().map(entry).collect();
            serde_json::to_string_pretty(&entries)? + "\n"
        }
    })?;
    Ok(Outcome::Done)
}

fn export_to(folder: &Path, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
    let written = export(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::Error::new(UsageError {
            message: error.to_string(),
            hint: "name a folder without these files".to_owned(),
        }),
        _ => anyhow::Error::new(error)
            .context(format!("the scenarios cannot be written into {}", folder.display())),
    })?;
    let lines: Vec<String> = written.iter().map(|file| format!("{}\n", file.display())).collect();
    terminal.result(&lines.concat())?;
    Ok(Outcome::Done)
}
