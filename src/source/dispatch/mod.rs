//! Posting events to webhooks: what every mechanism that pushes shares on the sender's side.
//!
//! One queue a subscription, with couriers that carry one request at a time; retries, and the
//! dead letters of what was given up.

mod courier;
mod letters;
mod parcel;
mod queue;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::source::lane::Lane;
use crate::source::log::Relay;
use crate::source::subscriptions::{Change, Subscription, Subscriptions, with_subscriptions};
use crate::units::{DurationText, duration_text};
use crate::wire::retry::{RetryBudget, Schedule};
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

pub use courier::Courier;
pub use letters::{DEAD_LETTERS_PATH, DeadLetter, DeadLetters};
use queue::Queue;

/// How long deliveries under way may take to finish after the source was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Several events in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Batch {
    /// How long the first event of a batch waits for more.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub linger: Duration,
    /// The most events in a batch; a full batch does not wait.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: u32,
}

fn default_max() -> u32 {
    100
}

/// How a lane posts events to its webhooks.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Connections to each subscriber.
    pub concurrency: u32,
    /// The longest an attempt may take before it counts as failed.
    pub timeout: Duration,
    /// Whether a failed delivery holds back what follows until it succeeds or is given up.
    pub ordered: bool,
    /// Several events in one request, if they are to be.
    pub batch: Option<Batch>,
    /// When failed deliveries are retried.
    pub retries: Schedule,
    /// Retries allowed for each first attempt; `None` for any number.
    pub budget: Option<f64>,
    /// What a delivery that was taken counts as.
    pub taken: Outcome,
}

impl Sending {
    /// A fresh budget of one subscription.
    fn budget(&self) -> Option<RetryBudget> {
        self.budget.map(RetryBudget::new)
    }

    /// Whether anything waits for a moment rather than for an event.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.batch.is_some() || !self.retries.waits.is_empty()
    }
}

/// The sender: one queue of deliveries for each subscription.
#[derive(Debug)]
pub struct Dispatcher {
    sending: Arc<Sending>,
    lane: Lane,
    relay: Arc<Relay>,
    subscriptions: Subscriptions,
    letters: DeadLetters,
    changes: mpsc::UnboundedReceiver<Change>,
}

/// Adds the registration of webhooks and the list of dead letters to a lane's routes, and returns
/// what does the posting.
#[must_use]
pub fn with_webhooks(lane: &Lane, sending: Sending, routes: Routes) -> (Routes, Dispatcher) {
    let (sender, changes) = mpsc::unbounded_channel();
    let subscriptions = Subscriptions::new(lane.line.scheme(), lane.line.address, sender);
    let letters = DeadLetters::default();
    let routes = with_subscriptions(routes, lane.log.clone(), subscriptions.clone());
    let routes = letters::with_dead_letters(routes, letters.clone(), subscriptions.clone());
    let dispatcher = Dispatcher {
        sending: Arc::new(sending),
        lane: lane.clone(),
        relay: Arc::new(Relay::new(lane.log.clone())),
        subscriptions,
        letters,
        changes,
    };
    (routes, dispatcher)
}

impl Dispatcher {
    /// Posts every event to every webhook until the lane is told to stop.
    ///
    /// # Errors
    ///
    /// When the system has no timer left.
    pub async fn run(mut self) -> io::Result<()> {
        let mut queues = JoinSet::new();
        let mut couriers: HashMap<u64, Arc<Courier>> = HashMap::new();
        let relay = Arc::clone(&self.relay);
        loop {
            let change = tokio::select! {
                () = self.lane.stop.cancelled() => break,
                Some(ended) = queues.join_next() => {
                    let id = unless_panicked(ended)?;
                    couriers.remove(&id);
                    // Its endpoint may have said that it is gone.
                    self.subscriptions.forget(id);
                    continue;
                }
                change = self.changes.recv() => match change {
                    Some(change) => change,
                    None => break,
                },
                () = relay.run() => continue,
            };
            match change {
                Change::Added(subscription) => {
                    let (id, queue) = (subscription.id, self.queue(*subscription));
                    couriers.insert(id, queue.courier());
                    queues.spawn(queue.run());
                }
                Change::Removed(id) => {
                    if let Some(courier) = couriers.remove(&id) {
                        courier.retire();
                    }
                }
                Change::Replayed(letter) => {
                    if let Some(courier) = couriers.get(&letter.subscription) {
                        courier.replay(&letter);
                    }
                }
            }
        }
        // What is still under way after the grace period is cut off when the set is dropped.
        let ending = async {
            while let Some(ended) = queues.join_next().await {
                unless_panicked(ended)?;
            }
            Ok(())
        };
        tokio::time::timeout(GRACE, ending).await.unwrap_or(Ok(()))
    }

    fn queue(&self, subscription: Subscription) -> Queue {
        let stop: CancellationToken = self.lane.stop.child_token();
        let dial = self.lane.line.dial(subscription.peer, self.sending.timeout);
        let courier = Courier::new(
            &self.lane,
            Arc::clone(&self.sending),
            Arc::clone(&self.relay),
            self.letters.clone(),
            subscription,
            stop,
        );
        Queue::new(Arc::new(courier), &dial, self.sending.concurrency)
    }
}

/// A task's result; its panic is a fault of the program and must not pass for an end.
fn unless_panicked<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
