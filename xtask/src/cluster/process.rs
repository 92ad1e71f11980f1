//! A daemon's process: whether it lives, and how it is ended.
//!
//! **Invariant:** a signal goes to nothing but a process that was started here: the pid of one
//! that is gone may belong to a stranger by now, so the time of its start is compared, too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A process, told from any later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    /// When it started, in ticks since the machine booted (`starttime` of proc(5)).
    ticks: u64,
}

impl Process {
    /// The process that `NAME.pid` and `NAME.ticks` in `folder` name, if it still lives.
    pub(crate) fn recorded(folder: &Path, name: &str) -> Option<Self> {
        let read = |what: &str| fs::read_to_string(folder.join(format!("{name}.{what}"))).ok();
        let pid = read("pid")?.trim().parse().ok()?;
        let ticks = read("ticks")?.trim().parse().ok()?;
        let recorded = Self { pid, ticks };
        recorded.lives().then_some(recorded)
    }

    /// The processes that run `program`, which must be absolute.
    pub(crate) fn of_program(program: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let running = pids.filter(|pid| {
            let shown = fs::read_link(format!("/proc/{pid}/exe"));
            shown.is_ok_and(|shown| shown == program)
        });
        running.filter_map(|pid| Some(Self { pid, ticks: started(pid)? })).collect()
    }

    pub(crate) fn lives(self) -> bool {
        started(self.pid) == Some(self.ticks)
    }

    /// Sends it a signal; one that is gone gets none.
    ///
    /// # Errors
    /// Where that is not allowed.
    pub(crate) fn signal(self, signal: Signal) -> Result<()> {
        if !self.lives() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{signal} to process {}", self.pid)),
        }
    }
}

/// When the process started, if it is there and is no zombie.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    // The program's name stands in parentheses, and may hold any character.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    words.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_lives_until_it_is_killed_and_a_stranger_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let pid = i32::try_from(child.id()).expect("a pid");
        let scratch = tempfile::tempdir().expect("a folder");
        let record = |what: &str, value: u64| {
            fs::write(scratch.path().join(format!("x.{what}")), format!("{value}\n"))
                .expect("written");
        };
        let ticks = started(pid).expect("it lives");
        record("pid", u64::from(child.id()));
        record("ticks", ticks + 1);
        assert_eq!(Process::recorded(scratch.path(), "x"), None, "another's number");
        Process { pid, ticks: ticks + 1 }.signal(Signal::SIGKILL).expect("nothing to do");
        assert!(child.try_wait().expect("our child").is_none(), "a stranger was killed");

        record("ticks", ticks);
        let process = Process::recorded(scratch.path(), "x").expect("it lives");
        process.signal(Signal::SIGKILL).expect("ours");
        // Not reaped yet: a zombie does not live.
        while process.lives() {
            std::thread::yield_now();
        }
        child.wait().expect("our child");
        assert_eq!(Process::recorded(scratch.path(), "x"), None);
        assert_eq!(Process::recorded(scratch.path(), "y"), None);
    }
}
