//! Carrying the events of one subscription to its endpoint.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rand_pcg::Pcg64;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::schedule::random_stream;
use crate::source::dispatch::Sending;
use crate::source::dispatch::letters::{DeadLetter, DeadLetters};
use crate::source::dispatch::parcel::{Parcel, Waiting};
use crate::source::feed::EventWriter;
use crate::source::lane::Lane;
use crate::source::log::{LogReader, Relay};
use crate::source::subscriptions::Subscription;
use crate::wire::client::ExchangeError;
use crate::wire::connection::Connection;
use crate::wire::pacing::retry_after;
use crate::wire::retry::{Attempts, Ending, GaveUp, Next, RetryBudget};
use crate::wire::tally::{Outcome, Tally};
use crate::wire::trouble::Trouble;

/// Random streams of a lane's seed that belong to subscriptions start here; see [`random_stream`].
const SUBSCRIPTION_STREAMS: u64 = 1 << 34;

/// Delivers the events of one subscription.
///
/// Everything of a lane runs on one thread: no lock here is ever waited for, and nobody takes
/// the same event between a look and the taking.
#[derive(Debug)]
pub struct Courier {
    sending: Arc<Sending>,
    relay: Arc<Relay>,
    log: LogReader,
    writer: EventWriter,
    tally: Tally,
    trouble: Option<Trouble>,
    letters: DeadLetters,
    subscription: Subscription,
    /// The first event that nobody has taken yet.
    next: AtomicU64,
    state: Mutex<State>,
    /// Something new waits for its moment.
    queued: Notify,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    waiting: Waiting,
    budget: Option<RetryBudget>,
    random: Pcg64,
}

/// When there is something to take.
pub(super) enum Wake {
    /// Now.
    Now,
    /// When the event at this index is emitted.
    Event(u64),
    /// At this moment, or when the event at this index is emitted.
    At(Moment, u64),
}

impl Courier {
    pub(super) fn new(
        lane: &Lane,
        sending: Arc<Sending>,
        relay: Arc<Relay>,
        letters: DeadLetters,
        subscription: Subscription,
        stop: CancellationToken,
    ) -> Courier {
        let state = State {
            waiting: Waiting::default(),
            budget: sending.budget(),
            random: random_stream(lane.seed, SUBSCRIPTION_STREAMS + subscription.id),
        };
        Courier {
            sending,
            relay,
            log: lane.log.clone(),
            writer: lane.writer.clone(),
            tally: lane.line.tally.clone(),
            trouble: lane.line.trouble.clone(),
            letters,
            next: AtomicU64::new(subscription.from),
            subscription,
            state: Mutex::new(state),
            queued: Notify::new(),
            stop,
        }
    }

    /// The subscription's id.
    pub(super) fn subscription(&self) -> u64 {
        self.subscription.id
    }

    /// Takes up nothing more.
    pub(super) fn retire(&self) {
        self.stop.cancel();
    }

    /// Waits until nothing more is to be taken up. Cancel safe.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Delivers once more what was given up, with a schedule that begins anew.
    pub(super) fn replay(&self, letter: &DeadLetter) {
        let parcel = Parcel {
            first: letter.first.index(),
            events: letter.events,
            batched: letter.batched,
            attempts: None,
        };
        self.state().waiting.push(clock::now(), parcel);
        self.queued.notify_one();
    }

    /// Waits until the event at `index` is emitted or something new waits. Cancel safe.
    pub(super) async fn changed(&self, index: u64) {
        tokio::select! {
            () = self.relay.wait_for(index) => {}
            () = self.queued.notified() => {}
        }
    }

    /// When there will be something to take.
    pub(super) fn wake(&self) -> Wake {
        let next = self.next.load(Relaxed);
        let due = self.state().waiting.due();
        let (fresh, index) = match (self.log.get(next), self.sending.batch) {
            (None, _) => (None, next),
            (Some(_), None) => return Wake::Now,
            (Some(first), Some(batch)) => {
                let full = next + u64::from(batch.max) - 1;
                if self.log.len() > full {
                    return Wake::Now;
                }
                (Some(first.emitted.after(batch.linger)), full)
            }
        };
        match due.into_iter().chain(fresh).min() {
            None => Wake::Event(index),
            Some(moment) if moment <= clock::now() => Wake::Now,
            Some(moment) => Wake::At(moment, index),
        }
    }

    /// Takes what is due if there is something and it is wanted: retries before fresh events.
    pub(super) fn take_if(&self, wanted: bool) -> Option<Parcel> {
        if !wanted {
            return None;
        }
        let mut state = self.state();
        if state.waiting.due().is_some()
            && let Some(parcel) = state.waiting.take(clock::now())
        {
            return Some(parcel);
        }
        let parcel = self.take_fresh()?;
        if let Some(budget) = &mut state.budget {
            budget.first_attempt();
        }
        Some(parcel)
    }

    fn take_fresh(&self) -> Option<Parcel> {
        let first = self.next.load(Relaxed);
        let entry = self.log.get(first)?;
        let events = match self.sending.batch {
            None => 1,
            Some(batch) => {
                let there = u32::try_from(self.log.len() - first).unwrap_or(u32::MAX);
                if there < batch.max && clock::now() < entry.emitted.after(batch.linger) {
                    return None;
                }
                there.min(batch.max)
            }
        };
        self.next.fetch_add(u64::from(events), Relaxed);
        Some(Parcel { first, events, batched: self.sending.batch.is_some(), attempts: None })
    }

    /// Delivers a parcel, and on the same connection those that are due by then.
    pub(super) async fn deliver(
        self: Arc<Self>,
        parcel: Parcel,
        mut connection: Connection,
    ) -> Connection {
        let mut next = Some(parcel);
        while let Some(mut parcel) = next {
            let retry = self.attempt(&mut parcel, &mut connection).await;
            next = match retry {
                // What follows must not overtake.
                Some(due) if self.sending.ordered => self.held_until(due).await.then_some(parcel),
                Some(due) => {
                    self.state().waiting.push(due, parcel);
                    self.queued.notify_one();
                    self.take_if(!self.stop.is_cancelled())
                }
                None => self.take_if(!self.stop.is_cancelled()),
            };
        }
        connection
    }

    /// Waits; `false` if the subscription ends meanwhile.
    async fn held_until(&self, due: Moment) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(due.since(clock::now())) => true,
        }
    }

    /// Posts a parcel once; returns when to try again, if it is to be tried again.
    async fn attempt(&self, parcel: &mut Parcel, connection: &mut Connection) -> Option<Moment> {
        let mut attempts = *parcel.attempts.get_or_insert_with(|| Attempts::begin(clock::now()));
        if attempts.failed() > 0 {
            self.tally.retried();
        }
        let ending = self.post(parcel, connection).await;
        let now = clock::now();
        let next = {
            let State { budget, random, .. } = &mut *self.state();
            attempts.decide(ending, now, &self.sending.retries, budget.as_mut(), random)
        };
        parcel.attempts = Some(attempts);
        let taken = next == Next::Done;
        self.tally.exchanged(if taken { self.sending.taken } else { Outcome::Failed });
        match next {
            Next::Done => None,
            Next::Retry { after } => Some(now.after(after)),
            Next::DeadLetter { reason } => {
                self.give_up(parcel, ending, reason);
                None
            }
            Next::Disable => {
                self.give_up(parcel, ending, GaveUp::Refused);
                self.retire();
                None
            }
        }
    }

    fn give_up(&self, parcel: &Parcel, ending: Ending, why: GaveUp) {
        for event in parcel.entries(&self.log) {
            self.tally.dead_lettered(event.due);
        }
        self.letters.add(self.subscription.id, parcel, ending, why);
    }

    async fn post(&self, parcel: &Parcel, connection: &mut Connection) -> Ending {
        let body = parcel.body(&self.log, &self.writer, self.subscription.payload);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, parcel.media_type());
        if let Some(signer) = &self.subscription.signer {
            let id = HeaderValue::try_from(parcel.id()).expect("an id is plain text");
            // A signature of something else is as wrong as one with another key.
            let forged = self.trouble.as_ref().is_some_and(Trouble::forges);
            let signed: &[u8] = if forged { b"something else" } else { &body };
            signer.sign(&id, clock::wall(), signed, &mut headers);
        }
        let path = self.subscription.target.path.clone();
        match connection.exchange(Method::POST, path, headers, body).await {
            Ok(received) => Ending::Answered {
                status: received.status,
                retry_after: retry_after(&received.headers, clock::wall()),
            },
            Err(ExchangeError::TimedOut(_)) => Ending::TimedOut,
            Err(_) => Ending::Broken,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
