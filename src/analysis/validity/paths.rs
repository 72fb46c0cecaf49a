//! Checks of the path between source and subscribers: is it what was asked for?

use std::f64::consts::{FRAC_PI_2, SQRT_2};
use std::time::Duration;

use super::limits::{LOST_ON_THE_WAY, NEAR_ROUND_TRIP, OVERRUN, RAW_ROUND_TRIP, ROUND_TRIP};
use super::meters::where_known;
use super::{CheckStatus, Finding, blocks, strategies};
use crate::analysis::evidence::{Block, Evidence};
use crate::analysis::words;
use crate::network::asked::Network;
use crate::network::tier::Tier;
use crate::network::traffic::Crossed;
use crate::network::way::spell;
use crate::record::limit::Calibration;
use crate::units::{BitRate, nanoseconds};

/// A deviation below this is the tier's own time, which every exchange over it takes, in
/// nanoseconds: a wake-up of the router each way.
const OWN_TIME: f64 = 1e6;

/// Bytes of the headers of a packet of TCP, with time stamps.
const HEADERS: usize = 52;

/// Bytes that a packet of the path carries behind them.
const SEGMENT: usize = 1_500 - HEADERS;

/// Bytes of an answer in a calibration.
const ANSWER: usize = 16;

/// Over a distant path no exchange is quicker than its round trip.
pub(super) fn round_trip(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let asked = nanoseconds(block.workload.rtt?) as f64;
        let sides = [block.measured.source.window, block.measured.subscriber.window];
        let timed: u64 = sides.iter().map(|side| side.exchanges_timed).sum();
        let time: u64 = sides.iter().map(|side| side.exchange_ns).sum();
        let got = (timed > 0).then(|| time as f64 / timed as f64)?;
        let chance = block
            .workload
            .network
            .as_ref()
            .map_or(0.0, |network| 3.0 * standard_error(network, timed, block.workload.window));
        Some(Finding::by(ROUND_TRIP, 1.0 - (got + chance) / asked, || {
            format!(
                "{place}: asked for a round trip of {}, exchanges took {} on average",
                words::time(asked),
                words::time(got)
            )
        }))
    });
    let unknown = "no round trip was asked for, or no exchange was timed";
    where_known(findings, unknown, "no exchange was quicker than the round trip of the path")
}

/// The path of a block that packets crossed.
fn crossed(block: &Block) -> Option<&Network> {
    block.workload.network.as_ref().filter(|network| network.carries_packets())
}

/// Raw sockets over the path must take the round trip that was asked for.
pub(super) fn raw_round_trip(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let network = crossed(block)?;
        let limit = block.measured.limit.as_ref().and_then(Calibration::limit)?;
        // A larger one takes further round trips, as it should.
        network.takes_at_once(limit.message).then_some(())?;
        let sending = |rate: Option<BitRate>, bytes: usize| {
            let all = bytes + HEADERS * bytes.div_ceil(SEGMENT).max(1);
            rate.map_or(0, |rate| nanoseconds(rate.time_of(all)))
        };
        let message = sending(network.rate, limit.message.as_usize());
        let asked = nanoseconds(network.rtt) + message + sending(network.rate_up, ANSWER);
        let (asked, got) = (asked as f64, limit.round_trip.p50 as f64);
        // The median of normal values has a larger standard error than their mean.
        let count = limit.round_trip.count;
        let over = network.rtt.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let chance = 3.0 * FRAC_PI_2.sqrt() * standard_error(network, count, over);
        let off = ((got - asked).abs() - chance).max(0.0);
        let judged = if off < OWN_TIME { NEAR_ROUND_TRIP } else { RAW_ROUND_TRIP };
        (asked > 0.0).then(|| {
            Finding::by(judged, off / asked, || {
                format!(
                    "{place}: asked for a round trip of {}, raw sockets took {} in the median",
                    words::time(asked),
                    words::time(got)
                )
            })
        })
    });
    let unknown = "no packets crossed a distance, or raw sockets were not measured";
    where_known(findings, unknown, "raw sockets took the round trip that was asked for")
}

/// The standard error that jitter gives the mean of so many round trips in so much time, in
/// nanoseconds.
///
/// Both ways have their own jitter. A way takes a spell to become another: round trips that follow
/// each other faster are not independent, and a time has half as many values as spells (the mean
/// over a time has the variance of one value for every 1.6 of them).
fn standard_error(network: &Network, count: u64, over: Duration) -> f64 {
    if network.jitter.is_zero() {
        return 0.0;
    }
    let spell = if network.reorder { Duration::ZERO } else { spell(network.jitter) };
    let values = over.as_secs_f64() / (2.0 * spell.as_secs_f64());
    let independent = values.min(count as f64).max(1.0);
    nanoseconds(network.jitter) as f64 * SQRT_2 / independent.sqrt()
}

/// The share of packets lost must be what was asked for.
pub(super) fn lost_on_the_way(evidence: &Evidence) -> Finding {
    let findings = strategies(evidence).map(|(point, strategy)| {
        let network = strategy.blocks.iter().find_map(crossed)?;
        let mut all = Crossed::default();
        for used in strategy.blocks.iter().filter_map(|block| block.measured.network) {
            all += used.traffic.down;
            all += used.traffic.up;
        }
        (all.packets > 0).then(|| {
            let deviations = deviations(network, all);
            Finding::by(LOST_ON_THE_WAY, deviations, || {
                format!(
                    "{}: {} of {} packets were lost, where {} were asked for: {deviations:.0} \
                     standard deviations",
                    super::place(point, strategy),
                    all.lost,
                    all.packets,
                    network.loss
                )
            })
        })
    });
    let unknown = "no packets crossed a path";
    where_known(findings, unknown, "as many packets were lost as were asked for")
}

/// How many standard deviations the number of lost packets is from what was asked for.
fn deviations(network: &Network, all: Crossed) -> f64 {
    let (share, packets) = (network.loss.share(), all.packets as f64);
    let expected = share * packets;
    // Packets lost in a row add up as often as they are many, both ways.
    let burst = 2.0 * f64::from(network.loss_burst) - 1.0;
    let variance = expected * (1.0 - share) * burst;
    // One packet is the least that can differ, and where few are expected it is no deviation.
    ((all.lost as f64 - expected).abs() - 1.0).max(0.0) / (variance + 1.0).sqrt()
}

/// What makes the path must keep up.
pub(super) fn overrun(evidence: &Evidence) -> Finding {
    let findings = blocks(evidence).map(|(place, _, block)| {
        let traffic = block.measured.network?.traffic;
        let missed = traffic.down.overrun + traffic.up.overrun;
        let all = traffic.down.packets + traffic.up.packets + missed;
        Some(Finding::by(OVERRUN, missed as f64, || {
            format!(
                "{place}: {missed} of {all} packets never entered the path, since the router was \
                 too busy to take them"
            )
        }))
    });
    where_known(findings, "no packets crossed a path", "every packet entered its path")
}

/// What lies between source and subscribers, and what that means for the numbers.
pub(super) fn network_path(evidence: &Evidence) -> Finding {
    let mut paths = strategies(evidence).flat_map(|(_, strategy)| &strategy.blocks);
    let network = paths.find_map(|block| block.workload.network.as_ref());
    let own = "use these numbers to compare strategies, not as latencies of a production network";
    let message = match network {
        Some(network) if network.tier == Some(Tier::Sockets) => format!(
            "{network}: made inside the program, which delays bytes and not packets; TCP finds \
             loopback under it, so nothing here holds of connections, slow start or loss over a \
             network; {own}"
        ),
        Some(network) => format!(
            "{network}: packets cross it with the kernel's own TCP at both ends, of MTU 1500; what \
             is between real hosts besides is not in it; {own}"
        ),
        None => {
            let mut paths = strategies(evidence).flat_map(|(_, strategy)| &strategy.blocks);
            let rtt = paths.find_map(|block| block.workload.rtt);
            let distance = match rtt {
                None => "no wire, no distance".to_owned(),
                Some(rtt) => format!(
                    "no wire; a round trip of {} injected in the program",
                    words::time(nanoseconds(rtt) as f64)
                ),
            };
            format!(
                "loopback only: {distance}, MTU 65536, and the receiver's kernel work is billed \
                 to the sender; {own}"
            )
        }
    };
    Finding::new(CheckStatus::Info, message)
}

/// Whether a path is asked to make TCP send again.
pub(super) fn sends_again(block: &Block) -> bool {
    block.workload.network.as_ref().is_some_and(|network| !network.only_delays())
}

#[cfg(test)]
mod tests {
    use super::{deviations, lost_on_the_way, network_path, overrun, raw_round_trip, round_trip};
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::evidence::{Block, Evidence};
    use crate::analysis::summary::CheckStatus;
    use crate::network::asked::Network;
    use crate::network::tier::Tier;
    use crate::network::traffic::{Crossed, Traffic};
    use crate::record::limit::{Calibration, Transfers};
    use crate::record::trial::NetworkUse;
    use crate::units::{BitRate, Bytes, Percentage};
    use std::time::Duration;

    const FAR: Duration = Duration::from_millis(70);

    /// Evidence of paths through the router.
    fn over(network: &Network, change: impl Fn(&mut Block)) -> Evidence {
        let mut evidence = evidence();
        let strategies = &mut evidence.points[0].strategies;
        for block in strategies.iter_mut().flat_map(|strategy| &mut strategy.blocks) {
            block.workload.rtt = network.round_trip();
            block.workload.network = Some(network.clone());
            change(block);
        }
        evidence
    }

    fn router() -> Network {
        Network { rtt: FAR, tier: Some(Tier::Router), ..Network::default() }
    }

    /// Raw sockets took so long.
    fn took(block: &mut Block, round_trip: Duration) {
        let Some(Calibration::Measured(limit)) = &mut block.measured.limit else {
            panic!("the sample has a calibration")
        };
        let nanoseconds = crate::units::nanoseconds(round_trip);
        limit.round_trip = Transfers { p50: nanoseconds, ..limit.round_trip };
    }

    #[test]
    fn an_exchange_quicker_than_its_round_trip_was_never_delayed() {
        assert_eq!(round_trip(&evidence()).status, CheckStatus::Unavailable);
        for (rtt, expected) in [(300, CheckStatus::Pass), (320, CheckStatus::Fail)] {
            let mut evidence = evidence();
            let block = &mut evidence.points[0].strategies[0].blocks[1];
            block.workload.rtt = Some(Duration::from_micros(rtt));
            assert_eq!(round_trip(&evidence).status, expected, "{rtt}");
        }
    }

    #[test]
    fn jitter_may_make_exchanges_quicker_as_far_as_chance_goes() {
        // A minute has 250 independent ways of 15 ms each: the mean is known to 1.3 ms.
        let network = Network { jitter: Duration::from_millis(15), ..router() };
        for (micros, jitter, expected) in [
            (67_000, true, CheckStatus::Pass),
            (67_000, false, CheckStatus::Fail),
            (63_000, true, CheckStatus::Fail),
        ] {
            let network = if jitter { network.clone() } else { router() };
            let found = round_trip(&over(&network, |block| {
                block.workload.window = Duration::from_mins(1);
                let window = &mut block.measured.subscriber.window;
                (window.exchanges_timed, window.exchange_ns) = (1_000, 1_000 * micros * 1_000);
                block.measured.source.window.exchanges_timed = 0;
                block.measured.source.window.exchange_ns = 0;
            }));
            assert_eq!(found.status, expected, "{micros} {jitter}: {}", found.message);
        }
    }

    #[test]
    fn raw_sockets_must_take_what_was_asked_to_two_percent() {
        assert_eq!(raw_round_trip(&evidence()).status, CheckStatus::Unavailable);
        for (micros, expected) in [
            (70_000, CheckStatus::Pass),
            (71_300, CheckStatus::Pass),
            (71_500, CheckStatus::Fail),
            (68_500, CheckStatus::Fail),
        ] {
            let found = raw_round_trip(&over(&router(), |block| {
                took(block, Duration::from_micros(micros));
            }));
            assert_eq!(found.status, expected, "{micros}: {}", found.message);
        }
        // Twenty round trips with a jitter of 15 ms each way, as six independent ones: 11 ms.
        let jittery = Network { jitter: Duration::from_millis(15), ..router() };
        for (millis, expected) in [(90, CheckStatus::Pass), (110, CheckStatus::Fail)] {
            let found = raw_round_trip(&over(&jittery, |block| {
                took(block, Duration::from_millis(millis));
                let Some(Calibration::Measured(limit)) = &mut block.measured.limit else { return };
                limit.round_trip.count = 20;
            }));
            assert_eq!(found.status, expected, "{millis}: {}", found.message);
        }
        // A millisecond of the tier's own is told, where it is much.
        let near = Network { rtt: Duration::from_millis(1), ..router() };
        let found = raw_round_trip(&over(&near, |block| took(block, Duration::from_micros(1_400))));
        assert_eq!(found.status, CheckStatus::Info, "{}", found.message);
        // Inside the program raw sockets are not delayed.
        let inside = Network { tier: Some(Tier::Sockets), ..router() };
        let found = raw_round_trip(&over(&inside, |block| took(block, Duration::from_micros(40))));
        assert_eq!(found.status, CheckStatus::Unavailable);
    }

    #[test]
    fn a_limited_rate_makes_a_message_slower_by_its_length() {
        // 64 kbit/s are 8 bytes a millisecond.
        let rate = Some(BitRate::of(64_000));
        let slow = Network { rate, rate_up: rate, ..router() };
        let bytes = |block: &Block| {
            let limit = block.measured.limit.as_ref().and_then(Calibration::limit);
            limit.expect("measured").message.as_usize() + 2 * 52 + 16
        };
        let found = raw_round_trip(&over(&slow, |block| {
            let sending = Duration::from_secs_f64(bytes(block) as f64 / 8_000.0);
            took(block, FAR + sending);
        }));
        assert_eq!(found.status, CheckStatus::Pass, "{}", found.message);
        let found = raw_round_trip(&over(&slow, |block| took(block, FAR)));
        assert_eq!(found.status, CheckStatus::Fail);
        // Each packet of a message has headers of its own: ten take 4 ms at 1 Mbit/s.
        let rate = Some(BitRate::of(1_000_000));
        let rtt = Duration::from_millis(10);
        let slow = Network { rtt, rate, rate_up: rate, ..router() };
        let packets = 10;
        let bytes = 14_000 + packets * 52 + 16 + 52;
        for (bytes, expected) in [(bytes, CheckStatus::Pass), (bytes - 9 * 52, CheckStatus::Fail)] {
            let found = raw_round_trip(&over(&slow, |block| {
                took(block, rtt + Duration::from_secs_f64(f64::from(bytes) / 125_000.0));
                let Some(Calibration::Measured(limit)) = &mut block.measured.limit else { return };
                limit.message = Bytes(14_000);
            }));
            assert_eq!(found.status, expected, "{bytes}: {}", found.message);
        }
    }

    #[test]
    fn losses_other_than_asked_are_noticed_once_they_cannot_be_chance() {
        assert_eq!(lost_on_the_way(&evidence()).status, CheckStatus::Unavailable);
        let lossy = Network { loss: Percentage::of(1.0), ..router() };
        let lost = |network: &Network, lost| {
            let down = Crossed { packets: 10_000, lost, ..Crossed::default() };
            let traffic = Traffic { down, ..Traffic::default() };
            let used = Some(NetworkUse { traffic, cpu_ns: 1 });
            lost_on_the_way(&over(network, |block| block.measured.network = used))
        };
        assert_eq!(lost(&lossy, 100).status, CheckStatus::Pass);
        let found = lost(&lossy, 160);
        assert_eq!(found.status, CheckStatus::Fail);
        assert!(found.message.contains("were asked for"), "{}", found.message);
        assert_eq!(lost(&router(), 0).status, CheckStatus::Pass);
        assert_eq!(lost(&router(), 50).status, CheckStatus::Fail);
        // One packet more or less is nothing, and bursts vary more.
        let all = |lost| Crossed { packets: 100, lost, ..Crossed::default() };
        assert!(deviations(&router(), all(1)) < 1e-9);
        let bursts = Network { loss_burst: 10, ..lossy.clone() };
        assert!(deviations(&bursts, all(10)) < deviations(&lossy, all(10)) / 2.0);
    }

    #[test]
    fn packets_that_nobody_took_are_a_caveat() {
        assert_eq!(overrun(&evidence()).status, CheckStatus::Unavailable);
        let missed = |overrun| {
            let up = Crossed { packets: 10, overrun, ..Crossed::default() };
            let used = NetworkUse { traffic: Traffic { up, ..Traffic::default() }, cpu_ns: 1 };
            super::overrun(&over(&router(), |block| block.measured.network = Some(used)))
        };
        assert_eq!(missed(0).status, CheckStatus::Pass);
        assert_eq!(missed(1).status, CheckStatus::Warn);
    }

    #[test]
    fn the_tier_is_named_in_every_run() {
        assert!(network_path(&evidence()).message.starts_with("loopback only: no wire"));
        let message = network_path(&over(&router(), |_| ())).message;
        assert!(message.starts_with("round trip 70ms; tier router: packets"), "{message}");
        let inside = Network { tier: Some(Tier::Sockets), ..router() };
        let message = network_path(&over(&inside, |_| ())).message;
        assert!(message.contains("nothing here holds of connections"), "{message}");
    }
}
