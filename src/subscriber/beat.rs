//! The beat of a poller: when the next poll is.

use std::io;
use std::time::Duration;

use crate::clock::{self, Moment};
use crate::theory::Beat;
use crate::timer::Timer;
use crate::units::nanoseconds;

/// A poller's clockwork.
#[derive(Debug)]
pub struct Clockwork {
    timer: Timer,
    kind: Beat,
    every: Duration,
    next: Moment,
}

impl Clockwork {
    /// The first beat is at `first`, the next ones as `kind` says.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left for a timer.
    pub fn new(kind: Beat, every: Duration, first: Moment) -> io::Result<Clockwork> {
        Ok(Clockwork { timer: Timer::new()?, kind, every, next: first })
    }

    /// Waits for the next beat. Call it again when the poll is complete.
    ///
    /// An interval of zero beats at once, after giving other tasks a turn.
    ///
    /// # Errors
    ///
    /// When the kernel's timer breaks, which is not expected.
    pub async fn beat(&mut self) -> io::Result<()> {
        let now = clock::now();
        if self.next > now {
            self.timer.sleep_until(self.next).await?;
        } else {
            // Without a wait the other pollers of this process would never run.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sets the next beat, now that a poll is complete, and returns how many beats were missed
    /// while it was under way.
    pub fn completed(&mut self) -> u64 {
        let now = clock::now();
        let (next, missed) = match self.kind {
            Beat::FixedDelay => (now.after(self.every), 0),
            Beat::FixedRate => next_beat(self.next, self.every, now),
        };
        self.next = next;
        missed
    }
}

/// The first multiple of `every` after `last` that is still ahead, and how many are not.
fn next_beat(last: Moment, every: Duration, now: Moment) -> (Moment, u64) {
    let every = nanoseconds(every);
    if every == 0 {
        return (now, 0);
    }
    let missed = nanoseconds(now.since(last)) / every;
    (Moment::from_nanoseconds(last.as_nanoseconds() + (missed + 1) * every), missed)
}

#[cfg(test)]
mod tests {
    use super::next_beat;
    use crate::clock::Moment;
    use std::time::Duration;

    #[test]
    fn missed_beats_are_skipped_and_the_grid_is_kept() {
        let beat = |last, now| {
            let (next, missed) = next_beat(
                Moment::from_nanoseconds(last),
                Duration::from_nanos(100),
                Moment::from_nanoseconds(now),
            );
            (next.as_nanoseconds(), missed)
        };
        assert_eq!(beat(1_000, 1_030), (1_100, 0));
        assert_eq!(beat(1_000, 1_099), (1_100, 0));
        assert_eq!(beat(1_000, 1_100), (1_200, 1));
        assert_eq!(beat(1_000, 1_450), (1_500, 4));
    }

    #[test]
    fn an_interval_of_zero_is_always_due() {
        let now = Moment::from_nanoseconds(5);
        assert_eq!(next_beat(Moment::from_nanoseconds(1), Duration::ZERO, now), (now, 0));
    }
}
