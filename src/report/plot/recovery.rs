//! How strategies bore what went wrong: what they knew and what they missed, over time.

use crate::analysis::figures::StrategyFigures;

use super::Chart;
use super::axis::{Axis, Unit};
use super::canvas::{Canvas, Reading};
use super::card::{Card, Entry, Frame, Sample};
use super::curve::{self, Series};
use super::latency_over_time::{INCIDENT, INCIDENT_WORDS, incidents, shade_between};
use super::style::PLOT_HEIGHT;
use super::view::View;
use crate::quantity;

pub(super) const CHART: Chart = Chart {
    name: "recovery",
    title: "How each strategy bore the faults: what its subscribers knew, and what they missed",
    draw,
};

fn draw(view: &View<'_>) -> Canvas {
    let units = "Mean over blocks, and over subscribers but for requests";
    let mut card = Card::open(view, CHART.name, CHART.title, units);
    let series = curve::series(view, |figures| !figures.course.at.is_empty());
    let Some(curves) = view.curves().filter(|_| !series.is_empty()) else {
        card.blank("Nothing to show: no fault befell a strategy, or too little was kept of it.");
        return card.finish();
    };
    let mut entries: Vec<Entry> = series.iter().map(Series::entry).collect();
    entries.push(Entry { label: INCIDENT_WORDS.to_owned(), sample: Sample::Block(INCIDENT) });
    card.legend(&entries);
    let most = |of: fn(&StrategyFigures) -> &Vec<f64>| {
        series.iter().flat_map(|series| of(series.figures)).copied().fold(0.0, f64::max)
    };
    let end = curves.end as f64;
    let time = || Axis::time(end, "seconds after the trial began (s)");
    let y = Axis::linear(most(age), "age of the newest event known", Unit::Nanoseconds);
    let frame = card.frame(PLOT_HEIGHT / 1.6, time(), y);
    curves_of(&mut card, &frame, &series, age);
    let y = Axis::linear(most(missing), "events due and not usable", Unit::Number);
    let frame = card.frame(PLOT_HEIGHT / 1.6, time(), y);
    curves_of(&mut card, &frame, &series, missing);
    if most(requests) > 0.0 {
        let y = Axis::linear(most(requests), "requests a second, retries included", Unit::Number);
        let frame = card.frame(PLOT_HEIGHT / 1.6, time(), y);
        curves_of(&mut card, &frame, &series, requests);
    }
    for series in &series {
        for one in &series.strategy.recovery {
            let name = &series.strategy.name;
            let rest = match one.lost {
                lost if lost > 0 && lost == one.due => String::new(),
                _ => {
                    let after = quantity::nanoseconds(one.consistent_after_max);
                    format!(", the rest there {after} after the end")
                }
            };
            let due = quantity::counted(one.due, "event");
            card.describe(&format!("{name}: {} of {due} lost{rest}.", quantity::count(one.lost)));
        }
    }
    card.note("What is lost stays missing: such a curve does not come down again.".to_owned());
    card.finish()
}

fn age(figures: &StrategyFigures) -> &Vec<f64> {
    &figures.course.age
}

fn missing(figures: &StrategyFigures) -> &Vec<f64> {
    &figures.course.missing
}

fn requests(figures: &StrategyFigures) -> &Vec<f64> {
    &figures.course.requests
}

fn curves_of(
    card: &mut Card<'_>,
    frame: &Frame,
    series: &[Series<'_>],
    of: fn(&StrategyFigures) -> &Vec<f64>,
) {
    for incident in incidents(series) {
        shade_between(&mut card.canvas, frame, incident, INCIDENT);
    }
    for series in series {
        card.canvas.group(&series.strategy.name, |canvas| {
            let course = series.figures.course.at.iter().zip(of(series.figures));
            let places = course.map(|(at, value)| frame.place(*at as f64, *value));
            for stretch in curve::unbroken(places) {
                curve::draw(canvas, &stretch, series, Reading::Corners);
            }
        });
    }
}
