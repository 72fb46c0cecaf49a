//! What a scenario asks of the path between source and subscribers.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::profile::Profile;
use crate::network::tier::Tier;
use crate::units::{
    BitRate, BitRateText, Bytes, DurationText, Percentage, PercentageText, duration_text,
    format_duration, some_duration_text,
};

/// The keys of `[network]`: what lies between the source and its subscribers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Written {
    /// A path with figures of its own, which the other keys change: "loopback", "lan",
    /// "cross-az", "cross-region", "mobile-lte" or "mobile-3g".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Profile")]
    pub profile: Option<Profile>,
    /// The round trip, at most "1s": half of it in each direction. "0ms" is none.
    #[serde(with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub rtt: Option<Duration>,
    /// How far a packet's way differs from half a round trip: the standard deviation of a normal
    /// distribution, in each direction; at most a quarter of the round trip.
    #[serde(with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub jitter: Option<Duration>,
    /// The share of packets that are lost in each direction, at most "50%".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PercentageText")]
    pub loss: Option<Percentage>,
    /// How many packets in a row are lost on average, a whole number from 1 to 100; with 1 each
    /// is lost or not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 100))]
    pub loss_burst: Option<u32>,
    /// What the path carries from the source to each strategy's subscribers, from "8 kbit/s" to
    /// "100 Gbit/s"; in both directions without `rate-up`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BitRateText")]
    pub rate: Option<BitRate>,
    /// What the path carries from each strategy's subscribers to the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BitRateText")]
    pub rate_up: Option<BitRate>,
    /// Whether jitter may change the order of packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub reorder: Option<bool>,
    /// How TCP finds its speed: "cubic", "reno" or "bbr". Without it, as the machine is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Congestion")]
    pub congestion: Option<Congestion>,
    /// How the path is made: "netem", "router" or "sockets"; without it, the first of them that
    /// this machine offers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tier")]
    pub tier: Option<Tier>,
}

impl Written {
    /// The path that is asked for: the profile's, with what is written beside it.
    #[must_use]
    pub fn resolve(&self) -> Network {
        let base = self.profile.map(Profile::network).unwrap_or_default();
        let rate = self.rate.or(base.rate);
        Network {
            profile: self.profile,
            rtt: self.rtt.unwrap_or(base.rtt),
            jitter: self.jitter.unwrap_or(base.jitter),
            loss: self.loss.unwrap_or(base.loss),
            loss_burst: self.loss_burst.unwrap_or(base.loss_burst),
            rate,
            rate_up: self.rate_up.or(self.rate).or(base.rate_up),
            reorder: self.reorder.unwrap_or(base.reorder),
            congestion: self.congestion.or(base.congestion),
            tier: self.tier,
        }
    }
}

/// The path that is asked for, every default filled in.
///
/// In a record, `tier` is the one it was made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The profile its figures are from, where nothing else is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The round trip.
    #[serde(with = "duration_text")]
    pub rtt: Duration,
    /// The standard deviation of the way in one direction.
    #[serde(with = "duration_text")]
    pub jitter: Duration,
    /// The share of packets that are lost in each direction.
    pub loss: Percentage,
    /// How many packets in a row are lost on average.
    pub loss_burst: u32,
    /// What the path carries towards subscribers; as much as it gets without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<BitRate>,
    /// What the path carries towards the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_up: Option<BitRate>,
    /// Whether jitter may change the order of packets.
    pub reorder: bool,
    /// How TCP finds its speed, if not as the machine is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion: Option<Congestion>,
    /// How the path is made; nothing asks for one on bare loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

impl Default for Network {
    /// Bare loopback.
    fn default() -> Network {
        Network {
            profile: None,
            rtt: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Percentage::default(),
            loss_burst: 1,
            rate: None,
            rate_up: None,
            reorder: false,
            congestion: None,
            tier: None,
        }
    }
}

/// What a connection may send before it has heard of the other side: ten segments (RFC 6928), each
/// of what an MTU of 1500 leaves beside headers. A larger message takes further round trips.
const INITIAL_WINDOW: Bytes = Bytes(10 * 1_448);

impl Network {
    /// Whether a message of this size crosses the path as a whole, however long its connection was
    /// idle: over a path of packets TCP holds a larger one back until it has found its speed.
    #[must_use]
    pub fn takes_at_once(&self, message: Bytes) -> bool {
        !self.carries_packets() || message <= INITIAL_WINDOW
    }

    /// The round trip, if there is one.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        Some(self.rtt).filter(|rtt| !rtt.is_zero())
    }

    /// Whether anything lies between source and subscribers: a path has to be made.
    #[must_use]
    pub fn is_distant(&self) -> bool {
        !self.rtt.is_zero()
            || !self.jitter.is_zero()
            || !self.loss.is_zero()
            || self.rate.is_some()
            || self.rate_up.is_some()
            || self.congestion.is_some()
            || self.tier.is_some()
    }

    /// Whether the path does nothing but delay, so that closed forms describe what happens over
    /// it: nothing is lost, sent again or kept waiting.
    #[must_use]
    pub fn only_delays(&self) -> bool {
        self.loss.is_zero() && self.rate.is_none() && self.rate_up.is_none() && !self.reorder
    }

    /// Whether packets cross the path, and the kernel's TCP with them.
    #[must_use]
    pub fn carries_packets(&self) -> bool {
        self.tier.is_some_and(Tier::carries_packets)
    }
}

impl fmt::Display for Network {
    /// `round trip 70ms, jitter 1ms, loss 0.01%, 1 Gbit/s (router)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round trip {}", format_duration(self.rtt))?;
        if !self.jitter.is_zero() {
            write!(f, ", jitter {}", format_duration(self.jitter))?;
        }
        if !self.loss.is_zero() {
            write!(f, ", loss {}", self.loss)?;
            if self.loss_burst > 1 {
                write!(f, " in bursts of {}", self.loss_burst)?;
            }
        }
        match (self.rate, self.rate_up) {
            (Some(down), Some(up)) if down != up => write!(f, ", {down} down and {up} up")?,
            (Some(rate), _) | (None, Some(rate)) => write!(f, ", {rate}")?,
            (None, None) => {}
        }
        if let Some(congestion) = self.congestion {
            write!(f, ", {congestion}")?;
        }
        if let Some(profile) = self.profile {
            write!(f, "; profile {profile}")?;
        }
        match self.tier {
            Some(tier) => write!(f, "; tier {tier}"),
            None => Ok(()),
        }
    }
}

/// How TCP finds its speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Congestion {
    /// Grows with a cubic function of the time since the last loss (RFC 9438).
    Cubic,
    /// Grows by a segment a round trip, halves at a loss (RFC 5681).
    Reno,
    /// Estimates bandwidth and round trip.
    Bbr,
}

impl Congestion {
    /// Its name, as the kernel knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Congestion::Cubic => "cubic",
            Congestion::Reno => "reno",
            Congestion::Bbr => "bbr",
        }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, Written};
    use crate::network::profile::Profile;
    use crate::network::tier::Tier;
    use crate::units::Bytes;
    use std::time::Duration;

    #[test]
    fn a_profile_gives_what_is_not_written() {
        let profile = Written { profile: Some(Profile::CrossRegion), ..Written::default() };
        assert_eq!(profile.resolve().rtt, Duration::from_millis(70));
        let rtt = Some(Duration::from_millis(150));
        let longer = Written { rtt, ..profile.clone() }.resolve();
        assert_eq!(longer, Network { rtt: Duration::from_millis(150), ..profile.resolve() });
    }

    #[test]
    fn a_rate_is_that_of_both_directions_unless_one_is_given() {
        let (slow, slower) = ("8 Mbit/s".parse().ok(), "1 Mbit/s".parse().ok());
        let both = Written { rate: slow, ..Written::default() }.resolve();
        assert_eq!((both.rate, both.rate_up), (slow, slow));
        let each = Written { rate: slow, rate_up: slower, ..Written::default() }.resolve();
        assert_eq!((each.rate, each.rate_up), (slow, slower));
        let mobile = Written { profile: Some(Profile::Mobile3g), rate: slow, ..Written::default() };
        assert_eq!(mobile.resolve().rate_up, slow);
    }

    #[test]
    fn only_packets_know_of_an_initial_window() {
        let packets = Network { tier: Some(Tier::Router), ..Network::default() };
        assert!(packets.takes_at_once(Bytes(1024)));
        assert!(!packets.takes_at_once(Bytes(100 << 10)));
        assert!(Network::default().takes_at_once(Bytes(100 << 10)));
    }

    #[test]
    fn a_path_is_told_in_one_line_and_loopback_is_none() {
        assert!(!Network::default().is_distant());
        let profile = Written { profile: Some(Profile::Mobile3g), ..Written::default() };
        assert_eq!(
            profile.resolve().to_string(),
            "round trip 300ms, jitter 20ms, 1.6 Mbit/s down and 768 kbit/s up; profile mobile-3g"
        );
        assert!(profile.resolve().is_distant());
        let loopback = Written { profile: Some(Profile::Loopback), ..Written::default() };
        assert!(!loopback.resolve().is_distant());
    }
}
