//! What a run through the real binary leaves on disk, and whether its numbers agree with
//! each other.
//!
//! A machine that is busy with other tests may earn any verdict, so codes 0 and 4 are both
//! right; nothing here depends on how fast anything was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pollpush::analysis::summary::{SUMMARY_SCHEMA, StrategySummary, Summary};
use pollpush::counts::Counts;
use pollpush::digest::sha256_file;
use pollpush::record::histogram::Tag;
use pollpush::record::ledger::Ledger;
use pollpush::record::manifest::RunStatus;
use pollpush::record::run::Run;
use pollpush::record::trial::{Measured, Outcome, TrialRecord};

use crate::program::{Ended, Place, pollpush};

const SIDE_BY_SIDE: &str = r#"
title = "Side by side"     # a comment, which the copy keeps

[events]
rate    = "40/s"
payload = "1 KiB"

[run]
warm-up  = "500ms"
duration = "2s"
repeats  = 1
seed     = 11

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "500ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
sign      = "standard-webhooks"
"#;

/// Polls a window of `SIDE_BY_SIDE` holds.
const POLLS: u64 = 4;

const SOLO: &str = r#"
title = "Each alone"

[events]
rate = "40/s"

[run]
warm-up  = "0s"
duration = "1s"
repeats  = 2
layout   = "solo"
seed     = 11

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "250ms"
client    = "hyper"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
"#;

const CHARTS: [&str; 5] = [
    "cpu-per-event",
    "latency-ecdf",
    "latency-over-time",
    "latency-percentiles",
    "requests-per-event",
];

#[test]
fn a_side_by_side_run_leaves_a_whole_record_whose_numbers_agree() {
    let place = Place::with(SIDE_BY_SIDE);
    let mut arguments = place.run_arguments();
    arguments.extend(["--set".into(), "events.rate=60/s".into()]);
    let ended = pollpush(arguments);
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();

    the_conversation_is_plain_and_apart_from_the_result(&ended);
    every_promised_file_is_there(run.path(), &["0000-poll", "0000-webhook"]);
    assert_eq!(fs::read_to_string(run.path().join("scenario.toml")).unwrap(), SIDE_BY_SIDE);
    the_manifest_seals_every_file(&run);
    assert_eq!(run.manifest.overrides, ["events.rate=60/s"]);
    assert_eq!(run.manifest.points[0].workload.rate.to_string(), "60/s");

    assert_eq!(run.records.len(), 2);
    for record in &run.records {
        the_ledger_tells_of_every_event_once(&run, record);
        both_sides_counted_the_same_exchanges(record);
    }
    let ledgers: Vec<Ledger> = run.records.iter().map(|record| ledger(&run, record)).collect();
    assert_eq!(ledgers[0].emitted, ledgers[1].emitted, "both carry the same events");

    let summary = summary(run.path());
    let [point] = summary.points.as_slice() else { panic!("{summary:?}") };
    for strategy in &point.strategies {
        nothing_is_lost_or_duplicated(strategy);
        polls_keep_their_beat_and_webhooks_come_one_an_event(&run, strategy);
    }
}

#[test]
fn a_solo_run_gives_every_strategy_its_own_trial_in_every_block() {
    let place = Place::with(SOLO);
    pollpush(place.run_arguments()).expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    the_manifest_seals_every_file(&run);
    let mut trials: Vec<(u32, &str)> =
        run.records.iter().map(|record| (record.block, record.strategy.name.as_str())).collect();
    trials.sort_unstable();
    assert_eq!(trials, [(0, "poll"), (0, "webhook"), (1, "poll"), (1, "webhook")]);

    let mut dues: BTreeMap<u32, Vec<Vec<u64>>> = BTreeMap::new();
    for record in &run.records {
        assert_eq!(measured(record).source.lanes, 1);
        the_ledger_tells_of_every_event_once(&run, record);
        both_sides_counted_the_same_exchanges(record);
        dues.entry(record.block).or_default().push(ledger(&run, record).due);
    }
    assert!(dues.values().all(|alone| alone[0] == alone[1]), "one schedule a block");
    assert_ne!(dues[&0], dues[&1], "blocks differ");
}

#[test]
fn the_same_seed_gives_the_same_schedule_in_a_folder_of_its_own() {
    let place = Place::with(SIDE_BY_SIDE);
    let run = |format: &str, seed: &str| {
        let mut arguments = place.run_arguments();
        let options = ["--duration", "500ms", "--format", format, "--seed", seed];
        arguments.extend(options.map(Into::into));
        let before = place.runs();
        let ended = pollpush(arguments);
        ended.expect_code(&[0, 4]);
        let made = place.runs().into_iter().find(|run| !before.contains(run)).unwrap();
        (Run::open(&made).unwrap(), ended.stdout)
    };
    let (first, json) = run("json", "21");
    let (second, csv) = run("csv", "21");
    let (other, markdown) = run("markdown", "22");
    assert_eq!(ledger(&first, &first.records[0]).due, ledger(&second, &second.records[0]).due);
    assert_ne!(ledger(&first, &first.records[0]).due, ledger(&other, &other.records[0]).due);
    assert_eq!(place.runs().len(), 3);
    assert_eq!(first.verify().unwrap(), [], "a later run leaves it alone");

    let parsed: Summary = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed, summary(first.path()));
    assert_eq!(csv, fs::read_to_string(second.path().join("summary.csv")).unwrap());
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(rows.records().map(Result::unwrap).count(), 2);
    assert_eq!(markdown, fs::read_to_string(other.path().join("report.md")).unwrap());
    assert!(markdown.starts_with("# Side by side\n"), "{markdown}");
}

fn the_conversation_is_plain_and_apart_from_the_result(ended: &Ended) {
    assert!(!ended.stderr.contains(['\u{1b}', '\r', '━']), "{:?}", ended.stderr);
    assert!(ended.stderr.starts_with("recording into "), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("Side by side\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(['\u{1b}', '\r']), "{:?}", ended.stdout);
    assert!(!ended.stdout.contains("recording into"), "{}", ended.stdout);
}

fn every_promised_file_is_there(run: &Path, stems: &[&str]) {
    let mut files: Vec<String> =
        ["manifest.json", "trials.jsonl", "summary.json", "summary.csv", "report.md"]
            .map(str::to_owned)
            .to_vec();
    for stem in stems {
        files.extend([format!("ledger/{stem}.parquet"), format!("histograms/{stem}.hlog")]);
    }
    for chart in CHARTS {
        files.extend([format!("charts/{chart}.svg"), format!("charts/{chart}.png")]);
    }
    for file in files {
        let bytes = fs::read(run.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(!bytes.is_empty(), "{file}");
        match file.rsplit_once('.').unwrap().1 {
            "svg" => assert!(bytes.starts_with(b"<svg ") && bytes.ends_with(b"</svg>\n"), "{file}"),
            "png" => assert!(
                bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"),
                "{file}"
            ),
            "parquet" => assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{file}"),
            _ => assert!(bytes.ends_with(b"\n"), "{file}"),
        }
    }
}

fn the_manifest_seals_every_file(run: &Run) {
    assert_eq!(run.manifest.status, RunStatus::Complete);
    assert!(run.manifest.finished.is_some());
    assert_eq!(run.verify().unwrap(), []);
    let (evidence, derived) = (&run.manifest.files, run.manifest.derived.as_ref().unwrap());
    for (file, digest) in evidence.iter().chain(&derived.files) {
        assert_eq!(sha256_file(&run.path().join(file)).unwrap(), *digest, "{file}");
    }
    for file in ["scenario.toml", "trials.jsonl"] {
        assert!(evidence.contains_key(file), "{file}");
    }
    for file in ["summary.json", "charts/latency-ecdf.png"] {
        assert!(derived.files.contains_key(file) && !evidence.contains_key(file), "{file}");
    }
}

fn measured(record: &TrialRecord) -> &Measured {
    assert_eq!(record.outcome, Outcome::Completed);
    record.measured.as_ref().unwrap()
}

fn ledger(run: &Run, record: &TrialRecord) -> Ledger {
    run.ledger(record).unwrap().unwrap()
}

fn the_ledger_tells_of_every_event_once(run: &Run, record: &TrialRecord) {
    let (ledger, name) = (ledger(run, record), &record.strategy.name);
    ledger.check().unwrap();
    assert!(ledger.rows() > 0, "{name}");
    for row in 0..ledger.rows() {
        let (due, emitted) = (ledger.due[row], ledger.emitted[row]);
        let arrived = ledger.arrived[row].unwrap_or_else(|| panic!("{name}: row {row} is lost"));
        let usable = ledger.usable[row].unwrap();
        assert!(due <= emitted && emitted <= arrived && arrived <= usable, "{name}: row {row}");
        assert_eq!(ledger.copies[row], 1, "{name}: row {row}");
    }
    let log = run.histogram(record).unwrap().unwrap();
    assert_eq!(log.totals(Tag::Latency).count, measured(record).events.delivered, "{name}");
}

fn both_sides_counted_the_same_exchanges(record: &TrialRecord) {
    let measured = measured(record);
    let outcomes = |counts: Counts| (counts.useful, counts.empty, counts.failed, counts.overhead);
    let (source, subscriber) = (measured.source.whole, measured.subscriber.whole);
    assert_eq!(outcomes(source), outcomes(subscriber), "{}", record.strategy.name);
    assert_eq!((source.failed, measured.subscriber.refused), (0, 0), "{}", record.strategy.name);
    // `reqwest` does not show its sockets; every other client and server does.
    if subscriber.connections > 0 {
        assert_eq!(source.connections, subscriber.connections, "{}", record.strategy.name);
        assert_eq!(source.bytes_sent, subscriber.bytes_received, "{}", record.strategy.name);
        assert_eq!(source.bytes_received, subscriber.bytes_sent, "{}", record.strategy.name);
    }
}

fn summary(run: &Path) -> Summary {
    let text = fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Summary = serde_json::from_str(&text).unwrap();
    assert_eq!(summary.schema, SUMMARY_SCHEMA);
    assert!(summary.complete);
    assert!(!summary.verdict.checks.is_empty());
    summary
}

fn nothing_is_lost_or_duplicated(strategy: &StrategySummary) {
    let (events, name) = (&strategy.events, &strategy.name);
    assert!(events.emitted > 0, "{name}");
    assert_eq!(events.emitted, events.delivered, "{name}");
    assert_eq!((events.lost, events.duplicated), (0, 0), "{name}");
    assert_eq!(strategy.blocks, strategy.blocks_planned, "{name}");
}

fn polls_keep_their_beat_and_webhooks_come_one_an_event(run: &Run, strategy: &StrategySummary) {
    let record = run.records.iter().find(|record| record.strategy.name == strategy.name).unwrap();
    let measured = measured(record);
    if strategy.mechanism == "poll" {
        let polls = measured.source.window.useful + measured.source.window.empty;
        // A machine that stalls makes a poll miss its beat, which is counted.
        let beats = polls + measured.subscriber.whole.beats_missed;
        assert!(polls <= POLLS + 1 && POLLS <= beats + 1, "{polls} polls on {beats} beats");
    } else {
        // At the edges of the window an event and its request may be on different sides.
        let whole = measured.source.whole;
        assert_eq!(whole.useful, ledger(run, record).rows() as u64);
        assert_eq!((whole.empty, whole.failed, whole.overhead), (0, 0, 1));
    }
}
