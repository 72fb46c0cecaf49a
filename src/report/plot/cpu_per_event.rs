//! What a delivered event costs in CPU time, on either side.

use crate::analysis::summary::StrategySummary;
use crate::quantity;

use super::Chart;
use super::axis::Unit;
use super::bars::{Bar, BarChart, Part};
use super::style::{PART_DARK, PART_WARM};

pub(super) const CHART: Chart = Chart {
    name: "cpu-per-event",
    title: "What an event costs in CPU time, on either side",
    draw: |view| BARS.draw(view, &CHART),
};

const PARTS: &[Part] = &[
    Part { name: "source, this strategy’s lane", colour: PART_DARK },
    Part { name: "subscriber", colour: PART_WARM },
];

const BARS: BarChart = BarChart {
    units: "CPU time inside the window divided by delivered events",
    parts: PARTS,
    axis: "CPU time per delivered event",
    unit: Unit::Nanoseconds,
    bar,
};

fn bar(strategy: &StrategySummary) -> Bar {
    let (name, cpu) = (strategy.name.clone(), &strategy.cpu);
    let delivered = strategy.events.delivered;
    if delivered == 0 {
        let spent = quantity::duration(cpu.source as f64 + cpu.subscriber.unwrap_or(0) as f64);
        let figure = "no event was delivered".to_owned();
        let detail = format!("{spent} all the same");
        return Bar { name, lengths: Vec::new(), expected: None, figure, detail };
    }
    let lengths =
        [cpu.source, cpu.subscriber.unwrap_or(0)].map(|part| part as f64 / delivered as f64);
    let [source, subscriber] = lengths.map(quantity::duration);
    Bar {
        name,
        lengths: lengths.to_vec(),
        expected: None,
        figure: quantity::or_absent(cpu.per_event.map(|time| time as f64), quantity::duration),
        detail: format!("source {source} · subscriber {subscriber}"),
    }
}
