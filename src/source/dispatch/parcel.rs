//! What one request carries: an event or a batch of them, and what has become of it so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bytes::Bytes;
use http::header::HeaderValue;

use crate::clock::Moment;
use crate::event::{BATCH_MEDIA_TYPE, EVENT_MEDIA_TYPE, Payload, Sequence};
use crate::source::feed::EventWriter;
use crate::source::log::{Entry, LogReader};
use crate::wire::retry::Attempts;

/// Events that travel together; their bytes stay in the log between attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel {
    /// The index of its first event.
    pub(super) first: u64,
    /// How many events follow one another in it.
    pub(super) events: u32,
    /// Whether it is sent as a batch, even of one.
    pub(super) batched: bool,
    /// The attempts so far; `None` before the first.
    pub(super) attempts: Option<Attempts>,
}

impl Parcel {
    /// What identifies the message, the same for every attempt to deliver it.
    pub(super) fn id(&self) -> String {
        let first = Sequence::at_index(self.first);
        if self.batched { format!("{first}+{}", self.events) } else { first.to_string() }
    }

    pub(super) fn media_type(&self) -> HeaderValue {
        HeaderValue::from_static(if self.batched { BATCH_MEDIA_TYPE } else { EVENT_MEDIA_TYPE })
    }

    /// Its events.
    pub(super) fn entries(&self, log: &LogReader) -> impl Iterator<Item = Entry> {
        (self.first..).take(self.events as usize).filter_map(|index| log.get(index))
    }

    pub(super) fn body(&self, log: &LogReader, writer: &EventWriter, payload: Payload) -> Bytes {
        let mut body = Vec::with_capacity(2048);
        let entries = self.entries(log);
        if self.batched {
            body.push(b'[');
        }
        for entry in entries {
            if body.len() > 1 {
                body.push(b',');
            }
            match payload {
                Payload::Full => writer.write(entry, &mut body),
                Payload::Thin => writer.write_notice(entry, &mut body),
            }
        }
        if self.batched {
            body.push(b']');
        }
        body.into()
    }
}

/// Parcels that wait for their next attempt, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Waiting(BinaryHeap<Later>);

#[derive(Debug)]
struct Later {
    due: Moment,
    parcel: Parcel,
}

impl Waiting {
    pub(super) fn push(&mut self, due: Moment, parcel: Parcel) {
        self.0.push(Later { due, parcel });
    }

    /// When the earliest is due.
    pub(super) fn due(&self) -> Option<Moment> {
        self.0.peek().map(|later| later.due)
    }

    /// Takes the earliest out if it is due.
    pub(super) fn take(&mut self, now: Moment) -> Option<Parcel> {
        if self.due()? > now {
            return None;
        }
        self.0.pop().map(|later| later.parcel)
    }
}

impl Ord for Later {
    /// A heap gives its greatest: the earliest, and of those the first in the log.
    fn cmp(&self, other: &Later) -> Ordering {
        other.due.cmp(&self.due).then(other.parcel.first.cmp(&self.parcel.first))
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Later) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Later {}

impl PartialEq for Later {
    fn eq(&self, other: &Later) -> bool {
        self.cmp(other).is_eq()
    }
}

#[cfg(test)]
mod tests {
    use super::{Parcel, Waiting};
    use crate::clock::{Moment, WallAnchor};
    use crate::event::{Encoder, Payload, decode_as, decode_batch};
    use crate::source::feed::EventWriter;
    use crate::source::log::event_log;
    use crate::units::Bytes;

    fn parcel(first: u64, events: u32, batched: bool) -> Parcel {
        Parcel { first, events, batched, attempts: None }
    }

    #[test]
    fn what_is_due_first_is_taken_first_and_nothing_before_it_is_due() {
        let at = Moment::from_nanoseconds;
        let mut waiting = Waiting::default();
        for (due, first) in [(30, 1), (10, 2), (20, 4), (20, 3)] {
            waiting.push(at(due), parcel(first, 1, false));
        }
        assert_eq!(waiting.due(), Some(at(10)));
        assert!(waiting.take(at(9)).is_none());
        let taken: Vec<u64> =
            std::iter::from_fn(|| waiting.take(at(29))).map(|parcel| parcel.first).collect();
        assert_eq!(taken, [2, 3, 4]);
        assert_eq!(waiting.take(at(30)).map(|parcel| parcel.first), Some(1));
        assert_eq!(waiting.due(), None);
    }

    #[test]
    fn a_parcel_holds_its_events_and_keeps_its_id() {
        let (mut log, reader) = event_log();
        for _ in 0..5 {
            log.append(Moment::default()).expect("room");
        }
        let writer = EventWriter::new(Encoder::new(Bytes(64)), WallAnchor::now());
        for payload in [Payload::Full, Payload::Thin] {
            let one = parcel(3, 1, false);
            let body = one.body(&reader, &writer, payload);
            assert_eq!(decode_as(&body, payload).expect("an event").get(), 4);
            assert_eq!(
                (one.id(), one.media_type()),
                (
                    "evt-000000000004".into(),
                    "application/cloudevents+json".parse().expect("a type")
                )
            );

            let batch = parcel(1, 3, true);
            let body = batch.body(&reader, &writer, payload);
            let numbers = decode_batch(&body, payload).expect("a batch");
            assert_eq!(numbers.iter().map(|number| number.get()).collect::<Vec<_>>(), [2, 3, 4]);
            assert_eq!(batch.id(), "evt-000000000002+3");
            assert_ne!(batch.media_type(), one.media_type());
        }
    }
}
