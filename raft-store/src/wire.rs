//! Raft's words as messages, and back.

use std::collections::BTreeMap;

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, TransferLeaderError, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};
use proto::raft as pb;
use tonic::Status;

use crate::types::{
    Batch, Entry, LogId, Membership, Payload, Peer, StoredMembership, TypeConfig, Vote, log_id,
    membership, term_of, vote,
};

/// What a stream of appends is answered, one by one.
pub(crate) type Appended = Result<Option<LogId>, StreamAppendError<TypeConfig>>;

fn missing(what: &str) -> Status {
    Status::invalid_argument(format!("`{what}` is missing or wrong"))
}

pub(crate) fn from_log_id(id: &LogId) -> pb::LogId {
    pb::LogId { term: term_of(id), index: id.index }
}

pub(crate) fn to_log_id(id: pb::LogId) -> LogId {
    log_id(id.term, id.index)
}

pub(crate) fn from_vote(vote: &Vote) -> pb::Vote {
    let Vote { leader_id, committed } = *vote;
    pb::Vote { term: leader_id.term, candidate: leader_id.voted_for, committed }
}

pub(crate) fn to_vote(wire: Option<pb::Vote>) -> Result<Vote, Status> {
    let pb::Vote { term, candidate, committed } = wire.ok_or_else(|| missing("vote"))?;
    Ok(vote(term, candidate, committed))
}

fn from_membership(membership: &Membership) -> pb::Membership {
    let configs = membership.get_joint_config().iter().map(|voters| {
        let raft_ids = voters.iter().copied().collect();
        pb::Voters { raft_ids }
    });
    let peers = membership.nodes().map(|(id, peer)| {
        let Peer { name, address } = peer.clone();
        (*id, pb::Peer { name, address })
    });
    pb::Membership { configs: configs.collect(), peers: peers.collect() }
}

fn to_membership(wire: pb::Membership) -> Result<Membership, Status> {
    let configs = wire.configs.into_iter().map(|voters| voters.raft_ids).collect();
    let peers = wire.peers.into_iter().map(|(id, peer)| {
        let pb::Peer { name, address } = peer;
        (id, Peer { name, address })
    });
    let peers: BTreeMap<u64, Peer> = peers.collect();
    membership(configs, peers).map_err(Status::invalid_argument)
}

pub(crate) fn from_stored(stored: &StoredMembership) -> pb::StoredMembership {
    pb::StoredMembership {
        id: stored.log_id().as_ref().map(from_log_id),
        membership: Some(from_membership(stored.membership())),
    }
}

pub(crate) fn to_stored(wire: Option<pb::StoredMembership>) -> Result<StoredMembership, Status> {
    let pb::StoredMembership { id, membership } = wire.ok_or_else(|| missing("membership"))?;
    let membership = to_membership(membership.ok_or_else(|| missing("membership"))?)?;
    Ok(StoredMembership::new(id.map(to_log_id), membership))
}

fn from_entry(entry: Entry) -> pb::Entry {
    use pb::entry::Payload as Wire;
    let payload = match entry.payload {
        Payload::Blank => Wire::Blank(pb::Blank {}),
        Payload::Normal(Batch(bytes)) => Wire::Batch(bytes),
        Payload::Membership(membership) => Wire::Membership(from_membership(&membership)),
    };
    pb::Entry { id: Some(from_log_id(&entry.log_id)), payload: Some(payload) }
}

fn to_entry(wire: pb::Entry) -> Result<Entry, Status> {
    use pb::entry::Payload as Wire;
    let payload = match wire.payload.ok_or_else(|| missing("payload"))? {
        Wire::Blank(pb::Blank {}) => Payload::Blank,
        Wire::Batch(bytes) => Payload::Normal(Batch(bytes)),
        Wire::Membership(membership) => Payload::Membership(to_membership(membership)?),
    };
    let log_id = to_log_id(wire.id.ok_or_else(|| missing("id"))?);
    Ok(Entry { log_id, payload })
}

pub(crate) fn from_append(
    route: pb::Route,
    request: AppendEntriesRequest<TypeConfig>,
) -> pb::AppendRequest {
    pb::AppendRequest {
        route: Some(route),
        vote: Some(from_vote(&request.vote)),
        previous: request.prev_log_id.as_ref().map(from_log_id),
        entries: request.entries.into_iter().map(from_entry).collect(),
        committed: request.leader_commit.as_ref().map(from_log_id),
    }
}

pub(crate) fn to_append(
    wire: pb::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
    Ok(AppendEntriesRequest {
        vote: to_vote(wire.vote)?,
        prev_log_id: wire.previous.map(to_log_id),
        entries: wire.entries.into_iter().map(to_entry).collect::<Result<_, _>>()?,
        leader_commit: wire.committed.map(to_log_id),
    })
}

pub(crate) fn from_appended(appended: &Appended) -> pb::AppendReply {
    use pb::append_reply::Outcome;
    let outcome = match appended {
        Ok(id) => Outcome::Accepted(pb::Accepted { id: id.as_ref().map(from_log_id) }),
        Err(StreamAppendError::Conflict(id)) => Outcome::Conflict(from_log_id(id)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::Higher(from_vote(vote)),
    };
    pb::AppendReply { outcome: Some(outcome) }
}

pub(crate) fn to_appended(wire: pb::AppendReply) -> Result<Appended, Status> {
    use pb::append_reply::Outcome;
    Ok(match wire.outcome.ok_or_else(|| missing("outcome"))? {
        Outcome::Accepted(pb::Accepted { id }) => Ok(id.map(to_log_id)),
        Outcome::Conflict(id) => Err(StreamAppendError::Conflict(to_log_id(id))),
        Outcome::Higher(vote) => Err(StreamAppendError::HigherVote(to_vote(Some(vote))?)),
    })
}

pub(crate) fn from_vote_request(
    route: pb::Route,
    request: &VoteRequest<TypeConfig>,
) -> pb::VoteRequest {
    pb::VoteRequest {
        route: Some(route),
        vote: Some(from_vote(&request.vote)),
        last: request.last_log_id.as_ref().map(from_log_id),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn to_vote_request(wire: pb::VoteRequest) -> Result<VoteRequest<TypeConfig>, Status> {
    let mut request = VoteRequest::new(to_vote(wire.vote)?, wire.last.map(to_log_id));
    request.leadership_transfer = wire.leadership_transfer;
    Ok(request)
}

pub(crate) fn from_vote_reply(reply: &VoteResponse<TypeConfig>) -> pb::VoteReply {
    pb::VoteReply {
        vote: Some(from_vote(&reply.vote)),
        granted: reply.vote_granted,
        last: reply.last_log_id.as_ref().map(from_log_id),
    }
}

pub(crate) fn to_vote_reply(wire: pb::VoteReply) -> Result<VoteResponse<TypeConfig>, Status> {
    let vote = to_vote(wire.vote)?;
    Ok(VoteResponse::new(vote, wire.last.map(to_log_id), wire.granted))
}

pub(crate) fn from_transfer(
    route: pb::Route,
    request: &TransferLeaderRequest<TypeConfig>,
) -> pb::TransferLeaderRequest {
    pb::TransferLeaderRequest {
        route: Some(route),
        leader: Some(from_vote(request.from_leader())),
        heir: *request.to_node_id(),
        last: request.last_log_id().map(from_log_id),
    }
}

pub(crate) fn to_transfer(
    wire: pb::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, Status> {
    let leader = to_vote(wire.leader)?;
    Ok(TransferLeaderRequest::new(leader, wire.heir, wire.last.map(to_log_id)))
}

pub(crate) fn from_transferred(
    reply: &Result<(), TransferLeaderError<TypeConfig>>,
) -> pb::TransferLeaderReply {
    use pb::transfer_leader_reply::Refusal;
    let refusal = match reply {
        Ok(()) => None,
        Err(TransferLeaderError::VoteChanged { actual, .. }) => {
            Some(Refusal::VoteChanged(from_vote(actual)))
        }
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            let last = actual.as_ref().map(from_log_id);
            Some(Refusal::NotFlushed(pb::NotFlushed { last }))
        }
    };
    pb::TransferLeaderReply { refusal }
}

pub(crate) fn to_transferred(
    wire: pb::TransferLeaderReply,
    request: &TransferLeaderRequest<TypeConfig>,
) -> Result<Result<(), TransferLeaderError<TypeConfig>>, Status> {
    use pb::transfer_leader_reply::Refusal;
    Ok(match wire.refusal {
        None => Ok(()),
        Some(Refusal::VoteChanged(actual)) => Err(TransferLeaderError::VoteChanged {
            expected: *request.from_leader(),
            actual: to_vote(Some(actual))?,
        }),
        Some(Refusal::NotFlushed(pb::NotFlushed { last })) => {
            Err(TransferLeaderError::LogNotFlushed {
                expected: request.last_log_id().copied(),
                actual: last.map(to_log_id),
            })
        }
    })
}
