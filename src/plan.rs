//! The plan: every trial that will run, resolved, seeded and in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::contract::Strategy;
use crate::schedule::Arrivals;
use crate::units::{Bytes, Rate};

/// Everything a run will do, decided before anything is started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's title.
    pub title: String,
    /// The question it answers.
    pub question: Option<String>,
    /// The scenario file, verbatim.
    pub scenario: String,
    /// The values given beside the file, as `path=value`, in order.
    pub overrides: Vec<String>,
    /// The seed everything random derives from.
    pub seed: u64,
    /// Whether strategies share a source.
    pub layout: Layout,
    /// Blocks at each point.
    pub blocks: u32,
    /// The combinations of swept parameters; one without a sweep.
    pub points: Vec<Point>,
    /// The trials, in the order they run.
    pub trials: Vec<Trial>,
}

/// Whether the strategies of a block share one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// All strategies receive the same events at the same time from one source: paired, quick.
    #[default]
    SideBySide,
    /// Each strategy alone, one after the other in random order: clean CPU and tail.
    Solo,
}

/// One combination of swept parameters.
#[derive(Clone, Debug)]
pub struct Point {
    /// The swept parameters, as written in the scenario; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// Mean events per second.
    pub rate: Rate,
    /// How events are spaced.
    pub arrivals: Arrivals,
    /// Size of an event's `data`.
    pub payload: Bytes,
    /// Time before the measured window, in which events flow but do not count.
    pub warm_up: Duration,
    /// Length of the measured window.
    pub window: Duration,
    /// How long after the window outstanding events are waited for, at most.
    pub drain: Duration,
    /// The strategies compared, in the scenario's order.
    pub strategies: Vec<PlannedStrategy>,
}

/// A strategy of the scenario.
#[derive(Clone, Debug)]
pub struct PlannedStrategy {
    /// The name the scenario gives it; unique in the scenario.
    pub name: String,
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// Simulated subscribers.
    pub subscribers: u32,
    /// The mechanism with its settings.
    pub strategy: Arc<dyn Strategy>,
}

/// One trial: a set of strategies of one point, run once in fresh processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its place in the plan, counted from zero.
    pub index: u32,
    /// Which of [`Plan::points`].
    pub point: usize,
    /// The block, counted from zero.
    pub block: u32,
    /// Seed of the block's schedule, the same for every strategy of the block, and of the
    /// subscribers' phases.
    pub seed: u64,
    /// Which of the point's strategies: all of them side by side, or one.
    pub strategies: Vec<usize>,
}
