//! The physical limit beside the measurement: what raw sockets took in the same blocks.
//!
//! What a raw transfer means for a mechanism is its closed form's to say, evaluated as if its
//! exchanges were raw ones: a push takes one way, a hint and a read three, a poll half a gap and
//! one way. So one rule serves all, and what is beyond is the program's, its runtime's and its
//! protocol's.

use std::ops::Range;
use std::time::Duration;

use super::blocks::{Middle, median, middle};
use super::evidence::Block;
use super::latency::Quantile;
use super::summary::Limit;
use crate::network::asked::Network;
use crate::record::ledger::Ledger;
use crate::record::limit::{self, Calibration};
use crate::record::trial::{StrategyRecord, Workload};
use crate::theory::{Conditions, Form};
use crate::units::nanoseconds;

/// Standard errors within which a median is said to be no different from the limit's.
const NOISE: f64 = 2.0;

/// Standard errors by which a median must be too low before it is called impossible: one in three
/// million, and room for a median of medians, which varies by a quarter more.
const IMPOSSIBLE: f64 = 5.0;

/// The median time from an event's emission until it was usable, over the deliveries due in the
/// window: latency without the harness's own lag. `None` of too few events for a median.
pub(crate) fn delivery_p50(ledger: &Ledger, window: &Range<u64>) -> Option<u64> {
    let (mut times, mut events, mut last) = (Vec::new(), 0, None);
    for row in (0..ledger.rows()).filter(|row| window.contains(&ledger.due[*row])) {
        let sequence = ledger.sequence[row];
        events += u64::from(last.replace(sequence) != Some(sequence));
        let usable = ledger.usable[row];
        times.extend(usable.and_then(|usable| usable.checked_sub(ledger.emitted[row])));
    }
    // Many subscribers are late with the same event together.
    let support = events.min(times.len() as u64);
    let rank = times.len().div_ceil(2).checked_sub(1)?;
    let (_, median, _) = times.select_nth_unstable(rank);
    Quantile::P50.is_supported_by(support).then_some(*median)
}

/// What raw sockets took.
#[derive(Clone, Copy, Debug)]
struct Raw {
    one_way: u64,
    round_trip: u64,
    new_connection: u64,
}

impl Raw {
    fn median(limit: &limit::Limit) -> Raw {
        Raw {
            one_way: limit.one_way.p50,
            round_trip: limit.round_trip.p50,
            new_connection: limit.new_connection.p50,
        }
    }

    fn least(limit: &limit::Limit) -> Raw {
        Raw {
            one_way: limit.one_way.min,
            round_trip: limit.round_trip.min,
            new_connection: limit.new_connection.min,
        }
    }

    /// The lesser of each.
    fn or_less(self, other: Raw) -> Raw {
        Raw {
            one_way: self.one_way.min(other.one_way),
            round_trip: self.round_trip.min(other.round_trip),
            new_connection: self.new_connection.min(other.new_connection),
        }
    }

    /// The conditions of a strategy whose exchanges are raw transfers. A distance that is made
    /// inside the program is added: raw sockets did not travel it, as they do a path of packets.
    fn conditions(self, strategy: &StrategyRecord, workload: &Workload) -> Conditions {
        let travelled = workload.network.as_ref().is_some_and(Network::carries_packets);
        let rtt = workload.rtt.filter(|_| !travelled).unwrap_or_default();
        let one_way = Duration::from_nanos(self.one_way) + rtt / 2;
        let round_trip = Duration::from_nanos(self.round_trip) + rtt;
        let there = match strategy.set_up.checked_sub(1) {
            None => one_way,
            // A new connection is a round trip of TCP; every further one is TLS's.
            Some(more) => {
                Duration::from_nanos(self.new_connection) + rtt + rtt / 2 + round_trip * more
            }
        };
        Conditions {
            rate: workload.rate,
            arrivals: workload.arrivals.clone(),
            warm_up: workload.warm_up,
            window: workload.window,
            // As long as it takes: a median does not depend on the last of the events.
            drain: Duration::from_hours(1),
            subscribers: strategy.subscribers,
            exchange: there + one_way,
            // Forms that hold exchanges open take their way from here.
            rtt: Some(2 * one_way),
            server: Duration::ZERO,
            set_up: strategy.set_up,
            request_way: Some(there),
            dialling: strategy.set_up.max(1),
        }
    }
}

/// The latency that a share of events is claimed not to exceed, or the least latency where the
/// form claims no more: what a queue adds is no limit.
fn at_share(form: &dyn Form, conditions: &Conditions, share: f64) -> u64 {
    let latency = form.predict(conditions).latency;
    let claimed = latency.quantile(share.clamp(0.0, 1.0));
    nanoseconds(claimed.unwrap_or_else(|| latency.min()))
}

/// The limit and what the strategy took beyond it; `waits` is how many independent waits were
/// measured. `None` if no block has a calibration.
pub(crate) fn summarise(
    strategy: &StrategyRecord,
    blocks: &[Block],
    waits: Option<f64>,
) -> Option<Limit> {
    let calibrated: Vec<(&Block, &limit::Limit)> = blocks
        .iter()
        // A large message waits for TCP to find its speed, which busy connections have found.
        .filter(|block| {
            let Workload { network, payload, .. } = &block.workload;
            network.as_ref().is_none_or(|network| network.takes_at_once(*payload))
        })
        .filter_map(|block| Some((block, block.measured.limit.as_ref()?.limit()?)))
        .collect();
    let (first, typical) = *calibrated.first()?;
    let over_blocks = |of: fn(&limit::Limit) -> u64| {
        let values: Vec<u64> = calibrated.iter().map(|(_, limit)| of(limit)).collect();
        median(&values)
    };
    let deliveries: Vec<u64> =
        calibrated.iter().filter_map(|(block, _)| block.delivery_p50).collect();
    let mut limit = Limit {
        blocks: u32::try_from(calibrated.len()).unwrap_or(u32::MAX),
        one_way_p50: over_blocks(|limit| limit.one_way.p50)?,
        round_trip_p50: over_blocks(|limit| limit.round_trip.p50)?,
        new_connection_p50: over_blocks(|limit| limit.new_connection.p50)?,
        delivery_p50: median(&deliveries),
        ..Limit::default()
    };
    if let Some(theory) = &strategy.theory {
        let form = theory.form();
        let raw = calibrated.iter().map(|(_, limit)| Raw::least(limit)).reduce(Raw::or_less)?;
        let least = raw.conditions(strategy, &first.workload);
        // A median of n lies between those quantiles of the distribution that it is drawn from
        // whatever that is: the share of values below one varies with 0.5/√n.
        let error = 0.5 / waits.unwrap_or(1.0).max(1.0).sqrt();
        limit.floor = Some(at_share(form, &least, 0.5 - IMPOSSIBLE * error));
        let typical = Raw::median(typical).conditions(strategy, &first.workload);
        let [middle, above] =
            [0.5, 0.5 + NOISE * error].map(|share| at_share(form, &typical, share));
        limit.noise = Some(above - middle);
        add_overhead(&mut limit, form, strategy, &calibrated);
    }
    Some(limit)
}

/// Measured less limit, and measured over limit, block by block.
fn add_overhead(
    limit: &mut Limit,
    form: &dyn Form,
    strategy: &StrategyRecord,
    calibrated: &[(&Block, &limit::Limit)],
) {
    let (mut limits, mut overheads, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for (block, raw) in calibrated {
        let conditions = Raw::median(raw).conditions(strategy, &block.workload);
        let least = at_share(form, &conditions, 0.5);
        limits.push(least);
        if let Some(delivery) = block.delivery_p50 {
            overheads.push(delivery as f64 - least as f64);
            ratios.extend((least > 0).then(|| delivery as f64 / least as f64));
        }
    }
    limit.latency_p50 = median(&limits);
    if let Some(Middle { median, interval }) = middle(&overheads) {
        limit.overhead_p50 = Some(whole(median));
        limit.overhead_ci95 = interval.map(|(low, high, _)| [whole(low), whole(high)]);
    }
    if let Some(Middle { median, interval }) = middle(&ratios) {
        limit.ratio = Some(median);
        limit.ratio_ci95 = interval.map(|(low, high, _)| [low, high]);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "differences of latencies, and `as` saturates")]
fn whole(nanoseconds: f64) -> i64 {
    nanoseconds.round() as i64
}

/// Why a block has no limit, in words.
pub(crate) fn reason_without(block: &Block) -> Option<&str> {
    match &block.measured.limit {
        Some(Calibration::Measured(_)) => None,
        Some(Calibration::Failed(reason)) => Some(reason),
        None => Some("the run was made without calibration"),
    }
}

#[cfg(test)]
mod tests {
    use super::{delivery_p50, summarise};
    use crate::analysis::evidence::Block;
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::summary::Limit;
    use crate::record::ledger::Ledger;
    use crate::record::limit::{self, Calibration, Transfers};
    use crate::record::trial::StrategyRecord;
    use crate::schedule::Arrivals;
    use crate::theory::hybrid::Hybrid;
    use crate::theory::interval_poll::IntervalPoll;
    use crate::theory::long_poll::LongPoll;
    use crate::theory::reads::Reads;
    use crate::theory::stream::Stream;
    use crate::theory::webhook::Webhook;
    use crate::theory::{Beat, Theory};
    use crate::units::{Bytes, Rate};
    use std::time::Duration;

    const US: u64 = 1_000;

    /// Raw sockets that take 40 µs one way, 60 µs both, and 100 µs with a new connection.
    fn raw() -> limit::Limit {
        let transfers = |p50| Transfers { count: 20, min: p50 / 4, p50, p99: 2 * p50 };
        limit::Limit {
            rate: Rate::per_second(25.0).expect("a rate"),
            arrivals: Arrivals::Poisson,
            message: Bytes(1024),
            one_way: transfers(40 * US),
            round_trip: transfers(60 * US),
            new_connection: transfers(100 * US),
        }
    }

    /// Blocks with that calibration and these medians.
    fn blocks(deliveries: &[u64]) -> Vec<Block> {
        let block = evidence().points[0].strategies[0].blocks[0].clone();
        let with = |delivery: &u64| {
            let mut block = block.clone();
            block.measured.limit = Some(Calibration::Measured(raw()));
            block.delivery_p50 = Some(*delivery);
            block
        };
        deliveries.iter().map(with).collect()
    }

    fn strategy(theory: impl Into<Theory>, set_up: u32) -> StrategyRecord {
        StrategyRecord {
            incidents: Vec::new(),
            name: "a strategy".to_owned(),
            mechanism: String::new(),
            subscribers: 1,
            settings: serde_json::Value::Null,
            set_up,
            promise: crate::promise::Promise::COMPLETE,
            theory: Some(theory.into()),
        }
    }

    fn limit_of(theory: impl Into<Theory>, set_up: u32, blocks: &[Block]) -> Limit {
        summarise(&strategy(theory, set_up), blocks, Some(400.0)).expect("calibrated")
    }

    fn poll(milliseconds: u64, beat: Beat) -> IntervalPoll {
        let every = Duration::from_millis(milliseconds);
        IntervalPoll { reads: Reads::every(every, beat), limit: 100 }
    }

    #[test]
    fn every_mechanism_has_the_limit_of_its_own_ways() {
        let blocks = blocks(&[140 * US]);
        let hybrid = Hybrid { concurrency: 64, coalesce: false };
        let parked = LongPoll { hold: Duration::from_secs(30), rearm: Duration::ZERO };
        let stream = Stream { heartbeat: None, ends: None };
        for (theory, set_up, expected) in [
            (Theory::from(Webhook::plain(4)), 0, 40),
            (Webhook::plain(1).into(), 0, 40),
            (Webhook::plain(4).into(), 1, 100),
            // TLS shakes hands once more.
            (Webhook::plain(4).into(), 2, 160),
            (stream.into(), 0, 40),
            (parked.into(), 0, 40),
            (hybrid.clone().into(), 0, 120),
            (hybrid.into(), 1, 240),
            (poll(100, Beat::FixedRate).into(), 0, 50_040),
            // The answer travels a connection that is there by then.
            (poll(100, Beat::FixedRate).into(), 1, 50_040),
            (poll(100, Beat::FixedDelay).into(), 0, 50_080),
            (poll(100, Beat::FixedDelay).into(), 1, 50_110),
        ] {
            let limit = limit_of(theory.clone(), set_up, &blocks);
            assert_eq!(limit.latency_p50, Some(expected * US), "{theory:?} {set_up}");
        }
    }

    #[test]
    fn injected_distance_is_added_way_by_way() {
        let mut blocks = blocks(&[0]);
        blocks[0].workload.rtt = Some(Duration::from_millis(10));
        let limit = |theory: Theory, set_up| limit_of(theory, set_up, &blocks).latency_p50;
        assert_eq!(limit(Webhook::plain(4).into(), 0), Some(5_040 * US));
        assert_eq!(limit(Webhook::plain(4).into(), 1), Some(15_100 * US));
        assert_eq!(limit(Stream { heartbeat: None, ends: None }.into(), 0), Some(5_040 * US));
        assert_eq!(limit(poll(100, Beat::FixedRate).into(), 1), Some(55_040 * US));
    }

    #[test]
    fn overhead_is_taken_block_by_block_and_has_an_interval_with_enough_blocks() {
        let three = limit_of(Webhook::plain(4), 0, &blocks(&[140 * US, 240 * US, 160 * US]));
        assert_eq!((three.blocks, three.delivery_p50), (3, Some(160 * US)));
        assert_eq!((three.overhead_p50, three.overhead_ci95), (Some(120_000), None));
        assert_eq!((three.ratio, three.ratio_ci95), (Some(4.0), None));
        assert_eq!(three.noise, Some(0));
        let six: Vec<u64> = (1..=6).map(|block| 20 * US * block).collect();
        let six = limit_of(Webhook::plain(4), 0, &blocks(&six));
        assert_eq!(six.overhead_ci95, Some([-20_000, 80_000]));
        assert_eq!(six.ratio_ci95, Some([0.5, 3.0]));
    }

    #[test]
    fn the_floor_is_the_quickest_transfer_and_leaves_room_for_chance_where_events_wait() {
        let blocks = blocks(&[140 * US]);
        assert_eq!(limit_of(Webhook::plain(4), 0, &blocks).floor, Some(10 * US));
        // 400 waits: five standard errors of 2.5 % below the median, and two above it.
        let polled = limit_of(poll(100, Beat::FixedRate), 0, &blocks);
        assert_eq!(polled.floor, Some(37_510 * US));
        assert_eq!(polled.noise, Some(5_000 * US));
        // Of a wait or two nothing is impossible but to outrun the answer.
        let few = summarise(&strategy(poll(100, Beat::FixedRate), 0), &blocks, Some(2.0));
        assert_eq!(few.expect("calibrated").floor, Some(10 * US));
    }

    #[test]
    fn without_a_calibration_there_is_no_limit_and_without_a_form_only_the_raw_one() {
        let mut blocks = blocks(&[140 * US]);
        let mut nameless = strategy(Webhook::plain(4), 0);
        nameless.theory = None;
        let raw = summarise(&nameless, &blocks, None).expect("calibrated");
        assert_eq!((raw.one_way_p50, raw.round_trip_p50), (40 * US, 60 * US));
        assert_eq!((raw.new_connection_p50, raw.delivery_p50), (100 * US, Some(140 * US)));
        assert_eq!((raw.latency_p50, raw.overhead_p50, raw.floor), (None, None, None));
        blocks[0].measured.limit = Some(Calibration::Failed("no port".to_owned()));
        assert_eq!(summarise(&nameless, &blocks, None), None);
        assert_eq!(super::reason_without(&blocks[0]), Some("no port"));
    }

    #[test]
    fn a_delivery_is_timed_from_its_emission_and_stated_with_enough_events() {
        let mut ledger = Ledger::default();
        for sequence in 1..=21_u64 {
            let due = sequence * 1_000;
            ledger.subscriber.push(0);
            ledger.sequence.push(sequence);
            ledger.due.push(due);
            ledger.emitted.push(due + 300);
            // 1 to 21 µs, and the first one before the window.
            ledger.usable.push(Some(due + 300 + sequence * US));
        }
        assert_eq!(delivery_p50(&ledger, &(2_000..50_000)), Some(11 * US));
        assert_eq!(delivery_p50(&ledger, &(0..50_000)), Some(11 * US));
        assert_eq!(delivery_p50(&ledger, &(3_000..50_000)), None, "19 events");
        ledger.usable[20] = None;
        assert_eq!(delivery_p50(&ledger, &(2_000..50_000)), None, "one of them was lost");
        assert_eq!(delivery_p50(&Ledger::default(), &(0..1)), None);
    }
}
