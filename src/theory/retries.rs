//! Attempts to deliver an event that may fail: one after the other, until one succeeds.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Conditions;
use super::latency::{Latency, Share};
use super::prediction::{Count, Prediction, Quantity};
use crate::schedule::random_stream;

/// How often jittered waits are drawn. They are averaged over, since there is no closed form.
const DRAWS: u32 = 256;

/// Parts that the latency of a jittered attempt is made of.
const PARTS: u32 = 16;

/// How failed attempts are repeated, and what makes them fail.
///
/// Attempts fail with p and lose their answer with q, and every attempt that arrives in an outage
/// fails. With f = p + (1 − p)q and N attempts there are (1 − f^N)/(1 − f) attempts an event,
/// (1 − p)(1 − f^N)/(1 − f) − (1 − p^N) copies beyond the first, and p^N lost, where nothing else
/// happens. The first copy comes with attempt n with p^(n−1)(1 − p), after the failed attempts
/// and the waits between. In an outage \[o, o + D) an event due at t comes with the first attempt
/// at or after o + D, and is lost if the schedule is shorter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Retries {
    /// The longest waits before the second attempt and all that follow, in nanoseconds.
    pub waits: Vec<u64>,
    /// The shortest that jitter makes them, each uniform in between; empty without jitter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortest: Vec<u64>,
    /// Whether waits begin with the first attempt, and not with the failure before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub from_first: bool,
    /// The share p of attempts that fail before the subscriber has the event.
    pub failing: f64,
    /// The share q of the others whose answer is lost.
    pub unanswered: f64,
    /// A time in which every attempt fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it might skip")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A time in which every attempt fails, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outage {
    /// When it begins, from the start of the schedule, the warm-up included.
    pub at: u64,
    /// How long it lasts.
    pub lasts: u64,
}

/// What one attempt takes, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// From its beginning to its arrival.
    pub(crate) there: f64,
    /// From its beginning to the end of one that fails.
    pub(crate) whole: f64,
    /// From its arrival to the moment its event is usable.
    pub(crate) handle: f64,
}

/// What becomes of the events of a window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The latency of the shares of events that arrive; they add up to one without losses.
    pub(crate) arriving: Vec<Share>,
    /// Attempts in the window, for each event of it.
    requests: Moments,
    /// Events lost, of one.
    lost: Moments,
    /// Copies beyond the first, of one.
    copies: Moments,
    /// Events that may fall to either side of an outage's edges.
    edge: f64,
}

/// Something each event has a number of, the mean of which depends on when it is due.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    /// The mean of the means.
    mean: f64,
    /// The mean of their squares.
    mean_squared: f64,
    /// The mean of the variances about them.
    variance: f64,
}

impl Moments {
    fn add(&mut self, share: f64, mean: f64, square: f64) {
        self.mean += share * mean;
        self.mean_squared += share * mean * mean;
        self.variance += share * (square - mean * mean).max(0.0);
    }

    /// The number of all events of a window. Events deviate independently of each other. What
    /// depends on when an event is due happens to it at every subscriber alike.
    fn count(self, conditions: &Conditions) -> Count {
        let subscribers = f64::from(conditions.subscribers);
        let deliveries = conditions.deliveries();
        let alike = (self.mean_squared - self.mean * self.mean).max(0.0) * subscribers;
        let deviation = (deliveries * (alike + self.variance)).sqrt();
        Count { edge: 0.0, ..Count::per_delivery(self.mean, conditions).deviating(deviation) }
    }
}

/// Moments at which what becomes of an event changes, in seconds from the start of the schedule.
struct Edges {
    outage: (f64, f64),
    window: (f64, f64),
    /// After which nothing counts as arrived.
    end: f64,
}

impl Edges {
    fn of(outage: Option<Outage>, conditions: &Conditions) -> Edges {
        let outage = outage
            .map_or((0.0, 0.0), |Outage { at, lasts }| (seconds(at), seconds(at) + seconds(lasts)));
        let start = conditions.warm_up.as_secs_f64();
        let end = start + conditions.window.as_secs_f64();
        Edges { outage, window: (start, end), end: end + conditions.drain.as_secs_f64() }
    }
}

impl Retries {
    /// Whether subscribers meet the same failures, because it is time that makes them.
    pub(crate) fn fail_together(&self) -> bool {
        self.outage.is_some()
    }

    /// Attempts an event takes if nothing but chance makes them fail: Σ f^n.
    pub(crate) fn attempts_per_event(&self) -> f64 {
        let repeated = self.failing + (1.0 - self.failing) * self.unanswered;
        (0..=self.waits.len()).fold((0.0, 1.0), |(sum, more), _| (sum + more, more * repeated)).0
    }

    /// What becomes of the events of a window, whenever they are due in it.
    ///
    /// Between two edges an event's attempts meet the same fates, so that sums over all events
    /// are exact; jittered waits are drawn.
    pub(crate) fn outcome(&self, conditions: &Conditions, attempt: Attempt) -> Outcome {
        let draws = if self.shortest.is_empty() { 1 } else { DRAWS };
        let mut random = random_stream(0, 0);
        let edges = Edges::of(self.outage, conditions);
        let edge = if self.outage.is_some() { 1.0 } else { 0.0 };
        let mut outcome = Outcome { edge, ..Outcome::default() };
        let mut first: Vec<Vec<(f64, f64)>> = vec![Vec::new(); self.waits.len() + 1];
        for _ in 0..draws {
            let begun = self.beginnings(attempt, || random.random::<f64>());
            let draw = Draw { retries: self, attempt, edges: &edges, begun: &begun };
            draw.add(1.0 / f64::from(draws), &mut outcome, &mut first);
        }
        outcome.arriving = first.iter().flat_map(|latencies| parts(latencies)).collect();
        outcome
    }

    /// When each attempt begins, in seconds after the first.
    fn beginnings(&self, attempt: Attempt, mut random: impl FnMut() -> f64) -> Vec<f64> {
        let mut begun = vec![0.0];
        let mut last = 0.0;
        for (number, longest) in self.waits.iter().enumerate() {
            let shortest = self.shortest.get(number).unwrap_or(longest);
            let wait = seconds(*shortest) + random() * seconds(longest - longest.min(shortest));
            let failed = last + attempt.whole;
            last = if self.from_first { failed.max(wait) } else { failed + wait };
            begun.push(last);
        }
        begun
    }
}

/// Attempts whose waits are known.
struct Draw<'a> {
    retries: &'a Retries,
    attempt: Attempt,
    edges: &'a Edges,
    begun: &'a [f64],
}

impl Draw<'_> {
    /// Adds what becomes of events due at any time up to the window's end.
    fn add(&self, share: f64, outcome: &mut Outcome, first: &mut [Vec<(f64, f64)>]) {
        let (start, end) = self.edges.window;
        for part in self.changes().windows(2) {
            let (from, to) = (part[0], part[1]);
            let weight = share * (to - from) / (end - start);
            self.meet(f64::midpoint(from, to), weight, outcome, first);
        }
    }

    /// The moments between which it does not matter when an event is due.
    fn changes(&self) -> Vec<f64> {
        let Attempt { there, whole, handle } = self.attempt;
        let Edges { outage, window, end } = *self.edges;
        let mut changes = vec![0.0, window.0, window.1];
        for begun in self.begun {
            let arrives = begun + there;
            changes.extend([outage.0, outage.1].map(|edge| edge - arrives));
            changes.extend([window.0, window.1].map(|edge| edge - begun - whole));
            changes.push(end - arrives - handle);
        }
        changes.retain(|change| (0.0..=window.1).contains(change));
        changes.sort_by(f64::total_cmp);
        changes.dedup();
        changes
    }

    /// Follows the attempts of an event that is due at a moment.
    fn meet(&self, due: f64, weight: f64, outcome: &mut Outcome, first: &mut [Vec<(f64, f64)>]) {
        let Edges { outage, window, end } = *self.edges;
        let Attempt { there, whole, handle } = self.attempt;
        let owed = due >= window.0;
        // Attempts in the window, and all of them.
        let (mut inside, mut all) = (Number::default(), Number::default());
        // How sure it is that there is a further attempt, and that nothing arrived before it.
        let (mut reached, mut missing, mut copies, mut lost) = (1.0, 1.0, 0.0, 1.0);
        for (number, begun) in self.begun.iter().enumerate() {
            let arrives = due + begun + there;
            let out = (outage.0..outage.1).contains(&arrives);
            let failing = if out { 1.0 } else { self.retries.failing };
            all.add(reached);
            if (window.0..window.1).contains(&(due + begun + whole)) {
                inside.add(reached);
            }
            if arrives + handle < end {
                copies += reached * (1.0 - failing);
                lost -= missing * (1.0 - failing);
                if owed && missing * (1.0 - failing) > 0.0 {
                    first[number]
                        .push((begun + there + handle, weight * missing * (1.0 - failing)));
                }
            }
            missing *= failing;
            reached *= failing + (1.0 - failing) * self.retries.unanswered;
        }
        outcome.requests.add(weight, inside.mean, inside.square);
        if owed {
            let lost = lost.clamp(0.0, 1.0);
            outcome.lost.add(weight, lost, lost);
            // Copies are at most the attempts beyond the first.
            let beyond = (copies - (1.0 - lost)).max(0.0);
            let square = all.square - 2.0 * all.mean + 1.0;
            // Where there are none, adding up fractions leaves next to nothing.
            outcome.copies.add(weight, beyond, if beyond > 1e-9 { square } else { 0.0 });
        }
    }
}

/// A number of attempts, each of which is less sure than the one before.
#[derive(Default)]
struct Number {
    counted: f64,
    mean: f64,
    square: f64,
}

impl Number {
    /// One more, with a probability: E\[A²\] = Σ P(A > n)·(2n + 1).
    fn add(&mut self, probability: f64) {
        self.mean += probability;
        self.square += probability * (2.0 * self.counted + 1.0);
        self.counted += 1.0;
    }
}

impl Outcome {
    /// The share of events that arrive.
    pub(crate) fn arrived(&self) -> f64 {
        self.arriving.iter().map(|share| share.weight).sum()
    }

    /// Latency of the events that arrive; a bound if there are none.
    pub(crate) fn latency(&self, least: Duration) -> Latency {
        if self.arriving.is_empty() {
            return Latency::AtLeast(least);
        }
        Latency::Mixture(self.arriving.clone())
    }

    /// Adds attempts, copies and losses.
    pub(crate) fn counts(&self, prediction: Prediction, conditions: &Conditions) -> Prediction {
        let requests = Count { edge: 1.0 + self.edge, ..self.requests.count(conditions) };
        let lost = Count { edge: self.edge, ..self.lost.count(conditions) };
        prediction
            .with(Quantity::Requests, requests)
            .with(Quantity::Duplicated, self.copies.count(conditions))
            .with(Quantity::Lost, lost)
    }
}

/// The latencies of one attempt, as few parts.
fn parts(latencies: &[(f64, f64)]) -> Vec<Share> {
    let (least, most) = latencies
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(least, most), (at, _)| (least.min(*at), most.max(*at)));
    let width = (most - least) / f64::from(PARTS);
    let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if latencies.is_empty() || width < 1e-9 {
        let weight = latencies.iter().map(|(_, weight)| weight).sum();
        let share = Share { weight, from: time(least), to: time(least) };
        return if latencies.is_empty() { Vec::new() } else { vec![share] };
    }
    let edge = |part: u32| least + width * f64::from(part);
    let mut shares: Vec<Share> = (0..PARTS)
        .map(|part| Share { weight: 0.0, from: time(edge(part)), to: time(edge(part + 1)) })
        .collect();
    for (at, weight) in latencies {
        let place = (1..PARTS).take_while(|part| edge(*part) <= *at).count();
        shares[place].weight += weight;
    }
    shares.retain(|share| share.weight > 0.0);
    shares
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
