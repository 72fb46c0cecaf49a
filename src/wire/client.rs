//! HTTP clients: what a subscriber polls with.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::clock::{self, Moment};
use crate::incident::Connections;
use crate::wire::auth::{Credentials, Fetch, Presenter, Step, TOKEN_PATH, TokenError};
use crate::wire::body::BodyError;
use crate::wire::bounds::ANSWER_LIMIT;
use crate::wire::connection::Connection;
use crate::wire::integrator::Integrator;
use crate::wire::link::HttpVersion;
use crate::wire::pacing::Advice;
use crate::wire::socket::{CountedStream, SocketOptions};
use crate::wire::tally::{Outcome, Tally};
use crate::wire::tls::Dialler;
use crate::wire::trouble::Trouble;

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
    /// What its host is called, where it is not called by its address.
    pub name: Option<String>,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// The version of HTTP.
    pub http: HttpVersion,
    /// Whom to trust, if exchanges go over TLS.
    pub tls: Option<Dialler>,
    /// What proves to the server who asks.
    pub presenter: Presenter,
    /// The longest an exchange may take, dialling included.
    pub timeout: Duration,
    /// The longest response body that is taken, in bytes.
    pub longest_response: usize,
    /// How TCP behaves.
    pub options: SocketOptions,
    /// What counts connections, bytes and time.
    pub tally: Tally,
    /// The incidents that befall whoever dials.
    pub trouble: Option<Trouble>,
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
        if self.is_kept_from_dialling() {
            return Err(unreachable(io::ErrorKind::NetworkDown.into()));
        }
        let stream = TcpStream::connect(self.peer).await.map_err(unreachable)?;
        let (tally, trouble) = (self.tally.clone(), self.trouble.as_ref());
        let stream = CountedStream::new(stream, tally, self.options, trouble);
        let stream = stream.map_err(unreachable)?;
        match &self.tls {
            None => Ok(Either::Left(stream)),
            Some(tls) => match tls.connect(self.server_name()?, stream, &self.tally).await {
                Ok(stream) => Ok(Either::Right(stream)),
                Err(source) => Err(ExchangeError::Untrusted { peer: self.peer, source }),
            },
        }
    }

    /// Whether an incident lets nobody on this side dial.
    pub(crate) fn is_kept_from_dialling(&self) -> bool {
        self.trouble.as_ref().and_then(Trouble::door) == Some(Connections::Refused)
    }

    /// Adds to a request what proves who asks, and returns it; fetches a token first where one
    /// is needed, over a connection of its own.
    ///
    /// # Errors
    ///
    /// When the server issues no token.
    pub(crate) async fn present(
        &self,
        headers: &mut HeaderMap,
    ) -> Result<Option<Credentials>, ExchangeError> {
        loop {
            match self.presenter.step(clock::wall()) {
                Step::Send(credentials) => {
                    if let Some((name, value)) = &credentials {
                        headers.insert(name, value.clone());
                    }
                    return Ok(credentials);
                }
                Step::Wait => self.presenter.settled().await,
                // Seldom, and large: it must not make every exchange's future as large.
                Step::Fetch(fetch) => Box::pin(self.fetch_token(fetch)).await?,
            }
        }
    }

    async fn fetch_token(&self, fetch: Fetch) -> Result<(), ExchangeError> {
        let (headers, body) = fetch.request();
        let path = PathAndQuery::from_static(TOKEN_PATH);
        let dial = Dial { longest_response: ANSWER_LIMIT, ..self.clone() };
        let mut connection = Connection::new(dial);
        let exchanged = connection.exchange(Method::POST, path, headers, body).await;
        let kept = exchanged.and_then(|received| {
            fetch.finish(received.status, &received.body).map_err(ExchangeError::NoToken)
        });
        // A token carries no event.
        self.tally.exchanged(if kept.is_ok() { Outcome::Overhead } else { Outcome::Failed });
        kept
    }

    /// The peer as URLs and the `Host` header name it.
    pub(crate) fn authority(&self) -> String {
        match &self.name {
            None => self.peer.to_string(),
            Some(name) => format!("{name}:{}", self.peer.port()),
        }
    }

    /// What a certificate of the peer's must be for.
    fn server_name(&self) -> Result<ServerName<'static>, ExchangeError> {
        let Some(name) = &self.name else { return Ok(ServerName::from(self.peer.ip())) };
        ServerName::try_from(name.clone()).map_err(|error| ExchangeError::Untrusted {
            peer: self.peer,
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        })
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
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("no secure connection to {peer}")]
    Untrusted {
        /// Who was dialled.
        peer: SocketAddr,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The exchange took longer than allowed.
    #[error("no complete response within {0:?}")]
    TimedOut(Duration),
    /// The connection broke or the peer did not speak HTTP.
    #[error("the exchange broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer issued no token.
    #[error("no token was issued")]
    NoToken(#[source] TokenError),
    /// The peer answered, but not with a stream.
    #[error("no stream was opened: {0}")]
    NoStream(String),
    /// The response body was too long or broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A client of either kind.
#[derive(Debug)]
pub struct Client {
    dial: Dial,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Reqwest(Integrator),
    /// Boxed since it is much the larger.
    Hyper(Box<Connection>),
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    ///
    /// When `reqwest` cannot be set up.
    pub fn new(kind: ClientKind, dial: Dial) -> Result<Client, ExchangeError> {
        let engine = match kind {
            ClientKind::Reqwest => Engine::Reqwest(Integrator::new(dial.clone())?),
            ClientKind::Hyper => Engine::Hyper(Box::new(Connection::new(dial.clone()))),
        };
        Ok(Client { dial, engine })
    }

    /// Sends a request, with what proves who asks, and waits for the whole response.
    ///
    /// # Errors
    ///
    /// When there is no complete response in time. An error status is a response.
    pub async fn exchange(
        &mut self,
        method: Method,
        path: PathAndQuery,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Received, ExchangeError> {
        let shown = self.dial.present(&mut headers).await?;
        let received = match &mut self.engine {
            Engine::Reqwest(client) => client.exchange(method, &path, headers, body).await,
            Engine::Hyper(client) => client.exchange(method, path, headers, body).await,
        }?;
        if let Some(shown) = shown.filter(|_| received.status == StatusCode::UNAUTHORIZED) {
            self.dial.presenter.refused(&shown);
        }
        Ok(received)
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
