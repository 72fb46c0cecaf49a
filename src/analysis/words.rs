//! Quantities in sentences for the user: three significant digits and a unit.

/// A time in nanoseconds, such as `1.23 ms`.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds.abs() {
        size if size >= 1e9 => (nanoseconds / 1e9, "s"),
        size if size >= 1e6 => (nanoseconds / 1e6, "ms"),
        size if size >= 1e3 => (nanoseconds / 1e3, "µs"),
        _ => (nanoseconds, "ns"),
    };
    let decimals = match value.abs() {
        size if size >= 100.0 || unit == "ns" => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// A share as a percentage, such as `2.5 %`.
pub(crate) fn percent(share: f64) -> String {
    let percentage = share * 100.0;
    if percentage >= 100.0 { format!("{percentage:.0} %") } else { format!("{percentage:.2} %") }
}

#[cfg(test)]
mod tests {
    use super::{percent, time};

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        for (nanoseconds, text) in [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (1_234.0, "1.23 µs"),
            (12.3e6, "12.3 ms"),
            (2e9, "2.00 s"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
        assert_eq!(percent(0.025), "2.50 %");
    }
}
