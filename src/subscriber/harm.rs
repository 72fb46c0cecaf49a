//! Faults planted at the inbox on purpose, to prove that checks notice.
//!
//! Without a fault an inbox has no harm and does one comparison more an event.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64;

use crate::clock::{self, Moment};
use crate::event::Sequence;
use crate::fault::Fault;
use crate::schedule::random_stream;
use crate::subscriber::inbox::{Acceptance, Delivery};
use crate::units::nanoseconds;

/// Every so many events one is harmed.
const EVERY: u64 = 40;

/// How early arrivals are stamped by a clock that was shifted.
const SHIFT: Duration = Duration::from_millis(5);

/// What is added to a latency that is made to count double.
const DOUBLED: Duration = Duration::from_millis(20);

/// Random stream of a trial's seed that wandering delays come from.
const STREAM: u64 = 4 << 32;

/// Where in a run a harmed inbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The block, counted from zero.
    pub block: u32,
    /// The trial's place in its block, counted from zero.
    pub position: u32,
    /// The strategy's place in the scenario, counted from zero.
    pub strategy: u32,
}

/// A fault at work on an inbox.
#[derive(Debug)]
pub(crate) struct Harm {
    fault: Fault,
    place: Place,
    window: OnceLock<(Moment, Moment)>,
    seen: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: Pcg64,
    /// How long a wandering delay is now, as a share of the longest.
    wandering: f64,
    held_back: Option<(u32, Sequence)>,
}

impl Harm {
    pub(crate) fn new(fault: Fault, place: Place, seed: u64) -> Harm {
        let state = State { random: random_stream(seed, STREAM), wandering: 0.5, held_back: None };
        Harm {
            fault,
            place,
            window: OnceLock::new(),
            seen: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    /// Says when the window is, once it is known.
    pub(crate) fn window(&self, from: Moment, until: Moment) {
        let _ = self.window.set((from, until));
    }

    /// Does harm to an event on its way into the inbox.
    pub(crate) fn accept(
        &self,
        subscriber: u32,
        sequence: Sequence,
        arrived: Moment,
        take: impl Fn(u32, Sequence, Moment) -> Acceptance,
        refuse: impl Fn(),
    ) -> Acceptance {
        let unlucky = self.seen.fetch_add(1, Relaxed) % EVERY == EVERY - 1;
        self.hold_up();
        match self.fault {
            Fault::DropDelivery if unlucky => Acceptance::First,
            Fault::ForgeDelivery if unlucky => {
                refuse();
                take(subscriber, sequence, arrived)
            }
            Fault::DuplicateDelivery if unlucky => {
                let first = take(subscriber, sequence, arrived);
                take(subscriber, sequence, arrived);
                first
            }
            Fault::SwapDeliveries => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let held_back = state.held_back.take();
                if unlucky {
                    state.held_back = Some((subscriber, sequence));
                    return Acceptance::First;
                }
                let accepted = take(subscriber, sequence, arrived);
                if let Some((subscriber, sequence)) = held_back {
                    // It comes behind the next one only now.
                    take(subscriber, sequence, clock::now());
                }
                accepted
            }
            Fault::ShiftClock => {
                let early = arrived.as_nanoseconds().saturating_sub(nanoseconds(SHIFT));
                take(subscriber, sequence, Moment::from_nanoseconds(early))
            }
            _ => take(subscriber, sequence, arrived),
        }
    }

    /// Blocks the calling thread, or keeps it busy, as the fault says.
    fn hold_up(&self) {
        let milliseconds = |amount: f64| Duration::from_millis(1).mul_f64(amount);
        let block = |time: Duration| clock::sleep_until(clock::now().after(time));
        match self.fault {
            Fault::BlockReceiver => block(milliseconds(6.0)),
            Fault::BurnReceiver => burn(milliseconds(6.0)),
            Fault::BiasArm if self.place.strategy == 1 => burn(milliseconds(0.1)),
            Fault::UnevenBlocks if self.place.block % 2 == 1 => block(milliseconds(3.0)),
            Fault::HeatUp => block(milliseconds(1.5 * f64::from(self.place.position))),
            Fault::RampDelay => block(milliseconds(4.0 * self.progress())),
            Fault::SlowStart if self.progress() < 1.0 / 3.0 => block(milliseconds(4.0)),
            Fault::WanderingDelay => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let step: f64 = state.random.random();
                state.wandering = (state.wandering + 0.1 * (step - 0.5)).clamp(0.0, 1.0);
                block(milliseconds(4.0 * state.wandering));
            }
            _ => {}
        }
    }

    /// How much of the window is over.
    fn progress(&self) -> f64 {
        let Some((from, until)) = self.window.get() else { return 0.0 };
        let whole = until.since(*from).as_secs_f64();
        (clock::now().since(*from).as_secs_f64() / whole).min(1.0)
    }

    /// Does harm to what was accepted, before it is reported.
    pub(crate) fn alter(&self, deliveries: &mut Vec<Delivery>) {
        match self.fault {
            Fault::DoubleLatency => {
                for delivery in deliveries {
                    delivery.usable = delivery.usable.after(DOUBLED);
                }
            }
            Fault::LoseRow => {
                deliveries.pop();
            }
            _ => {}
        }
    }

    /// The interval of polls.
    pub(crate) fn interval(&self, every: Duration) -> Duration {
        if self.fault == Fault::BiasBeat { every.mul_f64(1.02) } else { every }
    }
}

/// Uses CPU time.
fn burn(time: Duration) {
    let until = clock::thread_cpu() + nanoseconds(time);
    while clock::thread_cpu() < until {
        std::hint::spin_loop();
    }
}
