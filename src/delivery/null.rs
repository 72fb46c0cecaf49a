//! `null`: a control. Events are handed from the log to the inbox inside the source's process.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::delivery::contract::{DeliveryError, Half, HandOver, Settings, SettingsError, Strategy};
use crate::incident::Target;
use crate::promise::Promise;
use crate::source::lane::{Lane, SourceHalf};
use crate::source::trail::Trail;
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::Post;
use crate::theory::{self, Theory};
use crate::units::{DurationText, duration_text};
use crate::wire::link::Link;
use crate::wire::routes::Routes;

/// Settings of `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Null {
    /// How long after its emission each event is handed over: a delay that a sound harness
    /// reads as it is.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub delay: Duration,
}

impl Settings for Null {
    const NAME: &'static str = "null";
    const SUMMARY: &'static str = "A control: no network at all; the source's own process hands \
                                   over each event, at once or after a known delay.";

    fn standing_alone() -> Null {
        Null::default()
    }
}

impl Strategy for Null {
    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    fn check(&self, link: &Link) -> Result<(), SettingsError> {
        let Link { keep_alive, tls, tls_resume, nodelay, idle_timeout, http, auth, rate_limit } =
            link;
        let plain = Link::default();
        let set = [
            ("keep-alive", *keep_alive != plain.keep_alive),
            ("tls", *tls != plain.tls),
            ("tls-resume", *tls_resume != plain.tls_resume),
            ("nodelay", *nodelay != plain.nodelay),
            ("idle-timeout", *idle_timeout != plain.idle_timeout),
            ("http", *http != plain.http),
            ("auth", *auth != plain.auth),
            ("rate-limit", *rate_limit != plain.rate_limit),
        ];
        match set.into_iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((key, _)) => Err(SettingsError {
                key,
                message: "`null` delivers inside one process, where there is no connection"
                    .to_owned(),
                remedy: format!("leave `{key}` out, or choose another mechanism"),
            }),
        }
    }

    fn promise(&self) -> Promise {
        Promise::COMPLETE_AND_ORDERED
    }

    fn theory(&self) -> Option<Theory> {
        Some(theory::hand_over::HandOver { delay: self.delay }.into())
    }

    fn target(&self) -> Target {
        Target { source_answers: false, apart: false, ..Target::ASKING }
    }

    fn patience(&self) -> Duration {
        self.delay
    }

    fn connections_per_subscriber(&self) -> u32 {
        0
    }

    /// Offers nothing: there is no way to it but [`Strategy::in_process`].
    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half> {
        SourceHalf { routes, work: Box::pin(idle(lane.stop.clone())) }
    }

    /// Asks for nothing.
    fn subscriber(self: Arc<Self>, mut post: Post) -> Half {
        post.ready.announce();
        Box::pin(idle(post.stop))
    }

    fn in_process(self: Arc<Self>) -> Option<HandOver> {
        Some(Box::new(move |lane, inbox| Box::pin(hand_over(lane.clone(), inbox, self.delay))))
    }
}

async fn idle(stop: CancellationToken) -> Result<(), DeliveryError> {
    stop.cancelled().await;
    Ok(())
}

/// Hands every event to every subscriber, in order, until the lane is told to stop.
async fn hand_over(lane: Lane, inbox: Inbox, delay: Duration) -> Result<(), DeliveryError> {
    let mut trail = Trail::new(lane.log, delay).map_err(DeliveryError::Timer)?;
    loop {
        let event = tokio::select! {
            biased;
            () = lane.stop.cancelled() => return Ok(()),
            event = trail.next() => event.map_err(DeliveryError::Timer)?,
        };
        for subscriber in 0..inbox.subscribers() {
            inbox.accept_by_hand(subscriber, event.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Null;
    use crate::delivery::contract::Strategy;
    use crate::wire::auth::Auth;
    use crate::wire::link::{HttpVersion, Link};

    #[test]
    fn no_setting_of_a_link_is_ignored() {
        let plain = Link::default();
        assert_eq!(Null::default().check(&plain), Ok(()));
        let limit = serde_json::json!({ "rate": "2/s", "burst": 5 });
        for (key, link) in [
            ("keep-alive", Link { keep_alive: false, ..plain.clone() }),
            ("tls", Link { tls: true, ..plain.clone() }),
            ("tls-resume", Link { tls_resume: false, ..plain.clone() }),
            ("http", Link { http: HttpVersion::Two, ..plain.clone() }),
            ("auth", Link { auth: Auth::ApiKey, ..plain.clone() }),
            (
                "rate-limit",
                Link { rate_limit: serde_json::from_value(limit).expect("a limit"), ..plain },
            ),
        ] {
            let error = Null::default().check(&link).expect_err(key);
            assert_eq!(error.key, key);
        }
    }
}
