//! `webhook+reconcile`: webhooks, and a slow poll that repairs what they missed.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::{Half, Settings, SettingsError, Strategy};
use crate::delivery::poll::Poll;
use crate::delivery::push::{into_inbox, posting, pushing_settings};
use crate::event::Payload;
use crate::incident::Target;
use crate::promise::Promise;
use crate::source::dispatch::with_webhooks;
use crate::source::feed::{Offer, PAGE_LIMIT, with_feed};
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::post::{Post, Readiness};
use crate::theory::reads::Reads;
use crate::theory::reconciled_webhook::ReconciledWebhook;
use crate::theory::retries::Outage;
use crate::theory::{Beat, Theory};
use crate::units::{DurationText, duration_text};
use crate::wire::client::ClientKind;
use crate::wire::link::Link;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

pushing_settings! {
    /// Settings of `webhook+reconcile`.
    pub struct WebhookReconcile {
        /// Time between the polls that repair.
        #[serde(default = "default_every", with = "duration_text")]
        #[schemars(with = "DurationText")]
        pub every: Duration,
        /// Events a page may hold; a full page is followed by the next at once.
        #[serde(default = "default_limit")]
        #[schemars(range(min = 1, max = 1000))]
        pub limit: u32,
        /// Which HTTP client polls.
        #[serde(default)]
        pub client: ClientKind,
    }
}

fn default_every() -> Duration {
    Duration::from_mins(1)
}

/// A reconciling poll reads everything again, so its pages are as large as they can be.
fn default_limit() -> u32 {
    PAGE_LIMIT
}

impl WebhookReconcile {
    fn form(&self, outage: Option<Outage>) -> Option<Theory> {
        let webhook = self.pushing().form(outage)?;
        let reads = Reads::every(self.every, Beat::FixedRate);
        Some(ReconciledWebhook { webhook, reads }.into())
    }

    /// The poll that repairs.
    fn poll(&self) -> Arc<Poll> {
        let (every, limit, client) = (self.every, self.limit, self.client);
        Arc::new(Poll { every: Some(every), limit, client, ..Poll::standing_alone() })
    }
}

impl Settings for WebhookReconcile {
    const NAME: &'static str = "webhook+reconcile";
    const SUMMARY: &'static str =
        "Webhooks, and a slow poll of the feed that brings what they did not.";

    fn standing_alone() -> WebhookReconcile {
        serde_json::from_str("{}").expect("every key has a default")
    }
}

impl Strategy for WebhookReconcile {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, link: &Link) -> Result<(), SettingsError> {
        if self.every.is_zero() {
            return Err(SettingsError {
                key: "every",
                message: "a poll without pause leaves nothing for webhooks to bring".to_owned(),
                remedy: "write the time between polls, such as \"60s\"".to_owned(),
            });
        }
        self.poll().check(link)?;
        self.pushing().check()
    }

    fn promise(&self) -> Promise {
        // The poll brings whatever the webhooks lose.
        Promise::COMPLETE
    }

    fn target(&self) -> Target {
        self.pushing().target(true)
    }

    fn theory(&self) -> Option<Theory> {
        self.form(None)
    }

    /// In an outage of everything the poll fails, too, which the form does not describe.
    fn theory_in(&self, outage: Outage, whole: bool) -> Option<Theory> {
        self.form(Some(outage)).filter(|_| !whole)
    }

    fn patience(&self) -> Duration {
        self.pushing().patience().max(self.poll().patience())
    }

    fn gives_up(&self) -> Duration {
        self.poll().gives_up()
    }

    fn connections_per_subscriber(&self) -> u32 {
        self.pushing().connections() + self.poll().connections_per_subscriber()
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let SourceHalf { routes, work } = with_feed(routes, lane, Offer::default());
        let sending = self.pushing().sending(None, Outcome::Useful);
        let (routes, dispatcher) = with_webhooks(lane, sending, routes);
        let work = async { tokio::join!(posting(dispatcher), work).0 };
        SourceHalf { routes, work: Box::pin(work) }
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        // The subscribers are ready when their webhooks are registered; a poll needs nothing.
        let (ready, _) = Readiness::channel();
        let polling = self.poll().subscriber(Post {
            inbox: post.inbox.clone(),
            line: post.line.clone(),
            source: post.source,
            subscribers: post.subscribers,
            stop: post.stop.clone(),
            seed: post.seed,
            ready,
            epoch: post.epoch.clone(),
            life: post.life.clone(),
        });
        let take = into_inbox(&post);
        let receiving = self.pushing().receive(Payload::Full, post, take);
        Box::pin(async { tokio::try_join!(receiving, polling).map(|_| ()) })
    }
}
