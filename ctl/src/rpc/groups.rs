//! `AllowGroups`: who may enter a partition because of a group.
//!
//! Which groups a user is in is not in the log. The host of the controller that takes the request
//! knows it, as the host of `slurmctld` does.

use std::ffi::CString;

use common::{
    config::{Config, EnforcePartLimits},
    id::{PartitionName, UserId},
    machine::{Refusal, State},
};
use nix::unistd::{Group, Uid, User, getgrouplist};
use tonic::Status;

use super::status::refused;

/// Why somebody is not admitted.
#[derive(Debug)]
pub(super) enum NotAdmitted {
    Refused(Refusal),
    /// His groups can't be told now.
    Unknown(nix::Error),
}

impl From<NotAdmitted> for Status {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Refused(refusal) => refused(&refusal),
            NotAdmitted::Unknown(error) => Self::unavailable(format!("the user's groups: {error}")),
        }
    }
}

/// Leaves those of the partitions that `state` says are for a group of the user's, and refuses him
/// where none is; with `EnforcePartLimits=ALL`, also where one is not. An empty name is the default
/// partition.
pub(super) async fn admit(
    state: &State,
    user: UserId,
    partitions: &mut PartitionName,
) -> Result<(), NotAdmitted> {
    let all = state.config.as_ref().map(|config| config.enforce_part_limits)
        == Some(EnforcePartLimits::All);
    let mut admitting = Vec::new();
    let mut refusal = Ok(());
    for name in partitions.each() {
        match admit_to(state, user, &name.into()).await {
            Ok(()) => admitting.push(name),
            Err(why) => refusal = refusal.and(Err(why)),
        }
    }
    if all || admitting.is_empty() {
        return refusal;
    }
    if refusal.is_err() {
        *partitions = PartitionName::from(admitting.join(","));
    }
    Ok(())
}

async fn admit_to(
    state: &State,
    user: UserId,
    partition: &PartitionName,
) -> Result<(), NotAdmitted> {
    let allowed = allowed(state, user, partition).to_vec();
    if allowed.is_empty() {
        return Ok(());
    }
    let admitted = tokio::task::spawn_blocking(move || is_in(user, &allowed));
    match admitted.await.expect("the look-up does not panic") {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotAdmitted::Refused(Refusal::PartitionGroup)),
        Err(error) => Err(NotAdmitted::Unknown(error)),
    }
}

/// The groups that the user has to be in one of, if any. Operators may enter whatever there is.
fn allowed<'a>(state: &'a State, user: UserId, partition: &PartitionName) -> &'a [String] {
    if state.is_operator(user) {
        return &[];
    }
    let conf = |config: &'a Config| match partition.as_str() {
        "" => config.default_partition(),
        name => config.partition(name),
    };
    state
        .config
        .as_ref()
        .and_then(|config| conf(config))
        .map_or(&[], |partition| &partition.allow_groups)
}

/// Whether this host counts the user among the members of one of the groups.
fn is_in(user: UserId, groups: &[String]) -> nix::Result<bool> {
    let Some(user) = User::from_uid(Uid::from_raw(user.0))? else { return Ok(false) };
    let Ok(name) = CString::new(user.name) else { return Ok(false) };
    for gid in getgrouplist(&name, user.gid)? {
        if Group::from_gid(gid)?.is_some_and(|group| groups.contains(&group.name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use nix::unistd::geteuid;

    use super::*;

    #[test]
    fn a_user_is_in_his_own_group_and_in_no_other() {
        let me = User::from_uid(geteuid()).unwrap().expect("who runs the tests has an account");
        let own = Group::from_gid(me.gid).unwrap().expect("its group has a name");
        let me = UserId(me.uid.as_raw());
        assert_eq!(is_in(me, &["nobodys".to_owned(), own.name]), Ok(true));
        assert_eq!(is_in(me, &["nobodys".to_owned()]), Ok(false));
        assert_eq!(is_in(UserId(u32::MAX - 7), &["root".to_owned()]), Ok(false), "an unknown user");
    }
}
