//! Whether what is expected of strategies holds.
//!
//! An expectation is met only if it holds wherever in its interval the true figure lies. With
//! fewer than six blocks the interval is from the least to the greatest block, and the sentence
//! says how sure that is.

use std::collections::BTreeMap;

use super::decide::{judge, none_lost, written};
use super::evidence::{Evidence, StrategyEvidence};
use super::summary::{Estimate, Judgement, ThresholdResult};
use crate::aim::{Expectation, Prices};
use crate::measure::Measure;
use crate::quantity;

/// Every expectation at every point that it is about.
pub(crate) fn thresholds(
    expectations: &[Expectation],
    evidence: &Evidence,
    prices: Option<&Prices>,
) -> Vec<ThresholdResult> {
    let mut results = Vec::new();
    for expectation in expectations {
        for point in evidence.points.iter().filter(|point| expectation.covers(&point.parameters)) {
            let named = |one: &&StrategyEvidence| one.summary.name == expectation.strategy;
            let strategy = point.strategies.iter().find(named);
            results.extend(
                strategy.map(|strategy| result(expectation, &point.parameters, strategy, prices)),
            );
        }
    }
    results
}

fn result(
    expectation: &Expectation,
    parameters: &BTreeMap<String, String>,
    strategy: &StrategyEvidence,
    prices: Option<&Prices>,
) -> ThresholdResult {
    let required = &expectation.requirement;
    let (status, measured) = judge(required, strategy, prices);
    let verb = match status {
        Judgement::Met => "met",
        Judgement::Undecided => "undecided",
        Judgement::NotMeasured => "not measured",
        Judgement::Missed => "missed",
    };
    let found = match &measured {
        Some(found) => told(required.measure, prices, found),
        None => format!("too few events support `{}`", required.measure),
    };
    let events = &strategy.summary.events;
    let losses = matches!(required.measure, Measure::Loss | Measure::EventsLost);
    let more = if losses && status == Judgement::Met && events.lost == 0 && events.emitted > 0 {
        format!("; {}", none_lost(events.emitted))
    } else {
        String::new()
    };
    ThresholdResult {
        expect: expectation.to_string(),
        parameters: parameters.clone(),
        strategy: expectation.strategy.clone(),
        measure: required.measure.name().to_owned(),
        passed: status == Judgement::Met,
        status,
        measured,
        sentence: format!("{verb}: {found}{more}"),
    }
}

/// A figure, its interval, and how sure that is.
fn told(measure: Measure, prices: Option<&Prices>, found: &Estimate) -> String {
    let value = written(measure, prices, found.value);
    let (Some([low, high]), Some(confidence)) = (found.interval, found.confidence) else {
        return value;
    };
    if found.blocks == 1 {
        return format!("{value} in the only block, without an interval");
    }
    format!(
        "{value} ({} to {}, {:.0} %, {})",
        written(measure, prices, low),
        written(measure, prices, high),
        // Rounded down: no interval is surer than it is said to be.
        (confidence * 100.0).floor(),
        quantity::counted(found.blocks.into(), "block")
    )
}

#[cfg(test)]
mod tests {
    use super::thresholds;
    use crate::aim::Expectation;
    use crate::analysis::evidence::tests::evidence_of;
    use crate::analysis::summary::{Judgement, ThresholdResult};
    use crate::record::sample::Sample;

    fn judged(sample: &Sample, text: &str) -> Vec<ThresholdResult> {
        let expectation: Expectation = text.parse().expect(text);
        thresholds(&[expectation], &evidence_of(sample, |_| ()), None)
    }

    fn one(blocks: u32, text: &str) -> ThresholdResult {
        judged(&Sample { blocks, ..Sample::default() }, text).remove(0)
    }

    #[test]
    fn an_expectation_is_met_missed_or_open() {
        let met = one(6, "webhook: latency.p50 < 50ms");
        assert_eq!((met.status, met.passed), (Judgement::Met, true));
        assert!(met.sentence.starts_with("met: ") && met.sentence.contains("96 %, 6 blocks"));
        let poll = "poll four times a second: latency.p50";
        let missed = one(6, &format!("{poll} < 50ms"));
        assert_eq!((missed.status, missed.passed), (Judgement::Missed, false));
        let measured = missed.measured.expect("measured");
        let limit = format!("{}ns", measured.value.round());
        let open = one(6, &format!("{poll} < {limit}"));
        assert_eq!((open.status, open.passed), (Judgement::Undecided, false));
        let withheld = one(6, "webhook: latency.p999 < 1s");
        assert_eq!((withheld.status, withheld.measured), (Judgement::NotMeasured, None));
        assert!(!withheld.passed);
    }

    #[test]
    fn few_blocks_say_how_sure_they_are() {
        let three = one(3, "webhook: latency.p50 < 50ms");
        assert!(three.passed && three.sentence.contains("75 %, 3 blocks"), "{}", three.sentence);
        let single = one(1, "webhook: latency.p50 < 50ms");
        assert!(single.sentence.ends_with("in the only block, without an interval"));
    }

    #[test]
    fn no_loss_says_how_rare_losses_could_be() {
        let loss = one(2, "webhook: loss = 0");
        assert!(loss.passed && loss.measured.expect("counted").interval.is_none());
        assert!(loss.sentence.contains("rarer than"), "{}", loss.sentence);
    }

    #[test]
    fn an_expectation_is_about_every_point_or_those_it_names() {
        let sample = Sample { rates: vec![5, 50], ..Sample::default() };
        assert_eq!(judged(&sample, "webhook: loss = 0").len(), 2);
        let named = judged(&sample, "webhook: loss = 0 at events.rate=50/s");
        assert_eq!(named.len(), 1);
        assert_eq!(named[0].parameters["events.rate"], "50/s");
    }
}
