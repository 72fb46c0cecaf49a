//! How much memory either side held at most.

use crate::analysis::summary::StrategySummary;
use crate::quantity;

use super::Chart;
use super::axis::Unit;
use super::bars::{self, Bar, Part};
use super::canvas::Canvas;
use super::card::Card;
use super::style::{PART_DARK, PART_OTHER, PART_WARM};
use super::view::View;

pub(super) const CHART: Chart =
    Chart { name: "memory", title: "How much memory either side held at most", draw };

const PARTS: &[Part] = &[
    Part { name: "subscribers’ process", colour: PART_WARM },
    Part { name: "source process, this strategy alone", colour: PART_DARK },
    Part { name: "source process, shared by all strategies", colour: PART_OTHER },
];

fn draw(view: &View<'_>) -> Canvas {
    let units = "Largest resident memory of each side’s process in any block";
    let mut card = Card::open(view, CHART.name, CHART.title, units);
    let strategies = &view.point.strategies;
    if strategies.is_empty() {
        card.blank("Nothing to show: no strategy was measured at this point.");
        return card.finish();
    }
    if strategies.iter().all(|strategy| peaks(strategy) == [0; 2]) {
        card.blank("Nothing to show: no memory was measured at this point.");
        return card.finish();
    }
    let bars: Vec<Bar> = strategies.iter().map(bar).collect();
    bars::draw(&mut card, PARTS, &bars, "resident memory", Unit::Bytes);
    if strategies.iter().any(|strategy| strategy.memory.source_lanes > 1) {
        card.note(
            "A source process that serves several strategies at once holds the memory of all of \
             them: compare the subscribers’ parts, or run each alone (layout solo)."
                .to_owned(),
        );
    }
    card.finish()
}

fn peaks(strategy: &StrategySummary) -> [u64; 2] {
    [strategy.memory.source_peak, strategy.memory.subscriber_peak]
}

fn bar(strategy: &StrategySummary) -> Bar {
    let [source, subscriber] = peaks(strategy).map(|peak| peak as f64);
    let shared = strategy.memory.source_lanes > 1;
    let [alone, together] = if shared { [0.0, source] } else { [source, 0.0] };
    let shared = if shared { ", shared" } else { "" };
    Bar {
        name: strategy.name.clone(),
        lengths: vec![subscriber, alone, together],
        expected: None,
        figure: format!("subscriber {}", quantity::bytes(subscriber)),
        detail: format!("source {}{shared}", quantity::bytes(source)),
    }
}
