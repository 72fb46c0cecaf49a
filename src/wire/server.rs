//! The server loop: accepts connections, answers requests, counts exchanges.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::VIA;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::fault::Fault;
use crate::wire::delay::{Path, delayed};
use crate::wire::guard::Guard;
use crate::wire::link::{HttpVersion, Line};
use crate::wire::reply::{Reply, ReplyBody};
use crate::wire::routes::Routes;
use crate::wire::socket::CountedStream;
use crate::wire::tally::{Outcome, Tally};
use crate::wire::tasks::Tasks;

/// How long open exchanges may take to finish after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// The longest request header accepted, in bytes.
const HEADER_LIMIT: u32 = 16 * 1024;

/// The longest path and query accepted, in bytes; RFC 9110 (4.1) asks for at least so much.
const URL_LIMIT: usize = 8_000;

/// The most connections a listener holds open at once; a further one is closed at once.
///
/// More than the ports one loopback client has, so that no scenario meets it.
const MOST_CONNECTIONS: usize = 65_536;

/// Serves connections until `stop`, then waits briefly for exchanges still under way.
///
/// # Errors
///
/// When the system refuses to accept more connections, for want of file descriptors say.
/// A single connection that breaks is no error; an exchange under way on it counts as failed.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    line: Line,
    stop: CancellationToken,
) -> io::Result<()> {
    serve_at_most(MOST_CONNECTIONS, listener, routes, line, stop).await
}

async fn serve_at_most(
    most: usize,
    listener: TcpListener,
    routes: Routes,
    line: Line,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut open = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => {
                // A panic in a handler is a fault of the program, not of the connection.
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            }
            accepted = listener.accept() => match accepted {
                Ok(_) if open.len() >= most => line.tally.exchanged(Outcome::Failed),
                Ok((stream, _peer)) => {
                    let attended =
                        attend(stream, number, routes.clone(), line.clone(), stop.clone());
                    open.spawn(attended);
                    number += 1;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    drop(listener);
    // What is still open after the grace period is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, open.join_all()).await;
    Ok(())
}

/// Errors of `accept` that concern only the connection being accepted (`man 2 accept`).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Attends to one connection, over a delay line if there is one.
async fn attend(
    stream: TcpStream,
    number: u32,
    routes: Routes,
    line: Line,
    stop: CancellationToken,
) {
    let Ok(stream) = CountedStream::new(stream, line.tally.clone(), line.options()) else {
        return;
    };
    match &line.delay {
        None => secure(stream, routes, line, stop).await,
        Some(delay) => {
            let path = Path::new(delay, clock::now(), number);
            let Ok((near, carrying)) = delayed(stream, path) else {
                return;
            };
            // A client that is gone is noticed by whoever answers it.
            let (_, ()) = tokio::join!(carrying, secure(near, routes, line, stop));
        }
    }
}

/// Answers the requests of one connection, over TLS if there is to be TLS.
async fn secure<S>(stream: S, routes: Routes, line: Line, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = line.tls.clone() else {
        return answer(stream, routes, line, stop).await;
    };
    let accepted = tokio::select! {
        accepted = tls.accept(stream, &line.tally) => accepted,
        () = stop.cancelled() => return,
    };
    match accepted {
        Ok(stream) => answer(stream, routes, line, stop).await,
        // It is no TLS, or the client trusts somebody else.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            line.tally.exchanged(Outcome::Failed);
        }
        Err(_) => {}
    }
}

/// Answers the requests of one connection.
async fn answer<S>(stream: S, routes: Routes, line: Line, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tally = line.tally;
    let service = service_fn(|mut request: Request<Incoming>| {
        if line.fault == Some(Fault::Middleman) {
            request.headers_mut().insert(VIA, HeaderValue::from_static("1.1 planted"));
        }
        if is_handled(&request, line.link.http) {
            tally.middleman();
        }
        reply(request, routes.clone(), line.guard.clone(), tally.clone())
    });
    let stream = TokioIo::new(stream);
    let tasks = Tasks::default();
    let ended = match line.link.http {
        HttpVersion::One => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                // So long may a connection take to send a request's header, waiting for it included.
                .header_read_timeout(line.link.idle_timeout)
                .max_header_size(HEADER_LIMIT as usize)
                .serve_connection(stream, service)
                .with_upgrades();
            let mut connection = pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
        HttpVersion::Two => {
            let connection = http2::Builder::new(tasks.spawner())
                .timer(TokioTimer::new())
                .max_header_list_size(HEADER_LIMIT)
                .serve_connection(stream, service);
            let mut connection = pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if ended.is_err_and(|error| is_malformed(&error)) {
        tally.exchanged(Outcome::Failed);
    }
}

/// Whether somebody between the two ends has handled a request: it bears the marks of a proxy, or
/// is not in the version of HTTP that the link speaks.
fn is_handled(request: &Request<Incoming>, spoken: HttpVersion) -> bool {
    let marks = ["via", "forwarded", "x-forwarded-for"];
    let expected = match spoken {
        HttpVersion::One => Version::HTTP_11,
        HttpVersion::Two => Version::HTTP_2,
    };
    request.version() != expected || marks.iter().any(|mark| request.headers().contains_key(*mark))
}

/// Answers a request and counts the exchange.
async fn reply(
    request: Request<Incoming>,
    routes: Routes,
    guard: Option<Arc<Guard>>,
    tally: Tally,
) -> Result<Response<ReplyBody>, Infallible> {
    let (denials, counted) = (tally.clone(), Unfinished::new(tally));
    let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let reply = if path.len() > URL_LIMIT {
        let detail = format!("a path and query have at most {URL_LIMIT} bytes");
        Reply::problem(StatusCode::URI_TOO_LONG, &detail)
    } else {
        match guard.map(|guard| guard.admit(request.uri().path(), request.headers())) {
            None => routes.answer(request).await,
            Some(Ok(admitted)) => admitted.describe(routes.answer(request).await),
            Some(Err(refusal)) => *refusal,
        }
    };
    if matches!(reply.response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        denials.denied();
    }
    counted.finish(reply.outcome);
    Ok(reply.response)
}

/// Whether a connection ended because what came over it is no HTTP of the version expected.
fn is_malformed(error: &hyper::Error) -> bool {
    let of_http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_parse() || of_http2.is_some_and(|error| error.is_library() && !error.is_io())
}

/// An exchange that counts as failed if it is dropped before it has an outcome.
struct Unfinished {
    tally: Tally,
    outcome: Outcome,
}

impl Unfinished {
    fn new(tally: Tally) -> Unfinished {
        Unfinished { tally, outcome: Outcome::Failed }
    }

    fn finish(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.tally.exchanged(self.outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::serve_at_most;
    use crate::wire::link::Line;
    use crate::wire::routes::Routes;
    use crate::wire::socket::bind_loopback;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// Sends a request that asks to close, and returns what comes back.
    async fn ask(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        let asking = async {
            // A connection that was refused may break on writing already.
            let _ =
                stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            let _ = stream.read_to_string(&mut answer).await;
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("in time");
        answer
    }

    #[tokio::test]
    async fn connections_beyond_the_most_are_closed_and_counted() {
        let listener = bind_loopback().await.expect("a listener");
        let address = listener.local_addr().expect("bound");
        let (line, stop) = (Line::default(), CancellationToken::new());
        let mut serving = JoinSet::new();
        serving.spawn(serve_at_most(1, listener, Routes::new(), line.clone(), stop.clone()));
        let mut first = TcpStream::connect(address).await.expect("a connection");
        let mut second = TcpStream::connect(address).await.expect("a connection");
        // They are accepted in order, so the second one is too many.
        assert_eq!(ask(&mut second).await, "");
        assert_eq!(line.tally.counts().failed, 1);
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 404"));
        assert_eq!(line.tally.counts().connections, 1);
        stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, serving.join_next()).await;
        ended.expect("in time").expect("one task").expect("no panic").expect("no error");
    }
}
