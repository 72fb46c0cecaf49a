//! What a run leaves on disk: the only door between measuring and reading.
//!
//! A run is one folder. While it is measured it only grows: every finished trial is on disk
//! and synced before the next one starts, so a run that is killed at any moment keeps all the
//! trials it finished. Nothing here judges a number; that is the reading wing's work.

pub mod derived;
pub mod environment;
pub mod error;
pub mod folder;
pub mod histogram;
pub mod intervals;
pub mod join;
pub mod ledger;
pub mod limit;
pub mod manifest;
pub mod noise_floor;
mod numbers;
pub mod parquet_file;
mod parquet_pages;
mod plain;
pub mod run;
#[doc(hidden)]
pub mod sample;
pub mod seals;
mod shield;
pub mod trial;

mod atomic;
