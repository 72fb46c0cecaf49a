//! Where requests wait for an event: the source's half of a long poll.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::source::log::{LogReader, Relay};

/// The parked requests of a lane, and the relay that wakes them.
///
/// The relay runs only while somebody is parked, so that a lane whose clients never wait is not
/// woken by every event.
#[derive(Debug)]
pub struct Parking {
    relay: Relay,
    parked: AtomicU64,
    /// Somebody parked where nobody was, or the last one left.
    changed: Notify,
    release: CancellationToken,
}

impl Parking {
    /// Parks requests until `release`.
    #[must_use]
    pub fn new(log: LogReader, release: CancellationToken) -> Parking {
        let (parked, changed) = (AtomicU64::new(0), Notify::new());
        Parking { relay: Relay::new(log), parked, changed, release }
    }

    /// Wakes parked requests when events are emitted; never ends.
    pub async fn run(&self) {
        loop {
            if self.parked.load(Relaxed) == 0 {
                self.changed.notified().await;
            } else {
                tokio::select! {
                    () = self.relay.run() => {}
                    () = self.changed.notified() => {}
                }
            }
        }
    }

    /// Waits until the event at `index` has been emitted, for `hold` at most, and not beyond
    /// the release. Cancel safe.
    pub async fn park(&self, index: u64, hold: Duration) {
        let _place = Place::taken(self);
        tokio::select! {
            biased;
            () = self.release.cancelled() => {}
            () = self.relay.wait_for(index) => {}
            () = tokio::time::sleep(hold) => {}
        }
    }
}

/// A parked request's place, given back when the request goes on or is gone.
struct Place<'a>(&'a Parking);

impl Place<'_> {
    fn taken(parking: &Parking) -> Place<'_> {
        if parking.parked.fetch_add(1, Relaxed) == 0 {
            parking.changed.notify_one();
        }
        Place(parking)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.0.parked.fetch_sub(1, Relaxed) == 1 {
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parking;
    use crate::clock::Moment;
    use crate::source::log::event_log;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    /// Longer than anything here takes; a request parked so long was never woken.
    const LONG: Duration = Duration::from_hours(1);
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Runs the parking while `work` lasts.
    async fn while_it_runs(parking: &Parking, work: impl Future<Output = ()>) {
        let both = async {
            tokio::select! {
                () = work => {}
                () = parking.run() => {}
            }
        };
        tokio::time::timeout(DEADLINE, both).await.expect("nobody is left behind");
    }

    #[tokio::test]
    async fn events_wake_whoever_parks_for_them_again_and_again() {
        let (mut writer, log) = event_log();
        let parking = Parking::new(log.clone(), CancellationToken::new());
        let emitting = std::thread::spawn(move || {
            for index in 0..500 {
                writer.append(Moment::from_nanoseconds(index)).expect("room");
                std::thread::yield_now();
            }
        });
        let follow = async {
            while log.len() < 500 {
                parking.park(log.len(), LONG).await;
            }
        };
        while_it_runs(&parking, async { _ = tokio::join!(follow, parking.park(499, LONG)) }).await;
        emitting.join().expect("the emitter ends");
    }

    #[tokio::test]
    async fn a_request_is_held_no_longer_than_it_asked() {
        let (_writer, log) = event_log();
        let parking = Parking::new(log, CancellationToken::new());
        while_it_runs(&parking, parking.park(0, Duration::from_millis(1))).await;
        while_it_runs(&parking, parking.park(0, Duration::ZERO)).await;
    }

    #[tokio::test]
    async fn everybody_is_released_at_once_and_nobody_parks_after_that() {
        let (_writer, log) = event_log();
        let release = CancellationToken::new();
        let parking = Parking::new(log, release.clone());
        let releasing = async {
            tokio::task::yield_now().await;
            release.cancel();
        };
        let parked = async {
            tokio::join!(parking.park(0, LONG), parking.park(7, LONG), releasing);
        };
        while_it_runs(&parking, parked).await;
        while_it_runs(&parking, parking.park(0, LONG)).await;
    }
}
