//! The limits of associations and QOS in one pass, and what counts with what it starts.

use std::collections::BTreeMap;

use common::{
    id::{PartitionName, UserId},
    job::{Job, Place, Reason},
    machine::{Rules, State, Wants},
    time::TimeLimit,
};

use crate::placement::{Memory, Need};

/// See the module.
pub(crate) struct Limits {
    rules: Rules,
    /// Who waits for what. What is held only grows in a pass, so it holds for all that ask for the
    /// same, and a long queue of one user costs a comparison each.
    waits: BTreeMap<UserId, Vec<Waits>>,
}

/// How many requests of a user are remembered: each later job is held against them.
const REMEMBERED: usize = 64;

/// A request that has been looked at in vain.
struct Waits {
    partition: PartitionName,
    account: Option<String>,
    qos: Option<String>,
    limit: TimeLimit,
    need: Need,
    reason: Reason,
}

/// What a job takes at least: what it will be is known only once nodes are found.
pub(crate) fn least<'a>(job: &'a Job, need: &Need) -> Wants<'a> {
    let nodes = u64::from(need.nodes_min);
    let cpus = need.cpus();
    let memory_mib = match need.memory {
        Memory::PerNode(mib) => mib.saturating_mul(nodes),
        Memory::PerCpu(mib) => mib.saturating_mul(cpus),
        Memory::Free | Memory::All(_) | Memory::PerGpu(_) => 0,
    };
    Wants { cpus, memory_mib, nodes, places: &[], spec: Some(&job.spec) }
}

impl Waits {
    fn is_of(&self, job: &Job, need: &Need) -> bool {
        self.limit == job.time_limit
            && self.need == *need
            && self.partition == job.partition
            && self.account == job.spec.account
            && self.qos == job.spec.qos
    }
}

impl Limits {
    /// None where nothing is enforced.
    pub(crate) fn of(view: &State) -> Option<Self> {
        Rules::of(view).map(|rules| Self { rules, waits: BTreeMap::new() })
    }

    /// Whether the job may start, wherever that would be.
    pub(crate) fn may_start(&mut self, job: &Job, need: &Need) -> Result<(), Reason> {
        let mut known = self.waits.get(&job.spec.user).into_iter().flatten();
        if let Some(waits) = known.find(|waits| waits.is_of(job, need)) {
            return Err(waits.reason);
        }
        let may =
            self.rules.may_start(job).and_then(|()| self.rules.may_have(job, &least(job, need)));
        let waits = self.waits.entry(job.spec.user).or_default();
        if let Err(reason) = may
            && waits.len() < REMEMBERED
        {
            waits.push(Waits {
                partition: job.partition.clone(),
                account: job.spec.account.clone(),
                qos: job.spec.qos.clone(),
                limit: job.time_limit,
                need: need.to_owned(),
                reason,
            });
        }
        may
    }

    /// Whether it may have these places.
    pub(crate) fn may_have(&self, job: &Job, places: &[Place]) -> Result<(), Reason> {
        self.rules.may_have(job, &Wants::of(places))
    }

    pub(crate) fn start(&mut self, job: &Job, places: &[Place]) {
        self.rules.start(job, places);
    }

    /// Whether all of them may start together; and what holds then.
    pub(crate) fn together(&self, all: &[(&Job, &[Place])]) -> Result<Rules, Reason> {
        let mut rules = self.rules.clone();
        for (job, places) in all {
            rules.may_start(job)?;
            rules.may_have(job, &Wants::of(places))?;
            rules.start(job, places);
        }
        Ok(rules)
    }

    pub(crate) fn hold(&mut self, rules: Rules) {
        self.rules = rules;
    }
}
