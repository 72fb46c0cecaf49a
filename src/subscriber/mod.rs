//! The subscriber: what receives events, the same for every mechanism.

pub mod backoff;
pub mod beat;
pub mod harm;
pub mod inbox;
pub mod journal;
pub mod post;
pub mod receiver;
