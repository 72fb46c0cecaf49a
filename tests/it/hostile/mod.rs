//! Hostile peers, against every listener and every client.
//!
//! Each of them ends in an error that is counted or said, within bounded time and memory, and
//! whoever behaves is served all the while. The bounds are those of `pollpush::wire::bounds`.

/// Hostile peers of what listens.
mod listeners;
/// Hostile servers of what dials.
mod servers;

use std::net::SocketAddr;
use std::time::Duration;

use pollpush::clock::{self, WallAnchor};
use pollpush::delivery::MECHANISMS;
use pollpush::delivery::contract::DeliveryError;
use pollpush::event::Encoder;
use pollpush::source::feed::EventWriter;
use pollpush::source::lane::{Contents, LaneThread, SourceHalf};
use pollpush::source::log::{LogWriter, event_log};
use pollpush::units::Bytes;
use pollpush::wire::link::Line;
use pollpush::wire::routes::Routes;
use pollpush::wire::socket::bind_loopback;
use pollpush::wire::tally::Tally;

/// Longer than anything here can take on a loaded machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// What the kernel may hold of what was written and never read: the largest buffers of two
/// sockets (32 MiB to receive and 4 MiB to send where a machine is tuned for it), and room to
/// spare.
const IN_THE_KERNEL: u64 = 64 << 20;

/// A source with the halves of these mechanisms behind one listener, whose log the test writes.
struct Source {
    log: LogWriter,
    lane: LaneThread<DeliveryError>,
}

impl Source {
    async fn start(mechanisms: &'static [&'static str], payload: u64, line: Line) -> Source {
        let (log, reader) = event_log();
        let writer = EventWriter::new(Encoder::new(Bytes(payload)), WallAnchor::now());
        let contents = Contents { log: reader, writer, seed: 7 };
        let listener = bind_loopback().await.unwrap();
        let half = move |lane: &_| {
            let (mut routes, mut work) = (Routes::new(), Vec::new());
            for mechanism in MECHANISMS.iter().filter(|one| mechanisms.contains(&one.name())) {
                let half = mechanism.standing_alone().source(lane, routes);
                routes = half.routes;
                work.push(half.work);
            }
            let work = async { futures_util::future::try_join_all(work).await.map(|_| ()) };
            SourceHalf { routes, work }
        };
        let lane = LaneThread::start("hostile", listener, contents, line, half).unwrap();
        Source { log, lane }
    }

    fn emit(&mut self, events: u64) {
        (0..events).for_each(|_| self.log.append(clock::now()).unwrap());
    }

    async fn end(mut self) {
        tokio::time::timeout(DEADLINE, self.lane.stop()).await.unwrap().unwrap();
        self.lane.dismiss();
    }
}

/// Looks until something has been counted as failed this many times.
async fn failed(tally: &Tally, least: u64) {
    let counted = async {
        while tally.counts().failed < least {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let what = format!("{} of {least} failures", tally.counts().failed);
    tokio::time::timeout(DEADLINE, counted).await.expect(&what);
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/hook")
}
