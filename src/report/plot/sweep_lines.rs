//! A measure along a swept setting, one line a strategy, with its interval over blocks as a band.

use crate::measure::Measure;

use super::SweepChart;
use super::axis::{Axis, Unit};
use super::canvas::{Canvas, Place, Reading};
use super::card::{Card, Entry, Frame, Sample};
use super::curve;
use super::style::{INK_SOFT, PLOT_HEIGHT, pen, shade};
use super::sweep::{self, Estimate, Line, RATE, Setting, SweepView};

pub(super) const LATENCY_P50: SweepChart = SweepChart {
    name: "sweep-latency-p50",
    title: "Median latency along the sweep",
    draw: |view| draw(view, &LATENCY_P50, Measure::LatencyP50, Unit::Nanoseconds),
};

pub(super) const LATENCY_P99: SweepChart = SweepChart {
    name: "sweep-latency-p99",
    title: "99th percentile of latency along the sweep",
    draw: |view| draw(view, &LATENCY_P99, Measure::LatencyP99, Unit::Nanoseconds),
};

pub(super) const REQUESTS: SweepChart = SweepChart {
    name: "sweep-requests-per-event",
    title: "Requests an event costs along the sweep",
    draw: |view| draw(view, &REQUESTS, Measure::RequestsPerEvent, Unit::Number),
};

pub(super) const CPU: SweepChart = SweepChart {
    name: "sweep-cpu-per-event",
    title: "CPU time an event costs along the sweep",
    draw: |view| draw(view, &CPU, Measure::CpuPerEvent, Unit::Nanoseconds),
};

/// The most lines of other settings that are drawn, one plot each.
const MOST_PLOTS: usize = 6;
/// Height of each of several plots.
const SMALL_HEIGHT: f32 = 190.0;

fn draw(view: &SweepView<'_>, chart: &SweepChart, measure: Measure, unit: Unit) -> Canvas {
    let units = format!("{} on logarithmic axes, medians over blocks", measure.name());
    let mut card = Card::open(view.subject(), chart.name, chart.title, &units);
    let Some(main) = view.main() else {
        card.blank("Nothing to show: no swept setting is a quantity with several values.");
        return card.finish();
    };
    let lines = view.lines(main);
    let shown = &lines[..lines.len().min(MOST_PLOTS)];
    let estimates = shown.iter().flat_map(|line| &line.points).flat_map(|(_, point)| {
        let of = |strategy| view.estimate(point, strategy, measure);
        point.strategies.iter().filter_map(of)
    });
    let ends = estimates.flat_map(|Estimate { value, interval }| {
        std::iter::once(value).chain(interval.into_iter().flatten())
    });
    let x = Axis::of_values(&main.numbers(), &main.path, main.unit);
    let y = Axis::log(ends, measure.name(), unit);
    let (Some(x), Some(y)) = (x, y) else {
        card.blank("Nothing to show: the measure is not known at any point.");
        return card.finish();
    };
    legend(&mut card, view, shown, main, measure);
    let height = if shown.len() == 1 { PLOT_HEIGHT } else { SMALL_HEIGHT };
    for line in shown {
        if let Some(held) = sweep::held(line) {
            card.heading(&held);
        }
        let frame = card.frame(height, x.clone(), y.clone());
        draw_break_even(&mut card.canvas, &frame, line, main, measure);
        draw_line(&mut card, &frame, view, line, measure);
    }
    // Values are read off one plot only.
    if shown.len() > 1 {
        card.canvas.scales = None;
    }
    account(&mut card, lines.len(), view, shown, measure);
    card.finish()
}

fn legend(
    card: &mut Card<'_>,
    view: &SweepView<'_>,
    lines: &[Line<'_>],
    main: &Setting,
    measure: Measure,
) {
    let names = view.strategies();
    let mut entries: Vec<Entry> = names
        .iter()
        .enumerate()
        .map(|(place, name)| Entry { label: (*name).to_owned(), sample: Sample::Curve(pen(place)) })
        .collect();
    if lines.iter().any(|line| !break_even(line, main, measure).is_empty()) {
        let label = "dashed: a poll’s λT = 1, closed form".to_owned();
        entries.push(Entry { label, sample: Sample::Dashes(INK_SOFT) });
    }
    card.legend(&entries);
}

fn draw_line(
    card: &mut Card<'_>,
    frame: &Frame,
    view: &SweepView<'_>,
    line: &Line<'_>,
    measure: Measure,
) {
    for (place, name) in view.strategies().into_iter().enumerate() {
        let known: Vec<(f64, Estimate)> = line
            .points
            .iter()
            .filter_map(|(x, point)| {
                let strategy = point.strategies.iter().find(|one| one.name == name)?;
                Some((*x, view.estimate(point, strategy, measure)?))
            })
            .collect();
        let pen = pen(place);
        card.canvas.group(name, |canvas| {
            for band in bands(frame, &known) {
                canvas.area(band, pen.colour.with_alpha(0.2), None);
            }
            let places = known.iter().map(|(x, estimate)| frame.place(*x, estimate.value));
            for stretch in curve::unbroken(places) {
                canvas.curve(stretch.clone(), pen.colour, Reading::Corners);
                for place in stretch {
                    canvas.marker(place, pen);
                }
            }
        });
        let said: Vec<String> =
            known.iter().map(|(_, estimate)| measure.write(estimate.value)).collect();
        if !said.is_empty() {
            card.describe(&format!("{name}: {}.", said.join(", ")));
        }
    }
}

/// The outlines of the intervals of neighbouring points.
fn bands(frame: &Frame, known: &[(f64, Estimate)]) -> Vec<Vec<Place>> {
    let ends = known.iter().map(|(x, estimate)| {
        let [low, high] = estimate.interval?;
        Some((frame.place(*x, low)?, frame.place(*x, high)?))
    });
    let mut bands: Vec<Vec<(Place, Place)>> = vec![Vec::new()];
    for end in ends {
        match (end, bands.last_mut()) {
            (Some(end), Some(band)) => band.push(end),
            _ => bands.push(Vec::new()),
        }
    }
    bands
        .into_iter()
        .filter(|band| band.len() > 1)
        .map(|band| {
            let lower = band.iter().map(|(low, _)| *low);
            lower.chain(band.iter().rev().map(|(_, high)| *high)).collect()
        })
        .collect()
}

/// Where each poll at fixed times makes as many requests as a webhook, along the rate of events:
/// the strategies' places and the rates.
fn break_even(line: &Line<'_>, main: &Setting, measure: Measure) -> Vec<(usize, f64)> {
    let Some((_, point)) = line.points.first() else { return Vec::new() };
    let webhook = point.strategies.iter().any(sweep::plain_webhook);
    if measure != Measure::RequestsPerEvent || main.path != RATE || !webhook {
        return Vec::new();
    }
    let polls = point.strategies.iter().enumerate();
    polls.filter_map(|(place, one)| Some((place, sweep::plain_poll(one)?.recip()))).collect()
}

fn draw_break_even(
    canvas: &mut Canvas,
    frame: &Frame,
    line: &Line<'_>,
    main: &Setting,
    measure: Measure,
) {
    for (place, rate) in break_even(line, main, measure) {
        let Some(x) = frame.column(rate) else { continue };
        let (top, bottom) = (frame.corner.1, frame.corner.1 + frame.size.1);
        canvas.dashed(vec![(x, top), (x, bottom)], shade(pen(place).colour), 1.7);
    }
}

fn account(
    card: &mut Card<'_>,
    lines: usize,
    view: &SweepView<'_>,
    shown: &[Line<'_>],
    measure: Measure,
) {
    let estimates = || {
        shown.iter().flat_map(|line| &line.points).flat_map(|(_, point)| {
            let of = |strategy| view.estimate(point, strategy, measure);
            point.strategies.iter().map(of)
        })
    };
    if estimates().flatten().any(|estimate| estimate.interval.is_some()) {
        card.note("Bands are intervals of at least 95 % over blocks.".to_owned());
    } else {
        card.note("Without bands: fewer than six blocks have no interval.".to_owned());
    }
    let unknown = estimates().filter(Option::is_none).count();
    if unknown > 0 {
        let words = format!("A line breaks where the sample cannot support it: {unknown} times.");
        card.note(words);
    }
    if lines > shown.len() {
        card.note(format!(
            "{} of {lines} combinations of the other settings are shown.",
            shown.len()
        ));
    }
}
