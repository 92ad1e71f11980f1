//! One pass over the queues.

mod caps;
mod choices;
mod kept;
mod preempting;
mod together;

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    iter::Peekable,
};

use common::{
    config::{Config, PartitionConf},
    id::{JobId, NodeName, PartitionName, UserId},
    job::{Job, Place, Reason},
    machine::{Allocation, Preemption, QueueKey, State},
    time::Timestamp,
};

pub(crate) use self::choices::limit;
use crate::{
    board::{Board, Booking, shortly},
    favoured::Favoured,
    licenses::Pool,
    limits::Limits,
    placement::need,
    policy::Policy,
    rank::{Ranks, ordered},
    reached,
    reserved::Reserved,
    several::{self, Several, waits},
    sites::Sites,
    timeline::{ClassId, Start},
    turn::Turn,
};

use self::{caps::most_urgent, kept::Hidden, preempting::Preempting};

/// What one pass decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub starts: Vec<Allocation>,
    /// Who is to make way, for jobs that start once they have.
    pub preempts: Vec<Preemption>,
    /// Why the jobs wait that do not wait for [`Reason::Priority`].
    pub waits: BTreeMap<JobId, Reason>,
    /// When those that wait are to start, if every run lasts until its limit. Those that were not
    /// looked at, and those whose start lies beyond what is planned, have none.
    pub estimates: BTreeMap<JobId, Timestamp>,
    /// The next moment at which a job may become eligible by itself (`--begin`).
    pub wake: Option<Timestamp>,
    /// Where a partition's queue was left: what stands behind that place was not looked at, so the
    /// plan is the same whatever stands there.
    pub closed: BTreeMap<PartitionName, QueueKey>,
    /// Jobs that wait may stand behind those places, and might start now.
    pub cut: bool,
}

/// A partition's queue in the pass.
pub(crate) struct Line<'a> {
    pub(crate) conf: &'a PartitionConf,
    queue: Peekable<Box<dyn Iterator<Item = QueueKey> + 'a>>,
    /// Its nodes, by their place on the board.
    pub(crate) nodes: Vec<usize>,
    sites: Sites,
    /// How many of its jobs were looked at, and for how many nodes are kept.
    pub(crate) looked: u32,
    reserved: u32,
    /// One of its jobs waits for nodes already.
    headed: bool,
}

/// Looks at all pending jobs, the most urgent first, and starts each that fits and delays nobody
/// before it.
///
/// A job that does not fit gets the earliest start that its limit allows beside those before it,
/// and its nodes are kept for it from then on (conservative backfill). A job that could start
/// only beyond the window gets nothing kept, unless it is the first of its partition that waits.
/// One that waits for a run without a limit has no start that could be kept.
///
/// Under `sched/builtin` the first job of a partition that does not fit closes the partition: its
/// nodes are kept for that job, in this and in every other partition, and those behind it wait for
/// their priority. A job that would not fit even if all nodes that can be used were idle closes
/// nothing: nobody knows for how long that would be.
#[must_use]
pub fn plan(view: &State, now: Timestamp) -> Plan {
    plan_front(view, now, usize::MAX)
}

/// Does the same, and leaves off where so many jobs have been found that must wait for nodes.
#[must_use]
pub fn plan_front(view: &State, now: Timestamp, waiting: usize) -> Plan {
    view.config.as_ref().map_or_else(Plan::default, |config| {
        let mut pass = Pass::new(view, config, now);
        let mut lines = lines(view, config, &mut pass.board, now);
        pass.run(view, &mut lines, waiting);
        pass.plan
    })
}

/// When, where and in which of its partitions the job is to start: now, or by the plan; none where
/// no moment is known.
#[must_use]
pub fn when(
    view: &State,
    now: Timestamp,
    job: JobId,
) -> Option<(Timestamp, Vec<Place>, PartitionName)> {
    let views = several::each(view, job);
    let starts = views.iter().filter_map(|view| reached::start(view, now, job));
    starts.min_by_key(|(at, ..)| *at)
}

pub(crate) fn lines<'a>(
    view: &'a State,
    config: &'a Config,
    board: &mut Board,
    now: Timestamp,
) -> Vec<Line<'a>> {
    let (mut ranks, favoured) = (Ranks::of(view, now), Favoured::of(view));
    let mut line = |conf: &'a PartitionConf| {
        let queue = view.queues.get(&conf.name.as_str().into())?;
        let at = |name: &String| board.position(&NodeName::from(name.as_str()));
        let nodes: Vec<usize> = conf.nodes.iter().filter_map(at).collect();
        let queue = ordered((view, favoured.as_ref()), ranks.as_mut(), conf, queue.iter().copied());
        Some(Line {
            conf,
            queue: queue.peekable(),
            nodes,
            sites: Sites::default(),
            looked: 0,
            reserved: 0,
            headed: false,
        })
    };
    config.partitions.iter().filter_map(&mut line).collect()
}

impl Line<'_> {
    /// Whose turn it is.
    pub(crate) fn next(&mut self) -> Option<JobId> {
        self.queue.peek().map(|key| key.job)
    }

    /// Leaves out those before a job of the line.
    fn come_to(&mut self, job: &Job) {
        if job.partition.each().any(|name| name == self.conf.name) {
            while self.queue.peek().is_some_and(|key| key.job != job.id) {
                self.queue.next();
            }
        }
    }
}

fn empty<'a>() -> Peekable<Box<dyn Iterator<Item = QueueKey> + 'a>> {
    let none: Box<dyn Iterator<Item = QueueKey>> = Box::new(std::iter::empty());
    none.peekable()
}

pub(crate) enum Verdict {
    Start(Allocation),
    /// Waits, and lets others pass.
    Wait(Reason),
    /// Waits, and others of its partition do so before it, or the policy passes it over.
    Behind,
    WaitUntil(Timestamp),
    /// Waits, and nobody of its partition may pass.
    Close(Reason),
}

/// A pass under way.
pub(crate) struct Pass<'a> {
    view: &'a State,
    pub(crate) config: &'a Config,
    policy: Policy,
    reserved: Reserved<'a>,
    pub(crate) now: Timestamp,
    /// The end of the window.
    latest: Timestamp,
    pub(crate) board: Board,
    pub(crate) licenses: Pool,
    /// The limits of associations and QOS, and what counts with what is to start; none where
    /// nothing is enforced.
    limits: Option<Limits>,
    /// How many jobs of a user were looked at, in all and in each partition.
    pub(crate) of_user: BTreeMap<(UserId, Option<&'a str>), u32>,
    pub(crate) looked: u32,
    pub(crate) plan: Plan,
    /// Which tasks are left of the array that stands first in its line, and how many of each array
    /// are to start.
    turn: Option<Turn<'a>>,
    of_array: BTreeMap<JobId, u32>,
    several: Several,
    preempting: Preempting<'a>,
    /// The partitions of components that do not lead.
    sides: BTreeMap<&'a str, Line<'a>>,
    /// Who is asked about: the pass stops before it. When it is considered, nothing is taken for
    /// it.
    pub(crate) wanted: Option<JobId>,
    /// What was found for it.
    pub(crate) found: Option<(ClassId, Option<Start>)>,
    /// What was found for all components of a heterogeneous one, its own first.
    pub(crate) found_together: Vec<(Start, Vec<Place>)>,
    /// What was taken for those before it.
    pub(crate) booked: Vec<(JobId, Start)>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(view: &'a State, config: &'a Config, now: Timestamp) -> Self {
        let policy = Policy::of(config);
        let reserved = Reserved::of(view, now, policy.window);
        let wake = reserved.next_border(now);
        let board = Board::open(view, config, now, &policy, &reserved.borders());
        Self {
            view,
            config,
            now,
            latest: now + policy.window,
            board,
            policy,
            licenses: Pool::of(view, config, now, shortly(config)),
            reserved,
            limits: Limits::of(view),
            of_user: BTreeMap::new(),
            looked: 0,
            plan: Plan { wake, ..Plan::default() },
            turn: None,
            of_array: BTreeMap::new(),
            several: Several::default(),
            preempting: Preempting::of(view),
            wanted: None,
            found: None,
            found_together: vec![],
            sides: BTreeMap::new(),
            booked: vec![],
        }
    }

    pub(crate) fn run(&mut self, view: &'a State, lines: &mut [Line<'a>], waiting: usize) {
        let mut left = waiting;
        if self.preemptors(lines) {
            return;
        }
        let favoured = Favoured::of(view);
        while let Some(line) = most_urgent((view, favoured.as_ref()), lines) {
            let next = line.queue.peek().copied().filter(|key| self.wanted != Some(key.job));
            let Some(key) = next else {
                break;
            };
            let tier = line.conf.priority_tier;
            let job = view.jobs.get(&key.job).expect("check: a queued job is there");
            let is_done = self.several.left(job).peek().is_none();
            if self.turn.is_none() && (is_done || self.preempting.has_seen(job.id)) {
                line.queue.next();
                continue;
            }
            let own = line.conf.name.as_str();
            let verdict = self.entry(line, job);
            // One that stands for tasks of an array stays first until none of them can start.
            if self.turn.is_none() {
                line.queue.next();
            }
            if let Verdict::Wait(Reason::Resources | Reason::Licenses) | Verdict::Behind = verdict {
                left = left.saturating_sub(1);
            }
            self.note(verdict, lines, job, (own, key));
            if left == 0 || self.policy.jobs.is_some_and(|most| self.looked >= most) {
                self.cut(lines, tier, key);
            }
            if left == 0 {
                break;
            }
        }
        if favoured.is_some() {
            // Whoever comes may be looked at before the last.
            self.plan.closed.clear();
        }
    }

    /// Writes down what was found, and closes lines. The verdict is on the job at `key` in the
    /// queue of the partition `own`.
    fn note(
        &mut self,
        verdict: Verdict,
        lines: &mut [Line<'a>],
        job: &Job,
        (own, key): (&str, QueueKey),
    ) {
        if let Verdict::Start(start) = &verdict
            && start.partition.is_some()
            && self.several.left(job).peek().is_none()
        {
            // It does not wait in its other partitions.
            self.plan.waits.remove(&job.id);
            self.plan.estimates.remove(&job.id);
            self.plan.preempts.retain(|one| one.start.job != job.id);
            self.keep(job, None);
        }
        let plan = &mut self.plan;
        match verdict {
            Verdict::Start(allocation) => plan.starts.push(allocation),
            Verdict::Behind => waits(plan, job, None),
            Verdict::Wait(reason) => waits(plan, job, Some(reason)),
            Verdict::WaitUntil(begin) => {
                plan.waits.insert(job.id, Reason::BeginTime);
                plan.wake = Some(plan.wake.map_or(begin, |wake| wake.min(begin)));
            }
            Verdict::Close(reason) => {
                waits(plan, job, Some(reason));
                plan.closed.insert(own.into(), key);
                let its = |line: &&mut Line<'_>| line.conf.name == own;
                let line = lines.iter_mut().find(its).expect("the job stood in it");
                line.queue = empty();
                // A partition that starts nothing keeps no nodes from the others.
                if line.conf.state.starts() {
                    self.board.reserve(&line.nodes);
                    lines.iter_mut().for_each(|line| line.sites.forget());
                    self.sides.clear();
                }
            }
        }
    }

    fn keep(&mut self, job: &Job, booking: Option<Booking>) {
        if let Some(before) = self.several.keep(&mut self.board, job, booking) {
            self.booked.retain(|(other, theirs)| *other != job.id || *theirs != before.start);
        }
    }

    /// Leaves all queues where they are, once the one at `key` was looked at.
    fn cut(&mut self, lines: &mut [Line<'a>], tier: u16, key: QueueKey) {
        // Nobody stands before it.
        let first =
            QueueKey { priority: Reverse(u32::MAX), submitted: Timestamp(0), job: JobId(0) };
        for line in lines {
            self.plan.cut |= line.queue.peek().is_some();
            let left_at = match line.conf.priority_tier.cmp(&tier) {
                // All of it was looked at.
                Ordering::Greater => continue,
                Ordering::Equal => key,
                Ordering::Less => first,
            };
            let name: PartitionName = line.conf.name.as_str().into();
            self.plan.closed.entry(name).or_insert(left_at);
            line.queue = empty();
        }
    }

    /// Considers the first job of the line, or the next of the tasks that it stands for.
    fn entry(&mut self, line: &mut Line<'a>, job: &'a Job) -> Verdict {
        let mut tasks = self.turn.take().unwrap_or_else(|| self.several.left(job));
        let verdict = if job.partition.is_several() {
            self.consider(line, &job.in_partition(line.conf))
        } else {
            self.consider(line, job)
        };
        let Verdict::Start(allocation) = verdict else { return verdict };
        self.several.starts(job);
        if let Some(array) = job.array_id() {
            *self.of_array.entry(array).or_default() += 1;
        }
        let task = tasks.next().flatten();
        self.turn = tasks.peek().is_some().then_some(tasks);
        let partition = job.partition.is_several().then(|| line.conf.name.as_str().into());
        Verdict::Start(Allocation { task, partition, ..allocation })
    }

    /// Whether as many tasks of its array run, or are to start, as may.
    fn is_full(&self, job: &Job) -> bool {
        let Some(room) = self.view.array_room(job) else { return false };
        let started = job.array_id().and_then(|array| self.of_array.get(&array));
        room <= started.copied().unwrap_or(0)
    }

    pub(crate) fn consider(&mut self, line: &mut Line<'a>, job: &Job) -> Verdict {
        if let Some(part) = job.het() {
            return self.consider_all(line, job, part);
        }
        let required = match self.admitted(line, job) {
            Ok(required) => required,
            Err(verdict) => return verdict,
        };
        if !self.may_be_looked_at(line, job) {
            return Verdict::Behind;
        }
        let sites = line.sites.of(&mut self.board, self.config, &line.nodes, job);
        let ways = self.view.ways(job);
        let veils = self.reserved.veils(&mut self.board, &ways);
        let Some(veils) = veils else { return Verdict::Wait(Reason::Reservation) };
        let classes = self.classes(line, job, (&sites, &veils), &required);
        let hidden = Hidden { sites: &sites, ways: &ways };
        self.seek(line, job, (&classes, &hidden), &required)
    }

    /// Looks for room, and takes it.
    fn seek(
        &mut self,
        line: &mut Line<'a>,
        job: &Job,
        (classes, hidden): (&[ClassId], &Hidden<'_>),
        required: &[usize],
    ) -> Verdict {
        let wanted = self.wanted == Some(job.id);
        if wanted {
            self.found = classes.first().map(|class| (*class, None));
        }
        let latest = self.latest_start(line, job).min(Several::latest(&self.plan, job));
        let (licensed, found) = self.find(job, classes, latest);
        let found = self.sooner(line, job, classes, (licensed, found));
        let kept;
        if let Some((class, start)) = found {
            let need = need(self.config, line.conf, job);
            if let Some(limits) = &mut self.limits {
                let places = self.board.places(&need, &start);
                if let Err(limit) = limits.may_have(job, &places) {
                    return Verdict::Wait(limit);
                }
                if start.at == self.now.0 && !wanted {
                    limits.start(job, &places);
                }
            }
            let later = start.at > self.now.0;
            kept = if later { self.kept(line, job, hidden, required) } else { None };
            if wanted {
                self.found = Some((class, Some(start)));
                return match kept {
                    Some(reason) => Verdict::Wait(reason),
                    None if licensed => Verdict::Behind,
                    None => Verdict::Wait(Reason::Licenses),
                };
            }
            let (places, booking) = self.board.book(class, &need, &start);
            self.licenses.promise(job, &start, self.now.0);
            if self.wanted.is_some() {
                self.booked.push((job.id, start.clone()));
            }
            if start.at == self.now.0 {
                let time_limit = choices::shortened(job, &start);
                return Verdict::Start(Allocation { time_limit, ..Allocation::of(job, places) });
            }
            self.plan.estimates.insert(job.id, Timestamp(start.at));
            self.keep(job, booking);
            line.reserved += 1;
        } else if let Some(reason) = self.obstacle(line, job, classes, required) {
            return Verdict::Wait(reason);
        } else {
            kept = self.kept(line, job, hidden, required);
        }
        if let Some(reason) = kept {
            line.headed |= reason == Reason::MayBeReserved;
            return Verdict::Wait(reason);
        }
        if !licensed {
            return Verdict::Wait(Reason::Licenses);
        }
        if !required.is_empty() {
            // It waits for these alone, and under strict order holds up nobody else.
            return Verdict::Wait(Reason::Resources);
        }
        let headed = std::mem::replace(&mut line.headed, true);
        match (self.policy.strict, headed) {
            (true, _) => Verdict::Close(Reason::Resources),
            (false, false) => Verdict::Wait(Reason::Resources),
            (false, true) => Verdict::Behind,
        }
    }
}
