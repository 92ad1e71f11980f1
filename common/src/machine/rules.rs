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
    bounds::{Bound, Exceeded, Limit, What, few_enough, short_enough},
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
    /// Its own and its partition's, each with its place in the table: first the one that goes
    /// before the other.
    qos: Vec<(u32, &'a Qos)>,
    association: usize,
}

/// For whom a job counts under a QOS.
struct Standings {
    qos: Whose,
    user: Whose,
    account: Option<Whose>,
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

    fn hold_wall(&self, limit: TimeLimit) -> Result<(), Exceeded> {
        let most = self.own(|qos| qos.limits.max_wall);
        short_enough(Whose::Qos(self.at), limit, most, Reason::QosMaxWallDurationPerJobLimit)
    }

    /// Holds an amount against its limits, but for those that one before has set.
    fn hold(
        &self,
        (bound, whose): (Bound, Whose),
        limits: impl Fn(&Qos) -> &TresLimits,
        amount: impl Fn(&Tres) -> u64,
    ) -> Result<(), Exceeded> {
        let set = |tres: &Tres| sets(self.before, &limits, tres);
        bound.hold(whose, limits(self.qos), set, amount)
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

    /// Its own association.
    fn own(&self) -> Whose {
        Whose::Association(number(self.association))
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
        Ok(Standing { qos, association: association.0 })
    }

    fn running(&self, whose: Whose) -> u32 {
        self.tallies.get(whose).map_or(0, |tally| tally.running)
    }

    fn submitted(&self, whose: Whose) -> u32 {
        self.tallies.get(whose).map_or(0, |tally| tally.submitted)
    }

    fn upwards(&self, standing: &Standing<'_>) -> impl Iterator<Item = (usize, &Association)> {
        let accounts = self.accounts.as_deref();
        accounts.into_iter().flat_map(|accounts| accounts.upwards(standing.association))
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

    /// Whether a job that counts for so many may enter. One that is in counts for none.
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
        if count > 0 {
            self.may_be_submitted(spec, &standing, count)?;
        }
        let deny = standing.qos.iter().any(|(_, qos)| qos.deny_on_limit);
        if let Some(limit) = limit {
            for layer in standing.layers().filter(|_| deny) {
                layer.hold_wall(limit)?;
            }
            self.hold_wall(&standing, limit)?;
        }
        if !deny {
            return Ok(());
        }
        self.hold_one(&standing, wants)?;
        let amount = |tres: &Tres| wants.amount(tres);
        for layer in standing.layers() {
            let Standings { qos, user, account } = self.counted(&layer, spec);
            layer.hold((Bound::QosGrp, qos), |qos| &qos.limits.grp_tres, amount)?;
            layer.hold((Bound::QosPerUser, user), |qos| &qos.per_user.tres, amount)?;
            if let Some(account) = account {
                layer.hold((Bound::PerAccount, account), |qos| &qos.per_account.tres, amount)?;
            }
        }
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.grp_tres, tres);
        for (at, one) in self.upwards(&standing) {
            let whose = Whose::Association(number(at));
            Bound::AssocGrp.hold(whose, &one.limits.grp_tres, masked, amount)?;
        }
        Ok(())
    }

    fn may_be_submitted(
        &self,
        spec: &JobSpec,
        standing: &Standing<'_>,
        count: u32,
    ) -> Result<(), Exceeded> {
        let with = |whose| self.submitted(whose).saturating_add(count);
        let hold = |whose, name, most, reason| few_enough((whose, name), with(whose), most, reason);
        for layer in standing.layers() {
            let Standings { qos, user, account } = self.counted(&layer, spec);
            let most = layer.own(|qos| qos.limits.grp_submit_jobs);
            hold(qos, "GrpSubmitJobs", most, Reason::QosGrpSubmitJobsLimit)?;
            if let Some(account) = account {
                let most = layer.own(|qos| qos.per_account.submit_jobs);
                let name = "MaxSubmitJobsPerAccount";
                hold(account, name, most, Reason::MaxSubmitJobsPerAccount)?;
            }
            let most = layer.own(|qos| qos.per_user.submit_jobs);
            hold(user, "MaxSubmitJobsPerUser", most, Reason::QosMaxSubmitJobPerUserLimit)?;
        }
        let grp = standing.of_qos(|qos| qos.limits.grp_submit_jobs);
        let one = standing.of_qos(|qos| qos.per_user.submit_jobs.or(qos.per_account.submit_jobs));
        for (at, Association { limits, .. }) in self.upwards(standing) {
            let most = limits.grp_submit_jobs.filter(|_| grp.is_none());
            let whose = Whose::Association(number(at));
            hold(whose, "GrpSubmitJobs", most, Reason::AssocGrpSubmitJobsLimit)?;
        }
        let most = self.nearest(standing, |_, most| most.submit_jobs).filter(|_| one.is_none());
        hold(standing.own(), "MaxSubmitJobs", most, Reason::AssocMaxSubmitJobLimit)
    }

    /// For whom a job counts under one of its QOS.
    fn counted(&self, layer: &Layer<'_>, spec: &JobSpec) -> Standings {
        Standings {
            qos: Whose::Qos(layer.at),
            user: Whose::QosUser(layer.at, spec.user),
            account: self.account(spec).map(|account| Whose::QosAccount(layer.at, account)),
        }
    }

    /// The longest that its association lets a job run, where no QOS says it.
    fn hold_wall(&self, standing: &Standing<'_>, limit: TimeLimit) -> Result<(), Exceeded> {
        let by_qos = standing.of_qos(|qos| qos.limits.max_wall).is_some();
        let most = self.nearest(standing, |limits, _| limits.max_wall).filter(|_| !by_qos);
        short_enough(standing.own(), limit, most, Reason::AssocMaxWallDurationPerJobLimit)
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
        Ok(self.starts(job)?)
    }

    /// Whether a job may have so much.
    ///
    /// # Errors
    /// The limit that it would exceed.
    pub fn may_have(&self, job: &Job, wants: &Wants<'_>) -> Result<(), Reason> {
        Ok(self.has(job, wants)?)
    }

    /// For people: which limit keeps a job from having so much, whose it is, and by how much.
    #[must_use]
    pub fn exceeded(&self, job: &Job, wants: &Wants<'_>) -> Option<String> {
        let exceeded = self.starts(job).and_then(|()| self.has(job, wants)).err()?;
        exceeded.limit.map(|limit| self.told(&limit))
    }

    /// `GrpTRES=cpu=4 of account physics, and with this job there would be 6`
    fn told(&self, limit: &Limit) -> String {
        let Limit { whose, name, what, most, would_be } = limit;
        let whose = self.accounts.as_deref().map(|accounts| whose.told(accounts));
        let of = format!("of {}", whose.unwrap_or_default());
        let minutes = |minutes: u64| {
            u32::try_from(minutes).map_or(TimeLimit::Unlimited, TimeLimit::Minutes).padded()
        };
        match what {
            What::Jobs => {
                format!("{name}={most} {of}, and with this job there would be {would_be}")
            }
            What::Shared(tres) => {
                format!("{name}={tres}={most} {of}, and with this job there would be {would_be}")
            }
            What::Own(tres) => format!("{name}={tres}={most} {of}, and it would have {would_be}"),
            What::Wall => {
                format!("{name}={} {of}, and it asks for {}", minutes(*most), minutes(*would_be))
            }
        }
    }

    fn starts(&self, job: &Job) -> Result<(), Exceeded> {
        let standing = self.standing(&job.spec, job.partition.as_str())?;
        if !self.enforce().limits {
            return Ok(());
        }
        let with = |whose| self.running(whose).saturating_add(1);
        let hold = |whose, name, most, reason| few_enough((whose, name), with(whose), most, reason);
        for layer in standing.layers() {
            let Standings { qos, user, account } = self.counted(&layer, &job.spec);
            let most = layer.own(|qos| qos.limits.grp_jobs);
            hold(qos, "GrpJobs", most, Reason::QosGrpJobsLimit)?;
            if let Some(account) = account {
                let most = layer.own(|qos| qos.per_account.jobs);
                hold(account, "MaxJobsPerAccount", most, Reason::MaxJobsPerAccount)?;
            }
            let most = layer.own(|qos| qos.per_user.jobs);
            hold(user, "MaxJobsPerUser", most, Reason::QosMaxJobsPerUserLimit)?;
            layer.hold_wall(job.time_limit)?;
        }
        let grp = standing.of_qos(|qos| qos.limits.grp_jobs);
        let one = standing.of_qos(|qos| qos.per_user.jobs.or(qos.per_account.jobs));
        for (level, (at, Association { limits, .. })) in self.upwards(&standing).enumerate() {
            let most = limits.grp_jobs.filter(|_| grp.is_none());
            let whose = Whose::Association(number(at));
            hold(whose, "GrpJobs", most, Reason::AssocGrpJobsLimit)?;
            if level > 0 {
                continue;
            }
            let most = self.nearest(&standing, |_, most| most.jobs).filter(|_| one.is_none());
            hold(whose, "MaxJobs", most, Reason::AssocMaxJobsLimit)?;
            self.hold_wall(&standing, job.time_limit)?;
        }
        Ok(())
    }

    fn has(&self, job: &Job, wants: &Wants<'_>) -> Result<(), Exceeded> {
        let standing = self.standing(&job.spec, job.partition.as_str())?;
        if !self.enforce().limits {
            return Ok(());
        }
        let beside = |whose| {
            let tally = self.tallies.get(whose);
            move |tres: &Tres| wants.beside(tally, tres)
        };
        for layer in standing.layers() {
            let Standings { qos, user, account } = self.counted(&layer, &job.spec);
            layer.hold((Bound::QosGrp, qos), |qos| &qos.limits.grp_tres, beside(qos))?;
            layer.hold((Bound::QosPerUser, user), |qos| &qos.per_user.tres, beside(user))?;
            if let Some(account) = account {
                let of_account = beside(account);
                layer.hold(
                    (Bound::PerAccount, account),
                    |qos| &qos.per_account.tres,
                    of_account,
                )?;
            }
            // What it takes is known only once there are nodes.
            if !wants.places.is_empty() {
                let amount = |tres: &Tres| wants.amount(tres);
                layer.hold((Bound::QosMin, qos), |qos| &qos.min_tres_per_job, amount)?;
            }
        }
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.grp_tres, tres);
        for (at, Association { limits, .. }) in self.upwards(&standing) {
            let whose = Whose::Association(number(at));
            Bound::AssocGrp.hold(whose, &limits.grp_tres, masked, beside(whose))?;
        }
        self.hold_one(&standing, wants)
    }

    /// The limits of one job by itself.
    fn hold_one(&self, standing: &Standing<'_>, wants: &Wants<'_>) -> Result<(), Exceeded> {
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
            let whose = Whose::Qos(layer.at);
            layer.hold((Bound::QosPerJob, whose), |qos| &qos.limits.max_tres_per_job, of_job)?;
            layer.hold((Bound::QosPerNode, whose), |qos| &qos.limits.max_tres_per_node, on_node)?;
        }
        let own = self.nearest_tres(standing, |limits| &limits.max_tres_per_job);
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.max_tres_per_job, tres);
        Bound::AssocPerJob.hold(standing.own(), &own, masked, of_job)?;
        let own = self.nearest_tres(standing, |limits| &limits.max_tres_per_node);
        let masked = |tres: &Tres| standing.masks(|qos| &qos.limits.max_tres_per_node, tres);
        Bound::AssocPerNode.hold(standing.own(), &own, masked, on_node)
    }
}
