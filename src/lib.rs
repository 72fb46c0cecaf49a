//! `pollpush` answers with evidence: for this integration, should we poll an API or be pushed to?
//!
//! The rooms of the house, in reading order. A room uses only rooms above it; a test holds
//! the table in `ARCHITECTURE.md` against every `use crate::…` line.

// Words everyone may use.
mod quantity;
mod spelling;
pub mod units;

pub mod measure;

pub mod aim;
pub mod search;
pub mod stopping;

pub mod digest;

pub mod clock;
pub mod counts;
pub mod event;
pub mod fault;
pub mod incident;
pub mod promise;
pub mod schedule;
pub mod theory;

// The floors of the measuring wing, from the ground up.
pub mod affinity;
pub mod timer;

pub mod machine;
pub mod meter;
pub mod network;
pub mod wire;

pub mod source;
pub mod subscriber;

pub mod delivery;

pub mod scenario;

pub mod plan;

// The door between the wings.
pub mod record;

// The top of the measuring wing.
pub mod trial;

// The reading wing.
pub mod analysis;

pub mod report;

// The front of the house.
pub mod cli;
