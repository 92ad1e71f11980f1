//! The authority: what a request asks for is ignored, and its files are closed to others.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::*;
use crate::credential::{CredentialError, KeyRequest};

const HOUR: Duration = Duration::from_secs(3600);

fn authority() -> Authority {
    Authority::generate(SystemTime::now()).expect("an authority")
}

fn hour() -> Validity {
    Validity::from_now(SystemTime::now(), HOUR)
}

fn jane(authority: &Authority) -> Identity {
    let subject = Subject::User { uid: 1000, name: "jane".into() };
    Identity { cluster: authority.cluster(), subject }
}

fn request(params: &CertificateParams, key: &KeyPair) -> String {
    params.serialize_request(key).expect("a request").pem().expect("PEM")
}

/// A request that asks for everything that it should not get.
fn greedy(authority: &Authority, key: &KeyPair) -> String {
    let boss = format!("rafter://{}/controller/boss", authority.cluster());
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(&boss).expect("a URI"), dns(SERVER_NAME).expect("a name")];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    request(&params, key)
}

#[test]
fn what_a_request_asks_for_is_ignored() {
    let authority = authority();
    let key = KeyPair::generate().expect("a key");
    let validity = hour();
    let pem = authority
        .sign(&greedy(&authority, &key), &jane(&authority), validity, &[])
        .expect("a certificate");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let certified = identity::from_certificate(&der).expect("an identity");
    assert_eq!(certified.identity, jane(&authority));
    assert!(validity.not_after.duration_since(certified.not_after).expect("not later") < HOUR);

    let (_, parsed) = X509Certificate::from_der(&der).expect("a certificate");
    assert!(!parsed.is_ca());
    let usage = parsed.key_usage().expect("readable").expect("there").value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    let purposes = parsed.extended_key_usage().expect("readable").expect("there").value;
    assert!(purposes.client_auth && !purposes.server_auth);
    let names = parsed.subject_alternative_name().expect("readable").expect("there").value;
    let only_uri = |name: &GeneralName<'_>| matches!(name, GeneralName::URI(_));
    assert!(names.general_names.len() == 1 && names.general_names.iter().all(only_uri));
}

#[test]
fn only_controllers_may_serve() {
    let authority = authority();
    let subjects = [
        (Subject::Controller { name: "ctl1".into() }, true),
        (Subject::Node { name: "n1".into() }, false),
        (Subject::User { uid: 0, name: "root".into() }, false),
    ];
    for (subject, serves) in subjects {
        let identity = Identity { cluster: authority.cluster(), subject };
        let credential = authority.issue(&identity, hour(), &[]).expect("a credential");
        let (_, parsed) =
            X509Certificate::from_der(credential.certificate()).expect("a certificate");
        let purposes = parsed.extended_key_usage().expect("readable").expect("there").value;
        assert_eq!(purposes.server_auth, serves, "{identity}");
    }
}

#[test]
fn bad_requests_are_refused() {
    let authority = authority();
    let jane = jane(&authority);
    let sign = |request: &str| authority.sign(request, &jane, hour(), &[]);
    for text in ["", "rubbish", &"x".repeat(MAX_REQUEST + 1)] {
        assert!(sign(text).is_err());
    }
    for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let refused = sign(&request(&CertificateParams::default(), &key));
        assert!(matches!(refused, Err(AuthorityError::RequestKey)), "{refused:?}");
    }
    let key = KeyPair::generate().expect("a key");
    let good = pem::parse(request(&CertificateParams::default(), &key)).expect("PEM");
    let mut bytes = good.contents().to_vec();
    *bytes.last_mut().expect("not empty") ^= 1;
    assert!(sign(&pem::encode(&Pem::new("CERTIFICATE REQUEST", bytes))).is_err());
}

#[test]
fn a_request_can_t_be_cut_anywhere() {
    let authority = authority();
    let key = KeyPair::generate().expect("a key");
    let whole = pem::parse(greedy(&authority, &key)).expect("PEM");
    for end in 0..whole.contents().len() {
        let cut = pem::encode(&Pem::new("CERTIFICATE REQUEST", &whole.contents()[..end]));
        assert!(authority.sign(&cut, &jane(&authority), hour(), &[]).is_err());
    }
}

#[test]
fn odd_identities_and_names_are_refused() {
    let ours = authority();
    let request = KeyRequest::generate().expect("a key").signing_request().expect("PEM");
    let foreign = jane(&authority());
    let refused = ours.sign(&request, &foreign, hour(), &[]);
    assert!(matches!(refused, Err(AuthorityError::OtherCluster(_))), "{refused:?}");

    let subject = Subject::Node { name: "n1/../../controller/x".into() };
    let identity = Identity { cluster: ours.cluster(), subject };
    let refused = ours.sign(&request, &identity, hour(), &[]);
    assert!(matches!(refused, Err(AuthorityError::Identity { .. })), "{refused:?}");

    for name in ["", "a b", "*.example.com", "é"] {
        let refused = ours.sign(&request, &jane(&ours), hour(), &[name]);
        assert!(matches!(refused, Err(AuthorityError::Name(_))), "{refused:?}");
    }
    for name in ["host-1.example.com", "10.0.0.1", "::1"] {
        assert!(ours.sign(&request, &jane(&ours), hour(), &[name]).is_ok());
    }
}

#[test]
fn serial_numbers_differ() {
    let authority = authority();
    let issue = || authority.issue(&jane(&authority), hour(), &[]).expect("a credential");
    let (one, other) = (issue(), issue());
    assert_ne!(one.serial(), other.serial());
    assert_eq!(one.serial().len(), 16);
}

#[test]
fn a_credential_needs_its_own_key_and_authority() {
    let (ours, theirs) = (authority(), authority());
    let issued = ours.issue(&jane(&ours), hour(), &[]).expect("a credential");
    let stranger = KeyRequest::generate().expect("a key");
    let wrong = stranger.certified(&issued.certificate_pem(), ours.anchor().clone());
    assert!(matches!(wrong, Err(CredentialError::Mismatch)), "{wrong:?}");
    let wrong = crate::credential::Credential::from_pem(
        &issued.certificate_pem(),
        issued.key_pem(),
        theirs.anchor().clone(),
    );
    assert!(matches!(wrong, Err(CredentialError::OtherCluster { .. })), "{wrong:?}");
}

#[test]
fn a_forged_certificate_is_no_credential() {
    let ours = authority();
    let key = KeyPair::generate().expect("a key");
    let mut params = leaf(&jane(&ours), hour(), &[]).expect("parameters");
    params.use_authority_key_identifier_extension = false;
    let forged = params.self_signed(&key).expect("a certificate");
    let key = Secret::new(key.serialize_pem());
    let read = crate::credential::Credential::from_pem(&forged.pem(), &key, ours.anchor().clone());
    assert!(matches!(read, Err(CredentialError::Signature { .. })), "{read:?}");
}

#[test]
fn an_expired_credential_can_still_be_read() {
    let authority = authority();
    let past =
        Validity { not_before: SystemTime::now() - 2 * HOUR, not_after: SystemTime::now() - HOUR };
    let credential = authority.issue(&jane(&authority), past, &[]).expect("a credential");
    assert!(credential.not_after() < SystemTime::now());
}

#[test]
fn half_of_a_life_is_time_to_renew() {
    let authority = authority();
    let start = SystemTime::UNIX_EPOCH + 400_000 * HOUR;
    let validity = Validity { not_before: start, not_after: start + 4 * HOUR };
    let credential = authority.issue(&jane(&authority), validity, &[]).expect("a credential");
    assert_eq!(credential.renewal(), start + 2 * HOUR);
    let due = |at| credential.is_due(at);
    assert!(!due(start) && !due(start + HOUR) && due(start + 2 * HOUR));
    assert!(due(start - HOUR), "it is of a moment to come");
}

#[test]
fn what_is_saved_loads_and_is_private() {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path().join("deep/authority");
    let made = authority();
    made.save(&folder).expect("saved");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(KEY_FILE)), 0o600);
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2, "no temporary file stays");

    let loaded = Authority::load(&folder).expect("loaded");
    assert_eq!(loaded.anchor(), made.anchor());
    let issued = loaded.issue(&jane(&made), hour(), &[]).expect("a credential");
    assert_eq!(issued.anchor().pin(), made.anchor().pin());
}

#[test]
fn exposed_exchanged_or_linked_files_are_refused() {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path().join("authority");
    authority().save(&folder).expect("saved");
    let key = folder.join(KEY_FILE);
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    for mode in [0o640, 0o604, 0o620] {
        chmod(&key, mode);
        let refused = Authority::load(&folder);
        let exposed = matches!(refused, Err(AuthorityError::File(FileError::Exposed { .. })));
        assert!(exposed, "{mode:o}: {refused:?}");
    }
    chmod(&key, 0o600);
    assert!(Authority::load(&folder).is_ok());

    let moved = scratch.path().join("moved.key");
    fs::rename(&key, &moved).expect("moved");
    symlink(&moved, &key).expect("linked");
    assert!(matches!(Authority::load(&folder), Err(AuthorityError::File(FileError::Io { .. }))));
    fs::remove_file(&key).expect("removed");

    let other = authority();
    file::write(&key, other.key_pem().reveal(), file::PRIVATE).expect("written");
    assert!(matches!(Authority::load(&folder), Err(AuthorityError::Mismatch)));

    chmod(&folder, 0o777);
    assert!(other.save(&folder).is_err(), "others could exchange the files");
}

#[test]
fn secrets_are_not_printed() {
    let authority = authority();
    let credential = authority.issue(&jane(&authority), hour(), &[]).expect("a credential");
    let shown = format!("{authority:?} {credential:?} {:?}", authority.key_pem());
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
