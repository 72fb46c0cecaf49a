//! `poll`: the subscriber asks the source's REST feed for news at intervals.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::{DeliveryError, Half, Settings, SettingsError, Strategy};
use crate::delivery::feed_reader::FeedReader;
use crate::delivery::poller::{Poller, poll_all, serve_feed};
use crate::promise::Promise;
use crate::source::feed::{Offer, PAGE_DEFAULT, PAGE_LIMIT};
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::beat::Pace;
use crate::subscriber::post::Post;
use crate::theory::adaptive_poll::AdaptivePoll;
use crate::theory::bounded_poll::BoundedPoll;
use crate::theory::broken_poll::BrokenPoll;
use crate::theory::interval_poll::IntervalPoll;
use crate::theory::reads::Reads;
use crate::theory::retries::Outage;
use crate::theory::snapshot_poll::SnapshotPoll;
use crate::theory::{Beat, Theory};
use crate::units::{DurationText, duration_text, some_duration_text};
use crate::wire::client::ClientKind;
use crate::wire::link::Link;
use crate::wire::pacing::Obedience;
use crate::wire::routes::Routes;

/// The longest a poll may take before it counts as failed.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// The most an adaptive poll may slow down in one step.
const LARGEST_FACTOR: f64 = 100.0;

/// The longest a source may ask its clients to wait.
const LONGEST_HINT: Duration = Duration::from_hours(1);

/// Settings of `poll`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Poll {
    /// Time between polls; `0ms` polls back to back. Either this or `adaptive` is needed.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub every: Option<Duration>,
    /// Polls less often while nothing happens, instead of `every`: the time between polls is
    /// `min` after news, and `factor` times as long after each poll without, up to `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Adaptive")]
    pub adaptive: Option<Adaptive>,
    /// What the interval is measured from.
    #[serde(default)]
    pub beat: Beat,
    /// The share by which each interval is at random shorter or longer, from 0 to 1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
    /// What is polled.
    #[serde(default)]
    pub resource: Resource,
    /// Whether only what has changed is asked for: an `If-None-Match` that the source may
    /// answer with 304 and no body.
    #[serde(default)]
    pub conditional: bool,
    /// Events a page may hold; a full page is followed by the next at once.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// How many of the newest events the source keeps; all of them without it. Who polls too
    /// seldom loses the older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1))]
    pub retain: Option<u64>,
    /// The interval that the source asks for in `X-Poll-Interval`, in whole seconds.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub poll_interval_hint: Option<Duration>,
    /// Whether the subscriber waits as long as the source asks it to: by `X-Poll-Interval`,
    /// `Retry-After` or `RateLimit`.
    #[serde(default = "default_obey")]
    pub obey: bool,
    /// Which HTTP client polls.
    #[serde(default)]
    pub client: ClientKind,
}

/// Intervals that grow while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    /// The interval after a poll that brought news.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub min: Duration,
    /// The longest interval.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub max: Duration,
    /// What the interval is multiplied by after a poll that brought nothing.
    #[serde(default = "default_factor")]
    pub factor: f64,
}

/// What is polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Every event: pages from behind a cursor.
    #[default]
    Feed,
    /// The newest event only; those it replaced before they were seen are coalesced.
    Snapshot,
}

pub(super) fn default_limit() -> u32 {
    PAGE_DEFAULT
}

fn default_factor() -> f64 {
    2.0
}

fn default_obey() -> bool {
    true
}

impl Settings for Poll {
    const NAME: &'static str = "poll";
    const SUMMARY: &'static str =
        "The subscriber asks a REST feed for events after its cursor, at intervals.";

    fn standing_alone() -> Poll {
        Poll {
            every: Some(Duration::ZERO),
            adaptive: None,
            beat: Beat::default(),
            jitter: 0.0,
            resource: Resource::default(),
            conditional: false,
            limit: default_limit(),
            retain: None,
            poll_interval_hint: None,
            obey: default_obey(),
            client: ClientKind::default(),
        }
    }
}

impl Strategy for Poll {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, _link: &Link) -> Result<(), SettingsError> {
        self.check_intervals()?;
        check_limit(self.limit)?;
        check_retain(self.retain)?;
        if self.resource == Resource::Snapshot {
            self.check_snapshot()?;
        }
        if let Some(hint) = self.poll_interval_hint
            && (hint.is_zero() || hint.subsec_nanos() > 0 || hint > LONGEST_HINT)
        {
            return refused(
                "poll-interval-hint",
                "`X-Poll-Interval` holds whole seconds, up to an hour",
                "write \"1s\" to \"1h\"",
            );
        }
        Ok(())
    }

    fn promise(&self) -> Promise {
        match self.resource {
            Resource::Feed => {
                Promise { complete: self.retain.is_none(), ..Promise::COMPLETE_AND_ORDERED }
            }
            Resource::Snapshot => Promise { coalesces: true, ..Promise::COMPLETE_AND_ORDERED },
        }
    }

    fn theory(&self) -> Option<Theory> {
        // An interval that the source dictates is not the one that was configured.
        let obeys_hint = self.obey && self.poll_interval_hint.is_some();
        if let (Some(adaptive), false, Resource::Feed) = (self.adaptive, obeys_hint, self.resource)
        {
            let plain = self.jitter == 0.0 && !self.conditional && self.retain.is_none();
            let Adaptive { min, max, factor } = adaptive;
            return plain.then(|| AdaptivePoll { fastest: min, slowest: max, factor }.into());
        }
        let reads = Reads {
            every: self.every.filter(|_| !obeys_hint)?,
            beat: self.beat,
            jitter: self.jitter,
            conditional: self.conditional,
        };
        Some(match (self.resource, self.retain) {
            (Resource::Snapshot, _) => SnapshotPoll { reads }.into(),
            (Resource::Feed, None) => IntervalPoll { reads, limit: self.limit }.into(),
            (Resource::Feed, Some(keeps)) => {
                let keeps = u32::try_from(keeps).unwrap_or(u32::MAX);
                BoundedPoll { reads, limit: self.limit, keeps }.into()
            }
        })
    }

    fn theory_in(&self, outage: Outage, whole: bool) -> Option<Theory> {
        match self.theory()? {
            Theory::IntervalPoll(IntervalPoll { reads, limit }) if whole => {
                Some(BrokenPoll::new(reads, limit, outage)?.into())
            }
            _ => None,
        }
    }

    fn patience(&self) -> Duration {
        let longest = self.longest_interval().mul_f64(1.0 + self.jitter);
        match self.poll_interval_hint {
            Some(hint) if self.obey => longest.max(hint),
            _ => longest,
        }
    }

    fn gives_up(&self) -> Duration {
        POLL_TIMEOUT
    }

    fn connections_per_subscriber(&self) -> u32 {
        1
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        let offer = Offer { retain: self.retain, poll_interval: self.poll_interval_hint };
        serve_feed(lane, routes, offer)
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        Box::pin(poll_all(self, post, Poll::poller))
    }
}

impl Poll {
    fn poller(&self, post: &Post, number: u32) -> Result<Poller, DeliveryError> {
        let reader = FeedReader::new(post, number, self.client, POLL_TIMEOUT, self.limit)?;
        let reader = match self.resource {
            Resource::Feed => reader,
            Resource::Snapshot => reader.of_the_newest(),
        };
        let (random, every) = (post.random(number), self.every.unwrap_or_default());
        let (pace, shortest) = match self.adaptive {
            Some(Adaptive { min, max, factor }) => {
                (Pace::adaptive(min, max, factor, self.jitter, random), min)
            }
            None => (Pace::steady(post.interval(every), self.jitter, random), every),
        };
        Ok(Poller {
            reader: reader.conditional(self.conditional),
            beat: self.beat,
            pace,
            phase: post.phase(number, shortest),
            obedience: if self.obey { Obedience::Obey } else { Obedience::Ignore },
            after_failure: Duration::ZERO,
            tally: post.line.tally.clone(),
        })
    }

    fn longest_interval(&self) -> Duration {
        self.adaptive.map(|adaptive| adaptive.max).or(self.every).unwrap_or_default()
    }

    fn check_intervals(&self) -> Result<(), SettingsError> {
        if !(0.0..=1.0).contains(&self.jitter) {
            let message = format!("an interval cannot be shorter or longer by {}", self.jitter);
            return refused("jitter", &message, "write a share from 0 to 1, such as 0.1");
        }
        match (self.every, self.adaptive) {
            (Some(_), None) => Ok(()),
            (None, Some(adaptive)) => adaptive.check(),
            (None, None) => refused(
                "every",
                "a poll needs an interval",
                "add `every = \"1s\"`, or `adaptive = { min = \"1s\", max = \"1m\" }`",
            ),
            (Some(_), Some(_)) => refused(
                "adaptive",
                "`adaptive` makes the intervals that `every` would make",
                "remove one of the two",
            ),
        }
    }

    fn check_snapshot(&self) -> Result<(), SettingsError> {
        if self.limit != default_limit() {
            return refused("limit", "a snapshot has no pages", "remove `limit`");
        }
        if self.retain.is_some() {
            return refused("retain", "a snapshot keeps the newest event only", "remove `retain`");
        }
        Ok(())
    }
}

impl Adaptive {
    fn check(&self) -> Result<(), SettingsError> {
        let remedy = "write `adaptive = { min = \"1s\", max = \"1m\", factor = 2 }`";
        if self.min.is_zero() {
            return refused("adaptive", "an interval of zero cannot grow", remedy);
        }
        if self.min > self.max {
            return refused("adaptive", "`min` is longer than `max`", remedy);
        }
        if !(1.0..=LARGEST_FACTOR).contains(&self.factor) {
            let message = format!("a factor of {} is not possible", self.factor);
            let remedy = format!("write a number from 1 to {LARGEST_FACTOR}");
            return refused("adaptive", &message, &remedy);
        }
        Ok(())
    }
}

pub(super) fn check_limit(limit: u32) -> Result<(), SettingsError> {
    if (1..=PAGE_LIMIT).contains(&limit) {
        return Ok(());
    }
    let message = format!("a page cannot hold {limit} events");
    refused("limit", &message, &format!("write a whole number from 1 to {PAGE_LIMIT}"))
}

pub(super) fn check_retain(retain: Option<u64>) -> Result<(), SettingsError> {
    if retain == Some(0) {
        let remedy = "write how many events can be read, or remove `retain` to keep all";
        return refused("retain", "a feed that keeps no event cannot be read", remedy);
    }
    Ok(())
}

fn refused(key: &'static str, message: &str, remedy: &str) -> Result<(), SettingsError> {
    Err(SettingsError { key, message: message.to_owned(), remedy: remedy.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::Poll;
    use crate::delivery::contract::Strategy;
    use crate::promise::Promise;
    use crate::wire::link::Link;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn poll(settings: Value) -> Poll {
        serde_json::from_value(settings).expect("settings")
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_by_name() {
        let adaptive = json!({ "min": "1s", "max": "1m" });
        for (settings, key) in [
            (json!({ "every": "1s" }), None),
            (json!({ "adaptive": adaptive }), None),
            (json!({}), Some("every")),
            (json!({ "every": "1s", "adaptive": adaptive }), Some("adaptive")),
            (json!({ "adaptive": { "min": "0s", "max": "1m" } }), Some("adaptive")),
            (json!({ "adaptive": { "min": "2m", "max": "1m" } }), Some("adaptive")),
            (json!({ "adaptive": { "min": "1s", "max": "1m", "factor": 0.5 } }), Some("adaptive")),
            (json!({ "every": "1s", "jitter": 1.5 }), Some("jitter")),
            (json!({ "every": "1s", "jitter": -0.1 }), Some("jitter")),
            (json!({ "every": "1s", "limit": 1001 }), Some("limit")),
            (json!({ "every": "1s", "retain": 0 }), Some("retain")),
            (json!({ "every": "1s", "resource": "snapshot" }), None),
            (json!({ "every": "1s", "resource": "snapshot", "limit": 7 }), Some("limit")),
            (json!({ "every": "1s", "resource": "snapshot", "retain": 7 }), Some("retain")),
            (json!({ "every": "1s", "poll-interval-hint": "60s" }), None),
            (json!({ "every": "1s", "poll-interval-hint": "60ms" }), Some("poll-interval-hint")),
        ] {
            let refused = poll(settings.clone()).check(&Link::default()).err();
            assert_eq!(refused.map(|error| error.key), key, "{settings}");
        }
    }

    #[test]
    fn every_poll_has_the_closed_form_that_describes_it() {
        let adaptive = json!({ "min": "1s", "max": "1m" });
        for (settings, form) in [
            (json!({ "every": "1s", "client": "hyper", "limit": 5 }), "IntervalPoll("),
            (json!({ "every": "1s", "jitter": 0.1, "conditional": true }), "IntervalPoll("),
            (json!({ "every": "1s", "retain": 10 }), "BoundedPoll("),
            (json!({ "every": "1s", "resource": "snapshot" }), "SnapshotPoll("),
            (json!({ "adaptive": adaptive }), "AdaptivePoll("),
            (json!({ "every": "1s", "poll-interval-hint": "5s", "obey": false }), "IntervalPoll("),
            // Nobody has worked these out.
            (json!({ "every": "1s", "poll-interval-hint": "5s" }), "None"),
            (json!({ "adaptive": adaptive, "jitter": 0.1 }), "None"),
            (json!({ "adaptive": adaptive, "resource": "snapshot" }), "None"),
        ] {
            let theory = poll(settings.clone()).theory();
            let shown = theory.map_or("None".to_owned(), |theory| format!("{theory:?}"));
            assert!(shown.starts_with(form), "{settings}: {shown}");
        }
    }

    #[test]
    fn an_event_is_under_way_for_the_longest_interval() {
        for (settings, seconds) in [
            (json!({ "every": "4s" }), 4),
            (json!({ "every": "4s", "jitter": 0.5 }), 6),
            (json!({ "adaptive": { "min": "1s", "max": "1m" } }), 60),
            (json!({ "every": "4s", "poll-interval-hint": "9s" }), 9),
            (json!({ "every": "4s", "poll-interval-hint": "9s", "obey": false }), 4),
        ] {
            let patience = poll(settings.clone()).patience();
            assert_eq!(patience, Duration::from_secs(seconds), "{settings}");
        }
    }

    #[test]
    fn what_may_be_missed_is_not_promised() {
        let promise = |settings| poll(settings).promise();
        assert_eq!(promise(json!({ "every": "1s" })), Promise::COMPLETE_AND_ORDERED);
        assert!(!promise(json!({ "every": "1s", "retain": 9 })).complete);
        let snapshot = promise(json!({ "every": "1s", "resource": "snapshot" }));
        assert!(snapshot.coalesces && snapshot.complete);
        assert!(snapshot.ends_with_the_newest());
        assert!(!Promise::COMPLETE_AND_ORDERED.ends_with_the_newest());
    }
}
