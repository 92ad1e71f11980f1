//! The listening side: from a port to authenticated connections for tonic.
//!
//! Each handshake runs in a task of its own, so that a slow or silent peer delays nobody. Whoever
//! has no certificate, users, and machines have separate budgets of connections: a storm of
//! `sbatch` must not keep a node out.
//!
//! A connection ends when its peer's certificate does, even in the middle of a stream. Peers renew
//! at half of a certificate's life and connect anew, so an honest one never meets this end.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Server, server::Connected};
use tower::layer::util::{Identity as NoLayer, Stack};

use crate::{
    cork::Corked,
    gate::{GateLayer, Link, Speakers},
    identity::from_certificate,
    permit::{Caller, Roles},
    verify::reason,
};

/// How much of the server one may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How many handshakes go on at a time. Further peers wait in the kernel's queue.
    pub handshakes: usize,
    /// How many connections of controllers and nodes there may be.
    pub machines: usize,
    /// How many connections of users there may be.
    pub users: usize,
    /// How many connections without a certificate there may be, and how long each lasts.
    pub anonymous: usize,
    pub anonymous_age: Duration,
}

impl Limits {
    pub const STANDARD: Self = Self {
        handshake: Duration::from_secs(3),
        handshakes: 256,
        machines: 32_768,
        users: 8_192,
        anonymous: 64,
        anonymous_age: Duration::from_secs(30),
    };
}

/// How long to rest when the kernel gives no connection, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often HTTP/2 asks a silent peer whether it is there, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);

/// How much a peer may send ahead, in bytes, on one stream and on a connection.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 8 << 20;

/// A tonic server behind the table of permissions, at which hosts may speak for users as
/// `speakers` has it. Add services, and serve [`incoming`].
#[must_use]
pub fn server(speakers: Speakers) -> Server<Stack<GateLayer, NoLayer>> {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .layer(GateLayer(speakers))
}

/// The connections that get through the handshake. Dropping the stream closes the port.
#[must_use]
pub fn incoming(
    listener: TcpListener,
    config: ServerConfig,
    limits: Limits,
) -> ReceiverStream<io::Result<Connection>> {
    // Connections wait here only until tonic's loop takes them, which it does at once.
    let (sender, receiver) = mpsc::channel(64);
    let door = Arc::new(Door {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        limits,
        machines: Arc::new(Semaphore::new(limits.machines)),
        users: Arc::new(Semaphore::new(limits.users)),
        anonymous: Arc::new(Semaphore::new(limits.anonymous)),
    });
    tokio::spawn(accept(listener, door, sender));
    ReceiverStream::new(receiver)
}

struct Door {
    acceptor: TlsAcceptor,
    limits: Limits,
    machines: Arc<Semaphore>,
    users: Arc<Semaphore>,
    anonymous: Arc<Semaphore>,
}

async fn accept(
    listener: TcpListener,
    door: Arc<Door>,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(door.limits.handshakes));
    loop {
        let permit = Arc::clone(&handshakes).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let (door, sender) = (Arc::clone(&door), sender.clone());
                tokio::spawn(async move {
                    let greeted = door.greet(stream, remote).await;
                    drop(permit);
                    match greeted {
                        // A server that has stopped has no use for it.
                        Ok(connection) => drop(sender.send(Ok(connection)).await),
                        Err(error) => tracing::debug!(%remote, "turned away: {}", reason(&error)),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Door {
    async fn greet(&self, stream: TcpStream, remote: SocketAddr) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let greeting = self.acceptor.accept(Corked::new(stream));
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
        let mut stream = timeout(self.limits.handshake, greeting).await.map_err(late)??;
        stream.get_mut().0.open();
        let (caller, life) = self.caller(&stream)?;
        let permit = self.admit(&caller)?;
        Ok(Connection {
            stream,
            link: Link { caller, remote },
            end: Box::pin(sleep_until(Instant::now() + life)),
            _permit: permit,
        })
    }

    /// Who the peer is, and how long that holds.
    fn caller(&self, stream: &TlsStream<Corked>) -> io::Result<(Caller, Duration)> {
        let Some([leaf, ..]) = stream.get_ref().1.peer_certificates() else {
            return Ok((Caller::Anonymous, self.limits.anonymous_age));
        };
        let certified = from_certificate(leaf).map_err(io::Error::other)?;
        let life = certified
            .not_after
            .duration_since(SystemTime::now())
            .map_err(|_| io::Error::other("the peer's certificate has expired"))?;
        Ok((Caller::Member(Arc::new(certified.identity)), life))
    }

    fn admit(&self, caller: &Caller) -> io::Result<OwnedSemaphorePermit> {
        let role = caller.role();
        let budget = if role == Roles::ANONYMOUS {
            &self.anonymous
        } else if role == Roles::USER {
            &self.users
        } else {
            &self.machines
        };
        Arc::clone(budget).try_acquire_owned().map_err(|_| {
            tracing::warn!(%caller, "too many connections of this kind: refused one");
            io::Error::other("too many connections")
        })
    }
}

/// One authenticated connection.
pub struct Connection {
    stream: TlsStream<Corked>,
    link: Link,
    /// When the peer's certificate ends.
    end: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Link;

    fn connect_info(&self) -> Link {
        self.link.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 always waits to read, so the end is noticed here whatever else goes on.
        if self.end.as_mut().poll(context).is_ready() {
            let text = "the peer's certificate has expired";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
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
