//! The answer to a run's question in one sentence, which claims no more than its intervals.
//!
//! The terminal, the written reports and citations all say this sentence.

use crate::analysis::summary::{
    Comparison, Difference, PointSummary, RatioInterval, StrategySummary, Summary, VerdictStatus,
};

use super::wording;
use crate::quantity::{count, counted, nanoseconds, ratio};

/// What latency is compared by.
const LATENCY: &str = "latency.p50";
/// What cost is compared by.
const REQUESTS: &str = "requests.per_event";

/// The answer in one sentence: what the scenario's objective comes to; without one, the strongest
/// contrast of latency among the strategies, what it took in requests, the intervals, and the
/// blocks they stand on.
#[must_use]
pub fn answer(summary: &Summary) -> String {
    if summary.verdict.status == VerdictStatus::Invalid {
        return "No answer: the run is invalid, and its numbers must not be used.".to_owned();
    }
    // What the scenario was run for is decided by its objective.
    if let Some(decision) = &summary.decision {
        return wording::one_line(&decision.sentence);
    }
    let strongest = strongest(summary);
    match (&summary.points[..], strongest) {
        ([], _) => "No answer: nothing was measured.".to_owned(),
        ([point], Some(pair)) => at_one_point(point, pair),
        (points, Some(pair)) => over_points(points, pair),
        (points, None) => match points.iter().flat_map(|point| &point.strategies).next() {
            None => "No answer: no strategy was measured.".to_owned(),
            Some(strategy) => alone(strategy, points.len()),
        },
    }
}

/// The comparison of latency that shows the most: one that may be claimed before one that may
/// not, and the greater factor before the smaller one.
fn strongest(summary: &Summary) -> Option<&Comparison> {
    let comparisons = || summary.points.iter().flat_map(|point| &point.comparisons);
    let of = |measure: &'static str| comparisons().filter(move |pair| pair.measure == measure);
    let weight = |pair: &&Comparison| (claimed(pair), pair.ratio.ln().abs());
    let by_weight = |one: &&Comparison, other: &&Comparison| {
        let ((sure, factor), (surer, greater)) = (weight(one), weight(other));
        sure.cmp(&surer).then(factor.total_cmp(&greater))
    };
    of(LATENCY).max_by(by_weight).or_else(|| of(REQUESTS).max_by(by_weight))
}

fn claimed(pair: &Comparison) -> bool {
    matches!(pair.difference, Difference::Larger | Difference::Smaller)
}

/// The comparison of the same two strategies in a measure, at a point.
fn same_pair<'a>(
    point: &'a PointSummary,
    pair: &Comparison,
    measure: &str,
) -> Option<&'a Comparison> {
    point.comparisons.iter().find(|other| {
        other.measure == measure
            && other.strategy == pair.strategy
            && other.baseline == pair.baseline
    })
}

fn at_one_point(point: &PointSummary, pair: &Comparison) -> String {
    let latency = same_pair(point, pair, LATENCY);
    let requests = same_pair(point, pair, REQUESTS);
    let blocks = counted(pair.blocks.into(), "block");
    let (strategy, baseline) = (named(&pair.strategy), named(&pair.baseline));
    let Some(surest) = latency.or(requests).and_then(|pair| pair.interval) else {
        let medians = medians(point, pair);
        let requests = requests.map_or(String::new(), |pair| {
            format!(", with {} times the requests per event", ratio(pair.ratio))
        });
        return format!(
            "{strategy} beside {baseline}: {medians}{requests}, in {blocks}: too few for an \
             interval, so no difference is claimed."
        );
    };
    let said: Vec<String> =
        [latency.map(faster), requests.map(dearer)].into_iter().flatten().collect();
    format!(
        "{strategy} beside {baseline}: {}, {}; intervals of {:.1} % over {blocks}.",
        medians(point, pair),
        said.join(" and "),
        surest.confidence * 100.0
    )
}

/// The medians of both strategies of a comparison, as far as they are known.
fn medians(point: &PointSummary, pair: &Comparison) -> String {
    let p50 = |name: &str| {
        let strategy = point.strategies.iter().find(|strategy| strategy.name == name);
        let p50 = strategy.and_then(|strategy| strategy.latency.p50);
        p50.map_or_else(|| "an unknown".to_owned(), nanoseconds)
    };
    format!("{} against {} median latency", p50(&pair.strategy), p50(&pair.baseline))
}

/// What may be said of the latency of a comparison.
fn faster(pair: &Comparison) -> String {
    let Some(interval) = pair.interval else {
        return "a latency that too few blocks tell apart".to_owned();
    };
    match pair.difference {
        Difference::Smaller => format!(
            "{} times as fast ({})",
            ratio(pair.ratio.recip()),
            range(interval.high.recip(), interval.low.recip())
        ),
        Difference::Larger => format!("{} times as slow ({})", ratio(pair.ratio), within(interval)),
        Difference::Noise => {
            format!("within this machine’s noise ({} times)", within(interval))
        }
        Difference::None => format!("no measurable difference ({} times)", within(interval)),
        Difference::Unknown => {
            format!("which too few blocks tell apart ({} times)", within(interval))
        }
    }
}

/// What may be said of the requests of a comparison.
fn dearer(pair: &Comparison) -> String {
    const WHAT: &str = "requests per event";
    let Some(interval) = pair.interval else {
        return format!("{WHAT} that too few blocks tell apart");
    };
    match pair.difference {
        Difference::Smaller | Difference::Larger => {
            format!("{} times the {WHAT} ({})", ratio(pair.ratio), within(interval))
        }
        Difference::Noise => {
            format!("{WHAT} within this machine’s noise ({} times)", within(interval))
        }
        Difference::None => {
            format!("no measurable difference in {WHAT} ({} times)", within(interval))
        }
        Difference::Unknown => {
            format!("{WHAT} that too few blocks tell apart ({} times)", within(interval))
        }
    }
}

fn within(interval: RatioInterval) -> String {
    range(interval.low, interval.high)
}

fn range(low: f64, high: f64) -> String {
    format!("{} to {}", ratio(low), ratio(high))
}

/// The same two strategies over all points of a sweep.
fn over_points(points: &[PointSummary], pair: &Comparison) -> String {
    let at = |measure: &'static str| -> Vec<&Comparison> {
        points.iter().filter_map(|point| same_pair(point, pair, measure)).collect()
    };
    let (latency, requests) = (at(LATENCY), at(REQUESTS));
    let (strategy, baseline) = (named(&pair.strategy), named(&pair.baseline));
    let said: Vec<String> = [
        tally(&latency, ["faster in the median", "slower in the median"], "as fast"),
        tally(&requests, ["fewer requests per event", "more requests per event"], "the requests"),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!(
        "{strategy} beside {baseline}, over {}: {}.",
        counted(points.len() as u64, "point"),
        said.join("; ")
    )
}

/// At how many points a measure is smaller, larger or neither, and how far the intervals reach
/// where they are all on one side. `None` where it was not compared.
fn tally(
    pairs: &[&Comparison],
    [smaller, larger]: [&'static str; 2],
    factor: &str,
) -> Option<String> {
    let all = pairs.len();
    let at = |wanted: &[Difference]| {
        pairs.iter().filter(|pair| wanted.contains(&pair.difference)).count()
    };
    let (less, more) = (at(&[Difference::Smaller]), at(&[Difference::Larger]));
    let same = at(&[Difference::None, Difference::Noise]);
    let unknown = all - less - more - same;
    if all == 0 {
        return None;
    }
    if less == all || more == all {
        let words = if less == all { smaller } else { larger };
        let reach = reach(pairs, less == all && factor == "as fast");
        return Some(format!("{words} at every point ({reach} times {factor})"));
    }
    let parts: Vec<String> = [
        (less, smaller),
        (more, larger),
        (same, "no measurable difference"),
        (unknown, "too few blocks to say"),
    ]
    .into_iter()
    .filter(|(points, _)| *points > 0)
    .map(|(points, words)| format!("{words} at {}", count(points as u64)))
    .collect();
    Some(parts.join(", "))
}

/// From the least to the greatest end of all intervals.
fn reach(pairs: &[&Comparison], inverse: bool) -> String {
    let intervals = pairs.iter().filter_map(|pair| pair.interval);
    let (low, high) = intervals.fold((f64::INFINITY, 0.0_f64), |(low, high), interval| {
        (low.min(interval.low), high.max(interval.high))
    });
    if inverse { range(high.recip(), low.recip()) } else { range(low, high) }
}

/// A strategy that was compared with nothing.
fn alone(strategy: &StrategySummary, points: usize) -> String {
    let name = named(&strategy.name);
    let finding = wording::finding(strategy);
    let interval = strategy.latency.ci95.p50.map_or(String::new(), |interval| {
        format!(" The median’s 95 % interval is {}.", wording::interval(interval))
    });
    let place = if points > 1 {
        format!(" at the first of {}", counted(points as u64, "point"))
    } else {
        String::new()
    };
    format!("{name} alone, compared with nothing{place}: {finding}{interval}")
}

/// A name from the scenario, on its line and in quotes.
fn named(name: &str) -> String {
    format!("“{}”", wording::one_line(name))
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::analysis::summary::{Decision, Difference, RatioInterval, Summary, VerdictStatus};
    use crate::report::sample;

    /// The sample with intervals of ±10 % about every ratio, and what may be said of them.
    fn sure(summary: &mut Summary) {
        for pair in summary.points.iter_mut().flat_map(|point| &mut point.comparisons) {
            pair.blocks = 10;
            pair.interval = Some(RatioInterval {
                low: pair.ratio * 0.9,
                high: pair.ratio * 1.1,
                confidence: 0.9785,
            });
            pair.difference =
                if pair.ratio < 1.0 { Difference::Smaller } else { Difference::Larger };
        }
    }

    #[test]
    fn three_blocks_claim_nothing() {
        assert_eq!(
            answer(&sample::summary()),
            "“webhook” beside “poll every second”: 1.10 ms against 504 ms median latency, with \
             20.0 times the requests per event, in 3 blocks: too few for an interval, so no \
             difference is claimed."
        );
    }

    #[test]
    fn the_strongest_contrast_is_told_with_its_intervals() {
        let mut summary = sample::summary();
        sure(&mut summary);
        assert_eq!(
            answer(&summary),
            "“webhook” beside “poll every second”: 1.10 ms against 504 ms median latency, 417 \
             times as fast (379 to 463) and 20.0 times the requests per event (18.0 to 22.0); \
             intervals of 97.9 % over 10 blocks."
        );
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_told_apart() {
        let mut summary = sample::summary();
        sure(&mut summary);
        for (difference, words) in [
            (Difference::None, "no measurable difference (0.0022 to 0.0026 times)"),
            (Difference::Noise, "within this machine’s noise"),
            (Difference::Unknown, "which too few blocks tell apart"),
        ] {
            summary.points[0].comparisons.iter_mut().for_each(|pair| pair.difference = difference);
            let said = answer(&summary);
            assert!(said.contains(words), "{said}");
            assert!(!said.contains("as fast") && !said.contains("as slow"), "{said}");
        }
    }

    #[test]
    fn a_sweep_is_answered_over_all_its_points() {
        let (mut summary, _) = sample::swept();
        sure(&mut summary);
        assert_eq!(
            answer(&summary),
            "“webhook” beside “poll every second”, over 2 points: faster in the median at every \
             point (379 to 463 times as fast); more requests per event at every point (18.0 to \
             22.0 times the requests)."
        );
        for pair in &mut summary.points[1].comparisons {
            pair.difference = Difference::None;
        }
        let said = answer(&summary);
        assert!(
            said.contains("faster in the median at 1, no measurable difference at 1"),
            "{said}"
        );
    }

    #[test]
    fn a_run_without_an_answer_says_so() {
        let mut summary = sample::summary();
        summary.points[0].comparisons.clear();
        assert!(answer(&summary).starts_with("“poll every second” alone"), "{}", answer(&summary));
        summary.points[0].strategies.clear();
        assert_eq!(answer(&summary), "No answer: no strategy was measured.");
        summary.points.clear();
        assert_eq!(answer(&summary), "No answer: nothing was measured.");
        summary.verdict.status = VerdictStatus::Invalid;
        assert!(answer(&summary).starts_with("No answer: the run is invalid"));
    }

    #[test]
    fn an_objective_answers_before_contrasts_do() {
        let mut summary = sample::summary();
        summary.decision = Some(Decision {
            require: vec!["latency.p99 < 1s".to_owned()],
            minimise: Some("requests.per_event".to_owned()),
            points: Vec::new(),
            searched: None,
            crossovers: Vec::new(),
            sentence: "“webhook” meets it.".to_owned(),
        });
        assert_eq!(answer(&summary), "“webhook” meets it.");
        summary.verdict.status = VerdictStatus::Invalid;
        assert!(answer(&summary).starts_with("No answer"));
    }

    #[test]
    fn names_stay_on_their_line() {
        let mut summary = sample::summary();
        for pair in &mut summary.points[0].comparisons {
            pair.strategy = "a\nb".to_owned();
        }
        assert!(!answer(&summary).contains('\n'));
    }
}
