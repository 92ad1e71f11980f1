//! Jobs that wait because of reservations: their own, or those of others.

use common::{
    job::{Job, Reason},
    machine::Way,
};

use super::{Line, Pass};
use crate::sites::Site;

/// What a job could have, were nothing kept from it.
pub(super) struct Hidden<'a> {
    pub(super) sites: &'a [Site],
    pub(super) ways: &'a [Way<'a>],
}

impl<'a> Pass<'a> {
    /// Whether the job, which can't start now, waits because of a reservation; and in which word.
    /// In its own it holds up nobody.
    pub(super) fn kept(
        &mut self,
        line: &Line<'a>,
        job: &Job,
        hidden: &Hidden<'_>,
        required: &[usize],
    ) -> Option<Reason> {
        if !job.spec.reservations.is_empty() {
            let open = |way: &Way<'_>| match way {
                Way::In(one) => one.holds(self.now),
                Way::Free => true,
            };
            let any = hidden.ways.iter().any(open);
            return Some(if any { Reason::Resources } else { Reason::Reservation });
        }
        if self.reserved.is_empty() {
            return None;
        }
        let plain = self.classes(line, job, (hidden.sites, &[None]), required);
        let start = self.earliest(&plain, &job.spec.asks().licenses, self.now.0);
        start.map(|_| Reason::MayBeReserved)
    }
}
