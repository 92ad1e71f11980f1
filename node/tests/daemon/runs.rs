//! Jobs from their launch to their release, through whatever happens to the daemon.

use std::{fs, path::Path};

use bytes::Bytes;
use common::{
    id::{
        Attempt, ContentHash, GroupId, Incarnation, JobId, NodeName, PartitionName, Term, UserId,
    },
    job::{Hold, Job, JobSpec, Phase, Place, Rank, Run, Stage},
    resources::Resources,
    time::{TimeLimit, Timestamp},
};
use proto::node::{self as wire, leader_message::Kind as Down, report::Kind as Said};

use crate::{
    cluster::{Cluster, Session, text, until},
    host::Host,
};

/// A job that runs a script in `folder`, as who runs the tests.
pub(crate) fn job(id: u32, attempt: u32, script: &str, folder: &Path) -> Job {
    let spec = JobSpec {
        user: UserId(nix::unistd::geteuid().as_raw()),
        user_name: "me".to_owned(),
        group: GroupId(nix::unistd::getegid().as_raw()),
        group_name: "us".to_owned(),
        partition: PartitionName::from("cpu"),
        script: ContentHash::of(script.as_bytes()),
        environment: ContentHash::of(b"WORD=hello\0"),
        work_dir: folder.to_string_lossy().into_owned(),
        umask: 0o22,
        ..JobSpec::plain()
    };
    let run = Run {
        started: Timestamp(1),
        term: Term(5),
        places: vec![Place::of(NodeName::from("n1"), Resources { cpus: 1, memory_mib: 0 }, 1)],
        incarnation: Incarnation(1),
        stage: Stage::Allocated,
        deadline: None,
        warned: false,
        stay: None,
        charge: None,
        time_limit: None,
        preempted: None,
    };
    Job {
        id: JobId(id),
        spec: std::sync::Arc::new(spec),
        submitted: Timestamp(1),
        attempt: Attempt(attempt),
        priority: 1,
        hold: Hold::None,
        partition: PartitionName::from("cpu"),
        time_limit: TimeLimit::Unlimited,
        begin: None,
        requeue: false,
        restarts: 0,
        phase: Phase::Active(run),
        signals: vec![],
        signals_sent: 0,
        array: None,
        dependency: None,
        rank: Rank::default(),
        preemptor: false,
    }
}

pub(crate) fn launch(job: &Job, script: &str) -> Down {
    Down::Launch(wire::Launch {
        job: Some(job.into()),
        script: Bytes::copy_from_slice(script.as_bytes()),
        environment: Bytes::from_static(b"WORD=hello\0"),
        components: vec![],
    })
}

pub(crate) fn terminate(job: u32, attempt: u32) -> Down {
    let cause = wire::Cause::Cancelled.into();
    Down::Terminate(wire::Terminate { job, attempt, cause, kill_wait_s: 1, at: 1_000 })
}

fn release(job: u32, attempt: u32) -> Down {
    Down::Release(wire::Release { job, attempt })
}

/// What the node says next of job 7's first attempt.
fn said(cluster: &Cluster, session: &mut Session) -> Said {
    let report = cluster.said(session).expect("the node is there");
    assert_eq!((report.job, report.attempt), (7, 1));
    report.kind.expect("a kind")
}

/// How it ended. A job of an instant may be over before anybody hears that it began.
fn end(cluster: &Cluster, session: &mut Session) -> Said {
    loop {
        match said(cluster, session) {
            Said::Launching(_) | Said::Running(_) => {}
            over
            @ (Said::Ended(_) | Said::LaunchFailed(_) | Said::Lost(_) | Said::Delivered(_)) => {
                return over;
            }
        }
    }
}

/// The one run that the node lists.
fn listed(session: &Session) -> Said {
    let [step] = session.hello.steps.as_slice() else { panic!("{:?}", session.hello.steps) };
    assert_eq!((step.job, step.attempt), (7, 1));
    step.report.as_ref().and_then(|report| report.kind.clone()).expect("a report")
}

fn exit_code(said: &Said) -> u32 {
    let Said::Ended(ended) = said else { panic!("{said:?}") };
    assert_eq!(ended.exit_signal, 0);
    ended.exit_code
}

/// Appends a word to `began`, waits for the file `go`, and ends with 3.
fn waiting(host: &Host) -> String {
    let (began, go) = (host.path("began"), host.path("go"));
    let (began, go) = (began.display(), go.display());
    format!("#!/bin/sh\necho began >> {began}\nuntil [ -e {go} ]; do sleep 0.02; done\nexit 3\n")
}

#[test]
fn a_node_joins_runs_a_job_and_forgets_it_when_it_may() {
    let mut cluster = Cluster::new(1);
    let mut host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    assert!(session.hello.steps.is_empty());
    let inventory = session.hello.inventory.clone().expect("an inventory");
    assert_eq!((inventory.cpus, inventory.version.as_str()), (3, env!("CARGO_PKG_VERSION")));

    let script = "#!/bin/sh\necho $WORD from $SLURM_JOB_ID on $SLURMD_NODENAME\nexit 3\n";
    let folder = host.path("");
    cluster.tell(&session, launch(&job(7, 1, script, &folder), script));
    assert_eq!(said(&cluster, &mut session), Said::Launching(wire::Launching {}));
    assert_eq!(exit_code(&end(&cluster, &mut session)), 3);
    assert_eq!(text(&host.path("slurm-7.out")), "hello from 7 on n1\n");
    assert_eq!(host.runs(), ["7.1"]);
    cluster.tell(&session, release(7, 1));
    until("the run is forgotten", || host.runs().is_empty());

    let site = trust::site::Site::read(&host.path("site")).expect("client.conf");
    assert_eq!((site.cluster.as_str(), site.socket), ("test", Some(host.path("socket"))));
    host.stop();
    host.start(None);
    let again = cluster.attached(0).hello.inventory.expect("an inventory");
    assert_eq!(again.incarnation, inventory.incarnation, "the same life");
}

#[test]
fn a_job_outlives_its_daemon_and_is_adopted() {
    let mut cluster = Cluster::new(1);
    let mut host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    let script = waiting(&host);
    let job = job(7, 1, &script, &host.path(""));
    cluster.tell(&session, launch(&job, &script));
    said(&cluster, &mut session);
    assert_eq!(said(&cluster, &mut session), Said::Running(wire::Running {}));
    host.kill();

    host.start(None);
    let mut session = cluster.attached(0);
    assert_eq!(listed(&session), Said::Running(wire::Running {}));
    cluster.tell(&session, launch(&job, &script));
    assert_eq!(said(&cluster, &mut session), Said::Running(wire::Running {}), "it is known");
    fs::write(host.path("go"), "").expect("written");
    assert_eq!(exit_code(&said(&cluster, &mut session)), 3);
    host.kill();

    host.start(None);
    let session = cluster.attached(0);
    assert_eq!(exit_code(&listed(&session)), 3, "kept until it is released");
    cluster.tell(&session, release(7, 1));
    until("the run is forgotten", || host.runs().is_empty());
    assert_eq!(text(&host.path("began")), "began\n", "it ran once");
}

#[test]
fn a_job_that_ends_while_no_daemon_is_there_has_its_end() {
    let mut cluster = Cluster::new(1);
    let mut host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    let script = waiting(&host);
    cluster.tell(&session, launch(&job(7, 1, &script, &host.path("")), &script));
    said(&cluster, &mut session);
    assert_eq!(said(&cluster, &mut session), Said::Running(wire::Running {}));
    host.kill();
    fs::write(host.path("go"), "").expect("written");
    until("the supervisor wrote the end", || host.path("spool/jobs/7.1/ended.json").exists());
    host.start(None);
    assert_eq!(exit_code(&listed(&cluster.attached(0))), 3);
}

#[test]
fn a_run_that_is_terminated_before_its_launch_never_begins() {
    let mut cluster = Cluster::new(1);
    let mut host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    cluster.tell(&session, terminate(7, 1));
    assert_eq!(exit_code(&said(&cluster, &mut session)), 0);
    host.kill();
    host.start(None);
    let mut session = cluster.attached(0);
    assert_eq!(exit_code(&listed(&session)), 0);
    let script = waiting(&host);
    cluster.tell(&session, launch(&job(7, 1, &script, &host.path("")), &script));
    assert_eq!(exit_code(&said(&cluster, &mut session)), 0, "the launch finds an end");
    assert!(!host.path("began").exists());
}

#[test]
fn a_termination_ends_a_job() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    let script = waiting(&host);
    cluster.tell(&session, launch(&job(7, 1, &script, &host.path("")), &script));
    said(&cluster, &mut session);
    said(&cluster, &mut session);
    until("the script runs", || host.path("began").exists());
    cluster.tell(&session, terminate(7, 1));
    let Said::Ended(ended) = said(&cluster, &mut session) else { panic!("not an end") };
    assert_eq!(ended.exit_signal, 15);
    let output = text(&host.path("slurm-7.out"));
    assert!(output.contains("JOB 7 ON n1 CANCELLED AT"), "{output}");
}

#[test]
fn a_user_that_the_host_does_not_know_fails_its_job_and_not_the_node() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    let mut job = job(7, 1, "#!/bin/sh\n", &host.path(""));
    std::sync::Arc::make_mut(&mut job.spec).user = UserId(3_999_999_999);
    cluster.tell(&session, launch(&job, "#!/bin/sh\n"));
    let Said::LaunchFailed(failed) = said(&cluster, &mut session) else { panic!("it began") };
    assert!(!failed.node_fault, "{}", failed.message);
    assert_eq!(host.runs(), ["7.1"], "its end waits on disk");
}

#[test]
fn a_script_that_does_not_come_along_is_fetched() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    let script = "#!/bin/sh\nexit 4\n";
    let hash = ContentHash::of(script.as_bytes());
    let content = Bytes::from_static(script.as_bytes());
    cluster.controllers[0].conduct().blobs.insert(hash, content);
    cluster.tell(&session, launch(&job(7, 1, script, &host.path("")), ""));
    assert_eq!(exit_code(&end(&cluster, &mut session)), 4);
}

#[test]
fn a_run_whose_supervisor_is_killed_is_lost_with_all_that_is_left_of_it() {
    let mut cluster = Cluster::new(1);
    let host = Host::join(&cluster);
    let mut session = cluster.attached(0);
    let script = waiting(&host);
    cluster.tell(&session, launch(&job(7, 1, &script, &host.path("")), &script));
    said(&cluster, &mut session);
    said(&cluster, &mut session);
    until("the script runs", || host.path("began").exists());
    let spool = step::spool::Spool::open(&host.path("spool")).expect("a spool");
    let started = spool.folder(7, 1).started().expect("read").expect("it has started");
    let stat = text(&Path::new("/proc").join(started.pid.to_string()).join("stat"));
    let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
    let supervisor = parent.and_then(|pid| pid.parse().ok()).expect("the script's parent");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(supervisor),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("killed");
    let lost = said(&cluster, &mut session);
    assert!(matches!(lost, Said::Lost(_)), "{lost:?}");
    let gone = || !Path::new("/proc").join(started.pid.to_string()).exists();
    until("the script is gone, too", gone);
    cluster.tell(&session, release(7, 1));
    until("the run is forgotten", || host.runs().is_empty());
}
