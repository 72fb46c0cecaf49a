//! Ways to ask for events.

use serde_json::{Value, json};

use crate::cli::serve::openapi::{json_response, problem, schema, schemas};
use crate::event::EVENT_MEDIA_TYPE;
use crate::source::feed::{HOLD_LIMIT, PAGE_DEFAULT, PAGE_LIMIT};
use crate::wire::bounds::ANSWERS_LIMIT;
use crate::wire::room::NoRoom;

/// A cursor. Nineteen digits are more than any log will have, and fit into 64 bits.
pub(super) const CURSOR: &str = "^[0-9]{1,19}$";

pub(super) fn list() -> Value {
    let page = json!({ "events": [schemas::event_example()], "next": "1", "more": true });
    let mut found = json_response("The events behind the cursor.", "Page", &page);
    found["headers"] = json!({ "ETag": tag(), "Preference-Applied": {
        "description": "`wait=SECONDS`, if the request was kept waiting on `Prefer`.",
        "schema": { "type": "string" },
    } });
    json!({
        "operationId": "listEvents",
        "tags": ["events"],
        "summary": "A page of events behind a cursor",
        "description": "Follow `next` to see every event once, in order. An empty page returns \
            the cursor it was asked with.",
        "parameters": [
            after("Without it, the start."),
            limit(),
            if_none_match(),
            prefer(),
        ],
        "responses": {
            "200": found,
            "304": not_modified(),
            "400": problem(400, "Bad Request",
                "`after` is not a cursor; take it from the `next` of a page"),
            "503": no_room(),
        },
    })
}

pub(super) fn latest() -> Value {
    json!({
        "operationId": "getLatest",
        "tags": ["events"],
        "summary": "The newest event, as a snapshot",
        "parameters": [if_none_match()],
        "responses": {
            "200": {
                "description": "The newest event; it has replaced all before it.",
                "headers": { "ETag": tag() },
                "content": { EVENT_MEDIA_TYPE: {
                    "schema": schema("Event"),
                    "example": schemas::event_example(),
                } },
            },
            "204": { "description": "Nothing has happened yet." },
            "304": not_modified(),
            "503": no_room(),
        },
    })
}

/// What a client is told while others have not taken what they asked for.
fn no_room() -> Value {
    problem(503, "Service Unavailable", &NoRoom { limit: ANSWERS_LIMIT }.to_string())
}

pub(super) fn one() -> Value {
    json!({
        "operationId": "getEvent",
        "tags": ["events"],
        "summary": "One event in full",
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The event's id; the `dataref` of a thin webhook ends with it.",
            "schema": { "type": "string", "pattern": schemas::EVENT_ID },
            "example": "evt-000000000001",
        }],
        "responses": {
            "200": {
                "description": "The event.",
                "content": { EVENT_MEDIA_TYPE: {
                    "schema": schema("Event"),
                    "example": schemas::event_example(),
                } },
            },
            "404": problem(404, "Not Found", "there is no such event yet"),
            "503": no_room(),
        },
    })
}

/// The header that tells one state of a resource from another.
fn tag() -> Value {
    json!({
        "description": "For the `If-None-Match` of the next request (RFC 9110, 8.8.3).",
        "schema": { "type": "string" },
    })
}

fn not_modified() -> Value {
    json!({
        "description": "The client holds the newest state already.",
        "headers": { "ETag": tag() },
    })
}

fn if_none_match() -> Value {
    json!({
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the answer that is held already.",
        "schema": { "type": "string" },
    })
}

/// The parameter that makes a poll a long one.
fn prefer() -> Value {
    let most = HOLD_LIMIT.as_secs();
    json!({
        "name": "Prefer",
        "in": "header",
        "description": format!("`wait=SECONDS` (RFC 7240): answer when there is an event behind the \
            cursor, or after this long, {most} s at most."),
        "schema": { "type": "string" },
        "example": "wait=1",
    })
}

/// The parameter that says which events are known already; `otherwise` is said of its absence.
pub(super) fn after(otherwise: &str) -> Value {
    json!({
        "name": "after",
        "in": "query",
        "description": format!("The cursor behind the last event seen; `0` is the start. {otherwise}"),
        "schema": { "type": "string", "pattern": CURSOR },
        "example": "41",
    })
}

/// The parameter that says how many events are wanted.
fn limit() -> Value {
    json!({
        "name": "limit",
        "in": "query",
        "description": "The most events wanted in the page.",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": PAGE_LIMIT,
            "default": PAGE_DEFAULT,
        },
    })
}
