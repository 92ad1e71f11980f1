//! Operations as the reference model has them: the command of a change, and what a state would have
//! answered.

use std::{collections::BTreeMap, sync::Arc};

use common::{
    id::{JobId, RequestId, UserId},
    job::{EndState, Job, JobChanges, Phase, Stage},
    machine::{By, Command, State, decide},
};

use crate::record::{Call, Operation, Outcome, Seen};

/// What `scancel` says of a job that neither waits nor runs, and what a question for a job says
/// that is not there.
const NO_SUCH_JOB: &str = "Invalid job id specified";

/// The command that a change sends; none for questions, and for submissions, whose scripts are not
/// in the record.
pub(in crate::check) fn command(operation: &Operation) -> Option<Command> {
    let request = operation.request.as_deref().unwrap_or_default().parse::<RequestId>().ok()?;
    let by = By { user: UserId(operation.user), request };
    Some(match &operation.call {
        Call::Cancel { job } => Command::Cancel { by, job: JobId(*job), signal: None },
        Call::Hold { job } => Command::Hold { by, job: JobId(*job), admin: true },
        Call::Release { job } => Command::Release { by, job: JobId(*job) },
        Call::Requeue { job } => Command::Requeue { by, job: JobId(*job), hold: false },
        Call::Update { job, comment } => {
            let comment = Some(comment.clone());
            let changes = Box::new(JobChanges { comment, ..JobChanges::default() });
            Command::UpdateJob { by, job: JobId(*job), changes }
        }
        Call::Submit { .. } | Call::Query { .. } | Call::List => return None,
    })
}

/// Whether it can be told from a state if the answer fits: of questions and refusals of changes.
pub(super) fn can_be_read(operation: &Operation) -> bool {
    match (&operation.call, &operation.outcome) {
        (Call::Query { .. }, Outcome::Seen(_) | Outcome::Refused { .. })
        | (Call::List, Outcome::Listed { .. }) => true,
        (_, Outcome::Refused { .. }) => command(operation).is_some(),
        (
            _,
            Outcome::Submitted { .. }
            | Outcome::Done
            | Outcome::Seen(_)
            | Outcome::Listed { .. }
            | Outcome::Unknown { .. },
        ) => false,
    }
}

/// Whether the operation would have been answered so in this state.
pub(super) fn fits(state: &State, operation: &Operation) -> bool {
    match (&operation.call, &operation.outcome) {
        (Call::Query { job }, Outcome::Seen(seen)) => {
            state.job(JobId(*job)).is_some_and(|job| shows(job, seen))
        }
        (Call::Query { job }, Outcome::Refused { .. }) => state.job(JobId(*job)).is_none(),
        (Call::List, Outcome::Listed { jobs }) => lists(state, jobs),
        // `scancel` looks first, and asks for no end of what is over.
        (Call::Cancel { job }, Outcome::Refused { words }) if words == NO_SUCH_JOB => {
            state.job(JobId(*job)).is_none_or(|job| job.end().is_some())
        }
        (_, Outcome::Refused { words }) => {
            let command = command(operation).expect("it can be read");
            decide(state, state.at, command).is_err_and(|refusal| refusal.to_string() == *words)
        }
        (
            _,
            Outcome::Submitted { .. }
            | Outcome::Done
            | Outcome::Seen(_)
            | Outcome::Listed { .. }
            | Outcome::Unknown { .. },
        ) => false,
    }
}

/// What the state would have answered, for people.
pub(super) fn told(state: &State, operation: &Operation) -> String {
    let of = |job: u32| match state.job(JobId(job)) {
        Some(job) => format!(
            "{} (restarts {}, comment {:?}, priority {})",
            word(job),
            job.restarts,
            job.spec.comment,
            job.priority
        ),
        None => "unknown".to_owned(),
    };
    match &operation.call {
        Call::Submit { .. } => String::new(),
        Call::Cancel { job }
        | Call::Hold { job }
        | Call::Release { job }
        | Call::Requeue { job }
        | Call::Update { job, .. }
        | Call::Query { job } => of(*job),
        Call::List => {
            let Outcome::Listed { jobs } = &operation.outcome else { return String::new() };
            difference(state, jobs)
        }
    }
}

fn difference(state: &State, listed: &[(u32, String)]) -> String {
    let listed: BTreeMap<u32, &str> = listed.iter().map(|(job, word)| (*job, &**word)).collect();
    let differs = |(id, job): &(&JobId, &Arc<Job>)| {
        listed.get(&id.0).is_some_and(|listed| *listed != word(job))
            || !listed.contains_key(&id.0) && !matches!(job.phase, Phase::Ended { .. })
    };
    let different = state.jobs.iter().filter(differs).take(5);
    let texts: Vec<String> =
        different.map(|(id, job)| format!("job {id} was {}", word(job))).collect();
    let gone = listed.keys().filter(|job| state.job(JobId(**job)).is_none()).take(5);
    let gone: Vec<String> = gone.map(|job| format!("job {job} was unknown")).collect();
    [texts, gone].concat().join(", ")
}

fn shows(job: &Job, seen: &Seen) -> bool {
    let Seen { state, restarts, comment, priority } = seen;
    let same_comment = |comment: &String| {
        // No comment and an empty one look the same.
        job.spec.comment.as_deref().unwrap_or_default() == comment
    };
    state == word(job)
        && restarts.is_none_or(|restarts| restarts == job.restarts)
        && comment.as_ref().is_none_or(same_comment)
        && priority.is_none_or(|priority| priority == job.priority)
}

/// All that is listed is so, and what is not listed is over.
fn lists(state: &State, listed: &[(u32, String)]) -> bool {
    let right =
        |(id, listed): &(u32, String)| state.job(JobId(*id)).is_some_and(|job| word(job) == listed);
    let ended = state.jobs.values().filter(|job| matches!(job.phase, Phase::Ended { .. })).count();
    let is_over = |id: &u32| {
        state.job(JobId(*id)).is_some_and(|job| matches!(job.phase, Phase::Ended { .. }))
    };
    let listed_ended = listed.iter().filter(|(id, _)| is_over(id)).count();
    listed.iter().all(right) && listed.len() - listed_ended == state.jobs.len() - ended
}

/// Slurm's long word for where a job is.
pub(in crate::check) fn word(job: &Job) -> &'static str {
    match &job.phase {
        Phase::Pending => "PENDING",
        Phase::Active(run) if run.stage < Stage::Running => "CONFIGURING",
        Phase::Active(_) => "RUNNING",
        Phase::Completing { .. } => "COMPLETING",
        Phase::Ended { end, .. } => match end.state {
            EndState::Completed => "COMPLETED",
            EndState::Failed => "FAILED",
            EndState::Cancelled => "CANCELLED",
            EndState::Timeout => "TIMEOUT",
            EndState::NodeFail => "NODE_FAIL",
            EndState::OutOfMemory => "OUT_OF_MEMORY",
            EndState::Deadline => "DEADLINE",
            EndState::Preempted => "PREEMPTED",
        },
    }
}
