//! What `sse` and `websocket` share: their settings, and subscribers that stay connected.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::{DeliveryError, SettingsError};
use crate::event::{self, Sequence};
use crate::promise::Promise;
use crate::source::stream::Terms;
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::Post;
use crate::theory::broken_stream::BrokenStream;
use crate::theory::retries::Outage;
use crate::theory::stream::Ends;
use crate::theory::{self, Theory};
use crate::units::{DurationText, duration_text, nanoseconds, some_duration_text};
use crate::wire::body::ReceivedBody;
use crate::wire::client::{Dial, ExchangeError};
use crate::wire::link::Link;
use crate::wire::reply::Reply;
use crate::wire::tally::{Outcome, Tally};

/// How long opening a stream may take.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams that one process opens at once, before its subscribers are ready.
const OPENINGS: usize = 64;

/// How much longer than two heartbeats a stream may be silent before it is given up.
const SILENCE: Duration = Duration::from_secs(10);

/// How soon a source may ask a subscriber to connect again, unless the scenario says sooner: a
/// source that ends streams at once and writes `retry: 0` would be stormed otherwise.
const SOONEST_RECONNECT: Duration = Duration::from_millis(100);

/// The shortest time between heartbeats: more would be a load of their own.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(10);

/// Settings of a mechanism whose subscribers stay connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stream {
    /// Time between signs of life: comments of `sse`, pings of `websocket`.
    #[serde(default = "default_heartbeat", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub heartbeat: Duration,
    /// How long a subscriber waits before it connects again. With `sse` the source says so, too.
    #[serde(default = "default_reconnect", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub reconnect: Duration,
    /// Whether a subscriber that connects again is given what it missed. Without it the stream
    /// starts at the next event, and what happened in between is lost.
    #[serde(default = "default_replay")]
    pub replay: bool,
    /// The source ends each stream after this long, as proxies do; without it, never.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub max_age: Option<Duration>,
}

/// What the HTML standard suggests against proxies that drop silent connections.
fn default_heartbeat() -> Duration {
    Duration::from_secs(15)
}

/// "In the region of a few seconds" (HTML standard, 9.2.3).
fn default_reconnect() -> Duration {
    Duration::from_secs(3)
}

fn default_replay() -> bool {
    true
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            heartbeat: default_heartbeat(),
            reconnect: default_reconnect(),
            replay: default_replay(),
            max_age: None,
        }
    }
}

impl Stream {
    pub(crate) fn check(&self, link: &Link) -> Result<(), SettingsError> {
        if self.heartbeat < SHORTEST_HEARTBEAT {
            return Err(SettingsError {
                key: "heartbeat",
                message: "heartbeats that close are a load of their own".to_owned(),
                remedy: "write at least \"10ms\"; \"15s\" is usual".to_owned(),
            });
        }
        if self.max_age.is_some_and(|age| age.is_zero()) {
            return Err(SettingsError {
                key: "max-age",
                message: "a stream that ends at once carries nothing".to_owned(),
                remedy: "write how long the source keeps a stream open, or leave it out".to_owned(),
            });
        }
        if !link.keep_alive {
            return Err(SettingsError {
                key: "keep-alive",
                message: "a stream is one exchange that goes on: its connection is kept".to_owned(),
                remedy: "leave it out; `max-age` makes the source end streams".to_owned(),
            });
        }
        Ok(())
    }

    pub(crate) fn promise(&self) -> Promise {
        Promise { complete: self.replay || self.max_age.is_none(), ..Promise::COMPLETE_AND_ORDERED }
    }

    /// Whether a subscriber that connects again is given what it missed.
    pub(crate) fn recovers(&self) -> bool {
        self.replay
    }

    pub(crate) fn theory(&self) -> Theory {
        let ends = self.max_age.map(|age| Ends {
            after: nanoseconds(age),
            reconnect: nanoseconds(self.reconnect),
            replay: self.replay,
        });
        theory::stream::Stream { heartbeat: Some(nanoseconds(self.heartbeat)), ends }.into()
    }

    /// The form of a stream that breaks in an outage, if the source does not end it by itself.
    pub(crate) fn theory_in(&self, outage: Outage) -> Option<Theory> {
        let form = BrokenStream {
            heartbeat: nanoseconds(self.heartbeat),
            outage,
            reconnect: nanoseconds(self.reconnect),
            replay: self.replay,
        };
        self.max_age.is_none().then(|| form.into())
    }

    /// How long a stream may say nothing.
    fn silence(&self) -> Duration {
        self.heartbeat.saturating_mul(2).saturating_add(SILENCE)
    }

    /// The longest a subscriber waits on a connection that is silent, open or not.
    pub(crate) fn gives_up(&self) -> Duration {
        self.silence().max(OPENING_TIMEOUT)
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms { heartbeat: self.heartbeat, max_age: self.max_age, replay: self.replay }
    }
}

/// Lets pages of any origin read a stream: its events are made up, and it takes no credentials
/// that a browser would add by itself.
pub(crate) fn for_browsers(mut reply: Reply) -> Reply {
    let headers = reply.response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// The subscriber's end of a stream.
pub(crate) trait Reader: Sized + Send + 'static {
    /// Opens a stream behind a cursor.
    fn open(dial: &Dial, cursor: &str) -> impl Future<Output = Result<Self, ExchangeError>> + Send;

    /// Waits for what the stream says next. Cancel safe.
    fn hear(&mut self) -> impl Future<Output = Heard> + Send;

    /// The cursor that the stream itself gave, if it did.
    fn cursor(&self) -> Option<&str>;

    /// Ends the stream in good order; `hear` gets what came meanwhile.
    fn close(self, hear: impl FnMut() + Send) -> impl Future<Output = ()> + Send;
}

/// What a stream says.
pub(crate) enum Heard {
    /// An event's JSON.
    Event(ReceivedBody),
    /// A sign of life.
    Heartbeat,
    /// How long to wait before connecting again.
    Reconnect(Duration),
    /// Something that is no event of ours, behind which the stream may go on.
    Unreadable,
    /// Nothing any more.
    End,
}

/// Keeps every subscriber connected until the post is told to stop.
pub(crate) async fn subscribe<R: Reader>(
    settings: Stream,
    mut post: Post,
) -> Result<(), DeliveryError> {
    let permits = Arc::new(Semaphore::new(OPENINGS));
    let (opened, mut openings) = mpsc::unbounded_channel();
    let mut sessions = JoinSet::new();
    for number in 0..post.subscribers {
        let session = Session {
            number,
            dial: post.line.dial(post.source, OPENING_TIMEOUT),
            cursor: post.inbox.newest(number).map_or(0, Sequence::get).to_string(),
            reconnect: settings.reconnect,
            soonest: settings.reconnect.min(SOONEST_RECONNECT),
            silence: settings.silence(),
            inbox: post.inbox.clone(),
            tally: post.line.tally.clone(),
            stop: post.stop.clone(),
            known: post.life.known,
        };
        sessions.spawn(session.run::<R>(Arc::clone(&permits), opened.clone()));
    }
    drop(opened);
    let mut missing = post.subscribers;
    loop {
        tokio::select! {
            Some(()) = openings.recv() => {
                missing -= 1;
                if missing == 0 {
                    post.ready.announce();
                }
            }
            ended = sessions.join_next() => match ended {
                Some(ended) => {
                    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
                }
                None => return Ok(()),
            },
        }
    }
}

/// One simulated subscriber.
struct Session {
    number: u32,
    dial: Dial,
    /// What it has seen, for the next time it connects.
    cursor: String,
    reconnect: Duration,
    /// How long it waits at least, whatever the stream asks for.
    soonest: Duration,
    /// How long a stream may say nothing.
    silence: Duration,
    inbox: Inbox,
    tally: Tally,
    stop: CancellationToken,
    /// Whether it had a stream in an earlier life.
    known: bool,
}

impl Session {
    async fn run<R: Reader>(
        mut self,
        permits: Arc<Semaphore>,
        opened: mpsc::UnboundedSender<()>,
    ) -> Result<(), DeliveryError> {
        let permit = permits.acquire().await.expect("nobody closes it");
        let mut stream = match self.open::<R>().await {
            Ok(stream) => Some(stream),
            // Whoever is started again finds what it finds, and goes on trying.
            Err(_) if self.known => None,
            Err(error) => {
                let why = format!("a stream was not opened: {}", explained(&error));
                return Err(DeliveryError::Refused(why));
            }
        };
        drop(permit);
        // Nobody listens any more when another subscriber could not connect.
        let _ = opened.send(());
        loop {
            if let Some(stream) = stream {
                self.read(stream).await;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.reconnect) => {}
            }
            stream = self.open::<R>().await.ok();
        }
    }

    /// Opens a stream. Once begun it is finished, so that both sides count the same streams.
    async fn open<R: Reader>(&self) -> Result<R, ExchangeError> {
        let opened = R::open(&self.dial, &self.cursor).await;
        self.tally.exchanged(if opened.is_ok() { Outcome::Stream } else { Outcome::Failed });
        opened
    }

    /// Reads a stream to its end, or until it is time to stop.
    async fn read<R: Reader>(&mut self, mut stream: R) {
        loop {
            let heard = tokio::select! {
                biased;
                () = self.stop.cancelled() => return stream.close(|| self.tally.message()).await,
                heard = tokio::time::timeout(self.silence, stream.hear()) => heard,
            };
            match heard.unwrap_or(Heard::End) {
                Heard::Event(event) => {
                    self.tally.message();
                    match event::decode(&event.bytes) {
                        Ok(sequence) => {
                            self.inbox.accept(self.number, sequence, event.arrived);
                            self.cursor = sequence.get().to_string();
                        }
                        Err(_) => self.inbox.refuse(),
                    }
                }
                Heard::Heartbeat => self.tally.message(),
                Heard::Reconnect(delay) => self.reconnect = delay.max(self.soonest),
                Heard::Unreadable => self.inbox.refuse(),
                Heard::End => break,
            }
        }
        if let Some(cursor) = stream.cursor() {
            cursor.clone_into(&mut self.cursor);
        }
    }
}

/// An error and what caused it, on one line.
fn explained(error: &ExchangeError) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
