//! What no run measures and a decision needs all the same: a checklist for each mechanism.
//!
//! These are declared, not measured; reports say so.

/// What one mechanism asks of both sides.
#[derive(Clone, Copy, Debug)]
pub struct Constraints {
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// Who has to be reachable from where.
    pub endpoint: &'static str,
    /// What stands between: address translation, firewalls, proxies.
    pub network: &'static str,
    /// In what order events come, and how often.
    pub ordering: &'static str,
    /// What has to be kept secret, and by whom.
    pub secrets: &'static str,
    /// What has to be run and watched.
    pub operations: &'static str,
}

impl Constraints {
    /// The headings and texts, in the order of reports.
    #[must_use]
    pub fn items(&self) -> [(&'static str, &'static str); 5] {
        [
            ("Public endpoint", self.endpoint),
            ("NAT and firewalls", self.network),
            ("Ordering and copies", self.ordering),
            ("Secrets", self.secrets),
            ("Operations", self.operations),
        ]
    }
}

/// The checklist of a mechanism; `None` of one that is only a control.
#[must_use]
pub fn of(mechanism: &str) -> Option<&'static Constraints> {
    CONSTRAINTS.iter().find(|constraints| constraints.mechanism == mechanism)
}

const OUTWARD: &str = "The subscriber connects outwards; no address of its own is needed.";
const CALLED_BACK: &str = "The source connects to the subscriber: a forwarded port, a gateway or a tunnel, and an \
     allow-list if the source’s addresses are known.";
const HTTPS_ENDPOINT: &str = "The subscriber must offer an HTTPS address that the source can reach, with a certificate it \
     trusts.";
const API_ENDPOINT: &str = "The source offers an API; the subscriber needs no endpoint.";
const CREDENTIALS: &str = "Credentials for the API, held and renewed by the subscriber.";
const WEBHOOK_SECRET: &str =
    "A signing secret shared by both sides, rotated without a gap, and a check against replays.";

const CONSTRAINTS: &[Constraints] = &[
    Constraints {
        mechanism: "poll",
        endpoint: API_ENDPOINT,
        network: OUTWARD,
        ordering: "In the order of the feed; a cursor decides what is read again after a crash.",
        secrets: CREDENTIALS,
        operations: "Watch the API’s rate limit, the cursor’s age and how long the feed keeps \
                     events; many pollers on the full minute arrive together.",
    },
    Constraints {
        mechanism: "long-poll",
        endpoint: API_ENDPOINT,
        network: "The subscriber connects outwards, but proxies and load balancers between must \
                  leave an answer waiting for as long as it is held.",
        ordering: "In the order of the feed; a cursor decides what is read again after a crash.",
        secrets: CREDENTIALS,
        operations: "The source holds one open request a subscriber; deployments cut them all at \
                     once.",
    },
    Constraints {
        mechanism: "webhook",
        endpoint: HTTPS_ENDPOINT,
        network: CALLED_BACK,
        ordering: "Any order and more than once, unless the provider promises otherwise: handlers \
                   must be idempotent.",
        secrets: WEBHOOK_SECRET,
        operations: "An endpoint that is always up, a queue behind it, and a way to get back what \
                     the provider gave up; check its retry schedule and when it disables an \
                     endpoint.",
    },
    Constraints {
        mechanism: "hybrid",
        endpoint: "Both: an HTTPS address of the subscriber for the notice, and the source’s API \
                   for the event.",
        network: CALLED_BACK,
        ordering: "Notices come in any order and more than once; the fetch returns the state it \
                   finds, which may be newer.",
        secrets: "Both a signing secret for the notices and credentials for the API.",
        operations: "Two paths to run and watch; a burst of notices becomes a burst of fetches \
                     against the rate limit.",
    },
    Constraints {
        mechanism: "webhook+reconcile",
        endpoint: "Both: an HTTPS address of the subscriber for webhooks, and the source’s API for \
                   the poll that repairs.",
        network: CALLED_BACK,
        ordering: "Any order and more than once, from two paths: handlers must be idempotent \
                   across both.",
        secrets: "Both a signing secret for webhooks and credentials for the API.",
        operations: "Two paths to run and watch; the poll’s interval is the longest that a lost \
                     webhook goes unnoticed.",
    },
    Constraints {
        mechanism: "sse",
        endpoint: API_ENDPOINT,
        network: "The subscriber connects outwards, but proxies between must neither buffer nor \
                  cut a response that never ends; heartbeats keep it open.",
        ordering: "In order on one stream; after a reconnection from the last event id, if the \
                   source can replay.",
        secrets: "Credentials for the stream, checked when it is opened: a long stream outlives \
                  a token.",
        operations: "One open connection a subscriber; watch reconnections, and how far back the \
                     source replays.",
    },
    Constraints {
        mechanism: "websocket",
        endpoint: API_ENDPOINT,
        network: "The subscriber connects outwards, but proxies between must let the connection \
                  upgrade and stay open; heartbeats keep it open.",
        ordering: "In order on one connection; after a reconnection from a cursor, if the source \
                   can replay.",
        secrets: "Credentials for the connection, checked when it is opened: a long connection \
                  outlives a token.",
        operations: "One open connection a subscriber, with state on both sides; watch \
                     reconnections, back-pressure, and how far back the source replays.",
    },
];

#[cfg(test)]
mod tests {
    use super::{CONSTRAINTS, of};

    #[test]
    fn every_text_is_whole_sentences() {
        for constraints in CONSTRAINTS {
            for (heading, text) in constraints.items() {
                assert!(text.ends_with('.') && !text.contains("  "), "{heading}: {text}");
            }
        }
    }

    #[test]
    fn a_control_has_no_checklist() {
        assert!(of("null").is_none() && of("poll").is_some());
    }
}
