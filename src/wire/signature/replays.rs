//! What was accepted a short while ago, so that it is not accepted again.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// One attempt to deliver a message: its id and its timestamp, as a digest of fixed size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt([u8; 16]);

impl Attempt {
    pub(super) fn new(id: &str, timestamp: &str) -> Attempt {
        let digest = Sha256::new().chain_update(id).chain_update(".").chain_update(timestamp);
        let digest: [u8; 32] = digest.finalize().into();
        let (half, _) = digest.split_first_chunk().expect("sixteen of 32 bytes");
        Attempt(*half)
    }
}

/// A bounded memory of accepted attempts.
///
/// An attempt is forgotten once its timestamp is refused anyway. When the memory is full the
/// oldest goes first: honest messages are never refused for want of memory, and a replay of
/// something forgotten is still caught by deduplication.
#[derive(Debug)]
pub struct Replays {
    tolerance: Duration,
    most: usize,
    attempts: HashSet<Attempt>,
    /// The same in order of acceptance, with the second in which each may be forgotten.
    order: VecDeque<(Attempt, i64)>,
}

impl Replays {
    /// The most attempts remembered unless set otherwise, at about 60 bytes each.
    pub const MOST: usize = 1 << 16;

    /// A memory of `most` attempts whose timestamps are believed within a tolerance.
    #[must_use]
    pub fn new(tolerance: Duration, most: usize) -> Replays {
        Replays { tolerance, most, attempts: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether an attempt was accepted before.
    #[must_use]
    pub fn holds(&self, attempt: &Attempt) -> bool {
        self.attempts.contains(attempt)
    }

    /// Remembers an attempt that was accepted in the second `now`.
    pub fn insert(&mut self, attempt: Attempt, now: i64) {
        if !self.attempts.insert(attempt.clone()) {
            return;
        }
        while let Some((oldest, until)) = self.order.front() {
            if *until >= now && self.order.len() < self.most {
                break;
            }
            self.attempts.remove(oldest);
            self.order.pop_front();
        }
        // Its timestamp is at most the tolerance ahead, and is believed as long after that.
        let believed = i64::try_from(self.tolerance.as_secs()).unwrap_or(i64::MAX);
        self.order.push_back((attempt, now.saturating_add(believed.saturating_mul(2))));
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Replays};
    use std::time::Duration;

    fn attempt(id: usize) -> Attempt {
        Attempt::new(&format!("msg_{id}"), "1614265330")
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let mut replays = Replays::new(Duration::from_mins(5), 3);
        for id in 0..1000 {
            replays.insert(attempt(id), 0);
            replays.insert(attempt(id), 0);
            assert!(replays.attempts.len() <= 3 && replays.order.len() <= 3);
        }
        let held: Vec<usize> = (0..1000).filter(|id| replays.holds(&attempt(*id))).collect();
        assert_eq!(held, [997, 998, 999]);
    }

    #[test]
    fn an_attempt_is_remembered_as_long_as_its_timestamp_can_be_believed() {
        let mut replays = Replays::new(Duration::from_mins(5), 100);
        replays.insert(attempt(1), 0);
        replays.insert(attempt(2), 600);
        assert!(replays.holds(&attempt(1)));
        replays.insert(attempt(3), 601);
        assert!(!replays.holds(&attempt(1)) && replays.holds(&attempt(2)));
    }

    #[test]
    fn id_and_timestamp_both_tell_attempts_apart() {
        assert_eq!(Attempt::new("a", "1"), Attempt::new("a", "1"));
        assert_ne!(Attempt::new("a", "1"), Attempt::new("a", "2"));
        assert_ne!(Attempt::new("a", "1"), Attempt::new("b", "1"));
    }
}
