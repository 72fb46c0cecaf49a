//! The command line: one file a verb, each of which reads as prose.
//!
//! Results go to stdout, everything else to stderr. To add a verb, write its file and name it
//! in the list in `arguments.rs`.

mod arguments;
mod check;
mod checks;
mod citable;
mod cite;
mod compare;
mod completions;
mod conclusion;
mod doctor;
mod enough;
mod expected;
mod grid;
mod interrupt;
mod known_machine;
mod man;
mod mechanisms;
mod options;
mod outcome;
mod outline;
mod progress;
mod project;
mod receive;
mod report;
mod reproduce;
mod run;
mod scenarios;
mod schema;
mod secret_file;
mod serve;
mod terminal;
mod verify;
mod worker;

pub use arguments::{command, main};
