//! Faults that the coordinator plants on purpose: in processes, on the machine, in its network.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpSocket, TcpStream};

use crate::clock::Moment;
use crate::fault::Fault;
use crate::network::asked::Network;
use crate::record::join::{Arrival, Emission};
use crate::timer::Timer;
use crate::units::{Percentage, nanoseconds};

/// How long a stopped source stands still.
const STALL: Duration = Duration::from_millis(200);

/// Connections dialled to a listener that has room for two.
const CROWD: usize = 6;

/// How long a connection is dialled that the kernel drops.
const DIAL_TIMEOUT: Duration = Duration::from_millis(50);

/// Endless loops on every CPU, until dropped.
#[derive(Debug)]
pub(crate) struct BusyMachine {
    stop: Arc<AtomicBool>,
    loops: Vec<JoinHandle<()>>,
}

impl BusyMachine {
    /// Two loops a CPU, if the fault asks for them.
    pub(crate) fn if_asked(fault: Option<Fault>) -> Option<BusyMachine> {
        if fault != Some(Fault::BusyMachine) {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let loops = (0..2 * cpus).map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        Some(BusyMachine { loops: loops.collect(), stop })
    }
}

impl Drop for BusyMachine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for busy in self.loops.drain(..) {
            // A loop cannot panic.
            let _ = busy.join();
        }
    }
}

/// Does what the fault says in the middle of the window of a trial.
pub(crate) async fn in_the_middle(
    fault: Option<Fault>,
    trial: u32,
    (from, until): (Moment, Moment),
    (source, subscriber): (u32, Option<u32>),
) -> io::Result<()> {
    let Some(fault) = fault else { return Ok(()) };
    let mut timer = Timer::new()?;
    let middle = from.after(Duration::from_nanos(nanoseconds(until.since(from)) / 2));
    timer.sleep_until(middle).await?;
    match fault {
        Fault::StallSource => {
            signal(source, Signal::STOP)?;
            timer.sleep_until(middle.after(STALL)).await?;
            signal(source, Signal::CONT)
        }
        Fault::KillSubscriber if trial == 0 => match subscriber {
            Some(subscriber) => signal(subscriber, Signal::KILL),
            None => Ok(()),
        },
        Fault::OverflowListener => crowd().await,
        _ => Ok(()),
    }
}

/// A path that is not what was asked for, if the fault says so.
pub(crate) fn harmed(network: Network, fault: Option<Fault>) -> Network {
    match fault {
        Some(Fault::ShortRoundTrip) => Network { rtt: network.rtt.mul_f64(0.8), ..network },
        Some(Fault::LoseMore) => {
            Network { loss: Percentage::of(2.0 * network.loss.share() * 100.0), ..network }
        }
        _ => network,
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no such process"))?;
    Ok(kill_process(pid, signal)?)
}

/// Dials a listener that accepts nothing until its queue is full.
async fn crowd() -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(1)?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    for _ in 0..CROWD {
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(address)).await;
        waiting.extend(dialled.ok().and_then(Result::ok));
    }
    Ok(())
}

/// Stamps every event as usable a microsecond after it was emitted.
pub(crate) fn outrun(arrivals: &mut [Arrival], emissions: &[Emission]) {
    for arrival in arrivals {
        let emission = usize::try_from(arrival.sequence.index()).ok();
        if let Some(emission) = emission.and_then(|index| emissions.get(index)) {
            arrival.arrived = emission.emitted;
            arrival.usable = emission.emitted + 1_000;
        }
    }
}
