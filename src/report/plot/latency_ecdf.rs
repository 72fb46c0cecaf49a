//! How soon events are usable: the share of emitted events over latency.

use super::Chart;
use super::axis::Axis;
use super::canvas::{Canvas, Place, Reading};
use super::card::{Card, Entry, Frame};
use super::curve::{self, Series};
use super::style::{PLOT_HEIGHT, shade};
use super::view::View;

pub(super) const CHART: Chart =
    Chart { name: "latency-ecdf", title: "How soon events become usable", draw };

fn draw(view: &View<'_>) -> Canvas {
    let units = "Share of emitted events usable within a latency, on a logarithmic axis";
    let mut card = Card::open(view, CHART.name, CHART.title, units);
    let series = curve::series(view, |figures| !figures.ecdf.is_empty());
    let latencies = series.iter().flat_map(|series| {
        let model = series.figures.ecdf_model.iter().flatten();
        series.figures.ecdf.iter().chain(model).map(|(latency, _)| *latency)
    });
    let Some(x) = Axis::latency(latencies, "latency: usable − due") else {
        card.blank(curve::reason(view));
        return card.finish();
    };
    let mut entries: Vec<Entry> = series.iter().map(Series::entry).collect();
    if series.iter().any(|series| series.figures.ecdf_model.is_some()) {
        entries.push(curve::expected_entry());
    }
    card.legend(&entries);
    let frame = card.frame(PLOT_HEIGHT, x, Axis::share("share of emitted events"));
    for series in &series {
        card.canvas.group(&series.strategy.name, |canvas| {
            curve::draw(canvas, &steps(&frame, &series.figures.ecdf), series, Reading::Steps);
            let model = series.figures.ecdf_model.iter().flatten();
            let delivered = series.figures.delivered_model;
            let places =
                model.map(|(latency, share)| frame.place(*latency as f64, share * delivered));
            for stretch in curve::unbroken(places) {
                canvas.dashed(stretch, shade(series.pen().colour), 1.7);
            }
        });
    }
    let at_once = |series: &&Series<'_>| series.figures.ecdf[0].0 == 0;
    for series in series.iter().filter(at_once) {
        let name = &series.strategy.name;
        card.note(format!("“{name}” begins above 0 %: latencies of 0 ns lie left of the axis."));
    }
    curve::account(&mut card, view, &series);
    card.finish()
}

/// The curve as steps: a share holds until the next latency. Latencies of zero lie left of
/// the axis, so a curve that has some begins at the edge, at their share. A curve that ends
/// below one, because events were lost, goes on to the right edge.
fn steps(frame: &Frame, ecdf: &[(u64, f64)]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(ecdf.len() * 2 + 2);
    let mut height = frame.corner.1 + frame.size.1;
    let mut reached = 0.0;
    for &(latency, share) in ecdf {
        let column = frame.column(latency as f64).unwrap_or(frame.corner.0);
        let Some(fraction) = frame.y.fraction(share) else { continue };
        places.push((column, height));
        height = frame.corner.1 + frame.size.1 * (1.0 - fraction);
        places.push((column, height));
        reached = share;
    }
    if reached < 1.0 {
        places.push((frame.corner.0 + frame.size.0, height));
    }
    places
}
