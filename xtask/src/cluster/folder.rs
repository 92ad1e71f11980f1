//! The folder of a cluster: what is where, and the two files that people and programs use.
//!
//! ```text
//! env             to be sourced: sbatch, squeue, ... then talk to this cluster
//! bin/            the programs, a link for each command, and `start NAME`
//! run/NAME.pid    each daemon's process (and NAME.ticks: when that began)
//! log/NAME.log    what each daemon says
//! slurm.conf      the configuration
//! site/           what the host knows of the cluster
//! state/NAME/     a controller's log;  spool/NAME/  a node's jobs;  jobs/  where hello runs
//! ```
//!
//! **Invariant:** `env`, `bin/start`, `run/NAME.pid` and `log/` are an interface: others use them.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::process::Process;

/// The programs that are built.
const PROGRAMS: &[&str] = &["rafterctld", "rafterd", "rafterstepd", "rafter"];

/// Slurm's commands that `rafter` is, too.
const COMMANDS: &[&str] = &["sbatch", "squeue", "sinfo", "scancel", "scontrol"];

/// How many lines of a log are shown of a daemon that has died.
const LAST_LINES: usize = 12;

pub(crate) struct Folder {
    root: PathBuf,
}

/// A daemon: its name, and what is typed to start it.
pub(super) struct Daemon {
    pub(super) name: String,
    pub(super) words: Vec<String>,
}

impl Folder {
    /// Lays out a new one at `root`, with the programs that `built` holds. Where `disks` are given,
    /// what the daemons keep is there.
    ///
    /// # Errors
    /// Where there is something already, or it can't be written.
    pub(crate) fn create(root: &Path, built: &Path, disks: Option<&Path>) -> Result<Self> {
        let root = std::path::absolute(root)?;
        if fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some()) {
            let shown = root.display();
            bail!(
                "{shown} is not empty. If it holds a cluster: `--stop --dir {shown}` stops it, \
                 {shown}/bin/start NAME starts one of its daemons, and a new one needs a new folder"
            );
        }
        let folder = Self { root };
        let kept = ["state", "spool"];
        for part in ["", "bin", "run", "log", "site", "jobs"].iter().chain(&kept) {
            if let Some(disks) = disks.filter(|_| kept.contains(part)) {
                symlink(disks.join(part), folder.path(part))?;
                continue;
            }
            let path = folder.root.join(part);
            fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        }
        // Jobs run as their users, who must get at the commands and at what the host knows.
        fs::set_permissions(&folder.root, fs::Permissions::from_mode(0o755))?;
        for program in PROGRAMS {
            let (from, to) = (built.join(program), folder.program(program));
            // A link costs nothing, and a later build replaces the file, not its content.
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to).with_context(|| format!("{}", from.display()))?;
            }
        }
        for command in COMMANDS {
            symlink("rafter", folder.program(command))?;
        }
        Ok(folder)
    }

    /// One that is there.
    ///
    /// # Errors
    /// Where `root` holds no cluster.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root)?;
        if !root.join("bin/start").is_file() {
            bail!("{} holds no cluster", root.display());
        }
        Ok(Self { root })
    }

    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.root.join(part)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// A command that talks to this cluster.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        command
            .env("RAFTER_DIR", self.path("site"))
            .env("SLURM_CONF", self.path("slurm.conf"))
            .stdin(Stdio::null());
        command
    }

    pub(super) fn write_env(&self) -> Result<()> {
        let quoted = |path: PathBuf| quoted(&path.to_string_lossy());
        let text = format!(
            "# To be sourced by a shell: sbatch, squeue, ... then talk to this cluster.\n\
             export RAFTER_DIR={}\nexport SLURM_CONF={}\nexport PATH={}:\"$PATH\"\n",
            quoted(self.path("site")),
            quoted(self.path("slurm.conf")),
            quoted(self.path("bin")),
        );
        Ok(fs::write(self.path("env"), text)?)
    }

    /// Writes `bin/start`, which knows how each daemon is started.
    pub(super) fn write_start(&self, daemons: &[Daemon]) -> Result<()> {
        let path = self.program("start");
        fs::write(&path, start_script(&self.root, daemons))?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
    }

    /// Starts a daemon that is stopped, by `bin/start`, as a person would.
    ///
    /// # Errors
    /// Where it runs already, or can't be started.
    pub(crate) fn start(&self, name: &str, more: &[String]) -> Result<()> {
        let mut start = Command::new(self.program("start"));
        start.arg(name).args(more).stdin(Stdio::null());
        let output = start.output().context("bin/start can't be run")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(())
    }

    /// The daemon's process, if it lives.
    pub(crate) fn process(&self, name: &str) -> Option<Process> {
        Process::recorded(&self.path("run"), name)
    }

    /// The names of all daemons that were ever started, in order.
    pub(crate) fn daemons(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path("run"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".pid").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// # Errors
    /// Where the daemon has stopped; with the end of its log.
    pub(crate) fn must_live(&self, name: &str) -> Result<()> {
        if self.process(name).is_some() {
            return Ok(());
        }
        let log = fs::read_to_string(self.path("log").join(format!("{name}.log")));
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        bail!("{name} has stopped; its log ends with:\n  {}", last.join("\n  "))
    }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn start_script(root: &Path, daemons: &[Daemon]) -> String {
    let mut cases = String::new();
    for Daemon { name, words } in daemons {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        cases.push_str(&format!("{}) set -- {} \"$@\" ;;\n", quoted(name), words.join(" ")));
    }
    let names: Vec<&str> = daemons.iter().map(|it| it.name.as_str()).collect();
    let path = env::var("PATH").unwrap_or_default();
    START
        .replace("@CASES@", &cases)
        .replace("@NAMES@", &names.join(" "))
        .replace("@ROOT@", &quoted(&root.to_string_lossy()))
        .replace("@PATH@", &quoted(&path))
}

/// The daemon gets a session of its own, and outlives whoever starts it.
const START: &str = r#"#!/bin/sh
# Starts a daemon of this cluster that is stopped: start NAME [OPTION...]
set -eu
root=@ROOT@
names='@NAMES@'
name=${1:-}
[ $# -gt 0 ] && shift
# When a process began, unless it is gone or a zombie.
ticks() {
    stat=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    case $stat in Z* | X* | '') return 1 ;; esac
    echo "$stat" | cut -d ' ' -f 20
}
case $name in
@CASES@*)
    echo "start: which daemon? There are: $names" >&2
    exit 2
    ;;
esac
record=$root/run/$name
pid=$(cat "$record.pid" 2>/dev/null || :)
if [ -n "$pid" ] && [ "$(ticks "$pid")" = "$(cat "$record.ticks" 2>/dev/null)" ]; then
    echo "start: $name runs already (process $pid)" >&2
    exit 1
fi
export PATH="$root/bin":@PATH@
cd /
setsid "$@" </dev/null >>"$root/log/$name.log" 2>&1 &
pid=$!
ticks "$pid" >"$record.ticks.new" || :
echo "$pid" >"$record.pid.new"
mv "$record.ticks.new" "$record.ticks"
mv "$record.pid.new" "$record.pid"
"#;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::sys::signal::Signal;

    use super::*;

    /// A folder with one daemon, which sleeps and says what it was given.
    fn folder(scratch: &Path) -> Folder {
        let folder = Folder { root: scratch.join("it's one") };
        for part in ["bin", "run", "log"] {
            fs::create_dir_all(folder.path(part)).expect("made");
        }
        let script = "echo \"$@\"; exec sleep 60";
        let words = ["sh", "-c", script, "zero", "a b", "it's"].map(str::to_owned).to_vec();
        let daemon = Daemon { name: "n1".to_owned(), words };
        folder.write_start(&[daemon]).expect("written");
        folder
    }

    fn wait_for(mut level: impl FnMut() -> bool) {
        let started = Instant::now();
        while !level() {
            assert!(started.elapsed() < Duration::from_secs(20), "in vain");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_daemon_is_started_once_and_again_after_its_end() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = folder(scratch.path());
        assert!(folder.process("n1").is_none());
        folder.start("n1", &["--more".to_owned()]).expect("started");
        let process = folder.process("n1").expect("it lives");
        let log = folder.path("log").join("n1.log");
        wait_for(|| fs::read_to_string(&log).is_ok_and(|log| log == "a b it's --more\n"));
        let again = folder.start("n1", &[]).expect_err("it runs");
        assert!(again.to_string().contains("n1 runs already"), "{again}");
        assert_eq!(folder.daemons().expect("listed"), ["n1"]);
        folder.must_live("n1").expect("it does");

        process.signal(Signal::SIGKILL).expect("ours");
        wait_for(|| !process.lives());
        let dead = folder.must_live("n1").expect_err("it does not").to_string();
        assert!(dead.starts_with("n1 has stopped") && dead.ends_with("a b it's --more"), "{dead}");
        folder.start("n1", &[]).expect("started again");
        let second = folder.process("n1").expect("it lives");
        assert_ne!(second, process);
        second.signal(Signal::SIGKILL).expect("ours");

        let unknown = folder.start("n2", &[]).expect_err("there is none");
        assert_eq!(unknown.to_string(), "start: which daemon? There are: n1");
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let scratch = tempfile::tempdir().expect("a folder");
        fs::write(scratch.path().join("thesis.tex"), "").expect("written");
        let refused = Folder::create(scratch.path(), Path::new("/nonexistent"), None);
        assert!(refused.is_err_and(|error| error.to_string().contains("is not empty")));
        assert!(Folder::open(scratch.path()).is_err(), "it holds no cluster");
    }

    #[test]
    fn the_environment_can_be_sourced() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = folder(scratch.path());
        folder.write_env().expect("written");
        let mut shell = Command::new("sh");
        shell.args(["-c", ". \"$0\"; echo \"$RAFTER_DIR\"; echo \"$PATH\""]);
        let output = shell.arg(folder.path("env")).output().expect("sh runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = said.lines();
        assert_eq!(lines.next(), folder.path("site").to_str());
        let path = lines.next().expect("a PATH");
        assert!(path.starts_with(&format!("{}:/", folder.path("bin").display())), "{path}");
    }
}
