//! Per-event rows on their way from a worker to the coordinator.
//!
//! Packed as little-endian integers and carried in base64, in pieces that fit into one
//! control message each.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::clock::Moment;
use crate::event::Sequence;
use crate::subscriber::inbox::Delivery;

/// Packed bytes of one message: base64 makes four characters of three bytes, and the message
/// around it must fit too.
const PIECE: usize = super::control::LONGEST_MESSAGE / 4 * 3 - 4096;

/// A row that can be packed.
pub trait Row: Sized {
    /// Its packed size in bytes.
    const SIZE: usize;

    /// Appends the packed row.
    fn pack(&self, bytes: &mut Vec<u8>);

    /// Reads a packed row of exactly [`Row::SIZE`] bytes; `None` if it is not one.
    fn unpack(bytes: &[u8]) -> Option<Self>;
}

/// When an event was due and when it was emitted; the row's place is the event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emission {
    /// When the schedule wanted it.
    pub due: Moment,
    /// When it entered the log.
    pub emitted: Moment,
}

impl Row for Emission {
    const SIZE: usize = 16;

    fn pack(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.due.as_nanoseconds().to_le_bytes());
        bytes.extend_from_slice(&self.emitted.as_nanoseconds().to_le_bytes());
    }

    fn unpack(bytes: &[u8]) -> Option<Emission> {
        let (due, bytes) = moment(bytes)?;
        let (emitted, _) = moment(bytes)?;
        Some(Emission { due, emitted })
    }
}

impl Row for Delivery {
    const SIZE: usize = 32;

    fn pack(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.subscriber.to_le_bytes());
        bytes.extend_from_slice(&self.copies.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.index().to_le_bytes());
        bytes.extend_from_slice(&self.arrived.as_nanoseconds().to_le_bytes());
        bytes.extend_from_slice(&self.usable.as_nanoseconds().to_le_bytes());
    }

    fn unpack(bytes: &[u8]) -> Option<Delivery> {
        let (subscriber, bytes) = bytes.split_first_chunk()?;
        let (copies, bytes) = bytes.split_first_chunk()?;
        let (index, bytes) = bytes.split_first_chunk()?;
        let (arrived, bytes) = moment(bytes)?;
        let (usable, _) = moment(bytes)?;
        Some(Delivery {
            subscriber: u32::from_le_bytes(*subscriber),
            copies: u32::from_le_bytes(*copies),
            sequence: Sequence::at_index(u64::from_le_bytes(*index)),
            arrived,
            usable,
        })
    }
}

fn moment(bytes: &[u8]) -> Option<(Moment, &[u8])> {
    let (moment, rest) = bytes.split_first_chunk()?;
    Some((Moment::from_nanoseconds(u64::from_le_bytes(*moment)), rest))
}

/// Packs rows into pieces of base64, each of which fits into one control message.
pub fn pieces<R: Row>(rows: impl Iterator<Item = R>) -> impl Iterator<Item = String> {
    let mut rows = rows.peekable();
    let mut bytes = Vec::with_capacity(PIECE);
    std::iter::from_fn(move || {
        bytes.clear();
        while rows.peek().is_some() && bytes.len() + R::SIZE <= PIECE {
            rows.next()?.pack(&mut bytes);
        }
        (!bytes.is_empty()).then(|| STANDARD_NO_PAD.encode(&bytes))
    })
}

/// Unpacks one piece onto `rows`; `false` if it is damaged.
#[must_use]
pub fn unpack<R: Row>(piece: &str, rows: &mut Vec<R>) -> bool {
    let Ok(bytes) = STANDARD_NO_PAD.decode(piece) else { return false };
    let packed = bytes.chunks_exact(R::SIZE);
    if !packed.remainder().is_empty() {
        return false;
    }
    let before = rows.len();
    let expected = packed.len();
    rows.extend(packed.map_while(R::unpack));
    rows.len() - before == expected
}

#[cfg(test)]
mod tests {
    use super::{Emission, pieces, unpack};
    use crate::clock::Moment;
    use crate::event::Sequence;
    use crate::subscriber::inbox::Delivery;
    use crate::trial::control::LONGEST_MESSAGE;

    #[test]
    fn rows_survive_the_journey_in_pieces() {
        let deliveries: Vec<Delivery> = (0..100_000_u64)
            .map(|index| Delivery {
                subscriber: 3,
                copies: 1 + u32::from(index % 7 == 0),
                sequence: Sequence::at_index(index),
                arrived: Moment::from_nanoseconds(index * 10),
                usable: Moment::from_nanoseconds(index * 10 + 5),
            })
            .collect();
        let mut unpacked: Vec<Delivery> = Vec::new();
        let packed: Vec<String> = pieces(deliveries.iter().copied()).collect();
        assert!(packed.len() > 2);
        for piece in packed {
            assert!(piece.len() + 100 < LONGEST_MESSAGE);
            assert!(unpack(&piece, &mut unpacked));
        }
        assert_eq!(unpacked, deliveries);
    }

    #[test]
    fn damaged_pieces_are_noticed() {
        let mut rows = Vec::<Emission>::new();
        assert!(!unpack("not base64!", &mut rows));
        assert!(!unpack("AAAA", &mut rows));
        assert!(unpack("", &mut rows));
        assert_eq!(pieces(std::iter::empty::<Emission>()).count(), 0);
    }
}
