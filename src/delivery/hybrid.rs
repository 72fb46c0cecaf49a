//! `hybrid`: a thin webhook says that something happened, and the subscriber fetches it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::{DeliveryError, Half, Settings, SettingsError, Strategy};
use crate::delivery::push::{posting, pushing_settings};
use crate::event::{self, EVENT_PATH, Payload, Sequence};
use crate::incident::Target;
use crate::promise::Promise;
use crate::source::dispatch::with_webhooks;
use crate::source::feed::{Offer, PAGE_LIMIT, Page, page_path, with_feed};
use crate::source::item::with_items;
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::backoff::Backoff;
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::Post;
use crate::theory::{self, Theory};
use crate::units::{DurationText, duration_text};
use crate::wire::client::{Client, ClientKind, Received};
use crate::wire::link::Link;
use crate::wire::routes::Routes;
use crate::wire::tally::{Outcome, Tally};

/// The longest a fetch may take before it counts as failed.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

pushing_settings! {
    /// Settings of `hybrid`.
    pub struct Hybrid {
        /// Whether notices that come while a fetch is under way are served together by the next,
        /// which then asks for a page of the feed; otherwise each has a fetch of its own.
        #[serde(default)]
        pub coalesce: bool,
        /// How long the API trails the webhook: an event cannot be fetched before.
        #[serde(default, with = "duration_text")]
        #[schemars(with = "DurationText")]
        pub visibility_lag: Duration,
        /// Which HTTP client fetches.
        #[serde(default)]
        pub client: ClientKind,
    }
}

impl Settings for Hybrid {
    const NAME: &'static str = "hybrid";
    const SUMMARY: &'static str =
        "The source posts that an event happened, and the subscriber fetches it.";

    fn standing_alone() -> Hybrid {
        serde_json::from_str("{}").expect("every key has a default")
    }
}

impl Hybrid {
    /// Fetches that a subscriber has under way at once: as many as webhooks, unless one does for
    /// all.
    fn fetchers(&self) -> u32 {
        if self.coalesce { 1 } else { self.concurrency }
    }
}

impl Strategy for Hybrid {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, _link: &Link) -> Result<(), SettingsError> {
        self.pushing().check()
    }

    fn promise(&self) -> Promise {
        let pushed = self.pushing().promise();
        // A later fetch may bring an earlier event, and several fetches overtake one another.
        Promise { ordered: pushed.ordered && self.fetchers() == 1, ..pushed }
    }

    fn target(&self) -> Target {
        self.pushing().target(true)
    }

    fn recovers(&self) -> bool {
        false
    }

    fn theory(&self) -> Option<Theory> {
        let hinted = self.pushing().form(None)?;
        // An event that shows up late is asked for again and again.
        let at_once = hinted.handle.is_zero() && hinted.retries.is_none();
        let plain = at_once && self.visibility_lag.is_zero();
        let form = theory::hybrid::Hybrid {
            concurrency: self.concurrency.min(self.fetchers()),
            coalesce: self.coalesce,
        };
        plain.then(|| form.into())
    }

    fn patience(&self) -> Duration {
        self.pushing().patience() + self.visibility_lag + FETCH_TIMEOUT
    }

    fn gives_up(&self) -> Duration {
        FETCH_TIMEOUT
    }

    fn connections_per_subscriber(&self) -> u32 {
        // Every fetcher has a connection and a timer.
        self.pushing().connections() + 2 * self.fetchers()
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let visible = lane.log.trailing(self.visibility_lag);
        let shown = Lane { log: visible.clone(), ..lane.clone() };
        let SourceHalf { routes, work } = with_feed(routes, &shown, Offer::default());
        let routes = with_items(routes, visible, lane.writer.clone());
        let sending = self.pushing().sending(None, Outcome::Overhead);
        let (routes, dispatcher) = with_webhooks(lane, sending, routes);
        let work = async { tokio::join!(posting(dispatcher), work).0 };
        SourceHalf { routes, work: Box::pin(work) }
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        Box::pin(async move {
            let mut fetchers = JoinSet::new();
            let mut desks = Vec::new();
            for number in 0..post.subscribers {
                let (desk, notices) = mpsc::unbounded_channel();
                desks.push(desk);
                let notices = Arc::new(Mutex::new(notices));
                for _ in 0..self.fetchers() {
                    let fetcher = Fetcher::new(&self, &post, number)?;
                    fetchers.spawn(fetcher.run(Arc::clone(&notices), post.stop.clone()));
                }
            }
            let take = Box::new(move |number: u32, sequence, _arrived| {
                // Whoever fetches stops with the endpoint.
                let _ = desks[number as usize].send(sequence);
                Outcome::Overhead
            });
            let receiving = self.pushing().receive(Payload::Thin, post, take);
            let fetching = async {
                while let Some(ended) = fetchers.join_next().await {
                    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
                }
                Ok(())
            };
            tokio::try_join!(receiving, fetching).map(|_| ())
        })
    }
}

/// Where a subscriber's notices wait to be fetched.
type Notices = Arc<Mutex<mpsc::UnboundedReceiver<Sequence>>>;

/// What fetches the events of one simulated subscriber.
struct Fetcher {
    number: u32,
    client: Client,
    backoff: Backoff,
    inbox: Inbox,
    tally: Tally,
    /// Notified, and not fetched yet.
    wanted: BTreeSet<Sequence>,
    /// Where one fetch does for several notices; `None` where each has its own.
    had: Option<Had>,
}

impl Fetcher {
    fn new(settings: &Hybrid, post: &Post, number: u32) -> Result<Fetcher, DeliveryError> {
        let client = Client::new(settings.client, post.line.dial(post.source, FETCH_TIMEOUT))
            .map_err(|error| DeliveryError::Refused(error.to_string()))?;
        Ok(Fetcher {
            number,
            client,
            backoff: Backoff::new().map_err(timer)?,
            inbox: post.inbox.clone(),
            tally: post.line.tally.clone(),
            wanted: BTreeSet::new(),
            had: settings.coalesce.then(|| Had::of(&post.inbox, number)),
        })
    }

    async fn run(mut self, notices: Notices, stop: CancellationToken) -> Result<(), DeliveryError> {
        loop {
            let waiting = async {
                let mut notices = notices.lock().await;
                let first = notices.recv().await?;
                self.wanted.insert(first);
                Some(())
            };
            let notified = tokio::select! {
                notified = waiting => notified,
                () = stop.cancelled() => None,
            };
            if notified.is_none() {
                return Ok(());
            }
            let mut again = false;
            loop {
                if let Some(had) = &self.had {
                    let mut notices = notices.lock().await;
                    while let Ok(sequence) = notices.try_recv() {
                        self.wanted.insert(sequence);
                    }
                    self.wanted.retain(|sequence| !had.holds(*sequence));
                }
                if self.wanted.is_empty() {
                    break;
                }
                if again {
                    self.tally.retried();
                }
                // A fetch under way is finished, so that both sides count the same exchanges.
                if self.fetch().await {
                    self.backoff.reset();
                    again = false;
                    continue;
                }
                again = true;
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    waited = self.backoff.wait() => waited.map_err(timer)?,
                }
            }
        }
    }

    /// Fetches what is wanted, one event by its id or several by a page; whether that brought any.
    async fn fetch(&mut self) -> bool {
        let single = if self.wanted.len() == 1 { self.wanted.first().copied() } else { None };
        let cursor = self.had.as_ref().map_or(0, Had::cursor);
        let path: Option<PathAndQuery> = match single {
            Some(sequence) => format!("{EVENT_PATH}{sequence}").parse().ok(),
            None => page_path(&cursor.to_string(), PAGE_LIMIT),
        };
        let received = match path {
            Some(path) => self.client.get(path).await.ok(),
            None => None,
        };
        let events = received.as_ref().and_then(|received| match single {
            Some(_) => one(received),
            None => several(received),
        });
        self.tally.exchanged(match &events {
            None => Outcome::Failed,
            Some(events) if events.is_empty() => Outcome::Empty,
            Some(_) => Outcome::Useful,
        });
        let (Some(events), Some(received)) = (events, received) else { return false };
        let mut brought = false;
        for sequence in events {
            // A page fetched for some of its events may hold others that are known.
            if self.had.as_mut().is_none_or(|had| had.insert(sequence)) {
                self.inbox.accept(self.number, sequence, received.arrived);
                brought = true;
            }
            self.wanted.remove(&sequence);
        }
        brought
    }
}

fn timer(source: std::io::Error) -> DeliveryError {
    DeliveryError::Socket { doing: "setting a timer", source }
}

/// The event of an answer; none while it is not visible, `None` if the answer is no event.
fn one(received: &Received) -> Option<Vec<Sequence>> {
    match received.status.as_u16() {
        404 => Some(Vec::new()),
        200 => event::decode(&received.body).ok().map(|sequence| vec![sequence]),
        _ => None,
    }
}

/// The events of a page; `None` if the answer is no page.
fn several(received: &Received) -> Option<Vec<Sequence>> {
    let page: Page<'_> = serde_json::from_slice(&received.body).ok()?;
    page.events.iter().map(|event| event.sequence().ok()).collect()
}

/// Which events a subscriber has.
#[derive(Debug, Default)]
struct Had {
    /// It has all events before this index.
    before: u64,
    /// And these, all of them later.
    beyond: BTreeSet<u64>,
}

impl Had {
    /// What a subscriber has already, which is nothing unless it had an earlier life.
    fn of(inbox: &Inbox, subscriber: u32) -> Had {
        let beyond = inbox.beyond_gap(subscriber).into_iter().map(Sequence::index).collect();
        Had { before: inbox.without_gap(subscriber), beyond }
    }

    fn holds(&self, sequence: Sequence) -> bool {
        sequence.index() < self.before || self.beyond.contains(&sequence.index())
    }

    /// Adds an event; `false` if it was there.
    fn insert(&mut self, sequence: Sequence) -> bool {
        if self.holds(sequence) {
            return false;
        }
        self.beyond.insert(sequence.index());
        while self.beyond.remove(&self.before) {
            self.before += 1;
        }
        true
    }

    /// The cursor behind the last event up to which it has all.
    fn cursor(&self) -> u64 {
        self.before
    }
}

#[cfg(test)]
mod tests {
    use super::Had;
    use crate::event::Sequence;
    use crate::subscriber::inbox::Inbox;

    #[test]
    fn a_later_life_knows_what_the_inbox_holds() {
        let inbox = Inbox::new(2);
        for index in (0..70).chain([72, 130]) {
            inbox.accept_by_hand(1, Sequence::at_index(index));
        }
        let had = Had::of(&inbox, 1);
        assert_eq!(had.cursor(), 70);
        for (index, holds) in [(69, true), (70, false), (71, false), (72, true), (130, true)] {
            assert_eq!(had.holds(Sequence::at_index(index)), holds, "{index}");
        }
        let none = Had::of(&inbox, 0);
        assert!(none.cursor() == 0 && none.beyond.is_empty());
    }

    #[test]
    fn the_cursor_stays_before_the_first_gap() {
        let mut had = Had::default();
        let event = |number: u64| Sequence::at_index(number - 1);
        for (number, is_new, cursor) in
            [(2, true, 0), (4, true, 0), (2, false, 0), (1, true, 2), (3, true, 4), (1, false, 4)]
        {
            assert_eq!((had.insert(event(number)), had.cursor()), (is_new, cursor), "{number}");
            assert!(had.holds(event(number)));
        }
        assert!(!had.holds(event(5)) && had.beyond.is_empty());
    }
}
