//! The choices of nodes that one job has.

use std::sync::Arc;

use common::{
    config::PartitionState,
    id::NodeName,
    job::{Asks, CoreAsk, Job, JobSpec, Licenses, Reason},
    machine::few_switches,
    time::TimeLimit,
};

use super::{Line, Pass, Verdict};
use crate::{
    board::Share,
    placement::need,
    sites::{Site, sites},
    timeline::{ClassId, Start, VeilId},
};

/// Limits are whole minutes.
const MINUTE: u64 = 60_000;

/// How long it may run; none: for ever.
pub(crate) fn limit(job: &Job) -> Option<u64> {
    span(job.time_limit)
}

fn span(limit: TimeLimit) -> Option<u64> {
    limit.span().map(|limit| limit.0.max(1))
}

/// The limit of a run that is planned so, where it is shorter than the job's.
pub(super) fn shortened(job: &Job, start: &Start) -> Option<TimeLimit> {
    let whole = limit(job).map(|limit| start.at.saturating_add(limit));
    let minutes = start.until.saturating_sub(start.at) / MINUTE;
    // A reservation may end a run sooner, too.
    let may = job.least_limit() < job.time_limit;
    let shorter = may && whole.unwrap_or(u64::MAX) > start.until;
    // Where the reservation leaves less than the least, it ends the run all the same.
    let left = || TimeLimit::Minutes(u32::try_from(minutes).unwrap_or(u32::MAX));
    shorter.then(|| left().max(job.least_limit()))
}

impl<'a> Pass<'a> {
    /// The nodes that the job must have, if nothing keeps it from starting but room.
    pub(super) fn admitted(&mut self, line: &Line<'a>, job: &Job) -> Result<Vec<usize>, Verdict> {
        match line.conf.state {
            PartitionState::Down => return Err(Verdict::Close(Reason::PartitionDown)),
            PartitionState::Inactive => return Err(Verdict::Close(Reason::PartitionInactive)),
            PartitionState::Up | PartitionState::Drain => {}
        }
        if let Some(reason) = hindrance(line, job) {
            return Err(Verdict::Wait(reason));
        }
        if let Some(begin) = job.begin.filter(|begin| *begin > self.now) {
            return Err(Verdict::WaitUntil(begin));
        }
        if self.is_full(job) {
            return Err(Verdict::Wait(Reason::JobArrayTaskLimit));
        }
        if let Some(limits) = &mut self.limits
            && let Err(limit) = limits.may_start(job, &need(self.config, line.conf, job))
        {
            return Err(Verdict::Wait(limit));
        }
        let board = &self.board;
        let position = |name: &NodeName| board.position(name).filter(|at| line.nodes.contains(at));
        let required: Option<Vec<usize>> = job.spec.required_nodes.iter().map(position).collect();
        let Some(mut required) = required else {
            return Err(Verdict::Wait(Reason::ReqNodeNotAvail));
        };
        if required.iter().any(|at| !board.shares[*at].usable) {
            return Err(Verdict::Wait(Reason::ReqNodeNotAvail));
        }
        required.sort_unstable();
        required.dedup();
        Ok(required)
    }

    /// The job's request for each of its choices of nodes that the required ones are of.
    pub(super) fn classes(
        &mut self,
        line: &Line<'a>,
        job: &Job,
        (sites, veils): (&[Site], &[Option<VeilId>]),
        required: &[usize],
    ) -> Vec<ClassId> {
        // From then on it may start beside more switches.
        let few = few_switches(self.config, job).filter(|(_, until)| *until > self.now);
        if let Some((_, until)) = few {
            self.plan.wake = Some(self.plan.wake.map_or(until, |wake| wake.min(until)));
        }
        let own = (self.config, line.conf);
        let sites = sites.iter();
        let sites: Vec<_> = sites
            .filter(|site| site.admits(&self.board, self.config, &job.spec, required))
            .collect();
        let mut classes = Vec::with_capacity(sites.len() * veils.len());
        for veil in veils {
            for site in &sites {
                classes.push(self.board.class(own, job, (site, *veil), required));
            }
        }
        classes
    }

    /// Whether the job's licenses are free from now on, and the earliest start that it can have
    /// with them, and whose it is.
    pub(super) fn find(
        &mut self,
        job: &Job,
        classes: &[ClassId],
        latest: u64,
    ) -> (bool, Option<(ClassId, Start)>) {
        let Asks { licenses, deadline, time_min, .. } = job.spec.asks();
        if licenses.is_empty() && deadline.is_none() && time_min.is_none() {
            return (true, self.earliest(classes, licenses, latest));
        }
        let promised = self.licenses.lift(job);
        let least = span(job.least_limit());
        let licensed = self.licenses.fit(licenses, self.now.0, least);
        let mut found = self.whole(job, classes, latest);
        let before = found.as_ref().map_or(latest, |(_, start)| start.at.saturating_sub(1));
        let shorter = least < limit(job) || limit(job).is_none() && least.is_some();
        if shorter && before >= self.now.0 {
            found = self.shorter(job, classes, latest.min(before)).or(found);
        }
        self.licenses.put_back(job, promised);
        (licensed, found)
    }

    /// The earliest start of a run of the job's whole limit.
    pub(super) fn whole(
        &mut self,
        job: &Job,
        classes: &[ClassId],
        latest: u64,
    ) -> Option<(ClassId, Start)> {
        let Asks { licenses, deadline, .. } = job.spec.asks();
        let latest = match deadline {
            Some(by) => latest.min(by.0.checked_sub(limit(job)?)?),
            None => latest,
        };
        self.earliest(classes, licenses, latest)
    }

    /// An earlier start of a run that is as much shorter than the job's limit as it must be.
    fn shorter(&mut self, job: &Job, classes: &[ClassId], latest: u64) -> Option<(ClassId, Start)> {
        let Asks { licenses, deadline, .. } = job.spec.asks();
        let least = span(job.least_limit())?;
        let deadline = deadline.map_or(u64::MAX, |by| by.0);
        let latest = latest.min(deadline.checked_sub(least)?);
        let timeline = &mut self.board.timeline;
        let classes: Vec<ClassId> =
            classes.iter().map(|class| timeline.within(*class, Some(least))).collect();
        let (class, mut start) = self.earliest(&classes, licenses, latest)?;
        let until = self.board.timeline.lasts(class, &start).min(deadline);
        let until = until.min(self.licenses.last(licenses, start.at));
        let most = limit(job).unwrap_or(u64::MAX);
        let minutes = until.saturating_sub(start.at).min(most) / MINUTE;
        start.until = start.at.saturating_add(minutes.saturating_mul(MINUTE).max(least));
        Some((class, start))
    }

    /// The earliest start among several, and whose it is; the first of those that are equal.
    pub(super) fn earliest(
        &mut self,
        classes: &[ClassId],
        licenses: &Licenses,
        mut latest: u64,
    ) -> Option<(ClassId, Start)> {
        let mut first = None;
        for class in classes {
            let timeline = &mut self.board.timeline;
            let found = self.licenses.earliest(timeline, (*class, licenses), latest);
            let Some(start) = found else { continue };
            let start = self.board.together(*class, start);
            let at = start.at;
            first = Some((*class, start));
            if at <= self.now.0 {
                break;
            }
            latest = at - 1;
        }
        first
    }

    /// Why none of the job's choices has room even on idle nodes, if that is so.
    pub(super) fn obstacle(
        &mut self,
        line: &mut Line<'a>,
        job: &Job,
        classes: &[ClassId],
        required: &[usize],
    ) -> Option<Reason> {
        if self.could(classes) {
            return None;
        }
        if !self.could_on(line, job, required, |_| true) {
            let spec = &job.spec;
            let constrained = spec.constraint.is_some()
                || spec.tmp_disk_mib > 0
                || spec.asks().cores != CoreAsk::NONE;
            let plain = Job { spec: Arc::new(unconstrained(&job.spec)), ..job.clone() };
            let bad = constrained && self.could_on(line, &plain, required, |_| true);
            return Some(if bad { Reason::BadConstraints } else { Reason::PartitionConfig });
        }
        // Else a more urgent job's nodes are kept under strict order.
        let today = self.could_on(line, job, required, |share| share.usable);
        (!today).then_some(Reason::NodesNotAvail)
    }

    /// Whether one of them could run on idle nodes.
    fn could(&mut self, classes: &[ClassId]) -> bool {
        classes.iter().any(|class| self.board.could(*class))
    }

    fn could_on(
        &mut self,
        line: &Line<'a>,
        job: &Job,
        required: &[usize],
        may: fn(&Share) -> bool,
    ) -> bool {
        let sites = sites(&mut self.board, self.config, &line.nodes, &job.spec, may);
        let classes = self.classes(line, job, (&sites, &[None]), required);
        self.could(&classes)
    }
}

fn unconstrained(spec: &JobSpec) -> JobSpec {
    let asks = Asks { cores: CoreAsk::NONE, ..spec.asks().clone() };
    JobSpec { constraint: None, tmp_disk_mib: 0, asks: Some(Arc::new(asks)), ..spec.clone() }
}

/// What keeps the job from starting whatever is free.
fn hindrance(line: &Line<'_>, job: &Job) -> Option<Reason> {
    let conf = line.conf;
    let nodes_max = conf.max_nodes.unwrap_or(u32::MAX);
    let wants = job.spec.layout.min_nodes.max(job.spec.constraint().least_nodes());
    if wants > nodes_max || wants < conf.min_nodes || wants as usize > line.nodes.len() {
        Some(Reason::PartitionNodeLimit)
    } else if job.time_limit > conf.max_time {
        Some(Reason::PartitionTimeLimit)
    } else {
        conf.bars(job.spec.account.as_deref(), job.spec.qos.as_deref())
    }
}
