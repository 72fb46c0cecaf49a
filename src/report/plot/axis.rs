//! Axes: from values to places, and the ticks that say so.

use crate::report::quantity::{tick_duration, tick_number};

/// An axis with its ticks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) ticks: Vec<Tick>,
    scale: Scale,
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
            Scale::Linear { high } => value / high,
            Scale::Log { low, high } => (value / low).ln() / (high / low).ln(),
            Scale::Tail { high } => tail(value) / high,
        };
        (-1e-6..=1.0 + 1e-6).contains(&fraction).then_some(fraction as f32)
    }

    /// A logarithmic axis of latency that holds every positive value; `None` if there is none.
    pub(super) fn latency(values: impl Iterator<Item = u64>, title: &str) -> Option<Axis> {
        let (mut least, mut most) = (u64::MAX, 0);
        for value in values.filter(|value| *value > 0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0 {
            return None;
        }
        let (mut low, mut high) = (round_down(least as f64), round_up(most as f64));
        // Less than a decade would make noise look like structure.
        while high / low < 9.99 {
            high = round_up(high * 1.01);
            if high / low < 9.99 {
                low = round_down(low * 0.99);
            }
        }
        let ticks = latency_ticks(low, high);
        Some(Axis { title: title.to_owned(), ticks, scale: Scale::Log { low, high } })
    }

    /// A linear axis from zero with round steps, whose labels are made by `label`.
    pub(super) fn linear(most: f64, title: &str, label: fn(f64) -> String) -> Axis {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        let step = round_up(most / 5.0);
        let steps = (most / step - 1e-9).ceil();
        let ticks = (0u8..=5)
            .map(f64::from)
            .take_while(|place| *place <= steps)
            .map(|place| place * step)
            .map(|value| Tick { value, label: label(value), rank: 0 })
            .collect();
        Axis { title: title.to_owned(), ticks, scale: Scale::Linear { high: steps * step } }
    }

    /// A linear axis of time that ends at `end` exactly, labelled in seconds.
    pub(super) fn time(end: f64, title: &str) -> Axis {
        let mut axis = Axis::linear(end, title, |value| tick_number(value / 1e9));
        if end > 0.0 {
            axis.ticks.retain(|tick| tick.value <= end * (1.0 + 1e-9));
            axis.scale = Scale::Linear { high: end };
        }
        axis
    }

    /// Shares from nothing to everything.
    pub(super) fn share(title: &str) -> Axis {
        let ticks = (0..=5)
            .map(|place| f64::from(place) * 20.0)
            .map(|percent| Tick {
                value: percent / 100.0,
                label: format!("{} %", tick_number(percent)),
                rank: 0,
            })
            .collect();
        Axis { title: title.to_owned(), ticks, scale: Scale::Linear { high: 1.0 } }
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
        Axis { title: title.to_owned(), ticks, scale: Scale::Tail { high } }
    }
}

fn tail(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// Ticks at 1, 2 and 5 of each decade; over many decades, at 1 only.
fn latency_ticks(low: f64, high: f64) -> Vec<Tick> {
    let fine = high / low <= 20_000.0;
    let mut decade = 10f64.powf(low.log10().floor());
    let mut ticks = Vec::new();
    while decade <= high * 1.001 {
        for (digit, rank) in [(1.0, 0), (2.0, 2), (5.0, 1)] {
            let value = digit * decade;
            let inside = value >= low * 0.999 && value <= high * 1.001;
            if inside && (rank == 0 || fine) {
                ticks.push(Tick { value, label: tick_duration(value), rank });
            }
        }
        decade *= 10.0;
    }
    ticks
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
    use super::Axis;

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
        let axis = Axis::linear(1.05, "", crate::report::quantity::tick_number);
        assert_eq!(labels(&axis), ["0", "0.5", "1", "1.5"]);
        assert_eq!(axis.fraction(0.75), Some(0.5));
        assert_eq!(axis.fraction(1.6), None);
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
