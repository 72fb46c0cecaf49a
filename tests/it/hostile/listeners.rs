use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;
use pollpush::clock::{self, WallAnchor};
use pollpush::delivery::MECHANISMS;
use pollpush::event::Encoder;
use pollpush::record::run::Run;
use pollpush::source::feed::{EventWriter, FEED_PATH, Page};
use pollpush::source::lane::Lane;
use pollpush::source::log::event_log;
use pollpush::subscriber::inbox::Inbox;
use pollpush::subscriber::post::{Epoch, Life, Post, Readiness};
use pollpush::wire::bounds::{BODIES_LIMIT, HEADER_TIMEOUT, STALL_TIMEOUT};
use pollpush::wire::client::{Client, ClientKind};
use pollpush::wire::link::{HttpVersion, Line, Link};
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tls::Authority;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::hostile::{DEADLINE, IN_THE_KERNEL, Source, failed};
use crate::program::{Place, Program, eventually};

/// What a hostile peer sends to something that listens.
#[derive(Clone, Debug)]
struct Attack {
    about: &'static str,
    /// What it writes first.
    first: Vec<u8>,
    /// What it writes again and again until it is shut out.
    endless: Vec<u8>,
}

fn once(about: &'static str, first: impl Into<Vec<u8>>) -> Attack {
    Attack { about, first: first.into(), endless: Vec::new() }
}

fn endless(about: &'static str, first: impl Into<Vec<u8>>, endless: impl Into<Vec<u8>>) -> Attack {
    Attack { endless: endless.into(), ..once(about, first) }
}

/// Attacks that end without waiting; requests go to `path`, which takes a body.
#[expect(clippy::too_many_lines, reason = "a table, a line an entry")]
fn attacks(path: &str) -> Vec<Attack> {
    let post = |more: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n\r\n");
    let chunked = post("transfer-encoding: chunked");
    let headers: Vec<String> = (0..10_000).map(|n| format!("h{n}: x\r\n")).collect();
    let headers = headers.concat();
    vec![
        once("nothing", ""),
        once("half a request line", "POST /"),
        once("no HTTP", "\x03\0\0\x13\x0e\u{e0}\0\0\0\0\0"),
        once("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()),
        once("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        once("NUL", vec![0; 1000]),
        once("an unknown version", format!("POST {path} HTTP/9.9\r\n\r\n")),
        once("a path that is no UTF-8", b"POST /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        once(
            "a header that is no UTF-8",
            [post("content-length: 2\r\nx: ").as_bytes(), b"\xff"].concat(),
        ),
        once("a header name with a space", post("content length: 2")),
        once("a negative length", post("content-length: -1")),
        once("two lengths", post("content-length: 3\r\ncontent-length: 4") + "abcd"),
        once("a length of many digits", post("content-length: 99999999999999999999999")),
        once(
            "a length and chunks",
            post("content-length: 3\r\ntransfer-encoding: chunked") + "0\r\n\r\n",
        ),
        once("less than it says", post("content-length: 100") + "abc"),
        once("more than it says", post("content-length: 1") + "abc def\r\n\r\n"),
        once("a chunk that is none", chunked.clone() + "zz\r\n"),
        once("a chunk too large for a number", chunked.clone() + "fffffffffffffffff\r\n"),
        once(
            "a body that is no UTF-8",
            [post("content-length: 3").as_bytes(), b"\"\xff\""].concat(),
        ),
        once(
            "a body packed by gzip",
            [
                post("content-encoding: gzip\r\ncontent-length: 10").as_bytes(),
                b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
            ]
            .concat(),
        ),
        once("JSON nested deep", post("content-length: 10000") + &"[".repeat(10_000)),
        once("ten thousand headers", format!("POST {path} HTTP/1.1\r\n{headers}\r\n")),
        once(
            "a path of a megabyte",
            format!("POST /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)),
        ),
        endless(
            "headers without end",
            format!("POST {path} HTTP/1.1\r\n"),
            format!("x: {}\r\n", "y".repeat(1000)),
        ),
        endless("a header without end", format!("POST {path} HTTP/1.1\r\nx: "), "y".repeat(1000)),
        endless("a path without end", "POST /", "y".repeat(1000)),
        endless(
            "a body without end",
            post("content-length: 9000000000000000000"),
            vec![b'['; 1 << 16],
        ),
        endless("chunks without end", chunked.clone(), b"8\r\n        \r\n".repeat(1000)),
        endless("a chunk's remarks without end", format!("{chunked}1"), ";a=b".repeat(1000)),
        endless(
            "trailers without end",
            format!("{chunked}0\r\n"),
            format!("x: {}\r\n", "y".repeat(1000)),
        ),
    ]
}

/// Carries an attack out until the peer hangs up, and returns how many bytes it took.
fn carry_out(address: SocketAddr, attack: &Attack) -> u64 {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    let mut written = 0;
    // The other side may hang up at any moment.
    if stream.write_all(&attack.first).is_ok() {
        written = attack.first.len() as u64;
        while !attack.endless.is_empty() && stream.write_all(&attack.endless).is_ok() {
            written += attack.endless.len() as u64;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let hung_up = stream.read_to_end(&mut Vec::new());
    let in_time = !hung_up.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(in_time, "{} is not shut out", attack.about);
    written
}

/// Carries all attacks out; of none of them may more be taken in than `limit` bytes of a body.
///
/// On the wire a body in chunks of eight bytes is larger: each has five bytes of framing.
async fn attack(address: SocketAddr, path: &str, limit: u64) {
    let attacks = attacks(path);
    let attacking = tokio::task::spawn_blocking(move || {
        for attack in attacks {
            let written = carry_out(address, &attack);
            assert!(written < limit * 13 / 8 + IN_THE_KERNEL, "{}: {written} bytes", attack.about);
        }
    });
    attacking.await.unwrap();
}

/// The page behind the beginning, as an honest client gets it.
async fn events(client: &mut Client) -> usize {
    let page = client.get(PathAndQuery::from_static(FEED_PATH)).await.unwrap();
    serde_json::from_slice::<Page<'_>>(&page.body).unwrap().events.len()
}

#[tokio::test]
async fn a_source_counts_its_attackers_and_serves_the_others() {
    let mechanisms = &["poll", "webhook", "sse", "websocket"];
    let mut source = Source::start(mechanisms, 64, Line::default()).await;
    source.emit(50);
    let dial = Line::default().dial(source.lane.address, DEADLINE);
    let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
    assert_eq!(events(&mut client).await, 50);
    for path in ["/v1/subscriptions", "/v1/events", "/nothing"] {
        attack(source.lane.address, path, 1 << 20).await;
        assert_eq!(events(&mut client).await, 50, "after attacks on {path}");
    }
    // All but those that have said nothing, or have hung up before they asked.
    failed(&source.lane.tally, 3 * (attacks("/").len() as u64 - 4)).await;
    // A WebSocket that sends more than a client has to say.
    let gigabyte = [&[0x82, 0xff][..], &(1_u64 << 30).to_be_bytes(), &[0; 4]].concat();
    let handshake = b"GET /v1/events/socket HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n\
        connection: upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let address = source.lane.address;
    let socket = endless("a gigabyte", [handshake, &gigabyte[..]].concat(), vec![0; 1 << 16]);
    let written = tokio::task::spawn_blocking(move || carry_out(address, &socket)).await.unwrap();
    assert!(written < IN_THE_KERNEL, "{written}");
    assert_eq!(events(&mut client).await, 50);
    source.end().await;
}

/// What a hostile peer has said when it falls silent, and over which link.
struct Silence {
    about: &'static str,
    link: Link,
    said: &'static [u8],
    /// What it is told before it is shut out.
    told: &'static [u8],
}

fn silences() -> Vec<Silence> {
    let (plain, two) = (Link::default(), Link { http: HttpVersion::Two, ..Link::default() });
    let secure = Link { tls: true, ..Link::default() };
    let silence = |about, link: &Link, said: &'static [u8], told: &'static [u8]| Silence {
        about,
        link: link.clone(),
        said,
        told,
    };
    vec![
        silence("nothing", &plain, b"", b""),
        silence("a request line", &plain, b"GET / HTTP/1.1\r\n", b""),
        silence("half a header", &plain, b"GET / HTTP/1.1\r\nhost: x\r\nx: y", b""),
        silence(
            "a header without its body",
            &plain,
            b"POST /v1/subscriptions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{",
            b"HTTP/1.1 408 Request Timeout\r\n",
        ),
        silence("nothing, for TLS", &secure, b"", b""),
        silence("half a greeting", &secure, b"\x16\x03\x01\x02", b""),
        silence("nothing, for HTTP/2", &two, b"", b""),
        silence("half a preface", &two, b"PRI * HTTP/2.0\r\n", b""),
        silence("a preface", &two, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\0"),
    ]
}

/// A source on this runtime, whose clock may stand still.
async fn here(
    line: Line,
    payload: u64,
    count: u64,
) -> (SocketAddr, CancellationToken, JoinSet<()>) {
    let (mut log_writer, log) = event_log();
    (0..count).for_each(|_| log_writer.append(clock::now()).unwrap());
    let encoder = Encoder::new(pollpush::units::Bytes(payload));
    let writer = EventWriter::new(encoder, WallAnchor::now());
    let stop = CancellationToken::new();
    let (release, ended) = (stop.child_token(), stop.clone());
    let lane = Lane { log, writer, seed: 7, line, release, stop };
    let listener = bind_loopback().await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mechanism = |name| MECHANISMS.iter().find(|one| one.name() == name).unwrap();
        let poll = mechanism("poll").standing_alone().source(&lane, Routes::new());
        let webhook = mechanism("webhook").standing_alone().source(&lane, poll.routes);
        let work = async { tokio::try_join!(poll.work, webhook.work).map(|_| ()) };
        let half = pollpush::source::lane::SourceHalf { routes: webhook.routes, work };
        lane.run(listener, half).await.unwrap();
    });
    (address, ended, serving)
}

#[tokio::test(start_paused = true)]
async fn who_falls_silent_is_shut_out_and_counted() {
    const PEERS: u64 = 30;
    let credentials = Authority::new().unwrap().credentials().unwrap();
    for Silence { about, link, said, told } in silences() {
        let credentials = link.tls.then_some(&credentials);
        let line = Line::new(link).secured(credentials).unwrap();
        let tally = line.tally.clone();
        let (address, stop, mut serving) = here(line, 64, 0).await;
        let mut peers = JoinSet::new();
        for _ in 0..PEERS {
            peers.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(said).await.unwrap();
                let mut heard = Vec::new();
                // Time passes while everybody waits.
                let _ = stream.read_to_end(&mut heard).await;
                heard
            });
        }
        for heard in peers.join_all().await {
            assert!(heard.starts_with(told), "{about}: {}", String::from_utf8_lossy(&heard));
        }
        assert_eq!(tally.counts().failed, PEERS, "{about}");
        stop.cancel();
        serving.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the clock that stands still is looked at")]
async fn an_idle_client_that_has_asked_is_let_go_without_blame() {
    let line = Line::default();
    let tally = line.tally.clone();
    let (address, stop, mut serving) = here(line, 64, 0).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let before = tokio::time::Instant::now();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(before.elapsed() >= HEADER_TIMEOUT);
    assert_eq!((tally.counts().failed, tally.counts().empty), (0, 1));
    stop.cancel();
    serving.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_of_an_answer_is_shut_out() {
    // More than the kernel holds for a connection.
    let (address, stop, mut serving) = here(Line::default(), 1 << 20, 64).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/events?limit=64 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // The page is begun while its client waits.
    stream.readable().await.unwrap();
    tokio::time::sleep(2 * STALL_TIMEOUT).await;
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    let head = String::from_utf8_lossy(&heard[..heard.len().min(400)]).into_owned();
    let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
    let length: usize = length.parse().unwrap();
    assert!(length > 20 << 20, "the page is too small for this test: {length}");
    assert!(heard.len() < length, "{} of {length}", heard.len());
    stop.cancel();
    serving.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_source_out_of_descriptors_goes_on_when_there_are_some() {
    // In a process of its own, whose limit can be lowered.
    let source = limited(&["serve", "--port", "0", "--duration", "120s"]);
    let address = listening(&source);
    let crowd: Vec<std::net::TcpStream> =
        (0..100).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    // Those that are in are served.
    let mut first = &crowd[0];
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    first.set_read_timeout(Some(DEADLINE)).unwrap();
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(crowd);
    let dial = Line::default().dial(address, DEADLINE);
    let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
    let health = client.get(PathAndQuery::from_static("/healthz")).await.unwrap();
    assert_eq!(health.status, 200);
    source.signal(Signal::INT);
    source.wait().expect_code(&[0]);
}

/// A program that may have 64 descriptors.
fn limited(arguments: &[&str]) -> Program {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pollpush")]);
    command.args(arguments);
    Program::launch(command)
}

/// The address a program has said that it listens on.
fn listening(program: &Program) -> SocketAddr {
    eventually("an address", || {
        let said = program.stderr();
        let (_, rest) = said.split_once("http://")?;
        rest.split_once('/')?.0.parse().ok()
    })
}

/// The most memory that a program which only serves may take under attack, in bytes: what it is
/// itself without optimisation, and the longest message twice.
const MOST_MEMORY: u64 = 200 << 20;

#[tokio::test]
async fn serve_and_receive_outlive_every_attack_in_little_memory() {
    // What `receive` takes is as much as GitHub sends.
    for (verb, path, limit) in
        [("serve", "/v1/subscriptions", 1 << 20), ("receive", "/hook", 26_u64 << 20)]
    {
        let program = Program::start([verb, "--port", "0", "--duration", "120s"]);
        let address = listening(&program);
        for _ in 0..2 {
            attack(address, path, limit).await;
        }
        let dial = Line::default().dial(address, DEADLINE);
        let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
        let honest = client.exchange(
            http::Method::POST,
            PathAndQuery::from_static(path),
            HeaderMap::new(),
            Bytes::from_static(b"{\"url\":\"http://127.0.0.1:1/\"}"),
        );
        assert!(honest.await.unwrap().status.is_success(), "{verb}");
        let peak = program.peak_memory();
        assert!(peak < MOST_MEMORY, "{verb} took {peak} bytes");
        program.signal(Signal::INT);
        let ended = program.wait();
        ended.expect_code(&[0]);
        assert!(!ended.stderr.contains("panicked"), "{verb}: {}", ended.stderr);
    }
}

#[test]
fn a_crowd_of_large_bodies_is_held_only_as_far_as_there_is_room() {
    // All but the last byte of as much as `receive` takes, from more peers than it has room for.
    const PEERS: usize = 30;
    const LENGTH: usize = 25 << 20;
    let program = Program::start(["receive", "--port", "0", "--duration", "120s"]);
    let address = listening(&program);
    let peers: Vec<_> =
        (0..PEERS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let refused = AtomicUsize::new(0);
    std::thread::scope(|crowd| {
        for mut peer in &peers {
            let refused = &refused;
            crowd.spawn(move || {
                let head =
                    format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n");
                let sent = peer.write_all(head.as_bytes());
                let sent = sent.and_then(|()| peer.write_all(&vec![b' '; LENGTH - 1]));
                let mut told = Vec::new();
                let heard = sent.and_then(|()| peer.read_to_end(&mut told));
                let in_vain = heard.is_err() || told.starts_with(b"HTTP/1.1 503");
                refused.fetch_add(in_vain.into(), Relaxed);
            });
        }
        let fit = BODIES_LIMIT / LENGTH;
        eventually("a crowd that is refused", || {
            (refused.load(Relaxed) >= PEERS - fit).then_some(())
        });
        // Whoever sends little is taken meanwhile.
        let mut honest = std::net::TcpStream::connect(address).unwrap();
        honest.set_read_timeout(Some(DEADLINE)).unwrap();
        honest.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        let mut answer = [0; 12];
        honest.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
        assert!(refused.load(Relaxed) < PEERS, "nobody was held");
        for peer in &peers {
            let _ = peer.shutdown(Shutdown::Both);
        }
    });
    let peak = program.peak_memory();
    assert!(peak < BODIES_LIMIT as u64 + MOST_MEMORY, "{peak} bytes");
    program.signal(Signal::INT);
    program.wait().expect_code(&[0]);
}

#[tokio::test]
async fn a_webhook_endpoint_counts_its_attackers_and_takes_what_is_posted() {
    // A source that takes the registration and tells where the endpoint is.
    let listener = bind_loopback().await.unwrap();
    let source = listener.local_addr().unwrap();
    let (inbox, stop, line) = (Inbox::new(1), CancellationToken::new(), Line::default());
    let (epoch_known, epoch) = Epoch::channel();
    let (ready, _readied) = Readiness::channel();
    let tally = line.tally.clone();
    let post = Post {
        inbox,
        line,
        source,
        subscribers: 1,
        stop: stop.clone(),
        seed: 7,
        ready,
        epoch,
        life: Life::default(),
    };
    epoch_known.send(Some(clock::now())).unwrap();
    let webhook = MECHANISMS.iter().find(|one| one.name() == "webhook").unwrap();
    let mut half = JoinSet::new();
    half.spawn(webhook.restore(json!({})).unwrap().subscriber(post));
    let (mut registering, _) = listener.accept().await.unwrap();
    let mut asked = String::new();
    let endpoint: SocketAddr = loop {
        let mut piece = [0; 1024];
        let read = registering.read(&mut piece).await.unwrap();
        asked += std::str::from_utf8(&piece[..read]).unwrap();
        if let Some((_, rest)) = asked.split_once("\"url\":\"http://")
            && let Some((address, _)) = rest.split_once('/')
        {
            break address.parse().unwrap();
        }
    };
    let answer = b"HTTP/1.1 201 x\r\ncontent-length: 0\r\n\r\n";
    registering.write_all(answer).await.unwrap();
    attack(endpoint, "/hooks/0", 33 << 20).await;
    failed(&tally, attacks("/").len() as u64 - 4).await;
    let dial = Line::default().dial(endpoint, DEADLINE);
    let mut client = Client::new(ClientKind::Hyper, dial).unwrap();
    let mut event = Vec::new();
    let (mut log, reader) = event_log();
    log.append(clock::now()).unwrap();
    let encoder = Encoder::new(pollpush::units::Bytes(64));
    EventWriter::new(encoder, WallAnchor::now()).write(reader.get(0).unwrap(), &mut event);
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, "application/cloudevents+json".parse().unwrap());
    let path = PathAndQuery::from_static("/hooks/0");
    let posted = client.exchange(http::Method::POST, path, headers, event.into()).await.unwrap();
    assert!(posted.status.is_success(), "{posted:?}");
    stop.cancel();
    tokio::time::timeout(DEADLINE, half.join_next()).await.unwrap().unwrap().unwrap().unwrap();
}

#[test]
fn strangers_at_the_coordinators_door_do_not_spoil_a_run() {
    let place = Place::with(
        "title = \"t\"\n[events]\nrate = \"40/s\"\n[run]\nwarm-up = \"0s\"\nduration = \"1s\"\n\
         repeats = 2\n[[strategy]]\nname = \"poll\"\nmechanism = \"poll\"\nevery = \"100ms\"\n\
         [[strategy]]\nname = \"hook\"\nmechanism = \"webhook\"\n",
    );
    let program = place.start();
    let coordinator = program.worker(0).coordinator();
    let mut strangers = Vec::new();
    let endless = vec![b'x'; 3 << 20];
    let hello =
        br#"{"say":"hello","protocol":4,"token":"guessed","index":1,"time_namespace":null}"#;
    let deep = "[".repeat(100_000);
    for _ in 0..5 {
        for said in [&b""[..], b"\n\n\n", hello, b"\xff\xfe\n", &endless, deep.as_bytes()] {
            let Ok(mut stream) = std::net::TcpStream::connect(coordinator) else { continue };
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            // Nobody has to read it.
            let _ = stream.write_all(said).and_then(|()| stream.write_all(b"\n"));
            strangers.push(stream);
        }
    }
    let ended = program.wait();
    ended.expect_code(&[0, 4]);
    let run = Run::open(&place.only_run()).unwrap();
    assert_eq!(run.records.len(), 4);
    assert!(run.records.iter().all(|record| record.measured.is_some()), "{}", ended.stderr);
}
