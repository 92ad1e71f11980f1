//! Jobs that make way for others, in the worlds that have such a thing: what is held against what
//! the log says is counted here, from the configuration's own words.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    account::{self, Accounts},
    config::{Config, PartitionConf, PreemptMode, PreemptType, Preemption},
    id::JobId,
    job::{End, EndState, ExitStatus, Hold, JobSpec, Reason},
    machine::{Entry, Event, State},
    time::{Span, Timestamp},
};
use node::{
    agent::Input,
    run::{RunId, Signal},
};

use super::{
    host::Step,
    world::{Happening, World},
};

/// Who makes way for whom in a world. A seed gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Making {
    #[default]
    Nobody,
    /// Jobs of partitions of a lower tier.
    ByTier,
    /// Jobs of QOS that another one lists.
    ByQos,
}

impl Making {
    pub(super) fn of(seed: u64) -> Self {
        [Self::Nobody, Self::ByTier, Self::ByQos][usize::try_from(seed % 3).expect("small")]
    }
}

/// What kind of job it is: of which partition, or QOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Of the partition and the QOS that everybody has by default.
    Plain,
    /// Gives way, after some time, and does not come back.
    Spare,
    /// Others make way for it.
    Urgent,
}

const SIGTERM: u8 = 15;
/// Nobody makes way who has not run for so many seconds.
const EXEMPT: u64 = 2;
const QOS: &str = "\
QOS - 'normal':MaxTRESPerUser=cpu=12:PreemptMode='REQUEUE':GraceTime=3
QOS - 'spare':MaxTRESPerUser=cpu=12:GraceTime=6:Priority=5
QOS - 'urgent':MaxTRESPerUser=cpu=12:Preempt='normal,spare'
Cluster - 'sim':QOS='normal,spare,urgent':DefaultQOS='normal'
";

/// The second one is a partition's.
const PLAIN: &str = "\
QOS - 'normal':MaxTRESPerUser=cpu=12
QOS - 'few':MaxJobsPerUser=3:GrpTRES=cpu=10
Cluster - 'sim'
";

/// What the users may have: less than there is, and enough for each job of theirs.
const USERS: &str = "\
Account - 'lab':GrpJobs=6:GrpTRES=cpu=10
Parent - 'lab'
User - 'alice':MaxJobs=5:MaxTRESPerNode=cpu=4
";

pub(super) fn accounts(making: Making) -> Accounts {
    let qos = if making == Making::ByQos { QOS } else { PLAIN };
    account::parse(&format!("{qos}{USERS}")).expect("a good table").accounts
}

/// Has others make way in a configuration of one partition.
pub(super) fn configure(config: &mut Config, making: Making) {
    let exempt = u32::try_from(EXEMPT).expect("small");
    let by = match making {
        Making::Nobody => return,
        Making::ByTier => PreemptType::PartitionPrio,
        Making::ByQos => PreemptType::Qos,
    };
    config.preemption = Preemption { by, mode: PreemptMode::Cancel, exempt, ..config.preemption };
    if making == Making::ByTier {
        let own = &mut config.partitions[0];
        own.preempt_mode = Some(PreemptMode::Requeue);
        let like = PartitionConf { default: false, preempt_mode: None, ..own.clone() };
        let few = Some("few".to_owned());
        let spare = PartitionConf { name: "spare".into(), grace_time: 6, qos: few, ..like.clone() };
        let urgent = PartitionConf { name: "urgent".into(), priority_tier: 9, ..like };
        config.partitions.extend([spare, urgent]);
    }
}

/// What kind of job a request is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(Class, Making);

impl Kind {
    pub(super) fn mark(self, spec: &mut JobSpec) {
        let Self(class, making) = self;
        let name = match class {
            Class::Plain => return,
            Class::Spare => "spare",
            Class::Urgent => "urgent",
        };
        match making {
            Making::Nobody => {}
            Making::ByTier => spec.partition = name.into(),
            Making::ByQos => spec.qos = Some(name.to_owned()),
        }
    }
}

impl Class {
    fn of(spec: &JobSpec) -> Self {
        match (spec.partition.as_str(), spec.qos.as_deref()) {
            ("spare", _) | (_, Some("spare")) => Self::Spare,
            ("urgent", _) | (_, Some("urgent")) => Self::Urgent,
            _ => Self::Plain,
        }
    }
}

/// A run that was told to make way.
#[derive(Debug)]
struct Told {
    until: Timestamp,
    requeue: bool,
}

/// Who was told to make way, and what became of him, from the events alone.
#[derive(Debug, Default)]
pub(super) struct Preempted {
    /// Each job's kind, and whether it may run again.
    jobs: BTreeMap<JobId, (Class, bool)>,
    started: BTreeMap<RunId, Timestamp>,
    told: BTreeMap<RunId, Told>,
    /// Which runs the log has ended, or is ending.
    ending: BTreeSet<RunId>,
}

impl Preempted {
    pub(super) fn count(&self) -> usize {
        self.told.len()
    }

    /// An entry is committed, in a state `before` it.
    pub(super) fn entry(&mut self, entry: &Entry, before: &State) {
        for event in &entry.events {
            self.event(entry.at, event, before);
        }
    }

    fn event(&mut self, at: Timestamp, event: &Event, before: &State) {
        if let Event::JobSubmitted { job, spec, requeue, .. } = event {
            self.jobs.insert(*job, (Class::of(spec), *requeue));
        }
        if let Event::TaskSplit { array, job, .. } = event {
            self.jobs.insert(*job, self.jobs[array]);
        }
        if let Event::JobAllocated { job, attempt, .. } = event {
            self.started.insert(RunId { job: *job, attempt: *attempt }, at);
        }
        if let Event::JobPreempted { job, attempt, by, until, requeue } = event {
            let run = RunId { job: *job, attempt: *attempt };
            self.makes_way(at, run, *by, Told { until: *until, requeue: *requeue }, before);
        }
        if let Event::JobCompleting { job, attempt, end, requeue } = event {
            let run = RunId { job: *job, attempt: *attempt };
            let first = self.ending.insert(run);
            if end.state == EndState::Preempted {
                let told = self.told.get_mut(&run).expect("only who was told is ended so");
                assert!(told.until <= at, "{run} had until {:?}, and is ended before", told.until);
                // Its owner may want it to run again.
                let as_told = requeue.is_some() == told.requeue || !first && requeue.is_some();
                assert!(as_told, "{run} was told something else: {told:?}");
                told.requeue = requeue.is_some();
            }
        }
        if let Event::JobEnded { job, attempt, end } = event {
            let run = RunId { job: *job, attempt: *attempt };
            let lost = end.state == EndState::Preempted && self.told[&run].requeue;
            assert!(!lost, "{run} was to wait again, and is over");
            self.ending.insert(run);
        }
        if let Event::JobRequeued { job, attempt, end, .. } = event {
            let run = RunId { job: *job, attempt: *attempt };
            // What could not begin waits again, whatever it was told.
            let began = |end: &&End| end.reason != Some(Reason::JobLaunchFailure);
            let end = end.as_ref().filter(began);
            let preempted = end.is_some_and(|end| end.state == EndState::Preempted);
            let again = !preempted || before.jobs[job].end().is_some() || self.told[&run].requeue;
            assert!(again, "{run} was to be over, and waits again");
            self.ending.insert(run);
        }
    }

    fn makes_way(&mut self, at: Timestamp, run: RunId, by: JobId, told: Told, before: &State) {
        let (class, again) = self.jobs[&run.job];
        let own = self.jobs[&by].0;
        assert_eq!(own, Class::Urgent, "{run} makes way for job {by}, which is like any other");
        let rules = before.config.as_ref().map(|config| config.preemption.by);
        let grace = match (class, rules) {
            (Class::Spare, _) => 6,
            (Class::Plain, Some(PreemptType::Qos)) => 3,
            (Class::Plain, _) => 0,
            (Class::Urgent, _) => panic!("{run} makes way, and is as urgent as {by}"),
        };
        let until = at + Span::from_seconds(grace);
        assert_eq!(told.until, until, "{run} is to make way, and has {grace} s for that");
        assert_eq!(told.requeue, class == Class::Plain && again, "what becomes of {run}");
        let started = self.started[&run];
        assert!(started + Span::from_seconds(EXEMPT) <= at, "{run} makes way and is exempt");
        assert!(!self.ending.contains(&run), "{run} makes way, and is ending");
        let waits = &before.jobs[&by];
        assert!(waits.is_pending() && waits.hold == Hold::None, "job {by} does not wait for room");
        let earlier = self.told.insert(run, told);
        assert!(earlier.is_none(), "{run} is told twice to make way");
    }

    /// A node ends what runs: not one that is given time.
    pub(super) fn terminated(&self, run: RunId) {
        let early = self.told.contains_key(&run) && !self.ending.contains(&run);
        assert!(!early, "{run} makes way, and is ended before its time");
    }
}

impl World {
    /// What kind the next job is.
    pub(super) fn some_kind(&mut self) -> Kind {
        let making = self.options.making;
        let class = match making {
            Making::Nobody => Class::Plain,
            Making::ByTier | Making::ByQos => match self.random.below(10) {
                0..=3 => Class::Urgent,
                4..=6 => Class::Spare,
                _ => Class::Plain,
            },
        };
        Kind(class, making)
    }

    /// A script is sent a signal. Some end by one that asks them to.
    pub(super) fn signal(&mut self, node: usize, disk: u64, run: RunId, signal: &Signal) {
        if !self.hosts[node].has(run) {
            return;
        }
        self.told(node, disk, Input::Delivered { run, number: signal.number });
        if signal.signal == SIGTERM && self.random.chance(500) {
            let (boot, delay) = (self.hosts[node].boot, self.random.below(4_000));
            let step = Step::Exit(ExitStatus { code: 0, signal: SIGTERM });
            self.soon(delay, Happening::Supervisor { node, boot, run, step });
        }
    }
}
