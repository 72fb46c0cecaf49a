//! The link between the two sides of a strategy: what every mechanism's conversation shares.
//!
//! How connections are made is a setting of the strategy and not of its mechanism, so that a
//! poll and a webhook can be compared over equal links.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::wire::client::Dial;
use crate::wire::routes::Routes;
use crate::wire::server::serve;
use crate::wire::tally::Tally;

/// Round trips an exchange on a new connection takes at most: TCP's handshake, TLS's (two in
/// version 1.2), and its own.
pub const CONNECTION_ROUND_TRIPS: u32 = 4;

/// Settings of the link: keys that every `[[strategy]]` has beside its mechanism's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// Whether connections are kept open for further exchanges.
    #[serde(default = "default_keep_alive")]
    pub keep_alive: bool,
}

fn default_keep_alive() -> bool {
    true
}

impl Default for Link {
    fn default() -> Link {
        Link { keep_alive: default_keep_alive() }
    }
}

impl Link {
    /// Round trips that set a connection up before each exchange: that of TCP, or none where
    /// connections are kept.
    #[must_use]
    pub fn set_up(&self) -> u32 {
        u32::from(!self.keep_alive)
    }
}

/// One side's end of the link: what a half dials and listens with.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// The strategy's settings.
    pub link: Link,
    /// The round trip injected into every connection this end accepts, if one is.
    pub rtt: Option<Duration>,
    /// What counts exchanges, connections and bytes.
    pub tally: Tally,
}

impl Line {
    /// An end that has counted nothing yet.
    #[must_use]
    pub fn new(link: Link) -> Line {
        Line { link, rtt: None, tally: Tally::default() }
    }

    /// The same end with a round trip injected into every connection it accepts.
    ///
    /// Both directions are delayed where the connection is accepted, by half of it each, and a
    /// new connection costs a further round trip. The other end needs no setting for it.
    #[must_use]
    pub fn delayed(self, rtt: Option<Duration>) -> Line {
        Line { rtt, ..self }
    }

    /// How to dial a peer; an exchange may take `timeout`, dialling included.
    #[must_use]
    pub fn dial(&self, peer: SocketAddr, timeout: Duration) -> Dial {
        Dial { peer, keep_alive: self.link.keep_alive, timeout, tally: self.tally.clone() }
    }

    /// Serves connections until `stop`, then waits briefly for exchanges still under way.
    ///
    /// # Errors
    ///
    /// When the system refuses to accept more connections, for want of file descriptors say.
    pub async fn serve(
        &self,
        listener: TcpListener,
        routes: Routes,
        stop: CancellationToken,
    ) -> io::Result<()> {
        serve(listener, routes, self.clone(), stop).await
    }
}
