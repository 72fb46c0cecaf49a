//! The pacer: emits every event at its due moment.
//!
//! A plain OS thread, since no async timer is fine enough. Its deadlines are absolute: an
//! event that is late is emitted at once, never re-timed and never dropped, and the events
//! after it are due when they always were.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::Pid;
use tokio::sync::oneshot;

use crate::clock::{self, Moment};
use crate::schedule::DueOffsets;
use crate::source::log::{LogFull, LogWriter};
use crate::units::nanoseconds;

/// How often a pacer with nothing to do looks whether it should stop.
const NAP: Duration = Duration::from_millis(250);

/// A pacer's thread and the ends of its channels.
#[derive(Debug)]
pub struct Pacer {
    thread: JoinHandle<()>,
    thread_id: Pid,
    epoch: std::sync::mpsc::Sender<Moment>,
    emitted: Option<oneshot::Receiver<Result<(), LogFull>>>,
    stop: Arc<AtomicBool>,
}

impl Pacer {
    /// Starts the thread; nothing is emitted before [`Pacer::start`].
    ///
    /// # Errors
    ///
    /// When the system refuses another thread.
    pub fn prepare(schedule: DueOffsets, log: LogWriter) -> io::Result<Pacer> {
        let (epoch, epochs) = std::sync::mpsc::channel();
        let (introduce, introduced) = std::sync::mpsc::channel();
        let (report, emitted) = oneshot::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("pacer".into()).spawn(move || {
            clock::sharpen_timers();
            let _ = introduce.send(rustix::thread::gettid());
            if let Ok(epoch) = epochs.recv() {
                let _ = report.send(emit(schedule, log, epoch, &stopped));
            }
            // An ended thread vanishes from the scheduler's statistics, so it stays until the
            // process has been accounted for: until the sender is dropped.
            while epochs.recv().is_ok() {}
        })?;
        let thread_id = introduced.recv().map_err(io::Error::other)?;
        Ok(Pacer { thread, thread_id, epoch, emitted: Some(emitted), stop })
    }

    /// Starts emitting: an event at offset `x` of the schedule is due at `epoch + x`.
    pub fn start(&self, epoch: Moment) {
        // A pacer that has already ended has nothing to start.
        let _ = self.epoch.send(epoch);
    }

    /// The kernel's id of the pacer's thread, to read its CPU time by.
    #[must_use]
    pub fn thread_id(&self) -> Pid {
        self.thread_id
    }

    /// Waits until the whole schedule has been emitted. The thread lives on until it is stopped.
    ///
    /// # Errors
    ///
    /// When the log was too small for the schedule.
    pub async fn finished(&mut self) -> Result<(), LogFull> {
        match self.emitted.take() {
            // A pacer that was never started has nothing to emit.
            Some(emitted) => emitted.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// Stops emitting and waits for the thread.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.epoch);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

fn emit(
    schedule: DueOffsets,
    mut log: LogWriter,
    epoch: Moment,
    stop: &AtomicBool,
) -> Result<(), LogFull> {
    for offset in schedule {
        let due = epoch.after(Duration::from_nanos(offset));
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let now = clock::now();
            if now >= due {
                break;
            }
            clock::sleep_until(if nanoseconds(due.since(now)) > nanoseconds(NAP) {
                now.after(NAP)
            } else {
                due
            });
        }
        log.append(due)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Pacer;
    use crate::clock;
    use crate::source::log::event_log;
    use std::time::Duration;

    #[tokio::test]
    async fn events_are_emitted_in_order_and_never_early() {
        let (writer, reader) = event_log();
        let offsets: Vec<u64> = (0..50).map(|event| event * 200_000).collect();
        let mut pacer =
            Pacer::prepare(Box::new(offsets.clone().into_iter()), writer).expect("a thread");
        let epoch = clock::now().after(Duration::from_millis(1));
        pacer.start(epoch);
        pacer.finished().await.expect("room in the log");
        pacer.stop();
        assert_eq!(reader.len(), 50);
        for (index, offset) in offsets.iter().enumerate() {
            let entry = reader.get(index as u64).expect("every event was emitted");
            assert_eq!(entry.due, epoch.after(Duration::from_nanos(*offset)));
            assert!(entry.emitted >= entry.due);
        }
    }

    #[tokio::test]
    async fn events_that_are_already_late_are_emitted_at_once_and_never_retimed() {
        let (writer, reader) = event_log();
        let mut pacer = Pacer::prepare(Box::new([0, 1, 2].into_iter()), writer).expect("a thread");
        let epoch = clock::now();
        pacer.start(epoch);
        pacer.finished().await.expect("room in the log");
        pacer.stop();
        let due = |index| reader.get(index).expect("an event").due;
        assert_eq!((due(0), due(2)), (epoch, epoch.after(Duration::from_nanos(2))));
    }

    #[test]
    fn a_pacer_can_be_stopped_before_and_in_the_middle_of_its_schedule() {
        let endless = || Box::new((0..).map(|n| n * 3_600_000_000_000));
        let (writer, reader) = event_log();
        Pacer::prepare(endless(), writer).expect("a thread").stop();
        assert!(reader.is_empty());
        let (writer, _reader) = event_log();
        let pacer = Pacer::prepare(endless(), writer).expect("a thread");
        pacer.start(clock::now());
        pacer.stop();
    }
}
