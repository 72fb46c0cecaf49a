//! A canvas as PNG, at twice the density of its pixels.

use ab_glyph::{Font as _, OutlineCurve, Point};
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash,
    Transform,
};

use super::canvas::{Anchor, Area, Canvas, Line, Place, Shape, Text};
use super::font;
use super::style::Colour;

/// Pixels of the picture per pixel of the canvas.
const DENSITY: f32 = 2.0;

/// A complete file.
pub(super) fn file(canvas: &Canvas) -> Vec<u8> {
    let (width, height) = (pixels_of(canvas.width), pixels_of(canvas.height));
    let mut pixels = Pixmap::new(width, height).expect("a card has a size");
    pixels.fill(Color::WHITE);
    for shape in &canvas.shapes {
        match shape {
            Shape::Line(line) => draw_line(&mut pixels, line),
            Shape::Area(area) => draw_area(&mut pixels, area),
            Shape::Text(text) => draw_text(&mut pixels, text),
            Shape::GroupStart(_) | Shape::GroupEnd => {}
        }
    }
    pixels.encode_png().expect("writing to memory cannot fail")
}

/// Pixels of the picture that a length on the canvas takes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a card has the size of a page"
)]
fn pixels_of(length: f32) -> u32 {
    (length * DENSITY).ceil().max(1.0) as u32
}

fn draw_line(pixels: &mut Pixmap, line: &Line) {
    let dash = line.dashed.then(|| StrokeDash::new(vec![7.0, 5.0], 0.0)).flatten();
    let cap = if line.dashed { LineCap::Butt } else { LineCap::Round };
    let stroke = Stroke {
        width: line.width,
        line_cap: cap,
        line_join: LineJoin::Round,
        dash,
        ..Stroke::default()
    };
    if let Some(path) = path(&line.places, false) {
        pixels.stroke_path(&path, &paint(line.colour), &stroke, density(), None);
    }
}

fn draw_area(pixels: &mut Pixmap, area: &Area) {
    let Some(path) = path(&area.places, true) else { return };
    pixels.fill_path(&path, &paint(area.fill), FillRule::Winding, density(), None);
    if let Some((colour, width)) = area.edge {
        let stroke = Stroke { width, line_join: LineJoin::Round, ..Stroke::default() };
        pixels.stroke_path(&path, &paint(colour), &stroke, density(), None);
    }
}

fn draw_text(pixels: &mut Pixmap, text: &Text) {
    let start = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -text.width() / 2.0,
        Anchor::End => -text.width(),
    };
    let (x, y) = text.place;
    let scale = font::scale(text.size, text.weight);
    let transform = density()
        .pre_translate(x, y)
        .pre_concat(Transform::from_rotate(text.turn))
        .pre_translate(start, 0.0)
        .pre_scale(scale, -scale);
    if let Some(path) = letters(text) {
        pixels.fill_path(&path, &paint(text.colour), FillRule::Winding, transform, None);
    }
}

/// The outlines of a text in units of the typeface, upwards, from the start of the baseline.
fn letters(text: &Text) -> Option<Path> {
    let font = text.weight.font();
    let mut path = PathBuilder::new();
    let mut at = 0.0;
    for character in text.content.chars() {
        let glyph = font.glyph_id(character);
        if let Some(outline) = font.outline(glyph) {
            draw_letter(&mut path, &outline.curves, at);
        }
        at += font.h_advance_unscaled(glyph);
    }
    path.finish()
}

fn draw_letter(path: &mut PathBuilder, curves: &[OutlineCurve], at: f32) {
    let mut end: Option<Point> = None;
    for curve in curves {
        let (OutlineCurve::Line(from, to)
        | OutlineCurve::Quad(from, _, to)
        | OutlineCurve::Cubic(from, _, _, to)) = curve;
        if end != Some(*from) {
            path.move_to(at + from.x, from.y);
        }
        match curve {
            OutlineCurve::Line(..) => path.line_to(at + to.x, to.y),
            OutlineCurve::Quad(_, by, _) => path.quad_to(at + by.x, by.y, at + to.x, to.y),
            OutlineCurve::Cubic(_, by, then, _) => {
                path.cubic_to(at + by.x, by.y, at + then.x, then.y, at + to.x, to.y);
            }
        }
        end = Some(*to);
    }
}

fn path(places: &[Place], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    let ((x, y), rest) = places.split_first()?;
    path.move_to(*x, *y);
    for (x, y) in rest {
        path.line_to(*x, *y);
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    let mut opaque = Color::from_rgba8(colour.red, colour.green, colour.blue, 255);
    opaque.apply_opacity(colour.alpha);
    paint.set_color(opaque);
    paint.anti_alias = true;
    paint
}

fn density() -> Transform {
    Transform::from_scale(DENSITY, DENSITY)
}
