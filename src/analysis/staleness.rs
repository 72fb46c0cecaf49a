//! How long subscribers' states were out of date, from one trial's ledger.

use std::ops::Range;

use crate::record::ledger::Ledger;

/// How old what subscribers knew was, within a window; the mean over subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BlockStaleness {
    /// The share of the window in which an event was due that was not usable, nor a later one.
    pub(crate) share: f64,
    /// Mean of now − due of the newest usable event, in nanoseconds, while there was one.
    pub(crate) age_mean: Option<f64>,
    /// The greatest age, in nanoseconds.
    pub(crate) age_max: Option<u64>,
}

/// One subscriber, looked at from the last event backwards.
#[derive(Clone, Copy)]
struct Subscriber {
    /// When the event after this one was due.
    next_due: u64,
    /// When the first of all later events was usable.
    usable: u64,
}

/// Sums over all subscribers, in nanoseconds and their squares.
#[derive(Default)]
struct Sums {
    stale: u128,
    /// Time in which some event was usable, and the age of the newest added up over it.
    known: u128,
    age: f64,
    age_max: Option<u64>,
}

/// Looks at every row once, the last first; `None` without subscribers.
///
/// A state shows an event from the moment that event or a later one is usable. So it is out of
/// date from each due moment to that moment, or to the next due moment if that is earlier.
pub(crate) fn staleness(
    ledger: &Ledger,
    subscribers: u32,
    window: &Range<u64>,
) -> Option<BlockStaleness> {
    let nobody = Subscriber { next_due: u64::MAX, usable: u64::MAX };
    let mut states = vec![nobody; usize::try_from(subscribers).ok()?];
    let mut sums = Sums::default();
    for row in (0..ledger.rows()).rev() {
        let Some(state) = states.get_mut(ledger.subscriber[row] as usize) else { continue };
        let due = ledger.due[row];
        let usable = ledger.usable[row].unwrap_or(u64::MAX).min(state.usable);
        if let Some(stale) = within(window, due..usable.min(state.next_due)) {
            sums.stale += u128::from(stale.end - stale.start);
        }
        if let Some(newest) = within(window, usable.max(due)..state.usable) {
            sums.add_age(due, &newest);
        }
        *state = Subscriber { next_due: due, usable };
    }
    let length = u128::from(window.end.saturating_sub(window.start)) * u128::from(subscribers);
    (length > 0).then(|| BlockStaleness {
        share: sums.stale as f64 / length as f64,
        age_mean: (sums.known > 0).then(|| sums.age / sums.known as f64),
        age_max: sums.age_max,
    })
}

impl Sums {
    /// The event due at a moment is the newest for a while; its age grows meanwhile.
    fn add_age(&mut self, due: u64, newest: &Range<u64>) {
        let (from, to) = (newest.start - due, newest.end - due);
        self.known += u128::from(to - from);
        self.age += f64::midpoint(from as f64, to as f64) * (to - from) as f64;
        self.age_max = self.age_max.max(Some(to));
    }
}

/// The part of a span within the window, unless it is empty.
fn within(window: &Range<u64>, span: Range<u64>) -> Option<Range<u64>> {
    let part = span.start.max(window.start)..span.end.min(window.end);
    (part.start < part.end).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::{BlockStaleness, staleness};
    use crate::record::ledger::Ledger;
    use proptest::prelude::*;

    /// Events with the subscriber, the due moment and the usable one.
    fn ledger(rows: &[(u32, u64, u64, Option<u64>)]) -> Ledger {
        let usable: Vec<Option<u64>> = rows.iter().map(|row| row.3).collect();
        Ledger {
            subscriber: rows.iter().map(|row| row.0).collect(),
            sequence: rows.iter().map(|row| row.1).collect(),
            due: rows.iter().map(|row| row.2).collect(),
            emitted: rows.iter().map(|row| row.2).collect(),
            arrived: usable.clone(),
            copies: usable.iter().map(|usable| u32::from(usable.is_some())).collect(),
            usable,
        }
    }

    #[test]
    fn a_state_is_out_of_date_until_this_event_or_a_later_one_is_usable() {
        // Out of date from 10 to 20 and, as the third overtakes the second, from 30 to 50.
        let rows = [(0, 1, 10, Some(20)), (0, 2, 30, Some(90)), (0, 3, 40, Some(50))];
        let stale = staleness(&ledger(&rows), 1, &(0..100)).expect("a subscriber");
        assert!((stale.share - 0.3).abs() < 1e-12, "{stale:?}");
        // From 20 to 50 the age grows from 10 to 40, from 50 to 100 it grows from 10 to 60.
        let mean = f64::from(30 * 25 + 50 * 35) / 80.0;
        assert!((stale.age_mean.expect("known") - mean).abs() < 1e-9, "{stale:?}");
        assert_eq!(stale.age_max, Some(60));
    }

    #[test]
    fn only_the_window_counts() {
        let rows = [(0, 1, 10, Some(20)), (0, 2, 30, Some(90))];
        let stale = staleness(&ledger(&rows), 1, &(15..35)).expect("a subscriber");
        assert!((stale.share - 0.5).abs() < 1e-12, "{stale:?}");
    }

    #[test]
    fn what_is_lost_is_out_of_date_for_good() {
        let rows = [(0, 1, 10, Some(20)), (0, 2, 30, None)];
        let stale = staleness(&ledger(&rows), 1, &(0..100)).expect("a subscriber");
        assert!((stale.share - 0.8).abs() < 1e-12, "{stale:?}");
        let nothing = staleness(&ledger(&[(0, 1, 40, None)]), 1, &(0..100)).expect("a subscriber");
        assert_eq!((nothing.age_mean, nothing.age_max), (None, None));
    }

    #[test]
    fn subscribers_are_averaged_and_one_without_events_is_up_to_date() {
        let rows = [(0, 1, 0, Some(100)), (1, 1, 0, Some(50))];
        let share = |subscribers| {
            staleness(&ledger(&rows), subscribers, &(0..100)).expect("subscribers").share
        };
        assert!((share(2) - 0.75).abs() < 1e-12);
        assert!((share(4) - 0.375).abs() < 1e-12);
        assert_eq!(staleness(&ledger(&rows), 0, &(0..100)), None);
    }

    proptest! {
        /// Against the definition, asked moment by moment.
        #[test]
        fn every_moment_is_counted_once(
            gaps in prop::collection::vec((0_u64..9, prop::option::of(0_u64..30)), 1..20),
            start in 0_u64..40,
        ) {
            let mut due = 0;
            let rows: Vec<(u32, u64, u64, Option<u64>)> = (1..).zip(&gaps).map(|(number, (gap, latency))| {
                due += gap;
                (0, number, due, latency.map(|latency| due + latency))
            }).collect();
            let window = start..start + 60;
            let BlockStaleness { share, age_max, .. } =
                staleness(&ledger(&rows), 1, &window).expect("a subscriber");
            let newest_usable = |now: u64| {
                rows.iter().rev().find(|row| row.3.is_some_and(|usable| usable <= now))
            };
            let stale = |now: &u64| {
                let newest_due = rows.iter().rev().find(|row| row.2 <= *now);
                newest_due.map_or(0, |row| row.1) > newest_usable(*now).map_or(0, |row| row.1)
            };
            let expected = window.clone().filter(stale).count() as f64 / 60.0;
            prop_assert!((share - expected).abs() < 1e-12, "{share} for {expected}");
            let ages = window.filter_map(|now| Some(now + 1 - newest_usable(now)?.2));
            prop_assert_eq!(age_max, ages.max());
        }
    }
}
