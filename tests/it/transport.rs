//! What lies between a client and a server: a delay line, TLS, HTTP/2, limits.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use pollpush::clock;
use pollpush::network::asked::Network;
use pollpush::network::way::Direction;
use pollpush::wire::body::receive_within;
use pollpush::wire::client::{Client, ClientKind};
use pollpush::wire::delay::Delay;
use pollpush::wire::link::{Line, Link};
use pollpush::wire::reply::Reply;
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tally::Outcome;
use pollpush::wire::tls::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longer than any exchange here can take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server that answers `GET /page`.
struct Server {
    line: Line,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    serving: JoinSet<std::io::Result<()>>,
}

impl Server {
    async fn start(line: Line) -> Server {
        let listener = bind_loopback().await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let routes = Routes::new().on(Method::GET, "/page", |_request, _tail| {
            let body = Bytes::from_static(b"something");
            std::future::ready(Reply::with_body(
                StatusCode::OK,
                "text/plain",
                body,
                Outcome::Useful,
            ))
        });
        let routes = routes.on(Method::POST, "/body", |request, _tail| async {
            match receive_within(request.into_body(), 1_000, Duration::from_millis(200)).await {
                Ok(_) => Reply::no_content(Outcome::Useful),
                Err(error) => Reply::unreadable(&error),
            }
        });
        let mut serving = JoinSet::new();
        let (serves, stopped) = (line.clone(), stop.clone());
        serving.spawn(async move { serves.serve(listener, routes, stopped).await });
        Server { line, address, stop, serving }
    }

    fn client(&self, kind: ClientKind, line: &Line) -> Client {
        Client::new(kind, line.dial(self.address, DEADLINE)).unwrap()
    }

    /// Writes bytes to a connection of its own, and returns the status line that comes back.
    async fn throw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut answer = Vec::new();
        let throwing = async {
            // The server may hang up before it has read everything.
            let _ = stream.write_all(bytes).await;
            let _ = stream.read_to_end(&mut answer).await;
        };
        tokio::time::timeout(DEADLINE, throwing).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        answer.lines().next().unwrap_or_default().to_owned()
    }

    async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.serving.join_next()).await;
        ended.unwrap().unwrap().unwrap().unwrap();
    }
}

/// Fetches the page and returns how long that took.
async fn fetch(client: &mut Client) -> Duration {
    let began = clock::now();
    let path = PathAndQuery::from_static("/page");
    let received = client.exchange(Method::GET, path, HeaderMap::new(), Bytes::new()).await;
    let received = received.unwrap();
    assert_eq!((received.status, &received.body[..]), (StatusCode::OK, &b"something"[..]));
    received.arrived.since(began)
}

/// A path of this round trip.
fn delay(rtt: Duration) -> Delay {
    Delay { network: Network { rtt, ..Network::default() }, inward: Direction::Up, seed: 7 }
}

#[tokio::test]
async fn an_injected_round_trip_delays_every_client_alike() {
    const RTT: Duration = Duration::from_millis(60);
    /// What a loaded machine may add.
    const LATE: Duration = Duration::from_secs(5);
    let server = Server::start(Line::default().delayed(Some(delay(RTT)))).await;
    for kind in [ClientKind::Reqwest, ClientKind::Hyper] {
        let line = Line::default();
        let mut client = server.client(kind, &line);
        let new = fetch(&mut client).await;
        assert!(new >= 2 * RTT && new < 2 * RTT + LATE, "{kind:?} {new:?}");
        for _ in 0..3 {
            let warm = fetch(&mut client).await;
            assert!(warm >= RTT && warm < RTT + LATE, "{kind:?} {warm:?}");
        }
    }
    let counts = server.line.tally.counts();
    assert_eq!((counts.useful, counts.failed, counts.connections), (8, 0, 2));
    server.stop().await;
}

#[tokio::test]
async fn without_keep_alive_every_exchange_pays_for_a_connection() {
    const RTT: Duration = Duration::from_millis(20);
    let line = Line::new(Link { keep_alive: false, ..Link::default() });
    let server = Server::start(line.clone().delayed(Some(delay(RTT)))).await;
    for kind in [ClientKind::Reqwest, ClientKind::Hyper] {
        let mut client = server.client(kind, &line);
        for _ in 0..3 {
            assert!(fetch(&mut client).await >= 2 * RTT, "{kind:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_tls_handshake_over_an_injected_round_trip_costs_one_more() {
    const RTT: Duration = Duration::from_millis(20);
    let link = Link { keep_alive: false, tls: true, ..Link::default() };
    let authority = Authority::new().unwrap();
    let end = || {
        let credentials = authority.credentials().unwrap();
        Line::new(link.clone()).secured(Some(&credentials)).unwrap()
    };
    let server = Server::start(end().delayed(Some(delay(RTT)))).await;
    for kind in [ClientKind::Reqwest, ClientKind::Hyper] {
        let line = end();
        let mut client = server.client(kind, &line);
        // The second handshake is resumed, and takes as many.
        for _ in 0..2 {
            assert!(fetch(&mut client).await >= RTT * (link.set_up() + 1), "{kind:?}");
        }
    }
    assert_eq!(server.line.tally.counts().handshakes_resumed, 2);
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_long_too_slow_or_no_http_is_refused_and_counted() {
    let server = Server::start(Line::default()).await;
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n");
    let post = |length: usize, body: &str| {
        let head = "POST /body HTTP/1.1\r\nhost: x\r\nconnection: close";
        format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let close = "connection: close\r\n";
    let long = "x".repeat(20_000);
    let thrown = [
        (get(&format!("/page?{}", &long[..9_000]), close), "414"),
        (get("/page", &format!("a: {long}\r\n")), "431"),
        (get("/page", &"a: b\r\n".repeat(500)), "431"),
        (post(2_000, &long[..2_000]), "413"),
        (post(10, "slow"), "408"),
        ("GET /page HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("\u{1}\u{2}\u{3} nonsense\r\n\r\n".to_owned(), "400"),
        (post(10, "").replace("content-length: 10", "content-length: ten"), "400"),
    ];
    for (bytes, status) in &thrown {
        let answer = server.throw(bytes.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
    let counts = server.line.tally.counts();
    assert_eq!((counts.useful, counts.failed), (0, thrown.len() as u64));
    // Whatever came before, the server goes on.
    fetch(&mut server.client(ClientKind::Hyper, &Line::default())).await;
    server.stop().await;
}
