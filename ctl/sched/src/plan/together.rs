//! Heterogeneous jobs: all components start at the first moment at which all have room, beside each
//! other.

use common::{
    id::JobId,
    job::{HetPart, Hold, Job, Licenses, Place, Reason},
    machine::{Allocation, Way},
    time::Timestamp,
};

use super::{Line, Pass, Verdict, empty, kept::Hidden};
use crate::{
    board::Share,
    placement::{Need, need},
    sites::{Sites, sites},
    timeline::{ClassId, Start},
};

/// At how many moments it is tried to give all components room at once, each of which has some.
const MOMENTS: usize = 256;

/// A component, and what it asks for.
struct Part<'j> {
    job: &'j Job,
    need: Need,
    classes: Vec<ClassId>,
    required: Vec<usize>,
    /// Why it would wait if its nodes were there.
    own: Option<Reason>,
}

/// Where a component starts.
struct Found {
    /// Its place among the components.
    which: usize,
    class: ClassId,
    start: Start,
    places: Vec<Place>,
}

impl<'a> Pass<'a> {
    /// Considers all components, as it is their leader's turn.
    pub(super) fn consider_all(
        &mut self,
        line: &mut Line<'a>,
        leader: &Job,
        part: HetPart,
    ) -> Verdict {
        let view = self.view;
        let led = part.led().filter_map(|id| view.jobs.get(&id));
        let all: Vec<&Job> = std::iter::once(leader).chain(led.map(AsRef::as_ref)).collect();
        let verdict = self.together(line, &all);
        let reason = match &verdict {
            Verdict::Wait(reason) | Verdict::Close(reason) => Some(*reason),
            Verdict::WaitUntil(_) => Some(Reason::BeginTime),
            Verdict::Start(_) | Verdict::Behind => None,
        };
        let led = all[1..].iter().filter_map(|job| Some((job.id, reason?)));
        self.plan.waits.extend(led);
        verdict
    }

    fn together(&mut self, line: &mut Line<'a>, all: &[&Job]) -> Verdict {
        let leader = all[0];
        let mut parts = Vec::with_capacity(all.len());
        for job in all {
            let part = self.on_line(line, leader, job, |pass, line| pass.part(line, job));
            match part {
                Some(Ok(part)) => parts.push(part),
                // Whatever is wrong with its partition is no matter of the leader's.
                Some(Err(Verdict::Close(reason))) if job.id != leader.id => {
                    return Verdict::Wait(reason);
                }
                Some(Err(verdict)) => return verdict,
                None => return Verdict::Wait(Reason::PartitionDown),
            }
        }
        if !self.may_be_looked_at(line, leader) {
            return Verdict::Behind;
        }
        let wanted = self.wanted == Some(leader.id);
        if wanted {
            self.found = parts[0].classes.first().map(|class| (*class, None));
            self.found_together.clear();
        }
        let licenses = Licenses::sum(all.iter().map(|job| &job.spec.asks().licenses));
        let limit = all.iter().map(|job| super::limit(job).unwrap_or(u64::MAX)).max();
        let limit = limit.filter(|limit| *limit < u64::MAX);
        let licensed = self.licenses.fit(&licenses, self.now.0, limit);
        let latest = self.latest_start(line, leader);
        let Some(found) = self.first_together(&parts, (&licenses, limit), latest) else {
            return self.no_start(line, &parts, licensed);
        };
        let at = found[0].start.at;
        // In the order in which the machine decides them.
        let mut in_order: Vec<&Found> = found.iter().collect();
        in_order.sort_by_key(|one| one.which);
        let places: Vec<(&Job, &[Place])> =
            in_order.iter().map(|one| (parts[one.which].job, one.places.as_slice())).collect();
        let rules = self.limits.as_ref().map(|limits| limits.together(&places)).transpose();
        let rules = match rules {
            Ok(rules) => rules.filter(|_| at == self.now.0 && !wanted),
            Err(limit) => return Verdict::Wait(limit),
        };
        if wanted {
            return self.shown(line, &parts, found, licensed);
        }
        if let Some((limits, rules)) = self.limits.as_mut().zip(rules) {
            limits.hold(rules);
        }
        self.take(line, &parts, found, licensed)
    }

    /// The component in its partition.
    fn part<'j>(&mut self, line: &mut Line<'a>, job: &'j Job) -> Result<Part<'j>, Verdict> {
        let may = job.hold == Hold::None && job.priority > 0 && job.is_independent();
        if !may && job.is_led() {
            let reason = crate::reason(self.config, job, self.now, || Reason::None);
            return Err(Verdict::Wait(reason));
        }
        let required = self.admitted(line, job)?;
        let sites = line.sites.of(&mut self.board, self.config, &line.nodes, job);
        let ways: Vec<Way<'a>> = self.view.ways(job);
        let veils = self.reserved.veils(&mut self.board, &ways);
        let Some(veils) = veils else { return Err(Verdict::Wait(Reason::Reservation)) };
        let classes = self.classes(line, job, (&sites, &veils), &required);
        let hidden = Hidden { sites: &sites, ways: &ways };
        let own = match self.earliest_from(&classes, self.now.0, self.now.0) {
            Some(_) => None,
            None => self.kept(line, job, &hidden, &required),
        };
        let need = need(self.config, line.conf, job);
        Ok(Part { job, need, classes, required, own })
    }

    /// Does it in the partition of that component, if there is one.
    fn on_line<T>(
        &mut self,
        line: &mut Line<'a>,
        leader: &Job,
        job: &Job,
        act: impl FnOnce(&mut Self, &mut Line<'a>) -> T,
    ) -> Option<T> {
        if job.partition == leader.partition {
            return Some(act(self, line));
        }
        let mut side = self.side(job)?;
        let done = act(self, &mut side);
        self.sides.insert(side.conf.name.as_str(), side);
        Some(done)
    }

    fn side(&mut self, job: &Job) -> Option<Line<'a>> {
        let conf = self.config.partition(job.partition.as_str())?;
        if let Some(known) = self.sides.remove(conf.name.as_str()) {
            return Some(known);
        }
        let at = |name: &String| self.board.position(&name.as_str().into());
        let nodes = conf.nodes.iter().filter_map(at).collect();
        let (queue, sites) = (empty(), Sites::default());
        Some(Line { conf, queue, nodes, sites, looked: 0, reserved: 0, headed: false })
    }

    /// The first moment at which all have room beside each other, in the order in which they found
    /// it.
    fn first_together(
        &mut self,
        parts: &[Part<'_>],
        licenses: (&Licenses, Option<u64>),
        latest: u64,
    ) -> Option<Vec<Found>> {
        let mut from = self.now.0;
        for _ in 0..MOMENTS {
            let at = self.each_alone(parts, licenses, (from, latest))?;
            if let Some(found) = self.all_at(parts, at) {
                return Some(found);
            }
            from = self.board.timeline.border_after(at)?;
        }
        None
    }

    /// The first moment at which each would have room if it were alone.
    fn each_alone(
        &mut self,
        parts: &[Part<'_>],
        (licenses, limit): (&Licenses, Option<u64>),
        (from, latest): (u64, u64),
    ) -> Option<u64> {
        let mut at = from;
        loop {
            let before = at;
            for part in parts {
                at = self.earliest_from(&part.classes, at, latest)?.1.at;
            }
            if !licenses.is_empty() {
                at = self.licenses.free_from(licenses, at, limit);
            }
            if at > latest || at == u64::MAX {
                return None;
            }
            if at == before {
                return Some(at);
            }
        }
    }

    /// The earliest start of several from a moment on; the first of those that are equal.
    fn earliest_from(
        &mut self,
        classes: &[ClassId],
        from: u64,
        mut latest: u64,
    ) -> Option<(ClassId, Start)> {
        let mut first = None;
        for class in classes {
            let found = self.board.timeline.earliest_from(*class, from, latest);
            let Some(start) = found else { continue };
            let at = start.at;
            first = Some((*class, start));
            if at <= from {
                break;
            }
            latest = at - 1;
        }
        first
    }

    /// Room for all at that moment. One that the others leave none goes before them; so whether all
    /// find some may still depend on what each is given, but hardly ever does.
    fn all_at(&mut self, parts: &[Part<'_>], at: u64) -> Option<Vec<Found>> {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        for _ in 0..=parts.len() {
            let mut trial = self.board.timeline.trial();
            let mut found = Vec::with_capacity(parts.len());
            for which in &order {
                let part = &parts[*which];
                let Some((class, start)) = self.earliest_from(&part.classes, at, at) else { break };
                let start = self.board.together(class, start);
                let places = self.board.try_book(&mut trial, class, &part.need, &start);
                found.push(Found { which: *which, class, start, places });
            }
            self.board.timeline.take_back(trial);
            match found.len() {
                all if all == parts.len() => return Some(found),
                0 => return None,
                failed => {
                    let which = order.remove(failed);
                    order.insert(0, which);
                }
            }
        }
        None
    }

    /// Books what was found.
    fn take(
        &mut self,
        line: &mut Line<'a>,
        parts: &[Part<'_>],
        found: Vec<Found>,
        licensed: bool,
    ) -> Verdict {
        let at = found[0].start.at;
        let mut starts: Vec<Allocation> = Vec::with_capacity(found.len());
        let mut found = found;
        for Found { which, class, start, places } in &mut found {
            let Part { job, need, .. } = &parts[*which];
            (*places, _) = self.board.book(*class, need, start);
            self.licenses.promise(job, start, self.now.0);
            if self.wanted.is_some() {
                self.booked.push((job.id, start.clone()));
            }
        }
        if at == self.now.0 {
            found.sort_by_key(|one| one.which);
            let start = |one: Found| Allocation::of(parts[one.which].job, one.places);
            starts.extend(found.into_iter().map(start));
            let mut starts = starts.into_iter();
            let first = starts.next().expect("there are components");
            return Verdict::Start(Allocation { others: starts.collect(), ..first });
        }
        let ids = parts.iter().map(|part| (part.job.id, Timestamp(at)));
        self.plan.estimates.extend(ids.collect::<Vec<(JobId, Timestamp)>>());
        line.reserved += 1;
        self.later(line, parts, licensed)
    }

    /// Why they can't start now, where they can later.
    fn later(&self, line: &mut Line<'a>, parts: &[Part<'_>], licensed: bool) -> Verdict {
        if let Some(reason) = parts.iter().find_map(|part| part.own) {
            line.headed |= reason == Reason::MayBeReserved;
            return Verdict::Wait(reason);
        }
        if !licensed {
            return Verdict::Wait(Reason::Licenses);
        }
        match std::mem::replace(&mut line.headed, true) {
            false => Verdict::Wait(Reason::Resources),
            true => Verdict::Behind,
        }
    }

    /// What was found for the job that is asked about.
    fn shown(
        &mut self,
        line: &mut Line<'a>,
        parts: &[Part<'_>],
        mut found: Vec<Found>,
        licensed: bool,
    ) -> Verdict {
        found.sort_by_key(|one| one.which);
        let leader = found.first().expect("there are components");
        let now = leader.start.at == self.now.0;
        self.found = Some((leader.class, Some(leader.start.clone())));
        self.found_together = found.into_iter().map(|one| (one.start, one.places)).collect();
        let own = parts.iter().find_map(|part| part.own).filter(|_| !now);
        match own {
            Some(reason) => {
                line.headed |= reason == Reason::MayBeReserved;
                Verdict::Wait(reason)
            }
            None if licensed => Verdict::Behind,
            None => Verdict::Wait(Reason::Licenses),
        }
    }

    /// Why there is no moment for all of them.
    fn no_start(&mut self, line: &mut Line<'a>, parts: &[Part<'_>], licensed: bool) -> Verdict {
        let leader = parts[0].job;
        for part in parts {
            let obstacle = self.on_line(line, leader, part.job, |pass, line| {
                pass.obstacle(line, part.job, &part.classes, &part.required)
            });
            if let Some(reason) = obstacle.flatten() {
                return Verdict::Wait(reason);
            }
        }
        if !self.could_all(line, parts, |_| true) {
            return Verdict::Wait(Reason::PartitionConfig);
        }
        if !self.could_all(line, parts, |share| share.usable) {
            return Verdict::Wait(Reason::NodesNotAvail);
        }
        if let Some(reason) = parts.iter().find_map(|part| part.own) {
            return Verdict::Wait(reason);
        }
        Verdict::Wait(if licensed { Reason::Resources } else { Reason::Licenses })
    }

    /// Whether all could run beside each other on idle nodes.
    fn could_all(
        &mut self,
        line: &mut Line<'a>,
        parts: &[Part<'_>],
        may: fn(&Share) -> bool,
    ) -> bool {
        let leader = parts[0].job;
        let mut plain = Vec::with_capacity(parts.len());
        for Part { job, need, required, .. } in parts {
            let classes = self.on_line(line, leader, job, |pass, line| {
                let sites = sites(&mut pass.board, pass.config, &line.nodes, &job.spec, may);
                pass.classes(line, job, (&sites, &[None]), required)
            });
            let (need, required) = (need.clone(), required.clone());
            let classes = classes.unwrap_or_default();
            plain.push(Part { job, need, classes, required, own: None });
        }
        let idle = self.board.timeline.idle();
        let timeline = std::mem::replace(&mut self.board.timeline, idle);
        let could = self.all_at(&plain, self.now.0).is_some();
        self.board.timeline = timeline;
        could
    }
}
