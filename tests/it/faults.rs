//! What the machine may refuse: said by name, with a remedy, and before measuring if it can
//! be known by then.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pollpush::record::run::Run;
use pollpush::record::sample::Sample;

use crate::program::{Place, Program, eventually, pollpush};

/// Two blocks, so that the first can be recorded before something happens.
const SCENARIO: &str = r#"
title = "Two blocks"

[events]
rate = "40/s"

[run]
warm-up  = "0s"
duration = "1s"
repeats  = 2

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "100ms"
"#;

/// A small file system in memory, unmounted when dropped.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a disk of this size; `None` where this user may not mount.
    fn mount(path: PathBuf, size: &str) -> Option<SmallDisk> {
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "pollpush-test"]);
        let mounted = mount.arg(&path).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(path))
    }

    /// Writes a file until nothing more fits, and returns it.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filling");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is still writing must not keep the test's folder.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Says that a test cannot be made here.
#[expect(clippy::print_stderr, reason = "a test that is not made says so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

fn run_into(place: &Place, out: &Path) -> Program {
    Program::start([
        "run".as_ref(),
        place.scenario().as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
}

#[test]
fn a_folder_that_cannot_be_made_is_named_before_anything_is_measured() {
    let place = Place::with(SCENARIO);
    let file = place.path("file");
    fs::write(&file, "").unwrap();
    for out in [file.clone(), file.join("below"), "/proc/pollpush".into()] {
        let ended = run_into(&place, &out).wait();
        ended.expect_code(&[1]);
        let named = format!("error: cannot write to `{}`", out.display());
        assert!(ended.stderr.contains(&named), "{}", ended.stderr);
        assert!(ended.stderr.contains("with `--out`"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("recording into"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_disk_too_small_for_the_run_is_refused_before_anything_is_measured() {
    let place = Place::with(SCENARIO);
    let Some(disk) = SmallDisk::mount(place.path("disk"), "1m") else {
        return skip("this user may not mount a small disk");
    };
    let ended = run_into(&place, &disk.0).wait();
    ended.expect_code(&[1]);
    let named = format!("error: `{}` has ", disk.0.display());
    assert!(ended.stderr.contains(&named), "{}", ended.stderr);
    assert!(ended.stderr.contains("free some space"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("recording into"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 0);
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_keeps_what_was_recorded() {
    let place = Place::with(SCENARIO);
    let Some(disk) = SmallDisk::mount(place.path("disk"), "24m") else {
        return skip("this user may not mount a small disk");
    };
    let mut program = run_into(&place, &disk.0);
    let run = eventually("the recording of a trial", || {
        let run = fs::read_dir(&disk.0).unwrap().next()?.unwrap().path();
        fs::read_to_string(run.join("trials.jsonl")).ok()?.ends_with('\n').then_some(run)
    });
    let filling = disk.fill();
    let ended = program.wait_here();
    ended.expect_code(&[1]);
    program.expect_nothing_left();
    assert!(
        ended.stderr.contains("finished trials are kept; `pollpush run --resume "),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(&*run.to_string_lossy()), "{}", ended.stderr);
    assert!(ended.stderr.contains("check free space"), "{}", ended.stderr);

    fs::remove_file(filling).unwrap();
    pollpush(["report".as_ref(), run.as_os_str()]).expect_code(&[0, 4]);
    let run = Run::open(&run).unwrap();
    assert_eq!(run.records.len(), 1);
    assert!(run.ledger(&run.records[0]).unwrap().is_some());
}

#[test]
fn a_plan_that_needs_more_sockets_than_are_allowed_is_refused() {
    let place = Place::with(SCENARIO);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("ulimit -n 80; exec \"$@\"").arg("sh");
    shell.arg(env!("CARGO_BIN_EXE_pollpush")).args(place.run_arguments());
    shell.args(["--set", "strategy.poll.subscribers=50"]);
    let ended = Program::launch(shell).wait();
    ended.expect_code(&[2]);
    assert!(ended.stderr.contains("but 80 are allowed"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: lower `subscribers`"), "{}", ended.stderr);
    assert_eq!(place.runs(), Vec::<PathBuf>::new());
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = pollpush(["serve", "--port", &port, "--duration", "1s"]);
    ended.expect_code(&[1]);
    let named = format!("error: port {port} cannot be listened on: Address already in use");
    assert!(ended.stderr.contains(&named), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

/// Runs `report` with its stdout going somewhere.
fn report_to(run: &Path, stdout: impl Into<Stdio>) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.arg("report").arg(run).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_unless_nobody_reads_it() {
    let place = Place::new();
    let run = Sample::default().write(&place.path("results")).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = report_to(&run, full);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: the result cannot be written to stdout"), "{stderr}");
    assert!(run.join("report.md").exists(), "the files are written all the same");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = report_to(&run, writer);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
