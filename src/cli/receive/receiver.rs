//! Takes deliveries in, on every path.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::receive::delivery::{Delivery, Latency, Verdict};
use crate::cli::receive::message::Message;
use crate::cli::receive::seen::Seen;
use crate::clock::{self, WallAnchor};
use crate::wire::body::{self, BodyError};
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::signature::Verifier;
use crate::wire::tally::Outcome;

/// The longest body taken, in bytes: the largest that GitHub sends
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads>).
const BODY_LIMIT: usize = 25 << 20;

/// How deliveries are treated.
#[derive(Debug)]
pub(super) struct Manner {
    /// What verifies signatures, if they are to be verified.
    pub(super) verifier: Option<Verifier>,
    /// The status to answer with.
    pub(super) status: StatusCode,
    /// How long to wait before an answer.
    pub(super) delay: Option<Duration>,
    /// The most deliveries to take.
    pub(super) most: Option<NonZeroU64>,
}

/// Answers deliveries and passes on what they were.
#[derive(Debug)]
pub(super) struct Receiver {
    manner: Manner,
    begun: AtomicU64,
    seen: Mutex<Seen>,
    heard: mpsc::Sender<Delivery>,
    stop: CancellationToken,
}

impl Receiver {
    pub(super) fn new(
        manner: Manner,
        heard: mpsc::Sender<Delivery>,
        stop: CancellationToken,
    ) -> Receiver {
        let seen = Mutex::new(Seen::new(Seen::MOST));
        Receiver { manner, begun: AtomicU64::new(0), seen, heard, stop }
    }

    /// Takes deliveries on every path: senders post, some of them put.
    pub(super) fn routes(self: Arc<Self>) -> Routes {
        let putting = Arc::clone(&self);
        Routes::new()
            .on(Method::POST, "/*", move |request, _| Arc::clone(&self).attend(request))
            .on(Method::PUT, "/*", move |request, _| Arc::clone(&putting).attend(request))
    }

    async fn attend(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let (head, incoming) = request.into_parts();
        let body = match body::receive(incoming, BODY_LIMIT).await {
            Ok(body) => Ok((body.bytes, WallAnchor::now().at(body.arrived))),
            Err(BodyError::TooLong { limit }) => Err((StatusCode::PAYLOAD_TOO_LARGE, limit)),
            // Nothing was delivered.
            Err(error) => return Reply::unreadable(&error),
        };
        let begun = self.begun.fetch_add(1, Relaxed);
        if self.manner.most.is_some_and(|most| begun >= most.get()) {
            return Reply::problem(StatusCode::SERVICE_UNAVAILABLE, "no more deliveries are taken");
        }
        let (delivery, reply) = match body {
            Ok((bytes, arrived)) => self.take(&head, &bytes, arrived),
            Err((status, limit)) => too_long(&head, status, limit),
        };
        // The printing has ended only if it failed, and that ends the program.
        let _ = self.heard.send(delivery).await;
        if let Some(delay) = self.manner.delay {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.stop.cancelled() => {}
            }
        }
        reply
    }

    fn take(&self, head: &Parts, bytes: &[u8], arrived: Timestamp) -> (Delivery, Reply) {
        let message = Message::read(&head.headers, bytes);
        let verified = self
            .manner
            .verifier
            .as_ref()
            .map(|verifier| verifier.verify(&head.headers, bytes, arrived).map(|v| (verifier, v)))
            .transpose();
        let latency = message.sent.and_then(|sent| Latency::between(sent, arrived));
        let delivery = |verdict, duplicates, status: StatusCode| Delivery {
            arrived,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            id: message.id.clone(),
            content: message.content,
            events: message.events,
            bytes: bytes.len() as u64,
            verdict,
            duplicates,
            status: status.as_u16(),
            latency,
        };
        match verified {
            Err(error) => {
                let (status, why) = (error.status(), error.to_string());
                let reply = Reply::problem(status, &why);
                (delivery(Verdict::Refused(why), 0, status), reply)
            }
            Ok(verified) => {
                let status = self.manner.status;
                let verdict = if verified.is_some() { Verdict::Right } else { Verdict::Unchecked };
                // Only what was taken is remembered as taken; a retry of the rest is no replay.
                if let Some((verifier, message)) = verified.filter(|_| status.is_success()) {
                    verifier.accepted(message, arrived);
                }
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let again = message.identities.iter().filter(|one| seen.again(**one)).count();
                (delivery(verdict, again as u64, status), answer(status))
            }
        }
    }
}

/// A delivery of which only the head is known.
fn too_long(head: &Parts, status: StatusCode, limit: usize) -> (Delivery, Reply) {
    let why = format!("the body is longer than {limit} bytes");
    let reply = Reply::problem(status, &why);
    let message = Message::read(&head.headers, b"");
    let delivery = Delivery {
        arrived: clock::wall(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        id: message.id,
        content: message.content,
        events: 0,
        bytes: 0,
        verdict: Verdict::Refused(why),
        duplicates: 0,
        status: status.as_u16(),
        latency: None,
    };
    (delivery, reply)
}

/// The answer that was asked for; an error is a problem document.
fn answer(status: StatusCode) -> Reply {
    if status.is_client_error() || status.is_server_error() {
        return Reply::problem(status, "this receiver was asked to fail");
    }
    let mut reply = Reply::no_content(Outcome::Useful);
    *reply.response.status_mut() = status;
    reply
}
