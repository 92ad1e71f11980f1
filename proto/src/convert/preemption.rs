//! How jobs make way for others.

use common::{
    account::QosPreemption,
    config::{Config, PreemptMode, PreemptType, Preemption},
    id::{Attempt, JobId},
    job::Preempted,
    machine::Event,
    time::Timestamp,
};

use super::{enumeration, listed};
use crate::{
    Invalid, account, config as wire,
    log::{self, event::Kind},
    types,
};

enumeration!(PreemptType, wire::PreemptType, "by", {
    None = None, PartitionPrio = PartitionPrio, Qos = Qos,
});
enumeration!(PreemptMode, wire::PreemptMode, "mode", {
    Off = Off, Cancel = Cancel, Requeue = Requeue,
});

/// Nothing where nobody makes way: so what was written before stays as it was.
pub(super) fn settings(config: &Config) -> Option<wire::Preemption> {
    let Preemption { by, mode, exempt, youngest_first, reorder_count } = config.preemption;
    (config.preemption != Preemption::default()).then(|| wire::Preemption {
        by: wire::PreemptType::from(by).into(),
        mode: wire::PreemptMode::from(mode).into(),
        exempt,
        youngest_first,
        reorder_count,
    })
}

pub(super) fn read(wire: Option<wire::Preemption>) -> Result<Preemption, Invalid> {
    let Some(wire) = wire else { return Ok(Preemption::default()) };
    Ok(Preemption {
        by: listed::<wire::PreemptType, _>(wire.by, "by")?,
        mode: listed::<wire::PreemptMode, _>(wire.mode, "mode")?,
        exempt: wire.exempt,
        youngest_first: wire.youngest_first,
        reorder_count: wire.reorder_count,
    })
}

pub(super) fn mode(mode: Option<PreemptMode>) -> Option<i32> {
    mode.map(|mode| wire::PreemptMode::from(mode).into())
}

pub(super) fn mode_read(wire: Option<i32>) -> Result<Option<PreemptMode>, Invalid> {
    wire.map(|mode| listed::<wire::PreemptMode, _>(mode, "preempt_mode")).transpose()
}

pub(super) fn of_qos(preemption: &QosPreemption) -> Option<account::QosPreemption> {
    let QosPreemption { preempts, mode, grace_time, exempt } = preemption;
    (*preemption != QosPreemption::default()).then(|| account::QosPreemption {
        preempts: preempts.iter().cloned().collect(),
        mode: mode.map(|mode| mode.as_str().to_owned()),
        grace_time: *grace_time,
        exempt: *exempt,
    })
}

pub(super) fn of_qos_read(wire: Option<account::QosPreemption>) -> Result<QosPreemption, Invalid> {
    let Some(wire) = wire else { return Ok(QosPreemption::default()) };
    let mode = |mode: String| PreemptMode::parse(&mode).map_err(|_| Invalid::Unknown("mode"));
    Ok(QosPreemption {
        preempts: wire.preempts.into_iter().collect(),
        mode: wire.mode.map(mode).transpose()?,
        grace_time: wire.grace_time,
        exempt: wire.exempt,
    })
}

impl From<Preempted> for types::Preempted {
    fn from(preempted: Preempted) -> Self {
        let Preempted { at, by, until, requeue } = preempted;
        Self { at: at.0, by: by.0, until: until.0, requeue }
    }
}

impl From<types::Preempted> for Preempted {
    fn from(wire: types::Preempted) -> Self {
        let types::Preempted { at, by, until, requeue } = wire;
        Self { at: Timestamp(at), by: JobId(by), until: Timestamp(until), requeue }
    }
}

pub(super) fn kind(event: &Event) -> Kind {
    let Event::JobPreempted { job, attempt, by, until, requeue } = *event else {
        unreachable!("the caller saw that a job makes way");
    };
    let (job, attempt, by, until) = (job.0, attempt.0, by.0, until.0);
    Kind::JobPreempted(log::JobPreempted { job, attempt, by, until, requeue })
}

pub(super) fn job_preempted(event: &log::JobPreempted) -> Event {
    let log::JobPreempted { job, attempt, by, until, requeue } = *event;
    Event::JobPreempted {
        job: JobId(job),
        attempt: Attempt(attempt),
        by: JobId(by),
        until: Timestamp(until),
        requeue,
    }
}
