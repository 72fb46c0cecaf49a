//! The closed form beside the measurement, and whether the two agree.
//!
//! Every figure has an interval in which an expectation agrees with what was measured. It is the
//! hull of two. The form's own: the *mean latency* of n independent waits of standard deviation σ
//! has the standard error σ/√n, for waits uniform over a gap G that is G/√(12·n); a *quantile* p is
//! that of p ± √(p(1 − p)/n); three standard errors are taken. And, from six blocks on, that of
//! order statistics over the blocks, so sure that all figures of a strategy together are wrong once
//! in twenty times at most, or from the least to the greatest block. Both are widened by 1 ms or 2 %
//! for timers and scheduling. So neither what chance does to independent waits nor what blocks
//! differ by in fact is taken for a disagreement.
//!
//! With constant arrivals waits repeat, so each block and subscriber counts as one wait. *Counts*
//! are allowed three of the form's standard deviations and one a subscriber and block, since a beat
//! on the edge of a window falls to either side; a form says how far slower exchanges may take it,
//! and beats that were missed count as if they had been polled: they are reported for what they
//! are. Counts that follow the events are judged by the deliveries there were; what is under way
//! when a window opens or closes is counted on one side of it only.

mod claim;
#[cfg(test)]
mod tests;
mod waits;

use std::time::Duration;

use self::claim::{Claim, Unit, hull};
use crate::analysis::blocks::surer_interval;
use crate::analysis::evidence::Block;
use crate::analysis::summary::{Model, Requests, StrategySummary};
use crate::analysis::words;
use crate::record::manifest::PlannedWorkload;
use crate::record::trial::StrategyRecord;
use crate::schedule::Arrivals;
use crate::theory::latency::Latency;
use crate::theory::prediction::{Count, Prediction, Quantity};
use crate::theory::staleness::Staleness;
use crate::theory::{Conditions, Form, SLACK, SLACK_SHARE, Theory};
use crate::units::{Rate, nanoseconds};

pub(crate) use self::waits::WaitFit;

/// Independent waits below which latency is not judged.
pub(crate) const ENOUGH: f64 = 30.0;

/// Gaps in a window from which on a part of a gap more does not matter.
const MANY_GAPS: f64 = 30.0;

/// Standard errors that chance may explain.
const ERRORS: f64 = 3.0;

/// The standard error of a median of blocks beside that of a mean: √(π/2).
const OF_A_MEDIAN: f64 = 1.2533;

/// What adding up fractions may take from a count or give to it.
const ROUNDING: f64 = 1e-6;

/// How often the intervals over blocks of all figures of a strategy may be wrong together.
const FAMILY: f64 = 0.05;

/// A strategy with a closed form, and the conditions it was measured under.
pub(crate) struct Observed<'a> {
    form: &'a dyn Form,
    conditions: Conditions,
    /// Whether the time of an exchange is known, or nothing depends on it.
    exchange_known: bool,
    /// Whether it is polled at intervals, so that waits are spread evenly over them.
    polled: bool,
    measured: &'a [Block],
    summary: &'a StrategySummary,
    predicted: Prediction,
}

/// The conditions that a strategy was measured under.
fn conditions(
    strategy: &StrategyRecord,
    workload: &PlannedWorkload,
    exchange: Option<Duration>,
) -> Conditions {
    let tls = strategy.settings.get("tls").and_then(serde_json::Value::as_bool);
    Conditions {
        rate: workload.rate,
        arrivals: workload.arrivals.clone(),
        warm_up: workload.warm_up,
        window: workload.window,
        drain: workload.drain,
        subscribers: strategy.subscribers,
        exchange: exchange.unwrap_or_default(),
        rtt: workload.rtt,
        server: Duration::ZERO,
        set_up: strategy.set_up,
        request_way: None,
        dialling: 1 + u32::from(tls == Some(true)),
    }
}

/// Requests for each delivered event that the closed form expects at a rate of events, the
/// conditions otherwise being those that were measured; `None` where it claims none, or where
/// arrivals cannot have another rate.
pub(crate) fn requests_per_event(
    strategy: &StrategyRecord,
    workload: &PlannedWorkload,
    blocks: &[Block],
    rate: Rate,
) -> Option<f64> {
    if matches!(workload.arrivals, Arrivals::Trace(_)) && rate != workload.rate {
        return None;
    }
    let measured = conditions(strategy, workload, mean_exchange(blocks));
    let conditions = Conditions { rate, ..measured };
    let predicted = strategy.theory.as_ref()?.form().predict(&conditions);
    let count = |quantity| Some(predicted.count(quantity)?.expected);
    let owed = conditions.deliveries();
    let lost = || count(Quantity::Lost).unwrap_or(0.0);
    let delivered = count(Quantity::Delivered).unwrap_or_else(|| owed - lost());
    (delivered > 0.0).then_some(count(Quantity::Requests)? / delivered)
}

/// A figure of latency: its path, its name, and its value in a block.
type Figure = (&'static str, &'static str, fn(&Block) -> Option<u64>);

const MEAN: Figure = ("latency.mean", "mean latency", |block| block.latency.mean);

/// A quantile that is judged, and its value in all blocks.
type JudgedQuantile = (f64, Figure, fn(&StrategySummary) -> Option<u64>);

const QUANTILES: [JudgedQuantile; 2] = [
    (0.5, ("latency.p50", "p50 latency", |block| block.latency.p50), |s| s.latency.p50),
    (0.99, ("latency.p99", "p99 latency", |block| block.latency.p99), |s| s.latency.p99),
];

impl<'a> Observed<'a> {
    /// `None` without a closed form or a measured block.
    pub(crate) fn of(
        summary: &'a StrategySummary,
        strategy: &'a StrategyRecord,
        workload: &PlannedWorkload,
        blocks: &'a [Block],
    ) -> Option<Observed<'a>> {
        let theory = strategy.theory.as_ref()?;
        let form = theory.form();
        let exchange = mean_exchange(blocks);
        let conditions = conditions(strategy, workload, exchange);
        (!blocks.is_empty()).then(|| Observed {
            form,
            predicted: form.predict(&conditions),
            conditions,
            exchange_known: exchange.is_some() || form.holds(),
            polled: matches!(theory, Theory::IntervalPoll(_)),
            measured: blocks,
            summary,
        })
    }

    /// The distribution of latency the closed form claims, and the share of emitted events that
    /// it expects to be delivered.
    pub(crate) fn predicted_latency(&self) -> (Latency, f64) {
        let count = |quantity| Some(self.predicted.count(quantity)?.expected);
        let owed = self.conditions.deliveries();
        let delivered = count(Quantity::Delivered)
            .or_else(|| Some(owed - count(Quantity::Lost)?))
            .map_or(1.0, |delivered| (delivered / owed).clamp(0.0, 1.0));
        (self.predicted.latency.clone(), delivered)
    }

    /// Compares the closed form with the measurement.
    pub(crate) fn compare(&self) -> Model {
        let waits = self.independent_waits();
        let mut claims = self.latencies(waits);
        claims.extend(self.stale());
        claims.extend(self.predicted.counts.iter().map(|(of, count)| self.counted(*of, *count)));
        let mut refuted: Vec<String> = claims.iter().filter_map(Claim::refutation).collect();
        refuted.extend(self.too_fast());
        let agrees = match (refuted.is_empty(), self.exchange_known && waits >= ENOUGH) {
            (false, _) => Some(false),
            (true, true) => Some(true),
            (true, false) => None,
        };
        let latency = &self.predicted.latency;
        let quantile = |p| latency.quantile(p).map(nanoseconds);
        let expected = |quantity| {
            self.predicted.count(quantity).map(|count| self.over_blocks(*count).expected)
        };
        Model {
            latency_mean: latency.mean().map(nanoseconds),
            latency_p50: quantile(0.5),
            latency_p99: quantile(0.99),
            requests: expected(Quantity::Requests),
            empty: expected(Quantity::Empty),
            note: self.note(&claims, &refuted, agrees),
            claims: claims.iter().map(Claim::row).collect(),
            agrees,
        }
    }

    /// Measured trials.
    fn blocks(&self) -> f64 {
        self.measured.len() as f64
    }

    /// Subscribers times blocks: what an uncertainty of one each adds up to.
    fn parts(&self) -> f64 {
        f64::from(self.conditions.subscribers) * self.blocks()
    }

    /// Waits that do not depend on each other.
    pub(crate) fn independent_waits(&self) -> f64 {
        let count = self.summary.latency.count as f64;
        let apart = f64::from(self.conditions.subscribers.max(1));
        let count = if self.predicted.alike { count / apart } else { count };
        let alone = self.predicted.rounds.is_some_and(f64::is_infinite);
        // Nothing waits for a beat.
        let Some(longest) = self.predicted.longest_wait().filter(|_| !alone) else { return count };
        // Where events know of each other they may all meet one phase of the beat.
        let moments = self.conditions.arrivals.independent_moments(count);
        let window = self.conditions.window.as_secs_f64();
        let rounds = self.predicted.rounds.unwrap_or(window / longest.as_secs_f64());
        moments.filter(|_| are_whole(rounds)).unwrap_or_else(|| self.parts())
    }

    /// Mean and quantiles of latency, where the form claims them.
    fn latencies(&self, waits: f64) -> Vec<Claim> {
        let latency = &self.predicted.latency;
        let mut claims = Vec::new();
        if let Some((mean, deviation)) = latency.mean().zip(latency.deviation()) {
            let error = ERRORS * nanos(deviation) / waits.sqrt();
            let measured = self.summary.latency.mean;
            claims.push(self.latency(MEAN, nanos(mean), measured, [error, error], waits));
        }
        for (p, figure, measured) in QUANTILES {
            let Some(expected) = latency.quantile(p) else { continue };
            let error = ERRORS * OF_A_MEDIAN * (p * (1.0 - p) / waits).sqrt();
            let at = |p: f64| latency.quantile(p.clamp(0.0, 1.0)).map_or(0.0, nanos);
            let expected = nanos(expected);
            // On loopback the least latency is a bound, whose two ways need not be equally long.
            let bound = self.conditions.rtt.is_none() && expected <= nanos(latency.min());
            let below = if bound { expected / 2.0 } else { expected - at(p - error) };
            // What lies above a latency that events do not wait for is the program's.
            let open = latency.is_point(p) && (p > 0.5 || bound);
            let above = if open { f64::INFINITY } else { at(p + error) - expected };
            claims.push(self.latency(
                figure,
                expected,
                measured(self.summary),
                [below, above],
                waits,
            ));
        }
        claims
    }

    /// A latency that may lie so far below and above what is expected.
    fn latency(
        &self,
        (quantity, name, of): Figure,
        expected: f64,
        measured: Option<u64>,
        [below, above]: [f64; 2],
        waits: f64,
    ) -> Claim {
        let slack = nanos(SLACK).max(SLACK_SHARE * expected);
        let measured = measured.map(|time| time as f64);
        let judged = measured.filter(|_| waits >= ENOUGH);
        let of = |block: &Block| of(block).map(|time| time as f64);
        let interval = judged.map(|measured| {
            let own = [(measured - above).max(0.0), measured + below];
            let [low, high] = hull(own, self.over_the_blocks(of));
            [(low - slack).max(0.0), high + slack]
        });
        Claim { quantity, name: name.to_owned(), unit: Unit::Time, expected, measured, interval }
    }

    /// An interval of order statistics over blocks, if there are enough.
    fn over_the_blocks(&self, of: impl Fn(&Block) -> Option<f64>) -> Option<[f64; 2]> {
        let latency = &self.predicted.latency;
        let quantiles = if latency.quantile(0.5).is_some() { QUANTILES.len() } else { 0 };
        let latencies = usize::from(latency.mean().is_some()) + quantiles;
        let figures = latencies + usize::from(self.predicted.staleness.is_some());
        let values: Vec<f64> = self.measured.iter().map(of).collect::<Option<_>>()?;
        let confidence = 1.0 - FAMILY / figures.max(1) as f64;
        surer_interval(&values, confidence).map(|(low, high)| [low, high])
    }

    /// The share of time in which the state is out of date.
    fn stale(&self) -> Option<Claim> {
        let Staleness { share, deviation, edge, slack } = self.predicted.staleness?;
        let measured = self.summary.staleness.map(|measured| measured.share);
        let error = ERRORS * OF_A_MEDIAN * deviation / self.blocks().sqrt() + edge;
        let interval = measured.map(|measured| {
            let blocks = self.over_the_blocks(|block| Some(block.staleness?.share));
            let [low, high] = hull([measured - error, measured + error], blocks);
            [(low - slack).max(0.0), (high + slack).min(1.0)]
        });
        let name = "time out of date".to_owned();
        let (quantity, unit) = ("staleness.share", Unit::Share);
        Some(Claim { quantity, name, unit, expected: share, measured, interval })
    }

    /// Where only a bound is claimed: a mean below what any event takes.
    fn too_fast(&self) -> Option<String> {
        let (latency, mean) = (&self.predicted.latency, self.summary.latency.mean? as f64);
        let least = nanos(latency.min());
        // The two ways of an exchange need not be equally long.
        let impossible = latency.mean().is_none() && mean < least / 2.0;
        impossible.then(|| {
            let (mean, least) = (words::time(mean), words::time(least));
            format!("mean latency {mean}, where an event takes at least {least}")
        })
    }

    /// A count of all blocks against the form's.
    fn counted(&self, quantity: Quantity, count: Count) -> Claim {
        let (measured, missed) = self.measured(quantity);
        let count = match quantity {
            // With missed beats counted, it is the beats of the clock that are compared.
            Quantity::Requests if missed > 0 => self.unhurried().unwrap_or(count),
            _ => count,
        };
        let (path, noun) = match missed {
            0 => (path(quantity), noun(quantity).to_owned()),
            1 => {
                ("requests.total + requests.beats_missed", "requests and 1 missed beat".to_owned())
            }
            missed => (
                "requests.total + requests.beats_missed",
                format!("requests and {missed} missed beats"),
            ),
        };
        let (count, allowed) = (self.over_blocks(count), self.allowed(count));
        let (expected, measured) = (count.expected, (measured + missed) as f64);
        let low = measured - allowed - (count.most - expected);
        let high = measured + allowed + (expected - count.least);
        Claim {
            quantity: path,
            name: noun,
            unit: Unit::Count,
            expected,
            measured: Some(measured),
            interval: Some([(low - ROUNDING).max(-ROUNDING), high + ROUNDING]),
        }
    }

    /// What was counted, and the beats that were missed: they are the machine's or the client's
    /// slowness, and counted as such.
    fn measured(&self, quantity: Quantity) -> (u64, u64) {
        let (requests, events) = (&self.summary.requests, &self.summary.events);
        match quantity {
            Quantity::Requests => (sent(requests), requests.beats_missed),
            Quantity::Empty => (requests.empty, 0),
            Quantity::NotModified => (requests.not_modified, 0),
            Quantity::Messages => (self.summary.messages.total, 0),
            Quantity::Delivered => (events.delivered, 0),
            Quantity::Duplicated => (events.duplicated, 0),
            Quantity::Lost => (events.lost, 0),
        }
    }

    /// The requests expected if an exchange took no time, so that no beat is missed.
    fn unhurried(&self) -> Option<Count> {
        let hurried = Conditions { exchange: Duration::ZERO, ..self.conditions.clone() };
        self.form.predict(&hurried).count(Quantity::Requests).copied()
    }

    /// What is expected of all blocks, given the deliveries that were owed.
    fn over_blocks(&self, count: Count) -> Count {
        let more =
            self.summary.events.emitted as f64 - self.conditions.deliveries() * self.blocks();
        let all = |expected: f64| expected * self.blocks() + count.per_delivery * more;
        Count {
            expected: all(count.expected),
            least: all(count.least),
            most: all(count.most),
            ..count
        }
    }

    /// How far a count over all blocks may be from what is expected of it.
    fn allowed(&self, count: Count) -> f64 {
        let latency = &self.summary.latency;
        let under_way = self.conditions.rate.events_per_second()
            * Duration::from_nanos(latency.p50.or(latency.max).unwrap_or(0)).as_secs_f64();
        let edge = count.edge * (1.0 + count.per_delivery * (1.0 + 2.0 * under_way));
        ERRORS * count.deviation * self.blocks().sqrt() + self.parts() * edge
    }

    /// The form in words, with the bounds it has here.
    fn form_in_words(&self) -> String {
        let latency = &self.predicted.latency;
        let words = self.predicted.words;
        let time = |latency: Duration| words::time(nanoseconds(latency) as f64);
        let least = time(latency.min());
        match latency.max() {
            Some(longest) if longest > latency.min() => {
                format!("{words}; here from {least} to {}", time(longest))
            }
            Some(_) => format!("{words}; here {least}"),
            None if latency.min().is_zero() => words.to_owned(),
            None => format!("{words}; here at least {least}"),
        }
    }

    fn note(&self, claims: &[Claim], refuted: &[String], agrees: Option<bool>) -> String {
        let held = claims.iter().filter(|claim| claim.holds() == Some(true));
        let held: Vec<&str> = held.map(|claim| claim.name.as_str()).collect();
        let mut parts = refuted.to_vec();
        parts.push(self.form_in_words());
        if !held.is_empty() {
            parts.push(format!("borne out: {}", held.join(", ")));
        }
        if agrees.is_none() {
            parts.push(self.doubt().to_owned());
        }
        parts.join("; ")
    }

    /// Why latency is not judged.
    fn doubt(&self) -> &'static str {
        if !self.exchange_known {
            "not judged further, because no exchange was timed"
        } else if matches!(self.conditions.arrivals, Arrivals::Constant) {
            "latency not judged: evenly spaced events can lock onto the beat, so each block \
             and subscriber counts as one"
        } else if self.conditions.arrivals.has_independent_gaps() {
            "latency not judged: too few events, or a window of too few intervals"
        } else {
            "latency not judged: events that come together wait together, so each block and \
             subscriber counts as one"
        }
    }
}

/// Whether waits of many events are spread evenly over a gap: the window holds many gaps, or a
/// whole number. In a window of two thirds of a gap they are an accident of the first poll's phase.
fn are_whole(gaps: f64) -> bool {
    gaps >= MANY_GAPS || (gaps >= 1.0 && (gaps - gaps.round()).abs() <= 0.02 * gaps)
}

fn nanos(time: Duration) -> f64 {
    nanoseconds(time) as f64
}

/// Requests of every outcome. What is registered is registered before the window.
fn sent(requests: &Requests) -> u64 {
    requests.useful
        + requests.empty
        + requests.not_modified
        + requests.rate_limited
        + requests.streams
        + requests.overhead
        + requests.failed
}

/// Where the summary has it.
fn path(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Requests => "requests.total",
        Quantity::Empty => "requests.empty",
        Quantity::NotModified => "requests.not_modified",
        Quantity::Messages => "messages.total",
        Quantity::Delivered => "events.delivered",
        Quantity::Duplicated => "events.duplicated",
        Quantity::Lost => "events.lost",
    }
}

/// What is counted, in words.
fn noun(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Requests => "requests",
        Quantity::Empty => "empty requests",
        Quantity::NotModified => "requests answered 304",
        Quantity::Messages => "messages",
        Quantity::Delivered => "delivered events",
        Quantity::Duplicated => "copies beyond the first",
        Quantity::Lost => "lost events",
    }
}

/// The mean time of the exchanges in the window, whichever side started them.
pub(crate) fn mean_exchange(blocks: &[Block]) -> Option<Duration> {
    let sides = blocks
        .iter()
        .flat_map(|block| [&block.measured.source.window, &block.measured.subscriber.window]);
    let (time, count) = sides.fold((0_u128, 0_u128), |(time, count), side| {
        (time + u128::from(side.exchange_ns), count + u128::from(side.exchanges_timed))
    });
    let mean = time.checked_div(count)?;
    Some(Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)))
}
