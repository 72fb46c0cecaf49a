//! What strategies would take with very many subscribers: measured figures of each subscriber,
//! carried on.
//!
//! Exchanges, connections, bytes and CPU time above idle are taken to grow with the subscribers.
//! At another rate of events, exchanges follow the closed form. Which part of bytes and CPU time
//! goes with exchanges, and which with deliveries, one run does not tell: such a figure lies
//! between what it would be if all of it went with the one, and with the other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analyse::{AnalysisError, gather_all};
use super::evidence::{Block, StrategyEvidence};
use super::measure::{cpu_above_idle, of_values};
use super::model;
use super::summary::VerdictStatus;
use super::validity;
use crate::quantity;
use crate::record::manifest::PlannedPoint;
use crate::record::run::Run;
use crate::record::trial::StrategyRecord;
use crate::units::Rate;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Subscribers.
    pub subscribers: u64,
    /// Events a second, each of which every subscriber is owed; as measured without one.
    pub rate: Option<Rate>,
    /// Swept parameters of the points that are asked about; of all points without any.
    pub at: BTreeMap<String, String>,
}

/// What strategies would take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// The run whose figures are carried on.
    pub run_id: String,
    /// The scenario's title.
    pub title: String,
    /// Subscribers that are asked about.
    pub subscribers: u64,
    /// One entry for each point that is asked about.
    pub points: Vec<PointProjection>,
    /// What every figure rests on, in sentences.
    pub assumptions: Vec<String>,
}

/// What strategies would take, by the figures of one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointProjection {
    /// The swept parameters of the point.
    pub parameters: BTreeMap<String, String>,
    /// Events a second that were measured.
    pub measured_rate: f64,
    /// Events a second that are asked about.
    pub rate: f64,
    /// Every strategy that was measured.
    pub strategies: Vec<StrategyProjection>,
}

/// What one strategy would take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrategyProjection {
    /// The strategy.
    pub strategy: String,
    /// Subscribers that were measured.
    pub measured_subscribers: u32,
    /// Every figure.
    pub figures: Vec<Projected>,
}

/// A figure that was not measured, but carried on from what was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Projected {
    /// What it is.
    pub figure: Figure,
    /// Always `extrapolated`.
    pub basis: super::summary::Basis,
    /// The figure; `null` where only bounds are known, or nothing.
    pub value: Option<f64>,
    /// Where it lies if the assumptions hold: the interval over blocks, and the bounds.
    pub interval: Option<[f64; 2]>,
    /// How it follows, or why there is none.
    pub how: String,
}

/// What is projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Deliveries a second.
    DeliveriesPerSecond,
    /// Exchanges a second, of all subscribers, at the source.
    RequestsPerSecond,
    /// Connections open at once.
    ConnectionsOpen,
    /// Connections opened in a second.
    ConnectionsPerSecond,
    /// Bytes a second that the source sends.
    BytesFromSourcePerSecond,
    /// Bytes a second that the source receives.
    BytesToSourcePerSecond,
    /// CPU cores of the source.
    SourceCores,
    /// CPU cores of all subscribers together.
    SubscriberCores,
    /// Memory of the source, in bytes.
    SourceMemory,
    /// Memory of all subscribers together, in bytes.
    SubscriberMemory,
}

impl Figure {
    /// What it is called in a table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Figure::DeliveriesPerSecond => "deliveries",
            Figure::RequestsPerSecond => "requests",
            Figure::ConnectionsOpen => "connections open",
            Figure::ConnectionsPerSecond => "connections opened",
            Figure::BytesFromSourcePerSecond => "source sends",
            Figure::BytesToSourcePerSecond => "source receives",
            Figure::SourceCores => "source CPU",
            Figure::SubscriberCores => "subscriber CPU",
            Figure::SourceMemory => "source memory",
            Figure::SubscriberMemory => "subscriber memory",
        }
    }

    /// A value of it with its unit.
    #[must_use]
    pub fn write(self, value: f64) -> String {
        match self {
            Figure::DeliveriesPerSecond
            | Figure::RequestsPerSecond
            | Figure::ConnectionsPerSecond => format!("{}/s", quantity::ratio(value)),
            Figure::ConnectionsOpen => quantity::ratio(value),
            Figure::BytesFromSourcePerSecond | Figure::BytesToSourcePerSecond => {
                format!("{}/s", quantity::bytes(value))
            }
            Figure::SourceCores | Figure::SubscriberCores => {
                format!("{} cores", quantity::ratio(value))
            }
            Figure::SourceMemory | Figure::SubscriberMemory => quantity::bytes(value),
        }
    }
}

/// Why nothing is projected.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The run cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The run's figures are not to be used.
    #[error("the run is invalid, and its figures are not to be carried on")]
    Invalid,
    /// There is no such point.
    #[error("the run has no such point")]
    NoPoint,
}

/// Carries the figures of a run on.
///
/// # Errors
///
/// When the run is invalid or cannot be analysed, and when it has no such point.
pub fn project(run: &Run, target: &Target) -> Result<Projection, ProjectionError> {
    let (evidence, _) = gather_all(run)?;
    if validity::judge(&evidence).status == VerdictStatus::Invalid {
        return Err(ProjectionError::Invalid);
    }
    let asked = |parameters: &BTreeMap<String, String>| {
        target.at.iter().all(|(path, value)| parameters.get(path) == Some(value))
    };
    let points: Vec<PointProjection> = evidence
        .points
        .iter()
        .zip(run.manifest.searched_points().map(|(_, planned)| planned))
        .filter(|(point, _)| asked(&point.parameters))
        .map(|(point, planned)| PointProjection {
            parameters: point.parameters.clone(),
            measured_rate: planned.workload.rate.events_per_second(),
            rate: target.rate.unwrap_or(planned.workload.rate).events_per_second(),
            strategies: point
                .strategies
                .iter()
                .zip(&planned.strategies)
                .filter(|(strategy, _)| !strategy.blocks.is_empty())
                .map(|(strategy, record)| of_strategy(strategy, record, planned, target))
                .collect(),
        })
        .collect();
    if points.is_empty() {
        return Err(ProjectionError::NoPoint);
    }
    Ok(Projection {
        run_id: run.manifest.run_id.clone(),
        title: run.manifest.title.clone(),
        subscribers: target.subscribers,
        points,
        assumptions: ASSUMPTIONS.iter().map(|words| (*words).to_owned()).collect(),
    })
}

const ASSUMPTIONS: [&str; 6] = [
    "every figure is extrapolated: so many subscribers were not measured",
    "all subscribers are like those that were measured, are owed every event, and ask independently \
     of each other; there is no cache, queue or batching between them and the source that was not \
     measured",
    "exchanges, bytes, connections and CPU time above idle grow in proportion to the subscribers: \
     nothing queues, and no machine is shared or full",
    "cores are those of the machine that was measured, over loopback; a network card, TLS or a \
     slower machine that the run did not have are not in them, and neither is any headroom",
    "bytes are those on the sockets, without headers of TCP and IP",
    "an interval is that of the blocks, and of what goes with exchanges and what with deliveries \
     where that is not known; it does not say whether the assumptions hold",
];

/// How many times as much: of exchanges, if that is known, and of deliveries.
#[derive(Clone, Copy)]
struct Growth {
    /// As many times the subscribers.
    subscribers: f64,
    /// As many times the exchanges of each; `None` if the rate is another and no closed form says.
    exchanges: Option<f64>,
    /// As many times the events.
    events: f64,
}

impl Growth {
    /// The least and the most that what goes with exchanges, with deliveries, or with both may
    /// grow by for each subscriber.
    fn bounds(self) -> [f64; 2] {
        // Without a closed form exchanges grow no less than not at all, and no more than events.
        let exchanges = self.exchanges.map_or([1.0, self.events], |known| [known; 2]);
        let all = [exchanges[0], exchanges[1], self.events];
        [
            all.into_iter().fold(f64::INFINITY, f64::min),
            all.into_iter().fold(f64::NEG_INFINITY, f64::max),
        ]
    }

    fn of_exchanges(self) -> [f64; 2] {
        self.exchanges.map_or_else(|| self.bounds(), |known| [known; 2])
    }
}

/// Subscribers from which on a process's memory is mostly theirs.
const MANY: u32 = 100;

fn of_strategy(
    strategy: &StrategyEvidence,
    record: &StrategyRecord,
    planned: &PlannedPoint,
    target: &Target,
) -> StrategyProjection {
    let measured = strategy.summary.subscribers.max(1);
    let growth = growth(strategy, record, planned, target);
    let source = |block: &Block| block.measured.source.window;
    let seconds = |block: &Block| block.workload.window.as_secs_f64();
    let per_second = |block: &Block, total: u64| total as f64 / seconds(block);
    let spread = Spread { strategy, growth };
    let by_form = match (target.rate, growth.exchanges) {
        (None, _) => "exchanges of each subscriber as measured",
        (Some(_), Some(_)) => "exchanges of each subscriber as the closed form expects at the rate",
        (Some(_), None) => "no closed form: between no more exchanges and as many more as events",
    };
    let requests = spread.of(Figure::RequestsPerSecond, growth.of_exchanges(), by_form, |block| {
        Some((per_second(block, source(block).exchanges()), 0.0))
    });
    let mut figures = vec![
        Projected {
            figure: Figure::DeliveriesPerSecond,
            basis: super::summary::Basis::Extrapolated,
            value: Some(
                target.rate.unwrap_or(planned.workload.rate).events_per_second()
                    * target.subscribers as f64,
            ),
            interval: None,
            how: "every subscriber is owed every event".to_owned(),
        },
        requests,
    ];
    figures.extend(connections(&spread, record, &figures[1]));
    let payload = planned.workload.payload.0;
    figures.push(spread.of(Figure::BytesFromSourcePerSecond, growth.bounds(), BYTES, |block| {
        let sent = source(block).bytes_sent;
        let data = (block.measured.events.delivered * payload).min(sent);
        Some((per_second(block, sent - data), per_second(block, data)))
    }));
    figures.push(spread.of(Figure::BytesToSourcePerSecond, growth.bounds(), BYTES, |block| {
        Some((per_second(block, source(block).bytes_received), 0.0))
    }));
    for (figure, side) in [(Figure::SourceCores, 0), (Figure::SubscriberCores, 1)] {
        figures.push(spread.of(figure, growth.bounds(), "CPU time above idle", |block| {
            let above = cpu_above_idle(block)?;
            let used = if side == 0 { above.0 } else { above.1 };
            Some((used as f64 / 1e9 / seconds(block), 0.0))
        }));
    }
    figures.extend(memory(&spread));
    StrategyProjection {
        strategy: strategy.summary.name.clone(),
        measured_subscribers: measured,
        figures,
    }
}

const BYTES: &str = "payloads go with events, everything else with exchanges or with events";

fn growth(
    strategy: &StrategyEvidence,
    record: &StrategyRecord,
    planned: &PlannedPoint,
    target: &Target,
) -> Growth {
    let subscribers = target.subscribers as f64 / f64::from(strategy.summary.subscribers.max(1));
    let measured = planned.workload.rate;
    let Some(rate) = target.rate.filter(|rate| *rate != measured) else {
        return Growth { subscribers, exchanges: Some(1.0), events: 1.0 };
    };
    let events = rate.events_per_second() / measured.events_per_second();
    let expected = |rate: Rate| {
        let each = model::requests_per_event(record, &planned.workload, &strategy.blocks, rate)?;
        Some(each * rate.events_per_second()).filter(|requests| *requests > 0.0)
    };
    let exchanges =
        expected(rate).zip(expected(measured)).map(|(asked, measured)| asked / measured);
    Growth { subscribers, exchanges, events }
}

/// Carries figures of a strategy's blocks on.
struct Spread<'a> {
    strategy: &'a StrategyEvidence,
    growth: Growth,
}

impl Spread<'_> {
    /// A figure of which a block's value, of all its subscribers, has two parts: one that grows
    /// by something between two bounds, and one that grows with events.
    fn of(
        &self,
        figure: Figure,
        bounds: [f64; 2],
        how: &str,
        parts: impl Fn(&Block) -> Option<(f64, f64)>,
    ) -> Projected {
        let ends = bounds.map(|times| {
            let carried = |block: &Block| {
                let (part, with_events) = parts(block)?;
                Some((part * times + with_events * self.growth.events) * self.growth.subscribers)
            };
            let values: Option<Vec<f64>> = self.strategy.blocks.iter().map(carried).collect();
            values.and_then(|values| of_values(&values))
        });
        let [Some(least), Some(most)] = ends else {
            return nothing(figure, "the run does not say what is used while idle");
        };
        let known = (bounds[1] - bounds[0]).abs() < 1e-9 * bounds[1].abs();
        let interval = least.interval.zip(most.interval).map(|(least, most)| [least[0], most[1]]);
        Projected {
            figure,
            basis: super::summary::Basis::Extrapolated,
            value: known.then_some(least.value),
            interval,
            how: how.to_owned(),
        }
    }
}

fn nothing(figure: Figure, why: &str) -> Projected {
    Projected {
        figure,
        basis: super::summary::Basis::Extrapolated,
        value: None,
        interval: None,
        how: why.to_owned(),
    }
}

/// Connections open at once, and opened in a second.
fn connections(
    spread: &Spread<'_>,
    record: &StrategyRecord,
    requests: &Projected,
) -> [Projected; 2] {
    let opened = |block: &Block| {
        let seconds = block.workload.window.as_secs_f64();
        Some((block.measured.source.window.connections as f64 / seconds, 0.0))
    };
    let per_second = spread.of(
        Figure::ConnectionsPerSecond,
        spread.growth.of_exchanges(),
        "as many for each exchange as measured",
        opened,
    );
    let open = if record.set_up == 0 {
        spread.of(Figure::ConnectionsOpen, [1.0; 2], "connections are kept", |block| {
            Some((block.measured.source.whole.connections as f64, 0.0))
        })
    } else {
        match model::mean_exchange(&spread.strategy.blocks) {
            // Little's law: as many are open as are opened in the time that one is.
            Some(exchange) => {
                let times = |value: f64| value * exchange.as_secs_f64();
                Projected {
                    figure: Figure::ConnectionsOpen,
                    value: requests.value.map(times),
                    interval: requests.interval.map(|ends| ends.map(times)),
                    how: "one for each exchange, as long as it takes (Little's law)".to_owned(),
                    ..requests.clone()
                }
            }
            None => nothing(Figure::ConnectionsOpen, "no exchange was timed"),
        }
    };
    [open, per_second]
}

/// Memory of both sides: what every subscriber may be given, if there were many.
fn memory(spread: &Spread<'_>) -> [Projected; 2] {
    let summary = &spread.strategy.summary;
    let figure = |figure, peak: fn(&Block) -> u64, shared: bool| {
        if shared {
            return nothing(figure, "several strategies shared the process");
        }
        if summary.subscribers < MANY {
            let why = format!(
                "with fewer than {MANY} subscribers their memory cannot be told from the process's"
            );
            return nothing(figure, &why);
        }
        let how = "at most: all of the process counts as the subscribers'";
        spread.of(figure, [1.0; 2], how, |block| Some((peak(block) as f64, 0.0)))
    };
    [
        figure(
            Figure::SourceMemory,
            |block| block.measured.source.process.memory_peak,
            summary.memory.source_lanes > 1,
        ),
        figure(
            Figure::SubscriberMemory,
            |block| block.measured.subscriber.process.memory_peak,
            false,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Figure, Projected, Projection, ProjectionError, Target, project};
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::units::Rate;
    use std::collections::BTreeMap;

    fn projected(sample: &Sample, target: &Target) -> Result<Projection, ProjectionError> {
        let out = tempfile::tempdir().expect("a folder");
        let run = Run::open(&sample.write(out.path()).expect("written")).expect("opened");
        project(&run, target)
    }

    fn million(rate: Option<f64>) -> Target {
        let rate = rate.map(|rate| Rate::per_second(rate).expect("a rate"));
        Target { subscribers: 1_000_000, rate, at: BTreeMap::new() }
    }

    fn figure(projection: &Projection, strategy: usize, figure: Figure) -> Projected {
        let figures = &projection.points[0].strategies[strategy].figures;
        figures.iter().find(|one| one.figure == figure).expect("projected").clone()
    }

    #[test]
    fn a_million_pollers_ask_a_million_times_as_often() {
        let sample = Sample { blocks: 6, ..Sample::default() };
        let found = projected(&sample, &million(None)).expect("valid");
        let requests = figure(&found, 0, Figure::RequestsPerSecond);
        let value = requests.value.expect("known");
        assert!((value / 4e6 - 1.0).abs() < 0.02, "{value}");
        let [low, high] = requests.interval.expect("blocks");
        assert!(low <= value && value <= high);
        let open = figure(&found, 0, Figure::ConnectionsOpen).value.expect("kept");
        assert!((open / 1e6 - 1.0).abs() < 1e-9, "{open}");
        // 60 µs an exchange, less what is used while idle.
        let cores = figure(&found, 0, Figure::SourceCores).value.expect("known");
        assert!((50.0..240.0).contains(&cores), "{cores}");
        assert_eq!(figure(&found, 0, Figure::SubscriberMemory).value, None, "one subscriber");
        let deliveries = figure(&found, 1, Figure::DeliveriesPerSecond).value.expect("known");
        assert!((deliveries - 20e6).abs() < 1.0);
    }

    #[test]
    fn at_another_rate_exchanges_follow_the_closed_form_and_bytes_have_bounds() {
        let sample = Sample { blocks: 6, ..Sample::default() };
        let now = projected(&sample, &million(None)).expect("valid");
        let then = projected(&sample, &million(Some(200.0))).expect("valid");
        let times = |strategy, of| {
            let of = |projection| figure(projection, strategy, of).value.expect("known");
            of(&then) / of(&now)
        };
        // A poll asks as often, a webhook ten times.
        assert!((times(0, Figure::RequestsPerSecond) - 1.0).abs() < 0.05);
        assert!((times(1, Figure::RequestsPerSecond) - 10.0).abs() < 0.2);
        assert!((times(1, Figure::SourceCores) - 10.0).abs() < 0.2);
        let cores = figure(&then, 0, Figure::SourceCores);
        assert_eq!(cores.value, None);
        let [low, high] = cores.interval.expect("bounds");
        assert!(high / low > 5.0, "{cores:?}");
        // Most of what a poll brings is payload, which goes with events.
        let [low, high] =
            figure(&then, 0, Figure::BytesFromSourcePerSecond).interval.expect("bounds");
        assert!(high / low < 2.0, "{low} {high}");
    }

    #[test]
    fn an_invalid_run_and_an_unknown_point_are_refused() {
        let out = tempfile::tempdir().expect("a folder");
        let sample = Sample { rates: vec![5, 50], ..Sample::default() };
        let mut run = Run::open(&sample.write(out.path()).expect("written")).expect("opened");
        let at = |rate: &str| Target {
            at: BTreeMap::from([("events.rate".to_owned(), rate.to_owned())]),
            ..million(None)
        };
        assert_eq!(project(&run, &million(None)).expect("valid").points.len(), 2);
        assert_eq!(project(&run, &at("50/s")).expect("valid").points.len(), 1);
        assert!(matches!(project(&run, &at("6/s")), Err(ProjectionError::NoPoint)));
        run.records.clear();
        assert!(matches!(project(&run, &million(None)), Err(ProjectionError::Invalid)));
    }
}
