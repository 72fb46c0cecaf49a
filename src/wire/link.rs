//! The link between the two sides of a strategy: what every mechanism's conversation shares.
//!
//! How connections are made is a setting of the strategy and not of its mechanism, so that a
//! poll and a webhook can be compared over equal links.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::network::asked::Congestion;
use crate::units::{DurationText, duration_text};
use crate::wire::auth::{Auth, Keyring, Presenter};
use crate::wire::bounds::{HEADER_TIMEOUT, MESSAGE_LIMIT};
use crate::wire::client::Dial;
use crate::wire::delay::Delay;
use crate::wire::destination::Destinations;
use crate::wire::guard::Guard;
use crate::wire::limit::RateLimit;
use crate::wire::routes::Routes;
use crate::wire::server::serve;
use crate::wire::socket::{LOOPBACK, SocketOptions};
use crate::wire::tally::Tally;
use crate::wire::tls::{Credentials, Tls, TlsError};
use crate::wire::trouble::Trouble;

/// Round trips an exchange on a new connection takes at most: TCP's handshake, TLS's (two in
/// version 1.2), and its own.
pub const CONNECTION_ROUND_TRIPS: u32 = 4;

/// Settings of the link: keys that every `[[strategy]]` has beside its mechanism's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are keys of a scenario, each by itself")]
pub struct Link {
    /// Whether connections are kept open for further exchanges.
    #[serde(default = "yes")]
    pub keep_alive: bool,
    /// Whether exchanges go over TLS, with certificates that both sides verify.
    #[serde(default)]
    pub tls: bool,
    /// Whether a further TLS handshake resumes the session of an earlier one (RFC 8446, 2.2).
    #[serde(default = "yes")]
    pub tls_resume: bool,
    /// Whether sockets send small pieces at once (`TCP_NODELAY`); without it Nagle's algorithm keeps
    /// one back until the one before it is acknowledged.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub nodelay: bool,
    /// How long a kept connection may be idle until whoever accepted it closes it, from "10ms" to
    /// "1h"; "75s", as nginx ships, without it. Of HTTP/1.1 only.
    #[serde(default = "usual_idle_timeout", with = "duration_text")]
    #[serde(skip_serializing_if = "is_usual_idle_timeout")]
    #[schemars(with = "DurationText")]
    pub idle_timeout: Duration,
    /// The version of HTTP: "1.1" or "2".
    #[serde(default)]
    pub http: HttpVersion,
    /// How subscribers prove to the source who they are.
    #[serde(default)]
    pub auth: Auth,
    /// How often the subscribers of the strategy, who share one key, may ask the source; as
    /// often as they like without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RateLimit")]
    pub rate_limit: Option<RateLimit>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// As long as for any header.
const IDLE_TIMEOUT: Duration = HEADER_TIMEOUT;

/// How long a connection may be allowed to be idle.
const IDLE_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);

fn usual_idle_timeout() -> Duration {
    IDLE_TIMEOUT
}

fn is_usual_idle_timeout(timeout: &Duration) -> bool {
    *timeout == IDLE_TIMEOUT
}

impl Default for Link {
    fn default() -> Link {
        Link {
            keep_alive: true,
            tls: false,
            tls_resume: true,
            nodelay: true,
            idle_timeout: IDLE_TIMEOUT,
            http: HttpVersion::default(),
            auth: Auth::default(),
            rate_limit: None,
        }
    }
}

impl Link {
    /// Why these settings make no sense together: the key that would be ignored, what is wrong,
    /// and what to do.
    ///
    /// # Errors
    ///
    /// When a setting would have no effect.
    pub fn check(&self) -> Result<(), IdleSetting> {
        if !self.tls && !self.tls_resume {
            return Err(IdleSetting {
                key: "tls-resume",
                message: "without TLS there is no session to resume",
                remedy: "write `tls = true` too, or leave `tls-resume` out",
            });
        }
        let expires = !is_usual_idle_timeout(&self.idle_timeout);
        if expires && (!self.keep_alive || self.http == HttpVersion::Two) {
            return Err(IdleSetting {
                key: "idle-timeout",
                message: "only connections of HTTP/1.1 that are kept are closed for being idle",
                remedy: "leave `idle-timeout` out, or `keep-alive` and `http`",
            });
        }
        if !IDLE_TIMEOUTS.contains(&self.idle_timeout) {
            return Err(IdleSetting {
                key: "idle-timeout",
                message: "a connection cannot be closed after that long",
                remedy: "write a duration from `10ms` to `1h`",
            });
        }
        if self.rate_limit.is_some_and(|limit| limit.burst == 0) {
            return Err(IdleSetting {
                key: "rate-limit",
                message: "with a burst of 0 no request is ever answered",
                remedy: "write `rate-limit = { rate = \"2/s\", burst = 5 }`",
            });
        }
        Ok(())
    }
}

/// A setting that would be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleSetting {
    /// Its key.
    pub key: &'static str,
    /// Why.
    pub message: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

/// A version of HTTP. Both ends know it beforehand; without TLS that is called prior knowledge
/// (RFC 9113, 3.3), with TLS it is what they agree on in the handshake (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2 (RFC 9113).
    #[serde(rename = "2")]
    Two,
}

impl HttpVersion {
    /// Its name in a TLS handshake.
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            HttpVersion::One => b"http/1.1",
            HttpVersion::Two => b"h2",
        }
    }
}

impl Link {
    /// Whether its connections behave as closed forms take them to: small pieces are sent at once,
    /// and a connection that is kept is not closed for being idle within a trial.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        self.nodelay && is_usual_idle_timeout(&self.idle_timeout)
    }

    /// Round trips that set a connection up where one is opened: that of TCP and that of TLS
    /// 1.3, resumed or not (RFC 8446, 2).
    #[must_use]
    pub fn dialling(&self) -> u32 {
        1 + u32::from(self.tls)
    }

    /// Those before each exchange: none where connections are kept.
    #[must_use]
    pub fn set_up(&self) -> u32 {
        if self.keep_alive { 0 } else { self.dialling() }
    }
}

/// One side's end of the link: what a half dials and listens with.
#[derive(Clone, Debug)]
pub struct Line {
    /// The strategy's settings.
    pub link: Link,
    /// Where this end listens.
    pub address: IpAddr,
    /// What delays every connection this end accepts, if something does.
    pub delay: Option<Delay>,
    /// How TCP finds its speed, if not as the machine is set.
    pub congestion: Option<Congestion>,
    /// What it shows and whom it trusts, if exchanges go over TLS.
    pub tls: Option<Tls>,
    /// What proves who this end is, where it asks.
    pub presenter: Presenter,
    /// What stands before the routes of this end, where it is asked.
    pub guard: Option<Arc<Guard>>,
    /// Where it may be asked to send requests to.
    pub destinations: Arc<Destinations>,
    /// What counts exchanges, connections and bytes.
    pub tally: Tally,
    /// What is made to go wrong on purpose.
    pub fault: Option<Fault>,
    /// The incidents that befall this end, as the scenario has it.
    pub trouble: Option<Trouble>,
}

impl Default for Line {
    /// An end on loopback.
    fn default() -> Line {
        Line {
            link: Link::default(),
            address: LOOPBACK,
            delay: None,
            congestion: None,
            tls: None,
            presenter: Presenter::default(),
            guard: None,
            destinations: Arc::default(),
            tally: Tally::default(),
            fault: None,
            trouble: None,
        }
    }
}

impl Line {
    /// An end that has counted nothing yet.
    #[must_use]
    pub fn new(link: Link) -> Line {
        Line { link, ..Line::default() }
    }

    /// The same end with credentials for TLS, if it needs them.
    ///
    /// # Errors
    ///
    /// When the credentials are damaged.
    pub fn secured(self, credentials: Option<&Credentials>) -> Result<Line, TlsError> {
        let (http, resume) = (self.link.http, self.link.tls_resume);
        let tls = credentials.map(|shown| Tls::new(shown, http, resume)).transpose()?;
        Ok(Line { tls, ..self })
    }

    /// The same end as one that asks the source, and proves who it is.
    #[must_use]
    pub fn presenting(self, keyring: &Keyring) -> Line {
        Line { presenter: Presenter::new(self.link.auth, keyring.clone()), ..self }
    }

    /// The same end as the source, which lets in whom and as often as the settings say.
    #[must_use]
    pub fn guarded(self, keyring: &Keyring) -> Line {
        let guard = Guard::new(self.link.auth, self.link.rate_limit, keyring);
        Line { guard: guard.map(Arc::new), ..self }
    }

    /// The same end, which may be asked to send requests there.
    #[must_use]
    pub fn reaching(self, destinations: Destinations) -> Line {
        Line { destinations: Arc::new(destinations), ..self }
    }

    /// The scheme of URLs that lead to this end.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The same end with a delay line before every connection it accepts.
    ///
    /// Both directions are delayed where the connection is accepted, by half of the round trip
    /// each, and a new connection costs a further round trip. The other end needs no setting.
    #[must_use]
    pub fn delayed(self, delay: Option<Delay>) -> Line {
        Line { delay, ..self }
    }

    /// How TCP behaves on its connections.
    #[must_use]
    pub fn options(&self) -> SocketOptions {
        SocketOptions { nodelay: self.link.nodelay, congestion: self.congestion }
    }

    /// How to dial a peer; an exchange may take `timeout`, dialling included.
    ///
    /// Clients of one dial share their TLS sessions, as the connections of one process do; two
    /// simulated subscribers are two dials.
    #[must_use]
    pub fn dial(&self, peer: SocketAddr, timeout: Duration) -> Dial {
        Dial {
            peer,
            name: None,
            keep_alive: self.link.keep_alive,
            http: self.link.http,
            tls: self.tls.as_ref().map(Tls::dialler),
            presenter: self.presenter.clone(),
            timeout,
            longest_response: MESSAGE_LIMIT,
            options: self.options(),
            tally: self.tally.clone(),
            trouble: self.trouble.clone(),
        }
    }

    /// The same end with the incidents that befall it.
    #[must_use]
    pub fn troubled(self, trouble: Option<Trouble>) -> Line {
        Line { trouble, ..self }
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
        let routes = match &self.guard {
            Some(guard) => guard.with_tokens(routes),
            None => routes,
        };
        serve(listener, routes, self.clone(), stop).await
    }
}
