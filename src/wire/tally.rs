//! Running totals of one side of a conversation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::clock::{self, Moment};
use crate::counts::{BIN, Counts, MOST_BINS, TlsSession};
use crate::incident::{Incident, Span};
use crate::units::nanoseconds;

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It carried at least one event.
    Useful,
    /// It succeeded and carried no event.
    Empty,
    /// It was answered 304: there is nothing newer.
    NotModified,
    /// It was answered 429: the client asked too often.
    RateLimited,
    /// Its response is a stream of events; counted when it opens.
    Stream,
    /// It ended in an error status, a broken connection or a missed deadline.
    Failed,
    /// It carries no events by its nature, such as registering a webhook.
    Overhead,
}

/// Totals that every clone adds to.
///
/// Each side of a strategy runs on one thread; the totals are atomic only so that tasks may
/// share them, and relaxed since nobody derives an order of events from them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    first_rate_limited: OnceLock<Moment>,
    useful: AtomicU64,
    empty: AtomicU64,
    not_modified: AtomicU64,
    rate_limited: AtomicU64,
    streams: AtomicU64,
    failed: AtomicU64,
    overhead: AtomicU64,
    retried: AtomicU64,
    denied: AtomicU64,
    messages: AtomicU64,
    beats_missed: AtomicU64,
    dead_lettered: AtomicU64,
    connections: AtomicU64,
    handshakes: AtomicU64,
    handshakes_resumed: AtomicU64,
    tls: OnceLock<TlsSession>,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    middlemen: AtomicU64,
    exchange_ns: AtomicU64,
    exchanges_timed: AtomicU64,
    course: OnceLock<Course>,
}

/// What is counted by when it happened, where something goes wrong.
#[derive(Debug)]
struct Course {
    epoch: Moment,
    /// Exchanges of each [`BIN`].
    bins: Mutex<Vec<u32>>,
    /// Events given up that were due in an incident, each time that it happened.
    given_up: Vec<Vec<(Span, AtomicU64)>>,
}

impl Course {
    fn note(&self) {
        let after = nanoseconds(clock::now().since(self.epoch));
        let bin = usize::try_from(after / nanoseconds(BIN)).unwrap_or(MOST_BINS);
        let mut bins = self.bins.lock().unwrap_or_else(PoisonError::into_inner);
        if bin < MOST_BINS {
            if bins.len() <= bin {
                bins.resize(bin + 1, 0);
            }
            bins[bin] += 1;
        }
    }

    fn gave_up(&self, due: Moment) {
        let due = nanoseconds(due.since(self.epoch));
        for times in &self.given_up {
            let next = times.partition_point(|(span, _)| span.until <= due);
            if let Some((_, number)) = times.get(next).filter(|(span, _)| span.contains(due)) {
                number.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Tally {
    /// Counts a finished exchange.
    pub fn exchanged(&self, outcome: Outcome) {
        let total = match outcome {
            Outcome::Useful => &self.0.useful,
            Outcome::Empty => &self.0.empty,
            Outcome::NotModified => &self.0.not_modified,
            Outcome::RateLimited => &self.0.rate_limited,
            Outcome::Stream => &self.0.streams,
            Outcome::Failed => &self.0.failed,
            Outcome::Overhead => &self.0.overhead,
        };
        total.fetch_add(1, Relaxed);
        if let Some(course) = self.0.course.get() {
            course.note();
        }
        if outcome == Outcome::RateLimited {
            self.0.first_rate_limited.get_or_init(clock::now);
        }
    }

    /// Counts by time, too, from an epoch on: exchanges, and what is given up through incidents.
    pub fn follow(&self, epoch: Moment, incidents: &[Incident]) {
        let times = |incident: &Incident| {
            incident.spans().into_iter().map(|span| (span, AtomicU64::new(0))).collect()
        };
        let given_up = || incidents.iter().map(times).collect();
        self.0.course.get_or_init(|| Course {
            epoch,
            bins: Mutex::default(),
            given_up: given_up(),
        });
    }

    /// Exchanges of each [`BIN`] since the epoch; nothing unless they were followed.
    #[must_use]
    pub fn over_time(&self) -> Vec<u32> {
        let bins =
            |course: &Course| course.bins.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.course.get().map(bins).unwrap_or_default()
    }

    /// Events given up that were due in each incident, each time that it happened; nothing
    /// unless they were followed.
    #[must_use]
    pub fn given_up(&self) -> Vec<Vec<u64>> {
        let numbers = |times: &Vec<(Span, AtomicU64)>| {
            times.iter().map(|(_, number)| number.load(Relaxed)).collect()
        };
        let course = self.0.course.get();
        course.map(|course| course.given_up.iter().map(numbers).collect()).unwrap_or_default()
    }

    /// When the first exchange was answered 429, if one was.
    #[must_use]
    pub fn first_rate_limited(&self) -> Option<Moment> {
        self.0.first_rate_limited.get().copied()
    }

    /// Counts an attempt that repeats one that failed, beside its outcome.
    pub fn retried(&self) {
        self.0.retried.fetch_add(1, Relaxed);
    }

    /// Counts an exchange refused for want of right credentials, beside its outcome.
    pub fn denied(&self) {
        self.0.denied.fetch_add(1, Relaxed);
    }

    /// Counts a frame of a stream.
    pub fn message(&self) {
        self.0.messages.fetch_add(1, Relaxed);
    }

    /// Counts polls that were due but skipped because the one before was still under way.
    pub fn beats_missed(&self, beats: u64) {
        self.0.beats_missed.fetch_add(beats, Relaxed);
    }

    /// Counts an event whose delivery was given up, with when it was due.
    pub fn dead_lettered(&self, due: Moment) {
        self.0.dead_lettered.fetch_add(1, Relaxed);
        if let Some(course) = self.0.course.get() {
            course.gave_up(due);
        }
    }

    /// Counts a request that somebody in between has handled.
    pub(crate) fn middleman(&self) {
        self.0.middlemen.fetch_add(1, Relaxed);
    }

    /// Adds the time from sending a request to holding its whole response.
    pub(crate) fn timed(&self, exchange: Duration) {
        self.0.exchange_ns.fetch_add(nanoseconds(exchange), Relaxed);
        self.0.exchanges_timed.fetch_add(1, Relaxed);
    }

    /// Counts a connection that was accepted or dialled.
    pub(crate) fn connected(&self) {
        self.0.connections.fetch_add(1, Relaxed);
    }

    /// Counts a TLS handshake; the first one also tells what was agreed on.
    pub(crate) fn shook_hands(&self, resumed: bool, session: impl FnOnce() -> TlsSession) {
        self.0.handshakes.fetch_add(1, Relaxed);
        self.0.handshakes_resumed.fetch_add(resumed.into(), Relaxed);
        self.0.tls.get_or_init(session);
    }

    /// What the first TLS handshake agreed on; the others had the same ends.
    #[must_use]
    pub fn tls(&self) -> Option<TlsSession> {
        self.0.tls.get().cloned()
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.0.bytes_received.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.0.bytes_sent.fetch_add(bytes as u64, Relaxed);
    }

    /// The totals so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            useful: self.0.useful.load(Relaxed),
            empty: self.0.empty.load(Relaxed),
            not_modified: self.0.not_modified.load(Relaxed),
            rate_limited: self.0.rate_limited.load(Relaxed),
            streams: self.0.streams.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            overhead: self.0.overhead.load(Relaxed),
            retried: self.0.retried.load(Relaxed),
            denied: self.0.denied.load(Relaxed),
            messages: self.0.messages.load(Relaxed),
            beats_missed: self.0.beats_missed.load(Relaxed),
            dead_lettered: self.0.dead_lettered.load(Relaxed),
            connections: self.0.connections.load(Relaxed),
            handshakes: self.0.handshakes.load(Relaxed),
            handshakes_resumed: self.0.handshakes_resumed.load(Relaxed),
            bytes_received: self.0.bytes_received.load(Relaxed),
            bytes_sent: self.0.bytes_sent.load(Relaxed),
            middlemen: self.0.middlemen.load(Relaxed),
            exchange_ns: self.0.exchange_ns.load(Relaxed),
            exchanges_timed: self.0.exchanges_timed.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use crate::clock::Moment;
    use crate::incident::Incident;
    use std::time::Duration;

    #[test]
    fn what_is_given_up_belongs_to_the_incidents_it_was_due_in() {
        let incident =
            |text: &str| toml::from_str::<Incident>(text).expect("an incident of a scenario");
        let incidents = [
            incident("at='1s'\nfor='1s'\nwho='subscriber'\nwhat='down'\ntimes=3\nevery='2s'"),
            incident("at='3500ms'\nfor='1s'\nwho='network'\nwhat='reset'"),
        ];
        let (tally, epoch) = (Tally::default(), Moment::from_nanoseconds(7_000));
        tally.dead_lettered(epoch);
        tally.follow(epoch, &incidents);
        for milliseconds in [999, 1_000, 1_999, 2_000, 3_600, 4_100, 5_000, 6_500] {
            tally.dead_lettered(epoch.after(Duration::from_millis(milliseconds)));
        }
        assert_eq!(tally.given_up(), [vec![2, 1, 1], vec![2]]);
        assert_eq!(tally.counts().dead_lettered, 9);
        assert!(Tally::default().given_up().is_empty());
    }
}
