//! Stacked horizontal bars, one a strategy, with the figures beside them.

use crate::report::quantity::ratio;

use super::axis::Axis;
use super::canvas::{Canvas, Text};
use super::card::{Card, Entry, Frame, Sample};
use super::curve;
use super::font::{self, Weight};
use super::style::{AXIS, Colour, INK, INK_SOFT, MARGIN, PAPER, SMALL_SIZE, TEXT_SIZE, WIDTH};

/// Height of a strategy's row.
const ROW: f32 = 54.0;
/// Height of its bar.
const BAR: f32 = 26.0;
/// How far the mark of what is expected reaches beyond its bar.
const BEYOND: f32 = 7.0;

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

/// Draws bars over an axis from zero, whose ticks are written by `label`.
pub(super) fn draw(
    card: &mut Card<'_>,
    parts: &[Part],
    bars: &[Bar],
    title: &str,
    label: fn(f64) -> String,
) {
    let mut entries: Vec<Entry> = parts
        .iter()
        .map(|part| Entry { label: part.name.to_owned(), sample: Sample::Block(part.colour) })
        .collect();
    if bars.iter().any(|bar| bar.expected.is_some()) {
        entries.push(curve::expected_entry());
    }
    card.legend(&entries);
    card.y += 12.0;
    let longest = bars.iter().map(Bar::reach).fold(0.0, f64::max);
    let frame = frame(card.y, bars, Axis::linear(longest, title, label));
    card.columns(&frame);
    card.watermark(frame.corner, frame.size);
    for (bar, row) in bars.iter().zip(0u16..) {
        let middle = frame.corner.1 + ROW * (f32::from(row) + 0.5);
        card.canvas.group(&bar.name, |canvas| draw_bar(canvas, &frame, middle, parts, bar));
        let expected = bar.expected.map(|expected| format!(", expected {}", ratio(expected)));
        let expected = expected.unwrap_or_default();
        card.describe(&format!("{}: {}{expected} ({}).", bar.name, bar.figure, bar.detail));
    }
    card.y += frame.size.1 + 44.0;
    let place = (frame.corner.0, card.y - 3.0);
    card.canvas.text(Text::new(place, title, TEXT_SIZE).medium().coloured(INK_SOFT));
}

/// The bars' rectangle: between the names and the figures, whose room is measured.
fn frame(top: f32, bars: &[Bar], x: Axis) -> Frame {
    let names = bars.iter().map(|bar| font::width(&bar.name, TEXT_SIZE, Weight::Regular));
    let left = MARGIN + names.fold(0.0, f32::max).min(200.0) + 14.0;
    let figures = bars.iter().map(|bar| {
        let figure = font::width(&bar.figure, TEXT_SIZE, Weight::Medium);
        figure.max(font::width(&bar.detail, SMALL_SIZE, Weight::Regular))
    });
    let right = WIDTH - MARGIN - figures.fold(0.0, f32::max).min(330.0) - 16.0;
    let size = (right - left, ROW * bars.len() as f32);
    let y = Axis::share("");
    Frame { corner: (left, top), size, x, y }
}

fn draw_bar(canvas: &mut Canvas, frame: &Frame, middle: f32, parts: &[Part], bar: &Bar) {
    draw_name(canvas, frame, middle, &bar.name);
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
    let x = frame.corner.0 + frame.size.0 + 16.0;
    let room = WIDTH - MARGIN - x;
    let figure = font::ellipsize(&bar.figure, room, TEXT_SIZE, Weight::Medium);
    let lift = if bar.detail.is_empty() { 5.0 } else { -3.0 };
    canvas.text(Text::new((x, middle + lift), &figure, TEXT_SIZE).medium());
    let detail = font::ellipsize(&bar.detail, room, SMALL_SIZE, Weight::Regular);
    canvas.text(Text::new((x, middle + 15.0), &detail, SMALL_SIZE).coloured(INK_SOFT));
}

/// The name, in two lines if it must be.
fn draw_name(canvas: &mut Canvas, frame: &Frame, middle: f32, name: &str) {
    let room = frame.corner.0 - MARGIN - 14.0;
    let lines = font::wrap(name, room + 0.5, 2, TEXT_SIZE, Weight::Regular);
    let first = if lines.len() == 1 { middle + 5.0 } else { middle - 3.5 };
    for (line, row) in lines.iter().zip(0u8..) {
        canvas.text(Text::new((MARGIN, first + 18.0 * f32::from(row)), line, TEXT_SIZE));
    }
}
