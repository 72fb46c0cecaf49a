//! The workers of one trial: launched, heard, and never left behind.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::meter;
use crate::trial::control::{Control, ControlError, FromWorker, Hello, PROTOCOL, ToWorker};
use crate::trial::rows::{Row, unpack};
use crate::wire::socket::bind_loopback;
use crate::wire::tls::TlsError;

/// How long a worker may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long whoever dials in may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// How many that have dialled in are heard at once; each may take as much memory as the longest message.
const MOST_GREETINGS: usize = 16;

/// How long the end of a worker may take to be noticed once its channel is closed.
const DEATH_TIMEOUT: Duration = Duration::from_secs(2);

/// What the worker that makes the paths is called on the control channel: beyond any other.
const NETWORK_INDEX: usize = 1_000;

/// The most of a worker's last words that is kept, in bytes.
const LAST_WORDS: usize = 4096;

/// Why a trial is spoilt, in words for the user.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A worker could not be started.
    #[error("the {who} could not be started: {source}")]
    NotStarted {
        /// Which worker.
        who: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A worker ended before its time.
    #[error("the {who} (pid {pid}) {how}")]
    Died {
        /// Which worker.
        who: String,
        /// Its process id.
        pid: u32,
        /// How it ended, and its last words.
        how: String,
    },
    /// A worker did not do something in time.
    #[error("the {who} (pid {pid}) did not {what} within {after:?}")]
    Silent {
        /// Which worker.
        who: String,
        /// Its process id.
        pid: u32,
        /// What was expected of it.
        what: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// A worker said that it cannot go on.
    #[error("the {who} gave up: {reason}")]
    GaveUp {
        /// Which worker.
        who: String,
        /// Why, in its own words.
        reason: String,
    },
    /// Processes are to be pinned, and nobody chose CPUs for them.
    #[error("the scenario pins processes, but no CPUs were chosen for them")]
    Unplaced,
    /// There are no certificates for TLS.
    #[error(transparent)]
    Insecure(#[from] TlsError),
    /// A timer of the coordinator, or a fault it was to plant, failed.
    #[error("the window could not be watched: {0}")]
    Timing(#[source] std::io::Error),
    /// A worker said something that makes no sense at this point.
    #[error("the {who} did not keep to the protocol: {detail}")]
    Confused {
        /// Which worker.
        who: String,
        /// What it said.
        detail: String,
    },
}

/// How workers are started.
///
/// Workers dial in, so whatever can run the program somewhere on this host can launch them.
#[derive(Debug)]
pub struct Launcher {
    program: PathBuf,
    listener: TcpListener,
    address: SocketAddr,
    token: String,
    /// Held by whoever welcomes a worker: two would turn each other's away.
    welcoming: Mutex<()>,
}

impl Launcher {
    /// A launcher that starts `program` again as its workers.
    ///
    /// # Errors
    ///
    /// When no port can be bound on loopback.
    pub async fn new(program: PathBuf) -> std::io::Result<Launcher> {
        let listener = bind_loopback().await?;
        let address = listener.local_addr()?;
        let token = format!("{:032x}", rand::random::<u128>());
        Ok(Launcher { program, listener, address, token, welcoming: Mutex::new(()) })
    }

    /// The program that workers are.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Starts a worker and waits until it has said hello.
    ///
    /// # Errors
    ///
    /// When it cannot be started, dies, is silent, or is not one of ours.
    pub async fn launch(&self, crew: &mut Crew, who: String) -> Result<usize, Trouble> {
        let index = crew.workers.len();
        let mut worker = self.spawn(index, who)?;
        let hello = self.welcome(&mut worker).await;
        // Part of the crew even if the welcome failed, so that it is ended with the others.
        crew.workers.push(worker);
        hello.map(|()| index)
    }

    /// Starts a worker anew in the place of one that was killed, and waits until it has said
    /// hello. Cancel safe in so far as both end with the crew.
    ///
    /// # Errors
    ///
    /// As [`Launcher::launch`].
    pub(crate) async fn relaunch(&self, worker: &mut Worker) -> Result<(), Trouble> {
        let _welcoming = self.welcoming.lock().await;
        *worker = self.spawn(worker.index, worker.who.clone())?;
        self.welcome(worker).await
    }

    /// Starts the worker that makes the paths between the others, and waits until it has said
    /// hello.
    ///
    /// # Errors
    ///
    /// As [`Launcher::launch`].
    pub(crate) async fn launch_network(&self, crew: &mut Crew) -> Result<(), Trouble> {
        let mut worker = self.spawn(NETWORK_INDEX, "network".to_owned())?;
        let hello = self.welcome(&mut worker).await;
        crew.network = Some(worker);
        hello
    }

    fn spawn(&self, index: usize, who: String) -> Result<Worker, Trouble> {
        let not_started = |who: &str, source| Trouble::NotStarted { who: who.to_owned(), source };
        let mut child = Command::new(&self.program)
            .arg("worker")
            .arg("--connect")
            .arg(self.address.to_string())
            .arg("--index")
            .arg(index.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Its own group: Ctrl-C at the terminal is the coordinator's to handle.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| not_started(&who, source))?;
        let mut words = JoinSet::new();
        if let Some(stderr) = child.stderr.take() {
            words.spawn(last_words(stderr));
        }
        let pid = child.id().unwrap_or_default();
        Ok(Worker { who, index, pid, child, words, control: None })
    }

    async fn welcome(&self, worker: &mut Worker) -> Result<(), Trouble> {
        let token = format!("{}\n", self.token);
        if let Some(mut stdin) = worker.child.stdin.take()
            && let Err(source) = stdin.write_all(token.as_bytes()).await
        {
            return Err(Trouble::NotStarted { who: worker.who.clone(), source });
        }
        let arrival = async {
            // Whoever dials in and says nothing must not keep the worker waiting.
            let mut greetings = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = self.listener.accept(), if greetings.len() < MOST_GREETINGS => {
                        // A connection that breaks, or is not the worker's, is not waited for.
                        let Ok((stream, _)) = accepted else { continue };
                        greetings.spawn(greeting(Control::new(stream)));
                    }
                    Some(greeted) = greetings.join_next() => {
                        if let Ok(Some((control, hello))) = greeted
                            && hello.token == self.token
                            && usize::try_from(hello.index) == Ok(worker.index)
                        {
                            break (control, hello);
                        }
                    }
                }
            }
        };
        let (control, hello) = tokio::select! {
            arrived = arrival => arrived,
            _ = worker.child.wait() => return Err(worker.death().await),
            () = tokio::time::sleep(HELLO_TIMEOUT) => {
                return Err(worker.silent("say hello", HELLO_TIMEOUT));
            }
        };
        check(&hello).map_err(|detail| worker.confused(detail))?;
        worker.control = Some(control);
        Ok(())
    }
}

/// Hears who has dialled in; `None` if it does not say so in time.
async fn greeting(mut control: Control) -> Option<(Control, Hello)> {
    match tokio::time::timeout(GREETING_TIMEOUT, control.hear()).await {
        Ok(Ok(FromWorker::Hello(hello))) => Some((control, hello)),
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    }
}

fn check(hello: &Hello) -> Result<(), String> {
    if hello.protocol != PROTOCOL {
        return Err(format!("it speaks version {}, not {PROTOCOL}", hello.protocol));
    }
    if hello.time_namespace != meter::time_namespace() {
        return Err("it lives in another time namespace, whose clock cannot be compared".to_owned());
    }
    Ok(())
}

/// The workers of one trial.
#[derive(Debug, Default)]
pub struct Crew {
    workers: Vec<Worker>,
    /// What makes the paths between them, if there are any; it measures nothing.
    network: Option<Worker>,
}

impl Crew {
    /// One worker that measures.
    pub(crate) fn worker(&mut self, index: usize) -> &mut Worker {
        &mut self.workers[index]
    }

    /// What makes the paths between the workers.
    pub(crate) fn network(&mut self) -> Option<&mut Worker> {
        self.network.as_mut()
    }

    /// All workers that measure.
    pub(crate) fn workers(&mut self) -> &mut [Worker] {
        &mut self.workers
    }

    /// Does something with the workers that measure, for as long as the paths between them are there.
    ///
    /// Without their paths they would wait for each other until some deadline.
    pub(crate) async fn while_connected<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut [Worker]) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let Some(network) = &mut self.network else { return work(&mut self.workers).await };
        tokio::select! {
            // What the others say of a path that is gone is less to the point.
            biased;
            trouble = network.lost() => Err(trouble),
            done = work(&mut self.workers) => done,
        }
    }

    /// Ends every worker and waits until it is gone.
    pub async fn dismiss(mut self) {
        for worker in self.workers.iter_mut().chain(&mut self.network) {
            // Hanging up ends a healthy worker; the signal ends any other.
            worker.control = None;
            let _ = worker.child.start_kill();
        }
        for worker in self.workers.iter_mut().chain(&mut self.network) {
            // The kernel cannot refuse to end a process that is not in an uninterruptible call.
            let _ = tokio::time::timeout(DEATH_TIMEOUT, worker.child.wait()).await;
        }
    }
}

/// One worker process.
#[derive(Debug)]
pub struct Worker {
    who: String,
    index: usize,
    pid: u32,
    child: Child,
    /// Reads its stderr to the end, so that it never waits for a reader.
    words: JoinSet<String>,
    control: Option<Control>,
}

impl Worker {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills it (SIGKILL) and waits until it is gone; returns the CPU time of its whole life.
    pub(crate) async fn kill(&mut self) -> Result<Option<u64>, Trouble> {
        // One that has died by itself, or by another's hand, is no part of the scenario.
        if let Ok(Some(_)) = self.child.try_wait() {
            return Err(self.death().await);
        }
        let cpu = meter::scheduled(self.pid).ok().map(|scheduled| scheduled.cpu_ns);
        let died = async {
            self.child.start_kill()?;
            self.child.wait().await
        };
        match tokio::time::timeout(DEATH_TIMEOUT, died).await {
            Ok(Ok(_)) => {
                self.control = None;
                Ok(cpu)
            }
            Ok(Err(source)) => Err(Trouble::Timing(source)),
            Err(_) => Err(self.silent("end when it was killed", DEATH_TIMEOUT)),
        }
    }

    /// Tells it something.
    pub(crate) async fn tell(&mut self, message: &ToWorker) -> Result<(), Trouble> {
        let said = match &mut self.control {
            Some(control) => control.say(message).await,
            None => Err(ControlError::Closed),
        };
        match said {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// Waits until it says something, at most `within`.
    pub(crate) async fn hear(
        &mut self,
        what: &'static str,
        within: Duration,
    ) -> Result<FromWorker, Trouble> {
        let hearing = async {
            match &mut self.control {
                Some(control) => control.hear::<FromWorker>().await,
                None => Err(ControlError::Closed),
            }
        };
        match tokio::time::timeout(within, hearing).await {
            Ok(Ok(FromWorker::Failed { reason })) => {
                Err(Trouble::GaveUp { who: self.who.clone(), reason })
            }
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(self.explain(error).await),
            Err(_) => Err(self.silent(what, within)),
        }
    }

    /// Waits until it ends, or speaks though it was asked nothing.
    async fn lost(&mut self) -> Trouble {
        let heard = match &mut self.control {
            Some(control) => control.hear::<FromWorker>().await,
            None => Err(ControlError::Closed),
        };
        match heard {
            Ok(FromWorker::Failed { reason }) => Trouble::GaveUp { who: self.who.clone(), reason },
            Ok(other) => self.confused(format!("it spoke out of turn: {other:?}")),
            Err(error) => self.explain(error).await,
        }
    }

    /// Hears rows and the report behind them.
    pub(crate) async fn hear_report<R: Row>(
        &mut self,
        within: Duration,
    ) -> Result<(Vec<R>, FromWorker), Trouble> {
        let mut rows = Vec::new();
        loop {
            match self.hear("report", within).await? {
                FromWorker::Rows { packed } => {
                    if !unpack(&packed, &mut rows) {
                        return Err(self.confused("its rows are damaged".to_owned()));
                    }
                }
                report => return Ok((rows, report)),
            }
        }
    }

    /// The trouble of a worker that said something unexpected.
    pub(crate) fn confused(&self, detail: String) -> Trouble {
        Trouble::Confused { who: self.who.clone(), detail }
    }

    fn silent(&self, what: &'static str, after: Duration) -> Trouble {
        Trouble::Silent { who: self.who.clone(), pid: self.pid, what, after }
    }

    async fn explain(&mut self, error: ControlError) -> Trouble {
        match error {
            ControlError::Closed | ControlError::Broken(_) => self.death().await,
            ControlError::Unintelligible(error) => self.confused(error.to_string()),
        }
    }

    async fn death(&mut self) -> Trouble {
        let ended = tokio::time::timeout(DEATH_TIMEOUT, self.child.wait()).await;
        let mut how = match ended {
            Ok(Ok(status)) => describe(status),
            Ok(Err(_)) | Err(_) => "closed its control channel but lives on".to_owned(),
        };
        let words = tokio::time::timeout(DEATH_TIMEOUT, self.words.join_next()).await;
        let words = words.ok().flatten().and_then(Result::ok).unwrap_or_default();
        // Behind a panic's message stands only the hint at a backtrace.
        let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
        if let Some(last) = words.lines().rfind(said) {
            how = format!("{how}; its last words: {}", last.trim());
        }
        Trouble::Died { who: self.who.clone(), pid: self.pid, how }
    }
}

/// Reads a worker's stderr to its end and keeps the last of it.
async fn last_words(mut stderr: ChildStderr) -> String {
    let (mut words, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = stderr.read(&mut piece).await {
        words.extend_from_slice(&piece[..read]);
        words.drain(..words.len().saturating_sub(LAST_WORDS));
    }
    String::from_utf8_lossy(&words).into_owned()
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
