//! Jobs that stand in the queues of several partitions (`sbatch -p a,b`). Each queue comes to them
//! in its own time, as in Slurm, and the first that can starts them.

use std::{cmp::Reverse, collections::BTreeMap};

use common::{
    config::PartitionConf,
    id::JobId,
    job::{Job, Reason},
    machine::State,
};

use crate::{
    board::{Board, Booking},
    plan::Plan,
    turn::{Turn, tasks},
};

#[derive(Debug, Default)]
pub(crate) struct Several {
    /// How many are to start of each such job, and of each array: itself, or tasks.
    started: BTreeMap<JobId, usize>,
    /// What one of the partitions keeps for a job.
    kept: BTreeMap<JobId, Booking>,
}

impl Several {
    pub(crate) fn starts(&mut self, job: &Job) {
        // An array may have had a turn before its own.
        if job.partition.is_several() || job.array.is_some() {
            *self.started.entry(job.id).or_default() += 1;
        }
    }

    /// What an entry of a queue stands for that is not to start from another queue, or already.
    pub(crate) fn left<'a>(&self, job: &'a Job) -> Turn<'a> {
        let mut left = tasks(job);
        if let Some(started) = self.started.get(&job.id) {
            left.nth(started - 1);
        }
        left
    }

    /// Until when a start of the job, as one of its partitions has it, is of use: where another
    /// keeps nodes for it from an earlier moment, it needs none here.
    pub(crate) fn latest(plan: &Plan, job: &Job) -> u64 {
        let known = plan.estimates.get(&job.id).filter(|_| job.spec.partition.is_several());
        known.map_or(u64::MAX, |known| known.0.saturating_sub(1))
    }

    /// Nodes are kept for the job, or it starts: what was kept for it elsewhere is free again.
    pub(crate) fn keep(
        &mut self,
        board: &mut Board,
        job: &Job,
        booking: Option<Booking>,
    ) -> Option<Booking> {
        if !job.spec.partition.is_several() {
            return None;
        }
        let before = match booking {
            Some(booking) => self.kept.insert(job.id, booking),
            None => self.kept.remove(&job.id),
        };
        if let Some(before) = &before {
            board.give_back(before);
        }
        before
    }
}

/// Writes down why a job waits, where that is not its priority. What it waits for where it could
/// run counts more than what keeps it out elsewhere.
pub(crate) fn waits(plan: &mut Plan, job: &Job, reason: Option<Reason>) {
    if !job.partition.is_several() {
        plan.waits.extend(reason.map(|reason| (job.id, reason)));
        return;
    }
    let job = job.id;
    let room =
        |reason: Option<&Reason>| matches!(reason, Some(Reason::Resources | Reason::Licenses));
    let hopes = plan.estimates.contains_key(&job) || room(plan.waits.get(&job));
    match reason {
        Some(reason @ (Reason::Resources | Reason::Licenses)) => {
            plan.waits.insert(job, reason);
        }
        Some(reason) if !hopes => {
            plan.waits.insert(job, reason);
        }
        None if !room(plan.waits.get(&job)) => {
            plan.waits.remove(&job);
        }
        Some(_) | None => {}
    }
}

/// The view, as each of the job's partitions sees it: there, the job waits in that one alone.
pub(crate) fn each(view: &State, job: JobId) -> Vec<State> {
    let Some(job) = view.jobs.get(&job).filter(|job| job.partition.is_several()) else {
        return vec![view.clone()];
    };
    let Some(config) = view.config.as_deref() else { return vec![] };
    let confs = job.partition.each().filter_map(|name| config.partition(name));
    let place =
        |conf: &&PartitionConf| config.partitions.iter().position(|it| it.name == conf.name);
    // A plan comes to them in this order.
    let mut confs: Vec<_> = confs.collect();
    confs.sort_by_key(|conf| (Reverse(conf.priority_tier), place(conf)));
    let alone = confs.into_iter().map(|conf| {
        let mut view = view.clone();
        view.suppose_job(job.in_partition(conf));
        view
    });
    alone.collect()
}
