//! Sentences that the terminal and the written report share.

use crate::analysis::summary::{
    Check, CheckStatus, Conditions, Events, Model, ModelClaim, PathSummary, PointSummary,
    StopReason, Stopping, StrategySummary, Summary, VerdictStatus,
};

use crate::quantity::{
    ABSENT, bytes, count, counted, duration, grouped, mean_count, nanoseconds, or_absent, percent,
    ratio, share, tick_number,
};

/// A text that stays on its line: control characters become spaces.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The verdict in one word.
pub(super) fn verdict_word(status: VerdictStatus) -> &'static str {
    match status {
        VerdictStatus::Valid => "valid",
        VerdictStatus::Caveats => "caveats",
        VerdictStatus::Invalid => "invalid",
    }
}

/// What the verdict asks of the reader.
pub(super) fn verdict_advice(status: VerdictStatus) -> &'static str {
    match status {
        VerdictStatus::Valid => "No check found a reason to doubt the numbers.",
        VerdictStatus::Caveats => "Read the checks before you cite the numbers.",
        VerdictStatus::Invalid => "Do not use the numbers.",
    }
}

/// A check's outcome in one word.
pub(super) fn check_word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Pass => "pass",
        CheckStatus::Unavailable => "not available",
        CheckStatus::Info => "info",
        CheckStatus::Warn => "warn",
        CheckStatus::Fail => "fail",
    }
}

/// A check's family and name, such as `V05 cpu-starved`.
pub(super) fn check_name(check: &Check) -> String {
    one_line(&format!("{} {}", check.code, check.id))
}

/// How many checks had each outcome that occurred, the best first: `5 pass, 1 warn`.
pub(super) fn checks_by_outcome(summary: &Summary) -> String {
    let checks = &summary.verdict.checks;
    let outcomes = [
        CheckStatus::Pass,
        CheckStatus::Unavailable,
        CheckStatus::Info,
        CheckStatus::Warn,
        CheckStatus::Fail,
    ];
    let parts: Vec<String> = outcomes
        .into_iter()
        .map(|status| (status, checks.iter().filter(|check| check.status == status).count()))
        .filter(|(_, found)| *found > 0)
        .map(|(status, found)| format!("{} {}", count(found as u64), check_word(status)))
        .collect();
    if parts.is_empty() { "no check was made".to_owned() } else { parts.join(", ") }
}

/// What a run that was cut short leaves to know.
pub(super) const INCOMPLETE: &str =
    "The run ended before its planned end; the figures cover what was measured until then.";

/// The headings of [`model_row`].
pub(super) const MODEL_HEADINGS: [&str; 5] =
    ["quantity", "expected", "measured", "agrees from–to", "agrees"];

/// A figure that theory claims: its name, what was expected and what was measured, which
/// expectations would agree, and whether this one does.
pub(super) fn model_row(claim: &ModelClaim) -> [String; 5] {
    let (name, write): (&str, fn(f64) -> String) = match claim.quantity.as_str() {
        "latency.mean" => ("mean latency", duration),
        "latency.p50" => ("p50 latency", duration),
        "latency.p99" => ("p99 latency", duration),
        "staleness.share" => ("time out of date", percent),
        "requests.total" => ("requests", mean_count),
        "requests.total + requests.beats_missed" => ("requests, missed beats", mean_count),
        "requests.empty" => ("empty requests", mean_count),
        "requests.not_modified" => ("requests answered 304", mean_count),
        "messages.total" => ("frames on streams", mean_count),
        "events.delivered" => ("events delivered", mean_count),
        "events.duplicated" => ("copies beyond the first", mean_count),
        "events.lost" => ("events lost", mean_count),
        other => (other, ratio),
    };
    let interval =
        claim.interval.map(|[low, high]| format!("{} to {}", write(low.max(0.0)), write(high)));
    let agrees = match claim.agrees {
        Some(true) => "yes",
        Some(false) => "NO",
        None => ABSENT,
    };
    // What was counted is whole.
    let counts = claim.quantity != "staleness.share";
    let whole = claim.measured.filter(|measured| counts && measured.fract().abs() < 1e-9);
    let measured = match whole {
        Some(whole) if !claim.quantity.starts_with("latency") => grouped(&format!("{whole:.0}")),
        _ => or_absent(claim.measured, write),
    };
    let interval = or_absent(interval, |interval| interval);
    [name.to_owned(), write(claim.expected), measured, interval, agrees.to_owned()]
}

/// Whether measurement and model agree, in words.
pub(super) fn agreement(model: &Model) -> &'static str {
    match model.agrees {
        Some(true) => "agrees",
        Some(false) => "DISAGREES",
        None => "cannot be judged",
    }
}

/// Lost events, marked so that they are seen.
pub(super) fn lost(events: &Events) -> String {
    if events.lost == 0 { "0".to_owned() } else { format!("{} !", count(events.lost)) }
}

/// A sum over the window divided by delivered events.
pub(super) fn time_per_event(spent: u64, strategy: &StrategySummary) -> String {
    let delivered = strategy.events.delivered;
    let each = (delivered > 0).then(|| spent as f64 / delivered as f64);
    or_absent(each, duration)
}

/// CPU time of both sides above what they use while idle, for each delivered event.
pub(super) fn above_idle(strategy: &StrategySummary) -> String {
    or_absent(strategy.cpu.per_event_above_idle, nanoseconds)
}

/// The share of time in which the subscriber's state was out of date.
pub(super) fn out_of_date(strategy: &StrategySummary) -> String {
    or_absent(strategy.staleness, |staleness| percent(staleness.share))
}

/// The share of requests that carried no event.
pub(super) fn empty_share(strategy: &StrategySummary) -> String {
    or_absent(share(strategy.requests.empty, strategy.requests.total), |share| share)
}

/// The largest memory of the source process, marked where several lanes share it.
pub(super) fn source_memory(strategy: &StrategySummary) -> String {
    let shared = if strategy.memory.source_lanes > 1 { " *" } else { "" };
    format!("{}{shared}", bytes(strategy.memory.source_peak as f64))
}

/// A confidence interval of a time.
pub(super) fn interval([low, high]: [u64; 2]) -> String {
    format!("{} to {}", nanoseconds(low), nanoseconds(high))
}

/// What a strategy's median takes beyond what raw sockets allow; `≈ 0` if chance explains it.
pub(super) fn overhead(strategy: &StrategySummary) -> String {
    let figures = strategy.limit.and_then(|limit| Some((limit.overhead_p50?, limit.noise?)));
    or_absent(figures, |(overhead, noise)| {
        let size = overhead.unsigned_abs();
        if size < noise {
            return "≈ 0".to_owned();
        }
        format!("{}{}", if overhead < 0 { "−" } else { "" }, nanoseconds(size))
    })
}

/// How many times a strategy's median is what raw sockets allow.
pub(super) fn times_limit(strategy: &StrategySummary) -> String {
    or_absent(strategy.limit.and_then(|limit| limit.ratio), |times| format!("{} ×", ratio(times)))
}

/// Whether raw sockets were measured for any strategy of these points.
pub(super) fn has_limits(points: &[PointSummary]) -> bool {
    points.iter().flat_map(|point| &point.strategies).any(|strategy| strategy.limit.is_some())
}

/// What a limit and an overhead are.
pub(super) const LIMIT: &str = "limit is the median that raw sockets would allow, measured between the same processes in the \
     same blocks; overhead is what the strategy's own median, without lag, takes beyond it (≈ 0 if \
     chance explains it); on one host most of a raw transfer is its reader waking up, and a \
     strategy wakes more threads than one";

/// Whether any strategy of the point has a confidence interval.
pub(super) fn has_intervals(point: &PointSummary) -> bool {
    let mut intervals = point.strategies.iter().map(|strategy| &strategy.latency.ci95);
    intervals.any(|ci| ci.mean.or(ci.p50).or(ci.p99).is_some())
}

/// Whether any strategy's source memory is shared.
pub(super) fn shares_memory(points: &[PointSummary]) -> bool {
    points.iter().flat_map(|point| &point.strategies).any(|s| s.memory.source_lanes > 1)
}

/// What happened besides, if anything did: `1 copy beyond the first, 4 requests failed`.
pub(super) fn remarks(strategy: &StrategySummary) -> Option<String> {
    let (events, requests) = (&strategy.events, &strategy.requests);
    let counts = [
        (events.coalesced, "event", "events", "coalesced into newer ones"),
        (events.duplicated, "copy", "copies", "beyond the first"),
        (events.reordered, "event", "events", "out of order"),
        (strategy.messages.total, "frame", "frames", "on streams"),
        (requests.failed, "request", "requests", "failed"),
        (requests.denied, "request", "requests", "refused for want of right credentials"),
        (requests.not_modified, "request", "requests", "answered 304, not modified"),
        (requests.rate_limited, "request", "requests", "refused with 429"),
        (requests.retried, "request", "requests", "repeated an earlier attempt"),
        (requests.dead_lettered, "delivery", "deliveries", "given up"),
        (requests.beats_missed, "poll", "polls", "skipped while another was under way"),
    ];
    let mut remarks: Vec<String> = counts
        .into_iter()
        .filter(|(found, ..)| *found > 0)
        .map(|(found, one, many, what)| {
            format!("{} {} {what}", count(found), if found == 1 { one } else { many })
        })
        .collect();
    if let Some(effective) = strategy.latency.effective {
        // Many subscribers are late with the same event together, which is no remark.
        let events = events.delivered / u64::from(strategy.subscribers.max(1));
        if effective < events / 2 {
            let (events, worth) = (counted(events, "event"), count(effective));
            remarks.push(format!("{events} say as much as {worth} independent ones"));
        }
    }
    if strategy.blocks < strategy.blocks_planned {
        let (blocks, planned) = (strategy.blocks, strategy.blocks_planned);
        remarks.insert(0, format!("only {blocks} of {planned} planned blocks were measured"));
    }
    // A latency with shortened waits in it must not be read as the provider's.
    let scale = strategy.settings.get("time-scale").and_then(serde_json::Value::as_f64);
    if let Some(scale) = scale.filter(|scale| *scale < 1.0) {
        remarks.push(format!("waits between attempts were scaled by {scale}"));
    }
    if let Some(used) = strategy.requests.quota_used {
        let first = strategy.requests.first_rate_limited;
        let first = first.map_or("never refused".to_owned(), |first| {
            format!("first refused {} after the start", nanoseconds(first))
        });
        remarks.push(format!("{:.0} % of the rate limit's quota used, {first}", used * 100.0));
    }
    (!remarks.is_empty()).then(|| remarks.join(", "))
}

/// How a stopping rule ended a point, and what that does to its intervals.
pub(super) fn stopped(stopping: &Stopping) -> String {
    let (measure, asked) = (&stopping.measure, tick_number(stopping.precision * 100.0));
    let blocks = counted(stopping.blocks.into(), "block");
    let looks = counted(stopping.looks.into(), "look");
    let cap = match stopping.reason {
        StopReason::Narrow => "",
        StopReason::Cap => ", the most allowed",
    };
    let found = match (stopping.within, stopping.reason) {
        (None, _) => format!(
            "{measure} is not known of every strategy in every block, so ±{asked} % could not be \
             reached"
        ),
        (Some(within), StopReason::Cap) => format!(
            "{measure} is known to within ±{} % only, not to the ±{asked} % asked for",
            ratio(within * 100.0)
        ),
        (Some(within), StopReason::Narrow) => format!(
            "{measure} is known to within ±{} % for every strategy, ±{asked} % was asked for",
            ratio(within * 100.0)
        ),
    };
    format!(
        "Stopped after {blocks}{cap}, and {looks} at them: {found}. Each look is a chance to stop \
         because the blocks so far happen to agree, so intervals are slightly too narrow."
    )
}

/// What the harness did to itself, and the path; `None` if it neither pinned nor spun over bare
/// loopback.
pub(super) fn conditions(point: &PointSummary) -> Option<String> {
    let Conditions { source_cpu, subscriber_cpus, spin, pacer_cpu, pacer_spin, path } =
        &point.conditions;
    let mut said = Vec::new();
    if let Some(source) = source_cpu {
        let of = |(strategy, cpu): (&StrategySummary, &u32)| {
            format!("the subscribers of `{}` on CPU {cpu}", one_line(&strategy.name))
        };
        let mut pinned = vec![format!("Pinned: the source on CPU {source}")];
        pinned.extend(point.strategies.iter().zip(subscriber_cpus).map(of));
        said.push(format!("{}.", pinned.join(", ")));
    }
    if *spin > 0 {
        said.push(format!(
            "The pacer spun for the last {} before each event: {} of its {} of CPU time, in no \
             strategy's.",
            nanoseconds(*spin),
            nanoseconds(*pacer_spin),
            nanoseconds(*pacer_cpu)
        ));
    }
    said.extend(path.as_ref().map(path_words));
    (!said.is_empty()).then(|| said.join(" "))
}

/// What lay between source and subscribers, and what that means.
fn path_words(path: &PathSummary) -> String {
    let PathSummary { asked, tier, packets, lost, dropped, cpu } = path;
    if !tier.carries_packets() {
        return format!(
            "Path: {asked}. It delays bytes inside the program and TCP does not notice: nothing \
             here holds of connections over a network."
        );
    }
    format!(
        "Path: {asked}. {} crossed it, {} were lost and {} found its buffer full; carrying them \
         took {} of CPU time, in no strategy's.",
        counted(*packets, "packet"),
        count(*lost),
        count(*dropped),
        nanoseconds(*cpu)
    )
}

/// One plain sentence of what was measured of a strategy.
pub(super) fn finding(strategy: &StrategySummary) -> String {
    let (events, latency) = (&strategy.events, &strategy.latency);
    let owed = counted(events.emitted, "event");
    if events.emitted == 0 {
        return "no event was due in the measured window.".to_owned();
    }
    if events.delivered == 0 {
        return format!("none of {owed} was delivered.");
    }
    let lost = if events.lost == 0 {
        "none lost".to_owned()
    } else {
        format!("{} lost", count(events.lost))
    };
    let coalesced = match events.coalesced {
        0 => String::new(),
        coalesced => format!("{} coalesced, ", count(coalesced)),
    };
    let median = latency.p50.map(|p50| format!(", median latency {}", nanoseconds(p50)));
    let greatest = latency.max.map(|max| format!(", greatest {}", nanoseconds(max)));
    let times = format!("{}{}", median.unwrap_or_default(), greatest.unwrap_or_default());
    let cost = strategy.requests.per_event;
    let cost = cost
        .map_or(String::new(), |each| format!("; {} requests per delivered event", ratio(each)));
    format!("{} of {owed} delivered, {coalesced}{lost}{times}{cost}.", count(events.delivered))
}

#[cfg(test)]
mod tests {
    use super::{conditions, stopped};
    use crate::analysis::summary::{Conditions, StopReason, Stopping};
    use crate::report::sample;

    #[test]
    fn conditions_are_told_where_they_are_not_the_usual_ones() {
        let mut point = sample::summary().points.remove(0);
        assert_eq!(conditions(&point), None);
        point.strategies.truncate(2);
        point.conditions = Conditions {
            source_cpu: Some(0),
            subscriber_cpus: vec![1, 2],
            spin: 100_000,
            pacer_cpu: 2_000_000,
            pacer_spin: 1_500_000,
            path: None,
        };
        assert_eq!(
            conditions(&point).as_deref(),
            Some(
                "Pinned: the source on CPU 0, the subscribers of `poll every second` on CPU 1, the \
                 subscribers of `poll every 250 ms` on CPU 2. The pacer spun for the last 100 µs \
                 before each event: 1.50 ms of its 2.00 ms of CPU time, in no strategy's."
            )
        );
    }

    #[test]
    fn why_a_point_was_measured_no_further_is_told_with_what_it_does_to_intervals() {
        let narrow = Stopping {
            measure: "latency.p50".to_owned(),
            precision: 0.05,
            blocks: 11,
            most_blocks: 60,
            looks: 6,
            reason: StopReason::Narrow,
            within: Some(0.042),
        };
        let capped = Stopping { blocks: 60, looks: 55, reason: StopReason::Cap, ..narrow.clone() };
        let unknown = Stopping { within: None, ..capped.clone() };
        let capped = Stopping { within: Some(0.12), ..capped };
        for (stopping, expected) in [
            (
                narrow,
                "Stopped after 11 blocks, and 6 looks at them: latency.p50 is known to within \
                 ±4.20 % for every strategy, ±5 % was asked for. ",
            ),
            (
                capped,
                "Stopped after 60 blocks, the most allowed, and 55 looks at them: latency.p50 is \
                 known to within ±12.0 % only, not to the ±5 % asked for. ",
            ),
            (
                unknown,
                "Stopped after 60 blocks, the most allowed, and 55 looks at them: latency.p50 is \
                 not known of every strategy in every block, so ±5 % could not be reached. ",
            ),
        ] {
            let said = stopped(&stopping);
            assert!(said.starts_with(expected), "{said}");
            assert!(said.contains("intervals are slightly too narrow"), "{said}");
        }
    }
}
