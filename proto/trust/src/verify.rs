//! Who is at the other end: the checks that rustls makes during the handshake.
//!
//! Each of them first lets rustls verify the chain, the validity and the purpose, and then asks
//! for the right identity.

use std::{io, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{
    authority::{Anchor, SERVER_NAME, pin},
    identity::{ClusterId, Subject, Unreadable, from_certificate},
};

/// Why somebody with a certificate that the authority signed is still not the right one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    #[error("the peer's certificate: {0}")]
    Unreadable(Unreadable),
    #[error("the peer belongs to cluster {found}, and this is {expected}")]
    OtherCluster { found: ClusterId, expected: ClusterId },
    #[error("the peer is {0}, and a controller was expected")]
    NotController(Subject),
    #[error("the peer is controller {found}, and {expected} was expected")]
    OtherController { found: String, expected: String },
    #[error("the server did not send the authority that the token names")]
    NotPinned,
}

impl From<Stranger> for Error {
    fn from(stranger: Stranger) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(stranger))))
    }
}

/// Why a handshake failed, for people: the [`Stranger`], where one was met.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) => {
            other.to_string()
        }
        Some(Error::AlertReceived(alert)) => {
            format!("the peer refused our certificate or connection ({alert:?})")
        }
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}

/// Whose signatures count. It is exchanged as a whole, while configurations that go by it are in
/// use: another authority may take the place of the first.
#[derive(Debug)]
pub(crate) struct Trusted {
    chains: ArcSwap<Chains>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Chains {
    cluster: ClusterId,
    servers: Arc<WebPkiServerVerifier>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl Trusted {
    pub(crate) fn new(
        anchors: &[Anchor],
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let chains = ArcSwap::from_pointee(Chains::new(anchors, &provider)?);
        Ok(Self { chains, provider })
    }

    pub(crate) fn exchange(&self, anchors: &[Anchor]) -> Result<(), VerifierBuilderError> {
        self.chains.store(Arc::new(Chains::new(anchors, &self.provider)?));
        Ok(())
    }
}

impl Chains {
    fn new(
        anchors: &[Anchor],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let mut roots = RootCertStore::empty();
        for anchor in anchors {
            // One that can't be a root is left out; where none is left, the builder refuses.
            let _ = roots.add(anchor.der().clone());
        }
        let (roots, cluster) = (Arc::new(roots), anchors.first().map(Anchor::cluster));
        let provider = || Arc::clone(provider);
        let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider());
        Ok(Self {
            servers: servers.build()?,
            clients: clients.build()?,
            cluster: cluster.unwrap_or(ClusterId([0; 16])),
        })
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("the fixed name is a DNS name")
}

/// What a client asks of a server: a controller of this cluster, and if need be a certain one.
#[derive(Debug)]
pub(crate) struct ControllerVerifier {
    trusted: Arc<Trusted>,
    expected: Option<String>,
}

impl ControllerVerifier {
    pub(crate) fn new(trusted: Arc<Trusted>, expected: Option<String>) -> Self {
        Self { trusted, expected }
    }

    fn chain(&self) -> Arc<WebPkiServerVerifier> {
        Arc::clone(&self.trusted.chains.load().servers)
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Stranger> {
        let certified = from_certificate(certificate).map_err(Stranger::Unreadable)?;
        same_cluster(certified.identity.cluster, self.trusted.chains.load().cluster)?;
        let found = controller(certified.identity.subject)?;
        match &self.expected {
            Some(expected) if *expected != found => {
                Err(Stranger::OtherController { found, expected: expected.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn same_cluster(found: ClusterId, expected: ClusterId) -> Result<(), Stranger> {
    if found == expected { Ok(()) } else { Err(Stranger::OtherCluster { found, expected }) }
}

fn controller(subject: Subject) -> Result<String, Stranger> {
    match subject {
        Subject::Controller { name } => Ok(name),
        Subject::Node { .. } | Subject::User { .. } => Err(Stranger::NotController(subject)),
    }
}

impl ServerCertVerifier for ControllerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.chain().verify_server_cert(end_entity, intermediates, &name(), ocsp, now)?;
        self.check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain().supported_verify_schemes()
    }
}

/// What somebody who joins asks of a server: that its chain holds the authority whose hash is in
/// the token, and that this authority made it a controller.
#[derive(Debug)]
pub(crate) struct PinVerifier {
    pub(crate) pin: [u8; 32],
    pub(crate) provider: Arc<CryptoProvider>,
}

impl PinVerifier {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = intermediates.iter().find(|der| pin(der) == self.pin);
        let pinned = pinned.ok_or(Stranger::NotPinned)?.clone().into_owned();
        let anchor = Anchor::from_der(pinned).map_err(|_| Stranger::NotPinned)?;
        let trusted = Trusted::new(&[anchor], Arc::clone(&self.provider));
        let trusted = trusted.map_err(|_| Stranger::NotPinned)?;
        ControllerVerifier::new(Arc::new(trusted), None).verify_server_cert(
            end_entity,
            intermediates,
            server,
            ocsp,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

/// What a server asks of a client: any member of this cluster.
#[derive(Debug)]
pub(crate) struct MemberVerifier {
    trusted: Arc<Trusted>,
    optional: bool,
}

impl MemberVerifier {
    /// With `optional`, a client may come without a certificate, but never with a wrong one.
    pub(crate) fn new(trusted: Arc<Trusted>, optional: bool) -> Self {
        Self { trusted, optional }
    }

    fn chain(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.trusted.chains.load().clients)
    }
}

impl ClientCertVerifier for MemberVerifier {
    fn offer_client_auth(&self) -> bool {
        self.chain().offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        !self.optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Members have one certificate each and need no hint to choose it.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain().verify_client_cert(end_entity, intermediates, now)?;
        let certified = from_certificate(end_entity).map_err(Stranger::Unreadable)?;
        same_cluster(certified.identity.cluster, self.trusted.chains.load().cluster)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain().supported_verify_schemes()
    }
}
