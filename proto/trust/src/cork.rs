//! A TCP stream whose small writes leave together.
//!
//! HTTP/2 writes a message as several frames, and asks for each to be sent. Each would be a packet,
//! and wake the other side. Here a request to send waits for one turn of the runtime, in which
//! whoever else is ready adds what they have. The last flight of a client's handshake waits for the
//! first frames in the same way.
//!
//! **Invariant:** whatever is held has somebody who will be woken to send it: the task that asked
//! for it to be sent, or, during the handshake, the one that reads next. What is held when the
//! stream is dropped, such as an alert, is sent if the kernel takes it at once.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A stream holds no more than this, in bytes. A larger message leaves in pieces.
const MOST_HELD: usize = 64 << 10;

/// When what is held leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// Before the next read: each side of a handshake speaks until it has to listen.
    BeforeReading,
    /// When the task that asked for it is polled again.
    NextTurn { asked: bool },
}

/// A TCP stream whose small writes leave together.
#[derive(Debug)]
pub(crate) struct Corked {
    stream: TcpStream,
    held: Vec<u8>,
    leaves: Leaves,
}

impl Corked {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, held: Vec::new(), leaves: Leaves::BeforeReading }
    }

    /// The handshake is done.
    pub(crate) fn open(&mut self) {
        self.leaves = Leaves::NextTurn { asked: false };
    }

    /// Sends all that is held.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        let outcome = loop {
            if sent == self.held.len() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.stream).poll_write(context, &self.held[sent..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.held.drain(..sent);
        outcome
    }

    /// How much more may be held, once there is room at all.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.held.len() >= MOST_HELD {
            ready!(self.poll_drain(context))?;
        }
        Poll::Ready(Ok(MOST_HELD - self.held.len()))
    }
}

impl AsyncRead for Corked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.leaves == Leaves::BeforeReading {
            ready!(self.poll_drain(context))?;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Corked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_room(context))?.min(bytes.len());
        self.held.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_room(context))?;
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(room - written);
            self.held.extend_from_slice(&slice[..count]);
            written += count;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.leaves {
            Leaves::BeforeReading => Poll::Ready(Ok(())),
            Leaves::NextTurn { .. } if self.held.is_empty() => Poll::Ready(Ok(())),
            Leaves::NextTurn { asked: false } => {
                self.leaves = Leaves::NextTurn { asked: true };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Leaves::NextTurn { asked: true } => {
                ready!(self.poll_drain(context))?;
                self.leaves = Leaves::NextTurn { asked: false };
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Corked {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            // Nobody can wait for it any more, and whoever is gone does not miss it.
            let _ = self.stream.try_write(&self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::timeout,
    };

    use super::*;

    async fn pair() -> (Corked, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Corked::new(near.expect("connected")), far.expect("accepted").0)
    }

    /// What has arrived at `far`, which is nothing unless something was sent before.
    async fn arrived(far: &mut TcpStream) -> Vec<u8> {
        let mut buffer = [0; 256];
        match timeout(Duration::from_millis(50), far.read(&mut buffer)).await {
            Ok(count) => buffer[..count.expect("read")].to_vec(),
            Err(_) => Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_flight_of_the_handshake_leaves_before_the_next_read() {
        let (mut near, mut far) = pair().await;
        for part in [b"one", b"two"] {
            near.write_all(part).await.expect("held");
            near.flush().await.expect("nothing to wait for");
        }
        assert!(arrived(&mut far).await.is_empty());
        let mut buffer = [0; 8];
        let read = timeout(Duration::from_millis(50), near.read(&mut buffer)).await;
        assert!(read.is_err(), "nothing was said");
        assert_eq!(arrived(&mut far).await, b"onetwo");
    }

    #[tokio::test]
    async fn the_last_flight_leaves_with_the_first_message() {
        let (mut near, mut far) = pair().await;
        near.write_all(b"finished,").await.expect("held");
        near.flush().await.expect("nothing to wait for");
        near.open();
        near.write_all(b"hello").await.expect("held");
        near.flush().await.expect("sent");
        assert_eq!(arrived(&mut far).await, b"finished,hello");
    }

    #[tokio::test]
    async fn a_flush_waits_for_one_turn_and_takes_what_comes_meanwhile() {
        let (mut near, mut far) = pair().await;
        near.open();
        near.write_all(b"a").await.expect("held");
        let mut first = true;
        std::future::poll_fn(|context| {
            let polled = Pin::new(&mut near).poll_flush(context);
            if first {
                assert!(polled.is_pending(), "it left at once");
                first = false;
                let more = Pin::new(&mut near).poll_write(context, b"b");
                assert!(matches!(more, Poll::Ready(Ok(1))));
                return Poll::Pending;
            }
            polled
        })
        .await
        .expect("sent");
        assert_eq!(arrived(&mut far).await, b"ab");
    }

    #[tokio::test]
    async fn more_than_can_be_held_arrives_whole() {
        let (mut near, mut far) = pair().await;
        near.open();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let send = async {
            near.write_all(&bytes).await.expect("written");
            near.shutdown().await.expect("sent");
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(send, far.read_to_end(&mut got));
        read.expect("read");
        assert!(got == bytes);
    }

    #[tokio::test]
    async fn what_is_held_at_the_end_is_still_said() {
        let (mut near, mut far) = pair().await;
        near.write_all(b"alert").await.expect("held");
        drop(near);
        assert_eq!(arrived(&mut far).await, b"alert");
    }
}
