//! Who may be beside whom on a node (`ExclusiveUser`, `--exclusive=user`), and how many of its CPUs
//! a partition's jobs may have together (`MaxCPUsPerNode`).
//!
//! Who runs stays where it is when the configuration changes: then there may be more on a node than
//! may start there.

use super::State;
use crate::{
    config::{Config, PartitionConf},
    id::NodeName,
    job::{Job, JobSpec, Place, Placing, Switches},
    time::{Span, Timestamp},
};

impl State {
    /// Whether there are jobs, or may be, that keep others off their nodes.
    #[must_use]
    pub fn separates_users(&self) -> bool {
        let partitions = self.config.iter().flat_map(|config| &config.partitions);
        self.separate > 0 || partitions.into_iter().any(|conf| conf.exclusive_user)
    }

    /// Whether nobody else's jobs may be beside the job, which runs or is to run in that partition.
    #[must_use]
    pub fn is_separate(&self, job: &Job) -> bool {
        let config = self.config.as_ref();
        job.spec.asks().placing.user_alone
            || config
                .and_then(|config| config.partition(job.partition.as_str()))
                .is_some_and(|conf| conf.exclusive_user)
    }

    /// Whether the job may be on each of these nodes, in that partition, beside those that are, but
    /// for those that will be `gone`.
    pub(super) fn may_share(
        &self,
        job: &Job,
        conf: &PartitionConf,
        places: &[Place],
        gone: impl Fn(&Job) -> bool,
    ) -> bool {
        let separates = self.separates_users();
        if !separates && conf.max_cpus_per_node.is_none() {
            return true;
        }
        let separate = self.is_separate(job);
        places.iter().all(|place| {
            let there = || self.holders(&place.node).filter(|other| !gone(other));
            let apart = |other: &Job| {
                other.spec.user != job.spec.user && (separate || self.is_separate(other))
            };
            let met = separates && there().any(apart);
            let most = conf.max_cpus_per_node.unwrap_or(u32::MAX);
            let own = there().filter(|other| other.partition.as_str() == conf.name);
            let used: u32 = own.map(|other| cpus_on(other, &place.node)).sum();
            let with = used.saturating_add(place.held.cpus);
            !met && with <= most
        })
    }

    /// Whether the nodes follow each other, where the job wants them so (`--contiguous`).
    pub(super) fn are_in_a_row(&self, spec: &JobSpec, places: &[Place]) -> bool {
        if !spec.asks().placing.contiguous {
            return true;
        }
        let at = |place: &Place| self.positions.get(&place.node).copied();
        let Some(mut ranks) = places.iter().map(at).collect::<Option<Vec<u32>>>() else {
            return false;
        };
        ranks.sort_unstable();
        ranks.windows(2).all(|pair| pair[0] + 1 == pair[1])
    }

    /// Whether the nodes are beside as few switches as the job wants, or it has waited for that.
    pub(super) fn are_close(&self, now: Timestamp, job: &Job, places: &[Place]) -> bool {
        let Some(config) = self.config.as_ref() else { return false };
        let few = few_switches(config, job).filter(|(_, until)| now < *until);
        let nodes = || places.iter().map(|place| place.node.as_str()).collect::<Vec<_>>();
        few.is_none_or(|(most, _)| config.leaves(&nodes()) <= most as usize)
    }

    /// How many nodes there are at least in a row that holds those that the job names, where it
    /// wants one.
    pub(super) fn least_row(&self, spec: &JobSpec) -> u32 {
        let wanted = spec.asks().placing.contiguous;
        let names = spec.required_nodes.iter().filter(|_| wanted);
        let ranks = || names.clone().filter_map(|name| self.positions.get(name).copied());
        ranks().max().zip(ranks().min()).map_or(0, |(last, first)| last - first + 1)
    }

    /// The jobs that hold something of the node.
    fn holders(&self, node: &NodeName) -> impl Iterator<Item = &Job> {
        let jobs = self.holding.get(node).into_iter().flatten();
        jobs.filter_map(|job| self.jobs.get(job)).map(AsRef::as_ref)
    }
}

/// How many CPUs of the node the job holds.
fn cpus_on(job: &Job, node: &NodeName) -> u32 {
    let places = job.holding().into_iter().flat_map(|run| &run.places);
    places.filter(|place| place.node == *node).map(|place| place.held.cpus).sum()
}

/// Beside how few switches the job's nodes are to be, and the moment from which on they need not;
/// none where it does not matter.
#[must_use]
pub fn few_switches(config: &Config, job: &Job) -> Option<(u32, Timestamp)> {
    let Placing { contiguous, spread, switches, .. } = job.spec.asks().placing;
    let Switches { most, wait_s } = switches?;
    if config.switches.is_empty() || contiguous || spread {
        return None;
    }
    let wait = wait_s.unwrap_or(u32::MAX).min(config.max_switch_wait());
    let since = job.rank.since.unwrap_or(job.submitted);
    let since = job.begin.map_or(since, |begin| since.max(begin));
    Some((most, since + Span::from_seconds(u64::from(wait))))
}

/// Whether the job counts among those that keep others off their nodes: it waits, or runs.
pub(super) fn separates(job: &Job) -> bool {
    let live = job.is_pending() || job.holding().is_some();
    live && job.spec.asks().placing.user_alone
}
