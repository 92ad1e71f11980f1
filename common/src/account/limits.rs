//! The limits that an association or a QOS sets.

use super::TresLimits;

/// Limits that both associations and QOS have; what is none is not limited here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of all together: of an account, all below it.
    pub grp_jobs: Option<u32>,
    pub grp_submit_jobs: Option<u32>,
    pub grp_tres: TresLimits,
    /// Of each job.
    pub max_tres_per_job: TresLimits,
    /// Of each job, on each of its nodes.
    pub max_tres_per_node: TresLimits,
    /// Of each job, in minutes.
    pub max_wall: Option<u32>,
}

/// What one user, or one account, may have at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// That run.
    pub jobs: Option<u32>,
    /// That run or wait.
    pub submit_jobs: Option<u32>,
    pub tres: TresLimits,
}
