//! A path without packets: a delay line between a socket and whoever reads and writes it.
//!
//! The line is built where a connection is accepted and delays both directions there, so that it
//! covers every client alike, also one whose sockets are out of reach. It needs no privilege. It
//! models propagation, jitter and, for each connection by itself, a limited rate; nothing is lost
//! or changes its order, and TCP notices none of it: slow start, congestion control and
//! retransmission are those of loopback.

use std::collections::VecDeque;
use std::future::pending;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};

use crate::clock::{self, Moment};
use crate::network::asked::Network;
use crate::network::way::{Direction, Way};
use crate::timer::Timer;

/// The most bytes under way in one direction; whoever writes more has to wait.
///
/// Linux lets a socket's send buffer grow to as much (`tcp_wmem`, `man 7 tcp`).
const MOST_UNDER_WAY: usize = 4 << 20;

/// The most taken from the socket at once.
const PIECE: usize = 16 << 10;

/// What delays the connections that one end accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// The path.
    pub network: Network,
    /// Where bytes come from that this end receives.
    pub inward: Direction,
    /// The seed of what is random in it, which is another one for each strategy of a trial.
    pub seed: u64,
}

/// The path a connection takes.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    inward: Way,
    outward: Way,
    /// When the handshake of TCP would be over on such a path: the client has its answer and
    /// may send.
    connected: Moment,
}

impl Path {
    /// The path of a connection that was made at `opened`; `number` tells connections apart.
    ///
    /// On loopback a client may send as soon as it has asked for a connection; on a real path it
    /// learns one round trip later that there is one.
    pub(crate) fn new(delay: &Delay, opened: Moment, number: u32) -> Path {
        let way = |direction| Way::new(&delay.network, direction, delay.seed, number);
        let outward = match delay.inward {
            Direction::Down => Direction::Up,
            Direction::Up => Direction::Down,
        };
        let connected = opened.after(delay.network.rtt);
        Path { inward: way(delay.inward), outward: way(outward), connected }
    }
}

/// The near end of a delayed connection, and the work that carries bytes to and from it.
///
/// The work is done when the near end was closed and all it had written was delivered.
///
/// # Errors
///
/// When the process has no file descriptor left for the timers.
pub(crate) fn delayed<S>(
    far: S,
    path: Path,
) -> io::Result<(DuplexStream, impl Future<Output = io::Result<()>> + use<S>)>
where
    S: AsyncRead + AsyncWrite,
{
    let (near, middle) = duplex(PIECE);
    let (inward_timer, outward_timer) = (Timer::new()?, Timer::new()?);
    let work = async move {
        let (from_far, to_far) = split(far);
        let (from_near, to_near) = split(middle);
        let inward = async {
            // When the client has closed its end, answers still go out to it.
            let _ = carry(from_far, to_near, path.inward, path.connected, inward_timer).await;
            pending::<()>().await;
        };
        let outward = carry(from_near, to_far, path.outward, path.connected, outward_timer);
        tokio::select! {
            delivered = outward => delivered,
            () = inward => Ok(()),
        }
    };
    Ok((near, work))
}

/// Bytes under way in one direction, in order, and when they arrive; an empty piece is the end.
#[derive(Debug, Default)]
struct UnderWay {
    pieces: VecDeque<(Moment, Bytes)>,
    bytes: usize,
}

/// Carries what one end sends to the other until its end has arrived there.
async fn carry<R, W>(
    mut from: R,
    mut to: W,
    mut way: Way,
    connected: Moment,
    mut timer: Timer,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut under_way = UnderWay::default();
    let mut piece = BytesMut::new();
    let mut open = true;
    loop {
        if piece.capacity() < PIECE / 4 {
            piece.reserve(PIECE);
        }
        tokio::select! {
            read = from.read_buf(&mut piece), if open && under_way.bytes < MOST_UNDER_WAY => {
                // A broken connection is an end too; what it had sent is delivered.
                let sent = if read.is_ok() { piece.split().freeze() } else { Bytes::new() };
                open = !sent.is_empty();
                under_way.bytes += sent.len();
                let arrival = way.carry(clock::now().max(connected), sent.len());
                under_way.pieces.push_back((arrival, sent));
            }
            ended = under_way.deliver(&mut timer, &mut to), if !under_way.pieces.is_empty() => {
                if ended? {
                    return to.shutdown().await;
                }
            }
        }
    }
}

impl UnderWay {
    /// Waits until the first piece arrives and hands over of it what is taken; whether it was
    /// the end. Cancel safe.
    async fn deliver<W>(&mut self, timer: &mut Timer, to: &mut W) -> io::Result<bool>
    where
        W: AsyncWrite + Unpin,
    {
        let Some((arrival, piece)) = self.pieces.front_mut() else { return Ok(false) };
        timer.sleep_until(*arrival).await?;
        if piece.is_empty() {
            return Ok(true);
        }
        let taken = to.write(piece).await?;
        piece.advance(taken);
        self.bytes -= taken;
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, MOST_UNDER_WAY, PIECE, Path, delayed};
    use crate::clock::{self, Moment};
    use crate::network::asked::Network;
    use crate::network::way::Direction;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const RTT: Duration = Duration::from_millis(60);
    const DEADLINE: Duration = Duration::from_secs(20);

    fn path_opened(opened: Moment) -> Path {
        let network = Network { rtt: RTT, ..Network::default() };
        Path::new(&Delay { network, inward: Direction::Up, seed: 7 }, opened, 0)
    }

    /// A path whose connection was made long ago.
    fn path() -> Path {
        path_opened(clock::now().before(RTT))
    }

    async fn in_time<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, work).await.expect("no wait is longer")
    }

    #[tokio::test]
    async fn bytes_arrive_half_a_round_trip_later_in_both_directions() {
        let (mut client, far) = duplex(1 << 10);
        let (mut near, work) = delayed(far, path()).expect("timers");
        let talking = async {
            let (mut there, mut back) = (Duration::MAX, Duration::MAX);
            for _ in 0..8 {
                let mut word = [0; 4];
                let began = clock::now();
                client.write_all(b"ping").await.expect("sent");
                near.read_exact(&mut word).await.expect("received");
                let heard = clock::now();
                assert_eq!(&word, b"ping");
                near.write_all(b"pong").await.expect("sent");
                client.read_exact(&mut word).await.expect("received");
                assert_eq!(&word, b"pong");
                there = there.min(heard.since(began));
                back = back.min(clock::now().since(heard));
            }
            (there, back)
        };
        let (there, back) = in_time(async {
            tokio::select! {
                times = talking => times,
                _ = work => unreachable!("nobody has closed"),
            }
        })
        .await;
        for way in [there, back] {
            assert!(way >= RTT / 2 && way < RTT, "the quickest of eight took {way:?}");
        }
    }

    #[tokio::test]
    async fn a_new_connection_costs_a_further_round_trip() {
        let (mut client, far) = duplex(1 << 10);
        let began = clock::now();
        let (mut near, work) = delayed(far, path_opened(began)).expect("timers");
        in_time(async {
            client.write_all(b"!").await.expect("sent");
            tokio::select! {
                read = near.read_u8() => assert_eq!(read.expect("received"), b'!'),
                _ = work => unreachable!("nobody has closed"),
            }
        })
        .await;
        assert!(clock::now().since(began) >= RTT + RTT / 2);
    }

    #[tokio::test]
    async fn many_bytes_keep_their_order_and_the_end_comes_last() {
        let (client, far) = duplex(PIECE);
        let (near, work) = delayed(far, path()).expect("timers");
        let sent: Vec<u8> = (0..6_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (mut from_near, mut to_near) = tokio::io::split(near);
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let sending = async {
            to_client.write_all(&sent).await.expect("sent");
            to_client.shutdown().await.expect("closed");
        };
        let echoing = async {
            tokio::io::copy(&mut from_near, &mut to_near).await.expect("echoed");
            to_near.shutdown().await.expect("closed");
        };
        let mut received = Vec::new();
        let receiving = from_client.read_to_end(&mut received);
        let (.., ended) = in_time(async { tokio::join!(sending, echoing, receiving, work) }).await;
        ended.expect("delivered");
        assert!(received == sent);
    }

    #[tokio::test]
    async fn what_nobody_reads_is_taken_only_up_to_the_bound() {
        let (mut client, far) = duplex(PIECE);
        let (near, work) = delayed(far, path()).expect("timers");
        let mut taken = 0;
        let writing = async {
            // Stops when the line is full: then only the deadline of a second ends it.
            while let Ok(Ok(bytes)) =
                tokio::time::timeout(Duration::from_secs(1), client.write(&[0; PIECE])).await
            {
                taken += bytes;
                assert!(taken <= 2 * MOST_UNDER_WAY, "the line has no bound");
            }
        };
        in_time(async {
            tokio::select! {
                () = writing => {}
                _ = work => unreachable!("nobody has closed"),
            }
        })
        .await;
        drop(near);
        assert!(taken >= MOST_UNDER_WAY);
    }

    #[tokio::test]
    async fn a_closed_near_end_ends_the_line_once_its_last_words_are_delivered() {
        let (mut client, far) = duplex(1 << 10);
        let (mut near, work) = delayed(far, path()).expect("timers");
        let leaving = async {
            near.write_all(b"bye").await.expect("sent");
            drop(near);
        };
        let ((), ended) = in_time(async { tokio::join!(leaving, work) }).await;
        ended.expect("delivered");
        let mut words = Vec::new();
        in_time(client.read_to_end(&mut words)).await.expect("received");
        assert_eq!(words, b"bye");
    }
}
