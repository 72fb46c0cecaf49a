//! The source: what emits events, the same for every mechanism.

pub mod dispatch;
pub mod feed;
pub mod item;
pub mod lane;
pub mod latest;
pub mod log;
pub mod pacer;
pub mod parking;
pub mod stream;
pub mod subscriptions;
pub mod trail;
