//! `rafter why`: why a job waits, until when, and what would let it start sooner.

use std::sync::Mutex;

use common::{
    id::JobId,
    machine::{Refusal, State},
};
use proto::{
    ctl::{WhyReply, WhyRequest},
    plan as wire, types,
};
use sched::{
    Factors, Ranks,
    why::{Earlier, Freed, Kind, Lead, Obstacle, Planned, Room, Sooner, Waiting},
};
use tonic::{Request, Status};

use super::{
    aside::aside,
    status::{refused, unavailable, user},
};
use crate::{
    clock,
    shared::Shared,
    views::{Filter, Viewer},
};

pub(super) async fn why(shared: &Shared, request: Request<WhyRequest>) -> Result<WhyReply, Status> {
    user(&request)?;
    let WhyRequest { job, task } = request.into_inner();
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    let (state, now) = (applied.state.clone(), clock::now().max(applied.state.at));
    let config = state.config.clone().ok_or_else(|| refused(&Refusal::Disabled))?;
    let job = named(&state, JobId(job), task).ok_or(Refusal::NoSuchJob(JobId(job)));
    let job = job.map_err(|refusal| refused(&refusal))?;
    let waits = shared.reasons.waits(&state, now);
    let ranks = Ranks::of(&state, now).map(Mutex::new);
    let ranks = ranks.as_ref();
    let viewer = Viewer { state: &state, config: &config, waits: &waits, now, whole: false, ranks };
    let filter = Filter { jobs: vec![job], ..Filter::default() };
    // Tasks of an array, and components, come after it.
    let view = viewer.page(&filter, job, 1).0.into_iter().next();
    let found = aside(shared, move || sched::why::why(&state, now, job)).await?;
    Ok(WhyReply { now: now.0, job: view, waiting: found.map(waiting) })
}

/// The job of that number, or the one that is or stands for that task.
fn named(state: &State, job: JobId, task: Option<u32>) -> Option<JobId> {
    let Some(task) = task else { return state.jobs.contains_key(&job).then_some(job) };
    let waits = || state.waiting(job).is_some_and(|(_, tasks)| tasks.contains(task));
    state.tasks.get(job, task).or_else(|| waits().then_some(job))
}

fn waiting(waiting: Waiting) -> wire::Waiting {
    let Waiting { partition, obstacles, room, ahead, alone, planned, supposed, sooner, all_tried } =
        waiting;
    wire::Waiting {
        partition: partition.to_string(),
        obstacles: obstacles.into_iter().map(obstacle).collect(),
        room: room.as_ref().map(self::room),
        ahead: ahead.count,
        factors: ahead.factors.map(factors),
        first: ahead.first.into_iter().map(earlier).collect(),
        alone: alone.map(|at| at.0),
        planned: planned.as_ref().map(self::planned),
        supposed: supposed.into_iter().map(|reason| types::Reason::from(reason).into()).collect(),
        sooner: sooner.iter().map(self::sooner).collect(),
        all_tried,
    }
}

fn obstacle(obstacle: Obstacle) -> wire::Obstacle {
    let Obstacle { reason, text, until } = obstacle;
    let reason = types::Reason::from(reason).into();
    wire::Obstacle { reason, text, until: until.map(|at| at.0) }
}

fn room(room: &Room) -> wire::Room {
    let short = |kind: Kind| {
        let found = room.short.iter().find(|(short, _)| *short == kind);
        found.map_or(0, |(_, nodes)| *nodes)
    };
    let Room { nodes, down, drained, barred, fit, short: _, named: _, kept_off, needs, tasks } =
        room;
    wire::Room {
        nodes: *nodes,
        down: *down,
        drained: *drained,
        barred: *barred,
        fit: *fit,
        short_cpus: short(Kind::Cpus),
        short_memory: short(Kind::Memory),
        short_gpus: short(Kind::Gpus),
        kept_off: *kept_off,
        needs: *needs,
        tasks: tasks.map(|(tasks, _)| tasks),
        tasks_fit: tasks.map(|(_, fit)| fit),
    }
}

fn earlier(earlier: Earlier) -> wire::Earlier {
    let Earlier { job, user, partition, by, priority, factors } = earlier;
    let by = match by {
        Lead::Qos => wire::Lead::Qos,
        Lead::Tier => wire::Lead::Tier,
        Lead::Priority => wire::Lead::Priority,
        Lead::Submission => wire::Lead::Submission,
        Lead::Number => wire::Lead::Number,
    };
    wire::Earlier {
        job: job.0,
        user,
        partition: partition.to_string(),
        by: by.into(),
        priority,
        factors: factors.map(self::factors),
    }
}

fn factors(factors: Factors) -> wire::Factors {
    let Factors { age, assoc, fair_share, job_size, partition, qos, tres, nice } = factors;
    wire::Factors { age, assoc, fair_share, job_size, partition, qos, tres, nice }
}

fn planned(planned: &Planned) -> wire::Planned {
    let freed = |freed: &Freed| wire::Freed {
        job: freed.job.0,
        runs: freed.runs,
        makes_way: freed.makes_way,
        until: freed.until.0,
        nodes: freed.nodes.iter().map(ToString::to_string).collect(),
    };
    wire::Planned {
        at: planned.at.0,
        places: planned.places.iter().map(Into::into).collect(),
        freed: planned.freed.iter().map(freed).collect(),
    }
}

fn sooner(sooner: &Sooner) -> wire::Sooner {
    wire::Sooner { option: sooner.change.option(), start: sooner.start.0 }
}
