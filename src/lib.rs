//! `pollpush` answers with evidence: for this integration, should we poll an API or be pushed to?
//!
//! The rooms of the house, in reading order. A room uses only rooms above it; a test holds
//! the table in `ARCHITECTURE.md` against every `use crate::…` line.

// Words everyone may use.
pub mod clock;
pub mod counts;
pub mod event;
pub mod schedule;
pub mod theory;
pub mod timer;
pub mod units;

// The measuring wing.
pub mod delivery;
pub mod meter;
pub mod plan;
pub mod scenario;
pub mod source;
pub mod subscriber;
pub mod trial;
pub mod wire;

// The door between the wings.
pub mod record;

// The reading wing.
pub mod analysis;
pub mod report;

pub mod cli;
