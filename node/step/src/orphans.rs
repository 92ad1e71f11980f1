//! What a supervisor leaves behind when it is killed.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    cgroup::Groups,
    processes::{self, Process, Stat},
    spool::{Folder, Started, boot_id},
};

/// What marks a process as one of the job's: variables that it has inherited.
const MARKS: [&str; 3] = ["SLURM_JOB_ID=", "SLURM_CLUSTER_NAME=", "SLURMD_NODENAME="];

/// How long between two looks at what does not die.
const PAUSE: Duration = Duration::from_millis(10);

/// Processes of a job that do not die, as when they wait for a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} processes do not die, {} among them",
    self.0.len(),
    self.0.first().map_or(0, |it| it.pid)
)]
pub struct Survivors(pub Vec<Process>);

/// Kills what is left of a run whose supervisor is dead ([`crate::spool::Found::Orphaned`]), and
/// removes its cgroups. Blocks for as long as `patience` where something does not die.
///
/// Without cgroups, what a dead supervisor's job has daemonised can be known by its session and
/// its environment only; a process that has changed both is not found.
///
/// # Errors
/// What is still alive in the end.
pub fn reap(folder: &Folder, patience: Duration) -> Result<(), Survivors> {
    let begun = folder.begun().ok().flatten();
    let boot = boot_id().ok();
    if begun.as_ref().is_some_and(|begun| Some(&begun.boot) != boot.as_ref()) {
        return Ok(());
    }
    let groups = begun.map(|begun| Groups::of_paths(&begun.cgroups)).unwrap_or_default();
    let started = folder.started().ok().flatten();
    let marks = marks(folder);
    let find = || {
        let members = groups.iter().flat_map(Groups::members);
        let strays = processes::all().into_iter().filter(|stat| {
            !stat.dead && (in_session(stat, started.as_ref()) || is_marked(stat, &marks))
        });
        members.chain(strays.map(|stat| stat.process)).collect()
    };
    let deadline = Instant::now() + patience;
    loop {
        groups.iter().for_each(Groups::kill);
        if processes::sweep(find) == 0 {
            groups.iter().for_each(Groups::remove);
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Survivors(find()));
        }
        thread::sleep(PAUSE);
    }
}

fn in_session(stat: &Stat, started: Option<&Started>) -> bool {
    started.is_some_and(|started| {
        stat.session == started.pid && stat.process.start_ticks >= started.start_ticks
    })
}

/// The job's own marks; none unless it has them all.
fn marks(folder: &Folder) -> Vec<Vec<u8>> {
    let environment = folder.environment().unwrap_or_default();
    let marked = |text: &&Vec<u8>| MARKS.iter().any(|mark| text.starts_with(mark.as_bytes()));
    let marks: Vec<_> = environment.iter().filter(marked).cloned().collect();
    if marks.len() == MARKS.len() { marks } else { Vec::new() }
}

fn is_marked(stat: &Stat, marks: &[Vec<u8>]) -> bool {
    if marks.is_empty() || stat.process.pid.cast_unsigned() == std::process::id() {
        return false;
    }
    let environment = fs::read(format!("/proc/{}/environ", stat.process.pid)).unwrap_or_default();
    let texts: Vec<_> = environment.split(|byte| *byte == 0).collect();
    marks.iter().all(|mark| texts.contains(&mark.as_slice()))
}
