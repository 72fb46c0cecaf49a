//! Colours and sizes of every chart, by day and by night.

use std::fmt::Write as _;

/// A colour, opaque unless an alpha is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    pub(super) red: u8,
    pub(super) green: u8,
    pub(super) blue: u8,
    pub(super) alpha: f32,
}

impl Colour {
    const fn hex(rgb: u32) -> Colour {
        let [_, red, green, blue] = rgb.to_be_bytes();
        Colour { red, green, blue, alpha: 1.0 }
    }

    /// The same colour, see-through.
    pub(super) const fn with_alpha(self, alpha: f32) -> Colour {
        Colour { alpha, ..self }
    }

    /// The part of `share` of the way to another colour.
    fn towards(self, other: Colour, share: f32) -> Colour {
        let mix = |from: u8, to: u8| blend(from, to, share);
        Colour {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
            alpha: self.alpha,
        }
    }

    /// The digits of the colour, `0072b2`, without its alpha.
    pub(super) fn digits(self) -> String {
        format!("{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two bytes lies a byte"
)]
fn blend(from: u8, to: u8, share: f32) -> u8 {
    (f32::from(from) * (1.0 - share) + f32::from(to) * share).round() as u8
}

pub(super) const PAPER: Colour = Colour::hex(0xFF_FF_FF);
pub(super) const CARD_EDGE: Colour = Colour::hex(0xD0_D7_DE);
/// Text: 15:1 on paper.
pub(super) const INK: Colour = Colour::hex(0x1B_23_2C);
/// Text of second rank: 7:1 on paper.
pub(super) const INK_SOFT: Colour = Colour::hex(0x4B_57_65);
pub(super) const GRID: Colour = Colour::hex(0xE3_E7_EC);
pub(super) const GRID_FINE: Colour = Colour::hex(0xF1_F3_F6);
pub(super) const AXIS: Colour = Colour::hex(0x8A_95_A1);
pub(super) const SHADE: Colour = Colour::hex(0xEC_EF_F3);
/// Text that warns: 6:1 on paper.
pub(super) const ALARM: Colour = Colour::hex(0xB4_23_18);
/// Text that asks for care: 5:1 on paper.
pub(super) const CARE: Colour = Colour::hex(0x8F_5A_00);

/// Colours of strategies, after Okabe and Ito; its yellow, too faint on white, is replaced.
const PALETTE: [Colour; 8] = [
    Colour::hex(0x00_72_B2),
    Colour::hex(0xD5_5E_00),
    Colour::hex(0x00_8F_68),
    Colour::hex(0xB8_54_92),
    Colour::hex(0xB8_7A_00),
    Colour::hex(0x2F_93_CC),
    Colour::hex(0x40_48_52),
    Colour::hex(0x7A_1F_3D),
];

/// The same strategies by night.
const PALETTE_NIGHT: [Colour; 8] = [
    Colour::hex(0x5A_A9_E6),
    Colour::hex(0xFF_8A_3D),
    Colour::hex(0x2F_C7_9A),
    Colour::hex(0xE5_8A_C4),
    Colour::hex(0xE0_AC_3A),
    Colour::hex(0x9A_D1_F5),
    Colour::hex(0xC3_CB_D5),
    Colour::hex(0xD9_72_8F),
];

/// A mark that tells curves apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Pentagon,
    Cross,
    Star,
}

const MARKERS: [Marker; 8] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::TriangleDown,
    Marker::Pentagon,
    Marker::Cross,
    Marker::Star,
];

/// How one strategy is drawn in every chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    pub(super) colour: Colour,
    pub(super) marker: Marker,
    /// Whether markers are filled; hollow ones tell the second eight strategies apart.
    pub(super) filled: bool,
}

/// The pen of the strategy at this place of the scenario.
pub(super) fn pen(place: usize) -> Pen {
    Pen {
        colour: PALETTE[place % PALETTE.len()],
        marker: MARKERS[place % MARKERS.len()],
        filled: (place / MARKERS.len()).is_multiple_of(2),
    }
}

/// Parts of a stacked bar: dark, light and middle in grey too.
pub(super) const PART_DARK: Colour = Colour::hex(0x00_5F_96);
pub(super) const PART_LIGHT: Colour = Colour::hex(0xC3_D3_E0);
pub(super) const PART_ALARM: Colour = Colour::hex(0xD5_5E_00);
pub(super) const PART_OTHER: Colour = Colour::hex(0x8A_95_A1);
pub(super) const PART_WARM: Colour = Colour::hex(0xF0_B4_29);

/// A darker shade of a strategy's colour, seen on its curve and beside it.
pub(super) fn shade(colour: Colour) -> Colour {
    let darker = |part: u8| part / 9 * 4;
    Colour {
        red: darker(colour.red),
        green: darker(colour.green),
        blue: darker(colour.blue),
        alpha: colour.alpha,
    }
}

/// Colours that are not a strategy's, by day and by night.
const DAY_AND_NIGHT: [(Colour, Colour); 12] = [
    (PAPER, Colour::hex(0x16_1B_22)),
    (CARD_EDGE, Colour::hex(0x30_36_3D)),
    (INK, Colour::hex(0xE6_ED_F3)),
    (INK_SOFT, Colour::hex(0xA3_B1_BF)),
    (GRID, Colour::hex(0x2A_32_3C)),
    (GRID_FINE, Colour::hex(0x20_27_2F)),
    (AXIS, Colour::hex(0x6F_7B_88)),
    (SHADE, Colour::hex(0x25_2C_35)),
    (ALARM, Colour::hex(0xFF_8A_80)),
    (CARE, Colour::hex(0xE3_B3_41)),
    (PART_DARK, Colour::hex(0x4C_9B_D6)),
    (PART_LIGHT, Colour::hex(0x3D_4F_61)),
];

/// Style rules that give every colour of the charts a variable named by its digits, such as
/// `--0072b2`, with a value for paper and one for a dark screen. A colour without a counterpart
/// for the night, such as that of a warm part, is the same in both.
pub(super) fn variables() -> String {
    let strategies = PALETTE.into_iter().zip(PALETTE_NIGHT);
    // On a dark card the curve of the model must be lighter than the measured one, not darker.
    let shades = strategies.clone().map(|(day, night)| (shade(day), night.towards(INK_NIGHT, 0.6)));
    let mut pairs: Vec<(Colour, Colour)> =
        DAY_AND_NIGHT.into_iter().chain(strategies).chain(shades).collect();
    pairs.push((PART_WARM, PART_WARM));
    let (mut day, mut night) = (String::new(), String::new());
    for (by_day, by_night) in pairs {
        for (rules, colour) in [(&mut day, by_day), (&mut night, by_night)] {
            write!(rules, "--{}:#{};", by_day.digits(), colour.digits())
                .expect("writing to a string cannot fail");
        }
    }
    format!(":root{{{day}}}@media screen and (prefers-color-scheme:dark){{:root{{{night}}}}}")
}

/// What the curve of the model leans to by night.
const INK_NIGHT: Colour = Colour::hex(0xFF_FF_FF);

/// Width of a card that stands alone.
pub(super) const WIDE: f32 = 900.0;
/// Width of a card on a page, readable on a telephone too.
pub(super) const NARROW: f32 = 460.0;

/// Between the edge of a card of this width and everything on it.
pub(super) fn margin(width: f32) -> f32 {
    if width < WIDE { 16.0 } else { 28.0 }
}

/// Height of a plot of curves.
pub(super) const PLOT_HEIGHT: f32 = 310.0;

pub(super) const TITLE_SIZE: f32 = 21.0;
pub(super) const TEXT_SIZE: f32 = 14.5;
pub(super) const SMALL_SIZE: f32 = 13.0;

#[cfg(test)]
mod tests {
    use super::{
        ALARM, CARE, Colour, DAY_AND_NIGHT, INK, INK_SOFT, PALETTE, PALETTE_NIGHT, PAPER, SHADE,
        pen, variables,
    };

    /// Relative luminance after WCAG 2.
    fn luminance(colour: Colour) -> f64 {
        let part = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(colour.red) + 0.7152 * part(colour.green) + 0.0722 * part(colour.blue)
    }

    fn contrast(one: Colour, other: Colour) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn text_and_curves_stand_out_from_the_paper() {
        for text in [INK, INK_SOFT, ALARM, CARE] {
            assert!(contrast(text, PAPER) >= 4.5, "{text:?}");
        }
        assert!(contrast(INK_SOFT, SHADE) >= 4.5);
        for curve in PALETTE {
            assert!(contrast(curve, PAPER) >= 3.0, "{curve:?} {}", contrast(curve, PAPER));
        }
    }

    #[test]
    fn text_and_curves_stand_out_by_night_too() {
        let night = |day: Colour| {
            let found = DAY_AND_NIGHT.iter().find(|(by_day, _)| *by_day == day);
            found.expect("it has a counterpart").1
        };
        for text in [INK, INK_SOFT, ALARM, CARE] {
            assert!(contrast(night(text), night(PAPER)) >= 4.5, "{text:?}");
        }
        assert!(contrast(night(INK_SOFT), night(SHADE)) >= 4.5);
        for curve in PALETTE_NIGHT {
            assert!(contrast(curve, night(PAPER)) >= 3.0, "{curve:?}");
        }
    }

    #[test]
    fn every_colour_of_a_strategy_has_a_variable() {
        let rules = variables();
        for place in 0..8 {
            let colour = pen(place).colour;
            for colour in [colour, super::shade(colour)] {
                let variable = format!("--{}:", colour.digits());
                assert_eq!(rules.matches(&variable).count(), 2, "{variable}");
            }
        }
    }

    #[test]
    fn the_first_sixteen_strategies_differ_even_in_grey() {
        let pens: Vec<_> = (0..16).map(|place| (pen(place).marker, pen(place).filled)).collect();
        for (place, pen) in pens.iter().enumerate() {
            assert!(!pens[..place].contains(pen), "{pen:?}");
        }
    }
}
