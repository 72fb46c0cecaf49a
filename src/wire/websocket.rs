//! WebSockets (RFC 6455): the opening handshake over HTTP/1.1, and messages over what it opens.
//!
//! Frames are the work of `tokio-websockets`. No subprotocol and no extension is offered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_websockets::{
    ClientBuilder, CloseCode, Limits, Message as Frame, ServerBuilder, WebSocketStream,
};

use crate::clock::{self, Moment};
use crate::wire::body::ReceivedBody;
use crate::wire::bounds::{SOCKET_SERVER_LIMIT, STREAM_LIMIT};
use crate::wire::client::{Dial, ExchangeError};
use crate::wire::connection;
use crate::wire::reply::Reply;
use crate::wire::tally::Outcome;

/// How long the closing handshake may take.
const CLOSING: Duration = Duration::from_secs(2);

/// The version of the protocol (RFC 6455, 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// What a peer said.
#[derive(Clone, Debug)]
pub enum Message {
    /// A text message.
    Text(ReceivedBody),
    /// A binary message.
    Binary(ReceivedBody),
    /// A ping; it is answered without further ado.
    Ping,
}

/// The connection broke, or the peer broke the protocol.
#[derive(Debug, thiserror::Error)]
#[error("the WebSocket broke")]
pub struct SocketError(#[from] tokio_websockets::Error);

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    frames: WebSocketStream<Stamped<TokioIo<Upgraded>>>,
}

impl Socket {
    /// Opens a WebSocket as a client.
    ///
    /// # Errors
    ///
    /// When there is no answer in time, or it does not accept the WebSocket.
    pub async fn open(dial: &Dial, path: PathAndQuery) -> Result<Socket, ExchangeError> {
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
        headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
        let value = HeaderValue::try_from(&key).expect("base64 is a valid header value");
        headers.insert(SEC_WEBSOCKET_KEY, value);
        let opened = connection::open(dial, path, headers).await?;
        let (status, headers) = (opened.response.status(), opened.response.headers());
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ExchangeError::NoStream(format!("the server answered {status}")));
        }
        let accepted = names(headers, &UPGRADE, "websocket")
            && names(headers, &CONNECTION, "upgrade")
            && headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|value| *value == acceptance(&key));
        if !accepted {
            let detail = "the server did not accept the WebSocket".to_owned();
            return Err(ExchangeError::NoStream(detail));
        }
        let broken = |error: hyper::Error| ExchangeError::Broken(error.into());
        let upgraded = hyper::upgrade::on(opened.response);
        let upgraded = tokio::time::timeout(dial.timeout, upgraded)
            .await
            .map_err(|_| ExchangeError::TimedOut(dial.timeout))?
            .map_err(broken)?;
        let limits = Limits::default().max_payload_len(Some(STREAM_LIMIT));
        let stream = Stamped::new(TokioIo::new(upgraded));
        Ok(Socket { frames: ClientBuilder::new().limits(limits).take_over(stream) })
    }

    /// Waits for the next message; `None` when the WebSocket is closed. Cancel safe.
    ///
    /// Pongs and the closing handshake are seen to on the way.
    ///
    /// # Errors
    ///
    /// When the connection broke, or the peer broke the protocol or sent too long a message.
    pub async fn next(&mut self) -> Result<Option<Message>, SocketError> {
        loop {
            // The answer to a ping goes out before another is read: they must not pile up.
            self.frames.flush().await?;
            let Some(frame) = self.frames.next().await.transpose()? else { return Ok(None) };
            if frame.is_ping() {
                return Ok(Some(Message::Ping));
            }
            let (is_text, is_binary) = (frame.is_text(), frame.is_binary());
            // Nothing is read while a whole message is there, so its last byte came with the
            // last read.
            let arrived = self.frames.get_ref().arrived;
            let body = ReceivedBody { bytes: frame.into_payload().into(), arrived };
            if is_text {
                return Ok(Some(Message::Text(body)));
            }
            if is_binary {
                return Ok(Some(Message::Binary(body)));
            }
        }
    }

    /// Puts a text message, which must be UTF-8, behind those that wait to be written; waits
    /// while many do.
    ///
    /// # Errors
    ///
    /// When the connection broke or is closed.
    pub async fn feed(&mut self, text: Vec<u8>) -> Result<(), SocketError> {
        Ok(self.frames.feed(Frame::text(text)).await?)
    }

    /// Puts a ping behind the messages that wait to be written.
    ///
    /// # Errors
    ///
    /// When the connection broke or is closed.
    pub async fn feed_ping(&mut self) -> Result<(), SocketError> {
        Ok(self.frames.feed(Frame::ping("")).await?)
    }

    /// Writes all messages that wait.
    ///
    /// # Errors
    ///
    /// When the connection broke or is closed.
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        Ok(self.frames.flush().await?)
    }

    /// Closes the WebSocket because this side goes away, and waits briefly for the peer to
    /// agree; what it says until then goes to `hear`.
    pub async fn close(mut self, mut hear: impl FnMut(Message)) {
        let closing = async {
            let goodbye = Frame::close(Some(CloseCode::GOING_AWAY), "");
            // Whoever is gone already needs no goodbye.
            let _ = self.frames.send(goodbye).await;
            while let Ok(Some(message)) = self.next().await {
                hear(message);
            }
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}

/// A handshake that was answered, and whose connection has yet to change hands.
#[derive(Debug)]
pub struct Handshake(OnUpgrade);

impl Handshake {
    /// Answers a client's request for a WebSocket; without a handshake it was refused.
    pub fn answer(request: &mut Request<Incoming>) -> (Reply, Option<Handshake>) {
        let headers = request.headers();
        if !names(headers, &UPGRADE, "websocket") || !names(headers, &CONNECTION, "upgrade") {
            let mut reply = Reply::problem(
                StatusCode::UPGRADE_REQUIRED,
                "this path speaks the WebSocket protocol: ask for `Upgrade: websocket`",
            );
            let headers = reply.response.headers_mut();
            headers.insert(UPGRADE, WEBSOCKET);
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            return (reply, None);
        }
        if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            let mut reply = Reply::problem(
                StatusCode::UPGRADE_REQUIRED,
                "only version 13 of the WebSocket protocol is spoken here",
            );
            reply.response.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
            return (reply, None);
        }
        let Some(key) = client_key(headers) else {
            let detail = "`Sec-WebSocket-Key` must be 16 bytes in base64";
            return (Reply::problem(StatusCode::BAD_REQUEST, detail), None);
        };
        let mut reply = Reply::no_content(Outcome::Stream);
        *reply.response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let answers = reply.response.headers_mut();
        answers.insert(UPGRADE, WEBSOCKET);
        answers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        answers.insert(SEC_WEBSOCKET_ACCEPT, acceptance(key));
        (reply, Some(Handshake(hyper::upgrade::on(request))))
    }

    /// Waits until the answer is written, and takes the connection over.
    ///
    /// # Errors
    ///
    /// When the client is gone.
    pub async fn complete(self) -> Result<Socket, ExchangeError> {
        let upgraded = self.0.await.map_err(|error| ExchangeError::Broken(error.into()))?;
        let limits = Limits::default().max_payload_len(Some(SOCKET_SERVER_LIMIT));
        let stream = Stamped::new(TokioIo::new(upgraded));
        Ok(Socket { frames: ServerBuilder::new().limits(limits).serve(stream) })
    }
}

/// Whether a header's list of words has this one.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

fn client_key(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    STANDARD.decode(key).ok().filter(|nonce| nonce.len() == 16).map(|_| key)
}

/// What proves that a server understood the key (RFC 6455, 4.2.2).
fn acceptance(key: &str) -> HeaderValue {
    let mut digest = sha1_smol::Sha1::from(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let encoded = STANDARD.encode(digest.digest().bytes());
    HeaderValue::try_from(encoded).expect("base64 is a valid header value")
}

/// A connection that remembers when bytes last came out of it.
#[derive(Debug)]
struct Stamped<S> {
    stream: S,
    arrived: Moment,
}

impl<S> Stamped<S> {
    fn new(stream: S) -> Stamped<S> {
        Stamped { stream, arrived: clock::now() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.arrived = clock::now();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stamped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{acceptance, client_key, names};
    use http::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY};

    #[test]
    fn a_key_is_accepted_as_in_the_standards_example() {
        assert_eq!(acceptance("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_that_are_not_sixteen_bytes_are_refused() {
        let read = |key: &'static str| {
            let headers =
                HeaderMap::from_iter([(SEC_WEBSOCKET_KEY, HeaderValue::from_static(key))]);
            client_key(&headers).is_some()
        };
        assert!(read("dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(!read("dGhlIHNhbXBsZSBub25j") && !read("") && !read("no base64 at all"));
    }

    #[test]
    fn words_are_found_in_lists_of_any_case() {
        let value = HeaderValue::from_static("keep-alive, upgrade");
        let headers = HeaderMap::from_iter([(CONNECTION, value)]);
        assert!(names(&headers, &CONNECTION, "Upgrade"));
        assert!(!names(&headers, &CONNECTION, "up"));
    }
}
