//! `poll`: the subscriber asks the source's REST feed for news at intervals.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::{DeliveryError, Half, Settings, SettingsError, Strategy};
use crate::delivery::feed_reader::FeedReader;
use crate::promise::Promise;
use crate::source::feed::{PAGE_DEFAULT, PAGE_LIMIT, with_feed};
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::beat::Clockwork;
use crate::subscriber::post::{Epoch, Post};
use crate::theory::interval_poll::IntervalPoll;
use crate::theory::reads::Reads;
use crate::theory::{Beat, Theory};
use crate::units::{DurationText, duration_text};
use crate::wire::client::ClientKind;
use crate::wire::link::Link;
use crate::wire::routes::Routes;
use crate::wire::tally::Tally;

/// The longest a poll may take before it counts as failed.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of `poll`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Poll {
    /// Time between polls; `0ms` polls back to back.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub every: Duration,
    /// What the interval is measured from.
    #[serde(default)]
    pub beat: Beat,
    /// Events a page may hold; a full page is followed by the next at once.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// Which HTTP client polls.
    #[serde(default)]
    pub client: ClientKind,
}

fn default_limit() -> u32 {
    PAGE_DEFAULT
}

impl Settings for Poll {
    const NAME: &'static str = "poll";
    const SUMMARY: &'static str =
        "The subscriber asks a REST feed for events after its cursor, at intervals.";

    fn standing_alone() -> Poll {
        Poll {
            every: Duration::ZERO,
            beat: Beat::default(),
            limit: default_limit(),
            client: ClientKind::default(),
        }
    }
}

impl Strategy for Poll {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, _link: &Link) -> Result<(), SettingsError> {
        if !(1..=PAGE_LIMIT).contains(&self.limit) {
            return Err(SettingsError {
                key: "limit",
                message: format!("a page cannot hold {} events", self.limit),
                remedy: format!("write a whole number from 1 to {PAGE_LIMIT}"),
            });
        }
        Ok(())
    }

    fn promise(&self) -> Promise {
        Promise::COMPLETE_AND_ORDERED
    }

    fn theory(&self) -> Option<Theory> {
        let reads = Reads::every(self.every, self.beat);
        Some(IntervalPoll { reads, limit: self.limit }.into())
    }

    fn patience(&self) -> Duration {
        self.every
    }

    fn connections_per_subscriber(&self) -> u32 {
        1
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let routes = with_feed(routes, lane.log.clone(), lane.writer.clone());
        SourceHalf { routes, work: Box::pin(std::future::ready(Ok(()))) }
    }

    fn subscriber(self: Arc<Self>, mut post: Post) -> Half {
        Box::pin(async move {
            let mut pollers = JoinSet::new();
            for number in 0..post.subscribers {
                let reader = FeedReader::new(&post, number, self.client, POLL_TIMEOUT, self.limit)?;
                let poller = Poller {
                    settings: Arc::clone(&self),
                    phase: post.phase(number, self.every),
                    reader,
                    tally: post.line.tally.clone(),
                };
                pollers.spawn(poller.run(post.epoch.clone(), post.stop.clone()));
            }
            post.ready.announce();
            while let Some(ended) = pollers.join_next().await {
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            }
            Ok(())
        })
    }
}

/// One simulated subscriber.
struct Poller {
    settings: Arc<Poll>,
    phase: Duration,
    reader: FeedReader,
    tally: Tally,
}

impl Poller {
    async fn run(mut self, mut epoch: Epoch, stop: CancellationToken) -> Result<(), DeliveryError> {
        let timer = |source| DeliveryError::Socket { doing: "setting a timer", source };
        let epoch = tokio::select! {
            epoch = epoch.known() => epoch,
            () = stop.cancelled() => None,
        };
        let Some(epoch) = epoch else { return Ok(()) };
        let mut clockwork =
            Clockwork::new(self.settings.beat, self.settings.every, epoch.after(self.phase))
                .map_err(timer)?;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                beat = clockwork.beat() => beat.map_err(timer)?,
            }
            self.reader.catch_up(&stop).await;
            self.tally.beats_missed(clockwork.completed());
        }
    }
}
