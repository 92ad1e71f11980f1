//! The scheduler: a thread that plans on frozen views, for as long as this controller leads.
//!
//! It wakes when something changes and plans only where the plan could be another one: a job that
//! enters behind those that wait for nodes changes nothing, so a storm of submissions into a full
//! cluster costs a comparison each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{
    id::PartitionName,
    job::Job,
    machine::{Command, QueueKey, State},
    time::Timestamp,
};
use sched::Plan;
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    time::sleep,
};

use crate::{
    clock,
    proposer::{Proposer, Rejected, View},
    reasons::{Reasons, Waits},
    shared::Shared,
};

/// How long the scheduler rests after a pass, at least, so that what comes together is planned
/// together, and at most; between the two, twice as long as the pass took.
const SHORTEST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(250);

/// How long it sleeps at most, and so how old its last sign of life may be.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// How many jobs before the one that closes a partition are compared. Beyond it a change is
/// assumed.
const COMPARED: usize = 64;

/// The scheduler's thread, and its last sign of life.
#[derive(Debug)]
pub(crate) struct Scheduler {
    began: Instant,
    /// Milliseconds from `began` to when the cycle last came round.
    alive: AtomicU64,
    stop: watch::Sender<bool>,
}

impl Scheduler {
    /// Starts the thread. It ends when it is told to, or when the proposer does; the receiver is
    /// closed then, and also where it has failed.
    ///
    /// # Panics
    /// Where the system gives no thread.
    pub(crate) fn start(shared: Arc<Shared>) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (began, alive, stop) = (Instant::now(), AtomicU64::new(0), watch::Sender::new(false));
        let scheduler = Arc::new(Self { began, alive, stop });
        let (runtime, own) = (Handle::current(), Arc::clone(&scheduler));
        let thread = thread::Builder::new().name("scheduler".to_owned());
        let (lives, death) = oneshot::channel();
        let run = move || {
            runtime.block_on(own.run(&shared));
            // Who waits for its end may close the store after it.
            drop((shared, lives));
        };
        thread.spawn(run).expect("a controller without a scheduler is of no use");
        (scheduler, death)
    }

    /// Lets the thread end after the pass that it is in.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn signs(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.alive.store(since, Ordering::Relaxed);
    }

    /// How long ago the cycle last came round.
    pub(crate) fn age(&self) -> Duration {
        let alive = Duration::from_millis(self.alive.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(alive)
    }

    async fn run(&self, shared: &Shared) {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = self.cycle(shared) => {}
            // Where nobody can tell it any more, the controller is gone.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn cycle(&self, shared: &Shared) {
        let mut views = shared.proposer.view();
        let mut last: Option<Pass> = None;
        loop {
            self.signs();
            let view = views.borrow_and_update().clone();
            let Some(view) = view else {
                last = None;
                if !rouse(&mut views, LONGEST_SLEEP).await {
                    return;
                }
                continue;
            };
            let (now, began) = (clock::now(), Instant::now());
            if let Some(pass) = last.as_ref().filter(|pass| pass.still_holds(&view.state, now)) {
                shared.reasons.still_hold(view.state.next_job);
                drop(view);
                rest(began.elapsed()).await;
                if !rouse(&mut views, pass.sleep(now)).await {
                    return;
                }
                continue;
            }
            let plan = sched::plan(&view.state, now);
            let took = began.elapsed();
            shared.measures.plan.record(took.as_secs_f64(), &[]);
            shared.measures.starts.add(plan.starts.len() as u64, &[]);
            let starts = plan.starts.len();
            publish(&shared.reasons, &view.state, &plan);
            if starts > 0 {
                start(&shared.proposer, &mut views, &plan).await;
                last = None;
            } else {
                last = Some(Pass::of(&view.state, &plan));
            }
            drop(view);
            rest(took).await;
        }
    }
}

/// Leaves the processor to others for a while after work that `took` some time.
async fn rest(took: Duration) {
    sleep((took * 2).clamp(SHORTEST_REST, LONGEST_REST)).await;
}

/// Waits for a change, or for `limit`. Says whether there can be another.
async fn rouse(views: &mut watch::Receiver<Option<Arc<View>>>, limit: Duration) -> bool {
    tokio::select! {
        changed = views.changed() => changed.is_ok(),
        () = sleep(limit) => true,
    }
}

fn publish(reasons: &Reasons, state: &State, plan: &Plan) {
    let waits = Waits { reasons: plan.waits.clone(), next_job: state.next_job };
    reasons.publish(Some(waits));
}

/// Sends the starts through the door, and waits until they are decided: the next plan is to see
/// them. It need not wait until they are committed.
async fn start(proposer: &Proposer, views: &mut watch::Receiver<Option<Arc<View>>>, plan: &Plan) {
    let mut last = None;
    for allocation in &plan.starts {
        let fence = (allocation.job, allocation.attempt);
        match proposer.send(Command::Allocate(allocation.clone())).await {
            Ok(outcome) => last = Some((fence, outcome)),
            Err(_) => return,
        }
    }
    let Some(((job, attempt), outcome)) = last else {
        return;
    };
    let decided = |view: &Option<Arc<View>>| {
        view.as_ref().is_none_or(|view| {
            let job = view.state.jobs.get(&job);
            job.is_none_or(|job| job.attempt != attempt || !job.is_pending())
        })
    };
    tokio::select! {
        _ = views.wait_for(decided) => {}
        // A refusal leaves no trace in the state.
        outcome = outcome => {
            if let Ok(Err(Rejected::Refused(refusal))) = outcome {
                tracing::debug!(%job, %refusal, "a start was refused");
            }
        }
    }
}

/// A pass that started nothing: what it looked at.
#[derive(Clone, Debug)]
struct Pass {
    state: State,
    /// For each partition that it closed, the jobs that it looked at, in order.
    looked: Vec<(PartitionName, Vec<Arc<Job>>)>,
    wake: Option<Timestamp>,
}

impl Pass {
    fn of(state: &State, plan: &Plan) -> Self {
        let looked = |(partition, last): (&PartitionName, &QueueKey)| {
            let jobs: Vec<_> = front(state, partition, *last).take(COMPARED + 1).cloned().collect();
            (jobs.len() <= COMPARED).then(|| (partition.clone(), jobs))
        };
        Self {
            state: state.clone(),
            looked: plan.closed.iter().filter_map(looked).collect(),
            wake: plan.wake,
        }
    }

    /// Whether another pass over `state` would find the same.
    fn still_holds(&self, state: &State, now: Timestamp) -> bool {
        let same_config = match (&self.state.config, &state.config) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after) || before == after,
            (before, after) => before == after,
        };
        same_config
            && self.wake.is_none_or(|wake| wake > now)
            && (self.state.nodes.ptr_eq(&state.nodes) || self.state.nodes == state.nodes)
            && self.same_queues(state)
    }

    fn same_queues(&self, state: &State) -> bool {
        if self.state.queues.ptr_eq(&state.queues) && self.state.jobs.ptr_eq(&state.jobs) {
            return true;
        }
        let names = self.state.queues.keys().chain(state.queues.keys());
        names.into_iter().all(|partition| self.same_queue(partition, state))
    }

    /// Whether what was looked at of one queue is what would be looked at again.
    fn same_queue(&self, partition: &PartitionName, state: &State) -> bool {
        let Some((_, jobs)) = self.looked.iter().find(|(name, _)| name == partition) else {
            // All of it was looked at, so each of its jobs counts.
            return self.state.queues.get(partition) == state.queues.get(partition)
                && self.state.jobs.ptr_eq(&state.jobs);
        };
        let Some(last) = jobs.last().and_then(|job| QueueKey::of(job)) else {
            return false;
        };
        let mut again = front(state, partition, last);
        jobs.iter().all(|job| again.next().is_some_and(|other| job == other))
            && again.next().is_none()
    }

    fn sleep(&self, now: Timestamp) -> Duration {
        let wake = self.wake.map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.since(now).0));
        wake.clamp(SHORTEST_REST, LONGEST_SLEEP)
    }
}

/// The jobs of a partition's queue up to the place of `last`.
fn front<'a>(
    state: &'a State,
    partition: &PartitionName,
    last: QueueKey,
) -> impl Iterator<Item = &'a Arc<Job>> {
    let queue = state.queues.get(partition).into_iter();
    let keys = queue.flat_map(|queue| queue.iter()).take_while(move |key| **key <= last);
    keys.map(|key| state.jobs.get(&key.job).expect("check: a queued job is there"))
}

#[cfg(test)]
mod tests;
