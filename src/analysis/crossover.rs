//! Where, along a swept parameter, the strategy with the least of a measure changes.
//!
//! Points that differ in one parameter only make a line. Where the least of two neighbouring points
//! is another strategy, the two cross in between. Each block has a crossover of its own: the
//! logarithm of the ratio of the two strategies is taken to be straight between neighbours on a
//! logarithmic scale, which costs that go with powers of the parameter are. Its median over blocks
//! has an interval of order statistics. Along `events.rate` a block is put at the rate it really
//! had, so that how many events chance gave it does not move its crossover.
//!
//! It is a crossover only if the two can be told apart to either side of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::blocks::middle;
use super::decide::sentences::crossing as crossing_sentence;
use super::evidence::{Block, Evidence, PointEvidence, StrategyEvidence};
use super::measure::{estimate, of_block, of_values};
use super::model;
use super::summary::{BreakEven, Crossover, Load};
use crate::aim::Prices;
use crate::measure::Measure;
use crate::record::manifest::PlannedPoint;
use crate::units::{ParameterUnit, Rate, nanoseconds, on_one_scale};

/// The parameter at which a block has a value of its own.
const RATE: &str = "events.rate";

/// A point of a line.
struct Place<'a> {
    value: f64,
    point: &'a PointEvidence,
    planned: &'a PlannedPoint,
}

/// Points that differ in one parameter only, by its rising values.
struct Line<'a> {
    parameter: &'a str,
    unit: ParameterUnit,
    held: BTreeMap<String, String>,
    places: Vec<Place<'a>>,
}

/// Two strategies that cross: their places in the scenario, less of the measure first below, then
/// above; and the place of the line before which they do.
#[derive(Clone, Copy)]
struct Pair {
    below: usize,
    above: usize,
    before: usize,
}

/// Every crossover of a run in a measure; `planned` are its points, as in the evidence.
pub(crate) fn crossovers(
    measure: Measure,
    evidence: &Evidence,
    planned: &[&PlannedPoint],
    prices: Option<&Prices>,
) -> Vec<Crossover> {
    let mut found = Vec::new();
    for line in lines(evidence, planned) {
        let least: Vec<Option<usize>> =
            line.places.iter().map(|place| least(measure, place.point, prices)).collect();
        for (before, pair) in (1..).zip(least.windows(2)) {
            if let &[Some(below), Some(above)] = pair
                && below != above
            {
                found.extend(cross(measure, &line, Pair { below, above, before }, prices));
            }
        }
    }
    found
}

/// The strategy that has the least of a measure at a point; `None` if one has no figure.
fn least(measure: Measure, point: &PointEvidence, prices: Option<&Prices>) -> Option<usize> {
    let figures: Option<Vec<f64>> = point
        .strategies
        .iter()
        .map(|strategy| Some(estimate(measure, strategy, prices)?.value))
        .collect();
    let figures = figures?;
    (0..figures.len()).min_by(|a, b| figures[*a].total_cmp(&figures[*b]))
}

/// Every line of the sweep, by parameter.
fn lines<'a>(evidence: &'a Evidence, planned: &[&'a PlannedPoint]) -> Vec<Line<'a>> {
    let Some(first) = evidence.points.first() else { return Vec::new() };
    let mut lines = Vec::new();
    for parameter in first.parameters.keys() {
        let values = evidence.points.iter().filter_map(|point| point.parameters.get(parameter));
        let values: Vec<&str> = values.map(String::as_str).collect();
        let Some((unit, values)) = on_one_scale(&values) else { continue };
        let mut by_others: BTreeMap<BTreeMap<String, String>, Vec<Place<'a>>> = BTreeMap::new();
        for ((point, planned), value) in evidence.points.iter().zip(planned).zip(values) {
            let mut held = point.parameters.clone();
            held.remove(parameter);
            by_others.entry(held).or_default().push(Place { value, point, planned });
        }
        lines.extend(by_others.into_iter().map(|(held, mut places)| {
            places.sort_by(|a, b| a.value.total_cmp(&b.value));
            Line { parameter, unit, held, places }
        }));
    }
    lines
}

/// Where two strategies cross; `None` if they cannot be told apart to either side of it, or one
/// has none of the measure at all.
fn cross(
    measure: Measure,
    line: &Line<'_>,
    pair: Pair,
    prices: Option<&Prices>,
) -> Option<Crossover> {
    let ratios: Vec<Vec<(u32, f64, f64)>> =
        line.places.iter().map(|place| ratios(measure, line, place, pair, prices)).collect();
    let apart = |place: &Vec<(u32, f64, f64)>| {
        let logs: Vec<f64> = place.iter().map(|(_, _, log)| *log).collect();
        of_values(&logs)?.interval
    };
    // Told apart to either side, or it is chance that the order of two equals changed.
    let (left, right) = ratios.split_at(pair.before);
    let told_below = left.iter().filter_map(apart).any(|[_, high]| high < 0.0);
    let told_above = right.iter().filter_map(apart).any(|[low, _]| low > 0.0);
    if !told_below || !told_above {
        return None;
    }
    let between = [line.places[pair.before - 1].value, line.places[pair.before].value];
    let middle_of = (between[0] * between[1]).sqrt().ln();
    let (numbers, of_blocks): (Vec<u32>, Vec<BlockCrossing>) = blocks(&ratios)
        .into_iter()
        .map(|(number, block)| (number, crossing(&block, middle_of)))
        .unzip();
    let logs: Vec<f64> = of_blocks.iter().map(|crossing| crossing.log()).collect();
    let found = middle(&logs)?;
    if !found.median.is_finite() {
        return None;
    }
    let interval = found.interval.filter(|(low, high, _)| low.is_finite() && high.is_finite());
    let ends = interval.map(|(low, high, _)| [low.exp(), high.exp()]);
    let without = of_blocks.iter().filter(|one| !matches!(one, BlockCrossing::At { .. })).count();
    let often = of_blocks.iter().filter(|one| matches!(one, BlockCrossing::At { times: 2.., .. }));
    let strategy = |place: usize| &line.places[0].point.strategies[place].summary.name;
    let mut crossover = Crossover {
        parameter: line.parameter.to_owned(),
        unit: line.unit,
        held: line.held.clone(),
        measure: measure.name().to_owned(),
        below: strategy(pair.below).clone(),
        above: strategy(pair.above).clone(),
        between,
        value: found.median.exp(),
        interval: ends,
        confidence: interval.map(|(_, _, confidence)| confidence),
        blocks: u32::try_from(of_blocks.len()).unwrap_or(u32::MAX),
        blocks_without: u32::try_from(without).unwrap_or(u32::MAX),
        break_even: (measure == Measure::RequestsPerEvent)
            .then(|| break_even(line, pair, ends))
            .flatten(),
        load: load(line, pair, &numbers, &logs),
        note: note(found.interval.is_some(), ends.is_some(), without, often.count()),
        sentence: String::new(),
    };
    crossover.sentence = crossing_sentence(&crossover);
    Some(crossover)
}

fn note(enough: bool, inside: bool, without: usize, often: usize) -> Option<String> {
    let mut notes = Vec::new();
    if !enough {
        notes.push("fewer than six blocks, so there is no interval".to_owned());
    } else if !inside {
        notes.push("the interval reaches beyond the values that were measured".to_owned());
    }
    if without > 0 {
        notes.push(format!(
            "{} without a crossover",
            crate::quantity::counted(without as u64, "block")
        ));
    }
    if often > 0 {
        let blocks = crate::quantity::counted(often as u64, "block");
        notes.push(format!(
            "{blocks} crossed more than once; the crossing nearest to that of the \
                            medians counts"
        ));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// Each block's place on the line and the logarithm of the ratio of the two strategies there:
/// negative where the one that is less below is less.
fn ratios(
    measure: Measure,
    line: &Line<'_>,
    place: &Place<'_>,
    pair: Pair,
    prices: Option<&Prices>,
) -> Vec<(u32, f64, f64)> {
    let of = |place_of: usize| &place.point.strategies[place_of];
    let (below, above) = (of(pair.below), of(pair.above));
    let log = |block: &Block| {
        let other = above.blocks.iter().find(|other| other.number == block.number)?;
        let ratio = of_block(measure, block, prices)? / of_block(measure, other, prices)?;
        let value = if line.parameter == RATE { rate(block, below) } else { place.value };
        let log = ratio.ln();
        (log.is_finite() && value > 0.0).then_some((block.number, value.ln(), log))
    };
    below.blocks.iter().filter_map(log).collect()
}

/// The events a second that were really due in a block's window.
fn rate(block: &Block, strategy: &StrategyEvidence) -> f64 {
    let events = block.scheduled as f64 / f64::from(strategy.summary.subscribers.max(1));
    events / block.workload.window.as_secs_f64()
}

/// The blocks that have a ratio at every place of the line, each with its number, places and
/// ratios.
fn blocks(ratios: &[Vec<(u32, f64, f64)>]) -> Vec<(u32, Vec<(f64, f64)>)> {
    let Some(first) = ratios.first() else { return Vec::new() };
    let whole = first.iter().filter_map(|(number, ..)| {
        let at = |place: &Vec<(u32, f64, f64)>| {
            let found = place.iter().find(|(block, ..)| block == number)?;
            Some((found.1, found.2))
        };
        let places: Option<Vec<(f64, f64)>> = ratios.iter().map(at).collect();
        Some((*number, places?))
    });
    whole.collect()
}

/// Where one block crosses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum BlockCrossing {
    /// At this logarithm of the parameter, and so often in all.
    At { log: f64, times: u32 },
    /// The strategy that is to be less below is less nowhere: it would cross before the line.
    Before,
    /// It is less everywhere: it would cross beyond the line.
    Beyond,
}

impl BlockCrossing {
    fn log(self) -> f64 {
        match self {
            BlockCrossing::At { log, .. } => log,
            BlockCrossing::Before => f64::NEG_INFINITY,
            BlockCrossing::Beyond => f64::INFINITY,
        }
    }
}

/// Where a block crosses from below to above; of several crossings the one nearest to `near`.
fn crossing(block: &[(f64, f64)], near: f64) -> BlockCrossing {
    let mut times = 0;
    let mut best: Option<f64> = None;
    for pair in block.windows(2) {
        let ((x, y), (next_x, next_y)) = (pair[0], pair[1]);
        if y < 0.0 && next_y >= 0.0 && next_x > x {
            times += 1;
            let log = x + (next_x - x) * -y / (next_y - y);
            let nearer = |found: f64| (log - near).abs() < (found - near).abs();
            if best.is_none_or(nearer) {
                best = Some(log);
            }
        }
    }
    match best {
        Some(log) => BlockCrossing::At { log, times },
        None if block.last().is_some_and(|(_, last)| *last < 0.0) => BlockCrossing::Beyond,
        None => BlockCrossing::Before,
    }
}

/// The interval of the polls of one of the two: fixed along the line, or what the line is about.
enum Period {
    Fixed(Duration),
    Swept,
}

fn period(line: &Line<'_>, pair: Pair) -> Option<Period> {
    let of = |place: &Place<'_>| {
        let form = |at: usize| place.planned.strategies[at].theory.as_ref()?.form().period();
        form(pair.below).or_else(|| form(pair.above))
    };
    let [before, after] = [&line.places[pair.before - 1], &line.places[pair.before]];
    let (first, second) = (of(before)?, of(after)?);
    let is_swept = |place: &Place<'_>, period: Duration| {
        line.unit == ParameterUnit::Nanoseconds
            && (place.value - nanoseconds(period) as f64).abs() < 0.5
    };
    if first == second {
        Some(Period::Fixed(first))
    } else {
        (is_swept(before, first) && is_swept(after, second)).then_some(Period::Swept)
    }
}

/// Events that were due between two polls where each block crosses; `logs` are the logarithms of
/// those places.
fn load(line: &Line<'_>, pair: Pair, numbers: &[u32], logs: &[f64]) -> Option<Load> {
    let period = period(line, pair)?;
    let near = &line.places[pair.before].point.strategies[pair.below];
    let of_block = |(number, log): (&u32, &f64)| {
        let due = || {
            let block = near.blocks.iter().find(|block| block.number == *number)?;
            Some(rate(block, near))
        };
        match period {
            Period::Fixed(period) if line.parameter == RATE => {
                Some(log.exp() * period.as_secs_f64())
            }
            Period::Fixed(period) => Some(due()? * period.as_secs_f64()),
            Period::Swept => Some(due()? * log.exp() / 1e9),
        }
    };
    let loads: Vec<f64> = numbers.iter().zip(logs).map(of_block).collect::<Option<_>>()?;
    let found = middle(&loads).filter(|found| found.median.is_finite() && found.median > 0.0)?;
    let inside = |(low, high, _): &(f64, f64, f64)| *low > 0.0 && high.is_finite();
    let interval = found.interval.filter(inside).map(|(low, high, _)| [low, high]);
    Some(Load { value: found.median, interval })
}

/// Where the closed forms of both expect as many requests for each event.
fn break_even(line: &Line<'_>, pair: Pair, interval: Option<[f64; 2]>) -> Option<BreakEven> {
    let (value, how) = if line.parameter == RATE {
        (of_forms(line, pair)?, "the closed forms of both expect as many requests there")
    } else {
        let of = |place: &Place<'_>| {
            Some((place.value.ln(), expected(place, pair, place.planned.workload.rate)?.ln()))
        };
        let curve: Vec<(f64, f64)> = line.places.iter().map(of).collect::<Option<_>>()?;
        let near =
            (line.places[pair.before - 1].value * line.places[pair.before].value).sqrt().ln();
        let BlockCrossing::At { log, .. } = crossing(&curve, near) else { return None };
        (
            log.exp(),
            "the closed forms of both, at the points that were measured, expect as many \
                     requests there",
        )
    };
    let agrees = interval.map(|[low, high]| (low..=high).contains(&value));
    Some(BreakEven { value, agrees, words: format!("{how}{}", beat(line, pair, value)) })
}

/// What the break-even is as a multiple of the beat of a poll, where one of the two has one.
fn beat(line: &Line<'_>, pair: Pair, value: f64) -> String {
    let asked = line.places[pair.before].planned.workload.rate.events_per_second();
    let (rate, seconds) = match period(line, pair) {
        Some(Period::Fixed(period)) if line.parameter == RATE => (value, period.as_secs_f64()),
        Some(Period::Fixed(period)) => (asked, period.as_secs_f64()),
        Some(Period::Swept) => (asked, value / 1e9),
        None => return String::new(),
    };
    format!(
        ": λT = {}, with {} events a second and a poll every {}",
        crate::quantity::ratio(rate * seconds),
        crate::quantity::ratio(rate),
        crate::quantity::duration(seconds * 1e9)
    )
}

/// Requests for an event of the one over those of the other, by their closed forms.
fn expected(place: &Place<'_>, pair: Pair, rate: Rate) -> Option<f64> {
    let of = |at: usize| {
        let blocks = &place.point.strategies[at].blocks;
        model::requests_per_event(
            &place.planned.strategies[at],
            &place.planned.workload,
            blocks,
            rate,
        )
    };
    let ratio = of(pair.below)? / of(pair.above)?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// Halvings of the line on a logarithmic scale: enough for nine digits of any rate.
const HALVINGS: u32 = 60;

/// The rate of events at which the closed forms cross, between the ends of the line.
fn of_forms(line: &Line<'_>, pair: Pair) -> Option<f64> {
    let place = &line.places[pair.before];
    let at = |log: f64| {
        let rate = Rate::per_second(log.exp()).ok()?;
        Some(expected(place, pair, rate)?.ln())
    };
    let (mut low, mut high) = (line.places.first()?.value.ln(), line.places.last()?.value.ln());
    if at(low)? >= 0.0 || at(high)? < 0.0 {
        return None;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at(middle)? < 0.0 { low = middle } else { high = middle }
    }
    Some(f64::midpoint(low, high).exp())
}

#[cfg(test)]
mod tests {
    use super::{BlockCrossing, crossing, crossovers};
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::evidence_of;
    use crate::analysis::summary::Crossover;
    use crate::measure::Measure;
    use crate::record::manifest::PlannedPoint;
    use crate::record::sample::Sample;
    use crate::units::ParameterUnit;

    /// A poll every 250 ms and a webhook, at rates to both sides of four events a second.
    fn swept(blocks: u32, rates: &[u32]) -> (Evidence, Vec<PlannedPoint>) {
        let sample = Sample { rates: rates.to_vec(), blocks, ..Sample::default() };
        let mut planned = Vec::new();
        let evidence = evidence_of(&sample, |run| planned = run.manifest.points.clone());
        (evidence, planned)
    }

    fn found(blocks: u32, rates: &[u32], measure: Measure) -> Vec<Crossover> {
        let (evidence, planned) = swept(blocks, rates);
        crossovers(measure, &evidence, &planned.iter().collect::<Vec<_>>(), None)
    }

    #[test]
    fn polls_and_webhooks_cross_where_the_rate_times_the_interval_is_one() {
        let found = found(8, &[2, 6, 20], Measure::RequestsPerEvent);
        let [crossover] = &found[..] else { panic!("one crossover: {found:?}") };
        assert_eq!((&*crossover.below, &*crossover.above), ("webhook", "poll four times a second"));
        assert_eq!(
            (&*crossover.parameter, crossover.unit),
            ("events.rate", ParameterUnit::PerSecond)
        );
        let [from, until] = crossover.between;
        assert!((from - 2.0).abs() < 1e-9 && (until - 6.0).abs() < 1e-9, "{crossover:?}");
        assert!((crossover.value / 4.0 - 1.0).abs() < 0.05, "{crossover:?}");
        let [low, high] = crossover.interval.expect("eight blocks");
        assert!(low <= crossover.value && crossover.value <= high);
        assert!(low > 3.6 && high < 4.4, "{crossover:?}");
        let even = crossover.break_even.as_ref().expect("closed forms");
        assert!((even.value / 4.0 - 1.0).abs() < 0.01, "{even:?}");
        let load = crossover.load.expect("a poll at fixed intervals");
        assert!((load.value / (crossover.value / 4.0) - 1.0).abs() < 1e-9, "{load:?}");
        assert!(load.interval.is_some_and(|[low, high]| low > 0.9 && high < 1.1), "{load:?}");
        assert!(even.words.contains("λT = 1.00"), "{even:?}");
    }

    #[test]
    fn a_few_blocks_have_a_crossover_and_no_interval() {
        let found = found(3, &[2, 20], Measure::RequestsPerEvent);
        let [crossover] = &found[..] else { panic!("one crossover: {found:?}") };
        assert_eq!((crossover.interval, crossover.blocks), (None, 3));
        assert!(crossover.note.as_ref().expect("said").contains("fewer than six"));
        assert_eq!(crossover.break_even.as_ref().expect("closed forms").agrees, None);
    }

    #[test]
    fn what_does_not_cross_has_no_crossover() {
        assert_eq!(found(6, &[8, 20], Measure::RequestsPerEvent), []);
        assert_eq!(found(6, &[2, 20], Measure::LatencyMean), []);
        assert_eq!(found(6, &[4], Measure::RequestsPerEvent), [], "no sweep");
    }

    #[test]
    fn equals_do_not_cross() {
        let (mut evidence, planned) = swept(6, &[2, 20]);
        for (place, point) in evidence.points.iter_mut().enumerate() {
            let mut double = point.strategies[1].clone();
            for (block, number) in double.blocks.iter_mut().zip(0_u64..) {
                // One exchange more or less, so that either may be the least at a point.
                let more = (number + place as u64).is_multiple_of(2);
                let useful = &mut block.measured.source.window.useful;
                *useful = if more { *useful + 1 } else { *useful - 1 };
            }
            point.strategies[0] = double;
        }
        assert_eq!(
            crossovers(
                Measure::RequestsPerEvent,
                &evidence,
                &planned.iter().collect::<Vec<_>>(),
                None
            ),
            []
        );
    }

    #[test]
    fn a_block_crosses_where_its_ratio_is_one() {
        let at = |log, times| BlockCrossing::At { log, times };
        assert_eq!(crossing(&[(0.0, -1.0), (2.0, 1.0)], 0.0), at(1.0, 1));
        assert_eq!(crossing(&[(0.0, -1.0), (2.0, -0.5)], 0.0), BlockCrossing::Beyond);
        assert_eq!(crossing(&[(0.0, 0.5), (2.0, 1.0)], 0.0), BlockCrossing::Before);
        let twice = [(0.0, -1.0), (1.0, 1.0), (2.0, -1.0), (3.0, 1.0)];
        assert_eq!(crossing(&twice, 3.0), at(2.5, 2));
        assert_eq!(crossing(&twice, 0.0), at(0.5, 2));
    }
}
