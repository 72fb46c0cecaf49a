//! What incidents do to one side of a strategy: to its connections, and to requests made of it.
//!
//! A side without incidents has no trouble, and its sockets and its server loop are as they
//! are without this file.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::clock::{self, Moment};
use crate::incident::{Connections, Incident, Request, Span, Target, Who, draws};
use crate::timer::Timer;
use crate::units::nanoseconds;

/// Which side of a strategy somebody is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The source's.
    Source,
    /// The subscribers'.
    Subscriber,
}

/// The incidents that befall one side of a strategy; clones share them.
#[derive(Clone)]
pub struct Trouble(Arc<Shared>);

struct Shared {
    incidents: Vec<Happening>,
    epoch: watch::Sender<Option<Moment>>,
    /// The connections that are opened from now on, until the next incident that ends some.
    now: Mutex<Generation>,
}

/// An incident, with when it happens and what is drawn for it.
struct Happening {
    incident: Incident,
    /// What it does to the connections of this side.
    connections: Option<Connections>,
    spans: Vec<Span>,
    random: Mutex<Pcg64>,
}

/// Connections that were opened under the same circumstances.
#[derive(Clone)]
struct Generation {
    /// What they are opened into.
    born: Option<Connections>,
    /// What ends them, once it has come.
    end: Arc<OnceLock<Connections>>,
    ended: CancellationToken,
}

impl Generation {
    fn new(born: Option<Connections>) -> Generation {
        let (end, ended) = (Arc::new(OnceLock::new()), CancellationToken::new());
        Generation { born, end, ended }
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.incidents.iter().map(|one| &one.incident)).finish()
    }
}

impl Trouble {
    /// The trouble of a side of a strategy, with the seed of the trial; `None` if nothing of it
    /// befalls that side.
    ///
    /// Every connection of a strategy has an end at the source. What the network does to one is
    /// done there, and subscribers are kept from dialling while it is down. What it does to a
    /// request is done where the request comes in, which may be a subscriber's server.
    #[must_use]
    pub fn of(incidents: &[Incident], side: Side, target: Target, seed: u64) -> Option<Trouble> {
        let befalls = |incident: &Incident| match (incident.who, side) {
            (Who::Source | Who::Network, Side::Source) | (Who::Subscriber, Side::Subscriber) => {
                true
            }
            (Who::Network, Side::Subscriber) => {
                incident.cuts() && target.subscriber_answers
                    || incident.connections() == Some(Connections::Refused)
            }
            (Who::Source, Side::Subscriber) | (Who::Subscriber, Side::Source) => false,
        };
        let happening = |(place, incident): (usize, &Incident)| Happening {
            incident: incident.clone(),
            // The source's end ends them, unless nobody is to be dialled.
            connections: incident.connections().filter(|fate| {
                let elsewhere = incident.who == Who::Network && side == Side::Subscriber;
                !elsewhere || *fate == Connections::Refused
            }),
            spans: incident.spans(),
            random: Mutex::new(draws(seed, place)),
        };
        let incidents: Vec<Happening> = incidents
            .iter()
            .enumerate()
            // What befalls processes is the coordinator's.
            .filter(|(_, incident)| incident.process().is_none())
            .filter(|(_, incident)| befalls(incident) && incident.hits(target))
            .map(happening)
            .collect();
        let (epoch, now) = (watch::Sender::new(None), Mutex::new(Generation::new(None)));
        (!incidents.is_empty()).then(|| Trouble(Arc::new(Shared { incidents, epoch, now })))
    }

    /// Says when the schedule starts, once it is known.
    pub fn begin(&self, epoch: Moment) {
        self.0.epoch.send_replace(Some(epoch));
    }

    /// Ends connections when incidents begin that end them, until the last one is over. Owned by
    /// whoever owns the side; nothing happens to connections unless it runs.
    ///
    /// # Errors
    ///
    /// When the system refuses a timer.
    pub async fn conduct(&self) -> io::Result<()> {
        let mut epochs = self.0.epoch.subscribe();
        let Ok(epoch) = epochs.wait_for(Option::is_some).await.map(|epoch| *epoch) else {
            return Ok(());
        };
        let epoch = epoch.unwrap_or_default();
        let mut timer = Timer::new()?;
        let mut edges: Vec<u64> = self
            .0
            .incidents
            .iter()
            .filter(|one| one.connections.is_some())
            .flat_map(|one| one.spans.iter().flat_map(|span| [span.from, span.until]))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        // Whoever was started again hears late of the epoch: what is over by then is none of its.
        let late = nanoseconds(clock::now().since(epoch));
        if let Some(fate) = self.connections_at(late) {
            self.turn(Some(fate));
        }
        for edge in edges.into_iter().filter(|edge| *edge > late) {
            timer.sleep_until(epoch.after(Duration::from_nanos(edge))).await?;
            self.turn(self.connections_at(edge));
        }
        Ok(())
    }

    /// Ends the connections that are open, if an incident has begun that does, and says what
    /// others are opened into from now on.
    fn turn(&self, fate: Option<Connections>) {
        let before = std::mem::replace(&mut *self.now(), Generation::new(fate));
        match fate {
            Some(fate) => {
                let _ = before.end.set(fate);
                before.ended.cancel();
            }
            // What was let go silent stays so: whoever was in between has forgotten it.
            None if before.born == Some(Connections::Silent) => {}
            None => *self.now() = Generation { born: None, ..before },
        }
    }

    /// What becomes of connections at a moment after the epoch.
    fn connections_at(&self, moment: u64) -> Option<Connections> {
        let happening = |one: &&Happening| one.spans.iter().any(|span| span.contains(moment));
        let mut happening = self.0.incidents.iter().filter(happening);
        happening.find_map(|one| one.connections)
    }

    /// What becomes of connections that are opened now.
    pub(crate) fn door(&self) -> Option<Connections> {
        self.now().born
    }

    /// Whether a request that came now would find its connection reset.
    pub(crate) fn resets(&self) -> bool {
        let Some(now) = self.after_epoch() else { return false };
        let cutting = self.0.incidents.iter().filter(|one| one.incident.cuts());
        cutting.flat_map(|one| &one.spans).any(|span| span.contains(now))
    }

    /// What becomes of a request that comes now.
    pub(crate) fn request(&self) -> Option<Request> {
        let now = self.after_epoch()?;
        let happening = |one: &&Happening| one.spans.iter().any(|span| span.contains(now));
        // Every incident under way has its draw, whatever comes of the ones before it.
        let fates: Vec<Request> = self
            .0
            .incidents
            .iter()
            .filter(happening)
            .filter_map(|one| {
                let draw: f64 = one.random.lock().unwrap_or_else(PoisonError::into_inner).random();
                one.incident.request(draw)
            })
            .collect();
        fates.first().copied()
    }

    /// Whether what is signed now is signed wrongly.
    pub(crate) fn forges(&self) -> bool {
        let Some(now) = self.after_epoch() else { return false };
        let forging = self.0.incidents.iter().filter(|one| one.incident.forges());
        forging.flat_map(|one| &one.spans).any(|span| span.contains(now))
    }

    fn after_epoch(&self) -> Option<u64> {
        let epoch = (*self.0.epoch.borrow())?;
        let now = clock::now();
        (now >= epoch).then(|| nanoseconds(now.since(epoch)))
    }

    /// What a connection that is opened now has to look out for.
    pub(crate) fn watch(&self) -> Watch {
        let generation = self.now().clone();
        Watch {
            fate: generation.born.filter(|born| *born == Connections::Silent),
            end: generation.end,
            ended: Box::pin(generation.ended.cancelled_owned()),
        }
    }

    /// Waits until the connections that are open now are ended, and says how. Cancel safe.
    pub(crate) async fn ended(&self) -> Connections {
        let generation = self.now().clone();
        generation.ended.cancelled().await;
        generation.end.get().copied().unwrap_or(Connections::Refused)
    }

    fn now(&self) -> MutexGuard<'_, Generation> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a connection what becomes of it.
pub(crate) struct Watch {
    fate: Option<Connections>,
    end: Arc<OnceLock<Connections>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("fate", &self.fate).finish_non_exhaustive()
    }
}

impl Watch {
    /// What has become of the connection; whoever asks is woken when that changes.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Option<Connections> {
        if self.fate.is_none() && self.ended.as_mut().poll(context) == Poll::Ready(()) {
            self.fate = self.end.get().copied();
        }
        self.fate
    }
}

#[cfg(test)]
mod tests {
    use super::{Side, Trouble};
    use crate::clock;
    use crate::incident::{Connections, Incident, Request, Target};
    use std::time::Duration;

    fn incidents(texts: &[&str]) -> Vec<Incident> {
        texts.iter().map(|text| toml::from_str(text).expect("an incident")).collect()
    }

    const DOWN: &str = "at='0s'\nfor='1h'\nwho='network'\nwhat='down'";
    const RESET: &str = "at='0s'\nfor='1h'\nwho='network'\nwhat='reset'";
    const ERROR: &str = "at='0s'\nfor='1h'\nwho='source'\nwhat={error='503:50%'}";

    #[test]
    fn a_side_has_the_trouble_that_befalls_it() {
        let trouble = |texts: &[&str], side| {
            Trouble::of(&incidents(texts), side, Target::ASKING, 1).is_some()
        };
        assert!(trouble(&[DOWN], Side::Source) && trouble(&[DOWN], Side::Subscriber));
        assert!(trouble(&[ERROR], Side::Source) && !trouble(&[ERROR], Side::Subscriber));
        assert!(!trouble(&[], Side::Source));
        // Where a request comes in that the network resets.
        assert!(trouble(&[RESET], Side::Source) && !trouble(&[RESET], Side::Subscriber));
        let pushing = Target { subscriber_answers: true, ..Target::ASKING };
        let at_endpoint =
            Trouble::of(&incidents(&[RESET]), Side::Subscriber, pushing, 1).expect("some");
        assert_eq!(at_endpoint.connections_at(0), None, "the source's end ends them");
        at_endpoint.begin(clock::now());
        assert_eq!(at_endpoint.request(), Some(Request::Cut));
        assert!(at_endpoint.resets());
    }

    #[test]
    fn the_same_requests_fail_for_every_strategy_and_none_before_the_schedule() {
        let draws = || {
            let trouble =
                Trouble::of(&incidents(&[ERROR]), Side::Source, Target::ASKING, 7).expect("some");
            assert_eq!(trouble.request(), None);
            trouble.begin(clock::now());
            (0..200).map(|_| trouble.request()).collect::<Vec<_>>()
        };
        let first = draws();
        assert_eq!(first, draws());
        let failed = first.iter().filter(|fate| **fate == Some(Request::Answered(503))).count();
        assert!((60..140).contains(&failed), "{failed}");
    }

    #[tokio::test]
    async fn connections_are_ended_when_an_incident_begins_and_live_when_it_is_over() {
        let down = "at='0s'\nfor='20ms'\nwho='source'\nwhat='down'";
        let trouble =
            Trouble::of(&incidents(&[down]), Side::Source, Target::ASKING, 1).expect("some");
        let before = trouble.clone();
        assert_eq!(trouble.door(), None);
        trouble.begin(clock::now().after(Duration::from_millis(20)));
        let (ended, conducted) = tokio::join!(before.ended(), trouble.conduct());
        conducted.expect("a timer");
        assert_eq!(ended, Connections::Refused);
        assert_eq!(trouble.door(), None, "it is over");
    }

    #[tokio::test]
    async fn whoever_begins_late_has_nothing_to_do_with_what_is_over() {
        let begun_late = async |lasts: &str| {
            let down = format!("at='0s'\nfor='{lasts}'\nwho='subscriber'\nwhat='down'");
            let happens = incidents(&[&down, "at='2s'\nfor='1s'\nwho='subscriber'\nwhat='reset'"]);
            let pushing = Target { subscriber_answers: true, ..Target::ASKING };
            let trouble = Trouble::of(&happens, Side::Subscriber, pushing, 1).expect("some");
            let open = trouble.clone();
            trouble.begin(clock::now().before(Duration::from_mins(1)));
            let ended = async {
                tokio::select! {
                    biased;
                    how = open.ended() => Some(how),
                    () = tokio::time::sleep(Duration::from_millis(20)) => None,
                }
            };
            let conducting = tokio::time::timeout(Duration::from_millis(50), trouble.conduct());
            let (ended, _) = tokio::join!(ended, conducting);
            (ended, trouble.door())
        };
        assert_eq!(begun_late("1s").await, (None, None));
        let refused = Some(Connections::Refused);
        assert_eq!(begun_late("1h").await, (refused, refused), "it is still under way");
    }
}
