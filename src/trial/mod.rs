//! A trial: the coordinator, its workers, and what they say to each other.
//!
//! The coordinator plans, launches, waits and collects; workers measure. Nothing crosses the
//! control channel while a trial is being measured.

mod calibration;
pub mod control;
pub mod coordinator;
pub mod crew;
mod machine_watch;
mod mischief;
mod network_worker;
mod ordeal;
mod paths;
pub mod rows;
pub mod run;
pub mod source_worker;
pub mod subscriber_worker;
mod witness;
pub mod worker;
