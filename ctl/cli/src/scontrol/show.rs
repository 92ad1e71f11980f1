//! `scontrol show`: records of jobs, nodes, partitions and the configuration, and lists of hosts.

mod config;
mod host;
mod job;
mod json;
mod license;
mod node;
mod partition;
mod record;
pub(crate) mod reservation;
mod topology;

use common::{hostlist::Hostlist, time::Timestamp};
use proto::ctl::{JobsReply, JobsRequest};
use serde_json::Value;

#[cfg(test)]
pub(super) use self::{
    job::text as job_text, json::node as node_json, node::text as node_text,
    partition::text as partition_text,
};
use super::{act::NO_SUCH_JOB, session::Session};
use crate::{
    client, fetch,
    render::json as slurm,
    say,
    users::UserNames,
    view::{self, Malformed},
};

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entity {
    Topology,
    Aliases,
    Config,
    /// What Slurm says nothing about where there is none of it.
    Silent,
    Hostlist,
    HostlistSorted,
    Hostnames,
    Jobs,
    Licenses,
    Nodes,
    Partitions,
    Reservations,
    Unsupported(&'static str),
}

/// Names, and how many of their first letters will do.
const ENTITIES: &[(&str, usize, Entity)] = &[
    ("aliases", 1, Entity::Aliases),
    ("assoc_mgr", 2, Entity::Unsupported("assoc_mgr")),
    ("bbstat", 2, Entity::Silent),
    ("burstbuffer", 2, Entity::Silent),
    ("config", 1, Entity::Config),
    ("daemons", 1, Entity::Unsupported("daemons")),
    ("dwstat", 2, Entity::Silent),
    ("federation", 1, Entity::Silent),
    ("hostlist", 5, Entity::Hostlist),
    ("hostlistsorted", 9, Entity::HostlistSorted),
    ("hostnames", 5, Entity::Hostnames),
    ("jobs", 1, Entity::Jobs),
    ("jobid", 1, Entity::Jobs),
    ("licenses", 2, Entity::Licenses),
    ("nodes", 1, Entity::Nodes),
    ("partitions", 2, Entity::Partitions),
    ("reservations", 1, Entity::Reservations),
    ("slurmd", 2, Entity::Unsupported("slurmd")),
    ("steps", 2, Entity::Unsupported("step")),
    ("topoconf", 5, Entity::Unsupported("topoconf")),
    ("topology", 1, Entity::Topology),
];

fn entity(word: &str) -> Option<Entity> {
    let begins = |(name, letters, _): &&(&str, usize, Entity)| {
        let head = name.get(..word.len());
        word.len() >= *letters && head.is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    ENTITIES.iter().find(begins).map(|(.., entity)| *entity)
}

/// Shows what the words name: `job 7`, `job=7`, `nodes`.
pub(super) fn run(session: &mut Session<'_>, words: &[&str]) -> u8 {
    let (word, mut id) = match words[0].split_once('=') {
        Some((word, id)) => (word, Some(id)),
        None => (words[0], None),
    };
    id = words.get(1).copied().or(id);
    let outcome = match entity(word) {
        None => Err(session.complain(&format!("invalid entity:{word} for keyword:show\n"))),
        Some(Entity::Unsupported(name)) => {
            Err(session.complain(&format!("scontrol: error: show {name} is not supported\n")))
        }
        Some(Entity::Silent) => Ok(0),
        Some(Entity::Hostlist) => host::list(session, id, false),
        Some(Entity::HostlistSorted) => host::list(session, id, true),
        Some(Entity::Hostnames) => host::names(session, id),
        Some(Entity::Aliases) => host::aliases(session, id),
        Some(Entity::Config) => config::run(session),
        Some(Entity::Jobs) => jobs(session, id),
        Some(Entity::Nodes) => nodes(session, id),
        Some(Entity::Partitions) => partitions(session, id),
        Some(Entity::Topology) => topology::run(session, id),
        Some(Entity::Licenses) => license::run(session, id),
        Some(Entity::Reservations) => reservations(session, id),
    };
    outcome.unwrap_or_else(|exit| exit)
}

fn malformed(session: &Session<'_>, error: Malformed) -> u8 {
    session.complain(&format!("scontrol: error: {error}\n"))
}

/// Says a result that is one only in its absence. Even that is left out where it is to be quiet.
fn absent(session: &Session<'_>, text: &str) -> u8 {
    if !session.flags.quiet {
        say::out(text);
    }
    1
}

fn put_json(session: &Session<'_>, name: &str, value: Value, now: u64) {
    let updated = slurm::number(Timestamp(now).seconds());
    let answer = slurm::answer(vec![(name, value), ("last_update", updated)], &session.meta());
    say::out(&slurm::text(&answer, session.compact_json()));
}

fn reservations(session: &mut Session<'_>, id: Option<&str>) -> Result<u8, u8> {
    let stale_ok = session.flags.stale_ok;
    let reply = session.ask("slurm_load_reservations error: ", async |client| {
        fetch::reservations(client, stale_ok).await
    })?;
    let all = reservation::Shown::all(&reply.reservations);
    let mut all = all.map_err(|error| malformed(session, error))?;
    if let Some(id) = id {
        all.retain(|shown| shown.one.name == id);
    }
    if session.flags.json {
        let values = all.iter().map(reservation::value).collect();
        put_json(session, "reservations", values, reply.now);
        return Ok(0);
    }
    if all.is_empty() {
        let Some(name) = id else {
            say::out("No reservations in the system\n");
            return Ok(0);
        };
        return Err(absent(session, &format!("Reservation {name} not found\n")));
    }
    let clock = session.clock(reply.now);
    let mut out = String::new();
    for shown in &all {
        reservation::text(&mut out, shown, &clock, session.flags.one_line);
    }
    say::out(&out);
    Ok(0)
}

fn load_jobs(session: &mut Session<'_>, job: Option<u32>) -> Result<JobsReply, u8> {
    let request = JobsRequest {
        jobs: job.into_iter().collect(),
        users: vec![],
        partitions: vec![],
        stale_ok: session.flags.stale_ok,
        whole: true,
        skip_hidden: !session.flags.all && job.is_none(),
    };
    session.ask("slurm_load_jobs error: ", async |client| client::jobs(client, request).await)
}

fn jobs(session: &mut Session<'_>, id: Option<&str>) -> Result<u8, u8> {
    // One task may be shown by itself, but no list of them.
    let read = |text| view::JobTarget::parse(text).filter(|_| !text.contains('['));
    let target = match id.map(read) {
        None => None,
        Some(Some(target)) => Some(target),
        Some(None) => {
            let text = format!("scontrol_print_job error: {NO_SUCH_JOB}\n");
            return Err(session.complain(&text));
        }
    };
    let reply = load_jobs(session, target.as_ref().map(|target| target.job))?;
    if target.is_some() && reply.jobs.is_empty() {
        return Err(session.complain(&format!("slurm_load_jobs error: {NO_SUCH_JOB}\n")));
    }
    let jobs = view::Job::all(&reply.jobs, Timestamp(reply.now));
    let mut jobs = jobs.map_err(|error| malformed(session, error))?;
    let part = |target: &view::JobTarget| target.tasks.is_some() || target.component.is_some();
    if let Some(target) = target.filter(part) {
        jobs.retain(|job| target.names(job.job));
        let single = |job: view::Job<'_>| target.waiting(job.job).and_then(|all| all.first());
        jobs = jobs.into_iter().map(|job| view::Job { task: single(job), ..job }).collect();
        if jobs.is_empty() {
            return Err(absent(session, &format!("Job {target} not found\n")));
        }
    }
    if session.flags.json {
        let cluster = session.meta().cluster.to_owned();
        let values = jobs.iter().map(|job| crate::squeue::json_of_job(job, &cluster)).collect();
        let data = vec![
            ("jobs", values),
            ("last_backfill", slurm::number(0)),
            ("last_update", slurm::number(Timestamp(reply.now).seconds())),
        ];
        let answer = slurm::answer(data, &session.meta());
        say::out(&slurm::text(&answer, session.compact_json()));
        return Ok(0);
    }
    if jobs.is_empty() {
        say::out("No jobs in the system\n");
        return Ok(0);
    }
    let clock = session.clock(reply.now);
    let mut out = String::new();
    for job in &jobs {
        job::text(&mut out, job, &clock, session.flags);
    }
    say::out(&out);
    Ok(0)
}

/// Jobs that complete, each with the nodes that it still holds.
pub(super) fn completing(session: &mut Session<'_>) -> u8 {
    let reply = match load_jobs(session, None) {
        Ok(reply) => reply,
        Err(exit) => return exit,
    };
    let jobs = match view::Job::all(&reply.jobs, Timestamp(reply.now)) {
        Ok(jobs) => jobs,
        Err(error) => return malformed(session, error),
    };
    let clock = session.clock(reply.now);
    let mut out = String::new();
    for job in jobs.iter().filter(|job| matches!(job.state(), view::State::Completing(_))) {
        let ended = job.end().map(|end| Timestamp(end.at));
        let since = ended.map_or(common::time::Span(0), |at| job.now.since(at)).padded();
        let ended = clock.text(ended, "Unknown");
        out.push_str(&format!("JobId={} EndTime={ended} CompletingTime={since} ", job.id()));
        out.push_str("Nodes(COMPLETING)=");
        job.put_nodes(&mut out);
        out.push('\n');
    }
    say::out(&out);
    0
}

fn nodes(session: &mut Session<'_>, id: Option<&str>) -> Result<u8, u8> {
    let stale_ok = session.flags.stale_ok;
    let reply = session
        .ask("slurm_load_node error: ", async |client| fetch::nodes(client, stale_ok).await)?;
    let nodes = view::Node::all(&reply.nodes).map_err(|error| malformed(session, error))?;
    let partitions = view::Partition::all(&reply.partitions, &nodes);
    let mut exit = 0;
    let mut shown = Vec::new();
    match id {
        None => shown.extend(nodes.iter()),
        Some(text) => match Hostlist::parse(text) {
            Err(_) => return Err(absent(session, &format!("Node {text} not found\n"))),
            Ok(list) => {
                for name in list.iter() {
                    match nodes.iter().find(|node| node.name() == name) {
                        Some(node) => shown.push(node),
                        None => exit = absent(session, &format!("Node {name} not found\n")),
                    }
                }
            }
        },
    }
    let mut names = UserNames::default();
    if session.flags.json {
        let values = shown.iter().map(|node| json::node(node, &partitions, &mut names)).collect();
        put_json(session, "nodes", values, reply.now);
        return Ok(exit);
    }
    let clock = session.clock(reply.now);
    let mut out = String::new();
    for node in shown {
        node::text(&mut out, node, &partitions, &clock, session.flags, &mut names);
    }
    if nodes.is_empty() {
        out.push_str("No nodes in the system\n");
    }
    say::out(&out);
    Ok(exit)
}

/// `scontrol getaddrs`: where nodes listen.
pub(super) fn addresses(session: &mut Session<'_>, text: &str) -> u8 {
    let reply =
        session.ask("slurm_load_node error: ", async |client| fetch::nodes(client, false).await);
    let reply = match reply {
        Ok(reply) => reply,
        Err(exit) => return exit,
    };
    let list = Hostlist::parse(text).unwrap_or_default();
    let mut exit = 0;
    for name in list.iter() {
        let found =
            reply.nodes.iter().filter_map(|view| view.node.as_ref().zip(view.conf.as_ref()));
        match found.into_iter().find(|(node, _)| node.name == name) {
            Some((node, conf)) => {
                say::out(&format!("{name}: {}:{}\n", node.address, conf.port));
            }
            None => exit = session.complain(&format!("Invalid node name specified: {name}\n")),
        }
    }
    exit
}

fn partitions(session: &mut Session<'_>, id: Option<&str>) -> Result<u8, u8> {
    let stale_ok = session.flags.stale_ok;
    let reply = session.ask("slurm_load_partitions error: ", async |client| {
        fetch::nodes(client, stale_ok).await
    })?;
    let nodes = view::Node::all(&reply.nodes).map_err(|error| malformed(session, error))?;
    let mut shown = view::Partition::all(&reply.partitions, &nodes);
    match id {
        Some(name) => {
            shown.retain(|partition| partition.conf.name == name);
            if shown.is_empty() {
                return Err(absent(session, &format!("Partition {name} not found\n")));
            }
        }
        None => shown.retain(|partition| session.flags.all || !partition.conf.hidden),
    }
    if session.flags.json {
        let values = shown.iter().map(view::Partition::json).collect();
        put_json(session, "partitions", values, reply.now);
        return Ok(0);
    }
    let mut out = String::new();
    for partition in &shown {
        partition::text(&mut out, partition, session.flags);
    }
    say::out(&out);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tried with the real command.
    #[test]
    fn entities_may_be_abbreviated() {
        let cases = [
            ("job", Some(Entity::Jobs)),
            ("j", Some(Entity::Jobs)),
            ("JobId", Some(Entity::Jobs)),
            ("n", Some(Entity::Nodes)),
            ("con", Some(Entity::Config)),
            ("hostname", Some(Entity::Hostnames)),
            ("hostlist", Some(Entity::Hostlist)),
            ("hostlists", Some(Entity::HostlistSorted)),
            ("p", None),
            ("h", None),
            ("hosts", None),
            ("frontend", None),
            ("bogus", None),
        ];
        for (word, expected) in cases {
            assert_eq!(entity(word), expected, "{word}");
        }
    }
}
