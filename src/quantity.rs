//! Figures as people read them: rounded, with their unit, aligned in a column.
//!
//! A value that is absent is `—`, never a zero and never an empty cell.

/// What stands where a value was withheld or cannot exist.
pub(crate) const ABSENT: &str = "—";

/// Writes `value` with `write`, or [`ABSENT`].
pub(crate) fn or_absent<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), write)
}

/// A time in nanoseconds with three significant digits: `127 ms`, `1.10 ms`, `85.0 µs`.
pub(crate) fn duration(nanoseconds: f64) -> String {
    const UNITS: &[(f64, f64, &str)] = &[
        (1.0, 999.5, "ns"),
        (1e3, 999.5, "µs"),
        (1e6, 999.5, "ms"),
        (1e9, 119.5, "s"),
        (60e9, 119.5, "min"),
        (3_600e9, f64::INFINITY, "h"),
    ];
    in_unit(nanoseconds, UNITS)
}

/// [`duration`] of whole nanoseconds.
pub(crate) fn nanoseconds(value: u64) -> String {
    duration(value as f64)
}

/// A size with three significant digits and a decimal prefix: `512 B`, `1.32 kB`, `8.05 MB`.
pub(crate) fn bytes(bytes: f64) -> String {
    const UNITS: &[(f64, f64, &str)] = &[
        (1.0, 999.5, "B"),
        (1e3, 999.5, "kB"),
        (1e6, 999.5, "MB"),
        (1e9, 999.5, "GB"),
        (1e12, f64::INFINITY, "TB"),
    ];
    in_unit(bytes, UNITS)
}

/// Picks the first unit in which the rounded value stays below the unit's limit.
fn in_unit(value: f64, units: &[(f64, f64, &str)]) -> String {
    if value == 0.0 {
        return format!("0 {}", units[0].2);
    }
    let (size, _, unit) = units
        .iter()
        .find(|(size, limit, _)| value / size < *limit)
        .unwrap_or_else(|| units.last().expect("every list of units has a last one"));
    format!("{} {unit}", three_digits(value / size))
}

/// Three significant digits of a value that is not below 0.1, with thousands separators.
fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        grouped(&format!("{value:.0}"))
    }
}

/// A whole number with thousands separators: `12,345`.
pub(crate) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// A number of things and their name, which takes an `s` unless there is one: `3 blocks`.
pub(crate) fn counted(value: u64, name: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {name}{plural}", count(value))
}

/// Thousands separators between digits.
pub(crate) fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number without a unit: `0.21`, `1.00`, `0.0042`, `1,234`.
pub(crate) fn ratio(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 1e-6 {
        format!("{value:.1e}")
    } else if value < 0.0995 {
        let (mut digits, mut scaled) = (0, value);
        while scaled < 9.95 {
            (digits, scaled) = (digits + 1, scaled * 10.0);
        }
        format!("{value:.digits$}")
    } else {
        three_digits(value)
    }
}

/// A mean number of things: whole from a thousand on, else with one decimal.
pub(crate) fn mean_count(value: f64) -> String {
    if value < 999.95 { format!("{value:.1}") } else { grouped(&format!("{value:.0}")) }
}

/// A share of time: `42.0 %`, `0.24 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", ratio(share * 100.0))
}

/// A share of a whole: `93.8 %`. Only nothing is `0 %` and only everything is `100 %`.
pub(crate) fn share(part: u64, whole: u64) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let percent = part as f64 / whole as f64 * 100.0;
    Some(if part == 0 {
        "0 %".to_owned()
    } else if part == whole {
        "100 %".to_owned()
    } else if percent < 0.05 {
        "< 0.1 %".to_owned()
    } else if (99.95..100.0).contains(&percent) {
        "> 99.9 %".to_owned()
    } else {
        format!("{percent:.1} %")
    })
}

/// A round time on an axis, without needless digits: `500 µs`, `1 ms`, `2.5 s`.
pub(crate) fn tick_duration(nanoseconds: f64) -> String {
    let (size, unit) = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")]
        .into_iter()
        .find(|(size, _)| nanoseconds >= size * 0.999)
        .unwrap_or((1.0, "ns"));
    format!("{} {unit}", tick_number(nanoseconds / size))
}

/// A round difference of times on an axis, with its sign: `−200 ms`, `0`, `+50 µs`.
pub(super) fn tick_difference(nanoseconds: f64) -> String {
    let size = nanoseconds.abs();
    match nanoseconds {
        // Adding up steps leaves a rest of zero.
        _ if size < 1e-3 => "0".to_owned(),
        less if less < 0.0 => format!("−{}", tick_duration(size)),
        _ => format!("+{}", tick_duration(size)),
    }
}

/// A round size on an axis, without needless digits: `0`, `500 B`, `1.5 kB`.
pub(super) fn tick_bytes(bytes: f64) -> String {
    if bytes == 0.0 {
        return "0".to_owned();
    }
    let (size, unit) = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(size, _)| bytes >= size * 0.999)
        .unwrap_or((1.0, "B"));
    format!("{} {unit}", tick_number(bytes / size))
}

/// A round number on an axis, without needless digits: `0`, `0.25`, `1,500`.
pub(crate) fn tick_number(value: f64) -> String {
    // Twelve digits hide the rounding of adding up steps such as 0.1.
    let text = format!("{value:.12}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{ABSENT, bytes, count, counted, duration, mean_count, or_absent, ratio, share};
    use super::{tick_bytes, tick_difference, tick_duration, tick_number};

    #[test]
    fn durations_have_three_significant_digits_in_their_natural_unit() {
        for (nanoseconds, text) in [
            (0.0, "0 ns"),
            (0.4, "0.40 ns"),
            (85_000.0, "85.0 µs"),
            (999.4, "999 ns"),
            (999.6, "1.00 µs"),
            (1_100_000.0, "1.10 ms"),
            (9_996_000.0, "10.0 ms"),
            (99_960_000.0, "100 ms"),
            (127_400_000.0, "127 ms"),
            (999_700_000.0, "1.00 s"),
            (119.4e9, "119 s"),
            (120e9, "2.00 min"),
            (5_400e9, "90.0 min"),
            (36_000e9, "10.0 h"),
            (3_600_000e9, "1,000 h"),
        ] {
            assert_eq!(duration(nanoseconds), text, "{nanoseconds}");
        }
    }

    #[test]
    fn sizes_use_decimal_prefixes() {
        for (size, text) in
            [(0.0, "0 B"), (512.0, "512 B"), (1320.0, "1.32 kB"), (8_053_063.0, "8.05 MB")]
        {
            assert_eq!(bytes(size), text, "{size}");
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(count(7), "7");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(mean_count(999.94), "999.9");
        assert_eq!(mean_count(12_345.6), "12,346");
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(2_000, "block"), "2,000 blocks");
    }

    #[test]
    fn small_ratios_keep_two_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.21, "0.21"),
            (0.0996, "0.10"),
            (0.042, "0.042"),
            (0.01, "0.010"),
            (0.001_26, "0.0013"),
            (0.000_009_9, "0.0000099"),
            (0.000_000_12, "1.2e-7"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (1234.0, "1,234"),
        ] {
            assert_eq!(ratio(value), text, "{value}");
        }
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_everything() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(0, 10).as_deref(), Some("0 %"));
        assert_eq!(share(10, 10).as_deref(), Some("100 %"));
        assert_eq!(share(1, 100_000).as_deref(), Some("< 0.1 %"));
        assert_eq!(share(99_999, 100_000).as_deref(), Some("> 99.9 %"));
        assert_eq!(share(15, 16).as_deref(), Some("93.8 %"));
    }

    #[test]
    fn absent_values_are_dashes() {
        assert_eq!(or_absent(None, duration), ABSENT);
        assert_eq!(or_absent(Some(1e6), duration), "1.00 ms");
    }

    #[test]
    fn ticks_of_differences_and_sizes_have_their_sign_and_unit() {
        for (value, text) in [(-2e8, "−200 ms"), (1e-9, "0"), (5e4, "+50 µs")] {
            assert_eq!(tick_difference(value), text);
        }
        for (value, text) in [(0.0, "0"), (500.0, "500 B"), (1_500.0, "1.5 kB"), (2e7, "20 MB")] {
            assert_eq!(tick_bytes(value), text);
        }
    }

    #[test]
    fn ticks_have_no_needless_digits() {
        assert_eq!(tick_duration(500_000.0), "500 µs");
        assert_eq!(tick_duration(1e6), "1 ms");
        assert_eq!(tick_duration(100e9), "100 s");
        assert_eq!(tick_number(0.1 + 0.2), "0.3");
        assert_eq!(tick_number(0.0), "0");
        assert_eq!(tick_number(1500.0), "1,500");
    }
}
