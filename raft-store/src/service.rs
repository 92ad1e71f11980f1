//! The answering side: what the other controllers ask of this one.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{Stream, StreamExt as _, stream};
use openraft::ReadPolicy;
use proto::raft::{self as pb, raft_server, snapshot_part::Part};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use trust::gate;

use crate::{
    Identity, haste::Doubts, members::membership, network::MESSAGE_LIMIT, read::Reads,
    transfer::Receiver, types::Raft, wire,
};

/// The service of one log, for [`trust::serve::server`].
pub type RaftService = raft_server::RaftServer<Answers>;

/// What answers for the log.
#[derive(Clone)]
pub struct Answers {
    own: Arc<Identity>,
    raft: Raft,
    receiver: Receiver,
    doubts: Doubts,
    reads: Reads,
}

pub(crate) fn service(
    own: Arc<Identity>,
    raft: Raft,
    (receiver, doubts, reads): (Receiver, Doubts, Reads),
) -> RaftService {
    raft_server::RaftServer::new(Answers { own, raft, receiver, doubts, reads })
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Answers {
    /// Refuses what is not meant for this store, or comes from somebody else than it says.
    fn check(&self, caller: Option<&str>, route: Option<&pb::Route>) -> Result<(), Status> {
        let route = route.ok_or_else(|| Status::invalid_argument("`route` is missing"))?;
        let caller = caller.ok_or_else(|| Status::permission_denied("only controllers may"))?;
        if route.cluster.as_ref() != self.own.cluster.0 {
            return Err(Status::failed_precondition(format!(
                "controller {} is in another cluster than {caller}",
                self.own.name
            )));
        }
        if route.to != self.own.raft_id {
            return Err(Status::failed_precondition(format!(
                "controller {} has number {} here, not {}: its store was made anew",
                self.own.name, self.own.raft_id, route.to
            )));
        }
        // A follower that is behind may not know the newest members yet.
        let members = membership(&self.raft);
        match members.membership().get_node(&route.from) {
            Some(peer) if peer.name != caller => Err(Status::permission_denied(format!(
                "number {} is controller {}, not {caller}",
                route.from, peer.name
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn checked<T>(
        &self,
        request: Request<T>,
        route: impl FnOnce(&T) -> Option<&pb::Route>,
    ) -> Result<T, Status> {
        let caller = gate::caller(&request)?.clone();
        let message = request.into_inner();
        self.check(caller.controller(), route(&message))?;
        Ok(message)
    }
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("the log has stopped: {error}"))
}

#[tonic::async_trait]
impl raft_server::Raft for Answers {
    type AppendStream = Replies<pb::AppendReply>;
    type SnapshotStream = Replies<pb::SnapshotReply>;

    async fn greet(
        &self,
        request: Request<pb::GreetRequest>,
    ) -> Result<Response<pb::GreetReply>, Status> {
        let message = self.checked(request, |message| message.route.as_ref())?;
        let from = message.route.map_or(0, |route| route.from);
        let members = membership(&self.raft);
        let members = members.membership();
        let stranger = members.nodes().next().is_some() && members.get_node(&from).is_none();
        Ok(Response::new(pb::GreetReply { stranger }))
    }

    async fn append(
        &self,
        request: Request<Streaming<pb::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let caller = gate::caller(&request)?.controller().map(str::to_owned);
        let broken = Arc::new(AtomicBool::new(false));
        let (answers, mark) = (self.clone(), Arc::clone(&broken));
        let mut stream = self.doubts.stream();
        // The stream ends at the first message that is not right: openraft takes no errors here.
        let requests = request.into_inner().scan((), move |(), message| {
            let message = message.and_then(|message| {
                answers.check(caller.as_deref(), message.route.as_ref())?;
                stream.comes_from(message.route.as_ref().map_or(0, |route| route.from));
                wire::to_append(message)
            });
            if let Err(status) = &message {
                tracing::debug!("a stream of entries ends: {status}");
                mark.store(true, Ordering::Relaxed);
            }
            futures::future::ready(message.ok())
        });
        let replies = self.raft.stream_append(requests).map(|reply| match reply {
            Ok(appended) => Ok(wire::from_appended(&appended)),
            Err(error) => Err(stopped(error)),
        });
        let end = stream::once(async move { broken.load(Ordering::Relaxed) });
        let end = end.filter_map(|broken| {
            let status = Status::failed_precondition("the request was not meant for this log");
            futures::future::ready(broken.then_some(Err(status)))
        });
        Ok(Response::new(Box::pin(replies.chain(end))))
    }

    async fn heartbeat(
        &self,
        request: Request<pb::AppendRequest>,
    ) -> Result<Response<pb::AppendReply>, Status> {
        let message = self.checked(request, |message| message.route.as_ref())?;
        let request = wire::to_append(message)?;
        let (previous, last) = (request.prev_log_id, request.entries.last().map(|e| e.log_id));
        let reply = self.raft.append_entries(request).await.map_err(stopped)?;
        let appended = reply.into_stream_result(previous, last.or(previous));
        Ok(Response::new(wire::from_appended(&appended)))
    }

    async fn vote(
        &self,
        request: Request<pb::VoteRequest>,
    ) -> Result<Response<pb::VoteReply>, Status> {
        let message = self.checked(request, |message| message.route.as_ref())?;
        let reply = self.raft.vote(wire::to_vote_request(message)?).await.map_err(stopped)?;
        Ok(Response::new(wire::from_vote_reply(&reply)))
    }

    async fn pre_vote(
        &self,
        request: Request<pb::VoteRequest>,
    ) -> Result<Response<pb::VoteReply>, Status> {
        let message = self.checked(request, |message| message.route.as_ref())?;
        let reply = self.raft.pre_vote(wire::to_vote_request(message)?).await.map_err(stopped)?;
        Ok(Response::new(wire::from_vote_reply(&reply)))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::TransferLeaderReply>, Status> {
        let message = self.checked(request, |message| message.route.as_ref())?;
        let request = wire::to_transfer(message)?;
        let reply = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(Response::new(wire::from_transferred(&reply)))
    }

    async fn read_index(
        &self,
        request: Request<pb::ReadIndexRequest>,
    ) -> Result<Response<pb::ReadIndexReply>, Status> {
        self.checked(request, |message| message.route.as_ref())?;
        let read = self.raft.get_read_log_id(ReadPolicy::ReadIndex).await;
        let (id, _) = read.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(pb::ReadIndexReply { index: id.log_id().index }))
    }

    /// Whoever asks may have a number that is none of ours any more, or know our store by an
    /// earlier one: that is what the question is about.
    async fn muster(
        &self,
        request: Request<pb::MusterRequest>,
    ) -> Result<Response<pb::MusterReply>, Status> {
        let pb::MusterRequest { cluster, raft_id } = request.into_inner();
        if cluster.as_ref() != self.own.cluster.0 {
            return Err(Status::failed_precondition("another cluster's controller asks"));
        }
        let known = self.reads.barrier().await.ok();
        let member = known.and_then(|applied| {
            let members = membership(&self.raft);
            let in_raft = members.membership().get_node(&raft_id).is_some();
            let mut controllers = applied.state.controllers.values();
            let told = !applied.state.controllers.is_empty();
            told.then(|| in_raft || controllers.any(|known| known.raft_id == raft_id))
        });
        Ok(Response::new(pb::MusterReply { member }))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotPart>>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let caller = gate::caller(&request)?.controller().map(str::to_owned);
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|part| part.part);
        let Some(Part::Head(head)) = first else {
            return Err(Status::invalid_argument("a snapshot begins with its head"));
        };
        self.check(caller.as_deref(), head.route.as_ref())?;
        let replies = self.receiver.clone().start(head, parts);
        Ok(Response::new(Box::pin(ReceiverStream::new(replies))))
    }
}
