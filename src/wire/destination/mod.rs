//! Where a source may be asked to send requests to.
//!
//! Whoever can register a webhook could make the source knock on doors that only it can reach:
//! a router, a database, the metadata service of a cloud (CWE-918). So a target is refused unless
//! it is on this machine, in a network that the run itself has made, or was allowed by name.
//!
//! A URL is read once, strictly, and the address that was judged is the one that is dialled: no
//! second reader can understand the URL otherwise, and no second look-up can find another address
//! behind the name. Redirects are answers like others and never followed.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;

/// How long the look-up of a name may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest name of a host (RFC 1035, 2.3.4, in text and without the last dot).
const LONGEST_NAME: usize = 253;

/// Where requests may go; by default to this machine only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    hosts: Vec<Host>,
    networks: Vec<Network>,
}

/// Where a request goes: an address that was judged, and how its host is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address to dial.
    pub peer: SocketAddr,
    /// What the host was called, where it was not written as an address.
    pub name: Option<String>,
    /// What to ask for there.
    pub path: PathAndQuery,
}

/// A host as it is allowed, or as a URL names it: an address, or a name in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address; one of IPv4 is never written as one of IPv6.
    Address(IpAddr),
    /// A name.
    Name(String),
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// Why no request goes to a target.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The URL is not written as it must be.
    #[error("`url` must be {scheme}://HOST:PORT/PATH: {detail}")]
    Unreadable {
        /// The scheme that it must have.
        scheme: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The address is neither of this machine nor allowed.
    #[error(
        "`url` leads to {address}, which is not on this machine; \
         `--allow-host {address}` lets the source send requests there"
    )]
    Elsewhere {
        /// The address.
        address: IpAddr,
    },
    /// The name is neither `localhost` nor allowed. It was not looked up.
    #[error(
        "`url` names the host `{name}`, which may be anywhere; \
         `--allow-host {name}` lets the source look it up and send requests there"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name is allowed, but not to stand for such an address.
    #[error(
        "`{name}` stands for {address}, which is not a public address; \
         `--allow-host {address}` lets the source send requests there"
    )]
    Inside {
        /// The name.
        name: String,
        /// One of its addresses.
        address: IpAddr,
    },
    /// The name stands for nothing.
    #[error("the host `{name}` was not found; write its address instead")]
    NotFound {
        /// The name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Destinations {
    /// This machine, and these hosts.
    #[must_use]
    pub fn with_hosts(hosts: Vec<Host>) -> Destinations {
        Destinations { hosts, networks: Vec::new() }
    }

    /// The same and a network that the run itself has made.
    #[must_use]
    pub fn with_network(mut self, network: Network) -> Destinations {
        self.networks.push(network);
        self
    }

    /// Reads a URL of this scheme and decides whether requests may go there.
    ///
    /// A name is looked up only if it is allowed, once, and every address that it stands for must
    /// be one to which requests may go.
    ///
    /// # Errors
    ///
    /// When the URL is not strictly `SCHEME://HOST[:PORT][/PATH]`, or leads elsewhere.
    pub async fn target(&self, url: &str, scheme: &'static str) -> Result<Target, Refusal> {
        let (host, port, path) = read(url, scheme)?;
        match host {
            Host::Address(address) => {
                let peer = SocketAddr::new(self.judge(address)?, port);
                Ok(Target { peer, name: None, path })
            }
            Host::Name(name) => {
                self.admit(&name)?;
                let looked_up =
                    tokio::time::timeout(LOOK_UP_TIMEOUT, tokio::net::lookup_host((&*name, port)));
                let found: io::Result<Vec<IpAddr>> = match looked_up.await {
                    Ok(found) => found.map(|found| found.map(|address| address.ip()).collect()),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                };
                let found =
                    found.map_err(|source| Refusal::NotFound { name: name.clone(), source })?;
                let peer = SocketAddr::new(self.choose(&name, &found)?, port);
                Ok(Target { peer, name: Some(name), path })
            }
        }
    }

    /// An address that was written as one, if requests may go there.
    fn judge(&self, address: IpAddr) -> Result<IpAddr, Refusal> {
        if self.has(address) { Ok(address) } else { Err(Refusal::Elsewhere { address }) }
    }

    fn has(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || self.hosts.contains(&Host::Address(address))
            || self.networks.iter().any(|network| network.contains(address))
    }

    /// Whether a name may be looked up at all: the question leaves this machine, too.
    fn admit(&self, name: &str) -> Result<(), Refusal> {
        // Whoever resolves `localhost` must not ask others (RFC 6761, 6.3).
        let known = name == "localhost" || self.hosts.contains(&Host::Name(name.to_owned()));
        known.then_some(()).ok_or_else(|| Refusal::Unknown { name: name.to_owned() })
    }

    /// The address to dial of those that a name stands for; all of them must be admissible.
    ///
    /// Of IPv4 if there is one: a receiver that listens on one family mostly listens on that.
    fn choose(&self, name: &str, found: &[IpAddr]) -> Result<IpAddr, Refusal> {
        let addresses: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).collect();
        let is_public = |address: IpAddr| name != "localhost" && is_public(address);
        let inside = addresses.iter().find(|one| !self.has(**one) && !is_public(**one));
        if let Some(address) = inside {
            return Err(Refusal::Inside { name: name.to_owned(), address: *address });
        }
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| Refusal::NotFound {
            name: name.to_owned(),
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

/// Reads a URL.
///
/// Only the plainest form is taken: no user, no fragment, nothing but visible ASCII, no address
/// that is not written as an address is. Whatever parsers are known to read differently is refused
/// rather than understood.
fn read(url: &str, scheme: &'static str) -> Result<(Host, u16, PathAndQuery), Refusal> {
    let unreadable = |detail: &str| Refusal::Unreadable { scheme, detail: detail.to_owned() };
    let rest = url
        .strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix("://"))
        .ok_or_else(|| unreadable("it has another scheme"))?;
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(unreadable("only visible ASCII without backslashes is taken"));
    }
    if url.contains('#') {
        return Err(unreadable("a fragment is never sent"));
    }
    let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(unreadable("it may have no user and no password"));
    }
    let (host, port) = split(authority).ok_or_else(|| unreadable("its port is none"))?;
    let host: Host = host.parse().map_err(|detail: NoHost| unreadable(detail.0))?;
    // What is behind the host is the part that `http` reads, too.
    let uri: Uri = url.parse().map_err(|_| unreadable("its path is not one"))?;
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    Ok((host, port, path))
}

/// The host and the port, if there is one; `None` if what stands there is no port.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an address of IPv6 are between brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Some((authority, None)),
    };
    let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let port: u16 = port.parse().ok().filter(|_| plain)?;
    Some((host, Some(port)))
}

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoHost(&'static str);

impl FromStr for Host {
    type Err = NoHost;

    /// An address of IPv6 may be in brackets, as in a URL.
    fn from_str(text: &str) -> Result<Host, NoHost> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if bare.is_some() || text.contains(':') {
            let address: Ipv6Addr = bare
                .unwrap_or(text)
                .parse()
                .map_err(|_| NoHost("that is no address of IPv6; a zone is none"))?;
            return Ok(Host::Address(IpAddr::from(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Host::Address(address.into()));
        }
        if text.is_empty() || text.len() > LONGEST_NAME {
            return Err(NoHost("a host has a name or an address"));
        }
        let is_label = |label: &str| {
            let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.bytes().all(is_sign)
        };
        if !text.split('.').all(is_label) {
            return Err(NoHost("a name is letters, digits and hyphens with single dots between"));
        }
        // What many readers take for a number, and so for an address (WHATWG URL, 3.5).
        let last = text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
            || last.strip_prefix("0x").is_some_and(is_hexadecimal);
        if is_number {
            return Err(NoHost(
                "an address is written as four decimal numbers without zeros before",
            ));
        }
        Ok(Host::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => name.fmt(f),
        }
    }
}

impl Network {
    /// The addresses whose first `bits` bits are those of `address`.
    #[must_use]
    pub const fn new(address: IpAddr, bits: u32) -> Network {
        Network { address, bits }
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (mine, other, width) = match (self.address, address) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => (widened(mine), widened(other), 32),
            (IpAddr::V6(mine), IpAddr::V6(other)) => (u128::from(mine), u128::from(other), 128),
            _ => return false,
        };
        let below = width - self.bits.min(width);
        mine.checked_shr(below) == other.checked_shr(below)
    }
}

fn widened(address: Ipv4Addr) -> u128 {
    u32::from(address).into()
}

/// Whether an address is one that the whole internet reaches, which a name that was allowed may
/// stand for: the user knows the name, but whoever owns it chooses the address.
fn is_public(address: IpAddr) -> bool {
    !address.is_multicast()
        && (address.is_ipv4() || GLOBAL_UNICAST.contains(address))
        && !SPECIAL.iter().any(|network| network.contains(address))
}

/// All public addresses of IPv6 there are (RFC 4291, 2.4, as assigned by IANA). Outside are
/// those of IPv4 in other clothes, such as `64:ff9b::/96`, links and local networks.
const GLOBAL_UNICAST: Network = Network::new(v6(0x2000, 0), 3);

/// What the registries of special-purpose addresses hold inside the public ranges (IANA
/// iana-ipv4-special-registry and iana-ipv6-special-registry).
const SPECIAL: [Network; 18] = [
    Network::new(v4(0, 0, 0, 0), 8),
    Network::new(v4(10, 0, 0, 0), 8),
    Network::new(v4(100, 64, 0, 0), 10),
    Network::new(v4(127, 0, 0, 0), 8),
    Network::new(v4(169, 254, 0, 0), 16),
    Network::new(v4(172, 16, 0, 0), 12),
    Network::new(v4(192, 0, 0, 0), 24),
    Network::new(v4(192, 0, 2, 0), 24),
    Network::new(v4(192, 88, 99, 0), 24),
    Network::new(v4(192, 168, 0, 0), 16),
    Network::new(v4(198, 18, 0, 0), 15),
    Network::new(v4(198, 51, 100, 0), 24),
    Network::new(v4(203, 0, 113, 0), 24),
    Network::new(v4(240, 0, 0, 0), 4),
    // Teredo and other addresses with a second meaning.
    Network::new(v6(0x2001, 0), 23),
    Network::new(v6(0x2001, 0xdb8), 32),
    // 6to4: an address of IPv4 in the next 32 bits.
    Network::new(v6(0x2002, 0), 16),
    Network::new(v6(0x3fff, 0), 20),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(first: u16, second: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0))
}

#[cfg(test)]
mod tests;
