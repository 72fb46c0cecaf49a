//! What a chart over all points of a sweep looks at: the swept settings, and the lines along one
//! of them.

use std::collections::BTreeMap;

use crate::analysis::figures::{OverBlocks, PointFigures};
use crate::analysis::measure::of_summary;
use crate::analysis::summary::{PointSummary, StrategySummary, Summary};
use crate::measure::Measure;
use crate::report::point;
use crate::units::{Bytes, Rate, nanoseconds, parse_duration};

use super::axis::Unit;
use super::style::{NARROW, WIDE};
use super::view::{Subject, span};

/// All points of a run that was swept.
#[derive(Clone, Debug)]
pub struct SweepView<'a> {
    pub(super) summary: &'a Summary,
    figures: &'a [PointFigures],
    /// The swept settings, that with the most values first.
    pub(super) settings: Vec<Setting>,
    pub(super) width: f32,
}

/// A swept setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// Its path in the scenario.
    pub(super) path: String,
    /// Its values, in rising order where they are quantities.
    pub(super) values: Vec<Value>,
    /// What they are counted in.
    pub(super) unit: Unit,
}

/// A value of a setting, as written and as a number, where it is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) number: Option<f64>,
}

/// A figure with its interval of at least 95 % over blocks, where there are enough of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) interval: Option<[f64; 2]>,
}

/// Points that differ in one setting only.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    /// The other settings.
    pub(super) held: BTreeMap<String, String>,
    /// The setting's value at each point.
    pub(super) points: Vec<(f64, &'a PointSummary)>,
}

impl<'a> SweepView<'a> {
    /// Looks at all points of a run; `None` unless they differ in some setting.
    #[must_use]
    pub fn new(summary: &'a Summary, figures: &'a [PointFigures]) -> Option<SweepView<'a>> {
        let settings = settings(&summary.points);
        let swept = !settings.is_empty();
        swept.then_some(SweepView { summary, figures, settings, width: WIDE })
    }

    /// The same, for cards on a page that may be read on a telephone.
    #[must_use]
    pub fn narrow(self) -> SweepView<'a> {
        SweepView { width: NARROW, ..self }
    }

    /// The setting along which lines are drawn: of quantities, that with the most values, and the
    /// rate of events among equals.
    pub(super) fn main(&self) -> Option<&Setting> {
        let quantities = || self.settings.iter().filter(|setting| setting.is_quantity());
        let most = quantities().map(|setting| setting.values.len()).max()?;
        let mut equals = quantities().filter(|setting| setting.values.len() == most);
        equals.clone().find(|setting| setting.path == RATE).or_else(|| equals.next())
    }

    /// The points along a setting, one line for each combination of the others.
    pub(super) fn lines(&self, along: &Setting) -> Vec<Line<'a>> {
        let mut lines: Vec<Line<'a>> = Vec::new();
        for point in &self.summary.points {
            let mut held = point.parameters.clone();
            let Some(number) = held.remove(&along.path).and_then(|text| along.number(&text)) else {
                continue;
            };
            match lines.iter_mut().find(|line| line.held == held) {
                Some(line) => line.points.push((number, point)),
                None => lines.push(Line { held, points: vec![(number, point)] }),
            }
        }
        for line in &mut lines {
            line.points.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        lines
    }

    /// The names of all strategies, with their places in the scenario.
    pub(super) fn strategies(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for strategy in self.summary.points.iter().flat_map(|point| &point.strategies) {
            if !names.contains(&strategy.name.as_str()) {
                names.push(&strategy.name);
            }
        }
        names
    }

    /// A strategy's measure at a point: over the blocks, or as the summary states it.
    pub(super) fn estimate(
        &self,
        point: &PointSummary,
        strategy: &StrategySummary,
        measure: Measure,
    ) -> Option<Estimate> {
        let curves = self.figures.iter().find(|curves| curves.parameters == point.parameters);
        let curves = curves.and_then(|curves| {
            curves.strategies.iter().find(|curves| curves.name == strategy.name)
        });
        let of_measure = |over: &&OverBlocks| over.measure == measure;
        match curves.and_then(|curves| curves.over_blocks.iter().find(of_measure)) {
            Some(over) => Some(Estimate { value: over.median, interval: over.interval }),
            None => of_summary(measure, strategy).map(|value| Estimate { value, interval: None }),
        }
    }

    /// What a card over the whole sweep is about.
    pub(super) fn subject(&self) -> Subject<'a> {
        let strategies = || self.summary.points.iter().flat_map(|point| &point.strategies);
        let events = span(strategies().map(|strategy| strategy.events.emitted), "event");
        let blocks = span(strategies().map(|strategy| u64::from(strategy.blocks)), "block");
        let points = self.summary.points.len();
        let sample = match (events, blocks) {
            (Some(events), Some(blocks)) => {
                format!("{points} points, each with n = {events} for each strategy, {blocks}")
            }
            _ => "no strategy was measured".to_owned(),
        };
        let name = self.summary.scenario.title.clone();
        let (summary, width) = (self.summary, self.width);
        Subject { summary, name, sample, width, of_several_runs: false }
    }
}

/// The path of the rate of events.
pub(super) const RATE: &str = "events.rate";

impl Setting {
    /// Whether all values are quantities above zero, and there are several.
    pub(super) fn is_quantity(&self) -> bool {
        let above_zero = |value: &Value| value.number.is_some_and(|number| number > 0.0);
        self.values.len() > 1 && self.values.iter().all(above_zero)
    }

    /// The number that a value stands for.
    pub(super) fn number(&self, text: &str) -> Option<f64> {
        self.values.iter().find(|value| value.text == text)?.number
    }

    /// The values with their texts, of those that are quantities.
    pub(super) fn numbers(&self) -> Vec<(f64, String)> {
        let value = |value: &Value| Some((value.number?, value.text.clone()));
        self.values.iter().filter_map(value).collect()
    }
}

/// What is the same along a line, in words; `None` if nothing else was swept.
pub(super) fn held(line: &Line<'_>) -> Option<String> {
    point::heading(&line.held)
}

fn settings(points: &[PointSummary]) -> Vec<Setting> {
    let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, text) in points.iter().flat_map(|point| &point.parameters) {
        let known = texts.entry(path).or_default();
        if !known.contains(&text.as_str()) {
            known.push(text);
        }
    }
    let mut settings: Vec<Setting> = texts
        .into_iter()
        .map(|(path, texts)| setting(path, &texts))
        .filter(|setting| setting.values.len() > 1)
        .collect();
    settings.sort_by_key(|setting| std::cmp::Reverse(setting.values.len()));
    settings
}

fn setting(path: &str, texts: &[&str]) -> Setting {
    let numbers: Vec<Option<(f64, Unit)>> = texts.iter().map(|text| quantity(text)).collect();
    let unit = match numbers.first() {
        Some(Some((_, first))) => {
            let same = |number: &Option<(f64, Unit)>| number.is_some_and(|(_, u)| u == *first);
            numbers.iter().all(same).then_some(*first)
        }
        _ => None,
    };
    let values = texts.iter().zip(&numbers).map(|(text, number)| Value {
        text: (*text).to_owned(),
        number: number.filter(|_| unit.is_some()).map(|(number, _)| number),
    });
    let mut values: Vec<Value> = values.collect();
    if unit.is_some() {
        let number = |value: &Value| value.number.unwrap_or(0.0);
        values.sort_by(|one, other| number(one).total_cmp(&number(other)));
    }
    Setting { path: path.to_owned(), values, unit: unit.unwrap_or(Unit::Number) }
}

/// The number and unit that a swept value stands for; `None` of a word.
fn quantity(text: &str) -> Option<(f64, Unit)> {
    if let Ok(number) = text.parse::<f64>() {
        return Some((number, Unit::Number));
    }
    if let Ok(rate) = text.parse::<Rate>() {
        return Some((rate.events_per_second(), Unit::PerSecond));
    }
    if let Ok(size) = text.parse::<Bytes>() {
        return Some((size.0 as f64, Unit::Bytes));
    }
    parse_duration(text).ok().map(|time| (nanoseconds(time) as f64, Unit::Nanoseconds))
}

/// The interval of a strategy that polls at fixed times and fetches whatever is new, in seconds.
///
/// Such a poll makes 1 / λT requests an event, where a plain webhook makes one.
pub(super) fn plain_poll(strategy: &StrategySummary) -> Option<f64> {
    let plain = strategy.mechanism == "poll"
        && ["adaptive", "jitter"].iter().all(|key| is_off(strategy.settings.get(*key)));
    let every = strategy.settings.get("every").filter(|_| plain)?.as_str()?;
    Some(parse_duration(every).ok()?.as_secs_f64())
}

/// Whether a strategy posts every event by itself.
pub(super) fn plain_webhook(strategy: &StrategySummary) -> bool {
    strategy.mechanism == "webhook" && is_off(strategy.settings.get("batch"))
}

fn is_off(setting: Option<&serde_json::Value>) -> bool {
    match setting {
        None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => true,
        Some(serde_json::Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(serde_json::Value::String(text)) => text == "none" || text == "0ms",
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{SweepView, Unit, quantity};
    use crate::report::sample;

    #[test]
    fn swept_values_are_read_as_scenarios_write_them() {
        for (text, number, unit) in [
            ("20/s", 20.0, Unit::PerSecond),
            ("250ms", 250e6, Unit::Nanoseconds),
            ("1 KiB", 1024.0, Unit::Bytes),
            ("4", 4.0, Unit::Number),
        ] {
            assert_eq!(quantity(text), Some((number, unit)), "{text}");
        }
        assert_eq!(quantity("poisson"), None);
    }

    #[test]
    fn points_that_differ_in_one_setting_lie_on_a_line() {
        let (summary, figures) = sample::grid();
        let view = SweepView::new(&summary, &figures).expect("it is swept");
        let paths: Vec<&str> = view.settings.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["events.rate", "strategy.poll.every"]);
        let main = view.main().expect("rates are quantities");
        assert_eq!(main.path, "events.rate");
        let lines = view.lines(main);
        assert_eq!(lines.len(), 2);
        for line in lines {
            assert_eq!(line.points.iter().map(|(x, _)| *x).collect::<Vec<_>>(), [2.0, 20.0, 200.0]);
        }
    }

    #[test]
    fn a_run_without_a_sweep_has_no_such_view() {
        let (summary, figures) = (sample::summary(), sample::figures());
        assert!(SweepView::new(&summary, &figures).is_none());
    }
}
