//! What users ask of jobs.

use common::{
    id::{ContentHash, JobId, PartitionName, UserId},
    job::{JobChanges, JobSpec, SignalScope, TaskSet},
    machine::{Answer, By, Command, Refusal, State, Submission, TaskAct},
};
use prost::Message as _;
use proto::{convert::task_set, ctl as wire, types};
use tonic::{Request, Status};

use super::{
    aside::aside,
    groups::{self, NotAdmitted},
    status::{by, invalid, refused, rejected, unavailable, user},
    trial,
};
use crate::{clock, shared::Shared};

/// How much a job may say beside its script and its environment, in bytes.
const MAX_SPEC: usize = 256 * 1024;

pub(super) async fn submit(
    shared: &Shared,
    request: Request<wire::SubmitRequest>,
) -> Result<wire::SubmitReply, Status> {
    let mut submission = submission(request)?;
    let by = submission.by.clone();
    let mut refusal = None;
    for spec in std::iter::once(&mut submission.spec).chain(&mut submission.components) {
        if refusal.is_none() {
            refusal = refuse_by_groups(shared, by.clone(), &mut spec.partition).await?;
        }
    }
    let command = refusal.unwrap_or_else(|| Command::Submit(Box::new(submission)));
    match shared.proposer.submit(command).await {
        Ok(Answer::Job(job)) => {
            shared.measures.submissions.add(1, &[]);
            Ok(wire::SubmitReply { job: job.0 })
        }
        Ok(Answer::Done | Answer::Reservation(_)) => Err(elsewhere()),
        Err(refusal) => Err(rejected(refusal)),
    }
}

/// The command that refuses a request for the user's groups, where they do not let him in. It goes
/// through the log, as any refusal does: of several copies of a request, all are told the same.
async fn refuse_by_groups(
    shared: &Shared,
    by: By,
    partitions: &mut PartitionName,
) -> Result<Option<Command>, Status> {
    // Who does not lead refuses what comes next.
    let Some(head) = shared.head() else { return Ok(None) };
    match groups::admit(&head.state, by.user, partitions).await {
        Ok(()) => Ok(None),
        Err(NotAdmitted::Refused(refusal)) => {
            Ok(Some(Command::Refuse { by, refusal: Box::new(refusal) }))
        }
        Err(unknown @ NotAdmitted::Unknown(_)) => Err(unknown.into()),
    }
}

pub(super) async fn test_only(
    shared: &Shared,
    request: Request<wire::SubmitRequest>,
) -> Result<wire::TestOnlyReply, Status> {
    let mut submission = submission(request)?;
    let applied = shared.log.read_barrier().await.map_err(|error| unavailable(&error))?;
    let state = applied.state.clone();
    admit(&state, &mut submission).await?;
    let tried = aside(shared, move || trial::run(state, submission, clock::now())).await?;
    tried.map_err(|refusal| refused(&refusal))
}

/// Whether the user's groups may use the partitions that are named.
async fn admit(state: &State, submission: &mut Submission) -> Result<(), Status> {
    let Submission { by, spec, components, .. } = submission;
    for spec in std::iter::once(spec).chain(components) {
        groups::admit(state, by.user, &mut spec.partition).await?;
    }
    Ok(())
}

/// The submission that a request makes. Who submits is in the certificate.
fn submission(request: Request<wire::SubmitRequest>) -> Result<Submission, Status> {
    let (uid, name) = user(&request)?;
    let by = by(&request, &request.get_ref().request)?;
    let wire::SubmitRequest { spec, components, script, environment, .. } = request.into_inner();
    let spec = spec.ok_or_else(|| Status::invalid_argument("`spec` is missing"))?;
    let asked = |spec| asked(spec, uid, &name);
    let components = components.into_iter().map(asked).collect::<Result<_, _>>()?;
    Ok(Submission { by, spec: asked(spec)?, components, script, environment })
}

/// What the user asks for, of a job or of one of its components.
fn asked(mut spec: types::JobSpec, uid: UserId, name: &str) -> Result<JobSpec, Status> {
    if spec.encoded_len() > MAX_SPEC {
        return Err(refused(&Refusal::ScriptTooLarge));
    }
    if let Some(field) = unclean(&spec) {
        return Err(Status::invalid_argument(format!("`{field}` can't be used")));
    }
    spec.user = uid.0;
    name.clone_into(&mut spec.user_name);
    let mut spec = JobSpec::try_from(spec).map_err(|error| invalid(&error))?;
    spec.script = ContentHash::default();
    spec.environment = ContentHash::default();
    spec.trace = spec.trace.filter(|trace| telemetry::context::is_traceparent(trace));
    // Which component it is, is for the machine to say.
    spec.het = None;
    Ok(spec)
}

/// The first text that could not be given to a process: NULs end texts there, and a folder that
/// depends on where a daemon happens to stand is none.
fn unclean(spec: &types::JobSpec) -> Option<&'static str> {
    let optional = [
        ("account", &spec.account),
        ("comment", &spec.comment),
        ("command", &spec.command),
        ("std_in", &spec.std_in),
        ("std_out", &spec.std_out),
        ("std_err", &spec.std_err),
        ("export", &spec.export),
    ];
    let optional = optional.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    let texts = [
        ("name", &spec.name),
        ("group_name", &spec.group_name),
        ("work_dir", &spec.work_dir),
        ("submit_line", &spec.submit_line),
        ("submit_host", &spec.submit_host),
    ];
    let arguments = spec.arguments.iter().map(|argument| ("arguments", argument));
    let mut all = texts.into_iter().chain(optional).chain(arguments);
    let nul = all.find(|(_, text)| text.contains('\0')).map(|(name, _)| name);
    nul.or((!spec.work_dir.starts_with('/')).then_some("work_dir"))
}

fn tasks(runs: Vec<types::TaskRun>) -> Result<Option<TaskSet>, Status> {
    if runs.is_empty() {
        return Ok(None);
    }
    task_set(runs).map(Some).map_err(|error| invalid(&error))
}

/// On a job, on an array, or on some of its tasks.
async fn on(
    shared: &Shared,
    by: By,
    job: JobId,
    tasks: Option<TaskSet>,
    act: TaskAct,
) -> Result<wire::Done, Status> {
    let command = match (tasks, act) {
        (Some(tasks), act) => Command::OnTasks { by, array: job, tasks: Some(tasks), act },
        (None, TaskAct::Cancel { signal }) => Command::Cancel { by, job, signal },
        (None, TaskAct::Hold { admin }) => Command::Hold { by, job, admin },
        (None, TaskAct::Release) => Command::Release { by, job },
        (None, TaskAct::Requeue { hold }) => Command::Requeue { by, job, hold },
        (None, TaskAct::Update { changes }) => Command::UpdateJob { by, job, changes },
    };
    done(shared, command).await
}

/// Sends a command that is only carried out or refused.
async fn done(shared: &Shared, command: Command) -> Result<wire::Done, Status> {
    match shared.proposer.submit(command).await {
        Ok(Answer::Done | Answer::Job(_) | Answer::Reservation(_)) => Ok(wire::Done {}),
        Err(refusal) => Err(rejected(refusal)),
    }
}

pub(super) async fn cancel(
    shared: &Shared,
    request: Request<wire::CancelRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let message = request.into_inner();
    let tasks = tasks(message.tasks)?;
    let signal = match message.signal {
        None => None,
        Some(number) => {
            let number = u8::try_from(number).ok().filter(|number| (1..=64).contains(number));
            let number = number.ok_or_else(|| Status::invalid_argument("no such signal"))?;
            let scope = types::SignalScope::try_from(message.scope)
                .map_err(|_| Status::invalid_argument("no such scope"))?;
            Some((number, SignalScope::try_from(scope).map_err(|error| invalid(&error))?))
        }
    };
    let job = JobId(message.job);
    on(shared, by, job, tasks, TaskAct::Cancel { signal }).await
}

pub(super) async fn hold(
    shared: &Shared,
    request: Request<wire::HoldRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let wire::HoldRequest { job, user_hold, tasks: runs, .. } = request.into_inner();
    on(shared, by, JobId(job), tasks(runs)?, TaskAct::Hold { admin: !user_hold }).await
}

pub(super) async fn release(
    shared: &Shared,
    request: Request<wire::ReleaseRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let wire::ReleaseRequest { job, tasks: runs, .. } = request.into_inner();
    on(shared, by, JobId(job), tasks(runs)?, TaskAct::Release).await
}

pub(super) async fn requeue(
    shared: &Shared,
    request: Request<wire::RequeueRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let wire::RequeueRequest { job, hold, tasks: runs, .. } = request.into_inner();
    on(shared, by, JobId(job), tasks(runs)?, TaskAct::Requeue { hold }).await
}

pub(super) async fn update(
    shared: &Shared,
    request: Request<wire::UpdateJobRequest>,
) -> Result<wire::Done, Status> {
    let by = by(&request, &request.get_ref().request)?;
    let wire::UpdateJobRequest { job, changes, tasks: runs, .. } = request.into_inner();
    let changes = changes.ok_or_else(|| Status::invalid_argument("`changes` is missing"))?;
    if changes.encoded_len() > MAX_SPEC {
        return Err(refused(&Refusal::ScriptTooLarge));
    }
    let mut changes: JobChanges = changes.try_into().map_err(|error| invalid(&error))?;
    if let Some(partition) = &mut changes.partition
        && let Some(refusal) = refuse_by_groups(shared, by.clone(), partition).await?
    {
        return done(shared, refusal).await;
    }
    let changes = Box::new(changes);
    on(shared, by, JobId(job), tasks(runs)?, TaskAct::Update { changes }).await
}

/// A request id that came twice, and did not ask for this.
pub(super) fn elsewhere() -> Status {
    Status::invalid_argument("`request` was used for something else")
}

/// For the other half of this service.
pub(super) async fn carry_out(shared: &Shared, command: Command) -> Result<wire::Done, Status> {
    done(shared, command).await
}

/// A request id that no client drew: for what is harmless to do twice.
pub(super) fn fresh(user: UserId) -> By {
    By { user, request: common::id::RequestId(trust::identity::random()) }
}
