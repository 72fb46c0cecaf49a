//! What a delivered event costs in requests, and how many of them were for nothing.

use crate::analysis::summary::StrategySummary;
use crate::quantity;

use super::Chart;
use super::axis::Unit;
use super::bars::{Bar, BarChart, Part};
use super::style::{PART_ALARM, PART_DARK, PART_LIGHT, PART_OTHER};

pub(super) const CHART: Chart = Chart {
    name: "requests-per-event",
    title: "What an event costs in requests",
    draw: |view| BARS.draw(view, &CHART),
};

/// Requests that brought no event, those answered 304 among them.
const EMPTY: &str = "empty or not modified";

/// Requests that came to nothing, refusals with 429 among them.
const REFUSED: &str = "failed or refused";

const PARTS: &[Part] = &[
    Part { name: "useful: carried an event", colour: PART_DARK },
    Part { name: "empty: carried none, or 304", colour: PART_LIGHT },
    Part { name: REFUSED, colour: PART_ALARM },
    Part { name: "other: hints, streams opened, registrations, tokens", colour: PART_OTHER },
];

const BARS: BarChart = BarChart {
    units: "Requests divided by delivered events",
    parts: PARTS,
    axis: "requests per delivered event",
    unit: Unit::Number,
    bar,
};

fn bar(strategy: &StrategySummary) -> Bar {
    let (name, requests) = (strategy.name.clone(), &strategy.requests);
    let refused = requests.failed + requests.rate_limited;
    let empty = requests.empty + requests.not_modified;
    let told = requests.useful + empty + refused;
    let parts = [requests.useful, empty, refused, requests.total.saturating_sub(told)];
    let delivered = strategy.events.delivered;
    if delivered == 0 {
        let total = quantity::counted(requests.total, "request");
        let figure = "no event was delivered".to_owned();
        let detail = format!("{total} all the same");
        return Bar { name, lengths: Vec::new(), expected: None, figure, detail };
    }
    let expected = strategy.model.as_ref().and_then(|model| model.requests);
    let lengths: Vec<f64> = parts.iter().map(|part| *part as f64 / delivered as f64).collect();
    let empty = if requests.not_modified > 0 { EMPTY } else { "empty" };
    let names = ["useful", empty, if requests.rate_limited > 0 { REFUSED } else { "failed" }];
    let mut detail: Vec<String> = names
        .into_iter()
        .zip(parts)
        .map(|(name, part)| format!("{} {name}", quantity::count(part)))
        .collect();
    if parts[3] > 0 {
        detail.push(format!("{} other", quantity::count(parts[3])));
    }
    Bar {
        name,
        lengths,
        expected: expected.map(|requests| requests / delivered as f64),
        figure: quantity::or_absent(requests.per_event, quantity::ratio),
        detail: detail.join(" · "),
    }
}
