//! Whose turn it is, how many jobs are planned at all, and how far ahead.

use std::cmp::Reverse;

use common::{job::Job, machine::State};

use super::{Line, Pass};
use crate::{favoured::Favoured, policy::Policy};

/// The line whose first job goes next: higher tier, then the job's own place.
pub(super) fn most_urgent<'a, 'b>(
    (view, favoured): (&State, Option<&Favoured<'_>>),
    lines: &'b mut [Line<'a>],
) -> Option<&'b mut Line<'a>> {
    let heads = lines.iter_mut().enumerate().filter_map(|(at, line)| {
        let tier = Reverse(line.conf.priority_tier);
        line.queue.peek().map(|key| ((tier, *key), at))
    });
    let at = match favoured {
        Some(favoured) => favoured.first(view, &heads.collect::<Vec<_>>())?,
        None => heads.min()?.1,
    };
    lines.get_mut(at)
}

impl<'a> Pass<'a> {
    /// Counts the job, if the policy's caps let it be planned at all.
    pub(super) fn may_be_looked_at(&mut self, line: &mut Line<'a>, job: &Job) -> bool {
        if self.preempting.at_once {
            // It starts, or counts in its own turn.
            return true;
        }
        let Policy { jobs_of_user, jobs_of_partition, jobs_of_user_in_partition, .. } = self.policy;
        let full = |count: u32, most: Option<u32>| most.is_some_and(|most| count >= most);
        let user = job.spec.user;
        let partition = Some(line.conf.name.as_str());
        let count = |key| self.of_user.get(&key).copied().unwrap_or(0);
        if full(line.looked, jobs_of_partition)
            || full(count((user, None)), jobs_of_user)
            || full(count((user, partition)), jobs_of_user_in_partition)
        {
            return false;
        }
        self.looked += 1;
        line.looked += 1;
        if jobs_of_user.is_some() || jobs_of_user_in_partition.is_some() {
            *self.of_user.entry((user, None)).or_default() += 1;
            *self.of_user.entry((user, partition)).or_default() += 1;
        }
        true
    }

    /// Until when a start of the job is looked for.
    pub(super) fn latest_start(&self, line: &Line<'a>, job: &Job) -> u64 {
        let Policy { strict, reservations, .. } = self.policy;
        let keeps = !strict && reservations.is_none_or(|most| line.reserved < most);
        match (keeps, line.headed) {
            _ if self.preempting.at_once => self.now.0,
            _ if self.wanted == Some(job.id) => u64::MAX,
            (true, false) => u64::MAX,
            (true, true) => self.latest.0,
            (false, _) => self.now.0,
        }
    }
}
