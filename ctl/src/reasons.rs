//! Why pending jobs wait and when they are to start, as `squeue` shows.
//!
//! Most of it stands in the job itself. The rest is what the scheduler found in its last pass: the
//! leader has it at hand, and the others, when somebody asks them, make a pass of their own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{
    config::Config,
    id::JobId,
    job::{Hold, Job, Reason},
    machine::State,
    time::Timestamp,
};
use sched::Plan;

/// How old a pass of a controller that does not lead may be.
const FRESH: Duration = Duration::from_millis(500);

/// What a pass over the queues found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Of the jobs that were looked at. Those that were not wait for their priority.
    pub(crate) reasons: BTreeMap<JobId, Reason>,
    /// When those are to start that it planned.
    pub(crate) starts: BTreeMap<JobId, Timestamp>,
    /// The same, of the last pass over the whole queue: for those that this one did not come to.
    pub(crate) earlier: Arc<BTreeMap<JobId, Timestamp>>,
    /// Jobs from this one on came after the pass.
    pub(crate) next_job: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Reasons {
    scheduler: Mutex<Option<Arc<Waits>>>,
    own: Mutex<Option<(Instant, Arc<Waits>)>>,
}

impl Reasons {
    /// What the scheduler found in the whole queue, or in its front.
    pub(crate) fn publish(&self, mut waits: Waits, whole: bool) {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        if whole {
            waits.earlier = Arc::new(std::mem::take(&mut waits.starts));
        } else if let Some(before) = &*scheduler {
            waits.earlier = Arc::clone(&before.earlier);
        }
        *scheduler = Some(Arc::new(waits));
    }

    /// This controller no longer leads: what it found is worth nothing.
    pub(crate) fn forget(&self) {
        *self.scheduler.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
                let waits = Arc::new(Waits::of(&sched::plan(state, now), state));
                *own = Some((Instant::now(), Arc::clone(&waits)));
                waits
            }
        }
    }
}

impl Waits {
    /// What a plan of that state says.
    pub(crate) fn of(plan: &Plan, state: &State) -> Self {
        Self {
            reasons: plan.waits.clone(),
            starts: plan.estimates.clone(),
            earlier: Arc::default(),
            next_job: state.next_job,
        }
    }

    /// When a job that waits is to start, if that is known and still to come.
    pub(crate) fn start(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let start = self.starts.get(&job.id).or_else(|| self.earlier.get(&job.id)).copied();
        start.filter(|start| *start > now && job.is_pending() && job.hold == Hold::None)
    }

    /// What Slurm shows as the reason of `job`.
    pub(crate) fn reason(&self, config: &Config, job: &Job, now: Timestamp) -> Reason {
        sched::reason(config, job, now, || self.found(job.id))
    }

    fn found(&self, job: JobId) -> Reason {
        match self.reasons.get(&job) {
            Some(reason) => *reason,
            None if job.0 >= self.next_job => Reason::None,
            None => Reason::Priority,
        }
    }
}
