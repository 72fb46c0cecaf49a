//! A delivery inside one process: what the harness itself costs, and a delay it must read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::prediction::{Count, Prediction, Quantity};
use super::{Conditions, Form};
use crate::units::duration_text;

/// Events that are handed from the log to the inbox, a set delay after their emission.
///
/// Latency is the delay and what the harness adds: with no delay only that is measured, and
/// nothing is claimed but that it is not negative. Nothing travels, so nothing is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HandOver {
    /// From an event's emission to its hand-over.
    #[serde(with = "duration_text")]
    pub delay: Duration,
}

impl Form for HandOver {
    fn predict(&self, _conditions: &Conditions) -> Prediction {
        let (words, latency) = if self.delay.is_zero() {
            ("in process: what the harness itself costs", Latency::AtLeast(Duration::ZERO))
        } else {
            ("in process: the delay that is injected", Latency::always(self.delay))
        };
        Prediction::new(words, latency)
            .with(Quantity::Requests, Count::exactly(0.0))
            .with(Quantity::Empty, Count::exactly(0.0))
            .with(Quantity::Messages, Count::exactly(0.0))
    }

    fn longest_wait(&self) -> Duration {
        self.delay
    }

    fn holds(&self) -> bool {
        true
    }

    fn injected(&self) -> Option<Duration> {
        Some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::HandOver;
    use crate::theory::latency::Latency;
    use crate::theory::prediction::Quantity;
    use crate::theory::{Conditions, Form};
    use std::time::Duration;

    #[test]
    fn a_hand_over_takes_its_delay_and_counts_nothing() {
        let delay = Duration::from_millis(50);
        let far = Conditions { rtt: Some(Duration::from_millis(30)), ..Conditions::poisson(20.0) };
        let predicted = HandOver { delay }.predict(&far);
        assert_eq!(predicted.latency, Latency::always(delay));
        for quantity in [Quantity::Requests, Quantity::Empty, Quantity::Messages] {
            let count = predicted.count(quantity).expect("claimed");
            assert!(count.most.abs() < 1e-9 && count.edge.abs() < 1e-9, "{quantity:?}");
        }
        let at_once = HandOver { delay: Duration::ZERO };
        assert_eq!(at_once.predict(&far).latency, Latency::AtLeast(Duration::ZERO));
        assert_eq!(at_once.injected(), Some(Duration::ZERO));
    }
}
