//! The services: a message comes in, a command goes through the proposer, and its answer goes out.
//!
//! **Invariant:** who asks is taken from the certificate of the connection, never from a message;
//! or from the metadata of a node that may speak for the user, which [`trust::gate`] has settled
//! before a handler sees the request.

mod accounts;
mod admin;
mod aside;
mod authority;
mod backup;
mod controllers;
mod dump;
mod events;
mod groups;
mod job;
mod member;
mod reads;
mod reservations;
mod status;
mod trial;
mod what_if;
mod why;

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use proto::{
    ctl::{self as wire, controller_server::Controller},
    node::{self, join_server::Join, node_server::Node},
    plan,
};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::{nodes, shared::Shared};

pub(crate) use aside::AT_ONCE;
pub(crate) use authority::due;
pub(crate) use member::may_speak;
pub(crate) use status::{node as calling_node, rejected};

/// The largest message that is read, in bytes: a script and an environment of the size that
/// `max_script_size` usually allows, and then some.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

/// All services of a controller but Raft's own.
#[derive(Clone, Debug)]
pub(crate) struct Service(pub(crate) Arc<Shared>);

type Reply<T> = Result<Response<T>, Status>;

/// Runs `$call` within a span that continues the caller's trace.
macro_rules! traced {
    ($name:literal, $request:ident, $call:expr) => {{
        let span = tracing::info_span!($name);
        telemetry::context::extract($request.metadata(), &span);
        $call.instrument(span).await.map(Response::new)
    }};
}

#[tonic::async_trait]
impl Controller for Service {
    type JobsStream = reads::Pages;
    type EventsStream = events::Told;
    type BackupStream = backup::Parts;
    type SchedDumpStream = dump::Parts;

    async fn submit(&self, request: Request<wire::SubmitRequest>) -> Reply<wire::SubmitReply> {
        traced!("submit", request, job::submit(&self.0, request))
    }

    async fn test_only(&self, request: Request<wire::SubmitRequest>) -> Reply<wire::TestOnlyReply> {
        traced!("test only", request, job::test_only(&self.0, request))
    }

    async fn cancel(&self, request: Request<wire::CancelRequest>) -> Reply<wire::Done> {
        traced!("cancel", request, job::cancel(&self.0, request))
    }

    async fn hold(&self, request: Request<wire::HoldRequest>) -> Reply<wire::Done> {
        traced!("hold", request, job::hold(&self.0, request))
    }

    async fn release(&self, request: Request<wire::ReleaseRequest>) -> Reply<wire::Done> {
        traced!("release", request, job::release(&self.0, request))
    }

    async fn requeue(&self, request: Request<wire::RequeueRequest>) -> Reply<wire::Done> {
        traced!("requeue", request, job::requeue(&self.0, request))
    }

    async fn update_job(&self, request: Request<wire::UpdateJobRequest>) -> Reply<wire::Done> {
        traced!("update job", request, job::update(&self.0, request))
    }

    async fn update_node(&self, request: Request<wire::UpdateNodeRequest>) -> Reply<wire::Done> {
        traced!("update node", request, admin::update_node(&self.0, request))
    }

    async fn issue_token(
        &self,
        request: Request<wire::IssueTokenRequest>,
    ) -> Reply<wire::IssueTokenReply> {
        traced!("issue token", request, admin::issue_token(&self.0, request))
    }

    async fn remove_controller(
        &self,
        request: Request<wire::RemoveControllerRequest>,
    ) -> Reply<wire::Done> {
        traced!("remove controller", request, controllers::remove(&self.0, request))
    }

    async fn take_over(
        &self,
        request: Request<wire::TakeOverRequest>,
    ) -> Reply<wire::TakeOverReply> {
        traced!("take over", request, controllers::take_over(&self.0, request))
    }

    async fn roll_authority(
        &self,
        request: Request<wire::RollAuthorityRequest>,
    ) -> Reply<wire::RollAuthorityReply> {
        traced!("roll authority", request, authority::roll(&self.0, request))
    }

    async fn take_authority(
        &self,
        request: Request<wire::TakeAuthorityRequest>,
    ) -> Reply<wire::Done> {
        authority::take(&self.0, request).map(Response::new)
    }

    async fn backup(&self, request: Request<wire::BackupRequest>) -> Reply<Self::BackupStream> {
        traced!("backup", request, backup::backup(&self.0, request))
    }

    async fn reconfigure(&self, request: Request<wire::ReconfigureRequest>) -> Reply<wire::Done> {
        traced!("reconfigure", request, admin::reconfigure(&self.0, request))
    }

    async fn load_accounts(
        &self,
        request: Request<wire::LoadAccountsRequest>,
    ) -> Reply<wire::Done> {
        traced!("load accounts", request, accounts::load(&self.0, request))
    }

    async fn accounts(
        &self,
        request: Request<wire::AccountsRequest>,
    ) -> Reply<wire::AccountsReply> {
        traced!("accounts", request, accounts::show(&self.0, request))
    }

    async fn create_reservation(
        &self,
        request: Request<wire::CreateReservationRequest>,
    ) -> Reply<wire::CreateReservationReply> {
        traced!("create reservation", request, reservations::create(&self.0, request))
    }

    async fn update_reservation(
        &self,
        request: Request<wire::UpdateReservationRequest>,
    ) -> Reply<wire::Done> {
        traced!("update reservation", request, reservations::update(&self.0, request))
    }

    async fn delete_reservation(
        &self,
        request: Request<wire::DeleteReservationRequest>,
    ) -> Reply<wire::Done> {
        traced!("delete reservation", request, reservations::delete(&self.0, request))
    }

    async fn reservations(
        &self,
        request: Request<wire::ReservationsRequest>,
    ) -> Reply<wire::ReservationsReply> {
        traced!("reservations", request, reservations::show(&self.0, request))
    }

    async fn jobs(&self, request: Request<wire::JobsRequest>) -> Reply<Self::JobsStream> {
        traced!("jobs", request, reads::jobs(&self.0, request))
    }

    async fn batch_script(
        &self,
        request: Request<wire::BatchScriptRequest>,
    ) -> Reply<wire::BatchScriptReply> {
        traced!("batch script", request, reads::batch_script(&self.0, request))
    }

    async fn nodes(&self, request: Request<wire::NodesRequest>) -> Reply<wire::NodesReply> {
        traced!("nodes", request, reads::nodes(&self.0, request))
    }

    async fn config(&self, request: Request<wire::ConfigRequest>) -> Reply<wire::ConfigReply> {
        traced!("config", request, reads::config_reply(&self.0, request))
    }

    async fn ping(&self, _request: Request<wire::PingRequest>) -> Reply<wire::PingReply> {
        Ok(Response::new(reads::ping(&self.0)))
    }

    async fn status(&self, request: Request<wire::StatusRequest>) -> Reply<wire::StatusReply> {
        traced!("status", request, reads::status(&self.0, request))
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Reply<Self::EventsStream> {
        events::events(&self.0, request).await.map(Response::new)
    }

    async fn digest(&self, request: Request<wire::DigestRequest>) -> Reply<wire::DigestReply> {
        traced!("digest", request, reads::digest(&self.0, request))
    }

    async fn why(&self, request: Request<wire::WhyRequest>) -> Reply<wire::WhyReply> {
        traced!("why", request, why::why(&self.0, request))
    }

    async fn what_if(&self, request: Request<plan::WhatIfRequest>) -> Reply<plan::WhatIfReply> {
        traced!("what if", request, what_if::what_if(&self.0, request))
    }

    async fn sched_dump(
        &self,
        request: Request<plan::DumpRequest>,
    ) -> Reply<Self::SchedDumpStream> {
        traced!("dump", request, dump::dump(&self.0, request))
    }
}

#[tonic::async_trait]
impl Join for Service {
    async fn join(&self, request: Request<node::JoinRequest>) -> Reply<node::JoinReply> {
        traced!("join", request, member::join(&self.0, request))
    }
}

#[tonic::async_trait]
impl Node for Service {
    type AttachStream =
        Pin<Box<dyn Stream<Item = Result<node::LeaderMessage, Status>> + Send + 'static>>;

    async fn attach(
        &self,
        request: Request<Streaming<node::NodeMessage>>,
    ) -> Reply<Self::AttachStream> {
        let orders = nodes::attach(Arc::clone(&self.0), request).await?;
        Ok(Response::new(Box::pin(orders)))
    }

    async fn vouch(&self, request: Request<node::VouchRequest>) -> Reply<node::VouchReply> {
        traced!("vouch", request, member::vouch(&self.0, request))
    }

    async fn renew(&self, request: Request<node::RenewRequest>) -> Reply<node::RenewReply> {
        traced!("renew", request, member::renew(&self.0, request))
    }

    async fn fetch(&self, request: Request<node::FetchRequest>) -> Reply<node::FetchReply> {
        traced!("fetch", request, member::fetch(&self.0, request))
    }
}
