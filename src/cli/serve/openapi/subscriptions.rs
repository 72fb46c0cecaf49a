//! Webhooks: how they are registered, and what is posted.

use serde_json::{Value, json};

use crate::cli::serve::openapi::{json_response, problem, schema, schemas};
use crate::event::EVENT_MEDIA_TYPE;

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
            "413": problem(413, "Payload Too Large", "the body is longer than 16384 bytes"),
            "422": problem(422, "Unprocessable Entity",
                "`url` must be http://ADDRESS:PORT/PATH with a loopback address"),
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
            "404": problem(404, "Not Found", "there is no such subscription"),
        },
    })
}

/// What is posted to a registered URL.
pub(super) fn delivery() -> Value {
    json!({
        "operationId": "deliverEvent",
        "tags": ["subscriptions"],
        "summary": "An event, as it happens",
        "description": "With a `secret` in the registration it is signed as Standard Webhooks 1.0 \
            asks: HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`.",
        "parameters": [
            header("webhook-id", "The event's id; with a secret only.", "evt-000000000001"),
            header("webhook-timestamp", "When it was signed, in seconds since 1970; with a \
                secret only.", "1764000000"),
            header("webhook-signature", "`v1,` and the signature in base64; with a secret only.",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        "requestBody": {
            "required": true,
            "content": { EVENT_MEDIA_TYPE: {
                "schema": schema("Event"),
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
