//! Whether two runs measured the same thing, and what else tells them apart.

use serde::Serialize;
use serde_json::Value;

use super::ComparedRun;
use crate::record::manifest::{Manifest, PlannedPoint};
use crate::record::trial::StrategyRecord;

/// Members of the environment that change from minute to minute.
const FLEETING: [&str; 1] = ["load_average"];

/// Why two runs cannot be compared, in words; empty if they can. Who measured, on what machine
/// and how often does not matter: whether that makes a difference is the question.
pub(super) fn incomparable(first: &Manifest, second: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    if first.layout != second.layout {
        found.push(format!("layout is {} and {}", first.layout, second.layout));
    }
    if first.injected != second.injected {
        let fault =
            |run: &Manifest| run.injected.map_or("none".to_owned(), |fault| fault.to_string());
        found.push(format!("the planted fault is {} and {}", fault(first), fault(second)));
    }
    for point in &first.points {
        match second.points.iter().find(|other| other.parameters == point.parameters) {
            Some(other) => of_points(point, other, &mut found),
            None => found.push(format!("{} is only in the first run", named(point))),
        }
    }
    for point in &second.points {
        if first.points.iter().all(|other| other.parameters != point.parameters) {
            found.push(format!("{} is only in the second run", named(point)));
        }
    }
    found
}

fn named(point: &PlannedPoint) -> String {
    let pairs: Vec<String> =
        point.parameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if pairs.is_empty() { "a point without a sweep".to_owned() } else { pairs.join(", ") }
}

fn of_points(first: &PlannedPoint, second: &PlannedPoint, found: &mut Vec<String>) {
    let place =
        if first.parameters.is_empty() { String::new() } else { format!("at {}: ", named(first)) };
    let mut say = |what: String| found.push(format!("{place}{what}"));
    members(&first.workload, &second.workload).into_iter().for_each(&mut say);
    let pinned = [first, second].map(|point| point.placement.is_some());
    if pinned[0] != pinned[1] {
        say(format!("pinned is {} and {}", pinned[0], pinned[1]));
    }
    if first.spin != second.spin {
        say(format!("spin is {:?} and {:?}", first.spin, second.spin));
    }
    for strategy in &first.strategies {
        match second.strategies.iter().find(|other| other.name == strategy.name) {
            Some(other) => of_strategies(strategy, other).into_iter().for_each(&mut say),
            None => say(format!("`{}` is only in the first run", strategy.name)),
        }
    }
    for strategy in &second.strategies {
        if first.strategies.iter().all(|other| other.name != strategy.name) {
            say(format!("`{}` is only in the second run", strategy.name));
        }
    }
}

fn of_strategies(first: &StrategyRecord, second: &StrategyRecord) -> Vec<String> {
    let mut found = Vec::new();
    if first.mechanism != second.mechanism {
        found.push(format!("mechanism is {} and {}", first.mechanism, second.mechanism));
    }
    if first.subscribers != second.subscribers {
        found.push(format!("subscribers is {} and {}", first.subscribers, second.subscribers));
    }
    found.extend(members(&first.settings, &second.settings));
    found.into_iter().map(|what| format!("of `{}`, {what}", first.name)).collect()
}

/// The members that differ, in words.
fn members(first: &impl Serialize, second: &impl Serialize) -> Vec<String> {
    let [first, second] = [serde_json::to_value(first), serde_json::to_value(second)]
        .map(|value| value.unwrap_or(Value::Null));
    let (Some(ours), Some(theirs)) = (first.as_object(), second.as_object()) else {
        return if first == second { Vec::new() } else { vec![format!("{first} and {second}")] };
    };
    let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
    let differs = |name: &&String| ours.get(*name) != theirs.get(*name);
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    names
        .filter(differs)
        .map(|name| format!("{name} is {} and {}", shown(ours.get(name)), shown(theirs.get(name))))
        .collect()
}

/// What tells two runs apart besides what they measured: machine, version, seed, blocks, wording.
pub(super) fn differences(first: &ComparedRun, second: &ComparedRun) -> Vec<String> {
    let (ours, theirs) = (&first.manifest, &second.manifest);
    let mut found = members(&ours.tool, &theirs.tool);
    let fleeting = |what: &String| FLEETING.iter().any(|name| what.starts_with(name));
    let mut machine = members(&ours.environment, &theirs.environment);
    machine.retain(|what| !fleeting(what));
    found.extend(machine);
    let mut say = |name: &str, ours: &str, theirs: &str| {
        if ours != theirs {
            found.push(format!("{name} is {ours} and {theirs}"));
        }
    };
    say("title", &ours.title, &theirs.title);
    say("seed", &ours.seed.to_string(), &theirs.seed.to_string());
    let blocks = [first, second].map(|run| run.label().blocks.to_string());
    say("the number of blocks", &blocks[0], &blocks[1]);
    if first.scenario != second.scenario && incomparable(ours, theirs).is_empty() {
        found.push("scenario.toml is worded differently, to the same effect".to_owned());
    }
    found
}
