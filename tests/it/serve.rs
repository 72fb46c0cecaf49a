//! `serve` counts exactly what a client of the user's own did, whatever else is thrown at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use pollpush::clock;
use pollpush::event::decode;
use pollpush::wire::client::{Client, ClientKind, Received};
use pollpush::wire::event_stream::{EventStream, Item};
use pollpush::wire::link::Line;
use pollpush::wire::prefer::PREFER;
use pollpush::wire::websocket::{Message, Socket};
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::program::{DEADLINE, Program, eventually};

/// Where events are read and webhooks registered.
const EVENTS: &str = "/v1/events";
const SUBSCRIPTIONS: &str = "/v1/subscriptions";

/// A cursor that no event of a short test has reached.
const BEYOND: &str = "/v1/events?after=4000000000";

/// A source on a port of its own.
#[derive(Debug)]
struct Source {
    program: Program,
    address: SocketAddr,
}

impl Source {
    fn start() -> Source {
        // Should the test not end it, it ends by itself.
        let program = Program::start([
            "serve",
            "--rate",
            "200/s",
            "--port",
            "0",
            "--duration",
            "120s",
            "--format",
            "json",
        ]);
        let address = eventually("an address", || {
            let said = program.stderr();
            let (address, _) = said.strip_prefix("serving http://")?.split_once(EVENTS)?;
            address.parse().ok()
        });
        Source { program, address }
    }

    fn client(&self, kind: ClientKind) -> Client {
        Client::new(kind, Line::default().dial(self.address, DEADLINE)).unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Writes bytes to a connection of its own, and returns all that comes back until the
    /// source closes it.
    fn throw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The source may hang up before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Interrupts it and returns what it counted.
    fn stop(self) -> Value {
        self.program.signal(Signal::INT);
        let ended = self.program.wait();
        ended.expect_code(&[0]);
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

async fn send(client: &mut Client, method: Method, path: &str, body: &str) -> Received {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    let (path, body) = (PathAndQuery::try_from(path).unwrap(), Bytes::from(body.to_owned()));
    client.exchange(method, path, headers, body).await.unwrap()
}

async fn get(client: &mut Client, path: &'static str) -> Received {
    client.get(PathAndQuery::from_static(path)).await.unwrap()
}

/// Polls until the first event is there, and returns how many polls brought nothing.
async fn wait_for_an_event(client: &mut Client) -> u64 {
    let deadline = clock::now().after(DEADLINE);
    for fruitless in 0.. {
        let page: Value = serde_json::from_slice(&get(client, EVENTS).await.body).unwrap();
        if page["events"].as_array().is_some_and(|events| !events.is_empty()) {
            return fruitless;
        }
        assert!(clock::now() < deadline, "no event");
    }
    unreachable!("a deadline ends the loop")
}

fn problem(received: &Received) -> Value {
    assert_eq!(received.headers[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(problem["status"], received.status.as_u16());
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}

#[tokio::test]
async fn requests_are_counted_exactly_by_what_they_brought() {
    const CLIENTS: u64 = 4;
    const EACH: u64 = 50;
    let source = Source::start();
    let mut first = source.client(ClientKind::Reqwest);
    let fruitless = wait_for_an_event(&mut first).await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let kind = if number % 2 == 0 { ClientKind::Hyper } else { ClientKind::Reqwest };
        let mut client = source.client(kind);
        clients.spawn(async move {
            for _ in 0..EACH {
                assert_eq!(get(&mut client, EVENTS).await.status, StatusCode::OK);
                assert_eq!(get(&mut client, BEYOND).await.status, StatusCode::OK);
                let missing = get(&mut client, "/v1/nothing").await;
                assert_eq!(missing.status, StatusCode::NOT_FOUND);
            }
        });
    }
    clients.join_all().await;
    drop(first);
    let counts = source.stop();
    assert_eq!(counts["requests_useful"], 1 + CLIENTS * EACH, "{counts}");
    assert_eq!(counts["requests_empty"], fruitless + CLIENTS * EACH, "{counts}");
    assert_eq!(counts["requests_failed"], CLIENTS * EACH, "{counts}");
    assert_eq!(counts["requests_overhead"], 0, "{counts}");
    assert_eq!(counts["requests"], 1 + fruitless + 3 * CLIENTS * EACH, "{counts}");
    assert_eq!(counts["connections"], 1 + CLIENTS, "{counts}");
    assert!(counts["events_emitted"].as_u64() > Some(0), "{counts}");
}

async fn ask(client: &mut Client, path: &str, header: (HeaderName, &str)) -> Received {
    let headers = HeaderMap::from_iter([(header.0, header.1.parse().unwrap())]);
    let path = PathAndQuery::try_from(path).unwrap();
    client.exchange(Method::GET, path, headers, Bytes::new()).await.unwrap()
}

#[tokio::test]
async fn what_a_client_holds_is_answered_304_without_a_body() {
    let source = Source::start();
    let mut client = source.client(ClientKind::Reqwest);
    wait_for_an_event(&mut client).await;
    // A page that is full stays as it is; so does an empty one until its cursor is reached.
    for path in ["/v1/events?after=0&limit=1", BEYOND] {
        let whole = get(&mut client, path).await;
        let tag = whole.headers[ETAG].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for held in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let again = ask(&mut client, path, (IF_NONE_MATCH, &held)).await;
            assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path} {held}");
            assert_eq!(again.headers[ETAG], tag);
            assert!(again.body.is_empty());
        }
        let other = ask(&mut client, path, (IF_NONE_MATCH, "\"other\"")).await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &whole.body), "{path}");
    }
    let latest = get(&mut client, "/v1/events/latest").await;
    assert_eq!(latest.headers[CONTENT_TYPE], "application/cloudevents+json");
    assert!(latest.headers.contains_key(ETAG));
    let event: Value = serde_json::from_slice(&latest.body).unwrap();
    assert!(event["id"].as_str().is_some_and(|id| id.starts_with("evt-")), "{event}");
    source.stop();
}

#[tokio::test]
async fn a_long_poll_is_answered_by_the_event_it_waits_for() {
    let source = Source::start();
    let mut client = source.client(ClientKind::Reqwest);
    // Some events ahead of the source, so that it has to wait.
    let waited = ask(&mut client, "/v1/events?after=60&limit=1", (PREFER, "wait=50")).await;
    let page: Value = serde_json::from_slice(&waited.body).unwrap();
    assert_eq!(waited.status, StatusCode::OK);
    assert_eq!(waited.headers["preference-applied"], "wait=50");
    assert_eq!(
        (&page["events"][0]["id"], &page["next"]),
        (&"evt-000000000061".into(), &"61".into())
    );

    // At the end of the wait there is an empty page behind the same cursor.
    let fruitless = ask(&mut client, BEYOND, (PREFER, "wait=1")).await;
    let page: Value = serde_json::from_slice(&fruitless.body).unwrap();
    assert_eq!(fruitless.headers["preference-applied"], "wait=1");
    assert_eq!((&page["events"], &page["next"]), (&serde_json::json!([]), &"4000000000".into()));
    // A wait that is too long is cut down, and one that cannot be read is none.
    let cut = ask(&mut client, "/v1/events?after=0", (PREFER, "wait=86400")).await;
    assert_eq!(cut.headers["preference-applied"], "wait=55");
    let unread = ask(&mut client, BEYOND, (PREFER, "wait=soon")).await;
    assert!(!unread.headers.contains_key("preference-applied"));
    source.stop();
}

#[tokio::test]
async fn a_long_poll_is_answered_when_the_source_stops() {
    let source = Source::start();
    let (mut parked, mut other) =
        (source.client(ClientKind::Hyper), source.client(ClientKind::Hyper));
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { ask(&mut parked, BEYOND, (PREFER, "wait=55")).await });
    // By the time these are answered, the one before them is parked.
    for _ in 0..20 {
        get(&mut other, BEYOND).await;
    }
    drop(other);
    let stopping = tokio::task::spawn_blocking(|| source.stop());
    let answered = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(answered.status, StatusCode::OK);
    let counts = stopping.await.unwrap();
    assert_eq!((&counts["requests_empty"], &counts["requests_failed"]), (&21.into(), &0.into()));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_with_problems() {
    let source = Source::start();
    let mut client = source.client(ClientKind::Hyper);
    let outside = r#"{"url":"http://192.0.2.1:80/hook"}"#;
    let named = r#"{"url":"http://hooks.example.org/hook"}"#;
    let unsuitable = r#"{"url":"http://127.0.0.1:1/","sign":"github"}"#;
    let unknown = r#"{"url":"http://127.0.0.1:1/","payload":"thick"}"#;
    let long = format!("{{\"url\":\"{}\"}}", "x".repeat(20_000));
    for (method, path, body, status) in [
        (Method::GET, "/", "", 404),
        (Method::GET, "/v1/events/", "", 404),
        (Method::GET, "/v1/events?after=yesterday", "", 400),
        (Method::GET, "/v1/events?after=-1", "", 400),
        (Method::GET, "/v1/events?limit=0", "", 400),
        (Method::POST, SUBSCRIPTIONS, outside, 422),
        (Method::POST, SUBSCRIPTIONS, named, 422),
        (Method::POST, SUBSCRIPTIONS, "no JSON", 400),
        (Method::POST, SUBSCRIPTIONS, &long, 413),
        (Method::POST, SUBSCRIPTIONS, unsuitable, 422),
        (Method::POST, SUBSCRIPTIONS, unknown, 400),
        (Method::GET, "/v1/events/evt-999999999999", "", 404),
        (Method::GET, "/v1/events/tomorrow", "", 404),
        (Method::POST, "/v1/dead-letters/7", "", 404),
        (Method::DELETE, "/v1/subscriptions/7", "", 404),
    ] {
        let received = send(&mut client, method, path, body).await;
        assert_eq!(received.status.as_u16(), status, "{path} {body:.40}");
        problem(&received);
    }
    for (method, path, allowed) in [
        (Method::DELETE, EVENTS, "GET, HEAD, OPTIONS"),
        (Method::GET, SUBSCRIPTIONS, "POST, OPTIONS"),
    ] {
        let received = send(&mut client, method, path, "").await;
        assert_eq!(received.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(received.headers[ALLOW], allowed, "{path}");
        problem(&received);
    }
    let counts = source.stop();
    // Asking for an event that does not exist yet is no failure.
    assert_eq!((&counts["requests"], &counts["requests_failed"]), (&17.into(), &16.into()));
}

#[test]
fn a_web_page_of_another_machine_changes_nothing() {
    let source = Source::start();
    let body = r#"{"url":"http://127.0.0.1:1/"}"#;
    let ask = |request: &str, origin: &str| {
        let length = body.len();
        source.throw(
            format!(
                "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{origin}content-length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    };
    let (other, own) = ("origin: https://example.org\r\n", "origin: http://localhost:3000\r\n");
    for request in
        ["POST /v1/subscriptions", "DELETE /v1/subscriptions/1", "POST /v1/dead-letters/1"]
    {
        let answer = ask(request, other);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{request}: {answer}");
        assert!(answer.contains("a web page of another machine"), "{answer}");
    }
    // What it may read, its browser decides by the answer.
    for (request, origin, status) in [
        ("GET /v1/events", other, "200"),
        ("POST /v1/subscriptions", own, "201"),
        ("POST /v1/subscriptions", "", "201"),
    ] {
        let answer = ask(request, origin);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    source.stop();
}

#[tokio::test]
async fn what_is_no_request_harms_nobody_and_is_counted_as_failed() {
    let source = Source::start();
    let mut client = source.client(ClientKind::Hyper);
    wait_for_an_event(&mut client).await;
    let giant = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let answer = source.throw(giant.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"hello\r\n\r\n"] {
        let answer = source.throw(garbage);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let received = get(&mut client, EVENTS).await;
    assert_eq!(received.status, StatusCode::OK, "it goes on serving");
    let counts = source.stop();
    assert_eq!(counts["requests_failed"], 3, "{counts}");
}

#[test]
fn connections_that_say_nothing_do_not_hold_it_up() {
    let source = Source::start();
    let _silent = source.connect();
    let mut half = source.connect();
    half.write_all(b"GET /v1/events HTTP/1.1\r\nhost:").unwrap();
    let mut half_body = source.connect();
    half_body
        .write_all(b"POST /v1/subscriptions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
        .unwrap();
    let mut idle = source.connect();
    idle.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut status = String::new();
    BufReader::new(&idle).read_line(&mut status).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");
    let before = clock::now();
    let counts = source.stop();
    // The grace is two seconds; the connections would stay open for ever.
    let taken = clock::now().since(before);
    assert!(taken < Duration::from_secs(30), "{taken:?}");
    assert_eq!(counts["connections"], 4, "{counts}");
}

#[tokio::test]
async fn a_webhook_registered_by_hand_gets_every_event_from_then_on() {
    let source = Source::start();
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let body = format!("{{\"url\":\"http://{}/hook\"}}", receiver.local_addr().unwrap());
    let mut client = source.client(ClientKind::Hyper);
    let registered = send(&mut client, Method::POST, SUBSCRIPTIONS, &body).await;
    assert_eq!(registered.status, StatusCode::CREATED);
    let registered: Value = serde_json::from_slice(&registered.body).unwrap();

    let (mut stream, _) = receiver.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = read_head(&mut BufReader::new(&stream));
    assert_eq!(head[0], "POST /hook HTTP/1.1");
    let media_type = "content-type: application/cloudevents+json";
    assert!(head.iter().any(|line| line == media_type), "{head:?}");
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();

    let path = format!("{SUBSCRIPTIONS}/{}", registered["id"].as_str().unwrap());
    let removed = send(&mut client, Method::DELETE, &path, "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    drop((stream, receiver));
    let counts = source.stop();
    assert_eq!(counts["requests_overhead"], 2, "{counts}");
}

#[tokio::test]
async fn what_no_receiver_takes_is_a_dead_letter_and_can_be_sent_again() {
    let source = Source::start();
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    let body = format!(r#"{{"url":"{url}","payload":"thin","sign":"x-signature","secret":"s"}}"#);
    let mut client = source.client(ClientKind::Hyper);
    let registered = send(&mut client, Method::POST, SUBSCRIPTIONS, &body).await;
    assert_eq!(registered.status, StatusCode::CREATED);

    let answer = |answer: &str| {
        let (mut stream, _) = receiver.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = read_head(&mut BufReader::new(&stream));
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        head
    };
    let head = answer("500 Internal Server Error");
    assert!(head.iter().any(|line| line.starts_with("x-signature: ")), "{head:?}");
    let letter = loop {
        let list = get(&mut client, "/v1/dead-letters").await;
        let list: Value = serde_json::from_slice(&list.body).unwrap();
        if let Some(letter) = list["dead-letters"].get(0) {
            break letter.clone();
        }
    };
    assert_eq!((&letter["reason"], &letter["attempts"]), (&"answered 500".into(), &1.into()));

    let path = format!("/v1/dead-letters/{}", letter["id"]);
    let replayed = send(&mut client, Method::POST, &path, "").await;
    assert_eq!(replayed.status, StatusCode::ACCEPTED);
    let again = send(&mut client, Method::POST, &path, "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "it is a letter no longer");
    drop(receiver);
    source.stop();
}

#[tokio::test]
async fn streams_are_read_and_counted_by_what_they_said() {
    let source = Source::start();
    let dial = || Line::default().dial(source.address, DEADLINE);
    let mut socket = Socket::open(&dial(), PathAndQuery::from_static("/v1/events/socket?after=0"))
        .await
        .unwrap();
    let path = PathAndQuery::from_static("/v1/events/stream?after=0");
    let mut stream = EventStream::open(&dial(), path, HeaderMap::new()).await.unwrap();
    let mut heard = (Vec::new(), Vec::new());
    while heard.0.len() < 5 || heard.1.len() < 5 {
        tokio::select! {
            item = stream.next() => match item.unwrap().unwrap().0 {
                Item::Event(event) => heard.0.push(decode(&event.data).unwrap().get()),
                Item::Comment | Item::Retry(_) => {}
            },
            message = socket.next() => match message.unwrap().unwrap() {
                Message::Text(text) => heard.1.push(decode(&text.bytes).unwrap().get()),
                Message::Ping | Message::Binary(_) => {}
            },
            () = tokio::time::sleep(DEADLINE) => panic!("no events"),
        }
    }
    assert_eq!((&heard.0[..5], &heard.1[..5]), (&[1, 2, 3, 4, 5][..], &[1, 2, 3, 4, 5][..]));
    let counts = source.stop();
    assert_eq!((&counts["requests"], &counts["streams"]), (&2.into(), &2.into()), "{counts}");
    assert!(counts["messages"].as_u64() >= Some(10), "{counts}");
}

/// A page may be of any origin: `EventSource` asks before it lets the page see anything.
#[test]
fn browsers_may_read_the_stream() {
    let source = Source::start();
    let mut stream = source.connect();
    let request = "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\norigin: http://example.org\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut BufReader::new(&stream));
    for line in [
        "HTTP/1.1 200 OK",
        "content-type: text/event-stream",
        "access-control-allow-origin: *",
        "cache-control: no-store",
    ] {
        assert!(head.iter().any(|header| header == line), "{head:?}");
    }
    source.stop();
}

#[test]
fn open_polls_and_streams_end_with_the_source() {
    let source = Source::start();
    let mut stream = source.connect();
    stream.write_all(b"GET /v1/events/stream HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(read_head(&mut BufReader::new(&stream))[0], "HTTP/1.1 200 OK");
    let mut poll = source.connect();
    let request = format!("GET {BEYOND} HTTP/1.1\r\nhost: x\r\nprefer: wait=55\r\n\r\n");
    poll.write_all(request.as_bytes()).unwrap();
    let mut probe = source.connect();
    probe.write_all(b"HEAD /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let head = read_head(&mut BufReader::new(&probe));
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    assert!(length.is_some_and(|length| length != "0"), "what GET would send: {head:?}");
    let before = clock::now();
    source.program.signal(Signal::TERM);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    // It is answered, unless the source had not read it yet.
    let mut answer = String::new();
    let _ = poll.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    source.program.wait().expect_code(&[0]);
    let taken = clock::now().since(before);
    assert!(taken < Duration::from_secs(30), "it did not wait for the poll: {taken:?}");
}

/// The lines of a request or a response before its body.
fn read_head(stream: &mut impl BufRead) -> Vec<String> {
    stream.lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect()
}

#[test]
fn it_stops_by_itself_after_its_duration() {
    let ended = crate::program::pollpush([
        "serve",
        "--rate",
        "100/s",
        "--arrivals",
        "constant",
        "--duration",
        "300ms",
        "--format",
        "csv",
    ]);
    ended.expect_code(&[0]);
    assert!(ended.stdout.starts_with("counted,total\nevents emitted,"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\nrequests,0\n"), "{}", ended.stdout);
}
