//! Streams: what they replay, how they end, and what they refuse.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName};
use http::uri::PathAndQuery;
use pollpush::clock::{self, WallAnchor};
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::DeliveryError;
use pollpush::event::{Encoder, Sequence};
use pollpush::source::feed::EventWriter;
use pollpush::source::lane::{Contents, LaneThread};
use pollpush::source::log::{LogWriter, event_log};
use pollpush::units::Bytes;
use pollpush::wire::event_stream::{EventStream, Item};
use pollpush::wire::link::Line;
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::websocket::{Message, Socket};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::program::DEADLINE;

const KINDS: [&str; 2] = ["sse", "websocket"];

/// A source with one lane, whose log the test writes.
struct Source {
    log: LogWriter,
    lane: LaneThread<DeliveryError>,
}

impl Source {
    async fn start(kind: &str, settings: Value, payload: u64) -> Source {
        let mechanism = MECHANISMS.iter().find(|mechanism| mechanism.name() == kind).unwrap();
        let strategy = mechanism.restore(settings).unwrap();
        let (log, reader) = event_log();
        let writer = EventWriter::new(Encoder::new(Bytes(payload)), WallAnchor::now());
        let contents = Contents { log: reader, writer, seed: 7 };
        let listener = bind_loopback().await.unwrap();
        let half = move |lane: &_| strategy.source(lane, Routes::new());
        let lane = LaneThread::start("streams", listener, contents, Line::default(), half).unwrap();
        Source { log, lane }
    }

    fn emit(&mut self, events: u64) {
        (0..events).for_each(|_| self.log.append(clock::now()).unwrap());
    }

    async fn open(&self, kind: &str, after: &str) -> Open {
        let dial = Line::default().dial(self.lane.address, DEADLINE);
        if kind == "sse" {
            let id = HeaderName::from_static("last-event-id");
            let headers = HeaderMap::from_iter([(id, after.parse().unwrap())]);
            let path = PathAndQuery::from_static("/v1/events/stream");
            Open::Sse(EventStream::open(&dial, path, headers).await.unwrap())
        } else {
            let path = format!("/v1/events/socket?after={after}").parse().unwrap();
            Open::Socket(Socket::open(&dial, path).await.unwrap())
        }
    }

    async fn end(mut self) {
        self.lane.stop().await.unwrap();
        self.lane.dismiss();
    }
}

/// A stream of either kind.
enum Open {
    Sse(EventStream),
    Socket(Socket),
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Event(u64),
    Heartbeat,
    End,
}

impl Open {
    async fn hear(&mut self) -> Heard {
        tokio::time::timeout(DEADLINE, self.hear_in_time()).await.expect("a stream that speaks")
    }

    async fn hear_in_time(&mut self) -> Heard {
        loop {
            return match self {
                Open::Sse(stream) => match stream.next().await.unwrap() {
                    Some((Item::Event(event), _)) => {
                        let number = number(&event.data);
                        assert_eq!(stream.last_event_id(), number.to_string());
                        Heard::Event(number)
                    }
                    Some((Item::Comment, _)) => Heard::Heartbeat,
                    Some((Item::Retry(_), _)) => continue,
                    None => Heard::End,
                },
                Open::Socket(socket) => match socket.next().await.unwrap() {
                    Some(Message::Text(text)) => Heard::Event(number(&text.bytes)),
                    Some(Message::Ping) => Heard::Heartbeat,
                    Some(Message::Binary(_)) => panic!("a binary message"),
                    None => Heard::End,
                },
            };
        }
    }
}

/// An event's number, read from the start of its JSON: large events are many here.
fn number(json: &[u8]) -> u64 {
    let start = std::str::from_utf8(&json[..100]).unwrap();
    let id = start.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    id.parse::<Sequence>().unwrap().get()
}

#[tokio::test]
async fn what_was_missed_is_replayed_or_else_lost() {
    for kind in KINDS {
        for replay in [true, false] {
            let mut source = Source::start(kind, json!({ "replay": replay }), 64).await;
            let mut stream = source.open(kind, "0").await;
            source.emit(1);
            assert_eq!(stream.hear().await, Heard::Event(1), "{kind}");
            drop(stream);
            source.emit(2);
            let mut stream = source.open(kind, "1").await;
            source.emit(1);
            let expected: &[u64] = if replay { &[2, 3, 4] } else { &[4] };
            for number in expected {
                assert_eq!(stream.hear().await, Heard::Event(*number), "{kind}, {replay}");
            }
            source.end().await;
        }
    }
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives_and_ends_with_its_source() {
    for kind in KINDS {
        let source = Source::start(kind, json!({ "heartbeat": "10ms" }), 64).await;
        let mut stream = source.open(kind, "0").await;
        for _ in 0..3 {
            assert_eq!(stream.hear().await, Heard::Heartbeat, "{kind}");
        }
        let ending = async { while stream.hear().await != Heard::End {} };
        tokio::join!(source.end(), ending);
    }
}

#[tokio::test]
async fn a_stream_that_is_always_behind_still_ends_at_its_age() {
    for kind in KINDS {
        let mut source = Source::start(kind, json!({ "max-age": "100ms" }), 1 << 16).await;
        source.emit(100_000);
        let mut stream = source.open(kind, "0").await;
        let mut last = 0;
        loop {
            match stream.hear().await {
                Heard::Event(number) => {
                    assert_eq!(number, last + 1, "{kind}");
                    last = number;
                }
                Heard::Heartbeat => {}
                Heard::End => break,
            }
        }
        assert!(last < 100_000, "{kind}: six gigabytes in a tenth of a second");
        source.end().await;
    }
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_nobody_up_and_loses_nothing() {
    /// More than sockets and buffers hold.
    const EVENTS: u64 = 300;
    for kind in KINDS {
        let mut source = Source::start(kind, json!({ "heartbeat": "1h" }), 1 << 16).await;
        let mut still = source.open(kind, "0").await;
        let mut others = Vec::new();
        for _ in 0..4 {
            others.push(source.open(kind, "0").await);
        }
        source.emit(EVENTS);
        let mut reading = JoinSet::new();
        for mut other in others {
            reading.spawn(async move {
                for number in 1..=EVENTS {
                    assert_eq!(other.hear().await, Heard::Event(number));
                }
            });
        }
        reading.join_all().await;
        let written = source.lane.tally.counts().messages;
        assert!(written < 5 * EVENTS, "{kind}: the still reader was written {written}");
        for number in 1..=EVENTS {
            assert_eq!(still.hear().await, Heard::Event(number), "{kind}");
        }
        // What is read may be counted a moment later by who wrote it.
        let counted = async {
            while source.lane.tally.counts().messages < 5 * EVENTS {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, counted).await.unwrap();
        assert_eq!(source.lane.tally.counts().messages, 5 * EVENTS, "{kind}");
        source.end().await;
    }
}

/// Asks for a WebSocket by hand, and returns the answer's head and the connection.
async fn ask(source: &Source, headers: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(source.lane.address).await.unwrap();
    let request = format!("GET /v1/events/socket HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    (read_head(&mut stream).await, stream)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap();
        head.push(byte);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

const ACCEPTABLE: &str = "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn handshakes_are_accepted_or_refused_as_the_standard_says() {
    let source = Source::start("websocket", json!({}), 64).await;
    let (head, _stream) = ask(&source, ACCEPTABLE).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    for (headers, answer, header) in [
        (String::new(), "http/1.1 426 ", "upgrade: websocket"),
        (ACCEPTABLE.replace("websocket\r", "h2c\r"), "http/1.1 426 ", "upgrade: websocket"),
        (ACCEPTABLE.replace(": 13", ": 8"), "http/1.1 426 ", "sec-websocket-version: 13"),
        (ACCEPTABLE.replace("dGhl", "dGh"), "http/1.1 400 ", "application/problem+json"),
    ] {
        let (head, _stream) = ask(&source, &headers).await;
        assert!(head.starts_with(answer), "{head}");
        assert!(head.contains(header), "{head}");
    }
    let counts = source.lane.tally.counts();
    assert_eq!((counts.streams, counts.failed), (1, 4));
    source.end().await;
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_sent_away() {
    let one_gigabyte = [&[0x81, 0xff][..], &(1_u64 << 30).to_be_bytes(), &[1, 2, 3, 4]].concat();
    for (frame, code) in [
        // Not masked.
        (vec![0x81, 0x01, b'x'], 1002_u16),
        // Reserved bits without an extension.
        (vec![0xf1, 0x80, 1, 2, 3, 4], 1002),
        // Announced, not sent.
        (one_gigabyte, 1009),
    ] {
        let source = Source::start("websocket", json!({}), 64).await;
        let (_, mut stream) = ask(&source, ACCEPTABLE).await;
        stream.write_all(&frame).await.unwrap();
        let mut close = [0; 4];
        let reading = stream.read_exact(&mut close);
        tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap();
        assert_eq!((close[0], &close[2..]), (0x88, &code.to_be_bytes()[..]), "{frame:?}");
        source.end().await;
    }
}

#[tokio::test]
async fn the_source_says_that_it_goes_away() {
    let mut source = Source::start("websocket", json!({}), 64).await;
    let (_, mut stream) = ask(&source, ACCEPTABLE).await;
    let mut close = [0; 4];
    let (stopped, read) = tokio::join!(source.lane.stop(), stream.read_exact(&mut close));
    stopped.unwrap();
    read.unwrap();
    assert_eq!(close, [0x88, 0x02, 0x03, 0xe9]);
    source.lane.dismiss();
}

#[tokio::test]
async fn a_server_that_announces_a_gigabyte_is_left() {
    let listener = bind_loopback().await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        let mut digest = sha1_smol::Sha1::from(key);
        digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = STANDARD.encode(digest.digest().bytes());
        let answer = format!(
            "HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(&[0x81, 0x7f]).await.unwrap();
        stream.write_all(&(1_u64 << 30).to_be_bytes()).await.unwrap();
        stream
    };
    let opening = async {
        let dial = Line::default().dial(address, DEADLINE);
        let mut socket = Socket::open(&dial, PathAndQuery::from_static("/")).await.unwrap();
        socket.next().await.unwrap_err();
    };
    let both = Box::pin(async { tokio::join!(serving, opening) });
    tokio::time::timeout(DEADLINE, both).await.unwrap();
}

#[tokio::test]
async fn what_is_no_stream_is_not_taken_for_one() {
    let source = Source::start("sse", json!({}), 64).await;
    let dial = Line::default().dial(source.lane.address, Duration::from_secs(30));
    for path in ["/v1/nothing", "/v1/events/stream?after=x"] {
        let path = PathAndQuery::from_static(path);
        let error = EventStream::open(&dial, path.clone(), HeaderMap::new()).await.unwrap_err();
        assert!(error.to_string().starts_with("no stream was opened: "), "{error}");
        let error = Socket::open(&dial, path).await.unwrap_err();
        assert!(error.to_string().starts_with("no stream was opened: "), "{error}");
    }
    source.end().await;
}
