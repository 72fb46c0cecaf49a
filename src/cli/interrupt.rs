//! Ctrl-C and its kin: the first asks the run to end and keep what it has, the second ends it at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Listens for SIGINT, SIGTERM and SIGHUP for as long as the program runs.
#[derive(Debug)]
pub(crate) struct Interrupt {
    token: CancellationToken,
}

impl Interrupt {
    /// Starts listening, on a thread of its own so that it is heard whatever else goes on.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread or a signal handler.
    pub(crate) fn listen() -> io::Result<Interrupt> {
        let token = CancellationToken::new();
        let interrupted = token.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupts, mut terminations, mut hangups) = {
            let _entered = runtime.enter();
            let [interrupt, terminate, hangup] =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            (signal(interrupt)?, signal(terminate)?, signal(hangup)?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                let mut heard = async || {
                    tokio::select! {
                        _ = interrupts.recv() => {}
                        _ = terminations.recv() => {}
                        _ = hangups.recv() => {}
                    }
                };
                heard().await;
                interrupted.cancel();
                heard().await;
                exit_at_once();
            });
        })?;
        Ok(Interrupt { token })
    }

    /// Cancelled by the first signal.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

#[expect(clippy::exit, reason = "the second Ctrl-C means now; workers end with their parent")]
fn exit_at_once() -> ! {
    std::process::exit(130)
}
