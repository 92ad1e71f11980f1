//! Commands that do something to jobs that are named: hold, release, requeue, wait.

use std::time::Duration;

use proto::ctl::{
    Done, HoldRequest, JobView, JobsRequest, ReconfigureRequest, ReleaseRequest, RequeueRequest,
};
use trust::controllers::Target;

use super::session::Session;
use crate::{
    client::{self, Controller},
    components,
    door::{HOLD, RELEASE, REQUEUE},
    say,
    trouble::Trouble,
    view::{Job, JobTarget, State},
};

/// Slurm's text for a job that there is not.
pub(super) const NO_SUCH_JOB: &str = "Invalid job id specified";

/// What a word of a list of jobs names: their numbers, or a word that is none.
enum Named {
    Jobs(Vec<JobTarget>),
    Nothing(String),
}

/// The jobs of a list: numbers, ranges of them, separated by commas; or `jobname=` (or `name=`) and
/// names, each of which means all jobs of that name that are not over.
fn named(session: &mut Session<'_>, words: &[&str]) -> Result<Vec<Named>, u8> {
    let mut all = Vec::new();
    for word in words {
        let lower = word.to_ascii_lowercase();
        let names = ["jobname=", "name="].iter().find(|key| lower.starts_with(**key));
        if let Some(key) = names {
            let names: Vec<&str> = word[key.len()..].split(',').collect();
            all.push(Named::Jobs(jobs_of_names(session, &names)?));
            continue;
        }
        let parts = outside_brackets(word).filter(|part| !part.is_empty());
        all.extend(parts.map(|part| match range(part) {
            Some(jobs) => Named::Jobs(jobs.into_iter().map(JobTarget::job).collect()),
            None => match JobTarget::parse(part) {
                Some(target) => Named::Jobs(vec![target]),
                None => Named::Nothing(part.to_owned()),
            },
        }));
    }
    Ok(all)
}

/// The parts between commas, but for those within brackets.
fn outside_brackets(word: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    word.split(move |letter| {
        within = letter == '[' || within && letter != ']';
        letter == ',' && !within
    })
}

/// More jobs than there can be are not spelled out.
const MOST_IN_RANGE: u32 = 100_000;

fn range(part: &str) -> Option<Vec<u32>> {
    match part.split_once('-') {
        None => part.parse().ok().map(|job| vec![job]),
        Some((first, last)) => {
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            let fits = first <= last && last - first < MOST_IN_RANGE;
            fits.then(|| (first..=last).collect())
        }
    }
}

fn jobs_of_names(session: &mut Session<'_>, names: &[&str]) -> Result<Vec<JobTarget>, u8> {
    let reply = session.ask("slurm_load_jobs error: ", async |client| {
        client::jobs(client, JobsRequest::default()).await
    })?;
    let now = common::time::Timestamp(reply.now);
    let jobs = reply.jobs.iter().filter_map(|view| Job::of(view, now).ok());
    let wanted = jobs.filter(|job| !job.state().is_ended() && names.contains(&&*job.spec.name));
    Ok(wanted.map(|job| JobTarget::of(job.job)).collect())
}

/// Does something to each job, and says of each that it could not be done to why. `summary` is said
/// once more with the last reason.
pub(super) fn each(
    session: &mut Session<'_>,
    words: &[&str],
    summary: Option<&str>,
    act: impl Fn(&mut Session<'_>, &JobTarget) -> Result<Result<Done, Trouble>, u8>,
) -> u8 {
    let named = match named(session, words) {
        Ok(named) => named,
        Err(exit) => return exit,
    };
    let mut exit = 0;
    let mut fail = |session: &Session<'_>, text: &str, job: &str| {
        exit = session.complain(&format!("{text} for job {job}\n"));
        if let Some(summary) = summary {
            session.complain(&format!("{summary}{text}\n"));
        }
    };
    for name in named {
        let jobs = match name {
            Named::Jobs(jobs) => jobs,
            Named::Nothing(word) => {
                fail(session, NO_SUCH_JOB, &word);
                continue;
            }
        };
        for job in jobs {
            let done = match numbered(session, &job) {
                Ok(Some(target)) => act(session, &target),
                Ok(None) => {
                    fail(session, NO_SUCH_JOB, &job.to_string());
                    continue;
                }
                Err(exit) => Err(exit),
            };
            match done {
                Ok(Ok(Done {})) => {}
                Ok(Err(trouble @ Trouble::Refused { .. })) => {
                    fail(session, &trouble.to_string(), &job.to_string());
                }
                // It won't be better for the next one.
                Ok(Err(trouble)) => return session.failed("slurm_update error: ", &trouble),
                Err(exit) => return exit,
            }
        }
    }
    exit
}

/// The same by its number, where it is a component of a heterogeneous job; none where there is no
/// such.
fn numbered(session: &mut Session<'_>, target: &JobTarget) -> Result<Option<JobTarget>, u8> {
    if target.component.is_none() {
        return Ok(Some(target.clone()));
    }
    session
        .ask("slurm_load_jobs error: ", async |client| components::numbered(client, target).await)
}

const SUSPEND: &str = "slurm_suspend error:";

pub(super) fn hold(session: &mut Session<'_>, words: &[&str], user_hold: bool) -> u8 {
    each(session, words, Some(SUSPEND), |session, target| {
        let (request, job, tasks) = (client::request_id(), target.job, target.runs());
        session.change(&HOLD, &HoldRequest { request, job, user_hold, tasks })
    })
}

pub(super) fn release(session: &mut Session<'_>, words: &[&str]) -> u8 {
    each(session, words, Some(SUSPEND), |session, target| {
        let (request, job, tasks) = (client::request_id(), target.job, target.runs());
        session.change(&RELEASE, &ReleaseRequest { request, job, tasks })
    })
}

pub(super) fn requeue(session: &mut Session<'_>, words: &[&str], hold: bool) -> u8 {
    let marks = |word: &&&str| {
        let word = word.to_ascii_lowercase();
        word.starts_with("state=") || word == "incomplete"
    };
    if let Some(mark) = words.iter().find(marks) {
        return session.complain(&format!("scontrol: error: {mark} is not supported\n"));
    }
    each(session, words, None, |session, target| {
        let (request, job, tasks) = (client::request_id(), target.job, target.runs());
        session.change(&REQUEUE, &RequeueRequest { request, job, hold, tasks })
    })
}

pub(super) fn reconfigure(session: &mut Session<'_>) -> u8 {
    let request = ReconfigureRequest { request: client::request_id() };
    let attempt = |mut controller: Controller| {
        let request = client::request(request.clone());
        async move { controller.reconfigure(request).await }
    };
    let done = session
        .ask("slurm_reconfigure error:", async |client| client.call(Target::Leader, attempt).await);
    done.map_or_else(|exit| exit, |_| 0)
}

/// How often a job is looked at that has not started.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until the job runs.
pub(super) fn wait_job(session: &mut Session<'_>, word: &str) -> u8 {
    let request = || {
        let job: u32 = word.parse().ok()?;
        Some(JobsRequest { jobs: vec![job], ..JobsRequest::default() })
    };
    let problem = format!("scontrol: Problem running job {word}\n");
    loop {
        let Some(request) = request() else { return session.complain(&problem) };
        let reply = session
            .ask("slurm_load_jobs error: ", async |client| client::jobs(client, request).await);
        let reply = match reply {
            Ok(reply) => reply,
            Err(exit) => return exit,
        };
        let now = common::time::Timestamp(reply.now);
        match reply.jobs.first().map(|view: &JobView| Job::of(view, now)) {
            Some(Ok(job)) => match job.state() {
                State::Running => return 0,
                State::Pending | State::Configuring => std::thread::sleep(LOOK),
                State::Completing(_) | State::Ended(_) => return session.complain(&problem),
            },
            Some(Err(_)) | None => return session.complain(&problem),
        }
    }
}

/// Slurm's numbers of refusals that Rafter gives, and their texts (`slurm_errno.h`).
const ERRORS: &[(u32, &str)] = &[
    (2000, "Invalid partition name specified"),
    (2001, "No partition specified or system default partition"),
    (2002, "Access/permission denied"),
    (2009, "Invalid node name specified"),
    (2010, "Invalid user id"),
    (2014, "Requested node configuration is not available"),
    (2017, NO_SUCH_JOB),
    (2021, "Job/step already completing or completed"),
    (2035, "Job is pending execution"),
];

pub(super) fn errnumstr(session: &Session<'_>, word: &str) -> u8 {
    let number: Option<u32> = word.parse().ok();
    match ERRORS.iter().find(|(known, _)| Some(*known) == number) {
        Some((_, text)) => {
            say::out(&format!("{text}\n"));
            0
        }
        None => session.complain(&format!("scontrol: error: {word} is no error of Rafter's\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_spelled_out_within_reason() {
        assert_eq!(range("7"), Some(vec![7]));
        assert_eq!(range("5-7"), Some(vec![5, 6, 7]));
        assert_eq!(range("5-5"), Some(vec![5]));
        for wrong in ["7-5", "0-4294967295", "abc", "", "-", "5-", "1_2", "5-7-9"] {
            assert_eq!(range(wrong), None, "{wrong:?}");
        }
    }
}
