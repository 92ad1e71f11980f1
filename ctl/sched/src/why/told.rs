//! The details of what holds a job, for people.

use std::fmt::Write as _;

use common::{
    config::Config,
    hostlist::Hostlist,
    job::{Condition, Fate, Job, On, Phase},
    machine::{Rules, State},
    node::{Availability, Node},
};

use super::{
    component,
    room::{Kind as Lack, Room},
};
use crate::{limits::least, placement::need};

/// Which limit of whom, where that does not depend on the nodes that it would get.
pub(super) fn limit(view: &State, config: &Config, job: &Job) -> String {
    let conf = config.partition(job.partition.as_str());
    let exceeded = conf.zip(Rules::of(view)).and_then(|(conf, rules)| {
        let need = need(config, conf, job);
        rules.exceeded(job, &least(job, &need))
    });
    exceeded.unwrap_or_else(|| "a limit of its association or QOS".to_owned())
}

/// `asks for matlab:4, of which 1 of 8 are free now`
pub(super) fn licenses(view: &State, config: &Config, job: &Job) -> String {
    let license = |(name, count): &(String, u32)| {
        let (free, total) = (view.free_licenses(name), config.license_total(name));
        let more = if free >= *count { ", and others are to have them" } else { "" };
        format!("asks for {name}:{count}, of which {free} of {total} are free now{more}")
    };
    let asked = component::licenses(view, job);
    let parts: Vec<String> = asked.counts.iter().map(license).collect();
    parts.join("; ")
}

pub(super) fn nodes(count: u64) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

/// `n[1-2] down, n3 drained`
pub(super) fn states(out: &[Node]) -> String {
    let word = |node: &Node| match node.availability {
        _ if node.drain => "drained",
        Availability::Unknown => "unknown",
        Availability::Up | Availability::Down | Availability::Lost => "down",
    };
    let list = |state: &str| {
        let chosen = out.iter().filter(|node| word(node) == state);
        let list = Hostlist::from_names(chosen.map(|node| node.name.as_str()));
        (!list.is_empty()).then(|| format!("{list} {state}"))
    };
    let parts: Vec<String> = ["unknown", "down", "drained"].into_iter().filter_map(list).collect();
    parts.join(", ")
}

/// The conditions that are open, and how the jobs are that they name.
pub(super) fn conditions(view: &State, job: &Job) -> String {
    let Some(dependency) = &job.dependency else { return String::new() };
    let open = dependency.conditions.iter().filter(|condition| condition.fate != Fate::Met);
    let parts: Vec<String> = open.map(|condition| awaited(view, condition)).collect();
    let joint = if dependency.any { ", or " } else { ", " };
    format!("waits for {}", parts.join(joint))
}

fn awaited(view: &State, condition: &Condition) -> String {
    let other = match condition.on {
        On::Job { job, .. } => view.jobs.get(&job),
        On::Singleton => None,
    };
    let how = match (condition.fate, other.map(|other| &other.phase)) {
        (Fate::Failed, _) => "can't be met any more",
        (Fate::Due(_), _) => "has happened, and its delay is not over",
        (Fate::Open | Fate::Met, Some(Phase::Pending)) => "pending",
        (Fate::Open | Fate::Met, Some(Phase::Active(_))) => "running",
        (Fate::Open | Fate::Met, Some(Phase::Completing { .. })) => "completing",
        (Fate::Open | Fate::Met, Some(Phase::Ended { .. }) | None) => "open",
    };
    format!("{} ({how})", condition.on)
}

/// What there is too little of.
pub(super) fn lacks(room: &Room, job: &Job) -> String {
    let enough = room.fit >= room.needs;
    let placing = job.spec.asks().placing;
    let apart = match placing.switches {
        _ if enough && placing.contiguous => ", and too few follow each other".to_owned(),
        Some(few) if enough => format!(", and too few beside {} switches or less", few.most),
        Some(_) | None => String::new(),
    };
    format!("{}{apart}", shortage(room))
}

/// `needs 4 nodes, and 2 have room now; 3 have too few CPUs free, 1 is drained`
fn shortage(room: &Room) -> String {
    let Room { down, drained, barred, fit, short, named, kept_off, needs, tasks, .. } = room;
    let mut text = match tasks {
        Some((tasks, _)) => format!("needs {} for {tasks} tasks", nodes(u64::from(*needs))),
        None => format!("needs {}", nodes(u64::from(*needs))),
    };
    let _ = match (fit, tasks) {
        (0, _) => write!(text, ", and none has room now"),
        (1, Some((_, fitting))) => write!(text, ", and 1 has room now for {fitting}"),
        (fit, Some((_, fitting))) => write!(text, ", and {fit} have room now for {fitting}"),
        (1, None) => write!(text, ", and 1 has room now"),
        (fit, None) => write!(text, ", and {fit} have room now"),
    };
    let kind = |(kind, nodes): &(Lack, u32)| {
        let what = match kind {
            Lack::Cpus => "too few CPUs free",
            Lack::Memory => "too little memory free",
            Lack::Gpus => "too few GPUs free",
        };
        format!("{nodes} with {what}")
    };
    let mut rest: Vec<String> = short.iter().map(kind).collect();
    let others = "with jobs of another user";
    let states = [(kept_off, others), (down, "down"), (drained, "drained"), (barred, "not for it")];
    for (nodes, what) in states {
        if *nodes > 0 {
            rest.push(format!("{nodes} {what}"));
        }
    }
    if !rest.is_empty() {
        let _ = write!(text, "; {}", rest.join(", "));
    }
    if !named.is_empty() {
        let has = if named.len() == 1 { "has" } else { "have" };
        let names = Hostlist::from_names(named.iter().map(|name| name.as_str()));
        let _ = write!(text, "; {names}, which it names, {has} none");
    }
    text
}
