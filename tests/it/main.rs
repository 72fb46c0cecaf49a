//! The integration tests, one binary.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

/// Every arrival process, from the scenario to the record.
mod arrivals;
/// The report's page in a browser.
mod browser;
/// Runs as evidence: cited, verified, compared and reproduced.
mod cite;
/// What the command line says, word for word.
mod cli;
/// What every mechanism promises, whoever adds it.
mod contract;
/// One strategy against itself, and what later runs make of it.
mod controls;
/// A thousand kills at random moments, or a dozen.
mod crashes;
/// Run folders that were damaged.
mod damaged;
/// Disks that fail at any write.
mod disks;
/// The documents name nothing that does not exist.
mod documents;
/// What the machine may refuse.
mod faults;
/// Requests at random against the mock source alone.
mod fuzz;
/// The targets of `fuzz/`, for a bounded time.
mod fuzz_targets;
/// Hostile peers, against every listener and every client.
mod hostile;
/// What goes wrong as a scenario has it, and what mechanisms make of it.
mod incidents;
/// Every check, tripped by the fault that it is for.
mod injections;
/// Killed, hanging and interrupted processes.
mod kill;
/// Which room may use which: the table in `ARCHITECTURE.md`, held against the code.
mod layers;
/// What raw sockets take, and whose limit it is.
mod limit;
/// Scenario files that are wrong on purpose.
mod malformed;
/// Paths of packets between source and subscribers.
mod network;
/// What a run keeps, read by the tools that its readers have.
mod open_data;
/// Processes on CPUs of their own.
mod pinning;
/// The program under test and the processes it starts.
mod program;
/// What mechanisms that push do about failures, order and slow receivers.
mod push;
/// The webhook receiver alone.
mod receive;
/// The reference record of the repository.
mod reference;
/// Rebuilding what is derived from a record.
mod report;
/// What a run leaves on disk.
mod run;
/// The scenario files of the repository.
mod scenarios;
/// The mock source alone.
mod serve;
/// Who may use the mock source, and how often.
mod serve_access;
/// Runs that end when a measure is known well enough.
mod stopping;
/// Streams that are kept open.
mod streams;
/// What is expected of strategies, and the exit code.
mod thresholds;
/// What lies between a client and a server.
mod transport;
