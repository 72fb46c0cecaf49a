//! Message bodies: read whole, within a limit, and stamped when complete.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::clock::{self, Moment};

/// How long a client may take to send a request's body, from the end of its header on.
///
/// The largest one accepted is a few kilobytes; over the longest round trip it takes a
/// few seconds.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A complete message body.
#[derive(Clone, Debug)]
pub struct ReceivedBody {
    /// Its bytes.
    pub bytes: Bytes,
    /// When the last of them was in the process's hands.
    pub arrived: Moment,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the reader takes.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The most the reader takes.
        limit: usize,
    },
    /// The client did not send it in time.
    #[error("the body was not complete within {0:?}")]
    TooSlow(Duration),
    /// The connection broke before the end.
    #[error("the body broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// Reads the body of a request, which must be complete within [`BODY_TIMEOUT`].
///
/// # Errors
///
/// As [`receive_within`].
pub async fn receive<B>(body: B, limit: usize) -> Result<ReceivedBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    receive_within(body, limit, BODY_TIMEOUT).await
}

/// Reads a body to its end, which must come in time.
///
/// # Errors
///
/// When it is longer than `limit` bytes, its connection breaks, or it takes longer than `timeout`.
pub async fn receive_within<B>(
    body: B,
    limit: usize,
    timeout: Duration,
) -> Result<ReceivedBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let reading = tokio::time::timeout(timeout, read(body, limit));
    reading.await.unwrap_or(Err(BodyError::TooSlow(timeout)))
}

/// Reads a body to its end.
///
/// # Errors
///
/// When it is longer than `limit` bytes or its connection breaks.
pub async fn read<B>(mut body: B, limit: usize) -> Result<ReceivedBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(BodyError::TooLong { limit });
        }
        // Most bodies come in one piece, which need not be copied.
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    let arrived = clock::now();
    let bytes = if rest.is_empty() { first } else { [&first[..], &rest[..]].concat().into() };
    Ok(ReceivedBody { bytes, arrived })
}

#[cfg(test)]
mod tests {
    use super::{BodyError, read};
    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        let pieces = ["one ", "two ", "three"]
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
        let body = read(StreamBody::new(stream::iter(pieces)), 100).await.expect("a whole body");
        assert_eq!(&body.bytes[..], b"one two three");
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let body = Full::new(Bytes::from_static(b"12345"));
        assert!(matches!(read(body.clone(), 4).await, Err(BodyError::TooLong { limit: 4 })));
        assert!(read(body, 5).await.is_ok());
    }
}
