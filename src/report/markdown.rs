//! The analysis as `report.md`, in the shape of a decision record: context, options, measured
//! consequences, and a decision that is left to its author.

use crate::analysis::Analysis;
use crate::analysis::summary::{PointSummary, StrategySummary, Summary};

use super::answer::answer;
use super::columns::{COST, Column, LIMITS, OUTCOME};
use super::plot::{CHARTS, SWEEP_CHARTS, SweepView};
use super::{background, compared, constraints, decided, point, wording};

/// Writes the report; charts are linked as SVG, relative to it.
#[must_use]
pub fn report(analysis: &Analysis) -> String {
    let summary = &analysis.summary;
    let mut blocks = opening(summary);
    blocks.push("## Context".to_owned());
    blocks.extend(context(analysis));
    blocks.push("## Options".to_owned());
    blocks.push(options(summary));
    blocks.push("## Measured consequences".to_owned());
    blocks.extend(aim(summary));
    blocks.extend(sweep(analysis));
    let folders = point::chart_folders(&summary.points);
    for (point, folder) in summary.points.iter().zip(&folders) {
        blocks.extend(consequences(point, folder));
    }
    if summary.points.is_empty() {
        blocks.push("Nothing was measured.".to_owned());
    }
    blocks.push("## To be answered besides".to_owned());
    blocks.extend(checklists(summary));
    blocks.push("## Decision".to_owned());
    blocks.push(DECISION.to_owned());
    blocks.push("## Checks of the run itself".to_owned());
    blocks.push(checks(summary));
    blocks.push("## What this does not show".to_owned());
    blocks.push(listed(background::limits(summary).into_iter().map(escape)));
    blocks.push("## How the numbers are made".to_owned());
    blocks.push(listed(background::METHOD.iter().map(|sentence| escape(sentence))));
    blocks.push("## Citation".to_owned());
    let citation = background::citation(analysis);
    let citation = citation.as_deref().unwrap_or(background::NOT_CITABLE);
    blocks.push(format!("> {}", escape(citation)));
    blocks.push(format!("{}.", background::TOOLS));
    blocks.push(format!(
        "To run it again, with the `scenario.toml` beside this file:\n\n```sh\n{}\n```",
        wording::one_line(&background::command(&analysis.provenance))
    ));
    blocks.push(colophon(summary));
    let mut text = String::new();
    for block in blocks {
        text.push_str(block.trim_end());
        text.push_str("\n\n");
    }
    text.pop();
    text
}

/// What the author writes.
const DECISION: &str = "\
*Left to the author: the run says what was measured, not what matters.*

**Decision:** …

**Because:** …

**To be looked at again when:** …";

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

/// What was offered, on which machine, and how the run was made.
fn context(analysis: &Analysis) -> Vec<String> {
    let Analysis { summary, provenance, .. } = analysis;
    let mut blocks = Vec::new();
    if let Some(workload) = provenance.workloads.first() {
        let (first, rest) = (background::workload(workload), &provenance.workloads[1..]);
        let same = rest.iter().all(|other| other == workload);
        let words = if same { "Offered:" } else { "Offered at the first point:" };
        blocks.push(format!("{words} {}", escape(&first)));
    }
    let facts = background::machine(&provenance.environment);
    let facts = facts.into_iter().chain(background::run(summary, provenance));
    let rows = facts.map(|(name, fact)| vec![name.to_owned(), escape(&fact)]);
    blocks.push(format!(
        "<details><summary>Machine and run</summary>\n\n{}\n</details>",
        table(&["what", "value"], "---", rows)
    ));
    blocks
}

/// Every strategy with its mechanism and settings.
fn options(summary: &Summary) -> String {
    let Some(point) = summary.points.first() else {
        return "No strategy was measured.".to_owned();
    };
    listed(point.strategies.iter().map(|strategy| {
        let settings = strategy.settings.as_object().into_iter().flatten();
        let settings: Vec<String> = settings
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                escape(&format!("{key} = {value}"))
            })
            .collect();
        let settings =
            if settings.is_empty() { "no settings".to_owned() } else { settings.join(", ") };
        let (name, mechanism) = (escape(&strategy.name), escape(&strategy.mechanism));
        format!("**{name}** ({mechanism}): {settings}")
    }))
}

/// Objective, expectations and costs, as far as the scenario has them.
fn aim(summary: &Summary) -> Vec<String> {
    let mut blocks = Vec::new();
    let currency = summary.costs.as_ref().map(|costs| costs.currency.as_str());
    if let Some(decision) = &summary.decision {
        blocks.push(format!("Wanted: {}.", escape(&decided::wanted(decision))));
        let lines = decided::decision_lines(decision, currency);
        blocks.push(listed(lines.iter().map(|line| escape(line))));
    }
    if !summary.thresholds.is_empty() {
        let rows = summary.thresholds.iter().map(|result| {
            vec![
                escape(&decided::expectation(summary, result)),
                decided::judgement_word(result.status).to_owned(),
                escape(&result.sentence),
            ]
        });
        blocks.push(table(&["expectation", "outcome", "what was found"], "---", rows));
    }
    if let Some(costs) = &summary.costs {
        blocks.push(format!("{}:", escape(&decided::costs_heading(costs))));
        let headings: Vec<&str> =
            ["at", "strategy"].into_iter().chain(decided::BILL_HEADINGS).collect();
        let rows = costs.points.iter().flat_map(|at| {
            let place = point::heading(&at.parameters).unwrap_or_default();
            at.strategies.iter().flat_map(move |strategy| {
                let (place, name) = (escape(&place), escape(&strategy.strategy));
                strategy.bills.iter().map(move |bill| {
                    let cells = decided::bill_row(bill);
                    [place.clone(), name.clone()].into_iter().chain(cells).collect()
                })
            })
        });
        blocks.push(table(&headings, "---:", rows));
        blocks.push(listed(costs.assumptions.iter().map(|line| escape(line))));
    }
    blocks
}

/// The charts over all points; nothing without a sweep.
fn sweep(analysis: &Analysis) -> Vec<String> {
    if SweepView::new(&analysis.summary, &analysis.figures).is_none() {
        return Vec::new();
    }
    let link =
        |chart: &super::plot::SweepChart| format!("![{}](charts/{}.svg)", chart.title, chart.name);
    SWEEP_CHARTS.iter().map(link).collect()
}

/// What was found at a point; folded away if there are several.
fn consequences(point: &PointSummary, folder: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let heading = point::heading(&point.parameters).map(|heading| escape(&heading));
    if let Some(heading) = &heading {
        blocks.push(format!("<details><summary>{heading}</summary>"));
    }
    blocks.push(findings(point));
    let said = [point.stopping.as_ref().map(wording::stopped), wording::conditions(point)];
    blocks.extend(said.into_iter().flatten().map(|said| escape(&said)));
    blocks.extend(figures(point, folder));
    if heading.is_some() {
        blocks.push("</details>".to_owned());
    }
    blocks
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
            format!("**{name}** ({mechanism}): {}{remarks}", wording::finding(strategy))
        })
        .collect();
    if lines.is_empty() {
        "No strategy was measured.".to_owned()
    } else {
        listed(lines.into_iter())
    }
}

fn figures(point: &PointSummary, folder: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    if !point.strategies.is_empty() {
        blocks.push("Latency, from due to usable, and what became of the events:".to_owned());
        blocks.push(comparison(point, OUTCOME));
        blocks.push("What it cost, on either side:".to_owned());
        blocks.push(comparison(point, COST));
        if wording::has_limits(std::slice::from_ref(point)) {
            blocks.push("The physical limit, all medians:".to_owned());
            blocks.push(comparison(point, LIMITS));
            blocks.push(format!("Here {}.", wording::LIMIT));
        }
    }
    for (heading, said) in compared::sections(point) {
        blocks.push(format!("{}:", escape(&heading)));
        blocks
            .push(listed(said.into_iter().map(|said| {
                format!("**{}**: {}", escape(&said.strategy), escape(&said.sentence))
            })));
    }
    let place = point::heading(&point.parameters);
    let place = place.map_or(String::new(), |place| format!(" ({})", escape(&place)));
    for chart in CHARTS.iter().filter(|chart| chart.is_about(point)) {
        blocks.push(format!("![{}{place}]({folder}/{}.svg)", chart.title, chart.name));
    }
    blocks.extend(theory(point));
    blocks
}

/// A table of strategies; intervals stand below their figures.
fn comparison(point: &PointSummary, columns: &[Column]) -> String {
    let headings = columns.iter().map(|column| format!("{}: {}", column.group, column.heading));
    let headings: Vec<String> = std::iter::once("strategy".to_owned()).chain(headings).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let rows = point.strategies.iter().map(|strategy| {
        let cells = columns.iter().map(|column| cell(column, strategy));
        std::iter::once(escape(&strategy.name)).chain(cells).collect()
    });
    table(&headings, "---:", rows)
}

fn cell(column: &Column, strategy: &StrategySummary) -> String {
    let figure = escape(&(column.read)(strategy));
    match (column.interval)(strategy) {
        Some(interval) => format!("{figure}<br>({})", escape(&interval)),
        None => figure,
    }
}

/// What each mechanism asks of both sides, to be ticked.
fn checklists(summary: &Summary) -> Vec<String> {
    let mut mechanisms: Vec<&str> = Vec::new();
    for strategy in summary.points.iter().flat_map(|point| &point.strategies) {
        if !mechanisms.contains(&strategy.mechanism.as_str()) {
            mechanisms.push(&strategy.mechanism);
        }
    }
    let mut blocks =
        vec!["Declared, not measured: tick what holds for your integration.".to_owned()];
    for constraints in mechanisms.into_iter().filter_map(constraints::of) {
        blocks.push(format!("**{}**", escape(constraints.mechanism)));
        let items = constraints.items();
        blocks.push(listed(items.iter().map(|(name, text)| format!("[ ] **{name}.** {text}"))));
    }
    blocks
}

fn listed(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |list, line| list + "- " + &line + "\n")
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
        insta::assert_snapshot!(report(&sample::analysis()));
    }

    #[test]
    fn every_linked_chart_is_drawn() {
        let analysis = sample::swept_analysis();
        let text = report(&analysis);
        let (summary, figures) = (&analysis.summary, &analysis.figures);
        let folders = crate::report::point::chart_folders(&summary.points);
        let drawn: Vec<String> =
            plot::render_all(summary, figures).into_iter().map(|file| file.path).collect();
        let linked = text.matches("](charts/").count();
        let about = |chart: &&plot::Chart| chart.is_about(&summary.points[0]);
        let charts: Vec<&plot::Chart> = plot::CHARTS.iter().filter(about).collect();
        assert_eq!(linked, folders.len() * charts.len() + plot::SWEEP_CHARTS.len());
        for link in text.split("](charts/").skip(1) {
            let path = link.split(')').next().expect("it ends");
            assert!(drawn.contains(&format!("charts/{path}")), "{path}");
        }
        for folder in folders {
            for chart in &charts {
                assert!(text.contains(&format!("]({folder}/{}.svg)", chart.name)));
            }
        }
        assert_eq!(figures.len(), summary.points.len());
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut analysis = sample::analysis();
        let summary = &mut analysis.summary;
        summary.scenario.title = "a | b `c` <script> *d* [e](f)\n# g".to_owned();
        summary.points[0].strategies[0].name = "x|y".to_owned();
        let text = report(&analysis);
        let title = r"# a \| b \`c\` &lt;script&gt; \*d\* \[e\](f) \# g";
        assert_eq!(text.lines().next(), Some(title));
        assert!(text.contains(r"| x\|y |"));
    }

    #[test]
    fn an_empty_or_interrupted_run_says_so() {
        let mut analysis = sample::analysis();
        analysis.summary.points.clear();
        analysis.summary.complete = false;
        analysis.summary.verdict.checks.clear();
        let text = report(&analysis);
        assert!(text.contains("Nothing was measured.") && text.contains("**Incomplete.**"));
        assert!(text.contains("No check was made."));
    }
}
