//! Work in flight: what a witness counted at random moments, beside what the stamps say of the
//! same moments, and how busy the receiver was.
//!
//! By Little's law (Little 1961, "A Proof for the Queuing Formula L = λW") the mean number of
//! deliveries under way is their throughput times their mean latency. The stamps give the right
//! side; a witness that knows no stamps counts the left side.

use crate::record::trial::{Measured, WindowUse};

/// Deliveries under way on average, at the moments a witness counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InFlight {
    /// What both witnesses counted: emitted for every subscriber, less accepted.
    pub(crate) counted: f64,
    /// What the stamps say of the same moments.
    pub(crate) stamped: f64,
}

/// Follows the rows of one ledger.
#[derive(Debug)]
pub(crate) struct Tide {
    emitted: Counter,
    usable: Counter,
    subscribers: f64,
    /// For each subscriber what it worked on last: from its arrival to the last event of the page.
    working: Vec<(u64, u64)>,
    busy_ns: u64,
}

/// Counts moments up to each of some others.
#[derive(Debug, Default)]
struct Counter {
    samples: Vec<(u64, u64)>,
    before: Vec<u64>,
}

impl Counter {
    fn new(samples: &[(u64, u64)]) -> Counter {
        Counter { samples: samples.to_vec(), before: vec![0; samples.len()] }
    }

    fn note(&mut self, moment: u64) {
        let place = self.samples.partition_point(|(at, _)| *at < moment);
        if let Some(before) = self.before.get_mut(place) {
            *before += 1;
        }
    }

    /// The means of what was counted and of what was noted up to then.
    fn means(&self) -> Option<(f64, f64)> {
        let count = self.samples.len() as f64;
        let counted: u64 = self.samples.iter().map(|(_, count)| count).sum();
        let noted: u64 = self
            .before
            .iter()
            .scan(0, |sum, more| {
                *sum += more;
                Some(*sum)
            })
            .sum();
        (count > 0.0).then(|| (counted as f64 / count, noted as f64 / count))
    }
}

impl Tide {
    /// Follows a trial of so many subscribers.
    pub(crate) fn new(measured: &Measured, subscribers: u32) -> Tide {
        let samples = |window: &Option<WindowUse>| {
            Counter::new(window.as_ref().map_or(&[], |window| &window.samples))
        };
        Tide {
            emitted: samples(&measured.source.process.window),
            usable: samples(&measured.subscriber.process.window),
            subscribers: f64::from(subscribers),
            working: vec![(0, 0); subscribers as usize],
            busy_ns: 0,
        }
    }

    /// Notes an event, once however many subscribers there are.
    pub(crate) fn emitted(&mut self, emitted: u64) {
        self.emitted.note(emitted);
    }

    /// Notes a delivery.
    pub(crate) fn delivered(&mut self, subscriber: u32, arrived: u64, usable: u64) {
        self.usable.note(usable);
        let Some(working) = self.working.get_mut(subscriber as usize) else { return };
        if working.0 == arrived {
            working.1 = working.1.max(usable);
        } else {
            self.busy_ns += working.1.saturating_sub(working.0);
            *working = (arrived, usable);
        }
    }

    /// Deliveries under way; `None` without witnesses.
    pub(crate) fn in_flight(&self) -> Option<InFlight> {
        let (emitted, emitted_stamped) = self.emitted.means()?;
        let (accepted, accepted_stamped) = self.usable.means()?;
        Some(InFlight {
            counted: self.subscribers * emitted - accepted,
            stamped: self.subscribers * emitted_stamped - accepted_stamped,
        })
    }

    /// The time that subscribers had something in hand that was not yet usable, in nanoseconds,
    /// warm-up included. The events of one page are one piece of work.
    pub(crate) fn busy_ns(&self) -> u64 {
        let last: u64 = self.working.iter().map(|(from, until)| until.saturating_sub(*from)).sum();
        self.busy_ns + last
    }
}

#[cfg(test)]
mod tests {
    use super::{InFlight, Tide};
    use crate::analysis::evidence::tests::measured;
    use crate::record::trial::WindowUse;

    fn tide(emitted: Vec<(u64, u64)>, accepted: Vec<(u64, u64)>) -> Tide {
        let mut measured = measured();
        let set = |window: &mut Option<WindowUse>, samples| {
            window.as_mut().expect("a witness").samples = samples;
        };
        set(&mut measured.source.process.window, emitted);
        set(&mut measured.subscriber.process.window, accepted);
        Tide::new(&measured, 2)
    }

    #[test]
    fn counts_and_stamps_of_the_same_moments_are_compared() {
        let mut tide = tide(vec![(10, 1), (20, 2)], vec![(10, 0), (20, 3)]);
        for emitted in [5, 15, 25] {
            tide.emitted(emitted);
        }
        for (subscriber, usable) in [(0, 11), (1, 12), (0, 20), (1, 21)] {
            tide.delivered(subscriber, usable - 1, usable);
        }
        // Counted: 2·1 − 0 and 2·2 − 3; stamped the same, since what is usable at 20 counts.
        assert_eq!(tide.in_flight(), Some(InFlight { counted: 1.5, stamped: 1.5 }));
    }

    #[test]
    fn a_latency_that_is_stamped_too_long_is_work_nobody_saw() {
        let mut tide = tide(vec![(10, 1), (20, 1)], vec![(10, 0), (20, 2)]);
        tide.emitted(5);
        tide.delivered(0, 11, 40);
        tide.delivered(1, 11, 40);
        let found = tide.in_flight().expect("witnesses");
        assert_eq!((found.counted, found.stamped), (1.0, 2.0));
    }

    #[test]
    fn a_page_is_one_piece_of_work() {
        let mut tide = tide(Vec::new(), Vec::new());
        for usable in [110, 120, 130] {
            tide.delivered(0, 100, usable);
        }
        tide.delivered(1, 100, 105);
        tide.delivered(0, 200, 210);
        assert_eq!(tide.busy_ns(), 30 + 5 + 10);
        assert_eq!(tide.in_flight(), None);
    }
}
