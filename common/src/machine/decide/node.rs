//! How nodes come, go, and are managed.

use std::{collections::BTreeSet, sync::Arc};

use super::report::{node_failed, node_taken};
use crate::{
    config::{Config, NodeConf},
    gres::{Gres, count_of},
    id::{JobId, NodeName, UserId},
    job::Job,
    machine::{Event, NodeChange, NodeChanges, NodeTarget, Refusal, State},
    node::{Availability, GresFound, Inventory, Node, NodeReason},
    time::Timestamp,
};

pub(super) fn update(
    state: &State,
    now: Timestamp,
    name: &NodeName,
    changes: NodeChanges,
    by: UserId,
) -> Result<Vec<Event>, Refusal> {
    let node = state.nodes.get(name).ok_or_else(|| Refusal::NoSuchNode(name.clone()))?;
    let (availability, drain) = match changes.target {
        Some(NodeTarget::Resume | NodeTarget::Idle)
            if node.availability == Availability::Unknown && !node.drain =>
        {
            return Err(Refusal::NodeState);
        }
        // A node that works can't be told to idle.
        Some(NodeTarget::Idle) if node.availability == Availability::Up && node.jobs > 0 => {
            return Err(Refusal::NodeState);
        }
        Some(target) => target.standing(node.availability, node.drain),
        None => (node.availability, node.drain),
    };
    let healthy = !drain && !matches!(availability, Availability::Down | Availability::Lost);
    let reason = match changes.reason {
        Some(text) if text.is_empty() => None,
        Some(text) => Some(NodeReason { text, by, at: now }),
        None if healthy => None,
        None => node.reason.clone(),
    };
    let change = NodeChange { availability, drain, reason };
    let mut events = changed(node, change);
    if availability == Availability::Down && node.availability != Availability::Down {
        // Its daemon may well be alive: what runs there is ended by orders, and holds its share
        // of the node until the node has confirmed it.
        events.extend(struck(state, name).into_iter().filter_map(|job| node_taken(job, now)));
    }
    Ok(events)
}

/// The event of a standing that differs from what the node has.
fn changed(node: &Node, change: NodeChange) -> Vec<Event> {
    let NodeChange { availability, drain, reason } = &change;
    if (*availability, *drain, reason) == (node.availability, node.drain, &node.reason) {
        return vec![];
    }
    vec![Event::NodeChanged { node: node.name.clone(), change }]
}

pub(super) fn register(
    state: &State,
    now: Timestamp,
    name: NodeName,
    address: String,
    inventory: Inventory,
) -> Result<Vec<Event>, Refusal> {
    let node = state.nodes.get(&name).ok_or_else(|| Refusal::NoSuchNode(name.clone()))?;
    // A node need not know how others reach it: the configuration does.
    let address = if address.is_empty() { node.address.clone() } else { address };
    let known = node.inventory.as_deref() == Some(&inventory) && node.address == address;
    let mut events = Vec::new();
    let shrank = node.inventory.as_ref().and_then(|before| shrunk(before, &inventory));
    let shrank = shrank.or_else(|| lacks_gres(node, &inventory));
    if !known {
        let inventory = Arc::new(inventory);
        events.push(Event::NodeRegistered { node: name, address, inventory });
    }
    let revives = match node.availability {
        Availability::Up => false,
        Availability::Unknown => true,
        Availability::Lost => state.config.as_ref().is_none_or(|c| c.return_to_service >= 1),
        Availability::Down => state.config.as_ref().is_some_and(|c| c.return_to_service >= 2),
    };
    let availability = if revives { Availability::Up } else { node.availability };
    let (drain, reason) = match shrank {
        Some(text) => (true, Some(NodeReason { text, by: UserId::ROOT, at: now })),
        None if revives && !node.drain => (false, None),
        None => (node.drain, node.reason.clone()),
    };
    events.extend(changed(node, NodeChange { availability, drain, reason }));
    Ok(events)
}

/// What a node has less of than when it last registered. Jobs were given shares of what it had.
fn shrunk(before: &Inventory, after: &Inventory) -> Option<String> {
    // A kernel update moves a machine's total by a few MiB.
    let slack = before.memory_mib / 50;
    if after.cpus < before.cpus {
        Some(format!("Low CPUs: {} of {}", after.cpus, before.cpus))
    } else if after.memory_mib.saturating_add(slack) < before.memory_mib {
        Some(format!("Low RealMemory: {} of {} MiB", after.memory_mib, before.memory_mib))
    } else {
        None
    }
}

/// What a node has less of than its configuration says. One that is drained for it already is not
/// drained again: an operator may have put it back to work all the same.
fn lacks_gres(node: &Node, after: &Inventory) -> Option<String> {
    let found = after.gres.as_ref()?;
    if node.inventory.as_ref().is_some_and(|before| before.gres.as_ref() == Some(found)) {
        return None;
    }
    short_of(&node.gres, found)
}

/// The first generic resource of which less was found than the node should have.
fn short_of(total: &[Gres], found: &[GresFound]) -> Option<String> {
    let count = |name: &str| {
        let named = found.iter().filter(|found| found.name == name);
        named.fold(0_u64, |sum, found| sum.saturating_add(found.count))
    };
    total.iter().find_map(|gres| {
        let (there, wanted) = (count(&gres.name), count_of(total, &gres.name));
        let text = "count reported lower than configured";
        (there < wanted).then(|| format!("gres/{} {text} ({there} < {wanted})", gres.name))
    })
}

/// Drains the nodes that have less than the configuration promises, and had enough before it.
pub(super) fn lacking_from_now(state: &State, now: Timestamp, config: &Config) -> Vec<Event> {
    let lacking = |conf: &NodeConf| {
        let node = state.nodes.get(&NodeName::from(conf.name.as_str()))?;
        let found = node.inventory.as_ref()?.gres.as_ref()?;
        if short_of(&node.gres, found).is_some() {
            return None;
        }
        let text = short_of(&conf.gres_total(), found)?;
        let reason = Some(NodeReason { text, by: UserId::ROOT, at: now });
        let change = NodeChange { availability: node.availability, drain: true, reason };
        Some(Event::NodeChanged { node: node.name.clone(), change })
    };
    config.nodes.iter().filter_map(lacking).collect()
}

/// The node was silent for too long: what ran on it has failed, for all that anybody knows.
///
/// The node itself is out of use from here on, so nothing of what these jobs held is given to
/// others before it has come back and listed what it runs.
pub(super) fn lose(state: &State, now: Timestamp, name: &NodeName) -> Result<Vec<Event>, Refusal> {
    let node = state.nodes.get(name).ok_or_else(|| Refusal::NoSuchNode(name.clone()))?;
    let mut events = match node.availability {
        Availability::Unknown | Availability::Lost => return Ok(vec![]),
        Availability::Down => vec![],
        Availability::Up => {
            let text = "Not responding".to_owned();
            let reason = NodeReason { text, by: UserId::ROOT, at: now };
            let reason = node.reason.clone().or(Some(reason));
            changed(
                node,
                NodeChange { availability: Availability::Lost, drain: node.drain, reason },
            )
        }
    };
    for job in struck(state, name) {
        let here = job.holding().is_some_and(|run| run.batch_host() == name);
        events.extend(if here { Some(node_failed(job, now)) } else { node_taken(job, now) });
    }
    Ok(events)
}

/// The jobs that the loss of a node strikes: of a heterogeneous job, whichever component had it,
/// its leader.
fn struck<'a>(state: &'a State, name: &NodeName) -> Vec<&'a Job> {
    let job = |id: JobId| {
        let job = state.jobs.get(&id).expect("check: a job that holds a node is there");
        job.as_ref()
    };
    let held = state.holding.get(name).into_iter().flatten();
    let jobs: BTreeSet<JobId> = held.map(|id| job(*id).led_by().unwrap_or(*id)).collect();
    jobs.into_iter().map(job).collect()
}
