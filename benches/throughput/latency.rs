//! At a steady rate: the webhook's way beside a raw socket's, and the pacer's lateness.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use pollpush::clock::{self, Moment};
use pollpush::schedule::Arrivals;
use pollpush::source::log::event_log;
use pollpush::source::pacer::Pacer;
use pollpush::units::Rate;
use serde_json::json;

use crate::place::{self, SOURCE, SUBSCRIBER};
use crate::saturation::{Subscribed, end, start_lane, strategy};

/// How long each rate is kept up.
const SPAN: Duration = Duration::from_secs(3);

/// Bytes of a raw message: an event of 1 KiB with its envelope and a request's header.
const MESSAGE: usize = 1_500;

pub(crate) fn measure() -> Vec<(&'static str, f64)> {
    let slow = webhook(200.0);
    let fast = webhook(1_000.0);
    vec![
        ("raw one-way p50 µs at 200/s", raw_one_way(200.0)),
        ("webhook p50 µs at 200/s", slow.way_p50),
        ("raw one-way p50 µs at 1000/s", raw_one_way(1_000.0)),
        ("webhook p50 µs at 1000/s", fast.way_p50),
        ("emission lag p99 µs at 1000/s", fast.lag_p99),
    ]
}

struct Webhook {
    /// Median of usable − emitted.
    way_p50: f64,
    /// 99th percentile of emitted − due.
    lag_p99: f64,
}

fn due_offsets(rate: f64) -> Vec<u64> {
    Arrivals::Poisson.due_offsets(Rate::per_second(rate).unwrap(), 7, SPAN, None).unwrap().collect()
}

fn webhook(rate: f64) -> Webhook {
    let strategy = strategy("webhook", json!({ "sign": "standard-webhooks" }));
    let schedule = due_offsets(rate);
    let events = schedule.len() as u64;
    let (writer, log) = event_log();
    let lane = start_lane(&strategy, &log);
    let mut pacer =
        place::on(SOURCE, || Pacer::prepare(Box::new(schedule.into_iter()), writer)).unwrap();
    let deliveries = place::on(SUBSCRIBER, || {
        place::runtime().block_on(async {
            let subscribed = Subscribed::start(&strategy, lane.address, 1).await;
            pacer.start(clock::now());
            pacer.finished().await.unwrap();
            subscribed.inbox.holds_all(events).await;
            let (deliveries, _) = subscribed.inbox.empty();
            subscribed.finish().await;
            deliveries
        })
    });
    pacer.stop();
    end(lane);
    let entry = |sequence: pollpush::event::Sequence| log.get(sequence.index()).unwrap();
    let way = |delivery: &pollpush::subscriber::inbox::Delivery| {
        delivery.usable.since(entry(delivery.sequence).emitted)
    };
    let lag = |index| log.get(index).map(|entry| entry.emitted.since(entry.due)).unwrap();
    Webhook {
        way_p50: percentile(deliveries.iter().map(way).collect(), 50),
        lag_p99: percentile((0..events).map(lag).collect(), 99),
    }
}

/// One way of a message over a blocking socket, from before the write to after the read.
fn raw_one_way(rate: f64) -> f64 {
    let schedule = due_offsets(rate);
    let messages = schedule.len();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    sender.set_nodelay(true).unwrap();
    let ways = std::thread::scope(|scope| {
        scope.spawn(move || {
            place::pin(SOURCE);
            clock::sharpen_timers();
            let epoch = clock::now();
            let mut message = [0; MESSAGE];
            for offset in schedule {
                clock::sleep_until(epoch.after(Duration::from_nanos(offset)));
                message[..8].copy_from_slice(&clock::now().as_nanoseconds().to_le_bytes());
                sender.write_all(&message).unwrap();
            }
        });
        let reading = scope.spawn(move || {
            place::pin(SUBSCRIBER);
            let mut message = [0; MESSAGE];
            let read = |_| {
                receiver.read_exact(&mut message).unwrap();
                let arrived = clock::now();
                let sent = u64::from_le_bytes(*message.first_chunk().unwrap());
                arrived.since(Moment::from_nanoseconds(sent))
            };
            (0..messages).map(read).collect::<Vec<_>>()
        });
        reading.join().unwrap()
    });
    percentile(ways, 50)
}

/// The nearest-rank percentile, in microseconds.
fn percentile(mut spans: Vec<Duration>, percent: usize) -> f64 {
    spans.sort_unstable();
    let rank = (spans.len() * percent).div_ceil(100);
    spans[rank.max(1) - 1].as_secs_f64() * 1e6
}
