//! Quantities as users write them: rates, sizes and durations.
//!
//! Inside the program a rate is a [`Rate`], a size is [`Bytes`] and a span of time is a
//! [`Duration`]; none of them can hold a value that makes no sense. As text they carry
//! their unit: `20/s`, `1 KiB`, `250ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A quantity that could not be understood, in words that name the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is not a rate at all.
    #[error("`{0}` is not a rate; write a number and a unit of time, such as `20/s` or `4.5/day`")]
    NotARate(String),
    /// The rate is a number, but not one that can be offered.
    #[error("a rate of `{0}` is not possible; it must lie between 1/year and 1000000/s")]
    RateOutOfRange(String),
    /// The text is not a size.
    #[error("`{0}` is not a size; write a whole number and a unit, such as `512 B` or `1 KiB`")]
    NotASize(String),
    /// The text is not a duration.
    #[error(
        "`{0}` is not a duration; write a number and a unit, such as `250ms`, `8s` or `1h 30m`"
    )]
    NotADuration(String),
    /// The text is not a precision.
    #[error("`{0}` is not a precision; write a percentage above 0 and at most 100, such as `5%`")]
    NotAPrecision(String),
    /// The text is not a percentage.
    #[error("`{0}` is not a percentage from 0 to 100; write a number and `%`, such as `0.5%`")]
    NotAPercentage(String),
    /// The text is not a bit rate, or not a possible one.
    #[error(
        "`{0}` is not a bit rate; write a number and a unit from `8 kbit/s` to `100 Gbit/s`, such \
         as `12 Mbit/s`"
    )]
    NotABitRate(String),
    /// The duration is longer than any scenario may ask for.
    #[error("`{0}` is too long; a duration is at most 7 days (`168h`)")]
    DurationTooLong(String),
}

const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;

/// A positive number of events per second.
///
/// Between one a year and a million a second, so that the mean gap between two events is
/// always a representable [`Duration`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// The highest rate that can be asked for, in events per second.
    pub const MAX_PER_SECOND: f64 = 1_000_000.0;

    /// Fails unless `events` is a number from one a year to a million a second.
    ///
    /// # Errors
    ///
    /// [`UnitError::RateOutOfRange`] for everything else, NaN and infinities included.
    pub fn per_second(events: f64) -> Result<Rate, UnitError> {
        if (SECONDS_PER_YEAR.recip()..=Rate::MAX_PER_SECOND).contains(&events) {
            Ok(Rate(events))
        } else {
            Err(UnitError::RateOutOfRange(format!("{events}/s")))
        }
    }

    /// Events per second.
    #[must_use]
    pub fn events_per_second(self) -> f64 {
        self.0
    }

    /// The mean time from one event to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(self.0.recip())
    }

    /// The mean number of events in a span of time.
    #[must_use]
    pub fn events_in(self, span: Duration) -> f64 {
        self.0 * span.as_secs_f64()
    }
}

/// Units of time a rate may be given in, with their seconds; the first is the one displayed.
const RATE_UNITS: &[(&str, f64)] = &[
    ("s", 1.0),
    ("sec", 1.0),
    ("second", 1.0),
    ("min", 60.0),
    ("minute", 60.0),
    ("h", 3_600.0),
    ("hour", 3_600.0),
    ("day", 86_400.0),
    ("week", 604_800.0),
    ("year", SECONDS_PER_YEAR),
];

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let unknown = || UnitError::NotARate(text.to_owned());
        let (number, unit) = text.split_once('/').ok_or_else(unknown)?;
        let number: f64 = number.trim().parse().map_err(|_| unknown())?;
        let (_, seconds) =
            RATE_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(unknown)?;
        Rate::per_second(number / seconds).map_err(|_| UnitError::RateOutOfRange(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    /// In the largest unit that leaves at least one event, so `0.5/s` reads `30/min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) = [("s", 1.0), ("min", 60.0), ("h", 3_600.0), ("day", 86_400.0)]
            .into_iter()
            .find(|(_, seconds)| self.0 * seconds >= 1.0)
            .unwrap_or(("year", SECONDS_PER_YEAR));
        let events = self.0 * seconds;
        // Twelve significant digits hide the rounding of dividing by a unit and multiplying back.
        let whole = format!("{events:.0}").len();
        let digits = 12_usize.saturating_sub(whole);
        let text = format!("{events:.digits$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        write!(f, "{text}/{unit}")
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The number of bytes as a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units a size may be given in: decimal and binary prefixes (IEC 80000-13).
const SIZE_UNITS: &[(&str, u64)] =
    &[("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("kB", 1_000), ("B", 1)];

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Bytes, UnitError> {
        let unknown = || UnitError::NotASize(text.to_owned());
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(unknown)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| unknown())?;
        let (_, size) =
            SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(unknown)?;
        number.checked_mul(*size).map(Bytes).ok_or_else(unknown)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = SIZE_UNITS
            .iter()
            .find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size))
            .unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / size)
    }
}

/// How far an interval may reach from its median, in percent of the median: above 0, at most 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Precision(f64);

impl Precision {
    /// The precision as a share of the median.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl FromStr for Precision {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Precision, UnitError> {
        let unknown = || UnitError::NotAPrecision(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(unknown)?;
        let percent: f64 = number.trim().parse().map_err(|_| unknown())?;
        if percent > 0.0 && percent <= 100.0 { Ok(Precision(percent)) } else { Err(unknown()) }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The longest duration a scenario may ask for anywhere.
pub const LONGEST_DURATION: Duration = Duration::from_hours(7 * 24);

/// Reads a duration such as `250ms`, `8s` or `1h 30m`.
///
/// # Errors
///
/// When the text has no unit or is no duration, is negative, or exceeds [`LONGEST_DURATION`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    static PARSER: jiff::fmt::friendly::SpanParser = jiff::fmt::friendly::SpanParser::new();
    let unknown = |_| UnitError::NotADuration(text.to_owned());
    let duration = PARSER.parse_unsigned_duration(text).map_err(unknown)?;
    if duration > LONGEST_DURATION {
        return Err(UnitError::DurationTooLong(text.to_owned()));
    }
    Ok(duration)
}

/// Writes a duration the way [`parse_duration`] reads it.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    static PRINTER: jiff::fmt::friendly::SpanPrinter = jiff::fmt::friendly::SpanPrinter::new();
    if duration.is_zero() {
        "0ms".to_owned()
    } else {
        PRINTER.unsigned_duration_to_string(&duration)
    }
}

/// Nanoseconds of a duration, as every file of a run stores them.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A share of a whole, in percent: from 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Percentage(f64);

impl Percentage {
    /// The percentage as a share of one.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == 0.0
    }

    /// A percentage that is known to be one.
    pub(crate) const fn of(percent: f64) -> Percentage {
        Percentage(percent)
    }
}

impl FromStr for Percentage {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Percentage, UnitError> {
        let unknown = || UnitError::NotAPercentage(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(unknown)?;
        let percent: f64 = number.trim().parse().map_err(|_| unknown())?;
        if (0.0..=100.0).contains(&percent) { Ok(Percentage(percent)) } else { Err(unknown()) }
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Bits a second that a path carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(u64);

/// Units a bit rate may be given in.
const BIT_RATE_UNITS: &[(&str, f64)] = &[("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)];

impl BitRate {
    /// A bit rate that is known to be possible.
    pub(crate) const fn of(bits_per_second: u64) -> BitRate {
        BitRate(bits_per_second)
    }

    /// How long so many bytes take.
    #[must_use]
    pub fn time_of(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.0 as f64)
    }
}

impl FromStr for BitRate {
    type Err = UnitError;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was found to lie between two positive whole numbers"
    )]
    fn from_str(text: &str) -> Result<BitRate, UnitError> {
        let unknown = || UnitError::NotABitRate(text.to_owned());
        let trimmed = text.trim();
        let mut units = BIT_RATE_UNITS.iter();
        let (number, unit) = units
            .find_map(|(name, bits)| Some((trimmed.strip_suffix(name)?, bits)))
            .ok_or_else(unknown)?;
        let bits = number.trim().parse::<f64>().map_err(|_| unknown())? * unit;
        if (8e3..=1e11).contains(&bits) { Ok(BitRate(bits.round() as u64)) } else { Err(unknown()) }
    }
}

impl fmt::Display for BitRate {
    /// In the largest unit of which it is at least one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0 as f64;
        let unit = BIT_RATE_UNITS.iter().find(|(_, unit)| bits >= *unit);
        let (name, unit) = unit.unwrap_or(&("kbit/s", 1e3));
        write!(f, "{} {name}", bits / unit)
    }
}

/// Deserialises any quantity from its text, or says what was expected instead.
struct TextVisitor<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, UnitError>,
}

impl<T> serde::de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Rate, D::Error> {
        input.deserialize_str(TextVisitor {
            expected: "a rate as text, such as \"20/s\"",
            parse: str::parse,
        })
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Bytes, D::Error> {
        input.deserialize_str(TextVisitor {
            expected: "a size as text, such as \"1 KiB\"",
            parse: str::parse,
        })
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Precision {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Precision, D::Error> {
        input.deserialize_str(TextVisitor {
            expected: "a percentage as text, such as \"5%\"",
            parse: str::parse,
        })
    }
}

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Percentage, D::Error> {
        input.deserialize_str(TextVisitor {
            expected: "a percentage as text, such as \"0.5%\"",
            parse: str::parse,
        })
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BitRate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<BitRate, D::Error> {
        input.deserialize_str(TextVisitor {
            expected: "a bit rate as text, such as \"12 Mbit/s\"",
            parse: str::parse,
        })
    }
}

impl Serialize for BitRate {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

/// Serde for durations as text; use with `#[serde(with = "duration_text")]`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    /// Reads `"250ms"`.
    ///
    /// # Errors
    ///
    /// When the value is not text or the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        input.deserialize_str(super::TextVisitor {
            expected: "a duration as text, such as \"250ms\"",
            parse: super::parse_duration,
        })
    }

    /// Writes `"250ms"`.
    ///
    /// # Errors
    ///
    /// Only those of the output itself.
    pub fn serialize<S: Serializer>(duration: &Duration, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&super::format_duration(*duration))
    }
}

/// Serde for durations as text that may be absent; use it with `default` and
/// `skip_serializing_if = "Option::is_none"`.
pub mod some_duration_text {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    /// Reads `"250ms"`.
    ///
    /// # Errors
    ///
    /// As [`duration_text`](super::duration_text).
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
        super::duration_text::deserialize(input).map(Some)
    }

    /// Writes `"250ms"`.
    ///
    /// # Errors
    ///
    /// Only those of the output itself.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        output: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::duration_text::serialize(duration, output),
            None => output.serialize_none(),
        }
    }
}

/// Names a kind of text in the JSON Schema of scenario files.
macro_rules! text_schema {
    ($type:ident, $pattern:literal, $description:literal) => {
        #[doc = $description]
        #[derive(Debug)]
        pub enum $type {}

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).trim_end_matches("Text").into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": $description,
                })
            }
        }
    };
}

text_schema!(
    RateText,
    r"^\s*[0-9.eE+]+\s*/\s*(s|sec|second|min|minute|h|hour|day|week|year)\s*$",
    "A rate: a positive number and a unit of time, such as `20/s` or `4.5/day`."
);
text_schema!(
    SizeText,
    r"^\s*[0-9]+\s*(B|kB|KiB|MB|MiB)\s*$",
    "A size: a whole number and a unit, such as `512 B` or `1 KiB`."
);
text_schema!(
    PrecisionText,
    r"^\s*[0-9.eE+-]+\s*%\s*$",
    "A precision: a percentage above 0 and at most 100, such as `5%`."
);
text_schema!(
    PercentageText,
    r"^\s*[0-9.eE+-]+\s*%\s*$",
    "A percentage from 0 to 100, such as `0.5%`."
);
text_schema!(
    BitRateText,
    r"^\s*[0-9.eE+]+\s*(kbit/s|Mbit/s|Gbit/s)\s*$",
    "A bit rate: a number and a unit, such as `768 kbit/s` or `12 Mbit/s`."
);
text_schema!(
    DurationText,
    r"^\s*[0-9].*[a-zµ]\s*$",
    "A duration: a number and a unit, such as `250ms`, `8s` or `1h 30m`."
);

/// What the values of a swept parameter are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterUnit {
    /// Events per second.
    PerSecond,
    /// A time.
    Nanoseconds,
    /// A size.
    Bytes,
    /// A plain number.
    Number,
}

/// The values of a swept parameter as numbers above zero of one unit; `None` if they are none.
#[must_use]
pub fn on_one_scale(values: &[&str]) -> Option<(ParameterUnit, Vec<f64>)> {
    type Read = fn(&str) -> Option<f64>;
    let kinds: [(ParameterUnit, Read); 4] = [
        (ParameterUnit::PerSecond, |text| Some(text.parse::<Rate>().ok()?.events_per_second())),
        (ParameterUnit::Nanoseconds, |text| Some(nanoseconds(parse_duration(text).ok()?) as f64)),
        (ParameterUnit::Bytes, |text| Some(text.parse::<Bytes>().ok()?.0 as f64)),
        (ParameterUnit::Number, |text| text.parse::<f64>().ok().filter(|n| n.is_finite())),
    ];
    kinds.into_iter().find_map(|(unit, read)| {
        let numbers: Option<Vec<f64>> = values.iter().map(|text| read(text)).collect();
        let numbers = numbers?;
        numbers.iter().all(|number| *number > 0.0).then_some((unit, numbers))
    })
}

#[cfg(test)]
mod tests {
    use super::{
        BitRate, Bytes, ParameterUnit, Percentage, Precision, Rate, UnitError, format_duration,
        on_one_scale, parse_duration,
    };
    use std::time::Duration;

    #[test]
    fn rates_read_and_write_in_their_natural_unit() {
        for (text, per_second, shown) in [
            ("20/s", 20.0, "20/s"),
            ("4.5/day", 4.5 / 86_400.0, "4.5/day"),
            ("0.5/s", 0.5, "30/min"),
            (" 3 / min ", 0.05, "3/min"),
            ("1000000/s", 1e6, "1000000/s"),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert!((rate.events_per_second() - per_second).abs() < 1e-12, "{text}");
            assert_eq!(rate.to_string(), shown);
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        for text in ["0/s", "-1/s", "NaN/s", "inf/s", "1e308/s", "1e-300/s", "1000001/s"] {
            assert_eq!(text.parse::<Rate>(), Err(UnitError::RateOutOfRange(text.into())), "{text}");
        }
        for text in ["20", "20/fortnight", "/s", "many/s", ""] {
            assert_eq!(text.parse::<Rate>(), Err(UnitError::NotARate(text.into())), "{text}");
        }
    }

    #[test]
    fn sizes_read_decimal_and_binary_prefixes() {
        assert_eq!("1 KiB".parse(), Ok(Bytes(1024)));
        assert_eq!("1kB".parse(), Ok(Bytes(1000)));
        assert_eq!(Bytes(2048).to_string(), "2 KiB");
        assert_eq!(Bytes(1500).to_string(), "1500 B");
        for text in
            ["1", "1 kb", "1.5 KiB", "-1 B", "99999999999999999999 B", "18446744073709551615 MiB"]
        {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn precisions_are_percentages() {
        for (text, share, shown) in [("5%", 0.05, "5%"), (" 0.5 % ", 0.005, "0.5%")] {
            let precision: Precision = text.parse().expect(text);
            assert!((precision.share() - share).abs() < 1e-15, "{text}");
            assert_eq!(precision.to_string(), shown);
        }
        for text in ["5", "0%", "-5%", "101%", "NaN%", "inf%", "%", ""] {
            assert_eq!(text.parse::<Precision>(), Err(UnitError::NotAPrecision(text.into())));
        }
    }

    #[test]
    fn percentages_reach_from_nothing_to_all() {
        for (text, share, shown) in [("0%", 0.0, "0%"), ("0.01 %", 1e-4, "0.01%")] {
            let percentage: Percentage = text.parse().expect(text);
            assert!((percentage.share() - share).abs() < 1e-15, "{text}");
            assert_eq!(percentage.to_string(), shown);
        }
        for text in ["5", "-1%", "100.1%", "NaN%", "%", ""] {
            let refused = text.parse::<Percentage>();
            assert_eq!(refused, Err(UnitError::NotAPercentage(text.into())), "{text}");
        }
    }

    #[test]
    fn bit_rates_read_and_write_in_their_natural_unit() {
        for (text, bits, shown) in [
            ("1 Gbit/s", 1_000_000_000, "1 Gbit/s"),
            ("1.6 Mbit/s", 1_600_000, "1.6 Mbit/s"),
            ("768kbit/s", 768_000, "768 kbit/s"),
            ("0.768 Mbit/s", 768_000, "768 kbit/s"),
        ] {
            let rate: BitRate = text.parse().expect(text);
            assert_eq!((rate, rate.to_string().as_str()), (BitRate::of(bits), shown));
        }
        for text in ["1", "1 kbit/s", "1 Tbit/s", "0 Mbit/s", "NaN Mbit/s", "12 MB/s", "-1 Mbit/s"]
        {
            assert_eq!(text.parse::<BitRate>(), Err(UnitError::NotABitRate(text.into())), "{text}");
        }
        let kilobyte = "8 Mbit/s".parse::<BitRate>().expect("a rate").time_of(1_000);
        assert_eq!(kilobyte, Duration::from_millis(1));
    }

    #[test]
    fn durations_survive_a_round_trip() {
        for text in ["250ms", "8s", "1h 30m", "0ms", "1µs"] {
            let duration = parse_duration(text).expect(text);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration), "{text}");
        }
        assert_eq!(parse_duration("1m"), Ok(Duration::from_mins(1)));
    }

    #[test]
    fn impossible_durations_are_refused() {
        for text in ["8", "", "-1s", "8 parsecs", "NaNs"] {
            assert_eq!(parse_duration(text), Err(UnitError::NotADuration(text.into())), "{text}");
        }
        assert_eq!(parse_duration("169h"), Err(UnitError::DurationTooLong("169h".into())));
    }

    #[test]
    fn swept_values_are_numbers_of_one_unit() {
        for (values, unit, numbers_of) in [
            (&["1/s", "30/min"][..], ParameterUnit::PerSecond, &[1.0, 0.5][..]),
            (&["250ms", "1s"], ParameterUnit::Nanoseconds, &[250e6, 1e9]),
            (&["1 KiB", "64 B"], ParameterUnit::Bytes, &[1024.0, 64.0]),
            (&["1", "2.5"], ParameterUnit::Number, &[1.0, 2.5]),
        ] {
            assert_eq!(on_one_scale(values), Some((unit, numbers_of.to_vec())));
        }
        assert_eq!(on_one_scale(&["true", "false"]), None);
        assert_eq!(on_one_scale(&["1/s", "1s"]), None);
        assert_eq!(on_one_scale(&["0ms", "1s"]), None, "no logarithm");
    }
}
