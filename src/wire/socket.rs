//! TCP sockets that count what passes through them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use crate::wire::bounds::STALL_TIMEOUT;
use crate::wire::tally::Tally;

/// A connection whose bytes are added to a tally, exactly as they enter and leave the socket.
#[derive(Debug)]
pub struct CountedStream {
    stream: TcpStream,
    tally: Tally,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CountedStream {
    /// Counts the connection, and from now on its bytes.
    ///
    /// Turns Nagle's algorithm off: hyper never does so itself, and a delayed
    /// acknowledgement would otherwise add up to 40 ms that look like the mechanism's.
    pub(crate) fn new(stream: TcpStream, tally: Tally) -> io::Result<CountedStream> {
        stream.set_nodelay(true)?;
        tally.connected();
        Ok(CountedStream { stream, tally, stalled: None })
    }
}

/// Binds a port of the system's choice on loopback.
///
/// # Errors
///
/// When the system has no port or no file descriptor left.
pub async fn bind_loopback() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
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
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
