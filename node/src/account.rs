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
    /// The supplementary groups.
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
    /// The group comes with the submission, whose sender may write there what he likes.
    #[error("user {user} is not a member of group {gid} on this node")]
    NotMember { user: String, gid: u32 },
    #[error("the user's groups can't be looked up")]
    Lookup(#[source] nix::Error),
}

/// The account of `uid`, whose job runs with the group `gid`: one of the user's own.
///
/// # Errors
/// Where the host does not know the user, may not run anything for it, or does not count it among
/// the group's members.
pub fn look_up(uid: u32, gid: u32) -> Result<Account, AccountError> {
    let me = geteuid();
    if !me.is_root() && me.as_raw() != uid {
        return Err(AccountError::NotOurs { me: me.as_raw() });
    }
    let user = User::from_uid(Uid::from_raw(uid)).map_err(AccountError::Lookup)?;
    let user = user.ok_or(AccountError::Unknown)?;
    let name = CString::new(user.name.as_str()).map_err(|_| AccountError::Unknown)?;
    let groups = getgrouplist(&name, user.gid).map_err(AccountError::Lookup)?;
    let groups: Vec<u32> = groups.into_iter().map(Gid::as_raw).collect();
    // Root may have any group, and an ordinary user's daemon can give no other than its own.
    let free = uid == 0 || !me.is_root();
    if !free && !groups.contains(&gid) {
        return Err(AccountError::NotMember { user: user.name, gid });
    }
    Ok(Account {
        uid,
        gid,
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
        groups,
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
        let own = nix::unistd::getegid().as_raw();
        let account = look_up(me, own).expect("an account");
        assert_eq!((account.uid, account.gid), (me, own));
        assert!(!account.groups.is_empty(), "the user's own group is among them");
        assert_eq!(name_of(me).expect("a name"), account.name);
    }

    /// Whoever submits could else name root's group, or the one that may read the shadow file.
    #[test]
    fn a_group_that_the_user_is_no_member_of_is_refused() {
        if !geteuid().is_root() {
            return;
        }
        let nobody = User::from_name("nobody").expect("looked up").expect("every system has one");
        let (uid, own) = (nobody.uid.as_raw(), nobody.gid.as_raw());
        assert_eq!(look_up(uid, own).expect("its own group").gid, own);
        for gid in [0, 42, 12_345] {
            let refused = look_up(uid, gid).expect_err("not a member");
            let text = format!("user nobody is not a member of group {gid} on this node");
            assert_eq!(refused.to_string(), text);
        }
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
