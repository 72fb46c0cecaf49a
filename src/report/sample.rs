//! A fixed run for the tests: two polls and a webhook over the same 480 events.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::analysis::Analysis;
use crate::analysis::figures::{PointFigures, StrategyFigures, TimelineBin};
use crate::analysis::provenance::{Environment, PlannedWorkload, Provenance};
use crate::analysis::summary::{
    Basis, Bill, Check, CheckStatus, Choice, ChoiceStatus, Comparison, Conditions, Connections,
    Costs, Cpu, Decision, Difference, Estimate, Events, Judgement, Lag, LatencyIntervals,
    LatencySummary, Limit, Memory, Messages, Model, ModelClaim, Paired, PointCosts, PointDecision,
    PointSummary, Requests, RequirementResult, SUMMARY_SCHEMA, ScenarioSummary, SideBill,
    StalenessSummary, Standing, StrategyCosts, StrategySummary, Summary, ThresholdResult, Tool,
    Verdict, VerdictStatus, WireBytes,
};

use crate::schedule::Arrivals;
use crate::units::{Bytes, Rate};

const MS: u64 = 1_000_000;

/// The whole analysis of the run.
pub(super) fn analysis() -> Analysis {
    Analysis {
        summary: summary(),
        figures: figures(),
        provenance: provenance(1),
        noise_floor: None,
        asked: Vec::new(),
    }
}

/// The analysis of the run swept over two rates.
pub(super) fn swept_analysis() -> Analysis {
    let (summary, figures) = swept();
    Analysis { summary, figures, provenance: provenance(2), noise_floor: None, asked: Vec::new() }
}

/// How the run came about, with as many points of one workload.
fn provenance(points: usize) -> Provenance {
    let workload = PlannedWorkload {
        rate: Rate::per_second(20.0).expect("possible"),
        arrivals: Arrivals::Poisson,
        payload: Bytes(1024),
        warm_up: Duration::from_secs(1),
        window: Duration::from_secs(8),
        drain: Duration::from_secs(2),
        rtt: None,
        network: None,
    };
    Provenance {
        started: Timestamp::constant(1_795_430_712, 0),
        finished: Some(Timestamp::constant(1_795_430_772, 0)),
        environment: Environment {
            os: "linux".to_owned(),
            architecture: "x86_64".to_owned(),
            cpu_model: Some("Example 9".to_owned()),
            cpu_logical: Some(2),
            build_profile: "release".to_owned(),
            ..Environment::default()
        },
        arrangement: "side-by-side".to_owned(),
        blocks: 3,
        seed: 7,
        scenario: "title = \"Order status\"\n".to_owned(),
        overrides: Vec::new(),
        workloads: vec![workload; points],
    }
}

/// The summary of the run.
pub(super) fn summary() -> Summary {
    Summary {
        schema: SUMMARY_SCHEMA.to_owned(),
        run_id: "2026-11-23T104512Z-order-status-3f9a1c20".to_owned(),
        tool: Tool { version: "0.1.0".to_owned(), commit: "0123abc".to_owned() },
        scenario: ScenarioSummary {
            title: "Order status".to_owned(),
            question: Some("Poll every second, or subscribe?".to_owned()),
            sha256: "3f9a1c20".repeat(8),
        },
        complete: true,
        verdict: Verdict {
            status: VerdictStatus::Caveats,
            checks: vec![
                check("lag", CheckStatus::Pass, "the source was at most 0.2 ms late"),
                check("blocks", CheckStatus::Info, "3 blocks are too few for intervals"),
                check("lost-events", CheckStatus::Warn, "`webhook` lost 2 of 480 events"),
            ],
        },
        points: vec![PointSummary {
            parameters: BTreeMap::new(),
            strategies: vec![slow_poll(), quick_poll(), webhook()],
            comparisons: comparisons(),
            paired: paired(),
            stopping: None,
            conditions: Conditions { pacer_cpu: 12_000_000, ..Conditions::default() },
        }],
        decision: None,
        thresholds: Vec::new(),
        costs: None,
    }
}

/// The run with an objective, prices and thresholds.
pub(super) fn decided() -> Summary {
    Summary {
        decision: Some(decision()),
        thresholds: thresholds(),
        costs: Some(costs()),
        ..summary()
    }
}

/// What three blocks can say.
fn few(value: f64, low: f64, high: f64) -> Estimate {
    Estimate { value, interval: Some([low, high]), confidence: Some(0.75), blocks: 3 }
}

fn decision() -> Decision {
    let standing = |strategy: &str, p50: Estimate, requests: Estimate| Standing {
        strategy: strategy.to_owned(),
        status: Judgement::Undecided,
        requirements: vec![RequirementResult {
            requirement: "latency.p50 < 300ms".to_owned(),
            measure: "latency.p50".to_owned(),
            status: Judgement::Undecided,
            measured: Some(p50),
            note: Some("an interval of 95 % takes 6 blocks".to_owned()),
        }],
        minimised: Some(requests),
    };
    let sentence = "Undecided: 3 blocks are too few for intervals of 95 %, which take 6.";
    Decision {
        require: vec!["latency.p50 < 300ms".to_owned()],
        minimise: Some("requests.per_event".to_owned()),
        points: vec![PointDecision {
            parameters: BTreeMap::new(),
            strategies: vec![
                standing("poll every second", few(504e6, 501e6, 509e6), few(0.05, 0.049, 0.051)),
                standing("poll every 250 ms", few(127e6, 125e6, 128e6), few(0.2, 0.19, 0.21)),
                standing("webhook", few(1.2e6, 1.1e6, 1.3e6), few(1.0, 1.0, 1.0)),
            ],
            choice: Choice {
                status: ChoiceStatus::Undecided,
                strategy: None,
                cannot_be_told_from: Vec::new(),
                may_be_better: Vec::new(),
                advantages: Vec::new(),
                sentence: sentence.to_owned(),
            },
        }],
        searched: None,
        crossovers: Vec::new(),
        sentence: sentence.to_owned(),
    }
}

fn thresholds() -> Vec<ThresholdResult> {
    let threshold = |expect: &str, status, sentence: &str| ThresholdResult {
        expect: expect.to_owned(),
        parameters: BTreeMap::new(),
        strategy: "webhook".to_owned(),
        measure: "latency.p50".to_owned(),
        passed: status == Judgement::Met,
        status,
        measured: Some(few(1.2e6, 1.1e6, 1.3e6)),
        sentence: sentence.to_owned(),
    };
    vec![
        threshold(
            "webhook: latency.p50 < 50ms",
            Judgement::Met,
            "met: 1.20 ms (1.10 ms to 1.30 ms, 75 %, 3 blocks)",
        ),
        threshold(
            "webhook: latency.p50 < 1.2ms",
            Judgement::Undecided,
            "undecided: 1.20 ms (1.10 ms to 1.30 ms, 75 %, 3 blocks)",
        ),
        threshold(
            "webhook: latency.p50 < 1ms",
            Judgement::Missed,
            "missed: 1.20 ms (1.10 ms to 1.30 ms, 75 %, 3 blocks)",
        ),
    ]
}

fn costs() -> Costs {
    let side = |requests: f64| SideBill {
        requests: Some(requests),
        bytes: None,
        cpu: Some(0.01),
        total: requests + 0.01,
    };
    let bill = |basis, subscribers: u64, requests: f64| Bill {
        basis,
        subscribers,
        source: side(requests),
        subscriber: SideBill::default(),
        total: requests + 0.01,
        interval: Some([requests, requests + 0.02]),
        confidence: Some(0.75),
    };
    Costs {
        currency: "USD".to_owned(),
        hours: 730.0,
        points: vec![PointCosts {
            parameters: BTreeMap::new(),
            strategies: vec![StrategyCosts {
                strategy: "webhook".to_owned(),
                bills: vec![
                    bill(Basis::Measured, 1, 52.6),
                    bill(Basis::Extrapolated, 1_000, 52_600.0),
                ],
            }],
        }],
        assumptions: vec!["every second of a month is like a second of the window".to_owned()],
    }
}

/// Ratios of three blocks, too few for intervals.
fn comparisons() -> Vec<Comparison> {
    let ratios = [("poll every 250 ms", 0.251, 4.0), ("webhook", 0.0024, 20.0)];
    let measures = |(strategy, latency, requests): (&str, f64, f64)| {
        [("latency.p50", latency), ("requests.per_event", requests)].map(|(measure, ratio)| {
            Comparison {
                strategy: strategy.to_owned(),
                baseline: "poll every second".to_owned(),
                measure: measure.to_owned(),
                blocks: 3,
                ratio,
                interval: None,
                p_value: 0.25,
                noise: None,
                difference: Difference::Unknown,
            }
        })
    };
    ratios.into_iter().flat_map(measures).collect()
}

/// The same events, one by one.
fn paired() -> Vec<Paired> {
    let of = |strategy: &str, difference, sooner| Paired {
        strategy: strategy.to_owned(),
        baseline: "poll every second".to_owned(),
        blocks: 3,
        events: 478,
        difference,
        interval: None,
        sooner,
        note: None,
    };
    vec![of("poll every 250 ms", -374_000_000, 0.861), of("webhook", -502_100_000, 0.998)]
}

/// The curves of the run's one point.
pub(super) fn figures() -> Vec<PointFigures> {
    let mut strategies =
        vec![poll_figures("poll every second", 1000), poll_figures("poll every 250 ms", 250), {
            let quantile = |share: f64| 700_000.0 * (1.0 - share).max(1e-4).powf(-0.45);
            curves("webhook", 478.0 / 480.0, quantile, None)
        }];
    for (strategy, span) in strategies.iter_mut().skip(1).zip([750.0, 1000.0]) {
        strategy.differences = (1..=99)
            .map(|percent| f64::from(percent) / 100.0)
            .map(|share| (share, signed((share - 1.0) * span * 1e6 + 8e6)))
            .collect();
    }
    vec![PointFigures {
        parameters: BTreeMap::new(),
        warm_up: 1000 * MS,
        end: 9000 * MS,
        strategies,
    }]
}

/// The run again, swept over two rates, so that it has two points.
pub(super) fn swept() -> (Summary, Vec<PointFigures>) {
    let (mut summary, mut figures) = (summary(), figures());
    let parameters = |rate: &str| BTreeMap::from([("events.rate".to_owned(), rate.to_owned())]);
    summary.points.push(summary.points[0].clone());
    figures.push(figures[0].clone());
    for (place, rate) in ["20/s", "200/s"].into_iter().enumerate() {
        summary.points[place].parameters = parameters(rate);
        figures[place].parameters = parameters(rate);
    }
    (summary, figures)
}

/// The run again, swept over three rates and two intervals, so that it has six points.
pub(super) fn grid() -> (Summary, Vec<PointFigures>) {
    let (mut summary, mut figures) = (summary(), figures());
    let (point, curves) = (summary.points.remove(0), figures.remove(0));
    for rate in ["2/s", "20/s", "200/s"] {
        for every in ["250ms", "1s"] {
            let parameters: BTreeMap<String, String> =
                [("events.rate", rate), ("strategy.poll.every", every)]
                    .map(|(path, value)| (path.to_owned(), value.to_owned()))
                    .into();
            summary.points.push(PointSummary { parameters: parameters.clone(), ..point.clone() });
            figures.push(PointFigures { parameters, ..curves.clone() });
        }
    }
    (summary, figures)
}

/// A strategy that delivered nothing, and has no curves.
pub(super) fn all_lost(name: &str) -> (StrategySummary, StrategyFigures) {
    let mut strategy = webhook();
    strategy.name = name.to_owned();
    strategy.events = Events { emitted: 480, lost: 480, ..Events::default() };
    strategy.latency = LatencySummary::default();
    strategy.limit = Some(limit(84_000, None, 0));
    strategy.staleness = None;
    strategy.requests = Requests { total: 480, failed: 480, ..Requests::default() };
    strategy.bytes.per_event = None;
    strategy.cpu.per_event = None;
    let figures = StrategyFigures {
        name: name.to_owned(),
        delivered_model: 1.0,
        ..StrategyFigures::default()
    };
    (strategy, figures)
}

/// A figure beside what was measured, which may be so far off.
fn claim(quantity: &str, expected: f64, measured: Option<f64>, allowed: f64) -> ModelClaim {
    let interval = measured.map(|measured| [measured - allowed, measured + allowed]);
    ModelClaim {
        quantity: quantity.to_owned(),
        expected,
        measured,
        interval,
        agrees: interval.map(|[low, high]| (low..=high).contains(&expected)),
    }
}

fn check(id: &str, status: CheckStatus, message: &str) -> Check {
    Check {
        code: "V00".to_owned(),
        id: id.to_owned(),
        status,
        message: message.to_owned(),
        value: None,
        limit: None,
    }
}

fn slow_poll() -> StrategySummary {
    StrategySummary {
        name: "poll every second".to_owned(),
        mechanism: "poll".to_owned(),
        subscribers: 1,
        settings: json!({ "every": "1s", "beat": "fixed-rate" }),
        blocks: 3,
        blocks_planned: 3,
        events: Events { emitted: 480, delivered: 480, ..Events::default() },
        latency: LatencySummary {
            count: 480,
            effective: Some(471),
            mean: Some(503_214_000),
            min: Some(1_204_000),
            p50: Some(504_100_000),
            p90: Some(902_700_000),
            p95: Some(951_300_000),
            p99: None,
            p999: None,
            max: Some(1_000_900_000),
            ci95: LatencyIntervals::default(),
        },
        staleness: Some(StalenessSummary {
            share: 0.9512,
            ci95: None,
            age_mean: Some(551_300_000),
            age_max: Some(1_204_000_000),
        }),
        lag: Lag { p50: Some(61_000), p99: None, max: Some(182_000) },
        requests: Requests { total: 24, useful: 24, per_event: Some(0.05), ..Requests::default() },
        messages: Messages { total: 0 },
        connections: Connections { opened: 3, handshakes: 0, resumed: 0, tls: None },
        bytes: WireBytes { to_source: 4_200, from_source: 634_800, per_event: Some(1331.25) },
        cpu: Cpu {
            source: 9_600_000,
            subscriber: Some(14_400_000),
            per_event: Some(50_000),
            idle_source: Some(400_000),
            idle_subscriber: Some(800_000),
            per_event_above_idle: Some(50_000 - 2_500),
        },
        memory: Memory { source_peak: 8_704_000, subscriber_peak: 7_120_000, source_lanes: 3 },
        model: Some(slow_poll_model()),
        limit: Some(limit(500_084_000, Some((504_018_000, 1.008)), 45_640_000)),
        recovery: Vec::new(),
    }
}

/// A limit of a median of so many nanoseconds, beside a median and how many times the limit it is,
/// give or take what chance adds to waits.
fn limit(latency_p50: u64, delivery: Option<(u64, f64)>, noise: u64) -> Limit {
    let nanoseconds = |time: u64| i64::try_from(time).expect("short");
    Limit {
        blocks: 3,
        one_way_p50: 84_000,
        round_trip_p50: 109_000,
        new_connection_p50: 243_000,
        latency_p50: Some(latency_p50),
        delivery_p50: delivery.map(|(p50, _)| p50),
        overhead_p50: delivery.map(|(p50, _)| nanoseconds(p50) - nanoseconds(latency_p50)),
        overhead_ci95: None,
        ratio: delivery.map(|(_, ratio)| ratio),
        ratio_ci95: None,
        noise: Some(noise),
        floor: Some(latency_p50.saturating_sub(70_000 + 5 * noise / 2)),
    }
}

fn slow_poll_model() -> Model {
    Model {
        latency_mean: Some(500_600_000),
        latency_p50: Some(500_600_000),
        latency_p99: Some(990_600_000),
        requests: Some(24.0),
        empty: Some(0.0),
        claims: vec![
            claim("latency.mean", 500.6 * 1e6, Some(503.2 * 1e6), 49.7 * 1e6),
            claim("latency.p50", 500.6 * 1e6, Some(504.1 * 1e6), 95.8 * 1e6),
            claim("latency.p99", 990.6 * 1e6, None, 0.0),
            claim("staleness.share", 0.9506, Some(0.9512), 0.0121),
            claim("requests.total", 24.0, Some(24.0), 3.0),
            claim("requests.empty", 0.0, Some(0.0), 3.0),
        ],
        agrees: Some(true),
        note: "uniform wait of up to one interval".to_owned(),
    }
}

fn quick_poll() -> StrategySummary {
    let mut strategy = slow_poll();
    strategy.name = "poll every 250 ms".to_owned();
    strategy.settings = json!({ "every": "250ms", "beat": "fixed-rate" });
    strategy.latency = LatencySummary {
        count: 480,
        effective: Some(455),
        mean: Some(127_410_000),
        min: Some(802_000),
        p50: Some(139_300_000),
        p90: Some(225_900_000),
        p95: Some(238_800_000),
        p99: None,
        p999: None,
        max: Some(251_400_000),
        ci95: LatencyIntervals::default(),
    };
    strategy.requests = Requests {
        total: 96,
        useful: 95,
        empty: 1,
        not_modified: 1,
        per_event: Some(0.2),
        ..Requests::default()
    };
    strategy.bytes =
        WireBytes { to_source: 16_800, from_source: 652_000, per_event: Some(1393.33) };
    strategy.cpu = Cpu {
        source: 16_800_000,
        subscriber: Some(24_000_000),
        per_event: Some(85_000),
        idle_source: Some(400_000),
        idle_subscriber: Some(800_000),
        per_event_above_idle: Some(85_000 - 2_500),
    };
    strategy.limit = Some(limit(125_084_000, Some((140_200_000, 1.121)), 11_410_000));
    strategy.model = Some(Model {
        latency_mean: Some(125_600_000),
        latency_p50: Some(125_600_000),
        latency_p99: Some(248_100_000),
        requests: Some(96.0),
        empty: Some(0.646),
        claims: vec![
            claim("latency.mean", 125.6 * 1e6, Some(127.4 * 1e6), 12.4 * 1e6),
            claim("latency.p50", 125.6 * 1e6, Some(139.3 * 1e6), 9.1 * 1e6),
            claim("requests.total", 96.0, Some(96.0), 3.0),
            claim("requests.empty", 0.646, Some(1.0), 5.4),
        ],
        agrees: Some(false),
        note: "uniform wait of up to one interval; p50 latency 13.7 ms above theory (139 ms \
               against 126 ms, where chance and slack explain 9.10 ms)"
            .to_owned(),
    });
    strategy
}

fn webhook() -> StrategySummary {
    let mut strategy = slow_poll();
    strategy.name = "webhook".to_owned();
    strategy.mechanism = "webhook".to_owned();
    strategy.settings = json!({ "retries": "svix", "time-scale": 0.01 });
    strategy.events =
        Events { emitted: 480, delivered: 478, lost: 2, duplicated: 1, ..Events::default() };
    strategy.staleness = Some(StalenessSummary {
        share: 0.0247,
        ci95: None,
        age_mean: Some(51_900_000),
        age_max: Some(372_000_000),
    });
    strategy.latency = LatencySummary {
        count: 478,
        effective: None,
        mean: Some(1_402_000),
        min: Some(611_000),
        p50: Some(1_100_000),
        p90: Some(2_210_000),
        p95: Some(3_020_000),
        p99: None,
        p999: None,
        max: Some(14_300_000),
        ci95: LatencyIntervals::default(),
    };
    strategy.requests = Requests {
        total: 482,
        useful: 478,
        failed: 4,
        dead_lettered: 2,
        retried: 3,
        per_event: Some(482.0 / 478.0),
        ..Requests::default()
    };
    strategy.bytes =
        WireBytes { to_source: 81_600, from_source: 867_000, per_event: Some(1984.52) };
    strategy.cpu = Cpu {
        source: 38_240_000,
        subscriber: Some(28_680_000),
        per_event: Some(140_000),
        idle_source: Some(400_000),
        idle_subscriber: Some(800_000),
        per_event_above_idle: Some(140_000 - 2_500),
    };
    strategy.limit = Some(limit(84_000, Some((1_021_000, 12.15)), 0));
    strategy.memory.subscriber_peak = 7_404_000;
    strategy.model = Some(Model {
        latency_mean: None,
        latency_p50: None,
        latency_p99: None,
        requests: Some(480.0),
        empty: Some(0.0),
        claims: vec![
            claim("requests.total", 480.0, Some(482.0), 3.0),
            claim("requests.empty", 0.0, Some(0.0), 3.0),
        ],
        agrees: None,
        note: "one request per event; no latency is claimed".to_owned(),
    });
    strategy
}

fn poll_figures(name: &str, every_ms: u64) -> StrategyFigures {
    let span = (every_ms * MS) as f64;
    // A small wave about the uniform law, so that measurement and model can be told apart.
    let quantile =
        move |share: f64| 700_000.0 + span * (share + 0.012 * (share * 19.0).sin() * (1.0 - share));
    let model = (0..=200)
        .map(|step| f64::from(step) / 200.0)
        .map(|share| (whole(600_000.0 + span * share), share))
        .collect();
    curves(name, 1.0, quantile, Some(model))
}

fn curves(
    name: &str,
    delivered: f64,
    quantile: impl Fn(f64) -> f64,
    ecdf_model: Option<Vec<(u64, f64)>>,
) -> StrategyFigures {
    let ecdf = (1..=240)
        .map(|step| f64::from(step) / 240.0)
        .map(|share| (whole(quantile(share)), share * delivered))
        .collect();
    let percentiles = (0..80)
        .map(|step| 1.0 - 10f64.powf(-f64::from(step) * 0.021))
        .map(|share| (share, whole(quantile(share))))
        .collect();
    let timeline = (0..90u64)
        .map(|bin| {
            let middle = 0.5 + 0.18 * (bin as f64 * 2.4).sin();
            let at = bin * 100 * MS + 50 * MS;
            let max = whole(quantile(0.93 + 0.06 * (bin as f64 * 1.7).cos()));
            TimelineBin { at, p50: whole(quantile(middle)), max }
        })
        .collect();
    let delivered_model = 1.0;
    StrategyFigures {
        name: name.to_owned(),
        ecdf,
        ecdf_model,
        delivered_model,
        percentiles,
        timeline,
        ..StrategyFigures::default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "differences of the sample are short")]
fn signed(nanoseconds: f64) -> i64 {
    nanoseconds as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "latencies of the sample are positive and short"
)]
fn whole(nanoseconds: f64) -> u64 {
    nanoseconds as u64
}
