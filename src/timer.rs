//! A timer for async code that wakes when it was asked to.
//!
//! tokio's own timer rounds up to the next millisecond; a poll beat or the edge of a measured
//! window needs better. This one is a kernel timer (`man 2 timerfd_create`) with an absolute
//! deadline, on the runtime's ordinary event loop.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::{self, Moment};

/// A reusable timer.
#[derive(Debug)]
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    /// A timer on the current runtime.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its replacement is an unsafe fn; what it asks for, that the descriptor stays \
                      the same and open, is what OwnedFd guarantees"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Timer { fd })
    }

    /// Waits until `deadline`; returns at once if it has passed. Cancel safe.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the deadline or the descriptor breaks; neither is expected.
    pub async fn sleep_until(&mut self, deadline: Moment) -> io::Result<()> {
        let value = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: deadline.as_timespec(),
        };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &value)?;
        while clock::now() < deadline {
            let mut ready = self.fd.readable().await?;
            let mut expirations = [0; 8];
            // Reading takes the expiry off the descriptor; an expiry of an earlier deadline that
            // nobody read is taken off too, and the loop goes on waiting.
            let _ = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Timer;
    use crate::clock;
    use std::time::Duration;

    #[tokio::test]
    async fn a_timer_never_wakes_early_and_can_be_used_again() {
        let mut timer = Timer::new().expect("a timer");
        for _ in 0..5 {
            let deadline = clock::now().after(Duration::from_micros(700));
            timer.sleep_until(deadline).await.expect("a wait");
            assert!(clock::now() >= deadline);
        }
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_the_timer_usable() {
        let mut timer = Timer::new().expect("a timer");
        let never = clock::now().after(Duration::from_hours(1));
        let cancelled = tokio::time::timeout(Duration::ZERO, timer.sleep_until(never)).await;
        assert!(cancelled.is_err());
        let soon = clock::now().after(Duration::from_millis(1));
        timer.sleep_until(soon).await.expect("a wait");
        assert!(clock::now() >= soon);
    }
}
