//! `pollpush serve`: the mock source alone, for a client of the user's own.

mod access;
mod metrics;
mod openapi;
mod service;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;
use futures_util::future::try_join_all;
use tokio::net::TcpListener;

use crate::cli::grid::Grid;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::Format;
use crate::cli::outcome::{Outcome, UsageError};
use crate::cli::terminal::Terminal;
use crate::clock::{self, WallAnchor};
use crate::counts::Counts;
use crate::delivery::MECHANISMS;
use crate::delivery::contract::DeliveryError;
use crate::event::{Encoder, MOST_EVENTS};
use crate::schedule::{Arrivals, Impossible};
use crate::source::feed::{EventWriter, FEED_PATH};
use crate::source::lane::{Contents, Lane, LaneThread, SourceHalf};
use crate::source::log::event_log;
use crate::source::pacer::Pacer;
use crate::units::{Bytes, LONGEST_DURATION, Rate, parse_duration};
use crate::wire::destination::{Destinations, Host};
use crate::wire::routes::Routes;

use access::Access;
use service::with_service;

/// Run the mock source alone, for a client of your own.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Events a unit of time, such as `20/s`.
    #[arg(long, default_value = "20/s")]
    rate: Rate,

    /// How events are spaced, with the usual parameters of each.
    #[arg(long, value_name = "NAME", default_value = "poisson",
          value_parser = PossibleValuesParser::new(Arrivals::NAMES))]
    arrivals: String,

    /// Size of an event's data, such as `1 KiB`.
    #[arg(long, default_value = "1 KiB")]
    payload: Bytes,

    /// Seed of the schedule.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// The port on loopback to listen on; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,

    #[command(flatten)]
    access: Access,

    /// A host beside this machine that webhooks may be posted to, as an address or a name; may be
    /// given several times.
    ///
    /// A name must stand for public addresses only, which are looked up when a webhook is
    /// registered; allow an address of a private network as such.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<Host>,

    /// Stop after this long; without it, on Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// How to write the counts to stdout at the end.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Serve {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        self.check()?;
        let interrupt = Interrupt::listen()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (log_writer, log) = event_log();
        let span = self.duration.unwrap_or(LONGEST_DURATION);
        let schedule = self.arrivals().due_offsets(self.rate, self.seed, span, None)?;
        let capacity = usize::try_from(MOST_EVENTS).unwrap_or(usize::MAX);
        let mut pacer = Pacer::prepare(Box::new(schedule.take(capacity)), log_writer)?;
        let counts = runtime.block_on(async {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("port {} cannot be listened on", self.port))?;
            let writer = EventWriter::new(Encoder::new(self.payload), WallAnchor::now());
            // Only now: files are not made for a source that cannot listen.
            let destinations = Destinations::with_hosts(self.allow_host.clone());
            let line = self.access.line(terminal)?.reaching(destinations);
            let scheme = line.scheme();
            let mut lane = {
                let contents = Contents { log: log.clone(), writer, seed: self.seed };
                LaneThread::start("serve", listener, contents, line, all_halves)?
            };
            terminal.say(&format!("serving {scheme}://{}{FEED_PATH}; Ctrl-C stops", lane.address));
            self.access.advice().iter().for_each(|line| terminal.note(line));
            pacer.start(clock::now());
            let end = async {
                // The log is full long before the schedule ends; the source goes on serving it.
                if pacer.finished().await.is_ok() && self.duration.is_none() {
                    terminal.note(&format!("{} events are emitted; no more will come", log.len()));
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = interrupt.token().cancelled() => {}
                () = tokio::time::sleep(span) => {}
                () = end => {}
            }
            lane.stop().await?;
            let counts = lane.tally.counts();
            lane.dismiss();
            anyhow::Ok(counts)
        })?;
        pacer.stop();
        terminal.result(&shown(&counts, log.len(), self.format)?)?;
        Ok(Outcome::Done)
    }
}

impl Serve {
    fn arrivals(&self) -> Arrivals {
        Arrivals::named(&self.arrivals).expect("only known names are accepted")
    }

    fn check(&self) -> Result<(), UsageError> {
        self.access.check()?;
        let (least, most) = (Encoder::SMALLEST_PAYLOAD, Encoder::LARGEST_PAYLOAD);
        if !(least..=most).contains(&self.payload) {
            return Err(UsageError {
                message: format!("a payload of {} is not possible", self.payload),
                hint: format!("give `--payload` a size from {least} to {most}"),
            });
        }
        self.arrivals().check(self.rate).map_err(|Impossible { message, remedy, .. }| UsageError {
            message,
            hint: format!("`--rate`: {remedy}"),
        })
    }
}

/// The source halves of all mechanisms behind one listener, and what the source says of itself.
fn all_halves(lane: &Lane) -> SourceHalf<impl Future<Output = Result<(), DeliveryError>> + use<>> {
    let mut routes = Routes::new();
    let mut work = Vec::new();
    for mechanism in MECHANISMS {
        let half = mechanism.standing_alone().source(lane, routes);
        routes = half.routes;
        work.push(half.work);
    }
    let routes = with_service(routes, lane);
    SourceHalf { routes, work: async { try_join_all(work).await.map(|_| ()) } }
}

/// What was served, counted at the source's sockets.
fn shown(counts: &Counts, emitted: u64, format: Format) -> anyhow::Result<String> {
    let figures = [
        ("events emitted", emitted),
        ("requests", counts.exchanges()),
        ("requests useful", counts.useful),
        ("requests empty", counts.empty),
        ("requests not modified", counts.not_modified),
        ("requests rate limited", counts.rate_limited),
        ("requests failed", counts.failed),
        ("requests overhead", counts.overhead),
        ("streams", counts.streams),
        ("messages", counts.messages),
        ("connections", counts.connections),
        ("bytes to source", counts.bytes_received),
        ("bytes from source", counts.bytes_sent),
    ];
    let mut grid = Grid::new(["counted", "total"]);
    for (name, figure) in figures {
        grid.row(vec![name.to_owned(), figure.to_string()]);
    }
    Ok(match format {
        Format::Table => grid.table(),
        Format::Csv => grid.csv(),
        Format::Markdown => grid.markdown(),
        Format::Json => {
            let object: serde_json::Map<String, serde_json::Value> = figures
                .iter()
                .map(|(name, figure)| (name.replace(' ', "_"), (*figure).into()))
                .collect();
            serde_json::to_string_pretty(&object)? + "\n"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::all_halves;
    use crate::clock::WallAnchor;
    use crate::event::Encoder;
    use crate::source::feed::EventWriter;
    use crate::source::lane::Lane;
    use crate::source::log::event_log;
    use crate::wire::auth::Keyring;
    use crate::wire::link::{Line, Link};
    use crate::wire::routes::Routes;
    use tokio_util::sync::CancellationToken;

    /// What a source alone answers.
    pub(super) fn routes(link: Link) -> Routes {
        let line = Line::new(link).guarded(&Keyring::random("client"));
        let guard = line.guard.clone();
        let (_, log) = event_log();
        let writer = EventWriter::new(Encoder::new(Encoder::SMALLEST_PAYLOAD), WallAnchor::now());
        let (release, stop) = (CancellationToken::new(), CancellationToken::new());
        let routes = all_halves(&Lane { log, writer, seed: 1, line, release, stop }).routes;
        match guard {
            Some(guard) => guard.with_tokens(routes),
            None => routes,
        }
    }
}
