//! The coordinator's part in the paths between source and subscribers: has them made before the
//! trial's processes start, and hears at the end what crossed them.

use std::time::Duration;

use crate::machine::Namespaces;
use crate::network::namespace::{DEVICE, End};
use crate::plan::{Plan, Trial};
use crate::record::trial::NetworkUse;
use crate::trial::control::{FromWorker, NetworkAssignment, ToWorker};
use crate::trial::crew::{Crew, Launcher, Trouble, Worker};
use crate::trial::mischief::harmed;

/// How long making the paths may take, and counting what crossed them.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The ends of the paths of a trial; none where no packets cross one.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    source: Option<End>,
    subscribers: Vec<End>,
}

impl Paths {
    /// Where the source lives, if at the end of paths.
    pub(crate) fn source(&self) -> Option<&End> {
        self.source.as_ref()
    }

    /// Where the subscribers of a strategy live, by its position in the trial.
    pub(crate) fn subscribers(&self, position: usize) -> Option<&End> {
        self.subscribers.get(position)
    }
}

/// Has a path made for each strategy of the trial, if packets are to cross one.
pub(crate) async fn make(
    plan: &Plan,
    trial: &Trial,
    launcher: &Launcher,
    crew: &mut Crew,
) -> Result<Paths, Trouble> {
    let network = &plan.points[trial.point].network;
    if !network.carries_packets() {
        return Ok(Paths::default());
    }
    launcher.launch_network(crew).await?;
    let Some(worker) = crew.network() else { return Ok(Paths::default()) };
    let assignment = NetworkAssignment {
        network: harmed(network.clone(), plan.fault),
        paths: u8::try_from(trial.strategies.len()).expect("a scenario has few strategies"),
        seed: trial.seed,
    };
    worker.tell(&ToWorker::Network(assignment)).await?;
    match worker.hear("make the paths", TIMEOUT).await? {
        FromWorker::Paths { source, subscribers } => {
            Ok(Paths { source: Some(source), subscribers })
        }
        other => Err(worker.confused(format!("it spoke out of turn: {other:?}"))),
    }
}

/// Where the kernel counts what the trial's processes send each other, and the process that makes
/// the paths.
pub(crate) fn watched(crew: &mut Crew) -> (Namespaces, Option<u32>) {
    let Some(network) = crew.network().map(|worker| worker.pid()) else {
        return (Namespaces::own(), None);
    };
    let processes: Vec<u32> = crew.workers().iter().map(Worker::pid).collect();
    (Namespaces::of(&processes, DEVICE), Some(network))
}

/// Hears what crossed each path; `cpu_ns` is what carrying it took inside the window.
pub(crate) async fn finish(
    crew: &mut Crew,
    cpu_ns: Option<u64>,
) -> Result<Vec<NetworkUse>, Trouble> {
    let Some(worker) = crew.network() else { return Ok(Vec::new()) };
    worker.tell(&ToWorker::Finish).await?;
    match worker.hear("count what crossed the paths", TIMEOUT).await? {
        FromWorker::Traffic { paths } => {
            let used = |traffic| NetworkUse { traffic, cpu_ns: cpu_ns.unwrap_or_default() };
            Ok(paths.into_iter().map(used).collect())
        }
        other => Err(worker.confused(format!("it spoke out of turn: {other:?}"))),
    }
}
