//! Why a job waits or ended, in one word.

use common::{
    config::{Config, PartitionState},
    job::{Hold, Job, Phase, Reason},
    time::Timestamp,
};

/// What Slurm shows as the reason of `job`: most of it stands in the job itself, and the rest is
/// what a plan `found`.
#[must_use]
pub fn reason(
    config: &Config,
    job: &Job,
    now: Timestamp,
    found: impl FnOnce() -> Reason,
) -> Reason {
    // Of several, one that starts jobs counts.
    let partition = || {
        let confs = job.partition.each().filter_map(|name| config.partition(name));
        let mut states = confs.map(|conf| conf.state);
        let first = states.next().filter(|first| !first.starts());
        states.find(|state| state.starts()).or(first)
    };
    match &job.phase {
        Phase::Active(_) => Reason::None,
        Phase::Completing { end, .. } | Phase::Ended { end, .. } => {
            end.reason.unwrap_or(Reason::None)
        }
        Phase::Pending => match job.hold {
            Hold::User => Reason::JobHeldUser,
            Hold::Admin => Reason::JobHeldAdmin,
            Hold::Reservation => Reason::ReservationDeleted,
            Hold::None if job.priority == 0 => Reason::JobHeldUser,
            Hold::None if !job.is_independent() => {
                let never = job.dependency.as_ref().is_some_and(|all| all.is_never());
                if never { Reason::DependencyNeverSatisfied } else { Reason::Dependency }
            }
            Hold::None if job.begin.is_some_and(|begin| begin > now) => Reason::BeginTime,
            Hold::None => match partition() {
                Some(PartitionState::Down) => Reason::PartitionDown,
                Some(PartitionState::Inactive) => Reason::PartitionInactive,
                Some(PartitionState::Up | PartitionState::Drain) | None => found(),
            },
        },
    }
}
