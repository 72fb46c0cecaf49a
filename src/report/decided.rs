//! What the objective, the prices and the thresholds of a scenario come to, in words.

use crate::analysis::summary::{
    Basis, Bill, Costs, Decision, Judgement, RequirementResult, Searched, Standing, Summary,
    ThresholdResult,
};
use crate::measure::{Measure, Unit};

use super::point;
use super::wording::one_line;
use crate::quantity::{ABSENT, count, counted, ratio};

/// A judgement in one word.
pub(super) fn judgement_word(status: Judgement) -> &'static str {
    match status {
        Judgement::Met => "met",
        Judgement::Undecided => "undecided",
        Judgement::NotMeasured => "not measured",
        Judgement::Missed => "missed",
    }
}

/// What was wanted: `latency.p99 < 1s, loss = 0, and the least requests.per_event`.
pub(super) fn wanted(decision: &Decision) -> String {
    let require = decision.require.join(", ");
    match (&decision.minimise, require.is_empty()) {
        (Some(measure), true) => format!("the least {measure}"),
        (Some(measure), false) => format!("{require}, and the least {measure}"),
        (None, _) => require,
    }
}

/// Lines under the decision: the points if there are several, how strategies stand if there is
/// one, and where the preference changes.
pub(super) fn decision_lines(decision: &Decision, currency: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    if let [point] = &decision.points[..] {
        lines.extend(point.strategies.iter().map(|standing| stands(decision, standing, currency)));
    } else {
        lines.extend(decision.points.iter().map(|point| {
            let heading = point::heading(&point.parameters).unwrap_or_default();
            format!("{}: {}", one_line(&heading), one_line(&point.choice.sentence))
        }));
    }
    lines.extend(decision.searched.as_ref().map(searched));
    lines.extend(decision.crossovers.iter().map(|crossover| {
        let even =
            crossover.break_even.as_ref().map(|even| format!(" Break-even: {}.", even.words));
        let load = crossover.load.map(|load| {
            let interval =
                load.interval.map(|[low, high]| format!(" ({} to {})", ratio(low), ratio(high)));
            format!(
                " Measured: λT = {}{}, by the events that were really due.",
                ratio(load.value),
                interval.unwrap_or_default()
            )
        });
        let note = crossover.note.as_ref().map(|note| format!(" Note: {note}."));
        one_line(&format!(
            "{}{}{}{}",
            crossover.sentence,
            even.unwrap_or_default(),
            load.unwrap_or_default(),
            note.unwrap_or_default()
        ))
    }));
    lines
}

/// What a search left out, and why.
fn searched(searched: &Searched) -> String {
    let Searched { parameter, points, left_out } = searched;
    format!(
        "Searched along `{parameter}`: {} of {} were left out, because the same strategy has the \
         least at both of their neighbours that were measured.",
        count((*left_out).into()),
        counted((*points).into(), "point")
    )
}

/// How a strategy stands: each requirement, and what is minimised.
fn stands(decision: &Decision, standing: &Standing, currency: Option<&str>) -> String {
    let mut parts: Vec<String> =
        standing.requirements.iter().map(|result| requirement(result, currency)).collect();
    if let (Some(measure), Some(found)) = (&decision.minimise, &standing.minimised) {
        let figure = estimated(measure, found.value, found.interval, currency);
        parts.push(format!("{measure} {figure}"));
    }
    format!("{}: {}", one_line(&standing.strategy), parts.join("; "))
}

/// One requirement: `latency.p99 < 1s met, 12.0 ms (11.0 ms to 13.0 ms)`.
fn requirement(result: &RequirementResult, currency: Option<&str>) -> String {
    let figure = result.measured.map(|found| {
        let figure = estimated(&result.measure, found.value, found.interval, currency);
        format!(", {figure}")
    });
    // That blocks are too few stands in the sentence.
    let note = result.note.as_ref().filter(|_| result.status != Judgement::Undecided);
    let note = note.map(|note| format!(" ({note})"));
    format!(
        "{} {}{}{}",
        result.requirement,
        judgement_word(result.status),
        figure.unwrap_or_default(),
        note.unwrap_or_default()
    )
}

/// A figure of a measure, with its interval.
pub(super) fn estimated(
    measure: &str,
    value: f64,
    interval: Option<[f64; 2]>,
    currency: Option<&str>,
) -> String {
    let write = |value: f64| match measure.parse::<Measure>() {
        Ok(measure) if measure.unit() == Unit::Money => {
            format!("{} {}", measure.write(value), currency.unwrap_or_default())
        }
        Ok(measure) => measure.write(value),
        Err(_) => ratio(value),
    };
    match interval.filter(|[low, high]| low < high) {
        Some([low, high]) => format!("{} ({} to {})", write(value), write(low), write(high)),
        None => write(value),
    }
}

/// What an expectation is about: itself, and the point if there are several.
pub(super) fn expectation(summary: &Summary, result: &ThresholdResult) -> String {
    let said = one_line(&result.expect);
    match point::heading(&result.parameters) {
        // The point is said already where the expectation names all of it.
        Some(at) if summary.points.len() > 1 && !said.contains(" at ") => {
            format!("{said} at {}", one_line(&at))
        }
        _ => said,
    }
}

/// The headings of [`bill_row`].
pub(super) const BILL_HEADINGS: [&str; 6] =
    ["figures", "subscribers", "source", "subscriber", "total", "interval"];

/// A bill: where its figures come from, how many subscribers, what each side pays, and both.
pub(super) fn bill_row(bill: &Bill) -> [String; 6] {
    let interval = bill.interval.filter(|[low, high]| low < high);
    [
        basis_word(bill.basis).to_owned(),
        count(bill.subscribers),
        ratio(bill.source.total),
        ratio(bill.subscriber.total),
        ratio(bill.total),
        interval.map_or_else(
            || ABSENT.to_owned(),
            |[low, high]| format!("{} to {}", ratio(low), ratio(high)),
        ),
    ]
}

/// Where a figure comes from, in one word.
pub(super) fn basis_word(basis: Basis) -> &'static str {
    match basis {
        Basis::Measured => "measured",
        Basis::Modelled => "modelled",
        Basis::Extrapolated => "extrapolated",
    }
}

/// The heading of the costs.
pub(super) fn costs_heading(costs: &Costs) -> String {
    format!("Cost of a month in {}", one_line(&costs.currency))
}
