//! Calls that this host's `rafterd` can make for a command: see [`trust::door`].
//!
//! They need nothing of what a connection needs: no key, no certificate, no TLS, no runtime.
//! Whoever gets no answer here makes the call directly, with the same request id, and is told what
//! there is to tell then.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use proto::ctl::{
    CancelRequest, Done, HoldRequest, ReleaseRequest, RequeueRequest, SubmitReply, SubmitRequest,
    TestOnlyReply, UpdateJobRequest,
};
use tonic::{Request, Response, Status};
use trust::{
    controllers::{PATIENCE, Target},
    door::{self, Question, Said},
    site::Site,
};

use crate::{client::Controller, trouble::Trouble};

/// How much longer than one controller `rafterd` may take: it goes on to the next one.
const ROUND: u32 = 2;

/// For how much longer than `rafterd` tries it is listened to.
const GRACE: Duration = Duration::from_millis(250);

/// A method that is served at the door, and how it is called without one.
pub(crate) struct Method<Q, R> {
    path: &'static str,
    pub(crate) target: Target,
    pub(crate) direct: fn(Controller, Request<Q>) -> Outcome<R>,
}

type Outcome<R> = Pin<Box<dyn Future<Output = Result<R, Status>>>>;

/// None: the call must be made directly.
pub(crate) type Answer<R> = Option<Result<R, Trouble>>;

macro_rules! methods {
    ($($name:ident: $path:literal, $target:ident, $call:ident, $request:ty => $reply:ty;)*) => {
        $(pub(crate) const $name: Method<$request, $reply> = Method {
            path: $path,
            target: Target::$target,
            direct: |mut controller, request| {
                Box::pin(async move { controller.$call(request).await.map(Response::into_inner) })
            },
        };)*

        #[cfg(test)]
        const PATHS: &[&str] = &[$($path),*];
    };
}

methods! {
    SUBMIT: "/rafter.ctl.v1.Controller/Submit", Leader, submit, SubmitRequest => SubmitReply;
    TEST_ONLY: "/rafter.ctl.v1.Controller/TestOnly", Any, test_only, SubmitRequest => TestOnlyReply;
    CANCEL: "/rafter.ctl.v1.Controller/Cancel", Leader, cancel, CancelRequest => Done;
    HOLD: "/rafter.ctl.v1.Controller/Hold", Leader, hold, HoldRequest => Done;
    RELEASE: "/rafter.ctl.v1.Controller/Release", Leader, release, ReleaseRequest => Done;
    REQUEUE: "/rafter.ctl.v1.Controller/Requeue", Leader, requeue, RequeueRequest => Done;
    UPDATE_JOB: "/rafter.ctl.v1.Controller/UpdateJob", Leader, update_job, UpdateJobRequest => Done;
}

/// Asks this host's daemon, if it has one.
pub(crate) fn ask<Q, R>(site: &Site, method: &Method<Q, R>, message: &Q) -> Answer<R>
where
    Q: prost::Message,
    R: prost::Message + Default,
{
    let socket = site.socket.as_ref()?;
    // Half of the time is left for whoever is not served.
    let within = (PATIENCE * ROUND).min(site.message_timeout / 2);
    let question = Question {
        cluster: Bytes::copy_from_slice(&site.id.0),
        method: method.path.to_owned(),
        within_ms: u32::try_from(within.as_millis()).unwrap_or(u32::MAX),
        traceparent: telemetry::context::current_traceparent(),
        message: message.encode_to_vec().into(),
    };
    match door::ask(socket, &question, within + GRACE) {
        Ok(Said::Reply(reply)) => R::decode(reply).ok().map(Ok),
        Ok(Said::Refusal(refusal)) => Some(Err(Status::from(refusal).into())),
        Ok(Said::NotServed(reason)) => {
            tracing::debug!(reason, "rafterd does not make the call");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "rafterd does not answer");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use trust::permit::THROUGH_THE_DOOR;

    use super::*;

    #[test]
    fn there_is_a_way_to_each_method_of_the_door_and_to_no_other() {
        assert_eq!(PATHS, THROUGH_THE_DOOR);
    }
}
