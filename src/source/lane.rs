//! A lane: one strategy's share of the source.
//!
//! Each lane has its own listener, OS thread, runtime and tally, so that two strategies served
//! by one source have separate requests, bytes and CPU time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::counts::Counts;
use crate::source::feed::EventWriter;
use crate::source::log::LogReader;
use crate::timer::Timer;
use crate::wire::link::Line;
use crate::wire::routes::Routes;
use crate::wire::tally::Tally;
use crate::wire::trouble::Trouble;

/// What the source half of a strategy works with.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The events.
    pub log: LogReader,
    /// How events are written.
    pub writer: EventWriter,
    /// Seed of everything random about the source's half.
    pub seed: u64,
    /// The source's end of the link to the subscribers.
    pub line: Line,
    /// Cancelled when nothing should be kept waiting any more: before `stop`, or with it.
    pub release: CancellationToken,
    /// Cancelled when the half should finish.
    pub stop: CancellationToken,
}

/// What a lane offers: events, and how they are written.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The events.
    pub log: LogReader,
    /// How events are written.
    pub writer: EventWriter,
    /// Seed of everything random about the lane.
    pub seed: u64,
}

/// The source half of one or several strategies: what they answer, and what they do unasked.
#[derive(Debug)]
pub struct SourceHalf<W> {
    /// The requests that are answered.
    pub routes: Routes,
    /// What goes on beside that until the lane is told to stop.
    pub work: W,
}

/// Why a lane ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum LaneError<E: std::error::Error + 'static> {
    /// The system refused to listen or to accept connections.
    #[error("the lane cannot serve")]
    Serving(#[from] io::Error),
    /// The half's own work failed.
    #[error(transparent)]
    Work(E),
}

impl Lane {
    /// Answers requests and works until the lane is told to stop.
    ///
    /// # Errors
    ///
    /// When the system refuses more connections or the work fails.
    pub async fn run<W, E>(
        &self,
        listener: TcpListener,
        half: SourceHalf<W>,
    ) -> Result<(), LaneError<E>>
    where
        W: Future<Output = Result<(), E>>,
        E: std::error::Error + 'static,
    {
        let serving = self.line.serve(listener, half.routes, self.stop.clone());
        let conducting = async {
            let Some(trouble) = &self.line.trouble else { return Ok(()) };
            tokio::select! {
                conducted = trouble.conduct() => conducted,
                () = self.stop.cancelled() => Ok(()),
            }
        };
        let (served, worked, conducted) = tokio::join!(serving, half.work, conducting);
        worked.map_err(LaneError::Work)?;
        conducted?;
        Ok(served?)
    }
}

/// Counts and CPU time of a lane over a part of its life.
#[derive(Clone, Copy, Debug)]
pub struct LaneUse {
    /// What was counted inside the window.
    pub window: Counts,
    /// CPU time of the thread inside the window, in nanoseconds.
    pub cpu_ns: u64,
    /// CPU time of the thread while nothing was to be done, in nanoseconds.
    pub idle_cpu_ns: u64,
}

/// When a trial measures.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The first moment of a span before the schedule, in which nothing is to be done.
    pub idle_from: Moment,
    /// The first moment after that span.
    pub idle_until: Moment,
    /// Its first moment.
    pub from: Moment,
    /// The first moment after it.
    pub until: Moment,
}

/// A running lane.
#[derive(Debug)]
pub struct LaneThread<E: std::error::Error + 'static> {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has counted so far.
    pub tally: Tally,
    trouble: Option<Trouble>,
    window: Option<oneshot::Sender<Window>>,
    measured: Option<oneshot::Receiver<io::Result<LaneUse>>>,
    ended: Option<oneshot::Receiver<Result<(), LaneError<E>>>>,
    release: CancellationToken,
    stop: CancellationToken,
    dismiss: std::sync::mpsc::Sender<()>,
}

impl<E: std::error::Error + Send + 'static> LaneThread<E> {
    /// Starts the lane's thread on a listener that is already bound, so that nobody who knows
    /// the address has to wait for it.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start<H, W>(
        name: &str,
        listener: TcpListener,
        contents: Contents,
        line: Line,
        half: H,
    ) -> io::Result<LaneThread<E>>
    where
        H: FnOnce(&Lane) -> SourceHalf<W> + Send + 'static,
        W: Future<Output = Result<(), E>>,
    {
        let address = listener.local_addr()?;
        // The listener moves to the lane's own runtime.
        let listener = listener.into_std()?;
        let (tally, stop) = (line.tally.clone(), CancellationToken::new());
        let trouble = line.trouble.clone();
        let (window, windows) = oneshot::channel();
        let (measured, measurements) = oneshot::channel();
        let (ended, ends) = oneshot::channel();
        let (dismiss, dismissed) = std::sync::mpsc::channel();
        let Contents { log, writer, seed } = contents;
        let release = stop.child_token();
        let lane = Lane { log, writer, seed, line, release: release.clone(), stop: stop.clone() };
        std::thread::Builder::new().name(format!("lane {name}")).spawn(move || {
            clock::sharpen_timers();
            let run = async {
                let listener = TcpListener::from_std(listener)?;
                let running = lane.run(listener, half(&lane));
                let measuring = async {
                    // Dropped unsent when the trial ends before it begins.
                    if let Ok(window) = windows.await {
                        let _ = measured.send(measure(window, &lane.line.tally).await);
                    }
                };
                tokio::join!(running, measuring).0
            };
            let outcome = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(LaneError::Serving)
                .and_then(|runtime| runtime.block_on(run));
            // Nobody listens any more when the trial is already over.
            let _ = ended.send(outcome);
            // An ended thread vanishes from the scheduler's statistics, so it stays until the
            // process has been accounted for.
            let _ = dismissed.recv();
        })?;
        Ok(LaneThread {
            address,
            tally,
            trouble,
            window: Some(window),
            measured: Some(measurements),
            ended: Some(ends),
            release,
            stop,
            dismiss,
        })
    }

    /// Says when the schedule starts, from which incidents are counted.
    pub fn begin(&self, epoch: Moment) {
        if let Some(trouble) = &self.trouble {
            trouble.begin(epoch);
        }
    }

    /// Says when to measure.
    pub fn measure(&mut self, window: Window) {
        if let Some(sender) = self.window.take() {
            // A lane that has failed is noticed when it is stopped.
            let _ = sender.send(window);
        }
    }

    /// Waits until the window is over and returns what was measured in it.
    ///
    /// # Errors
    ///
    /// When the lane's thread failed before the end of the window.
    pub async fn measured(&mut self) -> io::Result<LaneUse> {
        match self.measured.take() {
            Some(measured) => measured.await.map_err(io::Error::other)?,
            None => Err(io::Error::other("a lane is measured once")),
        }
    }

    /// Answers what is kept waiting, and keeps nothing waiting from now on: the subscribers are
    /// about to stop, and could not finish before.
    pub fn release(&self) {
        self.release.cancel();
    }

    /// Tells the half to finish, waits until it has, and returns how it ended.
    ///
    /// # Errors
    ///
    /// When it failed before, or its thread is gone.
    pub async fn stop(&mut self) -> Result<(), LaneError<E>> {
        self.stop.cancel();
        self.window = None;
        match self.ended.take() {
            Some(ended) => ended.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }

    /// Lets the thread go.
    pub fn dismiss(self) {
        // A thread that is gone already needs no dismissal.
        let _ = self.dismiss.send(());
    }
}

/// Takes the totals at both edges of the window, on the thread they belong to.
async fn measure(window: Window, tally: &Tally) -> io::Result<LaneUse> {
    let mut timer = Timer::new()?;
    timer.sleep_until(window.idle_from).await?;
    let idle = clock::thread_cpu();
    timer.sleep_until(window.idle_until).await?;
    let idle_cpu_ns = clock::thread_cpu() - idle;
    timer.sleep_until(window.from).await?;
    let before = (tally.counts(), clock::thread_cpu());
    timer.sleep_until(window.until).await?;
    let after = (tally.counts(), clock::thread_cpu());
    Ok(LaneUse { window: after.0 - before.0, cpu_ns: after.1 - before.1, idle_cpu_ns })
}
