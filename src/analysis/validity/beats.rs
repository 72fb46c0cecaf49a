//! Checks of how events meet the beat of a poll.

use super::limits::{
    LOCKED, LOCKED_CHANCE, PHASES, PHASES_ENOUGH, UNEVEN_CHANCE, UNEVEN_ERRORS, UNEVEN_WAITS,
};
use super::{Finding, blocks, place, strategies, worst};
use crate::analysis::evidence::Evidence;
use crate::analysis::model::ENOUGH;
use crate::analysis::probability::{kolmogorov, kolmogorov_limit};
use crate::analysis::words;
use crate::schedule::Arrivals;
use crate::units::nanoseconds;

/// Events must fall all over the poll interval. Evenly spaced ones whose gap is a multiple or
/// a fraction of it meet the beat at a few phases only, so that each block measures where its
/// first poll happened to fall. Moments of a trace can do the same: the phases of every block
/// are compared with even ones by Kolmogorov's test.
pub(super) fn phase_lock(evidence: &Evidence) -> Finding {
    let tests = blocks(evidence).filter(|(_, _, block)| block.phases.is_some()).count();
    let chance = LOCKED_CHANCE / tests.max(1) as f64;
    let findings = blocks(evidence).filter_map(|(place, _, block)| {
        let phases = block.phases?;
        let distinct = phases.distinct;
        if distinct < PHASES_ENOUGH && block.workload.arrivals == Arrivals::Constant {
            let message = format!(
                "{place}: evenly spaced events meet the poll interval at {distinct} phases only; \
                 results depend on where the first poll falls; use `arrivals = \"poisson\"`"
            );
            return Some(Finding::by(PHASES, (PHASES_ENOUGH - distinct) as f64, || message));
        }
        let times = phases.distance / kolmogorov_limit(chance, phases.moments);
        Some(Finding::by(LOCKED, times, || {
            format!(
                "{place}: events are locked to the poll interval: up to some phase there are {} \
                 of them more or fewer than if they knew nothing of it (p = {:.1e}); results \
                 depend on where the first poll falls; use `arrivals = \"poisson\"`, or a `jitter`",
                words::percent(phases.distance),
                kolmogorov(phases.distance, phases.moments)
            )
        }))
    });
    worst(findings, "events are not locked to a poll interval")
}

/// A poll's waits must be spread evenly over its interval, as its closed form says, whatever the
/// arrivals. Where nearly all of them have ended shows a beat that is 2 % slow or fast best.
pub(super) fn uniform_wait(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).filter_map(|(point, strategy)| {
        let fit = strategy.waits.as_ref()?;
        let place = place(point, strategy);
        if fit.waits < ENOUGH {
            let why = format!("{place}: not judged: too few independent waits");
            return Some(Finding::unavailable(why));
        }
        let times = fit.distance / kolmogorov_limit(UNEVEN_CHANCE, fit.waits);
        let time = |time: std::time::Duration| words::time(nanoseconds(time) as f64);
        let shape = Finding::by(UNEVEN_WAITS, times, || {
            format!(
                "{place}: waits are not spread as polls at this interval spread them: up to {} there \
                 should be {} of them, and there are {} (p = {:.1e}); the beat is not what it \
                 says, or polls are held up",
                time(fit.claimed.quantile(fit.at.0).unwrap_or_default()),
                words::percent(fit.at.0),
                words::percent(fit.at.1),
                kolmogorov(fit.distance, fit.waits)
            )
        });
        let end = fit.end.map(|end| {
            let apart = end.found.abs_diff(end.claimed).saturating_sub(end.slack) as f64;
            let times = apart / (end.error * UNEVEN_ERRORS).max(1.0);
            Finding::by(UNEVEN_WAITS, times, || {
                format!(
                    "{place}: {} of the waits have ended after {}, and polls at this interval end \
                     them after {}; the beat is {}",
                    words::percent(end.share),
                    words::time(end.found as f64),
                    words::time(end.claimed as f64),
                    if end.found > end.claimed {
                        "slower than it says, or larger answers take longer"
                    } else {
                        "faster than it says"
                    }
                )
            })
        });
        Some(worst(std::iter::once(shape).chain(end), ""))
    });
    worst(findings, "the waits of every poll are spread evenly over its interval")
}

#[cfg(test)]
mod tests {
    use super::{UNEVEN_CHANCE, kolmogorov_limit, phase_lock, uniform_wait};
    use crate::analysis::evidence::Evidence;
    use crate::analysis::evidence::tests::{evidence, evidence_of};
    use crate::analysis::phases::PhaseFit;
    use crate::analysis::summary::CheckStatus;
    use crate::record::sample::Sample;
    use crate::schedule::{Arrivals, random_stream};
    use crate::theory::Beat;
    use crate::theory::interval_poll::IntervalPoll;
    use crate::theory::reads::Reads;
    use crate::units::Rate;
    use rand::RngExt;
    use std::time::Duration;

    /// The sample with other arrivals; what was delivered no longer fits, and is not looked at.
    fn arriving(arrivals: &Arrivals, rate: f64) -> Evidence {
        evidence_of(&Sample::default(), |run| {
            for point in &mut run.manifest.points {
                point.workload.arrivals = arrivals.clone();
                point.workload.rate = Rate::per_second(rate).expect("a rate");
            }
            for record in &mut run.records {
                record.workload.arrivals = arrivals.clone();
                record.workload.rate = Rate::per_second(rate).expect("a rate");
            }
        })
    }

    #[test]
    fn evenly_spaced_events_that_meet_the_beat_warn() {
        assert_eq!(phase_lock(&evidence()).status, CheckStatus::Pass);
        for (rate, expected) in [(20.0, CheckStatus::Warn), (19.7, CheckStatus::Pass)] {
            let finding = phase_lock(&arriving(&Arrivals::Constant, rate));
            assert_eq!(finding.status, expected, "{rate}: {}", finding.message);
        }
    }

    #[test]
    fn uneven_phases_warn_though_there_are_many() {
        let mut evidence = evidence();
        let block = &mut evidence.points[0].strategies[0].blocks[0];
        let fit = PhaseFit { distinct: 400, distance: 0.15, moments: 400.0 };
        block.phases = Some(fit);
        assert_eq!(phase_lock(&evidence).status, CheckStatus::Warn);
        let fit = PhaseFit { distance: 0.09, ..fit };
        evidence.points[0].strategies[0].blocks[0].phases = Some(fit);
        assert_eq!(phase_lock(&evidence).status, CheckStatus::Pass);
    }

    /// A run of 12,000 events in two blocks, polled every 250 ms, whose form says that it is
    /// polled every `claimed`.
    fn polled(claimed: Duration) -> Evidence {
        evidence_of(&Sample { rates: vec![750], ..Sample::default() }, |run| {
            let poll = IntervalPoll { reads: Reads::every(claimed, Beat::FixedRate), limit: 100 };
            run.manifest.points[0].strategies[0].theory = Some(poll.clone().into());
            let records = run.records.iter_mut();
            records
                .filter(|record| record.strategy.mechanism == "poll")
                .for_each(|record| record.strategy.theory = Some(poll.clone().into()));
        })
    }

    #[test]
    fn a_poll_waits_evenly_and_a_beat_that_is_2_percent_slow_is_caught() {
        let sound = polled(Duration::from_millis(250));
        let waits = sound.points[0].strategies[0].waits.as_ref().expect("a poll").waits;
        assert!((11_800.0..12_200.0).contains(&waits), "{waits}");
        assert_eq!(uniform_wait(&sound).status, CheckStatus::Pass);
        for claimed in [250.0 / 1.02, 250.0 * 1.02] {
            let finding = uniform_wait(&polled(Duration::from_secs_f64(claimed / 1e3)));
            assert_eq!(finding.status, CheckStatus::Warn, "{claimed}: {}", finding.message);
        }
    }

    #[test]
    fn few_waits_or_no_poll_are_not_judged() {
        assert_eq!(uniform_wait(&evidence()).status, CheckStatus::Pass);
        let mut few = evidence();
        few.points[0].strategies[0].waits.as_mut().expect("a poll").waits = 29.0;
        assert_eq!(uniform_wait(&few).status, CheckStatus::Unavailable);
        assert_eq!(few.points[0].strategies[1].waits, None);
    }

    #[test]
    fn a_correct_poll_cries_wolf_once_in_a_thousand() {
        // The worst of the distances that chance makes in 2,000 polls of 1,000 events.
        let alarms = (0..2_000).filter(|seed| {
            let mut random = random_stream(*seed, 0);
            let mut counts = [0_u32; 1_000];
            (0..1_000).for_each(|_| counts[random.random_range(0..1_000)] += 1);
            let mut up_to = 0;
            let far = |(step, count): (u32, &u32)| {
                up_to += count;
                (f64::from(up_to) / 1_000.0 - f64::from(step) / 1_000.0).abs()
            };
            let distance = (1..).zip(&counts).map(far).fold(0.0, f64::max);
            distance > kolmogorov_limit(UNEVEN_CHANCE, 1_000.0)
        });
        assert!(alarms.count() <= 8, "two are expected");
    }
}
