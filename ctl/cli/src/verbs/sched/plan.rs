//! `rafter sched plan`: the plan of what was saved, by the scheduler's own code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anstyle::Style;
use common::{
    config::Config,
    date,
    hostlist::Hostlist,
    id::JobId,
    job::{ArrayPart, Job, Place, Reason, TaskSet},
    machine::{Allocation, State},
    time::Timestamp,
};
use jiff::tz::TimeZone;
use proto::convert::{Inputs, read_inputs};
use sched::Plan;
use serde_json::{Value, json};

use super::super::{
    page::{DOUBTFUL, GOOD, HEADING, Page, plain},
    print_json,
};
use crate::{say, view::JobTarget};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file of `rafter sched dump`; - is stdin
    file: PathBuf,
    /// For programs: one object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> u8 {
    let inputs = match read(&args.file) {
        Ok(inputs) => inputs,
        Err(text) => {
            say::error(&format!("{}: {text}", args.file.display()));
            return 1;
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    if inputs.release != own {
        let Inputs { release, .. } = &inputs;
        say::info(&format!("release {release} saved this, and {own} may plan in another way"));
    }
    let began = Instant::now();
    let plan = sched::plan(&inputs.state, inputs.now);
    let took = began.elapsed();
    let lines = lines(&inputs.state, inputs.now, plan);
    if args.json {
        print_json(&object(&inputs, &lines));
    } else {
        say::out(&text(&inputs, &lines, &TimeZone::system(), say::in_colour()));
        say::err(&format!("planned in {:.1} ms\n", took.as_secs_f64() * 1e3));
    }
    0
}

fn read(path: &Path) -> Result<Inputs, String> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| error.to_string())?;
    read_inputs(&bytes.into()).map_err(|error| crate::trouble::chain(&error))
}

/// What the plan says of one job.
struct Line<'a> {
    job: &'a Job,
    /// As it counts at this moment.
    priority: u32,
    /// Which of its tasks, where the job stands for some.
    tasks: Option<TaskSet>,
    reason: Reason,
    /// When it starts, or is to start, or may be looked at again.
    at: Option<Timestamp>,
    /// Where it starts now; empty where it waits.
    places: Vec<Place>,
    /// Which jobs are to make way for it.
    make_way: Vec<JobId>,
}

/// All jobs that wait: in the order in which they were planned, and then those that were not.
fn lines(state: &State, now: Timestamp, plan: Plan) -> Vec<Line<'_>> {
    let Some(config) = state.config.as_deref() else { return vec![] };
    let order = sched::order(state, now).into_iter();
    let mut jobs: Vec<(&Job, u32)> =
        order.map(|(turn, job)| (job.as_ref(), turn.key.priority.0)).collect();
    let queued: BTreeSet<JobId> = jobs.iter().map(|(job, _)| job.id).collect();
    let others = state.jobs.values().filter(|job| job.is_pending() && !queued.contains(&job.id));
    jobs.extend(others.map(|job| (job.as_ref(), job.priority)));
    let Plan { starts, waits, estimates, preempts, .. } = plan;
    let make_way = |job: JobId| {
        let its = preempts.iter().filter(move |one| one.start.job == job);
        its.flat_map(|one| &one.runs).map(|(run, _)| *run).collect::<Vec<JobId>>()
    };
    let mut started: BTreeMap<JobId, Vec<Allocation>> = BTreeMap::new();
    for start in starts.iter().flat_map(Allocation::all) {
        started.entry(start.job).or_default().push(start.clone());
    }
    let mut lines = Vec::with_capacity(jobs.len());
    for (job, priority) in jobs {
        let mut left = match &job.array {
            Some(ArrayPart::Waiting(tasks)) => Some(tasks.clone()),
            Some(ArrayPart::Task { .. }) | None => None,
        };
        let starts = started.remove(&job.id).unwrap_or_default();
        let all = left.is_none() && !starts.is_empty();
        for Allocation { task, places, .. } in starts {
            let (reason, at, tasks) = (Reason::None, Some(now), task.map(TaskSet::one));
            left = left.zip(tasks.as_ref()).map(|(left, task)| left.without(task));
            lines.push(Line { job, priority, tasks, reason, at, places, make_way: vec![] });
        }
        if !all && !left.as_ref().is_some_and(TaskSet::is_empty) {
            let line = waiting(config, now, (&waits, &estimates), job);
            let make_way = make_way(job.id);
            lines.push(Line { priority, tasks: left, make_way, ..line });
        }
    }
    lines
}

fn waiting<'a>(
    config: &Config,
    now: Timestamp,
    (waits, estimates): (&BTreeMap<JobId, Reason>, &BTreeMap<JobId, Timestamp>),
    job: &'a Job,
) -> Line<'a> {
    let found = || waits.get(&job.id).copied().unwrap_or(Reason::Priority);
    let reason = sched::reason(config, job, now, found);
    let begin = job.begin.filter(|begin| reason == Reason::BeginTime && *begin > now);
    let at = estimates.get(&job.id).copied().or(begin);
    let (priority, places, make_way) = (job.priority, vec![], vec![]);
    Line { job, priority, tasks: None, reason, at, places, make_way }
}

fn listed(jobs: &[JobId]) -> String {
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

fn nodes(places: &[Place]) -> String {
    Hostlist::from_names(places.iter().map(|place| place.node.as_str())).to_string()
}

/// An interface: names are added, and none is renamed or taken away.
fn object(inputs: &Inputs, lines: &[Line<'_>]) -> Value {
    let place = |place: &Place| {
        json!({
            "node": place.node.as_str(),
            "tasks": place.tasks,
            "cpus": place.held.cpus,
            "memory_mib": place.held.memory_mib,
        })
    };
    let job = |line: &Line<'_>| {
        let Line { job, priority, tasks, reason, at, places, make_way } = line;
        json!({
            "job": job.id.0,
            "array_tasks": tasks.as_ref().map(TaskSet::to_string),
            "name": job.spec.name,
            "user": job.spec.user_name,
            "partition": job.partition.as_str(),
            "priority": priority,
            "starts": !places.is_empty(),
            "reason": reason.as_str(),
            "at_ms": at.map(|at| at.0),
            "places": places.iter().map(place).collect::<Vec<_>>(),
            "make_way": make_way.iter().map(|job| job.0).collect::<Vec<_>>(),
        })
    };
    let config = inputs.state.config.as_deref();
    json!({
        "cluster": config.map(|config| config.cluster_name.as_str()),
        "at_ms": inputs.now.0,
        "release": inputs.release,
        "jobs": lines.iter().map(job).collect::<Vec<_>>(),
    })
}

fn text(inputs: &Inputs, lines: &[Line<'_>], zone: &TimeZone, in_colour: bool) -> String {
    let Inputs { state, now, .. } = inputs;
    let mut page = Page::new(in_colour);
    let cluster = state.config.as_deref().map_or("", |config| config.cluster_name.as_str());
    page.line(HEADING, &format!("Cluster {cluster} at {}", date::format(*now, zone)));
    let running = state.jobs.values().filter(|job| job.holding().is_some()).count();
    let starting = lines.iter().filter(|line| !line.places.is_empty()).count();
    let waiting = lines.len() - starting;
    let nodes_up = state.nodes.values().filter(|node| node.is_usable()).count();
    let count = format!(
        "{running} jobs run, {starting} start, {waiting} wait; \
         {nodes_up} of {} nodes take jobs\n",
        state.nodes.len(),
    );
    page.line(Style::new(), &count);
    let header = ["JOB", "USER", "PARTITION", "PRIORITY", "PLAN", "AT", "NODES(REASON)"];
    let mut table = plain(header, &[0, 3]);
    let mut styles = vec![HEADING];
    for Line { job, priority, tasks, reason, at, places, make_way } in lines {
        let id = match job.het() {
            Some(part) => {
                JobTarget { component: Some(part.offset), ..JobTarget::job(part.leader.0) }
            }
            None => JobTarget::tasks(job.id.0, tasks.clone()),
        };
        let id = id.to_string();
        let priority = priority.to_string();
        let at = at.map(|at| date::format(at, zone)).unwrap_or_default();
        let starts = !places.is_empty();
        let (word, last) = match make_way.as_slice() {
            _ if starts => ("start", nodes(places)),
            [] => ("wait", format!("({reason})")),
            jobs => ("wait", format!("({reason}: {} to make way)", listed(jobs))),
        };
        let user = job.spec.user_name.as_str();
        table.add_row([&id, user, job.partition.as_str(), &priority, word, &at, &last]);
        styles.push(match (starts, at.is_empty()) {
            (true, _) => GOOD,
            (false, true) => DOUBTFUL,
            (false, false) => Style::new(),
        });
    }
    page.table(&table, &styles);
    page.into_text()
}

#[cfg(test)]
mod tests;
