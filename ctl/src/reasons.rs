//! Why pending jobs wait, as `squeue` shows.
//!
//! Most of it stands in the job itself. The rest is what the scheduler found in its last pass: the
//! leader has it at hand, and the others, when somebody asks them, make a pass of their own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{
    config::{Config, PartitionState},
    id::JobId,
    job::{Hold, Job, Phase, Reason},
    machine::State,
    time::Timestamp,
};

/// How old a pass of a controller that does not lead may be.
const FRESH: Duration = Duration::from_millis(500);

/// What a pass over the queues found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Of the jobs that were looked at. Those that were not wait for their priority.
    pub(crate) reasons: BTreeMap<JobId, Reason>,
    /// Jobs from this one on came after the pass.
    pub(crate) next_job: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Reasons {
    scheduler: Mutex<Option<Arc<Waits>>>,
    own: Mutex<Option<(Instant, Arc<Waits>)>>,
}

impl Reasons {
    /// What the scheduler found; nothing once this controller no longer leads.
    pub(crate) fn publish(&self, waits: Option<Waits>) {
        *self.scheduler.lock().unwrap_or_else(PoisonError::into_inner) = waits.map(Arc::new);
    }

    /// A pass that was cut short, since nothing behind the jobs that close their partitions can
    /// start: those that came meanwhile wait behind them.
    pub(crate) fn still_hold(&self, next_job: u32) {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = scheduler.as_mut().filter(|waits| waits.next_job != next_job) {
            Arc::make_mut(waits).next_job = next_job;
        }
    }

    /// The newest that is known, for jobs of `state`.
    pub(crate) fn waits(&self, state: &State, now: Timestamp) -> Arc<Waits> {
        let scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waits) = scheduler {
            return waits;
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match &*own {
            Some((made, waits)) if made.elapsed() < FRESH => Arc::clone(waits),
            Some(_) | None => {
                let plan = sched::plan(state, now);
                let waits = Waits { reasons: plan.waits, next_job: state.next_job };
                let waits = Arc::new(waits);
                *own = Some((Instant::now(), Arc::clone(&waits)));
                waits
            }
        }
    }
}

impl Waits {
    /// What Slurm shows as the reason of `job`.
    pub(crate) fn reason(&self, config: &Config, job: &Job, now: Timestamp) -> Reason {
        let partition = || config.partition(job.partition.as_str()).map(|conf| conf.state);
        match &job.phase {
            Phase::Active(_) => Reason::None,
            Phase::Completing { end, .. } | Phase::Ended { end, .. } => {
                end.reason.unwrap_or(Reason::None)
            }
            Phase::Pending => match job.hold {
                Hold::User => Reason::JobHeldUser,
                Hold::Admin => Reason::JobHeldAdmin,
                Hold::None if job.priority == 0 => Reason::JobHeldUser,
                Hold::None if job.begin.is_some_and(|begin| begin > now) => Reason::BeginTime,
                Hold::None => match partition() {
                    Some(PartitionState::Down) => Reason::PartitionDown,
                    Some(PartitionState::Inactive) => Reason::PartitionInactive,
                    Some(PartitionState::Up | PartitionState::Drain) | None => self.found(job.id),
                },
            },
        }
    }

    fn found(&self, job: JobId) -> Reason {
        match self.reasons.get(&job) {
            Some(reason) => *reason,
            None if job.0 >= self.next_job => Reason::None,
            None => Reason::Priority,
        }
    }
}
