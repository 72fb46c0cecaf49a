//! `GET /v1/events`: the log as pages of CloudEvents.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use crate::clock::WallAnchor;
use crate::event::{Encoder, Sequence};
use crate::source::log::{Entry, LogReader};
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

/// Where the feed is served.
pub const FEED_PATH: &str = "/v1/events";

/// The most events a page may hold.
pub const PAGE_LIMIT: u32 = 1_000;

/// Events a page holds when the client does not say.
pub const PAGE_DEFAULT: u32 = 100;

/// One page, as a client reads it.
///
/// `next` goes into the next request's `after`; `more` says that the page was full and the
/// next one is there already.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page<'a> {
    /// The events, oldest first.
    #[serde(borrow)]
    pub events: Vec<crate::event::Envelope<'a>>,
    /// The cursor behind the last event.
    #[serde(borrow)]
    pub next: std::borrow::Cow<'a, str>,
    /// Whether there are more events now.
    pub more: bool,
}

/// What events look like outside the source.
#[derive(Clone, Debug)]
pub struct EventWriter {
    encoder: Encoder,
    wall: WallAnchor,
}

impl EventWriter {
    /// Writes events with this encoder, their times by this anchor.
    #[must_use]
    pub fn new(encoder: Encoder, wall: WallAnchor) -> EventWriter {
        EventWriter { encoder, wall }
    }

    /// Appends one event's JSON to `buffer`.
    pub fn write(&self, entry: Entry, buffer: &mut Vec<u8>) {
        self.encoder.encode(entry.sequence, self.wall.at(entry.emitted), buffer);
    }

    /// Appends the JSON of one event without its data to `buffer`.
    pub fn write_notice(&self, entry: Entry, buffer: &mut Vec<u8>) {
        self.encoder.encode_notice(entry.sequence, self.wall.at(entry.emitted), buffer);
    }
}

/// Adds the feed to a lane's routes.
#[must_use]
pub fn with_feed(routes: Routes, log: LogReader, writer: EventWriter) -> Routes {
    routes.on(Method::GET, FEED_PATH, move |request: Request<Incoming>, _| {
        let reply = match Query::parse(request.uri().query()) {
            Ok(query) => page(&log, &writer, query),
            Err(detail) => Reply::problem(StatusCode::BAD_REQUEST, &detail),
        };
        std::future::ready(reply)
    })
}

/// What a client asks of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Query {
    after: u64,
    limit: u32,
}

impl Query {
    fn parse(query: Option<&str>) -> Result<Query, String> {
        let mut parsed = Query { after: 0, limit: PAGE_DEFAULT };
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "after" => {
                    parsed.after = value.parse().map_err(|_| {
                        "`after` is not a cursor; take it from the `next` of a page".to_owned()
                    })?;
                }
                "limit" => {
                    parsed.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=PAGE_LIMIT).contains(limit))
                        .ok_or_else(|| format!("`limit` must be from 1 to {PAGE_LIMIT}"))?;
                }
                // Unknown parameters are the proxies' and caches' business (RFC 3986, 3.4).
                _ => {}
            }
        }
        Ok(parsed)
    }
}

fn page(log: &LogReader, writer: &EventWriter, query: Query) -> Reply {
    let emitted = log.len();
    let from = query.after.min(emitted);
    let until = emitted.min(from + u64::from(query.limit));
    let mut body = Vec::with_capacity(4096);
    body.extend_from_slice(b"{\"events\":[");
    for entry in (from..until).filter_map(|index| log.get(index)) {
        if !body.ends_with(b"[") {
            body.push(b',');
        }
        writer.write(entry, &mut body);
    }
    // A cursor is the number of the last event seen, so an empty page returns the client's own.
    let next = if until == from { query.after } else { Sequence::at_index(until - 1).get() };
    body.extend_from_slice(
        format!("],\"next\":\"{next}\",\"more\":{}}}", until < emitted).as_bytes(),
    );
    let outcome = if until == from { Outcome::Empty } else { Outcome::Useful };
    Reply::with_body(StatusCode::OK, "application/json", Bytes::from(body), outcome)
}

/// The path that asks for the page behind a cursor; `None` if no path can hold the cursor.
#[must_use]
pub fn page_path(cursor: &str, limit: u32) -> Option<PathAndQuery> {
    format!("{FEED_PATH}?after={cursor}&limit={limit}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{EventWriter, Page, Query, page, page_path};
    use crate::clock::{Moment, WallAnchor};
    use crate::event::Encoder;
    use crate::source::log::{LogReader, event_log};
    use crate::units::Bytes;
    use crate::wire::tally::Outcome;
    use http_body_util::BodyExt;

    fn log_of(events: u64) -> (LogReader, EventWriter) {
        let (mut writer, reader) = event_log();
        for _ in 0..events {
            writer.append(Moment::default()).expect("room");
        }
        (reader, EventWriter::new(Encoder::new(Bytes(64)), WallAnchor::now()))
    }

    async fn read(events: u64, after: u64, limit: u32) -> (Vec<u64>, String, bool, Outcome) {
        let (log, writer) = log_of(events);
        let reply = page(&log, &writer, Query { after, limit });
        let body = reply.response.into_body().collect().await.expect("a body").to_bytes();
        let page: Page<'_> = serde_json::from_slice(&body).expect("a page");
        let numbers =
            page.events.iter().map(|event| event.sequence().expect("ours").get()).collect();
        (numbers, page.next.into_owned(), page.more, reply.outcome)
    }

    #[tokio::test]
    async fn following_next_visits_every_event_once() {
        assert_eq!(read(5, 0, 2).await, (vec![1, 2], "2".into(), true, Outcome::Useful));
        assert_eq!(read(5, 2, 2).await, (vec![3, 4], "4".into(), true, Outcome::Useful));
        assert_eq!(read(5, 4, 2).await, (vec![5], "5".into(), false, Outcome::Useful));
        assert_eq!(read(5, 5, 2).await, (vec![], "5".into(), false, Outcome::Empty));
    }

    #[tokio::test]
    async fn a_page_that_takes_exactly_all_says_there_is_no_more() {
        assert_eq!(read(2, 0, 2).await, (vec![1, 2], "2".into(), false, Outcome::Useful));
    }

    #[tokio::test]
    async fn a_cursor_from_the_future_is_kept() {
        assert_eq!(read(2, 9, 10).await, (vec![], "9".into(), false, Outcome::Empty));
    }

    #[test]
    fn queries_are_checked() {
        assert_eq!(Query::parse(None), Ok(Query { after: 0, limit: 100 }));
        assert_eq!(Query::parse(Some("after=7&limit=5&x")), Ok(Query { after: 7, limit: 5 }));
        for bad in ["after=x", "after=-1", "limit=0", "limit=1001", "limit=", "limit=1e3"] {
            assert!(Query::parse(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(page_path("7", 5).expect("a path"), "/v1/events?after=7&limit=5");
        assert_eq!(page_path("a b", 5), None);
    }
}
