//! The witness: a thread beside the measurement that counts at random moments.
//!
//! It knows nothing of stamps. What it counts (events emitted, first copies accepted) must be
//! what the stamps say of the same moments, so a latency that is stamped or added up wrongly
//! shows as work in flight that nobody saw (Little's law). How late it wakes is the error of
//! this process's timers. Its own CPU time is metered apart and in no strategy.
//!
//! Moments are those of a Poisson process, so that what is counted at them is what there is on
//! average (Wolff 1982, "Poisson Arrivals See Time Averages"), whatever beat the strategy has.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::RngExt;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::clock::{self, Moment};
use crate::fault::Fault;
use crate::schedule::random_stream;
use crate::units::nanoseconds;

/// Random stream of a trial's seed that the moments come from.
const STREAM: u64 = 5 << 32;

/// Moments in a second, on average.
const RATE: f64 = 25.0;

/// The fewest and the most moments of a window, on average.
const MOMENTS: std::ops::RangeInclusive<f64> = 20.0..=400.0;

/// What a witness saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// When it counted, and what.
    pub(crate) samples: Vec<(Moment, u64)>,
    /// How late it woke each time, in nanoseconds, in rising order.
    pub(crate) late: Vec<u64>,
    /// Its own CPU time inside the window, in nanoseconds.
    pub(crate) cpu_ns: u64,
}

impl Seen {
    /// How late it woke: a quantile by nearest rank.
    pub(crate) fn timer_error(&self, percent: usize) -> u64 {
        let rank = (self.late.len() * percent).div_ceil(100).max(1);
        self.late.get(rank - 1).copied().unwrap_or_default()
    }
}

/// A witness at work.
#[derive(Debug)]
pub(crate) struct Witness {
    thread: JoinHandle<()>,
    seen: mpsc::Receiver<Seen>,
    dismiss: mpsc::Sender<()>,
}

/// The moments of a window, the same for both sides of a trial.
fn moments(seed: u64, from: Moment, until: Moment) -> Vec<Moment> {
    let window = until.since(from).as_secs_f64();
    let count = (RATE * window).clamp(*MOMENTS.start(), *MOMENTS.end());
    let mut random = random_stream(seed, STREAM);
    let mut moments = Vec::new();
    let mut at = 0.0;
    loop {
        let share: f64 = random.random();
        at -= (1.0 - share).ln() * window / count;
        if at >= window {
            return moments;
        }
        moments.push(from.after(Duration::from_secs_f64(at)));
    }
}

impl Witness {
    /// Starts a witness that counts with `count`, which says of which moment its count is true.
    ///
    /// # Errors
    ///
    /// When the system refuses another thread.
    pub(crate) fn start(
        (seed, from, until): (u64, Moment, Moment),
        fault: Option<Fault>,
        count: impl Fn() -> (Moment, u64) + Send + 'static,
    ) -> io::Result<Witness> {
        let moments = moments(seed, from, until);
        let (tell, seen) = mpsc::channel();
        let (dismiss, dismissed) = mpsc::channel();
        let thread = std::thread::Builder::new().name("witness".into()).spawn(move || {
            if fault == Some(Fault::DullTimers) {
                clock::dull_timers();
            } else {
                clock::sharpen_timers();
            }
            clock::sleep_until(from);
            let before = clock::thread_cpu();
            let mut seen = Seen::default();
            for (place, moment) in moments.iter().enumerate() {
                clock::sleep_until(*moment);
                seen.late.push(nanoseconds(clock::now().since(*moment)));
                seen.samples.push(count());
                if fault == Some(Fault::Migrate) && place == moments.len() / 2 {
                    migrate();
                }
            }
            seen.cpu_ns = clock::thread_cpu() - before;
            seen.late.sort_unstable();
            // Nobody listens any more when the trial is already over.
            let _ = tell.send(seen);
            // An ended thread vanishes from the scheduler's statistics, so it stays until the
            // process has been accounted for.
            let _ = dismissed.recv();
        })?;
        Ok(Witness { thread, seen, dismiss })
    }

    /// What it saw, once the window is over; nothing if it was not done by the deadline.
    pub(crate) fn testify(&self, deadline: Duration) -> Seen {
        self.seen.recv_timeout(deadline).unwrap_or_default()
    }

    /// Lets it go.
    pub(crate) fn dismiss(self) {
        drop(self.dismiss);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

/// Moves the process's main thread to another CPU than those it may use, or than its first.
fn migrate() {
    let main = Some(rustix::process::getpid());
    let Ok(allowed) = sched_getaffinity(main) else { return };
    let last =
        CpuSet::MAX_CPU.min(std::thread::available_parallelism().map_or(1, usize::from).max(2));
    let elsewhere = (0..last)
        .find(|cpu| !allowed.is_set(*cpu))
        .or_else(|| (0..last).filter(|cpu| allowed.is_set(*cpu)).nth(1));
    if let Some(cpu) = elsewhere {
        let mut only = CpuSet::new();
        only.set(cpu);
        // Twice, so that it has moved wherever it was.
        let _ = sched_setaffinity(main, &only);
        clock::sleep_until(clock::now().after(Duration::from_millis(20)));
        let _ = sched_setaffinity(main, &allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Witness, moments};
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn both_sides_count_at_the_same_moments() {
        let from = clock::now();
        let until = from.after(Duration::from_secs(10));
        let first = moments(7, from, until);
        assert_eq!(first, moments(7, from, until));
        assert_ne!(first, moments(8, from, until));
        assert!((150..350).contains(&first.len()), "{}", first.len());
        assert!(first.iter().all(|moment| (from..until).contains(moment)));
    }

    #[test]
    fn a_witness_counts_at_every_moment_and_says_how_late_it_woke() {
        let from = clock::now();
        let until = from.after(Duration::from_millis(50));
        let expected = moments(1, from, until);
        let witness =
            Witness::start((1, from, until), None, || (clock::now(), 3)).expect("a thread");
        let seen = witness.testify(Duration::from_secs(20));
        assert_eq!(seen.samples.len(), expected.len());
        assert!(
            seen.samples.iter().zip(&expected).all(|((at, count), due)| at >= due && *count == 3)
        );
        assert!(seen.timer_error(50) <= seen.timer_error(99));
        assert!(seen.timer_error(99) > 0);
        witness.dismiss();
    }
}
