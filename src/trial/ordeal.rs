//! What befalls processes as the scenario has it: they stand still, or are killed and started
//! again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;
use tokio::net::TcpSocket;

use crate::clock::{self, Moment};
use crate::incident::{Incident, Process, Span, Who};
use crate::record::trial::EndedLife;
use crate::subscriber::post::Life;
use crate::timer::Timer;
use crate::trial::control::{FromWorker, SubscriberAssignment, ToWorker};
use crate::trial::crew::{Launcher, Trouble, Worker};
use crate::trial::mischief::signal;
use crate::units::nanoseconds;
use crate::wire::socket::{LOOPBACK, reserve_port};

/// What befalls one process, the first first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ordeal(Vec<(Process, Span)>);

impl Ordeal {
    /// What befalls the processes of one side.
    pub(crate) fn of(incidents: &[Incident], who: Who) -> Ordeal {
        let befalling = incidents.iter().filter(|incident| incident.who == who);
        let mut all: Vec<(Process, Span)> = befalling
            .filter_map(|incident| Some((incident.process()?, incident.spans())))
            .flat_map(|(process, spans)| spans.into_iter().map(move |span| (process, span)))
            .collect();
        all.sort_by_key(|(_, span)| *span);
        Ordeal(all)
    }

    /// Whether a process is killed.
    pub(crate) fn kills(&self) -> bool {
        self.0.iter().any(|(process, _)| *process == Process::Killed)
    }
}

/// What a subscribers' process is started again with.
#[derive(Debug)]
pub(crate) struct Rebirth {
    pub(crate) assignment: SubscriberAssignment,
    /// How long it may take to get ready.
    pub(crate) timeout: Duration,
}

/// When a trial begins, opens its window, and closes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) epoch: Moment,
    pub(crate) from: Moment,
    pub(crate) until: Moment,
}

/// Lets a worker go through what befalls it; returns the lives that ended.
///
/// The next life is launched as soon as the last one has ended, and is told what it is when the
/// incident is over: what starting a process takes is not part of how long it is gone.
pub(crate) async fn endure(
    ordeal: &Ordeal,
    worker: &mut Worker,
    rebirth: Option<&Rebirth>,
    launcher: &Launcher,
    times: Times,
) -> Result<Vec<EndedLife>, Trouble> {
    if ordeal.0.is_empty() {
        return Ok(Vec::new());
    }
    let mut timer = Timer::new().map_err(Trouble::Timing)?;
    let mut lives = Vec::new();
    let at = |moment: u64| times.epoch.after(Duration::from_nanos(moment));
    let after_epoch = |moment: Moment| nanoseconds(moment.since(times.epoch));
    for (process, span) in &ordeal.0 {
        timer.sleep_until(at(span.from)).await.map_err(Trouble::Timing)?;
        match (process, rebirth) {
            (Process::Stopped, _) => {
                signal(worker.pid(), Signal::STOP).map_err(Trouble::Timing)?;
                let waited = timer.sleep_until(at(span.until)).await;
                signal(worker.pid(), Signal::CONT).map_err(Trouble::Timing)?;
                waited.map_err(Trouble::Timing)?;
            }
            (Process::Killed, Some(Rebirth { assignment, timeout })) => {
                let killed = after_epoch(clock::now());
                let cpu_ns = worker.kill().await?;
                launcher.relaunch(worker).await?;
                timer.sleep_until(at(span.until)).await.map_err(Trouble::Timing)?;
                let mut assignment = assignment.clone();
                assignment.life.known = true;
                worker.tell(&ToWorker::Subscriber(Box::new(assignment))).await?;
                match worker.hear("get ready again", *timeout).await? {
                    FromWorker::Ready { .. } => {}
                    other => {
                        return Err(worker.confused(format!("it did not get ready: {other:?}")));
                    }
                }
                let Times { epoch, from, until } = times;
                worker.tell(&ToWorker::Start { epoch, from, until }).await?;
                lives.push(EndedLife { killed, ready: after_epoch(clock::now()), cpu_ns });
            }
            // Nothing is started again that was not assigned.
            (Process::Killed, None) => {}
        }
    }
    Ok(lives)
}

/// What the lives of the subscribers of a trial have in common: their journals and their ports.
///
/// A journal is a file in memory without a name: it is gone with this, even if the process is killed.
#[derive(Debug, Default)]
pub(crate) struct Afterlife {
    journals: Vec<OwnedFd>,
    ports: Vec<TcpSocket>,
}

impl Afterlife {
    /// Gives an assignment what its later lives need.
    pub(crate) fn bestow(
        &mut self,
        place: usize,
        assignment: SubscriberAssignment,
    ) -> io::Result<SubscriberAssignment> {
        let (port, reserved) = reserve_port()?;
        self.ports.push(port);
        // At the end of a path the subscribers are alone: there the port is free if nobody takes it.
        let address = assignment.end.as_ref().map_or(LOOPBACK, |end| end.address);
        let endpoint = SocketAddr::new(address, reserved.port());
        let journal = memfd_create(format!("journal-{place}"), MemfdFlags::CLOEXEC)?;
        let (process, descriptor) = (std::process::id(), journal.as_raw_fd());
        self.journals.push(journal);
        let journal = PathBuf::from(format!("/proc/{process}/fd/{descriptor}"));
        let secret = Some(assignment.strategy.keyring.client_secret.clone());
        let life = Life { endpoint: Some(endpoint), secret, known: false };
        Ok(SubscriberAssignment { life, journal: Some(journal), ..assignment })
    }
}
