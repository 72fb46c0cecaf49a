//! The server loop: accepts connections, answers requests, counts exchanges.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::wire::delay::{Path, delayed};
use crate::wire::link::{HttpVersion, Line};
use crate::wire::reply::ReplyBody;
use crate::wire::routes::Routes;
use crate::wire::socket::CountedStream;
use crate::wire::tally::{Outcome, Tally};
use crate::wire::tasks::Tasks;

/// How long a connection may take to send a request's header, waiting for it included.
///
/// So it is also the idle time-out of a kept-alive connection: 75 s is what nginx ships with
/// (`keepalive_timeout`). A client that polls less often reconnects for each poll.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// How long open exchanges may take to finish after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// The longest request header accepted, in bytes.
const HEADER_LIMIT: u32 = 16 * 1024;

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
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => {
                // A panic in a handler is a fault of the program, not of the connection.
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    open.spawn(attend(stream, routes.clone(), line.clone(), stop.clone()));
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

/// Attends to one connection, over the injected round trip if there is one.
async fn attend(stream: TcpStream, routes: Routes, line: Line, stop: CancellationToken) {
    let Ok(stream) = CountedStream::new(stream, line.tally.clone()) else {
        return;
    };
    match line.rtt {
        None => secure(stream, routes, line, stop).await,
        Some(rtt) => {
            let Ok((near, carrying)) = delayed(stream, Path::new(rtt, clock::now())) else {
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
    let service = service_fn(|request| reply(request, routes.clone(), tally.clone()));
    let stream = TokioIo::new(stream);
    let tasks = Tasks::default();
    let ended = match line.link.http {
        HttpVersion::One => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
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

/// Answers a request and counts the exchange.
async fn reply(
    request: Request<Incoming>,
    routes: Routes,
    tally: Tally,
) -> Result<Response<ReplyBody>, Infallible> {
    let (denials, counted) = (tally.clone(), Unfinished::new(tally));
    let reply = routes.answer(request).await;
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
