//! How jobs follow the log.

use std::{cmp::Ordering, sync::Arc};

use super::super::{ArrayBook, Event, Owner, State};
use crate::{
    cpus::CpuSet,
    gres,
    id::{Attempt, JobId, Term, UserId},
    job::{
        ArrayPart, AskChanges, Asks, Dependency, End, EndState, Fate, Hold, Job, JobChanges,
        JobSpec, On, PendingSignal, Phase, Preempted, Rank, Requeue, Run, SignalScope, Stage,
    },
    node::Node,
    resources::Resources,
    time::Timestamp,
};

/// What a run is sent that makes way.
const SIGCONT: u8 = 18;
const SIGTERM: u8 = 15;

impl State {
    pub(super) fn apply_job_event(&mut self, at: Timestamp, term: Term, event: &Event) {
        match event {
            Event::JobSubmitted { .. } => self.add_job(at, event),
            Event::JobHeld { job, hold } => self.with_job(*job, |job| {
                job.preemptor = false;
                job.hold = *hold;
                job.priority = 0;
                job.rank.direct = false;
            }),
            Event::JobReleased { job, priority } => {
                self.use_priority();
                self.with_job(*job, |job| {
                    job.hold = Hold::None;
                    job.priority = *priority;
                    job.rank.direct = is_direct(&job.spec);
                    job.begin = job.spec.begin;
                });
            }
            Event::JobUpdated { job, changes } => self.update_job(*job, changes),
            Event::JobAllocated { .. } => self.allocate(at, term, event),
            Event::JobLaunching { job, attempt } => self.reach(*job, *attempt, Stage::Launching),
            Event::JobRunning { job, attempt } => self.reach(*job, *attempt, Stage::Running),
            Event::JobSignalled { .. } => self.signal(event),
            Event::SignalDelivered { job, attempt, number } => self.with_job(*job, |job| {
                assert_eq!(job.attempt, *attempt);
                job.signals.retain(|signal| signal.number > *number);
            }),
            Event::JobCompleting { job, attempt, end, requeue } => {
                self.complete(*job, *attempt, end, *requeue);
            }
            Event::JobPreempted { .. } => self.preempt(at, event),
            Event::JobEnded { job, attempt, end } => self.end(at, *job, *attempt, end),
            Event::JobRequeued { job, attempt, requeue, end } => {
                self.requeue(at, *job, *attempt, (*requeue, end.as_ref()));
            }
            Event::TaskSplit { array, index, job } => self.split(*array, *index, *job),
            Event::TasksCancelled { array, tasks, .. } => self.cancel_tasks(*array, tasks),
            Event::ConditionSettled { job, condition, fate } => {
                self.settle(*job, *condition, *fate);
            }
            Event::JobForgotten { job } => self.forget(*job),
            Event::ClusterFormed { .. }
            | Event::ConfigSet { .. }
            | Event::FormatRaised { .. }
            | Event::ControllerJoined { .. }
            | Event::ControllerLeft { .. }
            | Event::ClusterRestored { .. }
            | Event::AuthoritiesSet { .. }
            | Event::AccountsLoaded { .. }
            | Event::ReservationCreated { .. }
            | Event::ReservationUpdated { .. }
            | Event::ReservationDeleted { .. }
            | Event::TokenIssued { .. }
            | Event::TokenSpent { .. }
            | Event::NodeRegistered { .. }
            | Event::NodeChanged { .. }
            | Event::BlobStored { .. } => unreachable!("{event:?} is no event of a job"),
            #[cfg(feature = "next-event")]
            Event::Noted { .. } => unreachable!("{event:?} is no event of a job"),
        }
    }

    fn update_job(&mut self, job: JobId, changes: &JobChanges) {
        let array = self.jobs.get(&job).and_then(|job| job.array_id());
        if let (Some(limit), Some(array)) = (changes.array_limit, array) {
            let limit = Some(limit).filter(|limit| *limit > 0);
            self.with_array(array, |book| book.limit = limit);
        }
        self.with_job(job, |job| update(job, changes));
    }

    fn settle(&mut self, job: JobId, condition: u32, fate: Fate) {
        self.with_job(job, |job| {
            let dependency = job.dependency.as_mut().expect("only what waits is told");
            let conditions = &mut Arc::make_mut(dependency).conditions;
            let known = conditions.get_mut(condition as usize).expect("it is one of those");
            known.fate = fate;
        });
    }

    fn forget(&mut self, job: JobId) {
        let gone = self.remove_job(job);
        assert!(matches!(gone.phase, Phase::Ended { .. }), "only ended jobs are forgotten");
        self.drop_blob(gone.spec.script);
        self.drop_blob(gone.spec.environment);
        self.forget_tasks(&gone);
    }

    fn add_job(&mut self, at: Timestamp, event: &Event) {
        let Event::JobSubmitted { job: id, spec, priority, hold, time_limit, requeue } = event
        else {
            unreachable!("the caller saw a submission");
        };
        assert!(id.0 >= self.next_job, "job ids only go up");
        self.next_job = id.0.checked_add(1).expect("decide refuses when job ids are used up");
        if *priority > 0 {
            self.use_priority();
        }
        self.use_blob(spec.script);
        self.use_blob(spec.environment);
        if let Some(asked) = &spec.array {
            let unfinished = asked.tasks.len();
            let book =
                ArrayBook { limit: asked.limit, unfinished, failed: 0, jobs: 1, begun: None };
            self.open_array(*id, book);
        }
        let array = spec.array.as_ref().map(|asked| ArrayPart::Waiting(asked.tasks.clone()));
        self.put_job(Arc::new(Job {
            id: *id,
            spec: Arc::clone(spec),
            submitted: at,
            attempt: Attempt::FIRST,
            priority: *priority,
            hold: *hold,
            partition: spec.partition.clone(),
            time_limit: *time_limit,
            begin: spec.begin,
            requeue: *requeue,
            restarts: 0,
            phase: Phase::Pending,
            signals: Vec::new(),
            signals_sent: 0,
            array,
            dependency: spec.dependency.clone(),
            rank: Rank { direct: *priority > 0 && is_direct(spec), ..Rank::default() },
            preemptor: false,
        }));
    }

    fn allocate(&mut self, at: Timestamp, term: Term, event: &Event) {
        let Event::JobAllocated {
            job,
            attempt,
            incarnation,
            places,
            deadline,
            partition,
            stay,
            charge,
            time_limit,
        } = event
        else {
            unreachable!("the caller saw an allocation");
        };
        let conf = partition.as_ref().and_then(|name| {
            self.config.as_ref().and_then(|config| config.partition(name.as_str())).cloned()
        });
        for place in places {
            self.with_node(&place.node, |node| {
                node.used = node.used.plus(place.held);
                gres::take(&mut node.gres_used, &place.gres);
                take_cpus(node, &place.cpus);
                node.jobs += 1;
            });
        }
        self.with_job(*job, |job| {
            assert!(job.is_pending(), "job {} is allocated twice", job.id);
            assert_eq!(job.attempt, *attempt);
            job.preemptor = false;
            if let Some(name) = partition {
                job.time_limit = conf.map_or(job.time_limit, |conf| job.time_limit_in(&conf));
                job.partition = name.clone();
            }
            job.phase = Phase::Active(Run {
                started: at,
                term,
                places: places.clone(),
                incarnation: *incarnation,
                stage: Stage::Allocated,
                deadline: *deadline,
                time_limit: *time_limit,
                warned: false,
                stay: stay.clone(),
                charge: *charge,
                preempted: None,
            });
        });
    }

    fn signal(&mut self, event: &Event) {
        let Event::JobSignalled { job, attempt, signal, scope, by, warning } = *event else {
            unreachable!("the caller saw a signal");
        };
        self.with_job(job, |job| {
            assert_eq!(job.attempt, attempt);
            let Phase::Active(run) = &mut job.phase else {
                panic!("job {} is signalled while it does not run", job.id);
            };
            run.warned |= warning;
            job.signals_sent += 1;
            let number = job.signals_sent;
            job.signals.push(PendingSignal { number, signal, scope, by });
        });
    }

    fn preempt(&mut self, at: Timestamp, event: &Event) {
        let Event::JobPreempted { job, attempt, by, until, requeue } = *event else {
            unreachable!("the caller saw that a job makes way");
        };
        self.with_job(job, |job| {
            assert_eq!(job.attempt, attempt);
            let Phase::Active(run) = &mut job.phase else {
                panic!("job {} makes way while it does not run", job.id);
            };
            run.preempted = Some(Preempted { at, by, until, requeue });
            run.deadline = Some(run.deadline.map_or(until, |deadline| deadline.min(until)));
            for signal in [SIGCONT, SIGTERM] {
                job.signals_sent += 1;
                let (number, scope, by) = (job.signals_sent, SignalScope::Full, UserId::ROOT);
                job.signals.push(PendingSignal { number, signal, scope, by });
            }
        });
        self.with_job(by, |job| {
            assert!(job.is_pending(), "job {} needs no room", job.id);
            job.preemptor = true;
        });
    }

    fn reach(&mut self, job: JobId, attempt: Attempt, stage: Stage) {
        self.with_job(job, |job| {
            assert_eq!(job.attempt, attempt);
            let Phase::Active(run) = &mut job.phase else {
                panic!("job {} reaches {stage:?} while it is not active", job.id);
            };
            assert_eq!(run.stage.cmp(&stage), Ordering::Less, "stages only go forward");
            run.stage = stage;
        });
    }

    fn complete(&mut self, job: JobId, attempt: Attempt, end: &End, requeue: Option<Requeue>) {
        self.with_job(job, |job| {
            assert_eq!(job.attempt, attempt);
            let (Phase::Active(run) | Phase::Completing { run, .. }) = &job.phase else {
                panic!("job {} completes while it holds nothing", job.id);
            };
            job.phase = Phase::Completing { run: run.clone(), end: end.clone(), requeue };
            job.signals.clear();
        });
    }

    fn end(&mut self, at: Timestamp, job: JobId, attempt: Attempt, end: &End) {
        self.count_usage(at, job, Some(end));
        self.give_back(at, job);
        let before = Arc::clone(&self.jobs[&job]);
        self.close_tasks(&before, end.state == EndState::Completed);
        self.with_job(job, |job| {
            assert_eq!(job.attempt, attempt);
            let run = match std::mem::replace(&mut job.phase, Phase::Pending) {
                Phase::Pending => None,
                Phase::Active(run) | Phase::Completing { run, .. } => Some(run),
                Phase::Ended { .. } => panic!("job {} ends twice", job.id),
            };
            job.phase = Phase::Ended { run, end: end.clone() };
            job.preemptor = false;
            job.signals.clear();
        });
    }

    /// Jobs that wait begin with a later attempt than any that may have begun unseen.
    pub(super) fn raise_attempts(&mut self, by: u32) {
        let waiting = self.jobs.values().filter(|job| job.is_pending());
        for id in waiting.map(|job| job.id).collect::<Vec<_>>() {
            self.with_job(id, |job| job.attempt = Attempt(job.attempt.0.saturating_add(by)));
        }
    }

    /// The next job comes after this one, however nice this one is.
    fn use_priority(&mut self) {
        self.next_priority = self.top_priority().saturating_sub(1).max(1);
    }

    fn requeue(
        &mut self,
        at: Timestamp,
        job: JobId,
        attempt: Attempt,
        (requeue, end): (Requeue, Option<&End>),
    ) {
        self.count_usage(at, job, end);
        self.give_back(at, job);
        let before = self.jobs.get(&job).expect("only a known job is requeued").clone();
        self.reopen_tasks(&before);
        let priority = self.first_priority(&before.spec);
        self.use_priority();
        // Before format 2 a priority that was set was lost.
        let keeps = self.format >= 2;
        self.with_job(job, |job| {
            assert_eq!(job.attempt, attempt);
            job.attempt = job.attempt.next();
            job.restarts += 1;
            job.partition = job.spec.partition.clone();
            job.phase = Phase::Pending;
            job.signals.clear();
            job.signals_sent = 0;
            job.begin = requeue.begin;
            if let Some(dependency) = &mut job.dependency {
                wait_to_be_alone(Arc::make_mut(dependency));
            }
            if requeue.hold && job.hold == Hold::None {
                job.hold = Hold::User;
            }
            let kept = job.rank.direct && keeps;
            job.rank.direct = kept && job.hold == Hold::None;
            job.priority = match job.hold {
                Hold::None if kept => job.priority,
                Hold::None => priority,
                Hold::User | Hold::Admin | Hold::Reservation => 0,
            };
        });
    }

    /// Counts what the job's run has used. Its node said when that ended; the log knows when at
    /// the latest.
    fn count_usage(&mut self, at: Timestamp, job: JobId, end: Option<&End>) {
        let Some(job) = self.jobs.get(&job).cloned() else { return };
        let Some(run) = job.holding() else { return };
        let known = end.or_else(|| job.end()).map_or(at, |end| end.at.min(at));
        let Some(owner) = self.accounts.as_deref().and_then(|all| Owner::of(all, &job)) else {
            return;
        };
        self.usage.add(owner, run.charge(), (run.started, known), at);
    }

    /// Gives back what the job holds of its nodes.
    pub(in crate::machine) fn give_back(&mut self, at: Timestamp, job: JobId) {
        let places = match self.jobs.get(&job).and_then(|job| job.holding()) {
            Some(run) => run.places.clone(),
            None => return,
        };
        for place in places {
            self.with_node(&place.node, |node| {
                let Resources { cpus, memory_mib } =
                    node.used.checked_sub(place.held).expect("what is given back was taken");
                node.used = Resources { cpus, memory_mib };
                gres::give_back(&mut node.gres_used, &place.gres);
                assert!(node.cpus_used.includes(&place.cpus), "the same CPUs were taken");
                node.cpus_used.remove(&place.cpus);
                node.jobs = node.jobs.checked_sub(1).expect("the job was counted");
                node.last_busy = at;
            });
        }
    }
}

fn take_cpus(node: &mut Node, cpus: &CpuSet) {
    assert!(node.cpus_used.is_disjoint(cpus), "CPUs {cpus} of {} are held already", node.name);
    node.cpus_used.add(cpus);
}

/// That nothing else of its name may run holds for each run.
fn wait_to_be_alone(dependency: &mut Dependency) {
    let mut conditions = dependency.conditions.iter_mut();
    if let Some(singleton) = conditions.find(|one| one.on == On::Singleton) {
        singleton.fate = Fate::Open;
    }
}

/// What `scontrol update job` does to a job's record.
fn update(job: &mut Job, changes: &JobChanges) {
    // What it asks for may be something else.
    job.preemptor = false;
    if let Some(partition) = &changes.partition {
        job.partition = partition.clone();
    }
    if let Some(limit) = changes.time_limit {
        job.time_limit = limit;
        if let Phase::Active(run) = &mut job.phase {
            run.deadline = run.deadline_of(limit);
            run.time_limit = None;
        }
    }
    if let Some(priority) = changes.priority {
        job.priority = priority;
        job.rank.direct = priority > 0;
        job.hold = if priority == 0 { Hold::Admin } else { Hold::None };
    }
    if let Some(begin) = changes.begin {
        job.begin = Some(begin);
    }
    if let Some(requeue) = changes.requeue {
        job.requeue = requeue;
    }
    if let Some(dependency) = &changes.dependency {
        job.dependency = Some(dependency).filter(|new| !new.conditions.is_empty()).cloned();
    }
    update_spec(Arc::make_mut(&mut job.spec), changes);
}

fn update_spec(spec: &mut JobSpec, changes: &JobChanges) {
    fn set<T: Clone>(field: &mut T, change: Option<&T>) {
        if let Some(change) = change {
            field.clone_from(change);
        }
    }
    set(&mut spec.name, changes.name.as_ref());
    set(&mut spec.partition, changes.partition.as_ref());
    set(&mut spec.nice, changes.nice.as_ref());
    set(&mut spec.memory, changes.memory.as_ref());
    set(&mut spec.required_nodes, changes.required_nodes.as_ref());
    set(&mut spec.excluded_nodes, changes.excluded_nodes.as_ref());
    set(&mut spec.tmp_disk_mib, changes.tmp_disk_mib.as_ref());
    set(&mut spec.reservations, changes.reservations.as_ref());
    set(&mut spec.layout.tasks, changes.tasks.as_ref());
    let some = |change: &Option<String>| change.clone().map(Some);
    set(&mut spec.comment, some(&changes.comment).as_ref());
    set(&mut spec.account, some(&changes.account).as_ref());
    set(&mut spec.qos, some(&changes.qos).as_ref());
    set(&mut spec.std_out, some(&changes.std_out).as_ref());
    set(&mut spec.std_err, some(&changes.std_err).as_ref());
    set(&mut spec.layout.cpus_per_task, changes.cpus_per_task.map(Some).as_ref());
    set(&mut spec.time_limit, changes.time_limit.map(Some).as_ref());
    set(&mut spec.begin, changes.begin.map(Some).as_ref());
    if changes.asks != AskChanges::default() {
        let asks = spec.asks().changed(&changes.asks);
        spec.asks = (asks != Asks::NONE).then(|| Arc::new(asks));
    }
    if let Some(dependency) = &changes.dependency {
        spec.dependency = Some(dependency).filter(|new| !new.conditions.is_empty()).cloned();
    }
    if let Some(constraint) = &changes.constraint {
        spec.constraint = Some(constraint).filter(|new| !new.is_empty()).cloned();
    }
    if let Some(min_nodes) = changes.min_nodes {
        spec.layout.min_nodes = min_nodes;
        spec.layout.max_nodes = changes.max_nodes;
        spec.layout.nodes_given = true;
    }
}

/// Whether no factors count for its priority, since it was asked for.
fn is_direct(spec: &JobSpec) -> bool {
    spec.asks().priority.is_some()
}
