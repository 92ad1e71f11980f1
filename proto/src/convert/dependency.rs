//! What a job waits for of other jobs.

use std::sync::Arc;

use common::{
    id::JobId,
    job::{Condition, Dependency, Fate, On, Relation, Task},
    time::Timestamp,
};

use super::need;
use crate::{Invalid, types as wire};

impl From<Fate> for wire::Fate {
    fn from(fate: Fate) -> Self {
        use wire::fate::Fate as Kind;
        let fate = match fate {
            Fate::Open => None,
            Fate::Due(at) => Some(Kind::Due(at.0)),
            Fate::Met => Some(Kind::Met(true)),
            Fate::Failed => Some(Kind::Failed(true)),
        };
        Self { fate }
    }
}

impl From<wire::Fate> for Fate {
    fn from(wire: wire::Fate) -> Self {
        use wire::fate::Fate as Kind;
        match wire.fate {
            None => Self::Open,
            Some(Kind::Due(at)) => Self::Due(Timestamp(at)),
            Some(Kind::Met(_)) => Self::Met,
            Some(Kind::Failed(_)) => Self::Failed,
        }
    }
}

impl From<&Dependency> for wire::Dependency {
    fn from(dependency: &Dependency) -> Self {
        let conditions = dependency.conditions.iter().map(Into::into).collect();
        Self { any: dependency.any, conditions }
    }
}

impl TryFrom<wire::Dependency> for Dependency {
    type Error = Invalid;

    fn try_from(wire: wire::Dependency) -> Result<Self, Invalid> {
        let conditions = wire.conditions.into_iter().map(TryInto::try_into);
        Ok(Self { any: wire.any, conditions: conditions.collect::<Result<_, _>>()? })
    }
}

pub(super) fn shared(wire: Option<wire::Dependency>) -> Result<Option<Arc<Dependency>>, Invalid> {
    wire.map(|wire| wire.try_into().map(Arc::new)).transpose()
}

impl From<&Condition> for wire::Condition {
    fn from(condition: &Condition) -> Self {
        let fate = Some(condition.fate.into());
        let On::Job { relation, job, task, delay } = condition.on else {
            let relation = wire::Relation::Singleton.into();
            return Self { relation, fate, ..Self::default() };
        };
        let relation = match relation {
            Relation::After => wire::Relation::After,
            Relation::AfterAny => wire::Relation::AfterAny,
            Relation::AfterOk => wire::Relation::AfterOk,
            Relation::AfterNotOk => wire::Relation::AfterNotOk,
            Relation::AfterCorr => wire::Relation::AfterCorr,
        };
        let (task, all_tasks) = match task {
            None => (None, false),
            Some(Task::One(task)) => (Some(task), false),
            Some(Task::All) => (None, true),
        };
        let (relation, job, delay_minutes) = (relation.into(), job.0, delay);
        Self { relation, job, task, all_tasks, delay_minutes, fate }
    }
}

impl TryFrom<wire::Condition> for Condition {
    type Error = Invalid;

    fn try_from(wire: wire::Condition) -> Result<Self, Invalid> {
        let relation = match wire::Relation::try_from(wire.relation) {
            Ok(wire::Relation::After) => Relation::After,
            Ok(wire::Relation::AfterAny) => Relation::AfterAny,
            Ok(wire::Relation::AfterOk) => Relation::AfterOk,
            Ok(wire::Relation::AfterNotOk) => Relation::AfterNotOk,
            Ok(wire::Relation::AfterCorr) => Relation::AfterCorr,
            Ok(wire::Relation::Singleton) => {
                return Ok(Self { on: On::Singleton, fate: need(wire.fate, "fate")?.into() });
            }
            Ok(wire::Relation::Unspecified) | Err(_) => return Err(Invalid::Unknown("relation")),
        };
        let task = match (wire.task, wire.all_tasks) {
            (Some(task), _) => Some(Task::One(task)),
            (None, true) => Some(Task::All),
            (None, false) => None,
        };
        let (job, delay) = (JobId(wire.job), wire.delay_minutes);
        Ok(Self {
            on: On::Job { relation, job, task, delay },
            fate: need(wire.fate, "fate")?.into(),
        })
    }
}
