//! Batches: imports, renewals, everything that is saved at once.

use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::renewal::poisson;
use super::{Impossible, within};

/// Batches of events that are due at the same moment; the batches arrive as a Poisson process of
/// the rate λ/b.
///
/// A compound Poisson process (Feller 1968, "An Introduction to Probability Theory and Its
/// Applications", volume 1, XII.2): counts over any span have the index of dispersion b.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Batch {
    /// Events in each batch, a whole number from 1 to 100000.
    #[serde(default = "usual_size")]
    #[schemars(range(min = 1, max = 100_000))]
    pub batch_size: u32,
}

fn usual_size() -> u32 {
    10
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { batch_size: usual_size() }
    }
}

impl Batch {
    pub(super) fn check(self) -> Result<(), Impossible> {
        within("batch-size", self.batch_size, 1..=100_000)
    }

    pub(super) fn due(self, gap: f64, random: Pcg64) -> impl Iterator<Item = u64> + Send + use<> {
        let size = self.batch_size as usize;
        let batches = poisson(gap * f64::from(self.batch_size), random);
        batches.flat_map(move |moment| std::iter::repeat_n(moment, size))
    }
}
