//! What the records say, gathered strategy by strategy: the ground checks stand on.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use super::blocks::{Middle, middle};
use super::cost;
use super::curves::Curves;
use super::figures::{CourseOfTime, OverBlocks, StrategyFigures};
use super::gaps::{GapFit, Gaps};
use super::latency::{Distribution, Quantile, summarise, summarise_lag};
use super::limit;
use super::measure::of_block;
use super::model::{Observed, WaitFit};
use super::paired::{EventLatencies, PairedBlock, Pairing, differences};
use super::phases::{PhaseFit, Phases};
use super::recovery::{self, BlockRecovery, mean_course, recovery};
use super::series::{Course, Series};
use super::staleness::{BlockStaleness, staleness};
use super::summary::{Events, Recovery, StalenessSummary, Stopping, StrategySummary};
use super::tide::{InFlight, Tide};
use super::validity::limits::CORRELATION;
use crate::fault::Fault;
use crate::incident::{Incident, Process, Span, Who};
use crate::measure::Measure;
use crate::promise::Promise;
use crate::record::error::RecordError;
use crate::record::histogram::Tag;
use crate::record::ledger::Ledger;
use crate::record::manifest::{PlannedPoint, PlannedWorkload};
use crate::record::noise_floor::NoiseFloor;
use crate::record::run::Run;
use crate::record::trial::{EventCounts, Measured, Outcome, StrategyRecord, TrialRecord, Workload};
use crate::schedule::{DueOffsets, Trace};
use crate::theory::Theory;
use crate::units::{Rate, nanoseconds, parse_duration};

/// Everything checks look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) points: Vec<PointEvidence>,
    /// What was changed in the run folder after the run was sealed, in words.
    pub(crate) changed: Vec<String>,
    /// The fault that was planted on purpose, if one was.
    pub(crate) injected: Option<Fault>,
    /// How far apart two identical strategies came on the machine, as the run was told.
    pub(crate) noise_floor: Option<NoiseFloor>,
}

/// One combination of swept parameters.
#[derive(Clone, Debug)]
pub(crate) struct PointEvidence {
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) strategies: Vec<StrategyEvidence>,
    /// Blocks that were to be measured.
    pub(crate) blocks: PlannedBlocks,
}

/// How many blocks a point was to have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlannedBlocks {
    /// So many as the scenario says.
    Fixed,
    /// As many as a stopping rule needed.
    Stopped(Stopping),
    /// As many as a stopping rule needs, which has not ended the point.
    Open,
}

/// One strategy at one point.
#[derive(Clone, Debug)]
pub(crate) struct StrategyEvidence {
    pub(crate) summary: StrategySummary,
    /// The closed form that describes the strategy.
    pub(crate) theory: Option<Theory>,
    /// What the strategy promises of its deliveries.
    pub(crate) promise: Promise,
    /// What goes wrong for the strategy, as the scenario has it.
    pub(crate) incidents: Vec<Incident>,
    pub(crate) blocks: Vec<Block>,
    /// Trials that are kept but not used, with the reason in words.
    pub(crate) excluded: Vec<String>,
    /// Planned blocks that did not end: interrupted, or without any record.
    pub(crate) unended: u32,
    /// The tail of lag, if there are events enough for any quantile.
    pub(crate) lag_tail: Option<LagTail>,
    /// How a poll's waits are distributed beside its closed form.
    pub(crate) waits: Option<WaitFit>,
}

/// The highest quantile of lag that the sample supports, of p99, p95, p90 and p50.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LagTail {
    /// The share of events that are no later.
    pub(crate) share: f64,
    /// The lag, in nanoseconds.
    pub(crate) lag: u64,
    /// The same quantile of latency, all blocks together, in nanoseconds.
    pub(crate) latency: u64,
}

impl StrategyEvidence {
    /// The latency that a control was made to have; `None` of every real delivery.
    pub(crate) fn injected(&self) -> Option<Duration> {
        self.theory.as_ref()?.form().injected()
    }
}

/// One measured trial of a strategy.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) number: u32,
    /// The trial's place in the plan, shared by strategies that ran side by side.
    pub(crate) trial: u32,
    pub(crate) workload: Workload,
    pub(crate) measured: Measured,
    /// What the ledger says of the events in the window, if there is one.
    pub(crate) recount: Option<EventCounts>,
    /// Deliveries the schedule owes in the window.
    pub(crate) scheduled: u64,
    /// Whether every due moment is the schedule's, as far as a ledger tells.
    pub(crate) on_schedule: bool,
    /// Pairs of moments in the wrong order, warm-up included.
    pub(crate) backwards: u64,
    /// Deliveries under way at the first and the last moment of the window: due before it, and
    /// usable after it or never. `None` without a ledger.
    pub(crate) under_way: Option<[u64; 2]>,
    /// Deliveries under way, as counted and as stamped. `None` without a ledger or witnesses.
    pub(crate) in_flight: Option<InFlight>,
    /// The time that subscribers had something in hand that was not yet usable, in nanoseconds,
    /// warm-up included. `None` without a ledger.
    pub(crate) busy_ns: Option<u64>,
    /// The block's own latency.
    pub(crate) latency: BlockLatency,
    /// The median time from emission until usable: latency without lag. `None` without a ledger
    /// or with too few events.
    pub(crate) delivery_p50: Option<u64>,
    /// How long its subscribers' states were out of date. `None` without a ledger.
    pub(crate) staleness: Option<BlockStaleness>,
    /// What its incidents came to. `None` without a ledger.
    pub(crate) recovery: Option<BlockRecovery>,
    /// What its subscribers knew and missed over time, if something went wrong.
    pub(crate) course_of_time: CourseOfTime,
    /// Latencies clamped by a histogram that had to stand in for the ledger.
    pub(crate) clamped: u64,
    /// Distinct events that were delivered, as far as quantiles go.
    pub(crate) events: u64,
    /// What the latencies did in the course of the window.
    pub(crate) course: Course,
    /// Whether events were emitted as far apart as planned.
    pub(crate) gaps: Option<GapFit>,
    /// Where in a poll's interval events were due, where the strategy has a steady beat.
    pub(crate) phases: Option<PhaseFit>,
    /// The block beside the first strategy's, event by event.
    pub(crate) paired: Option<PairedBlock>,
    /// Whether the processes of the trial were pinned to CPUs.
    pub(crate) pinned: bool,
}

impl Block {
    /// The effective sample size, at most the distinct events: many subscribers are late with
    /// the same event together.
    pub(crate) fn effective(&self) -> Option<u64> {
        self.course.effective.map(|effective| effective.min(self.events))
    }

    /// How many independent events its own are worth: the effective ones where they are strongly
    /// correlated.
    pub(crate) fn worth(&self) -> u64 {
        let effective = self.effective().unwrap_or(self.events);
        let correlated = self.events as f64 > CORRELATION.warn * effective as f64;
        if correlated { effective } else { self.events }
    }
}

/// Latency of one block, in nanoseconds; absent where the sample cannot support it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BlockLatency {
    pub(crate) mean: Option<u64>,
    pub(crate) p50: Option<u64>,
    pub(crate) p90: Option<u64>,
    pub(crate) p95: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) p999: Option<u64>,
}

impl BlockLatency {
    pub(super) fn of(latency: &Distribution) -> BlockLatency {
        let quantile = |quantile| latency.quantile(quantile);
        BlockLatency {
            mean: latency.mean(),
            p50: quantile(Quantile::P50),
            p90: quantile(Quantile::P90),
            p95: quantile(Quantile::P95),
            p99: quantile(Quantile::P99),
            p999: quantile(Quantile::P999),
        }
    }
}

/// Nanoseconds by which a schedule may move because its rate was written as text.
const ROUNDING: u64 = 1;

/// What one trial's ledger or histogram gives.
struct Reading {
    block: Block,
    latency: Distribution,
    lag: Distribution,
    /// Event by event; none without a ledger.
    events: EventLatencies,
}

/// The records of one strategy at one point, sorted by what can be done with them.
struct Sorted<'a> {
    usable: Vec<(&'a TrialRecord, &'a Measured)>,
    excluded: Vec<String>,
    unended: u32,
}

/// Gathers the evidence of one strategy and draws its curves; `records` are its own, of at most
/// `planned` blocks. Where strategies ran side by side, `pairing` holds the events of the first
/// one.
///
/// # Errors
///
/// When a ledger, a histogram or a trace cannot be read.
pub(crate) fn gather(
    run: &Run,
    point: &PlannedPoint,
    strategy: &StrategyRecord,
    records: &[&TrialRecord],
    planned: u32,
    mut pairing: Option<&mut Pairing>,
) -> Result<(StrategyEvidence, StrategyFigures), RecordError> {
    let sorted = sort(records, planned);
    let trace = run.trace(&point.workload.arrivals)?;
    let trace = trace.as_ref();
    let coarse = sorted.usable.iter().any(|(_, measured)| measured.ledger.is_none());
    let mut curves = Curves::new(&point.workload, coarse);
    let (mut blocks, mut latencies, mut lags) = (Vec::new(), Vec::new(), Vec::new());
    for (record, measured) in &sorted.usable {
        // One ledger in memory at a time.
        let reading = match run.ledger(record)? {
            Some(ledger) => read_ledger(record, measured, &ledger, trace, &mut curves),
            None => read_histogram(run, record, measured, trace, &mut curves)?,
        };
        let pairing = pairing.as_deref_mut();
        let paired = pairing.and_then(|pairing| pairing.meet(record.trial, reading.events));
        let block = Block { paired, pinned: point.placement.is_some(), ..reading.block };
        blocks.push(with_latency(block, &reading.latency));
        latencies.push(reading.latency);
        lags.push(reading.lag);
    }
    // A stall makes many events of its block late together, so a block's own quantile says
    // little. But blocks are independent of each other, and what is stated is their median.
    let worth = blocks.iter().map(Block::worth).sum();
    for (block, latency) in blocks.iter_mut().zip(&mut latencies) {
        *latency = mem::take(latency).of_events(block.events.min(worth));
        block.latency = BlockLatency::of(latency);
    }
    let lag = Distribution::pooled(&lags);
    let lag_high = [Quantile::P99, Quantile::P95, Quantile::P90, Quantile::P50]
        .into_iter()
        .find_map(|quantile| Some((quantile, lag.quantile(quantile)?)));
    // As many values as there are events: gone before the latencies are pooled.
    drop(lags);
    let lag = summarise_lag(&lag);
    let pooled = Distribution::pooled(&latencies);
    let lag_tail = lag_high.and_then(|(quantile, lag)| {
        Some(LagTail { share: quantile.share(), lag, latency: pooled.at(quantile)? })
    });
    let mut summary = summarise_blocks(strategy, &blocks, planned);
    summary.latency = summarise(&latencies, &pooled);
    summary.latency.effective = blocks.iter().map(Block::effective).sum();
    summary.lag = lag;
    let observed = Observed::of(&summary, strategy, &point.workload, &blocks);
    let predicted = observed.as_ref().map(Observed::predicted_latency);
    let waits = observed.as_ref().and_then(|observed| observed.waits(&pooled, worth));
    let independent = observed.as_ref().map(Observed::independent_waits);
    let predicted = predicted.as_ref().map(|(latency, delivered)| (latency, *delivered));
    summary.model = observed.as_ref().map(Observed::compare);
    summary.limit = limit::summarise(strategy, &blocks, independent);
    let emitted = summary.events.emitted;
    let figures = curves.finish(&strategy.name, emitted, predicted, &latencies, &pooled);
    let figures = of_blocks(strategy, &blocks, figures);
    let Sorted { excluded, unended, .. } = sorted;
    let evidence = StrategyEvidence {
        summary,
        theory: strategy.theory.clone(),
        promise: strategy.promise,
        incidents: strategy.incidents.clone(),
        blocks,
        excluded,
        unended,
        lag_tail,
        waits,
    };
    Ok((evidence, figures))
}

/// The figures, with what the blocks say beside their latencies.
fn of_blocks(
    strategy: &StrategyRecord,
    blocks: &[Block],
    figures: StrategyFigures,
) -> StrategyFigures {
    let courses = blocks.iter().map(|block| &block.course_of_time);
    let courses: Vec<&CourseOfTime> = courses.filter(|course| !course.at.is_empty()).collect();
    let paired: Vec<&PairedBlock> =
        blocks.iter().filter_map(|block| block.paired.as_ref()).collect();
    let measures = Measure::ALL.iter();
    StrategyFigures {
        incidents: incidents(strategy),
        course: mean_course(&courses),
        differences: differences(&paired),
        over_blocks: measures.filter_map(|measure| over_blocks(*measure, blocks)).collect(),
        ..figures
    }
}

/// When something went wrong for the strategy, as the scenario has it.
fn incidents(strategy: &StrategyRecord) -> Vec<[u64; 2]> {
    let spans = strategy.incidents.iter().flat_map(Incident::spans);
    let spans = spans.map(|span| [span.from, span.until]);
    spans.chain(receiver_outage(strategy)).collect()
}

/// Records from before there were incidents kept an outage among the receiver's settings.
fn receiver_outage(strategy: &StrategyRecord) -> Option<[u64; 2]> {
    let outage = strategy.settings.get("receiver")?.get("outage")?;
    let time = |key: &str| Some(nanoseconds(parse_duration(outage.get(key)?.as_str()?).ok()?));
    let at = time("at")?;
    Some([at, at + time("for")?])
}

/// A measure over the blocks; `None` unless every block has it.
fn over_blocks(measure: Measure, blocks: &[Block]) -> Option<OverBlocks> {
    let values: Option<Vec<f64>> =
        blocks.iter().map(|block| of_block(measure, block, None)).collect();
    let Middle { median, interval } = middle(&values?)?;
    Some(OverBlocks { measure, median, interval: interval.map(|(low, high, _)| [low, high]) })
}

fn sort<'a>(records: &[&'a TrialRecord], planned: u32) -> Sorted<'a> {
    let mut sorted = Sorted { usable: Vec::new(), excluded: Vec::new(), unended: 0 };
    let mut ended = BTreeSet::new();
    for record in records {
        let reason = match (&record.outcome, &record.measured) {
            (Outcome::Completed, Some(measured)) => {
                ended.insert(record.block);
                sorted.usable.push((record, measured));
                continue;
            }
            (Outcome::Completed, None) => "it completed without a measurement",
            (Outcome::Spoilt { reason }, _) => reason,
            (Outcome::Interrupted, _) => "it was interrupted",
        };
        if record.outcome != Outcome::Interrupted {
            ended.insert(record.block);
        }
        sorted.excluded.push(format!("block {}: {reason}", record.block + 1));
    }
    sorted.usable.sort_by_key(|(record, _)| record.block);
    sorted.unended = planned.saturating_sub(u32::try_from(ended.len()).unwrap_or(u32::MAX));
    sorted
}

fn window(workload: &Workload) -> std::ops::Range<u64> {
    let start = nanoseconds(workload.warm_up);
    start..start.saturating_add(nanoseconds(workload.window))
}

/// A block before its moments are looked at.
fn block_of(record: &TrialRecord, measured: &Measured, trace: Option<&Trace>) -> Block {
    let workload = &record.workload;
    let period = record.strategy.theory.as_ref().and_then(|theory| theory.form().period());
    let mut phases = period.map(|period| Phases::new(nanoseconds(period)));
    let mut scheduled = 0_u64;
    for due in due_offsets(workload, trace).filter(|due| window(workload).contains(due)) {
        scheduled += 1;
        if let Some(phases) = &mut phases {
            phases.note(due);
        }
    }
    Block {
        number: record.block,
        trial: record.trial,
        workload: workload.clone(),
        measured: measured.clone(),
        recount: None,
        scheduled: scheduled * u64::from(record.strategy.subscribers),
        on_schedule: true,
        backwards: 0,
        under_way: None,
        in_flight: None,
        busy_ns: None,
        latency: BlockLatency::default(),
        delivery_p50: None,
        staleness: None,
        recovery: None,
        course_of_time: CourseOfTime::default(),
        clamped: 0,
        events: 0,
        course: Course::default(),
        gaps: None,
        phases: phases.and_then(|phases| phases.fit(&workload.arrivals)),
        paired: None,
        pinned: false,
    }
}

/// The moments at which events of a trial are due, warm-up included; a replay comes with the
/// trace of its point.
pub(crate) fn due_offsets(workload: &Workload, trace: Option<&Trace>) -> DueOffsets {
    let until = workload.warm_up + workload.window;
    let due = workload.arrivals.due_offsets(workload.rate, workload.seed, until, trace);
    due.expect("records of other arrivals than their point's are refused")
}

/// What is kept of the events due in the window, filled row by row.
struct Window {
    latencies: Series,
    lags: Vec<u64>,
    gaps: Gaps,
    events: EventLatencies,
}

impl Window {
    fn new(record: &TrialRecord) -> Window {
        let form = record.strategy.theory.as_ref().map(Theory::form);
        Window {
            latencies: Series::new(&record.workload, form),
            lags: Vec::new(),
            gaps: Gaps::new(record.workload.rate),
            events: EventLatencies::default(),
        }
    }

    /// An event, with its lag unless that is negative.
    fn event(&mut self, due: u64, emitted: u64) {
        self.gaps.note(due, emitted);
        self.lags.extend(emitted.checked_sub(due));
    }

    /// A delivery of an event, with its latency if it arrived.
    fn delivery(&mut self, sequence: u64, due: u64, latency: Option<u64>) {
        self.events.note(sequence, latency);
        if let Some(latency) = latency {
            self.latencies.note(due, latency);
        }
    }

    fn reading(self, block: Block) -> Reading {
        let block = Block { course: self.latencies.course(), gaps: self.gaps.fit(), ..block };
        let events = self.lags.len() as u64;
        Reading {
            block,
            latency: Distribution::of_values(self.latencies.into_values()).of_events(events),
            lag: Distribution::of_values(self.lags),
            events: self.events,
        }
    }
}

/// One block by itself, from the ledger of its trial.
pub(crate) fn block(
    record: &TrialRecord,
    measured: &Measured,
    ledger: &Ledger,
    trace: Option<&Trace>,
) -> Block {
    // The curves are drawn and thrown away, so that a block has the same figures wherever it is
    // looked at.
    let workload = &record.workload;
    let planned = PlannedWorkload {
        rate: workload.rate,
        arrivals: workload.arrivals.clone(),
        payload: workload.payload,
        warm_up: workload.warm_up,
        window: workload.window,
        drain: Duration::ZERO,
        rtt: workload.rtt,
        network: workload.network.clone(),
    };
    let mut curves = Curves::new(&planned, false);
    let reading = read_ledger(record, measured, ledger, trace, &mut curves);
    with_latency(reading.block, &reading.latency)
}

/// A block with the quantiles that have ten of its events beyond them. Whether those tell
/// enough where events are correlated is for all blocks together to say.
fn with_latency(block: Block, latency: &Distribution) -> Block {
    Block { events: latency.events(), latency: BlockLatency::of(latency), ..block }
}

fn read_ledger(
    record: &TrialRecord,
    measured: &Measured,
    ledger: &Ledger,
    trace: Option<&Trace>,
    curves: &mut Curves,
) -> Reading {
    let mut block = block_of(record, measured, trace);
    let window = window(&record.workload);
    let coalesces = record.strategy.promise.coalesces;
    block.recount = Some(ledger.counts(window.start, window.end, coalesces));
    // An event that was replaced, or let go by design, was not under way: nothing waited for it.
    let newest = if coalesces { ledger.newest() } else { BTreeMap::new() };
    let complete = record.strategy.promise.complete;
    let mut schedule = due_offsets(&record.workload, trace);
    let mut counted = Window::new(record);
    let mut under_way = [0, 0];
    let standing = standing_still(&record.strategy.incidents);
    let mut tide = Tide::new(measured, record.strategy.subscribers);
    for row in 0..ledger.rows() {
        let (due, emitted) = (ledger.due[row], ledger.emitted[row]);
        let counts = window.contains(&due);
        if row == 0 || ledger.sequence[row - 1] != ledger.sequence[row] {
            tide.emitted(ledger.emitted[row]);
            block.on_schedule &= schedule.next().is_some_and(|at| at.abs_diff(due) <= ROUNDING);
            block.backwards += u64::from(emitted < due);
            // A source that stands still, as the scenario has it, cannot keep its schedule.
            if counts && !standing.iter().any(|span| span.contains(due)) {
                counted.event(due, emitted);
            }
        }
        for (edge, waiting) in [window.start, window.end].into_iter().zip(&mut under_way) {
            let late = if let Some(usable) = ledger.usable[row] {
                usable > edge
            } else {
                let newest = newest.get(&ledger.subscriber[row]);
                complete && newest.is_none_or(|newest| *newest < ledger.sequence[row])
            };
            *waiting += u64::from(due < edge && late);
        }
        let latency = ledger.usable[row].and_then(|usable| usable.checked_sub(due));
        if counts {
            counted.delivery(ledger.sequence[row], due, latency);
        }
        if let Some(latency) = latency {
            curves.note(due, latency);
        }
        if let (Some(arrived), Some(usable)) = (ledger.arrived[row], ledger.usable[row]) {
            tide.delivered(ledger.subscriber[row], arrived, usable);
            let moments = [(emitted, arrived), (arrived, usable), (due, usable)];
            block.backwards += moments.iter().filter(|(first, then)| then < first).count() as u64;
        }
    }
    block.on_schedule &= schedule.next().is_none();
    block.under_way = Some(under_way);
    block.in_flight = tide.in_flight();
    block.busy_ns = Some(tide.busy_ns());
    block.staleness = staleness(ledger, record.strategy.subscribers, &window);
    block.delivery_p50 = limit::delivery_p50(ledger, &window);
    let (recovered, course) = recovery(ledger, measured, &record.strategy, window.end);
    (block.recovery, block.course_of_time) = (Some(recovered), course);
    counted.reading(block)
}

/// What an event's emission may be late by when a source goes on that stood still.
const AWAKENING: u64 = 20_000_000;

/// When the source stands still, as the scenario has it, and a moment more.
fn standing_still(incidents: &[Incident]) -> Vec<Span> {
    let of_source = incidents.iter().filter(|incident| {
        incident.who == Who::Source && incident.process() == Some(Process::Stopped)
    });
    let longer = |span: Span| Span {
        from: span.from.saturating_sub(AWAKENING),
        until: span.until + AWAKENING,
    };
    of_source.flat_map(Incident::spans).map(longer).collect()
}

fn read_histogram(
    run: &Run,
    record: &TrialRecord,
    measured: &Measured,
    trace: Option<&Trace>,
    curves: &mut Curves,
) -> Result<Reading, RecordError> {
    let path = run.path().join(&measured.histogram);
    let damaged = |error: crate::record::histogram::HistogramError| RecordError::Damaged {
        path: path.clone(),
        message: error.to_string(),
    };
    let mut block = block_of(record, measured, trace);
    let log = run.histogram(record)?.expect("a measured trial has a histogram");
    for interval in log.intervals() {
        curves.note_interval(&interval.map_err(damaged)?);
    }
    let distribution = |tag| Distribution::of_histogram(log.merged(tag), log.totals(tag));
    block.backwards = [Tag::Latency, Tag::Lag, Tag::WarmUpLatency, Tag::WarmUpLag]
        .map(|tag| log.totals(tag).backwards)
        .iter()
        .sum();
    block.clamped = log.totals(Tag::Latency).clamped;
    let lag = distribution(Tag::Lag);
    let latency = distribution(Tag::Latency).of_events(lag.count());
    Ok(Reading { block, latency, lag, events: EventLatencies::default() })
}

/// Everything but latency, lag and theory.
fn summarise_blocks(strategy: &StrategyRecord, blocks: &[Block], planned: u32) -> StrategySummary {
    let events = sum_events(blocks);
    let measured: Vec<&Measured> = blocks.iter().map(|block| &block.measured).collect();
    let windows: Vec<cost::Reading<'_>> =
        blocks.iter().map(|block| (&block.measured, nanoseconds(block.workload.window))).collect();
    StrategySummary {
        name: strategy.name.clone(),
        mechanism: strategy.mechanism.clone(),
        subscribers: strategy.subscribers,
        settings: strategy.settings.clone(),
        blocks: u32::try_from(blocks.len()).unwrap_or(u32::MAX),
        blocks_planned: planned,
        events,
        latency: super::summary::LatencySummary::default(),
        staleness: summarise_staleness(blocks),
        lag: super::summary::Lag::default(),
        requests: cost::requests(&measured, events.delivered, quota(strategy, blocks)),
        messages: cost::messages(&measured),
        connections: cost::connections(&measured),
        bytes: cost::bytes(&measured, events.delivered),
        cpu: cost::cpu(&windows, events.delivered),
        memory: cost::memory(&measured),
        model: None,
        limit: None,
        recovery: recoveries(strategy, blocks),
    }
}

/// Nothing unless every block has a ledger.
fn recoveries(strategy: &StrategyRecord, blocks: &[Block]) -> Vec<Recovery> {
    let blocks: Option<Vec<_>> = blocks.iter().map(|block| block.recovery.as_ref()).collect();
    blocks.map_or_else(Vec::new, |blocks| recovery::summarise(&strategy.incidents, &blocks))
}

/// `None` unless every block has a ledger.
fn summarise_staleness(blocks: &[Block]) -> Option<StalenessSummary> {
    let blocks: Vec<BlockStaleness> =
        blocks.iter().map(|block| block.staleness).collect::<Option<_>>()?;
    let shares: Vec<f64> = blocks.iter().map(|block| block.share).collect();
    let found = middle(&shares)?;
    let ages: Vec<f64> = blocks.iter().filter_map(|block| block.age_mean).collect();
    let mean = Duration::try_from_secs_f64(ages.iter().sum::<f64>() / ages.len() as f64 / 1e9);
    Some(StalenessSummary {
        share: found.median,
        ci95: found.interval.map(|(low, high, _)| [low, high]),
        age_mean: mean.ok().map(nanoseconds),
        age_max: blocks.iter().filter_map(|block| block.age_max).max(),
    })
}

/// The requests that the strategy's rate limit allows in the windows of all blocks.
fn quota(strategy: &StrategyRecord, blocks: &[Block]) -> Option<f64> {
    let rate: Rate = strategy.settings.get("rate-limit")?.get("rate")?.as_str()?.parse().ok()?;
    Some(blocks.iter().map(|block| rate.events_in(block.workload.window)).sum())
}

fn sum_events(blocks: &[Block]) -> Events {
    let mut sum = Events::default();
    for block in blocks {
        // The ledger is the better witness; a check compares the two.
        let counts = block.recount.unwrap_or(block.measured.events);
        sum.emitted += counts.emitted;
        sum.delivered += counts.delivered;
        sum.coalesced += counts.coalesced;
        sum.lost += counts.lost;
        sum.duplicated += counts.duplicated;
        sum.reordered += counts.reordered;
    }
    sum
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Evidence;
    use crate::analysis::analyse::gather_all;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::{Measured, Outcome};
    use std::sync::OnceLock;

    /// The evidence of a sample, for tests that then change a figure.
    pub(crate) fn evidence_of(sample: &Sample, change: impl FnOnce(&mut Run)) -> Evidence {
        let out = tempfile::tempdir().expect("a folder");
        let path = sample.write(out.path()).expect("written");
        let mut run = Run::open(&path).expect("opened");
        change(&mut run);
        gather_all(&run).expect("gathered").0
    }

    /// The evidence of the default sample: one point, a poll and a webhook, two blocks.
    pub(crate) fn evidence() -> Evidence {
        static EVIDENCE: OnceLock<Evidence> = OnceLock::new();
        EVIDENCE.get_or_init(|| evidence_of(&Sample::default(), |_| ())).clone()
    }

    /// The measurement of some trial.
    pub(crate) fn measured() -> Measured {
        evidence().points[0].strategies[0].blocks[0].measured.clone()
    }

    #[test]
    fn a_sample_is_on_schedule_and_whole() {
        for strategy in &evidence().points[0].strategies {
            assert_eq!(strategy.summary.blocks, 2);
            assert_eq!(strategy.unended, 0);
            for block in &strategy.blocks {
                assert!(block.on_schedule);
                assert_eq!(block.scheduled, block.measured.events.emitted);
                assert_eq!(block.recount, Some(block.measured.events));
            }
        }
    }

    #[test]
    fn histograms_stand_in_for_a_missing_ledger() {
        let exact = evidence();
        let rounded = evidence_of(&Sample::default(), |run| {
            for record in &mut run.records {
                record.measured.as_mut().expect("measured").ledger = None;
            }
        });
        for (exact, rounded) in exact.points[0].strategies.iter().zip(&rounded.points[0].strategies)
        {
            let (exact, rounded) = (&exact.summary, &rounded.summary);
            assert_eq!(exact.events, rounded.events);
            assert_eq!(exact.latency.mean, rounded.latency.mean);
            assert_eq!(
                (exact.latency.min, exact.latency.max),
                (rounded.latency.min, rounded.latency.max)
            );
            let (p50, near) = (exact.latency.p50.expect("p50"), rounded.latency.p50.expect("p50"));
            assert!(near.abs_diff(p50) * 1_000 <= p50, "{near} for {p50}");
        }
    }

    #[test]
    fn spoilt_and_interrupted_trials_are_left_out_with_their_reason() {
        let evidence = evidence_of(&Sample::default(), |run| {
            let spoilt = &mut run.records[0];
            spoilt.outcome = Outcome::Spoilt { reason: "the subscriber died".into() };
            let interrupted = &mut run.records[1];
            interrupted.outcome = Outcome::Interrupted;
            interrupted.measured = None;
        });
        let [poll, webhook] = &evidence.points[0].strategies[..] else { panic!("two strategies") };
        assert_eq!(poll.summary.blocks, 1);
        assert_eq!(poll.excluded, ["block 1: the subscriber died"]);
        assert_eq!((poll.unended, webhook.unended), (0, 1));
        assert_eq!(webhook.excluded, ["block 1: it was interrupted"]);
    }

    #[test]
    fn what_is_lost_by_design_is_not_under_way() {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        let run = Run::open(&path).expect("opened");
        let mut record = run.records[0].clone();
        let measured = record.measured.clone().expect("measured");
        let mut ledger = run.ledger(&record).expect("read").expect("kept");
        ledger.arrived.fill(None);
        ledger.usable.fill(None);
        let mut at_close = |complete| {
            record.strategy.promise.complete = complete;
            let mut curves = super::Curves::new(&run.manifest.points[0].workload, false);
            let reading = super::read_ledger(&record, &measured, &ledger, None, &mut curves);
            reading.block.under_way.expect("known")[1]
        };
        assert!(at_close(true) > 0);
        assert_eq!(at_close(false), 0);
    }

    #[test]
    fn moments_in_the_wrong_order_are_counted_and_have_no_latency() {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        let run = Run::open(&path).expect("opened");
        let record = &run.records[0];
        let measured = record.measured.as_ref().expect("measured");
        let mut ledger = run.ledger(record).expect("read").expect("kept");
        let last = ledger.rows() - 1;
        ledger.usable[last] = Some(ledger.due[last] - 1);
        let mut curves = super::Curves::new(&run.manifest.points[0].workload, false);
        let reading = super::read_ledger(record, measured, &ledger, None, &mut curves);
        // Usable both before due and before arrived.
        assert_eq!(reading.block.backwards, 2);
        assert_eq!(reading.latency.count(), measured.events.delivered - 1);
    }
}
