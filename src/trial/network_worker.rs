//! The worker that is the paths between source and subscribers: holds their namespaces, and routes.

use std::os::fd::AsFd;

use tokio::sync::oneshot;

use crate::clock;
use crate::network::netem::Netem;
use crate::network::router::Router;
use crate::network::tier::Tier;
use crate::trial::control::{Control, FromWorker, NetworkAssignment, ToWorker};
use crate::trial::worker::{WorkerError, out_of_turn};

/// Carries out the assignment: the paths are there until the trial is over, and gone with the
/// process.
pub(crate) async fn run(
    control: &mut Control,
    assignment: NetworkAssignment,
) -> Result<(), WorkerError> {
    match assignment.network.tier {
        Some(Tier::Netem) => emulate(control, &assignment).await,
        Some(Tier::Router) => route(control, &assignment).await,
        Some(Tier::Sockets) | None => {
            Err(WorkerError::Nonsense(format!("no packets cross a path of {}", assignment.network)))
        }
    }
}

/// Has the kernel make the paths.
async fn emulate(control: &mut Control, assignment: &NetworkAssignment) -> Result<(), WorkerError> {
    let NetworkAssignment { network, paths, seed } = assignment;
    let netem =
        Netem::new(network, *seed, *paths).map_err(WorkerError::system("making the paths"))?;
    let (source, subscribers) = (netem.source(), netem.subscribers());
    control.say(&FromWorker::Paths { source, subscribers }).await?;
    match control.hear().await? {
        ToWorker::Finish => {}
        other => return Err(out_of_turn(&other)),
    }
    let paths = netem.traffic().map_err(WorkerError::system("counting what crossed the paths"))?;
    Ok(control.say(&FromWorker::Traffic { paths }).await?)
}

/// Makes the paths and carries the packets.
async fn route(control: &mut Control, assignment: &NetworkAssignment) -> Result<(), WorkerError> {
    let NetworkAssignment { network, paths, seed } = assignment;
    let mut router =
        Router::new(network, *seed, *paths).map_err(WorkerError::system("making the paths"))?;
    let made = FromWorker::Paths { source: router.source(), subscribers: router.subscribers() };
    let (stop, stopping) = std::io::pipe().map_err(WorkerError::system("making a pipe"))?;
    let (tell, mut told) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("router".into())
        .spawn(move || {
            clock::sharpen_timers();
            // Nobody listens any more when the trial is already over.
            let _ = tell.send(router.run(stop.as_fd()));
            // The namespaces last as long as the router.
            router
        })
        .map_err(WorkerError::system("starting the router"))?;
    control.say(&made).await?;
    let routed = tokio::select! {
        heard = control.hear() => match heard? {
            ToWorker::Finish => {
                drop(stopping);
                told.await
            }
            other => return Err(out_of_turn(&other)),
        },
        ended = &mut told => ended,
    };
    // A thread that panicked has left its message on stderr.
    let _router = thread.join();
    let paths = routed
        .unwrap_or_else(|_| Err(std::io::Error::other("the router's thread panicked")))
        .map_err(WorkerError::system("routing packets"))?;
    Ok(control.say(&FromWorker::Traffic { paths }).await?)
}
