//! What a delivery carries: events or anything else, their ids, and when they were sent.

use std::borrow::Cow;

use http::header::HeaderMap;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::cli::receive::seen::Identity;
use crate::wire::signature::{WEBHOOK_ID, WEBHOOK_TIMESTAMP};

/// The header that identifies a delivery of GitHub's; a redelivery has the same.
const GITHUB_DELIVERY: &str = "x-github-delivery";

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Content {
    /// One CloudEvents event, in structured or binary mode.
    Event,
    /// Several CloudEvents events in an array.
    Batch,
    /// Any other JSON.
    Json,
    /// Anything else.
    Bytes,
}

/// Which of the sender's statements says when something was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stamp {
    /// The event's own `time`.
    Time,
    /// The header of Standard Webhooks: when this attempt was signed.
    WebhookTimestamp,
}

/// When something was sent, by the sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) at: Timestamp,
    pub(super) by: Stamp,
    /// The smallest step the statement can express, in nanoseconds.
    pub(super) resolution: u64,
}

/// What is known of a delivery from its headers and its body.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) content: Content,
    /// The CloudEvents events in it.
    pub(super) events: u64,
    /// The message's id, or that of its first event.
    pub(super) id: Option<String>,
    /// Of the message if it has an id, else of its events.
    pub(super) identities: Vec<Identity>,
    /// Of the oldest of its events.
    pub(super) sent: Option<Sent>,
}

/// The attributes of a CloudEvents event that matter here.
#[derive(Debug, Deserialize)]
struct Attributes<'a> {
    /// What makes it an event; the version does not matter here.
    #[serde(borrow, rename = "specversion")]
    _specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
}

impl Message {
    /// Reads what can be read; nothing in it has to be as expected.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Message {
        let (content, events) = events(headers, body);
        let header = |name: &str| Some(headers.get(name)?.as_bytes());
        let id = header(WEBHOOK_ID.as_str()).or_else(|| header(GITHUB_DELIVERY));
        let (id, identities) = match id {
            Some(id) => {
                let text = String::from_utf8_lossy(id).into_owned();
                (Some(text), vec![Identity::of(&[b"message", id])])
            }
            None => (
                events.first().map(|event| event.id.clone().into_owned()),
                events.iter().map(Attributes::identity).collect(),
            ),
        };
        let sent = events.iter().filter_map(Attributes::sent).min_by_key(|sent| sent.at);
        Message {
            content,
            events: events.len() as u64,
            id,
            identities,
            sent: sent.or_else(|| signed(headers)),
        }
    }
}

impl Attributes<'_> {
    /// Source and id together are unique (CloudEvents 1.0.2, 3.1.1).
    fn identity(&self) -> Identity {
        Identity::of(&[b"event", self.source.as_bytes(), self.id.as_bytes()])
    }

    fn sent(&self) -> Option<Sent> {
        let text = self.time.as_deref()?;
        let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let digits = u32::try_from(digits.min(9)).expect("at most nine");
        let resolution = 10_u64.pow(9 - digits);
        Some(Sent { at: text.parse().ok()?, by: Stamp::Time, resolution })
    }
}

/// When a Standard Webhooks message was signed; believed only as far as its signature is.
fn signed(headers: &HeaderMap) -> Option<Sent> {
    let seconds = headers.get(WEBHOOK_TIMESTAMP)?.to_str().ok()?.parse().ok()?;
    let at = Timestamp::from_second(seconds).ok()?;
    Some(Sent { at, by: Stamp::WebhookTimestamp, resolution: 1_000_000_000 })
}

/// What a body is, and the events in it.
fn events<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> (Content, Vec<Attributes<'a>>) {
    if let Some(event) = in_headers(headers) {
        return (Content::Event, vec![event]);
    }
    // A structure can be read from an array, too; here an array is a batch.
    match body.trim_ascii_start().first() {
        Some(b'{') => {
            if let Ok(event) = serde_json::from_slice(body) {
                return (Content::Event, vec![event]);
            }
        }
        Some(b'[') => {
            if let Ok(events) = serde_json::from_slice::<Vec<Attributes<'_>>>(body)
                && !events.is_empty()
            {
                return (Content::Batch, events);
            }
        }
        _ => {}
    }
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    (if is_json { Content::Json } else { Content::Bytes }, Vec::new())
}

/// An event in binary mode (CloudEvents HTTP binding, 3.1).
fn in_headers(headers: &HeaderMap) -> Option<Attributes<'_>> {
    let text = |name| headers.get(name)?.to_str().ok().map(Cow::from);
    Some(Attributes {
        _specversion: text("ce-specversion")?,
        id: text("ce-id")?,
        source: text("ce-source")?,
        time: text("ce-time"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Content, Message, Stamp};
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    fn message(headers: &[(&'static str, &'static str)], body: &str) -> Message {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Message::read(&headers.collect::<HeaderMap>(), body.as_bytes())
    }

    fn event(id: &str, time: &str) -> String {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","time":"{time}","data":[1]}}"#
        )
    }

    #[test]
    fn a_body_is_an_event_a_batch_json_or_bytes() {
        let one = event("a", "2025-11-24T16:00:00Z");
        for (body, content, events) in [
            (one.as_str(), Content::Event, 1),
            (&format!("[{one},{one}]"), Content::Batch, 2),
            (r#"["1.0","a","/s",null]"#, Content::Json, 0),
            (r#"{"id":"a"}"#, Content::Json, 0),
            (r#"{"specversion":1,"id":"a","source":"/s"}"#, Content::Json, 0),
            ("[]", Content::Json, 0),
            (" 7 ", Content::Json, 0),
            ("", Content::Bytes, 0),
            ("a=1&b=2", Content::Bytes, 0),
            (&format!("{one}x"), Content::Bytes, 0),
        ] {
            let message = message(&[], body);
            assert_eq!((message.content, message.events), (content, events), "{body}");
            assert_eq!(message.identities.len() as u64, events, "{body}");
        }
        let binary = [("ce-specversion", "1.0"), ("ce-id", "b"), ("ce-source", "/s")];
        let message = message(&binary, "any");
        assert_eq!((message.content, message.id.as_deref()), (Content::Event, Some("b")));
    }

    #[test]
    fn a_body_nested_without_end_is_no_harm() {
        let deep = "[".repeat(1 << 20);
        assert_eq!(message(&[], &deep).content, Content::Bytes);
        let deep = "{\"a\":".repeat(1 << 18);
        assert_eq!(message(&[], &deep).content, Content::Bytes);
    }

    #[test]
    fn the_message_has_an_id_before_its_events_have() {
        let body = event("a", "2025-11-24T16:00:00Z");
        let id = |headers: &[_], body: &str| message(headers, body).id;
        assert_eq!(id(&[], &body).as_deref(), Some("a"));
        assert_eq!(id(&[("x-github-delivery", "g")], &body).as_deref(), Some("g"));
        let both = [("x-github-delivery", "g"), ("webhook-id", "w")];
        assert_eq!(id(&both, &body).as_deref(), Some("w"));
        assert_eq!(id(&[], "{}"), None);
    }

    #[test]
    fn when_it_was_sent_is_known_as_exactly_as_it_was_said() {
        let stamped = [("webhook-timestamp", "1764000000")];
        let sent = |headers: &[_], body: &str| {
            message(headers, body).sent.map(|sent| (sent.at.as_second(), sent.by, sent.resolution))
        };
        for (time, resolution) in [
            ("2025-11-24T16:00:00Z", 1_000_000_000),
            ("2025-11-24T16:00:00.250Z", 1_000_000),
            ("2025-11-24T17:00:00.250123+01:00", 1_000),
            ("2025-11-24T16:00:00.123456789Z", 1),
        ] {
            let expected = Some((1_764_000_000, Stamp::Time, resolution));
            assert_eq!(sent(&stamped, &event("a", time)), expected, "{time}");
        }
        let header = Some((1_764_000_000, Stamp::WebhookTimestamp, 1_000_000_000));
        assert_eq!(sent(&stamped, &event("a", "yesterday")), header);
        assert_eq!(sent(&stamped, "{}"), header);
        assert_eq!(sent(&[("webhook-timestamp", "99999999999999999")], "{}"), None);
        let batch = ["2025-11-24T16:00:07Z", "2025-11-24T16:00:00Z"].map(|time| event("a", time));
        let oldest = Some((1_764_000_000, Stamp::Time, 1_000_000_000));
        assert_eq!(sent(&[], &format!("[{}]", batch.join(","))), oldest);
    }
}
