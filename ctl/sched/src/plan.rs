//! One pass over the queues.

use std::{cell::OnceCell, cmp::Reverse, collections::BTreeMap, iter::Peekable};

use common::{
    config::{Config, PartitionConf, PartitionState},
    id::{JobId, NodeName, PartitionName},
    job::{Job, Reason},
    machine::{Allocation, QueueKey, State},
    time::Timestamp,
};

use crate::{books::Books, placement::need};

/// What one pass decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub starts: Vec<Allocation>,
    /// Why the jobs that were looked at wait. Those that were not wait for [`Reason::Priority`].
    pub waits: BTreeMap<JobId, Reason>,
    /// The next moment at which a job may become eligible by itself (`--begin`).
    pub wake: Option<Timestamp>,
    /// Where each closed partition's queue was left: what stands behind that place was not looked
    /// at, so the plan is the same whatever stands there.
    pub closed: BTreeMap<PartitionName, QueueKey>,
}

/// A partition's queue in the pass.
struct Line<'a> {
    conf: &'a PartitionConf,
    queue: Peekable<Box<dyn Iterator<Item = QueueKey> + 'a>>,
    /// Its nodes, by their place in the books.
    nodes: Vec<usize>,
}

/// Looks at the pending jobs, the most urgent first, and starts each that fits.
///
/// The first job of a partition that does not fit closes the partition: its nodes are kept for
/// that job, in this and in every other partition, and those behind it wait for their priority. A
/// job that would not fit even if all nodes that can be used were idle closes nothing: nobody knows
/// for how long that would be.
#[must_use]
pub fn plan(view: &State, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(config) = &view.config else {
        return plan;
    };
    let mut books = Books::open(view);
    let idle = OnceCell::new();
    let mut lines = lines(view, config, &books);
    while let Some(line) = most_urgent(&mut lines) {
        let Some(key) = line.queue.next() else {
            break;
        };
        let job = view.jobs.get(&key.job).expect("check: a queued job is there");
        match consider(config, line, (&books, &idle), job, now) {
            Verdict::Start(allocation) => {
                books.take(&allocation.places);
                plan.starts.push(allocation);
            }
            Verdict::Wait(reason) => {
                plan.waits.insert(job.id, reason);
            }
            Verdict::WaitUntil(begin) => {
                plan.waits.insert(job.id, Reason::BeginTime);
                plan.wake = Some(plan.wake.map_or(begin, |wake| wake.min(begin)));
            }
            Verdict::Close(reason) => {
                plan.waits.insert(job.id, reason);
                plan.closed.insert(job.partition.clone(), key);
                // A partition that starts nothing keeps no nodes from the others.
                if line.conf.state.starts() {
                    books.reserve(&line.nodes);
                }
                line.queue = empty();
            }
        }
    }
    plan
}

fn lines<'a>(view: &'a State, config: &'a Config, books: &Books) -> Vec<Line<'a>> {
    let line = |conf: &'a PartitionConf| {
        let queue = view.queues.get(&conf.name.as_str().into())?;
        let at = |name: &String| books.position(&NodeName::from(name.as_str()));
        let nodes = conf.nodes.iter().filter_map(at).collect();
        let queue: Box<dyn Iterator<Item = QueueKey>> = Box::new(queue.iter().copied());
        Some(Line { conf, queue: queue.peekable(), nodes })
    };
    config.partitions.iter().filter_map(line).collect()
}

fn empty<'a>() -> Peekable<Box<dyn Iterator<Item = QueueKey> + 'a>> {
    let none: Box<dyn Iterator<Item = QueueKey>> = Box::new(std::iter::empty());
    none.peekable()
}

/// The line whose first job goes next: higher tier, then the job's own place.
fn most_urgent<'a, 'b>(lines: &'b mut [Line<'a>]) -> Option<&'b mut Line<'a>> {
    let at = lines
        .iter_mut()
        .enumerate()
        .filter_map(|(at, line)| {
            let tier = Reverse(line.conf.priority_tier);
            line.queue.peek().map(|key| ((tier, *key), at))
        })
        .min()?
        .1;
    lines.get_mut(at)
}

enum Verdict {
    Start(Allocation),
    /// Waits, and lets others pass.
    Wait(Reason),
    WaitUntil(Timestamp),
    /// Waits, and nobody of its partition may pass.
    Close(Reason),
}

/// The books are those of the plan, and those of the same nodes when idle, made when first needed.
fn consider(
    config: &Config,
    line: &Line<'_>,
    (books, idle): (&Books, &OnceCell<Books>),
    job: &Job,
    now: Timestamp,
) -> Verdict {
    match line.conf.state {
        PartitionState::Down => return Verdict::Close(Reason::PartitionDown),
        PartitionState::Inactive => return Verdict::Close(Reason::PartitionInactive),
        PartitionState::Up | PartitionState::Drain => {}
    }
    if let Some(reason) = hindrance(line, job) {
        return Verdict::Wait(reason);
    }
    if let Some(begin) = job.begin.filter(|begin| *begin > now) {
        return Verdict::WaitUntil(begin);
    }
    let position = |name: &NodeName| books.position(name).filter(|at| line.nodes.contains(at));
    let required: Option<Vec<usize>> = job.spec.required_nodes.iter().map(position).collect();
    let Some(required) = required else {
        return Verdict::Wait(Reason::ReqNodeNotAvail);
    };
    if required.iter().any(|at| !books.share(*at).usable) {
        return Verdict::Wait(Reason::ReqNodeNotAvail);
    }
    let allowed = |at: &usize| !job.spec.excluded_nodes.contains(&books.share(*at).name);
    let allowed: Vec<usize> = line.nodes.iter().copied().filter(allowed).collect();
    let usable = || allowed.iter().copied().filter(|at| books.share(*at).usable);
    let candidates: Vec<usize> = usable().filter(|at| !books.share(*at).awaited).collect();
    let need = need(config, line.conf, job);
    if let Some(places) = need.place(books, &candidates, &required) {
        return Verdict::Start(Allocation { job: job.id, attempt: job.attempt, places });
    }
    let idle = idle.get_or_init(|| books.idle());
    if need.place(idle, &allowed, &required).is_none() {
        Verdict::Wait(Reason::PartitionConfig)
    } else if need.place(idle, &usable().collect::<Vec<_>>(), &required).is_none() {
        Verdict::Wait(Reason::NodesNotAvail)
    } else if required.is_empty() {
        Verdict::Close(Reason::Resources)
    } else {
        // A job that names its nodes waits for these alone, and holds up nobody else.
        Verdict::Wait(Reason::Resources)
    }
}

/// What keeps the job from starting whatever is free.
fn hindrance(line: &Line<'_>, job: &Job) -> Option<Reason> {
    let conf = line.conf;
    let nodes_max = conf.max_nodes.unwrap_or(u32::MAX);
    let wants = job.spec.layout.min_nodes;
    if wants > nodes_max || wants < conf.min_nodes || wants as usize > line.nodes.len() {
        Some(Reason::PartitionNodeLimit)
    } else if job.time_limit > conf.max_time {
        Some(Reason::PartitionTimeLimit)
    } else {
        None
    }
}
