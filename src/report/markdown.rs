//! The summary as `report.md`: the verdict first, then what was found, and how.

use crate::analysis::summary::{PointSummary, StrategySummary, Summary};

use super::answer::answer;
use super::plot::CHARTS;
use super::quantity::{bytes, count, nanoseconds, or_absent, ratio};
use super::{compared, point, wording};

/// A column of a table: its heading, and its cell for a strategy.
type Column = (&'static str, fn(&StrategySummary) -> String);

const LATENCY: &[Column] = &[
    ("mean", |s| or_absent(s.latency.mean, nanoseconds)),
    ("p50", |s| or_absent(s.latency.p50, nanoseconds)),
    ("p90", |s| or_absent(s.latency.p90, nanoseconds)),
    ("p99", |s| or_absent(s.latency.p99, nanoseconds)),
    ("max", |s| or_absent(s.latency.max, nanoseconds)),
    ("events delivered", |s| count(s.events.delivered)),
    ("effective", |s| or_absent(s.latency.effective, count)),
    ("events lost", |s| match s.events.lost {
        0 => "0".to_owned(),
        lost => format!("**{}**", count(lost)),
    }),
    ("time out of date", wording::out_of_date),
    ("lag p50", |s| or_absent(s.lag.p50, nanoseconds)),
    ("lag max", |s| or_absent(s.lag.max, nanoseconds)),
];

const COST: &[Column] = &[
    ("requests/event", |s| or_absent(s.requests.per_event, ratio)),
    ("empty requests", wording::empty_share),
    ("bytes/event", |s| or_absent(s.bytes.per_event, bytes)),
    ("connections opened", |s| count(s.connections.opened)),
    ("CPU/event, source", |s| wording::time_per_event(s.cpu.source, s)),
    ("CPU/event, subscriber", |s| wording::time_per_event(s.cpu.subscriber, s)),
    ("CPU/event above idle, both", wording::above_idle),
    ("memory, source", |s| escape(&wording::source_memory(s))),
    ("memory, subscriber", |s| bytes(s.memory.subscriber_peak as f64)),
];

const INTERVALS: &[Column] = &[
    ("mean", |s| or_absent(s.latency.ci95.mean, wording::interval)),
    ("p50", |s| or_absent(s.latency.ci95.p50, wording::interval)),
    ("p99", |s| or_absent(s.latency.ci95.p99, wording::interval)),
];

/// Shown where raw sockets were measured.
const LIMITS: &[Column] = &[
    ("raw one way", |s| or_absent(s.limit.map(|limit| limit.one_way_p50), nanoseconds)),
    ("raw round trip", |s| or_absent(s.limit.map(|limit| limit.round_trip_p50), nanoseconds)),
    ("raw new connection", |s| {
        or_absent(s.limit.map(|limit| limit.new_connection_p50), nanoseconds)
    }),
    ("limit", |s| or_absent(s.limit.and_then(|limit| limit.latency_p50), nanoseconds)),
    ("measured, without lag", |s| {
        or_absent(s.limit.and_then(|limit| limit.delivery_p50), nanoseconds)
    }),
    ("overhead", wording::overhead),
    ("times the limit", wording::times_limit),
];

/// How numbers are made, for readers who meet only this report.
const METHOD: &str = "\
1. Every strategy is offered the same events at the same planned moments.
2. Latency runs from the moment an event was **due** to the moment the subscriber could use it: \
verified, parsed and deduplicated. The harness's own lateness (**lag**: emitted − due) is inside it, and shown apart.
3. Requests and bytes are counted at the source's sockets, inside the measured window only.
4. CPU time is read from the system for each side inside the window; the pacer, which emits the \
events, is excluded.
5. Quantiles are the median over blocks of each block's own quantile, and withheld where a block \
holds fewer than ten events beyond them. “Effective” is how many independent events say as much as \
those that were delivered. “Per event” divides by delivered events.
";

/// Writes the report; charts are linked as SVG, relative to it.
#[must_use]
pub fn report(summary: &Summary) -> String {
    let mut blocks = opening(summary);
    blocks.push("## What was found".to_owned());
    for point in &summary.points {
        blocks.extend(heading("###", point));
        blocks.push(findings(point));
        let said = [point.stopping.as_ref().map(wording::stopped), wording::conditions(point)];
        blocks.extend(said.into_iter().flatten().map(|said| escape(&said)));
    }
    if summary.points.is_empty() {
        blocks.push("Nothing was measured.".to_owned());
    }
    blocks.push("## Figures".to_owned());
    for (point, folder) in summary.points.iter().zip(point::chart_folders(&summary.points)) {
        blocks.extend(heading("###", point));
        blocks.extend(figures(point, &folder));
    }
    blocks.push("## Checks".to_owned());
    blocks.push(checks(summary));
    blocks.push("## Scope and limits".to_owned());
    blocks.push(limits(summary));
    blocks.push("## How the numbers are made".to_owned());
    blocks.push(METHOD.to_owned());
    blocks.push(colophon(summary));
    let mut text = String::new();
    for block in blocks {
        text.push_str(block.trim_end());
        text.push_str("\n\n");
    }
    text.pop();
    text
}

fn opening(summary: &Summary) -> Vec<String> {
    let mut blocks = vec![format!("# {}", escape(&summary.scenario.title))];
    if let Some(question) = &summary.scenario.question {
        blocks.push(format!("> {}", escape(question)));
    }
    blocks.push(format!("**Answer:** {}", escape(&answer(summary))));
    let status = summary.verdict.status;
    let found = wording::checks_by_outcome(summary);
    blocks.push(format!(
        "**Verdict: {}** ({found}). {}",
        wording::verdict_word(status),
        wording::verdict_advice(status)
    ));
    if !summary.complete {
        blocks.push(format!("**Incomplete.** {}", wording::INCOMPLETE));
    }
    blocks
}

/// The point's parameters as a heading; nothing without a sweep.
fn heading(level: &str, point: &PointSummary) -> Option<String> {
    point::heading(&point.parameters).map(|heading| format!("{level} {}", escape(&heading)))
}

fn findings(point: &PointSummary) -> String {
    let lines: Vec<String> = point
        .strategies
        .iter()
        .map(|strategy| {
            let (name, mechanism) = (escape(&strategy.name), escape(&strategy.mechanism));
            let remarks = wording::remarks(strategy);
            let remarks =
                remarks.map_or(String::new(), |remarks| format!(" Also seen: {remarks}."));
            format!("- **{name}** ({mechanism}): {}{remarks}", wording::finding(strategy))
        })
        .collect();
    if lines.is_empty() { "No strategy was measured.".to_owned() } else { lines.join("\n") }
}

fn figures(point: &PointSummary, folder: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    if !point.strategies.is_empty() {
        blocks.push("Latency, from due to usable, and what became of the events:".to_owned());
        blocks.push(comparison(point, LATENCY));
        if wording::has_intervals(point) {
            blocks
                .push("Confidence intervals of latency, of at least 95 %, over blocks:".to_owned());
            blocks.push(comparison(point, INTERVALS));
        }
        if wording::has_limits(std::slice::from_ref(point)) {
            blocks.push("The physical limit, all medians:".to_owned());
            blocks.push(comparison(point, LIMITS));
            blocks.push(format!("Here {}.", wording::LIMIT));
        }
        blocks.push("What it cost:".to_owned());
        blocks.push(comparison(point, COST));
    }
    for (heading, said) in compared::sections(point) {
        blocks.push(format!("{}:", escape(&heading)));
        let line = |said: compared::Said| {
            format!("- **{}**: {}", escape(&said.strategy), escape(&said.sentence))
        };
        blocks.push(said.into_iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    let place = point::heading(&point.parameters);
    let place = place.map_or(String::new(), |place| format!(" ({})", escape(&place)));
    for chart in CHARTS {
        blocks.push(format!("![{}{place}]({folder}/{}.svg)", chart.title, chart.name));
    }
    blocks.extend(theory(point));
    blocks
}

fn comparison(point: &PointSummary, columns: &[Column]) -> String {
    let headings = std::iter::once("strategy").chain(columns.iter().map(|(heading, _)| *heading));
    let rows = point.strategies.iter().map(|strategy| {
        let cells = columns.iter().map(|(_, read)| read(strategy));
        std::iter::once(escape(&strategy.name)).chain(cells).collect()
    });
    table(&headings.collect::<Vec<_>>(), "---:", rows)
}

/// Theory beside measurement, for the strategies that have one.
fn theory(point: &PointSummary) -> Vec<String> {
    let models = || point.strategies.iter().filter_map(|s| Some((s, s.model.as_ref()?)));
    let rows = models().flat_map(|(strategy, model)| {
        let name = escape(&strategy.name);
        let row =
            move |claim| std::iter::once(name.clone()).chain(wording::model_row(claim)).collect();
        model.claims.iter().map(row)
    });
    if models().next().is_none() {
        return Vec::new();
    }
    let headings: Vec<&str> = std::iter::once("strategy").chain(wording::MODEL_HEADINGS).collect();
    let notes: Vec<String> = models()
        .map(|(strategy, model)| {
            let (name, note) = (escape(&strategy.name), escape(&model.note));
            format!("- {name}: {}; {note}", wording::agreement(model))
        })
        .collect();
    vec![
        "What theory expects, beside what was measured:".to_owned(),
        table(&headings, "---:", rows),
        notes.join("\n"),
    ]
}

fn checks(summary: &Summary) -> String {
    if summary.verdict.checks.is_empty() {
        return "No check was made.".to_owned();
    }
    let rows = summary.verdict.checks.iter().map(|check| {
        vec![
            escape(&wording::check_name(check)),
            wording::check_word(check.status).to_owned(),
            escape(&check.message),
        ]
    });
    table(&["check", "outcome", "what was found"], "---", rows)
}

fn limits(summary: &Summary) -> String {
    let mut sentences = vec![
        "Loopback only: source and subscribers ran on one machine, so the numbers contain neither \
         network distance nor packet loss. Compare strategies with each other, not with a service \
         across a network.",
        "Lost events have no latency; they are counted and are in no percentile.",
        "An event counts once for each subscriber it is owed to.",
        "“—” stands for a figure that was withheld because too few events support it, or that \
         cannot exist.",
    ];
    if wording::shares_memory(&summary.points) {
        sentences.push(
            "Memory marked \\* is that of a source process that served several strategies at \
             once, so it belongs to none of them alone.",
        );
    }
    sentences.join(" ")
}

fn colophon(summary: &Summary) -> String {
    let (tool, scenario) = (&summary.tool, &summary.scenario);
    format!(
        "---\n\nRun {}, made with pollpush {} ({}). Scenario SHA-256: {}.",
        escape(&summary.run_id),
        escape(&tool.version),
        escape(&tool.commit),
        escape(&scenario.sha256)
    )
}

/// A table whose first column is text and whose others are aligned by `rule`.
pub(super) fn table(
    headings: &[&str],
    rule: &str,
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let mut text = format!("| {} |\n| ---", headings.join(" | "));
    for _ in headings.iter().skip(1) {
        text.push_str(" | ");
        text.push_str(rule);
    }
    text.push_str(" |\n");
    for row in rows {
        text.push_str("| ");
        text.push_str(&row.join(" | "));
        text.push_str(" |\n");
    }
    text
}

/// Text from the user, so that it reads as it was written and stays in its place.
pub(super) fn escape(text: &str) -> String {
    let text = wording::one_line(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::report;
    use crate::report::{plot, sample};

    #[test]
    fn a_report_gives_the_verdict_first() {
        insta::assert_snapshot!(report(&sample::summary()));
    }

    #[test]
    fn every_linked_chart_is_drawn() {
        let (summary, figures) = sample::swept();
        let text = report(&summary);
        let folders = crate::report::point::chart_folders(&summary.points);
        assert_eq!(text.matches("](charts/").count(), folders.len() * plot::CHARTS.len());
        for folder in folders {
            for chart in plot::CHARTS {
                assert!(text.contains(&format!("]({folder}/{}.svg)", chart.name)));
            }
        }
        assert_eq!(figures.len(), summary.points.len());
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut summary = sample::summary();
        summary.scenario.title = "a | b `c` <script> *d* [e](f)\n# g".to_owned();
        summary.points[0].strategies[0].name = "x|y".to_owned();
        let text = report(&summary);
        let title = r"# a \| b \`c\` &lt;script&gt; \*d\* \[e\](f) \# g";
        assert_eq!(text.lines().next(), Some(title));
        assert!(text.contains(r"| x\|y |"));
    }

    #[test]
    fn an_empty_or_interrupted_run_says_so() {
        let mut summary = sample::summary();
        summary.points.clear();
        summary.complete = false;
        summary.verdict.checks.clear();
        let text = report(&summary);
        assert!(text.contains("Nothing was measured.") && text.contains("**Incomplete.**"));
        assert!(text.contains("No check was made."));
    }
}
