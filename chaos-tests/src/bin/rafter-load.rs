//! `rafter-load`: many clients of a cluster, each with a connection of its own, each submitting
//! one job after the other. `cargo xtask bench` runs it; it prints one JSON object.
//!
//! It stands for programs that keep a connection open. What a person types is measured with
//! `sbatch` itself.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use chaos_tests::pass;
use clap::Parser;
use common::{
    id::{GroupId, UserId},
    job::JobSpec,
};
use nix::unistd::{Gid, Group, User, getegid, geteuid};
use proto::ctl::{PingRequest, SubmitRequest, controller_client::ControllerClient};
use tokio::{sync::Barrier, task::JoinSet};
use trust::{
    connect::Life,
    controllers::{Call, Controllers, Target},
    site::{DEFAULT_FOLDER, FOLDER_VARIABLE, Site},
    tls::Keyring,
};

/// As the controllers have it: what is measured is them, and the client shares their processors.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long one submission may take, changes of leader included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Submits jobs over many connections at once, and says how fast that went.
#[derive(Parser)]
struct Options {
    /// How many connections, each with one submission at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    connections: usize,
    /// For how long
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, conflicts_with = "jobs")]
    seconds: f64,
    /// How many jobs, however long that takes
    #[arg(long, value_name = "N")]
    jobs: Option<u64>,
    /// What each job runs
    #[arg(long, value_name = "TEXT", default_value = "#!/bin/sh\ntrue\n")]
    script: String,
    /// Each job's working directory
    #[arg(long, value_name = "DIR", default_value = "/tmp")]
    chdir: String,
    /// Each job's output
    #[arg(long, value_name = "PATTERN", default_value = "/dev/null")]
    output: String,
    /// Submit the jobs held
    #[arg(long)]
    hold: bool,
    /// Write the number of each acknowledged job into this file
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
}

/// What all clients share.
struct Plan {
    spec: proto::types::JobSpec,
    script: Vec<u8>,
    environment: Vec<u8>,
    /// How many submissions may still begin.
    left: AtomicU64,
    /// Of this run, so that no request id is ever used twice.
    salt: u64,
    next: AtomicU64,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Microseconds.
    latencies: Vec<u32>,
    jobs: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<()> {
    let folder = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| DEFAULT_FOLDER.into());
    let site = Site::read(folder.as_ref())?;
    let pass = pass::obtain(&site)?;
    let keyring = Arc::new(Keyring::new(pass.credential)?);
    let salt = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let plan = Arc::new(Plan {
        spec: (&spec(options)?).into(),
        script: options.script.clone().into_bytes(),
        environment: b"PATH=/usr/local/bin:/usr/bin:/bin\0".to_vec(),
        left: AtomicU64::new(options.jobs.unwrap_or(u64::MAX)),
        salt: u64::try_from(salt & u128::from(u64::MAX))? ^ u64::from(std::process::id()) << 48,
        next: AtomicU64::new(0),
    });
    let begin = Arc::new(Barrier::new(options.connections + 1));
    let mut clients = JoinSet::new();
    for _ in 0..options.connections {
        let controllers =
            Controllers::new(pass.controllers.clone(), Arc::clone(&keyring), Life::Daemon, None);
        let seconds = options.jobs.is_none().then_some(options.seconds);
        clients.spawn(client(controllers, Arc::clone(&plan), Arc::clone(&begin), seconds));
    }
    begin.wait().await;
    let started = Instant::now();
    let mut seen = Seen::default();
    while let Some(one) = clients.join_next().await {
        let one = one?;
        seen.latencies.extend(one.latencies);
        seen.jobs.extend(one.jobs);
        seen.errors += one.errors;
        seen.first_error = seen.first_error.or(one.first_error);
    }
    report(options, &mut seen, started.elapsed())
}

/// Connects, waits for the others, and submits until the time or the jobs are used up.
async fn client(
    controllers: Controllers,
    plan: Arc<Plan>,
    begin: Arc<Barrier>,
    seconds: Option<f64>,
) -> Seen {
    let mut seen = Seen::default();
    // A connection to the leader is made before the clock starts.
    let greeting = controllers.call(Call::within(Target::Leader, PATIENCE), |channel| async move {
        let reply = ControllerClient::new(channel).ping(PingRequest {}).await?.into_inner();
        if reply.leader {
            return Ok(());
        }
        let leader = Some(reply.leader_name).filter(|name| !name.is_empty());
        Err(trust::controllers::not_leader(leader.as_deref()))
    });
    if let Err(error) = greeting.await {
        seen.errors += 1;
        seen.first_error = Some(error.to_string());
    }
    begin.wait().await;
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let may_begin = |left: u64| left.checked_sub(1);
    while deadline.is_none_or(|deadline| Instant::now() < deadline)
        && plan.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may_begin).is_ok()
    {
        let request = plan.request();
        let asked = Instant::now();
        let call = Call::within(Target::Leader, PATIENCE);
        let answer = controllers.call(call, |channel| {
            let request = request.clone();
            async move { Ok(ControllerClient::new(channel).submit(request).await?.into_inner()) }
        });
        match answer.await {
            Ok(reply) => {
                let took = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
                seen.latencies.push(took);
                seen.jobs.push(reply.job);
            }
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
    seen
}

impl Plan {
    fn request(&self) -> SubmitRequest {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = self.salt.to_be_bytes().to_vec();
        id.extend(number.to_be_bytes());
        SubmitRequest {
            request: id.into(),
            spec: Some(self.spec.clone()),
            script: self.script.clone().into(),
            environment: self.environment.clone().into(),
        }
    }
}

fn report(options: &Options, seen: &mut Seen, took: Duration) -> Result<()> {
    if let Some(path) = &options.ids {
        let mut file = BufWriter::new(File::create(path).context("the file of ids")?);
        for job in &seen.jobs {
            writeln!(file, "{job}")?;
        }
        file.flush()?;
    }
    let Seen { latencies, errors, first_error, .. } = seen;
    if latencies.is_empty() {
        bail!("nothing was acknowledged: {}", first_error.as_deref().unwrap_or("no time"));
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (share * (latencies.len() - 1) as f64) as usize;
        latencies[place]
    };
    let result = serde_json::json!({
        "connections": options.connections,
        "jobs": latencies.len(),
        "seconds": took.as_secs_f64(),
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "max_us": at(1.0),
        "errors": errors,
        "first_error": first_error,
    });
    println!("{result}");
    Ok(())
}

/// A job of one CPU. Who submits it is filled in by the controller, from the certificate.
fn spec(options: &Options) -> Result<JobSpec> {
    let user = User::from_uid(geteuid())?.context("the caller has no name")?;
    let gid: Gid = getegid();
    let group = Group::from_gid(gid)?.map_or_else(|| gid.to_string(), |group| group.name);
    Ok(JobSpec {
        name: "load".to_owned(),
        user: UserId(user.uid.as_raw()),
        user_name: user.name,
        group: GroupId(gid.as_raw()),
        group_name: group,
        hold: options.hold,
        work_dir: options.chdir.clone(),
        std_out: Some(options.output.clone()),
        submit_line: "rafter-load".to_owned(),
        submit_host: "localhost".to_owned(),
        session: 0,
        ..JobSpec::plain()
    })
}
