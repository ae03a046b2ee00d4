//! A TCP stream that takes more only when nearly all that it took has left for the network, so that turns are taken late.
//!
//! `TCP_NOTSENT_LOWAT` alone does not do it: it decides when `poll` calls a socket writable, while writing itself goes on
//! until a whole segment of the kernel's, up to 64 KiB, is full. So `poll` is asked before each write.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// Bytes that may lie unsent in the kernel: it takes more when fewer than half of them do.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const UNSENT: u32 = 8 << 10;

/// A stream whose unsent bytes are few.
#[derive(Debug)]
pub(super) struct Drained(TcpStream);

impl Drained {
    /// Small frames go at once, and little waits in the kernel; a system that cannot do one of these works without.
    pub(super) fn new(stream: TcpStream) -> Self {
        let mut tuned = stream.set_nodelay(true);
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            tuned = tuned.and(socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT));
        }
        if let Err(e) = tuned {
            tracing::debug!("a socket option was refused: {e}");
        }
        Self(stream)
    }

    /// Waits until the kernel says by itself that it takes more, whatever was known before.
    fn poll_takes(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_io(Interest::WRITABLE, || takes(&self.0)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                taken => return Poll::Ready(taken),
            }
        }
    }
}

/// Whether the kernel would take more; when not, it has noted that somebody waits.
#[cfg(unix)]
fn takes(stream: &TcpStream) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(stream, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut asked, Some(&now)) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        // Also a broken stream, which the write itself tells, and an interruption.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(unix))]
fn takes(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

impl AsyncRead for Drained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Drained {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_takes(cx))?;
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_takes(cx))?;
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
