//! What mechanisms that push do when endpoints fail, are slow, or do not believe the sender.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::{DeliveryError, Half, Strategy};
use pollpush::event::Payload;
use pollpush::incident::Incident;
use pollpush::subscriber::post::Post;
use pollpush::subscriber::receiver::{Receiver, Reception};
use pollpush::wire::client::{Client, ClientKind};
use pollpush::wire::link::Link;
use pollpush::wire::reply::Reply;
use pollpush::wire::routes::Routes;
use pollpush::wire::signature::{Scheme, SigningKey, Verifier};
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tally::Outcome;
use serde_json::{Value, json};

use crate::contract::{DEADLINE, EVENTS, Running, SUBSCRIBERS, Tried};

/// Deliveries owed to all subscribers.
const OWED: u64 = EVENTS * SUBSCRIBERS as u64;

fn strategy(mechanism: &str, settings: Value) -> Arc<dyn Strategy> {
    let mechanism = MECHANISMS.iter().find(|known| known.name() == mechanism).unwrap();
    mechanism.restore(settings).unwrap()
}

/// Waits until this many deliveries have arrived or been given up.
async fn settled(running: &Running, deliveries: u64) {
    loop {
        let given_up = running.source().dead_lettered;
        let arriving = running.inbox.holds_deliveries(deliveries.saturating_sub(given_up));
        // What is given up meanwhile is no longer to be waited for.
        if tokio::time::timeout(Duration::from_millis(20), arriving).await.is_ok() {
            return;
        }
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it hangs")
}

async fn try_out(mechanism: &str, settings: Value) -> Tried {
    try_in(&[], mechanism, settings).await
}

async fn try_in(incidents: &[Incident], mechanism: &str, settings: Value) -> Tried {
    let strategy = strategy(mechanism, settings);
    let (half, link) = (Arc::clone(&strategy), Link::default());
    in_time(async {
        let subscriber = |post| half.subscriber(post);
        let running = Running::start_in(strategy, link, incidents, subscriber).await;
        settled(&running, OWED).await;
        running.finish().await
    })
    .await
}

/// A list of equal waits.
fn waits(wait: &str, retries: usize) -> Value {
    vec![wait; retries].into()
}

#[tokio::test]
async fn what_failed_is_retried_until_it_arrives() {
    let settings = json!({ "retries": waits("2ms", 30), "receiver": { "fail": 0.3 } });
    let tried = try_out("webhook", settings).await;
    assert_eq!(tried.deliveries.len() as u64, OWED);
    assert_eq!(tried.refused, 0, "a failing endpoint refuses nothing");
    let source = tried.source;
    // Of some 857 attempts 257 fail; the seeds are fixed, the order of arrival is not.
    assert!((150..400).contains(&source.failed), "{source:?}");
    assert_eq!((source.retried, source.dead_lettered), (source.failed, 0));
    assert_eq!((source.useful, source.failed), (OWED, tried.subscriber.failed));
}

#[tokio::test]
async fn an_outage_loses_what_the_schedule_cannot_span() {
    let outage = "at = '50ms'\nfor = '100ms'\nwho = 'subscriber'\nwhat = { error = '503' }";
    let outage = [toml::from_str(outage).unwrap()];
    let tried = try_in(&outage, "webhook", json!({})).await;
    let lost = OWED - tried.deliveries.len() as u64;
    assert!(lost > 0);
    assert_eq!((tried.source.dead_lettered, tried.source.failed), (lost, lost));

    let settings = json!({ "retries": waits("20ms", 50) });
    let tried = try_in(&outage, "webhook", settings).await;
    assert_eq!(tried.deliveries.len() as u64, OWED);
    assert!(tried.source.retried > 0);
    assert_eq!(tried.source.dead_lettered, 0);
}

#[tokio::test]
async fn a_retry_budget_bounds_what_an_outage_costs() {
    let settings = json!({
        "receiver": { "fail": 1.0 }, "retries": waits("1ms", 50), "retry-budget": 0.1,
    });
    let tried = try_out("webhook", settings).await;
    assert_eq!(tried.source.dead_lettered, OWED);
    // A tenth of the first attempts, and each subscriber's reserve of ten.
    let most = OWED / 10 + 11 * u64::from(SUBSCRIBERS);
    assert!((1..=most).contains(&tried.source.retried), "{:?}", tried.source);
}

#[tokio::test]
async fn ordered_deliveries_never_overtake_one_that_failed() {
    let settings = json!({
        "ordered": true, "concurrency": 1, "retries": waits("1ms", 30), "receiver": { "fail": 0.3 },
    });
    let tried = try_out("webhook", settings).await;
    assert!(tried.source.retried > 0);
    for subscriber in 0..SUBSCRIBERS {
        let numbers = tried.deliveries.iter().filter(|one| one.subscriber == subscriber);
        let numbers: Vec<u64> = numbers.map(|delivery| delivery.sequence.get()).collect();
        assert_eq!(numbers, (1..=EVENTS).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_batch_is_one_request_and_never_too_large() {
    let settings = json!({ "batch": { "linger": "50ms", "max": 7 } });
    let tried = try_out("webhook", settings).await;
    let requests = tried.source.useful;
    assert!(requests >= OWED.div_ceil(7), "{requests}");
    assert!(requests < OWED / 2, "{requests}");
    assert_eq!(tried.deliveries.len() as u64, OWED);
}

#[tokio::test]
async fn a_slow_consumer_queues() {
    let handle = Duration::from_millis(5);
    let tried = try_out("webhook", json!({ "receiver": { "handle": "5ms" } })).await;
    for subscriber in 0..SUBSCRIBERS {
        let usable = tried.deliveries.iter().filter(|one| one.subscriber == subscriber);
        let last = usable.map(|delivery| delivery.usable).max().unwrap();
        // One worker handles one event after the other.
        assert!(last.since(tried.epoch) >= handle * u32::try_from(EVENTS).unwrap());
    }
}

#[tokio::test]
async fn a_reconciling_poll_brings_what_webhooks_lose() {
    let settings = json!({ "every": "50ms", "receiver": { "fail": 0.5 } });
    let strategy = strategy("webhook+reconcile", settings);
    let half = Arc::clone(&strategy);
    let tried = in_time(async {
        let running = Running::start(strategy, Link::default(), |post| half.subscriber(post)).await;
        running.inbox.holds_deliveries(OWED).await;
        running.finish().await
    })
    .await;
    assert_eq!(tried.deliveries.len() as u64, OWED);
    assert!(tried.source.dead_lettered > 0, "{:?}", tried.source);
}

#[tokio::test]
async fn a_burst_of_notices_costs_few_fetches_if_they_are_coalesced() {
    let each = try_out("hybrid", json!({ "visibility-lag": "1s", "concurrency": 64 })).await;
    assert_eq!(each.source.useful, OWED);
    assert!(each.source.empty > 0, "what is not visible yet is asked for in vain");
    assert_eq!(each.subscriber.retried, each.subscriber.empty);
    let together = try_out("hybrid", json!({ "visibility-lag": "1s", "coalesce": true })).await;
    assert!(together.source.useful < OWED / 2, "{:?}", together.source);
    let notices = |tried: &Tried| tried.source.overhead - u64::from(SUBSCRIBERS);
    assert_eq!(notices(&each), OWED);
    assert!(notices(&together) <= OWED, "a page may bring an event before its notice");
}

/// A subscriber half by hand: an endpoint, and webhooks registered with it.
fn by_hand(
    mut post: Post,
    routes: impl FnOnce(&Post) -> Routes,
    registration: impl Fn(String) -> Value + Send + Sync + 'static,
) -> Half {
    let routes = routes(&post);
    Box::pin(async move {
        let listener = bind_loopback().await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = post.line.clone();
        let serving = line.serve(listener, routes, post.stop.clone());
        let registering = async {
            let dial = line.dial(post.source, DEADLINE);
            let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
            for number in 0..post.subscribers {
                let url = format!("http://{address}/hooks/{number}");
                let body = registration(url).to_string();
                let path = PathAndQuery::from_static("/v1/subscriptions");
                let (method, headers) = (Method::POST, HeaderMap::new());
                let answer = client.exchange(method, path, headers, body.into()).await.unwrap();
                assert_eq!(answer.status, StatusCode::CREATED);
            }
            post.ready.announce();
        };
        tokio::join!(serving, registering).0.unwrap();
        Ok::<(), DeliveryError>(())
    })
}

#[tokio::test]
async fn webhooks_signed_with_another_key_are_refused_and_never_delivered() {
    for scheme in [Scheme::StandardWebhooks, Scheme::XSignature, Scheme::GitHub] {
        let verifiers = |post: &Post| -> Vec<Option<Verifier>> {
            let other = || scheme.key(&SigningKey::random_secret()).unwrap();
            (0..post.subscribers).map(|_| Some(Verifier::new(scheme, vec![other()]))).collect()
        };
        let routes = |post: &Post| {
            let inbox = post.inbox.clone();
            let take = Box::new(move |number, sequence, arrived| {
                inbox.accept(number, sequence, arrived);
                Outcome::Useful
            });
            let (reception, payload) = (Reception::default(), Payload::Full);
            Receiver::new(reception, payload, verifiers(post), post, take).unwrap().routes()
        };
        let registration =
            move |url| json!({ "url": url, "sign": scheme, "secret": SigningKey::random_secret() });
        let half = |post| by_hand(post, routes, registration);
        let tried = in_time(async {
            let webhook = strategy("webhook", json!({}));
            let running = Running::start(webhook, Link::default(), half).await;
            settled(&running, OWED).await;
            running.finish().await
        })
        .await;
        assert_eq!((tried.deliveries.len(), tried.refused), (0, OWED), "{scheme:?}");
        assert_eq!((tried.source.failed, tried.source.dead_lettered), (OWED, OWED), "{scheme:?}");
        assert_eq!(tried.subscriber.denied, OWED, "{scheme:?}");
    }
}

/// What a source does against an endpoint that always gives the same answer; returns what the
/// source counted, and requests to another path than the one registered.
async fn against(settings: Value, answer: fn() -> Reply) -> (Tried, u64) {
    let astray = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&astray);
    let routes = move |_: &Post| {
        Routes::new().on(Method::POST, "/hooks/", move |_, _| std::future::ready(answer())).on(
            Method::POST,
            "/elsewhere",
            move |_, _| {
                counted.fetch_add(1, Relaxed);
                std::future::ready(Reply::no_content(Outcome::Useful))
            },
        )
    };
    let half = |post| by_hand(post, routes, |url| json!({ "url": url }));
    let tried = in_time(async {
        let webhook = strategy("webhook", settings);
        let running = Running::start(webhook, Link::default(), half).await;
        // Whether every event is given up or only the first depends on the answer.
        settled(&running, u64::from(SUBSCRIBERS)).await;
        running.finish().await
    })
    .await;
    (tried, astray.load(Relaxed))
}

fn problem(status: u16) -> Reply {
    Reply::problem(StatusCode::from_u16(status).unwrap(), "no")
}

#[tokio::test]
async fn redirects_are_failures_and_never_followed() {
    let (tried, astray) = against(json!({}), || {
        let mut reply = problem(307);
        let elsewhere = HeaderValue::from_static("/elsewhere");
        reply.response.headers_mut().insert(LOCATION, elsewhere);
        reply
    })
    .await;
    assert_eq!((astray, tried.source.useful), (0, 0));
    assert!(tried.source.dead_lettered >= u64::from(SUBSCRIBERS));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_nothing_more() {
    let settings = json!({ "concurrency": 1, "retries": waits("1ms", 10) });
    let (tried, _) = against(settings, || problem(410)).await;
    let once = u64::from(SUBSCRIBERS);
    let source = tried.source;
    assert_eq!((source.failed, source.dead_lettered, source.retried), (once, once, 0));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_is_given_it() {
    let settings = json!({ "concurrency": 1, "ordered": true, "retries": waits("0s", 10) });
    let strategy = strategy("webhook", settings);
    let routes = |_: &Post| {
        Routes::new().on(Method::POST, "/hooks/", |_, _| {
            let mut reply = problem(503);
            reply.response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3600"));
            std::future::ready(reply)
        })
    };
    let half = |post| by_hand(post, routes, |url| json!({ "url": url }));
    let tried = in_time(async {
        let running = Running::start(strategy, Link::default(), half).await;
        while running.source().failed < u64::from(SUBSCRIBERS) {
            tokio::task::yield_now().await;
        }
        running.finish().await
    })
    .await;
    // Without the hour between, all ten retries would follow at once.
    assert_eq!((tried.source.failed, tried.source.retried), (u64::from(SUBSCRIBERS), 0));
}
