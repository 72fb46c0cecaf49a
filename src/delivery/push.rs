//! What the mechanisms that push share: their settings, and how the two sides come together.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::{DeliveryError, SettingsError};
use crate::event::Payload;
use crate::incident::Target;
use crate::promise::Promise;
use crate::source::dispatch::{Batch, Dispatcher, Sending};
use crate::source::subscriptions::{Registration, SUBSCRIPTIONS_PATH};
use crate::subscriber::post::Post;
use crate::subscriber::receiver::{MOST_WORKERS, Receiver, Reception, Take};
use crate::theory;
use crate::theory::retries::{Outage, Retries};
use crate::units::nanoseconds;
use crate::wire::client::{Client, ClientKind, Dial};
use crate::wire::retry::{Anchor, Jitter, RetryPolicy, Schedule, TimeScale};
use crate::wire::signature::{Scheme, SigningKey, Verifier};
use crate::wire::socket::{bind, bind_again};
use crate::wire::tally::Outcome;

/// The most connections a subscriber's webhooks may use.
const MOST_CONNECTIONS: u32 = 256;

/// How long a registration may take.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(10);

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signing {
    /// Not at all.
    #[default]
    None,
    /// Standard Webhooks 1.0: HMAC-SHA256 over id, timestamp and body.
    StandardWebhooks,
    /// `X-Signature`: hexadecimal HMAC-SHA256 over the body.
    XSignature,
    /// GitHub's `X-Hub-Signature-256`: HMAC-SHA256 over the body.
    #[serde(rename = "github")]
    GitHub,
}

impl Signing {
    fn scheme(self) -> Option<Scheme> {
        match self {
            Signing::None => None,
            Signing::StandardWebhooks => Some(Scheme::StandardWebhooks),
            Signing::XSignature => Some(Scheme::XSignature),
            Signing::GitHub => Some(Scheme::GitHub),
        }
    }
}

/// The settings that every mechanism that pushes has.
#[derive(Clone, Debug)]
pub(super) struct Pushing {
    pub(super) concurrency: u32,
    pub(super) timeout: Duration,
    pub(super) ordered: bool,
    pub(super) sign: Signing,
    pub(super) retries: RetryPolicy,
    pub(super) time_scale: TimeScale,
    pub(super) retry_budget: Option<f64>,
    pub(super) receiver: Reception,
}

/// Declares the settings of a mechanism that pushes: its own, and those all of them have.
///
/// A macro and not a common member, because the keys of a scenario are flat and errors must
/// point at them: serde's flattening loses their places.
macro_rules! pushing_settings {
    ($(#[$about:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// Connections to each subscriber; further events wait in the log, which counts as
            /// latency.
            #[serde(default = "crate::delivery::push::default_concurrency")]
            #[schemars(range(min = 1, max = 256))]
            pub concurrency: u32,
            /// The longest an attempt may take before it counts as failed.
            #[serde(default = "crate::delivery::push::default_timeout", with = "duration_text")]
            #[schemars(with = "DurationText")]
            pub timeout: Duration,
            /// Whether a failed delivery holds back what follows until it succeeds or is given
            /// up; needs `concurrency = 1`.
            #[serde(default)]
            pub ordered: bool,
            /// How deliveries are signed and verified.
            #[serde(default)]
            pub sign: crate::delivery::push::Signing,
            /// How failed deliveries are retried; not at all by default.
            #[serde(default)]
            pub retries: crate::wire::retry::RetryPolicy,
            /// Factor that shortens the waits between attempts, so that days fit into a trial.
            #[serde(default)]
            pub time_scale: crate::wire::retry::TimeScale,
            /// Retries allowed for each first attempt to a subscriber; any number by default.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 0, max = 100))]
            pub retry_budget: Option<f64>,
            /// How the subscribers' endpoints behave.
            #[serde(default)]
            pub receiver: crate::subscriber::receiver::Reception,
        }

        impl $name {
            /// The settings it shares with the other mechanisms that push.
            fn pushing(&self) -> crate::delivery::push::Pushing {
                crate::delivery::push::Pushing {
                    concurrency: self.concurrency,
                    timeout: self.timeout,
                    ordered: self.ordered,
                    sign: self.sign,
                    retries: self.retries.clone(),
                    time_scale: self.time_scale,
                    retry_budget: self.retry_budget,
                    receiver: self.receiver.clone(),
                }
            }
        }
    };
}

pub(super) use pushing_settings;

pub(super) fn default_concurrency() -> u32 {
    4
}

pub(super) fn default_timeout() -> Duration {
    Duration::from_secs(15)
}

impl Pushing {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let refuse = |key, message: String, remedy: &str| {
            Err(SettingsError { key, message, remedy: remedy.to_owned() })
        };
        if !(1..=MOST_CONNECTIONS).contains(&self.concurrency) {
            let message = format!("{} connections a subscriber are not possible", self.concurrency);
            return refuse("concurrency", message, "write a whole number from 1 to 256");
        }
        if self.ordered && self.concurrency != 1 {
            let message = format!("{} connections cannot keep an order", self.concurrency);
            return refuse("ordered", message, "write `concurrency = 1` beside it");
        }
        if self.timeout.is_zero() {
            let message = "a delivery cannot be complete in no time".to_owned();
            let remedy = "write how long the source waits for an answer, such as \"15s\"";
            return refuse("timeout", message, remedy);
        }
        if self.retry_budget.is_some_and(|budget| !(0.0..=100.0).contains(&budget)) {
            let message = "a budget is a number of retries for each first attempt".to_owned();
            return refuse("retry-budget", message, "write a number from 0 to 100, such as 0.1");
        }
        let Reception { workers, fail, .. } = self.receiver;
        if !(1..=MOST_WORKERS).contains(&workers) {
            let message = format!("{workers} workers a subscriber are not possible");
            return refuse("receiver", message, "write `workers` as a whole number from 1 to 256");
        }
        if !(0.0..=1.0).contains(&fail) {
            let message = format!("{fail} is not a share of requests");
            return refuse("receiver", message, "write `fail` as a number from 0 to 1");
        }
        Ok(())
    }

    fn schedule(&self) -> Schedule {
        self.retries.schedule().scaled(self.time_scale)
    }

    /// The longest a delivery can be under way: every attempt takes as long as it may, every wait
    /// is as long as its jitter makes it.
    pub(super) fn patience(&self) -> Duration {
        let schedule = self.schedule();
        let attempts = u32::try_from(schedule.most_attempts()).unwrap_or(u32::MAX);
        let waits = schedule.jitter.bounds(schedule.span()).1;
        self.timeout.saturating_mul(attempts).saturating_add(waits)
    }

    /// Descriptors a subscriber keeps open: its connections, and a timer for each worker.
    pub(super) fn connections(&self) -> u32 {
        let timers = if self.receiver.handle.is_zero() { 0 } else { self.receiver.workers };
        self.concurrency + timers + u32::from(!self.schedule().waits.is_empty())
    }

    /// What incidents can find: subscribers that answer, and a source that answers if they ask
    /// it, too.
    pub(super) fn target(&self, source_answers: bool) -> Target {
        Target {
            source_answers,
            subscriber_answers: true,
            signed: self.sign != Signing::None,
            apart: true,
        }
    }

    /// What is promised of the deliveries.
    ///
    /// Where an endpoint is made to fail, what that loses is a result and no fault. With one
    /// connection events leave in order, but only `ordered` waits for what is to be retried.
    pub(super) fn promise(&self) -> Promise {
        let waits = self.ordered || self.schedule().waits.is_empty();
        Promise {
            complete: self.receiver.fail <= 0.0,
            ordered: self.concurrency == 1 && waits,
            coalesces: false,
        }
    }

    /// The closed form of posting event by event, if nothing happens that it does not describe:
    /// a budget that runs out, a failure that holds up what follows, an answer that comes too late.
    pub(super) fn form(&self, outage: Option<Outage>) -> Option<theory::webhook::Webhook> {
        let Reception { handle, workers, fail } = self.receiver;
        let fails = fail > 0.0 || outage.is_some();
        let held_up = fails && (self.retry_budget.is_some() || self.ordered);
        if held_up || handle >= self.timeout {
            return None;
        }
        let fewer = !handle.is_zero() && workers < self.concurrency;
        Some(theory::webhook::Webhook {
            concurrency: self.concurrency,
            workers: fewer.then_some(workers),
            handle,
            retries: fails.then(|| self.repeats(outage)),
        })
    }

    /// What closed forms know of failures and what follows them.
    fn repeats(&self, outage: Option<Outage>) -> Retries {
        let schedule = self.schedule();
        let bounds = schedule.waits.iter().map(|wait| schedule.jitter.bounds(*wait));
        let (shortest, longest): (Vec<u64>, Vec<u64>) =
            bounds.map(|(shortest, longest)| (nanoseconds(shortest), nanoseconds(longest))).unzip();
        Retries {
            shortest: if schedule.jitter == Jitter::None { Vec::new() } else { shortest },
            waits: longest,
            from_first: schedule.anchor == Anchor::FirstAttempt,
            failing: self.receiver.fail,
            unanswered: 0.0,
            outage,
        }
    }

    /// How the source posts.
    pub(super) fn sending(&self, batch: Option<Batch>, taken: Outcome) -> Sending {
        Sending {
            concurrency: self.concurrency,
            timeout: self.timeout,
            ordered: self.ordered,
            batch,
            retries: self.schedule(),
            budget: self.retry_budget,
            taken,
        }
    }

    /// The subscribers' half: one endpoint that every simulated subscriber has a path on.
    pub(super) async fn receive(
        self,
        payload: Payload,
        mut post: Post,
        take: Take,
    ) -> Result<(), DeliveryError> {
        let socket = |source| DeliveryError::Socket { doing: "listening for webhooks", source };
        let listener = match post.life.endpoint {
            Some(endpoint) => bind_again(endpoint).await,
            None => bind(post.line.address).await,
        };
        let listener = listener.map_err(socket)?;
        let address = listener.local_addr().map_err(socket)?;
        let (scheme, url_scheme) = (self.sign.scheme(), post.line.scheme());
        let secret = |number| match &post.life.secret {
            Some(secret) => SigningKey::derived_secret(secret, number),
            None => SigningKey::random_secret(),
        };
        let secrets: Vec<Option<String>> =
            (0..post.subscribers).map(|number| scheme.map(|_| secret(number))).collect();
        let verifiers = secrets.iter().map(|secret| {
            let (scheme, secret) = (scheme?, secret.as_deref()?);
            let key = scheme.key(secret).expect("a secret made here is one");
            Some(Verifier::new(scheme, vec![key]))
        });
        let receiver = Receiver::new(self.receiver, payload, verifiers.collect(), &post, take);
        let routes = receiver.map_err(socket)?.routes();
        let line = post.line.clone();
        let serving = line.serve(listener, routes, post.stop.clone());
        let registering = async {
            let registrations = (0..).zip(secrets).map(|(number, secret): (u32, _)| {
                let url = format!("{url_scheme}://{address}/hooks/{number}");
                Registration { url, payload, sign: scheme, secret, old_secret: None }
            });
            let registered =
                if post.life.known { Ok(()) } else { register(&post, registrations).await };
            match registered {
                Ok(()) => post.ready.announce(),
                // Without a registration nothing will ever come in.
                Err(_) => post.stop.cancel(),
            }
            registered
        };
        let (served, registered) = tokio::join!(serving, registering);
        registered?;
        served.map_err(socket)
    }
}

/// Posts until the lane is told to stop.
pub(super) async fn posting(dispatcher: Dispatcher) -> Result<(), DeliveryError> {
    let doing = "setting a timer";
    dispatcher.run().await.map_err(|source| DeliveryError::Socket { doing, source })
}

/// Asks the source to post events to every simulated subscriber.
async fn register(
    post: &Post,
    registrations: impl Iterator<Item = Registration>,
) -> Result<(), DeliveryError> {
    let dial = Dial { keep_alive: true, ..post.line.dial(post.source, REGISTRATION_TIMEOUT) };
    let refused =
        |what: String| DeliveryError::Refused(format!("a webhook was not registered: {what}"));
    let mut client =
        Client::new(ClientKind::Hyper, dial).map_err(|error| refused(error.to_string()))?;
    for registration in registrations {
        let body = serde_json::to_vec(&registration).expect("a registration is plain text");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let path = PathAndQuery::from_static(SUBSCRIPTIONS_PATH);
        let answer = client
            .exchange(Method::POST, path, headers, body.into())
            .await
            .map_err(|error| refused(error.to_string()))?;
        post.line.tally.exchanged(Outcome::Overhead);
        if answer.status != StatusCode::CREATED {
            return Err(refused(format!("the source answered {}", answer.status)));
        }
    }
    Ok(())
}

/// Hands events to the inbox.
pub(super) fn into_inbox(post: &Post) -> Take {
    let inbox = post.inbox.clone();
    Box::new(move |subscriber, sequence, arrived| {
        inbox.accept(subscriber, sequence, arrived);
        // As the source counts it, which cannot know what a subscriber has already.
        Outcome::Useful
    })
}
