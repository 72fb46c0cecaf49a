//! Waiting before something is asked for again.

use std::io;
use std::time::Duration;

use crate::clock;
use crate::timer::Timer;

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(5);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(1);

/// Waits that double from 5 ms to a second, until something was brought.
#[derive(Debug)]
pub struct Backoff {
    timer: Timer,
    next: Duration,
}

impl Backoff {
    /// A backoff that has not waited yet.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left for a timer.
    pub fn new() -> io::Result<Backoff> {
        Ok(Backoff { timer: Timer::new()?, next: SHORTEST })
    }

    /// Waits, and makes the next wait longer. Cancel safe.
    ///
    /// # Errors
    ///
    /// When the kernel's timer breaks, which is not expected.
    pub async fn wait(&mut self) -> io::Result<()> {
        let deadline = clock::now().after(self.next);
        self.next = (self.next * 2).min(LONGEST);
        self.timer.sleep_until(deadline).await
    }

    /// Makes the next wait the shortest again.
    pub fn reset(&mut self) {
        self.next = SHORTEST;
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, LONGEST, SHORTEST};
    use crate::clock;
    use std::time::Duration;

    #[tokio::test]
    async fn waits_double_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::new().expect("a timer");
        let before = clock::now();
        backoff.wait().await.expect("a wait");
        assert!(clock::now().since(before) >= SHORTEST);
        assert_eq!(backoff.next, SHORTEST * 2);
        backoff.next = LONGEST;
        let cut_short = tokio::time::timeout(Duration::ZERO, backoff.wait()).await;
        assert!(cut_short.is_err());
        assert_eq!(backoff.next, LONGEST);
        backoff.reset();
        assert_eq!(backoff.next, SHORTEST);
    }
}
