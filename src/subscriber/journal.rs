//! What subscribers accepted, written down before it is acknowledged, so that it outlives them.
//!
//! Used only where a scenario kills their process, and then by every mechanism alike. What was
//! written is in the kernel's hands: it survives the process, not the machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::clock::Moment;
use crate::event::Sequence;
use crate::subscriber::inbox::Delivery;

/// Bytes of a row: subscriber, event, and when it arrived and was usable.
const ROW: usize = 28;

/// A journal that rows are appended to.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    /// Opens a journal, or begins one, and returns what it holds: every copy that was accepted,
    /// in order of arrival.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<(Journal, Vec<Delivery>)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let rows = bytes.as_chunks::<ROW>().0;
        // A row that was cut off by the end of the process was acknowledged to nobody.
        file.set_len((rows.len() * ROW) as u64)?;
        Ok((Journal(file), rows.iter().map(unpacked).collect()))
    }

    /// Appends a copy that is about to be accepted.
    ///
    /// # Errors
    ///
    /// When it cannot be written, for want of space say.
    pub fn note(&mut self, delivery: &Delivery) -> io::Result<()> {
        self.0.write_all(&packed(delivery))
    }
}

fn packed(delivery: &Delivery) -> [u8; ROW] {
    let mut row = [0; ROW];
    row[..4].copy_from_slice(&delivery.subscriber.to_le_bytes());
    row[4..12].copy_from_slice(&delivery.sequence.index().to_le_bytes());
    row[12..20].copy_from_slice(&delivery.arrived.as_nanoseconds().to_le_bytes());
    row[20..].copy_from_slice(&delivery.usable.as_nanoseconds().to_le_bytes());
    row
}

fn unpacked(row: &[u8; ROW]) -> Delivery {
    let number = |from: usize| {
        let bytes: [u8; 8] = row[from..from + 8].try_into().expect("eight of its bytes");
        u64::from_le_bytes(bytes)
    };
    let subscriber: [u8; 4] = row[..4].try_into().expect("four of its bytes");
    Delivery {
        subscriber: u32::from_le_bytes(subscriber),
        sequence: Sequence::at_index(number(4)),
        arrived: Moment::from_nanoseconds(number(12)),
        usable: Moment::from_nanoseconds(number(20)),
        copies: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Journal, ROW};
    use crate::clock::{self, Moment};
    use crate::event::Sequence;
    use crate::subscriber::inbox::{Acceptance, Delivery, Inbox};
    use std::io::Write;

    fn delivery(number: u64) -> Delivery {
        Delivery {
            subscriber: 1,
            sequence: Sequence::at_index(number),
            arrived: Moment::from_nanoseconds(number * 10),
            usable: Moment::from_nanoseconds(number * 10 + 3),
            copies: 1,
        }
    }

    #[test]
    fn a_journal_holds_what_was_noted_and_forgets_what_was_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let (mut journal, nothing) = Journal::open(&path).expect("begun");
        assert_eq!(nothing, []);
        for number in [7, 9, 7] {
            journal.note(&delivery(number)).expect("written");
        }
        journal.0.write_all(&[1; ROW - 1]).expect("written");
        drop(journal);
        let (mut journal, held) = Journal::open(&path).expect("opened");
        assert_eq!(held, [7, 9, 7].map(delivery));
        journal.note(&delivery(11)).expect("written");
        assert_eq!(Journal::open(&path).expect("opened").1, [7, 9, 7, 11].map(delivery));
    }

    #[test]
    fn an_inbox_that_is_opened_again_knows_what_it_had_and_where_to_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let first = Inbox::new(2);
        first.keep(&path).expect("begun");
        for number in [0, 1, 3, 1] {
            first.accept(1, Sequence::at_index(number), clock::now());
        }
        drop(first);
        let second = Inbox::new(2);
        second.keep(&path).expect("opened");
        assert_eq!(second.accept(1, Sequence::at_index(3), clock::now()), Acceptance::Duplicate);
        assert_eq!((second.without_gap(1), second.newest(1)), (2, Some(Sequence::at_index(3))));
        assert_eq!((second.without_gap(0), second.newest(0)), (0, None));
        let (deliveries, _) = second.empty();
        let copies: Vec<u32> = deliveries.iter().map(|delivery| delivery.copies).collect();
        assert_eq!(copies, [1, 2, 2], "copies of both lives");
        assert!(second.kept().is_ok());
    }
}
