//! What has become of one message, and what is next.

use std::time::Duration;

use http::StatusCode;
use rand::Rng;

use crate::clock::Moment;
use crate::wire::retry::{RetryBudget, Schedule};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The receiver answered.
    Answered {
        /// Its status.
        status: StatusCode,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer came in time.
    TimedOut,
    /// There was no connection, or it broke.
    Broken,
}

/// What is to be done with a message after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was taken.
    Done,
    /// Try again this long after the failure.
    Retry {
        /// From the failure to the next attempt.
        after: Duration,
    },
    /// Give it up, and say so.
    DeadLetter {
        /// Why.
        reason: GaveUp,
    },
    /// Give it up and post nothing more to this endpoint: it is gone for good.
    Disable,
}

/// Why a message is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// Every retry of the schedule has failed.
    Exhausted,
    /// The receiver says the message is wrong, and the schedule takes its word.
    Refused,
    /// Retries have become too large a share of all attempts.
    OverBudget,
}

/// The attempts to deliver one message.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    started: Moment,
    failed: usize,
}

impl Attempts {
    /// A message whose first attempt begins now.
    #[must_use]
    pub fn begin(now: Moment) -> Attempts {
        Attempts { started: now, failed: 0 }
    }

    /// Attempts that have failed so far.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// What is next after an attempt that ended `now`.
    ///
    /// The status alone decides: 2xx is success, 410 disables the endpoint, everything else is
    /// a failure, redirects included. A `Retry-After` can lengthen a wait, never shorten it.
    /// Without a budget there is no limit to retries but the schedule.
    pub fn decide(
        &mut self,
        ending: Ending,
        now: Moment,
        schedule: &Schedule,
        budget: Option<&mut RetryBudget>,
        random: &mut impl Rng,
    ) -> Next {
        let retry_after = match ending {
            Ending::Answered { status, .. } if status.is_success() => return Next::Done,
            Ending::Answered { status: StatusCode::GONE, .. } => {
                self.failed += 1;
                return Next::Disable;
            }
            Ending::Answered { status, .. }
                if schedule.gives_up_on_4xx
                    && status.is_client_error()
                    && status != StatusCode::TOO_MANY_REQUESTS =>
            {
                self.failed += 1;
                return Next::DeadLetter { reason: GaveUp::Refused };
            }
            Ending::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
            Ending::TimedOut | Ending::Broken => Duration::ZERO,
        };
        let wait = schedule.wait(self.failed, now.since(self.started), random);
        self.failed += 1;
        let Some(wait) = wait else {
            return Next::DeadLetter { reason: GaveUp::Exhausted };
        };
        if budget.is_some_and(|budget| !budget.take_retry()) {
            return Next::DeadLetter { reason: GaveUp::OverBudget };
        }
        Next::Retry { after: wait.max(retry_after) }
    }
}
