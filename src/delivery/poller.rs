//! Asking the feed again and again: what interval polls and long polls share.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::{DeliveryError, Half};
use crate::delivery::feed_reader::FeedReader;
use crate::source::feed::{Offer, with_feed};
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::beat::{Clockwork, Pace};
use crate::subscriber::post::{Epoch, Post};
use crate::theory::Beat;
use crate::wire::pacing::{Advice, Obedience};
use crate::wire::routes::Routes;
use crate::wire::tally::{Outcome, Tally};

/// The source's half: the feed, and nothing unasked.
#[must_use]
pub fn serve_feed(lane: &Lane, routes: Routes, offer: Offer) -> SourceHalf<Half> {
    let SourceHalf { routes, work } = with_feed(routes, lane, offer);
    let work = Box::pin(async {
        work.await;
        Ok(())
    });
    SourceHalf { routes, work }
}

/// One simulated subscriber that polls.
#[derive(Debug)]
pub struct Poller {
    /// What it reads with.
    pub reader: FeedReader,
    /// What its intervals are measured from.
    pub beat: Beat,
    /// How long they are.
    pub pace: Pace,
    /// When the first poll is, after the epoch.
    pub phase: Duration,
    /// Whether it does as the source asks.
    pub obedience: Obedience,
    /// The least time it waits after a poll that failed.
    pub after_failure: Duration,
    /// What it counts missed beats with.
    pub tally: Tally,
}

/// The subscribers' half: one poller for each simulated subscriber, until the post is told to
/// stop.
///
/// # Errors
///
/// When a poller cannot be made, or has no timer.
pub async fn poll_all<S>(
    settings: Arc<S>,
    mut post: Post,
    poller: fn(&S, &Post, u32) -> Result<Poller, DeliveryError>,
) -> Result<(), DeliveryError> {
    let mut pollers = JoinSet::new();
    for number in 0..post.subscribers {
        let poller = poller(&settings, &post, number)?;
        pollers.spawn(poller.run(post.epoch.clone(), post.stop.clone()));
    }
    post.ready.announce();
    while let Some(ended) = pollers.join_next().await {
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    }
    Ok(())
}

impl Poller {
    async fn run(mut self, mut epoch: Epoch, stop: CancellationToken) -> Result<(), DeliveryError> {
        let timer = |source| DeliveryError::Socket { doing: "setting a timer", source };
        let epoch = tokio::select! {
            epoch = epoch.known() => epoch,
            () = stop.cancelled() => None,
        };
        let Some(epoch) = epoch else { return Ok(()) };
        let mut clockwork = Clockwork::new(self.beat, epoch.after(self.phase)).map_err(timer)?;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                beat = clockwork.beat() => beat.map_err(timer)?,
            }
            let fetched = self.reader.catch_up(&stop).await;
            let Advice { pause, poll_interval } = fetched.advice.heard(self.obedience);
            let failed = matches!(fetched.outcome, Outcome::Failed | Outcome::RateLimited);
            let least = if failed { self.after_failure } else { Duration::ZERO };
            let pause = pause.unwrap_or_default().max(least);
            let interval = self.pace.next(fetched.news).max(poll_interval.unwrap_or_default());
            self.tally.beats_missed(clockwork.completed(interval, pause));
        }
    }
}
