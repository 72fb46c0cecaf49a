//! A bounded memory of what was delivered before.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest, Sha256};

/// The identity of a message or an event, as a digest of fixed size: ids may be of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity([u8; 16]);

impl Identity {
    /// The identity that some parts make together; `["ab", "c"]` is not `["a", "bc"]`.
    pub(super) fn of(parts: &[&[u8]]) -> Identity {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let (half, _) = digest.split_first_chunk().expect("sixteen of 32 bytes");
        Identity(*half)
    }
}

/// The identities seen last. When it is full the oldest is forgotten.
#[derive(Debug)]
pub(super) struct Seen {
    most: usize,
    known: HashSet<Identity>,
    order: VecDeque<Identity>,
}

impl Seen {
    /// The most identities remembered unless set otherwise, at about 50 bytes each.
    pub(super) const MOST: usize = 1 << 17;

    /// A memory of `most` identities.
    pub(super) fn new(most: usize) -> Seen {
        Seen { most, known: HashSet::new(), order: VecDeque::new() }
    }

    /// Remembers an identity; `true` if it was known.
    pub(super) fn again(&mut self, identity: Identity) -> bool {
        if !self.known.insert(identity) {
            return true;
        }
        self.order.push_back(identity);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Seen};

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let identity = |number: u32| Identity::of(&[&number.to_le_bytes()]);
        let mut seen = Seen::new(3);
        for number in 0..1000 {
            assert!(!seen.again(identity(number)));
            assert!(seen.again(identity(number)));
            assert!(seen.known.len() <= 3 && seen.order.len() <= 3);
        }
        assert!(seen.again(identity(997)));
        assert!(!seen.again(identity(996)));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(Identity::of(&[b"ab", b"c"]), Identity::of(&[b"a", b"bc"]));
        assert_eq!(Identity::of(&[b"ab", b"c"]), Identity::of(&[b"ab", b"c"]));
    }
}
