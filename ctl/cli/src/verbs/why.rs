//! `rafter why JOB`: why a job waits, until when, and what would let it start sooner.

mod page;

use common::{
    job::{Reason, TaskSet},
    time::Timestamp,
};
use jiff::tz::TimeZone;
use proto::{
    ctl::{WhyReply, WhyRequest},
    plan::{Earlier, Factors, Freed, Lead, Obstacle, Planned, Room, Sooner, Waiting},
    types::{self, Place},
};
use serde_json::{Value, json};
use tonic::Response;
use trust::controllers::Target;

use super::{failed, print_json};
use crate::{
    client::{self, Client, Controller},
    say,
    trouble::Trouble,
    view::{Job, JobTarget, Malformed},
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The job's number, or an array's task as `7_3`
    #[arg(value_name = "JOB", value_parser = asked)]
    job: WhyRequest,
    /// For programs: one object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> u8 {
    let reply = match client::runtime().block_on(ask(args.job)) {
        Ok(reply) => reply,
        Err(trouble) => return failed("why", &trouble),
    };
    let text = if args.json {
        object(&reply).map(|object| print_json(&object))
    } else {
        page::text(&reply, &TimeZone::system(), say::in_colour()).map(|text| say::out(&text))
    };
    match text {
        Ok(()) => 0,
        Err(malformed) => {
            say::error(&malformed.to_string());
            1
        }
    }
}

/// One job, or one task.
fn asked(text: &str) -> Result<WhyRequest, String> {
    let wrong = || "Invalid job id specified".to_owned();
    let JobTarget { job, tasks, component: _ } = JobTarget::parse(text).ok_or_else(wrong)?;
    let task = tasks.as_ref().and_then(TaskSet::first);
    match tasks.map_or(0, |tasks| tasks.len()) {
        0 | 1 => Ok(WhyRequest { job, task }),
        _ => Err(wrong()),
    }
}

async fn ask(asked: WhyRequest) -> Result<WhyReply, Trouble> {
    let client = Client::open()?;
    let attempt = |mut controller: Controller| async move {
        let reply = controller.why(client::request(asked)).await;
        reply.map(Response::into_inner)
    };
    client.call(Target::Any, attempt).await
}

fn job(reply: &WhyReply) -> Result<Job<'_>, Malformed> {
    let view = reply.job.as_ref().ok_or(Malformed("job"))?;
    Job::of(view, Timestamp(reply.now))
}

/// A reason's word.
fn word(reason: i32) -> &'static str {
    let reason = types::Reason::try_from(reason).ok().and_then(|it| Reason::try_from(it).ok());
    reason.map_or("?", Reason::as_str)
}

/// An interface: names are added, and none is renamed or taken away.
fn object(reply: &WhyReply) -> Result<Value, Malformed> {
    let job = job(reply)?;
    Ok(json!({
        "job": job.id(),
        "name": job.spec.name,
        "user": job.spec.user_name,
        "partition": job.job.partition,
        "state": job.state().name(),
        "reason": job.reason(),
        "priority": job.job.priority,
        "now_ms": reply.now,
        "waiting": reply.waiting.as_ref().map(waiting),
    }))
}

fn waiting(waiting: &Waiting) -> Value {
    let obstacle = |obstacle: &Obstacle| {
        let Obstacle { reason, text, until } = obstacle;
        json!({ "reason": word(*reason), "text": text, "until_ms": until })
    };
    let sooner = |sooner: &Sooner| json!({ "option": sooner.option, "start_ms": sooner.start });
    json!({
        "partition": waiting.partition,
        "obstacles": waiting.obstacles.iter().map(obstacle).collect::<Vec<_>>(),
        "room": waiting.room.as_ref().map(room),
        "ahead": waiting.ahead,
        "factors": waiting.factors.as_ref().map(factors),
        "first_ahead": waiting.first.iter().map(earlier).collect::<Vec<_>>(),
        "alone_ms": waiting.alone,
        "planned": waiting.planned.as_ref().map(planned),
        "supposed_gone": waiting.supposed.iter().map(|it| word(*it)).collect::<Vec<_>>(),
        "sooner": waiting.sooner.iter().map(sooner).collect::<Vec<_>>(),
        "all_tried": waiting.all_tried,
    })
}

fn room(room: &Room) -> Value {
    json!({
        "nodes": room.nodes,
        "down": room.down,
        "drained": room.drained,
        "not_for_it": room.barred,
        "have_room": room.fit,
        "short_of_cpus": room.short_cpus,
        "short_of_memory": room.short_memory,
        "short_of_gpus": room.short_gpus,
        "kept_off_by_others": room.kept_off,
        "needs": room.needs,
        "tasks": room.tasks,
        "tasks_have_room": room.tasks_fit,
    })
}

fn earlier(earlier: &Earlier) -> Value {
    let Earlier { job, user, partition, .. } = earlier;
    let by = match earlier.by() {
        Lead::Qos => "qos",
        Lead::Tier => "tier",
        Lead::Priority => "priority",
        Lead::Submission => "submission",
        Lead::Number | Lead::Unspecified => "number",
    };
    json!({
        "job": job,
        "user": user,
        "partition": partition,
        "by": by,
        "priority": earlier.priority,
        "factors": earlier.factors.as_ref().map(factors),
    })
}

fn factors(factors: &Factors) -> Value {
    let Factors { age, assoc, fair_share, job_size, partition, qos, tres, nice } = factors;
    json!({
        "age": age,
        "assoc": assoc,
        "fair_share": fair_share,
        "job_size": job_size,
        "partition": partition,
        "qos": qos,
        "tres": tres,
        "nice": nice,
    })
}

fn planned(planned: &Planned) -> Value {
    let place = |place: &Place| {
        let held = place.held.unwrap_or_default();
        json!({
            "node": place.node,
            "tasks": place.tasks,
            "cpus": held.cpus,
            "memory_mib": held.memory_mib,
        })
    };
    let freed = |freed: &Freed| {
        let Freed { job, runs, until, nodes, makes_way } = freed;
        json!({
            "job": job, "runs": runs, "makes_way": makes_way, "until_ms": until, "nodes": nodes,
        })
    };
    json!({
        "at_ms": planned.at,
        "places": planned.places.iter().map(place).collect::<Vec<_>>(),
        "when_these_end": planned.freed.iter().map(freed).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
