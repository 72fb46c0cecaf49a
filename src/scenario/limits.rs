//! What is readable but impossible: the bounds every scenario keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::aim::AimError;
use crate::event::Encoder;
use crate::measure::Measure;
use crate::scenario::complaint::Complaint;
use crate::scenario::document::Document;
use crate::scenario::faults;
use crate::scenario::read::{NamedStrategy, Reading};
use crate::scenario::sections::{Events, Layout};
use crate::scenario::sources::Span;
use crate::schedule::{Arrivals, Impossible};
use crate::search::{self, FEWEST_VALUES};
use crate::stopping::{FEWEST_BLOCKS, StoppingRule};
use crate::units::{Percentage, format_duration};
use crate::wire::link::CONNECTION_ROUND_TRIPS;

/// The longest measured window.
pub const LONGEST_WINDOW: Duration = Duration::from_hours(24);

/// The longest warm-up and the longest drain.
pub const LONGEST_MARGIN: Duration = Duration::from_hours(1);

/// The most blocks at each point.
pub const MOST_REPEATS: u32 = 1_000;

/// The largest seed: the largest whole number every reader of JSON keeps exactly.
pub const LARGEST_SEED: u64 = (1 << 53) - 1;

/// The most strategies of a scenario.
pub const MOST_STRATEGIES: usize = 16;

/// The most simulated subscribers of a strategy.
pub const MOST_SUBSCRIBERS: u32 = 10_000;

/// The most events times subscribers in one trial.
pub const MOST_DELIVERIES: f64 = 50_000_000.0;

/// The longest a run may be planned to take.
pub const LONGEST_RUN: Duration = Duration::from_hours(7 * 24);

/// What a drain waits beyond the longest an event can be under way.
pub const DRAIN_MARGIN: Duration = Duration::from_secs(2);

/// What a drain waits beyond that where packets are lost: one that opens a connection is sent again
/// after a second, and after two more.
const SENT_AGAIN: Duration = Duration::from_secs(4);

/// The longest round trip: beyond it are only links to other planets.
pub const LONGEST_RTT: Duration = Duration::from_secs(1);

/// The longest a pacer spins before an event: longer than a sleeping thread of an idle machine
/// is late, and short enough to leave the CPU to others at a hundred events a second.
pub const LONGEST_SPIN: Duration = Duration::from_millis(1);

/// What starting and ending a trial's processes is expected to take, and 1.6 s in which raw
/// sockets are measured between them.
pub const TRIAL_OVERHEAD: Duration = Duration::from_millis(2_600);

/// How long after the window outstanding events are waited for, at most.
pub(crate) fn drain(reading: &Reading) -> Duration {
    let patience = reading.strategies.iter().map(|named| patience(named, reading)).max();
    let network = &reading.network;
    let again = if network.only_delays() { Duration::ZERO } else { SENT_AGAIN };
    let margin = DRAIN_MARGIN + again + network.rtt.min(LONGEST_RTT) * CONNECTION_ROUND_TRIPS;
    let drain = patience.unwrap_or_default().saturating_add(margin).min(LONGEST_MARGIN);
    reading.run.drain.unwrap_or(drain)
}

/// The longest an event of a strategy can be under way when the window ends.
///
/// What an incident has left waiting goes on waiting when it is over: a connection that has gone
/// silent is noticed by whoever uses it next, and only then is there another way.
fn patience(named: &NamedStrategy, reading: &Reading) -> Duration {
    let strategy = &named.strategy;
    let patience = strategy.patience();
    let window_ends = reading.run.warm_up.saturating_add(reading.run.duration);
    let noticed = reading
        .incidents
        .iter()
        .filter(|incident| incident.leaves_waiting() && incident.hits(strategy.target()))
        .map(|incident| {
            incident.ends().saturating_add(patience).saturating_add(strategy.gives_up())
        });
    let late = noticed.max().map_or(Duration::ZERO, |moment| moment.saturating_sub(window_ends));
    patience.saturating_add(late)
}

/// A drain must outlast the longest wait, or events are called lost that nobody has asked for.
fn drains(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let drain = drain(reading);
    for (index, named) in reading.strategies.iter().enumerate() {
        let wait =
            named.strategy.theory().map_or(Duration::ZERO, |theory| theory.form().longest_wait());
        if wait <= drain {
            continue;
        }
        let (name, wait) = (&named.name, format_duration(wait));
        let message = format!(
            "`{name}` lets events wait up to {wait}, but outstanding ones are waited for only {}",
            format_duration(drain)
        );
        let (span, remedy) = match reading.run.drain {
            Some(_) => (document.section_span("run", "drain"), format!("write at least {wait}")),
            None => (
                document.strategy_span(index, "every"),
                format!("let them wait at most {}", format_duration(LONGEST_MARGIN)),
            ),
        };
        found.push(Complaint::at(span, message, remedy));
    }
}

/// Everything about one point that cannot be.
pub(crate) fn complaints(reading: &Reading, document: &Document<'_>) -> Vec<Complaint> {
    let mut found = Vec::new();
    heading(reading, document, &mut found);
    times(reading, document, &mut found);
    blocks(reading, document, &mut found);
    events(reading, document, &mut found);
    network(reading, document, &mut found);
    names(&reading.strategies, document, &mut found);
    wanted(reading, document, &mut found);
    strategies(&reading.strategies, document, &mut found);
    found.extend(faults::complaints(reading, document));
    // The load is a product of the values above; it means something once they are possible.
    if found.is_empty() {
        outlasts(reading, document, &mut found);
        drains(reading, document, &mut found);
        load(reading, document, &mut found);
    }
    found
}

fn heading(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let texts = [
        ("title", Some(&reading.heading.title), 200),
        ("question", reading.heading.question.as_ref(), 500),
    ];
    for (key, text, longest) in texts {
        let span = || document.entry(key).map_or(Document::ROOT, toml::Spanned::span);
        found.extend(text.and_then(|text| line(key, text, longest, span())));
    }
}

/// A complaint unless the text is one line with something on it.
fn line(what: &str, text: &str, longest: usize, span: Span) -> Option<Complaint> {
    let wrong = if text.trim().is_empty() {
        format!("the {what} is empty")
    } else if text.chars().any(char::is_control) {
        format!("the {what} has a line break or another control character")
    } else if text.chars().count() > longest {
        format!("the {what} has {} characters", text.chars().count())
    } else {
        return None;
    };
    Some(Complaint::at(span, wrong, format!("write one line of 1 to {longest} characters")))
}

fn times(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let run = &reading.run;
    let mut refuse = |key: &str, message: String, remedy: String| {
        found.push(Complaint::at(document.section_span("run", key), message, remedy));
    };
    if run.duration.is_zero() {
        let remedy = "write a duration above zero; a minute is a good start: `duration = \"60s\"`";
        refuse("duration", "a window of no length measures nothing".into(), remedy.into());
    }
    for (key, time, longest) in [
        ("duration", Some(run.duration), LONGEST_WINDOW),
        ("warm-up", Some(run.warm_up), LONGEST_MARGIN),
        ("drain", run.drain, LONGEST_MARGIN),
        ("spin", Some(run.spin), LONGEST_SPIN),
    ] {
        if let Some(time) = time.filter(|time| *time > longest) {
            let message = format!("`{key}` of {} is too long", format_duration(time));
            refuse(key, message, format!("write at most {}", format_duration(longest)));
        }
    }
    if run.seed > LARGEST_SEED {
        let message = format!("the seed {} is too large", run.seed);
        refuse("seed", message, format!("write a whole number from 0 to {LARGEST_SEED}"));
    }
}

/// The number of blocks is fixed, or it follows from a precision and has a cap.
fn blocks(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let run = &reading.run;
    let mut refuse = |key: &str, message: String, remedy: String| {
        found.push(Complaint::at(document.section_span("run", key), message, remedy));
    };
    for (key, blocks, fewest) in
        [("repeats", run.repeats, 1), ("max-repeats", run.max_repeats, FEWEST_BLOCKS)]
    {
        if let Some(blocks) = blocks.filter(|blocks| !(fewest..=MOST_REPEATS).contains(blocks)) {
            let message = format!("`{key}` of {blocks} is not possible");
            refuse(key, message, format!("write a whole number from {fewest} to {MOST_REPEATS}"));
        }
    }
    if let Some(measure) = run.measure.filter(|measure| !StoppingRule::can_look_at(*measure)) {
        let message = format!("`{measure}` is no figure of which every block has a value");
        refuse("measure", message, "write one such as `latency.p50`".to_owned());
    }
    if run.precision.is_some() && run.repeats.is_some() {
        let message = "`repeats` and `precision` exclude each other".to_owned();
        let remedy = "keep `repeats` for a fixed number of blocks, or `precision` to run as many \
                      as it takes, `max-repeats` at most";
        refuse("repeats", message, remedy.to_owned());
    }
    let given = [("measure", run.measure.is_some()), ("max-repeats", run.max_repeats.is_some())];
    for (key, _) in given.into_iter().filter(|(_, given)| *given && run.precision.is_none()) {
        let message = format!("`{key}` means nothing without `precision`");
        refuse(key, message, "add `precision = \"5%\"`, or remove it".to_owned());
    }
}

fn events(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let possible = Encoder::SMALLEST_PAYLOAD..=Encoder::LARGEST_PAYLOAD;
    let payload = reading.events.payload;
    if !possible.contains(&payload) {
        let span = document.section_span("events", "payload");
        let message = format!("a payload of {payload} is not possible");
        let remedy = format!("write a size from {} to {}", possible.start(), possible.end());
        found.push(Complaint::at(span, message, remedy));
    }
    if let Err(Impossible { key, message, remedy }) =
        reading.events.arrivals.check(reading.events.rate)
    {
        found.push(Complaint::at(document.section_span("events", key), message, remedy));
    }
}

/// A window must not outlast a trace: what was measured of it would be silence.
fn outlasts(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let Events { arrivals: Arrivals::Trace(replay), trace: Some(file), .. } = &reading.events
    else {
        return;
    };
    let (length, run) = (replay.length(&file.trace), &reading.run);
    let asked = run.warm_up + run.duration;
    if asked <= length {
        return;
    }
    let whole = Duration::from_secs(length.saturating_sub(run.warm_up).as_secs());
    let message = format!(
        "the trace lasts {:.1} s at this `time-scale`, but warm-up and window take {:.1} s",
        length.as_secs_f64(),
        asked.as_secs_f64()
    );
    let slower = replay.time_scale * length.as_secs_f64() / asked.as_secs_f64();
    // Rounded down, or the remedy could be refused again.
    let slower = (slower * 1_000.0).floor() / 1_000.0;
    let remedy = if whole.is_zero() {
        format!("write a `time-scale` of at most {slower:.3}")
    } else {
        let whole = format_duration(whole);
        format!("write `duration = \"{whole}\"`, or a `time-scale` of at most {slower:.3}")
    };
    found.push(Complaint::at(document.section_span("run", "duration"), message, remedy));
}

/// The most packets that may be lost: beyond it TCP makes no progress within a trial.
const MOST_LOSS: Percentage = Percentage::of(50.0);

/// The most packets that may be lost in a row, on average.
const LONGEST_BURST: u32 = 100;

fn network(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let network = &reading.network;
    let mut complain = |key: &str, message: String, remedy: String| {
        found.push(Complaint::at(document.section_span("network", key), message, remedy));
    };
    if network.rtt > LONGEST_RTT {
        let message = format!("a round trip of {} is too long", format_duration(network.rtt));
        complain("rtt", message, format!("write at most {}", format_duration(LONGEST_RTT)));
    }
    if network.jitter > network.rtt / 4 {
        let message = format!(
            "a jitter of {} is too much for a round trip of {}",
            format_duration(network.jitter),
            format_duration(network.rtt)
        );
        let most = format_duration(network.rtt / 4);
        complain("jitter", message, format!("write at most {most}, a quarter of the round trip"));
    }
    if network.loss > MOST_LOSS {
        let message = format!("a loss of {} leaves nothing to measure", network.loss);
        complain("loss", message, format!("write at most {MOST_LOSS}"));
    }
    if !(1..=LONGEST_BURST).contains(&network.loss_burst) {
        let message = format!("packets cannot be lost {} in a row", network.loss_burst);
        complain("loss-burst", message, format!("write a whole number from 1 to {LONGEST_BURST}"));
    }
    if network.loss_burst > 1 && network.loss.is_zero() {
        let message = "nothing is lost, so no burst has a length".to_owned();
        complain("loss-burst", message, "write a `loss` too, or leave `loss-burst` out".into());
    }
    if network.reorder && network.jitter.is_zero() {
        let message = "without jitter no packet overtakes another".to_owned();
        complain("reorder", message, "write a `jitter` too, or leave `reorder` out".into());
    }
    if let Some((tier, why)) = network.tier.and_then(|tier| Some((tier, tier.cannot(network)?))) {
        let remedy = "leave `tier` out: the best one that can is taken".to_owned();
        complain("tier", format!("`{tier}` cannot make this path: {why}"), remedy);
    }
}

/// The most numbers of subscribers that costs are extrapolated to.
const MOST_SCALES: usize = 8;

/// The longest name of a currency.
const LONGEST_CURRENCY: usize = 12;

/// What is wanted must say something, and costs need prices.
fn wanted(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let wanted = &reading.wanted;
    let unpriced = wanted.prices.is_none();
    let no_prices = |span| {
        let remedy = "add `[prices]` with a `currency` and at least one price";
        Complaint::at(span, "without prices nothing has a cost", remedy)
    };
    if let Some(objective) = &wanted.objective {
        if objective.measures().next().is_none() {
            let message = "`[objective]` wants nothing";
            let remedy = "add `require = [\"latency.p99 < 1s\"]`, or `minimise = \
                          \"requests.per_event\"`, or both";
            let span = document.section_span("objective", "require");
            found.push(Complaint::at(span, message, remedy));
        }
        if unpriced && objective.minimise == Some(Measure::CostMonth) {
            found.push(no_prices(document.section_span("objective", "minimise")));
        }
        let costs = |required: &crate::aim::Requirement| required.measure == Measure::CostMonth;
        if unpriced && objective.require.iter().any(costs) {
            found.push(no_prices(document.section_span("objective", "require")));
        }
    }
    for (index, threshold) in wanted.thresholds.iter().enumerate() {
        if unpriced && threshold.expect.requirement.measure == Measure::CostMonth {
            found.push(no_prices(document.threshold_span(index)));
        }
    }
    prices(reading, document, found);
}

fn prices(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let Some(prices) = &reading.wanted.prices else { return };
    let at = |key: &str| document.section_span("prices", key);
    found.extend(line("currency", &prices.currency, LONGEST_CURRENCY, at("currency")));
    let listed = prices.listed();
    for (key, price) in listed {
        if let Some(price) = price.filter(|price| !price.is_finite() || *price < 0.0) {
            let message = format!("a price of {price} is not possible");
            found.push(Complaint::at(at(key), message, "write a number from 0 on"));
        }
    }
    if listed.iter().all(|(_, price)| price.is_none()) {
        let keys = listed.map(|(key, _)| format!("`{key}`")).join(", ");
        let remedy = format!("add at least one of {keys}");
        found.push(Complaint::at(at("currency"), "`[prices]` has no price", remedy));
    }
    let scales = &prices.subscribers;
    if scales.len() > MOST_SCALES || scales.contains(&0) {
        let message = "`subscribers` cannot be extrapolated to";
        let remedy = format!("write at most {MOST_SCALES} whole numbers from 1 on");
        found.push(Complaint::at(at("subscribers"), message, remedy));
    }
}

/// A search that cannot be made; `readings` are those of all points.
pub(crate) fn searched(
    readings: &[(BTreeMap<String, String>, Reading)],
    document: &Document<'_>,
) -> Option<Complaint> {
    let (parameters, first) = readings.first()?;
    let objective = first.wanted.objective.as_ref()?;
    let path = objective.search.as_ref()?;
    let refused = |message: String, remedy: &str| {
        Some(Complaint::at(document.section_span("objective", "search"), message, remedy))
    };
    let measure = objective.minimise;
    if !measure.is_some_and(StoppingRule::can_look_at) && measure != Some(Measure::CostMonth) {
        let message = "a search needs a measure of every block whose least it follows".to_owned();
        return refused(message, "add `minimise`, such as `minimise = \"requests.per_event\"`");
    }
    if !parameters.contains_key(path) {
        let message = format!("`{path}` is not swept, so nothing can be searched along it");
        return refused(
            message,
            "name a path that has values below `[sweep]`, written the same way",
        );
    }
    let points: Vec<_> = readings.iter().map(|(parameters, _)| parameters).collect();
    let Some(lines) = search::lines(path, &points) else {
        let message = format!("the values of `{path}` cannot be put in order");
        return refused(message, "search along rates, durations, sizes or numbers above zero");
    };
    if lines.iter().any(|line| line.len() < FEWEST_VALUES) {
        let message = format!("`{path}` has too few values of its own for a search");
        let remedy = format!("sweep at least {FEWEST_VALUES} values of it, and do not `zip` it");
        return refused(message, &remedy);
    }
    let thresholds = first.wanted.thresholds.iter().enumerate();
    thresholds
        .filter_map(|(index, one)| Some((index, objective.reaches(&one.expect).err()?)))
        .map(|(index, AimError { message, remedy })| {
            Complaint::at(document.threshold_span(index), message, remedy)
        })
        .next()
}

/// Thresholds of strategies or points that do not exist; `readings` are those of all points.
pub(crate) fn expectations(
    readings: &[(BTreeMap<String, String>, Reading)],
    document: &Document<'_>,
) -> Vec<Complaint> {
    let Some((_, first)) = readings.first() else { return Vec::new() };
    let names: Vec<&str> = first.strategies.iter().map(|named| named.name.as_str()).collect();
    let points = readings.iter().map(|(parameters, _)| parameters);
    let thresholds = first.wanted.thresholds.iter().enumerate();
    let refused = thresholds.filter_map(|(index, threshold)| {
        let AimError { message, remedy } = threshold.expect.check(&names, points.clone()).err()?;
        Some(Complaint::at(document.threshold_span(index), message, remedy))
    });
    refused.collect()
}

fn names(strategies: &[NamedStrategy], document: &Document<'_>, found: &mut Vec<Complaint>) {
    for (index, named) in strategies.iter().enumerate() {
        let span = document.strategy_span(index, "name");
        let name = &named.name;
        if let Some(complaint) = line("name", name, 80, span.clone()) {
            found.push(complaint);
        } else if name.trim() != name {
            let message = format!("the name `{name}` begins or ends with a space");
            found.push(Complaint::at(span, message, "write it without"));
        } else if strategies[..index].iter().any(|earlier| earlier.name == *name) {
            let message = format!("two strategies are called `{name}`");
            found.push(Complaint::at(span, message, "give each strategy a name of its own"));
        }
    }
}

fn strategies(strategies: &[NamedStrategy], document: &Document<'_>, found: &mut Vec<Complaint>) {
    for (index, named) in strategies.iter().enumerate() {
        if !(1..=MOST_SUBSCRIBERS).contains(&named.subscribers) {
            let span = document.strategy_span(index, "subscribers");
            let message = format!("{} subscribers are not possible", named.subscribers);
            let remedy = format!("write a whole number from 1 to {MOST_SUBSCRIBERS}");
            found.push(Complaint::at(span, message, remedy));
        }
        if let Err(idle) = named.link.check() {
            let span = document.strategy_span(index, idle.key);
            found.push(Complaint::at(span, idle.message, idle.remedy));
        }
        if let Err(error) = named.strategy.check(&named.link) {
            let span = document.strategy_span(index, error.key);
            found.push(Complaint::at(span, error.message, error.remedy));
        }
    }
}

fn load(reading: &Reading, document: &Document<'_>, found: &mut Vec<Complaint>) {
    let subscribers = reading.strategies.iter().map(|named| named.subscribers);
    let subscribers = match reading.run.layout {
        Layout::SideBySide => subscribers.sum(),
        Layout::Solo => subscribers.max().unwrap_or(0),
    };
    let until = reading.run.warm_up + reading.run.duration;
    // At its busiest a process may have this many; the log must hold them all.
    let busiest =
        reading.events.arrivals.peak(reading.events.rate) / reading.events.rate.events_per_second();
    let events = reading.events.expected(Duration::ZERO, until) * busiest;
    let deliveries = events * f64::from(subscribers);
    if deliveries > MOST_DELIVERIES {
        let span = document.section_span("run", "duration");
        let message = format!(
            "a trial of {deliveries:.0} deliveries is too large: {events:.0} events × {subscribers} \
             subscribers"
        );
        let remedy = format!(
            "lower `events.rate`, `run.duration` or `subscribers` until a trial has at most \
             {MOST_DELIVERIES:.0}"
        );
        found.push(Complaint::at(span, message, remedy));
    }
}

/// A complaint about all points together, if the run could take too long.
pub(crate) fn too_long<'r>(
    readings: impl Iterator<Item = &'r Reading>,
    document: &Document<'_>,
) -> Option<Complaint> {
    let total = readings.map(longest).fold(Duration::ZERO, Duration::saturating_add);
    (total > LONGEST_RUN).then(|| {
        let days = total.as_secs_f64() / 86_400.0;
        let message = format!("the run could take {days:.1} days");
        let remedy = format!(
            "lower `run.duration`, or `run.repeats` or `run.max-repeats`, or sweep fewer values; a \
             run takes at most {:.0} days",
            LONGEST_RUN.as_secs_f64() / 86_400.0
        );
        Complaint::at(document.section_span("run", "duration"), message, remedy)
    })
}

/// The longest the trials of one point can take.
fn longest(reading: &Reading) -> Duration {
    let trials = match reading.run.layout {
        Layout::SideBySide => 1,
        Layout::Solo => u32::try_from(reading.strategies.len()).unwrap_or(u32::MAX),
    };
    let trial = TRIAL_OVERHEAD + reading.run.warm_up + reading.run.duration + drain(reading);
    trial.saturating_mul(trials.saturating_mul(reading.run.blocks()))
}
