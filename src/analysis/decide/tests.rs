use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};

use super::{Judge, is_sure};
use crate::aim::{Aims, Objective};
use crate::analysis::evidence::tests::evidence_of;
use crate::analysis::evidence::{Evidence, StrategyEvidence};
use crate::analysis::summary::{ChoiceStatus, Decision, Difference, Judgement, PointDecision};
use crate::record::manifest::Manifest;
use crate::record::noise_floor::NoiseFloor;
use crate::record::sample::Sample;

fn aims(require: &[&str], minimise: Option<&str>) -> Aims {
    let objective = Objective {
        require: require.iter().map(|text| text.parse().expect(text)).collect(),
        minimise: minimise.map(|name| name.parse().expect(name)),
        search: None,
    };
    Aims { objective: Some(objective), ..Aims::default() }
}

fn decided(evidence: &Evidence, aims: &Aims, floor: Option<&NoiseFloor>) -> Decision {
    let judge = Judge::of(aims, floor, true).expect("an objective");
    judge.decide(evidence, &[], 0)
}

fn at_one_point(blocks: u32, aims: &Aims) -> PointDecision {
    let evidence = evidence_of(&Sample { blocks, ..Sample::default() }, |_| ());
    decided(&evidence, aims, None).points.remove(0)
}

/// Strategies that have these requests and latencies, in thousandths of an event and in
/// microseconds, a row a strategy and a pair a block.
fn made(strategies: &[Vec<(u64, u64)>]) -> Evidence {
    let blocks = u32::try_from(strategies[0].len()).expect("few");
    let sample = Sample { blocks, mechanisms: vec!["webhook"], ..Sample::default() };
    let mut evidence = evidence_of(&sample, |_| ());
    let template = evidence.points[0].strategies.remove(0);
    for (place, values) in strategies.iter().enumerate() {
        let mut strategy: StrategyEvidence = template.clone();
        strategy.summary.name = format!("s{place}");
        for (block, (requests, latency)) in strategy.blocks.iter_mut().zip(values) {
            block.measured.events.delivered = 1_000;
            block.measured.source.window = crate::counts::Counts::default();
            block.measured.source.window.useful = *requests;
            block.latency.p50 = Some(latency * 1_000);
        }
        evidence.points[0].strategies.push(strategy);
    }
    evidence
}

/// The same figures in every block, one thousandth apart so that blocks differ.
fn steady(blocks: u64, requests: u64, latency: u64) -> Vec<(u64, u64)> {
    (0..blocks).map(|block| (requests + block % 2, latency + block % 2)).collect()
}

#[test]
fn the_least_of_those_that_keep_what_is_required_is_chosen() {
    let one = at_one_point(8, &aims(&["latency.p50 < 1s", "loss = 0"], Some("requests.per_event")));
    let choice = &one.choice;
    assert_eq!(choice.status, ChoiceStatus::Chosen, "{choice:?}");
    // Four polls a second for twenty events.
    assert_eq!(choice.strategy.as_deref(), Some("poll four times a second"));
    let [over] = &choice.advantages[..] else { panic!("one other") };
    assert_eq!((&*over.over, over.difference), ("webhook", Difference::Larger));
    let [low, high] = over.ratio_ci95.expect("eight blocks");
    assert!(0.15 < low && high < 0.27, "{over:?}");
    assert!(over.saving > 0.7 && over.saving_ci95.is_some());
    assert!(choice.sentence.starts_with("`poll four times a second` keeps all that is required"));
    assert!(one.strategies.iter().all(|standing| standing.status == Judgement::Met));
}

#[test]
fn the_least_is_not_chosen_if_it_misses_what_is_required() {
    let one = at_one_point(8, &aims(&["latency.p50 < 50ms"], Some("requests.per_event")));
    assert_eq!(one.choice.status, ChoiceStatus::Chosen);
    assert_eq!(one.choice.strategy.as_deref(), Some("webhook"));
    assert_eq!(one.choice.advantages, []);
    let said = &one.choice.sentence;
    assert!(said.starts_with("Only `webhook` keeps what is required"), "{said}");
    assert!(said.contains("`poll four times a second` misses `latency.p50 < 50ms` with"), "{said}");
    assert_eq!(one.strategies[0].status, Judgement::Missed);
}

#[test]
fn where_none_keeps_what_is_required_none_is_chosen() {
    let one = at_one_point(8, &aims(&["latency.p50 < 1us"], Some("requests.per_event")));
    assert_eq!((one.choice.status, one.choice.strategy), (ChoiceStatus::NoneMeets, None));
    assert!(one.choice.sentence.starts_with("No strategy keeps what is required; `poll"));
}

#[test]
fn few_blocks_decide_nothing() {
    let one = at_one_point(3, &aims(&["latency.p50 < 1s"], Some("requests.per_event")));
    assert_eq!((one.choice.status, one.choice.strategy), (ChoiceStatus::Undecided, None));
    assert!(one.choice.sentence.contains("3 blocks are too few"), "{}", one.choice.sentence);
    let one = at_one_point(3, &aims(&[], Some("requests.per_event")));
    assert_eq!(one.choice.status, ChoiceStatus::Undecided);
    assert!(one.choice.strategy.is_some());
    assert!(one.choice.sentence.contains("came out with the least"), "{}", one.choice.sentence);
}

#[test]
fn an_invalid_run_decides_nothing() {
    let evidence = evidence_of(&Sample { blocks: 8, ..Sample::default() }, |_| ());
    let aims = aims(&[], Some("requests.per_event"));
    let judge = Judge::of(&aims, None, false).expect("an objective");
    let decision = judge.decide(&evidence, &[], 0);
    assert_eq!(decision.points[0].choice.status, ChoiceStatus::Withheld);
    assert_eq!(decision.points[0].choice.strategy, None);
    assert!(decision.sentence.contains("the run is invalid"));
}

#[test]
fn equals_are_tied() {
    let alike = made(&[steady(8, 500, 10), steady(8, 500, 20)]);
    let choice = decided(&alike, &aims(&[], Some("requests.per_event")), None).points.remove(0);
    assert_eq!(choice.choice.status, ChoiceStatus::Tied);
    assert_eq!(choice.choice.cannot_be_told_from, ["s1"]);
    assert!(choice.choice.sentence.contains("no measurable difference"));
}

#[test]
fn a_difference_within_the_noise_of_the_machine_is_none() {
    let near = made(&[steady(8, 500, 10), steady(8, 520, 20)]);
    let aims = aims(&[], Some("requests.per_event"));
    let status = |floor: Option<&NoiseFloor>| decided(&near, &aims, floor).points[0].choice.status;
    assert_eq!(status(None), ChoiceStatus::Chosen);
    let floor = |factor| NoiseFloor {
        factors: BTreeMap::from([("requests.per_event".to_owned(), factor)]),
        ..noise_floor()
    };
    assert_eq!(status(Some(&floor(1.10))), ChoiceStatus::Tied);
    assert_eq!(status(Some(&floor(1.01))), ChoiceStatus::Chosen);
}

fn noise_floor() -> NoiseFloor {
    let manifest = Manifest::default();
    NoiseFloor {
        run_id: String::new(),
        measured: manifest.started,
        arrangement: manifest.arrangement(),
        mechanism: "webhook".to_owned(),
        blocks: 8,
        factors: BTreeMap::new(),
    }
}

#[test]
fn an_open_requirement_of_a_cheaper_strategy_leaves_it_open() {
    // The cheaper one has latencies to both sides of the limit.
    let mut cheap = steady(8, 100, 900);
    for (block, (_, latency)) in cheap.iter_mut().enumerate() {
        *latency = if block % 2 == 0 { 900 } else { 1_100 };
    }
    let evidence = made(&[steady(8, 500, 10), cheap.clone()]);
    let wanted = aims(&["latency.p50 < 1ms"], Some("requests.per_event"));
    let one = decided(&evidence, &wanted, None).points.remove(0);
    assert_eq!(one.strategies[1].status, Judgement::Undecided);
    assert_eq!(one.choice.status, ChoiceStatus::Undecided);
    assert_eq!(one.choice.strategy.as_deref(), Some("s0"));
    assert_eq!(one.choice.may_be_better, ["s1"]);
    // If it is dearer, it does not matter.
    let dearer = cheap.into_iter().map(|(_, latency)| (900, latency)).collect();
    let evidence = made(&[steady(8, 500, 10), dearer]);
    let one = decided(&evidence, &wanted, None).points.remove(0);
    assert_eq!(one.choice.status, ChoiceStatus::Chosen, "{:?}", one.choice);
}

#[test]
fn a_strategy_without_requests_beats_one_with_them() {
    let evidence = made(&[vec![(0, 10); 8], steady(8, 500, 10)]);
    let one = decided(&evidence, &aims(&[], Some("requests.per_event")), None).points.remove(0);
    assert_eq!(one.choice.status, ChoiceStatus::Chosen);
    assert_eq!(one.choice.advantages[0].ratio, Some(0.0));
}

#[test]
fn without_a_measure_to_minimise_only_a_single_one_is_chosen() {
    let both = at_one_point(8, &aims(&["loss = 0"], None));
    assert_eq!((both.choice.status, both.choice.strategy), (ChoiceStatus::Tied, None));
    let only = at_one_point(8, &aims(&["latency.p50 < 50ms"], None));
    assert_eq!(only.choice.status, ChoiceStatus::Chosen);
    assert_eq!(only.choice.strategy.as_deref(), Some("webhook"));
}

fn strategies() -> impl Strategy<Value = Vec<Vec<(u64, u64)>>> {
    let blocks = prop_oneof![Just(3_usize), Just(6), Just(8), Just(12)];
    blocks.prop_flat_map(|blocks| {
        prop::collection::vec(prop::collection::vec((0_u64..40, 1_u64..40), blocks), 1..5)
    })
}

proptest! {
    /// Whatever was measured: no choice misses a requirement or leaves it open, what is open
    /// stays open, and a choice is better than all that keep, or may keep, what is required.
    #[test]
    fn no_choice_claims_more_than_its_intervals(figures in strategies(), limit in 1_u64..40) {
        let evidence = made(&figures);
        let wanted = aims(&[&format!("latency.p50 < {limit}us")], Some("requests.per_event"));
        let one = decided(&evidence, &wanted, None).points.remove(0);
        let limit = limit as f64 * 1e3;
        for (standing, values) in one.strategies.iter().zip(&figures) {
            let result = &standing.requirements[0];
            let found = result.measured.expect("measured");
            let [low, high] = found.interval.expect("sampled");
            assert_eq!(result.status == Judgement::Met, is_sure(&found) && high < limit);
            assert_eq!(result.status == Judgement::Missed, is_sure(&found) && low >= limit);
            assert_eq!(values.len(), found.blocks as usize);
        }
        let standing = |name: &str| {
            one.strategies.iter().find(|one| one.strategy == name).expect("a strategy")
        };
        if let Some(best) = &one.choice.strategy {
            assert_eq!(standing(best).status, Judgement::Met);
            assert!(figures[0].len() >= 6);
        }
        if one.choice.status == ChoiceStatus::Chosen {
            let best = one.choice.strategy.as_deref().expect("chosen");
            let rivals = one.strategies.iter().filter(|one| one.status != Judgement::Missed);
            for rival in rivals.filter(|one| one.strategy != best) {
                let over = one.choice.advantages.iter().find(|over| over.over == rival.strategy);
                let over = over.expect("compared");
                assert_eq!(over.difference, Difference::Larger);
                assert!(over.p_value < 0.05 && over.saving > 0.0);
            }
        }
        if one.choice.status == ChoiceStatus::NoneMeets {
            assert!(one.strategies.iter().all(|one| one.status == Judgement::Missed));
        }
    }
}
