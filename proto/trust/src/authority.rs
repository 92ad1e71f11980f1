//! The authority: the one key of a cluster that signs certificates.
//!
//! `rafter init` makes it, and each controller holds it, so that any of them can sign. Nodes and
//! users hold the [`Anchor`] alone: the authority's certificate, which tells its signatures from
//! others.
//!
//! **Invariant:** what a certificate says is decided by whoever calls [`Authority::sign`]. Of a
//! signing request nothing but the public key is taken over.

use std::{
    fmt,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, string::Ia5String,
};
use ring::digest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    file::{self, FileError},
    identity::{self, ClusterId, Identity, Subject, Unreadable, random},
    secret::Secret,
};

#[cfg(test)]
mod tests;

/// The DNS name in every controller's certificate. Controllers are told apart by their identity,
/// not by this; it is there because the verification of a server asks for some name.
pub const SERVER_NAME: &str = "rafter.internal";

/// How far clocks may differ: certificates begin this much before they are signed.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// How long an authority lasts. Another one can take its place in a running cluster, but nobody
/// should have to.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// The longest signing request that is looked at, in bytes. Ours have about 400.
const MAX_REQUEST: usize = 16 * 1024;

const CERTIFICATE_FILE: &str = "authority.crt";
const KEY_FILE: &str = "authority.key";

/// In the authority's folder: that of one which is to take its place, and the certificate of one
/// whose place it took.
pub const COMING: &str = "coming";
pub const GOING_FILE: &str = "going.crt";

/// Why an authority can't be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("the authority's certificate is not one of ours")]
    Certificate { source: Unreadable },
    #[error("the authority's key can't be read")]
    Key { source: rcgen::Error },
    #[error("the authority's key does not belong to its certificate")]
    Mismatch,
    #[error("the signing request is longer than {MAX_REQUEST} bytes")]
    RequestLength,
    #[error("the signing request can't be read, or its signature is wrong")]
    Request { source: rcgen::Error },
    #[error("only ECDSA keys on the curve P-256 are certified")]
    RequestKey,
    #[error("{0:?} is no name for a certificate")]
    Name(String),
    #[error("an identity of cluster {0} is not ours to certify")]
    OtherCluster(ClusterId),
    #[error("the identity can't stand in a certificate")]
    Identity { source: Unreadable },
    #[error("the certificate can't be signed")]
    Sign { source: rcgen::Error },
    #[error(transparent)]
    File(#[from] FileError),
}

/// From when until when a certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

impl Validity {
    /// From a little before `now`, for clocks that are behind, until `lifetime` after it. What is
    /// short-lived begins less early: its half must lie in the future.
    #[must_use]
    pub fn from_now(now: SystemTime, lifetime: Duration) -> Self {
        let skew = CLOCK_SKEW.min(lifetime / 4);
        Self { not_before: now - skew, not_after: now + lifetime }
    }
}

/// The authority's certificate: what everybody needs to verify the others.
#[derive(Clone, PartialEq, Eq)]
pub struct Anchor {
    cluster: ClusterId,
    der: CertificateDer<'static>,
}

impl Anchor {
    pub fn from_pem(pem: &str) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| AuthorityError::Certificate { source: Unreadable::Certificate })?;
        Self::from_der(der)
    }

    /// All that stand one after the other in `pem`; at least one.
    pub fn list(pem: &str) -> Result<Vec<Self>, AuthorityError> {
        let unreadable = || AuthorityError::Certificate { source: Unreadable::Certificate };
        let found = CertificateDer::pem_slice_iter(pem.as_bytes());
        let read = found.map(|der| Self::from_der(der.map_err(|_| unreadable())?.into_owned()));
        let list = read.collect::<Result<Vec<_>, _>>()?;
        if list.is_empty() { Err(unreadable()) } else { Ok(list) }
    }

    /// # Errors
    /// Where it is no certificate of an authority of ours.
    pub fn from_bytes(der: &[u8]) -> Result<Self, AuthorityError> {
        Self::from_der(CertificateDer::from(der.to_vec()))
    }

    pub(crate) fn from_der(der: CertificateDer<'static>) -> Result<Self, AuthorityError> {
        let cluster = identity::cluster_of_authority(&der)
            .map_err(|source| AuthorityError::Certificate { source })?;
        Ok(Self { cluster, der })
    }

    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    #[must_use]
    pub fn pem(&self) -> String {
        pem_of_certificate(&self.der)
    }

    /// The SHA-256 of the certificate. A one-time token carries it, so that whoever joins knows
    /// the cluster from an impostor before it has any certificate.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        pin(&self.der)
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

pub(crate) fn pin(der: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, der);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A certificate as the text that other tools read (RFC 7468).
pub(crate) fn pem_of_certificate(der: &[u8]) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("CERTIFICATE", der), lines)
}

/// The authority with its key. Only controllers hold one.
pub struct Authority {
    anchor: Anchor,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.anchor.cluster).finish_non_exhaustive()
    }
}

impl Authority {
    /// A fresh authority, for a fresh cluster with a random id.
    pub fn generate(now: SystemTime) -> Result<Self, AuthorityError> {
        Self::generate_for(ClusterId::random(), now)
    }

    /// A fresh authority, to take the place of another one.
    pub fn generate_for(cluster: ClusterId, now: SystemTime) -> Result<Self, AuthorityError> {
        let sign = |source| AuthorityError::Sign { source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(sign)?;
        let mut params = bare(Validity::from_now(now, AUTHORITY_LIFETIME));
        params.distinguished_name.push(DnType::CommonName, format!("rafter {cluster}"));
        params.subject_alt_names = vec![uri(&identity::authority_uri(cluster))?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(sign)?;
        Self::assemble(certificate.der().clone(), key)
    }

    /// The authority from its two parts, as a joining controller receives them.
    pub fn from_pem(certificate: &str, key: &Secret) -> Result<Self, AuthorityError> {
        let anchor = Anchor::from_pem(certificate)?;
        let key =
            KeyPair::from_pem(key.reveal()).map_err(|source| AuthorityError::Key { source })?;
        Self::assemble(anchor.der, key)
    }

    fn assemble(der: CertificateDer<'static>, key: KeyPair) -> Result<Self, AuthorityError> {
        let anchor = Anchor::from_der(der)?;
        let certified = identity::public_key(&anchor.der)
            .map_err(|source| AuthorityError::Certificate { source })?;
        if certified != key.public_key_raw() {
            return Err(AuthorityError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&anchor.der, key)
            .map_err(|source| AuthorityError::Sign { source })?;
        Ok(Self { anchor, issuer })
    }

    #[must_use]
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.anchor.cluster
    }

    /// The private key, for a further controller that joins. It never enters the log.
    #[must_use]
    pub fn key_pem(&self) -> Secret {
        Secret::new(self.issuer.key().serialize_pem())
    }

    /// Writes the authority into `folder`, which is made if need be and closed to others.
    pub fn save(&self, folder: &Path) -> Result<(), AuthorityError> {
        file::private_folder(folder)?;
        // The certificate goes last: where it is, the key is.
        file::write(&folder.join(KEY_FILE), self.key_pem().reveal(), file::PRIVATE)?;
        file::write(&folder.join(CERTIFICATE_FILE), &self.anchor.pem(), file::PUBLIC)?;
        Ok(())
    }

    /// Reads what [`Authority::save`] wrote, and refuses a key that others could read.
    pub fn load(folder: &Path) -> Result<Self, AuthorityError> {
        let certificate = file::read_public(&folder.join(CERTIFICATE_FILE))?;
        let key = Secret::new(file::read_private(&folder.join(KEY_FILE))?);
        Self::from_pem(&certificate, &key)
    }

    /// The other authorities whose signatures count, by their certificates in `folder`: one that is
    /// to come, and one that is on its way out.
    #[must_use]
    pub fn others(folder: &Path) -> Vec<Anchor> {
        let files = [folder.join(COMING).join(CERTIFICATE_FILE), folder.join(GOING_FILE)];
        let read =
            |path: &std::path::PathBuf| Anchor::from_pem(&file::read_public(path).ok()?).ok();
        files.iter().filter_map(read).collect()
    }

    /// Certifies the public key in `request` (PKCS #10, PEM) for `identity`. Further `names` are
    /// host names and IP addresses, for people who look at the certificate with other tools.
    /// Returns the certificate in PEM.
    pub fn sign(
        &self,
        request: &str,
        identity: &Identity,
        validity: Validity,
        names: &[&str],
    ) -> Result<String, AuthorityError> {
        if request.len() > MAX_REQUEST {
            return Err(AuthorityError::RequestLength);
        }
        if identity.cluster != self.anchor.cluster {
            return Err(AuthorityError::OtherCluster(identity.cluster));
        }
        let identity = Identity::checked(identity.cluster, identity.subject.clone())
            .map_err(|source| AuthorityError::Identity { source })?;
        let request = CertificateSigningRequestParams::from_pem(request)
            .map_err(|source| AuthorityError::Request { source })?;
        if *request.public_key.algorithm() != PKCS_ECDSA_P256_SHA256 {
            return Err(AuthorityError::RequestKey);
        }
        let params = leaf(&identity, validity, names)?;
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(|source| AuthorityError::Sign { source })?;
        Ok(pem_of_certificate(certificate.der()))
    }
}

/// What every certificate of ours has.
fn bare(validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(serial());
    params
}

/// What the certificate of one who is not the authority has.
fn leaf(
    identity: &Identity,
    validity: Validity,
    names: &[&str],
) -> Result<CertificateParams, AuthorityError> {
    let mut params = bare(validity);
    params.distinguished_name.push(DnType::CommonName, "rafter");
    params.subject_alt_names = vec![uri(&identity.to_string())?];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    match identity.subject {
        Subject::Controller { .. } => {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
            params.subject_alt_names.push(dns(SERVER_NAME)?);
        }
        Subject::Node { .. } | Subject::User { .. } => {}
    }
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => dns(name)?,
        });
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// 127 random bits, since a serial number is positive and at most 20 bytes (RFC 5280).
fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = random();
    // Neither negative nor with a leading zero, so that its length is always the same.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn uri(text: &str) -> Result<SanType, AuthorityError> {
    ia5(text).map(SanType::URI)
}

fn dns(text: &str) -> Result<SanType, AuthorityError> {
    identity::check_name(text).map_err(|_| AuthorityError::Name(text.to_owned()))?;
    ia5(text).map(SanType::DnsName)
}

fn ia5(text: &str) -> Result<Ia5String, AuthorityError> {
    Ia5String::try_from(text).map_err(|_| AuthorityError::Name(text.to_owned()))
}
