//! Charts of one point and of a whole sweep, each as SVG and PNG.
//!
//! A chart is drawn once, on a [`canvas::Canvas`] of lines, areas and texts, and written
//! twice. The typeface is embedded, so that a chart looks the same on every machine. A new
//! chart is one file here and one line in [`CHARTS`] or [`SWEEP_CHARTS`].

mod axis;
mod bars;
mod bytes_per_event;
mod canvas;
mod card;
mod cpu_per_event;
mod curve;
mod decision_map;
mod font;
mod latency_ecdf;
mod latency_over_time;
mod latency_percentiles;
mod memory;
mod paired_difference;
mod png;
mod recovery;
mod requests_per_event;
mod style;
mod svg;
mod sweep;
mod sweep_lines;
mod trade_off;
mod view;

#[cfg(test)]
mod tests;

pub use sweep::SweepView;
pub use view::View;

use crate::analysis::figures::PointFigures;
use crate::analysis::summary::{PointSummary, Summary};
use crate::report::point::chart_folders;

/// A kind of chart.
#[derive(Clone, Copy, Debug)]
pub struct Chart {
    /// The stem of its file names.
    pub name: &'static str,
    /// What it shows, in one statement.
    pub title: &'static str,
    /// Draws it.
    draw: fn(&View<'_>) -> canvas::Canvas,
}

/// Every chart, in the order of the report.
pub const CHARTS: &[Chart] = &[
    latency_ecdf::CHART,
    latency_percentiles::CHART,
    trade_off::CHART,
    requests_per_event::CHART,
    bytes_per_event::CHART,
    cpu_per_event::CHART,
    memory::CHART,
    paired_difference::CHART,
    latency_over_time::CHART,
    recovery::CHART,
];

/// The chart that overlays runs.
pub const LATENCY_ECDF: Chart = latency_ecdf::CHART;

/// A kind of chart over all points of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct SweepChart {
    /// The stem of its file names.
    pub name: &'static str,
    /// What it shows, in one statement.
    pub title: &'static str,
    /// Draws it.
    draw: fn(&SweepView<'_>) -> canvas::Canvas,
}

/// Every chart of a sweep, in the order of the report.
pub const SWEEP_CHARTS: &[SweepChart] = &[
    decision_map::BY_SETTINGS,
    decision_map::BY_LATENCY,
    sweep_lines::LATENCY_P50,
    sweep_lines::LATENCY_P99,
    sweep_lines::REQUESTS,
    sweep_lines::CPU,
];

impl SweepChart {
    /// As [`Chart::inline_svg`].
    #[must_use]
    pub fn inline_svg(&self, view: &SweepView<'_>, id: &str) -> String {
        svg::element(&(self.draw)(view), id)
    }
}

impl Chart {
    /// Whether a point has what the chart is about: only what befell a strategy has a recovery.
    #[must_use]
    pub fn is_about(&self, point: &PointSummary) -> bool {
        let befallen = point.strategies.iter().any(|strategy| !strategy.recovery.is_empty());
        self.name != recovery::CHART.name || befallen
    }

    /// The chart as a complete SVG file.
    #[must_use]
    pub fn svg(&self, view: &View<'_>) -> String {
        svg::file(&(self.draw)(view))
    }

    /// The chart as an SVG element for a page that holds [`page_css`] itself. No other element
    /// of the page may have an `id` that begins with this one.
    #[must_use]
    pub fn inline_svg(&self, view: &View<'_>, id: &str) -> String {
        svg::element(&(self.draw)(view), id)
    }
}

/// The style rules that give a page the typeface of its charts, and their colours by day and by
/// night.
#[must_use]
pub fn page_css() -> String {
    svg::font_faces() + &style::variables()
}

/// The variable of [`page_css`] that holds the colour of the strategy at this place of the
/// scenario.
#[must_use]
pub fn colour_variable(place: usize) -> String {
    format!("--{}", style::pen(place).colour.digits())
}

/// One file of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartFile {
    /// Where it belongs, relative to the report, with `/` between folders.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Draws every chart of the sweep and of every point as SVG and PNG.
///
/// Points and strategies find their curves by their parameters and names; a chart without
/// curves says so. A run without a sweep has no charts of one.
#[must_use]
pub fn render_all(summary: &Summary, figures: &[PointFigures]) -> Vec<ChartFile> {
    let mut tasks: Vec<Task<'_>> = Vec::new();
    if let Some(view) = SweepView::new(summary, figures) {
        tasks.extend(SWEEP_CHARTS.iter().map(|chart| {
            let view = view.clone();
            let path = format!("charts/{}", chart.name);
            Task { path, draw: Box::new(move || (chart.draw)(&view)) }
        }));
    }
    for (point, folder) in summary.points.iter().zip(chart_folders(&summary.points)) {
        let curves = figures.iter().find(|curves| curves.parameters == point.parameters);
        let view = View::new(summary, point, curves);
        let charts = CHARTS.iter().filter(|chart| chart.is_about(point));
        tasks.extend(charts.map(|chart| Task {
            path: format!("{folder}/{}", chart.name),
            draw: Box::new(move || (chart.draw)(&view)),
        }));
    }
    drawn(&tasks)
}

/// A chart to be drawn.
struct Task<'a> {
    /// Its path without an ending.
    path: String,
    draw: Box<dyn Fn() -> canvas::Canvas + Send + Sync + 'a>,
}

/// Draws charts on all CPUs, because a sweep has hundreds and pictures take time; their order is
/// that of the tasks.
fn drawn(tasks: &[Task<'_>]) -> Vec<ChartFile> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let share = tasks.len().div_ceil(cpus).max(1);
    std::thread::scope(|scope| {
        let shares: Vec<_> = tasks
            .chunks(share)
            .map(|tasks| scope.spawn(move || tasks.iter().flat_map(files).collect::<Vec<_>>()))
            .collect();
        let finished = shares.into_iter().map(std::thread::ScopedJoinHandle::join);
        finished.flat_map(|files| files.expect("drawing does not panic")).collect()
    })
}

/// The files of a chart.
fn files(task: &Task<'_>) -> [ChartFile; 2] {
    let (path, canvas) = (&task.path, (task.draw)());
    [
        ChartFile { path: format!("{path}.svg"), bytes: svg::file(&canvas).into_bytes() },
        ChartFile { path: format!("{path}.png"), bytes: png::file(&canvas) },
    ]
}
