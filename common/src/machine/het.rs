//! The components of heterogeneous jobs, in the state.
//!
//! **Invariant:** they wait together and hold nodes together. One may end before its leader, whose
//! end is the end of all; and they are forgotten together.

use std::sync::Arc;

use super::State;
use crate::{
    id::JobId,
    job::{HetPart, Job, Phase},
};

impl State {
    /// The components of a heterogeneous job, in their order.
    pub fn components(&self, part: HetPart) -> impl Iterator<Item = &Arc<Job>> {
        part.all().map(|id| self.component(id))
    }

    /// Those that its leader leads.
    pub fn led(&self, part: HetPart) -> impl Iterator<Item = &Arc<Job>> {
        part.led().map(|id| self.component(id))
    }

    fn component(&self, id: JobId) -> &Arc<Job> {
        self.jobs.get(&id).expect("check: components are there together")
    }

    pub(super) fn check_het(&self) {
        for job in self.jobs.values() {
            let Some(part) = job.het() else { continue };
            let own = part.leader.0.checked_add(part.offset);
            assert_eq!(own, Some(job.id.0), "the place of component {}", job.id);
            assert!(part.offset < part.size, "the size of heterogeneous job {}", part.leader);
            let leader = self.component(part.leader);
            assert_eq!(leader.het(), Some(HetPart { offset: 0, ..part }), "{}'s leader", job.id);
            assert_eq!(leader.attempt, job.attempt, "{} and its leader try together", job.id);
            assert!(are_together(leader, job), "{} is not where its leader is", job.id);
            let gone = part.all().find(|id| !self.jobs.contains_key(id));
            assert_eq!(gone, None, "all components of {} are there", part.leader);
        }
    }
}

/// Whether the one may be where it is, while its leader is there.
fn are_together(leader: &Job, led: &Job) -> bool {
    match (&leader.phase, &led.phase) {
        (Phase::Active(first), Phase::Active(other)) => {
            (first.started, first.stage) == (other.started, other.stage)
        }
        (Phase::Pending, Phase::Pending)
        | (Phase::Completing { .. }, Phase::Completing { .. })
        | (
            Phase::Active(_) | Phase::Completing { .. } | Phase::Ended { .. },
            Phase::Ended { .. },
        ) => true,
        (Phase::Pending, Phase::Active(_) | Phase::Completing { .. } | Phase::Ended { .. })
        | (Phase::Active(_), Phase::Pending | Phase::Completing { .. })
        | (Phase::Completing { .. }, Phase::Pending | Phase::Active(_))
        | (Phase::Ended { .. }, Phase::Pending | Phase::Active(_) | Phase::Completing { .. }) => {
            false
        }
    }
}
