//! What was asked of strategies, on the page: objective, expectations and costs.

use minijinja::{Value, context};

use crate::analysis::summary::{Basis, Bill, Judgement, Summary};

use super::{Table, plain, plain_row};
use crate::report::quantity::{count, ratio};
use crate::report::{point, wording};

/// What the objective comes to at each point; `None` without one.
pub(super) fn decision(summary: &Summary) -> Option<Value> {
    let decision = summary.decision.as_ref()?;
    let mut aim = Vec::new();
    if !decision.require.is_empty() {
        aim.push(format!("Required: {}.", decision.require.join(", ")));
    }
    if let Some(measure) = &decision.minimise {
        aim.push(format!("Wanted: the least {measure}."));
    }
    let lines: Vec<String> = decision
        .points
        .iter()
        .map(|at| match point::heading(&at.parameters) {
            Some(heading) => format!("{heading}: {}", at.choice.sentence),
            None => at.choice.sentence.clone(),
        })
        .map(|line| wording::one_line(&line))
        .collect();
    Some(context! { aim => aim.join(" "), lines => lines })
}

/// Every expectation and whether it holds; without rows if there was none.
pub(super) fn thresholds(summary: &Summary) -> Table {
    const HEADINGS: [&str; 2] = ["holds", "what was found"];
    let rows = summary.thresholds.iter().map(|threshold| {
        let holds = match threshold.status {
            Judgement::Met => "yes",
            Judgement::Missed => "NO",
            Judgement::Undecided => "open",
            Judgement::NotMeasured => "not measured",
        };
        let cells = vec![holds.to_owned(), wording::one_line(&threshold.sentence)];
        plain_row(threshold.expect.clone(), None, &HEADINGS, cells)
    });
    plain("What was expected", "expectation", &HEADINGS, rows.collect())
}

/// What strategies cost in a month; `None` without prices.
pub(super) fn costs(summary: &Summary) -> Option<Value> {
    const HEADINGS: [&str; 6] =
        ["at", "subscribers", "source", "subscribers pay", "total", "interval"];
    let costs = summary.costs.as_ref()?;
    let amount = |value: f64| ratio(value);
    let mut rows = Vec::new();
    for at in &costs.points {
        let place = point::heading(&at.parameters).unwrap_or_else(|| "this point".to_owned());
        for strategy in &at.strategies {
            for bill in &strategy.bills {
                let Bill { subscribers, source, subscriber, total, interval, .. } = bill;
                let between =
                    interval.map(|[low, high]| format!("{} to {}", amount(low), amount(high)));
                let cells = vec![
                    place.clone(),
                    format!("{} ({})", count(*subscribers), basis(bill.basis)),
                    amount(source.total),
                    amount(subscriber.total),
                    amount(*total),
                    between.unwrap_or_else(|| "—".to_owned()),
                ];
                let name = strategy.strategy.clone();
                rows.push(plain_row(name.clone(), Some(name), &HEADINGS, cells));
            }
        }
    }
    let caption = format!(
        "What strategies cost in a month of {} hours, in {}",
        ratio(costs.hours),
        costs.currency
    );
    let table = plain(&caption, "strategy", &HEADINGS, rows);
    Some(context! { table => table, assumptions => costs.assumptions })
}

/// Where an amount comes from, in one word.
fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Measured => "measured",
        Basis::Modelled => "modelled",
        Basis::Extrapolated => "extrapolated",
    }
}
