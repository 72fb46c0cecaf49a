//! What a strategy promises of its deliveries, so that a broken promise can be told from a
//! property of the strategy.

use serde::{Deserialize, Serialize};

/// Promises of a strategy with its settings, while nothing but the strategy itself can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Promise {
    /// Every event arrives. Without it, a loss is a result: of a bounded window that a slow
    /// poller misses, of a stream that does not replay, of deliveries that are not repeated.
    pub complete: bool,
    /// Events arrive in the order they were emitted.
    pub ordered: bool,
    /// An event may be replaced by a later one before it arrives, as the states of a snapshot
    /// are: where a later event arrived, one that did not is coalesced and not lost.
    pub coalesces: bool,
}

impl Promise {
    /// Every event arrives, in whatever order.
    pub const COMPLETE: Promise = Promise { complete: true, ordered: false, coalesces: false };

    /// Every event arrives, in the order of the log.
    pub const COMPLETE_AND_ORDERED: Promise = Promise { ordered: true, ..Promise::COMPLETE };

    /// Whether nothing more will arrive once the newest event has: what comes in order and may
    /// leave events out.
    #[must_use]
    pub fn ends_with_the_newest(self) -> bool {
        self.ordered && (self.coalesces || !self.complete)
    }
}
