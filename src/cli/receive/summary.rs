//! What came in all.

use hdrhistogram::Histogram;
use serde_json::json;

use crate::cli::grid::Grid;
use crate::cli::receive::Lines;
use crate::cli::receive::delivery::{Delivery, Latency, Verdict};
use crate::cli::receive::message::Stamp;
use crate::counts::Counts;
use crate::quantity;

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)];

/// Totals of all deliveries.
#[derive(Debug, Default)]
pub(super) struct Summary {
    deliveries: u64,
    refused: u64,
    events: u64,
    duplicates: u64,
    bytes: u64,
    connections: u64,
    /// By events' own times.
    by_time: Latencies,
    /// By the times of signing; apart, since whole seconds would spoil the finer ones.
    by_timestamp: Latencies,
}

/// Latencies by one of the sender's statements.
#[derive(Debug)]
struct Latencies {
    spread: Histogram<u64>,
    /// Deliveries that came before they were sent.
    ahead: u64,
}

impl Default for Latencies {
    fn default() -> Latencies {
        // Three digits are what is shown; the range grows with the values.
        let spread = Histogram::new(3).expect("three digits are possible");
        Latencies { spread, ahead: 0 }
    }
}

impl Latencies {
    fn add(&mut self, latency: Latency) {
        match u64::try_from(latency.nanoseconds) {
            Ok(nanoseconds) => self.spread.record(nanoseconds).expect("its range grows"),
            Err(_) => self.ahead += 1,
        }
    }

    fn is_empty(&self) -> bool {
        self.spread.is_empty() && self.ahead == 0
    }

    /// `null` where there is nothing to take a quantile of.
    fn object(&self) -> serde_json::Value {
        let value =
            |quantile| (!self.spread.is_empty()).then(|| self.spread.value_at_quantile(quantile));
        let mut object = json!({ "count": self.spread.len(), "sender_ahead": self.ahead });
        for (name, quantile) in QUANTILES {
            object[format!("{name}_ns")] = value(quantile).into();
        }
        object
    }
}

impl Summary {
    /// Adds a delivery. What was refused counts as that alone: nobody knows who sent it.
    pub(super) fn add(&mut self, delivery: &Delivery) {
        self.deliveries += 1;
        self.bytes += delivery.bytes;
        if let Verdict::Refused(_) = delivery.verdict {
            self.refused += 1;
            return;
        }
        self.events += delivery.events;
        self.duplicates += delivery.duplicates;
        if let Some(latency) = delivery.latency {
            match latency.by {
                Stamp::Time => self.by_time.add(latency),
                Stamp::WebhookTimestamp => self.by_timestamp.add(latency),
            }
        }
    }

    /// Takes over what the sockets counted.
    pub(super) fn close(&mut self, counts: &Counts) {
        self.connections = counts.connections;
    }

    pub(super) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The latencies there are, by the names of their statements.
    fn latencies(&self) -> impl Iterator<Item = (&'static str, &Latencies)> {
        [("time", &self.by_time), ("webhook-timestamp", &self.by_timestamp)]
            .into_iter()
            .filter(|(_, latencies)| !latencies.is_empty())
    }

    /// What has to be known to read the latencies, if there are any.
    pub(super) fn caveat(&self) -> Option<&'static str> {
        self.latencies().next().is_some().then_some(
            "latency is this clock's arrival minus the sender's own statement: between two \
             machines their clocks' difference is in it, and a webhook-timestamp counts whole \
             seconds",
        )
    }

    pub(super) fn shown(&self, format: Lines) -> anyhow::Result<String> {
        let totals = [
            ("deliveries", self.deliveries),
            ("refused", self.refused),
            ("events", self.events),
            ("duplicates", self.duplicates),
            ("bytes", self.bytes),
            ("connections", self.connections),
        ];
        match format {
            Lines::Json => {
                let mut object = json!({ "type": "summary" });
                for (name, total) in totals {
                    object[name] = total.into();
                }
                object["latency"] = json!({});
                for (name, latencies) in self.latencies() {
                    object["latency"][name] = latencies.object();
                }
                Ok(serde_json::to_string(&object)? + "\n")
            }
            Lines::Table => Ok(self.table(&totals)),
        }
    }

    fn table(&self, totals: &[(&str, u64)]) -> String {
        let mut grid = Grid::new(["counted", "total"]);
        for (name, total) in totals {
            grid.row(vec![(*name).to_owned(), quantity::count(*total)]);
        }
        for (by, latencies) in self.latencies() {
            for (name, quantile) in QUANTILES {
                if !latencies.spread.is_empty() {
                    let value = latencies.spread.value_at_quantile(quantile);
                    let name = format!("latency after its {by}, {name}");
                    grid.row(vec![name, quantity::nanoseconds(value)]);
                }
            }
            if latencies.ahead > 0 {
                let name = format!("arrived before its {by}");
                grid.row(vec![name, quantity::count(latencies.ahead)]);
            }
        }
        grid.table()
    }
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use crate::cli::receive::delivery::Latency;
    use crate::cli::receive::message::Stamp;

    #[test]
    fn latencies_of_any_length_are_held_to_three_digits() {
        let mut latencies = Latencies::default();
        for nanoseconds in [5_000_000, 7_000_000, -1, i64::MAX, 0, 6_000_000] {
            latencies.add(Latency { nanoseconds, by: Stamp::Time, resolution: 1 });
        }
        let object = latencies.object();
        assert_eq!((&object["count"], &object["sender_ahead"]), (&5.into(), &1.into()));
        let median = object["p50_ns"].as_u64().expect("a median");
        assert!(median.abs_diff(6_000_000) <= 6_000, "{object}");
        let most = object["max_ns"].as_u64().expect("a maximum");
        assert!(most >= i64::MAX.unsigned_abs() / 1000 * 999, "{object}");
    }
}
