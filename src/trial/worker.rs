//! A worker process: dials the coordinator, takes an assignment, measures, reports, ends.

use std::future::Future;
use std::io::BufRead;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::TcpStream;

use crate::affinity;
use crate::clock::{self, Moment};
use crate::delivery::MECHANISMS;
use crate::delivery::contract::{DeliveryError, Strategy};
use crate::fault::Fault;
use crate::meter;
use crate::network::namespace::{End, PREFIX, enter};
use crate::network::tier::Tier;
use crate::network::way::Direction;
use crate::record::trial::WindowUse;
use crate::schedule::random_stream;
use crate::source::lane::{LaneError, Window};
use crate::timer::Timer;
use crate::trial::control::{
    Control, ControlError, FromWorker, Hello, PROTOCOL, StrategyAssignment, ToWorker,
};
use crate::trial::mischief::harmed;
use crate::trial::rows::{Row, pieces};
use crate::trial::witness::Witness;
use crate::trial::{network_worker, source_worker, subscriber_worker};
use crate::units::nanoseconds;
use crate::wire::delay::Delay;
use crate::wire::destination::{Destinations, Network};
use crate::wire::link::Line;
use crate::wire::socket::LOOPBACK;
use crate::wire::tls::TlsError;
use crate::wire::trouble::{Side, Trouble};

/// Random streams of a trial's seed that delays inside the program draw their seeds from start
/// here; see [`random_stream`].
const DELAY_STREAMS: u64 = 1 << 37;

/// How long a worker tries to reach its coordinator.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a worker ends before its time.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The coordinator is gone, so there is nobody to work for.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The system refused something.
    #[error("{doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel does not let the process have its CPU.
    #[error("CPU {cpu}, to which the process is pinned, cannot be used")]
    Pinning {
        /// The CPU.
        cpu: u32,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The source's half of a strategy could not go on.
    #[error("the lane of `{strategy}` stopped")]
    Lane {
        /// The strategy's name.
        strategy: String,
        /// Why.
        #[source]
        source: LaneError<DeliveryError>,
    },
    /// The subscribers' half of a strategy could not go on.
    #[error("strategy `{strategy}` stopped")]
    Strategy {
        /// The strategy's name.
        strategy: String,
        /// Why.
        #[source]
        source: DeliveryError,
    },
    /// The credentials for TLS are no use.
    #[error(transparent)]
    Insecure(#[from] TlsError),
    /// The coordinator asked for something that makes no sense.
    #[error("{0}")]
    Nonsense(String),
}

impl WorkerError {
    /// Names what was being done when the system refused.
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(std::io::Error) -> WorkerError {
        move |source| WorkerError::System { doing, source }
    }
}

/// Works for the coordinator at `coordinator` until dismissed.
///
/// The token that shows the worker belongs to the run comes over standard input, never as an
/// argument, which other users of the machine could read.
///
/// # Errors
///
/// When the coordinator is gone or the assignment cannot be carried out; the coordinator has
/// then been told, if it could be.
pub fn work(coordinator: SocketAddr, index: u32) -> Result<(), WorkerError> {
    // If the coordinator is killed its workers must not outlive it. Where the kernel refuses,
    // the closed control channel still ends them.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let mut token = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut token)
        .map_err(WorkerError::system("reading the token"))?;
    clock::sharpen_timers();
    meter::raise_file_limit().map_err(WorkerError::system("raising the limit of open files"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WorkerError::system("starting the runtime"))?;
    runtime.block_on(async {
        let stream = tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(coordinator))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(WorkerError::system("dialling the coordinator"))?;
        let mut control = Control::new(stream);
        let result = serve(&mut control, token.trim().to_owned(), index).await;
        if let Err(error) = &result {
            let reason = explain(error);
            // If the channel is what failed, nobody is left to be told.
            let _ = control.say(&FromWorker::Failed { reason }).await;
        }
        result
    })
}

async fn serve(control: &mut Control, token: String, index: u32) -> Result<(), WorkerError> {
    let time_namespace = meter::time_namespace();
    let hello = Hello { protocol: PROTOCOL, token, index, time_namespace };
    control.say(&FromWorker::Hello(hello)).await?;
    match control.hear().await? {
        ToWorker::Network(assignment) => network_worker::run(control, assignment).await?,
        ToWorker::Source(assignment) => {
            go_to(assignment.end.as_ref())?;
            stay_on(assignment.cpu)?;
            source_worker::run(control, assignment).await?;
        }
        ToWorker::Subscriber(assignment) => {
            go_to(assignment.end.as_ref())?;
            stay_on(assignment.cpu)?;
            subscriber_worker::run(control, *assignment).await?;
        }
        other => return Err(out_of_turn(&other)),
    }
    // Stays until the coordinator hangs up, so that it can still read the process's statistics.
    match control.hear::<ToWorker>().await {
        Err(ControlError::Closed | ControlError::Broken(_)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(other) => Err(out_of_turn(&other)),
    }
}

/// Moves the process to an end of a path, if there is one; before it starts any thread. The
/// control channel stays open: a socket keeps its namespace.
fn go_to(end: Option<&End>) -> Result<(), WorkerError> {
    let Some(end) = end else { return Ok(()) };
    enter(&end.namespace).map_err(WorkerError::system("entering the network namespace of a path"))
}

/// Keeps the process on a CPU, if one is named; before it starts any thread.
fn stay_on(cpu: Option<u32>) -> Result<(), WorkerError> {
    let Some(cpu) = cpu else { return Ok(()) };
    affinity::restrict(&[cpu]).map_err(|source| WorkerError::Pinning { cpu, source })
}

/// An error and its causes in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(crate) fn out_of_turn(message: &ToWorker) -> WorkerError {
    WorkerError::Nonsense(format!("the coordinator spoke out of turn: {message:?}"))
}

/// Makes an assigned strategy.
pub(crate) fn restore(
    assignment: &StrategyAssignment,
) -> Result<std::sync::Arc<dyn Strategy>, WorkerError> {
    let mechanism = MECHANISMS
        .iter()
        .find(|mechanism| mechanism.name() == assignment.mechanism)
        .ok_or_else(|| WorkerError::Nonsense(format!("no mechanism `{}`", assignment.mechanism)))?;
    mechanism.restore(assignment.settings.clone()).map_err(|error| {
        WorkerError::Nonsense(format!(
            "the settings of `{}` are unusable: {error}",
            assignment.name
        ))
    })
}

/// This worker's end of the link of a strategy, with the incidents that befall it; `end` is the one
/// of a path that it lives at.
pub(crate) fn line(
    assignment: &StrategyAssignment,
    strategy: &dyn Strategy,
    (side, end): (Side, Option<&End>),
    seed: u64,
    fault: Option<Fault>,
) -> Result<Line, WorkerError> {
    let network = &assignment.network;
    // Where bytes come from that this end receives.
    let inward = match side {
        Side::Source => Direction::Up,
        Side::Subscriber => Direction::Down,
    };
    let in_program = network.tier == Some(Tier::Sockets);
    let stream = DELAY_STREAMS + 2 * u64::from(assignment.place.strategy) + side as u64;
    let delay = in_program.then(|| Delay {
        network: harmed(network.clone(), fault),
        inward,
        seed: random_stream(seed, stream).random(),
    });
    let trouble = Trouble::of(&assignment.incidents, side, strategy.target(), seed);
    let line = Line {
        fault,
        address: end.map_or(LOOPBACK, |end| end.address),
        congestion: network.congestion,
        ..Line::new(assignment.link.clone()).delayed(delay).troubled(trouble).reaching(near(end))
    };
    line.options().check().map_err(WorkerError::system("preparing sockets"))?;
    Ok(line.secured(assignment.credentials.as_ref())?)
}

/// Where an end may be asked to send requests to: this machine, and from an end of a path the
/// other ends.
fn near(end: Option<&End>) -> Destinations {
    let here = Destinations::default();
    match end {
        Some(end) => here.with_network(Network::new(end.address, PREFIX.into())),
        None => here,
    }
}

/// When a worker measures what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    /// When the schedule starts.
    pub(crate) epoch: Moment,
    /// What lanes need to know.
    pub(crate) window: Window,
}

/// How long before the schedule the span ends in which nothing is to be done.
const IDLE_MARGIN: Duration = Duration::from_millis(20);

/// How long that span is.
const IDLE_SPAN: Duration = Duration::from_millis(200);

impl Timetable {
    pub(crate) fn new(epoch: Moment, from: Moment, until: Moment) -> Timetable {
        // A worker that hears late of the start has a shorter span, or none.
        let idle_from = epoch.before(IDLE_MARGIN + IDLE_SPAN).max(clock::now());
        let idle_until = epoch.before(IDLE_MARGIN).max(idle_from);
        Timetable { epoch, window: Window { idle_from, idle_until, from, until } }
    }

    /// What the process suffers between the edges of the window, with what `edge` reads at each
    /// of them; forgets the memory peak at the first one.
    ///
    /// What these readings themselves cost lies outside of what `edge` reads.
    pub(crate) async fn suffer<T>(
        self,
        edge: impl Fn() -> std::io::Result<T>,
    ) -> std::io::Result<(WindowUse, T, T)> {
        let Window { idle_from, idle_until, from, until } = self.window;
        let mut timer = Timer::new()?;
        timer.sleep_until(idle_from).await?;
        let idle = clock::process_cpu();
        timer.sleep_until(idle_until).await?;
        let idle_cpu_ns = clock::process_cpu() - idle;
        timer.sleep_until(from).await?;
        meter::forget_memory_peak()?;
        let before = meter::suffered()?;
        let opening = edge()?;
        timer.sleep_until(until).await?;
        let closing = edge()?;
        let after = meter::suffered()?;
        let suffered = WindowUse {
            run_queue_ns: after.run_queue_ns.saturating_sub(before.run_queue_ns),
            slices: Some(after.slices.saturating_sub(before.slices)),
            major_faults: after.major_faults.saturating_sub(before.major_faults),
            migrations: after
                .migrations
                .zip(before.migrations)
                .map(|(after, before)| after.saturating_sub(before)),
            idle_cpu_ns,
            idle_ns: nanoseconds(idle_until.since(idle_from)),
            ..WindowUse::default()
        };
        Ok((suffered, opening, closing))
    }

    /// Adds what the witness saw.
    pub(crate) fn testified(self, suffered: &WindowUse, witness: &Witness) -> WindowUse {
        let seen = witness.testify(WITNESS_TIMEOUT);
        let after_epoch =
            |(moment, count): &(Moment, u64)| (nanoseconds(moment.since(self.epoch)), *count);
        WindowUse {
            witness_cpu_ns: seen.cpu_ns,
            timer_error_p50: seen.timer_error(50),
            timer_error_p99: seen.timer_error(99),
            samples: seen.samples.iter().map(after_epoch).collect(),
            ..suffered.clone()
        }
    }
}

/// How long after the window a witness may be with what it saw.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Does something, unless the coordinator hangs up or speaks meanwhile.
pub(crate) async fn attending<T>(
    control: &mut Control,
    work: impl Future<Output = T>,
) -> Result<T, WorkerError> {
    tokio::select! {
        done = work => Ok(done),
        heard = control.hear::<ToWorker>() => Err(out_of_turn(&heard?)),
    }
}

/// Sends rows to the coordinator.
pub(crate) async fn send_rows<R: Row>(
    control: &mut Control,
    rows: impl Iterator<Item = R>,
) -> Result<(), WorkerError> {
    for packed in pieces(rows) {
        control.say(&FromWorker::Rows { packed }).await?;
    }
    Ok(())
}
