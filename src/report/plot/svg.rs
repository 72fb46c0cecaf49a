//! A canvas as SVG.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::canvas::{Anchor, Area, Canvas, Line, Place, Reading, Scales, Shape, Text};
use super::font::{FAMILY, WOFF2, Weight};
use super::style::Colour;

/// How colours are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paint {
    /// By their digits.
    Digits,
    /// By the variables of the page, so that they follow day and night.
    Variables,
}

/// A complete file with its typeface inside.
pub(super) fn file(canvas: &Canvas) -> String {
    write(canvas, canvas.id, &format!("<style>{}</style>\n", font_faces()), Paint::Digits)
}

/// An element for a page that brings typeface and colours itself; `id` is the page's only one.
pub(super) fn element(canvas: &Canvas, id: &str) -> String {
    write(canvas, id, "", Paint::Variables)
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

fn write(canvas: &Canvas, id: &str, style: &str, paints: Paint) -> String {
    let (id, width, height) = (escape(id), number(canvas.width), number(canvas.height));
    let mut svg = String::with_capacity(32 * 1024);
    put(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\"{}>\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n{style}\
             <g font-family=\"'{FAMILY}', Roboto, Arial, Helvetica, sans-serif\" fill=\"none\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\">\n",
            canvas.scales.as_ref().map_or(String::new(), scales),
            escape(&canvas.title),
            escape(&canvas.description),
        ),
    );
    for shape in &canvas.shapes {
        match shape {
            Shape::Line(line) => write_line(&mut svg, line, paints),
            Shape::Area(area) => write_area(&mut svg, area, paints),
            Shape::Text(text) => write_text(&mut svg, text, paints),
            Shape::GroupStart(group) => put(
                &mut svg,
                format_args!(
                    "<g data-strategy=\"{}\"><title>{}</title>\n",
                    escape(&group.name),
                    escape(&group.words)
                ),
            ),
            Shape::GroupEnd => svg.push_str("</g>\n"),
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// How a program reads values off the plot.
fn scales(scales: &Scales) -> String {
    let Scales { corner: (left, top), size: (width, height), x, y } = scales;
    let [left, top, width, height] = [left, top, width, height].map(|length| number(*length));
    format!(" data-plot=\"{left} {top} {width} {height}\" data-x=\"{x}\" data-y=\"{y}\"")
}

fn write_line(svg: &mut String, line: &Line, paints: Paint) {
    let dashes = if line.dashed { " stroke-dasharray=\"7 5\" stroke-linecap=\"butt\"" } else { "" };
    let reading = match line.reading {
        None => "",
        Some(Reading::Steps) => " data-read=\"steps\"",
        Some(Reading::Corners) => " data-read=\"corners\"",
    };
    put(
        svg,
        format_args!(
            "<path d=\"{}\" {} stroke-width=\"{}\"{dashes}{reading}/>\n",
            path(&line.places),
            paint("stroke", line.colour, paints),
            number(line.width),
        ),
    );
}

fn write_area(svg: &mut String, area: &Area, paints: Paint) {
    let fill = paint("fill", area.fill, paints);
    put(svg, format_args!("<path d=\"{}Z\" {fill}", path(&area.places)));
    if let Some((colour, width)) = area.edge {
        let stroke = paint("stroke", colour, paints);
        put(svg, format_args!(" {stroke} stroke-width=\"{}\"", number(width)));
    }
    svg.push_str("/>\n");
}

/// Texts state their length, so that a viewer that refuses the embedded typeface still
/// lays them out as they were measured.
fn write_text(svg: &mut String, text: &Text, paints: Paint) {
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
            paint("fill", text.colour, paints),
            number(text.width()),
            escape(&text.content),
        ),
    );
}

/// The outline in steps from place to place. Steps are taken between rounded places, so that
/// no error adds up.
fn path(places: &[Place]) -> String {
    let mut path = String::with_capacity(places.len() * 10);
    let (mut x, mut y) = (0, 0);
    let mut last = ' ';
    for (place, (right, down)) in places.iter().enumerate() {
        let (to_x, to_y) = (hundredths(*right), hundredths(*down));
        let (by_x, by_y) = (to_x - x, to_y - y);
        (x, y) = (to_x, to_y);
        let (command, numbers): (char, &[i64]) = match (place, by_x, by_y) {
            (0, ..) => ('M', &[by_x, by_y]),
            (_, 0, 0) => continue,
            (_, _, 0) => ('h', &[by_x]),
            (_, 0, _) => ('v', &[by_y]),
            _ => ('l', &[by_x, by_y]),
        };
        let mut apart = command == last;
        if !apart {
            path.push(command);
        }
        for number in numbers {
            // A sign parts two numbers as well as a space does.
            if apart && *number >= 0 {
                path.push(' ');
            }
            push_hundredths(&mut path, *number);
            apart = true;
        }
        last = command;
    }
    path
}

#[expect(clippy::cast_possible_truncation, reason = "a card has the size of a page")]
fn hundredths(length: f32) -> i64 {
    (f64::from(length) * 100.0).round() as i64
}

/// A number of hundredths without needless zeros: `12`, `-.5`, `3.25`.
fn push_hundredths(text: &mut String, number: i64) {
    if number < 0 {
        text.push('-');
    }
    let (whole, rest) = (number.unsigned_abs() / 100, number.unsigned_abs() % 100);
    if whole > 0 || rest == 0 {
        put(text, format_args!("{whole}"));
    }
    match (rest / 10, rest % 10) {
        (0, 0) => {}
        (tenths, 0) => put(text, format_args!(".{tenths}")),
        (tenths, hundredths) => put(text, format_args!(".{tenths}{hundredths}")),
    }
}

fn paint(attribute: &str, colour: Colour, paints: Paint) -> String {
    let digits = colour.digits();
    let mut paint = match paints {
        Paint::Digits => format!("{attribute}=\"#{digits}\""),
        Paint::Variables => format!("{attribute}=\"var(--{digits})\""),
    };
    if colour.alpha < 1.0 {
        put(&mut paint, format_args!(" {attribute}-opacity=\"{}\"", number(colour.alpha)));
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

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_is_steps_between_rounded_places() {
        assert_eq!(
            path(&[(1.0, 2.0), (3.5, 2.0), (3.5, 1.25), (4.0, 2.0)]),
            "M1 2h2.5v-.75l.5 .75"
        );
        // A third of a pixel, thirty times: no error adds up.
        let places: Vec<_> = (0..=30u8).map(|step| (f32::from(step) / 3.0, 0.0)).collect();
        let steps = path(&places);
        let ends = steps.trim_start_matches("M0 0h").split(' ');
        let sum: f64 = ends.map(|step| step.parse::<f64>().expect("a number")).sum();
        assert!((sum - 10.0).abs() < 1e-9, "{steps}");
    }

    #[test]
    fn a_place_that_repeats_takes_no_step() {
        assert_eq!(path(&[(1.0, 1.0), (1.001, 1.0), (1.0, 3.0)]), "M1 1v2");
    }
}
