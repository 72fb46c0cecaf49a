//! What crossed the paths of a trial, as whoever carried it counted it.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What crossed the path of one strategy, from the first packet to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// From the source to subscribers.
    pub down: Crossed,
    /// From subscribers to the source.
    pub up: Crossed,
}

/// What entered one direction of a path, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crossed {
    /// Packets that entered.
    pub packets: u64,
    /// Their bytes, headers of IP included.
    pub bytes: u64,
    /// Those of them that were lost, as the path is asked to lose them.
    pub lost: u64,
    /// Those of them that found the buffer before the path full.
    pub dropped: u64,
    /// Packets that never entered: the router was too slow to take them from the kernel.
    pub overrun: u64,
}

impl AddAssign for Crossed {
    fn add_assign(&mut self, other: Crossed) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.dropped += other.dropped;
        self.overrun += other.overrun;
    }
}
