//! What a run means: records in, summary and curves out.
//!
//! Pure: no clock, no network, nothing asynchronous, nothing random but with a fixed seed. The
//! same run folder gives the same summary to the byte, this year and next.

pub mod analyse;
pub mod compare;
pub mod figures;
pub mod measure;
pub mod precision;
pub mod projection;
pub mod provenance;
pub mod search;
pub mod summary;

mod blocks;
mod change;
mod conditions;
mod cost;
mod costs;
mod crossover;
mod curves;
mod decide;
mod effective;
mod evidence;
mod gaps;
mod latency;
mod limit;
mod model;
mod noise;
mod paired;
mod phases;
mod probability;
mod ratios;
mod series;
mod staleness;
mod thresholds;
mod tide;
mod trend;
mod two_samples;
pub mod validity;
mod words;

pub use analyse::{Analysis, AnalysisError, analyse};
