//! `scancel`: ends jobs, or sends them a signal.
//!
//! With nothing but ids it asks for their end at once. Anything more (a filter, a signal, a
//! question) needs to know the jobs first, so that it names only those that are there.

mod options;
mod report;
mod target;

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, Write as _},
};

use futures::{StreamExt as _, stream};
use nix::unistd::geteuid;
use proto::{ctl, types};

use self::{
    options::Wanted,
    report::{Outcome, Report},
    target::Target,
};
use crate::{
    client::{self, Client},
    components,
    door::CANCEL,
    invocation::{Command, Invocation},
    say,
    trouble::Trouble,
    view::JobTarget,
};

pub(crate) const COMMAND: Command =
    Command { name: "scancel", about: "End jobs, or send them a signal", misuse: 1, run };

/// How many requests are on their way at a time, over the one connection.
const AT_A_TIME: usize = 64;

fn run(invocation: &Invocation) -> u8 {
    let wanted = match options::read(invocation, &|name| std::env::var(name).ok()) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let failed = |trouble: Trouble| {
        trouble.report("scancel: error: ");
        1
    };
    let client = match Client::at_hand() {
        Ok(client) => client,
        Err(trouble) => return failed(trouble),
    };
    if let Err(exit) = crate::cluster::check(&client, "cluster", wanted.clusters.as_deref()) {
        return exit;
    }
    let lone = lone(&wanted);
    if let Some((target, request)) = &lone
        && let Some(answer) = client.at_door(&CANCEL, request)
    {
        let mut report = Report::new(wanted.verbosity);
        report.tell(target, wanted.signal, answer.map_or_else(Outcome::Failed, |_| Outcome::Done));
        return report.exit();
    }
    if let Err(trouble) = client.connect() {
        return failed(trouble);
    }
    client.block_on(act(&client, &wanted, lone.map(|(_, request)| request)))
}

/// The request for the one job that is to be cancelled, if it is one: it may need no connection.
fn lone(wanted: &Wanted) -> Option<(&Target, ctl::CancelRequest)> {
    let [target] = wanted.targets.as_slice() else { return None };
    let named = target.named().filter(|named| wanted.is_plain() && named.component.is_none())?;
    Some((target, request(&named, wanted)))
}

/// `lone` is what was asked in vain before.
async fn act(client: &Client, wanted: &Wanted, mut lone: Option<ctl::CancelRequest>) -> u8 {
    let mut report = Report::new(wanted.verbosity);
    let jobs = if wanted.is_plain() {
        match numbered(client, &wanted.targets).await {
            Ok(targets) => targets,
            Err(trouble) => {
                trouble.report("slurm_load_jobs error: ");
                return 1;
            }
        }
    } else {
        match loaded(client, wanted).await {
            Ok(jobs) => chosen(&jobs, wanted, &mut report),
            Err(trouble) => {
                trouble.report("slurm_load_jobs error: ");
                return 1;
            }
        }
    };
    let known = jobs.iter().filter_map(Target::named);
    let mut answers = stream::iter(known)
        .map(|target| {
            let request = lone.take().unwrap_or_else(|| request(&target, wanted));
            async move { client.directly(&CANCEL, &request).await }
        })
        .buffered(AT_A_TIME);
    for target in &jobs {
        let outcome = match target.job() {
            // A step, or a component, that is not there.
            None => Outcome::Unknown,
            Some(_) => match answers.next().await {
                Some(Ok(ctl::Done {})) => Outcome::Done,
                Some(Err(trouble)) => Outcome::Failed(trouble),
                None => unreachable!("each job has an answer"),
            },
        };
        report.tell(target, wanted.signal, outcome);
    }
    report.exit()
}

/// The targets, components of heterogeneous jobs by their numbers.
async fn numbered(client: &Client, targets: &[Target]) -> Result<Vec<Target>, Trouble> {
    let mut all = Vec::with_capacity(targets.len());
    for target in targets {
        let component = target.named().filter(|named| named.component.is_some());
        all.push(match component {
            None => target.clone(),
            Some(named) => match components::numbered(client, &named).await? {
                Some(job) => Target::Tasks(job, target.to_string()),
                None => Target::Part(target.to_string()),
            },
        });
    }
    Ok(all)
}

/// The jobs that may be concerned: an ordinary user's own, unless others are named.
async fn loaded(client: &Client, wanted: &Wanted) -> Result<Vec<ctl::JobView>, Trouble> {
    let mine = (!geteuid().is_root() && wanted.targets.is_empty()).then(|| geteuid().as_raw());
    let user = wanted.filter.user.as_ref().map(|user| user.id).or(mine);
    let jobs: BTreeSet<u32> = wanted.targets.iter().filter_map(Target::job).collect();
    let request = ctl::JobsRequest {
        jobs: jobs.into_iter().collect(),
        users: user.into_iter().collect(),
        partitions: wanted.filter.partition.iter().cloned().collect(),
        stale_ok: false,
        whole: wanted.filter.account.is_some(),
        skip_hidden: false,
    };
    client::jobs(client, request).await.map(|reply| reply.jobs)
}

/// Those that match, in the order of their ids, and that the person says yes to.
fn chosen(jobs: &[ctl::JobView], wanted: &Wanted, report: &mut Report) -> Vec<Target> {
    let active: Vec<_> = jobs.iter().filter(|job| target::is_active(job)).collect();
    for target in &wanted.targets {
        if !active.iter().any(|job| target.names(job)) {
            report.not_active(target);
        }
    }
    // Never a job that was not named, whatever the controller has sent.
    let named = |job: &ctl::JobView| {
        wanted.targets.is_empty() || wanted.targets.iter().any(|target| target.names(job))
    };
    let matching = active.into_iter().filter(|job| named(job) && wanted.filter.matches(job));
    let mut matching: Vec<_> = matching.collect();
    // What becomes of a leader becomes of those that it leads.
    let leaders: BTreeSet<u32> =
        matching.iter().filter_map(|view| view.job.as_ref()).map(|job| job.id).collect();
    matching.retain(|view| {
        let part = view.job.as_ref().and_then(|job| job.spec.as_ref()?.het);
        part.is_none_or(|part| part.offset == 0 || !leaders.contains(&part.leader))
    });
    if matching.is_empty() && wanted.targets.is_empty() {
        report.none_active(&wanted.filter);
    }
    matching
        .into_iter()
        .filter(|job| !wanted.interactive || confirmed(job, wanted))
        .filter_map(|job| Target::of(job, &wanted.targets))
        .collect()
}

/// Asks on the terminal. An end of the input is a no.
fn confirmed(job: &ctl::JobView, wanted: &Wanted) -> bool {
    let question = target::question(job, wanted.signal);
    let mut lines = io::stdin().lock().lines();
    loop {
        say::out(&question);
        let _ = io::stdout().flush();
        match lines.next() {
            Some(Ok(line)) => match line.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" => return true,
                "n" | "no" => return false,
                _ => {}
            },
            Some(Err(_)) | None => return false,
        }
    }
}

fn request(target: &JobTarget, wanted: &Wanted) -> ctl::CancelRequest {
    ctl::CancelRequest {
        request: client::request_id(),
        job: target.job,
        tasks: target.runs(),
        signal: wanted.signal.map(u32::from),
        scope: types::SignalScope::from(wanted.scope).into(),
    }
}
