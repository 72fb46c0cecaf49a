//! Every closed form against a simulation that knows the wire and nothing of the form.
//!
//! Requests, reads and answers are followed one by one; seeds are fixed, so a test passes or
//! fails for good. 100,000 events bring a mean within about 1 %.

use std::time::Duration;

use rand::RngExt;

use super::adaptive_poll::AdaptivePoll;
use super::batched_webhook::BatchedWebhook;
use super::bounded_poll::BoundedPoll;
use super::interval_poll::IntervalPoll;
use super::latency::Latency;
use super::long_poll::LongPoll;
use super::prediction::Quantity;
use super::reads::Reads;
use super::reconciled_webhook::ReconciledWebhook;
use super::retries::{Outage, Retries};
use super::snapshot_poll::SnapshotPoll;
use super::staleness::Staleness;
use super::stream::{Ends, Stream};
use super::webhook::Webhook;
use super::{Beat, Conditions, Form};
use crate::schedule::{Arrivals, Batch, random_stream};
use crate::units::{Rate, nanoseconds};

const EVENTS: f64 = 100_000.0;

fn seconds(time: f64) -> Duration {
    Duration::from_secs_f64(time)
}

/// Events and a network; times are seconds.
struct World {
    rate: f64,
    arrivals: Arrivals,
    /// One way.
    way: f64,
    /// What the other side takes to answer.
    server: f64,
    /// Round trips before each exchange.
    set_up: u32,
    /// How long after the last event arrivals count.
    drain: f64,
}

/// What a simulated strategy did.
#[derive(Default)]
struct Seen {
    latencies: Vec<f64>,
    /// When each event was due and when it was usable, if ever.
    states: Vec<(f64, f64)>,
    requests: u64,
    empty: u64,
    /// Of the empty ones, those that follow another one.
    unchanged: u64,
    lost: u64,
    duplicated: u64,
}

/// What became of one read of the source.
struct Read {
    answered: f64,
    found: bool,
}

impl Seen {
    fn arrives(&mut self, due: f64, usable: f64) {
        self.latencies.push(usable - due);
        self.states.push((due, usable));
    }

    fn misses(&mut self, due: f64) {
        self.lost += 1;
        self.states.push((due, f64::INFINITY));
    }

    /// The share of a window in which some event was due and neither it nor a later one usable.
    fn stale(&self, window: f64) -> f64 {
        let (mut stale, mut next, mut earliest) = (0.0, window, window);
        for (due, usable) in self.states.iter().rev() {
            earliest = usable.min(earliest);
            stale += (earliest.min(next) - due).max(0.0);
            next = *due;
        }
        stale / window
    }
}

impl World {
    fn new(rate: f64, way: f64) -> World {
        World { rate, arrivals: Arrivals::Poisson, way, server: 0.0, set_up: 0, drain: 1_000.0 }
    }

    fn window(&self) -> f64 {
        EVENTS / self.rate
    }

    fn events(&self) -> Vec<f64> {
        let rate = Rate::per_second(self.rate).expect("a rate");
        let due =
            self.arrivals.due_offsets(rate, 11, seconds(self.window()), None).expect("no trace");
        due.map(|due| due as f64 / 1e9).collect()
    }

    /// From sending a request over a new or kept connection to its arrival.
    fn there(&self) -> f64 {
        f64::from(self.set_up) * 2.0 * self.way + self.way
    }

    fn exchange(&self) -> f64 {
        self.there() + self.server + self.way
    }

    fn conditions(&self) -> Conditions {
        Conditions {
            rate: Rate::per_second(self.rate).expect("a rate"),
            arrivals: self.arrivals.clone(),
            warm_up: Duration::ZERO,
            window: seconds(self.window()),
            drain: seconds(self.drain),
            subscribers: 1,
            exchange: seconds(self.exchange()),
            rtt: Some(seconds(2.0 * self.way)),
            server: seconds(self.server),
            set_up: self.set_up,
            request_way: None,
            dialling: 1,
        }
    }

    /// Polls; `next` gives the moment of the next from that of the last and its read.
    fn poll(&self, keeps: usize, mut next: impl FnMut(f64, &Read) -> f64) -> Seen {
        let events = self.events();
        let mut seen = Seen::default();
        let (mut sent, mut first) = (0.0, 0);
        let mut found = true;
        while sent < self.window() {
            let read = sent + self.there();
            let answered = read + self.server + self.way;
            let last = first + events[first..].partition_point(|event| *event <= read);
            let kept = last.saturating_sub(keeps).max(first);
            events[first..kept].iter().for_each(|event| seen.misses(*event));
            events[kept..last].iter().for_each(|event| seen.arrives(*event, answered));
            seen.requests += 1;
            seen.empty += u64::from(last == first);
            seen.unchanged += u64::from(last == first && !found);
            found = last > first;
            sent = next(sent, &Read { answered, found });
            first = last;
        }
        seen
    }

    fn poll_at_intervals(&self, reads: &Reads, keeps: usize) -> Seen {
        let mut random = random_stream(5, 0);
        let every = reads.every.as_secs_f64();
        self.poll(keeps, move |sent, read| {
            let interval = every * (1.0 + reads.jitter * random.random_range(-1.0..=1.0));
            match reads.beat {
                Beat::FixedDelay => read.answered + interval,
                Beat::FixedRate => {
                    let mut next = sent + interval;
                    while next < read.answered {
                        next += interval;
                    }
                    next
                }
            }
        })
    }

    fn long_poll(&self, hold: f64, rearm: f64) -> Seen {
        let events = self.events();
        let mut seen = Seen::default();
        let (mut sent, mut first) = (0.0, 0);
        while sent < self.window() {
            let arrived = sent + self.there();
            let expires = arrived + hold;
            let read = events.get(first).map_or(expires, |event| event.max(arrived).min(expires));
            let answered = read + self.server + self.way;
            let last = first + events[first..].partition_point(|event| *event <= read);
            events[first..last].iter().for_each(|event| seen.arrives(*event, answered));
            seen.requests += 1;
            seen.empty += u64::from(last == first);
            (first, sent) = (last, answered + rearm);
        }
        seen
    }

    /// One request at a time, in order.
    fn webhook(&self, handle: f64) -> Seen {
        let mut free = 0.0_f64;
        let mut seen = Seen::default();
        for event in self.events() {
            let sent = free.max(event);
            free = sent + self.there() + handle + self.way;
            seen.arrives(event, sent + self.there() + handle);
            seen.requests += 1;
        }
        seen
    }

    /// Whichever connection is free first takes the next event.
    fn webhook_over(&self, connections: usize) -> Seen {
        let mut free = vec![0.0_f64; connections];
        let mut seen = Seen::default();
        for event in self.events() {
            let first = free.iter_mut().min_by(|one, other| one.total_cmp(other)).expect("one");
            let sent = first.max(event);
            *first = sent + self.exchange();
            seen.arrives(event, sent + self.there());
            seen.requests += 1;
        }
        seen
    }

    fn webhook_with_retries(&self, retries: &Retries) -> Seen {
        let mut random = random_stream(6, 0);
        let mut seen = Seen::default();
        let outage = retries
            .outage
            .map_or(0.0..0.0, |Outage { at, lasts }| at as f64 / 1e9..(at + lasts) as f64 / 1e9);
        for event in self.events() {
            let (mut sent, mut copies) = (event, 0);
            for attempt in 0..=retries.waits.len() {
                if let Some(before) = attempt.checked_sub(1) {
                    let longest = retries.waits[before] as f64 / 1e9;
                    let shortest =
                        retries.shortest.get(before).map_or(longest, |s| *s as f64 / 1e9);
                    let wait = shortest + (longest - shortest) * random.random::<f64>();
                    let failed = sent + self.exchange();
                    sent =
                        if retries.from_first { failed.max(event + wait) } else { failed + wait };
                }
                seen.requests += u64::from(sent + self.exchange() < self.window());
                let arrives = sent + self.there();
                let fails = random.random::<f64>() < retries.failing;
                if fails || outage.contains(&arrives) {
                    continue;
                }
                if arrives < self.window() + self.drain {
                    copies += 1;
                    if copies == 1 {
                        seen.arrives(event, arrives);
                    }
                }
                if random.random::<f64>() >= retries.unanswered {
                    break;
                }
            }
            seen.duplicated += u64::from(copies.max(1) - 1_u32);
            if copies == 0 {
                seen.misses(event);
            }
        }
        seen
    }

    /// The first stream was opened before the first event.
    fn stream(&self, ends: Ends, before: f64) -> Seen {
        let mut seen = Seen::default();
        let mut opened = -before;
        let mut ended = opened + ends.after as f64 / 1e9;
        for event in self.events() {
            let mut missed = event >= ended;
            while event >= ended {
                let told = ended + self.way;
                // Over a new connection.
                opened = told + ends.reconnect as f64 / 1e9 + 2.0 * self.way + self.way;
                ended = opened + ends.after as f64 / 1e9;
                seen.requests += u64::from(opened < self.window());
                missed = event < opened;
            }
            // Several events may be missed before the same opening.
            missed |= event < opened;
            match (missed, ends.replay) {
                (false, _) => seen.arrives(event, event + self.way),
                (true, true) => seen.arrives(event, opened + self.way),
                (true, false) => seen.misses(event),
            }
        }
        seen
    }

    fn batched_webhook(&self, linger: f64, most: usize) -> Seen {
        let events = self.events();
        let mut seen = Seen::default();
        let mut first = 0;
        while first < events.len() {
            let ends = events[first] + linger;
            let in_time = first + events[first..].partition_point(|event| *event <= ends);
            let last = in_time.min(first + most);
            let full = last == first + most;
            let sent = if full { events[last - 1] } else { ends };
            let usable = sent + self.there();
            events[first..last].iter().for_each(|event| seen.arrives(*event, usable));
            seen.requests += 1;
            first = last;
        }
        seen
    }

    /// Webhooks and polls know nothing of each other; the first copy counts.
    fn reconciled_webhook(&self, every: f64, retries: &Retries) -> Seen {
        let reads = Reads::every(seconds(every), Beat::FixedRate);
        let polled = self.poll_at_intervals(&reads, usize::MAX);
        let posted = self.webhook_with_retries(retries);
        let mut seen = Seen { requests: polled.requests + posted.requests, ..Seen::default() };
        for ((due, read), (same, posted)) in polled.states.iter().zip(posted.states) {
            assert!((due - same).abs() < 1e-12, "the same events in the same order");
            seen.arrives(*due, read.min(posted));
            seen.duplicated += u64::from(posted.is_finite());
        }
        seen.empty = polled.empty;
        seen
    }
}

/// Compares; everything may be four standard deviations away.
fn assert_agrees(form: &dyn Form, world: &World, seen: Seen) {
    let predicted = form.predict(&world.conditions());
    let place = format!("{}: {:?}", predicted.words, predicted.counts);
    let measured = [
        (Quantity::Requests, seen.requests),
        (Quantity::Empty, seen.empty),
        (Quantity::NotModified, seen.unchanged),
        (Quantity::Duplicated, seen.duplicated),
        (Quantity::Lost, seen.lost),
        (Quantity::Delivered, seen.latencies.len() as u64),
    ];
    for (quantity, count) in &predicted.counts {
        let Some((_, measured)) = measured.iter().find(|(of, _)| of == quantity) else { continue };
        let owed = world.events().len() as f64 - world.conditions().deliveries();
        let off = *measured as f64 - count.expected - count.per_delivery * owed;
        let allowed = 4.0 * count.deviation + count.edge + 3.0;
        assert!(off.abs() <= allowed, "{quantity:?} off by {off} of ± {allowed} in {place}");
        assert!(count.deviation <= 0.02 * EVENTS, "a vague claim: {place}");
    }
    if let Some(Staleness { share, deviation, edge, .. }) = predicted.staleness {
        let (stale, allowed) = (seen.stale(world.window()), 4.0 * deviation + edge + 1e-4);
        assert!(
            (stale - share).abs() <= allowed,
            "stale {stale} for {share} ± {allowed} in {place}"
        );
        assert!(deviation < 0.05, "a vague claim: {deviation} in {place}");
    }
    assert_latencies(&predicted.latency, seen.latencies, &place);
}

/// The first and last events meet a strategy that has not begun or has ended.
fn assert_latencies(latency: &Latency, mut seen: Vec<f64>, place: &str) {
    seen = seen.split_off(100);
    seen.truncate(seen.len() - 100);
    seen.sort_by(f64::total_cmp);
    let samples = seen.len();
    let time = |claimed: Option<Duration>| claimed.expect("claimed").as_secs_f64();
    // Waits of a burst are alike, which makes the mean of all deviate up to twice as much.
    let (mean, measured) = (time(latency.mean()), seen.iter().sum::<f64>() / samples as f64);
    let allowed = 8.0 * time(latency.deviation()) / (samples as f64).sqrt() + 0.002 * mean;
    assert!((mean - measured).abs() <= allowed, "mean {mean} for {measured} in {place}");
    for p in [0.5, 0.99] {
        let deviation = 4.0 * (p * (1.0 - p) / samples as f64).sqrt();
        let rank = |p: f64| (0..samples).rfind(|rank| *rank as f64 <= p * samples as f64).unwrap();
        let (low, high) = (seen[rank(p - deviation)], seen[rank(p + deviation)]);
        let quantile = time(latency.quantile(p));
        let inside = (0.995 * low..=1.005 * high).contains(&quantile);
        assert!(inside, "{p}: {quantile} outside {low} to {high} in {place}");
    }
    // Draws of jittered waits come close to their bounds only.
    let bounds = 0.98 * time(Some(latency.min())) - 1e-6..=1.02 * time(latency.max()) + 1e-6;
    let extremes = [seen[0], seen[samples - 1]];
    assert!(extremes.iter().all(|seen| bounds.contains(seen)), "{extremes:?} in {place}");
}

fn reads(every: f64, beat: Beat) -> Reads {
    Reads::every(seconds(every), beat)
}

fn long_poll(hold: f64, rearm: f64) -> LongPoll {
    LongPoll { hold: seconds(hold), rearm: seconds(rearm) }
}

#[test]
fn interval_polls() {
    for beat in [Beat::FixedRate, Beat::FixedDelay] {
        // A round trip of half the interval tells G/2 + d from G/2 + 2d; with a server and a
        // set-up, an exchange takes longer than the interval.
        for (server, set_up) in [(0.0, 0), (0.01, 0), (0.02, 1)] {
            for jitter in [0.0, 0.3] {
                let world = World { server, set_up, ..World::new(20.0, 0.025) };
                let reads = Reads { jitter, ..reads(0.1, beat) };
                // Beats that are missed and jittered are not simulated: the grid moves.
                if jitter > 0.0 && beat == Beat::FixedRate && set_up > 0 {
                    continue;
                }
                let seen = world.poll_at_intervals(&reads, usize::MAX);
                assert_agrees(&IntervalPoll { reads, limit: 1_000 }, &world, seen);
            }
        }
    }
}

#[test]
fn conditional_polls() {
    let world = World::new(20.0, 0.005);
    for every in [0.02, 0.05, 0.125] {
        let reads = Reads { conditional: true, ..reads(every, Beat::FixedRate) };
        let seen = world.poll_at_intervals(&reads, usize::MAX);
        // The first poll behind a new cursor is answered in full.
        let seen = Seen { empty: seen.empty - seen.unchanged, ..seen };
        assert_agrees(&IntervalPoll { reads, limit: 1_000 }, &world, seen);
    }
}

#[test]
fn snapshot_polls() {
    let world = World::new(20.0, 0.005);
    for jitter in [0.0, 0.5] {
        let reads = Reads { jitter, ..reads(0.125, Beat::FixedRate) };
        // Without news the same state is sent again, which is not empty.
        let seen = Seen { empty: 0, ..world.poll_at_intervals(&reads, 1) };
        assert_agrees(&SnapshotPoll { reads }, &world, seen);
    }
}

#[test]
fn polls_of_a_bounded_feed() {
    let world = World::new(20.0, 0.005);
    for keeps in [2_u16, 5, 20] {
        let reads = reads(0.25, Beat::FixedDelay);
        let seen = world.poll_at_intervals(&reads, keeps.into());
        let form = BoundedPoll { reads, limit: 1_000, keeps: keeps.into() };
        assert_agrees(&form, &world, seen);
    }
}

#[test]
fn adaptive_polls() {
    for rate in [0.5, 5.0, 50.0] {
        let world = World::new(rate, 0.02);
        let (fastest, slowest, factor) = (0.1, 1.0_f64, 2.0);
        let mut interval: f64 = fastest;
        let seen = world.poll(usize::MAX, |_, read| {
            interval = if read.found { fastest } else { (interval * factor).min(slowest) };
            read.answered + interval
        });
        let (fastest, slowest) = (seconds(fastest), seconds(slowest));
        assert_agrees(&AdaptivePoll { fastest, slowest, factor }, &world, seen);
    }
}

#[test]
fn long_polls() {
    for rate in [0.1, 1.0, 20.0, 200.0] {
        for rearm in [0.0, 0.05] {
            let world = World { server: 0.01, ..World::new(rate, 0.05) };
            assert_agrees(&long_poll(5.0, rearm), &world, world.long_poll(5.0, rearm));
        }
    }
}

#[test]
fn long_polls_of_evenly_spaced_events() {
    for (rate, way) in [(5.0, 0.05), (20.0, 0.0613)] {
        let world = World { arrivals: Arrivals::Constant, ..World::new(rate, way) };
        assert_agrees(&long_poll(5.0, 0.0), &world, world.long_poll(5.0, 0.0));
    }
}

#[test]
fn ordered_webhooks() {
    for (handle, set_up) in [(0.0, 0), (0.02, 0), (0.01, 1)] {
        let world = World { set_up, ..World::new(20.0, 0.005) };
        let seen = world.webhook(handle);
        let exchange = seconds(world.exchange() + handle);
        let form = Webhook { handle: seconds(handle), ..Webhook::plain(1) };
        // The subscriber's time is part of the exchange.
        let conditions = Conditions { exchange, ..world.conditions() };
        let mean = form.predict(&conditions).latency.mean().expect("M/D/1").as_secs_f64();
        let measured = seen.latencies.iter().sum::<f64>() / seen.latencies.len() as f64;
        assert!((mean / measured - 1.0).abs() < 0.02, "{mean} for {measured}");
    }
}

#[test]
fn webhooks_of_events_that_come_in_batches() {
    for (batch_size, connections) in [(50, 4), (7, 4), (1_000, 1)] {
        let arrivals = Arrivals::Batch(Batch { batch_size });
        // Of a thousand batches, one in fifty meets another at most.
        let world = World { arrivals, ..World::new(1.0, 0.005) };
        let seen = world.webhook_over(connections);
        let form = Webhook::plain(u32::try_from(connections).expect("few"));
        let latency = form.predict(&world.conditions()).latency;
        let mean = latency.mean().expect("claimed").as_secs_f64();
        let measured = seen.latencies.iter().sum::<f64>() / seen.latencies.len() as f64;
        // What is left of a batch that others meet: half of it, as often as it is busy.
        assert!((measured / mean - 1.0).abs() < 0.03, "{measured} for {mean}");
        let median = latency.quantile(0.5).expect("claimed").as_secs_f64();
        let mut sorted = seen.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        let measured = sorted[sorted.len() / 2];
        assert!((measured - median).abs() < 0.02 * median + 0.011, "{measured} for {median}");
    }
}

#[test]
fn webhooks_with_retries() {
    for (failing, unanswered) in [(0.2, 0.0), (0.2, 0.1), (0.01, 0.3)] {
        let world = World::new(20.0, 0.05);
        let waits = vec![1_000_000_000, 2_000_000_000, 4_000_000_000];
        assert_retries(&world, Retries { waits, failing, unanswered, ..Retries::default() });
    }
}

fn assert_retries(world: &World, retries: Retries) {
    let seen = world.webhook_with_retries(&retries);
    let form = Webhook { retries: Some(retries), ..Webhook::plain(100) };
    assert_agrees(&form, world, seen);
}

/// Whole seconds, in nanoseconds.
fn waits(seconds: &[u64]) -> Vec<u64> {
    seconds.iter().map(|seconds| seconds * 1_000_000_000).collect()
}

/// Out of order for 1,500 of 5,000 seconds.
fn outage() -> Retries {
    let [at, lasts] = [1_000, 1_500].map(|seconds| seconds * 1_000_000_000);
    Retries { outage: Some(Outage { at, lasts }), ..Retries::default() }
}

#[test]
fn webhooks_in_an_outage() {
    let world = World::new(20.0, 0.05);
    // Schedules shorter than the outage, longer, and a first retry at once.
    for schedule in [&[][..], &[5, 300, 1_800, 7_200], &[0, 60, 300], &[600, 600, 600]] {
        for failing in [0.0, 0.2] {
            assert_retries(&world, Retries { waits: waits(schedule), failing, ..outage() });
        }
    }
}

#[test]
fn webhooks_whose_waits_vary_or_begin_with_the_first_attempt() {
    let world = World::new(20.0, 0.05);
    let (longest, shortest) = (waits(&[20, 600, 1_200]), waits(&[10, 0, 900]));
    for retries in [outage(), Retries { failing: 0.3, ..Retries::default() }] {
        let jittered =
            Retries { waits: longest.clone(), shortest: shortest.clone(), ..retries.clone() };
        assert_retries(&world, jittered);
        assert_retries(&world, Retries { waits: longest.clone(), from_first: true, ..retries });
    }
}

#[test]
fn retries_that_come_after_the_drain_are_lost() {
    let world = World { drain: 100.0, ..World::new(20.0, 0.05) };
    let [at, lasts] = [3_000, 1_990].map(|seconds| seconds * 1_000_000_000);
    let outage = Some(Outage { at, lasts });
    let retries = Retries { waits: waits(&[50, 500, 1_500]), outage, ..Retries::default() };
    let form = Webhook { retries: Some(retries.clone()), ..Webhook::plain(100) };
    let lost = form.predict(&world.conditions()).count(Quantity::Lost).expect("claimed").expected;
    assert!(lost > 0.1 * EVENTS, "{lost} of the events of the outage");
    assert_retries(&world, retries);
}

#[test]
fn streams_that_end_and_are_opened_again() {
    let world = World::new(20.0, 0.05);
    for (after, reconnect) in [(9.0, 0.8), (0.7, 0.1), (30.0, 20.0)] {
        for replay in [true, false] {
            let [after, reconnect] = [after, reconnect].map(|time| nanoseconds(seconds(time)));
            let ends = Ends { after, reconnect, replay };
            let form = Stream { heartbeat: None, ends: Some(ends) };
            assert_agrees(&form, &world, world.stream(ends, 0.3));
        }
    }
}

#[test]
fn batched_webhooks() {
    for (linger, most) in [(0.1, 1_000_u16), (0.5, 1_000), (0.5, 8), (0.5, 2), (0.5, 1)] {
        let world = World::new(20.0, 0.01);
        let form = BatchedWebhook { linger: seconds(linger), most: most.into() };
        assert_agrees(&form, &world, world.batched_webhook(linger, most.into()));
    }
}

#[test]
fn batches_of_evenly_spaced_events() {
    for (linger, most) in [(0.17, 1_000_u16), (0.17, 3), (0.01, 9)] {
        let world = World { arrivals: Arrivals::Constant, ..World::new(20.0, 0.01) };
        let form = BatchedWebhook { linger: seconds(linger), most: most.into() };
        assert_agrees(&form, &world, world.batched_webhook(linger, most.into()));
    }
}

#[test]
fn reconciled_webhooks() {
    let world = World::new(20.0, 0.01);
    // Without retries, with some that come before the poll and some after, and in an outage.
    for (schedule, failing, base) in [
        (&[][..], 0.1, Retries::default()),
        (&[1, 5, 5], 0.4, Retries::default()),
        (&[1, 5, 600], 0.0, outage()),
    ] {
        let retries = Retries { waits: waits(schedule), failing, ..base };
        let seen = world.reconciled_webhook(2.0, &retries);
        let webhook = Webhook { retries: Some(retries), ..Webhook::plain(100) };
        let form = ReconciledWebhook { webhook, reads: reads(2.0, Beat::FixedRate) };
        assert_agrees(&form, &world, seen);
    }
}
