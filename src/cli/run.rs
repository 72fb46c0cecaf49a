//! `pollpush run`: run a scenario and show what came out.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::affinity;
use crate::aim::AimError;
use crate::cli::check::warn_of_few_events;
use crate::cli::conclusion::{Conclusion, conclude};
use crate::cli::enough::Enough;
use crate::cli::expected::ExpectOptions;
use crate::cli::interrupt::Interrupt;
use crate::cli::known_machine::KnownMachine;
use crate::cli::options::{Changes, Format};
use crate::cli::outcome::{Outcome, UsageError};
use crate::cli::progress::Progress;
use crate::cli::terminal::Terminal;
use crate::clock;
use crate::fault::Fault;
use crate::meter;
use crate::network::tier::{Choice, Offer, Tier};
use crate::plan::{Plan, expand};
use crate::record;
use crate::record::folder::{MANIFEST_FILE, RunFolder, SCENARIO_FILE};
use crate::record::manifest::RunStatus;
use crate::scenario::{Override, load};
use crate::trial::crew::Launcher;
use crate::trial::run::{Stop, bytes_needed, manifest, run};

/// Run a scenario: start the processes, measure, record, and show the comparison.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A scenario file, or the name of a built-in scenario.
    #[arg(required_unless_present = "resume")]
    scenario: Option<PathBuf>,

    #[command(flatten)]
    changes: Changes,

    /// Where the run's folder is made.
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,

    /// Plant a fault, to see that the checks notice; the run is then invalid. `pollpush checks`
    /// lists what can be planted.
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    inject: Option<Fault>,

    #[command(flatten)]
    expected: ExpectOptions,

    /// Go on with a run that was interrupted or killed; trials that came to an end are kept.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["scenario", "set", "seed", "repeats", "duration", "out", "inject", "expect"]
    )]
    resume: Option<PathBuf>,

    /// How to write the result to stdout.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Run {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        // First of all: from here on a signal keeps what there is instead of ending the program.
        let interrupt = Interrupt::listen()?;
        let prepared = match &self.resume {
            Some(run) => resumed(run, terminal)?,
            None => begun(self.plan()?, &self.out, terminal)?,
        };
        let Recorded { path, status, machine } = measured(prepared, &interrupt, terminal)?;
        // What was expected beside the scenario is in the record by now.
        let told = ExpectOptions { expect: Vec::new(), junit: self.expected.junit };
        let concluded = conclude(&path, self.format, &told, terminal).with_context(|| {
            format!(
                "the run is recorded; `pollpush report {}` makes its tables and charts",
                path.display()
            )
        });
        let Conclusion { outcome, noise_floor } = concluded?;
        if let Some(floor) = noise_floor {
            machine.keep(floor, terminal);
        }
        if status != RunStatus::Interrupted {
            return Ok(outcome);
        }
        terminal.note(&format!("go on     pollpush run --resume {}", path.display()));
        Ok(Outcome::Interrupted)
    }

    /// What a new run does, with what is expected beside the scenario.
    fn plan(&self) -> anyhow::Result<Plan> {
        let scenario = self.scenario.as_deref().unwrap_or(Path::new(""));
        let scenario = load(scenario, &self.changes.overrides())?;
        let mut plan = Plan { fault: self.inject, ..expand(&scenario) };
        let point = plan.points.first();
        let strategies: Vec<&str> =
            point.iter().flat_map(|point| &point.strategies).map(|one| one.name.as_str()).collect();
        let points = plan.points.iter().map(|point| &point.parameters);
        self.expected.check(&strategies, &points, &plan.aims)?;
        let searching = plan.aims.objective.iter();
        for (objective, given) in
            searching.flat_map(|one| self.expected.expect.iter().map(move |given| (one, given)))
        {
            objective.reaches(given).map_err(|AimError { message, remedy }| UsageError {
                message: format!("--expect \"{given}\": {message}"),
                hint: remedy,
            })?;
        }
        plan.aims.thresholds.extend(self.expected.expect.iter().cloned());
        Ok(plan)
    }
}

/// What is to be measured, and into what.
struct Prepared {
    plan: Plan,
    folder: RunFolder,
    /// What an earlier part of the run has measured.
    before: Option<record::run::Run>,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// How far it came.
    pub(crate) status: RunStatus,
    /// Where it was made.
    pub(crate) machine: KnownMachine,
}

/// Runs a plan into a new folder below `out`.
///
/// # Errors
///
/// When the plan asks for more than the machine has, or the run cannot be recorded.
pub(crate) fn record(
    plan: Plan,
    out: &Path,
    interrupt: &Interrupt,
    terminal: &mut Terminal,
) -> anyhow::Result<Recorded> {
    measured(begun(plan, out, terminal)?, interrupt, terminal)
}

/// A new run.
fn begun(mut plan: Plan, out: &Path, terminal: &mut Terminal) -> anyhow::Result<Prepared> {
    place(&mut plan)?;
    make_paths(&mut plan, terminal)?;
    warn_of_few_events(&plan, terminal);
    require_sockets(&plan)?;
    let mut manifest = manifest(&plan);
    let machine = KnownMachine::here(&manifest.environment);
    manifest.noise_floor = machine.noise_floor(&manifest.arrangement(), clock::wall(), terminal);
    let folder = RunFolder::create(out, manifest, &plan.scenario, bytes_needed(&plan))?;
    Ok(Prepared { plan, folder, before: None })
}

/// A run that was interrupted, from its folder: the same plan, on the same machine, by the same
/// program.
fn resumed(path: &Path, terminal: &mut Terminal) -> anyhow::Result<Prepared> {
    let earlier = record::run::Run::open(path)?.manifest;
    let given = |text: &String| Override { origin: MANIFEST_FILE, text: text.clone() };
    let overrides: Vec<Override> = earlier.overrides.iter().map(given).collect();
    let scenario = load(&path.join(SCENARIO_FILE), &overrides)?;
    let mut plan = Plan { fault: earlier.injected, ..expand(&scenario) };
    // Those that were given beside the scenario are in no scenario.
    plan.aims.thresholds.clone_from(&earlier.aims.thresholds);
    place(&mut plan)?;
    make_paths(&mut plan, terminal)?;
    require_sockets(&plan)?;
    if let Some(differs) = earlier.first_difference(&manifest(&plan)) {
        return Err(UsageError {
            message: format!(
                "the run cannot go on here: its `{differs}` is not what it was when it began, and \
                 what is measured now would not be of the same run"
            ),
            hint: "go on with the same version of pollpush on the same machine, or run the \
                   scenario anew"
                .into(),
        }
        .into());
    }
    let (folder, before) = RunFolder::reopen(path, bytes_needed(&plan), clock::wall())?;
    terminal.note(&format!("going on: {} trial records are kept", before.records.len()));
    Ok(Prepared { plan, folder, before: Some(before) })
}

/// Measures what is left to measure, and ends the run.
fn measured(
    prepared: Prepared,
    interrupt: &Interrupt,
    terminal: &mut Terminal,
) -> anyhow::Result<Recorded> {
    let Prepared { plan, mut folder, before } = prepared;
    let machine = KnownMachine::here(&folder.manifest().environment);
    let path = folder.path().to_owned();
    terminal.note(&format!("recording into {}", path.display()));
    let ended = measure(&plan, &mut folder, before.as_ref(), interrupt, terminal)
        .and_then(|status| Ok(folder.finish(status, clock::wall()).map(|_| status)?));
    let status = ended.with_context(|| {
        format!(
            "finished trials are kept; `pollpush run --resume {}` goes on with the others",
            path.display()
        )
    })?;
    Ok(Recorded { path, status, machine })
}

/// Chooses CPUs for a plan that pins its processes, and stays off them if any are left.
fn place(plan: &mut Plan) -> anyhow::Result<()> {
    if plan.points.iter().all(|point| !point.pin) {
        return Ok(());
    }
    let cpus = affinity::allowed().context("the CPUs that may be used cannot be read")?;
    if !plan.place(&cpus) {
        return Err(UsageError {
            message: "`run.pin` keeps source and subscribers on CPUs of their own, but there is \
                      only one that the program may use"
                .into(),
            hint: "leave `run.pin` out, or let the program use more CPUs".into(),
        }
        .into());
    }
    let placement = plan.points.iter().find_map(|point| point.placement.as_ref());
    if let Some(placement) = placement.filter(|placement| !placement.coordinator.is_empty()) {
        affinity::restrict(&placement.coordinator).context("the CPUs that are left are refused")?;
    }
    Ok(())
}

/// Chooses how the paths of distant points are made, and says what could not be had.
fn make_paths(plan: &mut Plan, terminal: &mut Terminal) -> anyhow::Result<()> {
    if plan.points.iter().all(|point| !point.network.is_distant()) {
        return Ok(());
    }
    let offer = Offer::of_this_machine();
    let choices = plan.make_paths(&offer).map_err(|error| UsageError {
        message: error.to_string(),
        hint: "run as root, or ask less of `[network]`; METHODOLOGY.md says what each tier can do"
            .into(),
    })?;
    for Choice { tier, passed } in choices {
        if tier != Tier::Sockets {
            terminal.note(&format!("the path is made by tier `{tier}`"));
            continue;
        }
        let passed: Vec<String> =
            passed.iter().map(|(better, why)| format!("`{better}`: {why}")).collect();
        terminal.warning(
            "the path is made inside the program (tier `sockets`): it delays bytes and TCP does \
             not notice, so nothing that it shows of connections holds over a network",
            &if passed.is_empty() {
                "the scenario forces this tier; leave `network.tier` out".to_owned()
            } else {
                format!("better tiers are not to be had here; {}", passed.join("; "))
            },
        );
    }
    Ok(())
}

/// The fault of a name.
fn fault(name: &str) -> Result<Fault, String> {
    let named = Fault::ALL.iter().find(|fault| fault.name() == name);
    named.copied().ok_or_else(|| "no such fault; `pollpush checks` lists them".to_owned())
}

fn measure(
    plan: &Plan,
    folder: &mut RunFolder,
    before: Option<&record::run::Run>,
    interrupt: &Interrupt,
    terminal: &mut Terminal,
) -> anyhow::Result<RunStatus> {
    let mut progress = Progress::new(plan, terminal);
    let mut enough = Enough::of(plan);
    let stop = enough.as_mut().map(|enough| enough as &mut dyn Stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let launcher = Launcher::new(program()?).await?;
        Ok(run(plan, folder, before, &launcher, interrupt.token(), &mut progress, stop).await?)
    })
}

/// The program itself, to be started again as workers.
fn program() -> anyhow::Result<PathBuf> {
    // The link outlives a file that was replaced by a new build while it runs.
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { Ok(std::env::current_exe()?) }
}

/// Sockets and files a worker needs besides the strategies' own connections.
const FILES_BESIDE_CONNECTIONS: u64 = 64;

/// Refuses a plan that would run out of file descriptors in the middle.
fn require_sockets(plan: &Plan) -> anyhow::Result<()> {
    let allowed = meter::raise_file_limit().context("the limit of open files cannot be read")?;
    // A poller has a connection and a timer; the source of a side-by-side trial serves them all,
    // with a timer in each direction where a round trip is injected.
    let delayed = plan.points.iter().any(|point| point.network.tier == Some(Tier::Sockets));
    let each = if delayed { 3 } else { 2 };
    let needed = each * plan.estimate().connections + FILES_BESIDE_CONNECTIONS;
    if needed > allowed {
        return Err(UsageError {
            message: format!("a trial needs up to {needed} open files, but {allowed} are allowed"),
            hint: "lower `subscribers` or `concurrency`, or raise the limit with `ulimit -n`"
                .into(),
        }
        .into());
    }
    Ok(())
}
