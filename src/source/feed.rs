//! `GET /v1/events`: the log as pages of CloudEvents.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderMap;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;

use crate::clock::{self, WallAnchor};
use crate::event::{Encoder, Sequence};
use crate::source::lane::{Lane, SourceHalf};
use crate::source::latest::with_latest;
use crate::source::log::{Entry, LogReader};
use crate::source::parking::Parking;
use crate::wire::bounds::MESSAGE_LIMIT;
use crate::wire::pacing::X_POLL_INTERVAL;
use crate::wire::prefer;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;
use crate::wire::validator::EntityTag;

/// Where the feed is served.
pub const FEED_PATH: &str = "/v1/events";

/// The most events a page may hold; one of large events ends at 32 MiB before.
pub const PAGE_LIMIT: u32 = 1_000;

/// Events a page holds when the client does not say.
pub const PAGE_DEFAULT: u32 = 100;

/// The longest a request is kept waiting for an event; a longer wait is cut down to it.
///
/// Below the time-out that proxies usually have, 60 s (nginx's `proxy_read_timeout`), and the
/// 75 s after which this source closes an idle connection.
pub const HOLD_LIMIT: Duration = Duration::from_secs(55);

/// One page, as a client reads it.
///
/// `next` goes into the next request's `after`; `more` says that the page was full and the
/// next one is there already; `missed`, written only where it is not zero, how many events
/// behind the cursor are gone from the feed.
#[derive(Debug, Deserialize)]
pub struct Page<'a> {
    /// The events, oldest first.
    #[serde(borrow)]
    pub events: Vec<crate::event::Envelope<'a>>,
    /// The cursor behind the last event.
    #[serde(borrow)]
    pub next: std::borrow::Cow<'a, str>,
    /// Whether there are more events now.
    pub more: bool,
    /// Events behind the cursor that are gone from the feed.
    #[serde(default)]
    pub missed: u64,
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

    /// How many events fit into one message: a page or a batch. One always does.
    #[must_use]
    pub fn most_in_a_message(&self) -> u32 {
        // Without the page around them.
        let room = MESSAGE_LIMIT - 4096;
        u32::try_from(room / self.encoder.longest()).unwrap_or(u32::MAX).max(1)
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

/// How a source offers its feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// How many of the newest events can be read; all of them without it.
    pub retain: Option<u64>,
    /// How long clients are asked to wait from one poll to the next, in whole seconds.
    pub poll_interval: Option<Duration>,
}

/// A lane's feed.
#[derive(Debug)]
pub struct Feed {
    pub(super) log: LogReader,
    pub(super) writer: EventWriter,
    /// Tells the tags of this source from those of an earlier start.
    pub(super) instance: String,
    offer: Offer,
    parking: Parking,
}

/// Adds the feed and its snapshot to a lane's routes; the work wakes whoever waits for an event.
#[must_use]
pub fn with_feed(
    routes: Routes,
    lane: &Lane,
    offer: Offer,
) -> SourceHalf<impl Future<Output = ()> + Send + use<>> {
    let feed = Arc::new(Feed::new(lane, offer));
    let (serving, waking, stop) = (Arc::clone(&feed), Arc::clone(&feed), lane.stop.clone());
    let routes = routes.on(Method::GET, FEED_PATH, move |request: Request<Incoming>, _| {
        let (head, _) = request.into_parts();
        Arc::clone(&serving).answer(head)
    });
    let work = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = waking.parking.run() => {}
        }
    };
    SourceHalf { routes: with_latest(routes, feed), work }
}

impl Feed {
    fn new(lane: &Lane, offer: Offer) -> Feed {
        Feed {
            log: lane.log.clone(),
            writer: lane.writer.clone(),
            instance: format!("{:x}", clock::wall().as_nanosecond()),
            offer,
            parking: Parking::new(lane.log.clone(), lane.release.clone()),
        }
    }

    async fn answer(self: Arc<Feed>, head: Parts) -> Reply {
        let query = match Query::parse(head.uri.query()) {
            Ok(query) => query,
            Err(detail) => return Reply::problem(StatusCode::BAD_REQUEST, &detail),
        };
        let Some(wait) = prefer::wait(&head.headers) else {
            return self.hinted(self.page(query, &head.headers));
        };
        let hold = wait.min(HOLD_LIMIT);
        self.parking.park(query.after, hold).await;
        let page = self.page(query, &head.headers);
        self.hinted(page).with_header(prefer::PREFERENCE_APPLIED, prefer::waiting(hold))
    }

    /// The page a query asks for, or 304 if the client holds it.
    fn page(&self, query: Query, request: &HeaderMap) -> Reply {
        let limit = query.limit.min(self.writer.most_in_a_message());
        let query = Query { limit, ..query };
        let extent = Extent::of(query, self.log.len(), self.offer.retain);
        let tag = extent.tag(&self.instance);
        if tag.is_held(request) {
            return Reply::not_modified(&tag);
        }
        let mut body = Vec::with_capacity(4096);
        body.extend_from_slice(b"{\"events\":[");
        for entry in (extent.from..extent.until).filter_map(|index| self.log.get(index)) {
            if !body.ends_with(b"[") {
                body.push(b',');
            }
            self.writer.write(entry, &mut body);
        }
        let (next, more) = (extent.next, extent.more);
        body.extend_from_slice(format!("],\"next\":\"{next}\",\"more\":{more}").as_bytes());
        if extent.missed > 0 {
            body.extend_from_slice(format!(",\"missed\":{}", extent.missed).as_bytes());
        }
        body.push(b'}');
        let outcome = if extent.is_empty() { Outcome::Empty } else { Outcome::Useful };
        Reply::with_large_body(StatusCode::OK, "application/json", body, outcome).tagged(&tag)
    }

    /// A reply that asks for the offer's poll interval, if it has one.
    pub(super) fn hinted(&self, reply: Reply) -> Reply {
        match self.offer.poll_interval {
            Some(interval) => reply.with_header(X_POLL_INTERVAL, interval.as_secs().into()),
            None => reply,
        }
    }
}

/// What of the log a page holds.
#[derive(Clone, Copy, Debug)]
struct Extent {
    from: u64,
    until: u64,
    /// The cursor behind the page.
    next: u64,
    more: bool,
    /// Events behind the cursor that are gone from the feed.
    missed: u64,
}

impl Extent {
    fn of(query: Query, emitted: u64, retain: Option<u64>) -> Extent {
        let gone = retain.map_or(0, |retain| emitted.saturating_sub(retain));
        let from = query.after.max(gone);
        // A cursor may be ahead of the log.
        let until = emitted.min(from.saturating_add(query.limit.into())).max(from);
        // A cursor is the number of the last event seen, so an empty page returns the client's own.
        let next = if until == from { query.after } else { Sequence::at_index(until - 1).get() };
        let missed = gone.saturating_sub(query.after);
        Extent { from, until, next, more: until < emitted, missed }
    }

    fn is_empty(&self) -> bool {
        self.from == self.until
    }

    /// A tag that two pages of one path share only if they are the same bytes: the path holds
    /// the cursor, the events are those of the log, and the rest is here.
    fn tag(&self, instance: &str) -> EntityTag {
        let Extent { from, until, more, .. } = self;
        EntityTag::new(&format!("{instance}-{from}-{until}-{}", u8::from(*more)))
    }
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

/// The path that asks for the page behind a cursor; `None` if no path can hold the cursor.
#[must_use]
pub fn page_path(cursor: &str, limit: u32) -> Option<PathAndQuery> {
    format!("{FEED_PATH}?after={cursor}&limit={limit}").parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{EventWriter, Extent, Feed, Offer, Page, Query, page_path};
    use crate::clock::{Moment, WallAnchor};
    use crate::event::Encoder;
    use crate::source::lane::Lane;
    use crate::source::log::event_log;
    use crate::units::Bytes;
    use crate::wire::link::Line;
    use crate::wire::tally::Outcome;
    use http::header::{ETAG, HeaderMap, IF_NONE_MATCH};
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;

    /// The feed of a log that holds some events.
    pub(in crate::source) fn feed_of(events: u64, offer: Offer) -> Feed {
        let (mut log_writer, log) = event_log();
        for _ in 0..events {
            log_writer.append(Moment::default()).expect("room");
        }
        let writer = EventWriter::new(Encoder::new(Bytes(64)), WallAnchor::now());
        let stop = CancellationToken::new();
        let (line, release) = (Line::default(), stop.child_token());
        Feed::new(&Lane { log, writer, seed: 7, line, release, stop }, offer)
    }

    /// What a page says: its events' numbers, the next cursor, whether there is more, and how
    /// many events are gone.
    type Read = (Vec<u64>, String, bool, u64);

    async fn read_of(feed: &Feed, after: u64, limit: u32) -> (Read, Outcome) {
        let reply = feed.page(Query { after, limit }, &HeaderMap::new());
        let body = reply.response.into_body().collect().await.expect("a body").to_bytes();
        let page: Page<'_> = serde_json::from_slice(&body).expect("a page");
        let numbers =
            page.events.iter().map(|event| event.sequence().expect("ours").get()).collect();
        ((numbers, page.next.into_owned(), page.more, page.missed), reply.outcome)
    }

    async fn read(events: u64, after: u64, limit: u32) -> (Vec<u64>, String, bool, Outcome) {
        let feed = feed_of(events, Offer::default());
        let ((numbers, next, more, missed), outcome) = read_of(&feed, after, limit).await;
        assert_eq!(missed, 0);
        (numbers, next, more, outcome)
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

    #[tokio::test]
    async fn a_cursor_behind_the_window_goes_on_at_its_start_and_is_told_what_is_gone() {
        let feed = feed_of(10, Offer { retain: Some(3), ..Offer::default() });
        for (after, limit, expected) in [
            (0, 2, (vec![8, 9], "9".to_owned(), true, 7)),
            (6, 100, (vec![8, 9, 10], "10".to_owned(), false, 1)),
            (7, 100, (vec![8, 9, 10], "10".to_owned(), false, 0)),
            (10, 100, (vec![], "10".to_owned(), false, 0)),
            (12, 100, (vec![], "12".to_owned(), false, 0)),
        ] {
            assert_eq!(read_of(&feed, after, limit).await.0, expected, "after {after}");
        }
    }

    #[test]
    fn a_page_that_is_held_is_answered_without_its_body() {
        let feed = feed_of(5, Offer::default());
        let ask = |feed: &Feed, after, limit, tag: Option<&http::HeaderValue>| {
            let request = tag.map(|tag| (IF_NONE_MATCH, tag.clone())).into_iter().collect();
            feed.page(Query { after, limit }, &request)
        };
        for (after, limit) in [(0, 2), (4, 100), (5, 100), (9, 100)] {
            let whole = ask(&feed, after, limit, None);
            let tag = whole.response.headers()[ETAG].clone();
            let held = ask(&feed, after, limit, Some(&tag));
            assert_eq!(
                (held.response.status().as_u16(), held.outcome),
                (304, Outcome::NotModified)
            );
            assert_eq!(held.response.headers()[ETAG], tag);
            // A cursor ahead of the log finds the same nothing, however long the log is.
            if after > 5 {
                let ahead = Extent::of(Query { after, limit }, 6, None).tag(&feed.instance);
                assert_eq!(ahead.value(), tag);
            }
            // The same question to a source that is further on, or another one.
            for other in [feed_of(6, Offer::default()), feed_of(5, Offer::default())] {
                assert_eq!(ask(&other, after, limit, Some(&tag)).response.status(), 200);
            }
        }
        let full = ask(&feed, 0, 2, None).response.headers()[ETAG].clone();
        assert_eq!(ask(&feed, 0, 3, Some(&full)).response.status(), 200);
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
