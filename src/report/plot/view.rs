//! What a chart looks at: one point of a run, with its curves.

use crate::analysis::figures::{PointFigures, StrategyFigures};
use crate::analysis::summary::{PointSummary, StrategySummary, Summary};
use crate::quantity;
use crate::report::point;

use super::style::{NARROW, WIDE};

/// One point of a run, with its curves where they are known.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) summary: &'a Summary,
    pub(super) point: &'a PointSummary,
    curves: Option<&'a PointFigures>,
    /// Width of the card.
    pub(super) width: f32,
    /// Whether its strategies are of several runs, each with a verdict of its own.
    pub(super) of_several_runs: bool,
}

impl<'a> View<'a> {
    /// Looks at `point`, which belongs to `summary`.
    #[must_use]
    pub fn new(
        summary: &'a Summary,
        point: &'a PointSummary,
        curves: Option<&'a PointFigures>,
    ) -> View<'a> {
        View { summary, point, curves, width: WIDE, of_several_runs: false }
    }

    /// The same, for cards on a page that may be read on a telephone.
    #[must_use]
    pub fn narrow(self) -> View<'a> {
        View { width: NARROW, ..self }
    }

    /// The same, of strategies of several runs: verdict and run id are told elsewhere.
    #[must_use]
    pub fn of_several_runs(self) -> View<'a> {
        View { of_several_runs: true, ..self }
    }

    /// The point's curves.
    pub(super) fn curves(&self) -> Option<&'a PointFigures> {
        self.curves
    }

    /// Each strategy with its place in the scenario and its curves.
    pub(super) fn strategies(
        &self,
    ) -> impl Iterator<Item = (usize, &'a StrategySummary, Option<&'a StrategyFigures>)> + use<'a>
    {
        let curves = self.curves;
        self.point.strategies.iter().enumerate().map(move |(place, strategy)| {
            let found = curves.and_then(|curves| {
                curves.strategies.iter().find(|curve| curve.name == strategy.name)
            });
            (place, strategy, found)
        })
    }

    /// The scenario's title and the swept parameters.
    pub(super) fn name(&self) -> String {
        let title = &self.summary.scenario.title;
        match point::heading(&self.point.parameters) {
            Some(parameters) => format!("{title} · {parameters}"),
            None => title.clone(),
        }
    }

    /// How much was measured: `n = 480 events for each strategy, 3 blocks`.
    pub(super) fn sample(&self) -> String {
        let strategies = &self.point.strategies;
        let events = span(strategies.iter().map(|strategy| strategy.events.emitted), "event");
        let blocks = span(strategies.iter().map(|strategy| u64::from(strategy.blocks)), "block");
        match (events, blocks) {
            (Some(events), Some(blocks)) => format!("n = {events} for each strategy, {blocks}"),
            _ => "no strategy was measured".to_owned(),
        }
    }
}

/// What a card is about: the run, and which part of it.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    pub(super) summary: &'a Summary,
    /// The scenario's title, and what of it is shown.
    pub(super) name: String,
    /// How much was measured.
    pub(super) sample: String,
    /// Width of the card.
    pub(super) width: f32,
    /// Whether its strategies are of several runs, each with a verdict of its own.
    pub(super) of_several_runs: bool,
}

impl<'a> From<&View<'a>> for Subject<'a> {
    fn from(view: &View<'a>) -> Subject<'a> {
        let (name, sample) = (view.name(), view.sample());
        let (width, of_several_runs) = (view.width, view.of_several_runs);
        Subject { summary: view.summary, name, sample, width, of_several_runs }
    }
}

/// The common value, or the least and the greatest.
pub(super) fn span(values: impl Iterator<Item = u64> + Clone, name: &str) -> Option<String> {
    let (least, most) = (values.clone().min()?, values.max()?);
    Some(if least == most {
        quantity::counted(least, name)
    } else {
        format!("{} to {}", quantity::count(least), quantity::counted(most, name))
    })
}
