//! The report as one page, `report.html`: nothing is loaded from elsewhere, and nothing may be.
//!
//! The page works without scripts and in print. With them, points of a sweep are switched,
//! strategies toggled, and values read off the charts.

use minijinja::{Value, context};
use serde::Serialize;

use crate::analysis::Analysis;
use crate::analysis::summary::{CheckStatus, PointSummary, StrategySummary, Summary};

use super::answer::answer;
use super::columns::{COST, Column, LIMITS, OUTCOME};
use super::plot::{self, CHARTS, SWEEP_CHARTS, SweepView, View};
use super::{background, compared, constraints, point, wording};

mod aim;
pub(super) mod frame;

const PAGE: &str = include_str!("page.html");

/// A table as the page shows it.
#[derive(Debug, Default, Serialize)]
struct Table {
    caption: String,
    /// The heading of the first column.
    first: &'static str,
    headings: Vec<Heading>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Heading {
    group: &'static str,
    name: String,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// The strategy that it is of, if it is of one.
    strategy: Option<String>,
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
struct Cell {
    /// Its heading, for screens too narrow for columns.
    label: String,
    text: String,
    interval: Option<String>,
}

/// A chart as the page shows it.
#[derive(Debug, Serialize)]
struct Chart {
    id: String,
    title: &'static str,
    svg: Value,
}

/// A point as the page shows it.
#[derive(Debug, Serialize)]
struct Point {
    /// Counted from one.
    number: String,
    heading: Option<String>,
    /// Of headings within it.
    level: u8,
    workload: Option<String>,
    tables: Vec<Table>,
    compared: Vec<Section>,
    remarks: Vec<[String; 2]>,
    sentences: Vec<String>,
    charts: Vec<Chart>,
    theory: Option<Table>,
    theory_notes: Vec<[String; 2]>,
}

/// What is said of strategies under a heading.
#[derive(Debug, Serialize)]
struct Section {
    heading: String,
    said: Vec<[String; 2]>,
}

/// Writes the page.
#[must_use]
pub fn report(analysis: &Analysis) -> String {
    let (summary, provenance) = (&analysis.summary, &analysis.provenance);
    let status = summary.verdict.status;
    let constraints = checklists(summary);
    let sweep_charts = sweep_charts(analysis);
    let title = wording::one_line(&summary.scenario.title);
    let values = context! {
        title => title,
        question => summary.scenario.question.as_deref().map(wording::one_line),
        answer => answer(summary),
        verdict => context! {
            word => wording::verdict_word(status),
            advice => wording::verdict_advice(status),
            found => wording::checks_by_outcome(summary),
        },
        incomplete => (!summary.complete).then_some(wording::INCOMPLETE),
        doubts => doubts(summary),
        contents => CONTENTS,
        strategies => toggles(summary),
        decision => aim::decision(summary),
        thresholds => aim::thresholds(summary),
        costs => aim::costs(summary),
        points => points(analysis),
        sweep_charts => sweep_charts,
        checks => checks(summary),
        machine => background::machine(&provenance.environment),
        run => background::run(summary, provenance),
        method => background::METHOD,
        limits => background::limits(summary),
        constraints => constraints,
        citation => background::citation(analysis),
        not_citable => background::NOT_CITABLE,
        command => background::command(provenance),
        scenario => provenance.scenario,
        version => summary.tool.version,
        commit => summary.tool.commit,
        run_id => summary.run_id,
    };
    let version = &summary.tool.version;
    frame::page(&format!("{title}: report"), version, frame::fill(PAGE, values))
}

/// The page's own sections: where they are, and what they are called.
const CONTENTS: &[(&str, &str)] = &[
    ("answer", "Answer"),
    ("verdict", "Verdict"),
    ("comparison", "Comparison"),
    ("charts", "Charts"),
    ("theory", "Theory"),
    ("checks", "Checks"),
    ("environment", "Environment"),
    ("method", "Method"),
    ("limits", "Limits"),
    ("cite", "Cite"),
    ("reproduce", "Reproduce"),
];

/// Every strategy once, with its colour.
fn toggles(summary: &Summary) -> Vec<Value> {
    let mut known: Vec<&str> = Vec::new();
    let mut toggles = Vec::new();
    for point in &summary.points {
        for (place, strategy) in point.strategies.iter().enumerate() {
            if !known.contains(&strategy.name.as_str()) {
                known.push(&strategy.name);
                let colour = plot::colour_variable(place);
                toggles.push(context! { name => strategy.name, colour => colour });
            }
        }
    }
    toggles
}

/// The checks that did not pass and that a reader must know of.
fn doubts(summary: &Summary) -> Vec<Value> {
    let checks = summary.verdict.checks.iter();
    let doubted = checks.filter(|c| matches!(c.status, CheckStatus::Warn | CheckStatus::Fail));
    doubted
        .map(|check| {
            context! {
                outcome => wording::check_word(check.status),
                name => wording::check_name(check),
                message => wording::one_line(&check.message),
            }
        })
        .collect()
}

fn points(analysis: &Analysis) -> Vec<Point> {
    let points = &analysis.summary.points;
    (0..).zip(points).map(|(place, point)| page_point(analysis, place, point)).collect()
}

fn page_point(analysis: &Analysis, place: usize, summary: &PointSummary) -> Point {
    let heading = point::heading(&summary.parameters);
    let workload = analysis.provenance.workloads.get(place).map(background::workload);
    let compared = compared::sections(summary).into_iter().map(|(heading, said)| Section {
        heading,
        said: said.into_iter().map(|said| [said.strategy, said.sentence]).collect(),
    });
    let remarks = summary.strategies.iter().filter_map(|strategy| {
        Some([strategy.name.clone(), format!("{}.", wording::remarks(strategy)?)])
    });
    let stopped = summary.stopping.as_ref().map(wording::stopped);
    let (theory, theory_notes) = theory(summary);
    Point {
        number: (place + 1).to_string(),
        level: if heading.is_some() { 4 } else { 3 },
        heading,
        workload,
        tables: tables(summary),
        compared: compared.collect(),
        remarks: remarks.collect(),
        sentences: [stopped, wording::conditions(summary)].into_iter().flatten().collect(),
        charts: charts(analysis, place, summary),
        theory,
        theory_notes,
    }
}

fn tables(point: &PointSummary) -> Vec<Table> {
    if point.strategies.is_empty() {
        return Vec::new();
    }
    let mut tables = vec![
        of_strategies("How soon events came, and what became of them", OUTCOME, point),
        of_strategies("What a delivered event cost, on either side", COST, point),
    ];
    if wording::has_limits(std::slice::from_ref(point)) {
        tables.push(of_strategies(
            "The physical limit, all medians: what raw sockets would allow",
            LIMITS,
            point,
        ));
    }
    tables
}

fn of_strategies(caption: &str, columns: &[Column], point: &PointSummary) -> Table {
    let cell = |column: &Column, strategy: &StrategySummary| Cell {
        label: format!("{}, {}", column.group, column.heading),
        text: (column.read)(strategy),
        interval: (column.interval)(strategy),
    };
    let row = |strategy: &StrategySummary| Row {
        name: wording::one_line(&strategy.name),
        strategy: Some(strategy.name.clone()),
        cells: columns.iter().map(|column| cell(column, strategy)).collect(),
    };
    Table {
        caption: caption.to_owned(),
        first: "strategy",
        headings: columns
            .iter()
            .map(|column| Heading { group: column.group, name: column.heading.to_owned() })
            .collect(),
        rows: point.strategies.iter().map(row).collect(),
    }
}

/// A table of plain cells.
fn plain(caption: &str, first: &'static str, headings: &[&str], rows: Vec<Row>) -> Table {
    let heading = |name: &&str| Heading { group: "", name: (*name).to_owned() };
    let caption = caption.to_owned();
    Table { caption, first, headings: headings.iter().map(heading).collect(), rows }
}

/// A row of plain cells below these headings.
fn plain_row(name: String, strategy: Option<String>, headings: &[&str], cells: Vec<String>) -> Row {
    let cells = headings.iter().zip(cells);
    let cell =
        |(label, text): (&&str, String)| Cell { label: (*label).to_owned(), text, interval: None };
    Row { name, strategy, cells: cells.map(cell).collect() }
}

fn charts(analysis: &Analysis, place: usize, point: &PointSummary) -> Vec<Chart> {
    let figures = &analysis.figures;
    let curves = figures.iter().find(|curves| curves.parameters == point.parameters);
    let view = View::new(&analysis.summary, point, curves).narrow();
    let several = analysis.summary.points.len() > 1;
    CHARTS
        .iter()
        .map(|chart| {
            let id = if several {
                format!("chart-{}-{}", chart.name, place + 1)
            } else {
                format!("chart-{}", chart.name)
            };
            // Its parts have names that begin with another, so that the link finds the figure.
            let svg = chart.inline_svg(&view, &format!("svg-{id}"));
            Chart { id, title: chart.title, svg: Value::from_safe_string(svg) }
        })
        .collect()
}

/// The charts over all points; none without a sweep.
fn sweep_charts(analysis: &Analysis) -> Vec<Chart> {
    let Some(view) = SweepView::new(&analysis.summary, &analysis.figures) else {
        return Vec::new();
    };
    let view = view.narrow();
    SWEEP_CHARTS
        .iter()
        .map(|chart| {
            let id = format!("chart-{}", chart.name);
            let svg = chart.inline_svg(&view, &format!("svg-{id}"));
            Chart { id, title: chart.title, svg: Value::from_safe_string(svg) }
        })
        .collect()
}

fn theory(point: &PointSummary) -> (Option<Table>, Vec<[String; 2]>) {
    let models = || point.strategies.iter().filter_map(|s| Some((s, s.model.as_ref()?)));
    let rows: Vec<Row> = models()
        .flat_map(|(strategy, model)| {
            model.claims.iter().map(|claim| {
                let cells = wording::model_row(claim).into();
                let name = strategy.name.clone();
                plain_row(name.clone(), Some(name), &wording::MODEL_HEADINGS, cells)
            })
        })
        .collect();
    let notes = models().map(|(strategy, model)| {
        let note = wording::one_line(&model.note);
        [strategy.name.clone(), format!("{}; {note}.", wording::agreement(model))]
    });
    let notes: Vec<[String; 2]> = notes.collect();
    let caption = "What theory expects, beside what was measured";
    let table = plain(caption, "strategy", &wording::MODEL_HEADINGS, rows);
    ((!notes.is_empty()).then_some(table), notes)
}

fn checks(summary: &Summary) -> Table {
    const HEADINGS: [&str; 2] = ["outcome", "what was found"];
    let checks = summary.verdict.checks.iter();
    let rows = checks.map(|check| {
        let cells =
            vec![wording::check_word(check.status).to_owned(), wording::one_line(&check.message)];
        plain_row(wording::check_name(check), None, &HEADINGS, cells)
    });
    plain("Every check, in order", "check", &HEADINGS, rows.collect())
}

/// The checklists of the mechanisms that were compared, each once.
fn checklists(summary: &Summary) -> Vec<Value> {
    let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
    for strategy in summary.points.iter().flat_map(|point| &point.strategies) {
        match lists.iter_mut().find(|(mechanism, _)| *mechanism == strategy.mechanism) {
            Some((_, names)) if names.contains(&strategy.name.as_str()) => {}
            Some((_, names)) => names.push(&strategy.name),
            None => lists.push((&strategy.mechanism, vec![&strategy.name])),
        }
    }
    let list = |(mechanism, names): (&str, Vec<&str>)| {
        let items = constraints::of(mechanism)?.items();
        Some(context! { mechanism => mechanism, strategies => names.join(", "), items => items })
    };
    lists.into_iter().filter_map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::report;
    use crate::analysis::summary::VerdictStatus;
    use crate::report::plot::CHARTS;
    use crate::report::sample;

    #[test]
    fn the_page_answers_in_the_order_of_a_reader() {
        let page = report(&sample::analysis());
        let mut from = 0;
        for part in [
            "Poll every second, or subscribe?",
            "id=\"answer\"",
            "id=\"verdict\"",
            "id=\"comparison\"",
            "id=\"charts\"",
            "id=\"theory\"",
            "id=\"checks\"",
            "id=\"environment\"",
            "id=\"method\"",
            "What this does not show",
            "id=\"constraints\"",
            "How to cite",
            "How to reproduce",
        ] {
            let found = page[from..].find(part);
            from += found.unwrap_or_else(|| panic!("{part} is missing or too early"));
        }
    }

    #[test]
    fn nothing_is_loaded_and_only_its_own_style_and_script_run() {
        let page = report(&sample::analysis());
        assert!(!page.contains("unsafe-inline") && !page.contains(" style=\""));
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("<style").count(), 1);
        let addresses = page.matches("http").count();
        let namespaces = page.matches("http://www.w3.org/2000/svg").count();
        let policy = page.matches("http-equiv").count();
        assert_eq!(addresses, namespaces + policy, "no address but that of SVG");
    }

    #[test]
    fn every_chart_of_every_point_is_on_the_page_under_a_name_of_its_own() {
        let page = report(&sample::swept_analysis());
        for chart in CHARTS {
            for point in [1, 2] {
                let id = format!("<figure class=\"chart\" id=\"chart-{}-{point}\">", chart.name);
                assert_eq!(page.matches(&id).count(), 1, "{id}");
            }
        }
        let mut ids: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut analysis = sample::analysis();
        let hostile = "</script><img src=x onerror=alert(1)>\"' &amp; {{ 31*31*31 }}";
        analysis.summary.scenario.title = hostile.to_owned();
        analysis.summary.points[0].strategies[0].name = hostile.to_owned();
        analysis.summary.verdict.checks[2].message = hostile.to_owned();
        analysis.provenance.scenario = hostile.to_owned();
        let page = report(&analysis);
        assert!(!page.contains("<img") && !page.contains("29791"), "escaped, and no template");
        assert_eq!(page.matches("</script>").count(), 1);
    }

    #[test]
    fn an_invalid_run_is_said_to_be_invalid_before_anything_else() {
        let mut analysis = sample::analysis();
        analysis.summary.verdict.status = VerdictStatus::Invalid;
        let page = report(&analysis);
        assert!(page.contains("No answer: the run is invalid"));
        assert_eq!(page.matches(">INVALID<").count(), CHARTS.len());
    }

    #[test]
    fn a_run_without_points_is_a_page_all_the_same() {
        let mut analysis = sample::analysis();
        analysis.summary.points.clear();
        analysis.figures.clear();
        assert!(report(&analysis).contains("Nothing was measured."));
    }
}
