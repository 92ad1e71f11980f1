//! A job, as data: what was asked for, where it is in its life, and how it ended.

mod array;
mod asks;
mod constraint;
mod cores;
mod dependency;
mod end;
mod het;
mod license;
mod placing;
mod reason;
mod spec;
mod state;

pub use array::{ArrayError, ArrayPart, ArraySpec, MAX_ARRAY_SIZE, MOST_TASKS, TaskRun, TaskSet};
pub use asks::{AskChanges, Asks};
pub use constraint::{Constraint, ConstraintError, Features, Join, assign};
pub use cores::CoreAsk;
pub use dependency::{Condition, Dependency, DependencyError, Fate, On, Progress, Relation, Task};
pub use end::{End, EndState, ExitStatus, Requeue};
pub use het::HetPart;
pub(crate) use license::license;
pub use license::{LicenseError, Licenses};
pub use placing::{Placing, SwitchError, Switches};
pub use reason::Reason;
pub use spec::{
    JobChanges, JobSpec, Layout, MemoryRequest, OpenMode, ResourceLimit, SignalScope, WarnSignal,
};
pub use state::{
    Charge, Hold, Job, PendingSignal, Phase, Place, Preempted, Rank, Run, Stage, Stay,
};
