//! Where hyper's HTTP/2 runs what it cannot run itself: tasks with an owner.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::rt::Executor;
use tokio::task::{JoinError, JoinSet};

/// The tasks of one connection; dropping them ends them.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Arc<Mutex<JoinSet<()>>>);

/// Starts tasks that their connection owns.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Weak<Mutex<JoinSet<()>>>);

impl Tasks {
    /// What starts tasks here. It does not keep them alive, or tasks that hold it never ended.
    pub(crate) fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.0))
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        // A connection that is gone starts nothing more.
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            ended.unwrap_or_else(panicked);
        }
        tasks.spawn(async move {
            task.await;
        });
    }
}

/// A panic in a handler is a fault of the program, not of the connection.
fn panicked(error: JoinError) {
    std::panic::resume_unwind(error.into_panic());
}
