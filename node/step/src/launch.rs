//! The script's process, from fork to exec.
//!
//! ```text
//!   supervisor ◀── Opened (with standard error) ── child      the files are open, as the user
//!              ◀── Failed ─────────────────────────            it will exit by itself
//!              ◀── end of file ────────────────────            exec: the script runs
//! ```

use std::{
    convert::Infallible,
    ffi::CString,
    fs,
    io::{self, IoSlice, IoSliceMut, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sched::{CpuSet, sched_setaffinity},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal as NixSignal},
        socket::{
            AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
            recvmsg, sendmsg, socketpair,
        },
        stat::{Mode, umask},
    },
    unistd::{
        ForkResult, Gid, Pid, Uid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork,
        geteuid, getppid, setgroups, setresgid, setresuid, setsid,
    },
};
use serde::{Deserialize, Serialize};
use step::{cgroup::Groups, manifest::Manifest, spool::Lock};

use crate::{detach::default_signals, output};

/// What the exec waits for at most, in steps of [`PAUSE`], while another process has the script
/// open for writing: a child of the daemon, between its own fork and exec.
const BUSY_TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Numbers of setrlimit(2), on x86 and ARM.
const RESOURCES: [Resource; 16] = [
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_STACK,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_AS,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_SIGPENDING,
    Resource::RLIMIT_MSGQUEUE,
    Resource::RLIMIT_NICE,
    Resource::RLIMIT_RTPRIO,
    Resource::RLIMIT_RTTIME,
];

/// What the child needs.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) script: PathBuf,
    pub(crate) environment: Vec<Vec<u8>>,
    /// What the job is to have as `oom_score_adj`.
    pub(crate) oom_score: &'a str,
    pub(crate) supervisor: Pid,
}

/// What the child tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It is the user, and the files are open. It is in these cgroups.
    Opened {
        cgroups: Vec<PathBuf>,
    },
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// It can't become the user.
    User(String),
    /// An input or output file can't be opened.
    Files(String),
    /// The script can't be executed, and the job's output says so.
    Exec,
}

/// The supervisor's end of the line to the child.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// What came over the line.
#[derive(Debug)]
pub(crate) enum Heard {
    Word(Word, Option<OwnedFd>),
    Nothing,
    End,
}

/// Starts the script's process.
pub(crate) fn start(
    plan: &Plan<'_>,
    groups: &mut Groups,
    lock: &mut Option<Lock>,
) -> io::Result<(Pid, Channel)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: this process has one thread.
    #[expect(unsafe_code, reason = "what happens between fork and exec is the whole point")]
    let forked = unsafe { fork() }?;
    match forked {
        ForkResult::Parent { child } => Ok((child, Channel { socket: ours })),
        ForkResult::Child => {
            // A file that takes long to open must not look like a supervisor that lives.
            drop(lock.take());
            drop(ours);
            let Err(exit) = child(plan, groups, &theirs);
            tell(&theirs, &Word::Failed(exit.failure), None);
            std::process::exit(exit.code);
        }
    }
}

impl Channel {
    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What has come, without waiting.
    pub(crate) fn hear(&self) -> Heard {
        let mut buffer = [0; 16 * 1024];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(self.socket.as_raw_fd(), &mut slices, Some(&mut space), flags);
        let (length, file) = match received {
            Ok(message) => {
                let files = message.cmsgs().into_iter().flatten().flat_map(|control| {
                    if let ControlMessageOwned::ScmRights(files) = control { files } else { vec![] }
                });
                (message.bytes, files.last())
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return Heard::Nothing,
            Err(_) => return Heard::End,
        };
        // SAFETY: the kernel has just made it for this process, and nobody else knows of it.
        #[expect(unsafe_code, reason = "received descriptors are plain numbers")]
        let file = file.map(|file| unsafe { OwnedFd::from_raw_fd(file) });
        serde_json::from_slice(&buffer[..length]).map_or(Heard::End, |word| Heard::Word(word, file))
    }
}

fn tell(channel: &OwnedFd, word: &Word, file: Option<RawFd>) {
    let line = serde_json::to_vec(word).expect("words have only text keys");
    let files: Vec<RawFd> = file.into_iter().collect();
    let rights = [ControlMessage::ScmRights(&files)];
    let control = if files.is_empty() { &rights[..0] } else { &rights[..] };
    let slices = [IoSlice::new(&line)];
    // A supervisor that is gone hears nothing; what runs then is found by its marks.
    let _ = sendmsg::<()>(channel.as_raw_fd(), &slices, control, MsgFlags::MSG_NOSIGNAL, None);
}

struct Exit {
    failure: Failure,
    code: i32,
}

fn child(plan: &Plan<'_>, groups: &mut Groups, channel: &OwnedFd) -> Result<Infallible, Exit> {
    let manifest = plan.manifest;
    let user = |error: Errno| Exit {
        failure: Failure::User(format!(
            "can't become user {} (uid {}, gid {}): {}",
            manifest.user_name,
            manifest.uid,
            manifest.gid,
            error.desc()
        )),
        code: 1,
    };
    default_signals();
    SigSet::empty().thread_set_mask().map_err(user)?;
    setsid().map_err(user)?;
    groups.enter();
    bind(&manifest.bound_to);
    let _ = fs::write("/proc/self/oom_score_adj", plan.oom_score);
    become_user(manifest).map_err(user)?;
    // The script goes with its supervisor. One that dies while a file is slow to open would
    // otherwise leave a script that starts when nobody knows of it any more.
    prctl::set_pdeathsig(NixSignal::SIGKILL).map_err(user)?;
    if getppid() != plan.supervisor {
        std::process::exit(1);
    }
    umask(Mode::from_bits_truncate(manifest.umask & 0o777));
    let astray = chdir(Path::new(&manifest.work_dir)).err();
    open_files(manifest).map_err(|message| Exit { failure: Failure::Files(message), code: 1 })?;
    tell(channel, &Word::Opened { cgroups: groups.paths() }, Some(2));
    if let Some(error) = astray {
        // Slurm says it twice.
        for _ in 0..2 {
            say(&format!(
                "couldn't chdir to `{}': {}: going to /tmp instead",
                manifest.work_dir,
                error.desc()
            ));
        }
        let _ = chdir("/tmp");
    }
    let error = execute(plan);
    let script = plan.script.display();
    match interpreter(&plan.script).filter(|_| error == Errno::ENOENT) {
        Some(interpreter) => {
            say(&format!("execve(): bad interpreter({interpreter}): {}", error.desc()));
        }
        None => say(&format!("execve(): {script}: {}", error.desc())),
    }
    Err(Exit { failure: Failure::Exec, code: error as i32 })
}

fn say(message: &str) {
    let _ = io::stderr().write_all(output::line(message).as_bytes());
}

fn set_limits(manifest: &Manifest) {
    for limit in &manifest.limits {
        let resource = usize::try_from(limit.resource).ok().and_then(|it| RESOURCES.get(it));
        let Some(resource) = resource.copied() else { continue };
        if let Ok((_, hard)) = getrlimit(resource) {
            // Slurm passes on the soft limits only; what this host forbids stays forbidden.
            let _ = setrlimit(resource, limit.soft.min(hard), hard);
        }
    }
    if let Some(mib) = manifest.memory_mib {
        let bytes = mib.saturating_mul(1 << 20);
        let _ = setrlimit(Resource::RLIMIT_RSS, bytes, bytes);
    }
}

/// Lets this process, and all that come of it, run on these CPUs alone. Where one of them is gone,
/// the job is not bound: it runs where it can.
fn bind(cpus: &[u32]) {
    let mut set = CpuSet::new();
    let put = |cpu: &u32| usize::try_from(*cpu).is_ok_and(|cpu| set.set(cpu).is_ok());
    if !cpus.is_empty() && cpus.iter().all(put) {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

fn become_user(manifest: &Manifest) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(manifest.uid), Gid::from_raw(manifest.gid));
    if geteuid().is_root() {
        let groups: Vec<_> = manifest.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups)?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    // Also the last look before anything runs: nothing of root may be left.
    if Uid::current() == uid && geteuid() == uid { Ok(()) } else { Err(Errno::EPERM) }
}

/// Opens the files as the user. Slurm appends in either mode: what the script, its steps and the
/// supervisor write does not overwrite itself.
fn open_files(manifest: &Manifest) -> Result<(), String> {
    let path = |path: &str| Path::new(&manifest.work_dir).join(path);
    let failed = |what: &str, path: &Path, error: io::Error| {
        let error = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw).desc();
        format!("Could not open {what} file {}: {error}", path.display())
    };
    let write = |what: &str, path: &Path| {
        // std refuses to truncate what it appends to.
        let truncate = if manifest.append { OFlag::empty() } else { OFlag::O_TRUNC };
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true).mode(0o666);
        options.custom_flags((OFlag::O_NOCTTY | truncate).bits());
        let opened = options.open(path).or_else(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            if missing && make_parent(manifest, path) { options.open(path) } else { Err(error) }
        });
        opened.map_err(|error| failed(what, path, error))
    };
    let input = path(manifest.std_in.as_deref().unwrap_or("/dev/null"));
    let mut options = fs::OpenOptions::new();
    let opened = options.read(true).custom_flags(OFlag::O_NOCTTY.bits()).open(&input);
    let stdin = opened.map_err(|error| failed("stdin", &input, error))?;
    let output = path(&manifest.std_out);
    let stdout = write("stdout", &output)?;
    let error = manifest.std_err.as_deref().map(path);
    let stderr = error.map(|error| write("stderr", &error)).transpose()?;
    let stderr = stderr.as_ref().unwrap_or(&stdout);
    dup2_stdin(&stdin)
        .and_then(|()| dup2_stdout(&stdout))
        .and_then(|()| dup2_stderr(stderr))
        .map_err(|error| format!("Could not take the files over: {}", error.desc()))
}

/// Makes the folder that an output is to be in, as Slurm does. Never the job's own folder, though:
/// a job whose folder is missing has most likely been sent to the wrong node.
fn make_parent(manifest: &Manifest, path: &Path) -> bool {
    let own = Path::new(&manifest.work_dir);
    let belongs = path.starts_with(own) && !own.is_dir();
    !belongs && path.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok())
}

/// Returns only where it can't.
fn execute(plan: &Plan<'_>) -> Errno {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let prepared = || {
        let script = text(plan.script.as_os_str().as_bytes())?;
        let mut arguments = vec![script.clone()];
        for argument in &plan.manifest.arguments {
            arguments.push(text(argument.as_bytes())?);
        }
        let own = |variable: &&Vec<u8>| !variable.starts_with(b"SLURM_TASK_PID=");
        let mut environment = Vec::new();
        for variable in plan.environment.iter().filter(own) {
            environment.push(text(variable)?);
        }
        environment.push(text(format!("SLURM_TASK_PID={}", std::process::id()).as_bytes())?);
        Ok((script, arguments, environment))
    };
    let (script, arguments, environment) = match prepared() {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    set_limits(plan.manifest);
    let mut tries = 0;
    loop {
        let Err(error) = execve(&script, &arguments, &environment);
        tries += 1;
        if error != Errno::ETXTBSY || tries == BUSY_TRIES {
            return error;
        }
        thread::sleep(PAUSE);
    }
}

/// What follows `#!` in the script, as Slurm tells it: with its argument.
fn interpreter(script: &Path) -> Option<String> {
    let content = fs::read(script).ok()?;
    let line = content.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    Some(line.trim().to_owned())
}
