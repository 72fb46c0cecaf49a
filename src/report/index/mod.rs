//! Many runs on one page, `index.html`: what each asked and found, and their curves beside each
//! other.
//!
//! The page has the look, the script and the restrictions of a run's own report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::{Value, context};

use crate::analysis::Analysis;
use crate::analysis::figures::PointFigures;
use crate::analysis::summary::{
    Conditions, PointSummary, ScenarioSummary, StrategySummary, Summary, Tool, Verdict,
    VerdictStatus,
};

use super::answer::answer;
use super::html::frame;
use super::plot::{self, LATENCY_ECDF, View};
use super::{machine, wording};
use crate::quantity::{count, counted, nanoseconds, or_absent};

const PAGE: &str = include_str!("index.html");

/// Curves that can be told apart by colour and mark.
const MOST_CURVES: usize = 16;

/// A run among others.
#[derive(Debug)]
pub struct Listed {
    /// The name of its folder, beside the page.
    pub folder: String,
    /// Its report, relative to its folder; `None` if there is none.
    pub report: Option<&'static str>,
    /// What it means, or why that cannot be told.
    pub analysis: Result<Analysis, String>,
}

/// One curve of one run.
struct Curve<'a> {
    /// The run's number and the strategy.
    name: String,
    run: usize,
    strategy: &'a StrategySummary,
    figures: &'a PointFigures,
}

/// Writes the page of some runs, in their order; `version` and `commit` are of this program.
#[must_use]
pub fn page(title: &str, runs: &[Listed], version: &str, commit: &str) -> String {
    let title = wording::one_line(title);
    let (curves, left_out) = curves(runs);
    let values = context! {
        title => title,
        runs => (1..).zip(runs).map(|(number, run)| listed(number, run)).collect::<Vec<_>>(),
        choices => choices(runs, &curves),
        chart => Value::from_safe_string(chart(&curves)),
        headings => HEADINGS,
        curves => curves.iter().map(row).collect::<Vec<_>>(),
        left_out => left_out,
        version => version,
        commit => commit,
    };
    frame::page(&title, version, frame::fill(PAGE, values))
}

fn listed(number: usize, run: &Listed) -> Value {
    let link = run.report.map(|report| format!("{}/{report}", encoded(&run.folder)));
    match &run.analysis {
        Ok(analysis) => {
            let summary = &analysis.summary;
            context! {
                number => number,
                link => link,
                title => wording::one_line(&summary.scenario.title),
                question => summary.scenario.question.as_deref().map(wording::one_line),
                verdict => wording::verdict_word(summary.verdict.status),
                answer => answer(summary),
                facts => facts(analysis),
            }
        }
        Err(why) => context! {
            number => number,
            link => link,
            title => wording::one_line(&run.folder),
            question => None::<String>,
            verdict => "unknown",
            answer => wording::one_line(why),
            facts => "It is listed because its folder holds a manifest.",
        },
    }
}

fn facts(analysis: &Analysis) -> String {
    let (summary, provenance) = (&analysis.summary, &analysis.provenance);
    let id: String = summary.run_id.chars().take(12).collect();
    let incomplete = if summary.complete { "" } else { ", ended before its planned end" };
    let blocks = summary.points.iter().flat_map(|point| &point.strategies);
    let blocks = blocks.map(|strategy| strategy.blocks).min().unwrap_or(0);
    format!(
        "{}, {}, {}{incomplete}; {}; pollpush {} ({}); run {id}",
        provenance.started.strftime("%Y-%m-%d %H:%M UTC"),
        counted(blocks.into(), "block"),
        provenance.arrangement,
        machine::in_words(&provenance.environment),
        wording::one_line(&summary.tool.version),
        wording::one_line(&summary.tool.commit),
    )
}

/// The curves of every run that may be used, as many as can be told apart, and what is said of
/// the others.
fn curves(runs: &[Listed]) -> (Vec<Curve<'_>>, Option<String>) {
    let mut curves = Vec::new();
    let mut left_out = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let Ok(analysis) = &run.analysis else { continue };
        let of_run = of_first_point(place, analysis);
        let sound = analysis.summary.verdict.status != VerdictStatus::Invalid;
        if sound && curves.len() + of_run.len() <= MOST_CURVES {
            curves.extend(of_run);
        } else if !of_run.is_empty() {
            left_out.push(format!("{}{}", place + 1, if sound { "" } else { " (invalid)" }));
        }
    }
    let left_out = (!left_out.is_empty()).then(|| {
        format!(
            "Without the curves of run {}: invalid ones, and more than sixteen, are left out.",
            left_out.join(", ")
        )
    });
    (curves, left_out)
}

fn of_first_point(place: usize, analysis: &Analysis) -> Vec<Curve<'_>> {
    let first = analysis.summary.points.first().zip(analysis.figures.first());
    let Some((point, figures)) = first else { return Vec::new() };
    let drawn = |strategy: &&StrategySummary| strategy.events.delivered > 0;
    let curve = |strategy| Curve { name: named(place, strategy), run: place, strategy, figures };
    point.strategies.iter().filter(drawn).map(curve).collect()
}

fn named(place: usize, strategy: &StrategySummary) -> String {
    format!("{}. {}", place + 1, wording::one_line(&strategy.name))
}

/// The curves by run, as they can be chosen.
fn choices(runs: &[Listed], curves: &[Curve<'_>]) -> Vec<Value> {
    let of = |place: usize, run: &Listed| {
        let own: Vec<Value> = curves
            .iter()
            .enumerate()
            .filter(|(_, curve)| curve.run == place)
            .map(|(colour, curve)| {
                context! {
                    name => curve.name,
                    strategy => wording::one_line(&curve.strategy.name),
                    colour => plot::colour_variable(colour),
                }
            })
            .collect();
        let title = run.analysis.as_ref().map(|one| one.summary.scenario.title.as_str());
        let name = format!("{}. {}", place + 1, wording::one_line(title.unwrap_or_default()));
        (!own.is_empty()).then(|| context! { name => name, curves => own })
    };
    runs.iter().enumerate().filter_map(|(place, run)| of(place, run)).collect()
}

const HEADINGS: [&str; 6] = ["mean", "p50", "p90", "p99", "greatest", "lost"];

fn row(curve: &Curve<'_>) -> Value {
    let latency = &curve.strategy.latency;
    let times = [latency.mean, latency.p50, latency.p90, latency.p99, latency.max];
    let mut cells = times.map(|time| or_absent(time, nanoseconds)).to_vec();
    cells.push(count(curve.strategy.events.lost));
    context! { name => curve.name, cells => cells }
}

/// All curves in one chart: drawn as if they were the strategies of one point.
fn chart(curves: &[Curve<'_>]) -> String {
    let rename =
        |curve: &Curve<'_>| StrategySummary { name: curve.name.clone(), ..curve.strategy.clone() };
    let point = PointSummary {
        parameters: BTreeMap::new(),
        strategies: curves.iter().map(rename).collect(),
        comparisons: Vec::new(),
        paired: Vec::new(),
        stopping: None,
        conditions: Conditions::default(),
    };
    let figures = curves.iter().filter_map(|curve| {
        let all = &curve.figures.strategies;
        let mut own = all.iter().find(|one| one.name == curve.strategy.name)?.clone();
        own.name.clone_from(&curve.name);
        // What theory expects is in each run's own report.
        own.ecdf_model = None;
        Some(own)
    });
    let figures = PointFigures {
        parameters: point.parameters.clone(),
        warm_up: 0,
        end: 0,
        strategies: figures.collect(),
    };
    let summary = several();
    LATENCY_ECDF
        .inline_svg(&View::new(&summary, &point, Some(&figures)).of_several_runs(), "overlay-chart")
}

/// A summary that stands for several runs on a chart.
fn several() -> Summary {
    Summary {
        schema: String::new(),
        run_id: String::new(),
        tool: Tool { version: String::new(), commit: String::new() },
        scenario: ScenarioSummary {
            title: "Several runs".to_owned(),
            question: None,
            sha256: String::new(),
        },
        complete: true,
        verdict: Verdict { status: VerdictStatus::Valid, checks: Vec::new() },
        points: Vec::new(),
        decision: None,
        thresholds: Vec::new(),
        costs: None,
    }
}

/// A folder's name as a URL has it.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to memory cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{Listed, MOST_CURVES, encoded, page};
    use crate::analysis::summary::VerdictStatus;
    use crate::report::sample;

    fn listed(folder: &str) -> Listed {
        Listed {
            folder: folder.to_owned(),
            report: Some("report.html"),
            analysis: Ok(sample::analysis()),
        }
    }

    fn of(runs: &[Listed]) -> String {
        page("results", runs, "0.1.0", "unknown")
    }

    #[test]
    fn every_run_is_listed_with_its_question_answer_verdict_day_and_machine() {
        let broken = Listed {
            analysis: Err("`manifest.json` is of another version".to_owned()),
            report: None,
            ..listed("broken")
        };
        let page = of(&[listed("first"), listed("a b#ü"), broken]);
        for part in [
            "href=\"first&#x2f;report.html\"",
            "href=\"a%20b%23%C3%BC&#x2f;report.html\"",
            "Poll every second, or subscribe?",
            "beside “poll every second”",
            "<strong>caveats</strong>",
            "2026-",
            "<code>manifest.json</code> is of another version",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert_eq!(page.matches("<article").count(), 3);
    }

    #[test]
    fn curves_are_drawn_toggled_and_told_in_numbers() {
        let page = of(&[listed("first"), listed("second")]);
        let strategies = sample::analysis().summary.points[0].strategies.len();
        assert_eq!(page.matches("type=\"checkbox\"").count(), 2 * strategies);
        assert_eq!(page.matches("<tr data-strategy=").count(), 2 * strategies);
        // Its curve, and its entry in the legend.
        assert_eq!(page.matches("<g data-strategy=\"2. webhook\"").count(), 2);
        assert!(!page.contains("verdict: valid"), "a chart of several runs has no verdict");
    }

    #[test]
    fn what_cannot_be_used_or_told_apart_is_left_out_and_said() {
        let mut runs = vec![listed("first"), listed("invalid")];
        let invalid = runs[1].analysis.as_mut().expect("analysed");
        invalid.summary.verdict.status = VerdictStatus::Invalid;
        runs.extend((0..MOST_CURVES).map(|number| listed(&number.to_string())));
        let page = of(&runs);
        assert!(page.matches("type=\"checkbox\"").count() <= MOST_CURVES);
        assert!(page.contains("Without the curves of run 2 (invalid), "));
    }

    #[test]
    fn hostile_text_stays_text_and_nothing_is_loaded() {
        let hostile = "</script><img src=x onerror=alert(1)>\"' {{ 31*31*31 }}";
        let mut run = listed("\"><img>");
        let analysis = run.analysis.as_mut().expect("analysed");
        analysis.summary.scenario.title = hostile.to_owned();
        analysis.summary.points[0].strategies[0].name = hostile.to_owned();
        analysis.figures[0].strategies[0].name = hostile.to_owned();
        let page = of(&[run]);
        assert!(!page.contains("<img") && !page.contains("29791"));
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(!page.contains(" style=\"") && !page.contains("unsafe-inline"));
    }

    #[test]
    fn names_are_written_as_urls_have_them() {
        assert_eq!(encoded("2026-11-23T104512Z-order.x"), "2026-11-23T104512Z-order.x");
        assert_eq!(encoded("a b/ä?"), "a%20b%2F%C3%A4%3F");
    }
}
