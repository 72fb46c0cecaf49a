//! Dead letters: deliveries that were given up, kept to be looked at and sent again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::event::Sequence;
use crate::source::dispatch::parcel::Parcel;
use crate::source::subscriptions::{Change, Subscriptions};
use crate::wire::reply::Reply;
use crate::wire::retry::{Attempts, Ending, GaveUp};
use crate::wire::routes::Routes;
use crate::wire::tally::Outcome;

/// Where dead letters are listed; a `POST` to the path of one sends it again.
pub const DEAD_LETTERS_PATH: &str = "/v1/dead-letters";

/// The most dead letters a lane keeps; beyond that the oldest go. All of them are counted.
const MOST_KEPT: usize = 10_000;

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeadLetter {
    /// Its id.
    pub id: u64,
    /// The subscription it was meant for.
    pub subscription: u64,
    /// Its first event's place in the log.
    pub first: Sequence,
    /// How many events it holds, one after the other.
    pub events: u32,
    /// Whether it was sent as a batch.
    pub batched: bool,
    /// How often it was tried.
    pub attempts: u64,
    /// Why it was given up.
    pub reason: String,
}

/// The dead letters of a lane.
#[derive(Clone, Debug, Default)]
pub struct DeadLetters(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    last_id: u64,
    letters: VecDeque<DeadLetter>,
}

impl DeadLetters {
    pub(super) fn add(&self, subscription: u64, parcel: &Parcel, ending: Ending, why: GaveUp) {
        let mut kept = self.kept();
        if kept.letters.len() == MOST_KEPT {
            kept.letters.pop_front();
        }
        kept.last_id += 1;
        let letter = DeadLetter {
            id: kept.last_id,
            subscription,
            first: Sequence::at_index(parcel.first),
            events: parcel.events,
            batched: parcel.batched,
            attempts: parcel.attempts.as_ref().map_or(0, Attempts::failed) as u64,
            reason: reason(ending, why),
        };
        kept.letters.push_back(letter);
    }

    fn take(&self, id: u64) -> Option<DeadLetter> {
        let mut kept = self.kept();
        let place = kept.letters.iter().position(|letter| letter.id == id)?;
        kept.letters.remove(place)
    }

    /// Those that are kept, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<DeadLetter> {
        self.kept().letters.iter().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a delivery was given up, in words.
fn reason(ending: Ending, why: GaveUp) -> String {
    let ended = match ending {
        Ending::Answered { status, .. } => format!("answered {}", status.as_u16()),
        Ending::TimedOut => "no answer in time".to_owned(),
        Ending::Broken => "no connection, or it broke".to_owned(),
    };
    match why {
        GaveUp::Exhausted | GaveUp::Refused => ended,
        GaveUp::OverBudget => format!("{ended}; the retry budget is spent"),
    }
}

/// Adds the list of dead letters and their replay to a lane's routes.
pub(super) fn with_dead_letters(
    routes: Routes,
    letters: DeadLetters,
    subscriptions: Subscriptions,
) -> Routes {
    let listed = letters.clone();
    routes
        .on(Method::GET, DEAD_LETTERS_PATH, move |_request, _| {
            let list = serde_json::json!({ "dead-letters": listed.list() });
            let body = list.to_string().into();
            let json = "application/json";
            std::future::ready(Reply::with_body(StatusCode::OK, json, body, Outcome::Overhead))
        })
        .changing(Method::POST, "/v1/dead-letters/", move |_request, id| {
            std::future::ready(replay(&id, &letters, &subscriptions))
        })
}

fn replay(id: &str, letters: &DeadLetters, subscriptions: &Subscriptions) -> Reply {
    let Some(letter) = id.parse().ok().and_then(|id| letters.take(id)) else {
        return Reply::problem(StatusCode::NOT_FOUND, "there is no such dead letter");
    };
    if !subscriptions.holds(letter.subscription) {
        let detail = "the subscription it was meant for has ended";
        return Reply::problem(StatusCode::CONFLICT, detail);
    }
    subscriptions.tell(Change::Replayed(letter), || Reply::accepted(Outcome::Overhead))
}
