//! The users: they ask, ask again where no answer comes, and remember what they were told.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use common::{
    id::{GroupId, JobId, NodeName, RequestId, UserId},
    job::{
        ArraySpec, Constraint, Dependency, Hold, Job, JobChanges, JobSpec, Layout, MAX_ARRAY_SIZE,
        Phase, SignalScope, TaskSet,
    },
    machine::{Answer, By, Command, NodeChanges, NodeTarget, Submission, TaskAct},
    time::TimeLimit,
};

use super::{
    controller::node_name,
    gpus, het,
    leader::{Outcome, Rejected},
    licenses,
    network::Place,
    preempting::Kind,
    reserved::Reserve,
    waits::ALONE,
    world::{Happening, World},
};

/// A request is asked again after this time, and given up after that.
const PATIENCE_MS: u64 = 3_000;
const GIVE_UP_MS: u64 = 60_000;
/// How many jobs are submitted only when the faults are over.
const AFTER: u32 = 4;

#[derive(Clone, Debug)]
pub(super) enum Want {
    Submit {
        cpus: u32,
        nodes: u32,
        /// On each node.
        gpus: u64,
        minutes: Option<u32>,
        requeue: bool,
        /// What it is to wait for, and whether it is to end where it waits in vain.
        after: Option<String>,
        kill: bool,
        array: Option<String>,
        reservation: Option<String>,
        kind: Kind,
        /// The CPUs of its other components.
        beside: Vec<u32>,
    },
    /// On some tasks of an array, or on all.
    Tasks {
        array: JobId,
        tasks: Option<String>,
        act: TaskAct,
    },
    Cancel {
        job: JobId,
        signal: Option<u8>,
    },
    /// Waits for something else from here on, or for nothing.
    Depend {
        job: JobId,
        after: String,
    },
    Hold(JobId),
    Release(JobId),
    Requeue {
        job: JobId,
        hold: bool,
    },
    Node {
        node: usize,
        target: NodeTarget,
    },
    Reserve(Reserve),
    Unreserve(String),
    /// Asks what there is. It must see everything that was acknowledged before.
    Read {
        floor: u64,
    },
}

/// One request. It keeps its id over all retries.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    id: u64,
    want: Want,
}

#[derive(Debug)]
struct Open {
    ask: Ask,
    since: u64,
    asked: u64,
}

#[derive(Debug)]
pub(super) struct User {
    to_submit: u32,
    next: u64,
    open: BTreeMap<u64, Open>,
    /// What was answered to each request for good.
    answers: BTreeMap<u64, Answer>,
    /// The jobs that were acknowledged, by their requests.
    pub(super) acknowledged: BTreeMap<RequestId, JobId>,
    /// Nothing is submitted until then.
    rests_until: u64,
    /// How far the log was when the last answer came.
    floor: u64,
    pub(super) reads: u64,
}

const ALICE: UserId = UserId(1_001);
const OPERATOR: UserId = UserId(500);

impl Ask {
    fn request(&self) -> RequestId {
        RequestId(u128::from(self.id).to_be_bytes())
    }

    /// What it wants changed; none where it reads.
    pub(super) fn command(&self) -> Option<Command> {
        let user = match self.want {
            Want::Node { .. } | Want::Reserve(_) | Want::Unreserve(_) => OPERATOR,
            Want::Submit { .. }
            | Want::Cancel { .. }
            | Want::Depend { .. }
            | Want::Tasks { .. }
            | Want::Hold(_)
            | Want::Release(_)
            | Want::Requeue { .. }
            | Want::Read { .. } => ALICE,
        };
        let by = By { user, request: self.request() };
        Some(match &self.want {
            Want::Read { .. } => return None,
            Want::Submit { .. } => Command::Submit(Box::new(self.submission(by))),
            Want::Cancel { job, signal } => Command::Cancel {
                by,
                job: *job,
                signal: signal.map(|signal| (signal, SignalScope::Full)),
            },
            Want::Tasks { array, tasks, act } => Command::OnTasks {
                by,
                array: *array,
                tasks: tasks.as_deref().map(task_set),
                act: act.clone(),
            },
            Want::Depend { job, after } => {
                let dependency = Some(Arc::new(dependency(after)));
                let changes = Box::new(JobChanges { dependency, ..JobChanges::default() });
                Command::UpdateJob { by, job: *job, changes }
            }
            Want::Reserve(asked) => asked.command(by),
            Want::Unreserve(name) => Command::DeleteReservation { by, name: name.clone() },
            Want::Hold(job) => Command::Hold { by, job: *job, admin: false },
            Want::Release(job) => Command::Release { by, job: *job },
            Want::Requeue { job, hold } => Command::Requeue { by, job: *job, hold: *hold },
            Want::Node { node, target } => Command::UpdateNode {
                by,
                node: NodeName::from(node_name(*node)),
                changes: NodeChanges { target: Some(*target), reason: Some("sim".into()) },
            },
        })
    }

    fn submission(&self, by: By) -> Submission {
        let Want::Submit {
            cpus,
            nodes,
            gpus,
            minutes,
            requeue,
            after,
            kill,
            array,
            reservation,
            kind,
            beside,
        } = &self.want
        else {
            unreachable!("the caller saw a submission");
        };
        let layout = Layout { min_nodes: *nodes, tasks: *cpus, ..Layout::SINGLE };
        let mut spec = spec(layout, *minutes, *requeue);
        spec.constraint = constraint(self.id, *nodes);
        spec.gres = gpus::asked(*gpus);
        spec.asks = licenses::asked(self.id, *minutes);
        spec.reservations.extend(reservation.clone());
        kind.mark(&mut spec);
        if let Some(after) = after {
            let dependency = dependency(after);
            if dependency.singleton().is_some() {
                spec.name = ALONE.to_owned();
            }
            spec.dependency = Some(Arc::new(dependency));
            spec.kill_on_invalid_dep = Some(*kill);
        }
        spec.array = array.as_deref().filter(|_| beside.is_empty()).map(array_spec);
        if !beside.is_empty() {
            spec.asks = het::without_times(spec.asks);
        }
        Submission {
            by,
            components: het::components(&spec, beside),
            spec,
            // Some jobs share their script, and some do not.
            script: Bytes::from(format!("#!/bin/sh\nexit {}\n", self.id % 5)),
            environment: Bytes::from_static(b"PATH=/bin\0"),
        }
    }
}

/// Some ask for features. There is a node with the first one whatever the cluster is.
fn constraint(ask: u64, nodes: u32) -> Option<Arc<Constraint>> {
    let text = match (ask % 8, nodes) {
        (1, 1) => "odd",
        (2, 1) => "[odd|any]",
        (3, _) => "odd*1",
        _ => return None,
    };
    Constraint::parse(text).ok().map(Arc::new)
}

fn task_set(text: &str) -> TaskSet {
    TaskSet::parse(text, MAX_ARRAY_SIZE).expect("the simulator writes what can be read")
}

fn array_spec(text: &str) -> Arc<ArraySpec> {
    let spec = ArraySpec::parse(text, MAX_ARRAY_SIZE);
    Arc::new(spec.expect("the simulator writes what can be read"))
}

fn dependency(text: &str) -> Dependency {
    Dependency::parse(text).expect("the simulator writes what can be read")
}

fn spec(layout: Layout, minutes: Option<u32>, requeue: bool) -> JobSpec {
    JobSpec {
        name: "sim".into(),
        user: ALICE,
        user_name: "alice".into(),
        group: GroupId(1_001),
        group_name: "alice".into(),
        layout,
        time_limit: minutes.map(TimeLimit::Minutes),
        requeue: Some(requeue),
        work_dir: "/".into(),
        submit_host: "here".into(),
        ..JobSpec::plain()
    }
}

impl User {
    pub(super) fn new(to_submit: u32) -> Self {
        Self {
            to_submit,
            next: 0,
            open: BTreeMap::new(),
            answers: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            rests_until: 0,
            floor: 0,
            reads: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.to_submit == 0 && self.open.is_empty()
    }
}

impl World {
    pub(super) fn user_tick(&mut self) {
        let pause = 100 + self.random.below(1_500);
        self.soon(pause, Happening::UserTick);
        let now = self.now;
        self.user.open.retain(|_, open| open.since + GIVE_UP_MS > now);
        let late: Vec<Ask> = self
            .user
            .open
            .values_mut()
            .filter(|open| open.asked + PATIENCE_MS <= now)
            .map(|open| {
                open.asked = now;
                open.ask.clone()
            })
            .collect();
        for ask in late {
            self.ask(&ask);
        }
        if self.random.chance(300) {
            let floor = self.user.floor;
            self.want(Want::Read { floor });
        }
        if self.faults && self.random.chance(15) {
            // Long enough that all jobs are over and forgotten.
            self.user.rests_until = now + 20_000 + self.random.below(20_000);
        }
        // Some come when the faults are over: the cluster must take them in.
        let left = self.user.to_submit > if self.faults { AFTER } else { 0 };
        let pace = if self.user.to_submit > AFTER { 700 } else { 50 };
        let rests = self.faults && self.user.rests_until > now;
        if left && !rests && self.random.chance(pace) {
            self.user.to_submit -= 1;
            let beside = self.some_components();
            let alone = beside.is_empty();
            let two = alone && self.hosts.len() > 1 && self.random.chance(150);
            let want = Want::Submit {
                cpus: 1 + u32::try_from(self.random.below(if alone { 4 } else { 2 }))
                    .expect("small"),
                nodes: 1 + u32::from(two),
                gpus: self.some_gpus(),
                minutes: self.random.chance(300).then_some(1),
                requeue: self.random.chance(500),
                after: self.something_to_wait_for(),
                kill: self.random.chance(500),
                array: self.random.chance(120).then(|| self.some_array()),
                reservation: self.some_reservation(),
                kind: self.some_kind(),
                beside,
            };
            self.want(want);
        }
        if self.faults && self.random.chance(300) {
            self.meddle();
        }
        if self.faults && self.random.chance(60) {
            let want = self.some_change_of_reservations();
            self.want(want);
        }
        if !self.faults {
            self.tidy();
        }
    }

    /// Asks for something about some job or node.
    fn meddle(&mut self) {
        let live = |job: &JobId| self.truth.job(*job).is_some_and(|job| job.end().is_none());
        let mut jobs: Vec<JobId> = self.user.acknowledged.values().copied().collect();
        if self.random.chance(700) {
            jobs.retain(live);
        }
        let node = self.random.index(self.hosts.len());
        if jobs.is_empty() {
            return;
        }
        let job = jobs[self.random.index(jobs.len())];
        let first = |fits: fn(&Job) -> bool| {
            let found = self.truth.jobs.values().find(|job| fits(job.as_ref()));
            found.map(|job| job.id)
        };
        let held = first(|job| job.is_pending() && job.hold != Hold::None);
        let active = first(|job| matches!(job.phase, Phase::Active(_)));
        if let Some(held) = held.filter(|_| self.random.chance(400)) {
            self.want(Want::Release(held));
            return;
        }
        if self.random.chance(100)
            && let Some(after) = self.something_to_wait_for()
        {
            self.want(Want::Depend { job, after });
            return;
        }
        if self.random.chance(100)
            && let Some(want) = self.something_with_components()
        {
            self.want(want);
            return;
        }
        if self.random.chance(150)
            && let Some(want) = self.something_with_tasks()
        {
            self.want(want);
            return;
        }
        let want = match self.random.below(9) {
            0 | 1 => Want::Cancel { job, signal: None },
            2 => Want::Cancel { job, signal: Some(10) },
            3 => Want::Hold(job),
            4 => Want::Release(job),
            5 => Want::Requeue { job, hold: false },
            6 => Want::Requeue { job: active.unwrap_or(job), hold: true },
            7 => Want::Node { node, target: NodeTarget::Drain },
            _ => Want::Node { node, target: NodeTarget::Resume },
        };
        self.want(want);
    }

    /// Releases what is held and resumes what is drained, so that everything can end.
    fn tidy(&mut self) {
        if !self.user.open.is_empty() {
            return;
        }
        let held = self
            .truth
            .jobs
            .values()
            .filter(|job| matches!(job.phase, Phase::Pending) && job.hold != Hold::None);
        let mut wants: Vec<Want> = held.map(|job| Want::Release(job.id)).collect();
        // Nothing can be waited for in vain for ever.
        let stuck = |job: &&Arc<Job>| {
            let vain = job.dependency.as_ref().is_some_and(|all| {
                // One that is to be alone may wait for one that waits for it.
                all.is_never() || all.singleton() == Some(false)
            });
            job.is_pending() && vain
        };
        let stuck = self.truth.jobs.values().filter(stuck);
        wants.extend(stuck.map(|job| Want::Depend { job: job.id, after: String::new() }));
        for node in 0..self.hosts.len() {
            let name = NodeName::from(node_name(node));
            if self.truth.nodes.get(&name).is_some_and(|node| node.drain) {
                wants.push(Want::Node { node, target: NodeTarget::Resume });
            }
        }
        for want in wants {
            self.want(want);
        }
    }

    fn want(&mut self, want: Want) {
        self.user.next += 1;
        let ask = Ask { id: self.user.next, want };
        let open = Open { ask: ask.clone(), since: self.now, asked: self.now };
        self.user.open.insert(ask.id, open);
        self.say(format_args!("asked {} {:?}", ask.id, ask.want));
        self.ask(&ask);
    }

    fn ask(&mut self, ask: &Ask) {
        let controller = self.random.index(self.controllers.len());
        if !self.network.reaches(Place::User, Place::Controller(controller)) {
            return;
        }
        let life = self.controllers[controller].life;
        for _ in 0..self.network.copies(&mut self.random) {
            let delay = self.delay();
            self.soon(delay, Happening::Asked { controller, life, ask: ask.clone() });
        }
    }

    pub(super) fn answered(&mut self, ask: Ask, outcome: Outcome, index: u64) {
        if let Want::Read { floor } = ask.want {
            self.read_answered(&ask, floor, &outcome, index);
            return;
        }
        match outcome {
            Ok(answer) => {
                self.user.floor = self.user.floor.max(index);
                self.say(format_args!("answered {} {answer:?}", ask.id));
                let first = self.user.answers.insert(ask.id, answer);
                assert!(
                    first.is_none_or(|first| first == answer),
                    "request {} was answered {first:?}, then {answer:?}",
                    ask.id
                );
                if let Answer::Job(job) = answer {
                    self.user.acknowledged.insert(ask.request(), job);
                }
                self.user.open.remove(&ask.id);
            }
            Err(Rejected::Refused(refusal)) => {
                self.say(format_args!("refused {} {refusal}", ask.id));
                self.witness.refused(ask.request());
                self.user.open.remove(&ask.id);
            }
            Err(Rejected::NotLeader | Rejected::Unknown) => {
                if let Some(open) = self.user.open.get_mut(&ask.id) {
                    // Ask somebody else at the next occasion.
                    open.asked = open.asked.saturating_sub(PATIENCE_MS);
                }
            }
        }
    }

    /// A read is linearizable: it misses nothing whose acknowledgement came before it began.
    fn read_answered(&mut self, ask: &Ask, floor: u64, outcome: &Outcome, index: u64) {
        if self.user.open.remove(&ask.id).is_some() && outcome.is_ok() {
            self.user.reads += 1;
            assert!(
                index >= floor,
                "read {} saw the log up to {index}, and {floor} was acknowledged before",
                ask.id
            );
        }
    }
}
