//! The tail of latency: every further nine of the percentile takes the same room.

use super::Chart;
use super::axis::Axis;
use super::canvas::{Canvas, Place, Reading};
use super::card::{Card, Entry, Frame};
use super::curve::{self, Series};
use super::style::{PLOT_HEIGHT, shade};
use super::view::View;

pub(super) const CHART: Chart = Chart {
    name: "latency-percentiles",
    title: "How late the latest events are: latency by percentile",
    draw,
};

fn draw(view: &View<'_>) -> Canvas {
    let units = "Latency on a logarithmic axis, over delivered events";
    let mut card = Card::open(view, CHART.name, CHART.title, units);
    let series = curve::series(view, |figures| !figures.percentiles.is_empty());
    let points = series.iter().flat_map(|series| &series.figures.percentiles);
    let latencies = points.clone().map(|(_, latency)| *latency);
    let Some(y) = Axis::latency(latencies, "latency: usable − due") else {
        card.blank(curve::reason(view));
        return card.finish();
    };
    let most = points.map(|(quantile, _)| *quantile).filter(|quantile| *quantile < 1.0);
    let x = Axis::tail(most.fold(0.0, f64::max), "percentile: share of delivered events");
    let mut entries: Vec<Entry> = series.iter().map(Series::entry).collect();
    if series.iter().any(|series| series.figures.ecdf_model.is_some()) {
        entries.push(curve::expected_entry());
    }
    card.legend(&entries);
    let frame = card.frame(PLOT_HEIGHT, x, y);
    for series in &series {
        card.canvas.group(&series.strategy.name, |canvas| {
            for stretch in curve::unbroken(measured(&frame, series)) {
                curve::draw(canvas, &stretch, series, Reading::Corners);
            }
            for stretch in curve::unbroken(expected(&frame, series)) {
                canvas.dashed(stretch, shade(series.pen().colour), 1.7);
            }
        });
    }
    let latencies = series.iter().flat_map(|series| &series.figures.percentiles);
    curve::account_for_zeros(&mut card, latencies.filter(|(_, latency)| *latency == 0).count());
    card.note("Each curve ends where too few events lie beyond to support it.".to_owned());
    curve::account(&mut card, view, &series);
    card.finish()
}

fn measured<'a>(
    frame: &'a Frame,
    series: &'a Series<'_>,
) -> impl Iterator<Item = Option<Place>> + 'a {
    let points = series.figures.percentiles.iter();
    points.map(|(quantile, latency)| frame.place(*quantile, *latency as f64))
}

/// The model's curve, as far as the measured one goes.
fn expected<'a>(
    frame: &'a Frame,
    series: &'a Series<'_>,
) -> impl Iterator<Item = Option<Place>> + 'a {
    let last = series.figures.percentiles.last().map_or(0.0, |(quantile, _)| *quantile);
    let points = series.figures.ecdf_model.iter().flatten();
    points
        .filter(move |(_, share)| *share <= last)
        .map(|(latency, share)| frame.place(*share, *latency as f64))
}
