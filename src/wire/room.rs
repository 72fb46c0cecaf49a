//! Room for messages under way: how much of them the process holds in memory, all peers together.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::wire::bounds::{ANSWERS_LIMIT, BODIES_LIMIT};

/// For bodies that clients are sending. Memory is the process's: all listeners share it.
pub(crate) static BODIES: Room = Room::new(BODIES_LIMIT);

/// For answers that clients have not taken yet.
pub(crate) static ANSWERS: Room = Room::new(ANSWERS_LIMIT);

/// The longest answer that takes no room: less than a connection itself needs.
const SMALL: usize = 16 << 10;

/// How much may be held, and how much is.
#[derive(Debug)]
pub(crate) struct Room {
    held: AtomicUsize,
    limit: usize,
}

/// What one message holds of a room; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    room: &'a Room,
    held: usize,
}

/// There is no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("messages of {limit} bytes are under way already")]
pub struct NoRoom {
    /// The most that is held of them.
    pub limit: usize,
}

/// Bytes that hold a share of a room until the last of them is gone.
struct Held<'a> {
    bytes: Vec<u8>,
    _share: Share<'a>,
}

impl AsRef<[u8]> for Held<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    pub(crate) const fn new(limit: usize) -> Room {
        Room { held: AtomicUsize::new(0), limit }
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self) -> Share<'_> {
        Share { room: self, held: 0 }
    }

    /// A message that holds its share of the room for as long as anybody holds the message; a small
    /// one takes none.
    pub(crate) fn hold(&'static self, message: Vec<u8>) -> Result<Bytes, NoRoom> {
        if message.len() <= SMALL {
            return Ok(message.into());
        }
        let mut share = self.share();
        share.more(message.len())?;
        Ok(Bytes::from_owner(Held { bytes: message, _share: share }))
    }
}

impl Share<'_> {
    /// Takes more; what was taken so far is kept if there is no room.
    pub(crate) fn more(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.held += bytes;
        let before = self.room.held.fetch_add(bytes, Relaxed);
        let limit = self.room.limit;
        if before + bytes > limit { Err(NoRoom { limit }) } else { Ok(()) }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.held, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{NoRoom, Room, SMALL};

    #[test]
    fn a_message_holds_room_until_its_last_part_is_gone() {
        static ROOM: Room = Room::new(3 * SMALL);
        let first = ROOM.hold(vec![1; 2 * SMALL]).expect("room");
        assert_eq!(ROOM.hold(vec![2; 2 * SMALL]), Err(NoRoom { limit: 3 * SMALL }));
        assert!(ROOM.hold(vec![3; SMALL]).is_ok(), "a small one takes none");
        let part = first.slice(5..6);
        drop(first);
        assert!(ROOM.hold(vec![2; 2 * SMALL]).is_err());
        drop(part);
        assert_eq!(ROOM.hold(vec![2; 2 * SMALL]).expect("room").len(), 2 * SMALL);
    }
}
