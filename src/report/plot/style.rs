//! Colours and sizes of every chart.

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

/// Width of every card.
pub(super) const WIDTH: f32 = 900.0;
/// Between the card's edge and everything on it.
pub(super) const MARGIN: f32 = 28.0;
/// Height of a plot of curves.
pub(super) const PLOT_HEIGHT: f32 = 310.0;

pub(super) const TITLE_SIZE: f32 = 21.0;
pub(super) const TEXT_SIZE: f32 = 14.5;
pub(super) const SMALL_SIZE: f32 = 13.0;

#[cfg(test)]
mod tests {
    use super::{ALARM, CARE, Colour, INK, INK_SOFT, PALETTE, PAPER, SHADE, pen};

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
    fn the_first_sixteen_strategies_differ_even_in_grey() {
        let pens: Vec<_> = (0..16).map(|place| (pen(place).marker, pen(place).filled)).collect();
        for (place, pen) in pens.iter().enumerate() {
            assert!(!pens[..place].contains(pen), "{pen:?}");
        }
    }
}
