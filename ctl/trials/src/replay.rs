//! A log, played again under a virtual clock: the jobs arrive as they did, the planner decides.
//!
//! The machine is one node with as many CPUs as it has processors, which is exact: a job takes
//! some of them from its start to its end, whichever they are. Whenever a job arrives or ends, the
//! planner plans anew, from what it may know: the limits of what runs, and the queue in the order
//! of arrival. A job that ends earlier than its limit surprises it.

use std::collections::VecDeque;

use sched::timeline::{Amounts, Ask, Grid, Held, Manner, Portion, Shape, Timeline};

use crate::swf::{Job, Log};

/// Who may start before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nobody before the first that waits.
    Fcfs,
    /// Whoever does not delay the first that waits.
    Easy,
    /// Whoever delays nobody that came before.
    Conservative,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// When each job of the log started.
    pub starts: Vec<u64>,
    /// What was seen at each moment at which something happened.
    pub samples: Vec<Sample>,
}

/// The machine at one moment, after the planner's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: u64,
    /// Processors that are in use.
    pub busy: u64,
    /// Jobs that wait.
    pub queued: usize,
}

/// Means over all jobs, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub jobs: usize,
    pub mean_wait: f64,
    /// From arrival to end.
    pub mean_flow: f64,
    /// Flow over run, both at least ten seconds: so a job of no length does not count for all.
    pub mean_bounded_slowdown: f64,
    /// Share of the processors' time in use, from the first arrival to the last end.
    pub utilisation: f64,
}

/// Below it a run counts as long as this in the bounded slowdown.
const BOUND: u64 = 10;

struct Run {
    end: u64,
    /// When it would end by its limit.
    until: u64,
    processors: u64,
}

/// Plays the log to its end.
#[must_use]
pub fn play(log: &Log, order: Order) -> Played {
    let mut played = Played { starts: vec![0; log.jobs.len()], samples: vec![] };
    let mut running: Vec<Run> = Vec::new();
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut arrived = 0;
    loop {
        let arrival = log.jobs.get(arrived).map(|job| job.submitted);
        let end = running.iter().map(|run| run.end).min();
        let Some(now) = arrival.into_iter().chain(end).min() else { break };
        running.retain(|run| run.end > now);
        while log.jobs.get(arrived).is_some_and(|job| job.submitted == now) {
            queue.push_back(arrived);
            arrived += 1;
        }
        let places = starting(log, order, now, &running, &queue);
        for place in places.into_iter().rev() {
            let job = queue.remove(place).expect("the planner starts who waits");
            let Job { run, limit, processors, .. } = log.jobs[job];
            played.starts[job] = now;
            running.push(Run { end: now + run, until: now + limit, processors });
        }
        let busy = running.iter().map(|run| run.processors).sum();
        assert!(busy <= log.processors, "no processor is given twice");
        played.samples.push(Sample { at: now, busy, queued: queue.len() });
    }
    assert!(queue.is_empty(), "every job fits the machine");
    played
}

/// The places in the queue of those that start now.
fn starting(
    log: &Log,
    order: Order,
    now: u64,
    running: &[Run],
    queue: &VecDeque<usize>,
) -> Vec<usize> {
    let cpus = |processors| Amounts::of([processors, 0, 0]);
    let held = |run: &Run| Held { node: 0, amounts: cpus(run.processors), until: run.until };
    let held: Vec<Held> = running.iter().map(held).collect();
    let mut timeline = Timeline::new(now, &[cpus(log.processors)], &held, &Grid::EXACT);
    let mask = timeline.mask([0]);
    let mut starting = Vec::new();
    let mut waiting = 0;
    for (place, job) in queue.iter().enumerate() {
        let Job { limit, processors, .. } = log.jobs[*job];
        let portions = vec![Portion::fixed(cpus(processors))];
        let shape = timeline.shape(&Shape { portions, tasks_per_node: 1 });
        let class = timeline.class(&Ask {
            shape,
            mask,
            required: vec![],
            nodes_min: 1,
            nodes_max: 1,
            tasks: 1,
            limit: Some(limit),
            counts: vec![],
            apart: false,
            veil: None,
            manner: Manner::default(),
        });
        let latest = match order {
            Order::Fcfs => now,
            Order::Easy if waiting > 0 => now,
            Order::Easy | Order::Conservative => u64::MAX,
        };
        let start = timeline.earliest(class, latest);
        if let Some(start) = &start {
            timeline.book(class, start);
        }
        if start.is_some_and(|start| start.at == now) {
            starting.push(place);
        } else {
            waiting += 1;
            if order == Order::Fcfs {
                break;
            }
        }
    }
    starting
}

/// What users noticed of it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "means of many")]
pub fn figures(log: &Log, played: &Played) -> Figures {
    let jobs = log.jobs.len();
    let (mut wait, mut flow, mut slowdown, mut work, mut last) = (0.0, 0.0, 0.0, 0.0, 0);
    for (job, start) in log.jobs.iter().zip(&played.starts) {
        let waited = start - job.submitted;
        let stayed = waited + job.run;
        wait += waited as f64;
        flow += stayed as f64;
        slowdown += (stayed as f64 / job.run.max(BOUND) as f64).max(1.0);
        work += (job.run * job.processors) as f64;
        last = last.max(start + job.run);
    }
    let first = log.jobs.first().map_or(0, |job| job.submitted);
    let mean = |sum: f64| sum / jobs.max(1) as f64;
    Figures {
        jobs,
        mean_wait: mean(wait),
        mean_flow: mean(flow),
        mean_bounded_slowdown: mean(slowdown),
        utilisation: work / ((last - first).max(1) * log.processors.max(1)) as f64,
    }
}
