//! The embedded typeface: how wide a text is, and how it is made to fit.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef};

/// The name under which SVGs embed the typeface.
pub(super) const FAMILY: &str = "Roboto pollpush";

/// The typeface as SVGs embed it, for weights 400 and 500.
pub(super) const WOFF2: [(u16, &[u8]); 2] = [
    (400, include_bytes!("../../../assets/font/Roboto-Regular.woff2")),
    (500, include_bytes!("../../../assets/font/Roboto-Medium.woff2")),
];

static REGULAR: LazyLock<FontRef<'static>> =
    LazyLock::new(|| parse(include_bytes!("../../../assets/font/Roboto-Regular.ttf")));
static MEDIUM: LazyLock<FontRef<'static>> =
    LazyLock::new(|| parse(include_bytes!("../../../assets/font/Roboto-Medium.ttf")));

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded typeface is well-formed")
}

/// How heavy a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Medium,
}

impl Weight {
    /// The typeface of this weight.
    pub(super) fn font(self) -> &'static FontRef<'static> {
        match self {
            Weight::Regular => &REGULAR,
            Weight::Medium => &MEDIUM,
        }
    }
}

/// The width of a text in pixels; `size` is the height of the em square.
pub(super) fn width(text: &str, size: f32, weight: Weight) -> f32 {
    let font = weight.font();
    let units: f32 =
        text.chars().map(|character| font.h_advance_unscaled(font.glyph_id(character))).sum();
    units * scale(size, weight)
}

/// Pixels per unit of the typeface.
pub(super) fn scale(size: f32, weight: Weight) -> f32 {
    size / weight.font().units_per_em().expect("the embedded typeface states its units")
}

/// The text, or as much of its beginning and end as fits about an ellipsis: names that differ
/// often differ at their end.
pub(super) fn ellipsize(text: &str, room: f32, size: f32, weight: Weight) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut shown = text.to_owned();
    let mut kept = characters.len();
    while kept > 0 && width(&shown, size, weight) > room {
        kept -= 1;
        let tail = kept / 3;
        let head: String = characters[..kept - tail].iter().collect();
        let tail: String = characters[characters.len() - tail..].iter().collect();
        shown = format!("{}…{}", head.trim_end(), tail.trim_start());
    }
    shown
}

/// Breaks a text between words into lines that fit; a line that cannot fit, and whatever is
/// left after `most` lines, ends in an ellipsis.
pub(super) fn wrap(text: &str, room: f32, most: usize, size: f32, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || lines.len() == most || width(&joined, size, weight) <= room {
            *lines.last_mut().expect("there is always a line") = joined;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| ellipsize(line, room, size, weight)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Weight, ellipsize, width, wrap};

    #[test]
    fn every_character_that_charts_use_is_in_the_typeface() {
        use ab_glyph::Font as _;
        for weight in [Weight::Regular, Weight::Medium] {
            for character in "AZaz09 –—…·µμλσ≤≥×−≈%‘’“”<>&/=,.()".chars()
            {
                assert_ne!(weight.font().glyph_id(character).0, 0, "{character}");
            }
        }
    }

    #[test]
    fn a_text_that_is_too_long_keeps_its_ends_and_fits() {
        let long = "poll every second with a name that goes on and on";
        let shown = ellipsize(long, 120.0, 14.0, Weight::Regular);
        let (head, tail) = shown.split_once('…').expect("the text is too long");
        assert!(long.starts_with(head) && long.ends_with(tail));
        assert!(width(&shown, 14.0, Weight::Regular) <= 120.0);
        assert_eq!(ellipsize("short", 120.0, 14.0, Weight::Regular), "short");
    }

    #[test]
    fn lines_break_between_words_and_never_exceed_the_room() {
        let lines =
            wrap("one two three four fivesixseveneightnine", 60.0, 3, 14.0, Weight::Regular);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| width(line, 14.0, Weight::Regular) <= 60.0), "{lines:?}");
        assert_eq!(wrap("", 60.0, 2, 14.0, Weight::Regular), [""]);
    }
}
