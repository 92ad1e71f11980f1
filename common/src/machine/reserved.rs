//! Reservations in the state: which there are, who waits for them or runs in them, and whether a
//! job may start on the nodes of one.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Command, State, fingerprint::Fingerprint};
use crate::{
    id::{JobId, NodeName},
    job::{Job, JobSpec, Phase},
    reservation::{Flag, Instance, Reservation},
    time::{Span, Timestamp},
};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservations {
    pub by_name: OrdMap<String, Arc<Reservation>>,
    /// How many there ever were.
    pub count: u32,
    /// The jobs that wait for one or run in it, kept for speed: they follow from the jobs.
    jobs: OrdMap<String, OrdSet<JobId>>,
}

/// How a job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<'a> {
    /// As any job: on no nodes that are reserved before it would be over.
    Free,
    In(&'a Reservation),
}

impl Reservations {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Reservation>> {
        self.by_name.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.by_name.values().map(AsRef::as_ref)
    }

    /// The jobs that wait for it or run in it.
    pub fn jobs_of(&self, name: &str) -> impl Iterator<Item = JobId> {
        self.jobs.get(name).into_iter().flatten().copied()
    }

    /// Those that jobs wait for, and that are not there: a job that was over may be requeued, and
    /// waits for what it waited for before.
    fn gone(&self) -> impl Iterator<Item = &String> {
        self.jobs.keys().filter(|name| !self.by_name.contains_key(*name))
    }

    pub(super) fn clear_jobs(&mut self) {
        self.jobs.clear();
    }

    pub(super) fn insert(&mut self, job: &Job) {
        for name in used(job) {
            self.jobs.entry(name.to_owned()).or_default().insert(job.id);
        }
    }

    pub(super) fn remove(&mut self, job: &Job) {
        for name in used(job) {
            if let Some(jobs) = self.jobs.get_mut(name) {
                jobs.remove(&job.id);
                if jobs.is_empty() {
                    self.jobs.remove(name);
                }
            }
        }
    }
}

/// What it waits for, or runs in.
fn used(job: &Job) -> impl Iterator<Item = &str> {
    let (waits, runs) = match &job.phase {
        Phase::Pending => (job.spec.reservations.as_slice(), None),
        Phase::Active(run) | Phase::Completing { run, .. } => (&[] as &[_], run.stay.as_ref()),
        Phase::Ended { .. } => (&[] as &[_], None),
    };
    waits.iter().map(String::as_str).chain(runs.map(|stay| stay.name.as_str()))
}

impl State {
    /// Whether jobs like that may be in the reservation at all.
    #[must_use]
    pub fn may_be_in(&self, reservation: &Reservation, spec: &JobSpec) -> bool {
        reservation.users.admits(|name| name == spec.user_name)
            && reservation.accounts.admits(|name| self.is_in_account(spec, name))
    }

    /// Whether the job's account is that one, or below it.
    fn is_in_account(&self, spec: &JobSpec, name: &str) -> bool {
        let Some(own) = spec.account.as_deref() else { return false };
        let above = || {
            let accounts = self.accounts.as_deref()?;
            let at = accounts.account(own)?;
            let mut upwards = accounts.upwards(at);
            upwards.find(|(_, one)| one.account == name)
        };
        own == name || above().is_some()
    }

    /// How the job may start, the first choice first: in those that it names; else in those that
    /// draw it in, and free.
    #[must_use]
    pub fn ways(&self, job: &Job) -> Vec<Way<'_>> {
        let named = &job.spec.reservations;
        if named.is_empty() {
            let drawn = self.reservations.iter().filter(|one| one.flags.has(Flag::Magnetic));
            let drawn = drawn.filter(|one| self.may_be_in(one, &job.spec));
            return drawn.map(Way::In).chain([Way::Free]).collect();
        }
        let named = named.iter().filter_map(|name| self.reservations.get(name));
        let named = named.map(AsRef::as_ref).filter(|one| self.may_be_in(one, &job.spec));
        named.map(Way::In).collect()
    }

    /// The first way in which the job may run from `now` on where `nodes` are.
    #[must_use]
    pub fn way_in(&self, job: &Job, now: Timestamp, nodes: &[&NodeName]) -> Option<Way<'_>> {
        if self.reservations.is_empty() && job.spec.reservations.is_empty() {
            return Some(Way::Free);
        }
        let limit = job.time_limit.span().map_or(Timestamp(u64::MAX), |limit| now + limit);
        self.ways(job).into_iter().find(|way| {
            way.admits(now, nodes)
                && !self.reservations.iter().any(|other| way.is_barred(other, now, limit, nodes))
        })
    }

    pub(super) fn put_reservation(&mut self, reservation: &Arc<Reservation>) {
        self.digest = self.digest.wrapping_add(fingerprint(reservation));
        self.reservations.count = self.reservations.count.max(reservation.number);
        let name = reservation.name.clone();
        if let Some(old) = self.reservations.by_name.insert(name, Arc::clone(reservation)) {
            self.digest = self.digest.wrapping_sub(fingerprint(&old));
        }
    }

    pub(super) fn remove_reservation(&mut self, name: &str) {
        let old = self.reservations.by_name.remove(name).expect("the log deletes what is there");
        self.digest = self.digest.wrapping_sub(fingerprint(&old));
    }

    /// After a snapshot's records were loaded.
    pub(super) fn rebuild_reservations(&mut self) {
        self.reservations.clear_jobs();
        for reservation in std::mem::take(&mut self.reservations.by_name).values() {
            self.put_reservation(reservation);
        }
    }

    /// Notes which of those that end when nobody uses them nobody uses any more.
    pub(super) fn watch_idle(&mut self, at: Timestamp) {
        let Reservations { by_name, jobs, .. } = &self.reservations;
        let purged = by_name.values().filter(|one| one.flags.has(Flag::PurgeComp));
        let moved = purged.filter(|one| one.idle_since.is_none() != jobs.contains_key(&one.name));
        for one in moved.cloned().collect::<Vec<_>>() {
            let idle_since = if one.idle_since.is_none() { Some(at) } else { None };
            self.put_reservation(&Arc::new(Reservation { idle_since, ..one.as_ref().clone() }));
        }
    }

    /// What has to be done about reservations whose time is over: nothing as long as jobs run in
    /// them.
    pub(super) fn over(&self, now: Timestamp) -> impl Iterator<Item = Command> {
        let over = self.reservations.iter().filter(move |one| self.is_over(one) <= Some(now));
        let over = over.filter(|one| self.is_over(one).is_some());
        let over =
            over.map(|one| Command::EndReservation { name: one.name.clone(), number: one.number });
        let gone = self.reservations.gone();
        over.chain(gone.map(|name| Command::EndReservation { name: name.clone(), number: 0 }))
    }

    pub(super) fn next_over(&self) -> Option<Timestamp> {
        let gone = self.reservations.gone().next().map(|_| self.at);
        gone.or_else(|| self.reservations.iter().filter_map(|one| self.is_over(one)).min())
    }

    /// When it is over, if that moment is known and nobody runs in it.
    fn is_over(&self, one: &Reservation) -> Option<Timestamp> {
        let runs = |id: JobId| self.jobs.get(&id).is_some_and(|job| job.holding().is_some());
        if self.reservations.jobs_of(&one.name).any(runs) {
            return None;
        }
        let end = one.period().is_none().then_some(one.end);
        end.into_iter().chain(one.purged_at()).min()
    }

    /// A reservation is otherwise from here on; who is in it has to be through when it ends.
    pub(super) fn alter_reservation(&mut self, new: &Arc<Reservation>) {
        let old = self.reservations.get(&new.name).expect("the log alters what is there");
        let (before, after) = (old.end, new.end);
        let old = Arc::clone(old);
        let within = |started: Timestamp| {
            old.instance(started).zip(new.instance(started)).map(|(old, new)| (old.end, new.end))
        };
        let jobs: Vec<JobId> = self.reservations.jobs_of(&new.name).collect();
        for id in jobs {
            let job = self.jobs.get(&id).expect("check: who uses a reservation is there");
            let Some(run) = job.holding() else { continue };
            let (before, after) = within(run.started).unwrap_or((before, after));
            if before != after {
                self.with_job(id, |job| shift(job, before, after));
            }
        }
        self.put_reservation(new);
    }

    /// How long jobs may go on after the end of their reservation (`ResvOverRun`).
    #[must_use]
    pub fn over_run(&self) -> Option<Span> {
        let text = self.config.as_ref()?.settings.get("ResvOverRun");
        match text.map(String::as_str) {
            None => Some(Span(0)),
            Some(text) if text.eq_ignore_ascii_case("UNLIMITED") => None,
            Some(text) => Some(Span::from_minutes(text.parse().unwrap_or(0))),
        }
    }
}

impl Way<'_> {
    /// Whether it leads to these nodes at that moment at all.
    #[must_use]
    pub fn admits(&self, now: Timestamp, nodes: &[&NodeName]) -> bool {
        match self {
            Way::Free => true,
            Way::In(one) if one.flags.has(Flag::Flex) => one.instance(now).is_some(),
            Way::In(one) => one.holds(now) && nodes.iter().all(|node| one.nodes.contains(node)),
        }
    }

    /// When whoever goes it has to be through, whatever his limit: none where nothing says so.
    #[must_use]
    pub fn ends(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Way::In(one) if !one.flags.has(Flag::Flex) => {
                one.instance(at).map(|Instance { end, .. }| end)
            }
            Way::In(_) | Way::Free => None,
        }
    }

    /// Whether another reservation's nodes are not for whoever goes it.
    #[must_use]
    pub fn minds(&self, other: &Reservation) -> bool {
        match self {
            Way::Free => true,
            Way::In(one) => one.number != other.number && !one.overrides(),
        }
    }

    fn is_barred(
        &self,
        other: &Reservation,
        now: Timestamp,
        limit: Timestamp,
        nodes: &[&NodeName],
    ) -> bool {
        let until = self.ends(now).map_or(limit, |ends| ends.min(limit));
        self.minds(other)
            && other.overlaps(now, until.max(now + Span(1)))
            && nodes.iter().any(|node| other.nodes.contains(node))
    }
}

/// Moves the moment at which a run has to be over.
fn shift(job: &mut Job, before: Timestamp, after: Timestamp) {
    let limit = job.granted_limit();
    let Phase::Active(run) = &mut job.phase else { return };
    let Some(stay) = &mut run.stay else { return };
    stay.until = stay.until.map(|until| (until + after.since(before)) - before.since(after));
    run.deadline = run.deadline_of(limit);
}

fn fingerprint(one: &Reservation) -> u64 {
    let sum = Fingerprint::new(3)
        .with_text(&one.name)
        .with(u64::from(one.number))
        .with(one.start.0)
        .with(one.end.0)
        .with(u64::from(one.flags.bits()))
        .with(one.purge_after.map_or(0, |span| span.0))
        .with(one.idle_since.map_or(0, |at| at.0));
    let sum = one.nodes.iter().fold(sum, |sum, node| sum.with(1).with_text(node.as_str()));
    let allowed = [&one.users, &one.accounts];
    let sum = allowed.iter().fold(sum, |sum, allowed| {
        let sum = sum.with(2 + u64::from(allowed.denied));
        allowed.names.iter().fold(sum, |sum, name| sum.with(4).with_text(name))
    });
    sum.0
}
