//! Requests at random against `serve`: whatever is asked, the answer is one that its own
//! document describes, and an error is a problem document.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{DEADLINE, Program, eventually};

/// How many requests are made; each takes about a millisecond.
const REQUESTS: usize = 1500;

const METHODS: [&str; 9] =
    ["GET", "GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "BREW"];

/// A request that is HTTP, whatever else it may be.
#[derive(Debug)]
struct Asked {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The answer to it.
#[derive(Debug)]
struct Answered {
    status: u16,
    media_type: String,
    body: Vec<u8>,
}

fn ask(address: SocketAddr, asked: &Asked) -> Answered {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let Asked { method, path, query, headers, body } = asked;
    let mut head = format!("{method} {path}{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // A source that has refused the head need not read the body.
    let _ = stream.write_all(body);
    let mut stream = BufReader::new(stream);
    let lines: Vec<String> =
        stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer to {asked:?}"));
    let header = |name: &str| {
        lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
    };
    // A stream has no length and no end; its head is all there is to see.
    let length: u64 = header("content-length").parse().unwrap_or(0);
    let mut body = Vec::new();
    if *method != "HEAD" {
        stream.by_ref().take(length).read_to_end(&mut body).unwrap();
    }
    Answered { status, media_type: header("content-type").to_owned(), body }
}

fn get(address: SocketAddr, path: &str) -> Answered {
    let (query, headers, body) = (String::new(), Vec::new(), Vec::new());
    ask(address, &Asked { method: "GET", path: path.to_owned(), query, headers, body })
}

/// Makes up requests, more or less like those that make sense.
struct Maker {
    random: StdRng,
    paths: Vec<String>,
    /// A URL that nobody else listens at.
    target: String,
}

impl Maker {
    fn word(&mut self, signs: &[u8], most: usize) -> String {
        let length = self.random.random_range(0..=most);
        (0..length).map(|_| char::from(*signs.choose(&mut self.random).unwrap())).collect()
    }

    fn path(&mut self) -> String {
        let template = self.paths.choose(&mut self.random).unwrap().clone();
        let id = match self.random.random_range(0..4) {
            0 => self.random.random_range(0..5).to_string(),
            1 => format!("evt-{:012}", self.random.random_range(0..9)),
            2 => self.random.random::<u64>().to_string(),
            _ => self.word(b"abz019-_.~%41:@!$&'()*+,;=", 30),
        };
        let path = template.replace("{id}", &id);
        match self.random.random_range(0..10) {
            0 => path + "/",
            1 => format!("/{}", self.word(b"v1events/.%2F", 20)),
            _ => path,
        }
    }

    fn query(&mut self) -> String {
        if self.random.random_bool(0.3) {
            return String::new();
        }
        let pairs = self.random.random_range(0..4);
        let pairs: Vec<String> = (0..pairs)
            .map(|_| {
                let names = ["after", "limit", "after", "limit", "", "x", "wait"];
                let name = names.choose(&mut self.random).unwrap();
                let value = match self.random.random_range(0..4) {
                    0 => self.random.random_range(0..2000).to_string(),
                    1 => self.random.random::<u128>().to_string(),
                    2 => format!("-{}", self.random.random::<u8>()),
                    _ => self.word(b"019aez%+-.,=?/", 12),
                };
                format!("{name}={value}")
            })
            .collect();
        format!("?{}", pairs.join("&"))
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        // Waiting and upgrading are tested where they are done; here every answer comes at once.
        let names = [
            "accept",
            "content-type",
            "if-none-match",
            "last-event-id",
            "authorization",
            "cookie",
            "x-api-key",
            "range",
            "origin",
            "if-modified-since",
            "accept-encoding",
        ];
        (0..self.random.random_range(0..4))
            .map(|_| {
                let name = (*names.choose(&mut self.random).unwrap()).to_owned();
                let value = match self.random.random_range(0..3) {
                    0 => "application/json".to_owned(),
                    1 => format!("\"{}\"", self.random.random::<u8>()),
                    _ => self.word(b"azAZ019 \"*/;=,.-_:%\xe9", 60),
                };
                (name, value)
            })
            .collect()
    }

    fn body(&mut self) -> Vec<u8> {
        let target = &self.target;
        let likely = [
            format!(r#"{{"url":"{target}"}}"#),
            format!(r#"{{"url":"{target}","secret":"whsec_c2VjcmV0"}}"#),
            format!(r#"{{"url":"{target}","secret":"c2VjcmV0"}}"#),
            format!(r#"{{"url":"{target}","more":[]}}"#),
            r#"{"url":"https://192.0.2.1/"}"#.to_owned(),
            r#"{"url":null}"#.to_owned(),
            "grant_type=client_credentials&client_id=x&client_secret=y".to_owned(),
            "[".repeat(5000),
        ];
        let mut body = match self.random.random_range(0..4) {
            0 => Vec::new(),
            1 => (0..self.random.random_range(0..40)).map(|_| self.random.random()).collect(),
            _ => likely.choose(&mut self.random).unwrap().clone().into_bytes(),
        };
        if self.random.random_bool(0.02) {
            body.resize(20_000, b' ');
        }
        body
    }

    fn request(&mut self) -> Asked {
        let mut asked = Asked {
            method: METHODS.choose(&mut self.random).unwrap(),
            path: self.path(),
            query: self.query(),
            headers: self.headers(),
            body: self.body(),
        };
        // The only request with a body that is read would be too rare otherwise.
        if self.random.random_bool(0.2) {
            (asked.method, asked.path) = ("POST", "/v1/subscriptions".to_owned());
        }
        asked
    }
}

/// The responses that the document describes for a path; `None` if it describes no such request.
fn described<'a>(document: &'a Value, asked: &Asked) -> Option<&'a Value> {
    let method = if asked.method == "HEAD" { "get" } else { &asked.method.to_lowercase() };
    let paths = document["paths"].as_object().unwrap();
    let mut items = paths.iter().filter(|(template, _)| match template.strip_suffix("{id}") {
        Some(start) => {
            let tail = asked.path.strip_prefix(start);
            tail.is_some_and(|tail| !tail.is_empty() && !tail.contains('/'))
        }
        None => **template == asked.path,
    });
    // A path without a parameter goes before one with (OpenAPI 3.1, Paths Object).
    let mut operations: Vec<(&String, &Value)> =
        items.by_ref().filter_map(|(path, item)| Some((path, item.get(method)?))).collect();
    operations.sort_by_key(|(path, _)| path.contains('{'));
    operations.first().map(|(_, operation)| &operation["responses"])
}

#[track_caller]
fn check(document: &Value, asked: &Asked, answered: &Answered) {
    let Answered { status, media_type, body } = answered;
    let shown = || format!("{asked:?}\n{status} {media_type} {}", String::from_utf8_lossy(body));
    match described(document, asked) {
        Some(responses) => {
            assert!(responses.get(status.to_string()).is_some(), "not described: {}", shown());
        }
        None => assert!([204, 404, 405].contains(status), "{}", shown()),
    }
    if *status >= 400 {
        assert_eq!(media_type, "application/problem+json", "{}", shown());
        if asked.method != "HEAD" {
            let problem: Value = serde_json::from_slice(body).unwrap_or_default();
            assert_eq!(problem["status"], *status, "{}", shown());
            assert!(problem["title"].is_string() && problem["detail"].is_string(), "{}", shown());
        }
    }
}

#[test]
fn every_answer_is_one_the_document_describes() {
    let source = Program::start([
        "serve",
        "--rate",
        "20/s",
        "--port",
        "0",
        "--duration",
        "120s",
        "--format",
        "json",
    ]);
    let address: SocketAddr = eventually("an address", || {
        let said = source.stderr();
        said.strip_prefix("serving http://")?.split_once('/')?.0.parse().ok()
    });
    let document: Value = serde_json::from_slice(&get(address, "/openapi.json").body).unwrap();
    let paths = document["paths"].as_object().unwrap().keys().cloned().collect();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/hook", nobody.local_addr().unwrap());
    let mut maker = Maker { random: StdRng::seed_from_u64(7), paths, target };
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..REQUESTS {
        let asked = maker.request();
        let answered = ask(address, &asked);
        check(&document, &asked, &answered);
        *statuses.entry(answered.status).or_insert(0_u32) += 1;
    }
    // It went everywhere, or it has shown nothing.
    for status in [200, 201, 204, 400, 404, 405, 413, 422] {
        assert!(statuses.contains_key(&status), "{status} never came: {statuses:?}");
    }
    assert_eq!(get(address, "/healthz").status, 200, "it lives");
    // Webhooks that nobody answers end with the source.
    source.signal(Signal::TERM);
    source.wait().expect_code(&[0]);
}
