//! What checks judge by: every limit in one table, each with its reason.
//!
//! A figure above `tell` is worth knowing, above `warn` worth doubting, above `fail` the numbers
//! cannot be used. `METHODOLOGY.md` says how often each check was wrong on sound runs.

use crate::analysis::summary::CheckStatus;

/// What one figure is judged by. Infinite where a status is never given for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The figure, with its unit.
    pub figure: &'static str,
    /// Above this it is told.
    pub tell: f64,
    /// Above this the check warns.
    pub warn: f64,
    /// Above this the check fails.
    pub fail: f64,
    /// Why these and no others.
    pub reason: &'static str,
}

/// No such limit.
const NEVER: f64 = f64::INFINITY;

impl Limit {
    /// What a figure comes to, and the limit it crossed, or the first it did not.
    #[must_use]
    pub fn judge(&self, value: f64) -> (CheckStatus, f64) {
        let steps = [
            (CheckStatus::Fail, self.fail),
            (CheckStatus::Warn, self.warn),
            (CheckStatus::Info, self.tell),
        ];
        let crossed = steps.into_iter().find(|(_, limit)| value > *limit);
        crossed.unwrap_or((CheckStatus::Pass, self.tell.min(self.warn).min(self.fail)))
    }
}

/// The tail of lag against the tail of the fastest strategy of the point.
pub const LAG: Limit = Limit {
    figure: "p99 of lag, or the highest quantile the sample supports, as a share of the same \
             quantile of the fastest strategy's latency",
    tell: NEVER,
    warn: 0.5,
    fail: NEVER,
    reason: "above a half, the tail of the fastest strategy is more the harness's than its own",
};

/// High lag against the fastest median of the point.
pub const STALL: Limit = Limit {
    figure: "p99 of lag, or the highest quantile the sample supports, as a multiple of the \
             fastest median",
    tell: NEVER,
    warn: NEVER,
    fail: 10.0,
    reason: "above ten times, events waited longer to be emitted than ten deliveries take: a stall",
};

/// Median lag against the fastest median of the point.
pub const MEDIAN_LAG: Limit = Limit {
    figure: "median of lag as a share of the fastest median",
    tell: NEVER,
    warn: NEVER,
    fail: 0.5,
    reason: "above a half, the median itself is more the harness's than the strategy's",
};

/// Lag that a sleeping thread has on an idle machine, in nanoseconds.
///
/// Against a strategy whose median is itself a few hundred microseconds, such a lag is a large
/// share and still no fault of the run: it is part of every strategy's latency alike, so no
/// comparison is bent by more than this. It is told, and not warned of.
pub const LAG_FLOOR: u64 = 200_000;

/// Parts a poll interval is divided into to tell phases apart.
pub const PHASE_PARTS: u64 = 1_000;

/// Phases of a beat that evenly spaced events never meet.
pub const PHASES: Limit = Limit {
    figure: "phases short of 30, of the 1,000 a poll interval is divided into, that evenly spaced \
             events meet",
    tell: NEVER,
    warn: 0.0,
    fail: NEVER,
    reason: "with fewer distinct phases than a small sample needs, a block measures where its \
             first poll happened to fall",
};

/// Distinct phases that are enough.
pub const PHASES_ENOUGH: usize = 30;

/// The chance of a false alarm of [`LOCKED`] in a run, shared between all its blocks.
pub const LOCKED_CHANCE: f64 = 0.001;

/// Phases at which events are due, against even ones.
pub const LOCKED: Limit = Limit {
    figure: "distance of the phases of a block's events from even ones (Kolmogorov), as a \
             multiple of what chance exceeds in one run of a thousand",
    tell: NEVER,
    warn: 1.0,
    fail: NEVER,
    reason: "events that know nothing of the beat fall anywhere in it; recorded moments may be \
             rounded to it",
};

/// The chance of a false alarm of [`UNEVEN_WAITS`] for each poll, by each of its two looks.
pub const UNEVEN_CHANCE: f64 = 0.000_5;

/// The standard errors that chance exceeds as seldom, to either side.
pub const UNEVEN_ERRORS: f64 = 3.48;

/// Waits of a poll, against its closed form.
pub const UNEVEN_WAITS: Limit = Limit {
    figure: "distance of a poll's waits from the distribution of its closed form (Kolmogorov), and \
             of where 99 % of them have ended, beyond 0.2 ms of timers and half of what an exchange \
             takes by itself, as a multiple of what chance exceeds in one of two thousand",
    tell: NEVER,
    warn: 1.0,
    fail: NEVER,
    reason: "twenty polls then cry wolf in one run of fifty, and a beat that is 2 % slow or fast \
             shows from 12,000 events on",
};

/// Gaps between events that were cut short.
pub const HALVED: Limit = Limit {
    figure: "gaps of 5 ms or more that became less than half as long, as a share",
    tell: NEVER,
    warn: 0.001,
    fail: 0.01,
    reason: "above one in a thousand p99.9 is made of events that came in bunches after a stall, \
             above one in a hundred p99 is",
};

/// Gaps of a block that chance may cut: one or two late wake-ups before an event that happens to
/// follow closely are no bunch. Of 43 sound runs of 200 such gaps, one had two.
pub const HALVED_FEW: u64 = 2;

/// Gaps between events, against the planned ones.
pub const SPACING: Limit = Limit {
    figure: "greatest difference between the shares of gaps up to some length, planned and \
             emitted, beyond what moving each by 1 ms explains",
    tell: NEVER,
    warn: 0.01,
    fail: NEVER,
    reason: "above one in a hundred the tail sees other spacings than were asked for",
};

/// The chance of a false alarm of [`DRIFT`], shared between all strategies and points of a run:
/// a sweep must not warn because it is long.
pub const DRIFT_CHANCE: f64 = 0.005;

/// The chance that a run is failed for a drift that is none.
pub const DRIFT_CHANCE_FAIL: f64 = 0.001;

/// What latency may drift by at all, in nanoseconds, and only be told: as much as a delivery
/// of two or three wake-ups costs more or less when threads come to sit on other CPUs or an idle CPU
/// sleeps more deeply. Such steps come at any time and differ between blocks, so intervals over
/// blocks cover them; a longer warm-up does not help.
pub const DRIFT_FLOOR: f64 = 300_000.0;

/// Latency that changes within the window.
pub const DRIFT: Limit = Limit {
    figure: "change of latency within the window as a share of its median, where chance has it in \
             less than one run of two hundred",
    tell: NEVER,
    warn: 0.05,
    fail: 0.20,
    reason: "above 5 % p50 depends on how long the window is; above 20 % a figure says more of the \
             window than of the strategy",
};

/// The change of latency with a trial's place in its block is judged below this chance.
pub const ORDER_CHANCE: f64 = 0.01;

/// Latency that changes with a trial's place in its block.
pub const ORDER: Limit = Limit {
    figure: "change of latency from a block's first trial to its last, as a share, where chance \
             has it in less than one run of a hundred",
    tell: 0.0,
    warn: 0.05,
    fail: NEVER,
    reason: "the order is random, so no strategy is favoured; but above 5 % it widens every \
             interval that blocks give",
};

/// Delivered events for each independent one.
pub const CORRELATION: Limit = Limit {
    figure: "delivered events for each independent one",
    tell: NEVER,
    warn: 4.0,
    fail: NEVER,
    reason: "chance alone takes it above 4 in less than one block of ten thousand; above, one \
             episode made many events late together, and quantiles need more of them",
};

/// Independent events of a correlated sample.
pub const EFFECTIVE: Limit = Limit {
    figure: "independent events short of 100, where events are correlated",
    tell: NEVER,
    warn: NEVER,
    fail: 0.0,
    reason: "fewer are a handful of episodes, and p50 itself cannot be told to a tenth",
};

/// Independent events that are enough.
pub const EFFECTIVE_ENOUGH: f64 = 100.0;

/// An interval of p50 over blocks.
pub const WIDTH_P50: Limit = Limit {
    figure: "half of the width of the interval of p50 over blocks, as a share of p50",
    tell: 0.05,
    warn: 0.20,
    fail: NEVER,
    reason: "above 5 % differences of a tenth cannot be seen; above 20 % the figure is good for \
             its order of magnitude only",
};

/// An interval of p99 over blocks.
pub const WIDTH_P99: Limit = Limit {
    figure: "half of the width of the interval of p99 over blocks, as a share of p99",
    tell: 0.10,
    warn: 0.20,
    fail: NEVER,
    reason: "the tail needs a hundred times the events to be as sure as the middle; above 20 % the \
             figure is good for its order of magnitude only",
};

/// Deliveries a window may leave behind, as a share of those owed.
pub const BACKLOG: Limit = Limit {
    figure: "deliveries under way at the window's end, beyond those at its start and what a beat \
             leaves, as a share of those owed",
    tell: NEVER,
    warn: 0.01,
    fail: NEVER,
    reason: "what is paid for after the window is missing in figures per event: above 1 % it \
             shows in three digits",
};

/// Waiting for a CPU, each time a thread had something to do.
pub const RUN_QUEUE: Limit = Limit {
    figure: "mean time that a thread stood ready without a CPU each time it had something to do, \
             in nanoseconds",
    tell: 100_000.0,
    warn: 200_000.0,
    fail: NEVER,
    reason: "waking an idle virtual CPU reads as 0.01 to 0.05 ms; two endless loops on every CPU \
             make it 0.3 ms, since whoever is in the way keeps a CPU for a slice of milliseconds",
};

/// CPU time of a thread that does a strategy's work, as a share of the window.
pub const ROLE_CPU: Limit = Limit {
    figure: "CPU time of a lane or a subscribers' process as a share of the window",
    tell: NEVER,
    warn: 0.60,
    fail: 0.85,
    reason: "each role works on one thread; at a utilisation ρ a queue multiplies its service time \
             by 1/(1 − ρ), 2.5 at 60 % and 6.7 at 85 %",
};

/// Time that subscribers have something in hand, as a share.
pub const RECEIVER_BUSY: Limit = Limit {
    figure: "time from an arrival until it was usable, summed, as a share of warm-up and window",
    tell: NEVER,
    warn: 0.40,
    fail: 0.85,
    reason: "verifying and parsing take microseconds; a receiver that has something in hand for \
             two fifths of the time makes its own queue",
};

/// The hypervisor's share of CPU time.
pub const STOLEN: Limit = Limit {
    figure: "CPU time taken by the hypervisor, as a share",
    tell: 0.002,
    warn: 0.01,
    fail: 0.10,
    reason: "ticks of 10 ms count it, so that a single one in a short window is 0.1 %; at 1 % one \
             event in a hundred may have met it, which is the p99; at 10 % nothing is left",
};

/// Time that the control group was throttled, in nanoseconds.
pub const THROTTLED: Limit = Limit {
    figure: "time that the control group's quota stopped all processes, in nanoseconds",
    tell: NEVER,
    warn: 0.0,
    fail: NEVER,
    reason: "a throttled group stands still for up to 100 ms at a time, whatever the strategy",
};

/// Time in which some task waited for a CPU, as a share.
pub const PRESSURE: Limit = Limit {
    figure: "time in which some task of the machine waited for a CPU, as a share of the window",
    tell: 0.05,
    warn: 0.20,
    fail: NEVER,
    reason: "the run's own processes wake each other, which reads as a few percent on two CPUs; \
             beyond 20 % somebody else works here",
};

/// How far the wall clock moved, in nanoseconds.
pub const WALL_CLOCK: Limit = Limit {
    figure: "movement of the wall clock against the monotonic one in a window, in nanoseconds",
    tell: 5e6,
    warn: 50e6,
    fail: NEVER,
    reason: "latencies use the monotonic clock alone; 50 ms are a step and no slewing, and labels \
             and signatures' time stamps jumped",
};

/// How late a timer wakes, in nanoseconds, median.
pub const TIMER_ERROR: Limit = Limit {
    figure: "median lateness of a thread that sleeps to a deadline, in nanoseconds",
    tell: 300_000.0,
    warn: 1_000_000.0,
    fail: NEVER,
    reason: "an idle machine wakes within 20 to 150 µs; a millisecond is the error of a timer that \
             rounds, and shows in every latency below a tenth of a second",
};

/// Change of the CPU's speed, as a share.
pub const CPU_SPEED: Limit = Limit {
    figure: "difference of a fixed piece of work before and after a trial, as a share",
    tell: 0.05,
    warn: 0.15,
    fail: NEVER,
    reason: "the quickest of several tries repeats within 5 % on a quiet virtual machine; beyond \
             15 % CPU figures of the trials are not of the same CPU",
};

/// Disagreement of counted and stamped work in flight.
pub const IN_FLIGHT: Limit = Limit {
    figure: "difference of the deliveries under way that were counted and that the stamps give, \
             in deliveries or, above four of them, twentieths of what was counted",
    tell: NEVER,
    warn: NEVER,
    fail: 0.2,
    reason: "both sides speak of the same moments, so only an event that is being stamped just \
             then may differ; more is a latency stamped or added up wrongly",
};

/// What raw sockets allow against what was measured.
pub const FASTER: Limit = Limit {
    figure: "the least median that raw sockets allow, as a multiple of the strategy's, usable less \
             emitted",
    tell: NEVER,
    warn: NEVER,
    fail: 1.0,
    reason: "the quickest raw transfer of all blocks, not the typical one: that takes 14 or 70 µs as \
             the scheduler places its threads; where events wait by design, the closed form's \
             quantile five standard errors below its median",
};

/// Bytes that were counted against the kernel's, as a share.
pub const BYTES: Limit = Limit {
    figure: "difference of the bytes counted at the sockets and by the loopback interface, as a \
             share",
    tell: NEVER,
    warn: 0.01,
    fail: NEVER,
    reason: "headers are taken off by their exact size; 1 % is more than what falls on an edge",
};

/// Bytes that may cross the loopback interface besides, in a window.
pub const BYTES_SLACK: f64 = 65_536.0;

/// Connections that were counted against the kernel's.
pub const CONNECTIONS: Limit = Limit {
    figure: "difference of the connections counted in the windows of a trial and dialled on this \
             machine, beyond 1 %",
    tell: 0.0,
    warn: 3.0,
    fail: NEVER,
    reason: "a connection or two may fall on an edge or be another program's; more were opened by \
             somebody else, or counted wrongly",
};

/// Trouble of the network that nobody asked for.
pub const NETWORK_TROUBLE: Limit = Limit {
    figure: "TCP segments sent again and connections turned away by a full listener, in a window",
    tell: NEVER,
    warn: 0.0,
    fail: NEVER,
    reason: "loopback loses nothing; one retransmission waits for at least 200 ms",
};

/// Rows that were lost on the way to the record.
pub const LOST_ROWS: Limit = Limit {
    figure: "first copies accepted, less rows recorded",
    tell: NEVER,
    warn: NEVER,
    fail: 0.0,
    reason: "a recorder that loses one row may have lost the slowest",
};

/// Memory that had to come from a disk.
pub const MEMORY_PRESSURE: Limit = Limit {
    figure: "major page faults, pages read from swap and processes ended for want of memory, in a \
             window",
    tell: 0.0,
    warn: 10.0,
    fail: 1e5,
    reason: "each waits for a disk; a page or two of the program itself may be read late, more are \
             a machine without memory",
};

/// The time of an exchange over a distant path, as a share of its round trip.
pub const ROUND_TRIP: Limit = Limit {
    figure: "mean exchange short of the round trip of the path, beyond what jitter explains, as a \
             share of it",
    tell: NEVER,
    warn: NEVER,
    fail: 0.02,
    reason: "nothing arrives before its round trip; what is missing was never injected",
};

/// The round trip of raw sockets over a path of packets.
pub const RAW_ROUND_TRIP: Limit = Limit {
    figure: "median round trip of raw sockets off the one that was asked for, beyond what jitter \
             explains, as a share of it, where it is off by a millisecond or more",
    tell: NEVER,
    warn: NEVER,
    fail: 0.02,
    reason: "results over another distance than the one that is stated are results of that one",
};

/// The same, where it is off by less than a wake-up of the router takes each way.
pub const NEAR_ROUND_TRIP: Limit = Limit {
    figure: "median round trip of raw sockets off the one that was asked for, as a share of it, \
             where it is off by less than a millisecond",
    tell: 0.02,
    warn: NEVER,
    fail: NEVER,
    reason: "the router wakes up twice in a round trip; over a short distance that is much of it",
};

/// Packets lost on the way.
pub const LOST_ON_THE_WAY: Limit = Limit {
    figure: "packets lost off what was asked for, in standard deviations",
    tell: NEVER,
    warn: NEVER,
    fail: 5.0,
    reason: "chance alone differs as much less than once in a million runs",
};

/// Packets that the router was too busy to take.
pub const OVERRUN: Limit = Limit {
    figure: "packets that never entered the path in a trial",
    tell: NEVER,
    warn: 0.0,
    fail: NEVER,
    reason: "they are lost without being asked for, and each waits for at least 200 ms",
};

/// The certainty that two identical strategies differ.
pub const SAME_STRATEGY: Limit = Limit {
    figure: "certainty that two identical strategies differ in some measure: one less the chance \
             by the sign test over blocks, times the measures tried (Bonferroni)",
    tell: NEVER,
    warn: 0.95,
    fail: NEVER,
    reason: "of many intervals of 95 % some miss one by chance; all measures together cry wolf in \
             5 % of the runs at most, and with ten blocks and six measures in 1.2 %",
};

/// An injected delay against the median that was read.
pub const KNOWN_DELAY: Limit = Limit {
    figure: "difference of the median latency and the delay that was injected, in nanoseconds",
    tell: NEVER,
    warn: NEVER,
    fail: 200_000.0,
    reason: "the source's lag and the timer that ends the delay take up to 100 µs each on an idle \
             machine; a timer that counts milliseconds, or a latency that counts double, is far \
             beyond it",
};

/// Requests that somebody between the two ends has handled.
pub const MIDDLEMEN: Limit = Limit {
    figure: "requests with a proxy's marks, or in another version of HTTP than asked for",
    tell: NEVER,
    warn: NEVER,
    fail: 0.0,
    reason: "what stands in between is measured as if it were the strategy",
};

/// Moves of pinned threads to another CPU.
pub const MIGRATIONS: Limit = Limit {
    figure: "times a thread of a pinned process changed its CPU in a window",
    tell: NEVER,
    warn: 0.0,
    fail: NEVER,
    reason: "a pinned process has one CPU and cannot move unless somebody unpins it",
};

/// Independent readings of CPU time, as a share.
pub const CPU_READINGS: Limit = Limit {
    figure: "difference of CPU time read inside and outside, as a share",
    tell: NEVER,
    warn: 0.02,
    fail: NEVER,
    reason: "the scheduler's two interfaces read the same counter; more than 2 % is no rounding",
};

/// CPU readings may differ by this many nanoseconds however short the process: they are taken
/// at different moments, and threads end in between.
pub const CPU_SLACK: f64 = 20e6;

#[cfg(test)]
mod tests {
    use super::{Limit, NEVER};
    use crate::analysis::summary::CheckStatus;

    #[test]
    fn a_figure_has_the_worst_status_it_crosses() {
        let limit = Limit { figure: "x", tell: 1.0, warn: 2.0, fail: NEVER, reason: "because" };
        assert_eq!(limit.judge(1.0), (CheckStatus::Pass, 1.0));
        assert_eq!(limit.judge(1.5), (CheckStatus::Info, 1.0));
        assert_eq!(limit.judge(9.0), (CheckStatus::Warn, 2.0));
        let failing = Limit { fail: 3.0, ..limit };
        assert_eq!(failing.judge(9.0), (CheckStatus::Fail, 3.0));
    }
}
