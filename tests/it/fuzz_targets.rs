//! The targets of `fuzz/`, a bounded number of times: their corpus, and what a seeded chance makes
//! of it. `just fuzz` lets libFuzzer look for longer, led by coverage.

use std::fs;
use std::path::{Path, PathBuf};

use pollpush::record::sample::Sample;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

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
        for input in &corpus {
            target(input);
        }
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

/// The inputs that the program itself writes, for a corpus that fits its formats.
#[test]
fn the_corpus_holds_what_the_program_writes() {
    let out = tempfile::tempdir().unwrap();
    let sample = Sample {
        blocks: 1,
        rates: vec![3],
        window: std::time::Duration::from_secs(2),
        ..Sample::default()
    };
    let run = sample.write(out.path()).unwrap();
    for (target, file) in [
        ("manifest", "manifest.json"),
        ("trials", "trials.jsonl"),
        ("histogram", "histograms/0000-webhook.hlog"),
        ("ledger", "ledger/0000-webhook.parquet"),
    ] {
        let (written, kept) = (fs::read(run.join(file)).unwrap(), folder(target).join("written"));
        if std::env::var_os(RENEW).is_some() {
            fs::write(&kept, &written).unwrap();
        }
        // What a decoder takes has to be there, or mutations begin nowhere; its bytes may age.
        assert!(kept.exists(), "`{RENEW}=1 cargo test fuzz_targets` makes {}", kept.display());
    }
}
