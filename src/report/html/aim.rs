//! What was asked of strategies, on the page: objective, expectations and costs.

use minijinja::{Value, context};

use crate::analysis::summary::Summary;

use super::{Table, plain, plain_row};
use crate::report::{decided, point, wording};

/// What the objective comes to, in lines; `None` without one.
pub(super) fn decision(summary: &Summary) -> Option<Value> {
    let decision = summary.decision.as_ref()?;
    let currency = summary.costs.as_ref().map(|costs| costs.currency.as_str());
    let wanted = wording::one_line(&decided::wanted(decision));
    let lines = decided::decision_lines(decision, currency);
    Some(context! { wanted => wanted, lines => lines })
}

/// Every expectation and whether it holds; without rows if there was none.
pub(super) fn thresholds(summary: &Summary) -> Table {
    const HEADINGS: [&str; 2] = ["outcome", "what was found"];
    let rows = summary.thresholds.iter().map(|result| {
        let outcome = decided::judgement_word(result.status).to_owned();
        let cells = vec![outcome, wording::one_line(&result.sentence)];
        plain_row(decided::expectation(summary, result), None, &HEADINGS, cells)
    });
    plain("What was expected", "expectation", &HEADINGS, rows.collect())
}

/// What strategies cost in a month; `None` without prices.
pub(super) fn costs(summary: &Summary) -> Option<Value> {
    let costs = summary.costs.as_ref()?;
    let headings: Vec<&str> = ["at"].into_iter().chain(decided::BILL_HEADINGS).collect();
    let rows = costs.points.iter().flat_map(|at| {
        let place = point::heading(&at.parameters).unwrap_or_else(|| "every event".to_owned());
        let headings = &headings;
        at.strategies.iter().flat_map(move |strategy| {
            let (place, name) = (place.clone(), strategy.strategy.clone());
            strategy.bills.iter().map(move |bill| {
                let cells = std::iter::once(place.clone()).chain(decided::bill_row(bill));
                plain_row(name.clone(), Some(name.clone()), headings, cells.collect())
            })
        })
    });
    let rows = rows.collect();
    let table = plain(&decided::costs_heading(costs), "strategy", &headings, rows);
    Some(context! { table => table, assumptions => costs.assumptions })
}
