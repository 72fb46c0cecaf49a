//! The inbox: where events arrive and are stamped.
//!
//! Every mechanism delivers through the same inbox, so an arrival means the same thing for
//! all of them: the payload was complete, believed and understood, and it was the first copy.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::clock::{self, Moment};
use crate::event::{MOST_EVENTS, Sequence};
use crate::fault::Fault;
use crate::subscriber::harm::{Harm, Place};
use crate::subscriber::journal::Journal;

/// The first copy of an event at one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The simulated subscriber, counted from zero.
    pub subscriber: u32,
    /// The event.
    pub sequence: Sequence,
    /// When its last byte was in the process's hands.
    pub arrived: Moment,
    /// When it was verified, parsed and deduplicated.
    pub usable: Moment,
    /// Copies that arrived, this one included.
    pub copies: u32,
}

/// What an inbox made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It was the first copy.
    First,
    /// The subscriber has it already.
    Duplicate,
    /// It cannot be an event of this trial.
    Unknown,
    /// It came after the inbox was sealed.
    Late,
}

/// The inbox of all simulated subscribers of a process.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    subscribers: u32,
    state: Mutex<State>,
    accepted: Notify,
    /// What is made to go wrong on purpose.
    harm: Option<Harm>,
}

#[derive(Debug, Default)]
struct State {
    /// For each subscriber a bit an event: whether it has been seen.
    seen: Vec<Vec<u64>>,
    deliveries: Vec<Delivery>,
    /// Copies beyond the first, by subscriber and event; usually none.
    duplicates: HashMap<(u32, Sequence), u32>,
    refused: u64,
    /// Nothing more is taken: the drain is over, and what is missing is lost.
    sealed: bool,
    /// What whoever drains is waiting for.
    awaited: Awaited,
    /// Where accepted copies are written down, if they are to outlive the process.
    journal: Option<Journal>,
    /// Why a copy could not be written down, once that has happened.
    unkept: Option<io::Error>,
}

/// What a drain waits for.
#[derive(Clone, Copy, Debug, Default)]
enum Awaited {
    /// Nobody drains.
    #[default]
    Nothing,
    /// As many deliveries, all subscribers together.
    Deliveries(u64),
    /// One event, at as many subscribers as do not have it yet.
    Event { sequence: Sequence, missing: usize },
}

impl Inbox {
    /// An empty inbox for a number of subscribers.
    #[must_use]
    pub fn new(subscribers: u32) -> Inbox {
        Inbox::with(subscribers, None)
    }

    /// The same with a fault in it, at a place of a run; the seed is that of the trial.
    #[must_use]
    pub fn harmed(subscribers: u32, fault: Option<Fault>, place: Place, seed: u64) -> Inbox {
        Inbox::with(subscribers, fault.map(|fault| Harm::new(fault, place, seed)))
    }

    fn with(subscribers: u32, harm: Option<Harm>) -> Inbox {
        let state = State { seen: vec![Vec::new(); subscribers as usize], ..State::default() };
        let (state, accepted) = (Mutex::new(state), Notify::new());
        Inbox(Arc::new(Shared { subscribers, state, accepted, harm }))
    }

    /// Writes down from now on what is accepted, and takes up again what an earlier inbox wrote
    /// there: its deliveries are this one's, and its copies count.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or read.
    pub fn keep(&self, path: &Path) -> io::Result<()> {
        let (journal, held) = Journal::open(path)?;
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        for delivery in held {
            match state.deduplicate(delivery.subscriber, delivery.sequence) {
                Acceptance::First => state.deliveries.push(delivery),
                Acceptance::Duplicate => state.count_again(delivery.subscriber, delivery.sequence),
                // Neither was written down.
                Acceptance::Unknown | Acceptance::Late => {}
            }
        }
        state.journal = Some(journal);
        Ok(())
    }

    /// Fails if something could not be written down that was to be.
    ///
    /// # Errors
    ///
    /// With what the system said, once.
    pub fn kept(&self) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unkept.take().map_or(Ok(()), Err)
    }

    /// How many of the first events a subscriber has without a gap: where reading goes on that
    /// brings events in order, and everything that another way may have missed.
    #[must_use]
    pub fn without_gap(&self, subscriber: u32) -> u64 {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = state.seen.get(subscriber as usize).map_or(&[][..], Vec::as_slice);
        let full = seen.iter().take_while(|word| **word == u64::MAX).count();
        let rest = seen.get(full).map_or(0, |word| word.trailing_ones());
        full as u64 * 64 + u64::from(rest)
    }

    /// The events that a subscriber has, though it lacks one before them.
    #[must_use]
    pub fn beyond_gap(&self, subscriber: u32) -> Vec<Sequence> {
        let before = self.without_gap(subscriber);
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = state.seen.get(subscriber as usize) else { return Vec::new() };
        let beyond = (before..seen.len() as u64 * 64).map(Sequence::at_index);
        beyond.filter(|sequence| is_marked(seen, *sequence)).collect()
    }

    /// The newest event that a subscriber has.
    #[must_use]
    pub fn newest(&self, subscriber: u32) -> Option<Sequence> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = state.seen.get(subscriber as usize)?;
        let (place, word) = seen.iter().enumerate().rfind(|(_, word)| **word != 0)?;
        Some(Sequence::at_index(place as u64 * 64 + u64::from(word.ilog2())))
    }

    /// What is made to go wrong on purpose.
    pub(crate) fn harm(&self) -> Option<&Harm> {
        self.0.harm.as_ref()
    }

    /// The number of subscribers.
    #[must_use]
    pub fn subscribers(&self) -> u32 {
        self.0.subscribers
    }

    /// Takes an event that came over no wire: it arrives the moment it is handed over.
    pub fn accept_by_hand(&self, subscriber: u32, sequence: Sequence) {
        // There is nobody to answer.
        let _ = self.accept(subscriber, sequence, clock::now());
    }

    /// Takes an event that `arrived` at a subscriber and stamps it usable if it is the first copy.
    ///
    /// Later copies are counted but keep the first stamps: a subscriber acts on the first
    /// copy it sees.
    #[expect(clippy::must_use_candidate, reason = "an event is accepted for its effect")]
    pub fn accept(&self, subscriber: u32, sequence: Sequence, arrived: Moment) -> Acceptance {
        let take = |subscriber, sequence, arrived| self.take(subscriber, sequence, arrived);
        match &self.0.harm {
            None => take(subscriber, sequence, arrived),
            Some(harm) => harm.accept(subscriber, sequence, arrived, take, || self.refuse()),
        }
    }

    fn take(&self, subscriber: u32, sequence: Sequence, arrived: Moment) -> Acceptance {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.sealed {
            return Acceptance::Late;
        }
        let acceptance = state.deduplicate(subscriber, sequence);
        // After the lock and the lookup: an event is usable once it is known to be new.
        let usable = clock::now();
        let delivery = Delivery { subscriber, sequence, arrived, usable, copies: 1 };
        if matches!(acceptance, Acceptance::First | Acceptance::Duplicate) {
            state.note(&delivery);
        }
        match acceptance {
            Acceptance::First => {
                state.deliveries.push(delivery);
                if let Awaited::Event { sequence: awaited, missing } = &mut state.awaited {
                    *missing -= usize::from(*awaited == sequence);
                }
                if state.is_complete() {
                    self.0.accepted.notify_waiters();
                }
            }
            Acceptance::Duplicate => {
                state.count_again(subscriber, sequence);
            }
            Acceptance::Unknown => state.refused += 1,
            // Returned above.
            Acceptance::Late => {}
        }
        acceptance
    }

    /// Counts something that came in but was not believed or not understood.
    pub fn refuse(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).refused += 1;
    }

    /// Waits until every subscriber has accepted as many events as were emitted. Cancel safe.
    pub async fn holds_all(&self, emitted: u64) {
        let all = |state: &State| Awaited::Deliveries(emitted * state.seen.len() as u64);
        self.holds(all).await;
    }

    /// Waits until so many first copies have been accepted, whoever they are for. Cancel safe.
    pub async fn holds_deliveries(&self, deliveries: u64) {
        self.holds(|_| Awaited::Deliveries(deliveries)).await;
    }

    /// Waits until every subscriber has accepted the newest event. Cancel safe.
    pub async fn holds_newest(&self, newest: Sequence) {
        let newest = |state: &State| {
            let missing = state.seen.iter().filter(|seen| !is_marked(seen, newest)).count();
            Awaited::Event { sequence: newest, missing }
        };
        self.holds(newest).await;
    }

    async fn holds(&self, awaited: impl Fn(&State) -> Awaited) {
        loop {
            let mut accepted = std::pin::pin!(self.0.accepted.notified());
            accepted.as_mut().enable();
            {
                let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.awaited = awaited(&state);
                if state.is_complete() {
                    return;
                }
            }
            accepted.await;
        }
    }

    /// Takes nothing more from now on: what has not arrived by the end of the drain is lost,
    /// however long the rest of the trial takes.
    pub fn seal(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).sealed = true;
    }

    /// How many first copies have been accepted so far, and the moment of which that is true: all
    /// of them were usable before it, all others will be after it.
    #[must_use]
    pub fn accepted(&self) -> (Moment, u64) {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        (clock::now(), state.deliveries.len() as u64)
    }

    /// Takes out everything that arrived, in order of arrival, and the number of refusals.
    #[must_use]
    pub fn empty(&self) -> (Vec<Delivery>, u64) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let duplicates = std::mem::take(&mut state.duplicates);
        let mut deliveries = std::mem::take(&mut state.deliveries);
        if !duplicates.is_empty() {
            for delivery in &mut deliveries {
                delivery.copies += duplicates
                    .get(&(delivery.subscriber, delivery.sequence))
                    .copied()
                    .unwrap_or_default();
            }
        }
        (deliveries, state.refused)
    }
}

/// The word and the bit of an event.
fn place(sequence: Sequence) -> (usize, u64) {
    ((sequence.index() / 64) as usize, 1 << (sequence.index() % 64))
}

fn is_marked(seen: &[u64], sequence: Sequence) -> bool {
    let (word, bit) = place(sequence);
    seen.get(word).is_some_and(|word| word & bit != 0)
}

impl State {
    /// Whether what is awaited is there.
    fn is_complete(&self) -> bool {
        match self.awaited {
            Awaited::Nothing => false,
            Awaited::Deliveries(deliveries) => self.deliveries.len() as u64 >= deliveries,
            Awaited::Event { missing, .. } => missing == 0,
        }
    }

    /// Writes a copy down before it is acknowledged, where that is wanted.
    fn note(&mut self, delivery: &Delivery) {
        if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.note(delivery)) {
            self.unkept.get_or_insert(error);
        }
    }

    /// Counts a copy beyond the first.
    fn count_again(&mut self, subscriber: u32, sequence: Sequence) {
        *self.duplicates.entry((subscriber, sequence)).or_default() += 1;
    }

    /// Whether the subscriber has the event, marking it as seen.
    fn deduplicate(&mut self, subscriber: u32, sequence: Sequence) -> Acceptance {
        let Some(seen) = self.seen.get_mut(subscriber as usize) else {
            return Acceptance::Unknown;
        };
        // A made-up number must not make the bitmap grow without bound.
        if sequence.index() >= MOST_EVENTS {
            return Acceptance::Unknown;
        }
        if is_marked(seen, sequence) {
            return Acceptance::Duplicate;
        }
        let (word, bit) = place(sequence);
        if seen.len() <= word {
            seen.resize(word + 1, 0);
        }
        seen[word] |= bit;
        Acceptance::First
    }
}

#[cfg(test)]
mod tests {
    use super::{Acceptance, Inbox};
    use crate::clock;
    use crate::event::Sequence;
    use std::time::Duration;

    fn event(number: u64) -> Sequence {
        Sequence::at_index(number - 1)
    }

    #[test]
    fn a_second_copy_keeps_the_first_stamps() {
        let inbox = Inbox::new(1);
        let arrived = clock::now();
        assert_eq!(inbox.accept(0, event(7), arrived), Acceptance::First);
        assert_eq!(inbox.accept(0, event(7), clock::now()), Acceptance::Duplicate);
        let (deliveries, refused) = inbox.empty();
        assert_eq!((deliveries.len(), refused), (1, 0));
        assert_eq!(deliveries[0].arrived, arrived);
        assert!(deliveries[0].usable >= arrived);
        assert_eq!(deliveries[0].copies, 2);
    }

    #[test]
    fn subscribers_do_not_share_what_they_have_seen() {
        let inbox = Inbox::new(2);
        assert_eq!(inbox.accept(0, event(1), clock::now()), Acceptance::First);
        assert_eq!(inbox.accept(1, event(1), clock::now()), Acceptance::First);
    }

    #[test]
    fn a_sealed_inbox_takes_nothing_more() {
        let inbox = Inbox::new(1);
        assert_eq!(inbox.accept(0, event(1), clock::now()), Acceptance::First);
        inbox.seal();
        assert_eq!(inbox.accept(0, event(2), clock::now()), Acceptance::Late);
        assert_eq!(inbox.accept(0, event(1), clock::now()), Acceptance::Late);
        let (deliveries, refused) = inbox.empty();
        assert_eq!((deliveries.len(), deliveries[0].copies, refused), (1, 1, 0));
    }

    #[test]
    fn events_that_cannot_be_are_refused() {
        let inbox = Inbox::new(1);
        assert_eq!(inbox.accept(1, event(1), clock::now()), Acceptance::Unknown);
        assert_eq!(inbox.accept(0, event(u64::MAX), clock::now()), Acceptance::Unknown);
        inbox.refuse();
        assert_eq!(inbox.empty().1, 3);
    }

    #[tokio::test]
    async fn whoever_drains_is_woken_by_the_last_delivery() {
        let inbox = Inbox::new(1);
        let filling = inbox.clone();
        let fill = async move {
            for number in 1..=3 {
                tokio::task::yield_now().await;
                filling.accept(0, event(number), clock::now());
            }
        };
        let drained = tokio::time::timeout(Duration::from_secs(20), inbox.holds_all(3));
        let (drained, ()) = tokio::join!(drained, fill);
        assert!(drained.is_ok());
    }

    #[tokio::test]
    async fn whoever_needs_the_newest_is_woken_when_every_subscriber_has_it() {
        let inbox = Inbox::new(3);
        inbox.accept(1, event(70), clock::now());
        let filling = inbox.clone();
        let fill = async move {
            for (subscriber, number) in [(0, 69), (2, 70), (0, 70)] {
                tokio::task::yield_now().await;
                filling.accept(subscriber, event(number), clock::now());
            }
        };
        let drained = tokio::time::timeout(Duration::from_secs(20), inbox.holds_newest(event(70)));
        let (drained, ()) = tokio::join!(drained, fill);
        assert!(drained.is_ok());
        assert_eq!(inbox.empty().0.len(), 4, "woken by the last of them");
    }
}
