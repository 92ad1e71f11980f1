//! What associations have used, in snapshots.

use common::machine::{Bucket, Owner, State, Usage};
use wire::state_record::Kind;

use crate::{Invalid, log as wire};

pub(super) fn records(state: &State) -> impl Iterator<Item = Kind> {
    state.usage.iter().map(|(owner, buckets)| {
        Kind::Usage(wire::UsageRecord {
            account: owner.account.clone(),
            user: owner.user.clone(),
            partition: owner.partition.clone(),
            buckets: buckets.iter().map(bucket).collect(),
        })
    })
}

fn bucket(bucket: &Bucket) -> wire::UsageBucket {
    let Bucket { hour, hours, amount } = *bucket;
    wire::UsageBucket { hour, hours, amount }
}

pub(super) fn take(usage: &mut Usage, record: wire::UsageRecord) -> Result<(), Invalid> {
    let wire::UsageRecord { account, user, partition, buckets } = record;
    let read = |bucket: wire::UsageBucket| {
        let wire::UsageBucket { hour, hours, amount } = bucket;
        Bucket { hour, hours, amount }
    };
    let buckets: Vec<Bucket> = buckets.into_iter().map(read).collect();
    let ends = |bucket: &Bucket| bucket.hour.checked_add(bucket.hours);
    let apart = |pair: &[Bucket]| ends(&pair[0]).is_some_and(|end| end <= pair[1].hour);
    if !buckets.windows(2).all(apart) || buckets.last().is_some_and(|last| ends(last).is_none()) {
        return Err(Invalid::Range("buckets"));
    }
    usage.insert(Owner { account, user, partition }, buckets);
    Ok(())
}
