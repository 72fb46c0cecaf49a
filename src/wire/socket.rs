//! TCP sockets that count what passes through them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::network::asked::Congestion;
use crate::wire::tally::Tally;

/// How TCP behaves on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Whether small pieces are sent at once. Otherwise Nagle's algorithm keeps one back while an
    /// earlier one is unacknowledged (RFC 896): for a round trip, and where both sides write in
    /// turns for 40 ms besides, by which Linux then delays acknowledgements (`TCP_DELACK_MIN`).
    pub nodelay: bool,
    /// How it finds its speed, if not as the machine is set.
    pub congestion: Option<Congestion>,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions { nodelay: true, congestion: None }
    }
}

impl SocketOptions {
    /// Sets the options of a connection.
    ///
    /// # Errors
    ///
    /// When the kernel does not know the congestion control, or this process may not use it.
    fn apply(self, stream: &TcpStream) -> io::Result<()> {
        // Always said: hyper never turns Nagle's algorithm off itself.
        stream.set_nodelay(self.nodelay)?;
        if let Some(congestion) = self.congestion {
            rustix::net::sockopt::set_tcp_congestion(stream, congestion.name())?;
        }
        Ok(())
    }

    /// Whether a connection could have the options.
    ///
    /// # Errors
    ///
    /// As on a connection.
    pub fn check(self) -> io::Result<()> {
        let Some(congestion) = self.congestion else { return Ok(()) };
        let socket = tokio::net::TcpSocket::new_v4()?;
        rustix::net::sockopt::set_tcp_congestion(&socket, congestion.name()).map_err(|error| {
            let name = congestion.name();
            io::Error::new(error.kind(), format!("congestion control `{name}` is refused: {error}"))
        })
    }
}

/// Where everything listens that is not at the end of a path.
pub const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A connection whose bytes are added to a tally, exactly as they enter and leave the socket.
#[derive(Debug)]
pub struct CountedStream {
    stream: TcpStream,
    tally: Tally,
}

impl CountedStream {
    /// Counts the connection, and from now on its bytes.
    pub(crate) fn new(
        stream: TcpStream,
        tally: Tally,
        options: SocketOptions,
    ) -> io::Result<CountedStream> {
        options.apply(&stream)?;
        tally.connected();
        Ok(CountedStream { stream, tally })
    }
}

/// Binds a port of the system's choice.
///
/// # Errors
///
/// When the system has no port or no file descriptor left.
pub async fn bind(address: IpAddr) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((address, 0))).await
}

/// Binds a port of the system's choice on loopback.
///
/// # Errors
///
/// As [`bind`].
pub async fn bind_loopback() -> io::Result<TcpListener> {
    bind(LOOPBACK).await
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.tally.received(buffer.filled().len() - before);
        polled
    }
}

impl CountedStream {
    fn count_sent(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.tally.sent(*bytes);
        }
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count_sent(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count_sent(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
