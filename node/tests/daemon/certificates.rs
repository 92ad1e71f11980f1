//! The node's own certificate.

use std::sync::Arc;

use node::join::{JoinError, join, recall, renew_once};
use trust::{
    connect::Life,
    controllers::{CallError, Controllers},
    store::Pass,
    tls::Keyring,
};

use crate::cluster::Cluster;

#[tokio::test]
async fn a_certificate_is_obtained_kept_and_renewed() {
    // The made-up controllers have a runtime of their own, which may not end within this one.
    let cluster = tokio::task::spawn_blocking(|| Cluster::new(2)).await.expect("a cluster");
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("spool/pass");
    let addresses: Vec<String> =
        cluster.controllers.iter().rev().map(|it| it.address.address.clone()).collect();
    let token = cluster.token();
    let joined = join(&token, Some("n1"), &addresses, &file).await.expect("joined");
    assert_eq!(joined.cluster, "test");
    let names: Vec<_> = joined.pass.controllers.iter().map(|it| it.name.clone()).collect();
    assert_eq!(names, ["ctl1", "ctl2"], "as the leader told");

    let (pass, name) = recall(&file, None).expect("kept");
    assert_eq!(name, "n1");
    assert!(matches!(recall(&file, Some("n2")), Err(JoinError::OtherSubject { .. })));
    let again = join(&token, None, &addresses, &file).await;
    assert!(matches!(again, Err(JoinError::Joined { .. })), "{again:?}");

    let first = pass.credential.serial().to_vec();
    let keyring = Arc::new(Keyring::new(pass.credential).expect("a keyring"));
    let controllers = Controllers::new(pass.controllers, Arc::clone(&keyring), Life::Daemon, None);
    renew_once(&keyring, &controllers, &file).await.expect("renewed");
    assert_ne!(keyring.credential().serial(), first, "another one is presented");
    let kept = Pass::read(&file).expect("kept");
    assert_eq!(kept.credential.serial(), keyring.credential().serial());
    tokio::task::spawn_blocking(|| drop(cluster)).await.expect("stopped");
}

#[tokio::test]
async fn an_impostor_gets_no_token() {
    let (ours, theirs) = tokio::task::spawn_blocking(|| (Cluster::new(1), Cluster::new(1)))
        .await
        .expect("two clusters");
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("pass");
    let impostor = [theirs.controllers[0].address.address.clone()];
    let refused = join(&ours.token(), None, &impostor, &file).await;
    let refused = refused.expect_err("an impostor");
    assert!(matches!(refused, JoinError::Call(CallError::Untrusted { .. })), "{refused:?}");
    assert!(!file.exists());
    tokio::task::spawn_blocking(|| drop((ours, theirs))).await.expect("stopped");
}

#[test]
fn a_token_is_for_one_name_and_role() {
    let cluster = Cluster::new(1);
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("pass");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let token = cluster.token();
    let refused = runtime.block_on(join(&token, Some("n2"), &["h:1".to_owned()], &file));
    let text = refused.expect_err("another name").to_string();
    assert_eq!(text, "the token is for node n1, and --name says n2");
    let nowhere = runtime.block_on(join(&token, None, &[], &file));
    assert!(matches!(nowhere, Err(JoinError::NoController)));
}
