//! What lower latency costs in requests: one mark a strategy, and the front of those that no
//! other one beats in both.

use crate::analysis::figures::OverBlocks;
use crate::analysis::summary::{LatencySummary, StrategySummary};
use crate::measure::Measure;
use crate::quantity;

use super::Chart;
use super::axis::{Axis, Unit};
use super::canvas::{Canvas, Place};
use super::card::{Card, Entry, Frame, Sample};
use super::curve;
use super::style::{INK_SOFT, PLOT_HEIGHT, pen};
use super::view::View;

pub(super) const CHART: Chart =
    Chart { name: "trade-off", title: "What lower latency costs: latency against requests", draw };

/// A quantile of latency: its name, and its value for a strategy.
type Quantile = (&'static str, fn(&LatencySummary) -> Option<u64>);

/// Quantiles of latency, the highest first.
const QUANTILES: [Quantile; 4] = [
    ("p99", |latency| latency.p99),
    ("p95", |latency| latency.p95),
    ("p90", |latency| latency.p90),
    ("p50", |latency| latency.p50),
];

/// A strategy in the plane.
struct Mark<'a> {
    place: usize,
    strategy: &'a StrategySummary,
    requests: f64,
    latency: f64,
    /// Intervals over blocks.
    requests_between: Option<[f64; 2]>,
    latency_between: Option<[u64; 2]>,
}

fn draw(view: &View<'_>) -> Canvas {
    let quantile = quantile(&view.point.strategies);
    let units = match quantile {
        Some((name, _)) => format!(
            "{name} latency and requests per delivered event, on logarithmic axes; lower and \
             further left is better"
        ),
        None => "Latency and requests per delivered event".to_owned(),
    };
    let mut card = Card::open(view, CHART.name, CHART.title, &units);
    let Some((name, read)) = quantile else {
        card.blank(curve::reason(view));
        return card.finish();
    };
    let marks = marks(view, name, read);
    let Some((x, y)) = axes(&marks, name) else {
        card.blank("Nothing to show: no strategy has both a latency and requests.");
        return card.finish();
    };
    let mut entries: Vec<Entry> = marks
        .iter()
        .map(|mark| Entry {
            label: mark.strategy.name.clone(),
            sample: Sample::Curve(pen(mark.place)),
        })
        .collect();
    let front = front(&marks);
    entries.push(Entry {
        label: "no other strategy is better in both".to_owned(),
        sample: Sample::Dashes(INK_SOFT),
    });
    card.legend(&entries);
    let frame = card.frame(PLOT_HEIGHT, x, y);
    // Read off by the words of each mark, not along an axis.
    card.canvas.scales = None;
    card.canvas.dashed(staircase(&frame, &front), INK_SOFT, 1.7);
    for mark in &marks {
        let words = words(mark, name);
        card.canvas.group_with_words(&mark.strategy.name, &words, |canvas| {
            draw_mark(canvas, &frame, mark);
        });
        card.describe(&words);
    }
    account(&mut card, view, &marks);
    card.finish()
}

/// The highest quantile that every strategy with a delivery has.
fn quantile(strategies: &[StrategySummary]) -> Option<Quantile> {
    let mut delivering = strategies.iter().filter(|strategy| strategy.events.delivered > 0);
    delivering.clone().next()?;
    QUANTILES
        .into_iter()
        .find(|(_, read)| delivering.clone().all(|strategy| read(&strategy.latency).is_some()))
        .or_else(|| {
            // Some strategies have no quantile at all: those that have one are shown.
            delivering.find_map(|strategy| {
                QUANTILES.into_iter().find(|(_, read)| read(&strategy.latency).is_some())
            })
        })
}

fn marks<'a>(
    view: &View<'a>,
    quantile: &str,
    read: fn(&LatencySummary) -> Option<u64>,
) -> Vec<Mark<'a>> {
    view.strategies()
        .filter_map(|(place, strategy, figures)| {
            let requests = strategy.requests.per_event.filter(|requests| *requests > 0.0)?;
            let latency = read(&strategy.latency).filter(|latency| *latency > 0)?;
            let of_requests = |over: &&OverBlocks| over.measure == Measure::RequestsPerEvent;
            let over = figures.and_then(|figures| figures.over_blocks.iter().find(of_requests));
            let ci95 = &strategy.latency.ci95;
            Some(Mark {
                place,
                strategy,
                requests,
                latency: latency as f64,
                requests_between: over.and_then(|over| over.interval),
                latency_between: match quantile {
                    "p99" => ci95.p99,
                    "p50" => ci95.p50,
                    _ => None,
                },
            })
        })
        .collect()
}

fn axes(marks: &[Mark<'_>], quantile: &str) -> Option<(Axis, Axis)> {
    let requests = marks.iter().flat_map(|mark| {
        let ends = mark.requests_between.into_iter().flatten();
        around(mark.requests).into_iter().chain(ends)
    });
    let latencies = marks.iter().flat_map(|mark| {
        let ends = mark.latency_between.into_iter().flatten().map(|end| end as f64);
        around(mark.latency).into_iter().chain(ends)
    });
    let x = Axis::log(requests, "requests per delivered event", Unit::Number)?;
    let y = Axis::log(latencies, &format!("{quantile} latency: usable − due"), Unit::Nanoseconds)?;
    Some((x, y))
}

/// A little less and a little more, so that no mark lies on the edge.
fn around(value: f64) -> [f64; 2] {
    [value / 1.15, value * 1.15]
}

/// The marks that no other one beats in both, from the fewest requests on.
fn front<'m, 'a>(marks: &'m [Mark<'a>]) -> Vec<&'m Mark<'a>> {
    let mut sorted: Vec<&Mark<'_>> = marks.iter().collect();
    sorted.sort_by(|one, other| {
        one.requests.total_cmp(&other.requests).then(one.latency.total_cmp(&other.latency))
    });
    let mut least = f64::INFINITY;
    sorted.retain(|mark| {
        let better = mark.latency < least;
        least = least.min(mark.latency);
        better
    });
    sorted
}

/// The edge of what the front beats: up from its first mark, and right from its last.
fn staircase(frame: &Frame, front: &[&Mark<'_>]) -> Vec<Place> {
    let (top, right) = (frame.corner.1, frame.corner.0 + frame.size.0);
    let mut places: Vec<Place> = Vec::new();
    for mark in front {
        let Some((x, y)) = frame.place(mark.requests, mark.latency) else { continue };
        let above = places.last().map_or(top, |(_, above)| *above);
        places.extend([(x, above), (x, y)]);
    }
    places.extend(places.last().map(|(_, y)| (right, *y)));
    places
}

fn draw_mark(canvas: &mut Canvas, frame: &Frame, mark: &Mark<'_>) {
    let pen = pen(mark.place);
    let between = |ends: Option<[Option<Place>; 2]>| -> Option<Vec<Place>> {
        let [from, until] = ends?;
        Some(vec![from?, until?])
    };
    let across = mark.requests_between.map(|ends| ends.map(|end| frame.place(end, mark.latency)));
    let along =
        mark.latency_between.map(|ends| ends.map(|end| frame.place(mark.requests, end as f64)));
    for line in [between(across), between(along)].into_iter().flatten() {
        canvas.line(line, pen.colour, 2.0);
    }
    if let Some(place) = frame.place(mark.requests, mark.latency) {
        canvas.marker(place, pen);
    }
}

fn words(mark: &Mark<'_>, quantile: &str) -> String {
    let latency = quantity::duration(mark.latency);
    let requests = quantity::ratio(mark.requests);
    let name = &mark.strategy.name;
    format!("{name}: {quantile} {latency}, {requests} requests per event.")
}

fn account(card: &mut Card<'_>, view: &View<'_>, drawn: &[Mark<'_>]) {
    let whiskers =
        drawn.iter().any(|mark| mark.latency_between.is_some() || mark.requests_between.is_some());
    if whiskers {
        card.note("Lines through marks are intervals of at least 95 % over blocks.".to_owned());
    }
    for (place, strategy, _) in view.strategies() {
        if drawn.iter().any(|mark| mark.place == place) {
            continue;
        }
        let name = &strategy.name;
        let why = if strategy.events.delivered == 0 {
            "it delivered nothing"
        } else if strategy.requests.total == 0 {
            "it made no request, and a logarithmic axis has no zero"
        } else {
            "too few events support its latency"
        };
        card.note(format!("Left out: “{name}”; {why}."));
    }
}
