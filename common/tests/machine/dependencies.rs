//! What jobs wait for of other jobs.

use std::sync::Arc;

use common::{
    config::Config,
    id::JobId,
    job::{Dependency, EndState, JobChanges, JobSpec, Phase, Reason},
    machine::{Command, Event, Refusal, next_alarm, timers},
};

use crate::cluster::{ALICE, Cluster, config, spec};

fn after(text: &str) -> JobSpec {
    let dependency = Dependency::parse(text).expect("it is well formed");
    JobSpec { dependency: Some(Arc::new(dependency)), name: text.to_owned(), ..spec(ALICE) }
}

fn named(name: &str, text: Option<&str>) -> JobSpec {
    let asked = text.map_or_else(|| spec(ALICE), after);
    JobSpec { name: name.to_owned(), ..asked }
}

impl Cluster {
    fn enters(&mut self, spec: JobSpec) -> JobId {
        self.submit(ALICE, spec).expect("it may be submitted")
    }

    /// Whether the job stands in the queue.
    fn queued(&self, job: JobId) -> bool {
        self.state.queues.values().flatten().any(|key| key.job == job)
    }

    fn waits_for(&self, job: JobId) -> Option<String> {
        self.state.jobs[&job].dependency.as_ref().and_then(|dependency| dependency.shown())
    }

    fn runs(&mut self, job: JobId) {
        self.allocate(job, "n1", 1).expect("it may start");
    }

    fn ends(&mut self, job: JobId, code: u8) {
        let attempt = self.state.jobs[&job].attempt.0;
        self.exits("n1", job, attempt, code);
    }

    fn depend(&mut self, job: JobId, text: &str) -> Result<(), Refusal> {
        let dependency = Some(Arc::new(Dependency::parse(text).expect("it is well formed")));
        let changes = Box::new(JobChanges { dependency, ..JobChanges::default() });
        let by = self.by(ALICE);
        self.send(Command::UpdateJob { by, job, changes }).map(|_| ())
    }

    fn rename(&mut self, job: JobId, name: &str) -> Result<(), Refusal> {
        let changes = Box::new(JobChanges { name: Some(name.into()), ..JobChanges::default() });
        let by = self.by(ALICE);
        self.send(Command::UpdateJob { by, job, changes }).map(|_| ())
    }

    fn time(&mut self) {
        for command in timers(&self.state, self.now) {
            self.send(command).expect("a timer is never refused");
        }
    }
}

#[test]
fn each_kind_waits_for_its_own() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let (good, bad) = (cluster.enters(spec(ALICE)), cluster.enters(spec(ALICE)));
    let kinds = ["after", "afterany", "afterok", "afternotok"];
    let of = |cluster: &mut Cluster, parent: JobId| {
        kinds.map(|kind| cluster.enters(after(&format!("{kind}:{parent}"))))
    };
    let (of_good, of_bad) = (of(&mut cluster, good), of(&mut cluster, bad));
    let queued = |cluster: &Cluster, jobs: [JobId; 4]| jobs.map(|job| cluster.queued(job));
    assert_eq!(queued(&cluster, of_good), [false; 4]);

    cluster.runs(good);
    cluster.runs(bad);
    assert_eq!(queued(&cluster, of_good), [true, false, false, false]);
    cluster.ends(good, 0);
    cluster.ends(bad, 3);
    assert_eq!(queued(&cluster, of_good), [true, true, true, false]);
    assert_eq!(queued(&cluster, of_bad), [true, true, false, true]);
    assert_eq!(cluster.waits_for(of_bad[2]).as_deref(), Some("afterok:2(failed)"));
    assert_eq!(cluster.waits_for(of_good[3]).as_deref(), Some("afternotok:1(failed)"));
    // One that comes later finds the same, as long as they are not forgotten.
    assert_eq!(of(&mut cluster, good).map(|job| cluster.queued(job)), [true, true, true, false]);
}

#[test]
fn a_job_that_waits_can_not_be_started() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(spec(ALICE));
    let second = cluster.enters(after("afterany:1"));
    assert_eq!(cluster.allocate(second, "n1", 1), Err(Refusal::Stale));
    cluster.runs(first);
    assert_eq!(cluster.allocate(second, "n1", 1), Err(Refusal::Stale));
    cluster.ends(first, 0);
    cluster.runs(second);
}

#[test]
fn the_end_of_a_job_says_what_becomes_of_others_in_the_same_entry() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(spec(ALICE));
    let second = cluster.enters(after("afterok:1"));
    cluster.runs(first);
    cluster.ends(first, 0);
    let events: Vec<_> =
        cluster.log.last().expect("an end").events.iter().map(Event::kind).collect();
    assert_eq!(events, ["JobEnded", "ConditionSettled"]);
    // Nobody needs the first one any more.
    cluster.pass(400);
    cluster.time();
    assert!(!cluster.state.jobs.contains_key(&first));
    assert!(cluster.queued(second));
    assert_eq!(cluster.submit(ALICE, after("afterok:1")), Err(Refusal::Dependency));
    assert_eq!(cluster.replayed(), cluster.state);
}

#[test]
fn all_or_any_of_several() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let (one, two) = (cluster.enters(spec(ALICE)), cluster.enters(spec(ALICE)));
    let all = cluster.enters(after("afterok:1,afterok:2"));
    let any = cluster.enters(after("afterok:1?afterok:2"));
    let neither = cluster.enters(after("afternotok:1?afterok:2"));
    cluster.runs(one);
    cluster.ends(one, 0);
    assert_eq!([all, any, neither].map(|job| cluster.queued(job)), [false, true, false]);
    assert_eq!(cluster.waits_for(all).as_deref(), Some("afterok:2(unfulfilled)"));
    cluster.runs(two);
    cluster.ends(two, 1);
    assert_eq!(cluster.waits_for(all).as_deref(), Some("afterok:2(failed)"));
    let both = "afternotok:1(failed)?afterok:2(failed)";
    assert_eq!(cluster.waits_for(neither).as_deref(), Some(both));
}

#[test]
fn a_delay_counts_from_the_start_or_the_end() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(spec(ALICE));
    let started = cluster.enters(after("after:1+5"));
    let over = cluster.enters(after("afterok:1+5"));
    cluster.pass(60);
    cluster.runs(first);
    cluster.pass(120);
    cluster.ends(first, 0);
    cluster.time();
    assert!(!cluster.queued(started));
    assert_eq!(next_alarm(&cluster.state), Some(cluster.now + common::time::Span(180_000)));
    cluster.pass(180);
    cluster.time();
    assert!(cluster.queued(started) && !cluster.queued(over));
    cluster.pass(120);
    cluster.time();
    assert!(cluster.queued(over));
}

#[test]
fn a_cancelled_job_counts_as_begun_and_as_failed() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(spec(ALICE));
    let kinds = ["after:1", "after:1+1", "afterany:1", "afterok:1", "afternotok:1"];
    let jobs = kinds.map(|kind| cluster.enters(after(kind)));
    let by = cluster.by(ALICE);
    cluster.send(Command::Cancel { by, job: first, signal: None }).expect("its own job");
    assert_eq!(jobs.map(|job| cluster.queued(job)), [true, false, true, false, true]);
    cluster.pass(60);
    cluster.time();
    assert!(cluster.queued(jobs[1]));
}

#[test]
fn a_run_that_is_tried_again_is_not_over() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(spec(ALICE));
    let jobs = ["after:1", "afterany:1"].map(|kind| cluster.enters(after(kind)));
    cluster.runs(first);
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job: first, hold: false }).expect("its own job");
    cluster.ends(first, 0);
    assert!(cluster.state.jobs[&first].is_pending());
    assert_eq!(jobs.map(|job| cluster.queued(job)), [true, false]);
    cluster.pass(200);
    cluster.runs(first);
    cluster.ends(first, 0);
    assert!(cluster.queued(jobs[1]));
}

#[test]
fn what_can_never_start_is_cancelled_where_that_is_wanted() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(spec(ALICE));
    let kills = |kill, asked: JobSpec| JobSpec { kill_on_invalid_dep: kill, ..asked };
    let stays = cluster.enters(after("afterok:1"));
    let goes = cluster.enters(kills(Some(true), after("afterok:1")));
    let held = JobSpec { hold: true, ..kills(Some(true), after("afterok:1")) };
    let held = cluster.enters(held);
    // And so do those that wait for that one in turn.
    let next = cluster.enters(kills(Some(true), after(&format!("afterok:{goes}"))));
    let glad = cluster.enters(after(&format!("afternotok:{next}")));
    cluster.runs(first);
    cluster.ends(first, 1);
    assert!(cluster.state.jobs[&stays].is_pending() && !cluster.queued(stays));
    for job in [goes, next] {
        let Phase::Ended { end, run: None } = &cluster.state.jobs[&job].phase else {
            panic!("{job} is not over")
        };
        assert_eq!(end.state, EndState::Cancelled);
        assert_eq!(end.reason, Some(Reason::DependencyNeverSatisfied));
    }
    assert!(cluster.queued(glad));
    assert!(cluster.state.jobs[&held].is_pending());
    let by = cluster.by(ALICE);
    cluster.send(Command::Release { by, job: held }).expect("its own job");
    assert!(matches!(cluster.state.jobs[&held].phase, Phase::Ended { .. }));
    // The configuration may say so, too, and a job may say otherwise.
    let strict = Config { kill_invalid_depend: true, ..config(&["n1"], 8) };
    cluster.send(Command::SetConfig { config: Arc::new(strict) }).expect("a change");
    let killed = cluster.enters(after("afterok:1"));
    let kept = cluster.enters(kills(Some(false), after("afterok:1")));
    assert!(matches!(cluster.state.jobs[&killed].phase, Phase::Ended { .. }));
    assert!(cluster.state.jobs[&kept].is_pending());
}

/// As Slurm does it, a job that was to be the only one waits for all that came before it, held or
/// not, and while any other of its name runs.
#[test]
fn a_singleton_runs_alone() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(named("a", Some("singleton")));
    let second = cluster.enters(named("a", Some("singleton")));
    let other = cluster.enters(named("b", Some("singleton")));
    assert!(cluster.queued(first) && cluster.queued(other) && !cluster.queued(second));
    // One that came later and did not ask has begun: the others wait.
    let later = cluster.enters(named("a", None));
    cluster.runs(later);
    assert_eq!(cluster.waits_for(first).as_deref(), Some("singleton(unfulfilled)"));
    assert_eq!(cluster.allocate(first, "n1", 1), Err(Refusal::Stale));
    cluster.ends(later, 0);
    let by = cluster.by(ALICE);
    cluster.send(Command::Hold { by, job: first, admin: false }).expect("its own job");
    assert!(!cluster.queued(second));
    let by = cluster.by(ALICE);
    cluster.send(Command::Release { by, job: first }).expect("its own job");
    cluster.runs(first);
    cluster.ends(first, 1);
    assert!(cluster.queued(second));
    cluster.runs(second);
    // It runs again only once it is alone again.
    let by = cluster.by(ALICE);
    cluster.send(Command::Requeue { by, job: first, hold: false }).expect("its own job");
    assert!(!cluster.queued(first));
    cluster.ends(second, 0);
    assert!(cluster.queued(first));
}

#[test]
fn a_name_that_changes_changes_who_is_alone() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let first = cluster.enters(named("a", None));
    let second = cluster.enters(named("a", Some("singleton")));
    assert!(!cluster.queued(second));
    let changes = Box::new(JobChanges { name: Some("b".to_owned()), ..JobChanges::default() });
    let by = cluster.by(ALICE);
    cluster.send(Command::UpdateJob { by, job: first, changes }).expect("its own job");
    assert!(cluster.queued(second));
}

#[test]
fn dependencies_are_changed_and_never_go_round() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let one = cluster.enters(spec(ALICE));
    let two = cluster.enters(after("afterok:1"));
    let three = cluster.enters(after("afterok:2"));
    assert_eq!(cluster.depend(one, "afterok:1"), Err(Refusal::Dependency));
    assert_eq!(cluster.depend(one, "afterok:99"), Err(Refusal::Dependency));
    assert_eq!(cluster.depend(one, "afterok:3"), Err(Refusal::CircularDependency));
    assert_eq!(cluster.depend(three, "afterok:1,singleton"), Ok(()));
    // What went round before does so no more.
    assert_eq!(cluster.depend(one, ""), Ok(()));
    assert_eq!(cluster.depend(two, "afterok:3"), Ok(()));
    assert_eq!(cluster.depend(three, ""), Ok(()));
    assert!(cluster.queued(three) && !cluster.queued(two));
    cluster.runs(three);
    assert_eq!(cluster.depend(three, "afterok:1"), Err(Refusal::NotPending(three)));
}

/// A singleton waits for all of its name that came before it: a name closes a circle, too.
#[test]
fn nobody_waits_for_a_singleton_that_waits_for_him() {
    let mut cluster = Cluster::new(&["n1"], 8);
    let circle = Err(Refusal::CircularDependency);
    let first = cluster.enters(named("a", None));
    let other = cluster.enters(named("b", None));
    cluster.enters(named("a", Some("singleton")));
    let last = cluster.enters(named("a", Some("singleton")));
    for waits in ["afterok:3", "afterok:4", "afterany:3,singleton"] {
        assert_eq!(cluster.depend(first, waits), circle, "{waits}");
    }
    // Whoever came later, or has another name, may.
    let later = cluster.enters(named("a", Some("afterok:4")));
    assert_eq!(cluster.depend(other, "afterok:4"), Ok(()));
    assert_eq!(cluster.rename(other, "a"), circle);
    assert_eq!(cluster.rename(first, "c"), Ok(()));
    assert_eq!(cluster.depend(first, "afterok:4"), Ok(()));
    assert_eq!(cluster.rename(first, "a"), circle);
    assert_eq!(cluster.rename(first, "b"), Ok(()));
    // The waited for asks to be alone.
    assert_eq!(cluster.depend(later, ""), Ok(()));
    assert_eq!(cluster.rename(later, "b"), Ok(()));
    assert_eq!(cluster.depend(other, "afterok:5"), Ok(()));
    assert_eq!(cluster.depend(later, "singleton"), circle);
    assert_eq!(cluster.depend(last, "singleton"), Ok(()));
}

/// A record of format 1 says nothing of dependencies, so none may be made as long as one replica
/// understands no more than that.
#[test]
fn a_log_of_format_1_has_no_dependencies() {
    let mut cluster = Cluster::new(&["n1"], 8);
    cluster.state.format = 1;
    let first = cluster.enters(spec(ALICE));
    assert_eq!(cluster.submit(ALICE, after("afterok:1")), Err(Refusal::Format("dependencies")));
    assert_eq!(cluster.depend(first, "singleton"), Err(Refusal::Format("dependencies")));
    cluster.send(Command::RaiseFormat { format: 2 }).expect("all know it");
    cluster.enters(after("afterok:1"));
}
