//! Retrying a failed delivery: when, how often, and when to give up.
//!
//! Everything here is pure: moments come in as values and so do random numbers, so a schedule of
//! three days is tested in a millisecond. [`RetryPolicy`] is what a scenario says,
//! [`Schedule`] what runs, [`Attempts`] what has become of one message so far. After every
//! attempt [`Attempts::decide`] says what is [`Next`].
//!
//! The rules are those of Standard Webhooks 1.0: only a 2xx status is success; redirects are
//! failures and never followed; no answer in time is a failure; 410 disables the endpoint; a
//! `Retry-After` is waited for at least.

mod attempts;
mod budget;
mod policy;
mod preset;
mod schedule;

#[cfg(test)]
mod tests;

pub use attempts::{Attempts, Ending, GaveUp, Next};
pub use budget::RetryBudget;
pub use policy::{MOST_RETRIES, RetryPolicy};
pub use preset::Preset;
pub use schedule::{Anchor, Jitter, Schedule, TimeScale, TimeScaleError};
