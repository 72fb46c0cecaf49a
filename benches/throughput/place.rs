//! Where threads run: source and client on a CPU each.

use rustix::thread::{CpuSet, sched_setaffinity};

/// The CPU of everything on the source's side.
pub(crate) const SOURCE: usize = 0;

/// The CPU of everything on the subscriber's side.
pub(crate) const SUBSCRIBER: usize = 1;

/// Keeps the calling thread, and those it will start, on one CPU.
///
/// On a machine with a single CPU everything shares it, and the figures say so by their size.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    let _ = sched_setaffinity(None, &set);
}

/// Runs something on a thread of its own on one CPU.
pub(crate) fn on<T: Send>(cpu: usize, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(cpu);
            work()
        });
        thread.join().unwrap()
    })
}

/// A runtime on the calling thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
