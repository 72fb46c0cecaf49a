//! What a peer may take of this program: time and bytes, each with its reason.
//!
//! Whoever is at the other end may be slow, broken or hostile. All that is read from a peer, and
//! every wait for one, ends at a bound from here; what reaches it is counted as a failure.

use std::time::Duration;

/// How long a connection may take to send a request's header, waiting for it included.
///
/// So it is also the idle time-out of a kept-alive connection: 75 s is what nginx ships with
/// (`keepalive_timeout`). A client that polls less often reconnects for each poll.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a client may take over the TLS handshake on a connection it has opened.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's body, from the end of its header on.
///
/// The largest one of a registration is a few kilobytes, and a full batch goes over loopback;
/// over the longest injected round trip it takes a few seconds.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a peer may take nothing of what is written to it before its connection is closed.
///
/// What waits for it stays in memory. As long as for a header: to be slow costs a peer the same
/// on either way. nginx's `send_timeout` is 60 s.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(75);

/// How long nothing is accepted after the system had no descriptor or no memory left for a
/// connection.
///
/// A peer that opens them all must not end the service for those that are connected. Short
/// enough for the kernel's queue of connections not to overflow for long.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The longest request header accepted, in bytes.
pub(crate) const HEADER_LIMIT: u32 = 16 * 1024;

/// The longest path and query accepted, in bytes; RFC 9110 (4.1) asks for at least so much.
pub(crate) const URL_LIMIT: usize = 8_000;

/// The most connections a listener holds open at once; a further one is closed at once.
///
/// More than the ports one loopback client has, so that no scenario meets it.
pub(crate) const MOST_CONNECTIONS: usize = 65_536;

/// The longest token request accepted, in bytes: an id, a secret, and words around them.
pub(crate) const TOKEN_REQUEST_LIMIT: usize = 16 * 1024;

/// The longest message that holds events, in bytes: a page of the feed or a batch, which end
/// before it.
///
/// More than a full page of events of 32 kB, and little enough for several of them in memory.
pub const MESSAGE_LIMIT: usize = 32 << 20;

/// The most that is held of request bodies that are under way, all clients together, in bytes.
///
/// A client that never ends its body holds what it has sent until [`BODY_TIMEOUT`], and there may
/// be as many clients as [`MOST_CONNECTIONS`]. Sixteen of the longest messages at once.
pub const BODIES_LIMIT: usize = 16 * MESSAGE_LIMIT;

/// The most that is held of answers which their clients have not taken yet, all of them together,
/// in bytes.
///
/// A client that reads nothing holds its page until [`STALL_TIMEOUT`], and one that reads little
/// for longer. After an outage every subscriber fetches a full page at once: a thousand of a
/// thousand events of 1 KiB.
pub const ANSWERS_LIMIT: usize = 1 << 30;

/// The longest answer that is taken where only its status or a token matters, in bytes.
pub const ANSWER_LIMIT: usize = 64 << 10;

/// The longest line and the most data of one event that a reader of an event stream takes, and
/// the longest WebSocket message that a client takes, in bytes: the largest event of a source,
/// its envelope, and room to spare.
pub const STREAM_LIMIT: usize = 4 << 20;

/// The longest WebSocket message a server takes, in bytes: its clients have nothing to say.
pub(crate) const SOCKET_SERVER_LIMIT: usize = 16 << 10;
