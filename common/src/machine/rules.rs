//! Which limits of associations and QOS hold for a job.
//!
//! The QOS of the partition comes first, then the job's, or the other way round where the job's has
//! `OverPartQOS`: what one limits, nothing that comes later limits, and no association (Slurm's
//! resource_limits guide). An association's limits of all together hold at each level of the tree;
//! its limits of one job or of one user are the nearest that are set, upwards.
//!
//! Asked where a job enters, by the scheduler before it looks for nodes and once it has found some,
//! and where a start is decided.

use std::sync::Arc;

use super::{
    State, Wants,
    bounds::Bound,
    tallies::{Tables, Tallies, Whose, number},
};
use crate::{
    account::{Accounts, Association, Limits, Most, Qos, Tres, TresLimits},
    config::{Config, Enforce},
    job::{Job, JobSpec, Place, Reason},
    time::TimeLimit,
};

/// What `AccountingStorageEnforce` lets hold, and what is counted.
#[derive(Clone, Debug)]
pub struct Rules {
    accounts: Option<Arc<Accounts>>,
    config: Arc<Config>,
    tallies: Tallies,
}

/// Where a job stands in the table.
struct Standing<'a> {
    /// The one that goes before the other first, by its place.
    qos: Vec<(u32, &'a Qos)>,
    association: Option<(usize, &'a Association)>,
}

/// One of a job's QOS, and those that go before it.
struct Layer<'a> {
    at: u32,
    qos: &'a Qos,
    before: &'a [(u32, &'a Qos)],
}

impl Layer<'_> {
    /// Its limit, where none before has set one.
    fn own(&self, limit: impl Fn(&Qos) -> Option<u32>) -> Option<u32> {
        let unset = self.before.iter().all(|(_, before)| limit(before).is_none());
        limit(self.qos).filter(|_| unset)
    }

    /// Holds an amount against its limits, but for those that one before has set.
    fn hold(
        &self,
        bound: Bound,
        limits: impl Fn(&Qos) -> &TresLimits,
        amount: impl Fn(&Tres) -> u64,
    ) -> Result<(), Reason> {
        let set = |tres: &Tres| sets(self.before, &limits, tres);
        bound.hold(limits(self.qos), set, amount)
    }

    /// Whether a job takes as much as it has to at least, once it is known what it takes.
    fn hold_least(&self, wants: &Wants<'_>) -> Result<(), Reason> {
        let least = |qos: &Qos, tres: &Tres| qos.min_tres_per_job.0.get(tres).copied();
        let unset = |tres: &Tres| self.before.iter().all(|(_, qos)| least(qos, tres).is_none());
        let mut rows = self.qos.min_tres_per_job.0.iter().filter(|_| !wants.places.is_empty());
        let too_little =
            |(tres, least): &(&Tres, &u64)| unset(tres) && wants.amount(tres) < **least;
        let lacks = rows.find(too_little);
        lacks.map_or(Ok(()), |(tres, _)| Err(Bound::QosMin.reason(tres)))
    }
}

/// Whether one of them limits that.
fn sets(all: &[(u32, &Qos)], limits: impl Fn(&Qos) -> &TresLimits, tres: &Tres) -> bool {
    all.iter().any(|(_, qos)| limits(qos).0.contains_key(tres))
}

impl<'a> Standing<'a> {
    fn layers(&self) -> impl Iterator<Item = Layer<'_>> {
        let layer = |(rank, (at, qos)): (usize, &(u32, &'a Qos))| Layer {
            at: *at,
            qos,
            before: &self.qos[..rank],
        };
        self.qos.iter().enumerate().map(layer)
    }

    /// The limit of the first QOS that sets one.
    fn of_qos(&self, limit: impl Fn(&Qos) -> Option<u32>) -> Option<u32> {
        self.qos.iter().find_map(|(_, qos)| limit(qos))
    }

    /// Whether a QOS limits that, so that no association does.
    fn masks(&self, limits: impl Fn(&Qos) -> &TresLimits, tres: &Tres) -> bool {
        sets(&self.qos, limits, tres)
    }
}

fn within(count: u32, most: Option<u32>, reason: Reason) -> Result<(), Reason> {
    if most.is_some_and(|most| count > most) { Err(reason) } else { Ok(()) }
}

fn is_longer(limit: TimeLimit, most: Option<u32>) -> bool {
    most.is_some_and(|most| limit > TimeLimit::Minutes(most))
}

impl Rules {
    /// The rules that hold in this state; none where nothing is enforced.
    #[must_use]
    pub fn of(state: &State) -> Option<Self> {
        let config = state.config.as_ref().filter(|config| config.enforce.associations)?;
        let (accounts, tallies) = (state.accounts.clone(), state.tallies.clone());
        Some(Self { accounts, config: Arc::clone(config), tallies })
    }

    fn enforce(&self) -> Enforce {
        self.config.enforce
    }

    /// Counts a job as running that is to start.
    pub fn start(&mut self, job: &Job, places: &[Place]) {
        if let Some(tables) = Tables::of(self.accounts.as_deref(), Some(&self.config)) {
            self.tallies.start(tables, job, places);
        }
    }

    /// Where a job of that spec stands.
    ///
    /// # Errors
    /// `InvalidAccount` and `InvalidQOS`, where it has no association, or a QOS that is not for it,
    /// or the partition one that is not there.
    fn standing(&self, spec: &JobSpec, partition: &str) -> Result<Standing<'_>, Reason> {
        let accounts = self.accounts.as_deref().ok_or(Reason::InvalidAccount)?;
        let account = spec.account.as_deref().ok_or(Reason::InvalidAccount)?;
        let association = accounts
            .association(&spec.user_name, account, partition)
            .ok_or(Reason::InvalidAccount)?;
        let tables = Tables { accounts, config: Some(&self.config) };
        let own = spec.qos.as_deref().and_then(|name| accounts.qos(name));
        let of_partition = tables.qos_of(partition);
        let no_such = self.enforce().limits && matches!(of_partition, Some(None));
        let not_for_it = |qos: &(usize, &Qos)| !accounts.allows_qos(association.0, &qos.1.name);
        if no_such || self.enforce().qos && own.as_ref().is_none_or(not_for_it) {
            return Err(Reason::InvalidQos);
        }
        let over = own.is_some_and(|(_, own)| own.over_partition);
        let mut qos: Vec<_> = of_partition.flatten().into_iter().chain(own).collect();
        qos.dedup_by_key(|(at, _)| *at);
        if over {
            qos.reverse();
        }
        let qos = qos.into_iter().map(|(at, qos)| (number(at), qos)).collect();
        Ok(Standing { qos, association: Some(association) })
    }

    fn running(&self, whose: Whose) -> u32 {
        self.tallies.get(whose).map_or(0, |tally| tally.running)
    }

    fn submitted(&self, whose: Whose) -> u32 {
        self.tallies.get(whose).map_or(0, |tally| tally.submitted)
    }

    fn upwards(&self, standing: &Standing<'_>) -> impl Iterator<Item = (usize, &Association)> {
        let accounts = self.accounts.as_deref();
        let own = standing.association.map(|(at, _)| at);
        accounts.zip(own).into_iter().flat_map(|(accounts, own)| accounts.upwards(own))
    }

    /// The nearest limit that is set, upwards.
    fn nearest<T>(
        &self,
        standing: &Standing<'_>,
        limit: impl Fn(&Limits, &Most) -> Option<T>,
    ) -> Option<T> {
        self.upwards(standing).find_map(|(_, one)| limit(&one.limits, &one.most))
    }

    /// The same of amounts: of each resource, the nearest.
    fn nearest_tres(
        &self,
        standing: &Standing<'_>,
        limits: impl Fn(&Limits) -> &TresLimits,
    ) -> TresLimits {
        let mut all = TresLimits::default();
        for (tres, most) in
            self.upwards(standing).flat_map(|(_, one)| limits(&one.limits).0.clone())
        {
            all.0.entry(tres).or_insert(most);
        }
        all
    }

    /// Whether a job that counts for so many may enter.
    ///
    /// # Errors
    /// The limit that it would exceed, or `InvalidAccount`, or `InvalidQOS`.
    pub fn may_enter(
        &self,
        spec: &JobSpec,
        partition: &str,
        count: u32,
        limit: Option<TimeLimit>,
        wants: &Wants<'_>,
    ) -> Result<(), Reason> {
        let standing = self.standing(spec, partition)?;
        if !self.enforce().limits {
            return Ok(());
        }
        self.may_be_submitted(spec, &standing, count)?;
        let of_qos = standing.of_qos(|qos| qos.limits.max_wall);
        let deny = standing.qos.iter().any(|(_, qos)| qos.deny_on_limit);
        if let Some(limit) = limit {
            if deny && is_longer(limit, of_qos) {
                return Err(Reason::QosMaxWallDurationPerJobLimit);
            }
            let most = self.nearest(&standing, |limits, _| limits.max_wall);
            if of_qos.is_none() && is_longer(limit, most) {
                return Err(Reason::AssocMaxWallDurationPerJobLimit);
            }
        }
        if !deny {
            return Ok(());
        }
        self.hold_one(&standing, wants)?;
        let amount = |tres: &Tres| wants.amount(tres);
        for layer in standing.layers() {
            layer.hold(Bound::QosGrp, |qos| &qos.limits.grp_tres, amount)?;
            layer.hold(Bound::QosPerUser, |qos| &qos.per_user.tres, amount)?;
            layer.hold(Bound::PerAccount, |qos| &qos.per_account.tres, amount)?;
        }
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.grp_tres, tres);
        let mut all = self.upwards(&standing);
        all.try_for_each(|(_, one)| Bound::AssocGrp.hold(&one.limits.grp_tres, masked, amount))
    }

    fn may_be_submitted(
        &self,
        spec: &JobSpec,
        standing: &Standing<'_>,
        count: u32,
    ) -> Result<(), Reason> {
        let with = |whose| self.submitted(whose).saturating_add(count);
        for layer in standing.layers() {
            let grp = layer.own(|qos| qos.limits.grp_submit_jobs);
            within(with(Whose::Qos(layer.at)), grp, Reason::QosGrpSubmitJobsLimit)?;
            if let Some(account) = self.account(spec) {
                let whose = Whose::QosAccount(layer.at, account);
                let most = layer.own(|qos| qos.per_account.submit_jobs);
                within(with(whose), most, Reason::MaxSubmitJobsPerAccount)?;
            }
            let most = layer.own(|qos| qos.per_user.submit_jobs);
            let whose = Whose::QosUser(layer.at, spec.user);
            within(with(whose), most, Reason::QosMaxSubmitJobPerUserLimit)?;
        }
        let grp = standing.of_qos(|qos| qos.limits.grp_submit_jobs);
        let one = standing.of_qos(|qos| qos.per_user.submit_jobs.or(qos.per_account.submit_jobs));
        for (at, Association { limits, .. }) in self.upwards(standing) {
            let most = limits.grp_submit_jobs.filter(|_| grp.is_none());
            let whose = Whose::Association(number(at));
            within(with(whose), most, Reason::AssocGrpSubmitJobsLimit)?;
        }
        let most = self.nearest(standing, |_, most| most.submit_jobs).filter(|_| one.is_none());
        let own = standing.association.map_or(0, |(at, _)| with(Whose::Association(number(at))));
        within(own, most, Reason::AssocMaxSubmitJobLimit)
    }

    fn account(&self, spec: &JobSpec) -> Option<u32> {
        let accounts = self.accounts.as_deref()?;
        accounts.account(spec.account.as_deref()?).map(number)
    }

    /// The longest that a job may run which does not say.
    #[must_use]
    pub fn max_wall(&self, spec: &JobSpec, partition: &str) -> Option<TimeLimit> {
        let standing = self.standing(spec, partition).ok().filter(|_| self.enforce().limits)?;
        let of_qos = standing.of_qos(|qos| qos.limits.max_wall);
        let most = of_qos.or_else(|| self.nearest(&standing, |limits, _| limits.max_wall));
        most.map(TimeLimit::Minutes)
    }

    /// Whether a job may start, whatever nodes there are: by how many run, and by its time limit.
    ///
    /// # Errors
    /// What it waits for.
    pub fn may_start(&self, job: &Job) -> Result<(), Reason> {
        let standing = self.standing(&job.spec, job.partition.as_str())?;
        if !self.enforce().limits {
            return Ok(());
        }
        let with = |whose| self.running(whose).saturating_add(1);
        for layer in standing.layers() {
            let grp = layer.own(|qos| qos.limits.grp_jobs);
            within(with(Whose::Qos(layer.at)), grp, Reason::QosGrpJobsLimit)?;
            if let Some(account) = self.account(&job.spec) {
                let whose = Whose::QosAccount(layer.at, account);
                within(
                    with(whose),
                    layer.own(|qos| qos.per_account.jobs),
                    Reason::MaxJobsPerAccount,
                )?;
            }
            let whose = Whose::QosUser(layer.at, job.spec.user);
            within(
                with(whose),
                layer.own(|qos| qos.per_user.jobs),
                Reason::QosMaxJobsPerUserLimit,
            )?;
            if is_longer(job.time_limit, layer.own(|qos| qos.limits.max_wall)) {
                return Err(Reason::QosMaxWallDurationPerJobLimit);
            }
        }
        let grp = standing.of_qos(|qos| qos.limits.grp_jobs);
        let one = standing.of_qos(|qos| qos.per_user.jobs.or(qos.per_account.jobs));
        let wall = standing.of_qos(|qos| qos.limits.max_wall);
        for (level, (at, Association { limits, .. })) in self.upwards(&standing).enumerate() {
            let most = limits.grp_jobs.filter(|_| grp.is_none());
            let count = with(Whose::Association(number(at)));
            within(count, most, Reason::AssocGrpJobsLimit)?;
            if level > 0 {
                continue;
            }
            let most = self.nearest(&standing, |_, most| most.jobs).filter(|_| one.is_none());
            within(count, most, Reason::AssocMaxJobsLimit)?;
            let most = self.nearest(&standing, |limits, _| limits.max_wall);
            if wall.is_none() && is_longer(job.time_limit, most) {
                return Err(Reason::AssocMaxWallDurationPerJobLimit);
            }
        }
        Ok(())
    }

    /// Whether a job may have so much.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub fn may_have(&self, job: &Job, wants: &Wants<'_>) -> Result<(), Reason> {
        let standing = self.standing(&job.spec, job.partition.as_str())?;
        if !self.enforce().limits {
            return Ok(());
        }
        let beside = |whose| {
            let tally = self.tallies.get(whose);
            move |tres: &Tres| wants.beside(tally, tres)
        };
        for layer in standing.layers() {
            let of_all = beside(Whose::Qos(layer.at));
            layer.hold(Bound::QosGrp, |qos| &qos.limits.grp_tres, of_all)?;
            let of_user = beside(Whose::QosUser(layer.at, job.spec.user));
            layer.hold(Bound::QosPerUser, |qos| &qos.per_user.tres, of_user)?;
            if let Some(account) = self.account(&job.spec) {
                let of_account = beside(Whose::QosAccount(layer.at, account));
                layer.hold(Bound::PerAccount, |qos| &qos.per_account.tres, of_account)?;
            }
            layer.hold_least(wants)?;
        }
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.grp_tres, tres);
        for (at, Association { limits, .. }) in self.upwards(&standing) {
            let of_all = beside(Whose::Association(number(at)));
            Bound::AssocGrp.hold(&limits.grp_tres, masked, of_all)?;
        }
        self.hold_one(&standing, wants)
    }

    /// The limits of one job by itself.
    fn hold_one(&self, standing: &Standing<'_>, wants: &Wants<'_>) -> Result<(), Reason> {
        let on_node = |tres: &Tres| {
            let held = |place: &Place| match tres {
                Tres::Cpu => u64::from(place.held.cpus),
                Tres::Mem => place.held.memory_mib,
                Tres::Node | Tres::Gres(_) => 0,
            };
            wants.places.iter().map(held).max().unwrap_or(0)
        };
        let of_job = |tres: &Tres| wants.amount(tres);
        for layer in standing.layers() {
            layer.hold(Bound::QosPerJob, |qos| &qos.limits.max_tres_per_job, of_job)?;
            layer.hold(Bound::QosPerNode, |qos| &qos.limits.max_tres_per_node, on_node)?;
        }
        let own = self.nearest_tres(standing, |limits| &limits.max_tres_per_job);
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.max_tres_per_job, tres);
        Bound::AssocPerJob.hold(&own, masked, of_job)?;
        let own = self.nearest_tres(standing, |limits| &limits.max_tres_per_node);
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.max_tres_per_node, tres);
        Bound::AssocPerNode.hold(&own, masked, on_node)
    }
}
