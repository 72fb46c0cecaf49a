//! What providers of webhooks publish about their retries.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::retry::{Anchor, Jitter, Schedule};

/// The published schedule of a provider.
///
/// The first attempt is made at once and is not in the lists; every wait is from the preceding
/// failure unless said otherwise.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// No retries.
    None,
    /// Standard Webhooks 1.0.0, its example schedule: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h,
    /// 20 h, 24 h; answers within 15 to 30 s. It asks for jitter and gives no amount: ±10 % here.
    /// Source: the specification, "Deliverability and reliability".
    StandardWebhooks,
    /// Svix: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h; answers within 15 s.
    /// Source: <https://docs.svix.com/retries>.
    Svix,
    /// GitHub: no automatic retry; answers within 10 s. Source: docs.github.com, "Handling failed
    /// webhook deliveries" and "Best practices for using webhooks".
    #[serde(rename = "github")]
    GitHub,
    /// Slack Events API: at once, 1 min, 5 min; answers within 3 s.
    /// Source: Slack's documentation as others quote it.
    Slack,
    /// Shopify since 2024-09-10: 8 within 4 h, here doubling to fill them; answers within 5 s.
    /// Source: shopify.dev as others quote it.
    Shopify,
    /// Recurly: 10 retries, after 10 + x·2^(x+5) s with x from 0; answers within 5 s.
    /// Source: <https://docs.recurly.com/recurly-subscriptions/docs/automatic-retries> and
    /// <https://docs.recurly.com/docs/webhooks>.
    Recurly,
    /// Ticket Tailor: the `n`th attempt `n`⁴ s after the first, 22 attempts.
    /// Source: its documentation as others quote it.
    TicketTailor,
    /// Pusher Beams: 10, 30, 120, 300 s; answers within 3 s. Source:
    /// <https://docs.bird.com/pusher/beams/beams/webhooks/beams-webhook-timeouts-and-retries>.
    PusherBeams,
    /// Circle: 1, 10, 30 s, 1, 15 min, 1, 3, 5, 6, 10, 11 h.
    /// Source: <https://developers.circle.com/cpn/references/webhook-retries>.
    Circle,
    /// Brevo: 10 min, 1 h, 2 h, 8 h; a 4xx status other than 429 ends it.
    /// Source: <https://developers.brevo.com/docs/retry-mechanism>.
    Brevo,
    /// Sanity since 2026-04-29: twice, 30 s apart. Source: Sanity's changelog as others quote it.
    Sanity,
    /// Prolific: 11 retries, at most 1 min, 2 min, and so on doubling, with full jitter, within
    /// 24 h, which here cut the last one short. Source:
    /// <https://docs.prolific.com/api-reference/webhooks/event-delivery-and-retry-logic>.
    Prolific,
    /// NMI: 15 s, 3 × 1 min, 5, 15, 30 min, 10 × 1 h, 2 × 12 h, 24 h.
    /// Source: <https://docs.nmi.com/reference/retry-logic>.
    Nmi,
    /// REST Hooks: 5 s, 30 s, 5 min, 1 h; the pattern's example goes on without saying how.
    /// Source: resthooks.org.
    RestHooks,
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn m(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

const fn h(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

const STANDARD_WEBHOOKS: [Duration; 9] =
    [s(5), m(5), m(30), h(2), h(5), h(10), h(14), h(20), h(24)];
const SVIX: [Duration; 7] = [s(5), m(5), m(30), h(2), h(5), h(10), h(10)];
const SLACK: [Duration; 3] = [s(0), m(1), m(5)];
const PUSHER_BEAMS: [Duration; 4] = [s(10), s(30), s(120), s(300)];
const CIRCLE: [Duration; 11] =
    [s(1), s(10), s(30), m(1), m(15), h(1), h(3), h(5), h(6), h(10), h(11)];
const BREVO: [Duration; 4] = [m(10), h(1), h(2), h(8)];
const SANITY: [Duration; 2] = [s(30), s(30)];
const NMI_FIRST: [Duration; 7] = [s(15), m(1), m(1), m(1), m(5), m(15), m(30)];
const NMI_LAST: [Duration; 3] = [h(12), h(12), h(24)];
const REST_HOOKS: [Duration; 4] = [s(5), s(30), m(5), h(1)];

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 15] = [
        Preset::None,
        Preset::StandardWebhooks,
        Preset::Svix,
        Preset::GitHub,
        Preset::Slack,
        Preset::Shopify,
        Preset::Recurly,
        Preset::TicketTailor,
        Preset::PusherBeams,
        Preset::Circle,
        Preset::Brevo,
        Preset::Sanity,
        Preset::Prolific,
        Preset::Nmi,
        Preset::RestHooks,
    ];

    /// The schedule in real time.
    #[must_use]
    pub fn schedule(self) -> Schedule {
        let (waits, timeout) = match self {
            Preset::None => (Vec::new(), None),
            Preset::StandardWebhooks => (STANDARD_WEBHOOKS.to_vec(), Some(s(15))),
            Preset::Svix => (SVIX.to_vec(), Some(s(15))),
            Preset::GitHub => (Vec::new(), Some(s(10))),
            Preset::Slack => (SLACK.to_vec(), Some(s(3))),
            Preset::Shopify => (shopify(), Some(s(5))),
            Preset::Recurly => ((0..10).map(|x| s(10 + (x << (x + 5)))).collect(), Some(s(5))),
            Preset::TicketTailor => ((2..=22_u64).map(|n| s(n.pow(4))).collect(), None),
            Preset::PusherBeams => (PUSHER_BEAMS.to_vec(), Some(s(3))),
            Preset::Circle => (CIRCLE.to_vec(), None),
            Preset::Brevo => (BREVO.to_vec(), None),
            Preset::Sanity => (SANITY.to_vec(), None),
            Preset::Prolific => (prolific(), None),
            Preset::Nmi => ([&NMI_FIRST[..], &[h(1); 10], &NMI_LAST].concat(), None),
            Preset::RestHooks => (REST_HOOKS.to_vec(), None),
        };
        let jitter = match self {
            Preset::StandardWebhooks => Jitter::Proportional(0.1),
            Preset::Prolific => Jitter::Full,
            _ => Jitter::None,
        };
        let anchor = match self {
            Preset::TicketTailor => Anchor::FirstAttempt,
            _ => Anchor::PrecedingFailure,
        };
        let gives_up_on_4xx = self == Preset::Brevo;
        Schedule { waits: waits.into(), anchor, jitter, timeout, gives_up_on_4xx }
    }
}

/// Eight waits that double and together fill four hours.
fn shopify() -> Vec<Duration> {
    let first = h(4) / ((1 << 8) - 1);
    (0..8).map(|retry| first * (1 << retry)).collect()
}

/// Ten waits that double from a minute on, and what then remains of a day.
fn prolific() -> Vec<Duration> {
    let mut waits: Vec<Duration> = (0..10).map(|retry| m(1 << retry)).collect();
    waits.push(h(24).saturating_sub(waits.iter().sum()));
    waits
}
