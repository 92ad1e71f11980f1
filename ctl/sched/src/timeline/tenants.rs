//! Who is on a node when: where users are kept apart, or a partition has a share of the CPUs.
//!
//! What is free says nothing of that. So those whom it concerns leave their names with the nodes;
//! where it concerns nobody, nothing is written, and nothing looked up.

use super::{
    Timeline,
    amount::Amounts,
    ask::{Ask, ClassId, Start},
    search::Stretch,
};

/// What matters of a job to those beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenant {
    /// Whose it is.
    pub user: u32,
    /// Nobody else's may be beside it.
    pub separate: bool,
    pub share: Option<Share>,
}

/// All jobs of one such share have no more CPUs of a node together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    pub of: usize,
    pub most: u64,
}

/// One is there from when until when, with so many CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Visit {
    tenant: Tenant,
    from: u64,
    until: u64,
    cpus: u64,
}

/// Who is on each node; nodes behind the last that somebody is on have no list.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenants(Vec<Vec<Visit>>);

impl Tenant {
    fn minds(&self, other: &Self) -> bool {
        self.user != other.user && (self.separate || other.separate)
    }

    /// The most CPUs that it may have of a node by itself.
    fn most(&self) -> u64 {
        self.share.map_or(u64::MAX, |share| share.most)
    }
}

impl Tenants {
    fn on(&self, node: usize) -> &[Visit] {
        self.0.get(node).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, node: usize, visit: Visit) {
        if node >= self.0.len() {
            self.0.resize(node + 1, vec![]);
        }
        self.0[node].push(visit);
    }

    fn remove(&mut self, node: usize, visit: &Visit) {
        let at = self.on(node).iter().position(|one| one == visit);
        self.0[node].swap_remove(at.expect("who leaves has come"));
    }

    /// How many CPUs there are for the tenant for all of the time; none where it may not be there.
    fn room(&self, node: usize, tenant: &Tenant, from: u64, until: u64) -> Option<u64> {
        let there = |visit: &&Visit| visit.from < until && visit.until > from;
        let visits = || self.on(node).iter().filter(there);
        if visits().any(|visit| tenant.minds(&visit.tenant)) {
            return None;
        }
        let moments = visits().map(|visit| visit.from.max(from));
        let used = moments.map(|moment| self.used(node, tenant, moment)).max().unwrap_or(0);
        Some(tenant.most().saturating_sub(used))
    }

    /// The CPUs of the tenant's share that are taken at that moment.
    fn used(&self, node: usize, tenant: &Tenant, moment: u64) -> u64 {
        let Some(share) = tenant.share else { return 0 };
        let counts = |visit: &&Visit| {
            let same = visit.tenant.share.is_some_and(|theirs| theirs.of == share.of);
            same && visit.from <= moment && visit.until > moment
        };
        self.on(node).iter().filter(counts).map(|visit| visit.cpus).sum()
    }

    /// Until when the tenant may be there from that moment on, with so many CPUs.
    fn lasts(&self, node: usize, tenant: &Tenant, from: u64, cpus: u64) -> u64 {
        let full = |moment: u64| {
            let met = |visit: &Visit| {
                visit.from <= moment && visit.until > moment && tenant.minds(&visit.tenant)
            };
            let used = self.used(node, tenant, moment);
            self.on(node).iter().any(met) || used.saturating_add(cpus) > tenant.most()
        };
        let moments = self.on(node).iter().map(|visit| visit.from.max(from));
        moments.filter(|moment| full(*moment)).min().unwrap_or(u64::MAX)
    }
}

impl Timeline {
    /// Somebody is on the node from the beginning, and has so many CPUs.
    pub fn settle(&mut self, node: usize, tenant: Tenant, until: u64, cpus: u64) {
        let from = self.now();
        self.tenants.add(node, Visit { tenant, from, until, cpus });
    }

    /// One who is on the node from the beginning goes earlier, or later.
    pub fn shift(&mut self, node: usize, (tenant, cpus): (Tenant, u64), (until, then): (u64, u64)) {
        let from = self.now();
        self.tenants.remove(node, &Visit { tenant, from, until, cpus });
        self.tenants.add(node, Visit { tenant, from, until: then, cpus });
    }

    /// What is free for the class of what is `free` of the node, beside those who are there; none
    /// where it may not be there for all of the stretch.
    pub(super) fn left_to(
        &self,
        ask: &Ask,
        stretch: Stretch,
        node: usize,
        free: u64,
    ) -> Option<u64> {
        let Some(tenant) = &ask.manner.tenant else { return Some(free) };
        let from = self.slots[stretch.from].begin;
        let until = self.slots.get(stretch.to).map_or(u64::MAX, |slot| slot.begin);
        let cpus = self.tenants.room(node, tenant, from, until)?;
        Some(self.with_cpus(free, cpus))
    }

    /// The same of an idle node.
    pub(super) fn left_idle(&self, ask: &Ask, free: u64) -> u64 {
        ask.manner.tenant.map_or(free, |tenant| self.with_cpus(free, tenant.most()))
    }

    /// No more CPUs than so many.
    fn with_cpus(&self, free: u64, cpus: u64) -> u64 {
        let mut most = Amounts::ALL;
        most.0[0] = cpus;
        self.packing.min(free, self.packing.there(most))
    }

    /// Whether others keep the class off the node at that moment.
    #[must_use]
    pub fn keeps_off(&self, class: ClassId, node: usize, at: u64) -> bool {
        let tenant = self.ask(class).manner.tenant;
        tenant.is_some_and(|tenant| {
            self.tenants.room(node, &tenant, at, at.saturating_add(1)).is_none()
        })
    }

    /// Until when those who are on the nodes of a start let it be there.
    pub(super) fn may_stay(&self, class: ClassId, start: &Start) -> u64 {
        let visits = self.visits(class, start, u64::MAX);
        let lasts = |(node, visit): &(usize, Visit)| {
            self.tenants.lasts(*node, &visit.tenant, visit.from, visit.cpus)
        };
        visits.iter().map(lasts).min().unwrap_or(u64::MAX)
    }

    /// Of each node of a start, who comes there.
    fn visits(&self, class: ClassId, start: &Start, until: u64) -> Vec<(usize, Visit)> {
        let Some(tenant) = self.ask(class).manner.tenant else { return vec![] };
        let visit = |(node, tasks): &(usize, u32)| {
            let cpus = self.held(class, *node, *tasks).0[0];
            (*node, Visit { tenant, from: start.at, until, cpus })
        };
        start.nodes.iter().map(visit).collect()
    }

    /// A start is booked until then.
    pub(super) fn enter(&mut self, class: ClassId, start: &Start, until: u64) {
        for (node, visit) in self.visits(class, start, until) {
            self.tenants.add(node, visit);
        }
    }

    /// The same is given back: before [`Timeline::release`], which lets classes look again.
    pub fn leave(&mut self, class: ClassId, start: &Start, until: u64) {
        for (node, visit) in self.visits(class, start, until) {
            self.tenants.remove(node, &visit);
        }
    }
}
