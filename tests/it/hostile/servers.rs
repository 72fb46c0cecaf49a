use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use pollpush::delivery::MECHANISMS;
use pollpush::source::feed::{FEED_PATH, Page};
use pollpush::subscriber::inbox::Inbox;
use pollpush::subscriber::post::{Epoch, Life, Post, Readiness};
use pollpush::wire::auth::{Auth, Keyring};
use pollpush::wire::bounds::{ANSWER_LIMIT, MESSAGE_LIMIT, STREAM_LIMIT};
use pollpush::wire::client::{Client, ClientKind};
use pollpush::wire::event_stream::EventStream;
use pollpush::wire::link::{Line, Link};
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::websocket::Socket;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::hostile::{DEADLINE, IN_THE_KERNEL, Source, failed, url};

/// What a hostile server answers to everything.
#[derive(Clone, Debug)]
struct Answer {
    about: &'static str,
    /// What it writes first.
    first: Vec<u8>,
    /// What it writes again and again until the client is gone.
    endless: Vec<u8>,
    /// Whether it then keeps the connection open without a word.
    silent: bool,
}

fn once(about: &'static str, first: impl Into<Vec<u8>>) -> Answer {
    Answer { about, first: first.into(), endless: Vec::new(), silent: false }
}

fn silent(about: &'static str, first: impl Into<Vec<u8>>) -> Answer {
    Answer { silent: true, ..once(about, first) }
}

fn endless(about: &'static str, first: impl Into<Vec<u8>>, endless: impl Into<Vec<u8>>) -> Answer {
    Answer { endless: endless.into(), ..once(about, first) }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A hundred megabytes of nothing, which take a hundred kilobytes.
fn gzip_bomb() -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let nothing = vec![0; 1 << 20];
    (0..100).for_each(|_| packer.write_all(&nothing).unwrap());
    let bomb = packer.finish().unwrap();
    let head = format!(
        "{OK}content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    );
    [head.into_bytes(), bomb].concat()
}

/// Answers that end, one way or another, without waiting.
fn answers() -> Vec<Answer> {
    let chunked = format!("{OK}transfer-encoding: chunked\r\n\r\n");
    let head = |more: &str| format!("{OK}{more}\r\n\r\n");
    vec![
        once("nothing", ""),
        once("half a status line", "HTTP/1.1 2"),
        once("no HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        once("HTTP/2", b"\0\0\x12\x04\0\0\0\0\0".to_vec()),
        once("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()),
        once("NUL", vec![0; 1000]),
        once("an impossible status", "HTTP/1.1 0 x\r\n\r\n"),
        once("a negative length", head("content-length: -1")),
        once("two lengths", head("content-length: 3\r\ncontent-length: 4") + "abcd"),
        once("a length of many digits", head("content-length: 99999999999999999999999")),
        once("less than it says", head("content-length: 100") + "abc"),
        once("a chunk that is none", chunked.clone() + "zz\r\n"),
        once("a chunk too large for a number", chunked.clone() + "fffffffffffffffff\r\n"),
        once("a chunk shorter than it says", chunked.clone() + "ffff\r\nabc"),
        once(
            "a header that is no UTF-8",
            b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\ncontent-length: 0\r\n\r\n".to_vec(),
        ),
        once("a header with a line feed", head("x: a\rb\r\ncontent-length: 0")),
        once(
            "a body that is no UTF-8",
            [head("content-length: 4").as_bytes(), b"\"\xff\xfe\""].concat(),
        ),
        once("JSON nested deep", head("content-length: 100000") + &"[".repeat(100_000)),
        once("a gzip bomb", gzip_bomb()),
        once("a redirect to nowhere", "HTTP/1.1 302 x\r\ncontent-length: 0\r\n\r\n"),
        once(
            "a redirect to an address inside",
            "HTTP/1.1 307 x\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        ),
        once(
            "a redirect to itself",
            "HTTP/1.1 301 x\r\nlocation: /v1/events\r\ncontent-length: 0\r\n\r\n",
        ),
        once(
            "a switch that was not asked for",
            "HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        ),
        endless("a status line without end", "HTTP/1.1 200 ", "a".repeat(1000)),
        endless("headers without end", OK, format!("x: {}\r\n", "y".repeat(1000))),
        endless("a header without end", format!("{OK}x: "), "y".repeat(1000)),
        endless("a body without end", format!("{OK}\r\n"), vec![b' '; 1 << 16]),
        endless(
            "a body of any length",
            head("content-length: 9000000000000000000"),
            vec![b'['; 1 << 16],
        ),
        endless("chunks without end", chunked.clone(), chunk(&vec![b' '; 1 << 16])),
        endless("small chunks without end", chunked.clone(), chunk(b"[").repeat(1000)),
        endless("a chunk's remarks without end", format!("{chunked}1"), ";a=b".repeat(1000)),
        endless(
            "trailers without end",
            format!("{chunked}0\r\n"),
            format!("x: {}\r\n", "y".repeat(1000)),
        ),
    ]
}

/// Answers that keep a client waiting.
fn silences() -> Vec<Answer> {
    vec![
        silent("nothing", ""),
        silent("half a header", format!("{OK}content-le")),
        silent("a header alone", format!("{OK}content-length: 10\r\n\r\n")),
        endless("answers to come without end", "", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)),
        silent("half a chunk", format!("{OK}transfer-encoding: chunked\r\n\r\nffff\r\nabc")),
    ]
}

/// A server that answers everything alike, and what it has seen.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start(answer: Answer) -> Server {
        let listener = bind_loopback().await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests, written) = <(Arc<AtomicU64>, Arc<_>, Arc<_>)>::default();
        let mut serving = JoinSet::new();
        let counts = (Arc::clone(&connections), Arc::clone(&requests), Arc::clone(&written));
        serving.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                counts.0.fetch_add(1, Relaxed);
                let (requests, written) = (Arc::clone(&counts.1), Arc::clone(&counts.2));
                open.spawn(attend(stream, answer.clone(), requests, written));
            }
        });
        Server { address, connections, requests, written, _serving: serving }
    }
}

async fn attend(
    mut stream: TcpStream,
    answer: Answer,
    requests: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
) {
    loop {
        let Some(head) = request(&mut stream).await else { return };
        requests.fetch_add(1, Relaxed);
        let first = replaced(&answer.first, &head);
        if stream.write_all(&first).await.is_err() {
            return;
        }
        written.fetch_add(first.len() as u64, Relaxed);
        while !answer.endless.is_empty() {
            if stream.write_all(&answer.endless).await.is_err() {
                return;
            }
            written.fetch_add(answer.endless.len() as u64, Relaxed);
        }
        if answer.silent {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            return;
        }
        // What was a whole answer may be followed by another.
        if !answer.first.ends_with(b"content-length: 0\r\n\r\n") {
            return;
        }
    }
}

/// The head of a request; its body, if any, is left where it is.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

/// The answer with what proves that a WebSocket is accepted in its place.
fn replaced(first: &[u8], head: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(first);
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let Some((key, (before, after))) = key.zip(text.split_once("ACCEPT")) else {
        return first.to_vec();
    };
    let mut digest = sha1_smol::Sha1::from(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(digest.digest().bytes());
    // What follows the head may be no text.
    let behind = first.windows(6).position(|word| word == b"ACCEPT").unwrap() + 6;
    assert_eq!(before.len() + 6, behind, "{after}");
    [&first[..behind - 6], accept.as_bytes(), &first[behind..]].concat()
}

/// What a client that takes so much may have been written.
fn at_most(limit: usize) -> u64 {
    // The last piece is what reached the limit.
    limit as u64 + IN_THE_KERNEL
}

async fn in_time<T>(about: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, doing).await.unwrap_or_else(|_| panic!("{about} hangs"))
}

/// An exchange of either client; what came is no page of events.
async fn ask(kind: ClientKind, server: &Server, timeout: Duration) {
    let mut client = Client::new(kind, Line::default().dial(server.address, timeout)).unwrap();
    let exchanged = client.get(PathAndQuery::from_static(FEED_PATH)).await;
    if let Ok(received) = exchanged {
        assert!(received.body.len() <= MESSAGE_LIMIT);
        let page = serde_json::from_slice::<Page<'_>>(&received.body);
        assert!(!received.status.is_success() || page.is_err(), "{received:?}");
    }
}

#[tokio::test]
async fn polling_clients_end_with_an_error_whatever_is_answered() {
    for answer in answers() {
        for kind in [ClientKind::Reqwest, ClientKind::Hyper] {
            let about = format!("{} to {kind:?}", answer.about);
            let server = Server::start(answer.clone()).await;
            in_time(&about, Box::pin(ask(kind, &server, Duration::from_secs(20)))).await;
            assert!(server.written.load(Relaxed) < at_most(MESSAGE_LIMIT), "{about}");
            assert_eq!(
                server.requests.load(Relaxed),
                1,
                "{about}: nothing is followed or repeated"
            );
        }
    }
}

#[tokio::test]
async fn clients_that_are_kept_waiting_give_up() {
    for answer in silences() {
        let server = Server::start(answer.clone()).await;
        let dial = Line::default().dial(server.address, Duration::from_millis(200));
        let path = || PathAndQuery::from_static("/");
        for kind in [ClientKind::Reqwest, ClientKind::Hyper] {
            let mut client = Client::new(kind, dial.clone()).unwrap();
            in_time(answer.about, Box::pin(client.get(path()))).await.unwrap_err();
        }
        in_time(answer.about, EventStream::open(&dial, path(), HeaderMap::new()))
            .await
            .unwrap_err();
        in_time(answer.about, Socket::open(&dial, path())).await.unwrap_err();
    }
}

/// What was heard of a stream until it ended; `None` if it was never opened.
async fn stream_to_its_end(server: &Server) -> Option<u64> {
    let dial = Line::default().dial(server.address, Duration::from_secs(20));
    let path = PathAndQuery::from_static("/v1/events/stream");
    let mut stream = EventStream::open(&dial, path, HeaderMap::new()).await.ok()?;
    let mut items = 0;
    while let Ok(Some(_)) = stream.next().await {
        items += 1;
    }
    Some(items)
}

#[tokio::test]
async fn event_streams_end_with_an_error_whatever_is_answered() {
    let stream = format!("{OK}content-type: text/event-stream\r\n\r\n");
    let line = |text: &str| text.repeat(1 + (1 << 16) / text.len());
    let opened = vec![
        once("an end at once", stream.clone()),
        once(
            "bytes that are no UTF-8",
            [stream.as_bytes(), b"data: \xff\xfe\nid: \xff\n\n"].concat(),
        ),
        once("an id with NUL", stream.clone() + "id: a\0b\ndata: x\n\n"),
        endless("a line without end", stream.clone(), line("data: ")),
        endless("a field name without end", stream.clone(), line("x")),
        endless("an event without end", stream.clone(), line("data: some more\n")),
        endless("an event of empty lines", stream, line("data\n")),
    ];
    for answer in answers().into_iter().chain(opened) {
        let server = Server::start(answer.clone()).await;
        // A body without end is no stream where it is not called one.
        let _ = in_time(answer.about, stream_to_its_end(&server)).await;
        assert!(server.written.load(Relaxed) < at_most(STREAM_LIMIT), "{}", answer.about);
        assert_eq!(server.requests.load(Relaxed), 1, "{}", answer.about);
    }
}

/// What was heard of a WebSocket until it ended; `None` if it was never opened.
async fn socket_to_its_end(server: &Server) -> Option<u64> {
    let dial = Line::default().dial(server.address, Duration::from_secs(20));
    let mut socket = Socket::open(&dial, PathAndQuery::from_static("/")).await.ok()?;
    let mut messages = 0;
    while let Ok(Some(_)) = socket.next().await {
        messages += 1;
    }
    Some(messages)
}

#[tokio::test]
async fn websockets_end_with_an_error_whatever_is_answered() {
    let accepted = b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                     sec-websocket-accept: ACCEPT\r\n\r\n";
    let with = |frames: &[u8]| [accepted, frames].concat();
    let gigabyte = [&[0x82, 0x7f][..], &(1_u64 << 30).to_be_bytes()].concat();
    let most = [&[0x82, 0x7f][..], &u64::MAX.to_be_bytes()].concat();
    let fragment = [&[0x00, 0x7e, 0xff, 0xff][..], &vec![b'a'; 0xffff]].concat();
    let opened = vec![
        once("an end at once", with(b"")),
        once("half a frame", with(&[0x82, 0x05, b'a'])),
        once("text that is no UTF-8", with(&[0x81, 0x02, 0xff, 0xfe])),
        once("an unknown kind of frame", with(&[0x8b, 0x00])),
        once("a reserved bit", with(&[0xc1, 0x01, b'a'])),
        once("a masked frame", with(&[0x81, 0x81, 1, 2, 3, 4, b'a'])),
        once("a long ping", with(&[0x89, 0x7e, 0x01, 0x00])),
        once("a ping in fragments", with(&[0x09, 0x00])),
        once("a fragment of nothing", with(&[0x80, 0x00])),
        once("a close with half a code", with(&[0x88, 0x01, 0x03])),
        once("a close with no such code", with(&[0x88, 0x02, 0x00, 0x01])),
        once(
            "a proof that is none",
            b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
            sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
                .to_vec(),
        ),
        endless("a gigabyte", with(&gigabyte), vec![b'a'; 1 << 16]),
        endless("all there is", with(&most), vec![b'a'; 1 << 16]),
        endless("fragments without end", with(&[0x02, 0x00]), fragment),
        endless(
            "empty fragments without end, then a break",
            with(&[0x02, 0x00]),
            vec![0x0f; 1 << 16],
        ),
    ];
    for answer in answers().into_iter().chain(opened) {
        let server = Server::start(answer.clone()).await;
        let _ = in_time(answer.about, socket_to_its_end(&server)).await;
        assert!(server.written.load(Relaxed) < at_most(STREAM_LIMIT), "{}", answer.about);
        assert_eq!(server.requests.load(Relaxed), 1, "{}", answer.about);
    }
}

#[tokio::test]
async fn a_client_gets_no_token_from_a_hostile_endpoint() {
    let keyring = Keyring::random("a client");
    let token = |body: &str| {
        let length = body.len();
        format!("{OK}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let forged = vec![
        once("no token", token("{}")),
        once("a token with a line", token(r#"{"access_token":"a\r\nx: y","token_type":"bearer"}"#)),
        once("another kind", token(r#"{"access_token":"a","token_type":"mac"}"#)),
    ];
    for answer in answers().into_iter().chain(forged) {
        let server = Server::start(answer.clone()).await;
        let link = Link { auth: Auth::OAuth2, ..Link::default() };
        let line = Line::new(link).presenting(&keyring);
        let dial = line.dial(server.address, Duration::from_secs(20));
        let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
        let asked = Box::pin(client.get(PathAndQuery::from_static(FEED_PATH)));
        in_time(answer.about, asked).await.unwrap_err();
        assert_eq!(line.tally.counts().failed, 1, "{}", answer.about);
        assert!(server.written.load(Relaxed) < at_most(ANSWER_LIMIT), "{}", answer.about);
    }
}

/// A receiver that takes everything, and how much it was.
async fn honest() -> (SocketAddr, Arc<AtomicU64>, JoinSet<()>) {
    let listener: TcpListener = bind_loopback().await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            open.spawn(async move {
                while request(&mut stream).await.is_some() {
                    counted.fetch_add(1, Relaxed);
                    let _ = stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").await;
                }
            });
        }
    });
    (address, taken, serving)
}

#[tokio::test]
async fn a_hostile_receiver_takes_nothing_from_the_others() {
    const EVENTS: u64 = 5;
    let mut source = Source::start(&["webhook"], 64, Line::default()).await;
    let dial = Line::default().dial(source.lane.address, DEADLINE);
    let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
    let (address, taken, _serving) = honest().await;
    let (mut servers, mut waiting) = (Vec::new(), Vec::new());
    for answer in answers() {
        servers.push((answer.about, Server::start(answer).await));
    }
    for answer in silences() {
        waiting.push(Server::start(answer).await);
    }
    let hostile = servers.iter().map(|(_, server)| server).chain(&waiting);
    let targets = hostile.map(|server| server.address).chain([address]);
    for target in targets {
        let body = json!({ "url": url(target) }).to_string();
        let path = PathAndQuery::from_static("/v1/subscriptions");
        let added = client.exchange(Method::POST, path, HeaderMap::new(), body.into()).await;
        assert_eq!(added.unwrap().status, 201);
    }
    source.emit(EVENTS);
    let all = async {
        while taken.load(Relaxed) < EVENTS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time("the honest receiver", all).await;
    // Some that answer at once, however wrongly, have failed by now or will.
    failed(&source.lane.tally, servers.len() as u64 - 5).await;
    for (about, server) in &servers {
        let most = at_most(ANSWER_LIMIT) * server.connections.load(Relaxed).max(1);
        assert!(server.written.load(Relaxed) < most, "{about}");
    }
    source.end().await;
}

/// A subscriber half against a hostile source: it ends with an error, or counts and can be ended.
async fn subscribe(mechanism: &str, settings: serde_json::Value, server: &Server) {
    let mechanism = MECHANISMS.iter().find(|one| one.name() == mechanism).unwrap();
    let strategy = mechanism.restore(settings).unwrap();
    let (inbox, stop, line) = (Inbox::new(1), CancellationToken::new(), Line::default());
    let (epoch_known, epoch) = Epoch::channel();
    let (ready, _readied) = Readiness::channel();
    let post = Post {
        inbox: inbox.clone(),
        line: line.clone(),
        source: server.address,
        subscribers: 1,
        stop: stop.clone(),
        seed: 7,
        ready,
        epoch,
        life: Life::default(),
    };
    epoch_known.send(Some(pollpush::clock::now())).unwrap();
    let half = strategy.subscriber(post);
    let ending = async {
        while line.tally.counts().failed == 0 && line.tally.counts().streams == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = half => {
            if let Err(error) = ended {
                assert!(!error.to_string().is_empty());
            }
        }
        () = ending => {}
    }
    let (deliveries, _) = inbox.empty();
    assert_eq!(deliveries.len(), 0, "nothing was delivered");
}

#[tokio::test]
async fn every_subscriber_counts_what_a_hostile_source_does_and_can_be_ended() {
    let mechanisms = [
        ("poll", json!({ "every": "20ms" })),
        ("poll", json!({ "every": "20ms", "client": "hyper", "resource": "snapshot" })),
        ("long-poll", json!({})),
        ("sse", json!({ "reconnect": "5ms" })),
        ("websocket", json!({ "reconnect": "5ms" })),
        ("webhook", json!({})),
        ("hybrid", json!({})),
        ("webhook+reconcile", json!({ "every": "20ms" })),
    ];
    let stream = format!("{OK}content-type: text/event-stream\r\n\r\n");
    let storm = [
        once("a stream that ends and asks to come at once", stream.clone() + "retry: 0\n\n"),
        endless("a stream of comments", stream, ":\n".repeat(1000)),
    ];
    // Those without end have been tried above, and each takes its time here.
    let ending = answers().into_iter().filter(|answer| answer.endless.is_empty());
    for answer in ending.chain(storm) {
        for (mechanism, settings) in &mechanisms {
            let server = Server::start(answer.clone()).await;
            let about = format!("{} to {mechanism}", answer.about);
            in_time(&about, subscribe(mechanism, settings.clone(), &server)).await;
        }
    }
}
