//! The server loop: accepts connections, answers requests, counts exchanges.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::ready;
use futures_util::{StreamExt, stream};
use http::header::VIA;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, BodyStream, Either, StreamBody};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::fault::Fault;
use crate::incident;
use crate::timer::Timer;
use crate::wire::body;
use crate::wire::bounds::{
    ACCEPT_PAUSE, HEADER_LIMIT, HEADER_TIMEOUT, MESSAGE_LIMIT, MOST_CONNECTIONS, URL_LIMIT,
};
use crate::wire::delay::{Path, delayed};
use crate::wire::guard::Guard;
use crate::wire::link::{HttpVersion, Line};
use crate::wire::reply::{Reply, ReplyBody};
use crate::wire::routes::Routes;
use crate::wire::socket::CountedStream;
use crate::wire::tally::{Outcome, Tally};
use crate::wire::tasks::Tasks;
use crate::wire::trouble::Trouble;

/// How long open exchanges may take to finish after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves connections until `stop`, then waits briefly for exchanges still under way.
///
/// # Errors
///
/// When the system refuses to accept connections at all. A single connection that breaks is no
/// error, and neither is one that there is no descriptor or memory for: an exchange under way on
/// it counts as failed.
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
    let mut paused = pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => {
                // A panic in a handler is a fault of the program, not of the connection.
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            }
            accepted = async {
                paused.as_mut().await;
                listener.accept().await
            } => match accepted {
                Ok(_) if open.len() >= most => line.tally.exchanged(Outcome::Failed),
                // As a host that does not listen answers.
                Ok((stream, _peer)) if refuses(line.trouble.as_ref()) => {
                    let _ = stream.set_zero_linger();
                }
                Ok((stream, _peer)) => {
                    let attended =
                        attend(stream, number, routes.clone(), line.clone(), stop.clone());
                    open.spawn(attended);
                    number += 1;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) if is_for_want_of_room(&error) => {
                    line.tally.exchanged(Outcome::Failed);
                    paused.set(tokio::time::sleep(ACCEPT_PAUSE));
                }
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

/// Errors of `accept` that pass once other connections have ended (`man 2 accept`).
fn is_for_want_of_room(error: &io::Error) -> bool {
    let room = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| room.contains(&error))
}

/// Attends to one connection, over a delay line if there is one.
async fn attend(
    stream: TcpStream,
    number: u32,
    routes: Routes,
    line: Line,
    stop: CancellationToken,
) {
    let trouble = line.trouble.as_ref();
    if trouble.is_some_and(Trouble::resets) {
        // However it ends, it ends with a reset.
        let _ = stream.set_zero_linger();
    }
    let counted = CountedStream::new(stream, line.tally.clone(), line.options(), trouble);
    let Ok(stream) = counted else {
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
        // It is no TLS, or the client trusts somebody else, or it says nothing.
        Err(error)
            if [io::ErrorKind::InvalidData, io::ErrorKind::TimedOut].contains(&error.kind()) =>
        {
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
    let asked = AtomicBool::new(false);
    // Of HTTP/2 an error of the service would reset its stream alone.
    let broken = CancellationToken::new();
    let service = service_fn(|mut request: Request<Incoming>| {
        asked.store(true, Relaxed);
        if line.fault == Some(Fault::Middleman) {
            request.headers_mut().insert(VIA, HeaderValue::from_static("1.1 planted"));
        }
        if is_handled(&request, line.link.http) {
            tally.middleman();
        }
        let desk = Desk {
            routes: routes.clone(),
            guard: line.guard.clone(),
            tally: tally.clone(),
            broken: broken.clone(),
        };
        troubled(request, desk, line.trouble.clone())
    });
    let stream = TokioIo::new(stream);
    let tasks = Tasks::default();
    let ended = match line.link.http {
        HttpVersion::One => {
            let connection = http1::Builder::new()
                // Without a timer the time-out is silently none.
                .timer(TokioTimer::new())
                // So long may a connection take to send a request's header, waiting for it included.
                .header_read_timeout(line.link.idle_timeout)
                .max_header_size(HEADER_LIMIT as usize)
                .serve_connection(stream, service)
                .with_upgrades();
            to_its_end(pin!(connection), http1::UpgradeableConnection::graceful_shutdown, &stop)
                .await
        }
        HttpVersion::Two => {
            let connection = http2::Builder::new(tasks.spawner())
                .timer(TokioTimer::new())
                .max_header_list_size(HEADER_LIMIT)
                // A client that is gone without a word does not answer a ping.
                .keep_alive_interval(HEADER_TIMEOUT)
                .serve_connection(stream, service);
            let shut_down = http2::Connection::graceful_shutdown;
            let connection = pin!(connection);
            tokio::select! {
                biased;
                () = broken.cancelled() => return,
                ended = to_its_end(connection, shut_down, &stop) => ended,
                // HTTP/2 has no time-out of its own for a client that never asks.
                () = unless(&asked) => return tally.exchanged(Outcome::Failed),
            }
        }
    };
    let unasked = |error: &hyper::Error| error.is_timeout() && !asked.load(Relaxed);
    if ended.is_err_and(|error| is_malformed(&error) || unasked(&error)) {
        tally.exchanged(Outcome::Failed);
    }
}

/// Drives a connection until it ends; shuts it down in good order when it is time to stop.
async fn to_its_end<C>(
    mut connection: Pin<&mut C>,
    shut_down: fn(Pin<&mut C>),
    stop: &CancellationToken,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            shut_down(connection.as_mut());
            connection.await
        }
    }
}

/// Waits as long as a header may take, and for ever if there was a request by then.
async fn unless(asked: &AtomicBool) {
    tokio::time::sleep(HEADER_TIMEOUT).await;
    if asked.load(Relaxed) {
        pending::<()>().await;
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

/// Whether an incident lets nobody in.
fn refuses(trouble: Option<&Trouble>) -> bool {
    trouble.and_then(Trouble::door) == Some(incident::Connections::Refused)
}

/// What answers the requests of a connection.
struct Desk {
    routes: Routes,
    guard: Option<Arc<Guard>>,
    tally: Tally,
    /// Ends the connection.
    broken: CancellationToken,
}

/// An incident leaves a request without an answer; the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("there is no answer, as the scenario has it")]
struct NoAnswer;

/// Answers a request as incidents have it, and counts the exchange.
async fn troubled(
    request: Request<Incoming>,
    desk: Desk,
    trouble: Option<Trouble>,
) -> Result<Response<ReplyBody>, NoAnswer> {
    let Some(fate) = trouble.and_then(|trouble| trouble.request()) else {
        return Ok(reply(request, desk).await);
    };
    // Counted as failed unless an answer goes out.
    let broken = desk.broken.clone();
    let lost = |tally: &Tally| {
        tally.exchanged(Outcome::Failed);
        broken.cancel();
        Err(NoAnswer)
    };
    match fate {
        incident::Request::Answered(status) => {
            let counted = Unfinished::new(desk.tally);
            // Read to its end, so that the connection can carry another one.
            let body = body::receive(request.into_body(), MESSAGE_LIMIT).await;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let reply = match body {
                Ok(_) => Reply::problem(status, "out of order, as the scenario has it"),
                Err(error) => Reply::unreadable(&error),
            };
            let limited = status == StatusCode::TOO_MANY_REQUESTS;
            counted.finish(if limited { Outcome::RateLimited } else { reply.outcome });
            Ok(reply.response)
        }
        incident::Request::Cut => lost(&desk.tally),
        incident::Request::Unanswered => {
            let tally = desk.tally;
            // What is counted of the work is not what came of the exchange.
            drop(reply(request, Desk { tally: Tally::default(), ..desk }).await);
            lost(&tally)
        }
        incident::Request::Delayed(delay) => {
            wait(delay).await;
            Ok(reply(request, desk).await)
        }
        incident::Request::Trickled(delay) => {
            Ok(reply(request, desk).await.map(|body| trickled(body, delay)))
        }
    }
}

/// The same body, but later.
fn trickled(body: ReplyBody, delay: Duration) -> ReplyBody {
    match body {
        Either::Left(whole) => later(whole, delay),
        Either::Right(written) => later(written, delay),
    }
}

fn later<B>(body: B, delay: Duration) -> ReplyBody
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let waiting = stream::once(wait(delay)).filter_map(|()| ready(None));
    let frames = waiting.chain(BodyStream::new(body));
    Either::Right(StreamBody::new(frames).boxed_unsync())
}

/// Waits as long as an incident has it: what is measured then is mostly this.
async fn wait(delay: Duration) {
    let until = clock::now().after(delay);
    let waited = async { Timer::new()?.sleep_until(until).await };
    if waited.await.is_err() {
        // Without a descriptor for a timer it is up to a millisecond too long.
        tokio::time::sleep(until.since(clock::now())).await;
    }
}

/// Answers a request and counts the exchange.
async fn reply(request: Request<Incoming>, desk: Desk) -> Response<ReplyBody> {
    let Desk { routes, guard, tally, broken: _ } = desk;
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
    reply.response
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
