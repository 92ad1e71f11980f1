//! The calling side: from an address to a tonic channel over TLS.
//!
//! A channel connects when it is first used, and again by itself after it broke. Most callers want
//! [`crate::controllers::Controllers`], which has one for each controller and finds the leader.

use std::{error::Error as _, io, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::{
    authority::SERVER_NAME,
    cork::Corked,
    serve::{CONNECTION_WINDOW, STREAM_WINDOW},
    verify::reason,
};

/// How long the other host may take to answer at all: it is in the same cluster.
const TCP_LIMIT: Duration = Duration::from_secs(1);

/// How long the handshake may take. A server that starts may have thousands to do.
const TLS_LIMIT: Duration = Duration::from_secs(2);

/// How often a long-lived connection asks whether the other side is there, and for how long it
/// waits: a leader whose machine went dark is noticed in this time.
const KEEPALIVE: Duration = Duration::from_secs(2);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(3);

/// How long a connection is meant to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// As long as a command: no more than a few calls.
    Command,
    /// As long as a daemon: watched, so that a dead peer is noticed while nothing is being said.
    Daemon,
}

/// Why an address can't be connected to, ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT")]
pub struct NoAddress(pub String);

/// A channel to `address` (`HOST:PORT`), with whatever `config` presents and demands.
pub fn channel(address: &str, config: Arc<ClientConfig>, life: Life) -> Result<Channel, NoAddress> {
    let wrong = || NoAddress(address.to_owned());
    let uri: Uri = format!("http://{address}").parse().map_err(|_| wrong())?;
    if uri.port_u16().is_none() || uri.path() != "/" {
        return Err(wrong());
    }
    let endpoint = Endpoint::from(uri)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let endpoint = match life {
        Life::Command => endpoint,
        Life::Daemon => endpoint
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER)
            .keep_alive_while_idle(true),
    };
    let connector = TlsConnector::from(config);
    let address = address.to_owned();
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (address, connector) = (address.clone(), connector.clone());
        async move { dial(&address, &connector).await.map(TokioIo::new) }
    })))
}

async fn dial(address: &str, tls: &TlsConnector) -> io::Result<TlsStream<Corked>> {
    let late = |what: &str| io::Error::new(io::ErrorKind::TimedOut, format!("no {what} in time"));
    let stream =
        timeout(TCP_LIMIT, TcpStream::connect(address)).await.map_err(|_| late("connection"))??;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(SERVER_NAME).expect("the fixed name is a DNS name");
    let greeting = tls.connect(name, Corked::new(stream));
    let mut stream = timeout(TLS_LIMIT, greeting).await.map_err(|_| late("handshake"))??;
    stream.get_mut().0.open();
    Ok(stream)
}

/// Why a call failed below gRPC, so that the peer's service never answered it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Nobody is there, or the connection broke. It may be better in a moment.
    #[error("{0}")]
    Unreachable(String),
    /// One side does not accept the other's certificate. It won't be better by itself.
    #[error("{0}")]
    Untrusted(String),
}

impl Broken {
    /// What broke, or nothing where `status` is what the service itself answered.
    #[must_use]
    pub fn from_status(status: &Status) -> Option<Self> {
        let mut next = status.source();
        let mut text = status.message().to_owned();
        next?;
        while let Some(error) = next {
            text = error.to_string();
            if let Some(io) = error.downcast_ref::<io::Error>() {
                text = reason(io);
                if is_about_certificates(io) {
                    return Some(Self::Untrusted(text));
                }
            }
            next = error.source();
        }
        Some(Self::Unreachable(text))
    }
}

/// An `io::Error` shows what it wraps through `get_ref` alone, not as its source.
fn is_about_certificates(error: &io::Error) -> bool {
    use AlertDescription as A;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::CertificateRequired
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError
        ),
        Some(other) => matches!(other, rustls::Error::InvalidCertificate(_)),
        None => false,
    }
}
