//! The latencies of a block in the order in which their events were due.
//!
//! The window is divided into parts of equal length. A poll's latencies are a saw-tooth: they
//! fall from one beat to the next, and every beat starts anew. A part therefore holds whole
//! beats, so that every part sees the tooth as a whole and parts can be compared.

use std::ops::Range;

use super::effective::effective;
use crate::record::trial::Workload;
use crate::theory::Form;
use crate::units::nanoseconds;

/// The most parts: a change may then begin at any fortieth of the window.
const MOST_PARTS: u64 = 40;

/// The fewest parts. Below, neither a trend nor a variance of part means can be told from
/// chance.
const FEWEST_PARTS: u64 = 10;

/// Events expected of a part: of fewer it has too often none at all.
const EVENTS_A_PART: f64 = 5.0;

/// Where a beat is not steady, its longest waits a part holds, so that how it is cut matters
/// little.
const WAITS_A_PART: u64 = 3;

/// The latencies of one block, filled in the order of due moments.
#[derive(Debug)]
pub(crate) struct Series {
    values: Vec<u64>,
    start: u64,
    /// Length of a part; zero without parts.
    length: u64,
    parts: usize,
    /// Where each part that was begun begins in the values.
    begins: Vec<usize>,
}

/// What a block's latencies did in the course of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Course {
    /// The effective sample size, of all deliveries; `None` where it cannot be told.
    pub(crate) effective: Option<u64>,
    /// The median of each part, if anything was delivered of what was due in it; empty where
    /// the window cannot be divided.
    pub(crate) medians: Vec<Option<u64>>,
    /// Length of a part in nanoseconds.
    pub(crate) part: u64,
}

impl Series {
    /// An empty series of a window; `form` says what beat the latencies may follow. Without one
    /// nobody knows, so the window is not divided.
    pub(crate) fn new(workload: &Workload, form: Option<&dyn Form>) -> Series {
        let window = nanoseconds(workload.window);
        let events = workload.rate.events_in(workload.window) / EVENTS_A_PART;
        let most = whole(events).min(MOST_PARTS);
        let (parts, length) = form.map_or((0, 0), |form| {
            let unsteady = nanoseconds(form.longest_wait()).saturating_mul(WAITS_A_PART);
            divide(window, form.period().map_or(unsteady, nanoseconds), most)
        });
        let parts = usize::try_from(parts).expect("at most forty");
        let start = nanoseconds(workload.warm_up);
        Series { values: Vec::new(), start, length, parts, begins: Vec::new() }
    }

    /// Notes the latency of a delivery that was due in the window.
    pub(crate) fn note(&mut self, due: u64, latency: u64) {
        while self.begins.len() <= self.parts
            && due >= self.start + self.length * self.begins.len() as u64
        {
            // One more than there are parts: what is left of the window after the last.
            self.begins.push(self.values.len());
        }
        self.values.push(latency);
    }

    /// What the latencies did.
    pub(crate) fn course(&self) -> Course {
        let parts: Vec<&[u64]> = self.ranges().map(|range| &self.values[range]).collect();
        Course {
            effective: effective(&parts).map(|share| whole(share * self.values.len() as f64)),
            medians: parts.iter().map(|part| median(part)).collect(),
            part: self.length,
        }
    }

    /// The latencies, in the order in which they were noted.
    pub(crate) fn into_values(self) -> Vec<u64> {
        self.values
    }

    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let end = self.values.len();
        let begin = move |part| self.begins.get(part).copied().unwrap_or(end);
        (0..self.parts).map(move |part| begin(part)..begin(part + 1))
    }
}

/// How many parts of which length a window has: none, or from the fewest up to `most`, of whole
/// beats.
fn divide(window: u64, beat: u64, most: u64) -> (u64, u64) {
    let beats = window.checked_div(beat).unwrap_or(most);
    let Some(beats_a_part) = (most > 0).then(|| beats.div_ceil(most)) else { return (0, 0) };
    let parts = beats.checked_div(beats_a_part).unwrap_or(0);
    if parts < FEWEST_PARTS {
        return (0, 0);
    }
    let length = if beat == 0 { window / parts } else { beat * beats_a_part };
    (parts, length)
}

fn median(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable(middle).1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of events are positive; `as` saturates"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::{Course, Series, divide, median};
    use crate::analysis::evidence::tests::evidence;
    use crate::record::trial::Workload;
    use crate::theory::interval_poll::IntervalPoll;
    use crate::theory::reads::Reads;
    use crate::theory::stream::Stream;
    use crate::theory::{Beat, Form};
    use crate::units::Rate;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    /// A warm-up of a second, a window of eight.
    fn workload(rate: f64) -> Workload {
        let workload = evidence().points[0].strategies[0].blocks[0].workload.clone();
        Workload { rate: Rate::per_second(rate).expect("a rate"), ..workload }
    }

    #[test]
    fn a_window_is_divided_into_whole_beats() {
        for (window, beat, most, expected) in [
            (8_000, 0, 40, (40, 200)),
            (8_000, 0, 33, (33, 242)),
            (8_000, 250, 40, (32, 250)),
            (8_000, 250, 20, (16, 500)),
            (8_000, 110, 40, (36, 220)),
            (8_000, 700, 40, (11, 700)),
            // Too few beats, or too few events.
            (8_000, 801, 40, (0, 0)),
            (8_000, 0, 9, (0, 0)),
            (8_000, 250, 0, (0, 0)),
            (0, 0, 40, (40, 0)),
        ] {
            assert_eq!(divide(window, beat, most), expected, "{window} {beat} {most}");
        }
    }

    #[test]
    fn each_part_has_the_median_of_what_was_due_in_it() {
        let mut series =
            Series::new(&workload(20.0), Some(&Stream { heartbeat: None, ends: None }));
        // 160 events expected: 32 parts of a quarter of a second.
        for (due, latency) in [(0, 5), (1, 9), (249, 7), (600, 4), (7_999, 8)] {
            series.note(SECOND + due * 1_000_000, latency);
        }
        let Course { medians, part, .. } = series.course();
        assert_eq!((medians.len(), part), (32, SECOND / 4));
        let found: Vec<_> = medians.iter().enumerate().filter(|(_, one)| one.is_some()).collect();
        assert_eq!(found, [(0, &Some(7)), (2, &Some(4)), (31, &Some(8))]);
        assert_eq!(series.into_values(), [5, 9, 7, 4, 8]);
    }

    #[test]
    fn what_is_left_after_the_last_part_is_in_none() {
        let reads = Reads::every(Duration::from_millis(700), Beat::FixedRate);
        let poll = IntervalPoll { reads, limit: 10 };
        let mut series = Series::new(&workload(20.0), Some(&poll));
        series.note(SECOND + 7_699_000_000, 1);
        series.note(SECOND + 7_700_000_000, 2);
        let medians = series.course().medians;
        assert_eq!((medians.len(), medians[10]), (11, Some(1)));
    }

    #[test]
    fn too_few_events_are_not_divided_nor_those_of_an_unknown_beat() {
        let forms: [(f64, Option<&dyn Form>); 2] =
            [(6.0, Some(&Stream { heartbeat: None, ends: None })), (2_000.0, None)];
        for (rate, form) in forms {
            let mut series = Series::new(&workload(rate), form);
            series.note(SECOND, 1);
            assert_eq!(series.course(), Course::default());
            assert_eq!(series.into_values(), [1]);
        }
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_one() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[9, 1, 5, 7]), Some(5));
    }
}
