//! Negative controls: does the harness see a difference where there is none, and does it read
//! a delay as it was injected?

use std::collections::BTreeMap;

use super::limits::{KNOWN_DELAY, SAME_STRATEGY};
use super::meters::where_known;
use super::{CheckStatus, Finding, place, strategies};
use crate::analysis::evidence::Evidence;
use crate::analysis::noise::{factors, pairs};
use crate::analysis::summary::Comparison;
use crate::analysis::words;
use crate::units::nanoseconds;

/// Two identical strategies must not differ (V24).
///
/// Each measure's ratio is tried by the sign test over blocks, and all of them together by
/// Bonferroni's bound: many intervals of 95 % would not all hold one.
pub(super) fn a_a(evidence: &Evidence) -> Finding {
    let pairs = pairs(evidence);
    if pairs.is_empty() {
        return without_a_pair(evidence);
    }
    let tried: Vec<&Comparison> = pairs.iter().flat_map(|pair| &pair.comparisons).collect();
    let certainty = |chance: f64| 1.0 - (chance * tried.len() as f64).min(1.0);
    let least = tried.iter().min_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let Some(least) = least else {
        return Finding::new(CheckStatus::Info, "no block holds both of two identical strategies");
    };
    let floor = noise_in_words(&factors(&pairs));
    let found = Finding::by(SAME_STRATEGY, certainty(least.p_value), || differing(least, &floor));
    // A quantile may be withheld in some blocks; the other measures then speak for themselves.
    let most = tried.iter().map(|pair| pair.blocks).max().unwrap_or(0);
    let surest = certainty(2.0 * 0.5_f64.powi(i32::try_from(most).unwrap_or(i32::MAX)));
    let (status, message) = match found.status {
        CheckStatus::Pass if surest <= SAME_STRATEGY.warn => (
            CheckStatus::Info,
            format!("{most} blocks are too few to tell two identical strategies apart"),
        ),
        CheckStatus::Pass => (
            CheckStatus::Pass,
            format!(
                "identical strategies differ by chance alone; differences smaller than theirs are \
                 noise: {floor}"
            ),
        ),
        status => (status, found.message),
    };
    Finding { status, message, ..found }
}

/// What is known of the machine when the run itself has no A/A control.
fn without_a_pair(evidence: &Evidence) -> Finding {
    let Some(floor) = &evidence.noise_floor else {
        return Finding::new(
            CheckStatus::Info,
            "no A/A control of this machine in this arrangement within 24 h, so it is not known \
             which differences are its noise; `pollpush run a-a` makes one",
        );
    };
    let run: String = floor.run_id.chars().take(8).collect();
    Finding::pass(format!(
        "`{}` against itself, in run {run} of {}, {}, {} blocks, differed by {}; smaller \
         differences are noise",
        floor.mechanism,
        floor.measured.strftime("%Y-%m-%dT%H:%MZ"),
        floor.arrangement,
        floor.blocks,
        noise_in_words(&floor.factors)
    ))
}

fn differing(pair: &Comparison, floor: &str) -> String {
    let Comparison { strategy, baseline, measure, ratio, .. } = pair;
    format!(
        "`{strategy}` and `{baseline}` are identical, and yet {measure} of the one is {ratio:.3} × \
         that of the other: on this machine two identical strategies differ by {floor}; smaller \
         differences are noise"
    )
}

/// The factors as `latency.p50 ±1.2 %, latency.p99 ±9.0 %`.
fn noise_in_words(factors: &BTreeMap<String, f64>) -> String {
    let parts: Vec<String> = factors
        .iter()
        .map(|(measure, factor)| format!("{measure} ±{:.1} %", (factor - 1.0) * 100.0))
        .collect();
    parts.join(", ")
}

/// A known delay must be read as it was injected.
pub(super) fn known_delay(evidence: &Evidence) -> Finding {
    let injected = strategies(evidence).filter_map(|(point, strategy)| {
        let delay = strategy.injected().filter(|delay| !delay.is_zero())?;
        Some((place(point, strategy), strategy, nanoseconds(delay) as f64))
    });
    let findings = injected.map(|(place, strategy, delay)| {
        let read = strategy.summary.latency.p50? as f64;
        Some(Finding::by(KNOWN_DELAY, (read - delay).abs(), || {
            format!(
                "{place}: {} were injected and a median of {} was read; latencies of this run are \
                 as wrong",
                words::time(delay),
                words::time(read)
            )
        }))
    });
    where_known(
        findings,
        "no strategy has a known delay and events enough for a median; `pollpush run known-delay` \
         injects one",
        "known delays are read as they were injected",
    )
}

#[cfg(test)]
mod tests {
    use super::{a_a, known_delay};
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::noise::tests::doubled;
    use crate::analysis::summary::CheckStatus;
    use crate::record::noise_floor::NoiseFloor;
    use crate::theory::hand_over::HandOver;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn a_bias_of_three_percent_between_identical_strategies_warns() {
        let noise = [990, 1_010, 995, 1_006, 992, 1_009, 997, 1_002, 991, 1_008];
        let sound = a_a(&doubled(10, |block| noise[block as usize]));
        assert_eq!(sound.status, CheckStatus::Pass, "{sound:?}");
        assert!(sound.message.contains("latency.p50 ±0.9 %"), "{}", sound.message);
        let biased = a_a(&doubled(10, |block| 1_030 * noise[block as usize] / 1_000));
        assert_eq!(biased.status, CheckStatus::Warn, "{biased:?}");
        for words in ["two identical strategies differ by", "latency.p50 ±", "are noise"] {
            assert!(biased.message.contains(words), "{}", biased.message);
        }
    }

    #[test]
    fn one_block_against_the_others_is_chance() {
        let one = a_a(&doubled(10, |block| if block == 3 { 970 } else { 1_030 }));
        assert_eq!(one.status, CheckStatus::Pass, "{one:?}");
    }

    #[test]
    fn a_quantile_that_few_blocks_support_silences_no_other_measure() {
        let mut evidence = doubled(10, |block| if block % 2 == 0 { 990 } else { 1_010 });
        for strategy in &mut evidence.points[0].strategies {
            for block in strategy.blocks.iter_mut().take(2) {
                block.latency.p99 = block.latency.p50;
            }
        }
        let finding = a_a(&evidence);
        assert_eq!(finding.status, CheckStatus::Pass, "{finding:?}");
    }

    #[test]
    fn few_blocks_say_nothing() {
        for blocks in [2, 6] {
            let few = a_a(&doubled(blocks, |_| 1_500));
            assert_eq!(few.status, CheckStatus::Info, "{few:?}");
            assert!(few.message.starts_with(&format!("{blocks} blocks")), "{}", few.message);
        }
    }

    #[test]
    fn a_run_without_a_pair_names_the_control_it_leans_on_or_the_way_to_one() {
        let mut evidence = evidence();
        let none = a_a(&evidence);
        assert_eq!(none.status, CheckStatus::Info);
        assert!(none.message.contains("`pollpush run a-a`"), "{}", none.message);
        evidence.noise_floor = Some(NoiseFloor {
            run_id: "3f9a1c20ffff".to_owned(),
            measured: "2026-11-23T10:45:12Z".parse().expect("a time"),
            arrangement: "solo".to_owned(),
            mechanism: "webhook".to_owned(),
            blocks: 10,
            factors: BTreeMap::from([("latency.p50".to_owned(), 1.042)]),
        });
        let known = a_a(&evidence);
        assert_eq!(known.status, CheckStatus::Pass);
        assert_eq!(
            known.message,
            "`webhook` against itself, in run 3f9a1c20 of 2026-11-23T10:45Z, solo, 10 blocks, \
             differed by latency.p50 ±4.2 %; smaller differences are noise"
        );
    }

    fn delayed(delay: Duration, read: Option<u64>) -> Evidence {
        let mut evidence = evidence();
        let strategy = &mut evidence.points[0].strategies[1];
        strategy.theory = Some(HandOver { delay }.into());
        strategy.summary.latency.p50 = read;
        evidence
    }

    #[test]
    fn a_delay_that_is_read_wrong_fails() {
        let delay = Duration::from_millis(50);
        for (read, expected) in [
            (Some(50_000_000), CheckStatus::Pass),
            (Some(50_200_000), CheckStatus::Pass),
            (Some(50_200_001), CheckStatus::Fail),
            (Some(49_799_999), CheckStatus::Fail),
            (Some(100_000_000), CheckStatus::Fail),
            (None, CheckStatus::Unavailable),
        ] {
            let finding = known_delay(&delayed(delay, read));
            assert_eq!(finding.status, expected, "{read:?}: {finding:?}");
        }
        let wrong = known_delay(&delayed(delay, Some(51_000_000))).message;
        assert!(wrong.contains("50.0 ms were injected"), "{wrong}");
        for no_delay in [evidence(), delayed(Duration::ZERO, Some(90_000))] {
            assert_eq!(known_delay(&no_delay).status, CheckStatus::Unavailable);
        }
    }
}
