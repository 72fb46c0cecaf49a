//! A canvas as SVG.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::canvas::{Anchor, Area, Canvas, Line, Place, Shape, Text};
use super::font::{FAMILY, WOFF2, Weight};
use super::style::{Colour, WIDTH};

/// A complete file with its typeface inside.
pub(super) fn file(canvas: &Canvas) -> String {
    write(canvas, canvas.id, &format!("<style>{}</style>\n", font_faces()))
}

/// An element for a page that brings the typeface itself; `id` is the page's only one.
pub(super) fn element(canvas: &Canvas, id: &str) -> String {
    write(canvas, id, "")
}

/// The rules that declare the typeface.
pub(super) fn font_faces() -> String {
    let mut css = String::new();
    for (weight, bytes) in WOFF2 {
        put(
            &mut css,
            format_args!(
                "@font-face{{font-family:\"{FAMILY}\";font-weight:{weight};\
                 src:url(data:font/woff2;base64,{}) format(\"woff2\")}}",
                STANDARD.encode(bytes)
            ),
        );
    }
    css
}

fn write(canvas: &Canvas, id: &str, style: &str) -> String {
    let (id, height) = (escape(id), number(canvas.height));
    let mut svg = String::with_capacity(64 * 1024);
    put(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n{style}\
             <g font-family=\"'{FAMILY}', Roboto, Arial, Helvetica, sans-serif\" fill=\"none\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\">\n",
            escape(&canvas.title),
            escape(&canvas.description),
        ),
    );
    for shape in &canvas.shapes {
        match shape {
            Shape::Line(line) => write_line(&mut svg, line),
            Shape::Area(area) => write_area(&mut svg, area),
            Shape::Text(text) => write_text(&mut svg, text),
            Shape::GroupStart(name) => put(
                &mut svg,
                format_args!("<g data-strategy=\"{0}\"><title>{0}</title>\n", escape(name)),
            ),
            Shape::GroupEnd => svg.push_str("</g>\n"),
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn write_line(svg: &mut String, line: &Line) {
    let dashes = if line.dashed { " stroke-dasharray=\"7 5\" stroke-linecap=\"butt\"" } else { "" };
    put(
        svg,
        format_args!(
            "<path d=\"{}\" {} stroke-width=\"{}\"{dashes}/>\n",
            path(&line.places),
            paint("stroke", line.colour),
            number(line.width),
        ),
    );
}

fn write_area(svg: &mut String, area: &Area) {
    put(svg, format_args!("<path d=\"{}Z\" {}", path(&area.places), paint("fill", area.fill)));
    if let Some((colour, width)) = area.edge {
        put(svg, format_args!(" {} stroke-width=\"{}\"", paint("stroke", colour), number(width)));
    }
    svg.push_str("/>\n");
}

/// Texts state their length, so that a viewer that refuses the embedded typeface still
/// lays them out as they were measured.
fn write_text(svg: &mut String, text: &Text) {
    if text.content.trim().is_empty() {
        return;
    }
    let (x, y) = (number(text.place.0), number(text.place.1));
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if text.weight == Weight::Medium { " font-weight=\"500\"" } else { "" };
    let turn = if text.turn == 0.0 {
        String::new()
    } else {
        format!(" transform=\"rotate({} {x} {y})\"", number(text.turn))
    };
    put(
        svg,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"{weight}{anchor}{turn} {} \
             textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>\n",
            number(text.size),
            paint("fill", text.colour),
            number(text.width()),
            escape(&text.content),
        ),
    );
}

fn path(places: &[Place]) -> String {
    let mut path = String::with_capacity(places.len() * 12);
    for (place, (x, y)) in places.iter().enumerate() {
        let command = if place == 0 { 'M' } else { 'L' };
        put(&mut path, format_args!("{command}{} {}", number(*x), number(*y)));
    }
    path
}

fn paint(attribute: &str, colour: Colour) -> String {
    let Colour { red, green, blue, alpha } = colour;
    let mut paint = format!("{attribute}=\"#{red:02x}{green:02x}{blue:02x}\"");
    if alpha < 1.0 {
        put(&mut paint, format_args!(" {attribute}-opacity=\"{}\"", number(alpha)));
    }
    paint
}

/// At most two decimals, and none that are needless.
fn number(value: f32) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}

/// Text as XML content or attribute; characters that XML forbids become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push(' '),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
