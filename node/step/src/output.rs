//! Slurm's lines in the job's own output.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use step::control::Cause;

/// The job's standard error, which its processes share.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
}

impl Output {
    pub(crate) fn new(file: OwnedFd) -> Self {
        Self { file: file.into() }
    }

    /// As `slurmstepd` writes it: `[2026-11-23T23:09:57.015] error: MESSAGE`.
    pub(crate) fn error(&mut self, message: &str) {
        // A pipe that nobody empties must not stop the supervisor.
        let mut ready = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut ready, PollTimeout::ZERO) == Ok(1) {
            // Its disk may be full: the job goes on without the line.
            let _ = self.file.write_all(line(message).as_bytes());
        }
    }
}

pub(crate) fn line(message: &str) -> String {
    format!("[{}] error: {message}\n", Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.3f"))
}

/// What a run that is terminated says, at `at_ms` since the epoch.
pub(crate) fn cancelled(job: u32, node: &str, at_ms: u64, cause: &str) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let at = at.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::system());
    let at = at.strftime("%Y-%m-%dT%H:%M:%S");
    format!("*** JOB {job} ON {node} CANCELLED AT {at}{cause} ***")
}

/// What follows the time in [`cancelled`].
pub(crate) fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::Cancelled => " DUE to SIGNAL Terminated",
        Cause::TimeLimit => " DUE TO TIME LIMIT",
        Cause::NodeFailure => " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS",
        Cause::Requeue => " DUE TO JOB REQUEUE",
        Cause::Preempted => " DUE TO PREEMPTION",
        Cause::Stale => "",
    }
}

pub(crate) fn out_of_memory(job: u32, kills: u64) -> String {
    let events = if kills == 1 { "event" } else { "events" };
    format!(
        "Detected {kills} oom_kill {events} in StepId={job}.batch. \
         Some of the step tasks have been OOM Killed."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of the captures of Slurm 26.05, in the zone that `TZ` names.
    #[test]
    fn lines_look_as_slurm_writes_them() {
        let text = cancelled(151, "n1", 1_795_475_397_071, because(Cause::TimeLimit));
        let (head, tail) = text.split_at("*** JOB 151 ON n1 CANCELLED AT ".len());
        let (at, tail) = tail.split_at("2026-11-23T23:09:57".len());
        assert_eq!(head, "*** JOB 151 ON n1 CANCELLED AT ");
        assert!(at.parse::<jiff::civil::DateTime>().is_ok(), "{at}");
        assert_eq!(tail, " DUE TO TIME LIMIT ***");

        let line = line("x");
        let (at, tail) = line.split_at("[2026-11-23T23:09:57.015".len());
        assert!(at[1..].parse::<jiff::civil::DateTime>().is_ok(), "{at}");
        assert_eq!(tail, "] error: x\n");
    }

    #[test]
    fn no_time_is_too_far_away() {
        assert!(cancelled(1, "n1", u64::MAX, "").starts_with("*** JOB 1 ON n1 CANCELLED AT 9999-"));
    }
}
