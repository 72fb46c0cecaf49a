//! `GET /openapi.json`: what `serve` answers and posts, as an `OpenAPI` 3.1 document
//! (<https://spec.openapis.org/oas/v3.1.1.html>).
//!
//! It is written by hand, so that it can say why and give examples. Limits and names come from
//! the constants the code uses; a test compares its paths with the routes in both directions.

mod access;
mod events;
mod schemas;
mod service;
mod streams;
mod subscriptions;

use serde_json::{Map, Value, json};

use crate::delivery::sse::STREAM_PATH;
use crate::delivery::websocket::SOCKET_PATH;
use crate::source::dispatch::DEAD_LETTERS_PATH;
use crate::source::latest::LATEST_PATH;
use crate::wire::auth::{Auth, TOKEN_PATH};
use crate::wire::link::Link;

/// A method in lower case, a path, and the operation's description.
type Operation = (&'static str, &'static str, fn() -> Value);

/// Every operation that is always there, in the order of the document.
const OPERATIONS: &[Operation] = &[
    ("get", "/v1/events", events::list),
    ("get", LATEST_PATH, events::latest),
    ("get", "/v1/events/{id}", events::one),
    ("get", STREAM_PATH, streams::stream),
    ("get", SOCKET_PATH, streams::socket),
    ("post", "/v1/subscriptions", subscriptions::register),
    ("delete", "/v1/subscriptions/{id}", subscriptions::remove),
    ("get", DEAD_LETTERS_PATH, subscriptions::dead_letters),
    ("post", "/v1/dead-letters/{id}", subscriptions::replay),
    ("get", "/healthz", service::health),
    ("get", "/metrics", service::metrics),
    ("get", "/openapi.json", service::document),
];

const DESCRIPTION: &str = "\
A mock event source: it emits made-up events at a steady average rate and offers them in every \
way `pollpush` measures. It listens on loopback only and forgets everything when it ends.

Every path that takes GET takes HEAD, and every path answers OPTIONS with 204 and `Allow`. \
Errors are problem documents (RFC 9457); only what is not HTTP at all is answered without one. \
Unknown query parameters are ignored.";

/// The operation that is there if the source issues tokens.
const TOKEN: Operation = ("post", TOKEN_PATH, access::token);

/// Every operation of a source with this link.
fn operations(link: &Link) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain((link.auth == Auth::OAuth2).then_some(&TOKEN))
}

/// The document of a source with this link.
pub(super) fn document(link: &Link) -> Value {
    let mut paths = Map::new();
    for (method, path, describe) in operations(link) {
        let item = paths.entry(*path).or_insert_with(|| json!({}));
        item[*method] = access::guarded(path, describe(), link);
    }
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "pollpush serve",
            "summary": "A mock event source to poll, and to be pushed to from.",
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/", "description": "the source that serves this document" }],
        "security": access::security(link.auth),
        "tags": [
            { "name": "events", "description": "The log of events, oldest first." },
            { "name": "subscriptions", "description": "Webhooks and where they go." },
            { "name": "service", "description": "The source itself." },
        ],
        "paths": paths,
        "webhooks": { "event": { "post": subscriptions::delivery() } },
        "components": { "schemas": schemas::all() },
    });
    access::complete(&mut document, link);
    document
}

/// The document of a source whose webhooks may go to more than its own machine.
pub(super) fn document_of_more_hosts(link: &Link) -> Value {
    let mut document = document(link);
    access::open_to_more_hosts(&mut document);
    document
}

/// A reference to a schema of the document.
fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A response with a JSON body of a schema.
fn json_response(description: &str, name: &str, example: &Value) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": schema(name), "example": example } },
    })
}

/// An error response; `detail` is what the example says.
fn problem(status: u16, title: &str, detail: &str) -> Value {
    json!({
        "description": title,
        "content": { "application/problem+json": {
            "schema": schema("Problem"),
            "example": { "title": title, "status": status, "detail": detail },
        } },
    })
}

#[cfg(test)]
mod tests {
    use super::{TOKEN, document, operations};
    use crate::cli::serve::tests::routes;
    use crate::units::Rate;
    use crate::wire::auth::Auth;
    use crate::wire::limit::RateLimit;
    use crate::wire::link::Link;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// A link of every kind that changes what is served.
    fn links() -> Vec<Link> {
        let rate = Rate::per_second(1.0).expect("a rate");
        let limited = Link { rate_limit: Some(RateLimit { rate, burst: 1 }), ..Link::default() };
        let with = |auth| Link { auth, ..limited.clone() };
        vec![
            Link::default(),
            limited.clone(),
            with(Auth::ApiKey),
            with(Auth::Jwt),
            with(Auth::OAuth2),
            Link { auth: Auth::OAuth2, tls: true, ..Link::default() },
        ]
    }

    #[test]
    fn the_document_describes_what_is_served_and_nothing_else() {
        for link in links() {
            let served: BTreeSet<(String, String)> = routes(link.clone())
                .list()
                .map(|(method, path)| {
                    let tail = if path.ends_with('/') { "{id}" } else { "" };
                    (method.as_str().to_lowercase(), format!("{path}{tail}"))
                })
                .collect();
            let described: BTreeSet<(String, String)> = operations(&link)
                .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
                .collect();
            assert_eq!(served, described);
            let count = operations(&link).count();
            assert_eq!(described.len(), count, "an operation is described twice");
        }
    }

    /// Every object in a document.
    fn objects<'a>(value: &'a Value, found: &mut Vec<&'a serde_json::Map<String, Value>>) {
        match value {
            Value::Object(object) => {
                found.push(object);
                object.values().for_each(|value| objects(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| objects(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_points_at_something_and_every_schema_is_used() {
        for document in links().iter().map(document) {
            let mut found = Vec::new();
            objects(&document, &mut found);
            let mut used = BTreeSet::new();
            for reference in found.iter().filter_map(|object| object.get("$ref")) {
                let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
                let target = pointer.and_then(|pointer| document.pointer(pointer));
                assert!(target.is_some(), "{reference}");
                used.extend(pointer.and_then(|pointer| pointer.rsplit('/').next()));
            }
            let schemas = document["components"]["schemas"].as_object().expect("schemas");
            assert_eq!(used, schemas.keys().map(String::as_str).collect());
            let schemes = document["components"]["securitySchemes"].as_object();
            let named = document["security"][0].as_object();
            assert!(
                schemes.map(|schemes| schemes.keys().collect::<Vec<_>>())
                    == named.map(|named| named.keys().collect())
            );
        }
    }

    #[test]
    fn every_operation_has_a_name_a_tag_a_summary_and_responses() {
        for link in links() {
            let (document, mut names) = (document(&link), BTreeSet::new());
            let tags = document["tags"].as_array().expect("tags");
            for (method, path, _) in operations(&link) {
                let operation = &document["paths"][path][method];
                let name = operation["operationId"].as_str().expect("a name").to_owned();
                assert!(names.insert(name), "{method} {path}");
                let tag = &operation["tags"][0];
                assert!(tags.iter().any(|known| known["name"] == *tag));
                assert!(operation["summary"].is_string(), "{method} {path}");
                for (status, response) in operation["responses"].as_object().expect("responses") {
                    let is_error = status.starts_with(['4', '5']);
                    let is_problem = response["content"]["application/problem+json"].is_object();
                    // RFC 6749 has a form of its own for what is wrong with a token request.
                    let has_own_form =
                        *path == TOKEN.1 && ["400", "401"].contains(&status.as_str());
                    assert_eq!(is_error && !has_own_form, is_problem, "{method} {path} {status}");
                }
            }
        }
    }

    #[test]
    fn refusals_are_described_where_they_can_happen() {
        for link in links() {
            let document = document(&link);
            let has = |path: &str, status: &str| {
                document["paths"][path]["get"]["responses"][status].is_object()
            };
            assert_eq!(has("/v1/events", "401"), link.auth != Auth::None);
            assert_eq!(has("/v1/events", "429"), link.rate_limit.is_some());
            assert!(!has("/healthz", "401") && !has("/healthz", "429"));
        }
    }
}
