//! Who makes way for a job that finds no room.
//!
//! As in Slurm, those that may make way are taken away one after the other, the lowest first, until
//! the job fits; then in another order, so that fewer suffice; and then each is left that is not
//! needed. The job keeps its place from then on: the machine remembers for whom others made way,
//! and the next plans look at that one first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use common::{
    id::{Attempt, JobId},
    job::{Job, Licenses, Phase, Place},
    machine::{Allocation, Preemption, Preempts, QueueKey, State},
    time::Timestamp,
};

use super::{Line, Pass, Verdict, waits};
use crate::{
    board::{self, shortly},
    placement::need,
    several::Several,
    timeline::{Amounts, ClassId, Start, Tenant},
};

/// How many requests are tried in vain in one plan.
const TRIES: u32 = 100;

/// What makes requests alike: what holds for one, holds for the others of the same pass.
type Kind = (String, Option<String>, Vec<ClassId>, Licenses, Option<Timestamp>);

/// What a pass knows of it.
pub(crate) struct Preempting<'a> {
    rules: Option<Preempts<'a>>,
    tries: u32,
    in_vain: BTreeSet<Kind>,
    /// Who makes way by this plan.
    making: BTreeSet<JobId>,
    /// For whom some make way by this plan.
    helped: BTreeSet<JobId>,
    /// Who was looked at before all others, and has no other turn.
    seen: BTreeSet<JobId>,
    /// Who would make way for the one that is asked about, and on which nodes.
    asked: Vec<(JobId, Vec<usize>)>,
    /// Whether one is looked at for whom nobody makes way any more: it starts now, or in its turn.
    pub(super) at_once: bool,
}

/// A run that might make way.
struct Candidate {
    job: JobId,
    attempt: Attempt,
    rank: u64,
    started: Timestamp,
    /// Until when it would hold its nodes, and how long it may take to leave them.
    until: u64,
    notice: u64,
    held: Vec<(usize, Amounts)>,
    /// Whom others mind there, and his CPUs on each node.
    visits: Option<(Tenant, Vec<(usize, u64)>)>,
}

impl<'a> Preempting<'a> {
    pub(super) fn of(view: &'a State) -> Self {
        Self {
            rules: Preempts::of(view),
            tries: TRIES,
            in_vain: BTreeSet::new(),
            making: BTreeSet::new(),
            helped: BTreeSet::new(),
            seen: BTreeSet::new(),
            asked: vec![],
            at_once: false,
        }
    }

    pub(super) fn has_seen(&self, job: JobId) -> bool {
        self.seen.contains(&job)
    }
}

impl<'a> Pass<'a> {
    /// Looks at those first for whom others have made way. Says whether it has come to the one
    /// that is asked about, who is the first of his line then.
    pub(super) fn preemptors(&mut self, lines: &mut [Line<'a>]) -> bool {
        let view = self.view;
        if view.preemptors.is_empty() {
            return false;
        }
        let awaited = awaited(view);
        for id in &view.preemptors {
            let job = view.jobs.get(id).expect("check: a preemptor is there");
            let Some(key) = QueueKey::of(job) else { continue };
            self.preempting.at_once = !awaited.contains(id);
            if self.wanted == Some(*id) {
                if self.preempting.at_once {
                    continue;
                }
                lines.iter_mut().for_each(|line| line.come_to(job));
                return true;
            }
            let its = |line: &Line<'_>| job.partition.each().any(|name| name == line.conf.name);
            let mut own: Vec<usize> = (0..lines.len()).filter(|at| its(&lines[*at])).collect();
            own.sort_by_key(|at| Reverse(lines[*at].conf.priority_tier));
            let mut starts = false;
            for at in own {
                starts = self.preemptor(lines, at, job, key);
                if starts {
                    break;
                }
            }
            // Others made way for one task of an array: the others have their own turn.
            let left = self.turn.take().is_some();
            if !left && (starts || !self.preempting.at_once) {
                self.preempting.seen.insert(*id);
            }
        }
        self.preempting.at_once = false;
        false
    }

    /// Looks at it in one of its lines. Says whether it starts.
    fn preemptor(
        &mut self,
        lines: &mut [Line<'a>],
        at: usize,
        job: &'a Job,
        key: QueueKey,
    ) -> bool {
        let name = lines[at].conf.name.as_str();
        let verdict = self.entry(&mut lines[at], job);
        // Those behind it have their own turn.
        lines[at].headed = false;
        let starts = matches!(verdict, Verdict::Start(_));
        match verdict {
            verdict @ Verdict::Start(_) => self.note(verdict, lines, job, (name, key)),
            _ if self.preempting.at_once => {}
            Verdict::Close(reason) => waits(&mut self.plan, job, Some(reason)),
            verdict @ (Verdict::Wait(_) | Verdict::Behind | Verdict::WaitUntil(_)) => {
                self.note(verdict, lines, job, (name, key));
            }
        }
        starts
    }

    /// The start that was found, or the one that the job has if some make way. What they have of
    /// licenses is theirs, as in Slurm: nobody makes way for these.
    pub(super) fn sooner(
        &mut self,
        line: &Line<'a>,
        job: &Job,
        classes: &[ClassId],
        (licensed, found): (bool, Option<(ClassId, Start)>),
    ) -> Option<(ClassId, Start)> {
        self.preempting.asked.clear();
        let at = found.as_ref().map(|(_, start)| start.at);
        let is_now = at.is_some_and(|at| at <= self.now.0);
        if is_now || !licensed || self.preempting.at_once {
            return found;
        }
        self.make_way(line, job, classes, at).or(found)
    }

    /// When the job would start if some make way, where it would not start as soon `without`. The
    /// plan says who they are.
    fn make_way(
        &mut self,
        line: &Line<'a>,
        job: &Job,
        classes: &[ClassId],
        without: Option<u64>,
    ) -> Option<(ClassId, Start)> {
        let rules = self.preempting.rules.filter(|rules| rules.may(job))?;
        let (own, asks) = (&job.spec, job.spec.asks());
        let (licenses, deadline) = (asks.licenses.clone(), asks.deadline);
        let kind: Kind =
            (line.conf.name.clone(), own.qos.clone(), classes.to_vec(), licenses, deadline);
        let known = &self.preempting;
        if known.tries == 0 || known.in_vain.contains(&kind) || known.helped.contains(&job.id) {
            return None;
        }
        let candidates = self.candidates(rules, line, job)?;
        let notice = candidates.iter().map(|one| one.notice).max()?;
        let leave = if self.policy.strict {
            self.now.0
        } else {
            self.board.timeline.border(self.now.0.saturating_add(notice))?
        };
        // By then it would start anyway, here or in another partition.
        let elsewhere = Several::latest(&self.plan, job);
        if without.is_some_and(|start| start <= leave) || elsewhere < leave {
            return None;
        }
        let before = self.board.timeline.clone();
        let useful = candidates.into_iter().filter(|one| one.until > leave).collect();
        let mut way = Way { pass: self, job, classes, leave, before: &before };
        let found = way.chosen(useful, rules.settings().reorder_count);
        let Some((runs, class, start)) = found else {
            self.board.timeline = before;
            self.preempting.tries -= 1;
            self.preempting.in_vain.insert(kind);
            return None;
        };
        let places = self.board.places(&need(self.config, line.conf, job), &start);
        let allowed = |limits: &crate::limits::Limits| limits.may_have(job, &places).is_ok();
        let allowed = self.limits.as_ref().is_none_or(allowed);
        let asked_about = self.wanted == Some(job.id);
        if !allowed || asked_about || self.policy.strict {
            self.board.timeline = before;
        }
        if !allowed {
            return None;
        }
        if asked_about {
            let nodes = |run: &Candidate| run.held.iter().map(|(node, _)| *node).collect();
            self.preempting.asked = runs.iter().map(|run| (run.job, nodes(run))).collect();
        } else {
            self.order(job, places, &runs);
        }
        (asked_about || !self.policy.strict).then_some((class, start))
    }

    /// Who would make way for the one that is asked about, by what was found last.
    pub(crate) fn makes_way(&self) -> &[(JobId, Vec<usize>)] {
        &self.preempting.asked
    }

    fn order(&mut self, job: &Job, places: Vec<Place>, runs: &[Candidate]) {
        let several = self.view.jobs.get(&job.id).is_some_and(|job| job.partition.is_several());
        let partition = several.then(|| job.partition.clone());
        let start = Allocation { partition, ..Allocation::of(job, places) };
        self.preempting.making.extend(runs.iter().map(|run| run.job));
        self.preempting.helped.insert(job.id);
        let runs = runs.iter().map(|run| (run.job, run.attempt)).collect();
        self.plan.preempts.push(Preemption { start, runs });
    }

    /// Those on nodes of the line that may make way for the job, in the order in which they would;
    /// none where others do already.
    fn candidates(
        &mut self,
        rules: Preempts<'a>,
        line: &Line<'a>,
        job: &Job,
    ) -> Option<Vec<Candidate>> {
        let mut found = BTreeMap::new();
        let shortly = shortly(self.config);
        for at in &line.nodes {
            let name = &self.board.shares[*at].name;
            for id in self.view.holding.get(name).into_iter().flatten() {
                let victim = self.view.jobs.get(id).expect("check: who holds nodes is there");
                let makes_way = victim.makes_way();
                if makes_way.is_some_and(|preempted| preempted.by == job.id) {
                    return None;
                }
                let Phase::Active(run) = &victim.phase else { continue };
                let making = makes_way.is_some() || self.preempting.making.contains(id);
                if making || found.contains_key(id) {
                    continue;
                }
                if rules.mode(job, victim, self.now).is_none() {
                    // It may have to later on.
                    let eligible = rules.eligible(victim).filter(|at| *at > self.now);
                    if let Some(at) = eligible.filter(|at| rules.mode(job, victim, *at).is_some()) {
                        self.plan.wake = Some(self.plan.wake.map_or(at, |wake| wake.min(at)));
                    }
                    continue;
                }
                let notice = rules.grace(victim) + shortly;
                let candidate = Candidate {
                    job: *id,
                    attempt: victim.attempt,
                    rank: rules.rank(victim),
                    started: run.started,
                    until: board::until(self.view, victim, self.now, shortly),
                    notice: notice.0.max(1),
                    held: self.board.held_by(run, self.config),
                    visits: self.board.visits_of((victim, run), self.config),
                };
                found.insert(*id, candidate);
            }
        }
        let mut found: Vec<Candidate> = found.into_values().collect();
        let youngest_first = rules.settings().youngest_first;
        found.sort_by_key(|one| {
            let rank = if youngest_first { 0 } else { one.rank };
            (rank, Reverse(one.started), one.job)
        });
        Some(found)
    }
}

/// For whom others are making way.
fn awaited(view: &State) -> BTreeSet<JobId> {
    let jobs = view.holding.values().flatten().filter_map(|job| view.jobs.get(job));
    jobs.filter_map(|job| job.makes_way()).map(|preempted| preempted.by).collect()
}

/// Trying who suffices, on the timeline of the pass.
struct Way<'p, 'a, 'c> {
    pass: &'p mut Pass<'a>,
    job: &'c Job,
    classes: &'c [ClassId],
    /// When all that make way have left.
    leave: u64,
    /// The timeline with everybody.
    before: &'c crate::timeline::Timeline,
}

impl Way<'_, '_, '_> {
    /// Those that suffice, none of which could stay, and when and where the job starts then. The
    /// timeline is left without them.
    fn chosen(
        &mut self,
        candidates: Vec<Candidate>,
        reorder: Option<u32>,
    ) -> Option<(Vec<Candidate>, ClassId, Start)> {
        candidates.iter().for_each(|one| self.without(one));
        self.start()?;
        let (mut chosen, mut start) = self.until_it_fits(candidates)?;
        for _ in 0..reorder.unwrap_or(1) {
            let last = chosen.pop()?;
            let nodes: BTreeSet<usize> = start.1.nodes.iter().map(|(node, _)| *node).collect();
            let shared = |one: &Candidate| {
                Reverse(one.held.iter().filter(|(node, _)| nodes.contains(node)).count())
            };
            chosen.sort_by_key(shared);
            chosen.insert(0, last);
            (chosen, start) = self.until_it_fits(chosen)?;
        }
        // The highest stay first.
        chosen.sort_by_key(|one| (one.rank, Reverse(one.started), one.job));
        let mut needed = Vec::new();
        while let Some(one) = chosen.pop() {
            self.with(&one);
            if self.start().is_none() {
                self.without(&one);
                needed.push(one);
            }
        }
        needed.reverse();
        self.again();
        needed.iter().for_each(|one| self.without(one));
        let (class, start) = self.start().filter(|_| !needed.is_empty())?;
        Some((needed, class, start))
    }

    /// The first of them that suffice.
    fn until_it_fits(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> Option<(Vec<Candidate>, (ClassId, Start))> {
        self.again();
        let mut chosen = Vec::new();
        for one in candidates {
            self.without(&one);
            chosen.push(one);
            if let Some(start) = self.start() {
                return Some((chosen, start));
            }
        }
        None
    }

    /// Nobody makes way for a run that is shorter than it may be.
    fn start(&mut self) -> Option<(ClassId, Start)> {
        let promised = self.pass.licenses.lift(self.job);
        self.pass.licenses.forget();
        let found = self.pass.whole(self.job, self.classes, self.leave);
        self.pass.licenses.put_back(self.job, promised);
        found
    }

    fn again(&mut self) {
        self.pass.board.timeline.clone_from(self.before);
    }

    fn without(&mut self, one: &Candidate) {
        self.shift(one, (one.until, self.leave));
        let held = one.held.iter().copied();
        self.pass.board.timeline.release(held, self.leave, one.until);
    }

    fn with(&mut self, one: &Candidate) {
        self.shift(one, (self.leave, one.until));
        for (node, amounts) in &one.held {
            self.pass.board.timeline.hold(*node, *amounts, self.leave, one.until);
        }
    }

    fn shift(&mut self, one: &Candidate, span: (u64, u64)) {
        let Some((tenant, visits)) = &one.visits else { return };
        for (node, cpus) in visits {
            self.pass.board.timeline.shift(*node, (*tenant, *cpus), span);
        }
    }
}
