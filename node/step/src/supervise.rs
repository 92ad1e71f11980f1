//! From the script's start to the moment when nothing of the job is left.
//!
//! ```text
//!   Opening ──▶ Script ──▶ Cleaning ──▶ Recording ──▶ exit
//!      files,     the script   descendants    ended.json,
//!      exec       runs         are killed     tried until it is there
//! ```

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, net::UnixListener},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::{Gid, Pid, Uid, chown, geteuid},
};
use rustix::process::{WaitOptions, wait};
use step::{
    cgroup::Groups,
    control::{Notice, Request},
    manifest::Manifest,
    spool::{Begun, Ended, Folder, LaunchFailure, Lock, boot_id},
};

use crate::{
    chain,
    job::{Job, Status},
    launch::{self, Plan},
    note, now_ms,
    server::{Asked, Server},
};

/// How long between two attempts to write `ended.json`, as on a full disk.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// What is left to do where a job can't even be tried.
struct Unfit(LaunchFailure);

impl Unfit {
    fn of_node(action: &str, error: &dyn std::error::Error) -> Self {
        let message = format!("{action}: {}", chain(error));
        Self(LaunchFailure { message, node_fault: true })
    }
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    folder: Folder,
    /// There for as long as this process lives.
    lock: Option<Lock>,
    server: Server,
    signals: SignalFd,
    /// What the job is to have as `oom_score_adj`.
    oom_score: String,
}

impl Supervisor {
    pub(crate) fn new(
        folder: Folder,
        lock: Lock,
        listener: UnixListener,
        oom_score: String,
    ) -> nix::Result<Self> {
        // Blocked, so that they wait to be read. A supervisor that is told to stop must not leave
        // the job behind; the others say nothing to it.
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGPIPE,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&set, flags)?;
        Ok(Self { folder, lock: Some(lock), server: Server::new(listener), signals, oom_score })
    }

    /// Until nothing of the job is left, and its end is on the disk.
    pub(crate) fn run(mut self) {
        match self.start() {
            Ok(job) => self.supervise(job),
            Err(Unfit(failure)) => {
                let ended = Ended {
                    at_ms: now_ms(),
                    exit_code: 1,
                    signal: 0,
                    out_of_memory: false,
                    launch_failure: Some(failure),
                };
                self.record(&ended, &[]);
            }
        }
    }

    fn start(&mut self) -> Result<Job, Unfit> {
        let manifest = self.folder.manifest();
        let manifest = manifest.map_err(|error| Unfit::of_node("can't read the order", &error))?;
        let boot = boot_id().map_err(|error| Unfit::of_node("can't start the job", &error))?;
        self.check(&manifest, &boot)?;
        let environment = self.folder.environment();
        let environment =
            environment.map_err(|error| Unfit::of_node("can't read the environment", &error))?;
        let script = self.folder.script();
        if geteuid().is_root() {
            let owner = (Uid::from_raw(manifest.uid), Gid::from_raw(manifest.gid));
            chown(&script, Some(owner.0), Some(owner.1))
                .map_err(|error| Unfit::of_node("can't give the user the script", &error))?;
        }
        let mut groups = Groups::make(&self.name(&manifest), manifest.cpus, manifest.memory_mib);
        let begun = Begun { boot, cgroups: groups.paths() };
        let plan = Plan {
            manifest: &manifest,
            script,
            environment,
            oom_score: &self.oom_score,
            supervisor: Pid::this(),
        };
        let started = match self.folder.write_begun(&begun) {
            Ok(()) => launch::start(&plan, &mut groups, &mut self.lock)
                .map_err(|error| Unfit::of_node("can't fork", &error)),
            Err(error) => Err(Unfit::of_node("can't record the beginning", &error)),
        };
        match started {
            Ok((script, channel)) => Ok(Job::new(manifest, groups, script, channel)),
            Err(unfit) => {
                groups.remove();
                Err(unfit)
            }
        }
    }

    fn check(&self, manifest: &Manifest, boot: &str) -> Result<(), Unfit> {
        let unfit = |message: String, node_fault| Err(Unfit(LaunchFailure { message, node_fault }));
        if (manifest.job, manifest.attempt) != (self.folder.job, self.folder.attempt) {
            return unfit("the order in the folder is another run's".to_owned(), true);
        }
        if manifest.boot != boot {
            return unfit("the host has been restarted since the order".to_owned(), true);
        }
        let own = geteuid();
        if !own.is_root() && own.as_raw() != manifest.uid {
            let uid = manifest.uid;
            let message = format!("rafterd runs as uid {own} and starts no jobs of uid {uid}");
            return unfit(message, false);
        }
        Ok(())
    }

    /// Of the job's cgroups. Several nodes and clusters may share a host, so it tells their spools
    /// apart, by the number of the folder's inode, and the supervisors, since a folder that was
    /// taken away leaves its number to another one.
    fn name(&self, manifest: &Manifest) -> String {
        let inode = fs::metadata(self.folder.path()).map_or(0, |folder| folder.ino());
        let node = manifest.node.replace('/', "_");
        let own = std::process::id();
        format!("job_{}.{}@{node}-{inode}-{own}", manifest.job, manifest.attempt)
    }

    fn supervise(&mut self, mut job: Job) {
        while !job.is_over() {
            self.wait(Some(&job));
            // What the child said counts before how it died.
            for notice in job.hear() {
                if let Notice::Started(started) = &notice
                    && let Err(error) = self.folder.write_started(started)
                {
                    note(&chain(&error));
                }
                self.server.push(&notice);
            }
            if self.told_to_stop() {
                job.abandon();
            }
            reap(&mut job);
            for asked in self.server.receive() {
                self.handle(&mut job, &asked);
            }
            job.kill_if_due(Instant::now());
        }
        let so_far = job.so_far();
        if let Some(ended) = job.close(now_ms()) {
            self.record(&ended, &so_far);
        }
    }

    fn handle(&mut self, job: &mut Job, asked: &Asked) {
        match asked.request {
            Request::Watch {} => self.server.answer(asked, &job.so_far()),
            Request::Terminate { cause, kill_wait_s, at_ms } => {
                let wait = Duration::from_secs(u64::from(kill_wait_s));
                job.terminate(cause, at_ms, Instant::now() + wait);
            }
            Request::Signal { number, signal, scope } => {
                if let Some(delivered) = job.signal(number, signal, scope, now_ms()) {
                    self.server.push(&delivered);
                }
            }
        }
    }

    /// Puts the end on the disk, however long that takes, and says so.
    fn record(&mut self, ended: &Ended, so_far: &[Notice]) {
        while let Err(error) = self.folder.write_ended(ended) {
            note(&chain(&error));
            if self.folder.path().try_exists().is_ok_and(|there| !there) {
                // Whoever took it away has read the end, or does not want to know.
                break;
            }
            let again = Instant::now() + WRITE_AGAIN;
            while Instant::now() < again {
                self.poll(None, Some(again));
                self.told_to_stop();
                for asked in self.server.receive() {
                    self.server.answer(&asked, so_far);
                }
            }
        }
        // Whoever connects while the disk works is told, too.
        self.server.receive();
        self.server.push(&Notice::Ended(ended.clone()));
    }

    fn wait(&self, job: Option<&Job>) {
        self.poll(job, job.and_then(Job::deadline));
    }

    fn poll(&self, job: Option<&Job>, deadline: Option<Instant>) {
        let channel = job.and_then(Job::channel);
        let sources = std::iter::once(std::os::fd::AsFd::as_fd(&self.signals))
            .chain(channel)
            .chain(self.server.sources());
        let mut sources: Vec<_> =
            sources.map(|source| PollFd::new(source, PollFlags::POLLIN)).collect();
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            // Rounded up: a wait that ends early would turn in circles until its time has come.
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.as_millis().saturating_add(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // Whatever ends the wait, a look at everything follows.
        let _ = poll(&mut sources, timeout);
    }

    /// Empties the queue of signals. Whether one of them asks the supervisor to stop, as the host
    /// does when it goes down.
    fn told_to_stop(&self) -> bool {
        let mut stop = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            stop |= i32::try_from(signal.ssi_signo) == Ok(Signal::SIGTERM as i32);
        }
        stop
    }
}

/// Takes in the ends of all children that have ended: the script, and orphans of its processes.
fn reap(job: &mut Job) {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if pid.as_raw_nonzero().get() == job.script() {
                    job.script_ended(Status::of(status));
                }
            }
            Ok(None) => return job.has_children(true),
            Err(error) if error == rustix::io::Errno::CHILD => return job.has_children(false),
            Err(_) => return,
        }
    }
}
