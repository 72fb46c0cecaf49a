//! The strategies beside the first one, in words.

use crate::analysis::summary::{Comparison, Difference, PointSummary};

use super::quantity::{counted, ratio};
use super::wording;

/// What is said of one strategy: its name, and a sentence.
pub(super) struct Said {
    pub(super) strategy: String,
    pub(super) sentence: String,
}

/// The strategy that the others of a point are compared with, and what is said of them; `None`
/// if nothing was compared.
pub(super) fn compared(point: &PointSummary) -> Option<(String, Vec<Said>)> {
    let baseline = wording::one_line(&point.comparisons.first()?.baseline);
    let others = point.strategies.iter().skip(1);
    let said = others.filter_map(|strategy| {
        let of_it = |pair: &&Comparison| pair.strategy == strategy.name;
        let pairs: Vec<&Comparison> = point.comparisons.iter().filter(of_it).collect();
        let blocks = pairs.iter().map(|pair| pair.blocks).max()?;
        let measures: Vec<String> = pairs.iter().map(|pair| measure(pair)).collect();
        let basis = if pairs.iter().all(|pair| pair.difference == Difference::Unknown) {
            format!("{}: too few for an interval or a claim", counted(blocks.into(), "block"))
        } else {
            counted(blocks.into(), "block")
        };
        Some(Said {
            strategy: wording::one_line(&strategy.name),
            sentence: format!("{} ({basis})", measures.join(", ")),
        })
    });
    Some((baseline, said.collect()))
}

fn measure(pair: &Comparison) -> String {
    let name = pair.measure.replace("per_event", "per event").replace('.', " ");
    let times = format!("{} ×", ratio(pair.ratio));
    let Some(interval) = pair.interval else { return format!("{name} {times}") };
    let range = format!(
        "{} to {}, {:.1} %",
        ratio(interval.low),
        ratio(interval.high),
        interval.confidence * 100.0
    );
    match pair.difference {
        Difference::None => format!("{name} no measurable difference ({range})"),
        Difference::Noise => {
            let noise = pair.noise.map_or(String::new(), |factor| format!(" of {}", reach(factor)));
            format!("{name} within this machine's noise{noise} ({range})")
        }
        Difference::Larger | Difference::Smaller | Difference::Unknown => {
            format!("{name} {times} ({range})")
        }
    }
}

/// How far from each other two values may be of which one is at most `factor` times the other:
/// `±4.2 %`.
fn reach(factor: f64) -> String {
    format!("±{:.1} %", (factor - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{compared, measure};
    use crate::analysis::summary::{Comparison, Difference, RatioInterval};
    use crate::report::sample;

    fn pair(difference: Difference, interval: Option<RatioInterval>) -> Comparison {
        Comparison {
            strategy: "webhook".to_owned(),
            baseline: "poll".to_owned(),
            measure: "latency.p99".to_owned(),
            blocks: 10,
            ratio: 0.135,
            interval,
            p_value: 0.002,
            noise: None,
            difference,
        }
    }

    #[test]
    fn words_claim_no_more_than_the_interval() {
        let interval = Some(RatioInterval { low: 0.12, high: 0.15, confidence: 0.9785 });
        assert_eq!(
            measure(&pair(Difference::Smaller, interval)),
            "latency p99 0.14 × (0.12 to 0.15, 97.9 %)"
        );
        assert_eq!(
            measure(&pair(Difference::None, interval)),
            "latency p99 no measurable difference (0.12 to 0.15, 97.9 %)"
        );
        let noisy = Comparison { noise: Some(1.08), ..pair(Difference::Noise, interval) };
        assert_eq!(
            measure(&noisy),
            "latency p99 within this machine's noise of ±8.0 % (0.12 to 0.15, 97.9 %)"
        );
        assert_eq!(measure(&pair(Difference::Unknown, None)), "latency p99 0.14 ×");
    }

    #[test]
    fn every_other_strategy_is_named_once() {
        let summary = sample::summary();
        let (baseline, said) = compared(&summary.points[0]).expect("three strategies");
        assert_eq!(baseline, summary.points[0].strategies[0].name);
        let names: Vec<&str> = said.iter().map(|said| said.strategy.as_str()).collect();
        assert_eq!(names, ["poll every 250 ms", "webhook"]);
        assert!(said[0].sentence.contains("3 blocks: too few"), "{}", said[0].sentence);
    }
}
