//! Cutting a ledger into the intervals of a histogram log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, Tag as LineTag,
};

use super::histogram::{GREATEST, TOTALS, Tag, Totals, empty};
use super::ledger::Ledger;
use crate::units::nanoseconds;

/// Length of an interval, in nanoseconds.
const INTERVAL: u64 = 1_000_000_000;

/// Writes the histogram log of a trial.
///
/// `started` is the wall-clock time of the trial's epoch, a label; the window follows the
/// warm-up.
///
/// # Panics
///
/// Never: writing to memory does not fail.
#[must_use]
pub fn encode(ledger: &Ledger, started: jiff::Timestamp, warm_up: Duration) -> Vec<u8> {
    let warm_up = nanoseconds(warm_up);
    // Both lines are written to the millisecond.
    let since_1970 = u64::try_from(started.as_millisecond()).unwrap_or(0);
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(since_1970);
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut header = IntervalLogWriterBuilder::new();
    header
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values are nanoseconds; the column Interval_Max is milliseconds]")
        // Both, because then Java's reader has nothing to guess.
        .with_start_time(started)
        .with_base_time(started)
        // As Java's writer does by default.
        .with_max_value_divisor(1_000_000.0);
    for (tag, totals) in totals_of(ledger, warm_up) {
        let totals = serde_json::to_string(&totals).expect("plain numbers");
        header.add_comment(&format!("{}{}: {totals}]", &TOTALS[1..], tag.word()));
    }
    let mut log = header.begin_log_with(&mut bytes, &mut serializer).expect("memory");
    write_intervals(ledger, warm_up, &mut log);
    bytes
}

fn totals_of(ledger: &Ledger, warm_up: u64) -> BTreeMap<Tag, Totals> {
    let mut totals: BTreeMap<Tag, Totals> =
        Tag::ALL.into_iter().map(|tag| (tag, Totals::default())).collect();
    for row in 0..ledger.rows() {
        for (tag, from, to) in samples(ledger, row, warm_up) {
            totals.entry(tag).or_default().add(from, to);
        }
    }
    totals
}

/// The pairs of moments a row contributes: its event's lag once, and its latency if delivered.
fn samples(ledger: &Ledger, row: usize, warm_up: u64) -> impl Iterator<Item = (Tag, u64, u64)> {
    let due = ledger.due[row];
    let warm = due < warm_up;
    // Every subscriber's row repeats the event's emission.
    let first = row == 0 || ledger.sequence[row - 1] != ledger.sequence[row];
    let lag =
        first.then(|| (if warm { Tag::WarmUpLag } else { Tag::Lag }, due, ledger.emitted[row]));
    let latency = ledger.usable[row]
        .map(|usable| (if warm { Tag::WarmUpLatency } else { Tag::Latency }, due, usable));
    [lag, latency].into_iter().flatten()
}

type Log<'a, 'b> = IntervalLogWriter<'a, 'b, Vec<u8>, V2DeflateSerializer>;

/// Writes the lines one interval after the other; rows are in the order they were due.
fn write_intervals(ledger: &Ledger, warm_up: u64, log: &mut Log<'_, '_>) {
    let (mut latency, mut lag) = (empty(), empty());
    let mut current = 0..0;
    for row in 0..ledger.rows() {
        let due = ledger.due[row];
        if !current.contains(&due) {
            flush(log, &current, warm_up, &mut latency, &mut lag);
            current = interval_of(due, warm_up);
        }
        for (tag, from, to) in samples(ledger, row, warm_up) {
            let histogram = match tag {
                Tag::Latency | Tag::WarmUpLatency => &mut latency,
                Tag::Lag | Tag::WarmUpLag => &mut lag,
            };
            if let Some(value) = to.checked_sub(from) {
                histogram.saturating_record(value.min(GREATEST));
            }
        }
    }
    flush(log, &current, warm_up, &mut latency, &mut lag);
}

/// The interval in which an event was due; one ends where the window starts.
fn interval_of(due: u64, warm_up: u64) -> Range<u64> {
    if due >= warm_up {
        let start = due - (due - warm_up) % INTERVAL;
        start..start + INTERVAL
    } else {
        let end = warm_up - (warm_up - 1 - due) / INTERVAL * INTERVAL;
        end.saturating_sub(INTERVAL)..end
    }
}

fn flush(
    log: &mut Log<'_, '_>,
    interval: &Range<u64>,
    warm_up: u64,
    latency: &mut Histogram<u64>,
    lag: &mut Histogram<u64>,
) {
    let tags = if interval.start < warm_up {
        [Tag::WarmUpLatency, Tag::WarmUpLag]
    } else {
        [Tag::Latency, Tag::Lag]
    };
    let start = Duration::from_nanos(interval.start);
    let length = Duration::from_nanos(interval.end - interval.start);
    for (tag, histogram) in tags.into_iter().zip([latency, lag]) {
        if !histogram.is_empty() {
            log.write_histogram(histogram, start, length, LineTag::new(tag.word()))
                .expect("memory");
            histogram.reset();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{encode, interval_of};
    use crate::record::histogram::{HistogramLog, Tag};
    use crate::record::ledger::Ledger;
    use crate::units::nanoseconds;
    use std::time::Duration;

    const WARM_UP: Duration = Duration::from_millis(1_500);

    /// An event every 100 ms for 4 s, two subscribers; the latencies as given, in turn.
    pub(crate) fn ledger(latencies: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        for (row, latency) in (0..80_u64).zip(latencies.iter().cycle()) {
            let due = row / 2 * 100_000_000;
            ledger.subscriber.push(u32::from(row % 2 == 1));
            ledger.sequence.push(1 + row / 2);
            ledger.due.push(due);
            ledger.emitted.push(due + 50_000);
            ledger.arrived.push(Some(due + latency));
            ledger.usable.push(Some(due + latency));
            ledger.copies.push(1);
        }
        ledger
    }

    pub(crate) fn log(ledger: &Ledger) -> Vec<u8> {
        encode(ledger, jiff::Timestamp::UNIX_EPOCH, WARM_UP)
    }

    #[test]
    fn intervals_meet_where_the_window_starts() {
        let read = HistogramLog::decode(log(&ledger(&[1_000_000]))).expect("read");
        let spans: Vec<(u64, u64, u64)> = read
            .intervals()
            .map(|interval| interval.expect("read"))
            .filter(|interval| matches!(interval.tag, Tag::Latency | Tag::WarmUpLatency))
            .map(|interval| {
                let millis = |span: Duration| nanoseconds(span) / 1_000_000;
                (millis(interval.start), millis(interval.length), interval.histogram.len())
            })
            .collect();
        let expected =
            [(0, 500, 10), (500, 1000, 20), (1500, 1000, 20), (2500, 1000, 20), (3500, 1000, 10)];
        assert_eq!(spans, expected);
    }

    #[test]
    fn an_interval_holds_its_event_and_respects_the_window() {
        for warm_up in [0, 1, 999_999_999, 1_000_000_000, 1_500_000_000] {
            for due in [0, 1, 499_999_999, 500_000_000, 1_499_999_999, 1_500_000_000, 9_876_543_210]
            {
                let interval = interval_of(due, warm_up);
                assert!(interval.contains(&due), "{due} in {interval:?}");
                assert_eq!(interval.start >= warm_up, due >= warm_up, "{due} {warm_up}");
                assert!(interval.end <= warm_up || interval.start >= warm_up);
            }
        }
    }

    #[test]
    fn the_head_is_what_the_java_tools_expect() {
        let text = String::from_utf8(log(&ledger(&[2_000_000]))).expect("text");
        assert!(text.starts_with("#[Histogram log format version 1.3]\n"));
        assert!(text.contains("\n#[StartTime: 0.000 (seconds since epoch)]\n"));
        assert!(text.contains("\n#[BaseTime: 0.000 (seconds since epoch)]\n"));
        // Tag, start, length, maximum in ms, and the cookie of a compressed V2 histogram.
        let line = text.lines().find(|line| line.starts_with("Tag=latency,")).expect("a line");
        assert!(line.starts_with("Tag=latency,1.500,1.000,2.0"), "{line}");
        assert!(line.contains(",HISTFAAA"), "{line}");
    }

    #[test]
    fn moments_in_the_wrong_order_are_counted_apart() {
        let mut ledger = ledger(&[1_000]);
        ledger.usable[79] = Some(ledger.due[79] - 1);
        let totals = HistogramLog::decode(log(&ledger)).expect("read").totals(Tag::Latency);
        assert_eq!((totals.count, totals.backwards), (49, 1));
    }
}
