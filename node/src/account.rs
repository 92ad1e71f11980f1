//! Who a job runs as, by this host's own word.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist};

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
    pub home: String,
    pub shell: String,
    /// The supplementary groups, the job's own among them.
    pub groups: Vec<u32>,
}

/// Why this host can't run jobs of a user.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// In Slurm's words.
    #[error("User not found on host")]
    Unknown,
    #[error("rafterd runs as user {me} on this node, and starts jobs of that user alone")]
    NotOurs { me: u32 },
    #[error("the user's groups can't be looked up")]
    Lookup(#[source] nix::Error),
}

/// The account of `uid`, whose job runs with the group `gid`.
///
/// # Errors
/// Where the host does not know the user, or may not run anything for it.
pub fn look_up(uid: u32, gid: u32) -> Result<Account, AccountError> {
    let me = geteuid();
    if !me.is_root() && me.as_raw() != uid {
        return Err(AccountError::NotOurs { me: me.as_raw() });
    }
    let user = User::from_uid(Uid::from_raw(uid)).map_err(AccountError::Lookup)?;
    let user = user.ok_or(AccountError::Unknown)?;
    let name = CString::new(user.name.as_str()).map_err(|_| AccountError::Unknown)?;
    let groups = getgrouplist(&name, Gid::from_raw(gid)).map_err(AccountError::Lookup)?;
    Ok(Account {
        uid,
        gid,
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        name: user.name,
    })
}

/// The name of a user of this host.
///
/// # Errors
/// Where there is no such user.
pub fn name_of(uid: u32) -> Result<String, AccountError> {
    let user = User::from_uid(Uid::from_raw(uid)).map_err(AccountError::Lookup)?;
    Ok(user.ok_or(AccountError::Unknown)?.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_the_tests_has_an_account() {
        let me = geteuid().as_raw();
        let account = look_up(me, 12_345).expect("an account");
        assert_eq!(account.uid, me);
        assert!(account.groups.contains(&12_345), "the job's own group is among them");
        assert_eq!(name_of(me).expect("a name"), account.name);
    }

    #[test]
    fn a_stranger_is_refused() {
        let stranger = 3_999_999_999;
        let refused = look_up(stranger, 1).expect_err("nobody");
        match geteuid().as_raw() {
            0 => assert_eq!(refused.to_string(), "User not found on host"),
            me => assert!(matches!(refused, AccountError::NotOurs { me: said } if said == me)),
        }
    }
}
