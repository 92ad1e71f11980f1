//! `rafter-witness`: what the jobs of a run under faults do. It writes on its node's disk that it
//! has begun, that it is still there, and that it has come to its end.

use std::{
    env,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chaos_tests::record::{Moment, Witness, append_line, now};
use clap::Parser;
use signal_hook::consts::SIGTERM;

/// Between two lines that say that it is still there.
const ALIVE: Duration = Duration::from_millis(250);

/// What a process returns that was ended by SIGTERM, as shells have it.
const TERMINATED: u8 = 143;

/// Witnesses a job's run on its node's disk.
#[derive(Parser)]
struct Options {
    /// The folder of all nodes' disks: this one's is DIR/NODE
    #[arg(long, value_name = "DIR")]
    disks: PathBuf,
    /// How long the job lasts
    #[arg(long, value_name = "SECONDS")]
    seconds: f64,
    /// Pass over SIGTERM
    #[arg(long)]
    stubborn: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&told))?;
    let node = env::var("SLURMD_NODENAME").context("SLURMD_NODENAME")?;
    let path = options.disks.join(&node).join("witness").join(format!("{node}.jsonl"));
    let number = |name: &str, or: u32| match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(or),
    };
    let mut witness = Witness {
        moment: Moment::Begin,
        job: number("SLURM_JOB_ID", 0)?,
        attempt: number("SLURM_RESTART_COUNT", 0)? + 1,
        pid: std::process::id(),
        at: now(),
        cpus: number("SLURM_CPUS_ON_NODE", 0)?,
        gpus: vec![],
    };
    append_line(&path, &witness, true).context("the first line")?;
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let mut code = ExitCode::SUCCESS;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        if told.load(Ordering::Relaxed) && !options.stubborn {
            code = ExitCode::from(TERMINATED);
            break;
        }
        thread::sleep(left.min(ALIVE / 5));
        let alive = Duration::from_nanos(now().saturating_sub(witness.at));
        if alive >= ALIVE {
            (witness.moment, witness.at) = (Moment::Alive, now());
            // A full disk is no reason to stop.
            let _ = append_line(&path, &witness, false);
        }
    }
    (witness.moment, witness.at) = (Moment::End, now());
    append_line(&path, &witness, true).context("the last line")?;
    Ok(code)
}
