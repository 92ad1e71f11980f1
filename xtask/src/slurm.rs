//! A real Slurm's controller to ask, where one is installed.
//!
//! It has a `munged` of its own, and ports and folders of its own, so it disturbs no other. Its
//! nodes are of the cloud, so none has a daemon: to the scheduler they are there, and jobs are
//! started on them for ever.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    wait::Interrupt,
    workspace::{output, succeeds},
};

/// What a scenario's or a measurement's own settings stand behind. Nothing of it says who starts
/// when.
const SETTINGS: &str = "ClusterName=rival
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
PriorityType=priority/basic
AccountingStorageType=accounting_storage/none
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=86400
ResumeTimeout=64000
ResumeRate=0
";

/// A controller, and who vouches for its users. Both end with it.
pub(crate) struct Slurm {
    conf: PathBuf,
    daemons: Vec<Child>,
}

impl Slurm {
    /// Raises one in an empty folder. `settings` are lines of `slurm.conf`, those of nodes and
    /// partitions among them.
    ///
    /// # Errors
    /// Where it is not installed, or refuses the settings.
    pub(crate) fn raise(folder: &Path, settings: &str, interrupt: &Interrupt) -> Result<Self> {
        // Its daemons look at who could write above their files.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let conf = folder.join("slurm.conf");
        let shown = folder.display();
        let of_tree = |line: &&str| line.starts_with("SwitchName=");
        let (tree, settings): (Vec<&str>, Vec<&str>) = settings.lines().partition(of_tree);
        if !tree.is_empty() {
            fs::write(folder.join("topology.conf"), tree.join("\n") + "\n")?;
        }
        let lines: String = settings.into_iter().map(of_cloud).collect();
        let places = format!(
            "SlurmctldHost=localhost(127.0.0.1)\n\
             SlurmctldPort={port}\n\
             AuthInfo=socket={shown}/munge.sock\n\
             StateSaveLocation={shown}/state\n\
             SlurmctldPidFile={shown}/slurmctld.pid\n\
             SlurmctldLogFile={shown}/slurmctld.log\n"
        );
        fs::write(&conf, format!("{SETTINGS}{places}{lines}"))?;
        fs::create_dir(folder.join("state"))?;
        let key = folder.join("munge.key");
        // It guards nothing.
        fs::write(&key, [0x5A; 128])?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400))?;
        let mut munged = Command::new("munged");
        munged.args(["--foreground", "--force"]).args([
            format!("--key-file={shown}/munge.key"),
            format!("--socket={shown}/munge.sock"),
            format!("--pid-file={shown}/munged.pid"),
            format!("--log-file={shown}/munged.log"),
            format!("--seed-file={shown}/munge.seed"),
        ]);
        let mut slurm = Self { conf, daemons: vec![] };
        slurm.start(munged, &folder.join("munged.out"))?;
        let mut slurmctld = Command::new("slurmctld");
        slurmctld.arg("-D").arg("-f").arg(&slurm.conf);
        slurm.start(slurmctld, &folder.join("slurmctld.out"))?;
        interrupt.until("waiting for slurmctld", Duration::from_secs(60), || {
            Ok(succeeds(slurm.command("scontrol").arg("ping")).then_some(()))
        })?;
        Ok(slurm)
    }

    fn start(&mut self, mut daemon: Command, said: &Path) -> Result<()> {
        let said = fs::File::create(said)?;
        daemon.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        self.daemons.push(daemon.spawn().with_context(|| format!("{daemon:?}"))?);
        Ok(())
    }

    /// One of its commands.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("SLURM_CONF", &self.conf).current_dir("/").stdin(Stdio::null());
        command
    }

    /// A job that does nothing; its number.
    ///
    /// # Errors
    /// Where it is refused.
    pub(crate) fn submit(&self, options: &[&str]) -> Result<String> {
        let rest = ["--parsable", "--output=/dev/null", "--wrap=true"];
        let said = output(self.command("sbatch").args(options).args(rest))?;
        Ok(said.trim().to_owned())
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            // What it knew is of no use to anybody.
            let ended = daemon.kill().and_then(|()| daemon.wait());
            if let Err(error) = ended {
                eprintln!("a daemon of the rival's did not end: {error}");
            }
        }
    }
}

fn of_cloud(line: &str) -> String {
    let state = if line.starts_with("NodeName=") { " NodeAddr=127.0.0.1 State=CLOUD" } else { "" };
    format!("{line}{state}\n")
}
