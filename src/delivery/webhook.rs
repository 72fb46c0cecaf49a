//! `webhook`: the source posts every event to the subscriber as it happens.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::{Half, Settings, SettingsError, Strategy};
use crate::delivery::push::{into_inbox, posting, pushing_settings};
use crate::event::Payload;
use crate::incident::Target;
use crate::promise::Promise;
use crate::source::dispatch::{Batch, with_webhooks};
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::post::Post;
use crate::theory::Theory;
use crate::theory::batched_webhook::BatchedWebhook;
use crate::theory::retries::Outage;
use crate::units::{DurationText, duration_text};
use crate::wire::link::Link;
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

/// The most events in a batch.
const LARGEST_BATCH: u32 = 1_000;

pushing_settings! {
    /// Settings of `webhook`.
    pub struct Webhook {
        /// How much of each event is posted; a thin webhook counts as the delivery.
        #[serde(default)]
        pub payload: Payload,
        /// Several events in one request; each in its own by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub batch: Option<Batch>,
    }
}

impl Settings for Webhook {
    const NAME: &'static str = "webhook";
    const SUMMARY: &'static str =
        "The source posts each event to the subscriber's endpoint as it happens.";

    fn standing_alone() -> Webhook {
        serde_json::from_str("{}").expect("every key has a default")
    }
}

impl Strategy for Webhook {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, _link: &Link) -> Result<(), SettingsError> {
        let impossible = |batch: &Batch| !(1..=LARGEST_BATCH).contains(&batch.max);
        if let Some(batch) = self.batch.filter(impossible) {
            return Err(SettingsError {
                key: "batch",
                message: format!("a batch cannot hold {} events", batch.max),
                remedy: format!("write `max` as a whole number from 1 to {LARGEST_BATCH}"),
            });
        }
        self.pushing().check()
    }

    fn promise(&self) -> Promise {
        self.pushing().promise()
    }

    fn theory(&self) -> Option<Theory> {
        self.form(None)
    }

    fn target(&self) -> Target {
        self.pushing().target(false)
    }

    fn recovers(&self) -> bool {
        false
    }

    fn theory_in(&self, outage: Outage, _whole: bool) -> Option<Theory> {
        self.form(Some(outage))
    }

    fn patience(&self) -> Duration {
        self.pushing().patience() + self.batch.map_or(Duration::ZERO, |batch| batch.linger)
    }

    fn connections_per_subscriber(&self) -> u32 {
        self.pushing().connections() + u32::from(self.batch.is_some())
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let sending = self.pushing().sending(self.batch, Outcome::Useful);
        let (routes, dispatcher) = with_webhooks(lane, sending, routes);
        SourceHalf { routes, work: Box::pin(posting(dispatcher)) }
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        let take = into_inbox(&post);
        Box::pin(self.pushing().receive(self.payload, post, take))
    }
}

impl Webhook {
    fn form(&self, outage: Option<Outage>) -> Option<Theory> {
        let posted = self.pushing().form(outage)?;
        let Some(Batch { linger, max }) = self.batch else { return Some(posted.into()) };
        // A batch whose post fails or waits for its turn has no closed form.
        let at_once = posted.handle.is_zero() && posted.retries.is_none();
        at_once.then(|| BatchedWebhook { linger, most: max }.into())
    }
}
