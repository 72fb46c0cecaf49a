//! What every mechanism promises: every event arrives once, or is replaced where that is
//! promised, and none is invented; exchanges are counted alike on both sides; both halves stop
//! when told to.
//!
//! The tests run over `MECHANISMS`, so a new mechanism is tested unasked.

use std::time::Duration;

use pollpush::clock::{self, Moment, WallAnchor};
use pollpush::counts::Counts;
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::{DeliveryError, Mechanism};
use pollpush::event::{Encoder, Sequence};
use pollpush::promise::Promise;
use pollpush::source::feed::EventWriter;
use pollpush::source::lane::{Contents, LaneThread};
use pollpush::source::log::event_log;
use pollpush::source::pacer::Pacer;
use pollpush::subscriber::inbox::{Delivery, Inbox};
use pollpush::subscriber::post::{Epoch, Post, Readiness};
use pollpush::units::Bytes;
use pollpush::wire::link::{HttpVersion, Line, Link};
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tls::Authority;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const EVENTS: u64 = 200;
const SUBSCRIBERS: u32 = 3;

/// Longer than anything here can take on a loaded machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Settings to try a mechanism with: the least a scenario must write, and its variations.
fn variations(mechanism: &str) -> Vec<Value> {
    match mechanism {
        "poll" => vec![
            json!({ "every": "20ms" }),
            json!({ "every": "20ms", "client": "hyper", "limit": 7 }),
            json!({ "every": "20ms", "beat": "fixed-delay" }),
            json!({ "every": "0ms" }),
            json!({ "every": "20ms", "jitter": 0.5, "conditional": true }),
            json!({ "adaptive": { "min": "5ms", "max": "40ms" }, "conditional": true }),
            json!({ "every": "20ms", "poll-interval-hint": "1s" }),
            json!({ "every": "20ms", "poll-interval-hint": "1s", "obey": false }),
            json!({ "every": "50ms", "retain": 10 }),
            json!({ "every": "20ms", "resource": "snapshot" }),
            json!({ "every": "3ms", "resource": "snapshot", "conditional": true }),
        ],
        "long-poll" => vec![
            json!({}),
            json!({ "hold": "1s", "client": "hyper", "limit": 7 }),
            json!({ "retain": 300 }),
        ],
        "webhook" => {
            vec![json!({}), json!({ "sign": "standard-webhooks" }), json!({ "concurrency": 1 })]
        }
        "sse" | "websocket" => vec![
            json!({}),
            json!({ "heartbeat": "10ms" }),
            json!({ "max-age": "50ms", "reconnect": "5ms" }),
        ],
        // A new mechanism is tried with its defaults until somebody writes variations.
        _ => vec![json!({})],
    }
}

/// Links to try every mechanism over, unless it refuses them.
fn links() -> Vec<Link> {
    let plain = Link::default();
    let http = HttpVersion::Two;
    vec![
        plain.clone(),
        Link { keep_alive: false, ..plain.clone() },
        Link { tls: true, ..plain.clone() },
        Link { tls: true, keep_alive: false, ..plain.clone() },
        Link { http, ..plain.clone() },
        Link { http, tls: true, ..plain },
    ]
}

/// What one mechanism did with a short schedule.
struct Tried {
    promise: Promise,
    deliveries: Vec<Delivery>,
    refused: u64,
    source: Counts,
    subscriber: Counts,
    epoch: Moment,
    /// Whether the subscriber can leave while a message is on its way to it.
    leaves_unannounced: bool,
}

async fn try_out(mechanism: &dyn Mechanism, settings: Value, link: Link) -> Tried {
    let strategy = mechanism.restore(settings.clone()).unwrap();
    strategy.check(&link).unwrap();
    // Server-sent events have no goodbye, so the last heartbeat may be read by nobody.
    let leaves_unannounced = mechanism.name() == "sse" && settings.get("heartbeat").is_some();
    let (log_writer, log) = event_log();
    let schedule = Box::new((0..EVENTS).map(|event| event * 1_000_000));
    let mut pacer = Pacer::prepare(schedule, log_writer).unwrap();
    let writer = EventWriter::new(Encoder::new(Bytes(256)), WallAnchor::now());
    let contents = Contents { log, writer };
    let authority = link.tls.then(|| Authority::new().unwrap());
    let credentials = || authority.as_ref().map(|authority| authority.credentials().unwrap());
    let line = Line::new(link.clone()).secured(credentials().as_ref()).unwrap();
    let source_half = strategy.clone();
    let half = move |lane: &_| source_half.source(lane, Routes::new());
    let listener = bind_loopback().await.unwrap();
    let mut lane =
        LaneThread::<DeliveryError>::start("contract", listener, contents, line.clone(), half)
            .unwrap();

    let (inbox, stop) = (Inbox::new(SUBSCRIBERS), CancellationToken::new());
    let line = Line::new(link).secured(credentials().as_ref()).unwrap();
    let tally = line.tally.clone();
    let (epoch_known, epoch) = Epoch::channel();
    let (ready, readied) = Readiness::channel();
    let post = Post {
        inbox: inbox.clone(),
        line,
        source: lane.address,
        subscribers: SUBSCRIBERS,
        stop: stop.clone(),
        seed: 7,
        ready,
        epoch,
    };
    let promise = strategy.promise();
    let mut half = JoinSet::new();
    half.spawn(strategy.subscriber(post));
    readied.await.unwrap();
    let epoch = clock::now();
    pacer.start(epoch);
    epoch_known.send(Some(epoch)).unwrap();
    pacer.finished().await.unwrap();
    if promise.ends_with_the_newest() {
        inbox.holds_newest(Sequence::at_index(EVENTS - 1)).await;
    } else {
        inbox.holds_all(EVENTS).await;
    }

    stop.cancel();
    lane.release();
    half.join_next().await.unwrap().unwrap().unwrap();
    lane.stop().await.unwrap();
    pacer.stop();
    let (deliveries, refused) = inbox.empty();
    let source = lane.tally.counts();
    lane.dismiss();
    let subscriber = tally.counts();
    Tried { promise, deliveries, refused, source, subscriber, epoch, leaves_unannounced }
}

async fn try_everything(check: impl Fn(&str, &Tried)) {
    for mechanism in MECHANISMS {
        for settings in variations(mechanism.name()) {
            for link in links() {
                let refused = mechanism.restore(settings.clone()).unwrap().check(&link).is_err();
                if refused {
                    continue;
                }
                let name = format!("{} {settings} {link:?}", mechanism.name());
                let trying = try_out(*mechanism, settings.clone(), link);
                let tried = tokio::time::timeout(DEADLINE, trying).await;
                check(&name, &tried.unwrap_or_else(|_| panic!("{name} hangs")));
            }
        }
    }
}

#[tokio::test]
async fn every_mechanism_keeps_the_contract() {
    try_everything(|name, tried| {
        what_is_promised_arrives_once_and_nothing_is_invented(name, tried);
        both_sides_count_the_same_exchanges(name, tried);
        both_sides_count_the_same_messages(name, tried);
        stamps_are_in_order(name, tried);
    })
    .await;
}

fn what_is_promised_arrives_once_and_nothing_is_invented(name: &str, tried: &Tried) {
    assert_eq!(tried.refused, 0, "{name}");
    for subscriber in 0..SUBSCRIBERS {
        let name = format!("{name}, subscriber {subscriber}");
        let mut numbers: Vec<u64> = tried
            .deliveries
            .iter()
            .filter(|delivery| delivery.subscriber == subscriber)
            .map(|delivery| delivery.sequence.get())
            .collect();
        assert!(!tried.promise.ordered || numbers.is_sorted(), "{name}: {numbers:?}");
        numbers.sort_unstable();
        if tried.promise.complete && !tried.promise.coalesces {
            assert_eq!(numbers, (1..=EVENTS).collect::<Vec<_>>(), "{name}");
        }
        // What was replaced or let go leaves a gap, but never at the end.
        assert_eq!(numbers.last(), Some(&EVENTS), "{name}");
        assert!(numbers.is_sorted_by(|before, after| before < after), "{name}: {numbers:?}");
    }
    assert!(tried.deliveries.iter().all(|delivery| delivery.copies == 1), "{name}");
}

fn both_sides_count_the_same_exchanges(name: &str, tried: &Tried) {
    let (source, subscriber) = (tried.source, tried.subscriber);
    assert!(source.useful + source.streams > 0, "{name}");
    assert_eq!(source.failed, 0, "{name}");
    let outcomes = |counts: Counts| {
        let Counts { useful, empty, not_modified, rate_limited, streams, .. } = counts;
        let rest = (counts.failed, counts.overhead);
        (useful, empty, not_modified, rate_limited, streams, rest)
    };
    assert_eq!(outcomes(source), outcomes(subscriber), "{name}");
    assert!(source.connections >= u64::from(SUBSCRIBERS), "{name}");
    let bytes = tried.deliveries.len() as u64 * 256;
    assert!(source.bytes_received > 0 && source.bytes_sent > bytes, "{name}");
}

fn both_sides_count_the_same_messages(name: &str, tried: &Tried) {
    let (written, read) = (tried.source.messages, tried.subscriber.messages);
    if tried.leaves_unannounced {
        assert!(written >= read, "{name}: {written} messages were written, {read} read");
    } else {
        assert_eq!(written, read, "{name}");
    }
    // What no request carried came over a stream.
    let streamed = tried.source.useful == 0;
    assert!(!streamed || read >= EVENTS * u64::from(SUBSCRIBERS), "{name}: {read} messages");
}

fn stamps_are_in_order(name: &str, tried: &Tried) {
    for delivery in &tried.deliveries {
        let due = tried.epoch.after(Duration::from_millis(delivery.sequence.index()));
        assert!(due <= delivery.arrived, "{name}");
        assert!(delivery.arrived <= delivery.usable, "{name}");
    }
}

#[test]
fn mechanisms_have_distinct_names_and_say_what_they_are() {
    let mut names: Vec<&str> = MECHANISMS.iter().map(|mechanism| mechanism.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MECHANISMS.len());
    for mechanism in MECHANISMS {
        assert!(mechanism.summary().ends_with('.'), "{}", mechanism.name());
    }
}

#[test]
fn resolved_settings_make_the_same_strategy_again() {
    for mechanism in MECHANISMS {
        for settings in variations(mechanism.name()) {
            let resolved = mechanism.restore(settings).unwrap().settings();
            let again = mechanism.restore(resolved.clone()).unwrap().settings();
            assert_eq!(again, resolved, "{}", mechanism.name());
        }
    }
}
