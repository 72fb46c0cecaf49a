use super::{
    Change, CompareError, ComparedRun, Gate, GateError, GateOutcome, HeadlineOutcome, Receipt,
    ReceiptOutcome, RunComparison, Tolerance, compare,
};
use crate::analysis::summary::{Difference, VerdictStatus};
use crate::measure::Measure;
use crate::record::run::Run;
use crate::record::sample::Sample;

fn of(sample: &Sample, change: impl FnOnce(&mut Run)) -> ComparedRun {
    let out = tempfile::tempdir().expect("a folder");
    let mut run = Run::open(&sample.write(out.path()).expect("written")).expect("opened");
    change(&mut run);
    run.manifest.run_id = run.manifest.identity();
    ComparedRun::of(&run).expect("analysed")
}

/// A run of so many blocks whose latencies and CPU times are multiplied.
fn scaled(blocks: u32, factor: f64) -> ComparedRun {
    let mut run = of(&Sample { blocks, ..Sample::default() }, |_| ());
    let times = |value: u64| (value as f64 * factor).round();
    for strategy in run.evidence.points.iter_mut().flat_map(|point| &mut point.strategies) {
        for block in &mut strategy.blocks {
            // Blocks of the sample are nearly alike; here each is a little slower than the last.
            let own = 1.0 + 0.002 * f64::from(block.number);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test")]
            let scaled = |value: u64| (times(value) * own) as u64;
            block.latency.p50 = block.latency.p50.map(scaled);
            block.measured.source.cpu_ns = scaled(block.measured.source.cpu_ns);
            block.measured.subscriber.cpu_ns = scaled(block.measured.subscriber.cpu_ns);
        }
    }
    run
}

fn compared(first: &ComparedRun, second: &ComparedRun) -> RunComparison {
    compare(first, second, false).expect("comparable")
}

fn found<'a>(comparison: &'a RunComparison, strategy: &str, measure: &str) -> &'a Change {
    let is = |change: &&Change| change.strategy == strategy && change.measure.name() == measure;
    comparison.changes.iter().find(is).expect("compared")
}

#[test]
fn a_run_beside_itself_does_not_differ() {
    let run = scaled(8, 1.0);
    let comparison = compared(&run, &run);
    assert!(!comparison.is_forced() && comparison.differences.is_empty());
    for change in &comparison.changes {
        assert_eq!(change.difference, Difference::None, "{change:?}");
        assert!((change.ratio - 1.0).abs() < 1e-2, "{change:?}");
    }
}

#[test]
fn a_slower_run_is_found_to_be_slower_by_as_much() {
    let comparison = compared(&scaled(8, 1.0), &scaled(8, 1.5));
    let p50 = found(&comparison, "webhook", "latency.p50");
    assert_eq!((p50.difference, p50.blocks), (Difference::Larger, [8, 8]));
    let interval = p50.interval.expect("eight blocks");
    assert!(interval.low <= 1.5 && 1.5 <= interval.high && interval.low > 1.4, "{p50:?}");
    assert_eq!(found(&comparison, "webhook", "requests.per_event").difference, Difference::None);
    // A strategy's measures stand together, in the scenario's order.
    let order: Vec<&str> = comparison.changes.iter().map(|c| c.strategy.as_str()).collect();
    assert!(order.is_sorted_by(|a, b| a == b || (a, b) == (&order[0], &"webhook")), "{order:?}");
}

#[test]
fn an_invalid_run_is_compared_by_force_only() {
    let (first, mut second) = (scaled(4, 1.0), scaled(4, 1.0));
    second.verdict.status = VerdictStatus::Invalid;
    let error = compare(&first, &second, false).expect_err("invalid");
    assert!(error.to_string().contains("the second run is invalid"), "{error}");
    assert!(compare(&first, &second, true).expect("forced").is_forced());
}

#[test]
fn too_few_blocks_claim_nothing() {
    for change in &compared(&scaled(3, 1.0), &scaled(3, 9.0)).changes {
        assert_eq!((change.interval, change.difference), (None, Difference::Unknown));
    }
    // Four would do for one strategy; for two, Holm's procedure needs more.
    for change in &compared(&scaled(4, 1.0), &scaled(4, 9.0)).changes {
        assert!(change.interval.is_some());
        assert_eq!(change.difference, Difference::Unknown);
    }
}

#[test]
fn a_difference_within_the_noise_of_either_machine_is_noise() {
    let (mut first, second) = (scaled(8, 1.0), scaled(8, 1.1));
    let floor = crate::record::noise_floor::NoiseFloor {
        run_id: String::new(),
        measured: jiff::Timestamp::UNIX_EPOCH,
        arrangement: String::new(),
        mechanism: String::new(),
        blocks: 8,
        factors: [("latency.p50".to_owned(), 1.2)].into(),
    };
    first.noise_floor = Some(floor);
    let comparison = compared(&first, &second);
    let p50 = found(&comparison, "webhook", "latency.p50");
    assert_eq!((p50.difference, p50.noise), (Difference::Noise, Some(1.2)));
    assert_eq!(found(&comparison, "webhook", "cpu.per_event").difference, Difference::Larger);
}

#[test]
fn what_was_measured_must_be_the_same_and_how_it_differs_is_named() {
    type Edit = fn(&mut Run);
    let edits: [(Edit, &str); 6] = [
        (|run| run.manifest.layout = "solo".into(), "layout is side-by-side and solo"),
        (
            |run| {
                let bytes = crate::units::Bytes(2048);
                run.manifest.points[0].workload.payload = bytes;
                run.records.iter_mut().for_each(|record| record.workload.payload = bytes);
            },
            "payload is 1 KiB and 2 KiB",
        ),
        (
            |run| {
                run.manifest.points[0].strategies.remove(1);
                run.records.retain(|record| record.strategy.name != "webhook");
            },
            "`webhook` is only in the first run",
        ),
        (
            |run| {
                let every = serde_json::json!({ "every": "1s" });
                run.manifest.points[0].strategies[0].settings = every.clone();
                let polls = run.records.iter_mut().filter(|r| r.strategy.mechanism == "poll");
                polls.for_each(|record| record.strategy.settings = every.clone());
            },
            "of `poll four times a second`, every is 250ms and 1s",
        ),
        (
            |run| {
                let parameters = [("events.rate".to_owned(), "20/s".to_owned())].into();
                run.manifest.points[0].parameters = parameters;
            },
            "a point without a sweep is only in the first run; events.rate = 20/s is only in the \
             second run",
        ),
        (
            |run| run.manifest.injected = Some(crate::fault::Fault::HalveRate),
            "the planted fault is none and halve-rate",
        ),
    ];
    let first = scaled(4, 1.0);
    for (edit, said) in edits {
        let second = of(&Sample { blocks: 4, ..Sample::default() }, edit);
        let error = compare(&first, &second, false).expect_err("not comparable");
        assert!(error.to_string().contains(said), "{error}");
        match compare(&first, &second, true) {
            Ok(comparison) => assert!(comparison.incomparable.join("; ").starts_with(said)),
            Err(CompareError::NothingInCommon(why)) => assert!(why.join("; ").starts_with(said)),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn another_machine_version_or_seed_is_named_and_no_obstacle() {
    let other = of(&Sample::default(), |run| {
        run.manifest.environment.cpu_model = Some("Another".to_owned());
        run.manifest.environment.load_average = Some([1.0, 1.0, 1.0]);
        run.manifest.tool.version = "0.2.0".to_owned();
        run.manifest.seed = 8;
        run.scenario.push_str("# edited\n");
    });
    let comparison = compared(&scaled(3, 1.0), &other);
    assert_eq!(
        comparison.differences,
        [
            "version is 0.1.0 and 0.2.0",
            "cpu_model is Simulated CPU and Another",
            "seed is 7 and 8",
            "the number of blocks is 3 and 2",
            "scenario.toml is worded differently, to the same effect",
        ]
    );
}

fn gates(texts: &[&str]) -> Vec<Gate> {
    texts.iter().map(|text| text.parse().expect("a gate")).collect()
}

#[test]
fn a_gate_fails_only_on_evidence() {
    let (first, slower) = (scaled(10, 1.0), scaled(10, 1.15));
    let comparison = compared(&first, &slower);
    for (gate, expected) in [
        ("webhook: latency.p50 > +10%", GateOutcome::Failed),
        ("webhook: latency.p50 > +14.9%", GateOutcome::CannotTell),
        ("webhook: latency.p50 > +20%", GateOutcome::Passed),
        ("webhook: latency.p50 < -5%", GateOutcome::Passed),
        ("webhook: latency.p50 < +50%", GateOutcome::Failed),
        // Eight seconds hold too few events for a tail.
        ("webhook: latency.p99 > +10%", GateOutcome::CannotTell),
    ] {
        let results = comparison.judge(&gates(&[gate])).expect("known strategies");
        assert_eq!(results[0].outcome, expected, "{results:?}");
    }
    let all = comparison.judge(&gates(&["*: cpu.per_event > +1%"])).expect("known strategies");
    assert_eq!(all.len(), 2, "every strategy");
    // With six blocks each, two gates at once still have an interval, and fifty have none.
    let few = compared(&scaled(6, 1.0), &scaled(6, 3.0));
    let many = vec!["webhook: latency.p50 > +10%"; 50];
    let of_many = few.judge(&gates(&many)).expect("known strategies");
    assert_eq!((of_many.len(), of_many[0].interval), (50, None));
    let of_two = few.judge(&gates(&many[..2])).expect("known strategies");
    assert_eq!(of_two[0].outcome, GateOutcome::Failed);
}

#[test]
fn gates_that_mean_nothing_are_refused() {
    for text in [
        "",
        "webhook",
        "webhook: latency.p99",
        "webhook: latency.p99 > 10%",
        "webhook: latency.p99 > +10",
        "webhook: latency.p99 > +ten%",
        "webhook: latency.p99 > -100%",
        ": latency.p99 > +10%",
    ] {
        assert!(matches!(text.parse::<Gate>(), Err(GateError::Malformed { .. })), "{text}");
    }
    let unknown = "webhook: latency.p42 > +10%".parse::<Gate>();
    assert!(matches!(unknown, Err(GateError::UnknownMeasure { .. })), "{unknown:?}");
    let run = scaled(2, 1.0);
    let refused = compared(&run, &run).judge(&gates(&["a: b: latency.p50 > +10%"]));
    let expected = "there is no strategy `a: b` in both runs; there are `poll four times a \
                    second`, `webhook`";
    assert_eq!(refused.expect_err("no such strategy").to_string(), expected);
}

#[test]
fn a_receipt_tells_what_came_out_again_from_what_did_not_and_what_cannot_be_told() {
    let first = scaled(8, 1.0);
    let receipt = |factor: f64, blocks: u32| {
        let comparison = compared(&first, &scaled(blocks, factor));
        Receipt::of(comparison, "20%".parse().expect("a tolerance"))
    };
    let p50 = |receipt: &Receipt| {
        let webhook = receipt.headlines.iter().filter(|line| line.strategy == "webhook");
        webhook
            .into_iter()
            .find(|line| line.measure == Measure::LatencyP50)
            .expect("a headline")
            .outcome
    };
    let same = receipt(1.0, 8);
    assert_eq!((p50(&same), same.outcome), (HeadlineOutcome::Within, ReceiptOutcome::Reproduced));
    let slower = receipt(1.5, 8);
    assert_eq!(
        (p50(&slower), slower.outcome),
        (HeadlineOutcome::Outside, ReceiptOutcome::NotReproduced)
    );
    assert_eq!(p50(&receipt(1.2, 8)), HeadlineOutcome::Noisy, "on the edge");
    let few = receipt(9.0, 1);
    assert_eq!((p50(&few), few.outcome), (HeadlineOutcome::Noisy, ReceiptOutcome::CannotTell));
    for text in ["20", "0%", "-5%", "x%", "inf%"] {
        assert!(text.parse::<Tolerance>().is_err(), "{text}");
    }
}
