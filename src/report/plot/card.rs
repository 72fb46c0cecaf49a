//! The card every chart is drawn on: heading, legend, plot with axes, notes and footer.

use crate::analysis::summary::VerdictStatus;
use crate::quantity;
use crate::report::wording;

use super::axis::{Axis, Tick};
use super::canvas::{Anchor, Canvas, Place, Scales, Text};
use super::font::{self, Weight};
use super::style::{
    ALARM, AXIS, CARD_EDGE, CARE, Colour, GRID, GRID_FINE, INK, INK_SOFT, PAPER, Pen, SMALL_SIZE,
    TEXT_SIZE, TITLE_SIZE, margin,
};
use super::view::Subject;

/// A card under construction, filled from top to bottom.
#[derive(Debug)]
pub(super) struct Card<'a> {
    subject: Subject<'a>,
    pub(super) canvas: Canvas,
    /// Between the card's edge and everything on it.
    pub(super) margin: f32,
    /// Everything above is taken.
    pub(super) y: f32,
    notes: Vec<String>,
}

/// One entry of a legend.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) sample: Sample,
}

/// What a legend shows beside a label.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sample {
    Curve(Pen),
    Dashes(Colour),
    Line(Colour, f32),
    Block(Colour),
    Hatch(Colour),
}

/// The plot's rectangle with its axes.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) corner: Place,
    pub(super) size: Place,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Frame {
    /// Where a pair of values lies; `None` if an axis cannot show it.
    pub(super) fn place(&self, x: f64, y: f64) -> Option<Place> {
        Some((self.column(x)?, self.corner.1 + self.size.1 * (1.0 - self.y.fraction(y)?)))
    }

    /// The horizontal place of a value.
    pub(super) fn column(&self, x: f64) -> Option<f32> {
        Some(self.corner.0 + self.size.0 * self.x.fraction(x)?)
    }
}

impl<'a> Card<'a> {
    /// Begins a card with its heading; `units` says what lengths and positions mean.
    pub(super) fn open(
        subject: impl Into<Subject<'a>>,
        id: &'static str,
        title: &str,
        units: &str,
    ) -> Card<'a> {
        let subject = subject.into();
        let canvas = Canvas::new(id, title.to_owned(), subject.width);
        let margin = margin(subject.width);
        let Subject { name, sample, .. } = subject.clone();
        let mut card = Card { subject, canvas, margin, y: 0.6 * margin, notes: Vec::new() };
        card.paragraph(title, 2, TITLE_SIZE, Weight::Medium, INK);
        card.y += 2.0;
        card.paragraph(&name, 1, TEXT_SIZE, Weight::Regular, INK);
        let subtitle = format!("{units}; {sample}.");
        card.paragraph(&subtitle, 4, TEXT_SIZE, Weight::Regular, INK_SOFT);
        card.verdict();
        card.canvas.description = format!("{name}. {subtitle}");
        card
    }

    fn verdict(&mut self) {
        let (words, colour) = match self.subject.summary.verdict.status {
            VerdictStatus::Valid => return,
            VerdictStatus::Caveats => ("Verdict: caveats. Read the checks before you cite.", CARE),
            VerdictStatus::Invalid => ("Verdict: invalid. Do not use these numbers.", ALARM),
        };
        self.paragraph(words, 2, TEXT_SIZE, Weight::Medium, colour);
    }

    /// The width between the margins.
    pub(super) fn room(&self) -> f32 {
        self.canvas.width - 2.0 * self.margin
    }

    /// Where the right margin begins.
    pub(super) fn right(&self) -> f32 {
        self.canvas.width - self.margin
    }

    /// Adds lines of text across the card.
    fn paragraph(&mut self, text: &str, most: usize, size: f32, weight: Weight, colour: Colour) {
        for line in font::wrap(text, self.room(), most, size, weight) {
            self.y += size * 1.36;
            let place = (self.margin, self.y - size * 0.22);
            let text = Text { weight, ..Text::new(place, &line, size) };
            self.canvas.text(text.coloured(colour));
        }
    }

    /// Adds to what the chart says to those who cannot see it.
    pub(super) fn describe(&mut self, sentence: &str) {
        self.canvas.description.push(' ');
        self.canvas.description.push_str(sentence);
    }

    /// Adds a sentence below the plot.
    pub(super) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// Adds a legend, in as many rows as it takes.
    pub(super) fn legend(&mut self, entries: &[Entry]) {
        const SAMPLE: f32 = 32.0;
        const GAP: f32 = 24.0;
        const ROW: f32 = 23.0;
        let longest = self.room() - SAMPLE;
        let mut x = self.margin;
        self.y += 8.0 + ROW;
        for entry in entries {
            let label = font::ellipsize(&entry.label, longest, TEXT_SIZE, Weight::Regular);
            let label = Text::new((x + SAMPLE, self.y - 7.0), &label, TEXT_SIZE);
            let width = SAMPLE + label.width();
            let fits = x + width <= self.right();
            if !fits {
                (x, self.y) = (self.margin, self.y + ROW);
            }
            let label = Text { place: (x + SAMPLE, self.y - 7.0), ..label };
            let place = (x, self.y - 12.0);
            let draw = |canvas: &mut Canvas| {
                draw_sample(canvas, entry.sample, place);
                canvas.text(label.clone());
            };
            if let Sample::Curve(_) = entry.sample {
                self.canvas.group(&entry.label, draw);
            } else {
                draw(&mut self.canvas);
            }
            x += width + GAP;
        }
        self.y += 2.0;
    }

    /// Adds a heading above a part of the card.
    pub(super) fn heading(&mut self, text: &str) {
        self.y += 8.0;
        self.paragraph(text, 2, TEXT_SIZE, Weight::Medium, INK);
    }

    /// Draws an empty plot with its axes and makes room for it.
    pub(super) fn frame(&mut self, height: f32, x: Axis, y: Axis) -> Frame {
        let labels =
            y.ticks.iter().map(|tick| font::width(&tick.label, TEXT_SIZE, Weight::Regular));
        let left = self.margin + labels.fold(0.0, f32::max) + 10.0;
        // The last label of the x axis is centred under the plot's right edge.
        let right = self.right() - 22.0;
        self.y += 20.0;
        let place = (self.margin, self.y - 3.0);
        self.canvas.text(Text::new(place, &y.title, TEXT_SIZE).medium().coloured(INK_SOFT));
        self.y += 10.0;
        let frame = Frame { corner: (left, self.y), size: (right - left, height), x, y };
        self.rows(&frame);
        self.columns(&frame);
        self.watermark(frame.corner, frame.size);
        self.canvas.scales = Some(Scales {
            corner: frame.corner,
            size: frame.size,
            x: frame.x.words(),
            y: frame.y.words(),
        });
        self.y += height + 24.0;
        self.axis_title(&frame.x.title, right);
        frame
    }

    /// Writes the title of the horizontal axis at its end.
    fn axis_title(&mut self, title: &str, right: f32) {
        self.y += 20.0;
        let text = Text::new((right, self.y - 3.0), title, TEXT_SIZE).medium();
        self.canvas.text(text.coloured(INK_SOFT).anchored(Anchor::End));
    }

    fn rows(&mut self, frame: &Frame) {
        let (left, right) = (frame.corner.0, frame.corner.0 + frame.size.0);
        let mut taken = Vec::new();
        for tick in by_rank(&frame.y) {
            let Some(fraction) = frame.y.fraction(tick.value) else { continue };
            let y = frame.corner.1 + frame.size.1 * (1.0 - fraction);
            let fits = claim(&mut taken, y - 10.0, y + 10.0);
            let colour = if fits { GRID } else { GRID_FINE };
            self.canvas.line(vec![(left, y), (right, y)], colour, 1.0);
            if fits {
                let label = Text::new((left - 8.0, y + 5.0), &tick.label, TEXT_SIZE);
                self.canvas.text(label.coloured(INK_SOFT).anchored(Anchor::End));
            }
        }
    }

    /// Draws the vertical grid with its labels, and the line they stand on.
    pub(super) fn columns(&mut self, frame: &Frame) {
        let (top, bottom) = (frame.corner.1, frame.corner.1 + frame.size.1);
        let mut taken = Vec::new();
        for tick in by_rank(&frame.x) {
            let Some(x) = frame.column(tick.value) else { continue };
            let label = Text::new((x, bottom + 20.0), &tick.label, TEXT_SIZE);
            let half = label.width() / 2.0 + 7.0;
            let fits = claim(&mut taken, x - half, x + half);
            let colour = if fits { GRID } else { GRID_FINE };
            self.canvas.line(vec![(x, top), (x, bottom)], colour, 1.0);
            if fits {
                self.canvas.line(vec![(x, bottom), (x, bottom + 5.0)], AXIS, 1.0);
                self.canvas.text(label.coloured(INK_SOFT).anchored(Anchor::Middle));
            }
        }
        let ends = vec![(frame.corner.0, bottom), (frame.corner.0 + frame.size.0, bottom)];
        self.canvas.line(ends, AXIS, 1.2);
    }

    /// Marks a plot whose numbers must not be used.
    pub(super) fn watermark(&mut self, corner: Place, size: Place) {
        if self.subject.summary.verdict.status == VerdictStatus::Invalid {
            let letters = (size.1 * 0.42).min(120.0);
            let middle = (corner.0 + size.0 / 2.0, corner.1 + size.1 / 2.0 + letters * 0.36);
            let text = Text::new(middle, "INVALID", letters).medium().turned(-9.0);
            self.canvas.text(text.anchored(Anchor::Middle).coloured(ALARM.with_alpha(0.14)));
        }
    }

    /// In place of a plot, says why there is none.
    pub(super) fn blank(&mut self, reason: &str) {
        const HEIGHT: f32 = 170.0;
        self.y += 16.0;
        let corner = (self.margin, self.y);
        let size = (self.room(), HEIGHT);
        self.canvas.rectangle(corner, size, GRID_FINE);
        self.watermark(corner, size);
        let lines = font::wrap(reason, size.0 - 40.0, 4, TEXT_SIZE + 1.5, Weight::Medium);
        let top = self.y + HEIGHT / 2.0 - 11.0 * lines.len() as f32;
        for (line, row) in lines.iter().zip(1u8..) {
            let place = (self.canvas.width / 2.0, top + 22.0 * f32::from(row) - 6.0);
            let text = Text::new(place, line, TEXT_SIZE + 1.5).medium();
            self.canvas.text(text.coloured(INK_SOFT).anchored(Anchor::Middle));
        }
        self.y += HEIGHT + 4.0;
        self.describe(reason);
    }

    /// Adds notes and footer and hands over the drawing.
    pub(super) fn finish(mut self) -> Canvas {
        self.y += 6.0;
        for note in std::mem::take(&mut self.notes) {
            self.paragraph(&note, 4, SMALL_SIZE, Weight::Regular, INK_SOFT);
            self.describe(&note);
        }
        self.y += 8.0;
        let footer = self.footer();
        self.canvas.line(vec![(self.margin, self.y), (self.right(), self.y)], GRID, 1.0);
        self.y += 3.0;
        self.paragraph(&footer, 1, SMALL_SIZE, Weight::Regular, INK_SOFT);
        self.canvas.height = (self.y + 14.0).ceil();
        self.canvas.underlay(PAPER, CARD_EDGE);
        self.canvas
    }

    fn footer(&self) -> String {
        let summary = self.subject.summary;
        if self.subject.of_several_runs {
            return "curves of several runs, each with a verdict of its own".to_owned();
        }
        let verdict = wording::verdict_word(summary.verdict.status);
        let end = if summary.complete { "" } else { " · ended before its planned end" };
        let checks = quantity::counted(summary.verdict.checks.len() as u64, "check");
        let (version, run) = (&summary.tool.version, &summary.run_id);
        format!("pollpush {version} · run {run} · verdict: {verdict} ({checks}){end}")
    }
}

fn draw_sample(canvas: &mut Canvas, sample: Sample, (x, y): Place) {
    let ends = vec![(x, y), (x + 25.0, y)];
    match sample {
        Sample::Curve(pen) => {
            canvas.line(ends, pen.colour, 2.6);
            canvas.marker((x + 12.5, y), pen);
        }
        Sample::Dashes(colour) => canvas.dashed(ends, colour, 1.7),
        Sample::Line(colour, width) => canvas.line(ends, colour, width),
        Sample::Block(colour) => {
            let places = [(x + 6.0, y - 7.0), (x + 22.0, y - 7.0)].into_iter();
            let places = places.chain([(x + 22.0, y + 7.0), (x + 6.0, y + 7.0)]).collect();
            canvas.area(places, colour, Some((AXIS, 0.8)));
        }
        Sample::Hatch(colour) => {
            canvas.hatch((x + 6.0, y - 7.0), (16.0, 14.0), &[colour], 5.0);
        }
    }
}

fn by_rank(axis: &Axis) -> Vec<&Tick> {
    let mut ticks: Vec<&Tick> = axis.ticks.iter().collect();
    ticks.sort_by_key(|tick| tick.rank);
    ticks
}

/// Takes the room from `start` to `end` unless some of it is taken.
fn claim(taken: &mut Vec<(f32, f32)>, start: f32, end: f32) -> bool {
    let free = taken.iter().all(|(from, to)| end <= *from || start >= *to);
    if free {
        taken.push((start, end));
    }
    free
}
