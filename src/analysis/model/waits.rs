//! The distribution of a poll's waits, beside the uniform one of its closed form.

use super::Observed;
use crate::analysis::latency::{Distribution, Quantile};
use crate::theory::latency::Latency;
use crate::units::nanoseconds;

/// What timers may err by, in nanoseconds: a sleeping thread's wake-up, at the source or for a
/// beat.
const TIMER: u64 = 200_000;

/// Shares at which the two distributions are compared.
const STEPS: u32 = 1_000;

/// How far measured waits are from the closed form's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WaitFit {
    /// The distribution that the form claims.
    pub(crate) claimed: Latency,
    /// The greatest difference in the share of deliveries up to some latency (Kolmogorov),
    /// beyond what moving each latency by the slack explains.
    pub(crate) distance: f64,
    /// Where the difference is greatest: the share of waits that the form claims up to there,
    /// and the one that was found.
    pub(crate) at: (f64, f64),
    /// Independent waits behind the measured distribution.
    pub(crate) waits: f64,
    /// Where nearly all waits have ended; `None` with too few of them.
    pub(crate) end: Option<WaitEnd>,
}

/// The end of a poll's waits. A beat that is a little slow or fast changes the distribution
/// little anywhere, and where it ends by as much as the beat is off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WaitEnd {
    /// The share of waits that have ended.
    pub(crate) share: f64,
    /// Where the form has that share end, in nanoseconds.
    pub(crate) claimed: u64,
    /// Where it was found to end, in nanoseconds.
    pub(crate) found: u64,
    /// How far apart the two may be for timers and exchanges, in nanoseconds.
    pub(crate) slack: u64,
    /// The standard error of where it ends, in nanoseconds.
    pub(crate) error: f64,
}

/// Waits that must be beyond a quantile.
const BEYOND: f64 = 10.0;

impl Observed<'_> {
    /// How far the latencies of all blocks are from the form's; `support` is how many distinct
    /// events they are of. `None` unless the form is a poll's, whose waits are uniform however
    /// events are spaced, and a delivery and an exchange were measured.
    pub(crate) fn waits(&self, latency: &Distribution, support: u64) -> Option<WaitFit> {
        let (claimed, _) = self.predicted_latency();
        let count = latency.count() as f64;
        let known = self.polled && self.exchange_known && latency.count() > 0;
        if !known || claimed.max()? <= claimed.min() {
            return None;
        }
        // That the way back takes half of an exchange is the form's guess, but for the injected
        // part: it may be all of it or nothing.
        let guessed = claimed.min().saturating_sub(self.conditions.rtt.unwrap_or_default() / 2);
        let slack = TIMER + nanoseconds(guessed);
        let (mut distance, mut at) = (0.0, (0.0, 0.0));
        for step in 1..=STEPS {
            let share = f64::from(step) / f64::from(STEPS);
            let edge = nanoseconds(claimed.quantile(share)?);
            let at_most = |edge| latency.at_most(edge) as f64 / count;
            let more = at_most(edge.saturating_sub(slack)) - share;
            let less = share - at_most(edge.saturating_add(slack));
            if more.max(less) > distance {
                (distance, at) = (more.max(less), (share, at_most(edge)));
            }
        }
        let waits = self.independent_waits().min(support as f64);
        let interval = nanoseconds(claimed.max()?.saturating_sub(claimed.min())) as f64;
        let end = [Quantile::P99, Quantile::P95, Quantile::P90]
            .into_iter()
            .find(|quantile| waits * (1.0 - quantile.share()) >= BEYOND)
            .and_then(|quantile| {
                let share = quantile.share();
                let error = interval * (share * (1.0 - share) / waits).sqrt();
                let found = latency.at(quantile)?;
                let claimed = nanoseconds(claimed.quantile(share)?);
                Some(WaitEnd { share, claimed, found, slack, error })
            });
        Some(WaitFit { claimed, distance, at, waits, end })
    }
}
