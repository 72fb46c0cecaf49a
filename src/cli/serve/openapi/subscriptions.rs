//! Webhooks: how they are registered, and what is posted.

use serde_json::{Value, json};

use crate::cli::serve::openapi::{json_response, problem, schema, schemas};
use crate::event::EVENT_MEDIA_TYPE;
use crate::wire::origin::FOREIGN;

pub(super) fn register() -> Value {
    let mut created =
        json_response("Events are posted from now on.", "Subscription", &json!({ "id": "1" }));
    created["links"] = json!({ "remove": {
        "operationId": "removeSubscription",
        "parameters": { "id": "$response.body#/id" },
    } });
    json!({
        "operationId": "addSubscription",
        "tags": ["subscriptions"],
        "summary": "Have events posted to a URL",
        "requestBody": {
            "required": true,
            "content": { "application/json": {
                "schema": schema("Registration"),
                "example": { "url": "http://127.0.0.1:9000/hook" },
            } },
        },
        "responses": {
            "201": created,
            "400": problem(400, "Bad Request", "missing field `url` at line 1 column 2"),
            "403": foreign(),
            "408": problem(408, "Request Timeout", "the body was not complete within 30s"),
            "413": problem(413, "Payload Too Large", "the body is longer than 16384 bytes"),
            "422": problem(422, "Unprocessable Entity",
                "`url` leads to 192.0.2.7, which is not on this machine; \
                 `--allow-host 192.0.2.7` lets the source send requests there"),
            "503": problem(503, "Service Unavailable", "the source is stopping"),
            "507": problem(507, "Insufficient Storage", "too many subscriptions"),
        },
    })
}

pub(super) fn remove() -> Value {
    json!({
        "operationId": "removeSubscription",
        "tags": ["subscriptions"],
        "summary": "Have no more events posted",
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The `id` that the registration was answered with.",
            "schema": { "type": "string", "pattern": "^[0-9]{1,19}$" },
            "example": "1",
        }],
        "responses": {
            "204": { "description": "Nothing is posted any more." },
            "403": foreign(),
            "404": problem(404, "Not Found", "there is no such subscription"),
        },
    })
}

pub(super) fn dead_letters() -> Value {
    let letter = json!({
        "id": 1, "subscription": 1, "first": 17, "events": 1, "batched": false, "attempts": 3,
        "reason": "answered 503",
    });
    json!({
        "operationId": "listDeadLetters",
        "tags": ["subscriptions"],
        "summary": "Deliveries that were given up",
        "responses": {
            "200": json_response("Those that are kept, oldest first.", "DeadLetters",
                &json!({ "dead-letters": [letter] })),
        },
    })
}

pub(super) fn replay() -> Value {
    json!({
        "operationId": "replayDeadLetter",
        "tags": ["subscriptions"],
        "summary": "Deliver once more what was given up",
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The dead letter's `id`.",
            "schema": { "type": "integer", "minimum": 0, "maximum": i64::MAX },
            "example": 1,
        }],
        "responses": {
            "202": { "description": "It will be tried again, and is no dead letter meanwhile." },
            "403": foreign(),
            "404": problem(404, "Not Found", "there is no such dead letter"),
            "409": problem(409, "Conflict", "the subscription it was meant for has ended"),
            "503": problem(503, "Service Unavailable", "the source is stopping"),
        },
    })
}

/// What a page that is not of the source's machine is told, whose browser names it in `Origin`.
fn foreign() -> Value {
    problem(403, "Forbidden", FOREIGN)
}

/// What is posted to a registered URL.
pub(super) fn delivery() -> Value {
    json!({
        "operationId": "deliverEvent",
        "tags": ["subscriptions"],
        "summary": "An event, as it happens",
        "description": "Signed in the style that the registration asks for, if in any: each is \
            HMAC-SHA256, Standard Webhooks 1.0 over `{webhook-id}.{webhook-timestamp}.{body}`, \
            the others over the body.",
        "parameters": [
            header("webhook-id", "Standard Webhooks: the event's id.", "evt-000000000001"),
            header("webhook-timestamp", "Standard Webhooks: when it was signed, in seconds since \
                1970.", "1764000000"),
            header("webhook-signature", "Standard Webhooks: `v1,` and base64; two of them while a \
                secret is being replaced.", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            header("X-Signature", "The plain style: hexadecimal.", &"0f".repeat(32)),
            header("X-Hub-Signature-256", "GitHub's style: `sha256=` and hexadecimal.",
                &format!("sha256={}", "0f".repeat(32))),
        ],
        "requestBody": {
            "required": true,
            "content": { EVENT_MEDIA_TYPE: {
                "schema": { "anyOf": [schema("Event"), schema("Notice")] },
                "example": schemas::event_example(),
            } },
        },
        "responses": {
            "2XX": { "description": "The event has been taken." },
            "default": { "description": "It has not; redirects are not followed." },
        },
    })
}

fn header(name: &str, description: &str, example: &str) -> Value {
    json!({
        "name": name,
        "in": "header",
        "description": description,
        "schema": { "type": "string" },
        "example": example,
    })
}
