//! A limit to retries as a share of first attempts.

/// Lets retries be at most a share of first attempts, so that retrying cannot multiply an
/// overload (Beyer et al., *Site Reliability Engineering*, 2016, ch. 21: 10 %).
///
/// Every first attempt earns a share of a retry, every retry costs a whole one. What has been
/// earned and not used is kept up to a reserve, which is also what a budget starts with: a
/// failure among few messages may be retried, a long healthy time does not pay for a storm.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    share: f64,
    reserve: f64,
    earned: f64,
}

impl RetryBudget {
    /// Retries that are saved up at most, and that there are to begin with.
    pub const RESERVE: u32 = 10;

    /// A budget of retries per first attempt; below 0 counts as 0.
    #[must_use]
    pub fn new(share: f64) -> RetryBudget {
        let reserve = f64::from(RetryBudget::RESERVE);
        RetryBudget { share: share.max(0.0), reserve, earned: reserve }
    }

    /// A message is attempted for the first time.
    pub fn first_attempt(&mut self) {
        self.earned = (self.earned + self.share).min(self.reserve);
    }

    /// Takes a retry out of the budget, if there is one.
    #[must_use]
    pub fn take_retry(&mut self) -> bool {
        // A hair below one, so that ten tenths are a whole.
        let affordable = self.earned >= 1.0 - 1e-9;
        if affordable {
            self.earned = (self.earned - 1.0).max(0.0);
        }
        affordable
    }
}

#[cfg(test)]
mod tests {
    use super::RetryBudget;

    #[test]
    fn retries_stay_a_share_of_first_attempts() {
        for (share, expected) in [(0.1, 110), (0.0, 10), (1.0, 1010), (-1.0, 10), (f64::NAN, 10)] {
            let mut budget = RetryBudget::new(share);
            let mut retries = 0;
            for _ in 0..1000 {
                budget.first_attempt();
                retries += u32::from(budget.take_retry()) + u32::from(budget.take_retry());
            }
            // The reserve is full at the start, so what the very first attempt earns is lost.
            assert!(expected - retries <= 1 && retries <= expected, "{share}: {retries}");
        }
    }

    #[test]
    fn a_healthy_time_does_not_pay_for_a_storm() {
        let mut budget = RetryBudget::new(0.1);
        for _ in 0..1_000_000 {
            budget.first_attempt();
        }
        let retries = (0..1000).filter(|_| budget.take_retry()).count();
        assert_eq!(retries, RetryBudget::RESERVE as usize);
    }
}
