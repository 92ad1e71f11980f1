//! What can go wrong, as far as callers tell it apart.

use std::{
    io,
    path::{Path, PathBuf},
};

use common::id::ClusterId;

/// Why a store can't be made, opened, or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is a store in {} already", folder.display())]
    Exists { folder: PathBuf },
    #[error(
        "there is no store in {}: it was removed, or never made. A controller that has lost its \
         store must not come back under its old number: remove it from the cluster \
         (rafter controller remove), and let it join anew",
        folder.display()
    )]
    Missing { folder: PathBuf },
    #[error(
        "the store in {} belongs to controller {name} (number {raft_id}) of cluster {cluster}, \
         not to this one",
        folder.display()
    )]
    Foreign { folder: PathBuf, cluster: ClusterId, raft_id: u64, name: String },
    #[error("the store in {} is in use by another process", folder.display())]
    Locked { folder: PathBuf },
    /// Something that was durable is not there any more, or is not what it was.
    #[error(
        "the store in {} is damaged: {what}. Do not repair it by hand: move it away, remove this \
         controller from the cluster (rafter controller remove), and let it join anew, empty",
        folder.display()
    )]
    Damaged { folder: PathBuf, what: String },
    #[error("the store in {} can't be read or written", folder.display())]
    Disk { folder: PathBuf, source: io::Error },
    #[error("the log can't be started: {reason}")]
    Start { reason: String },
}

/// Why a read can't be answered just now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Nobody is known to lead, or the leader can't reach a majority.
    #[error("there is no leader")]
    NoLeader,
    /// Another controller leads.
    #[error("controller {name} leads, not this one")]
    NotLeader { name: String },
    /// The leader did not answer in time.
    #[error("controller {name}, which leads, did not answer: {reason}")]
    Unreachable { name: String, reason: String },
    /// This controller is too far behind.
    #[error("this controller has not caught up with the log yet")]
    Behind,
    /// The log has stopped.
    #[error("the log has stopped")]
    Stopped,
}

/// Why the membership was not changed. The change may be asked for again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    #[error("this controller does not lead")]
    NotLeader,
    #[error("controller number {raft_id} is called {name}")]
    Taken { raft_id: u64, name: String },
    #[error("the last controller can't be removed")]
    Last,
    #[error("controller {name} has not caught up with the log yet")]
    Behind { name: String },
    #[error("the change of membership did not come through: {reason}")]
    Failed { reason: String },
}

impl StoreError {
    pub(crate) fn damaged(folder: &Path, what: String) -> Self {
        Self::Damaged { folder: folder.to_owned(), what }
    }

    pub(crate) fn disk(folder: &Path, source: io::Error) -> Self {
        Self::Disk { folder: folder.to_owned(), source }
    }

    /// What RocksDB reports: that the files are wrong, or that they can't be reached.
    pub(crate) fn rocks(folder: &Path, error: &rocksdb::Error) -> Self {
        if error.kind() == rocksdb::ErrorKind::Corruption {
            return Self::damaged(folder, error.to_string());
        }
        Self::disk(folder, io::Error::other(error.to_string()))
    }
}

/// An error with all that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
