//! How refusals and failures look on the wire, and who calls.

use common::{
    id::{RequestId, UserId},
    machine::{By, Refusal, State},
};
use proto::Invalid;
use raft_store::Unavailable;
use tonic::{Request, Status};
use trust::{controllers::not_leader, gate::caller, identity::Subject};

use crate::proposer::Rejected;

/// The metadata that carries Slurm's number of a refusal.
pub(crate) const ERRNO_KEY: &str = "slurm-errno";

/// The metadata that carries what Slurm's commands say before the refusal.
const DETAIL_KEY: &str = "slurm-detail";

pub(crate) fn rejected(rejected: Rejected) -> Status {
    match rejected {
        Rejected::Refused(refusal) => refused(&refusal),
        Rejected::NotLeader { leader } => not_leader(leader.as_deref()),
        Rejected::Unknown => {
            Status::unavailable("leadership was lost before the outcome was known")
        }
    }
}

pub(crate) fn refused(refusal: &Refusal) -> Status {
    let mut status = Status::failed_precondition(refusal.to_string());
    if let Some(errno) = refusal.errno() {
        let value = errno.to_string().parse().expect("digits are metadata");
        status.metadata_mut().insert(ERRNO_KEY, value);
    }
    // A name that is not ASCII, and so no metadata, is left out.
    if let Some(value) = refusal.detail().and_then(|detail| detail.parse().ok()) {
        status.metadata_mut().insert(DETAIL_KEY, value);
    }
    status
}

pub(crate) fn unavailable(unavailable: &Unavailable) -> Status {
    match unavailable {
        Unavailable::NoLeader => not_leader(None),
        Unavailable::NotLeader { name } => not_leader(Some(name)),
        Unavailable::Unreachable { .. } | Unavailable::Behind | Unavailable::Stopped => {
            Status::unavailable(unavailable.to_string())
        }
    }
}

pub(crate) fn invalid(invalid: &Invalid) -> Status {
    Status::invalid_argument(invalid.to_string())
}

/// Refuses who is no operator in `state`.
pub(crate) fn operator_in(state: &State, user: UserId) -> Result<(), Status> {
    if state.is_operator(user) { Ok(()) } else { Err(refused(&Refusal::NotOperator)) }
}

/// The user that the certificate of the connection names.
pub(crate) fn user<T>(request: &Request<T>) -> Result<(UserId, String), Status> {
    match caller(request)?.subject() {
        Some(Subject::User { uid, name }) => Ok((UserId(*uid), name.clone())),
        Some(Subject::Node { .. } | Subject::Controller { .. }) | None => {
            Err(Status::permission_denied("only a user may ask for this"))
        }
    }
}

/// The node that the certificate of the connection names.
pub(crate) fn node<T>(request: &Request<T>) -> Result<String, Status> {
    let node = caller(request)?.node().map(str::to_owned);
    node.ok_or_else(|| Status::permission_denied("only a node may ask for this"))
}

/// The user, and the request id that the message carries.
pub(crate) fn by<T>(request: &Request<T>, id: &[u8]) -> Result<By, Status> {
    let (user, _) = user(request)?;
    let id = <[u8; 16]>::try_from(id);
    let id = id.map_err(|_| Status::invalid_argument("`request` must have 16 bytes"))?;
    Ok(By { user, request: RequestId(id) })
}

#[cfg(test)]
mod tests {
    use common::id::JobId;
    use tonic::Code;

    use super::*;

    #[test]
    fn refusals_carry_slurm_s_text_and_number() {
        let status = refused(&Refusal::NoSuchJob(JobId(7)));
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), "Invalid job id specified");
        let number = status.metadata().get(ERRNO_KEY).expect("a number");
        assert_eq!(number, "2017");
        let status = refused(&Refusal::NoSuchPartition("x".to_owned()));
        let detail = status.metadata().get(DETAIL_KEY).expect("a detail");
        assert_eq!(detail, "invalid partition specified: x");
        assert!(refused(&Refusal::Token).metadata().get(ERRNO_KEY).is_none());
    }

    #[test]
    fn who_can_t_serve_says_who_can() {
        let status = rejected(Rejected::NotLeader { leader: Some("ctl2".into()) });
        assert_eq!(status.code(), Code::Unavailable);
        let leader = status.metadata().get(trust::controllers::LEADER_KEY).expect("a name");
        assert_eq!(leader, "ctl2");
        let lost = rejected(Rejected::Unknown);
        assert_eq!(lost.code(), Code::Unavailable);
        assert!(lost.metadata().get(trust::controllers::LEADER_KEY).is_none());
    }
}
