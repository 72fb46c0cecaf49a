//! Curves of strategies, and what is said about those that have none.

use crate::analysis::figures::StrategyFigures;
use crate::analysis::summary::StrategySummary;
use crate::quantity;

use super::canvas::{Canvas, Place, Reading};
use super::card::{Card, Entry, Sample};
use super::style::{INK_SOFT, Pen, pen};
use super::view::View;

/// A strategy that has a curve to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series<'a> {
    pub(super) place: usize,
    pub(super) strategy: &'a StrategySummary,
    pub(super) figures: &'a StrategyFigures,
}

impl Series<'_> {
    /// How the strategy is drawn.
    pub(super) fn pen(&self) -> Pen {
        pen(self.place)
    }

    /// The strategy in a legend, with its losses.
    pub(super) fn entry(&self) -> Entry {
        Entry { label: self.strategy.name.clone(), sample: Sample::Curve(self.pen()) }
    }
}

/// What dashes mean, in a legend.
pub(super) fn expected_entry() -> Entry {
    Entry { label: "expected by the model".to_owned(), sample: Sample::Dashes(INK_SOFT) }
}

/// The strategies for which `has_curve` holds.
pub(super) fn series<'a>(
    view: &View<'a>,
    has_curve: fn(&StrategyFigures) -> bool,
) -> Vec<Series<'a>> {
    view.strategies()
        .filter_map(|(place, strategy, figures)| {
            Some(Series { place, strategy, figures: figures? })
        })
        .filter(|series| has_curve(series.figures))
        .collect()
}

/// Notes every strategy without a curve, and why; describes those that have one.
pub(super) fn account(card: &mut Card<'_>, view: &View<'_>, drawn: &[Series<'_>]) {
    for (place, strategy, _) in view.strategies() {
        let name = &strategy.name;
        let emitted = quantity::counted(strategy.events.emitted, "event");
        if drawn.iter().any(|series| series.place == place) {
            let latency = &strategy.latency;
            let [p50, p90, max] = [latency.p50, latency.p90, latency.max]
                .map(|value| quantity::or_absent(value, quantity::nanoseconds));
            let words = format!("{name}: median {p50}, 90th percentile {p90}, greatest {max}.");
            card.describe(&words);
            if strategy.events.coalesced > 0 {
                let coalesced = quantity::count(strategy.events.coalesced);
                card.note(format!(
                    "“{name}” coalesced {coalesced} of {emitted} into newer ones, which have no \
                     latency."
                ));
            }
            if strategy.events.lost > 0 {
                let lost = quantity::count(strategy.events.lost);
                card.note(format!(
                    "“{name}” lost {lost} of {emitted}; a lost event has no latency."
                ));
            }
        } else if strategy.events.delivered == 0 {
            card.note(format!("No curve for “{name}”: none of its {emitted} was delivered."));
        } else {
            card.note(format!("No curve for “{name}”: too little was recorded to draw one."));
        }
    }
}

/// Notes values that a logarithmic axis cannot show.
pub(super) fn account_for_zeros(card: &mut Card<'_>, zeros: usize) {
    if zeros > 0 {
        let values = quantity::counted(zeros as u64, "value");
        card.note(format!("Left out: {values} of 0 ns; a logarithmic axis has no zero."));
    }
}

/// Says why there is no curve at all.
pub(super) fn reason(view: &View<'_>) -> &'static str {
    let strategies = &view.point.strategies;
    let delivered = strategies.iter().any(|strategy| strategy.events.delivered > 0);
    if strategies.is_empty() {
        "Nothing to show: no strategy was measured at this point."
    } else if strategies.iter().all(|strategy| strategy.events.emitted == 0) {
        "Nothing to show: no event was due in the measured window."
    } else if !delivered {
        "Nothing to show: every event was lost, and a lost event has no latency."
    } else if view.curves().is_none() {
        "Nothing to show: the curves of this point were not kept."
    } else {
        "Nothing to show: no latency above zero was recorded for this point."
    }
}

/// Breaks a line wherever a value could not be placed.
pub(super) fn unbroken(places: impl Iterator<Item = Option<Place>>) -> Vec<Vec<Place>> {
    let mut stretches = vec![Vec::new()];
    for place in places {
        match (place, stretches.last_mut()) {
            (Some(place), Some(stretch)) => stretch.push(place),
            _ => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

/// Draws a strategy's curve. Markers are spread along it, and begin elsewhere for each
/// strategy so that curves close to each other can be told apart.
pub(super) fn draw(canvas: &mut Canvas, places: &[Place], series: &Series<'_>, reading: Reading) {
    const BETWEEN_MARKERS: f32 = 130.0;
    let pen = series.pen();
    canvas.curve(places.to_vec(), pen.colour, reading);
    let Some(first) = places.first() else { return };
    let start = (series.place % 5) as f32 / 5.0;
    let mut walked = BETWEEN_MARKERS * (0.75 - start * 0.7);
    let mut marked = false;
    let mut previous = first;
    for place in places {
        walked += (place.0 - previous.0).hypot(place.1 - previous.1);
        previous = place;
        if walked >= BETWEEN_MARKERS {
            canvas.marker(*place, pen);
            walked = 0.0;
            marked = true;
        }
    }
    if !marked {
        canvas.marker(places[places.len() / 2], pen);
    }
}
