//! What a run means: records in, summary and curves out.
//!
//! Pure: no clock, no network, nothing asynchronous, nothing random. The same run folder
//! gives the same summary to the byte, this year and next.

pub mod analyse;
pub mod figures;
pub mod summary;

mod blocks;
mod cost;
mod curves;
mod evidence;
mod latency;
mod model;
mod ratios;
mod staleness;
mod tide;
pub mod validity;
mod words;

pub use analyse::{Analysis, AnalysisError, analyse};
