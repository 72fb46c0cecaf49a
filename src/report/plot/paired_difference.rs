//! How much sooner or later each event came than with the first strategy.

use super::Chart;
use super::axis::{Axis, Unit};
use super::canvas::{Canvas, Reading};
use super::card::{Card, Entry, Frame, Sample};
use super::curve::{self, Series};
use super::style::{AXIS, INK, PLOT_HEIGHT};
use super::view::View;
use crate::analysis::summary::Paired;
use crate::quantity;

pub(super) const CHART: Chart = Chart {
    name: "paired-difference",
    title: "The same event beside the first strategy: how much sooner or later",
    draw,
};

fn draw(view: &View<'_>) -> Canvas {
    let units = "Share of events by latency less that of the first strategy, event by event";
    let mut card = Card::open(view, CHART.name, CHART.title, units);
    let series = curve::series(view, |figures| !figures.differences.is_empty());
    let points = || series.iter().flat_map(|series| &series.figures.differences);
    let ends = points().map(|(_, difference)| *difference);
    let (Some(least), Some(most)) = (ends.clone().min(), ends.max()) else {
        card.blank(reason(view));
        return card.finish();
    };
    let title = "difference of latency: strategy − first";
    let x = Axis::between(least as f64, most as f64, title, Unit::Difference);
    let mut entries: Vec<Entry> = series.iter().map(Series::entry).collect();
    let middle = "across: interval of the median".to_owned();
    if view.point.paired.iter().any(|pair| pair.interval.is_some()) {
        entries.push(Entry { label: middle, sample: Sample::Line(INK, 1.7) });
    }
    card.legend(&entries);
    let frame = card.frame(PLOT_HEIGHT, x, Axis::share("share of events"));
    if let Some(zero) = frame.column(0.0) {
        let (top, bottom) = (frame.corner.1, frame.corner.1 + frame.size.1);
        card.canvas.line(vec![(zero, top), (zero, bottom)], AXIS, 1.6);
    }
    for series in &series {
        let pair = pair(view, series);
        card.canvas.group(&series.strategy.name, |canvas| {
            let points = series.figures.differences.iter();
            let places = points.map(|(share, by)| frame.place(*by as f64, *share));
            for stretch in curve::unbroken(places) {
                curve::draw(canvas, &stretch, series, Reading::Corners);
            }
            draw_interval(canvas, &frame, pair);
        });
    }
    account(&mut card, view, &series);
    card.finish()
}

/// Draws the interval of the median across the curve.
fn draw_interval(canvas: &mut Canvas, frame: &Frame, pair: Option<&Paired>) {
    let Some(interval) = pair.and_then(|pair| pair.interval) else { return };
    let ends = [interval.low, interval.high].map(|end| frame.place(end as f64, 0.5));
    let [Some(low), Some(high)] = ends else { return };
    canvas.line(vec![low, high], INK, 1.7);
    for (x, y) in [low, high] {
        canvas.line(vec![(x, y - 7.0), (x, y + 7.0)], INK, 1.7);
    }
}

fn pair<'a>(view: &View<'a>, series: &Series<'_>) -> Option<&'a Paired> {
    view.point.paired.iter().find(|pair| pair.strategy == series.strategy.name)
}

/// Says what each curve is beside, and why a strategy has none.
fn account(card: &mut Card<'_>, view: &View<'_>, drawn: &[Series<'_>]) {
    if let Some(pair) = view.point.paired.first() {
        card.note(format!(
            "Left of zero, an event came sooner than with “{}”. Each curve ends where fewer than \
             ten events of a block lie beyond.",
            pair.baseline
        ));
    }
    for pair in &view.point.paired {
        let size = quantity::nanoseconds(pair.difference.unsigned_abs());
        let way = if pair.difference < 0 { "sooner" } else { "later" };
        card.describe(&format!("{}: {size} {way} in the median.", pair.strategy));
        if drawn.iter().all(|series| series.strategy.name != pair.strategy) {
            card.note(format!("No curve for “{}”: its blocks hold too few events.", pair.strategy));
        }
    }
}

fn reason(view: &View<'_>) -> &'static str {
    if view.point.strategies.is_empty() {
        curve::reason(view)
    } else if view.point.strategies.len() == 1 {
        "Nothing to show: a single strategy was measured, and is compared with nothing."
    } else if view.point.paired.is_empty() {
        "Nothing to show: no two strategies were measured side by side, so that no event came \
         both ways at once."
    } else {
        "Nothing to show: the blocks hold too few events for quantiles."
    }
}
