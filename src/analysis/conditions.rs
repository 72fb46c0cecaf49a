//! What the harness did to itself at a point: CPUs, spinning, and what the pacer cost.

use std::collections::BTreeMap;

use super::summary::Conditions;
use crate::record::manifest::PlannedPoint;
use crate::record::trial::{Outcome, TrialRecord};
use crate::units::nanoseconds;

/// The conditions of a point; `records` are those of its strategies.
pub(crate) fn conditions<'r>(
    point: &PlannedPoint,
    records: impl Iterator<Item = &'r TrialRecord>,
) -> Conditions {
    // Strategies side by side share a source, and each of their records tells of it.
    let pacers: BTreeMap<u32, (u64, u64)> = records
        .filter(|record| record.outcome == Outcome::Completed)
        .filter_map(|record| {
            let source = &record.measured.as_ref()?.source;
            Some((record.trial, (source.pacer_cpu_ns, source.spin_ns)))
        })
        .collect();
    let placement = point.placement.as_ref();
    Conditions {
        source_cpu: placement.map(|placement| placement.source),
        subscriber_cpus: placement
            .map(|placement| placement.subscribers.clone())
            .unwrap_or_default(),
        spin: nanoseconds(point.spin.unwrap_or_default()),
        pacer_cpu: pacers.values().map(|(cpu, _)| cpu).sum(),
        pacer_spin: pacers.values().map(|(_, spin)| spin).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::conditions;
    use crate::affinity::Placement;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::Outcome;
    use std::time::Duration;

    #[test]
    fn a_source_that_strategies_share_is_counted_once() {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        let mut run = Run::open(&path).expect("opened");
        let mut point = run.manifest.points[0].clone();
        point.spin = Some(Duration::from_micros(100));
        point.placement = Placement::over(&[2, 3], 2, 2);
        for record in &mut run.records {
            let source = &mut record.measured.as_mut().expect("measured").source;
            (source.pacer_cpu_ns, source.spin_ns) = (7_000, 5_000);
        }
        let found = conditions(&point, run.records.iter());
        assert_eq!((found.pacer_cpu, found.pacer_spin), (2 * 7_000, 2 * 5_000), "two trials");
        assert_eq!((found.source_cpu, found.subscriber_cpus), (Some(2), vec![3, 3]));
        assert_eq!(found.spin, 100_000);
        run.records.iter_mut().for_each(|record| record.outcome = Outcome::Interrupted);
        assert_eq!(conditions(&point, run.records.iter()).pacer_cpu, 0);
    }
}
