//! The job that runs: what is known of it, and what is done to it.

use std::{
    mem,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use nix::unistd::Pid;
use rustix::process::{Signal, WaitStatus};
use step::{
    cgroup::Groups,
    control::{Cause, Notice, Scope},
    manifest::Manifest,
    processes,
    spool::{Ended, LaunchFailure, Started},
};

use crate::{
    launch::{Channel, Failure, Heard, Word},
    note, now_ms,
    output::{self, Output},
};

/// Slurm's numbers in the place of a signal: the files could not be opened, and the memory was
/// used up.
const SIGNAL_FILES: u8 = 53;
const SIGNAL_MEMORY: u8 = 125;

/// How long between two attempts to kill what is left. Doubles, up to the second.
const KILL_AGAIN: Duration = Duration::from_millis(50);
const KILL_AGAIN_MOST: Duration = Duration::from_secs(5);

/// How the script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    code: u8,
    signal: u8,
}

#[derive(Debug)]
pub(crate) struct Job {
    manifest: Manifest,
    groups: Groups,
    script: Pid,
    /// To the script's process, until it executes the script.
    channel: Option<Channel>,
    output: Option<Output>,
    failure: Option<Failure>,
    started: Option<Started>,
    status: Option<Status>,
    has_children: bool,
    terminated: bool,
    /// When what is left is killed.
    kill_at: Option<Instant>,
    kill_again: Duration,
    /// Signals that came before the script was started.
    early: Vec<(u32, u8, Scope)>,
    delivered: u32,
    abandoned: bool,
}

impl Status {
    pub(crate) fn of(status: WaitStatus) -> Self {
        let byte = |number: Option<i32>| {
            number.map_or(0, |number| u8::try_from(number & 0xFF).expect("a byte"))
        };
        Self { code: byte(status.exit_status()), signal: byte(status.terminating_signal()) }
    }
}

impl Job {
    pub(crate) fn new(manifest: Manifest, groups: Groups, script: Pid, channel: Channel) -> Self {
        Self {
            manifest,
            groups,
            script,
            channel: Some(channel),
            output: None,
            failure: None,
            started: None,
            status: None,
            has_children: true,
            terminated: false,
            kill_at: None,
            kill_again: KILL_AGAIN,
            early: Vec::new(),
            delivered: 0,
            abandoned: false,
        }
    }

    pub(crate) fn script(&self) -> i32 {
        self.script.as_raw()
    }

    pub(crate) fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(Channel::as_fd)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.kill_at
    }

    pub(crate) fn is_over(&self) -> bool {
        self.status.is_some() && !self.has_children && self.channel.is_none()
    }

    /// What has happened so far.
    pub(crate) fn so_far(&self) -> Vec<Notice> {
        let started = self.started.clone().map(Notice::Started);
        let delivered = Notice::Delivered { number: self.delivered };
        started.into_iter().chain((self.delivered > 0).then_some(delivered)).collect()
    }

    /// Takes in what the script's process has said. Returns what has happened by that.
    pub(crate) fn hear(&mut self) -> Vec<Notice> {
        let mut happened = Vec::new();
        while let Some(channel) = &self.channel {
            match channel.hear() {
                Heard::Word(Word::Opened { cgroups }, file) => {
                    self.groups.keep(&cgroups);
                    self.output = file.map(Output::new);
                }
                Heard::Word(Word::Failed(failure), _) => self.failure = Some(failure),
                // The other end is closed by then, whatever happened to its process.
                Heard::Nothing if self.status.is_none() => break,
                Heard::Nothing | Heard::End => {
                    self.channel = None;
                    if self.output.is_some() && self.failure.is_none() {
                        happened.extend(self.executed());
                    }
                }
            }
        }
        happened
    }

    fn executed(&mut self) -> Vec<Notice> {
        let pid = self.script();
        let started = Started {
            at_ms: now_ms(),
            pid,
            start_ticks: processes::process(pid).map_or(0, |process| process.start_ticks),
            tracking: self.groups.tracking(),
            memory_limited: self.groups.limits_memory(),
        };
        self.started = Some(started.clone());
        let mut happened = vec![Notice::Started(started)];
        for (number, signal, scope) in mem::take(&mut self.early) {
            happened.extend(self.signal(number, signal, scope, now_ms()));
        }
        happened
    }

    pub(crate) fn script_ended(&mut self, status: Status) {
        self.status = Some(status);
        // The end of the script is the end of the job: what else there is, is killed.
        self.kill_at = Some(Instant::now());
    }

    pub(crate) fn has_children(&mut self, has_children: bool) {
        self.has_children = has_children;
    }

    /// Asks all processes to end, and sees to it that they do by `kill_at`.
    pub(crate) fn terminate(&mut self, cause: Cause, at_ms: u64, kill_at: Instant) {
        if self.status.is_some() {
            return;
        }
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
        if mem::replace(&mut self.terminated, true) {
            return;
        }
        self.say_cancelled(at_ms, output::because(cause));
        let me = std::process::id().cast_signed();
        processes::signal_descendants(me, Signal::TERM);
        // One that is stopped takes the signal when it goes on.
        processes::signal_descendants(me, Signal::CONT);
    }

    /// Delivers the signal, once. Returns what is to be told, if it is delivered.
    pub(crate) fn signal(
        &mut self,
        number: u32,
        signal: u8,
        scope: Scope,
        now_ms: u64,
    ) -> Option<Notice> {
        if number > self.delivered {
            if self.started.is_none() && self.status.is_none() {
                self.early.push((number, signal, scope));
                return None;
            }
            if let Some(signal) = processes::numbered(signal) {
                self.send(signal, scope, now_ms);
            }
            self.delivered = number;
        }
        Some(Notice::Delivered { number: self.delivered })
    }

    fn send(&mut self, signal: Signal, scope: Scope, now_ms: u64) {
        if self.status.is_some() || scope == Scope::Steps {
            return;
        }
        if signal == Signal::TERM {
            self.say_cancelled(now_ms, " DUE to SIGNAL Terminated");
        } else if signal == Signal::KILL {
            self.say_cancelled(now_ms, " DUE to SIGNAL Killed");
        }
        match scope {
            Scope::Steps => {}
            Scope::Batch => {
                if let Some(script) = processes::process(self.script()) {
                    processes::signal(script, signal);
                }
            }
            Scope::Full => {
                processes::signal_descendants(std::process::id().cast_signed(), signal);
            }
        }
    }

    /// Kills the job and leaves no record of an end: its node goes down, and the cluster is to
    /// take the run for lost.
    pub(crate) fn abandon(&mut self) {
        if !mem::replace(&mut self.abandoned, true) {
            self.say_cancelled(now_ms(), output::because(Cause::NodeFailure));
            self.kill_at = Some(Instant::now());
        }
    }

    pub(crate) fn kill_if_due(&mut self, now: Instant) {
        if self.is_over() || !self.has_children || self.kill_at.is_none_or(|due| due > now) {
            return;
        }
        self.groups.kill();
        processes::kill_descendants(std::process::id().cast_signed());
        self.kill_at = Some(now + self.kill_again);
        self.kill_again = (self.kill_again * 2).min(KILL_AGAIN_MOST);
    }

    /// The job is over: removes what it had. Returns its end; none where it was abandoned.
    pub(crate) fn close(mut self, at_ms: u64) -> Option<Ended> {
        let Status { code, signal } = self.status.expect("a job that is over has a status");
        let kills = self.groups.oom_kills();
        if kills > 0
            && let Some(output) = &mut self.output
        {
            output.error(&output::out_of_memory(self.manifest.job, kills));
        }
        self.groups.remove();
        let out_of_memory = kills > 0;
        let (exit_code, signal, launch_failure) = match self.failure {
            Some(Failure::User(message)) => {
                (1, 0, Some(LaunchFailure { message, node_fault: true }))
            }
            Some(Failure::Files(message)) => {
                note(&message);
                (0, SIGNAL_FILES, None)
            }
            Some(Failure::Exec) | None if out_of_memory => (0, SIGNAL_MEMORY, None),
            Some(Failure::Exec) | None => (code, signal, None),
        };
        let ended = Ended { at_ms, exit_code, signal, out_of_memory, launch_failure };
        (!self.abandoned).then_some(ended)
    }

    fn say_cancelled(&mut self, at_ms: u64, cause: &str) {
        if let Some(output) = &mut self.output {
            let (job, node) = (self.manifest.job, &self.manifest.node);
            output.error(&output::cancelled(job, node, at_ms, cause));
        }
    }
}
