//! What the agent has done on disk, each in a task of its own that tells when it is done.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt as _, sync::Arc};

use common::{config::Config, id::Term};
use step::spool::{Folder, Found as OnDisk, Spool, SpoolError};
use tokio::{
    sync::{Semaphore, mpsc},
    task::spawn_blocking,
};
use trust::controllers::Controllers;

use crate::{
    agent::{Found, Input},
    blobs::Blobs,
    launch::Ground,
    run::{End, Launch, RunId},
    supervisor::{end_of, record_of},
};

/// How many folders are made at a time. More would only wait for the same disk.
const AT_ONCE: usize = 16;

/// The spool, and what is needed to make folders in it.
#[derive(Clone)]
pub struct Disk {
    ground: Arc<Ground>,
    blobs: Arc<Blobs>,
    controllers: Arc<Controllers>,
    turns: Arc<Semaphore>,
    inputs: mpsc::Sender<Input>,
}

impl Disk {
    #[must_use]
    pub fn new(ground: Ground, controllers: Arc<Controllers>, inputs: mpsc::Sender<Input>) -> Self {
        Self {
            ground: Arc::new(ground),
            blobs: Arc::default(),
            controllers,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            inputs,
        }
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.ground.host.node
    }

    #[must_use]
    pub fn folder(&self, run: RunId) -> Folder {
        self.ground.spool.folder(run.job.0, run.attempt.0)
    }

    /// Makes a run's folder.
    pub fn prepare(&self, launch: Launch, term: Term, config: Arc<Config>) {
        let disk = self.clone();
        tokio::spawn(async move {
            let input = disk.prepared(launch, term, config).await;
            disk.tell(input).await;
        });
    }

    async fn prepared(&self, launch: Launch, term: Term, config: Arc<Config>) -> Input {
        let run = launch.run();
        let Launch { job, components, script, environment } = launch;
        let content = |hash, brought| self.blobs.content(hash, brought, &self.controllers);
        let contents = tokio::try_join!(
            content(job.spec.script, script),
            content(job.spec.environment, environment)
        );
        let (script, environment) = match contents {
            Ok(contents) => contents,
            // The job would fare no better elsewhere.
            Err(error) if error.is_final() => {
                return Input::Failed { run, message: crate::reason(&error), node_fault: false };
            }
            Err(error) => {
                let reason = crate::reason(&error);
                tracing::warn!(%run, reason, "can't launch for now");
                return Input::Unavailable(run);
            }
        };
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let ground = Arc::clone(&self.ground);
        let made = spawn_blocking(move || {
            let job = (job.as_ref(), components.as_slice());
            ground.prepare(job, term, &config, &script, &environment)
        });
        match made.await.expect("making a folder does not panic") {
            Ok(()) => Input::Prepared(run),
            Err(error) => {
                Input::Failed { run, message: error.text(), node_fault: error.is_node_fault() }
            }
        }
    }

    /// Writes an end that no supervisor writes.
    pub fn record(&self, run: RunId, end: End) {
        let disk = self.clone();
        tokio::spawn(async move {
            let folder = disk.folder(run);
            let written = spawn_blocking(move || record(&folder, &end)).await;
            let told = match written.expect("writing an end does not panic") {
                Ok(told) => told,
                Err(error) => {
                    // It is reported all the same: it may be the disk that is at fault. Only a
                    // restart of this daemon would forget it, and then the run is missing, which
                    // ends it too.
                    let reason = crate::reason(&error);
                    tracing::error!(%run, reason, "can't write down how a run ended");
                    Input::Recorded
                }
            };
            disk.tell(told(run)).await;
        });
    }

    /// Removes a run's folder.
    pub fn remove(&self, run: RunId) {
        let disk = self.clone();
        tokio::spawn(async move {
            let folder = disk.folder(run);
            let removed = spawn_blocking(move || folder.remove()).await;
            if let Err(error) = removed.expect("removing a folder does not panic") {
                // The next daemon finds it, lists it, and has it released again.
                let reason = crate::reason(&error);
                tracing::warn!(%run, reason, "can't remove a run's folder");
            }
            disk.tell(Input::Removed(run)).await;
        });
    }

    async fn tell(&self, input: Input) {
        // Where the daemon is gone, the next one finds it on disk.
        let _ = self.inputs.send(input).await;
    }
}

/// Under the lock: a supervisor that is yet to begin finds the end, or is found.
fn record(folder: &Folder, end: &End) -> Result<fn(RunId) -> Input, SpoolError> {
    let Some(ended) = record_of(end) else { return Ok(Input::Recorded) };
    match DirBuilder::new().mode(0o711).create(folder.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let path = folder.path().to_owned();
            return Err(SpoolError::Io { action: "make", path, source: error });
        }
        Ok(()) | Err(_) => {}
    }
    let Some(lock) = folder.lock()? else { return Ok(Input::Held) };
    folder.write_ended(&ended)?;
    drop(lock);
    Ok(Input::Recorded)
}

/// The runs that a daemon finds when it starts. What was never complete is removed.
///
/// # Errors
/// Where the spool can't be read.
pub fn scan(spool: &Spool) -> Result<Vec<(RunId, Found)>, SpoolError> {
    spool.sweep()?;
    let mut runs = Vec::new();
    for folder in spool.folders()? {
        let run = RunId {
            job: common::id::JobId(folder.job),
            attempt: common::id::Attempt(folder.attempt),
        };
        match standing(folder.found()?) {
            Some(found) => runs.push((run, found)),
            None => folder.remove()?,
        }
    }
    Ok(runs)
}

/// What the agent makes of what a folder tells; none where it is nothing.
#[must_use]
pub fn standing(found: OnDisk) -> Option<Found> {
    match found {
        OnDisk::Unprepared => None,
        OnDisk::NotStarted => Some(Found::Idle),
        OnDisk::Running(None) => Some(Found::Launching),
        // Who watches it finds out, and kills what a dead supervisor left.
        OnDisk::Running(Some(_)) | OnDisk::Orphaned => Some(Found::Running),
        OnDisk::Ended(ended) => Some(Found::Over(end_of(ended))),
    }
}

#[cfg(test)]
mod tests {
    use common::{
        id::{Attempt, JobId},
        job::ExitStatus,
        time::Timestamp,
    };

    use super::*;

    fn id(job: u32) -> RunId {
        RunId { job: JobId(job), attempt: Attempt(1) }
    }

    #[test]
    fn ends_that_no_supervisor_wrote_are_found_again() {
        let scratch = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(scratch.path()).expect("a spool");
        let exited = End::Exited {
            at: Timestamp(5),
            exit: ExitStatus { code: 0, signal: 0 },
            out_of_memory: false,
        };
        let failed =
            End::LaunchFailed { at: Timestamp(6), message: "why".to_owned(), node_fault: true };
        record(&spool.folder(1, 1), &exited).expect("written");
        record(&spool.folder(2, 1), &failed).expect("written");
        record(&spool.folder(2, 1), &failed).expect("written again");
        let mut found = scan(&spool).expect("read");
        found.sort_by_key(|(run, _)| *run);
        assert_eq!(found, [(id(1), Found::Over(exited)), (id(2), Found::Over(failed))]);
    }

    #[test]
    fn no_end_is_recorded_of_a_run_that_a_supervisor_holds() {
        let scratch = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(scratch.path()).expect("a spool");
        let folder = spool.folder(4, 1);
        std::fs::create_dir(folder.path()).expect("made");
        let exit = ExitStatus { code: 0, signal: 0 };
        let end = End::Exited { at: Timestamp(5), exit, out_of_memory: false };
        let held = folder.lock().expect("a lock").expect("nobody else has it");
        let told = record(&folder, &end).expect("asked");
        assert_eq!(told(id(4)), Input::Held(id(4)));
        assert_eq!(folder.ended().expect("read"), None);
        drop(held);
        let told = record(&folder, &end).expect("written");
        assert_eq!(told(id(4)), Input::Recorded(id(4)));
        assert!(folder.ended().expect("read").is_some());
    }

    #[test]
    fn what_was_never_complete_is_removed() {
        let scratch = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(scratch.path()).expect("a spool");
        let folder = spool.folder(3, 1);
        std::fs::create_dir(folder.path()).expect("as after a crash");
        std::fs::write(folder.script(), "#!/bin/sh").expect("as after a crash");
        assert_eq!(scan(&spool).expect("read"), []);
        assert!(!folder.path().exists());
    }
}
