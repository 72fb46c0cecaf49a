//! Stacked horizontal bars, one a strategy, with the figures beside them.

use crate::analysis::summary::StrategySummary;
use crate::quantity::ratio;

use super::Chart;
use super::axis::{Axis, Unit};
use super::canvas::{Anchor, Canvas, Text};
use super::card::{Card, Entry, Frame, Sample};
use super::curve;
use super::font::{self, Weight};
use super::style::{AXIS, Colour, INK, INK_SOFT, PAPER, SMALL_SIZE, TEXT_SIZE, WIDE};
use super::view::View;

/// Height of a bar.
const BAR: f32 = 26.0;
/// How far the mark of what is expected reaches beyond its bar.
const BEYOND: f32 = 7.0;

/// Where the texts of a bar are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// The name to its left, the figures to its right.
    Beside,
    /// Name and figure above it, the details below.
    Around,
}

impl Layout {
    /// Height of a strategy's row.
    fn row(self) -> f32 {
        match self {
            Layout::Beside => 54.0,
            Layout::Around => 82.0,
        }
    }

    /// From the top of a row to the middle of its bar.
    fn middle(self) -> f32 {
        match self {
            Layout::Beside => 27.0,
            Layout::Around => 44.0,
        }
    }
}

/// A part that bars are stacked of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) colour: Colour,
}

/// One strategy's bar.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    /// One length a part.
    pub(super) lengths: Vec<f64>,
    /// The length that the model expects of the whole bar.
    pub(super) expected: Option<f64>,
    /// The bar's figure, or why there is no bar.
    pub(super) figure: String,
    /// The figures of its parts.
    pub(super) detail: String,
}

impl Bar {
    /// How far the bar and its mark reach.
    fn reach(&self) -> f64 {
        self.lengths.iter().sum::<f64>().max(self.expected.unwrap_or(0.0))
    }
}

/// A chart of bars: what is the same for all its strategies.
pub(super) struct BarChart {
    /// What is measured, below the title.
    pub(super) units: &'static str,
    /// What bars are stacked of.
    pub(super) parts: &'static [Part],
    /// What the axis shows.
    pub(super) axis: &'static str,
    pub(super) unit: Unit,
    /// The bar of a strategy.
    pub(super) bar: fn(&StrategySummary) -> Bar,
}

impl BarChart {
    pub(super) fn draw(&self, view: &View<'_>, chart: &Chart) -> Canvas {
        let mut card = Card::open(view, chart.name, chart.title, self.units);
        if view.point.strategies.is_empty() {
            card.blank("Nothing to show: no strategy was measured at this point.");
        } else {
            let bars: Vec<Bar> = view.point.strategies.iter().map(self.bar).collect();
            draw(&mut card, self.parts, &bars, self.axis, self.unit);
        }
        card.finish()
    }
}

/// Draws bars over an axis from zero; the legend names the parts that occur.
pub(super) fn draw(card: &mut Card<'_>, parts: &[Part], bars: &[Bar], title: &str, unit: Unit) {
    let occurs = |place: usize| {
        bars.iter().any(|bar| bar.lengths.get(place).is_some_and(|length| *length > 0.0))
    };
    let mut entries: Vec<Entry> = parts
        .iter()
        .enumerate()
        .filter(|(place, _)| occurs(*place))
        .map(|(_, part)| Entry { label: part.name.to_owned(), sample: Sample::Block(part.colour) })
        .collect();
    if bars.iter().any(|bar| bar.expected.is_some()) {
        entries.push(curve::expected_entry());
    }
    card.legend(&entries);
    card.y += 12.0;
    let layout = if card.canvas.width < WIDE { Layout::Around } else { Layout::Beside };
    let longest = bars.iter().map(Bar::reach).fold(0.0, f64::max);
    let frame = frame(card, layout, bars, Axis::linear(longest, title, unit));
    card.columns(&frame);
    card.watermark(frame.corner, frame.size);
    let right = card.right();
    for (bar, row) in bars.iter().zip(0u16..) {
        let middle = frame.corner.1 + layout.row() * f32::from(row) + layout.middle();
        let expected = bar.expected.map(|expected| format!(", expected {}", ratio(expected)));
        let expected = expected.unwrap_or_default();
        let words = format!("{}: {}{expected} ({}).", bar.name, bar.figure, bar.detail);
        let margin = card.margin;
        card.canvas.group_with_words(&bar.name, &words, |canvas| {
            match layout {
                Layout::Beside => texts_beside(canvas, &frame, middle, (margin, right), bar),
                Layout::Around => texts_around(canvas, middle, (margin, right), bar),
            }
            draw_bar(canvas, &frame, middle, parts, bar);
        });
        card.describe(&words);
    }
    card.y += frame.size.1 + 44.0;
    let place = (frame.corner.0, card.y - 3.0);
    card.canvas.text(Text::new(place, title, TEXT_SIZE).medium().coloured(INK_SOFT));
}

/// The bars' rectangle. Between names and figures, their room is measured.
fn frame(card: &Card<'_>, layout: Layout, bars: &[Bar], x: Axis) -> Frame {
    let (left, right) = match layout {
        Layout::Around => (card.margin + 2.0, card.right() - 22.0),
        Layout::Beside => {
            let names = bars.iter().map(|bar| font::width(&bar.name, TEXT_SIZE, Weight::Regular));
            let figures = bars.iter().map(|bar| {
                let figure = font::width(&bar.figure, TEXT_SIZE, Weight::Medium);
                figure.max(font::width(&bar.detail, SMALL_SIZE, Weight::Regular))
            });
            let left = card.margin + names.fold(0.0, f32::max).min(200.0) + 14.0;
            (left, card.right() - figures.fold(0.0, f32::max).min(330.0) - 16.0)
        }
    };
    let size = (right - left, layout.row() * bars.len() as f32);
    Frame { corner: (left, card.y), size, x, y: Axis::share("") }
}

fn draw_bar(canvas: &mut Canvas, frame: &Frame, middle: f32, parts: &[Part], bar: &Bar) {
    let mut start = 0.0;
    for (part, length) in parts.iter().zip(&bar.lengths).filter(|(_, length)| **length > 0.0) {
        let ends = (frame.column(start), frame.column(start + length));
        start += length;
        if let (Some(left), Some(right)) = ends {
            // A part too short to see still shows that it is there.
            let right = right.max(left + 1.0);
            let (top, bottom) = (middle - BAR / 2.0, middle + BAR / 2.0);
            let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
            canvas.area(corners, part.colour, Some((AXIS, 0.8)));
        }
    }
    if let Some(x) = bar.expected.and_then(|expected| frame.column(expected)) {
        let (top, bottom) = (middle - BAR / 2.0 - BEYOND, middle + BAR / 2.0 + BEYOND);
        // On the paper's colour, so that it is seen on dark parts too.
        canvas.line(vec![(x, top), (x, bottom)], PAPER, 3.4);
        canvas.dashed(vec![(x, top), (x, bottom)], INK, 1.7);
    }
}

/// The name before the bar, in two lines if it must be, and the figures behind it.
fn texts_beside(
    canvas: &mut Canvas,
    frame: &Frame,
    middle: f32,
    (left, right): (f32, f32),
    bar: &Bar,
) {
    let room = frame.corner.0 - left - 14.0;
    let lines = font::wrap(&bar.name, room + 0.5, 2, TEXT_SIZE, Weight::Regular);
    let first = if lines.len() == 1 { middle + 5.0 } else { middle - 3.5 };
    for (line, row) in lines.iter().zip(0u8..) {
        canvas.text(Text::new((left, first + 18.0 * f32::from(row)), line, TEXT_SIZE));
    }
    let x = frame.corner.0 + frame.size.0 + 16.0;
    let room = right - x;
    let figure = font::ellipsize(&bar.figure, room, TEXT_SIZE, Weight::Medium);
    let lift = if bar.detail.is_empty() { 5.0 } else { -3.0 };
    canvas.text(Text::new((x, middle + lift), &figure, TEXT_SIZE).medium());
    let detail = font::ellipsize(&bar.detail, room, SMALL_SIZE, Weight::Regular);
    canvas.text(Text::new((x, middle + 15.0), &detail, SMALL_SIZE).coloured(INK_SOFT));
}

/// Name and figure above the bar, and what it is made of below.
fn texts_around(canvas: &mut Canvas, middle: f32, (left, right): (f32, f32), bar: &Bar) {
    let above = middle - BAR / 2.0 - BEYOND - 3.0;
    let figure = font::ellipsize(&bar.figure, 0.55 * (right - left), TEXT_SIZE, Weight::Medium);
    let figure = Text::new((right, above), &figure, TEXT_SIZE).medium().anchored(Anchor::End);
    let room = right - left - figure.width() - 14.0;
    let name = font::ellipsize(&bar.name, room, TEXT_SIZE, Weight::Regular);
    canvas.text(Text::new((left, above), &name, TEXT_SIZE));
    canvas.text(figure);
    let below = middle + BAR / 2.0 + BEYOND + 11.0;
    let detail = font::ellipsize(&bar.detail, right - left, SMALL_SIZE, Weight::Regular);
    canvas.text(Text::new((left, below), &detail, SMALL_SIZE).coloured(INK_SOFT));
}
