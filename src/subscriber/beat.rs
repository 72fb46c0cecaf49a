//! The beat of a poller: when the next poll is.

use std::io;
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64;

use crate::clock::{self, Moment};
use crate::theory::Beat;
use crate::timer::Timer;
use crate::units::nanoseconds;

/// A poller's clockwork.
#[derive(Debug)]
pub struct Clockwork {
    timer: Timer,
    kind: Beat,
    next: Moment,
}

impl Clockwork {
    /// The first beat is at `first`, the next ones as `kind` says.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left for a timer.
    pub fn new(kind: Beat, first: Moment) -> io::Result<Clockwork> {
        Ok(Clockwork { timer: Timer::new()?, kind, next: first })
    }

    /// Waits for the next beat. Call it again when the poll is complete.
    ///
    /// A beat that is due comes at once, after giving other tasks a turn.
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

    /// Sets the next beat an interval on, now that a poll is complete, but not before a pause is
    /// over; returns how many beats were missed while the poll was under way.
    pub fn completed(&mut self, interval: Duration, pause: Duration) -> u64 {
        let now = clock::now();
        let (next, missed) = match self.kind {
            Beat::FixedDelay => (now.after(interval), 0),
            Beat::FixedRate => next_beat(self.next, interval, now),
        };
        self.next = next.max(now.after(pause));
        missed
    }
}

/// How long a poller waits from one poll to the next.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    shortest: Duration,
    longest: Duration,
    factor: f64,
    jitter: f64,
    random: Pcg64,
}

impl Pace {
    /// Always the same interval, but for the jitter.
    #[must_use]
    pub fn steady(every: Duration, jitter: f64, random: Pcg64) -> Pace {
        Pace::adaptive(every, every, 1.0, jitter, random)
    }

    /// The shortest interval after news, then `factor` times as long whenever there are none,
    /// up to the longest. Each interval is drawn uniformly from that part, the jitter, shorter
    /// to as much longer.
    #[must_use]
    pub fn adaptive(
        shortest: Duration,
        longest: Duration,
        factor: f64,
        jitter: f64,
        random: Pcg64,
    ) -> Pace {
        Pace { interval: shortest, shortest, longest, factor, jitter, random }
    }

    /// The interval to the next poll, by whether the last one brought news.
    pub fn next(&mut self, news: bool) -> Duration {
        self.interval =
            if news { self.shortest } else { self.interval.mul_f64(self.factor).min(self.longest) };
        if self.jitter == 0.0 {
            return self.interval;
        }
        let place: f64 = self.random.random();
        self.interval.mul_f64(self.jitter.mul_add(2.0 * place - 1.0, 1.0).max(0.0))
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
    use super::{Clockwork, Pace, next_beat};
    use crate::clock::{self, Moment};
    use crate::schedule::random_stream;
    use crate::theory::Beat;
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
    fn fruitless_polls_get_rarer_until_there_are_news() {
        let ms = Duration::from_millis;
        let mut pace = Pace::adaptive(ms(100), ms(450), 2.0, 0.0, random_stream(1, 1));
        let news = [true, false, false, false, false, true, false];
        let intervals = news.map(|news| pace.next(news).as_millis());
        assert_eq!(intervals, [100, 200, 400, 450, 450, 100, 200]);
    }

    #[test]
    fn jitter_spreads_intervals_evenly_around_their_mean() {
        let draw = |stream| {
            let every = Duration::from_secs(1);
            let mut pace = Pace::steady(every, 0.5, random_stream(7, stream));
            (0..4_000).map(|_| pace.next(false).as_secs_f64()).collect::<Vec<_>>()
        };
        let drawn = draw(1);
        assert_eq!(drawn, draw(1), "the same seed draws the same");
        assert_ne!(drawn, draw(2));
        assert!(drawn.iter().all(|interval| (0.5..1.5).contains(interval)));
        // Uniform on 0.5 to 1.5: five deviations of the mean, and of the share below 0.75.
        let mean = drawn.iter().sum::<f64>() / 4_000.0;
        assert!((mean - 1.0).abs() < 5.0 * (1.0 / 12.0_f64 / 4_000.0).sqrt(), "{mean}");
        let short = drawn.iter().filter(|interval| **interval < 0.75).count();
        assert!(short.abs_diff(1_000) < 140, "{short}");
    }

    #[tokio::test]
    async fn a_pause_outweighs_the_interval_and_the_interval_a_pause() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(1_000));
        for kind in [Beat::FixedRate, Beat::FixedDelay] {
            for (interval, pause) in [(short, long), (long, short)] {
                let before = clock::now();
                let mut clockwork = Clockwork::new(kind, before).expect("a timer");
                assert_eq!(clockwork.completed(interval, pause), 0);
                assert!(clockwork.next >= before.after(long));
            }
        }
    }

    #[test]
    fn an_interval_of_zero_is_always_due() {
        let now = Moment::from_nanoseconds(5);
        assert_eq!(next_beat(Moment::from_nanoseconds(1), Duration::ZERO, now), (now, 0));
    }
}
