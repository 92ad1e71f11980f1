//! The scheduler: a thread that plans on frozen views, for as long as this controller leads.
//!
//! It wakes when something changes, and plans the front of the queue at once: as many jobs as can
//! start, and the first [`FRONT`] that wait. A job that enters behind those changes nothing of
//! that plan, so a storm of submissions into a full cluster costs a comparison each. Whether
//! something behind the front can start beside it, and when each job will, is for a plan of the
//! whole queue, which is made as often as a small share of the time allows.

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
    job::{HetPart, Job},
    machine::{Command, QueueKey, State},
    time::Timestamp,
};
use ranked::Ranked;
use sched::Plan;
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    time::sleep,
};

use crate::{
    clock,
    proposer::{Proposer, Rejected, View},
    reasons::Waits,
    shared::Shared,
};

/// How long the scheduler rests after a pass, at least, so that what comes together is planned
/// together, and at most; between the two, twice as long as the pass took.
const SHORTEST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(250);

/// How many jobs that wait the plan of the queue's front holds.
const FRONT: usize = 50;

/// How long after a plan of the whole queue the next one is made at the earliest: so many times
/// what it took, and within these bounds.
const WHOLE_EVERY: u32 = 10;
const WHOLE_SOONEST: Duration = Duration::from_millis(100);
const WHOLE_LATEST: Duration = Duration::from_secs(30);

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
        let mut whole = Whole::never();
        // Whether the front was not the whole queue.
        let mut cut = false;
        loop {
            self.signs();
            let view = views.borrow_and_update().clone();
            let Some(view) = view else {
                (last, whole) = (None, Whole::never());
                if !rouse(&mut views, LONGEST_SLEEP).await {
                    return;
                }
                continue;
            };
            let (now, began) = (clock::now(), Instant::now());
            let holds = last.as_mut().is_some_and(|pass| pass.still_holds(&view.state, now));
            let held = last.as_ref().filter(|_| holds);
            let rest_of_whole = whole.wait(&view.state, now).filter(|_| cut);
            let due = match rest_of_whole {
                Some(Duration::ZERO) => held.is_some() || whole.made.elapsed() > WHOLE_LATEST,
                Some(_) | None => false,
            };
            if let Some(pass) = held.filter(|_| !due) {
                shared.reasons.still_hold(view.state.next_job);
                let sleep = pass.sleep(now).min(rest_of_whole.unwrap_or(LONGEST_SLEEP));
                drop(view);
                rest(began.elapsed()).await;
                if !rouse(&mut views, sleep).await {
                    return;
                }
                continue;
            }
            let plan = match due {
                true => sched::plan(&view.state, now),
                false => sched::plan_front(&view.state, now, FRONT),
            };
            let took = began.elapsed();
            shared.measures.plan.record(took.as_secs_f64(), &[]);
            shared.measures.starts.add(plan.starts.len() as u64, &[]);
            shared.reasons.publish(Waits::of(&plan, &view.state), due || !plan.cut);
            match due {
                true => whole = Whole::of(&view.state, took, now),
                false => cut = plan.cut,
            }
            let makes_way = make_way(&shared.proposer, &plan).await;
            if !plan.starts.is_empty() {
                start(&shared.proposer, &mut views, &plan).await;
                last = None;
            } else if makes_way {
                last = None;
            } else if !due {
                last = Some(Pass::of(&view.state, &plan, now));
            }
            drop(view);
            rest(took).await;
        }
    }
}

/// The last plan of the whole queue.
struct Whole {
    /// What it was made of; nothing before the first.
    state: Option<State>,
    made: Instant,
    took: Duration,
    /// When those that wait may have another order, though nothing has happened.
    until: Option<Timestamp>,
}

impl Whole {
    fn never() -> Self {
        Self { state: None, made: Instant::now(), took: Duration::ZERO, until: None }
    }

    fn of(state: &State, took: Duration, now: Timestamp) -> Self {
        let until = ranked::until(state, now);
        Self { state: Some(state.clone()), made: Instant::now(), took, until }
    }

    /// How long until the next one may be made; nothing where it would find the same.
    fn wait(&self, state: &State, now: Timestamp) -> Option<Duration> {
        let Some(seen) = &self.state else { return Some(Duration::ZERO) };
        let same = seen.jobs.ptr_eq(&state.jobs) && seen.nodes.ptr_eq(&state.nodes);
        let later = self.until.is_some_and(|until| until <= now);
        let same = same && same_accounts(seen, state) && seen.reservations == state.reservations;
        if same && !later {
            return None;
        }
        let every = (self.took * WHOLE_EVERY).clamp(WHOLE_SOONEST, WHOLE_LATEST);
        Some(every.saturating_sub(self.made.elapsed()))
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

/// Sends the starts through the door, and waits until they are decided: the next plan is to see
/// them. It need not wait until they are committed.
async fn start(proposer: &Proposer, views: &mut watch::Receiver<Option<Arc<View>>>, plan: &Plan) {
    let mut last = None;
    for allocation in &plan.starts {
        let fence = (allocation.job, allocation.attempt, allocation.task);
        match proposer.send(Command::Allocate(allocation.clone())).await {
            Ok(outcome) => last = Some((fence, outcome)),
            Err(_) => return,
        }
    }
    let Some(((job, attempt, task), outcome)) = last else {
        return;
    };
    let decided = |view: &Option<Arc<View>>| {
        view.as_ref().is_none_or(|view| {
            // What stood for a task that has started goes on to wait with the others.
            let split = task.and_then(|task| view.state.tasks.get(job, task));
            let job = view.state.jobs.get(&split.unwrap_or(job));
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

/// Lets those make way who are to, and waits until that is decided. Says whether any did: a plan
/// whose every wish is refused is not made again at once.
async fn make_way(proposer: &Proposer, plan: &Plan) -> bool {
    let mut outcomes = Vec::with_capacity(plan.preempts.len());
    for preemption in &plan.preempts {
        match proposer.send(Command::Preempt(preemption.clone())).await {
            Ok(outcome) => outcomes.push((preemption.start.job, outcome)),
            Err(_) => return false,
        }
    }
    let mut any = false;
    for (job, outcome) in outcomes {
        match outcome.await {
            Ok(Ok(_)) => any = true,
            Ok(Err(Rejected::Refused(refusal))) => {
                tracing::debug!(%job, %refusal, "nobody makes way");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
    any
}

/// A pass that started nothing: what it looked at.
struct Pass {
    state: State,
    /// For each partition that it closed, where, and the jobs that it looked at, in order.
    looked: Vec<(PartitionName, QueueKey, Vec<Arc<Job>>)>,
    wake: Option<Timestamp>,
    /// The same by their ranks, where priorities come from factors.
    ranked: Option<Ranked>,
}

impl Pass {
    fn of(state: &State, plan: &Plan, now: Timestamp) -> Self {
        let ranked = Ranked::of(state, plan, now);
        let looked = |(partition, last): (&PartitionName, &QueueKey)| {
            let jobs: Vec<_> = front(state, partition, *last).take(COMPARED + 1).cloned().collect();
            (jobs.len() <= COMPARED).then(|| (partition.clone(), *last, jobs))
        };
        Self {
            state: state.clone(),
            looked: match ranked {
                Some(_) => vec![],
                None => plan.closed.iter().filter_map(looked).collect(),
            },
            wake: plan.wake,
            ranked,
        }
    }

    /// Whether another pass over `state` would find the same.
    fn still_holds(&mut self, state: &State, now: Timestamp) -> bool {
        let same_config = match (&self.state.config, &state.config) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after) || before == after,
            (before, after) => before == after,
        };
        same_config
            && same_accounts(&self.state, state)
            && self.state.reservations == state.reservations
            && self.wake.is_none_or(|wake| wake > now)
            && (self.state.nodes.ptr_eq(&state.nodes) || self.state.nodes == state.nodes)
            && match &mut self.ranked {
                Some(ranked) => ranked.still_holds(state, now),
                None => self.same_queues(state),
            }
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
        let looked = self.looked.iter().find(|(name, ..)| name == partition);
        let Some((_, last, jobs)) = looked else {
            // All of it was looked at, so each of its jobs counts.
            return self.state.queues.get(partition) == state.queues.get(partition)
                && self.state.jobs.ptr_eq(&state.jobs);
        };
        let mut again = front(state, partition, *last);
        let same = |job: &Arc<Job>, other: &Arc<Job>| {
            job == other
                && self.state.array_room(job) == state.array_room(other)
                && same_led(&self.state, state, job)
        };
        jobs.iter().all(|job| again.next().is_some_and(|other| same(job, other)))
            && again.next().is_none()
    }

    fn sleep(&self, now: Timestamp) -> Duration {
        let wake = self.wake.map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.since(now).0));
        wake.clamp(SHORTEST_REST, LONGEST_SLEEP)
    }
}

/// Whether the same associations and limits hold in both.
fn same_accounts(before: &State, after: &State) -> bool {
    match (&before.accounts, &after.accounts) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after) || before == after,
        (before, after) => before == after,
    }
}

/// Whether the components that the job leads, which stand in no queue, are the same in both.
fn same_led(before: &State, after: &State, job: &Job) -> bool {
    let mut led = job.het().into_iter().flat_map(HetPart::led);
    led.all(|id| before.jobs.get(&id) == after.jobs.get(&id))
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

mod ranked;
#[cfg(test)]
mod tests;
