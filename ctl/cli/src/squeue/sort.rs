//! In which order `squeue` shows jobs: `--sort=[-]LETTER,...`.

use std::cmp::Ordering;

use super::{
    field::{Field, Time},
    table,
};
use crate::view::Job;

/// A letter, and whether the greatest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    field: Field,
    descending: bool,
}

/// Slurm's default: partition, state, priority.
pub(super) const DEFAULT: &str = "P,t,-p";
pub(super) const BY_START: &str = "S";

/// Reads the letters. As in Slurm, a comma is not needed between them, and the last one that makes
/// no sense is the one that is complained of.
///
/// # Errors
/// A letter that means no order.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, char> {
    let mut keys = Vec::new();
    let mut wrong = None;
    let mut descending = false;
    for letter in text.chars() {
        match letter {
            ',' | '+' | '#' => descending = false,
            '-' => descending = true,
            letter => {
                match table::letter(letter) {
                    Some((field, _)) if letter != 's' => keys.push(Key { field, descending }),
                    Some(_) | None => wrong = Some(letter),
                }
                descending = false;
            }
        }
    }
    wrong.map_or(Ok(keys), Err)
}

/// Sorts by the keys; jobs that are equal in all stand in the order of their ids, or the other way
/// round if the last key's is: so does Slurm.
pub(super) fn sort(jobs: &mut [Job<'_>], keys: &[Key]) {
    let backwards = keys.last().is_some_and(|key| key.descending);
    jobs.sort_by(|one, other| {
        let compared = keys.iter().map(|key| {
            let order = compare(key.field, one, other);
            if key.descending { order.reverse() } else { order }
        });
        let decided = compared.into_iter().find(|order| order.is_ne());
        decided.unwrap_or_else(|| {
            let order = one.id().cmp(&other.id());
            if backwards { order.reverse() } else { order }
        })
    });
}

fn compare(field: Field, one: &Job<'_>, other: &Job<'_>) -> Ordering {
    use Field as F;
    let by = |value: fn(&Job<'_>) -> u64| value(one).cmp(&value(other));
    match field {
        F::JobId | F::Number | F::ArrayId | F::ArrayTask => {
            let at = |job: &Job<'_>| (job.id(), job.task);
            at(one).cmp(&at(other))
        }
        F::Partition => one.job.partition.cmp(&other.job.partition),
        F::StateCompact => one.state().compact().cmp(other.state().compact()),
        F::State => one.state().name().cmp(other.state().name()),
        F::Constraint => one.spec.constraint.cmp(&other.spec.constraint),
        F::Priority | F::PriorityLong => one.job.priority.cmp(&other.job.priority),
        F::Name => one.spec.name.cmp(&other.spec.name),
        F::User => one.spec.user_name.cmp(&other.spec.user_name),
        F::Account => one.spec.account.cmp(&other.spec.account),
        F::Reservation => one.reservation().cmp(&other.reservation()),
        F::Qos => one.spec.qos.cmp(&other.spec.qos),
        F::Group => one.spec.group_name.cmp(&other.spec.group_name),
        F::UserId => by(|job| job.spec.user.into()),
        F::GroupId => by(|job| job.spec.group.into()),
        F::Cpus => by(|job| job.cpus().into()),
        F::MinCpus => by(|job| job.min_cpus().into()),
        F::MinMemory => by(|job| job.memory_mib()),
        F::MinTmpDisk => by(|job| job.spec.tmp_disk_mib),
        F::NodeCount => by(|job| job.node_count().into()),
        F::Nice => one.spec.nice.cmp(&other.spec.nice),
        F::Time(time) => moment(time, one).cmp(&moment(time, other)),
        F::Nodes | F::NodesOrReason | F::BatchHost => place(one).cmp(&place(other)),
        F::Reason => one.reason().cmp(&other.reason()),
        F::Dependency
        | F::AllocNode
        | F::AllocSession
        | F::Cluster
        | F::Command
        | F::Comment
        | F::CpusPerTask
        | F::CpusPerTres
        | F::ExcNodes
        | F::Contiguous
        | F::Few(_)
        | F::Exclusive
        | F::ExitCode
        | F::File(_)
        | F::Fixed(_)
        | F::Het(_)
        | F::Licenses
        | F::LicensesAlloc
        | F::MaxNodes
        | F::MemPerTres
        | F::ReqNodes
        | F::Req(_)
        | F::Requeue
        | F::Restarts
        | F::Tasks
        | F::TasksPerNode
        | F::TresAlloc
        | F::TresPerJob
        | F::TresPerNode
        | F::TresPerTask
        | F::WorkDir => Ordering::Equal,
    }
}

/// What has no limit, or is not known, comes last.
fn moment(time: Time, job: &Job<'_>) -> u64 {
    match time {
        Time::Accrue => job.accrues_since().map_or(u64::MAX, |at| at.0),
        Time::Deadline => job.deadline().map_or(u64::MAX, |at| at.0),
        Time::Least => job.time_min().map_or(0, |least| least.0),
        Time::Eligible => job.eligible().map_or(u64::MAX, |at| at.0),
        Time::End => job.finish().ok().flatten().map_or(u64::MAX, |at| at.0),
        Time::LastEvaluated | Time::Start => job.start().map_or(u64::MAX, |at| at.0),
        Time::Preempted => job.preempted().map_or(u64::MAX, |at| at.0),
        Time::Left => job.time_left().map_or(u64::MAX, |left| left.0),
        Time::Limit => job.time_limit().span().map_or(u64::MAX, |limit| limit.0),
        Time::Pending | Time::Submit => job.job.submitted,
        Time::Used => job.elapsed().0,
    }
}

/// Where a job is, or else why it is nowhere.
fn place(job: &Job<'_>) -> (String, String) {
    let mut nodes = String::new();
    job.put_nodes(&mut nodes);
    let reason = if nodes.is_empty() { job.reason().into_owned() } else { String::new() };
    (nodes, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_no_order_is_named() {
        assert_eq!(parse("bogus"), Err('s'));
        assert_eq!(parse("P,!"), Err('!'));
        assert_eq!(parse("+i,-t").map(|keys| keys.len()), Ok(2));
        assert_eq!(parse(""), Ok(vec![]));
        let keys = parse(DEFAULT).expect("the default is right");
        assert_eq!(keys.iter().map(|key| key.descending).collect::<Vec<_>>(), [false, false, true]);
    }
}
