//! One direction of a path: when what enters it leaves it, or that it does not.
//!
//! Pure: it is told the time, and all that is random comes from its seed. The router asks it for
//! every packet, the delay inside the program for every piece of bytes.

use std::f64::consts::FRAC_PI_2;
use std::time::Duration;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use crate::clock::Moment;
use crate::network::asked::Network;
use crate::schedule::random_stream;
use crate::units::{BitRate, nanoseconds};

/// The longest a packet may wait for those before it to be sent at the path's rate; one that would
/// wait longer is dropped, as by a full buffer.
///
/// The order of what home routers and mobile links hold.
pub const LONGEST_QUEUE: Duration = Duration::from_millis(500);

/// How many standard deviations the way of a packet may differ at most.
const FURTHEST: f64 = 3.0;

/// How many standard deviations of jitter it takes until the way is another.
///
/// Were each packet's way drawn by itself and the order kept, packets would wait for the slowest
/// before them: the more there are, the longer the path. So the way changes over time instead, and
/// so slowly that what is sent later arrives later (a change as steep as time itself would need two
/// draws whose squares add up to 5.1²: of half a million spells, one).
const SPELL: f64 = 8.0;

/// Random streams of a trial's seed that paths draw from start here.
const STREAMS: u64 = 7 << 32;

/// Which direction of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the source to subscribers.
    Down,
    /// From subscribers to the source.
    Up,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then.
    Arrives(Moment),
    /// It is lost on the way.
    Lost,
    /// The buffer before the path is full.
    Dropped,
}

/// One direction of a path.
#[derive(Clone, Debug)]
pub struct Way {
    delay: Duration,
    jitter: Jitter,
    rate: Option<BitRate>,
    reorder: bool,
    losses: Losses,
    random: Pcg64,
    /// When the last bit of what was sent so far has entered the path.
    free: Moment,
    /// When the last packet arrives.
    last: Moment,
}

impl Way {
    /// A direction of a path that has carried nothing yet; `path` tells the paths of a trial apart.
    #[must_use]
    pub fn new(network: &Network, direction: Direction, seed: u64, path: u32) -> Way {
        let (rate, place) = match direction {
            Direction::Down => (network.rate, 0),
            Direction::Up => (network.rate_up, 1),
        };
        let stream = STREAMS + 4 * u64::from(path) + place;
        Way {
            delay: network.rtt / 2,
            jitter: Jitter::new(network, random_stream(seed, stream + 2)),
            rate,
            reorder: network.reorder,
            losses: Losses::new(network.loss.share(), f64::from(network.loss_burst)),
            random: random_stream(seed, stream),
            free: Moment::from_nanoseconds(0),
            last: Moment::from_nanoseconds(0),
        }
    }

    /// What becomes of a packet of so many bytes that enters at `sent`.
    pub fn send(&mut self, sent: Moment, bytes: usize) -> Fate {
        if self.losses.next(&mut self.random) {
            return Fate::Lost;
        }
        if self.rate.is_some() && self.free.since(sent) > LONGEST_QUEUE {
            return Fate::Dropped;
        }
        Fate::Arrives(self.carry(sent, bytes))
    }

    /// When so many bytes arrive that enter at `sent`, where nothing is lost or dropped.
    pub fn carry(&mut self, sent: Moment, bytes: usize) -> Moment {
        let entered = match self.rate {
            Some(rate) => {
                self.free = self.free.max(sent).after(rate.time_of(bytes));
                self.free
            }
            None => sent,
        };
        let way = self.delay.as_secs_f64() + self.jitter.at(entered);
        let arrives = entered.after(Duration::try_from_secs_f64(way).unwrap_or_default());
        if self.reorder {
            return arrives;
        }
        self.last = self.last.max(arrives);
        self.last
    }
}

/// How the way of a packet differs from the mean: normally distributed at every moment.
#[derive(Clone, Debug)]
struct Jitter {
    /// The standard deviation, in seconds.
    deviation: f64,
    /// How long a way takes to become another, in nanoseconds; zero if each packet has its own.
    spell: u64,
    /// Which spell it is, and the draws at its beginning and its end.
    now: Option<(u64, [f64; 2])>,
    random: Pcg64,
}

impl Jitter {
    fn new(network: &Network, random: Pcg64) -> Jitter {
        let spell = if network.reorder { 0 } else { nanoseconds(spell(network.jitter)) };
        Jitter { deviation: network.jitter.as_secs_f64(), spell, now: None, random }
    }

    /// What is added to the way of a packet that enters then, in seconds.
    fn at(&mut self, entered: Moment) -> f64 {
        if self.deviation == 0.0 {
            return 0.0;
        }
        let mut draw = || -> f64 { StandardNormal.sample(&mut self.random) };
        let entered = entered.as_nanoseconds();
        let drawn = match entered.checked_div(self.spell) {
            None => draw(),
            Some(number) => {
                let (number, [begins, ends]) = match self.now {
                    Some((now, draws)) if number <= now => (now, draws),
                    Some((now, [_, last])) if number == now + 1 => (number, [last, draw()]),
                    _ => (number, [draw(), draw()]),
                };
                self.now = Some((number, [begins, ends]));
                // The squares of both weights add up to one: the variance is the same throughout.
                let part = (entered % self.spell) as f64 / self.spell as f64;
                let (to_end, from_begin) = (part * FRAC_PI_2).sin_cos();
                from_begin * begins + to_end * ends
            }
        };
        self.deviation * drawn.clamp(-FURTHEST, FURTHEST)
    }
}

/// How long it takes until the way of a path with so much jitter is another, which has nothing to
/// do with the one before.
#[must_use]
pub fn spell(jitter: Duration) -> Duration {
    jitter.mul_f64(SPELL)
}

/// Which packets are lost: a chain of two states (Gilbert 1960), in one of which all are lost.
#[derive(Clone, Copy, Debug)]
struct Losses {
    /// The chance that a packet is lost after one that was not.
    begins: f64,
    /// The chance that a packet is not lost after one that was.
    ends: f64,
    losing: bool,
}

impl Losses {
    /// So that `share` of the packets are lost, `burst` in a row on average.
    fn new(share: f64, burst: f64) -> Losses {
        // Packets that are lost by themselves: neither state depends on the last one.
        let ends = if burst > 1.0 { 1.0 / burst } else { 1.0 - share };
        let begins = if share < 1.0 { (ends * share / (1.0 - share)).min(1.0) } else { 1.0 };
        Losses { begins, ends, losing: false }
    }

    fn next(&mut self, random: &mut Pcg64) -> bool {
        if self.begins == 0.0 {
            return false;
        }
        let chance: f64 = random.random();
        self.losing = if self.losing { chance >= self.ends } else { chance < self.begins };
        self.losing
    }
}

#[cfg(test)]
mod tests {
    use super::{Direction, Fate, LONGEST_QUEUE, Way};
    use crate::clock::Moment;
    use crate::network::asked::Network;
    use crate::units::{BitRate, Percentage};
    use std::time::Duration;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn way(network: &Network) -> Way {
        Way::new(network, Direction::Down, 7, 0)
    }

    fn far() -> Network {
        Network { rtt: Duration::from_millis(70), ..Network::default() }
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_nanoseconds(milliseconds * 1_000_000)
    }

    #[test]
    fn a_packet_arrives_half_a_round_trip_later() {
        let mut way = way(&far());
        assert_eq!(way.send(at(5), 1_500), Fate::Arrives(at(40)));
        assert_eq!(way.send(at(6), 1_500), Fate::Arrives(at(41)));
    }

    #[test]
    fn packets_wait_for_each_other_at_the_rate_of_the_path_until_the_buffer_is_full() {
        // A kilobyte takes a millisecond.
        let network = Network { rate: Some(BitRate::of(8_000_000)), ..far() };
        let mut way = way(&network);
        let arrivals: Vec<Fate> = (0..3).map(|_| way.send(at(0), 1_000)).collect();
        let expected = [36, 37, 38].map(|moment| Fate::Arrives(at(moment)));
        assert_eq!(arrivals, expected);
        let fates: Vec<Fate> = (3..600).map(|_| way.send(at(0), 1_000)).collect();
        let taken = fates.iter().filter(|fate| **fate != Fate::Dropped).count();
        // The last one to enter finds as much before it as the buffer holds.
        assert_eq!(taken as u128 + 3, LONGEST_QUEUE.as_millis() + 1);
        // It is empty again after that long, and then there is no wait.
        assert_eq!(way.send(at(600), 1_000), Fate::Arrives(at(636)));
    }

    #[test]
    fn jitter_spreads_arrivals_around_half_a_round_trip_and_keeps_their_order() {
        let network = Network { jitter: 2 * MILLISECOND, ..far() };
        let mut way = way(&network);
        let mut last = Moment::default();
        let mut ways = Vec::new();
        for sent in (0..20_000).map(|number| at(number * 50)) {
            let arrives = way.carry(sent, 100);
            assert!(arrives >= last);
            last = arrives;
            ways.push(arrives.since(sent).as_secs_f64() * 1e3);
        }
        let mean = ways.iter().sum::<f64>() / ways.len() as f64;
        let variance = ways.iter().map(|way| (way - mean).powi(2)).sum::<f64>() / ways.len() as f64;
        // Six standard errors; a normal distribution cut at three deviations has 0.973 of the
        // variance.
        assert!((mean - 35.0).abs() < 6.0 * 2.0 / 20_000_f64.sqrt(), "{mean}");
        assert!((variance / 4.0 - 0.973).abs() < 0.06, "{variance}");
        assert!(ways.iter().all(|way| (29.0..=41.0).contains(way)));
    }

    #[test]
    fn a_busy_path_is_as_long_as_a_quiet_one() {
        // As `mobile-lte`, for ten minutes.
        let network = Network { jitter: 15 * MILLISECOND, ..far() };
        for apart in [1, 20, 1_000] {
            let mut way = way(&network);
            let sent: Vec<Moment> = (0..600_000 / apart).map(|number| at(number * apart)).collect();
            let arrivals: Vec<Moment> = sent.iter().map(|sent| way.carry(*sent, 100)).collect();
            assert!(arrivals.is_sorted());
            let ways = arrivals.iter().zip(&sent).map(|(arrives, sent)| arrives.since(*sent));
            let mean = ways.map(|way| way.as_secs_f64() * 1e3).sum::<f64>() / sent.len() as f64;
            // Six standard errors of as many ways as are independent of each other.
            let independent = (600_000 / apart.max(240)) as f64;
            assert!((mean - 35.0).abs() < 6.0 * 15.0 / independent.sqrt(), "{apart}: {mean}");
        }
    }

    #[test]
    fn order_changes_only_where_it_may() {
        let network = Network { jitter: 5 * MILLISECOND, reorder: true, ..far() };
        let overtaken = |network: &Network| {
            let mut way = way(network);
            let arrivals: Vec<Moment> = (0..100).map(|sent| way.carry(at(sent), 100)).collect();
            !arrivals.is_sorted()
        };
        assert!(overtaken(&network));
        assert!(!overtaken(&Network { reorder: false, ..network }));
    }

    #[test]
    fn losses_have_the_share_and_the_length_that_are_asked_for() {
        for (percent, burst) in [(1.0, 1), (1.0, 3), (20.0, 1), (0.3, 3)] {
            let network = Network { loss: Percentage::of(percent), loss_burst: burst, ..far() };
            let mut way = way(&network);
            let packets = 400_000_u32;
            let lost: Vec<bool> =
                (0..packets).map(|_| way.send(at(0), 100) == Fate::Lost).collect();
            let all = lost.iter().filter(|lost| **lost).count() as f64;
            let bursts = 1.0 + lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
            let share = percent / 100.0;
            let expected = f64::from(packets) * share;
            // Bursts add up as many times as they are long, both ways.
            let error = 6.0 * (expected * 2.0 * f64::from(burst)).sqrt();
            assert!((all - expected).abs() < error, "{percent} {burst}: {all} of {expected}");
            let length = if burst > 1 { f64::from(burst) } else { 1.0 / (1.0 - share) };
            assert!((all / bursts / length - 1.0).abs() < 0.15, "{percent} {burst}: {bursts}");
        }
    }

    #[test]
    fn nothing_is_lost_unless_it_is_asked_for_and_a_seed_gives_the_same_again() {
        let mut clean = way(&far());
        assert!((0..10_000).all(|_| clean.send(at(0), 100) != Fate::Lost));
        let lossy = Network { loss: Percentage::of(5.0), jitter: MILLISECOND, ..far() };
        let fates = |seed, path| -> Vec<Fate> {
            let mut way = Way::new(&lossy, Direction::Up, seed, path);
            (0..500).map(|sent| way.send(at(sent), 100)).collect()
        };
        assert_eq!(fates(1, 0), fates(1, 0));
        assert_ne!(fates(1, 0), fates(2, 0));
        assert_ne!(fates(1, 0), fates(1, 1));
    }
}
