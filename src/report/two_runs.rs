//! Two runs beside each other, as text, Markdown and JSON: comparisons and receipts.

use serde::Serialize;

use crate::analysis::compare::{
    Change, GateOutcome, GateResult, Headline, HeadlineOutcome, Receipt, ReceiptOutcome,
    RunComparison, RunLabel,
};
use crate::analysis::summary::{Difference, RatioInterval};

use super::markdown;
use super::table::{Terminal, borderless, text_lines, wrapped};
use super::wording::{one_line, verdict_word};
use super::{machine, point};
use crate::quantity::{ABSENT, count, counted, or_absent, ratio};

/// What is said of two runs, before it has a form.
struct Document {
    title: String,
    /// Which runs they are, and what tells them apart: a word, and what it says.
    opening: Vec<(&'static str, String)>,
    headings: [&'static str; 7],
    /// A heading, if there are several points, and its rows.
    tables: Vec<(Option<String>, Vec<[String; 7]>)>,
    /// What follows from it.
    closing: Vec<String>,
}

/// A comparison for a terminal, ending with a newline.
#[must_use]
pub fn comparison_table(
    comparison: &RunComparison,
    gates: &[GateResult],
    terminal: Terminal,
) -> String {
    of_comparison(comparison, gates).text(terminal)
}

/// A comparison as Markdown.
#[must_use]
pub fn comparison_markdown(comparison: &RunComparison, gates: &[GateResult]) -> String {
    of_comparison(comparison, gates).markdown()
}

/// A comparison and its gates as JSON.
#[must_use]
pub fn comparison_json(comparison: &RunComparison, gates: &[GateResult]) -> String {
    #[derive(Serialize)]
    struct Judged<'a> {
        #[serde(flatten)]
        comparison: &'a RunComparison,
        gates: &'a [GateResult],
    }
    json(&Judged { comparison, gates })
}

/// A receipt for a terminal, ending with a newline.
#[must_use]
pub fn receipt_table(receipt: &Receipt, terminal: Terminal) -> String {
    of_receipt(receipt).text(terminal)
}

/// A receipt as Markdown.
#[must_use]
pub fn receipt_markdown(receipt: &Receipt) -> String {
    of_receipt(receipt).markdown()
}

/// A receipt as JSON.
#[must_use]
pub fn receipt_json(receipt: &Receipt) -> String {
    json(receipt)
}

fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("text keys and finite numbers");
    text.push('\n');
    text
}

fn of_comparison(comparison: &RunComparison, gates: &[GateResult]) -> Document {
    let opening = opening(
        [("first", &comparison.first), ("second", &comparison.second)],
        &comparison.incomparable,
        "FORCED",
        &comparison.differences,
    );
    let rows = comparison.changes.iter().map(|change| (&change.parameters, change_row(change)));
    let mut closing = vec![
        "ratio: second divided by first, the median over all pairs of blocks; significant at 5 % \
         for everything compared in a measure (Mann–Whitney, Holm)"
            .to_owned(),
    ];
    closing.extend(gates.iter().map(gate));
    Document {
        title: format!("{}: two runs", one_line(&comparison.first.title)),
        opening,
        headings: ["strategy", "measure", "first", "second", "ratio", "interval", "significant?"],
        tables: tables(rows),
        closing,
    }
}

fn of_receipt(receipt: &Receipt) -> Document {
    let opening = opening(
        [("original", &receipt.original), ("again", &receipt.again)],
        &receipt.incomparable,
        "CHANGED",
        &receipt.differences,
    );
    let rows =
        receipt.headlines.iter().map(|headline| (&headline.parameters, headline_row(headline)));
    Document {
        title: format!("{}: receipt of a reproduction", one_line(&receipt.original.title)),
        opening,
        headings: ["strategy", "headline", "original", "again", "ratio", "interval", "outcome"],
        tables: tables(rows),
        closing: vec![outcome(receipt)],
    }
}

fn opening(
    runs: [(&'static str, &RunLabel); 2],
    incomparable: &[String],
    mark: &'static str,
    differences: &[String],
) -> Vec<(&'static str, String)> {
    let mut said: Vec<(&str, String)> =
        runs.into_iter().map(|(word, run)| (word, label(run))).collect();
    if !incomparable.is_empty() {
        let what = format!(
            "the runs measured different things, so a difference has more than one cause: {}",
            one_line(&incomparable.join("; "))
        );
        said.push((mark, what));
    }
    let differs = match differences {
        [] => {
            "nothing that was recorded differs: same program, machine, seed and blocks".to_owned()
        }
        differences => one_line(&differences.join("; ")),
    };
    said.push(("differs", differs));
    said
}

fn label(run: &RunLabel) -> String {
    let id: String = run.run_id.chars().take(12).collect();
    format!(
        "run {id} of {}, pollpush {} ({}), {}, verdict {}, on {}",
        run.started.strftime("%Y-%m-%dT%H:%MZ"),
        one_line(&run.tool.version),
        one_line(&run.tool.commit),
        counted(run.blocks.into(), "block"),
        verdict_word(run.verdict),
        machine::in_words(&run.environment)
    )
}

type Parameters = std::collections::BTreeMap<String, String>;

/// Rows by point. A strategy's name stands in its first row only.
fn tables<'a>(
    rows: impl Iterator<Item = (&'a Parameters, [String; 7])>,
) -> Vec<(Option<String>, Vec<[String; 7]>)> {
    let mut tables: Vec<(&Parameters, Vec<[String; 7]>)> = Vec::new();
    let mut strategy = String::new();
    for (parameters, mut row) in rows {
        if tables.last().is_none_or(|(last, _)| *last != parameters) {
            tables.push((parameters, Vec::new()));
            strategy.clear();
        }
        if row[0] == strategy {
            row[0].clear();
        } else {
            strategy.clone_from(&row[0]);
        }
        tables.last_mut().expect("one was pushed").1.push(row);
    }
    let heading = |parameters| point::heading(parameters).map(|heading| one_line(&heading));
    tables.into_iter().map(|(parameters, rows)| (heading(parameters), rows)).collect()
}

fn change_row(change: &Change) -> [String; 7] {
    let significant = match change.difference {
        Difference::Larger => "yes, more",
        Difference::Smaller => "yes, less",
        Difference::Noise => "no, noise",
        Difference::None => "no",
        Difference::Unknown => "too few blocks",
    };
    let medians = change.medians.map(|value| change.measure.write(value));
    row(
        &change.strategy,
        change.measure.name(),
        medians,
        change.ratio,
        change.interval,
        significant,
    )
}

fn headline_row(headline: &Headline) -> [String; 7] {
    let outcome = match (headline.outcome, headline.interval) {
        (HeadlineOutcome::Within, _) => "within",
        (HeadlineOutcome::Outside, _) => "OUTSIDE",
        (HeadlineOutcome::Noisy, None) => "too few blocks",
        (HeadlineOutcome::Noisy, Some(_)) => "noisy",
    };
    let values = [headline.original, headline.again].map(|value| headline.measure.write(value));
    let measure = headline.measure.name();
    row(&headline.strategy, measure, values, headline.ratio, headline.interval, outcome)
}

fn row(
    strategy: &str,
    measure: &str,
    [first, second]: [String; 2],
    times: f64,
    interval: Option<RatioInterval>,
    said: &str,
) -> [String; 7] {
    let interval = or_absent(interval, range);
    [one_line(strategy), measure.to_owned(), first, second, ratio(times), interval, said.to_owned()]
}

fn range(interval: RatioInterval) -> String {
    format!("{} to {}", ratio(interval.low), ratio(interval.high))
}

fn gate(result: &GateResult) -> String {
    let word = match result.outcome {
        GateOutcome::Passed => "passed",
        GateOutcome::Failed => "FAILED",
        GateOutcome::CannotTell => "cannot tell",
    };
    let place = point::heading(&result.parameters)
        .map_or(String::new(), |heading| format!(" at {}", one_line(&heading)));
    let found = match (result.ratio, result.interval) {
        (None, _) => "it was not measured in both runs".to_owned(),
        (Some(times), None) => format!("{} times, too few blocks for an interval", ratio(times)),
        (Some(times), Some(interval)) => format!(
            "{} times, {} with {:.1} %",
            ratio(times),
            range(interval),
            interval.confidence * 100.0
        ),
    };
    let (gate, strategy) = (one_line(&result.gate), one_line(&result.strategy));
    format!("{word}: {gate}{place}, `{strategy}`: {found}")
}

fn outcome(receipt: &Receipt) -> String {
    let number = |outcome| {
        receipt.headlines.iter().filter(|headline| headline.outcome == outcome).count() as u64
    };
    let tolerance = ratio(receipt.tolerance * 100.0);
    let [within, outside, noisy] =
        [HeadlineOutcome::Within, HeadlineOutcome::Outside, HeadlineOutcome::Noisy].map(number);
    let counts = format!(
        "{} within {tolerance} % of the original, {} outside, {} too noisy to tell",
        counted(within, "headline"),
        count(outside),
        count(noisy)
    );
    match receipt.outcome {
        ReceiptOutcome::Reproduced => format!("reproduced: {counts}"),
        ReceiptOutcome::NotReproduced => format!("NOT reproduced: {counts}"),
        ReceiptOutcome::CannotTell => format!(
            "cannot tell: {counts}; more blocks make narrower intervals, and a tolerance as wide as \
             the machine's noise can be met"
        ),
    }
}

impl Document {
    fn text(&self, terminal: Terminal) -> String {
        let mut lines = vec![self.title.clone()];
        for (word, said) in &self.opening {
            lines.extend(wrapped(&format!("{word}: {said}"), terminal.width, "  "));
        }
        for (heading, rows) in &self.tables {
            lines.push(String::new());
            lines.extend(heading.clone());
            let mut table = borderless(&self.headings);
            for row in rows {
                table.add_row(row);
            }
            for column in [1, 6] {
                if let Some(column) = table.column_mut(column) {
                    column.set_cell_alignment(comfy_table::CellAlignment::Left);
                }
            }
            lines.extend(text_lines(&table));
        }
        lines.push(String::new());
        for said in &self.closing {
            lines.extend(wrapped(said, terminal.width, "  "));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn markdown(&self) -> String {
        let mut blocks = vec![format!("# {}", markdown::escape(&self.title))];
        let opening: Vec<String> = self
            .opening
            .iter()
            .map(|(word, said)| format!("- **{word}**: {}", markdown::escape(said)))
            .collect();
        blocks.push(opening.join("\n"));
        for (heading, rows) in &self.tables {
            blocks.extend(heading.as_ref().map(|text| format!("## {}", markdown::escape(text))));
            let rows = rows.iter().map(|row| {
                let cell = |text: &String| match text.as_str() {
                    "" => String::new(),
                    ABSENT => ABSENT.to_owned(),
                    text => markdown::escape(text),
                };
                row.iter().map(cell).collect()
            });
            blocks.push(markdown::table(&self.headings, "---:", rows));
        }
        blocks.extend(self.closing.iter().map(|said| markdown::escape(said)));
        let blocks: Vec<&str> = blocks.iter().map(|block| block.trim_end()).collect();
        blocks.join("\n\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::{
        comparison_json, comparison_markdown, comparison_table, receipt_json, receipt_markdown,
        receipt_table,
    };
    use crate::analysis::compare::{ComparedRun, Gate, Receipt, RunComparison, Tolerance, compare};
    use crate::report::table::Terminal;

    const USUAL: Terminal = Terminal { width: 100, colour: false };

    fn of(blocks: u32) -> ComparedRun {
        let folder = tempfile::tempdir().expect("a folder");
        ComparedRun::of_sample(folder.path(), blocks)
    }

    fn compared() -> RunComparison {
        compare(&of(6), &of(8), false).expect("comparable")
    }

    #[test]
    fn a_comparison_reads_as_it_should() {
        let comparison = compared();
        let gates: Vec<Gate> = vec!["webhook: latency.p50 > +10%".parse().expect("a gate")];
        let gates = comparison.judge(&gates).expect("a strategy");
        insta::assert_snapshot!("comparison_table", comparison_table(&comparison, &gates, USUAL));
        insta::assert_snapshot!("comparison_markdown", comparison_markdown(&comparison, &gates));
        let json: serde_json::Value =
            serde_json::from_str(&comparison_json(&comparison, &gates)).expect("JSON");
        assert_eq!(json["schema"], "pollpush/comparison/1");
        assert_eq!(json["gates"][0]["outcome"], "passed");
        assert_eq!(json["changes"][0]["measure"], "latency.mean");
    }

    #[test]
    fn a_receipt_reads_as_it_should() {
        let receipt = Receipt::of(compared(), Tolerance::default());
        insta::assert_snapshot!("receipt_table", receipt_table(&receipt, USUAL));
        insta::assert_snapshot!("receipt_markdown", receipt_markdown(&receipt));
        let json: serde_json::Value = serde_json::from_str(&receipt_json(&receipt)).expect("JSON");
        assert_eq!(json["schema"], "pollpush/receipt/1");
    }
}
