//! Sentences that the terminal and the written report share.

use crate::analysis::summary::{
    Check, CheckStatus, Events, Model, ModelClaim, PointSummary, StrategySummary, Summary,
    VerdictStatus,
};

use super::quantity::{
    ABSENT, bytes, count, counted, duration, grouped, mean_count, nanoseconds, or_absent, percent,
    ratio, share,
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
