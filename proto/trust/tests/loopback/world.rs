//! What the tests share: clusters, members, and one connection on loopback.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use trust::{
    authority::{Authority, SERVER_NAME, Validity},
    credential::Credential,
    identity::{Certified, Identity, Subject, from_certificate},
    tls::Keyring,
    verify::reason,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The longest that any wait of a test may take.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

pub(crate) fn authority() -> Authority {
    Authority::generate(SystemTime::now()).expect("an authority")
}

pub(crate) fn controller(name: &str) -> Subject {
    Subject::Controller { name: name.to_owned() }
}

pub(crate) fn node(name: &str) -> Subject {
    Subject::Node { name: name.to_owned() }
}

pub(crate) fn user(uid: u32, name: &str) -> Subject {
    Subject::User { uid, name: name.to_owned() }
}

pub(crate) fn credential(authority: &Authority, subject: Subject) -> Credential {
    valid(authority, subject, Validity::from_now(SystemTime::now(), HOUR))
}

pub(crate) fn valid(authority: &Authority, subject: Subject, validity: Validity) -> Credential {
    let identity = Identity { cluster: authority.cluster(), subject };
    authority.issue(&identity, validity, &[]).expect("a credential")
}

pub(crate) fn keyring(authority: &Authority, subject: Subject) -> Keyring {
    Keyring::new(credential(authority, subject)).expect("a keyring")
}

/// What each side saw of the other. A client counts as connected once it has had an answer, for
/// in TLS 1.3 it only hears then that its own certificate was refused.
pub(crate) struct Met {
    pub(crate) server: io::Result<Option<Certified>>,
    pub(crate) client: io::Result<Certified>,
}

impl Met {
    /// Whom the server knows the client as.
    pub(crate) fn known(&self) -> Option<Certified> {
        match &self.server {
            Ok(known) => known.clone(),
            Err(_) => panic!("{}", self.refusal()),
        }
    }

    pub(crate) fn refusal(&self) -> String {
        let server = self.server.as_ref().map_or_else(reason, |_| "fine".to_owned());
        let client = self.client.as_ref().map_or_else(reason, |_| "fine".to_owned());
        format!("server: {server}; client: {client}")
    }
}

/// Lets the two meet on loopback and exchange a byte.
pub(crate) async fn meet(server: ServerConfig, client: ClientConfig) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.shutdown().await?;
        Ok(stream.get_ref().1.peer_certificates().map(identity_of))
    });
    let calling = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(SERVER_NAME).expect("a name");
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
        stream.write_u8(7).await?;
        stream.read_u8().await?;
        Ok(identity_of(stream.get_ref().1.peer_certificates().expect("a server has one")))
    };
    let client = timeout(BOUND, calling).await.expect("the client ends in time");
    let server = timeout(BOUND, serving).await.expect("the server ends in time");
    Met { server: server.expect("no panic"), client }
}

fn identity_of(chain: &[rustls_pki_types::CertificateDer<'static>]) -> Certified {
    from_certificate(&chain[0]).expect("an identity")
}
