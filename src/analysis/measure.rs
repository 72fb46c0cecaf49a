//! Reading a measure of a strategy: from a block, from the summary, and as an estimate.

use super::blocks::middle;
use super::costs;
use super::evidence::{Block, StrategyEvidence};
use super::latency::Quantile;
use super::summary::{Estimate, StrategySummary};
use crate::aim::Prices;
use crate::measure::{Kind, Measure};

/// A strategy's figure of a measure as the summary states it; `None` where it was withheld, and
/// of costs, which are not a part of a strategy's summary.
#[must_use]
pub fn of_summary(measure: Measure, strategy: &StrategySummary) -> Option<f64> {
    let whole = |value: u64| Some(value as f64);
    let time = |value: Option<u64>| value.map(|value| value as f64);
    let latency = &strategy.latency;
    match measure {
        Measure::LatencyMean => time(latency.mean),
        Measure::LatencyP50 => time(latency.p50),
        Measure::LatencyP90 => time(latency.p90),
        Measure::LatencyP95 => time(latency.p95),
        Measure::LatencyP99 => time(latency.p99),
        Measure::LatencyP999 => time(latency.p999),
        Measure::LatencyMax => time(latency.max),
        Measure::StalenessShare => Some(strategy.staleness?.share),
        Measure::StalenessAgeMean => time(strategy.staleness?.age_mean),
        Measure::StalenessAgeMax => time(strategy.staleness?.age_max),
        Measure::Loss => part(strategy.events.lost, strategy.events.emitted),
        Measure::EventsLost => whole(strategy.events.lost),
        Measure::EventsDuplicated => whole(strategy.events.duplicated),
        Measure::EventsReordered => whole(strategy.events.reordered),
        Measure::RequestsPerEvent => strategy.requests.per_event,
        Measure::RequestsEmptyShare => part(strategy.requests.empty, strategy.requests.total),
        Measure::ConnectionsOpened => whole(strategy.connections.opened),
        Measure::BytesPerEvent => strategy.bytes.per_event,
        Measure::CpuPerEvent => time(strategy.cpu.per_event),
        Measure::CpuSourcePerEvent => part(strategy.cpu.source, strategy.events.delivered),
        Measure::CpuSubscriberPerEvent => part(strategy.cpu.subscriber?, strategy.events.delivered),
        Measure::CpuPerEventAboveIdle => time(strategy.cpu.per_event_above_idle),
        Measure::MemorySourcePeak => whole(strategy.memory.source_peak),
        Measure::MemorySubscriberPeak => whole(strategy.memory.subscriber_peak),
        Measure::CostMonth => None,
    }
}

/// A measure of a strategy's blocks, gathered as they end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) values: Vec<Option<f64>>,
    /// The independent events of all blocks together.
    worth: u64,
}

impl Gathered {
    /// Notes one more block.
    pub(crate) fn note(&mut self, measure: Measure, block: &Block, prices: Option<&Prices>) {
        self.values.push(of_block(measure, block, prices));
        self.worth += block.worth();
    }

    /// The values, if all blocks together support them; otherwise none.
    pub(crate) fn stated(&self, measure: Measure) -> &[Option<f64>] {
        let enough = quantile(measure).is_none_or(|one| one.is_supported_by(self.worth));
        if enough { &self.values } else { &[] }
    }
}

/// The quantile of the latencies that a measure is.
fn quantile(measure: Measure) -> Option<Quantile> {
    match measure {
        Measure::LatencyP50 => Some(Quantile::P50),
        Measure::LatencyP90 => Some(Quantile::P90),
        Measure::LatencyP95 => Some(Quantile::P95),
        Measure::LatencyP99 => Some(Quantile::P99),
        Measure::LatencyP999 => Some(Quantile::P999),
        _ => None,
    }
}

/// A block's value of a measure; `None` where the sample cannot support it, without prices of
/// costs, and of what is a fact of the run as a whole.
pub(crate) fn of_block(measure: Measure, block: &Block, prices: Option<&Prices>) -> Option<f64> {
    let time = |value: Option<u64>| value.map(|value| value as f64);
    let (source, subscriber) = (&block.measured.source, &block.measured.subscriber);
    let each = |total: u64| part(total, block.measured.events.delivered);
    match measure {
        Measure::LatencyMean => time(block.latency.mean),
        Measure::LatencyP50 => time(block.latency.p50),
        Measure::LatencyP90 => time(block.latency.p90),
        Measure::LatencyP95 => time(block.latency.p95),
        Measure::LatencyP99 => time(block.latency.p99),
        Measure::LatencyP999 => time(block.latency.p999),
        Measure::StalenessShare => Some(block.staleness?.share),
        Measure::StalenessAgeMean => block.staleness?.age_mean,
        Measure::RequestsPerEvent => each(source.window.exchanges()),
        Measure::RequestsEmptyShare => part(source.window.empty, source.window.exchanges()),
        Measure::BytesPerEvent => each(source.window.bytes_received + source.window.bytes_sent),
        Measure::CpuPerEvent | Measure::CpuSubscriberPerEvent if !subscriber.lives.is_empty() => {
            None
        }
        Measure::CpuPerEvent => each(source.cpu_ns + subscriber.cpu_ns),
        Measure::CpuSourcePerEvent => each(source.cpu_ns),
        Measure::CpuSubscriberPerEvent => each(subscriber.cpu_ns),
        Measure::CpuPerEventAboveIdle => {
            let above = cpu_above_idle(block)?;
            each(above.0 + above.1)
        }
        Measure::CostMonth => Some(costs::of_block(block, prices?).total()),
        Measure::LatencyMax
        | Measure::StalenessAgeMax
        | Measure::Loss
        | Measure::EventsLost
        | Measure::EventsDuplicated
        | Measure::EventsReordered
        | Measure::ConnectionsOpened
        | Measure::MemorySourcePeak
        | Measure::MemorySubscriberPeak => None,
    }
}

/// CPU time of source and subscribers above what they use while idle, in nanoseconds; `None`
/// where there was no quiet span to tell.
pub(crate) fn cpu_above_idle(block: &Block) -> Option<(u64, u64)> {
    let (source, subscriber) = (&block.measured.source, &block.measured.subscriber);
    let window = crate::units::nanoseconds(block.workload.window);
    let above = |used: u64, idle: u64, span: u64| {
        let idle = u128::from(idle) * u128::from(window) / u128::from(span.max(1));
        used.saturating_sub(u64::try_from(idle).unwrap_or(u64::MAX))
    };
    let source_span = source.process.window.as_ref()?.idle_ns;
    let subscriber_window = subscriber.process.window.as_ref()?;
    if source_span == 0 || subscriber_window.idle_ns == 0 {
        return None;
    }
    Some((
        above(source.cpu_ns, source.idle_cpu_ns, source_span),
        above(subscriber.cpu_ns, subscriber_window.idle_cpu_ns, subscriber_window.idle_ns),
    ))
}

/// A strategy's figure of a measure with how surely it is known; `None` if a block has none.
///
/// With fewer than six blocks the interval is from the least to the greatest, and as sure as that
/// is.
pub(crate) fn estimate(
    measure: Measure,
    strategy: &StrategyEvidence,
    prices: Option<&Prices>,
) -> Option<Estimate> {
    let values = strategy.blocks.iter().map(|block| of_block(measure, block, prices));
    match measure.kind() {
        Kind::Sampled => of_values(&values.collect::<Option<Vec<f64>>>()?),
        Kind::Observed if strategy.blocks.is_empty() => None,
        Kind::Observed => Some(Estimate {
            value: of_summary(measure, &strategy.summary)?,
            interval: None,
            confidence: None,
            blocks: strategy.summary.blocks,
        }),
    }
}

/// The median of some blocks' values, with its interval; `None` of nothing.
pub(crate) fn of_values(values: &[f64]) -> Option<Estimate> {
    let found = middle(values)?;
    let (low, high, confidence) = found.interval.unwrap_or_else(|| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let missed = 0.5_f64.powi(i32::try_from(values.len()).unwrap_or(i32::MAX));
        (low, high, 1.0 - 2.0 * missed)
    });
    Some(Estimate {
        value: found.median,
        interval: Some([low, high]),
        confidence: Some(confidence),
        blocks: u32::try_from(values.len()).unwrap_or(u32::MAX),
    })
}

fn part(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::{estimate, of_block, of_summary, of_values};
    use crate::aim::Prices;
    use crate::analysis::evidence::tests::evidence_of;
    use crate::measure::{Kind, Measure};
    use crate::record::sample::Sample;

    #[test]
    fn a_single_block_has_the_figures_of_its_summary() {
        let one = Sample { blocks: 1, ..Sample::default() };
        for strategy in &evidence_of(&one, |_| ()).points[0].strategies {
            for measure in Measure::ALL.iter().filter(|measure| measure.kind() == Kind::Sampled) {
                let summary = of_summary(*measure, &strategy.summary);
                let block = of_block(*measure, &strategy.blocks[0], None);
                assert_eq!(summary.is_some(), block.is_some(), "{measure}");
                if let (Some(summary), Some(block)) = (summary, block) {
                    // The summary rounds to whole nanoseconds.
                    assert!((summary - block).abs() <= 1.0, "{measure}: {summary} {block}");
                }
            }
        }
    }

    #[test]
    fn what_is_counted_has_no_interval_and_what_is_sampled_has() {
        let evidence = evidence_of(&Sample { blocks: 6, ..Sample::default() }, |_| ());
        let poll = &evidence.points[0].strategies[0];
        let lost = estimate(Measure::EventsLost, poll, None).expect("counted");
        assert_eq!((lost.value, lost.interval, lost.blocks), (0.0, None, 6));
        let requests = estimate(Measure::RequestsPerEvent, poll, None).expect("sampled");
        let [low, high] = requests.interval.expect("six blocks");
        assert!(low <= requests.value && requests.value <= high);
        assert!(requests.confidence.expect("an interval") > 0.95);
        // Eight seconds hold too few events for a tail.
        assert_eq!(estimate(Measure::LatencyP999, poll, None), None);
        assert_eq!(estimate(Measure::CostMonth, poll, None), None, "no prices");
        let prices: Prices = serde_json::from_value(
            serde_json::json!({ "currency": "USD", "source-per-vcpu-hour": 0.05 }),
        )
        .expect("prices");
        assert!(estimate(Measure::CostMonth, poll, Some(&prices)).expect("prices").value > 0.0);
    }

    #[test]
    fn a_few_blocks_have_the_confidence_they_have() {
        for (values, confidence) in
            [(&[3.0][..], 0.0), (&[3.0, 1.0], 0.5), (&[3.0, 1.0, 2.0], 0.75), (&[2.0; 5], 0.9375)]
        {
            let found = of_values(values).expect("values");
            assert_eq!(found.confidence, Some(confidence));
        }
        assert_eq!(of_values(&[3.0, 1.0, 2.0]).expect("values").interval, Some([1.0, 3.0]));
        assert_eq!(of_values(&[]), None);
    }
}
