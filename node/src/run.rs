//! One run of a job on this node, and what is said about it.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use common::{
    id::{Attempt, JobId},
    job::{ExitStatus, Job, SignalScope},
    machine::{Cause, Report},
    time::{Span, Timestamp},
};

/// A job's run: what orders and reports are about, and the name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    pub job: JobId,
    pub attempt: Attempt,
}

impl RunId {
    #[must_use]
    pub fn of(job: &Job) -> Self {
        Self { job: job.id, attempt: job.attempt }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.attempt)
    }
}

/// The text is not `JOB.ATTEMPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JOB.ATTEMPT")]
pub struct NoRun;

impl FromStr for RunId {
    type Err = NoRun;

    /// Reads what `Display` writes, and no other spelling of it.
    fn from_str(text: &str) -> Result<Self, NoRun> {
        let (job, attempt) = text.split_once('.').ok_or(NoRun)?;
        let number = |text: &str| text.parse().map_err(|_| NoRun);
        let run = Self { job: JobId(number(job)?), attempt: Attempt(number(attempt)?) };
        if run.to_string() == text { Ok(run) } else { Err(NoRun) }
    }
}

/// What the leader wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Launch(Box<Launch>),
    Terminate {
        run: RunId,
        termination: Termination,
    },
    Signal {
        run: RunId,
        signal: Signal,
    },
    /// The log has the end of this run: the node may forget it.
    Release(RunId),
}

/// A run that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub job: Arc<Job>,
    /// The other components of a heterogeneous job, which hold nodes for it.
    pub components: Vec<Job>,
    /// The batch script and the environment; what is none is fetched by its hash.
    pub script: Option<Bytes>,
    pub environment: Option<Bytes>,
}

impl Launch {
    #[must_use]
    pub fn run(&self) -> RunId {
        RunId::of(&self.job)
    }
}

/// How a run is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    pub cause: Cause,
    /// The time between SIGTERM and SIGKILL.
    pub kill_wait: Span,
    /// When it was decided, for the job's own output.
    pub at: Timestamp,
}

/// A signal for a run. Each number is delivered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    pub number: u32,
    pub signal: u8,
    pub scope: SignalScope,
}

/// How a run ended, as far as its node can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The script ended, and nothing of it is left.
    Exited { at: Timestamp, exit: ExitStatus, out_of_memory: bool },
    /// It never began, and never will.
    LaunchFailed { at: Timestamp, message: String, node_fault: bool },
    /// Its supervisor is gone without a word.
    Lost { at: Timestamp },
}

impl From<End> for Report {
    fn from(end: End) -> Self {
        match end {
            End::Exited { at, exit, out_of_memory } => Self::Ended { at, exit, out_of_memory },
            End::LaunchFailed { at, message, node_fault } => {
                Self::LaunchFailed { at, message, node_fault }
            }
            End::Lost { at } => Self::Lost { at },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_has_one_spelling() {
        let run = RunId { job: JobId(7), attempt: Attempt(2) };
        assert_eq!("7.2".parse(), Ok(run));
        for text in ["", "7", "7.", ".2", "07.2", "7.2 ", "+7.2", "7.2.1", "-1.1", "4294967296.1"] {
            assert_eq!(text.parse::<RunId>(), Err(NoRun), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_run_survives_its_text(job in any::<u32>(), attempt in any::<u32>()) {
            let run = RunId { job: JobId(job), attempt: Attempt(attempt) };
            prop_assert_eq!(run.to_string().parse(), Ok(run));
        }
    }
}
