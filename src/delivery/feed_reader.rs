//! Reading the source's feed into the inbox: what every mechanism that polls shares.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::DeliveryError;
use crate::event::{self, Sequence};
use crate::source::feed::{Page, page_path};
use crate::source::latest::LATEST_PATH;
use crate::subscriber::inbox::{Acceptance, Inbox};
use crate::subscriber::post::Post;
use crate::wire::client::{Client, ClientKind, Received};
use crate::wire::pacing::Advice;
use crate::wire::prefer;
use crate::wire::tally::{Outcome, Tally};

/// One simulated subscriber that reads the feed, and how far it has read.
#[derive(Debug)]
pub struct FeedReader {
    subscriber: u32,
    resource: Resource,
    /// How long the source is asked to keep a request waiting for an event.
    hold: Option<Duration>,
    /// Whether the source is asked for what has changed only.
    conditional: bool,
    /// The newest representation that has a tag, and where it was found.
    held: Option<(PathAndQuery, HeaderValue)>,
    client: Client,
    inbox: Inbox,
    tally: Tally,
}

/// What is read.
#[derive(Debug)]
enum Resource {
    /// Pages of at most `limit` events, from behind the cursor.
    Pages { cursor: String, limit: u32 },
    /// The newest event, with the one that was found last.
    Snapshot { last: Option<Sequence> },
}

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What the exchange counted as.
    pub outcome: Outcome,
    /// Whether it brought an event that the subscriber did not have.
    pub news: bool,
    /// Whether the next page is there already.
    pub more: bool,
    /// When the source would have the next request.
    pub advice: Advice,
}

impl FeedReader {
    /// A reader behind what the inbox has, which is at first the feed's beginning, that asks for pages of at most `limit` events and
    /// counts a request as failed if it takes longer than `timeout`.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn new(
        post: &Post,
        subscriber: u32,
        client: ClientKind,
        timeout: Duration,
        limit: u32,
    ) -> Result<FeedReader, DeliveryError> {
        let client = Client::new(client, post.line.dial(post.source, timeout))
            .map_err(|error| DeliveryError::Refused(error.to_string()))?;
        Ok(FeedReader {
            subscriber,
            // A cursor is the number of the last event seen.
            resource: Resource::Pages {
                cursor: post.inbox.without_gap(subscriber).to_string(),
                limit,
            },
            hold: None,
            conditional: false,
            held: None,
            client,
            inbox: post.inbox.clone(),
            tally: post.line.tally.clone(),
        })
    }

    /// Reads the newest event only, instead of pages.
    #[must_use]
    pub fn of_the_newest(self) -> FeedReader {
        let last = self.inbox.newest(self.subscriber);
        FeedReader { resource: Resource::Snapshot { last }, ..self }
    }

    /// Asks the source to keep requests waiting for an event, for `hold` at most (RFC 7240, 4.3).
    #[must_use]
    pub fn waiting(self, hold: Duration) -> FeedReader {
        FeedReader { hold: Some(hold), ..self }
    }

    /// Asks only for what differs from what the reader holds, if `conditional` (RFC 9110, 13).
    #[must_use]
    pub fn conditional(self, conditional: bool) -> FeedReader {
        FeedReader { conditional, ..self }
    }

    /// Fetches page after page until the reader has caught up, a page fails, or `stop`.
    ///
    /// A page under way is finished, so that both sides count the same exchanges. Returns what
    /// the last page came to, and whether any of them brought news.
    pub async fn catch_up(&mut self, stop: &CancellationToken) -> Fetched {
        let mut news = false;
        loop {
            let fetched = self.fetch().await;
            news |= fetched.news;
            if !fetched.more || stop.is_cancelled() {
                return Fetched { news, ..fetched };
            }
        }
    }

    /// Fetches the page behind the cursor, hands its events to the inbox and moves the cursor
    /// on. A page that fails is asked for again the next time.
    pub async fn fetch(&mut self) -> Fetched {
        let fetched = self.exchange().await.unwrap_or(Fetched::of(Outcome::Failed));
        self.tally.exchanged(fetched.outcome);
        fetched
    }

    /// `None` if there is no answer.
    async fn exchange(&mut self) -> Option<Fetched> {
        let path = match &self.resource {
            Resource::Pages { cursor, limit } => page_path(cursor, *limit)?,
            Resource::Snapshot { .. } => PathAndQuery::from_static(LATEST_PATH),
        };
        let headers = self.headers(&path);
        let exchange = self.client.exchange(Method::GET, path.clone(), headers, Bytes::new());
        let received = exchange.await.ok()?;
        let fetched = match received.status {
            StatusCode::OK => self.take(&received).inspect(|_| self.hold_on_to(path, &received)),
            StatusCode::NO_CONTENT => Some(Fetched::of(Outcome::Empty)),
            StatusCode::NOT_MODIFIED => Some(Fetched::of(Outcome::NotModified)),
            StatusCode::TOO_MANY_REQUESTS => Some(Fetched::of(Outcome::RateLimited)),
            _ => None,
        };
        let fetched = fetched.unwrap_or(Fetched::of(Outcome::Failed));
        Some(Fetched { advice: received.advice(), ..fetched })
    }

    fn headers(&self, path: &PathAndQuery) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(hold) = self.hold {
            headers.insert(prefer::PREFER, prefer::waiting(hold));
        }
        // A tag says nothing of what is found at another path, behind another cursor.
        if let Some((_, tag)) = self.held.as_ref().filter(|(held, _)| held == path) {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        headers
    }

    /// Remembers what is held now, for the next request.
    fn hold_on_to(&mut self, path: PathAndQuery, received: &Received) {
        let tag = received.headers.get(ETAG).filter(|_| self.conditional);
        self.held = tag.map(|tag| (path, tag.clone()));
    }

    /// Hands what was received to the inbox; `None` if it is not ours.
    fn take(&mut self, received: &Received) -> Option<Fetched> {
        let taken = match &self.resource {
            Resource::Pages { .. } => self.take_page(received),
            Resource::Snapshot { last } => self.take_snapshot(*last, received),
        };
        if taken.is_none() {
            self.inbox.refuse();
        }
        taken
    }

    fn take_page(&mut self, received: &Received) -> Option<Fetched> {
        let page: Page<'_> = serde_json::from_slice(&received.body).ok()?;
        let mut news = false;
        for event in &page.events {
            match event.sequence() {
                Ok(sequence) => {
                    let accepted = self.inbox.accept(self.subscriber, sequence, received.arrived);
                    news |= accepted == Acceptance::First;
                }
                Err(_) => self.inbox.refuse(),
            }
        }
        // As the source counts it: it cannot know which events a subscriber has already.
        let outcome = if page.events.is_empty() { Outcome::Empty } else { Outcome::Useful };
        if let Resource::Pages { cursor, .. } = &mut self.resource {
            match page.next {
                Cow::Borrowed(next) if next == cursor => {}
                next => *cursor = next.into_owned(),
            }
        }
        Some(Fetched { news, more: page.more, ..Fetched::of(outcome) })
    }

    fn take_snapshot(&mut self, last: Option<Sequence>, received: &Received) -> Option<Fetched> {
        let sequence = event::decode(&received.body).ok()?;
        // The state that is known is no copy of an event, and neither is an older one.
        if last >= Some(sequence) {
            return Some(Fetched::of(Outcome::Useful));
        }
        self.resource = Resource::Snapshot { last: Some(sequence) };
        let accepted = self.inbox.accept(self.subscriber, sequence, received.arrived);
        Some(Fetched { news: accepted == Acceptance::First, ..Fetched::of(Outcome::Useful) })
    }
}

impl Fetched {
    /// An exchange that counted as this and brought nothing.
    fn of(outcome: Outcome) -> Fetched {
        Fetched { outcome, news: false, more: false, advice: Advice::default() }
    }
}
