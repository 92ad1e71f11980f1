//! The cluster itself: its forming, its configuration, its members, its tokens.

use std::sync::Arc;

use bytes::Bytes;

use super::node;
use crate::{
    config::Config,
    cpus::Grain,
    id::{ClusterId, ContentHash, ControllerName, JobId, UserId},
    job::{HetPart, MAX_ARRAY_SIZE, Phase},
    machine::{Event, FORMAT, Refusal, State, TokenRole},
    time::Timestamp,
};

pub(super) fn form(
    state: &State,
    cluster: ClusterId,
    operator: UserId,
    config: Arc<Config>,
) -> Result<Vec<Event>, Refusal> {
    if state.cluster.is_some() {
        return Err(Refusal::AlreadyFormed);
    }
    Ok(vec![
        Event::ClusterFormed { cluster, operator },
        Event::FormatRaised { format: FORMAT },
        Event::ConfigSet { config },
    ])
}

/// A node that leaves the configuration must be empty: what its jobs hold would have no books.
pub(super) fn set_config(
    state: &State,
    now: Timestamp,
    config: Arc<Config>,
) -> Result<Vec<Event>, Refusal> {
    let config = readable(state, config);
    if state.config.as_ref() == Some(&config) {
        return Ok(vec![]);
    }
    if state.config.as_ref().is_some_and(|old| old.cluster_name != config.cluster_name) {
        return Err(Refusal::Config("ClusterName of a formed cluster can't change".into()));
    }
    // A controller that does not know a key would keep another configuration than the others.
    if state.format < config.format() {
        return Err(Refusal::Format("keys that this release is the first to honour"));
    }
    for (name, node) in &state.nodes {
        let stays = config.nodes.iter().any(|conf| conf.name == name.as_str());
        if !stays && node.jobs > 0 {
            return Err(Refusal::Config(format!("node {name} has jobs and would vanish")));
        }
    }
    let lacking = node::lacking_from_now(state, now, &config);
    Ok(std::iter::once(Event::ConfigSet { config }).chain(lacking).collect())
}

/// The configuration without what not all controllers would read of it: they would not have the
/// same from then on.
fn readable(state: &State, config: Arc<Config>) -> Arc<Config> {
    if state.format >= 2 {
        return config;
    }
    let mut config = Arc::unwrap_or_clone(config);
    config.max_array_size = MAX_ARRAY_SIZE;
    config.kill_invalid_depend = false;
    config.gres_types.clear();
    config.licenses.clear();
    config.grain = Grain::Cpu;
    config.nodes.iter_mut().for_each(|node| node.gres.clear());
    config.partitions.iter_mut().for_each(|partition| partition.billing_weights.clear());
    Arc::new(config)
}

pub(super) fn raise_format(state: &State, format: u32) -> Vec<Event> {
    if format <= state.format {
        return vec![];
    }
    let raised = Event::FormatRaised { format };
    #[cfg(feature = "next-event")]
    let raised = [raised, Event::Noted { text: "what only the next release says".to_owned() }];
    #[cfg(not(feature = "next-event"))]
    let raised = [raised];
    raised.into()
}

/// A name that another store has can't be taken over: that store might come back, and vote.
pub(super) fn join(
    state: &State,
    controller: ControllerName,
    raft_id: u64,
    address: String,
) -> Result<Vec<Event>, Refusal> {
    match state.controllers.get(&controller) {
        Some(known) if known.raft_id != raft_id => {
            Err(Refusal::ControllerKnown(controller.to_string()))
        }
        Some(known) if known.address == address => Ok(vec![]),
        Some(_) | None => Ok(vec![Event::ControllerJoined { controller, raft_id, address }]),
    }
}

/// The last controller stays: without it there would be nobody to ask.
pub(super) fn leave(state: &State, controller: ControllerName) -> Result<Vec<Event>, Refusal> {
    if !state.controllers.contains_key(&controller) {
        return Err(Refusal::NoSuchController(controller.to_string()));
    }
    if state.controllers.len() == 1 {
        return Err(Refusal::LastController(controller.to_string()));
    }
    Ok(vec![Event::ControllerLeft { controller }])
}

/// One at a time: who trusts whom must be settled before it changes again.
pub(super) fn bring_authority(
    state: &State,
    signing: Bytes,
    coming: Bytes,
) -> Result<Vec<Event>, Refusal> {
    if state.authorities.as_ref().is_some_and(|known| known.next().is_some()) {
        return Err(Refusal::AuthorityChanging);
    }
    Ok(vec![Event::AuthoritiesSet { signing, coming: Some(coming), going: None }])
}

pub(super) fn step_authorities(state: &State, since: Timestamp) -> Vec<Event> {
    let known = state.authorities.as_ref().filter(|known| known.since == since);
    let next = known.and_then(|known| known.next());
    let set = |(signing, going)| Event::AuthoritiesSet { signing, coming: None, going };
    next.map(set).into_iter().collect()
}

pub(super) fn spend_token(
    state: &State,
    now: Timestamp,
    secret: ContentHash,
    role: TokenRole,
    name: &str,
) -> Result<Vec<Event>, Refusal> {
    let token = state.tokens.get(&secret).ok_or(Refusal::Token)?;
    if token.role != role || token.name != name || token.expires <= now {
        return Err(Refusal::Token);
    }
    Ok(vec![Event::TokenSpent { secret }])
}

pub(super) fn expire_token(state: &State, now: Timestamp, secret: ContentHash) -> Vec<Event> {
    match state.tokens.get(&secret) {
        Some(token) if token.expires <= now => vec![Event::TokenSpent { secret }],
        Some(_) | None => vec![],
    }
}

/// Ended jobs leave the live state, and those with them that they led. What came back to life
/// meanwhile stays.
pub(super) fn forget(state: &State, jobs: Vec<JobId>) -> Vec<Event> {
    let ended = |job: &JobId| {
        state.jobs.get(job).is_some_and(|job| matches!(job.phase, Phase::Ended { .. }))
    };
    let all = |job: JobId| {
        let part = state.jobs.get(&job).and_then(|job| job.het());
        let led = part.into_iter().flat_map(HetPart::led);
        std::iter::once(job).chain(led)
    };
    let own = jobs.into_iter().filter(|job| !state.jobs.get(job).is_some_and(|job| job.is_led()));
    own.flat_map(all).filter(ended).map(|job| Event::JobForgotten { job }).collect()
}
