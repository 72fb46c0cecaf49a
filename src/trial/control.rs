//! What coordinator and workers say to each other: JSON, one message a line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_util::codec::{Framed, LinesCodec};

use crate::clock::Moment;
use crate::counts::{Counts, TlsSession};
use crate::fault::Fault;
use crate::incident::Incident;
use crate::network::asked::Network;
use crate::network::namespace::End;
use crate::network::traffic::Traffic;
use crate::promise::Promise;
use crate::record::limit::Calibration;
use crate::record::trial::WindowUse;
use crate::schedule::Arrivals;
use crate::subscriber::harm::Place;
use crate::subscriber::post::Life;
use crate::units::{Bytes, Rate, duration_text};
use crate::wire::auth::Keyring;
use crate::wire::link::Link;
use crate::wire::tls::Credentials;

/// The version of this conversation; both ends must speak the same.
pub const PROTOCOL: u32 = 6;

/// The longest message, in bytes.
pub const LONGEST_MESSAGE: usize = 1 << 20;

/// What the coordinator says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum ToWorker {
    /// Be the source.
    Source(SourceAssignment),
    /// Be the subscribers of one strategy.
    Subscriber(Box<SubscriberAssignment>),
    /// Be the paths between them.
    Network(NetworkAssignment),
    /// Answer messages of this size that the source sends over raw sockets, until it has sent
    /// the last one.
    Echo {
        /// Size of a message.
        message: Bytes,
    },
    /// Measure what raw sockets take.
    Calibrate {
        /// Where messages are answered.
        echo: SocketAddr,
    },
    /// The schedule starts at `epoch`; measure from `from` until `until`.
    Start {
        /// When the schedule starts.
        epoch: Moment,
        /// The first moment of the measured window.
        from: Moment,
        /// The first moment after it.
        until: Moment,
    },
    /// Wait until everything that can arrive has, but not beyond the deadline.
    Drain {
        /// Events that were emitted.
        emitted: u64,
        /// When to stop waiting.
        deadline: Moment,
    },
    /// Keep no request waiting any more: the subscribers are told to stop, and finish the
    /// exchanges under way.
    Release,
    /// Stop and report.
    Finish,
}

/// What the source needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct SourceAssignment {
    /// Mean events per second.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// Where the trace lies that is to be replayed, as an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathBuf>,
    /// Size of an event's `data`.
    pub payload: Bytes,
    /// Seed of the schedule.
    pub seed: u64,
    /// How long events are emitted: warm-up and window.
    #[serde(with = "duration_text")]
    pub emit_for: Duration,
    /// How long before each event the pacer spins.
    #[serde(with = "duration_text")]
    pub spin: Duration,
    /// One lane for each.
    pub strategies: Vec<StrategyAssignment>,
    /// The end of the paths to enter; the process stays where it is, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// The CPU to stay on; any, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// What is made to go wrong on purpose.
    pub fault: Option<Fault>,
}

/// A strategy, resolved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StrategyAssignment {
    /// The name the scenario gives it.
    pub name: String,
    /// The mechanism's name.
    pub mechanism: String,
    /// The mechanism's settings, defaults included.
    pub settings: serde_json::Value,
    /// How many subscribers to simulate.
    pub subscribers: u32,
    /// Where in the run this is, for faults that depend on it.
    pub place: Place,
    /// How both sides converse.
    pub link: Link,
    /// What lies between the two sides.
    pub network: Network,
    /// What this worker shows and whom it trusts; there if exchanges go over TLS.
    pub credentials: Option<Credentials>,
    /// The secrets that both sides of the strategy share.
    pub keyring: Keyring,
    /// What it promises of its deliveries, with the incidents that befall it.
    pub promise: Promise,
    /// The incidents of the scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
}

/// What a subscriber process needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriberAssignment {
    /// The strategy.
    pub strategy: StrategyAssignment,
    /// Where the strategy's lane listens.
    pub source: SocketAddr,
    /// The end of the path to enter; the process stays where it is, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Seed of everything random about the subscribers.
    pub seed: u64,
    /// What outlives the process, where it is to be killed.
    #[serde(default)]
    pub life: Life,
    /// Where what is accepted is written down, if it is to outlive the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<PathBuf>,
    /// The CPU to stay on; any, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// What is made to go wrong on purpose.
    pub fault: Option<Fault>,
}

/// What the process that makes the paths needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct NetworkAssignment {
    /// What is asked of every path, and the tier to make it with.
    pub network: Network,
    /// How many there are: one for each strategy of the trial.
    pub paths: u8,
    /// Seed of jitter and losses.
    pub seed: u64,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum FromWorker {
    /// The first message.
    Hello(Hello),
    /// Assigned and able to start; the source names its lanes' addresses in order.
    Ready {
        /// Where the lanes listen; empty from subscribers.
        lanes: Vec<SocketAddr>,
    },
    /// The paths are made: where their ends are.
    Paths {
        /// The source's end of all of them.
        source: End,
        /// The subscribers' end of each.
        subscribers: Vec<End>,
    },
    /// What crossed the paths.
    Traffic {
        /// One for each path.
        paths: Vec<Traffic>,
    },
    /// Messages over raw sockets are answered here, or cannot be, for this reason.
    Echoing {
        /// Where, or why not.
        at: Result<SocketAddr, String>,
    },
    /// Raw sockets have been measured, or could not be.
    Calibrated {
        /// What was measured, or why nothing was.
        calibration: Calibration,
    },
    /// The window is over.
    Closed {
        /// CPU time of the whole process until now, in nanoseconds.
        cpu_ns: u64,
        /// Events emitted; zero from subscribers.
        emitted: u64,
    },
    /// Everything has arrived, or the deadline of the drain has passed.
    Drained,
    /// A piece of the report too long for one message; see [`crate::trial::rows`].
    Rows {
        /// Packed rows in base64.
        packed: String,
    },
    /// The end of the source's report.
    SourceReport(SourceReport),
    /// The end of a subscriber's report; from the source behind its own, once for each strategy
    /// whose subscribers are in its process.
    SubscriberReport(Box<SubscriberReport>),
    /// It cannot go on.
    Failed {
        /// Why, in words for the user.
        reason: String,
    },
}

/// Who a worker is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the conversation it speaks.
    pub protocol: u32,
    /// Shows that it was started by this run.
    pub token: String,
    /// Which worker of the trial it is.
    pub index: u32,
    /// Its time namespace; clocks of two namespaces cannot be compared.
    pub time_namespace: Option<String>,
}

/// What the source measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct SourceReport {
    /// One for each lane, in order.
    pub lanes: Vec<LaneReport>,
    /// CPU time of the pacer inside the window, in nanoseconds.
    pub pacer_cpu_ns: u64,
    /// CPU time that it spun inside the window, in nanoseconds.
    pub spin_ns: u64,
    /// Largest resident set inside window and drain, in bytes.
    pub memory_peak: u64,
    /// What the process suffered inside the window, and what its witness saw.
    pub suffered: WindowUse,
}

/// What one lane measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct LaneReport {
    /// Counts inside the window.
    pub window: Counts,
    /// Counts of the lane's whole life.
    pub whole: Counts,
    /// CPU time inside the window, in nanoseconds.
    pub cpu_ns: u64,
    /// CPU time while nothing was to be done, in nanoseconds.
    pub idle_cpu_ns: u64,
    /// What its TLS handshakes agreed on.
    pub tls: Option<TlsSession>,
    /// Exchanges over time, where something goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_time: Vec<u32>,
    /// Events given up that were due in each incident, each time that it happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<Vec<u64>>,
    /// When a request was first answered 429.
    pub first_rate_limited: Option<Moment>,
}

/// What a subscriber process measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SubscriberReport {
    /// Counts inside the window.
    pub window: Counts,
    /// Counts of the process's whole life.
    pub whole: Counts,
    /// CPU time inside the window, in nanoseconds.
    pub cpu_ns: u64,
    /// Deliveries that were not accepted.
    pub refused: u64,
    /// First copies that were accepted: as many rows come with the report.
    pub accepted: u64,
    /// What the process suffered inside the window, and what its witness saw.
    pub suffered: WindowUse,
    /// Largest resident set inside window and drain, in bytes.
    pub memory_peak: u64,
    /// Exchanges over time, where something goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over_time: Vec<u32>,
    /// What its TLS handshakes agreed on.
    pub tls: Option<TlsSession>,
}

/// Why nothing more is to be heard from the other end.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It closed the channel.
    #[error("the control channel was closed")]
    Closed,
    /// The channel broke, or a message was too long.
    #[error("the control channel broke")]
    Broken(#[from] tokio_util::codec::LinesCodecError),
    /// It said something that is no message of ours.
    #[error("the control channel carried something unintelligible")]
    Unintelligible(#[from] serde_json::Error),
}

/// One end of a control channel.
#[derive(Debug)]
pub struct Control(Framed<TcpStream, LinesCodec>);

impl Control {
    /// Speaks over a connection.
    #[must_use]
    pub fn new(stream: TcpStream) -> Control {
        Control(Framed::new(stream, LinesCodec::new_with_max_length(LONGEST_MESSAGE)))
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// When the other end is gone.
    pub async fn say<M: Serialize>(&mut self, message: &M) -> Result<(), ControlError> {
        let line = serde_json::to_string(message)?;
        Ok(self.0.send(line).await?)
    }

    /// Waits for the other end to say something. Cancel safe.
    ///
    /// # Errors
    ///
    /// When the other end is gone or unintelligible.
    pub async fn hear<M: DeserializeOwned>(&mut self) -> Result<M, ControlError> {
        let line = self.0.next().await.ok_or(ControlError::Closed)??;
        Ok(serde_json::from_str(&line)?)
    }
}
