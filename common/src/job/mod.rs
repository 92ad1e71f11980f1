//! A job, as data: what was asked for, where it is in its life, and how it ended.

mod array;
mod constraint;
mod dependency;
mod end;
mod reason;
mod spec;
mod state;

pub use array::{ArrayError, ArrayPart, ArraySpec, MAX_ARRAY_SIZE, MOST_TASKS, TaskRun, TaskSet};
pub use constraint::{Constraint, ConstraintError, Features, Join, assign};
pub use dependency::{Condition, Dependency, DependencyError, Fate, On, Progress, Relation, Task};
pub use end::{End, EndState, ExitStatus, Requeue};
pub use reason::Reason;
pub use spec::{
    JobChanges, JobSpec, Layout, MemoryRequest, OpenMode, ResourceLimit, SignalScope, WarnSignal,
};
pub use state::{Hold, Job, PendingSignal, Phase, Place, Run, Stage};
