//! What the log holds.

use std::sync::Arc;

use common::{
    id::{Attempt, ClusterId, ContentHash, ControllerName, JobId, NodeName, Term, UserId},
    machine::{Entry, Event, NodeChange, TokenRole},
    time::Timestamp,
};
use wire::event::Kind;

use super::{
    account, allocated, byte, enumeration, exact, listed, need, preemption, reservation, waiting,
};
use crate::{Invalid, log as wire, types};

enumeration!(TokenRole, wire::TokenRole, "role", { Node = Node, Controller = Controller });

impl From<&Entry> for wire::Entry {
    fn from(entry: &Entry) -> Self {
        Self {
            at: entry.at.0,
            term: entry.term.0,
            digest: entry.digest,
            sequence: entry.sequence,
            request: entry.request.clone().map(Into::into),
            events: entry.events.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Entry> for Entry {
    type Error = Invalid;

    fn try_from(wire: wire::Entry) -> Result<Self, Invalid> {
        Ok(Self {
            at: Timestamp(wire.at),
            term: Term(wire.term),
            digest: wire.digest,
            sequence: wire.sequence,
            request: wire.request.map(TryInto::try_into).transpose()?,
            events: wire.events.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self { kind: Some(cluster_kind(event).unwrap_or_else(|| job_kind(event))) }
    }
}

fn bytes<const N: usize>(fixed: &[u8; N]) -> prost::bytes::Bytes {
    fixed.to_vec().into()
}

fn token_issued(
    secret: ContentHash,
    role: TokenRole,
    name: &str,
    expires: Timestamp,
) -> wire::TokenIssued {
    wire::TokenIssued {
        secret: bytes(&secret.0),
        role: wire::TokenRole::from(role).into(),
        name: name.to_owned(),
        expires: expires.0,
    }
}

/// The event on the wire, where it is about the cluster or a node.
fn cluster_kind(event: &Event) -> Option<Kind> {
    Some(match event {
        Event::ClusterFormed { cluster, operator } => Kind::ClusterFormed(wire::ClusterFormed {
            cluster: bytes(&cluster.0),
            operator: operator.0,
        }),
        Event::ConfigSet { config } => {
            Kind::ConfigSet(wire::ConfigSet { config: Some(config.as_ref().into()) })
        }
        Event::FormatRaised { format } => {
            Kind::FormatRaised(wire::FormatRaised { format: *format })
        }
        Event::ControllerJoined { controller, raft_id, address } => {
            let (controller, address) = (controller.to_string(), address.clone());
            let raft_id = *raft_id;
            Kind::ControllerJoined(wire::ControllerJoined { controller, raft_id, address })
        }
        Event::ControllerLeft { controller } => {
            Kind::ControllerLeft(wire::ControllerLeft { controller: controller.to_string() })
        }
        Event::ClusterRestored { cluster, from, index, next_job, attempts } => {
            let (cluster, from) = (bytes(&cluster.0), bytes(&from.0));
            let (index, next_job, attempts) = (*index, *next_job, *attempts);
            let restored = wire::ClusterRestored { cluster, from, index, next_job, attempts };
            Kind::ClusterRestored(restored)
        }
        Event::AuthoritiesSet { signing, coming, going } => {
            let (signing, coming, going) = (signing.clone(), coming.clone(), going.clone());
            Kind::AuthoritiesSet(wire::AuthoritiesSet { signing, coming, going })
        }
        Event::AccountsLoaded { accounts } => account::kind(accounts),
        Event::ReservationCreated { reservation, by } => {
            Kind::ReservationCreated(reservation::set(reservation, Some(*by)))
        }
        Event::ReservationUpdated { reservation, by } => {
            Kind::ReservationUpdated(reservation::set(reservation, *by))
        }
        Event::ReservationDeleted { name, by } => {
            let (name, by) = (name.clone(), by.map(|user| user.0));
            Kind::ReservationDeleted(wire::ReservationDeleted { name, by })
        }
        #[cfg(feature = "next-event")]
        Event::Noted { text } => Kind::Noted(wire::Noted { text: text.clone() }),
        Event::TokenIssued { secret, role, name, expires } => {
            Kind::TokenIssued(token_issued(*secret, *role, name, *expires))
        }
        Event::TokenSpent { secret } => {
            Kind::TokenSpent(wire::TokenSpent { secret: bytes(&secret.0) })
        }
        Event::NodeRegistered { .. } | Event::NodeChanged { .. } => return node_kind(event),
        Event::BlobStored { .. }
        | Event::JobSubmitted { .. }
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
        | Event::JobForgotten { .. } => return None,
    })
}

fn node_kind(event: &Event) -> Option<Kind> {
    if let Event::NodeRegistered { node, address, inventory } = event {
        let (node, address) = (node.to_string(), address.clone());
        let inventory = Some(inventory.as_ref().into());
        Some(Kind::NodeRegistered(wire::NodeRegistered { node, address, inventory }))
    } else if let Event::NodeChanged { node, change } = event {
        Some(Kind::NodeChanged(wire::NodeChanged {
            node: node.to_string(),
            availability: types::Availability::from(change.availability).into(),
            drain: change.drain,
            reason: change.reason.as_ref().map(Into::into),
        }))
    } else {
        None
    }
}

fn job_kind(event: &Event) -> Kind {
    match event {
        Event::BlobStored { hash, content } => {
            Kind::BlobStored(wire::BlobStored { hash: bytes(&hash.0), content: content.clone() })
        }
        Event::JobSubmitted { job, spec, priority, hold, time_limit, requeue } => {
            Kind::JobSubmitted(wire::JobSubmitted {
                job: job.0,
                spec: Some(spec.as_ref().into()),
                priority: *priority,
                hold: types::Hold::from(*hold).into(),
                time_limit: Some((*time_limit).into()),
                requeue: *requeue,
            })
        }
        Event::JobHeld { job, hold } => {
            Kind::JobHeld(wire::JobHeld { job: job.0, hold: types::Hold::from(*hold).into() })
        }
        Event::JobReleased { job, priority } => {
            Kind::JobReleased(wire::JobReleased { job: job.0, priority: *priority })
        }
        Event::JobUpdated { job, changes } => Kind::JobUpdated(wire::JobUpdated {
            job: job.0,
            changes: Some(changes.as_ref().into()),
        }),
        Event::TaskSplit { .. } | Event::TasksCancelled { .. } | Event::ConditionSettled { .. } => {
            waiting::kind(event)
        }
        Event::JobPreempted { .. } => preemption::kind(event),
        Event::JobForgotten { job } => Kind::JobForgotten(wire::JobForgotten { job: job.0 }),
        Event::JobAllocated { .. }
        | Event::JobLaunching { .. }
        | Event::JobRunning { .. }
        | Event::JobSignalled { .. }
        | Event::SignalDelivered { .. }
        | Event::JobCompleting { .. }
        | Event::JobEnded { .. }
        | Event::JobRequeued { .. } => run_kind(event),
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
        | Event::NodeChanged { .. } => unreachable!("{event:?} has been converted before"),
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => unreachable!("{event:?} has been converted before"),
    }
}

fn run_kind(event: &Event) -> Kind {
    match event {
        Event::JobAllocated { .. } => allocated::kind(event),
        Event::JobLaunching { job, attempt } => {
            Kind::JobLaunching(wire::JobLaunching { job: job.0, attempt: attempt.0 })
        }
        Event::JobRunning { job, attempt } => {
            Kind::JobRunning(wire::JobRunning { job: job.0, attempt: attempt.0 })
        }
        Event::JobSignalled { job, attempt, signal, scope, by, warning } => {
            let (job, attempt, by, warning) = (job.0, attempt.0, by.0, *warning);
            let signal = u32::from(*signal);
            let scope = types::SignalScope::from(*scope).into();
            Kind::JobSignalled(wire::JobSignalled { job, attempt, signal, scope, by, warning })
        }
        Event::SignalDelivered { job, attempt, number } => {
            let (job, attempt, number) = (job.0, attempt.0, *number);
            Kind::SignalDelivered(wire::SignalDelivered { job, attempt, number })
        }
        Event::JobCompleting { job, attempt, end, requeue } => {
            let (job, attempt, end) = (job.0, attempt.0, Some(end.into()));
            let requeue = requeue.map(Into::into);
            Kind::JobCompleting(wire::JobCompleting { job, attempt, end, requeue })
        }
        Event::JobEnded { job, attempt, end } => {
            Kind::JobEnded(wire::JobEnded { job: job.0, attempt: attempt.0, end: Some(end.into()) })
        }
        Event::JobRequeued { job, attempt, requeue, end } => {
            let (requeue, end) = (Some((*requeue).into()), end.as_ref().map(Into::into));
            Kind::JobRequeued(wire::JobRequeued { job: job.0, attempt: attempt.0, requeue, end })
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
        | Event::BlobStored { .. }
        | Event::JobSubmitted { .. }
        | Event::JobHeld { .. }
        | Event::JobReleased { .. }
        | Event::JobUpdated { .. }
        | Event::TaskSplit { .. }
        | Event::TasksCancelled { .. }
        | Event::ConditionSettled { .. }
        | Event::JobPreempted { .. }
        | Event::JobForgotten { .. } => unreachable!("{event:?} has been converted before"),
        #[cfg(feature = "next-event")]
        Event::Noted { .. } => unreachable!("{event:?} has been converted before"),
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = Invalid;

    fn try_from(wire: wire::Event) -> Result<Self, Invalid> {
        // A kind that this release does not know decodes to none. It is never skipped.
        match need(wire.kind, "kind")? {
            Kind::ClusterFormed(event) => Ok(Self::ClusterFormed {
                cluster: ClusterId(exact(&event.cluster, "cluster")?),
                operator: UserId(event.operator),
            }),
            Kind::ConfigSet(event) => {
                Ok(Self::ConfigSet { config: Arc::new(need(event.config, "config")?.try_into()?) })
            }
            Kind::FormatRaised(event) => Ok(Self::FormatRaised { format: event.format }),
            Kind::ControllerJoined(event) => Ok(Self::ControllerJoined {
                controller: ControllerName::from(event.controller),
                raft_id: event.raft_id,
                address: event.address,
            }),
            Kind::ControllerLeft(event) => {
                Ok(Self::ControllerLeft { controller: ControllerName::from(event.controller) })
            }
            Kind::ClusterRestored(event) => cluster_restored(event),
            Kind::AuthoritiesSet(event) => {
                let wire::AuthoritiesSet { signing, coming, going } = event;
                Ok(Self::AuthoritiesSet { signing, coming, going })
            }
            Kind::AccountsLoaded(event) => account::loaded(event),
            Kind::ReservationCreated(event) => reservation::created(event),
            Kind::ReservationUpdated(event) => reservation::updated(event),
            Kind::ReservationDeleted(event) => Ok(reservation::deleted(event)),
            #[cfg(feature = "next-event")]
            Kind::Noted(event) => Ok(Self::Noted { text: event.text }),
            #[cfg(not(feature = "next-event"))]
            Kind::Noted(_) => Err(Invalid::Unknown("kind")),
            Kind::TokenIssued(event) => token_read(event),
            Kind::TokenSpent(event) => {
                Ok(Self::TokenSpent { secret: ContentHash(exact(&event.secret, "secret")?) })
            }
            Kind::NodeRegistered(event) => Ok(Self::NodeRegistered {
                node: NodeName::from(event.node),
                address: event.address,
                inventory: Arc::new(need(event.inventory, "inventory")?.into()),
            }),
            Kind::NodeChanged(event) => node_changed(event),
            Kind::BlobStored(event) => Ok(Self::BlobStored {
                hash: ContentHash(exact(&event.hash, "hash")?),
                content: event.content,
            }),
            Kind::JobSubmitted(event) => job_submitted(event),
            Kind::JobHeld(event) => Ok(Self::JobHeld {
                job: JobId(event.job),
                hold: listed::<types::Hold, _>(event.hold, "hold")?,
            }),
            Kind::JobReleased(event) => {
                Ok(Self::JobReleased { job: JobId(event.job), priority: event.priority })
            }
            Kind::JobUpdated(event) => Ok(Self::JobUpdated {
                job: JobId(event.job),
                changes: Arc::new(need(event.changes, "changes")?.try_into()?),
            }),
            Kind::TaskSplit(event) => Ok(waiting::task_split(&event)),
            Kind::TasksCancelled(event) => waiting::tasks_cancelled(event),
            Kind::ConditionSettled(event) => waiting::condition_settled(event),
            Kind::JobPreempted(event) => Ok(preemption::job_preempted(&event)),
            Kind::JobForgotten(event) => Ok(Self::JobForgotten { job: JobId(event.job) }),
            kind @ (Kind::JobAllocated(_)
            | Kind::JobLaunching(_)
            | Kind::JobRunning(_)
            | Kind::JobSignalled(_)
            | Kind::SignalDelivered(_)
            | Kind::JobCompleting(_)
            | Kind::JobEnded(_)
            | Kind::JobRequeued(_)) => run_event(kind),
        }
    }
}

fn cluster_restored(event: wire::ClusterRestored) -> Result<Event, Invalid> {
    let wire::ClusterRestored { cluster, from, index, next_job, attempts } = event;
    let cluster = ClusterId(exact(&cluster, "cluster")?);
    let from = ClusterId(exact(&from, "from")?);
    Ok(Event::ClusterRestored { cluster, from, index, next_job, attempts })
}

fn token_read(event: wire::TokenIssued) -> Result<Event, Invalid> {
    Ok(Event::TokenIssued {
        secret: ContentHash(exact(&event.secret, "secret")?),
        role: listed::<wire::TokenRole, _>(event.role, "role")?,
        name: event.name,
        expires: Timestamp(event.expires),
    })
}

fn node_changed(event: wire::NodeChanged) -> Result<Event, Invalid> {
    let change = NodeChange {
        availability: listed::<types::Availability, _>(event.availability, "availability")?,
        drain: event.drain,
        reason: event.reason.map(Into::into),
    };
    Ok(Event::NodeChanged { node: NodeName::from(event.node), change })
}

fn job_submitted(event: wire::JobSubmitted) -> Result<Event, Invalid> {
    Ok(Event::JobSubmitted {
        job: JobId(event.job),
        spec: Arc::new(need(event.spec, "spec")?.try_into()?),
        priority: event.priority,
        hold: listed::<types::Hold, _>(event.hold, "hold")?,
        time_limit: need(event.time_limit, "time_limit")?.into(),
        requeue: event.requeue,
    })
}

fn run_event(kind: Kind) -> Result<Event, Invalid> {
    match kind {
        Kind::JobAllocated(event) => allocated::event(event),
        Kind::JobLaunching(event) => {
            Ok(Event::JobLaunching { job: JobId(event.job), attempt: Attempt(event.attempt) })
        }
        Kind::JobRunning(event) => {
            Ok(Event::JobRunning { job: JobId(event.job), attempt: Attempt(event.attempt) })
        }
        Kind::JobSignalled(event) => Ok(Event::JobSignalled {
            job: JobId(event.job),
            attempt: Attempt(event.attempt),
            signal: byte(event.signal, "signal")?,
            scope: listed::<types::SignalScope, _>(event.scope, "scope")?,
            by: UserId(event.by),
            warning: event.warning,
        }),
        Kind::SignalDelivered(event) => Ok(Event::SignalDelivered {
            job: JobId(event.job),
            attempt: Attempt(event.attempt),
            number: event.number,
        }),
        Kind::JobCompleting(event) => Ok(Event::JobCompleting {
            job: JobId(event.job),
            attempt: Attempt(event.attempt),
            end: need(event.end, "end")?.try_into()?,
            requeue: event.requeue.map(Into::into),
        }),
        Kind::JobEnded(event) => Ok(Event::JobEnded {
            job: JobId(event.job),
            attempt: Attempt(event.attempt),
            end: need(event.end, "end")?.try_into()?,
        }),
        Kind::JobRequeued(event) => Ok(Event::JobRequeued {
            job: JobId(event.job),
            attempt: Attempt(event.attempt),
            requeue: need(event.requeue, "requeue")?.into(),
            end: event.end.map(TryInto::try_into).transpose()?,
        }),
        Kind::ClusterFormed(_)
        | Kind::ConfigSet(_)
        | Kind::FormatRaised(_)
        | Kind::ControllerJoined(_)
        | Kind::ControllerLeft(_)
        | Kind::ClusterRestored(_)
        | Kind::AuthoritiesSet(_)
        | Kind::AccountsLoaded(_)
        | Kind::ReservationCreated(_)
        | Kind::ReservationUpdated(_)
        | Kind::ReservationDeleted(_)
        | Kind::TokenIssued(_)
        | Kind::TokenSpent(_)
        | Kind::NodeRegistered(_)
        | Kind::NodeChanged(_)
        | Kind::BlobStored(_)
        | Kind::JobSubmitted(_)
        | Kind::JobHeld(_)
        | Kind::JobReleased(_)
        | Kind::JobUpdated(_)
        | Kind::Noted(_)
        | Kind::TaskSplit(_)
        | Kind::TasksCancelled(_)
        | Kind::ConditionSettled(_)
        | Kind::JobPreempted(_)
        | Kind::JobForgotten(_) => {
            unreachable!("{kind:?} has been converted before")
        }
    }
}
