//! `GET /v1/events/{id}`: one event in full.

use http::{Method, StatusCode};

use crate::event::{EVENT_MEDIA_TYPE, EVENT_PATH, Sequence};
use crate::source::feed::EventWriter;
use crate::source::log::LogReader;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

/// Adds single events to a lane's routes.
#[must_use]
pub fn with_items(routes: Routes, log: LogReader, writer: EventWriter) -> Routes {
    routes.on(Method::GET, EVENT_PATH, move |_request, id| {
        std::future::ready(item(&log, &writer, &id))
    })
}

fn item(log: &LogReader, writer: &EventWriter, id: &str) -> Reply {
    let Ok(sequence) = id.parse::<Sequence>() else {
        return Reply::problem(StatusCode::NOT_FOUND, "this is not an event's id");
    };
    let Some(entry) = log.get(sequence.index()) else {
        let mut reply = Reply::problem(StatusCode::NOT_FOUND, "there is no such event yet");
        // Nothing failed: whoever was notified early asks again.
        reply.outcome = Outcome::Empty;
        return reply;
    };
    let mut body = Vec::with_capacity(2048);
    writer.write(entry, &mut body);
    Reply::with_large_body(StatusCode::OK, EVENT_MEDIA_TYPE, body, Outcome::Useful)
}

#[cfg(test)]
mod tests {
    use super::item;
    use crate::clock::{Moment, WallAnchor};
    use crate::event::{Encoder, decode};
    use crate::source::feed::EventWriter;
    use crate::source::log::event_log;
    use crate::units::Bytes;
    use crate::wire::tally::Outcome;
    use http_body_util::BodyExt;
    use std::time::Duration;

    #[tokio::test]
    async fn an_event_is_there_once_it_can_be_seen() {
        let (mut log, reader) = event_log();
        log.append(Moment::default()).expect("room");
        let writer = EventWriter::new(Encoder::new(Bytes(64)), WallAnchor::now());
        let ask = |reader, id| item(&reader, &writer, id);

        let there = ask(reader.clone(), "evt-000000000001");
        assert_eq!((there.response.status().as_u16(), there.outcome), (200, Outcome::Useful));
        let body = there.response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(decode(&body).expect("an event").get(), 1);

        for (reader, id, outcome) in [
            (reader.trailing(Duration::from_hours(1)), "evt-000000000001", Outcome::Empty),
            (reader.clone(), "evt-000000000002", Outcome::Empty),
            (reader, "latest", Outcome::Failed),
        ] {
            let missing = ask(reader, id);
            assert_eq!((missing.response.status().as_u16(), missing.outcome), (404, outcome));
        }
    }
}
