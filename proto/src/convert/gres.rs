//! Generic resources.

use std::sync::Arc;

use common::{
    config::GresConf,
    gres::{Gres, GresRequest, Wanted},
    node::GresFound,
};

use crate::{Invalid, config, types as wire};

impl From<&Gres> for wire::Gres {
    fn from(gres: &Gres) -> Self {
        Self {
            name: gres.name.clone(),
            r#type: gres.kind.clone(),
            count: gres.count,
            ids: gres.ids.clone(),
        }
    }
}

impl TryFrom<wire::Gres> for Gres {
    type Error = Invalid;

    fn try_from(wire: wire::Gres) -> Result<Self, Invalid> {
        let rising = wire.ids.is_sorted_by(|one, next| one < next);
        if !wire.ids.is_empty() && (!rising || wire.ids.len() as u64 != wire.count) {
            return Err(Invalid::Range("ids"));
        }
        Ok(Self { name: wire.name, kind: wire.r#type, count: wire.count, ids: wire.ids })
    }
}

pub(super) fn several(all: &[Gres]) -> Vec<wire::Gres> {
    all.iter().map(Into::into).collect()
}

pub(super) fn all(wires: Vec<wire::Gres>) -> Result<Vec<Gres>, Invalid> {
    wires.into_iter().map(TryInto::try_into).collect()
}

impl From<&Wanted> for wire::GresWanted {
    fn from(wanted: &Wanted) -> Self {
        Self { name: wanted.name.clone(), r#type: wanted.kind.clone(), count: wanted.count }
    }
}

impl From<wire::GresWanted> for Wanted {
    fn from(wire: wire::GresWanted) -> Self {
        Self { name: wire.name, kind: wire.r#type, count: wire.count }
    }
}

impl From<&GresRequest> for wire::GresRequest {
    fn from(request: &GresRequest) -> Self {
        let list = |list: &[Wanted]| list.iter().map(Into::into).collect();
        Self {
            per_node: list(&request.per_node),
            gpus_per_node: list(&request.gpus_per_node),
            gpus: list(&request.gpus),
            gpus_per_task: list(&request.gpus_per_task),
            cpus_per_gpu: request.cpus_per_gpu,
            memory_per_gpu_mib: request.memory_per_gpu,
        }
    }
}

impl From<wire::GresRequest> for GresRequest {
    fn from(wire: wire::GresRequest) -> Self {
        let list = |list: Vec<wire::GresWanted>| list.into_iter().map(Into::into).collect();
        Self {
            per_node: list(wire.per_node),
            gpus_per_node: list(wire.gpus_per_node),
            gpus: list(wire.gpus),
            gpus_per_task: list(wire.gpus_per_task),
            cpus_per_gpu: wire.cpus_per_gpu,
            memory_per_gpu: wire.memory_per_gpu_mib,
        }
    }
}

pub(super) fn shared(wire: Option<wire::GresRequest>) -> Option<Arc<GresRequest>> {
    wire.map(|wire| Arc::new(wire.into()))
}

pub(super) fn found(found: &[GresFound]) -> wire::GresFound {
    let one = |found: &GresFound| wire::GresWanted {
        name: found.name.clone(),
        r#type: None,
        count: found.count,
    };
    wire::GresFound { found: found.iter().map(one).collect() }
}

pub(super) fn of_found(wire: wire::GresFound) -> Vec<GresFound> {
    let one = |found: wire::GresWanted| GresFound { name: found.name, count: found.count };
    wire.found.into_iter().map(one).collect()
}

impl From<&GresConf> for config::GresConf {
    fn from(conf: &GresConf) -> Self {
        Self {
            name: conf.name.clone(),
            r#type: conf.kind.clone(),
            count: conf.count,
            files: conf.files.clone(),
            cores: conf.cores.clone(),
        }
    }
}

impl From<config::GresConf> for GresConf {
    fn from(wire: config::GresConf) -> Self {
        Self {
            name: wire.name,
            kind: wire.r#type,
            count: wire.count,
            files: wire.files,
            cores: wire.cores,
        }
    }
}
