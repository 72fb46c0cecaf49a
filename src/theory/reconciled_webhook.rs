//! A webhook, and a poll that finds what it missed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::reads::Reads;
use super::webhook::Webhook;
use super::{Conditions, Form};

/// A webhook that misses a share p of the events, and a poll of the feed that reads them all.
///
/// Latency is the webhook's with 1 − p and the poll's with p: about (1 − p)·d + p·(G/2 + d).
/// Requests: λ + 1/G a second. The poll reads the feed with a cursor of its own, so every event
/// that the webhook brought comes a second time: 1 − p copies beyond the first for each event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReconciledWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// When the feed is read.
    pub reads: Reads,
    /// The share p of events that the webhook does not bring.
    pub missing: f64,
}

impl ReconciledWebhook {
    fn latency(&self, conditions: &Conditions, webhook: Latency) -> Latency {
        if self.missing == 0.0 {
            return webhook;
        }
        let Latency::Mixture(polled) = self.reads.latency(conditions) else { return webhook };
        let all: f64 = polled.iter().map(|share| share.weight).sum();
        let at = self.webhook.least(conditions);
        let mut shares = vec![Share { weight: 1.0 - self.missing, from: at, to: at }];
        let missed = |share: Share| Share { weight: share.weight * self.missing / all, ..share };
        shares.extend(polled.into_iter().map(missed));
        Latency::Mixture(shares)
    }
}

impl Form for ReconciledWebhook {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "webhook and reconciling poll: one request per event and one a gap between \
                     polls, which bring every event a second time; latency is the webhook's, and \
                     that of a poll for events it misses";
        let webhook = self.webhook.predict(conditions);
        let hooks = webhook.count(Quantity::Requests).copied().unwrap_or_default();
        let copies = 1.0 - self.missing;
        let chance = (conditions.deliveries() * copies * self.missing).sqrt();
        // A trial that holds everything ends, and what came after the last poll stays single.
        let edge = conditions.rate.events_in(self.reads.longest() + conditions.exchange).max(1.0);
        let copies = Count { edge, ..Count::per_delivery(copies, conditions).deviating(chance) };
        let prediction = Prediction::new(words, self.latency(conditions, webhook.latency))
            .with(Quantity::Requests, hooks.and(self.reads.polls(conditions)))
            .with(Quantity::Duplicated, copies);
        self.reads.with_empty(prediction, conditions)
    }

    fn longest_wait(&self) -> Duration {
        self.reads.longest()
    }
}
