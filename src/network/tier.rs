//! How a path is made: three ways, the best one that a machine offers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::asked::Network;

/// How the path between source and subscribers is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The kernel's own emulation between network namespaces: netem on pairs of virtual devices.
    Netem,
    /// A router of this program between network namespaces, in a process of its own.
    Router,
    /// A delay inside the program, between each accepted connection and its server; needs no
    /// privilege, and delays bytes rather than packets.
    Sockets,
}

impl Tier {
    /// Every tier, the most faithful first.
    pub const ALL: [Tier; 3] = [Tier::Netem, Tier::Router, Tier::Sockets];

    /// Its name, as a scenario writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tier::Netem => "netem",
            Tier::Router => "router",
            Tier::Sockets => "sockets",
        }
    }

    /// Whether packets cross the path, and the kernel's TCP with them: handshakes, slow start and
    /// retransmission are the kernel's own.
    #[must_use]
    pub fn carries_packets(self) -> bool {
        self != Tier::Sockets
    }

    /// Why this way of making a path cannot make this one; nothing if it can.
    #[must_use]
    pub fn cannot(self, network: &Network) -> Option<&'static str> {
        match self {
            Tier::Netem if !network.jitter.is_zero() && !network.reorder => {
                Some("netem changes the order of packets under jitter; write `reorder = true`")
            }
            Tier::Netem if !network.jitter.is_zero() => {
                Some("netem has another distribution of jitter; use the router")
            }
            Tier::Netem if network.rate.is_some() || network.rate_up.is_some() => {
                Some("netem bounds the queue before a limited rate in another way; use the router")
            }
            Tier::Sockets if !network.loss.is_zero() => {
                Some("a delay inside the program cannot lose packets")
            }
            Tier::Sockets if network.reorder => {
                Some("a delay inside the program has no packets whose order could change")
            }
            Tier::Sockets if network.congestion.is_some() => {
                Some("a delay inside the program hides the distance from TCP's congestion control")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a machine offers: for each tier, why it cannot be had, if it cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Why there is no netem.
    pub netem: Option<String>,
    /// Why there is no router.
    pub router: Option<String>,
}

/// The tier a path is made with, and what had to be passed over for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The tier.
    pub tier: Tier,
    /// Better tiers with the reason why each was not taken.
    pub passed: Vec<(Tier, String)>,
}

/// No tier can make the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no path of this kind can be made here: {}", listed(.0))]
pub struct NoTier(
    /// Each tier that was tried, and why it cannot.
    pub Vec<(Tier, String)>,
);

fn listed(reasons: &[(Tier, String)]) -> String {
    let reasons: Vec<String> =
        reasons.iter().map(|(tier, why)| format!("`{tier}`: {why}")).collect();
    reasons.join("; ")
}

impl Offer {
    /// Why a tier cannot be had on this machine.
    fn lacks(&self, tier: Tier) -> Option<&str> {
        match tier {
            Tier::Netem => self.netem.as_deref(),
            Tier::Router => self.router.as_deref(),
            Tier::Sockets => None,
        }
    }

    /// The first tier that can make the path, or the one that the scenario forces.
    ///
    /// # Errors
    ///
    /// When none can, or the forced one cannot.
    pub fn choose(&self, network: &Network) -> Result<Choice, NoTier> {
        let mut passed = Vec::new();
        let tiers = network.tier.map_or(Tier::ALL.to_vec(), |forced| vec![forced]);
        for tier in tiers {
            let lacks = tier.cannot(network).or_else(|| self.lacks(tier));
            match lacks {
                None => return Ok(Choice { tier, passed }),
                Some(why) => passed.push((tier, why.to_owned())),
            }
        }
        Err(NoTier(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::{Offer, Tier};
    use crate::network::asked::{Congestion, Network};
    use crate::units::Percentage;
    use std::time::Duration;

    fn far() -> Network {
        Network { rtt: Duration::from_millis(70), ..Network::default() }
    }

    fn nothing() -> Offer {
        let why = || Some("not permitted".to_owned());
        Offer { netem: why(), router: why() }
    }

    #[test]
    fn the_first_tier_that_a_machine_offers_is_taken_and_the_others_are_named() {
        assert_eq!(Offer::default().choose(&far()).expect("a tier").tier, Tier::Netem);
        let offer = Offer { netem: Some("no sch_netem".to_owned()), router: None };
        let choice = offer.choose(&far()).expect("a tier");
        assert_eq!(choice.tier, Tier::Router);
        assert_eq!(choice.passed, [(Tier::Netem, "no sch_netem".to_owned())]);
        let choice = nothing().choose(&far()).expect("a tier");
        assert_eq!((choice.tier, choice.passed.len()), (Tier::Sockets, 2));
    }

    #[test]
    fn a_forced_tier_is_taken_or_refused() {
        let forced = |tier| Network { tier: Some(tier), ..far() };
        let choice = Offer::default().choose(&forced(Tier::Sockets)).expect("a tier");
        assert_eq!((choice.tier, choice.passed.len()), (Tier::Sockets, 0));
        let refused = nothing().choose(&forced(Tier::Router)).expect_err("not offered");
        assert!(refused.to_string().contains("`router`: not permitted"), "{refused}");
    }

    #[test]
    fn what_a_tier_cannot_do_falls_to_the_next_one() {
        let jitter = Network { jitter: Duration::from_millis(1), ..far() };
        assert_eq!(Offer::default().choose(&jitter).expect("a tier").tier, Tier::Router);
        let lossy = Network { loss: Percentage::of(1.0), ..far() };
        assert!(nothing().choose(&lossy).expect_err("loss").to_string().contains("lose packets"));
        let reno = Network { congestion: Some(Congestion::Reno), ..far() };
        assert!(nothing().choose(&reno).is_err());
        assert!(nothing().choose(&Network { reorder: true, ..far() }).is_err());
    }
}
