//! `pollpush project`: what the strategies of a run would take with very many subscribers.

use std::path::PathBuf;

use clap::Args;

use crate::aim;
use crate::analysis::projection::{Projected, Projection, ProjectionError, Target, project};
use crate::cli::grid::Grid;
use crate::cli::options::Format;
use crate::cli::outcome::{Outcome, UsageError};
use crate::cli::terminal::Terminal;
use crate::quantity;
use crate::record::run::Run;
use crate::units::Rate;

/// Extrapolate what the strategies of a run would take with very many subscribers.
#[derive(Debug, Args)]
pub(crate) struct Project {
    /// The run's folder.
    run: PathBuf,

    /// Subscribers, such as `1000000` or `1e6`.
    #[arg(long, value_name = "COUNT", value_parser = subscribers)]
    subscribers: u64,

    /// Events in a span of time, all of which every subscriber is owed; as measured without it.
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,

    /// The points of a sweep to go by, such as `events.rate=20/s`; all of them without it.
    #[arg(long, value_name = "PATH=VALUE")]
    at: Option<String>,

    /// How to write the figures.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The most subscribers: more than there are people, and exact in every reader of JSON.
const MOST_SUBSCRIBERS: f64 = 1e12;

fn subscribers(text: &str) -> Result<u64, String> {
    let number = text.parse::<f64>().ok().filter(|number| {
        number.fract().abs() < f64::EPSILON && (1.0..=MOST_SUBSCRIBERS).contains(number)
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within the bounds above"
    )]
    number
        .map(|number| number as u64)
        .ok_or_else(|| "write a whole number from 1 to 1e12, such as `1e6`".to_owned())
}

impl Project {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let at = match self.at.as_deref().map(aim::parameters) {
            None => std::collections::BTreeMap::new(),
            Some(Ok(at)) => at,
            Some(Err(error)) => {
                return Err(UsageError { message: error.message, hint: error.remedy }.into());
            }
        };
        let run = Run::open(&self.run)?;
        let target = Target { subscribers: self.subscribers, rate: self.rate, at };
        let projection = match project(&run, &target) {
            Ok(projection) => projection,
            Err(error @ ProjectionError::Invalid) => {
                let hint = format!("`pollpush report {}` says why", self.run.display());
                terminal.error(&error.to_string(), Some(&hint));
                return Ok(Outcome::Invalid);
            }
            Err(error @ ProjectionError::NoPoint) => {
                let hint = "write values as the sweep does, such as `--at events.rate=20/s`";
                return Err(UsageError { message: error.to_string(), hint: hint.into() }.into());
            }
            Err(error) => return Err(error.into()),
        };
        terminal.result(&match self.format {
            Format::Json => serde_json::to_string_pretty(&projection)? + "\n",
            Format::Csv => exact(&projection).csv(),
            Format::Table => {
                format!(
                    "{}\n{}\n{}",
                    heading(&projection),
                    grid(&projection).table(),
                    basis(&projection)
                )
            }
            Format::Markdown => format!(
                "{}\n{}\n{}",
                heading(&projection),
                grid(&projection).markdown(),
                basis(&projection)
            ),
        })?;
        Ok(Outcome::Done)
    }
}

fn heading(projection: &Projection) -> String {
    let subscribers = quantity::count(projection.subscribers);
    format!("{}, extrapolated to {subscribers} subscribers\n", projection.title)
}

/// What the figures rest on.
fn basis(projection: &Projection) -> String {
    let lines = projection.assumptions.iter().flat_map(|assumption| ["- ", assumption, "\n"]);
    lines.collect()
}

const COLUMNS: [&str; 6] = ["strategy", "figure", "basis", "value", "interval", "how"];

fn rows(projection: &Projection, write: impl Fn(&Projected, f64) -> String) -> Grid {
    let swept: Vec<&str> = projection
        .points
        .first()
        .into_iter()
        .flat_map(|point| point.parameters.keys().map(String::as_str))
        .collect();
    let mut grid = Grid::new(swept.into_iter().chain(["events"]).chain(COLUMNS));
    for point in &projection.points {
        for strategy in &point.strategies {
            for figure in &strategy.figures {
                let mut cells: Vec<String> = point.parameters.values().cloned().collect();
                let ends = figure.interval.filter(|[low, high]| low < high);
                let interval = ends.map(|ends| ends.map(|end| write(figure, end)));
                cells.extend([
                    format!("{}/s", quantity::ratio(point.rate)),
                    strategy.strategy.clone(),
                    figure.figure.words().to_owned(),
                    "extrapolated".to_owned(),
                    figure.value.map_or_else(|| "—".to_owned(), |value| write(figure, value)),
                    interval
                        .map_or_else(|| "—".to_owned(), |[low, high]| format!("{low} to {high}")),
                    figure.how.clone(),
                ]);
                grid.row(cells);
            }
        }
    }
    grid
}

/// For people.
fn grid(projection: &Projection) -> Grid {
    rows(projection, |figure, value| figure.figure.write(value))
}

/// For programs: in bytes, seconds and cores.
fn exact(projection: &Projection) -> Grid {
    rows(projection, |_, value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::subscribers;

    #[test]
    fn subscribers_are_whole_numbers_in_any_notation() {
        assert_eq!(subscribers("1e6"), Ok(1_000_000));
        assert_eq!(subscribers("250"), Ok(250));
        for text in ["0", "-1", "1.5", "1e13", "NaN", "many"] {
            assert!(subscribers(text).is_err(), "{text}");
        }
    }
}
