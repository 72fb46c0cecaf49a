//! The integration tests, one binary.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

/// What every mechanism promises, whoever adds it.
mod contract;
/// The documents name nothing that does not exist.
mod documents;
/// Which room may use which: the table in `ARCHITECTURE.md`, held against the code.
mod layers;
