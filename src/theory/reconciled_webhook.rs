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
/// that the webhook brought comes a second time: 1 − p copies beyond the first for each event,
/// save for those of the last gap if the trial ends before they are read again.
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
        let all = Count { edge: 0.0, ..Count::per_delivery(copies, conditions).deviating(chance) };
        // A trial ends once every event has arrived, which may be just before the next poll.
        let last = conditions.rate.events_in(self.reads.longest());
        let unread =
            f64::from(conditions.subscribers) * copies * (last + 3.0 * (last + 1.0).sqrt());
        let copies = all.or((all.expected - unread).max(0.0));
        let prediction = Prediction::new(words, self.latency(conditions, webhook.latency))
            .with(Quantity::Requests, hooks.and(self.reads.polls(conditions)))
            .with(Quantity::Duplicated, copies);
        self.reads.with_empty(prediction, conditions)
    }

    fn longest_wait(&self) -> Duration {
        self.reads.longest()
    }
}

#[cfg(test)]
mod tests {
    use super::super::prediction::Quantity;
    use super::super::reads::Reads;
    use super::super::webhook::Webhook;
    use super::super::{Beat, Conditions, Form};
    use super::ReconciledWebhook;
    use std::time::Duration;

    #[test]
    fn events_of_the_last_gap_need_not_be_read_again() {
        let window = Duration::from_secs(10);
        let exchange = Duration::from_millis(1);
        let conditions = Conditions { window, exchange, ..Conditions::poisson(20.0) };
        let reads = Reads::every(Duration::from_secs(2), Beat::FixedRate);
        let form = ReconciledWebhook { webhook: Webhook::plain(4), reads, missing: 0.0 };
        let prediction = form.predict(&conditions);
        let copies = prediction.count(Quantity::Duplicated).expect("claimed");
        assert_eq!((copies.expected, copies.most), (400.0, 400.0));
        // 2 subscribers · (40 events + 3·√41)
        assert!((copies.least - (400.0 - 118.4)).abs() < 0.1, "{copies:?}");
    }
}
