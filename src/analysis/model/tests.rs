//! What measurements refute, bear out, and leave open.

use super::Observed;
use rand::RngExt;

use crate::analysis::evidence::tests::{evidence, evidence_of};
use crate::analysis::evidence::{BlockLatency, Evidence, StrategyEvidence};
use crate::analysis::latency::{Distribution, summarise};
use crate::analysis::summary::{Model, ModelClaim, Requests};
use crate::record::manifest::PlannedWorkload;
use crate::record::sample::Sample;
use crate::record::trial::StrategyRecord;
use crate::schedule::{Arrivals, random_stream};
use crate::theory::bounded_poll::BoundedPoll;
use crate::theory::interval_poll::IntervalPoll;
use crate::theory::reads::Reads;
use crate::theory::retries::Retries;
use crate::theory::snapshot_poll::SnapshotPoll;
use crate::theory::stream::Stream;
use crate::theory::webhook::Webhook;
use crate::theory::{Beat, Theory};
use crate::units::nanoseconds;
use std::time::Duration;

fn every(milliseconds: u64) -> Theory {
    let every = Duration::from_millis(milliseconds);
    IntervalPoll { reads: Reads::every(every, Beat::FixedRate), limit: 100 }.into()
}

struct Case {
    strategy: StrategyEvidence,
    workload: PlannedWorkload,
    theory: Theory,
}

impl Case {
    fn of(index: usize, theory: Theory) -> Case {
        Case::from(evidence(), index, theory)
    }

    /// A poll of so many blocks.
    fn of_blocks(blocks: u32) -> Case {
        let sample = Sample { blocks, ..Sample::default() };
        Case::from(evidence_of(&sample, |_| ()), 0, every(250))
    }

    fn from(mut evidence: Evidence, index: usize, theory: Theory) -> Case {
        let strategy = evidence.points.remove(0).strategies.remove(index);
        let asked = strategy.blocks[0].workload.clone();
        let workload = PlannedWorkload {
            rate: asked.rate,
            arrivals: asked.arrivals,
            payload: asked.payload,
            warm_up: asked.warm_up,
            window: asked.window,
            drain: Duration::ZERO,
            rtt: asked.rtt,
            network: asked.network,
        };
        Case { strategy, workload, theory }
    }

    fn poll() -> Case {
        Case::of(0, every(250))
    }

    fn push() -> Case {
        Case::of(1, Webhook::plain(4).into())
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's own lifetime is bound too early to be named here"
    )]
    fn model(&self) -> Model {
        self.observe(|observed| observed.compare())
    }

    fn observe<T>(&self, of: impl FnOnce(&Observed<'_>) -> T) -> T {
        let summary = &self.strategy.summary;
        let record = StrategyRecord {
            incidents: Vec::new(),
            name: summary.name.clone(),
            mechanism: summary.mechanism.clone(),
            subscribers: summary.subscribers,
            settings: serde_json::Value::Null,
            set_up: 0,
            promise: crate::promise::Promise::COMPLETE,
            theory: Some(self.theory.clone()),
        };
        let observed = Observed::of(summary, &record, &self.workload, &self.strategy.blocks);
        of(&observed.expect("measured"))
    }
}

/// What a model says of one figure.
fn claim(model: &Model, quantity: &str) -> ModelClaim {
    let found = model.claims.iter().find(|claim| claim.quantity == quantity);
    found.unwrap_or_else(|| panic!("{quantity} is not claimed: {:?}", model.claims)).clone()
}

#[test]
fn an_ideal_poll_agrees_and_its_form_is_explained() {
    let model = Case::poll().model();
    assert_eq!(model.agrees, Some(true), "{}", model.note);
    assert_eq!(model.latency_mean, Some(125_150_000));
    assert_eq!(model.latency_p99, Some(247_650_000));
    assert!((model.requests.expect("claimed") - 64.0).abs() < 1e-9);
    let quantities: Vec<&str> = model.claims.iter().map(|claim| claim.quantity.as_str()).collect();
    let latencies = ["latency.mean", "latency.p50", "latency.p99", "staleness.share"];
    assert_eq!(quantities, [&latencies[..], &["requests.total", "requests.empty"]].concat());
    // 160 events a block are too few for p99.
    let agrees: Vec<Option<bool>> = model.claims.iter().map(|claim| claim.agrees).collect();
    let yes = Some(true);
    assert_eq!(agrees, [yes, yes, None, yes, yes, yes], "{:?}", model.claims);
    assert!(model.note.starts_with("fixed-interval polling: latency is uniform on [d, G + d]"));
}

#[test]
fn a_mean_outside_its_tolerance_disagrees() {
    let mut case = Case::poll();
    // About 320 waits: 3 · 250 ms / √(12 · 320) + 2.5 ms is 14.6 ms.
    case.strategy.summary.latency.mean = Some(142_000_000);
    assert_eq!(case.model().agrees, Some(false));
    case.strategy.summary.latency.mean = Some(136_000_000);
    assert_eq!(case.model().agrees, Some(true));
}

#[test]
fn a_median_outside_its_tolerance_disagrees_and_says_by_how_much() {
    let mut case = Case::poll();
    // 320 waits: 3 · 1.25 · √(¼/320) · 250 ms + 2.5 ms is 28.7 ms.
    for (p50, agrees) in [(152, true), (156, false), (98, true), (94, false)] {
        case.strategy.summary.latency.p50 = Some(p50 * 1_000_000);
        let model = case.model();
        assert_eq!(claim(&model, "latency.p50").agrees, Some(agrees), "{p50} ms: {}", model.note);
        assert_eq!(model.agrees, Some(agrees));
    }
    case.strategy.summary.latency.p50 = Some(160_000_000);
    let note = case.model().note;
    assert!(note.contains("p50 latency 34.9 ms above theory (160 ms against 125 ms, "), "{note}");
}

#[test]
fn the_tail_of_a_poll_is_judged_once_there_is_one() {
    let mut case = Case::poll();
    case.strategy.summary.latency.count = 100_000;
    for (p99, agrees) in [(247, true), (252, true), (254, false), (235, false)] {
        case.strategy.summary.latency.p99 = Some(p99 * 1_000_000);
        let judged = claim(&case.model(), "latency.p99");
        assert_eq!(judged.agrees, Some(agrees), "{p99} ms: {judged:?}");
    }
}

#[test]
fn what_blocks_differ_by_is_no_disagreement() {
    // Ten blocks with a p50 that scatters more than independent waits do.
    let mut case = Case::of_blocks(10);
    case.strategy.summary.latency.p50 = Some(150_000_000);
    let scattered = |case: &mut Case, least: u64, apart: u64| {
        for (number, block) in (0_u64..).zip(&mut case.strategy.blocks) {
            block.latency.p50 = Some((least + apart * number) * 1_000_000);
        }
        claim(&case.model(), "latency.p50")
    };
    assert_eq!(scattered(&mut case, 145, 1).agrees, Some(false));
    let judged = scattered(&mut case, 110, 9);
    assert_eq!(judged.agrees, Some(true), "{judged:?}");
    // The least block is the lower end, and 2 % of what is expected is let go.
    let low = judged.interval.expect("judged")[0];
    assert!((low - (110e6 - 0.02 * 125_150_000.0)).abs() < 1.0, "{judged:?}");
}

#[test]
fn what_is_above_a_latency_nobody_waits_for_is_not_the_forms() {
    let rtt = Duration::from_millis(50);
    let mut case = Case::push();
    case.workload.rtt = Some(rtt);
    for block in &mut case.strategy.blocks {
        let window = &mut block.measured.source.window;
        window.exchange_ns = window.exchanges_timed * nanoseconds(rtt);
    }
    let latency = &mut case.strategy.summary.latency;
    (latency.mean, latency.p50) = (Some(25_100_000), Some(25_100_000));
    for (p99, agrees) in [(25, true), (40, true), (20, false)] {
        case.strategy.summary.latency.p99 = Some(p99 * 1_000_000);
        assert_eq!(claim(&case.model(), "latency.p99").agrees, Some(agrees), "{p99} ms");
    }
    case.strategy.summary.latency.p50 = Some(27_000_000);
    assert_eq!(claim(&case.model(), "latency.p50").agrees, Some(false));
}

#[test]
fn a_state_out_of_date_for_too_long_disagrees() {
    let mut case = Case::poll();
    let share = |case: &Case| claim(&case.model(), "staleness.share");
    // λG = 5: 1 − (1 − e^(−5))/5, and λd = 0.003 more.
    assert!((share(&case).expected - 0.8023).abs() < 5e-4, "{:?}", share(&case));
    assert_eq!(share(&case).agrees, Some(true), "{:?}", share(&case));
    let staleness = case.strategy.summary.staleness.as_mut().expect("a ledger");
    staleness.share = 0.99;
    assert_eq!(share(&case).agrees, Some(false), "{:?}", share(&case));
}

#[test]
fn polls_too_few_and_too_many_disagree() {
    let mut case = Case::poll();
    let requests = case.strategy.summary.requests;
    case.strategy.summary.requests.useful = requests.useful - 4;
    assert_eq!(case.model().agrees, Some(false));
    case.strategy.summary.requests.useful = requests.useful + 4;
    assert_eq!(case.model().agrees, Some(false));
    case.strategy.summary.requests.useful = requests.useful + 1;
    assert_eq!(case.model().agrees, Some(true));
    case.strategy.summary.requests.useful = requests.useful;
    case.strategy.summary.requests.empty += 20;
    assert_eq!(case.model().agrees, Some(false));
}

#[test]
fn missed_beats_explain_missing_polls_and_are_said() {
    let mut case = Case::poll();
    case.strategy.summary.requests.useful -= 4;
    case.strategy.summary.requests.beats_missed = 4;
    let model = case.model();
    assert_eq!(model.agrees, Some(true));
    let requests = claim(&model, "requests.total + requests.beats_missed");
    assert_eq!((requests.measured, requests.agrees), (Some(64.0), Some(true)));
    assert!(model.note.contains("requests and 4 missed beats"), "{}", model.note);
}

#[test]
fn slow_exchanges_are_judged_by_the_beats_of_the_clock() {
    // Every exchange takes a beat and a half: one beat is polled, the next is missed.
    let mut case = Case::poll();
    for block in &mut case.strategy.blocks {
        let window = &mut block.measured.subscriber.window;
        window.exchange_ns = window.exchanges_timed * 375_000_000;
    }
    case.strategy.summary.requests.useful = 32;
    case.strategy.summary.requests.empty = 0;
    case.strategy.summary.requests.beats_missed = 32;
    let model = case.model();
    let requests = claim(&model, "requests.total + requests.beats_missed");
    assert_eq!((requests.measured, requests.agrees), (Some(64.0), Some(true)), "{requests:?}");
    assert!((requests.expected - 64.0).abs() < 1e-9, "{requests:?}");
}

#[test]
fn back_to_back_polls_may_be_fewer_and_not_more_than_exchanges_fit() {
    let mut case = Case::of(0, every(0));
    let refutes_requests =
        |case: &Case| claim(&case.model(), "requests.total").agrees == Some(false);
    assert!(!refutes_requests(&case), "{}", case.model().note);
    case.strategy.summary.requests.useful = 1_000_000_000;
    assert!(refutes_requests(&case));
}

#[test]
fn a_window_of_a_part_of_an_interval_does_not_judge_the_mean() {
    let mut case = Case::poll();
    case.workload.window = Duration::from_millis(375);
    case.strategy.summary.requests.useful = 3;
    case.strategy.summary.requests.empty = 0;
    let model = case.model();
    assert!(model.note.contains("a window of too few intervals"), "{}", model.note);
    assert_eq!(claim(&model, "latency.mean").agrees, None);
}

#[test]
fn too_few_events_are_not_judged() {
    let mut case = Case::poll();
    case.strategy.summary.latency.count = 29;
    let model = case.model();
    assert_eq!(model.agrees, None);
    assert!(model.note.contains("too few"), "{}", model.note);
}

#[test]
fn evenly_spaced_events_count_once_a_block() {
    let mut case = Case::poll();
    case.workload.arrivals = Arrivals::Constant;
    let model = case.model();
    assert_eq!(model.agrees, None);
    assert!(model.note.contains("lock onto the beat"), "{}", model.note);
}

#[test]
fn forms_claim_whatever_is_counted() {
    let reads = Reads::every(Duration::from_millis(250), Beat::FixedRate);
    // Of 20 events a second, 4 polls a second see (1 − e^(−5))/5: 64 gaps with news, nearly.
    let mut case = Case::of(0, SnapshotPoll { reads: reads.clone() }.into());
    let delivered = |case: &Case| claim(&case.model(), "events.delivered");
    assert!((delivered(&case).expected - 63.6).abs() < 0.05, "{:?}", delivered(&case));
    assert_eq!(delivered(&case).agrees, Some(false), "a sample that sees every event");
    case.strategy.summary.events.delivered = 64;
    assert_eq!(delivered(&case).agrees, Some(true));
    // A feed of 5 events loses Σ (n − 5)·P(N = n) = 0.8773 of the 5 events of a gap.
    let mut case = Case::of(0, BoundedPoll { reads, limit: 100, keeps: 5 }.into());
    let lost = |case: &Case| claim(&case.model(), "events.lost");
    assert!((lost(&case).expected - 56.1).abs() < 0.05, "{:?}", lost(&case));
    assert_eq!(lost(&case).agrees, Some(false));
    case.strategy.summary.events.lost = 56;
    assert_eq!(lost(&case).agrees, Some(true));
}

#[test]
fn a_webhook_with_retries_sends_no_copies_while_nothing_fails() {
    let retries = Retries { waits: vec![1_000_000_000], ..Retries::default() };
    let mut case = Case::of(1, Webhook { retries: Some(retries), ..Webhook::plain(4) }.into());
    assert_eq!(case.model().agrees, Some(true), "{}", case.model().note);
    case.strategy.summary.events.duplicated = 1;
    let model = case.model();
    assert_eq!(model.agrees, Some(false));
    assert!(model.note.contains("copies beyond the first 1.0 above theory"), "{}", model.note);
}

#[test]
fn a_stream_is_judged_without_any_exchange() {
    let mut case = Case::of(1, Stream { heartbeat: None, ends: None }.into());
    for block in &mut case.strategy.blocks {
        block.measured.source.window.exchanges_timed = 0;
    }
    let summary = &mut case.strategy.summary;
    summary.messages.total = summary.events.delivered;
    summary.requests = Requests::default();
    let model = case.model();
    assert_eq!(model.agrees, Some(true), "{}", model.note);
    assert_eq!((model.requests, model.empty), (Some(0.0), Some(0.0)));
    case.strategy.summary.messages.total = 0;
    assert_eq!(case.model().agrees, Some(false), "events without messages");
}

#[test]
fn untimed_exchanges_leave_the_form_unjudged() {
    let mut case = Case::poll();
    for block in &mut case.strategy.blocks {
        block.measured.subscriber.window.exchanges_timed = 0;
        block.measured.subscriber.window.exchange_ns = 0;
    }
    assert_eq!(case.model().agrees, None);
}

#[test]
fn push_claims_one_request_per_event_and_no_mean() {
    let mut case = Case::push();
    let model = case.model();
    assert_eq!(model.agrees, Some(true), "{}", model.note);
    assert_eq!((model.latency_mean, model.empty), (None, Some(0.0)));
    let owed = case.strategy.summary.events.emitted as f64;
    assert!((model.requests.expect("claimed") - owed).abs() < 1e-9);
    case.strategy.summary.requests.useful += 20;
    assert_eq!(case.model().agrees, Some(false));
    let mut case = Case::push();
    case.strategy.summary.latency.mean = Some(1_000);
    assert_eq!(case.model().agrees, Some(false), "faster than the network");
}

/// How many of a hundred runs a poll once a second disagrees in, of whose waits each is so many
/// times as long as it should be.
fn refuted_of_a_hundred(blocks: u32, events: usize, stretched: f64) -> usize {
    let sample = Sample { blocks, ..Sample::default() };
    let mut case = Case::from(evidence_of(&sample, |_| ()), 0, every(1_000));
    case.workload.window = Duration::from_secs(100);
    let mut random = random_stream(u64::from(blocks), 0);
    let mut wait = || Duration::from_secs_f64(random.random::<f64>() * stretched + 150e-6);
    let mut disagrees = || {
        let measured: Vec<Distribution> = (0..blocks)
            .map(|_| Distribution::of_values((0..events).map(|_| nanoseconds(wait())).collect()))
            .collect();
        for (block, measured) in case.strategy.blocks.iter_mut().zip(&measured) {
            block.latency = BlockLatency::of(measured);
        }
        case.strategy.summary.latency = summarise(&measured, &Distribution::pooled(&measured));
        let claims = case.model().claims;
        let mut latencies = claims.iter().filter(|claim| claim.quantity.starts_with("latency"));
        latencies.any(|claim| claim.agrees == Some(false))
    };
    (0..100).filter(|_| disagrees()).count()
}

#[test]
fn sound_runs_are_seldom_refuted_and_wrong_ones_nearly_always() {
    for (blocks, events) in [(1, 1_000), (3, 200), (6, 100), (10, 100)] {
        let alarms = refuted_of_a_hundred(blocks, events, 1.0);
        assert!(alarms <= 2, "{alarms} false alarms over {blocks} blocks");
        // T/2 + rtt for T/2 + d would be no less wrong.
        let caught = refuted_of_a_hundred(blocks, events, 1.25);
        assert!(caught >= 98, "{caught} caught over {blocks} blocks");
    }
}

#[test]
fn the_curve_of_a_form_ends_at_the_share_it_expects_to_arrive() {
    let reads = Reads::every(Duration::from_millis(250), Beat::FixedRate);
    let case = Case::of(0, BoundedPoll { reads, limit: 100, keeps: 5 }.into());
    // It loses 0.8773 of the 5 events of a gap.
    assert!((case.observe(|observed| observed.predicted_latency().1) - 0.8245).abs() < 1e-3);
}
