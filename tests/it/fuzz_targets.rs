//! The targets of `fuzz/`, a bounded number of times: their corpus, and what a seeded chance makes
//! of it. `just fuzz` lets libFuzzer look for longer, led by coverage.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use pollpush::clock::Moment;
use pollpush::counts::Counts;
use pollpush::event::Sequence;
use pollpush::network::namespace::End;
use pollpush::plan::{self, Point};
use pollpush::record::trial::WindowUse;
use pollpush::scenario::{self, schema};
use pollpush::subscriber::harm::Place;
use pollpush::subscriber::inbox::Delivery;
use pollpush::subscriber::post::Life;
use pollpush::trial::control::{
    FromWorker, Hello, LaneReport, NetworkAssignment, PROTOCOL, SourceAssignment, SourceReport,
    StrategyAssignment, SubscriberAssignment, ToWorker,
};
use pollpush::trial::rows::{Emission, pieces};
use pollpush::wire::auth::{Keyring, Secret};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

#[path = "../../fuzz/targets.rs"]
mod targets;

/// How often each target is run beside its corpus.
const RUNS: usize = 200;

/// The longest input that is made up.
const LONGEST: usize = 16 << 10;

/// The variable that makes the corpus anew from what the program writes.
const RENEW: &str = "POLLPUSH_TEST_RENEW_CORPUS";

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// What chance makes of an input and another.
fn mutated(random: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..4) {
        let place = random.random_range(0..=bytes.len());
        match random.random_range(0..7) {
            0 if place < bytes.len() => bytes[place] ^= 1 << random.random_range(0..8),
            1 if place < bytes.len() => bytes[place] = random.random(),
            2 => bytes.truncate(place),
            3 => bytes.insert(place, random.random()),
            4 => {
                let end = (place + random.random_range(0..64)).min(bytes.len());
                bytes.drain(place..end);
            }
            5 => {
                let words: [&[u8]; 8] = [
                    b"0",
                    b"-1",
                    b"1e308",
                    b"18446744073709551616",
                    b"\0",
                    b"\xff\xff\xff\x7f",
                    b"[",
                    b"\n",
                ];
                let word = *words.choose(random).unwrap();
                bytes.splice(place..place, word.iter().copied());
            }
            _ => {
                let from = random.random_range(0..=other.len());
                let until = (from + random.random_range(0..256)).min(other.len());
                bytes.splice(place..place, other[from..until].iter().copied());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

#[test]
fn no_target_fails_on_its_corpus_or_on_what_chance_makes_of_it() {
    for (name, target) in targets::TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 3, "{name} has too small a corpus");
        let taken = corpus.iter().filter(|input| target(input)).count();
        // Chance does not find what is right, nor what is behind it.
        assert!(taken > 0, "{name} takes nothing of its corpus");
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..RUNS {
            let (input, other) = (corpus.choose(&mut random), corpus.choose(&mut random));
            target(&mutated(&mut random, input.unwrap(), other.unwrap()));
        }
    }
}

#[test]
fn every_target_has_a_binary_and_a_corpus_and_there_are_no_others() {
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let name =
            |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    };
    let mut known: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names("fuzz/fuzz_targets"), known);
    assert_eq!(names("fuzz/corpus"), known);
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}

/// Every value that a schema names: keys, and words that a value may be.
fn words(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("properties", Value::Object(properties)) => {
                        found.extend(properties.keys().cloned());
                    }
                    ("enum", Value::Array(values)) => {
                        found.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("const", Value::String(value)) => {
                        found.insert(value.clone());
                    }
                    _ => {}
                }
                words(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, found)),
        _ => {}
    }
}

#[test]
fn the_dictionary_of_scenarios_holds_every_word_of_the_schema() {
    let mut expected = BTreeSet::new();
    words(&serde_json::to_value(schema()).unwrap(), &mut expected);
    assert!(expected.contains("arrivals") && expected.contains("fixed-rate"), "{expected:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/dictionaries/scenario.dict");
    let quoted: Vec<String> = expected.iter().map(|word| format!("\"{word}\"\n")).collect();
    let text = quoted.concat();
    if std::env::var_os(RENEW).is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "`{RENEW}=1 cargo test fuzz_targets`");
}

fn to(message: &ToWorker) -> String {
    serde_json::to_string(message).unwrap()
}

fn from(message: &FromWorker) -> String {
    serde_json::to_string(message).unwrap()
}

fn end() -> End {
    End { namespace: "/proc/7/ns/net".into(), address: "198.18.0.1".parse().unwrap() }
}

/// A strategy as a worker is told of it.
fn strategy(point: &Point) -> StrategyAssignment {
    let planned = &point.strategies[0];
    let secret = || Secret::new("word".to_owned());
    StrategyAssignment {
        name: planned.name.clone(),
        mechanism: planned.mechanism.to_owned(),
        settings: planned.strategy.settings(),
        subscribers: 2,
        place: Place::default(),
        link: planned.link.clone(),
        network: point.network.clone(),
        credentials: None,
        keyring: Keyring {
            client_id: "hook".to_owned(),
            api_key: secret(),
            jwt_secret: secret(),
            client_secret: secret(),
        },
        promise: planned.promise(),
        incidents: point.incidents.clone(),
    }
}

/// What the coordinator gives each kind of worker to do.
fn assignments() -> [(&'static str, String); 3] {
    let text = "title = 't'\n[events]\nrate = '5/s'\n[run]\nduration = '5s'\n\
                [network]\nprofile = 'cross-region'\nloss = '0.1%'\n\
                [[strategy]]\nname = 'hook'\nmechanism = 'webhook'\nsign = 'standard-webhooks'\n\
                auth = 'jwt'\nrate-limit = { rate = '2/s', burst = 3 }\nretries = ['1s']\n\
                [[fault]]\nat = '2s'\nfor = '1s'\nwho = 'subscriber'\nwhat = { error = '503' }\n";
    let scenario = scenario::parse("scenario.toml", text, &[]).unwrap();
    let point = plan::expand(&scenario).points.remove(0);
    let source = SourceAssignment {
        rate: point.rate,
        arrivals: point.arrivals.clone(),
        trace: None,
        payload: point.payload,
        seed: 7,
        emit_for: point.warm_up + point.window,
        spin: point.spin,
        strategies: vec![strategy(&point)],
        end: Some(end()),
        cpu: Some(1),
        fault: None,
    };
    let subscriber = SubscriberAssignment {
        strategy: strategy(&point),
        source: "127.0.0.1:9000".parse().unwrap(),
        end: Some(end()),
        seed: 7,
        life: Life::default(),
        journal: Some("/tmp/journal".into()),
        cpu: None,
        fault: None,
    };
    let network = NetworkAssignment { network: point.network.clone(), paths: 2, seed: 7 };
    [
        ("source", to(&ToWorker::Source(source))),
        ("subscriber", to(&ToWorker::Subscriber(Box::new(subscriber)))),
        ("network", to(&ToWorker::Network(network))),
    ]
}

/// What workers say of themselves, and what they report.
fn reports() -> [(&'static str, String); 3] {
    let moment = Moment::from_nanoseconds;
    let emissions = (0..3).map(|n| Emission { due: moment(n * 10), emitted: moment(n * 10 + 1) });
    let deliveries = (0..3).map(|n| Delivery {
        subscriber: 1,
        sequence: Sequence::at_index(n),
        arrived: moment(n * 10 + 5),
        usable: moment(n * 10 + 6),
        copies: 1,
    });
    let rows = |packed| from(&FromWorker::Rows { packed });
    let lane = LaneReport {
        window: Counts::default(),
        whole: Counts::default(),
        cpu_ns: 1,
        idle_cpu_ns: 1,
        tls: None,
        over_time: vec![1, 2],
        given_up: vec![vec![0, 3]],
        first_rate_limited: Some(moment(3)),
    };
    let source = SourceReport {
        lanes: vec![lane],
        pacer_cpu_ns: 1,
        spin_ns: 0,
        memory_peak: 1 << 20,
        suffered: WindowUse::default(),
    };
    let mut report: Vec<String> = pieces(emissions).map(rows).collect();
    report.push(from(&FromWorker::SourceReport(source)));
    report.extend(pieces(deliveries).map(rows));
    report.push(from(&FromWorker::SubscriberReport(Box::default())));
    let hello = Hello {
        protocol: PROTOCOL,
        token: "t".to_owned(),
        index: 1,
        time_namespace: Some("time:[4026531834]".to_owned()),
    };
    [
        ("hello", from(&FromWorker::Hello(hello))),
        ("paths", from(&FromWorker::Paths { source: end(), subscribers: vec![end()] })),
        ("report", report.join("\n")),
    ]
}

/// The inputs that the program itself writes, for a corpus that fits its formats.
#[test]
fn the_corpus_holds_what_the_program_writes() {
    let out = tempfile::tempdir().unwrap();
    let run = targets::small_run(out.path());
    let read = |file: &str| fs::read(run.join(file)).unwrap();
    let mut written: Vec<(&str, &str, Vec<u8>)> = vec![
        ("manifest", "written", read("manifest.json")),
        ("trials", "written", read("trials.jsonl")),
        ("histogram", "written", read("histograms/0000-webhook.hlog")),
        ("ledger", "written", read("ledger/0000-webhook.parquet")),
        ("run", "written", [read("manifest.json"), read("trials.jsonl")].concat()),
    ];
    let log = String::from_utf8(read("histograms/0000-webhook.hlog")).unwrap();
    let packed = log.lines().last().unwrap().rsplit(',').next().unwrap();
    let mut plain = Vec::new();
    // Behind a cookie and a length.
    ZlibDecoder::new(&STANDARD.decode(packed).unwrap()[8..]).read_to_end(&mut plain).unwrap();
    written.push(("histogram", "plain", plain));
    let said = assignments().into_iter().chain(reports());
    written.extend(said.map(|(name, said)| ("control", name, said.into())));
    for (target, name, bytes) in written {
        let kept = folder(target).join(name);
        if std::env::var_os(RENEW).is_some() {
            fs::write(&kept, &bytes).unwrap();
        }
        // What a decoder takes has to be there, or mutations begin nowhere.
        let (_, take) = targets::TARGETS.into_iter().find(|(known, _)| *known == target).unwrap();
        let taken = fs::read(&kept).is_ok_and(|bytes| take(&bytes));
        assert!(taken, "`{RENEW}=1 cargo test fuzz_targets` makes {}", kept.display());
    }
}
