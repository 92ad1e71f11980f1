//! A spool of its own for each test, and runs in it.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use step::{
    control::{Cause, Client, Notice, Request},
    manifest::{Manifest, VERSION},
    orphans,
    spool::{Ended, Folder, Found, Spool, Started, boot_id},
};
use tempfile::TempDir;

/// Longer than anything here takes on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    root: TempDir,
    spool: Spool,
}

/// A run whose folder is prepared.
pub(crate) struct Run {
    pub(crate) folder: Folder,
    work: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        // Other users pass through to their scripts, and all write to the work folder.
        for (path, mode) in [(root.path().to_owned(), 0o755), (root.path().join("work"), 0o777)] {
            fs::create_dir_all(&path).expect("it can be made");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        let spool = Spool::open(&root.path().join("spool")).expect("it can be made");
        Self { root, spool }
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// A pipe in the work folder.
    pub(crate) fn pipe(&self, name: &str) -> PathBuf {
        let path = self.work().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
        path
    }

    /// A run of job 7 by whoever runs the test, its output in `work/out`.
    pub(crate) fn manifest(&self) -> Manifest {
        Manifest {
            version: VERSION,
            boot: boot_id().expect("the kernel tells"),
            cluster: "test".to_owned(),
            node: "n1".to_owned(),
            job: 7,
            attempt: 1,
            term: 3,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            groups: vec![],
            user_name: "tester".to_owned(),
            arguments: vec![],
            work_dir: self.work().to_str().expect("a plain path").to_owned(),
            umask: 0o22,
            limits: vec![],
            std_in: None,
            std_out: "out".to_owned(),
            std_err: None,
            append: false,
            cpus: 1,
            bound_to: vec![],
            memory_mib: None,
        }
    }

    pub(crate) fn prepare(&self, manifest: &Manifest, script: &str) -> Run {
        let folder = self.spool.folder(manifest.job, manifest.attempt);
        let environment = format!(
            "PATH={}\0SLURM_JOB_ID={}\0SLURM_CLUSTER_NAME=test-{}\0SLURMD_NODENAME=n1\0",
            std::env::var("PATH").expect("a PATH"),
            manifest.job,
            // Tests that run at once must not take each other's processes for their own.
            self.root.path().display(),
        );
        let prepared = folder.prepare(manifest, script.as_bytes(), environment.as_bytes());
        prepared.expect("the folder can be written");
        Run { folder, work: self.work() }
    }

    pub(crate) fn start(&self, manifest: &Manifest, script: &str) -> Run {
        let run = self.prepare(manifest, script);
        run.supervise();
        run
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, manifest: &Manifest, script: &str) -> (Run, Ended) {
        let run = self.start(manifest, script);
        let ended = run.ended();
        (run, ended)
    }
}

impl Run {
    pub(crate) fn try_supervise(&self) -> Output {
        let mut command = self.folder.supervisor(Path::new(env!("CARGO_BIN_EXE_rafterstepd")));
        command.output().expect("rafterstepd can be run")
    }

    pub(crate) fn supervise(&self) {
        let output = self.try_supervise();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.folder, PATIENCE).expect("the supervisor listens")
    }

    /// Waits until the script runs.
    pub(crate) fn started(&self) -> (Client, Started) {
        let mut client = self.client();
        client.send(&Request::Watch {}).expect("it takes the request");
        loop {
            match client.notice().expect("it answers") {
                Some(Notice::Started(started)) => return (client, started),
                Some(Notice::Delivered { .. }) => {}
                other @ (None | Some(Notice::Ended(_))) => panic!("not started: {other:?}"),
            }
        }
    }

    /// Waits for the end, and compares what is told with what is on the disk.
    pub(crate) fn ended(&self) -> Ended {
        let told = Client::connect(&self.folder, PATIENCE).ok().and_then(|mut client| {
            while let Ok(Some(notice)) = client.notice() {
                if let Notice::Ended(ended) = notice {
                    return Some(ended);
                }
            }
            None
        });
        // It may have ended before there was anything to connect to.
        let ended = level(|| self.folder.ended().expect("the folder can be read"));
        assert!(told.is_none_or(|told| told == ended));
        ended
    }

    pub(crate) fn found(&self) -> Found {
        self.folder.found().expect("the folder can be read")
    }

    pub(crate) fn terminate(&self, cause: Cause, kill_wait_s: u32) {
        let at_ms = 1_795_475_397_071;
        let terminate = Request::Terminate { cause, kill_wait_s, at_ms };
        self.client().send(&terminate).expect("it takes the request");
    }

    /// A file in the work folder, as far as it is written.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.work.join(name)).unwrap_or_default()
    }

    /// The output, with the time of each line of Slurm's taken out.
    pub(crate) fn output(&self) -> String {
        let mut text = String::new();
        for line in self.file("out").lines() {
            match line.strip_prefix('[').and_then(|line| line.split_once("] error: ")) {
                Some((at, rest)) => {
                    assert!(at.parse::<jiff::civil::DateTime>().is_ok(), "{line}");
                    text.push_str(&format!("[] error: {rest}\n"));
                }
                None => text.push_str(&format!("{line}\n")),
            }
        }
        text
    }

    /// Waits until a file in the work folder holds a whole line, and returns it.
    pub(crate) fn line(&self, name: &str) -> String {
        level(|| {
            Some(self.file(name).lines().next()?.to_owned())
                .filter(|_| self.file(name).contains('\n'))
        })
    }
}

/// A test that fails must not leave its job behind.
impl Drop for Run {
    fn drop(&mut self) {
        match self.folder.found() {
            Ok(Found::Running(_)) => {
                if let Ok(mut client) = Client::connect(&self.folder, PATIENCE) {
                    let _ = client.send(&Request::Terminate {
                        cause: Cause::Stale,
                        kill_wait_s: 0,
                        at_ms: 0,
                    });
                    while let Ok(Some(_)) = client.notice() {}
                }
            }
            Ok(Found::Orphaned) => {
                let _ = orphans::reap(&self.folder, PATIENCE);
            }
            Ok(Found::Unprepared | Found::NotStarted | Found::Ended(_)) | Err(_) => {}
        }
    }
}

/// Waits for a level.
pub(crate) fn level<T>(look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < deadline, "it has not come");
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets a script go on that reads a line from the pipe.
pub(crate) fn let_go(pipe: &Path) {
    let mut options = fs::OpenOptions::new();
    options.write(true).custom_flags(nix::libc::O_NONBLOCK);
    // It can't be opened until somebody reads, and a script that has failed never does. A reader
    // whose open(2) is interrupted goes away for a moment, and comes back.
    level(|| options.open(pipe).ok()?.write_all(b"\n").ok());
}

/// Whether a process lives: a zombie does not.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
