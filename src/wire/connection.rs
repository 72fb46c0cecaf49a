//! One client connection on hyper's connection API, dialled again when it is gone.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::clock;
use crate::wire::body;
use crate::wire::client::{Dial, ExchangeError, Received};
use crate::wire::link::HttpVersion;
use crate::wire::tasks::Tasks;

/// A connection that carries one exchange at a time.
///
/// Dropping it closes the socket.
#[derive(Debug)]
pub struct Connection {
    dial: Dial,
    host: Authority,
    open: Option<Open>,
}

/// An open connection: the handle to send on, and the task that drives the socket.
#[derive(Debug)]
struct Open {
    sender: Sender,
    _driver: JoinSet<()>,
    _tasks: Tasks,
}

/// The handle of either version.
#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn ready(&mut self) -> bool {
        match self {
            Sender::One(sender) => sender.ready().await.is_ok(),
            Sender::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        match self {
            Sender::One(sender) => sender.try_send_request(request).await,
            Sender::Two(sender) => sender.try_send_request(request).await,
        }
    }
}

impl Connection {
    /// A connection that is dialled when it is first needed.
    #[must_use]
    pub fn new(dial: Dial) -> Connection {
        let host = host(&dial);
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
        let request = request(&self.dial, &self.host, method, path, headers, body);
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
        let body = body::read(incoming, self.dial.longest_response).await?;
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
            match sender.send(request).await {
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
        let ready = open.sender.ready().await;
        if !ready {
            self.open = None;
        }
        ready
    }

    async fn sender(&mut self) -> Result<&mut Sender, ExchangeError> {
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
    mut headers: HeaderMap,
) -> Result<Opened, ExchangeError> {
    let opening = async {
        dial.present(&mut headers).await?;
        let request = request(dial, &host(dial), Method::GET, path, headers, Bytes::new());
        let mut open = connect(dial).await?;
        match open.sender.send(request).await {
            Ok(response) => Ok(Opened { response, _open: open }),
            Err(error) => Err(ExchangeError::Broken(error.into_error().into())),
        }
    };
    tokio::time::timeout(dial.timeout, opening)
        .await
        .unwrap_or(Err(ExchangeError::TimedOut(dial.timeout)))
}

/// A request that says where it goes as its version of HTTP does.
fn request(
    dial: &Dial,
    host: &Authority,
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    match dial.http {
        HttpVersion::One => {
            *request.uri_mut() = Uri::from(path);
            let host = HeaderValue::try_from(host.as_str());
            let host = host.expect("an address is a valid header value");
            request.headers_mut().insert(HOST, host);
            // An upgrade has a `Connection` of its own.
            if !dial.keep_alive && !request.headers().contains_key(CONNECTION) {
                request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        HttpVersion::Two => {
            let uri = Uri::builder().scheme(dial.scheme()).authority(host.clone());
            let uri = uri.path_and_query(path).build();
            *request.uri_mut() = uri.expect("all parts of the URI are there");
        }
    }
    request
}

fn host(dial: &Dial) -> Authority {
    Authority::try_from(dial.authority()).expect("an address or a plain name is an authority")
}

async fn connect(dial: &Dial) -> Result<Open, ExchangeError> {
    let stream = TokioIo::new(dial.connect().await?);
    let broken = |error: hyper::Error| ExchangeError::Broken(error.into());
    let (mut driver, tasks) = (JoinSet::new(), Tasks::default());
    // How a connection ended is seen by the exchange it carried.
    let sender = match dial.http {
        HttpVersion::One => {
            let (sender, connection) = http1::handshake(stream).await.map_err(broken)?;
            driver.spawn(async move {
                let _ = connection.with_upgrades().await;
            });
            Sender::One(sender)
        }
        HttpVersion::Two => {
            let spawner = tasks.spawner();
            let (sender, connection) = http2::handshake(spawner, stream).await.map_err(broken)?;
            driver.spawn(async move {
                let _ = connection.await;
            });
            Sender::Two(sender)
        }
    };
    Ok(Open { sender, _driver: driver, _tasks: tasks })
}
