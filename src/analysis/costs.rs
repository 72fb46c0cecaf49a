//! What strategies cost in a month at the prices of the scenario.

use super::evidence::{Block, Evidence, StrategyEvidence};
use super::measure::{cpu_above_idle, of_values};
use super::summary::{Basis, Bill, Costs, PointCosts, SideBill, StrategyCosts};
use crate::aim::{Prices, SidePrices};

/// Hours of a month: those of a year, divided by twelve, as cloud providers bill.
pub(crate) const HOURS: f64 = 730.0;

/// What a side does in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Load {
    requests: Option<f64>,
    bytes: Option<f64>,
    /// CPU time in seconds.
    cpu: Option<f64>,
}

/// What both sides pay in a month.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bills {
    source: SideBill,
    subscriber: SideBill,
}

impl Bills {
    /// Both sides together.
    pub(crate) fn total(&self) -> f64 {
        self.source.total + self.subscriber.total
    }
}

/// What the strategy would cost in a month of seconds like those of a block's window.
pub(crate) fn of_block(block: &Block, prices: &Prices) -> Bills {
    scaled(block, prices, 1.0)
}

/// The same with so many times the subscribers: exchanges, bytes and the CPU time above idle grow
/// with them, what a side uses while idle does not.
fn scaled(block: &Block, prices: &Prices, times: f64) -> Bills {
    let (source, subscriber) = (&block.measured.source, &block.measured.subscriber);
    let seconds = block.workload.window.as_secs_f64();
    let each_second = |total: u64| times * total as f64 / seconds;
    let above = cpu_above_idle(block).unwrap_or((source.cpu_ns, subscriber.cpu_ns));
    let cpu = |used: u64, above: u64| {
        (used.saturating_sub(above) as f64 + times * above as f64) / 1e9 / seconds
    };
    let requests = Some(each_second(source.window.exchanges()));
    let source = Load {
        requests,
        bytes: Some(each_second(source.window.bytes_sent)),
        cpu: Some(cpu(source.cpu_ns, above.0)),
    };
    let subscriber = Load {
        requests,
        bytes: Some(each_second(block.measured.source.window.bytes_received)),
        // What a killed life used died with it.
        cpu: subscriber.lives.is_empty().then(|| cpu(subscriber.cpu_ns, above.1)),
    };
    Bills {
        source: bill(source, prices.source()),
        subscriber: bill(subscriber, prices.subscriber()),
    }
}

/// What a load costs in a month.
fn bill(load: Load, prices: SidePrices) -> SideBill {
    let month = HOURS * 3_600.0;
    let of = |each_second: Option<f64>, price: Option<f64>, unit: f64| {
        Some(each_second? * month / unit * price?)
    };
    let requests = of(load.requests, prices.million_requests, 1e6);
    let bytes = of(load.bytes, prices.gigabyte, 1e9);
    let cpu = of(load.cpu, prices.vcpu_hour, 3_600.0);
    let total = [requests, bytes, cpu].into_iter().flatten().sum();
    SideBill { requests, bytes, cpu, total }
}

/// What every strategy of a run costs.
pub(crate) fn costs(evidence: &Evidence, prices: &Prices) -> Costs {
    let point = |point: &super::evidence::PointEvidence| PointCosts {
        parameters: point.parameters.clone(),
        strategies: point.strategies.iter().map(|strategy| of_strategy(strategy, prices)).collect(),
    };
    Costs {
        currency: prices.currency.clone(),
        hours: HOURS,
        points: evidence.points.iter().map(point).collect(),
        assumptions: ASSUMPTIONS.iter().map(|words| (*words).to_owned()).collect(),
    }
}

const ASSUMPTIONS: [&str; 4] = [
    "every second of a month of 730 hours is like a second of the window; a busier hour costs more",
    "each side pays for every exchange, for the bytes that it sends itself, and for the CPU time \
     that was used, not for what is reserved and idle",
    "modelled: the exchanges that the closed form expects, and nothing else",
    "extrapolated: exchanges, bytes and CPU time above idle grow with the subscribers, every one of \
     whom is owed every event; no batching, cache or queue between them is taken into account",
];

fn of_strategy(strategy: &StrategyEvidence, prices: &Prices) -> StrategyCosts {
    let subscribers = u64::from(strategy.summary.subscribers);
    let mut bills = Vec::new();
    bills.extend(scaled_bill(strategy, prices, subscribers));
    bills.extend(modelled(strategy, prices));
    let others = prices.subscribers.iter().filter(|asked| **asked != subscribers);
    bills.extend(others.filter_map(|asked| scaled_bill(strategy, prices, *asked)));
    StrategyCosts { strategy: strategy.summary.name.clone(), bills }
}

/// What was measured, with so many subscribers; `None` if nothing was.
fn scaled_bill(strategy: &StrategyEvidence, prices: &Prices, subscribers: u64) -> Option<Bill> {
    let measured = u64::from(strategy.summary.subscribers);
    let times = subscribers as f64 / measured.max(1) as f64;
    let blocks: Vec<Bills> =
        strategy.blocks.iter().map(|block| scaled(block, prices, times)).collect();
    let totals: Vec<f64> = blocks.iter().map(Bills::total).collect();
    let total = of_values(&totals)?;
    let basis = if subscribers == measured { Basis::Measured } else { Basis::Extrapolated };
    Some(Bill {
        basis,
        subscribers,
        source: side(&blocks, |bills| bills.source),
        subscriber: side(&blocks, |bills| bills.subscriber),
        total: total.value,
        interval: total.interval,
        confidence: total.confidence,
    })
}

/// Medians over blocks of everything that a side pays.
fn side(blocks: &[Bills], of: fn(&Bills) -> SideBill) -> SideBill {
    let median = |figure: fn(&SideBill) -> Option<f64>| {
        let values: Option<Vec<f64>> = blocks.iter().map(|bills| figure(&of(bills))).collect();
        Some(of_values(&values?)?.value)
    };
    SideBill {
        requests: median(|side| side.requests),
        bytes: median(|side| side.bytes),
        cpu: median(|side| side.cpu),
        total: median(|side| Some(side.total)).unwrap_or_default(),
    }
}

/// What the exchanges cost that the closed form expects; `None` where it claims none, or where
/// exchanges cost nothing.
fn modelled(strategy: &StrategyEvidence, prices: &Prices) -> Option<Bill> {
    let requests = strategy.summary.model.as_ref()?.requests?;
    let windows: f64 =
        strategy.blocks.iter().map(|block| block.workload.window.as_secs_f64()).sum();
    let load = Load { requests: Some(requests / windows), ..Load::default() };
    let source = bill(load, prices.source());
    let subscriber = bill(load, prices.subscriber());
    source.requests.or(subscriber.requests)?;
    Some(Bill {
        basis: Basis::Modelled,
        subscribers: u64::from(strategy.summary.subscribers),
        source,
        subscriber,
        total: source.total + subscriber.total,
        interval: None,
        confidence: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{HOURS, costs};
    use crate::aim::Prices;
    use crate::analysis::evidence::tests::evidence_of;
    use crate::analysis::summary::{Basis, Bill};
    use crate::record::sample::Sample;

    fn prices() -> Prices {
        serde_json::from_value(serde_json::json!({
            "currency": "USD",
            "source-per-million-requests": 1.0,
            "subscriber-per-gb": 0.1,
            "source-per-vcpu-hour": 0.05,
            "subscribers": [1, 1_000],
        }))
        .expect("prices")
    }

    fn bills(strategy: usize) -> Vec<Bill> {
        let evidence = evidence_of(&Sample { blocks: 6, ..Sample::default() }, |_| ());
        costs(&evidence, &prices()).points[0].strategies[strategy].bills.clone()
    }

    #[test]
    fn a_month_of_polls_costs_its_requests() {
        let [measured, modelled, thousand] = &bills(0)[..] else { panic!("three bills") };
        assert_eq!((measured.basis, measured.subscribers), (Basis::Measured, 1));
        // Four polls a second.
        let month = 4.0 * HOURS * 3_600.0 / 1e6;
        let requests = measured.source.requests.expect("priced");
        assert!((requests / month - 1.0).abs() < 0.05, "{requests} {month}");
        assert_eq!(measured.subscriber.requests, None, "no price");
        assert_eq!(measured.source.bytes, None);
        let [low, high] = measured.interval.expect("six blocks");
        assert!(low <= measured.total && measured.total <= high);
        assert_eq!((modelled.basis, modelled.source.cpu), (Basis::Modelled, None));
        assert!((modelled.total / month - 1.0).abs() < 0.01, "{}", modelled.total);
        assert_eq!((thousand.basis, thousand.subscribers), (Basis::Extrapolated, 1_000));
        let times = thousand.source.requests.expect("priced") / requests;
        assert!((times - 1_000.0).abs() < 1e-6);
        // What is used while idle is used once.
        let cpu = |bill: &Bill| bill.source.cpu.expect("priced");
        assert!(cpu(thousand) < 1_000.0 * cpu(measured));
        assert!(cpu(thousand) > 100.0 * cpu(measured));
    }

    #[test]
    fn what_was_not_measured_costs_nothing_to_know() {
        let evidence = evidence_of(&Sample::default(), |run| run.records.clear());
        let found = costs(&evidence, &prices());
        assert!(found.points[0].strategies.iter().all(|strategy| strategy.bills.is_empty()));
    }
}
