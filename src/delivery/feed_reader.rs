//! Reading the source's feed into the inbox: what every mechanism that polls shares.

use std::borrow::Cow;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::delivery::contract::DeliveryError;
use crate::source::feed::{Page, page_path};
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::Post;
use crate::wire::client::{Client, ClientKind, Received};
use crate::wire::tally::{Outcome, Tally};

/// One simulated subscriber that reads the feed, and how far it has read.
#[derive(Debug)]
pub struct FeedReader {
    subscriber: u32,
    limit: u32,
    client: Client,
    cursor: String,
    inbox: Inbox,
    tally: Tally,
}

/// What a request for a page came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What the exchange counted as.
    pub outcome: Outcome,
    /// Whether the next page is there already.
    pub more: bool,
}

impl FeedReader {
    /// A reader at the feed's beginning that asks for pages of at most `limit` events and
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
            limit,
            client,
            cursor: "0".to_owned(),
            inbox: post.inbox.clone(),
            tally: post.line.tally.clone(),
        })
    }

    /// Fetches page after page until the reader has caught up, a page fails, or `stop`.
    ///
    /// A page under way is finished, so that both sides count the same exchanges. Returns what
    /// the last page came to.
    pub async fn catch_up(&mut self, stop: &CancellationToken) -> Fetched {
        loop {
            let fetched = self.fetch().await;
            if !fetched.more || stop.is_cancelled() {
                return fetched;
            }
        }
    }

    /// Fetches the page behind the cursor, hands its events to the inbox and moves the cursor
    /// on. A page that fails is asked for again the next time.
    pub async fn fetch(&mut self) -> Fetched {
        let failed = Fetched { outcome: Outcome::Failed, more: false };
        let fetched = self.exchange().await.unwrap_or(failed);
        self.tally.exchanged(fetched.outcome);
        fetched
    }

    async fn exchange(&mut self) -> Option<Fetched> {
        let path = page_path(&self.cursor, self.limit)?;
        let received = self.client.get(path).await.ok()?;
        if received.status.is_success() { self.take(&received) } else { None }
    }

    /// Hands a page's events to the inbox; `None` if it is not a page of ours.
    fn take(&mut self, received: &Received) -> Option<Fetched> {
        let Ok(page) = serde_json::from_slice::<Page<'_>>(&received.body) else {
            self.inbox.refuse();
            return None;
        };
        for event in &page.events {
            match event.sequence() {
                Ok(sequence) => {
                    self.inbox.accept(self.subscriber, sequence, received.arrived);
                }
                Err(_) => self.inbox.refuse(),
            }
        }
        // As the source counts it: it cannot know which events a subscriber has already.
        let outcome = if page.events.is_empty() { Outcome::Empty } else { Outcome::Useful };
        match page.next {
            Cow::Borrowed(next) if next == self.cursor => {}
            next => self.cursor = next.into_owned(),
        }
        Some(Fetched { outcome, more: page.more })
    }
}
