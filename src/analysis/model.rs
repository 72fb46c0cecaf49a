//! The closed form beside the measurement, and whether the two agree.
//!
//! Tolerances. A *mean latency* of n independent waits, uniform over a gap G, has the standard
//! error G/√(12·n); three of them, and 1 ms or 2 % for timers and scheduling, are allowed.
//! Of a batch one wait counts. Where events know of each other they may meet the beat together,
//! so each block and subscriber counts as one wait.
//! *Requests* and *empty* exchanges are allowed three of the form's standard deviations and one
//! a subscriber and block, since a beat on the edge of a window falls to either side;
//! fixed-delay polls may be 1 ms apart more than theory says, and beats that were missed count
//! as if they had been polled: they are reported for what they are.

use std::time::Duration;

use super::evidence::Block;
use super::summary::{Model, StrategySummary};
use super::words;
use crate::record::manifest::PlannedWorkload;
use crate::record::trial::StrategyRecord;
use crate::schedule::Arrivals;
use crate::theory::{Beat, Conditions, Count, Latency, Prediction, Theory};
use crate::units::nanoseconds;

/// Independent waits below which a mean is not judged.
const ENOUGH: f64 = 30.0;

/// Gaps in a window from which on a part of a gap more does not matter.
const MANY_GAPS: f64 = 30.0;

/// What timers and scheduling may add to a latency or a gap, in nanoseconds.
const SLACK: f64 = 1e6;

/// What timers and scheduling may add to a latency, as a share of it.
const SLACK_SHARE: f64 = 0.02;

/// A strategy with a closed form, and the conditions it was measured under.
pub(crate) struct Observed<'a> {
    theory: &'a Theory,
    conditions: Conditions,
    /// Whether any exchange was timed; without one, an exchange counts as no time.
    exchange_known: bool,
    /// Measured trials.
    blocks: f64,
    summary: &'a StrategySummary,
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
        let exchange = mean_exchange(blocks);
        let conditions = Conditions {
            rate: workload.rate,
            arrivals: workload.arrivals.clone(),
            window: workload.window,
            subscribers: strategy.subscribers,
            exchange: exchange.unwrap_or_default(),
        };
        (!blocks.is_empty()).then_some(Observed {
            theory,
            conditions,
            exchange_known: exchange.is_some(),
            blocks: blocks.len() as f64,
            summary,
        })
    }

    /// The distribution of latency the closed form claims.
    pub(crate) fn predicted_latency(&self) -> Latency {
        self.theory.predict(&self.conditions).latency
    }

    /// Compares the closed form with the measurement.
    pub(crate) fn compare(&self) -> Model {
        let predicted = self.theory.predict(&self.conditions);
        let (form, claims, waits) = match *self.theory {
            Theory::IntervalPoll { beat, .. } => self.polling(&predicted, beat),
            Theory::Push => self.pushing(&predicted),
        };
        let refuted = claims.iter().any(|claim| !claim.holds);
        let agrees = match (refuted, self.exchange_known && waits >= ENOUGH) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        let quantile = |p| predicted.latency.quantile(p).map(nanoseconds);
        let requests = self.expected_requests(&predicted);
        Model {
            latency_mean: predicted.latency.mean().map(nanoseconds),
            latency_p50: quantile(0.5),
            latency_p99: quantile(0.99),
            requests,
            empty: predicted.empty.map(|empty| empty.expected * self.blocks),
            agrees,
            note: self.note(form, &claims, agrees),
        }
    }

    /// Exchanges inside the windows of all blocks.
    fn expected_requests(&self, predicted: &Prediction) -> f64 {
        match self.theory {
            Theory::IntervalPoll { .. } => predicted.requests.expected * self.blocks,
            // One request per delivery: of the events there were, not of those expected.
            Theory::Push => self.summary.events.emitted as f64,
        }
    }

    /// Subscribers times blocks: what an uncertainty of one each adds up to.
    fn parts(&self) -> f64 {
        f64::from(self.conditions.subscribers) * self.blocks
    }

    /// The form in words, its claims, and the number of independent waits behind the mean.
    fn polling(&self, predicted: &Prediction, beat: Beat) -> (String, Vec<Claim>, f64) {
        let Latency::Uniform { from, to } = predicted.latency else {
            return ("fixed-interval polling".to_owned(), Vec::new(), 0.0);
        };
        let (from, to) = (nanoseconds(from) as f64, nanoseconds(to) as f64);
        let form = format!(
            "fixed-interval polling: latency is uniform on [d, G + d] from {} to {}, where G is \
             the time from one read of the source to the next and d half an exchange",
            words::time(from),
            words::time(to)
        );
        // Where events know of each other they may all meet one phase of the beat.
        let moments =
            self.conditions.arrivals.independent_moments(self.summary.latency.count as f64);
        let waits =
            moments.filter(|_| self.covers_whole_gaps(to - from)).unwrap_or_else(|| self.parts());
        let mut claims = vec![self.polls(predicted, beat, to - from)];
        claims.extend(predicted.empty.map(|empty| self.empty_polls(empty)));
        if let Some(mean) = self.summary.latency.mean.filter(|_| waits >= ENOUGH) {
            let expected = f64::midpoint(from, to);
            let allowed =
                3.0 * (to - from) / (12.0 * waits).sqrt() + SLACK.max(SLACK_SHARE * expected);
            let mean = mean as f64;
            claims.push(Claim {
                words: format!(
                    "mean latency {} against {} ± {}",
                    words::time(mean),
                    words::time(expected),
                    words::time(allowed)
                ),
                holds: (mean - expected).abs() <= allowed,
            });
        }
        (form, claims, waits)
    }

    /// Whether waits are uniform over a gap: the window holds many gaps, or a whole number.
    /// In a window of two thirds of a gap they are an accident of the first poll's phase.
    fn covers_whole_gaps(&self, gap: f64) -> bool {
        let gaps = nanoseconds(self.conditions.window) as f64 / gap.max(1.0);
        gaps >= MANY_GAPS || (gaps >= 1.0 && (gaps - gaps.round()).abs() <= 0.02 * gaps)
    }

    fn polls(&self, predicted: &Prediction, beat: Beat, gap: f64) -> Claim {
        let requests = &self.summary.requests;
        let sent = requests.useful + requests.empty + requests.failed;
        // A missed beat is the machine's or the client's slowness, and counted as such.
        let measured = (sent + requests.beats_missed) as f64;
        let missed = match requests.beats_missed {
            0 => String::new(),
            1 => " and 1 missed beat".to_owned(),
            missed => format!(" and {missed} missed beats"),
        };
        // With missed beats counted, it is the beats of the clock that are compared.
        let beats = match beat {
            Beat::FixedRate if requests.beats_missed > 0 => self.unhurried().requests,
            _ => predicted.requests,
        };
        let expected = beats.expected * self.blocks;
        let slowest = match (beat, self.theory) {
            // Back to back, whatever is done between two exchanges makes polls fewer.
            (_, Theory::IntervalPoll { every, .. }) if every.is_zero() => 0.0,
            (Beat::FixedRate, _) => expected,
            (Beat::FixedDelay, _) => expected * gap / (gap + SLACK),
        };
        let allowed = self.allowed(beats);
        Claim {
            words: format!("{sent} requests{missed} against {expected:.1} ± {allowed:.1}"),
            holds: (slowest - allowed..=expected + allowed).contains(&measured),
        }
    }

    fn empty_polls(&self, predicted: Count) -> Claim {
        let allowed = self.allowed(predicted);
        let measured = self.summary.requests.empty as f64;
        let expected = predicted.expected * self.blocks;
        // Gaps that are longer than theory says hold an event more often, and are fewer.
        let fewest = match self.theory {
            Theory::IntervalPoll { every, .. } if every.is_zero() => 0.0,
            Theory::IntervalPoll { beat: Beat::FixedDelay, .. } => {
                let exchange = self.conditions.exchange + Duration::from_millis(1);
                let slower = Conditions { exchange, ..self.conditions.clone() };
                let slower = self.theory.predict(&slower).empty.unwrap_or(predicted);
                slower.expected * self.blocks
            }
            _ => expected,
        };
        Claim {
            words: format!("{measured} empty against {expected:.1} ± {allowed:.1}"),
            holds: (fewest.min(expected) - allowed..=expected + allowed).contains(&measured),
        }
    }

    /// The prediction if an exchange took no time, so that no beat is missed.
    fn unhurried(&self) -> Prediction {
        self.theory.predict(&Conditions { exchange: Duration::ZERO, ..self.conditions.clone() })
    }

    /// How far a count over all blocks may be from what is expected of it.
    fn allowed(&self, count: Count) -> f64 {
        3.0 * count.deviation * self.blocks.sqrt() + self.parts()
    }

    fn pushing(&self, predicted: &Prediction) -> (String, Vec<Claim>, f64) {
        let Latency::AtLeast(one_way) = predicted.latency else {
            return ("push".to_owned(), Vec::new(), 0.0);
        };
        let one_way = nanoseconds(one_way) as f64;
        let form = format!(
            "push: one request per event as it happens, latency at least one way, half an \
             exchange, of {}",
            words::time(one_way)
        );
        let (events, latency) = (&self.summary.events, &self.summary.latency);
        let copies = (events.delivered + events.duplicated) as f64;
        let requests = self.summary.requests.useful as f64;
        // What is under way when the window opens or closes is counted on one side of it only.
        let under_way = self.conditions.rate.events_per_second()
            * Duration::from_nanos(latency.p50.or(latency.max).unwrap_or(0)).as_secs_f64();
        let allowed = 2.0 * self.parts() * (1.0 + under_way);
        let mut claims = vec![Claim {
            words: format!("{requests} requests for {copies} deliveries"),
            holds: (requests - copies).abs() <= allowed,
        }];
        if let Some(mean) = latency.mean {
            let mean = mean as f64;
            claims.push(Claim {
                words: format!("mean latency {}", words::time(mean)),
                // The two ways of an exchange need not be equally long.
                holds: mean >= one_way / 2.0,
            });
        }
        (form, claims, events.delivered as f64)
    }

    fn note(&self, form: String, claims: &[Claim], agrees: Option<bool>) -> String {
        let list = |holds| -> Vec<&str> {
            let chosen = claims.iter().filter(|claim| claim.holds == holds);
            chosen.map(|claim| claim.words.as_str()).collect()
        };
        let (held, refuted) = (list(true), list(false));
        let mut parts = vec![form];
        if !refuted.is_empty() {
            parts.push(format!("not borne out: {}", refuted.join(", ")));
        }
        if !held.is_empty() {
            parts.push(format!("borne out: {}", held.join(", ")));
        }
        if agrees.is_none() {
            let doubt = match (self.exchange_known, &self.conditions.arrivals) {
                (false, _) => "not judged further, because no exchange was timed",
                (true, Arrivals::Constant) => {
                    "mean latency not judged: evenly spaced events can lock onto the beat, so \
                     each block and subscriber counts as one"
                }
                (true, arrivals)
                    if *self.theory == Theory::Push || arrivals.has_independent_gaps() =>
                {
                    "mean latency not judged: too few events, or a window of too few intervals"
                }
                (true, _) => {
                    "mean latency not judged: events that come together wait together, so each \
                     block and subscriber counts as one"
                }
            };
            parts.push(doubt.to_owned());
        }
        parts.join("; ")
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

#[cfg(test)]
mod tests {
    use super::Observed;
    use crate::analysis::evidence::StrategyEvidence;
    use crate::analysis::evidence::tests::evidence;
    use crate::analysis::summary::Model;
    use crate::record::manifest::PlannedWorkload;
    use crate::record::trial::StrategyRecord;
    use crate::schedule::Arrivals;
    use crate::theory::{Beat, Theory};
    use std::time::Duration;

    const POLL: Theory = Theory::IntervalPoll {
        every: Duration::from_millis(250),
        beat: Beat::FixedRate,
        limit: 100,
    };

    struct Case {
        strategy: StrategyEvidence,
        workload: PlannedWorkload,
        theory: Theory,
    }

    impl Case {
        fn of(index: usize, theory: Theory) -> Case {
            let strategy = evidence().points.remove(0).strategies.remove(index);
            let asked = strategy.blocks[0].workload.clone();
            let workload = PlannedWorkload {
                rate: asked.rate,
                arrivals: asked.arrivals,
                payload: asked.payload,
                warm_up: asked.warm_up,
                window: asked.window,
                drain: Duration::ZERO,
                rtt: asked.rtt,
            };
            Case { strategy, workload, theory }
        }

        fn poll() -> Case {
            Case::of(0, POLL)
        }

        fn push() -> Case {
            Case::of(1, Theory::Push)
        }

        fn model(&self) -> Model {
            let summary = &self.strategy.summary;
            let record = StrategyRecord {
                name: summary.name.clone(),
                mechanism: summary.mechanism.clone(),
                subscribers: summary.subscribers,
                settings: serde_json::Value::Null,
                promise: crate::promise::Promise::COMPLETE,
                theory: Some(self.theory.clone()),
            };
            Observed::of(summary, &record, &self.workload, &self.strategy.blocks)
                .expect("measured")
                .compare()
        }
    }

    #[test]
    fn an_ideal_poll_agrees_and_its_form_is_explained() {
        let model = Case::poll().model();
        assert_eq!(model.agrees, Some(true), "{}", model.note);
        assert_eq!(model.latency_mean, Some(125_150_000));
        assert_eq!(model.latency_p99, Some(247_650_000));
        assert!((model.requests - 64.0).abs() < 1e-9);
        assert!(model.note.starts_with("fixed-interval polling: latency is uniform on [d, G + d]"));
    }

    #[test]
    fn a_mean_outside_its_tolerance_disagrees() {
        let mut case = Case::poll();
        // About 320 waits: 3 · 250 ms / √(12 · 320) + 2.5 ms is 14.6 ms.
        case.strategy.summary.latency.mean = Some(142_000_000);
        assert_eq!(case.model().agrees, Some(false));
        case.strategy.summary.latency.mean = Some(136_000_000);
        assert_eq!(case.model().agrees, Some(true));
    }

    #[test]
    fn polls_too_few_and_too_many_disagree() {
        let mut case = Case::poll();
        let requests = case.strategy.summary.requests;
        case.strategy.summary.requests.useful = requests.useful - 4;
        assert_eq!(case.model().agrees, Some(false));
        case.strategy.summary.requests.useful = requests.useful + 4;
        assert_eq!(case.model().agrees, Some(false));
        case.strategy.summary.requests.useful = requests.useful + 1;
        assert_eq!(case.model().agrees, Some(true));
        case.strategy.summary.requests.useful = requests.useful;
        case.strategy.summary.requests.empty += 20;
        assert_eq!(case.model().agrees, Some(false));
    }

    #[test]
    fn missed_beats_explain_missing_polls_and_are_said() {
        let mut case = Case::poll();
        case.strategy.summary.requests.useful -= 4;
        case.strategy.summary.requests.beats_missed = 4;
        let model = case.model();
        assert_eq!(model.agrees, Some(true));
        assert!(model.note.contains("and 4 missed beats against 64.0"), "{}", model.note);
    }

    #[test]
    fn slow_exchanges_are_judged_by_the_beats_of_the_clock() {
        // Every exchange takes a beat and a half: one beat is polled, the next is missed.
        let mut case = Case::poll();
        for block in &mut case.strategy.blocks {
            let window = &mut block.measured.subscriber.window;
            window.exchange_ns = window.exchanges_timed * 375_000_000;
        }
        case.strategy.summary.requests.useful = 32;
        case.strategy.summary.requests.empty = 0;
        case.strategy.summary.requests.beats_missed = 32;
        let note = case.model().note;
        assert!(note.contains("borne out: 32 requests and 32 missed beats against 64.0"), "{note}");
    }

    #[test]
    fn back_to_back_polls_may_be_fewer_and_not_more_than_exchanges_fit() {
        let theory =
            Theory::IntervalPoll { every: Duration::ZERO, beat: Beat::FixedRate, limit: 100 };
        let mut case = Case::of(0, theory);
        let refutes_requests = |case: &Case| {
            let note = case.model().note;
            note.split("; ")
                .any(|part| part.starts_with("not borne out") && part.contains("requests"))
        };
        assert!(!refutes_requests(&case), "{}", case.model().note);
        case.strategy.summary.requests.useful = 1_000_000_000;
        assert!(refutes_requests(&case));
    }

    #[test]
    fn a_window_of_a_part_of_an_interval_does_not_judge_the_mean() {
        let mut case = Case::poll();
        case.workload.window = Duration::from_millis(375);
        case.strategy.summary.requests.useful = 3;
        case.strategy.summary.requests.empty = 0;
        let model = case.model();
        assert!(model.note.contains("a window of too few intervals"), "{}", model.note);
        assert!(!model.note.contains("mean latency 1"), "{}", model.note);
    }

    #[test]
    fn too_few_events_are_not_judged() {
        let mut case = Case::poll();
        case.strategy.summary.latency.count = 29;
        let model = case.model();
        assert_eq!(model.agrees, None);
        assert!(model.note.contains("too few"), "{}", model.note);
    }

    #[test]
    fn evenly_spaced_events_count_once_a_block() {
        let mut case = Case::poll();
        case.workload.arrivals = Arrivals::Constant;
        let model = case.model();
        assert_eq!(model.agrees, None);
        assert!(model.note.contains("lock onto the beat"), "{}", model.note);
    }

    #[test]
    fn untimed_exchanges_leave_the_form_unjudged() {
        let mut case = Case::poll();
        for block in &mut case.strategy.blocks {
            block.measured.subscriber.window.exchanges_timed = 0;
            block.measured.subscriber.window.exchange_ns = 0;
        }
        assert_eq!(case.model().agrees, None);
    }

    #[test]
    fn push_claims_one_request_per_event_and_no_mean() {
        let mut case = Case::push();
        let model = case.model();
        assert_eq!(model.agrees, Some(true), "{}", model.note);
        assert_eq!((model.latency_mean, model.empty), (None, Some(0.0)));
        assert!((model.requests - case.strategy.summary.events.emitted as f64).abs() < 1e-9);
        case.strategy.summary.requests.useful += 20;
        assert_eq!(case.model().agrees, Some(false));
        let mut case = Case::push();
        case.strategy.summary.latency.mean = Some(1_000);
        assert_eq!(case.model().agrees, Some(false), "faster than the network");
    }
}
