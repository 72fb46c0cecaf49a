//! What the subscriber half of a strategy works with.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Moment;
use crate::schedule::random_stream;
use crate::subscriber::inbox::Inbox;
use crate::units::nanoseconds;
use crate::wire::auth::Secret;
use crate::wire::link::Line;

/// Random streams of a trial's seed that belong to subscribers start here, as many again at
/// twice as much; see [`random_stream`].
const SUBSCRIBER_STREAMS: u64 = 1 << 32;

/// The place of all simulated subscribers of one strategy.
#[derive(Debug)]
pub struct Post {
    /// Where events go.
    pub inbox: Inbox,
    /// The subscribers' end of the link to the source.
    pub line: Line,
    /// Where the source listens.
    pub source: SocketAddr,
    /// How many subscribers to simulate.
    pub subscribers: u32,
    /// Cancelled when the half should finish.
    pub stop: CancellationToken,
    /// Seed of everything random about the subscribers.
    pub seed: u64,
    /// Says that the subscribers are ready for events.
    pub ready: Readiness,
    /// The moment the schedule starts, once it is known.
    pub epoch: Epoch,
    /// What outlives the process, where it is to be killed.
    pub life: Life,
}

/// What the lives of subscribers that are killed and started again have in common; the inbox
/// knows what they accepted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Life {
    /// Where they listen in each of their lives; anywhere, if they live once.
    pub endpoint: Option<SocketAddr>,
    /// What the secrets of their webhooks are made from; random, if they live once.
    pub secret: Option<Secret>,
    /// Whether the source knows them from an earlier life.
    pub known: bool,
}

impl Post {
    /// A random stream of a subscriber's own, beside its phase.
    #[must_use]
    pub fn random(&self, subscriber: u32) -> Pcg64 {
        random_stream(self.seed, 2 * SUBSCRIBER_STREAMS + u64::from(subscriber))
    }

    /// The interval of polls: the one asked for, unless it is made wrong on purpose.
    #[must_use]
    pub fn interval(&self, every: Duration) -> Duration {
        self.inbox.harm().map_or(every, |harm| harm.interval(every))
    }

    /// A random span below `longest` that is a subscriber's own: the phase of its beat.
    #[must_use]
    pub fn phase(&self, subscriber: u32, longest: Duration) -> Duration {
        let stream = SUBSCRIBER_STREAMS + u64::from(subscriber);
        let share: f64 = random_stream(self.seed, stream).random();
        Duration::from_nanos(nanoseconds(longest.mul_f64(share)))
    }
}

/// Says once that the subscribers are ready.
#[derive(Debug)]
pub struct Readiness(Option<oneshot::Sender<()>>);

impl Readiness {
    /// A readiness, and where it is heard.
    #[must_use]
    pub fn channel() -> (Readiness, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Readiness(Some(sender)), receiver)
    }

    /// The subscribers are ready; saying it again changes nothing.
    pub fn announce(&mut self) {
        if let Some(sender) = self.0.take() {
            // Nobody listens any more when the trial is already over.
            let _ = sender.send(());
        }
    }
}

/// The moment the schedule starts, once it is known.
#[derive(Clone, Debug)]
pub struct Epoch(watch::Receiver<Option<Moment>>);

impl Epoch {
    /// An epoch, and where it is set.
    #[must_use]
    pub fn channel() -> (watch::Sender<Option<Moment>>, Epoch) {
        let (sender, receiver) = watch::channel(None);
        (sender, Epoch(receiver))
    }

    /// The epoch, if it is known by now.
    #[must_use]
    pub fn if_known(&self) -> Option<Moment> {
        *self.0.borrow()
    }

    /// Waits until the epoch is known; `None` if it never will be. Cancel safe.
    pub async fn known(&mut self) -> Option<Moment> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|epoch| *epoch)
    }
}
