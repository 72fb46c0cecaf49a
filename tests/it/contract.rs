//! What every mechanism promises: every event arrives once and none is invented, exchanges
//! are counted alike on both sides, and both halves stop when told to.
//!
//! The tests run over `MECHANISMS`, so a new mechanism is tested unasked.

use std::time::Duration;

use pollpush::clock::{self, Moment, WallAnchor};
use pollpush::counts::Counts;
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::{DeliveryError, Mechanism};
use pollpush::event::Encoder;
use pollpush::source::feed::EventWriter;
use pollpush::source::lane::{Contents, LaneThread};
use pollpush::source::log::event_log;
use pollpush::source::pacer::Pacer;
use pollpush::subscriber::inbox::{Delivery, Inbox};
use pollpush::subscriber::post::{Epoch, Post, Readiness};
use pollpush::units::Bytes;
use pollpush::wire::link::{Line, Link};
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
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
        ],
        "webhook" => {
            vec![
                json!({}),
                json!({ "sign": "standard-webhooks", "retries": "svix", "time-scale": 0.001 }),
                json!({ "sign": "x-signature", "ordered": true, "concurrency": 1 }),
                json!({ "sign": "github", "receiver": { "handle": "1ms", "workers": 4 } }),
                json!({ "payload": "thin", "retry-budget": 0.1, "retries": ["1s"] }),
                json!({ "batch": { "linger": "20ms", "max": 7 }, "sign": "standard-webhooks" }),
                json!({ "batch": { "linger": "20ms" }, "payload": "thin" }),
            ]
        }
        // A new mechanism is tried with its defaults until somebody writes variations.
        _ => vec![json!({})],
    }
}

/// Links to try every mechanism over, unless it refuses them.
fn links() -> Vec<Link> {
    vec![Link::default(), Link { keep_alive: false }]
}

/// What one mechanism did with a short schedule.
struct Tried {
    deliveries: Vec<Delivery>,
    refused: u64,
    source: Counts,
    subscriber: Counts,
    epoch: Moment,
}

async fn try_out(mechanism: &dyn Mechanism, settings: Value, link: Link) -> Tried {
    let strategy = mechanism.restore(settings).unwrap();
    strategy.check(&link).unwrap();
    let (log_writer, log) = event_log();
    let schedule = Box::new((0..EVENTS).map(|event| event * 1_000_000));
    let mut pacer = Pacer::prepare(schedule, log_writer).unwrap();
    let writer = EventWriter::new(Encoder::new(Bytes(256)), WallAnchor::now());
    let contents = Contents { log, writer, seed: 7 };
    let line = Line::new(link);
    let source_half = strategy.clone();
    let half = move |lane: &_| source_half.source(lane, Routes::new());
    let listener = bind_loopback().await.unwrap();
    let mut lane =
        LaneThread::<DeliveryError>::start("contract", listener, contents, line.clone(), half)
            .unwrap();

    let (inbox, stop) = (Inbox::new(SUBSCRIBERS), CancellationToken::new());
    let line = Line::new(line.link);
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
    let mut half = JoinSet::new();
    half.spawn(strategy.subscriber(post));
    readied.await.unwrap();
    let epoch = clock::now();
    pacer.start(epoch);
    epoch_known.send(Some(epoch)).unwrap();
    pacer.finished().await.unwrap();
    inbox.holds(EVENTS * u64::from(SUBSCRIBERS)).await;

    stop.cancel();
    half.join_next().await.unwrap().unwrap().unwrap();
    lane.stop().await.unwrap();
    pacer.stop();
    let (deliveries, refused) = inbox.empty();
    let source = lane.tally.counts();
    lane.dismiss();
    Tried { deliveries, refused, source, subscriber: tally.counts(), epoch }
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
        every_event_arrives_once_and_none_is_invented(name, tried);
        both_sides_count_the_same_exchanges(name, tried);
        stamps_are_in_order(name, tried);
    })
    .await;
}

fn every_event_arrives_once_and_none_is_invented(name: &str, tried: &Tried) {
    assert_eq!(tried.refused, 0, "{name}");
    for subscriber in 0..SUBSCRIBERS {
        let mut numbers: Vec<u64> = tried
            .deliveries
            .iter()
            .filter(|delivery| delivery.subscriber == subscriber)
            .map(|delivery| delivery.sequence.get())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=EVENTS).collect::<Vec<_>>(), "{name}, subscriber {subscriber}");
    }
    assert!(tried.deliveries.iter().all(|delivery| delivery.copies == 1), "{name}");
}

fn both_sides_count_the_same_exchanges(name: &str, tried: &Tried) {
    let (source, subscriber) = (tried.source, tried.subscriber);
    assert!(source.useful > 0, "{name}");
    assert_eq!(source.failed, 0, "{name}");
    let outcomes = |counts: Counts| (counts.useful, counts.empty, counts.failed, counts.overhead);
    assert_eq!(outcomes(source), outcomes(subscriber), "{name}");
    assert!(source.connections >= u64::from(SUBSCRIBERS), "{name}");
    assert!(source.bytes_received > 0 && source.bytes_sent > EVENTS * 200, "{name}");
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
