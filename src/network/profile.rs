//! Paths with figures of their own. Each has a basis; what has none is a choice, and says so.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::asked::Network;
use crate::units::{BitRate, Percentage};

/// A path known by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// Nothing between source and subscribers.
    #[serde(rename = "loopback")]
    Loopback,
    /// One building: 0.2 ms, jitter 0.02 ms. A choice, of the order of switched Ethernet.
    #[serde(rename = "lan")]
    Lan,
    /// Two zones of one cloud region: 1 ms, jitter 0.1 ms. Between 0.25 and 3.4 ms were observed
    /// (best of 50 pings between zones of AWS); jitter is a choice.
    #[serde(rename = "cross-az")]
    CrossAz,
    /// Two cloud regions of one continent: 70 ms, jitter 1 ms, loss 0.01 %, 1 Gbit/s. A choice;
    /// 150 and 250 ms are further continents.
    #[serde(rename = "cross-region")]
    CrossRegion,
    /// A telephone on LTE: 70 ms and 12 Mbit/s as WebPageTest has them; jitter 15 ms and loss of
    /// 0.3 % in bursts of three are choices.
    #[serde(rename = "mobile-lte")]
    MobileLte,
    /// A telephone on 3G: 300 ms, 1.6 Mbit/s down and 768 kbit/s up as WebPageTest has them, which
    /// loses nothing; jitter 20 ms is a choice.
    #[serde(rename = "mobile-3g")]
    Mobile3g,
}

impl Profile {
    /// Its name, as a scenario writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Loopback => "loopback",
            Profile::Lan => "lan",
            Profile::CrossAz => "cross-az",
            Profile::CrossRegion => "cross-region",
            Profile::MobileLte => "mobile-lte",
            Profile::Mobile3g => "mobile-3g",
        }
    }

    /// Its figures.
    #[must_use]
    pub fn network(self) -> Network {
        let bare = Network::default();
        let (ms, us) = (Duration::from_millis, Duration::from_micros);
        match self {
            Profile::Loopback => bare,
            Profile::Lan => Network { rtt: us(200), jitter: us(20), ..bare },
            Profile::CrossAz => Network { rtt: ms(1), jitter: us(100), ..bare },
            Profile::CrossRegion => Network {
                rtt: ms(70),
                jitter: ms(1),
                loss: Percentage::of(0.01),
                rate: Some(BitRate::of(1_000_000_000)),
                rate_up: Some(BitRate::of(1_000_000_000)),
                ..bare
            },
            Profile::MobileLte => Network {
                rtt: ms(70),
                jitter: ms(15),
                loss: Percentage::of(0.3),
                loss_burst: 3,
                rate: Some(BitRate::of(12_000_000)),
                rate_up: Some(BitRate::of(12_000_000)),
                ..bare
            },
            Profile::Mobile3g => Network {
                rtt: ms(300),
                jitter: ms(20),
                rate: Some(BitRate::of(1_600_000)),
                rate_up: Some(BitRate::of(768_000)),
                ..bare
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn files_and_reports_use_the_same_names() {
        for profile in [
            Profile::Loopback,
            Profile::Lan,
            Profile::CrossAz,
            Profile::CrossRegion,
            Profile::MobileLte,
            Profile::Mobile3g,
        ] {
            assert_eq!(serde_json::to_value(profile).expect("JSON"), profile.name());
        }
    }
}
