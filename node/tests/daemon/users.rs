//! Certificates for the host's users, and calls that are made for them.

use std::time::Duration;

use bytes::Bytes;
use tonic::{Code, Status};
use trust::{
    door::{self, Question, Refusal, Said},
    identity::Subject,
    vouch::{VouchError, obtain},
};

use crate::{called::Made, cluster::Cluster, host::Host};

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

const CANCEL: &str = "/rafter.ctl.v1.Controller/Cancel";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn question(cluster: &Cluster) -> Question {
    Question {
        cluster: Bytes::copy_from_slice(&cluster.authority.cluster().0),
        method: CANCEL.to_owned(),
        within_ms: 30_000,
        traceparent: Some(TRACE.to_owned()),
        message: Bytes::from_static(b"the message"),
    }
}

#[test]
fn a_call_is_made_for_whom_the_kernel_names() {
    let mut cluster = Cluster::new(2);
    let host = Host::join(&cluster);
    cluster.attached(0);
    let ask = |question: &Question| {
        let limit = Duration::from_secs(60);
        door::ask(&host.path("socket"), question, limit).expect("an answer")
    };
    let uid = Some(nix::unistd::geteuid().as_raw());
    let made = |traceparent: Option<&str>| Made {
        uid,
        path: CANCEL.to_owned(),
        message: Bytes::from_static(b"the message"),
        traceparent: traceparent.map(str::to_owned),
    };
    let calls =
        |cluster: &Cluster, at: usize| std::mem::take(&mut cluster.controllers[at].conduct().calls);
    cluster.controllers[0].conduct().reply = Ok(Bytes::from_static(b"the reply"));
    assert_eq!(ask(&question(&cluster)), Said::Reply(Bytes::from_static(b"the reply")));
    assert_eq!(calls(&cluster, 0), [made(Some(TRACE))]);

    let mut status = Status::failed_precondition("Invalid job id specified");
    status.metadata_mut().insert("slurm-errno", "2017".parse().expect("metadata"));
    cluster.controllers[0].conduct().reply = Err(status.clone());
    let untraced = Question { traceparent: Some("no trace".to_owned()), ..question(&cluster) };
    let Said::Refusal(Refusal { code, message, metadata }) = ask(&untraced) else {
        panic!("it is an answer")
    };
    assert_eq!((code, message.as_str()), (Code::FailedPrecondition.into(), status.message()));
    assert_eq!(metadata["slurm-errno"], "2017");
    assert_eq!(calls(&cluster, 0), [made(None)], "only what is a trace is passed on");

    // Another one leads.
    cluster.controllers[0].conduct().term = None;
    cluster.controllers[1].conduct().term = Some(6);
    cluster.controllers[1].conduct().reply = Ok(Bytes::from_static(b"of the next"));
    assert_eq!(ask(&question(&cluster)), Said::Reply(Bytes::from_static(b"of the next")));
    assert_eq!((calls(&cluster, 0).len(), calls(&cluster, 1).len()), (0, 1));
}

#[test]
fn what_is_not_called_for_others_is_not_called() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    cluster.attached(0);
    let not_served = |question: &Question| {
        let limit = Duration::from_secs(60);
        let said = door::ask(&host.path("socket"), question, limit).expect("an answer");
        let Said::NotServed(why) = said else { panic!("served: {said:?}") };
        why
    };
    for method in ["/rafter.ctl.v1.Controller/IssueToken", "/rafter.node.v1.Node/Vouch", ""] {
        let why = not_served(&Question { method: method.to_owned(), ..question(&cluster) });
        assert_eq!(why, "this is not called for others", "{method}");
    }
    let other = Question { cluster: Bytes::from_static(&[1; 16]), ..question(&cluster) };
    assert_eq!(not_served(&other), "this host's rafterd belongs to another cluster");
    // What a service says that has not looked at the request, the user hears himself.
    cluster.controllers[0].conduct().reply = Err(Status::internal("a mistake"));
    assert_eq!(not_served(&question(&cluster)), "a mistake");
    cluster.controllers[0].conduct().calls.clear();
    // Whoever may not be spoken for is not asked for again and again.
    cluster.controllers[0].conduct().vouching = Err("n1 is no login host");
    assert_eq!(not_served(&question(&cluster)), "n1 is no login host");
    cluster.controllers[0].conduct().vouching = Ok(());
    assert_eq!(not_served(&question(&cluster)), "n1 is no login host", "for a while");
    assert_eq!(cluster.controllers[0].conduct().calls, [], "no call came through");
}
