//! Accounts, users, associations and QOS.

use std::sync::Arc;

use common::{
    account::{
        Account, Accounts, Association, Fairshare, Limits, Most, Parts, Qos, Tres, TresLimits, User,
    },
    machine::{Event, Tally},
};

use log::event::Kind;

use super::{need, preemption};
use crate::{Invalid, account as wire, log};

impl From<&Accounts> for wire::Accounts {
    fn from(accounts: &Accounts) -> Self {
        let Parts { cluster, qos, accounts, users, associations } = accounts.parts();
        let account = |account: &Account| wire::Account {
            name: account.name.clone(),
            description: account.description.clone(),
            organization: account.organization.clone(),
        };
        let user = |user: &User| wire::User {
            name: user.name.clone(),
            default_account: user.default_account.clone(),
        };
        Self {
            cluster: cluster.clone(),
            qos: qos.iter().map(Into::into).collect(),
            accounts: accounts.iter().map(account).collect(),
            users: users.iter().map(user).collect(),
            associations: associations.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Accounts> for Accounts {
    type Error = Invalid;

    fn try_from(wire: wire::Accounts) -> Result<Self, Invalid> {
        let account = |account: wire::Account| {
            let wire::Account { name, description, organization } = account;
            Account { name, description, organization }
        };
        let user = |user: wire::User| {
            let wire::User { name, default_account } = user;
            User { name, default_account }
        };
        let parts = Parts {
            cluster: wire.cluster,
            qos: wire.qos.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            accounts: wire.accounts.into_iter().map(account).collect(),
            users: wire.users.into_iter().map(user).collect(),
            associations: wire
                .associations
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        };
        Self::new(parts).map_err(|_| Invalid::Range("accounts"))
    }
}

impl From<&Qos> for wire::Qos {
    fn from(qos: &Qos) -> Self {
        Self {
            name: qos.name.clone(),
            description: qos.description.clone(),
            priority: qos.priority,
            deny_on_limit: qos.deny_on_limit,
            over_partition: qos.over_partition,
            limits: Some((&qos.limits).into()),
            per_user: Some((&qos.per_user).into()),
            per_account: Some((&qos.per_account).into()),
            min_tres_per_job: tres(&qos.min_tres_per_job),
            usage_factor: qos.usage_factor,
            preemption: preemption::of_qos(&qos.preemption),
        }
    }
}

impl TryFrom<wire::Qos> for Qos {
    type Error = Invalid;

    fn try_from(wire: wire::Qos) -> Result<Self, Invalid> {
        Ok(Self {
            name: wire.name,
            description: wire.description,
            priority: wire.priority,
            deny_on_limit: wire.deny_on_limit,
            over_partition: wire.over_partition,
            limits: wire.limits.unwrap_or_default().try_into()?,
            per_user: wire.per_user.unwrap_or_default().try_into()?,
            per_account: wire.per_account.unwrap_or_default().try_into()?,
            min_tres_per_job: tres_limits(wire.min_tres_per_job)?,
            usage_factor: wire.usage_factor,
            preemption: preemption::of_qos_read(wire.preemption)?,
        })
    }
}

impl From<&Association> for wire::Association {
    fn from(association: &Association) -> Self {
        Self {
            account: association.account.clone(),
            user: association.user.clone(),
            partition: association.partition.clone(),
            parent: association.parent,
            shares: match association.fairshare {
                Fairshare::Shares(shares) => Some(shares),
                Fairshare::Parent => None,
            },
            priority: association.priority,
            limits: Some((&association.limits).into()),
            most: Some((&association.most).into()),
            qos: association.qos.iter().flatten().cloned().collect(),
            default_qos: association.default_qos.clone(),
        }
    }
}

impl TryFrom<wire::Association> for Association {
    type Error = Invalid;

    fn try_from(wire: wire::Association) -> Result<Self, Invalid> {
        Ok(Self {
            account: wire.account,
            user: wire.user,
            partition: wire.partition,
            parent: wire.parent,
            fairshare: wire.shares.map_or(Fairshare::Parent, Fairshare::Shares),
            priority: wire.priority,
            limits: wire.limits.unwrap_or_default().try_into()?,
            most: wire.most.unwrap_or_default().try_into()?,
            qos: (!wire.qos.is_empty()).then(|| wire.qos.into_iter().collect()),
            default_qos: wire.default_qos,
        })
    }
}

impl From<&Limits> for wire::Limits {
    fn from(limits: &Limits) -> Self {
        Self {
            grp_jobs: limits.grp_jobs,
            grp_submit_jobs: limits.grp_submit_jobs,
            grp_tres: tres(&limits.grp_tres),
            max_tres_per_job: tres(&limits.max_tres_per_job),
            max_tres_per_node: tres(&limits.max_tres_per_node),
            max_wall: limits.max_wall,
        }
    }
}

impl TryFrom<wire::Limits> for Limits {
    type Error = Invalid;

    fn try_from(wire: wire::Limits) -> Result<Self, Invalid> {
        Ok(Self {
            grp_jobs: wire.grp_jobs,
            grp_submit_jobs: wire.grp_submit_jobs,
            grp_tres: tres_limits(wire.grp_tres)?,
            max_tres_per_job: tres_limits(wire.max_tres_per_job)?,
            max_tres_per_node: tres_limits(wire.max_tres_per_node)?,
            max_wall: wire.max_wall,
        })
    }
}

impl From<&Most> for wire::Most {
    fn from(most: &Most) -> Self {
        Self { jobs: most.jobs, submit_jobs: most.submit_jobs, tres: tres(&most.tres) }
    }
}

impl TryFrom<wire::Most> for Most {
    type Error = Invalid;

    fn try_from(wire: wire::Most) -> Result<Self, Invalid> {
        let tres = tres_limits(wire.tres)?;
        Ok(Self { jobs: wire.jobs, submit_jobs: wire.submit_jobs, tres })
    }
}

impl From<&Tally> for wire::Tally {
    fn from(tally: &Tally) -> Self {
        Self {
            submitted: tally.submitted,
            running: tally.running,
            cpus: tally.cpus,
            memory_mib: tally.memory_mib,
            nodes: u32::try_from(tally.nodes.len()).unwrap_or(u32::MAX),
        }
    }
}

fn tres(limits: &TresLimits) -> Vec<wire::TresLimit> {
    let row =
        |(tres, amount): (&Tres, &u64)| wire::TresLimit { tres: tres.to_string(), amount: *amount };
    limits.0.iter().map(row).collect()
}

fn tres_limits(wire: Vec<wire::TresLimit>) -> Result<TresLimits, Invalid> {
    let row = |row: wire::TresLimit| {
        let tres = Tres::parse(&row.tres).map_err(|_| Invalid::Unknown("tres"))?;
        Ok((tres, row.amount))
    };
    wire.into_iter().map(row).collect::<Result<_, _>>().map(TresLimits)
}

pub(super) fn kind(accounts: &Accounts) -> Kind {
    Kind::AccountsLoaded(log::AccountsLoaded { accounts: Some(accounts.into()) })
}

pub(super) fn loaded(event: log::AccountsLoaded) -> Result<Event, Invalid> {
    let accounts = Arc::new(need(event.accounts, "accounts")?.try_into()?);
    Ok(Event::AccountsLoaded { accounts })
}
