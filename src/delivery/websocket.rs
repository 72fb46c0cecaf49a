//! `websocket`: the subscriber keeps a WebSocket open, and the source sends events over it.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::delivery::contract::{Half, Settings, SettingsError, Strategy};
use crate::delivery::stream::{Heard, Reader, Stream, for_browsers, subscribe};
use crate::promise::Promise;
use crate::source::lane::{Lane, SourceHalf};
use crate::source::log::Entry;
use crate::source::stream::{Broadcast, Follower, Turn};
use crate::subscriber::post::Post;
use crate::theory::Theory;
use crate::theory::retries::Outage;
use crate::wire::client::{Dial, ExchangeError};
use crate::wire::link::{HttpVersion, Link};
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::websocket::{Handshake, Message, Socket, SocketError};

/// Where the WebSocket is served.
pub const SOCKET_PATH: &str = "/v1/events/socket";

/// How long closing handshakes may take after the source was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Events that are written at once to a subscriber that is behind.
const BATCH: usize = 64;

/// Settings of `websocket`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct WebSocket(pub Stream);

impl Settings for WebSocket {
    const NAME: &'static str = "websocket";
    const SUMMARY: &'static str =
        "The subscriber keeps a WebSocket open, and the source sends each event as a message.";

    fn standing_alone() -> WebSocket {
        WebSocket::default()
    }
}

impl Strategy for WebSocket {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, link: &Link) -> Result<(), SettingsError> {
        if link.http == HttpVersion::Two {
            return Err(SettingsError {
                key: "http",
                message: "a WebSocket is opened over HTTP/1.1 (RFC 6455)".to_owned(),
                remedy: "leave `http` out".to_owned(),
            });
        }
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
        let (opened, openings) = mpsc::unbounded_channel();
        let following = broadcast.clone();
        let routes = routes.on(Method::GET, SOCKET_PATH, move |request, _| {
            std::future::ready(answer(&following, request, &opened))
        });
        let work = Box::pin(async move {
            attend_all(broadcast, openings).await;
            Ok(())
        });
        SourceHalf { routes, work }
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        Box::pin(subscribe::<Socket>(self.0.clone(), post))
    }
}

/// A client that was answered, and what it is to be sent.
type Opening = (Handshake, Follower);

fn answer(
    broadcast: &Broadcast,
    mut request: Request<Incoming>,
    opened: &mpsc::UnboundedSender<Opening>,
) -> Reply {
    let follower = match broadcast.follow(&request) {
        Ok(follower) => follower,
        Err(detail) => return for_browsers(Reply::problem(StatusCode::BAD_REQUEST, &detail)),
    };
    let (reply, handshake) = Handshake::answer(&mut request);
    if let Some(handshake) = handshake {
        // Nobody listens any more when the lane is stopping; the connection then ends.
        let _ = opened.send((handshake, follower));
    }
    for_browsers(reply)
}

/// Owns the WebSockets of a lane until it is told to stop, then closes them.
async fn attend_all(broadcast: Broadcast, mut openings: mpsc::UnboundedReceiver<Opening>) {
    let mut sockets = JoinSet::new();
    loop {
        tokio::select! {
            () = broadcast.run() => break,
            Some(ended) = sockets.join_next() => {
                // A WebSocket ends when its client goes; a panic must not pass for that.
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            }
            Some((handshake, follower)) = openings.recv() => {
                sockets.spawn(attend(handshake, follower, broadcast.clone()));
            }
        }
    }
    // Who was answered a moment ago is told goodbye, too.
    openings.close();
    while let Some((handshake, follower)) = openings.recv().await {
        sockets.spawn(attend(handshake, follower, broadcast.clone()));
    }
    // What is still open after the grace period is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, sockets.join_all()).await;
}

async fn attend(handshake: Handshake, follower: Follower, broadcast: Broadcast) {
    let Ok(mut socket) = handshake.complete().await else { return };
    // Whether the client closed, broke off or talked nonsense, the rest is the same.
    let _ = speak(&mut socket, follower, &broadcast).await;
    socket.close(|_| ()).await;
}

/// Sends events and pings until the stream ends or the client does.
async fn speak(
    socket: &mut Socket,
    mut follower: Follower,
    broadcast: &Broadcast,
) -> Result<(), SocketError> {
    loop {
        tokio::select! {
            turn = follower.turn() => match turn {
                Turn::Event(entry) => send(entry, socket, &mut follower, broadcast).await?,
                Turn::Heartbeat => {
                    socket.feed_ping().await?;
                    socket.flush().await?;
                    broadcast.tally.message();
                }
                Turn::End => return Ok(()),
            },
            // Clients have nothing to say, but pongs and the close must be read.
            heard = socket.next() => if heard?.is_none() {
                return Ok(());
            },
        }
    }
}

/// Sends an event, and with it some of those that wait by then.
async fn send(
    entry: Entry,
    socket: &mut Socket,
    follower: &mut Follower,
    broadcast: &Broadcast,
) -> Result<(), SocketError> {
    let mut next = Some(entry);
    let mut sent = 0;
    while let Some(entry) = next {
        let mut text = Vec::with_capacity(2048);
        broadcast.writer.write(entry, &mut text);
        socket.feed(text).await?;
        sent += 1;
        next = if sent < BATCH { follower.take() } else { None };
    }
    socket.flush().await?;
    (0..sent).for_each(|_| broadcast.tally.message());
    Ok(())
}

impl Reader for Socket {
    async fn open(dial: &Dial, cursor: &str) -> Result<Socket, ExchangeError> {
        let path = format!("{SOCKET_PATH}?after={cursor}");
        let path = PathAndQuery::try_from(path).expect("a number fits into a path");
        Socket::open(dial, path).await
    }

    async fn hear(&mut self) -> Heard {
        match self.next().await {
            Ok(Some(Message::Text(event))) => Heard::Event(event),
            Ok(Some(Message::Binary(_))) => Heard::Unreadable,
            Ok(Some(Message::Ping)) => Heard::Heartbeat,
            Ok(None) | Err(_) => Heard::End,
        }
    }

    fn cursor(&self) -> Option<&str> {
        None
    }

    async fn close(self, mut hear: impl FnMut() + Send) {
        Socket::close(self, |_| hear()).await;
    }
}
