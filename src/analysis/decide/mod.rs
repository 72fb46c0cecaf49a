//! Which strategy the objective of a scenario chooses, and by how much it is better.
//!
//! A requirement is kept or missed only if it is wherever in its interval the true figure lies.
//! That a strategy keeps all its requirements is a claim of all of them together, so each may be
//! tested by itself (Berger 1982, intersection–union tests). The chosen strategy is compared
//! with every other that keeps, or may keep, them: in pairs, block by block, by the sign test and
//! with Holm's procedure. What cannot be told from it is said to be so.

use super::blocks::middle;
use super::crossover::crossovers;
use super::evidence::{Evidence, PointEvidence, StrategyEvidence};
use super::measure::{estimate, of_block};
use super::ratios::{difference, holm, signs_test};
use super::summary::{
    Advantage, Choice, ChoiceStatus, Decision, Difference, Estimate, Judgement, PointDecision,
    RequirementResult, Searched, Standing,
};
use crate::aim::{Aims, Objective, Prices, Requirement};
use crate::measure::Measure;
use crate::record::manifest::PlannedPoint;
use crate::record::noise_floor::NoiseFloor;
use crate::stopping::FEWEST_BLOCKS;

pub(crate) mod sentences;

pub(crate) use self::sentences::written;

/// What decisions are made by.
pub(crate) struct Judge<'a> {
    objective: &'a Objective,
    prices: Option<&'a Prices>,
    floor: Option<&'a NoiseFloor>,
    /// Whether the run may be used.
    sound: bool,
}

impl<'a> Judge<'a> {
    /// `None` without an objective.
    pub(crate) fn of(
        aims: &'a Aims,
        floor: Option<&'a NoiseFloor>,
        sound: bool,
    ) -> Option<Judge<'a>> {
        let (objective, prices) = (aims.objective.as_ref()?, aims.prices.as_ref());
        Some(Judge { objective, prices, floor, sound })
    }

    /// What the objective comes to at every point, and where that changes between them;
    /// `planned` are the points, as in the evidence, `of` how many the sweep has.
    pub(crate) fn decide(
        &self,
        evidence: &Evidence,
        planned: &[&PlannedPoint],
        of: usize,
    ) -> Decision {
        let minimise = self.objective.minimise.filter(|_| self.sound);
        let mut decision = Decision {
            require: self.objective.require.iter().map(ToString::to_string).collect(),
            minimise: self.objective.minimise.map(|measure| measure.name().to_owned()),
            points: evidence.points.iter().map(|point| self.at_point(point)).collect(),
            crossovers: minimise.map_or_else(Vec::new, |measure| {
                crossovers(measure, evidence, planned, self.prices)
            }),
            searched: self.objective.search.as_ref().map(|parameter| {
                let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                let (points, left_out) = (count(of), count(of.saturating_sub(planned.len())));
                Searched { parameter: parameter.clone(), points, left_out }
            }),
            sentence: String::new(),
        };
        decision.sentence = sentences::of_run(&decision);
        decision
    }

    fn at_point(&self, point: &PointEvidence) -> PointDecision {
        let standings: Vec<Standing> =
            point.strategies.iter().map(|strategy| self.standing(strategy)).collect();
        let mut choice = self.choose(point, &standings);
        choice.sentence = sentences::of_point(self.objective, self.prices, &standings, &choice);
        PointDecision { parameters: point.parameters.clone(), strategies: standings, choice }
    }

    fn standing(&self, strategy: &StrategyEvidence) -> Standing {
        let require = &self.objective.require;
        let requirements: Vec<RequirementResult> =
            require.iter().map(|required| self.result(required, strategy)).collect();
        // The order of judgements is from the best to the worst.
        let worst = requirements.iter().map(|result| result.status).max();
        let nothing = strategy.blocks.is_empty().then_some(Judgement::NotMeasured);
        Standing {
            strategy: strategy.summary.name.clone(),
            status: worst.max(nothing).unwrap_or(Judgement::Met),
            requirements,
            minimised: self
                .objective
                .minimise
                .and_then(|measure| estimate(measure, strategy, self.prices)),
        }
    }

    /// A decision takes intervals of 95 %: fewer blocks leave it open.
    fn result(&self, required: &Requirement, strategy: &StrategyEvidence) -> RequirementResult {
        let (status, measured) = judge(required, strategy, self.prices);
        let few = measured.is_some_and(|found| found.interval.is_some() && !is_sure(&found));
        RequirementResult {
            requirement: required.to_string(),
            measure: required.measure.name().to_owned(),
            status: if few { Judgement::Undecided } else { status },
            measured,
            note: note(required, strategy, measured.as_ref()),
        }
    }

    fn choose(&self, point: &PointEvidence, standings: &[Standing]) -> Choice {
        let none = |status| Choice {
            status,
            strategy: None,
            cannot_be_told_from: Vec::new(),
            may_be_better: Vec::new(),
            advantages: Vec::new(),
            sentence: String::new(),
        };
        let with = |status| standings.iter().filter(move |standing| standing.status == status);
        let keeping: Vec<&Standing> = with(Judgement::Met).collect();
        let open: Vec<&Standing> =
            with(Judgement::Undecided).chain(with(Judgement::NotMeasured)).collect();
        let names = |standings: &[&Standing]| -> Vec<String> {
            standings.iter().map(|standing| standing.strategy.clone()).collect()
        };
        if !self.sound {
            return none(ChoiceStatus::Withheld);
        }
        if keeping.is_empty() {
            let status =
                if open.is_empty() { ChoiceStatus::NoneMeets } else { ChoiceStatus::Undecided };
            return Choice { may_be_better: names(&open), ..none(status) };
        }
        let Some(measure) = self.objective.minimise else {
            let status = match (keeping.len(), open.len()) {
                (_, 1..) => ChoiceStatus::Undecided,
                (1, 0) => ChoiceStatus::Chosen,
                _ => ChoiceStatus::Tied,
            };
            let strategy = (keeping.len() == 1).then(|| keeping[0].strategy.clone());
            let others = if strategy.is_some() { Vec::new() } else { names(&keeping) };
            let may_be_better = names(&open);
            return Choice { strategy, cannot_be_told_from: others, may_be_better, ..none(status) };
        };
        let measured = keeping.iter().copied().filter_map(|standing| {
            let found = standing.minimised?;
            Some((found.value, standing))
        });
        let Some((_, best)) = measured.min_by(|(a, _), (b, _)| a.total_cmp(b)) else {
            return Choice { may_be_better: names(&keeping), ..none(ChoiceStatus::Undecided) };
        };
        self.compared(measure, point, best, &keeping, &open)
    }

    /// The choice beside every other strategy that keeps, or may keep, the requirements.
    fn compared(
        &self,
        measure: Measure,
        point: &PointEvidence,
        best: &Standing,
        keeping: &[&Standing],
        open: &[&Standing],
    ) -> Choice {
        let of = |standing: &Standing| {
            let named = |strategy: &&StrategyEvidence| strategy.summary.name == standing.strategy;
            point.strategies.iter().find(named).expect("standings are of the point's strategies")
        };
        let others: Vec<&Standing> = keeping
            .iter()
            .chain(open)
            .copied()
            .filter(|standing| standing.strategy != best.strategy)
            .collect();
        let mut advantages: Vec<Advantage> = others
            .iter()
            .filter_map(|other| self.advantage(measure, of(best), of(other)))
            .collect();
        self.adjust(measure, &mut advantages, others.len());
        let beaten = |name: &str| {
            let over = advantages.iter().find(|advantage| advantage.over == name);
            over.is_some_and(|advantage| advantage.difference == Difference::Larger)
        };
        let unknown = others.iter().any(|other| {
            let over = advantages.iter().find(|advantage| advantage.over == other.strategy);
            over.is_none_or(|advantage| advantage.difference == Difference::Unknown)
        });
        let unbeaten = |standings: &[&Standing]| -> Vec<String> {
            let names = standings.iter().map(|standing| &standing.strategy);
            names.filter(|name| **name != best.strategy && !beaten(name)).cloned().collect()
        };
        let (alike, may_be_better) = (unbeaten(keeping), unbeaten(open));
        let status = if unknown || !may_be_better.is_empty() {
            ChoiceStatus::Undecided
        } else if alike.is_empty() {
            ChoiceStatus::Chosen
        } else {
            ChoiceStatus::Tied
        };
        Choice {
            status,
            strategy: Some(best.strategy.clone()),
            cannot_be_told_from: alike,
            may_be_better,
            advantages,
            sentence: String::new(),
        }
    }

    /// The choice beside another strategy, in the blocks that have a figure of both; `None`
    /// without any.
    fn advantage(
        &self,
        measure: Measure,
        best: &StrategyEvidence,
        other: &StrategyEvidence,
    ) -> Option<Advantage> {
        let pairs: Vec<(f64, f64)> = other
            .blocks
            .iter()
            .filter_map(|block| {
                let pair = best.blocks.iter().find(|pair| pair.number == block.number)?;
                let of = |block| of_block(measure, block, self.prices);
                Some((of(pair)?, of(block)?))
            })
            .collect();
        let savings: Vec<f64> = pairs.iter().map(|(best, other)| other - best).collect();
        let ratio = |(best, other): &(f64, f64)| (*other > 0.0).then(|| best / other);
        let ratios: Option<Vec<f64>> = pairs.iter().map(ratio).collect();
        let saving = middle(&savings)?;
        let ratio = ratios.and_then(|ratios| middle(&ratios));
        let ends = |interval: Option<(f64, f64, f64)>| interval.map(|(low, high, _)| [low, high]);
        Some(Advantage {
            over: other.summary.name.clone(),
            blocks: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
            saving: saving.median,
            saving_ci95: ends(saving.interval),
            ratio: ratio.map(|ratio| ratio.median),
            ratio_ci95: ends(ratio.and_then(|ratio| ratio.interval)),
            p_value: signs_test(savings.iter().copied()),
            difference: Difference::Unknown,
        })
    }

    /// Says what may be said of each, of `compared` that are compared together.
    fn adjust(&self, measure: Measure, advantages: &mut [Advantage], compared: usize) {
        let mut p_values: Vec<f64> = advantages.iter().map(|one| one.p_value).collect();
        holm(&mut p_values);
        let noise = self.floor.and_then(|floor| floor.factors.get(measure.name()).copied());
        for (advantage, p_value) in advantages.iter_mut().zip(p_values) {
            advantage.p_value = p_value;
            let larger = advantage.saving > 0.0;
            advantage.difference = difference(p_value, advantage.blocks, compared, larger);
            let apart = advantage.ratio.map(|ratio| ratio.max(1.0 / ratio));
            let told = matches!(advantage.difference, Difference::Larger | Difference::Smaller);
            if told && noise.zip(apart).is_some_and(|(noise, apart)| apart <= noise) {
                advantage.difference = Difference::Noise;
            }
        }
    }
}

/// Whether a strategy keeps a requirement by its interval, however few blocks that is over.
pub(crate) fn judge(
    required: &Requirement,
    strategy: &StrategyEvidence,
    prices: Option<&Prices>,
) -> (Judgement, Option<Estimate>) {
    let Some(found) = estimate(required.measure, strategy, prices) else {
        return (Judgement::NotMeasured, None);
    };
    let [low, high] = found.interval.unwrap_or([found.value; 2]);
    (required.judge(low, high), Some(found))
}

/// Whether an interval is one of 95 %.
fn is_sure(found: &Estimate) -> bool {
    found.blocks >= FEWEST_BLOCKS
}

/// What else is to be known of a requirement's figure.
fn note(
    required: &Requirement,
    strategy: &StrategyEvidence,
    found: Option<&Estimate>,
) -> Option<String> {
    let Some(found) = found else {
        return Some("there is no such figure: too few events support it".to_owned());
    };
    if found.interval.is_some() && !is_sure(found) {
        return Some(format!("an interval of 95 % takes {FEWEST_BLOCKS} blocks"));
    }
    let events = &strategy.summary.events;
    let counts_losses = matches!(required.measure, Measure::Loss | Measure::EventsLost);
    if counts_losses && events.lost == 0 && events.emitted > 0 {
        return Some(none_lost(events.emitted));
    }
    None
}

/// What it says of other runs that none of so many deliveries was lost: with 95 % confidence the
/// share of losses is below 1 − 0.05^(1/n) (Clopper and Pearson 1934), if they are independent.
pub(crate) fn none_lost(deliveries: u64) -> String {
    let bound = 1.0 - 0.05_f64.powf(1.0 / deliveries as f64);
    format!(
        "none of {} was lost, so losses that are independent are rarer than {} with 95 % \
         confidence",
        crate::quantity::counted(deliveries, "event"),
        crate::quantity::percent(bound)
    )
}

#[cfg(test)]
mod tests;
