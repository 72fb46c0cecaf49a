//! `pollpush checks`: what every run is checked for, by which limits, and what must trip it.

use clap::Args;
use serde::Serialize;

use crate::analysis::validity::limits::Limit;
use crate::analysis::validity::{CHECKS, CheckEntry, Proof};
use crate::cli::grid::Grid;
use crate::cli::options::Format;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::fault::Fault;

/// List what every run is checked for, with limits, reasons and faults noticed
#[derive(Debug, Args)]
pub(crate) struct Checks {
    /// How to write the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A check as it is listed.
#[derive(Debug, Serialize)]
struct Entry {
    code: &'static str,
    id: &'static str,
    demand: &'static str,
    limits: Vec<Judged>,
    /// The fault that must trip it.
    fault: Option<&'static str>,
    /// What that fault does, or what else must trip the check.
    tripped_by: &'static str,
}

/// A limit as it is listed; absent where a status is never given.
#[derive(Debug, Serialize)]
struct Judged {
    figure: &'static str,
    tell_above: Option<f64>,
    warn_above: Option<f64>,
    fail_above: Option<f64>,
    reason: &'static str,
}

impl Checks {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let entries: Vec<Entry> = CHECKS.iter().map(entry).collect();
        terminal.result(&match self.format {
            Format::Table => table(&entries),
            Format::Json => serde_json::to_string_pretty(&entries)? + "\n",
            Format::Csv => grid(&entries).csv(),
            Format::Markdown => grid(&entries).markdown(),
        })?;
        Ok(Outcome::Done)
    }
}

fn entry(check: &CheckEntry) -> Entry {
    let (fault, tripped_by) = match check.proof {
        Proof::Fault { fault, .. } => (Some(fault.name()), fault.words()),
        Proof::Otherwise(words) => (None, words),
    };
    let limits = check.limits.iter().map(judged).collect();
    Entry { code: check.code, id: check.id, demand: check.demand, limits, fault, tripped_by }
}

fn judged(limit: &Limit) -> Judged {
    let stated = |value: f64| value.is_finite().then_some(value);
    Judged {
        figure: limit.figure,
        tell_above: stated(limit.tell),
        warn_above: stated(limit.warn),
        fail_above: stated(limit.fail),
        reason: limit.reason,
    }
}

/// The checks, and below them the faults that can be planted.
fn table(entries: &[Entry]) -> String {
    let mut faults = Grid::new(["fault", "what it does"]);
    for fault in Fault::ALL {
        faults.row(vec![fault.name().to_owned(), fault.words().to_owned()]);
    }
    format!(
        "{}\nFaults that `pollpush run SCENARIO --inject FAULT` plants:\n\n{}",
        grid(entries).table(),
        faults.table()
    )
}

/// A row for each limit of each check.
fn grid(entries: &[Entry]) -> Grid {
    let mut grid =
        Grid::new(["check", "name", "demands", "tell", "warn", "fail", "reason", "tripped by"]);
    for entry in entries {
        let tripped_by = entry.fault.unwrap_or(entry.tripped_by).to_owned();
        let row = |limits: [String; 3], reason: &str, tripped_by: String| {
            let [tell, warn, fail] = limits;
            let (code, id, demand) =
                (entry.code.to_owned(), entry.id.to_owned(), entry.demand.to_owned());
            vec![code, id, demand, tell, warn, fail, reason.to_owned(), tripped_by]
        };
        if entry.limits.is_empty() {
            grid.row(row([String::new(), String::new(), String::new()], "", tripped_by));
            continue;
        }
        for limit in &entry.limits {
            let stated = [limit.tell_above, limit.warn_above, limit.fail_above].map(above);
            let reason = format!("{}: {}", limit.figure, limit.reason);
            grid.row(row(stated, &reason, tripped_by.clone()));
        }
    }
    grid
}

/// A limit as a cell has it.
fn above(limit: Option<f64>) -> String {
    match limit {
        None => String::new(),
        Some(limit) if limit >= 1e4 => format!("{limit:.0e}"),
        Some(limit) => limit.to_string(),
    }
}
