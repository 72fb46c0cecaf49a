//! The routes that belong to the source itself.

use serde_json::{Value, json};

use crate::cli::serve::metrics::MEDIA_TYPE;
use crate::cli::serve::openapi::json_response;

pub(super) fn health() -> Value {
    json!({
        "operationId": "health",
        "tags": ["service"],
        "summary": "Whether the source lives",
        "responses": {
            "200": json_response("It does.", "Health", &json!({ "status": "ok", "events": 1200 })),
        },
    })
}

pub(super) fn metrics() -> Value {
    json!({
        "operationId": "metrics",
        "tags": ["service"],
        "summary": "What the source has counted, for Prometheus",
        "responses": {
            "200": {
                "description": "Counters since the start, in the text format 0.0.4.",
                "content": { MEDIA_TYPE: {
                    "schema": { "type": "string" },
                    "example": "# HELP pollpush_events_emitted_total Events in the log.\n\
                                # TYPE pollpush_events_emitted_total counter\n\
                                pollpush_events_emitted_total 1200\n",
                } },
            },
        },
    })
}

pub(super) fn document() -> Value {
    json!({
        "operationId": "describe",
        "tags": ["service"],
        "summary": "This document",
        "responses": {
            "200": {
                "description": "An OpenAPI 3.1 document.",
                "content": { "application/json": { "schema": { "type": "object" } } },
            },
        },
    })
}
