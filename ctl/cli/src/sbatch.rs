//! `sbatch`: submits a batch script.

mod asked;
mod complaint;
mod components;
mod environment;
mod limits;
mod mail;
mod request;
mod script;
mod table;
mod wait;

use std::{env, os::unix::ffi::OsStringExt as _, path::Path, time::Duration};

use common::{date, machine::Refusal, time::Timestamp};
use jiff::tz::TimeZone;
use nix::{
    sys::stat::{Mode, umask},
    unistd::{Group, User, getegid, geteuid, gethostname, getsid},
};
use proto::ctl::{SubmitRequest, TestOnlyReply};

use self::{
    asked::{Asked, Setting},
    environment::Login,
    request::{Outcome, Prepared, Submitter},
};
use crate::{
    client::{self, Client},
    cluster,
    door::{Method, SUBMIT, TEST_ONLY},
    invocation::{Command, Invocation},
    options, say,
    trouble::Trouble,
};

pub(crate) const COMMAND: Command =
    Command { name: "sbatch", about: "Submit a batch script", misuse: 255, run };

/// What Slurm says before the controller's reason.
const FAILED: &str = "Batch job submission failed";

/// How often a submission is tried again while the cluster takes no more jobs. Slurm waits a second
/// longer each time.
const TRIES: u64 = 15;

fn run(invocation: &Invocation) -> u8 {
    let submitter = match submitter() {
        Ok(submitter) => submitter,
        Err(text) => {
            say::error(&text);
            return error_exit();
        }
    };
    let zone = TimeZone::system();
    let setting = Setting { now: now(), zone: &zone, root: geteuid().is_root() };
    let words = invocation.arguments();
    let prepared = match request::prepare(invocation.called(), words, &submitter, setting) {
        Ok(Outcome::Submit(prepared)) => *prepared,
        Ok(Outcome::Answer(id)) => return options::answered(&table::described(), id).unwrap_or(0),
        Err(complaint) => {
            return match complaint.say() {
                1 => error_exit(),
                exit => exit,
            };
        }
    };
    for remark in &prepared.asked.remarks {
        say::info(remark);
    }
    if prepared.asked.verbose > 0 {
        defined(&prepared.asked);
    }
    let client = match Client::at_hand() {
        Ok(client) => client,
        Err(trouble) => return failed(&trouble),
    };
    if let Err(exit) = cluster::check(&client, "cluster", prepared.asked.clusters.as_deref()) {
        return exit;
    }
    let Prepared { asked, request, .. } = prepared;
    if asked.test_only { test(&client, &request, &zone) } else { submit(&client, request, &asked) }
}

/// Says why nothing was submitted, and returns the exit code.
fn failed(trouble: &Trouble) -> u8 {
    if trouble.is(&Refusal::Gres(None)) {
        // Slurm finds this before it counts as a submission.
        trouble.report_plain();
    } else {
        trouble.report_error(FAILED);
    }
    error_exit()
}

/// What sbatch(1) ends with where something is wrong: `SLURM_EXIT_ERROR`, else 1.
fn error_exit() -> u8 {
    let asked = std::env::var("SLURM_EXIT_ERROR").ok().and_then(|text| text.parse().ok());
    asked.filter(|exit| *exit != 0).unwrap_or(1)
}

fn submit(client: &Client, mut request: SubmitRequest, asked: &Asked) -> u8 {
    let mut tried = 1;
    let job = loop {
        let answer = match asked_for(client, &SUBMIT, &request) {
            Ok(answer) => answer,
            Err(exit) => return exit,
        };
        match answer {
            Ok(reply) => break reply.job,
            Err(trouble) if trouble.is(&Refusal::TooManyJobs) && tried < TRIES => {
                say::error(&trouble.to_string());
                std::thread::sleep(Duration::from_secs(tried));
                tried += 1;
                // The refusal was an answer. This is another question.
                request.request = client::request_id();
            }
            Err(trouble) => return failed(&trouble),
        }
    };
    if !asked.quiet {
        say::out(&submitted(job, asked));
    }
    if !asked.wait {
        return 0;
    }
    client.block_on(wait::for_end(client, job))
}

fn test(client: &Client, request: &SubmitRequest, zone: &TimeZone) -> u8 {
    match asked_for(client, &TEST_ONLY, request) {
        Ok(Ok(reply)) => {
            say::info(&would_start(&reply, zone));
            0
        }
        Ok(Err(trouble)) => {
            trouble.report("allocation failure: ");
            1
        }
        Err(exit) => exit,
    }
}

/// Makes a call, at the door or directly. An error is the exit code of one who can't even connect.
fn asked_for<R: prost::Message + Default>(
    client: &Client,
    method: &Method<SubmitRequest, R>,
    request: &SubmitRequest,
) -> Result<Result<R, Trouble>, u8> {
    if let Some(answer) = client.at_door(method, request) {
        return Ok(answer);
    }
    client.connect().map_err(|trouble| failed(&trouble))?;
    Ok(client.block_on(client.directly(method, request)))
}

fn submitted(job: u32, asked: &Asked) -> String {
    match (asked.parsable, asked.clusters.as_deref()) {
        (true, None) => format!("{job}\n"),
        (true, Some(cluster)) => format!("{job};{cluster}\n"),
        (false, None) => format!("Submitted batch job {job}\n"),
        (false, Some(cluster)) => format!("Submitted batch job {job} on cluster {cluster}\n"),
    }
}

fn would_start(reply: &TestOnlyReply, zone: &TimeZone) -> String {
    let TestOnlyReply { job, start, cpus, nodes, partition } = reply;
    let start = date::format(Timestamp(*start), zone);
    // The lone "a" is Slurm's.
    format!(
        "Job {job} to start at {start} a using {cpus} processors on nodes {nodes} \
         in partition {partition}"
    )
}

/// `--verbose`: the options that hold.
fn defined(asked: &Asked) {
    const LINE: &str = "-------------------- --------------------";
    say::info("defined options");
    say::info(LINE);
    for (option, value) in &asked.given {
        say::info(&format!("{option:<20}: {value}"));
    }
    say::info(LINE);
    say::info("end of defined options");
}

/// What such options ask for, of whoever calls: for `rafter what-if`. A file among them is a
/// script, whose directives count. An error was said before, but for what is returned.
pub(crate) fn supposed(options: &str) -> Result<proto::types::JobSpec, String> {
    let mut words = script::split(options)?;
    if !words.iter().any(|word| !word.starts_with('-') && Path::new(word).is_file()) {
        words.push("--wrap=true".to_owned());
    }
    let (submitter, zone) = (submitter()?, TimeZone::system());
    let setting = Setting { now: now(), zone: &zone, root: geteuid().is_root() };
    match request::prepare("sbatch", &words, &submitter, setting) {
        Ok(Outcome::Submit(prepared)) if !prepared.request.components.is_empty() => {
            Err("heterogeneous jobs can't be supposed".to_owned())
        }
        Ok(Outcome::Submit(prepared)) => {
            prepared.request.spec.ok_or_else(|| "no job is asked for".to_owned())
        }
        Ok(Outcome::Answer(_)) => Err("no job is asked for".to_owned()),
        Err(complaint) => {
            complaint.say();
            Err("sbatch would refuse this".to_owned())
        }
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or_default().as_millis();
    Timestamp(u64::try_from(since).unwrap_or(u64::MAX))
}

/// Looks at this process. An error is what to say.
fn submitter() -> Result<Submitter, String> {
    let folder = env::current_dir().map_err(|error| format!("getcwd failed: {error}"))?;
    let folder = folder.into_os_string().into_string();
    let folder = folder.map_err(|folder| format!("the folder {folder:?} is not UTF-8"))?;
    let host = gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let host = host.split('.').next().unwrap_or_default().to_owned();
    let (user, group) = (geteuid(), getegid());
    let group_name = Group::from_gid(group).ok().flatten().map(|group| group.name);
    let session = getsid(None).map_or(0, |session| session.as_raw());
    // There is no way to read it but to set it. No file is made meanwhile.
    let mask = umask(Mode::empty());
    umask(mask);
    let variables = env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    Ok(Submitter {
        folder,
        host,
        group: group.as_raw(),
        group_name: group_name.unwrap_or_else(|| group.to_string()),
        session: u32::try_from(session).unwrap_or(0),
        umask: mask.bits(),
        login: login(user),
        variables: variables.collect(),
    })
}

fn login(user: nix::unistd::Uid) -> Login {
    match User::from_uid(user).ok().flatten() {
        Some(user) => Login {
            user: user.name,
            home: user.dir.to_string_lossy().into_owned(),
            shell: user.shell.to_string_lossy().into_owned(),
        },
        None => Login { user: user.to_string(), home: "/".into(), shell: "/bin/sh".into() },
    }
}
