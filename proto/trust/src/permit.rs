//! The table of permissions: which role may call which method.
//!
//! It is the only one. What a user may do to whose job is decided further in, from the uid in the
//! certificate; here is only who may knock at which door at all.
//!
//! **Invariant:** a method that is not in the table is refused to everybody.

use std::{fmt, sync::Arc};

use crate::identity::{Identity, Subject};

/// Who makes a call, as the certificate of the connection says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody: there was no certificate.
    Anonymous,
    Member(Arc<Identity>),
}

impl Caller {
    /// The user's uid, if the caller is one.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        match self.subject()? {
            Subject::User { uid, .. } => Some(*uid),
            Subject::Controller { .. } | Subject::Node { .. } => None,
        }
    }

    /// The node's name, if the caller is one.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match self.subject()? {
            Subject::Node { name } => Some(name),
            Subject::Controller { .. } | Subject::User { .. } => None,
        }
    }

    /// The controller's name, if the caller is one.
    #[must_use]
    pub fn controller(&self) -> Option<&str> {
        match self.subject()? {
            Subject::Controller { name } => Some(name),
            Subject::Node { .. } | Subject::User { .. } => None,
        }
    }

    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Anonymous => None,
            Self::Member(identity) => Some(&identity.subject),
        }
    }

    /// The set of the one role that the caller has.
    #[must_use]
    pub fn role(&self) -> Roles {
        match self.subject() {
            None => Roles::ANONYMOUS,
            Some(Subject::User { .. }) => Roles::USER,
            Some(Subject::Node { .. }) => Roles::NODE,
            Some(Subject::Controller { .. }) => Roles::CONTROLLER,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject() {
            None => f.write_str("anonymous"),
            Some(subject) => subject.fmt(f),
        }
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    pub const ANONYMOUS: Self = Self(1);
    pub const USER: Self = Self(2);
    pub const NODE: Self = Self(4);
    pub const CONTROLLER: Self = Self(8);

    /// Each role by itself.
    pub const ALL: [Self; 4] = [Self::ANONYMOUS, Self::USER, Self::NODE, Self::CONTROLLER];

    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

const ANONYMOUS: Roles = Roles::ANONYMOUS;
const USER: Roles = Roles::USER;
const NODE: Roles = Roles::NODE;
const CONTROLLER: Roles = Roles::CONTROLLER;
const MEMBER: Roles = USER.or(NODE).or(CONTROLLER);

/// Each method of each service, by its path in HTTP/2, and who may call it.
pub const TABLE: &[(&str, Roles)] = &[
    ("/rafter.ctl.v1.Controller/Submit", USER),
    ("/rafter.ctl.v1.Controller/TestOnly", USER),
    ("/rafter.ctl.v1.Controller/Cancel", USER),
    ("/rafter.ctl.v1.Controller/Hold", USER),
    ("/rafter.ctl.v1.Controller/Release", USER),
    ("/rafter.ctl.v1.Controller/Requeue", USER),
    ("/rafter.ctl.v1.Controller/UpdateJob", USER),
    ("/rafter.ctl.v1.Controller/UpdateNode", USER),
    ("/rafter.ctl.v1.Controller/IssueToken", USER),
    ("/rafter.ctl.v1.Controller/RemoveController", USER),
    ("/rafter.ctl.v1.Controller/TakeOver", USER),
    ("/rafter.ctl.v1.Controller/Backup", USER),
    ("/rafter.ctl.v1.Controller/RollAuthority", USER),
    ("/rafter.ctl.v1.Controller/TakeAuthority", CONTROLLER),
    ("/rafter.ctl.v1.Controller/LoadAccounts", USER),
    ("/rafter.ctl.v1.Controller/CreateReservation", USER),
    ("/rafter.ctl.v1.Controller/UpdateReservation", USER),
    ("/rafter.ctl.v1.Controller/DeleteReservation", USER),
    ("/rafter.ctl.v1.Controller/Reconfigure", USER),
    ("/rafter.ctl.v1.Controller/Jobs", USER),
    ("/rafter.ctl.v1.Controller/BatchScript", USER),
    ("/rafter.ctl.v1.Controller/Nodes", USER),
    ("/rafter.ctl.v1.Controller/Config", USER),
    ("/rafter.ctl.v1.Controller/Ping", MEMBER),
    ("/rafter.ctl.v1.Controller/Status", MEMBER),
    ("/rafter.ctl.v1.Controller/Events", USER),
    ("/rafter.ctl.v1.Controller/Accounts", USER),
    ("/rafter.ctl.v1.Controller/Reservations", USER),
    ("/rafter.ctl.v1.Controller/Digest", USER),
    ("/rafter.ctl.v1.Controller/Why", USER),
    ("/rafter.ctl.v1.Controller/WhatIf", USER),
    ("/rafter.ctl.v1.Controller/SchedDump", USER),
    // Whoever has a certificate has joined. With one it would be unclear which of the two counts.
    ("/rafter.node.v1.Join/Join", ANONYMOUS),
    ("/rafter.node.v1.Node/Attach", NODE),
    ("/rafter.node.v1.Node/Vouch", NODE),
    ("/rafter.node.v1.Node/Renew", NODE.or(CONTROLLER)),
    ("/rafter.node.v1.Node/Fetch", NODE),
    ("/rafter.raft.v1.Raft/Greet", CONTROLLER),
    ("/rafter.raft.v1.Raft/Append", CONTROLLER),
    ("/rafter.raft.v1.Raft/Heartbeat", CONTROLLER),
    ("/rafter.raft.v1.Raft/Vote", CONTROLLER),
    ("/rafter.raft.v1.Raft/PreVote", CONTROLLER),
    ("/rafter.raft.v1.Raft/TransferLeader", CONTROLLER),
    ("/rafter.raft.v1.Raft/ReadIndex", CONTROLLER),
    ("/rafter.raft.v1.Raft/Muster", CONTROLLER),
    ("/rafter.raft.v1.Raft/Snapshot", CONTROLLER),
];

/// The methods of users that a host may call for a user, through its [`crate::door`]: what users
/// do to jobs, each one question and one answer. What operators do to the cluster is not among
/// them, nor what hands out anything secret.
pub const THROUGH_THE_DOOR: &[&str] = &[
    "/rafter.ctl.v1.Controller/Submit",
    "/rafter.ctl.v1.Controller/TestOnly",
    "/rafter.ctl.v1.Controller/Cancel",
    "/rafter.ctl.v1.Controller/Hold",
    "/rafter.ctl.v1.Controller/Release",
    "/rafter.ctl.v1.Controller/Requeue",
    "/rafter.ctl.v1.Controller/UpdateJob",
];

/// The method of this path, if a host may call it for a user.
#[must_use]
pub fn through_the_door(method: &str) -> Option<&'static str> {
    THROUGH_THE_DOOR.iter().find(|path| **path == method).copied()
}

/// Whether `caller` may call `method`, such as `/rafter.ctl.v1.Controller/Submit`.
#[must_use]
pub fn permitted(caller: &Caller, method: &str) -> bool {
    let row = TABLE.iter().find(|(path, _)| *path == method);
    row.is_some_and(|(_, roles)| roles.contains(caller.role()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::identity::ClusterId;

    fn callers() -> [Caller; 4] {
        let member =
            |subject| Caller::Member(Arc::new(Identity { cluster: ClusterId([1; 16]), subject }));
        [
            Caller::Anonymous,
            member(Subject::User { uid: 0, name: "root".into() }),
            member(Subject::Node { name: "n1".into() }),
            member(Subject::Controller { name: "ctl1".into() }),
        ]
    }

    #[test]
    fn each_caller_has_a_role_of_its_own() {
        assert_eq!(callers().map(|caller| caller.role()), Roles::ALL);
    }

    #[test]
    fn no_method_stands_twice_and_each_has_a_caller() {
        for (at, (path, roles)) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|(other, _)| other != path), "{path} twice");
            assert!(Roles::ALL.iter().any(|role| roles.contains(*role)), "{path} for nobody");
            let (service, method) = path[1..].split_once('/').expect("a service and a method");
            assert!(path.starts_with("/rafter.") && service.split('.').count() == 4, "{path}");
            assert!(method.chars().all(|c| c.is_ascii_alphabetic()), "{path}");
        }
    }

    /// The paths of all methods in the protocol's files.
    fn wire() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        let mut paths = Vec::new();
        for file in fs::read_dir(folder).expect("the protocol's folder") {
            let text = fs::read_to_string(file.expect("an entry").path()).expect("a file");
            let (mut package, mut service) = ("", "");
            for line in text.lines() {
                let mut words = line.trim().split([' ', ';', '(']);
                let (kind, name) = (words.next(), words.next().unwrap_or_default());
                match kind {
                    Some("package") => package = name,
                    Some("service") => service = name,
                    Some("rpc") => paths.push(format!("/{package}.{service}/{name}")),
                    Some(_) | None => {}
                }
            }
        }
        paths
    }

    #[test]
    fn the_table_has_each_method_of_the_wire_and_no_other() {
        let wire = wire();
        assert!(wire.len() >= 20, "the files were not understood: {wire:?}");
        for path in &wire {
            assert!(TABLE.iter().any(|(row, _)| row == path), "{path} is missing in the table");
        }
        for (row, _) in TABLE {
            assert!(wire.iter().any(|path| path == row), "{row} is no method");
        }
    }

    #[test]
    fn only_methods_of_users_are_called_for_users() {
        for path in THROUGH_THE_DOOR {
            let row = TABLE.iter().find(|(known, _)| known == path);
            assert_eq!(row.map(|(_, roles)| *roles), Some(USER), "{path}");
        }
        for operators in ["IssueToken", "Backup", "RollAuthority", "TakeOver", "Reconfigure"] {
            let path = format!("/rafter.ctl.v1.Controller/{operators}");
            assert_eq!(through_the_door(&path), None, "{path}");
        }
    }

    #[test]
    fn the_log_is_for_controllers_alone() {
        for (path, roles) in TABLE.iter().filter(|(path, _)| path.starts_with("/rafter.raft.")) {
            assert_eq!(*roles, Roles::CONTROLLER, "{path}");
        }
    }

    #[test]
    fn the_anonymous_may_join_and_nothing_else() {
        let open: Vec<&str> = TABLE
            .iter()
            .filter(|(path, _)| permitted(&Caller::Anonymous, path))
            .map(|(path, _)| *path)
            .collect();
        assert_eq!(open, ["/rafter.node.v1.Join/Join"]);
    }

    #[test]
    fn each_role_has_its_doors() {
        let [anonymous, user, node, controller] = callers();
        let table = [
            ("/rafter.ctl.v1.Controller/Submit", [false, true, false, false]),
            ("/rafter.ctl.v1.Controller/IssueToken", [false, true, false, false]),
            ("/rafter.ctl.v1.Controller/Ping", [false, true, true, true]),
            ("/rafter.node.v1.Join/Join", [true, false, false, false]),
            ("/rafter.node.v1.Node/Attach", [false, false, true, false]),
            ("/rafter.node.v1.Node/Vouch", [false, false, true, false]),
        ];
        for (path, expected) in table {
            let found = [&anonymous, &user, &node, &controller].map(|c| permitted(c, path));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn an_unknown_method_is_for_nobody() {
        let paths = [
            "",
            "/",
            "/rafter.ctl.v1.Controller/submit",
            "/rafter.ctl.v1.Controller/Submit/",
            "rafter.ctl.v1.Controller/Submit",
            "/rafter.ctl.v1.Controller/Submit?x",
            "//rafter.ctl.v1.Controller/Submit",
            "/rafter.ctl.v2.Controller/Submit",
            "/rafter.node.v1.Join/Join ",
            "/grpc.reflection.v1.ServerReflection/Info",
        ];
        for path in paths {
            assert!(callers().iter().all(|caller| !permitted(caller, path)), "{path:?}");
        }
    }
}
