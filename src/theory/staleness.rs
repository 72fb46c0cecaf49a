//! How long a subscriber's state is out of date.

use std::time::Duration;

use super::latency::{Latency, Share, nanos};
use super::{Conditions, SLACK};

/// How many mean times between events the next one may take: longer ones have a chance of 2 %.
const LATE_EVENT: f64 = 4.0;

/// The share of a window in which an event is due that is not yet usable, nor a later one.
///
/// A state is up to date if its newest event was usable before the next one happened. Poisson
/// arrivals happen after an exponential time whatever came before, so the share up to date is
/// φ = E\[e^(−λX)\] over all events, X being an event's latency, without end if it is lost; X must
/// not depend on what happens after the event. Polling has X uniform on \[d, G + d\] and the share
/// 1 − e^(−λd)·(1 − e^(−λG))/(λG), push with the latency x has 1 − e^(−λx).
///
/// From one event to the next the state is out of date for min(X, E), E exponential. Their sum is
/// a renewal process with rewards, whose share of a window W has the variance
/// 2φ(1 − φ − ψ)/(λW), ψ = E\[λX·e^(−λX)\], if latencies are independent. Events that wait for the
/// same moment are not; as many as there are in a gap multiply it at most. Where all gaps are G
/// long, the part F of each that is up to date is independent of the others, E\[F²\] =
/// 2(ψ − λdφ)/(λG), and the variance is Var(F)·G/W.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Staleness {
    /// The expected share.
    pub share: f64,
    /// How far chance may take the share of one window: the standard deviation.
    pub deviation: f64,
    /// What may fall to either side of a window's edges, as a share of it.
    pub edge: f64,
    /// How far timers and scheduling may take it.
    pub slack: f64,
}

impl Staleness {
    /// The share out of date if a share `arriving` of the events has this latency and the others
    /// are lost, and events wait together for at most the time `gap`. `None` if the arrivals are
    /// not Poisson, or the form claims no distribution.
    pub(crate) fn of(
        conditions: &Conditions,
        latency: &Latency,
        arriving: f64,
        gap: Duration,
    ) -> Option<Staleness> {
        let Latency::Mixture(shares) = latency else { return None };
        if !conditions.is_poisson() {
            return None;
        }
        let rate = conditions.events_per_second();
        let average = |of: fn(f64, f64) -> f64| {
            let weights: f64 = shares.iter().map(|share| share.weight).sum();
            let scaled = |time: Duration| rate * nanos(time) / 1e9;
            let part = |share: &Share| share.weight * of(scaled(share.from), scaled(share.to));
            arriving * shares.iter().map(part).sum::<f64>() / weights
        };
        let (fresh, moving) = (average(fresh), average(moving));
        let window = rate * conditions.window.as_secs_f64();
        let gap = rate * gap.as_secs_f64();
        let variance = match shares[..] {
            [Share { from, .. }] if gap > 0.0 => {
                let way = rate * nanos(from) / 1e9;
                (2.0 * (moving - way * fresh) / gap - fresh * fresh) * gap / window
            }
            _ => 2.0 * fresh * (1.0 - fresh - moving) / window * (1.0 + gap),
        };
        let later = fresh * -(-rate * SLACK.as_secs_f64()).exp_m1();
        Some(Staleness {
            share: 1.0 - fresh,
            deviation: variance.max(0.0).sqrt(),
            edge: 0.0,
            slack: later.max(super::SLACK_SHARE * moving),
        })
    }
}

impl Staleness {
    /// The same where the state is out of date for one long time, which begins with an event: by
    /// chance that is so much later.
    pub(crate) fn beginning_with_an_event(self, conditions: &Conditions) -> Staleness {
        let window = conditions.events_per_second() * conditions.window.as_secs_f64();
        Staleness { edge: self.edge + LATE_EVENT / window.max(1.0), ..self }
    }

    /// The same where for a part of the window the state follows a beat of gaps: what is up to
    /// date of each is between none and all of it.
    pub(crate) fn and_for_a_while(
        self,
        beat: Staleness,
        gap: Duration,
        span: Duration,
        conditions: &Conditions,
    ) -> Staleness {
        let [gap, span, window] = [gap, span, conditions.window].map(|time| time.as_secs_f64());
        let variance = beat.share * (1.0 - beat.share) * gap * span / (window * window);
        Staleness { deviation: self.deviation.hypot(variance.sqrt()), ..self }
    }
}

/// E\[e^(−x)\] of x uniform between two bounds.
fn fresh(from: f64, to: f64) -> f64 {
    if to - from < 1e-9 {
        (-from).exp()
    } else {
        (-from).exp() * -(from - to).exp_m1() / (to - from)
    }
}

/// E\[x·e^(−x)\] of x uniform between two bounds: what a share 1 − e^(−x) changes by if every x
/// becomes longer in proportion.
fn moving(from: f64, to: f64) -> f64 {
    let integral = |x: f64| (x + 1.0) * (-x).exp();
    // The difference of two like numbers has no digits left.
    if to - from < 1e-5 {
        from * (-from).exp()
    } else {
        (integral(from) - integral(to)) / (to - from)
    }
}

#[cfg(test)]
mod tests {
    use super::Staleness;
    use crate::schedule::Arrivals;
    use crate::theory::Conditions;
    use crate::theory::latency::Latency;
    use std::time::Duration;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn polling_and_push_have_their_textbook_shares() {
        let conditions = Conditions::poisson(20.0);
        let share = |latency, arriving| {
            Staleness::of(&conditions, &latency, arriving, ms(0)).expect("Poisson").share
        };
        // λd = 0.2 and λG = 5.
        let polled = 1.0 - (-0.2_f64).exp() * (1.0 - (-5.0_f64).exp()) / 5.0;
        assert!((share(Latency::uniform(ms(10), ms(260)), 1.0) - polled).abs() < 1e-12);
        let pushed = 1.0 - (-0.2_f64).exp();
        assert!((share(Latency::always(ms(10)), 1.0) - pushed).abs() < 1e-12);
        // What is lost is out of date until the next event.
        assert!((share(Latency::always(ms(0)), 0.75) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn rare_short_gaps_deviate_as_their_number_does() {
        // 20 gaps a second of 1 ms each: √(λ·W)·x of W.
        let conditions = Conditions::poisson(20.0);
        let stale = Staleness::of(&conditions, &Latency::always(ms(1)), 1.0, ms(0)).expect("all");
        let expected = (20_000.0_f64).sqrt() * 0.001 / 1_000.0;
        assert!((stale.deviation / expected - 1.0).abs() < 0.03, "{}", stale.deviation);
    }

    #[test]
    fn nothing_is_claimed_without_independent_events_or_a_distribution() {
        let even = Conditions { arrivals: Arrivals::Constant, ..Conditions::poisson(20.0) };
        assert_eq!(Staleness::of(&even, &Latency::always(ms(1)), 1.0, ms(0)), None);
        let bound = Latency::AtLeast(ms(1));
        assert_eq!(Staleness::of(&Conditions::poisson(20.0), &bound, 1.0, ms(0)), None);
    }
}
