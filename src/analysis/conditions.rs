//! What the harness did to itself at a point: CPUs, spinning, what the pacer cost, and the path.

use std::collections::BTreeMap;

use super::summary::{Conditions, PathSummary};
use crate::network::traffic::Crossed;
use crate::record::manifest::PlannedPoint;
use crate::record::trial::{NetworkUse, Outcome, TrialRecord};
use crate::units::nanoseconds;

/// The conditions of a point; `records` are those of its strategies.
pub(crate) fn conditions<'r>(
    point: &PlannedPoint,
    records: impl Iterator<Item = &'r TrialRecord>,
) -> Conditions {
    // Strategies side by side share a source and a router, and each of their records tells of them.
    let mut pacers: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut routers: BTreeMap<u32, u64> = BTreeMap::new();
    let mut crossed = Crossed::default();
    for record in records.filter(|record| record.outcome == Outcome::Completed) {
        let Some(measured) = &record.measured else { continue };
        let source = &measured.source;
        pacers.insert(record.trial, (source.pacer_cpu_ns, source.spin_ns));
        if let Some(NetworkUse { traffic, cpu_ns }) = measured.network {
            routers.insert(record.trial, cpu_ns);
            crossed += traffic.down;
            crossed += traffic.up;
        }
    }
    let network = point.workload.network.as_ref();
    let path = network.and_then(|network| {
        Some(PathSummary {
            asked: network.to_string(),
            tier: network.tier?,
            packets: crossed.packets,
            lost: crossed.lost,
            dropped: crossed.dropped,
            cpu: routers.values().sum(),
        })
    });
    let placement = point.placement.as_ref();
    Conditions {
        source_cpu: placement.map(|placement| placement.source),
        subscriber_cpus: placement
            .map(|placement| placement.subscribers.clone())
            .unwrap_or_default(),
        spin: nanoseconds(point.spin.unwrap_or_default()),
        pacer_cpu: pacers.values().map(|(cpu, _)| cpu).sum(),
        pacer_spin: pacers.values().map(|(_, spin)| spin).sum(),
        path,
    }
}

#[cfg(test)]
mod tests {
    use super::conditions;
    use crate::affinity::Placement;
    use crate::network::asked::Network;
    use crate::network::profile::Profile;
    use crate::network::tier::Tier;
    use crate::network::traffic::{Crossed, Traffic};
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::{NetworkUse, Outcome};
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
        assert_eq!(found.path, None);
        point.workload.network =
            Some(Network { tier: Some(Tier::Router), ..Profile::CrossRegion.network() });
        for record in &mut run.records {
            let up = Crossed { packets: 100, lost: 1, ..Crossed::default() };
            let traffic = Traffic { up, ..Traffic::default() };
            let measured = record.measured.as_mut().expect("measured");
            measured.network = Some(NetworkUse { traffic, cpu_ns: 3_000 });
        }
        let path = conditions(&point, run.records.iter()).path.expect("a path");
        let records = run.records.len() as u64;
        assert_eq!((path.packets, path.lost), (100 * records, records), "each has its own path");
        assert_eq!(path.cpu, 2 * 3_000, "two trials");
        run.records.iter_mut().for_each(|record| record.outcome = Outcome::Interrupted);
        assert_eq!(conditions(&point, run.records.iter()).pacer_cpu, 0);
    }
}
