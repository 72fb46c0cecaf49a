//! What the parts cost: everything that happens once an event, and the writing of a ledger.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use http::header::{HeaderMap, HeaderValue};
use pollpush::clock::{self, Moment};
use pollpush::event::{Encoder, Sequence, decode};
use pollpush::record::join::{Arrival, Emission};
use pollpush::record::ledger::Ledger;
use pollpush::record::parquet_file::encode;
use pollpush::schedule::Arrivals;
use pollpush::source::log::event_log;
use pollpush::subscriber::inbox::Inbox;
use pollpush::units::{Bytes, Rate};
use pollpush::wire::signature::{Scheme, Signer, SigningKey, Verifier};

const EVENTS: u64 = 10_000;

fn schedule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    group.throughput(Throughput::Elements(EVENTS));
    let rate = Rate::per_second(1_000.0).unwrap();
    let span = Duration::from_secs(EVENTS / 1_000);
    for name in Arrivals::NAMES {
        let arrivals = Arrivals::named(name).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(arrivals.due_offsets(rate, 7, span, None).unwrap().max()));
        });
    }
    group.finish();
}

fn log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("append", |bencher| {
        bencher.iter_batched(
            event_log,
            |(mut writer, reader)| {
                for due in 0..EVENTS {
                    writer.append(Moment::from_nanoseconds(due)).unwrap();
                }
                (writer, reader)
            },
            BatchSize::LargeInput,
        );
    });
    let (mut writer, reader) = event_log();
    for due in 0..EVENTS {
        writer.append(Moment::from_nanoseconds(due)).unwrap();
    }
    group.bench_function("read", |bencher| {
        bencher.iter(|| (0..EVENTS).filter_map(|index| reader.get(black_box(index))).count());
    });
    group.finish();
}

fn event(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event of 1 KiB");
    let encoder = Encoder::new(Bytes(1024));
    let time = clock::wall();
    let mut buffer = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            encoder.encode(black_box(Sequence::at_index(41)), time, &mut buffer);
        });
    });
    group.bench_function("decode", |bencher| bencher.iter(|| decode(black_box(&buffer)).unwrap()));

    let key = SigningKey::from_secret(&SigningKey::random_secret()).unwrap();
    let signer = Signer::new(Scheme::StandardWebhooks, vec![key.clone()]).unwrap();
    let verifier = Verifier::new(Scheme::StandardWebhooks, vec![key]);
    let id = HeaderValue::from_static("evt-000000000042");
    let mut headers = HeaderMap::new();
    group.bench_function("sign", |bencher| {
        bencher.iter(|| signer.sign(&id, clock::wall(), black_box(&buffer), &mut headers));
    });
    group.bench_function("verify", |bencher| {
        bencher.iter(|| verifier.verify(&headers, black_box(&buffer), clock::wall()).unwrap());
    });
    group.finish();
}

/// The target is 100 ns an event for both together.
fn recording(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recording");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("inbox", |bencher| {
        bencher.iter_batched(
            || (Inbox::new(1), clock::now()),
            |(inbox, arrived)| {
                for index in 0..EVENTS {
                    inbox.accept(0, Sequence::at_index(index), arrived);
                }
                inbox
            },
            BatchSize::LargeInput,
        );
    });
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 3).unwrap();
    group.bench_function("histogram", |bencher| {
        bencher.iter(|| {
            for latency in 0..EVENTS {
                histogram.saturating_record(black_box(latency * 1_000 + 1));
            }
        });
    });
    group.finish();
}

fn ledger(criterion: &mut Criterion) {
    let rows = 100_000;
    let mut group = criterion.benchmark_group("ledger");
    group.sample_size(20).throughput(Throughput::Elements(rows));
    let emissions: Vec<Emission> = (0..rows)
        .map(|n| Emission { due: n * 1_000_000, emitted: n * 1_000_000 + 70_123 })
        .collect();
    let arrivals: Vec<Arrival> = (0..rows)
        .map(|n| Arrival {
            subscriber: 0,
            sequence: Sequence::at_index(n),
            arrived: n * 1_000_000 + 180_456 + n % 977,
            usable: n * 1_000_000 + 190_789 + n % 977,
            copies: 1,
        })
        .collect();
    group.bench_function("join", |bencher| {
        bencher.iter(|| Ledger::join(&emissions, 1, &arrivals).unwrap());
    });
    let ledger = Ledger::join(&emissions, 1, &arrivals).unwrap();
    group.bench_function("write Parquet", |bencher| {
        bencher.iter(|| encode(&ledger).unwrap());
    });
    group.finish();
}

criterion_group!(parts, schedule, log, event, recording, ledger);
criterion_main!(parts);
