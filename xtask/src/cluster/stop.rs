//! Stops a cluster, and all that it started.

use std::{
    fs,
    io::Write as _,
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::{folder::Folder, process::Process};

/// How long a daemon may take to stop.
const GRACE: Duration = Duration::from_secs(15);

/// What a supervisor is told: nobody wants its job any more.
const TERMINATE: &str = r#"{"terminate":{"cause":"stale","kill_wait_s":0,"at_ms":0}}"#;

/// Stops the daemons of `folder` and ends the jobs on its nodes. Says how many daemons ran.
///
/// Nodes go first, so that none of them is sent to start a job on its way out; their supervisors
/// would outlive them, as they should, and are stopped after them.
///
/// # Errors
/// Where something still runs.
pub(crate) fn stop(folder: &Folder) -> Result<usize> {
    let names = folder.daemons()?;
    let is_controller = |name: &&String| folder.path("state").join(name).is_dir();
    let (controllers, nodes): (Vec<&String>, Vec<&String>) = names.iter().partition(is_controller);
    let stopped = end_all(folder, &nodes)?;
    end_jobs(folder)?;
    Ok(stopped + end_all(folder, &controllers)?)
}

fn end_all(folder: &Folder, names: &[&String]) -> Result<usize> {
    let living: Vec<_> =
        names.iter().filter_map(|name| Some((*name, folder.process(name)?))).collect();
    let processes: Vec<Process> = living.iter().map(|(_, process)| *process).collect();
    end(&processes).with_context(|| {
        let still = living.iter().filter(|(_, process)| process.lives());
        still.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    })?;
    Ok(living.len())
}

/// Ends processes: by SIGTERM, and those that do not heed it by SIGKILL.
fn end(processes: &[Process]) -> Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for process in processes {
            // What is stopped does not see the first signal before it goes on.
            process.signal(signal)?;
            process.signal(Signal::SIGCONT)?;
        }
        if wait(GRACE, || processes.iter().all(|process| !process.lives())) {
            return Ok(());
        }
    }
    bail!("does not end by SIGKILL")
}

/// Ends what runs of jobs. Each supervisor does it best: it knows all descendants of its job.
fn end_jobs(folder: &Folder) -> Result<()> {
    let supervisors = || Process::of_program(&folder.program("rafterstepd"));
    if supervisors().is_empty() {
        return Ok(());
    }
    for node in entries(&folder.path("spool")) {
        for run in entries(&node.join("jobs")) {
            // Those that are over listen no more.
            if let Ok(mut control) = UnixStream::connect(run.join("control")) {
                let _ = writeln!(control, "{TERMINATE}");
            }
        }
    }
    if !wait(GRACE, || supervisors().is_empty()) {
        end(&supervisors())?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn wait(bound: Duration, level: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !level() {
        if started.elapsed() >= bound {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}
