//! What only `serve` answers: whether it lives, what it has counted, and what it offers.

use std::future::ready;

use http::{Method, StatusCode};

use crate::cli::serve::{metrics, openapi};
use crate::source::lane::Lane;
use crate::wire::destination::Destinations;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

/// Adds the routes that belong to a source of its own and to no mechanism.
#[must_use]
pub(super) fn with_service(routes: Routes, lane: &Lane) -> Routes {
    let (living, counted) = (lane.log.clone(), lane.log.clone());
    let tally = lane.line.tally.clone();
    let here = *lane.line.destinations == Destinations::default();
    let describe = if here { openapi::document } else { openapi::document_of_more_hosts };
    let document = describe(&lane.line.link).to_string();
    routes
        .on(Method::GET, "/healthz", move |_, _| {
            let health = format!("{{\"status\":\"ok\",\"events\":{}}}", living.len());
            ready(answer("application/json", health))
        })
        .on(Method::GET, "/metrics", move |_, _| {
            ready(answer(metrics::MEDIA_TYPE, metrics::exposition(&tally.counts(), counted.len())))
        })
        .on(Method::GET, "/openapi.json", move |_, _| {
            ready(answer("application/json", document.clone()))
        })
}

fn answer(media_type: &'static str, body: String) -> Reply {
    Reply::with_body(StatusCode::OK, media_type, body.into(), Outcome::Overhead)
}
