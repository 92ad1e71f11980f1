//! What a command causes, or why it is refused.

mod accounts;
mod admin;
mod allocate;
mod asks;
mod cancel;
mod charge;
mod circles;
mod fit;
mod follow;
mod gres;
mod het;
mod node;
mod partitions;
mod preempt;
mod report;
mod reserve;
mod submit;
mod tasks;
mod update;

pub(super) use follow::{fate, followed};

use std::sync::Arc;

use super::{Answer, Answered, Command, Event, Refusal, State, TaskAct, command::By};
use crate::{
    id::{JobId, RequestId, UserId},
    job::Job,
    planted::{Bug, planted},
    time::{Span, Timestamp},
};
use tasks::on_tasks;

/// How long the answer to a request is remembered, at least. A client gives up long before, and
/// leaders whose clocks are ahead of each other take a stride each from it.
pub(super) const REQUEST_MEMORY: Span = Span::from_seconds(120);

/// How long the answer to a request is remembered: commands ask again for `MessageTimeout`.
fn request_memory(state: &State) -> Span {
    let asked = state.config.as_ref().map_or(0, |config| config.message_timeout);
    REQUEST_MEMORY.max(Span::from_seconds(2 * u64::from(asked)))
}

/// How long a requeued job waits, so that what ended its last run has time to settle.
const REQUEUE_PAUSE: Span = Span::from_seconds(121);

/// What a command that was not refused causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Empty where there was nothing left to do.
    pub events: Vec<Event>,
    pub answer: Answer,
    /// What is to be remembered; none for a command that carries no request, or that repeats one.
    pub request: Option<Answered>,
}

/// What `command` causes in `state`. Changes nothing itself.
///
/// `now` is the moment that the entry will carry: never before `state.at`.
///
/// # Errors
/// The refusal, in Slurm's words, of a command that may not or cannot be carried out.
pub fn decide(state: &State, now: Timestamp, command: Command) -> Result<Decided, Refusal> {
    let request = requested(&command);
    if let Some(known) = request.and_then(|request| state.requests.get(&request))
        && !planted(Bug::ForgetRequests)
    {
        let answer = known.answer.clone().map_err(Refusal::Before)?;
        return Ok(Decided { events: vec![], answer, request: None });
    }
    let (events, answer) = if let Command::Submit(submission) = command {
        let (events, job) = het::submit(state, now, *submission)?;
        (events, Answer::Job(job))
    } else if let Command::CreateReservation { by, request } = command {
        reserve::create(state, now, &by, *request)?
    } else {
        (carry_out(state, now, command)?, Answer::Done)
    };
    let events = followed(state, now, events);
    let request = request.map(|request| {
        let forget_at = state.age_at(now) + request_memory(state);
        Answered { request, answer: Ok(answer), forget_at }
    });
    Ok(Decided { events, answer, request })
}

/// What is to be remembered of the refusal of a user's request, so that another copy of it, which
/// may still be on its way, is not carried out once things have changed. None where the request was
/// answered before.
#[must_use]
pub fn refused(
    state: &State,
    now: Timestamp,
    request: RequestId,
    refusal: &Refusal,
) -> Option<Answered> {
    if state.requests.contains_key(&request) || state.format < 2 || planted(Bug::ForgetRefusals) {
        return None;
    }
    let forget_at = state.age_at(now) + request_memory(state);
    Some(Answered { request, answer: Err(Arc::new(refusal.into())), forget_at })
}

fn carry_out(state: &State, now: Timestamp, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Submit(submission) => Ok(het::submit(state, now, *submission)?.0),
        Command::CreateReservation { by, request } => {
            Ok(reserve::create(state, now, &by, *request)?.0)
        }
        Command::UpdateReservation { by, name, asked } => {
            reserve::update(state, now, &by, &name, &asked)
        }
        Command::DeleteReservation { by, name } => reserve::delete(state, &by, &name),
        Command::EndReservation { name, number } => Ok(reserve::end(state, now, &name, number)),
        Command::Form { cluster, operator, config } => {
            admin::form(state, cluster, operator, config)
        }
        Command::SetConfig { config } => admin::set_config(state, now, config),
        Command::RaiseFormat { format } => Ok(admin::raise_format(state, format)),
        Command::JoinController { controller, raft_id, address } => {
            admin::join(state, controller, raft_id, address)
        }
        Command::LeaveController { by, controller } => {
            operator(state, &by)?;
            admin::leave(state, controller)
        }
        Command::BringAuthority { by, signing, coming } => {
            operator(state, &by)?;
            admin::bring_authority(state, signing, coming)
        }
        Command::StepAuthorities { since } => Ok(admin::step_authorities(state, since)),
        Command::SpendToken { secret, role, name, .. } => {
            admin::spend_token(state, now, secret, role, &name)
        }
        Command::IssueToken { by, secret, role, name, expires } => {
            operator(state, &by)?;
            Ok(vec![Event::TokenIssued { secret, role, name, expires }])
        }
        Command::Refuse { refusal, .. } => Err(*refusal),
        Command::LoadAccounts { by, accounts } => accounts::load(state, &by, accounts),
        Command::ExpireToken { secret } => Ok(admin::expire_token(state, now, secret)),
        Command::Cancel { by, job, signal } => {
            on_job(state, now, &by, job, TaskAct::Cancel { signal })
        }
        Command::Hold { by, job, admin } => on_job(state, now, &by, job, TaskAct::Hold { admin }),
        Command::Release { by, job } => on_job(state, now, &by, job, TaskAct::Release),
        Command::Requeue { by, job, hold } => {
            on_job(state, now, &by, job, TaskAct::Requeue { hold })
        }
        Command::UpdateJob { by, job, changes } => {
            on_job(state, now, &by, job, TaskAct::Update { changes })
        }
        Command::OnTasks { by, array, tasks, act } => {
            on_tasks(state, now, &by, array, tasks.as_ref(), &act)
        }
        Command::UpdateNode { by, node, changes } => {
            operator(state, &by)?;
            node::update(state, now, &node, changes, by.user)
        }
        Command::Register { node, address, inventory } => {
            node::register(state, now, node, address, *inventory)
        }
        Command::Lose { node } => node::lose(state, now, &node),
        Command::Report { node, job, attempt, report } => {
            Ok(report::report(state, now, &node, job, attempt, report))
        }
        Command::Allocate(allocation) => het::allocate(state, now, allocation, allocate::allocate),
        Command::Preempt(preemption) => preempt::preempt(state, now, preemption),
        Command::Warn { job, attempt } => Ok(cancel::warn(state, now, job, attempt)),
        Command::TimeUp { job, attempt } => Ok(cancel::time_up(state, now, job, attempt)),
        Command::MissDeadline { job } => Ok(cancel::miss_deadline(state, now, job)),
        Command::ConditionDue { job } => Ok(follow::due(state, now, job)),
        Command::Forget { jobs } => Ok(admin::forget(state, jobs)),
    }
}

/// On a job, or on all tasks of the array that has its number, or on all components of the
/// heterogeneous job that has it.
fn on_job(
    state: &State,
    now: Timestamp,
    by: &By,
    job: JobId,
    act: TaskAct,
) -> Result<Vec<Event>, Refusal> {
    if state.arrays.contains_key(&job) {
        return on_tasks(state, now, by, job, None, &act);
    }
    match state.jobs.get(&job).and_then(|job| job.het()) {
        Some(part) => het::on(state, now, by, (job, part), act),
        None => on_one(state, now, by, job, act),
    }
}

fn on_one(
    state: &State,
    now: Timestamp,
    by: &By,
    job: JobId,
    act: TaskAct,
) -> Result<Vec<Event>, Refusal> {
    match act {
        TaskAct::Cancel { signal } => cancel::cancel(state, now, by, job, signal),
        TaskAct::Hold { admin } => update::hold(state, by, job, admin),
        TaskAct::Release => update::release(state, by, job),
        TaskAct::Requeue { hold } => cancel::requeue(state, now, by, job, hold),
        TaskAct::Update { changes } => update::update_job(state, now, by, job, *changes),
    }
}

/// The request that a command carries whose answer is remembered.
fn requested(command: &Command) -> Option<RequestId> {
    if let Command::SpendToken { request, .. } = command {
        return Some(*request);
    }
    command.by().map(|by| by.request)
}

fn operator(state: &State, by: &By) -> Result<(), Refusal> {
    if state.is_operator(by.user) { Ok(()) } else { Err(Refusal::NotOperator) }
}

/// The job, if it is there and `user` may change it.
fn owned(state: &State, user: UserId, job: JobId) -> Result<&Job, Refusal> {
    let job = state.jobs.get(&job).ok_or(Refusal::NoSuchJob(job))?;
    if job.spec.user == user || state.is_operator(user) { Ok(job) } else { Err(Refusal::Denied) }
}
