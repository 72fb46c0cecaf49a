//! The coordinator of one trial: launches the workers, says when, collects what they measured.
//!
//! It never fails: whatever goes wrong spoils the trial, and a spoilt trial is a record.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::affinity;
use crate::clock::{self, Moment};
use crate::fault::Fault;
use crate::incident::Who;
use crate::meter::{self, Scheduled};
use crate::network::asked::Network;
use crate::network::namespace::End;
use crate::plan::{Plan, PlannedStrategy, Point, Trial};
use crate::record::join::{Arrival, Emission};
use crate::record::ledger::Ledger;
use crate::record::limit::Calibration;
use crate::record::trial::{
    EndedLife, EventCounts, MachineUse, Measured, NetworkUse, Outcome, ProcessUse, SourceSide,
    StrategyRecord, SubscriberSide, TRIAL_SCHEMA, TrialRecord, WindowUse, Workload,
};
use crate::subscriber::harm::Place;
use crate::subscriber::inbox::Delivery;
use crate::subscriber::post::Life;
use crate::trial::calibration::calibrate;
use crate::trial::control::{
    FromWorker, SourceAssignment, SourceReport, StrategyAssignment, SubscriberAssignment,
    SubscriberReport, ToWorker,
};
use crate::trial::crew::{Crew, Launcher, Trouble, Worker};
use crate::trial::machine_watch::{self, MachineWatch};
use crate::trial::mischief::{self, BusyMachine};
use crate::trial::ordeal::{Afterlife, Ordeal, Rebirth, Times, endure};
use crate::trial::paths::{self, Paths};
use crate::trial::rows;
use crate::trial::run::network_record;
use crate::units::nanoseconds;
use crate::wire::auth::Keyring;
use crate::wire::link::CONNECTION_ROUND_TRIPS;
use crate::wire::socket::LOOPBACK;
use crate::wire::tls::Authority;

/// Time between the decision to start and the epoch, for the word to reach every worker and for
/// each to see what it costs to do nothing.
const HEAD_START: Duration = Duration::from_millis(300);

/// How late a worker may be with what it should say at a known moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a worker may take to get ready, apart from its subscribers' registrations.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// What one simulated subscriber may add to that.
const READY_PER_SUBSCRIBER: Duration = Duration::from_millis(5);

/// How long a worker may be silent while it stops and reports: longer than any exchange under
/// way may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(90);

/// What a trial is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Processes are started and get ready.
    Launching,
    /// The physical limit is measured: what raw sockets take between the processes.
    Calibrating,
    /// Events flow but do not count yet.
    WarmUp,
    /// It is being measured; the coordinator does nothing.
    Window,
    /// Outstanding events are waited for.
    Draining,
    /// Reports come in.
    Collecting,
}

/// One strategy of a finished trial.
#[derive(Debug)]
pub struct StrategyResult {
    /// What to record; counts of events are filled in from the ledger when it is recorded.
    pub record: TrialRecord,
    /// What became of every delivery; absent unless the trial was completed.
    pub ledger: Option<Ledger>,
}

/// Runs one trial to its end, good or bad; one result a strategy. `folder` is the run folder, as
/// an absolute path, with the traces in it.
pub async fn run(
    plan: &Plan,
    trial: &Trial,
    folder: &Path,
    launcher: &Launcher,
    interrupt: &CancellationToken,
    watch: &mut (dyn FnMut(Phase) + Send),
) -> Vec<StrategyResult> {
    let point = &plan.points[trial.point];
    let strategies: Vec<&PlannedStrategy> =
        trial.strategies.iter().map(|index| &point.strategies[*index]).collect();
    let started = clock::wall().to_string();
    let mut crew = Crew::default();
    let conducted = tokio::select! {
        biased;
        () = interrupt.cancelled() => None,
        conducted = conduct(plan, trial, &strategies, folder, launcher, &mut crew, watch) => Some(conducted),
    };
    crew.dismiss().await;
    let outcome = |outcome| {
        let record = |strategy| blank_record(point, trial, strategy, &started, &outcome);
        strategies.iter().map(|strategy| record(strategy)).collect::<Vec<_>>()
    };
    let ended_early = |records: Vec<TrialRecord>| {
        records.into_iter().map(|record| StrategyResult { record, ledger: None }).collect()
    };
    let spoilt = |reason| ended_early(outcome(Outcome::Spoilt { reason }));
    match conducted {
        None => ended_early(outcome(Outcome::Interrupted)),
        Some(Err(trouble)) => spoilt(trouble.to_string()),
        Some(Ok(collected)) => match assemble(outcome(Outcome::Completed), collected) {
            Ok(results) => results,
            Err(reason) => spoilt(reason),
        },
    }
}

/// Everything the workers reported.
struct Collected {
    epoch: Moment,
    machine: MachineUse,
    fault: Option<Fault>,
    limit: Option<Calibration>,
    /// What each strategy's path carried; empty unless packets crossed it.
    network: Vec<NetworkUse>,
    emissions: Vec<rows::Emission>,
    source: SourceReport,
    source_process: ProcessUse,
    subscribers: Vec<CollectedSubscriber>,
}

struct CollectedSubscriber {
    deliveries: Vec<Delivery>,
    report: SubscriberReport,
    process: ProcessUse,
    lives: Vec<EndedLife>,
}

async fn conduct(
    plan: &Plan,
    trial: &Trial,
    strategies: &[&PlannedStrategy],
    folder: &Path,
    launcher: &Launcher,
    crew: &mut Crew,
    watch: &mut (dyn FnMut(Phase) + Send),
) -> Result<Collected, Trouble> {
    watch(Phase::Launching);
    let (point, fault) = (&plan.points[trial.point], plan.fault);
    if point.pin && point.placement.is_none() {
        return Err(Trouble::Unplaced);
    }
    let machine = MachineWatch::begin(launcher.program());
    let busy = BusyMachine::if_asked(fault);
    let ordeals = [Who::Source, Who::Subscriber].map(|who| Ordeal::of(&point.incidents, who));
    // Before anything is launched that is to be killed; gone when the trial has been collected.
    let mut afterlife = ordeals[1].kills().then(Afterlife::default);
    let rebirths = launch(plan, trial, folder, launcher, (&mut *crew, afterlife.as_mut())).await?;
    let (namespaces, network) = paths::watched(crew);
    let measured = crew.while_connected(async |workers| {
        watch(Phase::Calibrating);
        let limit = Some(calibrate(workers, point.payload).await?);
        let epoch = clock::now().after(HEAD_START);
        let from = epoch.after(point.warm_up);
        let until = from.after(point.window);
        for worker in &mut *workers {
            worker.tell(&ToWorker::Start { epoch, from, until }).await?;
        }
        watch(Phase::WarmUp);
        let processes = (workers[0].pid(), workers.get(1).map(Worker::pid));
        let times = Times { epoch, from, until };
        let closing = close_all(workers, &ordeals, &rebirths, launcher, times);
        let measuring = async {
            let reading = machine_watch::at_edges((from, until), &namespaces, network);
            let meddling = mischief::in_the_middle(fault, trial.index, (from, until), processes);
            let announcing = async {
                tokio::time::sleep(from.since(clock::now())).await;
                watch(Phase::Window);
                Ok(())
            };
            let done = tokio::try_join!(reading, meddling, announcing);
            done.map(|(edges, (), ())| edges).map_err(Trouble::Timing)
        };
        let (closed, edges) = tokio::try_join!(closing, measuring)?;
        drop(busy);
        watch(Phase::Draining);
        drain(workers, &closed, point.drain).await?;
        watch(Phase::Collecting);
        let collected = collect(workers, strategies, epoch, &closed).await?;
        Ok((Collected { limit, ..collected }, edges))
    });
    let (mut collected, edges) = measured.await?;
    collected.network = paths::finish(crew, edges.network_cpu_ns).await?;
    let window = nanoseconds(point.window);
    collected.machine = machine.end(&edges.readings, (window, trial.index), fault);
    collected.fault = fault;
    Ok(collected)
}

/// Launches the paths, the source and its subscribers, and waits until all are ready.
async fn launch(
    plan: &Plan,
    trial: &Trial,
    folder: &Path,
    launcher: &Launcher,
    (crew, afterlife): (&mut Crew, Option<&mut Afterlife>),
) -> Result<Vec<Rebirth>, Trouble> {
    let point = &plan.points[trial.point];
    let strategies = || trial.strategies.iter().map(|index| &point.strategies[*index]);
    // Its key stays in this process and ends with the trial.
    let secured = strategies().any(|strategy| strategy.link.tls);
    let authority = secured.then(Authority::new).transpose()?;
    let keyrings: Vec<Keyring> =
        strategies().map(|strategy| Keyring::random(&strategy.name)).collect();
    let paths = paths::make(plan, trial, launcher, crew).await?;
    let at_source = |_| paths.source();
    let source = assigned(plan, trial, &keyrings, authority.as_ref(), at_source)?;
    let lanes = launch_source(plan, trial, (source, &paths), folder, launcher, crew).await?;
    let at_subscribers = |position| paths.subscribers(position);
    let subscribers = assigned(plan, trial, &keyrings, authority.as_ref(), at_subscribers)?;
    let crew = (crew, afterlife);
    launch_subscribers(plan, trial, (subscribers, &paths), &lanes, launcher, crew).await
}

async fn launch_source(
    plan: &Plan,
    trial: &Trial,
    (strategies, paths): (Vec<StrategyAssignment>, &Paths),
    folder: &Path,
    launcher: &Launcher,
    crew: &mut Crew,
) -> Result<Vec<SocketAddr>, Trouble> {
    let (point, wanted) = (&plan.points[trial.point], strategies.len());
    let source = launcher.launch(crew, "source".to_owned()).await?;
    let source = crew.worker(source);
    let assignment = SourceAssignment {
        rate: point.rate,
        arrivals: point.arrivals.clone(),
        trace: point.trace.as_ref().map(|trace| folder.join(&trace.path)),
        payload: point.payload,
        seed: trial.seed,
        emit_for: point.warm_up + point.window,
        spin: point.spin,
        strategies,
        end: paths.source().cloned(),
        cpu: point.placement.as_ref().map(|placement| placement.source),
        fault: plan.fault,
    };
    source.tell(&ToWorker::Source(assignment)).await?;
    match source.hear("get ready", READY_TIMEOUT).await? {
        FromWorker::Ready { lanes } if lanes.len() == wanted => Ok(lanes),
        other => Err(out_of_turn(source, &other)),
    }
}

async fn launch_subscribers(
    plan: &Plan,
    trial: &Trial,
    (assigned, paths): (Vec<StrategyAssignment>, &Paths),
    lanes: &[SocketAddr],
    launcher: &Launcher,
    (crew, mut afterlife): (&mut Crew, Option<&mut Afterlife>),
) -> Result<Vec<Rebirth>, Trouble> {
    let point = &plan.points[trial.point];
    let (mut waiting, mut rebirths) = (Vec::new(), Vec::new());
    for (position, ((index, assigned), lane)) in
        trial.strategies.iter().zip(assigned).zip(lanes).enumerate()
    {
        let strategy = &point.strategies[*index];
        if strategy.is_in_process() {
            continue;
        }
        let who = format!("subscriber of `{}`", strategy.name);
        let worker = launcher.launch(crew, who).await?;
        let assignment = SubscriberAssignment {
            strategy: assigned,
            source: *lane,
            end: paths.subscribers(position).cloned(),
            seed: trial.seed,
            cpu: point.placement.as_ref().map(|placement| placement.subscribers[*index]),
            fault: plan.fault,
            life: Life::default(),
            journal: None,
        };
        let assignment = match &mut afterlife {
            Some(afterlife) => afterlife.bestow(*index, assignment).map_err(Trouble::Timing)?,
            None => assignment,
        };
        crew.worker(worker).tell(&ToWorker::Subscriber(Box::new(assignment.clone()))).await?;
        let timeout = ready_timeout(point, strategy);
        waiting.push((worker, timeout));
        rebirths.push(Rebirth { assignment, timeout });
    }
    for (worker, timeout) in waiting {
        let worker = crew.worker(worker);
        match worker.hear("get ready", timeout).await? {
            FromWorker::Ready { .. } => {}
            other => return Err(out_of_turn(worker, &other)),
        }
    }
    Ok(rebirths)
}

/// How long the subscribers of a strategy may take to get ready: they register one by one, and
/// each may need a new connection.
fn ready_timeout(point: &Point, strategy: &PlannedStrategy) -> Duration {
    let each = READY_PER_SUBSCRIBER + point.network.rtt * CONNECTION_ROUND_TRIPS;
    READY_TIMEOUT + each * strategy.subscribers
}

/// The strategies as a worker is told of them, with credentials of its own for each; `end` is
/// where that side of a strategy lives, by its position in the trial.
fn assigned<'p>(
    plan: &Plan,
    trial: &Trial,
    keyrings: &[Keyring],
    authority: Option<&Authority>,
    end: impl Fn(usize) -> Option<&'p End>,
) -> Result<Vec<StrategyAssignment>, Trouble> {
    let point = &plan.points[trial.point];
    let assigned = |(position, (index, keyring)): (usize, (&usize, &Keyring))| {
        let strategy = &point.strategies[*index];
        let authority = authority.filter(|_| strategy.link.tls);
        let address = end(position).map_or(LOOPBACK, |end| end.address);
        let credentials = authority.map(|authority| authority.credentials_for(address));
        Ok(StrategyAssignment {
            name: strategy.name.clone(),
            mechanism: strategy.mechanism.to_owned(),
            settings: strategy.strategy.settings(),
            subscribers: strategy.subscribers,
            place: Place {
                block: trial.block,
                position: trial.position,
                strategy: u32::try_from(*index).expect("a scenario has few strategies"),
            },
            link: strategy.link.clone(),
            network: point.network.clone(),
            credentials: credentials.transpose()?,
            keyring: keyring.clone(),
            promise: strategy.promise(),
            incidents: point.incidents.clone(),
        })
    };
    trial.strategies.iter().zip(keyrings).enumerate().map(assigned).collect()
}

/// A worker at the end of the window.
struct Closed {
    emitted: u64,
    cpu_ns_inside: u64,
    outside: Scheduled,
    cpus: Vec<u32>,
    /// The lives that ended before.
    lives: Vec<EndedLife>,
}

/// Lets every worker go through what befalls it, and waits until it has closed its window.
async fn close_all(
    workers: &mut [Worker],
    [of_source, of_subscribers]: &[Ordeal; 2],
    rebirths: &[Rebirth],
    launcher: &Launcher,
    times: Times,
) -> Result<Vec<Closed>, Trouble> {
    let rebirths = std::iter::once(None).chain(rebirths.iter().map(Some));
    let ordeals = std::iter::once(of_source).chain(std::iter::repeat(of_subscribers));
    let closing = workers.iter_mut().zip(ordeals).zip(rebirths);
    let closing = closing.map(|((worker, ordeal), rebirth)| async move {
        let lives = endure(ordeal, worker, rebirth, launcher, times).await?;
        Ok(Closed { lives, ..close(worker, times.until).await? })
    });
    try_join_all(closing).await
}

async fn close(worker: &mut Worker, until: Moment) -> Result<Closed, Trouble> {
    let within = until.since(clock::now()) + PATIENCE;
    match worker.hear("finish its window", within).await? {
        FromWorker::Closed { cpu_ns, emitted } => {
            // Read at once: the worker took its own reading a moment ago.
            let outside = meter::scheduled(worker.pid())
                .map_err(|error| worker.confused(format!("its CPU time is unreadable: {error}")))?;
            let cpus = affinity::allowed_to(worker.pid())
                .map_err(|error| worker.confused(format!("its CPUs are unreadable: {error}")))?;
            Ok(Closed { emitted, cpu_ns_inside: cpu_ns, outside, cpus, lives: Vec::new() })
        }
        other => Err(out_of_turn(worker, &other)),
    }
}

async fn drain(
    workers: &mut [Worker],
    closed: &[Closed],
    longest: Duration,
) -> Result<(), Trouble> {
    let emitted = closed[0].emitted;
    let deadline = clock::now().after(longest);
    // The source, too: it may have subscribers in its own process.
    for worker in &mut *workers {
        worker.tell(&ToWorker::Drain { emitted, deadline }).await?;
    }
    let drained = workers.iter_mut().map(|worker| async {
        match worker.hear("finish draining", longest + PATIENCE).await? {
            FromWorker::Drained => Ok(()),
            other => Err(out_of_turn(worker, &other)),
        }
    });
    try_join_all(drained).await.map(|_| ())
}

/// Stops the subscribers, then the source, so that both count the same last exchange.
async fn collect(
    workers: &mut [Worker],
    strategies: &[&PlannedStrategy],
    epoch: Moment,
    closed: &[Closed],
) -> Result<Collected, Trouble> {
    let (worker, others) = workers.split_first_mut().expect("a trial has a source");
    for subscriber in &mut *others {
        subscriber.tell(&ToWorker::Finish).await?;
    }
    worker.tell(&ToWorker::Release).await?;
    let mut apart = Vec::new();
    for (subscriber, closed) in others.iter_mut().zip(&closed[1..]) {
        let outside = |report: &SubscriberReport| {
            process_use(closed, report.memory_peak, report.suffered.clone())
        };
        let heard = hear_subscribers(subscriber, outside).await?;
        let lives = closed.lives.clone();
        // What a process read of itself says nothing of the lives before.
        let window = heard.process.window.filter(|_| lives.is_empty());
        let process = ProcessUse { window, ..heard.process };
        apart.push(CollectedSubscriber { process, lives, ..heard });
    }
    worker.tell(&ToWorker::Finish).await?;
    let (emissions, report) = worker.hear_report::<rows::Emission>(REPORT_TIMEOUT).await?;
    let FromWorker::SourceReport(source) = report else {
        return Err(out_of_turn(worker, &report));
    };
    if emissions.len() as u64 != closed[0].emitted || source.lanes.len() != strategies.len() {
        return Err(worker.confused("its report is incomplete".to_owned()));
    }
    let (mut apart, mut subscribers) = (apart.into_iter(), Vec::new());
    for strategy in strategies {
        subscribers.push(if strategy.is_in_process() {
            // They are no process of their own: what they use is the source's.
            hear_subscribers(worker, |_| ProcessUse::default()).await?
        } else {
            apart.next().expect("every other strategy has a worker")
        });
    }
    let source_process = process_use(&closed[0], source.memory_peak, source.suffered.clone());
    let (machine, fault, limit, network) = (MachineUse::default(), None, None, Vec::new());
    Ok(Collected {
        epoch,
        machine,
        fault,
        limit,
        network,
        emissions,
        source,
        source_process,
        subscribers,
    })
}

/// Hears what the subscribers of one strategy report.
async fn hear_subscribers(
    worker: &mut Worker,
    process: impl FnOnce(&SubscriberReport) -> ProcessUse,
) -> Result<CollectedSubscriber, Trouble> {
    let (deliveries, report) = worker.hear_report(REPORT_TIMEOUT).await?;
    let FromWorker::SubscriberReport(report) = report else {
        return Err(out_of_turn(worker, &report));
    };
    let process = process(&report);
    Ok(CollectedSubscriber { deliveries, report: *report, process, lives: Vec::new() })
}

fn process_use(closed: &Closed, memory_peak: u64, suffered: WindowUse) -> ProcessUse {
    ProcessUse {
        memory_peak,
        cpu_ns_inside: closed.cpu_ns_inside,
        cpu_ns_outside: closed.outside.cpu_ns,
        cpus: closed.cpus.clone(),
        run_queue_ns: closed.outside.run_queue_ns,
        window: Some(suffered),
    }
}

fn out_of_turn(worker: &Worker, message: &FromWorker) -> Trouble {
    let mut said = format!("{message:?}");
    said.truncate(said.floor_char_boundary(200));
    worker.confused(format!("it spoke out of turn: {said}"))
}

fn blank_record(
    point: &Point,
    trial: &Trial,
    strategy: &PlannedStrategy,
    started: &str,
    outcome: &Outcome,
) -> TrialRecord {
    TrialRecord {
        schema: TRIAL_SCHEMA.to_owned(),
        trial: trial.index,
        point: u32::try_from(trial.point).expect("a plan has few points"),
        parameters: point.parameters.clone(),
        block: trial.block,
        strategy: strategy_record(strategy, &point.network),
        workload: Workload {
            rate: point.rate,
            arrivals: point.arrivals.clone(),
            payload: point.payload,
            seed: trial.seed,
            warm_up: point.warm_up,
            window: point.window,
            rtt: point.network.round_trip(),
            network: network_record(point),
        },
        started: started.to_owned(),
        outcome: outcome.clone(),
        measured: None,
    }
}

/// A strategy as records keep it.
#[must_use]
pub fn strategy_record(strategy: &PlannedStrategy, network: &Network) -> StrategyRecord {
    StrategyRecord {
        name: strategy.name.clone(),
        mechanism: strategy.mechanism.to_owned(),
        subscribers: strategy.subscribers,
        settings: strategy.settings(),
        set_up: strategy.link.set_up(),
        promise: strategy.promise(),
        theory: strategy.theory(network),
        incidents: strategy.incidents.clone(),
    }
}

/// Joins what the source emitted with what each strategy's subscribers received.
fn assemble(
    records: Vec<TrialRecord>,
    collected: Collected,
) -> Result<Vec<StrategyResult>, String> {
    let after_epoch = |moment: Moment| nanoseconds(moment.since(collected.epoch));
    let emissions: Vec<Emission> = collected
        .emissions
        .iter()
        .map(|row| Emission { due: after_epoch(row.due), emitted: after_epoch(row.emitted) })
        .collect();
    let lanes = u32::try_from(collected.source.lanes.len()).expect("a scenario has few strategies");
    let reports = collected.source.lanes.into_iter().zip(collected.subscribers);
    let reports = records.into_iter().zip(reports).enumerate();
    let results = reports.map(|(position, (mut record, (lane, subscriber)))| {
        let mut arrivals = arrivals(&subscriber.deliveries, after_epoch);
        if collected.fault == Some(Fault::OutrunLight) {
            mischief::outrun(&mut arrivals, &emissions);
        }
        let ledger = Ledger::join(&emissions, record.strategy.subscribers, &arrivals)
            .map_err(|error| format!("`{}`: {error}", record.strategy.name))?;
        record.measured = Some(Measured {
            tls: lane.tls.or(subscriber.report.tls),
            events: EventCounts::default(),
            machine: Some(collected.machine.clone()),
            source: SourceSide {
                window: lane.window,
                whole: lane.whole,
                cpu_ns: lane.cpu_ns,
                idle_cpu_ns: lane.idle_cpu_ns,
                first_rate_limited: lane.first_rate_limited.map(after_epoch),
                pacer_cpu_ns: collected.source.pacer_cpu_ns,
                spin_ns: collected.source.spin_ns,
                process: collected.source_process.clone(),
                lanes,
                over_time: lane.over_time,
                given_up: lane.given_up,
            },
            subscriber: SubscriberSide {
                window: subscriber.report.window,
                whole: subscriber.report.whole,
                cpu_ns: subscriber.report.cpu_ns,
                refused: subscriber.report.refused,
                accepted: subscriber.report.accepted,
                rows: subscriber.deliveries.len() as u64,
                process: subscriber.process,
                lives: subscriber.lives,
                over_time: subscriber.report.over_time,
            },
            network: collected.network.get(position).copied(),
            limit: collected.limit.clone(),
            ledger: None,
            histogram: String::new(),
        });
        Ok(StrategyResult { record, ledger: Some(ledger) })
    });
    results.collect()
}

/// What arrived when, counted from the start of the schedule.
fn arrivals(deliveries: &[Delivery], after_epoch: impl Fn(Moment) -> u64) -> Vec<Arrival> {
    let arrival = |delivery: &Delivery| Arrival {
        subscriber: delivery.subscriber,
        sequence: delivery.sequence,
        arrived: after_epoch(delivery.arrived),
        usable: after_epoch(delivery.usable),
        copies: delivery.copies,
    };
    deliveries.iter().map(arrival).collect()
}
