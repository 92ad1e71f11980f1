//! Whom each job minds beside it on a node, in the timeline's terms.

use common::{
    config::{Config, PartitionConf},
    job::Job,
    machine::State,
};

use crate::timeline::{Share, Tenant};

/// What there is to mind in one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Minding {
    /// Some jobs keep those of other users off their nodes.
    users: bool,
    /// Some partitions have a share of each node's CPUs.
    shares: bool,
}

impl Minding {
    pub(crate) fn of(view: &State, config: &Config) -> Self {
        let capped = |conf: &PartitionConf| conf.max_cpus_per_node.is_some();
        let shares = config.partitions.iter().any(capped);
        Self { users: view.separates_users(), shares }
    }

    /// Whether nobody minds anything.
    pub(crate) fn is_nothing(self) -> bool {
        !self.users && !self.shares
    }

    /// The job, as those see it who are on its nodes; none where nobody minds it there.
    pub(crate) fn tenant(self, config: &Config, partition: &str, job: &Job) -> Option<Tenant> {
        if self.is_nothing() {
            return None;
        }
        let of = config.partitions.iter().position(|conf| conf.name == partition);
        let conf = of.map(|of| &config.partitions[of]);
        let most = conf.and_then(|conf| conf.max_cpus_per_node);
        let share = of.zip(most).map(|(of, most)| Share { of, most: u64::from(most) });
        if !self.users && share.is_none() {
            return None;
        }
        let own = job.spec.asks().placing.user_alone;
        let user = if self.users { job.spec.user.0 } else { 0 };
        Some(Tenant { user, separate: own || conf.is_some_and(|conf| conf.exclusive_user), share })
    }
}
