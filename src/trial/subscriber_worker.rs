//! The worker that is the subscribers of one strategy.

use std::io;
use std::net::IpAddr;

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::counts::Counts;
use crate::delivery::contract::{DeliveryError, Half};
use crate::event::Sequence;
use crate::fault::Fault;
use crate::meter;
use crate::promise::Promise;
use crate::record::trial::WindowUse;
use crate::source::lane::Window;
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::{Epoch, Post, Readiness};
use crate::timer::Timer;
use crate::trial::calibration::{Role, hear_after_calibration};
use crate::trial::control::{
    Control, FromWorker, SubscriberAssignment, SubscriberReport, ToWorker,
};
use crate::trial::witness::Witness;
use crate::trial::worker::{
    Timetable, WorkerError, attending, line, out_of_turn, restore, send_rows,
};
use crate::wire::tally::Tally;
use crate::wire::trouble::{Side, Trouble};

type Ended = Result<Result<(), DeliveryError>, JoinError>;

/// The strategy's subscriber half, running.
struct Running {
    name: String,
    half: JoinSet<Result<(), DeliveryError>>,
    stop: CancellationToken,
}

/// Carries out the assignment.
pub(crate) async fn run(
    control: &mut Control,
    assignment: SubscriberAssignment,
) -> Result<(), WorkerError> {
    let (fault, seed, again) = (assignment.fault, assignment.seed, assignment.life.known);
    let disturbed = !assignment.strategy.incidents.is_empty();
    let Started { mut running, inbox, tally, trouble, address, promise, epoch_known, readied } =
        start(assignment)?;
    await_readiness(control, &mut running, readied).await?;
    control.say(&FromWorker::Ready { lanes: Vec::new() }).await?;

    let (heard, _calibrating) = hear_after_calibration(control, Role::Subscriber(address)).await?;
    let times = match heard {
        ToWorker::Start { epoch, from, until } => {
            // A half that has ended already is noticed by `running` just below.
            let _ = epoch_known.send(Some(epoch));
            if let Some(trouble) = trouble {
                trouble.begin(epoch);
            }
            if disturbed {
                tally.follow(epoch, &[]);
            }
            // Whoever is started again has missed the beginning.
            Timetable::new(epoch, if again { from.max(clock::now()) } else { from }, until)
        }
        other => return Err(out_of_turn(&other)),
    };
    let witness = witness(&inbox, seed, fault, times.window)?;
    let measured = attending(control, running.unless_ended(measure(&tally, times))).await??;
    let (window, cpu_ns, suffered) =
        measured.map_err(WorkerError::system("measuring the window"))?;
    let misread = if fault == Some(Fault::MisreadCpu) { 2 } else { 1 };
    let closed = FromWorker::Closed { cpu_ns: misread * clock::process_cpu(), emitted: 0 };
    control.say(&closed).await?;
    let mut suffered = times.testified(&suffered, &witness);
    // What was spent on the witness is no cost of the strategy.
    let cpu_ns = cpu_ns.saturating_sub(suffered.witness_cpu_ns);
    if fault == Some(Fault::FaultPages) {
        suffered.major_faults += 1_000;
    }

    await_drain(control, &mut running, &inbox, promise).await?;
    inbox.seal();
    let memory_peak =
        meter::memory_peak().map_err(WorkerError::system("reading the memory peak"))?;
    control.say(&FromWorker::Drained).await?;

    match control.hear().await? {
        ToWorker::Finish => running.finish().await?,
        other => return Err(out_of_turn(&other)),
    }
    inbox.kept().map_err(WorkerError::system("writing the journal"))?;
    let Sent { accepted, refused } = send_deliveries(control, &inbox).await?;
    let report = SubscriberReport {
        window,
        whole: tally.counts(),
        cpu_ns,
        refused,
        accepted,
        suffered,
        memory_peak,
        tls: tally.tls(),
        over_time: tally.over_time(),
    };
    control.say(&FromWorker::SubscriberReport(Box::new(report))).await?;
    witness.dismiss();
    Ok(())
}

/// A subscriber half that was started, and what its worker holds of it.
struct Started {
    running: Running,
    inbox: Inbox,
    tally: Tally,
    trouble: Option<Trouble>,
    address: IpAddr,
    promise: Promise,
    epoch_known: watch::Sender<Option<Moment>>,
    readied: oneshot::Receiver<()>,
}

fn start(assignment: SubscriberAssignment) -> Result<Started, WorkerError> {
    let SubscriberAssignment {
        strategy: assigned, source, end, fault, seed, life, journal, ..
    } = assignment;
    let inbox = Inbox::harmed(assigned.subscribers, fault, assigned.place, seed);
    if let Some(journal) = journal {
        inbox.keep(&journal).map_err(WorkerError::system("opening the journal"))?;
    }
    let strategy = restore(&assigned)?;
    let line = line(&assigned, &*strategy, (Side::Subscriber, end.as_ref()), seed, fault)?;
    let line = line.presenting(&assigned.keyring);
    let (tally, trouble, address) = (line.tally.clone(), line.trouble.clone(), line.address);
    let (epoch_known, epoch) = Epoch::channel();
    let (ready, readied) = Readiness::channel();
    let stop = CancellationToken::new();
    let post = Post {
        inbox: inbox.clone(),
        line,
        source,
        subscribers: assigned.subscribers,
        stop: stop.clone(),
        seed,
        ready,
        epoch,
        life,
    };
    let promise = assigned.promise;
    let mut half = JoinSet::new();
    half.spawn(troubled(strategy.subscriber(post), trouble.clone()));
    let running = Running { name: assigned.name, half, stop };
    Ok(Started { running, inbox, tally, trouble, address, promise, epoch_known, readied })
}

/// Runs the half, and beside it what incidents do to its connections.
async fn troubled(half: Half, trouble: Option<Trouble>) -> Result<(), DeliveryError> {
    let Some(trouble) = trouble else { return half.await };
    tokio::select! {
        ended = half => ended,
        Err(source) = trouble.conduct() => Err(DeliveryError::Timer(source)),
    }
}

/// Waits, when it is told to, until everything that can arrive has.
async fn await_drain(
    control: &mut Control,
    running: &mut Running,
    inbox: &Inbox,
    promise: Promise,
) -> Result<(), WorkerError> {
    match control.hear().await? {
        ToWorker::Drain { emitted, deadline } => {
            let draining = drain(inbox, promise, emitted, deadline);
            attending(control, running.unless_ended(draining))
                .await??
                .map_err(WorkerError::system("setting a timer"))
        }
        other => Err(out_of_turn(&other)),
    }
}

/// What an inbox said of the rows that were sent.
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// Empties an inbox into the report, and says how many deliveries there should be.
pub(crate) async fn send_deliveries(
    control: &mut Control,
    inbox: &Inbox,
) -> Result<Sent, WorkerError> {
    let (mut deliveries, refused) = inbox.empty();
    let accepted = deliveries.len() as u64;
    if let Some(harm) = inbox.harm() {
        harm.alter(&mut deliveries);
    }
    send_rows(control, deliveries.into_iter()).await?;
    Ok(Sent { accepted, refused })
}

async fn await_readiness(
    control: &mut Control,
    running: &mut Running,
    readied: oneshot::Receiver<()>,
) -> Result<(), WorkerError> {
    let name = running.name.clone();
    attending(control, running.unless_ended(readied)).await??.map_err(|_| {
        WorkerError::Nonsense(format!("strategy `{name}` did not say that it is ready"))
    })
}

/// Counts the first copies that were accepted, at random moments of the window.
fn witness(
    inbox: &Inbox,
    seed: u64,
    fault: Option<Fault>,
    window: Window,
) -> Result<Witness, WorkerError> {
    if let Some(harm) = inbox.harm() {
        harm.window(window.from, window.until);
    }
    let inbox = inbox.clone();
    Witness::start((seed, window.from, window.until), fault, move || inbox.accepted())
        .map_err(WorkerError::system("starting a witness"))
}

/// Takes the totals at both edges of the window.
async fn measure(tally: &Tally, times: Timetable) -> io::Result<(Counts, u64, WindowUse)> {
    let totals = || Ok((tally.counts(), clock::process_cpu()));
    let (suffered, before, after) = times.suffer(totals).await?;
    Ok((after.0 - before.0, after.1 - before.1, suffered))
}

/// Waits until everything that can arrive has, at most until the deadline.
pub(crate) async fn drain(
    inbox: &Inbox,
    promise: Promise,
    emitted: u64,
    deadline: Moment,
) -> io::Result<()> {
    let mut timer = Timer::new()?;
    let newest = emitted.checked_sub(1).filter(|_| promise.ends_with_the_newest());
    let arriving = async {
        match newest {
            Some(index) => inbox.holds_newest(Sequence::at_index(index)).await,
            None => inbox.holds_all(emitted).await,
        }
    };
    tokio::select! {
        () = arriving => Ok(()),
        waited = timer.sleep_until(deadline) => waited,
    }
}

impl Running {
    /// Does something else while the half runs; that it ends meanwhile is an error.
    async fn unless_ended<T>(&mut self, work: impl Future<Output = T>) -> Result<T, WorkerError> {
        let ended = tokio::select! {
            done = work => return Ok(done),
            Some(ended) = self.half.join_next() => ended,
        };
        self.explain(ended)?;
        Err(WorkerError::Nonsense(format!("strategy `{}` ended before its time", self.name)))
    }

    /// Tells the half to finish and waits until it has.
    async fn finish(&mut self) -> Result<(), WorkerError> {
        self.stop.cancel();
        match self.half.join_next().await {
            Some(ended) => self.explain(ended),
            None => Ok(()),
        }
    }

    fn explain(&self, ended: Ended) -> Result<(), WorkerError> {
        ended
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
            .map_err(|source| WorkerError::Strategy { strategy: self.name.clone(), source })
    }
}
