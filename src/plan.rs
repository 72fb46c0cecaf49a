//! The plan: every trial that will run, resolved, seeded and in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::affinity::Placement;
use crate::aim::Aims;
use crate::delivery::contract::Strategy;
use crate::fault::Fault;
use crate::incident::{Incident, Who};
use crate::network::asked::Network;
use crate::network::tier::{Choice, NoTier, Offer};
use crate::promise::Promise;
use crate::scenario::{NamedStrategy, Scenario, ScenarioPoint, TRIAL_OVERHEAD, TraceFile};
use crate::schedule::{Arrivals, random_stream};
use crate::search;
use crate::stopping::{FEWEST_BLOCKS, StoppingRule};
use crate::theory::prediction::{Prediction, Quantity};
use crate::theory::retries::Outage;
use crate::theory::{Conditions, Theory};
use crate::units::{Bytes, Rate, nanoseconds};
use crate::wire::link::Link;

pub use crate::scenario::Layout;

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
    /// Blocks at each point; with a stopping rule, the most.
    pub blocks: u32,
    /// When a point has blocks enough, unless their number is fixed.
    pub stopping: Option<StoppingRule>,
    /// The points of each line along which a search goes; none without one.
    pub search: Vec<search::Line>,
    /// What is wanted of the strategies.
    pub aims: Aims,
    /// The combinations of swept parameters, the first of them changing slowest; one without a
    /// sweep.
    pub points: Vec<Point>,
    /// The trials, in the order they run; with a stopping rule, the last blocks of a point may
    /// not be needed, with a search whole points.
    pub trials: Vec<Trial>,
    /// What is made to go wrong on purpose, to prove that the checks notice.
    pub fault: Option<Fault>,
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
    /// The trace that is replayed, if one is.
    pub trace: Option<TraceFile>,
    /// Events expected inside the window.
    pub events: f64,
    /// Size of an event's `data`.
    pub payload: Bytes,
    /// Time before the measured window, in which events flow but do not count.
    pub warm_up: Duration,
    /// Length of the measured window.
    pub window: Duration,
    /// How long after the window outstanding events are waited for, at most.
    pub drain: Duration,
    /// Whether each process is kept on one CPU.
    pub pin: bool,
    /// Where the processes are kept, once that is known; see [`Plan::place`].
    pub placement: Option<Placement>,
    /// How long before each event the pacer spins.
    pub spin: Duration,
    /// What lies between source and subscribers; its tier is the one that is taken, once that is
    /// known, see [`Plan::make_paths`].
    pub network: Network,
    /// What goes wrong, and when.
    pub incidents: Vec<Incident>,
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
    /// How both sides converse.
    pub link: Link,
    /// The mechanism with its settings.
    pub strategy: Arc<dyn Strategy>,
    /// What goes wrong for it.
    pub incidents: Vec<Incident>,
    /// What its closed form expects of one window, if it has one.
    predicted: Option<Prediction>,
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
    /// Its place in the block, counted from zero.
    pub position: u32,
    /// Seed of the block's schedule, the same for every strategy of the block, and of the
    /// subscribers' phases.
    pub seed: u64,
    /// Which of the point's strategies: all of them side by side, or one.
    pub strategies: Vec<usize>,
}

/// What a plan is expected to come to, from closed forms alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Trials.
    pub trials: usize,
    /// Events due inside the windows of all trials.
    pub events: f64,
    /// Requests inside the windows of all trials; `None` if a strategy has no closed form.
    pub requests: Option<f64>,
    /// From the first trial's start to the last one's end.
    pub wall_time: Duration,
    /// The most connections any trial's source has open at once, each a socket on both sides.
    pub connections: u64,
}

/// What one strategy is expected to do in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// Events due.
    pub events: f64,
    /// Events times subscribers.
    pub deliveries: f64,
    /// Requests of all subscribers; `None` without a closed form.
    pub requests: Option<f64>,
}

/// Everything a run of the scenario will do.
///
/// Points come in the order of the sweep, or of a search, and blocks in rising order within a point. A block is
/// one trial side by side, or one trial a strategy, in random order either way. Block n has the same seed
/// at every point, so that points differ in what was swept and not in luck.
#[must_use]
pub fn expand(scenario: &Scenario) -> Plan {
    let mut trials: Vec<Trial> = Vec::new();
    let search = lines(scenario);
    let order: Vec<usize> = if search.is_empty() {
        (0..scenario.points.len()).collect()
    } else {
        search.iter().flat_map(|line| search::order(line)).collect()
    };
    for place in order {
        let point = &scenario.points[place];
        for block in 0..scenario.repeats {
            let sets = sets(scenario, place, block, point.strategies.len());
            for (position, strategies) in (0..).zip(sets) {
                let index = u32::try_from(trials.len()).unwrap_or(u32::MAX);
                let seed = block_seed(scenario.seed, block);
                trials.push(Trial { index, point: place, block, position, seed, strategies });
            }
        }
    }
    Plan {
        title: scenario.title.clone(),
        question: scenario.question.clone(),
        scenario: scenario.text.clone(),
        overrides: scenario.overrides.clone(),
        seed: scenario.seed,
        layout: scenario.layout,
        blocks: scenario.repeats,
        stopping: scenario.stopping,
        search,
        aims: scenario.aims.clone(),
        points: scenario.points.iter().map(resolved).collect(),
        trials,
        fault: None,
    }
}

/// The lines along which a scenario searches.
fn lines(scenario: &Scenario) -> Vec<search::Line> {
    let searched = scenario.aims.objective.as_ref().and_then(|wanted| wanted.search.as_deref());
    let parameters: Vec<_> = scenario.points.iter().map(|point| &point.parameters).collect();
    searched.and_then(|path| search::lines(path, &parameters)).unwrap_or_default()
}

/// The seed of a block: 53 random bits, so that every reader of JSON keeps it exactly.
fn block_seed(seed: u64, block: u32) -> u64 {
    random_stream(seed, block.into()).random::<u64>() >> 11
}

/// The strategies that run together, set by set in the order of their trials.
///
/// The order is random in either layout: strategies that share a source are woken one after the
/// other, so the same one must not be first in every block.
fn sets(scenario: &Scenario, point: usize, block: u32, strategies: usize) -> Vec<Vec<usize>> {
    // Streams beyond those of the block seeds, one for each block of each point.
    let stream = (point as u64 + 1) << 32 | u64::from(block);
    let mut order: Vec<usize> = (0..strategies).collect();
    order.shuffle(&mut random_stream(scenario.seed, stream));
    match scenario.layout {
        Layout::SideBySide => vec![order],
        Layout::Solo => order.into_iter().map(|strategy| vec![strategy]).collect(),
    }
}

fn resolved(point: &ScenarioPoint) -> Point {
    let strategy = |named: &NamedStrategy| PlannedStrategy {
        name: named.name.clone(),
        mechanism: named.mechanism,
        subscribers: named.subscribers,
        link: named.link.clone(),
        strategy: Arc::clone(&named.strategy),
        incidents: point.befalling(named),
        predicted: predicted(point, named),
    };
    Point {
        parameters: point.parameters.clone(),
        rate: point.events.rate,
        arrivals: point.events.arrivals.clone(),
        trace: point.events.trace.clone(),
        events: point.events.expected(point.warm_up, point.warm_up + point.window),
        payload: point.events.payload,
        warm_up: point.warm_up,
        window: point.window,
        drain: point.drain,
        pin: point.pin,
        placement: None,
        spin: point.spin,
        network: point.network.clone(),
        incidents: point.incidents.clone(),
        strategies: point.strategies.iter().map(strategy).collect(),
    }
}

/// The closed form that describes a strategy and what goes wrong for it.
///
/// A client that is told to wait keeps no beat of its own, so there is none under a rate limit; nor
/// over a path that does more than delay, where some packets take longer than others; nor on
/// connections that do not behave as usual. And forms know of one outage in which nothing gets
/// through, not of anything subtler.
fn theory(
    strategy: &dyn Strategy,
    link: &Link,
    network: &Network,
    incidents: &[Incident],
) -> Option<Theory> {
    if link.rate_limit.is_some() || !link.is_usual() || !network.only_delays() {
        return None;
    }
    match incidents {
        [] => strategy.theory(),
        [only] if only.stops_deliveries() && only.times == 1 => {
            let outage = Outage { at: nanoseconds(only.at), lasts: nanoseconds(only.lasts) };
            let whole = only.connections().is_some();
            // Errors of the source concern those who ask it, and no form knows of them.
            let known = whole || only.who == Who::Subscriber;
            strategy.theory_in(outage, whole).filter(|_| known)
        }
        _ => None,
    }
}

/// What a strategy's closed form expects of one window.
fn predicted(point: &ScenarioPoint, named: &NamedStrategy) -> Option<Prediction> {
    let incidents = point.befalling(named);
    let theory = theory(&*named.strategy, &named.link, &point.network, &incidents)?;
    Some(theory.form().predict(&Conditions {
        rate: point.events.rate,
        arrivals: point.events.arrivals.clone(),
        warm_up: point.warm_up,
        window: point.window,
        drain: point.drain,
        subscribers: named.subscribers,
        exchange: ASSUMED_EXCHANGE,
        rtt: point.network.round_trip(),
        server: Duration::ZERO,
        set_up: named.link.set_up(),
        request_way: None,
        dialling: named.link.dialling(),
    }))
}

impl PlannedStrategy {
    /// Whether its subscribers are in the source's process.
    #[must_use]
    pub fn is_in_process(&self) -> bool {
        Arc::clone(&self.strategy).in_process().is_some()
    }

    /// The closed form that describes it over a path, with what goes wrong for it.
    #[must_use]
    pub fn theory(&self, network: &Network) -> Option<Theory> {
        theory(&*self.strategy, &self.link, network, &self.incidents)
    }

    /// What it promises of its deliveries, with what goes wrong for it: where nothing brings what
    /// was missed, a loss is a result.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let promise = self.strategy.promise();
        let recovers = self.incidents.is_empty() || self.strategy.recovers();
        Promise { complete: promise.complete && recovers, ..promise }
    }

    /// Every setting as the scenario could write it: the mechanism's and the link's.
    #[must_use]
    pub fn settings(&self) -> serde_json::Value {
        let mut settings = self.strategy.settings();
        let link = serde_json::to_value(&self.link).expect("settings are plain values");
        if let (Some(all), serde_json::Value::Object(link)) = (settings.as_object_mut(), link) {
            all.extend(link);
        }
        settings
    }
}

impl Plan {
    /// Places the processes of every point that asks for it on these CPUs; returns whether they
    /// are enough.
    #[must_use]
    pub fn place(&mut self, cpus: &[u32]) -> bool {
        let layout = self.layout;
        self.points.iter_mut().filter(|point| point.pin).all(|point| {
            let strategies = point.strategies.len();
            let at_once = if layout == Layout::Solo { 1 } else { strategies };
            point.placement = Placement::over(cpus, strategies, at_once);
            point.placement.is_some()
        })
    }

    /// Chooses how the path of every distant point is made, of what this machine offers; returns
    /// the choices, each once.
    ///
    /// # Errors
    ///
    /// When a point's path cannot be made here.
    pub fn make_paths(&mut self, offer: &Offer) -> Result<Vec<Choice>, NoTier> {
        let mut choices: Vec<Choice> = Vec::new();
        for point in self.points.iter_mut().filter(|point| point.network.is_distant()) {
            let choice = offer.choose(&point.network)?;
            point.network.tier = Some(choice.tier);
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
        Ok(choices)
    }

    /// The fewest blocks at each point.
    #[must_use]
    pub fn fewest_blocks(&self) -> u32 {
        if self.stopping.is_some() { FEWEST_BLOCKS } else { self.blocks }
    }

    /// Whether less may be run than is planned.
    #[must_use]
    pub fn may_end_early(&self) -> bool {
        self.stopping.is_some() || !self.search.is_empty()
    }

    /// What the plan is expected to come to, if every block of every point is run.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate_of(|_| true)
    }

    /// What the plan is expected to come to, if every point stops as soon as it may, and a search
    /// finds no change between the ends of its lines.
    #[must_use]
    pub fn least_estimate(&self) -> Estimate {
        let blocks = self.fewest_blocks();
        let needed = |point: usize| {
            let ends = |line: &search::Line| [line.first(), line.last()].contains(&Some(&point));
            self.search.is_empty() || self.search.iter().any(ends)
        };
        self.estimate_of(|trial| trial.block < blocks && needed(trial.point))
    }

    /// What some of the trials are expected to come to.
    fn estimate_of(&self, run: impl Fn(&Trial) -> bool) -> Estimate {
        let mut estimate = Estimate {
            trials: 0,
            events: 0.0,
            requests: Some(0.0),
            wall_time: Duration::ZERO,
            connections: 0,
        };
        for trial in self.trials.iter().filter(|trial| run(trial)) {
            let point = &self.points[trial.point];
            estimate.trials += 1;
            estimate.events += point.events;
            for strategy in &trial.strategies {
                let requests = point.expectation(&point.strategies[*strategy]).requests;
                estimate.requests =
                    estimate.requests.zip(requests).map(|(total, more)| total + more);
            }
            estimate.wall_time += self.trial_time(trial);
            estimate.connections = estimate.connections.max(point.connections(&trial.strategies));
        }
        estimate
    }

    /// What one trial is expected to take, start and end included.
    #[must_use]
    pub fn trial_time(&self, trial: &Trial) -> Duration {
        self.points[trial.point].wall_time(&trial.strategies)
    }
}

/// Round trips that measuring raw sockets over a path takes.
const CALIBRATION_ROUND_TRIPS: u32 = 60;

/// The longest that it takes beyond what it takes on loopback.
const LONGEST_CALIBRATION: Duration = Duration::from_secs(7);

/// The exchange assumed where none was measured yet: loopback takes about this long.
const ASSUMED_EXCHANGE: Duration = Duration::from_micros(100);

impl Point {
    /// What a strategy is expected to do inside one window of this point.
    #[must_use]
    pub fn expectation(&self, planned: &PlannedStrategy) -> Expectation {
        let events = self.events;
        let predicted = planned.predicted.as_ref();
        let requests = predicted.and_then(|form| form.count(Quantity::Requests));
        Expectation {
            events,
            deliveries: events * f64::from(planned.subscribers),
            requests: requests.map(|requests| requests.expected),
        }
    }

    /// What a trial of these strategies is expected to take, start and end included.
    fn wall_time(&self, strategies: &[usize]) -> Duration {
        let drains = strategies.iter().map(|strategy| self.expected_drain(*strategy));
        // Raw sockets are measured over the path too: twenty round trips, and as many of two.
        let calibrating = (CALIBRATION_ROUND_TRIPS * self.network.rtt).min(LONGEST_CALIBRATION);
        TRIAL_OVERHEAD + calibrating + self.warm_up + self.window + drains.max().unwrap_or_default()
    }

    /// How long the last event of a window is expected to be under way.
    fn expected_drain(&self, strategy: usize) -> Duration {
        let planned = &self.strategies[strategy];
        let latency = planned.predicted.as_ref().map(|predicted| &predicted.latency);
        let wait = latency.map_or(planned.strategy.patience(), |latency| {
            latency.max().or(latency.mean()).unwrap_or(latency.min())
        });
        wait.min(self.drain)
    }

    fn connections(&self, strategies: &[usize]) -> u64 {
        let of = |planned: &PlannedStrategy| {
            u64::from(planned.subscribers)
                * u64::from(planned.strategy.connections_per_subscriber())
        };
        strategies.iter().map(|strategy| of(&self.strategies[*strategy])).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, expand};
    use crate::scenario::{BUILT_IN, Override, load, parse};
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    const SCENARIO: &str = "
title = 'three ways'
[events]
rate = '10/s'
[run]
duration = '20s'
repeats = 40
[[strategy]]
name = 'slow'
mechanism = 'poll'
every = '1s'
[[strategy]]
name = 'fast'
mechanism = 'poll'
every = '100ms'
subscribers = 3
[[strategy]]
name = 'hook'
mechanism = 'webhook'
";

    fn plan(overrides: &[&str]) -> Plan {
        let given: Vec<Override> = overrides
            .iter()
            .map(|text| Override { origin: "--set", text: (*text).to_owned() })
            .collect();
        expand(&parse("three.toml", SCENARIO, &given).expect("a scenario"))
    }

    #[test]
    fn a_search_begins_with_the_ends_of_each_line() {
        let swept = format!(
            "{SCENARIO}[objective]\nminimise = 'requests.per_event'\nsearch = 'events.rate'\n[sweep]\n\
             'events.rate' = ['1/s', '2/s', '4/s', '8/s', '16/s']\n'run.drain' = ['1s', '2s']\n"
        );
        let plan = expand(&parse("three.toml", &swept, &[]).expect("a scenario"));
        assert_eq!(plan.search, [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]);
        let mut order: Vec<usize> = plan.trials.iter().map(|trial| trial.point).collect();
        order.dedup();
        assert_eq!(order, [0, 8, 4, 2, 6, 1, 9, 5, 3, 7]);
        assert!(plan.trials.iter().zip(0..).all(|(trial, index)| trial.index == index));
        let (least, most) = (plan.least_estimate(), plan.estimate());
        assert_eq!((least.trials, most.trials), (4 * 40, 10 * 40));
    }

    #[test]
    fn side_by_side_a_block_is_one_trial_of_all_strategies() {
        let plan = plan(&[]);
        assert_eq!(plan.trials.len(), 40);
        let mut orders = BTreeSet::new();
        for trial in &plan.trials {
            let all: BTreeSet<usize> = trial.strategies.iter().copied().collect();
            assert_eq!(all, BTreeSet::from([0, 1, 2]));
            orders.insert(trial.strategies.clone());
        }
        assert_eq!(orders.len(), 6, "none is always woken first");
        assert!(plan.trials.iter().zip(0..).all(|(trial, n)| (trial.index, trial.block) == (n, n)));
    }

    #[test]
    fn solo_a_block_is_one_trial_of_each_strategy_in_an_order_of_its_own() {
        let plan = plan(&["run.layout=solo"]);
        assert_eq!(plan.trials.len(), 120);
        let mut orders = BTreeSet::new();
        for block in plan.trials.chunks(3) {
            let order: Vec<usize> = block.iter().map(|trial| trial.strategies[0]).collect();
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 3, "{order:?}");
            assert!(block.iter().all(|trial| trial.seed == block[0].seed));
            orders.insert(order);
        }
        // 40 draws miss one of the 6 orders once in 250 seeds; this seed is not one of them.
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn blocks_have_seeds_of_their_own_and_share_them_across_points() {
        let plan = plan(&["sweep.\"events.rate\"=['1/s', '2/s']"]);
        assert_eq!(plan.points.len(), 2);
        let seeds = |point| -> Vec<u64> {
            plan.trials.iter().filter(|t| t.point == point).map(|t| t.seed).collect()
        };
        assert_eq!(seeds(0), seeds(1));
        assert_eq!(seeds(0).into_iter().collect::<BTreeSet<_>>().len(), 40);
        assert!(plan.trials.iter().all(|trial| trial.seed < 1 << 53));
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let solo = |seed: &str| plan(&["run.layout=solo", &format!("run.seed={seed}")]).trials;
        assert_eq!(solo("5"), solo("5"));
        assert_ne!(solo("5"), solo("6"));
    }

    #[test]
    fn only_points_that_ask_for_it_are_placed_and_alone_strategies_share_a_cpu() {
        let mut swept = plan(&["sweep.\"run.pin\"=[true, false]"]);
        assert!(swept.place(&[0, 1, 2]));
        let placement = swept.points[0].placement.clone().expect("pinned");
        assert_eq!((placement.source, placement.subscribers), (0, vec![1, 2, 1]));
        assert_eq!(swept.points[1].placement, None);
        let mut solo = plan(&["run.pin=true", "run.layout=solo"]);
        assert!(solo.place(&[0, 1, 2]));
        let placement = solo.points[0].placement.clone().expect("pinned");
        assert_eq!((placement.subscribers, placement.coordinator), (vec![1, 1, 1], vec![2]));
        assert!(!solo.place(&[0]));
        assert!(plan(&[]).place(&[]), "nothing is to be placed");
    }

    #[test]
    fn a_drain_waits_for_the_slowest_strategy_and_two_seconds() {
        assert_eq!(plan(&[]).points[0].drain, Duration::from_secs(17));
        assert_eq!(plan(&["run.drain=3s"]).points[0].drain, Duration::from_secs(3));
        let slow = plan(&["strategy.slow.every=30s"]);
        assert_eq!(slow.points[0].drain, Duration::from_secs(32));
    }

    #[test]
    fn estimates_follow_the_closed_forms() {
        let estimate = plan(&["run.repeats=2"]).estimate();
        assert_eq!(estimate.trials, 2);
        assert!((estimate.events - 400.0).abs() < 1e-9);
        // Each window: 20 slow polls, 200 fast ones of each of 3 subscribers, 200 webhooks.
        assert!((estimate.requests.expect("closed forms") - 2.0 * 820.0).abs() < 1e-6);
        assert_eq!(estimate.wall_time, 2 * Duration::from_micros(24_600_050));
        assert_eq!(estimate.connections, 1 + 3 + 4);
    }

    #[test]
    fn estimates_add_up_over_points() {
        let estimate = plan(&["run.repeats=1", "sweep.\"events.rate\"=['1/s', '2/s']"]).estimate();
        assert!((estimate.events - 60.0).abs() < 1e-9);
    }

    #[test]
    fn every_built_in_scenario_plans_and_the_quickstart_is_quick() {
        for built_in in BUILT_IN {
            let plan = expand(&load(Path::new(built_in.name), &[]).expect(built_in.name));
            let estimate = plan.estimate();
            assert!(estimate.trials > 0, "{}", built_in.name);
            let quickstart = built_in.name == "quickstart";
            assert!(estimate.requests.is_some() || !quickstart, "its strategies have closed forms");
            let longest = if quickstart { 60 } else { 3_600 };
            assert!(estimate.wall_time.as_secs() < longest, "{}", built_in.name);
        }
    }
}
