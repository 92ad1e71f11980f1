//! `squeue`: shows jobs.
//!
//! [`text`] and what it calls are pure; they are held against the output of the
//! real command by the tests.

pub(crate) mod field;
pub(crate) mod filter;
mod json;
mod options;
mod sort;
mod steps;
mod table;
#[cfg(test)]
mod tests;

use std::{env, time::Duration};

use common::{hostlist::Hostlist, time::Timestamp};
use proto::ctl::{JobsReply, JobsRequest};

pub(crate) use self::json::job as json_of_job;
use self::{field::Style, options::Wanted};
use crate::{
    client::{self, Client},
    cluster, fetch,
    invocation::{Command, Invocation},
    render::Clock,
    say,
    trouble::Trouble,
    view::{Job, Malformed},
};

pub(crate) const COMMAND: Command = Command { name: "squeue", about: "Show jobs", misuse: 1, run };

fn run(invocation: &Invocation) -> u8 {
    let environment = |name: &str| env::var(name).ok();
    let wanted = match options::read(invocation, &environment) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    if let Some(dump) = &wanted.dump {
        say::out(dump);
    }
    let client = match Client::open() {
        Ok(client) => client,
        Err(trouble) => return failed(&trouble),
    };
    if let Err(exit) = cluster::check(&client, "cluster", wanted.clusters.as_deref()) {
        return exit;
    }
    client::runtime().block_on(async {
        loop {
            if let Err(exit) = show(&client, &wanted, invocation, &environment).await {
                return exit;
            }
            match wanted.iterate {
                None => return 0,
                Some(seconds) => {
                    say::out("\n");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
            }
        }
    })
}

fn failed(trouble: &Trouble) -> u8 {
    trouble.report("slurm_load_jobs error: ");
    1
}

async fn show(
    client: &Client,
    wanted: &Wanted,
    invocation: &Invocation,
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<(), u8> {
    let nodes = nodes(client, wanted).await?;
    let reply = load(client, wanted).await?;
    let clock = Clock::of_host(reply.now, environment);
    let jobs = chosen(&reply, wanted, nodes.as_ref()).map_err(|malformed| {
        say::error(&malformed.to_string());
        1
    })?;
    if wanted.json {
        let meta = json::Meta::of_caller(client.cluster(), "squeue", invocation.arguments());
        let compact = environment("SLURM_JSON").is_some_and(|style| style == "compact");
        say::out(&json::answer(&jobs, &meta, clock.now, compact));
        return Ok(());
    }
    let style = Style {
        clock: &clock,
        cluster: client.cluster(),
        no_convert: wanted.no_convert,
        expand: wanted.expand,
    };
    let (out, unsortable) = text(jobs, reply.jobs.len(), wanted, &style);
    say::out(&out);
    match unsortable {
        None => Ok(()),
        Some(letter) => {
            say::error(&format!("Invalid sort specification: {letter}"));
            Err(1)
        }
    }
}

/// All that is printed of these jobs of so many, and what they can't be sorted by: that is found
/// out only after the headings.
fn text(
    mut jobs: Vec<Job<'_>>,
    of: usize,
    wanted: &Wanted,
    style: &Style<'_>,
) -> (String, Option<char>) {
    let mut out = String::new();
    if wanted.clusters.is_some() {
        out.push_str(&format!("CLUSTER: {}\n", style.cluster));
    }
    let dated = wanted.iterate.is_some() || wanted.dump.is_some() || wanted.long;
    if dated && !wanted.no_header {
        out.push_str(&style.clock.headline());
        out.push('\n');
    }
    if wanted.dump.is_some() {
        let updated = style.clock.now.seconds();
        out.push_str(&format!("last_update_time={updated} records={of}\n"));
    }
    if wanted.steps {
        steps::put(&mut out, jobs, wanted.no_header);
        return (out, None);
    }
    if !wanted.no_header {
        wanted.format.put_headings(&mut out);
    }
    let keys = match &wanted.sort {
        Ok(keys) => keys,
        Err(letter) => return (out, Some(*letter)),
    };
    sort::sort(&mut jobs, keys);
    for job in &jobs {
        wanted.format.put_line(&mut out, |out, field| field.put(out, job, style));
    }
    (out, None)
}

fn chosen<'a>(
    reply: &'a JobsReply,
    wanted: &Wanted,
    nodes: Option<&Hostlist>,
) -> Result<Vec<Job<'a>>, Malformed> {
    let mut jobs = Job::all(&reply.jobs, Timestamp(reply.now))?;
    jobs.retain(|job| wanted.filter.matches(job, nodes));
    let lines = jobs.into_iter().flat_map(|job| {
        let asked = wanted.filter.tasks(&job).filter(|_| job.waiting().is_some());
        match asked.or_else(|| job.waiting().filter(|_| wanted.array)) {
            None => vec![job],
            Some(tasks) => job.each(&tasks).collect(),
        }
    });
    Ok(lines.collect())
}

/// The nodes of `--nodelist`, each of which there must be.
async fn nodes(client: &Client, wanted: &Wanted) -> Result<Option<Hostlist>, u8> {
    let Some(text) = &wanted.filter.nodes else { return Ok(None) };
    let invalid = |name: &str| {
        say::error(&format!("Invalid node name {name}"));
        1
    };
    let list = Hostlist::parse(text).map_err(|_| invalid(text))?;
    let reply = fetch::nodes(client, wanted.stale_ok).await.map_err(|trouble| failed(&trouble))?;
    let known = reply.nodes.iter().filter_map(|view| view.node.as_ref());
    let unknown = list.difference(&Hostlist::from_names(known.map(|node| &node.name)));
    match unknown.first() {
        None => Ok(Some(list)),
        Some(name) => Err(invalid(&name)),
    }
}

async fn load(client: &Client, wanted: &Wanted) -> Result<JobsReply, u8> {
    let filter = &wanted.filter;
    let whole = wanted.json || wanted.format.fields().any(|field| field.needs_whole());
    let request = JobsRequest {
        jobs: filter.known_jobs().unwrap_or_default(),
        users: filter.users.clone().unwrap_or_default(),
        partitions: filter.partitions.clone().unwrap_or_default(),
        stale_ok: wanted.stale_ok,
        whole,
        // Who names partitions wants them.
        skip_hidden: !wanted.all && filter.partitions.is_none(),
    };
    let reply = if filter.is_empty() {
        Ok(JobsReply::default())
    } else {
        client::jobs(client, request).await
    };
    match reply {
        Ok(reply) if filter.one_job() && reply.jobs.is_empty() => {
            say::err("slurm_load_jobs error: Invalid job id specified\n");
            Err(1)
        }
        Ok(reply) => Ok(reply),
        Err(trouble) => Err(failed(&trouble)),
    }
}
