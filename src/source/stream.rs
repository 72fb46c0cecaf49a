//! Streams: the log, read by clients that stay connected.
//!
//! A stream is a cursor into the log, so a slow reader costs no memory and holds nobody else
//! up: what it has not taken yet stays in the log, which counts as latency.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::source::feed::EventWriter;
use crate::source::lane::Lane;
use crate::source::log::{Entry, LogReader, Relay};
use crate::wire::tally::Tally;

/// The header in which a client of server-sent events repeats the last id it saw.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// How a source treats its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Time between signs of life.
    pub heartbeat: Duration,
    /// When a stream is ended, counted from its opening.
    pub max_age: Option<Duration>,
    /// Whether a client is given what it missed since the cursor it brings.
    pub replay: bool,
}

/// All streams of a lane.
#[derive(Clone, Debug)]
pub struct Broadcast {
    relay: Arc<Relay>,
    log: LogReader,
    terms: Terms,
    /// How events are written.
    pub writer: EventWriter,
    /// What counts messages.
    pub tally: Tally,
    /// Cancelled when streams should end.
    pub stop: CancellationToken,
}

impl Broadcast {
    /// The streams of a lane, on these terms.
    #[must_use]
    pub fn new(lane: &Lane, terms: Terms) -> Broadcast {
        Broadcast {
            relay: Arc::new(Relay::new(lane.log.clone())),
            log: lane.log.clone(),
            terms,
            writer: lane.writer.clone(),
            tally: lane.line.tally.clone(),
            stop: lane.stop.clone(),
        }
    }

    /// Wakes the streams when events are emitted, until the lane is told to stop.
    pub async fn run(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.relay.run() => {}
        }
    }

    /// Starts a stream behind the cursor a request brings, or else at the next event.
    ///
    /// # Errors
    ///
    /// When the request's cursor is none.
    pub fn follow<B>(&self, request: &Request<B>) -> Result<Follower, String> {
        let cursor = cursor_of(request)?.filter(|_| self.terms.replay);
        let mut heartbeat = interval(self.terms.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick would be at once.
        heartbeat.reset();
        Ok(Follower {
            next: cursor.unwrap_or_else(|| self.log.len()),
            relay: Arc::clone(&self.relay),
            log: self.log.clone(),
            heartbeat,
            age: Box::pin(sleep(self.terms.max_age.unwrap_or(Duration::MAX))),
            stop: self.stop.clone(),
        })
    }
}

/// What a stream says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// An event.
    Event(Entry),
    /// A sign of life.
    Heartbeat,
    /// Nothing any more.
    End,
}

/// One stream's place in the log.
#[derive(Debug)]
pub struct Follower {
    /// The first event that has not been taken.
    next: u64,
    relay: Arc<Relay>,
    log: LogReader,
    heartbeat: Interval,
    age: Pin<Box<Sleep>>,
    stop: CancellationToken,
}

impl Follower {
    /// The cursor behind the last event taken.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.next
    }

    /// Takes the next event if it has been emitted.
    pub fn take(&mut self) -> Option<Entry> {
        let entry = self.log.get(self.next)?;
        self.next += 1;
        Some(entry)
    }

    /// Waits for what to say next. Cancel safe.
    ///
    /// Events come last, so that a stream which is always behind still ends in time.
    pub async fn turn(&mut self) -> Turn {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Turn::End,
            () = self.age.as_mut() => Turn::End,
            _ = self.heartbeat.tick() => Turn::Heartbeat,
            () = self.relay.wait_for(self.next) => {
                Turn::Event(self.take().expect("the relay waits until it is in the log"))
            }
        }
    }
}

/// The number of the last event a client has seen, if it says.
///
/// A browser repeats the address of a stream when it reconnects, so what it has seen since goes
/// before what the address says.
fn cursor_of<B>(request: &Request<B>) -> Result<Option<u64>, String> {
    let seen = request.headers().get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    if let Some(id) = seen {
        let cursor = id.to_str().ok().and_then(|id| id.parse().ok());
        return cursor.map(Some).ok_or_else(|| {
            "`Last-Event-ID` is not a cursor; repeat the `id` of an event of this stream".to_owned()
        });
    }
    let mut pairs = request.uri().query().unwrap_or("").split('&');
    let Some(after) = pairs.find_map(|pair| pair.strip_prefix("after=")) else { return Ok(None) };
    after.parse().map(Some).map_err(|_| {
        "`after` is not a cursor; write the number of the last event seen, or 0".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{LAST_EVENT_ID, cursor_of};
    use http::Request;

    #[test]
    fn what_a_client_has_seen_goes_before_where_it_began() {
        let read = |path: &str, id: Option<&str>| {
            let mut request = Request::get(path);
            if let Some(id) = id {
                request = request.header(LAST_EVENT_ID, id);
            }
            cursor_of(&request.body(()).expect("a request"))
        };
        assert_eq!(read("/s", None), Ok(None));
        assert_eq!(read("/s?after=7", None), Ok(Some(7)));
        assert_eq!(read("/s?x&after=7&y=1", Some("9")), Ok(Some(9)));
        assert_eq!(read("/s?after=7", Some("")), Ok(Some(7)));
        assert!(read("/s?after=", None).is_err());
        assert!(read("/s?after=-1", None).is_err());
        assert!(read("/s?after=7", Some("evt-9")).is_err());
    }
}
