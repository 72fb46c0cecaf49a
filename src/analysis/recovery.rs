//! What an incident cost, and how soon all was well again, from one trial's ledger and from what
//! was counted over time.

use std::ops::Range;

use crate::counts::MOST_BINS;
use crate::incident::{Incident, Span};
use crate::record::ledger::Ledger;
use crate::record::trial::{EXCHANGE_BIN, Measured};
use crate::units::nanoseconds;

use super::figures::CourseOfTime;
use super::series::whole;
use super::summary::Recovery;

/// Points of a course over time.
const POINTS: u64 = 240;

/// Stretches of exchanges in a second.
const BINS_A_SECOND: usize = 10;

/// How long after an incident the rush of those who come back is looked for, in nanoseconds.
const RUSH: u64 = 10_000_000_000;

/// What one time of an incident came to in one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Endured {
    due: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    dead_lettered: Option<u64>,
    /// From its end until everything due before that and not lost was usable, in nanoseconds.
    consistent_after: u64,
    /// Mean age of the newest usable event, from its beginning until all was well again.
    age_mean: f64,
    age_max: u64,
    missing_max: u64,
    requests_before: Option<f64>,
    requests_peak: Option<f64>,
}

/// What every time of every incident came to in one trial, incident by incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BlockRecovery(Vec<Vec<Endured>>);

/// One subscriber's deliveries in the order of the log.
struct Deliveries {
    due: Vec<u64>,
    usable: Vec<Option<u64>>,
    copies: Vec<u32>,
    /// What was usable when, and the newest due moment among it; in order of time.
    known: Vec<(u64, u64)>,
}

impl Deliveries {
    /// Those of every subscriber.
    fn of(ledger: &Ledger, subscribers: u32) -> Vec<Deliveries> {
        let none = || Deliveries {
            due: Vec::new(),
            usable: Vec::new(),
            copies: Vec::new(),
            known: Vec::new(),
        };
        let mut all: Vec<Deliveries> = (0..subscribers).map(|_| none()).collect();
        for row in 0..ledger.rows() {
            let Some(one) = all.get_mut(ledger.subscriber[row] as usize) else { continue };
            one.due.push(ledger.due[row]);
            one.usable.push(ledger.usable[row]);
            one.copies.push(ledger.copies[row]);
        }
        for one in &mut all {
            let usable = one.usable.iter().zip(&one.due);
            one.known = usable.filter_map(|(usable, due)| Some(((*usable)?, *due))).collect();
            one.known.sort_unstable();
            let mut newest = 0;
            for (_, due) in &mut one.known {
                newest = newest.max(*due);
                *due = newest;
            }
        }
        all
    }

    /// The age of what is known at a moment.
    fn age(&self, moment: u64) -> u64 {
        let known = self.known.partition_point(|(usable, _)| *usable <= moment);
        let newest = known.checked_sub(1).map_or(0, |last| self.known[last].1);
        moment.saturating_sub(newest)
    }

    /// The greatest age within a span: just before something newer is usable, or at its end.
    fn age_max(&self, span: &Range<u64>) -> u64 {
        let first = self.known.partition_point(|(usable, _)| *usable < span.start);
        let before = first.checked_sub(1).map_or(0, |last| self.known[last].1);
        let mut newest = before;
        let mut oldest = 0;
        for (usable, due) in &self.known[first..] {
            if *usable > span.end {
                break;
            }
            oldest = oldest.max(usable.saturating_sub(newest));
            newest = *due;
        }
        oldest.max(span.end.saturating_sub(newest))
    }

    /// Events that were due at a moment and not usable.
    fn missing(&self, moment: u64) -> u64 {
        let due = self.due.partition_point(|due| *due <= moment);
        let usable = self.known.partition_point(|(usable, _)| *usable <= moment);
        due.saturating_sub(usable) as u64
    }

    /// Places of the events due in a span.
    fn within(&self, span: Span) -> Range<usize> {
        let before = |moment: u64| self.due.partition_point(|due| *due < moment);
        before(span.from)..before(span.until)
    }

    /// From the end of a span until everything due before it that ever came was usable.
    fn consistent_after(&self, span: Span) -> u64 {
        let before = self.within(span).end;
        let last = self.usable[..before].iter().flatten().max();
        last.map_or(0, |last| last.saturating_sub(span.until))
    }

    /// First copies of events due in a span that came after a later event.
    fn reordered(&self, span: Span) -> u64 {
        let within = self.within(span);
        let mut earliest = u64::MAX;
        let mut reordered = 0;
        for place in (within.start..self.due.len()).rev() {
            let Some(usable) = self.usable[place] else { continue };
            reordered += u64::from(within.contains(&place) && usable > earliest);
            earliest = earliest.min(usable);
        }
        reordered
    }
}

/// Follows a trial through its incidents.
pub(crate) fn recovery(
    ledger: &Ledger,
    measured: &Measured,
    incidents: &[Incident],
    subscribers: u32,
    end: u64,
) -> (BlockRecovery, CourseOfTime) {
    if incidents.is_empty() {
        return (BlockRecovery::default(), CourseOfTime::default());
    }
    let all = Deliveries::of(ledger, subscribers);
    let requests = requests(measured);
    let first = incidents.iter().map(|incident| nanoseconds(incident.at)).min().unwrap_or(0);
    let each = |(place, incident): (usize, &Incident)| {
        let given_up = measured.source.given_up.get(place);
        let time = |(time, span): (usize, Span)| {
            let dead_lettered = given_up.and_then(|times| times.get(time)).copied();
            Endured { dead_lettered, ..endured(&all, &requests, span, first) }
        };
        incident.spans().into_iter().enumerate().map(time).collect()
    };
    let each = incidents.iter().enumerate().map(each).collect();
    (BlockRecovery(each), course(&all, &requests, end))
}

fn endured(all: &[Deliveries], requests: &[u32], span: Span, first: u64) -> Endured {
    let sum = |of: &dyn Fn(&Deliveries) -> u64| all.iter().map(of).sum::<u64>();
    let consistent_after = all.iter().map(|one| one.consistent_after(span)).max().unwrap_or(0);
    let trouble = span.from..span.until.saturating_add(consistent_after);
    let ages = moments(&trouble);
    let age = |moment: u64| all.iter().map(move |one| one.age(moment));
    let number = (ages.len() * all.len()).max(1) as f64;
    Endured {
        due: sum(&|one| one.within(span).len() as u64),
        lost: sum(&|one| {
            one.usable[one.within(span)].iter().filter(|u| u.is_none()).count() as u64
        }),
        duplicated: sum(&|one| {
            one.copies[one.within(span)]
                .iter()
                .map(|copies| u64::from(copies.saturating_sub(1)))
                .sum()
        }),
        reordered: sum(&|one| one.reordered(span)),
        // The source's count.
        dead_lettered: None,
        consistent_after,
        age_mean: ages.iter().flat_map(|moment| age(*moment)).sum::<u64>() as f64 / number,
        age_max: all.iter().map(|one| one.age_max(&trouble)).max().unwrap_or(0),
        missing_max: ages
            .iter()
            .map(|moment| all.iter().map(|one| one.missing(*moment)).sum())
            .max()
            .unwrap_or(0),
        requests_before: before(requests, first),
        requests_peak: peak(requests, span.until),
    }
}

/// Moments spread evenly over a span.
fn moments(span: &Range<u64>) -> Vec<u64> {
    let length = span.end.saturating_sub(span.start).max(1);
    let steps = length.min(POINTS);
    (0..steps).map(|step| span.start + length / steps * step).collect()
}

fn course(all: &[Deliveries], requests: &[u32], end: u64) -> CourseOfTime {
    let at: Vec<u64> = (1..=POINTS).map(|point| end / POINTS * point).collect();
    let mean = |of: &dyn Fn(&Deliveries) -> u64| {
        all.iter().map(of).sum::<u64>() as f64 / all.len().max(1) as f64
    };
    CourseOfTime {
        age: at.iter().map(|moment| mean(&|one| one.age(*moment))).collect(),
        missing: at.iter().map(|moment| mean(&|one| one.missing(*moment))).collect(),
        requests: a_second(requests, &at),
        at,
    }
}

/// Exchanges a second before each of several points of time that are equally far apart.
fn a_second(requests: &[u32], at: &[u64]) -> Vec<f64> {
    let apart = at.first().map_or(0, |first| first.div_ceil(nanoseconds(EXCHANGE_BIN)));
    let apart = usize::try_from(apart).unwrap_or(usize::MAX).max(BINS_A_SECOND);
    let before = |moment: &u64| {
        let stretch = bin(*moment).saturating_sub(apart)..bin(*moment);
        // Counting ends with the last exchange.
        let counted = requests.get(stretch.start..).unwrap_or_default().iter().take(stretch.len());
        let sum: u64 = counted.map(|count| u64::from(*count)).sum();
        sum as f64 * BINS_A_SECOND as f64 / stretch.len().max(1) as f64
    };
    let known = at.iter().take_while(|moment| bin(**moment) <= MOST_BINS);
    if requests.is_empty() { Vec::new() } else { known.map(before).collect() }
}

/// Exchanges of each stretch, as the side counted them that saw more: nobody counts what was
/// refused at the door but who knocked.
fn requests(measured: &Measured) -> Vec<u32> {
    let (source, subscriber) = (&measured.source.over_time, &measured.subscriber.over_time);
    let at = |side: &[u32], place: usize| side.get(place).copied().unwrap_or(0);
    let length = source.len().max(subscriber.len());
    (0..length).map(|place| at(source, place).max(at(subscriber, place))).collect()
}

fn bin(moment: u64) -> usize {
    usize::try_from(moment / nanoseconds(EXCHANGE_BIN)).unwrap_or(usize::MAX)
}

/// Exchanges a second before anything went wrong.
fn before(requests: &[u32], first: u64) -> Option<f64> {
    let calm = requests.get(..bin(first)).filter(|calm| !calm.is_empty())?;
    let sum: u64 = calm.iter().map(|count| u64::from(*count)).sum();
    Some(sum as f64 * BINS_A_SECOND as f64 / calm.len() as f64)
}

/// The most exchanges of any second after the end of an incident.
fn peak(requests: &[u32], until: u64) -> Option<f64> {
    let after = requests.get(bin(until)..)?;
    let after = &after[..after.len().min(bin(RUSH))];
    let second = |stretches: &[u32]| stretches.iter().map(|count| u64::from(*count)).sum::<u64>();
    after.windows(BINS_A_SECOND).map(second).max().map(|most| most as f64)
}

/// What every incident came to over all blocks.
pub(crate) fn summarise(incidents: &[Incident], blocks: &[&BlockRecovery]) -> Vec<Recovery> {
    let one = |(place, incident): (usize, &Incident)| {
        let all: Vec<Endured> = blocks
            .iter()
            .filter_map(|block| block.0.get(place))
            .flat_map(|times| times.iter().copied())
            .collect();
        (!all.is_empty()).then(|| {
            let sum = |of: fn(&Endured) -> u64| all.iter().map(of).sum::<u64>();
            let most = |of: fn(&Endured) -> u64| all.iter().map(of).max().unwrap_or(0);
            let mut after: Vec<u64> = all.iter().map(|one| one.consistent_after).collect();
            after.sort_unstable();
            let mean = |of: &dyn Fn(&Endured) -> Option<f64>| {
                let known: Vec<f64> = all.iter().filter_map(of).collect();
                (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
            };
            Recovery {
                fault: incident.words(),
                at: nanoseconds(incident.at),
                lasts: nanoseconds(incident.lasts),
                times: all.len() as u64,
                due: sum(|one| one.due),
                lost: sum(|one| one.lost),
                duplicated: sum(|one| one.duplicated),
                reordered: sum(|one| one.reordered),
                dead_lettered: all
                    .iter()
                    .map(|one| one.dead_lettered)
                    .try_fold(0_u64, |sum, more| Some(sum.saturating_add(more?))),
                consistent_after_p50: after[(after.len() - 1) / 2],
                consistent_after_max: most(|one| one.consistent_after),
                age_mean: whole(mean(&|one| Some(one.age_mean)).unwrap_or(0.0)),
                age_max: most(|one| one.age_max),
                missing_max: most(|one| one.missing_max),
                requests_before: mean(&|one| one.requests_before),
                requests_peak: all.iter().filter_map(|one| one.requests_peak).reduce(f64::max),
            }
        })
    };
    incidents.iter().enumerate().filter_map(one).collect()
}

/// The mean of courses at the same points of time.
pub(crate) fn mean_course(blocks: &[&CourseOfTime]) -> CourseOfTime {
    let Some(first) = blocks.first() else { return CourseOfTime::default() };
    let mean = |of: fn(&CourseOfTime) -> &Vec<f64>| {
        let at =
            |place: usize| blocks.iter().filter_map(move |one| of(one).get(place)).sum::<f64>();
        (0..of(first).len()).map(|place| at(place) / blocks.len() as f64).collect()
    };
    CourseOfTime {
        at: first.at.clone(),
        age: mean(|one| &one.age),
        missing: mean(|one| &one.missing),
        requests: mean(|one| &one.requests),
    }
}

#[cfg(test)]
mod tests {
    use super::{Deliveries, a_second, endured, peak};
    use crate::incident::Span;
    use crate::record::ledger::Ledger;

    const SECOND: u64 = 1_000_000_000;

    /// Ten events, one a second; what is due from 3 s until 6 s comes at 8 s, but for one that is
    /// lost, and one of it comes twice.
    fn ledger() -> Ledger {
        let due: Vec<u64> = (0..10).map(|second| second * SECOND).collect();
        let usable = |due: &u64| match due / SECOND {
            4 => None,
            3 | 5 => Some(8 * SECOND),
            _ => Some(due + 1),
        };
        let usable: Vec<Option<u64>> = due.iter().map(usable).collect();
        Ledger {
            subscriber: vec![0; 10],
            sequence: (1..=10).collect(),
            emitted: due.clone(),
            arrived: usable.clone(),
            copies: [1, 1, 1, 2, 0, 1, 1, 1, 1, 1].to_vec(),
            due,
            usable,
        }
    }

    #[test]
    fn exchanges_are_those_of_the_second_before() {
        let mut requests = vec![1_u32; 100];
        requests[50..60].fill(7);
        let at: Vec<u64> = (1..=10).map(|second| second * SECOND).collect();
        let found = a_second(&requests, &at);
        assert_eq!(found, [10.0, 10.0, 10.0, 10.0, 10.0, 70.0, 10.0, 10.0, 10.0, 10.0]);
        // Points of time four seconds apart leave no exchange out.
        let at = [4 * SECOND, 8 * SECOND];
        let found = a_second(&requests, &at);
        assert!((found[1] - (3.0 * 10.0 + 70.0) / 4.0).abs() < 1.0, "{found:?}");
        assert!(a_second(&[], &at).is_empty());
        // Nothing happened after the first second, and nobody counts after ten minutes.
        assert_eq!(a_second(&[2; 10], &[SECOND, 2 * SECOND, 601 * SECOND]), [20.0, 0.0]);
    }

    #[test]
    fn an_incident_has_its_price() {
        let all = Deliveries::of(&ledger(), 1);
        let span = Span { from: 3 * SECOND, until: 6 * SECOND };
        // Ten exchanges a second, and twenty-five in the one that begins at 7 s.
        let mut requests = vec![1_u32; 100];
        requests[70..80].fill(2);
        requests[75] = 7;
        let found = endured(&all, &requests, span, span.from);
        assert_eq!((found.due, found.lost, found.duplicated, found.reordered), (3, 1, 1, 2));
        assert_eq!(found.consistent_after, 2 * SECOND);
        // From 2 s on nothing new is known until the event of 6 s.
        assert_eq!(found.age_max, 4 * SECOND + 1, "{found:?}");
        assert_eq!(found.missing_max, 3, "{found:?}");
        assert_eq!((found.requests_before, found.requests_peak), (Some(10.0), Some(25.0)));
        assert_eq!(peak(&requests, 1_000 * SECOND), None);
    }

    #[test]
    fn what_nobody_noticed_costs_nothing() {
        let all = Deliveries::of(&ledger(), 1);
        let calm = endured(&all, &[], Span { from: SECOND, until: 2 * SECOND }, SECOND);
        assert_eq!((calm.lost, calm.duplicated, calm.reordered), (0, 0, 0));
        assert_eq!(calm.consistent_after, 0);
        assert_eq!(calm.requests_before, None);
    }
}
