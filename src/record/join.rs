//! Joining what the source emitted with what arrived at the subscribers.

use crate::event::Sequence;

use super::ledger::Ledger;

/// One event as the source's log has it; the nth emission is the event with sequence number n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emission {
    /// When the schedule wanted it, in nanoseconds after the trial's epoch.
    pub due: u64,
    /// When it entered the log, in nanoseconds after the trial's epoch.
    pub emitted: u64,
}

/// One event as a subscriber received it, all its copies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The simulated subscriber, counted from zero.
    pub subscriber: u32,
    /// The event.
    pub sequence: Sequence,
    /// When the first copy's last byte was there, in nanoseconds after the trial's epoch.
    pub arrived: u64,
    /// When the first copy was usable, in nanoseconds after the trial's epoch.
    pub usable: u64,
    /// Copies that arrived, at least one.
    pub copies: u32,
}

/// Arrivals and emissions that cannot belong together; the trial is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// An event arrived that the source never emitted.
    #[error(
        "unexpected: subscriber {subscriber} received {sequence}, but the source emitted \
         {emitted} events"
    )]
    NeverEmitted {
        /// Who received it.
        subscriber: u32,
        /// The event.
        sequence: Sequence,
        /// Events that were emitted.
        emitted: usize,
    },
    /// A subscriber reported that does not exist.
    #[error("unexpected: subscriber {subscriber} received {sequence}, but there are {subscribers}")]
    UnknownSubscriber {
        /// Who received it.
        subscriber: u32,
        /// The event.
        sequence: Sequence,
        /// Subscribers there are.
        subscribers: u32,
    },
    /// One delivery is reported twice, or without a copy.
    #[error("subscriber {subscriber} reports {sequence} {how}")]
    Miscounted {
        /// Who reports it.
        subscriber: u32,
        /// The event.
        sequence: Sequence,
        /// `twice` or `without a copy`.
        how: &'static str,
    },
    /// The source's log is not in the order of its schedule.
    #[error("{sequence} was due before the event emitted ahead of it")]
    OutOfSchedule {
        /// The event.
        sequence: Sequence,
    },
    /// More deliveries than memory can address.
    #[error("{emitted} events to {subscribers} subscribers are more than a ledger can hold")]
    TooLarge {
        /// Events that were emitted.
        emitted: usize,
        /// Subscribers there are.
        subscribers: u32,
    },
}

impl Ledger {
    /// One row for every subscriber and emitted event, delivered or lost.
    ///
    /// # Errors
    ///
    /// When an arrival belongs to no emission and subscriber, or two belong to the same one;
    /// when emissions are not in the order they were due.
    pub fn join(
        emissions: &[Emission],
        subscribers: u32,
        arrivals: &[Arrival],
    ) -> Result<Ledger, JoinError> {
        let mut ledger = Ledger::of_lost(emissions, subscribers)?;
        for arrival in arrivals {
            let row = row_of(arrival, emissions.len(), subscribers)?;
            let miscounted = |how| JoinError::Miscounted {
                subscriber: arrival.subscriber,
                sequence: arrival.sequence,
                how,
            };
            if arrival.copies == 0 {
                return Err(miscounted("without a copy"));
            }
            if ledger.arrived[row].is_some() {
                return Err(miscounted("twice"));
            }
            ledger.arrived[row] = Some(arrival.arrived);
            ledger.usable[row] = Some(arrival.usable);
            ledger.copies[row] = arrival.copies;
        }
        Ok(ledger)
    }

    /// The ledger of a trial in which nothing arrived.
    fn of_lost(emissions: &[Emission], subscribers: u32) -> Result<Ledger, JoinError> {
        let rows = usize::try_from(subscribers)
            .ok()
            .and_then(|subscribers| emissions.len().checked_mul(subscribers))
            .ok_or(JoinError::TooLarge { emitted: emissions.len(), subscribers })?;
        let mut ledger = Ledger {
            subscriber: Vec::with_capacity(rows),
            sequence: Vec::with_capacity(rows),
            due: Vec::with_capacity(rows),
            emitted: Vec::with_capacity(rows),
            arrived: vec![None; rows],
            usable: vec![None; rows],
            copies: vec![0; rows],
        };
        let mut last_due = 0;
        for (index, emission) in (0_u64..).zip(emissions) {
            let sequence = Sequence::at_index(index);
            if emission.due < last_due {
                return Err(JoinError::OutOfSchedule { sequence });
            }
            last_due = emission.due;
            for subscriber in 0..subscribers {
                ledger.subscriber.push(subscriber);
                ledger.sequence.push(sequence.get());
                ledger.due.push(emission.due);
                ledger.emitted.push(emission.emitted);
            }
        }
        Ok(ledger)
    }
}

fn row_of(arrival: &Arrival, emitted: usize, subscribers: u32) -> Result<usize, JoinError> {
    let Arrival { subscriber, sequence, .. } = *arrival;
    if subscriber >= subscribers {
        return Err(JoinError::UnknownSubscriber { subscriber, sequence, subscribers });
    }
    usize::try_from(sequence.index())
        .ok()
        .filter(|index| *index < emitted)
        // Both factors are below those whose product `of_lost` found to be addressable.
        .map(|index| index * subscribers as usize + subscriber as usize)
        .ok_or(JoinError::NeverEmitted { subscriber, sequence, emitted })
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Emission, JoinError, Ledger};
    use crate::event::Sequence;

    const EMISSIONS: [Emission; 2] =
        [Emission { due: 10, emitted: 12 }, Emission { due: 20, emitted: 21 }];

    fn arrival(subscriber: u32, index: u64) -> Arrival {
        let sequence = Sequence::at_index(index);
        Arrival { subscriber, sequence, arrived: 30, usable: 31, copies: 1 }
    }

    #[test]
    fn every_delivery_owed_has_a_row() {
        let ledger =
            Ledger::join(&EMISSIONS, 2, &[arrival(1, 0), arrival(0, 1)]).expect("they match");
        ledger.check().expect("sound");
        assert_eq!(ledger.sequence, [1, 1, 2, 2]);
        assert_eq!(ledger.subscriber, [0, 1, 0, 1]);
        assert_eq!(ledger.due, [10, 10, 20, 20]);
        assert_eq!(ledger.emitted, [12, 12, 21, 21]);
        assert_eq!(ledger.arrived, [None, Some(30), Some(30), None]);
        assert_eq!(ledger.usable, [None, Some(31), Some(31), None]);
        assert_eq!(ledger.copies, [0, 1, 1, 0]);
    }

    #[test]
    fn arrivals_that_nobody_sent_are_unexpected() {
        let sequence = Sequence::at_index(2);
        assert_eq!(
            Ledger::join(&EMISSIONS, 2, &[arrival(0, 2)]),
            Err(JoinError::NeverEmitted { subscriber: 0, sequence, emitted: 2 })
        );
        assert!(matches!(
            Ledger::join(&EMISSIONS, 2, &[arrival(2, 0)]),
            Err(JoinError::UnknownSubscriber { .. })
        ));
        assert!(Ledger::join(&EMISSIONS, 2, &[arrival(0, u64::MAX - 1)]).is_err());
    }

    #[test]
    fn a_delivery_is_reported_once_and_with_a_copy() {
        for arrivals in
            [vec![arrival(0, 0), arrival(0, 0)], vec![Arrival { copies: 0, ..arrival(0, 0) }]]
        {
            let joined = Ledger::join(&EMISSIONS, 1, &arrivals);
            assert!(matches!(joined, Err(JoinError::Miscounted { .. })), "{joined:?}");
        }
    }

    #[test]
    fn a_log_out_of_schedule_is_refused() {
        let backwards = [EMISSIONS[1], EMISSIONS[0]];
        assert!(matches!(Ledger::join(&backwards, 1, &[]), Err(JoinError::OutOfSchedule { .. })));
    }

    #[test]
    fn nothing_emitted_is_an_empty_ledger() {
        assert_eq!(Ledger::join(&[], 5, &[]), Ok(Ledger::default()));
    }
}
