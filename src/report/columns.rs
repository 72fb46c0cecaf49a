//! The columns of comparison tables, which written reports share.

use crate::analysis::summary::StrategySummary;

use super::wording;
use crate::quantity::{bytes, count, nanoseconds, or_absent, percent, ratio};

/// A column of a table of strategies.
pub(super) struct Column {
    /// What it belongs to, such as `latency`.
    pub(super) group: &'static str,
    /// Its own heading.
    pub(super) heading: &'static str,
    /// Its cell for a strategy.
    pub(super) read: fn(&StrategySummary) -> String,
    /// The confidence interval of the cell, of at least 95 %, if there is one.
    pub(super) interval: fn(&StrategySummary) -> Option<String>,
}

const fn column(
    group: &'static str,
    heading: &'static str,
    read: fn(&StrategySummary) -> String,
) -> Column {
    Column { group, heading, read, interval: |_| None }
}

impl Column {
    const fn with_interval(self, interval: fn(&StrategySummary) -> Option<String>) -> Column {
        Column { interval, ..self }
    }
}

/// How soon events came, and what became of them.
pub(super) const OUTCOME: &[Column] = &[
    column("latency", "mean", |s| or_absent(s.latency.mean, nanoseconds))
        .with_interval(|s| s.latency.ci95.mean.map(wording::interval)),
    column("latency", "p50", |s| or_absent(s.latency.p50, nanoseconds))
        .with_interval(|s| s.latency.ci95.p50.map(wording::interval)),
    column("latency", "p90", |s| or_absent(s.latency.p90, nanoseconds)),
    column("latency", "p99", |s| or_absent(s.latency.p99, nanoseconds))
        .with_interval(|s| s.latency.ci95.p99.map(wording::interval)),
    column("latency", "max", |s| or_absent(s.latency.max, nanoseconds)),
    column("events", "delivered", |s| count(s.events.delivered)),
    column("events", "effective", |s| or_absent(s.latency.effective, count)),
    column("events", "lost", |s| count(s.events.lost)),
    column("out of date", "share of time", wording::out_of_date).with_interval(|s| {
        let [low, high] = s.staleness?.ci95?;
        Some(format!("{} to {}", percent(low), percent(high)))
    }),
    column("lag", "p50", |s| or_absent(s.lag.p50, nanoseconds)),
    column("lag", "max", |s| or_absent(s.lag.max, nanoseconds)),
];

/// What a delivered event cost, on either side.
pub(super) const COST: &[Column] = &[
    column("requests", "per event", |s| or_absent(s.requests.per_event, ratio)),
    column("requests", "empty", wording::empty_share),
    column("bytes per event", "from source", |s| each(s.bytes.from_source, s, bytes)),
    column("bytes per event", "to source", |s| each(s.bytes.to_source, s, bytes)),
    column("CPU per event", "source", |s| wording::time_per_event(s.cpu.source, s)),
    column("CPU per event", "subscriber", |s| {
        or_absent(s.cpu.subscriber, |cpu| wording::time_per_event(cpu, s))
    }),
    column("CPU per event", "above idle, both", wording::above_idle),
    column("peak memory", "source", wording::source_memory),
    column("peak memory", "subscriber", |s| bytes(s.memory.subscriber_peak as f64)),
    column("connections", "opened", |s| count(s.connections.opened)),
];

/// What raw sockets allow; shown where they were measured.
pub(super) const LIMITS: &[Column] = &[
    column("raw sockets", "one way", |s| or_absent(s.limit.map(|l| l.one_way_p50), nanoseconds)),
    column("raw sockets", "round trip", |s| {
        or_absent(s.limit.map(|limit| limit.round_trip_p50), nanoseconds)
    }),
    column("raw sockets", "new connection", |s| {
        or_absent(s.limit.map(|limit| limit.new_connection_p50), nanoseconds)
    }),
    column("median latency", "limit", |s| {
        or_absent(s.limit.and_then(|limit| limit.latency_p50), nanoseconds)
    }),
    column("median latency", "measured, without lag", |s| {
        or_absent(s.limit.and_then(|limit| limit.delivery_p50), nanoseconds)
    }),
    column("overhead", "beyond the limit", wording::overhead),
    column("overhead", "times the limit", wording::times_limit),
];

/// A sum over the windows divided by delivered events.
fn each(total: u64, strategy: &StrategySummary, write: fn(f64) -> String) -> String {
    let delivered = strategy.events.delivered;
    or_absent((delivered > 0).then(|| total as f64 / delivered as f64), write)
}
