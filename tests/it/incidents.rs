//! What goes wrong as a scenario has it, and what mechanisms make of it.

use std::sync::Arc;
use std::time::Duration;

use pollpush::counts::Counts;
use pollpush::delivery::MECHANISMS;
use pollpush::incident::{Incident, Who};
use pollpush::record::run::Run;
use pollpush::record::trial::{Measured, TrialRecord};
use pollpush::wire::link::{HttpVersion, Link};
use serde_json::{Value, json};

use crate::contract::{DEADLINE, EVENTS, Running, SUBSCRIBERS, Tried};
use crate::program::{Place, pollpush};

/// Deliveries owed by a trial of the contract.
const OWED: u64 = EVENTS * SUBSCRIBERS as u64;

fn incident(at: &str, lasts: &str, who: &str, what: &str) -> Incident {
    let text = format!("at = '{at}'\nfor = '{lasts}'\nwho = '{who}'\nwhat = {what}");
    toml::from_str(&text).unwrap()
}

/// In the middle of the 200 ms in which events flow.
fn in_the_middle(who: &str, what: &str) -> Incident {
    incident("60ms", "70ms", who, what)
}

/// Retries soon, and then for so long that a loaded machine gives up nothing.
fn patience() -> Value {
    [vec!["15ms"; 20], vec!["250ms"; 40]].concat().into()
}

/// Every mechanism with settings under which it brings what it missed, and soon.
fn recovering() -> Vec<(&'static str, Value)> {
    let retries = patience();
    vec![
        ("poll", json!({ "every": "20ms" })),
        ("poll", json!({ "every": "20ms", "client": "hyper" })),
        ("long-poll", json!({})),
        ("webhook", json!({ "retries": retries })),
        ("webhook", json!({ "retries": retries, "ordered": true, "concurrency": 1 })),
        ("hybrid", json!({ "retries": retries })),
        ("webhook+reconcile", json!({ "every": "30ms" })),
        ("sse", json!({ "reconnect": "15ms" })),
        ("websocket", json!({ "reconnect": "15ms" })),
    ]
}

/// Runs a mechanism through incidents until everything owed has arrived.
async fn endure(mechanism: &str, settings: &Value, link: Link, incidents: &[Incident]) -> Tried {
    let known = MECHANISMS.iter().find(|known| known.name() == mechanism).unwrap();
    let strategy = known.restore(settings.clone()).unwrap();
    let half = Arc::clone(&strategy);
    let enduring = async {
        let subscriber = |post| half.subscriber(post);
        let running = Running::start_in(strategy, link, incidents, subscriber).await;
        running.inbox.holds_all(EVENTS).await;
        running.finish().await
    };
    let name = format!("{mechanism} {settings} in {incidents:?}");
    tokio::time::timeout(DEADLINE, enduring).await.unwrap_or_else(|_| panic!("{name} hangs"))
}

fn assert_complete(tried: &Tried, name: &str) {
    assert_eq!(tried.deliveries.len() as u64, OWED, "{name}");
    let until = tried.epoch.after(Duration::from_millis(130));
    // Of what was due in the middle nothing arrived before the end.
    let early = tried.deliveries.iter().filter(|delivery| {
        (80..120).contains(&delivery.sequence.index()) && delivery.usable < until
    });
    assert_eq!(early.count(), 0, "{name}");
}

#[tokio::test]
async fn what_recovers_brings_everything_after_an_outage_and_nothing_in_it() {
    for who in ["source", "subscriber", "network"] {
        let incidents = [in_the_middle(who, "'down'")];
        for (mechanism, settings) in recovering() {
            let tried = endure(mechanism, &settings, Link::default(), &incidents).await;
            assert_complete(&tried, &format!("{mechanism} {settings}, {who}"));
        }
    }
}

#[tokio::test]
async fn an_outage_is_one_over_tls_and_over_http_2_too() {
    let incidents = [in_the_middle("network", "'down'")];
    let links = [
        Link { tls: true, ..Link::default() },
        Link { http: HttpVersion::Two, ..Link::default() },
        Link { keep_alive: false, ..Link::default() },
    ];
    for link in links {
        for (mechanism, settings) in
            [("poll", json!({ "every": "20ms" })), ("webhook", json!({ "retries": patience() }))]
        {
            let tried = endure(mechanism, &settings, link.clone(), &incidents).await;
            assert_complete(&tried, &format!("{mechanism} {link:?}"));
        }
    }
}

#[tokio::test]
async fn nothing_arrives_while_the_network_resets_what_carries_a_request() {
    let incidents = [in_the_middle("network", "'reset'")];
    for (mechanism, settings) in recovering() {
        let tried = endure(mechanism, &settings, Link::default(), &incidents).await;
        let name = format!("{mechanism} {settings}");
        assert_complete(&tried, &name);
        let failed = tried.source.failed + tried.subscriber.failed;
        assert!(failed >= u64::from(SUBSCRIBERS), "{name}: {failed}");
    }
}

#[tokio::test]
async fn what_recovers_brings_everything_through_errors_resets_and_lost_answers() {
    for (who, what) in [
        ("source", "{ error = '503:40%, 500:10%' }"),
        ("subscriber", "{ error = '503:40%, 500:10%' }"),
        ("source", "{ lose-ack = '50%' }"),
        ("subscriber", "{ lose-ack = '50%' }"),
        ("source", "'reset'"),
        ("subscriber", "'reset'"),
        ("network", "'reset'"),
    ] {
        let incidents = [in_the_middle(who, what)];
        for (mechanism, settings) in recovering() {
            let tried = endure(mechanism, &settings, Link::default(), &incidents).await;
            let name = format!("{mechanism} {settings}: {who} {what}");
            assert_eq!(tried.deliveries.len() as u64, OWED, "{name}");
            let known = MECHANISMS.iter().find(|known| known.name() == mechanism).unwrap();
            let target = known.restore(settings).unwrap().target();
            let (source, subscriber) = (tried.source, tried.subscriber);
            // What is open already is answered already.
            let spared = source.streams > 0 && incidents[0].connections().is_none();
            if !incidents[0].hits(target) || spared {
                assert_eq!(source.failed + subscriber.failed, 0, "{name}: {source:?}");
                continue;
            }
            let felt = match incidents[0].who {
                // Whoever answers may have been done with it when the connection was reset.
                _ if what == "'reset'" => source.failed + subscriber.failed,
                Who::Subscriber => subscriber.failed,
                Who::Source | Who::Network => source.failed,
            };
            assert!(felt > 0, "{name}: {source:?} {subscriber:?}");
        }
    }
}

/// The least time that events took which were due well inside of the incident.
fn least_latency(tried: &Tried) -> Duration {
    let inside = tried.deliveries.iter().filter(|one| (75..85).contains(&one.sequence.index()));
    let latency = inside.map(|one| {
        one.usable.since(tried.epoch.after(Duration::from_millis(one.sequence.index())))
    });
    latency.min().unwrap()
}

#[tokio::test]
async fn what_is_slow_is_late_and_loses_nothing() {
    for (who, what) in [
        ("source", "{ slow = '30ms' }"),
        ("subscriber", "{ slow = '30ms' }"),
        ("source", "{ slow-body = '30ms' }"),
    ] {
        let incidents = [in_the_middle(who, what)];
        for (mechanism, settings) in recovering() {
            let tried = endure(mechanism, &settings, Link::default(), &incidents).await;
            let name = format!("{mechanism} {settings}: {who} {what}");
            assert_eq!(tried.deliveries.len() as u64, OWED, "{name}");
            let late = match (who, mechanism) {
                // A page holds what came while it was kept waiting.
                ("source", "poll") if what.contains("slow ") => {
                    assert!(tried.subscriber.beats_missed > 0, "{name}");
                    false
                }
                ("source", "poll" | "long-poll") => !what.contains("slow "),
                ("source" | "subscriber", "hybrid") | ("subscriber", "webhook") => true,
                // Not asked, not asked again, or brought the other way.
                _ => false,
            };
            let least = least_latency(&tried);
            assert!(!late || least >= Duration::from_millis(30), "{name}: {least:?}");
        }
    }
}

#[tokio::test]
async fn a_webhook_whose_answer_is_lost_comes_twice_and_a_page_does_not() {
    let lost = |who| [in_the_middle(who, "{ lose-ack = '100%' }")];
    let settings = json!({ "retries": patience() });
    let pushed = endure("webhook", &settings, Link::default(), &lost("subscriber")).await;
    let copies = |tried: &Tried| tried.deliveries.iter().filter(|one| one.copies > 1).count();
    assert!(copies(&pushed) > 0);
    assert_eq!(pushed.source.failed, pushed.subscriber.failed, "both count what was lost");
    let polled =
        endure("poll", &json!({ "every": "20ms" }), Link::default(), &lost("source")).await;
    assert!(polled.source.failed > 0);
    assert_eq!(copies(&polled), 0);
}

#[tokio::test]
async fn a_request_without_an_answer_ends_its_connection_over_http_2_too() {
    let settings = json!({ "every": "5ms" });
    let link = Link { http: HttpVersion::Two, ..Link::default() };
    for what in ["'reset'", "{ lose-ack = '100%' }"] {
        let incidents = [in_the_middle("source", what)];
        let tried = endure("poll", &settings, link.clone(), &incidents).await;
        let Counts { failed, connections, .. } = tried.source;
        assert!(failed > u64::from(SUBSCRIBERS), "{what}: {failed}");
        // A poll at a time is on a connection.
        assert!(connections >= failed, "{what}: {failed} failed on {connections}");
    }
}

#[tokio::test]
async fn wrong_signatures_are_refused_and_what_was_refused_comes_again() {
    let incidents = [in_the_middle("source", "'corrupt-signature'")];
    for sign in ["standard-webhooks", "x-signature", "github"] {
        let settings = json!({ "sign": sign, "retries": patience() });
        let tried = endure("webhook", &settings, Link::default(), &incidents).await;
        assert_complete(&tried, sign);
        assert!(tried.refused > 0, "{sign}");
        assert_eq!(tried.source.failed, tried.refused, "{sign}");
    }
}

#[tokio::test]
async fn a_connection_that_went_silent_is_given_up_and_not_waited_for_forever() {
    let incidents = [in_the_middle("network", "'half-open'")];
    // Webhooks time out; a later attempt takes a new connection.
    let settings = json!({ "timeout": "40ms", "retries": patience() });
    let tried = endure("webhook", &settings, Link::default(), &incidents).await;
    assert_complete(&tried, "webhook");
    assert!(tried.source.failed > 0);
    // Nobody closes a silent stream: it is missed by its heartbeats.
    let settings = json!({ "heartbeat": "20ms", "reconnect": "15ms" });
    let tried = endure("sse", &settings, Link::default(), &incidents).await;
    assert_complete(&tried, "sse");
    assert!(tried.source.streams > u64::from(SUBSCRIBERS), "{:?}", tried.source);
}

/// Three kills, and twelve events due in each.
const KILLS: &str = r#"
title = "Three kills"

[events]
rate     = "40/s"
arrivals = "constant"

[run]
warm-up  = "500ms"
duration = "5s"
drain    = "5s"

# Whoever is not asked does not notice.
[[fault]]
at    = "600ms"
for   = "100ms"
who   = "source"
what  = { error = "503" }

[[fault]]
at    = "1s"
for   = "300ms"
times = 3
every = "1s"
who   = "subscriber"
what  = "crash"

[[strategy]]
name      = "webhook, retried"
mechanism = "webhook"
sign      = "standard-webhooks"
retries   = ["100ms", "200ms", "400ms", "800ms", "1600ms"]

[[strategy]]
name      = "webhook, not retried"
mechanism = "webhook"

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "100ms"

[[strategy]]
name      = "long poll"
mechanism = "long-poll"

[[strategy]]
name      = "sse"
mechanism = "sse"
reconnect = "100ms"

[[strategy]]
name      = "websocket"
mechanism = "websocket"
reconnect = "100ms"
"#;

fn measured(record: &TrialRecord) -> &Measured {
    record.measured.as_ref().unwrap_or_else(|| panic!("{:?}", record.outcome))
}

#[test]
fn what_is_killed_goes_on_where_it_was_and_applies_every_event_once() {
    let place = Place::with(KILLS);
    pollpush(place.run_arguments()).expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.records.len(), 6);
    for record in &run.records {
        let name = &record.strategy.name;
        let measured = measured(record);
        let lives = &measured.subscriber.lives;
        assert_eq!(lives.len(), 3, "{name}");
        for (place, life) in (0..).zip(lives) {
            let planned = 1_000_000_000 * (1 + place);
            assert!(life.killed >= planned && life.ready >= planned + 300_000_000, "{name}");
        }
        let events = measured.events;
        assert_eq!(events.emitted, 200, "{name}");
        let ledger = run.ledger(record).unwrap().unwrap();
        assert_eq!(ledger.rows() as u64, 220, "{name}");
        let copies: u64 = ledger.copies.iter().map(|copies| u64::from(*copies)).sum();
        let firsts = ledger.usable.iter().flatten().count() as u64;
        assert_eq!(firsts, measured.subscriber.accepted, "{name}: one first copy each");
        let whole = &measured.source.whole;
        if name.starts_with("webhook") {
            // What was acknowledged outlives whoever did so; an attempt that failed may have
            // been taken by somebody who did not live to say it.
            let possible = whole.useful..=whole.useful + whole.failed;
            assert!(possible.contains(&copies), "{name}: {copies} copies, {possible:?}");
        } else {
            // Whoever asks knows what it has.
            assert_eq!(copies, firsts, "{name}");
        }
        if name == "webhook, not retried" {
            assert!(events.lost > 0, "{name}: {events:?}");
            assert!(measured.source.whole.dead_lettered >= events.lost, "{name}");
        } else {
            assert_eq!(events.lost, 0, "{name}: {events:?}");
        }
        if measured.source.whole.dead_lettered == 0 && name.starts_with("webhook") {
            assert!(measured.source.whole.retried > 0, "{name}");
        }
    }
    let summary = std::fs::read_to_string(place.only_run().join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    for strategy in summary["points"][0]["strategies"].as_array().unwrap() {
        assert_eq!(strategy["cpu"]["subscriber"], Value::Null, "its count died with it");
        let kills = strategy["recovery"].as_array().unwrap().last().unwrap();
        assert_eq!(kills["times"], 3, "{strategy}");
        let [due, given_up] = ["due", "dead_lettered"].map(|key| kills[key].as_u64().unwrap());
        if strategy["name"] == "webhook, not retried" {
            assert!((1..=due).contains(&given_up), "{kills}");
        } else if !strategy["name"].as_str().unwrap().starts_with("webhook") {
            assert_eq!(given_up, 0, "{kills}");
        }
    }
    assert!(place.only_run().join("charts/recovery.svg").exists());
}

/// Both sides stand still in turn.
const PAUSES: &str = r#"
title = "Standing still"

[events]
rate = "40/s"

[run]
warm-up  = "500ms"
duration = "4s"

[[fault]]
at   = "1s"
for  = "500ms"
who  = "source"
what = "pause"

[[fault]]
at   = "2500ms"
for  = "500ms"
who  = "subscriber"
what = "pause"

[[strategy]]
name      = "poll"
mechanism = "poll"
every     = "50ms"

[[strategy]]
name      = "webhook"
mechanism = "webhook"
"#;

#[test]
fn what_stands_still_is_late_and_loses_nothing() {
    let place = Place::with(PAUSES);
    pollpush(place.run_arguments()).expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    for record in &run.records {
        let (name, events) = (&record.strategy.name, measured(record).events);
        assert_eq!(events.lost, 0, "{name}: {events:?}");
        let ledger = run.ledger(record).unwrap().unwrap();
        for (from, until) in [(1_000, 1_500), (2_500, 3_000)] {
            let [from, until] = [from, until].map(|at: u64| at * 1_000_000);
            let rows = (0..ledger.rows()).filter(|row| (from..until).contains(&ledger.due[*row]));
            // The signal may come late, but the end is when it should be.
            let latest = rows.filter_map(|row| ledger.usable[row]?.checked_sub(ledger.due[row]));
            assert!(latest.max() > Some(50_000_000), "{name}: nothing stood still at {from}");
        }
    }
}
