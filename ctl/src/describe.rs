//! Events in words: what `rafter events` shows.

use common::{
    account::{Accounts, Parts},
    gres::Gres,
    hostlist::Hostlist,
    id::{ClusterId, JobId, NodeName, UserId},
    job::{End, EndState, Fate, Hold, Place, Requeue},
    machine::{Event, NodeChange, TokenRole},
    node::Availability,
    reservation::Reservation,
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
    let (text, kind) = (words(event)?, event.kind());
    Some(Described { text, kind, job: event.job(), node: node(event).map(ToString::to_string) })
}

fn words(event: &Event) -> Option<String> {
    Some(match event {
        // A job's own submission says what people want to know of it.
        Event::BlobStored { .. } => return None,
        Event::ClusterFormed { cluster, operator } => {
            format!("cluster {cluster} was formed by user {operator}")
        }
        Event::ConfigSet { config } => format!(
            "configuration of {} was set: {} nodes, {} partitions",
            config.cluster_name,
            config.nodes.len(),
            config.partitions.len()
        ),
        Event::FormatRaised { format } => {
            format!("all controllers understand events of format {format}")
        }
        Event::ControllerJoined { controller, raft_id, address } => {
            format!("controller {controller} joined at {address} as number {raft_id}",)
        }
        Event::ControllerLeft { controller } => {
            format!("controller {controller} was removed")
        }
        Event::ClusterRestored { cluster, from, index, next_job, .. } => {
            restored(*cluster, *from, *index, *next_job)
        }
        Event::AuthoritiesSet { coming: Some(_), .. } => {
            "another authority is to take the place of the cluster's".to_owned()
        }
        Event::AuthoritiesSet { going: Some(_), .. } => {
            "another authority signs from here on".to_owned()
        }
        Event::AuthoritiesSet { .. } => "the old authority counts no more".to_owned(),
        Event::AccountsLoaded { accounts } => loaded(accounts),
        Event::ReservationCreated { .. }
        | Event::ReservationUpdated { .. }
        | Event::ReservationDeleted { .. } => return reservation_words(event),
        #[cfg(feature = "next-event")]
        Event::Noted { text } => text.clone(),
        Event::TokenIssued { role, name, .. } => token(*role, name),
        Event::TokenSpent { .. } => "a token was used, or expired".to_owned(),
        Event::NodeRegistered { node, address, inventory } => format!(
            "node {node} registered from {address} with {} CPUs and {} MiB",
            inventory.cpus, inventory.memory_mib,
        ),
        Event::NodeChanged { node, change } => standing(node, change),
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
        | Event::JobPreempted { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. }
        | Event::TaskSplit { .. }
        | Event::TasksCancelled { .. }
        | Event::ConditionSettled { .. }
        | Event::JobForgotten { .. } => return job_words(event),
    })
}

fn restored(cluster: ClusterId, from: ClusterId, index: u64, next_job: u32) -> String {
    if cluster == from {
        return format!(
            "the cluster was recovered from one controller, which had the log up to entry \
             {index}; jobs go on from id {next_job}"
        );
    }
    format!(
        "cluster {cluster} was restored from a backup of cluster {from} up to entry {index}; jobs \
         go on from id {next_job}"
    )
}

fn reservation_words(event: &Event) -> Option<String> {
    Some(if let Event::ReservationCreated { reservation, by } = event {
        format!("{} by user {by}", reserved(reservation, "made"))
    } else if let Event::ReservationUpdated { reservation, by } = event {
        format!("{}{}", reserved(reservation, "changed"), by_whom(*by))
    } else if let Event::ReservationDeleted { name, by: Some(by) } = event {
        format!("reservation {name} was deleted by user {by}")
    } else if let Event::ReservationDeleted { name, by: None } = event {
        format!("reservation {name} is over")
    } else {
        return None;
    })
}

fn by_whom(user: Option<UserId>) -> String {
    user.map(|user| format!(" by user {user}")).unwrap_or_default()
}

fn reserved(one: &Reservation, what: &str) -> String {
    let nodes = Hostlist::from_names(one.nodes.iter().map(|name| name.as_str()));
    format!("reservation {} of {nodes} from {} to {} was {what}", one.name, one.start, one.end)
}

fn loaded(accounts: &Accounts) -> String {
    let Parts { qos, accounts, users, .. } = accounts.parts();
    let (accounts, users, qos) = (accounts.len(), users.len(), qos.len());
    format!("{accounts} accounts, {users} users and {qos} QOS were loaded")
}

fn token(role: TokenRole, name: &str) -> String {
    let role = match role {
        TokenRole::Node => "node",
        TokenRole::Controller => "controller",
    };
    format!("a token for {role} {name} was issued")
}

fn job_words(event: &Event) -> Option<String> {
    Some(match event {
        Event::JobSubmitted { job, spec, .. } => format!(
            "job {job} ({}) was submitted by {} to {}",
            spec.name, spec.user_name, spec.partition,
        ),
        Event::JobHeld { job, hold } => match hold {
            Hold::Admin => format!("job {job} was held by an operator"),
            Hold::User | Hold::None => format!("job {job} was held by its user"),
            Hold::Reservation => format!("job {job} is held: its reservation is gone"),
        },
        Event::JobReleased { job, .. } => format!("job {job} was released"),
        Event::JobUpdated { job, .. } => format!("job {job} was changed"),
        Event::JobAllocated { job, attempt, places, partition, .. } => {
            let of = partition.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            format!("job {job} was given {}{of}{} (run {attempt})", nodes(places), devices(places))
        }
        Event::JobLaunching { job, .. } => format!("job {job} is being launched"),
        Event::JobRunning { job, .. } => format!("job {job} is running"),
        Event::JobSignalled { job, signal, by, warning, .. } => {
            let why = if *warning { " as it asked for before its time limit" } else { "" };
            format!("signal {signal} is sent to job {job} by user {by}{why}")
        }
        Event::SignalDelivered { job, number, .. } => {
            format!("signal number {number} reached job {job}")
        }
        Event::JobCompleting { job, end, requeue, .. } => {
            let next = if requeue.is_some() { ", to run again" } else { "" };
            format!("job {job} is to end: {}{next}", ending(end))
        }
        Event::JobPreempted { job, by, requeue, .. } => makes_way(*job, *by, *requeue),
        Event::JobEnded { job, end, .. } => {
            format!("job {job} has ended: {}", ending(end))
        }
        Event::JobRequeued { job, requeue, .. } => requeued(*job, *requeue),
        Event::TaskSplit { array, index, job } => {
            format!("task {index} of array {array} is job {job} from here on")
        }
        Event::TasksCancelled { array, tasks, end } => {
            format!("tasks {tasks} of array {array} have ended: {}", ending(end))
        }
        Event::ConditionSettled { job, fate, .. } => waits(*job, *fate),
        Event::JobForgotten { job } => {
            format!("job {job} left the live state for the history")
        }
        Event::ClusterFormed { .. }
        | Event::ConfigSet { .. }
        | Event::FormatRaised { .. }
        | Event::ControllerJoined { .. }
        | Event::ControllerLeft { .. }
        | Event::ClusterRestored { .. }
        | Event::AuthoritiesSet { .. }
        | Event::AccountsLoaded { .. }
        | Event::ReservationCreated { .. }
        | Event::ReservationUpdated { .. }
        | Event::ReservationDeleted { .. }
        | Event::TokenIssued { .. }
        | Event::TokenSpent { .. }
        | Event::NodeRegistered { .. }
        | Event::NodeChanged { .. }
        | Event::BlobStored { .. } => return None,
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => return None,
    })
}

fn nodes(places: &[Place]) -> String {
    Hostlist::from_names(places.iter().map(|place| place.node.as_str())).to_string()
}

/// The generic resources of each node.
fn devices(places: &[Place]) -> String {
    let with = places.iter().filter(|place| !place.gres.is_empty());
    let texts = with.map(|place| {
        let all: Vec<String> = place.gres.iter().map(Gres::detailed).collect();
        format!(", {} of {}", all.join(","), place.node)
    });
    texts.collect()
}

fn makes_way(job: JobId, by: JobId, requeue: bool) -> String {
    let next = if requeue { ", to run again" } else { "" };
    format!("job {job} makes way for job {by}{next}")
}

fn requeued(job: JobId, requeue: Requeue) -> String {
    let when = if requeue.hold { "once it is released" } else { "as soon as it can" };
    format!("job {job} waits again, to run {when}")
}

fn waits(job: JobId, fate: Fate) -> String {
    let what = match fate {
        Fate::Open => "is to wait for again",
        Fate::Due(_) => "waits for has happened, and counts a while after",
        Fate::Met => "waits for has happened",
        Fate::Failed => "waits for can't happen any more",
    };
    format!("something that job {job} {what}")
}

fn ending(end: &End) -> String {
    let how = match end.state {
        EndState::Completed => "COMPLETED",
        EndState::Failed => "FAILED",
        EndState::Cancelled => "CANCELLED",
        EndState::Timeout => "TIMEOUT",
        EndState::NodeFail => "NODE_FAIL",
        EndState::OutOfMemory => "OUT_OF_MEMORY",
        EndState::Deadline => "DEADLINE",
        EndState::Preempted => "PREEMPTED",
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
        | Event::ClusterRestored { .. }
        | Event::AuthoritiesSet { .. }
        | Event::AccountsLoaded { .. }
        | Event::ReservationCreated { .. }
        | Event::ReservationUpdated { .. }
        | Event::ReservationDeleted { .. }
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
        | Event::JobPreempted { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. }
        | Event::TaskSplit { .. }
        | Event::TasksCancelled { .. }
        | Event::ConditionSettled { .. }
        | Event::JobForgotten { .. } => None,
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => None,
    }
}
