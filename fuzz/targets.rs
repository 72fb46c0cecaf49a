//! What is fuzzed: a function a target, which takes any bytes and must return.
//!
//! `cargo fuzz` and the bounded run of `cargo test` both take the targets from here. A panic, an
//! abort, a hang and memory without bound are findings; an error is what is wanted.
//!
//! Each says whether it took the bytes for what it reads. What is behind a parser is reached only
//! by bytes that are taken, so that every corpus must hold some.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use pollpush::analysis::analyse::analyse;
use pollpush::clock::Moment;
use pollpush::event::{self, Envelope, Payload};
use pollpush::plan;
use pollpush::record::histogram::{HistogramLog, Tag};
use pollpush::record::join::{Arrival, Emission};
use pollpush::record::ledger::Ledger;
use pollpush::record::manifest::Manifest;
use pollpush::record::run::Run;
use pollpush::record::sample::Sample;
use pollpush::record::trial::TrialRecord;
use pollpush::record::{intervals, parquet_file};
use pollpush::report::{csv, json, markdown};
use pollpush::scenario::{self, Override};
use pollpush::schedule::Trace;
use pollpush::source::feed::Page;
use pollpush::subscriber::inbox::{Delivery, Inbox};
use pollpush::trial::control::{FromWorker, ToWorker};
use pollpush::trial::rows::{self, unpack};
use pollpush::wire::auth::{Auth, Gatekeeper, Keyring};
use pollpush::wire::destination::Destinations;
use pollpush::wire::event_stream::{EventStreamParser, Item};
use pollpush::wire::pacing::{Advice, LONGEST_WAIT, retry_after};
use pollpush::wire::prefer;
use pollpush::wire::signature::{Scheme, Signer, Verifier};
use pollpush::wire::validator::EntityTag;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::Sha256;

/// A target by its name, which is also that of its corpus.
pub(crate) type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub(crate) const TARGETS: [Target; 14] = [
    ("scenario", scenario),
    ("control", control),
    ("event", event),
    ("event_stream", event_stream),
    ("signature", signature),
    ("request", request),
    ("headers", headers),
    ("destination", destination),
    ("trace", trace),
    ("manifest", manifest),
    ("trials", trials),
    ("histogram", histogram),
    ("ledger", ledger),
    ("run", run),
];

/// The time by the wall clock, in seconds since 1970.
const NOW: Timestamp = Timestamp::constant(1_764_000_000, 0);

/// A scenario file, and a value given beside it; what is taken is planned.
pub(crate) fn scenario(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let given = text.lines().next().unwrap_or_default().to_owned();
    let given = [Override { origin: "--set", text: given }];
    let mut taken = false;
    for overrides in [&[][..], &given] {
        match scenario::parse("scenario.toml", &text, overrides) {
            Ok(scenario) => {
                taken = true;
                planned(&scenario);
            }
            Err(error) => {
                let shown = error.render(false);
                assert!(!shown.is_empty() && shown.len() < 100_000);
                assert!(!error.positions().is_empty(), "{shown}");
            }
        }
    }
    taken
}

/// Plans a scenario, and asks for the first events of each point.
fn planned(scenario: &scenario::Scenario) {
    let plan = plan::expand(scenario);
    assert!(!plan.trials.is_empty());
    for point in &plan.points {
        let until = point.warm_up + point.window;
        let trace = point.trace.as_ref().map(|file| &file.trace);
        let due = point.arrivals.due_offsets(point.rate, plan.seed, until, trace);
        let first: Vec<u64> = due.expect("a plan has its traces").take(100).collect();
        assert!(first.is_sorted() && first.iter().all(|due| u128::from(*due) < until.as_nanos()));
    }
}

/// What coordinator and workers say to each other, a message a line, and the rows in it; or packed
/// rows alone.
pub(crate) fn control(data: &[u8]) -> bool {
    let (mut taken, mut packed) = (false, Vec::new());
    let (mut emissions, mut deliveries) = (Vec::new(), Vec::new());
    for line in data.split(|byte| *byte == b'\n') {
        taken |= said_again::<ToWorker>(line).is_some();
        match said_again(line) {
            Some(FromWorker::Rows { packed: rows }) => packed.push(rows),
            Some(FromWorker::SourceReport(_)) => unpack_all(&mut packed, &mut emissions),
            Some(FromWorker::SubscriberReport(_)) => unpack_all(&mut packed, &mut deliveries),
            Some(_) => taken = true,
            None => {}
        }
    }
    if !emissions.is_empty() {
        taken |= joined(&emissions, &deliveries);
    }
    let mut rows = Vec::new();
    taken |= unpack::<rows::Emission>(&String::from_utf8_lossy(data), &mut rows);
    assert!(rows.len() <= data.len());
    taken
}

/// A message, if it is one: it can be said again, and is then the same.
fn said_again<M: DeserializeOwned + Serialize>(line: &[u8]) -> Option<M> {
    let message: M = serde_json::from_slice(line).ok()?;
    let said = serde_json::to_vec(&message).expect("what was heard can be said");
    let heard: M = serde_json::from_slice(&said).expect("what was said can be heard");
    let again = serde_json::to_vec(&heard).expect("what was heard can be said");
    assert_eq!(said, again, "{}", String::from_utf8_lossy(&said));
    Some(message)
}

fn unpack_all<R: rows::Row>(packed: &mut Vec<String>, rows: &mut Vec<R>) {
    rows.clear();
    // As the coordinator does: a damaged piece ends it.
    let _ = packed.drain(..).all(|piece| unpack(&piece, rows));
}

/// What a record keeps of a report: a ledger and a histogram log, which read back.
fn joined(emissions: &[rows::Emission], deliveries: &[Delivery]) -> bool {
    let emissions: Vec<Emission> = emissions
        .iter()
        .map(|row| Emission {
            due: row.due.as_nanoseconds(),
            emitted: row.emitted.as_nanoseconds(),
        })
        .collect();
    let arrivals: Vec<Arrival> = deliveries
        .iter()
        .map(|row| Arrival {
            subscriber: row.subscriber,
            sequence: row.sequence,
            arrived: row.arrived.as_nanoseconds(),
            usable: row.usable.as_nanoseconds(),
            copies: row.copies,
        })
        .collect();
    let Ok(ledger) = Ledger::join(&emissions, 2, &arrivals) else { return false };
    ledger.check().expect("what was joined fits together");
    counted(&ledger);
    // Times beyond the format of the file are refused.
    if let Ok(encoded) = parquet_file::encode(&ledger) {
        assert_eq!(parquet_file::decode_bytes(encoded), Ok(ledger.clone()));
    }
    let log = intervals::encode(&ledger, NOW, Duration::from_secs(1));
    // A log of more than a month is refused.
    if let Ok(log) = HistogramLog::decode(log) {
        read_log(&log);
    }
    !arrivals.is_empty()
}

/// The body of a webhook or of a page: an event, a notice, or several of them, which an inbox
/// takes.
pub(crate) fn event(data: &[u8]) -> bool {
    let mut sequences = Vec::new();
    for payload in [Payload::Full, Payload::Thin] {
        sequences.extend(event::decode_as(data, payload));
        sequences.extend(event::decode_batch(data, payload).unwrap_or_default());
    }
    if let Ok(page) = serde_json::from_slice::<Page<'_>>(data) {
        sequences.extend(page.events.iter().flat_map(Envelope::sequence));
    }
    assert!(sequences.len() <= data.len());
    let inbox = Inbox::new(1);
    for sequence in &sequences {
        inbox.accept(0, *sequence, Moment::default());
    }
    let (deliveries, refused) = inbox.empty();
    let copies: u64 = deliveries.iter().map(|delivery| u64::from(delivery.copies)).sum();
    assert_eq!(copies + refused, sequences.len() as u64);
    assert!(inbox.without_gap(0) <= deliveries.len() as u64);
    !deliveries.is_empty()
}

/// An event stream, in pieces as long as its first byte says.
pub(crate) fn event_stream(data: &[u8]) -> bool {
    const LIMIT: usize = 1000;
    let Some((piece, stream)) = data.split_first() else { return false };
    let read = |piece: usize| {
        let mut parser = EventStreamParser::new(LIMIT);
        let mut items = Vec::new();
        for piece in stream.chunks(piece) {
            let mut input = Bytes::copy_from_slice(piece);
            loop {
                match parser.next(&mut input) {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok((items, parser.last_event_id().to_owned()))
    };
    // However it is cut, it says the same.
    let whole = read(stream.len().max(1));
    assert_eq!(read(usize::from(*piece).max(1)), whole);
    whole.is_ok_and(|(items, _)| items.iter().any(|item| matches!(item, Item::Event(_))))
}

/// Lines of headers, up to an empty one, and what is behind them.
fn message(data: &[u8]) -> (HeaderMap, &[u8]) {
    let (mut headers, mut rest) = (HeaderMap::new(), data);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, behind) = (&rest[..end], &rest[end + 1..]);
        rest = behind;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

/// A signed message, and the same body signed as it should be.
pub(crate) fn signature(data: &[u8]) -> bool {
    let (headers, body) = message(data);
    let mut taken = false;
    for (scheme, secret) in [
        (Scheme::StandardWebhooks, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (Scheme::XSignature, "a secret"),
        (Scheme::GitHub, "a secret"),
    ] {
        let key = scheme.key(secret).expect("a secret of the scheme");
        let verifier = Verifier::new(scheme, vec![key.clone()]);
        if let Ok(verified) = verifier.verify(&headers, body, NOW) {
            verifier.accepted(verified, NOW);
            taken = true;
        }
        let signer = Signer::new(scheme, vec![key]).expect("one key");
        let mut signed = HeaderMap::new();
        signer.sign(&HeaderValue::from_static("msg_2"), NOW, body, &mut signed);
        assert!(verifier.verify(&signed, body, NOW).is_ok(), "what was signed is believed");
    }
    taken
}

/// The secrets of a source.
const KEYRING: &str =
    r#"{"client-id":"poll","api-key":"key","jwt-secret":"secret","client-secret":"word"}"#;

/// The headers of a request: who sends it, what they hold and what they would like; and the claims
/// of a token that is signed as it should be.
pub(crate) fn request(data: &[u8]) -> bool {
    let (headers, claims) = message(data);
    let keyring: Keyring = serde_json::from_str(KEYRING).expect("a keyring");
    let gatekeeper = |auth| Gatekeeper::new(auth, keyring.clone());
    let mut taken = prefer::wait(&headers).is_some() | EntityTag::new("7").is_held(&headers);
    for auth in [Auth::None, Auth::ApiKey, Auth::Jwt] {
        match gatekeeper(auth).admit(&headers, NOW) {
            Ok(_) => taken |= auth != Auth::None,
            Err(refusal) => drop(refusal.reply()),
        }
    }
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let unsigned = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let mut code = Hmac::<Sha256>::new_from_slice(b"secret").expect("a key of any length");
    code.update(unsigned.as_bytes());
    let code = URL_SAFE_NO_PAD.encode(code.finalize().into_bytes());
    let bearer = HeaderValue::try_from(format!("Bearer {unsigned}.{code}")).expect("base64");
    let signed = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    taken | gatekeeper(Auth::Jwt).admit(&signed, NOW).is_ok()
}

/// What an answer says about when to come again.
pub(crate) fn headers(data: &[u8]) -> bool {
    let (headers, _) = message(data);
    let advice = Advice::read(&headers, NOW);
    let waits = [advice.pause, advice.poll_interval, retry_after(&headers, NOW)];
    assert!(waits.into_iter().flatten().all(|wait| wait <= LONGEST_WAIT));
    waits.into_iter().any(|wait| wait.is_some())
}

/// The URL of a webhook: nothing but loopback is reached.
pub(crate) fn destination(data: &[u8]) -> bool {
    let Ok(url) = std::str::from_utf8(data) else { return false };
    // A name is the system's to look up.
    if url.to_ascii_lowercase().contains("localhost") {
        return false;
    }
    let destinations = Destinations::default();
    let Some(Ok(target)) = destinations.target(url, "http").now_or_never() else { return false };
    assert!(target.peer.ip().is_loopback() && target.name.is_none(), "{target:?}");
    true
}

/// The file of a trace.
pub(crate) fn trace(data: &[u8]) -> bool {
    [None, Some("time")].into_iter().any(|column| Trace::parse(data, column).is_ok())
}

/// The manifest of a run, which is the same once it is written and read again.
pub(crate) fn manifest(data: &[u8]) -> bool {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else { return false };
    let again: Manifest = serde_json::from_str(&manifest.text()).expect("what was written");
    assert_eq!(again.identity(), manifest.identity());
    assert_eq!(again.first_difference(&manifest), None);
    let name = manifest.folder_name();
    assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'), "{name}");
    true
}

/// The records of trials, a line each, which are the same once they are written and read again.
pub(crate) fn trials(data: &[u8]) -> bool {
    let lines = data.split(|byte| *byte == b'\n');
    lines.fold(false, |taken, line| said_again::<TrialRecord>(line).is_some() | taken)
}

/// A histogram log; or the bytes of one histogram, packed into a line of a log.
pub(crate) fn histogram(data: &[u8]) -> bool {
    let log = if data.starts_with(b"#") { data.to_vec() } else { log_of(data) };
    HistogramLog::decode(log).is_ok_and(|log| read_log(&log))
}

/// A log of one histogram.
fn log_of(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    let packed = encoder.finish().expect("memory");
    let length = u32::try_from(packed.len()).unwrap_or(u32::MAX).to_be_bytes();
    let packed = STANDARD.encode([&[0x1c, 0x84, 0x93, 0x14], &length[..], &packed].concat());
    let totals =
        [("latency", 0), ("lag", values_of(plain)), ("warm-up-latency", 0), ("warm-up-lag", 0)];
    let totals = totals.map(|(tag, count)| {
        format!(
            "#[pollpush totals {tag}: {{\"count\":{count},\"sum\":0,\"min\":0,\"max\":0,\
             \"clamped\":0,\"backwards\":0}}]\n"
        )
    });
    format!("{}Tag=lag,0.000,1.000,0.001,{packed}\n", totals.concat()).into_bytes()
}

/// How many values the bytes of a histogram claim: what the totals of its log must say.
fn values_of(plain: &[u8]) -> u64 {
    let (mut values, mut zigzag, mut shift) = (0_u64, 0_u64, 0);
    for byte in plain.get(40..).unwrap_or_default() {
        // Numbers of groups of seven bits, the ninth of which has eight.
        let last = shift == 56;
        zigzag |= u64::from(if last { *byte } else { byte & 0x7f }) << shift;
        if last || byte & 0x80 == 0 {
            if zigzag & 1 == 0 {
                values = values.saturating_add(zigzag >> 1);
            }
            (zigzag, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
    values
}

/// Reads everything in a log; says whether anything is in it.
fn read_log(log: &HistogramLog) -> bool {
    assert!(log.intervals().all(|interval| interval.is_ok()));
    [Tag::Latency, Tag::Lag, Tag::WarmUpLatency, Tag::WarmUpLag].into_iter().fold(
        false,
        |any, tag| {
            let (merged, totals) = (log.merged(tag), log.totals(tag));
            assert_eq!(merged.len(), totals.count);
            assert!(merged.value_at_quantile(0.5) <= merged.value_at_quantile(1.0));
            totals.count > 0 || any
        },
    )
}

/// A ledger.
pub(crate) fn ledger(data: &[u8]) -> bool {
    let Ok(ledger) = parquet_file::decode_bytes(data.to_vec()) else { return false };
    ledger.check().expect("what was read fits together");
    counted(&ledger);
    ledger.rows() > 0
}

/// Counts a ledger, with and without what its strategy may leave out.
fn counted(ledger: &Ledger) {
    for coalesces in [false, true] {
        let counts = ledger.counts(0, u64::MAX, coalesces);
        assert!(counts.delivered <= counts.emitted);
        assert_eq!(counts.emitted, counts.delivered + counts.coalesced + counts.lost);
    }
    assert!(ledger.newest().len() <= ledger.rows());
}

/// The manifest of a run and, behind its last line, the records of its trials; or a list of values
/// to put into those of the sample, which is what hardly any other bytes come to. Ledgers and
/// histograms are those of the sample. What can be analysed is reported.
pub(crate) fn run(data: &[u8]) -> bool {
    if !data.starts_with(b"{") {
        return is_analysed(&edited(data));
    }
    is_analysed(data)
}

fn is_analysed(data: &[u8]) -> bool {
    let end = data.windows(3).position(|bytes| bytes == b"\n}\n");
    let (manifest, trials) = data.split_at(end.map_or(data.len(), |end| end + 3));
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, bytes: &[u8]| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("written");
    };
    for (file, bytes) in sampled() {
        write(file, bytes);
    }
    write("manifest.json", manifest);
    write("trials.jsonl", trials);
    let analysed = Run::open(folder.path())
        .map_err(|error| error.to_string())
        .and_then(|run| analyse(&run).map_err(|error| error.to_string()));
    match analysed {
        Ok(analysis) => {
            // Charts take too long to draw.
            let text = markdown::report(&analysis) + &csv::summary(&analysis.summary);
            assert!(!text.is_empty() && !json::summary(&analysis.summary).is_empty());
            true
        }
        Err(error) => {
            assert!(!error.is_empty());
            false
        }
    }
}

/// The manifest and the records of the sample, with other values in them: four bytes say which of
/// all values, and what it becomes.
fn edited(edits: &[u8]) -> Vec<u8> {
    let text = |name: &str| {
        let (_, bytes) = sampled().iter().find(|(file, _)| file == name).expect("a file");
        String::from_utf8_lossy(bytes).into_owned()
    };
    let manifest: Value = serde_json::from_str(&text("manifest.json")).expect("JSON");
    let records = text("trials.jsonl");
    let records = records.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let mut values: Vec<Value> = std::iter::once(manifest).chain(records).collect();
    for edit in edits.as_chunks::<4>().0.iter().take(16) {
        let [low, high, kind, amount] = *edit;
        let mut place = usize::from(u16::from_le_bytes([low, high]));
        values.iter_mut().any(|value| edit_at(value, &mut place, kind, amount));
    }
    let mut written = serde_json::to_string_pretty(&values[0]).expect("JSON");
    for record in &values[1..] {
        written.push('\n');
        written.push_str(&record.to_string());
    }
    (written + "\n").into_bytes()
}

/// Changes the value at a place among all that hold no others; whether there are so many.
fn edit_at(value: &mut Value, place: &mut usize, kind: u8, amount: u8) -> bool {
    match value {
        Value::Object(members) => {
            members.values_mut().any(|inner| edit_at(inner, place, kind, amount))
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter_mut().any(|inner| edit_at(inner, place, kind, amount))
        }
        plain => {
            let there = *place == 0;
            if there {
                *plain = edit_of(plain, kind, amount);
            }
            *place = place.wrapping_sub(1);
            there
        }
    }
}

/// Another value in the place of one.
fn edit_of(value: &Value, kind: u8, amount: u8) -> Value {
    let texts = [
        "",
        "0ms",
        "1ns",
        "1s",
        "168h",
        "1/year",
        "1/s",
        "1000000/s",
        "0 B",
        "1 MiB",
        "poll",
        "webhook",
        "solo",
        "running",
        "ledger/0000-poll.parquet",
        "/",
        "\u{1f980}",
        "0%",
        "100%",
    ];
    match (kind % 16, value) {
        (0, _) => Value::Null,
        (1, _) | (11.., Value::String(_)) => texts[usize::from(amount) % texts.len()].into(),
        (2, Value::Bool(is)) => (!is).into(),
        (3, _) => Value::Array(Vec::new()),
        (4, _) => serde_json::json!({}),
        (5, _) => (1e308).into(),
        (6, _) => (-i64::from(amount)).into(),
        (7, _) => u64::from(amount).into(),
        (8, Value::Number(number)) => {
            (number.as_u64().unwrap_or_default() ^ (1 << (amount % 64))).into()
        }
        (8..11, _) => (u64::MAX >> (amount % 64)).into(),
        _ => (1_u64 << (amount % 64)).into(),
    }
}

/// A small run, whose files are the corpus of what reads them.
pub(crate) fn small_run(out: &Path) -> std::path::PathBuf {
    let sample =
        Sample { blocks: 1, rates: vec![3], window: Duration::from_secs(2), ..Sample::default() };
    sample.write(out).expect("a run")
}

/// Every file of a small run.
fn sampled() -> &'static [(String, Vec<u8>)] {
    static SAMPLE: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let out = tempfile::tempdir().expect("a folder");
        let run = small_run(out.path());
        let text = fs::read_to_string(run.join("manifest.json")).expect("a manifest");
        let manifest: Manifest = serde_json::from_str(&text).expect("a manifest");
        let read = |file: &String| (file.clone(), fs::read(run.join(file)).expect("a file"));
        let own = "manifest.json".to_owned();
        manifest.files.keys().chain([&own]).map(read).collect()
    })
}
