//! Run folders with a byte changed or an end missing: `verify` names the file, and reading one ends
//! with an error or an analysis, in bounded time and memory.
//!
//! Every byte of every file takes hours without optimisation, so that a prime step goes over the
//! larger files here; `just damage` goes over all of them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use pollpush::analysis::analyse::analyse;
use pollpush::record::run::{Run, manifest_of};
use pollpush::record::sample::Sample;
use pollpush::record::seals::differences;
use pollpush::report::files::files;
use procfs::process::Process;
use tempfile::TempDir;

use crate::program::pollpush;

/// The variable that asks for every byte.
const EVERY: &str = "POLLPUSH_TEST_EVERY_BYTE";

/// The variable that makes a test do its work itself, in a process of its own.
const INSIDE: &str = "POLLPUSH_TEST_DAMAGED";

/// Files of at most as many bytes are changed at every byte.
const SMALL: usize = 64;

/// How many places of a larger file are changed.
const PLACES: usize = 8;

/// How long reading may take; it takes a fraction of a second.
const PATIENCE: Duration = Duration::from_mins(2);

/// The most memory that reading damaged folders may take.
const MOST_MEMORY: u64 = 300 << 20;

/// A run with a report.
fn sample() -> (TempDir, PathBuf) {
    let out = tempfile::tempdir().unwrap();
    let sample = Sample { blocks: 1, window: Duration::from_secs(2), ..Sample::default() };
    let run = sample.write(out.path()).unwrap();
    pollpush(["report".as_ref(), run.as_os_str()]).expect_code(&[0, 4]);
    (out, run)
}

/// The files of evidence below a folder, and the manifest.
fn evidence(run: &Path) -> Vec<String> {
    let manifest = manifest_of(run).unwrap();
    let mut found: Vec<String> = manifest.files.keys().cloned().collect();
    found.push("manifest.json".to_owned());
    found
}

/// The places of a file that are damaged.
fn places(length: usize) -> impl Iterator<Item = usize> {
    let all = length <= SMALL || std::env::var_os(EVERY).is_some();
    // Prime, so that it does not keep in step with a period of the file.
    let step = if all { 1 } else { (length / PLACES) | 1 };
    (0..length).step_by(step)
}

/// What a damage is called, and the file afterwards.
type Damage = (String, Vec<u8>);

/// Every way in which a file is damaged, at each of its places.
fn damages(bytes: &[u8]) -> impl Iterator<Item = Damage> + use<'_> {
    places(bytes.len()).flat_map(move |place| {
        let flipped = |mask: u8| {
            let mut flipped = bytes.to_vec();
            flipped[place] ^= mask;
            (format!("byte {place} with {mask:#x}"), flipped)
        };
        // The least of a number, its sign, and all of it; and the end.
        [
            flipped(0x01),
            flipped(0x80),
            flipped(0xff),
            (format!("cut at {place}"), bytes[..place].to_vec()),
        ]
    })
}

#[test]
fn verify_names_every_file_that_is_damaged_anywhere() {
    let (_out, run) = sample();
    let manifest = manifest_of(&run).unwrap();
    assert_eq!(differences(&run, &manifest).unwrap(), []);
    for file in evidence(&run) {
        let path = run.join(&file);
        let whole = fs::read(&path).unwrap();
        for (damage, bytes) in damages(&whole) {
            fs::write(&path, bytes).unwrap();
            // A manifest that cannot be read is an error that names it.
            let named = match manifest_of(&run) {
                Err(error) => error.to_string().contains("manifest.json"),
                Ok(manifest) => {
                    let found = differences(&run, &manifest).unwrap();
                    found.iter().any(|one| one.file == file)
                }
            };
            assert!(named, "{file}, {damage}");
        }
        fs::write(&path, whole).unwrap();
    }
}

/// Does what `report` does with a folder, short of writing; `None` if it panics or takes too long.
fn read(run: &Path, drawn: bool) -> Option<()> {
    let (done, waiting) = mpsc::channel();
    let run = run.to_owned();
    std::thread::spawn(move || {
        let reading = || {
            let analysed = Run::open(&run)
                .map_err(|error| error.to_string())
                .and_then(|run| analyse(&run).map_err(|error| error.to_string()));
            match analysed {
                Ok(analysis) if drawn => assert!(!files(&analysis).is_empty()),
                Ok(_) => {}
                Err(error) => assert!(!error.is_empty()),
            }
        };
        done.send(catch_unwind(AssertUnwindSafe(reading)).ok())
    });
    waiting.recv_timeout(PATIENCE).ok().flatten()
}

/// Damages every file and reads the folder; says where that went wrong.
fn read_every_damage() -> Vec<String> {
    let (_out, run) = sample();
    let mut wrong = Vec::new();
    for file in evidence(&run) {
        let path = run.join(&file);
        let whole = fs::read(&path).unwrap();
        for (number, (damage, bytes)) in damages(&whole).enumerate() {
            fs::write(&path, bytes).unwrap();
            // Charts are slow to draw without optimisation.
            if read(&run, number.is_multiple_of(16)).is_none() {
                wrong.push(format!("{file}, {damage}"));
            }
        }
        fs::write(&path, whole).unwrap();
    }
    wrong
}

#[test]
fn a_damaged_folder_is_read_to_an_error_or_an_analysis() {
    if std::env::var_os(INSIDE).is_some() {
        let wrong = read_every_damage();
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
        let peak = Process::myself().unwrap().status().unwrap().vmhwm.unwrap() * 1024;
        assert!(peak < MOST_MEMORY, "{peak} bytes at the peak");
        return;
    }
    let name = "damaged::a_damaged_folder_is_read_to_an_error_or_an_analysis";
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", name]).env(INSIDE, "1").output().unwrap();
    let (said, cried) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{cried}");
}

/// Replaces a file of a run: `verify` names it, and `report` ends with an error that does, or with a
/// page whose verdict is that the run is invalid.
fn replace(about: &str, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let (_out, run) = sample();
    let path = run.join(file);
    let bytes = change(fs::read(&path).unwrap());
    fs::write(&path, bytes).unwrap();
    let verified = pollpush(["verify".as_ref(), run.as_os_str()]);
    verified.expect_code(&[1]);
    assert!(verified.stdout.contains(file), "{}", verified.stdout);
    let reported = pollpush(["report".as_ref(), run.as_os_str()]);
    reported.expect_code(&[1, 4]);
    assert!(!reported.stderr.contains("panicked"), "{about}: {}", reported.stderr);
    let said = reported.stdout.contains("verdict: invalid") || reported.stderr.contains(file);
    assert!(said, "{about}: {}\n{}", reported.stdout, reported.stderr);
}

#[test]
fn hostile_histograms_and_ledgers_never_pass_for_a_result() {
    for file in ["histograms/0000-webhook.hlog", "ledger/0000-webhook.parquet"] {
        for (about, bytes) in [
            ("nothing", Vec::new()),
            ("zeros", vec![0; 4096]),
            ("a footer alone", b"PAR1\xff\xff\xff\x7fPAR1".to_vec()),
            ("a footer of nothing", b"PAR1\0\0\0\0PAR1".to_vec()),
        ] {
            replace(about, file, |_| bytes);
        }
        // What was written, and more.
        replace("more behind", file, |bytes| [bytes, vec![b'\n'; 1 << 20]].concat());
    }
}
