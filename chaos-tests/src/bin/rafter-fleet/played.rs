//! A supervisor's part, without a script: the run's folder goes through the same states, and the
//! daemon is told the same.
//!
//! **Invariant:** as with a real one, a run begins at most once, and its end is durable before
//! anybody hears of it.

use std::time::Duration;

use anyhow::Result;
use node::{
    agent::Input,
    daemon::now,
    supervisor::{Begin, Part, end_of},
};
use step::{
    control::Request,
    spool::{Begun, Ended, Folder, Found, Lock, SpoolError, Started, Tracking, boot_id},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

/// SIGTERM.
const TERMINATED: u8 = 15;

/// Where all parts are played.
pub(crate) struct Stage {
    boot: String,
    lasts: Duration,
}

/// What the run has come to.
enum Standing {
    Runs(Lock),
    Over(Ended),
    /// Who ran it is gone.
    Gone,
}

impl Stage {
    pub(crate) fn new(lasts: Duration) -> Result<Self> {
        Ok(Self { boot: boot_id()?, lasts })
    }

    pub(crate) fn play(&self, part: Part) {
        let (boot, lasts) = (self.boot.clone(), self.lasts);
        tokio::spawn(async move {
            let inputs = part.inputs.clone();
            let input = perform(part, boot, lasts).await;
            // Where the daemon is gone, the next one finds it on disk.
            if let Some(input) = input {
                let _ = inputs.send(input).await;
            }
        });
    }
}

/// How it ends; none where nobody listens any more.
async fn perform(mut part: Part, boot: String, lasts: Duration) -> Option<Input> {
    let run = part.run;
    let (folder, anew) = (part.folder.clone(), part.begin == Begin::Anew);
    let begun = spawn_blocking(move || begin(&folder, anew, boot)).await;
    let lock = match begun.expect("beginning does not panic") {
        Ok(Standing::Runs(lock)) => lock,
        Ok(Standing::Over(ended)) => return Some(Input::Ended { run, end: end_of(ended) }),
        Ok(Standing::Gone) => return Some(Input::Vanished(run)),
        Err(error) => return Some(failed(&part, &error)),
    };
    part.inputs.send(Input::Started(run)).await.ok()?;
    let signal = run_nothing(&mut part, Instant::now() + lasts).await?;
    let folder = part.folder.clone();
    let ended = spawn_blocking(move || end(&folder, signal, lock)).await;
    Some(match ended.expect("ending does not panic") {
        Ok(ended) => Input::Ended { run, end: end_of(ended) },
        Err(error) => failed(&part, &error),
    })
}

fn failed(part: &Part, error: &SpoolError) -> Input {
    Input::Failed { run: part.run, message: node::reason(error), node_fault: true }
}

fn begin(folder: &Folder, anew: bool, boot: String) -> Result<Standing, SpoolError> {
    match folder.found()? {
        Found::NotStarted if anew => {}
        Found::Ended(ended) => return Ok(Standing::Over(ended)),
        Found::NotStarted | Found::Unprepared | Found::Running(_) | Found::Orphaned => {
            return Ok(Standing::Gone);
        }
    }
    let Some(lock) = folder.lock()? else { return Ok(Standing::Gone) };
    folder.write_begun(&Begun { boot, cgroups: Vec::new() })?;
    folder.write_started(&Started {
        at_ms: now().0,
        // No process began then: whoever cleans up after this run finds none to end.
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        start_ticks: 0,
        tracking: Tracking::Subreaper,
        memory_limited: false,
    })?;
    Ok(Standing::Runs(lock))
}

/// Waits until the run is over, and says by which signal.
async fn run_nothing(part: &mut Part, until: Instant) -> Option<u8> {
    loop {
        let request = tokio::select! {
            request = part.requests.recv() => request?,
            () = sleep_until(until) => return Some(0),
        };
        match request {
            Request::Terminate { .. } => return Some(TERMINATED),
            Request::Signal { number, .. } => {
                part.inputs.send(Input::Delivered { run: part.run, number }).await.ok()?;
            }
            Request::Watch {} => {}
        }
    }
}

fn end(folder: &Folder, signal: u8, lock: Lock) -> Result<Ended, SpoolError> {
    let ended =
        Ended { at_ms: now().0, exit_code: 0, signal, out_of_memory: false, launch_failure: None };
    folder.write_ended(&ended)?;
    drop(lock);
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use common::{
        id::{Attempt, JobId},
        job::ExitStatus,
    };
    use node::run::{End, RunId};
    use step::{
        manifest::{Manifest, VERSION},
        spool::Spool,
    };
    use tokio::sync::mpsc;

    use super::*;

    const RUN: RunId = RunId { job: JobId(7), attempt: Attempt(1) };

    fn prepared(spool: &Spool) -> Folder {
        let folder = spool.folder(RUN.job.0, RUN.attempt.0);
        let manifest = Manifest {
            version: VERSION,
            boot: boot_id().expect("every kernel has one"),
            cluster: "c".to_owned(),
            node: "n1".to_owned(),
            job: RUN.job.0,
            attempt: RUN.attempt.0,
            term: 1,
            uid: 0,
            gid: 0,
            groups: vec![],
            user_name: "root".to_owned(),
            arguments: vec![],
            work_dir: "/".to_owned(),
            umask: 0o22,
            limits: vec![],
            std_in: None,
            std_out: "/dev/null".to_owned(),
            std_err: None,
            append: false,
            cpus: 1,
            bound_to: vec![],
            memory_mib: None,
        };
        folder.prepare(&manifest, b"#!/bin/sh\n", b"").expect("written");
        folder
    }

    /// Plays a part to its end, and says what the daemon was told.
    async fn told(folder: &Folder, begin: Begin, asked: &[Request]) -> Vec<Input> {
        let stage = Stage::new(Duration::from_millis(if asked.is_empty() { 0 } else { 60_000 }));
        let (inputs, mut told) = mpsc::channel(8);
        let (sender, requests) = mpsc::unbounded_channel();
        for request in asked {
            sender.send(*request).expect("its receiver is there");
        }
        let folder = folder.clone();
        stage.expect("a stage").play(Part { run: RUN, folder, begin, inputs, requests });
        let mut all = Vec::new();
        while let Some(input) = told.recv().await {
            all.push(input);
        }
        all
    }

    fn exited(input: &Input) -> Option<u8> {
        let Input::Ended { end, .. } = input else { return None };
        let End::Exited { exit: ExitStatus { signal, .. }, .. } = end else { return None };
        Some(*signal)
    }

    #[tokio::test]
    async fn a_run_begins_once_and_its_end_is_found_again() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = prepared(&Spool::open(scratch.path()).expect("a spool"));
        let first = told(&folder, Begin::Anew, &[]).await;
        assert_eq!(first[0], Input::Started(RUN));
        assert_eq!(exited(&first[1]), Some(0), "{first:?}");
        assert!(matches!(folder.found(), Ok(Found::Ended(_))));
        for begin in [Begin::Anew, Begin::Watching] {
            assert_eq!(told(&folder, begin, &[]).await, first[1..]);
        }
    }

    #[tokio::test]
    async fn a_termination_ends_it_and_a_signal_is_confirmed() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = prepared(&Spool::open(scratch.path()).expect("a spool"));
        let signal = Request::Signal { number: 3, signal: 10, scope: step::control::Scope::Full };
        let cause = step::control::Cause::Cancelled;
        let end = Request::Terminate { cause, kill_wait_s: 30, at_ms: 0 };
        let told = told(&folder, Begin::Anew, &[signal, end]).await;
        assert_eq!(told[..2], [Input::Started(RUN), Input::Delivered { run: RUN, number: 3 }]);
        assert_eq!(exited(&told[2]), Some(TERMINATED), "{told:?}");
    }

    #[tokio::test]
    async fn who_was_playing_and_is_gone_leaves_a_lost_run() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = prepared(&Spool::open(scratch.path()).expect("a spool"));
        folder.write_begun(&Begun { boot: String::new(), cgroups: vec![] }).expect("written");
        assert_eq!(told(&folder, Begin::Anew, &[]).await, [Input::Vanished(RUN)]);
    }
}
