//! `sse`: the subscriber keeps a response open, and the source writes events into it.
//!
//! Server-sent events of the HTML standard: what a browser's `EventSource` reads.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Body, Frame, Incoming};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::{Half, Settings, SettingsError, Strategy};
use crate::delivery::stream::{Heard, Reader, Stream, for_browsers, subscribe};
use crate::promise::Promise;
use crate::source::lane::{Lane, SourceHalf};
use crate::source::stream::{Broadcast, Follower, LAST_EVENT_ID, Turn};
use crate::subscriber::post::Post;
use crate::theory::Theory;
use crate::theory::retries::Outage;
use crate::wire::body::ReceivedBody;
use crate::wire::client::{Dial, ExchangeError};
use crate::wire::event_stream::{
    COMMENT, EVENT_STREAM_MEDIA_TYPE, EventStream, Item, event, opening,
};
use crate::wire::link::Link;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;

/// Where the stream is served.
pub const STREAM_PATH: &str = "/v1/events/stream";

/// Settings of `sse`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sse(pub Stream);

impl Settings for Sse {
    const NAME: &'static str = "sse";
    const SUMMARY: &'static str =
        "The subscriber keeps a stream of server-sent events open, and the source writes to it.";

    fn standing_alone() -> Sse {
        Sse::default()
    }
}

impl Strategy for Sse {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, link: &Link) -> Result<(), SettingsError> {
        self.0.check(link)
    }

    fn promise(&self) -> Promise {
        self.0.promise()
    }

    fn recovers(&self) -> bool {
        self.0.recovers()
    }

    /// Where the source only answers with errors, streams that are open go on.
    fn theory_in(&self, outage: Outage, whole: bool) -> Option<Theory> {
        self.0.theory_in(outage).filter(|_| whole)
    }

    fn theory(&self) -> Option<Theory> {
        Some(self.0.theory())
    }

    fn patience(&self) -> Duration {
        self.0.reconnect
    }

    fn gives_up(&self) -> Duration {
        self.0.gives_up()
    }

    fn connections_per_subscriber(&self) -> u32 {
        1
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let broadcast = Broadcast::new(lane, self.0.terms());
        let (following, reconnect) = (broadcast.clone(), self.0.reconnect);
        let routes = routes.on(Method::GET, STREAM_PATH, move |request, _| {
            std::future::ready(answer(&following, reconnect, &request))
        });
        let work = Box::pin(async move {
            broadcast.run().await;
            Ok(())
        });
        SourceHalf { routes, work }
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        Box::pin(subscribe::<EventStream>(self.0.clone(), post))
    }
}

fn answer(broadcast: &Broadcast, reconnect: Duration, request: &Request<Incoming>) -> Reply {
    for_browsers(match broadcast.follow(request) {
        Ok(follower) => {
            Reply::stream(EVENT_STREAM_MEDIA_TYPE, body(broadcast.clone(), follower, reconnect))
        }
        Err(detail) => Reply::problem(StatusCode::BAD_REQUEST, &detail),
    })
}

/// The stream, written as fast as the connection takes it.
fn body(
    broadcast: Broadcast,
    follower: Follower,
    reconnect: Duration,
) -> impl Body<Data = Bytes, Error = Infallible> + Send + 'static {
    let first = opening(reconnect, follower.cursor()).into();
    let rest = stream::unfold((broadcast, follower), async |(broadcast, mut follower)| {
        let text = match follower.turn().await {
            Turn::Event(entry) => {
                let mut data = Vec::with_capacity(2048);
                broadcast.writer.write(entry, &mut data);
                event(entry.sequence.get(), &data).into()
            }
            Turn::Heartbeat => Bytes::from_static(COMMENT),
            Turn::End => return None,
        };
        broadcast.tally.message();
        Some((text, (broadcast, follower)))
    });
    let texts = stream::once(std::future::ready(first)).chain(rest);
    StreamBody::new(texts.map(|text| Ok(Frame::data(text))))
}

impl Reader for EventStream {
    async fn open(dial: &Dial, cursor: &str) -> Result<EventStream, ExchangeError> {
        let mut headers = HeaderMap::new();
        // An id that no header can hold came from no source of ours; the stream then starts anew.
        if let Ok(cursor) = HeaderValue::from_str(cursor) {
            headers.insert(LAST_EVENT_ID, cursor);
        }
        EventStream::open(dial, PathAndQuery::from_static(STREAM_PATH), headers).await
    }

    async fn hear(&mut self) -> Heard {
        match self.next().await {
            Ok(Some((Item::Event(event), arrived))) if is_message(&event.kind) => {
                Heard::Event(ReceivedBody { bytes: event.data, arrived })
            }
            Ok(Some((Item::Event(_), _))) => Heard::Unreadable,
            Ok(Some((Item::Comment, _))) => Heard::Heartbeat,
            Ok(Some((Item::Retry(delay), _))) => Heard::Reconnect(delay),
            Ok(None) | Err(_) => Heard::End,
        }
    }

    fn cursor(&self) -> Option<&str> {
        // A stream that broke before it began has given none.
        Some(self.last_event_id()).filter(|id| !id.is_empty())
    }

    /// A client of server-sent events has no way to say goodbye but to hang up.
    async fn close(self, _hear: impl FnMut() + Send) {}
}

/// Whether an event is of the type that `EventSource` calls `onmessage` with.
fn is_message(kind: &str) -> bool {
    matches!(kind, "" | "message")
}
