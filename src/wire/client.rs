//! HTTP clients: what a subscriber polls with.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::clock::{self, Moment};
use crate::wire::body::BodyError;
use crate::wire::connection::Connection;
use crate::wire::integrator::Integrator;
use crate::wire::link::HttpVersion;
use crate::wire::pacing::Advice;
use crate::wire::socket::CountedStream;
use crate::wire::tally::Tally;
use crate::wire::tls::Dialler;

/// The longest response body a client takes, in bytes: a full page of the largest events.
pub const RESPONSE_LIMIT: usize = 1 << 30;

/// Which client polls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// What an integrator would write: `reqwest` with a connection pool.
    #[default]
    Reqwest,
    /// The floor: `hyper`'s connection API with nothing around it.
    Hyper,
}

/// Where and how a client connects.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The server's address.
    pub peer: SocketAddr,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// The version of HTTP.
    pub http: HttpVersion,
    /// Whom to trust, if exchanges go over TLS.
    pub tls: Option<Dialler>,
    /// The longest an exchange may take, dialling included.
    pub timeout: Duration,
    /// What counts connections, bytes and time.
    pub tally: Tally,
}

/// A connection as a client holds it: bytes are counted below TLS, as they cross the wire.
pub type Stream = Either<CountedStream, TlsStream<CountedStream>>;

impl Dial {
    /// Opens a connection, over TLS if there is to be TLS.
    ///
    /// # Errors
    ///
    /// When nobody answers, or a server that answers cannot be trusted.
    pub async fn connect(&self) -> Result<Stream, ExchangeError> {
        let unreachable = |source| ExchangeError::Unreachable { peer: self.peer, source };
        let stream = TcpStream::connect(self.peer).await.map_err(unreachable)?;
        let stream = CountedStream::new(stream, self.tally.clone()).map_err(unreachable)?;
        match &self.tls {
            None => Ok(Either::Left(stream)),
            Some(tls) => match tls.connect(self.peer, stream, &self.tally).await {
                Ok(stream) => Ok(Either::Right(stream)),
                Err(source) => Err(ExchangeError::Untrusted { peer: self.peer, source }),
            },
        }
    }

    /// The scheme of URLs that lead to the peer.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When the last byte was in the process's hands.
    pub arrived: Moment,
}

impl Received {
    /// When the server would have the next request.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::read(&self.headers, clock::wall())
    }
}

/// Why an exchange came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection could be made.
    #[error("no connection to {peer}")]
    Unreachable {
        /// Who was dialled.
        peer: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The TLS handshake failed.
    #[error("no secure connection to {peer}")]
    Untrusted {
        /// Who was dialled.
        peer: SocketAddr,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// The exchange took longer than allowed.
    #[error("no complete response within {0:?}")]
    TimedOut(Duration),
    /// The connection broke or the peer did not speak HTTP.
    #[error("the exchange broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer answered, but not with a stream.
    #[error("no stream was opened: {0}")]
    NoStream(String),
    /// The response body was too long or broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A client of either kind.
#[derive(Debug)]
pub enum Client {
    /// `reqwest`.
    Reqwest(Integrator),
    /// `hyper`; boxed since it is much the larger.
    Hyper(Box<Connection>),
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    ///
    /// When `reqwest` cannot be set up.
    pub fn new(kind: ClientKind, dial: Dial) -> Result<Client, ExchangeError> {
        Ok(match kind {
            ClientKind::Reqwest => Client::Reqwest(Integrator::new(dial)?),
            ClientKind::Hyper => Client::Hyper(Box::new(Connection::new(dial))),
        })
    }

    /// Sends a request and waits for the whole response.
    ///
    /// # Errors
    ///
    /// When there is no complete response in time. An error status is a response.
    pub async fn exchange(
        &mut self,
        method: Method,
        path: PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Received, ExchangeError> {
        match self {
            Client::Reqwest(client) => client.exchange(method, &path, headers, body).await,
            Client::Hyper(client) => client.exchange(method, path, headers, body).await,
        }
    }

    /// Fetches a path.
    ///
    /// # Errors
    ///
    /// As [`Client::exchange`].
    pub async fn get(&mut self, path: PathAndQuery) -> Result<Received, ExchangeError> {
        self.exchange(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }
}
