//! The log, event by event, for whoever reads it in the source's own process.

use std::io;
use std::time::Duration;

use crate::source::log::{Entry, LogReader};
use crate::timer::Timer;

/// A place in the log that moves on one event at a time.
#[derive(Debug)]
pub struct Trail {
    log: LogReader,
    next: u64,
    /// How long after its emission each event is given out, if not at once.
    delay: Option<(Duration, Timer)>,
}

impl Trail {
    /// The log from its beginning, each event `delay` after it was emitted. On the runtime that
    /// will wait.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left for a timer.
    pub fn new(log: LogReader, delay: Duration) -> io::Result<Trail> {
        let delay = (!delay.is_zero()).then(|| Timer::new().map(|timer| (delay, timer)));
        Ok(Trail { log, next: 0, delay: delay.transpose()? })
    }

    /// Waits for the next event. Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`Timer::sleep_until`].
    pub async fn next(&mut self) -> io::Result<Entry> {
        // A long way behind, it would keep the lane from everything else.
        tokio::task::coop::consume_budget().await;
        self.log.wait_for(self.next).await;
        let entry = self.log.get(self.next).expect("it was waited for");
        if let Some((delay, timer)) = &mut self.delay {
            timer.sleep_until(entry.emitted.after(*delay)).await?;
        }
        self.next += 1;
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::Trail;
    use crate::clock;
    use crate::source::log::event_log;
    use std::time::Duration;

    #[tokio::test]
    async fn every_event_is_given_out_once_and_not_before_its_delay() {
        for delay in [Duration::ZERO, Duration::from_millis(2)] {
            let (mut writer, log) = event_log();
            let mut trail = Trail::new(log, delay).expect("a timer");
            for _ in 0..3 {
                writer.append(clock::now()).expect("room");
            }
            for number in 1..=3 {
                let entry = trail.next().await.expect("a wait");
                assert_eq!(entry.sequence.get(), number);
                assert!(clock::now() >= entry.emitted.after(delay));
            }
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_no_event() {
        let (mut writer, log) = event_log();
        let mut trail = Trail::new(log, Duration::from_millis(2)).expect("a timer");
        writer.append(clock::now()).expect("room");
        let first = match tokio::time::timeout(Duration::ZERO, trail.next()).await {
            Ok(first) => first,
            Err(_) => trail.next().await,
        };
        assert_eq!(first.expect("a wait").sequence.get(), 1);
    }
}
