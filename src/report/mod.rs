//! Reports: the summary and the curves of a run, as text and pictures.
//!
//! Everything here is pure: values in, text or bytes out, the same bytes every time. A
//! report only presents. It never computes a figure that the analysis left out, and what
//! the analysis withheld is shown as `—`.

pub mod answer;
pub mod cite;
pub mod constraints;
pub mod csv;
pub mod files;
pub mod html;
pub mod index;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod plot;
pub mod table;
pub mod two_runs;

mod background;
mod columns;
mod compared;
mod decided;
mod machine;
mod point;
#[cfg(test)]
mod sample;
mod wording;
