//! What a chart is made of: lines, areas and texts, in pixels from the top left corner.

use super::font::{self, Weight};
use super::style::{Colour, INK, Marker, Pen};

/// A place on the canvas.
pub(super) type Place = (f32, f32);

/// A chart, ready to be written in any format.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    pub(super) width: f32,
    pub(super) height: f32,
    /// The name of its kind of chart.
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) description: String,
    /// How places on the plot are read as values, if it has axes.
    pub(super) scales: Option<Scales>,
    pub(super) shapes: Vec<Shape>,
}

/// How places on a plot are read as values.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    pub(super) corner: Place,
    pub(super) size: Place,
    /// Each axis as words: its kind, its ends, and what its values are.
    pub(super) x: String,
    pub(super) y: String,
}

/// One thing to draw. Later ones cover earlier ones.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Line(Line),
    Area(Area),
    Text(Text),
    /// What follows, up to [`Shape::GroupEnd`], belongs to a strategy.
    GroupStart(Group),
    GroupEnd,
}

/// What belongs to one strategy.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The strategy's name.
    pub(super) name: String,
    /// What is said where a pointer rests on it.
    pub(super) words: String,
}

/// How the values of a curve are read off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A corner holds until the next one.
    Steps,
    /// Only corners are known.
    Corners,
}

/// An open line through places.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) places: Vec<Place>,
    pub(super) colour: Colour,
    pub(super) width: f32,
    pub(super) dashed: bool,
    /// Set where the line is what was measured.
    pub(super) reading: Option<Reading>,
}

/// A closed, filled outline.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) places: Vec<Place>,
    pub(super) fill: Colour,
    pub(super) edge: Option<(Colour, f32)>,
}

/// Which end of a text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// The anchor, on the baseline.
    pub(super) place: Place,
    pub(super) anchor: Anchor,
    pub(super) content: String,
    pub(super) size: f32,
    pub(super) weight: Weight,
    pub(super) colour: Colour,
    /// Degrees, clockwise about the place.
    pub(super) turn: f32,
}

impl Text {
    /// A text in ordinary ink. Characters that cannot be drawn become spaces.
    pub(super) fn new(place: Place, content: &str, size: f32) -> Text {
        let drawable = |c: char| if c.is_control() { ' ' } else { c };
        Text {
            place,
            anchor: Anchor::Start,
            content: content.chars().map(drawable).collect(),
            size,
            weight: Weight::Regular,
            colour: INK,
            turn: 0.0,
        }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Text {
        Text { anchor, ..self }
    }

    pub(super) fn coloured(self, colour: Colour) -> Text {
        Text { colour, ..self }
    }

    pub(super) fn medium(self) -> Text {
        Text { weight: Weight::Medium, ..self }
    }

    pub(super) fn turned(self, turn: f32) -> Text {
        Text { turn, ..self }
    }

    /// The width that the text takes.
    pub(super) fn width(&self) -> f32 {
        font::width(&self.content, self.size, self.weight)
    }
}

impl Canvas {
    /// An empty canvas; its height is set when all is drawn.
    pub(super) fn new(id: &'static str, title: String, width: f32) -> Canvas {
        Canvas {
            width,
            height: 0.0,
            id,
            title,
            description: String::new(),
            scales: None,
            shapes: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }

    pub(super) fn line(&mut self, places: Vec<Place>, colour: Colour, width: f32) {
        let line = Line { places, colour, width, dashed: false, reading: None };
        self.shapes.push(Shape::Line(line));
    }

    pub(super) fn dashed(&mut self, places: Vec<Place>, colour: Colour, width: f32) {
        let line = Line { places, colour, width, dashed: true, reading: None };
        self.shapes.push(Shape::Line(line));
    }

    /// A line whose values can be read off.
    pub(super) fn curve(&mut self, places: Vec<Place>, colour: Colour, reading: Reading) {
        let line = Line { places, colour, width: 2.6, dashed: false, reading: Some(reading) };
        self.shapes.push(Shape::Line(line));
    }

    pub(super) fn area(&mut self, places: Vec<Place>, fill: Colour, edge: Option<(Colour, f32)>) {
        self.shapes.push(Shape::Area(Area { places, fill, edge }));
    }

    /// A rectangle from its top left corner.
    pub(super) fn rectangle(&mut self, (x, y): Place, (width, height): Place, fill: Colour) {
        let (right, bottom) = (x + width, y + height);
        self.area(vec![(x, y), (right, y), (right, bottom), (x, bottom)], fill, None);
    }

    /// A framed rectangle filled with slanted lines so far apart, their colours in turn.
    pub(super) fn hatch(
        &mut self,
        (x, y): Place,
        (width, height): Place,
        colours: &[Colour],
        apart: f32,
    ) {
        let (right, bottom) = (x + width, y + height);
        let mut offset = apart / 2.0;
        for colour in colours.iter().cycle() {
            if offset >= width + height {
                break;
            }
            // From the top or right edge down to the left or bottom one.
            let from = if offset <= width { (x + offset, y) } else { (right, y + offset - width) };
            let to = if offset <= height { (x, y + offset) } else { (x + offset - height, bottom) };
            self.line(vec![from, to], *colour, (apart * 0.42).min(3.4));
            offset += apart;
        }
        let edge = Some((colours.first().copied().unwrap_or(INK), 0.8));
        let corners = vec![(x, y), (right, y), (right, bottom), (x, bottom)];
        self.area(corners, INK.with_alpha(0.0), edge);
    }

    /// The mark of a strategy, with a white rim that lifts it off its curve.
    pub(super) fn marker(&mut self, place: Place, pen: Pen) {
        const RADIUS: f32 = 4.6;
        let paper = super::style::PAPER;
        let (fill, edge) =
            if pen.filled { (pen.colour, (paper, 1.2)) } else { (paper, (pen.colour, 1.6)) };
        self.area(outline(pen.marker, place, RADIUS), fill, Some(edge));
    }

    /// Draws what belongs to one strategy.
    pub(super) fn group(&mut self, name: &str, draw: impl FnOnce(&mut Canvas)) {
        self.group_with_words(name, name, draw);
    }

    /// Draws what belongs to one strategy, with what is said where a pointer rests on it.
    pub(super) fn group_with_words(
        &mut self,
        name: &str,
        words: &str,
        draw: impl FnOnce(&mut Canvas),
    ) {
        let group = Group { name: name.to_owned(), words: words.to_owned() };
        self.shapes.push(Shape::GroupStart(group));
        draw(self);
        self.shapes.push(Shape::GroupEnd);
    }

    /// Puts the card itself under everything that was drawn.
    pub(super) fn underlay(&mut self, fill: Colour, edge: Colour) {
        let (right, bottom) = (self.width - 0.5, self.height - 0.5);
        let places = vec![(0.5, 0.5), (right, 0.5), (right, bottom), (0.5, bottom)];
        let card = Area { places, fill, edge: Some((edge, 1.0)) };
        self.shapes.insert(0, Shape::Area(card));
    }
}

/// The corners of a marker about its middle.
fn outline(marker: Marker, middle: Place, radius: f32) -> Vec<Place> {
    let (count, turn, inner, scale) = match marker {
        Marker::Circle => (20, 0.0, 1.0, 1.0),
        Marker::Square => (4, 45.0, 1.0, 1.22),
        Marker::Triangle => (3, 0.0, 1.0, 1.28),
        Marker::Diamond => (4, 0.0, 1.0, 1.25),
        Marker::TriangleDown => (3, 180.0, 1.0, 1.28),
        Marker::Pentagon => (5, 0.0, 1.0, 1.15),
        Marker::Cross => (8, 0.0, 0.42, 1.4),
        Marker::Star => (10, 0.0, 0.45, 1.4),
    };
    (0..count)
        .map(|corner| {
            let inward = if corner % 2 == 1 && inner < 1.0 { inner } else { 1.0 };
            let angle = (turn + 360.0 * corner as f32 / count as f32 - 90.0).to_radians();
            let reach = radius * scale * inward;
            (middle.0 + reach * angle.cos(), middle.1 + reach * angle.sin())
        })
        .collect()
}
