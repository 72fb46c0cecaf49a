//! Ways to ask for events.

use serde_json::{Value, json};

use crate::cli::serve::openapi::{json_response, problem, schemas};
use crate::source::feed::{PAGE_DEFAULT, PAGE_LIMIT};

/// A cursor. Nineteen digits are more than any log will have, and fit into 64 bits.
pub(super) const CURSOR: &str = "^[0-9]{1,19}$";

pub(super) fn list() -> Value {
    let page = json!({ "events": [schemas::event_example()], "next": "1", "more": true });
    json!({
        "operationId": "listEvents",
        "tags": ["events"],
        "summary": "A page of events behind a cursor",
        "description": "Follow `next` to see every event once, in order. An empty page returns \
            the cursor it was asked with.",
        "parameters": [after("Without it, the start."), limit()],
        "responses": {
            "200": json_response("The events behind the cursor.", "Page", &page),
            "400": problem(400, "Bad Request",
                "`after` is not a cursor; take it from the `next` of a page"),
        },
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
