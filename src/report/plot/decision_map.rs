//! Which strategy to choose, cell by cell: over two swept settings, and over one of them and the
//! latency that is acceptable.
//!
//! With an objective a cell is what the objective came to. Without one it is who needs the fewest
//! requests; strategies whose intervals overlap are not told apart.

use crate::analysis::summary::{ChoiceStatus, PointSummary, StrategySummary, Summary};
use crate::measure::Measure;
use crate::quantity;

use super::SweepChart;
use super::axis::{Unit, round_steps};
use super::canvas::{Anchor, Canvas, Place, Text};
use super::card::{Card, Entry, Sample};
use super::font::{self, Weight};
use super::style::{AXIS, Colour, GRID_FINE, INK, INK_SOFT, PAPER, TEXT_SIZE, pen};
use super::sweep::{self, RATE, Setting, SweepView};

pub(super) const BY_SETTINGS: SweepChart = SweepChart {
    name: "decision-map",
    title: "Which strategy to choose, over the swept settings",
    draw: by_settings,
};

pub(super) const BY_LATENCY: SweepChart = SweepChart {
    name: "decision-map-latency",
    title: "Which strategy needs the fewest requests within an acceptable latency",
    draw: by_latency,
};

/// What a cell says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// This strategy.
    One(usize),
    /// These, which cannot be told apart.
    Tied(Vec<usize>),
    /// It is open: too few blocks, or too wide an interval.
    Open(Vec<usize>),
    /// None keeps what is required.
    Nobody,
    /// No such point, or nothing was measured there.
    Unknown,
}

/// A grid under construction.
struct Grid {
    /// Titles of the axes.
    across: String,
    upwards: String,
    columns: Vec<String>,
    /// From the bottom to the top.
    rows: Vec<String>,
    /// Row by row from the bottom.
    cells: Vec<Vec<Verdict>>,
}

/// Height of a cell.
const CELL: f32 = 46.0;

fn by_settings(view: &SweepView<'_>) -> Canvas {
    let units = match &view.summary.decision {
        Some(decision) => {
            let mut aim = decision.require.clone();
            aim.extend(decision.minimise.iter().map(|measure| format!("the least {measure}")));
            format!("The objective at each point: {}", aim.join(", "))
        }
        None => "The fewest requests per delivered event at each point".to_owned(),
    };
    let mut card = Card::open(view.subject(), BY_SETTINGS.name, BY_SETTINGS.title, &units);
    let names = view.strategies();
    let Some(across) = view.main().or_else(|| view.settings.first()) else {
        card.blank("Nothing to show: nothing was swept.");
        return card.finish();
    };
    let upwards = view.settings.iter().find(|setting| setting.path != across.path);
    let rows: Vec<String> = match upwards {
        Some(setting) => setting.values.iter().map(|value| value.text.clone()).collect(),
        None => vec!["any".to_owned()],
    };
    let at = |row: &str, column: &str| {
        view.summary.points.iter().position(|point| {
            let is = |setting: &Setting, text: &str| {
                point.parameters.get(&setting.path).is_some_and(|value| value == text)
            };
            is(across, column) && upwards.is_none_or(|setting| is(setting, row))
        })
    };
    let cell = |row: &String, column: &String| match at(row, column) {
        None => Verdict::Unknown,
        Some(place) => decided(view.summary, place, &names)
            .unwrap_or_else(|| fewest(view, &view.summary.points[place], &names, |_| Some(true))),
    };
    let columns: Vec<String> = across.values.iter().map(|value| value.text.clone()).collect();
    let cells =
        rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    let grid = Grid {
        across: across.path.clone(),
        upwards: upwards.map_or(String::new(), |setting| setting.path.clone()),
        columns,
        rows,
        cells,
    };
    let line = upwards.and_then(|setting| break_even(view, across, setting));
    draw(&mut card, &names, &grid, line.as_deref());
    if view.settings.len() > 2 {
        let others = view.settings.iter().filter(|setting| {
            setting.path != across.path && upwards.is_none_or(|up| up.path != setting.path)
        });
        let others: Vec<String> = others
            .map(|setting| format!("{} = {}", setting.path, setting.values[0].text))
            .collect();
        card.note(format!(
            "Of the other settings the first value met is shown: {}.",
            others.join(", ")
        ));
    }
    card.finish()
}

/// What the objective came to at a point; `None` without an objective.
fn decided(summary: &Summary, place: usize, names: &[&str]) -> Option<Verdict> {
    let choice = &summary.decision.as_ref()?.points.get(place)?.choice;
    let place_of = |name: &String| names.iter().position(|known| known == name);
    let rivals = choice.cannot_be_told_from.iter().chain(&choice.may_be_better);
    let several = || choice.strategy.iter().chain(rivals).filter_map(place_of).collect::<Vec<_>>();
    Some(match choice.status {
        ChoiceStatus::Chosen => {
            choice.strategy.as_ref().and_then(place_of).map_or(Verdict::Unknown, Verdict::One)
        }
        ChoiceStatus::Tied => Verdict::Tied(several()),
        ChoiceStatus::Undecided => Verdict::Open(several()),
        ChoiceStatus::NoneMeets => Verdict::Nobody,
        ChoiceStatus::Withheld => Verdict::Unknown,
    })
}

/// Who needs the fewest requests at a point among those that `keeps` admits: `Some(true)` for
/// certain, `None` perhaps.
fn fewest(
    view: &SweepView<'_>,
    point: &PointSummary,
    names: &[&str],
    keeps: impl Fn(&StrategySummary) -> Option<bool>,
) -> Verdict {
    /// A strategy with its interval of requests, and whether it certainly keeps the limit.
    struct Candidate {
        place: usize,
        value: f64,
        interval: Option<[f64; 2]>,
        certain: bool,
    }
    let candidate = |strategy: &StrategySummary| {
        let kept = keeps(strategy);
        if kept == Some(false) || strategy.events.delivered == 0 {
            return None;
        }
        let place = names.iter().position(|name| *name == strategy.name)?;
        let requests = view.estimate(point, strategy, Measure::RequestsPerEvent)?;
        let (value, interval) = (requests.value, requests.interval);
        Some(Candidate { place, value, interval, certain: kept == Some(true) })
    };
    let candidates: Vec<Candidate> = point.strategies.iter().filter_map(candidate).collect();
    if point.strategies.is_empty() {
        return Verdict::Unknown;
    }
    let Some(best) = candidates.iter().min_by(|one, other| one.value.total_cmp(&other.value))
    else {
        return Verdict::Nobody;
    };
    let overlaps = |other: &&Candidate| match (best.interval, other.interval) {
        (Some([_, high]), Some([low, _])) => low <= high,
        _ => true,
    };
    let places: Vec<usize> =
        candidates.iter().filter(overlaps).map(|candidate| candidate.place).collect();
    let known = candidates.iter().all(|candidate| candidate.interval.is_some());
    let certain = candidates.iter().filter(overlaps).all(|candidate| candidate.certain);
    match places[..] {
        [only] if certain => Verdict::One(only),
        _ if known && certain => Verdict::Tied(places),
        _ => Verdict::Open(places),
    }
}

fn by_latency(view: &SweepView<'_>) -> Canvas {
    let measure = highest_quantile(view);
    let units = format!(
        "Acceptable {} upwards; of those that keep it, who makes the fewest requests",
        measure.name()
    );
    let mut card = Card::open(view.subject(), BY_LATENCY.name, BY_LATENCY.title, &units);
    let Some(main) = view.main() else {
        card.blank("Nothing to show: no swept setting is a quantity with several values.");
        return card.finish();
    };
    let lines = view.lines(main);
    let line = lines.first();
    let names = view.strategies();
    let latencies: Vec<f64> = line
        .iter()
        .flat_map(|line| &line.points)
        .flat_map(|(_, point)| {
            point.strategies.iter().filter_map(|one| view.estimate(point, one, measure))
        })
        .map(|estimate| estimate.value)
        .filter(|value| *value > 0.0)
        .collect();
    let (Some(line), false) = (line, latencies.is_empty()) else {
        card.blank("Nothing to show: no latency is supported by the sample.");
        return card.finish();
    };
    let least = latencies.iter().copied().fold(f64::INFINITY, f64::min);
    let most = latencies.iter().copied().fold(0.0, f64::max);
    let limits = round_steps(least, most);
    let cell = |limit: f64, x: &str| {
        let is = |point: &PointSummary| point.parameters.get(&main.path).is_some_and(|at| at == x);
        let at = line.points.iter().find(|(_, point)| is(point));
        let Some((_, point)) = at else { return Verdict::Unknown };
        fewest(view, point, &names, |strategy| {
            let [low, high] = view.estimate(point, strategy, measure)?.interval?;
            match (low <= limit, high <= limit) {
                (_, true) => Some(true),
                (false, _) => Some(false),
                _ => None,
            }
        })
    };
    let numbers = main.numbers();
    let grid = Grid {
        across: main.path.clone(),
        upwards: format!("acceptable {}", measure.name()),
        columns: numbers.iter().map(|(_, text)| text.clone()).collect(),
        rows: limits.iter().map(|limit| quantity::tick_duration(*limit)).collect(),
        cells: limits
            .iter()
            .map(|limit| numbers.iter().map(|(_, text)| cell(*limit, text)).collect())
            .collect(),
    };
    draw(&mut card, &names, &grid, None);
    if let Some(held) = sweep::held(line).filter(|_| lines.len() > 1) {
        card.note(format!("Shown where {held}."));
    }
    card.finish()
}

/// The highest quantile of latency that is known wherever anything was delivered; the median if
/// none is.
fn highest_quantile(view: &SweepView<'_>) -> Measure {
    let delivering = || {
        let all = view
            .summary
            .points
            .iter()
            .flat_map(|point| point.strategies.iter().map(move |strategy| (point, strategy)));
        all.filter(|(_, strategy)| strategy.events.delivered > 0)
    };
    [Measure::LatencyP99, Measure::LatencyP95, Measure::LatencyP90]
        .into_iter()
        .find(|measure| {
            delivering().all(|(point, one)| view.estimate(point, one, *measure).is_some())
        })
        .unwrap_or(Measure::LatencyP50)
}

/// The curve λT = 1 in cells from the lower left corner, where the settings are the rate of
/// events and the interval of a plain poll that is compared with a plain webhook.
fn break_even(
    view: &SweepView<'_>,
    across: &Setting,
    upwards: &Setting,
) -> Option<Vec<(f32, f32)>> {
    if across.path != RATE || !across.is_quantity() || !upwards.is_quantity() {
        return None;
    }
    // The swept time must be a poll's interval at every point, and of no other strategy's.
    let applies = |point: &PointSummary| {
        let every = point.parameters.get(&upwards.path).and_then(|text| upwards.number(text));
        let polls = point.strategies.iter().filter_map(sweep::plain_poll);
        let is_swept =
            |poll: f64| every.is_some_and(|every| (poll * 1e9 / every - 1.0).abs() < 1e-6);
        polls.into_iter().any(is_swept) && point.strategies.iter().any(sweep::plain_webhook)
    };
    if upwards.unit != Unit::Nanoseconds || !view.summary.points.iter().all(applies) {
        return None;
    }
    let rates: Vec<f64> = across.numbers().into_iter().map(|(rate, _)| rate).collect();
    let intervals: Vec<f64> = upwards.numbers().into_iter().map(|(every, _)| every / 1e9).collect();
    // Along every rate there is and halfway between, so that it is straight on these axes.
    let steps = 8 * (rates.len() - 1);
    let along = (0..=steps).filter_map(|step| {
        let x = step as f64 / 8.0;
        let rate = between(&rates, x)?;
        let y = position(&intervals, rate.recip())?;
        Some((as_f32(x) + 0.5, as_f32(y) + 0.5))
    });
    let line: Vec<(f32, f32)> = along.collect();
    (line.len() > 1).then_some(line)
}

/// The value at a place between values that rise, on a logarithmic scale.
fn between(values: &[f64], place: f64) -> Option<f64> {
    let low = (0..values.len()).rev().find(|index| *index as f64 <= place)?;
    let share = place - low as f64;
    match values.get(low + 1) {
        Some(next) => Some(values[low] * (next / values[low]).powf(share)),
        None => Some(values[low]).filter(|_| share == 0.0),
    }
}

/// The place of a value between values that rise, on a logarithmic scale, at most half a step
/// beyond them.
fn position(values: &[f64], value: f64) -> Option<f64> {
    let last = values.len().checked_sub(2)?;
    let low = (0..=last).rev().find(|index| values[*index] <= value).unwrap_or(0);
    let place = low as f64 + (value / values[low]).ln() / (values[low + 1] / values[low]).ln();
    (-0.5..=values.len() as f64 - 0.5).contains(&place).then_some(place)
}

#[expect(clippy::cast_possible_truncation, reason = "a place among a few cells")]
fn as_f32(place: f64) -> f32 {
    place as f32
}

fn draw(card: &mut Card<'_>, names: &[&str], grid: &Grid, line: Option<&[(f32, f32)]>) {
    legend(card, names, grid, line.is_some());
    let labels = grid.rows.iter().map(|row| font::width(row, TEXT_SIZE, Weight::Regular));
    let left = card.margin + labels.fold(0.0, f32::max).min(130.0) + 10.0;
    let width = card.right() - left;
    card.y += 20.0;
    let title = Text::new((card.margin, card.y - 3.0), &grid.upwards, TEXT_SIZE);
    card.canvas.text(title.medium().coloured(INK_SOFT));
    card.y += 10.0;
    let (top, height) = (card.y, CELL * grid.rows.len() as f32);
    let size = (width / grid.columns.len() as f32, CELL);
    for ((row, cells), up) in grid.rows.iter().zip(&grid.cells).zip(1u16..) {
        let y = top + height - CELL * f32::from(up);
        let label = font::ellipsize(row, left - card.margin - 8.0, TEXT_SIZE, Weight::Regular);
        let label = Text::new((left - 8.0, y + CELL / 2.0 + 5.0), &label, TEXT_SIZE);
        card.canvas.text(label.coloured(INK_SOFT).anchored(Anchor::End));
        for (cell, right) in cells.iter().zip(0u16..) {
            let corner = (left + size.0 * f32::from(right), y);
            draw_cell(&mut card.canvas, cell, corner, size);
        }
    }
    for (column, right) in grid.columns.iter().zip(0u16..) {
        let x = left + size.0 * (f32::from(right) + 0.5);
        let label = font::ellipsize(column, size.0 - 4.0, TEXT_SIZE, Weight::Regular);
        let label = Text::new((x, top + height + 20.0), &label, TEXT_SIZE);
        card.canvas.text(label.coloured(INK_SOFT).anchored(Anchor::Middle));
    }
    let place = |(x, y): &(f32, f32)| (left + size.0 * x, top + height - CELL * y);
    if let Some(line) = line {
        card.canvas.line(line.iter().map(place).collect(), PAPER, 4.4);
        card.canvas.dashed(line.iter().map(place).collect(), INK, 2.2);
    }
    card.watermark((left, top), (width, height));
    card.y += height + 44.0;
    let title = Text::new((card.right(), card.y - 3.0), &grid.across, TEXT_SIZE).medium();
    card.canvas.text(title.coloured(INK_SOFT).anchored(Anchor::End));
    describe(card, names, grid);
}

fn legend(card: &mut Card<'_>, names: &[&str], grid: &Grid, line: bool) {
    let cells = || grid.cells.iter().flatten();
    let mut entries: Vec<Entry> = names
        .iter()
        .enumerate()
        .map(|(place, name)| Entry { label: (*name).to_owned(), sample: Sample::Curve(pen(place)) })
        .collect();
    let mut add = |occurs: bool, label: &str, sample| {
        if occurs {
            entries.push(Entry { label: label.to_owned(), sample });
        }
    };
    let tied = cells().any(|cell| matches!(cell, Verdict::Tied(_)));
    let open = cells().any(|cell| matches!(cell, Verdict::Open(_)));
    let nobody = cells().any(|cell| *cell == Verdict::Nobody);
    add(tied, "hatched: no measurable difference", Sample::Hatch(INK_SOFT));
    add(open, "“?”: open, too few blocks or too wide an interval", Sample::Block(GRID_FINE));
    add(nobody, "“none”: none keeps it", Sample::Block(GRID_FINE));
    add(line, "dashed: λT = 1, closed form", Sample::Dashes(INK));
    card.legend(&entries);
}

fn draw_cell(canvas: &mut Canvas, cell: &Verdict, corner: Place, size: Place) {
    const GAP: f32 = 1.5;
    let corner = (corner.0 + GAP, corner.1 + GAP);
    let size = (size.0 - 2.0 * GAP, size.1 - 2.0 * GAP);
    let middle = (corner.0 + size.0 / 2.0, corner.1 + size.1 / 2.0);
    let word = |canvas: &mut Canvas, word: &str| {
        let text = Text::new((middle.0, middle.1 + 5.0), word, TEXT_SIZE).medium();
        canvas.text(text.coloured(INK_SOFT).anchored(Anchor::Middle));
    };
    match cell {
        Verdict::One(place) => {
            let pen = pen(*place);
            canvas.rectangle(corner, size, pen.colour.with_alpha(0.35));
            canvas.marker(middle, pen);
        }
        Verdict::Tied(places) => {
            let colours: Vec<Colour> =
                places.iter().map(|place| pen(*place).colour.with_alpha(0.55)).collect();
            canvas.hatch(corner, size, &colours, 9.0);
            markers(canvas, places, middle, size.0);
        }
        Verdict::Open(_) => {
            canvas.rectangle(corner, size, GRID_FINE);
            word(canvas, "?");
        }
        Verdict::Nobody => {
            canvas.rectangle(corner, size, GRID_FINE);
            word(canvas, "none");
        }
        Verdict::Unknown => {
            let (x, y) = middle;
            canvas.line(vec![(x - 5.0, y), (x + 5.0, y)], AXIS, 1.6);
        }
    }
}

/// The marks of strategies that are tied, side by side.
fn markers(canvas: &mut Canvas, places: &[usize], middle: Place, width: f32) {
    let apart = (width / (places.len() as f32 + 1.0)).min(18.0);
    let first = middle.0 - apart * (places.len() as f32 - 1.0) / 2.0;
    for (place, step) in places.iter().zip(0u16..) {
        canvas.marker((first + apart * f32::from(step), middle.1), pen(*place));
    }
}

/// The grid in words.
fn describe(card: &mut Card<'_>, names: &[&str], grid: &Grid) {
    let list = |places: &[usize]| {
        places.iter().map(|place| names[*place]).collect::<Vec<_>>().join(" or ")
    };
    for (row, cells) in grid.rows.iter().zip(&grid.cells) {
        let said: Vec<String> = grid
            .columns
            .iter()
            .zip(cells)
            .map(|(column, cell)| match cell {
                Verdict::One(place) => format!("{column} {}", names[*place]),
                Verdict::Tied(places) => {
                    format!("{column} no measurable difference of {}", list(places))
                }
                Verdict::Open(_) => format!("{column} open"),
                Verdict::Nobody => format!("{column} none"),
                Verdict::Unknown => format!("{column} not measured"),
            })
            .collect();
        let upwards = if grid.upwards.is_empty() {
            String::new()
        } else {
            format!("{} {row}: ", grid.upwards)
        };
        card.describe(&format!("{upwards}{}.", said.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, between, decided, fewest, position};
    use crate::analysis::figures::OverBlocks;
    use crate::measure::Measure;
    use crate::report::plot::sweep::SweepView;
    use crate::report::sample;

    #[test]
    fn the_fewest_requests_win_if_intervals_do_not_overlap() {
        let (summary, mut figures) = sample::grid();
        let names = ["poll every second", "poll every 250 ms", "webhook"];
        let verdict = |figures: &[crate::analysis::figures::PointFigures]| {
            let view = SweepView::new(&summary, figures).expect("swept");
            fewest(&view, &summary.points[0], &names, |_| Some(true))
        };
        // Three blocks have no interval, so nothing can be told apart.
        assert_eq!(verdict(&figures), Verdict::Open(vec![0, 1, 2]));
        let mut between = |places: [[f64; 2]; 3]| {
            for (strategy, [low, high]) in figures[0].strategies.iter_mut().zip(places) {
                strategy.over_blocks = vec![OverBlocks {
                    measure: Measure::RequestsPerEvent,
                    median: f64::midpoint(low, high),
                    interval: Some([low, high]),
                }];
            }
            verdict(&figures)
        };
        assert_eq!(between([[0.1, 0.2], [0.3, 0.4], [1.0, 1.0]]), Verdict::One(0));
        assert_eq!(between([[0.1, 0.2], [0.15, 0.4], [1.0, 1.0]]), Verdict::Tied(vec![0, 1]));
    }

    #[test]
    fn who_may_keep_the_limit_leaves_it_open_and_who_does_not_is_out() {
        let (summary, mut figures) = sample::grid();
        for (strategy, requests) in figures[0].strategies.iter_mut().zip([0.1, 0.5, 1.0]) {
            strategy.over_blocks = vec![OverBlocks {
                measure: Measure::RequestsPerEvent,
                median: requests,
                interval: Some([requests, requests]),
            }];
        }
        let names = ["poll every second", "poll every 250 ms", "webhook"];
        let view = SweepView::new(&summary, &figures).expect("swept");
        let verdict = |first: Option<bool>| {
            fewest(&view, &summary.points[0], &names, |strategy| {
                if strategy.name == names[0] { first } else { Some(strategy.name == names[2]) }
            })
        };
        assert_eq!(verdict(Some(false)), Verdict::One(2));
        assert_eq!(verdict(Some(true)), Verdict::One(0));
        assert_eq!(verdict(None), Verdict::Open(vec![0]));
        assert_eq!(fewest(&view, &summary.points[0], &names, |_| Some(false)), Verdict::Nobody);
    }

    #[test]
    fn without_an_objective_nothing_is_decided() {
        assert_eq!(decided(&sample::summary(), 0, &[]), None);
    }

    #[test]
    fn places_between_cells_are_logarithmic() {
        let values = [1.0, 10.0, 1000.0];
        for (place, value) in [(0.0, 1.0), (0.5, 10f64.sqrt()), (1.5, 100.0), (2.0, 1000.0)] {
            assert!((between(&values, place).expect("inside") / value - 1.0).abs() < 1e-9);
            assert!((position(&values, value).expect("inside") - place).abs() < 1e-9);
        }
        assert_eq!(position(&values, 0.01), None);
        assert_eq!(between(&values, 2.5), None);
    }
}
