//! Who is looked at before whom.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use common::{
    config::PartitionConf,
    job::Job,
    machine::{QueueKey, State},
    time::Timestamp,
};

use crate::{favoured::Favoured, rank::Ranks};

/// A job's place in the order of all queues: the higher tier of its partition first, and then its
/// own place. Under `preempt/qos`, others may come before it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    pub tier: Reverse<u16>,
    pub key: QueueKey,
}

/// The jobs of all queues in the order in which a plan looks at them. Each stands where it comes to
/// it first.
#[must_use]
pub fn order(view: &State, now: Timestamp) -> Vec<(Turn, &Arc<Job>)> {
    order_in(view, now, |_| true)
}

/// Those of the queues of some partitions.
pub(crate) fn order_in(
    view: &State,
    now: Timestamp,
    counts: impl Fn(&PartitionConf) -> bool,
) -> Vec<(Turn, &Arc<Job>)> {
    let Some(config) = view.config.as_deref() else { return vec![] };
    let mut ranks = Ranks::of(view, now);
    let mut order = Vec::new();
    for conf in config.partitions.iter().filter(|conf| counts(conf)) {
        let tier = Reverse(conf.priority_tier);
        let queue = view.queues.get(&conf.name.as_str().into());
        order.extend(queue.into_iter().flatten().map(|key| {
            let job = view.jobs.get(&key.job).expect("check: a queued job is there");
            let key = ranks.as_mut().map_or(*key, |ranks| ranks.place(conf, *key));
            (Turn { tier, key }, job)
        }));
    }
    order.sort_by_key(|(turn, _)| *turn);
    if let Some(favoured) = Favoured::of(view) {
        order = favoured.order(order, |(_, job)| job.spec.qos.as_deref());
    }
    let mut told = BTreeSet::new();
    order.retain(|(_, job)| !job.partition.is_several() || told.insert(job.id));
    order
}
