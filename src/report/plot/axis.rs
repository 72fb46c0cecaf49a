//! Axes: from values to places, and the ticks that say so.

use crate::quantity::{self, tick_duration, tick_number};

/// An axis with its ticks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) ticks: Vec<Tick>,
    scale: Scale,
    unit: Unit,
}

/// What an axis's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A time in nanoseconds.
    Nanoseconds,
    /// A difference of times in nanoseconds, with its sign.
    Difference,
    /// A number of bytes.
    Bytes,
    /// A share of one.
    Share,
    /// Events per second.
    PerSecond,
    /// A number of its own.
    Number,
}

impl Unit {
    /// How a round value is written beside its tick.
    pub(super) fn tick(self, value: f64) -> String {
        match self {
            Unit::Nanoseconds if value == 0.0 => "0".to_owned(),
            Unit::Nanoseconds => tick_duration(value),
            Unit::Difference => quantity::tick_difference(value),
            Unit::Bytes => quantity::tick_bytes(value),
            Unit::Share => format!("{} %", tick_number(value * 100.0)),
            Unit::PerSecond => format!("{}/s", tick_number(value)),
            Unit::Number => tick_number(value),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Difference => "difference",
            Unit::Bytes => "bytes",
            Unit::Share => "share",
            Unit::PerSecond => "rate",
            Unit::Number => "number",
        }
    }
}

/// A grid line and its label.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
    /// Where labels are too close, the lower rank stays.
    pub(super) rank: u8,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    Linear {
        low: f64,
        high: f64,
    },
    Log {
        low: f64,
        high: f64,
    },
    /// −log10(1 − q): every further nine takes the same room.
    Tail {
        high: f64,
    },
}

impl Axis {
    /// Where a value lies, 0 at the axis's beginning and 1 at its end; `None` for a value that
    /// the axis cannot show, such as zero on a logarithmic one.
    #[expect(clippy::cast_possible_truncation, reason = "a fraction needs no more precision")]
    pub(super) fn fraction(&self, value: f64) -> Option<f32> {
        let fraction = match self.scale {
            Scale::Linear { low, high } => (value - low) / (high - low),
            Scale::Log { low, high } => (value / low).ln() / (high / low).ln(),
            Scale::Tail { high } => tail(value) / high,
        };
        (-1e-6..=1.0 + 1e-6).contains(&fraction).then_some(fraction as f32)
    }

    /// The axis in words that a program can read: its kind, its ends, and what its values are.
    pub(super) fn words(&self) -> String {
        let unit = self.unit.word();
        match self.scale {
            Scale::Linear { low, high } => format!("linear {low} {high} {unit}"),
            Scale::Log { low, high } => format!("log {low} {high} {unit}"),
            Scale::Tail { high } => format!("tail 0 {high} {unit}"),
        }
    }

    /// A logarithmic axis of latency that holds every positive value; `None` if there is none.
    pub(super) fn latency(values: impl Iterator<Item = u64>, title: &str) -> Option<Axis> {
        Axis::log(values.map(|value| value as f64), title, Unit::Nanoseconds)
    }

    /// A logarithmic axis that holds every positive value; `None` if there is none.
    pub(super) fn log(values: impl Iterator<Item = f64>, title: &str, unit: Unit) -> Option<Axis> {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0.0 {
            return None;
        }
        let (mut low, mut high) = (round_down(least), round_up(most));
        // Less than a decade would make noise look like structure.
        while high / low < 9.99 {
            high = round_up(high * 1.01);
            if high / low < 9.99 {
                low = round_down(low * 0.99);
            }
        }
        let ticks = log_ticks(low, high, unit);
        Some(Axis { title: title.to_owned(), ticks, scale: Scale::Log { low, high }, unit })
    }

    /// A logarithmic axis with a tick at each of these values and nowhere else; `None` unless
    /// there are two of them, all above zero.
    pub(super) fn of_values(values: &[(f64, String)], title: &str, unit: Unit) -> Option<Axis> {
        let least = values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
        let most = values.iter().map(|(value, _)| *value).fold(0.0, f64::max);
        if least <= 0.0 || most <= least || !most.is_finite() {
            return None;
        }
        // A little room, so that marks at the ends are whole.
        let room = (most / least).powf(0.04);
        let tick =
            |(value, label): &(f64, String)| Tick { value: *value, label: label.clone(), rank: 0 };
        Some(Axis {
            title: title.to_owned(),
            ticks: values.iter().map(tick).collect(),
            scale: Scale::Log { low: least / room, high: most * room },
            unit,
        })
    }

    /// A linear axis from zero with round steps.
    pub(super) fn linear(most: f64, title: &str, unit: Unit) -> Axis {
        Axis::between(0.0, most, title, unit)
    }

    /// A linear axis with round steps that holds both values, and zero.
    pub(super) fn between(least: f64, most: f64, title: &str, unit: Unit) -> Axis {
        let sound = |value: f64| if value.is_finite() { value } else { 0.0 };
        let (least, most) = (sound(least).min(0.0), sound(most).max(0.0));
        let most = if least == 0.0 && most == 0.0 { 1.0 } else { most };
        let step = round_up((most - least) / 5.0);
        let first = (least / step + 1e-9).floor();
        let last = (most / step - 1e-9).ceil();
        let ticks = (0u8..=7)
            .map(|place| first + f64::from(place))
            .take_while(|place| *place <= last)
            .map(|place| place * step)
            .map(|value| Tick { value, label: unit.tick(value), rank: 0 })
            .collect();
        let scale = Scale::Linear { low: first * step, high: last * step };
        Axis { title: title.to_owned(), ticks, scale, unit }
    }

    /// A linear axis of time that ends at `end` exactly, labelled in seconds.
    pub(super) fn time(end: f64, title: &str) -> Axis {
        let mut axis = Axis::linear(end, title, Unit::Nanoseconds);
        for tick in &mut axis.ticks {
            tick.label = tick_number(tick.value / 1e9);
        }
        if end > 0.0 {
            axis.ticks.retain(|tick| tick.value <= end * (1.0 + 1e-9));
            axis.scale = Scale::Linear { low: 0.0, high: end };
        }
        axis
    }

    /// Shares from nothing to everything.
    pub(super) fn share(title: &str) -> Axis {
        let ticks = (0..=5)
            .map(|place| f64::from(place) / 5.0)
            .map(|value| Tick { value, label: Unit::Share.tick(value), rank: 0 })
            .collect();
        let scale = Scale::Linear { low: 0.0, high: 1.0 };
        Axis { title: title.to_owned(), ticks, scale, unit: Unit::Share }
    }

    /// Quantiles up to `most`, which is below one, and at least up to 90 %.
    pub(super) fn tail(most: f64, title: &str) -> Axis {
        const TICKS: &[(f64, u8)] = &[
            (0.0, 0),
            (0.5, 0),
            (0.75, 1),
            (0.9, 0),
            (0.95, 1),
            (0.99, 0),
            (0.995, 1),
            (0.999, 0),
            (0.9999, 0),
            (0.99999, 0),
            (0.999_999, 0),
            (0.999_999_9, 0),
        ];
        let high = tail(most).max(1.0);
        let ticks = TICKS
            .iter()
            .filter(|(value, _)| tail(*value) <= high + 1e-9)
            .map(|&(value, rank)| Tick {
                value,
                // Twelve decimals of a percentage hide the binary rounding.
                label: format!("{} %", tick_number((value * 1e9).round() / 1e7)),
                rank,
            })
            .collect();
        let scale = Scale::Tail { high };
        Axis { title: title.to_owned(), ticks, scale, unit: Unit::Share }
    }
}

fn tail(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// Ticks at 1, 2 and 5 of each decade; over many decades, at 1 only.
fn log_ticks(low: f64, high: f64, unit: Unit) -> Vec<Tick> {
    let fine = high / low <= 20_000.0;
    let mut decade = 10f64.powf(low.log10().floor());
    let mut ticks = Vec::new();
    while decade <= high * 1.001 {
        for (digit, rank) in [(1.0, 0), (2.0, 2), (5.0, 1)] {
            let value = digit * decade;
            let inside = value >= low * 0.999 && value <= high * 1.001;
            if inside && (rank == 0 || fine) {
                ticks.push(Tick { value, label: unit.tick(value), rank });
            }
        }
        decade *= 10.0;
    }
    ticks
}

/// The steps of 1, 2, 5, 10, … from the last below or at `least` to the first above or at `most`.
pub(super) fn round_steps(least: f64, most: f64) -> Vec<f64> {
    let mut steps = vec![round_down(least)];
    while let Some(last) = steps.last().copied().filter(|last| *last < most * (1.0 - 1e-9)) {
        steps.push(round_up(last * 1.01));
    }
    steps
}

/// The next of 1, 2, 5, 10, … that is not below the value.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| value <= digit * decade * (1.0 + 1e-9));
    digit.unwrap_or(10.0) * decade
}

/// The next of 1, 2, 5, 10, … that is not above the value.
fn round_down(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| value >= digit * decade * (1.0 - 1e-9));
    digit.unwrap_or(1.0) * decade
}

#[cfg(test)]
mod tests {
    use super::{Axis, Unit};

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn a_latency_axis_holds_every_positive_value_and_refuses_zero() {
        for values in [vec![1], vec![600_000, 1_000_900_000], vec![1, u64::MAX], vec![99, 100, 0]] {
            let axis = Axis::latency(values.iter().copied(), "").expect("a value is positive");
            for value in values {
                assert_eq!(axis.fraction(value as f64).is_some(), value > 0, "{value}");
            }
            assert!(axis.ticks.len() >= 2);
        }
        assert!(Axis::latency([0, 0].into_iter(), "").is_none());
    }

    #[test]
    fn latency_ticks_are_round_and_carry_their_unit() {
        let axis = Axis::latency([600_000, 900_000_000].into_iter(), "").expect("positive");
        assert_eq!(labels(&axis)[..4], ["500 µs", "1 ms", "2 ms", "5 ms"]);
        assert_eq!(axis.fraction(500_000.0), Some(0.0));
        assert_eq!(axis.fraction(1e9), Some(1.0));
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_reaches_past_the_greatest_value() {
        let axis = Axis::linear(1.05, "", Unit::Number);
        assert_eq!(labels(&axis), ["0", "0.5", "1", "1.5"]);
        assert_eq!(axis.fraction(0.75), Some(0.5));
        assert_eq!(axis.fraction(1.6), None);
    }

    #[test]
    fn a_signed_axis_holds_zero_and_both_ends() {
        let axis = Axis::between(-503e6, 12e6, "", Unit::Difference);
        assert_eq!(labels(&axis)[0], "−600 ms");
        assert!(labels(&axis).contains(&"0") && labels(&axis).contains(&"+200 ms"));
        for value in [-503e6, 0.0, 12e6] {
            assert!(axis.fraction(value).is_some(), "{value}");
        }
    }

    #[test]
    fn each_further_nine_takes_the_same_room() {
        let axis = Axis::tail(0.9999, "");
        let at = |value| axis.fraction(value).expect("inside");
        assert!((at(0.99) - 2.0 * at(0.9)).abs() < 1e-5);
        assert!((at(0.999) - 3.0 * at(0.9)).abs() < 1e-5);
        assert!(labels(&axis).contains(&"99.9 %"));
        assert_eq!(axis.fraction(1.0), None);
    }
}
