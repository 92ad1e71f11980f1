//! Which limit a job would exceed, and whose it is, in Slurm's words.

use super::Whose;
use crate::{
    account::{Tres, TresLimits},
    job::Reason,
    time::TimeLimit,
};

/// What keeps a job from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) reason: Reason,
    /// None where it is no limit: it has no association, for example.
    pub(super) limit: Option<Limit>,
}

/// A limit, and what a job would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) whose: Whose,
    /// As `sacctmgr` writes it: `GrpTRES`.
    pub(super) name: &'static str,
    pub(super) what: What,
    pub(super) most: u64,
    pub(super) would_be: u64,
}

/// What is limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Jobs,
    /// Minutes; `u64::MAX`: without end.
    Wall,
    /// Of all together, this job among them.
    Shared(Tres),
    /// Of one job.
    Own(Tres),
}

impl From<Reason> for Exceeded {
    fn from(reason: Reason) -> Self {
        Self { reason, limit: None }
    }
}

impl From<Exceeded> for Reason {
    fn from(exceeded: Exceeded) -> Self {
        exceeded.reason
    }
}

/// An error where there would be more jobs than there may be.
pub(super) fn few_enough(
    (whose, name): (Whose, &'static str),
    would_be: u32,
    most: Option<u32>,
    reason: Reason,
) -> Result<(), Exceeded> {
    let Some(most) = most.filter(|most| would_be > *most) else { return Ok(()) };
    let (most, would_be) = (u64::from(most), u64::from(would_be));
    let limit = Limit { whose, name, what: What::Jobs, most, would_be };
    Err(Exceeded { reason, limit: Some(limit) })
}

/// An error where a job would run longer than it may.
pub(super) fn short_enough(
    whose: Whose,
    limit: TimeLimit,
    most: Option<u32>,
    reason: Reason,
) -> Result<(), Exceeded> {
    let longer = |most: &u32| limit > TimeLimit::Minutes(*most);
    let Some(most) = most.filter(longer) else { return Ok(()) };
    let would_be = match limit {
        TimeLimit::Minutes(minutes) => u64::from(minutes),
        TimeLimit::Unlimited => u64::MAX,
    };
    let (name, most) = ("MaxWallDurationPerJob", u64::from(most));
    let limit = Limit { whose, name, what: What::Wall, most, would_be };
    Err(Exceeded { reason, limit: Some(limit) })
}

/// Whose limit of an amount it is, and of what.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    AssocGrp,
    AssocPerJob,
    AssocPerNode,
    QosGrp,
    QosPerJob,
    QosPerNode,
    QosPerUser,
    PerAccount,
    QosMin,
}

impl Bound {
    /// Slurm's word; its spelling follows no rule.
    fn reason(self, tres: &Tres) -> Reason {
        use Reason as R;
        let [cpu, mem, node, gres] = match self {
            Self::AssocGrp => {
                [R::AssocGrpCpuLimit, R::AssocGrpMemLimit, R::AssocGrpNodeLimit, R::AssocGrpGres]
            }
            Self::AssocPerJob => [
                R::AssocMaxCpuPerJobLimit,
                R::AssocMaxMemPerJob,
                R::AssocMaxNodePerJobLimit,
                R::AssocMaxGresPerJob,
            ],
            Self::AssocPerNode => [
                R::AssocMaxCpuPerNode,
                R::AssocMaxMemPerNode,
                R::AssocMaxUnknownPerNode,
                R::AssocMaxGresPerNode,
            ],
            Self::QosGrp => {
                [R::QosGrpCpuLimit, R::QosGrpMemLimit, R::QosGrpNodeLimit, R::QosGrpGres]
            }
            Self::QosPerJob => [
                R::QosMaxCpuPerJobLimit,
                R::QosMaxMemoryPerJob,
                R::QosMaxNodePerJobLimit,
                R::QosMaxGresPerJob,
            ],
            Self::QosPerNode => [
                R::QosMaxCpuPerNode,
                R::QosMaxMemoryPerNode,
                R::QosMaxUnknownPerNode,
                R::QosMaxGresPerNode,
            ],
            Self::QosPerUser => [
                R::QosMaxCpuPerUserLimit,
                R::QosMaxMemoryPerUser,
                R::QosMaxNodePerUserLimit,
                R::QosMaxGresPerUser,
            ],
            Self::PerAccount => [
                R::MaxCpuPerAccount,
                R::MaxMemoryPerAccount,
                R::MaxNodePerAccount,
                R::MaxGresPerAccount,
            ],
            Self::QosMin => {
                [R::QosMinCpuNotSatisfied, R::QosMinMemory, R::QosMinNode, R::QosMinGres]
            }
        };
        match tres {
            Tres::Cpu => cpu,
            Tres::Mem => mem,
            Tres::Node => node,
            Tres::Gres(_) => gres,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::AssocGrp | Self::QosGrp => "GrpTRES",
            Self::AssocPerJob | Self::QosPerJob => "MaxTRESPerJob",
            Self::AssocPerNode | Self::QosPerNode => "MaxTRESPerNode",
            Self::QosPerUser => "MaxTRESPerUser",
            Self::PerAccount => "MaxTRESPerAccount",
            Self::QosMin => "MinTRESPerJob",
        }
    }

    fn what(self, tres: &Tres) -> What {
        match self {
            Self::AssocGrp | Self::QosGrp | Self::QosPerUser | Self::PerAccount => {
                What::Shared(tres.clone())
            }
            Self::AssocPerJob
            | Self::AssocPerNode
            | Self::QosPerJob
            | Self::QosPerNode
            | Self::QosMin => What::Own(tres.clone()),
        }
    }

    /// An error where an amount is above its limit, or below the least, of those that are not
    /// masked: what goes before limits it.
    pub(super) fn hold(
        self,
        whose: Whose,
        limits: &TresLimits,
        masked: impl Fn(&Tres) -> bool,
        amount: impl Fn(&Tres) -> u64,
    ) -> Result<(), Exceeded> {
        for (tres, most) in limits.0.iter().filter(|(tres, _)| !masked(tres)) {
            let (most, would_be) = (*most, amount(tres));
            let least = matches!(self, Self::QosMin);
            if if least { would_be < most } else { would_be > most } {
                let (name, what) = (self.name(), self.what(tres));
                let limit = Limit { whose, name, what, most, would_be };
                return Err(Exceeded { reason: self.reason(tres), limit: Some(limit) });
            }
        }
        Ok(())
    }
}
