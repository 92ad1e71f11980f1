//! A queue in the order of priorities that were worked out for this moment.

use std::{cmp::Reverse, collections::BinaryHeap};

use common::{
    config::PartitionConf,
    machine::{QueueKey, State},
};

use super::Ranks;
use crate::favoured::Favoured;

/// The jobs of a partition's queue, the most urgent first. A plan often looks at the front alone,
/// so they are put in order as they are asked for.
pub(crate) fn ordered<'a>(
    (view, favoured): (&'a State, Option<&Favoured<'a>>),
    ranks: Option<&mut Ranks>,
    conf: &PartitionConf,
    keys: impl Iterator<Item = QueueKey> + 'a,
) -> Box<dyn Iterator<Item = QueueKey> + 'a> {
    if let Some(favoured) = favoured {
        let mut keys: Vec<_> = match ranks {
            Some(ranks) => keys.map(|key| ranks.place(conf, key)).collect(),
            None => keys.collect(),
        };
        keys.sort_unstable();
        let qos = |key: &QueueKey| view.jobs.get(&key.job)?.spec.qos.as_deref();
        return Box::new(favoured.order(keys, qos).into_iter());
    }
    let Some(ranks) = ranks else { return Box::new(keys) };
    let keys: Vec<_> = keys.map(|key| Reverse(ranks.place(conf, key))).collect();
    let mut heap = BinaryHeap::from(keys);
    Box::new(std::iter::from_fn(move || heap.pop().map(|Reverse(key)| key)))
}
