//! Whose limit of an amount a job would exceed, in Slurm's words.

use crate::{
    account::{Tres, TresLimits},
    job::Reason,
};

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
    pub(super) fn reason(self, tres: &Tres) -> Reason {
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

    /// An error where an amount is above its limit, of those that are not masked: what goes before
    /// limits it.
    pub(super) fn hold(
        self,
        limits: &TresLimits,
        masked: impl Fn(&Tres) -> bool,
        amount: impl Fn(&Tres) -> u64,
    ) -> Result<(), Reason> {
        let own = limits.0.iter().filter(|(tres, _)| !masked(tres));
        let mut above = own.filter(|(tres, most)| amount(tres) > **most);
        above.next().map_or(Ok(()), |(tres, _)| Err(self.reason(tres)))
    }
}
