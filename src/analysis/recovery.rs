//! What an incident cost, and how soon all was well again, from one trial's ledger and from what
//! was counted over time.

use std::ops::Range;

use crate::counts::MOST_BINS;
use crate::incident::{Incident, Span};
use crate::record::ledger::Ledger;
use crate::record::trial::{EXCHANGE_BIN, Measured, StrategyRecord};
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
    lost_after: u64,
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
#[derive(Default)]
struct Deliveries {
    due: Vec<u64>,
    usable: Vec<Option<u64>>,
    copies: Vec<u32>,
    /// When each was usable, or a later one that replaces it, if that was earlier and one may.
    settled: Vec<Option<u64>>,
    /// The moments of `settled` in order.
    settlings: Vec<u64>,
    /// What was usable when, and the newest due moment among it; in order of time.
    known: Vec<(u64, u64)>,
}

impl Deliveries {
    /// Those of every subscriber; `coalesces` says whether a later event replaces an earlier one.
    fn of(ledger: &Ledger, subscribers: u32, coalesces: bool) -> Vec<Deliveries> {
        let mut all: Vec<Deliveries> = (0..subscribers).map(|_| Deliveries::default()).collect();
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
            one.settled.clone_from(&one.usable);
            if coalesces {
                let mut earliest = None;
                for usable in one.settled.iter_mut().rev() {
                    earliest = earliest.into_iter().chain(*usable).min();
                    *usable = earliest;
                }
            }
            one.settlings = one.settled.iter().flatten().copied().collect();
            one.settlings.sort_unstable();
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

    /// Events that were due at a moment, and neither usable nor replaced.
    fn missing(&self, moment: u64) -> u64 {
        let due = self.due.partition_point(|due| *due <= moment);
        let settled = self.settlings.partition_point(|settled| *settled <= moment);
        due.saturating_sub(settled) as u64
    }

    /// Places of the events due from one moment until another.
    fn within(&self, span: &Range<u64>) -> Range<usize> {
        let before = |moment: u64| self.due.partition_point(|due| *due < moment);
        let first = before(span.start);
        first..before(span.end).max(first)
    }

    /// Events due in a span of which nothing came, nor anything that replaces them.
    fn lost(&self, span: &Range<u64>) -> u64 {
        self.settled[self.within(span)].iter().filter(|settled| settled.is_none()).count() as u64
    }

    /// From the end of an incident until everything due before it that ever came was usable.
    fn consistent_after(&self, until: u64) -> u64 {
        let before = self.within(&(0..until)).end;
        let last = self.settled[..before].iter().flatten().max();
        last.map_or(0, |last| last.saturating_sub(until))
    }

    /// When something due behind the end of an incident was usable first; `end` if it never was,
    /// and the end of the incident if nothing was due.
    fn flowing_again(&self, until: u64, end: u64) -> u64 {
        let behind = self.within(&(until..u64::MAX));
        let none = if behind.is_empty() { until } else { end };
        self.usable[behind].iter().flatten().min().copied().unwrap_or(none).max(until)
    }

    /// First copies of events due in a span that came after a later event.
    fn reordered(&self, span: &Range<u64>) -> u64 {
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

/// Exchanges of each stretch of time, as either side counted them.
///
/// Nobody counts what was refused at the door but who knocked, so of any time the greater count is
/// taken: of all of it, since one side sees the same exchange a way of the path later.
#[derive(Clone, Copy, Debug)]
struct Requests<'a>([&'a [u32]; 2]);

impl Requests<'_> {
    /// Whether exchanges were counted over time.
    fn are_known(&self) -> bool {
        self.0.iter().any(|side| !side.is_empty())
    }

    /// Those of some stretches; counting ends with the last exchange.
    fn within(&self, stretches: &Range<usize>) -> u64 {
        let sum = |side: &&[u32]| -> u64 {
            let counted = side.get(stretches.start..).unwrap_or_default();
            counted.iter().take(stretches.len()).map(|count| u64::from(*count)).sum()
        };
        self.0.iter().map(sum).max().unwrap_or(0)
    }

    /// Those of some stretches, a second.
    fn a_second(&self, stretches: &Range<usize>) -> f64 {
        self.within(stretches) as f64 * BINS_A_SECOND as f64 / stretches.len().max(1) as f64
    }

    /// Exchanges a second before anything went wrong.
    fn before(&self, first: u64) -> Option<f64> {
        let calm = 0..bin(first).min(MOST_BINS);
        (self.are_known() && !calm.is_empty()).then(|| self.a_second(&calm))
    }

    /// The most exchanges of any second from the end of an incident on, until the next begins.
    fn peak(&self, until: u64, next: u64) -> Option<f64> {
        let ends = next.min(until.saturating_add(RUSH));
        let after = bin(until.saturating_add(nanoseconds(EXCHANGE_BIN) - 1))..bin(ends);
        let seconds = after.end.min(MOST_BINS).saturating_sub(after.start + BINS_A_SECOND - 1);
        let second = |start| self.within(&(start..start + BINS_A_SECOND));
        let most = (after.start..after.start + seconds).map(second).max()?;
        self.are_known().then_some(most as f64)
    }
}

/// What is known of a trial that goes through incidents.
struct Trial<'a> {
    all: Vec<Deliveries>,
    requests: Requests<'a>,
    /// When incidents begin, in order.
    begins: Vec<u64>,
    /// When the window ends.
    end: u64,
}

/// Follows a trial through its incidents.
pub(crate) fn recovery(
    ledger: &Ledger,
    measured: &Measured,
    strategy: &StrategyRecord,
    end: u64,
) -> (BlockRecovery, CourseOfTime) {
    let StrategyRecord { incidents, subscribers, promise, .. } = strategy;
    if incidents.is_empty() {
        return (BlockRecovery::default(), CourseOfTime::default());
    }
    let mut begins: Vec<u64> =
        incidents.iter().flat_map(Incident::spans).map(|span| span.from).collect();
    begins.sort_unstable();
    let trial = Trial {
        all: Deliveries::of(ledger, *subscribers, promise.coalesces),
        requests: Requests([&measured.source.over_time, &measured.subscriber.over_time]),
        begins,
        end,
    };
    let each = |(place, incident): (usize, &Incident)| {
        let given_up = measured.source.given_up.get(place);
        let time = |(time, span): (usize, Span)| {
            let dead_lettered = given_up.and_then(|times| times.get(time)).copied();
            Endured { dead_lettered, ..trial.endured(span) }
        };
        incident.spans().into_iter().enumerate().map(time).collect()
    };
    let each = incidents.iter().enumerate().map(each).collect();
    (BlockRecovery(each), trial.course())
}

impl Trial<'_> {
    fn endured(&self, span: Span) -> Endured {
        let all = &self.all;
        let sum = |of: &dyn Fn(&Deliveries) -> u64| all.iter().map(of).sum::<u64>();
        let most = |of: &dyn Fn(&Deliveries) -> u64| all.iter().map(of).max().unwrap_or(0);
        let during = span.from..span.until;
        let next = self.begins.iter().copied().find(|begin| *begin >= span.until);
        let next = next.unwrap_or(u64::MAX);
        let consistent_after = most(&|one| one.consistent_after(span.until));
        let flowing = most(&|one| one.flowing_again(span.until, self.end));
        let trouble = span.from..span.until.saturating_add(consistent_after).max(flowing);
        let ages = moments(&trouble);
        let age = |moment: u64| all.iter().map(move |one| one.age(moment));
        let number = (ages.len() * all.len()).max(1) as f64;
        Endured {
            due: sum(&|one| one.within(&during).len() as u64),
            lost: sum(&|one| one.lost(&during)),
            lost_after: sum(&|one| {
                one.lost(&(span.until..one.flowing_again(span.until, self.end).min(next)))
            }),
            duplicated: sum(&|one| {
                let copies = one.copies[one.within(&during)].iter();
                copies.map(|copies| u64::from(copies.saturating_sub(1))).sum()
            }),
            reordered: sum(&|one| one.reordered(&during)),
            // The source's count.
            dead_lettered: None,
            consistent_after,
            age_mean: ages.iter().flat_map(|moment| age(*moment)).sum::<u64>() as f64 / number,
            age_max: most(&|one| one.age_max(&trouble)),
            missing_max: ages
                .iter()
                .map(|moment| all.iter().map(|one| one.missing(*moment)).sum())
                .max()
                .unwrap_or(0),
            requests_before: self.requests.before(self.begins[0]),
            requests_peak: self.requests.peak(span.until, next),
        }
    }

    fn course(&self) -> CourseOfTime {
        let at: Vec<u64> = (1..=POINTS).map(|point| self.end / POINTS * point).collect();
        let mean = |of: &dyn Fn(&Deliveries) -> u64| {
            self.all.iter().map(of).sum::<u64>() as f64 / self.all.len().max(1) as f64
        };
        CourseOfTime {
            age: at.iter().map(|moment| mean(&|one| one.age(*moment))).collect(),
            missing: at.iter().map(|moment| mean(&|one| one.missing(*moment))).collect(),
            requests: a_second(self.requests, &at),
            at,
        }
    }
}

/// Moments spread evenly over a span.
fn moments(span: &Range<u64>) -> Vec<u64> {
    let length = span.end.saturating_sub(span.start).max(1);
    let steps = length.min(POINTS);
    (0..steps).map(|step| span.start + length / steps * step).collect()
}

/// Exchanges a second before each of several points of time that are equally far apart.
fn a_second(requests: Requests<'_>, at: &[u64]) -> Vec<f64> {
    if !requests.are_known() {
        return Vec::new();
    }
    let apart = at.first().map_or(0, |first| first.div_ceil(nanoseconds(EXCHANGE_BIN)));
    let apart = usize::try_from(apart).unwrap_or(usize::MAX).max(BINS_A_SECOND);
    let before =
        |moment: &u64| requests.a_second(&(bin(*moment).saturating_sub(apart)..bin(*moment)));
    at.iter().take_while(|moment| bin(**moment) <= MOST_BINS).map(before).collect()
}

fn bin(moment: u64) -> usize {
    usize::try_from(moment / nanoseconds(EXCHANGE_BIN)).unwrap_or(usize::MAX)
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
                lost_after: sum(|one| one.lost_after),
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
    use super::{Deliveries, Endured, Requests, Trial, a_second};
    use crate::incident::Span;
    use crate::record::ledger::Ledger;

    const SECOND: u64 = 1_000_000_000;

    /// Ten events, one a second, which are usable when `usable` says.
    fn ledger(usable: impl Fn(u64) -> Option<u64>) -> Ledger {
        let due: Vec<u64> = (0..10).map(|second| second * SECOND).collect();
        let usable: Vec<Option<u64>> = (0..10).map(usable).collect();
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

    /// What is due from 3 s until 6 s comes at 8 s, but for one that is lost.
    fn held_up(second: u64) -> Option<u64> {
        match second {
            4 => None,
            3 | 5 => Some(8 * SECOND),
            _ => Some(second * SECOND + 1),
        }
    }

    /// An incident from 3 s until 6 s, and another one at 9 s.
    fn endured(ledger: &Ledger, coalesces: bool, requests: [&[u32]; 2]) -> Endured {
        let trial = Trial {
            all: Deliveries::of(ledger, 1, coalesces),
            requests: Requests(requests),
            begins: vec![3 * SECOND, 9 * SECOND],
            end: 10 * SECOND,
        };
        trial.endured(Span { from: 3 * SECOND, until: 6 * SECOND })
    }

    #[test]
    fn exchanges_are_those_of_the_second_before() {
        let mut requests = vec![1_u32; 100];
        requests[50..60].fill(7);
        let at: Vec<u64> = (1..=10).map(|second| second * SECOND).collect();
        let found = a_second(Requests([&requests, &[]]), &at);
        assert_eq!(found, [10.0, 10.0, 10.0, 10.0, 10.0, 70.0, 10.0, 10.0, 10.0, 10.0]);
        // Points of time four seconds apart leave no exchange out.
        let at = [4 * SECOND, 8 * SECOND];
        let found = a_second(Requests([&requests, &[]]), &at);
        assert!((found[1] - (3.0 * 10.0 + 70.0) / 4.0).abs() < 1.0, "{found:?}");
        assert!(a_second(Requests([&[], &[]]), &at).is_empty());
        // Nothing happened after the first second, and nobody counts after ten minutes.
        let found = a_second(Requests([&[2; 10], &[]]), &[SECOND, 2 * SECOND, 601 * SECOND]);
        assert_eq!(found, [20.0, 0.0]);
    }

    #[test]
    fn an_exchange_that_either_side_sees_at_another_moment_is_one() {
        // Once a second, which the subscriber counts a stretch later.
        let source: Vec<u32> = (0..60).map(|stretch| u32::from(stretch % 10 == 4)).collect();
        let subscriber: Vec<u32> = (0..60).map(|stretch| u32::from(stretch % 10 == 5)).collect();
        let found = endured(&ledger(held_up), false, [&source, &subscriber]);
        assert_eq!(found.requests_before, Some(1.0));
        let at: Vec<u64> = (1..=6).map(|second| second * SECOND).collect();
        assert_eq!(a_second(Requests([&source, &subscriber]), &at), [1.0; 6]);
        // Nothing follows, which is known.
        assert_eq!(found.requests_peak, Some(0.0));
    }

    #[test]
    fn an_incident_has_its_price() {
        // Ten exchanges a second, twenty-five in the one that begins at 7 s, and a hundred in the
        // first of the next incident.
        let mut requests = vec![1_u32; 100];
        requests[70..80].fill(2);
        requests[75] = 7;
        requests[91] = 100;
        let found = endured(&ledger(held_up), false, [&requests, &[]]);
        assert_eq!((found.due, found.lost, found.duplicated, found.reordered), (3, 1, 1, 2));
        assert_eq!((found.consistent_after, found.lost_after), (2 * SECOND, 0));
        // From 2 s on nothing new is known until the event of 6 s.
        assert_eq!(found.age_max, 4 * SECOND + 1, "{found:?}");
        assert_eq!(found.missing_max, 3, "{found:?}");
        assert_eq!((found.requests_before, found.requests_peak), (Some(10.0), Some(25.0)));
    }

    #[test]
    fn whoever_comes_back_later_loses_more_and_knows_less() {
        // Nothing that is due from 3 s until 8 s ever comes.
        let silent = |second| (!(3..8).contains(&second)).then_some(second * SECOND + 1);
        let found = endured(&ledger(silent), false, [&[], &[]]);
        assert_eq!((found.due, found.lost, found.lost_after), (3, 3, 2));
        assert_eq!(found.consistent_after, 0);
        // Until the event of 8 s, the newest is that of 2 s.
        assert_eq!(found.age_max, 6 * SECOND + 1);
        // What is lost behind the next incident's beginning is that one's.
        let silent = |second| (second < 3).then_some(second * SECOND + 1);
        let found = endured(&ledger(silent), false, [&[], &[]]);
        assert_eq!((found.lost, found.lost_after, found.age_max), (3, 3, 8 * SECOND));
    }

    #[test]
    fn what_a_later_state_replaces_is_not_lost() {
        // A snapshot at 7.5 s holds the event of 7 s, which replaces those before it.
        let snapshot = |second| match second {
            3..7 => None,
            7 => Some(7 * SECOND + SECOND / 2),
            _ => Some(second * SECOND + 1),
        };
        let found = endured(&ledger(snapshot), true, [&[], &[]]);
        assert_eq!((found.due, found.lost, found.lost_after), (3, 0, 0));
        assert_eq!(found.consistent_after, SECOND * 3 / 2);
        assert_eq!(found.age_max, 5 * SECOND + SECOND / 2);
        // Those of 3, 4, 5, 6 and 7 s, and none of them a moment later.
        assert_eq!(found.missing_max, 5);
        let found = endured(&ledger(snapshot), false, [&[], &[]]);
        assert_eq!((found.lost, found.lost_after), (3, 1));
    }

    #[test]
    fn what_nobody_noticed_costs_nothing() {
        let found = endured(&ledger(|second| Some(second * SECOND + 1)), false, [&[], &[]]);
        assert_eq!((found.lost, found.lost_after, found.reordered), (0, 0, 0));
        assert_eq!((found.consistent_after, found.age_max), (0, SECOND + 1));
        assert_eq!((found.requests_before, found.requests_peak), (None, None));
    }
}
