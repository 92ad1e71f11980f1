//! Which limits of associations and QOS hold for a job.
//!
//! The QOS comes first: what it limits, no association limits (Slurm's resource_limits guide). An
//! association's limits of all together hold at each level of the tree; its limits of one job or
//! of one user are the nearest that are set, upwards.
//!
//! Asked where a job enters, by the scheduler before it looks for nodes and once it has found some,
//! and where a start is decided.

use std::sync::Arc;

use super::{
    State,
    tallies::{Tallies, Tally, Whose, labelled, number},
};
use crate::{
    account::{Accounts, Association, Limits, Most, Qos, Tres, TresLimits},
    config::Enforce,
    gres::{Gres, Wanted},
    job::{Job, JobSpec, Place, Reason},
    time::TimeLimit,
};

/// What `AccountingStorageEnforce` lets hold, and what is counted.
#[derive(Clone, Debug)]
pub struct Rules {
    accounts: Option<Arc<Accounts>>,
    enforce: Enforce,
    tallies: Tallies,
}

/// What a job would take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants<'a> {
    pub cpus: u64,
    pub memory_mib: u64,
    pub nodes: u64,
    /// Where; empty where that is not known, and the amounts are the least that it may be.
    pub places: &'a [Place],
    /// Whose generic resources are asked for, where there are no places yet.
    pub spec: Option<&'a JobSpec>,
}

impl<'a> Wants<'a> {
    /// What the places come to.
    #[must_use]
    pub fn of(places: &'a [Place]) -> Self {
        Self {
            cpus: places.iter().map(|place| u64::from(place.held.cpus)).sum(),
            memory_mib: places.iter().map(|place| place.held.memory_mib).sum(),
            nodes: places.len() as u64,
            places,
            spec: None,
        }
    }

    /// How much of a resource that is.
    #[must_use]
    pub fn amount(&self, tres: &Tres) -> u64 {
        match tres {
            Tres::Cpu => self.cpus,
            Tres::Mem => self.memory_mib,
            Tres::Node => self.nodes,
            Tres::Gres(name) => self.gres(name),
        }
    }

    /// How much of a generic resource, by its name or by its name and type.
    fn gres(&self, name: &str) -> u64 {
        let nodes = u32::try_from(self.nodes).unwrap_or(u32::MAX);
        let asked = self.spec.map(|spec| spec.gres_in_all(nodes)).unwrap_or_default();
        let asked = asked.into_iter().map(|wanted| {
            let Wanted { name, kind, count } = wanted;
            Gres { name, kind, count, ids: vec![] }
        });
        let asked: Vec<Gres> = asked.collect();
        let given = self.places.iter().flat_map(|place| &place.gres);
        let labels = given.chain(&asked).flat_map(labelled);
        labels
            .filter(|(label, _)| label == name)
            .fold(0, |sum, (_, count)| u64::saturating_add(sum, count))
    }

    /// What those would have together, were it one of them. Of nodes, those count that they do
    /// not hold yet.
    fn beside(&self, tally: Option<&Tally>, tres: &Tres) -> u64 {
        let has = tally.map_or(0, |tally| tally.amount(tres));
        let more = match tres {
            Tres::Node => {
                let known = |place: &&Place| {
                    tally.is_some_and(|tally| tally.nodes.contains_key(&place.node))
                };
                self.places.iter().filter(|place| !known(place)).count() as u64
            }
            Tres::Cpu | Tres::Mem | Tres::Gres(_) => self.amount(tres),
        };
        has + more
    }
}

/// Where a job stands in the table.
struct Standing<'a> {
    qos: Option<(usize, &'a Qos)>,
    association: Option<(usize, &'a Association)>,
}

/// Whose limit of an amount it is, and of what.
#[derive(Clone, Copy)]
enum Bound {
    AssocGrp,
    AssocPerJob,
    AssocPerNode,
    QosGrp,
    QosPerJob,
    QosPerNode,
    QosPerUser,
    PerAccount,
    QosMin,
}

impl Bound {
    /// Slurm's word; its spelling follows no rule.
    fn reason(self, tres: &Tres) -> Reason {
        use Reason as R;
        let [cpu, mem, node, gres] = match self {
            Self::AssocGrp => {
                [R::AssocGrpCpuLimit, R::AssocGrpMemLimit, R::AssocGrpNodeLimit, R::AssocGrpGres]
            }
            Self::AssocPerJob => [
                R::AssocMaxCpuPerJobLimit,
                R::AssocMaxMemPerJob,
                R::AssocMaxNodePerJobLimit,
                R::AssocMaxGresPerJob,
            ],
            Self::AssocPerNode => [
                R::AssocMaxCpuPerNode,
                R::AssocMaxMemPerNode,
                R::AssocMaxUnknownPerNode,
                R::AssocMaxGresPerNode,
            ],
            Self::QosGrp => {
                [R::QosGrpCpuLimit, R::QosGrpMemLimit, R::QosGrpNodeLimit, R::QosGrpGres]
            }
            Self::QosPerJob => [
                R::QosMaxCpuPerJobLimit,
                R::QosMaxMemoryPerJob,
                R::QosMaxNodePerJobLimit,
                R::QosMaxGresPerJob,
            ],
            Self::QosPerNode => [
                R::QosMaxCpuPerNode,
                R::QosMaxMemoryPerNode,
                R::QosMaxUnknownPerNode,
                R::QosMaxGresPerNode,
            ],
            Self::QosPerUser => [
                R::QosMaxCpuPerUserLimit,
                R::QosMaxMemoryPerUser,
                R::QosMaxNodePerUserLimit,
                R::QosMaxGresPerUser,
            ],
            Self::PerAccount => [
                R::MaxCpuPerAccount,
                R::MaxMemoryPerAccount,
                R::MaxNodePerAccount,
                R::MaxGresPerAccount,
            ],
            Self::QosMin => {
                [R::QosMinCpuNotSatisfied, R::QosMinMemory, R::QosMinNode, R::QosMinGres]
            }
        };
        match tres {
            Tres::Cpu => cpu,
            Tres::Mem => mem,
            Tres::Node => node,
            Tres::Gres(_) => gres,
        }
    }

    /// An error where an amount is above its limit.
    fn hold(
        self,
        limits: &TresLimits,
        masked: &TresLimits,
        amount: impl Fn(&Tres) -> u64,
    ) -> Result<(), Reason> {
        let own = limits.0.iter().filter(|(tres, _)| !masked.0.contains_key(tres));
        let mut above = own.filter(|(tres, most)| amount(tres) > **most);
        above.next().map_or(Ok(()), |(tres, _)| Err(self.reason(tres)))
    }
}

/// No limits.
static NONE: TresLimits = TresLimits(std::collections::BTreeMap::new());

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
        let enforce = state.config.as_ref()?.enforce;
        let rules =
            || Self { accounts: state.accounts.clone(), enforce, tallies: state.tallies.clone() };
        enforce.associations.then(rules)
    }

    /// Counts a job as running that is to start.
    pub fn start(&mut self, job: &Job, places: &[Place]) {
        if let Some(accounts) = &self.accounts {
            self.tallies.start(accounts, job, places);
        }
    }

    /// Where a job of that spec stands.
    ///
    /// # Errors
    /// `InvalidAccount` and `InvalidQOS`, where it has no association, or a QOS that is not for it.
    fn standing(&self, spec: &JobSpec, partition: &str) -> Result<Standing<'_>, Reason> {
        let accounts = self.accounts.as_deref().ok_or(Reason::InvalidAccount)?;
        let account = spec.account.as_deref().ok_or(Reason::InvalidAccount)?;
        let association = accounts
            .association(&spec.user_name, account, partition)
            .ok_or(Reason::InvalidAccount)?;
        let qos = spec.qos.as_deref().and_then(|name| accounts.qos(name));
        if self.enforce.qos
            && qos.is_none_or(|(_, qos)| !accounts.allows_qos(association.0, &qos.name))
        {
            return Err(Reason::InvalidQos);
        }
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
        if !self.enforce.limits {
            return Ok(());
        }
        self.may_be_submitted(spec, &standing, count)?;
        let qos = standing.qos.map(|(_, qos)| qos);
        let of_qos = qos.and_then(|qos| qos.limits.max_wall);
        let deny = qos.filter(|qos| qos.deny_on_limit);
        if let Some(limit) = limit {
            if deny.is_some() && is_longer(limit, of_qos) {
                return Err(Reason::QosMaxWallDurationPerJobLimit);
            }
            let most = self.nearest(&standing, |limits, _| limits.max_wall);
            if of_qos.is_none() && is_longer(limit, most) {
                return Err(Reason::AssocMaxWallDurationPerJobLimit);
            }
        }
        if let Some(qos) = deny {
            self.hold_one(&standing, wants)?;
            Bound::QosGrp.hold(&qos.limits.grp_tres, &NONE, |tres| wants.amount(tres))?;
            Bound::QosPerUser.hold(&qos.per_user.tres, &NONE, |tres| wants.amount(tres))?;
            Bound::PerAccount.hold(&qos.per_account.tres, &NONE, |tres| wants.amount(tres))?;
            for (_, one) in self.upwards(&standing) {
                let (own, masked) = (&one.limits.grp_tres, &qos.limits.grp_tres);
                Bound::AssocGrp.hold(own, masked, |tres| wants.amount(tres))?;
            }
        }
        Ok(())
    }

    fn may_be_submitted(
        &self,
        spec: &JobSpec,
        standing: &Standing<'_>,
        count: u32,
    ) -> Result<(), Reason> {
        let with = |whose| self.submitted(whose).saturating_add(count);
        let (mut grp, mut one) = (None, None);
        if let Some((at, Qos { limits, per_user, per_account, .. })) = standing.qos {
            let at = number(at);
            (grp, one) = (limits.grp_submit_jobs, per_user.submit_jobs.or(per_account.submit_jobs));
            within(with(Whose::Qos(at)), grp, Reason::QosGrpSubmitJobsLimit)?;
            if let Some(account) = self.account(spec) {
                let whose = Whose::QosAccount(at, account);
                within(with(whose), per_account.submit_jobs, Reason::MaxSubmitJobsPerAccount)?;
            }
            let most = per_user.submit_jobs;
            let whose = Whose::QosUser(at, spec.user);
            within(with(whose), most, Reason::QosMaxSubmitJobPerUserLimit)?;
        }
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
        let standing = self.standing(spec, partition).ok().filter(|_| self.enforce.limits)?;
        let of_qos = standing.qos.and_then(|(_, qos)| qos.limits.max_wall);
        let most = of_qos.or_else(|| self.nearest(&standing, |limits, _| limits.max_wall));
        most.map(TimeLimit::Minutes)
    }

    /// Whether a job may start, whatever nodes there are: by how many run, and by its time limit.
    ///
    /// # Errors
    /// What it waits for.
    pub fn may_start(&self, job: &Job) -> Result<(), Reason> {
        let standing = self.standing(&job.spec, job.partition.as_str())?;
        if !self.enforce.limits {
            return Ok(());
        }
        let with = |whose| self.running(whose).saturating_add(1);
        let (mut grp, mut one, mut wall) = (None, None, None);
        if let Some((at, Qos { limits, per_user, per_account, .. })) = standing.qos {
            let at = number(at);
            (grp, one, wall) =
                (limits.grp_jobs, per_user.jobs.or(per_account.jobs), limits.max_wall);
            within(with(Whose::Qos(at)), grp, Reason::QosGrpJobsLimit)?;
            if let Some(account) = self.account(&job.spec) {
                let whose = Whose::QosAccount(at, account);
                within(with(whose), per_account.jobs, Reason::MaxJobsPerAccount)?;
            }
            let whose = Whose::QosUser(at, job.spec.user);
            within(with(whose), per_user.jobs, Reason::QosMaxJobsPerUserLimit)?;
            if is_longer(job.time_limit, wall) {
                return Err(Reason::QosMaxWallDurationPerJobLimit);
            }
        }
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
        if !self.enforce.limits {
            return Ok(());
        }
        let beside = |whose| {
            let tally = self.tallies.get(whose);
            move |tres: &Tres| wants.beside(tally, tres)
        };
        let mut masked = &NONE;
        if let Some((at, Qos { limits, per_user, per_account, min_tres_per_job, .. })) =
            standing.qos
        {
            let at = number(at);
            masked = &limits.grp_tres;
            Bound::QosGrp.hold(&limits.grp_tres, &NONE, beside(Whose::Qos(at)))?;
            let of_user = beside(Whose::QosUser(at, job.spec.user));
            Bound::QosPerUser.hold(&per_user.tres, &NONE, of_user)?;
            if let Some(account) = self.account(&job.spec) {
                let of_account = beside(Whose::QosAccount(at, account));
                Bound::PerAccount.hold(&per_account.tres, &NONE, of_account)?;
            }
            let too_little = |(tres, least): &(&Tres, &u64)| wants.amount(tres) < **least;
            let known = !wants.places.is_empty();
            if let Some((tres, _)) = min_tres_per_job.0.iter().find(|row| known && too_little(row))
            {
                return Err(Bound::QosMin.reason(tres));
            }
        }
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
        let (mut masked, mut masked_on_node) = (&NONE, &NONE);
        if let Some((_, Qos { limits, .. })) = standing.qos {
            (masked, masked_on_node) = (&limits.max_tres_per_job, &limits.max_tres_per_node);
            Bound::QosPerJob.hold(masked, &NONE, of_job)?;
            Bound::QosPerNode.hold(masked_on_node, &NONE, on_node)?;
        }
        let own = self.nearest_tres(standing, |limits| &limits.max_tres_per_job);
        Bound::AssocPerJob.hold(&own, masked, of_job)?;
        let own = self.nearest_tres(standing, |limits| &limits.max_tres_per_node);
        Bound::AssocPerNode.hold(&own, masked_on_node, on_node)
    }
}
