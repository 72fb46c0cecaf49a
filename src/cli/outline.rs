//! A plan as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::aim::Aims;
use crate::network::asked::Network;
use crate::plan::{Layout, Plan, PlannedStrategy, Point, Trial};
use crate::schedule::Arrivals;
use crate::stopping::StoppingRule;
use crate::units::{Bytes, Rate, duration_text, nanoseconds};

/// What `pollpush check --format json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Outline<'p> {
    title: &'p str,
    question: Option<&'p str>,
    overrides: &'p [String],
    seed: u64,
    layout: Layout,
    blocks: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopping: Option<StoppingRule>,
    #[serde(skip_serializing_if = "Aims::is_empty")]
    aims: &'p Aims,
    expected: Total,
    points: Vec<PointOutline<'p>>,
    trials: Vec<TrialOutline<'p>>,
}

/// What the whole run is expected to come to.
#[derive(Debug, Serialize)]
struct Total {
    events: f64,
    requests: Option<f64>,
    connections: u64,
    wall_time_ns: u64,
}

#[derive(Debug, Serialize)]
struct PointOutline<'p> {
    parameters: &'p BTreeMap<String, String>,
    rate: Rate,
    arrivals: &'p Arrivals,
    payload: Bytes,
    #[serde(with = "duration_text")]
    warm_up: Duration,
    #[serde(with = "duration_text")]
    window: Duration,
    #[serde(with = "duration_text")]
    drain: Duration,
    pin: bool,
    #[serde(with = "duration_text")]
    spin: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'p Network>,
    strategies: Vec<StrategyOutline<'p>>,
}

#[derive(Debug, Serialize)]
struct StrategyOutline<'p> {
    name: &'p str,
    mechanism: &'static str,
    subscribers: u32,
    settings: Value,
    expected: InWindow,
}

/// What a strategy is expected to do in one window.
#[derive(Debug, Serialize)]
struct InWindow {
    events: f64,
    deliveries: f64,
    requests: Option<f64>,
}

#[derive(Debug, Serialize)]
struct TrialOutline<'p> {
    trial: u32,
    point: usize,
    block: u32,
    seed: u64,
    strategies: Vec<&'p str>,
}

impl<'p> Outline<'p> {
    /// The outline of a plan.
    pub(crate) fn of(plan: &'p Plan) -> Outline<'p> {
        let estimate = plan.estimate();
        Outline {
            title: &plan.title,
            question: plan.question.as_deref(),
            overrides: &plan.overrides,
            seed: plan.seed,
            layout: plan.layout,
            blocks: plan.blocks,
            stopping: plan.stopping,
            aims: &plan.aims,
            expected: Total {
                events: estimate.events,
                requests: estimate.requests,
                connections: estimate.connections,
                wall_time_ns: nanoseconds(estimate.wall_time),
            },
            points: plan.points.iter().map(point).collect(),
            trials: plan.trials.iter().map(|trial| outlined(plan, trial)).collect(),
        }
    }
}

fn point(point: &Point) -> PointOutline<'_> {
    PointOutline {
        parameters: &point.parameters,
        rate: point.rate,
        arrivals: &point.arrivals,
        payload: point.payload,
        warm_up: point.warm_up,
        window: point.window,
        drain: point.drain,
        pin: point.pin,
        spin: point.spin,
        network: Some(&point.network).filter(|network| network.is_distant()),
        strategies: point.strategies.iter().map(|planned| strategy(point, planned)).collect(),
    }
}

fn strategy<'p>(point: &Point, planned: &'p PlannedStrategy) -> StrategyOutline<'p> {
    let expected = point.expectation(planned);
    StrategyOutline {
        name: &planned.name,
        mechanism: planned.mechanism,
        subscribers: planned.subscribers,
        settings: planned.settings(),
        expected: InWindow {
            events: expected.events,
            deliveries: expected.deliveries,
            requests: expected.requests,
        },
    }
}

fn outlined<'p>(plan: &'p Plan, trial: &Trial) -> TrialOutline<'p> {
    let strategies = &plan.points[trial.point].strategies;
    TrialOutline {
        trial: trial.index,
        point: trial.point,
        block: trial.block,
        seed: trial.seed,
        strategies: trial.strategies.iter().map(|place| strategies[*place].name.as_str()).collect(),
    }
}
