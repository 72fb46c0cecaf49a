//! Two strategies event by event: side by side, both are offered the very same events.
//!
//! The arms run at once ("duet"), so what the machine does to one moment it does to both, and
//! the difference of an event's two latencies is free of it. But they compete for the machine,
//! so this is a cross-check beside the ratios over blocks and does not replace them.

use std::collections::BTreeMap;

use super::blocks::{Middle, middle};
use super::evidence::StrategyEvidence;
use super::summary::{Comparison, DifferenceInterval, Paired};

/// Stands for an event that some subscriber did not get.
const ABSENT: u64 = u64::MAX;

/// What an event took, for the events of one trial in order: the mean over its subscribers.
///
/// Only events that every subscriber got have one.
#[derive(Debug, Default)]
pub(crate) struct EventLatencies {
    /// The sequence number of the first event.
    first: u64,
    latencies: Vec<u64>,
    /// The event being filled: sum and number of its latencies.
    sum: u128,
    count: u64,
    complete: bool,
    current: Option<u64>,
}

impl EventLatencies {
    /// Notes what an event took at its next subscriber; events come in rising order.
    pub(crate) fn note(&mut self, sequence: u64, latency: Option<u64>) {
        if self.current != Some(sequence) {
            self.close();
            if self.latencies.is_empty() {
                self.first = sequence;
            }
            (self.current, self.complete) = (Some(sequence), true);
        }
        match latency {
            Some(latency) => {
                self.sum += u128::from(latency);
                self.count += 1;
            }
            None => self.complete = false,
        }
    }

    fn close(&mut self) {
        let Some(sequence) = self.current.take() else { return };
        let mean = self.sum.checked_div(u128::from(self.count));
        let mean = mean.filter(|_| self.complete).and_then(|mean| u64::try_from(mean).ok());
        // A ledger has a row of every event, so this adds one.
        let place = usize::try_from(sequence - self.first).unwrap_or(usize::MAX);
        if place >= self.latencies.len() {
            self.latencies.resize(place, ABSENT);
            self.latencies.push(mean.unwrap_or(ABSENT));
        }
        (self.sum, self.count) = (0, 0);
    }

    fn at(&self, sequence: u64) -> Option<u64> {
        let place = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.latencies.get(place).copied().filter(|latency| *latency != ABSENT)
    }
}

/// One block of a strategy beside the same block of the first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PairedBlock {
    /// Events that both brought to all their subscribers.
    pub(crate) events: u64,
    /// Of those, the ones the strategy was sooner with.
    pub(crate) sooner: u64,
    /// The median of its latency less that of the first, in nanoseconds.
    pub(crate) difference: i64,
    /// Quantiles of the differences, (percent of the events, difference) in rising order, of
    /// those with at least ten events on either side.
    pub(crate) quantiles: Vec<(u8, i64)>,
}

/// The first strategy's events of every trial, to pair those of the others with.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    trials: BTreeMap<u32, EventLatencies>,
    /// Whether the first strategy has been seen.
    filled: bool,
}

impl Pairing {
    /// Says that what follows belongs to the next strategy.
    pub(crate) fn next_strategy(&mut self) {
        self.filled = true;
    }

    /// Keeps the events of a trial of the first strategy; pairs those of any other with them.
    /// `None` for the first, and where the first was not measured in the same trial.
    pub(crate) fn meet(&mut self, trial: u32, mut events: EventLatencies) -> Option<PairedBlock> {
        events.close();
        if self.filled {
            return pair(self.trials.get(&trial)?, &events);
        }
        self.trials.insert(trial, events);
        None
    }
}

fn pair(baseline: &EventLatencies, events: &EventLatencies) -> Option<PairedBlock> {
    let mut differences = Vec::with_capacity(events.latencies.len());
    for (sequence, latency) in (events.first..).zip(&events.latencies) {
        if let Some(other) = baseline.at(sequence).filter(|_| *latency != ABSENT) {
            differences.push(signed(*latency) - signed(other));
        }
    }
    let middle = differences.len().checked_sub(1)? / 2;
    let sooner = differences.iter().filter(|difference| **difference < 0).count() as u64;
    let difference = *differences.select_nth_unstable(middle).1;
    let events = differences.len() as u64;
    Some(PairedBlock { events, sooner, difference, quantiles: quantiles(differences) })
}

/// Events that must lie on either side of a quantile.
const BEYOND: usize = 10;

/// Differences that quantiles are taken of, at most: more would say no more in a chart.
const MOST_DIFFERENCES: usize = 20_000;

/// Quantiles in steps of one per cent.
fn quantiles(mut differences: Vec<i64>) -> Vec<(u8, i64)> {
    let events = differences.len();
    let stride = events.div_ceil(MOST_DIFFERENCES).max(1);
    if stride > 1 {
        differences = differences.into_iter().step_by(stride).collect();
    }
    differences.sort_unstable();
    let supported = |percent: &u8| {
        let below = events * usize::from(*percent) / 100;
        below >= BEYOND && events - below >= BEYOND
    };
    // Nearest rank, as everywhere.
    let at = |percent: u8| (differences.len() * usize::from(percent)).div_ceil(100).max(1) - 1;
    (1..=99).filter(supported).map(|percent| (percent, differences[at(percent)])).collect()
}

/// The median over blocks of each block's own quantiles, of those that all blocks have.
pub(crate) fn differences(blocks: &[&PairedBlock]) -> Vec<(f64, i64)> {
    let of = |percent: u8| -> Option<(f64, i64)> {
        let values: Option<Vec<f64>> = blocks
            .iter()
            .map(|block| {
                let found = block.quantiles.iter().find(|(other, _)| *other == percent)?;
                Some(found.1 as f64)
            })
            .collect();
        Some((f64::from(percent) / 100.0, nearest(middle(&values?)?.median)))
    };
    (1..=99).filter_map(of).collect()
}

/// Latencies are far below three centuries.
fn signed(latency: u64) -> i64 {
    i64::try_from(latency).unwrap_or(i64::MAX / 2).min(i64::MAX / 2)
}

/// Every strategy of a point beside the first one, event by event; none where no trial held
/// both. `comparisons` are the same strategies block by block.
pub(crate) fn paired(strategies: &[StrategyEvidence], comparisons: &[Comparison]) -> Vec<Paired> {
    let Some((baseline, others)) = strategies.split_first() else { return Vec::new() };
    others.iter().filter_map(|other| beside(baseline, other, comparisons)).collect()
}

fn beside(
    baseline: &StrategyEvidence,
    other: &StrategyEvidence,
    comparisons: &[Comparison],
) -> Option<Paired> {
    let paired = other.blocks.iter().filter_map(|block| block.paired.as_ref());
    let blocks: Vec<&PairedBlock> = paired.collect();
    let differences: Vec<f64> = blocks.iter().map(|block| block.difference as f64).collect();
    let Middle { median, interval } = middle(&differences)?;
    let events: u64 = blocks.iter().map(|block| block.events).sum();
    let sooner: u64 = blocks.iter().map(|block| block.sooner).sum();
    let interval = interval.map(|(low, high, confidence)| DifferenceInterval {
        low: nearest(low),
        high: nearest(high),
        confidence,
    });
    let block_by_block = comparisons
        .iter()
        .find(|pair| pair.measure == "latency.p50" && pair.strategy == other.summary.name);
    let note = block_by_block.and_then(|pair| contradiction(interval.as_ref()?, pair));
    Some(Paired {
        strategy: other.summary.name.clone(),
        baseline: baseline.summary.name.clone(),
        blocks: u32::try_from(blocks.len()).unwrap_or(u32::MAX),
        events,
        difference: nearest(median),
        interval,
        sooner: sooner as f64 / events as f64,
        note,
    })
}

/// What to say if one interval has the strategy sooner and the other has it later.
fn contradiction(difference: &DifferenceInterval, ratio: &Comparison) -> Option<String> {
    let ratio = ratio.interval.as_ref()?;
    let sooner_but_longer = difference.high < 0 && ratio.low > 1.0;
    let later_but_shorter = difference.low > 0 && ratio.high < 1.0;
    (sooner_but_longer || later_but_shorter).then(|| {
        "event by event the difference points the other way than the ratio of the medians, \
         block by block: the strategies disturb each other, or one is late with few events by \
         much; see the curves, and measure with `layout = \"solo\"`"
            .to_owned()
    })
}

#[expect(clippy::cast_possible_truncation, reason = "latencies are far below three centuries")]
fn nearest(nanoseconds: f64) -> i64 {
    nanoseconds.round() as i64
}

#[cfg(test)]
mod tests {
    use super::{EventLatencies, PairedBlock, Pairing, differences, paired, quantiles};
    use crate::analysis::evidence::tests::evidence_of;
    use crate::analysis::ratios::comparisons;
    use crate::analysis::summary::{Paired, RatioInterval};
    use crate::record::sample::Sample;

    /// Events numbered from `first`, of one subscriber each.
    fn events(first: u64, latencies: &[Option<u64>]) -> EventLatencies {
        let mut events = EventLatencies::default();
        (first..).zip(latencies).for_each(|(sequence, latency)| events.note(sequence, *latency));
        events
    }

    fn meeting(baseline: EventLatencies, other: EventLatencies) -> Option<PairedBlock> {
        let mut pairing = Pairing::default();
        assert_eq!(pairing.meet(4, baseline), None);
        pairing.next_strategy();
        pairing.meet(4, other)
    }

    /// A block of too few events for quantiles.
    fn block(events: u64, sooner: u64, difference: i64) -> PairedBlock {
        PairedBlock { events, sooner, difference, quantiles: Vec::new() }
    }

    #[test]
    fn quantiles_of_differences_have_ten_events_on_either_side() {
        let found = quantiles((0..200).rev().collect());
        assert_eq!((found.first(), found.last()), (Some(&(5, 9)), Some(&(95, 189))));
        assert_eq!(found.len(), 91);
        // Every tenth of a great many gives the same.
        let many = quantiles((0..200_000).collect());
        assert_eq!(many.len(), 99);
        assert!(
            many.iter()
                .all(|(percent, value)| { (value - i64::from(*percent) * 2_000).abs() <= 20 })
        );
    }

    #[test]
    fn differences_are_the_median_over_blocks_of_what_all_of_them_support() {
        let of = |quantiles: &[(u8, i64)]| PairedBlock {
            quantiles: quantiles.to_vec(),
            ..block(100, 0, 0)
        };
        let blocks = [of(&[(49, -9), (50, 1)]), of(&[(50, 7), (51, 8)]), of(&[(50, 3)])];
        let found = differences(&blocks.iter().collect::<Vec<_>>());
        assert_eq!(found, [(0.5, 3)]);
        assert_eq!(differences(&[]), []);
    }

    #[test]
    fn events_are_compared_one_by_one() {
        let baseline = events(7, &[Some(100), Some(50), Some(30), Some(10)]);
        let other = events(7, &[Some(90), Some(20), Some(31), Some(10)]);
        // Differences of −10, −30, +1 and 0: the lower of the two in the middle.
        let expected = block(4, 2, -10);
        assert_eq!(meeting(baseline, other), Some(expected));
    }

    #[test]
    fn only_events_that_both_have_are_compared() {
        let baseline = events(1, &[Some(100), None, Some(30)]);
        let other = events(2, &[Some(1), Some(10), Some(5)]);
        let expected = block(1, 1, -20);
        assert_eq!(meeting(baseline, other), Some(expected));
        assert_eq!(meeting(events(1, &[Some(1)]), events(1, &[None])), None);
        assert_eq!(meeting(events(1, &[]), events(1, &[Some(4)])), None);
    }

    #[test]
    fn an_event_takes_the_mean_of_its_subscribers_and_counts_if_all_have_it() {
        let mut many = EventLatencies::default();
        for (sequence, latency) in [(1, Some(10)), (1, Some(40)), (2, None), (2, Some(9))] {
            many.note(sequence, latency);
        }
        let expected = block(1, 0, 5);
        assert_eq!(meeting(events(1, &[Some(20), Some(1)]), many), Some(expected));
    }

    #[test]
    fn another_trial_is_not_compared() {
        let mut pairing = Pairing::default();
        pairing.meet(4, events(1, &[Some(1)]));
        pairing.next_strategy();
        assert_eq!(pairing.meet(5, events(1, &[Some(1)])), None);
    }

    fn of_sample(blocks: u32, change: impl FnOnce(&mut crate::record::run::Run)) -> Vec<Paired> {
        let evidence = evidence_of(&Sample { blocks, ..Sample::default() }, change);
        let strategies = &evidence.points[0].strategies;
        paired(strategies, &comparisons(strategies))
    }

    #[test]
    fn a_webhook_is_sooner_with_nearly_every_event() {
        let found = of_sample(6, |_| ());
        let [webhook] = &found[..] else { panic!("one strategy beside the first") };
        assert_eq!((webhook.blocks, &*webhook.baseline), (6, "poll four times a second"));
        assert!(webhook.sooner > 0.99, "{webhook:?}");
        // A poll waits 125 ms in the median, give or take.
        assert!((-140_000_000..-110_000_000).contains(&webhook.difference), "{webhook:?}");
        let interval = webhook.interval.expect("six blocks");
        assert!(interval.low <= webhook.difference && webhook.difference <= interval.high);
        assert_eq!(webhook.note, None);
        assert!(webhook.events > 6 * 100);
    }

    #[test]
    fn solo_strategies_have_no_events_at_the_same_time() {
        assert_eq!(of_sample(2, |run| run.manifest.layout = "solo".to_owned()), []);
    }

    #[test]
    fn a_contradiction_of_the_ratios_is_said() {
        let evidence = evidence_of(&Sample { blocks: 6, ..Sample::default() }, |_| ());
        let strategies = &evidence.points[0].strategies;
        let mut ratios = comparisons(strategies);
        for (low, high, said) in [(1.1, 1.3, true), (0.9, 1.3, false), (0.5, 0.9, false)] {
            let interval = Some(RatioInterval { low, high, confidence: 0.98 });
            for ratio in &mut ratios {
                ratio.interval = interval;
            }
            assert_eq!(paired(strategies, &ratios)[0].note.is_some(), said, "{low} {high}");
        }
    }
}
