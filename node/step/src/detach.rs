//! From the daemon's child to a process on its own.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsFd as _,
        unix::{fs::OpenOptionsExt as _, net::UnixListener},
    },
    path::{Path, PathBuf},
};

use nix::{
    sys::{
        prctl,
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
        stat::{Mode, umask},
    },
    unistd::{ForkResult, chdir, close, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid},
};
use step::spool::{Folder, SpoolError};

use crate::supervise::Supervisor;

/// Why no supervisor begins.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{} is not named JOB.ATTEMPT", .0.display())]
    Name(PathBuf),
    #[error("another supervisor has {}", .0.display())]
    Locked(PathBuf),
    #[error("the run of {} has begun before", .0.display())]
    Begun(PathBuf),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("can't {action}")]
    System { action: &'static str, source: io::Error },
}

pub(crate) fn system<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Refused {
    move |error| Refused::System { action, source: error.into() }
}

/// Returns in the daemon's child once the supervisor is there, and never in the supervisor.
pub(crate) fn begin(path: &Path) -> Result<(), Refused> {
    close_inherited();
    default_signals();
    let path = std::path::absolute(path).map_err(system("find the folder"))?;
    let folder = Folder::at(&path).ok_or(Refused::Name(path))?;
    let Some(lock) = folder.lock()? else {
        return Err(Refused::Locked(folder.path().to_owned()));
    };
    if folder.has_begun()? || folder.ended()?.is_some() {
        return Err(Refused::Begun(folder.path().to_owned()));
    }
    let listener = listen(&folder).map_err(system("make the control socket"))?;
    let log = log(&folder).map_err(system("open the log"))?;

    // A second fork would only keep it from ever getting a terminal; it opens none.
    // SAFETY: this process has one thread.
    #[expect(unsafe_code, reason = "there is no other way to a process that goes on")]
    let forked = unsafe { fork() }.map_err(system("fork"))?;
    if let ForkResult::Parent { .. } = forked {
        return Ok(());
    }
    let settled = setsid().and_then(|_| prctl::set_child_subreaper(true));
    settled.map_err(system("settle"))?;
    stand_alone(&log).map_err(system("leave the daemon's files"))?;
    let score = protect();
    let supervisor = Supervisor::new(folder, lock, listener, score);
    supervisor.map_err(system("wait for signals"))?.run();
    std::process::exit(0);
}

/// What the daemon had open is none of the supervisor's business.
fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<_>>() {
        // The listing's own is closed already.
        let _ = close(number);
    }
}

/// Ignored signals are inherited, and with SIGCHLD ignored no child's end can be waited for.
pub(crate) fn default_signals() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            // SAFETY: no handler is installed.
            #[expect(unsafe_code, reason = "sigaction may install what is not safe to run")]
            let _ = unsafe { sigaction(signal, &default) };
        }
    }
}

fn listen(folder: &Folder) -> io::Result<UnixListener> {
    // A name in the working directory: a socket's address holds some 100 bytes only.
    chdir(folder.path())?;
    match fs::remove_file("control") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind("control");
    umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the supervisor has to say of itself, which is nothing unless something is wrong.
fn log(folder: &Folder) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(folder.path().join("log"))
}

fn stand_alone(log: &File) -> io::Result<()> {
    chdir("/")?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(null.as_fd())?;
    dup2_stdout(null.as_fd())?;
    dup2_stderr(log.as_fd())?;
    Ok(())
}

/// Keeps the kernel from choosing the supervisor when memory runs out. Returns what the job is to
/// have: what the daemon had.
fn protect() -> String {
    const FILE: &str = "/proc/self/oom_score_adj";
    let before = fs::read_to_string(FILE).unwrap_or_else(|_| "0".to_owned());
    // Only root may. Without it the supervisor is small, and rarely chosen.
    let _ = fs::write(FILE, "-1000");
    before.trim_end().to_owned()
}
