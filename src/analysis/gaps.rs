//! Whether events were spaced as planned: gaps of the schedule beside those of the source's log.
//!
//! Where events come close together a gap is that of several, one after the other, so that it
//! is long against what a timer errs by.

use super::series::whole;
use crate::units::Rate;

/// The shortest gap that is judged, and the least mean of gaps. A sleeping thread is up to some
/// hundred microseconds late, or a scheduler's slice of 3 ms on a busy machine; a gap of 5 ms is
/// halved only by more than half of that.
const LEAST: f64 = 5e6;

/// What a timer may move a gap by before it counts as another gap, in nanoseconds.
const TIMER: u64 = 1_000_000;

/// Gaps of one trial, filled event by event.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// Events a gap spans.
    span: u64,
    events: u64,
    /// Due and emitted of the event at which the last gap ended.
    last: Option<(u64, u64)>,
    planned: Vec<u64>,
    emitted: Vec<u64>,
    judged: u64,
    halved: u64,
}

/// How gaps differ from the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GapFit {
    /// Gaps long enough to be judged.
    pub(crate) judged: u64,
    /// Of those, the ones less than half as long as planned.
    pub(crate) halved: u64,
    /// The greatest difference between the shares of gaps up to some length, planned and
    /// emitted, beyond what moving each gap by a millisecond explains.
    pub(crate) distance: f64,
}

impl Gaps {
    /// No gaps yet, of events at a mean rate.
    pub(crate) fn new(rate: Rate) -> Gaps {
        let span = whole((LEAST / 1e9 * rate.events_per_second()).ceil()).max(1);
        let (planned, emitted) = (Vec::new(), Vec::new());
        Gaps { span, events: 0, last: None, planned, emitted, judged: 0, halved: 0 }
    }

    /// Notes the next event: when it was due, and when it was emitted.
    pub(crate) fn note(&mut self, due: u64, emitted: u64) {
        let ends = self.events.is_multiple_of(self.span);
        self.events += 1;
        if !ends {
            return;
        }
        if let Some((due_before, emitted_before)) = self.last.replace((due, emitted)) {
            let planned = due.saturating_sub(due_before);
            let found = emitted.saturating_sub(emitted_before);
            if planned as f64 >= LEAST {
                self.judged += 1;
                self.halved += u64::from(found < planned / 2);
            }
            self.planned.push(planned);
            self.emitted.push(found);
        }
    }

    /// How the gaps differ from the plan; `None` without any.
    pub(crate) fn fit(mut self) -> Option<GapFit> {
        self.planned.sort_unstable();
        self.emitted.sort_unstable();
        let distance =
            beyond(&self.planned, &self.emitted).max(beyond(&self.emitted, &self.planned));
        (self.judged > 0).then_some(GapFit { judged: self.judged, halved: self.halved, distance })
    }
}

/// By how much the share of `some` up to any length exceeds that of as many `others` up to the
/// same length and what a timer may add; both are sorted.
fn beyond(some: &[u64], others: &[u64]) -> f64 {
    let excess = |(place, length): (usize, &u64)| {
        let shorter = others.partition_point(|other| *other <= length.saturating_add(TIMER));
        (place + 1).saturating_sub(shorter)
    };
    let most = some.iter().enumerate().map(excess).max().unwrap_or(0);
    most as f64 / some.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{GapFit, Gaps};
    use crate::schedule::{Arrivals, random_stream};
    use crate::units::Rate;
    use rand::RngExt;
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    /// Twenty seconds of Poisson events, each as late as `late` says.
    fn fit(rate: f64, late: impl FnMut(u64) -> u64) -> GapFit {
        arriving(&Arrivals::Poisson, rate, late)
    }

    fn arriving(arrivals: &Arrivals, rate: f64, mut late: impl FnMut(u64) -> u64) -> GapFit {
        let rate = Rate::per_second(rate).expect("a rate");
        let due = arrivals.due_offsets(rate, 5, Duration::from_secs(20), None).expect("no trace");
        let mut gaps = Gaps::new(rate);
        for due in due {
            gaps.note(due, due + late(due));
        }
        gaps.fit().expect("long enough")
    }

    fn share(fit: GapFit) -> f64 {
        fit.halved as f64 / fit.judged as f64
    }

    const RATES: [f64; 4] = [20.0, 100.0, 1_000.0, 10_000.0];

    #[test]
    fn a_timer_on_a_busy_machine_halves_no_gap() {
        let mut random = random_stream(3, 0);
        for rate in RATES {
            // 60 µs, and one in a hundred up to 2 ms.
            let fit = fit(rate, |_| {
                let hiccup = random.random_range(0..100) == 0;
                random.random_range(30_000..90_000)
                    + if hiccup { random.random_range(0..2 * MS) } else { 0 }
            });
            assert_eq!(fit.halved, 0, "{rate}");
            assert!(fit.judged > 300 && fit.distance < 0.005, "{rate}: {fit:?}");
        }
    }

    #[test]
    fn a_stall_of_a_fifth_of_a_second_is_seen_at_every_rate() {
        // What is due in the stall is emitted when it ends.
        let end = 10_200 * MS;
        let stalled = |due: u64| if due > 10_000 * MS { end.saturating_sub(due) } else { 0 };
        for rate in RATES {
            let fit = fit(rate, stalled);
            assert!(fit.halved >= 2 && share(fit) > 0.001, "{rate}: {fit:?}");
        }
    }

    #[test]
    fn a_clock_that_ticks_coarsely_moves_gaps() {
        let ticking = |due: u64| due.next_multiple_of(20 * MS) - due;
        let fit = fit(100.0, ticking);
        assert!(fit.distance > 0.1, "{fit:?}");
        assert!(share(fit) > 0.1, "{fit:?}");
    }

    #[test]
    fn gaps_that_are_all_alike_may_differ_by_what_a_timer_does() {
        let mut random = random_stream(4, 0);
        let fit = arriving(&Arrivals::Constant, 100.0, |_| random.random_range(0..900_000));
        assert_eq!((fit.halved, fit.distance), (0, 0.0));
    }

    #[test]
    fn too_few_events_have_no_gap() {
        let rate = Rate::per_second(20.0).expect("a rate");
        assert_eq!(Gaps::new(rate).fit(), None);
        let mut one = Gaps::new(rate);
        one.note(0, 0);
        one.note(MS, MS);
        assert_eq!(one.fit(), None, "a gap of 1 ms is too short to judge");
    }
}
