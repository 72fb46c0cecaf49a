//! `pollpush receive`: a webhook receiver alone, for a sender of the user's own.

mod delivery;
mod message;
mod receiver;
mod secret;
mod seen;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::interrupt::Interrupt;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::units::parse_duration;
use crate::wire::link::Line;
use crate::wire::signature::Scheme;

use receiver::{Manner, Receiver};
use summary::Summary;

/// Deliveries that wait to be printed; a terminal that stands still holds up the senders, not
/// the memory.
const UNPRINTED: usize = 256;

/// Receive the webhooks of a sender of your own, and say what came.
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// The port on loopback to listen on; 0 lets the system choose.
    #[arg(long, default_value_t = 9000)]
    port: u16,

    /// How deliveries are signed.
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    sign: Style,

    /// A file that holds the secret; without it, `POLLPUSH_SECRET` in the environment does.
    ///
    /// While a secret is being replaced the file may hold both, one a line.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// The status to answer with, to play a receiver that fails.
    #[arg(long, value_name = "CODE", default_value = "204", value_parser = parse_status)]
    status: StatusCode,

    /// Wait this long before each answer, to play a receiver that is slow.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    delay: Option<Duration>,

    /// Stop after this many deliveries, refused ones included.
    #[arg(long, value_name = "COUNT")]
    count: Option<NonZeroU64>,

    /// Stop after this long; without it, on Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// How to write each delivery, and the summary, to stdout.
    #[arg(long, value_enum, default_value_t)]
    format: Lines,
}

/// The styles of signing, and none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Style {
    /// Nothing is verified.
    #[default]
    None,
    /// Standard Webhooks 1.0: id, timestamp and body.
    StandardWebhooks,
    /// `X-Signature`: hexadecimal HMAC-SHA256 of the body.
    XSignature,
    /// GitHub's `X-Hub-Signature-256`.
    Github,
}

impl Style {
    fn scheme(self) -> Option<Scheme> {
        match self {
            Style::None => None,
            Style::StandardWebhooks => Some(Scheme::StandardWebhooks),
            Style::XSignature => Some(Scheme::XSignature),
            Style::Github => Some(Scheme::GitHub),
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Lines {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
}

/// Statuses that end an exchange (RFC 9110, 15).
fn parse_status(text: &str) -> Result<StatusCode, String> {
    let status = text.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
    status
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| "write a status from 200 to 599".to_owned())
}

impl Receive {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let verifier = secret::verifier(self.sign.scheme(), self.secret_file.as_deref(), terminal)?;
        let interrupt = Interrupt::listen()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let manner = Manner { verifier, status: self.status, delay: self.delay, most: self.count };
        let stop = interrupt.token().child_token();
        let summary = runtime.block_on(self.receive(manner, &stop, terminal))?;
        terminal.result(&summary.shown(self.format)?)?;
        if let Some(caveat) = summary.caveat() {
            terminal.note(caveat);
        }
        Ok(Outcome::Done)
    }

    async fn receive(
        &self,
        manner: Manner,
        stop: &CancellationToken,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Summary> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("port {} cannot be listened on", self.port))?;
        let address = listener.local_addr()?;
        terminal.say(&format!("receiving on http://{address}/ and every path below; Ctrl-C stops"));
        let (sender, mut heard) = mpsc::channel(UNPRINTED);
        let line = Line::default();
        let routes = Arc::new(Receiver::new(manner, sender, stop.clone())).routes();
        let serving = async {
            // The routes go with it, and with them the last sender.
            line.serve(listener, routes, stop.clone()).await.context("it cannot go on receiving")
        };
        let printing = async {
            let mut summary = Summary::default();
            while let Some(delivery) = heard.recv().await {
                summary.add(&delivery);
                if !terminal.is_quiet() {
                    terminal.result(&delivery.line(self.format)?)?;
                }
                if self.count.is_some_and(|count| summary.deliveries() >= count.get()) {
                    stop.cancel();
                }
            }
            anyhow::Ok(summary)
        };
        let ending = async {
            if let Some(duration) = self.duration {
                tokio::time::sleep(duration).await;
                stop.cancel();
            }
            std::future::pending::<()>().await;
        };
        let received = async { tokio::try_join!(serving, printing) };
        let ((), mut summary) = tokio::select! {
            received = received => received?,
            () = ending => unreachable!("it waits for the others"),
        };
        summary.close(&line.tally.counts());
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::parse_status;

    #[test]
    fn only_statuses_that_end_an_exchange_can_be_answered() {
        assert_eq!(parse_status("503").map(|status| status.as_u16()), Ok(503));
        for bad in ["", "abc", "-1", "100", "199", "600", "1000", "20"] {
            assert!(parse_status(bad).is_err(), "{bad}");
        }
    }
}
