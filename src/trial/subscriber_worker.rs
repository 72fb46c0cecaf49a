//! The worker that is the subscribers of one strategy.

use std::io;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::counts::Counts;
use crate::delivery::contract::DeliveryError;
use crate::event::Sequence;
use crate::meter;
use crate::promise::Promise;
use crate::subscriber::inbox::Inbox;
use crate::subscriber::post::{Epoch, Post, Readiness};
use crate::timer::Timer;
use crate::trial::control::{
    Control, FromWorker, SubscriberAssignment, SubscriberReport, ToWorker,
};
use crate::trial::worker::{WorkerError, attending, line, out_of_turn, restore, send_rows};
use crate::wire::tally::Tally;

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
    let inbox = Inbox::new(assignment.subscribers);
    let line = line(&assignment.strategy)?.presenting(&assignment.strategy.keyring);
    let tally = line.tally.clone();
    let (epoch_known, epoch) = Epoch::channel();
    let (ready, readied) = Readiness::channel();
    let stop = CancellationToken::new();
    let post = Post {
        inbox: inbox.clone(),
        line,
        source: assignment.source,
        subscribers: assignment.subscribers,
        stop: stop.clone(),
        seed: assignment.seed,
        ready,
        epoch,
    };
    let mut half = JoinSet::new();
    let strategy = restore(&assignment.strategy)?;
    let promise = strategy.promise();
    half.spawn(strategy.subscriber(post));
    let mut running = Running { name: assignment.strategy.name, half, stop };
    await_readiness(control, &mut running, readied).await?;
    control.say(&FromWorker::Ready { lanes: Vec::new() }).await?;

    let window = match control.hear().await? {
        ToWorker::Start { epoch, from, until } => {
            // A half that has ended already is noticed by `running` just below.
            let _ = epoch_known.send(Some(epoch));
            measure(&tally, from, until)
        }
        other => return Err(out_of_turn(&other)),
    };
    let measured = attending(control, running.unless_ended(window)).await??;
    let (window, cpu_ns) = measured.map_err(WorkerError::system("measuring the window"))?;
    control.say(&FromWorker::Closed { cpu_ns: clock::process_cpu(), emitted: 0 }).await?;

    match control.hear().await? {
        ToWorker::Drain { emitted, deadline } => {
            let draining = drain(&inbox, promise, emitted, deadline);
            attending(control, running.unless_ended(draining))
                .await??
                .map_err(WorkerError::system("setting a timer"))?;
        }
        other => return Err(out_of_turn(&other)),
    }
    inbox.seal();
    let memory_peak =
        meter::memory_peak().map_err(WorkerError::system("reading the memory peak"))?;
    control.say(&FromWorker::Drained).await?;

    match control.hear().await? {
        ToWorker::Finish => running.finish().await?,
        other => return Err(out_of_turn(&other)),
    }
    let (deliveries, refused) = inbox.empty();
    send_rows(control, deliveries.into_iter()).await?;
    let whole = tally.counts();
    let report = SubscriberReport { window, whole, cpu_ns, refused, memory_peak, tls: tally.tls() };
    Ok(control.say(&FromWorker::SubscriberReport(Box::new(report))).await?)
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

/// Takes the totals at both edges of the window.
async fn measure(tally: &Tally, from: Moment, until: Moment) -> io::Result<(Counts, u64)> {
    let mut timer = Timer::new()?;
    timer.sleep_until(from).await?;
    meter::forget_memory_peak()?;
    let before = (tally.counts(), clock::process_cpu());
    timer.sleep_until(until).await?;
    let after = (tally.counts(), clock::process_cpu());
    Ok((after.0 - before.0, after.1 - before.1))
}

/// Waits until everything that can arrive has, at most until the deadline.
async fn drain(inbox: &Inbox, promise: Promise, emitted: u64, deadline: Moment) -> io::Result<()> {
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
