//! How a run of a job ended.

use crate::{id::UserId, time::Timestamp};

/// Slurm's last states of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndState {
    Completed,
    Failed,
    Cancelled,
    Timeout,
    NodeFail,
    OutOfMemory,
    /// It could not be over by its deadline, and never ran.
    Deadline,
    /// It made way for another job.
    Preempted,
}

/// What the batch script ended with: an exit code, or a signal, as `ExitCode=code:signal` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExitStatus {
    pub code: u8,
    pub signal: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub at: Timestamp,
    pub state: EndState,
    pub exit: ExitStatus,
    /// Who cancelled it.
    pub by: Option<UserId>,
    /// What Slurm shows as `Reason=` of an ended job.
    pub reason: Option<super::Reason>,
    /// What the node says of a launch that failed, for people.
    pub message: Option<String>,
}

/// That the job runs again once this run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Requeue {
    /// Not before this moment.
    pub begin: Option<Timestamp>,
    /// `scontrol requeuehold`: the job waits to be released.
    pub hold: bool,
}
