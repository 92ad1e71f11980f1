//! What commands do where the host's `rafterd` makes their calls, and where it does not.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prost::Message as _;
use proto::ctl::{
    CancelRequest, Done, HoldRequest, SubmitReply, SubmitRequest, TestOnlyReply, UpdateJobRequest,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream},
};
use tonic::Status;
use trust::door::{MARK, Question, Said, read_length, read_question, write_answer};

use crate::world::{World, said};

/// What a daemon does with a question.
#[derive(Clone)]
pub(crate) enum Act {
    Say(Said),
    /// As one that is killed.
    HangUp,
    /// As one that is stopped.
    Hush,
}

/// A daemon that does one thing after the other. The last one stays.
#[derive(Default)]
pub(crate) struct Daemon {
    acts: Mutex<VecDeque<Act>>,
    asked: Mutex<Vec<Question>>,
    silent: Mutex<Vec<UnixStream>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Daemon {
    pub(crate) fn does(&self, acts: impl IntoIterator<Item = Act>) {
        *locked(&self.acts) = acts.into_iter().collect();
    }

    fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut *locked(&self.asked))
    }

    pub(crate) async fn serve(self: Arc<Self>, listener: UnixListener) {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a command");
            let mut mark = [0; 4];
            stream.read_exact(&mut mark).await.expect("a mark");
            assert_eq!(mark, MARK, "commands here have the authority's key: no certificates");
            let length = read_length(&mut stream).await.expect("a length");
            let question = read_question(&mut stream, length).await.expect("a question");
            locked(&self.asked).push(question);
            let act = {
                let mut acts = locked(&self.acts);
                if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() }
            };
            match act.expect("the test says what to do") {
                Act::Say(said) => write_answer(&mut stream, said).await.expect("heard"),
                Act::HangUp => {}
                Act::Hush => locked(&self.silent).push(stream),
            }
        }
    }
}

fn reply(message: &impl prost::Message) -> Act {
    Act::Say(Said::Reply(message.encode_to_vec().into()))
}

fn refused(status: &Status) -> Act {
    Act::Say(Said::Refusal(status.into()))
}

fn full(text: &str, errno: u32) -> Status {
    let mut status = Status::failed_precondition(text);
    status.metadata_mut().insert("slurm-errno", errno.to_string().parse().expect("digits"));
    status.metadata_mut().insert("slurm-detail", "more of it".parse().expect("text"));
    status
}

#[test]
fn a_call_at_the_door_needs_no_connection_and_no_pass() {
    let world = World::new(1);
    let daemon = world.daemon();
    daemon.does([reply(&SubmitReply { job: 42 })]);
    assert_eq!(world.run("sbatch ok.sh"), said(0, "Submitted batch job 42\n", ""));
    let asked = daemon.asked();
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(question.method, "/rafter.ctl.v1.Controller/Submit");
    assert_eq!(question.cluster.as_ref(), world.cluster.0);
    let request = SubmitRequest::decode(question.message.clone()).expect("a request");
    assert_eq!(request.spec.expect("a spec").name, "okjob");

    let start = TestOnlyReply { job: 7, start: 1_000, cpus: 1, ..TestOnlyReply::default() };
    daemon.does([reply(&start)]);
    assert_eq!(world.run("sbatch --test-only ok.sh").exit, 0);
    daemon.does([reply(&Done {})]);
    let changes = [
        ("scancel 7", "Cancel"),
        ("scontrol hold 7", "Hold"),
        ("scontrol release 7", "Release"),
        ("scontrol requeue 7", "Requeue"),
        ("scontrol update jobid=7 comment=x", "UpdateJob"),
    ];
    daemon.asked();
    for (line, method) in changes {
        assert_eq!(world.run(line), said(0, "", ""), "{line}");
        let asked: Vec<_> = daemon.asked().into_iter().map(|it| it.method).collect();
        assert_eq!(asked, [format!("/rafter.ctl.v1.Controller/{method}")], "{line}");
    }
    assert_eq!(world.run("scontrol hold 7,8-9").exit, 0);
    let jobs = daemon.asked().into_iter().map(|it| HoldRequest::decode(it.message));
    let jobs: Vec<_> = jobs.map(|request| request.expect("a request").job).collect();
    assert_eq!(jobs, [7, 8, 9]);

    assert!(!world.path("run/rafter").exists(), "no pass was made");
    let ctl1 = &world.controllers[0];
    assert!(ctl1.submitted.all().is_empty() && ctl1.cancelled.all().is_empty());
}

#[test]
fn who_is_not_served_calls_himself_with_the_same_id() {
    let world = World::new(1);
    let (daemon, ctl1) = (world.daemon(), &world.controllers[0]);
    ctl1.submit.set([Ok(SubmitReply { job: 42 })]);
    ctl1.cancel.set([Ok(Done {})]);
    ctl1.change.set([Ok(Done {})]);
    let ways = [
        Act::Say(Said::NotServed("n1 is no login host".to_owned())),
        Act::Say(Said::Reply(b"\xff".to_vec().into())),
        Act::HangUp,
        Act::Hush,
    ];
    let first = "000000000000000000000000000000ff";
    for (at, way) in ways.into_iter().enumerate() {
        daemon.does([way]);
        let run = |line: &str| {
            let mut command = world.command(line);
            let output = command.env("RAFTER_REQUEST_ID", first).output().expect("it runs");
            assert_eq!(output.status.code(), Some(0), "{line}, way {at}: {output:?}");
            let asked = daemon.asked();
            assert_eq!(asked.len(), 1, "{line}, way {at}: it is asked once");
            asked[0].message.clone()
        };
        let asked = SubmitRequest::decode(run("sbatch ok.sh")).expect("a request");
        assert_eq!(ctl1.submitted.all()[at], asked, "the same to the byte");
        assert_eq!(asked.request.last(), Some(&0xff), "and the first");
        let asked = CancelRequest::decode(run("scancel 7")).expect("a request");
        assert_eq!(ctl1.cancelled.all()[at], asked);
        assert_eq!(asked.request.last(), Some(&0xff));
        let asked = HoldRequest::decode(run("scontrol hold 7")).expect("a request");
        assert_eq!(ctl1.held.all()[at], asked);
        let asked = UpdateJobRequest::decode(run("scontrol update jobid=7 name=x"));
        assert_eq!(ctl1.jobs_changed.all()[at], asked.expect("a request"));
    }
    // Who has had to connect stays with the connection.
    daemon.does([Act::HangUp]);
    assert_eq!(world.run("scontrol release 7,8").exit, 0);
    assert_eq!((daemon.asked().len(), ctl1.released.all().len()), (1, 2));
    // What needs a connection anyway knocks nowhere.
    assert_eq!(world.run("scancel 7 8").exit, 0);
    assert_eq!(daemon.asked(), []);
}

#[test]
fn a_refusal_reads_the_same_at_the_door() {
    let (with, without) = (World::new(1), World::new(1));
    let daemon = with.daemon();
    let refusals = [
        full("Invalid job id specified", 2017),
        full("Invalid partition name specified", 2000),
        Status::invalid_argument("`name` can't be used"),
    ];
    let lines = [
        "sbatch ok.sh",
        "scancel 7",
        "scancel -v 7",
        "scontrol hold 7",
        "scontrol requeue 7,8",
        "scontrol update jobid=7 name=x",
    ];
    for status in refusals {
        daemon.does([refused(&status)]);
        without.controllers[0].submit.set([Err(status.clone())]);
        without.controllers[0].cancel.set([Err(status.clone())]);
        without.controllers[0].change.set([Err(status)]);
        for line in lines {
            assert_eq!(with.run(line), without.run(line), "{line}");
        }
    }
    assert!(daemon.asked().len() >= 3 * lines.len(), "all of them went to the door");
}

#[test]
fn a_full_cluster_is_asked_again_at_the_door() {
    let world = World::new(1);
    let daemon = world.daemon();
    let text = "Slurm temporarily unable to accept job, sleeping and retrying";
    daemon.does([refused(&full(text, 2054)), reply(&SubmitReply { job: 5 })]);
    let expected = said(0, "5\n", &format!("sbatch: error: {text}\n"));
    assert_eq!(world.run("sbatch --parsable ok.sh"), expected);
    let asked = daemon.asked();
    let ids = asked.iter().map(|it| SubmitRequest::decode(it.message.clone()));
    let ids: Vec<_> = ids.map(|request| request.expect("a request").request).collect();
    assert_ne!(ids[0], ids[1], "the refusal was an answer");
}

#[test]
fn a_door_that_does_not_open_does_not_keep_a_command_beyond_its_time() {
    let mut world = World::new(1);
    let daemon = world.daemon();
    world.stop();
    daemon.does([Act::Hush]);
    let began = Instant::now();
    let output = world.run("sbatch ok.sh");
    let text = "sbatch: error: Batch job submission failed: \
                Unable to contact slurm controller (connect failure)\n";
    assert!(output.exit == 1 && output.err.ends_with(text), "{output:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
