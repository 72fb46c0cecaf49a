//! The closed form beside the measurement, and whether the two agree.
//!
//! Tolerances. The *mean latency* of n independent waits of standard deviation σ has the standard
//! error σ/√n, for waits uniform over a gap G that is G/√(12·n); three of them, and 1 ms or 2 %
//! for timers and scheduling, are allowed. With constant arrivals waits repeat, so each block and
//! subscriber counts as one wait. *Counts* are allowed three of the form's standard deviations
//! and one a subscriber and block, since a beat on the edge of a window falls to either side;
//! a form says how far slower exchanges may take it, and beats that were missed count as if they
//! had been polled: they are reported for what they are. Counts that follow the events are
//! judged by the deliveries there were; what is under way when a window opens or closes is
//! counted on one side of it only.

#[cfg(test)]
mod tests;
mod waits;

use std::time::Duration;

use crate::analysis::evidence::Block;
use crate::analysis::summary::{Model, Requests, StrategySummary};
use crate::analysis::words;
use crate::record::manifest::PlannedWorkload;
use crate::record::trial::StrategyRecord;
use crate::schedule::Arrivals;
use crate::theory::latency::Latency;
use crate::theory::prediction::{Count, Prediction, Quantity};
use crate::theory::{Conditions, Form, SLACK, Theory};
use crate::units::nanoseconds;

pub(crate) use self::waits::WaitFit;

/// Independent waits below which a mean is not judged.
pub(crate) const ENOUGH: f64 = 30.0;

/// Gaps in a window from which on a part of a gap more does not matter.
const MANY_GAPS: f64 = 30.0;

/// What timers and scheduling may add to a latency, as a share of it.
const SLACK_SHARE: f64 = 0.02;

/// A strategy with a closed form, and the conditions it was measured under.
pub(crate) struct Observed<'a> {
    form: &'a dyn Form,
    conditions: Conditions,
    /// Whether the time of an exchange is known, or nothing depends on it.
    exchange_known: bool,
    /// Whether it is polled at intervals, so that waits are spread evenly over them.
    polled: bool,
    /// Measured trials.
    blocks: f64,
    summary: &'a StrategySummary,
    predicted: Prediction,
}

/// One thing a closed form says, and whether the measurement bears it out.
struct Claim {
    words: String,
    holds: bool,
}

impl<'a> Observed<'a> {
    /// `None` without a closed form or a measured block.
    pub(crate) fn of(
        summary: &'a StrategySummary,
        strategy: &'a StrategyRecord,
        workload: &PlannedWorkload,
        blocks: &[Block],
    ) -> Option<Observed<'a>> {
        let theory = strategy.theory.as_ref()?;
        let form = theory.form();
        let exchange = mean_exchange(blocks);
        let conditions = Conditions {
            rate: workload.rate,
            arrivals: workload.arrivals.clone(),
            window: workload.window,
            subscribers: strategy.subscribers,
            exchange: exchange.unwrap_or_default(),
            rtt: workload.rtt,
            server: Duration::ZERO,
            set_up: strategy.set_up,
            request_way: None,
        };
        (!blocks.is_empty()).then(|| Observed {
            form,
            predicted: form.predict(&conditions),
            conditions,
            exchange_known: exchange.is_some() || form.holds(),
            polled: matches!(theory, Theory::IntervalPoll(_)),
            blocks: blocks.len() as f64,
            summary,
        })
    }

    /// The distribution of latency the closed form claims.
    pub(crate) fn predicted_latency(&self) -> Latency {
        self.predicted.latency.clone()
    }

    /// Compares the closed form with the measurement.
    pub(crate) fn compare(&self) -> Model {
        let waits = self.independent_waits();
        let counts = self.predicted.counts.iter();
        let mut claims: Vec<Claim> =
            counts.map(|(quantity, count)| self.counted(*quantity, *count)).collect();
        claims.extend(self.mean_latency(waits));
        let refuted = claims.iter().any(|claim| !claim.holds);
        let agrees = match (refuted, self.exchange_known && waits >= ENOUGH) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
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
            agrees,
            note: self.note(&claims, agrees),
        }
    }

    /// Subscribers times blocks: what an uncertainty of one each adds up to.
    fn parts(&self) -> f64 {
        f64::from(self.conditions.subscribers) * self.blocks
    }

    /// Waits that do not depend on each other.
    pub(crate) fn independent_waits(&self) -> f64 {
        let latency = &self.predicted.latency;
        let count = self.summary.latency.count as f64;
        let Some(longest) = latency.max().filter(|longest| *longest > latency.min()) else {
            // Nothing waits for a beat.
            return count;
        };
        // Where events know of each other they may all meet one phase of the beat.
        let moments = self.conditions.arrivals.independent_moments(count);
        let whole = self.covers_whole_gaps(longest.saturating_sub(latency.min()));
        moments.filter(|_| whole).unwrap_or_else(|| self.parts())
    }

    /// Whether waits are uniform over a gap: the window holds many gaps, or a whole number.
    /// In a window of two thirds of a gap they are an accident of the first poll's phase.
    fn covers_whole_gaps(&self, gap: Duration) -> bool {
        let gaps = self.conditions.window.as_secs_f64() / gap.as_secs_f64();
        gaps >= MANY_GAPS || (gaps >= 1.0 && (gaps - gaps.round()).abs() <= 0.02 * gaps)
    }

    /// The mean against the form's, or against the least that any event takes.
    fn mean_latency(&self, waits: f64) -> Option<Claim> {
        let latency = &self.predicted.latency;
        let mean = self.summary.latency.mean? as f64;
        let Some((expected, deviation)) = latency.mean().zip(latency.deviation()) else {
            let least = nanoseconds(latency.min()) as f64;
            return (least > 0.0).then(|| Claim {
                words: format!("mean latency {}", words::time(mean)),
                // The two ways of an exchange need not be equally long.
                holds: mean >= least / 2.0,
            });
        };
        let (expected, deviation) = (nanoseconds(expected) as f64, nanoseconds(deviation) as f64);
        let slack = (nanoseconds(SLACK) as f64).max(SLACK_SHARE * expected);
        let allowed = 3.0 * deviation / waits.sqrt() + slack;
        (waits >= ENOUGH).then(|| Claim {
            words: format!(
                "mean latency {} against {} ± {}",
                words::time(mean),
                words::time(expected),
                words::time(allowed)
            ),
            holds: (mean - expected).abs() <= allowed,
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
        let also = match missed {
            0 => String::new(),
            1 => " and 1 missed beat".to_owned(),
            missed => format!(" and {missed} missed beats"),
        };
        let (count, allowed) = (self.over_blocks(count), self.allowed(count));
        let (noun, expected) = (noun(quantity), count.expected);
        Claim {
            words: format!("{measured} {noun}{also} against {expected:.1} ± {allowed:.1}"),
            holds: (count.least - allowed..=count.most + allowed)
                .contains(&((measured + missed) as f64)),
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
        let more = self.summary.events.emitted as f64 - self.conditions.deliveries() * self.blocks;
        let all = |expected: f64| expected * self.blocks + count.per_delivery * more;
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
        3.0 * count.deviation * self.blocks.sqrt() + self.parts() * edge
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

    fn note(&self, claims: &[Claim], agrees: Option<bool>) -> String {
        let list = |holds| -> Vec<&str> {
            let chosen = claims.iter().filter(|claim| claim.holds == holds);
            chosen.map(|claim| claim.words.as_str()).collect()
        };
        let (held, refuted) = (list(true), list(false));
        let mut parts = vec![self.form_in_words()];
        if !refuted.is_empty() {
            parts.push(format!("not borne out: {}", refuted.join(", ")));
        }
        if !held.is_empty() {
            parts.push(format!("borne out: {}", held.join(", ")));
        }
        if agrees.is_none() {
            parts.push(self.doubt().to_owned());
        }
        parts.join("; ")
    }

    /// Why the mean latency is not judged.
    fn doubt(&self) -> &'static str {
        if !self.exchange_known {
            "not judged further, because no exchange was timed"
        } else if matches!(self.conditions.arrivals, Arrivals::Constant) {
            "mean latency not judged: evenly spaced events can lock onto the beat, so each block \
             and subscriber counts as one"
        } else if self.conditions.arrivals.has_independent_gaps() {
            "mean latency not judged: too few events, or a window of too few intervals"
        } else {
            "mean latency not judged: events that come together wait together, so each block and \
             subscriber counts as one"
        }
    }
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

/// What is counted, in words.
fn noun(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Requests => "requests",
        Quantity::Empty => "empty",
        Quantity::NotModified => "answered 304",
        Quantity::Messages => "messages",
        Quantity::Delivered => "delivered",
        Quantity::Duplicated => "duplicates",
        Quantity::Lost => "lost",
    }
}

/// The mean time of the exchanges in the window, whichever side started them.
fn mean_exchange(blocks: &[Block]) -> Option<Duration> {
    let sides = blocks
        .iter()
        .flat_map(|block| [&block.measured.source.window, &block.measured.subscriber.window]);
    let (time, count) = sides.fold((0_u128, 0_u128), |(time, count), side| {
        (time + u128::from(side.exchange_ns), count + u128::from(side.exchanges_timed))
    });
    let mean = time.checked_div(count)?;
    Some(Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)))
}
