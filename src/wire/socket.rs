//! TCP sockets that count what passes through them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Sleep;

use crate::incident::Connections;
use crate::network::asked::Congestion;
use crate::wire::bounds::STALL_TIMEOUT;
use crate::wire::tally::Tally;
use crate::wire::trouble::{Trouble, Watch};

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
        let socket = TcpSocket::new_v4()?;
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
    /// What an incident may do to it, where there are incidents.
    watch: Option<Watch>,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CountedStream {
    /// Counts the connection, and from now on its bytes.
    pub(crate) fn new(
        stream: TcpStream,
        tally: Tally,
        options: SocketOptions,
        trouble: Option<&Trouble>,
    ) -> io::Result<CountedStream> {
        options.apply(&stream)?;
        tally.connected();
        Ok(CountedStream { stream, tally, watch: trouble.map(Trouble::watch), stalled: None })
    }

    /// What an incident has made of the connection; whoever asks is woken when that changes.
    fn fate(&mut self, context: &mut Context<'_>) -> Option<Connections> {
        self.watch.as_mut()?.poll(context)
    }

    /// What writing comes to on a connection that an incident has ended.
    fn write_in_vain(&self, fate: Connections, bytes: usize) -> Poll<io::Result<usize>> {
        match fate {
            Connections::Refused => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Connections::Reset => Poll::Ready(Err(self.reset())),
            // As into a buffer that nobody will ever empty: nothing of it leaves the socket.
            Connections::Silent => Poll::Ready(Ok(bytes)),
        }
    }

    /// Lets the peer be told, too.
    fn reset(&self) -> io::Error {
        // A socket that cannot be told is closed in good order instead.
        let _ = self.stream.set_zero_linger();
        io::ErrorKind::ConnectionReset.into()
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

/// Binds a port that was reserved, once whoever had it is gone.
///
/// # Errors
///
/// When somebody else has it.
pub async fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// A port on loopback that the system gives to nobody else until this is dropped, but that
/// whoever knows it can listen on. While nobody listens, connections are refused.
///
/// # Errors
///
/// When the system has no port or no file descriptor left.
pub fn reserve_port() -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    // Two sockets may share a port if both allow it and one of them does not listen (socket(7)).
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((LOOPBACK, 0)))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.fate(context) {
            None => {}
            Some(Connections::Refused) => return Poll::Ready(Ok(())),
            Some(Connections::Reset) => return Poll::Ready(Err(self.reset())),
            Some(Connections::Silent) => return Poll::Pending,
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.tally.received(buffer.filled().len() - before);
        polled
    }
}

impl CountedStream {
    /// Counts what was written. A peer that has taken nothing for too long is given up, or what
    /// waits for it would stay in memory for ever.
    fn sent(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(written) => {
                self.stalled = None;
                self.tally.sent(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => {
                let begin = || Box::pin(tokio::time::sleep(STALL_TIMEOUT));
                let stalled = self.stalled.get_or_insert_with(begin);
                stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(fate) = self.fate(context) {
            return self.write_in_vain(fate, bytes.len());
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(fate) = self.fate(context) {
            return self.write_in_vain(fate, slices.iter().map(|slice| slice.len()).sum());
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.sent(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Silent is silent: not even the end is told.
        if self.fate(context) == Some(Connections::Silent) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{CountedStream, SocketOptions, bind_loopback};
    use crate::clock;
    use crate::incident::Target;
    use crate::wire::tally::Tally;
    use crate::wire::trouble::{Side, Trouble};
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn what_a_silent_connection_swallows_is_not_sent() {
        let half_open = "at='0s'\nfor='1h'\nwho='network'\nwhat='half-open'";
        let incidents = [toml::from_str(half_open).expect("an incident")];
        let trouble = Trouble::of(&incidents, Side::Source, Target::ASKING, 1).expect("some");
        let listener = bind_loopback().await.expect("a listener");
        let dialling = TcpStream::connect(listener.local_addr().expect("bound"));
        let stream = dialling.await.expect("a connection");
        let tally = Tally::default();
        let options = SocketOptions::default();
        let counted = CountedStream::new(stream, tally.clone(), options, Some(&trouble));
        let mut counted = counted.expect("options");
        counted.write_all(b"heard").await.expect("written");
        trouble.begin(clock::now());
        // It begins and then waits for its end, which is far.
        let _ = tokio::time::timeout(Duration::from_millis(20), trouble.conduct()).await;
        counted.write_all(b"swallowed").await.expect("as if written");
        assert_eq!(tally.counts().bytes_sent, 5);
    }
}
