//! Who is trusted, what is refused, and what is counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use rcgen::{CertificateParams, SanType, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::authority::server;
use super::{Authority, Credentials};
use crate::clock;
use crate::counts::Counts;
use crate::wire::auth::{Auth, Keyring};
use crate::wire::client::{Client, ClientKind, ExchangeError, Received};
use crate::wire::link::{HttpVersion, Line, Link};
use crate::wire::reply::Reply;
use crate::wire::routes::Routes;
use crate::wire::socket::{LOOPBACK, bind_loopback};
use crate::wire::tally::Outcome;

const KINDS: [ClientKind; 2] = [ClientKind::Reqwest, ClientKind::Hyper];

/// Longer than anything here can take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(20);

const SECURE: Link = Link {
    keep_alive: true,
    tls: true,
    tls_resume: true,
    nodelay: true,
    idle_timeout: Duration::from_secs(75),
    http: HttpVersion::One,
    auth: Auth::None,
    rate_limit: None,
};

struct Server {
    line: Line,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinSet<std::io::Result<()>>,
}

impl Server {
    async fn start(link: Link, credentials: Option<&Credentials>) -> Server {
        let line = Line::new(link).secured(credentials).expect("credentials");
        let listener = bind_loopback().await.expect("a listener");
        let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
        let routes = Routes::new().on(Method::GET, "/page", |_request, _tail| {
            let body = Bytes::from_static(b"page");
            std::future::ready(Reply::with_body(
                StatusCode::OK,
                "text/plain",
                body,
                Outcome::Useful,
            ))
        });
        let mut serving = JoinSet::new();
        let (serves, stopped) = (line.clone(), stop.clone());
        serving.spawn(async move { serves.serve(listener, routes, stopped).await });
        Server { line, address, stop, serving }
    }

    /// Waits until an exchange has failed: the client knows of it before the server does.
    async fn has_refused(&self) {
        let deadline = clock::now().after(DEADLINE);
        while self.line.tally.counts().failed == 0 {
            assert!(clock::now() < deadline, "nothing was refused");
            tokio::task::yield_now().await;
        }
    }

    async fn stop(mut self) -> Counts {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.serving.join_next()).await;
        ended.expect("in time").expect("one task").expect("no panic").expect("no error");
        self.line.tally.counts()
    }
}

fn client(kind: ClientKind, server: &Server, line: &Line) -> Client {
    Client::new(kind, line.dial(server.address, DEADLINE)).expect("a client")
}

async fn get(client: &mut Client) -> Result<Received, ExchangeError> {
    client.get(PathAndQuery::from_static("/page")).await
}

fn line(link: Link, authority: &Authority) -> Line {
    let credentials = authority.credentials().expect("credentials");
    Line::new(link).secured(Some(&credentials)).expect("credentials")
}

#[tokio::test]
async fn trusted_ends_exchange_over_one_handshake() {
    let authority = Authority::new().expect("an authority");
    for http in [HttpVersion::One, HttpVersion::Two] {
        for kind in KINDS {
            let link = Link { http, ..SECURE };
            let shown = authority.credentials().expect("credentials");
            let server = Server::start(link.clone(), Some(&shown)).await;
            let line = line(link, &authority);
            let mut client = client(kind, &server, &line);
            for _ in 0..3 {
                assert_eq!(get(&mut client).await.expect("a page").body, "page");
            }
            drop(client);
            let session = server.line.tally.tls().expect("a session");
            assert_eq!(session.version, "TLSv1_3", "{session:?}");
            assert_eq!(session.key_exchange, "X25519MLKEM768", "{session:?}");
            let counts = server.stop().await;
            assert_eq!((counts.useful, counts.failed), (3, 0), "{kind:?} {http:?}");
            assert_eq!(
                (counts.connections, counts.handshakes, counts.handshakes_resumed),
                (1, 1, 0)
            );
            // A handshake with certificates is longer than three small pages.
            assert!(counts.bytes_sent > 500, "{counts:?}");
            if matches!(kind, ClientKind::Hyper) {
                let own = line.tally.counts();
                assert_eq!((own.handshakes, own.bytes_sent), (1, counts.bytes_received));
            }
        }
    }
}

#[tokio::test]
async fn further_handshakes_resume_the_session_unless_the_link_says_no() {
    let authority = Authority::new().expect("an authority");
    for (tls_resume, resumed) in [(true, 2), (false, 0)] {
        for kind in KINDS {
            let link = Link { keep_alive: false, tls_resume, ..SECURE };
            let shown = authority.credentials().expect("credentials");
            let server = Server::start(link.clone(), Some(&shown)).await;
            let line = line(link, &authority);
            let mut client = client(kind, &server, &line);
            for _ in 0..3 {
                get(&mut client).await.expect("a page");
            }
            let counts = server.stop().await;
            assert_eq!((counts.handshakes, counts.handshakes_resumed), (3, resumed), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn dials_do_not_share_sessions() {
    let authority = Authority::new().expect("an authority");
    let link = Link { keep_alive: false, ..SECURE };
    let shown = authority.credentials().expect("credentials");
    let server = Server::start(link.clone(), Some(&shown)).await;
    let line = line(link, &authority);
    for kind in KINDS {
        get(&mut client(kind, &server, &line)).await.expect("a page");
    }
    assert_eq!(server.stop().await.handshakes_resumed, 0);
}

/// Credentials that nobody should trust, and why.
fn distrusted(authority: &Authority) -> Vec<(&'static str, Credentials)> {
    let issue = |change: fn(&mut CertificateParams)| {
        let mut params = server(LOOPBACK);
        change(&mut params);
        authority.issue(&params).expect("credentials")
    };
    let other = Authority::new().expect("an authority");
    let unknown = other.credentials().expect("credentials");
    let another_address = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::new(127, 0, 0, 2).into())];
    };
    vec![
        ("expired", issue(|params| params.not_after = date_time_ymd(2020, 1, 1))),
        ("not valid yet", issue(|params| params.not_before = date_time_ymd(4000, 1, 1))),
        ("another address", issue(another_address)),
        ("no address", issue(|params| params.subject_alt_names.clear())),
        ("unknown authority", unknown),
        ("self-signed", Credentials::self_signed(&server(LOOPBACK)).expect("credentials")),
    ]
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused_by_every_client() {
    let authority = Authority::new().expect("an authority");
    for (why, shown) in distrusted(&authority) {
        for kind in KINDS {
            let server = Server::start(SECURE, Some(&shown)).await;
            let line = line(SECURE, &authority);
            let refused = get(&mut client(kind, &server, &line)).await;
            assert!(refused.is_err(), "{why} {kind:?}");
            server.has_refused().await;
            let counts = server.stop().await;
            assert_eq!((counts.useful, counts.failed), (0, 1), "{why} {kind:?}");
        }
    }
}

#[tokio::test]
async fn plain_and_secure_ends_fail_cleanly_and_are_counted() {
    let authority = Authority::new().expect("an authority");
    let shown = authority.credentials().expect("credentials");
    for kind in KINDS {
        let server = Server::start(SECURE, Some(&shown)).await;
        let plain = Line::default();
        assert!(get(&mut client(kind, &server, &plain)).await.is_err(), "{kind:?}");
        server.has_refused().await;
        assert_eq!(server.stop().await.failed, 1, "{kind:?}");

        let server = Server::start(Link::default(), None).await;
        let secure = line(SECURE, &authority);
        assert!(get(&mut client(kind, &server, &secure)).await.is_err(), "{kind:?}");
        server.has_refused().await;
        assert_eq!(server.stop().await.useful, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn versions_of_http_that_differ_are_refused() {
    let authority = Authority::new().expect("an authority");
    let shown = authority.credentials().expect("credentials");
    for (ours, theirs) in
        [(HttpVersion::One, HttpVersion::Two), (HttpVersion::Two, HttpVersion::One)]
    {
        for kind in KINDS {
            let server = Server::start(Link { http: ours, ..SECURE }, Some(&shown)).await;
            let secure = line(Link { http: theirs, ..SECURE }, &authority);
            assert!(get(&mut client(kind, &server, &secure)).await.is_err(), "{kind:?}");
            assert_eq!(server.stop().await.useful, 0, "{kind:?}");

            let server = Server::start(Link { http: ours, ..Link::default() }, None).await;
            let plain = Line::new(Link { http: theirs, ..Link::default() });
            assert!(get(&mut client(kind, &server, &plain)).await.is_err(), "{kind:?}");
            assert_eq!(server.stop().await.useful, 0, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_knows_only_tls_1_1_is_refused_with_an_alert() {
    let shown = Authority::new().and_then(|authority| authority.credentials());
    let server = Server::start(SECURE, Some(&shown.expect("credentials"))).await;
    // A ClientHello of version 3.2 (RFC 4346, 7.4.1.2) with one cipher suite and no extension.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(&hello).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    read.expect("in time").expect("an answer");
    // An alert record, fatal.
    assert!(answer.len() == 7 && answer[0] == 21 && answer[5] == 2, "{answer:?}");
    let counts = server.stop().await;
    assert_eq!((counts.handshakes, counts.failed), (0, 1));
}

#[test]
fn what_is_secret_is_not_shown() {
    let authority = Authority::new().expect("an authority");
    let credentials = authority.credentials().expect("credentials");
    let sent = serde_json::to_value(&credentials).expect("JSON");
    let keyring = Keyring::random("a client");
    let link = Link { auth: Auth::ApiKey, ..SECURE };
    let line = Line::new(link).secured(Some(&credentials)).expect("credentials");
    let line = line.guarded(&keyring).presenting(&keyring);
    let dial = line.dial(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), DEADLINE);
    let shown = format!("{authority:?} {credentials:?} {line:?} {dial:?}");
    let key = sent["key"].as_str().expect("a key");
    assert!(!shown.contains(key) && shown.len() < 4_000, "{shown}");
    for secret in [&keyring.api_key, &keyring.jwt_secret, &keyring.client_secret] {
        assert!(!shown.contains(secret.expose()), "{shown}");
    }
}

#[test]
fn damaged_credentials_are_an_error() {
    let authority = Authority::new().expect("an authority");
    let sent = serde_json::to_value(authority.credentials().expect("credentials")).expect("JSON");
    for part in ["authority", "certificate", "key"] {
        for damaged in ["%", "AAAA", ""] {
            let mut credentials = sent.clone();
            credentials[part] = damaged.into();
            let credentials: Credentials = serde_json::from_value(credentials).expect("text");
            assert!(Line::new(SECURE).secured(Some(&credentials)).is_err(), "{part} {damaged}");
        }
    }
}
