//! What a delivered event costs in bytes on the wire, in either direction.

use crate::analysis::summary::StrategySummary;
use crate::quantity;

use super::Chart;
use super::axis::Unit;
use super::bars::{Bar, BarChart, Part};
use super::style::{PART_DARK, PART_WARM};

pub(super) const CHART: Chart = Chart {
    name: "bytes-per-event",
    title: "What an event costs in bytes on the wire",
    draw: |view| BARS.draw(view, &CHART),
};

const PARTS: &[Part] = &[
    Part { name: "from the source", colour: PART_DARK },
    Part { name: "to the source", colour: PART_WARM },
];

const BARS: BarChart = BarChart {
    units: "Bytes on the source’s sockets divided by delivered events",
    parts: PARTS,
    axis: "bytes per delivered event",
    unit: Unit::Bytes,
    bar,
};

fn bar(strategy: &StrategySummary) -> Bar {
    let (name, bytes) = (strategy.name.clone(), &strategy.bytes);
    let delivered = strategy.events.delivered;
    if delivered == 0 {
        let sent = quantity::bytes((bytes.from_source + bytes.to_source) as f64);
        let figure = "no event was delivered".to_owned();
        let detail = format!("{sent} all the same");
        return Bar { name, lengths: Vec::new(), expected: None, figure, detail };
    }
    let lengths = [bytes.from_source, bytes.to_source].map(|part| part as f64 / delivered as f64);
    let [from, to] = lengths.map(quantity::bytes);
    Bar {
        name,
        lengths: lengths.to_vec(),
        expected: None,
        figure: quantity::or_absent(bytes.per_event, quantity::bytes),
        detail: format!("from the source {from} · to it {to}"),
    }
}
