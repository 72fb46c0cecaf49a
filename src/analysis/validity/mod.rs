//! May the numbers be used? Every check looks at the whole run and says what it found.
//!
//! One more check is one function and one line in [`CHECKS`]. A check that fails makes the run
//! invalid, one that warns leaves it with caveats. A threshold is stated where it is judged,
//! with its reason.

mod beats;
mod bunching;
mod controls;
mod deliveries;
mod floor;
pub mod limits;
mod machine;
mod meters;
mod paths;
mod samples;
mod schedule;
mod steadiness;

pub(crate) use self::steadiness::mark_unsettled;

use self::limits::Limit;
use super::evidence::{Block, Evidence, PointEvidence, StrategyEvidence};
use super::summary::{Check, CheckStatus, Verdict, VerdictStatus};
use crate::fault::Fault;

/// A check: what it found in a run.
type CheckFn = fn(&Evidence) -> Finding;

/// What must trip a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A fault planted with `--inject`, under these settings (`--set`).
    Fault {
        /// The fault.
        fault: Fault,
        /// What of a usual scenario must be different for it to show.
        with: &'static [&'static str],
    },
    /// Something that needs no fault, in words.
    Otherwise(&'static str),
}

/// The proof by a fault under usual settings.
const fn planted(fault: Fault) -> Proof {
    Proof::Fault { fault, with: &[] }
}

/// One check of the list.
#[derive(Debug)]
pub struct CheckEntry {
    /// The family it belongs to; several checks may look at one danger from different sides.
    pub code: &'static str,
    /// Its stable name.
    pub id: &'static str,
    /// What it demands, in words.
    pub demand: &'static str,
    /// What it judges by; none where any difference at all is a finding.
    pub limits: &'static [Limit],
    /// What must trip it; a test sees to it.
    pub proof: Proof,
    check: CheckFn,
}

/// Every check, in the order of the summary.
pub const CHECKS: &[CheckEntry] = &[
    CheckEntry {
        code: "V01",
        id: "schedule-kept",
        demand: "lag is small against the smallest median latency of the point",
        limits: &[limits::LAG, limits::STALL, limits::MEDIAN_LAG],
        proof: planted(Fault::StallSource),
        check: schedule::schedule_kept,
    },
    CheckEntry {
        code: "V02",
        id: "no-bursts",
        demand: "events are emitted as far apart as planned",
        limits: &[limits::HALVED, limits::SPACING],
        proof: planted(Fault::BunchEvents),
        check: bunching::no_bursts,
    },
    CheckEntry {
        code: "V03",
        id: "rate-achieved",
        demand: "the events are exactly those of the schedule, due when it says",
        limits: &[],
        proof: planted(Fault::HalveRate),
        check: schedule::rate_achieved,
    },
    CheckEntry {
        code: "V04",
        id: "caught-up",
        demand: "no more deliveries are under way when the window closes than when it opened",
        limits: &[limits::BACKLOG],
        proof: Proof::Fault { fault: Fault::BlockReceiver, with: &["events.rate=300/s"] },
        check: deliveries::caught_up,
    },
    CheckEntry {
        code: "V04",
        id: "not-saturated",
        demand: "no role is near the limit of its thread, no receiver always has something in hand",
        limits: &[limits::ROLE_CPU, limits::RECEIVER_BUSY],
        proof: Proof::Fault { fault: Fault::BurnReceiver, with: &["events.rate=130/s"] },
        check: machine::saturated,
    },
    CheckEntry {
        code: "V05",
        id: "cpu-starved",
        demand: "no process waits for a CPU",
        limits: &[limits::RUN_QUEUE],
        proof: planted(Fault::BusyMachine),
        check: machine::cpu_starved,
    },
    CheckEntry {
        code: "V05",
        id: "cpu-pressure",
        demand: "hardly any task of the machine waits for a CPU",
        limits: &[limits::PRESSURE],
        proof: planted(Fault::BusyMachine),
        check: machine::pressure,
    },
    CheckEntry {
        code: "V05",
        id: "not-throttled",
        demand: "no CPU quota stops the processes",
        limits: &[limits::THROTTLED],
        proof: planted(Fault::ThrottleGroup),
        check: machine::throttled,
    },
    CheckEntry {
        code: "V06",
        id: "steal",
        demand: "no hypervisor takes CPU time",
        limits: &[limits::STOLEN],
        proof: planted(Fault::StealTime),
        check: machine::stolen,
    },
    CheckEntry {
        code: "V07",
        id: "ledger",
        demand: "owed = delivered + coalesced + lost, no promise is broken, record and ledger agree",
        limits: &[],
        proof: planted(Fault::DropDelivery),
        check: deliveries::ledger,
    },
    CheckEntry {
        code: "V07",
        id: "refused",
        demand: "subscribers refuse nothing",
        limits: &[],
        proof: planted(Fault::ForgeDelivery),
        check: deliveries::refused,
    },
    CheckEntry {
        code: "V07",
        id: "credentials",
        demand: "nobody is refused with 401 or 403",
        limits: &[],
        proof: planted(Fault::LockOut),
        check: deliveries::credentials,
    },
    CheckEntry {
        code: "V08",
        id: "warm-up",
        demand: "latency does not change once the warm-up is over",
        limits: &[limits::DRIFT],
        proof: planted(Fault::SlowStart),
        check: steadiness::warm_up,
    },
    CheckEntry {
        code: "V08",
        id: "stationary",
        demand: "latency neither rises nor falls in the course of the window",
        limits: &[limits::DRIFT],
        proof: planted(Fault::RampDelay),
        check: steadiness::stationary,
    },
    CheckEntry {
        code: "V09",
        id: "independent",
        demand: "latencies do not follow each other",
        limits: &[limits::CORRELATION, limits::EFFECTIVE],
        proof: planted(Fault::WanderingDelay),
        check: samples::independent,
    },
    CheckEntry {
        code: "V10",
        id: "enough-samples",
        demand: "every percentile can be stated",
        limits: &[],
        proof: Proof::Otherwise("a window with few events"),
        check: samples::enough_samples,
    },
    CheckEntry {
        code: "V11",
        id: "precise",
        demand: "intervals over blocks are narrow",
        limits: &[limits::WIDTH_P50, limits::WIDTH_P99],
        proof: Proof::Fault {
            fault: Fault::UnevenBlocks,
            with: &["run.repeats=6", "run.duration=1s"],
        },
        check: samples::precise,
    },
    CheckEntry {
        code: "V12",
        id: "time-order",
        demand: "due, emitted, arrived and usable follow each other",
        limits: &[],
        proof: planted(Fault::ShiftClock),
        check: schedule::time_order,
    },
    CheckEntry {
        code: "V12",
        id: "wall-clock",
        demand: "nobody sets the wall clock",
        limits: &[limits::WALL_CLOCK],
        proof: planted(Fault::StepWallClock),
        check: meters::wall_clock,
    },
    CheckEntry {
        code: "V13",
        id: "timers",
        demand: "timers fire when they are asked to",
        limits: &[limits::TIMER_ERROR],
        proof: planted(Fault::DullTimers),
        check: meters::timers,
    },
    CheckEntry {
        code: "V14",
        id: "cpu-agrees",
        demand: "CPU time read inside and outside of each process agrees",
        limits: &[limits::CPU_READINGS],
        proof: planted(Fault::MisreadCpu),
        check: machine::cpu_agrees,
    },
    CheckEntry {
        code: "V15",
        id: "cpu-speed",
        demand: "the CPU is as fast after a trial as before it",
        limits: &[limits::CPU_SPEED],
        proof: planted(Fault::SlowCpu),
        check: machine::cpu_speed,
    },
    CheckEntry {
        code: "V16",
        id: "network-path",
        demand: "always told: what lies between source and subscribers",
        limits: &[],
        proof: Proof::Otherwise("any run"),
        check: paths::network_path,
    },
    CheckEntry {
        code: "V17",
        id: "phase-lock",
        demand: "events do not meet a poll interval at the same phases",
        limits: &[limits::PHASES, limits::LOCKED],
        proof: Proof::Otherwise("ten evenly spaced events a second, polled every second"),
        check: beats::phase_lock,
    },
    CheckEntry {
        code: "V18",
        id: "littles-law",
        demand: "throughput × latency is the work in flight that was counted",
        limits: &[limits::IN_FLIGHT],
        proof: planted(Fault::DoubleLatency),
        check: meters::littles_law,
    },
    CheckEntry {
        code: "V19",
        id: "theory",
        demand: "measurement and closed form agree",
        limits: &[],
        proof: planted(Fault::DoubleLatency),
        check: deliveries::theory,
    },
    CheckEntry {
        code: "V19",
        id: "uniform-wait",
        demand: "the waits of a poll are spread evenly over its interval",
        limits: &[limits::UNEVEN_WAITS],
        proof: Proof::Fault {
            fault: Fault::BiasBeat,
            with: &["events.rate=1000/s", "run.duration=12s"],
        },
        check: beats::uniform_wait,
    },
    CheckEntry {
        code: "V19",
        id: "faster-than-limit",
        demand: "no strategy is faster than raw sockets between the same processes",
        limits: &[limits::FASTER],
        proof: planted(Fault::OutrunLight),
        check: floor::faster_than_limit,
    },
    CheckEntry {
        code: "V20",
        id: "bytes-agree",
        demand: "bytes counted are those that crossed the loopback interface",
        limits: &[limits::BYTES],
        proof: planted(Fault::MiscountBytes),
        check: meters::bytes_agree,
    },
    CheckEntry {
        code: "V21",
        id: "counts-agree",
        demand: "both sides counted the same exchanges",
        limits: &[],
        proof: planted(Fault::MiscountExchanges),
        check: machine::counts_agree,
    },
    CheckEntry {
        code: "V21",
        id: "connections-agree",
        demand: "connections counted are those that were dialled",
        limits: &[limits::CONNECTIONS],
        proof: planted(Fault::MiscountConnections),
        check: meters::connections_agree,
    },
    CheckEntry {
        code: "V22",
        id: "network-trouble",
        demand: "nothing is sent twice or turned away",
        limits: &[limits::NETWORK_TROUBLE],
        proof: planted(Fault::OverflowListener),
        check: machine::network_trouble,
    },
    CheckEntry {
        code: "V23",
        id: "recorder",
        demand: "no latency was clamped by a histogram",
        limits: &[],
        proof: Proof::Otherwise("a unit test with a latency above ten minutes"),
        check: deliveries::recorder,
    },
    CheckEntry {
        code: "V23",
        id: "rows-kept",
        demand: "every accepted delivery is recorded",
        limits: &[limits::LOST_ROWS],
        proof: planted(Fault::LoseRow),
        check: meters::rows_kept,
    },
    CheckEntry {
        code: "V24",
        id: "a-a",
        demand: "two identical strategies do not differ, and what they differ by is known",
        limits: &[limits::SAME_STRATEGY],
        proof: Proof::Fault { fault: Fault::BiasArm, with: &["run.repeats=10", "run.duration=1s"] },
        check: controls::a_a,
    },
    CheckEntry {
        code: "V24",
        id: "known-delay",
        demand: "a delay that is injected is read as it is",
        limits: &[limits::KNOWN_DELAY],
        proof: planted(Fault::DoubleLatency),
        check: controls::known_delay,
    },
    CheckEntry {
        code: "V25",
        id: "order-effect",
        demand: "a trial is no slower for being later in its block",
        limits: &[limits::ORDER],
        proof: Proof::Fault {
            fault: Fault::HeatUp,
            with: &["run.layout=solo", "run.repeats=10", "run.duration=1s"],
        },
        check: steadiness::order_effect,
    },
    CheckEntry {
        code: "V26",
        id: "equal-conditions",
        demand: "strategies differ in what is compared, and not in how they converse",
        limits: &[],
        proof: Proof::Otherwise("strategies with and without TLS"),
        check: meters::equal_conditions,
    },
    CheckEntry {
        code: "V27",
        id: "environment",
        demand: "all trials ran under the same kernel, settings, CPUs and program",
        limits: &[],
        proof: Proof::Fault {
            fault: Fault::ChangeEnvironment,
            with: &["run.repeats=2", "run.duration=1s"],
        },
        check: machine::environment,
    },
    CheckEntry {
        code: "V28",
        id: "memory",
        demand: "no process waits for memory",
        limits: &[limits::MEMORY_PRESSURE],
        proof: planted(Fault::FaultPages),
        check: machine::memory,
    },
    CheckEntry {
        code: "V29",
        id: "round-trip",
        demand: "no exchange is quicker than the round trip of the path",
        limits: &[limits::ROUND_TRIP],
        proof: Proof::Fault { fault: Fault::ShortRoundTrip, with: &["network.rtt=40ms"] },
        check: paths::round_trip,
    },
    CheckEntry {
        code: "V29",
        id: "raw-round-trip",
        demand: "raw sockets over a path of packets take the round trip that was asked for",
        limits: &[limits::RAW_ROUND_TRIP, limits::NEAR_ROUND_TRIP],
        proof: Proof::Fault { fault: Fault::ShortRoundTrip, with: &["network.rtt=40ms"] },
        check: paths::raw_round_trip,
    },
    CheckEntry {
        code: "V29",
        id: "loss",
        demand: "as many packets are lost on the way as were asked for",
        limits: &[limits::LOST_ON_THE_WAY],
        proof: Proof::Fault {
            fault: Fault::LoseMore,
            with: &["network.rtt=4ms", "network.loss=5%"],
        },
        check: paths::lost_on_the_way,
    },
    CheckEntry {
        code: "V29",
        id: "path-keeps-up",
        demand: "every packet enters its path",
        limits: &[limits::OVERRUN],
        proof: Proof::Otherwise("a router that is slower than its packets; a unit test"),
        check: paths::overrun,
    },
    CheckEntry {
        code: "V30",
        id: "complete",
        demand: "every planned block was measured",
        limits: &[],
        proof: planted(Fault::KillSubscriber),
        check: deliveries::complete,
    },
    CheckEntry {
        code: "V30",
        id: "unharmed",
        demand: "no fault was planted in the run on purpose",
        limits: &[],
        proof: Proof::Otherwise("any planted fault"),
        check: deliveries::unharmed,
    },
    CheckEntry {
        code: "V30",
        id: "sealed",
        demand: "the evidence is as it was when the run ended",
        limits: &[],
        proof: Proof::Otherwise("a byte of the ledger that was changed"),
        check: deliveries::sealed,
    },
    CheckEntry {
        code: "V31",
        id: "no-middleman",
        demand: "nobody stands between source and subscribers",
        limits: &[limits::MIDDLEMEN],
        proof: planted(Fault::Middleman),
        check: meters::no_middleman,
    },
    CheckEntry {
        code: "V32",
        id: "pinning",
        demand: "pinned processes stay on their CPUs",
        limits: &[limits::MIGRATIONS],
        proof: Proof::Fault { fault: Fault::Migrate, with: &["run.pin=true"] },
        check: machine::pinning,
    },
];

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    status: CheckStatus,
    message: String,
    /// The figure that was judged and what it was judged against.
    judged: Option<(f64, f64)>,
}

impl Finding {
    fn new(status: CheckStatus, message: impl Into<String>) -> Finding {
        Finding { status, message: message.into(), judged: None }
    }

    fn pass(message: impl Into<String>) -> Finding {
        Finding::new(CheckStatus::Pass, message)
    }

    /// What this machine does not tell; it is not a pass.
    fn unavailable(message: impl Into<String>) -> Finding {
        Finding::new(CheckStatus::Unavailable, message)
    }

    /// A figure judged by a limit, with words for where it is above it.
    fn by(limit: Limit, value: f64, message: impl FnOnce() -> String) -> Finding {
        let (status, crossed) = limit.judge(value);
        let message = if status == CheckStatus::Pass { String::new() } else { message() };
        Finding::new(status, message).judging(value, crossed)
    }

    /// The same finding with its figure and limit.
    fn judging(self, value: f64, limit: f64) -> Finding {
        Finding { judged: Some((value, limit)), ..self }
    }
}

/// Runs every check.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let checks: Vec<Check> = CHECKS
        .iter()
        .map(|entry| {
            let Finding { status, message, judged } = (entry.check)(evidence);
            let (value, limit) = judged.unzip();
            let (code, id) = (entry.code.to_owned(), entry.id.to_owned());
            Check { code, id, status, message, value, limit }
        })
        .collect();
    let status = match checks.iter().map(|check| check.status).max() {
        Some(CheckStatus::Fail) => VerdictStatus::Invalid,
        Some(CheckStatus::Warn) => VerdictStatus::Caveats,
        Some(CheckStatus::Pass | CheckStatus::Unavailable | CheckStatus::Info) | None => {
            VerdictStatus::Valid
        }
    };
    Verdict { status, checks }
}

/// The worst finding, the first of equals, saying how many more there are; `fine` if all pass.
fn worst(findings: impl IntoIterator<Item = Finding>, fine: &str) -> Finding {
    let findings: Vec<Finding> = findings.into_iter().collect();
    let excess = |finding: &Finding| finding.judged.map_or(0.0, |(value, limit)| value - limit);
    let worst = findings.iter().reduce(|worst, next| {
        let order = next.status.cmp(&worst.status);
        if order.then(excess(next).total_cmp(&excess(worst))).is_gt() { next } else { worst }
    });
    let Some(worst) = worst else { return Finding::pass(fine) };
    if worst.status == CheckStatus::Pass {
        return Finding { message: fine.to_owned(), ..worst.clone() };
    }
    let alike = findings.iter().filter(|finding| finding.status == worst.status).count();
    let more = match alike - 1 {
        0 => String::new(),
        more => format!(" (and {more} more like this)"),
    };
    Finding { message: format!("{}{more}", worst.message), ..worst.clone() }
}

/// The finding, unless faults of the scenario explain it: then it is told, and no mistake of the
/// run.
fn unless_planned(planned: bool, finding: Finding) -> Finding {
    if !planned || finding.status <= CheckStatus::Info {
        return finding;
    }
    let message = format!("{}; a fault of the scenario befell it", finding.message);
    Finding { status: CheckStatus::Info, message, ..finding }
}

/// Every strategy at every point.
fn strategies(evidence: &Evidence) -> impl Iterator<Item = (&PointEvidence, &StrategyEvidence)> {
    evidence
        .points
        .iter()
        .flat_map(|point| point.strategies.iter().map(move |strategy| (point, strategy)))
}

/// Every measured trial, with words for where it is.
fn blocks(evidence: &Evidence) -> impl Iterator<Item = (String, &StrategyEvidence, &Block)> {
    strategies(evidence).flat_map(|(point, strategy)| {
        strategy.blocks.iter().map(move |block| {
            let place = format!("{}, block {}", place(point, strategy), block.number + 1);
            (place, strategy, block)
        })
    })
}

/// The strategy in words, with its point if there are several.
fn place(point: &PointEvidence, strategy: &StrategyEvidence) -> String {
    let parameters: Vec<String> =
        point.parameters.iter().map(|(path, value)| format!("{path} = {value}")).collect();
    if parameters.is_empty() {
        return format!("`{}`", strategy.summary.name);
    }
    format!("`{}` at {}", strategy.summary.name, parameters.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{CHECKS, CheckStatus, Finding, judge, worst};
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::summary::VerdictStatus;
    use crate::promise::Promise;

    #[test]
    fn every_check_passes_or_informs_on_a_sound_run() {
        let verdict = judge(&evidence());
        for check in &verdict.checks {
            assert!(check.status <= CheckStatus::Info, "{check:?}");
        }
        assert_eq!(verdict.status, VerdictStatus::Valid);
        assert_eq!(verdict.checks.len(), CHECKS.len());
    }

    #[test]
    fn what_a_planned_fault_explains_is_told_and_no_mistake() {
        let mut evidence = evidence();
        let strategy = &mut evidence.points[0].strategies[0];
        strategy.blocks[0].measured.source.whole.useful += 1;
        let down = "at = '2s'\nfor = '1s'\nwho = 'source'\nwhat = 'down'";
        strategy.incidents = vec![toml::from_str(down).expect("an incident")];
        let verdict = judge(&evidence);
        let counts = verdict.checks.iter().find(|check| check.id == "counts-agree");
        let counts = counts.expect("a check");
        assert_eq!(counts.status, CheckStatus::Info);
        assert!(counts.message.ends_with("a fault of the scenario befell it"), "{counts:?}");
        // What no fault explains stays what it is.
        evidence.points[0].strategies[0].blocks[0].backwards = 1;
        assert_eq!(judge(&evidence).status, VerdictStatus::Invalid);
    }

    #[test]
    fn the_verdict_is_that_of_the_worst_check() {
        let mut evidence = evidence();
        evidence.points[0].strategies[0].blocks[0].measured.source.whole.useful += 1;
        assert_eq!(judge(&evidence).status, VerdictStatus::Caveats);
        evidence.points[0].strategies[0].blocks[0].backwards = 1;
        assert_eq!(judge(&evidence).status, VerdictStatus::Invalid);
    }

    /// Also of a strategy that may lose events by design: refusing is no design.
    #[test]
    fn a_run_whose_webhooks_were_all_refused_is_invalid_and_says_so() {
        let mut evidence = evidence();
        let strategy = &mut evidence.points[0].strategies[1];
        strategy.promise = Promise { complete: false, ..Promise::COMPLETE };
        let block = &mut strategy.blocks[0];
        let owed = block.measured.events.emitted;
        (block.measured.events.delivered, block.measured.events.lost) = (0, owed);
        block.recount = Some(block.measured.events);
        block.measured.subscriber.refused = owed;
        let verdict = judge(&evidence);
        assert_eq!(verdict.status, VerdictStatus::Invalid);
        let said = format!("the subscribers refused {owed} deliveries");
        assert!(verdict.checks.iter().any(|check| check.message.contains(&said)), "{verdict:?}");
    }

    #[test]
    fn limits_rise_and_every_one_has_a_reason() {
        for limit in CHECKS.iter().flat_map(|entry| entry.limits) {
            let stated: Vec<f64> = [limit.tell, limit.warn, limit.fail]
                .into_iter()
                .filter(|value| value.is_finite())
                .collect();
            assert!(!stated.is_empty() && stated.is_sorted(), "{limit:?}");
            assert!(limit.reason.len() > 20 && !limit.figure.is_empty(), "{limit:?}");
        }
        assert!(CHECKS.windows(2).all(|pair| pair[0].code <= pair[1].code), "in order of codes");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = CHECKS.iter().map(|entry| entry.id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn the_worst_finding_speaks_for_those_like_it() {
        let warn = |value| Finding::new(CheckStatus::Warn, format!("{value}")).judging(value, 1.0);
        let findings = [Finding::pass("x"), warn(2.0), warn(3.0)];
        assert_eq!(worst(findings, "fine").message, "3 (and 1 more like this)");
        assert_eq!(worst([Finding::pass("x").judging(1.0, 2.0)], "fine").message, "fine");
        assert_eq!(worst([], "fine"), Finding::pass("fine"));
    }
}
