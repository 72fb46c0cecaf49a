//! The summary as `summary.csv`: one row for each point and strategy.
//!
//! Column names carry their unit: `_ns` is nanoseconds, `_bytes` is bytes; a `_per_event` is
//! divided by delivered events. An empty cell is a figure that was withheld or cannot exist.
//! Names and order are stable; new columns are added at the end. A reader of spreadsheets
//! takes a text that begins with `=`, `+`, `-` or `@` for a formula, so such a text is
//! preceded by an apostrophe.

use crate::analysis::summary::{Limit, PointSummary, StrategySummary, Summary};

use super::wording;

/// A column: its name, and how its cell is read off a row.
type Column = (&'static str, fn(&Row<'_>) -> String);

/// What one row is about.
struct Row<'a> {
    summary: &'a Summary,
    point: &'a PointSummary,
    strategy: &'a StrategySummary,
}

const COLUMNS: &[Column] = &[
    ("run_id", |row| text(&row.summary.run_id)),
    ("verdict", |row| wording::verdict_word(row.summary.verdict.status).to_owned()),
    ("complete", |row| row.summary.complete.to_string()),
    ("parameters", |row| parameters(row.point)),
    ("strategy", |row| text(&row.strategy.name)),
    ("mechanism", |row| text(&row.strategy.mechanism)),
    ("subscribers", |row| row.strategy.subscribers.to_string()),
    ("blocks", |row| row.strategy.blocks.to_string()),
    ("blocks_planned", |row| row.strategy.blocks_planned.to_string()),
    ("events_emitted", |row| row.strategy.events.emitted.to_string()),
    ("events_delivered", |row| row.strategy.events.delivered.to_string()),
    ("events_coalesced", |row| row.strategy.events.coalesced.to_string()),
    ("events_lost", |row| row.strategy.events.lost.to_string()),
    ("events_duplicated", |row| row.strategy.events.duplicated.to_string()),
    ("events_reordered", |row| row.strategy.events.reordered.to_string()),
    ("latency_count", |row| row.strategy.latency.count.to_string()),
    ("latency_mean_ns", |row| cell(row.strategy.latency.mean)),
    ("latency_min_ns", |row| cell(row.strategy.latency.min)),
    ("latency_p50_ns", |row| cell(row.strategy.latency.p50)),
    ("latency_p90_ns", |row| cell(row.strategy.latency.p90)),
    ("latency_p95_ns", |row| cell(row.strategy.latency.p95)),
    ("latency_p99_ns", |row| cell(row.strategy.latency.p99)),
    ("latency_p999_ns", |row| cell(row.strategy.latency.p999)),
    ("latency_max_ns", |row| cell(row.strategy.latency.max)),
    ("latency_mean_ci95_low_ns", |row| cell(row.strategy.latency.ci95.mean.map(|ci| ci[0]))),
    ("latency_mean_ci95_high_ns", |row| cell(row.strategy.latency.ci95.mean.map(|ci| ci[1]))),
    ("latency_p50_ci95_low_ns", |row| cell(row.strategy.latency.ci95.p50.map(|ci| ci[0]))),
    ("latency_p50_ci95_high_ns", |row| cell(row.strategy.latency.ci95.p50.map(|ci| ci[1]))),
    ("latency_p99_ci95_low_ns", |row| cell(row.strategy.latency.ci95.p99.map(|ci| ci[0]))),
    ("latency_p99_ci95_high_ns", |row| cell(row.strategy.latency.ci95.p99.map(|ci| ci[1]))),
    ("lag_p50_ns", |row| cell(row.strategy.lag.p50)),
    ("lag_p99_ns", |row| cell(row.strategy.lag.p99)),
    ("lag_max_ns", |row| cell(row.strategy.lag.max)),
    ("requests_total", |row| row.strategy.requests.total.to_string()),
    ("requests_useful", |row| row.strategy.requests.useful.to_string()),
    ("requests_empty", |row| row.strategy.requests.empty.to_string()),
    ("requests_not_modified", |row| row.strategy.requests.not_modified.to_string()),
    ("requests_rate_limited", |row| row.strategy.requests.rate_limited.to_string()),
    ("first_rate_limited_ns", |row| cell(row.strategy.requests.first_rate_limited)),
    ("quota_used", |row| cell(row.strategy.requests.quota_used)),
    ("requests_streams", |row| row.strategy.requests.streams.to_string()),
    ("requests_overhead", |row| row.strategy.requests.overhead.to_string()),
    ("requests_failed", |row| row.strategy.requests.failed.to_string()),
    ("requests_denied", |row| row.strategy.requests.denied.to_string()),
    ("requests_retried", |row| row.strategy.requests.retried.to_string()),
    ("beats_missed", |row| row.strategy.requests.beats_missed.to_string()),
    ("dead_lettered", |row| row.strategy.requests.dead_lettered.to_string()),
    ("requests_per_event", |row| cell(row.strategy.requests.per_event)),
    ("messages_total", |row| row.strategy.messages.total.to_string()),
    ("connections_opened", |row| row.strategy.connections.opened.to_string()),
    ("tls_handshakes", |row| row.strategy.connections.handshakes.to_string()),
    ("tls_handshakes_resumed", |row| row.strategy.connections.resumed.to_string()),
    ("to_source_bytes", |row| row.strategy.bytes.to_source.to_string()),
    ("from_source_bytes", |row| row.strategy.bytes.from_source.to_string()),
    ("bytes_per_event", |row| cell(row.strategy.bytes.per_event)),
    ("cpu_source_ns", |row| row.strategy.cpu.source.to_string()),
    ("cpu_subscriber_ns", |row| cell(row.strategy.cpu.subscriber)),
    ("cpu_per_event_ns", |row| cell(row.strategy.cpu.per_event)),
    ("cpu_idle_source_ns", |row| cell(row.strategy.cpu.idle_source)),
    ("cpu_idle_subscriber_ns", |row| cell(row.strategy.cpu.idle_subscriber)),
    ("cpu_per_event_above_idle_ns", |row| cell(row.strategy.cpu.per_event_above_idle)),
    ("memory_source_peak_bytes", |row| row.strategy.memory.source_peak.to_string()),
    ("memory_subscriber_peak_bytes", |row| row.strategy.memory.subscriber_peak.to_string()),
    ("memory_source_lanes", |row| row.strategy.memory.source_lanes.to_string()),
    ("model_latency_mean_ns", |row| cell(model(row).and_then(|model| model.latency_mean))),
    ("model_latency_p50_ns", |row| cell(model(row).and_then(|model| model.latency_p50))),
    ("model_latency_p99_ns", |row| cell(model(row).and_then(|model| model.latency_p99))),
    ("model_requests", |row| cell(model(row).and_then(|model| model.requests))),
    ("model_empty", |row| cell(model(row).and_then(|model| model.empty))),
    ("model_agrees", |row| cell(model(row).and_then(|model| model.agrees))),
    ("latency_effective", |row| cell(row.strategy.latency.effective)),
    ("limit_one_way_p50_ns", |row| cell(row.strategy.limit.map(|limit| limit.one_way_p50))),
    ("limit_round_trip_p50_ns", |row| cell(row.strategy.limit.map(|limit| limit.round_trip_p50))),
    ("limit_new_connection_p50_ns", |row| {
        cell(row.strategy.limit.map(|limit| limit.new_connection_p50))
    }),
    ("limit_latency_p50_ns", |row| limited(row, |limit| limit.latency_p50)),
    ("limit_delivery_p50_ns", |row| limited(row, |limit| limit.delivery_p50)),
    ("limit_overhead_p50_ns", |row| limited(row, |limit| limit.overhead_p50)),
    ("limit_overhead_ci95_low_ns", |row| limited(row, |limit| limit.overhead_ci95.map(|ci| ci[0]))),
    ("limit_overhead_ci95_high_ns", |row| {
        limited(row, |limit| limit.overhead_ci95.map(|ci| ci[1]))
    }),
    ("limit_noise_ns", |row| limited(row, |limit| limit.noise)),
    ("limit_ratio", |row| limited(row, |limit| limit.ratio)),
    ("limit_floor_ns", |row| limited(row, |limit| limit.floor)),
    ("staleness_share", |row| cell(row.strategy.staleness.map(|staleness| staleness.share))),
    ("age_mean_ns", |row| cell(row.strategy.staleness.and_then(|staleness| staleness.age_mean))),
    ("age_max_ns", |row| cell(row.strategy.staleness.and_then(|staleness| staleness.age_max))),
    ("model_staleness_share", |row| cell(claimed(row, "staleness.share"))),
    ("model_lost", |row| cell(claimed(row, "events.lost"))),
];

/// Writes a heading line and one line for each point and strategy.
#[expect(clippy::missing_panics_doc, reason = "writing to memory cannot fail")]
#[must_use]
pub fn summary(summary: &Summary) -> String {
    const MEMORY: &str = "writing to memory cannot fail";
    let mut output = csv::Writer::from_writer(Vec::new());
    output.write_record(COLUMNS.iter().map(|(name, _)| name)).expect(MEMORY);
    for point in &summary.points {
        for strategy in &point.strategies {
            let row = Row { summary, point, strategy };
            output.write_record(COLUMNS.iter().map(|(_, read)| read(&row))).expect(MEMORY);
        }
    }
    let bytes = output.into_inner().expect(MEMORY);
    String::from_utf8(bytes).expect("every cell is text")
}

fn model<'a>(row: &Row<'a>) -> Option<&'a crate::analysis::summary::Model> {
    row.strategy.model.as_ref()
}

/// A figure of the physical limit, where there is one.
fn limited<T: ToString>(row: &Row<'_>, read: fn(&Limit) -> Option<T>) -> String {
    cell(row.strategy.limit.as_ref().and_then(read))
}

/// What theory expects of a figure.
fn claimed(row: &Row<'_>, quantity: &str) -> Option<f64> {
    let claim = model(row)?.claims.iter().find(|claim| claim.quantity == quantity);
    claim.map(|claim| claim.expected)
}

fn parameters(point: &PointSummary) -> String {
    let pairs: Vec<String> =
        point.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    text(&pairs.join(";"))
}

fn cell<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A text that no spreadsheet takes for a formula.
fn text(value: &str) -> String {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{value}")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::sample;

    #[test]
    fn a_run_is_one_row_for_each_point_and_strategy() {
        insta::assert_snapshot!(super::summary(&sample::summary()));
        assert_eq!(super::summary(&sample::swept().0).lines().count(), 7);
    }

    #[test]
    fn every_column_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            super::COLUMNS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), super::COLUMNS.len());
    }

    #[test]
    fn hostile_names_stay_in_their_cell_and_are_no_formula() {
        let mut summary = sample::summary();
        summary.points[0].strategies.truncate(1);
        summary.points[0].strategies[0].name = "=SUM(A1), \"x\"\nnext".to_owned();
        let text = super::summary(&summary);
        assert!(text.contains("\"'=SUM(A1), \"\"x\"\"\nnext\""), "{text}");
    }
}
