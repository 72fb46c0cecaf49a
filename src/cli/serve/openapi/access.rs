//! What a guard before the source changes: credentials, refusals, and where tokens come from.

use serde_json::{Value, json};

use crate::cli::serve::openapi::{json_response, problem, schemas};
use crate::wire::auth::{Auth, TOKEN_PATH};
use crate::wire::bounds::BODIES_LIMIT;
use crate::wire::guard::{OPEN_PATHS, TOKEN_LIFETIME};
use crate::wire::link::Link;
use crate::wire::room::NoRoom;

/// The name of a style's security scheme, and the scheme itself; `None` if nothing is asked for.
fn scheme(auth: Auth) -> Option<(&'static str, Value)> {
    match auth {
        Auth::None => None,
        Auth::ApiKey => {
            Some(("key", json!({ "type": "apiKey", "in": "header", "name": "X-API-Key" })))
        }
        Auth::Jwt => {
            Some(("bearer", json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" })))
        }
        Auth::OAuth2 => Some((
            "oauth2",
            json!({ "type": "oauth2", "flows": { "clientCredentials": {
                "tokenUrl": TOKEN_PATH,
                "scopes": {},
            } } }),
        )),
    }
}

/// What requests must show; empty if nothing, so that no reader has to guess.
pub(super) fn security(auth: Auth) -> Value {
    scheme(auth).map_or_else(|| json!([]), |(name, _)| json!([{ name: [] }]))
}

/// An operation with the refusals that a guard adds to it.
pub(super) fn guarded(path: &str, mut operation: Value, link: &Link) -> Value {
    if OPEN_PATHS.contains(&path) {
        if link.auth != Auth::None {
            operation["security"] = json!([]);
        }
        return operation;
    }
    if link.auth != Auth::None {
        let detail = match link.auth {
            Auth::ApiKey => "the header `x-api-key` is missing",
            _ => "a bearer token is missing",
        };
        let mut refused = problem(401, "Unauthorized", detail);
        refused["headers"] =
            json!({ "WWW-Authenticate": header("What to show (RFC 9110, 11.6.1).") });
        operation["responses"]["401"] = refused;
    }
    if link.rate_limit.is_some() {
        let detail = "too many requests; `retry-after` says when to come again";
        let mut refused = problem(429, "Too Many Requests", detail);
        refused["headers"] = json!({
            "Retry-After": {
                "description": "How long to wait, in seconds (RFC 9110, 10.2.3).",
                "schema": { "type": "integer", "minimum": 1 },
            },
            "RateLimit-Policy": header("The limit (draft-ietf-httpapi-ratelimit-headers-10)."),
            "RateLimit": header("What is left of it; other answers say so too."),
        });
        operation["responses"]["429"] = refused;
    }
    operation
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

/// Adds what only some sources have to the components of a document.
pub(super) fn complete(document: &mut Value, link: &Link) {
    if let Some((name, scheme)) = scheme(link.auth) {
        document["components"]["securitySchemes"] = json!({ name: scheme });
    }
    if link.auth == Auth::OAuth2 {
        document["components"]["schemas"]["Token"] = token_schema();
        document["components"]["schemas"]["TokenError"] = token_error_schema();
    }
    if link.tls {
        each_target(document, |url| {
            url["pattern"] = schemas::TARGET.replacen("^http:", "^https:", 1).into();
        });
        let register = &mut document["paths"]["/v1/subscriptions"]["post"];
        register["requestBody"]["content"]["application/json"]["example"]["url"] =
            "https://127.0.0.1:9000/hook".into();
    }
}

/// Says of a document's webhooks that they may go to more hosts than those of every source.
pub(super) fn open_to_more_hosts(document: &mut Value) {
    each_target(document, |url| {
        *url = json!({
            "type": "string",
            "format": "uri",
            "description": "Where to post: on the source's own machine, or on a host that it was \
                started to allow.",
        });
    });
}

/// Changes the schema of a webhook's URL in every way of signing.
fn each_target(document: &mut Value, change: impl Fn(&mut Value)) {
    let ways = &mut document["components"]["schemas"]["Registration"]["anyOf"];
    for way in ways.as_array_mut().expect("the ways of signing") {
        change(&mut way["properties"]["url"]);
    }
}

fn token_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 6749, 5.1.",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": { "type": "string" },
            "token_type": { "const": "Bearer" },
            "expires_in": { "type": "integer", "minimum": 1, "description": "In seconds." },
        },
    })
}

fn token_error_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 6749, 5.2.",
        "required": ["error"],
        "properties": {
            "error": { "enum":
                ["invalid_request", "invalid_client", "invalid_scope", "unsupported_grant_type"] },
            "error_description": { "type": "string" },
        },
    })
}

/// Where tokens come from.
pub(super) fn token() -> Value {
    let error = |description: &str, error: &str| {
        json_response(description, "TokenError", &json!({ "error": error }))
    };
    let mut unknown = error("The client is not known.", "invalid_client");
    unknown["headers"] = json!({ "WWW-Authenticate": header("HTTP Basic is taken too.") });
    json!({
        "operationId": "getToken",
        "tags": ["service"],
        "summary": "A token for a client's id and secret",
        "description": "Client credentials (RFC 6749, 4.4). Id and secret come in the form or with \
            HTTP Basic, never both.",
        "requestBody": {
            "required": true,
            "content": { "application/x-www-form-urlencoded": { "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": { "const": "client_credentials" },
                    "client_id": { "type": "string" },
                    "client_secret": { "type": "string" },
                },
            } } },
        },
        "responses": {
            "200": json_response("A bearer token.", "Token", &json!({
                "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFETIME.as_secs(),
            })),
            "400": error("The request makes no sense.", "invalid_request"),
            "401": unknown,
            "408": problem(408, "Request Timeout", "the body was not complete within 30s"),
            "413": problem(413, "Payload Too Large", "the body is longer than 16384 bytes"),
            "503": problem(503, "Service Unavailable",
                &NoRoom { limit: BODIES_LIMIT }.to_string()),
        },
    })
}
