//! Distributions of latency, as closed forms claim them.

use std::time::Duration;

/// A predicted distribution of latency.
#[derive(Clone, Debug, PartialEq)]
pub enum Latency {
    /// A mixture of uniform distributions.
    Mixture(Vec<Share>),
    /// The mean is known, the distribution is not.
    Mean {
        /// Smallest latency.
        least: Duration,
        /// Mean latency.
        mean: Duration,
        /// What one independent wait deviates by; waits of a queue are not independent, which
        /// is made up for here.
        deviation: Duration,
    },
    /// At least so much; what is above it is the implementation's, so no figure is claimed.
    AtLeast(Duration),
}

/// A part of a mixture: uniform between two bounds, or one value if they are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Relative frequency; those of a mixture need not add up to one.
    pub weight: f64,
    /// Smallest latency.
    pub from: Duration,
    /// Largest latency.
    pub to: Duration,
}

/// Parts a curved distribution is made of; a quantile is exact to a part.
const PARTS: u32 = 200;

impl Share {
    /// The share of this part that is at most `latency` nanoseconds.
    fn at_most(&self, latency: f64) -> f64 {
        let (from, to) = (nanos(self.from), nanos(self.to));
        if latency >= to {
            1.0
        } else if latency <= from {
            0.0
        } else {
            (latency - from) / (to - from)
        }
    }
}

impl Latency {
    /// The same latency for every event.
    #[must_use]
    pub fn always(latency: Duration) -> Latency {
        Latency::uniform(latency, latency)
    }

    /// Uniform between two bounds.
    #[must_use]
    pub fn uniform(from: Duration, to: Duration) -> Latency {
        Latency::Mixture(vec![Share { weight: 1.0, from, to }])
    }

    /// A least latency, and a wait of at most `longest` of which `at_most` tells how many
    /// do not exceed a time, by any measure; `None` if that has no closed form.
    pub(crate) fn of_waits(
        least: Duration,
        longest: Duration,
        at_most: impl Fn(Duration) -> Option<f64>,
    ) -> Option<Latency> {
        let edge = |part: u32| longest.mul_f64(f64::from(part) / f64::from(PARTS));
        let mut below = at_most(Duration::ZERO)?;
        let mut shares = vec![Share { weight: below, from: least, to: least }];
        for part in 0..PARTS {
            let above = at_most(edge(part + 1))?;
            let (from, to) = (least + edge(part), least + edge(part + 1));
            shares.push(Share { weight: (above - below).max(0.0), from, to });
            below = above;
        }
        shares.retain(|share| share.weight > 0.0);
        Some(Latency::Mixture(shares))
    }

    /// The mean, if the form claims one.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        match self {
            Latency::Mixture(shares) => Some(duration(mean(shares))),
            Latency::Mean { mean, .. } => Some(*mean),
            Latency::AtLeast(_) => None,
        }
    }

    /// The standard deviation of one independent wait, if the form claims one.
    #[must_use]
    pub fn deviation(&self) -> Option<Duration> {
        match self {
            Latency::Mixture(shares) => {
                let mean = mean(shares);
                let square = |share: &Share| {
                    let (from, to) = (nanos(share.from) - mean, nanos(share.to) - mean);
                    (from * from + from * to + to * to) / 3.0
                };
                Some(duration(average(shares, square).max(0.0).sqrt()))
            }
            Latency::Mean { deviation, .. } => Some(*deviation),
            Latency::AtLeast(_) => None,
        }
    }

    /// The smallest latency.
    #[must_use]
    pub fn min(&self) -> Duration {
        match self {
            Latency::Mixture(shares) => {
                shares.iter().map(|share| share.from).min().unwrap_or_default()
            }
            Latency::Mean { least, .. } | Latency::AtLeast(least) => *least,
        }
    }

    /// The largest latency, if the form claims one.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        match self {
            Latency::Mixture(shares) => shares.iter().map(|share| share.to).max(),
            Latency::Mean { .. } | Latency::AtLeast(_) => None,
        }
    }

    /// The least latency that a share `p` of events does not exceed, if the form claims one.
    #[must_use]
    pub fn quantile(&self, p: f64) -> Option<Duration> {
        let Latency::Mixture(shares) = self else { return None };
        let mut edges: Vec<Duration> =
            shares.iter().flat_map(|share| [share.from, share.to]).collect();
        edges.sort_unstable();
        edges.dedup();
        let at_most = |edge: Duration| average(shares, |share| share.at_most(nanos(edge)));
        let place = edges.partition_point(|edge| at_most(*edge) < p);
        let Some(edge) = edges.get(place).copied() else { return self.max() };
        let Some(below) = place.checked_sub(1).map(|place| edges[place]) else { return Some(edge) };
        // Values that are single points jump at the edge; all others grow evenly up to it.
        let grown = |share: &Share| {
            if share.from == edge { 0.0 } else { share.at_most(nanos(edge)) }
        };
        let (left, up_to) = (at_most(below), average(shares, grown));
        if p >= up_to {
            return Some(edge);
        }
        let part = ((p - left) / (up_to - left)).max(0.0);
        Some(below + edge.saturating_sub(below).mul_f64(part))
    }

    /// Whether many events have the very latency that a share `p` does not exceed: they do not
    /// wait, or all alike, and what is above it is the program's and the machine's.
    #[must_use]
    pub fn is_point(&self, p: f64) -> bool {
        let Latency::Mixture(shares) = self else { return false };
        let Some(at) = self.quantile(p) else { return false };
        let point = |share: &Share| f64::from(u8::from(share.from == at && share.to == at));
        average(shares, point) > 0.0
    }
}

fn average(shares: &[Share], of: impl Fn(&Share) -> f64) -> f64 {
    let weights: f64 = shares.iter().map(|share| share.weight).sum();
    shares.iter().map(|share| share.weight * of(share)).sum::<f64>() / weights
}

fn mean(shares: &[Share]) -> f64 {
    average(shares, |share| f64::midpoint(nanos(share.from), nanos(share.to)))
}

/// Nanoseconds, as a number to calculate with.
pub(crate) fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

/// A duration of so many nanoseconds; none where there are no finite ones.
fn duration(nanoseconds: f64) -> Duration {
    Duration::try_from_secs_f64(nanoseconds / 1e9).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Latency, Share};
    use std::time::Duration;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_uniform_latency_has_its_textbook_figures() {
        let latency = Latency::uniform(ms(10), ms(130));
        assert_eq!(latency.mean(), Some(ms(70)));
        assert_eq!(latency.deviation().map(|time| time.as_micros()), Some(34_641));
        assert_eq!(latency.quantile(0.0), Some(ms(10)));
        assert_eq!(latency.quantile(0.25), Some(ms(40)));
        assert_eq!(latency.quantile(1.0), Some(ms(130)));
        assert_eq!((latency.min(), latency.max()), (ms(10), Some(ms(130))));
    }

    #[test]
    fn a_point_in_a_mixture_is_a_jump() {
        // Half of all events at 10 ms, half uniform on [0 ms, 20 ms].
        let latency = Latency::Mixture(vec![
            Share { weight: 2.0, from: ms(10), to: ms(10) },
            Share { weight: 2.0, from: ms(0), to: ms(20) },
        ]);
        assert_eq!(latency.mean(), Some(ms(10)));
        for (p, expected) in [(0.0, 0), (0.125, 5), (0.25, 10), (0.5, 10), (0.75, 10), (0.875, 15)]
        {
            assert_eq!(latency.quantile(p), Some(ms(expected)), "{p}");
        }
        assert_eq!(Latency::always(ms(3)).quantile(0.99), Some(ms(3)));
    }

    #[test]
    fn a_curved_distribution_is_kept_to_a_part() {
        // The greater of two uniform waits: F(x) = x², mean 2/3, median √½.
        let square = |wait: Duration| Some(wait.as_secs_f64().powi(2));
        let latency = Latency::of_waits(ms(0), ms(1_000), square).expect("a closed form");
        let near = |value: Option<Duration>, expected: f64| {
            (value.expect("claimed").as_secs_f64() - expected).abs() < 1e-3
        };
        assert!(near(latency.mean(), 2.0 / 3.0));
        assert!(near(latency.quantile(0.5), 0.5_f64.sqrt()));
        assert_eq!(Latency::of_waits(ms(0), ms(1), |_| None), None);
    }

    #[test]
    fn a_bound_claims_nothing_else() {
        let latency = Latency::AtLeast(ms(1));
        assert_eq!((latency.mean(), latency.quantile(0.5), latency.max()), (None, None, None));
        assert_eq!(latency.min(), ms(1));
    }
}
