//! One client connection on hyper's connection API, dialled again when it is gone.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock;
use crate::wire::body;
use crate::wire::client::{Dial, ExchangeError, RESPONSE_LIMIT, Received};
use crate::wire::socket::CountedStream;

/// A connection that carries one exchange at a time.
///
/// Dropping it closes the socket.
#[derive(Debug)]
pub struct Connection {
    dial: Dial,
    host: HeaderValue,
    open: Option<Open>,
}

/// An open connection: the handle to send on, and the task that drives the socket.
#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    /// A connection that is dialled when it is first needed.
    #[must_use]
    pub fn new(dial: Dial) -> Connection {
        let host = host_header(dial.peer);
        Connection { dial, host, open: None }
    }

    /// Sends a request and waits for the whole response.
    ///
    /// A kept connection that the peer has closed meanwhile is dialled again, so long as
    /// nothing of the request was written: such a request is sent once, not retried.
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
        let mut request = request(method, path, headers, body);
        request.headers_mut().insert(HOST, self.host.clone());
        if !self.dial.keep_alive {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let began = clock::now();
        let timeout = self.dial.timeout;
        let result = tokio::time::timeout(timeout, self.send_and_receive(request))
            .await
            .unwrap_or(Err(ExchangeError::TimedOut(timeout)));
        match &result {
            Ok(received) => self.dial.tally.timed(received.arrived.since(began)),
            // Whatever state the connection is in, the next exchange must not inherit it.
            Err(_) => self.open = None,
        }
        if !self.dial.keep_alive {
            self.open = None;
        }
        result
    }

    async fn send_and_receive(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Received, ExchangeError> {
        let response = self.send(request).await?;
        let (head, incoming) = response.into_parts();
        let body = body::read(incoming, RESPONSE_LIMIT).await?;
        Ok(Received {
            status: head.status,
            headers: head.headers,
            body: body.bytes,
            arrived: body.arrived,
        })
    }

    async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ExchangeError> {
        loop {
            let reused = self.is_open().await;
            let sender = self.sender().await?;
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    // Never written: the peer closed the connection while it was idle.
                    Some(unsent) if reused => {
                        self.open = None;
                        request = unsent;
                    }
                    _ => return Err(ExchangeError::Broken(error.into_error().into())),
                },
            }
        }
    }

    /// Whether a connection is there and ready for another exchange.
    async fn is_open(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        let ready = open.sender.ready().await.is_ok();
        if !ready {
            self.open = None;
        }
        ready
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ExchangeError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => connect(&self.dial).await?,
        };
        Ok(&mut self.open.insert(open).sender)
    }
}

/// A response whose body, or whose upgraded connection, goes on after its head.
///
/// Dropping it closes the socket.
#[derive(Debug)]
pub struct Opened {
    /// The response; its body comes as the peer writes it.
    pub response: Response<Incoming>,
    _open: Open,
}

/// Fetches a path on a connection of its own, and waits for the head of the response.
///
/// # Errors
///
/// When no head has come in time. An error status is a response.
pub async fn open(
    dial: &Dial,
    path: PathAndQuery,
    headers: HeaderMap,
) -> Result<Opened, ExchangeError> {
    let mut request = request(Method::GET, path, headers, Bytes::new());
    request.headers_mut().insert(HOST, host_header(dial.peer));
    let opening = async {
        let mut open = connect(dial).await?;
        match open.sender.send_request(request).await {
            Ok(response) => Ok(Opened { response, _open: open }),
            Err(error) => Err(ExchangeError::Broken(error.into())),
        }
    };
    tokio::time::timeout(dial.timeout, opening)
        .await
        .unwrap_or(Err(ExchangeError::TimedOut(dial.timeout)))
}

fn request(
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = headers;
    request
}

async fn connect(dial: &Dial) -> Result<Open, ExchangeError> {
    let unreachable = |source| ExchangeError::Unreachable { peer: dial.peer, source };
    let stream = TcpStream::connect(dial.peer).await.map_err(unreachable)?;
    let stream = CountedStream::new(stream, dial.tally.clone()).map_err(unreachable)?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ExchangeError::Broken(error.into()))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // How a connection ended is seen by the exchange it carried.
        let _ = connection.with_upgrades().await;
    });
    Ok(Open { sender, _driver: driver })
}

fn host_header(peer: SocketAddr) -> HeaderValue {
    HeaderValue::try_from(peer.to_string()).expect("an address is a valid header value")
}
