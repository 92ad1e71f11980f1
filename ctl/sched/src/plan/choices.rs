//! The choices of nodes that one job has.

use std::sync::Arc;

use common::job::{Job, JobSpec, Licenses, Reason};

use super::{Line, Pass, limit};
use crate::{
    board::Share,
    sites::{Site, sites},
    timeline::{ClassId, Start, VeilId},
};

impl<'a> Pass<'a> {
    /// The job's request for each of its choices of nodes that the required ones are of.
    pub(super) fn classes(
        &mut self,
        line: &Line<'a>,
        job: &Job,
        (sites, veils): (&[Site], &[Option<VeilId>]),
        required: &[usize],
    ) -> Vec<ClassId> {
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
        let licenses = &job.spec.asks().licenses;
        if licenses.is_empty() {
            return (true, self.earliest(classes, licenses, latest));
        }
        let promised = self.licenses.lift(job);
        let licensed = self.licenses.fit(licenses, self.now.0, limit(job));
        let found = self.earliest(classes, licenses, latest);
        self.licenses.put_back(job, promised);
        (licensed, found)
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
            let constrained = job.spec.constraint.is_some() || job.spec.tmp_disk_mib > 0;
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
    JobSpec { constraint: None, tmp_disk_mib: 0, ..spec.clone() }
}
