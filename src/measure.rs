//! The measures of a strategy by their names: what requirements, thresholds and objectives are
//! written in.
//!
//! A name is a path below a strategy of `summary.json` where the figure stands there, such as
//! `latency.p99`. Of every measure less is better.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity;
use crate::spelling::{listed, nearest};
use crate::units::{Bytes, nanoseconds, parse_duration};

/// What a measure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Size,
    /// A part of a whole, from 0 to 1.
    Share,
    /// A number of things, or of things for each event.
    Count,
    /// An amount in the currency of `[prices]`.
    Money,
}

/// How a measure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every block gives a value; the median over blocks has an interval.
    Sampled,
    /// It is a fact of the run as a whole, such as how many events were lost: there is nothing
    /// to estimate, and nothing is said of other runs.
    Observed,
}

/// A name that is not one of a measure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no measure is called `{wanted}`; {remedy}")]
pub struct UnknownMeasure {
    /// What was written.
    pub wanted: String,
    /// The nearest measure, or all of them.
    pub remedy: String,
}

/// Makes the list of measures.
macro_rules! measures {
    ($($(#[doc = $words:literal])+ $measure:ident = $name:literal, $kind:ident, $unit:ident;)+) => {
        /// A figure of a strategy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Measure {
            $($(#[doc = $words])+ $measure,)+
        }

        impl Measure {
            /// All of them.
            pub const ALL: &[Measure] = &[$(Measure::$measure,)+];

            /// What scenarios and results call it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Measure::$measure => $name,)+
                }
            }

            /// How it is known.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Measure::$measure => Kind::$kind,)+
                }
            }

            /// What it is counted in.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self {
                    $(Measure::$measure => Unit::$unit,)+
                }
            }
        }
    };
}

// In the order of a summary.
measures! {
    /// Arithmetic mean of latency.
    LatencyMean = "latency.mean", Sampled, Time;
    /// Median latency.
    LatencyP50 = "latency.p50", Sampled, Time;
    /// The 90th percentile of latency.
    LatencyP90 = "latency.p90", Sampled, Time;
    /// The 95th percentile of latency.
    LatencyP95 = "latency.p95", Sampled, Time;
    /// The 99th percentile of latency.
    LatencyP99 = "latency.p99", Sampled, Time;
    /// The 99.9th percentile of latency.
    LatencyP999 = "latency.p999", Sampled, Time;
    /// The greatest latency of all blocks.
    LatencyMax = "latency.max", Observed, Time;
    /// The share of time in which subscribers' states were out of date.
    StalenessShare = "staleness.share", Sampled, Share;
    /// Mean age of the newest usable event.
    StalenessAgeMean = "staleness.age_mean", Sampled, Time;
    /// Its greatest age in any block.
    StalenessAgeMax = "staleness.age_max", Observed, Time;
    /// Lost deliveries as a share of those owed, in all blocks.
    Loss = "loss", Observed, Share;
    /// Lost deliveries of all blocks.
    EventsLost = "events.lost", Observed, Count;
    /// Copies beyond the first of all blocks.
    EventsDuplicated = "events.duplicated", Observed, Count;
    /// First copies that arrived after a later event, of all blocks.
    EventsReordered = "events.reordered", Observed, Count;
    /// Exchanges inside the window for each delivered event.
    RequestsPerEvent = "requests.per_event", Sampled, Count;
    /// The share of exchanges that carried no event.
    RequestsEmptyShare = "requests.empty_share", Sampled, Share;
    /// Connections opened in all blocks, set-up included.
    ConnectionsOpened = "connections.opened", Observed, Count;
    /// Bytes on the source's sockets for each delivered event.
    BytesPerEvent = "bytes.per_event", Sampled, Size;
    /// CPU time of both sides for each delivered event.
    CpuPerEvent = "cpu.per_event", Sampled, Time;
    /// CPU time of the source for each delivered event.
    CpuSourcePerEvent = "cpu.source_per_event", Sampled, Time;
    /// CPU time of the subscribers for each delivered event.
    CpuSubscriberPerEvent = "cpu.subscriber_per_event", Sampled, Time;
    /// CPU time of both sides above what they use while idle, for each delivered event.
    CpuPerEventAboveIdle = "cpu.per_event_above_idle", Sampled, Time;
    /// The largest resident memory of the source's process in any block.
    MemorySourcePeak = "memory.source_peak", Observed, Size;
    /// The largest resident memory of the subscribers' process in any block.
    MemorySubscriberPeak = "memory.subscriber_peak", Observed, Size;
    /// What both sides cost in a month at the prices of the scenario; `cost` for short.
    CostMonth = "cost.month", Sampled, Money;
}

impl Measure {
    /// Those in which every strategy is compared with the scenario's first.
    pub const COMPARED: [Measure; 6] = [
        Measure::LatencyMean,
        Measure::LatencyP50,
        Measure::LatencyP99,
        Measure::RequestsPerEvent,
        Measure::BytesPerEvent,
        Measure::CpuPerEvent,
    ];

    /// Writes a value of it with its unit: `1.20 ms`, `0.21`; money has no currency here.
    #[must_use]
    pub fn write(self, value: f64) -> String {
        match self.unit() {
            Unit::Time => quantity::duration(value),
            Unit::Size => quantity::bytes(value),
            Unit::Share => quantity::percent(value),
            Unit::Count | Unit::Money => quantity::ratio(value),
        }
    }
}

impl Unit {
    /// Reads a value as it is written in requirements: `50ms`, `1 KiB`, `2%`, `0.5`.
    ///
    /// # Errors
    ///
    /// When the text is none, with what to write instead.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        let text = text.trim();
        let number = |text: &str| {
            let number = text.trim().parse::<f64>().ok();
            number.filter(|number| number.is_finite() && *number >= 0.0)
        };
        match self {
            Unit::Time => match parse_duration(text) {
                Ok(time) => Ok(nanoseconds(time) as f64),
                Err(error) => Err(error.to_string()),
            },
            Unit::Size => match text.parse::<Bytes>() {
                Ok(size) => Ok(size.0 as f64),
                Err(error) => Err(error.to_string()),
            },
            Unit::Share => {
                let share = match text.strip_suffix('%') {
                    Some(percentage) => number(percentage).map(|percentage| percentage / 100.0),
                    None => number(text),
                };
                share.filter(|share| *share <= 1.0).ok_or_else(|| {
                    format!("`{text}` is not a share; write one such as `2%` or `0`")
                })
            }
            Unit::Count | Unit::Money => number(text).ok_or_else(|| {
                format!("`{text}` is not a number from 0 on; write one without a unit")
            }),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Measure {
    type Err = UnknownMeasure;

    fn from_str(text: &str) -> Result<Measure, UnknownMeasure> {
        let wanted = if text == "cost" { Measure::CostMonth.name() } else { text };
        let named = Measure::ALL.iter().copied().find(|measure| measure.name() == wanted);
        named.ok_or_else(|| {
            let names = || Measure::ALL.iter().map(|measure| measure.name());
            let remedy = match nearest(text, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are: {}", listed(&names().collect::<Vec<_>>())),
            };
            UnknownMeasure { wanted: text.to_owned(), remedy }
        })
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Measure, D::Error> {
        let name = String::deserialize(input)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Measure {
    fn schema_name() -> Cow<'static, str> {
        "Measure".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Measure::ALL.iter().map(|measure| measure.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Measure, Unit};

    #[test]
    fn a_measure_is_read_by_its_name() {
        for measure in Measure::ALL {
            let read: Measure = serde_json::from_value(measure.name().into()).expect("its name");
            assert_eq!(read, *measure);
            assert_eq!(serde_json::to_value(measure).expect("text"), measure.name());
        }
        assert_eq!("cost".parse(), Ok(Measure::CostMonth));
    }

    #[test]
    fn an_unknown_measure_names_the_nearest() {
        let told = |text: &str| text.parse::<Measure>().expect_err(text).to_string();
        assert_eq!(
            told("latncy.p99"),
            "no measure is called `latncy.p99`; did you mean `latency.p99`?"
        );
        assert!(told("requests.empty").ends_with("did you mean `requests.empty_share`?"));
        assert!(told("throughput").contains("known are: `latency.mean`, "));
    }

    #[test]
    fn what_is_compared_has_a_value_in_every_block() {
        assert!(Measure::COMPARED.iter().all(|measure| measure.kind() == Kind::Sampled));
    }

    #[test]
    fn values_are_read_in_the_unit_of_their_measure() {
        for (unit, text, value) in [
            (Unit::Time, "50ms", 50e6),
            (Unit::Time, " 1h 30m ", 5_400e9),
            (Unit::Size, "1 KiB", 1024.0),
            (Unit::Share, "2 %", 0.02),
            (Unit::Share, "0", 0.0),
            (Unit::Count, "0.5", 0.5),
            (Unit::Money, "12.50", 12.5),
        ] {
            let read = unit.parse(text).expect(text);
            assert!((read - value).abs() < 1e-9, "{text}: {read}");
        }
        for (unit, text) in [
            (Unit::Time, "50"),
            (Unit::Time, "-1s"),
            (Unit::Size, "1"),
            (Unit::Share, "101%"),
            (Unit::Share, "half"),
            (Unit::Count, "-1"),
            (Unit::Count, "5ms"),
            (Unit::Count, "NaN"),
            (Unit::Money, "inf"),
        ] {
            assert!(unit.parse(text).is_err(), "{text}");
        }
    }
}
