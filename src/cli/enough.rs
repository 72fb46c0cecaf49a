//! What a run need not measure: the run asks, the analysis knows.

use crate::analysis::precision::Looks;
use crate::analysis::search::Search;
use crate::plan::Plan;
use crate::record::ledger::Ledger;
use crate::record::manifest::StoppedPoint;
use crate::record::trial::TrialRecord;
use crate::trial::run::Stop;

/// The stopping rule and the search of a plan, applied.
#[derive(Debug)]
pub(crate) struct Enough<'p> {
    plan: &'p Plan,
    looks: Option<Looks>,
    search: Option<Search>,
}

impl Enough<'_> {
    /// `None` if everything that is planned is run.
    pub(crate) fn of(plan: &Plan) -> Option<Enough<'_>> {
        let looks = plan.stopping.map(|rule| Looks::new(rule, plan.blocks));
        let least = plan.aims.objective.as_ref().and_then(|wanted| wanted.minimise);
        let search = least
            .filter(|_| !plan.search.is_empty())
            .map(|measure| Search::new(measure, plan.aims.prices.clone(), plan.search.clone()));
        plan.may_end_early().then_some(Enough { plan, looks, search })
    }
}

impl Stop for Enough<'_> {
    fn recorded(&mut self, record: &TrialRecord, ledger: Option<&Ledger>) {
        let point =
            usize::try_from(record.point).ok().and_then(|point| self.plan.points.get(point));
        let trace = point.and_then(|point| point.trace.as_ref()).map(|file| &file.trace);
        if let Some(looks) = &mut self.looks {
            looks.note(record, ledger, trace);
        }
        if let Some(search) = &mut self.search {
            search.note(record, ledger, trace);
        }
    }

    fn look(&mut self, point: u32, blocks: u32) -> Option<StoppedPoint> {
        self.looks.as_mut()?.look(point, blocks)
    }

    fn point_ended(&mut self, point: u32) -> Vec<u32> {
        self.search.as_mut().map_or_else(Vec::new, |search| search.point_ended(point))
    }
}
