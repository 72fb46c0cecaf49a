//! The endpoint that webhooks are posted to: what every mechanism that pushes shares on the
//! subscriber's side.
//!
//! Every simulated subscriber has a path of its own on it, its own key and its own workers.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use rand::RngExt;
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::clock::{self, Moment};
use crate::event::{self, BATCH_MEDIA_TYPE, EVENT_MEDIA_TYPE, EventError, Payload, Sequence};
use crate::schedule::random_stream;
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::Post;
use crate::timer::Timer;
use crate::units::{DurationText, duration_text};
use crate::wire::body::{self, ReceivedBody};
use crate::wire::bounds::MESSAGE_LIMIT;
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::signature::Verifier;
use crate::wire::tally::Outcome;

/// Random streams of a trial's seed that belong to endpoints start here; see [`random_stream`].
const ENDPOINT_STREAMS: u64 = 1 << 33;

/// How a subscriber's endpoint behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Reception {
    /// What handling an event takes. It is usable and acknowledged after that.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub handle: Duration,
    /// Requests that each subscriber handles at once; further ones wait for their turn.
    #[schemars(range(min = 1, max = 256))]
    pub workers: u32,
    /// Share of requests that are answered 503 unread, from 0 to 1, all the time; what goes wrong
    /// for a while is a `[[fault]]`.
    #[schemars(range(min = 0, max = 1))]
    pub fail: f64,
}

/// The most workers a subscriber can have.
pub const MOST_WORKERS: u32 = 256;

impl Default for Reception {
    /// Handles everything at once.
    fn default() -> Reception {
        Reception { handle: Duration::ZERO, workers: 1, fail: 0.0 }
    }
}

/// What is done with an event that was posted, and what its request counts as.
pub type Take = Box<dyn Fn(u32, Sequence, Moment) -> Outcome + Send + Sync>;

/// The endpoint of all simulated subscribers of a strategy.
pub struct Receiver {
    reception: Reception,
    payload: Payload,
    doors: Vec<Door>,
    inbox: Inbox,
    take: Take,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("reception", &self.reception).finish_non_exhaustive()
    }
}

/// One subscriber's part of the endpoint.
#[derive(Debug)]
struct Door {
    /// `None` where nothing is signed.
    verifier: Option<Verifier>,
    workers: Semaphore,
    /// One for each worker, where handling takes time.
    timers: Vec<tokio::sync::Mutex<Timer>>,
    random: Mutex<Pcg64>,
}

impl Receiver {
    /// An endpoint for the subscribers of a post, with a verifier for each where webhooks are
    /// signed.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left for a timer.
    pub fn new(
        reception: Reception,
        payload: Payload,
        verifiers: Vec<Option<Verifier>>,
        post: &Post,
        take: Take,
    ) -> io::Result<Receiver> {
        let door = |(number, verifier): (u64, Option<Verifier>)| {
            let timers = if reception.handle.is_zero() { 0 } else { reception.workers };
            let timer = |_| Timer::new().map(tokio::sync::Mutex::new);
            Ok(Door {
                verifier,
                workers: Semaphore::new(reception.workers as usize),
                timers: (0..timers).map(timer).collect::<io::Result<_>>()?,
                random: Mutex::new(random_stream(post.seed, ENDPOINT_STREAMS + number)),
            })
        };
        let doors = (0..).zip(verifiers).map(door).collect::<io::Result<_>>()?;
        let inbox = post.inbox.clone();
        Ok(Receiver { reception, payload, doors, inbox, take })
    }

    /// The paths of all subscribers: `/hooks/` and the subscriber's number.
    #[must_use]
    pub fn routes(self) -> Routes {
        let receiver = Arc::new(self);
        Routes::new().on(Method::POST, "/hooks/", move |request, tail| {
            let receiver = Arc::clone(&receiver);
            async move { receiver.attend(request, &tail).await }
        })
    }

    async fn attend(&self, request: Request<Incoming>, tail: &str) -> Reply {
        let door = tail
            .parse()
            .ok()
            .and_then(|number: u32| Some((number, self.doors.get(number as usize)?)));
        let Some((number, door)) = door else {
            return self.refuse(StatusCode::NOT_FOUND, "there is no such subscriber");
        };
        let (head, incoming) = request.into_parts();
        let body = match body::receive(incoming, MESSAGE_LIMIT).await {
            Ok(body) => body,
            Err(error) => {
                self.inbox.refuse();
                return Reply::unreadable(&error);
            }
        };
        if door.fails(self.reception.fail) {
            // Not refused: nothing was wrong with the request.
            return Reply::problem(StatusCode::SERVICE_UNAVAILABLE, "out of order, as configured");
        }
        let Some(kind) = Kind::of(&head.headers) else {
            let detail = format!("deliveries must be {EVENT_MEDIA_TYPE} or {BATCH_MEDIA_TYPE}");
            return self.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail);
        };
        let verified = door.verifier.as_ref().map(|verifier| {
            verifier.verify(&head.headers, &body.bytes, clock::wall()).map(|said| (verifier, said))
        });
        let verified = match verified.transpose() {
            Ok(verified) => verified,
            Err(error) => return self.refuse(error.status(), &error.to_string()),
        };
        let events = match kind.decode(&body.bytes, self.payload) {
            Ok(events) => events,
            Err(error) => return self.refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        match self.handle(number, door, &events, &body).await {
            Ok(outcome) => {
                if let Some((verifier, message)) = verified {
                    verifier.accepted(message, clock::wall());
                }
                Reply::no_content(outcome)
            }
            Err(error) => Reply::problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// Handles the events of a request one after the other, when a worker is free.
    async fn handle(
        &self,
        number: u32,
        door: &Door,
        events: &[Sequence],
        body: &ReceivedBody,
    ) -> io::Result<Outcome> {
        let _worker = door.workers.acquire().await.map_err(io::Error::other)?;
        let mut timer = door.timers.iter().find_map(|timer| timer.try_lock().ok());
        let mut outcome = Outcome::Empty;
        for event in events {
            if let Some(timer) = &mut timer {
                timer.sleep_until(clock::now().after(self.reception.handle)).await?;
            }
            let taken = (self.take)(number, *event, body.arrived);
            if outcome == Outcome::Empty {
                outcome = taken;
            }
        }
        Ok(outcome)
    }

    /// Counts and answers what is not believed or not understood.
    fn refuse(&self, status: StatusCode, why: &str) -> Reply {
        self.inbox.refuse();
        Reply::problem(status, why)
    }
}

impl Door {
    /// Whether a request is one of the share that fails.
    fn fails(&self, share: f64) -> bool {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        share > 0.0 && random.random::<f64>() < share
    }
}

/// How the events of a request are written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    One,
    Batch,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Option<Kind> {
        match headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes)? {
            kind if kind == EVENT_MEDIA_TYPE.as_bytes() => Some(Kind::One),
            kind if kind == BATCH_MEDIA_TYPE.as_bytes() => Some(Kind::Batch),
            _ => None,
        }
    }

    fn decode(self, body: &[u8], payload: Payload) -> Result<Vec<Sequence>, EventError> {
        match self {
            Kind::One => Ok(vec![event::decode_as(body, payload)?]),
            Kind::Batch => event::decode_batch(body, payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reception;
    use std::time::Duration;

    #[test]
    fn a_reception_is_read_as_it_is_written() {
        let text = "handle = \"20ms\"\nworkers = 4\nfail = 0.05";
        let read: Reception = toml::from_str(text).expect("a reception");
        assert_eq!(read.handle, Duration::from_millis(20));
        assert_eq!((read.workers, read.fail.to_string()), (4, "0.05".to_owned()));
        let again = serde_json::to_value(&read).expect("plain values");
        assert_eq!(serde_json::from_value::<Reception>(again).expect("the same"), read);
        assert_eq!(toml::from_str::<Reception>("").expect("the default"), Reception::default());
    }
}
