//! Events in words: what `rafter events` shows.

use common::{
    hostlist::Hostlist,
    id::{JobId, NodeName},
    job::{End, EndState, Hold, Place, Requeue},
    machine::{Event, NodeChange, TokenRole},
    node::Availability,
};

/// An event as people read it, and what programs select by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) text: String,
    pub(crate) kind: &'static str,
    pub(crate) job: Option<JobId>,
    pub(crate) node: Option<String>,
}

/// The event in words; none for those that only serve others.
pub(crate) fn describe(event: &Event) -> Option<Described> {
    let (kind, text) = words(event)?;
    Some(Described { text, kind, job: event.job(), node: node(event).map(ToString::to_string) })
}

fn words(event: &Event) -> Option<(&'static str, String)> {
    Some(match event {
        // A job's own submission says what people want to know of it.
        Event::BlobStored { .. } => return None,
        Event::ClusterFormed { cluster, operator } => {
            ("ClusterFormed", format!("cluster {cluster} was formed by user {operator}"))
        }
        Event::ConfigSet { config } => (
            "ConfigSet",
            format!(
                "configuration of {} was set: {} nodes, {} partitions",
                config.cluster_name,
                config.nodes.len(),
                config.partitions.len()
            ),
        ),
        Event::FormatRaised { format } => {
            ("FormatRaised", format!("all controllers understand events of format {format}"))
        }
        Event::ControllerJoined { controller, raft_id, address } => (
            "ControllerJoined",
            format!("controller {controller} joined at {address} as number {raft_id}"),
        ),
        Event::ControllerLeft { controller } => {
            ("ControllerLeft", format!("controller {controller} was removed"))
        }
        Event::TokenIssued { role, name, .. } => {
            let role = match role {
                TokenRole::Node => "node",
                TokenRole::Controller => "controller",
            };
            ("TokenIssued", format!("a token for {role} {name} was issued"))
        }
        Event::TokenSpent { .. } => ("TokenSpent", "a token was used, or expired".to_owned()),
        Event::NodeRegistered { node, address, inventory } => (
            "NodeRegistered",
            format!(
                "node {node} registered from {address} with {} CPUs and {} MiB",
                inventory.cpus, inventory.memory_mib
            ),
        ),
        Event::NodeChanged { node, change } => ("NodeChanged", standing(node, change)),
        Event::JobSubmitted { .. }
        | Event::JobHeld { .. }
        | Event::JobReleased { .. }
        | Event::JobUpdated { .. }
        | Event::JobAllocated { .. }
        | Event::JobLaunching { .. }
        | Event::JobRunning { .. }
        | Event::JobSignalled { .. }
        | Event::SignalDelivered { .. }
        | Event::JobCompleting { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. }
        | Event::JobForgotten { .. } => return job_words(event),
    })
}

fn job_words(event: &Event) -> Option<(&'static str, String)> {
    Some(match event {
        Event::JobSubmitted { job, spec, .. } => (
            "JobSubmitted",
            format!(
                "job {job} ({}) was submitted by {} to {}",
                spec.name, spec.user_name, spec.partition
            ),
        ),
        Event::JobHeld { job, hold } => {
            let by = if *hold == Hold::Admin { "an operator" } else { "its user" };
            ("JobHeld", format!("job {job} was held by {by}"))
        }
        Event::JobReleased { job, .. } => ("JobReleased", format!("job {job} was released")),
        Event::JobUpdated { job, .. } => ("JobUpdated", format!("job {job} was changed")),
        Event::JobAllocated { job, attempt, places, .. } => {
            ("JobAllocated", format!("job {job} was given {} (run {attempt})", nodes(places)))
        }
        Event::JobLaunching { job, .. } => ("JobLaunching", format!("job {job} is being launched")),
        Event::JobRunning { job, .. } => ("JobRunning", format!("job {job} is running")),
        Event::JobSignalled { job, signal, by, warning, .. } => {
            let why = if *warning { " as it asked for before its time limit" } else { "" };
            ("JobSignalled", format!("signal {signal} is sent to job {job} by user {by}{why}"))
        }
        Event::SignalDelivered { job, number, .. } => {
            ("SignalDelivered", format!("signal number {number} reached job {job}"))
        }
        Event::JobCompleting { job, end, requeue, .. } => {
            let next = if requeue.is_some() { ", to run again" } else { "" };
            ("JobCompleting", format!("job {job} is to end: {}{next}", ending(end)))
        }
        Event::JobEnded { job, end, .. } => {
            ("JobEnded", format!("job {job} has ended: {}", ending(end)))
        }
        Event::JobRequeued { job, requeue, .. } => ("JobRequeued", requeued(*job, *requeue)),
        Event::JobForgotten { job } => {
            ("JobForgotten", format!("job {job} left the live state for the history"))
        }
        Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::TokenIssued { .. }
        | Event::TokenSpent { .. }
        | Event::NodeRegistered { .. }
        | Event::NodeChanged { .. }
        | Event::BlobStored { .. } => return None,
    })
}

fn nodes(places: &[Place]) -> String {
    Hostlist::from_names(places.iter().map(|place| place.node.as_str())).to_string()
}

fn requeued(job: JobId, requeue: Requeue) -> String {
    let when = if requeue.hold { "once it is released" } else { "as soon as it can" };
    format!("job {job} waits again, to run {when}")
}

fn ending(end: &End) -> String {
    let how = match end.state {
        EndState::Completed => "COMPLETED",
        EndState::Failed => "FAILED",
        EndState::Cancelled => "CANCELLED",
        EndState::Timeout => "TIMEOUT",
        EndState::NodeFail => "NODE_FAIL",
        EndState::OutOfMemory => "OUT_OF_MEMORY",
    };
    let by = end.by.map(|user| format!(" by user {user}")).unwrap_or_default();
    let message = end.message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{how}{by}, exit {}:{}{message}", end.exit.code, end.exit.signal)
}

fn standing(node: &NodeName, change: &NodeChange) -> String {
    let is = match change.availability {
        Availability::Unknown => "unknown",
        Availability::Up => "up",
        Availability::Down => "down",
        Availability::Lost => "down, not responding",
    };
    let drain = if change.drain { ", draining" } else { "" };
    let why = change.reason.as_ref().map(|reason| format!(" ({})", reason.text));
    format!("node {node} is {is}{drain}{}", why.unwrap_or_default())
}

fn node(event: &Event) -> Option<&NodeName> {
    match event {
        Event::NodeRegistered { node, .. } | Event::NodeChanged { node, .. } => Some(node),
        Event::JobAllocated { places, .. } => places.first().map(|place| &place.node),
        Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::TokenIssued { .. }
        | Event::TokenSpent { .. }
        | Event::BlobStored { .. }
        | Event::JobSubmitted { .. }
        | Event::JobHeld { .. }
        | Event::JobReleased { .. }
        | Event::JobUpdated { .. }
        | Event::JobLaunching { .. }
        | Event::JobRunning { .. }
        | Event::JobSignalled { .. }
        | Event::SignalDelivered { .. }
        | Event::JobCompleting { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. }
        | Event::JobForgotten { .. } => None,
    }
}
