//! What a search has found so far: the strategy with the least of a measure at each point that
//! ended, and which points that rules out.

use std::collections::{BTreeMap, BTreeSet};

use super::blocks::middle;
use super::evidence;
use super::measure::Gathered;
use crate::aim::Prices;
use crate::measure::Measure;
use crate::record::ledger::Ledger;
use crate::record::trial::{Outcome, TrialRecord};
use crate::schedule::Trace;
use crate::search::{Line, ruled_out};

/// A search along lines of points.
#[derive(Clone, Debug)]
pub struct Search {
    measure: Measure,
    prices: Option<Prices>,
    lines: Vec<Line>,
    /// What each strategy's blocks gave, by point.
    values: BTreeMap<usize, BTreeMap<String, Gathered>>,
    /// Points that ended, with the strategy that has the least; `None` if one has no figure.
    ended: BTreeMap<usize, Option<String>>,
    out: BTreeSet<usize>,
}

impl Search {
    /// A search for the change of the strategy with the least of a measure.
    #[must_use]
    pub fn new(measure: Measure, prices: Option<Prices>, lines: Vec<Line>) -> Search {
        let (values, ended, out) = Default::default();
        Search { measure, prices, lines, values, ended, out }
    }

    /// Notes one strategy of a block; a measured one comes with its ledger. `trace` is what the
    /// arrivals of the point replay.
    pub fn note(&mut self, record: &TrialRecord, ledger: Option<&Ledger>, trace: Option<&Trace>) {
        let values = self.values.entry(record.point as usize).or_default();
        let values = values.entry(record.strategy.name.clone()).or_default();
        if let (Outcome::Completed, Some(measured), Some(ledger)) =
            (&record.outcome, &record.measured, ledger)
        {
            let block = evidence::block(record, measured, ledger, trace);
            values.note(self.measure, &block, self.prices.as_ref());
        }
    }

    /// A point has ended; says which others are ruled out by it.
    ///
    /// # Panics
    ///
    /// Never: a plan has fewer points.
    pub fn point_ended(&mut self, point: u32) -> Vec<u32> {
        let place = point as usize;
        let least = |strategies| least(self.measure, strategies);
        self.ended.insert(place, self.values.get(&place).and_then(least));
        let line = self.lines.iter().find(|line| line.contains(&place));
        let known = |point: usize| self.ended.get(&point)?.as_deref();
        let out = line.map_or_else(Vec::new, |line| ruled_out(line, known));
        let new = out
            .into_iter()
            .filter(|point| !self.ended.contains_key(point) && !self.out.contains(point));
        let new: Vec<usize> = new.collect();
        self.out.extend(&new);
        let number = |point| u32::try_from(point).expect("a plan has few points");
        new.into_iter().map(number).collect()
    }
}

/// The strategy with the least median over blocks; `None` if one of them has no figure.
fn least(measure: Measure, strategies: &BTreeMap<String, Gathered>) -> Option<String> {
    let medians: Option<Vec<(f64, &String)>> = strategies
        .iter()
        .map(|(name, values)| {
            let values: Vec<f64> = values.stated(measure).iter().copied().collect::<Option<_>>()?;
            Some((middle(&values)?.median, name))
        })
        .collect();
    let least = medians?.into_iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
    least.map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::Search;
    use crate::measure::Measure;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::Outcome;

    /// A poll every 250 ms and a webhook at five rates, the break-even of which is 4/s.
    fn run() -> (tempfile::TempDir, Run) {
        let out = tempfile::tempdir().expect("a folder");
        let sample = Sample { rates: vec![1, 2, 8, 16, 32], blocks: 2, ..Sample::default() };
        let path = sample.write(out.path()).expect("written");
        (out, Run::open(&path).expect("opened"))
    }

    fn search() -> Search {
        Search::new(Measure::RequestsPerEvent, None, vec![vec![0, 1, 2, 3, 4]])
    }

    fn measure(search: &mut Search, run: &Run, point: u32) -> Vec<u32> {
        for record in run.records.iter().filter(|record| record.point == point) {
            let ledger = run.ledger(record).expect("read");
            search.note(record, ledger.as_ref(), None);
        }
        search.point_ended(point)
    }

    #[test]
    fn points_between_equal_preferences_are_ruled_out_once() {
        let ((_out, run), mut search) = (run(), search());
        assert!(measure(&mut search, &run, 0).is_empty());
        assert!(measure(&mut search, &run, 4).is_empty(), "a webhook below, a poll above");
        assert_eq!(measure(&mut search, &run, 2), [3], "a poll there too");
        assert!(measure(&mut search, &run, 1).is_empty());
    }

    #[test]
    fn a_point_that_was_spoilt_rules_nothing_out() {
        let ((_out, mut run), mut search) = (run(), search());
        for record in &mut run.records {
            if record.point == 4 {
                record.outcome = Outcome::Spoilt { reason: "the source died".into() };
            }
        }
        assert!(measure(&mut search, &run, 2).is_empty());
        assert!(measure(&mut search, &run, 4).is_empty());
        assert!(measure(&mut search, &run, 3).is_empty());
    }
}
