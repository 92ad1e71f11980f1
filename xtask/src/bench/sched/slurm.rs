//! What the real Slurm's backfill needs for the same nodes and jobs.
//!
//! A `slurmctld` of its own is raised, with a `munged` of its own. Its nodes are of the cloud, so
//! none has a daemon: to its scheduler they are there, and jobs are started on them for ever.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    bench::{
        bed::Beds,
        report::{grouped, ms, table},
    },
    wait::Interrupt,
    workspace::{output, succeeds},
};

/// Jobs that wait: those that `bf_max_job_test` lets it look at by default are 500.
const PENDING: usize = 200;

/// Runs that occupy all nodes: whole nodes, so that there are few of them, and ends to look at.
const WIDE: usize = 10;
const RUNS: usize = 1_000;

pub(super) fn measure(beds: &Beds) -> Result<()> {
    let program = beds.built.join("rafter-queue");
    let said = output(Command::new(program).args(["--words", &PENDING.to_string()]))?;
    let read: Value = serde_json::from_str(&said).context("no JSON came of it")?;
    let lines = |name: &str| -> Option<Vec<&str>> {
        read[name].as_array()?.iter().map(Value::as_str).collect()
    };
    let nodes = lines("nodes").context("it names its nodes")?;
    let jobs = lines("jobs").context("it names its jobs")?;

    let folder = TempDir::with_prefix_in("slurm-", &beds.folder)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let rival = Slurm::raise(folder.path(), &nodes, &beds.interrupt)?;
    rival.fill(&beds.interrupt)?;
    for job in jobs {
        rival.submit(&job.split(' ').collect::<Vec<_>>())?;
    }
    let (cycle, took) = rival.cycle(&beds.interrupt)?;
    let share = took / u32::try_from(cycle).context("some two hundred jobs")?;
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let row = [PENDING as f64, RUNS as f64, cycle as f64].map(grouped);
    let row = [&row[..], &[ms(took), ms(share)]].concat();
    let heads = ["pending", "running", "looked at", "a cycle", "each"];
    let version = output(Command::new("slurmctld").arg("-V"))?;
    let title = format!("The backfill of {}, bf_max_job_test raised, such nodes", version.trim());
    table(&title, &heads, &[row]);
    Ok(())
}

/// A controller, and who vouches for its users. Both end with it.
struct Slurm {
    conf: std::path::PathBuf,
    daemons: Vec<Child>,
}

impl Slurm {
    fn raise(folder: &Path, nodes: &[&str], interrupt: &Interrupt) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let conf = folder.join("slurm.conf");
        fs::write(&conf, configuration(folder, port, nodes))?;
        fs::create_dir(folder.join("state"))?;
        let key = folder.join("munge.key");
        fs::write(&key, [0x5A; 128])?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400))?;
        let file = |name: &str| folder.join(name).display().to_string();
        let mut munged = Command::new("munged");
        munged.args(["--foreground", "--force"]).args([
            format!("--key-file={}", key.display()),
            format!("--socket={}", file("munge.sock")),
            format!("--pid-file={}", file("munged.pid")),
            format!("--log-file={}", file("munged.log")),
            format!("--seed-file={}", file("munge.seed")),
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

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("SLURM_CONF", &self.conf).current_dir("/").stdin(Stdio::null());
        command
    }

    fn submit(&self, options: &[&str]) -> Result<()> {
        let rest = ["--output=/dev/null", "--wrap=true"];
        output(self.command("sbatch").args(options).args(rest)).map(drop)
    }

    /// Occupies all nodes, for times of half an hour to three days.
    fn fill(&self, interrupt: &Interrupt) -> Result<()> {
        const TASKS: usize = 10;
        let (nodes, array) = (format!("--nodes={WIDE}"), format!("--array=1-{TASKS}"));
        for run in 0..RUNS / TASKS {
            let limit = format!("--time={}", 30 + run * 37 % 4_000);
            self.submit(&[&nodes, &array, "--exclusive", "--mem=0", &limit])?;
        }
        let bound = Duration::from_secs(1_200);
        interrupt.until("waiting for its nodes to be occupied", bound, || {
            let running = output(self.command("squeue").args(["-h", "-r", "-t", "R,CF"]))?;
            Ok((running.lines().count() >= RUNS).then_some(()))
        })
    }

    /// The first cycle that begins with all jobs there: how many it looked at, and its length.
    fn cycle(&self, interrupt: &Interrupt) -> Result<(usize, Duration)> {
        let bound = Duration::from_secs(1_200);
        interrupt.until("waiting for its backfill to look at all", bound, || {
            let said = output(&mut self.command("sdiag"))?;
            let Some((_, backfill)) = said.split_once("Backfilling stats") else {
                bail!("sdiag does not speak of backfill:\n{said}");
            };
            let number = |name: &str| -> Option<u64> {
                let rest = backfill.lines().find_map(|line| line.trim().strip_prefix(name))?;
                rest.trim().parse().ok()
            };
            let under_way = backfill.starts_with(" (WARNING");
            let looked = number("Last depth cycle:").and_then(|depth| usize::try_from(depth).ok());
            let took = number("Last cycle:").map(Duration::from_micros);
            Ok(looked.zip(took).filter(|(looked, _)| !under_way && *looked == PENDING))
        })
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            // It is our child, and what it knew is of no use to anybody.
            let ended = daemon.kill().and_then(|()| daemon.wait());
            if let Err(error) = ended {
                eprintln!("a daemon of the rival's did not end: {error}");
            }
        }
    }
}

fn configuration(folder: &Path, port: u16, nodes: &[&str]) -> String {
    let folder = folder.display();
    let nodes: String = nodes.iter().map(|line| format!("{line} State=CLOUD\n")).collect();
    format!(
        "ClusterName=rival\n\
         SlurmctldHost=localhost(127.0.0.1)\n\
         SlurmctldPort={port}\n\
         SlurmUser=root\n\
         AuthType=auth/munge\n\
         AuthInfo=socket={folder}/munge.sock\n\
         CredType=cred/munge\n\
         StateSaveLocation={folder}/state\n\
         SlurmctldPidFile={folder}/slurmctld.pid\n\
         SlurmctldLogFile={folder}/slurmctld.log\n\
         SwitchType=switch/none\n\
         MpiDefault=none\n\
         ProctrackType=proctrack/linuxproc\n\
         TaskPlugin=task/none\n\
         SchedulerType=sched/backfill\n\
         SelectType=select/cons_tres\n\
         SelectTypeParameters=CR_CPU_Memory\n\
         PriorityType=priority/basic\n\
         AccountingStorageType=accounting_storage/none\n\
         GresTypes=gpu\n\
         SuspendProgram=/bin/true\n\
         ResumeProgram=/bin/true\n\
         SuspendTime=86400\n\
         ResumeTimeout=64000\n\
         ResumeRate=0\n\
         SchedulerParameters=bf_max_job_test=100000,bf_window=10080,bf_max_time=3600,bf_continue,\
         default_queue_depth=20000,max_sched_time=20\n\
         {nodes}\
         PartitionName=all Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP\n"
    )
}
