//! `webhook`: the source posts every event to the subscriber as it happens.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::{DeliveryError, Half, Settings, SettingsError, Strategy};
use crate::event::{self, EVENT_MEDIA_TYPE};
use crate::promise::Promise;
use crate::source::feed::EventWriter;
use crate::source::lane::{Lane, SourceHalf};
use crate::source::log::{Entry, LogReader, Relay};
use crate::source::subscriptions::{
    Change, Registration, SUBSCRIPTIONS_PATH, Subscription, with_subscriptions,
};
use crate::subscriber::inbox::{Acceptance, Inbox};
use crate::subscriber::post::Post;
use crate::theory::{self, Theory};
use crate::units::{DurationText, duration_text};
use crate::wire::body;
use crate::wire::client::{Client, ClientKind, Dial};
use crate::wire::connection::Connection;
use crate::wire::link::{Line, Link};
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::signature::SigningKey;
use crate::wire::socket::bind_loopback;
use crate::wire::tally::{Outcome, Tally};

/// The most connections a subscriber's webhooks may use.
const MOST_CONNECTIONS: u32 = 256;

/// The longest body a receiver takes, in bytes: the largest event and its envelope.
const BODY_LIMIT: usize = 2 << 20;

/// How long a registration may take.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long deliveries under way may take to finish after the source was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Settings of `webhook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Webhook {
    /// Connections to each subscriber; further events wait in the log, which counts as latency.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: u32,
    /// The longest a delivery may take before it counts as failed.
    #[serde(default = "default_timeout", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
    /// How deliveries are signed and verified.
    #[serde(default)]
    pub sign: Signing,
}

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signing {
    /// Not at all.
    #[default]
    None,
    /// Standard Webhooks 1.0: HMAC-SHA256 over id, timestamp and body.
    StandardWebhooks,
}

fn default_concurrency() -> u32 {
    4
}

fn default_timeout() -> Duration {
    Duration::from_secs(15)
}

impl Settings for Webhook {
    const NAME: &'static str = "webhook";
    const SUMMARY: &'static str =
        "The source posts each event to the subscriber's endpoint as it happens.";

    fn standing_alone() -> Webhook {
        Webhook {
            concurrency: default_concurrency(),
            timeout: default_timeout(),
            sign: Signing::default(),
        }
    }
}

impl Strategy for Webhook {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, _link: &Link) -> Result<(), SettingsError> {
        if !(1..=MOST_CONNECTIONS).contains(&self.concurrency) {
            return Err(SettingsError {
                key: "concurrency",
                message: format!("{} connections a subscriber are not possible", self.concurrency),
                remedy: format!("write a whole number from 1 to {MOST_CONNECTIONS}"),
            });
        }
        if self.timeout.is_zero() {
            return Err(SettingsError {
                key: "timeout",
                message: "a delivery cannot be complete in no time".to_owned(),
                remedy: "write how long the source waits for an answer, such as \"15s\"".to_owned(),
            });
        }
        Ok(())
    }

    fn promise(&self) -> Promise {
        Promise { ordered: self.concurrency == 1, ..Promise::COMPLETE }
    }

    fn theory(&self) -> Option<Theory> {
        Some(theory::webhook::Webhook::plain(self.concurrency).into())
    }

    fn patience(&self) -> Duration {
        self.timeout
    }

    fn connections_per_subscriber(&self) -> u32 {
        self.concurrency
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let (changes, heard) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher {
            settings: self,
            relay: Arc::new(Relay::new(lane.log.clone())),
            log: lane.log.clone(),
            writer: lane.writer.clone(),
            line: lane.line.clone(),
        };
        let work = dispatcher.run(heard, lane.stop.clone());
        SourceHalf {
            routes: with_subscriptions(routes, lane.line.scheme(), lane.log.clone(), changes),
            work: Box::pin(async {
                work.await;
                Ok(())
            }),
        }
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        Box::pin(receive(self, post))
    }
}

/// The source's half: one queue of deliveries for each subscription.
struct Dispatcher {
    settings: Arc<Webhook>,
    relay: Arc<Relay>,
    log: LogReader,
    writer: EventWriter,
    line: Line,
}

impl Dispatcher {
    async fn run(self, mut changes: mpsc::UnboundedReceiver<Change>, stop: CancellationToken) {
        let mut queues = JoinSet::new();
        let mut removals = HashMap::new();
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = queues.join_next() => {
                    // A queue ends when its webhook is removed; a panic must not pass for that.
                    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    continue;
                }
                change = changes.recv() => match change {
                    Some(change) => change,
                    None => break,
                },
                () = self.relay.run() => continue,
            };
            match change {
                Change::Added(subscription) => {
                    let stop = stop.child_token();
                    removals.insert(subscription.id, stop.clone());
                    queues.spawn(self.queue(&subscription).run(stop));
                }
                Change::Removed(id) => {
                    if let Some(removed) = removals.remove(&id) {
                        removed.cancel();
                    }
                }
            }
        }
        // What is still under way after the grace period is cut off when the set is dropped.
        let _ = tokio::time::timeout(GRACE, queues.join_all()).await;
    }

    fn queue(&self, subscription: &Subscription) -> Queue {
        let dial = self.line.dial(subscription.peer, self.settings.timeout);
        Queue {
            idle: (0..self.settings.concurrency).map(|_| Connection::new(dial.clone())).collect(),
            courier: Arc::new(Courier {
                relay: Arc::clone(&self.relay),
                log: self.log.clone(),
                next: AtomicU64::new(subscription.from),
                path: subscription.path.clone(),
                key: subscription.key.clone(),
                writer: self.writer.clone(),
                tally: self.line.tally.clone(),
            }),
        }
    }
}

/// The deliveries of one subscription, in the order of the log.
///
/// The log is the queue: an event for which no connection is free stays there, at no cost in
/// memory, until one is.
struct Queue {
    /// The connection used last is used next, so that few stay warm, as in usual pools.
    idle: Vec<Connection>,
    courier: Arc<Courier>,
}

impl Queue {
    async fn run(mut self, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = under_way.join_next() => self.idle.push(returned(ended)),
                () = self.courier.is_needed(), if !self.idle.is_empty() => {
                    // One connection an event, as long as there are both.
                    while let Some(entry) = self.courier.take_if(!self.idle.is_empty())
                        && let Some(connection) = self.idle.pop()
                    {
                        let courier = Arc::clone(&self.courier);
                        under_way.spawn(courier.deliver(entry, connection, stop.clone()));
                    }
                }
            }
        }
        under_way.join_all().await;
    }
}

fn returned(ended: Result<Connection, tokio::task::JoinError>) -> Connection {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Delivers the events of one subscription, each once.
struct Courier {
    relay: Arc<Relay>,
    log: LogReader,
    /// The first event that nobody has taken yet.
    next: AtomicU64,
    path: PathAndQuery,
    key: Option<SigningKey>,
    writer: EventWriter,
    tally: Tally,
}

impl Courier {
    /// Waits until there is an event to take. Cancel safe.
    async fn is_needed(&self) {
        self.relay.wait_for(self.next.load(Relaxed)).await;
    }

    /// Takes the next event if there is one and it is wanted.
    ///
    /// Everything of a lane runs on one thread, so nobody takes the same event in between.
    fn take_if(&self, wanted: bool) -> Option<Entry> {
        let entry = self.log.get(self.next.load(Relaxed)).filter(|_| wanted)?;
        self.next.fetch_add(1, Relaxed);
        Some(entry)
    }

    /// Delivers an event, and on the same connection those that wait by then.
    async fn deliver(
        self: Arc<Self>,
        entry: Entry,
        mut connection: Connection,
        stop: CancellationToken,
    ) -> Connection {
        let mut next = Some(entry);
        while let Some(entry) = next {
            let outcome = self.post(entry, &mut connection).await;
            self.tally.exchanged(outcome);
            next = self.take_if(!stop.is_cancelled());
        }
        connection
    }

    async fn post(&self, entry: Entry, connection: &mut Connection) -> Outcome {
        let mut body = Vec::with_capacity(2048);
        self.writer.write(entry, &mut body);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_MEDIA_TYPE));
        if let Some(key) = &self.key {
            let id = HeaderValue::try_from(entry.sequence.to_string())
                .expect("an event's id is plain text");
            key.sign_now(&id, &body, &mut headers);
        }
        let body = Bytes::from(body);
        match connection.exchange(Method::POST, self.path.clone(), headers, body).await {
            // Only a 2xx status means success; redirects are not followed (Standard Webhooks 1.0).
            Ok(received) if received.status.is_success() => Outcome::Useful,
            Ok(_) | Err(_) => Outcome::Failed,
        }
    }
}

/// The subscribers' half: one endpoint that every simulated subscriber has a path on.
async fn receive(settings: Arc<Webhook>, mut post: Post) -> Result<(), DeliveryError> {
    let socket = |source| DeliveryError::Socket { doing: "listening for webhooks", source };
    let listener = bind_loopback().await.map_err(socket)?;
    let address = listener.local_addr().map_err(socket)?;
    let secrets: Vec<Option<String>> = (0..post.subscribers)
        .map(|_| match settings.sign {
            Signing::None => None,
            Signing::StandardWebhooks => Some(SigningKey::random_secret()),
        })
        .collect();
    let receiver = Arc::new(Receiver::new(&secrets, post.inbox.clone()));
    let routes = Routes::new().on(Method::POST, "/hooks/", move |request, tail| {
        Arc::clone(&receiver).attend(request, tail)
    });
    let line = post.line.clone();
    let serving = line.serve(listener, routes, post.stop.clone());
    let registering = async {
        let registered = register(&post, address, secrets).await;
        match registered {
            Ok(()) => post.ready.announce(),
            // Without a registration nothing will ever come in.
            Err(_) => post.stop.cancel(),
        }
        registered
    };
    let (served, registered) = tokio::join!(serving, registering);
    registered?;
    served.map_err(socket)
}

/// Asks the source to post events to every simulated subscriber.
async fn register(
    post: &Post,
    address: SocketAddr,
    secrets: Vec<Option<String>>,
) -> Result<(), DeliveryError> {
    let dial = Dial { keep_alive: true, ..post.line.dial(post.source, REGISTRATION_TIMEOUT) };
    let refused =
        |what: String| DeliveryError::Refused(format!("a webhook was not registered: {what}"));
    let mut client =
        Client::new(ClientKind::Hyper, dial).map_err(|error| refused(error.to_string()))?;
    let scheme = post.line.scheme();
    for (number, secret) in secrets.into_iter().enumerate() {
        let registration =
            Registration { url: format!("{scheme}://{address}/hooks/{number}"), secret };
        let body = serde_json::to_vec(&registration).expect("a registration is plain text");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let path = PathAndQuery::from_static(SUBSCRIPTIONS_PATH);
        let answer = client
            .exchange(Method::POST, path, headers, body.into())
            .await
            .map_err(|error| refused(error.to_string()))?;
        post.line.tally.exchanged(Outcome::Overhead);
        if answer.status != StatusCode::CREATED {
            return Err(refused(format!("the source answered {}", answer.status)));
        }
    }
    Ok(())
}

/// Takes deliveries in.
struct Receiver {
    /// The key of each subscriber, by number; `None` where nothing is signed.
    keys: Vec<Option<SigningKey>>,
    inbox: Inbox,
}

impl Receiver {
    fn new(secrets: &[Option<String>], inbox: Inbox) -> Receiver {
        let key = |secret: &Option<String>| {
            let secret = secret.as_deref()?;
            Some(SigningKey::from_secret(secret).expect("a secret made here is one"))
        };
        Receiver { keys: secrets.iter().map(key).collect(), inbox }
    }

    async fn attend(self: Arc<Self>, request: Request<Incoming>, tail: String) -> Reply {
        let reply = self.take(request, &tail).await;
        if reply.outcome == Outcome::Failed {
            self.inbox.refuse();
        }
        reply
    }

    async fn take(&self, request: Request<Incoming>, tail: &str) -> Reply {
        let Some((number, key)) = self.subscriber(tail) else {
            return Reply::problem(StatusCode::NOT_FOUND, "there is no such subscriber");
        };
        let (head, incoming) = request.into_parts();
        if head.headers.get(CONTENT_TYPE).is_none_or(|kind| kind != EVENT_MEDIA_TYPE) {
            let detail = format!("deliveries must be {EVENT_MEDIA_TYPE}");
            return Reply::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail);
        }
        let body = match body::receive(incoming, BODY_LIMIT).await {
            Ok(body) => body,
            Err(error) => return Reply::unreadable(&error),
        };
        if let Some(Err(error)) = key.map(|key| key.verify_now(&body.bytes, &head.headers)) {
            return Reply::problem(StatusCode::FORBIDDEN, &error.to_string());
        }
        match event::decode(&body.bytes) {
            Ok(sequence) => match self.inbox.accept(number, sequence, body.arrived) {
                Acceptance::First => Reply::no_content(Outcome::Useful),
                // A copy is acknowledged, or it would come again; an event of no trial too, and
                // the inbox has counted it as refused.
                Acceptance::Duplicate | Acceptance::Unknown | Acceptance::Late => {
                    Reply::no_content(Outcome::Empty)
                }
            },
            Err(error) => Reply::problem(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    fn subscriber(&self, tail: &str) -> Option<(u32, Option<&SigningKey>)> {
        let number: u32 = tail.parse().ok()?;
        Some((number, self.keys.get(number as usize)?.as_ref()))
    }
}
