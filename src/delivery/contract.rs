//! What a way of delivering events promises, and what it is given to work with.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::incident::Target;
use crate::promise::Promise;
use crate::source::lane::{Lane, SourceHalf};
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::Post;
use crate::theory::Theory;
use crate::theory::retries::Outage;
use crate::wire::link::Link;
use crate::wire::routes::Routes;

/// A way of getting events from the source to the subscriber.
///
/// A mechanism is a name and a recipe. It becomes a [`Strategy`] when a scenario gives it
/// settings. Implemented once, by [`Kind`], for every [`Settings`].
pub trait Mechanism: Sync {
    /// The word used in scenario files, records and plots, such as `poll`.
    fn name(&self) -> &'static str;

    /// One sentence for `pollpush mechanisms`.
    fn summary(&self) -> &'static str;

    /// The JSON Schema of its settings.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;

    /// Turns the settings a scenario wrote into a strategy.
    ///
    /// # Errors
    ///
    /// Unknown keys and unreadable values are errors that carry their place in the file:
    /// a typo must not become a default. Values that are readable but impossible are left to
    /// [`Strategy::check`].
    fn configure(
        &self,
        settings: toml::de::ValueDeserializer<'_>,
    ) -> Result<Arc<dyn Strategy>, toml::de::Error>;

    /// A strategy whose source half serves clients of unknown habits, for a source alone.
    fn standing_alone(&self) -> Arc<dyn Strategy>;

    /// Turns resolved settings, as [`Strategy::settings`] gave them, into a strategy again.
    ///
    /// # Errors
    ///
    /// When the settings are not this mechanism's.
    fn restore(&self, settings: serde_json::Value) -> Result<Arc<dyn Strategy>, serde_json::Error>;
}

/// A mechanism with its settings: what a trial actually runs.
///
/// The two halves meet only through the wire. Neither is given the clock, the other half's
/// memory, or a way to write into the record: the floors below time and count for them. A
/// control that is to show what the harness itself costs takes no wire: see
/// [`Strategy::in_process`].
pub trait Strategy: Debug + Send + Sync {
    /// The settings with every default filled in.
    fn settings(&self) -> serde_json::Value;

    /// Refuses settings that cannot work, and a link that the mechanism cannot use, naming the
    /// key and the remedy.
    ///
    /// # Errors
    ///
    /// When a value is impossible or two values contradict each other.
    fn check(&self, link: &Link) -> Result<(), SettingsError>;

    /// What it promises of its deliveries.
    fn promise(&self) -> Promise;

    /// The closed form that describes this strategy, if there is one.
    fn theory(&self) -> Option<Theory>;

    /// What incidents can find at it: who answers requests, and what is signed.
    fn target(&self) -> Target {
        Target::ASKING
    }

    /// Whether it brings by itself, however late, what an incident kept from its subscribers.
    fn recovers(&self) -> bool {
        true
    }

    /// The closed form that describes this strategy with an outage in which no exchange between
    /// the two sides comes about, or, unless it is `whole`, none that the subscribers answer.
    fn theory_in(&self, _outage: Outage, _whole: bool) -> Option<Theory> {
        None
    }

    /// The longest an event can be under way while everything works.
    ///
    /// After the window a trial drains for this long, and a margin, before it calls an event lost.
    fn patience(&self) -> Duration;

    /// How long subscribers wait on a connection that has gone silent before they take another.
    fn gives_up(&self) -> Duration {
        Duration::ZERO
    }

    /// Sockets one simulated subscriber keeps open on each side.
    fn connections_per_subscriber(&self) -> u32;

    /// Offers or pushes the log until the lane is told to stop, then lets open exchanges finish.
    fn source(self: Arc<Self>, lane: &Lane, routes: Routes) -> SourceHalf<Half>;

    /// Hands every event it receives to the inbox until the post is told to stop.
    fn subscriber(self: Arc<Self>, post: Post) -> Half;

    /// What is run in place of the two halves where no wire lies between the log and the inbox:
    /// the subscribers then live in the source's lane, and have no process of their own. `None`
    /// of every strategy that a network could carry.
    fn in_process(self: Arc<Self>) -> Option<HandOver> {
        None
    }
}

/// Hands every event of the lane's log to the inbox until the lane is told to stop.
pub type HandOver = Box<dyn FnOnce(&Lane, Inbox) -> Half + Send>;

/// A running half. Boxed because strategies are chosen at run time; one allocation a trial.
pub type Half = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send>>;

/// Settings that make a strategy: a plain struct whose fields are the keys of the scenario.
pub trait Settings:
    Strategy + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The mechanism's name.
    const NAME: &'static str;
    /// The mechanism in one sentence.
    const SUMMARY: &'static str;

    /// Settings with which the source half serves clients of unknown habits.
    fn standing_alone() -> Self;
}

/// The mechanism that a kind of settings makes.
#[derive(Debug)]
pub struct Kind<S>(PhantomData<fn() -> S>);

impl<S> Kind<S> {
    /// An entry for the list of mechanisms.
    #[must_use]
    pub const fn new() -> Kind<S> {
        Kind(PhantomData)
    }
}

impl<S> Default for Kind<S> {
    fn default() -> Kind<S> {
        Kind::new()
    }
}

impl<S: Settings> Mechanism for Kind<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn summary(&self) -> &'static str {
        S::SUMMARY
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        S::json_schema(generator)
    }

    fn configure(
        &self,
        settings: toml::de::ValueDeserializer<'_>,
    ) -> Result<Arc<dyn Strategy>, toml::de::Error> {
        Ok(Arc::new(S::deserialize(settings)?))
    }

    fn standing_alone(&self) -> Arc<dyn Strategy> {
        Arc::new(S::standing_alone())
    }

    fn restore(&self, settings: serde_json::Value) -> Result<Arc<dyn Strategy>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<S>(settings)?))
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// The key as the scenario writes it.
    pub key: &'static str,
    /// What is wrong with its value.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// Why a half could not go on; it spoils the trial.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A socket could not be opened, bound or accepted from.
    #[error("{doing}")]
    Socket {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system refused a timer.
    #[error("setting a timer")]
    Timer(#[source] std::io::Error),
    /// The other side answered something that makes the strategy impossible.
    #[error("{0}")]
    Refused(String),
}
