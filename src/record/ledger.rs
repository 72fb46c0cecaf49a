//! The ledger: what became of every single delivery.

use std::collections::BTreeMap;

use super::trial::EventCounts;

/// Rows above which a trial keeps only its histograms: at 64 bytes a row in memory, 320 MB.
pub const LEDGER_ROW_LIMIT: usize = 5_000_000;

/// Bytes a row takes on disk at most, for estimates; compressed it is usually a third.
pub const LEDGER_ROW_BYTES: u64 = 56;

/// One row a subscriber and event, in columns. All rows of a ledger have every column.
///
/// Times are nanoseconds after the trial's epoch, the moment its schedule starts. Events
/// due in the warm-up are rows too: readers tell them by their due time. Rows are ordered by
/// sequence number, then subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The simulated subscriber, counted from zero.
    pub subscriber: Vec<u32>,
    /// The event's sequence number, counted from one.
    pub sequence: Vec<u64>,
    /// When the schedule wanted the event.
    pub due: Vec<u64>,
    /// When it entered the source's log.
    pub emitted: Vec<u64>,
    /// When the first copy's last byte was in the subscriber's hands; `None` if lost.
    pub arrived: Vec<Option<u64>>,
    /// When the first copy was verified, parsed and deduplicated; `None` if lost.
    pub usable: Vec<Option<u64>>,
    /// Copies that arrived.
    pub copies: Vec<u32>,
}

/// A ledger that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A column is longer or shorter than the others.
    #[error("column `{column}` has {length} rows where `subscriber` has {expected}")]
    Ragged {
        /// The column.
        column: &'static str,
        /// Its rows.
        length: usize,
        /// Rows of the first column.
        expected: usize,
    },
    /// A row that cannot be.
    #[error("row {row}: {message}")]
    Row {
        /// The row, counted from zero.
        row: usize,
        /// What is wrong with it.
        message: &'static str,
    },
}

impl Ledger {
    /// The number of rows: deliveries owed, those of the warm-up included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.subscriber.len()
    }

    /// Checks what every reader relies on.
    ///
    /// All columns are equally long; rows are in order and none is there twice; due times
    /// follow the sequence and rows of one event agree on it; a delivery is arrived, usable
    /// and copied, or none of the three. Times that run backwards are *not* refused here:
    /// they must stay visible to be judged.
    ///
    /// # Errors
    ///
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), LedgerError> {
        let expected = self.rows();
        for (column, length) in [
            ("sequence", self.sequence.len()),
            ("due", self.due.len()),
            ("emitted", self.emitted.len()),
            ("arrived", self.arrived.len()),
            ("usable", self.usable.len()),
            ("copies", self.copies.len()),
        ] {
            if length != expected {
                return Err(LedgerError::Ragged { column, length, expected });
            }
        }
        (0..expected).try_for_each(|row| {
            self.fault_in(row).map_or(Ok(()), |message| Err(LedgerError::Row { row, message }))
        })
    }

    fn fault_in(&self, row: usize) -> Option<&'static str> {
        let delivered = self.arrived[row].is_some();
        if self.sequence[row] == 0 {
            return Some("sequence numbers start at one");
        }
        if self.usable[row].is_some() != delivered || (self.copies[row] > 0) != delivered {
            return Some("arrived, usable and copies disagree whether it was delivered");
        }
        let before = row.checked_sub(1)?;
        let key = |row: usize| (self.sequence[row], self.subscriber[row]);
        if key(before) >= key(row) {
            return Some("rows are not in order of sequence and subscriber");
        }
        if self.due[before] > self.due[row] {
            return Some("due earlier than the event before it");
        }
        let same_event = self.sequence[before] == self.sequence[row];
        if same_event
            && (self.due[before], self.emitted[before]) != (self.due[row], self.emitted[row])
        {
            return Some("rows of one event disagree when it was due or emitted");
        }
        None
    }

    /// Counts what became of the events due from `start` up to, not including, `end`.
    ///
    /// A first copy is reordered if a later event's first copy arrived strictly before it at
    /// the same subscriber (RFC 4737, section 3), whenever that later event was due. Events
    /// that arrive in one response share their moment and are in order. Where the strategy
    /// `coalesces`, an event that did not arrive is coalesced if a later one did, whenever that
    /// was due.
    #[must_use]
    pub fn counts(&self, start: u64, end: u64, coalesces: bool) -> EventCounts {
        let mut counts = EventCounts::default();
        // Backwards through the sequence: the earliest arrival of any later event so far.
        let mut earliest_later: BTreeMap<u32, u64> = BTreeMap::new();
        for row in (0..self.rows()).rev() {
            let counted = (start..end).contains(&self.due[row]);
            counts.emitted += u64::from(counted);
            let Some(arrived) = self.arrived[row] else {
                let replaced = coalesces && earliest_later.contains_key(&self.subscriber[row]);
                counts.coalesced += u64::from(counted && replaced);
                continue;
            };
            let earliest = earliest_later.entry(self.subscriber[row]).or_insert(u64::MAX);
            if counted {
                counts.delivered += 1;
                counts.duplicated += u64::from(self.copies[row].saturating_sub(1));
                counts.reordered += u64::from(*earliest < arrived);
            }
            *earliest = arrived.min(*earliest);
        }
        counts.lost = counts.emitted - counts.delivered - counts.coalesced;
        counts
    }

    /// The newest event that arrived at each subscriber; those of whom nothing did are missing.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<u32, u64> {
        let arrived = (0..self.rows()).filter(|row| self.arrived[*row].is_some());
        arrived.map(|row| (self.subscriber[row], self.sequence[row])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, LedgerError};
    use crate::record::trial::EventCounts;
    use std::collections::BTreeMap;

    /// One subscriber; events due every 10 ns; arrivals and copies as given.
    fn ledger(arrivals: &[(Option<u64>, u32)]) -> Ledger {
        let count = arrivals.len() as u64;
        let arrived: Vec<_> = arrivals.iter().map(|(arrived, _)| *arrived).collect();
        Ledger {
            subscriber: vec![0; arrivals.len()],
            sequence: (1..=count).collect(),
            due: (0..count).map(|event| event * 10).collect(),
            emitted: (0..count).map(|event| event * 10 + 1).collect(),
            usable: arrived.clone(),
            arrived,
            copies: arrivals.iter().map(|(_, copies)| *copies).collect(),
        }
    }

    #[test]
    fn counts_tell_delivered_lost_and_duplicated_apart() {
        let ledger = ledger(&[(Some(5), 1), (None, 0), (Some(30), 3), (Some(40), 1)]);
        ledger.check().expect("sound");
        let expected =
            EventCounts { emitted: 4, delivered: 3, lost: 1, duplicated: 2, ..Default::default() };
        assert_eq!(ledger.counts(0, 100, false), expected);
    }

    #[test]
    fn what_a_later_arrival_replaced_is_coalesced_and_the_rest_is_lost() {
        let mut ledger = ledger(&[(None, 0), (Some(30), 1), (None, 0), (Some(50), 1), (None, 0)]);
        let counts = ledger.counts(0, 100, true);
        assert_eq!((counts.delivered, counts.coalesced, counts.lost), (2, 2, 1));
        // An event that replaces others may be due after the window.
        let counts = ledger.counts(20, 30, true);
        assert_eq!((counts.emitted, counts.coalesced, counts.lost), (1, 1, 0));
        assert_eq!(ledger.newest(), BTreeMap::from([(0, 4)]));
        // What others received replaces nothing here.
        ledger.subscriber = vec![0, 1, 0, 1, 0];
        let counts = ledger.counts(0, 100, true);
        assert_eq!((counts.delivered, counts.coalesced, counts.lost), (2, 0, 3));
        assert_eq!(ledger.newest(), BTreeMap::from([(1, 4)]));
    }

    #[test]
    fn only_events_due_in_the_window_count() {
        let ledger = ledger(&[(Some(5), 2), (None, 0), (Some(30), 1), (None, 0)]);
        let counts = ledger.counts(10, 30, false);
        assert_eq!((counts.emitted, counts.delivered, counts.lost), (2, 1, 1));
        assert_eq!(counts.duplicated, 0);
    }

    #[test]
    fn overtaken_events_are_reordered_as_in_rfc_4737() {
        // Arrival order 1 3 4 2 5: only event 2 came after a later one.
        let order = [(Some(10), 1), (Some(50), 1), (Some(30), 1), (Some(40), 1), (Some(60), 1)];
        assert_eq!(ledger(&order).counts(0, 100, false).reordered, 1);
        // Arrival order 3 1 2: both 1 and 2.
        let order = [(Some(20), 1), (Some(30), 1), (Some(10), 1)];
        assert_eq!(ledger(&order).counts(0, 100, false).reordered, 2);
        // A later event outside the window overtakes just the same.
        assert_eq!(ledger(&order).counts(0, 10, false).reordered, 1);
    }

    #[test]
    fn events_of_one_response_are_in_order() {
        let together = [(Some(50), 1), (Some(50), 1), (Some(50), 1)];
        assert_eq!(ledger(&together).counts(0, 100, false).reordered, 0);
    }

    #[test]
    fn subscribers_do_not_overtake_each_other() {
        let mut ledger = ledger(&[(Some(90), 1), (Some(10), 1)]);
        ledger.subscriber = vec![0, 1];
        assert_eq!(ledger.counts(0, 100, false).reordered, 0);
    }

    #[test]
    fn a_ragged_ledger_is_refused() {
        let mut ledger = ledger(&[(Some(5), 1)]);
        ledger.copies.push(1);
        let expected = LedgerError::Ragged { column: "copies", length: 2, expected: 1 };
        assert_eq!(ledger.check(), Err(expected));
    }

    #[test]
    fn impossible_rows_are_refused() {
        type Damage = fn(&mut Ledger);
        let damages: [Damage; 6] = [
            |ledger| ledger.sequence[0] = 0,
            |ledger| ledger.usable[1] = None,
            |ledger| ledger.copies[1] = 0,
            |ledger| ledger.sequence[1] = 1,
            |ledger| ledger.due[1] = 500,
            |ledger| {
                ledger.sequence[1] = 1;
                ledger.subscriber[1] = 1;
            },
        ];
        for (number, damage) in damages.iter().enumerate() {
            let mut ledger = ledger(&[(Some(5), 1), (Some(15), 1), (None, 0)]);
            damage(&mut ledger);
            assert!(ledger.check().is_err(), "damage {number}");
        }
    }
}
