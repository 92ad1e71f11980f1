//! What people ask to see.
//!
//! Any controller answers, and never from a state that misses what was acknowledged before the
//! question, unless the question says that this may be.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
};

use common::{
    config::{Config, PartitionConf},
    id::{JobId, NodeName, PartitionName},
    machine::{FORMAT, Refusal, State},
    planted::{Bug, planted},
    reservation::Flag,
    time::Timestamp,
};
use futures::Stream;
use proto::{convert::state_digest, ctl as wire};
use raft_store::Applied;
use sched::Ranks;
use tonic::{Request, Status};
use trust::controllers::not_leader;

use super::status::{operator_in, refused, unavailable, user};
use crate::{
    clock,
    shared::Shared,
    views::{Filter, Viewer, completing, node_word},
};

/// Jobs in one message: some 100 KiB.
const PAGE: usize = 1_000;

pub(super) type Pages = Pin<Box<dyn Stream<Item = Result<wire::JobsReply, Status>> + Send>>;

pub(super) async fn state(shared: &Shared, stale_ok: bool) -> Result<Arc<Applied>, Status> {
    if stale_ok || planted(Bug::StaleReads) {
        return Ok(shared.log.applied());
    }
    shared.log.read_barrier().await.map_err(|error| unavailable(&error))
}

fn config(applied: &Applied) -> Result<Arc<Config>, Status> {
    let formed = applied.state.config.clone();
    formed.ok_or_else(|| Status::unavailable("the cluster has no configuration yet"))
}

/// The queue, page by page: each is made when the last one has been taken, so that a large queue
/// never stands in memory as messages.
pub(super) async fn jobs(
    shared: &Shared,
    request: Request<wire::JobsRequest>,
) -> Result<Pages, Status> {
    let request = request.into_inner();
    let wire::JobsRequest { jobs, users, partitions, stale_ok, whole, skip_hidden } = request;
    let applied = state(shared, stale_ok).await?;
    let config = config(&applied)?;
    let now = clock::now();
    let waits = shared.reasons.waits(&applied.state, now);
    let filter = Filter {
        jobs: jobs.into_iter().map(JobId).collect(),
        users,
        partitions: partitions.into_iter().map(PartitionName::from).collect(),
        skipped: if skip_hidden { hidden(&config) } else { vec![] },
    };
    let ranks = Ranks::of(&applied.state, now).map(Mutex::new);
    let pages = futures::stream::unfold(Some(JobId(0)), move |from| {
        let page = from.map(|from| {
            let state = &applied.state;
            let ranks = ranks.as_ref();
            let viewer = Viewer { state, config: &config, waits: &waits, now, whole, ranks };
            let (jobs, next) = viewer.page(&filter, from, PAGE);
            let now = if from == JobId(0) { now.0 } else { 0 };
            (Ok(wire::JobsReply { jobs, now }), next)
        });
        std::future::ready(page)
    });
    Ok(Box::pin(pages))
}

fn hidden(config: &Config) -> Vec<PartitionName> {
    let hidden = config.partitions.iter().filter(|partition| partition.hidden);
    hidden.map(|partition| PartitionName::from(partition.name.as_str())).collect()
}

pub(super) async fn batch_script(
    shared: &Shared,
    request: Request<wire::BatchScriptRequest>,
) -> Result<wire::BatchScriptReply, Status> {
    let (user, _) = user(&request)?;
    let job = JobId(request.into_inner().job);
    let applied = state(shared, false).await?;
    let found = applied.state.jobs.get(&job);
    let found = found.ok_or_else(|| refused(&Refusal::NoSuchJob(job)))?;
    if found.spec.user != user && !applied.state.is_operator(user) {
        return Err(refused(&Refusal::NotOperator));
    }
    let script = super::member::blob(shared, found.spec.script).await?;
    Ok(wire::BatchScriptReply { script })
}

/// Nodes speak to the leader alone, which knows their load and their silence: so it is the one to
/// answer, unless anything will do.
pub(super) async fn nodes(
    shared: &Shared,
    request: Request<wire::NodesRequest>,
) -> Result<wire::NodesReply, Status> {
    let stale_ok = request.into_inner().stale_ok;
    let leadership = shared.log.leadership().borrow().clone();
    if !leadership.ready && !stale_ok {
        return Err(not_leader(leadership.leader.as_deref()));
    }
    let applied = state(shared, stale_ok).await?;
    let config = config(&applied)?;
    let now = clock::now();
    let held = reserved(&applied.state, now);
    let view = |conf: &common::config::NodeConf| {
        let name = NodeName::from(conf.name.as_str());
        let node = applied.state.nodes.get(&name)?;
        let pulse = shared.nodes.pulse(&name);
        Some(wire::NodeView {
            node: Some(node.as_ref().into()),
            silent: shared.nodes.is_silent(node, &config),
            completing_jobs: completing(&applied.state, &name),
            cpu_load: pulse.map(|pulse| pulse.cpu_load),
            free_memory_mib: pulse.map(|pulse| pulse.free_memory_mib),
            conf: Some(conf.into()),
            reservation: held.get(&name).map(|(one, _)| (*one).to_owned()),
            maintenance: held.get(&name).is_some_and(|(_, maintenance)| *maintenance),
        })
    };
    Ok(wire::NodesReply {
        now: now.0,
        nodes: config.nodes.iter().filter_map(view).collect(),
        partitions: config.partitions.iter().map(|conf| shown(&config, conf)).collect(),
    })
}

/// The reservation that holds each node now, and whether one of those is for maintenance.
fn reserved(state: &State, now: Timestamp) -> BTreeMap<&NodeName, (&str, bool)> {
    let mut held = BTreeMap::new();
    for one in state.reservations.iter().filter(|one| one.holds(now)) {
        for node in &one.nodes {
            let (_, maintenance) = held.entry(node).or_insert((one.name.as_str(), false));
            *maintenance |= one.flags.has(Flag::Maint);
        }
    }
    held
}

/// The partition with the mode of preemption that holds in it, where there is such a thing.
fn shown(config: &Config, conf: &PartitionConf) -> proto::config::Partition {
    let mode = conf.preempt_mode.or(config.preemption.is_on().then_some(config.preemption.mode));
    (&PartitionConf { preempt_mode: mode, ..conf.clone() }).into()
}

pub(super) async fn config_reply(
    shared: &Shared,
    request: Request<wire::ConfigRequest>,
) -> Result<wire::ConfigReply, Status> {
    let applied = state(shared, request.into_inner().stale_ok).await?;
    let config = config(&applied)?;
    Ok(wire::ConfigReply {
        now: clock::now().0,
        config: Some(config.as_ref().into()),
        booted: shared.started.0,
        next_job: applied.state.next_job.max(config.first_job_id),
        licenses_used: applied.state.licenses.clone().into_iter().collect(),
    })
}

pub(super) fn ping(shared: &Shared) -> wire::PingReply {
    let leadership = shared.log.leadership().borrow().clone();
    wire::PingReply {
        name: shared.identity.name.clone(),
        leader: leadership.ready,
        leader_name: leadership.leader.unwrap_or_default(),
        format: FORMAT,
    }
}

/// What the state of this controller comes to, however far it has followed the log.
pub(super) async fn digest(
    shared: &Shared,
    request: Request<wire::DigestRequest>,
) -> Result<wire::DigestReply, Status> {
    let (user, _) = user(&request)?;
    let applied = shared.log.applied();
    operator_in(&applied.state, user)?;
    let (name, index) = (shared.identity.name.clone(), applied.index);
    let digest = tokio::task::spawn_blocking(move || state_digest(&applied.state)).await;
    let digest = digest.map_err(|error| Status::internal(error.to_string()))?;
    Ok(wire::DigestReply { name, index, digest: digest.0.to_vec().into() })
}

/// Only the leader knows how far the others have followed, so it is the one to answer, unless
/// anything will do.
pub(super) async fn status(
    shared: &Shared,
    request: Request<wire::StatusRequest>,
) -> Result<wire::StatusReply, Status> {
    let stale_ok = request.into_inner().stale_ok;
    let leadership = shared.log.leadership().borrow().clone();
    if !leadership.ready && !stale_ok {
        return Err(not_leader(leadership.leader.as_deref()));
    }
    let applied = state(shared, stale_ok).await?;
    let state = &applied.state;
    let config = state.config.clone();
    let node = |node: &Arc<common::node::Node>| {
        let silent = config.as_ref().is_some_and(|c| shared.nodes.is_silent(node, c));
        let state = node_word(node, completing(state, &node.name), silent);
        wire::NodeStatus { name: node.name.to_string(), state }
    };
    let pending = state.jobs.values().filter(|job| job.is_pending()).count();
    let running = state.jobs.values().filter(|job| job.holding().is_some()).count();
    Ok(wire::StatusReply {
        cluster: config.as_ref().map(|config| config.cluster_name.clone()).unwrap_or_default(),
        cluster_id: shared.identity.cluster.to_string(),
        leader: leadership.leader.clone().unwrap_or_default(),
        term: leadership.term,
        controllers: controllers(shared, &applied, leadership.leader.as_deref()),
        nodes: state.nodes.values().map(node).collect(),
        jobs_pending: u32::try_from(pending).unwrap_or(u32::MAX),
        jobs_running: u32::try_from(running).unwrap_or(u32::MAX),
    })
}

fn controllers(
    shared: &Shared,
    applied: &Applied,
    leader: Option<&str>,
) -> Vec<wire::ControllerStatus> {
    let (members, progress) = (shared.log.members(), shared.log.progress());
    let last = progress.iter().map(|progress| progress.matched).max();
    let last = last.unwrap_or(applied.index).max(applied.index);
    let controller =
        |(name, known): (&common::id::ControllerName, &common::machine::Controller)| {
            let own = known.raft_id == shared.identity.raft_id;
            let followed = progress.iter().find(|progress| progress.raft_id == known.raft_id);
            let voter =
                members.iter().any(|member| member.raft_id == known.raft_id && member.voter);
            let role = if leader == Some(name.as_str()) {
                "leader"
            } else if !own && followed.is_none_or(|followed| !followed.reachable) {
                "unreachable"
            } else if voter {
                "follower"
            } else {
                "learner"
            };
            let index = if own { applied.index } else { followed.map_or(0, |known| known.matched) };
            wire::ControllerStatus {
                name: name.to_string(),
                address: known.address.clone(),
                role: role.to_owned(),
                applied: index,
                lag: last.saturating_sub(index),
            }
        };
    let leaving = members.iter().filter(|member| {
        let mut wanted = applied.state.controllers.values();
        wanted.all(|known| known.raft_id != member.raft_id)
    });
    let leaving = leaving.map(|member| wire::ControllerStatus {
        name: member.name.clone(),
        address: member.address.clone(),
        role: "leaving".to_owned(),
        applied: 0,
        lag: 0,
    });
    // At the forming of a cluster its first member is not in the log yet.
    let leaving = leaving.filter(|_| !applied.state.controllers.is_empty());
    applied.state.controllers.iter().map(controller).chain(leaving).collect()
}
