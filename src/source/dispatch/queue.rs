//! The deliveries of one subscription, in the order of the log.

use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::source::dispatch::courier::{Courier, Wake};
use crate::source::dispatch::unless_panicked;
use crate::timer::Timer;
use crate::wire::client::Dial;
use crate::wire::connection::Connection;

/// A queue.
///
/// The log is the queue: an event for which no connection is free stays there, at no cost in
/// memory, until one is.
#[derive(Debug)]
pub(super) struct Queue {
    /// The connection used last is used next, so that few stay warm, as in usual pools.
    idle: Vec<Connection>,
    courier: Arc<Courier>,
    /// Made when something is first waited for that is no event.
    alarm: Option<Timer>,
}

impl Queue {
    pub(super) fn new(courier: Arc<Courier>, dial: &Dial, connections: u32) -> Queue {
        let idle = (0..connections).map(|_| Connection::new(dial.clone())).collect();
        Queue { idle, courier, alarm: None }
    }

    /// What carries the queue's deliveries.
    pub(super) fn courier(&self) -> Arc<Courier> {
        Arc::clone(&self.courier)
    }

    /// Delivers until the subscription ends, and returns its id.
    pub(super) async fn run(mut self) -> io::Result<u64> {
        let mut under_way = JoinSet::new();
        let courier = self.courier();
        loop {
            tokio::select! {
                // An endpoint that has said it is gone must not get what happens to be next.
                biased;
                () = courier.stopped() => break,
                Some(ended) = under_way.join_next() => self.idle.push(unless_panicked(ended)),
                needed = is_needed(&courier, &mut self.alarm), if !self.idle.is_empty() => {
                    needed?;
                    // One connection a parcel, as long as there are both.
                    while let Some(parcel) = courier.take_if(!self.idle.is_empty())
                        && let Some(connection) = self.idle.pop()
                    {
                        under_way.spawn(Arc::clone(&courier).deliver(parcel, connection));
                    }
                }
            }
        }
        while let Some(ended) = under_way.join_next().await {
            drop(unless_panicked(ended));
        }
        Ok(courier.subscription())
    }
}

/// Waits until there is something to take. Cancel safe.
async fn is_needed(courier: &Courier, alarm: &mut Option<Timer>) -> io::Result<()> {
    loop {
        match courier.wake() {
            Wake::Now => return Ok(()),
            Wake::Event(index) => courier.changed(index).await,
            Wake::At(moment, index) => {
                let timer = match alarm {
                    Some(timer) => timer,
                    None => alarm.insert(Timer::new()?),
                };
                tokio::select! {
                    () = courier.changed(index) => {}
                    rung = timer.sleep_until(moment) => rung?,
                }
            }
        }
    }
}
