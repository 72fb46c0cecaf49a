//! What a strategy cost: exchanges, connections, bytes, CPU and memory.
//!
//! Exchanges and bytes are those on the source's sockets inside the window, because a client
//! may resend what nobody asked it to. Sums are over the blocks.

use super::summary::{Connections, Cpu, Memory, Messages, Requests, WireBytes};
use crate::record::trial::Measured;

/// Exchanges by outcome.
pub(crate) fn requests(blocks: &[&Measured], delivered: u64, allowed: Option<f64>) -> Requests {
    let sum = |figure: fn(&Measured) -> u64| total(blocks, figure);
    let total = sum(|measured| measured.source.window.exchanges());
    let refused = sum(|measured| measured.source.window.rate_limited);
    Requests {
        total,
        useful: sum(|measured| measured.source.window.useful),
        empty: sum(|measured| measured.source.window.empty),
        not_modified: sum(|measured| measured.source.window.not_modified),
        rate_limited: refused,
        first_rate_limited: blocks
            .iter()
            .filter_map(|measured| measured.source.first_rate_limited)
            .min(),
        quota_used: allowed
            .filter(|allowed| *allowed > 0.0)
            .map(|allowed| (total - refused) as f64 / allowed),
        streams: sum(|measured| measured.source.window.streams),
        overhead: sum(|measured| measured.source.window.overhead),
        failed: sum(|measured| measured.source.window.failed),
        denied: sum(|measured| measured.source.window.denied + measured.subscriber.window.denied),
        // Each side counts the attempts it repeats itself.
        retried: sum(|measured| {
            measured.source.window.retried + measured.subscriber.window.retried
        }),
        dead_lettered: sum(|measured| measured.source.window.dead_lettered),
        beats_missed: sum(|measured| measured.subscriber.window.beats_missed),
        per_event: per_event(total, delivered),
    }
}

/// Frames of streams, counted where they are written.
pub(crate) fn messages(blocks: &[&Measured]) -> Messages {
    Messages { total: total(blocks, |measured| measured.source.window.messages) }
}

/// Connections over the whole of every trial.
pub(crate) fn connections(blocks: &[&Measured]) -> Connections {
    let tls = blocks.iter().find_map(|measured| measured.tls.as_ref());
    Connections {
        opened: total(blocks, |measured| measured.source.whole.connections),
        handshakes: total(blocks, |measured| measured.source.whole.handshakes),
        resumed: total(blocks, |measured| measured.source.whole.handshakes_resumed),
        tls: tls.map(|tls| format!("{} {} {}", tls.version, tls.cipher_suite, tls.key_exchange)),
    }
}

/// Bytes in both directions.
pub(crate) fn bytes(blocks: &[&Measured], delivered: u64) -> WireBytes {
    let to_source = total(blocks, |measured| measured.source.window.bytes_received);
    let from_source = total(blocks, |measured| measured.source.window.bytes_sent);
    WireBytes { to_source, from_source, per_event: per_event(to_source + from_source, delivered) }
}

/// CPU time of both sides, without the pacer's and the witness's, and what they use while idle.
pub(crate) fn cpu(blocks: &[Reading<'_>], delivered: u64) -> Cpu {
    let sum = |figure: fn(&Measured) -> u64| {
        blocks.iter().map(|(measured, _)| figure(measured)).sum::<u64>()
    };
    let source = sum(|measured| measured.source.cpu_ns);
    let killed = blocks.iter().any(|(measured, _)| !measured.subscriber.lives.is_empty());
    let subscriber = (!killed).then(|| sum(|measured| measured.subscriber.cpu_ns));
    let rounded = |total: u64| (total + delivered / 2).checked_div(delivered);
    let idle_source = idle(blocks, |measured| {
        let span = measured.source.process.window.as_ref()?.idle_ns;
        Some((measured.source.idle_cpu_ns, span))
    });
    let idle_subscriber = idle(blocks, |measured| {
        let window = measured.subscriber.process.window.as_ref()?;
        Some((window.idle_cpu_ns, window.idle_ns))
    });
    let idle = idle_source.zip(idle_subscriber).zip(subscriber);
    let above = idle.and_then(|((source_idle, subscriber_idle), subscriber)| {
        rounded(source.saturating_sub(source_idle) + subscriber.saturating_sub(subscriber_idle))
    });
    Cpu {
        source,
        subscriber,
        per_event: subscriber.and_then(|subscriber| rounded(source + subscriber)),
        idle_source,
        idle_subscriber,
        per_event_above_idle: above,
    }
}

/// A measured block and the length of its window in nanoseconds.
pub(crate) type Reading<'a> = (&'a Measured, u64);

/// What a side uses while idle, as CPU time and the span it was used in, made as long as the
/// windows of all blocks.
fn idle(blocks: &[Reading<'_>], figure: impl Fn(&Measured) -> Option<(u64, u64)>) -> Option<u64> {
    let scaled = |(measured, window): &Reading<'_>| {
        let (cpu, span) = figure(measured).filter(|(_, span)| *span > 0)?;
        u64::try_from(u128::from(cpu) * u128::from(*window) / u128::from(span)).ok()
    };
    blocks.iter().map(scaled).sum()
}

/// The largest resident memory of any block.
pub(crate) fn memory(blocks: &[&Measured]) -> Memory {
    let largest = |figure: fn(&&Measured) -> u64| blocks.iter().map(figure).max().unwrap_or(0);
    Memory {
        source_peak: largest(|measured| measured.source.process.memory_peak),
        subscriber_peak: largest(|measured| measured.subscriber.process.memory_peak),
        source_lanes: blocks.iter().map(|measured| measured.source.lanes).max().unwrap_or(0),
    }
}

fn total(blocks: &[&Measured], figure: fn(&Measured) -> u64) -> u64 {
    blocks.iter().map(|measured| figure(measured)).sum()
}

fn per_event(total: u64, delivered: u64) -> Option<f64> {
    (delivered > 0).then(|| total as f64 / delivered as f64)
}

#[cfg(test)]
mod tests {
    use super::{bytes, connections, cpu, memory, requests};
    use crate::analysis::evidence::tests::measured;

    #[test]
    fn costs_are_summed_over_blocks_and_divided_by_deliveries() {
        let mut first = measured();
        first.source.window.useful = 30;
        first.source.window.empty = 10;
        first.source.window.failed = 2;
        first.source.window.overhead = 1;
        first.source.window.bytes_received = 1_000;
        first.source.window.bytes_sent = 9_000;
        first.source.whole.connections = 3;
        first.source.cpu_ns = 400;
        first.subscriber.cpu_ns = 600;
        let blocks = [&first, &first];
        let requests = requests(&blocks, 43, Some(100.0));
        assert_eq!((requests.total, requests.useful, requests.empty), (86, 60, 20));
        assert_eq!((requests.failed, requests.per_event), (4, Some(2.0)));
        assert_eq!((requests.quota_used, requests.first_rate_limited), (Some(0.86), None));
        let bytes = bytes(&blocks, 100);
        assert_eq!((bytes.to_source, bytes.from_source), (2_000, 18_000));
        assert_eq!(bytes.per_event, Some(200.0));
        assert_eq!(connections(&blocks).opened, 6);
        let blocks = [(&first, 8_000_000_000), (&first, 8_000_000_000)];
        let used = cpu(&blocks, 10);
        assert_eq!(used.per_event, Some(200));
        // In a span of 200 ms the sample's lane used 20 µs, its subscribers 40 µs.
        assert_eq!((used.idle_source, used.idle_subscriber), (Some(1_600_000), Some(3_200_000)));
        assert_eq!(used.per_event_above_idle, Some(0));
    }

    #[test]
    fn nothing_delivered_has_no_cost_per_event() {
        let measured = measured();
        assert_eq!(requests(&[&measured], 0, None).per_event, None);
        assert_eq!(bytes(&[], 0).per_event, None);
        assert_eq!(cpu(&[], 0).per_event, None);
        let mut silent = measured;
        silent.subscriber.process.window = None;
        assert_eq!(cpu(&[(&silent, 1)], 1).idle_subscriber, None);
    }

    #[test]
    fn memory_is_the_largest_of_any_block() {
        let (small, mut large) = (measured(), measured());
        large.source.process.memory_peak = 1 << 40;
        large.source.lanes = 4;
        let memory = memory(&[&small, &large, &small]);
        assert_eq!((memory.source_peak, memory.source_lanes), (1 << 40, 4));
    }
}
