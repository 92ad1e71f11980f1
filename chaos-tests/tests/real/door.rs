//! Calls that `rafterd` makes for commands, while daemons die.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
};

use nix::sys::signal::Signal;

use crate::{
    cluster::{BOUND, Cluster},
    wait::until,
};

/// Commands wait longer than any fault lasts, even on a machine with other work.
const PATIENT: &str = "MessageTimeout=60";

/// `sbatch` as one whose request is `id`. It keeps what it obtains in `own`, and nothing is there
/// before.
fn sbatch(cluster: &Cluster, id: &str, own: &str) -> Command {
    let own = cluster.path(own);
    fs::create_dir_all(&own).expect("made");
    let mut sbatch = cluster.command("sbatch");
    sbatch.args(["--parsable", "--hold", "-o", "/dev/null", "--wrap=true"]);
    sbatch.env("RAFTER_REQUEST_ID", id).env("XDG_RUNTIME_DIR", own);
    sbatch.stdout(Stdio::piped()).stderr(Stdio::piped());
    sbatch
}

/// Whether a command had to connect itself: only then it obtains a pass.
fn connected(cluster: &Cluster, own: &str) -> bool {
    cluster.path(own).join("rafter").exists()
}

/// The numbers of all jobs, in order.
fn ids(cluster: &Cluster) -> Vec<u32> {
    let listed = cluster.ask("squeue", &["-h", "-o", "%i"]);
    let mut ids: Vec<u32> =
        listed.lines().map(|line| line.trim().parse().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

fn printed(child: Child, cluster: &Cluster) -> u32 {
    id(child).unwrap_or_else(|said| panic!("{said}{}", cluster.logs()))
}

/// The job that `sbatch` has made, or what it said instead.
fn id(child: Child) -> Result<u32, String> {
    let output = child.wait_with_output().expect("sbatch ends");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().expect("an id"))
}

/// The daemon is killed after the controllers have the job, and before the command has its answer;
/// and then it is not there at all.
#[test]
fn a_submission_whose_rafterd_dies_is_made_once() {
    let cluster = Cluster::raise(1, 1, &[PATIENT]);
    let through = sbatch(&cluster, "00000000000000000000000000000001", "a").spawn();
    let first = printed(through.expect("started"), &cluster);
    assert!(!connected(&cluster, "a"), "rafterd did not make the call{}", cluster.logs());

    // The controller takes the request, and its answer can't come: it is stopped first.
    cluster.signal("ctl1", Signal::SIGSTOP);
    let asks = sbatch(&cluster, "00000000000000000000000000000002", "b").spawn();
    let asks = asks.expect("started");
    until("the command to wait for its answer", BOUND, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", asks.id())).unwrap_or_default();
        // There is nothing else that it would sleep for.
        stat.contains(") S ").then_some(())
    });
    cluster.kill("n1");
    cluster.signal("ctl1", Signal::SIGCONT);
    let second = printed(asks, &cluster);
    assert!(connected(&cluster, "b"), "nobody else could make the call");
    assert_eq!(ids(&cluster), [first, second], "one job for each request");

    // What was asked once is not done again, whichever way it is asked.
    for (id, job) in [("1", first), ("2", second)] {
        let id = format!("{id:0>32}");
        let again = sbatch(&cluster, &id, "c").spawn().expect("started");
        assert_eq!(printed(again, &cluster), job);
    }
    cluster.start("n1");
    cluster.until_node("n1", &["idle"]);
    let again = sbatch(&cluster, "00000000000000000000000000000002", "d").spawn();
    assert_eq!(printed(again.expect("started"), &cluster), second);
    assert!(!connected(&cluster, "d"), "it makes calls again{}", cluster.logs());
    assert_eq!(ids(&cluster), [first, second]);
    cluster.ask("scancel", &[&first.to_string(), &second.to_string()]);
}

/// Leaders freeze and die while several commands wait for calls through one daemon.
#[test]
fn a_submission_whose_leader_dies_is_made_once() {
    let cluster = Cluster::raise(3, 1, &[PATIENT]);
    let old = cluster.leader(None);
    cluster.signal(&old, Signal::SIGSTOP);
    let ask = |number: u32| {
        let id = format!("{number:032x}");
        sbatch(&cluster, &id, "a").spawn().expect("started")
    };
    let waiting: Vec<_> = (1..=6).map(ask).collect();
    cluster.leader(Some(&old));
    cluster.kill(&old);
    let mut jobs: Vec<u32> = waiting.into_iter().map(|child| printed(child, &cluster)).collect();
    jobs.sort_unstable();
    assert_eq!(ids(&cluster), jobs, "one job for each request");
    // The requests are known to the new leader: each gets its own answer once more.
    let mut again: Vec<u32> = (1..=6).map(|number| printed(ask(number), &cluster)).collect();
    again.sort_unstable();
    assert_eq!((again, ids(&cluster).len()), (jobs, 6));
    cluster.start(&old);
    cluster.joined(&["ctl1", "ctl2", "ctl3"]);
}

/// While the leader is killed again and again under it, the door neither loses nor doubles.
#[test]
fn a_stream_through_the_door_survives_its_daemon() {
    let cluster = Cluster::raise(3, 1, &[PATIENT]);
    let command =
        |user: u32, number: u32| sbatch(&cluster, &format!("{:032x}", user * 1_000 + number), "a");
    let submitted = thread::scope(|scope| {
        let user = |user: u32| {
            let commands: Vec<Command> = (0..40).map(|number| command(user, number)).collect();
            scope.spawn(|| -> Vec<Result<u32, String>> {
                let submit = |mut command: Command| id(command.spawn().expect("started"));
                commands.into_iter().map(submit).collect()
            })
        };
        let users: Vec<_> = (1..=3).map(user).collect();
        for _ in 0..3 {
            cluster.kill("n1");
            cluster.start("n1");
            let leader = cluster.leader(None);
            cluster.kill(&leader);
            cluster.start(&leader);
            cluster.joined(&["ctl1", "ctl2", "ctl3"]);
        }
        let joined = users.into_iter().map(|user| user.join().expect("no user panics"));
        joined.collect::<Vec<_>>().concat()
    });
    let jobs: Result<Vec<u32>, String> = submitted.into_iter().collect();
    let mut jobs = jobs.unwrap_or_else(|said| panic!("{said}{}", cluster.logs()));
    jobs.sort_unstable();
    assert_eq!(ids(&cluster), jobs, "one job for each request, and each request has its answer");
}
