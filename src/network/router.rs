//! A router between network namespaces: takes packets from a device in one of them and puts them
//! into a device in the other when they are due.
//!
//! The source is in one namespace and the subscribers of each strategy are in another, so each
//! strategy has a path of its own and does not take part in the others' queues and losses. The
//! kernel's TCP is at both ends: connection set-up, slow start, acknowledgements and
//! retransmissions happen as they do over a real distance.
//!
//! One thread, which must belong to a process that does nothing else: its CPU time is nobody's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::clock::{self, Moment};
use crate::network::asked::Network;
use crate::network::namespace::{End, MTU, Side, Tunnel, address, with_tunnel};
use crate::network::traffic::{Crossed, Traffic};
use crate::network::way::{Direction, Fate, Way};

/// The most packets taken from one device before those that are due are delivered.
const TURN: usize = 64;

/// Where the destination stands in a header of IPv4 (RFC 791, 3.1).
const DESTINATION: std::ops::Range<usize> = 16..20;

/// The paths of a trial and the router between their ends.
#[derive(Debug)]
pub struct Router {
    source: (Side, Tunnel),
    paths: Vec<Path>,
    held: Held,
}

/// The path of one strategy.
#[derive(Debug)]
struct Path {
    subscribers: (Side, Tunnel),
    down: Way,
    up: Way,
    traffic: Traffic,
}

impl Router {
    /// Paths of this kind, one for each strategy, in new namespaces; nothing moves until
    /// [`Router::run`].
    ///
    /// # Errors
    ///
    /// When the process may not make namespaces or devices, or the kernel has none.
    pub fn new(network: &Network, seed: u64, paths: u8) -> io::Result<Router> {
        let path = |number: u8| {
            Ok(Path {
                subscribers: with_tunnel(address(Some(number)))?,
                down: Way::new(network, Direction::Down, seed, number.into()),
                up: Way::new(network, Direction::Up, seed, number.into()),
                traffic: Traffic::default(),
            })
        };
        Ok(Router {
            source: with_tunnel(address(None))?,
            paths: (0..paths).map(path).collect::<io::Result<_>>()?,
            held: Held::default(),
        })
    }

    /// Where the source lives.
    #[must_use]
    pub fn source(&self) -> End {
        self.source.0.end()
    }

    /// Where the subscribers of each strategy live.
    #[must_use]
    pub fn subscribers(&self) -> Vec<End> {
        self.paths.iter().map(|path| path.subscribers.0.end()).collect()
    }

    /// Carries packets until `stop` can be read or its other end is closed; returns what crossed
    /// each path.
    ///
    /// # Errors
    ///
    /// When a device breaks.
    pub fn run(&mut self, stop: BorrowedFd<'_>) -> io::Result<Vec<Traffic>> {
        let mut buffer = vec![0; usize::from(MTU)];
        loop {
            self.deliver()?;
            let ready = self.wait(stop)?;
            if ready[0] {
                break;
            }
            for (number, _) in ready[1..].iter().enumerate().filter(|(_, ready)| **ready) {
                self.take(number, &mut buffer)?;
            }
        }
        self.paths[..].iter_mut().try_for_each(|path| {
            path.traffic.up.overrun = path.subscribers.0.overrun()?;
            io::Result::Ok(())
        })?;
        // Which path a packet that nobody took was for, nobody knows.
        if let Some(first) = self.paths.first_mut() {
            first.traffic.down.overrun = self.source.0.overrun()?;
        }
        Ok(self.paths.iter().map(|path| path.traffic).collect())
    }

    /// Waits until a device has a packet, one is due, or it is told to stop; which of `stop`, the
    /// source and the subscribers are ready.
    fn wait(&self, stop: BorrowedFd<'_>) -> io::Result<Vec<bool>> {
        let devices = self.paths.iter().map(|path| &path.subscribers.1);
        let devices = std::iter::once(&self.source.1).chain(devices);
        let mut polled: Vec<PollFd<'_>> = std::iter::once(stop)
            .chain(devices.map(AsFd::as_fd))
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        let timeout = self.held.next().map(|due| timespec(due.since(clock::now())));
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(polled.iter().map(|descriptor| !descriptor.revents().is_empty()).collect())
    }

    /// Takes packets from the source's device, which comes first, or from that of a path.
    fn take(&mut self, number: usize, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..TURN {
            let device = match number.checked_sub(1) {
                None => &self.source.1,
                Some(path) => &self.paths[path].subscribers.1,
            };
            let length = match device.recv(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let packet = &buffer[..length];
            let Some(destination) = destination(packet) else { continue };
            let (path, direction) = match number.checked_sub(1) {
                Some(path) if destination == address(None) => (path, Direction::Up),
                None => match self.path_to(destination) {
                    Some(path) => (path, Direction::Down),
                    None => continue,
                },
                Some(_) => continue,
            };
            self.admit(path, direction, packet);
        }
        Ok(())
    }

    fn path_to(&self, destination: Ipv4Addr) -> Option<usize> {
        (0..).zip(&self.paths).find_map(|(number, _)| {
            (address(u8::try_from(number).ok()) == destination).then_some(number)
        })
    }

    /// Holds a packet until it is due, unless it is lost on the way.
    fn admit(&mut self, path: usize, direction: Direction, packet: &[u8]) {
        let Path { down, up, traffic, .. } = &mut self.paths[path];
        let (way, crossed) = match direction {
            Direction::Down => (down, &mut traffic.down),
            Direction::Up => (up, &mut traffic.up),
        };
        let bytes = packet.len();
        *crossed += Crossed { packets: 1, bytes: bytes as u64, ..Crossed::default() };
        match way.send(clock::now(), bytes) {
            Fate::Arrives(due) => self.held.hold(due, path, direction, packet),
            Fate::Lost => crossed.lost += 1,
            Fate::Dropped => crossed.dropped += 1,
        }
    }

    /// Delivers what is due.
    fn deliver(&mut self) -> io::Result<()> {
        while let Some(packet) = self.held.due(clock::now()) {
            let device = match packet.direction {
                Direction::Down => &self.paths[packet.path].subscribers.1,
                Direction::Up => &self.source.1,
            };
            match device.send(&packet.bytes) {
                Ok(_) => {}
                // The kernel has no memory for it just now: a packet may be lost anywhere.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
            self.held.spare.push(packet.bytes);
        }
        Ok(())
    }
}

/// The destination of a packet of IPv4; nothing of any other, such as what the kernel sends by
/// itself to find neighbours of IPv6.
fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let version = packet.first()? >> 4;
    let octets: [u8; 4] = packet.get(DESTINATION)?.try_into().ok()?;
    (version == 4).then(|| octets.into())
}

fn timespec(span: Duration) -> Timespec {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: span.subsec_nanos().into() }
}

/// Packets under way, and memory for further ones.
#[derive(Debug, Default)]
struct Held {
    packets: BinaryHeap<Reverse<Packet>>,
    /// How many were held so far: those due at the same moment keep their order.
    number: u64,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Moment,
    number: u64,
    path: usize,
    direction: Direction,
    bytes: Vec<u8>,
}

impl Held {
    fn hold(&mut self, due: Moment, path: usize, direction: Direction, packet: &[u8]) {
        let mut bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(usize::from(MTU)));
        bytes.clear();
        bytes.extend_from_slice(packet);
        self.number += 1;
        self.packets.push(Reverse(Packet { due, number: self.number, path, direction, bytes }));
    }

    /// When the next one is due.
    fn next(&self) -> Option<Moment> {
        self.packets.peek().map(|packet| packet.0.due)
    }

    /// The next one, if it is due.
    fn due(&mut self, now: Moment) -> Option<Packet> {
        if self.next()? > now {
            return None;
        }
        self.packets.pop().map(|packet| packet.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Router, destination};
    use crate::clock::{self, Moment};
    use crate::network::asked::Network;
    use crate::network::namespace::{End, enter};
    use crate::network::offer::is_privileged;
    use crate::network::traffic::Traffic;
    use crate::network::way::Direction;
    use crate::units::{BitRate, Percentage};
    use std::io::{Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Bytes that are sent over a path that loses packets.
    const SIZE: u32 = 2 << 20;

    /// Longer than any loaded machine needs.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn packets_leave_when_they_are_due_and_in_order() {
        let at = Moment::from_nanoseconds;
        let mut held = Held::default();
        for (due, packet) in [(30, b"c"), (10, b"a"), (30, b"d"), (20, b"b")] {
            held.hold(at(due), 0, Direction::Down, packet);
        }
        assert!(held.due(at(9)).is_none());
        assert_eq!(held.next(), Some(at(10)));
        let left: Vec<u8> =
            std::iter::from_fn(|| held.due(at(30))).flat_map(|packet| packet.bytes).collect();
        assert_eq!(left, b"abcd");
    }

    #[test]
    fn only_packets_of_ipv4_have_a_destination() {
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&[198, 18, 0, 2]);
        assert_eq!(destination(&packet), Some([198, 18, 0, 2].into()));
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None);
        assert_eq!(destination(&[0x45, 0, 0]), None);
        assert_eq!(destination(&[]), None);
    }

    /// Does something in a namespace, on a thread of its own.
    fn there<T: Send>(end: &End, work: impl FnOnce(IpAddr) -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter(&end.namespace).expect("entered");
                work(end.address)
            });
            inside.join().expect("no panic")
        })
    }

    /// Over a router of these paths: what `work` finds with a listener on the source's side and the
    /// ends of subscribers, and what crossed.
    fn over<T>(
        network: &Network,
        paths: u8,
        work: impl FnOnce(TcpListener, &[End]) -> T,
    ) -> (T, Vec<Traffic>) {
        let mut router = Router::new(network, 5, paths).expect("a router");
        let (source, subscribers) = (router.source(), router.subscribers());
        let (stop, stopping) = std::io::pipe().expect("a pipe");
        let running = std::thread::spawn(move || {
            clock::sharpen_timers();
            router.run(stop.as_fd()).expect("carried")
        });
        let listener = there(&source, |address| TcpListener::bind((address, 0)).expect("a port"));
        let found = work(listener, &subscribers);
        drop(stopping);
        (found, running.join().expect("no panic"))
    }

    fn dial(end: &End, to: SocketAddr) -> TcpStream {
        there(end, |address| {
            let peer = TcpStream::connect_timeout(&to, PATIENCE).expect("connected");
            assert_eq!(peer.local_addr().expect("bound").ip(), address);
            peer.set_nodelay(true).expect("set");
            peer.set_read_timeout(Some(PATIENCE)).expect("set");
            peer
        })
    }

    #[test]
    fn a_round_trip_takes_as_long_as_is_asked_and_a_connection_one_more() {
        if !is_privileged() {
            return;
        }
        let rtt = Duration::from_millis(70);
        let network = Network { rtt, ..Network::default() };
        let ((connected, exchanged), traffic) = over(&network, 2, |listener, ends| {
            let to = listener.local_addr().expect("bound");
            let answering = std::thread::spawn(move || {
                for _ in 0..2 {
                    let (mut peer, _) = listener.accept().expect("accepted");
                    peer.set_nodelay(true).expect("set");
                    let mut word = [0; 4];
                    while peer.read_exact(&mut word).is_ok() {
                        peer.write_all(&word).expect("answered");
                    }
                }
            });
            let mut times = (Vec::new(), Vec::new());
            for end in ends {
                let began = clock::now();
                let mut peer = dial(end, to);
                times.0.push(clock::now().since(began));
                for _ in 0..5 {
                    let began = clock::now();
                    peer.write_all(b"ping").expect("sent");
                    peer.read_exact(&mut [0; 4]).expect("answered");
                    times.1.push(clock::now().since(began));
                }
            }
            answering.join().expect("no panic");
            times
        });
        for least in [connected.iter().min(), exchanged.iter().min()] {
            let least = *least.expect("measured");
            assert!(least >= rtt && least < rtt * 3 / 2, "{least:?}");
        }
        assert_eq!(traffic.len(), 2);
        for path in traffic {
            // A handshake of three packets and five exchanges, at the very least.
            assert!(path.up.packets >= 7 && path.down.packets >= 6, "{path:?}");
            assert_eq!((path.up.lost, path.down.lost, path.down.dropped), (0, 0, 0), "{path:?}");
        }
    }

    #[test]
    fn losses_are_made_good_by_tcp_and_counted() {
        if !is_privileged() {
            return;
        }
        let network = Network {
            rtt: Duration::from_millis(2),
            loss: Percentage::of(3.0),
            rate: Some(BitRate::of(80_000_000)),
            ..Network::default()
        };
        let (received, traffic) = over(&network, 1, |listener, ends| {
            let to = listener.local_addr().expect("bound");
            let (tell, told) = mpsc::channel();
            let sending = std::thread::spawn(move || {
                let (mut peer, _) = listener.accept().expect("accepted");
                let sent: Vec<u8> = (0..SIZE).map(|number| number.to_le_bytes()[1]).collect();
                peer.write_all(&sent).expect("sent");
                tell.send(sent).expect("heard");
            });
            let mut received = Vec::new();
            dial(&ends[0], to).read_to_end(&mut received).expect("received");
            sending.join().expect("no panic");
            received == told.recv().expect("told")
        });
        assert!(received, "TCP delivers what was sent");
        let Traffic { down, .. } = traffic[0];
        assert!(down.packets >= u64::from(SIZE / 1_500) && down.bytes > SIZE.into(), "{down:?}");
        let expected = down.packets as f64 * 0.03;
        // Six standard deviations.
        assert!((down.lost as f64 - expected).abs() < 6.0 * expected.sqrt(), "{down:?}");
    }
}
