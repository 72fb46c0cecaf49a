//! Whether latency held still: median and greatest over the time events were due.

use crate::analysis::figures::TimelineBin;

use super::Chart;
use super::axis::Axis;
use super::canvas::{Canvas, Reading};
use super::card::{Card, Entry, Frame, Sample};
use super::curve::{self, Series};
use super::style::{ALARM, Colour, INK_SOFT, PLOT_HEIGHT, SHADE};
use super::view::View;
use crate::quantity;

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
    if curves.warm_up > 0 {
        let excluded = "shaded: warm-up, excluded from every figure".to_owned();
        entries.push(Entry { label: excluded, sample: Sample::Block(WARM_UP) });
    }
    let incidents = incidents(&series);
    if !incidents.is_empty() {
        entries.push(Entry { label: INCIDENT_WORDS.to_owned(), sample: Sample::Block(INCIDENT) });
    }
    if series.iter().any(|series| series.figures.unsettled.is_some()) {
        let late = "dashed: latency changed after the warm-up".to_owned();
        entries.push(Entry { label: late, sample: Sample::Dashes(INK_SOFT) });
    }
    card.legend(&entries);
    let frame = card.frame(PLOT_HEIGHT, x, y);
    shade_between(&mut card.canvas, &frame, [0, curves.warm_up], WARM_UP);
    for incident in &incidents {
        shade_between(&mut card.canvas, &frame, *incident, INCIDENT);
    }
    for series in &series {
        card.canvas.group(&series.strategy.name, |canvas| {
            draw_greatest(canvas, &frame, series);
            if let Some(x) = series.figures.unsettled.and_then(|at| frame.column(at as f64)) {
                let (top, bottom) = (frame.corner.1, frame.corner.1 + frame.size.1);
                canvas.dashed(vec![(x, top), (x, bottom)], series.pen().colour, 1.7);
            }
            let bins = series.figures.timeline.iter();
            let places = bins.map(|bin| frame.place(bin.at as f64, bin.p50 as f64));
            for stretch in curve::unbroken(places) {
                curve::draw(canvas, &stretch, series, Reading::Corners);
            }
        });
    }
    let zeros = |bin: &TimelineBin| usize::from(bin.p50 == 0) + usize::from(bin.max == 0);
    curve::account_for_zeros(&mut card, bins().map(zeros).sum());
    curve::account(&mut card, view, &series);
    account_for_changes(&mut card, &series);
    card.finish()
}

/// Says what a dashed line is the end of.
fn account_for_changes(card: &mut Card<'_>, series: &[Series<'_>]) {
    for series in series {
        let Some(at) = series.figures.unsettled else { continue };
        let (name, at) = (&series.strategy.name, quantity::nanoseconds(at));
        card.note(format!(
            "“{name}” took other times until {at} after the trial began, which is in its figures \
             as far as it is in the window."
        ));
    }
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

/// The warm-up's shade, through which grid and axis are seen.
const WARM_UP: Colour = SHADE.with_alpha(0.7);
/// An incident's tint.
pub(super) const INCIDENT: Colour = ALARM.with_alpha(0.12);
/// What the tint means.
pub(super) const INCIDENT_WORDS: &str = "tinted: a fault, as the scenario has it";

/// The incidents of all strategies, each once.
pub(super) fn incidents(series: &[Series<'_>]) -> Vec<[u64; 2]> {
    let mut incidents: Vec<[u64; 2]> =
        series.iter().flat_map(|series| series.figures.incidents.iter().copied()).collect();
    incidents.sort_unstable();
    incidents.dedup();
    incidents
}

/// Shades a stretch of time under the curves, as far as it is on the axis.
pub(super) fn shade_between(
    canvas: &mut Canvas,
    frame: &Frame,
    [from, until]: [u64; 2],
    colour: Colour,
) {
    let (left, top) = frame.corner;
    let from = frame.column(from as f64);
    let until = frame.column(until as f64).unwrap_or(left + frame.size.0);
    if let Some(from) = from.filter(|from| *from < until) {
        canvas.rectangle((from, top), (until - from, frame.size.1), colour);
    }
}
