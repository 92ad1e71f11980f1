//! A cluster of real processes in a folder of its own.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::wait::until;

/// Far longer than anything takes here, even on a machine with other work.
pub(crate) const BOUND: Duration = Duration::from_secs(90);

/// The end of each daemon's log that a failure shows.
const LAST_LINES: usize = 25;

pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    /// Who was killed, and has not been started since.
    killed: RefCell<BTreeSet<String>>,
}

/// The folder that cargo puts programs into.
fn programs() -> PathBuf {
    let own = env::current_exe().expect("a test knows its program");
    let folder = own.parent().and_then(Path::parent).expect("tests are in target/PROFILE/deps");
    folder.to_owned()
}

pub(crate) fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    assert!(path.is_file(), "{} is missing; `cargo xtask test` builds it", path.display());
    path
}

impl Cluster {
    /// Raises `controllers` controllers and `nodes` nodes of 8 CPUs each, with more lines for
    /// their `slurm.conf`.
    pub(crate) fn raise(controllers: u32, nodes: u32, settings: &[&str]) -> Self {
        for name in ["rafterctld", "rafterd", "rafterstepd", "rafter"] {
            program(name);
        }
        let folder = tempfile::Builder::new().prefix("rafter-real-").tempdir().expect("a folder");
        let cluster = Self { folder, killed: RefCell::default() };
        let mut raise = Command::new(program("xtask"));
        raise.args(["cluster", "--controllers", &controllers.to_string()]);
        raise.args(["--nodes", &nodes.to_string(), "--cpus", "8", "--dir"]);
        raise.arg(cluster.root()).arg("--programs").arg(programs());
        for setting in settings {
            raise.args(["--set", setting]);
        }
        let raised = raise.stdin(Stdio::null()).output().expect("xtask can be started");
        assert!(
            raised.status.success(),
            "the cluster could not be raised:\n{}{}",
            String::from_utf8_lossy(&raised.stderr),
            cluster.logs()
        );
        cluster
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.root().join(part)
    }

    fn pid(&self, name: &str) -> Option<Pid> {
        let text = fs::read_to_string(self.path(&format!("run/{name}.pid"))).ok()?;
        Some(Pid::from_raw(text.trim().parse().expect("a pid file holds a number")))
    }

    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        let pid = self.pid(name).expect("a daemon that was started has a pid file");
        kill(pid, signal).unwrap_or_else(|error| panic!("{name} can't be signalled: {error}"));
    }

    /// Kills a daemon, and waits until it is gone.
    pub(crate) fn kill(&self, name: &str) {
        self.signal(name, Signal::SIGKILL);
        self.killed.borrow_mut().insert(name.to_owned());
        self.until_gone(name);
    }

    /// Whether its last end was by [`Self::kill`].
    pub(crate) fn was_killed(&self, name: &str) -> bool {
        self.killed.borrow().contains(name)
    }

    /// Lets `bin/start` know a further controller, which is started as `ctl1` is, at a port of its
    /// own. One that it knows stays as it is.
    pub(crate) fn know(&self, name: &str) {
        let path = self.path("bin/start");
        let script = fs::read_to_string(&path).expect("it is there");
        if script.contains(&format!("'{name}') set --")) {
            return;
        }
        let first = script.lines().find(|line| line.starts_with("'ctl1') set --"));
        let first = first.expect("each cluster has a first controller");
        let old = first.split('\'').find(|word| word.starts_with("127.0.0.1:"));
        // Below those that the kernel gives to outgoing connections: it must be free again later.
        let drawn = || 10_000 + RandomState::new().build_hasher().finish() % 20_000;
        let mut ports = std::iter::repeat_with(|| format!("127.0.0.1:{}", drawn()));
        let port = ports.find(|port| TcpListener::bind(port).is_ok()).expect("a free port");
        let line = first.replace("ctl1", name).replace(old.expect("its address"), &port);
        let script = script.replacen(first, &format!("{first}\n{line}"), 1);
        fs::write(&path, script).expect("written");
    }

    pub(crate) fn until_gone(&self, name: &str) {
        let pid = self.pid(name).expect("a daemon that was started has a pid file");
        let gone = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // A zombie, too, is gone: nobody may collect it here.
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        };
        until(&format!("{name} to be gone"), BOUND, gone);
    }

    /// Starts a daemon again, with what was typed before.
    pub(crate) fn start(&self, name: &str) {
        self.start_with(name, &[]);
    }

    /// The same, with `more` words.
    pub(crate) fn start_with(&self, name: &str, more: &[&str]) {
        self.killed.borrow_mut().remove(name);
        let output = self.command("start").arg(name).args(more).output();
        let output = output.expect("bin/start can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} can't be started: {said}{}", self.logs());
    }

    /// Links a further program into `bin`.
    pub(crate) fn add_program(&self, name: &str) {
        let path = self.path("bin").join(name);
        fs::hard_link(program(name), &path)
            .or_else(|_| fs::copy(program(name), &path).map(drop))
            .expect("a program can be copied");
    }

    /// Lets `bin/start` start a controller by another program.
    pub(crate) fn use_program(&self, name: &str, program: &str) {
        let path = self.path("bin/start");
        let script = fs::read_to_string(&path).expect("it is there");
        let begin = format!("'{name}') set -- ");
        let line = script.lines().find(|line| line.starts_with(&begin)).expect("it is known");
        let old = line[begin.len()..].split(' ').next().expect("a program");
        let new = format!("'{}'", self.path("bin").join(program).display());
        let changed = line.replacen(old, &new, 1);
        fs::write(&path, script.replacen(line, &changed, 1)).expect("written");
    }

    /// Stops a daemon in order, and waits until it is gone.
    pub(crate) fn stop(&self, name: &str) {
        self.signal(name, Signal::SIGTERM);
        self.until_gone(name);
    }

    /// The options with which `bin/start` starts a daemon.
    pub(crate) fn options(&self, name: &str) -> Vec<String> {
        let script = fs::read_to_string(self.path("bin/start")).expect("it is there");
        let begin = format!("'{name}') set -- ");
        let line = script.lines().find_map(|line| line.strip_prefix(&begin));
        let words = line.expect("it is known").split(' ').map(|word| word.trim_matches('\''));
        words.skip(1).take_while(|word| *word != "\"$@\"").map(str::to_owned).collect()
    }

    /// Kills the supervisors of all jobs, as an operator does before a spool is moved away.
    pub(crate) fn end_jobs(&self) {
        let supervisor = self.path("bin/rafterstepd");
        for entry in fs::read_dir("/proc").expect("it is there").flatten() {
            let runs = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == supervisor);
            let pid = entry.file_name().to_string_lossy().parse().ok().filter(|_| runs);
            if let Some(pid) = pid {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// A command that talks to this cluster.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path("bin").join(name));
        command
            .env("RAFTER_DIR", self.path("site"))
            .env("SLURM_CONF", self.path("slurm.conf"))
            .current_dir(self.path("jobs"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name).args(arguments).output().expect("a command can be started")
    }

    /// What a command prints.
    ///
    /// # Panics
    /// Where it fails.
    pub(crate) fn ask(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {said}{}", self.logs());
        String::from_utf8(output.stdout).expect("commands print UTF-8").trim().to_owned()
    }

    /// Submits a script, and returns the job's id.
    pub(crate) fn submit(&self, script: &str, arguments: &[&str]) -> u32 {
        let wrap = format!("--wrap={script}");
        let words = [&["--parsable", "-o", "/dev/null", &wrap][..], arguments].concat();
        self.ask("sbatch", &words).parse().expect("sbatch --parsable prints an id")
    }

    fn status(&self) -> Option<Value> {
        let output = self.run("rafter", &["status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).ok())?
    }

    /// Where a controller listens.
    pub(crate) fn address(&self, name: &str) -> String {
        until("an address", BOUND, || {
            let status = self.status()?;
            let list = status["controllers"].as_array()?;
            let one = list.iter().find(|one| one["name"] == name)?;
            Some(one["address"].as_str()?.to_owned())
        })
    }

    /// The name of the controller that leads, once one does that is not `but`.
    pub(crate) fn leader(&self, but: Option<&str>) -> String {
        until("a leader", BOUND, || {
            let leader = self.status()?["leader"].as_str()?.to_owned();
            (!leader.is_empty() && Some(leader.as_str()) != but).then_some(leader)
        })
    }

    /// Waits until each of `names` follows or leads, and has all that the leader has.
    pub(crate) fn joined(&self, names: &[&str]) {
        until("the controllers to be together", BOUND, || {
            let status = self.status()?;
            let of = |name: &&str| {
                let list = status["controllers"].as_array()?;
                let one = list.iter().find(|one| one["name"] == **name)?;
                let role = one["role"].as_str()?;
                (["leader", "follower"].contains(&role) && one["lag"] == 0).then_some(())
            };
            names.iter().all(|name| of(name).is_some()).then_some(())
        });
    }

    /// The state of a job, as `scontrol show job` has it; none where it knows none of that id.
    pub(crate) fn job_state(&self, job: u32) -> Option<String> {
        let output = self.run("scontrol", &["show", "job", "-o", &job.to_string()]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let state = text.split_whitespace().find_map(|word| word.strip_prefix("JobState="))?;
        Some(state.to_owned())
    }

    pub(crate) fn until_job(&self, job: u32, states: &[&str]) -> String {
        until(&format!("job {job} to be {states:?}"), BOUND, || {
            self.job_state(job).filter(|state| states.contains(&state.as_str()))
        })
    }

    /// Waits until no job is pending or running.
    pub(crate) fn until_empty(&self) {
        until("the queue to be empty", BOUND, || {
            let output = self.run("squeue", &["-h", "-o", "%i %T"]);
            (output.status.success() && output.stdout.is_empty()).then_some(())
        });
    }

    /// The states of the nodes, as `sinfo` has them.
    pub(crate) fn node_states(&self) -> BTreeMap<String, String> {
        let text = self.ask("sinfo", &["-h", "-N", "-o", "%N %T"]);
        let pair = |line: &str| {
            let (name, state) = line.split_once(' ').expect("two words a line");
            (name.to_owned(), state.trim().to_owned())
        };
        text.lines().map(pair).collect()
    }

    pub(crate) fn until_node(&self, node: &str, states: &[&str]) {
        until(&format!("{node} to be {states:?}"), BOUND, || {
            let state = self.node_states().remove(node)?;
            states.contains(&state.trim_end_matches('*')).then_some(())
        });
    }

    /// The last lines of each daemon's log.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        let Ok(entries) = fs::read_dir(self.path("log")) else { return text };
        for entry in entries.flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
            let name = entry.file_name().to_string_lossy().into_owned();
            writeln!(text, "\n--- {name}\n{last}").expect("a String takes all");
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let names: Vec<String> = fs::read_dir(self.path("run"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some(name.strip_suffix(".pid")?.to_owned())
            })
            .collect();
        for name in names {
            // One that a test has frozen could not be stopped. That it is gone does not matter.
            if let Some(pid) = self.pid(&name) {
                let _ = kill(pid, Signal::SIGCONT);
            }
        }
        let mut stop = Command::new(programs().join("xtask"));
        stop.args(["cluster", "--stop", "--dir"]).arg(self.root());
        let _ = stop.stdin(Stdio::null()).output();
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}
