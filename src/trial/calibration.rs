//! The physical limit: what raw sockets take between the processes of a trial.
//!
//! Before the schedule begins, a thread of the source's process writes messages of the scenario's
//! payload, at moments of the scenario's own arrivals and rate, to a thread of the first
//! subscribers' process, which stamps when it had read the whole of each and answers at once.
//! Blocking sockets and nothing else: no runtime, no HTTP, no event. It is done in the processes
//! that are measured, so it shares their CPUs, and in every trial, so it shares their moment.
//!
//! One spell on a connection that is kept gives one-way and round-trip times, another with a
//! connection for each message gives those of a webhook that dials. A calibration that fails
//! spoils nothing: the record says why there is none.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::RngExt;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tokio::sync::oneshot;

use crate::clock::{self, Moment};
use crate::record::limit::{Calibration, Limit, Transfers};
use crate::schedule::{Arrivals, random_stream};
use crate::trial::control::{Control, FromWorker, SourceAssignment, ToWorker};
use crate::trial::crew::{Trouble, Worker};
use crate::trial::worker::{WorkerError, attending};
use crate::units::{Bytes, Rate, nanoseconds};

/// How long the messages of one spell are spread over; there are two spells.
const SPELL: Duration = Duration::from_millis(800);

/// The fewest messages of a spell: ten beyond the median, as for every median that is stated.
const LEAST: u32 = 20;

/// The most messages of a spell: enough for a median, and few enough to end a spell of a high
/// rate early.
const MOST: usize = 400;

/// Random stream of a trial's seed that calibrations draw from.
const STREAM: u64 = 6 << 32;

/// How long either side waits for the other: longer than any pause within a spell, in which a
/// lost packet may be sent again after one second and after two more.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a spell goes on for the fewest messages there must be, where each takes long.
const LONGEST_SPELL: Duration = Duration::from_secs(4);

/// The fewest messages of such a spell: a median of them still lies between two others.
const LEAST_FAR: usize = 5;

/// How long a worker may take to open a socket.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a calibration may take: both spells on a machine that is very busy.
const CALIBRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The number and the stamp that lead an answer; a message is at least as long.
const HEADER: usize = 16;

/// The number of the message after which no more come.
const LAST: u64 = u64::MAX;

/// Has the source and the first subscribers measure what raw sockets take between them.
pub(crate) async fn calibrate(
    workers: &mut [Worker],
    payload: Bytes,
) -> Result<Calibration, Trouble> {
    let [source, subscriber, ..] = workers else {
        let reason = "there is no subscriber process to send to";
        return Ok(Calibration::Failed(reason.to_owned()));
    };
    subscriber.tell(&ToWorker::Echo { message: payload }).await?;
    let echo = match subscriber.hear("open a socket", OPENING_TIMEOUT).await? {
        FromWorker::Echoing { at: Ok(echo) } => echo,
        FromWorker::Echoing { at: Err(reason) } => return Ok(Calibration::Failed(reason)),
        other => return Err(subscriber.confused(format!("it spoke out of turn: {other:?}"))),
    };
    source.tell(&ToWorker::Calibrate { echo }).await?;
    match source.hear("calibrate", CALIBRATION_TIMEOUT).await? {
        FromWorker::Calibrated { calibration } => Ok(calibration),
        other => Err(source.confused(format!("it spoke out of turn: {other:?}"))),
    }
}

/// A thread that calibrates, or did.
///
/// It stays until this is dropped: an ended thread vanishes from the scheduler's statistics, and
/// the process has yet to be accounted for.
#[derive(Debug)]
pub(crate) struct Calibrating {
    dismiss: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Calibrating {
    fn start(work: impl FnOnce() + Send + 'static) -> io::Result<Calibrating> {
        let (dismiss, dismissed) = mpsc::channel();
        let thread = std::thread::Builder::new().name("calibration".into()).spawn(move || {
            clock::sharpen_timers();
            work();
            // Nothing is ever said: the other end is dropped.
            let _ = dismissed.recv();
        })?;
        Ok(Calibrating { dismiss: Some(dismiss), thread: Some(thread) })
    }
}

impl Drop for Calibrating {
    fn drop(&mut self) {
        self.dismiss = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has left its message on stderr, and its calibration failed.
            let _ = thread.join();
        }
    }
}

/// What a worker does in a calibration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role<'a> {
    /// It sends: its assignment says what and when.
    Source(&'a SourceAssignment),
    /// It answers at this address.
    Subscriber(IpAddr),
}

/// Does what a worker is asked to for the calibration, and hears what comes after it.
pub(crate) async fn hear_after_calibration(
    control: &mut Control,
    role: Role<'_>,
) -> Result<(ToWorker, Option<Calibrating>), WorkerError> {
    let mut calibrating = None;
    loop {
        match (control.hear().await?, role) {
            (ToWorker::Echo { message }, Role::Subscriber(address)) => {
                let (at, thread) = start_echo(address, message).map_or_else(
                    |error| (Err(error.to_string()), None),
                    |(at, thread)| (Ok(at), Some(thread)),
                );
                calibrating = thread;
                control.say(&FromWorker::Echoing { at }).await?;
            }
            (ToWorker::Calibrate { echo }, Role::Source(source)) => {
                let (tell, told) = oneshot::channel();
                let sending = Sending::new(source, echo);
                let started = Calibrating::start(move || {
                    let measured = sending.measure().map_or_else(failed, Calibration::Measured);
                    // Nobody listens any more when the trial is already over.
                    let _ = tell.send(measured);
                });
                let calibration = match started {
                    Ok(thread) => {
                        calibrating = Some(thread);
                        attending(control, told).await?.unwrap_or_else(failed)
                    }
                    Err(error) => failed(error),
                };
                control.say(&FromWorker::Calibrated { calibration }).await?;
            }
            (other, _) => return Ok((other, calibrating)),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Calibration {
    Calibration::Failed(error.to_string())
}

/// Starts a thread that answers messages, and says where.
fn start_echo(address: IpAddr, message: Bytes) -> io::Result<(SocketAddr, Calibrating)> {
    let listener = TcpListener::bind((address, 0))?;
    set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE))?;
    let at = listener.local_addr()?;
    let mut buffer = blank(message);
    let thread = Calibrating::start(move || {
        // Whatever goes wrong, the source notices that it is not answered.
        let _ = echo(&listener, &mut buffer);
    })?;
    Ok((at, thread))
}

/// Answers every message with its number and the moment it had been read, connection after
/// connection, until the last one.
fn echo(listener: &TcpListener, message: &mut [u8]) -> io::Result<()> {
    loop {
        let (mut peer, _) = listener.accept()?;
        be_prompt(&peer)?;
        // A connection is over when the source has closed it.
        while peer.read_exact(message).is_ok() {
            let read = clock::now();
            if word(message, 0) == LAST {
                return Ok(());
            }
            let mut answer = [0; HEADER];
            answer[..8].copy_from_slice(&message[..8]);
            answer[8..].copy_from_slice(&read.as_nanoseconds().to_le_bytes());
            peer.write_all(&answer)?;
        }
    }
}

fn blank(message: Bytes) -> Vec<u8> {
    vec![0; usize::try_from(message.0).unwrap_or(usize::MAX).max(HEADER)]
}

/// The eight bytes at a place of a header, as a number.
fn word(bytes: &[u8], place: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[place..place + 8]);
    u64::from_le_bytes(word)
}

/// Sends every message at once, and waits for the other side no longer than is reasonable.
fn be_prompt(peer: &TcpStream) -> io::Result<()> {
    peer.set_nodelay(true)?;
    peer.set_read_timeout(Some(PATIENCE))?;
    peer.set_write_timeout(Some(PATIENCE))
}

/// When messages are sent, in nanoseconds after the start of a spell.
#[derive(Clone, Debug, PartialEq)]
struct Moments {
    rate: Rate,
    arrivals: Arrivals,
    offsets: Vec<u64>,
}

impl Moments {
    /// Moments of the scenario's own events, from a seed of their own; or, where a spell holds too
    /// few of them, as many as it must hold.
    ///
    /// A trace is not replayed, since its first moments need not be like the others: its mean rate
    /// is kept.
    fn of(arrivals: &Arrivals, rate: Rate, seed: u64) -> Moments {
        let mut random = random_stream(seed, STREAM);
        let arrivals = match arrivals {
            Arrivals::Trace(_) => Arrivals::Poisson,
            own => own.clone(),
        };
        let due = arrivals.due_offsets(rate, random.random(), SPELL, None);
        let offsets: Vec<u64> = due.into_iter().flatten().take(MOST).collect();
        if offsets.len() >= LEAST as usize {
            return Moments { rate, arrivals, offsets };
        }
        // The moments of a Poisson process of which the number is known are independent and uniform.
        let mut offsets: Vec<u64> =
            (0..LEAST).map(|_| random.random_range(0..nanoseconds(SPELL))).collect();
        offsets.sort_unstable();
        let rate = Rate::per_second(f64::from(LEAST) / SPELL.as_secs_f64());
        Moments { rate: rate.expect("a possible rate"), arrivals: Arrivals::Poisson, offsets }
    }
}

/// The source's side of a calibration.
#[derive(Debug)]
struct Sending {
    echo: SocketAddr,
    moments: Moments,
    message: Vec<u8>,
    sent: u64,
}

/// What one exchange took, in nanoseconds.
struct Exchange {
    one_way: u64,
    round_trip: u64,
}

impl Sending {
    fn new(source: &SourceAssignment, echo: SocketAddr) -> Sending {
        let moments = Moments::of(&source.arrivals, source.rate, source.seed);
        Sending { echo, moments, message: blank(source.payload), sent: 0 }
    }

    /// One spell on a connection that is kept, one with a connection for each message.
    fn measure(mut self) -> io::Result<Limit> {
        let mut kept = self.dial()?;
        let exchanges = self.spell(|sending, began| sending.exchange(&mut kept, began))?;
        drop(kept);
        let dialled = self.spell(|sending, began| {
            let mut fresh = sending.dial()?;
            sending.exchange(&mut fresh, began)
        })?;
        self.say_farewell()?;
        let times = |exchanges: &[Exchange], of: fn(&Exchange) -> u64| {
            Transfers::of(exchanges.iter().map(of).collect())
                .ok_or_else(|| io::Error::other("nothing was sent"))
        };
        Ok(Limit {
            rate: self.moments.rate,
            arrivals: self.moments.arrivals,
            message: Bytes(self.message.len() as u64),
            one_way: times(&exchanges, |exchange| exchange.one_way)?,
            round_trip: times(&exchanges, |exchange| exchange.round_trip)?,
            new_connection: times(&dialled, |exchange| exchange.one_way)?,
        })
    }

    /// Exchanges messages at the moments they are due, late ones at once; those that the spell
    /// leaves no time for are left out, beyond the fewest there must be.
    fn spell(
        &mut self,
        mut exchange: impl FnMut(&mut Sending, Moment) -> io::Result<Exchange>,
    ) -> io::Result<Vec<Exchange>> {
        // The first one touches pages and code for the first time, and counts for nothing.
        exchange(self, clock::now())?;
        let start = clock::now();
        let (end, last) = (start.after(SPELL), start.after(LONGEST_SPELL));
        let mut exchanges = Vec::new();
        for offset in self.moments.offsets.clone() {
            let now = clock::now();
            let enough = if now > last { LEAST_FAR } else { LEAST as usize };
            if now > end && exchanges.len() >= enough {
                break;
            }
            clock::sleep_until(start.after(Duration::from_nanos(offset)));
            exchanges.push(exchange(self, clock::now())?);
        }
        Ok(exchanges)
    }

    fn dial(&self) -> io::Result<TcpStream> {
        let peer = TcpStream::connect_timeout(&self.echo, PATIENCE)?;
        be_prompt(&peer)?;
        Ok(peer)
    }

    /// Sends a message and reads its answer; it began when the connection was dialled, if it was.
    fn exchange(&mut self, peer: &mut TcpStream, began: Moment) -> io::Result<Exchange> {
        self.sent += 1;
        self.message[..8].copy_from_slice(&self.sent.to_le_bytes());
        peer.write_all(&self.message)?;
        let mut answer = [0; HEADER];
        peer.read_exact(&mut answer)?;
        let (ended, read) = (clock::now(), Moment::from_nanoseconds(word(&answer, 8)));
        if word(&answer, 0) != self.sent || read < began || ended < read {
            return Err(io::Error::other("something else answered on the calibration's socket"));
        }
        Ok(Exchange {
            one_way: nanoseconds(read.since(began)),
            round_trip: nanoseconds(ended.since(began)),
        })
    }

    /// Lets the other side go, so that it does not wait into the window.
    fn say_farewell(&mut self) -> io::Result<()> {
        self.message[..8].copy_from_slice(&LAST.to_le_bytes());
        self.dial()?.write_all(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST, MOST, Moments, SPELL, Sending, echo, start_echo};
    use crate::schedule::Arrivals;
    use crate::units::{Bytes, Rate, nanoseconds};
    use crate::wire::socket::LOOPBACK;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    fn rate(events: f64) -> Rate {
        Rate::per_second(events).expect("a rate")
    }

    fn sending(echo: SocketAddr, size: usize) -> Sending {
        let moments = Moments::of(&Arrivals::Constant, rate(1_000.0), 3);
        Sending { echo, moments, message: vec![0; size], sent: 0 }
    }

    #[test]
    fn messages_are_sent_as_the_scenario_sends_events_where_they_are_often_enough() {
        let own = Moments::of(&Arrivals::Constant, rate(100.0), 3);
        assert_eq!((own.rate, &own.arrivals), (rate(100.0), &Arrivals::Constant));
        assert_eq!(own.offsets.len(), 80);
        assert!(own.offsets.windows(2).all(|pair| pair[1] - pair[0] == 10_000_000));
        assert_eq!(Moments::of(&Arrivals::Poisson, rate(100_000.0), 3).offsets.len(), MOST);
        let again = |seed| Moments::of(&Arrivals::Poisson, rate(100.0), seed);
        assert_eq!(again(3), again(3));
        assert_ne!(again(3).offsets, again(4).offsets);
    }

    #[test]
    fn rare_events_are_replaced_by_the_floor_and_the_record_says_so() {
        for seed in 0..50 {
            let floor = Moments::of(&Arrivals::Constant, rate(0.1), seed);
            assert_eq!((floor.rate, &floor.arrivals), (rate(25.0), &Arrivals::Poisson));
            assert_eq!(floor.offsets.len(), LEAST as usize);
            assert!(floor.offsets.is_sorted());
            assert!(floor.offsets.iter().all(|offset| *offset < nanoseconds(SPELL)));
        }
    }

    #[test]
    fn raw_sockets_are_measured_and_the_other_side_ends_with_the_last_message() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let at = listener.local_addr().expect("bound");
        let answering = std::thread::spawn(move || echo(&listener, &mut [0; 300]));
        let limit = sending(at, 300).measure().expect("measured");
        for transfers in [limit.one_way, limit.round_trip, limit.new_connection] {
            assert!(transfers.count >= u64::from(LEAST), "{transfers:?}");
            assert!(0 < transfers.min && transfers.min <= transfers.p50, "{transfers:?}");
            assert!(transfers.p50 <= transfers.p99, "{transfers:?}");
        }
        assert!(limit.one_way.min < limit.round_trip.min);
        assert_eq!((limit.message, limit.rate), (Bytes(300), rate(1_000.0)));
        answering.join().expect("no panic").expect("it heard the last message");
    }

    #[test]
    fn an_answer_that_is_none_or_that_never_comes_is_no_measurement() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let at = listener.local_addr().expect("bound");
        let stranger = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("dialled");
            peer.write_all(&[0; 16]).expect("sent");
            // Reads what it was sent, so that closing does not cut the answer off.
            peer.read_exact(&mut [0; 64]).expect("received");
        });
        let answered = sending(at, 64).measure();
        stranger.join().expect("no panic");
        assert!(answered.expect_err("a stranger").to_string().contains("something else"));
        // The listener is gone by now.
        assert!(sending(at, 64).measure().is_err());
    }

    #[test]
    fn a_thread_stays_until_it_is_dropped() {
        let (at, thread) = start_echo(LOOPBACK, Bytes(1)).expect("a socket");
        sending(at, 16).measure().expect("measured");
        assert!(!thread.thread.as_ref().expect("started").is_finished());
        drop(thread);
    }
}
