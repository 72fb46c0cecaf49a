//! A webhook, and a poll that finds what it missed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use super::reads::Reads;
use super::staleness::Staleness;
use super::webhook::Webhook;
use super::{Conditions, Form};

/// A webhook that misses some events, and a poll of the feed that reads them all.
///
/// An event is usable as soon as the first of the two brings it: the webhook with its first attempt
/// that succeeds, the poll after a wait that is uniform on \[d, G + d\]. If a share p of single
/// attempts fails, the mean is about (1 − p)·d + p·(G/2 + d). Requests: those of the webhook, and
/// 1/G a second. The poll reads the feed with a cursor of its own, so every event that the webhook
/// brings comes a second time: a copy beyond the first, save for those of the last gap if the
/// trial ends before they are read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReconciledWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// When the feed is read.
    pub reads: Reads,
}

/// The earlier of a moment and a wait that is uniform between two bounds.
fn earlier(at: Share, polled: Share, all: f64) -> [Share; 2] {
    let weight = at.weight * polled.weight / all;
    let before = at.to.clamp(polled.from, polled.to);
    let span = polled.to.saturating_sub(polled.from).as_secs_f64();
    let sooner = before.saturating_sub(polled.from).as_secs_f64();
    let share = if span > 0.0 { sooner / span } else { 0.0 };
    [
        Share { weight: weight * share, from: polled.from, to: before },
        Share { weight: weight * (1.0 - share), ..at },
    ]
}

impl ReconciledWebhook {
    /// `webhook` is the distribution of the share `brought` of events, and the poll's of all.
    fn latency(&self, conditions: &Conditions, webhook: Latency, brought: f64) -> Latency {
        let Latency::Mixture(polled) = self.reads.latency(conditions) else { return webhook };
        let posted = match webhook {
            Latency::Mixture(posted) => posted,
            Latency::AtLeast(_) if brought <= 0.0 => Vec::new(),
            webhook => return webhook,
        };
        let weights = |shares: &[Share]| shares.iter().map(|share| share.weight).sum::<f64>();
        let (all, posts) = (weights(&polled), weights(&posted).max(f64::MIN_POSITIVE));
        let mut shares = Vec::new();
        for read in polled {
            shares.push(Share { weight: (1.0 - brought) * read.weight / all, ..read });
            for post in &posted {
                let post = Share { weight: brought * post.weight / posts, ..*post };
                shares.extend(earlier(post, read, all));
            }
        }
        shares.retain(|share| share.weight > 0.0);
        Latency::Mixture(shares)
    }
}

impl Form for ReconciledWebhook {
    fn predict(&self, conditions: &Conditions) -> Prediction {
        let words = "webhook and reconciling poll: one request per event and one a gap between \
                     polls, which bring every event a second time; latency is the webhook's, and \
                     that of a poll for events it misses";
        let webhook = self.webhook.predict(conditions);
        let lost = webhook.count(Quantity::Lost).copied().unwrap_or_default();
        let brought = 1.0 - lost.per_delivery;
        let hooks = webhook.count(Quantity::Requests).copied();
        let latency = self.latency(conditions, webhook.latency, brought);
        let all = Count { edge: 0.0, ..Count::per_delivery(1.0, conditions) };
        let all = all.and(lost.scaled(-1.0));
        // A trial ends once every event has arrived, which may be just before the next poll.
        let last = conditions.rate.events_in(self.reads.longest());
        let unread = f64::from(conditions.subscribers) * (last + 3.0 * (last + 1.0).sqrt());
        let copies = all.or((all.expected - unread).max(0.0));
        let gap = self.reads.longest();
        let outage = self.webhook.retries.as_ref().and_then(|retries| retries.outage);
        let span = outage.map_or(conditions.window, |outage| Duration::from_nanos(outage.lasts));
        let prediction = Prediction {
            staleness: match outage {
                None => Staleness::of(conditions, &latency, 1.0, gap.mul_f64(1.0 - brought)),
                Some(_) => Staleness::of(conditions, &latency, 1.0, Duration::ZERO)
                    .zip(self.reads.staleness(conditions))
                    .map(|(all, polled)| all.and_for_a_while(polled, gap, span, conditions)),
            },
            rounds: Some(span.as_secs_f64() / gap.as_secs_f64()),
            alike: webhook.alike,
            ..Prediction::new(words, latency)
        };
        let requests = hooks.map(|hooks| hooks.and(self.reads.polls(conditions)));
        let prediction = prediction
            .with(Quantity::Requests, requests)
            .with(Quantity::Duplicated, hooks.map(|_| copies));
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
        let form = ReconciledWebhook { webhook: Webhook::plain(4), reads };
        let prediction = form.predict(&conditions);
        let copies = prediction.count(Quantity::Duplicated).expect("claimed");
        assert_eq!((copies.expected, copies.most), (400.0, 400.0));
        // 2 subscribers · (40 events + 3·√41)
        assert!((copies.least - (400.0 - 118.4)).abs() < 0.1, "{copies:?}");
    }
}
