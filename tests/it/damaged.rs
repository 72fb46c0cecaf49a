//! Run folders with a byte changed or an end missing: `verify` names the file, and reading one ends
//! with an error or an analysis, in bounded time and memory.
//!
//! Every byte of every file takes too long without optimisation, so that a prime step goes over the
//! larger files here; `just damage` leaves out none. The run is as small as one can be that has
//! every kind of file, two strategies to compare and events in each.

use std::ffi::OsStr;
use std::fs;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use pollpush::analysis::analyse::analyse;
use pollpush::analysis::summary::VerdictStatus;
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

/// One damaged folder of so many has its charts drawn, which are slow. Prime, so that it meets every
/// way to damage a byte.
const DRAWN: usize = 17;

/// How long reading may take; it takes a fraction of a second.
const PATIENCE: Duration = Duration::from_mins(2);

/// The most memory that reading damaged folders may take.
const MOST_MEMORY: u64 = 300 << 20;

/// A run with a report.
fn sample() -> (TempDir, PathBuf) {
    let out = tempfile::tempdir().unwrap();
    let window = Duration::from_secs(2);
    let sample = Sample { blocks: 1, rates: vec![3], window, ..Sample::default() };
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

/// Looks at a run after each damage, on every CPU with a run of its own; how many damages there
/// were in how many bytes, and those of which `look` says that it went wrong.
fn each_damage(look: impl Fn(&Path, &str, usize) -> bool + Sync) -> (String, Vec<String>) {
    let hands = std::thread::available_parallelism().map_or(1, NonZero::get);
    let turn = |hand: usize| {
        let (_out, run) = sample();
        let (mut bytes, mut done, mut wrong) = (0, 0, Vec::new());
        for file in evidence(&run) {
            let path = run.join(&file);
            let whole = fs::read(&path).unwrap();
            bytes += whole.len();
            for (number, (damage, damaged)) in damages(&whole).enumerate() {
                if number % hands != hand {
                    continue;
                }
                fs::write(&path, damaged).unwrap();
                done += 1;
                if !look(&run, &file, number) {
                    wrong.push(format!("{file}, {damage}"));
                }
            }
            fs::write(&path, whole).unwrap();
        }
        (evidence(&run).len(), bytes, done, wrong)
    };
    let turns: Vec<_> = std::thread::scope(|scope| {
        let turns: Vec<_> = (0..hands).map(|hand| scope.spawn(move || turn(hand))).collect();
        turns.into_iter().map(|turn| turn.join().unwrap()).collect()
    });
    let (files, bytes, ..) = turns[0];
    let done: usize = turns.iter().map(|(_, _, done, _)| done).sum();
    let wrong = turns.into_iter().flat_map(|(.., wrong)| wrong).collect();
    (format!("{done} damages of {files} files of {bytes} bytes"), wrong)
}

#[test]
#[expect(clippy::print_stdout, reason = "how many there were is the result")]
fn verify_names_every_file_that_is_damaged_anywhere() {
    let (_out, run) = sample();
    let manifest = manifest_of(&run).unwrap();
    assert_eq!(differences(&run, &manifest).unwrap(), []);
    let (figures, wrong) = each_damage(|run, file, _| {
        // A manifest that cannot be read is an error that names it.
        match manifest_of(run) {
            Err(error) => error.to_string().contains("manifest.json"),
            Ok(manifest) => {
                let found = differences(run, &manifest).unwrap();
                found.iter().any(|one| one.file == file)
            }
        }
    });
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    println!("verify named the file after each of {figures}");
}

/// Does what `report` does with a folder, short of writing; `None` if it panics or takes too long,
/// or if damaged evidence passes for sound.
fn read(run: &Path, file: &str, drawn: bool) -> Option<()> {
    let (done, waiting) = mpsc::channel();
    let run = run.to_owned();
    // What the manifest says of reports is no evidence.
    let is_evidence = file != "manifest.json";
    std::thread::spawn(move || {
        let reading = || {
            let analysed = Run::open(&run)
                .map_err(|error| error.to_string())
                .and_then(|run| analyse(&run).map_err(|error| error.to_string()));
            match analysed {
                Ok(analysis) => {
                    let verdict = analysis.summary.verdict.status;
                    assert!(verdict == VerdictStatus::Invalid || !is_evidence, "{verdict:?}");
                    assert!(!drawn || !files(&analysis).is_empty());
                }
                Err(error) => assert!(!error.is_empty()),
            }
        };
        done.send(catch_unwind(AssertUnwindSafe(reading)).ok())
    });
    waiting.recv_timeout(PATIENCE).ok().flatten()
}

#[test]
#[expect(clippy::print_stdout, reason = "how many there were is the result")]
fn a_damaged_folder_is_read_to_an_error_or_an_analysis() {
    if std::env::var_os(INSIDE).is_some() {
        let (figures, wrong) = each_damage(|run, file, number| {
            read(run, file, number.is_multiple_of(DRAWN)).is_some()
        });
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
        let peak = Process::myself().unwrap().status().unwrap().vmhwm.unwrap() * 1024;
        assert!(peak < MOST_MEMORY, "{peak} bytes at the peak");
        println!("\nreading ended after each of {figures}, with at most {peak} bytes of memory");
        return;
    }
    let name = "damaged::a_damaged_folder_is_read_to_an_error_or_an_analysis";
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let (said, cried) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{cried}");
    let figures = said.lines().find(|line| line.starts_with("reading ended"));
    println!("{}", figures.unwrap());
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

#[test]
fn nothing_is_written_or_read_through_a_link_in_a_run_folder() {
    let (out, run) = sample();
    let (kept, elsewhere) = (out.path().join("kept"), out.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    let refused = |verb: &[&str], file: &str| {
        let ended = pollpush(verb.iter().map(OsStr::new).chain([run.as_os_str()]));
        ended.expect_code(&[1]);
        let named = run.join(file);
        assert!(ended.stderr.contains(&*named.to_string_lossy()), "{verb:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("remove it, or put a copy"), "{verb:?}: {}", ended.stderr);
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{verb:?} wrote outside");
    };
    for (file, verbs, to) in [
        ("charts", &[&["report"][..]][..], &elsewhere),
        ("report.md", &[&["report"]], &elsewhere.join("report.md")),
        ("trials.jsonl", &[&["report"], &["cite"], &["run", "--resume"]], &kept),
        ("trials.jsonl", &[&["report"], &["cite"], &["run", "--resume"]], &"/dev/zero".into()),
        ("manifest.json", &[&["report"], &["verify"]], &"/dev/zero".into()),
    ] {
        fs::rename(run.join(file), &kept).unwrap();
        symlink(to, run.join(file)).unwrap();
        for verb in verbs {
            refused(verb, file);
        }
        if file != "manifest.json" {
            let verified = pollpush(["verify".as_ref(), run.as_os_str()]);
            verified.expect_code(&[1]);
            let said = format!("`{file}` is not a plain file");
            assert!(verified.stdout.contains(&said), "{}", verified.stdout);
        }
        fs::remove_file(run.join(file)).unwrap();
        fs::rename(&kept, run.join(file)).unwrap();
    }
    // The folder itself may be reached through one.
    symlink(&run, out.path().join("shelf")).unwrap();
    let shelf = out.path().join("shelf");
    pollpush(["report".as_ref(), shelf.as_os_str()]).expect_code(&[0, 4]);
    pollpush(["verify".as_ref(), shelf.as_os_str()]).expect_code(&[0]);
}
