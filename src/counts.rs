//! What was counted on one side of a conversation: exchanges, connections and bytes.

use std::ops::Sub;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Totals since a side started, or over a part of its life.
///
/// An exchange is counted once, under exactly one outcome, at the moment the outcome is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Exchanges that carried at least one event.
    pub useful: u64,
    /// Exchanges that succeeded and carried no event, a 304 apart.
    pub empty: u64,
    /// Exchanges answered 304: the client has the newest state already (RFC 9110, 15.4.5).
    pub not_modified: u64,
    /// Exchanges answered 429: the client asked too often (RFC 6585, 4).
    pub rate_limited: u64,
    /// Exchanges whose response is a stream of events, counted when it opens.
    pub streams: u64,
    /// Exchanges that ended in an error status, a broken connection, or a missed deadline.
    pub failed: u64,
    /// Exchanges that carry no events by their nature, such as registering a webhook.
    pub overhead: u64,
    /// Exchanges that repeat an attempt that failed; each is counted under its outcome too.
    pub retried: u64,
    /// Exchanges refused for want of right credentials; each is counted as failed too.
    pub denied: u64,
    /// Frames of streams that carry an event or keep the stream alive.
    pub messages: u64,
    /// Polls that were due but skipped because the one before was still under way.
    pub beats_missed: u64,
    /// Events whose delivery to a webhook was given up, once for each subscriber.
    pub dead_lettered: u64,
    /// Connections accepted or dialled.
    pub connections: u64,
    /// TLS handshakes finished, resumed ones included.
    pub handshakes: u64,
    /// TLS handshakes that resumed an earlier session.
    pub handshakes_resumed: u64,
    /// Bytes read from the sockets.
    pub bytes_received: u64,
    /// Bytes written to the sockets.
    pub bytes_sent: u64,
    /// Requests with the marks of a proxy on them (`Via`, `Forwarded`, `X-Forwarded-For`), or in
    /// another version of HTTP than the link speaks.
    #[serde(default)]
    pub middlemen: u64,
    /// Time from sending a request to holding its whole response, summed over the exchanges
    /// this side started, in nanoseconds.
    pub exchange_ns: u64,
    /// The number of exchanges in `exchange_ns`.
    pub exchanges_timed: u64,
}

/// How long the stretches are whose exchanges are counted over time.
pub const BIN: Duration = Duration::from_millis(100);

/// The most stretches that are counted: ten minutes of them. What comes later is counted in the
/// totals only.
pub const MOST_BINS: usize = 6_000;

/// What two ends of a TLS connection agreed on, as rustls names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSession {
    /// The version of the protocol, such as `TLSv1_3`.
    pub version: String,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The key exchange, such as `X25519MLKEM768`.
    pub key_exchange: String,
}

impl Counts {
    /// Exchanges of every outcome.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.useful
            + self.empty
            + self.not_modified
            + self.rate_limited
            + self.streams
            + self.failed
            + self.overhead
    }
}

impl Sub for Counts {
    type Output = Counts;

    /// What was counted since `earlier`, a snapshot of the same totals.
    fn sub(self, earlier: Counts) -> Counts {
        Counts {
            useful: self.useful - earlier.useful,
            empty: self.empty - earlier.empty,
            not_modified: self.not_modified - earlier.not_modified,
            rate_limited: self.rate_limited - earlier.rate_limited,
            streams: self.streams - earlier.streams,
            failed: self.failed - earlier.failed,
            overhead: self.overhead - earlier.overhead,
            retried: self.retried - earlier.retried,
            denied: self.denied - earlier.denied,
            messages: self.messages - earlier.messages,
            beats_missed: self.beats_missed - earlier.beats_missed,
            dead_lettered: self.dead_lettered - earlier.dead_lettered,
            connections: self.connections - earlier.connections,
            handshakes: self.handshakes - earlier.handshakes,
            handshakes_resumed: self.handshakes_resumed - earlier.handshakes_resumed,
            bytes_received: self.bytes_received - earlier.bytes_received,
            bytes_sent: self.bytes_sent - earlier.bytes_sent,
            middlemen: self.middlemen - earlier.middlemen,
            exchange_ns: self.exchange_ns - earlier.exchange_ns,
            exchanges_timed: self.exchanges_timed - earlier.exchanges_timed,
        }
    }
}
