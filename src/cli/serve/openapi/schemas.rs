//! The shapes of bodies.

use serde_json::{Value, json};

use crate::event::{EVENT_SOURCE, EVENT_TYPE};
use crate::source::feed::PAGE_LIMIT;

/// `http://127.x.y.z:PORT/path` or `http://[::1]:PORT/path`: what a webhook may be posted to.
const TARGET: &str = "^http://(127(\\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}|\\[::1\\])\
    :(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})\
    (/[A-Za-z0-9._~/-]*)?$";

/// `whsec_` and base64 of at least one byte.
const SECRET: &str = "^whsec_([A-Za-z0-9+/]{4}){0,64}\
    ([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)$";

/// Every schema of the document, by name.
pub(super) fn all() -> Value {
    json!({
        "Event": event(),
        "Page": page(),
        "Registration": registration(),
        "Subscription": {
            "type": "object",
            "required": ["id"],
            "properties": { "id": { "type": "string", "pattern": "^[0-9]+$" } },
        },
        "Health": {
            "type": "object",
            "required": ["status", "events"],
            "properties": {
                "status": { "const": "ok" },
                "events": { "type": "integer", "minimum": 0, "description": "Events in the log." },
            },
        },
        "Problem": problem(),
    })
}

/// A CloudEvents 1.0 event in structured mode.
fn event() -> Value {
    json!({
        "type": "object",
        "description": "A CloudEvents 1.0 event in the JSON format.",
        "externalDocs": {
            "url": "https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md",
        },
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": {
                "type": "string",
                "pattern": "^evt-[0-9]{12,}$",
                "description": "Unique within the source, and counting up from 1.",
            },
            "source": { "const": EVENT_SOURCE },
            "type": { "const": EVENT_TYPE },
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "When the event entered the log.",
            },
            "datacontenttype": { "const": "application/json" },
            "data": {
                "type": "object",
                "description": "Padded to the size that `--payload` asks for.",
                "required": ["order", "note"],
                "properties": { "order": { "type": "string" }, "note": { "type": "string" } },
            },
        },
    })
}

/// An event as small as they get.
pub(super) fn event_example() -> Value {
    json!({
        "specversion": "1.0",
        "id": "evt-000000000001",
        "source": EVENT_SOURCE,
        "type": EVENT_TYPE,
        "time": "2025-11-24T16:00:00.123456789Z",
        "datacontenttype": "application/json",
        "data": { "order": "000000000001", "note": "The parcel left the warehouse" },
    })
}

fn page() -> Value {
    json!({
        "type": "object",
        "required": ["events", "next", "more"],
        "properties": {
            "events": {
                "type": "array",
                "maxItems": PAGE_LIMIT,
                "items": { "$ref": "#/components/schemas/Event" },
            },
            "next": { "type": "string", "description": "The cursor behind the last event." },
            "more": {
                "type": "boolean",
                "description": "Whether the next page has events already.",
            },
        },
    })
}

fn registration() -> Value {
    json!({
        "type": "object",
        "required": ["url"],
        "additionalProperties": false,
        "properties": {
            "url": {
                "type": "string",
                "pattern": TARGET,
                "description": "Where to post: on loopback, as an address and a port.",
            },
            "secret": {
                "type": ["string", "null"],
                "pattern": SECRET,
                "description": "The secret to sign with; without it nothing is signed.",
            },
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457) of the type `about:blank`.",
        "required": ["title", "status", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::event_example;
    use crate::event::decode;

    #[test]
    fn the_example_is_an_event() {
        assert!(decode(event_example().to_string().as_bytes()).is_ok());
    }
}
