//! Claims that hold for every chart.

use std::collections::BTreeSet;

use crate::analysis::figures::{CourseOfTime, PointFigures};
use crate::analysis::summary::{Recovery, Summary, VerdictStatus};
use crate::report::sample;

use super::canvas::{Anchor, Shape};
use super::{CHARTS, Chart, ChartFile, SWEEP_CHARTS, SweepView, View, page_css, render_all};

/// The charts of the first point, without drawing them as PNG too.
fn svgs(summary: &Summary, figures: &[PointFigures]) -> Vec<String> {
    let view = View::new(summary, &summary.points[0], figures.first());
    about(summary).map(|chart| chart.svg(&view)).collect()
}

/// The charts that the first point has something for.
fn about(summary: &Summary) -> impl Iterator<Item = &'static Chart> {
    CHARTS.iter().filter(|chart| chart.is_about(&summary.points[0]))
}

/// The chart of that name of the first point.
fn chart(name: &str, summary: &Summary, figures: &[PointFigures]) -> String {
    let view = View::new(summary, &summary.points[0], figures.first());
    let chart = CHARTS.iter().find(|chart| chart.name == name).expect("there is such a chart");
    chart.svg(&view)
}

/// Every tag is closed in order, and every `<` and `&` begins one or an entity.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("every tag ends");
        let name = tag.split([' ', '\n']).next().expect("split yields at least one piece");
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        for entity in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;"];
            assert!(known.iter().any(|known| entity.starts_with(known)), "&{entity}");
        }
        assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_chart_of_every_point_is_an_svg_and_a_png() {
    let (summary, figures) = sample::swept();
    let files = render_all(&summary, &figures);
    assert_eq!(files.len(), 2 * (2 * about(&summary).count() + SWEEP_CHARTS.len()));
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), files.len());
    assert!(paths.contains("charts/events.rate-200-s/latency-ecdf.png"), "{paths:?}");
    for ChartFile { path, bytes } in files {
        if path.split('.').next_back() == Some("png") {
            assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{path}");
            assert_eq!(bytes[16..20], 1800u32.to_be_bytes(), "{path} is twice as dense");
        } else {
            assert!(bytes.starts_with(b"<svg xmlns="), "{path}");
        }
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (summary, figures) = (sample::summary(), sample::figures());
    assert!(render_all(&summary, &figures) == render_all(&summary, &figures));
}

#[test]
fn every_chart_names_every_strategy_and_describes_itself() {
    let (summary, figures) = (sample::summary(), sample::figures());
    for (svg, chart) in svgs(&summary, &figures).iter().zip(CHARTS) {
        assert_well_formed(svg);
        // The first strategy is what the others are paired with.
        let first = usize::from(chart.name == "paired-difference");
        for strategy in &summary.points[0].strategies[first..] {
            let name = format!(">{}</text>", strategy.name);
            assert!(svg.contains(&name), "{} in {}", strategy.name, chart.name);
        }
        for part in ["role=\"img\"", "viewBox=\"0 0 900 ", "<title id=", "<desc id=", "@font-face"]
        {
            assert!(svg.contains(part), "{part}");
        }
        assert!(svg.contains("n = 480 events for each strategy, 3 blocks"), "{}", chart.name);
    }
}

#[test]
fn a_page_can_hold_the_typeface_once_for_all_charts() {
    let (summary, figures) = (sample::summary(), sample::figures());
    let view = View::new(&summary, &summary.points[0], figures.first());
    for chart in CHARTS {
        let svg = chart.inline_svg(&view, "point-1");
        assert!(svg.contains("<title id=\"point-1-title\">") && !svg.contains("@font-face"));
    }
    assert!(page_css().contains("font-weight:500"));
}

#[test]
fn hostile_and_very_long_names_stay_inside_their_text() {
    let (mut summary, mut figures) = (sample::summary(), sample::figures());
    let name = format!("<b>&\"\u{1}\u{FFFF} {}", "long ".repeat(200));
    summary.points[0].strategies[0].name.clone_from(&name);
    figures[0].strategies[0].name = name;
    for (svg, chart) in svgs(&summary, &figures).iter().zip(CHARTS) {
        assert_well_formed(svg);
        let named = svg.contains("&lt;b&gt;&amp;&quot;");
        assert!(named || chart.name == "paired-difference", "{}", chart.name);
    }
}

#[test]
fn an_invalid_run_is_marked_on_every_chart() {
    let (mut summary, figures) = (sample::summary(), sample::figures());
    assert!(svgs(&summary, &figures).iter().all(|svg| !svg.contains(">INVALID<")));
    summary.verdict.status = VerdictStatus::Invalid;
    for svg in svgs(&summary, &figures) {
        assert!(svg.contains(">INVALID<") && svg.contains("Do not use these numbers."));
    }
}

#[test]
fn a_point_without_data_says_what_is_missing() {
    let (mut summary, mut figures) = (sample::summary(), sample::figures());
    let (strategy, curves) = sample::all_lost("webhook");
    summary.points[0].strategies = vec![strategy];
    figures[0].strategies = vec![curves];
    for (svg, chart) in svgs(&summary, &figures).iter().zip(CHARTS) {
        assert_well_formed(svg);
        let words = match chart.name {
            "memory" => ["subscriber 7.40 MB", "source 8.70 MB"],
            "paired-difference" => ["a single strategy", "a single strategy"],
            _ => ["every event was lost", "no event was delivered"],
        };
        assert!(words.iter().any(|words| svg.contains(words)), "{}", chart.name);
    }
    for svg in svgs(&summary, &[]) {
        assert_well_formed(&svg);
    }
    summary.points[0].strategies.clear();
    for svg in svgs(&summary, &[]) {
        assert!(svg.contains("no strategy was measured"));
    }
}

#[test]
fn a_strategy_without_a_curve_is_accounted_for() {
    let (mut summary, mut figures) = (sample::summary(), sample::figures());
    let (strategy, curves) = sample::all_lost("push");
    summary.points[0].strategies.push(strategy);
    figures[0].strategies.push(curves);
    let svg = &svgs(&summary, &figures)[0];
    assert!(svg.contains("No curve for “push”: none of its 480 events was delivered."));
    assert!(svg.contains("“webhook” lost 2 of 480 events"));
}

#[test]
fn zeros_and_huge_ranges_are_drawn_or_accounted_for() {
    let (summary, mut figures) = (sample::summary(), sample::figures());
    let strategy = &mut figures[0].strategies[0];
    strategy.ecdf = vec![(0, 0.25), (1, 0.5), (u64::MAX, 1.0)];
    strategy.percentiles = vec![(0.0, 0), (0.5, 1), (0.999_999_9, u64::MAX)];
    strategy.timeline[3].p50 = 0;
    for svg in &svgs(&summary, &figures) {
        assert_well_formed(svg);
    }
    let of = |name| chart(name, &summary, &figures);
    assert!(of("latency-ecdf").contains("latencies of 0 ns lie left of the axis"));
    assert!(of("latency-percentiles").contains("Left out: 1 value of 0 ns"));
    assert!(of("latency-over-time").contains("Left out: 1 value of 0 ns"));
}

#[test]
fn every_request_is_in_a_part_of_its_bar() {
    let (mut summary, figures) = (sample::summary(), sample::figures());
    let requests = &mut summary.points[0].strategies[0].requests;
    (requests.total, requests.rate_limited) = (30, 2);
    let svg = chart("requests-per-event", &summary, &figures);
    assert!(svg.contains("24 useful · 0 empty · 2 failed or refused · 4 other"));
    assert!(svg.contains(">other: hints, streams opened, registrations, tokens</text>"));
}

#[test]
fn what_is_expected_is_marked_beside_what_was_measured() {
    let (mut summary, figures) = (sample::summary(), sample::figures());
    let marked = |summary: &Summary, name: &str| {
        let svg = chart(name, summary, &figures);
        assert_well_formed(&svg);
        let legend = svg.contains(">expected by the model</text>");
        assert_eq!(legend, svg.contains("stroke-dasharray"), "dashes and their meaning");
        legend
    };
    // Cumulative latency, percentiles and requests; nothing is expected of CPU time.
    let names = ["latency-ecdf", "latency-percentiles", "requests-per-event", "cpu-per-event"];
    assert_eq!(names.map(|name| marked(&summary, name)), [true, true, true, false]);
    let requests = chart("requests-per-event", &summary, &figures);
    assert!(requests.contains("poll every second: 0.050, expected 0.050"));
    summary.points[0].strategies.iter_mut().for_each(|strategy| strategy.model = None);
    assert!(!marked(&summary, "requests-per-event"));
}

#[test]
fn narrow_charts_stay_within_their_card() {
    let (mut summary, mut figures) = (sample::summary(), sample::figures());
    let name = "a name that goes on and on ".repeat(9);
    summary.points[0].strategies[1].name.clone_from(&name);
    figures[0].strategies[1].name = name;
    let view = View::new(&summary, &summary.points[0], figures.first()).narrow();
    for chart in CHARTS {
        let canvas = (chart.draw)(&view);
        for shape in &canvas.shapes {
            let Shape::Text(text) = shape else { continue };
            let (x, width) = (text.place.0, text.width());
            let left = match text.anchor {
                Anchor::Start => x,
                Anchor::Middle => x - width / 2.0,
                Anchor::End => x - width,
            };
            let inside = left >= 0.0 && left + width <= canvas.width;
            assert!(inside, "{}: {} at {left}", chart.name, text.content);
        }
    }
}

#[test]
fn a_page_s_charts_have_no_colour_of_their_own() {
    let (summary, figures) = (sample::summary(), sample::figures());
    let (rules, view) = (page_css(), View::new(&summary, &summary.points[0], figures.first()));
    for chart in CHARTS {
        let svg = chart.inline_svg(&view.narrow(), "chart");
        assert!(!svg.contains("=\"#"), "{}", chart.name);
        for used in svg.split("var(").skip(1) {
            let name = used.split(')').next().expect("it ends");
            assert_eq!(rules.matches(&format!("{name}:")).count(), 2, "{name} in {}", chart.name);
        }
    }
}

#[test]
fn charts_of_a_sweep_are_well_formed_named_and_marked_if_invalid() {
    let (mut summary, figures) = sample::grid();
    for status in [VerdictStatus::Caveats, VerdictStatus::Invalid] {
        summary.verdict.status = status;
        for view in [SweepView::new(&summary, &figures), SweepView::new(&summary, &[])] {
            let view = view.expect("it is swept").narrow();
            for chart in SWEEP_CHARTS {
                let svg = chart.inline_svg(&view, chart.name);
                assert_well_formed(&svg);
                assert!(svg.contains("6 points, each with n = 480 events"), "{}", chart.name);
                let marked = svg.contains(">INVALID<");
                assert_eq!(marked, status == VerdictStatus::Invalid, "{}", chart.name);
                assert!(!svg.contains("=\"#"), "{}", chart.name);
            }
        }
    }
}

#[test]
fn the_break_even_of_theory_is_drawn_where_it_applies() {
    let (mut summary, figures) = sample::grid();
    let drawn = |summary: &Summary| {
        let view = SweepView::new(summary, &figures).expect("it is swept");
        ["decision-map", "sweep-requests-per-event", "sweep-latency-p50"].map(|name| {
            let chart = SWEEP_CHARTS.iter().find(|chart| chart.name == name).expect("a chart");
            chart.inline_svg(&view, name).contains("λT = 1")
        })
    };
    assert_eq!(drawn(&summary), [true, true, false]);
    // A webhook that posts several events at once makes fewer requests than one an event.
    for strategy in summary.points.iter_mut().flat_map(|point| &mut point.strategies) {
        strategy.settings = serde_json::json!({ "every": "1s", "batch": { "max": 10 } });
    }
    assert_eq!(drawn(&summary), [false, false, false]);
}

#[test]
fn a_recovery_is_drawn_for_those_who_had_something_to_recover_from() {
    let (mut summary, mut figures) = (sample::summary(), sample::figures());
    let is_drawn = |summary: &Summary| about(summary).any(|chart| chart.name == "recovery");
    assert!(!is_drawn(&summary));
    let befallen = Recovery {
        fault: "network: no connection is accepted or made".to_owned(),
        at: 2_000_000_000,
        lasts: 1_000_000_000,
        times: 1,
        due: 20,
        lost: 3,
        lost_after: 0,
        duplicated: 0,
        reordered: 0,
        dead_lettered: Some(3),
        consistent_after_p50: 700_000_000,
        consistent_after_max: 700_000_000,
        age_mean: 900_000_000,
        age_max: 1_700_000_000,
        missing_max: 20,
        requests_before: Some(20.0),
        requests_peak: Some(55.0),
    };
    summary.points[0].strategies[0].recovery = vec![befallen];
    figures[0].strategies[0].incidents = vec![[2_000_000_000, 3_000_000_000]];
    figures[0].strategies[0].course = CourseOfTime {
        at: vec![1_000_000_000, 2_500_000_000, 4_000_000_000],
        age: vec![5e7, 5e8, 5e7],
        missing: vec![0.0, 10.0, 3.0],
        requests: Vec::new(),
    };
    let words = "requests a second, retries included";
    assert!(!chart("recovery", &summary, &figures).contains(words), "they were not counted");
    figures[0].strategies[0].course.requests = vec![20.0, 4.0, 55.0];
    assert!(is_drawn(&summary));
    let svg = chart("recovery", &summary, &figures);
    assert_well_formed(&svg);
    for words in ["events due and not usable", "age of the newest event", "a fault, as the", words]
    {
        assert!(svg.contains(words), "{words}");
    }
    assert!(svg.contains("3 of 20 events lost"), "in its description");
}

#[test]
fn an_incident_is_tinted_and_named() {
    let (summary, mut figures) = (sample::summary(), sample::figures());
    let words = "a fault, as the scenario has it";
    assert!(!chart("latency-over-time", &summary, &figures).contains(words));
    figures[0].strategies[2].incidents = vec![[2_000_000_000, 99_000_000_000]];
    let svg = chart("latency-over-time", &summary, &figures);
    assert_well_formed(&svg);
    assert!(svg.contains(words));
}

#[test]
fn a_strategy_beaten_in_latency_and_requests_is_behind_the_front() {
    let (mut summary, figures) = (sample::summary(), sample::figures());
    let corners = |summary: &Summary| {
        let view = View::new(summary, &summary.points[0], figures.first());
        let chart = CHARTS.iter().find(|chart| chart.name == "trade-off").expect("a chart");
        let canvas = (chart.draw)(&view);
        let front = canvas.shapes.iter().rev().find_map(|shape| match shape {
            Shape::Line(line) if line.dashed => Some(line.places.len()),
            _ => None,
        });
        front.expect("a front")
    };
    // Two corners a strategy on the front, and where it ends.
    assert_eq!(corners(&summary), 2 * 3 + 1);
    summary.points[0].strategies[1].requests.per_event = Some(3.0);
    assert_eq!(corners(&summary), 2 * 2 + 1);
}

#[test]
fn a_share_that_is_no_number_is_not_drawn() {
    let (summary, mut figures) = (sample::summary(), sample::figures());
    figures[0].strategies[0].ecdf = vec![(1_000, 0.5), (2_000, f64::NAN), (3_000, 1.0)];
    assert_well_formed(&svgs(&summary, &figures)[0]);
}

#[test]
fn a_single_event_is_still_drawn() {
    let (summary, mut figures) = (sample::summary(), sample::figures());
    figures[0].strategies.truncate(1);
    let strategy = &mut figures[0].strategies[0];
    strategy.ecdf = vec![(1_000_000, 1.0)];
    strategy.percentiles = vec![(0.5, 1_000_000)];
    strategy.timeline.truncate(1);
    (figures[0].warm_up, figures[0].end) = (0, 0);
    for svg in svgs(&summary, &figures) {
        assert_well_formed(&svg);
    }
}
