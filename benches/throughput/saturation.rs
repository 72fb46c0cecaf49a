//! As fast as it goes: polls back to back, and webhooks with a full log behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pollpush::clock::{self, Moment, WallAnchor};
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::{DeliveryError, Strategy};
use pollpush::event::{Encoder, Sequence};
use pollpush::source::feed::EventWriter;
use pollpush::source::lane::{Contents, LaneThread};
use pollpush::source::log::{LogReader, LogWriter, event_log};
use pollpush::subscriber::inbox::Inbox;
use pollpush::subscriber::post::{Epoch, Life, Post, Readiness};
use pollpush::units::Bytes;
use pollpush::wire::body;
use pollpush::wire::link::Line;
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tally::Tally;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::place::{self, SOURCE, SUBSCRIBER};
use crate::{CONNECTIONS, SECONDS, peers};

/// Size of an event's `data`.
pub(crate) const PAYLOAD: Bytes = Bytes(1024);

/// Events behind the webhooks: more than can be delivered in the time.
const BACKLOG: u64 = 60_000;

type Lane = LaneThread<DeliveryError>;
type Figure = (&'static str, f64);

pub(crate) fn strategy(mechanism: &str, settings: serde_json::Value) -> Arc<dyn Strategy> {
    let mechanism = MECHANISMS.iter().find(|known| known.name() == mechanism).unwrap();
    mechanism.restore(settings).unwrap()
}

/// Starts a lane on the source's CPU.
pub(crate) fn start_lane(strategy: &Arc<dyn Strategy>, log: &LogReader) -> Lane {
    let writer = EventWriter::new(Encoder::new(PAYLOAD), WallAnchor::now());
    let half = Arc::clone(strategy);
    place::on(SOURCE, || {
        place::runtime().block_on(async {
            let listener = bind_loopback().await.unwrap();
            let half = move |lane: &_| half.source(lane, Routes::new());
            let contents = Contents { log: log.clone(), writer, seed: 1 };
            Lane::start("bench", listener, contents, Line::default(), half).unwrap()
        })
    })
}

/// A subscriber half on the calling runtime.
pub(crate) struct Subscribed {
    half: JoinSet<Result<(), DeliveryError>>,
    stop: CancellationToken,
    pub(crate) inbox: Inbox,
    pub(crate) tally: Tally,
}

impl Subscribed {
    /// Starts the half and waits until it is ready; its epoch is now.
    pub(crate) async fn start(
        strategy: &Arc<dyn Strategy>,
        source: SocketAddr,
        subscribers: u32,
    ) -> Subscribed {
        let (inbox, line, stop) =
            (Inbox::new(subscribers), Line::default(), CancellationToken::new());
        let tally = line.tally.clone();
        let (epoch_known, epoch) = Epoch::channel();
        let (ready, readied) = Readiness::channel();
        let post = Post {
            inbox: inbox.clone(),
            line,
            source,
            subscribers,
            stop: stop.clone(),
            seed: 7,
            ready,
            epoch,
            life: Life::default(),
        };
        let mut half = JoinSet::new();
        half.spawn(Arc::clone(strategy).subscriber(post));
        readied.await.unwrap();
        epoch_known.send(Some(clock::now())).unwrap();
        Subscribed { half, stop, inbox, tally }
    }

    pub(crate) async fn finish(mut self) {
        self.stop.cancel();
        self.half.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub(crate) fn end(mut lane: Lane) {
    place::runtime().block_on(lane.stop()).unwrap();
    lane.dismiss();
}

/// Back-to-back polls of an empty page, ours and others'.
pub(crate) fn polls() -> Vec<Figure> {
    let (mut writer, log) = event_log();
    fill(&mut writer, 10);
    let floor = strategy("poll", json!({ "every": "0ms", "client": "hyper" }));
    let usual = strategy("poll", json!({ "every": "0ms", "client": "reqwest" }));
    let lane = start_lane(&floor, &log);
    let path = "/v1/events?after=10&limit=100";
    let figures = [
        ("poll exchanges/s, hyper client", Some(poll(&floor, lane.address))),
        ("poll exchanges/s, reqwest client", Some(poll(&usual, lane.address))),
        ("wrk GET exchanges/s", peers::wrk(lane.address, path)),
        ("oha GET exchanges/s", peers::oha(lane.address, path, None, SUBSCRIBER)),
    ];
    end(lane);
    known(figures)
}

fn poll(strategy: &Arc<dyn Strategy>, source: SocketAddr) -> f64 {
    place::on(SUBSCRIBER, || {
        place::runtime().block_on(async {
            let subscribed = Subscribed::start(strategy, source, CONNECTIONS).await;
            let (began, before) = (clock::now(), subscribed.tally.counts());
            tokio::time::sleep(Duration::from_secs(SECONDS)).await;
            let done = subscribed.tally.counts() - before;
            let rate = done.exchanges() as f64 / clock::now().since(began).as_secs_f64();
            subscribed.finish().await;
            rate
        })
    })
}

/// Webhooks out of a full log, and the same body posted by others to a bare server.
pub(crate) fn webhooks() -> Vec<Figure> {
    let figures = [
        ("webhook deliveries/s, signed", Some(deliver("standard-webhooks"))),
        ("webhook deliveries/s, unsigned", Some(deliver("none"))),
        ("oha POST exchanges/s", post_to_bare_server()),
    ];
    known(figures)
}

fn deliver(sign: &str) -> f64 {
    let settings = json!({ "concurrency": CONNECTIONS, "sign": sign });
    let strategy = strategy("webhook", settings);
    let (mut writer, log) = event_log();
    let lane = start_lane(&strategy, &log);
    let rate = place::on(SUBSCRIBER, || {
        place::runtime().block_on(async {
            let subscribed = Subscribed::start(&strategy, lane.address, 1).await;
            let began = clock::now();
            fill(&mut writer, BACKLOG);
            subscribed.inbox.holds_all(BACKLOG).await;
            let rate = BACKLOG as f64 / clock::now().since(began).as_secs_f64();
            subscribed.finish().await;
            rate
        })
    });
    end(lane);
    rate
}

fn fill(writer: &mut LogWriter, events: u64) {
    for _ in 0..events {
        writer.append(Moment::default()).unwrap();
    }
}

fn post_to_bare_server() -> Option<f64> {
    let mut body = Vec::new();
    Encoder::new(PAYLOAD).encode(Sequence::at_index(41), clock::wall(), &mut body);
    let body = String::from_utf8(body).unwrap();
    let (address_known, address) = std::sync::mpsc::channel();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            place::pin(SUBSCRIBER);
            place::runtime().block_on(async {
                let listener = bind_loopback().await.unwrap();
                address_known.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve_bare(listener) => {}
                    () = stopped.cancelled() => {}
                }
            });
        });
        let rate = peers::oha(address.recv().unwrap(), "/", Some(&body), SOURCE);
        stop.cancel();
        rate
    })
}

/// What hyper does with nothing around it: read the body, answer 204.
async fn serve_bare(listener: tokio::net::TcpListener) {
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        open.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async move {
                body::read(request.into_body(), 1 << 20).await?;
                let mut response = Response::new(Full::<bytes::Bytes>::default());
                *response.status_mut() = StatusCode::NO_CONTENT;
                Ok::<_, body::BodyError>(response)
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn known<const N: usize>(figures: [(&'static str, Option<f64>); N]) -> Vec<Figure> {
    figures.into_iter().filter_map(|(name, figure)| Some((name, figure?))).collect()
}
