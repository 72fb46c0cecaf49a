//! `receive` takes whatever a sender of the user's own posts, and says what it was.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use pollpush::clock;
use pollpush::wire::signature::{Scheme, Signer, SigningKey};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{DEADLINE, Ended, Place, Program, eventually, pollpush};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver on a port of its own.
struct Receiving {
    program: Program,
    address: SocketAddr,
}

impl Receiving {
    fn start(options: &[&str]) -> Receiving {
        let mut arguments = vec!["receive", "--port", "0", "--duration", "120s"];
        arguments.extend(options);
        Receiving::of(Program::start(arguments))
    }

    fn of(program: Program) -> Receiving {
        let address = eventually("an address", || {
            let said = program.stderr();
            let (_, rest) = said.split_once("receiving on http://")?;
            rest.split_once('/')?.0.parse().ok()
        });
        Receiving { program, address }
    }

    /// Sends a request of its own connection, and returns the status it is answered with.
    fn send(&self, request: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut text = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "content-length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        // A receiver that has refused may have hung up.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer")
    }

    fn post(&self, headers: &[(&str, &str)], body: &str) -> u16 {
        self.send("POST /hook?token=hidden", headers, body.as_bytes())
    }

    fn stop(self) -> Ended {
        self.program.signal(Signal::INT);
        self.program.wait()
    }
}

/// The lines of its output.
#[track_caller]
fn lines(ended: &Ended) -> (Vec<Value>, Value) {
    ended.expect_code(&[0]);
    let mut lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap();
    assert_eq!(summary["type"], "summary");
    assert!(lines.iter().all(|line| line["type"] == "delivery"));
    (lines, summary)
}

/// A file with the secret that only its owner can read.
fn secret_file(place: &Place, secret: &str) -> PathBuf {
    let file = place.path("secret");
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// The headers of a message signed now.
fn signed(id: &str, body: &str) -> Vec<(String, String)> {
    let key = SigningKey::from_secret(SECRET).unwrap();
    let signer = Signer::new(Scheme::StandardWebhooks, vec![key]).unwrap();
    let mut headers = http::HeaderMap::new();
    signer.sign(&id.parse().unwrap(), clock::wall(), body.as_bytes(), &mut headers);
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn what_serve_posts_is_received_verified_and_timed() {
    let place = Place::new();
    let file = secret_file(&place, SECRET);
    let options =
        ["--sign", "standard-webhooks", "--count", "5", "--format", "json", "--secret-file"];
    let receiving = Receiving::start(&[&options[..], &[file.to_str().unwrap()]].concat());
    let source = Program::start(["serve", "--rate", "100/s", "--port", "0", "--duration", "120s"]);
    let address: SocketAddr = eventually("an address", || {
        let said = source.stderr();
        said.strip_prefix("serving http://")?.split_once('/')?.0.parse().ok()
    });
    let target = format!("http://{}/hook", receiving.address);
    let registration = json!({ "url": target, "secret": SECRET }).to_string();
    let source_at = Receiving { program: source, address };
    let json = [("content-type", "application/json")];
    let status = source_at.send("POST /v1/subscriptions", &json, registration.as_bytes());
    assert_eq!(status, 201);

    let ended = receiving.program.wait();
    let (deliveries, summary) = lines(&ended);
    assert_eq!((deliveries.len(), &summary["deliveries"]), (5, &json!(5)));
    for delivery in &deliveries {
        assert_eq!(delivery["signature"], "ok", "{delivery}");
        assert_eq!((&delivery["content"], &delivery["path"]), (&json!("event"), &json!("/hook")));
        assert!(delivery["id"].as_str().unwrap().starts_with("evt-"), "{delivery}");
        assert_eq!(delivery["latency_from"], "time");
        assert_eq!(delivery["latency_resolution_ns"], 1);
    }
    assert_eq!((&summary["refused"], &summary["duplicates"]), (&json!(0), &json!(0)));
    let latency = &summary["latency"]["time"];
    // The clocks are one, but it may be set while the test runs.
    let (count, ahead) = (latency["count"].as_u64().unwrap(), &latency["sender_ahead"]);
    assert_eq!(count + ahead.as_u64().unwrap(), 5, "{summary}");
    assert!(latency["p50_ns"].as_u64() <= latency["max_ns"].as_u64(), "{summary}");
    source_at.stop().expect_code(&[0]);
}

#[test]
fn whatever_comes_is_told_apart_and_counted() {
    let receiving = Receiving::start(&["--format", "json"]);
    let event = |id: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s"}}"#);
    let batch = format!("[{},{}]", event("a"), event("b"));
    for (headers, body, content, duplicates) in [
        (&[][..], event("a"), "event", 0),
        (&[], event("a"), "event", 1),
        (&[], batch, "batch", 1),
        (&[("x-github-delivery", "72d3162e")], "{}".to_owned(), "json", 0),
        (&[("x-github-delivery", "72d3162e")], "{}".to_owned(), "json", 1),
        (&[], "a=\u{1b}[31m".to_owned(), "bytes", 0),
        (&[], String::new(), "bytes", 0),
    ] {
        assert_eq!(receiving.post(headers, &body), 204, "{content} {duplicates}");
    }
    assert_eq!(receiving.send("PUT /a/b/", &[], b"7"), 204);
    assert_eq!(receiving.send("GET /", &[], b""), 405);
    assert_eq!(receiving.send("OPTIONS /", &[], b""), 204);
    let too_long = vec![b'x'; (25 << 20) + 1];
    assert_eq!(receiving.send("POST /", &[], &too_long), 413);
    let (deliveries, summary) = lines(&receiving.stop());
    let seen: Vec<_> = deliveries
        .iter()
        .map(|line| (line["content"].as_str().unwrap(), line["duplicates"].as_u64().unwrap()))
        .collect();
    let expected = [
        ("event", 0),
        ("event", 1),
        ("batch", 1),
        ("json", 0),
        ("json", 1),
        ("bytes", 0),
        ("bytes", 0),
        ("json", 0),
        ("bytes", 0),
    ];
    assert_eq!(seen, expected);
    assert_eq!(deliveries[0]["path"], "/hook", "the query may hold a secret");
    assert_eq!(deliveries[8]["signature"], "refused");
    for (name, total) in [("deliveries", 9), ("refused", 1), ("events", 4), ("duplicates", 3)] {
        assert_eq!(summary[name], total, "{name} {summary}");
    }
}

#[test]
fn only_who_has_the_secret_is_believed_and_once_an_attempt() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    command.args(["receive", "--port", "0", "--duration", "120s", "--format", "json"]);
    command.args(["--sign", "standard-webhooks"]).env("POLLPUSH_SECRET", SECRET);
    let receiving = Receiving::of(Program::launch(command));
    let body = r#"{"done":true}"#;
    let headers = signed("msg_1", body);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(receiving.post(&headers, body), 204);
    assert_eq!(receiving.post(&headers, body), 403, "a replay");
    assert_eq!(receiving.post(&headers, "{}"), 403, "another body");
    assert_eq!(receiving.post(&[], body), 403, "no signature");
    let (deliveries, summary) = lines(&receiving.stop());
    let signatures: Vec<_> =
        deliveries.iter().map(|line| line["signature"].as_str().unwrap()).collect();
    assert_eq!(signatures, ["ok", "refused", "refused", "refused"]);
    assert_eq!(deliveries[0]["latency_from"], "webhook-timestamp");
    assert!(deliveries.iter().skip(1).all(|line| line["refused"].is_string()));
    assert_eq!((&summary["deliveries"], &summary["refused"]), (&json!(4), &json!(3)));
}

#[test]
fn it_plays_a_receiver_that_fails_and_stops_at_its_count() {
    let receiving = Receiving::start(&["--status", "503", "--delay", "1ms", "--count", "2"]);
    assert_eq!(receiving.post(&[], "{}"), 503);
    assert_eq!(receiving.post(&[], "\u{1b}]0;x\u{7}"), 503);
    let ended = receiving.program.wait();
    ended.expect_code(&[0]);
    let said: Vec<&str> = ended.stdout.lines().collect();
    assert!(said[0].contains("  POST /hook  no id  JSON  2.00 B  503"), "{}", ended.stdout);
    assert!(said.iter().any(|line| line.split_whitespace().eq(["deliveries", "2"])), "{said:?}");
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}

#[test]
fn a_secret_that_is_missing_or_wrong_is_a_usage_error() {
    let place = Place::new();
    let empty = secret_file(&place, "\n");
    let empty = empty.to_str().unwrap();
    for (arguments, complaint) in [
        (vec!["--sign", "github"], "--secret-file"),
        (vec!["--secret-file", empty], "--sign"),
        (vec!["--sign", "github", "--secret-file", empty], "holds no secret"),
    ] {
        let ended = pollpush([&["receive", "--port", "0"], &arguments[..]].concat());
        ended.expect_code(&[2]);
        assert!(ended.stderr.contains(complaint), "{arguments:?} {}", ended.stderr);
    }
    let weak = secret_file(&place, "hunter2");
    let weak = weak.to_str().unwrap();
    let ended =
        pollpush(["receive", "--port", "0", "--sign", "standard-webhooks", "--secret-file", weak]);
    ended.expect_code(&[2]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}
