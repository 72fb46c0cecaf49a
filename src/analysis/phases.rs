//! Where in a poll interval events fall: are they locked to the beat?

use super::series::whole;
use crate::schedule::Arrivals;

/// Parts an interval is divided into to tell phases apart.
const PARTS: u64 = 1_000;

/// Phases of the events of one trial, filled event by event.
#[derive(Debug)]
pub(crate) struct Phases {
    period: u64,
    /// Length of a part, in nanoseconds.
    part: u64,
    counts: Vec<u64>,
    /// Intervals that held an event, and the last of them.
    intervals: u64,
    last: Option<u64>,
}

/// How evenly events fall over an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PhaseFit {
    /// Phases that were met, of a thousand.
    pub(crate) distinct: usize,
    /// The greatest difference between the share of events up to a phase and that phase's share
    /// of the interval (Kolmogorov).
    pub(crate) distance: f64,
    /// Events that tell of the phase independently of each other.
    pub(crate) moments: f64,
}

impl Phases {
    /// No events yet, of polls one `period` apart, in nanoseconds and above zero.
    pub(crate) fn new(period: u64) -> Phases {
        let part = period.div_ceil(PARTS);
        let parts = usize::try_from(period.div_ceil(part)).expect("at most a thousand");
        Phases { period, part, counts: vec![0; parts], intervals: 0, last: None }
    }

    /// Notes the moment at which the next event is due.
    pub(crate) fn note(&mut self, due: u64) {
        let part = usize::try_from(due % self.period / self.part).expect("at most a thousand");
        self.counts[part] += 1;
        let interval = due / self.period;
        if self.last.replace(interval) != Some(interval) {
            self.intervals += 1;
        }
    }

    /// How evenly the events fall; `None` without any.
    ///
    /// Events that come together fall together, and are no beat for that: where what came
    /// before says something of what comes next, an interval counts as one moment.
    pub(crate) fn fit(&self, arrivals: &Arrivals) -> Option<PhaseFit> {
        let events = self.counts.iter().sum::<u64>() as f64;
        let mut up_to = 0;
        let differences = (1..).zip(&self.counts).map(|(parts, count)| {
            up_to += count;
            let end = (parts * self.part).min(self.period);
            (up_to as f64 / events - end as f64 / self.period as f64).abs()
        });
        let distance = differences.fold(0.0, f64::max);
        let moments = match arrivals {
            Arrivals::Constant => events,
            other => other.independent_moments(events).unwrap_or(self.intervals as f64),
        };
        (events > 0.0).then(|| PhaseFit {
            distinct: self.counts.iter().filter(|count| **count > 0).count(),
            distance,
            moments: whole(moments) as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{PhaseFit, Phases};
    use crate::analysis::probability::kolmogorov;
    use crate::schedule::{Arrivals, Batch, OnOff};
    use crate::units::Rate;
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    fn fit(arrivals: &Arrivals, rate: f64, period: u64, seed: u64) -> Option<PhaseFit> {
        let rate = Rate::per_second(rate).expect("a rate");
        let span = Duration::from_secs(20);
        let mut phases = Phases::new(period);
        arrivals
            .due_offsets(rate, seed, span, None)
            .expect("no trace")
            .for_each(|due| phases.note(due));
        phases.fit(arrivals)
    }

    fn chance(fit: PhaseFit) -> f64 {
        kolmogorov(fit.distance, fit.moments)
    }

    #[test]
    fn even_spacing_that_is_a_fraction_of_the_beat_is_locked_to_it() {
        let locked = fit(&Arrivals::Constant, 10.0, 1_000 * MS, 1).expect("events");
        assert_eq!(locked.distinct, 10);
        assert!((locked.moments - 200.0).abs() < 1e-9);
        let once = fit(&Arrivals::Constant, 1.0, 1_000 * MS, 1).expect("events");
        assert!(once.distinct == 1 && chance(once) < 0.001, "{once:?}");
        let free = fit(&Arrivals::Constant, 9.7, 1_000 * MS, 1).expect("events");
        assert!(free.distinct == 97 && chance(free) > 0.5, "{free:?}");
    }

    #[test]
    fn independent_events_fall_anywhere() {
        for arrivals in [
            Arrivals::Poisson,
            Arrivals::Batch(Batch::default()),
            Arrivals::OnOff(OnOff::default()),
        ] {
            // Bursts may leave a window without any event.
            let alarms = (0..2_000)
                .filter_map(|seed| fit(&arrivals, 20.0, 1_000 * MS, seed))
                .filter(|fit| chance(*fit) < 0.001)
                .count();
            // Two are expected.
            assert!(alarms <= 8, "{arrivals}: {alarms}");
        }
    }

    #[test]
    fn moments_recorded_to_the_second_meet_a_beat_of_a_second_at_one_phase() {
        let mut phases = Phases::new(500 * MS);
        (0..30).for_each(|second| phases.note(second * second * 1_000 * MS));
        let trace = Arrivals::OnOff(OnOff::default());
        let fit = phases.fit(&trace).expect("events");
        assert_eq!((fit.distinct, fit.moments), (1, 30.0));
        assert!(chance(fit) < 1e-6, "{fit:?}");
    }

    #[test]
    fn odd_periods_are_divided_as_well() {
        for period in [1, 7, 999, 1_001, 1_500] {
            let mut phases = Phases::new(period);
            (0..period).for_each(|due| phases.note(due));
            let fit = phases.fit(&Arrivals::Poisson).expect("events");
            assert!(fit.distance < 1e-9, "{period}: {fit:?}");
        }
        assert_eq!(Phases::new(5).fit(&Arrivals::Poisson), None);
    }
}
