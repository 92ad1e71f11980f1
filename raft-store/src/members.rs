//! Who takes part.
//!
//! **Invariant:** a number names one store for ever. A controller that lost its store comes back
//! under another one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use openraft::{
    ChangeMembers, Instant as _,
    async_runtime::watch::WatchReceiver as _,
    errors::{ClientWriteError, InitializeError, RaftError},
};
use tokio::time::{sleep, timeout};

use crate::{
    Member, MembershipError, Progress,
    log::Shared,
    types::{Peer, Raft, StoredMembership, TypeConfig},
};

/// How far behind one may be who is made a voter, in entries: it is in the next request.
const CLOSE: u64 = 64;

/// How often it is looked at how far it is.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn membership(raft: &Raft) -> std::sync::Arc<StoredMembership> {
    raft.server_metrics().borrow_watched().membership_config.clone()
}

pub(crate) fn members(raft: &Raft) -> Vec<Member> {
    let stored = membership(raft);
    let membership = stored.membership();
    // A change that its leader did not finish leaves two sets of voters: it has yet to be finished.
    let sets = membership.get_joint_config();
    let member = |(id, peer): (&u64, &Peer)| Member {
        name: peer.name.clone(),
        raft_id: *id,
        address: peer.address.clone(),
        voter: !sets.is_empty() && sets.iter().all(|voters| voters.contains(id)),
    };
    membership.nodes().map(member).collect()
}

pub(crate) fn voters(raft: &Raft) -> usize {
    membership(raft).membership().voter_ids().count()
}

pub(crate) fn progress(shared: &Shared) -> Vec<Progress> {
    let metrics = shared.raft.metrics().borrow_watched().clone();
    let Some(replication) = &metrics.replication else {
        return Vec::new();
    };
    let (_, most) = shared.options.election_timeout;
    let heartbeat = metrics.heartbeat.unwrap_or_default();
    let progress = |(id, peer): (&u64, &Peer)| {
        let own = *id == shared.own.raft_id;
        let matched = replication.get(id).copied().flatten().map_or(0, |id| id.index);
        let answered = heartbeat.get(id).cloned().flatten();
        Progress {
            name: peer.name.clone(),
            raft_id: *id,
            matched: if own { metrics.last_log_index.unwrap_or(0) } else { matched },
            reachable: own || answered.is_some_and(|at| at.elapsed() < 2 * most),
        }
    };
    metrics.membership_config.membership().nodes().map(progress).collect()
}

/// Who is best placed to lead next: a voter that answers, and has followed furthest.
pub(crate) fn heir(shared: &Shared) -> Option<u64> {
    let able = heirs(shared).into_iter();
    able.max_by_key(|progress| progress.matched).map(|progress| progress.raft_id)
}

/// The other voters that answer; none where this controller does not lead.
pub(crate) fn heirs(shared: &Shared) -> Vec<Progress> {
    let voters: BTreeSet<u64> = membership(&shared.raft).membership().voter_ids().collect();
    let mut able = progress(shared);
    able.retain(|progress| {
        let other = progress.raft_id != shared.own.raft_id;
        other && progress.reachable && voters.contains(&progress.raft_id)
    });
    able
}

pub(crate) async fn form(shared: &Shared) -> Result<(), MembershipError> {
    let own = Peer { name: shared.own.name.clone(), address: shared.own.address.clone() };
    let members = BTreeMap::from([(shared.own.raft_id, own)]);
    match shared.raft.initialize(members).await {
        // It was formed before.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(MembershipError::Failed { reason: error.to_string() }),
    }
}

/// Lets a controller learn the log, and waits until it has nearly all of it.
pub(crate) async fn learn(
    shared: &Shared,
    raft_id: u64,
    peer: Peer,
) -> Result<(), MembershipError> {
    let known = members(&shared.raft);
    let held = known.iter().find(|member| member.raft_id == raft_id);
    if let Some(held) = held
        && held.name != peer.name
    {
        return Err(MembershipError::Taken { raft_id, name: held.name.clone() });
    }
    let nodes = BTreeMap::from([(raft_id, peer.clone())]);
    match held {
        None => change(&shared.raft, ChangeMembers::AddNodes(nodes)).await?,
        Some(held) if held.address != peer.address => {
            change(&shared.raft, ChangeMembers::SetNodes(nodes)).await?;
        }
        Some(_) => {}
    }
    if held.is_some_and(|member| member.voter) {
        return Ok(());
    }
    let name = peer.name;
    timeout(shared.options.catch_up, caught_up(shared, raft_id))
        .await
        .map_err(|_| MembershipError::Behind { name })?
}

/// Lets a controller that learns count in majorities.
pub(crate) async fn promote(shared: &Shared, raft_id: u64) -> Result<(), MembershipError> {
    if members(&shared.raft).iter().any(|member| member.raft_id == raft_id && member.voter) {
        return Ok(());
    }
    change(&shared.raft, ChangeMembers::AddVoterIds(BTreeSet::from([raft_id]))).await
}

/// Waits until it has nearly all of the log on its disk. One that is not there at all must not
/// become a voter: the next majority could be one that needs it.
async fn caught_up(shared: &Shared, raft_id: u64) -> Result<(), MembershipError> {
    loop {
        {
            let metrics = shared.raft.metrics();
            let metrics = metrics.borrow_watched();
            let replication = metrics.replication.as_ref().ok_or(MembershipError::NotLeader)?;
            let matched = replication.get(&raft_id).copied().flatten();
            let last = metrics.last_log_index.unwrap_or(0);
            if matched.is_some_and(|id| id.index + CLOSE >= last) {
                return Ok(());
            }
        }
        sleep(LOOK).await;
    }
}

pub(crate) async fn dismiss(shared: &Shared, raft_id: u64) -> Result<(), MembershipError> {
    let stored = membership(&shared.raft);
    let membership = stored.membership();
    if membership.get_node(&raft_id).is_none() {
        return Ok(());
    }
    let gone = BTreeSet::from([raft_id]);
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    if !voters.contains(&raft_id) {
        return change(&shared.raft, ChangeMembers::RemoveNodes(gone)).await;
    }
    if voters.len() == 1 {
        return Err(MembershipError::Last);
    }
    change(&shared.raft, ChangeMembers::RemoveVoters(gone)).await
}

async fn change(raft: &Raft, members: ChangeMembers<u64, Peer>) -> Result<(), MembershipError> {
    raft.change_membership(members, false).await.map(drop).map_err(failed)
}

fn failed(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> MembershipError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => MembershipError::NotLeader,
        RaftError::APIError(_) | RaftError::Fatal(_) => {
            MembershipError::Failed { reason: error.to_string() }
        }
    }
}
