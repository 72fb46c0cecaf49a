//! Whether latency held still: median and greatest over the time events were due.

use crate::analysis::figures::TimelineBin;

use super::Chart;
use super::axis::Axis;
use super::canvas::{Canvas, Text};
use super::card::{Card, Entry, Frame, Sample};
use super::curve::{self, Series};
use super::style::{INK_SOFT, PLOT_HEIGHT, SHADE, SMALL_SIZE};
use super::view::View;

/// Room above the plot for the name of the warm-up.
const HEADROOM: f32 = 20.0;

pub(super) const CHART: Chart = Chart {
    name: "latency-over-time",
    title: "Whether latency held still: median and greatest over time",
    draw,
};

fn draw(view: &View<'_>) -> Canvas {
    let units = "Latency of events by when they were due, on a logarithmic axis";
    let mut card = Card::open(view, CHART.name, CHART.title, units);
    let series = curve::series(view, |figures| !figures.timeline.is_empty());
    let bins = || series.iter().flat_map(|series| &series.figures.timeline);
    let latencies = bins().flat_map(|bin| [bin.p50, bin.max]);
    let y = Axis::latency(latencies, "latency: usable − due");
    let (Some(y), Some(curves)) = (y, view.curves()) else {
        card.blank(curve::reason(view));
        return card.finish();
    };
    let end = bins().map(|bin| bin.at).max().unwrap_or(0).max(curves.end);
    let x = Axis::time(end as f64, "due, seconds after the trial began (s)");
    let mut entries: Vec<Entry> = series.iter().map(Series::entry).collect();
    let greatest = "thin: greatest of each stretch".to_owned();
    let thin = Sample::Line(INK_SOFT.with_alpha(0.6), 1.2);
    entries.push(Entry { label: greatest, sample: thin });
    card.legend(&entries);
    card.headroom = if curves.warm_up > 0 { HEADROOM } else { 0.0 };
    let frame = card.frame(PLOT_HEIGHT, x, y);
    shade_warm_up(&mut card.canvas, &frame, curves.warm_up as f64);
    for series in &series {
        card.canvas.group(&series.strategy.name, |canvas| {
            draw_greatest(canvas, &frame, series);
            let bins = series.figures.timeline.iter();
            let places = bins.map(|bin| frame.place(bin.at as f64, bin.p50 as f64));
            for stretch in curve::unbroken(places) {
                curve::draw(canvas, &stretch, series);
            }
        });
    }
    let zeros = |bin: &TimelineBin| usize::from(bin.p50 == 0) + usize::from(bin.max == 0);
    curve::account_for_zeros(&mut card, bins().map(zeros).sum());
    curve::account(&mut card, view, &series);
    card.finish()
}

fn draw_greatest(canvas: &mut Canvas, frame: &Frame, series: &Series<'_>) {
    let colour = series.pen().colour.with_alpha(0.6);
    let bins = series.figures.timeline.iter();
    let places = bins.map(|bin| frame.place(bin.at as f64, bin.max as f64));
    for mut stretch in curve::unbroken(places) {
        if let [(x, y)] = stretch[..] {
            stretch = vec![(x - 3.0, y), (x + 3.0, y)];
        }
        canvas.line(stretch, colour, 1.2);
    }
}

/// Shades the warm-up under the curves, and above them says what it is.
fn shade_warm_up(canvas: &mut Canvas, frame: &Frame, warm_up: f64) {
    let Some(right) = frame.column(warm_up).filter(|_| warm_up > 0.0) else { return };
    let (left, top) = (frame.corner.0, frame.corner.1 - HEADROOM);
    let size = (right - left, frame.size.1 + HEADROOM);
    canvas.rectangle((left, top), size, SHADE.with_alpha(0.75));
    let label = Text::new((left + 4.0, top + 14.0), "warm-up, not counted", SMALL_SIZE);
    canvas.text(label.coloured(INK_SOFT));
}
