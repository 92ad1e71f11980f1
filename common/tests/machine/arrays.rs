//! Job arrays: one job as long as their tasks wait.

use std::sync::Arc;

use common::{
    config::Config,
    id::JobId,
    job::{
        ArrayPart, ArraySpec, Dependency, EndState, Fate, Hold, Job, JobChanges, JobSpec, Phase,
        Place, TaskSet,
    },
    machine::{Allocation, Command, Event, Refusal, TaskAct},
    resources::Resources,
    time::{Span, Timestamp},
};

use crate::cluster::{ALICE, BOB, Cluster, config, spec};

fn array(text: &str) -> JobSpec {
    let asked = ArraySpec::parse(text, 1_001).expect("it is well formed");
    JobSpec { array: Some(Arc::new(asked)), ..spec(ALICE) }
}

fn after(text: &str, asked: JobSpec) -> JobSpec {
    let dependency = Dependency::parse(text).expect("it is well formed");
    JobSpec { dependency: Some(Arc::new(dependency)), ..asked }
}

fn set(text: &str) -> TaskSet {
    TaskSet::parse(text, 1_001).expect("it is well formed")
}

impl Cluster {
    fn array(&mut self, text: &str) -> JobId {
        self.submit(ALICE, array(text)).expect("it may be submitted")
    }

    /// Starts a waiting task; its job.
    fn start(&mut self, array: JobId, task: u32) -> Result<JobId, Refusal> {
        let held = Resources { cpus: 1, memory_mib: 0 };
        let places = vec![Place::of("n1".into(), held, 1)];
        let waiting = Allocation::of(&self.state.jobs[&array], places);
        let allocation = Allocation { task: Some(task), ..waiting };
        self.send(Command::Allocate(allocation))?;
        Ok(self.state.tasks.get(array, task).expect("it has a job of its own"))
    }

    fn task(&self, array: JobId, task: u32) -> &Job {
        &self.state.jobs[&self.state.tasks.get(array, task).expect("it has a job of its own")]
    }

    fn over(&mut self, job: JobId, code: u8) {
        let attempt = self.state.jobs[&job].attempt.0;
        self.exits("n1", job, attempt, code);
    }

    fn does(&mut self, array: JobId, tasks: Option<&str>, act: TaskAct) -> Result<(), Refusal> {
        let by = self.by(ALICE);
        let tasks = tasks.map(set);
        self.send(Command::OnTasks { by, array, tasks, act }).map(|_| ())
    }

    fn left(&self, array: JobId) -> String {
        self.state.waiting(array).map(|(_, tasks)| tasks.to_string()).unwrap_or_default()
    }

    fn last_events(&self) -> Vec<&'static str> {
        self.log.last().expect("an entry").events.iter().map(Event::kind).collect()
    }

    fn shown(&self, job: JobId) -> Option<String> {
        self.state.jobs[&job].dependency.as_ref().and_then(|dependency| dependency.shown())
    }
}

#[test]
fn a_million_tasks_are_one_event_and_one_record() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let large =
        Config { max_array_size: 1_000_001, max_job_count: 1_000_000, ..config(&["n1"], 8) };
    cluster.send(Command::SetConfig { config: Arc::new(large) }).expect("a change");
    let asked = ArraySpec::parse("0-999999%50", 1_000_001).expect("as many as may be");
    let spec = JobSpec { array: Some(Arc::new(asked)), ..spec(ALICE) };
    let job = cluster.submit(ALICE, spec).expect("it may be submitted");
    assert_eq!(cluster.last_events(), ["BlobStored", "BlobStored", "JobSubmitted"]);
    assert_eq!(cluster.state.jobs.len(), 1);
    assert_eq!(cluster.state.arrays[&job].unfinished, 1_000_000);
    assert_eq!(cluster.start(job, 3), Ok(JobId(2)));
    assert_eq!(cluster.left(job), "0-2,4-999999");
}

/// A task that gets a job of its own always finds room for it.
#[test]
fn each_task_counts_as_a_job() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let small = Config { max_job_count: 10, ..config(&["n1"], 8) };
    cluster.send(Command::SetConfig { config: Arc::new(small) }).expect("a change");
    let job = cluster.array("0-8");
    assert_eq!(cluster.submit(ALICE, array("0-1")), Err(Refusal::TooManyJobs));
    cluster.does(job, Some("4,6"), TaskAct::Hold { admin: false }).expect("its own");
    cluster.start(job, 0).expect("it may start");
    assert_eq!((cluster.state.jobs.len(), cluster.state.job_count()), (4, 9));
    cluster.submit(ALICE, spec(ALICE)).expect("the tenth");
    assert_eq!(cluster.submit(ALICE, spec(ALICE)), Err(Refusal::TooManyJobs));
    cluster.does(job, Some("1-3"), TaskAct::Cancel { signal: None }).expect("its own");
    assert_eq!(cluster.state.job_count(), 7);
    cluster.does(job, None, TaskAct::Cancel { signal: None }).expect("its own");
    assert_eq!(cluster.state.job_count(), cluster.state.jobs.len() as u64);
}

/// As Slurm does it: each task gets a number of its own, and the last one has the array's.
#[test]
fn a_task_becomes_a_job_as_it_starts() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("3-7:2");
    assert_eq!(cluster.start(job, 3), Ok(JobId(2)));
    assert_eq!(cluster.last_events(), ["TaskSplit", "JobAllocated"]);
    assert_eq!(cluster.start(job, 3), Err(Refusal::Stale));
    assert_eq!(cluster.start(job, 4), Err(Refusal::Stale));
    assert_eq!(cluster.start(job, 5), Ok(JobId(3)));
    assert_eq!(cluster.left(job), "7");
    assert_eq!(cluster.start(job, 7), Ok(job));
    assert_eq!(cluster.left(job), "");
    let part = Some(ArrayPart::Task { array: job, index: 7 });
    assert_eq!(cluster.state.jobs[&job].array, part);
    for task in [JobId(2), JobId(3), job] {
        cluster.over(task, 0);
    }
    assert_eq!(cluster.state.arrays[&job].unfinished, 0);
    // Forgotten with the last of its jobs.
    cluster.pass(400);
    let jobs = vec![job, JobId(2), JobId(3)];
    cluster.send(Command::Forget { jobs }).expect("it is never refused");
    assert!(cluster.state.arrays.is_empty() && cluster.state.blobs.is_empty());
    assert_eq!(cluster.replayed(), cluster.state);
}

/// When what waits for ten minutes after the array began may start.
fn due(cluster: &mut Cluster, array: JobId) -> Fate {
    let waits = after(&format!("after:{array}+10"), spec(ALICE));
    let job = cluster.submit(ALICE, waits).expect("the array is known");
    let dependency = cluster.state.jobs[&job].dependency.as_ref().expect("it waits");
    dependency.conditions[0].fate
}

/// Both tasks of an array, of which the second one follows 100 seconds after the first, which runs
/// on; and when the second one did.
fn half_begun(second: impl FnOnce(&mut Cluster, JobId)) -> (Cluster, JobId, Timestamp) {
    let mut cluster = Cluster::new(&["n1"], 8);
    let array = cluster.array("0-1");
    cluster.start(array, 0).expect("the first");
    cluster.pass(100);
    let at = cluster.now;
    second(&mut cluster, array);
    (cluster, array, at)
}

#[test]
fn an_array_has_begun_with_its_last_task() {
    let (mut cluster, array, at) = half_begun(|cluster, array| {
        cluster.start(array, 1).expect("the second");
        cluster.over(array, 0);
    });
    assert_eq!(due(&mut cluster, array), Fate::Due(at + Span::from_seconds(600)));
    cluster.pass(400);
    cluster.send(Command::Forget { jobs: vec![array] }).expect("it is never refused");
    let forgotten = due(&mut cluster, array);
    assert_eq!(forgotten, Fate::Due(at + Span::from_seconds(600)), "whoever is forgotten");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn a_task_that_is_cancelled_before_it_began_counts_from_then_on() {
    let (mut cluster, array, at) = half_begun(|cluster, array| {
        cluster.does(array, Some("1"), TaskAct::Cancel { signal: None }).expect("its own array");
    });
    assert_eq!(due(&mut cluster, array), Fate::Due(at + Span::from_seconds(600)));
}

#[test]
fn no_more_tasks_run_than_may() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-9%2");
    let first = cluster.start(job, 0).expect("the first");
    cluster.start(job, 1).expect("the second");
    assert_eq!(cluster.start(job, 2), Err(Refusal::Stale));
    cluster.over(first, 0);
    cluster.start(job, 2).expect("another");
    let changes = Box::new(JobChanges { array_limit: Some(0), ..JobChanges::default() });
    cluster.does(job, None, TaskAct::Update { changes }).expect("its own array");
    cluster.start(job, 3).expect("there is no limit any more");
    let single = cluster.submit(ALICE, spec(ALICE)).expect("a job");
    let changes = Box::new(JobChanges { array_limit: Some(1), ..JobChanges::default() });
    let by = cluster.by(ALICE);
    let told = cluster.send(Command::UpdateJob { by, job: single, changes });
    assert_eq!(told, Err(Refusal::Array));
}

#[test]
fn tasks_are_cancelled_one_by_one_in_sets_and_all() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-9");
    let running = cluster.start(job, 0).expect("the first");
    let cancel = || TaskAct::Cancel { signal: None };
    cluster.does(job, Some("5"), cancel()).expect("its own");
    assert_eq!(cluster.last_events(), ["TasksCancelled"]);
    cluster.does(job, Some("7-8,0"), cancel()).expect("its own");
    assert_eq!(cluster.last_events(), ["TasksCancelled", "JobCompleting"]);
    assert_eq!(cluster.left(job), "1-4,6,9");
    assert_eq!(cluster.does(job, Some("99"), cancel()), Err(Refusal::NoSuchJob(job)));
    let by = cluster.by(BOB);
    let tasks = Some(set("1"));
    let told = cluster.send(Command::OnTasks { by, array: job, tasks, act: cancel() });
    assert_eq!(told, Err(Refusal::Denied));
    cluster.over(running, 0);
    let by = cluster.by(ALICE);
    cluster.send(Command::Cancel { by, job, signal: None }).expect("its own");
    assert_eq!(cluster.last_events(), ["JobEnded"]);
    let book = cluster.state.arrays[&job];
    assert_eq!((book.unfinished, book.failed), (0, 10));
    let by = cluster.by(ALICE);
    let told = cluster.send(Command::Cancel { by, job, signal: None });
    assert!(matches!(told, Err(Refusal::AlreadyDone(_))), "{told:?}");
}

/// What is to be different for some tasks makes them jobs of their own.
#[test]
fn tasks_are_held_released_changed_and_requeued() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-9");
    cluster.does(job, Some("4,6"), TaskAct::Hold { admin: false }).expect("its own");
    let kinds = ["TaskSplit", "JobHeld", "TaskSplit", "JobHeld"];
    assert_eq!(cluster.last_events(), kinds);
    assert_eq!(cluster.task(job, 6).hold, Hold::User);
    assert_eq!(cluster.left(job), "0-3,5,7-9");
    let changes = Box::new(JobChanges { comment: Some("x".into()), ..JobChanges::default() });
    cluster.does(job, Some("9"), TaskAct::Update { changes }).expect("its own");
    assert_eq!(cluster.task(job, 9).spec.comment.as_deref(), Some("x"));
    cluster.does(job, None, TaskAct::Hold { admin: false }).expect("its own");
    assert_eq!(cluster.state.jobs[&job].hold, Hold::User);
    assert_eq!(cluster.start(job, 0), Err(Refusal::Stale));
    cluster.does(job, None, TaskAct::Release).expect("its own");
    let first = cluster.start(job, 0).expect("released");
    cluster.does(job, Some("0"), TaskAct::Requeue { hold: false }).expect("its own");
    cluster.over(first, 0);
    assert!(cluster.task(job, 0).is_pending());
    assert_eq!(cluster.task(job, 0).attempt.0, 2);
    let told = cluster.does(job, Some("1"), TaskAct::Requeue { hold: false });
    assert!(matches!(told, Err(Refusal::Pending(_))), "{told:?}");
    // One that is over counts again once it is to run again.
    cluster.pass(200);
    cluster.allocate(first, "n1", 1).expect("it may start");
    cluster.over(first, 1);
    assert_eq!(cluster.state.arrays[&job].unfinished, 9);
    cluster.does(job, Some("0"), TaskAct::Requeue { hold: false }).expect("its own");
    let book = cluster.state.arrays[&job];
    assert_eq!((book.unfinished, book.failed), (10, 0));
}

#[test]
fn others_wait_for_an_array_or_for_a_task_of_it() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-2");
    let mut waits = |text: &str| cluster.submit(ALICE, after(text, spec(ALICE))).expect(text);
    let [begun, any, good, bad] =
        ["after:1", "afterany:1_*", "afterok:1", "afternotok:1"].map(&mut waits);
    let one = waits("afterok:1_1");
    assert_eq!(cluster.shown(good).as_deref(), Some("afterok:1_*(unfulfilled)"));
    for wrong in ["afterok:1_7", "afterok:2_1", "afterok:2_*"] {
        let told = cluster.submit(ALICE, after(wrong, spec(ALICE)));
        assert_eq!(told, Err(Refusal::Dependency), "{wrong}");
    }
    let tasks = [0, 1].map(|task| cluster.start(job, task).expect("it may start"));
    assert!(cluster.shown(begun).is_some());
    cluster.start(job, 2).expect("the last");
    assert_eq!(cluster.shown(begun), None);
    cluster.over(tasks[0], 1);
    cluster.over(tasks[1], 0);
    // As in Slurm: that one has failed is said once all are over.
    assert_eq!(cluster.shown(good).as_deref(), Some("afterok:1_*(unfulfilled)"));
    assert_eq!(cluster.shown(one), None);
    cluster.over(job, 0);
    assert_eq!(cluster.shown(good).as_deref(), Some("afterok:1_*(failed)"));
    assert_eq!([any, bad].map(|job| cluster.shown(job)), [None, None]);
}

/// A task may wait for another one, but for no circle of them, nor for all.
#[test]
fn tasks_of_one_array_wait_for_each_other() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-5");
    let mut depends = |tasks: &str, text: &str| {
        let dependency = Some(Arc::new(Dependency::parse(text).expect("it is well formed")));
        let changes = Box::new(JobChanges { dependency, ..JobChanges::default() });
        cluster.does(job, Some(tasks), TaskAct::Update { changes })
    };
    assert_eq!(depends("0", "afterok:1_0"), Err(Refusal::Dependency));
    assert_eq!(depends("0-5", "afterok:1_*"), Err(Refusal::Dependency));
    // It still waits with the others.
    assert_eq!(depends("0", "afterok:1_1"), Err(Refusal::Dependency));
    assert_eq!(depends("1", ""), Ok(()));
    assert_eq!(depends("0", "afterok:1_1"), Ok(()));
    assert_eq!(depends("1", "afterok:1_0"), Err(Refusal::CircularDependency));
    assert_eq!(depends("0", "afterok:1_2"), Ok(()));
    assert_eq!(depends("1", "afterok:1_*"), Err(Refusal::Dependency));
}

#[test]
fn tasks_wait_for_their_counterparts() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-2,5");
    let child = cluster.submit(ALICE, after("aftercorr:1", array("0-3"))).expect("another array");
    let plain = cluster.submit(ALICE, after("aftercorr:1", spec(ALICE))).expect("a job");
    let tasks = [0, 1].map(|task| cluster.start(job, task).expect("it may start"));
    cluster.over(tasks[0], 1);
    assert_eq!(cluster.last_events(), ["JobEnded", "TaskSplit", "ConditionSettled"]);
    let waits = |cluster: &Cluster, task| cluster.shown(cluster.task(child, task).id);
    assert_eq!(waits(&cluster, 0).as_deref(), Some("aftercorr:1_*(failed)"));
    assert_eq!(cluster.left(child), "1-3");
    cluster.over(tasks[1], 0);
    assert_eq!(waits(&cluster, 1), None);
    cluster.does(job, Some("2"), TaskAct::Cancel { signal: None }).expect("its own");
    assert_eq!(waits(&cluster, 2).as_deref(), Some("aftercorr:1_*(failed)"));
    // A later one finds the same.
    let later = cluster.submit(ALICE, after("aftercorr:1", array("0-3"))).expect("another array");
    assert_eq!(cluster.left(later), "3");
    let last = cluster.start(job, 5).expect("the last");
    cluster.over(last, 0);
    // Task 3 has no counterpart.
    assert_eq!(cluster.shown(child), None);
    assert_eq!(cluster.shown(plain).as_deref(), Some("aftercorr:1_*(failed)"));
    cluster.start(child, 3).expect("it may start");
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn tasks_of_one_array_are_alone_together() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.submit(ALICE, after("singleton", array("0-2"))).expect("an array");
    let next = cluster.submit(ALICE, after("singleton", array("0-2"))).expect("another");
    let first = cluster.start(job, 0).expect("it may start");
    cluster.start(job, 1).expect("it may start beside the other");
    assert_eq!(cluster.start(next, 0), Err(Refusal::Stale));
    let last = cluster.start(job, 2).expect("the last");
    cluster.over(first, 0);
    cluster.over(last, 0);
    assert_eq!(cluster.start(next, 0), Err(Refusal::Stale));
    cluster.over(JobId(4), 0);
    cluster.start(next, 0).expect("it is alone");
}

#[test]
fn arrays_are_refused_as_slurm_refuses_them() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let most = ArraySpec { tasks: set("1000"), limit: None };
    let asked = |tasks| JobSpec { array: Some(Arc::new(tasks)), ..spec(ALICE) };
    cluster.submit(ALICE, asked(most)).expect("the last one that may be");
    let tasks = TaskSet::parse("1001", 2_000).expect("it is well formed");
    let told = cluster.submit(ALICE, asked(ArraySpec { tasks, limit: None }));
    assert_eq!(told, Err(Refusal::Array));
    cluster.state.format = 1;
    assert_eq!(cluster.submit(ALICE, array("1")), Err(Refusal::Format("job arrays")));
}

#[test]
fn a_cancelled_array_may_run_again() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let job = cluster.array("0-2");
    cluster.does(job, None, TaskAct::Cancel { signal: None }).expect("its own");
    let Phase::Ended { end, .. } = &cluster.state.jobs[&job].phase else { panic!("it is over") };
    assert_eq!(end.state, EndState::Cancelled);
    cluster.does(job, None, TaskAct::Requeue { hold: false }).expect("its own");
    cluster.pass(200);
    cluster.start(job, 1).expect("it may start");
    let book = cluster.state.arrays[&job];
    assert_eq!((book.unfinished, book.failed), (3, 0));
}
