//! The integration tests, one binary.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

/// What every mechanism promises, whoever adds it.
mod contract;
/// Killed, hanging and interrupted processes.
mod kill;
/// The program under test and the processes it starts.
mod program;
/// Rebuilding what is derived from a record.
mod report;
/// What a run leaves on disk.
mod run;
