//! Real handshakes on loopback: who gets in, and why the others don't.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::world::{HOUR, authority, controller, credential, keyring, meet, node, user, valid};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::ring::default_provider,
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use trust::{
    authority::{Authority, SERVER_NAME, Validity},
    identity::Subject,
    tls::{ClientCertificate, Keyring, TlsError, joining},
};

fn server(keyring: &Keyring) -> ServerConfig {
    keyring.server(ClientCertificate::Required).expect("a server")
}

fn client(keyring: &Keyring) -> ClientConfig {
    keyring.client(None).expect("a client")
}

#[tokio::test]
async fn members_meet_and_know_each_other() {
    let authority = authority();
    let ctl = keyring(&authority, controller("ctl1"));
    for subject in [controller("ctl2"), node("n1"), user(1000, "CORP\\jane")] {
        let met = meet(server(&ctl), client(&keyring(&authority, subject.clone()))).await;
        let seen = met.known().expect("a certificate");
        assert_eq!(seen.identity.subject, subject);
        assert_eq!(met.client.expect("connected").identity.subject, controller("ctl1"));
    }
}

#[tokio::test]
async fn the_expected_controller_only() {
    let authority = authority();
    let ctl = keyring(&authority, controller("ctl1"));
    let me = keyring(&authority, node("n1"));
    let met = meet(server(&ctl), me.client(Some("ctl1")).expect("a client")).await;
    assert!(met.client.is_ok(), "{}", met.refusal());
    let met = meet(server(&ctl), me.client(Some("ctl2")).expect("a client")).await;
    assert!(met.refusal().contains("ctl2 was expected"), "{}", met.refusal());
}

/// What was configured before goes by what counts at the moment.
#[tokio::test]
async fn another_authority_takes_the_place_of_the_first() {
    let old = authority();
    let new = Authority::generate_for(old.cluster(), SystemTime::now()).expect("an authority");
    let [old_anchor, new_anchor] = [&old, &new].map(|one| vec![one.anchor().clone()]);
    let (ctl, me) = (keyring(&old, controller("ctl1")), keyring(&old, node("n1")));
    let (serving, calling) = (server(&ctl), client(&me));
    let early = ctl.rotate(credential(&new, controller("ctl1")));
    assert!(matches!(early, Err(TlsError::OtherAuthority)), "nobody was told of it");
    for keyring in [&ctl, &me] {
        let known = keyring.credential().as_ref().clone().trusting(new_anchor.clone());
        keyring.rotate(known).expect("both count");
    }
    let signed = credential(&new, controller("ctl1")).trusting(old_anchor.clone());
    ctl.rotate(signed).expect("it is trusted by now");
    let met = meet(serving.clone(), calling.clone()).await;
    assert!(met.client.is_ok() && met.known().is_some(), "each knows both");
    me.rotate(credential(&new, node("n1")).trusting(old_anchor)).expect("renewed");
    ctl.rotate(credential(&new, controller("ctl1"))).expect("the old one is gone");
    let met = meet(serving.clone(), calling).await;
    assert!(met.client.is_ok() && met.known().is_some(), "{}", met.refusal());
    let late = keyring(&old, node("n1"));
    let known = late.credential().as_ref().clone().trusting(new_anchor);
    late.rotate(known).expect("it trusts both");
    let met = meet(serving, client(&late)).await;
    assert!(met.refusal().contains("BadSignature"), "{}", met.refusal());
}

#[tokio::test]
async fn another_authority_is_refused_on_both_sides() {
    let (ours, theirs) = (authority(), authority());
    let met = meet(
        server(&keyring(&ours, controller("ctl1"))),
        client(&keyring(&theirs, controller("ctl2"))),
    )
    .await;
    assert!(met.client.is_err(), "the client trusts its own authority alone");

    // A client that would take any server still can't get in with a foreign certificate.
    let mut roots = RootCertStore::empty();
    roots.add(ours.anchor().der().clone()).expect("a root");
    let theirs = credential(&theirs, controller("ctl2"));
    let met =
        meet(server(&keyring(&ours, controller("ctl1"))), forged_client(roots, &theirs)).await;
    assert!(met.server.is_err() && met.client.is_err(), "{}", met.refusal());
}

/// A client that trusts `roots` and checks nothing of ours.
fn forged_client(roots: RootCertStore, own: &trust::credential::Credential) -> ClientConfig {
    let (_, certificate) =
        x509_parser::pem::parse_x509_pem(own.certificate_pem().as_bytes()).expect("PEM");
    let key = KeyPair::from_pem(own.key_pem().reveal()).expect("a key");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.contents.into()], pkcs8(&key))
        .expect("a client")
}

fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

#[tokio::test]
async fn without_a_certificate_only_where_it_is_optional() {
    let authority = authority();
    let ctl = keyring(&authority, controller("ctl1"));
    let anonymous = || joining(authority.anchor().pin()).expect("a client");
    let met = meet(server(&ctl), anonymous()).await;
    assert!(met.server.is_err() && met.client.is_err(), "{}", met.refusal());

    let optional = ctl.server(ClientCertificate::Optional).expect("a server");
    let met = meet(optional, anonymous()).await;
    assert_eq!(met.known(), None);
}

#[tokio::test]
async fn optional_does_not_let_a_wrong_certificate_in() {
    let (ours, theirs) = (authority(), authority());
    let ctl = keyring(&ours, controller("ctl1"));
    let mut roots = RootCertStore::empty();
    roots.add(ours.anchor().der().clone()).expect("a root");
    let foreign = forged_client(roots, &credential(&theirs, node("n1")));
    let met = meet(ctl.server(ClientCertificate::Optional).expect("a server"), foreign).await;
    assert!(met.server.is_err() && met.client.is_err(), "{}", met.refusal());
}

#[tokio::test]
async fn the_pin_tells_the_cluster_from_an_impostor() {
    let (ours, theirs) = (authority(), authority());
    let impostor = keyring(&theirs, controller("ctl1"));
    let optional = || impostor.server(ClientCertificate::Optional).expect("a server");
    let met = meet(optional(), joining(ours.anchor().pin()).expect("a client")).await;
    assert!(met.refusal().contains("authority that the token names"), "{}", met.refusal());

    // Sending our public certificate along does not help the impostor.
    let own = credential(&theirs, controller("ctl1"));
    let met = meet(
        crafted_server(&theirs, Some(&own), &[ours.anchor().der().clone()]),
        joining(ours.anchor().pin()).expect("a client"),
    )
    .await;
    assert!(met.client.is_err(), "{}", met.refusal());
}

/// A server that presents a certificate of `authority`'s with `own`'s key, and `extra` after it.
fn crafted_server(
    authority: &Authority,
    own: Option<&trust::credential::Credential>,
    extra: &[CertificateDer<'static>],
) -> ServerConfig {
    let own = own.expect("a credential");
    let (_, leaf) =
        x509_parser::pem::parse_x509_pem(own.certificate_pem().as_bytes()).expect("PEM");
    let key = KeyPair::from_pem(own.key_pem().reveal()).expect("a key");
    let mut chain = vec![CertificateDer::from(leaf.contents)];
    chain.extend_from_slice(extra);
    permissive_server(authority, chain, &key)
}

fn permissive_server(
    authority: &Authority,
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.anchor().der().clone()).expect("a root");
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .expect("a verifier");
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, pkcs8(key))
        .expect("a server")
}

#[tokio::test]
async fn a_node_or_user_can_t_pose_as_a_controller() {
    let authority = authority();
    let me = keyring(&authority, user(1000, "jane"));
    for subject in [node("n1"), user(0, "root")] {
        let posing = credential(&authority, subject);
        let server = crafted_server(&authority, Some(&posing), &[authority.anchor().der().clone()]);
        let met = meet(server, client(&me)).await;
        assert!(met.client.is_err(), "{}", met.refusal());
        let server = crafted_server(&authority, Some(&posing), &[authority.anchor().der().clone()]);
        let met = meet(server, joining(authority.anchor().pin()).expect("a client")).await;
        assert!(met.client.is_err(), "{}", met.refusal());
    }
}

/// A certificate with the authority's own signature that [`Authority::sign`] would not make: fit
/// to serve, and with these URIs.
fn misissued(authority: &Authority, uris: &[String]) -> (CertificateDer<'static>, KeyPair) {
    let signer = KeyPair::from_pem(authority.key_pem().reveal()).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&authority.anchor().pem(), signer).expect("an issuer");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).expect("a name");
    for uri in uris {
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().expect("ASCII")));
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    (certificate.der().clone(), key)
}

#[tokio::test]
async fn the_role_counts_even_where_the_purpose_would_allow_it() {
    let authority = authority();
    let me = keyring(&authority, user(1000, "jane"));
    let here = format!("rafter://{}", authority.cluster());
    let elsewhere = format!("rafter://{}", crate::world::authority().cluster());
    let cases: [(&[String], &str); 5] = [
        (&[format!("{here}/node/n1")], "a controller was expected"),
        (&[format!("{elsewhere}/controller/ctl1")], "belongs to cluster"),
        (&[], "names 0 identities"),
        (&[format!("{here}/controller/a"), format!("{here}/node/a")], "names 2 identities"),
        (&[format!("{here}/controller/a/b")], "the name must be"),
    ];
    for (uris, reason) in cases {
        let (leaf, key) = misissued(&authority, uris);
        let met = meet(permissive_server(&authority, vec![leaf], &key), client(&me)).await;
        assert!(met.refusal().contains(reason), "{reason}: {}", met.refusal());
    }
    // The same certificate with the right URI is accepted: the refusals were for the URI alone.
    let (leaf, key) = misissued(&authority, &[format!("{here}/controller/ctl1")]);
    let met = meet(permissive_server(&authority, vec![leaf], &key), client(&me)).await;
    assert!(met.client.is_ok(), "{}", met.refusal());
}

#[tokio::test]
async fn a_server_refuses_a_member_of_another_cluster_with_our_signature() {
    let authority = authority();
    let elsewhere = format!("rafter://{}/node/n1", crate::world::authority().cluster());
    let (leaf, key) = misissued(&authority, &[elsewhere]);
    let mut roots = RootCertStore::empty();
    roots.add(authority.anchor().der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf], pkcs8(&key))
        .expect("a client");
    let met = meet(server(&keyring(&authority, controller("ctl1"))), client).await;
    assert!(met.refusal().contains("belongs to cluster"), "{}", met.refusal());
}

#[tokio::test]
async fn expired_and_future_certificates_are_refused_on_both_sides() {
    let authority = authority();
    let now = SystemTime::now();
    let past = Validity { not_before: now - 2 * HOUR, not_after: now - Duration::from_secs(2) };
    let future = Validity { not_before: now + HOUR, not_after: now + 2 * HOUR };
    let outdated = |subject: Subject, validity| {
        Keyring::new(valid(&authority, subject, validity)).expect("a keyring")
    };
    let ctl = keyring(&authority, controller("ctl1"));
    let me = keyring(&authority, node("n1"));
    for validity in [past, future] {
        let met = meet(server(&ctl), client(&outdated(node("n1"), validity))).await;
        assert!(met.server.is_err() && met.client.is_err(), "{}", met.refusal());
        let met = meet(server(&outdated(controller("ctl1"), validity)), client(&me)).await;
        assert!(met.client.is_err(), "{}", met.refusal());
    }
}

#[tokio::test]
async fn older_tls_is_refused() {
    let authority = authority();
    let ctl = server(&keyring(&authority, controller("ctl1")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio_rustls::TlsAcceptor::from(Arc::new(ctl)).accept(stream).await.map(|_| ())
    });
    // A ClientHello of TLS 1.2 without the extension that offers 1.3.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(&hello).await.expect("sent");
    let refused = serving.await.expect("no panic").expect_err("TLS 1.2 must not get through");
    assert!(refused.to_string().contains("incompatible"), "{refused}");
}

#[tokio::test]
async fn plain_text_is_refused() {
    let authority = authority();
    let ctl = server(&keyring(&authority, controller("ctl1")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio_rustls::TlsAcceptor::from(Arc::new(ctl)).accept(stream).await.map(|_| ())
    });
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
    assert!(serving.await.expect("no panic").is_err());
    let mut answer = Vec::new();
    // What comes back, if anything, is a TLS alert and no HTTP.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
}

#[tokio::test]
async fn a_renewed_certificate_serves_at_once() {
    let authority = authority();
    let (ctl, me) = (keyring(&authority, controller("ctl1")), keyring(&authority, node("n1")));
    // The same configurations before and after: they must not hold on to the first certificate.
    let (serving, calling) = (server(&ctl), client(&me));
    let before = meet(serving.clone(), calling.clone()).await;
    ctl.rotate(credential(&authority, controller("ctl1"))).expect("rotated");
    me.rotate(credential(&authority, node("n1"))).expect("rotated");
    let after = meet(serving, calling).await;

    let seen = |met: &crate::world::Met| {
        let client = met.known().expect("a certificate");
        (client.serial.clone(), met.client.as_ref().expect("met").serial.clone())
    };
    let fresh = (me.credential().serial().to_vec(), ctl.credential().serial().to_vec());
    assert_eq!(seen(&after), fresh);
    assert_ne!(seen(&before).0, fresh.0);
    assert_ne!(seen(&before).1, fresh.1);
}

#[tokio::test]
async fn a_keyring_stays_with_its_identity() {
    let (ours, theirs) = (authority(), authority());
    let ring = keyring(&ours, node("n1"));
    let other = ring.rotate(credential(&ours, node("n2")));
    assert!(matches!(other, Err(TlsError::OtherIdentity)), "{other:?}");
    let other = ring.rotate(credential(&theirs, node("n1")));
    assert!(matches!(other, Err(TlsError::OtherAuthority)), "{other:?}");
}
