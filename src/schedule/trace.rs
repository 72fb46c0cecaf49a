//! Recorded moments, replayed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Impossible, rounded, within};
use crate::digest::sha256;
use crate::units::{Bytes, Rate, UnitError, nanoseconds};

/// The largest file of a trace.
pub const LARGEST_TRACE: Bytes = Bytes(32 << 20);

/// The moments of a trace, as its file has them: nanoseconds after the first one, in order.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace(Arc<[u64]>);

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace of {} events", self.0.len())
    }
}

/// Replays a trace: an event is due as long after the start as its timestamp lies after the
/// first one, divided by the time scale.
///
/// The seed has no part in it: every block replays the same moments, and only the phases of
/// polls differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Replay {
    /// Its file, relative to the scenario and to the run folder.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The column of the timestamps, if the scenario names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Timestamps in the file.
    pub events: u64,
    /// How many seconds of the trace pass in one second of a trial.
    pub time_scale: f64,
}

/// Why a trace cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The file is larger than a trace may be.
    #[error("it is larger than {LARGEST_TRACE}")]
    TooLarge,
    /// A line is no record of text.
    #[error("line {line}: {message}")]
    Unreadable {
        /// The line, counted from one.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// The header has no such column.
    #[error("line 1: it has no column `{wanted}`; its columns are {found}")]
    NoColumn {
        /// The column asked for.
        wanted: String,
        /// The columns there are, as a list.
        found: String,
    },
    /// A line does not hold a timestamp where it should.
    #[error(
        "line {line}: `{found}` is no timestamp; write seconds, such as `12.5`, or RFC 3339, such \
         as `2026-07-01T00:47:37Z`, and the same on every line"
    )]
    NoTimestamp {
        /// The line, counted from one.
        line: u64,
        /// What is there.
        found: String,
    },
    /// A timestamp is earlier than the one before it.
    #[error("line {line}: `{found}` is earlier than the line before; sort the file by time")]
    Unsorted {
        /// The line, counted from one.
        line: u64,
        /// The timestamp.
        found: String,
    },
    /// There is no time between the first and the last timestamp.
    #[error("it needs at least two timestamps that differ")]
    NoTime,
    /// The file is not the one that was recorded.
    #[error("it is not the file that was recorded: its SHA-256 is {found}, not {expected}")]
    Changed {
        /// The digest it has.
        found: String,
        /// The digest it should have.
        expected: String,
    },
    /// A schedule that replays a trace was asked for without it.
    #[error("the trace `{0}` is not there")]
    Absent(String),
}

/// How a file writes its timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    /// Seconds since any origin, with any number of decimals.
    Seconds,
    /// RFC 3339.
    Rfc3339,
}

impl Notation {
    /// The notation of a text, if it is a timestamp.
    fn of(text: &str) -> Option<Notation> {
        [Notation::Seconds, Notation::Rfc3339]
            .into_iter()
            .find(|notation| notation.read(text).is_some())
    }

    /// The nanoseconds since the notation's origin.
    fn read(self, text: &str) -> Option<i128> {
        match self {
            Notation::Seconds => seconds(text),
            Notation::Rfc3339 => text.parse().ok().map(Timestamp::as_nanosecond),
        }
    }
}

/// Decimal seconds as nanoseconds, exactly; what is below a nanosecond is cut off.
fn seconds(text: &str) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Twelve digits are thirty thousand years.
    if !digits(whole) || !digits(part) || whole.len() > 12 {
        return None;
    }
    let nanoseconds: i128 = format!("{part:0<9.9}").parse().ok()?;
    Some(whole.parse::<i128>().ok()? * 1_000_000_000 + nanoseconds)
}

impl Trace {
    /// Reads a file: one timestamp a line, or CSV with a header and a column of timestamps.
    ///
    /// Without a `column`, the first field of the first line tells which: if it is a timestamp
    /// there is no header and the first field counts; else the column is `time` or `timestamp`,
    /// or the first if none is called so.
    ///
    /// # Errors
    ///
    /// For everything that is not a sorted list of timestamps, naming the line.
    pub fn parse(bytes: &[u8], column: Option<&str>) -> Result<Trace, TraceError> {
        if bytes.len() > LARGEST_TRACE.as_usize() {
            return Err(TraceError::TooLarge);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut record = csv::StringRecord::new();
        let mut place = None;
        let mut notation = None;
        let mut moments: Vec<i128> = Vec::new();
        while next_record(&mut reader, &mut record)? {
            let Some(place) = place else {
                let headless = column.is_none() && record.get(0).and_then(Notation::of).is_some();
                place = Some(if headless { 0 } else { column_of(&record, column)? });
                if headless {
                    moments.push(moment(&record, 0, &mut notation)?);
                }
                continue;
            };
            let moment = moment(&record, place, &mut notation)?;
            if moments.last().is_some_and(|before| moment < *before) {
                return Err(TraceError::Unsorted {
                    line: line(&record),
                    found: shown(&record, place),
                });
            }
            moments.push(moment);
        }
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
            return Err(TraceError::NoTime);
        };
        if first == last {
            return Err(TraceError::NoTime);
        }
        let after = |moment: &i128| u64::try_from(moment - first).unwrap_or(u64::MAX);
        Ok(Trace(moments.iter().map(after).collect()))
    }
}

fn next_record(
    reader: &mut csv::Reader<&[u8]>,
    record: &mut csv::StringRecord,
) -> Result<bool, TraceError> {
    let read = reader.read_record(record);
    read.map_err(|error| TraceError::Unreadable {
        line: error.position().map_or(1, csv::Position::line),
        message: match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
            _ => error.to_string(),
        },
    })
}

/// Where a header has the timestamps.
fn column_of(header: &csv::StringRecord, wanted: Option<&str>) -> Result<usize, TraceError> {
    if let Some(wanted) = wanted {
        return header.iter().position(|name| name == wanted).ok_or_else(|| {
            let found: Vec<String> =
                header.iter().map(|name| format!("`{}`", shortened(name))).collect();
            TraceError::NoColumn { wanted: shortened(wanted), found: shortened(&found.join(", ")) }
        });
    }
    let usual = |name: &str| ["time", "timestamp"].contains(&name.to_lowercase().as_str());
    Ok(header.iter().position(usual).unwrap_or(0))
}

fn line(record: &csv::StringRecord) -> u64 {
    record.position().map_or(1, csv::Position::line)
}

/// The timestamp of a line, in the notation of the lines before it.
fn moment(
    record: &csv::StringRecord,
    place: usize,
    notation: &mut Option<Notation>,
) -> Result<i128, TraceError> {
    let text = record.get(place).unwrap_or_default();
    if notation.is_none() {
        *notation = Notation::of(text);
    }
    notation
        .and_then(|notation| notation.read(text))
        .ok_or_else(|| TraceError::NoTimestamp { line: line(record), found: shown(record, place) })
}

fn shown(record: &csv::StringRecord, place: usize) -> String {
    shortened(record.get(place).unwrap_or_default())
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

impl Replay {
    /// Reads the trace in `bytes`, to be replayed `time_scale` times as fast as it was recorded.
    ///
    /// # Errors
    ///
    /// When the bytes are no trace.
    pub fn of(
        file: String,
        column: Option<String>,
        time_scale: f64,
        bytes: &[u8],
    ) -> Result<(Replay, Trace), TraceError> {
        let trace = Trace::parse(bytes, column.as_deref())?;
        let events = trace.0.len() as u64;
        Ok((Replay { file, sha256: sha256(bytes), column, events, time_scale }, trace))
    }

    /// Reads the trace again, from bytes that must be the recorded ones.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub fn trace(&self, bytes: &[u8]) -> Result<Trace, TraceError> {
        let found = sha256(bytes);
        if found != self.sha256 {
            return Err(TraceError::Changed { found, expected: self.sha256.clone() });
        }
        Trace::parse(bytes, self.column.as_deref())
    }

    /// Refuses a time scale that is not possible.
    ///
    /// # Errors
    ///
    /// When it is none that a clock could keep.
    pub fn check(&self) -> Result<(), Impossible> {
        within("time-scale", self.time_scale, 0.001..=1e9)
    }

    /// How long a replay takes from the first event to the last.
    #[must_use]
    pub fn length(&self, trace: &Trace) -> Duration {
        Duration::from_nanos(trace.0.last().map_or(0, |last| self.scaled(*last)))
    }

    /// The mean rate of a replay: its events over its length.
    ///
    /// # Errors
    ///
    /// When it is no rate that can be offered.
    pub fn rate(&self, trace: &Trace) -> Result<Rate, UnitError> {
        Rate::per_second(trace.0.len() as f64 / self.length(trace).as_secs_f64())
    }

    /// The events due before a moment of the replay.
    #[must_use]
    pub fn events_before(&self, trace: &Trace, moment: Duration) -> usize {
        trace.0.partition_point(|offset| self.scaled(*offset) < nanoseconds(moment))
    }

    pub(super) fn due(&self, trace: &Trace) -> impl Iterator<Item = u64> + Send + use<> {
        let (replay, moments) = (self.clone(), Arc::clone(&trace.0));
        (0..moments.len()).map(move |event| replay.scaled(moments[event]))
    }

    fn scaled(&self, nanoseconds: u64) -> u64 {
        rounded(nanoseconds as f64 / self.time_scale)
    }
}

#[cfg(test)]
mod tests {
    use super::{Replay, Trace, TraceError};
    use crate::schedule::Arrivals;
    use crate::units::Rate;
    use std::time::Duration;

    fn offsets(text: &str, column: Option<&str>) -> Result<Vec<u64>, TraceError> {
        Trace::parse(text.as_bytes(), column).map(|trace| trace.0.to_vec())
    }

    #[test]
    fn timestamps_are_read_in_either_notation_with_and_without_a_header() {
        let second = 1_000_000_000;
        for (text, column) in [
            ("5\n5.5\n5.5\n7\n", None),
            ("1700000000.25\n1700000000.75\n1700000000.75\n1700000002.25", None),
            ("\u{feff}time\r\n5\r\n\r\n5.5\r\n5.5\r\n7\r\n", None),
            ("5,a\n5.5,b\n5.5,c\n7,d\n", None),
            ("id,Timestamp\n1,5\n2,5.5\n3,5.5\n4,7\n", None),
            ("when,id\n5,1\n5.5,2\n5.5,3\n7,4\n", None),
            ("id,time,pushed\n1,x,5\n2,x,5.5\n3,x,5.5\n4,x,7\n", Some("pushed")),
            (
                "2026-07-01T00:00:00Z\n2026-07-01T00:00:00.5Z\n2026-07-01T02:00:00.5+02:00\n\
                 2026-07-01T00:00:02Z\n",
                None,
            ),
        ] {
            let expected = vec![0, second / 2, second / 2, 2 * second];
            assert_eq!(offsets(text, column), Ok(expected), "{text}");
        }
        assert_eq!(offsets("0.1234567899\n1", None), Ok(vec![0, 876_543_211]));
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        for (text, column, line) in [
            ("1\n2\nx\n", None, "line 3:"),
            ("time\n1\n\n3\n2\n", None, "line 5:"),
            ("time\n1\n2026-07-01T00:00:00Z\n", None, "line 3:"),
            ("id,time\n1,1\n2\n", None, "line 3:"),
            ("a,b\n1,2\n", Some("c"), "line 1:"),
            ("1\n-2\n", None, "line 2:"),
            ("1\nNaN\n", None, "line 2:"),
            ("1\n1e3\n", None, "line 2:"),
            ("", None, "it needs at least two"),
            ("time\n1\n1\n", None, "it needs at least two"),
        ] {
            let error = offsets(text, column).expect_err(text).to_string();
            assert!(error.starts_with(line), "{text}: {error}");
        }
        let latin = Trace::parse(b"time\n1\n\xe9\n", None).expect_err("not UTF-8").to_string();
        assert_eq!(latin, "line 3: it is not UTF-8");
        let large = Trace::parse(&vec![b'1'; (32 << 20) + 1], None);
        assert_eq!(large, Err(TraceError::TooLarge));
    }

    #[test]
    fn a_replay_keeps_the_moments_and_compresses_time() {
        let text = "time\n100\n110\n130\n";
        let (replay, trace) =
            Replay::of("traces/a.csv".into(), None, 10.0, text.as_bytes()).expect("a trace");
        assert_eq!(replay.length(&trace), Duration::from_secs(3));
        assert_eq!(replay.rate(&trace), Rate::per_second(1.0));
        assert_eq!(replay.events_before(&trace, Duration::from_secs(3)), 2);
        let rate = Rate::per_second(1.0).expect("a rate");
        let due = |seed, seconds| -> Vec<u64> {
            Arrivals::Trace(replay.clone())
                .due_offsets(rate, seed, Duration::from_secs(seconds), Some(&trace))
                .expect("the trace is there")
                .collect()
        };
        assert_eq!(due(1, 10), [0, 1_000_000_000, 3_000_000_000]);
        assert_eq!(due(1, 10), due(2, 10));
        assert_eq!(due(1, 2), [0, 1_000_000_000]);
    }

    #[test]
    fn only_the_recorded_file_is_replayed() {
        let (replay, trace) =
            Replay::of("traces/a.csv".into(), None, 1.0, b"1\n2\n").expect("a trace");
        assert_eq!(replay.trace(b"1\n2\n"), Ok(trace));
        assert!(matches!(replay.trace(b"1\n3\n"), Err(TraceError::Changed { .. })));
        let rate = Rate::per_second(1.0).expect("a rate");
        let absent = Arrivals::Trace(replay).due_offsets(rate, 1, Duration::from_secs(1), None);
        assert!(matches!(absent, Err(TraceError::Absent(_))));
    }
}
