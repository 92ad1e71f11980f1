//! A controller that answers from a script, and keeps what it was asked.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use proto::{
    ctl::{controller_server::Controller, *},
    plan::{DumpReply, DumpRequest, WhatIfReply, WhatIfRequest},
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use trust::gate::caller;

type Reply<T> = Result<Response<T>, Status>;
type Pages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers that come one after the other. The last one stays.
pub(crate) struct Script<T>(Mutex<VecDeque<Result<T, Status>>>);

impl<T: Clone> Script<T> {
    fn next(&self) -> Result<T, Status> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = answers.len() < 2;
        let answer = if last { answers.front().cloned() } else { answers.pop_front() };
        answer.unwrap_or_else(|| Err(Status::internal("the test has no answer to this")))
    }

    pub(crate) fn set(&self, answers: impl IntoIterator<Item = Result<T, Status>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answers.into_iter().collect();
    }
}

impl<T> Default for Script<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// What was asked, in order.
pub(crate) struct Asked<T>(Mutex<Vec<T>>);

impl<T: Clone> Asked<T> {
    fn note(&self, request: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) submit: Script<SubmitReply>,
    pub(crate) submitted: Asked<SubmitRequest>,
    /// The uids in the certificates of those who submitted.
    pub(crate) submitters: Asked<Option<u32>>,
    pub(crate) cancel: Script<Done>,
    pub(crate) cancelled: Asked<CancelRequest>,
    pub(crate) jobs: Script<JobsReply>,
    pub(crate) jobs_asked: Asked<JobsRequest>,
    pub(crate) status: Script<StatusReply>,
    pub(crate) nodes: Script<NodesReply>,
    pub(crate) script: Script<BatchScriptReply>,
    /// What every change is answered.
    pub(crate) change: Script<Done>,
    pub(crate) held: Asked<HoldRequest>,
    pub(crate) released: Asked<ReleaseRequest>,
    pub(crate) requeued: Asked<RequeueRequest>,
    pub(crate) jobs_changed: Asked<UpdateJobRequest>,
    pub(crate) nodes_changed: Asked<UpdateNodeRequest>,
}

/// What tonic serves.
#[derive(Clone)]
pub(crate) struct Service(pub(crate) Arc<Fake>);

fn not_here<T>() -> Reply<T> {
    Err(Status::unimplemented("no test asks this"))
}

#[tonic::async_trait]
impl Controller for Service {
    type JobsStream = Pages<JobsReply>;
    type BackupStream = Pages<BackupReply>;
    type EventsStream = Pages<EventsReply>;
    type SchedDumpStream = Pages<DumpReply>;

    async fn submit(&self, request: Request<SubmitRequest>) -> Reply<SubmitReply> {
        self.0.submitters.note(caller(&request)?.uid());
        self.0.submitted.note(request.into_inner());
        self.0.submit.next().map(Response::new)
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Reply<Done> {
        self.0.cancelled.note(request.into_inner());
        self.0.cancel.next().map(Response::new)
    }

    async fn jobs(&self, request: Request<JobsRequest>) -> Reply<Self::JobsStream> {
        self.0.jobs_asked.note(request.into_inner());
        let reply = self.0.jobs.next()?;
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(reply)))))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Reply<StatusReply> {
        self.0.status.next().map(Response::new)
    }

    async fn test_only(&self, _: Request<SubmitRequest>) -> Reply<TestOnlyReply> {
        not_here()
    }
    async fn hold(&self, request: Request<HoldRequest>) -> Reply<Done> {
        self.0.held.note(request.into_inner());
        self.0.change.next().map(Response::new)
    }
    async fn release(&self, request: Request<ReleaseRequest>) -> Reply<Done> {
        self.0.released.note(request.into_inner());
        self.0.change.next().map(Response::new)
    }
    async fn requeue(&self, request: Request<RequeueRequest>) -> Reply<Done> {
        self.0.requeued.note(request.into_inner());
        self.0.change.next().map(Response::new)
    }
    async fn update_job(&self, request: Request<UpdateJobRequest>) -> Reply<Done> {
        self.0.jobs_changed.note(request.into_inner());
        self.0.change.next().map(Response::new)
    }
    async fn update_node(&self, request: Request<UpdateNodeRequest>) -> Reply<Done> {
        self.0.nodes_changed.note(request.into_inner());
        self.0.change.next().map(Response::new)
    }
    async fn issue_token(&self, _: Request<IssueTokenRequest>) -> Reply<IssueTokenReply> {
        not_here()
    }
    async fn remove_controller(&self, _: Request<RemoveControllerRequest>) -> Reply<Done> {
        not_here()
    }
    async fn take_over(&self, _: Request<TakeOverRequest>) -> Reply<TakeOverReply> {
        not_here()
    }
    async fn backup(&self, _: Request<BackupRequest>) -> Reply<Self::BackupStream> {
        not_here()
    }
    async fn roll_authority(&self, _: Request<RollAuthorityRequest>) -> Reply<RollAuthorityReply> {
        not_here()
    }
    async fn take_authority(&self, _: Request<TakeAuthorityRequest>) -> Reply<Done> {
        not_here()
    }
    async fn load_accounts(&self, _: Request<LoadAccountsRequest>) -> Reply<Done> {
        self.0.change.next().map(Response::new)
    }
    async fn accounts(&self, _: Request<AccountsRequest>) -> Reply<AccountsReply> {
        not_here()
    }
    async fn create_reservation(
        &self,
        _: Request<CreateReservationRequest>,
    ) -> Reply<CreateReservationReply> {
        not_here()
    }
    async fn update_reservation(&self, _: Request<UpdateReservationRequest>) -> Reply<Done> {
        self.0.change.next().map(Response::new)
    }
    async fn delete_reservation(&self, _: Request<DeleteReservationRequest>) -> Reply<Done> {
        self.0.change.next().map(Response::new)
    }
    async fn reservations(&self, _: Request<ReservationsRequest>) -> Reply<ReservationsReply> {
        Ok(Response::new(ReservationsReply::default()))
    }
    async fn reconfigure(&self, _: Request<ReconfigureRequest>) -> Reply<Done> {
        self.0.change.next().map(Response::new)
    }
    async fn batch_script(&self, _: Request<BatchScriptRequest>) -> Reply<BatchScriptReply> {
        self.0.script.next().map(Response::new)
    }
    async fn nodes(&self, _: Request<NodesRequest>) -> Reply<NodesReply> {
        self.0.nodes.next().map(Response::new)
    }
    async fn config(&self, _: Request<ConfigRequest>) -> Reply<ConfigReply> {
        Ok(Response::new(ConfigReply::default()))
    }
    async fn ping(&self, _: Request<PingRequest>) -> Reply<PingReply> {
        not_here()
    }
    async fn why(&self, _: Request<WhyRequest>) -> Reply<WhyReply> {
        not_here()
    }
    async fn what_if(&self, _: Request<WhatIfRequest>) -> Reply<WhatIfReply> {
        not_here()
    }
    async fn sched_dump(&self, _: Request<DumpRequest>) -> Reply<Self::SchedDumpStream> {
        not_here()
    }
    async fn digest(&self, _: Request<DigestRequest>) -> Reply<DigestReply> {
        not_here()
    }
    async fn events(&self, _: Request<EventsRequest>) -> Reply<Self::EventsStream> {
        not_here()
    }
}
