//! Ways to stay connected.

use serde_json::{Value, json};

use crate::cli::serve::openapi::{events, problem, schema};
use crate::wire::event_stream::EVENT_STREAM_MEDIA_TYPE;

pub(super) fn stream() -> Value {
    json!({
        "operationId": "streamEvents",
        "tags": ["events"],
        "summary": "Events as they happen, as server-sent events",
        "description": "Each `data` is an event in JSON, each `id` the cursor behind it. Comments are signs of life. The \
            stream ends with the source.",
        "parameters": [events::after("Without it, only what is to come."), {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The last `id` seen; a browser sends it when it reconnects. It goes \
                before `after`.",
            "schema": { "type": "string", "pattern": events::CURSOR },
        }],
        "responses": {
            "200": {
                "description": "A stream without end.",
                "content": { EVENT_STREAM_MEDIA_TYPE: {
                    "schema": { "type": "string" },
                    "example": "id: 1\ndata: {\"specversion\":\"1.0\",\"id\":\"evt-000000000001\"}\n\n",
                } },
            },
            "400": not_a_cursor(),
        },
    })
}

pub(super) fn socket() -> Value {
    json!({
        "operationId": "openSocket",
        "tags": ["events"],
        "summary": "Events as they happen, over a WebSocket",
        "description": "Each text message is an event in JSON; pings are signs of life. OpenAPI has no words for what follows a 101.",
        "parameters": [events::after("Without it, only what is to come.")],
        "responses": {
            "101": { "description": "The connection is a WebSocket from here on (RFC 6455)." },
            "400": not_a_cursor(),
            "426": problem(426, "Upgrade Required",
                "this path speaks the WebSocket protocol: ask for `Upgrade: websocket`"),
        },
        "x-message": schema("Event"),
    })
}

fn not_a_cursor() -> Value {
    problem(
        400,
        "Bad Request",
        "`after` is not a cursor; write the number of the last event seen, or 0",
    )
}
