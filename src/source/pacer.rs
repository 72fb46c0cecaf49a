//! The pacer: emits every event at its due moment.
//!
//! A plain OS thread, since no async timer is fine enough. Its deadlines are absolute: an
//! event that is late is emitted at once, never re-timed and never dropped, and the events
//! after it are due when they always were.
//!
//! A sleeping thread wakes some tens of microseconds late. A pacer that spins sleeps until
//! shortly before an event is due and looks at the clock until it is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    shared: Arc<Shared>,
}

/// What the pacer's thread and its owner both look at.
#[derive(Debug, Default)]
struct Shared {
    /// The owner wants nothing more emitted.
    stop: AtomicBool,
    /// CPU time spent spinning so far, in nanoseconds.
    spun: AtomicU64,
}

impl Pacer {
    /// Starts the thread; nothing is emitted before [`Pacer::start`].
    ///
    /// # Errors
    ///
    /// When the system refuses another thread.
    pub fn prepare(schedule: DueOffsets, log: LogWriter) -> io::Result<Pacer> {
        Pacer::spinning(schedule, log, Duration::ZERO)
    }

    /// As [`Pacer::prepare`]; the thread spins for the last `spin` before each event is due.
    ///
    /// # Errors
    ///
    /// When the system refuses another thread.
    pub fn spinning(schedule: DueOffsets, log: LogWriter, spin: Duration) -> io::Result<Pacer> {
        let (epoch, epochs) = std::sync::mpsc::channel();
        let (introduce, introduced) = std::sync::mpsc::channel();
        let (report, emitted) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("pacer".into()).spawn(move || {
            clock::sharpen_timers();
            let _ = introduce.send(rustix::thread::gettid());
            if let Ok(epoch) = epochs.recv() {
                let _ = report.send(emit(schedule, log, epoch, spin, &theirs));
            }
            // An ended thread vanishes from the scheduler's statistics, so it stays until the
            // process has been accounted for: until the sender is dropped.
            while epochs.recv().is_ok() {}
        })?;
        let thread_id = introduced.recv().map_err(io::Error::other)?;
        Ok(Pacer { thread, thread_id, epoch, emitted: Some(emitted), shared })
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

    /// CPU time spent spinning so far, in nanoseconds.
    #[must_use]
    pub fn spun(&self) -> u64 {
        self.shared.spun.load(Ordering::Relaxed)
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
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(self.epoch);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

fn emit(
    schedule: DueOffsets,
    mut log: LogWriter,
    epoch: Moment,
    spin: Duration,
    shared: &Shared,
) -> Result<(), LogFull> {
    for offset in schedule {
        let due = epoch.after(Duration::from_nanos(offset));
        if !sleep(due.before(spin), shared) {
            return Ok(());
        }
        let spell = Spell::spin_until(due, shared);
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        log.append(due)?;
        if let Some(spell) = spell {
            // Only once the event is out: the reading takes as long as an event is late.
            shared.spun.fetch_add(spell.cpu_ns(), Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Sleeps until a moment, and returns whether the pacer should go on.
fn sleep(until: Moment, shared: &Shared) -> bool {
    loop {
        if shared.stop.load(Ordering::Relaxed) {
            return false;
        }
        let now = clock::now();
        if now >= until {
            return true;
        }
        clock::sleep_until(until.min(now.after(NAP)));
    }
}

/// A while in which the pacer's thread spun.
#[derive(Clone, Copy, Debug)]
struct Spell {
    length: Duration,
    cpu_before: u64,
}

impl Spell {
    /// Spins until a moment, or until the pacer is stopped; `None` if the moment has passed.
    fn spin_until(due: Moment, shared: &Shared) -> Option<Spell> {
        let begun = clock::now();
        if begun >= due {
            return None;
        }
        let cpu_before = clock::thread_cpu();
        let mut now = begun;
        while now < due && !shared.stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
            now = clock::now();
        }
        Some(Spell { length: now.since(begun), cpu_before })
    }

    /// The CPU time it took, in nanoseconds.
    ///
    /// That is its length, unless another thread had the CPU meanwhile: then it is what the
    /// thread used since, which contains the emission of the event as well.
    fn cpu_ns(self) -> u64 {
        nanoseconds(self.length).min(clock::thread_cpu().saturating_sub(self.cpu_before))
    }
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

    #[tokio::test]
    async fn a_pacer_that_spins_emits_the_same_and_accounts_for_it_apart() {
        let offsets: Vec<u64> = (1..=50).map(|event| event * 1_000_000).collect();
        let spun = async |spin| {
            let (writer, reader) = event_log();
            let schedule = Box::new(offsets.clone().into_iter());
            let mut pacer = Pacer::spinning(schedule, writer, spin).expect("a thread");
            let epoch = clock::now();
            pacer.start(epoch);
            pacer.finished().await.expect("room in the log");
            let (spun, took) = (pacer.spun(), clock::now().since(epoch));
            pacer.stop();
            for (index, offset) in offsets.iter().enumerate() {
                let entry = reader.get(index as u64).expect("every event was emitted");
                assert_eq!(entry.due, epoch.after(Duration::from_nanos(*offset)));
                assert!(entry.emitted >= entry.due);
            }
            assert!(u128::from(spun) <= took.as_nanos(), "{spun} of {took:?}");
            spun
        };
        assert_eq!(spun(Duration::ZERO).await, 0);
        // Longer than any gap, so that it hardly sleeps.
        assert!(spun(Duration::from_secs(1)).await > 0);
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
