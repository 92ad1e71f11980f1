//! What one member of a cluster proves itself with: its private key and its certificate.
//!
//! The key is made where it is used and never leaves: a [`KeyRequest`] holds it while somebody who
//! has the authority certifies its public half.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{RootCertStore, crypto::ring::default_provider, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _};

use crate::{
    authority::{Anchor, Authority, AuthorityError, Validity, pem_of_certificate},
    identity::{self, Certified, Identity, Unreadable},
    secret::Secret,
};

/// How often it is looked at whether a certificate is to be renewed, at least.
const LOOK: Duration = Duration::from_secs(60);

/// How long a user's certificate counts: a working day, and no longer once the account is closed.
pub const USER_LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// Why a key and a certificate are no credential.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("the private key can't be read")]
    Key { source: rcgen::Error },
    #[error("the private key can't be made")]
    Generate { source: rcgen::Error },
    #[error("the certificate can't be read")]
    Certificate { source: Unreadable },
    #[error("the certificate is not for this private key")]
    Mismatch,
    #[error("the certificate was not signed by this cluster's authority")]
    Signature { source: rustls::Error },
    #[error("the certificate is for cluster {found}, its authority's is {anchor}")]
    OtherCluster { found: identity::ClusterId, anchor: identity::ClusterId },
    #[error("no authority came with the certificate")]
    NoAuthority,
    #[error("the verification can't be set up")]
    Verifier { source: rustls::client::VerifierBuilderError },
}

/// A private key that waits for its certificate.
pub struct KeyRequest {
    key: KeyPair,
}

impl fmt::Debug for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRequest(..)")
    }
}

impl KeyRequest {
    pub fn generate() -> Result<Self, CredentialError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|source| CredentialError::Generate { source })?;
        Ok(Self { key })
    }

    /// The request (PKCS #10, PEM). It asks for nothing: the signer knows whom it serves.
    pub fn signing_request(&self) -> Result<String, CredentialError> {
        let params = CertificateParams::default();
        let request = params.serialize_request(&self.key).and_then(|request| request.pem());
        request.map_err(|source| CredentialError::Generate { source })
    }

    /// The credential, once `certificate` (PEM) has come with the authorities whose signatures
    /// count: the one that signed it first.
    pub fn certified_among(
        self,
        certificate: &str,
        authorities: Vec<Anchor>,
    ) -> Result<Credential, CredentialError> {
        let mut authorities = authorities.into_iter();
        let signer = authorities.next().ok_or(CredentialError::NoAuthority)?;
        let others = authorities.collect();
        Ok(self.certified(certificate, signer)?.trusting(others))
    }

    /// The credential, once `certificate` (PEM) has come.
    pub fn certified(
        self,
        certificate: &str,
        anchor: Anchor,
    ) -> Result<Credential, CredentialError> {
        Credential::assemble(certificate, self.key, anchor)
    }
}

/// A private key with its certificate, signed by the authority whose anchor is with it.
#[derive(Clone)]
pub struct Credential {
    anchor: Anchor,
    others: Vec<Anchor>,
    certificate: CertificateDer<'static>,
    certified: Certified,
    key: Secret,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("certified", &self.certified).finish_non_exhaustive()
    }
}

impl Credential {
    /// The credential from its parts in PEM, if they belong together.
    pub fn from_pem(
        certificate: &str,
        key: &Secret,
        anchor: Anchor,
    ) -> Result<Self, CredentialError> {
        let key =
            KeyPair::from_pem(key.reveal()).map_err(|source| CredentialError::Key { source })?;
        Self::assemble(certificate, key, anchor)
    }

    fn assemble(certificate: &str, key: KeyPair, anchor: Anchor) -> Result<Self, CredentialError> {
        let unreadable = |source| CredentialError::Certificate { source };
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| unreadable(Unreadable::Certificate))?;
        let certified = identity::from_certificate(&certificate).map_err(unreadable)?;
        if identity::public_key(&certificate).map_err(unreadable)? != key.public_key_raw() {
            return Err(CredentialError::Mismatch);
        }
        let (found, expected) = (certified.identity.cluster, anchor.cluster());
        if found != expected {
            return Err(CredentialError::OtherCluster { found, anchor: expected });
        }
        verify(&certificate, &certified, &anchor)?;
        let key = Secret::new(key.serialize_pem());
        Ok(Self { anchor, others: Vec::new(), certificate, certified, key })
    }

    /// The same, whose holder takes the signatures of `others`, too: while another authority takes
    /// the place of the one that signed it, or did. Those of other clusters are left out.
    #[must_use]
    pub fn trusting(mut self, others: Vec<Anchor>) -> Self {
        self.others = others;
        let (own, cluster) = (&self.anchor, self.anchor.cluster());
        self.others.retain(|other| other != own && other.cluster() == cluster);
        self
    }

    /// The authorities whose signatures count: the one that signed this first.
    #[must_use]
    pub fn trusted(&self) -> Vec<Anchor> {
        [self.anchor.clone()].into_iter().chain(self.others.iter().cloned()).collect()
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.certified.identity
    }

    #[must_use]
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The certificate's serial number, big endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.certified.serial
    }

    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.certified.not_after
    }

    /// When to obtain the next certificate: at half of this one's life.
    #[must_use]
    pub fn renewal(&self) -> SystemTime {
        let life = self.certified.not_after.duration_since(self.certified.not_before);
        self.certified.not_before + life.unwrap_or(Duration::ZERO) / 2
    }

    /// Whether the next one is to be obtained: half of its life is over, or none of it has begun.
    /// One of a moment to come was made while somebody's clock was ahead, and nobody takes it.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        self.renewal() <= now || self.certified.not_before > now
    }

    /// How long to wait until it is looked at again whether to renew it: the clock may jump, and
    /// one long sleep would not notice.
    #[must_use]
    pub fn look_again(&self) -> Duration {
        let life = self.certified.not_after.duration_since(self.certified.not_before);
        (life.unwrap_or(Duration::ZERO) / 16).clamp(Duration::from_secs(1), LOOK)
    }

    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem_of_certificate(&self.certificate)
    }

    #[must_use]
    pub fn key_pem(&self) -> &Secret {
        &self.key
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.reveal().as_bytes())
            .expect("the text was written from a key")
    }
}

/// Only the signature is in question: an expired credential may be read, to see that it is one.
fn verify(
    certificate: &CertificateDer<'_>,
    certified: &Certified,
    anchor: &Anchor,
) -> Result<(), CredentialError> {
    let then = certified
        .not_after
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .saturating_sub(Duration::from_secs(1));
    let mut roots = RootCertStore::empty();
    let wrong = |source| CredentialError::Signature { source };
    roots.add(anchor.der().clone()).map_err(wrong)?;
    WebPkiClientVerifier::builder_with_provider(roots.into(), default_provider().into())
        .build()
        .map_err(|source| CredentialError::Verifier { source })?
        .verify_client_cert(certificate, &[], UnixTime::since_unix_epoch(then))
        .map(|_| ())
        .map_err(wrong)
}

impl Authority {
    /// A fresh key, certified here: for a controller's own use, and for the first administrator.
    pub fn issue(
        &self,
        identity: &Identity,
        validity: Validity,
        names: &[&str],
    ) -> Result<Credential, IssueError> {
        let request = KeyRequest::generate()?;
        let certificate = self.sign(&request.signing_request()?, identity, validity, names)?;
        Ok(request.certified(&certificate, self.anchor().clone())?)
    }
}

/// Why [`Authority::issue`] failed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}
