//! `serve` lets in whom it should, as often as it should, and keeps its secrets.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use pollpush::wire::auth::{Keyring, TOKEN_PATH, X_API_KEY};
use pollpush::wire::client::{Client, ClientKind, Received};
use pollpush::wire::link::Line;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{DEADLINE, Ended, Program, eventually, pollpush};

const EVENTS: &str = "/v1/events";

/// A source with a guard, and the folder of its files.
#[derive(Debug)]
struct Guarded {
    program: Program,
    address: SocketAddr,
    folder: TempDir,
}

impl Guarded {
    fn start(options: &[&str]) -> Guarded {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.json");
        let mut arguments = vec!["serve", "--duration", "120s"];
        arguments.extend(options);
        if options.contains(&"--auth") {
            arguments.extend(["--credentials", keys.to_str().unwrap()]);
        }
        let program = Program::start(arguments);
        let address = eventually("an address", || {
            let said = program.stderr();
            let (address, _) = said.strip_prefix("serving http://")?.split_once(EVENTS)?;
            address.parse().ok()
        });
        Guarded { program, address, folder }
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn keyring(&self) -> Keyring {
        serde_json::from_slice(&fs::read(self.keys()).unwrap()).unwrap()
    }

    fn client(&self) -> Client {
        Client::new(ClientKind::Hyper, Line::default().dial(self.address, DEADLINE)).unwrap()
    }

    /// Ends it, and asserts that nobody has seen a secret.
    fn stop(self) -> Ended {
        let keyring = self.keyring();
        let shown = self.program.command_line();
        assert!(shown.contains("keys.json"), "{shown}");
        self.program.signal(Signal::INT);
        let ended = self.program.wait();
        ended.expect_code(&[0]);
        assert!(ended.stderr.contains("keys.json"), "{}", ended.stderr);
        for secret in [keyring.api_key, keyring.jwt_secret, keyring.client_secret] {
            for place in [&shown, &ended.stdout, &ended.stderr] {
                assert!(!place.contains(secret.expose()), "a secret is shown");
            }
        }
        ended
    }
}

async fn ask(client: &mut Client, path: &str, header: Option<(HeaderName, &str)>) -> Received {
    let header = header.map(|(name, value)| (name, value.parse().unwrap()));
    let path = PathAndQuery::try_from(path).unwrap();
    let headers = HeaderMap::from_iter(header);
    client.exchange(Method::GET, path, headers, Bytes::new()).await.unwrap()
}

#[track_caller]
fn expect_problem(received: &Received, status: StatusCode) {
    assert_eq!(received.status, status);
    assert_eq!(received.headers[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(problem["status"], status.as_u16());
}

#[tokio::test]
async fn only_the_right_key_opens() {
    let source = Guarded::start(&["--auth", "api-key"]);
    let mode = fs::metadata(source.keys()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (mut client, keyring) = (source.client(), source.keyring());
    for header in [None, Some((X_API_KEY, "a guess"))] {
        let refused = ask(&mut client, EVENTS, header).await;
        expect_problem(&refused, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers[WWW_AUTHENTICATE], "ApiKey realm=\"pollpush\"");
    }
    let key = Some((X_API_KEY, keyring.api_key.expose()));
    assert_eq!(ask(&mut client, EVENTS, key).await.status, StatusCode::OK);
    let described = ask(&mut client, "/openapi.json", None).await;
    let document: Value = serde_json::from_slice(&described.body).unwrap();
    assert_eq!(document["components"]["securitySchemes"]["key"]["name"], "X-API-Key");
    drop(client);
    source.stop();
}

#[tokio::test]
async fn a_token_is_issued_for_id_and_secret_and_opens() {
    let source = Guarded::start(&["--auth", "oauth2"]);
    let (mut client, keyring) = (source.client(), source.keyring());
    expect_problem(&ask(&mut client, EVENTS, None).await, StatusCode::UNAUTHORIZED);
    let mut tokens = Vec::new();
    for (secret, status) in [("a guess", 401), (keyring.client_secret.expose(), 200)] {
        let id = &keyring.client_id;
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let path = PathAndQuery::from_static(TOKEN_PATH);
        let answer = client.exchange(Method::POST, path, headers, form.into()).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
        tokens.push(serde_json::from_slice::<Value>(&answer.body).unwrap());
    }
    assert_eq!(tokens[0]["error"], "invalid_client");
    let bearer = format!("Bearer {}", tokens[1]["access_token"].as_str().unwrap());
    let opened = ask(&mut client, EVENTS, Some((AUTHORIZATION, &bearer))).await;
    assert_eq!(opened.status, StatusCode::OK);
    drop(client);
    source.stop();
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let source = Guarded::start(&["--rate-limit", "1/h", "--burst", "3"]);
    let mut client = source.client();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, EVENTS, None).await.status, StatusCode::OK);
    }
    let refused = ask(&mut client, EVENTS, None).await;
    expect_problem(&refused, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&wait), "{wait}");
    assert_eq!(ask(&mut client, "/healthz", None).await.status, StatusCode::OK);
}

#[test]
fn over_tls_the_certificate_is_one_that_others_can_trust() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let options = ["serve", "--duration", "120s", "--tls", "--ca-file", file.to_str().unwrap()];
    let program = Program::start(options);
    let said = eventually("an address", || {
        let said = program.stderr();
        said.contains("ca.pem").then_some(said)
    });
    let url = said.strip_prefix("serving ").and_then(|said| said.split_once(';')).unwrap().0;
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let pem = fs::read(&file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = |trusted: &[u8]| {
        let authority = reqwest::Certificate::from_pem(trusted).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
        let client = client.timeout(DEADLINE).build().unwrap();
        runtime.block_on(async { client.get(url).send().await.map(|answer| answer.status()) })
    };
    assert_eq!(status(&pem).unwrap(), StatusCode::OK);
    let other = pollpush::wire::tls::Authority::new().unwrap().pem();
    assert!(status(other.as_bytes()).is_err(), "an authority that vouched for nothing");
    // Another run must not replace a certificate in use.
    pollpush(options).expect_code(&[2]);
    assert_eq!(fs::read(&file).unwrap(), pem);
}

#[test]
fn options_that_do_not_fit_are_refused_with_a_remedy() {
    for (options, remedy) in [
        (&["--auth", "jwt"][..], "--credentials"),
        (&["--credentials", "keys.json"], "--auth"),
        (&["--burst", "3"], "--rate-limit"),
        (&["--rate-limit", "1/s", "--burst", "0"], "--burst"),
        (&["--tls"], "--ca-file"),
        (&["--ca-file", "ca.pem"], "--tls"),
    ] {
        let ended = pollpush([&["serve", "--duration", "1s"], options].concat());
        ended.expect_code(&[2]);
        assert!(ended.stderr.contains(remedy), "{}", ended.stderr);
    }
}
