//! `pollpush check`: is this scenario right, and what would a run of it do?

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::aim::Objective;
use crate::cli::grid::Grid;
use crate::cli::options::{Format, ScenarioOptions};
use crate::cli::outcome::Outcome;
use crate::cli::outline::Outline;
use crate::cli::terminal::Terminal;
use crate::measure::Measure;
use crate::plan::{Layout, Plan, PlannedStrategy, Point, Trial, expand};
use crate::units::format_duration;

/// Check a scenario and print the plan of its run, without running it.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    scenario: ScenarioOptions,

    /// How to write the plan.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Check {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let plan = expand(&self.scenario.load()?);
        terminal.result(&match self.format {
            Format::Table => format!("{}\n{}", overview(&plan), grid(&plan, shown).table()),
            Format::Markdown => grid(&plan, shown).markdown(),
            Format::Csv => grid(&plan, |figure| figure.to_string()).csv(),
            Format::Json => serde_json::to_string_pretty(&Outline::of(&plan))? + "\n",
        })?;
        for trial in &plan.trials {
            terminal.detail(&order(&plan, trial));
        }
        warn_of_few_events(&plan, terminal);
        Ok(Outcome::Done)
    }
}

/// Title, question and the figures of the run as a whole.
fn overview(plan: &Plan) -> String {
    let fewest = plan.least_estimate();
    let estimate = plan.estimate();
    let layout = match plan.layout {
        Layout::SideBySide => "strategies side by side",
        Layout::Solo => "each strategy alone",
    };
    let requests = match fewest.requests.zip(estimate.requests) {
        Some((fewest, most)) => range(&shown(fewest), &shown(most)),
        None => "an unknown number of".to_owned(),
    };
    let mut lines = vec![plan.title.clone()];
    lines.extend(plan.question.clone());
    lines.push(String::new());
    lines.push(format!(
        "trials    {} at {}, in {} block{}, {layout}",
        range(&fewest.trials, &estimate.trials),
        counted(plan.points.len(), "point"),
        range(&plan.fewest_blocks(), &plan.blocks),
        if plan.blocks == 1 { "" } else { "s" },
    ));
    lines
        .extend(plan.stopping.map(|rule| {
            format!("stops     when {} is known to ±{}", rule.measure, rule.precision)
        }));
    lines.extend(plan.aims.objective.as_ref().and_then(|wanted| wanted.search.as_ref()).map(
        |path| format!("searches  along {path}: only points that may hold the change are measured"),
    ));
    lines.push(format!("seed      {}", plan.seed));
    let mut arrivals: Vec<String> =
        plan.points.iter().map(|point| point.arrivals.to_string()).collect();
    arrivals.dedup();
    lines.extend(arrivals.into_iter().map(|arrivals| format!("arrivals  {arrivals}")));
    if plan.points.iter().any(|point| point.pin) {
        lines.push("pinned    each process to a CPU, the source to one of its own".to_owned());
    }
    let mut spins: Vec<Duration> = plan.points.iter().map(|point| point.spin).collect();
    spins.dedup();
    let spins = spins.into_iter().filter(|spin| !spin.is_zero());
    lines
        .extend(spins.map(|spin| format!("spinning  {} before each event", format_duration(spin))));
    lines.extend(plan.aims.objective.as_ref().map(wanted));
    let thresholds = plan.aims.thresholds.iter();
    lines.extend(thresholds.map(|expectation| format!("expects   {expectation}")));
    lines.extend(plan.overrides.iter().map(|given| format!("changed   {given}")));
    let [soonest, latest] = [fewest.wall_time, estimate.wall_time].map(rounded);
    lines.push(format!("time      about {}", range(&soonest, &latest)));
    let events = range(&shown(fewest.events), &shown(estimate.events));
    lines.push(format!("expected  {events} events, {requests} requests"));
    lines.push(format!("          {} connections open at once", estimate.connections));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// What the run will decide by.
fn wanted(objective: &Objective) -> String {
    let least = objective.minimise.map(|measure| format!("the least {measure}"));
    let wanted: Vec<String> =
        objective.require.iter().map(ToString::to_string).chain(least).collect();
    format!("decides   by {}", wanted.join(", "))
}

/// From the least to the most, or the one figure that they are.
pub(crate) fn range<T: PartialEq + Display>(least: &T, most: &T) -> String {
    if least == most { most.to_string() } else { format!("{least} to {most}") }
}

/// One row for each strategy of each point.
fn grid(plan: &Plan, figure: fn(f64) -> String) -> Grid {
    let swept: BTreeSet<&String> =
        plan.points.iter().flat_map(|point| point.parameters.keys()).collect();
    let fixed = ["strategy", "mechanism", "subscribers", "settings", "events", "requests"];
    let mut grid = Grid::new(swept.iter().map(|path| path.as_str()).chain(fixed));
    for point in &plan.points {
        for planned in &point.strategies {
            let expected = point.expectation(planned);
            let mut cells: Vec<String> = point.parameters.values().cloned().collect();
            cells.extend([
                planned.name.clone(),
                planned.mechanism.to_owned(),
                planned.subscribers.to_string(),
                settings(planned),
                figure(expected.events),
                expected.requests.map_or_else(String::new, figure),
            ]);
            grid.row(cells);
        }
    }
    grid
}

/// The resolved settings, each as `key=value`.
fn settings(planned: &PlannedStrategy) -> String {
    let settings = planned.settings();
    let written = |(key, value): (&String, &Value)| match value {
        Value::String(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    };
    let entries = settings.as_object().into_iter().flatten();
    entries.map(written).collect::<Vec<_>>().join(" ")
}

/// Which strategies a trial runs, and where.
fn order(plan: &Plan, trial: &Trial) -> String {
    let point = &plan.points[trial.point];
    let names: Vec<&str> =
        trial.strategies.iter().map(|place| point.strategies[*place].name.as_str()).collect();
    let mut words = vec![format!("trial {}: block {}", trial.index, trial.block)];
    words.extend(point.parameters.iter().map(|(path, value)| format!("{path}={value}")));
    words.push(names.join(" beside "));
    words.join(", ")
}

/// A median needs ten events on each side of it.
const FEWEST_EVENTS: f64 = 20.0;

/// A 99th percentile needs ten events beyond it.
const FEWEST_EVENTS_P99: f64 = 1_000.0;

/// Warns where a window is expected to hold too few events for a median, or for what a stopping
/// rule looks at, which could then never be met.
pub(crate) fn warn_of_few_events(plan: &Plan, terminal: &mut Terminal) {
    let (needed, figure) = match plan.stopping.map(|rule| rule.measure) {
        Some(Measure::LatencyP99) => {
            (FEWEST_EVENTS_P99, "the p99 that `run.precision` is about: every block will be run")
        }
        _ => (FEWEST_EVENTS, "a median"),
    };
    let events = |point: &Point| point.events;
    let few = plan.points.iter().map(events).filter(|events| *events < needed);
    if let Some(fewest) = few.min_by(f64::total_cmp) {
        let fewest = shown(fewest);
        let warning = format!("a window has {fewest} events on average, too few for {figure}");
        terminal.warning(&warning, "raise `run.duration` or `events.rate`");
    }
}

/// A figure for people: whole from a hundred on, else three significant digits.
fn shown(figure: f64) -> String {
    let decimals = if figure >= 99.95 {
        0
    } else if figure >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{figure:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A span in whole seconds, or in whole minutes from ten of them on.
fn rounded(span: Duration) -> String {
    let unit = if span.as_secs() >= 600 { 60 } else { 1 };
    format_duration(Duration::from_secs(span.as_secs().div_ceil(unit) * unit))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::{grid, overview, rounded, shown};
    use crate::plan::{Plan, expand};
    use crate::scenario::{Override, load};
    use std::path::Path;
    use std::time::Duration;

    fn plan(name: &str) -> Plan {
        expand(&load(Path::new(name), &[]).expect("built in"))
    }

    #[test]
    fn a_plan_reads_as_an_overview() {
        let expected = "\
Polling beside a webhook
How close to a webhook can polling get, and at what price?

trials    3 at 1 point, in 3 blocks, strategies side by side
seed      1
arrivals  poisson
time      about 49s
expected  3600 events, 7236 requests
          6 connections open at once
";
        assert_eq!(overview(&plan("quickstart")), expected);
    }

    #[test]
    fn a_stopping_rule_makes_a_range_and_other_conditions_are_told() {
        let given =
            ["run.precision=5%", "run.measure=latency.mean", "run.pin=true", "run.spin=100us"]
                .map(|text| Override { origin: "--set", text: text.to_owned() });
        let scenario = load(Path::new("quickstart"), &given).expect("built in");
        let shown = overview(&expand(&scenario));
        for line in [
            "trials    6 to 60 at 1 point, in 6 to 60 blocks, strategies side by side",
            "stops     when latency.mean is known to ±5%",
            "pinned    each process to a CPU, the source to one of its own",
            "spinning  100µs before each event",
            "time      about 1m 39s to 17m",
            "expected  7200 to 72000 events, 14472 to 144720 requests",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{shown}");
        }
    }

    #[test]
    fn what_is_wanted_is_told() {
        let shown = overview(&plan("crossover"));
        let line = "decides   by loss = 0, the least requests.per_event";
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }

    #[test]
    fn a_sweep_has_a_row_for_each_point_and_strategy() {
        let csv = grid(&plan("rate-sweep"), |figure| figure.to_string()).csv();
        assert!(csv.starts_with("events.rate,strategy,mechanism,"), "{csv}");
        assert_eq!(csv.lines().count(), 1 + 5 * 2);
    }

    #[test]
    fn figures_have_three_digits() {
        for (figure, text) in [
            (0.0, "0"),
            (0.123, "0.12"),
            (9.999, "10"),
            (12.34, "12.3"),
            (100.0, "100"),
            (1234.5, "1234"),
        ] {
            assert_eq!(shown(figure), text);
        }
        assert_eq!(rounded(Duration::from_millis(43_100)), "43s");
        assert_eq!(rounded(Duration::from_secs(3_601)), "1h 1m");
    }
}
