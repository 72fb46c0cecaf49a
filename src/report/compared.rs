//! The strategies beside the first one, in words.

use crate::analysis::summary::{Comparison, Difference, Paired, PointSummary, Recovery};

use super::wording;
use crate::quantity::{count, counted, duration, nanoseconds, ratio};

/// What is said of one strategy: its name, and a sentence.
pub(super) struct Said {
    pub(super) strategy: String,
    pub(super) sentence: String,
}

/// Every way in which the strategies of a point were compared with the first: a heading, and
/// what is said of each.
pub(super) fn sections(point: &PointSummary) -> Vec<(String, Vec<Said>)> {
    let compared = [block_by_block(point), event_by_event(point)].into_iter().flatten();
    compared.chain(after_faults(point)).collect()
}

/// What each fault came to for every strategy that it befell.
fn after_faults(point: &PointSummary) -> Vec<(String, Vec<Said>)> {
    let mut sections: Vec<(String, Vec<Said>)> = Vec::new();
    for strategy in &point.strategies {
        for one in &strategy.recovery {
            let heading = format!(
                "Fault at {} for {}: {}",
                nanoseconds(one.at),
                nanoseconds(one.lasts),
                wording::one_line(&one.fault)
            );
            let said = Said { strategy: wording::one_line(&strategy.name), sentence: endured(one) };
            match sections.iter_mut().find(|(known, _)| *known == heading) {
                Some((_, of_it)) => of_it.push(said),
                None => sections.push((heading, vec![said])),
            }
        }
    }
    sections
}

/// What a fault came to.
fn endured(one: &Recovery) -> String {
    let all = match one.times {
        1 => String::new(),
        times => format!(" in {}", counted(times, "fault")),
    };
    let due = if one.due == 1 { "delivery" } else { "deliveries" };
    let mut parts = vec![format!("{} of {} {due} lost{all}", count(one.lost), count(one.due))];
    if one.lost_after > 0 {
        parts.push(format!("{} more due behind its end", count(one.lost_after)));
    }
    for (found, words) in [
        (one.dead_lettered.unwrap_or(0), "given up"),
        (one.duplicated, "copies too many"),
        (one.reordered, "out of order"),
    ] {
        if found > 0 {
            parts.push(format!("{} {words}", count(found)));
        }
    }
    let again = if one.times > 1 { ", the longest of all times" } else { "" };
    let after = nanoseconds(one.consistent_after_max);
    let there = match one.lost {
        0 => format!("all there {after} after the end{again}"),
        lost if lost == one.due => "nothing of it came back".to_owned(),
        _ => format!("all that ever came there {after} after the end{again}"),
    };
    parts.push(format!(
        "{there}; age {} on average, {} at most; at most {} missing at once",
        nanoseconds(one.age_mean),
        nanoseconds(one.age_max),
        count(one.missing_max)
    ));
    if let (Some(before), Some(peak)) = (one.requests_before, one.requests_peak) {
        parts.push(format!("requests {before:.1}/s before, {peak:.0}/s at most after"));
    }
    parts.join(", ")
}

/// The strategies beside the first one by the ratios of their blocks; `None` if nothing was
/// compared.
fn block_by_block(point: &PointSummary) -> Option<(String, Vec<Said>)> {
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
    Some((format!("Beside `{baseline}`, block by block"), said.collect()))
}

/// The strategies beside the first one by the differences of single events; `None` unless they
/// ran side by side.
fn event_by_event(point: &PointSummary) -> Option<(String, Vec<Said>)> {
    let baseline = wording::one_line(&point.paired.first()?.baseline);
    let said = |pair: &Paired| Said {
        strategy: wording::one_line(&pair.strategy),
        sentence: in_events(pair),
    };
    let heading = format!("Beside `{baseline}`, event by event, while both ran (a cross-check)");
    Some((heading, point.paired.iter().map(said).collect()))
}

fn in_events(pair: &Paired) -> String {
    let size = |nanoseconds: i64| duration(nanoseconds.unsigned_abs() as f64);
    let signed = |nanoseconds: i64| {
        let sign = if nanoseconds < 0 { "−" } else { "+" };
        format!("{sign}{}", size(nanoseconds))
    };
    let blocks = counted(pair.blocks.into(), "block");
    let basis = match &pair.interval {
        None => format!("{blocks}: too few for an interval"),
        Some(interval) => format!(
            "{} to {}, {:.1} %, {blocks}",
            signed(interval.low),
            signed(interval.high),
            interval.confidence * 100.0
        ),
    };
    let way = if pair.difference < 0 { "sooner" } else { "later" };
    let note = pair.note.as_ref().map_or(String::new(), |note| format!("; {note}"));
    format!(
        "{} {way} in the median ({basis}), sooner with {:.1} % of {}{note}",
        size(pair.difference),
        pair.sooner * 100.0,
        counted(pair.events, "event")
    )
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
    use super::{block_by_block, endured, event_by_event, in_events, measure};
    use crate::analysis::summary::{
        Comparison, Difference, DifferenceInterval, Paired, RatioInterval, Recovery,
    };
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
        let (heading, said) = block_by_block(&summary.points[0]).expect("three strategies");
        assert_eq!(heading, "Beside `poll every second`, block by block");
        let names: Vec<&str> = said.iter().map(|said| said.strategy.as_str()).collect();
        assert_eq!(names, ["poll every 250 ms", "webhook"]);
        assert!(said[0].sentence.contains("3 blocks: too few"), "{}", said[0].sentence);
    }

    #[test]
    fn no_recovery_is_claimed_of_what_was_lost() {
        let none = Recovery {
            fault: "the network is down".to_owned(),
            at: 21_000_000_000,
            lasts: 30_000_000_000,
            times: 1,
            due: 606,
            lost: 0,
            lost_after: 0,
            duplicated: 0,
            reordered: 0,
            dead_lettered: Some(0),
            consistent_after_p50: 2_000_000_000,
            consistent_after_max: 2_000_000_000,
            age_mean: 15_000_000_000,
            age_max: 30_000_000_000,
            missing_max: 606,
            requests_before: None,
            requests_peak: None,
        };
        let some = Recovery { lost: 600, dead_lettered: Some(590), ..none.clone() };
        let all = Recovery { lost: 606, consistent_after_max: 0, ..none.clone() };
        let more = Recovery { lost_after: 60, times: 6, ..all.clone() };
        for (recovery, said) in [
            (none, "0 of 606 deliveries lost, all there 2.00 s after the end;"),
            (
                some,
                "600 of 606 deliveries lost, 590 given up, all that ever came there 2.00 s after the end;",
            ),
            (more, "606 of 606 deliveries lost in 6 faults, 60 more due behind its end, nothing"),
            (all, "606 of 606 deliveries lost, nothing of it came back;"),
        ] {
            let sentence = endured(&recovery);
            assert!(sentence.starts_with(said), "{sentence}");
        }
    }

    #[test]
    fn events_are_told_with_their_interval_and_what_contradicts_it() {
        let mut pair = Paired {
            strategy: "webhook".to_owned(),
            baseline: "poll".to_owned(),
            blocks: 10,
            events: 4_000,
            difference: -123_000_000,
            interval: Some(DifferenceInterval {
                low: -130_000_000,
                high: 1_500,
                confidence: 0.9785,
            }),
            sooner: 0.9915,
            note: Some("it differs".to_owned()),
        };
        assert_eq!(
            in_events(&pair),
            "123 ms sooner in the median (−130 ms to +1.50 µs, 97.9 %, 10 blocks), sooner with \
             99.2 % of 4,000 events; it differs"
        );
        (pair.difference, pair.interval, pair.note) = (5_000, None, None);
        assert_eq!(
            in_events(&pair),
            "5.00 µs later in the median (10 blocks: too few for an interval), sooner with 99.2 % \
             of 4,000 events"
        );
    }

    #[test]
    fn strategies_that_ran_one_after_the_other_have_no_events_in_common() {
        let mut summary = sample::summary();
        assert_eq!(event_by_event(&summary.points[0]).expect("side by side").1.len(), 2);
        summary.points[0].paired.clear();
        assert!(event_by_event(&summary.points[0]).is_none());
    }
}
