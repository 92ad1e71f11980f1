//! What a job asks for beyond CPUs and memory.

use std::sync::Arc;

use common::{
    job::{AskChanges, Asks, Constraint, CoreAsk, Licenses, Placing, Switches},
    time::Timestamp,
};

use crate::{Invalid, types as wire};

/// A constraint by its text; an empty one asks for nothing.
pub(super) fn constraint(text: Option<String>) -> Result<Option<Arc<Constraint>>, Invalid> {
    let read = |text: String| match text.as_str() {
        "" => Ok(Arc::default()),
        text => Constraint::parse(text).map(Arc::new).map_err(|_| Invalid::Unknown("constraint")),
    };
    text.map(read).transpose()
}

pub(super) fn constraint_text(constraint: Option<&Arc<Constraint>>) -> Option<String> {
    constraint.map(|constraint| constraint.text.clone())
}

impl From<&Asks> for wire::Asks {
    fn from(asks: &Asks) -> Self {
        let Licenses { text, .. } = &asks.licenses;
        Self {
            licenses: (!text.is_empty()).then(|| text.clone()),
            deadline: asks.deadline.map(|at| at.0),
            time_min: asks.time_min.map(Into::into),
            priority: asks.priority,
            cores: (asks.cores != CoreAsk::NONE).then(|| asks.cores.into()),
            placing: (asks.placing != Placing::NONE).then(|| asks.placing.into()),
        }
    }
}

/// What asks for nothing is none.
pub(super) fn shared(wire: Option<wire::Asks>) -> Result<Option<Arc<Asks>>, Invalid> {
    let Some(wire) = wire else { return Ok(None) };
    let asks = Asks {
        licenses: licenses(&wire.licenses.unwrap_or_default())?,
        deadline: wire.deadline.map(Timestamp),
        time_min: wire.time_min.map(Into::into),
        priority: wire.priority,
        cores: wire.cores.map(Into::into).unwrap_or_default(),
        placing: wire.placing.map(Into::into).unwrap_or_default(),
    };
    Ok((asks != Asks::NONE).then(|| Arc::new(asks)))
}

impl From<CoreAsk> for wire::CoreAsk {
    fn from(ask: CoreAsk) -> Self {
        let CoreAsk { sockets, cores, threads, tasks_per_core } = ask;
        Self { sockets, cores, threads, tasks_per_core }
    }
}

impl From<wire::CoreAsk> for CoreAsk {
    fn from(wire: wire::CoreAsk) -> Self {
        let wire::CoreAsk { sockets, cores, threads, tasks_per_core } = wire;
        Self { sockets, cores, threads, tasks_per_core }
    }
}

impl From<Placing> for wire::Placing {
    fn from(placing: Placing) -> Self {
        let Placing { user_alone, contiguous, spread, use_min_nodes, switches } = placing;
        let switches = switches.map(|Switches { most, wait_s }| wire::Switches { most, wait_s });
        Self { user_alone, contiguous, spread, use_min_nodes, switches }
    }
}

impl From<wire::Placing> for Placing {
    fn from(wire: wire::Placing) -> Self {
        let wire::Placing { user_alone, contiguous, spread, use_min_nodes, switches } = wire;
        let switches = switches.map(|wire::Switches { most, wait_s }| Switches { most, wait_s });
        Self { user_alone, contiguous, spread, use_min_nodes, switches }
    }
}

fn licenses(text: &str) -> Result<Licenses, Invalid> {
    Licenses::parse(text).map_err(|_| Invalid::Unknown("licenses"))
}

/// None where nothing changes.
pub(super) fn changes_message(changes: &AskChanges) -> Option<wire::AskChanges> {
    let message = || wire::AskChanges {
        licenses: changes.licenses.as_ref().map(|licenses| licenses.text.clone()),
        deadline: changes.deadline.map(|at| at.0),
        time_min: changes.time_min.map(Into::into),
    };
    (*changes != AskChanges::default()).then(message)
}

impl TryFrom<wire::AskChanges> for AskChanges {
    type Error = Invalid;

    fn try_from(wire: wire::AskChanges) -> Result<Self, Invalid> {
        Ok(Self {
            licenses: wire.licenses.as_deref().map(licenses).transpose()?,
            deadline: wire.deadline.map(Timestamp),
            time_min: wire.time_min.map(Into::into),
        })
    }
}
