//! The shapes of bodies.

use serde_json::{Value, json};

use crate::event::{EVENT_SOURCE, EVENT_TYPE};
use crate::source::feed::PAGE_LIMIT;

/// `http://127.x.y.z:PORT/path`, `http://[::1]:PORT/path` or `http://localhost:PORT/path`: what a
/// webhook may always be posted to.
pub(super) const TARGET: &str = "^http://(127(\\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}|\\[::1\\]|localhost)\
    (:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?\
    (/[A-Za-z0-9._~/-]*)?$";

/// The id of an event.
pub(super) const EVENT_ID: &str = "^evt-[0-9]{12}$";

/// `whsec_` and base64 of at least one byte.
const SECRET: &str = "^whsec_([A-Za-z0-9+/]{4}){0,64}\
    ([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)$";

/// Every schema of the document, by name.
pub(super) fn all() -> Value {
    json!({
        "Event": event(),
        "Notice": notice(),
        "Page": page(),
        "Registration": registration(),
        "Subscription": {
            "type": "object",
            "required": ["id"],
            "properties": { "id": { "type": "string", "pattern": "^[0-9]+$" } },
        },
        "DeadLetters": dead_letters(),
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
                "pattern": EVENT_ID,
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

/// What a thin webhook carries: an event without its data.
fn notice() -> Value {
    let mut notice = event();
    notice["description"] = json!("A CloudEvents 1.0 event that says where its data is.");
    notice["required"] = json!(["specversion", "id", "source", "type", "time", "dataref"]);
    let properties = notice["properties"].as_object_mut().expect("an event has properties");
    properties.remove("data");
    properties.remove("datacontenttype");
    properties.insert(
        "dataref".to_owned(),
        json!({
            "type": "string",
            "format": "uri-reference",
            "description": "Where this source serves the whole event.",
        }),
    );
    notice
}

/// Which secrets a registration may have depends on how it is to be signed.
fn registration() -> Value {
    let secret = json!({ "type": "string", "pattern": SECRET });
    let way = |description: &str, required: &[&str], sign: Value, secret: Value, old: Value| {
        json!({
            "type": "object",
            "description": description,
            "required": required,
            "additionalProperties": false,
            "properties": {
                "url": {
                    "type": "string",
                    "pattern": TARGET,
                    "description": "Where to post: on the source's own machine.",
                },
                "payload": {
                    "enum": ["full", "thin"],
                    "default": "full",
                    "description": "How much of each event to post.",
                },
                "sign": sign,
                "secret": secret,
                "old_secret": old,
            },
        })
    };
    let nothing = json!({ "type": "null" });
    let old = json!({
        "anyOf": [secret, nothing],
        "description": "The secret that `secret` replaces; messages are signed with both.",
    });
    json!({ "anyOf": [
        way("Not signed.", &["url"], nothing.clone(), nothing.clone(), nothing.clone()),
        way("Signed as Standard Webhooks 1.0 asks.", &["url", "secret"],
            json!({ "enum": ["standard-webhooks", null] }), secret, old),
        way("Signed in a style that takes any text as its secret.", &["url", "sign", "secret"],
            json!({ "enum": ["x-signature", "github"] }),
            json!({ "type": "string", "minLength": 1 }), nothing),
    ] })
}

fn dead_letters() -> Value {
    let number =
        |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    json!({
        "type": "object",
        "required": ["dead-letters"],
        "properties": { "dead-letters": { "type": "array", "items": {
            "type": "object",
            "required":
                ["id", "subscription", "first", "events", "batched", "attempts", "reason"],
            "properties": {
                "id": number("For its replay."),
                "subscription": number("The subscription it was meant for."),
                "first": number("Its first event's place in the log, counted from 1."),
                "events": number("How many events it holds, one after the other."),
                "batched": { "type": "boolean", "description": "Whether it was a batch." },
                "attempts": number("How often it was tried."),
                "reason": { "type": "string", "description": "Why it was given up." },
            },
        } } },
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
