//! TLS 1.3 with both sides verified, and certificates that can be exchanged while it runs.
//!
//! A [`Keyring`] holds the process's own credential. Configurations made from it present whatever
//! credential is in it at the time of the handshake, so that a renewed certificate serves at once
//! and open connections go on.
//!
//! Sessions are not resumed. A command is a process of its own and has nothing to resume from,
//! since rustls keeps tickets in memory only; and a resumed session carries the certificate of its
//! first handshake, which may have been renewed or have expired since.
//!
//! Of the suites of TLS 1.3 that rustls has, AES-128-GCM with SHA-256 is preferred: the keys of the
//! certificates are of no greater strength (P-256), and processors that compute SHA-256 themselves
//! do not do so with SHA-384.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    CipherSuite, ClientConfig, ServerConfig, SignatureScheme, SupportedCipherSuite,
    client::{ResolvesClientCert, Resumption, VerifierBuilderError},
    crypto::{CryptoProvider, ring::default_provider},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    credential::Credential,
    verify::{ControllerVerifier, MemberVerifier, PinVerifier, Trusted},
};

/// The protocol that both sides must speak within TLS: HTTP/2.
const ALPN: &[u8] = b"h2";

const PREFERRED: CipherSuite = CipherSuite::TLS13_AES_128_GCM_SHA256;

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS can't be configured")]
    Configuration { source: rustls::Error },
    #[error("the verification of peers can't be configured")]
    Verifier { source: VerifierBuilderError },
    #[error("the renewed certificate is for somebody else")]
    OtherIdentity,
    #[error("the renewed certificate is from another authority")]
    OtherAuthority,
}

/// Whether a client may come without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    Required,
    /// For the port at which others join. Without a certificate they are
    /// [`crate::permit::Caller::Anonymous`].
    Optional,
}

#[derive(Debug)]
struct Current {
    credential: Arc<Credential>,
    /// With the authority, by which somebody who joins knows us.
    as_server: Arc<CertifiedKey>,
    as_client: Arc<CertifiedKey>,
}

impl Current {
    fn new(credential: Credential, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let key = provider
            .key_provider
            .load_private_key(credential.key_der())
            .map_err(|source| TlsError::Configuration { source })?;
        let own = credential.certificate().clone();
        let chain = vec![own.clone(), credential.anchor().der().clone()];
        Ok(Self {
            as_server: Arc::new(CertifiedKey::new(chain, Arc::clone(&key))),
            as_client: Arc::new(CertifiedKey::new(vec![own], key)),
            credential: Arc::new(credential),
        })
    }
}

/// The process's own credential, which can be exchanged for a renewed one.
#[derive(Debug)]
pub struct Keyring {
    provider: Arc<CryptoProvider>,
    current: Arc<Presented>,
    trusted: Arc<Trusted>,
}

impl Keyring {
    pub fn new(credential: Credential) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let trusted = Trusted::new(&credential.trusted(), Arc::clone(&provider))
            .map_err(|source| TlsError::Verifier { source })?;
        let current = Current::new(credential, &provider)?;
        let current = Arc::new(Presented(ArcSwap::from_pointee(current)));
        Ok(Self { provider, current, trusted: Arc::new(trusted) })
    }

    /// The credential that a handshake would present at this instant.
    #[must_use]
    pub fn credential(&self) -> Arc<Credential> {
        Arc::clone(&self.current.0.load().credential)
    }

    /// Presents `renewed` from now on, and takes the signatures of the authorities that it trusts.
    /// It must be for the same identity, and signed by an authority that is trusted already.
    pub fn rotate(&self, renewed: Credential) -> Result<(), TlsError> {
        let known = self.credential();
        if !known.trusted().contains(renewed.anchor()) {
            return Err(TlsError::OtherAuthority);
        }
        if renewed.identity() != known.identity() {
            return Err(TlsError::OtherIdentity);
        }
        self.trusted
            .exchange(&renewed.trusted())
            .map_err(|source| TlsError::Verifier { source })?;
        self.current.0.store(Arc::new(Current::new(renewed, &self.provider)?));
        Ok(())
    }

    /// How a controller serves.
    pub fn server(&self, clients: ClientCertificate) -> Result<ServerConfig, TlsError> {
        let optional = match clients {
            ClientCertificate::Required => false,
            ClientCertificate::Optional => true,
        };
        let verifier = MemberVerifier::new(Arc::clone(&self.trusted), optional);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|source| TlsError::Configuration { source })?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    /// How anybody connects to a controller of this cluster; with `name`, to that one only.
    pub fn client(&self, name: Option<&str>) -> Result<ClientConfig, TlsError> {
        let name = name.map(str::to_owned);
        let verifier = ControllerVerifier::new(Arc::clone(&self.trusted), name);
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|source| TlsError::Configuration { source })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesClientCert>);
        Ok(finished(config))
    }
}

/// How somebody without a certificate connects to join: only to a controller whose authority's
/// certificate has the SHA-256 `pin`, which the one-time token carries.
pub fn joining(pin: [u8; 32]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(provider());
    let verifier = PinVerifier { pin, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Configuration { source })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(finished(config))
}

/// Ring's algorithms, all of them, in the order in which they are offered.
fn provider() -> CryptoProvider {
    let mut provider = default_provider();
    let last = |suite: &SupportedCipherSuite| suite.suite() != PREFERRED;
    provider.cipher_suites.sort_by_key(last);
    provider
}

fn finished(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

#[derive(Debug)]
struct Presented(ArcSwap<Current>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().as_server))
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().as_client))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_order_of_the_suites_is_ours() {
        let names = |provider: CryptoProvider| {
            provider.cipher_suites.iter().map(SupportedCipherSuite::suite).collect::<Vec<_>>()
        };
        let (ours, theirs) = (names(provider()), names(default_provider()));
        assert_eq!(ours[0], PREFERRED);
        assert_eq!(ours.len(), theirs.len());
        assert!(theirs.iter().all(|suite| ours.contains(suite)));
        let rest = |all: &[CipherSuite]| -> Vec<_> {
            all.iter().copied().filter(|suite| *suite != PREFERRED).collect()
        };
        assert_eq!(rest(&ours), rest(&theirs), "the others keep their order");
    }
}
