//! `report` rebuilds everything derived from the record alone, and says what it cannot use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pollpush::record::run::Run;
use pollpush::record::sample::Sample;

use crate::program::{Ended, Place, pollpush};

/// A fixed run without anything derived.
fn sample() -> (Place, PathBuf) {
    let place = Place::new();
    let run = Sample::default().write(&place.path("results")).unwrap();
    (place, run)
}

fn report(run: &Path) -> Ended {
    pollpush(["report".as_ref(), run.as_os_str()])
}

/// Every file below a folder, by its relative path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            }
        }
    }
    files
}

#[test]
fn everything_derived_is_rebuilt_byte_for_byte() {
    let (_place, run) = sample();
    let first = report(&run);
    first.expect_code(&[0]);
    let before = contents(&run);
    fs::remove_dir_all(run.join("charts")).unwrap();
    for file in ["summary.json", "summary.csv", "report.md", "report.html"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    let second = report(&run);
    second.expect_code(&[0]);
    assert_eq!(first.stdout, second.stdout);
    let after = contents(&run);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (file, bytes) in &before {
        assert!(after[file] == *bytes, "{} differs", file.display());
    }
    assert_eq!(Run::open(&run).unwrap().verify().unwrap(), []);
}

#[test]
fn a_torn_last_record_is_left_out_with_a_warning() {
    let (_place, run) = sample();
    let trials = run.join("trials.jsonl");
    let text = fs::read_to_string(&trials).unwrap();
    fs::write(&trials, &text[..text.len() - 20]).unwrap();
    let ended = report(&run);
    // Either verdict is honest about a run of which a trial is missing.
    ended.expect_code(&[0, 4]);
    assert!(ended.stderr.contains("warning: the last line of `trials.jsonl` is torn"));
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    assert!(run.join("report.md").exists());
    let torn = fs::read_to_string(&trials).unwrap();
    assert_eq!(torn, text[..text.len() - 20], "evidence is not mended");
}

#[test]
fn a_folder_that_is_no_run_is_refused_by_name() {
    let place = Place::new();
    let folder = place.path("no-run");
    for make in [false, true] {
        if make {
            fs::create_dir(&folder).unwrap();
        }
        let ended = report(&folder);
        ended.expect_code(&[1]);
        assert!(ended.stderr.starts_with("error: cannot read `"), "{}", ended.stderr);
        assert!(ended.stderr.contains("no-run"), "{}", ended.stderr);
        assert!(ended.stderr.contains("check that it is a run folder"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(contents(&folder).len(), 0, "nothing is written into it");
}

#[test]
fn a_tampered_ledger_still_differs_from_its_seal_after_a_report() {
    let (_place, run) = sample();
    // The ledger of another block: readable, plausible, and not what was measured.
    fs::copy(run.join("ledger/0001-webhook.parquet"), run.join("ledger/0000-webhook.parquet"))
        .unwrap();
    let ended = report(&run);
    ended.expect_code(&[0, 1, 4]);
    let differences = Run::open(&run).unwrap().verify().unwrap();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].file, "ledger/0000-webhook.parquet");
}

#[test]
fn a_damaged_ledger_is_named() {
    let (_place, run) = sample();
    fs::write(run.join("ledger/0000-webhook.parquet"), "PAR1").unwrap();
    let ended = report(&run);
    ended.expect_code(&[1]);
    assert!(ended.stderr.contains("0000-webhook.parquet"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot be understood"), "{}", ended.stderr);
}

#[test]
fn a_run_without_a_single_record_is_reported_as_failed() {
    let (_place, run) = sample();
    fs::write(run.join("trials.jsonl"), "").unwrap();
    let ended = report(&run);
    ended.expect_code(&[1]);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
