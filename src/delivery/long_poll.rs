//! `long-poll`: the subscriber's request waits at the source until something happens.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::{DeliveryError, Half, Settings, SettingsError, Strategy};
use crate::delivery::feed_reader::FeedReader;
use crate::delivery::poll::{check_limit, check_retain, default_limit};
use crate::delivery::poller::{Poller, poll_all, serve_feed};
use crate::promise::Promise;
use crate::source::feed::{HOLD_LIMIT, Offer};
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::beat::Pace;
use crate::subscriber::post::Post;
use crate::theory::{self, Beat, Theory};
use crate::units::{DurationText, duration_text};
use crate::wire::client::ClientKind;
use crate::wire::link::Link;
use crate::wire::pacing::Obedience;
use crate::wire::routes::Routes;

/// How long an answer may take beyond the hold before the poll counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a subscriber waits after a poll that failed, so that it does not spin.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Settings of `long-poll`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LongPoll {
    /// How long the source keeps a request waiting for an event, in whole seconds up to "55s".
    #[serde(default = "default_hold", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub hold: Duration,
    /// Events a page may hold; a full page is followed by the next at once.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// How many of the newest events the source keeps; all of them without it. Who reads too
    /// slowly loses the older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1))]
    pub retain: Option<u64>,
    /// Which HTTP client polls.
    #[serde(default)]
    pub client: ClientKind,
}

fn default_hold() -> Duration {
    Duration::from_secs(30)
}

impl Settings for LongPoll {
    const NAME: &'static str = "long-poll";
    const SUMMARY: &'static str = "The subscriber asks a REST feed, which answers when there is an \
                                   event, and asks again at once.";

    fn standing_alone() -> LongPoll {
        LongPoll {
            hold: default_hold(),
            limit: default_limit(),
            retain: None,
            client: ClientKind::default(),
        }
    }
}

impl Strategy for LongPoll {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, _link: &Link) -> Result<(), SettingsError> {
        let whole = self.hold.subsec_nanos() == 0;
        if !whole || self.hold.is_zero() || self.hold > HOLD_LIMIT {
            return Err(SettingsError {
                key: "hold",
                message: "a request is kept waiting for whole seconds (RFC 7240, 4.3), and not as \
                          long as proxies give up after"
                    .to_owned(),
                remedy: format!("write \"1s\" to \"{}s\"", HOLD_LIMIT.as_secs()),
            });
        }
        check_limit(self.limit)?;
        check_retain(self.retain)
    }

    fn promise(&self) -> Promise {
        Promise { complete: self.retain.is_none(), ..Promise::COMPLETE_AND_ORDERED }
    }

    fn theory(&self) -> Option<Theory> {
        let form = theory::long_poll::LongPoll { hold: self.hold, rearm: Duration::ZERO };
        self.retain.is_none().then(|| form.into())
    }

    fn patience(&self) -> Duration {
        // An event that happens while no request is parked waits for the next one only.
        AFTER_FAILURE
    }

    fn gives_up(&self) -> Duration {
        self.hold + ANSWER_TIMEOUT
    }

    fn connections_per_subscriber(&self) -> u32 {
        1
    }

    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        serve_feed(lane, routes, Offer { retain: self.retain, poll_interval: None })
    }

    fn subscriber(self: Arc<Self>, post: Post) -> Half {
        Box::pin(poll_all(self, post, LongPoll::poller))
    }
}

impl LongPoll {
    fn poller(&self, post: &Post, number: u32) -> Result<Poller, DeliveryError> {
        let timeout = self.hold + ANSWER_TIMEOUT;
        let reader = FeedReader::new(post, number, self.client, timeout, self.limit)?;
        Ok(Poller {
            reader: reader.waiting(self.hold),
            // The next request follows an answer at once.
            beat: Beat::FixedDelay,
            pace: Pace::steady(Duration::ZERO, 0.0, post.random(number)),
            phase: Duration::ZERO,
            obedience: Obedience::Obey,
            after_failure: AFTER_FAILURE,
            tally: post.line.tally.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::LongPoll;
    use crate::delivery::contract::Strategy;
    use crate::wire::link::Link;
    use serde_json::json;

    #[test]
    fn a_hold_that_no_request_can_have_is_refused() {
        for (hold, key) in [
            ("30s", None),
            ("1s", None),
            ("55s", None),
            ("0s", Some("hold")),
            ("1500ms", Some("hold")),
            ("1m", Some("hold")),
        ] {
            let settings: LongPoll = serde_json::from_value(json!({ "hold": hold })).expect("read");
            let refused = settings.check(&Link::default()).err().map(|error| error.key);
            assert_eq!(refused, key, "{hold}");
        }
        for (settings, key) in
            [(json!({ "limit": 0 }), "limit"), (json!({ "retain": 0 }), "retain")]
        {
            let settings: LongPoll = serde_json::from_value(settings).expect("read");
            assert_eq!(settings.check(&Link::default()).expect_err("refused").key, key);
        }
    }

    #[test]
    fn a_bounded_window_promises_no_completeness() {
        let promise = |settings| {
            let settings: LongPoll = serde_json::from_value(settings).expect("read");
            settings.promise()
        };
        assert!(promise(json!({})).complete);
        assert!(!promise(json!({ "retain": 300 })).complete);
        assert!(promise(json!({ "retain": 300 })).ordered);
    }
}
