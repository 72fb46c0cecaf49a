//! Answers to requests, and what they count as.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Body;
use serde_json::json;

use crate::wire::body::BodyError;
use crate::wire::room::ANSWERS;
use crate::wire::tally::Outcome;
use crate::wire::validator::EntityTag;

/// A response's body: complete, or a stream.
pub type ReplyBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// A response and what its exchange counts as.
#[derive(Debug)]
pub struct Reply {
    /// What goes back to the client.
    pub response: Response<ReplyBody>,
    /// What the exchange counts as.
    pub outcome: Outcome,
}

impl Reply {
    /// A response with a body.
    #[must_use]
    pub fn with_body(
        status: StatusCode,
        media_type: &'static str,
        body: Bytes,
        outcome: Outcome,
    ) -> Reply {
        let mut response = Response::new(Either::Left(Full::new(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Reply { response, outcome }
    }

    /// A response whose body may be large: as long as it is under way it takes its share of the room
    /// for all of them, and 503 is the answer if there is none.
    #[must_use]
    pub fn with_large_body(
        status: StatusCode,
        media_type: &'static str,
        body: Vec<u8>,
        outcome: Outcome,
    ) -> Reply {
        match ANSWERS.hold(body) {
            Ok(body) => Reply::with_body(status, media_type, body, outcome),
            Err(error) => Reply::problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }

    /// A 204 response.
    #[must_use]
    pub fn no_content(outcome: Outcome) -> Reply {
        let mut response = Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        Reply { response, outcome }
    }

    /// A 304 response: the client holds the newest representation, which this tag names.
    #[must_use]
    pub fn not_modified(tag: &EntityTag) -> Reply {
        let mut response = Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        Reply { response, outcome: Outcome::NotModified }.with_header(ETAG, tag.value())
    }

    /// The same with the tag of what it holds, unless it is a failure and holds nothing of it.
    #[must_use]
    pub fn tagged(self, tag: &EntityTag) -> Reply {
        if self.response.status().is_success() { self.with_header(ETAG, tag.value()) } else { self }
    }

    /// The same with a header more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        self.response.headers_mut().insert(name, value);
        self
    }

    /// A 202 response: what was asked for will be done.
    #[must_use]
    pub fn accepted(outcome: Outcome) -> Reply {
        let mut reply = Reply::no_content(outcome);
        *reply.response.status_mut() = StatusCode::ACCEPTED;
        reply
    }

    /// A response whose body is written as events come.
    #[must_use]
    pub fn stream<B>(media_type: &'static str, body: B) -> Reply
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let mut response = Response::new(Either::Right(body.boxed_unsync()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Reply { response, outcome: Outcome::Stream }
    }

    /// The answer to a request whose body could not be read.
    #[must_use]
    pub fn unreadable(error: &BodyError) -> Reply {
        let status = match error {
            BodyError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::NoRoom(_) => StatusCode::SERVICE_UNAVAILABLE,
            BodyError::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Reply::problem(status, &error.to_string())
    }

    /// The same answer to a HEAD request: it succeeds or fails alike, but carries no event.
    ///
    /// The body stays, for the headers that describe it; hyper does not send it.
    #[must_use]
    pub(crate) fn without_events(self) -> Reply {
        let outcome = match self.outcome {
            Outcome::Useful | Outcome::Empty | Outcome::Stream => Outcome::Overhead,
            Outcome::NotModified | Outcome::RateLimited | Outcome::Failed | Outcome::Overhead => {
                self.outcome
            }
        };
        Reply { outcome, ..self }
    }

    /// A failure as a problem document (RFC 9457).
    #[must_use]
    pub fn problem(status: StatusCode, detail: &str) -> Reply {
        let document = json!({
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "detail": detail,
        });
        let body = document.to_string().into();
        Reply::with_body(status, "application/problem+json", body, Outcome::Failed)
    }
}
