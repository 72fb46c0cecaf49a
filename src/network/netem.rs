//! The kernel's own emulation of a path: netem (`man 8 tc-netem`) on pairs of virtual Ethernet
//! devices between network namespaces. It makes round trips and losses: what its limited rate counts
//! of a packet, and how it bounds the queue before it, are not those of the other tiers.
//!
//! The source's namespace has a device for each strategy, whose other end is in the namespace of
//! that strategy's subscribers. Either end delays and loses what leaves it.

use std::io;
use std::os::fd::AsFd;

use crate::network::asked::Network;
use crate::network::namespace::{
    DEVICE, End, Side, address, in_a_new_one, in_that_one, named, side,
};
use crate::network::netlink::{Netlink, Queued};
use crate::network::traffic::{Crossed, Traffic};
use crate::units::nanoseconds;

/// The kind of the queueing discipline.
const KIND: &str = "netem";

/// The most packets under way in one direction: its own default of 1000 drops packets of long and
/// fast paths without a word.
const LIMIT: u32 = 100_000;

/// The paths of a trial, which the kernel makes.
#[derive(Debug)]
pub struct Netem {
    source: Side,
    subscribers: Vec<Side>,
}

impl Netem {
    /// Paths of this kind, one for each strategy, in new namespaces.
    ///
    /// # Errors
    ///
    /// When the process may not make namespaces or devices, or the kernel has no netem.
    pub fn new(network: &Network, seed: u64, paths: u8) -> io::Result<Netem> {
        Netem::with(paths, |path, down| {
            Some(options(network, seed ^ (2 * u64::from(path) + u64::from(down))))
        })
    }

    /// Paths whose disciplines have these options, or none.
    fn with(paths: u8, options: impl Fn(u8, bool) -> Option<Vec<u8>>) -> io::Result<Netem> {
        let source = in_a_new_one(|| side(address(None)))?;
        let mut subscribers = Vec::new();
        for path in 0..paths {
            let other = in_a_new_one(move || side(address(Some(path))))?;
            let (near, far) = (device(path), other.namespace.as_fd());
            let made = in_that_one(&source.namespace, || {
                Netlink::open()?
                    .pair(&near, (DEVICE, far))
                    .map_err(|error| named("making a pair of veth devices", &error))
            });
            made?;
            let (own, peer) = (address(None), address(Some(path)));
            let (there, back) = (options(path, true), options(path, false));
            in_that_one(&source.namespace, || equip(&near, own, peer, there))?;
            in_that_one(&other.namespace, || equip(DEVICE, peer, own, back))?;
            subscribers.push(other);
        }
        Ok(Netem { source, subscribers })
    }

    /// Where the source lives.
    #[must_use]
    pub fn source(&self) -> End {
        self.source.end()
    }

    /// Where the subscribers of each strategy live.
    #[must_use]
    pub fn subscribers(&self) -> Vec<End> {
        self.subscribers.iter().map(Side::end).collect()
    }

    /// What has crossed each path so far. What was dropped for want of room counts as lost: the
    /// kernel does not tell them apart.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    pub fn traffic(&self) -> io::Result<Vec<Traffic>> {
        let down: Vec<(u32, Queued)> = in_that_one(&self.source.namespace, || {
            let mut netlink = Netlink::open()?;
            let queued = netlink.queued(KIND)?;
            Ok(queued.into_iter().map(|queued| (queued.device, queued)).collect())
        })?;
        let numbers: Vec<u32> = in_that_one(&self.source.namespace, || {
            let netlink = Netlink::open()?;
            (0..).zip(&self.subscribers).map(|(path, _)| netlink.index(&device(path))).collect()
        })?;
        let each = self.subscribers.iter().zip(numbers).map(|(side, number)| {
            let up = in_that_one(&side.namespace, || Netlink::open()?.queued(KIND))?;
            let down = down.iter().find(|(device, _)| *device == number).map(|(_, queued)| queued);
            Ok(Traffic { down: crossed(down), up: crossed(up.first()) })
        });
        each.collect()
    }
}

/// The device at the source's end of a path.
fn device(path: u8) -> String {
    format!("{DEVICE}{path}")
}

/// Gives a device its address and its discipline, and turns it on.
fn equip(
    device: &str,
    own: std::net::Ipv4Addr,
    peer: std::net::Ipv4Addr,
    options: Option<Vec<u8>>,
) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    netlink.up(device)?;
    netlink.address(device, own, peer)?;
    let Some(options) = options else { return Ok(()) };
    netlink.discipline(device, KIND, options).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let hint = if missing { " (the kernel has no sch_netem)" } else { "" };
        named(&format!("setting up netem{hint}"), &error)
    })
}

fn crossed(queued: Option<&Queued>) -> Crossed {
    let queued = queued.copied().unwrap_or_default();
    Crossed {
        packets: queued.packets + queued.dropped,
        bytes: queued.bytes,
        lost: queued.dropped,
        ..Crossed::default()
    }
}

/// Attributes of `linux/pkt_sched.h`.
mod attribute {
    pub(super) const LOSS: u16 = 5;
    pub(super) const LATENCY: u16 = 10;
    pub(super) const SEED: u16 = 14;
    /// Within `LOSS`: the model of Gilbert and Elliott.
    pub(super) const GILBERT: u16 = 2;
}

/// The options of one direction: a `struct tc_netem_qopt`, then attributes.
fn options(network: &Network, seed: u64) -> Vec<u8> {
    let (share, burst) = (network.loss.share(), f64::from(network.loss_burst));
    let alone = network.loss_burst == 1;
    // Latency in ticks, which an attribute in nanoseconds overrides; gap, duplicates and jitter.
    let fields = [0, LIMIT, if alone { chance(share) } else { 0 }, 0, 0, 0];
    let mut bytes: Vec<u8> = fields.iter().flat_map(|field: &u32| field.to_ne_bytes()).collect();
    let way = i64::try_from(nanoseconds(network.rtt / 2)).unwrap_or(i64::MAX);
    put(&mut bytes, attribute::LATENCY, &way.to_ne_bytes());
    if !alone {
        // From losing none to losing all, and back; all are lost then, and none otherwise.
        let ends = 1.0 / burst;
        let begins = (ends * share / (1.0 - share)).min(1.0);
        let parts = [chance(begins), chance(ends), 0, 0];
        let parts: Vec<u8> = parts.iter().flat_map(|part| part.to_ne_bytes()).collect();
        let mut model = Vec::new();
        put(&mut model, attribute::GILBERT, &parts);
        put(&mut bytes, attribute::LOSS, &model);
    }
    put(&mut bytes, attribute::SEED, &seed.to_ne_bytes());
    bytes
}

/// A probability as the kernel takes it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability lies between 0 and 1"
)]
fn chance(probability: f64) -> u32 {
    (probability * f64::from(u32::MAX)).round() as u32
}

/// Appends an attribute (`man 7 netlink`): length, kind, value, and bytes up to a multiple of four.
fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).expect("attributes are short");
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::{Netem, options};
    use crate::network::asked::Network;
    use crate::network::namespace::enter;
    use crate::network::offer::is_privileged;
    use crate::network::tier::Offer;
    use crate::units::Percentage;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn options_are_laid_out_as_the_kernel_reads_them() {
        let network = Network {
            rtt: Duration::from_millis(70),
            loss: Percentage::of(100.0 / 3.0),
            ..Network::default()
        };
        let word = |bytes: &[u8], place: usize| {
            u32::from_ne_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
        };
        let halves = |bytes: &[u8], place: usize| {
            let half = |place: usize| {
                u16::from_ne_bytes(bytes[place..place + 2].try_into().expect("two bytes"))
            };
            (half(place), half(place + 2))
        };
        let plain = options(&network, 7);
        assert_eq!(word(&plain, 4), 100_000);
        assert_eq!(word(&plain, 8), 1_431_655_765, "a third of 2^32 - 1");
        assert_eq!(halves(&plain, 24), (12, 10));
        let way = i64::from_ne_bytes(plain[28..36].try_into().expect("eight bytes"));
        assert_eq!(way, 35_000_000);
        assert_eq!((halves(&plain, 36), plain.len()), ((12, 14), 48));
        let bursts = options(&Network { loss_burst: 4, ..network }, 7);
        assert_eq!(word(&bursts, 8), 0);
        assert_eq!((halves(&bursts, 36), halves(&bursts, 40)), ((24, 5), (20, 2)));
        // A quarter ends each burst, and an eighth begins one, so that a third is lost.
        assert_eq!((word(&bursts, 44), word(&bursts, 48)), (536_870_912, 1_073_741_824));
    }

    /// All but the queueing discipline, which many kernels lack.
    #[test]
    fn pairs_of_devices_lead_from_the_source_to_each_strategy() {
        if !is_privileged() {
            return;
        }
        let paths = Netem::with(2, |_, _| None).expect("paths");
        let (source, subscribers) = (paths.source(), paths.subscribers());
        std::thread::scope(|scope| {
            let listening = scope.spawn(|| {
                enter(&source.namespace).expect("entered");
                TcpListener::bind((source.address, 0)).expect("a port")
            });
            let listener = listening.join().expect("no panic");
            let to = listener.local_addr().expect("bound");
            for end in &subscribers {
                let dialling = scope.spawn(move || {
                    enter(&end.namespace).expect("entered");
                    let mut peer = TcpStream::connect(to).expect("connected");
                    peer.write_all(b"here").expect("sent");
                });
                let (mut peer, from) = listener.accept().expect("accepted");
                let mut word = [0; 4];
                peer.read_exact(&mut word).expect("received");
                assert_eq!((&word, from.ip()), (b"here", end.address));
                dialling.join().expect("no panic");
            }
        });
        // Without a discipline nothing is counted.
        let traffic = paths.traffic().expect("told");
        assert!(traffic.iter().all(|path| path.up.packets == 0), "{traffic:?}");
    }

    #[test]
    fn a_kernel_without_netem_is_told_from_one_with_it() {
        if !is_privileged() {
            return;
        }
        let offer = Offer::of_this_machine();
        let network = Network { rtt: Duration::from_millis(20), ..Network::default() };
        match (offer.netem, Netem::new(&network, 1, 1)) {
            (None, made) => {
                let traffic = made.expect("made").traffic().expect("told");
                assert_eq!(traffic.len(), 1);
            }
            (Some(why), made) => {
                let error = made.expect_err("not made").to_string();
                assert!(error.contains("netem") && why.contains("netem"), "{error}; {why}");
            }
        }
    }
}
