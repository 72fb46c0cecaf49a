//! The summary for a terminal: tables of the points, theory beside measurement, verdict.
//!
//! Columns are packed into as few tables as the width allows; where not even one group of
//! columns fits, each strategy becomes a list. Colour only underlines what words say.

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, Table, Width};

use crate::analysis::summary::{
    CheckStatus, Judgement, PointSummary, StrategySummary, Summary, VerdictStatus,
};

use super::answer::answer;
use super::{compared, decided, point, wording};
use crate::quantity::{bytes, count, nanoseconds, or_absent, ratio};

/// How a terminal wants its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Columns; below 48, lines may be longer.
    pub width: u16,
    /// Whether to colour.
    pub colour: bool,
}

/// A column: the first and second line of its heading, and its cell for a strategy.
type Column = (&'static str, &'static str, fn(&StrategySummary) -> String);

/// Columns that stay together; the first line of a group's first heading names the group.
const GROUPS: &[&[Column]] = &[
    &[
        ("latency", "mean", |s| or_absent(s.latency.mean, nanoseconds)),
        ("", "p50", |s| or_absent(s.latency.p50, nanoseconds)),
        ("", "p90", |s| or_absent(s.latency.p90, nanoseconds)),
        ("", "p99", |s| or_absent(s.latency.p99, nanoseconds)),
        ("", "max", |s| or_absent(s.latency.max, nanoseconds)),
    ],
    &[
        ("events", "delivered", |s| count(s.events.delivered)),
        ("", "lost", |s| wording::lost(&s.events)),
    ],
    &[("out of", "date", wording::out_of_date)],
    &[("lag", "max", |s| or_absent(s.lag.max, nanoseconds))],
    &[("connections", "opened", |s| count(s.connections.opened))],
    &[
        ("requests", "per event", |s| or_absent(s.requests.per_event, ratio)),
        ("", "empty", wording::empty_share),
        ("bytes", "per event", |s| or_absent(s.bytes.per_event, bytes)),
    ],
    &[
        ("CPU/event", "source", |s| wording::time_per_event(s.cpu.source, s)),
        ("", "subscriber", |s| or_absent(s.cpu.subscriber, |cpu| wording::time_per_event(cpu, s))),
        ("", "above idle", wording::above_idle),
    ],
    &[
        ("peak memory", "source", wording::source_memory),
        ("", "subscriber", |s| bytes(s.memory.subscriber_peak as f64)),
    ],
];

/// Shown where raw sockets were measured; behind the latency.
const LIMITS: &[Column] = &[
    ("limit", "p50", |s| or_absent(s.limit.and_then(|limit| limit.latency_p50), nanoseconds)),
    ("overhead", "p50", wording::overhead),
];

/// Shown where there are enough blocks for any of them.
const INTERVALS: &[Column] = &[
    ("95 % intervals of the median block", "mean", |s| {
        or_absent(s.latency.ci95.mean, wording::interval)
    }),
    ("", "p50", |s| or_absent(s.latency.ci95.p50, wording::interval)),
    ("", "p99", |s| or_absent(s.latency.ci95.p99, wording::interval)),
];

/// Between two columns.
const GAP: u16 = 2;
/// The widest table where not all columns fit into one, so that none is left with a rest.
const WIDEST_PART: u16 = 120;
/// The widest a column of names becomes before names wrap.
const LONGEST_NAME: u16 = 36;

/// Writes the whole summary, ending with a newline.
#[must_use]
pub fn summary(summary: &Summary, terminal: Terminal) -> String {
    let mut lines = Vec::new();
    for point in &summary.points {
        lines.push(point_heading(summary, point, terminal));
        lines.push(String::new());
        lines.extend(point_tables(point, terminal));
        let said = [point.stopping.as_ref().map(wording::stopped), wording::conditions(point)];
        lines.extend(said.into_iter().flatten().flat_map(|said| paragraph(&said, terminal)));
        lines.extend(compared(point, terminal));
        lines.extend(remarks(point, terminal));
        lines.extend(theory(point, terminal));
    }
    lines.extend(decision(summary, terminal));
    lines.extend(costs(summary, terminal));
    lines.extend(thresholds(summary, terminal));
    lines.extend(legend(summary, terminal));
    lines.extend(paragraph(&format!("answer: {}", answer(summary)), terminal));
    lines.extend(verdict(summary, terminal));
    lines.push(String::new());
    lines.join("\n")
}

fn point_heading(summary: &Summary, point: &PointSummary, terminal: Terminal) -> String {
    let title = wording::one_line(&summary.scenario.title);
    let heading = match point::heading(&point.parameters) {
        Some(parameters) => format!("{title}: {}", wording::one_line(&parameters)),
        None => title,
    };
    painted(&heading, Style::new().bold(), terminal)
}

/// The tables of a point, each followed by an empty line.
fn point_tables(point: &PointSummary, terminal: Terminal) -> Vec<String> {
    if point.strategies.is_empty() {
        return vec!["No strategy was measured.".to_owned(), String::new()];
    }
    let intervals = wording::has_intervals(point).then_some(&INTERVALS);
    let limits = wording::has_limits(std::slice::from_ref(point)).then_some(&LIMITS);
    let (latency, others) = GROUPS.split_at(1);
    let groups = || latency.iter().chain(limits).chain(others).chain(intervals);
    let all: Vec<Column> = groups().copied().flatten().copied().collect();
    if width(&all, &point.strategies) <= terminal.width {
        return table_lines(&all, &point.strategies, terminal);
    }
    let room = terminal.width.min(WIDEST_PART);
    let mut lines = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    for group in groups() {
        let wider: Vec<Column> = columns.iter().chain(*group).copied().collect();
        if !columns.is_empty() && width(&wider, &point.strategies) > room {
            lines.extend(table_lines(&columns, &point.strategies, terminal));
            columns = group.to_vec();
        } else {
            columns = wider;
        }
    }
    lines.extend(table_lines(&columns, &point.strategies, terminal));
    lines
}

fn table_lines(
    columns: &[Column],
    strategies: &[StrategySummary],
    terminal: Terminal,
) -> Vec<String> {
    if width(columns, strategies) > terminal.width {
        return list_lines(columns, strategies);
    }
    let mut lines: Vec<String> = text_lines(&table(columns, strategies)).collect();
    lines.push(String::new());
    lines
}

pub(super) fn text_lines(table: &Table) -> impl Iterator<Item = String> + use<> {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.into_iter()
}

fn table(columns: &[Column], strategies: &[StrategySummary]) -> Table {
    let headings = columns.iter().map(|(first, second, _)| format!("{first}\n{second}"));
    let headings: Vec<String> = std::iter::once("\nstrategy".to_owned()).chain(headings).collect();
    let mut table = borderless(&headings);
    for strategy in strategies {
        let cells = columns.iter().map(|(_, _, read)| read(strategy));
        table.add_row(std::iter::once(wording::one_line(&strategy.name)).chain(cells));
    }
    wrap_names(&mut table, LONGEST_NAME);
    table
}

/// Keeps the column of names from becoming wider than `longest`.
fn wrap_names(table: &mut Table, longest: u16) {
    let width = table.column_max_content_widths().first().copied().unwrap_or(0);
    if let Some(names) = table.column_mut(0).filter(|_| width > longest) {
        names.set_constraint(ColumnConstraint::Absolute(Width::Fixed(longest)));
    }
}

/// A table without lines, of names on the left and figures aligned on the right.
pub(super) fn borderless<T: ToString>(headings: &[T]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(headings.iter().map(|heading| Cell::new(heading.to_string())));
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if place == 0 { 0 } else { GAP }, 0));
        if place > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The width that a table of these columns takes.
fn width(columns: &[Column], strategies: &[StrategySummary]) -> u16 {
    let widths = table(columns, strategies).column_max_content_widths();
    let names = widths.first().copied().unwrap_or(0).min(LONGEST_NAME);
    widths.iter().skip(1).fold(names, |sum, width| sum.saturating_add(width + GAP))
}

/// The columns as lines under each strategy's name.
fn list_lines(columns: &[Column], strategies: &[StrategySummary]) -> Vec<String> {
    let mut lines = Vec::new();
    for strategy in strategies {
        lines.push(wording::one_line(&strategy.name));
        let mut group = "";
        for (first, second, read) in columns {
            group = if first.is_empty() { group } else { first };
            lines.push(format!("  {group}, {second}: {}", read(strategy)));
        }
        lines.push(String::new());
    }
    lines
}

/// A sentence or two, followed by an empty line.
fn paragraph(text: &str, terminal: Terminal) -> Vec<String> {
    let mut lines = wrapped(text, terminal.width, "  ");
    lines.push(String::new());
    lines
}

/// The strategies beside the first one, paired block by block and event by event.
fn compared(point: &PointSummary, terminal: Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    for (heading, said) in compared::sections(point) {
        lines.extend(wrapped(&heading, terminal.width, "  "));
        for said in said {
            let line = format!("  {}: {}", said.strategy, said.sentence);
            lines.extend(wrapped(&line, terminal.width, "    "));
        }
        lines.push(String::new());
    }
    lines
}

/// What else happened, for each strategy with something to tell.
fn remarks(point: &PointSummary, terminal: Terminal) -> Vec<String> {
    let told = point.strategies.iter().filter_map(|strategy| {
        let remarks = wording::remarks(strategy)?;
        Some(format!("  {}: {remarks}", wording::one_line(&strategy.name)))
    });
    let mut lines: Vec<String> =
        told.flat_map(|line| wrapped(&line, terminal.width, "    ")).collect();
    if !lines.is_empty() {
        lines.insert(0, "Also seen".to_owned());
        lines.push(String::new());
    }
    lines
}

/// Theory beside measurement, for each strategy that has one.
fn theory(point: &PointSummary, terminal: Terminal) -> Vec<String> {
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for strategy in &point.strategies {
        let Some(model) = &strategy.model else { continue };
        let name = wording::one_line(&strategy.name);
        let mut shown = name.clone();
        for claim in &model.claims {
            rows.push((std::mem::take(&mut shown), wording::model_row(claim)));
        }
        let (agrees, note) = (wording::agreement(model), wording::one_line(&model.note));
        let note = format!("  {name}: {agrees}; {note}");
        notes.extend(wrapped(&note, terminal.width, "    "));
    }
    if notes.is_empty() {
        return notes;
    }
    let mut lines = vec!["Theory beside measurement".to_owned(), String::new()];
    lines.extend(text_lines(&theory_table(&rows, terminal)));
    lines.append(&mut notes);
    lines.push(String::new());
    lines
}

/// What theory claims; what the notes say too is left out where there is no room.
fn theory_table(rows: &[(String, [String; 5])], terminal: Terminal) -> Table {
    const SHORTEST_NAME: u16 = 8;
    let of = |columns: &[usize]| {
        let headings: Vec<&str> =
            columns.iter().map(|column| wording::MODEL_HEADINGS[*column]).collect();
        let mut table = borderless(&[&["strategy"], &headings[..]].concat());
        for (name, cells) in rows {
            table.add_row(std::iter::once(name).chain(columns.iter().map(|at| &cells[*at])));
        }
        if let Some(quantities) = table.column_mut(1) {
            quantities.set_cell_alignment(CellAlignment::Left);
        }
        let widths = table.column_max_content_widths();
        let figures: u16 = widths.iter().skip(1).map(|width| width + GAP).sum();
        (table, terminal.width.saturating_sub(figures))
    };
    let (mut table, mut room) = of(&[0, 1, 2, 3, 4]);
    for fewer in [&[0, 1, 2, 4][..], &[0, 1, 2]] {
        if room < SHORTEST_NAME {
            (table, room) = of(fewer);
        }
    }
    wrap_names(&mut table, LONGEST_NAME.min(room.max(SHORTEST_NAME)));
    table
}

/// What the scenario's objective comes to.
fn decision(summary: &Summary, terminal: Terminal) -> Vec<String> {
    let Some(decision) = &summary.decision else { return Vec::new() };
    let currency = summary.costs.as_ref().map(|costs| costs.currency.as_str());
    let wanted = format!("Decision (wanted: {})", wording::one_line(&decided::wanted(decision)));
    let mut lines = wrapped(&wanted, terminal.width, "  ");
    for said in decided::decision_lines(decision, currency) {
        lines.extend(wrapped(&format!("  - {said}"), terminal.width, "    "));
    }
    lines.push(String::new());
    lines
}

/// What strategies cost in a month.
fn costs(summary: &Summary, terminal: Terminal) -> Vec<String> {
    let Some(costs) = &summary.costs else { return Vec::new() };
    let mut lines = vec![decided::costs_heading(costs), String::new()];
    for point in &costs.points {
        let headings = [&["strategy"], &decided::BILL_HEADINGS[..]].concat();
        let mut table = borderless(&headings);
        for strategy in &point.strategies {
            let mut name = wording::one_line(&strategy.strategy);
            for bill in &strategy.bills {
                let row = std::iter::once(std::mem::take(&mut name));
                table.add_row(row.chain(decided::bill_row(bill)));
            }
        }
        wrap_names(&mut table, LONGEST_NAME);
        if let Some(parameters) = point::heading(&point.parameters) {
            lines.extend(wrapped(&wording::one_line(&parameters), terminal.width, "  "));
        }
        lines.extend(text_lines(&table));
        lines.push(String::new());
    }
    for assumption in &costs.assumptions {
        lines.extend(wrapped(&format!("- {assumption}"), terminal.width, "  "));
    }
    lines.push(String::new());
    lines
}

/// What was expected, and whether it holds.
fn thresholds(summary: &Summary, terminal: Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    for result in &summary.thresholds {
        let (word, style) = match result.status {
            Judgement::Met => ("pass", colour(AnsiColor::Green)),
            Judgement::Missed => ("FAIL", colour(AnsiColor::Red)),
            Judgement::Undecided | Judgement::NotMeasured => ("open", colour(AnsiColor::Yellow)),
        };
        let said = decided::expectation(summary, result);
        let line = format!("  {word}  {said} — {}", wording::one_line(&result.sentence));
        let mut wrapped = wrapped(&line, terminal.width, "        ");
        if let Some(first) = wrapped.first_mut() {
            *first = first.replacen(word, &painted(word, style, terminal), 1);
        }
        lines.extend(wrapped);
    }
    if !lines.is_empty() {
        lines.insert(0, "Thresholds".to_owned());
        lines.push(String::new());
    }
    lines
}

/// What the marks in the tables mean, for those that occur.
fn legend(summary: &Summary, terminal: Terminal) -> Vec<String> {
    let strategies = || summary.points.iter().flat_map(|point| &point.strategies);
    let mut notes = Vec::new();
    if strategies().any(|s| s.latency.p99.is_none() || s.latency.p50.is_none()) {
        notes.push("— too few events support this figure, or it cannot exist");
    }
    if strategies().any(|s| s.events.lost > 0) {
        notes.push("! lost events have no latency and are in no percentile");
    }
    if strategies().any(|s| s.lag.max.is_some()) {
        notes.push("lag is how late the harness emitted events; every latency contains it");
    }
    if wording::has_limits(&summary.points) {
        notes.push(wording::LIMIT);
    }
    if strategies().any(|s| s.subscribers > 1) {
        notes.push("an event counts once for each subscriber it is owed to");
    }
    if wording::shares_memory(&summary.points) {
        notes.push("* the source process serves several strategies; its memory is theirs together");
    }
    let mut lines: Vec<String> =
        notes.iter().flat_map(|note| wrapped(note, terminal.width, "  ")).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn verdict(summary: &Summary, terminal: Terminal) -> Vec<String> {
    let status = summary.verdict.status;
    let style = match status {
        VerdictStatus::Valid => colour(AnsiColor::Green),
        VerdictStatus::Caveats => colour(AnsiColor::Yellow),
        VerdictStatus::Invalid => colour(AnsiColor::Red),
    };
    let (word, found) = (wording::verdict_word(status), wording::checks_by_outcome(summary));
    let mut lines = wrapped(&format!("verdict: {word} ({found})"), terminal.width, "  ");
    lines[0] = lines[0].replacen(word, &painted(word, style.bold(), terminal), 1);
    lines.extend(wrapped(wording::verdict_advice(status), terminal.width, ""));
    if !summary.complete {
        lines.extend(wrapped(wording::INCOMPLETE, terminal.width, ""));
    }
    for check in summary.verdict.checks.iter().filter(|c| c.status != CheckStatus::Pass) {
        let (word, style) = match check.status {
            CheckStatus::Fail => ("fail", colour(AnsiColor::Red)),
            CheckStatus::Warn => ("warn", colour(AnsiColor::Yellow)),
            CheckStatus::Unavailable => ("n/a", Style::new()),
            CheckStatus::Info | CheckStatus::Pass => ("info", Style::new()),
        };
        let (id, message) = (wording::check_name(check), wording::one_line(&check.message));
        let line = format!("  {word:4}  {id}: {message}");
        let mut check = wrapped(&line, terminal.width, "        ");
        if let Some(first) = check.first_mut() {
            *first = first.replacen(word, &painted(word, style, terminal), 1);
        }
        lines.extend(check);
    }
    lines
}

fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into()))
}

fn painted(text: &str, style: Style, terminal: Terminal) -> String {
    if terminal.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Breaks a line between words; the lines that follow begin with `indent`.
pub(super) fn wrapped(text: &str, width: u16, indent: &str) -> Vec<String> {
    let room = usize::from(width.max(40));
    let start = text.len() - text.trim_start().len();
    let mut lines = vec![text[..start].to_owned()];
    let mut fresh = true;
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        let apart = usize::from(!fresh);
        if !fresh && line.chars().count() + apart + word.chars().count() > room {
            lines.push(format!("{indent}{word}"));
        } else {
            if !fresh {
                line.push(' ');
            }
            line.push_str(word);
        }
        fresh = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Terminal, summary};
    use crate::report::sample;

    const WIDE: Terminal = Terminal { width: 200, colour: false };
    const USUAL: Terminal = Terminal { width: 100, colour: false };
    const NARROW: Terminal = Terminal { width: 60, colour: false };

    #[test]
    fn a_wide_terminal_shows_one_table() {
        insta::assert_snapshot!(summary(&sample::summary(), WIDE));
    }

    #[test]
    fn a_usual_terminal_stacks_tables() {
        insta::assert_snapshot!(summary(&sample::summary(), USUAL));
    }

    #[test]
    fn decisions_costs_and_thresholds_stand_before_the_verdict() {
        insta::assert_snapshot!(summary(&sample::decided(), USUAL));
    }

    #[test]
    fn a_narrow_terminal_stacks_more_tables() {
        insta::assert_snapshot!(summary(&sample::summary(), NARROW));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let (mut summary_, _) = sample::swept();
        summary_.points[0].strategies[0].name = "a name that goes on and on ".repeat(4);
        for width in [48, 50, 60, 80, 100, 120, 160, 200] {
            let text = summary(&summary_, Terminal { width, colour: false });
            for line in text.lines().filter(|line| !line.contains("a name that goes on")) {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
        }
    }

    #[test]
    fn intervals_are_shown_once_there_are_enough_blocks() {
        let mut sure = sample::summary();
        assert!(!summary(&sure, WIDE).contains("95 % intervals"));
        sure.points[0].strategies[0].latency.ci95.p50 = Some([501_000_000, 507_000_000]);
        let text = summary(&sure, WIDE);
        assert!(text.contains("95 % intervals") && text.contains("501 ms to 507 ms"));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let coloured = summary(&sample::summary(), Terminal { colour: true, ..USUAL });
        assert!(coloured.contains("\u{1b}["));
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(plain, summary(&sample::summary(), USUAL));
    }

    #[test]
    fn hostile_names_cannot_steer_the_terminal() {
        let mut hostile = sample::summary();
        hostile.points[0].strategies[0].name = "\u{1b}[2Jpoll\nnext".to_owned();
        assert!(!summary(&hostile, USUAL).contains('\u{1b}'));
    }

    #[test]
    fn a_strategy_that_delivered_nothing_has_no_figures_per_event() {
        let mut lost = sample::summary();
        lost.points[0].strategies = vec![sample::all_lost("webhook").0];
        let text = summary(&lost, WIDE);
        let row = text.lines().find(|line| line.starts_with("webhook")).expect("a row");
        assert_eq!(row.matches('—').count(), 11, "{row}");
        assert!(row.contains("480 !"));
    }

    #[test]
    fn a_run_without_points_still_has_its_verdict() {
        let mut empty = sample::summary();
        empty.points.clear();
        assert!(summary(&empty, NARROW).contains("verdict: caveats (1 pass, 1 info, 1 warn)"));
    }
}
