//! Whether a point has blocks enough: the run asks, the analysis knows.

use crate::analysis::precision::Looks;
use crate::plan::Plan;
use crate::record::ledger::Ledger;
use crate::record::manifest::StoppedPoint;
use crate::record::trial::TrialRecord;
use crate::trial::run::Stop;

/// The stopping rule of a plan, applied.
#[derive(Debug)]
pub(crate) struct Enough<'p> {
    plan: &'p Plan,
    looks: Looks,
}

impl Enough<'_> {
    /// `None` if the number of blocks is fixed.
    pub(crate) fn of(plan: &Plan) -> Option<Enough<'_>> {
        Some(Enough { plan, looks: Looks::new(plan.stopping?, plan.blocks) })
    }
}

impl Stop for Enough<'_> {
    fn recorded(&mut self, record: &TrialRecord, ledger: Option<&Ledger>) {
        let point =
            usize::try_from(record.point).ok().and_then(|point| self.plan.points.get(point));
        let trace = point.and_then(|point| point.trace.as_ref()).map(|file| &file.trace);
        self.looks.note(record, ledger, trace);
    }

    fn look(&mut self, point: u32, blocks: u32) -> Option<StoppedPoint> {
        self.looks.look(point, blocks)
    }
}
