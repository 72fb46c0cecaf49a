//! Decisions in words that claim no more than their intervals.

use super::super::summary::{
    Advantage, Choice, ChoiceStatus, Crossover, Decision, Difference, Estimate, Judgement,
    RequirementResult, Standing,
};
use crate::aim::{Objective, Prices};
use crate::measure::{Measure, Unit};
use crate::quantity;
use crate::stopping::FEWEST_BLOCKS;
use crate::units::ParameterUnit;

/// What is chosen at a point.
pub(super) fn of_point(
    objective: &Objective,
    prices: Option<&Prices>,
    standings: &[Standing],
    choice: &Choice,
) -> String {
    let keeps = match objective.require[..] {
        [] => "",
        [_] => "keeps what is required",
        _ => "keeps all that is required",
    };
    match choice.status {
        ChoiceStatus::Withheld => {
            "Nothing is decided: the run is invalid, and its figures are not to be used.".to_owned()
        }
        ChoiceStatus::NoneMeets => none_meets(prices, standings),
        ChoiceStatus::Chosen => {
            let best = choice.strategy.as_deref().unwrap_or_default();
            let out = |one: &Standing| one.strategy == best || one.status == Judgement::Missed;
            if standings.len() > 1 && standings.iter().all(out) {
                let others = misses(prices, standings);
                return format!(
                    "Only {} {keeps}{}{others}.",
                    named(best),
                    having(objective, prices, standings, best)
                );
            }
            let Some(measure) = objective.minimise else {
                return format!("{} {keeps}.", named(best));
            };
            let and = if keeps.is_empty() { String::new() } else { format!("{keeps} and ") };
            format!(
                "{} {and}has the least `{measure}`{}{}.",
                named(best),
                figure_of(measure, prices, standings, best),
                nearest(measure, prices, &choice.advantages)
            )
        }
        ChoiceStatus::Tied => tied(objective, prices, standings, choice),
        ChoiceStatus::Undecided => undecided(objective, prices, standings, choice),
    }
}

/// What came out of all points.
pub(super) fn of_run(decision: &Decision) -> String {
    if let [point] = &decision.points[..] {
        return point.choice.sentence.clone();
    }
    let points = decision.points.len() as u64;
    let chosen = |name: &str| {
        let at = decision.points.iter().filter(|point| {
            point.choice.status == ChoiceStatus::Chosen
                && point.choice.strategy.as_deref() == Some(name)
        });
        at.count() as u64
    };
    let strategies = decision.points.iter().flat_map(|point| &point.strategies);
    let mut names: Vec<&str> = strategies.map(|standing| standing.strategy.as_str()).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let mut parts: Vec<String> = names
        .into_iter()
        .map(|name| (name, chosen(name)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} is chosen at {}", named(name), quantity::count(count)))
        .collect();
    for (status, words) in [
        (ChoiceStatus::Tied, "cannot be told apart at"),
        (ChoiceStatus::Undecided, "it is undecided at"),
        (ChoiceStatus::NoneMeets, "none keeps what is required at"),
        (ChoiceStatus::Withheld, "nothing is decided, because the run is invalid, at"),
    ] {
        let at = decision.points.iter().filter(|point| point.choice.status == status).count();
        if at > 0 {
            let subject = if status == ChoiceStatus::Tied { "strategies " } else { "" };
            parts.push(format!("{subject}{words} {}", quantity::count(at as u64)));
        }
    }
    let crossed = match &decision.crossovers[..] {
        [] => String::new(),
        [only] => format!(" {}", only.sentence),
        [first, others @ ..] => format!(
            " {} There are {} along other lines.",
            first.sentence,
            quantity::counted(others.len() as u64, "more crossover")
        ),
    };
    format!("Of {}, {}.{crossed}", quantity::counted(points, "point"), parts.join(", "))
}

/// Where the preference changes.
pub(crate) fn crossing(crossover: &Crossover) -> String {
    let at = |value: f64| parameter(crossover.unit, value);
    let interval = match crossover.interval {
        Some([low, high]) => format!(" ({} to {})", at(low), at(high)),
        None => " (without an interval)".to_owned(),
    };
    let held: Vec<String> =
        crossover.held.iter().map(|(path, value)| format!("{path} = {value}")).collect();
    let held =
        if held.is_empty() { String::new() } else { format!(", with {}", held.join(" and ")) };
    let expected = match &crossover.break_even {
        Some(even) => format!("; closed forms say {}", at(even.value)),
        None => String::new(),
    };
    format!(
        "Along `{}` the least `{}` passes from {} to {} at {}{interval}{held}{expected}.",
        crossover.parameter,
        crossover.measure,
        named(&crossover.below),
        named(&crossover.above),
        at(crossover.value),
    )
}

/// A value of a swept parameter.
fn parameter(unit: ParameterUnit, value: f64) -> String {
    match unit {
        ParameterUnit::PerSecond => format!("{}/s", quantity::ratio(value)),
        ParameterUnit::Nanoseconds => quantity::duration(value),
        ParameterUnit::Bytes => quantity::bytes(value),
        ParameterUnit::Number => quantity::ratio(value),
    }
}

/// A strategy's name in a sentence.
fn named(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("`{plain}`")
}

fn all_named(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| named(name)).collect();
    match &names[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A value with its unit, in the currency if it is money.
pub(crate) fn written(measure: Measure, prices: Option<&Prices>, value: f64) -> String {
    let text = measure.write(value);
    match prices.filter(|_| measure.unit() == Unit::Money) {
        Some(prices) => format!("{text} {}", prices.currency),
        None => text,
    }
}

/// A figure and its interval: `0.20 (0.19 to 0.21)`.
fn estimated(measure: Measure, prices: Option<&Prices>, found: &Estimate) -> String {
    let value = written(measure, prices, found.value);
    let Some([low, high]) = found.interval.filter(|_| found.blocks > 1) else { return value };
    format!("{value} ({} to {})", written(measure, prices, low), written(measure, prices, high))
}

fn figure_of(
    measure: Measure,
    prices: Option<&Prices>,
    standings: &[Standing],
    name: &str,
) -> String {
    let standing = standings.iter().find(|standing| standing.strategy == name);
    let found = standing.and_then(|standing| standing.minimised);
    found.map_or(String::new(), |found| format!(", {}", estimated(measure, prices, &found)))
}

/// What it has of the minimised measure, after `keeps what is required`.
fn having(
    objective: &Objective,
    prices: Option<&Prices>,
    standings: &[Standing],
    name: &str,
) -> String {
    let Some(measure) = objective.minimise else { return String::new() };
    let figure = figure_of(measure, prices, standings, name);
    let figure = figure.trim_start_matches(", ");
    if figure.is_empty() { String::new() } else { format!(", with a `{measure}` of {figure}") }
}

/// By how much the choice is better than the one that comes nearest to it.
fn nearest(measure: Measure, prices: Option<&Prices>, advantages: &[Advantage]) -> String {
    let near = advantages.iter().min_by(|a, b| a.saving.total_cmp(&b.saving));
    let Some(near) = near else { return String::new() };
    let over = named(&near.over);
    match (near.ratio, near.ratio_ci95) {
        (Some(ratio), Some([low, high])) => format!(
            ": {} × that of {over} ({} to {})",
            quantity::ratio(ratio),
            quantity::ratio(low),
            quantity::ratio(high)
        ),
        _ => format!(": {} less than {over}", written(measure, prices, near.saving)),
    }
}

/// What the other strategies miss, as the end of a sentence.
fn misses(prices: Option<&Prices>, standings: &[Standing]) -> String {
    let missed: Vec<String> =
        standings.iter().filter_map(|standing| one_miss(prices, standing)).collect();
    if missed.is_empty() { String::new() } else { format!("; {}", missed.join("; ")) }
}

/// The first requirement that a strategy misses.
fn one_miss(prices: Option<&Prices>, standing: &Standing) -> Option<String> {
    let missed = |result: &&RequirementResult| result.status == Judgement::Missed;
    let result = standing.requirements.iter().find(missed)?;
    let figure = result.measured.as_ref().and_then(|found| {
        let measure: Measure = result.measure.parse().ok()?;
        Some(format!(" with {}", estimated(measure, prices, found)))
    });
    Some(format!(
        "{} misses `{}`{}",
        named(&standing.strategy),
        result.requirement,
        figure.unwrap_or_default()
    ))
}

fn none_meets(prices: Option<&Prices>, standings: &[Standing]) -> String {
    format!("No strategy keeps what is required{}.", misses(prices, standings))
}

fn tied(
    objective: &Objective,
    prices: Option<&Prices>,
    standings: &[Standing],
    choice: &Choice,
) -> String {
    let Some((measure, best)) = objective.minimise.zip(choice.strategy.clone()) else {
        return format!(
            "{} keep what is required; nothing is minimised to choose between them.",
            all_named(&choice.cannot_be_told_from)
        );
    };
    let alike: Vec<String> =
        std::iter::once(best).chain(choice.cannot_be_told_from.iter().cloned()).collect();
    let figures: Vec<String> = alike
        .iter()
        .map(|name| figure_of(measure, prices, standings, name).trim_start_matches(", ").to_owned())
        .collect();
    let noise = choice.advantages.iter().any(|advantage| {
        advantage.difference == Difference::Noise
            && choice.cannot_be_told_from.contains(&advantage.over)
    });
    let noise = if noise { ", beyond this machine's noise" } else { "" };
    format!(
        "{} have no measurable difference in `{measure}`{noise}: {}.",
        all_named(&alike),
        figures.join(" and ")
    )
}

fn undecided(
    objective: &Objective,
    prices: Option<&Prices>,
    standings: &[Standing],
    choice: &Choice,
) -> String {
    let few = standings
        .iter()
        .flat_map(|one| {
            one.minimised.iter().chain(one.requirements.iter().flat_map(|r| &r.measured))
        })
        .filter(|found| found.interval.is_some())
        .map(|found| found.blocks)
        .min()
        .filter(|blocks| *blocks < FEWEST_BLOCKS);
    let least = match (objective.minimise, &choice.strategy) {
        (Some(measure), Some(best)) => format!(
            " {} came out with the least `{measure}`{}.",
            named(best),
            figure_of(measure, prices, standings, best)
        ),
        _ => String::new(),
    };
    if let Some(blocks) = few {
        return format!(
            "Undecided: {} too few for intervals of 95 %, which take {FEWEST_BLOCKS}.{least}",
            if blocks == 1 {
                "one block is".to_owned()
            } else {
                format!("{} are", quantity::counted(blocks.into(), "block"))
            },
        );
    }
    if choice.may_be_better.is_empty() {
        let alike = all_named(&choice.cannot_be_told_from);
        return format!(
            "Undecided:{least} So few blocks cannot tell it from {alike}, with so many strategies \
             compared."
        );
    }
    let open = all_named(&choice.may_be_better);
    let why = open_requirement(prices, standings, choice);
    match choice.strategy {
        Some(_) => format!("Undecided:{least} But {open} may be no worse, {why}."),
        None => format!("Undecided: of {open} it is open whether what is required is kept, {why}."),
    }
}

/// The first requirement of which it is open whether one of the open strategies keeps it.
fn open_requirement(prices: Option<&Prices>, standings: &[Standing], choice: &Choice) -> String {
    let open = |standing: &&Standing| choice.may_be_better.contains(&standing.strategy);
    let found = standings.iter().filter(open).find_map(|standing| {
        let result = standing.requirements.iter().find(|result| {
            matches!(result.status, Judgement::Undecided | Judgement::NotMeasured)
        })?;
        let measure: Measure = result.measure.parse().ok()?;
        Some(match &result.measured {
            Some(found) => format!(
                "and of {} it is open whether `{}` is kept: {}",
                named(&standing.strategy),
                result.requirement,
                estimated(measure, prices, found)
            ),
            None => format!(
                "and of {} too few events were measured to know `{measure}`",
                named(&standing.strategy)
            ),
        })
    });
    found.unwrap_or_else(|| "and what is minimised was not measured of it".to_owned())
}
