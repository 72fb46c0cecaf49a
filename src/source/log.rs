//! The event log: append-only, written by the pacer alone, read by every lane through cursors.
//!
//! Readers never wait for the writer and the writer never waits for readers: an entry is two
//! numbers in a segment that never moves, and the length is published after them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{self, Moment};
use crate::event::{MOST_EVENTS, Sequence};

/// Entries of one segment.
const SEGMENT: usize = 1 << 16;

/// One event of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event's place in the log.
    pub sequence: Sequence,
    /// When the schedule wanted it.
    pub due: Moment,
    /// When it entered the log.
    pub emitted: Moment,
}

#[derive(Debug)]
struct Shared {
    segments: Box<[OnceLock<Box<[Slot]>>]>,
    length: AtomicU64,
    appended: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    due: AtomicU64,
    emitted: AtomicU64,
}

/// Creates an empty log: the one writer, and a reader that can be cloned.
#[must_use]
pub fn event_log() -> (LogWriter, LogReader) {
    let segments = (0..MOST_EVENTS.div_ceil(SEGMENT as u64)).map(|_| OnceLock::new()).collect();
    let shared = Arc::new(Shared { segments, length: AtomicU64::new(0), appended: Notify::new() });
    (LogWriter { shared: Arc::clone(&shared) }, LogReader { shared, lag: Duration::ZERO })
}

/// The log is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event log is full: it holds {MOST_EVENTS} events")]
pub struct LogFull;

/// The only handle that can append.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

impl LogWriter {
    /// Emits an event that was due at `due`, and wakes whoever waits for one.
    ///
    /// The emitted stamp is taken immediately before the event becomes visible, the same
    /// instant for every strategy.
    ///
    /// # Errors
    ///
    /// When the log is full.
    pub fn append(&mut self, due: Moment) -> Result<(), LogFull> {
        let length = self.shared.length.load(Ordering::Relaxed);
        if length == MOST_EVENTS {
            return Err(LogFull);
        }
        let (segment, slot) = place(length);
        let slots = self.shared.segments[segment]
            .get_or_init(|| (0..SEGMENT).map(|_| Slot::default()).collect());
        slots[slot].due.store(due.as_nanoseconds(), Ordering::Relaxed);
        slots[slot].emitted.store(clock::now().as_nanoseconds(), Ordering::Relaxed);
        // Publishes the two stores above to every reader that sees the new length.
        self.shared.length.store(length + 1, Ordering::Release);
        self.shared.appended.notify_waiters();
        Ok(())
    }
}

/// A read-only view of the log.
#[derive(Clone, Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
    /// How long an event stays hidden from this view.
    lag: Duration,
}

impl LogReader {
    /// A view that shows every event this long after it was emitted, as a replica would.
    #[must_use]
    pub fn trailing(&self, lag: Duration) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared), lag }
    }

    /// The number of events that can be seen.
    #[must_use]
    pub fn len(&self) -> u64 {
        let emitted = self.emitted();
        if self.lag.is_zero() {
            return emitted;
        }
        let now = clock::now();
        let is_visible =
            |index| self.entry(index).is_some_and(|entry| entry.emitted.after(self.lag) <= now);
        let (mut visible, mut hidden) = (0, emitted);
        while visible < hidden {
            let middle = visible + (hidden - visible) / 2;
            if is_visible(middle) { visible = middle + 1 } else { hidden = middle }
        }
        visible
    }

    fn emitted(&self) -> u64 {
        self.shared.length.load(Ordering::Acquire)
    }

    /// Whether nothing has been emitted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The event at `index`, counted from zero, if it can be seen.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<Entry> {
        if index < self.len() { self.entry(index) } else { None }
    }

    fn entry(&self, index: u64) -> Option<Entry> {
        let (segment, slot) = place(index);
        let slot = &self.shared.segments[segment].get()?[slot];
        Some(Entry {
            sequence: Sequence::at_index(index),
            due: Moment::from_nanoseconds(slot.due.load(Ordering::Relaxed)),
            emitted: Moment::from_nanoseconds(slot.emitted.load(Ordering::Relaxed)),
        })
    }

    /// Waits until the event at `index` has been emitted, though a trailing view may not show it
    /// yet. Cancel safe.
    pub async fn wait_for(&self, index: u64) {
        wait_for(self, &self.shared.appended, index).await;
    }
}

/// Waits on the log for any number of others.
///
/// Whoever waits on the log itself is woken by the pacer, on the pacer's CPU time and before
/// its next event. A mechanism with many waiters puts a relay between, so that the pacer wakes
/// one of them and the rest are woken on the lane's own thread.
#[derive(Debug)]
pub struct Relay {
    log: LogReader,
    appended: Notify,
    /// The length of the log that waiters have been told of.
    told: AtomicU64,
}

impl Relay {
    /// A relay that waits on a log.
    #[must_use]
    pub fn new(log: LogReader) -> Relay {
        Relay { log, appended: Notify::new(), told: AtomicU64::new(0) }
    }

    /// Passes on that events were emitted; never ends.
    ///
    /// Cancel safe: what was emitted before it runs again is passed on then.
    pub async fn run(&self) {
        loop {
            self.log.wait_for(self.told.load(Ordering::Relaxed)).await;
            self.told.store(self.log.len(), Ordering::Relaxed);
            self.appended.notify_waiters();
        }
    }

    /// Waits until the event at `index` has been emitted and the relay runs. Cancel safe.
    pub async fn wait_for(&self, index: u64) {
        wait_for(&self.log, &self.appended, index).await;
    }
}

/// Waits for `appended` until the log holds the event at `index`.
async fn wait_for(log: &LogReader, appended: &Notify, index: u64) {
    while log.emitted() <= index {
        let mut appended = std::pin::pin!(appended.notified());
        // Registered before looking again: an event in between is not missed.
        appended.as_mut().enable();
        if log.emitted() > index {
            return;
        }
        appended.await;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an index is below MOST_EVENTS")]
fn place(index: u64) -> (usize, usize) {
    let index = index as usize;
    (index / SEGMENT, index % SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::{Relay, SEGMENT, event_log};
    use crate::clock::Moment;
    use std::time::Duration;

    #[test]
    fn a_reader_sees_exactly_what_was_appended() {
        let (mut writer, reader) = event_log();
        assert!(reader.is_empty());
        assert_eq!(reader.get(0), None);
        let events = SEGMENT as u64 + 10;
        for index in 0..events {
            writer.append(Moment::from_nanoseconds(index)).expect("room");
        }
        assert_eq!(reader.len(), events);
        for index in [0, SEGMENT as u64 - 1, SEGMENT as u64, events - 1] {
            let entry = reader.get(index).expect("an entry");
            assert_eq!(entry.due.as_nanoseconds(), index);
            assert_eq!(entry.sequence.index(), index);
            assert!(entry.emitted > entry.due);
        }
        assert_eq!(reader.get(events), None);
    }

    #[test]
    fn a_trailing_view_shows_events_when_they_are_old_enough() {
        let (mut writer, reader) = event_log();
        for _ in 0..5 {
            writer.append(Moment::default()).expect("room");
        }
        let hour = reader.trailing(Duration::from_hours(1));
        assert_eq!((hour.len(), hour.get(0)), (0, None));
        let instant = reader.trailing(Duration::from_nanos(1));
        // The clock may not have moved since the last event.
        while instant.len() < 5 {
            std::thread::yield_now();
        }
        assert_eq!(instant.get(4), reader.get(4));
    }

    #[test]
    fn concurrent_readers_never_see_a_half_written_entry() {
        let (mut writer, reader) = event_log();
        let total = 200_000;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let reader = reader.clone();
                scope.spawn(move || {
                    let mut cursor = 0;
                    while cursor < total {
                        while let Some(entry) = reader.get(cursor) {
                            assert_eq!(entry.due.as_nanoseconds(), cursor + 1);
                            assert!(entry.emitted.as_nanoseconds() > 0);
                            cursor += 1;
                        }
                        std::thread::yield_now();
                    }
                });
            }
            for index in 0..total {
                writer.append(Moment::from_nanoseconds(index + 1)).expect("room");
            }
        });
    }

    #[tokio::test]
    async fn a_relay_wakes_everyone_who_waits_behind_it() {
        let (mut writer, reader) = event_log();
        let relay = Relay::new(reader);
        let waiting = async { tokio::join!(relay.wait_for(0), relay.wait_for(2)) };
        let emitting = std::thread::spawn(move || {
            for index in 0..3 {
                writer.append(Moment::from_nanoseconds(index)).expect("room");
            }
        });
        let woken = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                _ = waiting => {}
                () = relay.run() => {}
            }
        });
        woken.await.expect("both are woken");
        emitting.join().expect("the emitter ends");
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_from_another_thread() {
        let (mut writer, reader) = event_log();
        let emitter = std::thread::spawn(move || {
            for index in 0..100 {
                writer.append(Moment::from_nanoseconds(index)).expect("room");
            }
        });
        tokio::time::timeout(Duration::from_secs(20), reader.wait_for(99)).await.expect("woken");
        assert_eq!(reader.len(), 100);
        emitter.join().expect("the emitter ends");
    }
}
