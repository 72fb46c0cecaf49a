//! The integration tests, one binary.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

/// What every mechanism promises, whoever adds it.
mod contract;
