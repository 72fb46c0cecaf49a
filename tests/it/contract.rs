//! What every mechanism promises: every event arrives once, or is replaced where that is
//! promised, and none is invented; exchanges are counted alike on both sides; both halves stop
//! when told to.
//!
//! The tests run over `MECHANISMS`, so a new mechanism is tested unasked.

use std::sync::Arc;
use std::time::Duration;

use pollpush::clock::{self, Moment, WallAnchor};
use pollpush::counts::Counts;
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::{DeliveryError, Half, Mechanism, Strategy};
use pollpush::event::{Encoder, Sequence};
use pollpush::incident::Incident;
use pollpush::promise::Promise;
use pollpush::report::constraints;
use pollpush::source::feed::EventWriter;
use pollpush::source::lane::{Contents, Lane, LaneThread, SourceHalf};
use pollpush::source::log::event_log;
use pollpush::source::pacer::Pacer;
use pollpush::subscriber::inbox::{Delivery, Inbox};
use pollpush::subscriber::post::{Epoch, Life, Post, Readiness};
use pollpush::units::Bytes;
use pollpush::wire::auth::{Auth, Keyring};
use pollpush::wire::link::{HttpVersion, Line, Link};
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tally::Tally;
use pollpush::wire::tls::Authority;
use pollpush::wire::trouble::{Side, Trouble};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const EVENTS: u64 = 200;
pub(crate) const SUBSCRIBERS: u32 = 3;

/// Longer than anything here can take on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

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
        "hybrid" => vec![
            json!({}),
            json!({ "coalesce": true, "visibility-lag": "10ms", "sign": "standard-webhooks" }),
            json!({ "visibility-lag": "10ms", "client": "hyper", "concurrency": 1 }),
        ],
        "webhook+reconcile" => vec![
            json!({}),
            json!({ "every": "20ms", "limit": 7, "sign": "github", "client": "hyper" }),
        ],
        "sse" | "websocket" => vec![
            json!({}),
            json!({ "heartbeat": "10ms" }),
            json!({ "max-age": "50ms", "reconnect": "5ms" }),
        ],
        "null" => vec![json!({}), json!({ "delay": "5ms" })],
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
        Link { http, tls: true, ..plain.clone() },
        Link { auth: Auth::ApiKey, ..plain.clone() },
        Link { auth: Auth::Jwt, http, ..plain.clone() },
        Link { auth: Auth::OAuth2, tls: true, ..plain },
    ]
}

/// What one mechanism did with a short schedule.
pub(crate) struct Tried {
    promise: Promise,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) refused: u64,
    pub(crate) source: Counts,
    pub(crate) subscriber: Counts,
    pub(crate) epoch: Moment,
    /// Whether the subscriber can leave while a message is on its way to it.
    leaves_unannounced: bool,
    /// Whether there is no wire that anything could be counted on.
    in_process: bool,
}

/// A strategy at work, all of whose events have been emitted.
pub(crate) struct Running {
    promise: Promise,
    pub(crate) inbox: Inbox,
    lane: LaneThread<DeliveryError>,
    pacer: Pacer,
    half: JoinSet<Result<(), DeliveryError>>,
    tally: Tally,
    stop: CancellationToken,
    epoch: Moment,
    _conducting: JoinSet<std::io::Result<()>>,
}

impl Running {
    /// Starts a source and a subscriber half, and emits an event every millisecond.
    pub(crate) async fn start(
        strategy: Arc<dyn Strategy>,
        link: Link,
        subscriber: impl FnOnce(Post) -> Half,
    ) -> Running {
        Running::start_in(strategy, link, &[], subscriber).await
    }

    /// The same with something that goes wrong.
    pub(crate) async fn start_in(
        strategy: Arc<dyn Strategy>,
        link: Link,
        incidents: &[Incident],
        subscriber: impl FnOnce(Post) -> Half,
    ) -> Running {
        strategy.check(&link).unwrap();
        let trouble = |side| Trouble::of(incidents, side, strategy.target(), 7);
        let [at_source, at_subscriber] = [Side::Source, Side::Subscriber].map(trouble);
        let promise = strategy.promise();
        let (log_writer, log) = event_log();
        let schedule = Box::new((0..EVENTS).map(|event| event * 1_000_000));
        let mut pacer = Pacer::prepare(schedule, log_writer).unwrap();
        let writer = EventWriter::new(Encoder::new(Bytes(256)), WallAnchor::now());
        let contents = Contents { log, writer, seed: 7 };
        let (inbox, stop) = (Inbox::new(SUBSCRIBERS), CancellationToken::new());
        let into = inbox.clone();
        let half = move |lane: &Lane| match Arc::clone(&strategy).in_process() {
            Some(hand_over) => SourceHalf { routes: Routes::new(), work: hand_over(lane, into) },
            None => strategy.source(lane, Routes::new()),
        };
        let listener = bind_loopback().await.unwrap();
        let authority = link.tls.then(|| Authority::new().unwrap());
        let credentials = || authority.as_ref().map(|authority| authority.credentials().unwrap());
        let line = Line::new(link.clone()).secured(credentials().as_ref()).unwrap();
        let keyring = Keyring::random("contract");
        let line = line.guarded(&keyring).troubled(at_source);
        let lane = LaneThread::start("contract", listener, contents, line.clone(), half).unwrap();

        let line = Line::new(link).secured(credentials().as_ref()).unwrap().presenting(&keyring);
        let line = line.troubled(at_subscriber.clone());
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
            life: Life::default(),
        };
        let mut half = JoinSet::new();
        half.spawn(subscriber(post));
        let mut conducting = JoinSet::new();
        if let Some(trouble) = at_subscriber.clone() {
            conducting.spawn(async move { trouble.conduct().await });
        }
        readied.await.unwrap();
        let epoch = clock::now();
        pacer.start(epoch);
        lane.begin(epoch);
        if let Some(trouble) = &at_subscriber {
            trouble.begin(epoch);
        }
        // A half may do without it.
        let _ = epoch_known.send(Some(epoch));
        pacer.finished().await.unwrap();
        Running { promise, inbox, lane, pacer, half, tally, stop, epoch, _conducting: conducting }
    }

    /// What the source has counted so far.
    pub(crate) fn source(&self) -> Counts {
        self.lane.tally.counts()
    }

    pub(crate) async fn finish(mut self) -> Tried {
        self.stop.cancel();
        self.lane.release();
        self.half.join_next().await.unwrap().unwrap().unwrap();
        self.lane.stop().await.unwrap();
        let (deliveries, refused) = self.inbox.empty();
        let source = self.source();
        self.pacer.stop();
        self.lane.dismiss();
        let (subscriber, epoch) = (self.tally.counts(), self.epoch);
        Tried {
            promise: self.promise,
            deliveries,
            refused,
            source,
            subscriber,
            epoch,
            leaves_unannounced: false,
            in_process: false,
        }
    }
}

async fn try_out(mechanism: &dyn Mechanism, settings: Value, link: Link) -> Tried {
    let strategy = mechanism.restore(settings.clone()).unwrap();
    // Server-sent events have no goodbye, so the last heartbeat may be read by nobody.
    let leaves_unannounced = mechanism.name() == "sse" && settings.get("heartbeat").is_some();
    let in_process = Arc::clone(&strategy).in_process().is_some();
    let half = Arc::clone(&strategy);
    let running = Running::start(Arc::clone(&strategy), link, |post| half.subscriber(post)).await;
    if strategy.promise().ends_with_the_newest() {
        running.inbox.holds_newest(Sequence::at_index(EVENTS - 1)).await;
    } else {
        running.inbox.holds_all(EVENTS).await;
    }
    Tried { leaves_unannounced, in_process, ..running.finish().await }
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
    // Whoever asks again for what was pushed gets it twice.
    let most = if name.contains("+reconcile") { 2 } else { 1 };
    assert!(
        tried.deliveries.iter().all(|delivery| (1..=most).contains(&delivery.copies)),
        "{name}"
    );
}

fn both_sides_count_the_same_exchanges(name: &str, tried: &Tried) {
    let (source, subscriber) = (tried.source, tried.subscriber);
    if tried.in_process {
        assert_eq!((source, subscriber), (Counts::default(), Counts::default()), "{name}");
        return;
    }
    assert!(source.useful + source.streams > 0, "{name}");
    // An event that came the other way does not wait for its webhook, which may find nobody.
    let comes_two_ways = name.contains("+reconcile") || name.contains(r#""coalesce":true"#);
    assert!(source.failed == 0 || comes_two_ways, "{name}: {source:?}");
    assert_eq!(subscriber.failed, 0, "{name}");
    let outcomes = |counts: Counts| {
        let Counts { useful, empty, not_modified, rate_limited, streams, .. } = counts;
        (useful, empty, not_modified, rate_limited, streams, counts.overhead)
    };
    assert_eq!(outcomes(source), outcomes(subscriber), "{name}");
    assert!(source.connections >= u64::from(SUBSCRIBERS), "{name} {source:?}");
    // The shortest deliveries are thin notices that share a request.
    let bytes = tried.deliveries.len() as u64 * 150;
    assert!(source.bytes_received > 0 && source.bytes_sent > bytes, "{name} {bytes} {source:?}");
}

fn both_sides_count_the_same_messages(name: &str, tried: &Tried) {
    let (written, read) = (tried.source.messages, tried.subscriber.messages);
    if tried.leaves_unannounced {
        assert!(written >= read, "{name}: {written} messages were written, {read} read");
    } else {
        assert_eq!(written, read, "{name}");
    }
    // What no request carried came over a stream, unless there was no wire.
    let streamed = tried.source.useful == 0 && !tried.in_process;
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
fn every_mechanism_has_a_checklist_of_what_is_not_measured() {
    for mechanism in MECHANISMS {
        let control = mechanism.standing_alone().in_process().is_some();
        let listed = constraints::of(mechanism.name()).is_some();
        assert_eq!(listed, !control, "{}", mechanism.name());
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
