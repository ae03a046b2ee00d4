//! A connection that is given up when its other end takes nothing for too long.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A reader that takes nothing for this long is not slow but gone. Generous, because a slow one frees room in its system's
/// buffers only now and then: at 1 KB/s, minutes apart.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection with a time limit for writing.
#[derive(Debug)]
pub struct Patient<S> {
    inner: S,
    /// Set while writing waits for the other end.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Guards a connection.
    pub const fn new(inner: S) -> Self {
        Self { inner, limit: None }
    }

    /// The connection itself.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// What writing came to; an error when it has come to nothing for too long.
    fn judge<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.limit = None;
            return wrote;
        }
        let limit = self.limit.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(limit.as_mut().poll(cx));
        // So that another try is no panic.
        limit.as_mut().reset(Instant::now() + PATIENCE);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::{advance, timeout},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_end_that_takes_nothing_is_given_up_after_five_minutes() {
        let (ours, _theirs) = duplex(16);
        let (mut io, start) = (Patient::new(ours), Instant::now());
        let error = io.write_all(&[0; 17]).await.map_err(|error| error.kind());
        assert_eq!((error, start.elapsed()), (Err(io::ErrorKind::TimedOut), PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_takes_a_little_now_and_then_is_waited_for() {
        let (ours, mut theirs) = duplex(16);
        let mut io = Patient::new(ours);
        let reading = async {
            for _ in 0..20 {
                advance(PATIENCE * 9 / 10).await;
                theirs.read_exact(&mut [0; 16]).await?;
            }
            Ok::<_, io::Error>(())
        };
        let (wrote, read) = timeout(PATIENCE * 100, async { tokio::join!(io.write_all(&[0; 320]), reading) })
            .await
            .unwrap_or_else(|_| panic!("it hangs"));
        assert!(wrote.is_ok() && read.is_ok());
    }
}
