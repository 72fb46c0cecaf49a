//! The only place that reads time.
//!
//! Latencies are differences of `CLOCK_MONOTONIC`, which every process of one Linux host
//! shares; wall-clock time only labels records. Cross-host differences are not supported:
//! two hosts do not share this clock.

use std::num::NonZeroU64;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

/// A point on the host's monotonic clock, in nanoseconds since an arbitrary start (usually boot).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanoseconds` after the clock's start.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Moment {
        Moment(nanoseconds)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanoseconds(self) -> u64 {
        self.0
    }

    /// The moment a span later.
    #[must_use]
    pub fn after(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(crate::units::nanoseconds(span)))
    }

    /// The moment a span earlier; the clock's start if the span is longer.
    #[must_use]
    pub fn before(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(crate::units::nanoseconds(span)))
    }

    /// The time since an earlier moment; zero if that moment is in fact later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same moment as the kernel's calls take it.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "2^63 ns after boot is 292 years away")]
    pub fn as_timespec(self) -> Timespec {
        Timespec {
            tv_sec: (self.0 / 1_000_000_000) as i64,
            tv_nsec: (self.0 % 1_000_000_000) as i64,
        }
    }
}

/// The present moment.
#[must_use]
pub fn now() -> Moment {
    Moment(read(ClockId::Monotonic))
}

/// CPU time consumed by every thread of this process so far, in nanoseconds.
///
/// From the scheduler's own precise accounting, not from the sampled tick (`man 2 clock_gettime`).
#[must_use]
pub fn process_cpu() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// CPU time consumed by the calling thread so far, in nanoseconds.
#[must_use]
pub fn thread_cpu() -> u64 {
    read(ClockId::ThreadCPUTime)
}

/// Wall-clock time, for labels and for protocol timestamps; never for measuring.
#[must_use]
pub fn wall() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock file")]
    jiff::Timestamp::now()
}

/// Wall clock minus monotonic clock, in nanoseconds: it moves only when somebody sets or slews
/// the wall clock.
#[must_use]
pub fn wall_offset() -> i128 {
    i128::from(read(ClockId::Realtime)) - i128::from(read(ClockId::Monotonic))
}

/// Translates moments of the monotonic clock into wall-clock time, for labels.
#[derive(Clone, Copy, Debug)]
pub struct WallAnchor {
    moment: Moment,
    wall: jiff::Timestamp,
}

impl WallAnchor {
    /// Pairs the two clocks as they are now; later steps of the wall clock are not followed.
    #[must_use]
    pub fn now() -> WallAnchor {
        WallAnchor { moment: now(), wall: wall() }
    }

    /// The wall-clock time of a moment.
    #[must_use]
    pub fn at(&self, moment: Moment) -> jiff::Timestamp {
        let later = moment.since(self.moment);
        let earlier = self.moment.since(moment);
        // Only a moment centuries away overflows; its label is then the anchor's.
        self.wall.checked_add(later).and_then(|t| t.checked_sub(earlier)).unwrap_or(self.wall)
    }
}

/// Waits until `deadline` on the calling thread; returns at once if it has passed.
///
/// An absolute deadline cannot drift, and a signal does not cut the wait short.
pub fn sleep_until(deadline: Moment) {
    let request = deadline.as_timespec();
    while rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &request).is_err() {}
}

/// Lowers the calling thread's timer slack from the default 50 µs to 1 ns, so that it wakes
/// when it asked to (`man 2 PR_SET_TIMERSLACK`).
pub fn sharpen_timers() {
    // A kernel that refuses keeps its default slack; the measured lag then shows it.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// Gives the calling thread a slack of 5 ms, for runs whose timers are made dull on purpose.
pub fn dull_timers() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(5_000_000));
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    #[expect(clippy::cast_sign_loss, reason = "these clocks start at zero and only grow")]
    let (seconds, nanoseconds) = (time.tv_sec as u64, time.tv_nsec as u64);
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::{Moment, now, process_cpu, sleep_until, thread_cpu};
    use std::time::Duration;

    #[test]
    fn the_clock_never_runs_backwards() {
        let mut last = now();
        for _ in 0..10_000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }

    #[test]
    fn a_sleep_ends_at_or_after_its_deadline() {
        let deadline = now().after(Duration::from_millis(3));
        sleep_until(deadline);
        assert!(now() >= deadline);
        sleep_until(Moment::from_nanoseconds(0));
    }

    #[test]
    fn one_thread_is_part_of_its_process() {
        let before = (thread_cpu(), process_cpu());
        let work: u64 = (0..2_000_000_u64).fold(0, |sum, n| sum ^ n.wrapping_mul(n));
        assert_ne!(work, 1);
        let thread = thread_cpu() - before.0;
        assert!(thread > 0);
        assert!(process_cpu() - before.1 >= thread);
    }
}
