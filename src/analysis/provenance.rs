//! How a run came about: when, on which machine, and with what settings.
//!
//! Nothing in it depends on the reports, so that reports may show it.

use jiff::Timestamp;

pub use crate::record::environment::Environment;
pub use crate::record::manifest::PlannedWorkload;
use crate::record::run::Run;

/// How a run came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// When it started; a label.
    pub started: Timestamp,
    /// When it ended; `None` if it was killed.
    pub finished: Option<Timestamp>,
    /// The machine.
    pub environment: Environment,
    /// How the processes share the machine, in words: `side-by-side, pinned`.
    pub arrangement: String,
    /// Blocks at each point; with a stopping rule, the most.
    pub blocks: u32,
    /// The seed everything random derives from.
    pub seed: u64,
    /// The scenario file, verbatim.
    pub scenario: String,
    /// The values given beside it, as `path=value`, in order.
    pub overrides: Vec<String>,
    /// What was offered at each point, in the summary's order.
    pub workloads: Vec<PlannedWorkload>,
}

impl Provenance {
    /// How a run came about.
    #[must_use]
    pub fn of(run: &Run) -> Provenance {
        let manifest = &run.manifest;
        Provenance {
            started: manifest.started,
            finished: manifest.finished,
            environment: manifest.environment.clone(),
            arrangement: manifest.arrangement(),
            blocks: manifest.blocks,
            seed: manifest.seed,
            scenario: run.scenario.clone(),
            overrides: manifest.overrides.clone(),
            workloads: manifest
                .searched_points()
                .map(|(_, point)| point.workload.clone())
                .collect(),
        }
    }
}
