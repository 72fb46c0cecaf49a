//! Histogram logs: latency and lag over the course of a trial, for the `HdrHistogram` tools.
//!
//! Every second of a trial has a line under the tag `latency` and one under `lag`; seconds of
//! the warm-up have the tags `warm-up-latency` and `warm-up-lag`, so that merging a tag gives
//! exactly the measured window. An event belongs to the second it was due in. Seconds are
//! counted from the window's start in both directions.
//!
//! A histogram rounds: 3 significant digits, at most 10 minutes. What rounding would lose is
//! in a comment line for each tag: how many samples there are, their exact sum, least and
//! greatest, and how many were clamped to 10 minutes.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry, LogIteratorError};
use serde::{Deserialize, Serialize};

use super::shield;
use crate::units::Bytes;

/// The greatest value a histogram tells apart: ten minutes, in nanoseconds.
pub const GREATEST: u64 = 600_000_000_000;

/// Significant decimal digits of every value.
const DIGITS: u8 = 3;

/// The least value a histogram tells apart.
const LEAST: u64 = 1;

/// The first bytes of a compressed histogram, version 2 of the format.
const COMPRESSED_COOKIE: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];

/// Bytes before the counts of a histogram.
const HEADER: u64 = 40;

/// More counts than a histogram of these bounds has; each takes nine bytes at most.
const MOST_COUNTS: u64 = 1 << 16;

/// Longer than any trial.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// More values than any trial has; what is below can be added up without overflow.
const MOST_VALUES: u64 = 1 << 48;

/// The largest log that is read. Fifty million deliveries, which is as many as a trial has, take
/// four bytes each if no two are alike, and as many events again; lines of a day are 18 MB.
pub(super) const LARGEST_LOG: Bytes = Bytes(512 << 20);

/// Starts the comment lines that hold [`Totals`].
pub(crate) const TOTALS: &str = "#[pollpush totals ";

/// What is in a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// Usable minus due, of deliveries due in the window.
    Latency,
    /// Emitted minus due, of events due in the window, each counted once.
    Lag,
    /// As [`Tag::Latency`], for the warm-up.
    WarmUpLatency,
    /// As [`Tag::Lag`], for the warm-up.
    WarmUpLag,
}

impl Tag {
    pub(crate) const ALL: [Tag; 4] = [Tag::Latency, Tag::Lag, Tag::WarmUpLatency, Tag::WarmUpLag];

    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Tag::Latency => "latency",
            Tag::Lag => "lag",
            Tag::WarmUpLatency => "warm-up-latency",
            Tag::WarmUpLag => "warm-up-lag",
        }
    }

    fn named(word: &str) -> Option<Tag> {
        Tag::ALL.into_iter().find(|tag| tag.word() == word)
    }
}

/// What is known exactly of all values under one tag, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum: u128,
    /// The least; zero if there are none.
    pub min: u64,
    /// The greatest; zero if there are none.
    pub max: u64,
    /// Of the values, those that were above [`GREATEST`] and stand in the histogram as it.
    pub clamped: u64,
    /// Pairs of moments in the wrong order. They have no value and are in no histogram.
    pub backwards: u64,
}

impl Totals {
    /// Adds the time from one moment to a later one, and returns it.
    pub fn add(&mut self, from: u64, to: u64) -> Option<u64> {
        let Some(value) = to.checked_sub(from) else {
            self.backwards += 1;
            return None;
        };
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += u128::from(value);
        self.clamped += u64::from(value > GREATEST);
        Some(value)
    }

    /// Whether these can be the totals of any values; a file may claim otherwise.
    fn are_possible(&self) -> bool {
        let count = u128::from(self.count);
        let sums = count * u128::from(self.min)..=count * u128::from(self.max);
        self.count <= MOST_VALUES
            && self.backwards <= MOST_VALUES
            && self.clamped <= self.count
            && self.min <= self.max
            && sums.contains(&self.sum)
    }
}

/// A histogram log that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// A line is neither a comment nor an interval.
    #[error("byte {0}: neither a comment nor an interval")]
    Line(usize),
    /// The tag is none of ours.
    #[error("tag `{0}` is unknown")]
    Tag(String),
    /// A histogram's text is not base64.
    #[error("a histogram is not base64")]
    Base64(#[from] base64::DecodeError),
    /// A histogram's bytes are none.
    #[error("a histogram cannot be decoded: {0}")]
    Histogram(String),
    /// The totals of a tag are missing or cannot be read.
    #[error("the totals of `{0}` are missing or damaged")]
    Totals(&'static str),
    /// The histograms of a tag hold other values than its totals say.
    #[error("`{tag}` holds {found} values, its totals say {expected}")]
    Count {
        /// The tag.
        tag: &'static str,
        /// Values in the histograms.
        found: u64,
        /// Values in the totals.
        expected: u64,
    },
}

/// An empty histogram of the precision every trial uses.
///
/// # Panics
///
/// Never: the bounds are constants that the format allows.
#[must_use]
pub fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(LEAST, GREATEST, DIGITS).expect("the bounds are possible")
}

/// A histogram log in memory; its lines are decoded as they are asked for.
#[derive(Clone, Debug)]
pub struct HistogramLog {
    bytes: Vec<u8>,
    totals: BTreeMap<Tag, Totals>,
    merged: BTreeMap<Tag, Histogram<u64>>,
}

/// One line of a histogram log.
#[derive(Clone, Debug)]
pub struct Interval {
    /// What was recorded.
    pub tag: Tag,
    /// When it starts, after the trial's epoch, to the millisecond.
    pub start: Duration,
    /// How long it is, to the millisecond.
    pub length: Duration,
    /// The values, in nanoseconds.
    pub histogram: Histogram<u64>,
}

impl HistogramLog {
    /// Reads a log written by [`super::intervals::encode`], and decodes it once to check and
    /// merge it.
    ///
    /// # Errors
    ///
    /// When a line or a histogram is damaged, or histograms and totals disagree.
    pub fn decode(bytes: Vec<u8>) -> Result<HistogramLog, HistogramError> {
        let totals = read_totals(&bytes)?;
        let merged = Tag::ALL.into_iter().map(|tag| (tag, empty())).collect();
        let mut log = HistogramLog { bytes, totals, merged };
        for interval in intervals(&log.bytes) {
            let Interval { tag, histogram, .. } = interval?;
            let unfit = |error| HistogramError::Histogram(format!("{error:?}"));
            let merged = log.merged.entry(tag).or_insert_with(empty);
            if merged.len() + histogram.len() > MOST_VALUES {
                let what = "the histograms hold more values than any trial has";
                return Err(HistogramError::Histogram(what.to_owned()));
            }
            merged.add(&histogram).map_err(unfit)?;
        }
        for tag in Tag::ALL {
            let (found, expected) = (log.merged(tag).len(), log.totals(tag).count);
            if found != expected {
                return Err(HistogramError::Count { tag: tag.word(), found, expected });
            }
        }
        Ok(log)
    }

    /// What is exactly known of the values under a tag.
    #[must_use]
    pub fn totals(&self, tag: Tag) -> Totals {
        self.totals.get(&tag).copied().unwrap_or_default()
    }

    /// The lines of the log, in order.
    pub fn intervals(&self) -> impl Iterator<Item = Result<Interval, HistogramError>> {
        intervals(&self.bytes)
    }

    /// All values under a tag in one histogram.
    #[must_use]
    pub fn merged(&self, tag: Tag) -> &Histogram<u64> {
        &self.merged[&tag]
    }
}

fn intervals(bytes: &[u8]) -> impl Iterator<Item = Result<Interval, HistogramError>> {
    IntervalLogIterator::new(bytes).filter_map(|entry| match entry {
        Ok(LogEntry::Interval(line)) => {
            let tag = line.tag().map_or("", |tag| tag.as_str());
            let (start, length) = (line.start_timestamp(), line.duration());
            Some(decode_line(tag, start, length, line.encoded_histogram()))
        }
        Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => None,
        Err(LogIteratorError::ParseError { offset }) => Some(Err(HistogramError::Line(offset))),
    })
}

fn decode_line(
    tag: &str,
    start: Duration,
    length: Duration,
    encoded: &str,
) -> Result<Interval, HistogramError> {
    let tag = Tag::named(tag).ok_or_else(|| HistogramError::Tag(tag.to_owned()))?;
    if start > LONGEST || length > LONGEST {
        return Err(HistogramError::Histogram("no trial lasts so long".to_owned()));
    }
    let plain = inflated(&STANDARD.decode(encoded)?)?;
    // Its arithmetic takes for granted what a damaged count can contradict.
    let histogram: Histogram<u64> =
        shield::guarded(|| Deserializer::new().deserialize(&mut plain.as_slice()))
            .ok_or_else(|| HistogramError::Histogram("it contradicts itself".to_owned()))?
            .map_err(|error| HistogramError::Histogram(error.to_string()))?;
    if histogram.len() > MOST_VALUES {
        return Err(HistogramError::Histogram(
            "it claims more values than any trial has".to_owned(),
        ));
    }
    Ok(Interval { tag, start, length, histogram })
}

/// What a compressed histogram holds, if it is one of this program's.
///
/// The decoder fills memory on behalf of lengths and bounds in the file, so they are held against
/// those of every histogram that is written before it sees them.
fn inflated(bytes: &[u8]) -> Result<Vec<u8>, HistogramError> {
    let refuse = |what: &str| Err(HistogramError::Histogram(what.to_owned()));
    let Some((cookie, packed)) = bytes.split_at_checked(8) else {
        return refuse("it has no header");
    };
    if cookie[..4] != COMPRESSED_COOKIE {
        return refuse("it is not compressed in version 2");
    }
    let mut plain = Vec::new();
    let most = HEADER + 9 * MOST_COUNTS + 1;
    if let Err(error) = ZlibDecoder::new(packed).take(most).read_to_end(&mut plain) {
        return refuse(&error.to_string());
    }
    let length = plain.len() as u64;
    if length < HEADER || length == most {
        return refuse("it is shorter or longer than any that is written");
    }
    let number = |from: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| plain[from + byte]));
    let wide = |from: usize| u64::from(number(from)) << 32 | u64::from(number(from + 4));
    if u64::from(number(4)) != length - HEADER {
        return refuse("its length is not what it says");
    }
    if (number(12), wide(16), wide(24)) != (DIGITS.into(), LEAST, GREATEST) {
        return refuse("its bounds are not this program's");
    }
    Ok(plain)
}

fn read_totals(bytes: &[u8]) -> Result<BTreeMap<Tag, Totals>, HistogramError> {
    let mut totals = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((word, json)) = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.strip_prefix(TOTALS)?.strip_suffix(']')?.split_once(": "))
        else {
            continue;
        };
        let tag = Tag::named(word).ok_or_else(|| HistogramError::Tag(word.to_owned()))?;
        let read = serde_json::from_str(json).ok().filter(Totals::are_possible);
        totals.insert(tag, read.ok_or(HistogramError::Totals(tag.word()))?);
    }
    match Tag::ALL.into_iter().find(|tag| !totals.contains_key(tag)) {
        Some(missing) => Err(HistogramError::Totals(missing.word())),
        None => Ok(totals),
    }
}

#[cfg(test)]
mod tests {
    use super::{GREATEST, HistogramError, HistogramLog, Tag, Totals};
    use crate::record::intervals::tests::{ledger, log};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    #[test]
    fn a_log_reads_back_with_exact_totals() {
        let read = HistogramLog::decode(log(&ledger(&[1_000_000, 3_000_001]))).expect("read");
        let latency = read.totals(Tag::Latency);
        assert_eq!((latency.count, latency.min, latency.max), (50, 1_000_000, 3_000_001));
        assert_eq!(latency.sum, 25 * 4_000_001);
        assert_eq!(read.totals(Tag::WarmUpLatency).count, 30);
        // Lag belongs to the event: once, not once a subscriber.
        assert_eq!(read.totals(Tag::Lag).count, 25);
        let merged = read.merged(Tag::Latency);
        assert_eq!(merged.len(), 50);
        assert!(merged.equivalent(merged.value_at_quantile(0.99), 3_000_001));
    }

    #[test]
    fn values_beyond_the_bound_are_clamped_and_counted() {
        let read = HistogramLog::decode(log(&ledger(&[2 * GREATEST]))).expect("read");
        let totals = read.totals(Tag::Latency);
        assert_eq!((totals.count, totals.clamped, totals.max), (50, 50, 2 * GREATEST));
        assert_eq!(read.merged(Tag::Latency).len(), 50);
    }

    #[test]
    fn impossible_totals_are_refused() {
        let text = String::from_utf8(log(&ledger(&[2_000_000]))).expect("text");
        let totals = "latency: {\"count\":50,\"sum\":100000000,";
        assert!(text.contains(totals), "{text}");
        for other in ["99999999", "340282366920938463463374607431768211455", "-1"] {
            let forged = text.replacen(totals, &totals.replace("100000000", other), 1);
            let read = HistogramLog::decode(forged.into_bytes());
            assert!(matches!(read, Err(HistogramError::Totals("latency"))), "{other}");
        }
    }

    #[test]
    fn sums_beyond_64_bits_survive() {
        let max = u64::MAX / 2;
        let totals =
            Totals { count: 4, sum: 4 * u128::from(max), min: max, max, ..Totals::default() };
        let text = serde_json::to_string(&totals).expect("JSON");
        assert_eq!(serde_json::from_str::<Totals>(&text).expect("read"), totals);
    }

    #[test]
    fn a_log_without_a_line_is_noticed() {
        let text = String::from_utf8(log(&ledger(&[2_000_000]))).expect("text");
        let shorter: String = text
            .lines()
            .filter(|line| !line.starts_with("Tag=latency,2.500"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(matches!(
            HistogramLog::decode(shorter.into_bytes()),
            Err(HistogramError::Count { tag: "latency", .. })
        ));
        let headless: String = text.lines().skip(6).flat_map(|line| [line, "\n"]).collect();
        assert!(HistogramLog::decode(headless.into_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn damaged_logs_do_not_panic(place in any::<prop::sample::Index>(), value in any::<u8>()) {
            static LOG: OnceLock<Vec<u8>> = OnceLock::new();
            let mut bytes = LOG.get_or_init(|| log(&ledger(&[1_000_000]))).clone();
            let place = place.index(bytes.len());
            bytes[place] = value;
            let _ = HistogramLog::decode(bytes);
        }
    }
}
