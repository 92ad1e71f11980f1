//! Which component of a heterogeneous job a job is.

use common::{id::JobId, job::HetPart};

use crate::{Invalid, types as wire};

impl From<HetPart> for wire::HetPart {
    fn from(part: HetPart) -> Self {
        Self { leader: part.leader.0, offset: part.offset, size: part.size }
    }
}

impl TryFrom<wire::HetPart> for HetPart {
    type Error = Invalid;

    fn try_from(wire: wire::HetPart) -> Result<Self, Invalid> {
        let wire::HetPart { leader, offset, size } = wire;
        let fits = offset < size && size <= Self::MOST && leader.checked_add(size).is_some();
        let part = Self { leader: JobId(leader), offset, size };
        fits.then_some(part).ok_or(Invalid::Range("het"))
    }
}
