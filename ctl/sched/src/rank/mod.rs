//! Multifactor priorities: how urgent each job is that waits, by its age, its size, its partition,
//! its QOS, its association, and what that has used of its share.
//!
//! A function of a view and a time, as a plan is: no priority is kept, so nothing has to happen for
//! one to change. Plans, the tables that people look at, and `rafter why` ask the same.

mod queue;
mod shares;
mod usage;

use std::{cell::OnceCell, cmp::Reverse, collections::BTreeMap, sync::Arc};

use common::{
    account::{Accounts, Tres},
    config::{Config, PartitionConf, Priority},
    id::{NodeName, UserId},
    job::{Hold, Job},
    machine::{QueueKey, State},
    time::{TimeLimit, Timestamp},
};

pub(crate) use queue::ordered;

use crate::{limits::least, placement::need};

/// What a priority comes from, each part weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Factors {
    pub age: f64,
    pub assoc: f64,
    pub fair_share: f64,
    pub job_size: f64,
    pub partition: f64,
    pub qos: f64,
    pub tres: f64,
    pub nice: i64,
}

impl Factors {
    /// The priority: at least 1, for 0 is held.
    #[must_use]
    pub fn priority(&self) -> u32 {
        let Self { age, assoc, fair_share, job_size, partition, qos, tres, nice } = *self;
        let sum = age + assoc + fair_share + job_size + partition + qos + tres;
        #[expect(clippy::cast_precision_loss, reason = "Slurm's numbers have as many digits")]
        let sum = (sum - nice as f64).floor().clamp(1.0, f64::from(u32::MAX));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let priority = sum as u32;
        priority
    }
}

/// Where jobs stand in the table of accounts. Each user has few kinds of jobs, so what was looked
/// up once is found by comparing a few names.
#[derive(Default)]
struct Standings(BTreeMap<UserId, Vec<Standing>>);

struct Standing {
    account: Option<String>,
    partition: String,
    association: Option<usize>,
}

impl Standings {
    /// The place of the association that a job has in the partition.
    fn association(&mut self, accounts: &Accounts, job: &Job, partition: &str) -> Option<usize> {
        let known = self.0.entry(job.spec.user).or_default();
        let same = |one: &&Standing| one.account == job.spec.account && one.partition == partition;
        if let Some(standing) = known.iter().find(same) {
            return standing.association;
        }
        let account = job.spec.account.as_deref();
        let found =
            account.and_then(|name| accounts.association(&job.spec.user_name, name, partition));
        let association = found.map(|(at, _)| at);
        let (account, partition) = (job.spec.account.clone(), partition.to_owned());
        known.push(Standing { account, partition, association });
        association
    }
}

/// The priorities of one moment.
pub struct Ranks {
    view: State,
    config: Arc<Config>,
    priority: Priority,
    now: Timestamp,
    nodes: f64,
    cpus: f64,
    /// The greatest of each, by which the others are measured.
    most_assoc: f64,
    most_qos: f64,
    most_partition: f64,
    /// The share factor of each association, by its place; empty where it has no weight.
    shares: Vec<f64>,
    standings: Standings,
    /// What partitions have of a resource; filled where resources have weights.
    totals: BTreeMap<String, OnceCell<BTreeMap<Tres, u64>>>,
}

impl Ranks {
    /// None where priorities count down in the order of submission.
    #[must_use]
    pub fn of(view: &State, now: Timestamp) -> Option<Self> {
        let config = Arc::clone(view.config.as_ref()?);
        let priority = Priority::of(&config)?;
        let mut standings = Standings::default();
        let accounts = view.accounts.as_deref();
        let shares = match accounts.filter(|_| priority.fair_share > 0.0) {
            Some(accounts) => {
                let used = usage::used(view, accounts, &priority, now, &mut standings);
                match priority.classic {
                    true => shares::classic(accounts, &used, priority.dampening),
                    false => shares::fair_tree(accounts, &used),
                }
            }
            None => vec![],
        };
        let most = |raw: bool, all: &mut dyn Iterator<Item = u32>| match all.max() {
            Some(most) if most > 0 && !raw => f64::from(most),
            Some(_) | None => 1.0,
        };
        let associations = accounts.map(Accounts::associations).unwrap_or_default();
        let qos = accounts.map(|accounts| accounts.parts().qos.as_slice()).unwrap_or_default();
        let factors = config.partitions.iter().map(|conf| u32::from(conf.priority_job_factor));
        let names = config.partitions.iter().map(|conf| (conf.name.clone(), OnceCell::new()));
        Some(Self {
            view: view.clone(),
            config: Arc::clone(&config),
            now,
            nodes: number(view.nodes.len() as u64).max(1.0),
            cpus: number(view.nodes.values().map(|node| u64::from(node.total.cpus)).sum()).max(1.0),
            most_assoc: most(priority.raw_assoc, &mut associations.iter().map(|one| one.priority)),
            most_qos: most(priority.raw_qos, &mut qos.iter().map(|one| one.priority)),
            most_partition: most(priority.raw_partition, &mut factors.into_iter()),
            shares,
            standings,
            totals: names.collect(),
            priority,
        })
    }

    /// What the weights are.
    #[must_use]
    pub fn weights(&self) -> &Priority {
        &self.priority
    }

    /// The job's priority, as it is shown: in the first of its partitions.
    pub fn priority(&mut self, job: &Job) -> u32 {
        let config = Arc::clone(&self.config);
        match (job.hold, config.partition(job.partition.first())) {
            (Hold::None, Some(conf)) => self.rank(conf, job),
            (Hold::None | Hold::User | Hold::Admin | Hold::Reservation, _) => job.priority,
        }
    }

    /// The place of a job in the queue of one of its partitions, if it stands in one.
    pub fn key(&mut self, job: &Job, partition: &str) -> Option<QueueKey> {
        let key = QueueKey::of(job)?;
        let config = Arc::clone(&self.config);
        let conf = config.partition(partition)?;
        Some(QueueKey { priority: Reverse(self.rank(conf, job)), ..key })
    }

    /// What stands at `key` in a partition's queue of the view, by its rank.
    pub(crate) fn place(&mut self, conf: &PartitionConf, key: QueueKey) -> QueueKey {
        let job = self.view.jobs.get(&key.job).expect("check: a queued job is there");
        let job = Arc::clone(job);
        QueueKey { priority: Reverse(self.rank(conf, &job)), ..key }
    }

    /// What a job's priority comes from, as it is shown; none where it was set.
    pub fn shown(&mut self, job: &Job) -> Option<Factors> {
        let config = Arc::clone(&self.config);
        let conf = config.partition(job.partition.first()).filter(|_| !job.rank.direct)?;
        Some(self.factors(conf, job))
    }

    fn rank(&mut self, conf: &PartitionConf, job: &Job) -> u32 {
        if job.rank.direct { job.priority } else { self.factors(conf, job).priority() }
    }

    /// What the job's priority in the partition comes from.
    pub fn factors(&mut self, conf: &PartitionConf, job: &Job) -> Factors {
        let accounts = self.view.accounts.as_deref();
        let place = accounts
            .and_then(|accounts| self.standings.association(accounts, job, conf.name.as_str()));
        let association = accounts.zip(place).map(|(all, at)| &all.associations()[at]);
        let qos = accounts.zip(job.spec.qos.as_deref()).and_then(|(all, name)| all.qos(name));
        let weights = &self.priority;
        Factors {
            age: weights.age * self.age(job),
            assoc: weights.assoc * association.map_or(0.0, |one| f64::from(one.priority))
                / self.most_assoc,
            fair_share: weights.fair_share
                * place.and_then(|at| self.shares.get(at)).copied().unwrap_or(0.0),
            job_size: if weights.job_size > 0.0 { weights.job_size * self.size(job) } else { 0.0 },
            partition: weights.partition * f64::from(conf.priority_job_factor)
                / self.most_partition,
            qos: weights.qos * qos.map_or(0.0, |(_, qos)| f64::from(qos.priority)) / self.most_qos,
            tres: if weights.tres.is_empty() { 0.0 } else { self.tres(conf, job) },
            nice: job.spec.nice,
        }
    }

    /// How long it has waited, of the longest that counts. Of one that has started: until then.
    fn age(&self, job: &Job) -> f64 {
        let Priority { accrue_always, max_age, .. } = self.priority;
        let until = job.run().map_or(self.now, |run| run.started);
        let from = if accrue_always { job.submitted } else { job.eligible() };
        let waits = accrue_always || job.is_independent();
        let waited = if waits { until.since(from).seconds() } else { 0 };
        match max_age.seconds() {
            0 => 0.0,
            most => (number(waited) / number(most)).min(1.0),
        }
    }

    /// How much of the cluster it asks for.
    fn size(&self, job: &Job) -> f64 {
        let layout = &job.spec.layout;
        let nodes = f64::from(layout.min_nodes.max(1)).min(self.nodes);
        let cpus = f64::from(job.spec.layout.cpus()).min(self.cpus);
        let Self { nodes: all_nodes, cpus: all_cpus, .. } = *self;
        let size = match (self.priority.relative_to_time, self.priority.favor_small) {
            (false, false) => (nodes / all_nodes + cpus / all_cpus) / 2.0,
            (false, true) => ((all_nodes - nodes) / all_nodes + (all_cpus - cpus) / all_cpus) / 2.0,
            (true, small) => {
                let minutes = match job.time_limit {
                    TimeLimit::Minutes(minutes) => f64::from(minutes.max(1)),
                    TimeLimit::Unlimited => f64::from(TimeLimit::MOST_MINUTES),
                };
                let size = (nodes * all_cpus / all_nodes).max(cpus) / minutes / all_cpus;
                if small { 1.0 - size } else { size }
            }
        };
        size.clamp(0.0, 1.0)
    }

    /// What it asks for of its partition, weighed.
    fn tres(&self, conf: &PartitionConf, job: &Job) -> f64 {
        let need = need(&self.config, conf, job);
        let wants = least(job, &need);
        let totals = self.totals.get(&conf.name).map(|cell| cell.get_or_init(|| self.total(conf)));
        let part = |(tres, weight): &(Tres, f64)| {
            let total = totals.and_then(|totals| totals.get(tres)).copied().unwrap_or(0);
            let asked = number(wants.amount(tres));
            match (self.priority.raw_tres, total) {
                (true, _) => weight * asked,
                (false, 0) => 0.0,
                (false, total) => weight * (asked / number(total)).min(1.0),
            }
        };
        self.priority.tres.0.iter().map(part).sum()
    }

    /// What the partition has of the resources that have weights.
    fn total(&self, conf: &PartitionConf) -> BTreeMap<Tres, u64> {
        let nodes = conf
            .nodes
            .iter()
            .filter_map(|name| self.view.nodes.get(&NodeName::from(name.as_str())));
        let mut totals: BTreeMap<Tres, u64> = BTreeMap::new();
        for node in nodes {
            for (tres, _) in &self.priority.tres.0 {
                let of_node = match tres {
                    Tres::Cpu => u64::from(node.total.cpus),
                    Tres::Mem => node.total.memory_mib,
                    Tres::Node => 1,
                    Tres::Gres(name) => {
                        let all = node.gres.iter().filter(|gres| {
                            gres.name.eq_ignore_ascii_case(name)
                                || gres.label().eq_ignore_ascii_case(name)
                        });
                        all.map(|gres| gres.count).sum()
                    }
                };
                *totals.entry(tres.clone()).or_default() += of_node;
            }
        }
        totals
    }
}

fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no count here is that large")]
    let number = count as f64;
    number
}
