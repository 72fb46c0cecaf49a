//! Events: what happens at the source and travels to a subscriber.
//!
//! On the wire an event is a CloudEvents 1.0 JSON object in structured mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>)
//! whose `data` member has exactly the size the scenario asked for.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// The `source` attribute of every event.
pub const EVENT_SOURCE: &str = "/pollpush/orders";

/// The `type` attribute of every event.
pub const EVENT_TYPE: &str = "pollpush.order.updated";

/// The media type of one event (CloudEvents JSON format, section 3).
pub const EVENT_MEDIA_TYPE: &str = "application/cloudevents+json";

/// The media type of several events in an array (CloudEvents JSON format, section 4).
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// The path below which the source serves single events; an event's id completes it.
pub const EVENT_PATH: &str = "/v1/events/";

/// The most events a source emits in one trial; a scenario that could exceed it is refused.
pub const MOST_EVENTS: u64 = 1 << 26;

/// An event's place in the source's log; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(NonZeroU64);

impl Sequence {
    /// The event at `index` of the log, counted from zero.
    #[must_use]
    pub fn at_index(index: u64) -> Sequence {
        Sequence(NonZeroU64::MIN.saturating_add(index))
    }

    /// The event's place in the log, counted from zero.
    #[must_use]
    pub fn index(self) -> u64 {
        self.0.get() - 1
    }

    /// The event's place in the log, counted from one.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// The text before the number in an event's id.
const ID_PREFIX: &str = "evt-";

impl fmt::Display for Sequence {
    /// The event's id: `evt-` and twelve digits, so that every event has the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ID_PREFIX}{:012}", self.0)
    }
}

impl FromStr for Sequence {
    type Err = EventError;

    fn from_str(id: &str) -> Result<Sequence, EventError> {
        id.strip_prefix(ID_PREFIX)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Sequence)
            .ok_or_else(|| EventError::UnknownId(id.to_owned()))
    }
}

/// How much of an event a webhook carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// All of it.
    #[default]
    Full,
    /// The envelope without data, and where the whole event is to be had.
    Thin,
}

/// Why some bytes are not an event of ours.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The bytes are not the JSON of an event.
    #[error("not a CloudEvents JSON event")]
    Malformed(#[from] serde_json::Error),
    /// The event claims a version of CloudEvents that nobody agreed on.
    #[error("specversion `{0}` is not 1.0")]
    UnknownVersion(String),
    /// The id was not issued by this source.
    #[error("event id `{0}` was not issued by this source")]
    UnknownId(String),
}

/// One event as CloudEvents JSON.
///
/// Text is borrowed from the received bytes wherever it holds no escapes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// Always `1.0`.
    #[serde(borrow)]
    pub specversion: Cow<'a, str>,
    /// Unique within the source; see [`Sequence`].
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Where the event happened.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// What kind of thing happened.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// When the event entered the log, RFC 3339 in UTC.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// Media type of `data`.
    #[serde(borrow)]
    pub datacontenttype: Cow<'a, str>,
    /// What happened.
    #[serde(borrow)]
    pub data: Order<'a>,
}

/// The payload: an order that changed, padded to the configured size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order<'a> {
    /// The order's number, as wide for every event.
    #[serde(borrow)]
    pub order: Cow<'a, str>,
    /// Padding.
    #[serde(borrow)]
    pub note: Cow<'a, str>,
}

/// An event without its data: a thin webhook.
#[derive(Debug, Serialize, Deserialize)]
pub struct Notice<'a> {
    /// Always `1.0`.
    #[serde(borrow)]
    pub specversion: Cow<'a, str>,
    /// Unique within the source; see [`Sequence`].
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Where the event happened.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// What kind of thing happened.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// When the event entered the log, RFC 3339 in UTC.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// Where the source serves the whole event (CloudEvents extension `dataref`).
    #[serde(borrow)]
    pub dataref: Cow<'a, str>,
}

impl Envelope<'_> {
    /// The event's place in the log of the source that issued it.
    ///
    /// # Errors
    ///
    /// When the version or the id are not this source's.
    pub fn sequence(&self) -> Result<Sequence, EventError> {
        identified(&self.specversion, &self.id)
    }
}

impl Notice<'_> {
    /// The event's place in the log of the source that issued it.
    ///
    /// # Errors
    ///
    /// When the version or the id are not this source's.
    pub fn sequence(&self) -> Result<Sequence, EventError> {
        identified(&self.specversion, &self.id)
    }
}

fn identified(version: &str, id: &str) -> Result<Sequence, EventError> {
    if version == "1.0" { id.parse() } else { Err(EventError::UnknownVersion(version.to_owned())) }
}

/// Reads one event and returns its place in the log; the whole of it must parse.
///
/// # Errors
///
/// When the bytes are not an event of this source.
pub fn decode(body: &[u8]) -> Result<Sequence, EventError> {
    decode_as(body, Payload::Full)
}

/// Reads one event with as much of it as a webhook carries.
///
/// # Errors
///
/// When the bytes are not an event of this source.
pub fn decode_as(body: &[u8], payload: Payload) -> Result<Sequence, EventError> {
    match payload {
        Payload::Full => serde_json::from_slice::<Envelope<'_>>(body)?.sequence(),
        Payload::Thin => serde_json::from_slice::<Notice<'_>>(body)?.sequence(),
    }
}

/// Reads an array of events and returns their places in the log, in the order of the array.
///
/// # Errors
///
/// When the bytes are not events of this source, all of them.
pub fn decode_batch(body: &[u8], payload: Payload) -> Result<Vec<Sequence>, EventError> {
    match payload {
        Payload::Full => {
            let events: Vec<Envelope<'_>> = serde_json::from_slice(body)?;
            events.iter().map(Envelope::sequence).collect()
        }
        Payload::Thin => {
            let events: Vec<Notice<'_>> = serde_json::from_slice(body)?;
            events.iter().map(Notice::sequence).collect()
        }
    }
}

/// Turns log entries into the JSON that goes over the wire.
#[derive(Clone, Debug)]
pub struct Encoder {
    note: Arc<str>,
}

impl Encoder {
    /// The smallest payload an order fits into.
    pub const SMALLEST_PAYLOAD: Bytes = Bytes(64);

    /// The largest payload a scenario may ask for.
    pub const LARGEST_PAYLOAD: Bytes = Bytes(1 << 20);

    /// An encoder for events whose `data` has `payload` bytes.
    ///
    /// Sizes below [`Self::SMALLEST_PAYLOAD`] are rounded up to it.
    #[must_use]
    pub fn new(payload: Bytes) -> Encoder {
        let bare = r#"{"order":"000000000000","note":""}"#.len();
        let padding = payload.max(Encoder::SMALLEST_PAYLOAD).as_usize() - bare;
        let note: String = PADDING.chars().cycle().take(padding).collect();
        Encoder { note: note.into() }
    }

    /// The most bytes an event takes: its data and room for the envelope, which is below 300.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.note.len() + 512
    }

    /// Appends one event to `buffer`.
    pub fn encode(&self, sequence: Sequence, time: jiff::Timestamp, buffer: &mut Vec<u8>) {
        let envelope = Envelope {
            specversion: "1.0".into(),
            id: sequence.to_string().into(),
            source: EVENT_SOURCE.into(),
            kind: EVENT_TYPE.into(),
            time: format!("{time:.9}").into(),
            datacontenttype: "application/json".into(),
            data: Order {
                order: format!("{:012}", sequence.get()).into(),
                note: (&*self.note).into(),
            },
        };
        serde_json::to_writer(&mut *buffer, &envelope)
            .expect("writing plain text to memory cannot fail");
    }

    /// Appends the JSON of one event without its data to `buffer`.
    pub fn encode_notice(&self, sequence: Sequence, time: jiff::Timestamp, buffer: &mut Vec<u8>) {
        let notice = Notice {
            specversion: "1.0".into(),
            id: sequence.to_string().into(),
            source: EVENT_SOURCE.into(),
            kind: EVENT_TYPE.into(),
            time: format!("{time:.9}").into(),
            dataref: format!("{EVENT_PATH}{sequence}").into(),
        };
        serde_json::to_writer(&mut *buffer, &notice)
            .expect("writing plain text to memory cannot fail");
    }
}

/// Text without characters that JSON escapes.
const PADDING: &str = "The parcel left the warehouse and is on its way to the customer. ";

#[cfg(test)]
mod tests {
    use super::{Encoder, EventError, Payload, Sequence, decode, decode_as, decode_batch};
    use crate::units::Bytes;
    use jiff::Timestamp;

    fn encoded(index: u64, payload: Bytes) -> Vec<u8> {
        let mut buffer = Vec::new();
        Encoder::new(payload).encode(Sequence::at_index(index), Timestamp::UNIX_EPOCH, &mut buffer);
        buffer
    }

    #[test]
    fn an_event_survives_the_wire() {
        for index in [0, 41, 999_999_999_999] {
            let sequence = decode(&encoded(index, Bytes(1024))).expect("our own event");
            assert_eq!(sequence.index(), index);
        }
    }

    #[test]
    fn a_notice_is_small_names_the_event_and_is_no_whole_event() {
        let mut notice = Vec::new();
        let encoder = Encoder::new(Bytes(1 << 20));
        encoder.encode_notice(Sequence::at_index(6), Timestamp::UNIX_EPOCH, &mut notice);
        assert!(notice.len() < 300, "{}", notice.len());
        assert_eq!(decode_as(&notice, Payload::Thin).expect("our own").get(), 7);
        let text = String::from_utf8(notice.clone()).expect("text");
        assert!(text.contains(r#""dataref":"/v1/events/evt-000000000007""#), "{text}");
        assert!(matches!(decode(&notice), Err(EventError::Malformed(_))));
        let whole = encoded(6, Bytes(64));
        assert!(matches!(decode_as(&whole, Payload::Thin), Err(EventError::Malformed(_))));
    }

    #[test]
    fn a_batch_keeps_its_order_and_is_believed_whole_or_not_at_all() {
        let events =
            [3, 1, 2].map(|index| String::from_utf8(encoded(index, Bytes(64))).expect("text"));
        let batch = format!("[{}]", events.join(","));
        let read = |batch: &str| decode_batch(batch.as_bytes(), Payload::Full);
        let numbers: Vec<u64> =
            read(&batch).expect("ours").into_iter().map(Sequence::get).collect();
        assert_eq!(numbers, [4, 2, 3]);
        assert!(read(&batch.replace("evt-000000000003", "msg-000000000003")).is_err());
    }

    #[test]
    fn the_payload_has_the_size_asked_for() {
        for size in [64, 65, 1024, 1 << 20] {
            let event: serde_json::Value =
                serde_json::from_slice(&encoded(7, Bytes(size))).expect("JSON");
            assert_eq!(event["data"].to_string().len() as u64, size);
        }
    }

    #[test]
    fn every_event_has_the_same_size() {
        assert_eq!(encoded(0, Bytes(100)).len(), encoded(123_456_789, Bytes(100)).len());
    }

    #[test]
    fn foreign_events_are_refused() {
        let ours = String::from_utf8(encoded(1, Bytes(64))).expect("text");
        for (from, to) in [
            ("evt-", "msg-"),
            ("evt-000000000002", "evt-+00000000002"),
            ("evt-000000000002", "evt-000000000000"),
        ] {
            let foreign = ours.replace(from, to);
            assert!(
                matches!(decode(foreign.as_bytes()), Err(EventError::UnknownId(_))),
                "{foreign}"
            );
        }
        let newer = ours.replace("\"1.0\"", "\"2.0\"");
        assert!(matches!(decode(newer.as_bytes()), Err(EventError::UnknownVersion(_))));
        assert!(matches!(decode(&ours.as_bytes()[..40]), Err(EventError::Malformed(_))));
    }
}
