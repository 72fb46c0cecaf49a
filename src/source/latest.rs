//! `GET /v1/events/latest`: the newest state as a snapshot.

use std::sync::Arc;

use http::header::HeaderMap;
use http::{Method, StatusCode};

use crate::event::EVENT_MEDIA_TYPE;
use crate::source::feed::Feed;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;
use crate::wire::validator::EntityTag;

/// Where the snapshot is served.
pub const LATEST_PATH: &str = "/v1/events/latest";

/// Adds the snapshot to a lane's routes.
///
/// It is the newest event: what came before it, it has replaced. Before the first event the
/// answer is 204, without a tag.
#[must_use]
pub fn with_latest(routes: Routes, feed: Arc<Feed>) -> Routes {
    routes.on(Method::GET, LATEST_PATH, move |request, _| {
        std::future::ready(feed.hinted(latest(&feed, request.headers())))
    })
}

fn latest(feed: &Feed, request: &HeaderMap) -> Reply {
    let newest = feed.log.len().checked_sub(1).and_then(|index| feed.log.get(index));
    let Some(newest) = newest else { return Reply::no_content(Outcome::Empty) };
    let tag = EntityTag::new(&format!("{}-{}", feed.instance, newest.sequence.get()));
    if tag.is_held(request) {
        return Reply::not_modified(&tag);
    }
    let mut body = Vec::with_capacity(2048);
    feed.writer.write(newest, &mut body);
    // Whether the client has this event already, only the client knows.
    Reply::with_large_body(StatusCode::OK, EVENT_MEDIA_TYPE, body, Outcome::Useful).tagged(&tag)
}

#[cfg(test)]
mod tests {
    use super::latest;
    use crate::event;
    use crate::source::feed::Offer;
    use crate::source::feed::tests::feed_of;
    use crate::wire::tally::Outcome;
    use http::header::{ETAG, HeaderMap, IF_NONE_MATCH};
    use http_body_util::BodyExt;

    #[test]
    fn before_the_first_event_there_is_nothing() {
        let reply = latest(&feed_of(0, Offer::default()), &HeaderMap::new());
        assert_eq!((reply.response.status().as_u16(), reply.outcome), (204, Outcome::Empty));
        assert!(!reply.response.headers().contains_key(ETAG));
    }

    #[tokio::test]
    async fn the_snapshot_is_the_newest_event_and_unmodified_until_the_next() {
        let feed = feed_of(3, Offer::default());
        let reply = latest(&feed, &HeaderMap::new());
        let tag = reply.response.headers()[ETAG].clone();
        assert_eq!(reply.outcome, Outcome::Useful);
        let body = reply.response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(event::decode(&body).expect("an event").get(), 3);

        let held = HeaderMap::from_iter([(IF_NONE_MATCH, tag.clone())]);
        let again = latest(&feed, &held);
        assert_eq!((again.response.status().as_u16(), again.outcome), (304, Outcome::NotModified));
        assert_eq!(again.response.headers()[ETAG], tag);
        let bytes = again.response.into_body().collect().await.expect("a body").to_bytes();
        assert!(bytes.is_empty());

        // Another start of the source has other tags, whatever its events are numbered.
        assert_eq!(latest(&feed_of(4, Offer::default()), &held).outcome, Outcome::Useful);
        assert_eq!(latest(&feed_of(3, Offer::default()), &held).outcome, Outcome::Useful);
    }
}
