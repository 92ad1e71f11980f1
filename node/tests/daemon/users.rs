//! Certificates for the host's users.

use std::time::Duration;

use trust::{
    identity::Subject,
    vouch::{VouchError, obtain},
};

use crate::{cluster::Cluster, host::Host};

#[test]
fn a_user_obtains_a_certificate_or_hears_why_not() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    cluster.attached(0);
    let ask = || obtain(&host.path("socket"), cluster.authority.cluster(), Duration::from_secs(30));
    let pass = ask().expect("a pass");
    let me = nix::unistd::geteuid().as_raw();
    let subject = pass.credential.identity().subject.clone();
    assert!(matches!(subject, Subject::User { uid, .. } if uid == me), "{subject}");
    assert_eq!(pass.controllers.len(), 1);

    cluster.controllers[0].conduct().vouching = Err("n1 is no login host");
    let refused = ask().expect_err("refused");
    assert!(matches!(&refused, VouchError::Refused(why) if why == "n1 is no login host"));
}
