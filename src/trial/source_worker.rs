//! The worker that is the source: the pacer, the event log and one lane for each strategy.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::clock::{self, Moment, WallAnchor};
use crate::counts::Counts;
use crate::delivery::contract::{DeliveryError, Half, Strategy};
use crate::event::Encoder;
use crate::fault::Fault;
use crate::incident::befalling;
use crate::meter;
use crate::promise::Promise;
use crate::record::trial::WindowUse;
use crate::schedule::{Arrivals, DueOffsets, LARGEST_TRACE, TraceError};
use crate::source::feed::EventWriter;
use crate::source::lane::{self, Contents, LaneThread, LaneUse, SourceHalf, Window};
use crate::source::log::{LogReader, event_log};
use crate::source::pacer::Pacer;
use crate::subscriber::inbox::Inbox;
use crate::trial::calibration::{Role, hear_after_calibration};
use crate::trial::control::{
    Control, FromWorker, LaneReport, SourceAssignment, SourceReport, StrategyAssignment,
    SubscriberReport, ToWorker,
};
use crate::trial::rows::Emission;
use crate::trial::subscriber_worker::{Sent, drain, send_deliveries};
use crate::trial::witness::Witness;
use crate::trial::worker::{
    Timetable, WorkerError, attending, line, out_of_turn, restore, send_rows,
};
use crate::wire::routes::Routes;
use crate::wire::socket::bind;
use crate::wire::trouble::Side;

type Lane = LaneThread<DeliveryError>;

/// What a lane does, told on its own thread.
type Doing = Box<dyn FnOnce(&lane::Lane) -> SourceHalf<Half> + Send>;

/// The subscribers of a strategy that live in its lane.
struct InProcess {
    inbox: Inbox,
    promise: Promise,
}

/// Carries out the assignment.
pub(crate) async fn run(
    control: &mut Control,
    assignment: SourceAssignment,
) -> Result<(), WorkerError> {
    let (log_writer, log) = event_log();
    let schedule = schedule(&assignment)?;
    let mut pacer = Pacer::spinning(schedule, log_writer, assignment.spin)
        .map_err(WorkerError::system("starting the pacer"))?;
    let (mut lanes, in_process) = start_lanes(&assignment, &log).await?;
    let addresses = lanes.iter().map(|lane| lane.address).collect();
    control.say(&FromWorker::Ready { lanes: addresses }).await?;

    let (heard, _calibrating) = hear_after_calibration(control, Role::Source(&assignment)).await?;
    let times = match heard {
        ToWorker::Start { epoch, from, until } => {
            pacer.start(epoch);
            begin(&lanes, &assignment, epoch)?;
            Timetable::new(epoch, from, until)
        }
        other => return Err(out_of_turn(&other)),
    };
    for InProcess { inbox, .. } in &in_process {
        if let Some(harm) = inbox.harm() {
            harm.window(times.window.from, times.window.until);
        }
    }
    let witness = witness(&assignment, times.window, &log)?;
    let measured = attending(control, measure(&pacer, &mut lanes, times)).await?;
    let ([pacer_cpu_ns, spin_ns], suffered, uses) =
        measured.map_err(WorkerError::system("measuring the window"))?;
    // The schedule ends with the window; what is late is emitted before the log is counted.
    pacer.finished().await.map_err(|error| WorkerError::Nonsense(error.to_string()))?;
    control.say(&FromWorker::Closed { cpu_ns: clock::process_cpu(), emitted: log.len() }).await?;

    drain_all(control, &in_process).await?;
    match control.hear().await? {
        ToWorker::Release => lanes.iter().for_each(LaneThread::release),
        other => return Err(out_of_turn(&other)),
    }
    match control.hear().await? {
        ToWorker::Finish => {}
        other => return Err(out_of_turn(&other)),
    }
    let memory_peak =
        meter::memory_peak().map_err(WorkerError::system("reading the memory peak"))?;
    let suffered = times.testified(&suffered, &witness);
    let reports = finish(&assignment, &mut lanes, uses).await?;
    let emissions = (0..log.len()).filter_map(|index| log.get(index));
    let emissions = emissions.map(|entry| Emission { due: entry.due, emitted: entry.emitted });
    send_rows(control, emissions).await?;
    let report = SourceReport { lanes: reports, pacer_cpu_ns, spin_ns, memory_peak, suffered };
    control.say(&FromWorker::SourceReport(report)).await?;
    for subscribers in in_process {
        report_for(control, &subscribers.inbox).await?;
    }
    witness.dismiss();
    for lane in lanes {
        lane.dismiss();
    }
    pacer.stop();
    Ok(())
}

/// Tells every lane when the schedule starts, from which incidents are counted.
fn begin(lanes: &[Lane], assignment: &SourceAssignment, epoch: Moment) -> Result<(), WorkerError> {
    for (lane, assigned) in lanes.iter().zip(&assignment.strategies) {
        lane.begin(epoch);
        if !assigned.incidents.is_empty() {
            let befalling = befalling(&assigned.incidents, restore(assigned)?.target());
            lane.tally.follow(epoch, &befalling);
        }
    }
    Ok(())
}

/// When events are due: of a trace, as its file says, which must be the one that was planned.
fn schedule(assignment: &SourceAssignment) -> Result<DueOffsets, WorkerError> {
    let SourceAssignment { arrivals, rate, seed, emit_for, .. } = assignment;
    let unusable = |error: TraceError| WorkerError::Nonsense(format!("the trace: {error}"));
    let trace = match (arrivals, &assignment.trace) {
        (Arrivals::Trace(replay), Some(path)) => {
            let file =
                std::fs::File::open(path).map_err(WorkerError::system("opening the trace"))?;
            let mut bytes = Vec::new();
            file.take(LARGEST_TRACE.0 + 1)
                .read_to_end(&mut bytes)
                .map_err(WorkerError::system("reading the trace"))?;
            Some(replay.trace(&bytes).map_err(unusable)?)
        }
        _ => None,
    };
    let due = arrivals.due_offsets(*rate, *seed, *emit_for, trace.as_ref()).map_err(unusable)?;
    Ok(match assignment.fault {
        Some(Fault::HalveRate) => Box::new(due.step_by(2)),
        Some(Fault::BunchEvents) => Box::new(bunched(due)),
        _ => due,
    })
}

/// The same moments, but whoever asks for the next one is held up again and again.
fn bunched(due: DueOffsets) -> impl Iterator<Item = u64> + Send {
    let mut next_stall = clock::now();
    due.inspect(move |_| {
        if clock::now() >= next_stall {
            clock::sleep_until(clock::now().after(Duration::from_millis(60)));
            next_stall = clock::now().after(Duration::from_millis(250));
        }
    })
}

/// Counts the events that were emitted, at random moments of the window.
fn witness(
    assignment: &SourceAssignment,
    window: Window,
    log: &LogReader,
) -> Result<Witness, WorkerError> {
    let log = log.clone();
    let count = move || {
        let emitted = log.len();
        (clock::now(), emitted)
    };
    let moments = (assignment.seed, window.from, window.until);
    Witness::start(moments, assignment.fault, count)
        .map_err(WorkerError::system("starting a witness"))
}

/// Starts a lane for every strategy, and the subscribers that live in one of them.
async fn start_lanes(
    assignment: &SourceAssignment,
    log: &LogReader,
) -> Result<(Vec<Lane>, Vec<InProcess>), WorkerError> {
    let wall = WallAnchor::now();
    let (mut lanes, mut in_process) = (Vec::new(), Vec::new());
    for assigned in &assignment.strategies {
        let strategy = restore(assigned)?;
        let side = (Side::Source, assignment.end.as_ref());
        let line = line(assigned, &*strategy, side, assignment.seed, assignment.fault)?;
        let line = line.guarded(&assigned.keyring);
        let (doing, subscribers) = doing(strategy, assigned, assignment);
        in_process.extend(subscribers);
        let writer = EventWriter::new(Encoder::new(assignment.payload), wall);
        let listener = bind(line.address).await.map_err(WorkerError::system("binding a lane"))?;
        let contents = Contents { log: log.clone(), writer, seed: assignment.seed };
        let lane = LaneThread::start(&assigned.name, listener, contents, line, doing)
            .map_err(WorkerError::system("starting a lane"))?;
        lanes.push(lane);
    }
    Ok((lanes, in_process))
}

/// What the lane of a strategy does, and the subscribers that live in it, if they do.
fn doing(
    strategy: Arc<dyn Strategy>,
    assigned: &StrategyAssignment,
    assignment: &SourceAssignment,
) -> (Doing, Option<InProcess>) {
    let promise = assigned.promise;
    let Some(hand_over) = Arc::clone(&strategy).in_process() else {
        return (Box::new(move |lane| strategy.source(lane, Routes::new())), None);
    };
    let StrategyAssignment { subscribers, place, .. } = *assigned;
    let inbox = Inbox::harmed(subscribers, assignment.fault, place, assignment.seed);
    let into = inbox.clone();
    let doing =
        move |lane: &lane::Lane| SourceHalf { routes: Routes::new(), work: hand_over(lane, into) };
    (Box::new(doing), Some(InProcess { inbox, promise }))
}

/// Waits until everything that can arrive in this process has, at most until the deadline; what
/// comes later is lost.
async fn drain_all(control: &mut Control, in_process: &[InProcess]) -> Result<(), WorkerError> {
    let (emitted, deadline) = match control.hear().await? {
        ToWorker::Drain { emitted, deadline } => (emitted, deadline),
        other => return Err(out_of_turn(&other)),
    };
    for InProcess { inbox, promise } in in_process {
        attending(control, drain(inbox, *promise, emitted, deadline))
            .await?
            .map_err(WorkerError::system("setting a timer"))?;
        inbox.seal();
    }
    Ok(control.say(&FromWorker::Drained).await?)
}

/// Reports for subscribers that have no process: whatever they used is their lane's.
async fn report_for(control: &mut Control, inbox: &Inbox) -> Result<(), WorkerError> {
    let Sent { accepted, refused } = send_deliveries(control, inbox).await?;
    let report = SubscriberReport { refused, accepted, ..SubscriberReport::default() };
    Ok(control.say(&FromWorker::SubscriberReport(Box::new(report))).await?)
}

/// Waits for the window to pass and returns the pacer's CPU time in it, with the part of it that
/// it spun, what the process suffered, and each lane's use.
async fn measure(
    pacer: &Pacer,
    lanes: &mut [Lane],
    times: Timetable,
) -> std::io::Result<([u64; 2], WindowUse, Vec<LaneUse>)> {
    for lane in lanes.iter_mut() {
        lane.measure(times.window);
    }
    let pacing = || Ok([meter::scheduled_thread(pacer.thread_id())?.cpu_ns, pacer.spun()]);
    let lanes = try_join_all(lanes.iter_mut().map(LaneThread::measured));
    let ((suffered, before, after), uses) = tokio::try_join!(times.suffer(pacing), lanes)?;
    let pacing = [after[0] - before[0], after[1] - before[1]];
    Ok((pacing, suffered, uses))
}

/// Stops every lane and puts its report together.
async fn finish(
    assignment: &SourceAssignment,
    lanes: &mut [Lane],
    uses: Vec<LaneUse>,
) -> Result<Vec<LaneReport>, WorkerError> {
    let mut reports = Vec::new();
    for ((lane, used), assigned) in lanes.iter_mut().zip(uses).zip(&assignment.strategies) {
        let strategy = assigned.name.clone();
        lane.stop().await.map_err(|source| WorkerError::Lane { strategy, source })?;
        let mut whole = lane.tally.counts();
        let LaneUse { mut window, cpu_ns, idle_cpu_ns } = used;
        miscount(assignment.fault, &mut window, &mut whole);
        reports.push(LaneReport {
            window,
            whole,
            cpu_ns,
            idle_cpu_ns,
            tls: lane.tally.tls(),
            over_time: lane.tally.over_time(),
            given_up: lane.tally.given_up(),
            first_rate_limited: lane.tally.first_rate_limited(),
        });
    }
    Ok(reports)
}

/// Miscounts on purpose.
fn miscount(fault: Option<Fault>, window: &mut Counts, whole: &mut Counts) {
    match fault {
        Some(Fault::MiscountBytes) => window.bytes_sent += window.bytes_sent / 20 + 200_000,
        Some(Fault::MiscountConnections) => window.connections += 5,
        Some(Fault::MiscountExchanges) => whole.useful += 1,
        Some(Fault::LockOut) => whole.denied += whole.exchanges().div_ceil(40),
        _ => {}
    }
}
