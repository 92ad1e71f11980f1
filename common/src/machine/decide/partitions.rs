//! Which partitions a job may wait in: the first that can start it, does (`sbatch -p a,b`).

use std::collections::BTreeSet;

use super::submit::check_limits;
use crate::{
    config::{Config, EnforcePartLimits, PartitionConf, PartitionState},
    id::{PartitionName, UserId},
    job::JobSpec,
    machine::{Refusal, State},
};

/// The partitions of these names, each once; without a name, the default one.
pub(super) fn named<'a>(
    state: &State,
    config: &'a Config,
    names: &PartitionName,
) -> Result<Vec<&'a PartitionConf>, Refusal> {
    if names.as_str().is_empty() {
        return Ok(vec![config.default_partition().ok_or(Refusal::NoDefaultPartition)?]);
    }
    if names.is_several() && state.format < 2 {
        return Err(Refusal::Format("several partitions of a job"));
    }
    let mut seen = BTreeSet::new();
    let new = names.each().filter(|name| seen.insert(*name));
    let known = |name: &str| {
        config.partition(name).ok_or_else(|| Refusal::NoSuchPartition(name.to_owned()))
    };
    new.map(known).collect()
}

/// Their names, as a job has them.
pub(super) fn joined(partitions: &[&PartitionConf]) -> PartitionName {
    let names: Vec<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
    PartitionName::from(names.join(","))
}

/// Those that jobs of `owner` which `by` submits may enter. One that takes no jobs at this moment
/// stays beside one that does: it may take some later.
pub(super) fn admitting<'a>(
    state: &State,
    config: &Config,
    partitions: Vec<&'a PartitionConf>,
    by: UserId,
    owner: UserId,
) -> Result<Vec<&'a PartitionConf>, Refusal> {
    let answer = |partition: &PartitionConf| may_use(state, partition, by, owner);
    let refusal = partitions.iter().find_map(|partition| answer(partition).err());
    let all = config.enforce_part_limits == EnforcePartLimits::All;
    match refusal {
        None => Ok(partitions),
        Some(refusal) if all || partitions.iter().all(|partition| answer(partition).is_err()) => {
            Err(refusal)
        }
        Some(_) => {
            let stays = |partition: &&PartitionConf| {
                matches!(answer(partition), Ok(()) | Err(Refusal::PartitionInactive))
            };
            Ok(partitions.into_iter().filter(stays).collect())
        }
    }
}

/// Whether jobs of `owner` that `by` submits may enter the partition at all.
fn may_use(
    state: &State,
    partition: &PartitionConf,
    by: UserId,
    owner: UserId,
) -> Result<(), Refusal> {
    if partition.disable_root_jobs && owner == UserId::ROOT {
        return Err(Refusal::RootJobs);
    }
    if partition.root_only && !state.is_operator(by) {
        return Err(Refusal::Denied);
    }
    match partition.state {
        PartitionState::Up | PartitionState::Down => Ok(()),
        PartitionState::Drain | PartitionState::Inactive => Err(Refusal::PartitionInactive),
    }
}

/// Refuses what none of the partitions could ever run; with `EnforcePartLimits=ALL`, what one of
/// them could not.
pub(super) fn check(
    state: &State,
    config: &Config,
    partitions: &[&PartitionConf],
    spec: &JobSpec,
) -> Result<(), Refusal> {
    let mut refusal = None;
    for partition in partitions {
        match check_limits(state, config, partition, spec) {
            Ok(()) if config.enforce_part_limits != EnforcePartLimits::All => return Ok(()),
            Ok(()) => {}
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    refusal.map_or(Ok(()), Err)
}
