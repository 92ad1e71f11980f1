//! Who a certificate speaks for: one URI among its alternative names.
//!
//! | subject | URI |
//! |---|---|
//! | a controller | `rafter://CLUSTER/controller/NAME` |
//! | a node or login host | `rafter://CLUSTER/node/NAME` |
//! | a user | `rafter://CLUSTER/user/UID/NAME` |
//!
//! CLUSTER is the random id of the cluster in 32 hexadecimal digits. A user's name is
//! percent-encoded (RFC 3986, section 2.1), since directories hand out names with `\` and spaces.
//!
//! **Invariant:** one identity has one spelling. What would parse to the same identity from
//! another text is refused, so that comparing texts and comparing identities are the same.

use std::{fmt, str::FromStr, time::SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::hex;

#[cfg(test)]
mod tests;

const SCHEME: &str = "rafter://";

/// The longest name of a controller or node, in bytes: that of a host in DNS (RFC 1035).
pub const MAX_NAME: usize = 253;

/// The longest name of a user, in bytes before encoding.
pub const MAX_USER: usize = 256;

/// Which cluster: drawn at random when it is formed, so that two clusters never meet by accident.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// A fresh id from the kernel's random numbers.
    #[must_use]
    pub fn random() -> Self {
        Self(random())
    }
}

/// `N` bytes from the kernel's random numbers.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the kernel gives random numbers");
    bytes
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClusterId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        hex::decode(text).map(Self).ok_or(Unreadable::Cluster)
    }
}

/// Whom a certificate speaks for within its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Controller { name: String },
    Node { name: String },
    User { uid: u32, name: String },
}

/// Whom a certificate speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub cluster: ClusterId,
    pub subject: Subject,
}

impl Identity {
    /// The identity, if its name may stand in a certificate.
    pub fn checked(cluster: ClusterId, subject: Subject) -> Result<Self, Unreadable> {
        match &subject {
            Subject::Controller { name } | Subject::Node { name } => check_name(name)?,
            Subject::User { name, .. } => check_user(name)?,
        }
        Ok(Self { cluster, subject })
    }
}

/// Why a text or certificate names no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not a rafter:// identity")]
    Scheme,
    #[error("a cluster's id is 32 lowercase hexadecimal digits")]
    Cluster,
    #[error("unknown role in the identity")]
    Role,
    #[error("the name must be 1 to {MAX_NAME} letters, digits, '.', '_' or '-'")]
    Name,
    #[error("the user id is not a number in its shortest form")]
    Uid,
    #[error("the user's name is empty, too long, or has control characters or a wrong encoding")]
    User,
    #[error("the certificate can't be read")]
    Certificate,
    #[error("the certificate names {0} identities instead of one")]
    Count(usize),
}

/// Whether `name` may be that of a controller or a node.
///
/// `.` and `..` are refused because a name also becomes a folder's or file's.
pub fn check_name(name: &str) -> Result<(), Unreadable> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=MAX_NAME).contains(&name.len());
    let good = fits && name.bytes().all(plain) && name != "." && name != "..";
    if good { Ok(()) } else { Err(Unreadable::Name) }
}

fn check_user(name: &str) -> Result<(), Unreadable> {
    let good = (1..=MAX_USER).contains(&name.len()) && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(Unreadable::User) }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller { name } => write!(f, "controller/{name}"),
            Self::Node { name } => write!(f, "node/{name}"),
            Self::User { uid, name } => write!(f, "user/{uid}/{}", percent_encode(name)),
        }
    }
}

impl FromStr for Subject {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (role, rest) = text.split_once('/').ok_or(Unreadable::Role)?;
        match role {
            "controller" => check_name(rest).map(|()| Self::Controller { name: rest.to_owned() }),
            "node" => check_name(rest).map(|()| Self::Node { name: rest.to_owned() }),
            "user" => {
                let (uid, name) = rest.split_once('/').ok_or(Unreadable::User)?;
                let number: u32 = uid.parse().map_err(|_| Unreadable::Uid)?;
                if number.to_string() != uid {
                    return Err(Unreadable::Uid);
                }
                let name = percent_decode(name).ok_or(Unreadable::User)?;
                check_user(&name)?;
                Ok(Self::User { uid: number, name })
            }
            _ => Err(Unreadable::Role),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.cluster, self.subject)
    }
}

impl FromStr for Identity {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let rest = text.strip_prefix(SCHEME).ok_or(Unreadable::Scheme)?;
        let (cluster, subject) = rest.split_once('/').ok_or(Unreadable::Role)?;
        Ok(Self { cluster: cluster.parse()?, subject: subject.parse()? })
    }
}

/// The URI of a cluster's authority, which is no identity: nobody may speak for it.
pub(crate) fn authority_uri(cluster: ClusterId) -> String {
    format!("{SCHEME}{cluster}/authority")
}

/// What the rest of the code wants to know of a certificate that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    pub identity: Identity,
    /// The first instant at which the certificate is worth nothing.
    pub not_after: SystemTime,
    pub not_before: SystemTime,
    /// The serial number, big endian.
    pub serial: Vec<u8>,
}

/// The identity in a certificate in DER. The signature is not looked at: verify it first.
///
/// A certificate with several URIs is refused: whoever signed it did not mean what we would read.
pub fn from_certificate(der: &[u8]) -> Result<Certified, Unreadable> {
    let certificate = parse(der)?;
    let uris = uris(&certificate)?;
    let [uri] = uris.as_slice() else {
        return Err(Unreadable::Count(uris.len()));
    };
    let validity = certificate.validity();
    Ok(Certified {
        identity: uri.parse()?,
        not_after: instant(validity.not_after)?,
        not_before: instant(validity.not_before)?,
        serial: certificate.raw_serial().to_vec(),
    })
}

/// The cluster of an authority's certificate in DER.
pub(crate) fn cluster_of_authority(der: &[u8]) -> Result<ClusterId, Unreadable> {
    let certificate = parse(der)?;
    let uris = uris(&certificate)?;
    let [uri] = uris.as_slice() else {
        return Err(Unreadable::Count(uris.len()));
    };
    let rest = uri.strip_prefix(SCHEME).ok_or(Unreadable::Scheme)?;
    rest.strip_suffix("/authority").ok_or(Unreadable::Role)?.parse()
}

/// The public key of a certificate in DER, as the bits within its SubjectPublicKeyInfo.
pub(crate) fn public_key(der: &[u8]) -> Result<Vec<u8>, Unreadable> {
    Ok(parse(der)?.public_key().subject_public_key.data.to_vec())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Unreadable> {
    match X509Certificate::from_der(der) {
        Ok((&[], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(Unreadable::Certificate),
    }
}

fn uris<'a>(certificate: &X509Certificate<'a>) -> Result<Vec<&'a str>, Unreadable> {
    let names = certificate.subject_alternative_name().map_err(|_| Unreadable::Certificate)?;
    let Some(names) = names else { return Ok(Vec::new()) };
    let uri =
        |name: &GeneralName<'a>| if let GeneralName::URI(uri) = name { Some(*uri) } else { None };
    Ok(names.value.general_names.iter().filter_map(uri).collect())
}

fn instant(time: x509_parser::time::ASN1Time) -> Result<SystemTime, Unreadable> {
    let seconds = u64::try_from(time.timestamp()).map_err(|_| Unreadable::Certificate)?;
    let since = std::time::Duration::from_secs(seconds);
    SystemTime::UNIX_EPOCH.checked_add(since).ok_or(Unreadable::Certificate)
}

/// RFC 3986's unreserved characters stay; every other byte becomes `%XX`.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if unreserved(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Undoes [`percent_encode`], and accepts nothing that it would not have written.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if unreserved(first) {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if first != b'%' || unreserved(byte) || format!("{byte:02X}") != digits {
            return None;
        }
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
