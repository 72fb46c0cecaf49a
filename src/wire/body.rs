//! Message bodies: read whole, within a limit, and stamped when complete.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::clock::{self, Moment};
use crate::wire::bounds::BODY_TIMEOUT;
use crate::wire::room::{BODIES, NoRoom, Share};

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
    /// Too much is under way from all clients together.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
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
/// As [`receive_within`], and when clients are sending more at once than there is room for.
pub async fn receive<B>(body: B, limit: usize) -> Result<ReceivedBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    in_time(gather(body, limit, Some(BODIES.share())), BODY_TIMEOUT).await
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
    in_time(read(body, limit), timeout).await
}

async fn in_time(
    reading: impl Future<Output = Result<ReceivedBody, BodyError>>,
    timeout: Duration,
) -> Result<ReceivedBody, BodyError> {
    let reading = tokio::time::timeout(timeout, reading);
    reading.await.unwrap_or(Err(BodyError::TooSlow(timeout)))
}

/// Reads a body to its end.
///
/// # Errors
///
/// When it is longer than `limit` bytes or its connection breaks.
pub async fn read<B>(body: B, limit: usize) -> Result<ReceivedBody, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    gather(body, limit, None).await
}

/// Reads a body to its end, and takes its share of the room for what is more than one piece: the
/// first is no larger than what is read from a connection at once.
async fn gather<B>(
    mut body: B,
    limit: usize,
    mut share: Option<Share<'_>>,
) -> Result<ReceivedBody, BodyError>
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
            if let Some(share) = &mut share {
                share.more(data.len())?;
            }
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
    use super::{BodyError, gather, read};
    use crate::wire::room::{NoRoom, Room};
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
    async fn bodies_beyond_what_there_is_room_for_are_refused_until_there_is_some() {
        let room = Room::new(10);
        let gathered = |pieces: [&'static str; 2]| {
            let pieces = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece.into())));
            gather(StreamBody::new(stream::iter(pieces)), 100, Some(room.share()))
        };
        let mut other = room.share();
        other.more(6).expect("room");
        let refused = gathered(["first", "12345"]).await;
        assert!(matches!(refused, Err(BodyError::NoRoom(NoRoom { limit: 10 }))), "{refused:?}");
        assert!(gathered(["first", "1234"]).await.is_ok());
        drop(other);
        assert!(gathered(["first", "1234567890"]).await.is_ok());
        // All of it is given back.
        room.share().more(10).expect("room");
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let body = Full::new(Bytes::from_static(b"12345"));
        assert!(matches!(read(body.clone(), 4).await, Err(BodyError::TooLong { limit: 4 })));
        assert!(read(body, 5).await.is_ok());
    }
}
