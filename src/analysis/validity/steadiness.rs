//! Checks of whether a strategy's latency held still, in a window and from trial to trial.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;

use super::limits::{DRIFT, DRIFT_CHANCE, DRIFT_CHANCE_FAIL, DRIFT_FLOOR, ORDER, ORDER_CHANCE};
use super::{CheckStatus, Finding, place, strategies, worst};
use crate::analysis::change::{Change, change};
use crate::analysis::evidence::{Evidence, PointEvidence, StrategyEvidence};
use crate::analysis::figures::PointFigures;
use crate::analysis::trend::{Trend, trend};
use crate::analysis::words;
use crate::schedule::{Arrivals, random_stream};

/// Latency must neither rise nor fall in the course of the window, over all blocks together.
pub(super) fn stationary(evidence: &Evidence) -> Finding {
    let tests = judged(evidence);
    let findings = strategies(evidence).map(|(point, strategy)| {
        let place = place(point, strategy);
        let Some(found) = trend(&courses(strategy)) else { return not_judged(&place, strategy) };
        let Trend { drift, level, p_value } = found;
        let direction = if drift > 0.0 { "rose" } else { "fell" };
        let message = format!(
            "{place}: latency {direction} by {} of its median from the beginning of the window to \
             its end, in all blocks together (p = {p_value:.1e}); its figures depend on how long \
             the window is",
            words::percent(drift.abs())
        );
        let status = status(drift.abs(), drift.abs() * level, p_value, tests);
        Finding::new(status, message).judging(drift.abs(), DRIFT.warn)
    });
    worst(findings, "no latency rose or fell in the course of the window")
}

/// The warm-up must be over before the window opens: latency must not change within it.
pub(super) fn warm_up(evidence: &Evidence) -> Finding {
    let tests = judged(evidence);
    let findings = strategies(evidence).map(|(point, strategy)| {
        let place = place(point, strategy);
        let Some(found) = change(&courses(strategy)) else { return not_judged(&place, strategy) };
        let at = settled_after(strategy, &found);
        let share = found.part as f64 / found.parts as f64;
        let (before, after) = (words::time(found.before), words::time(found.after));
        let advice = if share <= 0.5 {
            format!("make the warm-up longer by {}", words::time(at as f64))
        } else {
            "it had not settled in the first half of the window".to_owned()
        };
        let message = format!(
            "{place}: latency was {before} until {} into the window and {after} from then on, in \
             all blocks together (p = {:.1e}); {advice}",
            words::time(at as f64),
            found.p_value
        );
        let moved = (found.before - found.after).abs();
        let mut status = status(found.size().abs(), moved, found.p_value, tests);
        if share <= 0.5 {
            // What came after it is a window of its own, of which the figures mostly are.
            status = status.min(CheckStatus::Warn);
        }
        Finding::new(status, message).judging(found.size().abs(), DRIFT.warn)
    });
    worst(findings, "no latency changed once the warm-up was over")
}

/// Notes in the figures where a latency changed although the warm-up was over.
pub(crate) fn mark_unsettled(evidence: &Evidence, figures: &mut [PointFigures]) {
    let tests = judged(evidence);
    for (point, figures) in evidence.points.iter().zip(figures) {
        for (strategy, curves) in point.strategies.iter().zip(&mut figures.strategies) {
            curves.unsettled = change(&courses(strategy)).and_then(|found| {
                let moved = (found.before - found.after).abs();
                let status = status(found.size().abs(), moved, found.p_value, tests);
                let at = figures.warm_up + settled_after(strategy, &found);
                (status >= CheckStatus::Warn).then_some(at)
            });
        }
    }
}

/// Into the window, in nanoseconds.
fn settled_after(strategy: &StrategyEvidence, found: &Change) -> u64 {
    let part = strategy.blocks.iter().map(|block| block.course.part).max();
    part.unwrap_or(0) * found.part as u64
}

/// What a change of latency comes to: a share of the latency, nanoseconds, and their chance.
fn status(share: f64, nanoseconds: f64, p_value: f64, tests: f64) -> CheckStatus {
    let most = if p_value >= DRIFT_CHANCE / tests {
        CheckStatus::Pass
    } else if nanoseconds <= DRIFT_FLOOR {
        CheckStatus::Info
    } else if p_value >= DRIFT_CHANCE_FAIL / tests {
        CheckStatus::Warn
    } else {
        CheckStatus::Fail
    };
    let (status, _) = DRIFT.judge(share);
    status.min(most)
}

/// The parts of every block, if parts of the window can be compared at all: latency may follow
/// the events, so these must come alike all the time.
fn courses(strategy: &StrategyEvidence) -> Vec<&[Option<u64>]> {
    let blocks = strategy.blocks.iter().filter(|_| unvarying(strategy));
    blocks.map(|block| &block.course.medians[..]).filter(|medians| !medians.is_empty()).collect()
}

fn unvarying(strategy: &StrategyEvidence) -> bool {
    let beats =
        strategy.theory.as_ref().is_some_and(|theory| !theory.form().longest_wait().is_zero());
    let undisturbed = strategy.incidents.is_empty();
    strategy.blocks.first().filter(|_| undisturbed).is_some_and(|block| {
        match block.workload.arrivals {
            Arrivals::Poisson | Arrivals::Batch(_) | Arrivals::Lognormal(_) => true,
            // Evenly spaced events step through the beat, slowly if they are nearly locked to it.
            Arrivals::Constant => !beats,
            Arrivals::OnOff(_)
            | Arrivals::Diurnal(_)
            | Arrivals::Pareto(_)
            | Arrivals::Trace(_) => false,
        }
    })
}

/// Strategies of all points whose latency can be followed, at least one.
fn judged(evidence: &Evidence) -> f64 {
    let judged = strategies(evidence).filter(|(_, strategy)| !courses(strategy).is_empty());
    judged.count().max(1) as f64
}

fn not_judged(place: &str, strategy: &StrategyEvidence) -> Finding {
    let why = if strategy.blocks.is_empty() {
        "nothing was measured"
    } else if !strategy.incidents.is_empty() {
        "a fault of the scenario changes latency, as it is meant to"
    } else if !unvarying(strategy) {
        "events do not come alike all the time, and latency may follow them"
    } else if strategy.theory.is_none() {
        "without a closed form nobody knows what beat the latency follows"
    } else if strategy.blocks.iter().all(|block| block.recount.is_none()) {
        "too many rows for a ledger"
    } else {
        "too few events or beats in the window"
    };
    Finding::unavailable(format!("{place}: not judged: {why}"))
}

/// Orders of trials that are tried; the chance is told to a tenth of its limit.
const SHUFFLES: u32 = 999;

/// The seed of those orders: the same run is always judged alike.
const SHUFFLING: u64 = 0x0b5e_55ed;

/// Where the trials of a block run one after the other, a later one must not be slower for
/// being later. Their order is random, so all orders are as likely: as many are drawn again, and
/// the one that was run must not stand out among them (a permutation test).
pub(super) fn order_effect(evidence: &Evidence) -> Finding {
    let blocks: Vec<Vec<f64>> = evidence.points.iter().flat_map(in_order).collect();
    if blocks.is_empty() {
        return Finding::unavailable("not judged: no block has trials one after another");
    }
    let orders: f64 = blocks.iter().map(|block| log_factorial(block.len())).sum();
    if orders.exp() * ORDER_CHANCE < 4.0 {
        let few = "not judged: too few blocks or strategies for their order to stand out";
        return Finding::unavailable(few);
    }
    let found = by_place(&blocks);
    let mut random = random_stream(SHUFFLING, 0);
    let mut shuffled = blocks.clone();
    let mut as_great = 1;
    for _ in 0..SHUFFLES {
        for block in &mut shuffled {
            block.shuffle(&mut random);
        }
        as_great += u32::from(by_place(&shuffled).abs() >= found.abs() * (1.0 - 1e-12));
    }
    let p_value = f64::from(as_great) / f64::from(SHUFFLES + 1);
    let longest = blocks.iter().map(Vec::len).max().unwrap_or(1);
    let whole = (found * (longest - 1) as f64).exp_m1();
    let message = format!(
        "the last trial of a block was {} {} than the first, whatever strategy it was of (p = \
         {p_value:.4}); the order of trials is random, so no strategy is favoured, but the blocks \
         differ more than they should",
        words::percent(whole.abs()),
        if whole > 0.0 { "slower" } else { "quicker" }
    );
    let judged = if p_value < ORDER_CHANCE { whole.abs() } else { 0.0 };
    let finding = Finding::by(ORDER, judged, || message);
    worst([finding], "the place of a trial in its block makes no difference")
}

/// Each block's trials in the order they ran: the logarithm of latency against the strategy's
/// own median. Blocks of fewer than two trials are left out.
fn in_order(point: &PointEvidence) -> Vec<Vec<f64>> {
    let mut blocks: BTreeMap<u32, BTreeMap<u32, f64>> = BTreeMap::new();
    for strategy in &point.strategies {
        let of = |block: &crate::analysis::evidence::Block| {
            let latency = block.latency.p50.or(block.latency.mean)?;
            Some((block.number, block.trial, (latency as f64).max(1.0).ln()))
        };
        let found: Vec<(u32, u32, f64)> = strategy.blocks.iter().filter_map(of).collect();
        let logarithms: Vec<f64> = found.iter().map(|(_, _, latency)| *latency).collect();
        let usual = crate::analysis::blocks::middle(&logarithms).map_or(0.0, |all| all.median);
        for (block, trial, latency) in found {
            // Side by side, all strategies of a block are one trial.
            *blocks.entry(block).or_default().entry(trial).or_default() += latency - usual;
        }
    }
    let trials = blocks.into_values().map(|block| block.into_values().collect::<Vec<f64>>());
    trials.filter(|block| block.len() > 1).collect()
}

/// The slope of latency over the place in a block, over all blocks (least squares).
fn by_place(blocks: &[Vec<f64>]) -> f64 {
    let (mut product, mut square) = (0.0, 0.0);
    for block in blocks {
        let middle = (block.len() - 1) as f64 / 2.0;
        for (place, latency) in block.iter().enumerate() {
            let about = place as f64 - middle;
            product += about * latency;
            square += about * about;
        }
    }
    product / square
}

fn log_factorial(number: usize) -> f64 {
    (2..=number).map(|factor| (factor as f64).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::{mark_unsettled, order_effect, stationary, warm_up};
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::{evidence, evidence_of};
    use crate::analysis::figures::{PointFigures, StrategyFigures};
    use crate::analysis::series::whole;
    use crate::analysis::summary::CheckStatus;
    use crate::record::sample::Sample;
    use crate::schedule::{Arrivals, OnOff, random_stream};
    use rand::RngExt;

    const MS: f64 = 1e6;

    /// Ten blocks of the webhook, 40 parts each, about `level` ± 5 % times what `of` says of the
    /// part's place in the window.
    fn course(level: f64, of: impl Fn(f64) -> f64) -> Evidence {
        let mut evidence = evidence();
        let strategy = &mut evidence.points[0].strategies[1];
        let block = strategy.blocks[0].clone();
        strategy.blocks = (0..10)
            .map(|number| {
                let mut random = random_stream(17, number.into());
                let mut block = block.clone();
                let noise = (0..40).map(|_| 0.95 + 0.1 * random.random::<f64>());
                block.course.medians = (0_u32..)
                    .zip(noise)
                    .map(|(part, noise)| Some(whole(level * noise * of(f64::from(part) / 39.0))))
                    .collect();
                block.course.part = 200_000_000;
                (block.number, block.trial) = (number, number);
                block
            })
            .collect();
        evidence.points[0].strategies.remove(0);
        evidence
    }

    #[test]
    fn a_sound_run_holds_still() {
        for check in [stationary, warm_up] {
            let finding = check(&evidence());
            assert_eq!(finding.status, CheckStatus::Pass, "{}", finding.message);
        }
    }

    #[test]
    fn a_ramp_warns_above_five_percent_and_fails_above_twenty() {
        for (level, rise, expected) in [
            (5.0 * MS, 0.0, CheckStatus::Pass),
            (5.0 * MS, 0.03, CheckStatus::Pass),
            (5.0 * MS, 0.10, CheckStatus::Warn),
            (5.0 * MS, -0.10, CheckStatus::Warn),
            (5.0 * MS, 0.40, CheckStatus::Fail),
            // 150 µs more are nothing that moving threads is not.
            (MS, 0.15, CheckStatus::Info),
        ] {
            let finding = stationary(&course(level, |at| 1.0 + rise * at));
            assert_eq!(finding.status, expected, "{rise}: {}", finding.message);
        }
    }

    #[test]
    fn a_start_that_reaches_into_the_window_warns_and_says_by_how_much() {
        let slow = course(MS, |at| if at < 0.25 { 1.5 } else { 1.0 });
        let finding = warm_up(&slow);
        assert_eq!(finding.status, CheckStatus::Warn, "{}", finding.message);
        assert!(finding.message.contains("longer by 2.00 s"), "{}", finding.message);
        let never = course(MS, |at| if at < 0.75 { 1.5 } else { 1.0 });
        let finding = warm_up(&never);
        assert_eq!(finding.status, CheckStatus::Fail, "{}", finding.message);
        assert!(finding.message.contains("had not settled"), "{}", finding.message);
        let slight = course(MS, |at| if at < 0.25 { 1.03 } else { 1.0 });
        assert_eq!(warm_up(&slight).status, CheckStatus::Pass);
    }

    #[test]
    fn where_it_settled_is_marked_in_the_figures() {
        let marked = |evidence: &Evidence| {
            let curves =
                StrategyFigures { name: "webhook".to_owned(), ..StrategyFigures::default() };
            let mut figures = [PointFigures {
                parameters: evidence.points[0].parameters.clone(),
                warm_up: 1_000_000_000,
                end: 9_000_000_000,
                strategies: vec![curves],
            }];
            mark_unsettled(evidence, &mut figures);
            figures[0].strategies[0].unsettled
        };
        let slow = course(MS, |at| if at < 0.25 { 1.5 } else { 1.0 });
        assert_eq!(marked(&slow), Some(3_000_000_000));
        assert_eq!(marked(&course(MS, |_| 1.0)), None);
    }

    #[test]
    fn a_long_sweep_does_not_warn_for_being_long() {
        let one = course(5.0 * MS, |at| 1.0 + 0.06 * at);
        assert_eq!(stationary(&one).status, CheckStatus::Warn);
        let mut random = random_stream(3, 0);
        let mut many = course(MS, |_| 1.0);
        let point = many.points[0].clone();
        many.points = (0..100)
            .map(|_| {
                let mut point = point.clone();
                for block in &mut point.strategies[0].blocks {
                    let part = |_| Some(random.random_range(1_000_000..2_000_000));
                    block.course.medians = (0..40).map(part).collect();
                }
                point
            })
            .collect();
        for check in [stationary, warm_up] {
            let finding = check(&many);
            assert_eq!(finding.status, CheckStatus::Pass, "{}", finding.message);
        }
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        let mut bursts = evidence();
        for strategy in &mut bursts.points[0].strategies {
            for block in &mut strategy.blocks {
                block.workload.arrivals = Arrivals::OnOff(OnOff::default());
            }
        }
        let mut unknown = evidence();
        unknown.points[0].strategies[0].theory = None;
        unknown.points[0].strategies[0].blocks.iter_mut().for_each(|block| {
            block.course.medians.clear();
        });
        let whole = evidence_of(&Sample::default(), |run| {
            for record in &mut run.records {
                record.measured.as_mut().expect("measured").ledger = None;
            }
        });
        let few = evidence_of(&Sample { rates: vec![5], ..Sample::default() }, |_| ());
        let nothing = evidence_of(&Sample::default(), |run| run.records.clear());
        for (evidence, why) in [
            (bursts, "do not come alike"),
            (unknown, "without a closed form"),
            (whole, "too many rows"),
            (few, "too few events"),
            (nothing, "nothing was measured"),
        ] {
            for check in [stationary, warm_up] {
                let finding = check(&evidence);
                assert_eq!(finding.status, CheckStatus::Unavailable, "{why}");
                assert!(finding.message.contains(why), "{}", finding.message);
            }
        }
    }

    /// Blocks of two strategies, one after the other in random order, later ones slower by a
    /// share.
    fn solo(blocks: u32, slower: f64, seed: u64) -> Evidence {
        let mut evidence = evidence();
        let mut random = random_stream(seed, 0);
        for strategy in &mut evidence.points[0].strategies {
            let block = strategy.blocks[0].clone();
            strategy.blocks = (0..blocks)
                .map(|number| crate::analysis::evidence::Block { number, ..block.clone() })
                .collect();
        }
        for number in 0..blocks {
            let first = random.random_range(0..2);
            for (index, strategy) in evidence.points[0].strategies.iter_mut().enumerate() {
                let place = u32::from(index != first);
                let block = &mut strategy.blocks[number as usize];
                block.trial = number * 2 + place;
                let noise = 0.98 + 0.04 * random.random::<f64>();
                let usual = if index == 0 { 100.0 * MS } else { 0.2 * MS };
                let latency = usual * noise * (1.0 + slower * f64::from(place));
                block.latency.p50 = Some(whole(latency));
            }
        }
        evidence
    }

    #[test]
    fn a_machine_that_heats_up_is_seen_from_the_order_of_trials() {
        assert_eq!(order_effect(&solo(10, 0.0, 1)).status, CheckStatus::Pass);
        let finding = order_effect(&solo(10, 0.10, 1));
        assert_eq!(finding.status, CheckStatus::Warn, "{}", finding.message);
        assert!(finding.message.contains("% slower"), "{}", finding.message);
        assert_eq!(order_effect(&solo(40, 0.02, 1)).status, CheckStatus::Info);
        assert_eq!(order_effect(&solo(10, 0.10, 1)), order_effect(&solo(10, 0.10, 1)));
    }

    #[test]
    fn an_order_cannot_stand_out_among_few_nor_side_by_side() {
        let finding = order_effect(&solo(8, 0.5, 1));
        assert_eq!(finding.status, CheckStatus::Unavailable);
        assert!(finding.message.contains("too few"), "{}", finding.message);
        let finding = order_effect(&evidence());
        assert!(finding.message.contains("one after another"), "{}", finding.message);
    }

    #[test]
    fn order_makes_a_difference_as_seldom_as_chance_has_it() {
        let found = |seed: &u64| order_effect(&solo(10, 0.0, *seed)).status != CheckStatus::Pass;
        let alarms = (0..100).filter(found).count();
        // One is expected.
        assert!(alarms <= 5, "{alarms}");
    }
}
