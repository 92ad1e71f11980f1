//! The smallest changes of a request that would let a job start sooner.
//!
//! Each is tried by planning: on what is left when the job's turn comes, since those before it do
//! not depend on what it asks for; only another partition is another turn. Where less of something
//! can only start sooner, the most of it that does is found by halving.

use std::sync::Arc;

use common::{
    config::{PartitionConf, PartitionState},
    id::{PartitionName, UserId},
    job::{Asks, Job, JobSpec, Licenses, MemoryRequest},
    machine::State,
    size::Mib,
    time::{Span, TimeLimit, Timestamp},
};

use crate::{
    placement::{Memory, need},
    reached::Reached,
};

/// How many jobs may be looked at, in all plans for other partitions together.
const LOOKS: usize = 300_000;

/// How many numbers of nodes are tried for tasks that must fit on them.
const TRIES: u32 = 32;

/// A change, and what it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sooner {
    pub change: Change,
    pub start: Timestamp,
}

/// What would be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Time(TimeLimit),
    Nodes(u32),
    /// As many nodes as it takes.
    AnyNodes,
    Tasks(u32),
    CpusPerTask(u32),
    Memory(MemoryRequest),
    NoBegin,
    NotExclusive,
    NoNodeList,
    NoExclude,
    NoConstraint,
    NoLicenses,
    NoDeadline,
    NoSwitches,
    Partition(PartitionName),
}

impl Change {
    /// As an option of `sbatch`, or as the option that would not be given.
    #[must_use]
    pub fn option(&self) -> String {
        match self {
            Self::Time(limit) => format!("--time={}", limit.padded()),
            Self::Nodes(nodes) => format!("--nodes={nodes}"),
            Self::AnyNodes => "without --nodes".to_owned(),
            Self::Tasks(tasks) => format!("--ntasks={tasks}"),
            Self::CpusPerTask(cpus) => format!("--cpus-per-task={cpus}"),
            Self::Memory(MemoryRequest::PerNode(mib)) => format!("--mem={}", Mib(*mib)),
            Self::Memory(MemoryRequest::PerCpu(mib)) => format!("--mem-per-cpu={}", Mib(*mib)),
            Self::Memory(MemoryRequest::Default) => "without --mem".to_owned(),
            Self::NoBegin => "without --begin".to_owned(),
            Self::NotExclusive => "without --exclusive".to_owned(),
            Self::NoNodeList => "without --nodelist".to_owned(),
            Self::NoExclude => "without --exclude".to_owned(),
            Self::NoConstraint => "without --constraint".to_owned(),
            Self::NoLicenses => "without --licenses".to_owned(),
            Self::NoDeadline => "without --deadline".to_owned(),
            Self::NoSwitches => "without --switches".to_owned(),
            Self::Partition(name) => format!("--partition={name}"),
        }
    }

    /// The job, were this what it asked for.
    #[must_use]
    pub fn applied(&self, job: &Job) -> Job {
        let mut changed = job.clone();
        let spec = Arc::make_mut(&mut changed.spec);
        match self {
            Self::Time(limit) => {
                changed.time_limit = *limit;
                spec.time_limit = Some(*limit);
            }
            Self::Nodes(nodes) => {
                // Without a number of tasks there is one on each node.
                let tasks = if spec.layout.tasks_given { spec.layout.tasks } else { *nodes };
                spec.layout.tasks = tasks;
                (spec.layout.min_nodes, spec.layout.max_nodes) = (*nodes, Some(*nodes));
            }
            Self::AnyNodes => {
                (spec.layout.min_nodes, spec.layout.max_nodes) = (1, None);
                spec.layout.nodes_given = false;
            }
            Self::Tasks(tasks) => spec.layout.tasks = *tasks,
            Self::CpusPerTask(cpus) => spec.layout.cpus_per_task = Some(*cpus),
            Self::Memory(memory) => spec.memory = *memory,
            Self::NoBegin => (changed.begin, spec.begin) = (None, None),
            Self::NotExclusive => {
                spec.exclusive = false;
                ask(spec, |asks| asks.placing.user_alone = false);
            }
            Self::NoNodeList => spec.required_nodes.clear(),
            Self::NoExclude => spec.excluded_nodes.clear(),
            Self::NoConstraint => spec.constraint = None,
            Self::NoLicenses => ask(spec, |asks| asks.licenses = Licenses::NONE),
            Self::NoDeadline => ask(spec, |asks| asks.deadline = None),
            Self::NoSwitches => ask(spec, |asks| asks.placing.switches = None),
            Self::Partition(name) => {
                changed.partition = name.clone();
                spec.partition = name.clone();
            }
        }
        changed
    }
}

fn ask(spec: &mut JobSpec, change: impl FnOnce(&mut Asks)) {
    let mut asks = spec.asks().clone();
    change(&mut asks);
    spec.asks = (asks != Asks::NONE).then(|| Arc::new(asks));
}

/// What would start the job sooner than `planned`, the soonest first; and whether all was tried.
pub(super) fn sooner(
    view: &State,
    now: Timestamp,
    job: &Job,
    reached: Option<Reached<'_>>,
    planned: Option<Timestamp>,
) -> (Vec<Sooner>, bool) {
    let mut found = Vec::new();
    if planned.is_some_and(|planned| planned <= now) {
        return (found, true);
    }
    if let Some(mut reached) = reached {
        let conf = reached.line().conf;
        let most = reached.line().nodes.iter().map(|at| reached.pass.board.shares[*at].whole.total);
        let most = most.map(|total| total.memory_mib).max().unwrap_or(0);
        let mut search = Search { reached: &mut reached, now, job, planned, found: &mut found };
        search.less(conf, most);
        search.without(conf);
    }
    let all_tried = elsewhere(view, now, job, planned, &mut found);
    found.sort_by_key(|sooner| sooner.start);
    (found, all_tried)
}

/// Less than a minute is not worth a change, but to start now.
fn is_sooner(start: Timestamp, planned: Option<Timestamp>, now: Timestamp) -> bool {
    let least = if start > now { Span::from_seconds(60) } else { Span(1) };
    planned.is_none_or(|planned| start + least <= planned)
}

struct Search<'a, 'b> {
    reached: &'a mut Reached<'b>,
    now: Timestamp,
    job: &'a Job,
    planned: Option<Timestamp>,
    found: &'a mut Vec<Sooner>,
}

impl Search<'_, '_> {
    fn start(&mut self, change: &Change) -> Option<Timestamp> {
        let start = self.reached.consider(&change.applied(self.job)).start?;
        Some(Timestamp(start.at))
    }

    fn helps(&self, start: Option<Timestamp>) -> Option<Timestamp> {
        start.filter(|start| is_sooner(*start, self.planned, self.now))
    }

    fn note(&mut self, change: Change, start: Timestamp) {
        let sooner = Sooner { change, start };
        if !self.found.contains(&sooner) {
            self.found.push(sooner);
        }
    }

    /// The most that starts sooner, and the most that starts now. From `least` to `most`, less is
    /// never later.
    fn halve(&mut self, least: u64, most: u64, change: impl Fn(u64) -> Change) {
        if least > most {
            return;
        }
        let soonest = self.start(&change(least));
        if self.helps(soonest).is_none() {
            return;
        }
        let (amount, start) =
            self.largest(least, most, &change, |search, start| search.helps(start).is_some());
        self.note(change(amount), start);
        if start > self.now && soonest == Some(self.now) {
            let (amount, start) =
                self.largest(least, most, &change, |search, start| start == Some(search.now));
            self.note(change(amount), start);
        }
    }

    /// The largest amount that will do; `least` does.
    fn largest(
        &mut self,
        least: u64,
        most: u64,
        change: &impl Fn(u64) -> Change,
        does: impl Fn(&Self, Option<Timestamp>) -> bool,
    ) -> (u64, Timestamp) {
        let (mut low, mut high) = (least, most + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let start = self.start(&change(middle));
            if does(self, start) { low = middle } else { high = middle }
        }
        let start = self.start(&change(low));
        (low, start.expect("it was found before"))
    }

    /// Less of what is counted.
    fn less(&mut self, conf: &PartitionConf, most_memory: u64) {
        let JobSpec { layout, .. } = &*self.job.spec;
        let minutes = match self.job.time_limit {
            TimeLimit::Minutes(minutes) => u64::from(minutes).saturating_sub(1),
            TimeLimit::Unlimited => u64::from(TimeLimit::MOST_MINUTES),
        };
        let small = |amount: u64| u32::try_from(amount).unwrap_or(u32::MAX);
        self.halve(1, minutes, |minutes| Change::Time(TimeLimit::Minutes(small(minutes))));
        let nodes = u64::from(layout.min_nodes);
        if layout.tasks_given {
            self.fewer_nodes(layout.min_nodes);
            let tasks = u64::from(layout.tasks);
            self.halve(nodes.max(1), tasks.saturating_sub(1), |tasks| Change::Tasks(small(tasks)));
        } else {
            self.halve(1, nodes.saturating_sub(1), |nodes| Change::Nodes(small(nodes)));
        }
        let cpus = u64::from(layout.cpus_per_task.unwrap_or(1));
        self.halve(1, cpus.saturating_sub(1), |cpus| Change::CpusPerTask(small(cpus)));
        let memory = need(self.reached.pass.config, conf, self.job).memory;
        let (most, request): (u64, fn(u64) -> MemoryRequest) = match memory {
            // No change of a job says how much it wants with each GPU.
            Memory::Free | Memory::PerGpu(_) => return,
            Memory::All(_) => (most_memory, MemoryRequest::PerNode),
            Memory::PerNode(mib) => (mib, MemoryRequest::PerNode),
            Memory::PerCpu(mib) => (mib, MemoryRequest::PerCpu),
        };
        self.halve(1, most.saturating_sub(1), |mib| Change::Memory(request(mib)));
    }

    /// On fewer nodes each takes more tasks: that may be sooner or later.
    fn fewer_nodes(&mut self, nodes: u32) {
        for fewer in (1..nodes).rev().take(TRIES as usize) {
            let start = self.start(&Change::Nodes(fewer));
            if let Some(start) = self.helps(start) {
                return self.note(Change::Nodes(fewer), start);
            }
        }
    }

    /// Without what it need not ask for.
    fn without(&mut self, conf: &PartitionConf) {
        let JobSpec { layout, exclusive, required_nodes, excluded_nodes, constraint, .. } =
            &*self.job.spec;
        let asks = self.job.spec.asks();
        let alone = asks.placing.user_alone;
        let asked = [
            (self.job.begin.is_some_and(|begin| begin > self.now), Change::NoBegin),
            (*exclusive && !conf.exclusive || alone && !conf.exclusive_user, Change::NotExclusive),
            (layout.nodes_given && layout.tasks_given, Change::AnyNodes),
            (!required_nodes.is_empty(), Change::NoNodeList),
            (!excluded_nodes.is_empty(), Change::NoExclude),
            (constraint.is_some(), Change::NoConstraint),
            (!asks.licenses.is_empty(), Change::NoLicenses),
            (asks.deadline.is_some(), Change::NoDeadline),
            (asks.placing.switches.is_some(), Change::NoSwitches),
        ];
        for (_, change) in asked.into_iter().filter(|(asked, _)| *asked) {
            let start = self.start(&change);
            if let Some(start) = self.helps(start) {
                self.note(change, start);
            }
        }
    }
}

/// In another partition it has another turn, and the plan is made up to that one.
fn elsewhere(
    view: &State,
    now: Timestamp,
    job: &Job,
    planned: Option<Timestamp>,
    found: &mut Vec<Sooner>,
) -> bool {
    let Some(config) = view.config.as_deref() else { return true };
    let waiting: usize = view.queues.values().map(|queue| queue.len()).sum();
    let may = |conf: &&PartitionConf| {
        let open = conf.state == PartitionState::Up && conf.name != job.partition.as_str();
        let root = job.spec.user == UserId::ROOT;
        // Which groups its user is in is not known here.
        let groups = conf.allow_groups.is_empty() || view.is_operator(job.spec.user);
        open && groups
            && !(conf.disable_root_jobs && root)
            && (!conf.root_only || view.is_operator(job.spec.user))
    };
    let mut left = LOOKS;
    for conf in config.partitions.iter().filter(may) {
        let Some(rest) = left.checked_sub(waiting) else { return false };
        left = rest;
        let change = Change::Partition(PartitionName::from(conf.name.as_str()));
        let mut view = view.clone();
        view.suppose_job(change.applied(job));
        let changed = &view.jobs[&job.id];
        let start = Reached::new(&view, now, job.id).and_then(|mut it| it.consider(changed).start);
        let start = start.map(|start| Timestamp(start.at));
        let helps = |start: &Timestamp| is_sooner(*start, planned, now);
        if let Some(start) = start.filter(helps) {
            found.push(Sooner { change, start });
        }
    }
    true
}
