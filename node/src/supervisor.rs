//! The daemon's end of a supervisor: a task for each run that starts it, listens to it, and finds
//! out what became of it.
//!
//! A connection that breaks says nothing by itself. The run's folder does: it holds the end, or
//! the lock that only a living supervisor holds, or neither, and then the run is lost.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{
    job::{ExitStatus, SignalScope},
    machine::Cause,
    time::Timestamp,
};
use step::{
    control::{self, Lines, Notice, Request, Scope},
    orphans,
    spool::{Ended, Folder, Found, SpoolError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
    task::spawn_blocking,
};

use crate::{
    agent::Input,
    run::{End, RunId, Signal, Termination},
};

/// Between two attempts to connect to a supervisor that lives.
const PAUSE: Duration = Duration::from_millis(50);

/// How long what a dead supervisor left may take to die, before it is said again.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long until a folder that can't be read is looked at again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// Who runs the scripts.
#[derive(Clone)]
pub enum Supervision {
    /// This program, beside each script: `rafterstepd`.
    Program(Arc<Path>),
    /// Nobody: there is no script to run. For a daemon that is one of many which stand for machines
    /// that are not there.
    Played(Arc<dyn Fn(Part) + Send + Sync>),
}

/// Whether a supervisor is started, or one is listened to that an earlier daemon started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    Anew,
    Watching,
}

/// What a supervisor's part is made of: what it does to `folder`, it tells to `inputs`.
#[derive(Debug)]
pub struct Part {
    pub run: RunId,
    pub folder: Folder,
    pub begin: Begin,
    pub inputs: mpsc::Sender<Input>,
    /// Ends when nobody listens any more.
    pub requests: mpsc::UnboundedReceiver<Request>,
}

impl Supervision {
    pub(crate) fn start(
        &self,
        run: RunId,
        folder: Folder,
        begin: Begin,
        inputs: mpsc::Sender<Input>,
    ) -> Supervisor {
        let (sender, requests) = mpsc::unbounded_channel();
        match self {
            Self::Program(program) => {
                let unconfirmed = Vec::new();
                let task = Task { run, folder, inputs, requests, unconfirmed, started: false };
                let program = (begin == Begin::Anew).then(|| Arc::clone(program));
                tokio::spawn(task.follow(program));
            }
            Self::Played(play) => play(Part { run, folder, begin, inputs, requests }),
        }
        Supervisor { requests: sender }
    }
}

/// A handle to what supervises a run. Once dropped, the run goes on and nobody listens.
#[derive(Debug)]
pub struct Supervisor {
    /// Bounded by the agent: one termination for each cause, and each signal once.
    requests: mpsc::UnboundedSender<Request>,
}

impl Supervisor {
    pub fn terminate(&self, termination: Termination) {
        self.send(Request::Terminate {
            cause: match termination.cause {
                Cause::Cancelled => control::Cause::Cancelled,
                Cause::TimeLimit => control::Cause::TimeLimit,
                Cause::NodeFailure => control::Cause::NodeFailure,
                Cause::Requeue => control::Cause::Requeue,
                Cause::Preempted => control::Cause::Preempted,
                Cause::Stale => control::Cause::Stale,
            },
            kill_wait_s: u32::try_from(termination.kill_wait.seconds()).unwrap_or(u32::MAX),
            at_ms: termination.at.0,
        });
    }

    pub fn signal(&self, signal: Signal) {
        self.send(Request::Signal {
            number: signal.number,
            signal: signal.signal,
            scope: match signal.scope {
                SignalScope::Steps => Scope::Steps,
                SignalScope::Batch => Scope::Batch,
                SignalScope::Full => Scope::Full,
            },
        });
    }

    fn send(&self, request: Request) {
        // Where the task has ended, so has the run: there is nobody left to tell.
        let _ = self.requests.send(request);
    }
}

struct Task {
    run: RunId,
    folder: Folder,
    inputs: mpsc::Sender<Input>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// What was asked for and may not have arrived: it is sent again on each connection.
    unconfirmed: Vec<Request>,
    started: bool,
}

/// What a supervisor's folder says of a connection that broke.
enum Next {
    Again,
    Done,
}

impl Task {
    async fn follow(mut self, program: Option<Arc<Path>>) {
        if let Some(program) = program
            && let Err(message) = spawn(&self.folder, &program).await
        {
            // Another one may have been started before this daemon was: then it is not ours.
            match self.look().await {
                Found::NotStarted | Found::Unprepared => {
                    let run = self.run;
                    return self.tell(Input::Failed { run, message, node_fault: true }).await;
                }
                Found::Running(_) | Found::Ended(_) | Found::Orphaned => {}
            }
        }
        loop {
            if self.converse().await {
                return;
            }
            match self.judge().await {
                Next::Again => {}
                Next::Done => return,
            }
        }
    }

    /// Listens to the supervisor until the connection breaks, or it told the end.
    async fn converse(&mut self) -> bool {
        let connected = control::connect(&self.folder).and_then(|stream| {
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        let Ok(mut stream) = connected else { return false };
        let mut lines = Lines::default();
        let mut first = Request::Watch {}.encode();
        self.unconfirmed.iter().for_each(|request| first.extend(request.encode()));
        if stream.write_all(&first).await.is_err() {
            return false;
        }
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                length = stream.read(&mut buffer) => match length {
                    Ok(0) | Err(_) => return false,
                    Ok(length) => lines.push(&buffer[..length]),
                },
                // Where the daemon drops the handle, it stops as a whole: nobody listens.
                Some(request) = self.requests.recv() => {
                    self.unconfirmed.push(request);
                    if stream.write_all(&request.encode()).await.is_err() {
                        return false;
                    }
                }
            }
            while let Ok(Some(line)) = lines.next_line() {
                match Notice::decode(&line) {
                    Ok(notice) => {
                        if self.heard(notice).await {
                            return true;
                        }
                    }
                    Err(error) => {
                        let (run, reason) = (self.run, crate::reason(&error));
                        tracing::warn!(%run, reason, "a supervisor can't be understood");
                    }
                }
            }
        }
    }

    /// Passes a notice on. True of the end, after which there is nothing.
    async fn heard(&mut self, notice: Notice) -> bool {
        let run = self.run;
        match notice {
            Notice::Started(_) => self.started().await,
            Notice::Delivered { number } => {
                self.unconfirmed.retain(|request| match request {
                    Request::Signal { number: sent, .. } => *sent > number,
                    Request::Terminate { .. } | Request::Watch {} => true,
                });
                self.tell(Input::Delivered { run, number }).await;
            }
            Notice::Ended(ended) => {
                self.tell(Input::Ended { run, end: end_of(ended) }).await;
                return true;
            }
        }
        false
    }

    async fn started(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            self.tell(Input::Started(self.run)).await;
        }
    }

    async fn judge(&mut self) -> Next {
        let run = self.run;
        match self.look().await {
            Found::Ended(ended) => {
                self.tell(Input::Ended { run, end: end_of(ended) }).await;
                Next::Done
            }
            Found::Running(started) => {
                if started.is_some() {
                    self.started().await;
                }
                tokio::time::sleep(PAUSE).await;
                Next::Again
            }
            Found::NotStarted | Found::Unprepared => {
                let message = "the supervisor died before it began".to_owned();
                self.tell(Input::Failed { run, message, node_fault: true }).await;
                Next::Done
            }
            Found::Orphaned => {
                self.reap().await;
                self.tell(Input::Vanished(run)).await;
                Next::Done
            }
        }
    }

    /// Kills what a dead supervisor left. What does not die keeps the run from being over: it
    /// still holds what others would be given.
    async fn reap(&self) {
        loop {
            let folder = self.folder.clone();
            let reaped = spawn_blocking(move || orphans::reap(&folder, PATIENCE)).await;
            match reaped.expect("reaping does not panic") {
                Ok(()) => return,
                Err(survivors) => {
                    let (run, reason) = (self.run, crate::reason(&survivors));
                    tracing::error!(%run, reason, "what a dead supervisor left goes on");
                }
            }
        }
    }

    async fn look(&self) -> Found {
        loop {
            match look(&self.folder).await {
                Ok(found) => return found,
                Err(error) => {
                    let (run, reason) = (self.run, crate::reason(&error));
                    tracing::error!(%run, reason, "the spool can't be read");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
            }
        }
    }

    async fn tell(&self, input: Input) {
        // Where the daemon is gone, the next one finds it on disk.
        let _ = self.inputs.send(input).await;
    }
}

async fn look(folder: &Folder) -> Result<Found, SpoolError> {
    let folder = folder.clone();
    spawn_blocking(move || folder.found()).await.expect("looking does not panic")
}

/// Starts a supervisor. It lives on its own once this returns.
async fn spawn(folder: &Folder, program: &Path) -> Result<(), String> {
    let mut command = tokio::process::Command::from(folder.supervisor(program));
    let output = command.output().await.map_err(|error| {
        let program: PathBuf = program.to_owned();
        format!("{} can't be started: {error}", program.display())
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(format!("the supervisor failed ({}): {said}", output.status))
}

/// An end, as the supervisor wrote it down.
#[must_use]
pub fn end_of(ended: Ended) -> End {
    let at = Timestamp(ended.at_ms);
    match ended.launch_failure {
        Some(failure) => {
            End::LaunchFailed { at, message: failure.message, node_fault: failure.node_fault }
        }
        None => End::Exited {
            at,
            exit: ExitStatus { code: ended.exit_code, signal: ended.signal },
            out_of_memory: ended.out_of_memory,
        },
    }
}

/// The same the other way, of an end that no supervisor wrote; none of one that needs no writing:
/// a lost run is found lost again.
#[must_use]
pub fn record_of(end: &End) -> Option<Ended> {
    let ended = |at: Timestamp| Ended {
        at_ms: at.0,
        exit_code: 0,
        signal: 0,
        out_of_memory: false,
        launch_failure: None,
    };
    match end {
        End::Exited { at, exit, out_of_memory } => Some(Ended {
            exit_code: exit.code,
            signal: exit.signal,
            out_of_memory: *out_of_memory,
            ..ended(*at)
        }),
        End::LaunchFailed { at, message, node_fault } => {
            let (message, node_fault) = (message.clone(), *node_fault);
            let launch_failure = Some(step::spool::LaunchFailure { message, node_fault });
            Some(Ended { launch_failure, ..ended(*at) })
        }
        End::Lost { .. } => None,
    }
}
