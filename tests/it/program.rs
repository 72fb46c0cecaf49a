//! The program under test: started, watched, signalled, and never left behind.
//!
//! Every program carries a mark in its environment, which the workers it starts inherit. So
//! all processes of one test are found by scanning `/proc`, whoever their parent is by then.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use pollpush::clock;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

/// Longer than anything here can take on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(5);

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// The variable that holds the mark.
const MARK: &str = "POLLPUSH_TEST_MARK";

/// The variable that names the folder for what is known about the machine.
pub(crate) const STATE: &str = "POLLPUSH_STATE_DIR";

/// Looks until the condition holds, and returns what it found.
///
/// # Panics
///
/// When it does not hold before the deadline.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now().after(DEADLINE);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(clock::now() < deadline, "{what} did not happen within {DEADLINE:?}");
        std::thread::sleep(GLANCE);
    }
}

/// Does something for each of these, so many at a time, and goes on where it panics; returns what
/// the panics said.
pub(crate) fn side_by_side<T: Debug + Sync>(
    at_once: usize,
    items: &[T],
    work: impl Fn(&T) + Sync,
) -> Vec<String> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work_off = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(item))) {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("it panicked");
                wrong.lock().unwrap().push(format!("{item:?}: {text}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(work_off);
        }
    });
    wrong.into_inner().unwrap()
}

/// The files below a folder, which may be written to meanwhile.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// What is half written below a folder.
pub(crate) fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let mut found = files_below(folder);
    found.retain(|path| path.extension().is_some_and(|end| end == "unfinished"));
    found
}

/// A running `pollpush`. Dropping it ends it and everything it started.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    mark: String,
    streams: TempDir,
}

/// A `pollpush` that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code, unless a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts that it ended with one of these exit codes.
    #[track_caller]
    pub(crate) fn expect_code(&self, codes: &[i32]) -> &Ended {
        let found = self.code().is_some_and(|code| codes.contains(&code));
        assert!(found, "{} is none of {codes:?}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }
}

/// Runs `pollpush` with these arguments to its end.
pub(crate) fn pollpush<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Program::start(arguments).wait()
}

impl Program {
    /// Starts `pollpush` with these arguments, without a terminal.
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
        command.args(arguments);
        Program::launch(command)
    }

    /// Starts a command that is, or becomes, `pollpush`.
    pub(crate) fn launch(mut command: Command) -> Program {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", std::process::id());
        let streams = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(streams.path().join(name)).unwrap();
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        // Where the tests themselves run in such a workflow, their programs do not.
        if !command.get_envs().any(|(name, _)| name == "GITHUB_ACTIONS") {
            command.env_remove("GITHUB_ACTIONS");
        }
        // What one test finds out about the machine is no other's, and never the user's.
        if !command.get_envs().any(|(name, _)| name == STATE) {
            command.env(STATE, streams.path().join("state"));
        }
        let child = command
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            // Its own group, as a shell gives it, so that a signal can be sent as Ctrl-C is.
            .process_group(0)
            .spawn()
            .unwrap();
        Program { child, mark, streams }
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stream("stderr")
    }

    /// What every process of the machine can read of its arguments.
    pub(crate) fn command_line(&self) -> String {
        fs::read_to_string(format!("/proc/{}/cmdline", self.child.id())).unwrap()
    }

    fn stream(&self, name: &str) -> String {
        fs::read_to_string(self.streams.path().join(name)).unwrap()
    }

    /// Sends a signal to it alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal to its process group, as the terminal does on Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The most memory that it has taken so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let process = Process::new(self.pid().as_raw_nonzero().get()).unwrap();
        process.status().unwrap().vmhwm.unwrap() * 1024
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Ended {
        self.wait_here()
    }

    /// Waits until it has ended, and leaves what it started to be looked at.
    pub(crate) fn wait_here(&mut self) -> Ended {
        let status = eventually("the end of pollpush", || self.child.try_wait().unwrap());
        Ended { status, stdout: self.stream("stdout"), stderr: self.stream("stderr") }
    }

    /// The running worker with this index, once there is one.
    pub(crate) fn worker(&self, index: usize) -> Worker {
        eventually("the start of a worker", || {
            self.workers().into_iter().find(|worker| worker.index == index)
        })
    }

    /// The worker with this index, once it exchanges with the source: when it polls, that is
    /// after the start of the trial's schedule.
    pub(crate) fn polling_worker(&self, index: usize) -> Worker {
        eventually("the first poll", || {
            self.workers().into_iter().find(|worker| worker.index == index && worker.exchanges())
        })
    }

    /// The workers that are running.
    pub(crate) fn workers(&self) -> Vec<Worker> {
        self.processes().into_iter().filter_map(Worker::recognise).collect()
    }

    /// The ids of all its processes but itself.
    pub(crate) fn worker_pids(&self) -> Vec<i32> {
        let own = self.pid().as_raw_pid();
        let processes = self.processes().into_iter().map(|process| process.pid());
        processes.filter(|pid| *pid != own).collect()
    }

    /// Asserts that it has left no process behind, or that they are gone within the deadline.
    #[track_caller]
    pub(crate) fn expect_nothing_left(&self) {
        eventually("the end of the last worker", || self.processes().is_empty().then_some(()));
    }

    /// Whether a folder below `/proc` is of a process of another program under test.
    pub(crate) fn is_anothers(&self, process: &Path) -> bool {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let mark = variable.strip_prefix(MARK.as_bytes());
            let mark = mark.and_then(|mark| mark.strip_prefix(b"="));
            mark.is_some_and(|mark| mark != self.mark.as_bytes())
        })
    }

    /// Every live process of this program; one that is dead but not reaped has no environment.
    fn processes(&self) -> Vec<Process> {
        let marked = |process: &Process| {
            process.environ().is_ok_and(|environment| {
                environment.get(OsStr::new(MARK)).is_some_and(|mark| *mark == *self.mark)
            })
        };
        let all = procfs::process::all_processes().unwrap();
        all.filter_map(Result::ok).filter(marked).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in self.processes() {
            if let Some(pid) = Pid::from_raw(process.pid()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A worker process of a program.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Process,
    coordinator: SocketAddr,
    /// Which worker of the trial it is; the source is 0.
    pub(crate) index: usize,
}

impl Worker {
    fn recognise(process: Process) -> Option<Worker> {
        let words = process.cmdline().ok()?;
        let [_, verb, _, coordinator, _, index] = words.as_slice() else { return None };
        let (coordinator, index) = (coordinator.parse().ok()?, index.parse().ok()?);
        (verb == "worker").then_some(Worker { process, coordinator, index })
    }

    /// Where the coordinator listens.
    pub(crate) fn coordinator(&self) -> SocketAddr {
        self.coordinator
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        assert!(self.kill_with(signal), "it has ended");
    }

    /// Sends it a signal, unless it has just ended by itself; says whether it was there.
    pub(crate) fn kill_with(&self, signal: Signal) -> bool {
        kill_process(Pid::from_raw(self.process.pid()).unwrap(), signal).is_ok()
    }

    /// Whether it has a thread of this name.
    pub(crate) fn has_thread(&self, name: &str) -> bool {
        let threads = self.process.tasks().into_iter().flatten().filter_map(Result::ok);
        threads.filter_map(|thread| thread.stat().ok()).any(|thread| thread.comm == name)
    }

    /// Whether it has a connection to anyone but the coordinator.
    fn exchanges(&self) -> bool {
        let Ok(descriptors) = self.process.fd() else { return false };
        let sockets: Vec<u64> = descriptors
            .filter_map(|descriptor| match descriptor.ok()?.target {
                FDTarget::Socket(inode) => Some(inode),
                _ => None,
            })
            .collect();
        procfs::net::tcp().unwrap().iter().any(|entry| {
            entry.state == TcpState::Established
                && entry.remote_address != self.coordinator
                && sockets.contains(&entry.inode)
        })
    }
}

/// A folder for one test's scenario and runs.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty place.
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    /// A place with a scenario in it.
    pub(crate) fn with(scenario: &str) -> Place {
        let place = Place::new();
        fs::write(place.scenario(), scenario).unwrap();
        place
    }

    /// Where the scenario is.
    pub(crate) fn scenario(&self) -> PathBuf {
        self.path("scenario.toml")
    }

    /// A path in the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments that run the scenario into the place.
    pub(crate) fn run_arguments(&self) -> Vec<PathBuf> {
        vec!["run".into(), self.scenario(), "--out".into(), self.path("results")]
    }

    /// Starts a run of the scenario.
    pub(crate) fn start(&self) -> Program {
        Program::start(self.run_arguments())
    }

    /// The run folders in the place, in the order of their names.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("results")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs
    }

    /// The only run folder in the place.
    #[track_caller]
    pub(crate) fn only_run(&self) -> PathBuf {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().unwrap()
    }

    /// Waits until this many trial records are on disk.
    pub(crate) fn wait_for_records(&self, count: usize) {
        eventually("the recording of a trial", || {
            let run = self.runs().into_iter().next()?;
            let lines = fs::read_to_string(run.join("trials.jsonl")).ok()?.lines().count();
            (lines >= count).then_some(())
        });
    }
}
