//! What is fuzzed: a function a target, which takes any bytes and must return.
//!
//! `cargo fuzz` and the bounded run of `cargo test` both take the targets from here. A panic, an
//! abort, a hang and memory without bound are findings; an error is what is wanted.

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use pollpush::record::histogram::HistogramLog;
use pollpush::record::manifest::Manifest;
use pollpush::record::parquet_file;
use pollpush::record::trial::TrialRecord;
use pollpush::scenario::{self, Override};
use pollpush::schedule::Trace;
use pollpush::subscriber::inbox::Delivery;
use pollpush::trial::control::{FromWorker, ToWorker};
use pollpush::trial::rows::{Emission, unpack};
use pollpush::wire::destination::Destinations;
use pollpush::wire::event_stream::EventStreamParser;
use pollpush::wire::pacing::{Advice, retry_after};
use pollpush::wire::signature::{Scheme, Verifier};

/// A target by its name, which is also that of its corpus.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Every target.
pub(crate) const TARGETS: [Target; 11] = [
    ("scenario", scenario),
    ("control", control),
    ("event_stream", event_stream),
    ("signature", signature),
    ("headers", headers),
    ("destination", destination),
    ("trace", trace),
    ("manifest", manifest),
    ("trials", trials),
    ("histogram", histogram),
    ("ledger", ledger),
];

/// A scenario file, and a value given beside it.
pub(crate) fn scenario(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let given = text.lines().next().unwrap_or_default().to_owned();
    let given = [Override { origin: "--set", text: given }];
    for overrides in [&[][..], &given] {
        if let Err(error) = scenario::parse("scenario.toml", &text, overrides) {
            let shown = error.render(false);
            assert!(!shown.is_empty() && shown.len() < 100_000);
        }
    }
}

/// What coordinator and workers say to each other, and the rows in it.
pub(crate) fn control(data: &[u8]) {
    let _ = serde_json::from_slice::<ToWorker>(data);
    if let Ok(FromWorker::Rows { packed }) = serde_json::from_slice(data) {
        let _ = unpack::<Emission>(&packed, &mut Vec::new());
        let _ = unpack::<Delivery>(&packed, &mut Vec::new());
    }
    let packed = String::from_utf8_lossy(data);
    let mut rows = Vec::new();
    let _ = unpack::<Emission>(&packed, &mut rows);
    assert!(rows.len() <= data.len());
}

/// An event stream, in pieces as long as its first byte says.
pub(crate) fn event_stream(data: &[u8]) {
    const LIMIT: usize = 1000;
    let Some((piece, stream)) = data.split_first() else { return };
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
    assert_eq!(read(usize::from(*piece).max(1)), read(stream.len().max(1)));
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

/// A signed message.
pub(crate) fn signature(data: &[u8]) {
    let (headers, body) = message(data);
    let now = Timestamp::constant(1_764_000_000, 0);
    for (scheme, secret) in [
        (Scheme::StandardWebhooks, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (Scheme::XSignature, "a secret"),
        (Scheme::GitHub, "a secret"),
    ] {
        let Ok(key) = scheme.key(secret) else { continue };
        let verifier = Verifier::new(scheme, vec![key]);
        if let Ok(verified) = verifier.verify(&headers, body, now) {
            verifier.accepted(verified, now);
        }
    }
}

/// What an answer says about when to come again.
pub(crate) fn headers(data: &[u8]) {
    let (headers, _) = message(data);
    let now = Timestamp::constant(1_764_000_000, 0);
    let advice = Advice::read(&headers, now);
    let longest = pollpush::wire::pacing::LONGEST_WAIT;
    let waits = [advice.pause, advice.poll_interval, retry_after(&headers, now)];
    assert!(waits.into_iter().flatten().all(|wait| wait <= longest));
}

/// The URL of a webhook: nothing but loopback is reached.
pub(crate) fn destination(data: &[u8]) {
    let Ok(url) = std::str::from_utf8(data) else { return };
    // A name is the system's to look up.
    if url.to_ascii_lowercase().contains("localhost") {
        return;
    }
    let destinations = Destinations::default();
    if let Some(Ok(target)) = destinations.target(url, "http").now_or_never() {
        assert!(target.peer.ip().is_loopback() && target.name.is_none(), "{target:?}");
    }
}

/// The file of a trace.
pub(crate) fn trace(data: &[u8]) {
    let _ = Trace::parse(data, None);
    let _ = Trace::parse(data, Some("time"));
}

/// The manifest of a run.
pub(crate) fn manifest(data: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(data) {
        let _ = manifest.identity();
    }
}

/// The records of trials, a line each.
pub(crate) fn trials(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let _ = serde_json::from_slice::<TrialRecord>(line);
    }
}

/// A histogram log.
pub(crate) fn histogram(data: &[u8]) {
    if let Ok(log) = HistogramLog::decode(data.to_vec()) {
        assert!(log.intervals().all(|interval| interval.is_ok()));
    }
}

/// A ledger.
pub(crate) fn ledger(data: &[u8]) {
    if let Ok(ledger) = parquet_file::decode_bytes(data.to_vec()) {
        let counts = ledger.counts(0, u64::MAX, false);
        assert!(counts.delivered <= counts.emitted);
    }
}
